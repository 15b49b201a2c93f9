//! The main job: a request that may pass is forwarded, streamed both ways, with the right credential to the right
//! upstream, and what goes wrong there is told to the client in the right way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Answer, Gateway, Reply, Request, Upstream, forge,
    gateway::{KEYS, PUBLIC_URL, eventually},
    h2::{self, H2},
    process::free_port,
    tls::Identity,
    wire,
};

const LARGE: usize = 10 * 1024 * 1024;

/// Bytes in which no piece can be mistaken for another.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)).to_le_bytes()[0]).collect()
}

#[test]
fn ten_mebibytes_go_up() {
    let (gateway, upstream) = Gateway::standard();
    let body = pattern(LARGE);
    let check = |name: &str, answer: &Answer| {
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.json()["length"], LARGE, "{name}");
        let seen = upstream.take().remove(0);
        assert!(seen.body == body, "{name}: the body is not what was sent");
        seen
    };
    let by_length = gateway.send(&Request::new("POST", "/public/x").body(&body));
    assert_eq!(check("by length", &by_length).header("content-length"), Some(LARGE.to_string()));
    let mut client = gateway.raw();
    client.send("PUT /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(wire::to_chunked(&body, 100_000));
    let seen = check("in chunks", &client.answer().unwrap());
    assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"));
    let request = Request::new("POST", "/public/x").body(&body);
    check("over HTTP/2", &gateway.client().send_h2(&[request]).remove(0));
}

#[test]
fn ten_mebibytes_come_down() {
    let (gateway, upstream) = Gateway::standard();
    let body = pattern(LARGE);
    for (name, reply) in [
        ("by length", Reply::ok(&body)),
        ("in chunks", Reply::chunked(&body, 70_000)),
        ("in large chunks", Reply::chunked(&body, LARGE)),
        ("until the end of the connection", {
            Reply::ThenClose([b"HTTP/1.1 200 OK\r\n\r\n", body.as_slice()].concat())
        }),
    ] {
        upstream.reply(reply);
        for (protocol, answer) in [
            ("h1", gateway.send(&Request::get("/public/x"))),
            ("h2", gateway.client().send_h2(&[Request::get("/public/x")]).remove(0)),
        ] {
            assert_eq!((answer.status, answer.complete), (200, true), "{name} over {protocol}");
            assert!(answer.body == body, "{name} over {protocol}: the body is not what was sent");
        }
    }
}

/// Nothing is held back: each side sees a piece while the other still speaks.
#[test]
fn bodies_flow_in_both_directions_at_once() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Echo);
    let mut one = gateway.raw();
    one.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for word in ["first", "second", "third"] {
        one.send(format!("{:x}\r\n{word}\r\n", word.len()));
        one.wait_for(word);
    }
    one.send("0\r\n\r\n");
    let answer = one.answer().expect("an answer");
    assert_eq!((answer.text().as_str(), answer.complete), ("firstsecondthird", true));

    let mut two = H2::connect(gateway.address());
    let head: [h2::Field<'_>; 4] = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ];
    two.headers(1, &head, false);
    for word in [&b"first"[..], b"second"] {
        two.data(1, word, false);
        two.wait_for(1, word);
    }
    two.data(1, b"third", true);
    let outcome = two.outcome(1);
    assert_eq!((outcome.body.as_slice(), outcome.reset), (&b"third"[..], None));
}

