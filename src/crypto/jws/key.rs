//! Keys that sign and verify, parsed once: P-256 for ES256, RSA of 2048 bits for RS256.
//!
//! Invariant: a key is of one algorithm for its whole life and signs and verifies by no other.
//!
//! RFC 7517 section 4; RFC 7518 sections 3.3, 3.4, 6.2.1, 6.3.1; RFC 8017 sections 8.2, A.1.1; SEC 1 section 2.3.3.

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom as AwsRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use zeroize::Zeroizing;

use super::JwsError;
use crate::{base::id::KeyId, model::key::Algorithm};

/// Bytes of an RSA modulus, and so of a signature of RS256.
const RSA_LENGTH: usize = 256;

/// Bytes of a signature of ES256: R and S, 32 each (RFC 7518 section 3.4).
const ECDSA_LENGTH: usize = 64;

/// A private key, ready to sign.
pub struct SigningKey {
    id: KeyId,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// Reads a PKCS #8 document.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when it holds no key for this algorithm.
    pub fn from_pkcs8(id: KeyId, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, JwsError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Ecdsa)
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
        };
        let key = Self { id, pair: pair.map_err(|_| JwsError::Malformed)? };
        match &key.pair {
            Pair::Rsa(pair) if pair.public_modulus_len() != RSA_LENGTH => Err(JwsError::Malformed),
            Pair::Rsa(_) | Pair::Ecdsa(_) => Ok(key),
        }
    }

    /// Its `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ecdsa(_) => Algorithm::Es256,
            Pair::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when aws-lc refuses its own public key.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JwsError> {
        let public = match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        };
        VerifyingKey::new(self.id.clone(), self.algorithm(), public)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when aws-lc cannot sign.
    pub(super) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, JwsError> {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&AwsRandom::new(), message).map_err(|_| JwsError::BadSignature)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; RSA_LENGTH];
                pair.sign(&RSA_PKCS1_SHA256, &AwsRandom::new(), message, &mut signature)
                    .map_err(|_| JwsError::BadSignature)?;
                Ok(signature)
            }
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm(), self.id)
    }
}

/// Makes a new key as a PKCS #8 document. One for RS256 takes a while: a tenth of a second, sometimes several.
///
/// # Errors
/// [`JwsError::Malformed`] when aws-lc cannot make one.
pub fn generate_pkcs8(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, JwsError> {
    let malformed = |_| JwsError::Malformed;
    let bytes = match algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(malformed)?;
            pair.to_pkcs8v1().map_err(malformed)?.as_ref().to_vec()
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(malformed)?;
            pair.as_der().map_err(malformed)?.as_ref().to_vec()
        }
    };
    Ok(Zeroizing::new(bytes))
}

/// A public key, parsed once.
#[derive(Debug)]
pub struct VerifyingKey {
    id: KeyId,
    key: ParsedPublicKey,
    members: Members,
}

/// A public key as a JSON Web Key.
#[derive(Debug, Serialize)]
pub struct Jwk {
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    #[serde(flatten)]
    members: Members,
}

/// The members of a JSON Web Key that depend on its kind, base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kty")]
enum Members {
    #[serde(rename = "EC")]
    Point { crv: &'static str, x: String, y: String },
    #[serde(rename = "RSA")]
    Modulus { n: String, e: String },
}

impl VerifyingKey {
    /// Whether it is the same key, whatever it is called.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.members == other.members
    }

    /// From an uncompressed point for ES256, from an `RSAPublicKey` in DER for RS256.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] when the bytes are no point of P-256, or no RSA key of 2048 bits.
    pub fn new(id: KeyId, algorithm: Algorithm, public: &[u8]) -> Result<Self, JwsError> {
        let (members, key) = match algorithm {
            Algorithm::Es256 => {
                // aws-lc also takes a hybrid point (SEC 1 names it 06 or 07): a second spelling of the same key.
                let coordinates = public.strip_prefix(&[4]).filter(|rest| rest.len() == 64);
                let (x, y) = coordinates.ok_or(JwsError::Malformed)?.split_at(32);
                let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
                let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
                (Members::Point { crv: "P-256", x, y }, key)
            }
            Algorithm::Rs256 => {
                // aws-lc also takes other lengths and another form of the same key.
                let (n, e) = rsa_public_key(public)
                    .filter(|(n, _)| n.len() == RSA_LENGTH)
                    .ok_or(JwsError::Malformed)?;
                let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
                (Members::Modulus { n, e }, ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public))
            }
        };
        Ok(Self { id, key: key.map_err(|_| JwsError::Malformed)?, members })
    }

    /// Its `kid`.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.members {
            Members::Point { .. } => Algorithm::Es256,
            Members::Modulus { .. } => Algorithm::Rs256,
        }
    }

    /// Its published form.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        let (alg, kid) = (self.algorithm().name(), self.id.as_str().to_owned());
        Jwk { usage: "sig", alg, kid, members: self.members.clone() }
    }

    /// Verifies a bare signature over a message.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        let length = match self.members {
            // RFC 7518 section 3.4: R and S as 32 bytes each; anything else (DER above all) is refused.
            Members::Point { .. } => ECDSA_LENGTH,
            // RFC 8017 section 8.2.2 step 1: as long as the modulus.
            Members::Modulus { .. } => RSA_LENGTH,
        };
        if signature.len() != length {
            return Err(JwsError::BadSignature);
        }
        self.key.verify_sig(message, signature).map_err(|_| JwsError::BadSignature)
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 section A.1.1) in DER, without leading zeros.
fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, rest) = tagged(0x30, der)?;
    let (n, numbers) = tagged(0x02, numbers)?;
    let (e, numbers) = tagged(0x02, numbers)?;
    // An integer whose first bit is set has a zero before it, lest it be negative.
    let positive = |number: &'_ [u8]| number.strip_prefix(&[0]).map_or(number.len(), <[u8]>::len);
    let [n, e] = [n, e].map(|number| number.split_at(number.len() - positive(number)).1);
    (rest.is_empty() && numbers.is_empty()).then_some((n, e))
}

