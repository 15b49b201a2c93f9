//! Revocations: which tokens are dead before their time.
//!
//! Invariant: a revocation is kept until everything that it kills would have expired anyway.

use std::time::Duration;

use crate::base::{
    id::{GrantId, ServiceId, SessionId, TokenId, UserId},
    time::Timestamp,
};

/// No access token lives longer, whatever the configuration says now or said when it was made.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What a revocation names. The first two kinds kill whatever bears the id; the others what was issued up to the moment
/// of the revocation, so that a user who comes back, or a consent that is given anew, starts clean.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// One access token, by its `jti`.
    Token(TokenId),
    /// A family of tokens, by its `grant_id`.
    Grant(GrantId),
    /// What came of a session, by its `sid`.
    Session(SessionId),
    /// Every token that a service obtained (`client_id`).
    Client(ServiceId),
    /// Every token that acts for a user (`sub`).
    User(UserId),
    /// Every token that a service obtained for a user.
    Consent(UserId, ServiceId),
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What is dead.
    pub target: RevocationTarget,
    /// When it was revoked: of clients, users and consents, tokens issued up to here are dead, later ones are not.
    pub revoked: Timestamp,
    /// When the record may be forgotten.
    pub expires: Timestamp,
}

impl Revocation {
    /// A revocation at `now`, kept for as long as any token of its target may live.
    #[must_use]
    pub fn at(now: Timestamp, target: RevocationTarget) -> Self {
        Self { target, revoked: now, expires: now.plus(LONGEST_TOKEN_LIFE) }
    }
}
