//! Whether an `Authorization` is none of this gateway's business: where the gateway only watches, such a one goes on to the
//! upstream, which judges it itself.
//!
//! Invariant: what has the form of a credential of ours, or names us as its issuer, is ours, whether it is good or not, and
//! under whichever scheme it comes. In doubt it is ours.
//!
//! RFC 7617 section 2; RFC 7519 section 4.1.1.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    judge::Judge,
    scheme::{
        basic,
        bearer::{self, Bearer, is_token_character},
    },
};
use crate::{
    base::secret::Secret,
    crypto::{
        opaque::{self, Kind},
        permanent,
    },
    oauth::client_auth::{Presented, confidential},
};

/// Whether the value of an `Authorization` header is no credential of ours.
#[must_use]
pub fn is_foreign(value: &[u8], judge: Judge<'_>) -> bool {
    match bearer::read(std::iter::once(value)) {
        Bearer::Malformed(_) | Bearer::Password(_) => false,
        Bearer::Token(token) => !is_ours(token, judge),
        Bearer::Absent => {
            // Parameters can be written with escapes (RFC 9110 section 5.6.4, RFC 5849 section 3.5.1).
            let unescaped: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'\\').collect();
            let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(value).into();
            !names_ours(value, judge)
                && !names_ours(&unescaped, judge)
                && !names_ours(&decoded, judge)
                && !basic_is_ours(value, judge)
        }
    }
}

fn names_ours(text: &[u8], judge: Judge<'_>) -> bool {
    text.split(|byte| !is_token_character(*byte)).any(|word| is_ours(word, judge))
}

/// Whether login or password of a Basic credential is ours: a token in the place of either, or a service's id and secret.
fn basic_is_ours(value: &[u8], judge: Judge<'_>) -> bool {
    let Some(decoded) = basic::decoded(value) else { return false };
    // A permanent token has a colon of its own, so that the one that ends a login may be the second.
    let token = memchr::memchr_iter(b':', &decoded).take(2).any(|at| {
        let (before, after) = (decoded.get(..at), decoded.get(at + 1..));
        [before, after].into_iter().flatten().any(|part| is_ours(part, judge))
    });
    if token || is_ours(&decoded, judge) {
        return true;
    }
    let pair = std::str::from_utf8(&decoded).ok().and_then(|text| text.split_once(':'));
    pair.is_some_and(|(id, secret)| {
        let presented = Presented::Post(id.to_owned(), Secret::new(secret.to_owned()));
        confidential(&presented, judge.registry, judge.now).is_ok()
    })
}

/// Whether a word is a credential of ours by its form, by the key that it names, or by its issuer.
fn is_ours(word: &[u8], judge: Judge<'_>) -> bool {
    // Of `token=…` what stands behind is looked at too.
    let value = memchr::memchr(b'=', word).and_then(|at| word.get(at + 1..));
    [Some(word), value].into_iter().flatten().any(|word| {
        let of_a_kind = |text: &str| Kind::ALL.into_iter().any(|kind| opaque::digest(kind, text).is_some());
        permanent::digest(word).is_some()
            || std::str::from_utf8(word).is_ok_and(of_a_kind)
            || is_our_jws(word, judge)
    })
}

