//! Which users or groups somebody looks for, in which order, and which page of them: values that a store compiles into its own
//! language.
//!
//! Invariant: a filter that passes [`Filter::check`] is small: its depth and the number of its parts are bounded, whoever
//! wrote it.

use crate::base::id::{GroupId, UserId};

/// The most that one filter may be nested.
pub const DEEPEST_FILTER: usize = 24;

/// The most parts that one filter may have.
pub const MOST_PARTS: usize = 300;

/// The most bytes of a text that is looked for. Logins and addresses are shorter.
pub const LONGEST_TEXT: usize = 1024;

/// The words of one text that are looked for; further ones are not looked at.
pub const WORDS_OF_A_TEXT: usize = 16;

/// The most words that one filter may look for, in all of its parts. Whether a word is somewhere in a name is asked of an index
/// of words, and a short word is in very many names.
pub const MOST_WORDS: usize = 20;

/// How a text is compared, without regard to case in any script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It is this one.
    Exact(String),
    /// It begins with this one. Everything begins with the empty text.
    Prefix(String),
}

impl Match {
    /// What is looked for.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

/// A condition made of conditions `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter<T> {
    /// One condition.
    Is(T),
    /// Every one; without any, everything.
    And(Vec<Self>),
    /// At least one; without any, nothing.
    Or(Vec<Self>),
    /// Not this one.
    Not(Box<Self>),
}

impl<T> Default for Filter<T> {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

impl<T> From<T> for Filter<T> {
    fn from(condition: T) -> Self {
        Self::Is(condition)
    }
}

/// Why a filter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Nested deeper than [`DEEPEST_FILTER`].
    #[error("the query is nested more than {DEEPEST_FILTER} deep")]
    TooDeep,
    /// More than [`MOST_PARTS`].
    #[error("the query has more than {MOST_PARTS} parts")]
    TooMany,
    /// More than [`MOST_WORDS`].
    #[error("the query looks for more than {MOST_WORDS} words")]
    TooManyWords,
    /// A text longer than [`LONGEST_TEXT`].
    #[error("a text in the query has more than {LONGEST_TEXT} bytes")]
    TooLong,
}

impl<T: Condition> Filter<T> {
    /// Whether it lets everything through without looking.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::And(parts) if parts.is_empty())
    }

    /// Checks its size. To be called before anything walks it down.
    ///
    /// # Errors
    /// [`FilterError`]
    pub fn check(&self) -> Result<(), FilterError> {
        self.measure(1, &mut Size::default())
    }

    // Goes no deeper than it allows.
    fn measure(&self, depth: usize, size: &mut Size) -> Result<(), FilterError> {
        size.parts += 1;
        if depth > DEEPEST_FILTER {
            return Err(FilterError::TooDeep);
        }
        if size.parts > MOST_PARTS {
            return Err(FilterError::TooMany);
        }
        match self {
            Self::Is(condition) => {
                let Some(text) = condition.text() else { return Ok(()) };
                if text.len() > LONGEST_TEXT {
                    return Err(FilterError::TooLong);
                }
                if condition.is_of_words() {
                    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                    size.words += words.take(WORDS_OF_A_TEXT).count().max(1);
                }
                if size.words > MOST_WORDS { Err(FilterError::TooManyWords) } else { Ok(()) }
            }
            Self::And(all) | Self::Or(all) => all.iter().try_for_each(|part| part.measure(depth + 1, size)),
            Self::Not(part) => part.measure(depth + 1, size),
        }
    }
}

/// What has been counted of a filter.
#[derive(Default)]
struct Size {
    parts: usize,
    words: usize,
}

/// A condition of a filter.
pub trait Condition {
    /// The text that is looked for, if it is one.
    fn text(&self) -> Option<&str>;

    /// Whether that text is looked for by its words.
    fn is_of_words(&self) -> bool;
}

/// A condition on users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserIs {
    /// This one.
    Id(UserId),
    /// By login.
    Login(Match),
    /// By name.
    Name(Match),
    /// By e-mail address.
    Email(Match),
    /// By the words of login, name and address: each word of the text is one of them, the last one as the match says.
    AnyText(Match),
    /// As [`UserIs::AnyText`] without the address, for those who may not see it.
    Words(Match),
    /// Has an address.
    HasEmail,
    /// Can sign in by password.
    HasPassword,
    /// Is shut out.
    Banned,
    /// Is the guest. All but the guest are in the group of all users.
    Guest,
    /// May administer the gateway.
    Administrator,
    /// Was put into this group.
    MemberOf(GroupId),
    /// Is in this group, or in one below it.
    InGroup(GroupId),
}