/// A client that does not read stops the upstream; an upstream that does not read stops the client. Neither fills
/// the gateway's memory.
#[test]
fn pressure_travels_back() {
    const MUCH: usize = 64 * 1024 * 1024;
    const BUFFERS: usize = 24 * 1024 * 1024;
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::ok(vec![b'x'; MUCH]));
    let mut reader = gateway.raw();
    reader.send(Request::get("/public/x").bytes());
    let settled = |bytes: &dyn Fn() -> usize| {
        // On a busy machine it takes a while to begin.
        eventually("something is taken", || bytes() > 0);
        let mut last = 0;
        loop {
            thread::sleep(Duration::from_millis(300));
            let now = bytes();
            if now == last {
                return now;
            }
            last = now;
        }
    };
    let taken = settled(&|| upstream.written_bytes());
    assert!(taken > 0 && taken < BUFFERS, "the gateway took {taken} bytes for a client that does not read");
    drop(reader);
    eventually("the upstream's connection ends with its client's", || upstream.open_connections() == 0);

    upstream.reply(Reply::Stall);
    let sent = Arc::new(AtomicUsize::new(0));
    let mut writer = gateway.raw();
    let counter = Arc::clone(&sent);
    let sender = thread::spawn(move || {
        writer.send(format!("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MUCH}\r\n\r\n"));
        let piece = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < MUCH && writer.try_send(&piece) {
            counter.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    let accepted = settled(&|| sent.load(Ordering::SeqCst));
    assert!(
        accepted > 0 && accepted < BUFFERS,
        "the gateway took {accepted} bytes for an upstream that does not read"
    );
    // Ending both sides lets the sender see an error.
    drop(upstream);
    drop(gateway);
    sender.join().unwrap();
}

#[test]
fn upstream_connections_are_used_again() {
    let (gateway, upstream) = Gateway::standard();
    for n in 0..20 {
        assert_eq!(gateway.send(&Request::get(&format!("/public/{n}"))).status, 200);
    }
    assert_eq!((upstream.count(), upstream.connections()), (20, 1));
    // One that the upstream has closed in the meantime is noticed, and the client sees nothing of it. One that it closes while the
    // next request is on its way is another matter: only what is safe is sent again.
    upstream.script(|request| {
        if request.target().ends_with("/last") {
            Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())
        } else {
            Reply::Describe
        }
    });
    for round in 0..10 {
        assert_eq!(gateway.send(&Request::get("/public/last")).status, 200, "round {round}");
        eventually("the upstream has closed", || upstream.open_connections() == 0);
        assert_eq!(gateway.send(&Request::get("/public/next")).status, 200, "round {round}");
    }
    // `Connection: close` is obeyed.
    let before = upstream.connections();
    upstream.reply(Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"));
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    }
    assert!(upstream.connections() >= before + 2, "a closed connection was used again");
}

#[test]
fn what_passes_unchanged() {
    let (gateway, upstream) = Gateway::standard();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "QUERY"] {
        let answer = gateway.send(&Request::new(method, "/public/x"));
        assert_eq!(answer.json()["line"], format!("{method} /public/x HTTP/1.1"), "{method}");
    }
    upstream.take();
    for status in [200, 201, 202, 206, 301, 302, 400, 401, 403, 404, 418, 429, 500, 503, 599] {
        upstream.reply(Reply::status(status, "text/x-own", "the upstream's own words"));
        let answer = gateway.send(&Request::get("/public/x"));
        assert_eq!((answer.status, answer.text().as_str()), (status, "the upstream's own words"));
        assert_eq!(answer.header("content-type"), Some("text/x-own"));
    }
    upstream.reply(Reply::raw(
        "HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\nLocation: /elsewhere\r\nETag: \"x\"\r\nWWW-Authenticate: Basic realm=\"theirs\"\r\nServer: theirs/1.0\r\nContent-Length: 0\r\n\r\n",
    ));
    for answer in [
        gateway.send(&Request::get("/public/x")),
        gateway.client().send_h2(&[Request::get("/public/x")]).remove(0),
    ] {
        assert_eq!(answer.all("set-cookie"), ["a=1", "b=2; Path=/"]);
        assert_eq!(answer.header("location"), Some("/elsewhere"));
        assert_eq!(answer.header("etag"), Some("\"x\""));
    }
    upstream.take();
    let request = Request::get("/public/x")
        .header("Accept", "a/b")
        .header("Accept-Encoding", "gzip, br")
        .header("X-Own", "1")
        .header("x-own", "2")
        .header("User-Agent", "test/1")
        .header("If-None-Match", "\"x\"")
        .header("Range", "bytes=0-1")
        .header("Origin", "https://app.example");
    gateway.send(&request);
    let seen = upstream.take().remove(0);
    assert_eq!(seen.all("x-own"), ["1", "2"]);
    for (name, value) in [
        ("accept", "a/b"),
        ("accept-encoding", "gzip, br"),
        ("user-agent", "test/1"),
        ("if-none-match", "\"x\""),
        ("range", "bytes=0-1"),
        ("origin", "https://app.example"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(seen.header("content-length"), None, "a request without a body has no length");
    assert_eq!(seen.header("transfer-encoding"), None);
}

/// As many fields as an answer may have, all of them; with one more it cannot be used.
#[test]
fn answers_have_many_fields() {
    let (gateway, upstream) = Gateway::standard();
    for (count, status) in [(150, 200), (255, 200), (256, 502)] {
        let fields = "Set-Cookie: c=1\r\n".repeat(count);
        upstream.reply(Reply::raw(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n")));
        for answer in [
            gateway.send(&Request::get("/public/x")),
            gateway.client().send_h2(&[Request::get("/public/x")]).remove(0),
        ] {
            assert_eq!(answer.status, status, "{count}");
            assert_eq!(answer.all("set-cookie").len(), if status == 200 { count } else { 0 });
        }
    }
}

/// Many cookie fields of HTTP/2 are one in HTTP/1.1 (RFC 9113 section 8.2.3).
#[test]
fn cookie_crumbs_are_joined() {
    let (gateway, upstream) = Gateway::standard();
    let request =
        Request::get("/public/x").header("cookie", "a=1").header("cookie", "b=2").header("cookie", "c=3");
    assert_eq!(gateway.client().send_h2(&[request])[0].status, 200);
    assert_eq!(upstream.take()[0].header("cookie").as_deref(), Some("a=1; b=2; c=3"));
}

#[test]
fn expectations() {
    let (gateway, upstream) = Gateway::standard();
    let head = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    for reply in
        [Reply::Describe, Reply::AfterContinue(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())]
    {
        upstream.reply(reply);
        let mut client = gateway.raw();
        client.send(head("/public/x"));
        client.wait_for("100 Continue");
        client.send("hello");
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.interim.as_slice()), (200, &[100][..]));
        assert_eq!(upstream.wait_for(1).remove(0).body, b"hello");
        upstream.take();
    }
    // What is refused is refused before the body.
    let mut client = gateway.raw();
    client.send(head("/api/x"));
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.interim.len()), (401, 0), "the body is not asked for");
    let strange = gateway.send(&Request::new("POST", "/public/x").header("Expect", "miracles").body("hello"));
    assert!(matches!(strange.status, 200 | 417), "{}", strange.status);
    upstream.take();
    gateway.assert_innocent(&upstream, "expectations");
}

