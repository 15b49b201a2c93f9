//! The audit log: events are chained by their hashes, each written in the transaction of what it is about.
//!
//! Invariants: the write lock makes the chain's order that of the transactions; the hash of an event covers its content by a
//! salted digest alone, so that erasing the content leaves the chain as it was, and nobody can guess at what was erased.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{errors::store_error, record::Record};
use crate::{
    base::{
        id::UserId,
        random::{Random, SystemRandom},
        time::{Clock as _, SystemClock, Timestamp},
    },
    crypto::digest::sha256,
    model::event::{Author, AuthorKind, Event, EventKind, FieldChange, NewEvent, Target, TargetKind},
    store::{
        Result, StoreError,
        described::{self, Described},
        events::ChainHash,
    },
};

const WHAT: &str = "event";

/// The part of an event that may be personal.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Content {
    target: String,
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<FieldChange>,
}

/// The part of an event that stays.
pub(super) struct Fixed<'e> {
    pub(super) sequence: i64,
    pub(super) at: i64,
    pub(super) kind: &'e str,
    pub(super) target_kind: &'e str,
    pub(super) target_id: &'e str,
    pub(super) owner: Option<&'e str>,
    pub(super) author_kind: &'e str,
    pub(super) author_id: Option<&'e str>,
    pub(super) digest: &'e [u8],
}

impl<'e> Fixed<'e> {
    pub(super) fn of(row: &'e SqliteRow) -> Result<Self> {
        Ok(Self {
            sequence: row.try_get("sequence").map_err(store_error)?,
            at: row.try_get("at").map_err(store_error)?,
            kind: row.try_get("kind").map_err(store_error)?,
            target_kind: row.try_get("target_kind").map_err(store_error)?,
            target_id: row.try_get("target_id").map_err(store_error)?,
            owner: row.try_get("owner").map_err(store_error)?,
            author_kind: row.try_get("author_kind").map_err(store_error)?,
            author_id: row.try_get("author_id").map_err(store_error)?,
            digest: row.try_get("digest").map_err(store_error)?,
        })
    }

    /// The hash of this event after the one before it. Every text is preceded by its length, so that no two events have
    /// the same form; a text that is not there differs from an empty one.
    pub(super) fn hash(&self, before: ChainHash) -> ChainHash {
        let mut form = b"hubgate audit 1\0".to_vec();
        form.extend(before.0);
        form.extend(self.sequence.to_be_bytes());
        form.extend(self.at.to_be_bytes());
        let mut text = |text: Option<&[u8]>| {
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            form.extend(length.to_be_bytes());
            form.extend(text.unwrap_or_default());
        };
        text(Some(self.kind.as_bytes()));
        text(Some(self.target_kind.as_bytes()));
        text(Some(self.target_id.as_bytes()));
        text(self.owner.map(str::as_bytes));
        text(Some(self.author_kind.as_bytes()));
        text(self.author_id.map(str::as_bytes));
        text(Some(self.digest));
        ChainHash(sha256(&form))
    }
}

/// What of a content is in the chain.
pub(super) fn digest(salt: &[u8], content: &str) -> [u8; 32] {
    sha256(&[salt, content.as_bytes()].concat())
}

/// Reads the columns of an event.
pub(super) fn read(row: &SqliteRow) -> Result<Event> {
    let fixed = Fixed::of(row)?;
    let record = Record::named(row, WHAT, fixed.sequence.to_string());
    let unknown = |field: &str| record.damaged(field, "it is not known");
    let content: Option<&str> = record.get("content")?;
    let erased = content.is_none();
    let content: Content = match content {
        Some(_) => record.json("content")?,
        None => Content::default(),
    };
    let owner = fixed.owner.map(UserId::parse).transpose().map_err(|e| record.damaged("owner", e))?;
    Ok(Event {
        sequence: fixed.sequence,
        at: Timestamp::from_millis(fixed.at),
        kind: EventKind::parse(fixed.kind).ok_or_else(|| unknown("kind"))?,
        target: Target {
            kind: TargetKind::parse(fixed.target_kind).ok_or_else(|| unknown("target_kind"))?,
            id: fixed.target_id.to_owned(),
            presentation: content.target,
            owner,
        },
        author: Author {
            kind: AuthorKind::parse(fixed.author_kind).ok_or_else(|| unknown("author_kind"))?,
            id: fixed.author_id.map(str::to_owned),
            presentation: content.author,
            request: content.request,
            source: content.source,
        },
        changes: content.changes,
        erased,
    })
}

