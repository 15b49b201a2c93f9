//! Signing keys and their life: active while they sign, retired while what they signed may still live, then gone.

use std::fmt;

use crate::base::{id::KeyId, time::Timestamp};

/// The signature algorithms that keys are made for (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: what access tokens are signed with, unless the configuration says otherwise.
    #[default]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits: what every client of OpenID Connect verifies.
    Rs256,
}

impl Algorithm {
    /// Every algorithm. The gateway has an active key for each.
    pub const ALL: [Self; 2] = [Self::Es256, Self::Rs256];

    /// The name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Signs and verifies.
    Active,
    /// Only verifies, until the given moment.
    Retired {
        /// From here on nothing that it signed can be alive.
        until: Timestamp,
    },
}

/// A signing key as the store keeps it: the private part sealed under the key file.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// `kid`.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The PKCS #8 document, sealed (see `crypto::seal`), bound to the id.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// Where it is in its life.
    pub state: KeyState,
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyRecord")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
