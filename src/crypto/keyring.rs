//! The signing keys in use: one for each algorithm that signs, several that verify, opened and parsed once.
//!
//! Invariant: there is always a key that signs access tokens; a retired key verifies nothing after its time.

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
    #[error("there is no signing key for {0} yet; the first start of the gateway makes one")]
    NoActiveKey(Algorithm),
}

/// The keys of one snapshot.
#[derive(Debug)]
pub struct Keyring {
    /// The one for access tokens.
    signing: Arc<SigningKey>,
    /// The active ones, at most one of each algorithm.
    active: Vec<Arc<SigningKey>>,
    verifying: Vec<(VerifyingKey, Option<Timestamp>)>,
}

/// The published keys (RFC 7517 section 5).
#[derive(Debug, serde::Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Keyring {
    /// Opens the records of the store. The newest active key of each algorithm signs; access tokens by ES256.
    ///
    /// # Errors
    /// [`KeyringError`]; one damaged key refuses all, because which one it is decides who stays signed in.
    pub fn open(records: &[SigningKeyRecord], sealing: &SealingKey) -> Result<Self, KeyringError> {
        Self::open_for(Algorithm::default(), records, sealing)
    }

    /// The same, with another algorithm for access tokens.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_for(
        access_tokens: Algorithm,
        records: &[SigningKeyRecord],
        sealing: &SealingKey,
    ) -> Result<Self, KeyringError> {
        let mut active: Vec<(Timestamp, Arc<SigningKey>)> = Vec::new();
        let mut verifying = Vec::with_capacity(records.len());
        for record in records {
            let pkcs8 = sealing
                .open(record.id.as_str(), &record.sealed)
                .map_err(|NotOurs| KeyringError::Sealed(record.id.clone()))?;
            let damaged = |_| KeyringError::Damaged(record.id.clone());
            let key = SigningKey::from_pkcs8(record.id.clone(), record.algorithm, &pkcs8).map_err(damaged)?;
            let public = key.verifying_key().map_err(damaged)?;
            match record.state {
                KeyState::Active => {
                    verifying.push((public, None));
                    match active.iter_mut().find(|(_, other)| other.algorithm() == record.algorithm) {
                        None => active.push((record.created, Arc::new(key))),
                        Some(older) if older.0 < record.created => *older = (record.created, Arc::new(key)),
                        Some(_) => {}
                    }
                }
                KeyState::Retired { until } => verifying.push((public, Some(until))),
            }
        }
        let active: Vec<_> = active.into_iter().map(|(_, key)| key).collect();
        let signing = active.iter().find(|key| key.algorithm() == access_tokens);
        let signing = Arc::clone(signing.ok_or(KeyringError::NoActiveKey(access_tokens))?);
        Ok(Self { signing, active, verifying })
    }

    /// The key that signs access tokens.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key that signs with this algorithm, if there is one.
    #[must_use]
    pub fn signing_with(&self, algorithm: Algorithm) -> Option<&SigningKey> {
        self.active.iter().map(AsRef::as_ref).find(|key| key.algorithm() == algorithm)
    }

    /// The key with this `kid`, if it verifies at `now`.
    #[must_use]
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying
            .iter()
            .find(|(key, until)| key.id().as_str() == kid && until.is_none_or(|end| now < end))
            .map(|(key, _)| key)
    }

    /// Whether an id stands for one key here and for another there. Nobody gives an id twice; where it has happened, what was verified
    /// by the one says nothing about the other.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        self.verifying.iter().any(|(key, _)| {
            other.verifying.iter().any(|(their, _)| key.id() == their.id() && !key.is_same(their))
        })
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
    algorithm: Algorithm,
    sealing: &SealingKey,
    now: Timestamp,
    random: &dyn Random,
) -> Result<SigningKeyRecord, JwsError> {
    seal(algorithm, &generate_pkcs8(algorithm)?, sealing, now, random)
}

