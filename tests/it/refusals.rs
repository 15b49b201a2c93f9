//! What a refused client receives: every row of the table in the surface, as JSON, as problem details and as a page.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::support::{
    Answer, Client, Gateway, Reply, Request, Upstream,
    gateway::{PUBLIC_URL, TOKEN, eventually},
    process::free_port,
};

/// A parsed challenge: scheme and parameters in order.
fn challenge(answer: &Answer) -> (String, Vec<(String, String)>) {
    let value = answer.header("www-authenticate").unwrap_or_else(|| panic!("no challenge in {answer:?}"));
    let (scheme, rest) = value.split_once(' ').expect("a scheme and parameters");
    let mut parameters = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("challenge {value:?}"));
        let (text, after) = after.split_once('"').unwrap_or_else(|| panic!("challenge {value:?}"));
        parameters.push((name.to_owned(), text.to_owned()));
        rest = after.strip_prefix(", ").unwrap_or(after);
        assert!(after.is_empty() || after.starts_with(", "), "challenge {value:?}");
    }
    (scheme.to_owned(), parameters)
}

fn names(parameters: &[(String, String)]) -> Vec<&str> {
    parameters.iter().map(|(name, _)| name.as_str()).collect()
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> &'a str {
    parameters.iter().find(|(n, _)| n == name).map_or_else(|| panic!("no {name}"), |(_, v)| v.as_str())
}

/// The members that every refusal has, and what no answer of ours has.
fn assert_body(answer: &Answer, status: u16, error: &str, content_type: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.complete);
    assert_eq!(answer.header("content-type"), Some(content_type), "{status} {error}");
    let body = answer.json();
    for member in ["error", "error_description", "error_uri", "type", "title", "detail", "request_id"] {
        let text = body[member].as_str().unwrap_or_else(|| panic!("{member} is missing in {body}"));
        assert!(!text.is_empty(), "{member} is empty in {body}");
    }
    assert_eq!(body["error"], error);
    assert_eq!(body["status"], status);
    assert!(body["error_uri"].as_str().unwrap().starts_with(&format!("{PUBLIC_URL}/hub/errors/")), "{body}");
    assert_eq!(
        answer.header("x-request-id"),
        body["request_id"].as_str(),
        "the id in the header and in the body"
    );
    assert_discreet(answer);
}

fn assert_discreet(answer: &Answer) {
    assert_eq!(answer.header("server"), None);
    assert_eq!(answer.header("x-powered-by"), None);
    let everything = format!("{:?}{}", answer.headers, answer.text()).to_ascii_lowercase();
    for word in
        ["hubgate/", "hyper", "rustls", "panicked", ".rs:", "stack backtrace", env!("CARGO_PKG_VERSION")]
    {
        assert!(!everything.contains(word), "{word:?} in {everything}");
    }
}

const JSON: &str = "application/json";

/// A gateway in which every row of the table can be met.
struct Everything {
    gateway: Gateway,
    upstream: Upstream,
}

impl Everything {
    fn start() -> Self {
        let upstream = Upstream::start();
        let down = format!("http://127.0.0.1:{}", free_port());
        let gateway = Gateway::start(|setup| {
            setup
                .standard(&upstream)
                .service("other", "other-secret-0123456789")
                .route(
                    "alpha",
                    "/ruled",
                    &upstream,
                    "[[upstream.rule]]\npath = \"/ruled/**\"\nclients = [\"beta\"]",
                )
                .route(
                    "alpha",
                    "/both",
                    &upstream,
                    "[[upstream.rule]]\npath = \"/both/**\"\nscope = [\"beta\"]",
                )
                .route("alpha", "/small", &upstream, "max_body_size = \"1KiB\"")
                .route("alpha", "/slow", &upstream, "timeout = \"300ms\"")
                .route_to("alpha", "/down", &[down], "connect_timeout = \"1s\"");
        });
        upstream.script(|request| if request.target() == "/slow/x" { Reply::Hang } else { Reply::Describe });
        Self { gateway, upstream }
    }