/// Records what leads from one state of a record to the other. To be called in the transaction that writes it.
pub(super) async fn changed<D: Described>(
    connection: &mut SqliteConnection,
    by: &Author,
    before: Option<&D>,
    after: Option<&D>,
) -> Result<()> {
    record(connection, by, &described::events(before, after)).await
}

/// Records events at the end of the chain, within the transaction that is open on `connection`.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    by: &Author,
    events: &[NewEvent],
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let (mut sequence, mut head) = head(connection).await?;
    let at = SystemClock.now().millis();
    for event in events {
        sequence += 1;
        head = append(connection, by, event, (sequence, at, head)).await?;
    }
    Ok(())
}

/// Records one event.
pub(super) async fn record_one(
    connection: &mut SqliteConnection,
    by: &Author,
    event: NewEvent,
) -> Result<()> {
    record(connection, by, &[event]).await
}

/// The last event's number and hash.
async fn head(connection: &mut SqliteConnection) -> Result<(i64, ChainHash)> {
    let last: Option<SqliteRow> =
        sqlx::query("SELECT sequence, hash FROM audit_events ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(connection)
            .await
            .map_err(store_error)?;
    let Some(last) = last else { return Ok((0, ChainHash::GENESIS)) };
    Ok((last.try_get("sequence").map_err(store_error)?, stored_hash(&last)?))
}

/// The hash that a row says it has.
pub(super) fn stored_hash(row: &SqliteRow) -> Result<ChainHash> {
    let hash: &[u8] = row.try_get("hash").map_err(store_error)?;
    let hash = hash.try_into().map_err(|_| StoreError::Damaged("a hash of the audit log is none".into()))?;
    Ok(ChainHash(hash))
}

async fn append(
    connection: &mut SqliteConnection,
    by: &Author,
    event: &NewEvent,
    (sequence, at, before): (i64, i64, ChainHash),
) -> Result<ChainHash> {
    let content = Content {
        target: event.target.presentation.clone(),
        author: by.presentation.clone(),
        request: by.request.clone(),
        source: by.source,
        changes: event.changes.clone(),
    };
    let content = serde_json::to_string(&content)
        .map_err(|e| StoreError::Damaged(format!("{WHAT} {sequence}: {e}")))?;
    let salt: [u8; 16] = (&SystemRandom as &dyn Random).bytes();
    let digest = digest(&salt, &content);
    let fixed = Fixed {
        sequence,
        at,
        kind: event.kind.name(),
        target_kind: event.target.kind.name(),
        target_id: &event.target.id,
        owner: event.target.owner.as_ref().map(UserId::as_str),
        author_kind: by.kind.name(),
        author_id: by.id.as_deref(),
        digest: &digest,
    };
    let hash = fixed.hash(before);
    sqlx::query(
        "INSERT INTO audit_events (sequence, at, kind, target_kind, target_id, owner, author_kind, author_id,
                                   digest, hash, salt, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(fixed.sequence)
    .bind(fixed.at)
    .bind(fixed.kind)
    .bind(fixed.target_kind)
    .bind(fixed.target_id)
    .bind(fixed.owner)
    .bind(fixed.author_kind)
    .bind(fixed.author_id)
    .bind(fixed.digest)
    .bind(hash.0.as_slice())
    .bind(salt.as_slice())
    .bind(content)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(hash)
}

/// Takes what is personal out of all events that concern `user`, within the transaction that is open on `connection`,
/// and records that. Returns how many there were.
pub(super) async fn erase(connection: &mut SqliteConnection, by: &Author, user: &UserId) -> Result<u64> {
    let erased = sqlx::query(
        "UPDATE audit_events SET salt = NULL, content = NULL
         WHERE (owner = ?1 OR author_id = ?1) AND content IS NOT NULL",
    )
    .bind(user.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?
    .rows_affected();
    let target = Target::user(user, "");
    let changes = vec![FieldChange::new("events", erased)];
    // Not by name, should it be the person's own wish.
    let nameless = Author { presentation: String::new(), source: None, ..by.clone() };
    let by = if by.id.as_deref() == Some(user.as_str()) { &nameless } else { by };
    record_one(connection, by, NewEvent { kind: EventKind::Erased, target, changes }).await?;
    Ok(erased)
}
