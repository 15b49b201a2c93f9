//! The first step: what may go on of a request, and what must not.
//!
//! Invariant: a [`Sanitized`] head has one reading (one host, one framing, a canonical path) and none of the headers
//! by which an upstream is told who asks, in any spelling; those can only be set after this step.
//!
//! RFC 9112 sections 3.2, 6.1, 6.3; RFC 9113 section 8; RFC 9110 section 7.6.1.

mod target;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{
        self, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
    uri::{Authority, PathAndQuery},
};

pub use self::target::{target, target_where};
use super::{
    host::{has_labels, is_port, well_formed},
    http2::takes_trailers,
    inherited::Inherited,
    refusal::{Refusal, bad_request},
    session_cookie,
    websocket::Handshake,
};
use crate::{base::body::Oversized, oauth::error::ErrorCode};

/// The names of our own cookies begin like this; they never go on.
pub const OWN_COOKIE: &str = "__Host-hubgate";

/// A request head that may be judged.
pub struct Sanitized {
    /// Method, version and the headers that may go on, with `Authorization` as it came.
    pub parts: Parts,
    /// What is matched and forwarded: canonical path, query as it came.
    pub target: PathAndQuery,
    /// Host and port as the client named them, lower case.
    pub authority: HeaderValue,
    /// Metadata that a trusted proxy sent; empty for everybody else.
    pub forwarded: Inherited,
    /// Our own cookies, taken out of the headers: only our own endpoints get them.
    pub own_cookies: Option<HeaderValue>,
    /// Whether the client takes trailers.
    pub trailers: bool,
    /// The WebSocket that is asked for.
    pub websocket: Option<Box<Handshake>>,
    /// Only [`sanitize`] makes one.
    _sealed: Sealed,
}

/// Nobody else can make one, so nobody else can make a [`Sanitized`].
struct Sealed;

impl Sanitized {
    /// The request was an extended CONNECT for a WebSocket (RFC 8441); `key` is random.
    ///
    /// # Errors
    /// A refusal with 400 or 426, when it is no valid handshake.
    pub fn extend(&mut self, key: [u8; 16]) -> Result<(), Refusal> {
        self.websocket = Some(Box::new(Handshake::of_connect(&mut self.parts.headers, key)?));
        Ok(())
    }

    /// The path that routes and rules are matched on.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The host without port, as routes name it.
    #[must_use]
    pub fn host(&self) -> &str {
        let text = self.authority.to_str().unwrap_or_default();
        let end = match memchr::memrchr(b':', text.as_bytes()) {
            // A colon within brackets belongs to an IPv6 address.
            Some(colon) if !text.ends_with(']') => colon,
            _ => text.len(),
        };
        let name = text.get(..end).unwrap_or_default();
        name.strip_suffix('.').unwrap_or(name)
    }
}

/// Takes a request head apart. `trusted` says whether the peer may speak for a client.
///
/// # Errors
/// A refusal with 400, 405, 414, 417 or 431.
pub fn sanitize(mut parts: Parts, target: PathAndQuery, trusted: bool) -> Result<Sanitized, Refusal> {
    if let Some(oversized) = parts.extensions.get::<Oversized>() {
        let (status, text) = match oversized {
            // RFC 9112 section 3.
            Oversized::Target => {
                (StatusCode::URI_TOO_LONG, "the address of the request is longer than is read here")
            }
            // RFC 6585 section 5.
            Oversized::Fields => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the head of the request is larger than is read here",
            ),
        };
        return Err(Refusal::new(status, ErrorCode::InvalidRequest, text).closing());
    }
    let seen = Seen::of(&parts.headers);
    let authority = authority(&parts, &seen)?;
    framing(parts.version, &seen)?;
    expectation(seen.expectation)?;
    if seen.imitation {
        return Err(bad_request("a header name imitates one that frames the message").closing());
    }
    // Before `Connection` takes away what it names.
    let websocket = if seen.upgrade { Handshake::of_upgrade(&mut parts)?.map(Box::new) } else { None };
    if seen.connection {
        connection(&mut parts.headers)?;
    }
    let mut inherited = Inherited::default();
    if trusted {
        inherited.take_up(&parts.headers);
    }
    for name in seen.dropped {
        parts.headers.remove(name);
    }
    let own_cookies =
        if seen.cookies { session_cookie::take_out(&mut parts.headers, parts.version) } else { None };
    Ok(Sanitized {
        parts,
        target,
        authority,
        forwarded: inherited,
        own_cookies,
        websocket,
        trailers: seen.trailers,
        _sealed: Sealed,
    })
}

