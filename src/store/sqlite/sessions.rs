//! Sessions, found by the digest of their cookie.
//!
//! Invariant: no session begins for a user who was signed out everywhere after it was judged.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    errors::{conflict, store_error},
    record::Record,
    revocations::{self, Claim},
    users,
};
use crate::{
    base::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target},
        revocation::Revocation,
        session::{Session, SessionLife},
        user::User,
    },
    store::{Result, StoreError, people::SessionStore},
};

const WHAT: &str = "session";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.user_id, s.authenticated, s.used, s.remember, s.user_agent, s.address
             FROM sessions s ",
            $rest
        )
    };
}

pub(super) fn read(row: &SqliteRow) -> Result<Session> {
    let record = Record::of(row, WHAT)?;
    Ok(Session {
        id: SessionId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        user: UserId::parse(record.get("user_id")?).map_err(|e| record.damaged("user_id", e))?,
        authenticated: record.time("authenticated")?,
        used: record.time("used")?,
        remember: record.flag("remember")?,
        user_agent: record.get("user_agent")?,
        address: record.get("address")?,
    })
}

/// Takes a session away; returns whose it was.
async fn delete(connection: &mut SqliteConnection, id: &SessionId) -> Result<Option<UserId>> {
    let deleted: Vec<String> = sqlx::query_scalar("DELETE FROM sessions WHERE id = ?1 RETURNING user_id")
        .bind(id.as_str())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let user = deleted.first().map(|user| UserId::parse(user)).transpose();
    user.map_err(|e| StoreError::Damaged(format!("{WHAT} {:?}: user_id: {e}", id.as_str())))
}

/// Records that a session of `user` began or ended.
async fn tell(
    connection: &mut SqliteConnection,
    by: &Author,
    (kind, user): (EventKind, &UserId),
    changes: Vec<FieldChange>,
) -> Result<()> {
    let login: Option<String> = sqlx::query_scalar("SELECT login FROM users WHERE id = ?1")
        .bind(user.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    let target = Target::user(user, &login.unwrap_or_default());
    audit::record_one(connection, by, NewEvent { kind, target, changes }).await
}

async fn begin(
    connection: &mut SqliteConnection,
    by: &Author,
    session: &Session,
    digest: &TokenDigest,
    replaced: Option<(&SessionId, Option<&Revocation>)>,
) -> Result<()> {
    // The new one is written last: what is revoked here is what came before it.
    if let Some((replaced, revocation)) = replaced {
        let user = delete(connection, replaced).await?;
        if let Some(revocation) = revocation {
            if let Some(user) = user {
                let changes = vec![FieldChange::gone("session", replaced.as_str())];
                tell(connection, by, (EventKind::SignedOut, &user), changes).await?;
            }
            revocations::record(connection, revocation).await?;
        }
    }
    // One that goes on under the id of the one before is not begun after that was ended.
    let claim = Claim {
        user: &session.user,
        client: None,
        session: Some(&session.id),
        grant: None,
        made: session.authenticated,
    };
    revocations::refuse_ended(connection, claim).await?;
    sqlx::query(
        "INSERT INTO sessions (id, digest, user_id, authenticated, used, remember, user_agent, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(session.id.as_str())
    .bind(digest.as_bytes().as_slice())
    .bind(session.user.as_str())
    .bind(session.authenticated.millis())
    .bind(session.used.millis())
    .bind(session.remember)
    .bind(session.user_agent.as_str())
    .bind(session.address.as_str())
    .execute(&mut *connection)
    .await
    .map_err(|e| conflict(e, WHAT, "id"))?;
    note_access(connection, &session.id).await?;
    let changes = vec![
        FieldChange::new("session", session.id.as_str()),
        FieldChange::new("address", session.address.as_str()),
        FieldChange::new("browser", session.user_agent.as_str()),
        FieldChange::new("remembered", session.remember),
    ];
    tell(connection, by, (EventKind::SignedIn, &session.user), changes).await
}

/// Makes a session's last use its user's last access, unless a later one is known.
async fn note_access(connection: &mut SqliteConnection, id: &SessionId) -> Result<()> {
    sqlx::query(
        "INSERT INTO user_accesses (user_id, time, address, user_agent)
         SELECT user_id, used, address, user_agent FROM sessions WHERE id = ?1
         ON CONFLICT (user_id) DO UPDATE
         SET time = excluded.time, address = excluded.address, user_agent = excluded.user_agent
         WHERE excluded.time >= time",
    )
    .bind(id.as_str())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn begin_session(
        &self,
        session: &Session,
        digest: &TokenDigest,
        replaced: Option<(&SessionId, Option<&Revocation>)>,
    ) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = begin(tx.connection(), &self.author, session, digest, replaced).await;
        tx.settle(outcome).await
    }

    async fn find_session(&self, digest: &TokenDigest) -> Result<Option<(Session, User)>> {
        let mut reader = self.readers.acquire().await.map_err(store_error)?;
        let row = sqlx::query(select!("WHERE s.digest = ?1"))
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(&mut *reader)
            .await
            .map_err(store_error)?;
        let Some(session) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        let user = users::find(&mut reader, &session.user).await?;
        Ok(user.map(|user| (session, user)))
    }

    async fn touch_session(&self, id: &SessionId, used: Timestamp, address: &str) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        // Of two notes that overtake one another the later use stays.
        sqlx::query("UPDATE sessions SET used = ?2, address = ?3 WHERE id = ?1 AND used <= ?2")
            .bind(id.as_str())
            .bind(used.millis())
            .bind(address)
            .execute(tx.connection())
            .await
            .map_err(store_error)?;
        note_access(tx.connection(), id).await?;
        tx.commit().await
    }

    async fn end_session(&self, id: &SessionId, revocation: &Revocation) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let Some(user) = delete(tx.connection(), id).await? else {
            tx.abandon().await?;
            return Ok(false);
        };
        let changes = vec![FieldChange::gone("session", id.as_str())];
        tell(tx.connection(), &self.author, (EventKind::SignedOut, &user), changes).await?;
        revocations::record(tx.connection(), revocation).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn list_sessions(&self, user: &UserId) -> Result<Vec<Session>> {
        let rows = sqlx::query(select!("WHERE s.user_id = ?1 ORDER BY s.used DESC, s.id"))
            .bind(user.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn purge_sessions(&self, life: SessionLife, now: Timestamp) -> Result<u64> {
        let (unused, old) = (now.minus(life.idle), now.minus(life.absolute));
        self.purge(
            "DELETE FROM sessions WHERE rowid IN
             (SELECT rowid FROM sessions WHERE used <= ?1 OR authenticated <= ?2 LIMIT 100)",
            &[unused, old],
        )
        .await
    }
}
