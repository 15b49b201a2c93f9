//! Groups: add, find, change, remove, and who is in them.
//!
//! Invariant: the groups of a declared user are those that the configuration file names.

use super::users::{self, PeopleError, sorted, undeclared};
use crate::{
    base::{
        id::{GroupId, UserId},
        random::Random,
        time::{Clock, Timestamp},
    },
    model::{
        naming,
        user::{Group, User},
    },
    store::{
        StoreError,
        name::folded,
        people::{GroupStore, MergeStore, UserStore},
    },
};

/// A group to be added.
#[derive(Debug, Clone, Default)]
pub struct NewGroup {
    /// Its id; `None`: a random UUID, as Hub does.
    pub id: Option<GroupId>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The address of its picture.
    pub icon_url: Option<String>,
    /// The group above. That of all users stands for none.
    pub parent: Option<GroupId>,
    /// Whether new users are put into it.
    pub auto_join: bool,
}

pub(super) fn made(new: NewGroup, now: Timestamp, random: &dyn Random) -> Result<Group, PeopleError> {
    let name = naming::normal(&new.name);
    check(Some(&name), new.description.as_deref(), new.icon_url.as_deref())?;
    Ok(Group {
        id: new.id.unwrap_or_else(|| GroupId::random(random)),
        name,
        description: new.description,
        icon_url: new.icon_url,
        parent: new.parent,
        auto_join: new.auto_join,
        all_users: false,
        created: now,
        updated: now,
    })
}

fn check(name: Option<&str>, description: Option<&str>, icon_url: Option<&str>) -> Result<(), PeopleError> {
    name.map_or(Ok(()), naming::group).map_err(PeopleError::refused("name"))?;
    description.map_or(Ok(()), naming::description).map_err(PeopleError::refused("description"))?;
    icon_url.map_or(Ok(()), naming::picture).map_err(PeopleError::refused("picture"))
}

/// Adds a group.
///
/// # Errors
/// [`PeopleError`]
pub async fn add(
    store: &(impl GroupStore + ?Sized),
    new: NewGroup,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Group, PeopleError> {
    let mut group = made(new, clock.now(), random)?;
    group.parent = place(store, group.parent).await?;
    store.add_group(&group).await?;
    Ok(group)
}

/// The group above: being below the group of all users is being below none.
async fn place(
    store: &(impl GroupStore + ?Sized),
    parent: Option<GroupId>,
) -> Result<Option<GroupId>, PeopleError> {
    let Some(parent) = parent else { return Ok(None) };
    let above = find(store, &parent).await?;
    Ok((!above.all_users).then_some(parent))
}

async fn find(store: &(impl GroupStore + ?Sized), id: &GroupId) -> Result<Group, PeopleError> {
    Ok(store.find_group(id).await?.ok_or(StoreError::NotFound { what: "group" })?)
}

/// What is to be changed of a group; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The name.
    pub name: Option<String>,
    /// What it is for; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// The address of its picture; `Some(None)` takes it away.
    pub icon_url: Option<Option<String>>,
    /// The group above; `Some(None)`, or that of all users: none.
    pub parent: Option<Option<GroupId>>,
    /// Whether new users are put into it.
    pub auto_join: Option<bool>,
}

/// Changes a group. One that the configuration file names for a user keeps its name.
///
/// # Errors
/// [`PeopleError`]
pub async fn change(
    store: &(impl GroupStore + ?Sized),
    id: &GroupId,
    change: Change,
    clock: &dyn Clock,
) -> Result<Group, PeopleError> {
    let before = find(store, id).await?;
    let parent = match change.parent {
        Some(parent) => place(store, parent).await?,
        None => before.parent.clone(),
    };
    let name = change.name.map(|name| naming::normal(&name)).filter(|name| *name != before.name);
    let group = Group {
        name: name.clone().unwrap_or_else(|| before.name.clone()),
        description: change.description.unwrap_or_else(|| before.description.clone()),
        icon_url: change.icon_url.unwrap_or_else(|| before.icon_url.clone()),
        parent,
        auto_join: change.auto_join.unwrap_or(before.auto_join),
        updated: clock.now(),
        ..before.clone()
    };
    check(name.as_deref(), group.description.as_deref(), group.icon_url.as_deref())?;
    if folded(&group.name) != folded(&before.name) {
        undeclared_group(store, &before).await?;
    }
    store.update_group(&group).await?;
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
                let new = NewGroup { name: name.clone(), ..NewGroup::default() };
                match add(store, new, clock, random).await {
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

/// Refuses what would take a group, by its name, from a user who is in it by the configuration file.
async fn undeclared_group(store: &(impl GroupStore + ?Sized), group: &Group) -> Result<(), PeopleError> {
    match store.list_members(&group.id).await?.into_iter().find(|user| user.declared) {
        Some(user) => Err(PeopleError::DeclaredMember { login: user.login, group: group.name.clone() }),
        None => Ok(()),
    }
}

/// Removes a group. Its members stay, without it; with a successor they and the groups below it go there. One that the
/// configuration file names for a user stays.
///
/// # Errors
/// [`PeopleError`]
pub async fn remove(
    store: &(impl GroupStore + MergeStore + ?Sized),
    id: &GroupId,
    successor: Option<&GroupId>,
) -> Result<(), PeopleError> {
    undeclared_group(store, &find(store, id).await?).await?;
    let removed = match successor {
        None => store.remove_group(id).await,
        Some(successor) => store.merge_group(id, successor).await,
    };
    Ok(removed?)
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
    let before = undeclared(users::find(store, user).await?)?;
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

/// Puts a user into these groups and no others.
///
/// # Errors
/// [`PeopleError`]
pub async fn set_all(
    store: &(impl UserStore + ?Sized),
    user: &UserId,
    groups: Vec<GroupId>,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    undeclared(users::find(store, user).await?)?;
    let (groups, now) = (sorted(groups), clock.now());
    let carry_out = move |user: &mut User| {
        if user.groups != groups {
            user.groups.clone_from(&groups);
            user.updated = now;
        }
    };
    Ok(store.change_user(user, &carry_out, None).await?)
}
