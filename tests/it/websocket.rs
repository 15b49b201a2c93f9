//! WebSocket through the gate: over HTTP/1.1 (RFC 6455) and over HTTP/2 (RFC 8441); threats S11 and S12.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Gateway, RawClient, Reply, Request, Upstream,
    gateway::eventually,
    h2::{Field, H2, RST_STREAM},
    upstream::websocket_accept,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A valid handshake.
fn handshake(target: &str) -> Request {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

/// A valid handshake with this field replaced, or without it.
fn handshake_with(name: &str, value: Option<&str>) -> Request {
    let mut request = handshake("/public/ws");
    request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    match value {
        Some(value) => request.header(name, value),
        None => request,
    }
}

fn open(gateway: &Gateway, request: &Request) -> RawClient {
    let mut client = gateway.raw();
    client.send(request.bytes());
    let head = client.head(Instant::now() + Duration::from_secs(20)).expect("an answer");
    assert_eq!(head.status, 101, "{head:?}");
    client
}

/// A frame as an upstream sends it.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(u8::try_from(short).unwrap()),
        length => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_websocket_is_carried_both_ways() {
    let (gateway, upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    upstream.reply(Reply::Switch(b"\x81\x05hello".to_vec()));
    let request = handshake("/api/ws?room=1")
        .bearer(&token)
        .header("Sec-WebSocket-Protocol", "chat")
        .header("Origin", "https://elsewhere.example")
        .header("X-Forwarded-User", "forged");
    let mut client = gateway.raw();
    client.send(request.bytes());
    let head = client.head(Instant::now() + Duration::from_secs(20)).unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.header("upgrade").unwrap().eq_ignore_ascii_case("websocket"));
    assert!(head.header("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(client.take(7).unwrap(), b"\x81\x05hello");
    let seen = upstream.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line(), "GET /api/ws?room=1 HTTP/1.1");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "https://elsewhere.example"),
        ("x-forwarded-client", "machine"),
    ] {
        assert_eq!(seen[0].header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(seen[0].header("x-forwarded-user"), None);
    assert_ne!(seen[0].header("authorization").unwrap(), format!("Bearer {token}"));
    assert!(gateway.management("/metrics").1.contains("hubgate_websockets 1\n"));
    // Both ways, more than any buffer holds.
    let sent: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let mut got = Vec::new();
    for piece in sent.chunks(60_000) {
        client.send(piece);
        got.extend(client.take(piece.len()).expect("what was sent comes back"));
    }
    assert!(got == sent);
    // The end of one side is passed on behind everything else.
    client.send("the last words").finish_sending();
    assert_eq!(client.take(14).unwrap(), b"the last words");
    eventually("the upstream sees the end", || upstream.requests()[0].aborted);
    assert_eq!(upstream.requests()[0].body.len(), 3_000_014);
    assert!(client.closes_within(Duration::from_secs(15)));
    eventually("the access line is written", || {
        gateway.lines().lines().any(|line| line.contains("access") && line.contains("status=101"))
    });
    let lines = gateway.lines();
    let line = lines.lines().find(|line| line.contains("status=101")).unwrap();
    assert!(
        line.contains("bytes=3000021") && line.contains("route=/api") && !line.contains("incomplete"),
        "{line}"
    );
    eventually("nothing is open", || {
        let metrics = gateway.management("/metrics").1;
        metrics.contains("hubgate_websockets 0\n")
            && metrics.contains("hubgate_websockets_opened_total{route=\"/api\"} 1\n")
    });
}

/// S12: a token is asked for before the upstream hears anything.
#[test]
fn a_websocket_needs_what_every_request_needs() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Switch(vec![]));
    let token = gateway.machine_token("alpha");
    for (request, status) in [
        (handshake("/api/ws"), 401),
        (handshake("/api/ws").bearer("not-a-token"), 401),
        (handshake(&format!("/api/ws?access_token={token}")), 400),
        (handshake("/admin/ws").bearer(&token), 403),
        (handshake("/nowhere/ws").bearer(&token), 404),
        (handshake("/hub/api/rest/oauth2/keys"), 400),
    ] {
        let answer = gateway.send(&request);
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(upstream.count(), 0, "{request:?}");
    }
    drop(open(&gateway, &handshake("/api/ws").bearer(&token)));
    assert_eq!(upstream.take().len(), 1);
    gateway.assert_innocent(&upstream, "refused WebSockets");
}

