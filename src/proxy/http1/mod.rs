//! HTTP/1.1 towards upstreams: one exchange at a time on a connection that is kept.
//!
//! - [`request`] writes a request's head, [`outgoing`] the request with its body.
//! - [`answer`] reads an answer's head, [`body`] its body; both decide on bytes alone, without I/O.
//! - [`connection`] joins them on a socket.
//!
//! Invariant: where an answer ends has one reading (RFC 9112 section 6.3) or the answer is refused; a connection carries
//! another exchange only when both halves of the one before have ended and not a byte is left over.
//!
//! RFC 9110, RFC 9112.

use std::io;

pub mod answer;
pub mod body;
pub mod connection;
mod outgoing;
mod request;

pub use self::{
    connection::Connection,
    outgoing::{Outgoing, Paced},
    request::RequestHead,
};

/// Why an answer cannot be read. The text is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The connection's error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    Ended,
    /// What came is no answer, or one with two readings.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The upstream ended this exchange, or what came of it cannot be an answer. What carries others goes on.
    #[error("{0}")]
    Reset(io::Error),
    /// The upstream says that it has done nothing with the request, which was taken back whole.
    #[error("the upstream refuses the request before it begins with it")]
    Refused,
    /// The body of the request could not be read to its end.
    #[error("the request's body broke off")]
    RequestBody,
}
