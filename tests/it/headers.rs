//! Identity headers and forwarded metadata (threats A2): whatever a client sends, the upstream sees the gateway's word
//! alone; and which credentials are looked at.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::support::{
    Gateway, Recorded, Request, Upstream,
    forge::{self, base64},
    gateway::{PUBLIC_URL, TOKEN},
    process::{Serve, free_port},
    table, tls,
};

/// The headers by which the gateway speaks to an upstream (surface: "What an upstream receives"), and those that
/// servers take for such.
const SPOKEN: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Client",
    "X-Forwarded-Scope",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Request-Id",
];

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Nothing of what a client claimed is in the request.
fn assert_not_believed(seen: &Recorded, name: &str) {
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    assert!(!head.contains("forged"), "{name}: {head}");
    for spoken in SPOKEN {
        let same: Vec<_> = seen.fields().into_iter().filter(|(n, _)| folded(n) == folded(spoken)).collect();
        assert!(same.len() <= 1, "{name}: {same:?}");
    }
}

/// What the upstream is told about `machine` with scope `alpha`.
fn assert_identity(seen: &Recorded, name: &str) {
    assert_eq!(seen.header("x-forwarded-client").as_deref(), Some("machine"), "{name}");
    assert_eq!(seen.header("x-forwarded-scope").as_deref(), Some("alpha"), "{name}");
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"), "{name}");
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"), "{name}");
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("localhost"), "{name}");
    for absent in
        ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"]
    {
        assert_eq!(seen.header(absent), None, "{name}: a service acts for itself");
    }
    assert!(seen.header("x-request-id").is_some_and(|id| !id.is_empty()), "{name}");
    let authorization = seen.header("authorization").expect("a scoped token");
    let (_, claims) = forge::decode(authorization.strip_prefix("Bearer ").expect("a bearer token"));
    assert_eq!(claims["aud"], serde_json::json!(["alpha"]), "{name}");
}

/// H1, H2: every name, in every spelling that some server folds into it.
#[test]
fn a_clients_own_identity_headers_never_arrive() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    let mut names: Vec<String> = Vec::new();
    for name in SPOKEN {
        names.extend([
            (*name).to_owned(),
            name.to_ascii_lowercase(),
            name.to_ascii_uppercase(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replacen('-', "_", 1),
            name.replacen('-', ".", 1).to_ascii_lowercase(),
            name.replace('-', "_").to_ascii_uppercase(),
        ]);
    }
    for name in ["Forwarded", "X-Real-IP", "X_Real_IP", "X-Forwarded-Access-Token", "X-Forwarded-Anything"] {
        names.push(name.to_owned());
    }
    table::leave(names.iter().map(|name| json!({"name": name, "forged": name, "spoken": SPOKEN})));
    for name in &names {
        let request = Request::get("/api/x").bearer(&token).header(name, "forged");
        let answer = gateway.send(&request);
        let seen = upstream.take();
        if answer.status == 400 {
            assert!(seen.is_empty(), "{name}");
            continue;
        }
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_not_believed(&seen[0], name);
        assert_identity(&seen[0], name);
    }
    // All at once and twice each, over both protocols; on an open route nobody is anybody.
    let mut all = Request::get("/api/x").bearer(&token);
    let mut open = Request::get("/public/x");
    for name in names.iter().chain(&names).filter(|n| !n.contains(['_', '.'])).take(60) {
        all = all.header(&name.to_ascii_lowercase(), "forged");
        open = open.header(&name.to_ascii_lowercase(), "forged");
    }
    for (request, identified) in [(&all, true), (&open, false)] {
        assert_eq!(gateway.send(request).status, 200);
        assert_eq!(gateway.client().send_h2(std::slice::from_ref(request))[0].status, 200);
        for seen in upstream.take() {
            assert_not_believed(&seen, "all at once");
            if identified {
                assert_identity(&seen, "all at once");
            } else {
                assert_eq!(seen.header("x-forwarded-client"), None);
                assert_eq!(seen.header("authorization"), None);
            }
        }
    }
    gateway.assert_innocent(&upstream, "forged identities");
}