    /// Every refusal of a route: its name, the request, status and error.
    fn rows(&self) -> Vec<(&'static str, Request, u16, &'static str)> {
        let good = self.gateway.machine_token("alpha");
        let elsewhere = self.gateway.machine_token("other");
        vec![
            ("no token", Request::get("/api/x"), 401, "unauthorized"),
            ("a malformed token", Request::get("/api/x").bearer("garbage"), 401, "invalid_token"),
            ("a bent token", Request::get("/api/x").bearer(&format!("{good}A")), 401, "invalid_token"),
            (
                "a token without the service",
                Request::get("/api/x").bearer(&elsewhere),
                403,
                "insufficient_scope",
            ),
            ("another client", Request::get("/ruled/x").bearer(&good), 403, "access_denied"),
            ("two credentials", Request::get("/api/x").bearer(&good).bearer(&good), 400, "invalid_request"),
            (
                "a malformed header",
                Request::get("/api/x").header("Authorization", "Bearer"),
                400,
                "invalid_request",
            ),
            ("a token in the query", Request::get("/api/x?access_token=a"), 400, "invalid_request"),
            ("an ambiguous path", Request::get("/public/%2e%2e/x"), 400, "invalid_request"),
            ("no route", Request::get("/nowhere"), 404, "not_found"),
            ("none of our pages", Request::get("/hub/nothing"), 404, "not_found"),
            ("no such error", Request::get("/hub/errors/nonsense"), 404, "not_found"),
            ("a method that is not offered", Request::get(TOKEN), 405, "method_not_allowed"),
            ("an upstream that is down", Request::get("/down/x").bearer(&good), 502, "bad_gateway"),
            ("an upstream that is slow", Request::get("/slow/x").bearer(&good), 504, "gateway_timeout"),
            (
                "a body over the limit",
                Request::new("POST", "/small/x").bearer(&good).body(vec![b'x'; 1025]),
                413,
                "content_too_large",
            ),
        ]
    }
}

#[test]
fn every_refusal_has_all_members() {
    let all = Everything::start();
    let mut ids = BTreeSet::new();
    for (name, request, status, error) in all.rows() {
        let answer = all.gateway.send(&request);
        assert_eq!(answer.error(), error, "{name}: {} {}", answer.status, answer.text());
        assert_body(&answer, status, error, JSON);
        assert!(
            ids.insert(answer.json()["request_id"].as_str().unwrap().to_owned()),
            "{name}: the id is not new"
        );
        let again = all.gateway.client().send_h2(&[request]).remove(0);
        assert_body(&again, status, error, JSON);
    }
    for seen in all.upstream.take() {
        assert!(matches!(seen.target().as_str(), "/slow/x"), "{} was forwarded", seen.target());
    }
    all.gateway.assert_innocent(&all.upstream, "all refusals");
}

/// The id that a refused client can tell leads to one decision line, which says why.
#[test]
fn the_request_id_finds_the_decision() {
    let all = Everything::start();
    for (name, request, _, _) in all.rows() {
        let answer = all.gateway.send(&request);
        let id = answer.header("x-request-id").expect("a request id").to_owned();
        eventually(&format!("{name}: a line with {id}"), || all.gateway.lines().contains(&id));
        let lines = all.gateway.lines();
        let about: Vec<&str> = lines.lines().filter(|line| line.contains(&id)).collect();
        assert!((1..=2).contains(&about.len()), "{name}: {about:#?}");
        assert_eq!(about.iter().filter(|line| line.contains("decision=")).count(), 1, "{name}: {about:#?}");
    }
}

#[test]
fn problem_details_when_they_are_asked_for() {
    let all = Everything::start();
    for (name, request, status, error) in all.rows() {
        for accept in ["application/problem+json", "application/problem+json, application/json;q=0.5"] {
            let answer = all.gateway.send(&request.clone().header("Accept", accept));
            assert_eq!(answer.status, status, "{name}");
            assert_body(&answer, status, error, "application/problem+json");
        }
    }
    for accept in ["application/json", "*/*", "text/plain", ""] {
        let answer = all.gateway.send(&Request::get("/api/x").header("Accept", accept));
        assert_body(&answer, 401, "unauthorized", JSON);
    }
}

#[test]
fn pages_for_people() {
    let all = Everything::start();
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (name, request, status, error) in all.rows() {
        let answer = all.gateway.send(&request.header("Accept", accept).header("Sec-Fetch-Mode", "navigate"));
        assert_eq!(answer.status, status, "{name}");
        let content_type = answer.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("text/html"), "{name}: {content_type}");
        let page = answer.text();
        assert!(page.contains(error), "{name}: the page names no code: {page}");
        let id = answer.header("x-request-id").expect("a request id");
        assert!(page.contains(id), "{name}: the page names no request id");
        assert_discreet(&answer);
    }
    // What a request says is shown as text, if it is shown.
    for target in [
        "/nowhere/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/api/x?<script>alert(1)</script>",
        "/nowhere/'-alert(1)-'",
    ] {
        let answer = all.gateway.send(&Request::get(target).header("Accept", accept));
        assert!(!answer.text().contains("<script>alert"), "{target}");
    }
    // HEAD has the same fields and no body.
    let head = all.gateway.send(&Request::new("HEAD", "/api/x"));
    assert_eq!(head.status, 401);
    assert!(head.header("www-authenticate").is_some());
}

