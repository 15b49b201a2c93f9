//! What reading needs (environment, folder) and what it gathers (findings with their places).
//!
//! Invariant: findings come out in the order of the file, each once, none from a line whose syntax is broken.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::DeTable;

use super::{
    environment::{Environment, Unusable},
    excerpt::Source,
    problem::{Problem, Problems, Severity},
    schema, suggest,
    value::{Wrong, wrong},
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
    /// Line and column in this text of the file, 1-based, the column in characters; the beginning for what is not in the file.
    pub(super) fn position(&self, text: &str) -> (usize, usize) {
        let Self::Span(span) = self else { return (1, 1) };
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

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
    /// The parser found it, before anything was read.
    syntax: bool,
}

/// What reading needs and gathers.
pub(super) struct Context<'e> {
    pub(super) environment: &'e Environment,
    folder: PathBuf,
    /// The syntax is broken: what is missing may only have been lost.
    pub(super) broken: bool,
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
            context.syntax(error);
        }
        context
    }

    fn syntax(&self, error: &toml::de::Error) {
        let span = error.span();
        let place = span.clone().map_or(Place::File, Place::Span);
        let (what, expected) = error.message().split_once(", ").unwrap_or((error.message(), ""));
        // A key without anything behind it is taken for an unquoted text of no characters.
        let nothing = what.starts_with("string values") && span.is_some_and(|span| span.is_empty());
        let (what, expected) =
            if nothing { ("the value is missing", "write a value here") } else { (what, expected) };
        let finding = Finding {
            severity: Severity::Error,
            place,
            message: format!("this is not TOML: {what}"),
            label: expected.to_owned(),
            help: None,
            syntax: true,
        };
        self.findings.borrow_mut().push(finding);
    }

    /// Notes a finding whose whole sentence is `message`.
    pub(super) fn note(&self, severity: Severity, place: &Place, message: String, wrong: Wrong) {
        let finding = Finding {
            severity,
            place: place.clone(),
            message,
            label: wrong.label,
            help: wrong.help,
            syntax: false,
        };
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
        let (syntax, read): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .map(|finding| (finding.syntax, finding.locate(&source)))
            .partition(|(syntax, _)| *syntax);
        let garbled: BTreeSet<usize> = syntax.iter().filter_map(|(_, problem)| problem.line).collect();
        // What was read from a line that the parser did not understand says nothing about what the administrator wrote.
        let read =
            read.into_iter().filter(|(_, problem)| problem.line.is_none_or(|line| !garbled.contains(&line)));
        let mut list: Vec<Problem> = syntax.into_iter().chain(read).map(|(_, problem)| problem).collect();
        list.sort_by_key(|problem| (problem.variable.is_some(), problem.line, problem.column));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns_in_characters() {
        let text = "a = \"ä\" # x\n\n  [[test]]\n";
        let at = |start: usize| Place::Span(start..start + 1).position(text);
        for (what, wanted) in [("a", (1, 1)), ("#", (1, 9)), ("[[", (3, 3))] {
            assert_eq!(at(text.find(what).unwrap()), wanted, "{what}");
        }
        assert_eq!((at(1000), Place::File.position(text)), ((4, 1), (1, 1)));
    }
}
