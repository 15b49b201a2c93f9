//! Requests over HTTP/2 that no library would send (threats A3: S7, S8).

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Gateway, RawClient, Reply, Request, Upstream,
    gateway::eventually,
    h2::{Field, H2, Outcome},
    table,
};

const BASE: [Field<'static>; 4] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/public/attack"),
];

/// The basic fields with one replaced, or one more.
fn fields<'a>(name: &'a [u8], value: &'a [u8]) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = BASE.to_vec();
    match fields.iter_mut().find(|(n, _)| *n == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    fields
}

fn exchange(gateway: &Gateway, fields: &[Field<'_>]) -> Outcome {
    let mut connection = H2::connect(gateway.address());
    connection.headers(1, fields, true);
    connection.outcome(1)
}

/// S7: what would become another request, or another framing, in HTTP/1.1.
#[test]
fn fields_that_would_break_http_1_are_refused() {
    let (gateway, upstream) = Gateway::standard();
    assert_eq!(exchange(&gateway, &BASE).status, Some(200), "the control");
    upstream.take();
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("a request line in the method", b":method", b"GET /admin HTTP/1.1\r\nX: y"),
        ("a blank in the method", b":method", b"GET /admin"),
        ("an empty method", b":method", b""),
        ("CRLF in the method", b":method", b"GET\r\n"),
        ("a blank in the path", b":path", b"/public/x HTTP/1.1"),
        ("CRLF in the path", b":path", b"/public/x HTTP/1.1\r\nX-Forwarded-User: forged\r\nX: "),
        ("LF in the path", b":path", b"/public/x\n"),
        ("a tab in the path", b":path", b"/public/x\ty"),
        ("NUL in the path", b":path", b"/public/x\0"),
        ("CRLF in the authority", b":authority", b"localhost\r\nX-A: b"),
        ("CRLF in the scheme", b":scheme", b"https\r\n"),
        ("CRLF in a value", b"x-a", b"b\r\nX-Forwarded-User: forged"),
        ("LF in a value", b"x-a", b"b\nTransfer-Encoding: chunked"),
        ("CR in a value", b"x-a", b"b\rc"),
        ("NUL in a value", b"x-a", b"b\0c"),
        ("DEL in a value", b"x-a", b"b\x7fc"),
        ("an upper-case name", b"X-A", b"b"),
        ("one upper-case letter", b"x-A", b"b"),
        ("a colon in a name", b"x:a", b"b"),
        ("a colon last", b"x-a:", b"b"),
        ("a blank in a name", b"x a", b"b"),
        ("a blank last", b"x-a ", b"b"),
        ("an empty name", b"", b"b"),
        ("CRLF in a name", b"x-a: b\r\nx-forwarded-user", b"forged"),
        ("NUL in a name", b"x\0a", b"b"),
        ("a high byte in a name", b"x\xe4a", b"b"),
        ("a parenthesis in a name", b"x(a", b"b"),
        ("transfer-encoding", b"transfer-encoding", b"chunked"),
        ("connection", b"connection", b"close"),
        ("keep-alive", b"keep-alive", b"timeout=5"),
        ("upgrade", b"upgrade", b"websocket"),
        ("proxy-connection", b"proxy-connection", b"keep-alive"),
        ("te other than trailers", b"te", b"gzip"),
        ("content-length that is no number", b"content-length", b"5x"),
        ("content-length with a sign", b"content-length", b"+0"),
        ("content-length in a list", b"content-length", b"0, 5"),
    ];
    table::leave(cases.iter().map(|(name, field, value)| {
        json!({"name": name, "fields": table::fields(&fields(field, value)), "want": "Refused"})
    }));
    for (name, field, value) in cases {
        let outcome = exchange(&gateway, &fields(field, value));
        assert!(outcome.is_refusal(), "{name}: {outcome:?}");
        let seen = upstream.take();
        assert!(seen.is_empty(), "{name}: the upstream got {:?}", String::from_utf8_lossy(&seen[0].head));
        gateway.assert_innocent(&upstream, name);
    }
    let mut two_lengths = fields(b"content-length", b"0");
    two_lengths.push((b"content-length", b"5"));
    assert!(exchange(&gateway, &two_lengths).is_refusal());
    assert!(upstream.take().is_empty());
    // What is allowed passes, and does not arrive as a hop-by-hop field.
    let outcome = exchange(&gateway, &fields(b"te", b"trailers"));
    assert_eq!(outcome.status, Some(200));
    upstream.take();
    gateway.assert_innocent(&upstream, "all malformed fields");
}