/// An answer's trailers pass. A request's are dropped: an upstream that merges them into the header section (RFC 9110
/// section 6.5.1) would take a client's word for what the gateway says.
#[test]
fn trailers_of_answers_pass_and_those_of_requests_are_dropped() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::raw(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    ));
    let two = gateway.client().send_h2(&[Request::get("/public/x")]).remove(0);
    assert_eq!(
        (two.text().as_str(), two.trailers.clone()),
        ("hello", vec![("x-sum".to_owned(), "42".to_owned())])
    );
    let one = gateway.send(&Request::get("/public/x").header("TE", "trailers"));
    assert_eq!((one.text().as_str(), one.complete), ("hello", true));
    assert_eq!(one.trailers, two.trailers);
    // Over HTTP/1.1 to those alone who say that they take them, and those alone that the head has named.
    let one = gateway.send(&Request::get("/public/x"));
    assert_eq!((one.text().as_str(), one.complete, one.trailers.len()), ("hello", true, 0));
    upstream.reply(Reply::raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    ));
    let one = gateway.send(&Request::get("/public/x").header("TE", "trailers"));
    assert_eq!((one.text().as_str(), one.complete, one.trailers.len()), ("hello", true, 0));
    upstream.take();

    upstream.reply(Reply::Describe);
    let mut client = gateway.raw();
    client.send(
        "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\n\
         X-Sum: 42\r\nX-Forwarded-User: forged\r\nX_Forwarded_User: forged\r\nContent-Length: 99\r\nAuthorization: Bearer forged\r\n\r\n",
    );
    let answer = client.answer().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.take().remove(0);
    assert_eq!((seen.body.as_slice(), seen.complete), (&b"hello"[..], true));
    assert!(seen.trailers.is_empty(), "{:?}", seen.trailers);
    gateway.assert_innocent(&upstream, "trailers");
}