#[test]
fn challenges_say_exactly_what_is_wrong() {
    let all = Everything::start();
    let good = all.gateway.machine_token("alpha");
    let elsewhere = all.gateway.machine_token("other");
    let (scheme, none) = challenge(&all.gateway.send(&Request::get("/api/x")));
    assert_eq!(
        (scheme.as_str(), names(&none)),
        ("Bearer", vec!["realm"]),
        "RFC 6750 section 3.1: no error without a token"
    );
    let realm = value(&none, "realm").to_owned();
    assert!(!realm.is_empty());

    let (scheme, bad) = challenge(&all.gateway.send(&Request::get("/api/x").bearer("garbage")));
    assert_eq!(
        (scheme.as_str(), names(&bad)[..3].to_vec()),
        ("Bearer", vec!["realm", "error", "error_description"])
    );
    assert_eq!((value(&bad, "realm"), value(&bad, "error")), (realm.as_str(), "invalid_token"));

    let (scheme, narrow) = challenge(&all.gateway.send(&Request::get("/api/x").bearer(&elsewhere)));
    assert_eq!(scheme, "Bearer");
    assert_eq!((value(&narrow, "error"), value(&narrow, "scope")), ("insufficient_scope", "alpha"));
    assert_eq!(value(&narrow, "realm"), realm);

    // A rule that asks for one more service.
    let both = all.gateway.send(&Request::get("/both/x").bearer(&good));
    assert_eq!((both.status, both.error().as_str()), (403, "insufficient_scope"));
    assert!(value(&challenge(&both).1, "scope").split(' ').any(|s| s == "beta"), "{both:?}");
    let enough = all.gateway.machine_token("alpha%20beta");
    assert_eq!(all.gateway.send(&Request::get("/both/x").bearer(&enough)).status, 200);

    // Refusals that no other token would mend have no challenge for one.
    for request in [Request::get("/nowhere"), Request::get("/down/x").bearer(&good)] {
        assert_eq!(all.gateway.send(&request).header("www-authenticate"), None, "{request:?}");
    }
    let not_allowed = all.gateway.send(&Request::get(TOKEN));
    assert_eq!(not_allowed.header("allow"), Some("POST"));
}

/// `error_uri` leads somewhere.
#[test]
fn every_error_has_a_page() {
    let all = Everything::start();
    let mut uris = BTreeSet::new();
    for (_, request, _, _) in all.rows() {
        let body = all.gateway.send(&request).json();
        uris.insert((
            body["error_uri"].as_str().unwrap().to_owned(),
            body["error"].as_str().unwrap().to_owned(),
        ));
    }
    for code in
        ["invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"]
    {
        uris.insert((format!("{PUBLIC_URL}/hub/errors/{code}"), code.to_owned()));
    }
    assert!(uris.len() >= 14, "{uris:?}");
    for (uri, code) in uris {
        let path = uri.strip_prefix(PUBLIC_URL).unwrap();
        let page = all.gateway.send(&Request::get(path));
        assert_eq!(page.status, 200, "{uri}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{uri}");
        assert!(page.text().contains(&code), "{uri}");
        assert!(page.text().len() > 300, "{uri}: a page that says something");
        assert_discreet(&page);
    }
}

