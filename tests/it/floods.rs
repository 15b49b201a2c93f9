//! Clients that send much and ask for little (threats D1, D2, D4 to D8): each is let go at a bound, the upstream hears little of
//! it, memory stays where it was, and somebody who asks beside it notices nothing.

use std::{
    io::Write as _,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Gateway, Reply, Request, Upstream,
        gateway::eventually,
        h2::{
            self, DATA, END_HEADERS, END_STREAM, Field, H2, HEADERS, PING, RST_STREAM, SETTINGS,
            WINDOW_UPDATE,
        },
    },
    upstreams::metric,
};

const PRIORITY: u8 = 2;
const CONTINUATION: u8 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

/// How long somebody else may wait at the most while an attack goes on.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much more memory an attack may take, with what the attacker itself needs in this process.
const ROOM: u64 = 48 << 20;

fn fields<'a>(method: &'a [u8], path: &'a [u8]) -> [Field<'a>; 4] {
    [(b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Sets it when it is dropped, also by a panic: a scope waits for its threads, and they go on until it is set.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs an attack while somebody else asks innocently, again and again.
fn beside(gateway: &Gateway, name: &str, attack: impl FnOnce()) {
    let (over, client, before) = (AtomicBool::new(false), gateway.client(), resident());
    thread::scope(|scope| {
        let innocent = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                let answer = client.send(&Request::get("/public/innocent"));
                assert_eq!(answer.status, 200, "beside {name}");
                slowest = slowest.max(started.elapsed());
                thread::sleep(Duration::from_millis(20));
            }
            slowest
        });
        let over = Over(&over);
        attack();
        drop(over);
        let slowest = innocent.join().unwrap();
        assert!(slowest < PATIENCE, "beside {name} somebody waited {slowest:?}");
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < ROOM, "{name} took {} KiB", grown / 1024);
}

/// A gateway whose upstream never answers what is asked for as an attack.
fn start(limits: &[(&str, &str)]) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    upstream.script(
        |request| {
            if request.target().contains("/attack") { Reply::Hang } else { Reply::Describe }
        },
    );
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
        for (key, value) in limits {
            setup.set("limits", key, &format!("{value:?}"));
        }
    });
    (gateway, upstream)
}

fn attacks(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.target().contains("/attack")).count()
}

fn ended(gateway: &Gateway, cause: &str) -> u64 {
    metric(gateway, &format!("hubgate_connections_ended_total{{cause=\"{cause}\"}}"))
}

/// Sends what `piece` makes, as often as the connection takes it.
fn flood(two: &mut H2, count: u32, mut piece: impl FnMut(u32) -> Vec<u8>) {
    for round in 0..count {
        if !two.try_send(&piece(round)) {
            return;
        }
    }
}

