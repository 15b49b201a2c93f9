//! An upstream that records the exact bytes of every request and answers as its script says.
//!
//! Invariant (threats S18): whatever a test sends to the gateway, the upstream only ever gets well-formed requests;
//! asserted on every recorded request when the upstream is dropped.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{
    reply::Reply,
    tls::Identity,
    wire::{self, ChunkReader},
};

const TICK: Duration = Duration::from_millis(20);

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    /// The head, blank line included.
    pub(crate) head: Vec<u8>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// The trailer fields of a chunked body.
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body came to its end.
    pub(crate) complete: bool,
    /// Whether the connection ended before the body did.
    pub(crate) aborted: bool,
}

impl Recorded {
    /// The request line without its line end.
    pub(crate) fn line(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        head.split("\r\n").next().unwrap_or_default().to_owned()
    }

    /// The target of the request line.
    pub(crate) fn target(&self) -> String {
        self.line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The fields, names in lower case.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let head = String::from_utf8_lossy(&self.head);
        head.split_once("\r\n").map(|(_, section)| wire::fields(section)).unwrap_or_default()
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.fields().into_iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect()
    }

    /// The one value of a field; panics when it is repeated.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} arrived {} times: {values:?}", values.len());
        values.into_iter().next()
    }

    /// What is wrong with the head, by the rules that hold for every request we send.
    fn violation(&self) -> Option<String> {
        let Ok(head) = std::str::from_utf8(&self.head) else { return Some("not UTF-8".into()) };
        let head = head.strip_suffix("\r\n\r\n")?;
        let (line, section) = head.split_once("\r\n").unwrap_or((head, ""));
        let parts: Vec<&str> = line.split(' ').collect();
        if parts.len() != 3 || !wire::is_token(parts[0]) || parts[2] != "HTTP/1.1" {
            return Some(format!("request line {line:?}"));
        }
        let target_ok = parts[1].starts_with('/') || parts[1] == "*";
        if !target_ok || parts[1].bytes().any(|b| !(0x21..0x7f).contains(&b) || b"#\\\"<>".contains(&b)) {
            return Some(format!("target {:?}", parts[1]));
        }
        let mut names = Vec::new();
        for field in section.split("\r\n").filter(|l| !l.is_empty()) {
            let Some((name, value)) = field.split_once(':') else { return Some(format!("field {field:?}")) };
            if !wire::is_token(name) {
                return Some(format!("field name {name:?}"));
            }
            if value.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
                return Some(format!("value of {name}: {value:?}"));
            }
            names.push(name.to_ascii_lowercase());
        }
        let count = |wanted: &str| names.iter().filter(|n| *n == wanted).count();
        if count("host") != 1 {
            return Some(format!("{} Host fields", count("host")));
        }
        if count("content-length") + count("transfer-encoding") > 1 {
            return Some("more than one framing".into());
        }
        let once =
            ["authorization", "x-forwarded-user", "x-forwarded-client", "x-forwarded-scope", "x-request-id"];
        once.into_iter().find(|n| count(n) > 1).map(|n| format!("{n} more than once"))
    }
}

type Script = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;

#[derive(Default)]
struct Log {
    requests: Vec<Recorded>,
    violations: Vec<String>,
}

struct Shared {
    log: Mutex<Log>,
    grown: Condvar,
    script: Mutex<Script>,
    stop: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    written_bytes: AtomicUsize,
    tls: Option<Arc<ServerConfig>>,
}