#[test]
fn an_upstream_that_is_down_or_slow() {
    let upstream = Upstream::start();
    let down = format!("http://127.0.0.1:{}", free_port());
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .open_to("/down", &[down], "")
            .open("/slow", &upstream, "timeout = \"400ms\"")
            .open("/patient", &upstream, "timeout = \"2s\"");
    });
    let started = Instant::now();
    let answer = gateway.send(&Request::get("/down/x"));
    assert!(matches!(answer.status, 502 | 503), "{}", answer.text());
    assert!(started.elapsed() < Duration::from_secs(4), "refused connections are told at once");

    let of = |target: &'static str, reply: Reply| {
        upstream.script(move |r| if r.target() == target { reply.clone() } else { Reply::Describe });
        let started = Instant::now();
        let mut client = gateway.raw();
        client.send(Request::get(target).bytes());
        (client.answer(), started.elapsed())
    };
    let slow = |reply| of("/slow/x", reply);
    let (answer, time) = slow(Reply::Hang);
    assert_eq!(answer.expect("an answer").status, 504);
    assert!((350..10_000).contains(&time.as_millis()), "504 after {time:?} with a timeout of 400 ms");
    let (answer, time) = slow(Reply::Pieces(vec![
        (Duration::ZERO, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin".to_vec()),
        (Duration::from_secs(20), b"end".to_vec()),
    ]));
    assert!(answer.is_none_or(|a| !a.complete || a.status == 504), "half an answer was shown as whole");
    assert!(time < Duration::from_secs(15), "cut after {time:?} with a timeout of 400 ms");
    // Slow, but never silent for as long as the timeout: it passes.
    let drip = |n: u8| (Duration::from_millis(500), vec![b'0' + n]);
    let mut pieces = vec![(Duration::ZERO, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n".to_vec())];
    pieces.extend((0..6).map(drip));
    let (answer, _) = of("/patient/x", Reply::Pieces(pieces));
    assert_eq!(answer.expect("an answer").text(), "012345");
    upstream.take();
    gateway.assert_innocent(&upstream, "a slow upstream");
}

/// The timeout is for the upstream: a client that takes its time with a body does not use it up.
#[test]
fn a_long_upload_is_not_a_slow_upstream() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open("/public", &upstream, "timeout = \"1s\"");
    });
    let mut client = gateway.raw();
    client.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n");
    for digit in 0..10 {
        thread::sleep(Duration::from_millis(200));
        client.send(digit.to_string());
    }
    let answer = client.answer().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.take()[0].body, b"0123456789");
}

#[test]
fn a_client_that_goes_away_ends_its_upstream_request() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Hang);
    let mut client = gateway.raw();
    client.send(Request::get("/public/x").bytes());
    eventually("the request arrives", || upstream.count() == 1);
    drop(client);
    eventually("the upstream's connection ends", || upstream.open_connections() == 0);
    let mut stream = H2::connect(gateway.address());
    let head: [h2::Field<'_>; 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/y"),
    ];
    stream.headers(1, &head, true);
    eventually("the request arrives", || upstream.count() == 2);
    stream.frame(h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    eventually("the upstream's connection ends", || upstream.open_connections() == 0);
}

