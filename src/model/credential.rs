//! Credentials that a person makes for programs: permanent tokens and application passwords.
//!
//! Invariant: a credential is known by its digest only, and belongs to one person for as long as it lives.

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{ServiceId, TokenId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
};

/// The kinds. A credential of one is never accepted as one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A bearer token for the services of its scope.
    PermanentToken,
    /// Stands for the person's password in programs that speak nothing but Basic.
    ApplicationPassword,
}

/// A permanent token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermanentToken {
    /// Its id; `jti` of what an upstream gets in its place.
    pub id: TokenId,
    /// For whom it acts.
    pub user: UserId,
    /// Who made it.
    pub author: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The services that it is for: at least one, sorted by id.
    pub scope: Vec<ServiceId>,
    /// Of the whole text as it was issued.
    pub digest: TokenDigest,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, as far as that was written.
    pub used: Option<Timestamp>,
}

/// An application password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationPassword {
    /// Its id; `jti` of what an upstream gets in its place.
    pub id: TokenId,
    /// For whom it acts.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// Of the whole text as it was issued.
    pub digest: TokenDigest,
    /// When it was made.
    pub created: Timestamp,
    /// Its last use, as far as that was written.
    pub used: Option<Use>,
}

/// A use of an application password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub address: String,
    /// The program, as it names itself, cut to 200 characters.
    pub user_agent: String,
}

/// What the gate knows of a credential: enough to recognize it and to say for whom and what it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCredential {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub id: TokenId,
    /// Of the whole text as it was issued.
    pub digest: TokenDigest,
    /// For whom it acts.
    pub user: UserId,
    /// The services that it is for; of an application password none, it is for all.
    pub scope: Vec<ServiceId>,
    /// When it was made.
    pub created: Timestamp,
}
