//! Clients that are never silent and never done: bodies and readers that move a byte now and then are let go at a rate of our own,
//! and whoever is merely slow, or waits for an upstream, is not.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Gateway, RawClient, Reply, Request, Upstream,
        gateway::eventually,
        h2::{self, H2},
    },
    upstreams::metric,
};

/// Time enough on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long nobody is too slow.
const GRACE: Duration = Duration::from_secs(5);

const BY_LENGTH: &str = "POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
const IN_CHUNKS: &str = "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

fn fields(method: &'static [u8]) -> [h2::Field<'static>; 4] {
    [(b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/public/x")]
}

/// Sends a piece now and then for as long as it goes, and returns the time that it went, and the answer's status.
fn drip(mut client: RawClient, head: &str, piece: &[u8], every: Duration) -> (Duration, Option<u16>, bool) {
    client.send(head);
    let started = Instant::now();
    while started.elapsed() < PATIENCE && client.try_send(piece) {
        if client.fill(Instant::now() + every) {
            break;
        }
    }
    let lived = started.elapsed();
    let answer = client.answer_within("POST", PATIENCE);
    let closes = answer.as_ref().is_some_and(|a| a.header("connection") == Some("close"));
    (lived, answer.map(|a| a.status), closes && client.closes_within(PATIENCE))
}

#[test]
fn bodies_that_drip_are_ended_and_slow_ones_are_not() {
    let (gateway, upstream) = Gateway::limited(&[("min_body_rate", "1KiB")]);
    let every = Duration::from_millis(300);
    thread::scope(|scope| {
        let dripping = [(BY_LENGTH, &b"x"[..]), (IN_CHUNKS, b"1\r\nx\r\n")];
        let dripping = dripping.map(|(head, piece)| {
            let client = gateway.raw();
            (head, scope.spawn(move || drip(client, head, piece, every)))
        });
        let over_two = scope.spawn(|| {
            let mut two = H2::connect(gateway.address());
            two.headers(1, &fields(b"POST"), false);
            let started = Instant::now();
            while started.elapsed() < GRACE + Duration::from_secs(2) {
                two.data(1, b"x", false);
                thread::sleep(every);
            }
            let outcome = two.outcome(1);
            // The connection goes on.
            two.headers(3, &fields(b"GET"), true);
            (outcome, two.outcome(3))
        });
        let sufficient = scope.spawn(|| {
            let mut client = gateway.raw();
            client.send("POST /public/enough HTTP/1.1\r\nHost: localhost\r\nContent-Length: 49152\r\n\r\n");
            for _ in 0..24 {
                client.send([b'x'; 2048]);
                thread::sleep(every);
            }
            client.answer_within("POST", PATIENCE).expect("an answer").status
        });
        for (head, dripping) in dripping {
            let (lived, status, closed) = dripping.join().unwrap();
            assert!((GRACE..PATIENCE).contains(&(lived + Duration::from_millis(500))), "{head}: {lived:?}");
            assert_eq!((status, closed), (Some(408), true), "{head}");
        }
        let (outcome, next) = over_two.join().unwrap();
        assert_eq!(outcome.status, Some(408), "{outcome:?}");
        assert_eq!(next.status, Some(200), "{next:?}");
        assert_eq!(sufficient.join().unwrap(), 200, "slow and sufficient");
    });
    eventually("the upstream is told", || {
        let seen = upstream.requests();
        let dripped =
            |r: &&crate::support::Recorded| r.target() == "/public/x" && r.line().starts_with("POST");
        seen.iter().filter(dripped).count() == 3 && seen.iter().filter(dripped).all(|r| r.aborted)
    });
    let counted = || metric(&gateway, "hubgate_refusals_total{cause=\"body_rate\"}");
    eventually("each of them is counted", || counted() == 3);
    eventually("the line says why", || gateway.lines().contains("the body arrived too slowly"));
    upstream.take();
    gateway.assert_innocent(&upstream, "bodies that drip");
}

#[test]
fn a_body_whose_answer_has_begun_ends_with_it() {
    let (gateway, upstream) = Gateway::limited(&[("min_body_rate", "1KiB")]);
    let early = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin".to_vec();
    upstream.reply(Reply::BeforeBody(early));
    let mut client = gateway.raw();
    client.send(BY_LENGTH);
    client.wait_for("begin");
    let started = Instant::now();
    while started.elapsed() < PATIENCE && client.try_send(b"x") {
        if client.closes_within(Duration::from_millis(300)) {
            break;
        }
    }
    assert!(started.elapsed() < PATIENCE, "it lives on");
    eventually("it is counted", || metric(&gateway, "hubgate_refusals_total{cause=\"body_rate\"}") == 1);
    eventually("the line says so", || gateway.lines().contains("decision=ended"));
    upstream.reply(Reply::Describe);
    upstream.take();
    gateway.assert_innocent(&upstream, "a body that drips behind its answer");
}

#[test]
fn any_pace_will_do_where_the_limit_is_off() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "min_body_rate", r#""1MiB""#);
        setup.service("events", "events-secret-0123456789").open(
            "/events",
            &upstream,
            "min_body_rate = \"off\"",
        );
    });
    let mut client = gateway.raw();
    client.send("POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n");
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(400));
        client.send(b"x");
    }
    assert_eq!(client.answer_within("POST", PATIENCE).expect("an answer").status, 200);
    upstream.take();
}

