//! What a person makes for programs: permanent tokens and application passwords. Made, listed, taken back.
//!
//! Invariants: the text of a credential is returned by the verb that makes it and by no other; nobody holds more than
//! [`MOST`] of a kind, because every gateway keeps them all in memory.

use crate::{
    base::{
        id::{ServiceId, TokenId, UserId},
        random::Random,
        secret::Secret,
        time::Clock,
    },
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
        permanent,
    },
    model::{
        credential::{ApplicationPassword, PermanentToken},
        naming,
        user::User,
    },
    store::{StoreError, credentials::CredentialStore},
};

/// The most permanent tokens, and the most application passwords, of one user.
pub const MOST: usize = 100;

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// The store's reason; [`StoreError::NotFound`] for a service that is not registered.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that cannot be used.
    #[error("the name {0}")]
    Name(naming::Refusal),
    /// A token for nothing.
    #[error("a permanent token is for at least one service")]
    NoScope,
    /// The guest, or somebody who is banned.
    #[error("{0} may not have tokens: only users who are not banned, and not the guest")]
    NotActive(String),
    /// There are [`MOST`] already.
    #[error("{0} has {MOST} of them already; take one back first")]
    TooMany(String),
}

/// A permanent token to be made.
#[derive(Debug, Clone)]
pub struct NewToken<'n> {
    /// For whom it acts.
    pub user: &'n User,
    /// Who makes it.
    pub author: &'n UserId,
    /// What it is called, 1 to 100 characters.
    pub name: &'n str,
    /// The services that it is for.
    pub scope: Vec<ServiceId>,
}

/// Makes a permanent token. Returns its record, and its text, which is not known afterwards.
///
/// # Errors
/// [`TokenRefusal`]
pub async fn create_token(
    store: &(impl CredentialStore + ?Sized),
    new: NewToken<'_>,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(PermanentToken, Secret), TokenRefusal> {
    let NewToken { user, author, name, mut scope } = new;
    check(user, name)?;
    scope.sort();
    scope.dedup();
    if scope.is_empty() {
        return Err(TokenRefusal::NoScope);
    }
    if store.list_permanent_tokens(&user.id).await?.len() >= MOST {
        return Err(TokenRefusal::TooMany(user.login.clone()));
    }
    let text = permanent::generate(&user.login, name, random);
    let token = PermanentToken {
        id: TokenId::shown(random),
        user: user.id.clone(),
        author: author.clone(),
        name: name.to_owned(),
        scope,
        digest: TokenDigest::of(text.expose().as_bytes()),
        created: clock.now(),
        used: None,
    };
    store.add_permanent_token(&token).await?;
    Ok((token, text))
}

/// Makes an application password. Returns its record, and its text, which is not known afterwards.
///
/// # Errors
/// [`TokenRefusal`]
pub async fn create_password(
    store: &(impl CredentialStore + ?Sized),
    (user, name): (&User, &str),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(ApplicationPassword, Secret), TokenRefusal> {
    check(user, name)?;
    if store.list_application_passwords(&user.id).await?.len() >= MOST {
        return Err(TokenRefusal::TooMany(user.login.clone()));
    }
    let text = opaque::generate(Kind::ApplicationPassword, random);
    let password = ApplicationPassword {
        id: TokenId::shown(random),
        user: user.id.clone(),
        name: name.to_owned(),
        digest: TokenDigest::of(text.expose().as_bytes()),
        created: clock.now(),
        used: None,
    };
    store.add_application_password(&password).await?;
    Ok((password, text))
}

/// Takes back the permanent token or application password of `user` that has this id. Returns whether there was one.
///
/// # Errors
/// The store's.
pub async fn revoke(
    store: &(impl CredentialStore + ?Sized),
    user: &UserId,
    id: &TokenId,
) -> Result<bool, StoreError> {
    Ok(store.remove_permanent_token(user, id).await? || store.remove_application_password(user, id).await?)
}

fn check(user: &User, name: &str) -> Result<(), TokenRefusal> {
    // A banned user could not use it, and the guest is nobody who could keep it.
    if !user.may_sign_in() {
        return Err(TokenRefusal::NotActive(user.login.clone()));
    }
    naming::name(name).map_err(TokenRefusal::Name)
}
