//! One's own account: profile, password, sessions, what services may do, tokens. The second step is in `second_step`.

use serde_json::Value;

use super::{Console, PASSWORD, after, assert_guarded, page};
use crate::support::{
    Answer, Request,
    browser::{AUTH, Browser, brought, form, hidden, own, parameter},
    gateway::{TOKEN, eventually},
    smtp::Smtp,
};

const ACCOUNT: &str = "/hub/account";
const SECURITY: &str = "/hub/account/security";
const SESSIONS: &str = "/hub/account/sessions";
const AUTHORIZED: &str = "/hub/account/authorized";
const TOKENS: &str = "/hub/account/tokens";
const ME: &str =
    "/hub/api/rest/users/me?fields=id,login,name,profile(email(email,verified),locale(language))";

/// Adds somebody whom the file does not declare, and who can therefore change.
pub(super) fn add(console: &Console, login: &str) {
    let file = console.gateway.folder().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let file = file.display().to_string();
    let email = format!("{login}@example.org");
    let line = ["user", "add", login, "--name", "Ann Example", "--email", &email, "--password-file", &file];
    console.gateway.command(&line);
}

/// The same, signed in.
pub(super) fn signed_in<'c>(console: &'c Console, login: &str) -> Browser<'c> {
    add(console, login);
    console.signed_in(login)
}

