//! Answers that break off: the client sees it, lines and numbers say so, and a target that does it again and again is passed over.
//! And requests that an HTTP/2 upstream says it has not begun with.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    support::{
        Gateway, Reply, Request, Upstream,
        gateway::eventually,
        h2::{
            DATA, END_HEADERS, END_STREAM, Field, GOAWAY, H2, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE,
            frame,
        },
    },
    upstreams::metric,
};

const NO_ERROR: u8 = 0;
const REFUSED_STREAM: u8 = 7;
const CANCEL: u8 = 8;

/// What an upstream does with a request once it has all of it.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers with the length of the body.
    Answer,
    /// The same, and then resets the stream.
    AnswerThenReset(u8),
    /// Sends a part of an answer, and resets the stream.
    BreakOff(u8),
    /// Answers at the head, and wants nothing more.
    AnswerEarly,
    /// Begins an answer at the head, and waits for the body.
    Begin,
    /// Resets the stream at its head, with this code.
    Reset(u8),
    /// Says that it has begun with nothing since the request before, and closes.
    Leave,
}

/// An HTTP/2 upstream by hand. It ends with the process.
struct Script {
    origin: String,
    /// Bodies that were read whole.
    bodies: Arc<Mutex<Vec<usize>>>,
    /// Streams that were reset at their heads.
    resets: Arc<AtomicUsize>,
}

impl Script {
    /// Does this with its requests, one after the other, over all connections; then the last of it for ever.
    fn new(script: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("h2c://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let resets = Arc::new(AtomicUsize::new(0));
        let shared = (Arc::clone(&bodies), Arc::clone(&resets));
        let script: Arc<Mutex<Vec<Does>>> = Arc::new(Mutex::new(script.iter().rev().copied().collect()));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (script, (bodies, resets)) = (Arc::clone(&script), shared.clone());
                thread::spawn(move || serve(socket.unwrap(), &script, &bodies, &resets));
            }
        });
        Self { origin, bodies, resets }
    }

    fn gateway(&self) -> Gateway {
        Gateway::start(|setup| {
            setup.set("log", "access", "true").service("open", "open-secret-0123456789").open_to(
                "/public",
                std::slice::from_ref(&self.origin),
                "",
            );
        })
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.bodies.lock().unwrap())
    }
}

fn serve(
    mut socket: TcpStream,
    script: &Mutex<Vec<Does>>,
    bodies: &Mutex<Vec<usize>>,
    resets: &AtomicUsize,
) -> Option<()> {
    let mut hello = [0; 24];
    socket.read_exact(&mut hello).ok()?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    let mut body = 0;
    let next = || {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.pop().unwrap() } else { script[0] }
    };
    let (mut does, mut last) = (None, 0);
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut content = vec![0; length as usize];
        socket.read_exact(&mut content).ok()?;
        match kind {
            SETTINGS if flags == 0 => socket.write_all(&frame(SETTINGS, 1, 0, &[])).ok()?,
            HEADERS => {
                let todo = next();
                body = 0;
                match todo {
                    Does::Reset(code) => {
                        resets.fetch_add(1, Ordering::Relaxed);
                        socket.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, code])).ok()?;
                        continue;
                    }
                    Does::AnswerEarly => {
                        let mut answer = frame(HEADERS, END_HEADERS, stream, &[0x88]);
                        answer.extend(frame(DATA, END_STREAM, stream, b"early"));
                        answer.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, NO_ERROR]));
                        socket.write_all(&answer).ok()?;
                        continue;
                    }
                    Does::Begin => {
                        let mut answer = frame(HEADERS, END_HEADERS, stream, &[0x88]);
                        answer.extend(frame(DATA, 0, stream, b"begun"));
                        socket.write_all(&answer).ok()?;
                        continue;
                    }
                    Does::Leave => {
                        let farewell = [u32::to_be_bytes(last), [0; 4]].concat();
                        socket.write_all(&frame(GOAWAY, 0, 0, &farewell)).ok()?;
                        continue;
                    }
                    _ => does = Some((stream, todo)),
                }
            }
            DATA if length > 0 => {
                body += content.len();
                for of in [0, stream] {
                    socket.write_all(&frame(WINDOW_UPDATE, 0, of, &length.to_be_bytes())).ok()?;
                }
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA)
            && flags & END_STREAM != 0
            && let Some((of, todo)) = does.take_if(|(of, _)| *of == stream)
        {
            last = of;
            bodies.lock().unwrap().push(body);
            let text = body.to_string();
            let mut answer = frame(HEADERS, END_HEADERS, of, &[0x88]);
            let end = if matches!(todo, Does::BreakOff(_)) { 0 } else { END_STREAM };
            answer.extend(frame(DATA, end, of, text.as_bytes()));
            if let Does::BreakOff(code) | Does::AnswerThenReset(code) = todo {
                answer.extend(frame(RST_STREAM, 0, of, &[0, 0, 0, code]));
            }
            socket.write_all(&answer).ok()?;
        }
    }
}

