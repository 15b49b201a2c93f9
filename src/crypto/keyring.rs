//! The signing keys in use: one that signs, several that verify, opened and parsed once.
//!
//! Invariant: there is always a key that signs; a retired key verifies nothing after its time.

use std::sync::Arc;

use super::{
    jws::{Jwk, JwsError, SigningKey, VerifyingKey, generate_pkcs8},
    seal::{NotOurs, SealingKey},
};
use crate::{
    base::{id::KeyId, random::Random, time::Timestamp},
    model::key::{Algorithm, KeyState, SigningKeyRecord},
};

/// Why the keys in the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A key does not open.
    #[error(
        "signing key {0} does not open: {NotOurs}. The store belongs to another key file: put the right one back, or rename the database to begin anew"
    )]
    Sealed(KeyId),
    /// A key opens, but aws-lc refuses it.
    #[error("signing key {0} is damaged")]
    Damaged(KeyId),
    /// No key signs.
    #[error("there is no signing key yet; the first start of the gateway makes one")]
    NoActiveKey,
}

/// The keys of one snapshot.
#[derive(Debug)]
pub struct Keyring {
    signing: Arc<SigningKey>,
    verifying: Vec<(VerifyingKey, Option<Timestamp>)>,
}

/// The published keys (RFC 7517 section 5).
#[derive(Debug, serde::Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Keyring {
    /// Opens the records of the store. The newest active key signs.
    ///
    /// # Errors
    /// [`KeyringError`]; one damaged key refuses all, because which one it is decides who stays signed in.
    pub fn open(records: &[SigningKeyRecord], sealing: &SealingKey) -> Result<Self, KeyringError> {
        let mut signing: Option<(Timestamp, Arc<SigningKey>)> = None;
        let mut verifying = Vec::with_capacity(records.len());
        for record in records {
            let pkcs8 = sealing
                .open(record.id.as_str(), &record.sealed)
                .map_err(|NotOurs| KeyringError::Sealed(record.id.clone()))?;
            let damaged = |_| KeyringError::Damaged(record.id.clone());
            let key = SigningKey::from_pkcs8(record.id.clone(), &pkcs8).map_err(damaged)?;
            let public = key.verifying_key().map_err(damaged)?;
            match record.state {
                KeyState::Active => {
                    verifying.push((public, None));
                    if signing.as_ref().is_none_or(|(created, _)| *created < record.created) {
                        signing = Some((record.created, Arc::new(key)));
                    }
                }
                KeyState::Retired { until } => verifying.push((public, Some(until))),
            }
        }
        let (_, signing) = signing.ok_or(KeyringError::NoActiveKey)?;
        Ok(Self { signing, verifying })
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key with this `kid`, if it verifies at `now`.
    #[must_use]
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying
            .iter()
            .find(|(key, until)| key.id().as_str() == kid && until.is_none_or(|end| now < end))
            .map(|(key, _)| key)
    }

    /// What `…/oauth2/keys` publishes at `now`.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Jwks {
        let live = self.verifying.iter().filter(|(_, until)| until.is_none_or(|end| now < end));
        Jwks { keys: live.map(|(key, _)| key.jwk()).collect() }
    }
}

/// Makes a new signing key and seals it.
///
/// # Errors
/// [`JwsError::Malformed`] when aws-lc fails.
pub fn generate(
    sealing: &SealingKey,
    now: Timestamp,
    random: &dyn Random,
) -> Result<SigningKeyRecord, JwsError> {
    let id = KeyId::random(random);
    let pkcs8 = generate_pkcs8()?;
    let sealed = sealing.seal(id.as_str(), &pkcs8, random).map_err(|NotOurs| JwsError::Malformed)?;
    Ok(SigningKeyRecord { id, algorithm: Algorithm::Es256, sealed, created: now, state: KeyState::Active })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{base::random::SystemRandom, crypto::jws::verify};

    #[test]
    fn the_newest_active_key_signs_and_retired_keys_verify_for_a_while() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let t0 = Timestamp::from_seconds(1000);
        let hour = Duration::from_secs(3600);
        let old = generate(&sealing, t0, &SystemRandom).unwrap();
        let token =
            Keyring::open(std::slice::from_ref(&old), &sealing).unwrap().signing().sign("t", b"{}").unwrap();
        let new = generate(&sealing, t0.plus(hour), &SystemRandom).unwrap();
        let retired = SigningKeyRecord { state: KeyState::Retired { until: t0.plus(hour) }, ..old };
        let ring = Keyring::open(&[new.clone(), retired], &sealing).unwrap();
        assert_eq!(ring.signing().id(), &new.id);
        let at = |now| verify(token.as_bytes(), |kid| ring.verifying(kid, now));
        assert!(at(t0.plus(hour / 2)).is_ok());
        assert_eq!(at(t0.plus(hour)).unwrap_err(), JwsError::UnknownKey);
        let published = serde_json::to_value(ring.jwks(t0)).unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), 2);
        assert!(published["keys"][0].get("d").is_none());
        assert_eq!(
            serde_json::to_value(ring.jwks(t0.plus(hour))).unwrap()["keys"].as_array().unwrap().len(),
            1
        );
    }

    #[test]
    fn a_ring_without_a_usable_key_is_no_ring() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = generate(&sealing, Timestamp::default(), &SystemRandom).unwrap();
        assert_eq!(Keyring::open(&[], &sealing).unwrap_err(), KeyringError::NoActiveKey);
        let other = SealingKey::new(&[2; 32]).unwrap();
        assert_eq!(
            Keyring::open(std::slice::from_ref(&key), &other).unwrap_err(),
            KeyringError::Sealed(key.id.clone())
        );
    }
}
