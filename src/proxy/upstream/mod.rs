//! Upstreams: their targets, the connections to them, who gets the next request, and who is passed over.
//!
//! - [`Cluster`] is what all workers share of an upstream: its targets and [`state`], what is known of each. It outlives
//!   reloads that leave the target as it is.
//! - [`pool`] holds one worker's connections to one target and lends them as a [`lease`], [`balance`] one worker's choice among the targets.
//! - [`connector`] opens connections, [`addresses`] looks names up, [`check`] asks targets whether they work; the latter two
//!   are the control plane's to run.
//! - [`status`] says how all of them are getting on, for pages and numbers.
//!
//! Invariant: a request is given to a target only while that takes requests; where none does, it is refused at once.

pub mod addresses;
pub mod balance;
pub mod budget;
pub mod check;
pub mod connector;
pub mod lease;
pub mod pool;
mod schedule;
pub mod state;
pub mod status;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

pub use self::{
    balance::{Pools, Tried},
    connector::ConnectError,
    lease::Lease,
    pool::TargetPool,
};
use self::{
    connector::Connector,
    schedule::Schedule,
    state::{Cause, TargetState},
};
use super::rates::RouteRates;
use crate::{
    base::FastMap,
    model::{delivery::Delivery, upstream::Upstream},
};

/// How an upstream's certificate is checked; `None` where no target has one. What is made of the same files is the same.
pub type UpstreamTls = Option<Arc<rustls::ClientConfig>>;

/// An upstream, as all workers know it.
#[derive(Debug)]
pub struct Cluster {
    /// Its name in lines and numbers.
    pub label: Arc<str>,
    /// The service that it is for, as configured.
    pub service: String,
    /// How its targets are reached.
    pub delivery: Delivery,
    /// Its targets.
    pub nodes: Vec<Arc<Node>>,
    /// How often requests may come; `None`: as often as they like.
    pub rates: Option<Arc<RouteRates>>,
    tls: UpstreamTls,
    waiting: AtomicUsize,
    retries: AtomicU64,
}

/// A target, as all workers know it.
#[derive(Debug)]
pub struct Node {
    /// Host and port, for lines and numbers.
    pub label: Arc<str>,
    /// What a health check calls it.
    host: String,
    /// What is known of it. Kept over reloads.
    pub state: Arc<TargetState>,
    connector: Connector,
    /// One for each connection that may be opened yet.
    slots: Option<Arc<Semaphore>>,
    /// For those who are to meet the same target again.
    hash: u64,
    checks: Schedule,
}

impl Cluster {
    /// An upstream of a configuration. What is known of its targets is taken over from `before`; all of it is, where nothing
    /// has changed.
    #[must_use]
    pub fn new(
        upstream: &Upstream,
        tls: Option<&Arc<rustls::ClientConfig>>,
        before: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let delivery = &upstream.delivery;
        let known = before.and_then(|before| before.rates.as_ref());
        let rates = RouteRates::new(upstream, known);
        if let Some(before) = before
            && before.delivery == *delivery
            && before.service == upstream.service
            && before.rates.as_ref().map(Arc::as_ptr) == rates.as_ref().map(Arc::as_ptr)
            && before.tls.as_ref().map(Arc::as_ptr) == tls.map(Arc::as_ptr)
        {
            return Arc::clone(before);
        }
        let node = |target: &crate::model::upstream::Target| {
            let label: Arc<str> = Arc::from(target.label());
            let known = before.and_then(|before| before.nodes.iter().find(|node| node.label == label));
            let state = known.map(|node| Arc::clone(&node.state)).unwrap_or_default();
            if delivery.health.is_none() {
                state.forget_checks();
            }
            Arc::new(Node {
                host: target.socket.as_ref().map_or_else(|| label.to_string(), |_| "localhost".to_owned()),
                state,
                connector: Connector::new(target, tls, delivery),
                slots: delivery.max_connections.map(|most| Arc::new(Semaphore::new(most.get()))),
                hash: balance::hash(label.as_bytes()),
                checks: Schedule::default(),
                label,
            })
        };
        Arc::new(Self {
            label: Arc::from(upstream.label()),
            service: upstream.service.clone(),
            nodes: delivery.to.iter().map(node).collect(),
            delivery: delivery.clone(),
            rates,
            tls: tls.cloned(),
            waiting: AtomicUsize::new(0),
            retries: AtomicU64::new(0),
        })
    }

    /// All upstreams of a configuration. `before`: those of the configuration before.
    #[must_use]
    pub fn all(upstreams: Vec<(Upstream, UpstreamTls)>, before: &[Arc<Self>]) -> Vec<(Upstream, Arc<Self>)> {
        let before: FastMap<&str, &Arc<Self>> = before.iter().map(|known| (&*known.label, known)).collect();
        let cluster = |(upstream, tls): (Upstream, UpstreamTls)| {
            let cluster = Self::new(&upstream, tls.as_ref(), before.get(upstream.label().as_str()).copied());
            (upstream, cluster)
        };
        upstreams.into_iter().map(cluster).collect()
    }

    /// Whether its targets can go on in another protocol, as those that speak HTTP/2 alone cannot.
    pub fn can_switch(&self) -> bool {
        self.nodes.iter().all(|node| node.connector.speaks != connector::Speaks::Two)
    }