fn me(browser: &mut Browser<'_>) -> Value {
    let answer = browser.send(Request::get(ME).header("Sec-Fetch-Site", "same-origin"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn refused(answer: &Answer, texts: &[&str]) -> String {
    let text = answer.text();
    assert_eq!(answer.status, 422, "{text}");
    for expected in texts {
        assert!(text.contains(expected), "{expected} not in {text}");
    }
    text
}

#[test]
fn every_page_and_form_is_for_whoever_is_signed_in() {
    let console = Console::start();
    for path in [
        ACCOUNT,
        SECURITY,
        "/hub/account/security/second-step",
        SESSIONS,
        AUTHORIZED,
        TOKENS,
        "/hub/account/sessions?done=done",
    ] {
        assert_guarded(&console, path, None);
    }
    for path in [
        ACCOUNT,
        "/hub/account/confirm-address",
        "/hub/account/security/password",
        "/hub/account/security/second-step",
        "/hub/account/security/second-step/change",
        "/hub/account/sessions/end-others",
        "/hub/account/sessions/x/end",
        "/hub/account/authorized/x/revoke",
        TOKENS,
        "/hub/account/tokens/passwords",
        "/hub/account/tokens/x/revoke",
    ] {
        assert_guarded(&console, path, Some("name=x&do=off"));
    }
    let mut jane = console.signed_in("jane");
    assert_eq!(jane.get("/hub/account/tokens/passwords").status, 405);
    assert_eq!(jane.get("/hub/account/nothing").status, 404);
}

#[test]
fn people_say_who_they_are() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let shown = page(&ann.get(ACCOUNT));
    assert!(shown.contains("value=\"ann@example.org\"") && shown.contains("Confirmed"), "{shown}");
    let mut change = vec![("name", "Ann <b>Other</b>"), ("email", "other@example.org"), ("language", "de")];
    // Whoever has the address gets the password by a letter, so it takes the password to change it.
    let missing = refused(&ann.post(ACCOUNT, &form(&change)), &["other@example.org", "Ann &#60;b&#62;Other"]);
    assert!(missing.contains("id=\"currentPassword-mistake\""), "{missing}");
    change.push(("currentPassword", "wrong"));
    refused(&ann.post(ACCOUNT, &form(&change)), &["id=\"currentPassword-mistake\""]);
    assert_eq!(me(&mut ann)["profile"]["email"]["email"], "ann@example.org");
    change.pop();
    change.push(("currentPassword", PASSWORD));
    let answer = ann.post(ACCOUNT, &form(&change));
    let shown = after(&mut ann, &answer);
    assert!(shown.contains("Gespeichert.") && shown.contains("lang=\"de\""), "{shown}");
    assert!(shown.contains("Ann &#60;b&#62;Other&#60;/b&#62;") && !shown.contains("<b>Other"), "{shown}");
    let now = me(&mut ann);
    assert_eq!(now["name"], "Ann <b>Other</b>");
    assert_eq!(now["profile"]["email"]["email"], "other@example.org");
    assert_eq!(now["profile"]["email"]["verified"], false);
    assert_eq!(now["profile"]["locale"]["language"], "de");
    let answer =
        ann.post(ACCOUNT, &form(&[("name", "Ann"), ("email", "other@example.org"), ("language", "")]));
    assert!(after(&mut ann, &answer).contains("Saved."), "another name needs no password");
    let none = [("name", "Ann"), ("email", ""), ("language", ""), ("currentPassword", PASSWORD)];
    let answer = ann.post(ACCOUNT, &form(&none));
    assert!(after(&mut ann, &answer).contains("Saved."));
    let now = me(&mut ann);
    assert!(now["profile"]["email"].is_null() && now["profile"]["locale"].is_null(), "{now}");
    let log = console.gateway.command(&["audit", "list", "--json"]);
    assert!(log.contains("Ann <b>Other</b>"), "{log}");
}

#[test]
fn a_mistake_is_said_at_its_field_and_nothing_typed_is_lost() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let before = me(&mut ann);
    for (name, email, mistake) in [
        ("", "new@example.org", "id=\"name-mistake\">1 to 100 characters"),
        (&*"x".repeat(101), "new@example.org", "id=\"name-mistake\">1 to 100 characters"),
        ("New <Name>", "no address", "id=\"email-mistake\">This is not an e-mail address."),
        ("New <Name>", "JANE@example.org", "id=\"email-mistake\">Somebody else has this address."),
    ] {
        let typed = [("name", name), ("email", email), ("language", "de"), ("currentPassword", PASSWORD)];
        let answer = ann.post(ACCOUNT, &form(&typed));
        let name = name.replace('<', "&#60;").replace('>', "&#62;");
        let kept = [format!("name=\"name\" value=\"{name}\""), format!("name=\"email\" value=\"{email}\"")];
        refused(&answer, &[mistake, &kept[0], &kept[1], "<option value=\"de\" selected>"]);
    }
    assert_eq!(me(&mut ann), before);
    // Whom the file declares is changed there.
    let mut jane = console.signed_in("jane");
    assert!(
        page(&jane.get(ACCOUNT)).contains("The configuration file of the gateway declares this account.")
    );
    let answer = jane.post(ACCOUNT, &form(&[("name", "Janet"), ("email", "jane@example.org")]));
    refused(&answer, &["The configuration file of the gateway declares this account."]);
    assert_eq!(me(&mut jane)["name"], "Jane");
}

#[test]
fn what_was_typed_outlives_the_session() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    ann.cookie = None;
    let answer = ann.post(ACCOUNT, &form(&[("name", "Ann Late"), ("email", "ann@example.org")]));
    let login = own(&answer);
    let query = login.split_once('?').unwrap().1;
    let answer = ann.log_in(query, "ann", PASSWORD);
    let resumed = page(&ann.get(&own(&answer)));
    assert!(resumed.contains("name=\"name\" value=\"Ann Late\""), "{resumed}");
    let answer = ann
        .post(ACCOUNT, &form(&[("name", &hidden(&resumed, "name")), ("email", &hidden(&resumed, "email"))]));
    after(&mut ann, &answer);
    assert_eq!(me(&mut ann)["name"], "Ann Late");
}

#[test]
fn an_address_is_confirmed_by_a_letter() {
    let smtp = Smtp::start();
    let console = Console::with(|setup| smtp.configure(setup));
    let mut ann = signed_in(&console, "ann");
    let answer = ann.post(
        ACCOUNT,
        &form(&[("name", "Ann"), ("email", "new@example.org"), ("currentPassword", PASSWORD)]),
    );
    assert!(after(&mut ann, &answer).contains("Send a link that confirms it"));
    let letters = [smtp.next(), smtp.next()];
    assert!(
        letters.iter().any(|letter| letter.to.contains("ann@example.org")),
        "the old address hears of it"
    );
    let answer = ann.post("/hub/account/confirm-address", "");
    assert!(page(&answer).contains("A letter is on its way to new@example.org."));
    let letter = smtp.next();
    assert!(letter.to.contains("new@example.org"));
    let answer = Browser::new(&console.gateway).post(&letter.path(), "");
    assert!([200, 303].contains(&answer.status), "{}", answer.text());
    assert_eq!(me(&mut ann)["profile"]["email"]["verified"], true);
    let answer = ann.post("/hub/account/confirm-address", "");
    assert_eq!(own(&answer), ACCOUNT, "there is nothing left to confirm");
    smtp.is_quiet();
}

