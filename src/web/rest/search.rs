//! Queries over what is in memory: whether one object is what a query wants.
//!
//! Invariant: a query that names something unknown is refused, also where the object would be found without it.

use super::{
    error::RestError,
    query::{Expr, Item, Word},
};

/// Whether an object is wanted, or why the query makes no sense of it.
pub(super) type Verdict = Result<bool, RestError>;

/// Something that can be looked for.
pub(super) trait Subject {
    /// Whether it is what one part of a query says.
    fn item(&self, item: &Item) -> Verdict;
}

/// Whether an object is what a query wants. Every part is looked at, so that none is wrong unnoticed.
pub(super) fn holds(expr: Option<&Expr>, subject: &impl Subject) -> Verdict {
    let Some(expr) = expr else { return Ok(true) };
    match expr {
        Expr::Item(item) => subject.item(item),
        Expr::Not(inner) => Ok(!holds(Some(inner), subject)?),
        Expr::And(parts) => parts.iter().try_fold(true, |all, part| Ok(holds(Some(part), subject)? && all)),
        Expr::Or(parts) => parts.iter().try_fold(false, |any, part| Ok(holds(Some(part), subject)? || any)),
    }
}

impl Word {
    /// Whether a text is this word, or begins with it where it has a star, without regard to case.
    pub(super) fn is(&self, text: &str) -> bool {
        let (word, text) = (self.text.to_lowercase(), text.to_lowercase());
        if self.prefix { text.starts_with(&word) } else { text == word }
    }

    /// The same, where a text of several words may also be known by the beginning of one of them.
    pub(super) fn begins_or_is(&self, text: &str) -> bool {
        self.is(text) || self.prefix && text.split_whitespace().any(|part| self.is(part))
    }
}

/// The refusal for a field that these objects do not have.
pub(super) fn unknown_field(field: &str) -> RestError {
    RestError::bad_parameter_plainly("query", format!("Unknown field [{field}]"))
}

/// The refusal for a tuple that these objects do not have.
pub(super) fn unknown_tuple(tuple: &str) -> RestError {
    RestError::bad_parameter_plainly("query", format!("Unknown tuple [{tuple}]"))
}

/// The refusal for a value that a field cannot have.
pub(super) fn known_value(field: &str, value: &str, expected: &str) -> RestError {
    let text = format!("Value [{value}] is not supported for field [{field}]. Expected {expected}");
    RestError::bad_parameter_plainly("query", text)
}
