//! Numbers: token lives, timeouts, sizes, rates; and the log.
//!
//! The ranges leave room for tests and large sites; they refuse what would lock everybody out or protect nobody.

use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use tracing::Level;

use crate::config::{
    Limits, Log, LogFormat, OAuth, OAuthProfile, Rate, RequestRates, defaults,
    reader::Section,
    value::{self, choice, wrong},
};
use crate::model::{key::Algorithm, session::SessionLife, trace::TraceContext};

/// From what time on a request may count as slow.
const SLOW: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(HOUR);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const fn seconds(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}

/// What a timeout may be: long enough for a distant client, short enough to free what a dead one holds.
pub(super) const fn timeout() -> RangeInclusive<Duration> {
    Duration::from_millis(100)..=Duration::from_secs(HOUR)
}

/// What a WebSocket may be silent.
pub(super) const fn websocket_timeout() -> RangeInclusive<Duration> {
    Duration::from_millis(100)..=Duration::from_secs(24 * HOUR)
}

/// What a body may be; nothing above is a body that anybody meant to send.
const BODY: RangeInclusive<u64> = 0..=1 << 40;

/// What has to move each second; more would keep out people on a train.
const PACE: RangeInclusive<u64> = 0..=1 << 20;

pub(super) fn oauth(section: &Section<'_, '_>) -> OAuth {
    let default = OAuth::default();
    let profiles = [("hub", OAuthProfile::Hub), ("oauth21", OAuthProfile::OAuth21)];
    let algorithms = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    let key_rotation = section.get("key_rotation");
    OAuth {
        profile: section.parse("profile", |text| choice(text, &profiles)).unwrap_or(default.profile),
        access_token_ttl: section.duration("access_token_ttl", seconds(10, DAY), default.access_token_ttl),
        refresh_token_ttl: section.duration(
            "refresh_token_ttl",
            seconds(MINUTE, 3650 * DAY),
            default.refresh_token_ttl,
        ),
        code_ttl: section.duration("code_ttl", seconds(5, 10 * MINUTE), default.code_ttl),
        refresh_window: section.duration("refresh_window", seconds(0, 10 * MINUTE), default.refresh_window),
        consent_ttl: section.duration("consent_ttl", seconds(MINUTE, 3650 * DAY), default.consent_ttl),
        signing_algorithm: section
            .parse("signing_algorithm", |text| choice(text, &algorithms))
            .unwrap_or(default.signing_algorithm),
        secret_grace: section.duration("secret_grace", seconds(0, 90 * DAY), default.secret_grace),
        key_rotation: key_rotation.map_or(default.key_rotation, |entry| {
            entry.unless_off(default.key_rotation, |entry| entry.duration(&seconds(HOUR, 3650 * DAY)))
        }),
    }
}

pub(super) fn sessions(section: &Section<'_, '_>) -> SessionLife {
    let default = defaults::SESSIONS;
    // A use is written down once a minute, so a shorter life would end sessions that are in use.
    let life = SessionLife {
        idle: section.duration("idle", seconds(5 * MINUTE, 3650 * DAY), default.idle),
        absolute: section.duration("life", seconds(5 * MINUTE, 3650 * DAY), default.absolute),
    };
    if let (Some(value), true) = (section.get("idle"), life.idle > life.absolute) {
        value.doubt(
            wrong("is longer than `sessions.life`")
                .label("never reached")
                .help("a session ends at the earlier of the two"),
        );
    }
    life
}

/// A rate, or "off" for none.
fn rate(section: &Section<'_, '_>, key: &'static str, default: Option<Rate>) -> Option<Rate> {
    section.get(key).map_or(default, |entry| entry.unless_off(default, |entry| entry.parse(value::rate)))
}

/// Bytes that have to move each second; 0 for "off".
pub(super) fn pace(section: &Section<'_, '_>, key: &'static str) -> Option<u64> {
    let entry = section.get(key)?;
    if entry.as_text().is_some_and(|text| text == "off") { Some(0) } else { entry.size(&PACE) }
}

