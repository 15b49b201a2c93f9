//! How the text is dressed: rules, facts, steps, and prose that fits.
//!
//! Invariant: what is to be pasted is never wrapped, indented or mixed with anything else on its line.

use super::{Style, steps::Step};

// Blue and yellow are left out: each vanishes on one of the usual backgrounds.
const BOLD: &str = "1";
const DIM: &str = "2";
const COMMAND: &str = "36";
const GREEN: &str = "32";

/// The text so far.
pub(super) struct Page {
    pub(super) text: String,
    colour: bool,
    width: usize,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { text: String::new(), colour: style.colour, width: style.width.clamp(40, 100) }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A horizontal line with a title in it.
    pub(super) fn rule(&mut self, title: &str) {
        let title = if title.is_empty() { String::new() } else { format!(" {title} ") };
        let dashes = "─".repeat((self.width - 2).saturating_sub(title.chars().count()));
        let text =
            format!("{}{}{}", self.paint(DIM, "──"), self.paint(BOLD, &title), self.paint(DIM, &dashes));
        self.line(&text);
    }

    /// A name and a value. Values are never wrapped, for they are copied.
    pub(super) fn fact(&mut self, name: &str, value: &str) {
        let name = self.paint(DIM, &format!("{name:<11}"));
        let value = self.paint(BOLD, value);
        self.line(&format!(" {name} {value}"));
    }

    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    /// The title of what follows.
    pub(super) fn heading(&mut self, title: &str) {
        self.text.push('\n');
        self.rule(title);
    }

    /// Lines to be pasted at once.
    pub(super) fn block(&mut self, lines: &[String]) {
        self.text.push('\n');
        for command in lines {
            let command = self.paint(COMMAND, command);
            self.line(&command);
        }
    }

    pub(super) fn step(&mut self, number: usize, step: &Step) {
        let title: Vec<String> = wrap(step.title, self.width.saturating_sub(5));
        self.text.push('\n');
        for (place, part) in title.iter().enumerate() {
            let mark = if place == 0 { format!("{number:>3}. ") } else { " ".repeat(5) };
            let text = format!("{mark}{part}");
            let text = self.paint(BOLD, &text);
            self.line(&text);
        }
        self.block(&step.lines);
        self.text.push('\n');
        for (place, part) in wrap(step.promise, self.width.saturating_sub(6)).iter().enumerate() {
            let mark = self.paint(GREEN, if place == 0 { "    → " } else { "      " });
            self.line(&format!("{mark}{part}"));
        }
    }
}

/// Breaks prose at blanks, but not between backticks. A word that is longer than a line keeps its line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut quoted = false;
    let between = |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    };
    for word in text.split(between) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
