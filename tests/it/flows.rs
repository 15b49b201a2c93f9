//! The flows as people and their clients go through them: sign in, be asked, get a code or a token, use it, lose it
//! (hub-contract sections 0-6, threats A5 and A6).

mod attacks;
mod audit;
mod authorize;
mod code;
mod consent;
mod ending;
mod logs;
mod password;
mod races;
mod real_clients;
mod refresh;
mod second_step;

pub(crate) use self::second_step::from_base32;
use crate::support::{
    Answer, Gateway, Request, Upstream,
    browser::{Browser, brought, form, parameter},
    gateway::{Setup, TOKEN},
};

const PASSWORD: &str = "correct horse battery";
const APP_SECRET: &str = "app-secret-0123456789";
const CB: &str = "https://app.example/cb";

/// `app` asks nobody, `asking` does, `phone` is public, `kiosk` keeps its refresh token; `alpha` is behind `/api`.
fn configure(setup: &mut Setup, upstream: &Upstream) {
    let app = |more: &str| {
        format!(
            "secret = \"{APP_SECRET}\"\nhome_url = \"https://app.example/\"\nredirect_uris = [\"{CB}\"]\n{more}"
        )
    };
    setup
        .service_with("app", &app("consent_required = false"))
        .service_with("asking", &app("consent_required = true"))
        .service_with("kiosk", &app("consent_required = false\nrotate = false"))
        .service_with("other", &app("consent_required = false"))
        .service_with(
            "phone",
            "public = true\nconsent_required = false\nredirect_uris = [\"phone://cb\", \"http://127.0.0.1/cb\"]",
        )
        .service("alpha", "alpha-secret-0123456789")
        .service("beta", "beta-secret-0123456789")
        .route("alpha", "/api", upstream, "")
        .route("beta", "/beta", upstream, "")
        .user("jane", &format!("name = \"Jane Doe\"\nemail = \"Jane@example.org\"\npassword = \"{PASSWORD}\"\ngroups = [\"developers\"]"))
        .user("bob", &format!("name = \"Bob\"\npassword = \"{PASSWORD}\""))
        .set("limits", "rejections_per_source", "\"off\"");
}

fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| configure(setup, &upstream));
    (gateway, upstream)
}

/// An authorization request of `client` for a code.
fn ask(client: &str, more: &str) -> String {
    format!(
        "{}{more}",
        form(&[("client_id", client), ("redirect_uri", CB), ("response_type", "code"), ("state", "s&1")])
    )
}

/// A code for `client` in the name of jane.
fn code(gateway: &Gateway, client: &str, more: &str) -> String {
    let answer = Browser::new(gateway).sign_in(&ask(client, more), "jane", PASSWORD);
    parameter(&brought(&answer, CB), "code").to_owned()
}

/// Exchanges a code as `client`.
fn exchange(gateway: &Gateway, client: &str, code: &str) -> Answer {
    let body = form(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CB)]);
    gateway.send(&Request::form(TOKEN, &body).basic(client, APP_SECRET))
}

/// Uses a refresh token as `client`.
fn refresh(gateway: &Gateway, client: &str, token: &str, more: &str) -> Answer {
    let body = format!("{}{more}", form(&[("grant_type", "refresh_token"), ("refresh_token", token)]));
    gateway.send(&Request::form(TOKEN, &body).basic(client, APP_SECRET))
}

/// The tokens of an answer: access and, if any, refresh.
fn tokens(answer: &Answer) -> (String, Option<String>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    (text("access_token").expect("an access token"), text("refresh_token"))
}

/// The status of a request to `alpha`'s route with a token.
fn call(gateway: &Gateway, token: &str) -> u16 {
    gateway.send(&Request::get("/api/x").bearer(token)).status
}
