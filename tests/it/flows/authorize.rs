//! The authorization endpoint (hub-contract section 2; threats O1 to O9).

use super::{APP_SECRET, CB, PASSWORD, ask, call, start};
use crate::support::{
    Gateway, Request, Upstream,
    browser::{AUTH, Browser, brought, form, own, parameter},
    forge,
    gateway::{PUBLIC_URL, eventually},
};

fn implicit(client: &str, more: &str) -> String {
    let query =
        [("client_id", client), ("redirect_uri", CB), ("response_type", "token"), ("state", "a;b+c&d")];
    format!("{}{more}", form(&query))
}

#[test]
fn the_implicit_flow_answers_in_the_fragment() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let query = implicit("app", "&scope=alpha+0-0-0-0-0&request_credentials=default&rnd=0.5");
    let answer = browser.sign_in(&query, "jane", PASSWORD);
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(&format!("{CB}#access_token=")), "{location}");
    assert!(location.contains("&scope=alpha+0-0-0-0-0&") && !location.contains(';'), "{location}");
    let parameters = brought(&answer, CB);
    assert_eq!(parameter(&parameters, "token_type"), "Bearer");
    assert_eq!(parameter(&parameters, "expires_in"), "3600");
    assert_eq!(parameter(&parameters, "state"), "a;b+c&d");
    assert!(!parameters.iter().any(|(name, _)| name == "refresh_token" || name == "code"));
    assert_eq!(call(&gateway, parameter(&parameters, "access_token")), 200);
    let both = form(&[
        ("client_id", "app"),
        ("redirect_uri", CB),
        ("response_type", "id_token token"),
        ("scope", "openid alpha"),
        ("nonce", "n"),
    ]);
    let parameters = brought(&browser.authorize(&both), CB);
    let claims = forge::decode(parameter(&parameters, "id_token")).1;
    assert!(claims["at_hash"].is_string() && claims["nonce"] == "n", "{claims}");
    let hybrid = brought(&browser.authorize(&both.replace("id_token+token", "code+id_token")), CB);
    assert!(forge::decode(parameter(&hybrid, "id_token")).1["c_hash"].is_string());
    assert!(parameter(&hybrid, "code").starts_with("hgc_"));
}

#[test]
fn what_cannot_be_trusted_gets_a_page_and_never_a_redirect() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    for query in [
        "",
        "response_type=code",
        "client_id=nobody&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code",
        "client_id=app&response_type=code",
        "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%2F&response_type=code",
        "client_id=app&redirect_uri=https%3A%2F%2Fevil.example%2Fcb&response_type=token",
        "client_id=app&redirect_uri=javascript%3Aalert(1)&response_type=code",
        "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code",
        "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code&state=a&state=a",
        "client_id=alpha&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code",
        "client_id=app&redirect_uri=%3Cscript%3Ealert(1)%3C%2Fscript%3E&response_type=code",
    ] {
        let answer = browser.authorize(query);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert_eq!(answer.header("location"), None, "{query}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{query}");
        assert!(
            answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"),
            "{query}"
        );
        assert!(!answer.text().contains("<script>alert"), "{query}");
        assert!(answer.text().contains(answer.header("x-request-id").unwrap()), "{query}");
    }
    // The rejected address is noted for the administrator.
    let shown = gateway.command(&["service", "show", "app", "--json"]);
    assert!(shown.contains("https://evil.example/cb"), "{shown}");
    assert!(!shown.contains("javascript"), "{shown}");
}

#[test]
fn later_refusals_go_to_the_client() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    for (query, fragment, error) in [
        (implicit("app", "&scope=nobody"), true, "invalid_scope"),
        (implicit("app", "&response_mode=query"), true, "invalid_request"),
        (ask("app", "&scope=nobody"), false, "invalid_scope"),
        (ask("app", "&access_type=never"), false, "invalid_request"),
        (ask("app", "").replace("=code", "=magic"), false, "unsupported_response_type"),
        (ask("app", "&request_credentials=silent"), false, "access_denied"),
        (ask("app", "&request_credentials=silent&scope=openid"), false, "login_required"),
        (ask("app", "&prompt=none&scope=openid"), false, "login_required"),
    ] {
        let answer = browser.authorize(&query);
        let parameters = brought(&answer, CB);
        assert_eq!(answer.header("location").unwrap().contains('#'), fragment, "{query}");
        assert_eq!(parameter(&parameters, "error"), error, "{query}");
        assert!(!parameter(&parameters, "error_description").is_empty());
        assert_eq!(parameter(&parameters, "error_uri"), format!("{PUBLIC_URL}/hub/errors/{error}"));
        assert!(["s&1", "a;b+c&d"].contains(&parameter(&parameters, "state")));
        assert_eq!(parameter(&parameters, "iss"), format!("{PUBLIC_URL}/hub"));
        let page = gateway.send(&Request::get(&format!("/hub/errors/{error}")));
        assert_eq!(page.status, 200, "{error} has a page");
    }
}

