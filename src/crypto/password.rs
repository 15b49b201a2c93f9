//! Passwords: argon2id for those that are set here (RFC 9106), bcrypt for those that are imported.
//!
//! Invariant: nothing longer than [`LONGEST`] is hashed, no stored hash can ask for more memory or time than a login may
//! cost, and hashes are compared in constant time.
//!
//! What is typed is prepared by the `OpaqueString` profile of RFC 8265 section 4.2: other spaces become the ASCII one, then
//! normalization form C, so that a password opens the same account from every keyboard. It is not form KC, which that
//! profile does not use: it would make passwords equal that people see to be different (`²` and `2`).

use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc::PasswordHash};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::{sync::Arc, time::Duration};
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::base::{random::Random, secret::Secret};

/// Bytes of a password as it was typed. More is refused before anything is computed.
pub const LONGEST: usize = 1024;

/// Memory in KiB, passes and lanes (OWASP Password Storage Cheat Sheet, argon2id).
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_LENGTH: usize = 16;
const HASH_LENGTH: usize = 32;

/// The most that a stored hash may cost: an imported one of another system's making, or one that somebody wrote into the
/// database to keep the gateway busy.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
const MOST_BCRYPT_COST: u32 = 15;

/// A hash that belongs to nobody and was made of no password: what is verified where there is no other, so that an
/// unknown name costs what a known one does.
pub const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$RwLkxZGEhqucKKqjiDYyfw$tZJ+kM4ZsIJ4VVxPohub3l8kI+G5PHLQ1rwe2RZ7svU";

/// Why there is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is more to be hashed than can be; this long it may take until there is not.
    #[error("too many passwords are waiting to be checked")]
    Busy(Duration),
    /// It is longer than [`LONGEST`].
    #[error("a password has at most {LONGEST} bytes")]
    TooLong,
    /// The parameters are not argon2's, which a test excludes.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

/// Who hashes: a pool where many may ask at once, [`Direct`] where one waits.
#[async_trait]
pub trait Hasher: Send + Sync {
    /// Whether `password` is the one that `hash` was made of. Something that is no hash is nobody's.
    ///
    /// # Errors
    /// [`HashError::Busy`]
    async fn verify(&self, hash: &str, password: &Secret) -> Result<bool, HashError>;

    /// A new hash.
    ///
    /// # Errors
    /// [`HashError`]
    async fn hash(&self, password: &Secret) -> Result<String, HashError>;
}

/// The memory that argon2id fills, kept from one password to the next: taking 19 MiB from the system each time costs
/// page faults, for which the whole process's address space is locked.
#[derive(Debug, Default)]
pub struct Workspace(Vec<Block>);

