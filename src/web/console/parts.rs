//! What pages are made of: fields of forms, and small things that are written the same everywhere. Each is a struct that
//! writes itself as HTML; templates say `{{ field }}`.
//!
//! Invariant: whatever is put into one is escaped by its template.

use askama::{Template, filters::HtmlSafe};

use super::form::{Fields, Mistakes};
pub(in crate::web) use super::frame::{Frame, Section};
use crate::{base::time::Timestamp, texts::Language};

macro_rules! part {
    ($name:ident) => {
        impl HtmlSafe for $name<'_> {}
    };
}

/// A field of one line.
#[derive(Debug, Template)]
#[template(path = "parts/input.html")]
pub(in crate::web) struct Input<'a> {
    t: Language,
    name: &'static str,
    label: &'a str,
    value: &'a str,
    kind: &'static str,
    hint: Option<&'a str>,
    mistake: Option<&'a str>,
    autocomplete: &'static str,
    required: bool,
    focus: bool,
}
part!(Input);

impl<'a> Input<'a> {
    /// A field for text. It has to be filled, unless it is [`Input::optional`].
    pub(in crate::web) const fn text(
        t: Language,
        name: &'static str,
        label: &'a str,
        value: &'a str,
    ) -> Self {
        Self {
            t,
            name,
            label,
            value,
            kind: "text",
            hint: None,
            mistake: None,
            autocomplete: "off",
            required: true,
            focus: false,
        }
    }

    /// A field for a password: `current-password` or `new-password`. What was typed before is never in it.
    pub(in crate::web) const fn password(
        t: Language,
        name: &'static str,
        label: &'a str,
        autocomplete: &'static str,
    ) -> Self {
        Self { kind: "password", autocomplete, ..Self::text(t, name, label, "") }
    }

    /// Another kind: `email`, `url`, `number`, `date`, `search`.
    pub(in crate::web) const fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// What browsers may fill in.
    pub(in crate::web) const fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// A sentence below it.
    pub(in crate::web) const fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// What is wrong with it, if something is.
    pub(in crate::web) fn checked(self, mistakes: &'a Mistakes) -> Self {
        Self { mistake: mistakes.of(self.name), ..self }
    }

    /// It may be left empty.
    pub(in crate::web) const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// The page begins here.
    pub(in crate::web) const fn focused(self) -> Self {
        Self { focus: true, ..self }
    }
}

/// A field of several lines; it may be left empty.
#[derive(Debug, Template)]
#[template(path = "parts/area.html")]
pub(in crate::web) struct Area<'a> {
    t: Language,
    name: &'static str,
    label: &'a str,
    value: &'a str,
    hint: Option<&'a str>,
    mistake: Option<&'a str>,
}
part!(Area);

impl<'a> Area<'a> {
    /// A field for text.
    pub(in crate::web) const fn new(t: Language, name: &'static str, label: &'a str, value: &'a str) -> Self {
        Self { t, name, label, value, hint: None, mistake: None }
    }

    /// A sentence below it.
    pub(in crate::web) const fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// What is wrong with it, if something is.
    pub(in crate::web) fn checked(self, mistakes: &'a Mistakes) -> Self {
        Self { mistake: mistakes.of(self.name), ..self }
    }
}

/// A box to tick.
#[derive(Debug, Template)]
#[template(path = "parts/check.html")]
pub(in crate::web) struct Check<'a> {
    name: &'static str,
    value: &'a str,
    label: &'a str,
    hint: Option<&'a str>,
    ticked: bool,
    kind: &'static str,
}
part!(Check);

impl<'a> Check<'a> {
    /// A box whose field is there with the value `on`, or not at all.
    pub(in crate::web) const fn new(name: &'static str, label: &'a str, ticked: bool) -> Self {
        Self { name, value: "on", label, hint: None, ticked, kind: "checkbox" }
    }

    /// One of several boxes of the same name.
    pub(in crate::web) const fn one_of(
        name: &'static str,
        value: &'a str,
        label: &'a str,
        ticked: bool,
    ) -> Self {
        Self { value, ..Self::new(name, label, ticked) }
    }

    /// One of several of which one is chosen.
    pub(in crate::web) const fn radio(
        name: &'static str,
        value: &'a str,
        label: &'a str,
        chosen: bool,
    ) -> Self {
        Self { kind: "radio", ..Self::one_of(name, value, label, chosen) }
    }

    /// A sentence below it.
    pub(in crate::web) const fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

/// A list of which one is chosen.
#[derive(Debug, Template)]
#[template(path = "parts/select.html")]
pub(in crate::web) struct Select<'a> {
    name: &'static str,
    label: &'a str,
    /// Values and what they are called.
    options: Vec<(&'a str, &'a str)>,
    chosen: &'a str,
    mistake: Option<&'a str>,
}
part!(Select);

impl<'a> Select<'a> {
    fn is_chosen(&self, value: &str) -> bool {
        self.chosen == value
    }

    /// A list.
    pub(in crate::web) const fn new(
        name: &'static str,
        label: &'a str,
        options: Vec<(&'a str, &'a str)>,
        chosen: &'a str,
    ) -> Self {
        Self { name, label, options, chosen, mistake: None }
    }

    /// What is wrong with it, if something is.
    pub(in crate::web) fn checked(self, mistakes: &'a Mistakes) -> Self {
        Self { mistake: mistakes.of(self.name), ..self }
    }
}

/// A secret that is shown this once, with a button that copies it.
#[derive(Debug, Template)]
#[template(path = "parts/made.html")]
pub(in crate::web) struct Made<'a> {
    /// The language.
    pub(in crate::web) t: Language,
    /// What it is.
    pub(in crate::web) label: &'a str,
    /// The secret.
    pub(in crate::web) secret: &'a str,
}
part!(Made);

