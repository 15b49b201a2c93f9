//! The request as the upstream gets it.
//!
//! Invariant: made from a [`Sanitized`] head and a [`Permit`], so that each identity header is either ours or absent;
//! there is no third case.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST},
    uri::PathAndQuery,
};

use super::{
    host::port,
    http1::{Outgoing, RequestHead},
    inherited::Inherited,
    peer::{Peer, Remembered},
    record::Record,
    relay::RequestBody,
    route::Route,
    sanitize::{Sanitized, may_pass},
    trace,
    websocket::Handshake,
};
use crate::{
    access::policy::Permit,
    model::upstream::{Credential, Redirect},
};

const CLIENT: &str = "x-forwarded-client";
const SCOPE: &str = "x-forwarded-scope";
const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const XHOST: &str = "x-forwarded-host";
const PORT: &str = "x-forwarded-port";
const PREFIX: &str = "x-forwarded-prefix";
const FORWARDED: &str = "forwarded";
const REQUEST_ID: &str = "x-request-id";

/// Makes the request. `own_word`: the client's `Authorization` goes on as it came; `scoped` gives the `Authorization` of ours for this route; `remembered` the identity's headers.
pub(super) fn outbound(
    (sanitized, own_word): (Sanitized, bool),
    (permit, remembered): (&Permit, Option<&Remembered>),
    (route, peer, record, handshake): (&Route, &Peer, &Record, Option<&Handshake>),
    scoped: impl FnOnce() -> Option<HeaderValue>,
    body: RequestBody,
) -> Option<Outgoing<RequestBody>> {
    let Sanitized { parts, target, authority, forwarded, trailers, .. } = sanitized;
    let target = forwarded_target(route, target)?;
    record.noted.forwards(&target);
    let mut head = RequestHead::new(&parts.method, &target);
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
    let declared = pass(&mut head, &parts.headers, own_word);
    if let (Some(_), Some(remembered)) = (permit.identity(), remembered) {
        head.set(CLIENT, &remembered.client);
        head.set(SCOPE, &remembered.scope);
        for (name, value) in &remembered.person {
            head.set(name, value);
        }
    }
    prefix(&mut head, route, forwarded.prefix.as_ref())?;
    metadata(&mut head, forwarded, &authority, peer, record)?;
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

/// What is missing at the beginning of the path that the upstream gets: what a trusted proxy took off, and after it what was taken
/// off here.
fn prefix(head: &mut RequestHead, route: &Route, before: Option<&HeaderValue>) -> Option<()> {
    let stripped = if route.strip_path { route.path.trim_end_matches('/') } else { "" };
    let before = before.map_or(&b""[..], HeaderValue::as_bytes);
    if stripped.is_empty() && before.is_empty() {
        return Some(());
    }
    head.set_words(PREFIX, &[before, stripped.as_bytes()])
}

/// Who asked, by which host and scheme, under which id. What a trusted proxy said is kept and added to.
fn metadata(
    head: &mut RequestHead,
    inherited: Inherited,
    authority: &HeaderValue,
    peer: &Peer,
    record: &Record,
) -> Option<()> {
    let context = record.view.snapshot.trace_context;
    let span = record.noted.client_span();
    trace::write(head, context, (record.trace(), span), (&inherited, &record.id))?;
    let Inherited { for_chain, proto, host, port: told, forwarded, request_id, .. } = inherited;
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
    let host = host.as_ref().unwrap_or(authority);
    head.set(XHOST, host);
    if let Some(port) = &told {
        head.set(PORT, port);
    } else {
        // The one that the scheme has anyway (RFC 9110 section 4.2), where the host names none.
        let usual: &[u8] = if proto.is_some_and(|proto| proto == "http") { b"80" } else { b"443" };
        head.set_words(PORT, &[port(host.as_bytes()).unwrap_or(usual)])?;
    }
    match &request_id {
        Some(id) => head.set(REQUEST_ID, id),
        None => head.set_words(REQUEST_ID, &[record.id.as_bytes()])?,
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

/// The target as the upstream of a route gets it.
pub(super) fn forwarded_target(route: &Route, target: PathAndQuery) -> Option<PathAndQuery> {
    if !route.strip_path && route.prepend_path.is_empty() {
        return Some(target);
    }
    let prefix = if route.strip_path { route.path.as_str() } else { "" };
    rewritten(&target, prefix, &route.prepend_path)
}

/// What a redirect of a route answers: the status, and where it leads; 404 where that cannot be said.
pub(super) fn redirected(
    redirect: &Redirect,
    route: &Route,
    target: &PathAndQuery,
) -> (StatusCode, Option<HeaderValue>) {
    let location = location(redirect, &route.path, target);
    (if location.is_some() { redirect.status } else { StatusCode::NOT_FOUND }, location)
}

/// The target with another beginning: without `prefix`, `/youtrack/api` becomes `/api`, and `/youtrack` becomes `/`.
fn rewritten(target: &PathAndQuery, prefix: &str, other: &str) -> Option<PathAndQuery> {
    if target == "*" {
        return Some(target.clone());
    }
    let rest = target.as_str().strip_prefix(prefix.trim_end_matches('/'))?;
    let slash = if other.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    PathAndQuery::try_from(format!("{other}{slash}{rest}")).ok()
}

/// Where a redirect leads: its own address in the place of the route's prefix. What follows is kept as it is, a slash at the end too.
fn location(redirect: &Redirect, prefix: &str, target: &PathAndQuery) -> Option<HeaderValue> {
    let rest = target.as_str().strip_prefix(prefix.trim_end_matches('/'))?;
    let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    let slash = if path.is_empty() && !redirect.to.is_empty() { "" } else { "/" };
    // Two slashes at the beginning would name a host.
    let path = path.trim_start_matches('/');
    HeaderValue::try_from(format!("{}{slash}{path}{query}", redirect.to)).ok()
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
            assert_eq!(rewritten(&PathAndQuery::from_static(target), prefix, "").unwrap(), expected);
        }
        for (target, prefix, other, expected) in [
            ("/yt/api?x=1", "/yt", "/app", "/app/api?x=1"),
            ("/yt", "/yt", "/app", "/app"),
            ("/yt?x", "/yt", "/app", "/app?x"),
            ("/yt/api", "", "/app", "/app/yt/api"),
            ("/", "", "/app", "/app/"),
            ("*", "", "/app", "*"),
        ] {
            assert_eq!(rewritten(&PathAndQuery::from_static(target), prefix, other).unwrap(), expected);
        }
    }

    #[test]
    fn a_redirect_leads_where_it_says_and_nowhere_else() {
        for (to, prefix, target, expected) in [
            ("https://new.example/yt", "/old", "/old/x/y?a=b", "https://new.example/yt/x/y?a=b"),
            ("https://new.example/yt", "/old", "/old", "https://new.example/yt"),
            ("https://new.example/yt", "/old", "/old/", "https://new.example/yt/"),
            ("https://new.example/yt", "/old", "/old/?a=b/", "https://new.example/yt/?a=b/"),
            ("https://new.example/yt", "/old", "/old/x/", "https://new.example/yt/x/"),
            ("https://new.example", "/", "/", "https://new.example/"),
            ("/new", "/old", "/old/", "/new/"),
            ("", "/old", "/old/", "/"),
            ("", "/old", "/old//", "/"),
            ("https://new.example", "/old", "/old?a", "https://new.example?a"),
            ("https://new.example", "/", "/a/b", "https://new.example/a/b"),
            ("/new", "/old", "/old/x", "/new/x"),
            ("", "/old", "/old/x", "/x"),
            ("", "/old", "/old", "/"),
            ("", "/old", "/old//evil.example/x", "/evil.example/x"),
            ("https://new.example", "/old", "/old/@evil.example", "https://new.example/@evil.example"),
            ("https://new.example", "/old", "/old/.evil.example", "https://new.example/.evil.example"),
        ] {
            let redirect = Redirect { to: to.to_owned(), status: StatusCode::FOUND };
            let location = location(&redirect, prefix, &PathAndQuery::from_static(target)).unwrap();
            assert_eq!(location, expected, "{to:?} for {target}");
        }
    }
}