/// Too many refused credentials of one source: 429 with `Retry-After`, while good ones... wait as well, since the source
/// is what is counted.
#[test]
fn guessing_is_slowed_down() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "rejections_per_source", r#""5/m""#);
    });
    let mut limited = None;
    for n in 0..20 {
        let answer = gateway.send(&Request::get("/api/x").bearer(&format!("guess-{n}")));
        if answer.status == 429 {
            limited = Some((n, answer));
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let (n, answer) = limited.expect("a limit after twenty guesses");
    assert!((5..=6).contains(&n), "limited at guess {n}");
    assert_body(&answer, 429, "too_many_requests", JSON);
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    // The token endpoint counts in the same way, and an open route is not guessing.
    let form = Request::form(TOKEN, "grant_type=client_credentials&scope=alpha").basic("machine", "wrong");
    assert_eq!(gateway.send(&form).status, 429);
    gateway.assert_innocent(&upstream, "a limit on guesses");
}

/// By default a test suite, or a client with an old token, is told what is wrong with it a thousand times; a flood is not.
#[test]
fn refused_tokens_are_told_so_a_thousand_times_before_their_source_is_shut_out() {
    let upstream = Upstream::start();
    let (config, folder) = Gateway::prepare(|setup| {
        setup.standard(&upstream);
    });
    let text = std::fs::read_to_string(&config).unwrap();
    let default = text.replace("rejections_per_source = \"off\"\n", "");
    assert_ne!(default, text);
    std::fs::write(&config, default).unwrap();
    let gateway = Gateway::start_in(config, folder);
    let mut client = gateway.raw();
    let first = (0..100_000).find(|n| {
        let guess = Request::get("/api/x").bearer(&format!("guess-{n}"));
        let status = client.send(guess.bytes()).answer().unwrap().status;
        assert!([401, 429].contains(&status), "{status}");
        status == 429
    });
    let first = first.expect("a limit after all");
    assert!(first >= 1200, "the limit came after {first}");
}

#[test]
fn requests_of_one_source_can_be_limited() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "requests_per_source", r#""10/h""#);
    });
    let statuses: Vec<u16> = (0..15).map(|_| gateway.send(&Request::get("/public/x")).status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 10, "{statuses:?}");
    assert_eq!(statuses[10..], [429; 5]);
    let answer = gateway.send(&Request::get("/public/x"));
    assert_body(&answer, 429, "too_many_requests", JSON);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(upstream.take().len(), 10);
}

/// Threats D3: heads and bodies that are too large, with the limits that are configured.
#[test]
fn sizes_have_limits() {
    let (gateway, upstream) = Gateway::standard();
    let many = (0..150).fold(Request::get("/public/x"), |r, n| r.header(&format!("X-{n}"), "1"));
    let cookies = Request::get("/public/x").header("Cookie", &"a=b; ".repeat(40_000));
    let large_form =
        Request::form(TOKEN, &format!("grant_type=client_credentials&x={}", "a".repeat(1 << 20)));
    for (name, request, wanted) in [
        ("150 fields", many, &[400, 431][..]),
        ("200 kB of cookies", cookies, &[400, 431]),
        ("a form of 1 MiB", large_form, &[400, 413]),
    ] {
        let mut client = gateway.raw();
        client.send(request.bytes());
        let status = client.answer_to(&request.method).map(|a| a.status);
        assert!(status.is_none_or(|s| wanted.contains(&s)), "{name}: {status:?}");
        assert!(upstream.take().is_empty(), "{name}");
        gateway.assert_innocent(&upstream, name);
    }
}

/// A head has its limit to the byte, in one piece and in several, and the fields have theirs over both protocols.
#[test]
fn heads_have_exactly_their_limit() {
    for limit in [16 * 1024, 64 * 1024] {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup.standard(&upstream).set("limits", "max_header_size", &format!("\"{}KiB\"", limit / 1024));
        });
        let sized = |size: usize| {
            let empty = Request::get("/public/x").header("X-Fill", "").bytes().len();
            Request::get("/public/x").header("X-Fill", &"a".repeat(size - empty)).bytes()
        };
        for (size, wanted) in [(limit, 200), (limit + 1, 431), (limit + 5_000, 431), (limit * 2 - 1, 431)] {
            let bytes = sized(size);
            assert_eq!(bytes.len(), size);
            for piece in [bytes.len(), 10_000] {
                let mut client = gateway.raw();
                for piece in bytes.chunks(piece) {
                    client.send(piece);
                }
                let status = client.answer().expect("an answer").status;
                assert_eq!(status, wanted, "{size} bytes of {limit} in pieces of {piece}");
                assert_eq!(upstream.take().len(), usize::from(wanted == 200));
            }
        }
        gateway.assert_innocent(&upstream, "heads around the limit");
    }
}

/// Refusing is quick even when the client is slow to finish.
#[test]
fn refusals_do_not_wait() {
    let (gateway, _upstream) = Gateway::standard();
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(Client::new(gateway.address()).send(&Request::get("/api/x")).status, 401);
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?} for twenty refusals", started.elapsed());
}
