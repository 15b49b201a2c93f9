//! One value of the file or of a variable, with the key and the place that its problems name.
//!
//! Invariant: as for the reader, a method that returns nothing has noted why.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use toml::de::DeValue;

use super::{
    context::{Context, Place},
    problem::Severity,
    reader::Section,
    schema::{Shape, Table},
    value::{self, Wrong, wrong},
};

/// Where a value comes from.
pub(super) enum Data<'a> {
    /// The file.
    Tree(&'a DeValue<'a>),
    /// A variable, or an item of its list.
    Text(String),
}

/// One value, with the key and the place that its problems name.
pub(super) struct Entry<'r, 'a> {
    pub(super) context: &'r Context<'r>,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) data: Data<'a>,
}

impl<'r, 'a> Entry<'r, 'a> {
    /// Notes that this value is wrong; `wrong` is a predicate.
    pub(super) fn refuse(&self, wrong: Wrong) {
        let message = format!("`{}` {}", self.name, wrong.what);
        self.context.note(Severity::Error, &self.place, message, wrong);
    }

    /// Notes that this value looks wrong.
    pub(super) fn doubt(&self, wrong: Wrong) {
        let message = format!("`{}` {}", self.name, wrong.what);
        self.context.note(Severity::Warning, &self.place, message, wrong);
    }

    /// What is there instead of what was expected.
    fn mistyped(&self, expected: &str, help: &str) {
        let found = match &self.data {
            Data::Tree(value) => kind(value),
            Data::Text(_) => "a text",
        };
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.refuse(Wrong { what: format!("must be {expected}"), label: format!("this is {found}"), help });
    }

    pub(super) fn as_text(&self) -> Option<Cow<'a, str>> {
        match &self.data {
            Data::Tree(DeValue::String(text)) => Some(Cow::Borrowed(text.as_ref())),
            Data::Text(text) => Some(Cow::Owned(text.clone())),
            Data::Tree(_) => None,
        }
    }

    /// The digits, where a number stands instead of a text; they make the better help.
    fn digits(&self) -> Option<&'a str> {
        match &self.data {
            Data::Tree(DeValue::Integer(number)) if number.radix() == 10 => Some(number.as_str()),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        let text = self.as_text();
        if text.is_none() {
            let help =
                self.digits().map(|digits| format!("put it into quotes: \"{digits}\"")).unwrap_or_default();
            self.mistyped("a text in quotes", &help);
        }
        text
    }

    pub(super) fn parse<T>(&self, parser: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        parser(&self.text()?).map_err(|wrong| self.refuse(wrong)).ok()
    }

    /// What `parser` makes of it; nothing for `"off"`, the default when it is wrong.
    pub(super) fn unless_off<T>(
        &self,
        default: Option<T>,
        parser: impl FnOnce(&Self) -> Option<T>,
    ) -> Option<T> {
        let off = self.as_text().is_some_and(|text| text == "off");
        if off { None } else { parser(self).or(default) }
    }

    pub(super) fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        if let Some(digits) = self.digits() {
            self.mistyped(
                "a duration in quotes",
                &format!("write \"{digits}s\" for seconds, or another unit: ms, s, m, h, d"),
            );
            return None;
        }
        self.parse(value::duration).filter(|found| self.within(found, range, |d| value::show_duration(*d)))
    }

    pub(super) fn size(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        if let Some(digits) = self.digits() {
            self.mistyped(
                "a size in quotes",
                &format!("write \"{digits}B\" for bytes, or another unit: KiB, MiB, GiB"),
            );
            return None;
        }
        self.parse(value::size).filter(|found| self.within(found, range, |size| value::show_size(*size)))
    }

    pub(super) fn count(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.data {
            Data::Tree(DeValue::Integer(number)) => {
                i128::from_str_radix(number.as_str(), number.radix()).ok()
            }
            Data::Text(text) => text.trim().parse().ok(),
            Data::Tree(_) => None,
        };
        let Some(number) = number else {
            self.mistyped(
                "a whole number",
                &format!("write a number from {} to {}, without quotes", range.start(), range.end()),
            );
            return None;
        };
        let range = i128::from(*range.start())..=i128::from(*range.end());
        if self.within(&number, &range, ToString::to_string) { u64::try_from(number).ok() } else { None }
    }

    fn within<T: PartialOrd>(
        &self,
        found: &T,
        range: &RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> bool {
        let (least, most) = (show(range.start()), show(range.end()));
        if found < range.start() {
            self.refuse(
                wrong("is too small")
                    .label(format!("at least {least}"))
                    .help(format!("allowed: {least} to {most}")),
            );
        } else if found > range.end() {
            self.refuse(
                wrong("is too large")
                    .label(format!("at most {most}"))
                    .help(format!("allowed: {least} to {most}")),
            );
        }
        range.contains(found)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = match &self.data {
            Data::Tree(DeValue::Boolean(flag)) => Some(*flag),
            Data::Text(text) => text.trim().parse().ok(),
            Data::Tree(_) => None,
        };
        if flag.is_none() {
            self.mistyped("true or false", "write true or false, without quotes");
        }
        flag
    }

    /// The items of a list; a variable separates them by commas.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let item = |place: Place, data: Data<'a>| Entry {
            context: self.context,
            name: self.name.clone(),
            place,
            data,
        };
        match &self.data {
            Data::Tree(DeValue::Array(items)) => {
                Some(items.iter().map(|v| item(Place::Span(v.span()), Data::Tree(v.get_ref()))).collect())
            }
            Data::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(parts.map(|part| item(self.place.clone(), Data::Text(part.to_owned()))).collect())
            }
            Data::Tree(DeValue::String(text)) => {
                self.mistyped("a list", &format!("put it into brackets: [{text:?}]"));
                None
            }
            Data::Tree(_) => {
                self.mistyped("a list of texts", "write it in brackets, separated by commas");
                None
            }
        }
    }

    /// An inline table.
    pub(super) fn table(&self, schema: &'static Table) -> Option<Section<'r, 'a>> {
        debug_assert_eq!(schema.shape, Shape::Inline);
        match &self.data {
            Data::Tree(DeValue::Table(table)) => {
                Some(Section::open(self.context, schema, table, self.place.clone()))
            }
            _ => None,
        }
    }

    /// Whether it is text.
    pub(super) fn is_text(&self) -> bool {
        self.as_text().is_some()
    }
}

/// What a value is, in an administrator's words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
