//! How upstreams and their targets are getting on, for pages and numbers.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{Cluster, Node, state::FULL_SHARE};
use crate::{model::delivery::Balance, proxy::gate::Snapshot};

/// One upstream.
#[derive(Debug, Clone)]
pub struct UpstreamStatus {
    /// Its name: host and path, as in log and metrics.
    pub upstream: Arc<str>,
    /// Its service, as configured.
    pub service: String,
    /// How its targets share the work.
    pub balance: Balance,
    /// Requests that were sent again.
    pub retries: u64,
    /// Requests that wait for a connection now.
    pub waiting: usize,
    /// Its targets, in the order of the configuration.
    pub targets: Vec<TargetStatus>,
}

/// One target.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// Host and port, or the socket's path.
    pub target: Arc<str>,
    /// Whether it takes requests.
    pub state: Condition,
    /// Open connections, unused ones included.
    pub connections: usize,
    /// Requests that it was given.
    pub requests: u64,
    /// Failures by cause, each with its name in numbers.
    pub failures: Vec<(&'static str, u64)>,
    /// How long ago it failed last, and why.
    pub last_failure: Option<(Duration, String)>,
    /// Whether the gateway asks it on its own whether it works.
    pub checked: bool,
    /// Where its name leads, as far as that is known.
    pub addresses: Vec<String>,
}

/// Whether a target takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Up,
    /// It has just come back and gets so many percent of its share.
    Warming(u32),
    /// It has failed too often in a row and is left alone for so long.
    Ejected(Duration),
    /// Its health checks fail.
    Unhealthy,
}

impl Condition {
    /// Whether it is given requests.
    #[must_use]
    pub const fn takes_requests(self) -> bool {
        matches!(self, Self::Up | Self::Warming(_))
    }
}

impl Snapshot {
    /// All upstreams with their targets, as they are now.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        let now = Instant::now();
        self.routes.iter().map(|route| route.cluster.status(now)).collect()
    }
}

impl Cluster {
    /// How it is now.
    #[must_use]
    pub fn status(&self, now: Instant) -> UpstreamStatus {
        UpstreamStatus {
            upstream: Arc::clone(&self.label),
            service: self.service.clone(),
            balance: self.delivery.balance,
            retries: self.retries.load(Relaxed),
            waiting: self.waiting(),
            targets: self.nodes.iter().map(|node| self.target(node, now)).collect(),
        }
    }

    fn target(&self, node: &Node, now: Instant) -> TargetStatus {
        let state = &node.state;
        let share = state.share(now, self.delivery.slow_start);
        let condition = if state.is_unhealthy() {
            Condition::Unhealthy
        } else if let Some(left) = state.ejected_for(now) {
            Condition::Ejected(left)
        } else if share < FULL_SHARE {
            Condition::Warming(share * 100 / FULL_SHARE)
        } else {
            Condition::Up
        };
        let addresses =
            node.connector.addresses().and_then(|addresses| addresses.known(now)).unwrap_or_default();
        TargetStatus {
            target: Arc::clone(&node.label),
            state: condition,
            connections: state.open().load(Relaxed),
            requests: state.requests().load(Relaxed),
            failures: state.failures().collect(),
            last_failure: state.last_failure().map(|(at, why)| (now.saturating_duration_since(at), why)),
            checked: self.delivery.health.is_some(),
            addresses: addresses.iter().map(|address| address.ip().to_string()).collect(),
        }
    }
}