/// The content of a value in DER that begins with `tag`, and what follows the value (X.690 section 8.1.3).
fn tagged(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.strip_prefix(&[tag])? {
        [0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [0x81, length, rest @ ..] | [length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> KeyId {
        KeyId::parse("k1").unwrap()
    }

    fn member(key: &VerifyingKey, name: &str) -> Vec<u8> {
        let jwk = serde_json::to_value(key.jwk()).unwrap();
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_of_one_algorithm() {
        for algorithm in Algorithm::ALL {
            let pkcs8 = generate_pkcs8(algorithm).unwrap();
            for other in Algorithm::ALL {
                let key = SigningKey::from_pkcs8(id(), other, &pkcs8);
                assert_eq!(key.is_ok(), algorithm == other, "{algorithm} as {other}");
            }
            let key = SigningKey::from_pkcs8(id(), algorithm, &pkcs8).unwrap();
            let public = key.verifying_key().unwrap();
            assert_eq!((key.algorithm(), public.algorithm()), (algorithm, algorithm));
            let signature = key.signature(b"message").unwrap();
            assert_eq!(public.verify(b"message", &signature), Ok(()));
            assert_eq!(public.verify(b"another", &signature), Err(JwsError::BadSignature));
            for length in [0, ECDSA_LENGTH, RSA_LENGTH - 1, RSA_LENGTH, RSA_LENGTH + 1] {
                assert_eq!(public.verify(b"message", &vec![0; length]), Err(JwsError::BadSignature));
            }
        }
    }

    #[test]
    fn a_published_rsa_key_is_the_key() {
        let pkcs8 = generate_pkcs8(Algorithm::Rs256).unwrap();
        let key = SigningKey::from_pkcs8(id(), Algorithm::Rs256, &pkcs8).unwrap();
        let public = key.verifying_key().unwrap();
        let jwk = serde_json::to_value(public.jwk()).unwrap();
        let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members.len(), 6, "{members:?}");
        assert_eq!(
            (&jwk["kty"], &jwk["use"], &jwk["alg"], &jwk["kid"]),
            (&"RSA".into(), &"sig".into(), &"RS256".into(), &"k1".into())
        );
        assert_eq!(jwk["e"], "AQAB");
        let components =
            aws_lc_rs::rsa::PublicKeyComponents { n: member(&public, "n"), e: member(&public, "e") };
        assert_eq!(components.n.len(), RSA_LENGTH);
        let signature = key.signature(b"message").unwrap();
        components.verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &signature).unwrap();
    }

    #[test]
    fn only_rsa_keys_of_2048_bits_in_one_form_are_keys() {
        let public = |size| {
            let pair = RsaKeyPair::generate(size).unwrap();
            let info: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (pair.public_key().as_ref().to_vec(), info.as_ref().to_vec(), pair.as_der().unwrap())
        };
        let key = |der: &[u8]| VerifyingKey::new(id(), Algorithm::Rs256, der).map(|key| key.id().clone());
        let (der, info, _) = public(KeySize::Rsa2048);
        assert!(key(&der).is_ok());
        let (longer, _, pkcs8) = public(KeySize::Rsa3072);
        assert_eq!(
            SigningKey::from_pkcs8(id(), Algorithm::Rs256, pkcs8.as_ref()).unwrap_err(),
            JwsError::Malformed
        );
        for (name, bad) in [
            ("3072 bits", longer),
            ("another form", info),
            ("more behind", [&der[..], &[0]].concat()),
            ("cut off", der[..der.len() - 1].to_vec()),
            ("nothing", vec![]),
            ("an endless length", vec![0x30, 0x80]),
            ("a long length", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
            ("a point", [&[4][..], &[1; 64]].concat()),
        ] {
            assert_eq!(key(&bad).unwrap_err(), JwsError::Malformed, "{name}");
        }
    }
}
