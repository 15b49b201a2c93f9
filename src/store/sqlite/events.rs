//! Reading and verifying the audit log.
//!
//! Invariant: a page costs what it shows: each filter has an index whose entries are in the order of the log.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    SqliteStore,
    audit::{self, Fixed},
    errors::store_error,
};
use crate::{
    base::id::UserId,
    model::event::{Author, Event, NewEvent},
    store::{
        Result, SharedStore, StoreError,
        events::{Break, ChainHash, EventFilter, EventPage, EventStore, Verified},
    },
};

/// The columns of an event.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT e.sequence, e.at, e.kind, e.target_kind, e.target_id, e.owner, e.author_kind, e.author_id,
                    e.digest, e.hash, e.salt, e.content
             FROM audit_events e ",
            $rest
        )
    };
}

/// How many events a verification reads at once.
const SLICE: i64 = 1000;

/// The conditions of a filter, with `?1` to `?6` for its values. A unary plus keeps SQLite from an index that would have
/// to be sorted.
fn conditions(filter: &EventFilter) -> String {
    let mut text = String::from("WHERE TRUE");
    for (wanted, condition) in [
        (filter.kind.is_some(), "e.kind = ?1"),
        (filter.target_kind.is_some(), "+e.target_kind = ?2"),
        (filter.target.is_some(), "e.target_id = ?3"),
        (filter.author.is_some(), "e.author_id = ?4"),
        (filter.concerning.is_some(), "(e.owner = ?5 OR e.author_id = ?5)"),
        (
            filter.since.is_some(),
            "+e.at >= ?6 AND e.sequence >= (SELECT min(s.sequence) FROM audit_events s WHERE s.at >= ?6)",
        ),
    ] {
        if wanted {
            // Writing to a string does not fail.
            let _ = write!(text, " AND {condition}");
        }
    }
    text
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: Bound<'q>, filter: &EventFilter) -> Bound<'q> {
    query
        .bind(filter.kind.map(crate::model::event::EventKind::name))
        .bind(filter.target_kind.map(crate::model::event::TargetKind::name))
        .bind(filter.target.clone())
        .bind(filter.author.clone())
        .bind(filter.concerning.as_ref().map(ToString::to_string))
        .bind(filter.since.map(crate::base::time::Timestamp::millis))
}

/// All events, and all of them to be counted; conditions go before the order.
const ALL: &str = select!("ORDER BY e.sequence DESC");
const ALL_NUMBERS: &str = "SELECT 1 FROM audit_events e ORDER BY e.sequence DESC";

/// `all`, as far as it matches.
fn matching(all: &str, filter: &EventFilter, more: &str) -> String {
    all.replace("ORDER BY", &format!("{} {more} ORDER BY", conditions(filter)))
}

/// The statement of a page, with `?7` to `?9` for what it leaves out.
fn page_statement(filter: &EventFilter) -> String {
    matching(ALL, filter, "AND e.sequence < ?7") + " LIMIT ?8 OFFSET ?9"
}

/// The statement that counts, up to `?7`.
fn count_statement(filter: &EventFilter) -> String {
    format!(
        "WITH found AS ({} LIMIT ?7) SELECT count(*) AS number FROM found",
        matching(ALL_NUMBERS, filter, "")
    )
}

/// Goes on verifying with `row`.
fn verify(
    row: &SqliteRow,
    verified: &mut Verified,
    noted: Option<ChainHash>,
) -> Result<Option<&'static str>> {
    let fixed = Fixed::of(row)?;
    let expected = i64::try_from(verified.events).unwrap_or(i64::MAX).saturating_add(1);
    if fixed.sequence != expected {
        return Ok(Some("the events before it are missing"));
    }
    let hash = fixed.hash(verified.head);
    if hash != audit::stored_hash(row)? {
        return Ok(Some("it does not follow from the event before it, or is not what was recorded"));
    }
    let salt: Option<&[u8]> = row.try_get("salt").map_err(store_error)?;
    let content: Option<&str> = row.try_get("content").map_err(store_error)?;
    match (salt, content) {
        (Some(salt), Some(content)) if audit::digest(salt, content) == fixed.digest => {}
        (None, None) => verified.erased += 1,
        _ => return Ok(Some("its content is not what was recorded")),
    }
    verified.events += 1;
    verified.head = hash;
    if noted == Some(hash) {
        verified.noted = Some(fixed.sequence);
    }
    Ok(None)
}

#[async_trait]
impl EventStore for SqliteStore {
    fn acting(&self, by: Author) -> SharedStore {
        Arc::new(Self {
            readers: self.readers.clone(),
            writer: self.writer.clone(),
            author: Arc::new(by),
            home: Arc::clone(&self.home),
        })
    }

    async fn note(&self, events: &[NewEvent]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut tx = self.writer.begin().await?;
        audit::record(tx.connection(), &self.author, events).await?;
        tx.commit().await
    }

    async fn list_events(&self, filter: &EventFilter, page: EventPage) -> Result<Vec<Event>> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        // Only fragments of this file; what is asked for is bound.
        let rows = bind(sqlx::query(AssertSqlSafe(page_statement(filter))), filter)
            .bind(page.before.unwrap_or(i64::MAX))
            .bind(number(page.top))
            .bind(number(page.skip))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(audit::read).collect()
    }

    async fn count_events(&self, filter: &EventFilter, most: u64) -> Result<u64> {
        let row = bind(sqlx::query(AssertSqlSafe(count_statement(filter))), filter)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_one(&self.readers)
            .await
            .map_err(store_error)?;
        let number: i64 = row.try_get("number").map_err(store_error)?;
        u64::try_from(number).map_err(|e| StoreError::Damaged(format!("a number of events: {e}")))
    }

    async fn find_event(&self, sequence: i64) -> Result<Option<Event>> {
        let row = sqlx::query(select!("WHERE e.sequence = ?1"))
            .bind(sequence)
            .fetch_optional(&self.readers)
            .await
            .map_err(store_error)?;
        row.as_ref().map(audit::read).transpose()
    }

    async fn verify_events(&self, noted: Option<ChainHash>) -> Result<Verified> {
        let head = ChainHash::GENESIS;
        let found = (noted == Some(head)).then_some(0);
        let mut verified = Verified { events: 0, erased: 0, head, noted: found, broken: None };
        let mut after = i64::MIN;
        loop {
            let rows = sqlx::query(select!("WHERE e.sequence > ?1 ORDER BY e.sequence LIMIT ?2"))
                .bind(after)
                .bind(SLICE)
                .fetch_all(&self.readers)
                .await
                .map_err(store_error)?;
            for row in &rows {
                after = row.try_get("sequence").map_err(store_error)?;
                if let Some(why) = verify(row, &mut verified, noted)? {
                    verified.broken = Some(Break { sequence: after, why });
                    return Ok(verified);
                }
            }
            if rows.is_empty() {
                return Ok(verified);
            }
        }
    }

    async fn erase_events(&self, user: &UserId) -> Result<u64> {
        let mut tx = self.writer.begin().await?;
        let outcome = audit::erase(tx.connection(), &self.author, user).await;
        tx.settle(outcome).await
    }
}

/// How SQLite goes about the page of a filter.
#[cfg(test)]
pub(super) async fn explain(connection: &mut sqlx::SqliteConnection, filter: &EventFilter) -> Vec<String> {
    let statement = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", page_statement(filter)));
    let query = bind(sqlx::query(statement), filter).bind(i64::MAX).bind(100).bind(0);
    let rows = query.fetch_all(connection).await.unwrap_or_default();
    rows.iter().filter_map(|row| row.try_get("detail").ok()).collect()
}
