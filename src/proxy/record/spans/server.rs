//! The gateway's span towards its client.
//!
//! OpenTelemetry's semantic conventions: HTTP server span.

use std::time::Duration;

use http::{Method, Version};

use super::noted::{Story, nanos};
use crate::{
    observe::{
        journal::{Access, OWN_ROUTE},
        otel::span::{Kind, Parent, Span, bytes, cut},
    },
    proxy::record::Record,
};

/// Bytes of a `User-Agent` that are kept.
const AGENT: usize = 256;

/// Bytes of a method that is not known.
const METHOD: usize = 32;

/// What another method is called.
pub(super) const OTHER: &str = "_OTHER";

pub(super) fn span(story: &Story, record: &Record, access: &Access<'_>) -> Option<Span> {
    let (trace, parent) = match &story.parent {
        None => (&story.own, Parent::None),
        Some(above) => (&above.trace, Parent::Remote(bytes(&above.span)?)),
    };
    let [_, id] = story.own.as_chunks::<16>().0 else { return None };
    let state = story.parent.as_ref().and_then(|above| above.state.as_ref()?.to_str().ok());
    let method = method(access.method);
    let route = route(record);
    let named = if method == OTHER { "HTTP" } else { method };
    let mut span = Span {
        trace: bytes(trace)?,
        id: bytes(id)?,
        parent,
        state: state.unwrap_or_default().to_owned(),
        name: if route.is_empty() { named.to_owned() } else { format!("{named} {route}") },
        kind: Kind::Server,
        start: nanos(record, Duration::ZERO),
        end: nanos(record, Duration::from_micros(access.micros)),
        attributes: Vec::with_capacity(24),
        failed: access.status.is_server_error(),
    };
    span.word("http.request.method", method);
    if method == OTHER {
        span.text("http.request.method_original", cut(access.method.as_str(), METHOD));
    }
    span.word("url.scheme", "https");
    span.text("url.path", access.path);
    span.text("http.route", route);
    if let Some(authority) = story.authority.as_ref().and_then(|authority| authority.to_str().ok()) {
        let (host, port) = host_and_port(authority);
        span.text("server.address", host);
        span.number("server.port", port.unwrap_or(443));
    }
    span.text("client.address", access.peer);
    span.word("network.protocol.name", "http");
    span.word("network.protocol.version", version(access.version));
    if let Some(agent) = story.agent.as_ref().and_then(|agent| agent.to_str().ok()) {
        span.text("user_agent.original", cut(agent, AGENT));
    }
    span.number("http.response.status_code", access.status.as_u16());
    span.number("http.response.body.size", access.bytes);
    if span.failed {
        let code = access.status.as_str();
        span.text("error.type", if story.cause.is_empty() { code } else { story.cause });
    }
    span.text("hubgate.request_id", &String::from_utf8_lossy(access.id));
    span.word("hubgate.decision", story.decision);
    span.word("hubgate.cause", story.cause);
    span.text("hubgate.route", access.route);
    let route = record.view.route(record.route);
    span.text(
        "hubgate.service",
        route.and_then(|r| Some(r.policy.service.as_ref()?.as_str())).unwrap_or_default(),
    );
    span.text("hubgate.client", &story.client);
    span.text("hubgate.upstream", access.upstream);
    if !access.complete {
        span.flag("hubgate.incomplete");
    }
    Some(span)
}

/// The pattern of host and path that the request was matched by.
fn route(record: &Record) -> &str {
    match record.route {
        OWN_ROUTE if record.view.snapshot.hub_path.is_empty() => "/",
        OWN_ROUTE => &record.view.snapshot.hub_path,
        number => record.view.label(number),
    }
}

/// A method as the conventions name it.
pub(super) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// A host as a field names it, and its port. Brackets belong to the field.
fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otel_an_authority_is_a_host_and_perhaps_a_port() {
        for (authority, host, port) in [
            ("a.example", "a.example", None),
            ("a.example:8443", "a.example", Some(8443)),
            ("[::1]:8443", "::1", Some(8443)),
            ("[::1]", "::1", None),
        ] {
            assert_eq!(host_and_port(authority), (host, port));
        }
    }

    #[test]
    fn otel_methods_of_clients_own_have_one_name() {
        assert_eq!(method(&Method::PATCH), "PATCH");
        assert_eq!(method(&Method::from_bytes(b"PURGE").unwrap()), OTHER);
    }
}
