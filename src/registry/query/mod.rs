//! `query=`: which objects of a list a client wants (hub-contract section 9.5).
//!
//! `or` binds less than `and`, `and` less than `not`; items that stand side by side are joined by `and`, words of free text
//! that do are one text. What is not closed at the end is closed there.
//!
//! Invariant: reading takes time and memory that grow with the text alone, which is bounded, as is the nesting.

mod lexer;

use self::lexer::{Lexer, Token};

/// Bytes of the parameter.
const LONGEST: usize = 4 * 1024;

/// How deep parentheses may nest, each `not` counted as one.
const DEEPEST: usize = 32;

/// Items that are read at most.
const MOST: usize = 200;

/// What an object has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All of these.
    And(Vec<Expr>),
    /// One of these.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// One thing.
    Item(Item),
}

/// One thing that an object has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `name: value`
    Field(String, Word),
    /// `access(project: x, with: y)`
    Tuple(String, Vec<(String, Word)>),
    /// `has: x`
    Has(String),
    /// `is: x`
    Is(String),
    /// Free text.
    Text(Word),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without quotes, braces and the star.
    pub text: String,
    /// Whether it ends in a star: the beginning of what is meant.
    pub prefix: bool,
}

/// Why the text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// Longer than [`LONGEST`].
    #[error("is longer than 4096 bytes")]
    Length,
    /// Deeper than [`DEEPEST`].
    #[error("nests too deep")]
    Depth,
    /// More than [`MOST`].
    #[error("has more than 200 parts")]
    Parts,
    /// An operator without what it joins.
    #[error("has {0:?} where something to look for is expected")]
    Operand(String),
    /// A field without a value.
    #[error("names no value for the field [{0}]")]
    Value(String),
}

/// Reads a query; `None` when it asks for nothing.
///
/// # Errors
/// [`BadQuery`]
pub fn parse(text: &str) -> Result<Option<Expr>, BadQuery> {
    if text.len() > LONGEST {
        return Err(BadQuery::Length);
    }
    let mut reader = Reader { lexer: Lexer::new(text), parts: 0 };
    if reader.lexer.peek().is_none() {
        return Ok(None);
    }
    let expr = reader.or(0)?;
    match reader.lexer.next() {
        None => Ok(Some(expr)),
        Some(left) => Err(BadQuery::Operand(left.shown())),
    }
}

struct Reader<'t> {
    lexer: Lexer<'t>,
    parts: usize,
}

