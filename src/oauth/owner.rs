//! The people behind tokens, as the protocol needs them. `identity` has the rest; the two are joined in `web`.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;

use crate::{
    base::{id::UserId, secret::Secret},
    model::user::Person,
    store::StoreError,
};

/// Why nobody was authenticated.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The name is unknown, the password wrong, the account shut: one answer for all.
    #[error("Invalid resource owner credentials")]
    Credentials,
    /// The password was right and is good only for choosing another on the login page.
    #[error("the password has to be changed on the login page first")]
    PasswordChange,
    /// The password was right, and the account asks for a second step, which only the login page has.
    #[error("the account signs in in two steps")]
    SecondStep,
    /// Too many wrong passwords.
    #[error("too many attempts to sign in")]
    Throttled(Duration),
    /// Too many people sign in at this moment.
    #[error("too many sign-ins at this moment")]
    Busy(Duration),
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Resource owners (RFC 6749 section 1.1).
#[async_trait]
pub trait ResourceOwners: Send + Sync {
    /// The person with this id, if tokens may act for them now.
    async fn find(&self, id: &UserId) -> Result<Option<Person>, StoreError>;

    /// The person whom `name` (login, e-mail address or id) and password belong to.
    async fn authenticate(&self, name: &str, password: &Secret, source: IpAddr)
    -> Result<Person, OwnerError>;
}