#[test]
fn upstreams_behind_tls() {
    let (ours, theirs) = (Identity::of(&["localhost"]), Identity::of(&["localhost"]));
    let elsewhere = Identity::of(&["elsewhere.example"]);
    let (good, foreign, misnamed) =
        (Upstream::start_tls(&ours), Upstream::start_tls(&theirs), Upstream::start_tls(&elsewhere));
    let gateway = Gateway::start(|setup| {
        std::fs::write(setup.folder().join("ours.pem"), &ours.certificate_pem).unwrap();
        std::fs::write(setup.folder().join("elsewhere.pem"), &elsewhere.certificate_pem).unwrap();
        setup
            .service("open", "open-secret-0123456789")
            .open("/good", &good, "ca = \"ours.pem\"")
            .open("/foreign", &foreign, "ca = \"ours.pem\"")
            .open("/misnamed", &misnamed, "ca = \"elsewhere.pem\"")
            .open("/system", &good, "");
    });
    for _ in 0..3 {
        let answer = gateway.send(&Request::get("/good/x"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!((good.take().len(), good.connections()), (3, 1));
    for path in ["/foreign/x", "/misnamed/x", "/system/x"] {
        let answer = gateway.send(&Request::get(path));
        assert_eq!((answer.status, answer.error().as_str()), (502, "bad_gateway"), "{path}");
    }
    assert_eq!(
        (good.count(), foreign.count(), misnamed.count()),
        (0, 0, 0),
        "nothing is sent to whom is not trusted"
    );
}

/// The three credentials; the scoped one verifies with the published keys, is for one service, and is not made anew for
/// each request.
#[test]
fn what_an_upstream_gets_as_authorization() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .service("beta", "beta-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .service("robot", "robot-secret-0123456789")
            .route("alpha", "/scoped", &upstream, "credential = \"scoped\"")
            .route("beta", "/other", &upstream, "")
            .route("alpha", "/pass", &upstream, "credential = \"pass\"")
            .route("alpha", "/none", &upstream, "credential = \"none\"");
    });
    let token = gateway.machine_token("alpha+beta");
    let authorization = |path: &str, token: &str| {
        let answer = gateway.send(&Request::get(path).bearer(token));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        upstream.take().remove(0).header("authorization")
    };
    assert_eq!(authorization("/pass/x", &token), Some(format!("Bearer {token}")));
    assert_eq!(authorization("/none/x", &token), None);
    let scoped = authorization("/scoped/x", &token).expect("a scoped token");
    assert_eq!(authorization("/scoped/y", &token).as_ref(), Some(&scoped), "it is kept for the next request");
    let other = authorization("/other/x", &token).expect("a scoped token");
    assert_ne!(other, scoped);
    let robots = authorization("/scoped/x", &gateway.token("robot", "robot-secret-0123456789", "alpha"))
        .expect("a scoped token");
    assert_ne!(robots, scoped);

    let keys = gateway.send(&Request::get(KEYS));
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&keys.body).unwrap();
    let (_, original) = forge::decode(&token);
    for (credential, service, client) in
        [(&scoped, "alpha", "machine"), (&other, "beta", "machine"), (&robots, "alpha", "robot")]
    {
        let jwt = credential.strip_prefix("Bearer ").expect("a bearer token");
        assert_ne!(jwt, token);
        let header = jsonwebtoken::decode_header(jwt).unwrap();
        let key =
            jsonwebtoken::DecodingKey::from_jwk(jwks.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&[service]);
        validation.set_issuer(&[format!("{PUBLIC_URL}/hub")]);
        let claims = jsonwebtoken::decode::<serde_json::Value>(jwt, &key, &validation).unwrap().claims;
        assert_eq!(claims["aud"], serde_json::json!([service]), "for one service alone");
        assert_eq!(claims["scope"], service);
        assert_eq!((claims["client_id"].as_str(), claims["sub"].as_str()), (Some(client), Some(client)));
        assert!(claims["exp"].as_i64() <= original["exp"].as_i64(), "it does not outlive the client's");
        assert!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 600,
            "short-lived: {claims}"
        );
    }
}

