//! Those who share a connection: what one of them does, or leaves undone, costs the others nothing.

use std::{net::TcpListener, thread, time::Duration};

use bytes::Bytes;

use crate::support::{
    Gateway, Reply, Request, Upstream,
    h2::{DATA, END_STREAM, Field, H2, frame},
};

/// What an HTTP/2 upstream answers to everything below `/public/large`: more than all buffers on the way hold.
const LARGE: usize = 64 * 1024 * 1024;

/// Small pieces of an answer below `/public/small`, and the size of each.
const PIECES: usize = 6000;
const PIECE: usize = 10;

/// An HTTP/2 upstream that answers `/public/large`, `/public/small`, and everything else with its path. It ends with the process.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("h2c://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let serving = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, answering))) = connection.accept().await {
                    tokio::spawn(answer(request.uri().path().to_owned(), answering));
                }
            });
        }
    };
    thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serving)
    });
    origin
}

/// Whoever asked may be gone at any time.
async fn answer(path: String, mut answering: h2::server::SendResponse<Bytes>) -> Option<()> {
    let mut body = answering.send_response(http::Response::new(()), false).ok()?;
    match path.as_str() {
        "/public/large" => {
            let piece = Bytes::from(vec![b'x'; 16 * 1024]);
            for _ in 0..LARGE / piece.len() {
                body.reserve_capacity(piece.len());
                while body.capacity() < piece.len() {
                    std::future::poll_fn(|cx| body.poll_capacity(cx)).await?.ok()?;
                }
                body.send_data(piece.clone(), false).ok()?;
            }
        }
        "/public/small" => {
            for _ in 0..PIECES {
                body.send_data(Bytes::from(vec![b'x'; PIECE]), false).ok()?;
            }
        }
        _ => body.send_data(path.into(), false).ok()?,
    }
    body.send_data(Bytes::new(), true).ok()
}

/// Its workers are one, so that all share the connection to the upstream.
fn gateway(origin: &str) -> Gateway {
    Gateway::start(|setup| {
        setup.set("listen", "workers", "1").service("open", "open-secret-0123456789").open_to(
            "/public",
            &[origin.to_owned()],
            "",
        );
    })
}

fn fields<'a>(method: &'a [u8], path: &'a [u8]) -> [Field<'a>; 4] {
    [(b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
}

#[test]
fn clients_that_do_not_read_hold_up_nobody_beside_them() {
    let gateway = gateway(&upstream());
    let silent: Vec<_> = (0..24)
        .map(|_| {
            let mut client = gateway.raw();
            client.send(Request::get("/public/large").bytes());
            client.wait_for("xxx");
            client
        })
        .collect();
    let mut closed = H2::connect_with_window(gateway.address(), 0);
    for stream in (1..40).step_by(2) {
        closed.headers(stream, &fields(b"GET", b"/public/large"), true);
    }
    assert_eq!(closed.status(39), 200);
    for at in 0..20 {
        let path = format!("/public/{at}");
        let answer = gateway.send(&Request::get(&path));
        assert_eq!((answer.status, answer.text()), (200, path));
    }
    // Neither does who reads get less than all.
    let whole = gateway.send(&Request::get("/public/large"));
    assert_eq!((whole.status, whole.complete, whole.body.len()), (200, true, LARGE));
    drop(silent);
}

/// An answer in many small pieces that come at once is an answer, whether its client reads it or not.
#[test]
fn many_small_pieces_end_no_connection() {
    let gateway = gateway(&upstream());
    // Somebody's answer is under way on the same connection to the upstream.
    let mut other = gateway.raw();
    other.send(Request::get("/public/large").bytes());
    other.wait_for("xxx");
    let mut closed = H2::connect_with_window(gateway.address(), 0);
    for stream in (1..8).step_by(2) {
        closed.headers(stream, &fields(b"GET", b"/public/small"), true);
    }
    assert_eq!(closed.status(7), 200);
    for _ in 0..5 {
        let small = gateway.send(&Request::get("/public/small"));
        assert_eq!((small.status, small.complete, small.body.len()), (200, true, PIECES * PIECE));
    }
    let large = other.answer_within("GET", Duration::from_secs(60)).expect("an answer");
    assert_eq!((large.complete, large.body.len()), (true, LARGE));
}

#[test]
fn an_upload_in_many_small_pieces_arrives() {
    let (gateway, upstream) = Gateway::standard();
    let pieces = 24_000;
    let piece = frame(DATA, 0, 1, &[b'x'; PIECE]);
    let mut client = H2::connect(gateway.address());
    assert!(
        client.settings().iter().any(|(number, value)| *number == 4 && *value as usize >= pieces * PIECE)
    );
    client.headers(1, &fields(b"POST", b"/public/x"), false);
    assert!(client.try_send(&[piece.repeat(pieces), frame(DATA, END_STREAM, 1, b"")].concat()));
    let outcome = client.outcome(1);
    assert_eq!((outcome.status, outcome.goaway), (Some(200), None));
    assert_eq!(upstream.wait_for(1)[0].body.len(), pieces * PIECE);
}

/// Uploads that an upstream does not take do not hold up those to another.
#[test]
fn uploads_that_are_not_taken_hold_up_none_beside_them() {
    let (stalled, quick) = (Upstream::start(), Upstream::start());
    stalled.reply(Reply::Stall);
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open_to("/public/stalled", &[stalled.origin()], "")
            .open_to("/public/quick", &[quick.origin()], "");
    });
    let mut client = H2::connect(gateway.address());
    let window = client.settings().iter().find(|(number, _)| *number == 4).unwrap().1 as usize;
    let piece = [b'x'; 16 * 1024];
    for stream in (1..32).step_by(2) {
        client.headers(stream, &fields(b"POST", b"/public/stalled/x"), false);
        for _ in 0..window / piece.len() {
            client.data(stream, &piece, false);
        }
    }
    client.headers(33, &fields(b"POST", b"/public/quick/x"), false);
    client.data(33, &piece, true);
    assert_eq!(client.outcome(33).status, Some(200));
    assert_eq!(quick.wait_for(1)[0].body.len(), piece.len());
}
