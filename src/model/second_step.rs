//! The second step of a sign-in.
//!
//! Invariant: the secret is known sealed only, recovery codes are no part of the record.

use std::fmt;

use crate::base::{id::UserId, time::Timestamp};

/// A user's second step.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondStep {
    /// Whose.
    pub user: UserId,
    /// The secret that the person's device has too, sealed (`crypto::totp`). No two second steps have the same.
    pub secret: Vec<u8>,
    /// When it was turned on.
    pub since: Timestamp,
    /// The last time step whose code was used.
    pub spent: i64,
    /// How many recovery codes are left.
    pub codes_left: u32,
}

impl fmt::Debug for SecondStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondStep")
            .field("user", &self.user)
            .field("since", &self.since)
            .field("spent", &self.spent)
            .field("codes_left", &self.codes_left)
            .finish_non_exhaustive()
    }
}