/// S11: what asks for a WebSocket and is no handshake reaches nobody.
#[test]
fn a_handshake_that_is_not_valid_is_refused() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Switch(vec![]));
    let long = "x".repeat(60);
    for (name, value, status) in [
        ("Upgrade", Some("websocket, h2c"), 400),
        ("Upgrade", Some("h2c, websocket"), 400),
        ("Upgrade", Some("websocket/13"), 400),
        ("Connection", None, 400),
        ("Connection", Some("keep-alive"), 400),
        ("Connection", Some("Upgrade2"), 400),
        ("Sec-WebSocket-Version", None, 400),
        ("Sec-WebSocket-Version", Some("8"), 426),
        ("Sec-WebSocket-Version", Some("13, 13"), 400),
        ("Sec-WebSocket-Key", None, 400),
        ("Sec-WebSocket-Key", Some("c2hvcnQ="), 400),
        ("Sec-WebSocket-Key", Some(&long), 400),
        ("Content-Length", Some("5"), 400),
        ("Transfer-Encoding", Some("chunked"), 400),
    ] {
        let answer = gateway.send(&handshake_with(name, value));
        assert_eq!(answer.status, status, "{name}: {value:?}");
        if status == 426 {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        }
        let seen = upstream.take();
        assert!(seen.is_empty(), "{name}: {value:?}: {seen:?}");
        gateway.assert_innocent(&upstream, name);
    }
    for method in ["POST", "PUT", "HEAD"] {
        let mut request = handshake("/public/ws");
        request.method = method.to_owned();
        assert_eq!(gateway.send(&request).status, 400, "{method}");
    }
    let twice = handshake("/public/ws").header("Sec-WebSocket-Key", KEY);
    assert_eq!(gateway.send(&twice).status, 400);
    assert!(upstream.take().is_empty());
    // The names are not case-sensitive, and other options may stand beside it.
    let mut odd = handshake_with("Connection", Some("keep-alive, UPGRADE, sec-websocket-key"));
    odd.headers.retain(|(name, _)| name != "Upgrade");
    let seen = {
        drop(open(&gateway, &odd.header("Upgrade", "WebSocket")));
        upstream.take()
    };
    assert_eq!(seen[0].header("sec-websocket-key").as_deref(), Some(KEY));
}

/// S11: every other protocol is dropped, and the request is answered as if it had not asked.
#[test]
fn other_upgrades_never_reach_an_upstream() {
    let (gateway, upstream) = Gateway::standard();
    for (upgrade, connection) in [
        ("h2c", "Upgrade, HTTP2-Settings"),
        ("h2c", "HTTP2-Settings"),
        ("h2c", "close"),
        ("foo", "Upgrade"),
        ("TLS/1.0, foo", "upgrade"),
        ("websockets", "Upgrade"),
    ] {
        let request = Request::get("/public/x")
            .header("Upgrade", upgrade)
            .header("Connection", connection)
            .header("HTTP2-Settings", "AAMAAABkAAQAAP__");
        let mut client = gateway.raw();
        client.send(request.bytes());
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{upgrade}");
        let seen = upstream.take();
        assert_eq!(seen.len(), 1);
        for name in ["upgrade", "connection", "http2-settings", "sec-websocket-key"] {
            assert_eq!(seen[0].header(name), None, "{upgrade}: {name}");
        }
        // The connection speaks HTTP as before.
        if connection != "close" {
            client.send(Request::get("/public/innocent").bytes());
            assert_eq!(client.answer().expect("an answer").status, 200, "{upgrade}");
            client.send(Request::get("/public/innocent").header("Connection", "close").bytes());
            assert_eq!(client.answer().expect("an answer").status, 200, "{upgrade}");
        }
        assert!(client.closes_within(Duration::from_secs(15)), "{upgrade}");
        upstream.take();
    }
    // RFC 9110 section 7.8: not in HTTP/1.0.
    let old = handshake("/public/x").bytes();
    let old = String::from_utf8(old).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let mut client = gateway.raw();
    client.send(old);
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert_eq!(upstream.take()[0].header("upgrade"), None);
}