/// H3: a `Connection` header cannot take away what the gateway says, nor bend the framing.
#[test]
fn connection_options_do_not_remove_what_the_gateway_sets() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    let cases = [
        &["X-Forwarded-Client"][..],
        &["x-forwarded-client, close"],
        &["X-Forwarded-Client", "x-forwarded-scope"],
        &["keep-alive, X-Forwarded-Scope,,X-Forwarded-For"],
        &["authorization"],
        &["Authorization, X-Request-Id"],
        &["host"],
        &["content-length"],
        &["transfer-encoding"],
        &["X_Forwarded_Client"],
        &["connection"],
        &["te, trailer, upgrade"],
        &["\"x-forwarded-client\""],
        &["x-forwarded-client\t,\tclose"],
    ];
    table::leave(cases.iter().map(|options| json!({"name": options, "options": options, "spoken": SPOKEN})));
    for options in cases {
        let name = format!("{options:?}");
        let mut request = Request::new("POST", "/api/x").bearer(&token).body("seventeen bytes!!");
        for option in options {
            request = request.header("Connection", option);
        }
        let answer = gateway.send(&request);
        if answer.status == 400 {
            assert!(upstream.take().is_empty(), "{name}");
        } else {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let seen = upstream.wait_for(1).remove(0);
            upstream.take();
            assert_identity(&seen, &name);
            assert_eq!(seen.body, b"seventeen bytes!!", "{name}");
            assert_eq!(seen.header("host").map(|h| h.is_empty()), Some(false), "{name}");
        }
        gateway.assert_innocent(&upstream, &name);
    }
    // The credential is judged although `Connection` names it.
    let refused =
        gateway.send(&Request::get("/api/x").header("Connection", "authorization").bearer("garbage"));
    assert!(matches!(refused.status, 400 | 401), "{}", refused.status);
    assert!(upstream.take().is_empty());
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let (gateway, upstream) = Gateway::standard();
    let request = Request::get("/public/x")
        .header("Connection", "X-Named, x-other-named")
        .header("Connection", "keep-alive")
        .header("X-Named", "hop")
        .header("X-Other-Named", "hop")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic aG9wOmhvcA==")
        .header("TE", "trailers")
        .header("Trailer", "X-T")
        .header("X-Kept", "kept")
        .header("Cookie", "a=1; b=2");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = upstream.take().remove(0);
    for name in ["x-named", "x-other-named", "keep-alive", "proxy-connection", "proxy-authorization"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-kept").as_deref(), Some("kept"));
    assert_eq!(seen.header("cookie").as_deref(), Some("a=1; b=2"));
    // And in the answer.
    upstream.reply(crate::support::Reply::raw(
        "HTTP/1.1 200 OK\r\nConnection: X-Secret-Hop\r\nX-Secret-Hop: hop\r\nKeep-Alive: timeout=5\r\nX-Kept: kept\r\nContent-Length: 2\r\n\r\nok",
    ));
    for answer in [
        gateway.send(&Request::get("/public/x")),
        gateway.client().send_h2(&[Request::get("/public/x")]).remove(0),
    ] {
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.header("x-secret-hop"), None);
        assert_eq!(answer.header("keep-alive"), None);
        assert_eq!(answer.header("x-kept"), Some("kept"));
    }
}

