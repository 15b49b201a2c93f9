//! Where an answer ends (threats A3, S14): an upstream that misbehaves harms neither its client nor the next one, its
//! connection is not used again, and what was cut is never shown as whole.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Gateway, RawClient, Reply, Request, Upstream, gateway::eventually, table};

/// What the client may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// 502.
    BadGateway,
    /// 502, or an answer that is visibly cut.
    Broken,
    /// This body, whole; the connection may or may not be used again.
    Whole(&'static str),
    /// 502, or this body, whole; the connection is not used again.
    BadGatewayOrWhole(&'static str),
}
use Want::{BadGateway, BadGatewayOrWhole, Broken, Whole};

/// After a misbehaving answer the pool must not hand out that connection again.
fn check(gateway: &Gateway, upstream: &Upstream, name: &str, method: &str, reply: Reply, want: Want) {
    upstream.reply(reply);
    let mut client = gateway.raw();
    client.send(Request::new(method, "/public/attack").bytes());
    let answer = client.answer_within(method, Duration::from_secs(15));
    let status = answer.as_ref().map(|a| a.status);
    match (&answer, want) {
        (Some(a), BadGateway | Broken | BadGatewayOrWhole(_)) if a.status == 502 => {
            assert_eq!(a.error(), if method == "HEAD" { "" } else { "bad_gateway" }, "{name}");
            assert!(a.complete, "{name}");
        }
        (Some(a), Broken) => assert!(!a.complete, "{name}: a cut answer was shown as whole: {a:?}"),
        (None, Broken) => {}
        (Some(a), Whole(body) | BadGatewayOrWhole(body)) => {
            assert!(a.status < 400 && a.complete, "{name}: {a:?}");
            assert_eq!(a.text(), body, "{name}");
        }
        _ => panic!("{name}: wanted {want:?}, got {status:?}"),
    }
    assert_well_formed(answer.as_ref(), name);
    let used = upstream.take().last().map(|r| r.connection);
    // What belonged to the first answer must not be read as the second.
    assert_next_is_right(&mut client, name);
    if !matches!(want, Whole(_)) {
        for next in upstream.requests() {
            assert_ne!(Some(next.connection), used, "{name}: the connection was used again");
        }
    }
    upstream.take();
    gateway.assert_innocent(upstream, name);
}

fn assert_well_formed(answer: Option<&Answer>, name: &str) {
    for (field, value) in answer.map(|a| a.headers.as_slice()).unwrap_or_default() {
        assert!(crate::support::wire::is_token(field), "{name}: field name {field:?}");
        assert!(!value.bytes().any(|b| b < 0x20 && b != b'\t'), "{name}: {field}: {value:?}");
    }
}

/// The same client connection, if it still lives, gets the right answer to its next request.
fn assert_next_is_right(client: &mut RawClient, name: &str) {
    client.send(Request::get("/public/innocent-next").bytes());
    if let Some(next) = client.answer_within("GET", Duration::from_secs(15)) {
        assert_eq!(next.status, 200, "{name}: the next answer");
        assert_eq!(next.json()["target"], "/public/innocent-next", "{name}: the next answer");
    }
}

/// The cases as data.
fn leave(cases: &[(&str, Reply, Want)]) {
    table::leave(cases.iter().map(|(name, reply, want)| {
        let (bytes, end) = match reply {
            Reply::Bytes(bytes) => (bytes, "open"),
            Reply::ThenClose(bytes) => (bytes, "close"),
            Reply::ThenReset(bytes) => (bytes, "reset"),
            _ => panic!("{name}: a table has answers of one piece"),
        };
        json!({"name": name, "reply": table::text(bytes), "end": end, "want": format!("{want:?}")})
    }));
}

fn raw(text: &str) -> Reply {
    Reply::raw(text)
}

#[test]
fn answers_with_bad_framing() {
    let (gateway, upstream) = Gateway::standard();
    let cases: Vec<(&str, Reply, Want)> = vec![
        ("a control", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Whole("ok")),
        ("no length, then the end", Reply::ThenClose(b"HTTP/1.1 200 OK\r\n\r\nok".to_vec()), Whole("ok")),
        (
            "CL and TE",
            raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
            BadGateway,
        ),
        (
            "TE and CL",
            raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
            BadGateway,
        ),
        (
            "two CLs that differ",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
            BadGateway,
        ),
        ("two CLs in a list", raw("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!"), BadGateway),
        ("CL +2", raw("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"), BadGateway),
        ("CL that is no number", raw("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"), BadGateway),
        (
            "TE gzip, chunked",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            BadGateway,
        ),
        (
            "TE two lines",
            raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
            BadGateway,
        ),
        (
            "CL too long",
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec()),
            Broken,
        ),
        (
            "CL too long, then a reset",
            Reply::ThenReset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec()),
            Broken,
        ),
        (
            "CL too short",
            raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsmuggled!",
            ),
            BadGatewayOrWhole("ok"),
        ),
        (
            "bytes after the body",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokextra"),
            BadGatewayOrWhole("ok"),
        ),
        (
            "bytes after the last chunk",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nextra"),
            BadGatewayOrWhole("ok"),
        ),
        (
            "closed in a chunk",
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok".to_vec()),
            Broken,
        ),
        (
            "closed between chunks",
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n".to_vec()),
            Broken,
        ),
        (
            "closed before the final line end",
            Reply::ThenClose(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n".to_vec(),
            ),
            Broken,
        ),
        (
            "reset in a chunk",
            Reply::ThenReset(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok".to_vec()),
            Broken,
        ),
        (
            "a chunk size that is none",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"),
            BadGateway,
        ),
        (
            "chunk extensions and trailers",
            raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0;c\r\nX-Sum: 1\r\n\r\n",
            ),
            Whole("ok"),
        ),
        (
            "a chunk longer than its size",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"),
            Broken,
        ),
        (
            "a chunk size that ends in a bare LF",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n"),
            BadGateway,
        ),
        (
            "a trailer that is none",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nnonsense\r\n\r\n"),
            Broken,
        ),
        (
            "two CLs that agree",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        (
            "CL that overflows",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nok"),
            BadGateway,
        ),
        ("an empty CL", raw("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"), BadGateway),
        ("TE identity", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"), BadGateway),
        (
            "TE in HTTP/1.0",
            raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            BadGateway,
        ),
        (
            "a chunk size that overflows",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n"),
            BadGateway,
        ),
    ];
    leave(&cases);
    for (name, reply, want) in cases {
        check(&gateway, &upstream, name, "GET", reply, want);
    }
}

