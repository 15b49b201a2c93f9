//! Searches in users and groups, page by page, and what a page shows beside them.

use async_trait::async_trait;

use super::Result;
use crate::{
    base::id::{GroupId, UserId},
    model::{
        search::{By, GroupFilter, GroupKey, Page, UserFilter, UserKey},
        user::{Access, Group, User},
    },
};

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The page.
    pub items: Vec<T>,
    /// How many there are on all pages, at the same moment.
    pub total: u64,
}

/// How many users a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Members {
    /// Who were put into it.
    pub own: u64,
    /// Those and who are in a group below it, each once.
    pub all: u64,
}

/// Searches. What is kept in memory is a page, never a table.
#[async_trait]
pub trait PeopleSearch: Send + Sync {
    /// The users that pass `filter`, in this order: equal ones, and all when it is empty, by login.
    ///
    /// # Errors
    /// [`Rule::Filter`](super::Rule::Filter) when the filter is too large.
    async fn find_users(&self, filter: &UserFilter, order: &[By<UserKey>], page: Page)
    -> Result<Found<User>>;

    /// The groups that pass `filter`, in this order: equal ones, and all when it is empty, by name.
    ///
    /// # Errors
    /// As [`PeopleSearch::find_users`].
    async fn find_groups(
        &self,
        filter: &GroupFilter,
        order: &[By<GroupKey>],
        page: Page,
    ) -> Result<Found<Group>>;

    /// The groups with these ids, in the order of their names. Ids of none are left out.
    async fn groups_by_id(&self, ids: &[GroupId]) -> Result<Vec<Group>>;

    /// For each of these users the groups that it is in, those above them included and the group of all users left out, in
    /// the order of the groups' names.
    async fn groups_of(&self, users: &[UserId]) -> Result<Vec<Vec<Group>>>;

    /// For each of these groups how many users it has. The group of all users has all but the guest.
    async fn count_members(&self, groups: &[GroupId]) -> Result<Vec<Members>>;

    /// For each of these users the last access, if one is known.
    async fn last_accesses(&self, users: &[UserId]) -> Result<Vec<Option<Access>>>;
}
