//! How names are compared: without regard to case, in every script.
//!
//! Invariant: two names are the same to a store exactly when their folded forms are equal, whichever store it is.

/// The form of `name` under which it is unique and sorted.
///
/// By way of capitals, because several small letters can share one capital (`σ` and `ς`); from small letters, because
/// a capital can have a small letter that has another capital (`ẞ`, `ß`, `SS`); and letter by letter, because lowering
/// a whole text looks at the neighbours. Composed and decomposed accents stay different.
#[must_use]
pub fn folded(name: &str) -> String {
    let small = name.chars().flat_map(char::to_lowercase);
    small.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference_in_any_script() {
        for (one, other) in [
            ("YouTrack", "yOUTRACK"),
            ("ÄÖÜ", "äöü"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("Straße", "STRASSE"),
            ("Straße", "STRAẞE"),
            ("ЖУРНАЛ", "журнал"),
            ("\u{212a}", "k"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("a", "b"), ("a", "a "), ("a", "ä"), ("", "\0")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            let once = folded(&c.to_string());
            assert_eq!(folded(&once), once, "U+{:04X}", u32::from(c));
        }
    }
}