#[test]
fn routes() {
    let [root, a, ab, stripped, hosted] = std::array::from_fn(|_| Upstream::start());
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open("/", &root, "")
            .open("/a", &a, "")
            .open("/a/b", &ab, "")
            .open("/youtrack", &stripped, "strip_path = true")
            .open("/a", &hosted, "host = \"hosted.example\"");
    });
    for (host, target, upstream, forwarded) in [
        ("localhost", "/", &root, "/"),
        ("localhost", "/ab", &root, "/ab"),
        ("localhost", "/a.b", &root, "/a.b"),
        ("localhost", "/A", &root, "/A"),
        ("localhost", "/x/a", &root, "/x/a"),
        ("localhost", "/a", &a, "/a"),
        ("localhost", "/a/", &a, "/a/"),
        ("localhost", "/a/x", &a, "/a/x"),
        ("localhost", "/a/bc", &a, "/a/bc"),
        ("localhost", "/a?x=/a/b", &a, "/a?x=/a/b"),
        ("localhost", "/%61/x", &a, "/a/x"),
        ("localhost", "/a/b", &ab, "/a/b"),
        ("localhost", "/a/b/c?d", &ab, "/a/b/c?d"),
        ("localhost", "/youtrack", &stripped, "/"),
        ("localhost", "/youtrack/", &stripped, "/"),
        ("localhost", "/youtrack/api/issues?q=1", &stripped, "/api/issues?q=1"),
        ("localhost", "/youtrack?q=1", &stripped, "/?q=1"),
        ("localhost", "/youtrack/youtrack", &stripped, "/youtrack"),
        ("localhost", "/youtracks", &root, "/youtracks"),
        ("hosted.example", "/a/x", &hosted, "/a/x"),
        ("hosted.example", "/other", &root, "/other"),
        ("other.example", "/a/x", &a, "/a/x"),
    ] {
        let answer = gateway.send(&Request::get(target).host(host));
        assert_eq!(answer.status, 200, "{host}{target}");
        assert_eq!(answer.json()["target"], forwarded, "{host}{target}");
        assert_eq!(upstream.take().len(), 1, "{host}{target} went to another upstream");
        for other in [&root, &a, &ab, &stripped, &hosted] {
            assert_eq!(other.count(), 0, "{host}{target}");
        }
    }
}

#[test]
fn rules_take_the_first_match() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .service("robot", "robot-secret-0123456789")
            .route(
                "alpha",
                "/x",
                &upstream,
                r#"
[[upstream.rule]]
path = "/x/static/**"
methods = ["GET", "HEAD"]
access = "public"
[[upstream.rule]]
path = "/x/*/readme"
access = "public"
[[upstream.rule]]
path = "/x/robots/**"
clients = ["robot"]
[[upstream.rule]]
path = "/x/exact"
access = "public"
"#,
            );
    });
    let machine = gateway.machine_token("alpha");
    let robot = gateway.token("robot", "robot-secret-0123456789", "alpha");
    for (method, target, nobody, as_machine, as_robot) in [
        ("GET", "/x/static/a.css", 200, 200, 200),
        ("GET", "/x/static", 200, 200, 200),
        ("GET", "/x/static/a/b/c", 200, 200, 200),
        ("POST", "/x/static/a.css", 401, 200, 200),
        ("GET", "/x/statics", 401, 200, 200),
        ("GET", "/x/a/readme", 200, 200, 200),
        ("GET", "/x/a/b/readme", 401, 200, 200),
        ("GET", "/x/readme", 401, 200, 200),
        ("GET", "/x/robots/1", 401, 403, 200),
        ("GET", "/x/robots", 401, 403, 200),
        ("GET", "/x/exact", 200, 200, 200),
        ("GET", "/x/exact/more", 401, 200, 200),
        ("GET", "/x/Exact", 401, 200, 200),
        ("GET", "/x/%65xact", 200, 200, 200),
        ("GET", "/x", 401, 200, 200),
        ("GET", "/x/anything", 401, 200, 200),
    ] {
        let request = Request::new(method, target);
        let name = format!("{method} {target}");
        assert_eq!(gateway.send(&request).status, nobody, "{name} as nobody");
        assert_eq!(gateway.send(&request.clone().bearer(&machine)).status, as_machine, "{name} as machine");
        assert_eq!(gateway.send(&request.clone().bearer(&robot)).status, as_robot, "{name} as robot");
    }
}

