//! `"100/s"`, `"30/m"`, `"1000/h"`.

use std::{num::NonZeroU32, time::Duration};

use super::{Wrong, wrong};
use crate::config::Rate;

/// Reads a rate.
pub(in crate::config) fn rate(text: &str) -> Result<Rate, Wrong> {
    let refuse = |label: &str| {
        wrong("is not a rate")
            .label(label)
            .help(r#"write a number per second, minute or hour: "100/s", "30/m" or "1000/h""#)
    };
    let (count, unit) = text.split_once('/').ok_or_else(|| refuse("no `/`"))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(refuse("the unit is s, m or h")),
    };
    if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refuse("no whole number in front"));
    }
    // Digits alone that are no such number are too many of them.
    let number: u32 =
        count.parse().map_err(|_| wrong("is too large").label(format!("at most {}", u32::MAX)))?;
    let count = NonZeroU32::new(number).ok_or_else(|| {
        wrong("is a rate of nothing")
            .label("would refuse every request")
            .help("write at least 1, or \"off\" for no limit")
    })?;
    Ok(Rate { count, per: Duration::from_secs(seconds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, count, seconds) in [("100/s", 100, 1), ("30/m", 30, 60), ("1000/h", 1000, 3600)] {
            let read = rate(text).unwrap();
            assert_eq!((read.count.get(), read.per), (count, Duration::from_secs(seconds)));
        }
        for bad in [
            "",
            "/",
            "0/s",
            "1",
            "1/",
            "/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1/d",
            "1/min",
            "5000000000/s",
            "1/s/s",
        ] {
            assert!(rate(bad).is_err(), "{bad:?}");
        }
        for (bad, label) in [
            ("/s", "no whole number in front"),
            ("-1/s", "no whole number in front"),
            ("5000000000/s", "at most 4294967295"),
            ("99999999999999999999999999/h", "at most 4294967295"),
        ] {
            assert_eq!(rate(bad).unwrap_err().label, label, "{bad:?}");
        }
    }
}
