//! `enforce = false`: what would be refused is forwarded for nobody and written down; what is unsafe is refused as ever; and
//! no credential of ours reaches an upstream that it was not meant for.

use std::time::Duration;

use hubgate::{
    base::random::SystemRandom,
    crypto::{
        opaque::{self, Kind},
        permanent,
    },
};
use serde_json::json;

use crate::{
    console::{Console, page},
    support::{
        Gateway, RawClient, Recorded, Reply, Request, Upstream,
        browser::{Browser, form},
        forge::{self, Key, base64},
        gateway::eventually,
        process,
    },
};

const RULES: &str = r#"
[[upstream.rule]]
path = "/PATH/open/**"
access = "public"

[[upstream.rule]]
path = "/PATH/page/**"
access = "browser"

[[upstream.rule]]
path = "/PATH/robots/**"
clients = ["beta"]

[[upstream.rule]]
path = "/PATH/ghost/**"
scope = ["ghost"]
"#;

/// What tells an upstream who asks.
const NAMES: [&str; 6] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-client",
    "x-forwarded-scope",
];

/// `/watched`, `/passing` and `/silent` enforce nothing and differ in `credential`; `/api` is as ever.
fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
        for (path, credential) in [("watched", "scoped"), ("passing", "pass"), ("silent", "none")] {
            let lines = format!("enforce = false\ncredential = {credential:?}\n{}", rules(path));
            setup.route("alpha", &format!("/{path}"), &upstream, &lines);
        }
        setup.user("jane", "password = \"correct horse battery\"");
    });
    (gateway, upstream)
}

fn rules(path: &str) -> String {
    RULES.replace("PATH", path)
}

/// The decision line of the request with this id.
fn decision(gateway: &Gateway, id: &str) -> String {
    let mut found = String::new();
    eventually("the decision line", || {
        let lines = gateway.lines();
        let line = lines.lines().find(|line| line.contains(" decision ") && line.contains(id));
        line.is_some_and(|line| {
            line.clone_into(&mut found);
            true
        })
    });
    found
}

/// The one request that the upstream got, of nobody.
fn forwarded(upstream: &Upstream, name: &str) -> Recorded {
    let mut seen = upstream.take();
    assert_eq!(seen.len(), 1, "{name}: {seen:?}");
    let seen = seen.remove(0);
    for header in NAMES {
        assert_eq!(seen.header(header), None, "{name}");
    }
    seen
}

/// Sends this `Authorization` to `target` and says what of it reached the upstream, which must be told of nobody.
fn reached(gateway: &Gateway, upstream: &Upstream, target: &str, authorization: &str) -> Option<String> {
    let answer = gateway.send(&Request::get(target).header("Authorization", authorization));
    assert_eq!(answer.status, 200, "{target} {authorization}: {}", answer.text());
    forwarded(upstream, target).header("authorization")
}

#[test]
fn what_would_be_refused_is_forwarded_for_nobody_and_written_down() {
    let (gateway, upstream) = start();
    let good = gateway.machine_token("alpha");
    let elsewhere = gateway.machine_token("beta");
    let jti = |token: &str| forge::decode(token).1["jti"].as_str().unwrap().to_owned();
    let ghostly = format!("client=machine jti={} cause=service_unknown", jti(&good));
    let ruled = format!("client=machine jti={} cause=rule_client", jti(&good));
    let scope = format!("client=machine jti={} cause=scope_missing", jti(&elsewhere));
    for (target, token, said) in [
        ("/watched/x", None, "cause=unauthorized"),
        ("/watched/x", Some("garbage"), "cause=token_malformed"),
        ("/watched/x", Some(elsewhere.as_str()), &scope),
        ("/watched/robots/x", Some(&good), &ruled),
        ("/watched/ghost/x", Some(&good), &ghostly),
        ("/watched/page/x", None, "cause=unauthorized"),
        ("/silent/x", None, "cause=unauthorized"),
        ("/passing/x", Some(&elsewhere), &scope),
    ] {
        let mut request = Request::get(target).header("X-Forwarded-User", "forged").header("X-Marker", "m");
        if let Some(token) = token {
            request = request.bearer(token);
        }
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let seen = forwarded(&upstream, target);
        assert_eq!((seen.target().as_str(), seen.header("x-marker").as_deref()), (target, Some("m")));
        let line = decision(&gateway, &seen.header("x-request-id").unwrap());
        assert!(line.contains(" decision=would_refuse ") && line.contains(said), "{target}: {line}");
        assert!(line.contains(" reason="), "{line}");
    }
    // A person on the way to a page is not led to the login page.
    let page =
        Request::get("/watched/page/x").header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate");
    assert_eq!(gateway.send(&page).status, 200);
    let seen = forwarded(&upstream, "a page");
    let line = decision(&gateway, &seen.header("x-request-id").unwrap());
    assert!(line.contains("cause=login_required"), "{line}");
    let counted = "hubgate_decisions_total{route=\"/watched\",decision=\"would_refuse\"} 7";
    eventually("the count", || gateway.management("/metrics").1.contains(counted));
    assert!(!gateway.management("/metrics").1.contains("cause=\"scope_missing\""), "nothing was refused");
    // Elsewhere it is.
    for (target, token, status) in [("/api/x", None, 401), ("/api/x", Some(&elsewhere), 403)] {
        let mut request = Request::get(target);
        if let Some(token) = token {
            request = request.bearer(token);
        }
        assert_eq!(gateway.send(&request).status, status);
    }
    gateway.assert_innocent(&upstream, "what is not enforced");
}