/// Whether a JWS was signed with a key of ours, or says that it was issued by us. Whether that is true is not looked at: a
/// false one is not the upstream's either.
fn is_our_jws(word: &[u8], judge: Judge<'_>) -> bool {
    #[derive(Deserialize)]
    struct Header<'a> {
        #[serde(borrow)]
        kid: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        iss: Option<Cow<'a, str>>,
    }
    let mut parts = word.split(|byte| *byte == b'.');
    let (Some(header), Some(payload)) = (parts.next(), parts.next()) else { return false };
    let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map(Zeroizing::new).unwrap_or_default();
    let (header, payload) = (decode(header), decode(payload));
    let header: Option<Header<'_>> = serde_json::from_slice(&header).ok();
    let payload: Option<Payload<'_>> = serde_json::from_slice(&payload).ok();
    let key = header.and_then(|header| header.kid);
    let issuer = payload.and_then(|payload| payload.iss);
    key.is_some_and(|kid| judge.keyring.verifying(&kid, judge.now).is_some())
        || issuer.is_some_and(|issuer| issuer == judge.issuer)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::{
        access::{credentials::Credentials, directory::Directory, revocations::Revocations},
        base::{id::ServiceId, random::SystemRandom, time::Timestamp},
        crypto::{
            digest::SecretDigest,
            keyring::{self, Keyring},
            seal::SealingKey,
        },
        model::{
            key::Algorithm,
            registry::Registry,
            service::{Profile, Service, StoredSecret, Trust},
        },
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const ISSUER: &str = "https://gate.example/hub";
    const ROBOTS_SECRET: &str = "a secret of a robot";

    fn with_judge<R>(test: impl FnOnce(Judge<'_>) -> R) -> R {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
        let robot = Service {
            id: ServiceId::parse("robot").unwrap(),
            name: "Robot".into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secrets: vec![StoredSecret::current(SecretDigest::of(ROBOTS_SECRET), NOW)],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        test(Judge {
            keyring: &Keyring::open(&[key], &sealing).unwrap(),
            registry: &Registry::new([robot], ISSUER),
            issuer: ISSUER,
            revocations: &Revocations::default(),
            people: &Directory::default(),
            credentials: &Credentials::default(),
            now: NOW,
        })
    }

    fn jws(header: &str, payload: &str) -> String {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.{}", encode(header), encode(payload), encode("signature"))
    }

    #[test]
    fn what_is_ours_is_ours_in_every_dress() {
        with_judge(|judge| {
            let ours = [
                jws(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, judge.keyring.signing().id().as_str()), "{}"),
                jws(r#"{"alg":"RS256","kid":"gone"}"#, &format!(r#"{{"iss":"{ISSUER}"}}"#)),
                jws("[]", r#"{"iss":"https:\/\/gate.example\/hub"}"#),
                permanent::generate("jane", "ci", &SystemRandom).expose().to_owned(),
            ];
            let opaque = Kind::ALL.map(|kind| opaque::generate(kind, &SystemRandom).expose().to_owned());
            for token in ours.into_iter().chain(opaque) {
                for value in [
                    format!("Bearer {token}"),
                    format!("bEARER   {token}"),
                    token.clone(),
                    format!("DPoP {token}"),
                    format!("Token token={token}"),
                    format!("Token token=\"{token}\""),
                    format!("Digest username=\"jane\", response={token}"),
                    format!("Digest username=\"{token}\", response=\"x\""),
                    format!("Digest username=\"{}\\{}\", response=\"x\"", &token[..3], &token[3..]),
                    format!(
                        "OAuth realm=\"x\", oauth_token=\"%{:02X}{}\"",
                        token.as_bytes()[0],
                        token[1..].replace(':', "%3a").replace('=', "%3D")
                    ),
                    format!("Basic {}", STANDARD.encode(format!("jane:{token}"))),
                    format!("basic {}", STANDARD.encode(format!("{token}:"))),
                    format!("Basic {}", STANDARD.encode(&token)),
                    format!(
                        "Basic {}",
                        STANDARD.encode(format!("{token}:x-oauth-basic")).trim_end_matches('=')
                    ),
                ] {
                    assert!(!is_foreign(value.as_bytes(), judge), "{value}");
                }
            }
            for value in [
                format!("Basic {}", STANDARD.encode(format!("robot:{ROBOTS_SECRET}"))),
                "Bearer a b".into(),
                "Bearer".into(),
                "Basic a, Bearer b".into(),
                "Digest a=\"b\", Bearer c".into(),
            ] {
                assert!(!is_foreign(value.as_bytes(), judge), "{value}");
            }
        });
    }

    #[test]
    fn what_others_have_issued_is_theirs() {
        with_judge(|judge| {
            let theirs = [
                jws(r#"{"alg":"RS256","kid":"theirs"}"#, r#"{"iss":"https://login.example/"}"#),
                jws(r#"{"alg":"RS256"}"#, &format!(r#"{{"iss":"{ISSUER}/"}}"#)),
                // A permanent token of Hub, whose random part is shorter.
                "perm:cm9vdA==.WW91VHJhY2s=.0IhcwyeFrSCUQ6YBmIkkqkhPl5SzKZ".into(),
                "perm-cm9vdA==.WW91VHJhY2s=.0IhcwyeFrSCUQ6YBmIkkqkhPl5SzKZ".into(),
                "gho_16C7e42F292c6912E7710c838347Ae178B4a".into(),
                "opaque".into(),
                "a.b.c".into(),
                "...".into(),
                "hgr_short".into(),
            ];
            for token in &theirs {
                for value in [format!("Bearer {token}"), format!("Token {token}"), token.clone()] {
                    assert!(is_foreign(value.as_bytes(), judge), "{value}");
                }
            }
            for value in [
                format!("Basic {}", STANDARD.encode("jane:secret")),
                format!("Basic {}", STANDARD.encode("robot:another secret")),
                "Basic !!!".into(),
                "Basic".into(),
                "Negotiate YII=".into(),
                r#"Digest username="a\\b", realm="x", response="0123%41%zz""#.into(),
                "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=abc".into(),
                String::new(),
            ] {
                assert!(is_foreign(value.as_bytes(), judge), "{value}");
            }
        });
    }
}
