//! A worker's own book of lines and numbers, handed over in batches.
//!
//! Invariant: exactly one access line and one decision line for each request; used by one thread alone.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use http::{Method, StatusCode, Version};

use super::{
    line::{Format, Line, Stamp, key},
    metrics::{Histogram, Totals},
    sink::Sink,
};
use crate::base::{FastMap, time::Timestamp};

/// Lines are handed over when this many bytes have come together, or at the next tick.
const CHUNK: usize = 32 * 1024;

/// What was decided on a request, and why.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decision<'a> {
    /// Request id.
    pub id: &'a [u8],
    /// Trace id, where it is another.
    pub trace: &'a [u8],
    /// Route, `hub` for our own endpoints, empty for none.
    pub route: &'a str,
    /// `allowed`, `public`, `unauthorized`, `forbidden`, `would_refuse`, …
    pub decision: &'static str,
    /// Why it was not allowed, as numbers name it.
    pub cause: &'static str,
    /// Why, where it was not allowed.
    pub reason: &'a str,
    /// `client_id` of the token.
    pub client: &'a str,
    /// `sub` of the token, where a person obtained it.
    pub subject: &'a str,
    /// `jti` of the token.
    pub jti: &'a str,
}

/// How a request went.
#[derive(Debug, Clone)]
pub struct Access<'a> {
    /// Request id.
    pub id: &'a [u8],
    /// Trace id, where it is another.
    pub trace: &'a [u8],
    /// Who asked.
    pub peer: &'a str,
    /// Method.
    pub method: &'a Method,
    /// Path, without query.
    pub path: &'a str,
    /// Version.
    pub version: Version,
    /// Status.
    pub status: StatusCode,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// From the head of the request to the end of the answer, microseconds.
    pub micros: u64,
    /// Route.
    pub route: &'a str,
    /// The upstream that answered.
    pub upstream: &'a str,
    /// Whether the answer reached its end.
    pub complete: bool,
}

/// The parts of the time that a request took, in microseconds, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Until the upstream's turn came: judged, and asked for where that had to wait.
    pub before: Option<u64>,
    /// Until a connection was free, or might be opened.
    pub queue: Option<u64>,
    /// Until it stood.
    pub connect: Option<u64>,
    /// From the request on it to the head of the answer.
    pub first_byte: Option<u64>,
    /// From there to the end.
    pub body: Option<u64>,
}

/// A route in the numbers: its index, or one of the two below.
pub type RouteNumber = u32;
/// No route was found.
pub const NO_ROUTE: RouteNumber = u32::MAX;
/// One of our own endpoints.
pub const OWN_ROUTE: RouteNumber = u32::MAX - 1;

#[derive(Default)]
struct Counts {
    requests: FastMap<(RouteNumber, u8, u16), u64>,
    decisions: FastMap<(RouteNumber, &'static str), u64>,
    upstream: FastMap<(RouteNumber, &'static str, &'static str), u64>,
    refusals: FastMap<&'static str, u64>,
    shed: FastMap<&'static str, u64>,
    durations: FastMap<RouteNumber, Histogram>,
}

/// One worker's book.
pub struct Journal {
    lines: Cell<Option<Format>>,
    stamp: Stamp,
    buffer: RefCell<Vec<u8>>,
    counts: RefCell<Counts>,
    sink: Sink,
    totals: Arc<Totals>,
}

/// The methods that have a number of their own; others share the last.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "OTHER"];

fn method_number(method: &Method) -> u8 {
    let at = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
    u8::try_from(at).unwrap_or(8)
}

impl Journal {
    /// An empty book. `lines`: the form of lines, `None` for numbers alone.
    #[must_use]
    pub fn new(lines: Option<Format>, sink: Sink, totals: Arc<Totals>) -> Self {
        Self {
            lines: Cell::new(lines),
            stamp: Stamp::default(),
            buffer: RefCell::new(Vec::with_capacity(CHUNK + 4096)),
            counts: RefCell::new(Counts::default()),
            sink,
            totals,
        }
    }

    /// Changes the form of lines.
    pub fn set_lines(&self, lines: Option<Format>) {
        self.lines.set(lines);
    }

    /// Writes the decision line.
    pub fn decision(&self, now: Timestamp, route: RouteNumber, decision: Decision<'_>) {
        *self.counts.borrow_mut().decisions.entry((route, decision.decision)).or_default() += 1;
        let Some(format) = self.lines.get() else { return };
        let mut buffer = self.buffer.borrow_mut();
        Line::begin(&mut buffer, format, &self.stamp.at(now), "decision")
            .bytes(key!("id"), decision.id)
            .bytes(key!("trace"), decision.trace)
            .word(key!("decision"), decision.decision)
            .text(key!("route"), decision.route)
            .text(key!("client"), decision.client)
            .text(key!("subject"), decision.subject)
            .text(key!("jti"), decision.jti)
            .word(key!("cause"), decision.cause)
            .text(key!("reason"), decision.reason)
            .end();
    }

