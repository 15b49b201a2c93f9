//! Credentials that try to become more than they are, and those who are everybody (threats M1, M2, T15).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Client, PASSWORD, REST, Registry, refusal};
use crate::support::{
    Request,
    browser::{Browser, brought, form, parameter},
    gateway::TOKEN,
};

const TOKENS: &str = "users/me/permanenttokens";
const PASSWORDS: &str = "users/me/applicationPasswords";
const HUB: &str = "0-0-0-0-0";

fn for_services(scope: &[&str]) -> Value {
    let scope: Vec<Value> = scope.iter().map(|id| json!({"id": id})).collect();
    json!({"name": "made by a program", "scope": scope})
}

#[track_caller]
fn made(client: &Client<'_>, scope: &[&str]) -> String {
    client.done(TOKENS, &for_services(scope))["token"].as_str().unwrap().to_owned()
}

/// What a bounded credential for Hub and `alpha` makes: nothing that is for more.
#[track_caller]
fn stays_within(client: &Client<'_>) {
    for scope in [&["alpha"][..], &[HUB], &[HUB, "alpha"]] {
        made(client, scope);
    }
    for scope in [&["app"][..], &["alpha", "app"], &[HUB, "stranger"]] {
        assert_eq!(refusal(&client.post(TOKENS, &for_services(scope))).0, 403, "{scope:?}");
    }
    assert_eq!(refusal(&client.post(PASSWORDS, &json!({"name": "x"}))).0, 403);
}

#[test]
fn no_credential_makes_one_that_is_for_more() {
    let registry = Registry::with(|setup| {
        setup.service_with("asking", "secret = \"asking-secret-0123456789\"\nconsent_required = true");
    });
    let gateway = &registry.gateway;
    let with = |token: String| Client { gateway, token: Some(token) };
    let janes = registry.as_user("jane");

    // A permanent token, and one that it has made.
    let first = with(made(&janes, &[HUB, "alpha"]));
    stays_within(&first);
    stays_within(&with(made(&first, &[HUB, "alpha"])));
    // The token of a client of which people are asked.
    let pairs = [
        ("grant_type", "password"),
        ("username", "jane"),
        ("password", PASSWORD),
        ("scope", "0-0-0-0-0 alpha"),
    ];
    let answer =
        gateway.send(&Request::form(TOKEN, &form(&pairs)).basic("asking", "asking-secret-0123456789"));
    let asking =
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    stays_within(&with(asking));

    // The whole account: a password, an application password, a session.
    let body = for_services(&["app", "stranger"]).to_string();
    let post = |path: &str, body: &str| {
        let request = Request::new("POST", &format!("{REST}{path}"));
        request.header("Content-Type", "application/json").body(body)
    };
    let application = janes.done(PASSWORDS, &json!({"name": "git"}))["password"].as_str().unwrap().to_owned();
    for password in [PASSWORD, &application] {
        for (path, body) in [(TOKENS, body.as_str()), (PASSWORDS, "{\"name\": \"x\"}")] {
            assert_eq!(gateway.send(&post(path, body).basic("jane", password)).status, 200, "{path}");
        }
    }
    let mut browser = Browser::new(gateway);
    browser.log_in("", "jane", PASSWORD);
    assert_eq!(browser.send(post(TOKENS, &body).header("Sec-Fetch-Site", "same-origin")).status, 200);
    // Whoever may set passwords is held back by nothing here.
    let root = with(made(&registry.root(), &[HUB]));
    made(&root, &["app"]);
    root.done(&format!("users/{}/permanenttokens", registry.id_of("jane")), &for_services(&["app"]));
}

#[test]
fn what_is_kept_of_one_guest_is_no_business_of_another() {
    let registry = Registry::with(|setup| {
        setup.service_with(
            "kiosk",
            "public = true\nconsent_required = false\nredirect_uris = [\"https://kiosk.example/cb\"]",
        );
    });
    let guest = registry.root().good("users/guest?fields=id")["id"].as_str().unwrap().to_owned();
    registry.root().done(&format!("users/{guest}"), &json!({"banned": false}));
    let asked = [
        ("client_id", "kiosk"),
        ("redirect_uri", "https://kiosk.example/cb"),
        ("response_type", "token"),
        ("state", "s"),
        ("scope", HUB),
        ("request_credentials", "skip"),
    ];
    let answer = Browser::new(&registry.gateway).authorize(&form(&asked));
    let token = parameter(&brought(&answer, "https://kiosk.example/cb"), "access_token").to_owned();
    let client = Client { gateway: &registry.gateway, token: Some(token) };
    assert_eq!(client.good("users/me?fields=id,guest"), json!({"type": "user", "id": guest, "guest": true}));
    for name in ["me", &guest] {
        for below in ["data", "refreshtokens", "approvedscopes", "permanenttokens", "groups", "userdetails"] {
            let path = format!("users/{name}/{below}");
            assert_eq!(refusal(&client.get(&path)).0, 403, "{path}");
        }
        for below in ["refreshtokens/x", "approvedscopes/x", "permanenttokens/x", "applicationPasswords/x"] {
            let path = format!("users/{name}/{below}");
            assert_eq!(refusal(&client.delete(&path)).0, 403, "{path}");
        }
        let path = format!("users/{name}");
        assert_eq!(client.refused(&path, &json!({"name": "Somebody"})).0, 403);
        assert_eq!(client.refused(&format!("{path}/permanenttokens"), &for_services(&["alpha"])).0, 403);
        assert_eq!(client.refused(&format!("{path}/applicationPasswords"), &json!({"name": "x"})).0, 403);
    }
}

#[test]
fn nobody_keeps_the_store_busy_with_one_query() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    let any = |word: &str, times: usize| vec![word; times].join("%20or%20");
    for kind in ["users", "usergroups"] {
        assert_eq!(jane.get(&format!("{kind}?query={}", any("a*", 20))).status, 200, "{kind}");
        for query in [any("a*", 21), any("nameStartsWith:a", 30), any("not%20a*", 199)] {
            let (status, _, _) = refusal(&jane.get(&format!("{kind}?query={query}")));
            assert_eq!(status, 400, "{kind} {query}");
        }
        // What is asked of an index of its own costs little.
        assert_eq!(jane.get(&format!("{kind}?query={}", any("id:a", 199))).status, 200, "{kind}");
    }
}

/// A service may change what its product is. Doing so all the time undoes nothing that an administrator does.
#[test]
fn what_is_taken_from_a_service_stays_taken() {
    let registry = Registry::start();
    let root = registry.root();
    let old = "racer-secret-0123456789";
    root.done("services", &json!({"id": "racer", "name": "Racer", "secret": old}));
    let racer = registry.as_service("racer", old);
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(60) {
                    version += 1;
                    racer.done("services/me", &json!({"version": version.to_string()}));
                }
            });
        }
        for round in 0..25 {
            let (trusted, about) = (round % 2 == 0, format!("round {round}"));
            root.done("services/racer", &json!({"trusted": trusted, "description": about}));
            let shown = root.good("services/racer?fields=trusted,description");
            assert_eq!((&shown["trusted"], &shown["description"]), (&json!(trusted), &json!(about)));
        }
        root.done("services/racer", &json!({"secret": "another-secret-0123456789"}));
        stop.store(true, Ordering::Relaxed);
    });
    registry.gateway.token("racer", "another-secret-0123456789", HUB);
    assert_eq!(root.good("services/racer?fields=description")["description"], "round 24");
}
