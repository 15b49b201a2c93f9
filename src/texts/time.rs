//! Times as people say them.

use std::time::Duration;

use super::Language;
use crate::base::time::Timestamp;

impl Language {
    /// How long something takes, rounded up: `90 seconds`, `2 minutes`.
    #[must_use]
    pub fn duration(self, time: Duration) -> String {
        let seconds = time.as_millis().div_ceil(1000).max(1);
        let (count, unit) = match seconds {
            0..=90 => (seconds, 0),
            91..=5400 => (seconds.div_ceil(60), 1),
            5401..=172_800 => (seconds.div_ceil(3600), 2),
            _ => (seconds.div_ceil(86_400), 3),
        };
        self.counted(count, unit)
    }

    /// When something was or will be, as seen from `now`: `3 minutes ago`, `in 2 days`.
    #[must_use]
    pub fn when(self, at: Timestamp, now: Timestamp) -> String {
        let distance = at.millis().abs_diff(now.millis()) / 1000;
        let (count, unit) = match distance {
            0..=44 if at > now => return self.in_a_moment().to_owned(),
            0..=44 => return self.just_now().to_owned(),
            45..=5399 => (distance.div_ceil(60).max(1), 1),
            5400..=129_599 => ((distance + 1800) / 3600, 2),
            _ => ((distance + 43_200) / 86_400, 3),
        };
        let time = self.counted(count.into(), unit);
        match (self, at > now) {
            (Self::En, true) => format!("in {time}"),
            (Self::En, false) => format!("{time} ago"),
            (Self::De, true) => format!("in {}", dative(&time)),
            (Self::De, false) => format!("vor {}", dative(&time)),
        }
    }

    /// A day, in UTC: `22 November 2026`.
    #[must_use]
    pub fn date(self, at: Timestamp) -> String {
        const EN: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        const DE: [&str; 12] = [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ];
        let text = at.rfc3339();
        let mut parts = text.split(['-', 'T']);
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        let number =
            |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
        let names = match self {
            Self::En => EN,
            Self::De => DE,
        };
        let month = names.get(number(month).wrapping_sub(1)).copied().unwrap_or_default();
        let (day, year) = (number(day), year.unwrap_or_default());
        match self {
            Self::En => format!("{day} {month} {year}"),
            Self::De => format!("{day}. {month} {year}"),
        }
    }

    /// A moment to the second, in UTC.
    #[must_use]
    pub fn moment(self, at: Timestamp) -> String {
        let text = at.rfc3339();
        let time = text.get(11..19).unwrap_or_default();
        format!("{}, {time} UTC", self.date(at))
    }

    fn counted(self, count: u128, unit: usize) -> String {
        const EN: [[&str; 2]; 4] =
            [["second", "seconds"], ["minute", "minutes"], ["hour", "hours"], ["day", "days"]];
        const DE: [[&str; 2]; 4] =
            [["Sekunde", "Sekunden"], ["Minute", "Minuten"], ["Stunde", "Stunden"], ["Tag", "Tage"]];
        let names = match self {
            Self::En => EN,
            Self::De => DE,
        };
        let name =
            names.get(unit).and_then(|both| both.get(usize::from(count != 1))).copied().unwrap_or_default();
        format!("{count} {name}")
    }
}

super::catalogue! {
    just_now = "just now", "gerade eben";
    in_a_moment = "in a moment", "gleich";
}

/// German says "vor 3 Tagen".
fn dative(time: &str) -> String {
    if time.ends_with("Tage") { format!("{time}n") } else { time.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up() {
        for (seconds, en, de) in [
            (0, "1 second", "1 Sekunde"),
            (90, "90 seconds", "90 Sekunden"),
            (91, "2 minutes", "2 Minuten"),
            (3600, "60 minutes", "60 Minuten"),
            (5401, "2 hours", "2 Stunden"),
            (172_801, "3 days", "3 Tage"),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(
                (Language::En.duration(time).as_str(), Language::De.duration(time).as_str()),
                (en, de)
            );
        }
    }

    #[test]
    fn days_have_names() {
        let at = Timestamp::from_seconds(1_795_330_800);
        assert_eq!(Language::En.date(at), "22 November 2026");
        assert_eq!(Language::De.date(at), "22. November 2026");
        assert_eq!(Language::De.moment(at), "22. November 2026, 07:00:00 UTC");
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, en, de) in [
            (0, "just now", "gerade eben"),
            (30, "in a moment", "gleich"),
            (-60, "1 minute ago", "vor 1 Minute"),
            (-3600, "60 minutes ago", "vor 60 Minuten"),
            (7200, "in 2 hours", "in 2 Stunden"),
            (-86_400 * 3, "3 days ago", "vor 3 Tagen"),
            (86_400 * 2, "in 2 days", "in 2 Tagen"),
        ] {
            let at = Timestamp::from_seconds(1_000_000 + seconds);
            assert_eq!((Language::En.when(at, now).as_str(), Language::De.when(at, now).as_str()), (en, de));
        }
    }
}