#[test]
fn what_may_pass_is_told_as_ever() {
    let (gateway, upstream) = start();
    let good = gateway.machine_token("alpha");
    for (path, authorization) in [("/watched/x", None), ("/passing/x", Some(&good)), ("/silent/x", None)] {
        for target in [path.to_owned(), path.replace("/x", "/open/x")] {
            assert_eq!(gateway.send(&Request::get(&target).bearer(&good)).status, 200);
            let seen = upstream.take().remove(0);
            assert_eq!(seen.header("x-forwarded-client").as_deref(), Some("machine"), "{target}");
            let got = seen.header("authorization");
            if path == "/watched/x" {
                let (_, claims) = forge::decode(got.as_deref().unwrap().strip_prefix("Bearer ").unwrap());
                assert_eq!(claims["aud"], json!(["alpha"]));
            } else {
                assert_eq!(got, authorization.map(|token| format!("Bearer {token}")), "{target}");
            }
            let line = decision(&gateway, &seen.header("x-request-id").unwrap());
            assert!(!line.contains("would_refuse"), "{line}");
        }
    }
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in("", "jane", "correct horse battery").status, 303);
    assert_eq!(browser.get("/watched/page/x").status, 200);
    let seen = upstream.take().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-preferred-username").as_deref(), Some("jane"));
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"));
    assert_eq!(seen.header("cookie"), None);
    // What a page of another site causes is not the person's doing: forwarded for nobody.
    let cookie = browser.cookie.clone().unwrap();
    let request = Request::new("POST", "/watched/page/x")
        .header("Cookie", &cookie)
        .header("Sec-Fetch-Site", "cross-site")
        .header("Origin", "https://evil.example")
        .body("x");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = forwarded(&upstream, "cross-site");
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (None, None));
}

