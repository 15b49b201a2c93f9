//! What is noted of a request that is sampled, until its record is dropped.
//!
//! Invariant: whether a request is sampled is decided once, by its trusted parent, else by its own id.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode, header::USER_AGENT, uri::PathAndQuery};

use super::{server, upstream};
use crate::{
    model::trace::TraceContext,
    observe::{
        journal::{Access, Decision},
        otel::{Outlet, span::Span},
    },
    proxy::{
        record::Record,
        sanitize::Sanitized,
        trace::{Above, Trace},
        upstream::TargetPool,
        worker::Worker,
    },
};

/// Spans are handed over when so many have come together, or at the next tick.
const TOGETHER: usize = 256;

/// The last digits of an id that are as good as random, and what they count to.
const RANDOM_DIGITS: usize = 14;
const RANDOM: u128 = 1 << 56;

/// What a worker needs for spans.
#[derive(Default)]
pub struct Spans {
    outlet: Option<Outlet>,
    /// Ids whose last digits are no less are sampled, as OpenTelemetry's samplers of a share do it.
    lowest: u128,
    gathered: RefCell<Vec<Span>>,
}

impl Spans {
    /// Into this queue, so many of a million traces that begin here.
    #[must_use]
    pub fn new(outlet: Outlet, millionths: u32) -> Self {
        const MILLION: u128 = 1_000_000;
        let others = MILLION.saturating_sub(u128::from(millionths));
        Self { outlet: Some(outlet), lowest: others * RANDOM / MILLION, gathered: RefCell::default() }
    }

    fn samples(&self, id: &[u8; 32]) -> bool {
        let digits = id.last_chunk::<RANDOM_DIGITS>().and_then(|digits| std::str::from_utf8(digits).ok());
        let random = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        random.is_some_and(|random| u128::from(random) >= self.lowest)
    }

    fn add(&self, spans: impl Iterator<Item = Span>) {
        let mut gathered = self.gathered.borrow_mut();
        gathered.extend(spans);
        let full = gathered.len() >= TOGETHER;
        drop(gathered);
        if full {
            self.hand_over();
        }
    }

    /// Hands them over.
    pub(in crate::proxy) fn hand_over(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.send(self.gathered.borrow_mut().drain(..));
        }
    }
}

/// What is noted of a request.
pub struct Noted(RefCell<Option<Box<Story>>>);

/// What is known of one that is sampled.
pub(super) struct Story {
    /// The id that it has got here, and is the trace's where there is no parent.
    pub(super) own: [u8; 32],
    /// What a trusted proxy says of the trace.
    pub(super) parent: Option<Above>,
    /// The span that the upstream is told of.
    pub(super) client_span: [u8; 16],
    pub(super) authority: Option<HeaderValue>,
    pub(super) agent: Option<HeaderValue>,
    pub(super) decision: &'static str,
    pub(super) cause: &'static str,
    /// `client_id` of the token.
    pub(super) client: String,
    /// What the upstream is asked for.
    pub(super) target: Option<PathAndQuery>,
    pub(super) attempts: Vec<Attempt>,
}

/// One attempt at an upstream.
pub(super) struct Attempt {
    pub(super) target: Arc<str>,
    pub(super) started: Instant,
    /// When it failed; `None`: it lasts until the answer ends.
    pub(super) failed: Option<(Instant, &'static str)>,
    pub(super) status: Option<StatusCode>,
}

impl Noted {
    /// Of a request that has just got its id.
    pub(in crate::proxy) fn begin(worker: &Worker, context: TraceContext, own: &[u8; 32]) -> Self {
        let spans = worker.spans();
        let sampled = spans.outlet.is_some() && context != TraceContext::Off && spans.samples(own);
        Self(RefCell::new(sampled.then(|| story(worker, own))))
    }

