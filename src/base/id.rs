//! Identifiers: what they may contain, and types that cannot be confused with one another.
//!
//! Invariant: a constructed identifier is safe in a scope list, a header value, a URL path segment and a log line.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{random::Random, time::Timestamp};

/// The longest identifier accepted, in bytes.
pub const MAX_ID_LENGTH: usize = 64;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty or longer than [`MAX_ID_LENGTH`] bytes.
    #[error("an id has 1 to {MAX_ID_LENGTH} characters, this one has {0}")]
    Length(usize),
    /// The text has a character that would need quoting somewhere.
    #[error("an id consists of letters, digits, '.', '_' and '-', and {0:?} is none of them")]
    Character(char),
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > MAX_ID_LENGTH {
        return Err(InvalidId::Length(text.chars().count()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(c) => Err(InvalidId::Character(c)),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            /// [`InvalidId`] when the text is empty, too long or has a character outside `[A-Za-z0-9._-]`.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// A new random (version 4) UUID, the shape in which Hub shows ids.
            #[must_use]
            pub fn random(random: &dyn Random) -> Self {
                Self(Arc::from(uuid::Builder::from_random_bytes(random.bytes()).into_uuid().to_string()))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id! {
    /// Names a service: OAuth's `client_id`, an entry of a scope list, an audience.
    ServiceId
}
text_id! {
    /// Names a user; `sub` of a token that a person obtained.
    UserId
}
text_id! {
    /// Names a group of users.
    GroupId
}
text_id! {
    /// Names a signing key; `kid` of a token and of a JWK.
    KeyId
}
text_id! {
    /// Names one sign-in of a person on one browser; `sid` of what came of it. Not the cookie: knowing it opens nothing.
    SessionId
}
text_id! {
    /// Names what a person granted a client at one time, and the family of tokens that came of it.
    GrantId
}
text_id! {
    /// Names a remembered consent; Hub calls it an approved scope.
    ConsentId
}

impl GrantId {
    /// A new id that tells when it was made (UUID version 7), so that what a person takes back can be told from what they
    /// grant right after, to the millisecond.
    #[must_use]
    pub fn made(now: Timestamp, random: &dyn Random) -> Self {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        Self(Arc::from(
            uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid().to_string(),
        ))
    }

    /// When it was made; `None` when it does not tell.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let (seconds, nanos) = uuid::Uuid::parse_str(&self.0).ok()?.get_timestamp()?.to_unix();
        let millis =
            i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
        Some(Timestamp::from_millis(millis))
    }
}

impl ServiceId {
    /// The id of the gateway's own service (Hub itself), which every Hub client knows.
    pub const HUB: &str = "0-0-0-0-0";

    /// The gateway's own service.
    #[must_use]
    pub fn hub() -> Self {
        Self(Arc::from(Self::HUB))
    }
}

/// Names one access token: its `jti`, 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// A new id.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        Self(random.bytes())
    }

    /// A new id whose text begins with a letter, so that no command takes it for an option. One bit is not random.
    #[must_use]
    pub fn shown(random: &dyn Random) -> Self {
        let [first, rest @ ..] = random.bytes::<16>();
        let mut bytes = [first & 0x7f; 16];
        bytes.iter_mut().skip(1).zip(rest).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Reads the text form: 22 characters of unpadded base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The raw bytes, as the store keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the raw bytes that the store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn ids_refuse_what_would_need_quoting() {
        for good in ["youtrack", "0-0-0-0-0", "98071167-004c-4ddf-ba37-5d4599fdf319", "a.b_c"] {
            assert_eq!(ServiceId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\n", "a/b", "ä", "a:b", "a%20", &"x".repeat(65)] {
            assert!(ServiceId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn grant_ids_tell_their_millisecond() {
        let now = Timestamp::from_millis(1_800_000_000_123);
        let id = GrantId::made(now, &SystemRandom);
        assert_eq!(id.time(), Some(now));
        assert_eq!(GrantId::parse(id.as_str()).unwrap().time(), Some(now));
        assert_ne!(id, GrantId::made(now, &SystemRandom));
        assert_eq!(GrantId::parse("g1").unwrap().time(), None);
        assert_eq!(GrantId::random(&SystemRandom).time(), None);
    }

    #[test]
    fn token_ids_survive_their_text_form() {
        let id = TokenId::random(&SystemRandom);
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
        for _ in 0..200 {
            assert!(TokenId::shown(&SystemRandom).to_string().starts_with(|c: char| c.is_ascii_alphabetic()));
        }
        assert_eq!(TokenId::parse("short"), None);
        assert_eq!(TokenId::parse("!!!!!!!!!!!!!!!!!!!!!!"), None);
    }
}
