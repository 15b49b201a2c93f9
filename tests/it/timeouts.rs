//! Clients that are slow or silent (threats D1, D2) are let go at limits of our own, and nobody else notices.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Gateway, Reply, Request,
        gateway::eventually,
        h2::{self, H2},
    },
    upstreams::metric,
};

/// How long the gateway keeps this plain socket open.
fn lifetime(mut socket: TcpStream) -> Duration {
    let started = Instant::now();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut byte = [0; 1024];
    while matches!(socket.read(&mut byte), Ok(n) if n > 0) {}
    started.elapsed()
}

#[test]
fn handshakes_that_do_not_come_to_an_end() {
    let (gateway, upstream) = Gateway::limited(&[("handshake_timeout", "1s")]);
    let limits = 300..8000;
    let silent = lifetime(TcpStream::connect(gateway.address()).unwrap());
    assert!(limits.contains(&silent.as_millis()), "a silent connection lived {silent:?}");
    let mut begun = TcpStream::connect(gateway.address()).unwrap();
    begun.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
    let begun = lifetime(begun);
    assert!(limits.contains(&begun.as_millis()), "half a ClientHello lived {begun:?}");
    for nonsense in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"\x00\x01\x02\x03\x04\x05\x06\x07",
        b"SSH-2.0-x\r\n",
    ] {
        let mut socket = TcpStream::connect(gateway.address()).unwrap();
        socket.write_all(nonsense).unwrap();
        let lived = lifetime(socket);
        assert!(lived < Duration::from_millis(8000), "{nonsense:?} lived {lived:?}");
    }
    gateway.assert_innocent(&upstream, "bad handshakes");
}

#[test]
fn heads_that_do_not_come_to_an_end() {
    let (gateway, upstream) = Gateway::limited(&[("header_timeout", "1s"), ("idle_timeout", "20s")]);
    for (name, beginning) in [
        ("half a line", "GET /public/x"),
        ("half a head", "GET /public/x HTTP/1.1\r\nHost: localhost\r\nX-A:"),
    ] {
        let mut client = gateway.raw();
        client.send(beginning);
        let started = Instant::now();
        let answer = client.answer();
        assert!(answer.is_none_or(|a| a.status == 408), "{name}");
        assert!((300..8000).contains(&started.elapsed().as_millis()), "{name}: {:?}", started.elapsed());
    }
    // Dripping does not help: the limit is for the whole head.
    let mut client = gateway.raw();
    client.send("GET /public/x HTTP/1.1\r\n");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(9) && client.try_send(b"X-A: b\r\n") {
        if client.closes_within(Duration::from_millis(100)) {
            break;
        }
        if !client.rest(Duration::ZERO).is_empty() {
            break;
        }
    }
    assert!(started.elapsed() < Duration::from_secs(8), "a dripping head lived {:?}", started.elapsed());
    assert!(upstream.take().is_empty());
    gateway.assert_innocent(&upstream, "slow heads");
}