/// What one pass over the headers finds.
#[derive(Default)]
struct Seen {
    host: Once,
    length: Once,
    coding: Once,
    expectation: Option<HeaderValue>,
    connection: bool,
    /// The client takes trailers (RFC 9110 section 10.1.4).
    trailers: bool,
    upgrade: bool,
    cookies: bool,
    /// A name that servers could read as one that frames the message.
    imitation: bool,
    /// What does not go on.
    dropped: Vec<HeaderName>,
}

/// A field that may come once.
#[derive(Default)]
enum Once {
    #[default]
    Absent,
    Given(HeaderValue),
    Repeated,
}

impl Once {
    fn note(&mut self, value: &HeaderValue) {
        *self = if matches!(self, Self::Absent) { Self::Given(value.clone()) } else { Self::Repeated };
    }
}

impl Seen {
    fn of(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            match *name {
                HOST => seen.host.note(value),
                CONTENT_LENGTH => seen.length.note(value),
                COOKIE => seen.cookies = true,
                CONNECTION => {
                    // Removed with what it names.
                    seen.connection = true;
                    continue;
                }
                TRANSFER_ENCODING => seen.coding.note(value),
                TE => seen.trailers |= takes_trailers(value),
                UPGRADE => seen.upgrade = true,
                EXPECT => {
                    seen.expectation.get_or_insert_with(|| value.clone());
                    seen.dropped.push(EXPECT);
                }
                _ => {}
            }
            match fate(name.as_str()) {
                Fate::Pass => {}
                Fate::Drop => seen.dropped.push(name.clone()),
                Fate::Refuse => seen.imitation = true,
            }
        }
        seen
    }
}

/// RFC 9112 section 3.2: exactly one Host, and a target's authority agrees with it.
fn authority(parts: &Parts, seen: &Seen) -> Result<HeaderValue, Refusal> {
    let header = match &seen.host {
        Once::Absent => None,
        Once::Given(host) => Some(host),
        Once::Repeated => return Err(bad_request("the Host header is repeated")),
    };
    let named = parts.uri.authority();
    if let Some(scheme) = parts.uri.scheme_str()
        && !matches!(scheme, "https" | "http")
    {
        return Err(bad_request("the scheme is neither https nor http"));
    }
    let given = match (header, named) {
        (None, None) => return Err(bad_request("the request names no host")),
        (Some(header), Some(named)) if !header.as_bytes().eq_ignore_ascii_case(named.as_str().as_bytes()) => {
            let scheme = parts.uri.scheme_str();
            if !same_authority(scheme, header.as_bytes(), named.as_str().as_bytes()) {
                return Err(bad_request("the Host header differs from the host of the request's target"));
            }
            // RFC 9112 section 3.2.2: the target's is the one that counts.
            HeaderValue::from_str(named.as_str()).map_err(|_| bad_request("the host is malformed"))?
        }
        (None, Some(_)) if parts.version < Version::HTTP_2 => {
            return Err(bad_request("the request has no Host header"));
        }
        (Some(header), _) => header.clone(),
        (None, Some(named)) => {
            HeaderValue::from_str(named.as_str()).map_err(|_| bad_request("the host is malformed"))?
        }
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':');
    if !given.is_empty() && given.as_bytes().iter().copied().all(plain) && well_formed(given.as_bytes()) {
        return Ok(given);
    }
    let text = given.to_str().map_err(|_| bad_request("the host is malformed"))?;
    let parsed: Authority = text.parse().map_err(|_| bad_request("the host is malformed"))?;
    // http::uri::Authority lets any text be a port.
    let after = text.get(parsed.host().len()..).unwrap_or_default();
    let port = after.is_empty() || after.strip_prefix(':').is_some_and(|p| is_port(p.as_bytes()));
    if parsed.as_str().contains('@') || !has_labels(parsed.host().as_bytes()) || !port {
        return Err(bad_request("the host is malformed"));
    }
    HeaderValue::from_str(&text.to_ascii_lowercase()).map_err(|_| bad_request("the host is malformed"))
}

