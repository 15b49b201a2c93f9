//! What every store has from the first start on: the guest, the group of all users, and somebody who may administer.
//!
//! Invariant: of gateways that start at once on one store one makes the administrator, and one knows its password.

use super::{
    groups::{self, NewGroup},
    users::{self, NewPassword, NewUser, PeopleError, generate_password},
};
use crate::{
    base::{id::UserId, random::Random, secret::Secret, time::Clock},
    crypto::password::Hasher,
    model::{
        search::{GroupIs, Page, UserIs},
        user::{Ban, GUEST_LOGIN, Group, User, UserProfile},
    },
    store::{
        StoreError,
        people::{GroupStore, UserStore},
        search::PeopleSearch,
    },
};

/// The name of the group that everybody but the guest is in.
pub const ALL_USERS: &str = "All Users";

/// The login of the administrator that the first start makes.
pub const FIRST_LOGIN: &str = "admin";

/// Somebody who may administer, where there was nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// There is an administrator.
    Exists,
    /// `admin` was made, with the password that was given.
    Made,
    /// `admin` was made, with this password, which is good for one sign-in and is not seen again.
    OneTime(Secret),
    /// There is no administrator, and `admin` is the login, address or id of somebody who is none.
    Taken,
}

/// Makes an administrator if there is none, with `password` or else one for a single sign-in. The administrator is a member
/// of no group: what it may do, it may by being an administrator.
///
/// # Errors
/// [`PeopleError`]
pub async fn ensure_administrator(
    store: &(impl UserStore + PeopleSearch + ?Sized),
    password: Option<&Secret>,
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<First, PeopleError> {
    if has_administrator(store).await? {
        return Ok(First::Exists);
    }
    let one_time = password.is_none().then(|| generate_password(random));
    let hash = match password.or(one_time.as_ref()) {
        Some(password) => Some(NewPassword::of(password, one_time.is_some(), hasher).await?),
        None => None,
    };
    let new = NewUser {
        id: None,
        login: FIRST_LOGIN.to_owned(),
        name: "Administrator".to_owned(),
        email: None,
        password: hash,
        administrator: true,
        groups: Vec::new(),
    };
    match users::add(store, new, clock, random).await {
        Ok(_) => Ok(one_time.map_or(First::Made, First::OneTime)),
        // Another gateway was quicker, or somebody has that name.
        Err(PeopleError::Store(StoreError::Conflict { .. })) if has_administrator(store).await? => {
            Ok(First::Exists)
        }
        Err(PeopleError::Store(StoreError::Conflict { .. })) => Ok(First::Taken),
        Err(error) => Err(error),
    }
}

async fn has_administrator(store: &(impl PeopleSearch + ?Sized)) -> Result<bool, StoreError> {
    let found = store.find_users(&UserIs::Administrator.into(), &[], Page::first(0)).await?;
    Ok(found.total > 0)
}

/// Makes the group of all users if there is none.
///
/// # Errors
/// [`PeopleError`]
pub async fn ensure_all_users(
    store: &(impl GroupStore + PeopleSearch + ?Sized),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(), PeopleError> {
    // A group that has the name already keeps it.
    for number in 0..100_u8 {
        if store.find_groups(&GroupIs::AllUsers.into(), &[], Page::first(0)).await?.total > 0 {
            return Ok(());
        }
        let suffix = if number == 0 { String::new() } else { format!(" {number}") };
        let new = NewGroup { name: format!("{ALL_USERS}{suffix}"), ..NewGroup::default() };
        let group = Group { all_users: true, ..groups::made(new, clock.now(), random)? };
        match store.add_group(&group).await {
            Err(StoreError::Conflict { .. }) => {}
            other => return Ok(other?),
        }
    }
    Err(StoreError::Conflict { what: "group", field: "name" }.into())
}

/// Makes the guest if there is none: banned, until an administrator decides otherwise.
///
/// # Errors
/// [`PeopleError`]
pub async fn ensure_guest(
    store: &(impl UserStore + ?Sized),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(), PeopleError> {
    if store.find_guest().await?.is_some() {
        return Ok(());
    }
    let now = clock.now();
    let guest = User {
        id: UserId::random(random),
        login: GUEST_LOGIN.to_owned(),
        name: "Guest".to_owned(),
        email: None,
        password: None,
        ban: Some(Ban { reason: String::new(), since: now, badge: String::new() }),
        guest: true,
        administrator: false,
        groups: Vec::new(),
        profile: UserProfile::default(),
        erased: None,
        declared: false,
        created: now,
        updated: now,
    };
    match store.add_user(&guest).await {
        // Another gateway was quicker.
        Err(StoreError::Conflict { .. }) if store.find_guest().await?.is_some() => Ok(()),
        other => Ok(other?),
    }
}
