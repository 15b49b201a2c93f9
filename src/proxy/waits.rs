//! Requests that wait for an upstream, and answers that are still on their way: their deadlines, and whether they would still
//! be permitted, looked at by the worker's tick.
//!
//! Invariant: a wait that is over is noticed within one tick, and a wait costs an entry in a list, not a timer: there
//! is one for every request, and nearly all end long before. Only a short limit has a timer besides, since a tick would be a
//! notable part of it.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;
use tokio::time::{Sleep, sleep_until};

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

/// What is shorter is kept to the millisecond. A tick that comes 100 ms late is 5 % of it, and less of what is longer.
const SHORT: Duration = Duration::from_secs(2);

/// How long may be waited.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// After something was last noted, while it is not the client that is waited for.
    limit: Duration,
    /// Until when, whoever is waited for.
    deadline: Option<Instant>,
}

impl Bounds {
    fn is_over(self, progress: &Progress, now: Instant) -> bool {
        let waited = now.saturating_duration_since(progress.last.get());
        let silent = waited >= self.limit && !progress.uploading.get();
        silent || self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Before when it cannot be over, as of `now`. While the client is waited for, the limit has not begun.
    fn due(self, progress: &Progress, now: Instant) -> Option<Instant> {
        let since = if progress.uploading.get() { now } else { progress.last.get() };
        let silent = since.checked_add(self.limit);
        silent.into_iter().chain(self.deadline).min()
    }

    /// A timer for it, where it is short. On the heap: it is rare, and would make every request's future large.
    fn timer(self, progress: &Progress) -> Option<Pin<Box<Sleep>>> {
        if self.limit >= SHORT && self.deadline.is_none() {
            return None;
        }
        let now = Instant::now();
        let due = self.due(progress, now)?;
        (due.saturating_duration_since(now) < SHORT).then(|| Box::pin(sleep_until(due.into())))
    }
}

/// The waits of one worker.
#[derive(Debug, Default)]
pub struct Waits(Rc<RefCell<Slab<Wait>>>);

#[derive(Debug)]
struct Wait {
    progress: Rc<Progress>,
    bounds: Bounds,
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
    pub fn within<T>(
        &self,
        (limit, deadline): (Duration, Option<Instant>),
        progress: &Rc<Progress>,
        answer: impl Future<Output = T>,
    ) -> impl Future<Output = Waited<T>> {
        self.watched((Bounds { limit, deadline }, Kind::Head), progress, answer)
    }

    /// Puts the rest of an answer on the list, so that it ends when it would not be permitted any more.
    pub(super) fn list(&self, progress: &Rc<Progress>, kind: Kind) -> Place {
        self.place(progress, kind, None)
    }

    /// The same for the rest of a request that has an answer of this kind. It also ends at the deadline.
    pub(super) fn list_until(
        &self,
        progress: &Rc<Progress>,
        (kind, deadline): (Kind, Option<Instant>),
    ) -> Place {
        self.place(progress, kind, deadline)
    }

    fn place(&self, progress: &Rc<Progress>, kind: Kind, deadline: Option<Instant>) -> Place {
        let waker = Waker::noop().clone();
        let fresh = Cell::new(true);
        let bounds = Bounds { limit: Duration::MAX, deadline };
        let wait = Wait { progress: Rc::clone(progress), bounds, waker, kind, fresh };
        Place { list: Rc::clone(&self.0), key: self.0.borrow_mut().insert(wait) }
    }

    /// Carries what has no end of its own, at most `limit` after something was last noted.
    pub fn carried<T>(
        &self,
        limit: Duration,
        progress: &Rc<Progress>,
        event: impl Future<Output = T>,
    ) -> impl Future<Output = Waited<T>> {
        self.watched((Bounds { limit, deadline: None }, Kind::Tunnel), progress, event)
    }

    async fn watched<T>(
        &self,
        (bounds, kind): (Bounds, Kind),
        progress: &Rc<Progress>,
        answer: impl Future<Output = T>,
    ) -> Waited<T> {
        let mut answer = pin!(answer);
        let mut place: Option<Place> = None;
        let mut timer = None;
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
                let wait = Wait { progress: Rc::clone(progress), bounds, waker, kind, fresh };
                place = Some(Place { list: Rc::clone(&self.0), key: self.0.borrow_mut().insert(wait) });
                timer = bounds.timer(progress);
            }
            while let Some(timer) = &mut timer
                && timer.as_mut().poll(cx).is_ready()
            {
                let now = Instant::now();
                if bounds.is_over(progress, now) {
                    progress.call.set(Call::Over);
                    return Poll::Ready(Waited::Over);
                }
                // Something was noted since, or the client is waited for.
                if let Some(due) = bounds.due(progress, now) {
                    timer.as_mut().reset(due.into());
                }
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
            if wait.bounds.is_over(&wait.progress, now) && wait.progress.call.get() == Call::None {
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

    fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
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

    const MOMENT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn short_limits_wait_for_no_tick() {
        let waits = Waits::default();
        let start = Instant::now();
        let silent = || std::future::pending::<()>();
        let long = Rc::new(Progress::begin(start.checked_sub(LIMIT).unwrap()));
        long.uploading(true);
        let mut ticks = Box::pin(waits.within((LIMIT, None), &long, silent()));
        assert_eq!(poll(&mut ticks), Poll::Pending);
        long.uploading.set(false);
        let short = Rc::new(Progress::begin(start));
        assert_eq!(waits.within((MOMENT, None), &short, silent()).await, Waited::Over);
        assert!(start.elapsed() >= MOMENT);
        let deadline = Instant::now() + MOMENT;
        let short = Rc::new(Progress::begin(start));
        short.uploading(true);
        assert_eq!(waits.within((LIMIT, Some(deadline)), &short, silent()).await, Waited::Over);
        assert!(Instant::now() >= deadline, "whoever is slow");
        assert_eq!(poll(&mut ticks), Poll::Pending, "it was over before, and only ticks");
        waits.tick(Instant::now());
        assert_eq!(poll(&mut ticks), Poll::Ready(Waited::Over));
        drop(ticks);
        assert!(waits.is_empty());
    }

    #[tokio::test]
    async fn short_limits_begin_again_with_each_piece() {
        let waits = Waits::default();
        let start = Instant::now();
        let progress = Rc::new(Progress::begin(start));
        progress.uploading(true);
        let sending = async {
            tokio::time::sleep(MOMENT * 3).await;
            progress.note();
            tokio::time::sleep(MOMENT / 2).await;
            progress.note();
            std::future::pending::<()>().await;
        };
        assert_eq!(waits.within((MOMENT, None), &progress, sending).await, Waited::Over);
        assert!(start.elapsed() >= MOMENT * 4, "the client was waited for");
        assert!(progress.last.get().elapsed() >= MOMENT, "after the last piece");
    }
}
