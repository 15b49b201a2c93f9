//! The second step of a sign-in, as the store offers it.

use async_trait::async_trait;

use super::Result;
use crate::{base::id::UserId, crypto::digest::TokenDigest, model::second_step::SecondStep};

/// Second steps of users, and their recovery codes.
///
/// A user who is removed or erased takes them along. Whatever is spent here is spent in the transaction that looks at it:
/// of several who bring the same code at once, one is told `true`.
#[async_trait]
pub trait SecondStepStore: Send + Sync {
    /// A user's second step, if it is on.
    async fn find_second_step(&self, user: &UserId) -> Result<Option<SecondStep>>;

    /// Turns it on, with these recovery codes; `step.codes_left` is not looked at.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user;
    /// [`StoreError::Conflict`](super::StoreError::Conflict) when the user has one, or its secret or a code is another's.
    /// Nothing is written then.
    async fn add_second_step(&self, step: &SecondStep, codes: &[TokenDigest]) -> Result<()>;

    /// Spends a time step, and with it every earlier one. Returns whether that was to be had: not when it or a later one was
    /// spent before, and not when the user's second step is no longer the one that was read (its secret is another, or it is
    /// off).
    async fn spend_time_step(&self, read: &SecondStep, spent: i64) -> Result<bool>;

    /// Spends a recovery code. Returns whether there was one, under the same conditions.
    async fn spend_recovery_code(&self, read: &SecondStep, code: &TokenDigest) -> Result<bool>;

    /// Replaces all recovery codes of a user. Returns whether there is a second step; else nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) when one is another's; nothing is written then.
    async fn replace_recovery_codes(&self, user: &UserId, codes: &[TokenDigest]) -> Result<bool>;

    /// Turns it off; the recovery codes are gone too. Returns whether it was on.
    async fn remove_second_step(&self, user: &UserId) -> Result<bool>;
}
