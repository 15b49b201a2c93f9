//! Refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14.2, hub-contract section 0; threats T10 to T12).

use std::{collections::BTreeSet, sync::Barrier, time::Duration};

use super::{APP_SECRET, PASSWORD, call, code, configure, exchange, refresh, start, tokens};
use crate::support::{Answer, Gateway, Request, Upstream, browser::form, forge, gateway::TOKEN};

fn offline(gateway: &Gateway, client: &str, scope: &str) -> (String, String) {
    let code = code(gateway, client, &format!("&scope={scope}&access_type=offline"));
    let (access, refresh_token) = tokens(&exchange(gateway, client, &code));
    (access, refresh_token.expect("a refresh token"))
}

fn assert_refused(answer: &Answer, error: &str, why: &str) {
    assert_eq!((answer.status, answer.error().as_str()), (400, error), "{why}: {}", answer.text());
}

#[test]
fn a_refresh_replaces_the_token_and_inside_the_window_repeats_its_answer() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        clock = Some(setup.manual_clock());
    });
    let clock = clock.unwrap();
    let (first_access, first) = offline(&gateway, "app", "alpha+0-0-0-0-0");
    let answer = refresh(&gateway, "app", &first, "");
    let (access, second) = tokens(&answer);
    let second = second.expect("it is rotated");
    assert_ne!((&access, &second), (&first_access, &first));
    assert_eq!(answer.json()["scope"], "alpha 0-0-0-0-0");
    assert_eq!(forge::decode(&access).1["sub"], forge::decode(&first_access).1["sub"]);
    clock.advance(Duration::from_secs(30));
    let again = refresh(&gateway, "app", &first, "");
    assert_eq!(tokens(&again), (access.clone(), Some(second.clone())), "a lost answer costs nothing");
    assert!([3569, 3570].contains(&again.json()["expires_in"].as_i64().unwrap()), "{}", again.text());
    // The successor goes on as if nothing had happened, and the answer to the first is still the same.
    let (third_access, third) = tokens(&refresh(&gateway, "app", &second, ""));
    assert_eq!(tokens(&refresh(&gateway, "app", &first, "")).1, Some(second));
    // After the window a second use is a theft: everything ends.
    clock.advance(Duration::from_secs(31));
    assert_eq!(call(&gateway, &third_access), 200);
    assert_refused(&refresh(&gateway, "app", &first, ""), "invalid_grant", "a spent token");
    for token in [&first_access, &access, &third_access] {
        assert_eq!(call(&gateway, token), 401, "its family is dead at once");
    }
    assert_refused(&refresh(&gateway, "app", &third.unwrap(), ""), "invalid_grant", "of a dead family");
}

#[test]
fn of_many_at_once_all_get_the_same_pair() {
    let (gateway, _upstream) = start();
    let (_, token) = offline(&gateway, "app", "alpha");
    let barrier = Barrier::new(50);
    let pairs: BTreeSet<_> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..50)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    tokens(&refresh(&gateway, "app", &token, ""))
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    assert_eq!(pairs.len(), 1, "two tabs break nothing");
    assert_eq!(call(&gateway, &pairs.first().unwrap().0), 200);
}

#[test]
fn the_scope_may_be_narrowed_and_never_widened() {
    let (gateway, _upstream) = start();
    let (_, token) = offline(&gateway, "kiosk", "alpha+0-0-0-0-0");
    let narrowed = refresh(&gateway, "kiosk", &token, "&scope=0-0-0-0-0");
    let (access, _) = tokens(&narrowed);
    assert_eq!(narrowed.json()["scope"], "0-0-0-0-0");
    assert_eq!(call(&gateway, &access), 403);
    for (scope, error) in [
        ("beta", "invalid_scope"),
        ("alpha+beta", "invalid_scope"),
        ("nobody", "invalid_scope"),
        ("openid", "invalid_scope"),
    ] {
        assert_refused(&refresh(&gateway, "kiosk", &token, &format!("&scope={scope}")), error, scope);
    }
    let (full, _) = tokens(&refresh(&gateway, "kiosk", &token, ""));
    assert_eq!(call(&gateway, &full), 200, "the refresh token keeps what was granted");
    // By name, as it was not asked for: the same services all the same.
    assert_eq!(refresh(&gateway, "kiosk", &token, "&scope=alpha+by+name").status, 400);
    assert_eq!(refresh(&gateway, "kiosk", &token, "&scope=alpha%2520by%2520name").status, 200);
}

