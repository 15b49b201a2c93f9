//! Text that must not be shown: passwords, client secrets, tokens in the clear.
//!
//! Invariant: a [`Secret`] has no `Display` and no `Serialize`, its `Debug` says nothing, its memory is wiped on drop.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::random::Random;

/// A text that only [`Secret::expose`] shows.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A new secret of 256 random bits as 43 characters of base64url.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let bytes = Zeroizing::new(random.bytes::<32>());
        Self::new(URL_SAFE_NO_PAD.encode(*bytes))
    }

    /// The text itself. The caller must not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn debug_says_nothing() {
        let secret = Secret::new("hunter2".into());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret, Secret::new("hunter2".into()));
        assert_ne!(secret, Secret::new("hunter3".into()));
        assert_eq!(Secret::random(&SystemRandom).expose().len(), 43);
    }
}
