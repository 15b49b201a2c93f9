//! How names are compared: without regard to case or to how their characters are put together, in every script.
//!
//! Invariant: two names are the same to a store exactly when their folded forms are equal, whichever store it is.
//!
//! Unicode Standard section 3.13, definition D146 (compatibility caseless match); RFC 8265 section 3.3.

use unicode_normalization::UnicodeNormalization as _;

/// The form of `name` under which it is unique and sorted.
///
/// By way of capitals, because several small letters can share one capital (`σ` and `ς`); from small letters, because
/// a capital can have a small letter that has another capital (`ẞ`, `ß`, `SS`); and letter by letter, because lowering
/// a whole text looks at the neighbours. In normalization form KC, so that nothing is told apart that looks alike because an accent
/// is a character of its own, or a letter is wide, raised or tied to the next one; twice, because folding takes letters
/// apart and puts others in their place.
#[must_use]
pub fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let once: String = without_case(name.nfkc());
    without_case(once.nfkc()).nfkc().collect()
}

fn without_case(text: impl Iterator<Item = char>) -> String {
    let small = text.flat_map(char::to_lowercase);
    small.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The words of a text, folded: what stands between characters that are neither letters nor digits.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = folded(text);
    let words: Vec<String> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(Into::into)
        .collect();
    words.into_iter()
}

/// The least text, by code points, that is greater than every text beginning with `prefix`; `None` when there is none.
#[must_use]
pub fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The step over the surrogates is the iterator's.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
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
            // Composed and decomposed, in either case.
            ("Jos\u{e9}", "JOSE\u{301}"),
            ("\u{390}", "\u{3b9}\u{308}\u{301}"),
            ("\u{1100}\u{1161}", "\u{ac00}"),
            // Wide, tied, raised.
            ("\u{ff2a}ane", "jane"),
            ("\u{fb01}ona", "Fiona"),
            ("x\u{b2}", "X2"),
            ("a\u{a0}b", "a b"),
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

    #[test]
    fn words_are_letters_and_digits() {
        let of = |text: &str| words(text).collect::<Vec<_>>();
        assert_eq!(of("Jane.DOE+x@Mail-2.example"), ["jane", "doe", "x", "mail", "2", "example"]);
        assert_eq!(of("Straße ЖУРНАЛ"), ["strasse", "журнал"]);
        assert_eq!(of(" %_'\"\0 \u{1f980}"), Vec::<String>::new());
    }

    #[test]
    fn a_prefix_ends_before_what_does_not_begin_with_it() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("az", Some("a{")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(end_of_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
