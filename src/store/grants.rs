//! Authorization codes, refresh tokens, consents and rejected redirect URIs, as the store offers them.

use async_trait::async_trait;

use super::Result;
use crate::{
    base::{
        id::{ConsentId, GrantId, ServiceId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::{
        grant::{AuthorizationCode, Consent, Grant, RefreshToken, RejectedRedirect},
        service::Service,
    },
};

/// A grant that a client can go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGrant {
    /// What was granted.
    pub grant: Grant,
    /// When its live refresh token was made.
    pub refreshed: Timestamp,
    /// Until when that can be used.
    pub expires: Timestamp,
}

/// What became of an authorization code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// This was its one use; the family exists now.
    First,
    /// It had been used before. Its family is revoked now, in the same transaction.
    Replayed,
    /// There is none, or its grant was revoked meanwhile.
    Unknown,
}

/// Where a refresh token is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshState {
    /// Good for a use.
    Live,
    /// Replaced.
    Spent {
        /// When.
        at: Timestamp,
        /// What its use was answered with, sealed under the token itself; `None` once that is forgotten.
        answer: Option<Vec<u8>>,
    },
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was live and is spent now; its successor is live.
    First,
    /// It had been spent before. Nothing was changed.
    Spent {
        /// When.
        at: Timestamp,
        /// As in [`RefreshState::Spent`].
        answer: Option<Vec<u8>>,
    },
    /// There is none, or its family was revoked meanwhile.
    Unknown,
}

/// Codes and refresh tokens. A revocation that is recorded, by whichever method, takes the grants, codes and refresh
/// tokens that it ends away in the same transaction (a grant by id, by session, by client, by user, by both), used ones
/// too: afterwards they are unknown. The revocation of a session or a user ends sessions as well, that of a client or a
/// consent consents. What is there goes, whatever its times say.
///
/// Nor is anything added that was revoked between being judged and being written: after a revocation of its session or
/// its grant, or one of its user, its client or both that is later than [`Grant::created`]. The error is
/// [`StoreError::NotFound`](super::StoreError::NotFound) with the kind of what is over, as it is when there is no such
/// user.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// Adds a code.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound), see above; [`StoreError::Conflict`](super::StoreError::Conflict)
    /// when there is one of this digest or grant.
    async fn add_code(&self, code: &AuthorizationCode) -> Result<()>;

    /// The code with this digest, and whether it was used. Expired codes are found until they are purged.
    async fn find_code(&self, digest: &TokenDigest) -> Result<Option<(AuthorizationCode, bool)>>;

    /// Uses a code, once. With `refresh` its grant and the refresh token are added in the same transaction. A second use
    /// revokes the family at `now`; a third finds nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when `refresh` is of another grant; the code is as it was then.
    async fn exchange_code(
        &self,
        digest: &TokenDigest,
        refresh: Option<&RefreshToken>,
        now: Timestamp,
    ) -> Result<Exchange>;

    /// Adds a grant with its first refresh token, for grants without a code.
    ///
    /// # Errors
    /// As [`GrantStore::add_code`].
    async fn add_grant(&self, grant: &Grant, refresh: &RefreshToken) -> Result<()>;

    /// The refresh token with this digest, its grant and its state. Expired ones are found until they are purged.
    async fn find_refresh(&self, digest: &TokenDigest)
    -> Result<Option<(RefreshToken, Grant, RefreshState)>>;

    /// Spends a refresh token, once: `successor` of the same grant becomes live, and `answer` is kept for whoever asks
    /// again. Under any number of simultaneous calls exactly one is [`Rotation::First`]. Whether it has expired is the
    /// caller's to judge; to a successor of another grant the token is unknown.
    async fn rotate_refresh(
        &self,
        digest: &TokenDigest,
        successor: &RefreshToken,
        answer: &[u8],
        now: Timestamp,
    ) -> Result<Rotation>;

    /// The grants of a user that have a live refresh token, with when that was made, the newest first.
    async fn list_grants(&self, user: &UserId) -> Result<Vec<(Grant, Timestamp)>>;

    /// The grant with this id, if it has a refresh token.
    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>>;

    /// Forgets what nobody can use or replay any more: codes a token's longest life after they expired, refresh tokens
    /// that have expired, grants without any, answers older than `window`. Returns how many records; an answer is none.
    async fn purge_grants(&self, window: std::time::Duration, now: Timestamp) -> Result<u64>;
}

/// Consents.
#[async_trait]
pub trait ConsentStore: Send + Sync {
    /// What this user has let this client have.
    async fn find_consent(&self, user: &UserId, client: &ServiceId) -> Result<Option<Consent>>;

    /// Remembers a consent; a user and a client have one, so it replaces an earlier one, whose id it keeps.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user, or user, client or consent were
    /// revoked later than [`Consent::given`]; [`StoreError::Conflict`](super::StoreError::Conflict) when another has its id.
    async fn put_consent(&self, consent: &Consent) -> Result<()>;

    /// The consents of a user, the newest first.
    async fn list_consents(&self, user: &UserId) -> Result<Vec<Consent>>;

    /// Takes a consent back: forgets it and, in the same transaction, revokes at `now` what the client obtained under it.
    /// Returns whether there was one of this user.
    async fn remove_consent(&self, user: &UserId, id: &ConsentId, now: Timestamp) -> Result<bool>;

    /// Forgets those that have expired. Returns how many.
    async fn purge_consents(&self, now: Timestamp) -> Result<u64>;
}

/// The most rejected redirect URIs that are kept for one service; the oldest gives way. Anybody can cause them.
pub const MAX_REJECTED_REDIRECTS: usize = 20;

/// Rejected redirect URIs.
#[async_trait]
pub trait RejectedRedirectStore: Send + Sync {
    /// Notes one. The same URI again replaces its entry. Of a service that there is not nothing is noted.
    async fn reject_redirect(&self, service: &ServiceId, rejected: &RejectedRedirect) -> Result<()>;

    /// Those of a service, the latest first.
    async fn list_rejected_redirects(&self, service: &ServiceId) -> Result<Vec<RejectedRedirect>>;

    /// Replaces the service as [`ServiceStore::replace_service`](super::ServiceStore::replace_service) does and, in the same
    /// transaction, forgets a rejected redirect URI of it, which is one of `service` now.
    ///
    /// # Errors
    /// As there; [`StoreError::NotFound`](super::StoreError::NotFound) also when the URI is not among the rejected ones.
    /// Nothing is written then.
    async fn accept_rejected_redirect(&self, before: &Service, service: &Service, uri: &str) -> Result<bool>;

    /// Forgets one. Returns whether there was one.
    async fn forget_rejected_redirect(&self, service: &ServiceId, uri: &str) -> Result<bool>;
}
