//! Requests that are answered before all of them was read: what is left of them is no other request, holds nobody else up, and ends
//! with what permitted it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crate::support::{
    Gateway, Reply, Request, Upstream,
    gateway::eventually,
    h2::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame},
};

const EARLY: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly";

/// So many streams an upstream by hand takes at a time.
const MOST: u8 = 2;
const MAX_CONCURRENT_STREAMS: u8 = 3;

/// An HTTP/2 upstream by hand that answers each request at its head, whole, and leaves the stream to its client. It ends with the
/// process.
struct Early {
    origin: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    /// Bytes of bodies.
    bytes: AtomicUsize,
    ends: AtomicUsize,
    resets: AtomicUsize,
}

impl Early {
    /// `reads`: takes what is left of a request, and makes room for more.
    fn start(reads: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("h2c://{}", listener.local_addr().unwrap());
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let seen = Arc::clone(&shared);
                thread::spawn(move || serve(socket.unwrap(), reads, &seen));
            }
        });
        Self { origin, seen }
    }

    fn gateway(&self, more: &str) -> Gateway {
        Gateway::start(|setup| {
            setup.service("open", "open-secret-0123456789").open_to(
                "/public",
                std::slice::from_ref(&self.origin),
                more,
            );
        })
    }
}

fn serve(mut socket: TcpStream, reads: bool, seen: &Seen) -> Option<()> {
    socket.read_exact(&mut [0; 24]).ok()?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[0, MAX_CONCURRENT_STREAMS, 0, 0, 0, MOST])).ok()?;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut content = vec![0; length as usize];
        socket.read_exact(&mut content).ok()?;
        match head[3] {
            SETTINGS if head[4] == 0 => socket.write_all(&frame(SETTINGS, 1, 0, &[])).ok()?,
            HEADERS => {
                seen.requests.fetch_add(1, Relaxed);
                let mut answer = frame(HEADERS, END_HEADERS, stream, &[0x88]);
                answer.extend(frame(DATA, END_STREAM, stream, b"early"));
                socket.write_all(&answer).ok()?;
            }
            DATA => {
                seen.bytes.fetch_add(content.len(), Relaxed);
                if reads && length > 0 {
                    for of in [0, stream] {
                        socket.write_all(&frame(WINDOW_UPDATE, 0, of, &length.to_be_bytes())).ok()?;
                    }
                }
                seen.ends.fetch_add(usize::from(head[4] & END_STREAM != 0), Relaxed);
            }
            RST_STREAM => drop(seen.resets.fetch_add(1, Relaxed)),
            _ => {}
        }
    }
}

/// In chunks of these sizes, each of bytes that the next makes.
fn chunks(pieces: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (line, data) in pieces {
        bytes.extend([line.as_bytes(), b"\r\n", data, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// A connection that waits gives its buffers back. In these may still be what the upstream has no room for, and a client chooses
/// what that looks like.
#[test]
fn what_is_left_of_a_request_is_never_another() {
    let upstream = Early::start(false);
    // As much as an upstream has room for that makes none.
    let window = vec![b'x'; 65_535];
    let smuggled = b"Host: abcd\r\n\r\nGET /public/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(smuggled.len(), 0x40);
    let first: (&str, &[u8]) = ("ffff", &window);
    let harmless: Vec<(&str, &[u8])> = std::iter::once(first).chain([("5", &b"hello"[..]); 20]).collect();
    let chosen: Vec<(&str, &[u8])> =
        std::iter::once(first).chain([("40 ;x HTTP/1.1", &smuggled[..]); 20]).collect();
    for (name, pieces) in [("harmless", harmless), ("chosen", chosen)] {
        let gateway = upstream.gateway("");
        let before = upstream.seen.requests.load(Relaxed);
        let mut client = gateway.raw();
        client.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(chunks(&pieces));
        let answer = client.answer_to("POST").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "early"), "{name}");
        thread::sleep(Duration::from_millis(1500));
        client.send(Request::get("/public/canary").bytes());
        // The one answer, or the end.
        if let Some(answer) = client.answer() {
            assert_eq!((answer.status, answer.text().as_str()), (200, "early"), "{name}");
        }
        assert_eq!(client.rest(Duration::from_millis(300)), b"", "{name}");
        assert!(upstream.seen.requests.load(Relaxed) <= before + 2, "{name}");
    }
}

/// An upstream that has answered, takes nothing more, and says nothing of it: the stream is ended, and until then counts as one.
#[test]
fn what_nobody_takes_is_given_up_and_holds_nobody_up() {
    let upstream = Early::start(false);
    let gateway = upstream.gateway("timeout = \"1s\"");
    let body = "x".repeat(100_000);
    let uploads = 2 * usize::from(MOST) + 1;
    for _ in 0..uploads {
        let answer = gateway.send(&Request::new("POST", "/public/x").body(&body));
        assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
    }
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    }
    eventually("each is reset", || upstream.seen.resets.load(Relaxed) == uploads);
    assert_eq!(upstream.seen.ends.load(Relaxed), 0);
}

/// One that reads on gets all of it, whatever limits there are for heads and silence.
#[test]
fn what_is_taken_slowly_is_sent_to_its_end() {
    let (early, upstream) = (Early::start(true), Upstream::start());
    upstream.reply(Reply::BeforeBody(EARLY.to_vec()));
    let gateway = Gateway::start(|setup| {
        setup
            .set("limits", "header_timeout", r#""1s""#)
            .service("open", "open-secret-0123456789")
            .open("/public", &upstream, "")
            .open_to("/two", std::slice::from_ref(&early.origin), "");
    });
    for path in ["/public/x", "/two/x"] {
        let mut client = gateway.raw();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000\r\n\r\n"));
        assert!(client.answer_to("POST").expect("an answer").status < 300);
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(500));
            client.send([b'x'; 1000]);
        }
        // The connection is as good as any.
        client.send(Request::get(path).bytes());
        assert!(client.answer().expect("an answer").status < 300, "{path}");
    }
    assert!(upstream.take().iter().any(|request| request.complete && request.body.len() == 6000));
    assert_eq!((early.seen.bytes.load(Relaxed), early.seen.ends.load(Relaxed)), (6000, 1));
}

