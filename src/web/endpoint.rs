//! Every path that is ours. One list, for the router, for links, and for telling ours from an upstream's.

use http::Uri;

/// An endpoint of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Token endpoint (RFC 6749 section 3.2).
    Token,
    /// Published keys (RFC 7517).
    Keys,
    /// The page of an error code, RFC 6749's `error_uri`.
    Error,
}

impl Endpoint {
    /// The path below `hub.path`, in the router's notation.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "/api/rest/oauth2/token",
            Self::Keys => "/api/rest/oauth2/keys",
            Self::Error => "/errors/{code}",
        }
    }
}

/// What the gateway keeps for itself when `hub.path` is empty: these prefixes, present and planned.
const RESERVED: [&str; 7] = [
    "/api/rest",
    "/auth",
    "/errors",
    "/admin",
    "/account",
    "/.well-known/openid-configuration",
    "/loginOptions",
];

/// Whether a canonical path belongs to the gateway itself, so that no upstream ever gets it.
#[must_use]
pub fn is_ours(hub_path: &str, path: &str) -> bool {
    let below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if hub_path.is_empty() { RESERVED.into_iter().any(below) } else { below(hub_path) }
}

/// The part of a target below `hub.path`, `/` for the path itself.
#[must_use]
pub fn relative(hub_path: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(hub_path)?;
    if rest.starts_with('/') { rest.parse().ok() } else { format!("/{rest}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_ours_at_segment_boundaries() {
        for (hub, path, ours) in [
            ("/hub", "/hub", true),
            ("/hub", "/hub/", true),
            ("/hub", "/hub/api/rest/oauth2/token", true),
            ("/hub", "/hub/whatever", true),
            ("/hub", "/hubble", false),
            ("/hub", "/Hub", false),
            ("/hub", "/", false),
            ("", "/api/rest/oauth2/token", true),
            ("", "/api/rest", true),
            ("", "/api/restaurant", false),
            ("", "/youtrack", false),
            ("", "/", false),
        ] {
            assert_eq!(is_ours(hub, path), ours, "{hub:?} {path}");
        }
    }

    #[test]
    fn targets_lose_the_prefix() {
        let relative = |hub: &str, uri: &str| relative(hub, &uri.parse().unwrap()).map(|u| u.to_string());
        assert_eq!(relative("/hub", "/hub/a?x=1").as_deref(), Some("/a?x=1"));
        assert_eq!(relative("/hub", "/hub").as_deref(), Some("/"));
        assert_eq!(relative("/hub", "/hub?x").as_deref(), Some("/?x"));
        assert_eq!(relative("", "/a").as_deref(), Some("/a"));
    }
}
