//! How it all ends: sign-out, bans, revocations (threats O15, O16, O20, T19, T20; the next request with any token that came
//! of it is refused).

use std::time::Duration;

use super::{CB, PASSWORD, ask, call, code, configure, exchange, refresh, start, tokens};
use crate::support::{
    Gateway, Request, Upstream,
    browser::{Browser, LOGIN, brought, form, own, parameter},
    gateway::eventually,
};

const LOGOUT: &str = "/hub/api/rest/oauth2/logout";

/// A browser in which somebody is signed in, an access token and a refresh token that came of it.
fn signed_in<'g>(gateway: &'g Gateway, login: &str) -> (Browser<'g>, String, String) {
    let mut browser = Browser::new(gateway);
    let answer = browser.sign_in(&ask("app", "&scope=alpha&access_type=offline"), login, PASSWORD);
    let (access, refresh_token) = tokens(&exchange(gateway, "app", parameter(&brought(&answer, CB), "code")));
    assert_eq!(call(gateway, &access), 200);
    (browser, access, refresh_token.unwrap())
}

fn assert_over(gateway: &Gateway, access: &str, token: &str, why: &str) {
    assert_eq!(call(gateway, access), 401, "{why}");
    assert_eq!(refresh(gateway, "app", token, "").error(), "invalid_grant", "{why}");
}

#[test]
fn signing_in_makes_a_new_session_and_refuses_like_a_wall() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let wrong = browser.log_in(&ask("app", ""), "jane", "wrong");
    assert_eq!(wrong.status, 303);
    assert!(own(&wrong).contains("hub-auth-credentials-bad"), "{}", own(&wrong));
    assert_eq!(browser.cookie, None);
    let page = browser.get(&own(&wrong));
    assert!(page.text().contains("Login or password is wrong") && page.text().contains("role=\"alert\""));
    for unknown in ["nobody", "guest"] {
        let answer = browser.log_in(&ask("app", ""), unknown, "wrong");
        assert_eq!(own(&answer), own(&wrong), "{unknown}");
    }
    // A planted cookie is worth nothing, and every sign-in makes another.
    browser.cookie = Some(format!("__Host-hubgate=hgs_{}", "A".repeat(43)));
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    let first = browser.cookie.clone().unwrap();
    assert!(!first.contains("AAAA"));
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    assert_ne!(browser.cookie, Some(first.clone()));
    let mut before = Browser::new(&gateway);
    before.cookie = Some(first);
    assert!(
        own(&before.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"),
        "the one before is gone"
    );
    // Remembered: the cookie outlives the browser.
    let body = form(&[("username", "jane"), ("password", PASSWORD), ("rememberMe", "on")]);
    let answer = browser.post(&format!("{LOGIN}?{}", ask("app", "")), &body);
    assert!(answer.header("set-cookie").unwrap().contains("; Max-Age=2592000"));
}

#[test]
fn another_sites_page_cannot_sign_anybody_in() {
    let (gateway, _upstream) = start();
    let body = form(&[("username", "jane"), ("password", PASSWORD)]);
    let target = format!("{LOGIN}?{}", ask("app", ""));
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = gateway.send(&Request::form(&target, &body).header(name, value));
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    // A script with a cookie jar sends neither header.
    assert_eq!(gateway.send(&Request::form(&target, &body)).status, 303);
}

