//! What the gateway keeps across restarts, as narrow traits whose docs are the contract that `conformance` holds every store to.
//!
//! Invariants: a write that was acknowledged survives `kill -9`; a method either does all that it says or nothing;
//! nothing that is read from here is a usable secret.

pub mod credentials;
pub mod described;
pub mod events;
pub mod grants;
pub mod links;
pub mod name;
pub mod people;
pub mod search;
pub mod second_step;
pub mod sqlite;
pub mod usage;

use std::sync::Arc;

use async_trait::async_trait;

use self::{
    credentials::CredentialStore,
    events::EventStore,
    grants::{ConsentStore, GrantStore, RejectedRedirectStore},
    links::LinkStore,
    people::{GroupStore, MergeStore, SessionStore, UserStore},
    search::PeopleSearch,
    second_step::SecondStepStore,
    usage::{HoldingStore, UsageStore},
};
use crate::{
    base::{
        id::{KeyId, ServiceId},
        time::Timestamp,
    },
    model::{key::SigningKeyRecord, revocation::Revocation, service::Service},
};

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another record already has this value. The caller's fault; do not retry.
    #[error("another {what} already has this {field}")]
    Conflict {
        /// The kind of record, `"service"`.
        what: &'static str,
        /// The field that must be unique, `"id"` or `"name"`.
        field: &'static str,
    },
    /// There is no such record. The caller's fault; do not retry.
    #[error("there is no such {what}")]
    NotFound {
        /// The kind of record.
        what: &'static str,
    },
    /// Against a rule that the store keeps. The caller's fault; do not retry.
    #[error("{0}")]
    Against(Rule),
    /// Busy, full or unreachable for now. Nobody's fault; retrying later may help.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The data or the schema is not what it should be. Retrying does not help.
    #[error("the store is damaged or not ours: {0}")]
    Damaged(String),
}

/// What a store refuses, because it would break what others rely on. It is judged in the transaction that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Where somebody may administer, somebody may afterwards.
    #[error("nobody would be left who may administer")]
    LastAdministrator,
    /// No group is above itself.
    #[error("a group cannot be below itself")]
    Cycle,
    /// Groups are nested [`people::DEEPEST_NESTING`] deep at most.
    #[error("groups are nested {} deep at most", people::DEEPEST_NESTING)]
    Nesting,
    /// The group of all users has everybody in it, stands alone and stays.
    #[error(
        "everybody is in the group of all users; nobody is put into it, it is not nested and not removed"
    )]
    AllUsers,
    /// Two that have to be different are the same.
    #[error("it cannot be merged with itself")]
    Itself,
    /// The guest is not merged or erased.
    #[error("that cannot be done with the guest")]
    Guest,
    /// A search is too large.
    #[error(transparent)]
    Filter(#[from] crate::model::search::FilterError),
}

/// The result of a store's method.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Services.
#[async_trait]
pub trait ServiceStore: Send + Sync {
    /// All services in the order of their names (case-insensitive), then ids.
    async fn list_services(&self) -> Result<Vec<Service>>;

    /// The service with this id.
    async fn find_service(&self, id: &ServiceId) -> Result<Option<Service>>;

    /// Adds a service.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another has its id or (case-insensitively) its name; nothing is written then.
    async fn register_service(&self, service: &Service) -> Result<()>;

    /// Replaces the service with the same id, secrets included. When it becomes public, the same transaction records the
    /// revocation of what it obtained with its secret, as of its `updated` time: nobody else could use that, and now
    /// everybody could.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none; [`StoreError::Conflict`] on its name.
    async fn update_service(&self, service: &Service) -> Result<()>;

    /// The same where the service still is as it was read: whoever changes a part of it must not bring back what somebody else
    /// has changed meanwhile, a secret or a right that was taken away. Returns whether it was; else nothing is written.
    ///
    /// # Errors
    /// As [`ServiceStore::update_service`].
    async fn replace_service(&self, before: &Service, service: &Service) -> Result<bool>;

