//! How an upstream's targets are reached: who gets the next request, timeouts, numbers of connections, health checks.

use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use http::uri::PathAndQuery;

use super::limits;
use crate::config::{
    Target,
    entry::Entry,
    reader::Section,
    schema,
    value::{self, Wrong, choice, show_duration, wrong},
};
use crate::model::delivery::{Balance, Delivery, HealthCheck, Http2, MAX_TARGETS};

/// The least is for tests; the most is a day, after which nobody remembers.
const PERIOD: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

pub(super) fn delivery(section: &Section<'_, '_>) -> Option<Delivery> {
    let to = targets(section);
    let default = Delivery::new(Vec::new());
    let timeout = section.duration("timeout", limits::timeout(), default.first_byte_timeout);
    let duration = |key, default| section.duration(key, limits::timeout(), default);
    let count = |key, default: usize| {
        usize::try_from(section.count(key, 0..=100_000, default as u64)).unwrap_or(default)
    };
    let max_connections = section
        .get("max_connections")
        .and_then(|value| value.unless_off(None, |value| value.count(&(1..=1_000_000))));
    let total_timeout = section
        .get("total_timeout")
        .and_then(|value| value.unless_off(None, |value| value.duration(&PERIOD)));
    let delivery = Delivery {
        balance: section.parse("balance", |text| choice(text, &Balance::ALL)).unwrap_or(default.balance),
        connect_timeout: duration("connect_timeout", default.connect_timeout),
        first_byte_timeout: duration("first_byte_timeout", timeout),
        idle_timeout: duration("idle_timeout", timeout),
        total_timeout,
        max_idle: count("max_idle", default.max_idle),
        max_connections: max_connections.and_then(|most| NonZeroUsize::new(usize::try_from(most).ok()?)),
        queue: count("queue", default.queue),
        queue_timeout: duration("queue_timeout", default.queue_timeout),
        slow_start: section.duration(
            "slow_start",
            Duration::ZERO..=Duration::from_secs(60 * 60),
            default.slow_start,
        ),
        resolve: section.duration("resolve", PERIOD, default.resolve),
        http2: section.get("http2").map_or(default.http2, |value| http2(&value).unwrap_or(default.http2)),
        server_name: section.parse("server_name", value::server_name),
        health: section.get("health").and_then(|value| health(&value)),
        to: Vec::new(),
    };
    doubts(section, &delivery, to.as_deref().unwrap_or_default());
    Some(Delivery { to: to?, ..delivery })
}

/// What is allowed and does not do what somebody may expect.
fn doubts(section: &Section<'_, '_>, delivery: &Delivery, to: &[Target]) {
    let doubt = |key, what: &str, label: &str| {
        if let Some(value) = section.get(key) {
            value.doubt(wrong(what).label(label));
        }
    };
    if delivery.max_connections.is_none() {
        for key in ["queue", "queue_timeout"] {
            doubt(key, "has no effect", "without `max_connections` nothing waits");
        }
    }
    let no_tls = !to.is_empty() && to.iter().all(|target| !target.tls);
    if no_tls {
        for key in ["ca", "client_certificate", "client_key", "server_name"] {
            doubt(key, "has no effect", "no target of this upstream is https");
        }
        if delivery.http2 == Http2::Auto {
            doubt(
                "http2",
                "has no effect",
                "only https targets can be asked; \"prior-knowledge\" does not ask",
            );
        }
    }
    if to.len() == 1 && delivery.balance != Balance::RoundRobin {
        doubt("balance", "has no effect", "there is one target");
    }
    if let Some(total) = delivery.total_timeout {
        for (key, time) in [
            ("first_byte_timeout", delivery.first_byte_timeout),
            ("connect_timeout", delivery.connect_timeout),
        ] {
            if time > total {
                doubt(key, "is longer than `upstream.total_timeout`", "never reached");
            }
        }
    }
}

/// `true` and `false` are words for two of the three.
fn http2(value: &Entry<'_, '_>) -> Option<Http2> {
    if value.is_text() {
        let words = [("off", Http2::Off), ("auto", Http2::Auto), ("prior-knowledge", Http2::PriorKnowledge)];
        return value.parse(|text| choice(text, &words));
    }
    value.flag().map(|on| if on { Http2::Auto } else { Http2::Off })
}

fn targets(section: &Section<'_, '_>) -> Option<Vec<Target>> {
    let value = section.required("to", r#"name where requests go: to = ["http://127.0.0.1:8080"]"#)?;
    let items = value.list()?;
    if items.is_empty() {
        value.refuse(wrong("has no target").help(r#"write at least one: ["http://127.0.0.1:8080"]"#));
    }
    if items.len() > MAX_TARGETS {
        value.refuse(wrong("has too many targets").label(format!("{}, at most {MAX_TARGETS}", items.len())));
    }
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Some(target) = item.parse(value::target) else { continue };
        if targets.contains(&target) {
            item.refuse(wrong("names the same target twice").label("already listed"));
        }
        targets.push(target);
    }
    Some(targets)
}

fn health(value: &Entry<'_, '_>) -> Option<HealthCheck> {
    let Some(section) = value.table(&schema::HEALTH) else {
        value.refuse(
            wrong("is not a table").help(r#"write for example health = { path = "/healthz", every = "5s" }"#),
        );
        return None;
    };
    let path = section.required("path", "name what is asked for: path = \"/healthz\"");
    let path = path.and_then(|value| value.parse(asked_for));
    let every = section.duration("every", PERIOD, Duration::from_secs(5));
    let timeout = section.duration("timeout", limits::timeout(), Duration::from_secs(2).min(every));
    if let (Some(value), true) = (section.get("timeout"), timeout > every) {
        value.doubt(
            wrong("is longer than `every`")
                .label(format!("checks are {} apart", show_duration(every)))
                .help("a check that is not answered delays the next"),
        );
    }
    let status = section.get("status").map_or(Some(200..=399), |value| {
        if value.is_text() {
            value.parse(statuses)
        } else {
            let status = u16::try_from(value.count(&(100..=599))?).ok()?;
            Some(status..=status)
        }
    });
    Some(HealthCheck { path: path?, every, timeout, status: status? })
}

fn asked_for(text: &str) -> Result<PathAndQuery, Wrong> {
    let refuse = |label: &str| wrong("is not a path").label(label).help(r#"write for example "/healthz""#);
    if !text.starts_with('/') {
        return Err(refuse("does not begin with a slash"));
    }
    if text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refuse("has a character that no request can have"));
    }
    text.parse().map_err(|_| refuse("no request can have it"))
}

fn statuses(text: &str) -> Result<RangeInclusive<u16>, Wrong> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| (100..=599).contains(number));
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (number(least), number(most)) {
        (Some(least), Some(most)) if least <= most => Ok(least..=most),
        _ => Err(wrong("is not a range of statuses")
            .label("statuses are 100 to 599")
            .help(r#"write for example "200-399", or a number: 200"#)),
    }
}
