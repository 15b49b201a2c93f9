//! What administrators see of the gateway: dashboard, upstreams, why something was refused, the audit log, settings.

use serde_json::Value;

use super::{Console, assert_guarded, page};
use crate::support::{Request, browser::form, forge, gateway::eventually};

const RULES: &str = r#"
[[upstream.rule]]
path = "/ruled/people/**"
groups = ["<b>board</b>"]

[[upstream.rule]]
path = "/ruled/open/**"
methods = ["GET"]
access = "public"
"#;

fn console() -> Console {
    Console::with(|setup| {
        setup.route_to("alpha", "/ruled", &["http://127.0.0.1:9".to_owned()], RULES).route_to(
            "ghost",
            "/ghost",
            &["http://127.0.0.1:9".to_owned()],
            "strip_path = true\nrequests_per_source = \"100/s\"\n[[upstream.rule]]\npath = \"/ghost/slow/**\"\nrequests_per_user = \"30/m\"",
        );
    })
}

/// That a page has all of these.
#[track_caller]
fn assert_has(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn only_administrators_see_them() {
    let console = console();
    for path in [
        "/hub/admin",
        "/hub/admin?period=day",
        "/hub/admin/upstreams",
        "/hub/admin/why",
        "/hub/admin/why?request=x",
        "/hub/admin/audit",
        "/hub/admin/audit.csv",
        "/hub/admin/audit.jsonl",
        "/hub/admin/settings",
    ] {
        assert_guarded(&console, path, None);
    }
    assert_guarded(&console, "/hub/admin/why", Some("method=GET&address=/x&token=abc"));
}

#[test]
fn the_dashboard_shows_what_was_refused_and_what_needs_somebody() {
    let console = console();
    let token = console.gateway.machine_token("alpha");
    let refused = console.gateway.send(&Request::get("/admin/x").bearer(&token));
    let id = refused.header("x-request-id").unwrap().to_owned();
    let mut root = console.signed_in("root");
    let shown = page(&root.get("/hub/admin"));
    assert_has(
        &shown,
        &[
            "Service not in scope",
            "<code>GET /admin/x</code>",
            "machine by name",
            &format!("/admin/why?request={id}"),
            "No service is registered as ghost",
            "self-signed",
            "<title id=\"requests-t\">Requests</title>",
            "Latency of forwarded requests",
            "Refusals by cause",
            "aria-current=\"true\">Last hour",
        ],
    );
    assert_has(&page(&root.get("/hub/admin?period=day")), &["aria-current=\"true\">Last 24 hours"]);
    // A path as somebody hostile sends it.
    console.gateway.send(&Request::get("/nowhere/%3Cscript%3Ealert(1)%3C/script%3E"));
    let shown = page(&root.get("/hub/admin"));
    assert!(shown.contains("/nowhere/") && !shown.contains("<script>alert"), "{shown}");
}

#[test]
fn a_refusal_is_explained_by_its_request_id() {
    let console = console();
    let mut root = console.signed_in("root");
    let token = console.gateway.machine_token("alpha");
    let bent = forge::Key::fresh();
    let (header, claims) = forge::decode(&token);
    let bent = bent.sign(&header.to_string(), &claims.to_string());
    for (request, parts) in [
        (Request::get("/admin/x"), ["Refused with 401", "A token is needed", "beta by name", "/admin"]),
        (
            Request::get("/admin/x").bearer(&token),
            [
                "Refused with 403",
                "not for the service that this address needs",
                "machine by name",
                "scope_missing",
            ],
        ),
        (
            Request::get("/ruled/people/x").bearer(&token),
            ["Rule: not in the group", "Rule 1", "&#60;b&#62;board&#60;/b&#62;", "/ruled/people/**"],
        ),
        (
            Request::get("/ghost/x").bearer(&token),
            ["Refused with 503", "nobody has registered", "hubgate service add", "ghost"],
        ),
        (
            Request::get("/api/x").bearer(&bent),
            ["False signature", "exactly as it received it", "token_signature", "127.0.0.1"],
        ),
        (
            Request::get("/nowhere"),
            ["Refused with 404", "There is nothing at this address", "none", "not_found"],
        ),
        (
            Request::form("/hub/api/rest/oauth2/token", "grant_type=client_credentials"),
            ["Refused with 4", "invalid_", "/hub/api/rest/oauth2/token", "hub"],
        ),
        (
            Request::get("/ruled/x").bearer(&token),
            ["Refused with 502", "Whoever runs the service", "bad_gateway", "/ruled"],
        ),
    ] {
        let answer = console.gateway.send(&request);
        let id = answer.header("x-request-id").unwrap().to_owned();
        let shown = page(&root.get(&format!("/hub/admin/why?request={id}")));
        assert_has(&shown, &parts);
        assert_has(&shown, &["What happened", "Whose move it is", "How to mend it", &id]);
        assert!(!shown.contains(&token) && !shown.contains("<b>board"), "{shown}");
    }
    // What passed is not there, and what was never there neither.
    let passed = console.gateway.send(&Request::get("/api/x").bearer(&token));
    assert_eq!(passed.status, 200);
    for id in ["unknown", "%22%3E%3Cscript%3E", passed.header("x-request-id").unwrap_or("passed")] {
        let shown = page(&root.get(&format!("/hub/admin/why?request={id}")));
        assert_has(&shown, &["No refusal with this id is in memory"]);
        assert!(!shown.contains("\"><script>"), "{shown}");
    }
    assert!(!page(&root.get("/hub/admin/why")).contains("No refusal with this id"));
}

#[test]
fn a_decision_is_foreseen_from_a_token_and_an_address() {
    let console = console();
    let mut root = console.signed_in("root");
    let token = console.gateway.machine_token("alpha");
    let secret = token.rsplit('.').next().unwrap().to_owned();
    let mut ask = |token: &str, address: &str| {
        let fields = form(&[("token", token), ("method", "GET"), ("address", address)]);
        let shown = page(&root.post("/hub/admin/why", &fields));
        assert!(!shown.contains(&secret), "the token is shown again");
        shown
    };
    for (token, address, parts) in [
        (
            token.as_str(),
            "/api/x",
            &["It may pass", "Forwarded to", "access token", "machine by name", "the client itself"][..],
        ),
        (
            &token,
            "/admin/x",
            &["Refused with 403", "Service not in scope", "missing</span>", "insufficient_scope", "/admin"],
        ),
        ("", "/admin/x", &["Refused with 401", "A token is needed"]),
        ("", "/public/x", &["It may pass: the address is open to all"]),
        ("", "/hub/api/rest/users", &["The gateway answers this address itself"]),
        ("garbage", "/api/x", &["Not a token", "ID token"]),
        ("", "/nowhere", &["Refused with 404"]),
    ] {
        assert_has(&ask(token, address), parts);
    }
    let moved =
        "\n[[upstream]]\nservice = \"alpha\"\npath = \"/old\"\nredirect = \"https://new.example/yt\"\n";
    console.gateway.reload(&format!("{}{moved}", console.gateway.config_text())).unwrap();
    let shown = ask(&token, "/old/x?a=b");
    assert_has(&shown, &["It may pass", "Redirected to", "https://new.example/yt/x?a=b"]);
    assert!(!shown.contains("Forwarded to"), "{shown}");
    assert_has(
        &ask("", "/old/x"),
        &["Refused with 401", "Would be redirected to", "https://new.example/yt/x"],
    );
    let (_, mut claims) = forge::decode(&token);
    claims["iss"] = "https://evil.example/<b>hub</b>".into();
    claims["sub"] = "<img src=x>".into();
    let foreign =
        forge::Key::fresh().sign(r#"{"alg":"ES256","typ":"at+jwt","kid":"<i>k"}"#, &claims.to_string());
    let shown = ask(&foreign, "/api/x");
    assert_has(&shown, &["It is not from this gateway", "evil.example"]);
    assert!(!shown.contains("<img") && !shown.contains("<b>hub") && !shown.contains("<i>k"), "{shown}");
    // What is wrong is said at its field.
    for (fields, part) in [
        (form(&[("method", "GET"), ("address", "")]), "This is needed."),
        (form(&[("method", "GET"), ("address", "ftp://x/")]), "the gateway serves https"),
        (form(&[("method", "G T"), ("address", "/x")]), "this is no HTTP method"),
    ] {
        let answer = root.post("/hub/admin/why", &fields);
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_has(&answer.text(), &[part]);
    }
    // Nor is it in the log.
    eventually("the posts are logged", || {
        console.gateway.lines().matches("method=POST path=/hub/admin/why").count() >= 11
    });
    assert!(!console.gateway.lines().contains(&secret));
}

/// A form whose session has ended waits for the next sign-in, the token in it does not.
#[test]
fn a_token_is_not_kept_for_the_next_sign_in() {
    let console = console();
    let mut root = console.signed_in("root");
    root.cookie = None;
    let fields = form(&[("token", "very-secret-token"), ("method", "GET"), ("address", "/kept")]);
    let answer = root.post("/hub/admin/why", &fields);
    assert_eq!(answer.status, 303);
    let location = answer.header("location").unwrap().to_owned();
    let back = form_urlencoded::parse(location.split_once('?').unwrap().1.as_bytes())
        .find(|(name, _)| name == "back")
        .unwrap()
        .1
        .into_owned();
    root.log_in("", "root", super::PASSWORD);
    let shown = page(&root.get(&back));
    assert!(shown.contains("/kept") && !shown.contains("very-secret-token"), "{shown}");
}

#[test]
fn upstreams_are_shown_with_rules_and_traffic() {
    let console = console();
    let mut root = console.signed_in("root");
    let shown = page(&root.get("/hub/admin/upstreams"));
    assert_has(
        &shown,
        &[
            "<code>/ruled</code>",
            "http://127.0.0.1:9",
            "<code>/ruled/people/**</code>",
            "groups &#60;b&#62;board&#60;/b&#62;",
            "methods GET; open to all",
            "not registered",
            "The path is taken off",
            "a short-lived token for this service alone",
            "class=\"spark\"",
            "no requests",
            "none beside those of the gateway",
            "<dd>100/s from one address</dd>",
            "token with this service in scope; 30/m on behalf of one user",
        ],
    );
    let found = page(&root.get("/hub/admin/upstreams?find=GHOST"));
    assert!(found.contains("<code>/ghost</code>") && !found.contains("<code>/ruled</code>"), "{found}");
    assert_has(&page(&root.get("/hub/admin/upstreams?find=%22%3E%3Cb%3E")), &["Nothing found."]);
}

#[test]
fn the_audit_log_is_filtered_and_taken_away() {
    let console = console();
    let mut root = console.signed_in("root");
    console.gateway.command(&[
        "user",
        "add",
        "cmd",
        "--name",
        "=HYPERLINK(\"x\")",
        "--email",
        "c@example.org",
        "--no-password",
        "--json",
    ]);
    console.gateway.command(&["service", "add", "=svc <b>", "--id", "svc", "--json"]);
    let shown = page(&root.get("/hub/admin/audit"));
    assert_has(
        &shown,
        &["User created", "Service created", "=svc &#60;b&#62;", "(command line)", "User signed in"],
    );
    assert!(!shown.contains("=svc <b>"), "{shown}");
    let found = page(&root.get("/hub/admin/audit?type=created&about=service&since=2020-01-01"));
    assert_has(&found, &["Service created", "Clear"]);
    assert!(!found.contains("User created"), "{found}");
    let found = page(&root.get("/hub/admin/audit?query=type%3A+created+and+targetType%3A+user"));
    assert!(found.contains("User created") && !found.contains("Service created"), "{found}");
    let found = page(&root.get("/hub/admin/audit?who=root"));
    assert!(found.contains("signed in") && !found.contains("Service created"), "{found}");
    for (query, part) in [
        ("who=%22nobody%22+here", "Nobody has this login"),
        ("since=yesterday", "This is no date."),
        ("query=color%3A+blue", "Unknown field [color]"),
    ] {
        let found = page(&root.get(&format!("/hub/admin/audit?{query}")));
        assert_has(&found, &[part]);
        assert!(!found.contains("User created"), "{found}");
    }
    assert_has(&page(&root.get("/hub/admin/audit?type=erased")), &["Nothing of this kind"]);
    let csv = root.get("/hub/admin/audit.csv?type=created");
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"hubgate-audit.csv\""));
    let text = csv.text();
    assert!(text.starts_with("id,time,type,"), "{text}");
    assert!(text.contains(",\"'=svc <b>\",") && !text.contains(",=") && !text.contains("signedIn"), "{text}");
    let lines = root.get("/hub/admin/audit.jsonl?type=created&about=service&who=").text();
    let svc = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let svc = svc.filter(|event| event["targetId"] == "svc").collect::<Vec<_>>();
    assert_eq!((svc.len(), &svc[0]["type"], &svc[0]["target"]), (1, &"created".into(), &"=svc <b>".into()));
    assert_eq!(root.get("/hub/admin/audit.csv?since=never").status, 303, "the page says what is wrong");
}

