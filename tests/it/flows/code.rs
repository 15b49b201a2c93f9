//! The authorization code flow (RFC 6749 section 4.1, RFC 7636; threats T1 to T4, T11, O7).

use std::{sync::Barrier, time::Duration};

use super::{APP_SECRET, CB, PASSWORD, ask, call, code, configure, exchange, refresh, start, tokens};
use crate::support::{
    Gateway, Request, Upstream,
    browser::{AUTH, Browser, brought, form, own, parameter},
    forge,
    gateway::{PUBLIC_URL, TOKEN},
};

#[test]
fn a_person_signs_in_and_the_client_acts_for_them() {
    let (gateway, upstream) = start();
    let mut browser = Browser::new(&gateway);
    let query = ask("app", "&scope=alpha+nobody+0-0-0-0-0&access_type=offline");
    let first = browser.authorize(&query);
    assert_eq!(first.status, 302, "{}", first.text());
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let login = own(&first);
    assert!(login.starts_with("/hub/auth/login?client_id=app&"), "{login}");
    let page = browser.get(&login);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("app by name"), "{}", page.text());
    let signed_in = browser.log_in(&query, "jane", PASSWORD);
    assert_eq!(signed_in.status, 303, "{}", signed_in.text());
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-hubgate=hgs_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    let answered = browser.get(&own(&signed_in));
    let parameters = brought(&answered, CB);
    assert_eq!(parameter(&parameters, "state"), "s&1");
    assert_eq!(parameter(&parameters, "iss"), format!("{PUBLIC_URL}/hub"));
    assert!(!answered.header("location").unwrap().contains('#'));
    let exchanged = exchange(&gateway, "app", parameter(&parameters, "code"));
    let (access, refresh_token) = tokens(&exchanged);
    let body = exchanged.json();
    assert_eq!(body["scope"], "alpha 0-0-0-0-0", "what is unknown is dropped, the rest spelled as asked for");
    assert!(refresh_token.is_some_and(|token| token.starts_with("hgr_")));
    assert!(body.get("id_token").is_none());
    let claims = forge::decode(&access).1;
    assert_eq!(claims["aud"], serde_json::json!(["alpha", "0-0-0-0-0"]));
    assert_eq!(claims["client_id"], "app");
    assert_ne!(claims["sub"], "app");
    assert!(claims["sid"].is_string() && claims["grant_id"].is_string(), "{claims}");

    let forged = Request::get("/api/x")
        .bearer(&access)
        .header("X-Forwarded-User", "root")
        .header("X-Forwarded-Groups", "administrators")
        .header("Cookie", browser.cookie.as_ref().unwrap());
    let seen = gateway.send(&forged).json()["headers"].clone();
    assert_eq!(seen["x-forwarded-user"], claims["sub"]);
    assert_eq!(seen["x-forwarded-preferred-username"], "jane");
    assert_eq!(seen["x-forwarded-email"], "Jane@example.org");
    assert_eq!(seen["x-forwarded-groups"], "developers");
    assert_eq!(seen["x-forwarded-client"], "app");
    assert!(seen.get("cookie").is_none(), "{seen}");
    assert_eq!(gateway.send(&Request::get("/beta/x").bearer(&access)).status, 403);
    drop(upstream);

    // The browser is signed in: the next request is answered at once.
    let again = browser.authorize(&ask("app", "&scope=alpha"));
    let (_, none) = tokens(&exchange(&gateway, "app", parameter(&brought(&again, CB), "code")));
    assert_eq!(none, None, "online access has no refresh token");
}

#[test]
fn a_code_is_good_once_and_a_second_use_ends_what_came_of_the_first() {
    let (gateway, _upstream) = start();
    let code = code(&gateway, "app", "&scope=alpha&access_type=offline");
    let (access, refresh_token) = tokens(&exchange(&gateway, "app", &code));
    let refresh_token = refresh_token.unwrap();
    assert_eq!(call(&gateway, &access), 200);
    let replay = exchange(&gateway, "app", &code);
    assert_eq!((replay.status, replay.error().as_str()), (400, "invalid_grant"));
    assert_eq!(call(&gateway, &access), 401, "at once");
    assert_eq!(refresh(&gateway, "app", &refresh_token, "").error(), "invalid_grant");
    assert_eq!(exchange(&gateway, "app", &code).error(), "invalid_grant");
}

#[test]
fn of_many_who_exchange_one_code_one_succeeds() {
    let (gateway, _upstream) = start();
    let code = code(&gateway, "app", "&scope=alpha&access_type=offline");
    let barrier = Barrier::new(50);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..50)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    exchange(&gateway, "app", &code)
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.error() == "invalid_grant"));
    let (access, refresh_token) = tokens(winners[0]);
    assert_eq!(call(&gateway, &access), 401, "the others were replays");
    assert_eq!(refresh(&gateway, "app", &refresh_token.unwrap(), "").error(), "invalid_grant");
}

#[test]
fn a_code_is_bound_to_client_address_and_time() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        clock = Some(setup.manual_clock());
    });
    let refused = |answer: crate::support::Answer, why: &str| {
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (400, "invalid_grant"),
            "{why}: {}",
            answer.text()
        );
    };
    let code = code(&gateway, "app", "&scope=alpha");
    refused(exchange(&gateway, "other", &code), "another client");
    for (redirect, why) in [("https://app.example/cb/", "another address"), ("", "no address")] {
        let body = form(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", redirect)]);
        refused(gateway.send(&Request::form(TOKEN, &body).basic("app", APP_SECRET)), why);
    }
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CB),
        ("code_verifier", &"v".repeat(43)),
    ]);
    refused(
        gateway.send(&Request::form(TOKEN, &body).basic("app", APP_SECRET)),
        "a verifier without a challenge",
    );
    for (wrong, why) in
        [("hgc_", "short"), ("x", "no code"), (&*code.replace("hgc_", "hgr_"), "another kind")]
    {
        refused(exchange(&gateway, "app", wrong), why);
    }
    // None of the attempts has spent it.
    let clock = clock.unwrap();
    clock.advance(Duration::from_secs(59));
    tokens(&exchange(&gateway, "app", &code));
    let late = super::code(&gateway, "app", "&scope=alpha");
    clock.advance(Duration::from_secs(60));
    refused(exchange(&gateway, "app", &late), "too late");
}

