//! Permanent tokens and application passwords, as the store offers them.

use async_trait::async_trait;

use super::Result;
use crate::{
    base::{
        id::{TokenId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::credential::{ApplicationPassword, KnownCredential, PermanentToken},
};

/// Permanent tokens and application passwords.
///
/// A user who is removed takes both kinds along. A revocation of a user, by whichever method it is recorded, takes the
/// user's application passwords along in the same transaction: they stand for the password. Permanent tokens stay, as
/// they do when the user is banned; the gate refuses them meanwhile. A service that is removed leaves the scope of
/// permanent tokens, and what is left without a scope goes.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// Adds a permanent token. Its scope is kept sorted and each service once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user, or a service of the scope is neither
    /// registered nor the gateway's own, or there is no scope (`"service"`);
    /// [`StoreError::Conflict`](super::StoreError::Conflict) when there is a credential of this id or digest. Nothing is
    /// written then.
    async fn add_permanent_token(&self, token: &PermanentToken) -> Result<()>;

    /// The permanent tokens of a user, the newest first, then by id.
    async fn list_permanent_tokens(&self, user: &UserId) -> Result<Vec<PermanentToken>>;

    /// Removes a permanent token of this user. Returns whether there was one.
    async fn remove_permanent_token(&self, user: &UserId, id: &TokenId) -> Result<bool>;

    /// Adds an application password.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user, or the user was revoked later than
    /// `password.created`; [`StoreError::Conflict`](super::StoreError::Conflict) when there is a credential of this id or
    /// digest. Nothing is written then.
    async fn add_application_password(&self, password: &ApplicationPassword) -> Result<()>;

    /// The application passwords of a user, the newest first, then by id.
    async fn list_application_passwords(&self, user: &UserId) -> Result<Vec<ApplicationPassword>>;

    /// Removes an application password of this user. Returns whether there was one.
    async fn remove_application_password(&self, user: &UserId, id: &TokenId) -> Result<bool>;

    /// Notes uses, each unless a later one is known. What is gone meanwhile stays gone. Not counted as a change.
    async fn note_uses(&self, uses: &[CredentialUse]) -> Result<()>;

    /// What the gate has to know: every credential that is new or has changed since `since`, a [`Credentials::version`], and
    /// what is gone. `since = 0`: all. So it is with a number that was never reached, as in
    /// [`UserStore::people`](super::people::UserStore::people).
    async fn credentials(&self, since: i64) -> Result<Credentials>;
}

/// What [`CredentialStore::credentials`] answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// To be passed the next time; equal to [`Versions::credentials`](super::Versions::credentials) at the time of reading.
    pub version: i64,
    /// New, or with another scope.
    pub changed: Vec<KnownCredential>,
    /// Removed.
    pub removed: Vec<TokenDigest>,
}

/// That a credential was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialUse {
    /// Which.
    pub id: TokenId,
    /// When.
    pub at: Timestamp,
    /// Address and user agent, where they are noted.
    pub source: Option<(String, String)>,
}