/// Whether two authorities differ by no more than the port that the scheme has anyway (RFC 9110 section 4.2.3).
fn same_authority(scheme: Option<&str>, one: &[u8], other: &[u8]) -> bool {
    let port: &[u8] = if scheme == Some("http") { b":80" } else { b":443" };
    let name = |authority: &[u8]| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    name(one) == name(other)
}

/// RFC 9112 section 6: one framing. hyper takes away a Content-Length that stands beside a Transfer-Encoding; that
/// pair is refused where the bytes are still there (`server::connection`).
fn framing(version: Version, seen: &Seen) -> Result<(), Refusal> {
    let single = match &seen.coding {
        Once::Absent => None,
        Once::Given(coding) => Some(coding.as_bytes().eq_ignore_ascii_case(b"chunked")),
        Once::Repeated => Some(false),
    };
    match (single, &seen.length) {
        (None, Once::Absent) => Ok(()),
        (None, Once::Given(length)) if is_number(length.as_bytes()) => Ok(()),
        (None, _) => Err(bad_request("the Content-Length is malformed or repeated").closing()),
        (Some(single), _) if !single || version != Version::HTTP_11 => {
            Err(bad_request("the Transfer-Encoding is not chunked alone").closing())
        }
        (Some(_), Once::Absent) => Ok(()),
        (Some(_), _) => {
            Err(bad_request("the request has both Content-Length and Transfer-Encoding").closing())
        }
    }
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// RFC 9110 section 10.1.1. The server has answered 100 by the time the body is read, so it does not go on.
fn expectation(expectation: Option<HeaderValue>) -> Result<(), Refusal> {
    match expectation {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Err(Refusal::new(
            StatusCode::EXPECTATION_FAILED,
            ErrorCode::ExpectationFailed,
            "the Expect header asks for something other than 100-continue",
        )),
        _ => Ok(()),
    }
}

/// What becomes of a header.
#[derive(PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Refuse,
}

/// Removes `Connection` and what it names.
fn connection(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        let text = value.to_str().map_err(|_| bad_request("the Connection header is malformed"))?;
        for name in text.split(',').map(|name| name.trim_matches([' ', '\t'])) {
            // What is judged or frames the message cannot be made to disappear. What does not pass anyway is seen to
            // for itself, after a trusted proxy's word was read.
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes())
                && !matches!(name, AUTHORIZATION | HOST | CONTENT_LENGTH | header::CONTENT_TYPE | COOKIE)
                && fate(name.as_str()) == Fate::Pass
            {
                named.push(name);
            }
        }
    }
    headers.remove(CONNECTION);
    for name in named {
        headers.remove(name);
    }
    Ok(())
}

/// Whether a header of a client may reach an upstream.
pub(super) fn may_pass(name: &str) -> bool {
    fate(name) == Fate::Pass
}

/// Sorted by first letter, so that a name is compared with few others.
fn fate(name: &str) -> Fate {
    let like = |others: &[&str]| others.iter().any(|other| same_folded(name, other));
    let begins = |prefixes: &[&str]| {
        prefixes.iter().any(|prefix| name.get(..prefix.len()).is_some_and(|start| same_folded(start, prefix)))
    };
    let drop = match name.as_bytes().first() {
        Some(b'c') if name != "content-length" && like(&["content-length"]) => return Fate::Refuse,
        Some(b't') if name != "transfer-encoding" && like(&["transfer-encoding"]) => return Fate::Refuse,
        Some(b'c') => {
            name == "connection"
                || like(&["client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4"])
        }
        Some(b'a') => like(&["auth-user", "authenticated-user"]),
        Some(b'f') => like(&["forwarded", "forwarded-for", "fastly-client-ip"]),
        // What a change to HTTP/2 in the clear would begin with (RFC 7540 section 3.2.1).
        Some(b'h') => like(&["http2-settings"]),
        Some(b'k') => like(&["keep-alive"]),
        // `Proxy` would become HTTP_PROXY in a CGI-like upstream.
        Some(b'p') => like(&["proxy", "proxy-connection", "proxy-authorization", "proxy-authenticate"]),
        Some(b'r') => like(&["remote-user"]),
        Some(b't') => {
            matches!(name, "te" | "trailer" | "transfer-encoding")
                || like(&["traceparent", "tracestate", "true-client-ip"])
        }
        Some(b'u') => name == "upgrade",
        Some(b'x') => {
            begins(&["x-forwarded-", "x-envoy-", "x-auth-request-", "x-hubgate-", "x-webauth-"])
                || like(&["x-forwarded", "x-request-id", "x-real-ip", "x-client-ip", "x-remote-user"])
                || like(&["x-original-url", "x-original-uri", "x-original-host", "x-original-method"])
                || like(&["x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override"])
                || like(&["x-cluster-client-ip", "x-remote-ip", "x-remote-addr", "x-originating-ip"])
                || like(&["x-original-forwarded-for", "x-authenticated-user", "x-auth-user"])
        }
        _ => false,
    };
    if drop { Fate::Drop } else { Fate::Pass }
}