/// A moment, told from now, with the exact time behind it.
#[derive(Debug, Clone, Copy, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ at.rfc3339() }}" title="{{ t.moment(*at) }}">{{ t.when(*at, *now) }}</time>"#
)]
pub(in crate::web) struct When {
    /// The language.
    pub(in crate::web) t: Language,
    /// The moment.
    pub(in crate::web) at: Timestamp,
    /// Now.
    pub(in crate::web) now: Timestamp,
}
impl HtmlSafe for When {}

/// The letter that stands for a service or a person.
#[derive(Debug, Clone, Copy, Template)]
#[template(
    ext = "html",
    source = r#"<span class="letter h{{ crate::web::pages::colour(name) }}" aria-hidden="true">{{ crate::web::pages::letter(name) }}</span>"#
)]
pub(in crate::web) struct Letter<'a> {
    /// The name.
    pub(in crate::web) name: &'a str,
}
part!(Letter);

/// Where a page of a list stands, and the way to the next. `$skip` and `$top` are `skip` and `top` here.
#[derive(Debug, Template)]
#[template(path = "parts/pager.html")]
pub(in crate::web) struct Pager {
    t: Language,
    skip: usize,
    shown: usize,
    total: Option<usize>,
    previous: Option<String>,
    next: Option<String>,
}
impl HtmlSafe for Pager {}

/// Rows of a page of a list.
pub(in crate::web) const ROWS: usize = 50;

impl Pager {
    /// The pager of a list at `path`, an address of ours, whose other parameters are in `query`. `shown` rows stand on this page;
    /// with an unknown `total` there is a next page when `more` is set.
    pub(in crate::web) fn new(
        t: Language,
        path: &str,
        query: &Fields,
        (skip, shown): (usize, usize),
        total: Option<usize>,
        more: bool,
    ) -> Self {
        let at = |skip: usize| {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(query.pairs().filter(|(name, _)| !matches!(*name, "skip" | "done")));
            if skip > 0 {
                text.append_pair("skip", &skip.to_string());
            }
            let text = text.finish();
            if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") }
        };
        let more = total.map_or(more, |total| skip + shown < total);
        Self {
            t,
            skip,
            shown,
            total,
            previous: (skip > 0).then(|| at(skip.saturating_sub(ROWS))),
            next: more.then(|| at(skip + ROWS)),
        }
    }

    /// How many rows the request skips, in whole pages.
    pub(in crate::web) fn skip(query: &Fields) -> usize {
        query.number("skip").unwrap_or_default().min(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Language = Language::En;

    #[test]
    fn fields_say_what_is_wrong_and_keep_what_was_typed() {
        let mut mistakes = Mistakes::default();
        mistakes.add("name", "no <b>");
        let field =
            Input::text(T, "name", "Name", "\"><script>").hint("a hint").checked(&mistakes).to_string();
        for part in [
            "value=\"&#34;&#62;&#60;script&#62;\"",
            "aria-invalid=\"true\"",
            "aria-describedby=\"name-mistake name-hint\"",
            "<p class=\"mistake\" id=\"name-mistake\">no &#60;b&#62;</p>",
            " required autofocus",
        ] {
            assert!(field.contains(part), "{part} not in {field}");
        }
        let plain = Input::text(T, "other", "Name", "x").optional().checked(&mistakes).to_string();
        assert!(!plain.contains("aria-") && !plain.contains(" required") && plain.contains("(optional)"));
        let secret = Input::password(T, "p", "Password", "current-password").to_string();
        assert!(secret.contains("type=\"password\"") && secret.contains("value=\"\""));
        let area = Area::new(T, "uris", "Addresses", "</textarea>").to_string();
        assert!(area.contains(">\n&#60;/textarea&#62;</textarea>"), "{area}");
        let select =
            Select::new("l", "Language", vec![("en", "English"), ("de", "<Deutsch>")], "de").to_string();
        assert!(select.contains("<option value=\"de\" selected>&#60;Deutsch&#62;</option>"), "{select}");
        assert!(!select.contains("value=\"en\" selected"));
        let check = Check::one_of("scope", "yt", "YouTrack", true).hint("h").to_string();
        assert!(check.contains("type=\"checkbox\" name=\"scope\" value=\"yt\" checked>"), "{check}");
    }

    #[test]
    fn pages_of_a_list_keep_what_was_searched_for() {
        let query = Fields::read(b"q=a%26b&skip=50&done=saved");
        let pager = Pager::new(T, "/hub/admin/users", &query, (50, 50), Some(101), false).to_string();
        for part in [
            "51 to 100 of 101",
            "href=\"/hub/admin/users?q=a%26b\">Previous<",
            "href=\"/hub/admin/users?q=a%26b&#38;skip=100\">Next<",
        ] {
            assert!(pager.contains(part), "{part} not in {pager}");
        }
        let whole = Pager::new(T, "/x", &Fields::default(), (0, 3), Some(3), false).to_string();
        assert_eq!(whole.trim(), "");
        assert!(
            Pager::new(T, "/x", &Fields::default(), (0, 50), None, true).to_string().contains("/x?skip=50")
        );
    }

    #[test]
    fn moments_are_told_with_the_exact_time_behind() {
        let at = Timestamp::from_seconds(1_795_330_800);
        let when = When { t: T, at, now: Timestamp::from_seconds(1_795_330_800 + 120) }.to_string();
        assert_eq!(
            when,
            "<time datetime=\"2026-11-22T07:00:00.000Z\" title=\"22 November 2026, 07:00:00 UTC\">2 minutes ago</time>"
        );
        assert!(Letter { name: "<x" }.to_string().contains(">x</span>"));
    }
}
