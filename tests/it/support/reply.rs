//! What a recording upstream answers, good and bad.

use std::time::Duration;

use super::wire;

/// One scripted answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes once the request has been read; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then an orderly end of the connection.
    ThenClose(Vec<u8>),
    /// These bytes, then a reset.
    ThenReset(Vec<u8>),
    /// These bytes as soon as the head is there, before the body; the connection stays open.
    BeforeBody(Vec<u8>),
    /// These bytes as soon as the head is there; the body is read only after the pause.
    BeforeBodyAndPause(Vec<u8>, Duration),
    /// These pieces, each after its pause; the connection stays open.
    Pieces(Vec<(Duration, Vec<u8>)>),
    /// `100 Continue` at the head, then these bytes once the body has been read.
    AfterContinue(Vec<u8>),
    /// The request's body, chunk by chunk as it comes in.
    Echo,
    /// 101 with the right `Sec-WebSocket-Accept`, these bytes behind it, and from then on every byte back as it comes.
    Switch(Vec<u8>),
    /// The same, and then nothing is read.
    SwitchAndStall(Vec<u8>),
    /// The same as `Switch`, then an orderly end.
    SwitchAndClose(Vec<u8>),
    /// The same as `Switch`, then a reset.
    SwitchAndReset(Vec<u8>),
    /// Never anything, though the request is read.
    Hang,
    /// Never anything, and the body is not even read.
    Stall,
    /// The default: 200 with JSON about the request.
    Describe,
}

impl Reply {
    /// A well-formed answer with `Content-Length`.
    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, "text/plain", body)
    }

    /// A well-formed answer of this status with `Content-Length`.
    pub(crate) fn status(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }

    /// A 200 in the chunked coding.
    pub(crate) fn chunked(body: &[u8], size: usize) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        bytes.extend_from_slice(&wire::to_chunked(body, size));
        Self::Bytes(bytes)
    }

    /// These bytes as they stand.
    pub(crate) fn raw(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}