    /// Writes the access line.
    pub fn access(&self, now: Timestamp, route: RouteNumber, access: &Access<'_>) {
        {
            let mut counts = self.counts.borrow_mut();
            let key = (route, method_number(access.method), access.status.as_u16());
            *counts.requests.entry(key).or_default() += 1;
            counts.durations.entry(route).or_default().observe(access.micros);
        }
        let Some(format) = self.lines.get() else { return };
        let mut buffer = self.buffer.borrow_mut();
        let version = match access.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        let line =
            Line::begin(&mut buffer, format, &self.stamp.at(now), "access").bytes(key!("id"), access.id);
        line.bytes(key!("trace"), access.trace)
            .text(key!("peer"), access.peer)
            .text(key!("method"), access.method.as_str())
            .text(key!("path"), access.path)
            .word(key!("http"), version)
            .number(key!("status"), u64::from(access.status.as_u16()))
            .number(key!("bytes"), access.bytes)
            .millis(key!("ms"), access.micros)
            .text(key!("route"), access.route)
            .text(key!("upstream"), access.upstream)
            .flag(key!("incomplete"), !access.complete)
            .end();
        if buffer.len() >= CHUNK {
            let chunk = std::mem::replace(&mut *buffer, Vec::with_capacity(CHUNK + 4096));
            self.sink.send(chunk);
        }
    }

    /// Writes that a request took long, also where no other lines are written. Parts that are not known are left out.
    pub fn slow(&self, now: Timestamp, format: Format, access: &Access<'_>, parts: &Parts) {
        let mut buffer = self.buffer.borrow_mut();
        let mut line = Line::begin(&mut buffer, format, &self.stamp.at(now), "slow")
            .word(key!("level"), "warn")
            .bytes(key!("id"), access.id)
            .bytes(key!("trace"), access.trace)
            .text(key!("method"), access.method.as_str())
            .text(key!("path"), access.path)
            .number(key!("status"), u64::from(access.status.as_u16()))
            .text(key!("route"), access.route)
            .text(key!("upstream"), access.upstream)
            .millis(key!("ms"), access.micros);
        for (key, micros) in [
            (key!("before_ms"), parts.before),
            (key!("queue_ms"), parts.queue),
            (key!("connect_ms"), parts.connect),
            (key!("first_byte_ms"), parts.first_byte),
            (key!("body_ms"), parts.body),
        ] {
            if let Some(micros) = micros {
                line = line.millis(key, micros);
            }
        }
        line.flag(key!("incomplete"), !access.complete).end();
    }

    /// Counts an event of an upstream. `name` is a counter of [`super::metrics`].
    pub fn upstream(&self, name: &'static str, route: RouteNumber, kind: &'static str) {
        *self.counts.borrow_mut().upstream.entry((route, name, kind)).or_default() += 1;
    }

    /// Counts a refusal by its cause.
    pub fn refused(&self, cause: &'static str) {
        *self.counts.borrow_mut().refusals.entry(cause).or_default() += 1;
    }

    /// Counts a request that was refused at once because there is too much to do.
    pub fn shed(&self, cause: &'static str) {
        *self.counts.borrow_mut().shed.entry(cause).or_default() += 1;
    }

    /// Hands over lines and numbers. `label` names routes; `passed` hears of each through which requests were let.
    pub fn hand_over(&self, label: impl Fn(RouteNumber) -> String, passed: impl Fn(RouteNumber)) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.is_empty() {
            self.sink.send(buffer.clone());
            buffer.clear();
        }
        drop(buffer);
        let counts = std::mem::take(&mut *self.counts.borrow_mut());
        for ((route, method, status), count) in counts.requests {
            let method = METHODS.get(usize::from(method)).copied().unwrap_or("OTHER");
            let labels =
                vec![("route", label(route)), ("method", method.to_owned()), ("status", status.to_string())];
            self.totals.add("requests", labels, count);
        }
        for ((route, decision), count) in counts.decisions {
            if matches!(decision, "allowed" | "public" | "would_refuse") {
                passed(route);
            }
            let labels = vec![("route", label(route)), ("decision", decision.to_owned())];
            self.totals.add("decisions", labels, count);
        }
        for ((route, name, kind), count) in counts.upstream {
            let mut labels = vec![("route", label(route))];
            if !kind.is_empty() {
                labels.push(("kind", kind.to_owned()));
            }
            self.totals.add(name, labels, count);
        }
        for (cause, count) in counts.refusals {
            self.totals.add("refusals", vec![("cause", cause.to_owned())], count);
        }
        for (cause, count) in counts.shed {
            self.totals.add("shed", vec![("cause", cause.to_owned())], count);
        }
        for (route, durations) in counts.durations {
            self.totals.add_durations(&label(route), &durations);
        }
    }
}