impl Reader<'_> {
    fn or(&mut self, depth: usize) -> Result<Expr, BadQuery> {
        let mut any = vec![self.and(depth)?];
        while self.lexer.take(&Token::Or) {
            any.push(self.and(depth)?);
        }
        Ok(single(any, Expr::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expr, BadQuery> {
        let mut all = vec![self.not(depth)?];
        loop {
            match self.lexer.peek() {
                None | Some(Token::Or | Token::Close | Token::Comma) => return Ok(single(all, Expr::And)),
                Some(Token::And) => {
                    self.lexer.next();
                }
                Some(_) => {}
            }
            all.push(self.not(depth)?);
        }
    }

    fn not(&mut self, depth: usize) -> Result<Expr, BadQuery> {
        if depth > DEEPEST {
            return Err(BadQuery::Depth);
        }
        match self.lexer.next() {
            Some(Token::Not) => Ok(Expr::Not(Box::new(self.not(depth + 1)?))),
            Some(Token::Open) => {
                let inner = self.or(depth + 1)?;
                if self.lexer.peek().is_some() && !self.lexer.take(&Token::Close) {
                    return Err(BadQuery::Operand(self.lexer.next().map(Token::shown).unwrap_or_default()));
                }
                Ok(inner)
            }
            Some(Token::Field(name)) => self.counted(|reader| reader.field(name)),
            Some(Token::Tuple(name)) => self.counted(|reader| reader.tuple(name)),
            Some(Token::Phrase(text)) => self.counted(|_| Ok(Item::Text(Word { text, prefix: false }))),
            Some(Token::Word(first)) => self.counted(|reader| Ok(reader.text(first))),
            Some(other) => Err(BadQuery::Operand(other.shown())),
            None => Err(BadQuery::Operand("the end".to_owned())),
        }
    }

    fn counted(&mut self, read: impl FnOnce(&mut Self) -> Result<Item, BadQuery>) -> Result<Expr, BadQuery> {
        self.parts += 1;
        if self.parts > MOST {
            return Err(BadQuery::Parts);
        }
        read(self).map(Expr::Item)
    }

    /// Words that stand side by side are one text.
    fn text(&mut self, mut text: String) -> Item {
        while let Some(Token::Word(next)) = self.lexer.peek() {
            text.push(' ');
            text.push_str(next);
            self.lexer.next();
        }
        Item::Text(starred(text))
    }

    fn field(&mut self, name: String) -> Result<Item, BadQuery> {
        let value = self.value(&name)?;
        Ok(if name.eq_ignore_ascii_case("has") {
            Item::Has(value.text)
        } else if name.eq_ignore_ascii_case("is") {
            Item::Is(value.text)
        } else {
            Item::Field(name, value)
        })
    }

    fn value(&mut self, name: &str) -> Result<Word, BadQuery> {
        match self.lexer.value() {
            Some(Token::Phrase(text)) => Ok(Word { text, prefix: false }),
            Some(Token::Word(text)) => Ok(starred(text)),
            _ => Err(BadQuery::Value(name.to_owned())),
        }
    }

    fn tuple(&mut self, name: String) -> Result<Item, BadQuery> {
        let mut parts = Vec::new();
        loop {
            match self.lexer.next() {
                None | Some(Token::Close) => return Ok(Item::Tuple(name, parts)),
                Some(Token::Comma) => {}
                Some(Token::Field(key)) => {
                    let value = self.value(&key)?;
                    parts.push((key, value));
                    self.parts += 1;
                    if self.parts > MOST {
                        return Err(BadQuery::Parts);
                    }
                }
                Some(other) => return Err(BadQuery::Operand(other.shown())),
            }
        }
    }
}

fn single(mut parts: Vec<Expr>, join: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn starred(text: String) -> Word {
    match text.strip_suffix('*') {
        Some(beginning) => Word { text: beginning.to_owned(), prefix: true },
        None => Word { text, prefix: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(word: &Word) -> String {
        format!("{}{}", word.text, if word.prefix { "*" } else { "" })
    }

    fn shown(expr: &Expr) -> String {
        let list = |parts: &[Expr]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
        match expr {
            Expr::And(parts) => format!("(and {})", list(parts)),
            Expr::Or(parts) => format!("(or {})", list(parts)),
            Expr::Not(part) => format!("(not {})", shown(part)),
            Expr::Item(Item::Field(name, value)) => format!("{name}={}", word(value)),
            Expr::Item(Item::Has(name)) => format!("has={name}"),
            Expr::Item(Item::Is(name)) => format!("is={name}"),
            Expr::Item(Item::Text(value)) => format!("[{}]", word(value)),
            Expr::Item(Item::Tuple(name, parts)) => {
                let parts: Vec<_> =
                    parts.iter().map(|(key, value)| format!("{key}={}", word(value))).collect();
                format!("{name}<{}>", parts.join(","))
            }
        }
    }

    #[test]
    fn queries_mean_what_hub_means_by_them() {
        for (text, meant) in [
            ("jane", "[jane]"),
            ("Maxim Mazin", "[Maxim Mazin]"),
            ("ma*", "[ma*]"),
            ("q or q*", "(or [q] [q*])"),
            ("applicationName: YouTrack", "applicationName=YouTrack"),
            ("applicationName:YouTrack", "applicationName=YouTrack"),
            ("nameStartsWith: q or loginStartsWith: q", "(or nameStartsWith=q loginStartsWith=q)"),
            ("service:{0-0-0-0-0} or service:{a b}", "(or service=0-0-0-0-0 service=a b)"),
            ("is: banned", "is=banned"),
            ("not is: banned", "(not is=banned)"),
            ("NOT Is:banned AND has: email", "(and (not is=banned) has=email)"),
            ("a and b or c and not d", "(or (and [a] [b]) (and [c] (not [d])))"),
            ("a and (b or c)", "(and [a] (or [b] [c]))"),
            ("name: x login: y", "(and name=x login=y)"),
            ("name: Maxim Mazin", "(and name=Maxim [Mazin])"),
            (r#"name: "Maxim Mazin""#, "name=Maxim Mazin"),
            (r#""or" x"#, "(and [or] [x])"),
            ("{full name}: x", "full name=x"),
            (r"name: {a \} b}", "name=a } b"),
            ("access(project: x, with: {y z})", "access<project=x,with=y z>"),
            ("access(project: x", "access<project=x>"),
            ("(a or (b", "(or [a] [b])"),
            ("name: {a b", "name=a b"),
            (r#""a b"#, "[a b]"),
            ("homeUrl: https://a.example/x?y=1", "homeUrl=https://a.example/x?y=1"),
            ("authMethod: Hub and user: login", "(and authMethod=Hub user=login)"),
            ("jane@example.org", "[jane@example.org]"),
            ("'; drop table users; --", "['; drop table users; --]"),
            ("ordinary android notable", "[ordinary android notable]"),
        ] {
            assert_eq!(shown(&parse(text).unwrap().unwrap()), meant, "{text}");
        }
        assert_eq!(parse("   ").unwrap(), None);
    }

    #[test]
    fn what_asks_for_nothing_is_refused() {
        for text in [
            "or",
            "a or",
            "and b",
            "not",
            "a or or b",
            ")",
            "a)",
            "()",
            "name:",
            "name: )",
            ",",
            "a,",
            "x(y)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"(".repeat(100)), Err(BadQuery::Depth));
        assert_eq!(parse(&"not ".repeat(100)), Err(BadQuery::Depth));
        assert_eq!(parse(&"a or ".repeat(250)), Err(BadQuery::Parts));
        assert_eq!(parse(&"a".repeat(5000)), Err(BadQuery::Length));
    }
}
