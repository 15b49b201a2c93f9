//! Every operation against every kind of caller, from the document that the gateway itself gives: an operation that is new is
//! looked at here without a line of test for it (threats M1).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{REST, Registry, refusal};
use crate::support::{Answer, Request};

/// What everybody may have without a credential. Whoever adds to it says why it harms nobody.
const OPEN: [(&str, &str); 3] = [
    // Clients read it before they know anybody.
    ("get", "/settings/public"),
    // It tells what the product can do, and nothing of this gateway.
    ("get", "/openapi.json"),
    // Pages show it by its address; a picture is drawn for every id.
    ("get", "/avatar/{id}"),
];

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    described: Value,
}

impl Operation {
    fn permission(&self) -> Option<&str> {
        self.described["x-hub-permission"].as_str()
    }

    fn is_open(&self) -> bool {
        OPEN.contains(&(self.method.as_str(), self.path.as_str()))
    }

    /// Asked for with ids of nobody.
    fn ask(&self, registry: &Registry, alter: impl FnOnce(Request) -> Request) -> Answer {
        let path = self.path.trim_start_matches('/').split('/');
        let filled: Vec<&str> =
            path.map(|part| if part.starts_with('{') { "00000000-dead" } else { part }).collect();
        let request = Request::new(&self.method.to_uppercase(), &format!("{REST}{}", filled.join("/")));
        let request = if self.method == "post" {
            request.header("Content-Type", "application/json").body("{}")
        } else {
            request
        };
        registry.gateway.send(&alter(request))
    }
}

fn operations(registry: &Registry) -> Vec<Operation> {
    let document = registry.nobody().good("openapi.json");
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, methods) in paths {
        for (method, described) in methods.as_object().unwrap() {
            all.push(Operation { method: method.clone(), path: path.clone(), described: described.clone() });
        }
    }
    assert!(all.len() > 10);
    all
}

#[test]
fn every_operation_refuses_whom_it_is_not_for() {
    let registry = Registry::start();
    let (jane, elsewhere) = (registry.as_user("jane").token.unwrap(), registry.token("root", "alpha"));
    let (app, stranger) = (
        registry.app().token.unwrap(),
        // Not trusted, so it gets no token for itself; its name and secret are no user's.
        registry
            .gateway
            .send(&Request::get(&format!("{REST}services")).basic("stranger", "stranger-secret-0123456789")),
    );
    assert_eq!(stranger.status, 401);
    let keys = |token: &str| -> BTreeSet<String> {
        let request = Request::get(&format!("{REST}permissions/cache")).bearer(token);
        let list = registry.gateway.send(&request).json();
        list.as_array().unwrap().iter().map(|e| e["permission"]["key"].as_str().unwrap().to_owned()).collect()
    };
    let (janes, apps) = (keys(&jane), keys(&app));
    for operation in operations(&registry) {
        let name = format!("{} {}", operation.method, operation.path);
        let nobody = operation.ask(&registry, |request| request);
        assert_eq!(operation.described["security"] == Value::Array(vec![]), operation.is_open(), "{name}");
        if operation.is_open() {
            assert!(nobody.status < 500, "{name}");
            continue;
        }
        assert_eq!((nobody.status, refusal(&nobody).1.as_str()), (401, "unauthorized"), "{name}");
        assert!(
            nobody.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer ")),
            "{name}"
        );
        let bad = operation.ask(&registry, |request| request.bearer("no.such.token"));
        assert_eq!((bad.status, refusal(&bad).1.as_str()), (401, "invalid_token"), "{name}");
        // Even the administrator's, for another service.
        let other = operation.ask(&registry, |request| request.bearer(&elsewhere));
        assert_eq!((other.status, refusal(&other).1.as_str()), (403, "insufficient_scope"), "{name}");
        for (token, may) in [(&jane, &janes), (&app, &apps)] {
            let answer = operation.ask(&registry, |request| request.bearer(token));
            match operation.permission() {
                // With ids of nobody nothing is theirs.
                Some(needed) if !may.contains(needed) => {
                    assert_eq!((answer.status, refusal(&answer).1.as_str()), (403, "Forbidden"), "{name}");
                }
                _ => assert!(answer.status != 401 && answer.status < 500, "{name}: {}", answer.status),
            }
        }
    }
}

#[test]
fn every_operation_answers_an_administrator_without_failing() {
    let registry = Registry::start();
    let root = registry.root().token.unwrap();
    for operation in operations(&registry) {
        let name = format!("{} {}", operation.method, operation.path);
        let answer = operation.ask(&registry, |request| request.bearer(&root));
        assert!(
            !matches!(answer.status, 401 | 403 | 405) && answer.status < 500,
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
        if operation.method == "get" && !operation.path.contains('{') {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
    }
}

#[test]
fn nobody_asks_across_origins_but_registered_services() {
    let registry = Registry::start();
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        for operation in operations(&registry) {
            let preflight = Request::new(
                "OPTIONS",
                &format!("{REST}{}", operation.path.trim_start_matches('/').replace(['{', '}'], "")),
            )
            .header("Origin", origin)
            .header("Access-Control-Request-Method", &operation.method.to_uppercase());
            let answer = registry.gateway.send(&preflight);
            assert_eq!(answer.status, 204, "{}", operation.path);
            assert_eq!(
                answer.header("access-control-allow-origin") == Some(origin),
                allowed,
                "{}",
                operation.path
            );
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}