#[test]
fn a_public_client_proves_that_it_asked() {
    let (gateway, _upstream) = start();
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let (s256, plain) = ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", verifier);
    let ask = |redirect: &str, more: &str| {
        let query = form(&[
            ("client_id", "phone"),
            ("redirect_uri", redirect),
            ("response_type", "code"),
            ("scope", "alpha"),
        ]);
        let answer = Browser::new(&gateway).sign_in(&format!("{query}{more}"), "jane", PASSWORD);
        brought(&answer, redirect)
    };
    let exchange = |code: &str, redirect: &str, verifier: &str| {
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("client_id", "phone"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ]);
        gateway.send(&Request::form(TOKEN, &body))
    };
    for (challenge, redirect) in [
        (format!("&code_challenge={s256}&code_challenge_method=S256"), "phone://cb"),
        (format!("&code_challenge={plain}"), "http://127.0.0.1:50123/cb"),
    ] {
        let parameters = ask(redirect, &challenge);
        let code = parameter(&parameters, "code");
        for wrong in ["", &"w".repeat(43), s256] {
            let answer = exchange(code, redirect, wrong);
            assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"), "{wrong}");
        }
        let (access, _) = tokens(&exchange(code, redirect, verifier));
        assert_eq!(call(&gateway, &access), 200);
    }
    let without = Browser::new(&gateway).authorize(&form(&[
        ("client_id", "phone"),
        ("redirect_uri", "phone://cb"),
        ("response_type", "code"),
    ]));
    assert_eq!(parameter(&brought(&without, "phone://cb"), "error"), "invalid_request");
}

#[test]
fn a_client_with_a_secret_has_to_show_it() {
    let (gateway, _upstream) = start();
    let code = code(&gateway, "app", "&scope=alpha");
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CB),
        ("client_id", "app"),
    ]);
    let answer = gateway.send(&Request::form(TOKEN, &body));
    assert_eq!(answer.error(), "invalid_client");
    let answer = gateway.send(&Request::form(TOKEN, &body).basic("app", "wrong-secret-0123456789"));
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"));
    tokens(&exchange(&gateway, "app", &code));
}

#[test]
fn openid_brings_an_id_token() {
    let (gateway, _upstream) = start();
    let code = code(&gateway, "app", "&scope=openid+profile+email+groups+alpha&nonce=n-1");
    let answer = exchange(&gateway, "app", &code);
    let (access, _) = tokens(&answer);
    assert_eq!(answer.json()["scope"], "openid profile email groups alpha");
    let id_token = answer.json()["id_token"].as_str().unwrap().to_owned();
    let (header, claims) = forge::decode(&id_token);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("RS256"), Some("JWT")));
    for (claim, value) in [
        ("iss", serde_json::json!(format!("{PUBLIC_URL}/hub"))),
        ("aud", serde_json::json!(["app"])),
        ("nonce", "n-1".into()),
        ("name", "Jane Doe".into()),
        ("preferred_username", "jane".into()),
        ("email", "Jane@example.org".into()),
        ("groups", serde_json::json!(["developers"])),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    for number in ["iat", "exp", "auth_time"] {
        assert!(claims[number].is_i64(), "{number}: {claims}");
    }
    assert_eq!(claims["sub"], forge::decode(&access).1["sub"]);
    // It says who signed in, and opens nothing.
    assert_eq!(call(&gateway, &id_token), 401);
}

#[test]
fn the_request_may_be_posted() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let answer = browser.send(Request::form(AUTH, &ask("app", "")));
    assert_eq!(answer.status, 303);
    assert_eq!(own(&answer), format!("{AUTH}?{}", ask("app", "")));
}

/// No code is given away for a token that would be too long to be of use.
#[test]
fn a_scope_that_makes_too_long_a_token_gets_no_code() {
    let upstream = Upstream::start();
    let ids: Vec<String> = (0..120).map(|n| format!("{n:03}{}", "x".repeat(61))).collect();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        for id in &ids {
            setup.service(id, "some-secret-0123456789");
        }
    });
    let mut browser = Browser::new(&gateway);
    browser.sign_in(&ask("app", "&scope=alpha"), "jane", PASSWORD);
    let mut answered = |count: usize, response: &str| {
        let query = ask("app", &format!("&scope=alpha+{}", ids[..count].join("+")));
        brought(&browser.authorize(&query.replace("response_type=code", response)), CB)
    };
    let few = answered(30, "response_type=code");
    let (access, _) = tokens(&exchange(&gateway, "app", parameter(&few, "code")));
    assert_eq!(call(&gateway, &access), 200);
    for response in ["response_type=code", "response_type=token"] {
        let many = answered(120, response);
        assert_eq!(parameter(&many, "error"), "invalid_scope", "{many:?}");
        assert!(parameter(&many, "error_description").contains("fewer services"), "{many:?}");
        assert!(many.iter().all(|(name, _)| !["code", "access_token"].contains(&name.as_str())), "{many:?}");
    }
}