/// H4: by default nobody may speak for a client.
#[test]
fn forwarded_metadata_of_strangers_is_replaced() {
    let (gateway, upstream) = Gateway::standard();
    for (name, value) in [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", "forged, 127.0.0.1"),
        ("X-Forwarded-Proto", "forged"),
        ("X-Forwarded-Host", "forged.example"),
        ("X-Forwarded-Port", "6666"),
        ("X-Forwarded-Prefix", "/forged"),
        ("X-Forwarded-Uri", "/public/forged"),
        ("X-Forwarded-Method", "FORGED"),
        ("X-Forwarded-Server", "forged"),
        ("X-Forwarded-Ssl", "forged"),
        ("Forwarded", "for=6.6.6.6;host=forged.example;proto=http"),
        ("X-Original-URL", "/public/forged"),
        ("X-Original-Method", "FORGED"),
        ("X-Rewrite-URL", "/public/forged"),
        ("X-Real-IP", "6.6.6.6"),
        ("X-Envoy-Original-Path", "/public/forged"),
        ("X-Envoy-External-Address", "6.6.6.6"),
        ("X-Request-Id", "forged"),
        ("X-Client-IP", "6.6.6.6"),
        ("True-Client-IP", "6.6.6.6"),
    ] {
        // It decides nothing: the closed route stays closed.
        let refused = gateway.send(&Request::get("/admin/x").header(name, value));
        assert_eq!(refused.status, 401, "{name}");
        assert!(upstream.take().is_empty(), "{name}");
        // And it is not handed on.
        assert_eq!(gateway.send(&Request::get("/public/x").header(name, value)).status, 200, "{name}");
        let seen = upstream.take().remove(0);
        let forwarding = seen.fields().into_iter().filter(|(n, _)| n.starts_with("x-") || n == "forwarded");
        for (field, seen_value) in forwarding {
            let believed = ["6.6.6.6", "6666", "forged", "FORGED"].iter().any(|lie| seen_value.contains(lie));
            let ours =
                matches!(field.as_str(), "x-client-ip" | "true-client-ip" | "x-envoy-external-address");
            assert!(!believed || ours, "{name}: {field}: {seen_value}");
        }
        assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"), "{name}");
        assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"), "{name}");
        assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("localhost"), "{name}");
        assert_eq!(seen.all("x-forwarded-port"), ["443"], "{name}");
        assert_eq!(seen.header("x-forwarded-prefix"), None, "{name}");
    }
    gateway.assert_innocent(&upstream, "forged metadata");
}

/// H4, the other side: a proxy that is named may say where a request came from, and still not who sent it.
#[test]
fn trusted_proxies_may_tell_the_origin_and_nothing_else() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("listen", "trusted_proxies", r#"["127.0.0.0/8"]"#);
    });
    let request = Request::get("/public/x")
        .header("X-Forwarded-For", "203.0.113.7")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "front.example")
        .header("X-Request-Id", "from-the-proxy-1")
        .header("X-Forwarded-User", "forged")
        .header("X-Forwarded-Client", "forged")
        .header("X-Forwarded-Groups", "forged");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = upstream.take().remove(0);
    assert_not_believed(&seen, "a trusted proxy");
    let chain = seen.header("x-forwarded-for").unwrap();
    assert!(chain.starts_with("203.0.113.7"), "{chain}");
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("front.example"));
    assert_eq!(seen.header("x-request-id").as_deref(), Some("from-the-proxy-1"));
    // Without them, the gateway's own words.
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    let seen = upstream.take().remove(0);
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("localhost"));
    // Other networks are no one: a set that does not hold this peer is as good as none.
    let elsewhere = Gateway::start(|setup| {
        setup.standard(&upstream).set("listen", "trusted_proxies", r#"["10.0.0.0/8", "::1/128"]"#);
    });
    assert_eq!(elsewhere.send(&request).status, 200);
    let seen = upstream.take().remove(0);
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_ne!(seen.header("x-request-id").as_deref(), Some("from-the-proxy-1"));
}

