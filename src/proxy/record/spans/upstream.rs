//! The gateway's spans towards upstreams: one for each attempt, the last of which is the upstream's parent.
//!
//! OpenTelemetry's semantic conventions: HTTP client span.

use super::{
    noted::{Attempt, Story, nanos, span_id},
    server::{OTHER, method},
};
use crate::{
    model::upstream::Target,
    observe::{
        journal::Access,
        otel::span::{Kind, Parent, Span, bytes},
    },
    proxy::record::Record,
};

pub(super) fn spans(story: &Story, server: &Span, record: &Record, access: &Access<'_>) -> Vec<Span> {
    let last = story.attempts.len().saturating_sub(1);
    let one = |(number, attempt): (usize, &Attempt)| {
        let digits = if number == last { story.client_span } else { span_id(record.worker()) };
        let mut span = span(server, record, access, bytes(&digits)?);
        tell(&mut span, record, attempt, story);
        if number > 0 {
            span.number("http.request.resend_count", number);
        }
        Some(span)
    };
    story.attempts.iter().enumerate().filter_map(one).collect()
}

/// What all of them have in common.
fn span(server: &Span, record: &Record, access: &Access<'_>, id: [u8; 8]) -> Span {
    let method = method(access.method);
    let mut span = Span {
        trace: server.trace,
        id,
        parent: Parent::Own(server.id),
        state: server.state.clone(),
        name: if method == OTHER { "HTTP" } else { method }.to_owned(),
        kind: Kind::Client,
        start: server.start,
        end: server.end,
        attributes: Vec::with_capacity(10),
        failed: false,
    };
    span.word("http.request.method", method);
    span.text("hubgate.route", record.route_label());
    span
}

fn tell(span: &mut Span, record: &Record, attempt: &Attempt, story: &Story) {
    let since =
        |moment: std::time::Instant| nanos(record, moment.saturating_duration_since(record.started()));
    span.start = since(attempt.started);
    if let Some((moment, _)) = attempt.failed {
        span.end = since(moment);
    }
    let route = record.view.route(record.route);
    let mut targets = route.iter().flat_map(|route| &route.cluster.delivery.to);
    if let Some(target) = targets.find(|target| target.label() == *attempt.target) {
        let path = story.target.as_ref().map_or("/", |target| target.path());
        address(span, target, path);
    }
    span.text("hubgate.upstream", &attempt.target);
    let code = attempt.status.filter(|status| status.is_client_error() || status.is_server_error());
    if let Some(status) = attempt.status {
        span.number("http.response.status_code", status.as_u16());
    }
    // One that was given up before it answered has failed by what its client was told.
    let error = match (attempt.failed, &code, attempt.status) {
        (Some((_, error)), ..) => error,
        (None, Some(code), _) => code.as_str(),
        (None, None, Some(_)) => "",
        (None, None, None) if story.cause.is_empty() => "cancelled",
        (None, None, None) => story.cause,
    };
    span.failed = !error.is_empty();
    span.text("error.type", error);
}

/// Where it went. The query stays out.
fn address(span: &mut Span, target: &Target, path: &str) {
    let scheme = if target.tls { "https" } else { "http" };
    span.word("url.scheme", scheme);
    if let Some(file) = &target.socket {
        span.text("server.address", &file.display().to_string());
        span.text("url.full", &format!("{scheme}://localhost{path}"));
    } else {
        span.text("server.address", &target.host);
        span.number("server.port", target.port);
        span.text("url.full", &format!("{scheme}://{}{path}", target.label()));
    }
}
