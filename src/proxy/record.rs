//! What is remembered of a request until its access line is written.
//!
//! Invariant: the line is written once, when the record is dropped: after the last byte, after a break, after a panic.

pub mod spans;

use std::{cell::Cell, net::IpAddr, rc::Rc, time::Instant};

use http::{Method, StatusCode, Version, uri::PathAndQuery};

use self::spans::Noted;
use super::{
    course::Course,
    live::Held,
    peer::Peer,
    rates::Told,
    sanitize::Sanitized,
    trace::Trace,
    upstream::state::Cause,
    worker::{View, Worker},
};
use crate::{
    access::policy::Permit,
    base::{interim::Interim, time::Timestamp},
    observe::journal::{Access, Decision, NO_ROUTE, OWN_ROUTE, RouteNumber},
};

/// A request's id: 32 hexadecimal digits, or what a trusted proxy sent.
#[derive(Clone)]
pub enum RequestId {
    /// Ours.
    Own([u8; 32]),
    /// A trusted proxy's.
    Inherited(Rc<str>),
}

impl RequestId {
    /// As bytes, where nothing needs a text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Own(digits) => digits,
            Self::Inherited(text) => text.as_bytes(),
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Self::Inherited(text) => text,
        }
    }
}

/// One request.
pub struct Record {
    worker: Rc<Worker>,
    /// The snapshot that it is judged by.
    pub view: Rc<View>,
    /// Its id.
    pub id: RequestId,
    trace: Option<Box<Trace>>,
    source: IpAddr,
    source_text: Rc<str>,
    method: Method,
    target: Option<PathAndQuery>,
    version: Version,
    started: Instant,
    /// When it arrived: the moment that everything about it is judged by.
    pub now: Timestamp,
    /// The route, once it is found.
    pub route: RouteNumber,
    /// Who asks, where the same is to meet the same target again.
    pub affinity: u64,
    /// Which of the route's targets answered.
    pub upstream: Option<Rc<super::upstream::TargetPool>>,
    /// The status, once there is an answer.
    pub status: Option<StatusCode>,
    bytes: u64,
    complete: bool,
    /// Whether it counts as one that is being answered.
    counts: bool,
    /// What the client is told of its rates, where there are any.
    pub(super) told: Cell<Option<Box<Told>>>,
    /// The way to its client before it is answered.
    pub(super) interim: Interim,
    /// How its time is spent, where that is of interest.
    course: Option<Box<Course>>,
    /// What its spans will tell.
    pub(super) noted: Noted,
}

impl Record {
    /// Of a request that has just arrived.
    #[must_use]
    pub fn new(
        worker: Rc<Worker>,
        view: Rc<View>,
        peer: &Peer,
        (method, target, version): (Method, Option<PathAndQuery>, Version),
    ) -> Self {
        let id = worker.next_id();
        let noted = Noted::begin(&worker, view.snapshot.trace_context, &id);
        let now = worker.gate().clock.now();
        worker.take_on();
        let course = view.snapshot.slow.map(|_| Box::default());
        Self {
            worker,
            view,
            id: RequestId::Own(id),
            trace: None,
            source: peer.ip(),
            source_text: Rc::clone(&peer.text),
            method,
            target,
            version,
            started: Instant::now(),
            now,
            route: NO_ROUTE,
            affinity: 0,
            upstream: None,
            status: None,
            bytes: 0,
            complete: false,
            counts: true,
            told: Cell::new(None),
            interim: Interim::default(),
            course,
            noted,
        }
    }

    /// Its head was understood. What a trusted proxy says of the request's id and its trace is taken up.
    pub(super) fn inherit(&mut self, sanitized: &Sanitized) {
        let said = &sanitized.forwarded;
        let recorded = self.noted.is_sampled();
        self.trace = Trace::of(self.view.snapshot.trace_context, said, (&self.id, recorded));
        self.noted.inherit(&self.worker, self.id.as_bytes(), self.trace.as_deref());
        self.noted.understood(sanitized);
        if let Some(id) = said.request_id.as_ref().and_then(|id| id.to_str().ok()) {
            self.id = RequestId::Inherited(Rc::from(id));
        }
    }

    /// Its trace, where that is not named as the request is.
    #[must_use]
    pub(super) fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// The id of that trace, for lines; empty where it is the request's own.
    #[must_use]
    pub(super) fn trace_id(&self) -> &[u8] {
        self.trace().map_or(&[], Trace::id)
    }

    /// When it arrived, on the monotonic clock.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// The worker that answers it.
    #[must_use]
    pub const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Who asks, as far as we know.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// A trusted proxy names the client.
    pub fn set_source(&mut self, source: IpAddr) {
        self.source = source;
        self.source_text = Rc::from(source.to_string());
    }

