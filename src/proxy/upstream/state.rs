//! What all workers know of one target: whether it takes requests, and what became of those that it was given.
//!
//! Invariant: the path of a request reads atomics that are written only when something goes wrong or is over again; so a
//! worker that fails at a target spares all others the same.
//!
//! A target that has failed several times in a row is left alone for a while that doubles each time. What it was left alone
//! for is over when the time has passed; then the first answer decides.

use std::{
    fmt::Display,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Failures in a row after which a target is left alone.
pub const FAILURES: u32 = 5;

/// How long for the first time …
const FIRST_EJECTION: Duration = Duration::from_secs(1);
/// … and how often that doubles: eight seconds at most, so that one that works again is not left alone for long.
const DOUBLINGS: u32 = 3;

/// Failed health checks in a row after which a target is unhealthy. One that passes makes it healthy.
const MISSED_CHECKS: u32 = 2;

/// All of its share.
pub const FULL_SHARE: u32 = 16;

/// What went wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection.
    Connect,
    /// The answer broke off, or was none.
    Answer,
    /// No answer in time.
    Timeout,
    /// The target's own word: 500, 502, 503 or 504.
    Status,
    /// All connections were in use, and too many or too long were waiting for one.
    Queue,
}

impl Cause {
    /// All of them, with their names in numbers.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Connect, "connect"),
        (Self::Answer, "answer"),
        (Self::Timeout, "timeout"),
        (Self::Status, "status"),
        (Self::Queue, "queue"),
    ];
}

/// See the module.
#[derive(Debug)]
pub struct TargetState {
    born: Instant,
    /// Failures since the last success.
    failing: AtomicU32,
    ejections: AtomicU32,
    /// Milliseconds since `born`; 0: never.
    ejected_until: AtomicU64,
    unhealthy: AtomicBool,
    missed: AtomicU32,
    well_since: AtomicU64,
    open: AtomicUsize,
    busy: AtomicUsize,
    requests: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
    last: Mutex<Option<(Instant, String)>>,
}

impl Default for TargetState {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            failing: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            unhealthy: AtomicBool::new(false),
            missed: AtomicU32::new(0),
            well_since: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            failures: Default::default(),
            last: Mutex::new(None),
        }
    }
}

