//! JSON Web Signatures in compact form, as narrow as our own tokens need: one signature, one protected header of
//! three known members, ES256 or RS256 on keys that were parsed once.
//!
//! Invariant: a payload is handed out only after its signature was verified with the key that `kid` names and the
//! algorithm of *that key*; the header's `alg` can only agree or be refused. A header with any further member (`crit`,
//! `jwk`, `jku`, `x5u`, `b64`, …) is refused.
//!
//! RFC 7515 sections 3, 4.1, 5.2; RFC 8725 sections 3.1, 3.2.

mod key;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

pub use self::key::{Jwk, SigningKey, VerifyingKey, generate_pkcs8};

/// The longest token that is looked at, in bytes. Ours have about 600; 200 services in scope make about 9,000.
pub const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// Why a token's form or signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN_LENGTH`].
    #[error("the token is too long")]
    TooLong,
    /// Not three base64url parts, or a header that is not ours.
    #[error("the token is malformed")]
    Malformed,
    /// `kid` names no key that verifies now.
    #[error("the token was signed with a key that is not known here")]
    UnknownKey,
    /// `alg` is not the algorithm of the key.
    #[error("the token's algorithm is not that of its key")]
    WrongAlgorithm,
    /// The signature does not fit.
    #[error("the token's signature does not match")]
    BadSignature,
}

/// The protected header. Borrowed strings: a header that needs escapes is not ours.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    typ: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    kid: Option<&'a str>,
}

impl SigningKey {
    /// Signs a payload: `header.payload.signature`.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when aws-lc cannot sign.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, JwsError> {
        let header = Header { alg: self.algorithm().name(), typ: Some(typ), kid: Some(self.id().as_str()) };
        let header = serde_json::to_vec(&header).map_err(|_| JwsError::Malformed)?;
        // Room for a signature of RS256, the longer one.
        let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 352);
        URL_SAFE_NO_PAD.encode_string(&header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

/// A verified token: its `typ` and its payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// The header's `typ`.
    pub typ: Option<String>,
    /// The payload's bytes.
    pub payload: Vec<u8>,
}