/// Whether two names are the same once `_` and `.` are read as `-`, as CGI-like servers do. Both are lower case.
fn same_folded(name: &str, other: &str) -> bool {
    let fold = |b: u8| if matches!(b, b'_' | b'.') { b'-' } else { b };
    name.len() == other.len() && name.bytes().zip(other.bytes()).all(|(a, b)| fold(a) == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(version: Version, headers: &[(&str, &str)]) -> Result<Sanitized, Refusal> {
        let mut request = http::Request::builder().version(version).uri("/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let target = target(&parts.method, &parts.uri)?;
        sanitize(parts, target, false)
    }

    fn names(headers: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![("host", "a.example")];
        all.extend(headers);
        let sanitized = clean(Version::HTTP_11, &all).unwrap_or_else(|r| panic!("{}", r.description));
        let mut names: Vec<String> = sanitized.parts.headers.keys().map(ToString::to_string).collect();
        names.retain(|name| name != "host");
        names.sort();
        names
    }

    #[test]
    fn identity_headers_are_taken_off_in_every_spelling() {
        for name in [
            "x-forwarded-user",
            "X-Forwarded-User",
            "x_forwarded_user",
            "x.forwarded.user",
            "x-forwarded_groups",
            "X_Forwarded-For",
            "forwarded",
            "x-request-id",
            "x_request_id",
            "traceparent",
            "tracestate",
            "x-real-ip",
            "x-original-url",
            "x_rewrite_url",
            "x-envoy-original-path",
            "remote-user",
            "remote_user",
            "x-auth-request-email",
            "x-forwarded",
            "x-http-method",
            "X-Method-Override",
            "x_http_method_override",
            "true-client-ip",
            "CF-Connecting-IP",
            "client-ip",
            "x-cluster-client-ip",
            "fastly-client-ip",
            "x-original-forwarded-for",
            "x-webauth-user",
        ] {
            assert!(names(&[(name, "evil")]).is_empty(), "{name}");
        }
        assert_eq!(
            names(&[("x-forward", "1"), ("x-custom", "1"), ("remote", "1")]),
            ["remote", "x-custom", "x-forward"]
        );
    }

    #[test]
    fn hop_by_hop_headers_and_what_connection_names_are_taken_off() {
        let headers = [
            ("connection", "close, X-Custom"),
            ("connection", "authorization, host,content-length"),
            ("x-custom", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "foo"),
            ("proxy-authorization", "x"),
            ("authorization", "Bearer a"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ];
        assert_eq!(names(&headers), ["accept", "authorization", "content-length"]);
    }

    #[test]
    fn a_request_has_one_host() {
        let host = |headers: &[(&str, &str)]| clean(Version::HTTP_11, headers).map(|s| s.host().to_owned());
        for (value, expected) in [
            ("a.example", "a.example"),
            ("A.Example:443", "a.example"),
            ("a.example.", "a.example"),
            ("[::1]:8443", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(host(&[("host", value)]).ok().as_deref(), Some(expected), "{value}");
        }
        for bad in [
            "", ".", "..", "a..", ".a", "a..b", ".:1", "A..", "a b", "u@a", "a:b", "a/b", "a:1:2", ":80",
            "a\u{e4}", "a:999999",
        ] {
            assert!(host(&[("host", bad)]).is_err(), "{bad:?}");
        }
        assert!(host(&[]).is_err() && host(&[("host", "a"), ("host", "a")]).is_err());
    }

    #[test]
    fn the_target_and_the_host_header_name_one_host() {
        let authority = |target: &str, host: &str| {
            let request = http::Request::builder().uri(target).header("host", host).body(()).unwrap();
            let sanitized = sanitize(request.into_parts().0, PathAndQuery::from_static("/a"), false);
            sanitized.ok().map(|s| s.authority.to_str().unwrap().to_owned())
        };
        for (target, host, counts) in [
            ("https://a.example/a", "a.example", "a.example"),
            ("https://a.example:443/a", "a.example", "a.example:443"),
            ("https://a.example/a", "A.example:443", "a.example"),
            ("https://A.example:443/a", "a.EXAMPLE", "a.example:443"),
            ("https://[::1]:443/a", "[::1]", "[::1]:443"),
            ("http://a.example:80/a", "a.example", "a.example:80"),
            ("https://a.example:8443/a", "a.example:8443", "a.example:8443"),
        ] {
            assert_eq!(authority(target, host).as_deref(), Some(counts), "{target} {host}");
        }
        for (target, host) in [
            ("https://a.example/a", "b.example"),
            ("https://a.example:443/a", "b.example"),
            ("https://a.example/a", "b.example:443"),
            ("https://a.example:80/a", "a.example"),
            ("http://a.example:443/a", "a.example"),
            ("https://a.example:8443/a", "a.example"),
            ("https://a.example/a", "a.example:8443"),
            ("https://a.example:443/a", "a.example:8443"),
            ("https://a.example:443/a", "a.example."),
            ("https://a.example/a", "a.example:443:443"),
            ("https://a.example/a", "a.example:0443"),
            ("https://a.example/a", ""),
            ("https://a.example/a", ":443"),
        ] {
            assert_eq!(authority(target, host), None, "{target} {host}");
        }
    }

    #[test]
    fn a_request_has_one_framing() {
        for (name, value) in [
            ("transfer-encoding", "gzip, chunked"),
            ("transfer-encoding", "chunked, chunked"),
            ("transfer-encoding", "identity"),
            ("transfer-encoding", "chunked,"),
            ("content-length", "+5"),
            ("content-length", "5, 5"),
            ("content-length", ""),
            ("content_length", "5"),
            ("transfer_encoding", "chunked"),
            ("expect", "tea"),
        ] {
            assert!(clean(Version::HTTP_11, &[("host", "a"), (name, value)]).is_err(), "{name}: {value}");
        }
        assert!(clean(Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "Chunked")]).is_ok());
        assert!(clean(Version::HTTP_11, &[("host", "a"), ("expect", "100-Continue")]).is_ok());
        let two = [("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert!(clean(Version::HTTP_11, &two).is_err());
    }

    #[test]
    fn cookies_are_joined_and_ours_stay_here() {
        let cookie = |version, values: &[&str]| {
            let mut headers = vec![("host", "a")];
            headers.extend(values.iter().map(|v| ("cookie", *v)));
            let sanitized = clean(version, &headers).ok().unwrap();
            sanitized.parts.headers.get(COOKIE).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(cookie(Version::HTTP_2, &["a=1", "b=2; c=3"]).as_deref(), Some("a=1; b=2; c=3"));
        assert_eq!(
            cookie(Version::HTTP_11, &["a=1; __Host-hubgate-session=x; b=2"]).as_deref(),
            Some("a=1; b=2")
        );
        assert_eq!(cookie(Version::HTTP_11, &["__host-HUBGATE=x"]), None);
        assert_eq!(cookie(Version::HTTP_11, &["a=1"]).as_deref(), Some("a=1"));
        assert_eq!(
            cookie(Version::HTTP_11, &["a=x__Host-hubgate", "__Host-hubgate=x;b=\"2;3\""]).as_deref(),
            Some("a=x__Host-hubgate; b=\"2; 3\"")
        );
    }

    #[test]
    fn our_own_cookies_are_kept_aside() {
        let own = |values: &[&str]| {
            let mut headers = vec![("host", "a")];
            headers.extend(values.iter().map(|v| ("cookie", *v)));
            let sanitized = clean(Version::HTTP_2, &headers).ok().unwrap();
            sanitized.own_cookies.map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(own(&["a=1; __Host-hubgate=x; b=2"]).as_deref(), Some("__Host-hubgate=x"));
        assert_eq!(
            own(&["__Host-hubgate=x", "b=2", "__Host-hubgate=y"]).as_deref(),
            Some("__Host-hubgate=x; __Host-hubgate=y")
        );
        assert_eq!(own(&["a=1", "b=2"]), None);
        assert_eq!(own(&[]), None);
    }
}