impl TargetState {
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.born).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether it takes requests.
    pub fn is_up(&self, now: Instant) -> bool {
        let until = self.ejected_until.load(Relaxed);
        (until == 0 || self.millis(now) >= until) && !self.unhealthy.load(Relaxed)
    }

    /// How long it is left alone.
    pub fn ejected_for(&self, now: Instant) -> Option<Duration> {
        let left = self.ejected_until.load(Relaxed).saturating_sub(self.millis(now));
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether health checks fail.
    pub fn is_unhealthy(&self) -> bool {
        self.unhealthy.load(Relaxed)
    }

    /// Sixteenths of its share that it gets: less, when it has only just come back.
    pub fn share(&self, now: Instant, slow_start: Duration) -> u32 {
        let since = self.ejected_until.load(Relaxed).max(self.well_since.load(Relaxed));
        if since == 0 {
            return FULL_SHARE;
        }
        let slow = u64::try_from(slow_start.as_millis()).unwrap_or(u64::MAX);
        let warm = self.millis(now).saturating_sub(since);
        if warm >= slow {
            return FULL_SHARE;
        }
        let sixteenths = warm.saturating_mul(u64::from(FULL_SHARE)) / slow.max(1);
        u32::try_from(sixteenths).unwrap_or(FULL_SHARE).max(1)
    }

    /// It has answered as it should.
    pub fn succeeded(&self) {
        if self.failing.load(Relaxed) > 0 {
            self.failing.store(0, Relaxed);
            self.ejections.store(0, Relaxed);
        }
    }

    /// It has failed. Returns for how long it is left alone, when this failure was one too many and `may_eject` allows it.
    pub fn failed(
        &self,
        cause: Cause,
        why: &dyn Display,
        now: Instant,
        may_eject: impl FnOnce() -> bool,
    ) -> Option<Duration> {
        self.note(cause, why, now);
        let failing = self.failing.fetch_add(1, Relaxed).saturating_add(1);
        let before = self.ejected_until.load(Relaxed);
        if failing < FAILURES || before > self.millis(now) || !may_eject() {
            return None;
        }
        let time = FIRST_EJECTION * (1 << self.ejections.load(Relaxed).min(DOUBLINGS));
        let until = self.millis(now + time);
        // Of several workers that notice at once, one counts.
        self.ejected_until.compare_exchange(before, until, Relaxed, Relaxed).ok()?;
        self.ejections.fetch_add(1, Relaxed);
        Some(time)
    }

    /// Counts what went wrong and is not the target's doing, or not to be held against it.
    pub fn note(&self, cause: Cause, why: &dyn Display, now: Instant) {
        let place = Cause::ALL.iter().position(|(known, _)| *known == cause);
        if let Some(count) = place.and_then(|place| self.failures.get(place)) {
            count.fetch_add(1, Relaxed);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, why.to_string()));
    }

    /// A health check has passed. Returns whether that is news.
    pub fn check_passed(&self, now: Instant) -> bool {
        self.missed.store(0, Relaxed);
        let news = self.unhealthy.swap(false, Relaxed);
        if news {
            self.well_since.store(self.millis(now), Relaxed);
        }
        news
    }

    /// A health check has failed. Returns whether the target is passed over from now on.
    pub fn check_failed(&self, why: &dyn Display, now: Instant) -> bool {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, why.to_string()));
        let missed = self.missed.fetch_add(1, Relaxed).saturating_add(1);
        missed >= MISSED_CHECKS && !self.unhealthy.swap(true, Relaxed)
    }

    /// Nobody checks it any more.
    pub fn forget_checks(&self) {
        self.missed.store(0, Relaxed);
        self.unhealthy.store(false, Relaxed);
    }

    /// Connections that are open.
    pub const fn open(&self) -> &AtomicUsize {
        &self.open
    }

    /// Requests that it has, where they are counted.
    pub const fn busy(&self) -> &AtomicUsize {
        &self.busy
    }

    /// Requests that it was given.
    pub const fn requests(&self) -> &AtomicU64 {
        &self.requests
    }

    /// How often it has failed, by cause.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL.iter().zip(&self.failures).map(|((_, name), count)| (*name, count.load(Relaxed)))
    }

    /// When it failed last, and why.
    pub fn last_failure(&self) -> Option<(Instant, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(state: &TargetState, now: Instant) -> Option<Duration> {
        state.failed(Cause::Connect, &"refused", now, || true)
    }

    #[test]
    fn five_failures_in_a_row_leave_a_target_alone_and_each_time_for_longer() {
        let state = TargetState::default();
        let mut now = state.born;
        for _ in 0..4 {
            assert_eq!(fail(&state, now), None);
        }
        state.succeeded();
        for _ in 0..4 {
            assert_eq!(fail(&state, now), None, "they were not in a row");
        }
        for seconds in [1, 2, 4, 8, 8, 8] {
            assert!(state.is_up(now));
            assert_eq!(fail(&state, now), Some(Duration::from_secs(seconds)));
            assert_eq!(fail(&state, now), None, "it is left alone already");
            let almost = now + Duration::from_millis(seconds * 1000 - 1);
            assert!(!state.is_up(now) && !state.is_up(almost) && state.ejected_for(almost).is_some());
            now += Duration::from_secs(seconds);
        }
        assert!(state.is_up(now) && state.ejected_for(now).is_none());
        state.succeeded();
        assert_eq!((0..5).find_map(|_| fail(&state, now)), Some(Duration::from_secs(1)));
        let failures: Vec<_> = state.failures().filter(|(_, count)| *count > 0).collect();
        assert_eq!(failures, [("connect", 25)]);
        assert_eq!(state.last_failure().unwrap().1, "refused");
    }

    #[test]
    fn one_that_must_not_be_left_alone_is_not() {
        let state = TargetState::default();
        for _ in 0..100 {
            assert_eq!(state.failed(Cause::Status, &"500", state.born, || false), None);
        }
        assert!(state.is_up(state.born));
    }

    #[test]
    fn two_failed_checks_and_one_that_passes() {
        let state = TargetState::default();
        let now = state.born;
        assert!(!state.check_failed(&"500", now) && state.is_up(now));
        assert!(!state.check_passed(now));
        assert!(!state.check_failed(&"500", now) && state.is_up(now));
        assert!(state.check_failed(&"500", now) && !state.is_up(now));
        assert!(!state.check_failed(&"500", now), "that is no news");
        assert!(state.check_passed(now) && state.is_up(now));
        assert!(!state.check_failed(&"500", now), "it is counted from the beginning");
        assert!(state.check_failed(&"500", now));
        state.forget_checks();
        assert!(state.is_up(now));
    }

    #[test]
    fn what_comes_back_gets_its_share_little_by_little() {
        const SLOW: Duration = Duration::from_secs(16);
        let state = TargetState::default();
        assert_eq!(state.share(state.born, SLOW), FULL_SHARE);
        for _ in 0..5 {
            fail(&state, state.born);
        }
        let back = state.born + Duration::from_secs(1);
        for (second, share) in [(0, 1), (1, 1), (4, 4), (15, 15), (16, 16), (100, 16)] {
            assert_eq!(state.share(back + Duration::from_secs(second), SLOW), share, "after {second} s");
        }
        assert_eq!(state.share(back, Duration::ZERO), FULL_SHARE);
    }
}
