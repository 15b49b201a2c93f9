//! In which language a letter is written.

/// A language that letters are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// The one of a locale, as `de_CH` or `en-GB`; `None` where no letter is written in it.
    #[must_use]
    pub fn of_locale(locale: &str) -> Option<Self> {
        let primary = locale.split(['-', '_']).next().unwrap_or_default();
        [("en", Self::En), ("de", Self::De)]
            .into_iter()
            .find(|(name, _)| primary.eq_ignore_ascii_case(name))
            .map(|(_, language)| language)
    }

    /// The one that a browser likes best (RFC 9110 section 12.5.4).
    #[must_use]
    pub fn of_browser(accept_language: &str) -> Self {
        let mut best = (Self::En, 0.0);
        // A browser sends a handful.
        for range in accept_language.split(',').take(20) {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |text| text.parse::<f32>().ok());
            if let (Some(language), Some(weight)) = (Self::of_locale(tag.trim()), weight)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best() {
        for (accept, language) in [
            ("", Language::En),
            ("de", Language::De),
            ("de-DE,de;q=0.9,en;q=0.8", Language::De),
            ("fr-FR, de;q=0.5, en;q=0.7", Language::En),
            ("fr", Language::En),
            ("EN-gb;q=0.1, DE;q=0.2", Language::De),
            ("de;q=0, en;q=0.1", Language::En),
            ("de;q=x", Language::En),
            (";;;,,,q=1", Language::En),
        ] {
            assert_eq!(Language::of_browser(accept), language, "{accept}");
        }
        assert_eq!(Language::of_locale("de_CH"), Some(Language::De));
        assert_eq!(Language::of_locale("den"), None);
    }
}
