//! Upstreams and the rules on their paths, as an administrator states them.
//!
//! Invariant: paths and patterns are in canonical form (see `proxy::path`), so comparing text is comparing paths.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::{delivery::Delivery, rate::RequestRates};
use crate::base::id::ServiceId;

/// Where requests for a service go.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Id or name of the service that a token must have in scope. Names are resolved against the registry.
    pub service: String,
    /// Only for this host (lower case, without port); `None`: any.
    pub host: Option<String>,
    /// Canonical path prefix, `/youtrack`; `/` for everything.
    pub path: String,
    /// The targets and how they are reached.
    pub delivery: Delivery,
    /// Whether `path` is taken off before forwarding.
    pub strip_path: bool,
    /// What is put before the path then.
    pub prepend_path: String,
    /// Where clients are sent instead of forwarding what they ask.
    pub redirect: Option<Redirect>,
    /// Fields that are set in each answer of the upstream; `None`: taken out.
    pub response_headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// What the upstream gets as `Authorization`.
    pub credential: Credential,
    /// Whether requests that may not pass are refused; else they are forwarded for nobody.
    pub enforce: bool,
    /// What becomes of an answer when the token behind it is not good any more.
    pub on_expiry: OnExpiry,
    /// How long nothing may move on a WebSocket.
    pub websocket_timeout: Duration,
    /// Bytes of a request body, if other than `limits.max_body_size`; `u64::MAX`: any number.
    pub max_body_size: Option<u64>,
    /// Bytes of a request body each second, if other than `limits.min_body_rate`; 0: any number.
    pub min_body_rate: Option<u64>,
    /// How often requests may come here, beside what holds for the gateway as a whole.
    pub rates: RequestRates,
    /// Files for `https` targets.
    pub tls: TlsFiles,
    /// First match wins; what matches none needs a token with the service in scope.
    pub rules: Vec<Rule>,
}

impl Upstream {
    /// How long nothing may move on a WebSocket, where nothing else is said.
    pub const WEBSOCKET_TIMEOUT: Duration = Duration::from_secs(600);

    /// For a service, below a path, to these targets; all else by default.
    #[must_use]
    pub fn new(service: &str, path: &str, to: Vec<Target>) -> Self {
        Self {
            service: service.to_owned(),
            host: None,
            path: path.to_owned(),
            delivery: Delivery::new(to),
            strip_path: false,
            prepend_path: String::new(),
            redirect: None,
            response_headers: Vec::new(),
            credential: Credential::Scoped,
            enforce: true,
            on_expiry: OnExpiry::Close,
            websocket_timeout: Self::WEBSOCKET_TIMEOUT,
            max_body_size: None,
            min_body_rate: None,
            rates: RequestRates::default(),
            tls: TlsFiles::default(),
            rules: Vec::new(),
        }
    }

    /// Its name in lines, numbers and on pages: host and path.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}{}", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

/// What holds for request bodies where an upstream says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes.
    pub max_size: u64,
    /// Bytes each second, on the average; 0: any number.
    pub min_rate: u64,
}

/// One origin of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it is `https`.
    pub tls: bool,
    /// Host without brackets; of a socket file `localhost`.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// The socket file, for `unix:`.
    pub socket: Option<Arc<Path>>,
    /// Whether HTTP/2 is spoken without being agreed on, for `h2c://`.
    pub h2c: bool,
}

/// Files for TLS towards an upstream, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Certificate authorities; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate, leaf first, and its key, where the upstream wants to know who asks.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// Over TCP, without TLS.
    #[must_use]
    pub fn plain(host: &str, port: u16) -> Self {
        Self { tls: false, host: Arc::from(host), port, socket: None, h2c: false }
    }

    /// As it is configured.
    #[must_use]
    pub fn origin(&self) -> String {
        match (&self.socket, self.tls, self.h2c) {
            (Some(_), ..) => self.label(),
            (None, true, _) => format!("https://{}", self.label()),
            (None, false, true) => format!("h2c://{}", self.label()),
            (None, false, false) => format!("http://{}", self.label()),
        }
    }

    /// Host and port, or the socket file, as they are named in lines and numbers.
    #[must_use]
    pub fn label(&self) -> String {
        if let Some(path) = &self.socket {
            format!("unix:{}", path.display())
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Another address for whoever may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// What takes the place of `path`: an address, or a path on the same host; without a slash at its end.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// What an upstream gets as `Authorization` (surface: "What an upstream receives").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A short-lived token of ours for this service alone.
    Scoped,
    /// The client's own.
    Pass,
    /// Nothing.
    None,
}

/// What becomes of an answer that is still on its way when the token that asked for it is not good any more. A WebSocket
/// and a stream of events, which have no end of their own, are ended in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExpiry {
    /// It is broken off.
    Close,
    /// It may end.
    Drain,
}

