//! The target of a request: the one reading of its path, with the query as it came.
//!
//! Invariant: what is returned is what is matched and what is forwarded.
//!
//! RFC 9112 section 3.2; RFC 3986 section 2.4.

use http::{Method, Uri, uri::PathAndQuery};

use crate::{
    access::scheme::bearer,
    proxy::{
        path::{Ambiguous, canonicalise, canonicalise_segments},
        refusal::{Refusal, bad_request},
    },
};

/// What is offered of the methods of RFC 9110 and RFC 5789.
const OFFERED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Reads the target of a request: the canonical path with the query as it came.
///
/// # Errors
/// A refusal with 400, 405 for CONNECT and TRACE.
pub fn target(method: &Method, uri: &Uri) -> Result<PathAndQuery, Refusal> {
    target_where(method, uri, |_| false)
}

/// The same, where `splits` says of a path whether it belongs to who splits it into segments before decoding them. There an encoded
/// slash is text. What splits must forward nothing.
///
/// # Errors
/// A refusal with 400, 405 for CONNECT and TRACE.
pub fn target_where(
    method: &Method,
    uri: &Uri,
    splits: impl FnOnce(&str) -> bool,
) -> Result<PathAndQuery, Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::method_not_allowed("CONNECT is not offered", Some(OFFERED)));
    }
    // RFC 9110 section 9.3.8: an upstream would send back what it was told, with a token that is not for the client.
    if method == Method::TRACE {
        return Err(Refusal::method_not_allowed("TRACE is not offered", Some(OFFERED)));
    }
    let given = uri.path_and_query().ok_or_else(|| bad_request("the request has no path"))?;
    // http::Uri reads "?x" as "/?x": what was sent is judged.
    if !given.as_str().starts_with('/') {
        return Err(bad_request("the path does not begin with /"));
    }
    if let Some(query) = given.query() {
        if !query.bytes().all(|b| (0x21..0x7f).contains(&b)) {
            return Err(bad_request("the query has a character that must be percent-encoded"));
        }
        // RFC 9700 section 4.3.2: a token in a query ends up in logs and histories.
        if bearer::in_query(query) {
            return Err(bad_request(
                "a token in the query is not accepted; send it in the Authorization header",
            ));
        }
    }
    let path = given.path().as_bytes();
    let canonical = match canonicalise(path) {
        Err(Ambiguous::EncodedDelimiter) => {
            let split = canonicalise_segments(path);
            split.and_then(|path| if splits(&path) { Ok(path) } else { Err(Ambiguous::EncodedDelimiter) })
        }
        read => read,
    };
    let canonical = canonical.map_err(|reason| bad_request(reason.to_string()))?;
    if canonical.len() == given.path().len() && canonical == given.path() {
        return Ok(given.clone());
    }
    let text = match given.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical.into_owned(),
    };
    PathAndQuery::try_from(text).map_err(|_| bad_request("the path cannot be forwarded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_judged_as_sent() {
        let get = |text: &str| target(&Method::GET, &text.parse::<Uri>().unwrap()).map(|t| t.to_string());
        assert_eq!(get("/adm%69n?x=%61").ok().as_deref(), Some("/admin?x=%61"));
        assert_eq!(get("/a").ok().as_deref(), Some("/a"));
        for bad in ["/a?access_token=x", "/a/../b", "*"] {
            assert!(get(bad).is_err(), "{bad}");
        }
        assert!(target(&Method::CONNECT, &"a:80".parse().unwrap()).is_err());
    }

    #[test]
    fn an_encoded_slash_is_for_who_splits_first() {
        let get = |text: &str, splits: bool| {
            let uri: Uri = text.parse().unwrap();
            let told = |path: &str| {
                assert!(!path.contains('?') && path.starts_with("/a"), "{path}");
                splits
            };
            target_where(&Method::GET, &uri, told).map(|t| t.to_string())
        };
        assert_eq!(get("/a%2fb?x=%2f", true).as_deref().ok(), Some("/a%2Fb?x=%2f"));
        assert!(get("/a%2fb", false).is_err());
        for path in ["/a%2f..", "/a%252f", "/a%5c%2f", "/a%2F%00"] {
            assert!(get(path, true).is_err(), "{path}");
        }
    }
}
