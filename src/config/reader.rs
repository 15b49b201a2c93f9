//! Walks the spanned tree of the file, table by table: every value is asked for by its key, and whatever is wrong is noted
//! with its place while reading goes on, so that one run finds everything.
//!
//! Invariant: a reading method either returns the value or has noted a problem (or the key is absent); every key of a table
//! that exists is known.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{
    context::{Context, Place},
    entry::{Data, Entry, kind},
    environment::Unusable,
    schema::{self, Table},
    suggest,
    value::{Wrong, wrong},
};

/// One table of the file, or its absence.
#[derive(Clone)]
pub(super) struct Section<'r, 'a> {
    pub(super) context: &'r Context<'r>,
    schema: &'static Table,
    table: Option<&'a DeTable<'a>>,
    /// Its header; missing keys are reported there.
    pub(super) place: Place,
}

impl<'r, 'a> Section<'r, 'a> {
    /// The top of the file.
    pub(super) fn root(context: &'r Context<'r>, table: &'a DeTable<'a>) -> Self {
        Self::open(context, &schema::ROOT, table, Place::File)
    }

    pub(super) fn open(
        context: &'r Context<'r>,
        schema: &'static Table,
        table: &'a DeTable<'a>,
        place: Place,
    ) -> Self {
        let section = Self { context, schema, table: Some(table), place };
        for (key, _) in table {
            section.check_key(key.get_ref(), &Place::Span(key.span()));
        }
        section
    }

    fn check_key(&self, key: &str, place: &Place) {
        if self.schema.words().any(|word| word == key) {
            return;
        }
        let later = self.schema.later.iter().find(|(name, _)| *name == key);
        let refusal = match later {
            Some((_, sentence)) => wrong(format!("`{}` is not in this version", self.schema.dotted(key)))
                .label("known, but not built yet")
                .help(*sentence),
            None => wrong(format!("`{key}` is not a key of {}", self.schema.header()))
                .label("unknown key")
                .help(self.suggestion(key)),
        };
        self.context.problem(place, refusal);
    }

    fn suggestion(&self, key: &str) -> String {
        if let Some(near) = suggest::nearest(key, self.schema.words()) {
            return format!("did you mean `{near}`?");
        }
        let has_it = |table: &&Table| table.words().any(|word| word == key);
        let elsewhere: Vec<_> = schema::TABLES.into_iter().filter(has_it).map(Table::header).collect();
        if !elsewhere.is_empty() {
            return format!("`{key}` is a key of {}", elsewhere.join(" and "));
        }
        let words: Vec<String> = self.schema.words().map(|word| format!("`{word}`")).collect();
        format!("known here: {}", words.join(", "))
    }

    /// The value of `key`, from the environment before the file.
    pub(super) fn get(&self, key: &'static str) -> Option<Entry<'r, 'a>> {
        debug_assert!(self.schema.words().any(|word| word == key), "{key} is not in the schema");
        let name = self.schema.dotted(key);
        self.overridden(key, &name).or_else(|| {
            let value = self.table?.get(key)?;
            let place = Place::Span(value.span());
            Some(Entry { context: self.context, name, place, data: Data::Tree(value.get_ref()) })
        })
    }

    fn overridden(&self, key: &str, name: &str) -> Option<Entry<'r, 'a>> {
        let variable = self.schema.variable(key)?;
        let place = Place::Variable(Arc::from(variable.as_str()));
        match self.context.environment.text(&variable) {
            Ok(text) => {
                let data = Data::Text(text.to_owned());
                Some(Entry { context: self.context, name: name.to_owned(), place, data })
            }
            Err(Unusable::Missing) => None,
            Err(Unusable::NotText) => {
                self.context.problem(&place, wrong(format!("`{variable}` is not UTF-8 text")));
                None
            }
        }
    }

    /// Like [`Section::get`]; absence is a problem, answered by `help`.
    pub(super) fn required(&self, key: &'static str, help: &str) -> Option<Entry<'r, 'a>> {
        let value = self.get(key);
        // After a syntax error the line may be there and only not be understood.
        if value.is_none() && !self.context.broken {
            let label = if self.place == Place::File { "" } else { "missing here" };
            let message = format!("{} has no `{key}`", self.schema.header());
            self.context.problem(&self.place, wrong(message).label(label).help(help));
        }
        value
    }

    /// The table `[name]` below this one; an absent one reads as empty.
    pub(super) fn single(&self, schema: &'static Table) -> Self {
        let value = self.table.and_then(|table| table.get(schema.name()));
        let absent = Self { context: self.context, schema, table: None, place: self.place.clone() };
        let Some(value) = value else { return absent };
        let place = Place::Span(value.span());
        match value.get_ref() {
            DeValue::Table(table) => Self::open(self.context, schema, table, place),
            other => {
                let refusal =
                    wrong(format!("`{}` is {} where a table is expected", schema.path, kind(other)))
                        .help(format!("write `[{}]` on a line of its own and its keys below", schema.path));
                self.context.problem(&place, refusal);
                absent
            }
        }
    }

    /// The tables `[[name]]` below this one.
    pub(super) fn repeated(&self, schema: &'static Table) -> Vec<Self> {
        let Some(value) = self.table.and_then(|table| table.get(schema.name())) else { return Vec::new() };
        let refuse = |place: Place, what: &DeValue<'_>| {
            let refusal =
                wrong(format!("`{}` is {} where a list of tables is expected", schema.path, kind(what)))
                    .help(format!("write `[[{}]]`, with two brackets, before each", schema.path));
            self.context.problem(&place, refusal);
        };
        let DeValue::Array(items) = value.get_ref() else {
            refuse(Place::Span(value.span()), value.get_ref());
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            let place = Place::Span(item.span());
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Self::open(self.context, schema, table, place)),
                other => refuse(place, other),
            }
        }
        sections
    }

    /// Text, through a parser.
    pub(super) fn parse<T>(
        &self,
        key: &'static str,
        parser: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.get(key)?.parse(parser)
    }

    /// A list of texts, each through a parser; what does not pass is left out.
    pub(super) fn parse_list<T>(
        &self,
        key: &'static str,
        parser: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        Some(self.get(key)?.list()?.into_iter().filter_map(|item| item.parse(&parser)).collect())
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        self.get(key)?.flag()
    }

    /// A duration within a range.
    pub(super) fn duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.get(key).and_then(|value| value.duration(&range)).unwrap_or(default)
    }

    /// A size within a range.
    pub(super) fn size(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        self.get(key).and_then(|value| value.size(&range)).unwrap_or(default)
    }

    /// A whole number within a range.
    pub(super) fn count(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        self.get(key).and_then(|value| value.count(&range)).unwrap_or(default)
    }
}