/// An exception to "a token with this service in scope".
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; empty: all.
    pub methods: Vec<Method>,
    /// Who may.
    pub access: Access,
    /// One of these groups, when not empty.
    pub groups: Vec<String>,
    /// One of these users (id or login), when not empty.
    pub users: Vec<String>,
    /// One of these client services (id), when not empty.
    pub clients: Vec<ServiceId>,
    /// These services (id or name) in scope too.
    pub scope: Vec<String>,
    /// How often requests that it matches may come, beside what holds for the upstream.
    pub rates: RequestRates,
}

/// Who may pass where a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// A token with the service in scope.
    Token,
    /// The same, or the session of a browser.
    Browser,
}

/// A path in canonical form: segments, `*` for one segment, a final `**` for any number, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The segments before `**`.
    pub segments: Vec<Segment>,
    /// Whether it ends in `**`.
    pub open: bool,
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        if self.open {
            return f.write_str("/**");
        }
        if self.segments.is_empty() { f.write_str("/") } else { Ok(()) }
    }
}

impl PathPattern {
    /// Whether `path`, in canonical form, matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut rest = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            match (segment, rest.next()) {
                (Segment::Literal(text), Some(given)) if text == given => {}
                (Segment::Any, Some(given)) if !given.is_empty() => {}
                _ => return false,
            }
        }
        // The root has no segment.
        self.open || rest.next().is_none() || (self.segments.is_empty() && path == "/")
    }

    /// Whether it matches every path that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let mut rest = other.segments.iter();
        for segment in &self.segments {
            match (segment, rest.next()) {
                (Segment::Any, Some(_)) => {}
                (Segment::Literal(text), Some(Segment::Literal(given))) if text == given => {}
                _ => return false,
            }
        }
        self.open || (!other.open && rest.next().is_none())
    }
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// Any one segment.
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        if text == "/" {
            return PathPattern { segments: Vec::new(), open: false };
        }
        let (text, open) = text.strip_suffix("/**").map_or((text, false), |t| (t, true));
        let segment = |s| if s == "*" { Segment::Any } else { Segment::Literal(str::to_owned(s)) };
        let segments = text.split('/').skip(1).map(segment).collect();
        PathPattern { segments, open }
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (rule, path, expected) in [
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a/**", "/A/b", false),
            ("/**", "/", true),
            ("/**", "/x/y", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/", "/a/", false),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/a/b", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/", false),
            ("/a/*", "/a/b/c", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c/**", "/a/b/c/d", true),
            ("/a/*/c/**", "/a/b/d", false),
        ] {
            assert_eq!(pattern(rule).matches(path), expected, "{rule} on {path}");
            assert_eq!(pattern(rule).to_string(), rule);
        }
    }

    #[test]
    fn a_pattern_covers_another_or_not() {
        for (wide, narrow, expected) in [
            ("/a/**", "/a/x", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/**", true),
            ("/a/**", "/a/*/c/**", true),
            ("/a/*", "/a/b", true),
            ("/a/*/**", "/a/b", true),
            ("/**", "/", true),
            ("/", "/", true),
            ("/a/b", "/a/*", false),
            ("/a/*", "/a/**", false),
            ("/a/*/**", "/a/**", false),
            ("/a", "/a/**", false),
            ("/a", "/a/b", false),
            ("/a/b/**", "/a", false),
            ("/", "/**", false),
            ("/", "/a", false),
        ] {
            assert_eq!(pattern(wide).covers(&pattern(narrow)), expected, "{wide} and {narrow}");
        }
    }

    #[test]
    fn what_a_covered_pattern_matches_the_other_matches_too() {
        let texts = ["/", "/a", "/b", "/*", "/a/b", "/a/*", "/*/b", "/*/*"];
        let open = texts.iter().map(|text| format!("{}/**", text.trim_end_matches('/')));
        let patterns: Vec<_> =
            texts.iter().map(ToString::to_string).chain(open).map(|t| pattern(&t)).collect();
        let paths =
            ["/", "/a", "/a/", "/b", "/b/", "/c", "/a/b", "/a/c", "/c/b", "/a/b/", "/a/b/c", "/c/c/c/"];
        for (wide, narrow) in patterns.iter().flat_map(|wide| patterns.iter().map(move |n| (wide, n))) {
            let within = paths.iter().all(|path| !narrow.matches(path) || wide.matches(path));
            assert_eq!(wide.covers(narrow), within, "{wide} and {narrow}");
        }
    }
}
