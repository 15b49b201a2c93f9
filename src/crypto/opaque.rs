//! Opaque credentials: authorization codes, refresh tokens, session cookies, application passwords, links. 256 random bits
//! behind a prefix that tells the kind.
//!
//! Invariant: a credential of one kind has no digest as another, so none is ever looked up in the wrong place.

use super::digest::TokenDigest;
use crate::base::{random::Random, secret::Secret};

/// The kinds, each with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An authorization code (RFC 6749 section 1.3.1).
    Code,
    /// A refresh token (RFC 6749 section 1.5).
    Refresh,
    /// The value of a session cookie.
    Session,
    /// An application password.
    ApplicationPassword,
    /// The token of a link that is sent by mail.
    Link,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Code, Self::Refresh, Self::Session, Self::ApplicationPassword, Self::Link];

    /// What every credential of this kind begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "hgc_",
            Self::Refresh => "hgr_",
            Self::Session => "hgs_",
            Self::ApplicationPassword => "hga_",
            Self::Link => "hgl_",
        }
    }
}

/// Characters of base64url that 256 bits make.
const RANDOM_LENGTH: usize = 43;

/// Makes a new credential. Only its digest may be kept.
#[must_use]
pub fn generate(kind: Kind, random: &dyn Random) -> Secret {
    Secret::new(format!("{}{}", kind.prefix(), Secret::random(random).expose()))
}

/// The digest under which a credential of this kind is kept; `None` when `text` cannot be one.
#[must_use]
pub fn digest(kind: Kind, text: &str) -> Option<TokenDigest> {
    let rest = text.strip_prefix(kind.prefix())?;
    let plausible = rest.len() == RANDOM_LENGTH
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    plausible.then(|| TokenDigest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn a_credential_is_of_one_kind_only() {
        for kind in Kind::ALL {
            let made = generate(kind, &SystemRandom);
            for other in Kind::ALL {
                assert_eq!(digest(other, made.expose()).is_some(), kind == other, "{kind:?} as {other:?}");
            }
            assert_ne!(made, generate(kind, &SystemRandom));
        }
        for bad in ["", "hgc_", "hgc_short", "hgr_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"] {
            assert!(Kind::ALL.into_iter().all(|kind| digest(kind, bad).is_none()), "{bad}");
        }
    }
}