#[test]
fn signing_out_ends_what_came_of_the_session() {
    let (gateway, _upstream) = start();
    let (mut browser, access, token) = signed_in(&gateway, "jane");
    let (_, others, _) = signed_in(&gateway, "jane");
    let answer = browser.get(&format!("{LOGOUT}?client_id=app&state=x%26y"));
    assert_eq!(answer.header("location"), Some("https://app.example/?state=x%26y"));
    assert_eq!(browser.cookie, None);
    assert_over(&gateway, &access, &token, "signed out");
    assert_eq!(call(&gateway, &others), 200, "another browser's session goes on");
    assert!(own(&browser.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"));
    // Without a session it goes the same way.
    let uri = form(&[("client_id", "app"), ("post_logout_redirect_uri", CB)]);
    assert_eq!(browser.get(&format!("{LOGOUT}?{uri}")).header("location"), Some(CB));
    assert_eq!(browser.get(LOGOUT).status, 200);
}

#[test]
fn signing_out_leads_nowhere_else() {
    let (gateway, _upstream) = start();
    let (mut browser, access, _) = signed_in(&gateway, "jane");
    for query in [
        form(&[("client_id", "app"), ("post_logout_redirect_uri", "https://evil.example/")]),
        form(&[("client_id", "nobody")]),
        "client_id=app&client_id=app".to_owned(),
    ] {
        let answer = browser.get(&format!("{LOGOUT}?{query}"));
        assert_eq!((answer.status, answer.header("location")), (400, None), "{query}");
    }
    assert_eq!(call(&gateway, &access), 200, "and does nothing");
    let answer = browser.get(&format!("{LOGOUT}?post_logout_redirect_uri=https%3A%2F%2Fevil.example"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (200, None),
        "without a client there is no address"
    );
    let evil = browser.send(Request::form(LOGOUT, "").header("Origin", "https://evil.example"));
    assert_eq!(evil.status, 403);
}

#[test]
fn another_person_on_the_same_browser_ends_the_first_session() {
    let (gateway, _upstream) = start();
    let (mut browser, access, token) = signed_in(&gateway, "jane");
    browser.sign_in(&ask("app", "&prompt=login"), "bob", PASSWORD);
    assert_over(&gateway, &access, &token, "bob has taken over");
    // The same person again ends nothing, and signing out then ends what came before as well.
    let (mut browser, access, token) = signed_in(&gateway, "jane");
    browser.sign_in(&ask("app", "&prompt=login"), "jane", PASSWORD);
    assert_eq!(call(&gateway, &access), 200);
    let (access, token) = {
        let (fresh, next) = tokens(&refresh(&gateway, "app", &token, ""));
        assert_eq!(call(&gateway, &fresh), 200);
        (access, next.unwrap())
    };
    browser.get(LOGOUT);
    assert_over(&gateway, &access, &token, "from before the person signed in again");
}

#[test]
fn a_ban_bites_at_once_and_lasts_over_a_restart() {
    let (mut gateway, _upstream) = start();
    let (mut browser, access, token) = signed_in(&gateway, "jane");
    gateway.command(&["user", "ban", "jane", "--reason", "left"]);
    eventually("the ban is known", || call(&gateway, &access) == 401);
    assert_over(&gateway, &access, &token, "banned");
    assert!(own(&browser.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"));
    assert!(own(&browser.log_in(&ask("app", ""), "jane", PASSWORD)).contains("hub-auth-credentials-bad"));
    gateway.restart();
    assert_over(&gateway, &access, &token, "banned");
    // Let in again, she begins anew; what was is over.
    gateway.command(&["user", "unban", "jane"]);
    let (_, fresh, _) = signed_in(&gateway, "jane");
    assert_eq!(call(&gateway, &fresh), 200);
    assert_over(&gateway, &access, &token, "from before the ban");
}

#[test]
fn a_removed_group_and_a_removed_user_are_gone_at_the_gate() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.route(
            "alpha",
            "/team",
            &upstream,
            "[[upstream.rule]]\npath = \"/team/**\"\ngroups = [\"writers\"]",
        );
    });
    gateway.command(&["group", "add", "writers"]);
    gateway.command(&["user", "add", "ann", "--name", "Ann", "--password-file", &password_file(&gateway)]);
    gateway.command(&["group", "members", "writers", "--add", "ann"]);
    let (_, access, token) = signed_in(&gateway, "ann");
    let team = || gateway.send(&Request::get("/team/x").bearer(&access)).status;
    eventually("ann is a writer", || team() == 200);
    gateway.command(&["group", "members", "writers", "--remove", "ann"]);
    eventually("ann is none any more", || team() == 403);
    gateway.command(&["user", "remove", "ann"]);
    eventually("ann is gone", || call(&gateway, &access) == 401);
    assert_over(&gateway, &access, &token, "removed");
}

fn password_file(gateway: &Gateway) -> String {
    let path = gateway.folder().join("password");
    std::fs::write(&path, PASSWORD).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn sessions_end_by_themselves() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("sessions", "idle", "\"1h\"").set("sessions", "life", "\"3h\"");
        clock = Some(setup.manual_clock());
    });
    let clock = clock.unwrap();
    let mut browser = Browser::new(&gateway);
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    for minutes in [50, 50, 50] {
        clock.advance(Duration::from_secs(minutes * 60));
        parameter(&brought(&browser.authorize(&ask("app", "")), CB), "code");
    }
    clock.advance(Duration::from_secs(31 * 60));
    assert!(own(&browser.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"), "at most three hours");
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    let granted = code(&gateway, "app", "&scope=alpha&access_type=offline");
    let (_, token) = tokens(&exchange(&gateway, "app", &granted));
    clock.advance(Duration::from_secs(61 * 60));
    assert!(own(&browser.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"), "idle for an hour");
    // Who is merely away has not signed out.
    let (access, _) = tokens(&refresh(&gateway, "app", &token.unwrap(), ""));
    assert_eq!(call(&gateway, &access), 200);
}

#[test]
fn a_one_time_password_is_exchanged_before_anything_else() {
    let (gateway, _upstream) = start();
    let made = gateway.command(&["user", "add", "ann", "--name", "Ann", "--generate", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let once = made["password"].as_str().unwrap();
    let mut browser = Browser::new(&gateway);
    let answer = browser.sign_in(&ask("app", "&scope=alpha"), "ann", once);
    let to_password = own(&answer);
    assert!(to_password.starts_with("/hub/auth/password?"), "{to_password}");
    assert!(browser.get(&to_password).text().contains("newPasswordAgain"));
    for (new, again) in [("short", "short"), (once, once), ("a new long password", "another long password")] {
        let body = form(&[("newPassword", new), ("newPasswordAgain", again)]);
        let answer = browser.post(&to_password, &body);
        assert_eq!(answer.status, 422, "{new}");
        assert!(answer.text().contains("role=\"alert\""), "{new}: {}", answer.text());
    }
    let body = form(&[("newPassword", "a new long password"), ("newPasswordAgain", "a new long password")]);
    let evil = browser.send(Request::form(&to_password, &body).header("Origin", "https://evil.example"));
    assert_eq!(evil.status, 403);
    let changed = browser.post(&to_password, &body);
    assert_eq!(changed.status, 303, "{}", changed.text());
    let answered = browser.get(&own(&changed));
    let (access, _) = tokens(&exchange(&gateway, "app", parameter(&brought(&answered, CB), "code")));
    assert_eq!(call(&gateway, &access), 200);
    assert!(
        own(&Browser::new(&gateway).log_in(&ask("app", ""), "ann", once))
            .contains("hub-auth-credentials-bad")
    );
}

#[test]
fn a_client_revokes_what_it_holds() {
    let (gateway, _upstream) = start();
    let (_, access, token) = signed_in(&gateway, "jane");
    let revoke = |client: &str, token: &str| {
        let request = Request::form("/hub/api/rest/oauth2/revoke", &form(&[("token", token)]));
        gateway.send(&request.basic(client, super::APP_SECRET)).status
    };
    assert_eq!(revoke("other", &access), 200);
    assert_eq!(call(&gateway, &access), 200, "another client cannot");
    assert_eq!(revoke("app", &token), 200);
    assert_over(&gateway, &access, &token, "the family is revoked");
    let single = tokens(&exchange(&gateway, "app", &code(&gateway, "app", "&scope=alpha"))).0;
    assert_eq!(revoke("app", &single), 200);
    assert_eq!(call(&gateway, &single), 401);
    assert_eq!(revoke("app", "nothing"), 200);
}

#[test]
fn an_administrator_takes_back_one_thing_at_a_time() {
    let (gateway, _upstream) = start();
    let (_, access, token) = signed_in(&gateway, "jane");
    let (_, bystander, _) = signed_in(&gateway, "jane");
    let list = || -> serde_json::Value {
        serde_json::from_str(&gateway.command(&["token", "list", "--user", "jane", "--json"])).unwrap()
    };
    let claim =
        |token: &str, name: &str| crate::support::forge::decode(token).1[name].as_str().unwrap().to_owned();
    let held = list();
    assert_eq!(
        (held["sessions"].as_array().unwrap().len(), held["grants"].as_array().unwrap().len()),
        (2, 2)
    );
    assert!(gateway.command(&["token", "list", "--user", "jane"]).contains(&claim(&access, "grant_id")));
    let wrong = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        gateway.command(&["token", "revoke", &claim(&access, "grant_id"), "--user", "bob"])
    }));
    assert!(wrong.is_err(), "it is not bob's");
    // A family.
    gateway.command(&["token", "revoke", &claim(&access, "grant_id"), "--user", "jane"]);
    eventually("the family is revoked", || call(&gateway, &access) == 401);
    assert_over(&gateway, &access, &token, "the family is revoked");
    assert_eq!(call(&gateway, &bystander), 200);
    // A session.
    gateway.command(&["token", "revoke", &claim(&bystander, "sid"), "--user", "jane"]);
    eventually("the session is over", || call(&gateway, &bystander) == 401);
    // A consent: asked again, and what was obtained under it is dead.
    let mut browser = Browser::new(&gateway);
    let to_consent = own(&browser.sign_in(&ask("asking", "&scope=alpha"), "jane", PASSWORD));
    let ticket = crate::support::browser::hidden(&browser.get(&to_consent).text(), "ticket");
    let allowed = browser.post(&to_consent, &form(&[("ticket", &ticket), ("decision", "allow")]));
    let answered = browser.get(&own(&allowed));
    let (access, _) = tokens(&exchange(&gateway, "asking", parameter(&brought(&answered, CB), "code")));
    assert_eq!(call(&gateway, &access), 200);
    let consent = list()["consents"][0]["id"].as_str().unwrap().to_owned();
    gateway.command(&["token", "revoke", &consent, "--user", "jane"]);
    eventually("the consent is taken back", || call(&gateway, &access) == 401);
    assert!(own(&browser.authorize(&ask("asking", "&scope=alpha"))).starts_with("/hub/auth/consent?"));
}