/// D4: CVE-2023-44487. Requests that are reset in the same breath.
#[test]
fn requests_that_are_reset_at_once() {
    let (gateway, upstream) = start(&[]);
    beside(&gateway, "a rapid reset", || {
        let mut two = H2::connect(gateway.address());
        let head = h2::block(&fields(b"GET", b"/public/attack"));
        flood(&mut two, 1000, |round| {
            let pair = |n: u32| {
                let stream = 1 + 2 * (round * 100 + n);
                let begin = h2::frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
                [begin, h2::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            };
            (0..100).flat_map(pair).collect()
        });
        let outcome = two.outcome(1_000_001);
        assert!(outcome.closed || outcome.goaway == Some(ENHANCE_YOUR_CALM), "{outcome:?}");
    });
    let reached = attacks(&upstream);
    assert!(reached <= 300, "{reached} of 100,000 reached the upstream");
    upstream.take();
    gateway.assert_innocent(&upstream, "a rapid reset");
}

/// D4 with patience: each request is reset when it has reached the upstream, which no library counts.
#[test]
fn requests_that_are_reset_when_they_have_arrived() {
    let (gateway, upstream) = start(&[]);
    beside(&gateway, "a patient reset", || {
        let mut two = H2::connect(gateway.address());
        let mut sent = 0;
        for round in 0..2000_u32 {
            let stream = 1 + 2 * round;
            let begin = h2::block(&fields(b"GET", b"/public/attack"));
            if !two.try_send(&h2::frame(HEADERS, END_STREAM | END_HEADERS, stream, &begin)) {
                break;
            }
            let deadline = Instant::now() + Duration::from_secs(1);
            while attacks(&upstream) <= sent && Instant::now() < deadline {
                thread::sleep(Duration::from_micros(200));
            }
            sent = attacks(&upstream);
            two.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        }
        let outcome = two.outcome(1_000_001);
        assert_eq!(outcome.goaway, Some(ENHANCE_YOUR_CALM), "after {sent}: {outcome:?}");
        assert!(two.closes_within(PATIENCE), "after {sent} requests that were given up");
    });
    let reached = attacks(&upstream);
    assert!((200..=400).contains(&reached), "{reached} requests reached the upstream");
    assert_eq!(ended(&gateway, "http2_resets"), 1);
    upstream.take();
    gateway.assert_innocent(&upstream, "a patient reset");
}

/// Whoever leaves a page gives up what it has asked for, and stays welcome.
#[test]
fn some_that_are_given_up_are_no_attack() {
    let (gateway, upstream) = start(&[]);
    let mut two = H2::connect(gateway.address());
    two.frame(WINDOW_UPDATE, 0, 0, &(16_u32 << 20).to_be_bytes());
    for page in 0..7_u32 {
        for n in 0..40 {
            let stream = 1 + 2 * (page * 100 + n);
            two.headers(stream, &fields(b"GET", b"/public/attack"), true);
        }
        let arrived = usize::try_from(page + 1).unwrap() * 40;
        eventually("they arrive", || attacks(&upstream) == arrived);
        for n in 0..40 {
            two.frame(RST_STREAM, 0, 1 + 2 * (page * 100 + n), &8_u32.to_be_bytes());
        }
        for n in 40..99 {
            let stream = 1 + 2 * (page * 100 + n);
            two.headers(stream, &fields(b"GET", b"/public/x"), true);
            assert_eq!(two.outcome(stream).status, Some(200), "page {page}");
        }
    }
    assert_eq!(ended(&gateway, "http2_resets"), 0);
}

/// D5: CVE-2025-8671. The client provokes the resets.
#[test]
fn resets_that_are_provoked() {
    for (name, provocation) in [
        ("a window that is opened by nothing", h2::frame(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes())),
        ("a window that overflows", h2::frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())),
        ("a body after the end", h2::frame(DATA, 0, 0, b"x")),
        ("a stream that depends on itself", h2::frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1])),
    ] {
        let (gateway, upstream) = start(&[]);
        beside(&gateway, name, || {
            let mut two = H2::connect(gateway.address());
            let head = h2::block(&fields(b"GET", b"/public/attack"));
            flood(&mut two, 2000, |round| {
                let pair = |n: u32| {
                    let stream = 1 + 2 * (round * 50 + n);
                    let mut provoking = provocation.clone();
                    provoking[5..9].copy_from_slice(&stream.to_be_bytes());
                    if provoking[3] == PRIORITY {
                        provoking[9..13].copy_from_slice(&stream.to_be_bytes());
                    }
                    [h2::frame(HEADERS, END_STREAM | END_HEADERS, stream, &head), provoking].concat()
                };
                (0..50).flat_map(pair).collect()
            });
            let outcome = two.outcome(1_000_001);
            assert!(outcome.closed || outcome.goaway.is_some(), "{name}: {outcome:?}");
        });
        let reached = attacks(&upstream);
        assert!(reached <= 1200, "{name}: {reached} of 100,000 reached the upstream");
        upstream.take();
        gateway.assert_innocent(&upstream, name);
    }
}

/// D6: a head without an end.
#[test]
fn heads_that_are_continued_for_ever() {
    let (gateway, upstream) = start(&[]);
    let field: Field<'_> = (b"x-more", &[b'x'; 1000]);
    for (name, piece) in [("nothing", vec![]), ("a byte", vec![0x82]), ("fields", h2::block(&[field]))] {
        let connected = ended(&gateway, "http2_frames");
        beside(&gateway, &format!("continued by {name}"), || {
            let mut two = H2::connect(gateway.address());
            two.frame(HEADERS, END_STREAM, 1, &h2::block(&fields(b"GET", b"/public/attack")));
            let many = h2::frame(CONTINUATION, 0, 1, &piece).repeat(100);
            flood(&mut two, 1000, |_| many.clone());
            let outcome = two.outcome(1);
            assert!(outcome.closed || outcome.goaway.is_some(), "continued by {name}: {outcome:?}");
        });
        assert!(ended(&gateway, "http2_frames") <= connected + 1);
    }
    assert_eq!(attacks(&upstream), 0);
    upstream.take();
    gateway.assert_innocent(&upstream, "heads without an end");
}

/// D7: small on the wire, large when it is unpacked, and nothing is read of the answers.
#[test]
fn heads_that_unpack_to_much() {
    let (gateway, upstream) = start(&[("write_timeout", "1s"), ("header_timeout", "1s")]);
    let begin = h2::block(&fields(b"GET", b"/public/attack"));
    // One field into the dynamic table (RFC 7541 section 6.2.1), then references to it (section 6.1), of a byte each.
    let long = [&[0x40, 3][..], b"x-a", &[0x7f, 0xb9, 0x16], &[b'a'; 3000]].concat();
    let crumb = [&[0x60][..], &[3], b"a=b"].concat();
    for (name, entry, references) in [
        ("a long field", &long, 12_000),
        ("crumbs of cookies", &crumb, 12_000),
        ("not many crumbs", &crumb, 1000),
    ] {
        beside(&gateway, name, || {
            let mut connections = Vec::new();
            for _ in 0..4 {
                let mut two = H2::connect_with_window(gateway.address(), 0);
                for n in 0..200_u32 {
                    let entry = if n == 0 { entry.clone() } else { vec![] };
                    let block = [begin.clone(), entry, vec![0xbe; references]].concat();
                    let sent = h2::frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * n, &block);
                    if !two.try_send(&sent) {
                        break;
                    }
                    // What keeps the connection awake.
                    two.try_send(&h2::frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
                }
                connections.push(two);
            }
            for mut two in connections {
                assert!(two.closes_within(Duration::from_secs(9)), "{name}: it lives on");
            }
        });
        assert_eq!(attacks(&upstream), 0, "{name}");
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "heads that unpack to much");
}

