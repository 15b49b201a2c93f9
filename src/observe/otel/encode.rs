//! Spans as OTLP has them.
//!
//! opentelemetry-proto: `collector/trace/v1`, `trace/v1`.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1,
    trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status, span::SpanKind, status::StatusCode},
};
use prost::Message as _;

use super::{
    Resource,
    span::{Kind, Parent, Span, Value},
};

/// The conventions that names of attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.27.0";

/// The lowest bit of the flags: sampled.
const SAMPLED: u32 = 1;
/// It is said whether the parent is another process's.
const KNOWS_PARENT: u32 = 0x100;
/// It is.
const REMOTE_PARENT: u32 = 0x200;

/// The body of a request.
pub(super) fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let attributes = resource.iter().map(|(key, value)| key_value(key, text(value))).collect();
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.iter().map(span).collect(),
        schema_url: SCHEMA.to_owned(),
    };
    let resource = v1::Resource { attributes, ..v1::Resource::default() };
    let of_resource =
        ResourceSpans { resource: Some(resource), scope_spans: vec![spans], schema_url: SCHEMA.to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
}

/// How many spans the collector says it has not taken. What cannot be read says nothing.
pub(super) fn rejected(answer: &[u8]) -> usize {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.and_then(|part| usize::try_from(part.rejected_spans).ok()).unwrap_or_default()
}

fn span(span: &Span) -> otlp::Span {
    let (parent, flags) = match span.parent {
        Parent::None => (Vec::new(), SAMPLED | KNOWS_PARENT),
        Parent::Own(id) => (id.to_vec(), SAMPLED | KNOWS_PARENT),
        Parent::Remote(id) => (id.to_vec(), SAMPLED | KNOWS_PARENT | REMOTE_PARENT),
    };
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    let status = Status { message: String::new(), code: StatusCode::Error.into() };
    otlp::Span {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        trace_state: span.state.clone(),
        parent_span_id: parent,
        flags,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: span.attributes.iter().map(|(key, value)| key_value(key, any(value))).collect(),
        status: span.failed.then_some(status),
        ..otlp::Span::default()
    }
}

fn any(value: &Value) -> any_value::Value {
    match value {
        Value::Text(words) => text(words),
        Value::Number(number) => any_value::Value::IntValue(*number),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
    }
}

fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