/// What belongs together is told together: the port goes with the host and the scheme, and the prefix with what was taken off.
#[test]
fn upstreams_are_told_port_and_prefix() {
    let upstream = Upstream::start();
    let start = |trusted: &str| {
        Gateway::start(|setup| {
            setup
                .standard(&upstream)
                .set("listen", "trusted_proxies", trusted)
                .open("/cut", &upstream, "strip_path = true")
                .open("/moved", &upstream, "strip_path = true\nprepend_path = \"/app\"")
                .open("/longer", &upstream, "prepend_path = \"/app\"");
        })
    };
    let told = |gateway: &Gateway, request: &Request| {
        let answers =
            [gateway.send(request), gateway.client().send_h2(std::slice::from_ref(request)).remove(0)];
        assert!(answers.iter().all(|answer| answer.status == 200), "{request:?}");
        let mut seen = upstream.take().into_iter().map(|seen| {
            (seen.target(), seen.all("x-forwarded-port").join("|"), seen.all("x-forwarded-prefix").join("|"))
        });
        let first = seen.next().unwrap();
        assert_eq!(seen.next().as_ref(), Some(&first), "the same over both protocols");
        first
    };
    let forged = [
        ("X-Forwarded-Port", "6666"),
        ("x_forwarded_port", "6666"),
        ("X-Forwarded-Prefix", "/forged"),
        ("X-Forwarded.Prefix", "/forged"),
    ];
    let all = |request: Request, fields: &[(&str, &str)]| {
        fields.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    let gateway = start("[]");
    for (target, host, fields, wanted) in [
        ("/public/x", "localhost", &[][..], ("/public/x", "443", "")),
        ("/public/x", "localhost:8443", &[], ("/public/x", "8443", "")),
        ("/public/x", "[::1]:8443", &[], ("/public/x", "8443", "")),
        ("/public/x", "[::1]", &[], ("/public/x", "443", "")),
        ("/cut/x?a=b", "localhost", &[], ("/x?a=b", "443", "/cut")),
        ("/cut", "localhost", &[], ("/", "443", "/cut")),
        ("/moved/x", "localhost", &[], ("/app/x", "443", "/moved")),
        ("/longer/x", "localhost", &[], ("/app/longer/x", "443", "")),
        ("/public/x", "localhost", &forged, ("/public/x", "443", "")),
        ("/cut/x", "localhost:8443", &forged, ("/x", "8443", "/cut")),
    ] {
        let (path, port, prefix) = told(&gateway, &all(Request::get(target).host(host), fields));
        assert_eq!((path.as_str(), port.as_str(), prefix.as_str()), wanted, "{target} at {host}");
    }
    // A trusted proxy knows better, if it says it well.
    let gateway = start(r#"["127.0.0.0/8"]"#);
    for (target, fields, port, prefix) in [
        (
            "/public/x",
            &[("X-Forwarded-Port", "8443"), ("X-Forwarded-Prefix", "/outer")][..],
            "8443",
            "/outer",
        ),
        ("/cut/x", &[("X-Forwarded-Prefix", "/outer/")], "443", "/outer/cut"),
        ("/cut/x", &[("X-Forwarded-Prefix", "//evil.example")], "443", "/cut"),
        ("/public/x", &[("X-Forwarded-Host", "front.example:8444")], "8444", ""),
        ("/public/x", &[("X-Forwarded-Host", "front.example"), ("X-Forwarded-Proto", "http")], "80", ""),
        ("/public/x", &[("X-Forwarded-Host", "front.example"), ("X-Forwarded-Port", "x")], "443", ""),
        ("/cut/x", &[], "443", "/cut"),
    ] {
        let (_, seen_port, seen_prefix) = told(&gateway, &all(Request::get(target), fields));
        assert_eq!((seen_port.as_str(), seen_prefix.as_str()), (port, prefix), "{target} with {fields:?}");
    }
}

/// H6: no link is built from what the request says about itself.
#[test]
fn links_come_from_the_configuration() {
    let (gateway, _upstream) = Gateway::standard();
    for request in [
        Request::get("/api/x").host("evil.example"),
        Request::get("/api/x")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "javascript"),
        Request::get("/api/x").header("Forwarded", "host=evil.example;proto=javascript"),
        Request::form(TOKEN, "grant_type=nonsense")
            .basic("machine", "machine-secret-0123456789")
            .host("evil.example"),
        Request::get("/hub/nothing").host("evil.example"),
    ] {
        let answer = gateway.send(&request);
        assert!(answer.status >= 400, "{request:?}");
        let uri = answer.json()["error_uri"].as_str().expect("error_uri").to_owned();
        assert!(uri.starts_with(&format!("{PUBLIC_URL}/hub/errors/")), "{uri}");
        let everything = format!("{:?}{}", answer.headers, answer.text());
        assert!(!everything.contains("evil") && !everything.contains("javascript"), "{everything}");
    }
}

/// H7: two credentials are none.
#[test]
fn more_than_one_credential_is_refused() {
    let (gateway, upstream) = Gateway::standard();
    let good = gateway.machine_token("alpha");
    let other = gateway.token("alpha", "alpha-secret-0123456789", "alpha");
    let api = || Request::get("/api/x");
    for (name, request) in [
        ("good and bad", api().bearer(&good).bearer("garbage")),
        ("bad and good", api().bearer("garbage").bearer(&good)),
        ("good and good", api().bearer(&good).bearer(&good)),
        ("two clients", api().bearer(&good).bearer(&other)),
        ("bearer and basic", api().bearer(&good).basic("machine", "machine-secret-0123456789")),
        ("basic and bearer", api().basic("machine", "machine-secret-0123456789").bearer(&good)),
        ("good and empty", api().bearer(&good).header("authorization", "")),
        ("a list", api().header("Authorization", &format!("Bearer {good}, Bearer {other}"))),
        ("a list of tokens", api().header("Authorization", &format!("Bearer {good},{other}"))),
        ("a list with a scheme", api().header("Authorization", &format!("Bearer {good}, Basic eDp5"))),
    ] {
        for answer in [gateway.send(&request), gateway.client().send_h2(&[request]).remove(0)] {
            assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"), "{name}");
        }
        assert!(upstream.take().is_empty(), "{name}");
        gateway.assert_innocent(&upstream, name);
    }
    assert_eq!(gateway.send(&api().bearer(&good)).status, 200);
}

/// H8: a token belongs into the header; in a query it is in every log on the way.
#[test]
fn tokens_in_queries_are_refused_and_bodies_are_not_searched() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    for query in [
        format!("access_token={token}"),
        format!("x=1&access_token={token}"),
        format!("access%5Ftoken={token}"),
        format!("%61ccess_token={token}"),
        format!("x&%61%63%63%65%73%73%5f%74%6f%6b%65%6e={token}&y"),
        "access_token=".to_owned(),
        "access_token".to_owned(),
        format!("access_token={token}&access_token={token}"),
    ] {
        for with_header in [false, true] {
            let mut request = Request::get(&format!("/api/x?{query}"));
            if with_header {
                request = request.bearer(&token);
            }
            let answer = gateway.send(&request);
            assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"), "{query}");
            assert!(!answer.text().contains(&token), "the refusal repeats the token");
            assert!(upstream.take().is_empty(), "{query}");
        }
        gateway.assert_innocent(&upstream, &query);
    }
    for query in ["x=access_token", "my_access_token=1", "access_token_x=1", "q=a?access_token=1"] {
        let answer = gateway.send(&Request::get(&format!("/api/x?{query}")).bearer(&token));
        assert_eq!(answer.status, 200, "{query} is an ordinary parameter");
        assert_eq!(upstream.take().remove(0).target(), format!("/api/x?{query}"));
    }
    let form = format!("access_token={token}");
    assert_eq!(gateway.send(&Request::form("/api/x", &form)).status, 401, "a body is not a credential");
    assert!(upstream.take().is_empty());
    assert_eq!(gateway.send(&Request::form("/api/x", &form).bearer(&token)).status, 200);
    assert_eq!(upstream.take().remove(0).body, form.as_bytes(), "a body is not looked at");
}

