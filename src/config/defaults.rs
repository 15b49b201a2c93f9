//! What holds where the file says nothing. The shipped `gateway.toml` shows the same values; a test compares them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

use super::{Limits, Log, LogFormat, OAuth, OAuthProfile, Rate, RequestRates};
use crate::model::{key::Algorithm, session::SessionLife, trace::TraceContext};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

pub(super) const DATA_DIR: &str = "data";
pub(super) const DATABASE: &str = "hubgate.db";
pub(super) const HUB_PATH: &str = "/hub";

pub(super) const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
pub(super) const MANAGEMENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

pub(super) const UPSTREAM_PATH: &str = "/";

impl Default for OAuth {
    fn default() -> Self {
        Self {
            profile: OAuthProfile::Hub,
            access_token_ttl: Duration::from_secs(60 * MINUTE),
            refresh_token_ttl: Duration::from_secs(90 * DAY),
            code_ttl: Duration::from_secs(60),
            refresh_window: Duration::from_secs(60),
            consent_ttl: Duration::from_secs(365 * DAY),
            secret_grace: Duration::from_secs(DAY),
            signing_algorithm: Algorithm::Es256,
            key_rotation: None,
        }
    }
}

pub(super) const SESSIONS: SessionLife =
    SessionLife { idle: Duration::from_secs(14 * DAY), absolute: Duration::from_secs(30 * DAY) };

fn rate(count: u32, seconds: u64) -> Option<Rate> {
    NonZeroU32::new(count).map(|count| Rate { count, per: Duration::from_secs(seconds) })
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            min_body_rate: 240,
            min_answer_rate: 240,
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            max_header_size: 64 * 1024,
            max_headers: 100,
            max_body_size: 100 * 1024 * 1024,
            max_connections: 20_000,
            max_connections_per_source: 15_000,
            max_streams: 100,
            max_requests: 20_000,
            token_cache: 100_000,
            requests: RequestRates::default(),
            rejections_per_source: rate(1200, MINUTE),
            login_failures: rate(5, MINUTE),
            login_failures_per_source: rate(100, 60 * MINUTE),
            login_failures_per_account: rate(100, 60 * MINUTE),
            password_threads: None,
            password_queue: 100,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: tracing::Level::INFO,
            access: true,
            slow: None,
            trace_context: TraceContext::On,
        }
    }
}
