//! What a trusted proxy says about the client.
//!
//! Invariant: read only where the peer is trusted; what is malformed counts as absent.
//!
//! W3C Trace Context section 3.2.

use http::{HeaderMap, HeaderValue};

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
        self.traceparent = one("traceparent").filter(|v| is_traceparent(v.as_bytes()));
    }
}

/// W3C Trace Context section 3.2: version 00, two identifiers that are not all zero, flags.
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let mut parts = value.split(|b| *b == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let set = |id: &[u8]| id.iter().any(|b| *b != b'0');
    version == b"00"
        && (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
        && [trace, parent, flags].into_iter().all(hex)
        && set(trace)
        && set(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_are_checked() {
        assert!(is_traceparent(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(!is_traceparent(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
        assert!(!is_traceparent(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(!is_traceparent(b"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"));
    }
}
