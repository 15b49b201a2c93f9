//! WebSocket: which handshakes go on, and which answer to one is the beginning of a WebSocket.
//!
//! Invariant: a request that asks for a WebSocket is a valid handshake or is refused; every other wish for another protocol
//! is dropped, and never reaches an upstream.
//!
//! RFC 6455 section 4; RFC 8441; RFC 9110 section 7.8.

mod frames;
mod pump;
mod tunnel;

use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};
use hyper::ext::Protocol;

pub use self::tunnel::Tunnel;
use super::{
    Answer,
    http1::answer::Head,
    record::Record,
    refusal::{Refusal, bad_request},
    relay::AnswerBody,
    upstream::lease::Socket,
    waits::Progress,
};
use crate::{crypto::digest::sha1, oauth::error::ErrorCode};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A valid handshake of a client.
#[derive(Debug)]
pub struct Handshake {
    /// What the upstream has to answer to.
    key: HeaderValue,
    /// Whether the client asked by an extended CONNECT (RFC 8441).
    extended: bool,
}

/// Whether a request asks for a WebSocket by an extended CONNECT. One that does is a GET from here on: that is what it is
/// judged as, and becomes.
///
/// # Errors
/// A refusal with 501, when it asks for something else in this way.
pub(super) fn extended(parts: &mut Parts) -> Result<bool, Refusal> {
    if parts.method != Method::CONNECT {
        return Ok(false);
    }
    match parts.extensions.remove::<Protocol>() {
        None => Ok(false),
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => {
            parts.method = Method::GET;
            Ok(true)
        }
        // RFC 9220 section 3 says so for HTTP/3, and RFC 8441 nothing.
        Some(_) => Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            ErrorCode::InvalidRequest,
            "of the protocols beyond CONNECT only websocket is offered",
        )),
    }
}

impl Handshake {
    /// The handshake that a request of HTTP/1 with an `Upgrade` field is; `None` where it asks for no WebSocket, or may not
    /// ask at all. What only the handshake is about is taken out of the headers.
    ///
    /// # Errors
    /// A refusal with 400, or 426 for another version.
    pub(super) fn of_upgrade(parts: &mut Parts) -> Result<Option<Self>, Refusal> {
        let names_websocket = |name: &[u8]| {
            let protocol = name.split(|byte| *byte == b'/').next().unwrap_or_default();
            protocol.trim_ascii().eq_ignore_ascii_case(b"websocket")
        };
        // RFC 9110 section 7.8: an Upgrade in HTTP/1.0 is ignored.
        if parts.version != Version::HTTP_11 || !list(&parts.headers, &UPGRADE).any(names_websocket) {
            return Ok(None);
        }
        let alone = {
            let mut wanted = list(&parts.headers, &UPGRADE);
            let first = wanted.next().unwrap_or_default();
            first.eq_ignore_ascii_case(b"websocket") && wanted.next().is_none()
        };
        if !alone {
            return Err(bad_request("the Upgrade header does not name websocket alone"));
        }
        if !list(&parts.headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err(bad_request("the Connection header does not name upgrade"));
        }
        if parts.method != Method::GET {
            return Err(bad_request("a WebSocket is asked for with GET"));
        }
        let empty = |length: &HeaderValue| length.as_bytes() == b"0";
        if parts.headers.contains_key(TRANSFER_ENCODING)
            || parts.headers.get(CONTENT_LENGTH).is_some_and(|length| !empty(length))
        {
            return Err(bad_request("a request for a WebSocket has no body").closing());
        }
        version(&mut parts.headers)?;
        let mut keys = parts.headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let key = keys.next().filter(|_| keys.next().is_none()).cloned();
        let sixteen =
            |key: &HeaderValue| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16);
        let key = key.filter(sixteen).ok_or_else(|| {
            bad_request("the Sec-WebSocket-Key is missing, repeated, or not 16 bytes in base64")
        })?;
        parts.headers.remove(SEC_WEBSOCKET_KEY);
        Ok(Some(Self { key, extended: false }))
    }

    /// The handshake of an extended CONNECT. It has no key of the client; `bytes` are made into one.
    ///
    /// # Errors
    /// A refusal with 400 or 426.
    pub(super) fn of_connect(headers: &mut HeaderMap, bytes: [u8; 16]) -> Result<Self, Refusal> {
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(bad_request("a request for a WebSocket has no body"));
        }
        version(headers)?;
        headers.remove(SEC_WEBSOCKET_KEY);
        let key = HeaderValue::try_from(STANDARD.encode(bytes));
        let key = key.map_err(|_| bad_request("the WebSocket has no key"))?;
        Ok(Self { key, extended: true })
    }

    /// `Sec-WebSocket-Key` of the request to the upstream.
    pub(super) const fn key(&self) -> &HeaderValue {
        &self.key
    }

    /// What an upstream's answer to this handshake means. Where it opens the WebSocket, the head becomes the client's.
    ///
    /// # Errors
    /// A refusal with 502, when it means nothing.
    pub(super) fn answered(&self, head: &mut Head) -> Result<Switched, Refusal> {
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            // RFC 8441 section 5: any 2xx would open the tunnel.
            if self.extended && head.status.is_success() {
                return Err(Refusal::bad_gateway("the service behind the gateway offers no WebSocket here"));
            }
            return Ok(Switched::No);
        }
        let mut accepts = head.headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let accept = accepts.next().filter(|_| accepts.next().is_none());
        if !head.websocket || accept.is_none_or(|accept| accept.as_bytes() != self.accept().as_bytes()) {
            return Err(Refusal::bad_gateway("the service behind the gateway did not open a WebSocket"));
        }
        if self.extended {
            head.status = StatusCode::OK;
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        } else {
            head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        head.headers.remove(CONTENT_LENGTH);
        Ok(Switched::Yes)
    }

    /// RFC 6455 section 4.2.2.
    fn accept(&self) -> String {
        STANDARD.encode(sha1(&[self.key.as_bytes(), GUID].concat()))
    }
}