#[test]
fn requests_for_credentials_follow_the_table() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    for mode in ["default", "skip", "required"] {
        let answer = browser.authorize(&implicit("app", &format!("&request_credentials={mode}")));
        assert!(own(&answer).starts_with("/hub/auth/login?"), "{mode}");
    }
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    let mut held = Vec::new();
    for mode in ["default", "skip", "silent"] {
        let answer = browser.authorize(&implicit("app", &format!("&request_credentials={mode}&scope=alpha")));
        held.push(parameter(&brought(&answer, CB), "access_token").to_owned());
        assert_eq!(call(&gateway, held.last().unwrap()), 200, "{mode}");
    }
    // `required` is how clients sign a person out.
    let answer = browser.authorize(&implicit("app", "&request_credentials=required"));
    assert!(own(&answer).starts_with("/hub/auth/login?"));
    assert_eq!(browser.cookie, None);
    for token in &held {
        assert_eq!(call(&gateway, token), 401, "what came of the session has ended with it");
    }
    // Signing in answers the same request; it does not ask for a sign-in for ever.
    let answer = browser.sign_in(
        &implicit("app", "&request_credentials=required&prompt=login&max_age=0"),
        "jane",
        PASSWORD,
    );
    parameter(&brought(&answer, CB), "access_token");
    let answer = browser.authorize(&implicit("app", "&request_credentials=silent_logout"));
    assert_eq!(answer.header("location").map(|l| l.starts_with(CB)), Some(true));
    assert_eq!(browser.cookie, None);
}

#[test]
fn the_guest_acts_while_it_is_not_banned() {
    let (gateway, _upstream) = start();
    let ask = |mode: &str| {
        Browser::new(&gateway)
            .authorize(&implicit("app", &format!("&scope=alpha&request_credentials={mode}")))
    };
    assert_eq!(parameter(&brought(&ask("silent"), CB), "error"), "access_denied", "banned at first");
    gateway.command(&["user", "unban", "guest"]);
    let token = parameter(&brought(&ask("silent"), CB), "access_token").to_owned();
    assert_eq!(parameter(&brought(&ask("skip"), CB), "token_type"), "Bearer");
    assert!(own(&ask("default")).starts_with("/hub/auth/login?"));
    eventually("the guest is let in", || call(&gateway, &token) == 200);
    // Whoever comes without signing in gets nothing that is kept for months.
    let query = super::ask("app", "&scope=alpha+offline_access&access_type=offline&request_credentials=skip");
    let code = brought(&Browser::new(&gateway).authorize(&query), CB);
    let answer = super::exchange(&gateway, "app", parameter(&code, "code"));
    assert_eq!((super::tokens(&answer).1, answer.json()["scope"].as_str()), (None, Some("alpha")));
    gateway.command(&["user", "ban", "guest"]);
    eventually("the guest is shut out", || call(&gateway, &token) == 401);
    assert!(own(&ask("skip")).starts_with("/hub/auth/login?"));
}

#[test]
fn the_profile_of_oauth_2_1_is_stricter() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.set("oauth", "profile", "\"oauth21\"");
        setup
            .service_with(
                "app",
                &format!("secret = {APP_SECRET:?}\nconsent_required = false\nredirect_uris = [\"{CB}\"]"),
            )
            .service("alpha", "alpha-secret-0123456789")
            .route("alpha", "/api", &upstream, "")
            .user("jane", &format!("name = \"Jane\"\npassword = {PASSWORD:?}"));
    });
    let mut browser = Browser::new(&gateway);
    let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    for (query, error) in [
        (implicit("app", ""), "unsupported_response_type"),
        (ask("app", ""), "invalid_request"),
        (ask("app", &challenge.replace("S256", "plain")), "invalid_request"),
        (ask("app", &format!("{challenge}&scope=alpha+nobody")), "invalid_scope"),
    ] {
        assert_eq!(parameter(&brought(&browser.authorize(&query), CB), "error"), error, "{query}");
    }
    let body =
        form(&[("grant_type", "password"), ("username", "jane"), ("password", PASSWORD), ("scope", "alpha")]);
    let answer = gateway.send(&Request::form(crate::support::gateway::TOKEN, &body).basic("app", APP_SECRET));
    assert_eq!(answer.error(), "unsupported_grant_type");
    let answer = browser.sign_in(&ask("app", challenge), "jane", PASSWORD);
    parameter(&brought(&answer, CB), "code");
}

#[test]
fn other_methods_are_refused() {
    let (gateway, _upstream) = start();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = gateway.send(&Request::new(method, AUTH));
        assert_eq!(answer.status, 405, "{method}");
    }
}
