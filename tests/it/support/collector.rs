//! An OpenTelemetry collector: what it was sent, decoded.

use std::{collections::BTreeMap, net::TcpListener};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;

use super::{Recorded, Reply, Setup, Upstream, gateway::eventually, tls::Identity};

/// A collector. It records the bytes of each request as an upstream does.
pub(crate) struct Collector(pub(crate) Upstream);

impl Collector {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        Self::of(Upstream::start())
    }

    /// The same on a socket that listens.
    pub(crate) fn on(listener: TcpListener) -> Self {
        Self::of(Upstream::on(listener, None))
    }

    /// The same behind TLS.
    pub(crate) fn start_tls(identity: &Identity) -> Self {
        Self::of(Upstream::start_tls(identity))
    }

    fn of(upstream: Upstream) -> Self {
        upstream.script(|_| taken());
        Self(upstream)
    }

    /// Tells a gateway of it.
    pub(crate) fn configure<'s>(&self, setup: &'s mut Setup) -> &'s mut Setup {
        setup.set("telemetry", "otlp", &format!("{:?}", self.0.origin()))
    }

    /// The requests that are complete.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.0.requests().into_iter().filter(|request| request.complete).collect()
    }

    /// The spans so far.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.requests().iter().flat_map(spans).collect()
    }

    /// The spans, when there are so many.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Seen> {
        eventually("the spans", || self.spans().len() >= count);
        let spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }
}

/// The answer of a collector that has taken all.
pub(crate) fn taken() -> Reply {
    Reply::status(200, "application/x-protobuf", b"")
}

/// The spans of one request.
pub(crate) fn spans(request: &Recorded) -> Vec<Seen> {
    assert_eq!(request.line(), "POST /v1/traces HTTP/1.1");
    assert_eq!(request.header("content-type").as_deref(), Some("application/x-protobuf"));
    let sent = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
    let mut seen = Vec::new();
    for of_resource in sent.resource_spans {
        let resource = attributes(&of_resource.resource.unwrap().attributes);
        for of_scope in of_resource.scope_spans {
            assert_eq!(of_scope.scope.unwrap().name, "hubgate");
            seen.extend(of_scope.spans.into_iter().map(|span| Seen::of(span, &resource)));
        }
    }
    seen
}

/// A span as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty where there is none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) flags: u32,
    pub(crate) name: String,
    pub(crate) server: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) failed: bool,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) resource: BTreeMap<String, String>,
}

impl Seen {
    fn of(span: Span, resource: &BTreeMap<String, String>) -> Self {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8), "{span:?}");
        assert!(
            matches!(span.parent_span_id.len(), 0 | 8)
                && span.start_time_unix_nano <= span.end_time_unix_nano
        );
        let server = span.kind() == SpanKind::Server;
        assert!(server || span.kind() == SpanKind::Client, "{span:?}");
        Self {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            state: span.trace_state,
            flags: span.flags,
            name: span.name,
            server,
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            // 2: STATUS_CODE_ERROR
            failed: span.status.is_some_and(|status| status.code == 2),
            attributes: attributes(&span.attributes),
            resource: resource.clone(),
        }
    }

    /// An attribute as text.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// Fails unless it has these attributes; an empty text stands for none.
    #[track_caller]
    pub(crate) fn assert(&self, expected: &[(&str, &str)]) {
        for (key, value) in expected {
            assert_eq!(self.get(key).unwrap_or_default(), *value, "{key} of {self:#?}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for KeyValue { key, value, .. } in list {
        let text = match value.clone().unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            Value::BoolValue(flag) => flag.to_string(),
            other => panic!("{key}: {other:?}"),
        };
        assert!(map.insert(key.clone(), text).is_none(), "{key} is there twice");
    }
    map
}
