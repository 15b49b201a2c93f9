//! Links that are sent by mail, found by the digest of their token.
//!
//! Invariant: a link is judged by its user as that is in the transaction that writes or spends it.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{SqliteStore, audit, errors::store_error, record::Record, users};
use crate::{
    base::{id::UserId, time::Timestamp},
    crypto::digest::TokenDigest,
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target},
        link::{Link, LinkKind},
        revocation::Revocation,
        user::User,
    },
    store::{
        Result, StoreError,
        links::{LinkStore, UseLink},
    },
};

const WHAT: &str = "link";

fn read(row: &SqliteRow) -> Result<Link> {
    let record = Record::named(row, WHAT, "of a user".to_owned());
    let user: String = record.get("user_id")?;
    let record = Record::named(row, WHAT, user.clone());
    let kind: String = record.get("kind")?;
    Ok(Link {
        user: UserId::parse(&user).map_err(|e| record.damaged("user_id", e))?,
        kind: LinkKind::parse(&kind).ok_or_else(|| record.damaged("kind", "it is not known"))?,
        address: record.get("address")?,
        query: record.get("query")?,
        created: record.time("created")?,
        expires: record.time("expires")?,
    })
}

/// The link of this token and its user, if it is good.
async fn good(
    connection: &mut SqliteConnection,
    digest: &TokenDigest,
    now: Timestamp,
) -> Result<Option<(Link, User)>> {
    let row =
        sqlx::query("SELECT user_id, kind, address, query, created, expires FROM links WHERE digest = ?1")
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await
            .map_err(store_error)?;
    let Some(link) = row.as_ref().map(read).transpose()? else { return Ok(None) };
    let user = users::find(connection, &link.user).await?;
    Ok(user.filter(|user| link.is_good(user, now)).map(|user| (link, user)))
}

async fn tell(
    connection: &mut SqliteConnection,
    by: &Author,
    kind: EventKind,
    (link, user): (&Link, &User),
) -> Result<()> {
    let changes =
        vec![FieldChange::new("link", link.kind.name()), FieldChange::new("address", link.address.as_str())];
    let event = NewEvent { kind, target: Target::user(&user.id, &user.login), changes };
    audit::record_one(connection, by, event).await
}

async fn put(
    connection: &mut SqliteConnection,
    by: &Author,
    link: &Link,
    digest: &TokenDigest,
) -> Result<()> {
    let user = users::find(connection, &link.user).await?.filter(|user| link.fits(user));
    let user = user.ok_or(StoreError::NotFound { what: "user" })?;
    sqlx::query("DELETE FROM links WHERE user_id = ?1 AND (kind = 'address') = ?2")
        .bind(link.user.as_str())
        .bind(!link.kind.sets_password())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    sqlx::query(
        "INSERT INTO links (digest, user_id, kind, address, query, created, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(link.user.as_str())
    .bind(link.kind.name())
    .bind(link.address.as_str())
    .bind(link.query.as_str())
    .bind(link.created.millis())
    .bind(link.expires.millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    tell(connection, by, EventKind::LinkSent, (link, &user)).await
}

async fn spend(
    connection: &mut SqliteConnection,
    by: &Author,
    digest: &TokenDigest,
    now: Timestamp,
    (change, revocation): (UseLink<'_>, Option<&Revocation>),
) -> Result<Option<User>> {
    let Some((link, user)) = good(connection, digest, now).await? else { return Ok(None) };
    sqlx::query("DELETE FROM links WHERE digest = ?1")
        .bind(digest.as_bytes().as_slice())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    tell(connection, by, EventKind::LinkUsed, (&link, &user)).await?;
    users::change(connection, by, &link.user, change, revocation).await.map(Some)
}

/// Takes away what sets the password of a user.
pub(super) async fn end_of_user(connection: &mut SqliteConnection, user: &UserId) -> Result<()> {
    sqlx::query("DELETE FROM links WHERE user_id = ?1 AND kind <> 'address'")
        .bind(user.as_str())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl LinkStore for SqliteStore {
    async fn put_link(&self, link: &Link, digest: &TokenDigest) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = put(tx.connection(), &self.author, link, digest).await;
        tx.settle(outcome).await
    }

    async fn find_link(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<(Link, User)>> {
        good(&mut *self.readers.acquire().await.map_err(store_error)?, digest, now).await
    }

    async fn spend_link(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
        change: UseLink<'_>,
        revocation: Option<&Revocation>,
    ) -> Result<Option<User>> {
        let mut tx = self.writer.begin().await?;
        let outcome = spend(tx.connection(), &self.author, digest, now, (change, revocation)).await;
        tx.settle(outcome).await
    }

    async fn purge_links(&self, now: Timestamp) -> Result<u64> {
        self.purge(
            "DELETE FROM links WHERE digest IN (SELECT digest FROM links WHERE expires <= ?1 LIMIT 100)",
            &[now],
        )
        .await
    }
}
