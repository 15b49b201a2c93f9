//! Spans of requests for an OpenTelemetry collector: a bounded queue, and a task of the control plane that sends what is in it
//! by OTLP over HTTP. Compiled with the feature `otel` alone.
//!
//! Invariant: nothing here can stall or fail a request. What the queue does not take, and what the collector does not take in
//! time, is dropped and counted.
//!
//! OTLP 1.x over HTTP with protobuf; semantic conventions for HTTP spans.

mod batch;
mod encode;
mod link;
pub mod span;

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use tokio::sync::{mpsc, oneshot};

pub use self::batch::Exporter;
use self::span::Span;
use super::metrics::Totals;

/// Spans that may wait.
const WAITING: usize = 4096;

/// Counts what was sent. Without `hubgate_` and `_total`, as the next.
const SENT: &str = "spans_sent";
/// Counts what was dropped, by cause.
const DROPPED: &str = "spans_dropped";

/// Where spans go.
pub struct Collector {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How TLS is spoken, where it is.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// What is posted to.
    pub path: String,
    /// What is sent along. The values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long it may take to take one batch.
    pub timeout: Duration,
}

impl Collector {
    /// Host and port as a request and the log name them.
    fn authority(&self) -> String {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// Who sends spans: attributes of the resource.
pub type Resource = Vec<(&'static str, String)>;

/// One worker's way into the queue.
#[derive(Clone)]
pub struct Outlet {
    queue: mpsc::Sender<Span>,
    totals: Arc<Totals>,
}

impl Outlet {
    /// Hands spans over. What does not fit is dropped and counted.
    pub fn send(&self, spans: impl IntoIterator<Item = Span>) {
        let lost = spans.into_iter().filter_map(|span| self.queue.try_send(span).err()).count();
        dropped(&self.totals, "queue", lost);
    }
}

/// The queue. What comes out of it is the exporter's to send, once it runs. The other end tells it that no more will come.
#[must_use]
pub fn queue(
    collector: Collector,
    resource: Resource,
    totals: &Arc<Totals>,
) -> (Outlet, Exporter, oneshot::Sender<()>) {
    let (queue, waiting) = mpsc::channel(WAITING);
    let (end, ended) = oneshot::channel();
    let outlet = Outlet { queue, totals: Arc::clone(totals) };
    (outlet, Exporter::new(collector, resource, (waiting, ended), Arc::clone(totals)), end)
}

fn dropped(totals: &Totals, cause: &'static str, spans: usize) {
    if spans > 0 {
        totals.add(DROPPED, vec![("cause", cause.to_owned())], u64::try_from(spans).unwrap_or(u64::MAX));
    }
}
