//! Requests that wait for an upstream, and answers that are still on their way: their deadlines, and whether they would still
//! be permitted, looked at by the worker's tick.
//!
//! Invariant: a wait that is over is noticed within one tick, and a wait costs an entry in a list, not a timer: there
//! is one for every request, and nearly all end long before.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

use super::{live::Held, refusal::Refusal};

/// What went wrong with a request's body while the upstream was reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFault {
    /// Nothing.
    #[default]
    None,
    /// It is larger than allowed.
    TooLarge,
    /// The client fell silent.
    Silent,
    /// The client sent too little for too long.
    Slow,
    /// The client broke off.
    Broken,
}

/// How a request that was sent is getting on.
#[derive(Debug)]
pub struct Progress {
    fault: Cell<BodyFault>,
    last: Cell<Instant>,
    /// The client has not sent the next piece yet: then it is not the upstream that is slow.
    uploading: Cell<bool>,
    call: Cell<Call>,
    /// What was permitted; nothing where nobody is told about.
    held: RefCell<Option<Held>>,
    refusal: RefCell<Option<Refusal>>,
}

/// What the tick has to say to whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Call {
    /// Nothing.
    #[default]
    None,
    /// It has lasted too long.
    Over,
    /// The gateway is stopping.
    Leave,
    /// It would not be permitted any more.
    Refused,
}

impl Progress {
    /// Of a request that arrived at `now`.
    #[must_use]
    pub fn begin(now: Instant) -> Self {
        let (held, refusal) = (RefCell::new(None), RefCell::new(None));
        Self {
            fault: Cell::new(BodyFault::None),
            last: Cell::new(now),
            uploading: Cell::new(false),
            call: Cell::new(Call::None),
            held,
            refusal,
        }
    }

    /// What was permitted, to be judged again for as long as it lasts.
    pub(super) fn hold(&self, held: Held) {
        *self.held.borrow_mut() = Some(held);
    }

    /// Whether it may not go on: it has lasted too long, or would not be permitted any more.
    pub(super) fn is_called_off(&self) -> bool {
        matches!(self.call.get(), Call::Over | Call::Refused)
    }

    /// Why it would not be permitted any more, if that is so. Told once.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if self.call.get() != Call::Refused {
            return None;
        }
        self.refusal.borrow_mut().take()
    }

    /// What went wrong.
    #[must_use]
    pub const fn fault(&self) -> BodyFault {
        self.fault.get()
    }

    /// Why the client is refused that was slow in sending, if it was.
    pub(super) fn late(&self) -> Option<Refusal> {
        match self.fault() {
            BodyFault::Silent => Some(Refusal::body_silent()),
            BodyFault::Slow => Some(Refusal::body_slow()),
            _ => None,
        }
    }

    /// Something went wrong.
    pub fn fail(&self, fault: BodyFault) {
        self.fault.set(fault);
    }

    /// Whether the client is the one that is waited for.
    #[must_use]
    pub const fn is_uploading(&self) -> bool {
        self.uploading.get()
    }

    /// A piece of the request was handed on: now.
    pub fn note(&self) -> Instant {
        let now = Instant::now();
        self.last.set(now);
        self.uploading.set(false);
        now
    }

    /// Whether the next piece is still to come from the client.
    pub fn uploading(&self, yes: bool) {
        if self.uploading.replace(yes) && !yes {
            self.last.set(Instant::now());
        }
    }
}

/// The waits of one worker.
#[derive(Debug, Default)]
pub struct Waits(Rc<RefCell<Slab<Wait>>>);

#[derive(Debug)]
struct Wait {
    progress: Rc<Progress>,
    limit: Duration,
    deadline: Option<Instant>,
    waker: Waker,
    kind: Kind,
    /// It was not looked at since it began.
    fresh: Cell<bool>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The head of an answer.
    Head,
    /// The rest of an answer, whose pace is watched elsewhere.
    Body,
    /// The same of a stream of events, which has no end of its own.
    Events,
    /// A WebSocket.
    Tunnel,
}

/// How a wait has ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// What was permitted would not be any more.
    Refused(Refusal),
    /// With what was waited for.
    Answered(T),
    /// It has lasted too long.
    Over,
    /// The gateway is stopping.
    Leave,
}

impl Waits {
    /// Waits for an answer, at most `limit` after the last piece of the request was sent: a long upload is no slow
    /// upstream. Not beyond the deadline, whoever is slow.
    pub async fn within<T>(
        &self,
        (limit, deadline): (Duration, Option<Instant>),
        progress: &Rc<Progress>,
        answer: impl Future<Output = T>,
    ) -> Waited<T> {
        self.watched((limit, deadline, Kind::Head), progress, answer).await
    }

    /// Puts the rest of an answer on the list, so that it ends when it would not be permitted any more.
    pub(super) fn list(&self, progress: &Rc<Progress>, kind: Kind) -> Place {
        self.place(progress, kind, None)
    }

    /// The same for the rest of a request, which also ends at the deadline.
    pub(super) fn list_until(&self, progress: &Rc<Progress>, deadline: Option<Instant>) -> Place {
        self.place(progress, Kind::Body, deadline)
    }

    fn place(&self, progress: &Rc<Progress>, kind: Kind, deadline: Option<Instant>) -> Place {
        let waker = Waker::noop().clone();
        let fresh = Cell::new(true);
        let wait = Wait { progress: Rc::clone(progress), limit: Duration::MAX, deadline, waker, kind, fresh };
        Place { list: Rc::clone(&self.0), key: self.0.borrow_mut().insert(wait) }
    }