#[test]
fn a_narrowed_answer_is_repeated_for_its_own_scope_only() {
    let (gateway, _upstream) = start();
    let (_, token) = offline(&gateway, "app", "alpha+0-0-0-0-0");
    let narrow = tokens(&refresh(&gateway, "app", &token, "&scope=0-0-0-0-0"));
    let full = refresh(&gateway, "app", &token, "");
    assert_eq!(full.json()["scope"], "alpha 0-0-0-0-0");
    assert_eq!(tokens(&full).1, narrow.1, "one successor");
    assert_eq!(tokens(&refresh(&gateway, "app", &token, "&scope=0-0-0-0-0")), narrow);
}

#[test]
fn a_service_may_keep_its_token_for_ever() {
    let (gateway, _upstream) = start();
    let (_, token) = offline(&gateway, "kiosk", "alpha");
    for _ in 0..3 {
        let (access, none) = tokens(&refresh(&gateway, "kiosk", &token, ""));
        assert_eq!((call(&gateway, &access), none), (200, None));
    }
}

#[test]
fn a_refresh_token_is_bound_to_its_client_and_kind() {
    let (gateway, _upstream) = start();
    let (access, token) = offline(&gateway, "app", "alpha");
    let code = code(&gateway, "app", "&scope=alpha&access_type=offline");
    for (wrong, why) in
        [(&*access, "an access token"), (&*code, "a code"), ("", "nothing"), ("hgr_x", "no token")]
    {
        let error = if wrong.is_empty() { "invalid_request" } else { "invalid_grant" };
        assert_refused(&refresh(&gateway, "app", wrong, ""), error, why);
    }
    assert_refused(&refresh(&gateway, "other", &token, ""), "invalid_grant", "another client");
    let body = form(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    let bare = gateway.send(&Request::form(TOKEN, &body));
    assert_eq!(bare.error(), "invalid_client", "the client comes first");
    let wrong = gateway.send(&Request::form(TOKEN, &body).basic("app", "wrong-secret-0123456789"));
    assert_eq!((wrong.status, wrong.error().as_str()), (401, "invalid_client"));
    tokens(&refresh(&gateway, "app", &token, ""));
}

#[test]
fn what_is_spent_stays_spent_over_a_restart() {
    let (mut gateway, _upstream) = start();
    let (_, first) = offline(&gateway, "app", "alpha");
    let pair = tokens(&refresh(&gateway, "app", &first, ""));
    gateway.restart();
    assert_eq!(tokens(&refresh(&gateway, "app", &first, "")), pair, "on another node too");
    assert_eq!(call(&gateway, &pair.0), 200);
    tokens(&refresh(&gateway, "app", &pair.1.unwrap(), ""));
}

#[test]
fn refresh_tokens_expire() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("oauth", "refresh_token_ttl", "\"2h\"");
        clock = Some(setup.manual_clock());
    });
    let (_, token) = offline(&gateway, "app", "alpha");
    clock.unwrap().advance(Duration::from_secs(2 * 3600));
    assert_refused(&refresh(&gateway, "app", &token, ""), "invalid_grant", "too old");
}

#[test]
fn a_switched_off_flow_gives_and_takes_none() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.service_with(
            "short",
            &format!("secret = {APP_SECRET:?}\nconsent_required = false\nredirect_uris = [\"https://app.example/cb\"]\nflows = [\"authorization_code\", \"password\"]"),
        );
    });
    let code = code(&gateway, "short", "&scope=alpha&access_type=offline");
    assert_eq!(tokens(&exchange(&gateway, "short", &code)).1, None);
    let body = form(&[
        ("grant_type", "password"),
        ("username", "jane"),
        ("password", PASSWORD),
        ("scope", "alpha"),
        ("access_type", "offline"),
    ]);
    let answer = gateway.send(&Request::form(TOKEN, &body).basic("short", APP_SECRET));
    assert_eq!(tokens(&answer).1, None);
    assert_refused(&refresh(&gateway, "short", "hgr_x", ""), "unauthorized_client", "switched off");
}

#[test]
fn a_repeated_answer_is_never_a_dead_token() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("oauth", "access_token_ttl", "\"10s\"");
        clock = Some(setup.manual_clock());
    });
    let (_, token) = offline(&gateway, "app", "alpha");
    let (access, successor) = tokens(&refresh(&gateway, "app", &token, ""));
    clock.unwrap().advance(Duration::from_secs(20));
    assert_eq!(call(&gateway, &access), 401, "it has expired inside the window");
    let again = refresh(&gateway, "app", &token, "");
    let (fresh, same) = tokens(&again);
    assert_eq!((call(&gateway, &fresh), same), (200, successor));
    assert!(again.json()["expires_in"].as_i64().unwrap() > 0);
}