/// The name `x_forwarded_user` folds into an identity header in HTTP/2 as well.
#[test]
fn folded_names_over_http_2() {
    let (gateway, upstream) = Gateway::standard();
    for name in [
        &b"x-forwarded-user"[..],
        b"x_forwarded_user",
        b"x.forwarded.user",
        b"x_forwarded-client",
        b"content_length",
        b"transfer_encoding",
    ] {
        let outcome = exchange(&gateway, &fields(name, b"forged"));
        assert!(matches!(outcome.status, Some(200 | 400)), "{outcome:?}");
        for seen in upstream.take() {
            assert!(!String::from_utf8_lossy(&seen.head).contains("forged"));
        }
    }
}

/// S8: the length that is promised and the bytes that come must agree.
#[test]
fn lengths_that_lie_are_stream_errors() {
    let (gateway, upstream) = Gateway::standard();
    for (name, pieces) in [
        ("headers only", &[][..]),
        ("an empty body", &[&b""[..]]),
        ("one byte short", &[b"four"]),
        ("one byte more", &[b"sixsix"]),
        ("short in pieces", &[b"a", b"b", b"c"]),
        ("long in pieces", &[b"abc", b"def"]),
        ("long after enough", &[b"hello", b"!"]),
    ] {
        let mut connection = H2::connect(gateway.address());
        let mut head = fields(b":method", b"POST");
        head.push((b"content-length", b"5"));
        connection.headers(1, &head, pieces.is_empty());
        for (n, piece) in pieces.iter().enumerate() {
            connection.data(1, piece, n + 1 == pieces.len());
        }
        let outcome = connection.outcome(1);
        assert!(outcome.is_refusal() || outcome.reset.is_some(), "{name}: {outcome:?}");
        // It may be on its way yet.
        std::thread::sleep(Duration::from_millis(300));
        eventually(&format!("{name}: the upstream is told"), || {
            upstream.requests().iter().all(|r| r.aborted || r.complete && r.body == b"hello")
        });
        upstream.take();
        gateway.assert_innocent(&upstream, name);
    }
    let mut connection = H2::connect(gateway.address());
    let mut head = fields(b":method", b"POST");
    head.push((b"content-length", b"5"));
    connection.headers(1, &head, false);
    connection.data(1, b"hel", false);
    connection.data(1, b"lo", true);
    assert_eq!(connection.outcome(1).status, Some(200), "the truth passes");
    let seen = upstream.take().remove(0);
    assert_eq!((seen.body.as_slice(), seen.header("content-length").as_deref()), (&b"hello"[..], Some("5")));
}

/// RFC 9110 section 9.3.2: an answer to HEAD has no body and says how long that would be, whoever makes it.
#[test]
fn answers_to_head_have_no_body() {
    let (gateway, _upstream) = Gateway::standard();
    for path in
        ["/api/x", "/none", "/public/../x", "/hub/auth/login", "/hub/.well-known/openid-configuration"]
    {
        let asked = |method: &'static [u8]| {
            let mut fields = fields(b":path", path.as_bytes());
            fields[0].1 = method;
            exchange(&gateway, &fields)
        };
        let (get, head) = (asked(b"GET"), asked(b"HEAD"));
        assert_eq!((head.status, head.reset), (get.status, None), "{path}");
        assert!(!get.body.is_empty() && head.body.is_empty(), "{path}: {head:?}");
        let length = |method: &str| {
            let answer = gateway.client().send_h2(&[Request::new(method, path)]).remove(0);
            answer.header("content-length").map(str::to_owned)
        };
        assert!(length("HEAD").is_some_and(|length| length != "0"), "{path}");
    }
    // Of what an upstream did not say, nothing is said.
    let answer = gateway.client().send_h2(&[Request::new("HEAD", "/public/x")]).remove(0);
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