#[test]
fn answers_with_bad_heads() {
    let (gateway, upstream) = Gateway::standard();
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-A: b\r\n".repeat(2000));
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok", "b".repeat(2_000_000));
    let cases: Vec<(&str, Reply, Want)> = vec![
        ("an empty line first", raw("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("bare LFs", raw("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), BadGateway),
        ("not HTTP", raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"), BadGateway),
        ("nothing", Reply::ThenClose(vec![]), BadGateway),
        ("a reset at once", Reply::ThenReset(vec![]), BadGateway),
        ("half a head", Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()), BadGateway),
        ("an HTTP/2 answer", raw("HTTP/2 200\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("a status of two digits", raw("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("a status of four digits", raw("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("a bare CR in the status line", raw("HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        (
            "CRLF in the status line",
            raw("HTTP/1.1 200 OK\r\nX-Injected-By-Reason\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        (
            "a bare CR in a value",
            raw("HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        (
            "a bare LF in a value",
            raw("HTTP/1.1 200 OK\r\nX-A: b\nX-B: c\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        ("NUL in a value", raw("HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("obs-fold", raw("HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("a folded length", raw("HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok"), BadGateway),
        (
            "a blank before the colon",
            raw("HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        (
            "a name that is no token",
            raw("HTTP/1.1 200 OK\r\nX(A: b\r\nContent-Length: 2\r\n\r\nok"),
            BadGateway,
        ),
        ("no colon", raw("HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok"), BadGateway),
        ("2000 fields", Reply::Bytes(many.into()), BadGateway),
        ("a head without end", Reply::ThenClose(long.into()), BadGateway),
        (
            "101 that nobody asked for",
            raw(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nnow we talk",
            ),
            BadGateway,
        ),
    ];
    leave(&cases);
    for (name, reply, want) in cases {
        check(&gateway, &upstream, name, "GET", reply, want);
    }
}

#[test]
fn answers_that_must_have_no_body() {
    let (gateway, upstream) = Gateway::standard();
    let cases = [
        ("204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\nsmuggled"),
        (
            "204 with chunks",
            "GET",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
        ),
        ("304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\nsmuggled"),
        (
            "304 with an answer behind it",
            "GET",
            "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"),
        (
            "HEAD with chunks",
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
        ),
    ];
    table::leave(cases.iter().map(|(name, method, text)| {
        json!({"name": name, "method": method, "reply": text, "end": "open", "want": "BadGatewayOrWhole(\"\")"})
    }));
    for (name, method, text) in cases {
        check(&gateway, &upstream, name, method, raw(text), BadGatewayOrWhole(""));
    }
    // And those that keep to it are relayed as they are.
    for (method, text, status, length) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304, None),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", 200, Some("8")),
    ] {
        upstream.reply(raw(text));
        let answer = gateway.send(&Request::new(method, "/public/x"));
        assert_eq!((answer.status, answer.text().as_str()), (status, ""));
        if length.is_some() {
            assert_eq!(answer.header("content-length"), length);
        }
        upstream.take();
        gateway.assert_innocent(&upstream, text);
    }
}

/// Interim answers: `103` and `100` that nobody waits for change nothing in the answer that follows.
#[test]
fn interim_answers_are_not_the_answer() {
    let (gateway, upstream) = Gateway::standard();
    for (name, text) in [
        ("100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("102", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            "103",
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
    ] {
        check(&gateway, &upstream, name, "GET", raw(text), Whole("ok"));
    }
}

/// An HTTP/2 upstream on a thread of its own that sends two interim answers before each answer. It ends with the process.
fn hints_early() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("h2c://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let (socket, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                for status in [103, 102] {
                    let hint = http::Response::builder().status(status).header("link", "</x>; rel=preload");
                    respond.send_informational(hint.body(()).unwrap()).unwrap();
                }
                let answer = http::Response::builder().header("x-final", "yes").body(()).unwrap();
                let mut body = respond.send_response(answer, false).unwrap();
                body.send_data("ok".into(), true).unwrap();
            }
        });
    });
    origin
}

/// The same where the upstream speaks HTTP/2: what was hinted is in no answer, over either protocol.
#[test]
fn early_hints_over_http_2_are_not_the_answer() {
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open_to("/public", &[hints_early()], "");
    });
    let request = Request::get("/public/x");
    for _ in 0..2 {
        let mut client = gateway.raw();
        client.send(request.bytes());
        let over_http_1 = client.answer().expect("an answer");
        assert_eq!(over_http_1.interim, [103, 102], "{over_http_1:?}");
        let over_http_2 = gateway.client().send_h2(std::slice::from_ref(&request)).remove(0);
        for answer in [over_http_1, over_http_2] {
            assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "ok", true));
            assert_eq!((answer.header("x-final"), answer.header("link")), (Some("yes"), None));
        }
    }
}

