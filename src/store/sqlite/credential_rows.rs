//! Reading permanent tokens and application passwords out of rows.
//!
//! Invariant: that of [`super::record`].

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{errors::store_error, record::Record};
use crate::{
    base::id::{ServiceId, TokenId, UserId},
    crypto::digest::TokenDigest,
    model::credential::{ApplicationPassword, CredentialKind, KnownCredential, PermanentToken, Use},
    store::Result,
};

/// The kinds, as the table names them.
pub(super) const TOKEN: &str = "permanent_token";
pub(super) const PASSWORD: &str = "application_password";

/// The id and the row under it.
fn record(row: &SqliteRow) -> Result<(TokenId, Record<'_>)> {
    let raw: &[u8] = row.try_get("id").map_err(store_error)?;
    let record = Record::named(row, "credential", raw.escape_ascii().to_string());
    let bytes = raw.try_into().map_err(|e| record.damaged("id", e))?;
    Ok((TokenId::from_bytes(bytes), record))
}

pub(super) fn digest(record: &Record<'_>) -> Result<TokenDigest> {
    let raw: &[u8] = record.get("digest")?;
    Ok(TokenDigest::from_bytes(raw.try_into().map_err(|e| record.damaged("digest", e))?))
}

fn user(record: &Record<'_>, column: &'static str) -> Result<UserId> {
    UserId::parse(record.get(column)?).map_err(|e| record.damaged(column, e))
}

fn scope(record: &Record<'_>) -> Result<Vec<ServiceId>> {
    let mut scope: Vec<ServiceId> = record.json("scope")?;
    scope.sort();
    Ok(scope)
}

pub(super) fn read_token(row: &SqliteRow) -> Result<PermanentToken> {
    let (id, record) = record(row)?;
    Ok(PermanentToken {
        id,
        user: user(&record, "user_id")?,
        author: user(&record, "author")?,
        name: record.get("name")?,
        scope: scope(&record)?,
        digest: digest(&record)?,
        created: record.time("created")?,
        used: record.optional_time("used")?,
    })
}

pub(super) fn read_password(row: &SqliteRow) -> Result<ApplicationPassword> {
    let (id, record) = record(row)?;
    let used = match (record.optional_time("used")?, record.get("used_from")?, record.get("used_agent")?) {
        (Some(at), Some(address), Some(user_agent)) => Some(Use { at, address, user_agent }),
        _ => None,
    };
    Ok(ApplicationPassword {
        id,
        user: user(&record, "user_id")?,
        name: record.get("name")?,
        digest: digest(&record)?,
        created: record.time("created")?,
        used,
    })
}

pub(super) fn read_known(row: &SqliteRow) -> Result<KnownCredential> {
    let (id, record) = record(row)?;
    let kind = match record.get::<&str>("kind")? {
        TOKEN => CredentialKind::PermanentToken,
        PASSWORD => CredentialKind::ApplicationPassword,
        _ => return Err(record.damaged("kind", "it is not known")),
    };
    Ok(KnownCredential {
        kind,
        id,
        digest: digest(&record)?,
        user: user(&record, "user_id")?,
        scope: scope(&record)?,
        created: record.time("created")?,
    })
}
