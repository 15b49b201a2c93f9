//! Codes that change with the time, from a secret that a person's device and the gateway share.
//!
//! Invariants: a secret has 160 random bits (RFC 4226 section 4, R6) and is kept sealed for the user whose it is; a code is
//! compared in constant time, with the one step before and after that a clock may be wrong by (RFC 6238 section 5.2). That a
//! code is good once is for the store to keep.
//!
//! RFC 4226 sections 5.3 and 5.4, RFC 6238 sections 4 and 5.2, RFC 4648 section 6.

use aws_lc_rs::hmac;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::seal::{NotOurs, SealingKey};
use crate::base::{id::UserId, random::Random, secret::Secret, time::Timestamp};

/// Bytes of a secret.
pub const SECRET_LENGTH: usize = 20;

/// Digits of a code.
pub const DIGITS: usize = 6;

/// Milliseconds of a step.
const STEP: i64 = 30_000;

/// What a device and the gateway share.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    /// A new one.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes. The caller must not log them, and keeps them sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Sealed for this user.
    ///
    /// # Errors
    /// [`NotOurs`] when aws-lc fails.
    pub fn seal(&self, user: &UserId, sealing: &SealingKey, random: &dyn Random) -> Result<Vec<u8>, NotOurs> {
        sealing.seal(&context(user), self.bytes(), random)
    }

    /// Opens what [`TotpSecret::seal`] made for the same user.
    ///
    /// # Errors
    /// [`NotOurs`]
    pub fn open(user: &UserId, sealing: &SealingKey, sealed: &[u8]) -> Result<Self, NotOurs> {
        Self::from_bytes(&sealing.open(&context(user), sealed)?).ok_or(NotOurs)
    }

    /// What a person types into a device that cannot see a picture: 32 characters of base32.
    #[must_use]
    pub fn base32(&self) -> Secret {
        Secret::new(base32(self.bytes()))
    }

    /// What a device reads from a picture: the form that every authenticator knows.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> Secret {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, account, secret) = (encoded(issuer), encoded(account), self.base32());
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            secret.expose()
        ))
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: i64) -> Secret {
        // What the RFC asks for; a collision of SHA-1 is of no use against an HMAC.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.bytes());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = |n: usize| u32::from(tag.get(n).copied().unwrap_or_default());
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
        let number = (at(offset) & 0x7f) << 24 | at(offset + 1) << 16 | at(offset + 2) << 8 | at(offset + 3);
        Secret::new(format!("{:06}", number % 1_000_000))
    }

    /// The latest step around `now` whose code this is.
    #[must_use]
    pub fn step_of(&self, code: &Secret, now: Timestamp) -> Option<i64> {
        let step = step(now);
        let mut found = None;
        // Each is looked at, whichever it is.
        for candidate in [step.saturating_sub(1), step, step.saturating_add(1)] {
            if bool::from(self.code(candidate).expose().as_bytes().ct_eq(code.expose().as_bytes())) {
                found = Some(candidate);
            }
        }
        found
    }
}

/// The step at `now`.
#[must_use]
pub const fn step(now: Timestamp) -> i64 {
    now.millis().div_euclid(STEP)
}

fn context(user: &UserId) -> String {
    format!("second step of {user}")
}

/// RFC 4648 section 6, without padding, which 20 bytes need none of.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, n| bits << 8 | u64::from(chunk.get(n).copied().unwrap_or(0)));
        for n in 0..(chunk.len() * 8).div_ceil(5) {
            let place = usize::try_from(bits >> (35 - 5 * n) & 31).unwrap_or(0);
            text.extend(ALPHABET.get(place).map(|c| char::from(*c)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    fn rfc() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfcs() {
        // RFC 4226 appendix D.
        let counted =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871"];
        for (step, code) in (0..).zip(counted) {
            assert_eq!(rfc().code(step).expose(), code, "{step}");
        }
        // RFC 6238 appendix B, the last six of eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_seconds(seconds);
            assert_eq!(rfc().code(step(now)).expose(), code, "{seconds}");
            assert_eq!(rfc().step_of(&Secret::new(code.to_owned()), now), Some(step(now)));
        }
    }

    #[test]
    fn a_clock_may_be_wrong_by_one_step() {
        let now = Timestamp::from_seconds(1_234_567_890);
        let secret = rfc();
        for (offset, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let step = step(now) + offset;
            assert_eq!(secret.step_of(&secret.code(step), now), good.then_some(step), "{offset}");
        }
        for bad in ["", "05924", "0005924", "00592a", "000000", " 005924"] {
            assert_eq!(secret.step_of(&Secret::new(bad.to_owned()), now), None, "{bad:?}");
        }
    }

    #[test]
    fn a_device_can_read_it() {
        for (plain, encoded) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
        assert_eq!(rfc().base32().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            rfc().uri("Gate & Co", "jane@x?y").expose(),
            "otpauth://totp/Gate%20%26%20Co:jane%40x%3Fy?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Gate%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_sealed_secret_opens_for_its_user_alone() {
        let sealing = SealingKey::new(&[3; 32]).unwrap();
        let [jane, bob] = ["jane", "bob"].map(|id| UserId::parse(id).unwrap());
        let secret = TotpSecret::random(&SystemRandom);
        let sealed = secret.seal(&jane, &sealing, &SystemRandom).unwrap();
        assert_eq!(TotpSecret::open(&jane, &sealing, &sealed).unwrap().bytes(), secret.bytes());
        assert!(TotpSecret::open(&bob, &sealing, &sealed).is_err());
        assert!(!sealed.windows(8).any(|part| part == &secret.bytes()[..8]));
    }
}