/// Whether an answer over HTTP/1.1 came and was whole. One that breaks off before its head was sent does not come at all.
fn is_whole(gateway: &Gateway) -> bool {
    let mut client = gateway.raw();
    client.send(Request::get("/public/x").bytes());
    client.answer().is_some_and(|answer| answer.complete)
}

/// The access lines so far that say that an answer was not complete.
fn incomplete(gateway: &Gateway) -> usize {
    gateway.lines().lines().filter(|line| line.contains("incomplete")).count()
}

#[test]
fn a_stream_that_is_reset_before_its_end_is_no_answer() {
    let mut script = Vec::new();
    for code in [NO_ERROR, CANCEL, 2, REFUSED_STREAM] {
        script.extend([Does::BreakOff(code), Does::BreakOff(code)]);
    }
    let upstream = Script::new(&script);
    let gateway = upstream.gateway();
    for round in 1..=4 {
        assert!(!is_whole(&gateway), "{round}");
        let mut two = H2::connect(gateway.address());
        let fields: [Field<'_>; 4] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/public/x"),
        ];
        two.headers(1, &fields, true);
        let outcome = two.outcome(1);
        assert!(outcome.reset.is_some(), "{outcome:?}");
        eventually("lines say so", || incomplete(&gateway) == 2 * round);
    }
    eventually("it is counted", || metric(&gateway, "hubgate_upstream_errors_total{") == 8);
}

#[test]
fn in_json_it_is_true_and_no_text() {
    let upstream = Script::new(&[Does::BreakOff(CANCEL), Does::Answer]);
    let gateway = Gateway::start(|setup| {
        setup
            .set("log", "access", "true")
            .set("log", "format", r#""json""#)
            .service("open", "open-secret-0123456789")
            .open_to("/public", std::slice::from_ref(&upstream.origin), "");
    });
    let marks = |kind: &str, count: usize| {
        let of_kind = || {
            let lines = gateway.lines();
            let objects = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            objects
                .filter(|line| line["kind"] == kind)
                .map(|line| line.get("incomplete").cloned())
                .collect::<Vec<_>>()
        };
        eventually("there is a line", || of_kind().len() >= count);
        of_kind()
    };
    assert!(!is_whole(&gateway));
    assert_eq!(marks("access", 1), [Some(serde_json::Value::Bool(true))]);
    assert!(is_whole(&gateway));
    assert_eq!(marks("access", 2)[1], None);
}

#[test]
fn a_stream_that_is_reset_after_its_end_was_an_answer() {
    let upstream = Script::new(&[Does::AnswerThenReset(NO_ERROR)]);
    let gateway = upstream.gateway();
    for _ in 0..10 {
        let one = gateway.send(&Request::get("/public/x"));
        let two = gateway.client().send_h2(&[Request::get("/public/x")]).remove(0);
        for answer in [one, two] {
            assert_eq!((answer.status, answer.complete, answer.text().as_str()), (200, true, "0"));
        }
    }
    assert_eq!(incomplete(&gateway), 0);
}

/// RFC 9113 sections 6.8 and 8.7: what was not begun with is sent again, whatever it is, and arrives once.
#[test]
fn what_an_upstream_has_not_begun_with_is_sent_again() {
    for unbegun in [Does::Reset(REFUSED_STREAM), Does::Leave] {
        let script = [Does::Answer, unbegun, Does::Answer, unbegun, unbegun, Does::Answer];
        let upstream = Script::new(&script);
        let gateway = upstream.gateway();
        for size in [0, 1, 60_000] {
            let body = "x".repeat(size);
            let request = match size {
                0 => Request::get("/public/x"),
                _ => Request::new("POST", "/public/x").body(&body),
            };
            let answer = gateway.send(&request);
            assert_eq!((answer.status, answer.text()), (200, size.to_string()), "{unbegun:?}");
            assert_eq!(upstream.take(), [size], "{unbegun:?}");
        }
        assert_eq!(metric(&gateway, "hubgate_upstream_retries_total{"), 3);
    }
}

/// What an upstream ends otherwise it may have begun with: not even a request that does no harm is sent again, since the connection
/// stands.
#[test]
fn a_stream_that_is_reset_is_not_sent_again() {
    for code in [NO_ERROR, 2, CANCEL, 13] {
        let upstream = Script::new(&[Does::Answer, Does::Reset(code), Does::Answer]);
        let gateway = upstream.gateway();
        let mut client = gateway.raw();
        for status in [200, 502, 200] {
            client.send(Request::get("/public/x").bytes());
            assert_eq!(client.answer().expect("an answer").status, status, "{code}");
        }
        assert_eq!(upstream.resets.load(Ordering::Relaxed), 1);
        assert_eq!(metric(&gateway, "hubgate_upstream_retries_total{"), 0);
    }
}

/// RFC 9112 section 9.6: what is left of a body that nobody wants is read, and the client's connection goes on.
#[test]
fn an_answer_before_the_body_does_not_cost_the_connection() {
    let upstream = Script::new(&[Does::AnswerEarly]);
    let gateway = upstream.gateway();
    let mut client = gateway.raw();
    for (size, step) in [(3, 3), (30_000, 30_000), (3, 1), (100_000, 10_000)] {
        client.send(format!("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"));
        thread::sleep(std::time::Duration::from_millis(50));
        for piece in "x".repeat(size).as_bytes().chunks(step) {
            client.send(piece);
            thread::sleep(std::time::Duration::from_millis(5));
        }
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
        assert_eq!(answer.header("connection"), None);
    }
    client.send(Request::get("/public/x").bytes());
    assert_eq!(client.answer().expect("an answer").status, 200);
}

#[test]
fn what_is_refused_for_ever_or_too_large_is_not() {
    let upstream = Script::new(&[Does::Answer, Does::Reset(REFUSED_STREAM)]);
    let gateway = upstream.gateway();
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 502);
    assert_eq!(metric(&gateway, "hubgate_upstream_retries_total{"), 2);

    let upstream = Script::new(&[Does::Answer, Does::Leave, Does::Answer]);
    let gateway = upstream.gateway();
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    let _ = gateway.send(&Request::new("POST", "/public/x").body("x".repeat(200_000)));
    // As much as was kept may have been enough; then all of it arrived.
    assert!(upstream.take()[1..].iter().all(|size| *size == 200_000));
}