/// S11: what comes after the head waits until the upstream has agreed.
#[test]
fn early_bytes_wait_for_101() {
    let (gateway, upstream) = Gateway::standard();
    let accept = websocket_accept(KEY);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    // The harness calls whatever comes before its answer was written a broken request.
    upstream.reply(Reply::Pieces(vec![(Duration::from_millis(500), head.into_bytes())]));
    let mut client = gateway.raw();
    let early = Request::get("/public/early").bytes();
    let asked = Instant::now();
    client.send([handshake("/public/ws").bytes(), early.clone()].concat());
    let answer = client.head(asked + Duration::from_secs(20)).unwrap();
    assert_eq!(answer.status, 101);
    assert!(asked.elapsed() >= Duration::from_millis(400), "the upstream had not agreed");
    // As the harness goes on to read requests, it shows that these bytes came behind its answer, as they were.
    eventually("they arrive", || upstream.count() == 2);
    assert_eq!(upstream.requests()[1].head, early);
}

/// S11: an answer other than 101 leaves the connection in HTTP, where the next request is judged like any.
#[test]
fn an_upstream_that_does_not_switch_answers_in_http() {
    let (gateway, upstream) = Gateway::standard();
    for (status, body) in [(200, "no"), (403, "never"), (426, "")] {
        upstream.reply(Reply::status(status, "text/plain", body));
        let mut client = gateway.raw();
        let smuggled = Request::get("/admin/smuggled").bytes();
        client.send([handshake("/public/ws").bytes(), smuggled].concat());
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        assert_eq!(client.answer().expect("an answer").status, 401);
        assert_eq!(upstream.take().len(), 1);
        client.send(Request::get("/public/innocent").bytes());
        assert_eq!(client.answer().expect("an answer").status, 200);
        upstream.take();
    }
}

/// An answer that is none to this handshake ends with 502, and nothing of the client's goes behind it.
#[test]
fn an_upstream_that_switches_wrongly_is_refused() {
    let (gateway, upstream) = Gateway::standard();
    let accept = websocket_accept(KEY);
    let good = format!("Sec-WebSocket-Accept: {accept}\r\n");
    for fields in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n".to_owned(),
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n".to_owned(),
        format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{good}{good}"),
        format!("Upgrade: websocket\r\n{good}"),
        format!("Connection: Upgrade\r\n{good}"),
        format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{good}"),
        format!("Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{good}"),
    ] {
        upstream.reply(Reply::raw(&format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n")));
        let mut client = gateway.raw();
        client.send([handshake("/public/ws").bytes(), Request::get("/public/innocent").bytes()].concat());
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, 502, "{fields:?}");
        // The next request goes over another connection.
        assert_eq!(client.answer().expect("an answer").status, 200, "{fields:?}");
        let seen = upstream.take();
        assert_eq!(seen.len(), 2, "{fields:?}");
        assert_ne!(seen[0].connection, seen[1].connection, "{fields:?}");
    }
    // Nobody asked.
    upstream.reply(Reply::Switch(vec![]));
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 502);
}

/// S11: an upgraded connection is lent to nobody again.
#[test]
fn an_upgraded_connection_never_returns() {
    let (gateway, upstream) = Gateway::standard();
    gateway.send(&Request::get("/public/innocent"));
    upstream.reply(Reply::Switch(vec![]));
    let mut client = open(&gateway, &handshake("/public/ws"));
    client.send("x");
    assert_eq!(client.take(1).unwrap(), b"x");
    client.finish_sending();
    assert!(client.closes_within(Duration::from_secs(15)));
    for _ in 0..3 {
        gateway.send(&Request::get("/public/innocent"));
    }
    let seen = upstream.take();
    assert_eq!(seen.len(), 5);
    assert!(seen[2..].iter().all(|request| request.connection != seen[1].connection), "{seen:?}");
}

#[test]
fn a_side_that_does_not_read_stops_the_other() {
    let (gateway, upstream) = Gateway::standard();
    // Towards the client.
    let bytes = vec![0x55; 50_000_000];
    upstream.reply(Reply::Switch(bytes.clone()));
    let mut client = open(&gateway, &handshake("/public/ws"));
    let mut written = 0;
    eventually("the upstream is stopped", || {
        let before = written;
        thread::sleep(Duration::from_millis(300));
        written = upstream.written_bytes();
        written > 0 && written == before
    });
    assert!(written < 20_000_000, "{written} bytes were taken for a client that reads nothing");
    let mut got = Vec::new();
    while got.len() < bytes.len() {
        got.extend(client.take(50_000).expect("the rest"));
    }
    assert!(got == bytes);
    drop(client);
    // Towards the upstream.
    upstream.reply(Reply::SwitchAndStall(vec![]));
    let mut client = open(&gateway, &handshake("/public/ws"));
    let piece = vec![0x55; 100_000];
    let mut sent = 0;
    while sent < 50_000_000 && client.try_send_within(&piece, Duration::from_millis(500)) {
        sent += piece.len();
    }
    assert!(sent < 20_000_000, "{sent} bytes were taken for an upstream that reads nothing");
    drop(client);
    gateway.send(&Request::get("/public/innocent"));
}

