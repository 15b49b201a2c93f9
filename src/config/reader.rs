//! Walks the spanned tree of the file: every value is asked for by its key, and whatever is wrong is noted with its place
//! while reading goes on, so that one run finds everything.
//!
//! Invariant: a reading method either returns the value or has noted a problem (or the key is absent).

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeSet,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{
    environment::{Environment, Unusable},
    excerpt::Source,
    problem::{Problem, Problems, Severity},
    schema::{self, Shape, Table},
    suggest,
    value::{self, Wrong, wrong},
};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is about the file as a whole.
    File,
    /// In the file, in bytes.
    Span(Range<usize>),
    /// In this environment variable.
    Variable(Arc<str>),
}

impl Place {
    fn order(&self) -> (u8, usize, &str) {
        match self {
            Self::File => (0, 0, ""),
            Self::Span(span) => (1, span.start, ""),
            Self::Variable(name) => (2, 0, name),
        }
    }
}

struct Finding {
    severity: Severity,
    place: Place,
    message: String,
    label: String,
    help: Option<String>,
}

/// What reading needs and gathers.
pub(super) struct Context<'e> {
    environment: &'e Environment,
    folder: PathBuf,
    /// The syntax is broken: what is missing may only have been lost.
    broken: bool,
    findings: RefCell<Vec<Finding>>,
    /// Variables that secrets come from; they need no other meaning.
    used: RefCell<BTreeSet<String>>,
}

impl<'e> Context<'e> {
    pub(super) fn new(file: &Path, environment: &'e Environment, errors: &[toml::de::Error]) -> Self {
        let context = Self {
            environment,
            folder: file.parent().map(Path::to_owned).unwrap_or_default(),
            broken: !errors.is_empty(),
            findings: RefCell::default(),
            used: RefCell::default(),
        };
        for error in errors {
            let place = error.span().map_or(Place::File, Place::Span);
            let (what, rest) = error.message().split_once(", ").unwrap_or((error.message(), ""));
            context.note(Severity::Error, &place, format!("this is not TOML: {what}"), wrong("").label(rest));
        }
        context
    }

    fn note(&self, severity: Severity, place: &Place, message: String, wrong: Wrong) {
        let finding =
            Finding { severity, place: place.clone(), message, label: wrong.label, help: wrong.help };
        self.findings.borrow_mut().push(finding);
    }

    /// Something that makes the configuration unusable.
    pub(super) fn problem(&self, place: &Place, wrong: Wrong) {
        self.note(Severity::Error, place, wrong.what.clone(), wrong);
    }

    /// A path of the file, relative ones from the file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The text of a variable that a secret names.
    pub(super) fn secret_variable(&self, name: &str) -> Result<&'e str, Unusable> {
        self.used.borrow_mut().insert(name.to_owned());
        self.environment.text(name)
    }

    /// Notes variables that look like overrides and are none.
    pub(super) fn check_variables(&self) {
        let known: BTreeSet<String> = schema::variables().collect();
        for name in self.environment.names_with(schema::VARIABLE_PREFIX) {
            let other = schema::OTHER_VARIABLES.contains(&name.as_str());
            if other || known.contains(&name) || self.used.borrow().contains(&name) {
                continue;
            }
            let near = suggest::nearest(&name, known.iter().map(String::as_str));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "HUBGATE_<TABLE>_<KEY> overrides a key of a table that stands once, such as HUBGATE_OAUTH_CODE_TTL".to_owned(),
            };
            let place = Place::Variable(Arc::from(name.as_str()));
            self.problem(&place, wrong(format!("`{name}` overrides no key of the configuration")).help(help));
        }
    }

    /// Everything noted, in the order of the file, and whether any of it is an error.
    pub(super) fn finish(self, text: &str, tree: &DeTable<'_>, file: &Path) -> (Problems, bool) {
        let source = Source::new(text, tree, self.broken);
        let mut findings = self.findings.into_inner();
        findings.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
        // A key may be looked at more than once.
        findings.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
        let list = findings.into_iter().map(|finding| finding.locate(&source)).collect();
        (Problems::new(file, list), failed)
    }
}

impl Finding {
    fn locate(self, source: &Source<'_>) -> Problem {
        let excerpt = match &self.place {
            Place::Span(span) => Some(source.excerpt(span)),
            Place::File | Place::Variable(_) => None,
        };
        let variable = match &self.place {
            Place::Variable(name) => Some(name.to_string()),
            Place::File | Place::Span(_) => None,
        };
        Problem {
            severity: self.severity,
            line: excerpt.as_ref().map(|e| e.line),
            column: excerpt.as_ref().map(|e| e.column),
            variable,
            message: self.message,
            help: self.help,
            label: self.label,
            excerpt,
        }
    }
}

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

    fn open(context: &'r Context<'r>, schema: &'static Table, table: &'a DeTable<'a>, place: Place) -> Self {
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
        let elsewhere = schema::TABLES.into_iter().find(|table| table.words().any(|word| word == key));
        match elsewhere {
            Some(table) => format!("`{key}` is a key of {}", table.header()),
            None => {
                let words: Vec<String> = self.schema.words().map(|word| format!("`{word}`")).collect();
                format!("known here: {}", words.join(", "))
            }
        }
    }

    /// The value of `key`, from the environment before the file.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'r, 'a>> {
        debug_assert!(self.schema.words().any(|word| word == key), "{key} is not in the schema");
        let name = self.schema.dotted(key);
        self.from_environment(key, &name).or_else(|| {
            let value = self.table?.get(key)?;
            let place = Place::Span(value.span());
            Some(Value { context: self.context, name, place, data: Data::Tree(value.get_ref()) })
        })
    }

    fn from_environment(&self, key: &str, name: &str) -> Option<Value<'r, 'a>> {
        let variable = self.schema.variable(key)?;
        let place = Place::Variable(Arc::from(variable.as_str()));
        match self.context.environment.text(&variable) {
            Ok(text) => {
                let data = Data::Text(text.to_owned());
                Some(Value { context: self.context, name: name.to_owned(), place, data })
            }
            Err(Unusable::Missing) => None,
            Err(Unusable::NotText) => {
                self.context.problem(&place, wrong(format!("`{variable}` is not UTF-8 text")));
                None
            }
        }
    }

    /// Like [`Section::get`]; absence is a problem, answered by `help`.
    pub(super) fn required(&self, key: &'static str, help: &str) -> Option<Value<'r, 'a>> {
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

enum Data<'a> {
    Tree(&'a DeValue<'a>),
    Text(String),
}

/// One value, with the key and the place that its problems name.
pub(super) struct Value<'r, 'a> {
    pub(super) context: &'r Context<'r>,
    pub(super) name: String,
    pub(super) place: Place,
    data: Data<'a>,
}

impl<'r, 'a> Value<'r, 'a> {
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

    fn as_text(&self) -> Option<Cow<'a, str>> {
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

    /// Like [`Value::parse`], `"off"` giving nothing.
    pub(super) fn parse_or_off<T>(&self, parser: impl FnOnce(&Self) -> Option<T>) -> Option<Option<T>> {
        let off = self.as_text().is_some_and(|text| text == "off")
            || matches!(self.data, Data::Tree(DeValue::Boolean(false)));
        if off { Some(None) } else { parser(self).map(Some) }
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
        // Whatever does not fit is out of every range.
        let number = u64::try_from(number.max(0)).unwrap_or(u64::MAX);
        self.within(&number, range, ToString::to_string).then_some(number)
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
        let item = |place: Place, data: Data<'a>| Value {
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

fn kind(value: &DeValue<'_>) -> &'static str {
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
