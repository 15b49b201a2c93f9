//! How many requests may be sent again, so that an upstream in trouble is not given more work because of it.
//!
//! Invariant: within the window not more than a fifth of an upstream's requests are sent again, but for a few that are
//! always allowed, so that an upstream with little to do has its retries too.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// The window is so many slots …
const SLOTS: usize = 10;
/// … of this length.
const SLOT: Duration = Duration::from_secs(1);

/// One in so many requests may be sent again.
const SHARE: u32 = 5;

/// Allowed within the window whatever the share.
const LEAST: u32 = 3;

/// Requests and retries of one upstream on one worker.
#[derive(Debug)]
pub struct Budget {
    /// Of the slot that is being filled.
    requests: Cell<u32>,
    retries: Cell<u32>,
    /// Of those before it.
    past: [Cell<(u32, u32)>; SLOTS - 1],
    next: Cell<usize>,
    since: Cell<Instant>,
}

impl Budget {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            requests: Cell::new(0),
            retries: Cell::new(0),
            past: Default::default(),
            next: Cell::new(0),
            since: Cell::new(now),
        }
    }

    /// Counts a request.
    pub fn request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }

    /// Counts a retry, if there may be one.
    #[must_use]
    pub fn retry(&self) -> bool {
        let (mut requests, mut retries) = (self.requests.get(), self.retries.get());
        for slot in &self.past {
            requests = requests.saturating_add(slot.get().0);
            retries = retries.saturating_add(slot.get().1);
        }
        let allowed = retries < LEAST.max(requests / SHARE);
        if allowed {
            self.retries.set(self.retries.get() + 1);
        }
        allowed
    }

    /// Whether there was nothing in the window.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.requests.get() == 0 && self.past.iter().all(|slot| slot.get() == (0, 0))
    }

    /// To be called several times within a slot's length.
    pub fn tick(&self, now: Instant) {
        if now.saturating_duration_since(self.since.get()) < SLOT {
            return;
        }
        self.since.set(now);
        let filled = (self.requests.take(), self.retries.take());
        let at = self.next.get();
        if let Some(slot) = self.past.get(at) {
            slot.set(filled);
        }
        self.next.set((at + 1) % self.past.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(budget: &Budget, tries: usize) -> usize {
        (0..tries).filter(|_| budget.retry()).count()
    }

    #[test]
    fn a_fifth_is_sent_again_and_a_few_always() {
        let start = Instant::now();
        let budget = Budget::new(start);
        assert_eq!(allowed(&budget, 100), 3, "without any request");
        let budget = Budget::new(start);
        (0..1000).for_each(|_| budget.request());
        assert_eq!(allowed(&budget, 1000), 200);
        assert_eq!(allowed(&budget, 1000), 0);
    }

    #[test]
    fn what_was_spent_comes_back_when_the_window_has_passed() {
        let start = Instant::now();
        let budget = Budget::new(start);
        (0..100).for_each(|_| budget.request());
        assert_eq!(allowed(&budget, 100), 20);
        budget.tick(start + SLOT / 2);
        for second in 1..10 {
            budget.tick(start + SLOT * second);
            assert_eq!(allowed(&budget, 100), 0, "after {second} seconds");
        }
        budget.tick(start + SLOT * 10);
        assert_eq!(allowed(&budget, 100), 3);
    }
}