/// Bytes that a request's body may have; `u64::MAX` for "off".
pub(super) fn body(section: &Section<'_, '_>) -> Option<u64> {
    let entry = section.get("max_body_size")?;
    if entry.as_text().is_some_and(|text| text == "off") { Some(u64::MAX) } else { entry.size(&BODY) }
}

/// How often requests may come: of the gateway, of an upstream or of a rule.
pub(super) fn requests(section: &Section<'_, '_>) -> RequestRates {
    RequestRates {
        source: rate(section, "requests_per_source", None),
        service: rate(section, "requests_per_service", None),
        user: rate(section, "requests_per_user", None),
    }
}

pub(super) fn limits(section: &Section<'_, '_>) -> Limits {
    let default = Limits::default();
    let rate = |key, default| rate(section, key, default);
    let count = |key, range: RangeInclusive<u64>, default: usize| {
        usize::try_from(section.count(key, range, default as u64)).unwrap_or(default)
    };
    Limits {
        handshake_timeout: section.duration("handshake_timeout", timeout(), default.handshake_timeout),
        header_timeout: section.duration("header_timeout", timeout(), default.header_timeout),
        body_timeout: section.duration("body_timeout", timeout(), default.body_timeout),
        write_timeout: section.duration("write_timeout", timeout(), default.write_timeout),
        min_body_rate: pace(section, "min_body_rate").unwrap_or(default.min_body_rate),
        min_answer_rate: pace(section, "min_answer_rate").unwrap_or(default.min_answer_rate),
        idle_timeout: section.duration("idle_timeout", timeout(), default.idle_timeout),
        drain_timeout: section.duration("drain_timeout", seconds(0, HOUR), default.drain_timeout),
        max_header_size: usize::try_from(section.size(
            "max_header_size",
            1 << 10..=1 << 20,
            default.max_header_size as u64,
        ))
        .unwrap_or(default.max_header_size),
        max_headers: count("max_headers", 10..=10_000, default.max_headers),
        max_body_size: body(section).unwrap_or(default.max_body_size),
        max_connections: count("max_connections", 1..=10_000_000, default.max_connections),
        max_connections_per_source: count(
            "max_connections_per_source",
            1..=10_000_000,
            default.max_connections_per_source,
        ),
        max_streams: u32::try_from(section.count("max_streams", 1..=10_000, default.max_streams.into()))
            .unwrap_or(default.max_streams),
        max_requests: count("max_requests", 1..=10_000_000, default.max_requests),
        token_cache: count("token_cache", 1..=100_000_000, default.token_cache),
        requests: requests(section),
        rejections_per_source: rate("rejections_per_source", default.rejections_per_source),
        login_failures: rate("login_failures", default.login_failures),
        login_failures_per_source: rate("login_failures_per_source", default.login_failures_per_source),
        login_failures_per_account: rate("login_failures_per_account", default.login_failures_per_account),
        password_threads: section
            .get("password_threads")
            .and_then(|value| value.count(&(1..=256)))
            .and_then(|count| usize::try_from(count).ok())
            .and_then(NonZeroUsize::new),
        password_queue: count("password_queue", 1..=10_000, default.password_queue),
    }
}

pub(super) fn log(section: &Section<'_, '_>) -> Log {
    let default = Log::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let traces = [("on", TraceContext::On), ("sampled", TraceContext::Sampled), ("off", TraceContext::Off)];
    Log {
        format: section.parse("format", |text| choice(text, &formats)).unwrap_or(default.format),
        level: section.parse("level", |text| choice(text, &levels)).unwrap_or(default.level),
        access: section.flag("access").unwrap_or(default.access),
        slow: section.get("slow").and_then(|value| value.unless_off(None, |value| value.duration(&SLOW))),
        trace_context: section.parse("trace_context", |text| choice(text, &traces)).unwrap_or_default(),
    }
}
