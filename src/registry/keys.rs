//! Signing keys: the first one, and the next ones.

use std::time::Duration;

use crate::{
    base::{
        id::KeyId,
        random::Random,
        time::{Clock, Timestamp},
    },
    crypto::{jws::JwsError, keyring, seal::SealingKey},
    model::{
        key::{KeyState, SigningKeyRecord},
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

/// All keys; the first one is made when there is none.
///
/// # Errors
/// [`KeyError`]
pub async fn ensure(
    store: &dyn KeyStore,
    sealing: &SealingKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<SigningKeyRecord>, KeyError> {
    let known = store.list_keys().await?;
    if known.iter().any(|key| key.state == KeyState::Active) {
        return Ok(known);
    }
    store.add_first_key(&keyring::generate(sealing, clock.now(), random)?).await?;
    Ok(store.list_keys().await?)
}

/// Makes a new key that signs from now on; those before verify for as long as a token of theirs may live.
///
/// # Errors
/// [`KeyError`]
pub async fn rotate(
    store: &dyn KeyStore,
    sealing: &SealingKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<KeyId, KeyError> {
    let now = clock.now();
    let key = keyring::generate(sealing, now, random)?;
    // A little longer: another node may sign with the key before for as long as it has not heard of the new one.
    store.rotate_key(&key, now.plus(LONGEST_TOKEN_LIFE).plus(CLOCK_SKEW)).await?;
    Ok(key.id)
}

/// Whether the key that signs is older than `life`.
#[must_use]
pub fn rotation_is_due(keys: &[SigningKeyRecord], life: Duration, now: Timestamp) -> bool {
    let active = keys.iter().filter(|key| key.state == KeyState::Active);
    active.map(|key| key.created).max().is_some_and(|created| now.since(created) >= life)
}
