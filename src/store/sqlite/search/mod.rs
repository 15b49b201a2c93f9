//! Searches in users and groups.
//!
//! Invariant: what is read is a page and what belongs to it, at one moment.

mod compile;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use self::compile::Sql;
use super::{SqliteStore, errors::store_error, groups, record::Record, users};
use crate::{
    base::{
        FastMap,
        id::{GroupId, UserId},
    },
    model::{
        search::{By, Condition, Filter, GroupFilter, GroupKey, Page, UserFilter, UserKey},
        user::{Access, Group, User},
    },
    store::{
        Result, Rule, StoreError,
        name::{folded, words},
        search::{Found, Members, PeopleSearch},
    },
};

/// How many rows of an older version are filled in with one transaction.
const SLICE: usize = 1000;

/// Gives rows that an older version has written what searches look at.
pub(super) async fn fill_in(connection: &mut SqliteConnection) -> Result<()> {
    let groups = "SELECT id, name FROM user_groups WHERE words IS NULL";
    for row in sqlx::query(groups).fetch_all(&mut *connection).await.map_err(store_error)? {
        let record = Record::of(&row, "group")?;
        sqlx::query("UPDATE user_groups SET words = ?2 WHERE id = ?1")
            .bind(record.id())
            .bind(groups::joined_words(record.get("name")?))
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    while fill_in_slice(connection).await? == SLICE {}
    Ok(())
}

async fn fill_in_slice(connection: &mut SqliteConnection) -> Result<usize> {
    let rows = sqlx::query("SELECT id, login, name, email FROM users WHERE folded_name IS NULL LIMIT 1000")
        .fetch_all(&mut *connection)
        .await
        .map_err(store_error)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut tx = sqlx::Connection::begin(connection).await.map_err(store_error)?;
    for row in &rows {
        let record = Record::of(row, "user")?;
        let (login, name): (&str, &str) = (record.get("login")?, record.get("name")?);
        let email: Option<&str> = record.get("email")?;
        sqlx::query("UPDATE users SET folded_name = ?2, folded_email = ?3 WHERE id = ?1")
            .bind(record.id())
            .bind(folded(name))
            .bind(email.map(folded))
            .execute(&mut *tx)
            .await
            .map_err(store_error)?;
        put_words(&mut tx, record.id(), [login, name, email.unwrap_or_default()]).await?;
    }
    tx.commit().await.map_err(store_error)?;
    Ok(rows.len())
}

/// Writes the words under which a user, who has none, is found.
pub(super) async fn put_words(connection: &mut SqliteConnection, id: &str, texts: [&str; 3]) -> Result<()> {
    let words: Vec<String> = texts.into_iter().flat_map(words).collect();
    sqlx::query("INSERT OR IGNORE INTO user_words (word, user_id) SELECT value, ?2 FROM json_each(?1)")
        .bind(serde_json::to_string(&words).unwrap_or_default())
        .bind(id)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// What a search of one kind consists of.
struct Search<'s, T, K> {
    everything: &'static str,
    count: &'static str,
    condition: fn(&mut Sql, &T),
    key: fn(K) -> &'static str,
    /// What no two have in common.
    unique: &'static str,
    filter: &'s Filter<T>,
    order: &'s [By<K>],
    page: Page,
}

impl<T: Condition, K: Copy + PartialEq> Search<'_, T, K> {
    async fn find<R>(&self, store: &SqliteStore, read: fn(&SqliteRow) -> Result<R>) -> Result<Found<R>> {
        self.filter.check().map_err(|error| StoreError::Against(Rule::Filter(error)))?;
        // One transaction, so that the page and the total are of one moment.
        let mut tx = store.readers.begin().await.map_err(store_error)?;
        let mut count = Sql::new(self.count);
        count.restrict(self.filter, self.condition);
        let total: i64 = count.scalar().fetch_one(&mut *tx).await.map_err(store_error)?;
        let total = u64::try_from(total).unwrap_or(0);
        if self.page.top == Some(0) || self.page.skip >= total {
            return Ok(Found { items: Vec::new(), total });
        }
        let mut page = Sql::new(self.everything);
        page.restrict(self.filter, self.condition);
        page.order(self.order, self.key, self.unique);
        page.page(self.page);
        let rows = page.query().fetch_all(&mut *tx).await.map_err(store_error)?;
        Ok(Found { items: rows.iter().map(read).collect::<Result<_>>()?, total })
    }
}

/// A list as an argument of `json_each`; ids have no character that would suffer.
fn list<'i>(ids: impl Iterator<Item = &'i str>) -> String {
    serde_json::to_string(&ids.collect::<Vec<_>>()).unwrap_or_default()
}

