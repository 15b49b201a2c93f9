//! What is set in answers, and taken off: the fields that a route wants, and what is none of an upstream's business.
//!
//! Invariant: a field that protects an answer of the gateway's own is not replaced by a route's.

use http::{
    HeaderMap, HeaderValue,
    header::{
        ALT_SVC, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_RANGE,
        ETAG, LAST_MODIFIED, SET_COOKIE,
    },
};

use super::{record::Record, route::Route, sanitize::Sanitized};
use crate::observe::journal::{NO_ROUTE, RouteNumber};

/// Sets what the route wants to be in each answer of its upstream.
pub(super) fn dress(headers: &mut HeaderMap, route: &Route) {
    for (name, value) in &route.response_headers {
        match value {
            Some(value) => drop(headers.insert(name, value.clone())),
            None => drop(headers.remove(name)),
        }
    }
}

/// Sets it in a refusal, which keeps the fields that it has. What describes the upstream's content is not true of ours (RFC 9110
/// section 8).
pub(super) fn dress_refusal(headers: &mut HeaderMap, route: &Route) {
    for (name, value) in &route.response_headers {
        let of_content = matches!(
            *name,
            CONTENT_DISPOSITION
                | CONTENT_ENCODING
                | CONTENT_LANGUAGE
                | CONTENT_LOCATION
                | CONTENT_RANGE
                | ETAG
                | LAST_MODIFIED
        );
        if let Some(value) = value
            && !of_content
            && !headers.contains_key(name)
        {
            headers.insert(name, value.clone());
        }
    }
}

/// The route that a request would have come to which was refused before one was looked for.
pub(super) fn destined(record: &Record, sanitized: &Sanitized) -> Option<RouteNumber> {
    let snapshot = &record.view.snapshot;
    let (host, path) = (sanitized.host(), sanitized.path());
    if record.route != NO_ROUTE || record.worker().own().owns(&snapshot.hub_path, path) {
        return None;
    }
    RouteNumber::try_from(snapshot.routes.find(host, path)?.index).ok()
}

/// Takes off what would set a cookie of ours, and what would lead clients past the gate.
pub(super) fn clean(headers: &mut HeaderMap) {
    const OWN_COOKIE: &[u8] = b"__host-hubgate";
    headers.remove(ALT_SVC);
    let ours = |value: &HeaderValue| {
        // A cookie without a name is sent back as its value alone, which then reads as name and value.
        let bytes = value.as_bytes();
        let before = bytes.iter().take_while(|b| b.is_ascii_whitespace() || **b == b'=').count();
        let name = bytes.get(before..).and_then(|rest| rest.get(..OWN_COOKIE.len()));
        name.is_some_and(|n| n.eq_ignore_ascii_case(OWN_COOKIE))
    };
    if headers.get_all(SET_COOKIE).iter().any(ours) {
        let others: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(|v| !ours(v)).cloned().collect();
        headers.remove(SET_COOKIE);
        for value in others {
            headers.append(SET_COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_lose_what_is_ours() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("alt-svc", "h3=\":443\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "__Host-hubgate-session=evil"),
            ("set-cookie", "=__Host-hubgate=evil"),
            ("set-cookie", " = \t__HOST-hubgate=evil; Path=/"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        clean(&mut headers);
        let mut left: Vec<String> =
            headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["content-type: text/plain", "set-cookie: a=1", "set-cookie: b=2"]);
    }
}