    /// It does not count any more as one that is being answered: it has no end of its own, or is refused for being one too
    /// many.
    pub fn discount(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.worker.give_up();
        }
    }

    /// The path in canonical form is known.
    pub fn set_target(&mut self, target: PathAndQuery) {
        self.target = Some(target);
    }

    /// Bytes of the answer's body were handed on.
    pub fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer has reached its end.
    pub const fn complete(&mut self) {
        self.complete = true;
    }

    /// The upstream has done all that it should.
    pub(super) fn succeeded(&self) {
        if let Some(pool) = &self.upstream {
            pool.node.state.succeeded();
        }
    }

    /// The upstream's answer has broken off.
    pub(super) fn broken_off(&self, cause: Cause, why: &dyn std::fmt::Display) {
        if let Some(pool) = &self.upstream {
            let name = if cause == Cause::Timeout { "timeout" } else { "answer" };
            tracing::warn!(upstream = %pool.node.label, error = %why, "an answer has broken off");
            self.worker.journal().upstream("upstream_errors", self.route, name);
            pool.failed(cause, why);
        }
    }

    /// Writes its decision line.
    pub(super) fn decide(&self, now: Timestamp, line: Decision<'_>) {
        self.noted.decided(&line);
        self.worker.journal().decision(now, self.route, line);
    }

    /// What was permitted to it.
    pub(super) fn held(&self, permit: Permit) -> Held {
        let target = self.target.clone().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Held::new(permit, (self.method.clone(), target), (Rc::clone(&self.view), self.route))
    }

    /// Method and canonical path.
    #[must_use]
    pub fn asked(&self) -> (&Method, &str) {
        (&self.method, self.target.as_ref().map_or("", PathAndQuery::path))
    }

    /// Notes how its time is spent, where that is of interest.
    pub(super) fn course(&mut self, note: impl FnOnce(&mut Course)) {
        if let Some(course) = &mut self.course {
            note(course);
        }
    }

    /// The name of its route.
    #[must_use]
    pub fn route_label(&self) -> &str {
        self.view.label(self.route)
    }
}

/// What stands for the status of a request that is dropped without an answer. Its future has panicked, and unwinds; or the
/// gateway has stopped; else the client has gone, which has no status in HTTP: 499 is what other proxies write.
fn unanswered(cut_off: bool) -> StatusCode {
    if std::thread::panicking() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else if cut_off {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.discount();
        let now = self.worker.gate().clock.now();
        let status = self.status.unwrap_or_else(|| unanswered(self.worker.cuts_off()));
        let bodiless = self.status.is_some_and(|status| {
            self.method == Method::HEAD
                || status == StatusCode::NO_CONTENT
                || status == StatusCode::NOT_MODIFIED
        });
        let access = Access {
            id: self.id.as_bytes(),
            trace: self.trace_id(),
            peer: &self.source_text,
            method: &self.method,
            path: self.target.as_ref().map_or("", PathAndQuery::path),
            version: self.version,
            status,
            bytes: self.bytes,
            micros: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            route: self.view.label(self.route),
            upstream: self.upstream.as_ref().map_or("", |pool| &pool.node.label),
            complete: self.complete || bodiless,
        };
        self.worker.journal().access(now, self.route, &access);
        Noted::finish(self, &access);
        if let (Some((after, format)), Some(course)) = (self.view.snapshot.slow, &self.course) {
            let (taken, parts) = course.taken(self.started);
            if taken >= after {
                self.worker.journal().slow(now, format, &access, &parts);
            }
        }
    }
}

impl View {
    /// The name of a route in lines and numbers.
    #[must_use]
    pub fn label(&self, route: RouteNumber) -> &str {
        match route {
            NO_ROUTE => "",
            OWN_ROUTE => "hub",
            number => self.route(number).map_or("", |route| &route.label),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, pending},
        pin::Pin,
        sync::mpsc::{Sender, channel},
        task::{Context, Poll},
        time::Duration,
    };

    use tokio::runtime::LocalRuntime;

    use super::*;

    /// As a record: tells its status when it is dropped.
    struct Told(Sender<u16>, bool);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(unanswered(self.1).as_u16()).unwrap();
        }
    }

    /// Holds one where no stack does.
    struct Held(
        #[expect(dead_code, reason = "it is there to be dropped")] Told,
        Pin<Box<dyn Future<Output = ()>>>,
    );

    impl Future for Held {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.1.as_mut().poll(cx)
        }
    }

    #[test]
    fn what_ends_without_an_answer_is_told_by_its_reason() {
        let (told, statuses) = channel();
        let record = |cut_off| Told(told.clone(), cut_off);
        let panics = || {
            Box::pin(async {
                tokio::task::yield_now().await;
                panic!("injected");
            })
        };
        let runtime = LocalRuntime::new().unwrap();
        runtime.block_on(async {
            let next = || statuses.recv_timeout(Duration::from_secs(15)).unwrap();
            let (on_stack, panicking) = (record(false), panics());
            let task = tokio::task::spawn_local(async move {
                let _record = on_stack;
                panicking.await;
            });
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(next(), 500);
            let task = tokio::task::spawn_local(Held(record(false), panics()));
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(next(), 500);
            for (cut_off, status) in [(false, 499), (true, 503)] {
                let task = tokio::task::spawn_local(Held(record(cut_off), Box::pin(pending())));
                tokio::task::yield_now().await;
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
                assert_eq!(next(), status);
            }
        });
    }
}
