//! Sealing: what the store keeps of a private key is useless without the key file beside it.
//!
//! Invariant: AES-256-GCM with a fresh random nonce for each sealing, bound to the record that it belongs to, so
//! that a sealed key cannot be put under another id (NIST SP 800-38D).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::base::random::Random;

/// The length of a sealing key, in bytes.
pub const SEALING_KEY_LENGTH: usize = 32;

/// Why something sealed could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed with this key file, or it has been changed")]
pub struct NotOurs;

/// The key that seals signing keys, and whatever else the store or a page keeps and must not know.
#[derive(Debug, Clone)]
pub struct SealingKey(Arc<LessSafeKey>);

impl SealingKey {
    /// From the content of the key file.
    ///
    /// # Errors
    /// [`NotOurs`] when aws-lc refuses the bytes.
    pub fn new(bytes: &[u8; SEALING_KEY_LENGTH]) -> Result<Self, NotOurs> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| NotOurs)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Seals `plain` for the record `context`: nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// [`NotOurs`] when aws-lc fails, which it does only for lengths beyond 64 GiB.
    pub fn seal(&self, context: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, NotOurs> {
        let nonce: [u8; NONCE_LEN] = random.bytes();
        let mut sealed = Zeroizing::new(plain.to_vec());
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut *sealed,
            )
            .map_err(|_| NotOurs)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`SealingKey::seal`] made for the same `context`.
    ///
    /// # Errors
    /// [`NotOurs`] on another key, another context or a changed byte.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOurs)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| NotOurs)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn only_the_same_key_context_and_bytes_open() {
        let key = SealingKey::new(&[7; 32]).unwrap();
        let sealed = key.seal("kid-1", b"private", &SystemRandom).unwrap();
        assert_eq!(key.open("kid-1", &sealed).unwrap().as_slice(), b"private");
        assert_eq!(key.open("kid-2", &sealed).unwrap_err(), NotOurs);
        assert_eq!(SealingKey::new(&[8; 32]).unwrap().open("kid-1", &sealed).unwrap_err(), NotOurs);
        for position in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[position] ^= 1;
            assert!(key.open("kid-1", &bent).is_err());
        }
        assert!(key.open("kid-1", &sealed[..5]).is_err());
        assert_ne!(sealed, key.seal("kid-1", b"private", &SystemRandom).unwrap(), "a nonce was used twice");
    }
}