impl Condition for UserIs {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Login(m) | Self::Name(m) | Self::Email(m) | Self::AnyText(m) | Self::Words(m) => {
                Some(m.text())
            }
            _ => None,
        }
    }

    fn is_of_words(&self) -> bool {
        matches!(self, Self::AnyText(_) | Self::Words(_))
    }
}

/// A condition on groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupIs {
    /// This one.
    Id(GroupId),
    /// By name.
    Name(Match),
    /// By the words of its name, as [`UserIs::AnyText`].
    AnyText(Match),
    /// Directly below this one.
    ChildOf(GroupId),
    /// Below this one, however deep, itself left out.
    Below(GroupId),
    /// Below none.
    TopLevel,
    /// New users are put into it.
    AutoJoin,
    /// The group of all users.
    AllUsers,
    /// This user was put into it.
    HasMember(UserId),
    /// This user is in it, or in one below it. The group of all users is left out.
    Has(UserId),
}

impl Condition for GroupIs {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Name(m) | Self::AnyText(m) => Some(m.text()),
            _ => None,
        }
    }

    fn is_of_words(&self) -> bool {
        matches!(self, Self::AnyText(_))
    }
}

/// A filter of users.
pub type UserFilter = Filter<UserIs>;

/// A filter of groups.
pub type GroupFilter = Filter<GroupIs>;

/// By what users are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKey {
    /// Login; the order when none is asked for, and among equals.
    Login,
    /// Name.
    Name,
    /// Address; those without one first.
    Email,
    /// When it was made.
    Created,
    /// Last access; those without one first.
    LastAccess,
    /// Who is shut out last.
    Banned,
    /// Id.
    Id,
}

/// By what groups are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKey {
    /// Name; the order when none is asked for, and among equals.
    Name,
    /// When it was made.
    Created,
    /// Id.
    Id,
}

/// One part of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By<K> {
    /// By what.
    pub key: K,
    /// The other way round.
    pub descending: bool,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many are left out at the beginning.
    pub skip: u64,
    /// How many are wanted at most; `None`: all that are left.
    pub top: Option<u64>,
}

impl Page {
    /// All of it.
    pub const ALL: Self = Self { skip: 0, top: None };

    /// The first `top`.
    #[must_use]
    pub const fn first(top: u64) -> Self {
        Self { skip: 0, top: Some(top) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> UserFilter {
        (1..depth).fold(UserIs::Banned.into(), |inner, _| Filter::Not(Box::new(inner)))
    }

    #[test]
    fn a_filter_is_small() {
        assert_eq!(UserFilter::default().check(), Ok(()));
        assert!(UserFilter::default().is_everything() && !nested(2).is_everything());
        assert_eq!(nested(DEEPEST_FILTER).check(), Ok(()));
        assert_eq!(nested(DEEPEST_FILTER + 1).check(), Err(FilterError::TooDeep));
        let wide = |n| Filter::Or(vec![Filter::Is(UserIs::Guest); n]);
        assert_eq!(wide(MOST_PARTS - 1).check(), Ok(()));
        assert_eq!(wide(MOST_PARTS).check(), Err(FilterError::TooMany));
        let long = |n: usize| Filter::from(UserIs::Login(Match::Prefix("x".repeat(n))));
        assert_eq!(long(LONGEST_TEXT).check(), Ok(()));
        assert_eq!(long(LONGEST_TEXT + 1).check(), Err(FilterError::TooLong));
        let group = Filter::from(GroupIs::AnyText(Match::Exact("x".repeat(LONGEST_TEXT + 1))));
        assert_eq!(group.check(), Err(FilterError::TooLong));
    }

    #[test]
    fn few_words_are_looked_for() {
        let word = |text: &str| Filter::from(UserIs::Words(Match::Prefix(text.to_owned())));
        let many = |n| Filter::And(vec![Filter::Not(Box::new(word("a"))); n]);
        assert_eq!(many(MOST_WORDS).check(), Ok(()));
        assert_eq!(many(MOST_WORDS + 1).check(), Err(FilterError::TooManyWords));
        assert_eq!(word(&"a ".repeat(100)).check(), Ok(()), "of a long text few are looked at");
        let two = Filter::Or(vec![
            word(&"a-b.".repeat(8)),
            UserIs::AnyText(Match::Exact("c d e f g".into())).into(),
        ]);
        assert_eq!(two.check(), Err(FilterError::TooManyWords));
        let groups =
            Filter::Or(vec![Filter::from(GroupIs::AnyText(Match::Prefix("*".into()))); MOST_WORDS + 1]);
        assert_eq!(groups.check(), Err(FilterError::TooManyWords));
    }
}