#[test]
fn a_new_password_ends_the_other_sessions_and_keeps_this_one() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let mut elsewhere = console.signed_in("ann");
    let password = "another horse battery";
    let fields = |old: &str, new: &str, again: &str| {
        form(&[("oldPassword", old), ("newPassword", new), ("newPasswordAgain", again)])
    };
    let to = "/hub/account/security/password";
    for (old, new, again, mistake) in [
        ("wrong", password, password, "id=\"oldPassword-mistake\">This is not your password."),
        ("", password, password, "id=\"oldPassword-mistake\">This is needed."),
        (PASSWORD, "short", "short", "id=\"newPassword-mistake\">It has fewer than 12"),
        (PASSWORD, password, "something else", "id=\"newPasswordAgain-mistake\">The two are not"),
        (PASSWORD, PASSWORD, PASSWORD, "id=\"newPassword-mistake\">This is the password that you have."),
        (PASSWORD, &"x".repeat(1025), &"x".repeat(1025), "id=\"newPassword-mistake\">"),
    ] {
        let text = refused(&ann.post(to, &fields(old, new, again)), &[mistake]);
        assert!(!text.contains("value=\"another") && !text.contains(PASSWORD), "a password is not shown");
    }
    assert_eq!(elsewhere.get(ACCOUNT).status, 200);
    let before = ann.cookie.clone();
    let answer = ann.post(to, &fields(PASSWORD, password, password));
    assert!(after(&mut ann, &answer).contains("Saved."));
    assert!(ann.cookie.is_some() && ann.cookie != before, "another cookie");
    assert_eq!(elsewhere.get(ACCOUNT).status, 303, "signed out");
    let mut old = Browser::new(&console.gateway);
    old.cookie = before;
    assert_eq!(old.get(ACCOUNT).status, 303, "the cookie from before opens nothing");
    assert!(
        own(&Browser::new(&console.gateway).log_in("", "ann", PASSWORD)).contains("hub-auth-credentials-bad")
    );
    assert_eq!(own(&Browser::new(&console.gateway).log_in("", "ann", password)), "/hub/");
    let lines = console.gateway.lines();
    assert!(!lines.contains(password) && !lines.contains(PASSWORD), "{lines}");
    // The file gives jane's.
    let answer = console.signed_in("jane").post(to, &fields(PASSWORD, password, password));
    refused(&answer, &["The configuration file of the gateway declares this account."]);
}

#[test]
fn the_old_password_is_not_guessed_here() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let body = form(&[
        ("oldPassword", "wrong"),
        ("newPassword", "another horse battery"),
        ("newPasswordAgain", "another horse battery"),
    ]);
    let mut tries = 0;
    loop {
        let text = ann.post("/hub/account/security/password", &body).text();
        if text.contains("Too many attempts. Try again in") {
            break;
        }
        tries += 1;
        assert!(tries < 50 && text.contains("This is not your password."), "{text}");
    }
    assert!(tries >= 3);
}