/// An answer that comes before the request has been read: the client gets it, and the connection is not used again.
#[test]
fn an_answer_before_the_request_is_complete() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::BeforeBody(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly".to_vec()));
    let mut client = gateway.raw();
    client.send(
        "POST /public/attack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly the beginning",
    );
    let answer = client.answer_within("POST", Duration::from_secs(15)).expect("the early answer");
    assert!(matches!(answer.status, 403 | 502), "{answer:?}");
    if answer.status == 403 {
        assert_eq!(answer.text(), "early");
    }
    let used = upstream.take().last().map(|r| r.connection);
    drop(client);
    assert_eq!(gateway.send(&Request::get("/public/innocent")).status, 200);
    assert_ne!(upstream.take().last().map(|r| r.connection), used, "the connection was used again");
    gateway.assert_innocent(&upstream, "an early answer");
}

/// The rest of a request goes on after its answer, and then the connection is as good as any.
#[test]
fn a_request_that_is_answered_early_is_still_sent_whole() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::BeforeBody(b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly".to_vec()));
    for (name, pieces) in [
        ("by length", ["Content-Length: 10\r\n\r\n01234", "56789"]),
        ("in chunks", ["Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"]),
    ] {
        let mut client = gateway.raw();
        client.send(format!("POST /public/early HTTP/1.1\r\nHost: localhost\r\n{}", pieces[0]));
        let answer = client.answer_within("POST", Duration::from_secs(15)).expect("the early answer");
        assert_eq!((answer.status, answer.text().as_str()), (202, "early"), "{name}");
        std::thread::sleep(Duration::from_millis(100));
        client.send(pieces[1]);
        eventually(&format!("{name}: the rest arrives"), || upstream.requests().iter().any(|r| r.complete));
        let seen = upstream.take().remove(0);
        assert_eq!(seen.body, b"0123456789", "{name}");
        eventually(&format!("{name}: the connection is used again"), || {
            assert_eq!(gateway.send(&Request::get("/public/innocent")).status, 200);
            upstream.take().last().map(|r| r.connection) == Some(seen.connection)
        });
    }
}