/// H9, H10: what is a bearer credential, and what is merely attached.
#[test]
fn the_bearer_grammar() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let answer =
            gateway.send(&Request::get("/api/x").header("Authorization", &format!("{scheme} {token}")));
        assert_eq!(answer.status, 200, "{scheme}");
    }
    // RFC 6750 section 2.1 allows several blanks; those around a field's value are no part of it (RFC 9110 section 5.5).
    for value in [format!("Bearer   {token}"), format!("Bearer {token}  ")] {
        assert_eq!(gateway.send(&Request::get("/api/x").header("Authorization", &value)).status, 200);
    }
    upstream.take();
    let header = |value: Vec<u8>| {
        [b"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: ", &value[..], b"\r\n\r\n"].concat()
    };
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("empty", b"".to_vec(), &[400, 401]),
        ("scheme alone", b"Bearer".to_vec(), &[400]),
        ("scheme and blank", b"Bearer ".to_vec(), &[400]),
        ("a blank and a tab", format!("Bearer \t{token}").into(), &[400, 401]),
        ("a tab", format!("Bearer\t{token}").into(), &[400, 401]),
        ("two tokens", format!("Bearer {token} {token}").into(), &[400, 401]),
        ("quoted", format!("Bearer \"{token}\"").into(), &[400, 401]),
        ("a parameter", format!("Bearer token={token}").into(), &[400, 401]),
        ("no blank", format!("Bearer{token}").into(), &[400, 401]),
        ("a colon", format!("Bearer: {token}").into(), &[400, 401]),
        ("a token alone", token.clone().into(), &[400, 401]),
        ("a part more", format!("Bearer {token}x").into(), &[401]),
        ("a comma", format!("Bearer {token},").into(), &[400, 401]),
        ("padded", format!("Bearer {token}=").into(), &[400, 401]),
        ("upper case", format!("Bearer {}", token.to_uppercase()).into(), &[401]),
        ("64 kB", format!("Bearer {}", "a".repeat(64_000)).into(), &[400, 401, 431]),
        ("17 kB", format!("Bearer {}", "a".repeat(17_000)).into(), &[400, 401, 431]),
        ("not ASCII", b"Bearer \xc3\xa4".to_vec(), &[400, 401]),
        ("high bytes", b"Bearer \xff\xfe".to_vec(), &[400, 401]),
        ("a random word", b"Bearer x".to_vec(), &[401]),
        ("a random JWT", b"Bearer a.b.c".to_vec(), &[401]),
        ("two dots", b"Bearer ..".to_vec(), &[401]),
        ("a permanent token", b"Bearer perm:cm9vdA==.bmFtZQ==.secretsecretsecret".to_vec(), &[401]),
        ("a permanent token, newer", b"Bearer perm-cm9vdA==.bmFtZQ==.secretsecretsecret".to_vec(), &[401]),
        ("null", b"Bearer null".to_vec(), &[401]),
        ("undefined", b"Bearer undefined".to_vec(), &[401]),
        ("Basic", format!("Basic {}", base64("machine:machine-secret-0123456789")).into(), &[400, 401]),
        ("Token", format!("Token {token}").into(), &[400, 401]),
        ("DPoP", format!("DPoP {token}").into(), &[400, 401]),
        ("Negotiate", b"Negotiate YII=".to_vec(), &[400, 401]),
    ];
    for (name, value, wanted) in cases {
        let answer =
            gateway.raw().send(header(value)).answer().unwrap_or_else(|| panic!("{name}: no answer"));
        assert!(wanted.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        if answer.status == 401 {
            let challenge =
                answer.header("www-authenticate").unwrap_or_else(|| panic!("{name}: no challenge"));
            assert!(challenge.starts_with("Bearer realm="), "{name}: {challenge}");
        }
        assert!(upstream.take().is_empty(), "{name}");
        gateway.assert_innocent(&upstream, name);
    }
}

