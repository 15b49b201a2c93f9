//! Work that is done now and then, by whoever asks first.
//!
//! Invariant: it is done by one at a time, and not again before it is done.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// When something is due.
#[derive(Debug)]
pub(super) struct Schedule {
    born: Instant,
    /// Milliseconds after `born`.
    next: AtomicU64,
    running: AtomicBool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { born: Instant::now(), next: AtomicU64::new(0), running: AtomicBool::new(false) }
    }
}

impl Schedule {
    /// Whether it is due, as it is at first and then so often. Who is told so does it, and says when it is done.
    pub(super) fn is_due(&self, now: Instant, every: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(now.saturating_duration_since(self.born));
        if now < self.next.load(Relaxed) || self.running.swap(true, Acquire) {
            return false;
        }
        self.next.store(now.saturating_add(millis(every)), Relaxed);
        true
    }

    /// It is done.
    pub(super) fn done(&self) {
        self.running.store(false, Release);
    }
}