/// A client that goes away after an early answer takes the rest of its request with it.
#[test]
fn a_request_that_is_answered_early_and_broken_off_is_never_whole() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::BeforeBody(b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly".to_vec()));
    let mut client = gateway.raw();
    client.send(
        "POST /public/early HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
    );
    assert_eq!(client.answer_within("POST", Duration::from_secs(15)).expect("the early answer").status, 202);
    drop(client);
    eventually("the upstream is told", || upstream.requests().iter().any(|r| r.aborted));
    assert!(upstream.take().iter().all(|r| !r.complete));
    gateway.assert_innocent(&upstream, "an early answer");
}

/// An upstream that has answered and leaves the rest of the request unread is not waited for longer than for an answer.
#[test]
fn an_upstream_that_leaves_the_rest_unread_is_given_up() {
    const MUCH: usize = 32 * 1024 * 1024;
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open("/public", &upstream, "timeout = \"1s\"");
    });
    let early = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly".to_vec();
    for (pause, given_up) in [(Duration::from_millis(4000), true), (Duration::from_millis(50), false)] {
        upstream.reply(Reply::BeforeBodyAndPause(early.clone(), pause));
        let mut client = gateway.raw();
        client.send(format!("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MUCH}\r\n\r\n"));
        let answer = client.answer_within("POST", Duration::from_secs(15)).expect("the early answer");
        assert_eq!((answer.status, answer.text().as_str()), (202, "early"));
        let piece = vec![b'x'; 64 * 1024];
        let sent = (0..MUCH / piece.len()).take_while(|_| client.try_send(&piece)).count();
        eventually("the upstream sees an end", || {
            upstream.requests().iter().all(|r| r.aborted || r.complete)
        });
        let seen = upstream.take().remove(0);
        assert_eq!((seen.aborted, seen.complete), (given_up, !given_up), "{pause:?}, {sent} pieces sent");
    }
}

/// Bytes that arrive on a connection while it waits in the pool belong to nobody.
#[test]
fn bytes_on_an_idle_connection_are_no_answer() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned";
    let (gateway, upstream) = Gateway::standard();
    upstream.script(|request| {
        if request.target() == "/public/attack" {
            Reply::Pieces(vec![
                (Duration::ZERO, ANSWER.to_vec()),
                (Duration::from_millis(50), POISON.to_vec()),
            ])
        } else {
            Reply::Describe
        }
    });
    assert_eq!(gateway.send(&Request::get("/public/attack")).text(), "ok");
    eventually("they are on their way", || upstream.written_bytes() == ANSWER.len() + POISON.len());
    std::thread::sleep(Duration::from_millis(200));
    upstream.take();
    for _ in 0..3 {
        gateway.assert_innocent(&upstream, "bytes on an idle connection");
    }
}