    /// Removes a service and, in the same transaction, records the revocation of what it obtained.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none; the revocation is not recorded then.
    async fn remove_service(&self, id: &ServiceId, revocation: &Revocation) -> Result<()>;
}

/// Signing keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// All keys, the newest first.
    async fn list_keys(&self) -> Result<Vec<SigningKeyRecord>>;

    /// Adds the first key of its algorithm, unless there is an active one already: then nothing is written.
    /// Two gateways that start at once on one store thus agree on a single key. Returns whether it was added.
    async fn add_first_key(&self, key: &SigningKeyRecord) -> Result<bool>;

    /// Adds `key` as the active key of its algorithm and, in the same transaction, retires those that were
    /// active, to verify until `retired_until`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a key has this id already; nothing is written then.
    async fn rotate_key(&self, key: &SigningKeyRecord, retired_until: Timestamp) -> Result<()>;

    /// Replaces a key's sealed bytes, for a change of the sealing key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    async fn reseal_key(&self, id: &KeyId, sealed: &[u8]) -> Result<()>;

    /// Removes retired keys whose time has come. Returns how many.
    async fn purge_keys(&self, now: Timestamp) -> Result<u64>;
}

/// Revocations.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// Records a revocation. A second one of the same target keeps the later `revoked` and the later `expires`. That of a user
    /// records one for each of the user's sessions: what they are good for at this moment may get a later time.
    async fn revoke(&self, revocation: &Revocation) -> Result<()>;

    /// The same, because something that is good once was used a second time: so the audit log names it.
    async fn revoke_replayed(&self, revocation: &Revocation) -> Result<()> {
        self.revoke(revocation).await
    }

    /// All revocations that have not expired at `now`.
    async fn list_revocations(&self, now: Timestamp) -> Result<Vec<Revocation>>;

    /// Forgets those that have expired at `now`. Returns how many.
    async fn purge_revocations(&self, now: Timestamp) -> Result<u64>;
}

/// How a running gateway notices what another process (a command, another node) has written.
#[async_trait]
pub trait ChangeFeed: Send + Sync {
    /// Numbers that grow with every committed change; equal numbers mean that nothing has changed. Cheap.
    async fn versions(&self) -> Result<Versions>;

    /// Whether what is written here is what the next process would read. Cheap.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the store was removed or replaced while it was open, naming it; it goes on as if nothing had
    /// happened, and what is written to it is lost with the last process that has it open.
    async fn in_place(&self) -> Result<()>;
}

/// The state of the change counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Versions {
    /// Changes of services.
    pub services: i64,
    /// Changes of signing keys.
    pub keys: i64,
    /// Changes of revocations, purges apart.
    pub revocations: i64,
    /// Changes of users and groups.
    pub users: i64,
    /// Changes of permanent tokens and application passwords, uses apart.
    pub credentials: i64,
}

/// All that people and what they grant need.
pub trait PeopleStore:
    UserStore
    + GroupStore
    + MergeStore
    + PeopleSearch
    + SessionStore
    + GrantStore
    + ConsentStore
    + RejectedRedirectStore
    + CredentialStore
    + SecondStepStore
    + LinkStore
{
}

impl<T> PeopleStore for T where
    T: UserStore
        + GroupStore
        + MergeStore
        + PeopleSearch
        + SessionStore
        + GrantStore
        + ConsentStore
        + RejectedRedirectStore
        + CredentialStore
        + SecondStepStore
        + LinkStore
{
}

/// All of it; what a concrete store implements.
pub trait Store:
    ServiceStore + KeyStore + RevocationStore + ChangeFeed + PeopleStore + EventStore + UsageStore + HoldingStore
{
}

impl<T> Store for T where
    T: ServiceStore
        + KeyStore
        + RevocationStore
        + ChangeFeed
        + PeopleStore
        + EventStore
        + UsageStore
        + HoldingStore
{
}

/// A store that is shared by the control plane's tasks.
pub type SharedStore = Arc<dyn Store>;