/// Verifies a compact JWS with the key that `find` gives for its `kid`.
///
/// # Errors
/// [`JwsError`], the first reason found.
pub fn verify<'k>(
    token: &[u8],
    find: impl FnOnce(&str) -> Option<&'k VerifyingKey>,
) -> Result<Verified, JwsError> {
    if token.len() > MAX_TOKEN_LENGTH {
        return Err(JwsError::TooLong);
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JwsError::Malformed);
    };
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(JwsError::Malformed)?;
    let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed);
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    // serde would also read the members out of a list, in order. RFC 7515 section 4: a header is an object.
    if header.first() != Some(&b'{') {
        return Err(JwsError::Malformed);
    }
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| JwsError::Malformed)?;
    let key = find(header.kid.ok_or(JwsError::UnknownKey)?).ok_or(JwsError::UnknownKey)?;
    if header.alg != key.algorithm().name() {
        return Err(JwsError::WrongAlgorithm);
    }
    key.verify(signed, &signature)?;
    Ok(Verified { typ: header.typ.map(str::to_owned), payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::id::KeyId, model::key::Algorithm};

    fn pair() -> (SigningKey, VerifyingKey) {
        pair_for(Algorithm::Es256)
    }

    fn pair_for(algorithm: Algorithm) -> (SigningKey, VerifyingKey) {
        let pkcs8 = generate_pkcs8(algorithm).unwrap();
        let key = SigningKey::from_pkcs8(KeyId::parse("k1").unwrap(), algorithm, &pkcs8).unwrap();
        let verifying = key.verifying_key().unwrap();
        (key, verifying)
    }

    fn check(token: &str, key: &VerifyingKey) -> Result<Verified, JwsError> {
        verify(token.as_bytes(), |kid| (kid == key.id().as_str()).then_some(key))
    }

    fn with_header(token: &str, header: &str) -> String {
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else() {
        let (key, public) = pair();
        let token = key.sign("at+jwt", br#"{"a":1}"#).unwrap();
        let verified = check(&token, &public).unwrap();
        assert_eq!(
            (verified.typ.as_deref(), verified.payload.as_slice()),
            (Some("at+jwt"), &br#"{"a":1}"#[..])
        );
        for position in 0..token.len() {
            let mut bent = token.clone().into_bytes();
            bent[position] = if bent[position] == b'A' { b'B' } else { b'A' };
            assert!(verify(&bent, |_| Some(&public)).is_err(), "a changed byte {position} passed");
        }
        assert_eq!(check(&token, &pair().1).unwrap_err(), JwsError::BadSignature);
    }

    #[test]
    fn a_token_is_of_the_algorithm_of_its_key() {
        for (own, other) in [("ES256", "RS256"), ("RS256", "ES256")] {
            let (key, public) = pair_for(Algorithm::parse(own).unwrap());
            let token = key.sign("JWT", b"{}").unwrap();
            let headed =
                |alg: &str| with_header(&token, &format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"k1"}}"#));
            assert_eq!(headed(own), token);
            assert_eq!(check(&token, &public).unwrap().typ.as_deref(), Some("JWT"));
            for alg in [other, "none", "HS256", "PS256", "RS512"] {
                assert_eq!(
                    check(&headed(alg), &public).unwrap_err(),
                    JwsError::WrongAlgorithm,
                    "{own} as {alg}"
                );
            }
            // Under the same kid, the key of the other algorithm.
            let (_, wrong) = pair_for(Algorithm::parse(other).unwrap());
            assert_eq!(check(&token, &wrong).unwrap_err(), JwsError::WrongAlgorithm);
            assert_eq!(check(&headed(other), &wrong).unwrap_err(), JwsError::BadSignature);
        }
    }

    #[test]
    fn headers_that_are_not_ours_are_refused() {
        let (key, public) = pair();
        let token = key.sign("at+jwt", b"{}").unwrap();
        for (header, error) in [
            (r#"{"alg":"none","kid":"k1"}"#, JwsError::WrongAlgorithm),
            (r#"{"alg":"HS256","kid":"k1"}"#, JwsError::WrongAlgorithm),
            (r#"{"alg":"RS256","kid":"k1"}"#, JwsError::WrongAlgorithm),
            (r#"{"alg":"ES256","kid":"k2"}"#, JwsError::UnknownKey),
            (r#"{"alg":"ES256","kid":""}"#, JwsError::UnknownKey),
            (r#"{"alg":"ES256"}"#, JwsError::UnknownKey),
            (r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, JwsError::Malformed),
            (r#"{"alg":"ES256","kid":"k1","jwk":{}}"#, JwsError::Malformed),
            (r#"{"alg":"ES256","kid":"k1","b64":false}"#, JwsError::Malformed),
            (r#"{"alg":"ES256","kid":"k1","kid":"k1"}"#, JwsError::Malformed),
            (r#"{"alg":"ES256","kid":"k1"} x"#, JwsError::Malformed),
            (r#"{"alg":"ES256","kid":["k1"]}"#, JwsError::Malformed),
        ] {
            assert_eq!(check(&with_header(&token, header), &public).unwrap_err(), error, "{header}");
        }
    }

    #[test]
    fn forms_that_are_not_ours_are_refused() {
        let (key, public) = pair();
        let token = key.sign("at+jwt", b"{}").unwrap();
        let unsigned = token.rsplit_once('.').unwrap().0;
        for bad in [
            String::new(),
            "..".into(),
            unsigned.into(),
            format!("{unsigned}."),
            format!("{token}."),
            format!("{token}.x.y"),
            format!("{token}="),
            format!(" {token}"),
            format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode([0x30; 71])),
        ] {
            assert!(check(&bad, &public).is_err(), "{bad:?}");
        }
        assert_eq!(check(&"a".repeat(MAX_TOKEN_LENGTH + 1), &public).unwrap_err(), JwsError::TooLong);
    }
}