#[test]
fn settings_show_what_is_in_force_and_no_secret() {
    let console = Console::with(|setup| {
        setup.set("oauth", "access_token_ttl", "\"5m\"").set("limits", "max_body_size", "\"3MiB\"");
    });
    let mut root = console.signed_in("root");
    let shown = page(&root.get("/hub/admin/settings"));
    assert_has(
        &shown,
        &[
            "<code>public_url</code></dt><dd><code>&#34;https://gateway.example:8443&#34;</code>",
            "<code>access_token_ttl</code></dt><dd><code>&#34;5m&#34;</code>",
            "<code>max_body_size</code></dt><dd><code>&#34;3MiB&#34;</code>",
            "<code>proxy_protocol</code></dt><dd><code>false</code>",
            "<code>profile</code></dt><dd><code>&#34;hub&#34;</code>",
            "ES256",
            "signs",
            "valid until",
            env!("CARGO_PKG_VERSION"),
        ],
    );
    for secret in ["secret-0123456789", super::PASSWORD, "$argon2"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn they_speak_german() {
    let console = console();
    let mut root = console.signed_in("root");
    let refused = console.gateway.send(&Request::get("/admin/x"));
    let id = refused.header("x-request-id").unwrap().to_owned();
    let why = format!("/hub/admin/why?request={id}");
    for (path, part) in [
        ("/hub/admin", "Ablehnungen nach Grund"),
        ("/hub/admin/upstreams", "Der Upstream erhält"),
        (why.as_str(), "Wer am Zug ist"),
        ("/hub/admin/audit", "Änderungsprotokoll"),
        ("/hub/admin/settings", "Signaturschlüssel"),
    ] {
        let shown = page(&root.send(Request::get(path).header("Accept-Language", "de")));
        assert!(shown.contains(part) && shown.contains("lang=\"de\""), "{part} is not in {shown}");
        assert!(!shown.contains("Needs attention") && !shown.contains("What happened"), "{shown}");
    }
}
