//! Where a request ends (threats A3), as clients send it over HTTP/1.1. Behind every attack stands a second request on
//! the same connection, the canary: when the first is refused, the canary must never be served.

use std::time::Duration;

use serde_json::json;

use crate::support::{Gateway, RawClient, Recorded, Request, Upstream, gateway::eventually, table};

const CANARY: &str = "GET /public/canary HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What must come of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Refused and closed; the upstream gets nothing at all.
    Refused,
    /// 400; where it ends is in no doubt, so that the connection may go on with the canary.
    Rejected,
    /// Refused and closed; the upstream may have begun to get it, and never gets it whole.
    Cut,
    /// Forwarded once with this body, then the canary.
    Forwarded(&'static str),
    /// Refused, or forwarded with this body in a framing of our own.
    RefusedOrForwarded(&'static str),
}
use Want::{Cut, Forwarded, Refused, RefusedOrForwarded, Rejected};

fn head(lines: &str) -> String {
    format!("POST /public/attack HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// Whether the connection closes: what has to is given time, what has not to is watched for a moment.
fn closes(client: &mut RawClient, has_to: bool) -> bool {
    client.closes_within(if has_to { Duration::from_secs(15) } else { Duration::from_millis(300) })
}

fn check(gateway: &Gateway, upstream: &Upstream, name: &str, bytes: &[u8], want: Want) {
    let mut connection = gateway.raw();
    connection.send([bytes, CANARY.as_bytes()].concat());
    let first = connection.answer_within("POST", Duration::from_secs(15));
    let status = first.as_ref().map(|a| a.status);
    let served = status == Some(200);
    if served && matches!(want, Forwarded(_) | RefusedOrForwarded(_)) {
        let (Forwarded(body) | RefusedOrForwarded(body)) = want else { unreachable!() };
        let canary = connection.answer_within("GET", Duration::from_secs(15));
        let seen = upstream.wait_for(1 + usize::from(canary.is_some()));
        assert_eq!(seen[0].target(), "/public/attack", "{name}");
        assert_eq!(String::from_utf8_lossy(&seen[0].body), body, "{name}");
        for request in &seen[1..] {
            assert_eq!(request.target(), "/public/canary", "{name}");
        }
        assert!(seen.len() <= 2, "{name}");
    } else if want == Rejected {
        assert_eq!(status, Some(400), "{name}");
        let canary = connection.answer_within("GET", Duration::from_secs(15));
        let seen: Vec<String> = upstream.requests().iter().map(Recorded::target).collect();
        let wanted: &[&str] = if canary.is_some() { &["/public/canary"] } else { &[] };
        assert_eq!(seen, wanted, "{name}");
    } else {
        assert!(!matches!(want, Forwarded(_)), "{name}: wanted {want:?}, got {status:?}");
        let refused = status.is_none_or(|s| matches!(s, 400 | 413 | 414 | 417 | 431 | 501 | 502 | 505));
        assert!(refused, "{name}: wanted {want:?}, got {status:?}");
        let after = connection.rest(Duration::from_millis(300));
        assert!(
            !String::from_utf8_lossy(&after).contains("200 OK"),
            "{name}: the canary was answered: {}",
            String::from_utf8_lossy(&after)
        );
        assert!(
            connection.closes_within(Duration::from_secs(15)),
            "{name}: the connection stays open after {status:?}"
        );
        let seen = upstream.requests();
        assert!(seen.iter().all(|r| r.target() != "/public/canary"), "{name}: the canary was served");
        if want == Cut {
            assert!(seen.iter().all(|r| !r.complete), "{name}: the upstream got a whole request: {seen:?}");
            eventually(&format!("{name}: the upstream is told"), || {
                upstream.requests().iter().all(|r| r.aborted)
            });
        } else {
            assert!(seen.is_empty(), "{name}: the upstream got {seen:?}");
        }
    }
    upstream.take();
    gateway.assert_innocent(upstream, name);
}

fn run(cases: &[(String, Vec<u8>, Want)]) {
    table::leave(cases.iter().map(
        |(name, bytes, want)| json!({"name": name, "bytes": table::text(bytes), "want": format!("{want:?}")}),
    ));
    let (gateway, upstream) = Gateway::standard();
    for (name, bytes, want) in cases {
        check(&gateway, &upstream, name, bytes, *want);
    }
}

fn case(name: &str, bytes: impl AsRef<[u8]>, want: Want) -> (String, Vec<u8>, Want) {
    (name.to_owned(), bytes.as_ref().to_vec(), want)
}

/// S1, S2.
#[test]
fn transfer_encoding_is_chunked_alone_or_refused() {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let mut cases = vec![
        case(
            "CL then TE",
            head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            Refused,
        ),
        case(
            "TE then CL",
            head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n",
            Refused,
        ),
        case("CL 0 and TE", head("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + body, Refused),
        case(
            "CL that agrees and TE",
            head("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n") + body,
            Refused,
        ),
        case(
            "empty lines, then CL and TE",
            format!("\r\n\r\n{}0\r\n\r\n", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
            Refused,
        ),
        case(
            "CL and TE identity",
            head("Content-Length: 5\r\nTransfer-Encoding: identity\r\n") + "hello",
            Refused,
        ),
        case("two TE", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + body, Refused),
        case(
            "TE identity, TE chunked",
            head("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n") + body,
            Refused,
        ),
        case(
            "TE chunked, TE identity",
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + body,
            Refused,
        ),
        case("chunked", head("Transfer-Encoding: chunked\r\n") + body, Forwarded("hello")),
        case("Chunked", head("Transfer-Encoding: Chunked\r\n") + body, Forwarded("hello")),
        case("CHUNKED", head("transfer-encoding: CHUNKED\r\n") + body, Forwarded("hello")),
        case("blanks around", head("Transfer-Encoding:  chunked \t\r\n") + body, RefusedOrForwarded("hello")),
        case(
            "folded name",
            head("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n") + "hello",
            RefusedOrForwarded("hello"),
        ),
    ];
    for value in [
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ", chunked",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "identity",
        "gzip",
        "",
        "chunked identity",
        "c\u{0}hunked",
        "\u{b}chunked",
        "chunKed\u{212a}",
    ] {
        cases.push(case(
            &format!("TE {value:?}"),
            head(&format!("Transfer-Encoding: {value}\r\n")) + body,
            Refused,
        ));
    }
    cases.push(case("TE in obs-fold", head("Transfer-Encoding:\r\n chunked\r\n") + body, Refused));
    run(&cases);
}

/// S3.
#[test]
fn versions_other_than_1_1_get_no_special_treatment() {
    let line =
        |version: &str, rest: &str| format!("POST /public/attack {version}\r\nHost: localhost\r\n{rest}");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let plain = "Content-Length: 5\r\n\r\nhello";
    let mut cases = vec![
        case("1.0 with TE", line("HTTP/1.0", chunked), Refused),
        case(
            "1.0 with TE and keep-alive",
            line("HTTP/1.0", &format!("Connection: keep-alive\r\n{chunked}")),
            Refused,
        ),
        case(
            "1.0 with a body that ends with the connection",
            line("HTTP/1.0", "\r\nhello"),
            RefusedOrForwarded(""),
        ),
        case("1.0 with CL", line("HTTP/1.0", plain), RefusedOrForwarded("hello")),
        case(
            "1.0 without Host",
            "POST /public/attack HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
            RefusedOrForwarded("hello"),
        ),
        case("no version", "GET /public/attack\r\n\r\n", Refused),
        case("HTTP/0.9", "GET /public/attack HTTP/0.9\r\nHost: localhost\r\n\r\n", Refused),
        case("two blanks", "GET  /public/attack  HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused),
        case("a blank first", " GET /public/attack HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused),
        case("a tab", "GET\t/public/attack\tHTTP/1.1\r\nHost: localhost\r\n\r\n", Refused),
        case("a blank last", "GET /public/attack HTTP/1.1 \r\nHost: localhost\r\n\r\n", Refused),
        case("a method with a colon", "GE:T /public/attack HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused),
        case(
            "a control character in the method",
            "GE\x01T /public/attack HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Refused,
        ),
    ];
    for version in [
        "HTTP/1.2",
        "HTTP/1.01",
        "HTTP/2.0",
        "HTTP/3.0",
        "HTTP/11.1",
        "http/1.1",
        "HTTP/1,1",
        "HTTP/1.",
        "HTTP/ 1.1",
        "HTTPS/1.1",
    ] {
        cases.push(case(version, line(version, plain), Refused));
    }
    run(&cases);
}

/// S4.
#[test]
fn content_length_is_one_number() {
    let mut cases = vec![
        case("5", head("Content-Length: 5\r\n") + "hello", Forwarded("hello")),
        case("00005", head("Content-Length: 00005\r\n") + "hello", RefusedOrForwarded("hello")),
        case(
            "equal twice",
            head("Content-Length: 5\r\nContent-Length: 5\r\n") + "hello",
            RefusedOrForwarded("hello"),
        ),
        case("5,5", head("Content-Length: 5,5\r\n") + "hello", RefusedOrForwarded("hello")),
        case("differing", head("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello!", Refused),
        case(
            "differing, the other way",
            head("Content-Length: 6\r\nContent-Length: 5\r\n") + "hello!",
            Refused,
        ),
        case("empty and valid", head("Content-Length:\r\nContent-Length: 5\r\n") + "hello", Refused),
        case("valid and empty", head("Content-Length: 5\r\nContent-Length:\r\n") + "hello", Refused),
    ];
    for value in [
        "+5",
        "-0",
        "-5",
        "5 5",
        "5, 6",
        "0x5",
        "5;",
        "",
        "5a",
        "a",
        "5.0",
        "5e0",
        "5_0",
        "18446744073709551616",
        "18446744073709551621",
        "36893488147419103237",
        "\u{b}5",
        "5\u{0}",
        "\"5\"",
        "٥",
    ] {
        cases.push(case(
            &format!("{value:?}"),
            head(&format!("Content-Length: {value}\r\n")) + "hello",
            Refused,
        ));
    }
    for value in ["9223372036854775808", "18446744073709551615", "9223372036854775807"] {
        cases.push(case(value, head(&format!("Content-Length: {value}\r\n")) + "hello", Refused));
    }
    run(&cases);
}

/// S5.
#[test]
fn chunks_are_exact() {
    let chunked = |body: &str| head("Transfer-Encoding: chunked\r\n") + body;
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(17 * 1024));
    let many_extensions = format!("5{}\r\nhello\r\n0\r\n\r\n", ";e=1".repeat(6 * 1024));
    run(&[
        case("two chunks", chunked("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), Forwarded("hello")),
        case("upper-case hex", chunked("A\r\n0123456789\r\n0\r\n\r\n"), Forwarded("0123456789")),
        case("an overflow", chunked("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), Cut),
        case("an overflow that wraps to 5", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), Cut),
        case("0x5", chunked("0x5\r\nhello\r\n0\r\n\r\n"), Cut),
        case("+5", chunked("+5\r\nhello\r\n0\r\n\r\n"), Cut),
        case("-5", chunked("-5\r\nhello\r\n0\r\n\r\n"), Cut),
        case("a blank first", chunked(" 5\r\nhello\r\n0\r\n\r\n"), Cut),
        case("no size", chunked("\r\nhello\r\n0\r\n\r\n"), Cut),
        case("not hex", chunked("g\r\nhello\r\n0\r\n\r\n"), Cut),
        case("a blank after the size", chunked("5 \r\nhello\r\n0\r\n\r\n"), Cut),
        case("a tab after the size", chunked("5\t\r\nhello\r\n0\r\n\r\n"), Cut),
        case("a blank after the last size", chunked("5\r\nhello\r\n0 \r\n\r\n"), Cut),
        case("a short extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), RefusedOrForwarded("hello")),
        case("a long extension", chunked(&long_extension), Cut),
        case("many extensions", chunked(&many_extensions), Cut),
        case("bare LF in an extension", chunked("5;a\nhello\r\n0\r\n\r\n"), Cut),
        case("bare LF after the size", chunked("5\nhello\r\n0\r\n\r\n"), Cut),
        case("bare CR after the size", chunked("5\rhello\r\n0\r\n\r\n"), Cut),
        case("bare LF after the data", chunked("5\r\nhello\n0\r\n\r\n"), Cut),
        case("nothing after the data", chunked("5\r\nhello0\r\n\r\n"), Cut),
        case("CR CR LF after the size", chunked("5\r\r\nhello\r\n0\r\n\r\n"), Cut),
        case("bare LF at the end", chunked("5\r\nhello\r\n0\n\n"), Cut),
        case("a malformed trailer", chunked("5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"), Cut),
    ]);
}

/// What is no chunk is refused by our own endpoints too, and told to the client.
#[test]
fn chunks_are_exact_for_the_gateway_itself() {
    let (gateway, _upstream) = Gateway::standard();
    let form =
        "grant_type=client_credentials&scope=alpha&client_id=machine&client_secret=machine-secret-0123456789";
    for (size, status) in [("", 200), (" ", 400), ("\t", 400)] {
        let mut client = gateway.raw();
        client.send(format!(
            "POST /hub/api/rest/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}{size}\r\n{form}\r\n0\r\n\r\n",
            form.len()
        ));
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(closes(&mut client, status != 200), status == 400);
    }
}

/// A head's limit is the head's alone: a body that comes along is not counted, and what follows is read as before.
#[test]
fn a_small_limit_of_heads_is_none_of_bodies() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "max_header_size", "\"8KiB\"");
    });
    let mut client = gateway.raw();
    for size in [5, 9_000, 40_000] {
        let body = "x".repeat(size);
        client.send(head(&format!("Content-Length: {size}\r\n")) + &body);
        assert_eq!(client.answer().expect("an answer").status, 200, "{size}");
        client.send(head("Transfer-Encoding: chunked\r\n") + &format!("{size:x}\r\n{body}\r\n0\r\n\r\n"));
        assert_eq!(client.answer().expect("an answer").status, 200, "{size} in chunks");
        let bodies: Vec<_> = upstream.take().into_iter().map(|seen| seen.body.len()).collect();
        assert_eq!(bodies, [size, size]);
    }
    client
        .send(head(&format!("X-Fill: {}\r\nContent-Length: 9000\r\n", "x".repeat(8192))) + &"x".repeat(9000));
    assert_eq!(client.answer().expect("an answer").status, 431);
}

/// RFC 9112 section 3: what is too long of an address gets another answer than what is too much of fields.
#[test]
fn a_head_that_is_too_large_is_answered_by_what_is_too_large() {
    let upstream = Upstream::start();
    let small = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "max_header_size", "\"8KiB\"");
    });
    let (usual, _other) = Gateway::standard();
    for (gateway, path, query, field, status) in [
        (&small, 8_000, 0, 100, 200),
        (&small, 9_000, 0, 0, 414),
        (&small, 0, 9_000, 0, 414),
        (&small, 2_500, 2_500, 4_000, 414),
        (&small, 3_000, 0, 6_000, 431),
        (&small, 3_000, 0, 20_000, 431),
        (&usual, 65_400, 0, 200, 414),
        (&usual, 66_000, 0, 0, 414),
        (&usual, 0, 66_000, 0, 414),
        (&usual, 0, 0, 66_000, 431),
    ] {
        let mut client = gateway.raw();
        let target = format!("/public/{}?{}", "p".repeat(path), "q".repeat(query));
        let fill = "x".repeat(field);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Fill: {fill}\r\n\r\n"));
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, status, "{path} {query} {field}: {}", answer.text());
        assert_eq!(closes(&mut client, status != 200), status != 200, "{path} {query} {field}");
    }
    assert_eq!(upstream.take().len(), 1);
}

/// A body that the client never finishes is never finished towards the upstream.
/// RFC 9112 section 9.3.2: requests may come before those before them are answered, in whatever pieces.
#[test]
fn requests_that_come_at_once_are_judged_as_if_each_came_alone() {
    let (gateway, upstream) = Gateway::standard();
    let get = "GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunks = head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n";
    let trailed = head("Transfer-Encoding: chunked\r\n") + "1;a=b\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n";
    let counted = head("Content-Length: 5\r\n") + "hello";
    let attacks = [
        head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "5 \r\nhello\r\n0\r\n\r\n",
    ];
    let orders: [&[&str]; 7] = [
        &[get, &chunks, &chunks, get],
        &[&chunks, get, &trailed, &counted],
        &[&counted, &chunks, &counted, &trailed],
        &[&trailed, &trailed, &chunks],
        &[get, "\r\n", &chunks, "\r\n\r\n", &counted, "\r\n", &chunks],
        &[&counted, get, get, get, &chunks],
        &[&chunks],
    ];
    for (order, requests) in orders.iter().enumerate() {
        let bodies: Vec<_> = requests
            .iter()
            .filter(|request| !request.trim().is_empty())
            .map(|request| {
                if request.starts_with("GET") {
                    ""
                } else if **request == trailed {
                    "x"
                } else {
                    "hello"
                }
            })
            .collect();
        let all = requests.concat();
        for step in [all.len(), 1, 7, 150] {
            let mut client = gateway.raw();
            for piece in all.as_bytes().chunks(step) {
                client.send(piece);
            }
            for (at, _) in bodies.iter().enumerate() {
                let answer = client.answer().expect("an answer");
                assert_eq!(answer.status, 200, "{at} of {order} by {step}: {}", answer.text());
            }
            let seen: Vec<_> = upstream.take();
            let seen: Vec<_> = seen.iter().map(|request| String::from_utf8_lossy(&request.body)).collect();
            assert_eq!(seen, bodies, "{order} by {step}");
            // Behind them the rules hold that hold alone.
            for attack in &attacks {
                let mut client = gateway.raw();
                client.send([all.as_bytes(), attack.as_bytes(), CANARY.as_bytes()].concat());
                for _ in &bodies {
                    assert_eq!(client.answer().expect("an answer").status, 200);
                }
                assert_ne!(client.answer().map(|answer| answer.status), Some(200));
                assert!(client.rest(Duration::from_secs(5)).is_empty());
                let seen = upstream.take();
                assert!(
                    seen.iter().all(|request| request.target() != "/public/canary"),
                    "{order}: {attack:?}"
                );
            }
        }
    }
}

#[test]
fn a_truncated_body_stays_truncated() {
    let (gateway, upstream) = Gateway::standard();
    for (name, bytes) in [
        ("short of its length", head("Content-Length: 10\r\n") + "hello"),
        ("no last chunk", head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n"),
        ("half a chunk", head("Transfer-Encoding: chunked\r\n") + "5\r\nhel"),
        ("no final line end", head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n"),
    ] {
        let mut connection = gateway.raw();
        connection.send(&bytes);
        std::thread::sleep(Duration::from_millis(100));
        connection.finish_sending();
        drop(connection);
        eventually(name, || upstream.requests().iter().all(|r| r.aborted));
        upstream.take();
        gateway.assert_innocent(&upstream, name);
    }
}

/// S6.
#[test]
fn field_lines_are_strict() {
    let first = |field: &[u8]| {
        [b"POST /public/attack HTTP/1.1\r\n", field, b"\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"]
            .concat()
    };
    let last = |field: &[u8]| {
        [b"POST /public/attack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n", field, b"\r\n\r\nhello"]
            .concat()
    };
    let mut cases = vec![
        case("control", last(b"X-Ok: y"), Forwarded("hello")),
        case("blank first", first(b" X-First: y"), Refused),
        case("tab first", first(b"\tX-First: y"), Refused),
        case("CL with a blank before the colon", head("Content-Length : 5\r\n") + "hello", Refused),
        case("CL with a tab before the colon", head("Content-Length\t: 5\r\n") + "hello", Refused),
        case(
            "TE with a blank before the colon",
            head("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n",
            Refused,
        ),
        case("Content_Length", head("Content_Length: 5\r\n"), RefusedOrForwarded("")),
        case(
            "CL in NEL",
            [head("Content-Length: ").trim_end().as_bytes(), b" \x855\r\n\r\nhello"].concat(),
            Refused,
        ),
        case(
            "CL in NBSP",
            [head("Content-Length: ").trim_end().as_bytes(), b" \xa05\r\n\r\nhello"].concat(),
            Refused,
        ),
        case(
            "TE in NBSP",
            [head("Transfer-Encoding: ").trim_end().as_bytes(), b" chunked\xa0\r\n\r\n0\r\n\r\n"].concat(),
            Refused,
        ),
        case("two Hosts", head("Host: localhost\r\n"), Rejected),
        case("two Hosts that differ", head("Host: evil.example\r\n"), Rejected),
        case("no Host", "GET /public/attack HTTP/1.1\r\nX-Other: y\r\n\r\n", Rejected),
        case(
            "Host with a blank before the colon",
            "GET /public/attack HTTP/1.1\r\nHost : localhost\r\n\r\n",
            Refused,
        ),
        case("a list of hosts", "GET /public/attack HTTP/1.1\r\nHost: localhost, evil\r\n\r\n", Rejected),
    ];
    for (name, field) in [
        ("obs-fold", &b"X-A: b\r\n c"[..]),
        ("obs-fold with a tab", b"X-A: b\r\n\tc"),
        ("an empty name", b": x"),
        ("no colon", b"X-A"),
        ("a blank in the name", b"X A: b"),
        ("a blank after the name", b"X-A : b"),
        ("DEL in the name", b"X\x7fA: b"),
        ("a parenthesis in the name", b"X(A: b"),
        ("a slash in the name", b"X/A: b"),
        ("a quote in the name", b"X\"A: b"),
        ("a high byte in the name", b"X\xe4A: b"),
        ("NUL in the name", b"X\x00A: b"),
        ("NUL in the value", b"X-A: b\x00c"),
        ("bare CR in the value", b"X-A: b\rc"),
        ("bare CR before a field", b"X-A: b\rTransfer-Encoding: chunked"),
        ("DEL in the value", b"X-A: b\x7fc"),
        ("VT in the value", b"X-A: b\x0bc"),
        ("ESC in the value", b"X-A: b\x1bc"),
    ] {
        cases.push(case(name, last(field), Refused));
    }
    run(&cases);
}

/// Bare LF as a line end of the head: a lenient reading may be taken, but only one.
#[test]
fn bare_line_feeds_in_the_head_hide_nothing() {
    let (gateway, upstream) = Gateway::standard();
    for (name, bytes) in [
        ("everywhere", "GET /public/attack HTTP/1.1\nHost: localhost\n\n".to_owned()),
        ("a hidden field", "GET /public/attack HTTP/1.1\r\nHost: localhost\r\nX-A: b\nX-Forwarded-Client: forged\r\n\r\n".to_owned()),
        ("a hidden length", head("X-A: b\nContent-Length: 5\r\n") + "hello"),
        ("a hidden request", "GET /public/attack HTTP/1.1\r\nHost: localhost\r\n\nGET /admin/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
    ] {
        let mut connection = gateway.raw();
        connection.send(&bytes);
        let answer = connection.answer();
        assert!(answer.is_none_or(|a| matches!(a.status, 200 | 400)), "{name}");
        for seen in upstream.take() {
            assert_eq!(seen.target(), "/public/attack", "{name}");
            assert_eq!(seen.header("x-forwarded-client"), None, "{name}");
        }
        gateway.assert_innocent(&upstream, name);
    }
}

/// Behind a head that ends in bare line feeds nothing passes that would be refused behind another.
#[test]
fn what_follows_bare_line_feeds_is_looked_at_as_closely() {
    let (gateway, upstream) = Gateway::standard();
    let pair = head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n";
    let malformed = head("Transfer-Encoding: chunked\r\n") + "5 \r\nhello\r\n0\r\n\r\n";
    for end in ["\n\n", "\n\r\n", "\r\n\n"] {
        for (name, second) in [("both lengths", &pair), ("a malformed size", &malformed)] {
            let mut connection = gateway.raw();
            connection.send(format!("GET /public/first HTTP/1.1\r\nHost: localhost{end}{second}"));
            let first = connection.answer();
            assert!(first.is_none_or(|a| matches!(a.status, 200 | 400)), "{name}");
            let second = connection.answer_to("POST");
            assert!(second.is_none_or(|a| a.status == 400), "{name} behind {end:?}");
            let targets: Vec<_> =
                upstream.take().iter().filter(|r| r.complete).map(|r| r.target().clone()).collect();
            assert!(
                targets.iter().all(|target| target == "/public/first"),
                "{name} behind {end:?}: {targets:?}"
            );
            gateway.assert_innocent(&upstream, name);
        }
    }
}

/// S9: what follows a refusal on the connection is a request or nothing, never the rest of a body.
#[test]
fn the_body_of_a_refused_request_is_never_a_request() {
    let (gateway, upstream) = Gateway::standard();
    let smuggled = CANARY.repeat(20);
    for target in ["/api/x", "/none", "/public/../x", "/hub/api/rest/oauth2/keys", "/hub/nothing"] {
        for framing in ["length", "chunks"] {
            let name = format!("{target} by {framing}");
            let mut bytes = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
            if framing == "length" {
                bytes.extend(format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len()).bytes());
            } else {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                bytes.extend(crate::support::wire::to_chunked(smuggled.as_bytes(), 100));
            }
            let mut connection = gateway.raw();
            connection.send(&bytes);
            let answer = connection.answer_to("POST").unwrap_or_else(|| panic!("{name}: no answer"));
            assert!(answer.status >= 400, "{name}: {}", answer.status);
            let after = connection.rest(Duration::from_millis(150));
            assert!(after.is_empty(), "{name}: {}", String::from_utf8_lossy(&after));
            assert!(upstream.take().is_empty(), "{name}: a body was read as a request");
            gateway.assert_innocent(&upstream, &name);
        }
    }
}

/// S9: a refusal does not wait for the body, and what comes of the body later is no request either.
#[test]
fn an_early_refusal_of_an_unfinished_body() {
    let (gateway, upstream) = Gateway::standard();
    let mut connection = gateway.raw();
    connection.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin");
    let answer = connection.answer_within("POST", Duration::from_secs(15)).expect("an early answer");
    assert_eq!(answer.status, 401);
    for _ in 0..2000 {
        if !connection.try_send(CANARY.as_bytes()) {
            break;
        }
    }
    let after = connection.rest(Duration::from_millis(300));
    assert!(!String::from_utf8_lossy(&after).contains("200 OK"));
    assert!(upstream.take().is_empty());
    gateway.assert_innocent(&upstream, "an unfinished body");
}

/// S9: methods whose bodies mean nothing have the framing of all others.
#[test]
fn bodies_of_get_head_and_delete() {
    let (gateway, upstream) = Gateway::standard();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"] {
        for framing in ["length", "chunks"] {
            let name = format!("{method} by {framing}");
            let mut bytes = format!("{method} /public/attack HTTP/1.1\r\nHost: localhost\r\n");
            bytes += if framing == "length" {
                "Content-Length: 5\r\n\r\nhello"
            } else {
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            };
            let mut connection = gateway.raw();
            connection.send(bytes + CANARY);
            let first = connection.answer_to(method).unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!(first.status, 200, "{name}: {}", first.text());
            let second = connection.answer().unwrap_or_else(|| panic!("{name}: no second answer"));
            assert_eq!(second.json()["target"], "/public/canary", "{name}");
            let seen = upstream.wait_for(2);
            assert_eq!(seen[0].body, b"hello", "{name}");
            upstream.take();
        }
    }
    // 0.CL: the length says nothing follows, so what follows is judged as a request of its own.
    let mut connection = gateway.raw();
    connection.send(
        "GET /public/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\nGET /admin/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(connection.answer().expect("the first").status, 200);
    assert_eq!(connection.answer().expect("the second").status, 401);
    assert_eq!(upstream.take().len(), 1);
    gateway.assert_innocent(&upstream, "0.CL");
}

/// S11: nothing but a valid handshake for a WebSocket is forwarded as an upgrade.
#[test]
fn upgrades_are_not_forwarded() {
    let (gateway, upstream) = Gateway::standard();
    for (name, lines) in [
        (
            "websocket of another version",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
        ("websocket without a key", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("an unknown protocol", "Connection: upgrade\r\nUpgrade: foo\r\n"),
        (
            "h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        ),
        (
            "h2c in two lines",
            "Connection: Upgrade\r\nConnection: HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        ),
        ("TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n"),
        ("without Connection", "Upgrade: websocket\r\n"),
    ] {
        let mut connection = gateway.raw();
        connection.send(format!("GET /public/attack HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{CANARY}"));
        let answer = connection.answer().unwrap_or_else(|| panic!("{name}: no answer"));
        assert!(matches!(answer.status, 200 | 400 | 426 | 501), "{name}: {}", answer.status);
        // The connection stays in HTTP, or ends.
        if let Some(canary) = connection.answer() {
            assert_eq!(canary.json()["target"], "/public/canary", "{name}");
        }
        for seen in upstream.take() {
            for field in ["upgrade", "http2-settings"] {
                assert_eq!(seen.header(field), None, "{name}");
            }
            let connection = seen.header("connection").unwrap_or_default().to_ascii_lowercase();
            assert!(!connection.contains("upgrade") && !connection.contains("http2-settings"), "{name}");
        }
        gateway.assert_innocent(&upstream, name);
    }
}

/// S17: over one client connection and pooled upstream connections, nobody gets anybody else's answer.
#[test]
fn alternating_clients_never_see_each_other() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).service("robot", "robot-secret-0123456789");
    });
    let machine = gateway.machine_token("alpha");
    let robot = gateway.token("robot", "robot-secret-0123456789", "alpha");
    let mut connection = gateway.raw();
    for n in 0..500 {
        let (who, token) = if n % 2 == 0 { ("machine", &machine) } else { ("robot", &robot) };
        let request =
            Request::get(&format!("/api/{who}/{n}")).bearer(token).header("X-Marker", &format!("{who}-{n}"));
        connection.send(request.bytes());
        let answer = connection.answer().expect("an answer");
        let body = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!(body["headers"]["x-forwarded-client"], who, "request {n}");
        assert_eq!(body["headers"]["x-marker"], format!("{who}-{n}"));
        assert_eq!(body["target"], format!("/api/{who}/{n}"));
    }
    let requests: Vec<Request> = (0..100)
        .map(|n| {
            let (who, token) = if n % 2 == 0 { ("machine", &machine) } else { ("robot", &robot) };
            Request::get(&format!("/api/{who}/{n}")).bearer(token)
        })
        .collect();
    for (request, answer) in requests.iter().zip(gateway.client().send_h2(&requests)) {
        let body = answer.json();
        let who = request.target.split('/').nth(2).unwrap();
        assert_eq!(body["target"], request.target.as_str());
        assert_eq!(body["headers"]["x-forwarded-client"], who);
    }
    assert_eq!(upstream.count(), 600);
    assert!(upstream.connections() <= 110, "{} connections for 600 requests", upstream.connections());
}
