//! Who uses what, as administrators are shown it: when services were last active, and what people have been given, by
//! person, client and service.

use async_trait::async_trait;

use super::{Result, grants::LiveGrant};
use crate::{
    base::id::ServiceId,
    crypto::digest::TokenDigest,
    model::{
        credential::{ApplicationPassword, KnownCredential, PermanentToken},
        grant::Consent,
        session::Session,
        usage::{LastUse, Links, Listed, Owned, ServiceUse, Sought, UsageCounts, Window},
    },
};

/// The most that is counted of anything; a [`Count`](crate::model::usage::Count) of this size says that there may be more.
pub const MOST_COUNTED: u32 = 10_000;

/// The most services of each kind in [`Links`].
pub const MOST_LINKS: usize = 100;

/// When services were last active. Noting it is no change of a service: no counter moves, no event is recorded.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Notes uses, each moment unless a later one is known. Of a service that is not registered nothing is noted.
    async fn note_service_uses(&self, uses: &[ServiceUse]) -> Result<()>;

    /// The last uses of these services, in their order; of one that is unknown, none.
    async fn last_uses(&self, services: &[ServiceId]) -> Result<Vec<LastUse>>;

    /// With which others a service has to do, at most [`MOST_LINKS`] of each kind. A service that is removed is forgotten.
    async fn links(&self, service: &ServiceId) -> Result<Links>;

    /// How much rests on a service.
    async fn usage(&self, service: &ServiceId) -> Result<UsageCounts>;
}

/// Lists over all people, for those who may see and end what others hold. Everything comes with the login and name of its
/// owner. Nothing is skipped beyond [`MOST_COUNTED`]: such a window is empty.
#[async_trait]
pub trait HoldingStore: Send + Sync {
    /// Sessions, the one last used first. Those of a user.
    async fn search_sessions(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<Session>>>;

    /// Grants with a refresh token, the newest first. Those of a user, given to a client, for a service.
    async fn search_grants(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<LiveGrant>>>;

    /// The consents that people have given to a client, the newest first.
    async fn search_consents(&self, client: &ServiceId, window: Window) -> Result<Listed<Owned<Consent>>>;

    /// Permanent tokens, the newest first. Those of a user, for a service.
    async fn search_tokens(&self, sought: &Sought, window: Window) -> Result<Listed<Owned<PermanentToken>>>;

    /// Application passwords, the newest first. Those of a user.
    async fn search_passwords(
        &self,
        sought: &Sought,
        window: Window,
    ) -> Result<Listed<Owned<ApplicationPassword>>>;

    /// The permanent token or application password with this digest.
    async fn find_credential(&self, digest: &TokenDigest) -> Result<Option<KnownCredential>>;
}
