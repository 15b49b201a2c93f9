//! The benchmark's backend: answers `GET …/N` with a JSON body of N bytes, keeps connections open, counts.
//!
//! It shares a core with the load generator, so it does as little as HTTP/1.1 allows: it looks for the end of a
//! head, reads the number at the end of the path and writes an answer that is already built. Requests with a
//! body are outside its task and are refused by closing the connection.
//!
//! `GET /requests` answers how many requests it has served, itself not counted: the benchmark compares that
//! number with what the load generator claims, so that no proxy can answer from a cache or in its own name.

use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr, rc::Rc};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
};

const LARGEST_HEAD: usize = 64 * 1024;
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// What all connections share; there is one thread.
#[derive(Default)]
struct Shared {
    served: u64,
    answers: BTreeMap<usize, Bytes>,
}

impl Shared {
    fn answer(&mut self, size: usize) -> Bytes {
        self.answers.entry(size).or_insert_with(|| built(size)).clone()
    }
}

fn main() -> anyhow::Result<()> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .context("usage: upstream ADDRESS:PORT")?
        .parse()
        .context("the argument is not ADDRESS:PORT")?;
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        let shared = Rc::new(RefCell::new(Shared::default()));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                // A peer that goes away ends its own connection only.
                let _ = serve(stream, &shared).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream, shared: &RefCell<Shared>) -> std::io::Result<()> {
    let mut input = BytesMut::with_capacity(16 * 1024);
    loop {
        while let Some(end) = end_of_head(&input) {
            let Some(wanted) = input.get(..end).and_then(parse) else { return Ok(()) };
            input.advance(end);
            let answer = {
                let mut shared = shared.borrow_mut();
                match wanted {
                    Wanted::Count => with_body(shared.served.to_string().as_bytes()),
                    Wanted::Body(size) => {
                        shared.served += 1;
                        shared.answer(size)
                    }
                }
            };
            stream.write_all(&answer).await?;
        }
        if input.len() > LARGEST_HEAD || stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// What a request asks for.
enum Wanted {
    Count,
    Body(usize),
}

/// The offset behind the empty line.
fn end_of_head(input: &[u8]) -> Option<usize> {
    input.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// `GET /anything/SIZE HTTP/1.1` or `GET /requests HTTP/1.1`; nothing else is served.
fn parse(head: &[u8]) -> Option<Wanted> {
    let path = head.strip_prefix(b"GET ")?.split(|byte| *byte == b' ').next()?;
    if path == b"/requests" {
        return Some(Wanted::Count);
    }
    let size: usize = str::from_utf8(path.rsplit(|byte| *byte == b'/').next()?).ok()?.parse().ok()?;
    (size <= LARGEST_BODY).then_some(Wanted::Body(size))
}

/// A JSON document of exactly this many bytes, if that is possible, with its head.
fn built(size: usize) -> Bytes {
    const START: &[u8] = b"{\"message\":\"";
    const END: &[u8] = b"\"}";
    let filling = size.saturating_sub(START.len() + END.len());
    let mut body = [START, &vec![b'x'; filling], END].concat();
    body.truncate(size);
    with_body(&body)
}

fn with_body(body: &[u8]) -> Bytes {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}
