//! Filters, orders and pages as SQL.
//!
//! Invariant: the text of a statement consists of what is written here; everything else is bound. The types see to it: text
//! is `'static`.

use sqlx::{
    QueryBuilder, Sqlite,
    query::{Query, QueryScalar},
    sqlite::SqliteArguments,
};

use super::MARK;
use crate::{
    model::search::{
        By, Condition, Filter, GroupIs, GroupKey, Match, Page, UserIs, UserKey, WORDS_OF_A_TEXT,
    },
    store::name::{end_of_prefix, folded, words},
};

/// A statement in the making.
pub(super) struct Sql(QueryBuilder<Sqlite>);

impl Sql {
    pub(super) fn new(text: &'static str) -> Self {
        Self(QueryBuilder::new(text))
    }

    fn text(&mut self, text: &'static str) {
        self.0.push(text);
    }

    fn bind(&mut self, value: &str) {
        self.0.push_bind(value.to_owned());
    }

    pub(super) fn query(&mut self) -> Query<'_, Sqlite, SqliteArguments> {
        self.0.build()
    }

    pub(super) fn scalar(&mut self) -> QueryScalar<'_, Sqlite, i64, SqliteArguments> {
        self.0.build_query_scalar()
    }

    /// Adds what rows have to fulfil.
    pub(super) fn restrict<T: Condition>(&mut self, filter: &Filter<T>, condition: fn(&mut Self, &T)) {
        if !filter.is_everything() {
            self.text(" WHERE ");
            self.filter(filter, condition);
        }
    }

    // The depth of a filter is bounded.
    fn filter<T>(&mut self, filter: &Filter<T>, condition: fn(&mut Self, &T)) {
        match filter {
            Filter::Is(one) => {
                self.text("(");
                condition(self, one);
                self.text(")");
            }
            Filter::And(parts) => self.parts(parts, "1", " AND ", condition),
            Filter::Or(parts) => self.parts(parts, "0", " OR ", condition),
            Filter::Not(part) => {
                // What is not known, because there is no address, is not so.
                self.text("(NOT coalesce(");
                self.filter(part, condition);
                self.text(", 0))");
            }
        }
    }

    fn parts<T>(
        &mut self,
        parts: &[Filter<T>],
        none: &'static str,
        between: &'static str,
        condition: fn(&mut Self, &T),
    ) {
        self.text("(");
        if parts.is_empty() {
            self.text(none);
        }
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.text(between);
            }
            self.filter(part, condition);
        }
        self.text(")");
    }

    /// Compares a folded column.
    fn compare(&mut self, column: &'static str, text: &Match) {
        match text {
            Match::Exact(text) => self.folded_is(column, &folded(text)),
            Match::Prefix(text) => self.folded_begins(column, &folded(text)),
        }
    }

    fn folded_is(&mut self, column: &'static str, text: &str) {
        self.text(column);
        self.text(" = ");
        self.bind(text);
    }

    fn folded_begins(&mut self, column: &'static str, text: &str) {
        self.text(column);
        self.text(" >= ");
        self.bind(text);
        if let Some(end) = end_of_prefix(text) {
            self.text(" AND ");
            self.text(column);
            self.text(" < ");
            self.bind(&end);
        }
    }

    /// Adds an order in which no two are equal.
    pub(super) fn order<K: Copy + PartialEq>(
        &mut self,
        order: &[By<K>],
        column: fn(K) -> &'static str,
        unique: &'static str,
    ) {
        self.text(" ORDER BY ");
        for (at, by) in order.iter().enumerate() {
            if order.iter().take(at).any(|before| before.key == by.key) {
                continue;
            }
            self.text(column(by.key));
            self.text(if by.descending { " DESC, " } else { ", " });
        }
        self.text(unique);
        // In the direction of the others an index serves both.
        if order.first().is_some_and(|by| by.descending) {
            self.text(" DESC");
        }
    }

    /// Adds which rows are wanted.
    pub(super) fn page(&mut self, page: Page) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.text(" LIMIT ");
        self.0.push_bind(page.top.map_or(-1, number));
        self.text(" OFFSET ");
        self.0.push_bind(number(page.skip));
    }
}

/// The words of a text that is looked for, with whether the last one is a beginning.
fn words_of(text: &Match) -> (Vec<String>, bool) {
    let begins = matches!(text, Match::Prefix(text) if text.ends_with(char::is_alphanumeric));
    (words(text.text()).take(WORDS_OF_A_TEXT).collect(), begins)
}

