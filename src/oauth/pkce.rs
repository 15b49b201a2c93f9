//! Proof Key for Code Exchange: whoever exchanges a code is who asked for it.
//!
//! Invariant: a code with a challenge is never exchanged without its verifier, one without a challenge never with one.
//!
//! RFC 7636 sections 4.1-4.6; RFC 9700 section 2.1.1.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use super::error::{ErrorCode, OAuthError, invalid_request};
use crate::model::grant::{Challenge, ChallengeMethod};

/// RFC 7636 sections 4.1 and 4.2: 43 to 128 unreserved characters, for the verifier as for a plain challenge.
fn is_well_formed(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// What a client must send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: it has a secret.
    Optional,
    /// A challenge by either method.
    Required,
    /// A challenge by S256.
    S256,
}

/// Reads the challenge of an authorization request. Without a method it is `plain` (RFC 7636 section 4.3).
///
/// # Errors
/// `invalid_request` for a challenge that is malformed, of an unknown method, or missing where `requirement` asks for it.
pub fn challenge(
    value: Option<&str>,
    method: Option<&str>,
    requirement: Requirement,
) -> Result<Option<Challenge>, OAuthError> {
    let Some(value) = value else {
        if method.is_some() {
            return Err(invalid_request("code_challenge_method comes without code_challenge"));
        }
        return match requirement {
            Requirement::Optional => Ok(None),
            Requirement::Required => {
                Err(invalid_request("code_challenge is missing: this client must use PKCE"))
            }
            Requirement::S256 => {
                Err(invalid_request("code_challenge is missing: PKCE with S256 is required here"))
            }
        };
    };
    let method = ChallengeMethod::parse(method.unwrap_or("plain"))
        .ok_or_else(|| invalid_request("code_challenge_method is neither S256 nor plain"))?;
    if requirement == Requirement::S256 && method != ChallengeMethod::S256 {
        return Err(invalid_request("code_challenge_method must be S256 here"));
    }
    if !is_well_formed(value) || method == ChallengeMethod::S256 && value.len() != 43 {
        return Err(invalid_request("code_challenge is malformed"));
    }
    Ok(Some(Challenge { method, value: value.to_owned() }))
}

/// Holds the verifier of a token request against the challenge of the code.
///
/// # Errors
/// `invalid_grant` when one is there without the other, or they do not fit (RFC 7636 section 4.6).
pub fn verify(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), OAuthError> {
    let refused = |text| Err(OAuthError::new(ErrorCode::InvalidGrant, text));
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => {
            refused("code_verifier was sent, but the code was asked for without code_challenge")
        }
        (Some(_), None) => refused("code_verifier is missing"),
        (Some(challenge), Some(verifier)) => {
            let transformed = match challenge.method {
                ChallengeMethod::Plain => verifier.to_owned(),
                ChallengeMethod::S256 => URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())),
            };
            let fits: bool = transformed.as_bytes().ct_eq(challenge.value.as_bytes()).into();
            if fits && is_well_formed(verifier) {
                Ok(())
            } else {
                refused("code_verifier does not fit the code_challenge of the authorization request")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const S256: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_fits() {
        let asked = challenge(Some(S256), Some("S256"), Requirement::S256).unwrap();
        assert_eq!(verify(asked.as_ref(), Some(VERIFIER)), Ok(()));
        let plain = challenge(Some(VERIFIER), None, Requirement::Required).unwrap().unwrap();
        assert_eq!(plain.method, ChallengeMethod::Plain);
        assert_eq!(verify(Some(&plain), Some(VERIFIER)), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let s256 = challenge(Some(S256), Some("S256"), Requirement::Optional).unwrap();
        let longest = "v".repeat(128);
        for verifier in [None, Some(""), Some(S256), Some("short"), Some(&*longest), Some(&VERIFIER[..42])] {
            assert_eq!(verify(s256.as_ref(), verifier).unwrap_err().code, ErrorCode::InvalidGrant);
        }
        assert!(verify(None, Some(VERIFIER)).is_err() && verify(None, None).is_ok());
        // A plain challenge that is the digest of the verifier is not one by S256.
        let plain = challenge(Some(S256), Some("plain"), Requirement::Optional).unwrap();
        assert!(verify(plain.as_ref(), Some(VERIFIER)).is_err());
    }

    #[test]
    fn malformed_or_missing_challenges_are_refused() {
        let (short, long) = ("c".repeat(42), "c".repeat(129));
        for (value, method, requirement) in [
            (None, None, Requirement::Required),
            (None, None, Requirement::S256),
            (None, Some("S256"), Requirement::Optional),
            (Some(VERIFIER), None, Requirement::S256),
            (Some(VERIFIER), Some("plain"), Requirement::S256),
            (Some(VERIFIER), Some("s256"), Requirement::Optional),
            (Some(VERIFIER), Some("none"), Requirement::Optional),
            (Some(short.as_str()), None, Requirement::Optional),
            (Some(long.as_str()), None, Requirement::Optional),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c+"), Some("S256"), Requirement::Optional),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256"), Requirement::Optional),
        ] {
            let error = challenge(value, method, requirement).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{value:?} {method:?}");
        }
        assert_eq!(challenge(None, None, Requirement::Optional), Ok(None));
    }
}
