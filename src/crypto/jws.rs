//! JSON Web Signatures in compact form, as narrow as our own tokens need: one signature, one protected header of
//! three known members, ES256 on keys that were parsed once.
//!
//! Invariant: a payload is handed out only after its signature was verified with the key that `kid` names and the
//! algorithm of *that key*; the header's `alg` can only agree or be refused. A header with any further member (`crit`,
//! `jwk`, `jku`, `x5u`, `b64`, …) is refused.
//!
//! RFC 7515 sections 3, 4.1, 5.2; RFC 7518 section 3.4; RFC 8725 sections 3.1, 3.2.

use aws_lc_rs::{
    rand::SystemRandom as AwsRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{base::id::KeyId, model::key::Algorithm};

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

/// A private key, ready to sign.
pub struct SigningKey {
    id: KeyId,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// Reads a PKCS #8 document.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when it holds no P-256 key.
    pub fn from_pkcs8(id: KeyId, pkcs8: &[u8]) -> Result<Self, JwsError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map_err(|_| JwsError::Malformed)?;
        Ok(Self { id, pair })
    }

    /// Its `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when aws-lc refuses its own public key.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JwsError> {
        VerifyingKey::new(self.id.clone(), self.pair.public_key().as_ref())
    }

    /// Signs a payload: `header.payload.signature`.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when aws-lc cannot sign.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, JwsError> {
        let header = Header { alg: Algorithm::Es256.name(), typ: Some(typ), kid: Some(self.id.as_str()) };
        let header = serde_json::to_vec(&header).map_err(|_| JwsError::Malformed)?;
        let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 96);
        URL_SAFE_NO_PAD.encode_string(&header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature =
            self.pair.sign(&AwsRandom::new(), token.as_bytes()).map_err(|_| JwsError::BadSignature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// Makes a new P-256 key as a PKCS #8 document.
///
/// # Errors
/// [`JwsError::Malformed`] when aws-lc cannot make one.
pub fn generate_pkcs8() -> Result<zeroize::Zeroizing<Vec<u8>>, JwsError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| JwsError::Malformed)?;
    let document = pair.to_pkcs8v1().map_err(|_| JwsError::Malformed)?;
    Ok(zeroize::Zeroizing::new(document.as_ref().to_vec()))
}

/// A public key, parsed once.
#[derive(Debug)]
pub struct VerifyingKey {
    id: KeyId,
    key: ParsedPublicKey,
    point: Vec<u8>,
}

/// A public key as a JSON Web Key (RFC 7517 section 4, RFC 7518 section 6.2.1).
#[derive(Debug, Serialize)]
pub struct Jwk {
    kty: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    crv: &'static str,
    x: String,
    y: String,
}

impl VerifyingKey {
    /// From an uncompressed point (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when the bytes are no point of P-256.
    pub fn new(id: KeyId, point: &[u8]) -> Result<Self, JwsError> {
        // aws-lc also takes a hybrid point (SEC 1 names it 06 or 07): a second spelling of the same key.
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(JwsError::Malformed);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| JwsError::Malformed)?;
        Ok(Self { id, key, point: point.to_vec() })
    }

    /// Its `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    /// Its published form.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        let coordinate = |range| self.point.get(range).map(|c| URL_SAFE_NO_PAD.encode(c)).unwrap_or_default();
        Jwk {
            kty: "EC",
            usage: "sig",
            alg: self.algorithm().name(),
            kid: self.id.as_str().to_owned(),
            crv: "P-256",
            x: coordinate(1..33),
            y: coordinate(33..65),
        }
    }

    /// Verifies a bare signature over a message.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        // RFC 7518 section 3.4: R and S as 32 bytes each; anything else (DER above all) is refused.
        if signature.len() != 64 {
            return Err(JwsError::BadSignature);
        }
        self.key.verify_sig(message, signature).map_err(|_| JwsError::BadSignature)
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

    fn pair() -> (SigningKey, VerifyingKey) {
        let key = SigningKey::from_pkcs8(KeyId::parse("k1").unwrap(), &generate_pkcs8().unwrap()).unwrap();
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
