//! Revocations.
//!
//! Invariant: a target has one row; merging never makes it forget sooner or kill less.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    credential_cascades,
    errors::store_error,
    links,
    record::Record,
};
use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target, TargetKind},
        revocation::{Revocation, RevocationTarget},
    },
    store::{Result, RevocationStore, StoreError},
};

const TOKEN: &str = "token";
const GRANT: &str = "grant";
const SESSION: &str = "session";
const CLIENT: &str = "client";
const USER: &str = "user";
const CONSENT: &str = "consent";

/// Stands between the two ids of a consent; no id has it.
const BETWEEN: char = ' ';

fn read(row: &SqliteRow) -> Result<Revocation> {
    let kind: String = row.try_get("kind").map_err(store_error)?;
    let raw: &[u8] = row.try_get("target").map_err(store_error)?;
    let record = Record::named(row, "revocation", format!("{kind} {}", raw.escape_ascii()));
    let wrong = |why: &dyn std::fmt::Display| record.damaged("target", why);
    let text = || std::str::from_utf8(raw).map_err(|e| wrong(&e));
    let service = |text: &str| ServiceId::parse(text).map_err(|e| wrong(&e));
    let user = |text: &str| UserId::parse(text).map_err(|e| wrong(&e));
    let target = match kind.as_str() {
        TOKEN => <[u8; 16]>::try_from(raw)
            .map(|bytes| RevocationTarget::Token(TokenId::from_bytes(bytes)))
            .map_err(|e| wrong(&e))?,
        GRANT => RevocationTarget::Grant(GrantId::parse(text()?).map_err(|e| wrong(&e))?),
        SESSION => RevocationTarget::Session(SessionId::parse(text()?).map_err(|e| wrong(&e))?),
        CLIENT => RevocationTarget::Client(service(text()?)?),
        USER => RevocationTarget::User(user(text()?)?),
        CONSENT => {
            let (of, client) = text()?.split_once(BETWEEN).ok_or_else(|| wrong(&"it is one id, not two"))?;
            RevocationTarget::Consent(user(of)?, service(client)?)
        }
        _ => return Err(record.damaged("kind", "it is not known")),
    };
    Ok(Revocation { target, revoked: record.time("revoked")?, expires: record.time("expires")? })
}

