//! What the control plane does for upstreams on its own: it asks targets whether they work, and looks their names up.
//!
//! Invariant: one check of a target runs at a time, once for the whole process, and its verdict holds for every worker.

use std::{
    future::poll_fn,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::Empty;

use super::{Cluster, ConnectError, Node};
use crate::{
    model::delivery::HealthCheck,
    proxy::{
        http1::{Connection, Fault, Outgoing, RequestHead},
        http2,
        route::Routes,
    },
};

/// How often is looked whether something is due.
pub const LOOK: Duration = Duration::from_millis(100);

/// What is due.
#[derive(Debug)]
pub struct Job {
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Health,
    Addresses,
}

/// Why a target does not pass.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Answer(#[from] Fault),
    #[error("{0}")]
    Http2(#[from] h2::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("it did not answer in time")]
    Late,
    #[error("its host is no value of a field")]
    Host,
}

/// What is due now. Who asks does it.
pub fn due(routes: &Routes, now: Instant) -> Vec<Job> {
    let mut jobs = Vec::new();
    for cluster in routes.iter().map(|route| &route.cluster) {
        for node in &cluster.nodes {
            let mut add =
                |kind| jobs.push(Job { cluster: Arc::clone(cluster), node: Arc::clone(node), kind });
            if node.connector.addresses().is_some_and(|addresses| addresses.is_due(now)) {
                add(Kind::Addresses);
            }
            if let Some(health) = &cluster.delivery.health
                && node.checks.is_due(now, health.every)
            {
                add(Kind::Health);
            }
        }
    }
    jobs
}

impl Job {
    /// Does it.
    pub async fn run(self) {
        let Self { cluster, node, kind } = self;
        match (kind, &cluster.delivery.health) {
            (Kind::Health, Some(health)) => {
                let outcome = node.ask(health).await;
                node.checks.done();
                cluster.judge(&node, outcome);
            }
            (Kind::Health, None) => node.checks.done(),
            (Kind::Addresses, _) => {
                if let Some(addresses) = node.connector.addresses()
                    && let Err(error) = addresses.look_up().await
                {
                    tracing::warn!(upstream = %cluster.label, target = %node.label, %error, "the target's name cannot be looked up");
                }
            }
        }
    }
}

impl Cluster {
    fn judge(&self, node: &Node, outcome: Result<(), Unwell>) {
        let now = Instant::now();
        match outcome {
            Ok(()) if node.state.check_passed(now) => {
                tracing::info!(upstream = %self.label, target = %node.label, "the target is healthy again");
            }
            Err(why) if node.state.check_failed(&why, now) => {
                tracing::warn!(upstream = %self.label, target = %node.label, %why, "the target is unhealthy and gets no requests");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Node {
    async fn ask(&self, health: &HealthCheck) -> Result<(), Unwell> {
        let asked = tokio::time::timeout(health.timeout, self.status(health)).await;
        let status = asked.map_err(|_| Unwell::Late)??;
        let good: &RangeInclusive<u16> = &health.status;
        if good.contains(&status) { Ok(()) } else { Err(Unwell::Status(status)) }
    }

    async fn status(&self, health: &HealthCheck) -> Result<u16, Unwell> {
        let (transport, _) = self.connector.open(false).await?;
        let agent = HeaderValue::from_static("hubgate-health-check");
        let http2 = self.connector.is_http2(&transport).map_err(ConnectError::from)?;
        if http2 {
            let scheme = if transport.is_tls() { "https" } else { "http" };
            let request = Request::builder()
                .uri(format!("{scheme}://{}{}", self.host, health.path))
                .header("user-agent", agent)
                .body(())
                .map_err(|_| Unwell::Host)?;
            return Ok(http2::ask(transport, request).await?);
        }
        let mut head = RequestHead::new(&Method::GET, &health.path);
        head.set("host", &HeaderValue::from_str(&self.host).map_err(|_| Unwell::Host)?);
        head.set("user-agent", &agent);
        head.set("connection", &HeaderValue::from_static("close"));
        let mut request = Outgoing::new(head, None, Empty::<Bytes>::new());
        let mut connection = Connection::new(transport);
        let answer = poll_fn(|cx| connection.poll_answer(&mut request, cx)).await?;
        Ok(answer.status.as_u16())
    }
}
