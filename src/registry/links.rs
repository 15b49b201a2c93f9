//! Links that are sent by mail: made, looked at, used.
//!
//! Invariants: the token of a link is returned by the verb that makes it and by no other; whoever chooses a password by a link
//! has shown to read the address, and ends every session.

use super::users::{NewPassword, PeopleError, revocation};
use crate::{
    base::{id::UserId, random::Random, secret::Secret, time::Clock},
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
    },
    model::{
        link::{LONGEST_QUERY, Link, LinkKind},
        user::User,
    },
    store::{StoreError, links::LinkStore, people::UserStore},
};

/// A link that was made, to be sent.
#[derive(Debug)]
pub struct Made {
    /// To whom.
    pub user: User,
    /// Where.
    pub address: String,
    /// What opens it.
    pub token: Secret,
}

/// Makes a link for a user, to go on with `query` after; `None` when the user may have none: without an address, banned, and
/// what else [`Link::fits`] says.
///
/// # Errors
/// [`StoreError`]
pub async fn make(
    store: &(impl LinkStore + ?Sized),
    user: User,
    (kind, query): (LinkKind, &str),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<Made>, StoreError> {
    let Some(address) = user.email.as_ref().map(|email| email.address.clone()) else { return Ok(None) };
    let now = clock.now();
    let link = Link {
        user: user.id.clone(),
        kind,
        address: address.clone(),
        query: if query.len() > LONGEST_QUERY { String::new() } else { query.to_owned() },
        created: now,
        expires: now.plus(kind.life()),
    };
    let token = opaque::generate(Kind::Link, random);
    let Some(digest) = opaque::digest(Kind::Link, token.expose()) else { return Ok(None) };
    match store.put_link(&link, &digest).await {
        Ok(()) => Ok(Some(Made { user, address, token })),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a link for whoever has forgotten the password: by login, address or id. `None` when that is nobody who may have one,
/// or `may` says that it has had enough of them.
///
/// # Errors
/// [`StoreError`]
pub async fn restore(
    store: &(impl LinkStore + UserStore + ?Sized),
    (name, query): (&str, &str),
    may: impl Fn(&UserId) -> bool + Send,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<Made>, StoreError> {
    match store.find_user_by_name(name).await? {
        Some(user) if may(&user.id) => make(store, user, (LinkKind::Restore, query), clock, random).await,
        _ => Ok(None),
    }
}

fn digest(token: &str) -> Option<TokenDigest> {
    opaque::digest(Kind::Link, token)
}

/// The link of this token and its user, if it is good.
///
/// # Errors
/// [`StoreError`]
pub async fn find(
    store: &(impl LinkStore + ?Sized),
    token: &str,
    clock: &dyn Clock,
) -> Result<Option<(Link, User)>, StoreError> {
    match digest(token) {
        Some(digest) => store.find_link(&digest, clock.now()).await,
        None => Ok(None),
    }
}

/// Chooses a password by a link. All sessions end. `None` when the link is no longer good for that.
///
/// # Errors
/// [`PeopleError`]
pub async fn choose_password(
    store: &(impl LinkStore + ?Sized),
    token: &str,
    password: NewPassword,
    clock: &dyn Clock,
) -> Result<Option<User>, PeopleError> {
    let Some((link, user)) = find(store, token, clock).await?.filter(|(link, _)| link.kind.sets_password())
    else {
        return Ok(None);
    };
    let now = clock.now();
    let password = password.stored(now);
    let change = move |user: &mut User| {
        user.password = Some(password.clone());
        if let Some(email) = &mut user.email {
            email.verified = true;
        }
        user.updated = now;
    };
    let Some(digest) = digest(token) else { return Ok(None) };
    let spent = store.spend_link(&digest, now, &change, Some(&revocation(&link.user, now))).await;
    spent.map_err(PeopleError::of(&user.login))
}

/// Confirms the address that a link was sent to. `None` when the link is no longer good for that.
///
/// # Errors
/// [`PeopleError`]
pub async fn confirm(
    store: &(impl LinkStore + ?Sized),
    token: &str,
    clock: &dyn Clock,
) -> Result<Option<User>, PeopleError> {
    let Some((_, user)) = find(store, token, clock).await?.filter(|(link, _)| !link.kind.sets_password())
    else {
        return Ok(None);
    };
    let now = clock.now();
    let change = move |user: &mut User| {
        if let Some(email) = &mut user.email {
            email.verified = true;
        }
        user.updated = now;
    };
    let Some(digest) = digest(token) else { return Ok(None) };
    store.spend_link(&digest, now, &change, None).await.map_err(PeopleError::of(&user.login))
}
