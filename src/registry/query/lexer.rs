//! The words of a query.
//!
//! Invariant: every step moves on, so that any text ends.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
    /// A name and its colon.
    Field(String),
    /// A name and its parenthesis.
    Tuple(String),
    /// Quoted, or in braces.
    Phrase(String),
    Word(String),
}

impl Token {
    /// For a message.
    pub(super) fn shown(self) -> String {
        match self {
            Self::And => "and".to_owned(),
            Self::Or => "or".to_owned(),
            Self::Not => "not".to_owned(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::Comma => ",".to_owned(),
            Self::Field(name) => format!("{name}:"),
            Self::Tuple(name) => format!("{name}("),
            Self::Phrase(text) | Self::Word(text) => text,
        }
    }
}

pub(super) struct Lexer<'t> {
    rest: &'t str,
    next: Option<Token>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut lexer = Self { rest: text, next: None };
        lexer.next = lexer.read();
        lexer
    }

    /// What comes next, without taking it.
    pub(super) const fn peek(&self) -> Option<&Token> {
        self.next.as_ref()
    }

    /// Takes it.
    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.next.take();
        // What follows a field is its value, which has other rules.
        if !matches!(token, Some(Token::Field(_))) {
            self.next = self.read();
        }
        token
    }

    /// Takes it if it is this.
    pub(super) fn take(&mut self, wanted: &Token) -> bool {
        let there = self.next.as_ref() == Some(wanted);
        if there {
            self.next();
        }
        there
    }

    /// Takes the value after a field: a phrase, or everything up to a blank, a comma or a parenthesis that closes.
    pub(super) fn value(&mut self) -> Option<Token> {
        self.rest = self.rest.trim_start();
        let value = match self.rest.chars().next()? {
            '"' => Token::Phrase(self.quoted('"')),
            '{' => Token::Phrase(self.quoted('}')),
            _ => {
                let word = self.up_to(|c| c.is_whitespace() || matches!(c, ')' | ','));
                if word.is_empty() {
                    return None;
                }
                Token::Word(word.to_owned())
            }
        };
        self.next = self.read();
        Some(value)
    }

    fn read(&mut self) -> Option<Token> {
        self.rest = self.rest.trim_start();
        let token = match self.rest.chars().next()? {
            '(' => self.one(Token::Open),
            ')' => self.one(Token::Close),
            ',' => self.one(Token::Comma),
            // A colon without a name before it.
            ':' => self.one(Token::Word(":".to_owned())),
            '"' => Token::Phrase(self.quoted('"')),
            '{' => {
                let text = self.quoted('}');
                if self.eat(':') { Token::Field(text) } else { Token::Phrase(text) }
            }
            _ => {
                let word = self.up_to(|c| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ':' | '{'));
                if self.eat(':') {
                    Token::Field(word.to_owned())
                } else if self.eat('(') {
                    Token::Tuple(word.to_owned())
                } else if word.eq_ignore_ascii_case("or") {
                    Token::Or
                } else if word.eq_ignore_ascii_case("and") {
                    Token::And
                } else if word.eq_ignore_ascii_case("not") {
                    Token::Not
                } else {
                    Token::Word(word.to_owned())
                }
            }
        };
        Some(token)
    }

    fn one(&mut self, token: Token) -> Token {
        self.rest = self.rest.get(1..).unwrap_or_default();
        token
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn up_to(&mut self, end: impl Fn(char) -> bool) -> &'t str {
        let (word, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// From an opening character to `close`, or to the end. A backslash takes the next character as it is.
    fn quoted(&mut self, close: char) -> String {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        let mut end = self.rest.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                letter if letter == close => {
                    end = at + letter.len_utf8();
                    break;
                }
                letter => text.push(letter),
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        text
    }
}