#[test]
fn ends_and_breaks_are_passed_on() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::SwitchAndClose(b"bye".to_vec()));
    let mut client = open(&gateway, &handshake("/public/ws"));
    assert_eq!(client.take(3).unwrap(), b"bye");
    assert!(client.closes_within(Duration::from_secs(15)), "the upstream has ended");
    client.finish_sending();
    upstream.reply(Reply::SwitchAndReset(b"bye".to_vec()));
    let mut client = open(&gateway, &handshake("/public/ws"));
    client.rest(Duration::from_secs(15));
    assert!(client.closes_within(Duration::from_secs(15)), "the upstream has broken off");
    drop(client);
    upstream.take();
    upstream.reply(Reply::Switch(vec![]));
    // A client that is gone without a word.
    drop(open(&gateway, &handshake("/public/ws")));
    eventually("the upstream is told", || upstream.requests()[0].aborted);
    eventually("nothing is open", || gateway.management("/metrics").1.contains("hubgate_websockets 0\n"));
}

#[test]
fn silence_ends_a_websocket_with_a_close() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).open("/quiet", &upstream, "websocket_timeout = \"2s\"");
    });
    upstream.reply(Reply::Switch(frame(1, b"hello")));
    let mut client = open(&gateway, &handshake("/quiet/ws"));
    assert_eq!(client.take(7).unwrap(), frame(1, b"hello"));
    let begun = Instant::now();
    // What moves keeps it open.
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(700));
        client.send(frame(9, b""));
        assert_eq!(client.take(2).expect("it is open"), frame(9, b""));
    }
    assert!(begun.elapsed() > Duration::from_millis(2500));
    let close = client.rest(Duration::from_secs(15));
    assert_eq!(close[..4], [0x88, u8::try_from(close.len() - 2).unwrap(), 0x03, 0xe9], "1001");
    assert!(client.closes_within(Duration::from_secs(15)));
    // The upstream gets one too, masked.
    eventually("the upstream is told", || upstream.requests()[0].body.len() > 10);
    let body = upstream.requests()[0].body.clone();
    let to_upstream = &body[8..];
    assert_eq!((to_upstream[0], to_upstream[1] & 0x80), (0x88, 0x80), "{to_upstream:?}");
    // Within a frame there is no place for a Close.
    let half = frame(2, &[0; 1000])[..100].to_vec();
    upstream.reply(Reply::Switch(half.clone()));
    let mut client = open(&gateway, &handshake("/quiet/ws"));
    assert_eq!(client.rest(Duration::from_secs(15)), half);
    assert!(client.closes_within(Duration::from_secs(15)));
}

/// A connection on which a WebSocket is open is not without a request.
#[test]
fn an_open_websocket_is_no_idle_connection() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "idle_timeout", r#""2s""#).set(
            "limits",
            "header_timeout",
            r#""2s""#,
        );
    });
    upstream.reply(Reply::Switch(vec![]));
    let mut client = open(&gateway, &handshake("/public/ws"));
    let mut h2 = H2::connect(gateway.address());
    h2.headers(1, &connect(b"/public/ws"), false);
    assert_eq!(h2.status(1), 200);
    thread::sleep(Duration::from_millis(4500));
    client.send("still here");
    assert_eq!(client.take(10).expect("it is open"), b"still here");
    h2.data(1, b"here too", false);
    assert_eq!(h2.bytes(1, 8), (b"here too".to_vec(), false));
}

fn connect(path: &[u8]) -> Vec<Field<'_>> {
    vec![
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path),
        (b"sec-websocket-version", b"13"),
    ]
}

