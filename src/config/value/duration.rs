//! `"90s"`, `"15m"`, `"1h"`, `"30d"`, `"250ms"`.

use std::time::Duration;

use super::{Wrong, no_number, number_and_unit, wrong};

/// Units and their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const EXAMPLES: &str = r#"write a whole number and its unit: "250ms", "90s", "15m", "1h" or "30d""#;

/// Reads a duration.
pub(in crate::config) fn duration(text: &str) -> Result<Duration, Wrong> {
    let Some((number, unit)) = number_and_unit(text) else {
        return Err(wrong("is not a duration").label(no_number(text)).help(EXAMPLES));
    };
    let millis = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, millis)) => *millis,
        None if unit.is_empty() => {
            return Err(wrong("is a duration without a unit")
                .label("seconds, minutes, hours?")
                .help(format!("write \"{number}s\" for seconds, or another unit: ms, s, m, h, d")));
        }
        None => {
            return Err(wrong("is not a duration").label("the unit is ms, s, m, h or d").help(EXAMPLES));
        }
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| wrong("is too long a duration").label("longer than time itself"))
}

/// The shortest text that reads as this duration, whole milliseconds given.
pub(in crate::config) fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, size) = UNITS.into_iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        for bad in [
            "",
            "s",
            "1.5h",
            "-1s",
            "1 h",
            "1H",
            "1h30m",
            "+1s",
            "1w",
            "99999999999999999999s",
            "9999999999999999d",
            "٣s",
        ] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(duration("90").unwrap_err().help.unwrap().contains("\"90s\""));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(millis in 0..u64::MAX / 2) {
            let value = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(value)), Ok(value));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = duration(&text);
        }
    }
}