    /// A request was sent again.
    pub fn note_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A target has failed.
    pub(super) fn failed(&self, node: &Node, cause: Cause, why: &dyn std::fmt::Display, now: Instant) {
        // Nobody can make a target refuse connections by what is asked of it. All else may be a request's fault, and must not
        // take more than half of the targets away.
        let may_eject = || {
            let others = self.nodes.iter().filter(|other| !std::ptr::eq(other.as_ref(), node));
            let out = others.filter(|other| !other.state.is_up(now)).count();
            cause == Cause::Connect || (out + 1) * 2 <= self.nodes.len()
        };
        if let Some(time) = node.state.failed(cause, why, now, may_eject) {
            tracing::warn!(
                upstream = %self.label, target = %node.label, seconds = time.as_secs(), %why,
                "the target has failed too often in a row and gets no requests for a while"
            );
        }
    }

    /// How long until a target may take requests again.
    pub fn back_in(&self, now: Instant) -> Duration {
        let checked = self.delivery.health.as_ref().map_or(Duration::from_secs(1), |health| health.every);
        let left = self.nodes.iter().map(|node| {
            let ejected = node.state.ejected_for(now);
            if node.state.is_unhealthy() {
                ejected.unwrap_or_default().max(checked)
            } else {
                ejected.unwrap_or(checked)
            }
        });
        left.min().unwrap_or(checked)
    }

    /// Begins to wait for a connection; `None` when too many wait already.
    fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        (self.waiting.fetch_add(1, Relaxed) < self.delivery.queue).then_some(waiting)
    }

    /// How many requests wait for a connection.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

/// A request that waits for a connection.
struct Waiting<'a>(&'a Cluster);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16) -> crate::model::upstream::Target {
        crate::model::upstream::Target::plain("127.0.0.1", port)
    }

    pub(super) fn upstream(targets: u16) -> Upstream {
        Upstream::new("Hub", "/a", (1..=targets).map(target).collect())
    }

    fn fail(cluster: &Cluster, node: usize, cause: Cause, now: Instant) {
        for _ in 0..5 {
            cluster.failed(&cluster.nodes[node], cause, &"failed", now);
        }
    }

    #[test]
    fn what_a_request_may_be_to_blame_for_takes_half_of_the_targets_at_most() {
        let now = Instant::now();
        let up = |cluster: &Cluster| cluster.nodes.iter().filter(|node| node.state.is_up(now)).count();
        for (targets, left) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
            for cause in [Cause::Answer, Cause::Timeout, Cause::Status] {
                let cluster = Cluster::new(&upstream(targets), None, None);
                (0..usize::from(targets)).for_each(|node| fail(&cluster, node, cause, now));
                assert_eq!(up(&cluster), left, "{targets} targets, {cause:?}");
            }
            let cluster = Cluster::new(&upstream(targets), None, None);
            (0..usize::from(targets)).for_each(|node| fail(&cluster, node, Cause::Connect, now));
            assert_eq!(up(&cluster), 0);
            let back = cluster.back_in(now).as_millis();
            assert!((990..=1000).contains(&back), "{back} ms");
        }
    }

    #[test]
    fn what_is_known_of_a_target_outlives_a_reload() {
        let now = Instant::now();
        let before = Cluster::new(&upstream(2), None, None);
        fail(&before, 0, Cause::Connect, now);
        assert!(
            Arc::ptr_eq(&before, &Cluster::new(&upstream(2), None, Some(&before))),
            "nothing has changed"
        );
        let mut changed = upstream(3);
        changed.delivery.max_idle = 1;
        let after = &Cluster::all(vec![(changed, None)], &[Arc::clone(&before)])[0].1;
        assert!(!Arc::ptr_eq(&before, after));
        assert_eq!(
            after.nodes.iter().map(|node| node.state.is_up(now)).collect::<Vec<_>>(),
            [false, true, true]
        );
        // One at another address is another target.
        let mut moved = upstream(1);
        moved.delivery.to = vec![target(7)];
        assert!(Cluster::new(&moved, None, Some(&before)).nodes[0].state.is_up(now));
    }

    #[test]
    fn nothing_has_changed_while_tls_is_spoken_as_before() {
        let tls = || {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = rustls::ClientConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            Arc::new(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        };
        let (one, other) = (tls(), tls());
        let mut secured = upstream(1);
        secured.delivery.to = secured
            .delivery
            .to
            .into_iter()
            .map(|to| crate::model::upstream::Target { tls: true, ..to })
            .collect();
        let before = Cluster::new(&secured, Some(&one), None);
        before.note_retry();
        let after = Cluster::new(&secured, Some(&Arc::clone(&one)), Some(&before));
        assert!(Arc::ptr_eq(&before, &after) && after.retries.load(Relaxed) == 1);
        for tls in [Some(&other), None] {
            assert!(!Arc::ptr_eq(&before, &Cluster::new(&secured, tls, Some(&before))), "{}", tls.is_some());
        }
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut upstream = upstream(1);
        upstream.delivery.queue = 2;
        let cluster = Cluster::new(&upstream, None, None);
        let (one, two) = (cluster.wait(), cluster.wait());
        assert!(one.is_some() && two.is_some() && cluster.wait().is_none());
        drop(one);
        assert!(cluster.wait().is_some());
        drop(two);
        assert_eq!(cluster.waiting(), 0);
    }
}