/// A stream that the client resets in the middle is not a whole request.
#[test]
fn a_reset_in_the_middle_of_a_body_reaches_the_upstream() {
    let (gateway, upstream) = Gateway::standard();
    let mut connection = H2::connect(gateway.address());
    connection.headers(1, &fields(b":method", b"POST"), false);
    connection.data(1, b"some of it", false);
    eventually("the head arrives", || upstream.count() == 1);
    connection.frame(crate::support::h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    eventually("the upstream is told", || upstream.requests().iter().all(|r| r.aborted));
    // The connection itself goes on.
    connection.headers(3, &BASE, true);
    assert_eq!(connection.outcome(3).status, Some(200));
    upstream.take();
    gateway.assert_innocent(&upstream, "a reset");
}

/// A malformed stream does not disturb its neighbours on the same connection.
#[test]
fn a_refused_stream_leaves_the_others_alone() {
    let (gateway, upstream) = Gateway::standard();
    upstream.script(|request| match request.target().as_str() {
        "/public/slow" => Reply::Pieces(vec![(
            Duration::from_millis(300),
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec(),
        )]),
        _ => Reply::Describe,
    });
    let mut connection = H2::connect(gateway.address());
    connection.headers(1, &fields(b":path", b"/public/slow"), true);
    connection.headers(3, &fields(b":path", b"/public/../admin"), true);
    assert_eq!(connection.outcome(3).status, Some(400));
    let slow = connection.outcome(1);
    assert_eq!((slow.status, slow.body.as_slice()), (Some(200), &b"slow"[..]));
}

/// What goes wrong upstream shows in HTTP/2 as an error, never as an end.
#[test]
fn a_truncated_answer_resets_the_stream() {
    let (gateway, upstream) = Gateway::standard();
    for (name, reply) in [
        (
            "short of its length",
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec()),
        ),
        (
            "no last chunk",
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n".to_vec()),
        ),
        ("a reset", Reply::ThenReset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec())),
    ] {
        upstream.reply(reply);
        let outcome = exchange(&gateway, &BASE);
        let seen_as_broken = outcome.status == Some(502) || outcome.reset.is_some_and(|code| code != 0);
        assert!(seen_as_broken, "{name}: {outcome:?}");
        upstream.take();
        gateway.assert_innocent(&upstream, name);
    }
}

/// Both protocols get the same answers.
#[test]
fn http_2_answers_as_http_1_does() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
    });
    let token = gateway.machine_token("alpha");
    let requests = [
        Request::get("/public/x"),
        Request::get("/api/x"),
        Request::get("/api/x").bearer(&token),
        Request::get("/admin/x").bearer(&token),
        Request::get("/none"),
        Request::get("/public/../x"),
        Request::new("HEAD", "/public/x"),
        Request::new("DELETE", "/api/x").bearer(&token),
    ];
    for request in &requests {
        let one = gateway.send(request);
        let two = gateway.client().send_h2(std::slice::from_ref(request)).remove(0);
        assert_eq!(one.status, two.status, "{request:?}");
        assert_eq!(one.error(), two.error(), "{request:?}");
        assert_eq!(one.header("www-authenticate"), two.header("www-authenticate"), "{request:?}");
        assert_eq!(one.header("content-type"), two.header("content-type"), "{request:?}");
    }
}

/// HTTP/2 begins by ALPN (RFC 9113 section 3.2) and in no other way: who begins it unasked is not answered, and nothing is forwarded.
#[test]
fn http2_begins_by_alpn_alone() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("listen", "http", r#"["127.0.0.1:0"]"#);
    });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let status = |answer: &[u8]| String::from_utf8_lossy(answer).split(' ').nth(1).map(str::to_owned);
    for alpn in ["", "http/1.1"] {
        let mut usual = RawClient::connect_with(gateway.address(), alpn, "localhost");
        assert_eq!(usual.send(Request::get("/public/x").bytes()).answer().unwrap().status, 200, "{alpn:?}");
        let mut unasked = RawClient::connect_with(gateway.address(), alpn, "localhost");
        unasked.try_send(preface);
        let said = unasked.rest(Duration::from_secs(15));
        assert!(said.is_empty() || status(&said).as_deref() == Some("400"), "{alpn:?}: {said:?}");
        assert!(unasked.closes_within(Duration::from_secs(15)), "{alpn:?}");
    }
    let mut plain = TcpStream::connect(gateway.running().http()[0]).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    plain.write_all(preface).unwrap();
    let mut said = Vec::new();
    // The rest of the preface was not read: the end may be a reset.
    let _ = plain.read_to_end(&mut said);
    assert!(said.is_empty() || status(&said).as_deref() == Some("400"), "{said:?}");
    assert_eq!(upstream.take().len(), 2);
    gateway.assert_innocent(&upstream, "HTTP/2 begun unasked");
}