impl Workspace {
    /// Makes a hash in PHC form.
    ///
    /// # Errors
    /// [`HashError::TooLong`]
    pub fn hash(&mut self, password: &Secret, random: &dyn Random) -> Result<String, HashError> {
        if password.expose().len() > LONGEST {
            return Err(HashError::TooLong);
        }
        let failed = |error: argon2::Error| HashError::Failed(error.to_string());
        let params = Params::new(MEMORY, PASSES, LANES, Some(HASH_LENGTH)).map_err(failed)?;
        let salt = random.bytes::<SALT_LENGTH>();
        let mut output = [0; HASH_LENGTH];
        self.fill(params, Version::V0x13, prepared(password).as_bytes(), &salt, &mut output)
            .map_err(failed)?;
        let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
        Ok(format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${output}"))
    }

    /// Whether `password` is the one that `hash` was made of.
    pub fn verify(&mut self, hash: &str, password: &Secret) -> bool {
        if password.expose().len() > LONGEST {
            return false;
        }
        match Kept::parse(hash) {
            // As it was typed: that is what the system hashed from which it comes.
            Some(Kept::Bcrypt) => bcrypt::verify(password.expose(), hash).unwrap_or(false),
            Some(Kept::Argon2id { params, version, salt, output }) => {
                let mut computed = Zeroizing::new(vec![0; output.len()]);
                let prepared = prepared(password);
                self.fill(params, version, prepared.as_bytes(), &salt, &mut computed)
                    .is_ok_and(|()| computed.ct_eq(&output).into())
            }
            None => false,
        }
    }

    fn fill(
        &mut self,
        params: Params,
        version: Version,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> argon2::Result<()> {
        let blocks = params.block_count();
        let ours = usize::try_from(MEMORY).unwrap_or(blocks);
        self.0.resize_with(blocks.max(self.0.len()), Block::new);
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        let done = argon2.hash_password_into_with_memory(password, salt, output, &mut self.0);
        // What an imported hash needed beyond our own is not kept.
        if self.0.len() > ours {
            self.0.truncate(ours);
            self.0.shrink_to_fit();
        }
        done
    }
}

/// A hash that may be verified.
enum Kept {
    Bcrypt,
    Argon2id { params: Params, version: Version, salt: Vec<u8>, output: Vec<u8> },
}

impl Kept {
    fn parse(hash: &str) -> Option<Self> {
        if let Some(rest) = ["$2a$", "$2b$", "$2y$"].into_iter().find_map(|prefix| hash.strip_prefix(prefix))
        {
            let (cost, tail) = rest.split_once('$')?;
            let cost: u32 = (cost.len() == 2).then(|| cost.parse().ok())??;
            let good = tail.len() == 53
                && tail.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
            return (good && (4..=MOST_BCRYPT_COST).contains(&cost)).then_some(Self::Bcrypt);
        }
        let hash = PasswordHash::new(hash).ok()?;
        let version = Version::try_from(hash.version.unwrap_or(0x13)).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let bounded = params.m_cost() <= MOST_MEMORY
            && params.t_cost() <= MOST_PASSES
            && params.p_cost() <= MOST_LANES
            && params.keyid().is_empty()
            && params.data().is_empty();
        let (salt, output) = (hash.salt?.to_vec(), hash.hash?.as_bytes().to_vec());
        (hash.algorithm.as_str() == "argon2id" && bounded && output.len() >= 16).then_some(Self::Argon2id {
            params,
            version,
            salt,
            output,
        })
    }
}

/// Whether a hash that another system made can be verified here.
#[must_use]
pub fn is_usable(hash: &str) -> bool {
    Kept::parse(hash).is_some()
}

/// Whether a password whose hash this is should be hashed anew when it is next known: other parameters, another algorithm.
#[must_use]
pub fn needs_rehash(hash: &str) -> bool {
    match Kept::parse(hash) {
        Some(Kept::Argon2id { params, version, salt, output }) => {
            (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY, PASSES, LANES)
                || version != Version::V0x13
                || salt.len() < SALT_LENGTH
                || output.len() != HASH_LENGTH
        }
        Some(Kept::Bcrypt) | None => true,
    }
}

/// See the module.
fn prepared(password: &Secret) -> Zeroizing<String> {
    let space = |c| match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        c => c,
    };
    // Three times the bytes is the most that form C makes of a text (UAX #15), so that nothing is moved and left behind.
    let mut text = Zeroizing::new(String::with_capacity(3 * password.expose().len()));
    text.extend(password.expose().chars().map(space).nfc());
    text
}

/// Hashes where it is called, and keeps the caller waiting: for commands.
pub struct Direct(Arc<dyn Random>);

impl Direct {
    /// With salts from `random`.
    #[must_use]
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self(random)
    }

    /// As [`Hasher::verify`].
    #[must_use]
    pub fn verify_now(&self, hash: &str, password: &Secret) -> bool {
        Workspace::default().verify(hash, password)
    }

    /// As [`Hasher::hash`].
    ///
    /// # Errors
    /// [`HashError::TooLong`]
    pub fn hash_now(&self, password: &Secret) -> Result<String, HashError> {
        Workspace::default().hash(password, self.0.as_ref())
    }
}

#[async_trait]
impl Hasher for Direct {
    async fn verify(&self, hash: &str, password: &Secret) -> Result<bool, HashError> {
        Ok(self.verify_now(hash, password))
    }

