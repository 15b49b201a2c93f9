//! Deadlines of requests that wait for an upstream, looked at by the worker's tick.
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
    over: Cell<bool>,
}

impl Progress {
    /// Of a request that arrived at `now`.
    #[must_use]
    pub const fn begin(now: Instant) -> Self {
        Self {
            fault: Cell::new(BodyFault::None),
            last: Cell::new(now),
            uploading: Cell::new(false),
            over: Cell::new(false),
        }
    }

    /// What went wrong.
    #[must_use]
    pub const fn fault(&self) -> BodyFault {
        self.fault.get()
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

    /// A piece of the request was handed on.
    pub fn note(&self) {
        self.last.set(Instant::now());
        self.uploading.set(false);
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
pub struct Waits(RefCell<Slab<Wait>>);

#[derive(Debug)]
struct Wait {
    progress: Rc<Progress>,
    limit: Duration,
    deadline: Option<Instant>,
    waker: Waker,
}

impl Waits {
    /// Waits for an answer, at most `limit` after the last piece of the request was sent: a long upload is no slow
    /// upstream. Not beyond the deadline, whoever is slow. `None` when the wait is over.
    pub async fn within<T>(
        &self,
        (limit, deadline): (Duration, Option<Instant>),
        progress: &Rc<Progress>,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let mut answer = pin!(answer);
        let mut place: Option<Place<'_>> = None;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            if progress.over.get() {
                return Poll::Ready(None);
            }
            if let Some(place) = &place {
                place.wake_by(cx.waker());
            } else {
                let wait = Wait { progress: Rc::clone(progress), limit, deadline, waker: cx.waker().clone() };
                place = Some(Place { waits: self, key: self.0.borrow_mut().insert(wait) });
            }
            Poll::Pending
        })
        .await
    }

    /// Ends the waits that have lasted too long.
    pub fn tick(&self, now: Instant) {
        for (_, wait) in self.0.borrow().iter() {
            let waited = now.saturating_duration_since(wait.progress.last.get());
            let silent = waited >= wait.limit && !wait.progress.uploading.get();
            if silent || wait.deadline.is_some_and(|deadline| now >= deadline) {
                wait.progress.over.set(true);
                wait.waker.wake_by_ref();
            }
        }
    }
}

/// A wait's place in the list.
struct Place<'a> {
    waits: &'a Waits,
    key: usize,
}

impl Place<'_> {
    fn wake_by(&self, waker: &Waker) {
        if let Some(wait) = self.waits.0.borrow_mut().get_mut(self.key)
            && !wait.waker.will_wake(waker)
        {
            wait.waker.clone_from(waker);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waits.0.borrow_mut().try_remove(self.key);
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
        assert_eq!(waits.within((LIMIT, None), &progress, async { 7 }).await, Some(7));
        let mut silent = Box::pin(waits.within((LIMIT, None), &progress, std::future::pending::<()>()));
        assert_eq!(poll(&mut silent), Poll::Pending);
        assert_eq!(waits.0.borrow().len(), 1);
        waits.tick(start + LIMIT / 2);
        assert_eq!(poll(&mut silent), Poll::Pending);
        progress.last.set(start + LIMIT / 2);
        waits.tick(start + LIMIT);
        assert_eq!(poll(&mut silent), Poll::Pending, "there was progress");
        waits.tick(start + LIMIT * 2);
        assert_eq!(poll(&mut silent), Poll::Ready(None));
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
        assert_eq!(poll(&mut slow), Poll::Ready(None));
    }
}
