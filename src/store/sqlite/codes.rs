//! Authorization codes (RFC 6749 section 4.1.2), each a row that carries the grant that it will become.
//!
//! Invariant: a code is used in the transaction that asks whether it was; a second use ends what came of the first.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    errors::{conflict, store_error},
    grants, refresh, revocations,
};
use crate::{
    base::{
        id::{GrantId, SessionId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::{
        event::{Author, EventKind},
        grant::{AuthorizationCode, Challenge, ChallengeMethod, RefreshToken},
        revocation::{Revocation, RevocationTarget},
    },
    store::{Result, StoreError, grants::Exchange},
};

const WHAT: &str = "code of the grant";

fn read(row: &SqliteRow, digest: &TokenDigest) -> Result<(AuthorizationCode, bool)> {
    let (record, grant) = grants::read(row, WHAT)?;
    let challenge = match (record.get("challenge")?, record.get::<Option<&str>>("challenge_method")?) {
        (Some(value), Some(method)) => {
            let method = ChallengeMethod::parse(method)
                .ok_or_else(|| record.damaged("challenge_method", format_args!("{method:?} is not known")))?;
            Some(Challenge { method, value })
        }
        (None, None) => None,
        // Without its challenge a code would be anybody's.
        _ => return Err(record.damaged("challenge", "a half of it is missing")),
    };
    let code = AuthorizationCode {
        digest: *digest,
        grant,
        redirect_uri: record.get("redirect_uri")?,
        challenge,
        offline: record.flag("offline")?,
        expires: record.time("expires")?,
    };
    Ok((code, record.flag("used")?))
}

pub(super) async fn add(connection: &mut SqliteConnection, code: &AuthorizationCode) -> Result<()> {
    let grant = &code.grant;
    revocations::refuse_ended(connection, grants::claim(grant)).await?;
    sqlx::query(
        "INSERT INTO codes (digest, grant_id, client, user_id, scope, session, authenticated, nonce, created,
                            redirect_uri, challenge_method, challenge, offline, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(code.digest.as_bytes().as_slice())
    .bind(grant.id.as_str())
    .bind(grant.client.as_str())
    .bind(grant.user.as_str())
    .bind(grants::scope(grant)?)
    .bind(grant.session.as_ref().map(SessionId::as_str))
    .bind(grant.authenticated.millis())
    .bind(grant.nonce.as_deref())
    .bind(grant.created.millis())
    .bind(code.redirect_uri.as_deref())
    .bind(code.challenge.as_ref().map(|challenge| challenge.method.name()))
    .bind(code.challenge.as_ref().map(|challenge| challenge.value.as_str()))
    .bind(code.offline)
    .bind(code.expires.millis())
    .execute(connection)
    .await
    .map_err(|e| conflict(e, "code", "id"))?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    digest: &TokenDigest,
) -> Result<Option<(AuthorizationCode, bool)>> {
    let row = sqlx::query(
        "SELECT grant_id AS id, client, user_id, scope, session, authenticated, nonce, created, redirect_uri,
                challenge_method, challenge, offline, expires, used
         FROM codes WHERE digest = ?1",
    )
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    row.map(|row| read(&row, digest)).transpose()
}

pub(super) async fn exchange(
    connection: &mut SqliteConnection,
    by: &Author,
    digest: &TokenDigest,
    refresh: Option<&RefreshToken>,
    now: Timestamp,
) -> Result<Exchange> {
    let used: Vec<String> =
        sqlx::query_scalar("UPDATE codes SET used = 1 WHERE digest = ?1 AND used = 0 RETURNING grant_id")
            .bind(digest.as_bytes().as_slice())
            .fetch_all(&mut *connection)
            .await
            .map_err(store_error)?;
    if let Some(grant) = used.first() {
        if let Some(refresh) = refresh {
            if refresh.grant.as_str() != grant {
                return Err(StoreError::NotFound { what: "grant" });
            }
            bring_into_being(connection, digest).await?;
            refresh::add(connection, refresh).await?;
        }
        return Ok(Exchange::First);
    }
    let replayed: Option<String> = sqlx::query_scalar("SELECT grant_id FROM codes WHERE digest = ?1")
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    let Some(grant) = replayed else { return Ok(Exchange::Unknown) };
    let grant =
        GrantId::parse(&grant).map_err(|e| StoreError::Damaged(format!("{WHAT} {grant:?}: id: {e}")))?;
    let revocation = Revocation::at(now, RevocationTarget::Grant(grant));
    revocations::record_told(connection, by, &revocation, EventKind::Replayed).await?;
    Ok(Exchange::Replayed)
}

/// Makes the grant of a code a grant of its own.
async fn bring_into_being(connection: &mut SqliteConnection, digest: &TokenDigest) -> Result<()> {
    sqlx::query(
        "INSERT INTO grants (id, client, user_id, scope, session, authenticated, nonce, created)
         SELECT grant_id, client, user_id, scope, session, authenticated, nonce, created
         FROM codes WHERE digest = ?1",
    )
    .bind(digest.as_bytes().as_slice())
    .execute(connection)
    .await
    .map_err(|e| conflict(e, "grant", "id"))?;
    Ok(())
}