/// D8: CVE-2019-9511 to 9518 and their like.
#[test]
fn frames_that_carry_nothing() {
    let (gateway, upstream) = start(&[]);
    for (name, frame) in [
        ("pings", h2::frame(PING, 0, 0, &[7; 8])),
        ("settings", h2::frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("empty settings", h2::frame(SETTINGS, 0, 0, &[])),
        ("priorities", h2::frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1])),
        ("windows", h2::frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())),
        ("frames that nobody knows", h2::frame(0x77, 0, 0, b"what")),
        ("empty data", h2::frame(DATA, 0, 1, &[])),
        ("padding", h2::frame(DATA, 8, 1, &[0])),
    ] {
        beside(&gateway, name, || {
            let mut two = H2::connect(gateway.address());
            two.headers(1, &fields(b"POST", b"/public/attack"), false);
            let many = frame.repeat(100);
            flood(&mut two, 2000, |_| many.clone());
            let outcome = two.outcome(u32::MAX >> 1);
            assert!(outcome.closed || outcome.goaway.is_some(), "{name}: {outcome:?}");
        });
    }
    assert!(ended(&gateway, "http2_frames") >= 5, "those that the library lets pass");
    upstream.take();
    gateway.assert_innocent(&upstream, "frames that carry nothing");
}

/// D8: a body a byte at a time, for an upstream that does not take it.
#[test]
fn bodies_of_single_bytes() {
    let (gateway, upstream) = start(&[("body_timeout", "2s")]);
    upstream.script(
        |request| {
            if request.target().contains("/attack") { Reply::Stall } else { Reply::Describe }
        },
    );
    beside(&gateway, "a byte at a time", || {
        let mut connections: Vec<H2> = (0..4).map(|_| H2::connect(gateway.address())).collect();
        let many = h2::frame(DATA, 0, 1, b"x").repeat(1000);
        for two in &mut connections {
            two.headers(1, &fields(b"POST", b"/public/attack"), false);
            // As much as the window takes.
            flood(two, 250, |_| many.clone());
        }
    });
    eventually("they are gone", || metric(&gateway, "hubgate_connections ") == 0);
    upstream.take();
    gateway.assert_innocent(&upstream, "single bytes");
}

/// D1 and D2: those who connect and say nothing, or begin and do not end.
#[test]
fn many_who_are_slow() {
    const MANY: usize = 150;
    let limits = [
        ("handshake_timeout", "2s"),
        ("header_timeout", "2s"),
        ("body_timeout", "2s"),
        ("write_timeout", "2s"),
        ("idle_timeout", "2s"),
    ];
    let (gateway, upstream) = start(&limits);
    let large = vec![b'x'; 1 << 20];
    upstream.script(
        move |request| {
            if request.target().contains("large") { Reply::ok(&large) } else { Reply::Describe }
        },
    );
    beside(&gateway, "those who are slow", || {
        let silent: Vec<TcpStream> =
            (0..MANY).map(|_| TcpStream::connect(gateway.address()).unwrap()).collect();
        let begun: Vec<TcpStream> = (0..MANY)
            .map(|_| {
                let mut socket = TcpStream::connect(gateway.address()).unwrap();
                socket.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
                socket
            })
            .collect();
        let connect = |bytes: &str| {
            let mut client = gateway.raw();
            client.send(bytes);
            client
        };
        let heads: Vec<_> = (0..20).map(|_| connect("GET /public/x HTTP/1.1\r\nHost: local")).collect();
        let length = "POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nbegin";
        let bodies: Vec<_> = (0..20).map(|_| connect(length)).collect();
        let mut readers: Vec<H2> = (0..10).map(|_| H2::connect_with_window(gateway.address(), 1)).collect();
        for two in &mut readers {
            two.headers(1, &fields(b"GET", b"/public/large"), true);
        }
        eventually("all are let go", || metric(&gateway, "hubgate_connections ") <= 1);
        drop((silent, begun, heads, bodies, readers));
    });
    let many = u64::try_from(2 * MANY).unwrap();
    assert!(ended(&gateway, "handshake_timeout") >= many);
    assert!(ended(&gateway, "header_timeout") >= 20);
    assert_eq!(ended(&gateway, "write_timeout"), 10);
    upstream.script(|_| Reply::Describe);
    eventually("nothing arrives any more", || upstream.open_connections() <= 10);
    upstream.take();
    gateway.assert_innocent(&upstream, "those who are slow");
}
