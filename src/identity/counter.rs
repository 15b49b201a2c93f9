//! Two ways of counting failures, and a bounded table of either.
//!
//! Invariant: a counter with attempts under way is never forgotten.

use std::{hash::Hash, time::Duration};

use super::throttle::Rate;
use crate::base::{FastMap, time::Timestamp};

/// Whether one more attempt has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// Unless attempts under way fail.
    Later,
    /// Not before this time has passed.
    None(Duration),
}

/// A way of counting.
pub(super) trait Counter: Default {
    /// Room for one more besides `under_way`.
    fn room(&self, rate: Rate, under_way: u32, now: Timestamp) -> Room;
    /// Counts a failure.
    fn fail(&mut self, rate: Rate, now: Timestamp);
    /// From when on it says what a new one says.
    fn empty_at(&self) -> Timestamp;
}

/// A bucket that leaks: it holds as many failures as the rate says, and loses them evenly in the rate's time.
#[derive(Debug, Default)]
pub(super) struct Leaking {
    /// When it will be empty.
    empty: Timestamp,
}

impl Counter for Leaking {
    fn room(&self, rate: Rate, under_way: u32, now: Timestamp) -> Room {
        let (each, all) = (interval(rate), rate.1);
        let level = self.empty.since(now);
        if level + each.saturating_mul(under_way.saturating_add(1)) <= all {
            return Room::Free;
        }
        if under_way > 0 && level + each <= all {
            return Room::Later;
        }
        Room::None((level + each).saturating_sub(all))
    }

    fn fail(&mut self, rate: Rate, now: Timestamp) {
        self.empty = self.empty.max(now).plus(interval(rate));
    }

    fn empty_at(&self) -> Timestamp {
        self.empty
    }
}

/// As many failures as the rate says are free. Every further one costs a wait, which begins with the rate's interval and
/// doubles with each.
#[derive(Debug, Default)]
pub(super) struct Doubling {
    failures: u32,
    last: Timestamp,
}

/// The longest wait, and how long failures are remembered without a further one.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
const MEMORY: Duration = Duration::from_secs(3600);

impl Doubling {
    /// Failures that still count.
    fn failures(&self, now: Timestamp) -> u32 {
        if now < self.empty_at() { self.failures } else { 0 }
    }

    fn wait(rate: Rate, failures: u32) -> Duration {
        let first = interval(rate);
        let doubled = 1_u32.checked_shl(failures.saturating_sub(rate.0.get())).unwrap_or(u32::MAX);
        first.saturating_mul(doubled).min(LONGEST_WAIT)
    }
}

impl Counter for Doubling {
    fn room(&self, rate: Rate, under_way: u32, now: Timestamp) -> Room {
        let failures = self.failures(now);
        let free = rate.0.get();
        if failures.saturating_add(under_way) < free {
            return Room::Free;
        }
        if failures < free {
            return Room::Later;
        }
        let ready = self.last.plus(Self::wait(rate, failures));
        if now < ready {
            return Room::None(ready.since(now));
        }
        if under_way > 0 { Room::Later } else { Room::Free }
    }

    fn fail(&mut self, _rate: Rate, now: Timestamp) {
        self.failures = self.failures(now).saturating_add(1);
        self.last = self.last.max(now);
    }

    fn empty_at(&self) -> Timestamp {
        self.last.plus(MEMORY)
    }
}

/// The time in which the rate allows one; never nothing, so that a bucket fills.
fn interval((count, per): Rate) -> Duration {
    (per / count.get()).max(Duration::from_millis(1))
}

/// Counters by key.
#[derive(Debug)]
pub(super) struct Counters<K, C>(FastMap<K, Entry<C>>);

#[derive(Debug, Default)]
struct Entry<C> {
    counter: C,
    under_way: u32,
}

impl<K, C> Default for Counters<K, C> {
    fn default() -> Self {
        Self(FastMap::default())
    }
}

impl<K: Hash + Eq, C: Counter> Counters<K, C> {
    /// Whether one more attempt has room.
    pub(super) fn room(&self, key: &K, rate: Rate, now: Timestamp) -> Room {
        match self.0.get(key) {
            Some(entry) => entry.counter.room(rate, entry.under_way, now),
            None => Room::Free,
        }
    }

    /// One more is under way. At most about `most` keys are kept.
    pub(super) fn begin(&mut self, key: K, now: Timestamp, most: usize) {
        if self.0.len() >= most && !self.0.contains_key(&key) {
            self.make_room(now, most);
        }
        self.0.entry(key).or_default().under_way += 1;
    }

    /// One that was under way has ended; with a failure, if so.
    pub(super) fn end(&mut self, key: &K, rate: Rate, failed: Option<Timestamp>) {
        let Some(entry) = self.0.get_mut(key) else { return };
        entry.under_way = entry.under_way.saturating_sub(1);
        if let Some(now) = failed {
            entry.counter.fail(rate, now);
        }
    }

    /// Forgets the failures of a key.
    pub(super) fn reset(&mut self, key: &K) {
        let Some(entry) = self.0.get_mut(key) else { return };
        entry.counter = C::default();
        if entry.under_way == 0 {
            self.0.remove(key);
        }
    }

    /// Takes away what counts for nothing, and if that is not enough the eighth that would soonest: many failures of one
    /// key are not pushed out by single ones of many.
    fn make_room(&mut self, now: Timestamp, most: usize) {
        self.0.retain(|_, entry| entry.under_way > 0 || entry.counter.empty_at() > now);
        if self.0.len() < most {
            return;
        }
        let idle = self.0.values().filter(|entry| entry.under_way == 0);
        let mut ends: Vec<Timestamp> = idle.map(|entry| entry.counter.empty_at()).collect();
        let eighth = most / 8;
        if eighth < ends.len() {
            let (_, border, _) = ends.select_nth_unstable(eighth);
            let border = *border;
            self.0.retain(|_, entry| entry.under_way > 0 || entry.counter.empty_at() > border);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const HOURLY: Rate = (NonZeroU32::new(60).unwrap(), Duration::from_secs(3600));

    #[test]
    fn the_table_stays_small_and_keeps_the_worst() {
        let now = Timestamp::from_seconds(0);
        let mut counters: Counters<u32, Leaking> = Counters::default();
        counters.begin(0, now, 100);
        counters.begin(1, now, 100);
        for _ in 0..10 {
            counters.end(&1, HOURLY, Some(now));
        }
        for key in 2..10_000 {
            counters.begin(key, now, 100);
            counters.end(&key, HOURLY, Some(now));
            assert!(counters.0.len() <= 101, "{}", counters.0.len());
        }
        assert!(counters.0.contains_key(&0), "it is under way");
        assert!(counters.0.contains_key(&1), "it has ten failures, the others one");
    }

    #[test]
    fn rates_beyond_the_clock_do_not_divide_to_nothing() {
        let rate = (NonZeroU32::new(u32::MAX).unwrap(), Duration::from_secs(1));
        assert_eq!(interval(rate), Duration::from_millis(1));
    }
}
