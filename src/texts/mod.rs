//! Every text that people read on a page or in a mail, in each language, in one catalogue: a file per room of the house.
//!
//! Invariant: a text exists in every language, or it does not compile; what is put into one is named there and checked by
//! the compiler. Nothing here is HTML: who shows a text escapes it.
//!
//! What programs read (`error_description`, log lines, the commands) is English and not from here.

mod access;
mod account;
mod causes;
mod common;
mod errors;
mod home;
mod letters;
mod observe;
mod people;
mod services;
mod sign_in;
mod time;

use http::{HeaderMap, header::ACCEPT_LANGUAGE};

/// A language that the pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// Its tag (RFC 5646), as `lang` and `Content-Language` say it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// Its own name.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
        }
    }

    /// The language of a tag or of a locale such as `de_CH`, by its first part.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let first = tag.split(['-', '_']).next()?.trim();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(first))
    }

    /// What a browser asks for most (RFC 9110 section 12.5.4), English where it asks for none of ours.
    #[must_use]
    pub fn wanted(headers: &HeaderMap) -> Self {
        let mut best = (0, Self::default());
        let values = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')).take(32) {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(Some(1.0), |text| text.trim().parse::<f32>().ok()).unwrap_or(0.0);
            if !(0.0..=1.0).contains(&weight) {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
            let weight = (weight * 1000.0) as u16;
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// Texts of one room. `name = "English", "German";` is a text, `name(a, b) = "English {a} {b}", "German {b} {a}";` one that
/// something is put into.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])* $name:ident $(($($part:ident),+))? = $en:literal, $de:literal;)*) => {
        impl $crate::texts::Language {
            $($crate::texts::catalogue!{@one [$($doc)*] $name [$($($part),+)?] $en, $de})*
        }
    };
    (@one [$($doc:literal)*] $name:ident [] $en:literal, $de:literal) => {
        $(#[doc = $doc])*
        pub(crate) const fn $name(self) -> &'static str {
            match self {
                Self::En => $en,
                Self::De => $de,
            }
        }
    };
    (@one [$($doc:literal)*] $name:ident [$($part:ident),+] $en:literal, $de:literal) => {
        $(#[doc = $doc])*
        pub(crate) fn $name(self, $($part: impl std::fmt::Display),+) -> String {
            match self {
                Self::En => format!($en),
                Self::De => format!($de),
            }
        }
    };
}
use catalogue;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_get_the_language_that_they_ask_for_most() {
        for (asked, got) in [
            ("de", Language::De),
            ("de-CH, en;q=0.5", Language::De),
            ("en, de", Language::En),
            ("en;q=0.3, DE;q=0.7", Language::De),
            ("fr, de;q=0.5, en;q=0.4", Language::De),
            ("fr", Language::En),
            ("de;q=0", Language::En),
            ("de;q=2", Language::En),
            ("de;q=x", Language::En),
            ("*", Language::En),
            ("", Language::En),
            (",,;q=1,de;q=0.001", Language::De),
            ("den", Language::En),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(asked).unwrap());
            assert_eq!(Language::wanted(&headers), got, "{asked}");
        }
        assert_eq!(Language::wanted(&HeaderMap::new()), Language::En);
        assert_eq!(Language::of_tag("de_AT"), Some(Language::De));
        assert_eq!(Language::of_tag(""), None);
    }
}