    /// Whether its trace is marked as one that is recorded.
    pub(in crate::proxy) fn is_sampled(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// It is in a trace whose id is not the request's own. A parent has decided for it.
    pub(in crate::proxy) fn inherit(&mut self, worker: &Worker, own: &[u8], trace: Option<&Trace>) {
        let Some(above) = trace.and_then(Trace::above) else { return };
        let kept = self.0.get_mut();
        if !above.sampled || worker.spans().outlet.is_none() {
            *kept = None;
            return;
        }
        let Ok(own) = own.try_into() else { return };
        let story = kept.get_or_insert_with(|| story(worker, own));
        story.parent = Some(above);
    }

    fn note(&self, note: impl FnOnce(&mut Story)) {
        if let Some(story) = &mut *self.0.borrow_mut() {
            note(story);
        }
    }

    /// Its head was understood.
    pub(in crate::proxy) fn understood(&self, sanitized: &Sanitized) {
        self.note(|story| {
            story.authority = Some(sanitized.authority.clone());
            story.agent = sanitized.parts.headers.get(USER_AGENT).cloned();
        });
    }

    /// What its decision line says.
    pub(in crate::proxy) fn decided(&self, line: &Decision<'_>) {
        self.note(|story| {
            story.decision = line.decision;
            if !line.client.is_empty() {
                line.client.clone_into(&mut story.client);
            }
            if !line.cause.is_empty() {
                story.cause = line.cause;
            }
        });
    }

    /// It is refused, or was not answered, for this cause.
    pub(in crate::proxy) fn refused(&self, cause: &'static str) {
        self.note(|story| story.cause = cause);
    }

    /// What the upstream will be asked for.
    pub(in crate::proxy) fn forwards(&self, target: &PathAndQuery) {
        self.note(|story| story.target = Some(target.clone()));
    }

    /// The span that the upstream is below.
    pub(in crate::proxy) fn client_span(&self) -> Option<[u8; 16]> {
        self.0.borrow().as_ref().map(|story| story.client_span)
    }

    /// A target is tried. One that was tried before and has not failed had closed its connection.
    pub(in crate::proxy) fn attempts(&self, pool: &TargetPool) {
        self.failed("connection_closed");
        let target = Arc::clone(&pool.node.label);
        let attempt = || Attempt { target, started: Instant::now(), failed: None, status: None };
        self.note(|story| story.attempts.push(attempt()));
    }

    /// The target that is tried has answered.
    pub(in crate::proxy) fn answered(&self, status: StatusCode) {
        self.attempt(|attempt| attempt.status = Some(status));
    }

    /// It has failed.
    pub(in crate::proxy) fn failed(&self, error: &'static str) {
        self.attempt(|attempt| attempt.failed = attempt.failed.or(Some((Instant::now(), error))));
    }

    fn attempt(&self, note: impl FnOnce(&mut Attempt)) {
        self.note(|story| {
            if let Some(attempt) = story.attempts.last_mut() {
                note(attempt);
            }
        });
    }

    /// The request is over: what is known of it becomes spans.
    pub(in crate::proxy) fn finish(record: &Record, access: &Access<'_>) {
        let Some(story) = record.noted.0.take() else { return };
        let Some(server) = server::span(&story, record, access) else { return };
        let below = upstream::spans(&story, &server, record, access);
        record.worker().spans().add(std::iter::once(server).chain(below));
    }
}

fn story(worker: &Worker, own: &[u8; 32]) -> Box<Story> {
    Box::new(Story {
        own: *own,
        parent: None,
        client_span: span_id(worker),
        authority: None,
        agent: None,
        decision: "",
        cause: "",
        client: String::new(),
        target: None,
        attempts: Vec::new(),
    })
}

/// A new id, 16 hexadecimal digits.
pub(super) fn span_id(worker: &Worker) -> [u8; 16] {
    worker.next_id().last_chunk().copied().unwrap_or([b'1'; 16])
}

/// Nanoseconds since 1970 of a moment that was so long after the request arrived.
pub(super) fn nanos(record: &Record, after: Duration) -> u64 {
    let arrived = u64::try_from(record.now.millis()).unwrap_or_default().saturating_mul(1_000_000);
    arrived.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
}