/// Signs in on another browser, which names itself.
fn signed_in_with(console: &Console, login: &str, agent: &str) -> String {
    let body = form(&[("username", login), ("password", PASSWORD)]);
    let request = Request::form("/hub/api/rest/oauth2/interactive/login", &body).header("User-Agent", agent);
    let answer = console.gateway.send(&request);
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// The ids in the addresses of forms: what stands between `before` and `after`.
fn ids(page: &str, before: &str, after: &str) -> Vec<String> {
    let parts = page.split(before).skip(1).filter_map(|rest| rest.split_once(after));
    parts.map(|(id, _)| id.to_owned()).filter(|id| !id.contains(['"', '/'])).collect()
}

#[test]
fn sessions_are_seen_and_ended() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0";
    let others: Vec<String> =
        [firefox, "<script>alert(1)</script>"].map(|agent| signed_in_with(&console, "ann", agent)).into();
    let works = |cookie: &str| {
        let mut browser = Browser::new(&console.gateway);
        browser.cookie = Some(cookie.to_owned());
        browser.get(ACCOUNT).status == 200
    };
    let shown = page(&ann.get(SESSIONS));
    assert!(shown.contains("Firefox on Linux") && shown.contains("Unknown device"), "{shown}");
    assert!(!shown.contains("<script>alert"), "{shown}");
    assert_eq!(shown.matches("This browser").count(), 1);
    let listed = ids(&shown, "/account/sessions/", "/end\"");
    assert_eq!(listed.len(), 2, "one's own session is ended by signing out: {shown}");
    // Another's are not found.
    let mut joe = console.signed_in("joe");
    assert_eq!(joe.post(&format!("{SESSIONS}/{}/end", listed[0]), "").status, 404);
    assert!(others.iter().all(|cookie| works(cookie)));
    assert_eq!(ann.post(&format!("{SESSIONS}/nothing/end"), "").status, 404);
    let answer = ann.post(&format!("{SESSIONS}/{}/end", listed[0]), "");
    assert!(after(&mut ann, &answer).contains("Done."));
    assert_eq!(others.iter().filter(|cookie| works(cookie)).count(), 1);
    let answer = ann.post(&format!("{SESSIONS}/end-others"), "");
    let shown = after(&mut ann, &answer);
    assert!(shown.contains("This browser") && !shown.contains("End all other sessions"), "{shown}");
    assert!(!others.iter().any(|cookie| works(cookie)));
    assert_eq!(joe.get(ACCOUNT).status, 200);
}

#[test]
fn what_services_may_do_is_seen_and_taken_back() {
    let console = Console::with(|setup| {
        setup.service_with(
            "asking",
            "secret = \"app-secret-0123456789\"\nconsent_required = true\nredirect_uris = [\"https://app.example/cb\"]",
        );
    });
    let mut ann = signed_in(&console, "ann");
    let empty = page(&ann.get(AUTHORIZED));
    assert!(empty.contains("No service has one."), "{empty}");
    let query = form(&[
        ("client_id", "asking"),
        ("redirect_uri", "https://app.example/cb"),
        ("response_type", "code"),
        ("scope", "alpha openid email"),
        ("access_type", "offline"),
    ]);
    let answer = ann.get(&format!("{AUTH}?{query}"));
    let consent = own(&answer);
    let ticket = hidden(&ann.get(&consent).text(), "ticket");
    let answer = ann.post(&consent, &form(&[("ticket", &ticket), ("decision", "allow")]));
    let answer = ann.get(&own(&answer));
    let code = parameter(&brought(&answer, "https://app.example/cb"), "code").to_owned();
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", "https://app.example/cb"),
    ]);
    let tokens =
        console.gateway.send(&Request::form(TOKEN, &body).basic("asking", "app-secret-0123456789")).json();
    let refresh = tokens["refresh_token"].as_str().expect("a refresh token").to_owned();
    let redeem = || {
        let body = form(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
        console.gateway.send(&Request::form(TOKEN, &body).basic("asking", "app-secret-0123456789"))
    };
    let shown = page(&ann.get(AUTHORIZED));
    for text in
        ["asking by name", "Use alpha by name as you", "See your e-mail address", "Act while you are away"]
    {
        assert!(shown.contains(text), "{text} not in {shown}");
    }
    let listed = ids(&shown, "/account/authorized/", "/revoke\"");
    assert_eq!(listed.len(), 2, "a consent and a refresh token: {shown}");
    let mut joe = console.signed_in("joe");
    for id in &listed {
        assert_eq!(joe.post(&format!("{AUTHORIZED}/{id}/revoke"), "").status, 404, "another's");
        assert_eq!(ann.post(&format!("{TOKENS}/{id}/revoke"), "").status, 404, "of another kind");
    }
    let access = tokens["access_token"].as_str().unwrap();
    let call = || console.gateway.send(&Request::get("/api/x").bearer(access)).status;
    assert_eq!(call(), 200);
    let answer = ann.post(&format!("{AUTHORIZED}/{}/revoke", listed[1]), "");
    assert!(after(&mut ann, &answer).contains("Revoked."));
    assert_eq!(call(), 401);
    assert_eq!(redeem().error(), "invalid_grant");
    let answer = ann.post(&format!("{AUTHORIZED}/{}/revoke", listed[0]), "");
    let shown = after(&mut ann, &answer);
    assert!(!shown.contains("asking by name"), "{shown}");
    assert!(own(&ann.get(&format!("{AUTH}?{query}"))).starts_with("/hub/auth/consent"), "asked again");
}