/// A condition on the users `u`.
pub(super) fn user(sql: &mut Sql, condition: &UserIs) {
    match condition {
        UserIs::Id(id) => {
            sql.text("u.id = ");
            sql.bind(id.as_str());
        }
        UserIs::Login(text) => sql.compare("u.folded_login", text),
        UserIs::Name(text) => sql.compare("u.folded_name", text),
        UserIs::Email(text) => sql.compare("u.folded_email", text),
        UserIs::AnyText(text) => user_text(sql, text, true),
        UserIs::Words(text) => user_text(sql, text, false),
        UserIs::HasEmail => sql.text("u.email IS NOT NULL"),
        UserIs::HasPassword => sql.text("u.password_hash IS NOT NULL"),
        UserIs::Banned => sql.text("u.banned_since IS NOT NULL"),
        UserIs::Guest => sql.text("u.guest = 1"),
        UserIs::Administrator => sql.text("u.administrator = 1"),
        UserIs::MemberOf(group) => {
            sql.text("u.id IN (SELECT m.user_id FROM memberships m WHERE m.group_id = ");
            sql.bind(group.as_str());
            sql.text(")");
        }
        UserIs::InGroup(group) => {
            sql.text(
                "u.id IN (SELECT m.user_id FROM group_nesting n JOIN memberships m ON m.group_id = n.group_id
                          WHERE n.above = ",
            );
            sql.bind(group.as_str());
            sql.text(")");
        }
    }
}

/// Words of login and name, with `address` those of the address too.
fn user_text(sql: &mut Sql, text: &Match, address: bool) {
    let (words, begins) = words_of(text);
    if words.is_empty() {
        sql.text("(");
        sql.compare("u.folded_login", text);
        sql.text(") OR (");
        sql.compare("u.folded_name", text);
        if address {
            sql.text(") OR (");
            sql.compare("u.folded_email", text);
        }
        return sql.text(")");
    }
    let marks = if address { vec![String::new(), MARK.to_string()] } else { vec![String::new()] };
    for (at, word) in words.iter().enumerate() {
        sql.text(if at == 0 { "(" } else { " AND (" });
        for (nth, mark) in marks.iter().enumerate() {
            sql.text(if nth == 0 { "" } else { " OR " });
            sql.text("u.id IN (SELECT w.user_id FROM user_words w WHERE ");
            if begins && at + 1 == words.len() {
                sql.folded_begins("w.word", &format!("{mark}{word}"));
            } else {
                sql.folded_is("w.word", &format!("{mark}{word}"));
            }
            sql.text(")");
        }
        sql.text(")");
    }
}

/// A condition on the groups `g`.
pub(super) fn group(sql: &mut Sql, condition: &GroupIs) {
    let (before, id, after) = match condition {
        GroupIs::Id(id) => ("g.id = ", id.as_str(), ""),
        GroupIs::ChildOf(id) => ("g.parent = ", id.as_str(), ""),
        GroupIs::Below(id) => (
            "g.id IN (SELECT n.group_id FROM group_nesting n WHERE n.group_id <> n.above AND n.above = ",
            id.as_str(),
            ")",
        ),
        GroupIs::HasMember(id) => {
            ("g.id IN (SELECT m.group_id FROM memberships m WHERE m.user_id = ", id.as_str(), ")")
        }
        GroupIs::Has(id) => (
            "g.id IN (SELECT n.above FROM memberships m JOIN group_nesting n ON n.group_id = m.group_id
                      WHERE m.user_id = ",
            id.as_str(),
            ")",
        ),
        GroupIs::Name(text) => return sql.compare("g.folded_name", text),
        GroupIs::AnyText(text) => return group_text(sql, text),
        GroupIs::TopLevel => return sql.text("g.parent IS NULL"),
        GroupIs::AutoJoin => return sql.text("g.auto_join = 1"),
        GroupIs::AllUsers => return sql.text("g.all_users = 1"),
    };
    sql.text(before);
    sql.bind(id);
    sql.text(after);
}

fn group_text(sql: &mut Sql, text: &Match) {
    let (words, begins) = words_of(text);
    if words.is_empty() {
        return sql.compare("g.folded_name", text);
    }
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            sql.text(" AND ");
        }
        // A blank is before each word.
        let end = if begins && at + 1 == words.len() { "" } else { " " };
        sql.text("instr(g.words || ' ', ");
        sql.bind(&format!(" {word}{end}"));
        sql.text(") > 0");
    }
}

/// The column of the users `u` by which they are sorted.
pub(super) const fn user_key(key: UserKey) -> &'static str {
    match key {
        UserKey::Login => "u.folded_login",
        UserKey::Name => "u.folded_name",
        UserKey::Email => "u.folded_email",
        UserKey::Created => "u.created",
        UserKey::LastAccess => "(SELECT a.time FROM user_accesses a WHERE a.user_id = u.id)",
        UserKey::Banned => "u.banned_since IS NOT NULL",
        UserKey::Id => "u.id",
    }
}

/// The column of the groups `g` by which they are sorted.
pub(super) const fn group_key(key: GroupKey) -> &'static str {
    match key {
        GroupKey::Name => "g.folded_name",
        GroupKey::Created => "g.created",
        GroupKey::Id => "g.id",
    }
}
