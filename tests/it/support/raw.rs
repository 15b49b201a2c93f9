//! A client that sends over TLS exactly the bytes it is given, and reads answers by their framing.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::{
    answer::Answer,
    tls::{self, AnyCertificate},
    wire::{self, ChunkReader},
};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct RawClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    verifier: Arc<AnyCertificate>,
    buffer: Vec<u8>,
    closed: bool,
}

impl RawClient {
    /// Connects and offers `http/1.1`.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, "http/1.1", "localhost")
    }

    /// Connects and offers this ALPN protocol, none when it is empty, under this server name.
    pub(crate) fn connect_with(address: SocketAddr, alpn: &str, name: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), alpn, name)
    }

    /// The same over a connection on which something may have been said before.
    pub(crate) fn over(socket: TcpStream, alpn: &str, name: &str) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let (config, verifier) = tls::client(alpn);
        let connection =
            ClientConnection::new(config, ServerName::try_from(name.to_owned()).unwrap()).unwrap();
        let mut client = Self {
            stream: StreamOwned::new(connection, socket),
            verifier,
            buffer: Vec::new(),
            closed: false,
        };
        let deadline = Instant::now() + PATIENCE;
        while client.stream.conn.is_handshaking() && !client.closed {
            match client.stream.conn.complete_io(&mut client.stream.sock) {
                Ok(_) => {}
                Err(e) if is_patience(e.kind()) => assert!(Instant::now() < deadline, "no handshake"),
                Err(e) => panic!("handshake: {e}"),
            }
        }
        client
    }

    /// The protocol that the gateway chose.
    pub(crate) fn alpn(&self) -> String {
        String::from_utf8_lossy(self.stream.conn.alpn_protocol().unwrap_or_default()).into_owned()
    }

    /// The certificate that the gateway showed.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.verifier.seen.lock().unwrap().clone()
    }

    /// Sends these bytes. A connection that the gateway has closed swallows them: the answer tells.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_err() {
            // What the gateway said before it closed is still to be read.
        }
        self
    }

    /// Sends these bytes, and says whether the connection took them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends these bytes as one record of TLS, the second half of it after `pause`.
    pub(crate) fn send_encrypted_in_two(&mut self, bytes: &[u8], pause: Duration) {
        self.stream.conn.writer().write_all(bytes).unwrap();
        let mut record = Vec::new();
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut record).unwrap();
        }
        let (first, second) = record.split_at(record.len() / 2);
        self.stream.sock.write_all(first).unwrap();
        std::thread::sleep(pause);
        self.stream.sock.write_all(second).unwrap();
    }

    /// The same, waiting at most so long.
    pub(crate) fn try_send_within(&mut self, bytes: &[u8], wait: Duration) -> bool {
        self.stream.sock.set_write_timeout(Some(wait)).unwrap();
        self.try_send(bytes)
    }

    /// Ends the sending side, as a client does that has nothing more to say.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.conn.send_close_notify();
        if self.stream.flush().is_err() {
            self.closed = true;
        }
    }

    /// Reads at least one more byte into the buffer before `deadline`; false when there is none to come.
    pub(crate) fn fill(&mut self, deadline: Instant) -> bool {
        let mut piece = vec![0; 64 * 1024];
        while !self.closed {
            match self.receive(&mut piece) {
                Ok(0) => self.closed = true,
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return true;
                }
                Err(e) if is_patience(e.kind()) => {
                    if Instant::now() >= deadline {
                        return false;
                    }
                }
                Err(_) => self.closed = true,
            }
        }
        false
    }

    /// Reads, also where the other side has closed and took no more of what was written.
    fn receive(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(piece).or_else(|error| {
            if is_patience(error.kind()) {
                return Err(error);
            }
            self.stream.conn.read_tls(&mut self.stream.sock)?;
            self.stream.conn.process_new_packets().map_err(std::io::Error::other)?;
            self.stream.conn.reader().read(piece)
        })
    }

    /// Takes `count` bytes, or `None` when the connection ends first.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let deadline = Instant::now() + PATIENCE;
        while self.buffer.len() < count {
            if !self.fill(deadline) {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// Whether the gateway closes the connection within `wait`, saying nothing more.
    pub(crate) fn closes_within(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        while self.fill(deadline) {}
        self.closed && self.buffer.is_empty()
    }

    /// Waits until what has come holds `text`, and leaves it to be read.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.buffer.windows(text.len()).any(|w| w == text.as_bytes()) {
            assert!(self.fill(deadline), "{text:?} never came: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// Everything that still comes until the connection closes or is silent for `wait`.
    pub(crate) fn rest(&mut self, wait: Duration) -> Vec<u8> {
        while self.fill(Instant::now() + wait) {}
        std::mem::take(&mut self.buffer)
    }

    /// The next answer to a request that had a body to come back, `None` when the connection closes instead.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET")
    }

    /// The next answer, to a request of this method.
    pub(crate) fn answer_to(&mut self, method: &str) -> Option<Answer> {
        self.answer_within(method, PATIENCE)
    }

    /// The next answer within `patience`; panics when the connection neither closes nor answers.
    pub(crate) fn answer_within(&mut self, method: &str, patience: Duration) -> Option<Answer> {
        let deadline = Instant::now() + patience;
        let mut interim = Vec::new();
        let mut answer = loop {
            let head = self.head(deadline)?;
            if (100..200).contains(&head.status) && head.status != 101 {
                interim.push(head.status);
                continue;
            }
            break head;
        };
        answer.interim = interim;
        let bodiless = method == "HEAD" || matches!(answer.status, 204 | 304);
        if bodiless {
            answer.complete = true;
        } else if answer.header("transfer-encoding").is_some() {
            assert!(answer.all("content-length").is_empty(), "two framings in one answer: {answer:?}");
            self.read_chunked(&mut answer, deadline);
        } else if let Some(length) = answer.header("content-length").map(str::to_owned) {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length && self.fill(deadline) {}
            answer.complete = self.buffer.len() >= length;
            answer.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        } else {
            while self.fill(deadline) {}
            answer.complete = self.closed;
            answer.body = std::mem::take(&mut self.buffer);
        }
        Some(answer)
    }

    /// The next head, without its body.
    pub(crate) fn head(&mut self, deadline: Instant) -> Option<Answer> {
        let end = loop {
            if let Some(end) = wire::head_end(&self.buffer) {
                break end;
            }
            if !self.fill(deadline) {
                assert!(self.closed, "no answer; so far {:?}", String::from_utf8_lossy(&self.buffer));
                assert!(self.buffer.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head in ASCII");
        let (line, section) =
            head.trim_end_matches("\r\n").split_once("\r\n").unwrap_or((head.trim_end(), ""));
        let mut parts = line.splitn(3, ' ');
        assert!(matches!(parts.next(), Some("HTTP/1.1" | "HTTP/1.0")), "status line {line:?}");
        let status =
            parts.next().and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("status line {line:?}"));
        Some(Answer { status, headers: wire::fields(section), ..Answer::default() })
    }

    fn read_chunked(&mut self, answer: &mut Answer, deadline: Instant) {
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        let mut reader = ChunkReader::default();
        loop {
            let done =
                reader.feed(&mut self.buffer).unwrap_or_else(|e| panic!("the gateway's chunked coding: {e}"));
            if done || self.closed {
                answer.complete = done;
                answer.body = reader.body;
                answer.trailers = wire::fields(&reader.trailers);
                if self.closed && !done {
                    self.buffer.clear();
                }
                return;
            }
            let filled = self.fill(deadline);
            assert!(filled || self.closed, "the chunked body never ends");
        }
    }
}

fn is_patience(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
