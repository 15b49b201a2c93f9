//! How requests reach an upstream's targets, as an administrator states it.

use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use http::uri::PathAndQuery;

use super::upstream::Target;

/// How requests reach an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to, at least one, [`MAX_TARGETS`] at most.
    pub to: Vec<Target>,
    /// How the targets share the work.
    pub balance: Balance,
    /// How long until a connection stands.
    pub connect_timeout: Duration,
    /// How long until the answer begins.
    pub first_byte_timeout: Duration,
    /// How long between two pieces of the answer.
    pub idle_timeout: Duration,
    /// How long from the request to the end of the answer; `None`: as long as it takes.
    pub total_timeout: Option<Duration>,
    /// Idle connections kept per worker and target.
    pub max_idle: usize,
    /// Open connections to each target, all workers together; `None`: as many as are needed.
    pub max_connections: Option<NonZeroUsize>,
    /// Requests that may wait for a connection, where there is a limit.
    pub queue: usize,
    /// How long one may wait.
    pub queue_timeout: Duration,
    /// How long a target that has come back gets less than its share.
    pub slow_start: Duration,
    /// How often names are looked up.
    pub resolve: Duration,
    /// When HTTP/2 is spoken.
    pub http2: Http2,
    /// The name that `https` targets are asked for and their certificates are verified for, if other than their host.
    pub server_name: Option<String>,
    /// How the gateway asks on its own whether a target works.
    pub health: Option<HealthCheck>,
}

/// Targets of one upstream.
pub const MAX_TARGETS: usize = 64;

impl Delivery {
    /// Whether HTTP/2 may be spoken.
    #[must_use]
    pub fn may_speak_http2(&self) -> bool {
        self.http2 != Http2::Off || self.to.iter().any(|target| target.h2c)
    }

    /// To these targets, all else by default.
    #[must_use]
    pub const fn new(to: Vec<Target>) -> Self {
        Self {
            to,
            balance: Balance::RoundRobin,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
            max_idle: 256,
            max_connections: None,
            queue: 100,
            queue_timeout: Duration::from_secs(1),
            slow_start: Duration::from_secs(10),
            resolve: Duration::from_secs(30),
            http2: Http2::Off,
            server_name: None,
            health: None,
        }
    }
}

/// When HTTP/2 is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// Never, but to `h2c://`.
    Off,
    /// Where an `https` target agrees to it.
    Auto,
    /// Always: `https` targets have to agree, others are not asked.
    PriorKnowledge,
}

/// How targets share the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    RoundRobin,
    /// Whoever has the fewest requests.
    LeastConnections,
    /// The same user, or where there is none the same source, to the same target.
    ConsistentHash,
}

impl Balance {
    /// Each with its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("round_robin", Self::RoundRobin),
        ("least_connections", Self::LeastConnections),
        ("consistent_hash", Self::ConsistentHash),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, balance)| *balance == self).map_or("", |(name, _)| name)
    }
}

/// How the gateway asks whether a target works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for, by GET.
    pub path: PathAndQuery,
    /// How often.
    pub every: Duration,
    /// How long until the answer has begun, the connection included.
    pub timeout: Duration,
    /// The answers of a target that works.
    pub status: RangeInclusive<u16>,
}
