//! What is said to a client before its answer.
//!
//! Invariant: it belongs to one request, and after the answer of that has begun it is not said any more.
//!
//! RFC 9110 section 15.2, RFC 8297.

use std::rc::Rc;

use http::{HeaderMap, StatusCode};

/// The number of no request.
pub const NO_REQUEST: u32 = u32::MAX;

/// Whoever can say it: a client's connection.
pub trait Speaker {
    /// Says this to one of its requests; it is only a hint, and left out where it cannot be said.
    fn interim(&self, request: u32, status: StatusCode, headers: &HeaderMap);
}

/// The way to the client of one request. The empty one leads nowhere, as that of an HTTP/1.0 request does.
#[derive(Clone, Default)]
pub struct Interim(Option<(Rc<dyn Speaker>, u32)>);

impl Interim {
    /// Of a request, by the number that its connection gave it.
    #[must_use]
    pub fn new(speaker: Rc<dyn Speaker>, request: u32) -> Self {
        Self(Some((speaker, request)))
    }

    /// The number of the request.
    #[must_use]
    pub fn request(&self) -> u32 {
        self.0.as_ref().map_or(NO_REQUEST, |(_, request)| *request)
    }

    /// Sends an interim answer.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) {
        if let Some((speaker, request)) = &self.0 {
            speaker.interim(*request, status, headers);
        }
    }
}
