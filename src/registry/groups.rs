//! Groups: add, find, remove, and who is in them.
//!
//! Invariant: the groups of a declared user are those that the configuration file names.

use super::users::{PeopleError, find, sorted, undeclared};
use crate::{
    base::{
        id::{GroupId, UserId},
        random::Random,
        time::Clock,
    },
    model::{
        naming,
        user::{Group, User},
    },
    store::{
        StoreError,
        name::folded,
        people::{GroupStore, UserStore},
    },
};

/// Adds a group.
///
/// # Errors
/// [`PeopleError`]
pub async fn add(
    store: &(impl GroupStore + ?Sized),
    name: &str,
    description: Option<&str>,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Group, PeopleError> {
    naming::group(name).map_err(PeopleError::refused("name"))?;
    let now = clock.now();
    let group = Group {
        id: GroupId::random(random),
        name: name.to_owned(),
        description: description.map(ToOwned::to_owned),
        created: now,
        updated: now,
    };
    store.add_group(&group).await?;
    Ok(group)
}

/// The group that somebody means: by name, else by id.
///
/// # Errors
/// [`StoreError::NotFound`], or the store's.
pub async fn named(store: &(impl GroupStore + ?Sized), name: &str) -> Result<Group, PeopleError> {
    let groups = store.list_groups().await?;
    let by_name = groups.iter().find(|group| folded(&group.name) == folded(name));
    let found = by_name.or_else(|| groups.iter().find(|group| group.id.as_str() == name));
    Ok(found.cloned().ok_or(StoreError::NotFound { what: "group" })?)
}

/// The groups of these names; those that are missing are made.
///
/// # Errors
/// [`PeopleError`]
pub async fn ensure(
    store: &(impl GroupStore + ?Sized),
    names: &[String],
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<GroupId>, PeopleError> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let group = match named(store, name).await {
            Err(PeopleError::Store(StoreError::NotFound { .. })) => {
                match add(store, name, None, clock, random).await {
                    // Another gateway was quicker.
                    Err(PeopleError::Store(StoreError::Conflict { .. })) => named(store, name).await?,
                    made => made?,
                }
            }
            found => found?,
        };
        ids.push(group.id);
    }
    Ok(sorted(ids))
}

/// Removes a group. Its members stay, without it.
///
/// # Errors
/// [`PeopleError`]
pub async fn remove(store: &(impl GroupStore + ?Sized), id: &GroupId) -> Result<(), PeopleError> {
    Ok(store.remove_group(id).await?)
}

/// Puts a user into a group, or takes it out.
///
/// # Errors
/// [`PeopleError`]
pub async fn set_member(
    store: &(impl UserStore + ?Sized),
    group: &GroupId,
    user: &UserId,
    member: bool,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let before = undeclared(find(store, user).await?)?;
    if before.groups.contains(group) == member {
        return Ok(before);
    }
    let (group, now) = (group.clone(), clock.now());
    let carry_out = move |user: &mut User| {
        user.groups.retain(|other| *other != group);
        user.groups.extend(member.then(|| group.clone()));
        user.groups.sort();
        user.updated = now;
    };
    Ok(store.change_user(user, &carry_out, None).await?)
}
