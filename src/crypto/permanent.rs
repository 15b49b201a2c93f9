//! Permanent tokens in Hub's form: `perm:`, the login and the token's name in base64, and 256 random bits, with dots between.
//!
//! Invariants: what is digested is the whole text as it was issued, so that neither login nor name can be exchanged; a text
//! of another form has no digest. What is written in front of the random part is for people who find a token and wonder
//! whose it is; nothing is decided by it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::digest::TokenDigest;
use crate::base::{random::Random, secret::Secret};

/// What the tokens that we issue begin with. Hub has issued others that begin with `perm-`: these are known as permanent
/// tokens and as none of ours, also where the rest is that of one of ours.
const PREFIX: &[u8] = b"perm:";

/// Characters of base64url that 256 bits make.
const RANDOM_LENGTH: usize = 43;

/// The longest that one can be: login and name of 100 characters of four bytes each.
pub const LONGEST: usize = PREFIX.len() + 2 * (400_usize.div_ceil(3) * 4 + 1) + RANDOM_LENGTH;

/// Makes a new token. Only its digest may be kept.
#[must_use]
pub fn generate(login: &str, name: &str, random: &dyn Random) -> Secret {
    let secret = Secret::random(random);
    Secret::new(format!("perm:{}.{}.{}", STANDARD.encode(login), STANDARD.encode(name), secret.expose()))
}

/// Whether a bearer token means to be a permanent token, of whichever server. No access token begins so.
#[must_use]
pub fn is_meant(token: &[u8]) -> bool {
    token.starts_with(PREFIX) || token.starts_with(b"perm-")
}

/// The digest under which a token is kept; `None` when it cannot be one of ours.
#[must_use]
pub fn digest(token: &[u8]) -> Option<TokenDigest> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.strip_prefix(PREFIX)?.split(|byte| *byte == b'.');
    let (login, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let base64 = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    let random = secret.len() == RANDOM_LENGTH
        && secret.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (parts.next().is_none() && base64(login) && base64(name) && random).then(|| TokenDigest::of(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::random::SystemRandom,
        crypto::opaque::{self, Kind},
    };

    #[test]
    fn a_token_has_hubs_form_and_256_random_bits() {
        let token = generate("jane.doe", "My CI ✓", &SystemRandom);
        let parts: Vec<&str> = token.expose().strip_prefix("perm:").unwrap().split('.').collect();
        let [login, name, secret] = parts[..] else { panic!("{parts:?}") };
        assert_eq!(STANDARD.decode(login).unwrap(), b"jane.doe");
        assert_eq!(STANDARD.decode(name).unwrap(), "My CI ✓".as_bytes());
        assert_eq!(secret.len(), RANDOM_LENGTH);
        assert_ne!(token, generate("jane.doe", "My CI ✓", &SystemRandom));
        let longest = generate(&"\u{10ffff}".repeat(100), &"\u{10ffff}".repeat(100), &SystemRandom);
        assert_eq!(longest.expose().len(), LONGEST);
        for token in [token, longest] {
            assert_eq!(digest(token.expose().as_bytes()), Some(TokenDigest::of(token.expose().as_bytes())));
        }
    }

    #[test]
    fn a_text_of_another_form_has_no_digest() {
        let secret = "x".repeat(RANDOM_LENGTH);
        let good = format!("perm:YQ==.Yg==.{secret}");
        assert!(digest(good.as_bytes()).is_some());
        for bad in [
            String::new(),
            "perm:".into(),
            secret.clone(),
            format!("perm-YQ==.Yg==.{secret}"),
            format!("Perm:YQ==.Yg==.{secret}"),
            format!("perm:YQ==.{secret}"),
            format!("perm:YQ==.Yg==.Yw==.{secret}"),
            format!("perm:.Yg==.{secret}"),
            format!("perm:YQ==..{secret}"),
            format!("perm:Y-==.Yg==.{secret}"),
            format!("perm:YQ==.Yg==.{secret}x"),
            format!("perm:YQ==.Yg==.{}", &secret[1..]),
            format!("perm:YQ==.Yg==.{}+", &secret[1..]),
            format!("{good} "),
            format!("perm:{}.Yg==.{secret}", "Y".repeat(LONGEST)),
        ] {
            assert!(digest(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    /// A credential of one kind is none of another.
    #[test]
    fn kinds_are_apart() {
        let token = generate("jane", "ci", &SystemRandom);
        assert!(Kind::ALL.into_iter().all(|kind| opaque::digest(kind, token.expose()).is_none()));
        for kind in Kind::ALL {
            let other = opaque::generate(kind, &SystemRandom);
            assert!(digest(other.expose().as_bytes()).is_none() && !is_meant(other.expose().as_bytes()));
        }
        assert!(is_meant(b"perm:a") && is_meant(b"perm-a") && !is_meant(b"permanent") && !is_meant(b"eyJ"));
    }
}