    /// Carries what has no end of its own, at most `limit` after something was last noted.
    pub async fn carried<T>(
        &self,
        limit: Duration,
        progress: &Rc<Progress>,
        event: impl Future<Output = T>,
    ) -> Waited<T> {
        self.watched((limit, None, Kind::Tunnel), progress, event).await
    }

    async fn watched<T>(
        &self,
        (limit, deadline, kind): (Duration, Option<Instant>, Kind),
        progress: &Rc<Progress>,
        answer: impl Future<Output = T>,
    ) -> Waited<T> {
        let mut answer = pin!(answer);
        let mut place: Option<Place> = None;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Waited::Answered(answer));
            }
            match progress.call.get() {
                Call::None => {}
                Call::Over => return Poll::Ready(Waited::Over),
                Call::Leave => return Poll::Ready(Waited::Leave),
                Call::Refused => {
                    return Poll::Ready(progress.refusal().map_or(Waited::Over, Waited::Refused));
                }
            }
            if let Some(place) = &place {
                place.wake_by(cx.waker());
            } else {
                let (waker, fresh) = (cx.waker().clone(), Cell::new(true));
                let wait = Wait { progress: Rc::clone(progress), limit, deadline, waker, kind, fresh };
                place = Some(Place { list: Rc::clone(&self.0), key: self.0.borrow_mut().insert(wait) });
            }
            Poll::Pending
        })
        .await
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Judges what was permitted again, by `judge`, which is told whether it is for the first time.
    pub(super) fn judge(&self, judge: impl Fn(&mut Held, bool) -> Result<(), Refusal>) {
        let mut refused = false;
        for (_, wait) in self.0.borrow().iter() {
            let mut held = wait.progress.held.borrow_mut();
            let Some(permitted) = held.as_mut() else { continue };
            let Err(refusal) = judge(permitted, wait.fresh.replace(false)) else { continue };
            let may_end = matches!(wait.kind, Kind::Head | Kind::Body);
            if !(may_end && permitted.may_end()) {
                *wait.progress.refusal.borrow_mut() = Some(refusal);
                wait.progress.call.set(Call::Refused);
                refused = true;
            }
            *held = None;
        }
        // One request may be listed twice: for its answer, and for the rest of itself.
        let called_off = |wait: &&Wait| wait.progress.call.get() == Call::Refused;
        if refused {
            let waits = self.0.borrow();
            waits.iter().map(|(_, wait)| wait).filter(called_off).for_each(|wait| wait.waker.wake_by_ref());
        }
    }

    /// Ends the waits that have lasted too long.
    pub fn tick(&self, now: Instant) {
        for (_, wait) in self.0.borrow().iter() {
            let waited = now.saturating_duration_since(wait.progress.last.get());
            let silent = waited >= wait.limit && !wait.progress.uploading.get();
            let late = wait.deadline.is_some_and(|deadline| now >= deadline);
            if (silent || late) && wait.progress.call.get() == Call::None {
                wait.progress.call.set(Call::Over);
                wait.waker.wake_by_ref();
            }
        }
    }

    /// Tells what has no end of its own that the gateway is stopping.
    pub fn leave(&self) {
        for (_, wait) in self.0.borrow().iter().filter(|(_, wait)| wait.kind == Kind::Tunnel) {
            wait.progress.call.set(Call::Leave);
            wait.waker.wake_by_ref();
        }
    }
}

/// A wait's place in the list.
pub(super) struct Place {
    list: Rc<RefCell<Slab<Wait>>>,
    key: usize,
}

impl Place {
    /// Whom to wake when there is something to say.
    pub(super) fn wake_by(&self, waker: &Waker) {
        if let Some(wait) = self.list.borrow_mut().get_mut(self.key)
            && !wait.waker.will_wake(waker)
        {
            wait.waker.clone_from(waker);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.list.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn waits_end_when_they_last_too_long_and_leave_nothing_behind() {
        let waits = Waits::default();
        let start = Instant::now();
        let progress = Rc::new(Progress::begin(start));
        assert_eq!(waits.within((LIMIT, None), &progress, async { 7 }).await, Waited::Answered(7));
        let mut silent = Box::pin(waits.within((LIMIT, None), &progress, std::future::pending::<()>()));
        assert_eq!(poll(&mut silent), Poll::Pending);
        assert_eq!(waits.0.borrow().len(), 1);
        waits.tick(start + LIMIT / 2);
        assert_eq!(poll(&mut silent), Poll::Pending);
        progress.last.set(start + LIMIT / 2);
        waits.tick(start + LIMIT);
        assert_eq!(poll(&mut silent), Poll::Pending, "there was progress");
        waits.tick(start + LIMIT * 2);
        assert_eq!(poll(&mut silent), Poll::Ready(Waited::Over));
        drop(silent);
        assert!(waits.0.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_deadline_holds_for_whoever_is_slow() {
        let waits = Waits::default();
        let start = Instant::now();
        let progress = Rc::new(Progress::begin(start));
        progress.uploading(true);
        let limits = (LIMIT, Some(start + LIMIT * 3));
        let mut slow = Box::pin(waits.within(limits, &progress, std::future::pending::<()>()));
        assert_eq!(poll(&mut slow), Poll::Pending);
        waits.tick(start + LIMIT * 2);
        assert_eq!(poll(&mut slow), Poll::Pending, "the client is the one that is slow");
        waits.tick(start + LIMIT * 3);
        assert_eq!(poll(&mut slow), Poll::Ready(Waited::Over));
    }
}