/// Whether an upstream has opened the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switched {
    /// It answers in HTTP.
    No,
    /// It has.
    Yes,
}

/// The answer with which a WebSocket begins. What it carries is taken over when the answer was sent.
pub(super) fn opened(head: Head, socket: Socket, mut record: Record, progress: &Rc<Progress>) -> Answer {
    record.status = Some(head.status);
    record.discount();
    let tunnel = Tunnel::new(socket, record, progress);
    let mut answer = Answer::new(AnswerBody::Switched(Some(Box::new(tunnel))));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = head.headers;
    answer
}

/// RFC 6455 section 4.4.
fn version(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    let verdict = match (versions.next(), versions.next()) {
        (Some(version), None) if version.as_bytes() == b"13" => Ok(()),
        (Some(version), None) if !version.is_empty() && version.as_bytes().iter().all(u8::is_ascii_digit) => {
            Err(Refusal::other_websocket())
        }
        _ => Err(bad_request("the Sec-WebSocket-Version is missing, repeated or malformed")),
    };
    headers.remove(SEC_WEBSOCKET_VERSION);
    verdict
}

/// The members of a list field (RFC 9110 section 5.6.1).
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let members = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn parts(method: &str, version: Version, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).version(version).uri("/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// A valid handshake with one field replaced; with an empty value it is left out.
    fn with(name: &str, value: &str) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-version", "13"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        headers
    }

    fn read(method: &str, version: Version, headers: &[(String, String)]) -> Result<bool, u16> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let handshake = Handshake::of_upgrade(&mut parts(method, version, &headers));
        handshake.map(|found| found.is_some()).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn a_handshake_is_valid_or_refused() {
        let eleven = Version::HTTP_11;
        for (name, value, expected) in [
            ("x", "", Ok(true)),
            ("upgrade", "WebSocket", Ok(true)),
            ("connection", "keep-alive, upgrade", Ok(true)),
            ("content-length", "0", Ok(true)),
            ("upgrade", "h2c", Ok(false)),
            ("upgrade", "foo, bar/1", Ok(false)),
            ("upgrade", "websockets", Ok(false)),
            ("upgrade", "", Ok(false)),
            ("upgrade", "websocket, h2c", Err(400)),
            ("upgrade", "h2c, websocket", Err(400)),
            ("upgrade", "websocket, websocket", Err(400)),
            ("upgrade", "websocket/13", Err(400)),
            ("connection", "", Err(400)),
            ("connection", "close", Err(400)),
            ("connection", "upgrades", Err(400)),
            ("content-length", "1", Err(400)),
            ("transfer-encoding", "chunked", Err(400)),
            ("sec-websocket-version", "", Err(400)),
            ("sec-websocket-version", "8", Err(426)),
            ("sec-websocket-version", "13, 8", Err(400)),
            ("sec-websocket-version", "x", Err(400)),
            ("sec-websocket-key", "", Err(400)),
            ("sec-websocket-key", "c2hvcnQ=", Err(400)),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ", Err(400)),
            ("sec-websocket-key", "not base64 in the least!", Err(400)),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSE=", Err(400)),
        ] {
            assert_eq!(read("GET", eleven, &with(name, value)), expected, "{name}: {value}");
        }
        for method in ["POST", "HEAD", "OPTIONS", "get"] {
            assert_eq!(read(method, eleven, &with("x", "")), Err(400), "{method}");
        }
        assert_eq!(read("GET", Version::HTTP_10, &with("x", "")), Ok(false));
        for name in ["sec-websocket-key", "sec-websocket-version"] {
            let mut twice = with("x", "");
            let again = twice.iter().find(|(known, _)| known == name).unwrap().clone();
            twice.push(again);
            assert_eq!(read("GET", eleven, &twice), Err(400), "{name} twice");
        }
    }

    #[test]
    fn the_answer_that_is_expected_is_that_of_the_rfc() {
        let mut parts = parts(
            "GET",
            Version::HTTP_11,
            &with("x", "").iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(),
        );
        let handshake = Handshake::of_upgrade(&mut parts).ok().flatten().unwrap();
        assert_eq!(handshake.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!parts.headers.contains_key(SEC_WEBSOCKET_KEY));
    }

    #[test]
    fn an_extended_connect_has_a_key_of_ours() {
        let mut headers = HeaderMap::new();
        assert_eq!(Handshake::of_connect(&mut headers.clone(), [1; 16]).err().unwrap().status, 400);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("theirs"));
        let handshake = Handshake::of_connect(&mut headers, [1; 16]).ok().unwrap();
        assert_eq!(STANDARD.decode(handshake.key().as_bytes()).unwrap(), [1; 16]);
        assert!(headers.is_empty() && handshake.extended);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("12"));
        assert_eq!(Handshake::of_connect(&mut headers, [1; 16]).err().unwrap().status, 426);
    }
}
