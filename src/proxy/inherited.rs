//! What a trusted proxy says about the client.
//!
//! Invariant: read only where the peer is trusted; what is malformed counts as absent.
//!
//! W3C Trace Context sections 3.2, 3.3.

use http::{HeaderMap, HeaderValue};

use super::trace::{is_traceparent, tracestate};

/// What a trusted proxy says about the client.
#[derive(Default)]
pub struct Inherited {
    /// `X-Forwarded-For`, in the order of arrival.
    pub for_chain: Vec<HeaderValue>,
    /// `X-Forwarded-Proto`
    pub proto: Option<HeaderValue>,
    /// `X-Forwarded-Host`
    pub host: Option<HeaderValue>,
    /// `Forwarded`
    pub forwarded: Vec<HeaderValue>,
    /// `X-Request-Id`
    pub request_id: Option<HeaderValue>,
    /// `traceparent`
    pub traceparent: Option<HeaderValue>,
    /// `tracestate`, all of it as one list
    pub tracestate: Option<HeaderValue>,
}

impl Inherited {
    /// Reads what is good of it from the headers of a trusted proxy.
    pub(super) fn take_up(&mut self, headers: &HeaderMap) {
        let one = |name: &'static str| headers.get(name).cloned();
        self.for_chain = headers.get_all("x-forwarded-for").iter().cloned().collect();
        self.forwarded = headers.get_all("forwarded").iter().cloned().collect();
        self.proto = one("x-forwarded-proto").filter(|v| matches!(v.as_bytes(), b"http" | b"https"));
        self.host = one("x-forwarded-host");
        self.request_id = one("x-request-id").filter(|id| {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
        });
        let mut parents = headers.get_all("traceparent").iter();
        self.traceparent = match (parents.next(), parents.next()) {
            (Some(parent), None) => Some(parent.clone()).filter(|v| is_traceparent(v.as_bytes())),
            _ => None,
        };
        if self.traceparent.is_some() {
            self.tracestate = tracestate(headers.get_all("tracestate").iter());
        }
    }
}
