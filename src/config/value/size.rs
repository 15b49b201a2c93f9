//! `"512B"`, `"64KiB"`, `"1MiB"`, `"1GiB"`.

use super::{Wrong, no_number, number_and_unit, wrong};

/// Units and their bytes, the largest first.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

const EXAMPLES: &str = r#"write a whole number and its unit: "512B", "64KiB", "1MiB" or "1GiB""#;

/// Reads a size.
pub(in crate::config) fn size(text: &str) -> Result<u64, Wrong> {
    let Some((number, unit)) = number_and_unit(text) else {
        return Err(wrong("is not a size").label(no_number(text)).help(EXAMPLES));
    };
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        // "k", "KB", "Mb": the first letter tells which power was meant; the file says it in the unambiguous form.
        let first = unit.chars().next().map(|c| c.to_ascii_uppercase());
        let meant = UNITS.iter().find(|(name, _)| name.chars().next() == first && unit.len() <= 3);
        let help = match meant {
            Some((name, _)) => format!("write \"{number}{name}\" (1 KiB is 1024 bytes)"),
            None => EXAMPLES.to_owned(),
        };
        return Err(wrong("is not a size").label("the unit is B, KiB, MiB, GiB or TiB").help(help));
    };
    number.checked_mul(*bytes).ok_or_else(|| wrong("is too large a size").label("more than can be counted"))
}

/// The shortest text that reads as this size.
pub(in crate::config) fn show(size: u64) -> String {
    let (unit, bytes) =
        UNITS.into_iter().find(|(_, bytes)| size != 0 && size.is_multiple_of(*bytes)).unwrap_or(("B", 1));
    format!("{}{unit}", size / bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("1GiB", 1 << 30),
            ("3TiB", 3 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes));
            assert_eq!(show(bytes), text);
        }
        for (bad, help) in
            [("64KB", "\"64KiB\""), ("64k", "\"64KiB\""), ("10M", "\"10MiB\""), ("7", "whole number")]
        {
            assert!(size(bad).unwrap_err().help.unwrap().contains(help), "{bad:?}");
        }
        assert_eq!(size("99999999999999999999999B").unwrap_err().label, "more than can be counted");
        assert_eq!(size("-1B").unwrap_err().label, "no whole number in front");
        for bad in ["", "KiB", "1.5MiB", "-1B", "1 KiB", "99999999999999TiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(bytes in any::<u64>()) {
            prop_assert_eq!(size(&show(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = size(&text);
        }
    }
}
