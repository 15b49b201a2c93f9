//! Recovery codes: each good once in place of a code from a device that is lost.
//!
//! Invariant: a code has 80 random bits, so that its digest, which alone is kept, gives nothing away; a digest is of one
//! user's code and no other's.

use super::digest::TokenDigest;
use crate::base::{id::UserId, random::Random, secret::Secret};

/// Codes that a user gets at a time.
pub const COUNT: usize = 10;

/// Characters of a code, five bits each; hyphens apart.
const LENGTH: usize = 16;

/// None is mistaken for another.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes the codes of a user.
#[must_use]
pub fn generate(random: &dyn Random) -> Vec<Secret> {
    (0..COUNT).map(|_| one(random)).collect()
}

fn one(random: &dyn Random) -> Secret {
    let bytes = zeroize::Zeroizing::new(random.bytes::<LENGTH>());
    let mut text = String::with_capacity(LENGTH + 3);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.extend(ALPHABET.get(usize::from(byte % 32)).map(|c| char::from(*c)));
    }
    Secret::new(text)
}

/// The digest under which a code of this user is kept; `None` when `text` cannot be one. Case, hyphens and blanks do not
/// count.
#[must_use]
pub fn digest(user: &UserId, text: &str) -> Option<TokenDigest> {
    let mut plain = zeroize::Zeroizing::new(String::with_capacity(LENGTH));
    for c in text.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
        let c = c.to_ascii_lowercase();
        if plain.len() == LENGTH || !u8::try_from(c).is_ok_and(|byte| ALPHABET.contains(&byte)) {
            return None;
        }
        plain.push(c);
    }
    let form = zeroize::Zeroizing::new(format!("recovery code\0{user}\0{}", *plain));
    (plain.len() == LENGTH).then(|| TokenDigest::of(form.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn codes_are_ten_and_known_however_they_are_written() {
        let [jane, bob] = ["jane", "bob"].map(|id| UserId::parse(id).unwrap());
        let codes = generate(&SystemRandom);
        let mut digests: Vec<_> =
            codes.iter().map(|code| *digest(&jane, code.expose()).unwrap().as_bytes()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), COUNT);
        let code = codes[0].expose();
        assert_eq!(code.len(), 19);
        for same in [code.to_uppercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))] {
            assert_eq!(digest(&jane, &same), digest(&jane, code));
        }
        assert_ne!(digest(&jane, code), digest(&bob, code));
        for none in ["", "123456", "0123-4567-89ab-cde", "0123-4567-89ab-cdefg", "0123-4567-89ab-cdei"] {
            assert_eq!(digest(&jane, none), None, "{none}");
        }
    }
}
