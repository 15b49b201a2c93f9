//! What is wrong with a configuration, and its report: the first thing that an administrator reads.
//!
//! Invariant: a report shows no secret and no control character of the file.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;

use super::excerpt::Excerpt;

/// Whether the configuration can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it probably does not do what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Line in the file, 1-based; `None` when it is about the file as a whole or about a variable.
    pub line: Option<usize>,
    /// Column in that line, 1-based, in characters.
    pub column: Option<usize>,
    /// The environment variable that the value came from.
    pub variable: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    #[serde(skip)]
    pub(super) label: String,
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// Everything that is wrong with one file, in the order of its lines; problems of the environment last.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &Path, list: Vec<Problem>) -> Self {
        Self { file: file.to_owned(), list }
    }

    /// A file that could not even be looked at.
    pub(super) fn unreadable(file: &Path, message: String, help: &str) -> Self {
        let problem = Problem {
            severity: Severity::Error,
            line: None,
            column: None,
            variable: None,
            message,
            help: Some(help.to_owned()),
            label: String::new(),
            excerpt: None,
        };
        Self::new(file, vec![problem])
    }

    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The report: each problem with its line, and a count at the end. `colour` is for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let renderer = if colour {
            Renderer::styled().decor_style(DecorStyle::Unicode)
        } else {
            Renderer::plain().decor_style(DecorStyle::Ascii)
        };
        let file = self.file.display().to_string();
        let mut report = String::new();
        for problem in &self.list {
            report.push_str(&renderer.render(&[problem.group(&file)]));
            report.push_str("\n\n");
        }
        report + &format!("{}: {}", printable(&file), self.count())
    }

    /// "3 problems, 1 warning".
    fn count(&self) -> String {
        let errors = self.list.iter().filter(|p| p.severity == Severity::Error).count();
        let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        match (errors, self.list.len() - errors) {
            (errors, 0) => plural(errors, "problem"),
            (0, warnings) => plural(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", plural(errors, "problem"), plural(warnings, "warning")),
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

impl Problem {
    fn group<'a>(&'a self, file: &'a str) -> Group<'a> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&self.message));
        let group = match (&self.excerpt, &self.variable) {
            (Some(excerpt), _) => title.element(excerpt.snippet(file, &self.label)),
            (None, Some(variable)) => {
                let group = title.element(Origin::path(format!("environment variable {variable}")));
                if self.label.is_empty() {
                    group
                } else {
                    group.element(Level::NOTE.message(printable(&self.label)))
                }
            }
            (None, None) => title.element(Origin::path(printable(file))),
        };
        match &self.help {
            Some(help) => group.element(Level::HELP.message(printable(help))),
            None => group,
        }
    }
}

impl Excerpt {
    fn snippet<'a>(
        &'a self,
        file: &'a str,
        label: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let byte =
            |character: usize| self.text.char_indices().nth(character).map_or(self.text.len(), |(at, _)| at);
        let (start, end) = (byte(self.column - 1), byte(self.column - 1 + self.length));
        let annotation = AnnotationKind::Primary.span(start..end);
        let annotation = if label.is_empty() { annotation } else { annotation.label(printable(label)) };
        Snippet::source(self.text.as_str()).line_start(self.line).path(printable(file)).annotation(annotation)
    }
}

/// Text from outside without what could steer a terminal.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(annotate_snippets::normalize_untrusted_str(text))
    } else {
        Cow::Borrowed(text)
    }
}