#[test]
fn tokens_are_made_shown_once_and_revoked() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let shown = page(&ann.get(TOKENS));
    let once = hidden(&shown, "once");
    for (fields, mistake) in [
        (form(&[("tokenName", "night <ly>"), ("once", &once)]), "Choose at least one service."),
        (
            form(&[("tokenName", "night <ly>"), ("scope", "nobody"), ("once", &once)]),
            "Choose at least one service.",
        ),
        (form(&[("tokenName", " "), ("scope", "alpha"), ("once", &once)]), "id=\"tokenName-mistake\">"),
    ] {
        let text = refused(&ann.post(TOKENS, &fields), &[mistake, "<details class=\"card\" open>"]);
        assert!(text.contains("night &#60;ly&#62;") || text.contains("value=\"alpha\" checked"), "{text}");
    }
    let fields = form(&[("tokenName", "nightly"), ("scope", "alpha"), ("scope", "beta"), ("once", &once)]);
    let made = page(&ann.post(TOKENS, &fields));
    let token = made.split("id=\"made\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(token.starts_with("perm:"), "{token}");
    // A button that was pressed twice has made one.
    let twice = page(&ann.post(TOKENS, &fields));
    assert!(twice.contains(&token), "{twice}");
    let call = |token: &str| console.gateway.send(&Request::get("/api/x").bearer(token)).status;
    assert_eq!(call(&token), 200, "it is good with the answer");
    let listed = page(&ann.get(TOKENS));
    assert!(!listed.contains(&token) && listed.contains("alpha by name, beta by name"), "{listed}");
    let found = ids(&listed, "/account/tokens/", "/revoke\"");
    assert_eq!(found.len(), 1, "{listed}");
    let mut joe = console.signed_in("joe");
    assert_eq!(joe.post(&format!("{TOKENS}/{}/revoke", found[0]), "").status, 404);
    assert_eq!(call(&token), 200);
    let answer = ann.post(&format!("{TOKENS}/{}/revoke", found[0]), "");
    assert!(after(&mut ann, &answer).contains("Revoked."));
    assert_eq!(call(&token), 401);
    assert_eq!(ann.post(&format!("{TOKENS}/{}/revoke", found[0]), "").status, 404);
}

#[test]
fn application_passwords_are_made_used_and_revoked() {
    let console = Console::start();
    let mut ann = signed_in(&console, "ann");
    let to = "/hub/account/tokens/passwords";
    refused(&ann.post(to, "appName="), &["id=\"appName-mistake\">"]);
    let made = page(&ann.post(to, &form(&[("appName", "mail"), ("once", "x1")])));
    let password = made.split("id=\"made\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let call = || console.gateway.send(&Request::get(ME).basic("ann", &password)).status;
    assert_eq!(call(), 200, "it is good with the answer");
    eventually("its use is noted", || {
        let shown = page(&ann.get(TOKENS));
        assert!(!shown.contains(&password));
        shown.contains("from 127.0.0.1")
    });
    let found = ids(&page(&ann.get(TOKENS)), "/account/tokens/", "/revoke\"");
    let answer = ann.post(&format!("{TOKENS}/{}/revoke", found[0]), "");
    assert!(after(&mut ann, &answer).contains("Revoked."));
    assert_eq!(call(), 401);
}
