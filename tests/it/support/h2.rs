//! HTTP/2 by hand: frames and header blocks that no well-behaved library would send.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::raw::RawClient;

/// Frame types (RFC 9113 section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
/// Flags.
pub(crate) const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A header field as raw bytes.
pub(crate) type Field<'a> = (&'a [u8], &'a [u8]);

/// What became of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) body: Vec<u8>,
    /// The error code of RST_STREAM.
    pub(crate) reset: Option<u32>,
    /// The error code of GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// Whether the connection ended.
    pub(crate) closed: bool,
}

impl Outcome {
    /// Whether the request was refused: by an answer of 4xx, by resetting its stream, or by ending the connection.
    pub(crate) fn is_refusal(&self) -> bool {
        match self.status {
            Some(status) => (400..500).contains(&status),
            None => self.reset.is_some() || self.goaway.is_some() || self.closed,
        }
    }
}

/// One connection.
pub(crate) struct H2 {
    connection: RawClient,
    /// Frames of other streams that were read while waiting for one.
    pending: Vec<(u8, u8, u32, Vec<u8>)>,
    settings: Vec<u8>,
}

impl H2 {
    /// Connects and says hello, asking for header blocks without a dynamic table.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_with_window(address, 1024 * 1024)
    }

    /// The same, with room for so many bytes of each answer's body.
    pub(crate) fn connect_with_window(address: SocketAddr, window: u32) -> Self {
        Self::over(RawClient::connect_with(address, "h2", "localhost"), window)
    }

    /// The same over a connection that is there.
    pub(crate) fn over(mut connection: RawClient, window: u32) -> Self {
        assert_eq!(connection.alpn(), "h2");
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS_HEADER_TABLE_SIZE = 0, SETTINGS_INITIAL_WINDOW_SIZE.
        let settings = [&[0, 1, 0, 0, 0, 0][..], &[0, 4], &window.to_be_bytes()].concat();
        hello.extend_from_slice(&frame(SETTINGS, 0, 0, &settings));
        connection.send(hello);
        Self { connection, pending: vec![], settings: vec![] }
    }

    /// Sends a frame as it stands.
    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.connection.send(frame(kind, flags, stream, payload));
    }

    /// Sends bytes as they stand, and says whether the connection took them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.connection.try_send(bytes)
    }

    /// Opens a stream with these fields.
    pub(crate) fn headers(&mut self, stream: u32, fields: &[Field<'_>], end_stream: bool) {
        let flags = END_HEADERS | if end_stream { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block(fields));
    }

    /// Sends a piece of a body.
    pub(crate) fn data(&mut self, stream: u32, payload: &[u8], end_stream: bool) {
        self.frame(DATA, if end_stream { END_STREAM } else { 0 }, stream, payload);
    }

    /// Waits until the stream, or the connection, is over.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let mut outcome = Outcome::default();
        let mut replay = std::mem::take(&mut self.pending).into_iter();
        loop {
            let Some((kind, flags, on, payload)) = replay.next().or_else(|| self.next_frame()) else {
                outcome.closed = true;
                return outcome;
            };
            match kind {
                GOAWAY => {
                    let last = u32::from_be_bytes(payload[..4].try_into().unwrap()) & 0x7fff_ffff;
                    outcome.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
                    if last < stream {
                        return outcome;
                    }
                }
                _ if on != stream => {
                    if on != 0 {
                        self.pending.push((kind, flags, on, payload));
                    }
                    continue;
                }
                RST_STREAM => {
                    outcome.reset = Some(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                    return outcome;
                }
                HEADERS if outcome.status.is_none() => {
                    let status = status(header_block(flags, &payload));
                    if status >= 200 {
                        outcome.status = Some(status);
                    }
                }
                DATA => outcome.body.extend_from_slice(&payload),
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return outcome;
            }
        }
    }

    /// Waits until a DATA frame of the stream holds `text`; what came before it is forgotten.
    pub(crate) fn wait_for(&mut self, stream: u32, text: &[u8]) {
        loop {
            let (kind, _, on, payload) = self.next_frame().expect("the connection lives");
            if kind == DATA && on == stream && payload.windows(text.len()).any(|w| w == text) {
                return;
            }
        }
    }

    /// The first SETTINGS of the gateway, as pairs of number and value.
    pub(crate) fn settings(&mut self) -> Vec<(u16, u32)> {
        while self.settings.is_empty() {
            let frame = self.next_frame().expect("the connection lives");
            self.pending.push(frame);
        }
        let pairs = self.settings.chunks(6);
        pairs
            .map(|pair| {
                let number = u16::from_be_bytes(pair[..2].try_into().unwrap());
                (number, u32::from_be_bytes(pair[2..6].try_into().unwrap()))
            })
            .collect()
    }

    /// The status of a stream that stays open.
    pub(crate) fn status(&mut self, stream: u32) -> u16 {
        let mut replay = std::mem::take(&mut self.pending).into_iter();
        loop {
            let next = replay.next().or_else(|| self.next_frame());
            let (kind, flags, on, payload) = next.expect("the connection lives");
            if on == stream {
                self.pending.extend(replay);
                assert_eq!(kind, HEADERS, "no status but {payload:02x?}");
                return status(header_block(flags, &payload));
            }
            self.pending.push((kind, flags, on, payload));
        }
    }

    /// So many bytes of a stream that stays open; fewer when it ends.
    pub(crate) fn bytes(&mut self, stream: u32, count: usize) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut replay = std::mem::take(&mut self.pending).into_iter();
        while bytes.len() < count {
            let Some((kind, flags, on, payload)) = replay.next().or_else(|| self.next_frame()) else {
                return (bytes, true);
            };
            match kind {
                _ if on != stream => self.pending.push((kind, flags, on, payload)),
                RST_STREAM => return (bytes, true),
                DATA => {
                    bytes.extend_from_slice(&payload);
                    if flags & END_STREAM != 0 {
                        return (bytes, true);
                    }
                }
                _ => {}
            }
        }
        self.pending.extend(replay);
        (bytes, false)
    }

    /// Whether the gateway ends the connection within `wait`. Pings are answered, as a living client does.
    pub(crate) fn closes_within(&mut self, wait: Duration) -> bool {
        let started = Instant::now();
        while self.next_frame().is_some() {}
        started.elapsed() <= wait
    }

    fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            let head = self.connection.take(9)?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & 0x7fff_ffff;
            let payload = self.connection.take(length)?;
            match (head[3], head[4] & ACK) {
                (SETTINGS, 0) => {
                    self.settings = payload;
                    self.frame(SETTINGS, ACK, 0, &[]);
                }
                (PING, 0) => self.frame(PING, ACK, 0, &payload),
                _ => return Some((head[3], head[4], stream, payload)),
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals that are neither indexed nor compressed (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 7, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// RFC 7541 section 5.1.
fn integer(block: &mut Vec<u8>, prefix: u32, value: usize) {
    let limit = (1 << prefix) - 1;
    if value < limit {
        block.push(u8::try_from(value).unwrap());
        return;
    }
    block.push(u8::try_from(limit).unwrap());
    let mut rest = value - limit;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

fn header_block(flags: u8, payload: &[u8]) -> &[u8] {
    let (mut start, mut end) = (0, payload.len());
    if flags & PADDED != 0 {
        start += 1;
        end -= usize::from(payload[0]);
    }
    if flags & PRIORITY != 0 {
        start += 5;
    }
    &payload[start..end]
}

/// The status of an answer: servers send `:status` first, from the static table or as a literal.
fn status(block: &[u8]) -> u16 {
    let mut at = 0;
    while block[at] & 0xe0 == 0x20 {
        // A change of the table's size; zero fits in the prefix.
        at += 1;
    }
    let first = block[at];
    if first & 0x80 != 0 {
        let known = [200, 204, 206, 304, 400, 404, 500];
        return known[usize::from(first & 0x7f) - 8];
    }
    assert!(matches!(first & 0x0f, 8..=14), "the first field is not :status: {block:02x?}");
    let length = usize::from(block[at + 1] & 0x7f);
    let value = &block[at + 2..at + 2 + length];
    let digits = if block[at + 1] & 0x80 == 0 { value.to_vec() } else { huffman_digits(value) };
    String::from_utf8(digits).unwrap().parse().unwrap()
}

/// Digits in the Huffman code of RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1)).collect();
    let mut at = 0;
    let mut digits = Vec::new();
    let number = |range: std::ops::Range<usize>| bits[range].iter().fold(0, |n, bit| n << 1 | bit);
    while at + 5 <= bits.len() {
        let five = number(at..at + 5);
        if five <= 2 {
            digits.push(b'0' + five);
            at += 5;
        } else if at + 6 <= bits.len() && (0x19..=0x1f).contains(&number(at..at + 6)) {
            digits.push(b'0' + number(at..at + 6) - 0x19 + 3);
            at += 6;
        } else {
            break;
        }
    }
    digits
}

#[test]
fn statuses_are_read_in_every_form() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x20, 0x8c]), 400);
    assert_eq!(status(&[0x48, 3, b'4', b'0', b'1']), 401);
    // 401 in Huffman: 011010 00000 00001, then padding of ones.
    assert_eq!(status(&[0x08, 0x82, 0b0110_1000, 0b0000_0001]), 401);
    assert_eq!(status(&[0x08, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111]), 403);
}
