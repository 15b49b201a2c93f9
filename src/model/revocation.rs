//! Revocations: which tokens are dead before their time.
//!
//! Invariant: a revocation is kept until everything that it kills would have expired anyway.

use std::time::Duration;

use crate::base::{
    id::{ServiceId, TokenId},
    time::Timestamp,
};

/// No access token lives longer, whatever the configuration says now or said when it was made.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What a revocation names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// One access token, by its `jti`.
    Token(TokenId),
    /// Every token that a service obtained (`client_id`), up to the moment of the revocation.
    Client(ServiceId),
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What is dead.
    pub target: RevocationTarget,
    /// When it was revoked: of a client, tokens issued up to here are dead, later ones are not.
    pub revoked: Timestamp,
    /// When the record may be forgotten.
    pub expires: Timestamp,
}