    async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        self.hash_now(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_password_opens_what_it_closed() {
        let mut workspace = Workspace::default();
        let hash = workspace.hash(&secret("correct horse"), &SystemRandom).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(workspace.verify(&hash, &secret("correct horse")));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!workspace.verify(&hash, &secret(wrong)), "{wrong:?}");
        }
        assert!(!needs_rehash(&hash) && is_usable(&hash));
        assert_ne!(hash, workspace.hash(&secret("correct horse"), &SystemRandom).unwrap(), "a salt twice");
    }

    /// RFC 9106's reference implementation made it: `argon2 somesaltsomesalt -id -t 2 -k 65536 -p 1`.
    #[test]
    fn hashes_of_other_systems_are_verified_and_due() {
        let mut workspace = Workspace::default();
        let argon2id =
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(workspace.verify(argon2id, &secret("password")));
        assert!(!workspace.verify(argon2id, &secret("differentpassword")));
        assert!(needs_rehash(argon2id));
        let bcrypt = "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm";
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = bcrypt.replace("$2b$", prefix);
            assert!(is_usable(&hash) && needs_rehash(&hash));
            assert!(!workspace.verify(&hash, &secret("no")), "{hash}");
        }
        let made = bcrypt::hash_with_salt("pässword", 4, [7; 16]).unwrap();
        let hash = made.format_for_version(bcrypt::Version::TwoY);
        assert!(
            workspace.verify(&hash, &secret("pässword")) && !workspace.verify(&hash, &secret("password"))
        );
        // bcrypt looks at 72 bytes, and that is what the other system let in.
        let long = "x".repeat(80);
        let hash = bcrypt::hash_with_salt(&long, 4, [7; 16]).unwrap().to_string();
        assert!(workspace.verify(&hash, &secret(&long)));
    }

    #[test]
    fn a_hash_cannot_ask_for_the_whole_machine() {
        let mut workspace = Workspace::default();
        let tail = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for bad in [
            String::new(),
            "plain".to_owned(),
            "$".to_owned(),
            format!("$argon2id$v=19$m=4194304,t=2,p=1${tail}"),
            format!("$argon2id$v=19$m=65536,t=4000000,p=1${tail}"),
            format!("$argon2id$v=19$m=65536,t=2,p=255${tail}"),
            format!("$argon2i$v=19$m=65536,t=2,p=1${tail}"),
            format!("$argon2d$v=19$m=65536,t=2,p=1${tail}"),
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ".to_owned(),
            "$2b$31$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm".to_owned(),
            "$2b$04$short".to_owned(),
            "$2x$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm".to_owned(),
            "$5$rounds=5000$saltsalt$abc".to_owned(),
        ] {
            assert!(!is_usable(&bad) && !workspace.verify(&bad, &secret("password")), "{bad}");
            assert!(needs_rehash(&bad));
        }
    }

    #[test]
    fn too_long_is_refused_and_not_cut() {
        let mut workspace = Workspace::default();
        let most = secret(&"x".repeat(LONGEST));
        let hash = workspace.hash(&most, &SystemRandom).unwrap();
        assert!(workspace.verify(&hash, &most));
        let more = secret(&"x".repeat(LONGEST + 1));
        assert_eq!(workspace.hash(&more, &SystemRandom), Err(HashError::TooLong));
        assert!(!workspace.verify(&hash, &more));
    }

    #[test]
    fn keyboards_make_no_difference_and_letters_do() {
        let mut workspace = Workspace::default();
        let hash = workspace.hash(&secret("Caf\u{e9} \u{2013} 2"), &SystemRandom).unwrap();
        assert!(workspace.verify(&hash, &secret("Cafe\u{301} \u{2013} 2")));
        assert!(workspace.verify(&hash, &secret("Caf\u{e9}\u{a0}\u{2013} 2")));
        assert!(!workspace.verify(&hash, &secret("Caf\u{e9} \u{2013} \u{b2}")));
        assert_eq!(prepared(&secret("\u{fb2c}")).len(), 6, "the capacity above counts on it");
    }

    #[test]
    fn nobodys_hash_costs_what_somebodys_does() {
        assert!(is_usable(NOBODYS) && !needs_rehash(NOBODYS));
        assert!(!Workspace::default().verify(NOBODYS, &secret("")));
    }
}