#[test]
fn several_targets_share_the_work() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let down = format!("http://127.0.0.1:{}", free_port());
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open_to("/both", &[one.origin(), two.origin()], "")
            .open_to("/half", &[down, two.origin()], "");
    });
    for n in 0..20 {
        assert_eq!(gateway.send(&Request::get(&format!("/both/{n}"))).status, 200);
    }
    let (first, second) = (one.take().len(), two.take().len());
    assert_eq!(first + second, 20);
    assert!(first >= 5 && second >= 5, "{first} and {second}: that is not shared");
    for n in 0..20 {
        let answer = gateway.send(&Request::new("POST", &format!("/half/{n}")).body("once"));
        assert_eq!(answer.status, 200, "request {n}: a target that refuses connections is passed over");
    }
    assert_eq!(two.take().len(), 20, "each request exactly once");
}

/// R16: what may have been acted upon is not sent twice.
#[test]
fn requests_that_may_have_arrived_are_not_repeated() {
    let (gateway, upstream) = Gateway::standard();
    for (name, reply) in [
        ("closed without an answer", Reply::ThenClose(vec![])),
        ("reset without an answer", Reply::ThenReset(vec![])),
        ("half a head", Reply::ThenClose(b"HTTP/1.1 2".to_vec())),
    ] {
        upstream.reply(reply);
        for method in ["POST", "PATCH"] {
            // On a fresh connection and on a used one alike.
            gateway.send(&Request::get("/public/innocent-warm-up"));
            upstream.take();
            let answer = gateway.send(&Request::new(method, "/public/x").body("transfer 100"));
            assert_eq!(answer.status, 502, "{name}");
            assert_eq!(upstream.take().len(), 1, "{name}: {method} was sent again");
        }
    }
    gateway.assert_innocent(&upstream, "unanswered requests");
}

#[test]
fn bodies_over_the_limit() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("limits", "max_body_size", r#""64KiB""#)
            .open("/small", &upstream, "max_body_size = \"1KiB\"")
            .open("/large", &upstream, "max_body_size = \"1MiB\"")
            .open("/any", &upstream, "max_body_size = \"off\"");
    });
    for (target, limit) in [("/small/x", 1 << 10), ("/public/x", 64 << 10), ("/large/x", 1 << 20)] {
        for (length, status) in [(limit - 1, 200), (limit, 200), (limit + 1, 413), (limit * 2, 413)] {
            let name = format!("{length} bytes to {target}");
            let body = vec![b'x'; length];
            let mut client = gateway.raw();
            client.send(Request::new("POST", target).body(&body).bytes());
            let by_length = client.answer_to("POST").map(|a| a.status);
            assert_eq!(by_length, Some(status), "{name}: a refusal is not lost with the connection");
            let mut client = gateway.raw();
            client.send(format!(
                "POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            ));
            client.send(wire::to_chunked(&body, 10_000));
            let chunked = client.answer_to("POST").map(|a| a.status);
            assert_eq!(chunked, Some(status), "{name} in chunks");
            let wanted = if status == 200 { 2 } else { 0 };
            eventually(&name, || {
                let seen = upstream.requests();
                seen.iter().all(|r| r.complete || r.aborted)
                    && seen.iter().filter(|r| r.complete).count() == wanted
            });
            upstream.take();
        }
    }
    // What was cut off in the middle may still be on its way to the record.
    thread::sleep(Duration::from_millis(200));
    assert!(upstream.take().iter().all(|r| !r.complete));
    // Without a limit there is none.
    for request in [
        Request::new("POST", "/any/x").body(vec![b'x'; 3 << 20]).bytes(),
        [
            &b"POST /any/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            &wire::to_chunked(&vec![b'x'; 3 << 20], 10_000),
        ]
        .concat(),
    ] {
        let mut client = gateway.raw();
        client.send(request);
        assert_eq!(client.answer_to("POST").map(|a| a.status), Some(200));
        let seen = upstream.take();
        assert!(seen.len() == 1 && seen[0].complete && seen[0].body.len() == 3 << 20);
    }
    // The promise alone is enough to refuse; nothing needs to be sent.
    let mut client = gateway.raw();
    client.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n");
    assert_eq!(client.answer().expect("an answer").status, 413);
    assert!(upstream.take().is_empty());
    gateway.assert_innocent(&upstream, "large bodies");
}