#[test]
fn what_is_unsafe_is_refused() {
    let (gateway, upstream) = start();
    let good = gateway.machine_token("alpha");
    for (name, request, status) in [
        ("two credentials", Request::get("/watched/x").bearer(&good).basic("jane", "x"), 400),
        ("two tokens", Request::get("/watched/x").bearer("a").bearer("b"), 400),
        ("a malformed one", Request::get("/watched/x").header("Authorization", "Bearer a b"), 400),
        ("a list", Request::get("/watched/x").header("Authorization", "Basic a, Bearer b"), 400),
        (
            "a second one among parameters",
            Request::get("/watched/x").header("Authorization", r#"Digest a="b", Bearer c"#),
            400,
        ),
        (
            "one between quotes",
            Request::get("/passing/open/x").header("Authorization", r#"Digest a="b, Bearer c", d=e"#),
            400,
        ),
        (
            "two with parameters",
            Request::get("/watched/x")
                .header("Authorization", r#"Digest a="b", c=d"#)
                .header("Authorization", r#"Digest a="b", c=d"#),
            400,
        ),
        ("a token in the query", Request::get("/watched/x?access_token=a"), 400),
        ("a way out of the path", Request::get("/watched/%2e%2e/%2e%2e/api/x"), 400),
        ("an ambiguous path", Request::get("/watched/..%2fapi/x"), 400),
        ("an expectation", Request::get("/watched/x").header("Expect", "200-maybe"), 417),
        ("an imitation of what frames", Request::get("/watched/x").header("Content_Length", "5"), 400),
    ] {
        let answer = gateway.send(&request);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert!(upstream.take().is_empty(), "{name}");
    }
    let smuggled = "POST /watched/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut raw = gateway.raw();
    raw.send(smuggled);
    assert_eq!(raw.answer().expect("an answer").status, 400);
    assert!(upstream.take().is_empty());
    gateway.assert_innocent(&upstream, "what is unsafe");
}

#[test]
fn rates_and_sizes_hold() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.set("limits", "rejections_per_source", "\"5/m\"").standard(&upstream).route(
            "alpha",
            "/watched",
            &upstream,
            "enforce = false\nmax_body_size = \"1KiB\"",
        );
    });
    let large = Request::new("POST", "/watched/x").body("x".repeat(1025));
    assert_eq!(gateway.send(&large).status, 413);
    assert!(upstream.take().is_empty());
    // What others have issued does not count, however often it comes.
    for number in 0..12 {
        let answer = gateway.send(&Request::get("/watched/x").bearer(&format!("another.{number}")));
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    }
    assert_eq!(upstream.take().len(), 12);
    // Where it is enforced it does; and who has sent too many there has to wait here too.
    let statuses: Vec<u16> =
        (0..8).map(|n| gateway.send(&Request::get("/api/x").bearer(&format!("bad.{n}"))).status).collect();
    assert!(statuses.starts_with(&[401, 401]) && statuses.ends_with(&[429]), "{statuses:?}");
    assert_eq!(gateway.send(&Request::get("/watched/x").bearer("bad.x")).status, 429);
    assert!(upstream.take().is_empty());
}

#[test]
fn credentials_of_ours_stay_here_and_those_of_others_go_on() {
    let (gateway, upstream) = start();
    let (header, claims) = forge::decode(&gateway.machine_token("alpha"));
    let key = gateway.signing_key();
    let signed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        key.sign(&header.to_string(), &claims.to_string())
    };
    let stranger = Key::fresh();
    let of_others = r#"{"alg":"ES256","typ":"at+jwt","kid":"theirs"}"#;
    let foreign = stranger.sign(of_others, r#"{"iss":"https://login.example","aud":"alpha","sub":"jane"}"#);
    let opaque = Kind::ALL.map(|kind| opaque::generate(kind, &SystemRandom).expose().to_owned());
    let mut ours = vec![
        ("for another service", gateway.machine_token("beta")),
        ("expired", signed(&|claims| claims["exp"] = json!(1_700_000_000))),
        ("of another issuer, by our key", signed(&|claims| claims["iss"] = json!("https://other.example"))),
        ("of an unknown client", signed(&|claims| claims["client_id"] = json!("gone"))),
        ("with a false signature", stranger.sign(&header.to_string(), &claims.to_string())),
        ("by an unknown key, in our name", stranger.sign(of_others, &claims.to_string())),
        ("a permanent token", permanent::generate("jane", "ci", &SystemRandom).expose().to_owned()),
    ];
    ours.extend(opaque.into_iter().map(|text| ("an opaque one", text)));
    for (name, token) in &ours {
        for value in [
            format!("Bearer {token}"),
            format!("Token {token}"),
            format!("Digest username=\"jane\", response=\"{token}\""),
            format!("Basic {}", base64(format!("jane:{token}"))),
            format!("Basic {}", base64(format!("{token}:"))),
        ] {
            // An address that is open to all takes no part in it: there `pass` means what it says.
            for target in ["/watched/x", "/watched/open/x", "/watched/page/x", "/passing/x", "/silent/x"] {
                assert_eq!(reached(&gateway, &upstream, target, &value), None, "{name} to {target}: {value}");
            }
            let open = reached(&gateway, &upstream, "/passing/open/x", &value);
            assert_eq!(open.as_deref(), Some(value.as_str()), "{name}");
            assert_eq!(reached(&gateway, &upstream, "/silent/open/x", &value), None, "{name}");
        }
    }
    let robot = format!("Basic {}", base64("machine:machine-secret-0123456789"));
    assert_eq!(reached(&gateway, &upstream, "/watched/x", &robot), None);
    for value in [
        format!("Bearer {foreign}"),
        "bearer   opaque-token".into(),
        "Bearer perm:cm9vdA==.WW91VHJhY2s=.0IhcwyeFrSCUQ6YBmIkkqkhPl5SzKZ".into(),
        format!("Basic {}", base64("jane:a password of hers")),
        format!("Basic {}", base64("machine:another secret")),
        "Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gJDAi".into(),
        "Token 0123456789abcdef".into(),
        r#"Digest username="a", realm="b", nonce="c", uri="/", response="d""#.into(),
        "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab".into(),
        r#"OAuth realm="x", oauth_token="y%3D""#.into(),
    ] {
        let as_it_came = Some(value.clone());
        for target in ["/watched/x", "/watched/open/x", "/watched/page/x", "/passing/x", "/passing/open/x"] {
            assert_eq!(reached(&gateway, &upstream, target, &value), as_it_came, "{target}");
        }
        assert_eq!(reached(&gateway, &upstream, "/silent/x", &value), None);
        // Where it is enforced, nothing of the kind goes on.
        let request = Request::get("/api/x").header("Authorization", &value);
        assert_eq!(gateway.send(&request).status, 401, "{value}");
        assert_eq!(gateway.send(&Request::get("/public/x").header("Authorization", &value)).status, 200);
        let seen = upstream.take();
        assert_eq!((seen.len(), seen[0].header("authorization")), (1, None), "{value}");
    }
    let lines = gateway.lines();
    for (name, token) in &ours {
        assert!(!lines.contains(token), "{name} is in a line");
    }
    assert!(!lines.contains("opaque-token") && !lines.contains(&foreign));
    gateway.assert_innocent(&upstream, "credentials of all kinds");
}

/// Begins a stream of events, and returns the connection once the answer's head has come.
fn stream(gateway: &Gateway, target: &str) -> RawClient {
    let mut raw = gateway.raw();
    raw.send(Request::get(target).bytes());
    raw.wait_for("\r\n\r\n");
    raw
}

/// Whether the gateway has closed it by now.
fn ended(stream: &mut RawClient) -> bool {
    stream.rest(Duration::from_millis(10));
    stream.closes_within(Duration::ZERO)
}

#[test]
fn what_was_let_through_ends_when_it_counts() {
    let (gateway, upstream) = start();
    upstream.reply(Reply::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    ));
    let mut refused = stream(&gateway, "/watched/x");
    let mut open = stream(&gateway, "/watched/open/x");
    let text = gateway.config_text();
    // Another change alone ends neither.
    gateway.reload(&text.replace("[log]", "[oauth]\ncode_ttl = \"50s\"\n\n[log]")).unwrap();
    std::thread::sleep(Duration::from_millis(900));
    assert!(!ended(&mut refused) && !ended(&mut open));
    gateway.reload(&text.replace("enforce = false", "enforce = true")).unwrap();
    eventually("the end of what was let through", || ended(&mut refused));
    assert!(!ended(&mut open), "what is open to all goes on");
    eventually("its line", || {
        gateway.lines().lines().any(|line| line.contains("decision=ended") && line.contains("route=/watched"))
    });
    assert_eq!(gateway.send(&Request::get("/watched/x")).status, 401);
}

