//! A login and an application password, as programs send them that speak nothing but Basic (RFC 7617 section 2).
//!
//! Invariant: only what has the form of an application password is read here. Any other Basic credential is none of ours,
//! and is neither judged nor held against its source.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::{
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
    },
    model::user::Person,
    store::name::folded,
};

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest that is read, in characters of base64.
const LONGEST: usize = 4096;

/// A login and the digest of an application password.
#[derive(Debug, PartialEq, Eq)]
pub struct Basic {
    /// As it was sent: a login, an e-mail address or an id.
    pub login: String,
    /// Of the application password.
    pub digest: TokenDigest,
    /// Of both, for remembering the verdict. No text that could be a token has the same.
    pub key: TokenDigest,
}

impl Basic {
    /// Whether the login is this person's, by what one may type to sign in. Nothing secret is compared.
    #[must_use]
    pub fn is_of(&self, person: &Person) -> bool {
        let login = folded(&self.login);
        let email = person.email.as_ref().map(|email| email.address.as_str());
        [Some(person.login.as_str()), Some(person.id.as_str()), email]
            .into_iter()
            .flatten()
            .any(|name| folded(name) == login)
    }
}

fn decode(encoded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    BASE64.decode(encoded).map(Zeroizing::new).ok()
}

/// What a whole header of this scheme holds, whoever it is meant for; `None` when it is none.
#[must_use]
pub fn decoded(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, rest) = value.split_at_checked(b"Basic".len())?;
    if scheme.eq_ignore_ascii_case(b"basic") { decode(rest.trim_ascii()) } else { None }
}

/// Reads what stands behind `Basic`; `None` when it is none of ours.
#[must_use]
pub fn read(credentials: &[u8]) -> Option<Basic> {
    let encoded = credentials.strip_prefix(b" ")?.trim_ascii_start();
    if encoded.len() > LONGEST {
        return None;
    }
    let decoded = decode(encoded)?;
    // Section 2: the first colon ends the user-id; UTF-8 as in section 2.1.
    let (login, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let digest = opaque::digest(Kind::ApplicationPassword, password)?;
    if login.is_empty() {
        return None;
    }
    // 0xFF is in no UTF-8 and in no token.
    let key = [&[0xff], digest.as_bytes().as_slice(), login.as_bytes()].concat();
    Some(Basic { login: login.to_owned(), digest, key: TokenDigest::of(&key) })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::base::random::SystemRandom;

    fn sent(text: &str) -> Vec<u8> {
        format!(" {}", STANDARD.encode(text)).into_bytes()
    }

    #[test]
    fn a_login_and_an_application_password_are_read() {
        let password = opaque::generate(Kind::ApplicationPassword, &SystemRandom);
        let password = password.expose();
        let digest = TokenDigest::of(password.as_bytes());
        for login in ["jane", "jane@example.org", "джейн", "a b"] {
            let read = read(&sent(&format!("{login}:{password}"))).unwrap();
            assert_eq!((read.login.as_str(), read.digest), (login, digest));
        }
        let padded = STANDARD.encode(format!("ja:{password}"));
        assert!(padded.ends_with('='));
        assert!(read(format!("  {}", padded.trim_end_matches('=')).as_bytes()).is_some());
        let key = |login: &str| read(&sent(&format!("{login}:{password}"))).unwrap().key;
        assert_ne!(key("jane"), key("joe"));
        assert_ne!(key("jane"), digest);
    }

    #[test]
    fn anything_else_is_none_of_ours() {
        let password = opaque::generate(Kind::ApplicationPassword, &SystemRandom);
        let password = password.expose();
        let session = opaque::generate(Kind::Session, &SystemRandom);
        for other in [
            "jane:secret".to_owned(),
            format!("jane:{}", session.expose()),
            format!("jane:{}", &password[1..]),
            format!("jane:{}", &password[..46]),
            format!("jane:{password}x"),
            format!("jane:x:{password}"),
            format!("{password}:jane"),
            format!(":{password}"),
            password.to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&sent(&other)), None, "{other}");
        }
        let good = STANDARD.encode(format!("jane:{password}"));
        let long = STANDARD.encode(format!("{}:{password}", "j".repeat(LONGEST)));
        for other in
            [good.clone(), format!("\t{good}"), format!(" !{good}"), format!(" {long}"), String::new()]
        {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
        let mut latin = b"j\xe4ne:".to_vec();
        latin.extend(password.as_bytes());
        assert_eq!(read(format!(" {}", STANDARD.encode(latin)).as_bytes()), None);
    }
}