/// A token that ends takes what is left of its request with it, over either protocol of an upstream; so does the limit of the whole.
#[test]
fn what_is_left_of_a_request_ends_with_its_token_and_its_time() {
    let (early, upstream) = (Early::start(true), Upstream::start());
    upstream.reply(Reply::BeforeBody(EARLY.to_vec()));
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("limits", "header_timeout", r#""5m""#)
            .route("alpha", "/early", &upstream, "")
            .route_to("alpha", "/two", std::slice::from_ref(&early.origin), "")
            .route("alpha", "/bounded/early", &upstream, "total_timeout = \"2s\"")
            .route_to("alpha", "/bounded/two", std::slice::from_ref(&early.origin), "total_timeout = \"2s\"");
    });
    for (before, (path, revoked)) in
        [("/early", true), ("/two", true), ("/bounded/early", false), ("/bounded/two", false)]
            .into_iter()
            .enumerate()
    {
        let token = gateway.machine_token("alpha");
        let mut client = gateway.raw();
        client.send(format!("POST {path}/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(client.answer_to("POST").expect("an answer").status < 300, "{path}");
        assert!(client.try_send(b"5\r\nhello\r\n"), "{path}");
        if revoked {
            let form = Request::form("/hub/api/rest/oauth2/revoke", &format!("token={token}"));
            assert_eq!(gateway.send(&form.basic("machine", "machine-secret-0123456789")).status, 200);
        }
        eventually(&format!("{path} ends"), || {
            client.try_send(b"5\r\nhello\r\n");
            let aborted = upstream.requests().iter().filter(|request| request.aborted).count();
            aborted + early.seen.resets.load(Relaxed) == before + 1
        });
    }
    assert!(upstream.take().iter().all(|request| !request.complete));
    assert_eq!(early.seen.ends.load(Relaxed), 0);
}

/// What has no end of its own ends with its token where answers may come to theirs, whatever of its request is still to come.
#[test]
fn a_stream_of_events_ends_beside_its_request() {
    let upstream = Upstream::start();
    let events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: x\r\n";
    upstream.reply(Reply::BeforeBody(events.to_vec()));
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).route("alpha", "/drained", &upstream, "on_expiry = \"drain\"");
    });
    let token = gateway.machine_token("alpha");
    let mut client = gateway.raw();
    client.send(format!("POST /drained/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nsome"));
    client.wait_for("data: x");
    let form = Request::form("/hub/api/rest/oauth2/revoke", &format!("token={token}"));
    assert_eq!(gateway.send(&form.basic("machine", "machine-secret-0123456789")).status, 200);
    client.rest(Duration::from_millis(1));
    assert!(client.closes_within(Duration::from_secs(15)), "it goes on");
}