/// The server. Dropping it asserts the invariant.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Plain, answering 200 with JSON about the request.
    pub(crate) fn start() -> Self {
        Self::listen(None, "127.0.0.1:0")
    }

    /// Plain, at a port that may be in use in a moment's time by nobody else.
    pub(crate) fn start_on(port: u16) -> Self {
        Self::listen(None, &format!("127.0.0.1:{port}"))
    }

    /// Behind TLS with this certificate.
    pub(crate) fn start_tls(identity: &Identity) -> Self {
        Self::listen(Some(identity.server()), "127.0.0.1:0")
    }

    /// Behind TLS, for those who show this certificate.
    pub(crate) fn start_tls_for(identity: &Identity, client: &Identity) -> Self {
        Self::listen(Some(identity.server_for(Some(client))), "127.0.0.1:0")
    }

    fn listen(tls: Option<Arc<ServerConfig>>, address: &str) -> Self {
        Self::on(TcpListener::bind(address).unwrap(), tls)
    }

    /// On a socket that listens.
    pub(crate) fn on(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            grown: Condvar::new(),
            script: Mutex::new(Arc::new(|_| Reply::Describe)),
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            written_bytes: AtomicUsize::new(0),
            tls,
        });
        let for_thread = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &for_thread));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Its origin as `upstream.to` wants it.
    pub(crate) fn origin(&self) -> String {
        if self.shared.tls.is_some() {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// Answers from now on by this script, which sees the request's head.
    pub(crate) fn script(&self, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Answers from now on with this, whatever is asked; innocent requests still get the default.
    pub(crate) fn reply(&self, reply: Reply) {
        self.script(
            move |request| {
                if request.target().contains("innocent") { Reply::Describe } else { reply.clone() }
            },
        );
    }

    /// The requests so far. A request counts from the moment that its head is complete.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.shared.log.lock().unwrap().requests.clone()
    }

    /// How many requests so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.log.lock().unwrap().requests.len()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes of answers the gateway has taken so far.
    pub(crate) fn written_bytes(&self) -> usize {
        self.shared.written_bytes.load(Ordering::SeqCst)
    }

    /// The requests since the last call, forgetting them (their invariant was checked when they came).
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.shared.log.lock().unwrap().requests)
    }

    /// Waits until `count` requests are complete and returns them all.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Recorded> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut log = self.shared.log.lock().unwrap();
        loop {
            if log.requests.iter().filter(|r| r.complete).count() >= count {
                return log.requests.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} requests came: {:?}", log.requests.len(), log.requests);
            log = self.shared.grown.wait_timeout(log, left).unwrap().0;
        }
    }

    /// Fails when anything but well-formed requests has come.
    pub(crate) fn assert_well_formed(&self) {
        let log = self.shared.log.lock().unwrap();
        assert!(log.violations.is_empty(), "the upstream got malformed requests: {:#?}", log.violations);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The acceptor sleeps in accept(): a last connection wakes it.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        if !thread::panicking() {
            self.assert_well_formed();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(socket) = socket else { continue };
        let shared = Arc::clone(shared);
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            socket.set_nodelay(true).unwrap();
            socket.set_read_timeout(Some(TICK)).unwrap();
            let handle = socket.try_clone().unwrap();
            let stream: Box<dyn Wire> = match &shared.tls {
                None => Box::new(socket),
                Some(config) => {
                    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                    Box::new(StreamOwned::new(connection, socket))
                }
            };
            let mut connection = Connection { number, stream, handle, shared: &shared, buffer: vec![] };
            while connection.exchange().is_some() {}
            drop(connection);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

struct Connection<'a> {
    number: usize,
    stream: Box<dyn Wire>,
    handle: TcpStream,
    shared: &'a Shared,
    buffer: Vec<u8>,
}

impl Connection<'_> {
    /// One request and its answer; `None` when the connection is over.
    fn exchange(&mut self) -> Option<()> {
        let end = loop {
            if let Some(end) = wire::head_end(&self.buffer) {
                break end;
            }
            if self.fill().is_none() {
                if !self.buffer.is_empty() {
                    let rest = String::from_utf8_lossy(&self.buffer).into_owned();
                    self.violation(format!("bytes that are no request: {rest:?}"));
                }
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let request = Recorded { connection: self.number, head, ..Recorded::default() };
        if let Some(violation) = request.violation() {
            self.violation(format!("{violation} in {:?}", String::from_utf8_lossy(&request.head)));
        }
        let index = {
            let mut log = self.shared.log.lock().unwrap();
            log.requests.push(request.clone());
            self.shared.grown.notify_all();
            log.requests.len() - 1
        };
        let script = Arc::clone(&self.shared.script.lock().unwrap());
        let reply = script(&request);
        match &reply {
            Reply::BeforeBody(bytes) => self.write(bytes)?,
            Reply::BeforeBodyAndPause(bytes, pause) => {
                self.write(bytes)?;
                thread::sleep(*pause);
            }
            Reply::AfterContinue(_) => self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            Reply::Echo => self.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?,
            Reply::Stall => {
                while !self.shared.stop.load(Ordering::SeqCst) {
                    thread::sleep(TICK);
                }
                return None;
            }
            _ => {}
        }
        let head = request.head.clone();
        let Some(whole) = self.body(request, index, matches!(reply, Reply::Echo)) else {
            let mut log = self.shared.log.lock().unwrap();
            if let Some(entry) = log.requests.get_mut(index).filter(|entry| entry.head == head) {
                entry.aborted = true;
            }
            return None;
        };
        match reply {
            Reply::Bytes(bytes) | Reply::AfterContinue(bytes) => self.write(&bytes),
            Reply::BeforeBody(_) | Reply::BeforeBodyAndPause(..) => Some(()),
            Reply::Echo => self.write(b"0\r\n\r\n"),
            Reply::Describe => self.write(&describe(&whole)),
            Reply::ThenClose(bytes) => {
                self.write(&bytes)?;
                None
            }
            Reply::ThenReset(bytes) => {
                self.write(&bytes)?;
                // Closing with a linger time of zero sends RST instead of FIN.
                drop(socket2::SockRef::from(&self.handle).set_linger(Some(Duration::ZERO)));
                None
            }
            Reply::Pieces(pieces) => {
                for (pause, bytes) in pieces {
                    thread::sleep(pause);
                    self.write(&bytes)?;
                }
                Some(())
            }
            Reply::Switch(bytes) => {
                self.switch(&whole, &bytes)?;
                self.echo(index)
            }
            Reply::SwitchAndStall(bytes) => {
                self.switch(&whole, &bytes)?;
                while !self.shared.stop.load(Ordering::SeqCst) {
                    thread::sleep(TICK);
                }
                None
            }
            Reply::SwitchAndClose(bytes) => {
                self.switch(&whole, &bytes)?;
                None
            }
            Reply::SwitchAndReset(bytes) => {
                self.switch(&whole, &bytes)?;
                drop(socket2::SockRef::from(&self.handle).set_linger(Some(Duration::ZERO)));
                None
            }
            Reply::Stall => None,
            Reply::Hang => {
                while self.fill().is_some() {}
                None
            }
        }
    }

    /// Answers that the connection goes on as WebSocket, and sends these bytes.
    fn switch(&mut self, request: &Recorded, bytes: &[u8]) -> Option<()> {
        let accept = websocket_accept(&request.header("sec-websocket-key").unwrap_or_default());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.write(&[head.as_bytes(), bytes].concat())
    }

    /// Sends back what comes, and keeps it as the body of the request.
    fn echo(&mut self, index: usize) -> Option<()> {
        loop {
            let piece = std::mem::take(&mut self.buffer);
            if let Some(entry) = self.shared.log.lock().unwrap().requests.get_mut(index) {
                entry.body.extend_from_slice(&piece);
            }
            self.write(&piece)?;
            self.fill().or_else(|| {
                if let Some(entry) = self.shared.log.lock().unwrap().requests.get_mut(index) {
                    entry.aborted = true;
                }
                None
            })?;
        }
    }

    /// Reads the body by its framing and completes the record.
    fn body(&mut self, mut request: Recorded, index: usize, echo: bool) -> Option<Recorded> {
        if request.header("transfer-encoding").is_some() {
            let mut reader = ChunkReader::default();
            let mut echoed = 0;
            loop {
                match reader.feed(&mut self.buffer) {
                    Ok(done) => {
                        if echo {
                            let fresh = reader.body[echoed..].to_vec();
                            echoed = reader.body.len();
                            self.write_chunk(&fresh)?;
                        }
                        if done {
                            break;
                        }
                    }
                    Err(why) => {
                        self.violation(why);
                        return None;
                    }
                }
                self.fill()?;
            }
            request.trailers = wire::fields(&reader.trailers);
            request.body = reader.body;
        } else if let Some(length) = request.header("content-length") {
            let Ok(length) = length.parse::<usize>() else {
                self.violation(format!("content-length {length:?}"));
                return None;
            };
            loop {
                let missing = length - request.body.len();
                let piece: Vec<u8> = self.buffer.drain(..missing.min(self.buffer.len())).collect();
                if echo {
                    self.write_chunk(&piece)?;
                }
                request.body.extend_from_slice(&piece);
                if request.body.len() == length {
                    break;
                }
                self.fill()?;
            }
        }
        request.complete = true;
        let mut log = self.shared.log.lock().unwrap();
        // A test may have taken the record away in the meantime.
        if let Some(entry) = log.requests.get_mut(index).filter(|entry| entry.head == request.head) {
            *entry = request.clone();
        }
        self.shared.grown.notify_all();
        Some(request)
    }

    fn write_chunk(&mut self, piece: &[u8]) -> Option<()> {
        if piece.is_empty() {
            return Some(());
        }
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.write(&chunk)
    }

    fn write(&mut self, bytes: &[u8]) -> Option<()> {
        for piece in bytes.chunks(64 * 1024) {
            self.stream.write_all(piece).and_then(|()| self.stream.flush()).ok()?;
            self.shared.written_bytes.fetch_add(piece.len(), Ordering::SeqCst);
        }
        Some(())
    }

    fn fill(&mut self) -> Option<()> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Some(());
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.shared.stop.load(Ordering::SeqCst) {
                        return None;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn violation(&self, what: String) {
        self.shared.log.lock().unwrap().violations.push(what);
    }
}

/// `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2).
pub(crate) fn websocket_accept(key: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hubgate::crypto::digest::sha1(text.as_bytes()))
}

/// 200 with JSON: what came, so that a client can tell whose answer it got.
fn describe(request: &Recorded) -> Vec<u8> {
    let headers: BTreeMap<String, String> = request.fields().into_iter().collect();
    let body = json!({
        "line": request.line(),
        "target": request.target(),
        "headers": headers,
        "length": request.body.len(),
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let with_body = !request.line().starts_with("HEAD ");
    let mut bytes = head.into_bytes();
    if with_body {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}