/// Records `revocation` within the transaction that is open on `connection`.
pub(super) async fn record(connection: &mut SqliteConnection, revocation: &Revocation) -> Result<()> {
    let text = |id: &str| id.as_bytes().to_vec();
    let (kind, target) = match &revocation.target {
        RevocationTarget::Token(id) => (TOKEN, id.as_bytes().to_vec()),
        RevocationTarget::Grant(id) => (GRANT, text(id.as_str())),
        RevocationTarget::Session(id) => (SESSION, text(id.as_str())),
        RevocationTarget::Client(id) => (CLIENT, text(id.as_str())),
        RevocationTarget::User(id) => (USER, text(id.as_str())),
        RevocationTarget::Consent(user, client) => (CONSENT, text(&format!("{user}{BETWEEN}{client}"))),
    };
    sqlx::query(
        "INSERT INTO revocations (kind, target, revoked, expires) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, target) DO UPDATE
         SET revoked = max(revoked, excluded.revoked), expires = max(expires, excluded.expires)",
    )
    .bind(kind)
    .bind(target)
    .bind(revocation.revoked.millis())
    .bind(revocation.expires.millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    bury_sessions(connection, revocation).await?;
    if let RevocationTarget::User(user) = &revocation.target {
        credential_cascades::end_passwords(connection, user).await?;
        links::end_of_user(connection, user).await?;
    }
    end(connection, &revocation.target).await?;
    count(connection, Topic::Revocations).await?;
    Ok(())
}

/// The same, with an event of its own: where nothing else is recorded that explains it.
pub(super) async fn record_told(
    connection: &mut SqliteConnection,
    by: &Author,
    revocation: &Revocation,
    kind: EventKind,
) -> Result<()> {
    let target = told(connection, &revocation.target).await?;
    let event =
        NewEvent { kind, target, changes: vec![FieldChange::new("revoked", revocation.revoked.millis())] };
    audit::record_one(connection, by, event).await?;
    record(connection, revocation).await
}

/// How the audit log names what a revocation ends, as long as it is still there.
async fn told(connection: &mut SqliteConnection, target: &RevocationTarget) -> Result<Target> {
    let of = |kind, id: &str| Target { kind, id: id.to_owned(), presentation: String::new(), owner: None };
    let (target, owner) = match target {
        RevocationTarget::Token(id) => (of(TargetKind::Token, &id.to_string()), None),
        RevocationTarget::Client(id) => (of(TargetKind::Service, id.as_str()), None),
        RevocationTarget::User(id) => (of(TargetKind::User, id.as_str()), Some(id.to_string())),
        RevocationTarget::Consent(user, client) => {
            (of(TargetKind::Consent, &format!("{user}{BETWEEN}{client}")), Some(user.to_string()))
        }
        RevocationTarget::Session(id) => {
            let query = sqlx::query_scalar("SELECT user_id FROM sessions WHERE id = ?1").bind(id.as_str());
            let user = query.fetch_optional(connection).await.map_err(store_error)?;
            (of(TargetKind::Session, id.as_str()), user)
        }
        RevocationTarget::Grant(id) => {
            let query = sqlx::query_as(
                "SELECT user_id, client FROM grants WHERE id = ?1
                 UNION ALL SELECT user_id, client FROM codes WHERE grant_id = ?1 LIMIT 1",
            );
            let found: Option<(String, String)> =
                query.bind(id.as_str()).fetch_optional(connection).await.map_err(store_error)?;
            let (user, client) = found.unzip();
            let presentation = client.map(|client| format!("of {client}")).unwrap_or_default();
            (Target { presentation, ..of(TargetKind::Grant, id.as_str()) }, user)
        }
    };
    let owner = owner.as_deref().map(UserId::parse).transpose();
    let owner = owner.map_err(|e| StoreError::Damaged(format!("{}: user: {e}", target.id)))?;
    Ok(Target { owner, ..target })
}

/// With a user end the sessions, each by its id: an answer that one of them was good for may be made at this moment, and
/// what is made after the time of the revocation is not hit by that.
async fn bury_sessions(connection: &mut SqliteConnection, revocation: &Revocation) -> Result<()> {
    let RevocationTarget::User(user) = &revocation.target else { return Ok(()) };
    sqlx::query(
        "INSERT INTO revocations (kind, target, revoked, expires)
         SELECT 'session', CAST(id AS BLOB), ?2, ?3 FROM sessions WHERE user_id = ?1
         ON CONFLICT (kind, target) DO UPDATE
         SET revoked = max(revoked, excluded.revoked), expires = max(expires, excluded.expires)",
    )
    .bind(user.as_str())
    .bind(revocation.revoked.millis())
    .bind(revocation.expires.millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Takes away what `target` ends and the store keeps, whenever it was made: nothing of it may come to life again.
async fn end(connection: &mut SqliteConnection, target: &RevocationTarget) -> Result<()> {
    // Refresh tokens go with their grant.
    let query = match target {
        RevocationTarget::Token(_) => return Ok(()),
        RevocationTarget::Grant(id) => sqlx::query(
            "DELETE FROM grants WHERE id = ?1;
             DELETE FROM codes WHERE grant_id = ?1",
        )
        .bind(id.as_str()),
        RevocationTarget::Session(id) => sqlx::query(
            "DELETE FROM sessions WHERE id = ?1;
             DELETE FROM grants WHERE session = ?1;
             DELETE FROM codes WHERE session = ?1",
        )
        .bind(id.as_str()),
        RevocationTarget::Client(id) => sqlx::query(
            "DELETE FROM consents WHERE client = ?1;
             DELETE FROM grants WHERE client = ?1;
             DELETE FROM codes WHERE client = ?1",
        )
        .bind(id.as_str()),
        RevocationTarget::User(id) => sqlx::query(
            "DELETE FROM sessions WHERE user_id = ?1;
             DELETE FROM grants WHERE user_id = ?1;
             DELETE FROM codes WHERE user_id = ?1",
        )
        .bind(id.as_str()),
        RevocationTarget::Consent(user, client) => sqlx::query(
            "DELETE FROM consents WHERE user_id = ?1 AND client = ?2;
             DELETE FROM grants WHERE user_id = ?1 AND client = ?2;
             DELETE FROM codes WHERE user_id = ?1 AND client = ?2",
        )
        .bind(user.as_str())
        .bind(client.as_str()),
    };
    query.execute(connection).await.map_err(store_error)?;
    Ok(())
}

/// What somebody is about to be given, judged at the time `made`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'c> {
    pub(super) user: &'c UserId,
    pub(super) client: Option<&'c ServiceId>,
    pub(super) session: Option<&'c SessionId>,
    pub(super) grant: Option<&'c GrantId>,
    pub(super) made: Timestamp,
}

/// Refuses what was revoked between being judged and being written, which no later revocation would find.
pub(super) async fn refuse_ended(connection: &mut SqliteConnection, claim: Claim<'_>) -> Result<()> {
    let ended: Option<String> = sqlx::query_scalar(
        "SELECT CASE
             WHEN NOT EXISTS (SELECT 1 FROM users WHERE id = ?1) THEN 'user'
             WHEN EXISTS (SELECT 1 FROM revocations
                          WHERE kind = 'user' AND target = CAST(?1 AS BLOB) AND revoked > ?5) THEN 'user'
             WHEN EXISTS (SELECT 1 FROM revocations
                          WHERE kind = 'client' AND target = CAST(?2 AS BLOB) AND revoked > ?5) THEN 'service'
             WHEN EXISTS (SELECT 1 FROM revocations
                          WHERE kind = 'consent' AND target = CAST(?1 || ' ' || ?2 AS BLOB)
                                AND revoked > ?5) THEN 'consent'
             WHEN EXISTS (SELECT 1 FROM revocations
                          WHERE kind = 'session' AND target = CAST(?3 AS BLOB)) THEN 'session'
             WHEN EXISTS (SELECT 1 FROM revocations
                          WHERE kind = 'grant' AND target = CAST(?4 AS BLOB)) THEN 'grant'
         END",
    )
    .bind(claim.user.as_str())
    .bind(claim.client.map(ServiceId::as_str))
    .bind(claim.session.map(SessionId::as_str))
    .bind(claim.grant.map(GrantId::as_str))
    .bind(claim.made.millis())
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    let kinds = [USER, "service", CONSENT, SESSION, GRANT];
    match ended {
        None => Ok(()),
        Some(ended) => {
            let what = kinds.into_iter().find(|kind| *kind == ended).unwrap_or(GRANT);
            Err(StoreError::NotFound { what })
        }
    }
}

#[async_trait]
impl RevocationStore for SqliteStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        record_told(tx.connection(), &self.author, revocation, EventKind::TokenRevoked).await?;
        tx.commit().await
    }

    async fn revoke_replayed(&self, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        record_told(tx.connection(), &self.author, revocation, EventKind::Replayed).await?;
        tx.commit().await
    }

    async fn list_revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        let rows = sqlx::query("SELECT kind, target, revoked, expires FROM revocations WHERE expires > ?1")
            .bind(now.millis())
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn purge_revocations(&self, now: Timestamp) -> Result<u64> {
        self.purge(
            "DELETE FROM revocations WHERE (kind, target) IN
             (SELECT kind, target FROM revocations WHERE expires <= ?1 LIMIT 100)",
            &[now],
        )
        .await
    }
}