/// Seals a key that was just made, a PKCS #8 document, under a new id.
///
/// # Errors
/// [`JwsError::Malformed`] when aws-lc fails.
pub fn seal(
    algorithm: Algorithm,
    pkcs8: &[u8],
    sealing: &SealingKey,
    now: Timestamp,
    random: &dyn Random,
) -> Result<SigningKeyRecord, JwsError> {
    let id = KeyId::random(random);
    let sealed = sealing.seal(id.as_str(), pkcs8, random).map_err(|NotOurs| JwsError::Malformed)?;
    Ok(SigningKeyRecord { id, algorithm, sealed, created: now, state: KeyState::Active })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        Algorithm::{Es256, Rs256},
        *,
    };
    use crate::{base::random::SystemRandom, crypto::jws::verify};

    #[test]
    fn the_newest_active_key_signs_and_retired_keys_verify_for_a_while() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let t0 = Timestamp::from_seconds(1000);
        let hour = Duration::from_secs(3600);
        let old = generate(Es256, &sealing, t0, &SystemRandom).unwrap();
        let token =
            Keyring::open(std::slice::from_ref(&old), &sealing).unwrap().signing().sign("t", b"{}").unwrap();
        let new = generate(Es256, &sealing, t0.plus(hour), &SystemRandom).unwrap();
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
    fn rings_contradict_each_other_when_an_id_has_two_keys() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let ring = |records: &[SigningKeyRecord]| Keyring::open(records, &sealing).unwrap();
        let made = || generate_pkcs8(Es256).unwrap();
        let record = |id: &KeyId, pkcs8: &[u8]| SigningKeyRecord {
            id: id.clone(),
            algorithm: Es256,
            sealed: sealing.seal(id.as_str(), pkcs8, &SystemRandom).unwrap(),
            created: Timestamp::default(),
            state: KeyState::Active,
        };
        let (id, other) = (KeyId::random(&SystemRandom), KeyId::random(&SystemRandom));
        let (first, second) = (made(), made());
        let before = ring(&[record(&id, &first)]);
        assert!(!before.contradicts(&ring(&[record(&id, &first), record(&other, &second)])));
        assert!(!before.contradicts(&ring(&[record(&other, &second)])));
        assert!(before.contradicts(&ring(&[record(&id, &second)])));
    }

    #[test]
    fn a_ring_without_a_usable_key_is_no_ring() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = generate(Es256, &sealing, Timestamp::default(), &SystemRandom).unwrap();
        assert_eq!(Keyring::open(&[], &sealing).unwrap_err(), KeyringError::NoActiveKey(Es256));
        let other = SealingKey::new(&[2; 32]).unwrap();
        assert_eq!(
            Keyring::open(std::slice::from_ref(&key), &other).unwrap_err(),
            KeyringError::Sealed(key.id.clone())
        );
    }
    #[test]
    fn each_algorithm_has_its_key() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let at = Timestamp::from_seconds;
        let key = |algorithm, created| generate(algorithm, &sealing, created, &SystemRandom).unwrap();
        let [ec, rsa, older] = [key(Es256, at(1)), key(Rs256, at(2)), key(Rs256, at(1))];
        let all = [ec.clone(), rsa.clone(), older];
        for (algorithm, other, signs) in [(Es256, Rs256, &ec), (Rs256, Es256, &rsa)] {
            let ring = Keyring::open_for(algorithm, &all, &sealing).unwrap();
            assert_eq!(ring.signing().id(), &signs.id);
            assert_eq!(ring.signing_with(algorithm).unwrap().id(), &signs.id);
            assert_eq!(ring.signing_with(other).unwrap().algorithm(), other);
            for key in [Es256, Rs256].map(|algorithm| ring.signing_with(algorithm).unwrap()) {
                let token = key.sign("t", b"{}").unwrap();
                assert!(verify(token.as_bytes(), |kid| ring.verifying(kid, at(3))).is_ok());
            }
            assert_eq!(serde_json::to_value(ring.jwks(at(3))).unwrap()["keys"].as_array().unwrap().len(), 3);
        }
        let alone = Keyring::open(std::slice::from_ref(&ec), &sealing).unwrap();
        assert!(alone.signing_with(Rs256).is_none());
        let missing = Keyring::open_for(Rs256, std::slice::from_ref(&ec), &sealing);
        assert_eq!(missing.unwrap_err(), KeyringError::NoActiveKey(Rs256));
        // A record that says it is of the other algorithm does not open.
        let swapped = SigningKeyRecord { algorithm: Es256, ..rsa };
        assert_eq!(
            Keyring::open(&[ec, swapped.clone()], &sealing).unwrap_err(),
            KeyringError::Damaged(swapped.id)
        );
    }
}
