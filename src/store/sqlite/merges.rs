//! One record in place of two, and a record without its person.
//!
//! Invariant: nobody gains a right by a merge of users but memberships, and a declared user not even these.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    errors::store_error,
    groups, nesting, users,
};
use crate::{
    base::{
        id::{GroupId, UserId},
        time::Timestamp,
    },
    model::{
        event::Author,
        revocation::Revocation,
        user::{Ban, User, UserProfile},
    },
    store::{Result, Rule, StoreError, people::MergeStore},
};

/// The reason of the ban of whoever is erased.
const ERASED: &str = "erased";

async fn user(connection: &mut SqliteConnection, id: &UserId) -> Result<User> {
    let user = users::find(connection, id).await?.ok_or(StoreError::NotFound { what: "user" })?;
    if user.guest { Err(StoreError::Against(Rule::Guest)) } else { Ok(user) }
}

async fn merge_users(
    connection: &mut SqliteConnection,
    by: &Author,
    (from, into): (&UserId, &UserId),
    updated: Timestamp,
    revocation: &Revocation,
) -> Result<User> {
    if from == into {
        return Err(StoreError::Against(Rule::Itself));
    }
    let gone = user(connection, from).await?;
    user(connection, into).await?;
    let join = |user: &mut User| {
        if !user.declared {
            user.groups.extend(gone.groups.iter().cloned());
        }
        user.updated = updated;
    };
    let stays = users::change(connection, by, into, &join, None).await?;
    users::remove(connection, by, from, revocation).await?;
    Ok(stays)
}

async fn erase(
    connection: &mut SqliteConnection,
    by: &Author,
    id: &UserId,
    login: &str,
    revocation: &Revocation,
) -> Result<User> {
    user(connection, id).await?;
    let now = revocation.revoked;
    let take_out = |user: &mut User| {
        *user = User {
            id: user.id.clone(),
            login: login.to_owned(),
            name: login.to_owned(),
            email: None,
            password: None,
            ban: Some(Ban { reason: ERASED.to_owned(), since: now, badge: String::new() }),
            guest: false,
            administrator: false,
            groups: Vec::new(),
            profile: UserProfile::default(),
            erased: Some(now),
            declared: user.declared,
            created: user.created,
            updated: now,
        };
    };
    let erased = users::change(connection, by, id, &take_out, Some(revocation)).await?;
    sqlx::query(
        "DELETE FROM consents WHERE user_id = ?1;
         DELETE FROM credentials WHERE user_id = ?1;
         DELETE FROM second_steps WHERE user_id = ?1;
         DELETE FROM user_accesses WHERE user_id = ?1",
    )
    .bind(id.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    // What the log says of the person goes too; that something happened stays.
    audit::erase(connection, by, id).await?;
    Ok(erased)
}

async fn merge_groups(
    connection: &mut SqliteConnection,
    by: &Author,
    from: &GroupId,
    into: &GroupId,
) -> Result<()> {
    let missing = || StoreError::NotFound { what: "group" };
    groups::find(connection, from).await?.ok_or_else(missing)?;
    let successor = groups::find(connection, into).await?.ok_or_else(missing)?;
    if from == into {
        return Err(StoreError::Against(Rule::Itself));
    }
    if nesting::is_below(connection, into, from).await? {
        return Err(StoreError::Against(Rule::Cycle));
    }
    if !successor.all_users {
        let version = count(connection, Topic::Users).await?;
        groups::mark_members(connection, from, version).await?;
        sqlx::query(
            "INSERT OR IGNORE INTO memberships (user_id, group_id)
             SELECT user_id, ?2 FROM memberships WHERE group_id = ?1",
        )
        .bind(from.as_str())
        .bind(into.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
        let below: Vec<String> = sqlx::query_scalar("SELECT id FROM user_groups WHERE parent = ?1")
            .bind(from.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(store_error)?;
        for id in below {
            let id = GroupId::parse(&id).map_err(|e| StoreError::Damaged(format!("group {id:?}: {e}")))?;
            nesting::put_below(connection, &id, Some(into)).await?;
        }
    }
    groups::remove(connection, by, from).await
}

#[async_trait]
impl MergeStore for SqliteStore {
    async fn merge_user(
        &self,
        from: &UserId,
        into: &UserId,
        updated: Timestamp,
        revocation: &Revocation,
    ) -> Result<User> {
        let mut tx = self.writer.begin().await?;
        let outcome = merge_users(tx.connection(), &self.author, (from, into), updated, revocation).await;
        tx.settle(outcome).await
    }

    async fn erase_user(&self, id: &UserId, login: &str, revocation: &Revocation) -> Result<User> {
        let mut tx = self.writer.begin().await?;
        let outcome = erase(tx.connection(), &self.author, id, login, revocation).await;
        tx.settle(outcome).await
    }

    async fn merge_group(&self, from: &GroupId, into: &GroupId) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = merge_groups(tx.connection(), &self.author, from, into).await;
        tx.settle(outcome).await
    }
}
