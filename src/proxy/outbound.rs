//! The request as the upstream gets it.
//!
//! Invariant: made from a [`Sanitized`] head and a [`Permit`], so that each identity header is either ours or absent;
//! there is no third case.

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST},
    uri::PathAndQuery,
};

use super::{
    http1::{Outgoing, RequestHead},
    inherited::Inherited,
    peer::{Peer, Remembered},
    record::RequestId,
    relay::RequestBody,
    route::Route,
    sanitize::{Sanitized, may_pass},
    websocket::Handshake,
};
use crate::{access::policy::Permit, model::upstream::Credential};

const CLIENT: &str = "x-forwarded-client";
const SCOPE: &str = "x-forwarded-scope";
const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const XHOST: &str = "x-forwarded-host";
const FORWARDED: &str = "forwarded";
const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";

/// Makes the request. `scoped` gives the `Authorization` of ours for this route; `remembered` the identity's headers.
pub(super) fn outbound(
    sanitized: Sanitized,
    (permit, remembered): (&Permit, Option<&Remembered>),
    (route, peer, id, handshake): (&Route, &Peer, &RequestId, Option<&Handshake>),
    scoped: impl FnOnce() -> Option<HeaderValue>,
    body: RequestBody,
) -> Option<Outgoing<RequestBody>> {
    let Sanitized { parts, target, authority, forwarded, trailers, .. } = sanitized;
    let mut head = if route.strip_path {
        RequestHead::new(&parts.method, &stripped(&target, &route.path)?)
    } else {
        RequestHead::new(&parts.method, &target)
    };
    if trailers {
        head.takes_trailers();
    }
    // RFC 9112 section 3.2: Host comes first.
    head.set("host", &authority);
    match route.credential {
        Credential::Scoped if permit.identity().is_some() => head.set("authorization", &scoped()?),
        Credential::Pass | Credential::Scoped | Credential::None => {}
    }
    if let Some(handshake) = handshake {
        head.websocket(handshake.key());
    }
    let declared = pass(&mut head, &parts.headers, route.credential == Credential::Pass);
    if let (Some(_), Some(remembered)) = (permit.identity(), remembered) {
        head.set(CLIENT, &remembered.client);
        head.set(SCOPE, &remembered.scope);
        for (name, value) in &remembered.person {
            head.set(name, value);
        }
    }
    metadata(&mut head, forwarded, &authority, peer, id)?;
    Some(Outgoing::new(head, declared, body))
}

/// The client's own fields, none of which is set by us: those were taken off before. Returns the length of the body
/// that they name.
fn pass(head: &mut RequestHead, headers: &HeaderMap, credential: bool) -> Option<u64> {
    let mut declared = None;
    for (name, value) in headers {
        match *name {
            HOST => {}
            AUTHORIZATION if !credential => {}
            // Written with the body that it belongs to.
            CONTENT_LENGTH => declared = value.to_str().ok().and_then(|length| length.parse().ok()),
            _ => {
                debug_assert!(may_pass(name.as_str()), "{name} was to be taken off");
                head.field(name, value);
            }
        }
    }
    declared
}

/// Who asked, by which host and scheme, under which id. What a trusted proxy said is kept and added to.
fn metadata(
    head: &mut RequestHead,
    inherited: Inherited,
    authority: &HeaderValue,
    peer: &Peer,
    id: &RequestId,
) -> Option<()> {
    let Inherited { for_chain, proto, host, forwarded, request_id, traceparent } = inherited;
    // One field: many servers read only the first, or only the last, of several.
    if for_chain.is_empty() {
        head.set(FOR, &peer.forwarded_for);
    } else {
        head.set(FOR, &joined(&for_chain, &peer.forwarded_for)?);
    }
    for value in &forwarded {
        head.set(FORWARDED, value);
    }
    head.set(FORWARDED, &peer.forwarded(authority)?);
    match &proto {
        Some(proto) => head.set(PROTO, proto),
        None => head.set_words(PROTO, &[b"https"])?,
    }
    head.set(XHOST, host.as_ref().unwrap_or(authority));
    let id = id.as_bytes();
    match &request_id {
        Some(id) => head.set(REQUEST_ID, id),
        None => head.set_words(REQUEST_ID, &[id])?,
    }
    if let Some(trace) = &traceparent {
        head.set(TRACEPARENT, trace);
    } else if let (Some(trace), Some(parent)) = (id.get(..32), id.get(16..32)) {
        head.set_words(TRACEPARENT, &[b"00-", trace, b"-", parent, b"-00"])?;
    }
    Some(())
}

/// The values of a list field and one more, as one (RFC 9110 section 5.3).
fn joined(values: &[HeaderValue], last: &HeaderValue) -> Option<HeaderValue> {
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