/// Over HTTP/2 too, wherever the head breaks off, after other requests and beside one that is still being answered.
#[test]
fn heads_of_http_2_that_do_not_come_to_an_end() {
    const CONTINUATION: u8 = 9;
    let (gateway, upstream) = Gateway::limited(&[("header_timeout", "1s"), ("idle_timeout", "600s")]);
    upstream.script(|request| if request.target().contains("hang") { Reply::Hang } else { Reply::Describe });
    let fields = |path: &'static [u8]| -> [h2::Field<'static>; 4] {
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
    };
    let counted = || metric(&gateway, "hubgate_connections_ended_total{cause=\"header_timeout\"}");
    let block = h2::block(&fields(b"/public/x"));
    let whole = h2::frame(h2::HEADERS, h2::END_STREAM | h2::END_HEADERS, 5, &block);
    let without_end = h2::frame(h2::HEADERS, h2::END_STREAM, 5, &block);
    let continued = [&without_end[..], &h2::frame(CONTINUATION, 0, 5, &[0x82])].concat();
    let cut = [&without_end[..], &h2::frame(CONTINUATION, h2::END_HEADERS, 5, &block)[..12]].concat();
    for (name, beginning) in [
        ("half the head of a frame", &whole[..4]),
        ("half a frame", &whole[..20]),
        ("no continuation", &without_end[..]),
        ("a continuation without end", &continued[..]),
        ("half a continuation", &cut[..]),
    ] {
        for beside in [false, true] {
            let before = counted();
            let mut two = H2::connect(gateway.address());
            two.headers(1, &fields(b"/public/x"), true);
            assert_eq!(two.outcome(1).status, Some(200), "{name}");
            if beside {
                two.headers(3, &fields(b"/public/hang"), true);
            }
            let started = Instant::now();
            assert!(two.try_send(beginning));
            assert!(two.closes_within(Duration::from_secs(20)), "{name}, beside a request: {beside}");
            assert!(started.elapsed() >= Duration::from_secs(1), "{name}: {:?}", started.elapsed());
            eventually("it is counted", || counted() == before + 1);
        }
    }
    // What comes in pieces and in time is answered.
    let mut two = H2::connect(gateway.address());
    let whole = h2::frame(h2::HEADERS, h2::END_STREAM | h2::END_HEADERS, 1, &block);
    for piece in [&whole[..4], &whole[4..20], &whole[20..]] {
        assert!(two.try_send(piece));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(two.outcome(1).status, Some(200));
    upstream.script(|_| Reply::Describe);
    eventually("what was given up is gone", || upstream.requests().iter().all(|r| r.complete || r.aborted));
    upstream.take();
    gateway.assert_innocent(&upstream, "half heads of HTTP/2");
}

#[test]
fn idle_connections_are_closed() {
    let (gateway, upstream) = Gateway::limited(&[("idle_timeout", "2s")]);
    let mut one = gateway.raw();
    one.send(Request::get("/public/x").bytes());
    assert_eq!(one.answer().unwrap().status, 200);
    assert!(one.closes_within(Duration::from_secs(15)), "an idle HTTP/1.1 connection lives on");
    let mut unused = gateway.raw();
    assert!(unused.closes_within(Duration::from_secs(15)), "a connection without a request lives on");
    let mut two = H2::connect(gateway.address());
    let fields: [h2::Field<'_>; 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ];
    two.headers(1, &fields, true);
    assert_eq!(two.outcome(1).status, Some(200));
    assert!(two.closes_within(Duration::from_secs(15)), "an idle HTTP/2 connection lives on");
    upstream.take();
    // A connection that is used again in time stays.
    let mut used = gateway.raw();
    for _ in 0..4 {
        used.send(Request::get("/public/x").bytes());
        assert_eq!(used.answer().expect("the connection lives").status, 200);
        std::thread::sleep(Duration::from_millis(700));
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "idle connections");
}

#[test]
fn bodies_that_do_not_come_to_an_end() {
    let (gateway, upstream) = Gateway::limited(&[("body_timeout", "400ms")]);
    for (name, beginning) in [
        ("by length", "POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nbegin"),
        (
            "in chunks",
            "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n",
        ),
        (
            "a form for ourselves",
            "POST /hub/api/rest/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant",
        ),
    ] {
        let mut client = gateway.raw();
        client.send(beginning);
        let started = Instant::now();
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{name}");
        assert_eq!(answer.error(), "invalid_request", "{name}");
        assert!(started.elapsed() < Duration::from_secs(15), "{name}: {:?}", started.elapsed());
        eventually(&format!("{name}: the upstream is told"), || {
            upstream.requests().iter().all(|r| r.aborted)
        });
        upstream.take();
        gateway.assert_innocent(&upstream, name);
    }
    let counted = || metric(&gateway, "hubgate_refusals_total{cause=\"body_timeout\"}");
    eventually("each of them is counted", || counted() == 3);
}

/// Longer than a connection waits with buffers, shorter than any limit of the standard configuration.
const A_REST: Duration = Duration::from_millis(900);

#[test]
fn a_connection_that_has_rested_is_as_good_as_before() {
    let (gateway, upstream) = Gateway::limited(&[]);
    let mut client = gateway.raw();
    let chunked = "POST /public/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let requests = [
        Request::get("/public/a").bytes(),
        Request::new("POST", "/public/b").body("hello").bytes(),
        chunked.as_bytes().to_vec(),
        Request::new("HEAD", "/public/d").bytes(),
    ];
    for request in &requests {
        std::thread::sleep(A_REST);
        let method = if request.starts_with(b"HEAD") { "HEAD" } else { "GET" };
        // In pieces that it has to wait for, and at once.
        client.send(&request[..10]);
        std::thread::sleep(Duration::from_millis(30));
        client.send(&request[10..]);
        assert_eq!(client.answer_to(method).expect("an answer after a rest").status, 200);
        client.send(request);
        assert_eq!(client.answer_to(method).expect("an answer without a rest").status, 200);
    }
    let seen = upstream.wait_for(8);
    assert!(seen.iter().all(|request| request.complete));
    for bodies in [&seen[2..4], &seen[4..6]] {
        assert!(bodies.iter().all(|request| request.body == b"hello"));
    }
    upstream.take();
    // What is known of the bytes before is known after: a request that two servers would read differently is refused.
    std::thread::sleep(A_REST);
    client.send(chunked.replace("Host:", "Content-Length: 5\r\nHost:"));
    assert_eq!(client.answer().unwrap().status, 400);
    assert!(client.closes_within(Duration::from_secs(15)));
    gateway.assert_innocent(&upstream, "connections that rested");
}

