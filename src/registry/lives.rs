//! What happens in the life of an account besides its settings: an invitation, the person's own changes, a merge, the end.
//!
//! Invariants: a person changes what others see of them, never what they may do; a merge gives memberships and no other right.

use super::users::{self, Change, NewPassword, NewUser, PeopleError, find, generate_password, undeclared};
use crate::{
    base::{id::UserId, random::Random, secret::Secret, time::Clock},
    crypto::password::Hasher,
    model::user::{Email, User},
    store::people::{MergeStore, UserStore},
};

/// What a person may change of their own account; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct OwnChange {
    /// The name.
    pub name: Option<String>,
    /// The address, which counts as not verified unless it is the one from before; `Some(None)` takes it away.
    pub email: Option<Option<String>>,
    /// The address of the picture; `Some(None)` takes it away.
    pub avatar_url: Option<Option<String>>,
    /// The language; `Some(None)` takes it away.
    pub locale: Option<Option<String>>,
}

/// Changes one's own account, unless the file declares it.
///
/// # Errors
/// [`PeopleError`]
pub async fn change_own(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    change: OwnChange,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let before = find(store, id).await?.email;
    let kept = |address: &String| before.clone().filter(|email| email.address == *address);
    let email = |address: String| kept(&address).unwrap_or(Email { address, verified: false });
    let change = Change {
        name: change.name,
        email: change.email.map(|address| address.map(email)),
        avatar_url: change.avatar_url,
        locale: change.locale,
        ..Change::default()
    };
    users::change(store, id, change, clock).await
}

/// Adds a user and makes a password for one sign-in, at which the person chooses another. Whoever invites hands both
/// over; by mail, a link is sent instead ([`super::links`]). The password in `new` is not looked at.
///
/// # Errors
/// [`PeopleError`]
pub async fn invite(
    store: &(impl UserStore + ?Sized),
    new: NewUser,
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(User, Secret), PeopleError> {
    let password = generate_password(random);
    let hash = NewPassword::of(&password, true, hasher).await?;
    let user = users::add(store, NewUser { password: Some(hash), ..new }, clock, random).await?;
    Ok((user, password))
}

/// Gives a user a password for one sign-in, at which the person chooses another. All sessions end.
///
/// # Errors
/// [`PeopleError`]
pub async fn one_time_password(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(User, Secret), PeopleError> {
    let password = generate_password(random);
    let hash = NewPassword::of(&password, true, hasher).await?;
    let user = users::set_password(store, id, Some(hash), clock).await?;
    Ok((user, password))
}

/// Removes `from`, whose memberships `into` takes over. What `from` was granted is dead; its rights do not move.
///
/// # Errors
/// [`PeopleError`]
pub async fn merge(
    store: &(impl UserStore + MergeStore + ?Sized),
    from: &UserId,
    into: &UserId,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let gone = undeclared(find(store, from).await?)?;
    let now = clock.now();
    let merged = store.merge_user(from, into, now, &users::revocation(from, now)).await;
    merged.map_err(PeopleError::of(&gone.login))
}

/// Takes everything out of an account that tells whose it was. What remains keeps the id, which others may have written
/// down, and lets nobody in.
///
/// # Errors
/// [`PeopleError`]
pub async fn erase(
    store: &(impl UserStore + MergeStore + ?Sized),
    id: &UserId,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let user = undeclared(find(store, id).await?)?;
    let revocation = users::revocation(id, clock.now());
    let login = format!("erased-{id}");
    let erased = store.erase_user(id, &login, &revocation).await;
    erased.map_err(PeopleError::of(&user.login))
}
