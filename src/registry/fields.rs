//! `fields=`: which parts of an object a client wants (hub-contract section 9.2).
//!
//! Invariant: reading takes time and memory that grow with the text alone, which is bounded, as is the nesting.

use std::collections::BTreeMap;

/// Bytes of the parameter.
const LONGEST: usize = 8 * 1024;

/// How deep objects may nest in one another.
const DEEPEST: usize = 12;

/// A wish: the parts by name, each with what is wanted of it, or whatever is usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fields {
    /// What an object says of itself unasked.
    #[default]
    Usual,
    /// These.
    Named(BTreeMap<String, Fields>),
}

/// Why the text is no list of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFields {
    /// Longer than [`LONGEST`].
    #[error("is longer than 8192 bytes")]
    Length,
    /// Deeper than [`DEEPEST`].
    #[error("nests deeper than 12 objects")]
    Depth,
    /// Parentheses that do not match.
    #[error("has parentheses that do not match")]
    Parentheses,
    /// Something that is no name.
    #[error("has something that is no field name: letters, digits, - and _ make one")]
    Name,
}

impl Fields {
    /// Reads `a,b(c,d/e)`. Empty parts are passed over.
    ///
    /// # Errors
    /// [`BadFields`]
    pub fn parse(text: &str) -> Result<Self, BadFields> {
        if text.len() > LONGEST {
            return Err(BadFields::Length);
        }
        let mut reader = Reader { rest: text.trim() };
        let fields = reader.list(0)?;
        if reader.rest.is_empty() { Ok(fields) } else { Err(BadFields::Parentheses) }
    }

    /// What is wanted of a part; `None` when it is not wanted. Of what is usual nothing is known here.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Usual => None,
            Self::Named(named) => named.get(name),
        }
    }

    /// Whether a part was asked for by name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.of(name).is_some()
    }

    /// Whether anything was asked for.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Usual)
    }

    fn add(&mut self, name: &str, more: Self) {
        let Self::Named(named) = self else {
            *self = Self::Named(BTreeMap::from([(name.to_owned(), more)]));
            return;
        };
        match (named.get_mut(name), more) {
            (None, more) => {
                named.insert(name.to_owned(), more);
            }
            (Some(known), Self::Named(more)) => {
                for (name, more) in more {
                    known.add(&name, more);
                }
            }
            (Some(_), Self::Usual) => {}
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn list(&mut self, depth: usize) -> Result<Fields, BadFields> {
        if depth > DEEPEST {
            return Err(BadFields::Depth);
        }
        let mut fields = Fields::Usual;
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                None | Some(')') => return Ok(fields),
                Some(',') => self.skip(),
                Some(_) => {
                    let (name, of) = self.field(depth)?;
                    fields.add(&name, of);
                }
            }
        }
    }

    /// One name with what hangs below it: `a`, `a/b`, `a(b,c)`.
    fn field(&mut self, depth: usize) -> Result<(String, Fields), BadFields> {
        if depth > DEEPEST {
            return Err(BadFields::Depth);
        }
        let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let end = self.rest.find(odd).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(BadFields::Name);
        }
        let name = name.to_owned();
        self.rest = rest.trim_start();
        let of = match self.rest.chars().next() {
            Some('/') => {
                self.skip();
                let (below, of) = self.field(depth + 1)?;
                Fields::Named(BTreeMap::from([(below, of)]))
            }
            Some('(') => {
                self.skip();
                let of = self.list(depth + 1)?;
                if !self.rest.starts_with(')') {
                    return Err(BadFields::Parentheses);
                }
                self.skip();
                of
            }
            None | Some(',' | ')') => Fields::Usual,
            Some(_) => return Err(BadFields::Name),
        };
        Ok((name, of))
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &Fields) -> String {
        match fields {
            Fields::Usual => String::new(),
            Fields::Named(named) => {
                let parts = named.iter().map(|(name, of)| match of {
                    Fields::Usual => name.clone(),
                    Fields::Named(_) => format!("{name}({})", shown(of)),
                });
                parts.collect::<Vec<_>>().join(",")
            }
        }
    }

    #[test]
    fn both_notations_mean_the_same() {
        for (text, meant) in [
            ("", ""),
            ("id", "id"),
            ("guest,id,name,login,profile/avatar/url", "guest,id,login,name,profile(avatar(url))"),
            ("a(b,c)", "a(b,c)"),
            ("a/b,a/c", "a(b,c)"),
            ("a(b/c,d),a/b(e)", "a(b(c,e),d)"),
            (" a ( b , c ) , d ", "a(b,c),d"),
            ("a,,b,", "a,b"),
            ("a()", "a"),
            ("a,a(b)", "a(b)"),
            ("a(b),a", "a(b)"),
            ("permission/key,global,projects(id)", "global,permission(key),projects(id)"),
        ] {
            assert_eq!(shown(&Fields::parse(text).unwrap()), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, why) in [
            ("a(b", BadFields::Parentheses),
            ("a)", BadFields::Parentheses),
            ("a b", BadFields::Name),
            ("a'--", BadFields::Name),
            ("/a", BadFields::Name),
            ("a/", BadFields::Name),
            ("a//b", BadFields::Name),
            ("(a)", BadFields::Name),
            ("ä", BadFields::Name),
            ("$top", BadFields::Name),
        ] {
            assert_eq!(Fields::parse(text), Err(why), "{text}");
        }
        assert_eq!(Fields::parse(&"a(".repeat(100)), Err(BadFields::Depth));
        assert_eq!(Fields::parse(&"a/".repeat(4000)), Err(BadFields::Depth));
        assert_eq!(Fields::parse(&"a,".repeat(5000)), Err(BadFields::Length));
    }
}
