//! Signing keys, one for each algorithm: the first ones, and the next ones.

use std::time::Duration;

use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::{
    base::{
        random::Random,
        time::{Clock, Timestamp},
    },
    crypto::{
        jws::{JwsError, generate_pkcs8},
        keyring,
        seal::SealingKey,
    },
    model::{
        key::{Algorithm, KeyState, SigningKeyRecord},
        revocation::LONGEST_TOKEN_LIFE,
    },
    oauth::token::verify::CLOCK_SKEW,
    store::{KeyStore, StoreError},
};

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// aws-lc's reason.
    #[error("a signing key cannot be made: {0}")]
    Crypto(#[from] JwsError),
}

/// A key in the making, on a thread where nobody waits for it: one for RS256 takes a tenth of a second and more.
#[derive(Debug)]
pub struct Coming(Algorithm, JoinHandle<Result<Zeroizing<Vec<u8>>, JwsError>>);

impl Coming {
    /// Begins to make one. To be called within a runtime.
    #[must_use]
    pub fn begin(algorithm: Algorithm) -> Self {
        Self(algorithm, tokio::task::spawn_blocking(move || generate_pkcs8(algorithm)))
    }

    async fn seal(
        self,
        sealing: &SealingKey,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<SigningKeyRecord, KeyError> {
        let Self(algorithm, making) = self;
        // A panic of the thread, or the runtime ends.
        let pkcs8 = making.await.map_err(|_| JwsError::Malformed)??;
        Ok(keyring::seal(algorithm, &pkcs8, sealing, clock.now(), random)?)
    }
}

/// All keys; of each algorithm the first one is made when there is none, or taken from `coming`, where it is in the making.
///
/// # Errors
/// [`KeyError`]
pub async fn ensure(
    store: &dyn KeyStore,
    sealing: &SealingKey,
    mut coming: Vec<Coming>,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<SigningKeyRecord>, KeyError> {
    let known = store.list_keys().await?;
    let mut missing = Vec::new();
    for algorithm in Algorithm::ALL {
        if !active(&known).any(|key| key.algorithm == algorithm) {
            let begun = coming.iter().position(|coming| coming.0 == algorithm);
            missing.push(begun.map_or_else(|| Coming::begin(algorithm), |at| coming.swap_remove(at)));
        }
    }
    if missing.is_empty() {
        return Ok(known);
    }
    for coming in missing {
        store.add_first_key(&coming.seal(sealing, clock, random).await?).await?;
    }
    Ok(store.list_keys().await?)
}

/// Makes a new key that signs with this algorithm from now on; those before verify for as long as a token of theirs may
/// live.
///
/// # Errors
/// [`KeyError`]
pub async fn rotate(
    store: &dyn KeyStore,
    algorithm: Algorithm,
    sealing: &SealingKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<SigningKeyRecord, KeyError> {
    let key = Coming::begin(algorithm).seal(sealing, clock, random).await?;
    // A little longer: another node may sign with the key before for as long as it has not heard of the new one.
    store.rotate_key(&key, clock.now().plus(LONGEST_TOKEN_LIFE).plus(CLOCK_SKEW)).await?;
    Ok(key)
}

/// The algorithms whose key is older than `life`.
pub fn due(keys: &[SigningKeyRecord], life: Duration, now: Timestamp) -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(move |algorithm| {
        let created = active(keys).filter(|key| key.algorithm == *algorithm).map(|key| key.created).max();
        created.is_some_and(|created| now.since(created) >= life)
    })
}

fn active(keys: &[SigningKeyRecord]) -> impl Iterator<Item = &SigningKeyRecord> {
    keys.iter().filter(|key| key.state == KeyState::Active)
}
