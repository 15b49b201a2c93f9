//! Arriving, going back to where one was going, the language, the frame.

use super::{Console, PASSWORD, account, after, page};
use crate::support::{
    Gateway, Request,
    browser::{Browser, LOGIN, form, own},
    gateway::PUBLIC_URL,
};

#[test]
fn somebody_arrives_at_their_services() {
    let console = Console::start();
    let home = page(&console.signed_in("jane").get("/hub/"));
    assert!(home.contains("<h1>Hello, Jane</h1>"), "{home}");
    assert!(home.contains("<a href=\"https://app.example/\">"), "{home}");
    assert!(home.contains("aria-current=\"page\">Home</a>"), "{home}");
    assert!(home.contains("/hub/account\"") && !home.contains("/hub/admin"), "{home}");
    assert!(!home.contains("Three steps"), "{home}");
    let home = page(&console.signed_in("root").get("/hub/"));
    assert!(home.contains("/hub/admin/services\""), "{home}");
    let answer = Browser::new(&console.gateway).get("/hub/");
    assert_eq!(answer.status, 303);
    assert_eq!(own(&answer), "/hub/auth/login?back=%2Fhub%2F");
}

#[test]
fn a_new_gateway_guides_its_administrator() {
    let home = |login: &str, service: bool| {
        let gateway = Gateway::start(|setup| {
            setup.user("root", &format!("password = \"{PASSWORD}\"\nadministrator = true"));
            setup.user("jane", &format!("password = \"{PASSWORD}\""));
            if service {
                setup.named_service("first", "The First", "secret = \"first-secret-0123456789\"");
            }
        });
        let mut browser = Browser::new(&gateway);
        browser.log_in("", login, PASSWORD);
        page(&browser.get("/hub/"))
    };
    let guide = home("root", false);
    assert!(guide.contains("Three steps to your first service"), "{guide}");
    assert!(guide.contains("/hub/admin/services/new\""), "{guide}");
    assert!(!home("jane", false).contains("Three steps"));
    let guide = home("root", true);
    assert!(guide.contains("The First is registered."), "{guide}");
    assert!(guide.contains("service = \"first\""), "{guide}");
}

#[test]
fn who_was_going_somewhere_gets_there_after_signing_in() {
    let console = Console::start();
    let mut browser = Browser::new(&console.gateway);
    let answer = browser.get("/hub/auth/resume?form=a%26b");
    let login = own(&answer);
    assert_eq!(login, "/hub/auth/login?back=%2Fhub%2Fauth%2Fresume%3Fform%3Da%2526b");
    let query = login.split_once('?').unwrap().1;
    let shown = page(&browser.get(&login));
    assert!(shown.contains(&format!("action=\"{PUBLIC_URL}{LOGIN}?back=%2Fhub")), "{shown}");
    // A wrong password does not lose the way.
    let again = own(&browser.log_in(query, "jane", "wrong"));
    assert!(again.starts_with(&format!("/hub/auth/login?{query}&problem=")), "{again}");
    let answer = browser.log_in(query, "jane", PASSWORD);
    assert_eq!(own(&answer), "/hub/auth/resume?form=a%26b");
    let lost = page(&browser.get("/hub/auth/resume?form=a%26b"));
    assert!(lost.contains("What you typed is no longer here."), "{lost}");
}

#[test]
fn a_form_outlives_its_session() {
    let console = Console::start();
    let mut browser = account::signed_in(&console, "ann");
    let profile = page(&browser.get("/hub/account"));
    assert!(profile.contains("name=\"name\" value=\"Ann Example\""), "{profile}");
    // Signed out in another tab; then the form is sent.
    browser.cookie = None;
    let typed = form(&[
        ("name", "Ann & <Söhne>"),
        ("email", "ann@example.org"),
        ("language", "en"),
        ("password", "hunter2"),
    ]);
    let answer = browser.post("/hub/account", &typed);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let kept = answer.header("set-cookie").unwrap();
    assert!(kept.starts_with("__Host-hubgate-form=") && kept.ends_with("; Max-Age=900"), "{kept}");
    assert!(kept.contains("; Path=/; Secure; HttpOnly; SameSite=Lax;"), "{kept}");
    let login = own(&answer);
    assert!(login.starts_with("/hub/auth/login?back=%2Fhub%2Fauth%2Fresume%3Fform%3D"), "{login}");
    let answer = browser.log_in(login.split_once('?').unwrap().1, "ann", PASSWORD);
    let again = page(&browser.get(&own(&answer)));
    assert!(again.contains("name=\"name\" value=\"Ann &#38; &#60;Söhne&#62;\""), "{again}");
    assert!(again.contains("<form class=\"card\" method=\"post\" action=\"/hub/account\">"), "{again}");
    assert!(!again.contains("hunter2"), "a password is not kept");
    // What is sent, and where to, is there to be read.
    assert!(again.contains("<code>/hub/account</code>"), "{again}");
    assert!(again.contains("<dt>name</dt><dd>Ann &#38; &#60;Söhne&#62;"), "{again}");
    assert!(!again.contains("autofocus"), "{again}");
    // Whoever sends a form as nobody gets nobody else to press its button, whatever address they are given.
    let resume = own(&answer);
    assert!(resume.starts_with("/hub/auth/resume?form="), "{resume}");
    let lost = page(&console.signed_in("ann").get(&resume));
    assert!(lost.contains("What you typed is no longer here.") && !lost.contains("Söhne"), "{lost}");
    let forged = Request::get(&resume).header("Cookie", "__Host-hubgate-form=0123456789abcdef");
    assert_eq!(console.gateway.send(&forged).status, 303);
    let saved = browser.post("/hub/account", &typed);
    assert!(after(&mut browser, &saved).contains("Saved."));
    // Another site's page cannot make us keep anything.
    let forged = Request::form("/hub/account", &typed).header("Origin", "https://evil.example");
    assert_eq!(console.gateway.send(&forged).status, 403);
}

