//! Time as an argument. Wall-clock time decides what tokens say; durations between events use tokio's monotonic clock.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch, as Hub's REST shows times.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch, as a JWT shows times (RFC 7519 section 2, NumericDate).
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, `2026-11-21T20:12:00.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.rfc3339_bytes().map(char::from).iter().collect()
    }

    /// A date, or a moment in UTC: `2026-11-21`, `2026-11-21T20:12:00Z`, `2026-11-21T20:12:00.000Z`.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
        let (clock, fraction) = match time.strip_suffix('Z')?.split_once('.') {
            Some((clock, fraction)) => (clock, fraction),
            None => (time.strip_suffix('Z')?, "000"),
        };
        let digits = |part: &str| -> Option<i64> {
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let numbers = |text: &str, separator| -> Option<[i64; 3]> {
            let parts: Option<Vec<i64>> = text.split(separator).map(digits).collect();
            parts?.try_into().ok()
        };
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(clock, ':')?;
        let millis: i64 = (fraction.len() == 3).then(|| digits(fraction))??;
        if !(0..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || !(1..=31).contains(&day)
            || hour > 23
            || minute > 59
            || second > 59
        {
            return None;
        }
        let days = days_from_civil(year, month, day);
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        // A day that a month does not have would come out as another.
        (civil_from_days(days) == (year, month, day)).then(|| Self(seconds * 1000 + millis))
    }

    /// The bytes of [`Timestamp::rfc3339`].
    #[must_use]
    pub fn rfc3339_bytes(self) -> [u8; 24] {
        let (days, millis) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let pair = |value: i64| {
            let value = u8::try_from(value % 100).unwrap_or(0);
            [b'0' + value / 10, b'0' + value % 10]
        };
        let [[y1, y2], [y3, y4]] = [pair(year / 100), pair(year)];
        let [[m1, m2], [d1, d2]] = [pair(month), pair(day)];
        let [[h1, h2], [n1, n2]] = [pair(millis / 3_600_000), pair(millis / 60_000 % 60)];
        let [[s1, s2], [t1, t2], [_, t3]] =
            [pair(millis / 1000 % 60), pair(millis % 1000 / 10), pair(millis % 10)];
        let [dash, colon] = *b"-:";
        [
            y1, y2, y3, y4, dash, m1, m2, dash, d1, d2, b'T', h1, h2, colon, n1, n2, colon, s1, s2, b'.', t1,
            t2, t3, b'Z',
        ]
    }
}

/// The day number of a proleptic Gregorian date, the inverse of [`civil_from_days`].
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The proleptic Gregorian date of a day number, counted from 1970-01-01. Years count from March, so that the leap day is the last.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + (if month <= 2 { 1 } else { 0 });
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

/// Tells the wall-clock time.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the ban points to")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands until it is moved, for tests of expiry.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_counts_leap_days() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_164_799, "2024-02-28T23:59:59.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).rfc3339(), text);
            let parsed = Timestamp::parse_rfc3339(text);
            assert_eq!(parsed, Some(Timestamp::from_seconds(seconds)));
        }
        assert_eq!(Timestamp::parse_rfc3339("2000-02-29"), Some(Timestamp::from_seconds(951_782_400)));
        assert_eq!(Timestamp::parse_rfc3339("1970-01-01T00:00:01Z"), Some(Timestamp::from_seconds(1)));
        for wrong in [
            "",
            "2000",
            "2000-02-30",
            "1900-02-29",
            "2000-00-01",
            "2000-01-00",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:00",
            "2000-01-01T00:00:00.1Z",
            "2000-01-01T00:00Z",
            "-1-01-01",
            "+1-01-01",
            "99999-01-01",
            "2000-01-01T00:00:00.-10Z",
            "2000-1-1-1",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let now = Timestamp::from_seconds(100);
        assert_eq!(now.plus(Duration::from_secs(5)).since(now), Duration::from_secs(5));
        assert_eq!(now.since(now.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(-1).seconds(), -1);
    }
}