#[test]
fn the_commands_and_the_pages_say_so() {
    let (gateway, _upstream) = start();
    let path = gateway.config_path().display().to_string();
    let output = process::run(&["check", "--config", &path], gateway.folder());
    let written = process::written(&output);
    assert!(
        output.status.success() && written.matches("`upstream.enforce` is off").count() == 3,
        "{written}"
    );
    assert!(written.contains("`upstream.enforce` is off: this upstream is open to everybody"), "{written}");

    let explain = |arguments: &[&str]| {
        let output = process::run(&[&["explain", "--config", &path], arguments].concat(), gateway.folder());
        (output.status.success(), process::written(&output))
    };
    let (passes, text) = explain(&["GET", "/watched/x"]);
    assert!(passes && text.contains("forwarded all the same"), "{text}");
    assert!(
        text.contains("it would be refused: 401 unauthorized") && text.contains("enforced      no"),
        "{text}"
    );
    assert!(text.contains("nobody's name, and no token"), "{text}");
    let other = gateway.machine_token("beta");
    let (passes, text) = explain(&["--token", &other, "GET", "/watched/x", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(passes);
    assert_eq!(said["outcome"], "would_refuse");
    assert_eq!((&said["why"]["cause"], &said["why"]["status"]), (&json!("scope_missing"), &json!(403)));
    assert_eq!((&said["route"]["enforced"], &said["passed_on"]), (&json!(false), &json!(false)));
    let (_, text) = explain(&["--token", "Basic amFuZTp4", "GET", "/watched/x"]);
    assert!(text.contains("nobody's name, and the Authorization as it came"), "{text}");
    let (_, text) = explain(&["--token", "opaque", "GET", "/silent/x"]);
    assert!(text.contains("nobody's name, and no token"), "{text}");
    let (passes, text) = explain(&["--token", "Bearer a b", "GET", "/watched/x"]);
    assert!(!passes && text.contains("refused: 400"), "{text}");
    let (passes, text) = explain(&["GET", "/api/x"]);
    assert!(!passes && !text.contains("enforced"), "{text}");

    let tested = |expect: &str| {
        let entry = format!("\n[[test]]\nrequest = \"GET /watched/x\"\nexpect = {expect:?}\n");
        std::fs::write(gateway.config_path(), gateway.config_text() + &entry).unwrap();
        let output = process::run(&["check", "--config", &path], gateway.folder());
        (output.status.success(), process::written(&output))
    };
    assert!(tested("would_refuse").0);
    let (good, text) = tested("unauthorized");
    assert!(!good && text.contains("expected unauthorized, got would_refuse: its upstream has"), "{text}");
}

#[test]
fn what_would_be_refused_is_found_by_its_request_id() {
    let upstream = Upstream::start();
    let console = Console::with(|setup| {
        setup.route("alpha", "/watched", &upstream, "enforce = false");
    });
    let mut root = console.signed_in("root");
    let id = |request: &Request| {
        assert_eq!(console.gateway.send(request).status, 200);
        upstream.take().remove(0).header("x-request-id").unwrap()
    };
    let why = |root: &mut Browser<'_>, id: &str| page(&root.get(&format!("/hub/admin/why?request={id}")));
    let without = id(&Request::get("/watched/secret/x"));
    let shown = why(&mut root, &without);
    for part in [
        "Not enforced: otherwise 401",
        "Nobody is refused here",
        "The client would be told",
        "<code>unauthorized</code>",
        "/watched/secret/x",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let elsewhere = id(&Request::get("/watched/x").bearer(&console.gateway.machine_token("beta")));
    let shown = why(&mut root, &elsewhere);
    assert!(shown.contains("Not enforced: otherwise 403") && shown.contains("scope_missing"), "{shown}");
    // What passes by the rules is none of it, and nothing was refused.
    let good = id(&Request::get("/watched/x").bearer(&console.gateway.machine_token("alpha")));
    let shown = why(&mut root, &good);
    assert!(shown.contains("No refusal with this id") && !shown.contains("otherwise"), "{shown}");
    let shown = page(&root.get("/hub/admin"));
    assert!(!shown.contains(&without) && !shown.contains(&elsewhere), "{shown}");
}

#[test]
fn the_page_of_upstreams_marks_it() {
    let console = Console::with(|setup| {
        setup.route_to("alpha", "/watched", &["http://127.0.0.1:9".to_owned()], "enforce = false");
    });
    let mut root = console.signed_in("root");
    let shown = page(&root.get("/hub/admin/upstreams?find=watched"));
    assert!(shown.contains("open: not enforced") && shown.contains("Nobody is refused here"), "{shown}");
    let shown = page(&root.get("/hub/admin/upstreams?find=beta"));
    assert!(shown.contains("/admin") && !shown.contains("not enforced"), "{shown}");
    let shown = page(&root.get("/hub/admin"));
    assert!(shown.contains("/watched is open: what its rules would refuse is forwarded"), "{shown}");
    let asked = form(&[("method", "GET"), ("address", "/watched/x"), ("token", "")]);
    let shown = page(&root.post("/hub/admin/why", &asked));
    assert!(
        shown.contains("Not enforced: otherwise 401") && shown.contains("Nobody is refused here"),
        "{shown}"
    );
}