#[test]
fn the_way_back_leads_nowhere_else() {
    let console = Console::start();
    for back in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "",
    ] {
        let mut browser = Browser::new(&console.gateway);
        let query = form(&[("back", back)]);
        let answer = browser.log_in(&query, "jane", PASSWORD);
        assert_eq!((answer.status, own(&answer).as_str()), (303, "/hub/"), "{back:?}");
    }
}

#[test]
fn pages_speak_the_language_of_the_browser_and_of_the_person() {
    let console = Console::start();
    let login = |language: &str| {
        let request = Request::get("/hub/auth/login").header("Accept-Language", language);
        console.gateway.send(&request)
    };
    let german = login("de-DE,de;q=0.9,en;q=0.8");
    assert_eq!(german.header("content-language"), Some("de"));
    assert!(german.text().contains("<h1>Anmelden</h1>"), "{}", german.text());
    assert!(login("fr").text().contains("<h1>Sign in</h1>"));
    assert!(console.gateway.send(&Request::get("/hub/loginOptions")).text().contains("<h1>Sign in</h1>"));
    let error = Request::get("/hub/errors/invalid_grant").header("Accept-Language", "de");
    assert!(console.gateway.send(&error).text().contains("<h1>Die Berechtigung gilt nicht</h1>"));
    // A refusal of the gate, for a person.
    let refused = Request::get("/nothing").header("Accept", "text/html").header("Accept-Language", "de");
    let refused = console.gateway.send(&refused);
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("Unter dieser Adresse ist nichts"), "{}", refused.text());
    assert!(refused.text().contains("/hub/admin/why?request="), "{}", refused.text());
    let home = console.signed_in("jane").send(Request::get("/hub/").header("Accept-Language", "de"));
    assert!(page(&home).contains("<h1>Guten Tag, Jane</h1>"));
}

#[test]
fn the_frame_loads_its_style_and_script_once() {
    let console = Console::start();
    let mut jane = console.signed_in("jane");
    let answer = jane.get("/hub/");
    let policy = answer.header("content-security-policy").unwrap().to_owned();
    let home = page(&answer);
    for (before, kind) in
        [("<link rel=\"stylesheet\" href=\"", "text/css"), ("<script src=\"", "text/javascript")]
    {
        let url = home.split_once(before).unwrap().1.split('"').next().unwrap();
        assert!(policy.contains(url), "{url} {policy}");
        let path = url.strip_prefix(PUBLIC_URL).unwrap();
        let asset = console.gateway.send(&Request::get(path));
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("content-type"), Some(format!("{kind}; charset=utf-8").as_str()));
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
    }
}

/// The address in the claim `profile`.
#[test]
fn a_person_has_an_address() {
    let console = Console::start();
    let id = |login: &str| {
        let request = Request::get("/hub/api/rest/users/me?fields=id").basic(login, PASSWORD);
        console.gateway.send(&request).json()["id"].as_str().unwrap().to_owned()
    };
    let (jane, joe) = (id("jane"), id("joe"));
    let told = form(&[
        ("grant_type", "password"),
        ("username", "jane"),
        ("password", PASSWORD),
        ("scope", "openid"),
    ]);
    let token = Request::form("/hub/api/rest/oauth2/token", &told).basic("app", "app-secret-0123456789");
    let token = console.gateway.send(&token).json()["access_token"].as_str().unwrap().to_owned();
    let claims = console.gateway.send(&Request::get("/hub/api/rest/oauth2/userinfo").bearer(&token)).json();
    assert_eq!(claims["profile"], format!("{PUBLIC_URL}/hub/users/{jane}"));
    let path = format!("/hub/users/{jane}");
    assert_eq!(own(&console.signed_in("jane").get(&path)), "/hub/account");
    assert_eq!(own(&console.signed_in("root").get(&path)), format!("/hub/admin/users/{jane}"));
    let mut other = console.signed_in("joe");
    let text = page(&other.get(&path));
    assert!(text.contains("<h1>Jane</h1>") && text.contains("<dd>jane</dd>"), "{text}");
    assert!(!text.contains("jane@example.org"), "an address is told to administrators alone: {text}");
    assert_eq!(own(&other.get(&format!("/hub/users/{joe}"))), "/hub/account");
    assert_eq!(other.get("/hub/users/nobody").status, 404);
    assert_eq!(other.send(Request::form(&path, "")).status, 405);
    assert!(own(&Browser::new(&console.gateway).get(&path)).starts_with("/hub/auth/login?back="));
}
