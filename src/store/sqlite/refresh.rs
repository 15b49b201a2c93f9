//! Refresh tokens (RFC 6749 section 6), found by their digest.
//!
//! Invariant: a token is spent in the transaction that asks whether it was, and its successor lives from then on.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    errors::{conflict, store_error},
    grants,
    record::Record,
};
use crate::{
    base::time::Timestamp,
    crypto::digest::TokenDigest,
    model::grant::{Grant, RefreshToken},
    store::{
        Result,
        grants::{RefreshState, Rotation},
    },
};

const WHAT: &str = "refresh token of the grant";

fn read(row: &SqliteRow, digest: &TokenDigest) -> Result<(RefreshToken, Grant, RefreshState)> {
    let (record, grant) = grants::read(row, WHAT)?;
    let token = RefreshToken {
        digest: *digest,
        grant: grant.id.clone(),
        created: record.time("refresh_created")?,
        expires: record.time("refresh_expires")?,
    };
    let state = match record.optional_time("spent")? {
        None => RefreshState::Live,
        Some(at) => RefreshState::Spent { at, answer: record.get("answer")? },
    };
    Ok((token, grant, state))
}

pub(super) async fn add(connection: &mut SqliteConnection, refresh: &RefreshToken) -> Result<()> {
    sqlx::query("INSERT INTO refresh_tokens (digest, grant_id, created, expires) VALUES (?1, ?2, ?3, ?4)")
        .bind(refresh.digest.as_bytes().as_slice())
        .bind(refresh.grant.as_str())
        .bind(refresh.created.millis())
        .bind(refresh.expires.millis())
        .execute(connection)
        .await
        .map_err(|e| conflict(e, "refresh token", "id"))?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    digest: &TokenDigest,
) -> Result<Option<(RefreshToken, Grant, RefreshState)>> {
    let row = sqlx::query(
        "SELECT g.id, g.client, g.user_id, g.scope, g.session, g.authenticated, g.nonce, g.created,
                r.created AS refresh_created, r.expires AS refresh_expires, r.spent, r.answer
         FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.digest = ?1",
    )
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    row.map(|row| read(&row, digest)).transpose()
}

pub(super) async fn rotate(
    connection: &mut SqliteConnection,
    digest: &TokenDigest,
    successor: &RefreshToken,
    answer: &[u8],
    now: Timestamp,
) -> Result<Rotation> {
    // In one go, because this is the write that a busy gateway does all the time.
    let written = sqlx::query(
        "UPDATE refresh_tokens SET spent = ?6, answer = ?7
         WHERE digest = ?1 AND grant_id = ?3 AND spent IS NULL;
         INSERT INTO refresh_tokens (digest, grant_id, created, expires)
         SELECT ?2, ?3, ?4, ?5 WHERE changes() = 1",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(successor.digest.as_bytes().as_slice())
    .bind(successor.grant.as_str())
    .bind(successor.created.millis())
    .bind(successor.expires.millis())
    .bind(now.millis())
    .bind(answer)
    .execute(&mut *connection)
    .await
    .map_err(|e| conflict(e, "refresh token", "id"))?;
    if written.rows_affected() > 0 {
        return Ok(Rotation::First);
    }
    let spent = sqlx::query(
        "SELECT grant_id AS id, spent, answer FROM refresh_tokens
         WHERE digest = ?1 AND grant_id = ?2 AND spent IS NOT NULL",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(successor.grant.as_str())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    let Some(row) = spent else { return Ok(Rotation::Unknown) };
    let record = Record::of(&row, WHAT)?;
    Ok(Rotation::Spent { at: record.time("spent")?, answer: record.get("answer")? })
}