/// Over HTTP/1.1: a target that breaks off every answer is passed over as one that gives none.
#[test]
fn a_target_that_breaks_off_every_answer_is_passed_over() {
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let upstreams = [Upstream::start(), Upstream::start(), Upstream::start()];
        let origins: Vec<_> = upstreams.iter().map(Upstream::origin).collect();
        let gateway = Gateway::start(|setup| {
            setup.service("open", "open-secret-0123456789").open_to("/public", &origins, "");
        });
        upstreams[1].reply(Reply::ThenClose(broken.into()));
        let whole = (0..60).filter(|_| is_whole(&gateway)).count();
        assert!((50..60).contains(&whole), "{whole} of 60: {broken:?}");
        let counted = metric(&gateway, "hubgate_upstream_errors_total{");
        assert_eq!(counted, 60 - u64::try_from(whole).unwrap());
        let label = upstreams[1].origin().trim_start_matches("http://").to_owned();
        let up = format!("hubgate_upstream_up{{upstream=\"/public\",target=\"{label}\"}}");
        assert_eq!(metric(&gateway, &up), 0, "{broken:?}");
    }
}

/// Who goes away before the end of an answer is not the upstream's fault.
#[test]
fn a_client_that_goes_away_breaks_nothing_off() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Pieces(vec![
        (std::time::Duration::ZERO, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".into()),
        (std::time::Duration::from_secs(60), "world".into()),
    ]));
    for _ in 0..6 {
        let mut client = gateway.raw();
        client.send(Request::get("/public/x").bytes());
        client.wait_for("hello");
    }
    eventually("lines are there", || incomplete(&gateway) == 6);
    assert_eq!(metric(&gateway, "hubgate_upstream_errors_total{"), 0);
    upstream.reply(Reply::Describe);
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
}

/// Over HTTP/2 an answer breaks off with its request. Whose body is too large, or ends in the middle, breaks off nothing of the
/// upstream's.
#[test]
fn an_upload_that_breaks_off_is_not_held_against_the_target() {
    let upstream = Script::new(&[Does::Begin]);
    let gateway = Gateway::start(|setup| {
        setup
            .set("log", "access", "true")
            .set("limits", "max_body_size", r#""64KiB""#)
            .service("open", "open-secret-0123456789")
            .open_to("/public", std::slice::from_ref(&upstream.origin), "");
    });
    let large = format!("20000\r\n{}\r\n", "x".repeat(0x20000));
    let mut lines = 0;
    for rest in [large.as_str(), "4\r\nx", "not a size\r\n"] {
        for _ in 0..6 {
            let mut client = gateway.raw();
            client.send(
                "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
            );
            client.wait_for("begun");
            client.send(rest);
            client.finish_sending();
            assert!(!client.answer().is_some_and(|answer| answer.complete));
            lines += 1;
            eventually("there is a line", || incomplete(&gateway) == lines);
        }
        assert_eq!(metric(&gateway, "hubgate_upstream_errors_total{"), 0, "{rest:.20}");
    }
}
