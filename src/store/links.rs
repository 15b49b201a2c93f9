//! Links that are sent by mail, as the store offers them.

use async_trait::async_trait;

use super::Result;
use crate::{
    base::time::Timestamp,
    crypto::digest::TokenDigest,
    model::{link::Link, revocation::Revocation, user::User},
};

/// What a link does to its user, carried out inside of the transaction that spends it.
pub type UseLink<'u> = &'u (dyn Fn(&mut User) + Send + Sync);

/// Links.
#[async_trait]
pub trait LinkStore: Send + Sync {
    /// Keeps a link under the digest of its token, in place of the user's other links that set a password, or do not, as it
    /// does. Recorded as [`EventKind::LinkSent`](crate::model::event::EventKind::LinkSent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user, or the link does not fit the user as
    /// it is ([`Link::fits`]). Nothing is written then.
    async fn put_link(&self, link: &Link, digest: &TokenDigest) -> Result<()>;

    /// The link of this token and its user, if it is good at `now` ([`Link::is_good`]).
    async fn find_link(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<(Link, User)>>;

    /// Takes the link away and carries `change` out on its user, in one transaction, if the link is good at `now`: of several
    /// who try at once one succeeds. Where `revocation` is given it is recorded too, with all that it ends. Recorded as
    /// [`EventKind::LinkUsed`](crate::model::event::EventKind::LinkUsed) besides what has changed. Returns the user as it is
    /// then; `None` when there is no such link, and nothing is written then.
    ///
    /// # Errors
    /// As [`UserStore::change_user`](super::people::UserStore::change_user).
    async fn spend_link(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
        change: UseLink<'_>,
        revocation: Option<&Revocation>,
    ) -> Result<Option<User>>;

    /// Forgets those that have expired at `now`. Returns how many.
    async fn purge_links(&self, now: Timestamp) -> Result<u64>;
}
