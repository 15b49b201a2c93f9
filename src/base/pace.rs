//! Whether somebody whose bytes are waited for moves enough of them: on the average, and not for any single moment.
//!
//! Invariant: who moves as many bytes as the rate says, and is never silent for too long, is never too slow; what was moved fast
//! buys no more than the silence that would be borne anyway.

use std::time::Duration;

/// For so long nobody is too slow.
pub const GRACE: Duration = Duration::from_secs(5);

/// How slowly bytes may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes each second; 0: any number.
    pub rate: u64,
    /// How long nothing may move.
    pub silence: Duration,
}

/// The bytes that somebody has ahead of the rate. They are spent by being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead(u64);

impl Ahead {
    /// Of somebody who begins.
    #[must_use]
    pub const fn new(pace: &Pace) -> Self {
        Self(bytes(pace.rate, GRACE))
    }

    /// So many bytes have moved.
    pub fn earn(&mut self, moved: u64, pace: &Pace) {
        let most = bytes(pace.rate, GRACE.saturating_add(pace.silence));
        self.0 = self.0.saturating_add(moved).min(most);
    }

    /// They were waited for so long.
    pub const fn spend(&mut self, waited: Duration, pace: &Pace) {
        self.0 = self.0.saturating_sub(bytes(pace.rate, waited));
    }

    /// Whether it was too slow.
    #[must_use]
    pub const fn is_spent(self, pace: &Pace) -> bool {
        pace.rate > 0 && self.0 == 0
    }

    /// How much longer may be waited for the next byte.
    #[must_use]
    pub fn patience(self, pace: &Pace) -> Duration {
        let micros = self.0.saturating_mul(1_000_000).div_ceil(pace.rate.max(1));
        if pace.rate == 0 { pace.silence } else { pace.silence.min(Duration::from_micros(micros)) }
    }
}

/// What moves in this time at this rate.
const fn bytes(rate: u64, time: Duration) -> u64 {
    let micros = time.as_secs().saturating_mul(1_000_000).saturating_add(time.subsec_micros() as u64);
    // In this order a second's worth is exact, and nothing that is configured comes near the end of the type.
    rate.saturating_mul(micros) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { rate: 100, silence: Duration::from_secs(30) };

    /// How long somebody lasts who moves so many bytes every so many seconds, looked at every tenth of a second; at most a day.
    fn lasts(count: u64, every: u64, pace: &Pace) -> Option<u64> {
        let mut ahead = Ahead::new(pace);
        for tenth in 1..=864_000 {
            ahead.spend(Duration::from_millis(100), pace);
            if tenth % (every * 10) == 0 {
                ahead.earn(count, pace);
            }
            if ahead.is_spent(pace) {
                return Some(tenth / 10);
            }
        }
        None
    }

    #[test]
    fn who_is_fast_enough_lasts_and_who_is_not_does_not() {
        assert_eq!(lasts(100, 1, &PACE), None, "exactly the rate");
        assert_eq!(lasts(400, 4, &PACE), None, "in pieces");
        assert_eq!(lasts(0, 1, &PACE), Some(5), "nothing");
        assert_eq!(lasts(1, 1, &PACE), Some(5), "a byte a second");
        assert!(lasts(90, 1, &PACE).is_some_and(|after| (40..=60).contains(&after)), "a tenth less");
        assert_eq!(lasts(0, 1, &Pace { rate: 0, ..PACE }), None, "where any pace will do");
    }

    #[test]
    fn what_was_fast_buys_the_silence_that_is_borne_and_no_more() {
        let mut ahead = Ahead::new(&PACE);
        assert_eq!(ahead.patience(&PACE), GRACE);
        ahead.earn(u64::MAX, &PACE);
        assert_eq!(ahead.patience(&PACE), PACE.silence);
        ahead.spend(PACE.silence, &PACE);
        assert_eq!(ahead.patience(&PACE), GRACE, "a pause is forgiven once");
        ahead.spend(GRACE, &PACE);
        assert!(ahead.is_spent(&PACE) && ahead.patience(&PACE).is_zero());
        ahead.earn(50, &PACE);
        assert_eq!(ahead.patience(&PACE), Duration::from_millis(500));
        let any = Pace { rate: 0, ..PACE };
        assert_eq!(Ahead::new(&any).patience(&any), PACE.silence);
    }
}
