//! What is there from the start: the users that the configuration file declares, the guest, and somebody who may
//! administer.
//!
//! Invariants: nobody is deleted, and no ban is lifted; a declared password is hashed only when it is not the one that is
//! stored; of gateways that start at once on one store one makes the administrator.

use super::{
    groups,
    users::{self, NewPassword, NewUser, PeopleError, generate_password},
};
use crate::{
    base::{
        id::UserId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::password::Hasher,
    model::user::{Ban, Email, GUEST_LOGIN, User},
    store::{
        StoreError,
        name::folded,
        people::{GroupStore, UserStore},
    },
};

/// The login of the administrator that the first start makes.
pub const FIRST_LOGIN: &str = "admin";

/// A user as the configuration file declares it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its login, by which it is recognised.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Its address, which counts as verified: the administrator vouches for it.
    pub email: Option<String>,
    /// Its password, if the file gives one.
    pub password: Option<Secret>,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// Whether it may administer.
    pub administrator: bool,
}

/// What [`reconcile`] did, by login.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Added.
    pub created: Vec<String>,
    /// Changed.
    pub updated: Vec<String>,
    /// No longer declared; they stay, with everything that they may do.
    pub released: Vec<String>,
}

/// Brings the store in step with what the file declares. A password that the file does not name stays as it is.
///
/// # Errors
/// [`PeopleError`]; what was changed before stays changed, and the next call goes on.
pub async fn reconcile(
    store: &(impl UserStore + GroupStore + ?Sized),
    declarations: &[Declaration],
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Reconciled, PeopleError> {
    let mut done = Reconciled::default();
    for declaration in declarations {
        let named =
            |error| PeopleError::Declaration { login: declaration.login.clone(), error: Box::new(error) };
        let outcome = reconcile_one(store, declaration, hasher, clock, random).await.map_err(named)?;
        let login = || declaration.login.clone();
        match outcome {
            Outcome::Created => done.created.push(login()),
            Outcome::Updated => done.updated.push(login()),
            Outcome::Same => {}
        }
    }
    for user in store.list_users().await?.into_iter().filter(|user| user.declared) {
        if !declarations.iter().any(|declaration| folded(&declaration.login) == folded(&user.login)) {
            put(store, &User { declared: false, ..user.clone() }, clock.now()).await?;
            done.released.push(user.login);
        }
    }
    Ok(done)
}

enum Outcome {
    Created,
    Updated,
    Same,
}

async fn reconcile_one(
    store: &(impl UserStore + GroupStore + ?Sized),
    declaration: &Declaration,
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Outcome, PeopleError> {
    let groups = groups::ensure(store, &declaration.groups, clock, random).await?;
    let found = store.find_user_by_name(&declaration.login).await?;
    let same = |user: &User| folded(&user.login) == folded(&declaration.login);
    let email = |address: &String| Email { address: address.clone(), verified: true };
    let Some(before) = found.filter(same) else {
        let password = match &declaration.password {
            Some(password) => Some(NewPassword::of(password, false, hasher).await?),
            None => None,
        };
        let new = NewUser {
            id: None,
            login: declaration.login.clone(),
            name: declaration.name.clone(),
            email: declaration.email.as_ref().map(email),
            password,
            administrator: declaration.administrator,
            groups,
        };
        store.add_user(&User { declared: true, ..users::made(new, clock.now(), random)? }).await?;
        return Ok(Outcome::Created);
    };
    if before.guest {
        return Err(PeopleError::Guest);
    }
    let given = set_password(store, &before, declaration, hasher, clock).await?;
    let after = User {
        login: declaration.login.clone(),
        name: declaration.name.clone(),
        email: declaration.email.as_ref().map(email),
        administrator: declaration.administrator,
        groups,
        declared: true,
        ..before.clone()
    };
    if after != before {
        put(store, &after, clock.now()).await?;
    }
    Ok(if given || after != before { Outcome::Updated } else { Outcome::Same })
}

/// Writes what a declaration is about.
async fn put(store: &(impl UserStore + ?Sized), user: &User, now: Timestamp) -> Result<(), StoreError> {
    let source = user.clone();
    let carry_out = move |user: &mut User| {
        user.login.clone_from(&source.login);
        user.name.clone_from(&source.name);
        user.email.clone_from(&source.email);
        user.groups.clone_from(&source.groups);
        (user.administrator, user.declared) = (source.administrator, source.declared);
        user.updated = now;
    };
    store.change_user(&user.id, &carry_out, None).await.map(drop)
}

async fn set_password(
    store: &(impl UserStore + ?Sized),
    user: &User,
    declaration: &Declaration,
    hasher: &dyn Hasher,
    clock: &dyn Clock,
) -> Result<bool, PeopleError> {
    let Some(password) = &declaration.password else { return Ok(false) };
    if let Some(stored) = &user.password
        && hasher.verify(&stored.hash, password).await?
    {
        return Ok(false);
    }
    let new = NewPassword::of(password, false, hasher).await?;
    users::set_password(store, &user.id, Some(new), clock).await?;
    Ok(true)
}

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
    store: &(impl UserStore + ?Sized),
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

async fn has_administrator(store: &(impl UserStore + ?Sized)) -> Result<bool, StoreError> {
    Ok(store.list_users().await?.iter().any(|user| user.administrator))
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
        ban: Some(Ban { reason: String::new(), since: now }),
        guest: true,
        administrator: false,
        groups: Vec::new(),
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