#[test]
fn half_a_record_and_half_a_head_do_not_get_lost_in_a_rest() {
    let (gateway, upstream) = Gateway::limited(&[]);
    let mut client = gateway.raw();
    for path in ["/public/a", "/public/b"] {
        std::thread::sleep(A_REST);
        let request = Request::get(path).bytes();
        client.send_encrypted_in_two(&request, A_REST);
        assert_eq!(client.answer().expect("an answer to a record in two pieces").status, 200);
    }
    // The second of two has begun when the first is answered.
    let request = Request::get("/public/c").bytes();
    client.send([&request, &request[..10]].concat());
    assert_eq!(client.answer().unwrap().status, 200);
    std::thread::sleep(A_REST);
    client.send(&request[10..]);
    assert_eq!(client.answer().expect("an answer to a head in two pieces").status, 200);
    upstream.take();
    gateway.assert_innocent(&upstream, "pieces around a rest");
}

#[test]
fn a_request_that_meets_the_end_is_answered() {
    let (mut gateway, upstream) = Gateway::limited(&[]);
    let mut clients = [gateway.raw(), gateway.raw()];
    for client in &mut clients {
        client.send(Request::get("/public/x").bytes());
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let [one, other] = &mut clients;
    // One that has just asked, and one that has rested.
    std::thread::sleep(A_REST);
    one.send(Request::get("/public/x").bytes());
    assert_eq!(one.answer().unwrap().status, 200);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| gateway.stop());
        std::thread::sleep(Duration::from_millis(200));
        for client in [one, other] {
            client.send(Request::get("/public/x").bytes());
            let answer = client.answer().expect("an answer although the gateway is stopping");
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
            assert!(client.closes_within(Duration::from_secs(15)));
        }
        stopping.join().unwrap();
    });
    assert_eq!(upstream.take().len(), 5);
}

#[test]
fn connections_that_rest_end_as_others_do() {
    let (mut gateway, _upstream) = Gateway::limited(&[("idle_timeout", "2s")]);
    let rested = || {
        let mut client = gateway.raw();
        client.send(Request::get("/public/x").bytes());
        assert_eq!(client.answer().unwrap().status, 200);
        std::thread::sleep(A_REST);
        client
    };
    let open = || metric(&gateway, "hubgate_connections");
    let before = open();
    let mut leaving = rested();
    leaving.finish_sending();
    assert!(
        leaving.closes_within(Duration::from_secs(15)),
        "a client that has nothing more to say is let go"
    );
    drop(rested());
    eventually("clients that went are gone", || open() <= before);
    let mut silent = rested();
    assert!(silent.closes_within(Duration::from_secs(15)), "silence has its limit");
    let mut kept = rested();
    let began = Instant::now();
    gateway.stop();
    assert!(kept.closes_within(Duration::from_secs(15)));
    assert!(began.elapsed() < Duration::from_secs(20), "a drain waited for {:?}", began.elapsed());
}
