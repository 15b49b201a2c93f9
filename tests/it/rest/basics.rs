//! What holds for every resource: credentials, methods, bodies, projection, paging, order, queries (hub-contract section 9).

use serde_json::json;

use super::{PASSWORD, REST, Registry, refusal};
use crate::support::{Request, browser::Browser};

#[test]
fn clients_start_with_what_everybody_may_know() {
    let registry = Registry::start();
    let settings = registry.nobody().good("settings/public?fields=id");
    assert_eq!(settings, json!({"type": "public", "id": "0-0-0-0-0"}));
    assert_eq!(registry.nobody().good("settings/public")["hostServiceName"], "Hub");
    // ring-ui's first request, and youtrack-mobile's.
    let jane = registry.as_user("jane");
    let me = jane.good("users/me?fields=guest,id,name,login,profile/avatar/url");
    let id = me["id"].as_str().unwrap();
    assert_eq!((me["login"].as_str(), me["guest"].as_bool()), (Some("jane"), Some(false)));
    let avatar = me["profile"]["avatar"]["url"].as_str().unwrap();
    let path = avatar.strip_prefix("https://gateway.example:8443").unwrap();
    let picture = registry.gateway.send(&Request::get(path));
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/svg+xml")));
    assert_eq!(picture.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    let mobile = jane.good(
        "users/me?fields=id,guest,name,banned,profile%2Favatar%2Furl,endUserAgreementConsent(accepted)",
    );
    assert_eq!(mobile["endUserAgreementConsent"]["accepted"], true);
    assert_eq!(mobile["id"], id);
    assert_eq!(jane.good("users/guest?fields=guest")["guest"], true);
}

#[test]
fn every_credential_that_hub_takes_is_taken() {
    let registry = Registry::start();
    let me = Request::get(&format!("{REST}users/me?fields=login"));
    let login = |request: &Request| {
        let answer = registry.gateway.send(request);
        (answer.status, answer.json()["login"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(login(&me.clone().basic("jane", PASSWORD)), (200, "jane".into()));
    assert_eq!(login(&me.clone().basic("jane@example.org", PASSWORD)), (200, "jane".into()));
    assert_eq!(login(&me.clone().bearer(&registry.token("jane", "0-0-0-0-0 alpha"))), (200, "jane".into()));
    for (request, status, error) in [
        (me.clone(), 401, "unauthorized"),
        (me.clone().basic("jane", "wrong"), 401, "unauthorized"),
        (me.clone().basic("guest", ""), 401, "unauthorized"),
        (me.clone().header("Authorization", "Basic !!!"), 400, "invalid_request"),
        (me.clone().header("Authorization", "Basic amFuZQ=="), 400, "invalid_request"),
        (me.clone().bearer("not-a-token"), 401, "invalid_token"),
        (me.clone().bearer(&registry.token("jane", "alpha")), 403, "insufficient_scope"),
    ] {
        let answer = registry.gateway.send(&request);
        assert_eq!((answer.status, answer.error()), (status, error.to_owned()));
    }
    // Two credentials are none.
    let two = me.basic("jane", PASSWORD).bearer(&registry.token("jane", "0-0-0-0-0"));
    assert_eq!(registry.gateway.send(&two).status, 400);
}

#[test]
fn a_session_is_good_for_our_own_pages_alone() {
    let registry = Registry::start();
    let mut browser = Browser::new(&registry.gateway);
    browser.log_in("", "root", PASSWORD);
    let mut ask = |request: Request| browser.send(request).status;
    let own = "https://gateway.example:8443";
    let get = || Request::get(&format!("{REST}services"));
    assert_eq!(ask(get()), 200);
    assert_eq!(ask(get().header("Sec-Fetch-Site", "same-origin")), 200);
    for site in ["cross-site", "same-site"] {
        assert_eq!(ask(get().header("Sec-Fetch-Site", site)), 403, "{site}");
    }
    let mut number = 0;
    let mut post = |kind: &str, headers: &[(&str, &str)]| {
        number += 1;
        let request = Request::new("POST", &format!("{REST}services"));
        let request = request.header("Content-Type", kind).body(format!("{{\"name\": \"n{number}\"}}"));
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    let same = ("Sec-Fetch-Site", "same-origin");
    for (request, status) in [
        (post("application/json", &[same, ("Origin", own)]), 200),
        (post("application/json", &[("Origin", own)]), 200),
        (post("application/json", &[]), 403),
        (
            post("application/json", &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")]),
            403,
        ),
        (post("application/json", &[("Origin", "https://evil.example")]), 403),
        (post("application/json", &[("Origin", "null")]), 403),
        (post("text/plain", &[same]), 415),
        (post("application/x-www-form-urlencoded", &[same]), 415),
        (post("multipart/form-data", &[same]), 415),
    ] {
        assert_eq!(ask(request), status);
    }
}

#[test]
fn bodies_are_json_objects_and_nothing_else() {
    let registry = Registry::start();
    let root = registry.root();
    let token = root.token.as_deref().unwrap();
    let post = |kind: &str, body: &str| {
        let request = Request::new("POST", &format!("{REST}services")).bearer(token);
        let answer = registry.gateway.send(&request.header("Content-Type", kind).body(body));
        refusal(&answer).0
    };
    let json = "application/json";
    for (kind, body, status) in [
        (json, "{", 400),
        (json, "[]", 400),
        (json, "\"x\"", 400),
        (json, "{\"name\": 1}", 400),
        (json, "{\"name\": [\"x\"]}", 400),
        (json, "{\"name\": \"a\\u0000\"}", 400),
        (json, "{\"name\": \"a\", \"redirectUris\": \"x\"}", 400),
        (json, "{\"name\": \"a\", \"redirectUris\": [1]}", 400),
        (json, "{\"name\": \"a\", \"trusted\": \"yes\"}", 400),
        (json, "{\"name\": \"a\", \"releaseDate\": 1.5}", 400),
        (json, "{\"name\": \"a\"} x", 400),
        (json, "\u{feff}{}", 400),
        ("text/plain", "{\"name\": \"a\"}", 415),
        ("text/json", "{\"name\": \"a\"}", 415),
        ("application/xml", "<a/>", 415),
    ] {
        assert_eq!(post(kind, body), status, "{kind} {body}");
    }
    assert_eq!(post(json, &format!("{{\"a\": {}", "[".repeat(20_000))), 400);
    assert_eq!(post(json, &"{\"a\":".repeat(10_000)), 400);
    // Larger than our own endpoints read.
    let large = Request::new("POST", &format!("{REST}services")).bearer(token).header("Content-Type", json);
    assert_eq!(registry.gateway.send(&large.body("x".repeat(300_000))).status, 413);
}

#[test]
fn methods_and_paths_that_are_none_are_named() {
    let registry = Registry::start();
    let root = registry.root();
    assert_eq!(refusal(&root.get("nosuch")).0, 404);
    assert_eq!(refusal(&root.get("services/a/b/c/d")).0, 404);
    let put = root.send(Request::new("PUT", &format!("{REST}services/alpha")));
    assert_eq!((refusal(&put).0, put.header("allow")), (405, Some("DELETE, GET, HEAD, POST")));
    assert_eq!(root.send(Request::new("DELETE", &format!("{REST}services"))).status, 405);
    // A name in the path is no id.
    let guest = root.delete("users/guest");
    assert_eq!((refusal(&guest).0, guest.header("allow")), (405, Some("GET, HEAD")));
    let head = root.send(Request::new("HEAD", &format!("{REST}services")));
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    let missing = root.get("services/nosuch");
    assert_eq!(missing.json()["error_description"], "Entity with id nosuch not found");
    assert_eq!(refusal(&missing), (404, "Not Found".into(), String::new()));
    // A slash at the end, as some builders of addresses leave it.
    assert_eq!(root.get("services/").status, 200);
    assert_eq!(root.get("settings/public").header("cache-control"), Some("no-store"));
    let problem = registry
        .gateway
        .send(&Request::get(&format!("{REST}nosuch")).header("Accept", "application/problem+json"));
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem.json()["status"], 404);
}

#[test]
fn lists_come_in_pages_in_an_order_and_as_far_as_asked_for() {
    let registry = Registry::start();
    let root = registry.root();
    for name in ["Zeta", "delta", "Gamma"] {
        root.done("services", &json!({"name": name}));
    }
    let all = root.good("services?fields=name&$top=-1");
    let names = |page: &serde_json::Value| {
        let services = page["services"].as_array().unwrap().clone();
        services
            .into_iter()
            .map(|s| s["name"].as_str().unwrap().trim_end_matches(" by name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&all),
        ["alpha", "app", "beta", "delta", "Gamma", "Hub", "machine", "open", "stranger", "Zeta"]
    );
    assert_eq!((&all["type"], &all["total"], &all["top"]), (&json!("ServicesPage"), &json!(10), &json!(-1)));
    let page = root.good("services?fields=name&$skip=1&$top=2&orderBy=name:desc");
    assert_eq!(
        (names(&page), &page["skip"], &page["total"]),
        (vec!["stranger".into(), "open".into()], &json!(1), &json!(10))
    );
    assert_eq!(names(&root.good("services?fields=name&$skip=100")), Vec::<String>::new());
    assert_eq!(root.good("services")["top"], 100);
    assert_eq!(
        root.good("services?fields=services(id),total&$top=1")["services"],
        json!([{"type": "service", "id": "alpha"}])
    );
    for (query, found) in [
        ("applicationName%3A%20YouTrack", vec!["app"]),
        ("applicationName:%20you*", vec!["app"]),
        ("del*", vec!["delta"]),
        ("del", vec![]),
        ("DELTA%20or%20gamma", vec!["delta", "Gamma"]),
        ("not%20is:%20trusted", vec!["stranger"]),
        ("is:%20hostService", vec!["Hub"]),
        ("has:%20homeUrl%20and%20not%20is:%20hostService", vec!["app"]),
        ("id:%20%7B0-0-0-0-0%7D", vec!["Hub"]),
        ("name:%20%22'%20or%201=1%20--%22", vec![]),
        ("", vec!["alpha", "app", "beta", "delta", "Gamma", "Hub", "machine", "open", "stranger", "Zeta"]),
    ] {
        assert_eq!(names(&root.good(&format!("services?fields=name&query={query}"))), found, "{query}");
    }
    for (parameters, field, text) in [
        ("query=nosuch:%20x", "query", "Unknown field [nosuch]"),
        (
            "query=is:%20nosuch",
            "query",
            "Value [nosuch] is not supported for field [is]. Expected trusted or hostService",
        ),
        ("query=x(y:%20z)", "query", "Unknown tuple [x]"),
        ("query=(", "query", ""),
        ("query=name:", "query", ""),
        ("orderBy=nosuch", "orderBy", "Can't sort by [nosuch]"),
        ("orderBy=name:up", "orderBy", ""),
        ("fields=a(", "fields", ""),
        ("fields=a;drop", "fields", ""),
        ("$top=1000000000", "$top", ""),
        ("$top=-2", "$top", ""),
        ("$skip=-1", "$skip", ""),
        ("$skip=1e3", "$skip", ""),
    ] {
        let answer = root.get(&format!("services?{parameters}"));
        assert_eq!(refusal(&answer), (400, "Bad Request".into(), field.into()), "{parameters}");
        if !text.is_empty() {
            assert_eq!(answer.json()["error_description"], text, "{parameters}");
        }
    }
    assert_eq!(root.get("services?$top=1&$top=2").status, 400);
}

#[test]
fn permissions_say_what_one_may() {
    let registry = Registry::start();
    let query = "permissions/cache?query=service:%7B0-0-0-0-0%7D%20or%20service:%7Bapp%7D&fields=permission/key,global,projects(id)";
    let keys = |answer: serde_json::Value| {
        let list = answer.as_array().unwrap().clone();
        assert!(list.iter().all(|entry| entry["global"] == true && entry["projects"] == json!([])));
        list.into_iter().map(|e| e["permission"]["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (root, jane) = (registry.root(), registry.as_user("jane"));
    let all = keys(root.good(query));
    assert!(all.contains(&"jetbrains.jetpass.user-create".into()));
    let hers = keys(jane.good(query));
    assert!(hers.contains(&"jetbrains.jetpass.profile-updateSelf".into()) && hers.len() < all.len());
    assert_eq!(keys(root.good(&format!("{query}&principal={}", registry.id_of("jane")))), hers);
    assert_eq!(jane.get(&format!("{query}&principal={}", registry.id_of("root"))).status, 403);
    assert_eq!(keys(jane.good("permissions/cache?query=service:%20app")), Vec::<String>::new());
    assert_eq!(root.good("permissions?query=key:%20jetbrains.jetpass.low*")["total"], 2);
    assert_eq!(root.good("permissions/user-read?fields=service(name)")["service"]["name"], "Hub");
    assert_eq!(registry.nobody().get(query).status, 401);
}