#[async_trait]
impl PeopleSearch for SqliteStore {
    async fn find_users(
        &self,
        filter: &UserFilter,
        order: &[By<UserKey>],
        page: Page,
    ) -> Result<Found<User>> {
        let search = Search {
            everything: users::select!(""),
            count: "SELECT count(*) FROM users u ",
            condition: compile::user,
            key: compile::user_key,
            unique: "u.folded_login",
            filter,
            order,
            page,
        };
        search.find(self, users::read).await
    }

    async fn find_groups(
        &self,
        filter: &GroupFilter,
        order: &[By<GroupKey>],
        page: Page,
    ) -> Result<Found<Group>> {
        let search = Search {
            everything: groups::select!(""),
            count: "SELECT count(*) FROM user_groups g ",
            condition: compile::group,
            key: compile::group_key,
            unique: "g.folded_name",
            filter,
            order,
            page,
        };
        search.find(self, groups::read).await
    }

    async fn groups_by_id(&self, ids: &[GroupId]) -> Result<Vec<Group>> {
        let query = groups::select!("WHERE g.id IN (SELECT value FROM json_each(?1)) ORDER BY g.folded_name");
        let rows = sqlx::query(query)
            .bind(list(ids.iter().map(GroupId::as_str)))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(groups::read).collect()
    }

    async fn groups_of(&self, users: &[UserId]) -> Result<Vec<Vec<Group>>> {
        let rows = sqlx::query(
            "SELECT DISTINCT m.user_id, g.id, g.name, g.description, g.icon_url, g.parent, g.auto_join, g.all_users,
                    g.created, g.updated, g.folded_name
             FROM json_each(?1) j CROSS JOIN memberships m ON m.user_id = j.value
             JOIN group_nesting n ON n.group_id = m.group_id JOIN user_groups g ON g.id = n.above
             ORDER BY g.folded_name",
        )
        .bind(list(users.iter().map(UserId::as_str)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let mut of: FastMap<String, Vec<Group>> = FastMap::default();
        for row in &rows {
            of.entry(row.try_get("user_id").map_err(store_error)?).or_default().push(groups::read(row)?);
        }
        Ok(users.iter().map(|user| of.get(user.as_str()).cloned().unwrap_or_default()).collect())
    }

    async fn count_members(&self, groups: &[GroupId]) -> Result<Vec<Members>> {
        // Only where there are groups below is it worth looking whom they have in common.
        let rows = sqlx::query(
            "SELECT g.id,
                    CASE g.all_users WHEN 1 THEN (SELECT count(*) FROM users) - (SELECT count(*) FROM users WHERE guest = 1)
                    ELSE (SELECT count(*) FROM memberships m WHERE m.group_id = g.id) END AS own,
                    CASE WHEN (SELECT count(*) FROM group_nesting n WHERE n.above = g.id) > 1
                    THEN (SELECT count(DISTINCT m.user_id) FROM group_nesting n
                          JOIN memberships m ON m.group_id = n.group_id WHERE n.above = g.id) END AS nested
             FROM user_groups g WHERE g.id IN (SELECT value FROM json_each(?1))",
        )
        .bind(list(groups.iter().map(GroupId::as_str)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let mut of: FastMap<String, Members> = FastMap::default();
        for row in &rows {
            let record = Record::of(row, "group")?;
            let number = |count: i64| u64::try_from(count).unwrap_or(0);
            let own = number(record.get("own")?);
            let all = record.get::<Option<i64>>("nested")?.map_or(own, number);
            of.insert(record.id().to_owned(), Members { own, all });
        }
        Ok(groups.iter().map(|group| of.get(group.as_str()).copied().unwrap_or_default()).collect())
    }

    async fn last_accesses(&self, users: &[UserId]) -> Result<Vec<Option<Access>>> {
        let rows = sqlx::query(
            "SELECT user_id AS id, time, address, user_agent FROM user_accesses
             WHERE user_id IN (SELECT value FROM json_each(?1))",
        )
        .bind(list(users.iter().map(UserId::as_str)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let mut of: FastMap<String, Access> = FastMap::default();
        for row in &rows {
            let record = Record::of(row, "last access")?;
            let access = Access {
                time: record.time("time")?,
                address: record.get("address")?,
                user_agent: record.get("user_agent")?,
            };
            of.insert(record.id().to_owned(), access);
        }
        Ok(users.iter().map(|user| of.get(user.as_str()).cloned()).collect())
    }
}