/// A body stands still because its upstream does not read: that is not the client's doing.
#[test]
fn an_upstream_that_does_not_read_is_not_the_clients_doing() {
    const BODY: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Gateway::start(|setup| {
        setup.set("limits", "min_body_rate", r#""1MiB""#);
        setup.service("slow", "slow-secret-0123456789").open_to("/slow", &[origin], "");
    });
    let upstream = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut space = vec![0; 1 << 20];
        let mut read = socket.read(&mut space).unwrap();
        let head = space.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        thread::sleep(GRACE * 2);
        while read < head + BODY {
            let count = socket.read(&mut space).unwrap();
            assert!(count > 0, "broken off after {read}");
            read += count;
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let mut client = gateway.raw();
    client.send(format!("POST /slow/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n"));
    assert!(client.try_send_within(&vec![b'x'; BODY], PATIENCE), "the body is taken");
    assert_eq!(client.answer_within("POST", PATIENCE).expect("an answer").status, 200);
    upstream.join().unwrap();
}

#[test]
fn silence_of_an_upstream_is_no_slow_reader() {
    let (gateway, upstream) = Gateway::limited(&[("min_answer_rate", "1MiB")]);
    let pause = GRACE + Duration::from_secs(2);
    upstream.reply(Reply::Pieces(vec![
        (Duration::ZERO, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n".to_vec()),
        (pause, b"data: two\n\n".to_vec()),
        (pause, b"data: three\n\n".to_vec()),
    ]));
    let mut one = gateway.raw();
    one.send(Request::get("/public/x").bytes());
    let mut two = H2::connect(gateway.address());
    two.headers(1, &fields(b"GET"), true);
    for text in ["one", "two", "three"] {
        one.wait_for(&format!("data: {text}"));
        two.wait_for(1, format!("data: {text}").as_bytes());
    }
    assert_eq!(metric(&gateway, "hubgate_connections_ended_total{cause=\"min_answer_rate\"}"), 0);
}

#[test]
fn readers_that_take_a_byte_now_and_then_are_ended() {
    let (gateway, upstream) = Gateway::limited(&[("min_answer_rate", "1MiB")]);
    let large = vec![b'x'; 48 << 20];
    upstream.script(move |request| {
        if request.target().ends_with("/x") { Reply::ok(&large) } else { Reply::ok(vec![b'y'; 4 << 20]) }
    });
    thread::scope(|scope| {
        let quick = scope.spawn(|| gateway.send(&Request::get("/public/quick")).body.len());
        let one = scope.spawn(|| {
            let mut socket = std::net::TcpStream::connect(gateway.address()).unwrap();
            socket.set_nodelay(true).unwrap();
            let mut client = RawClient::over(socket.try_clone().unwrap(), "http/1.1", "localhost");
            client.send(Request::get("/public/x").bytes());
            let started = Instant::now();
            let mut some = [0; 1024];
            while started.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(200));
                // What it gets does not matter; that it takes no more of it does.
                let _ = socket.read(&mut some);
                if metric(&gateway, "hubgate_connections_ended_total{cause=\"min_answer_rate\"}") == 2 {
                    break;
                }
            }
        });
        let two = scope.spawn(|| {
            let mut two = H2::connect_with_window(gateway.address(), 1);
            two.headers(1, &fields(b"GET"), true);
            let started = Instant::now();
            let window = h2::frame(h2::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
            while started.elapsed() < PATIENCE && two.try_send(&window) {
                thread::sleep(Duration::from_millis(200));
            }
            started.elapsed()
        });
        assert_eq!(quick.join().unwrap(), 4 << 20, "who reads gets all of it");
        one.join().unwrap();
        let lived = two.join().unwrap();
        assert!((GRACE..PATIENCE).contains(&(lived + Duration::from_secs(1))), "{lived:?}");
    });
    eventually("both are counted", || {
        metric(&gateway, "hubgate_connections_ended_total{cause=\"min_answer_rate\"}") == 2
    });
    eventually("the upstream is let go", || upstream.open_connections() <= 1);
    upstream.reply(Reply::Describe);
    upstream.take();
    gateway.assert_innocent(&upstream, "readers that drip");
}

/// The same where the connection is of use otherwise.
#[test]
fn the_last_piece_of_an_answer_is_not_kept_beside_others() {
    let (gateway, upstream) = Gateway::limited(&[("write_timeout", "2s")]);
    upstream.script(|request| {
        if request.target() == "/public/x" {
            return Reply::ok(vec![b'y'; 8192]);
        }
        let mut events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
        events.extend_from_slice(b"data: one\n\n");
        Reply::Pieces(vec![(Duration::ZERO, events), (PATIENCE, b"data: two\n\n".to_vec())])
    });
    let mut events = fields(b"GET");
    events[3].1 = b"/public/events";
    // A stream of events has room and nothing to say for longer than anything may be left unread.
    let mut quiet = H2::connect(gateway.address());
    quiet.headers(1, &events, true);
    quiet.wait_for(1, b"data: one");
    let mut two = H2::connect_with_window(gateway.address(), 1);
    two.headers(1, &events, true);
    two.frame(h2::WINDOW_UPDATE, 0, 1, &0x1_0000_u32.to_be_bytes());
    two.wait_for(1, b"data: one");
    for stream in [3, 5] {
        two.headers(stream, &fields(b"GET"), true);
    }
    let ping = h2::frame(h2::PING, 0, 0, &[0; 8]);
    let started = Instant::now();
    while two.try_send(&ping) {
        assert!(started.elapsed() < PATIENCE, "answers whose end nobody takes are kept");
        thread::sleep(Duration::from_millis(100));
    }
    let counted = || metric(&gateway, "hubgate_connections_ended_total{cause=\"write_timeout\"}");
    eventually("it is counted", || counted() == 1);
    // The one that is only quiet goes on.
    thread::sleep(Duration::from_secs(3));
    quiet.headers(3, &fields(b"GET"), true);
    assert_eq!(quiet.outcome(3).body.len(), 8192);
    upstream.take();
}

/// What was handed over to HTTP/2 to the end, and is never taken, does not keep its connection.
#[test]
fn the_last_piece_of_an_answer_does_not_keep_its_connection() {
    let (gateway, upstream) = Gateway::limited(&[("idle_timeout", "1s"), ("write_timeout", "1s")]);
    let mut two = H2::connect_with_window(gateway.address(), 1);
    two.headers(1, &fields(b"GET"), true);
    let ping = h2::frame(h2::PING, 0, 0, &[0; 8]);
    let started = Instant::now();
    while two.try_send(&ping) {
        assert!(started.elapsed() < PATIENCE, "an answer whose end nobody takes is kept");
        thread::sleep(Duration::from_millis(100));
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "a window of one");
}
