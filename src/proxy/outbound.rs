//! The request as the upstream gets it.
//!
//! Invariant: made from a [`Sanitized`] head and a [`Permit`], so that each identity header is either ours or absent;
//! there is no third case.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version,
    header::{AUTHORIZATION, FORWARDED, HOST},
    uri::PathAndQuery,
};

use super::{
    inherited::Inherited,
    peer::{Peer, Remembered},
    record::RequestId,
    route::Route,
    sanitize::Sanitized,
};
use crate::{access::policy::Permit, model::upstream::Credential};

const CLIENT: HeaderName = HeaderName::from_static("x-forwarded-client");
const SCOPE: HeaderName = HeaderName::from_static("x-forwarded-scope");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const XHOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes the request. `scoped` gives the `Authorization` of ours for this route; `remembered` the identity's headers.
pub(super) fn outbound<B>(
    sanitized: Sanitized,
    (permit, remembered): (&Permit, Option<&Remembered>),
    (route, peer, id): (&Route, &Peer, &RequestId),
    scoped: impl FnOnce() -> Option<HeaderValue>,
    body: B,
) -> Option<Request<B>> {
    let Sanitized { mut parts, target, authority, forwarded, .. } = sanitized;
    parts.uri = Uri::from(if route.strip_path { stripped(&target, &route.path)? } else { target });
    parts.version = Version::HTTP_11;
    // Extensions hold hyper's own state of the client's connection.
    parts.extensions = http::Extensions::new();
    let headers = &mut parts.headers;
    // Identity and metadata: room for all of them at once.
    headers.reserve(14);
    match route.credential {
        Credential::Pass => {}
        Credential::Scoped if permit.identity().is_some() => {
            headers.insert(AUTHORIZATION, scoped()?);
        }
        Credential::Scoped | Credential::None => {
            headers.remove(AUTHORIZATION);
        }
    }
    if let (Some(_), Some(remembered)) = (permit.identity(), remembered) {
        headers.insert(CLIENT, remembered.client.clone());
        headers.insert(SCOPE, remembered.scope.clone());
        for (name, value) in &remembered.person {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    metadata(headers, forwarded, &authority, peer, id)?;
    headers.insert(HOST, authority);
    Some(Request::from_parts(parts, body))
}

/// Who asked, by which host and scheme, under which id. What a trusted proxy said is kept and added to.
fn metadata(
    headers: &mut HeaderMap,
    inherited: Inherited,
    authority: &HeaderValue,
    peer: &Peer,
    id: &RequestId,
) -> Option<()> {
    let Inherited { for_chain, proto, host, forwarded, request_id, traceparent } = inherited;
    // One field: many servers read only the first, or only the last, of several.
    headers.insert(FOR, joined(&for_chain, &peer.forwarded_for)?);
    for value in forwarded {
        headers.append(FORWARDED, value);
    }
    headers.append(FORWARDED, peer.forwarded(authority)?);
    headers.insert(PROTO, proto.unwrap_or(HeaderValue::from_static("https")));
    headers.insert(XHOST, host.unwrap_or_else(|| authority.clone()));
    let id_text = id.as_str();
    headers.insert(REQUEST_ID, request_id.or_else(|| HeaderValue::from_str(id_text).ok())?);
    let trace = traceparent.or_else(|| {
        let mut text = [0_u8; 55];
        let (trace, parent) = (id_text.get(..32)?, id_text.get(16..32)?);
        let parts: [&[u8]; 6] = [b"00-", trace.as_bytes(), b"-", parent.as_bytes(), b"-0", b"0"];
        for (slot, byte) in text.iter_mut().zip(parts.into_iter().flatten()) {
            *slot = *byte;
        }
        HeaderValue::from_bytes(&text).ok()
    });
    if let Some(trace) = trace {
        headers.insert(TRACEPARENT, trace);
    }
    Some(())
}

/// The values of a list field and one more, as one (RFC 9110 section 5.3).
fn joined(values: &[HeaderValue], last: &HeaderValue) -> Option<HeaderValue> {
    if values.is_empty() {
        return Some(last.clone());
    }
    let mut text = Vec::new();
    for value in values {
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(last.as_bytes());
    HeaderValue::from_bytes(&text).ok()
}

/// The target without the route's prefix: `/youtrack/api` becomes `/api`, `/youtrack` becomes `/`.
fn stripped(target: &PathAndQuery, prefix: &str) -> Option<PathAndQuery> {
    let rest = target.as_str().strip_prefix(prefix.trim_end_matches('/'))?;
    if rest.starts_with('/') {
        return PathAndQuery::try_from(rest).ok();
    }
    PathAndQuery::try_from(format!("/{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_target_keeps_its_query_and_begins_with_a_slash() {
        for (target, prefix, expected) in [
            ("/yt/api?x=1", "/yt", "/api?x=1"),
            ("/yt", "/yt", "/"),
            ("/yt?x", "/yt", "/?x"),
            ("/yt/", "/yt", "/"),
            ("/api", "/", "/api"),
        ] {
            assert_eq!(stripped(&PathAndQuery::from_static(target), prefix).unwrap(), expected);
        }
    }
}