/// RFC 8441.
#[test]
fn a_websocket_over_http_2() {
    let (gateway, upstream) = Gateway::standard();
    let token = format!("Bearer {}", gateway.machine_token("alpha"));
    upstream.reply(Reply::Switch(b"\x81\x05hello".to_vec()));
    let mut h2 = H2::connect(gateway.address());
    assert!(h2.settings().contains(&(8, 1)), "SETTINGS_ENABLE_CONNECT_PROTOCOL");
    let mut fields = connect(b"/api/ws?room=1");
    fields.extend([
        (&b"authorization"[..], token.as_bytes()),
        (b"sec-websocket-protocol", b"chat"),
        (b"sec-websocket-key", b"theirs"),
        (b"x-forwarded-user", b"forged"),
    ]);
    h2.headers(1, &fields, false);
    h2.data(1, b"early", false);
    assert_eq!(h2.status(1), 200);
    assert_eq!(h2.bytes(1, 12), (b"\x81\x05helloearly".to_vec(), false));
    let seen = upstream.requests();
    assert_eq!(seen[0].line(), "GET /api/ws?room=1 HTTP/1.1");
    assert_eq!(seen[0].header("host").as_deref(), Some("localhost"));
    assert_eq!(seen[0].header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(seen[0].header("connection").as_deref(), Some("Upgrade"));
    assert_eq!(seen[0].header("sec-websocket-version").as_deref(), Some("13"));
    assert_eq!(seen[0].header("sec-websocket-protocol").as_deref(), Some("chat"));
    assert_eq!(seen[0].header("x-forwarded-client").as_deref(), Some("machine"));
    assert_eq!(seen[0].header("x-forwarded-user"), None);
    let key = seen[0].header("sec-websocket-key").unwrap();
    assert!(key.len() == 24 && key != KEY, "{key}");
    // Other requests go on beside it.
    h2.headers(
        3,
        &[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/public/innocent"),
        ],
        true,
    );
    assert_eq!(h2.outcome(3).status, Some(200));
    h2.data(1, b"and the end", true);
    let (bytes, ended) = h2.bytes(1, 12);
    assert_eq!((bytes.as_slice(), ended), (&b"and the end"[..], true));
    // A stream that is reset ends the WebSocket.
    h2.headers(5, &fields, false);
    assert_eq!(h2.status(5), 200);
    h2.frame(RST_STREAM, 0, 5, &[0, 0, 0, 8]);
    eventually("the upstream is told", || {
        upstream.requests().iter().filter(|r| r.target().starts_with("/api/ws") && r.aborted).count() == 2
    });
    eventually("nothing is open", || gateway.management("/metrics").1.contains("hubgate_websockets 0\n"));
}

/// What is no WebSocket over HTTP/2 opens no tunnel.
#[test]
fn a_connect_that_is_no_handshake_is_refused() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Switch(vec![]));
    let with = |name: &'static [u8], value: Option<&'static [u8]>| {
        let mut fields = connect(b"/public/ws");
        fields.retain(|(known, _)| *known != name);
        if let Some(value) = value {
            let at = fields.iter().position(|(known, _)| !known.starts_with(b":")).unwrap_or(fields.len());
            fields.insert(if name.starts_with(b":") { at } else { fields.len() }, (name, value));
        }
        fields
    };
    let cases: Vec<(&str, Vec<Field<'_>>, Option<u16>)> = vec![
        ("another protocol", with(b":protocol", Some(b"connect-udp")), Some(501)),
        ("no version", with(b"sec-websocket-version", None), Some(400)),
        ("another version", with(b"sec-websocket-version", Some(b"8")), Some(426)),
        ("no token", connect(b"/api/ws"), Some(401)),
        ("an endpoint of ours", connect(b"/hub/api/rest/oauth2/keys"), Some(400)),
        ("nowhere", connect(b"/nowhere"), Some(404)),
        ("a path with dots", connect(b"/public/../admin"), Some(400)),
        ("plain CONNECT", vec![(b":method", b"CONNECT"), (b":authority", b"localhost:80")], None),
    ];
    for (name, fields, status) in cases {
        let mut h2 = H2::connect(gateway.address());
        h2.headers(1, &fields, false);
        let outcome = h2.outcome(1);
        match status {
            Some(status) => assert_eq!(outcome.status, Some(status), "{name}: {outcome:?}"),
            None => assert!(outcome.is_refusal(), "{name}: {outcome:?}"),
        }
        assert!(upstream.take().is_empty(), "{name}");
        gateway.assert_innocent(&upstream, name);
    }
    // A 200 of an upstream that knows no WebSocket would open the tunnel.
    for (reply, status) in [
        (Reply::ok("no"), 502),
        (Reply::status(204, "text/plain", ""), 502),
        (Reply::status(403, "text/plain", "never"), 403),
        (Reply::raw("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), 502),
    ] {
        upstream.reply(reply);
        let mut h2 = H2::connect(gateway.address());
        h2.headers(1, &connect(b"/public/ws"), false);
        assert_eq!(h2.outcome(1).status, Some(status));
    }
}
