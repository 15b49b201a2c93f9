//! Tokens made by hand: any header, any claims, any signature. Nothing in here uses the product's own encoder.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

/// Unpadded base64url.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Plain base64, as Basic authentication has it.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The header and the claims of a token, unverified.
pub(crate) fn decode(token: &str) -> (Value, Value) {
    let part = |n: usize| {
        let text = token.split('.').nth(n).unwrap_or_else(|| panic!("no JWT: {token}"));
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}

/// A private key in PKCS #8, for ES256 or RS256.
pub(crate) struct Key {
    rsa: bool,
    pkcs8: Vec<u8>,
}

impl Key {
    /// A key for ES256 that nobody knows.
    pub(crate) fn fresh() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { rsa: false, pkcs8: pair.to_pkcs8v1().unwrap().as_ref().to_vec() }
    }

    /// This key.
    pub(crate) fn from_pkcs8(algorithm: &str, pkcs8: &[u8]) -> Self {
        Self { rsa: algorithm == "RS256", pkcs8: pkcs8.to_vec() }
    }

    /// The public key: an uncompressed point, or an `RSAPublicKey`.
    pub(crate) fn public(&self) -> Vec<u8> {
        if self.rsa {
            return RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap().public_key().as_ref().to_vec();
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        pair.public_key().as_ref().to_vec()
    }

    /// `header.claims.signature` in the form of RFC 7518 section 3.3 or 3.4.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        if self.rsa {
            let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
            return format!("{message}.{}", base64url(signature));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature.as_ref()))
    }

    /// The same with the signature in DER, which a JWT must not have.
    pub(crate) fn sign_der(&self, header: &str, claims: &str) -> String {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).unwrap();
        let message = message(header, claims);
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature.as_ref()))
    }
}

/// `header.claims`, encoded.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", base64url(header), base64url(claims))
}

/// A token with this signature, whatever it is.
pub(crate) fn with_signature(header: &str, claims: &str, signature: &[u8]) -> String {
    format!("{}.{}", message(header, claims), base64url(signature))
}

/// A token "signed" with HMAC-SHA256 under this secret.
pub(crate) fn hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = message(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64url(tag.as_ref()))
}