/// H12: a client's credential goes to the service that it was meant for, and only where the route says so.
#[test]
fn credentials_do_not_travel_further() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&token)).status, 200);
    let seen = String::from_utf8_lossy(&upstream.take().remove(0).head).into_owned();
    assert!(!seen.contains(&token), "the scoped route got the client's own token");
    let open = gateway.send(&Request::get("/public/x").bearer(&token));
    assert!(matches!(open.status, 200 | 401 | 403), "{}", open.status);
    for seen in upstream.take() {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains(&token), "an open route got the client's token: {head}");
    }
}

/// H13: what is secret is in no log at any level, and a request cannot write lines of its own.
#[test]
fn logs_hold_no_secrets_and_one_line_for_each_event() {
    for format in ["json", "text"] {
        let upstream = Upstream::start();
        let port = free_port();
        let (config, _folder) = Gateway::prepare(|setup| {
            setup
                .standard(&upstream)
                .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
                .set("log", "format", &format!("{format:?}"))
                .set("log", "level", r#""trace""#)
                .set("log", "access", "true");
        });
        let mut serve = Serve::start(&config, port);
        let client = serve.client();
        let form = "grant_type=client_credentials&scope=alpha";
        let answer = client.send(&Request::form(TOKEN, form).basic("machine", "machine-secret-0123456789"));
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let in_body = format!("{form}&client_id=machine&client_secret=machine-secret-0123456789");
        assert_eq!(client.send(&Request::form(TOKEN, &in_body)).status, 200);
        client.send(&Request::form(TOKEN, form).basic("machine", "guessed-secret-1"));
        client
            .send(&Request::form(TOKEN, "grant_type=password&username=u&password=a-password-2&scope=alpha"));
        client.send(&Request::form(TOKEN, "grant_type=authorization_code&code=a-code-3&client_id=machine"));
        client.send(&Request::form(TOKEN, "grant_type=refresh_token&refresh_token=a-refresh-4"));
        client.send(&Request::get(&format!("{TOKEN}?client_secret=query-secret-5")));
        assert_eq!(
            client.send(&Request::get("/api/x").bearer(&token).header("Cookie", "c=cookie-value-6")).status,
            200
        );
        client.send(&Request::get("/api/x").bearer("perm:bogus-token-7"));
        client.send(&Request::get(&format!("/api/x?access_token={token}")));
        client.send(&Request::get("/api/x?ticket=query-value-8"));
        client.send_h2(&[Request::get("/api/y").bearer(&token)]);
        // Lines of one's own.
        client.send(&Request::get("/public/a%0aINJECTED"));
        client.send(&Request::get("/public/a%22,%22INJECTED%22:%22"));
        client.send(&Request::get("/public/x").header("User-Agent", "\"},{\"INJECTED\":\"\\n\\u001b[31m"));
        client.send(&Request::get("/public/x").header("Referer", "INJECTED level=ERROR msg=\"x\""));
        client.send(&Request::new("INJECTED", "/public/x"));
        client.send(
            &Request::form(TOKEN, "grant_type=%0aINJECTED%1b[31m&scope=%0d%0aINJECTED")
                .basic("machine", "machine-secret-0123456789"),
        );
        client.send(&Request::form(TOKEN, form).basic("machine\nINJECTED", "x"));
        serve.signal("TERM");
        assert_eq!(serve.exit_within(Duration::from_secs(20)), Some(0), "{}", serve.log());

        let log = serve.log();
        let scoped =
            upstream.requests().iter().find_map(|r| r.header("authorization")).expect("a scoped token");
        let scoped = scoped.trim_start_matches("Bearer ");
        let secrets = [
            token.as_str(),
            token.rsplit('.').next().unwrap(),
            scoped,
            scoped.rsplit('.').next().unwrap(),
            "machine-secret-0123456789",
            "alpha-secret-0123456789",
            &base64("machine:machine-secret-0123456789"),
            "guessed-secret-1",
            &base64("machine:guessed-secret-1"),
            "a-password-2",
            "a-code-3",
            "a-refresh-4",
            "query-secret-5",
            "cookie-value-6",
            "bogus-token-7",
            "query-value-8",
            "PRIVATE KEY",
        ];
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in the {format} log");
        }
        assert!(!log.contains('\u{1b}'), "an escape sequence reached the log");
        let mut events = 0;
        for line in log.lines().filter(|line| !line.is_empty()) {
            events += 1;
            if format == "json" {
                let parsed: Result<serde_json::Map<String, serde_json::Value>, _> =
                    serde_json::from_str(line);
                let object = parsed.unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
                assert!(!object.contains_key("INJECTED"), "{line}");
            } else {
                assert!(!line.starts_with("INJECTED"), "{line}");
            }
        }
        assert!(events >= 20, "one access line and one decision line for each request: only {events} lines");
        assert_eq!(log.matches("/api/y").count().min(1), 1, "the access line names the path");
    }
}

/// H15: early data can be replayed, so the gateway takes none.
#[test]
fn early_data_is_never_accepted() {
    use std::io::{Read as _, Write as _};
    let (gateway, _upstream) = Gateway::standard();
    let (config, _) = tls::client("http/1.1");
    let mut config = Arc::unwrap_or_clone(config);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for round in 0..3 {
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        assert!(connection.early_data().is_none(), "round {round}: the gateway's ticket offers early data");
        let socket = std::net::TcpStream::connect(gateway.address()).unwrap();
        connection.complete_io(&mut &socket).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        stream.write_all(&Request::get("/public/x").bytes()).unwrap();
        let mut first = [0; 64];
        let read = stream.read(&mut first).unwrap();
        assert!(first[..read].starts_with(b"HTTP/1.1 200"));
        assert!(!stream.conn.is_early_data_accepted());
    }
}
