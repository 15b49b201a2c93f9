//! Verifying access tokens, strictly: our issuer, our type, our keys, whole numbers.
//!
//! RFC 9068 section 4; RFC 8725 section 3.

use std::time::Duration;

use super::{ACCESS_TOKEN_TYPE, claims::AccessClaims};
use crate::{
    base::{id::KeyId, time::Timestamp},
    crypto::{
        jws::{self, JwsError},
        keyring::Keyring,
    },
};

/// How far the clock of the node that issued a token may be ahead of ours. Expiry has no such leeway.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Form or signature.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `typ` is not `at+jwt`.
    #[error("this is not an access token")]
    WrongType,
    /// The claims are missing, of the wrong kind, or not ours.
    #[error("the token's claims are malformed")]
    Claims,
    /// `iss` is another.
    #[error("the token was issued by another server")]
    WrongIssuer,
    /// `aud` is empty.
    #[error("the token is for nobody")]
    NoAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Its client is not registered any more.
    #[error("the client that obtained the token is not registered any more")]
    ClientGone,
    /// Its user is not there any more.
    #[error("the user for whom the token acts does not exist any more")]
    UserGone,
    /// Its user is banned.
    #[error("the user for whom the token acts is banned")]
    UserBanned,
    /// A permanent token or application password that is not, or no longer, there; or not of whom it is said to be.
    #[error("there is no such token")]
    Unknown,
    /// It was revoked, or its client was.
    #[error("the token has been revoked")]
    Revoked,
}

/// Verifies an access token. Revocation is not looked at here.
///
/// # Errors
/// [`TokenError`], the first reason found.
pub fn verify(
    token: &[u8],
    keyring: &Keyring,
    issuer: &str,
    now: Timestamp,
) -> Result<AccessClaims, TokenError> {
    verify_by(token, keyring, issuer, now).map(|(claims, _)| claims)
}

/// The same, and which key has signed it.
///
/// # Errors
/// As [`verify`].
pub fn verify_by(
    token: &[u8],
    keyring: &Keyring,
    issuer: &str,
    now: Timestamp,
) -> Result<(AccessClaims, KeyId), TokenError> {
    let mut signed_by = None;
    let verified = jws::verify(token, |kid| {
        let key = keyring.verifying(kid, now)?;
        signed_by = Some(key.id().clone());
        Some(key)
    })?;
    let signed_by = signed_by.ok_or(JwsError::UnknownKey)?;
    // RFC 9068 section 4: typ must be at+jwt or application/at+jwt. We write the first and accept no other.
    if verified.typ.as_deref() != Some(ACCESS_TOKEN_TYPE) {
        return Err(TokenError::WrongType);
    }
    // serde would also read the claims out of a list, in order. RFC 7519 section 4: they are an object.
    if verified.payload.first() != Some(&b'{') {
        return Err(TokenError::Claims);
    }
    let claims: AccessClaims = serde_json::from_slice(&verified.payload).map_err(|_| TokenError::Claims)?;
    if claims.iss != issuer {
        return Err(TokenError::WrongIssuer);
    }
    if claims.aud.is_empty() {
        return Err(TokenError::NoAudience);
    }
    if claims.token_id().is_none() || claims.sub.is_empty() {
        return Err(TokenError::Claims);
    }
    if now >= claims.expires() {
        return Err(TokenError::Expired);
    }
    let horizon = now.plus(CLOCK_SKEW);
    let not_before = claims.nbf.map_or(claims.issued(), Timestamp::from_seconds).max(claims.issued());
    if not_before > horizon {
        return Err(TokenError::NotYetValid);
    }
    Ok((claims, signed_by))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        base::{id::ServiceId, random::SystemRandom},
        crypto::{keyring, seal::SealingKey},
        model::{key::Algorithm, scope::GrantedScope},
        oauth::{grant::Granted, token::issue::Issuer},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const ISSUER: &str = "https://gate.example/hub";

    fn ring() -> Keyring {
        ring_for(Algorithm::Es256)
    }

    /// A key of each algorithm, and the one that signs access tokens.
    fn ring_for(access_tokens: Algorithm) -> Keyring {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = |algorithm| keyring::generate(algorithm, &sealing, NOW, &SystemRandom).unwrap();
        Keyring::open_for(access_tokens, &Algorithm::ALL.map(key), &sealing).unwrap()
    }

    fn granted() -> Granted {
        let id = ServiceId::parse("client").unwrap();
        Granted {
            subject: id.as_str().to_owned(),
            client: id,
            scope: GrantedScope {
                spelled: "YouTrack".into(),
                services: vec![ServiceId::parse("yt").unwrap()],
            },
            family: None,
        }
    }

    #[test]
    fn an_issued_token_is_accepted_until_it_expires() {
        let ring = ring();
        let maker = Issuer::new(ISSUER, Duration::from_secs(3600));
        let issued = maker.issue(granted(), ring.signing(), NOW, &SystemRandom).unwrap();
        let at = |now| verify(issued.access_token.as_bytes(), &ring, ISSUER, now);
        let claims = at(NOW).unwrap();
        assert_eq!(
            (claims.sub.as_str(), claims.scope.as_str(), claims.exp - claims.iat),
            ("client", "YouTrack", 3600)
        );
        assert!(claims.is_service());
        assert!(at(NOW.plus(Duration::from_secs(3599))).is_ok());
        assert_eq!(at(NOW.plus(Duration::from_secs(3600))).unwrap_err(), TokenError::Expired);
        assert!(at(NOW.minus(CLOCK_SKEW)).is_ok());
        assert_eq!(at(NOW.minus(CLOCK_SKEW * 2)).unwrap_err(), TokenError::NotYetValid);
        let other = verify(issued.access_token.as_bytes(), &ring, "https://other/hub", NOW);
        assert_eq!(other.unwrap_err(), TokenError::WrongIssuer);
        let foreign = verify(issued.access_token.as_bytes(), &self::ring(), ISSUER, NOW);
        assert_eq!(foreign.unwrap_err(), TokenError::Jws(JwsError::UnknownKey));
    }

    /// RFC 8725 section 3.11: what was signed as one kind of token is never another. An id_token names an audience, an
    /// issuer, a subject and a time too.
    #[test]
    fn only_the_type_tells_an_access_token_and_no_algorithm_does() {
        let maker = Issuer::new(ISSUER, Duration::from_secs(3600));
        for access_tokens in Algorithm::ALL {
            let ring = ring_for(access_tokens);
            let issued = maker.issue(granted(), ring.signing(), NOW, &SystemRandom).unwrap();
            let claims = verify(issued.access_token.as_bytes(), &ring, ISSUER, NOW).unwrap();
            let claims = serde_json::to_vec(&claims).unwrap();
            for key in Algorithm::ALL.map(|algorithm| ring.signing_with(algorithm).unwrap()) {
                let attempt = |typ: &str| {
                    let token = key.sign(typ, &claims).unwrap();
                    verify(token.as_bytes(), &ring, ISSUER, NOW).map(|claims| claims.jti)
                };
                assert_eq!(attempt("at+jwt").unwrap(), issued.token_id.to_string());
                for typ in ["JWT", "jwt", "logout+jwt", ""] {
                    assert_eq!(attempt(typ).unwrap_err(), TokenError::WrongType, "{typ}");
                }
            }
        }
    }

    #[test]
    fn a_scoped_token_is_narrower_and_shorter_and_has_the_same_id() {
        let ring = ring();
        let maker = Issuer::new(ISSUER, Duration::from_secs(3600));
        let issued = maker.issue(granted(), ring.signing(), NOW, &SystemRandom).unwrap();
        let claims = verify(issued.access_token.as_bytes(), &ring, ISSUER, NOW).unwrap();
        let service = ServiceId::parse("yt").unwrap();
        let near_the_end = NOW.plus(Duration::from_secs(3590));
        for (now, life) in [(NOW, 300), (near_the_end, 10)] {
            let (token, end) = Issuer::scoped(&claims, &service, "YouTrack", ring.signing(), now).unwrap();
            let scoped = verify(token.as_bytes(), &ring, ISSUER, now).unwrap();
            assert_eq!(
                (scoped.jti, scoped.aud, scoped.exp - now.seconds()),
                (claims.jti.clone(), vec![service.clone()], life)
            );
            assert_eq!(end.seconds(), scoped.exp);
        }
    }

    #[test]
    fn signed_claims_that_are_not_ours_are_refused() {
        let ring = ring();
        let (iat, exp) = (NOW.seconds(), NOW.seconds() + 60);
        let base = serde_json::json!({"iss": ISSUER, "sub": "a", "aud": ["yt"], "client_id": "a", "scope": "yt",
            "iat": iat, "exp": exp, "jti": URL_SAFE_NO_PAD.encode([1_u8; 16])});
        let attempt = |typ: &str, payload: &str| {
            let token = ring.signing().sign(typ, payload.as_bytes()).unwrap();
            verify(token.as_bytes(), &ring, ISSUER, NOW)
        };
        assert!(attempt("at+jwt", &base.to_string()).is_ok());
        for typ in ["JWT", "application/at+jwt", "AT+JWT", "", "logout+jwt"] {
            assert_eq!(attempt(typ, &base.to_string()).unwrap_err(), TokenError::WrongType, "{typ}");
        }
        for (claim, value, error) in [
            ("exp", serde_json::json!("1900000000"), TokenError::Claims),
            ("exp", serde_json::json!(1.9e9), TokenError::Claims),
            ("exp", serde_json::json!(-1), TokenError::Expired),
            ("exp", serde_json::Value::Null, TokenError::Claims),
            ("nbf", serde_json::json!(exp + 3600), TokenError::NotYetValid),
            ("iat", serde_json::json!(iat + 3600), TokenError::NotYetValid),
            ("nbf", serde_json::json!("soon"), TokenError::Claims),
            ("iss", serde_json::json!("https://evil/hub"), TokenError::WrongIssuer),
            ("aud", serde_json::json!([]), TokenError::NoAudience),
            ("aud", serde_json::json!("yt"), TokenError::Claims),
            ("aud", serde_json::json!(["a b"]), TokenError::Claims),
            ("sub", serde_json::json!(""), TokenError::Claims),
            ("jti", serde_json::json!("1"), TokenError::Claims),
            ("client_id", serde_json::json!(7), TokenError::Claims),
        ] {
            let mut claims = base.clone();
            claims[claim] = value;
            assert_eq!(attempt("at+jwt", &claims.to_string()).unwrap_err(), error, "{claims}");
        }
        for claim in ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti"] {
            let mut claims = base.clone();
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(
                attempt("at+jwt", &claims.to_string()).unwrap_err(),
                TokenError::Claims,
                "without {claim}"
            );
        }
        let jti = &base["jti"];
        let list = serde_json::json!([ISSUER, "a", ["yt"], "a", "yt", iat, exp, null, jti]).to_string();
        assert_eq!(attempt("at+jwt", &list).unwrap_err(), TokenError::Claims);
        let doubled = base.to_string().replacen('{', &format!("{{\"exp\":{},", exp + 1000), 1);
        assert_eq!(attempt("at+jwt", &doubled).unwrap_err(), TokenError::Claims);
        assert_eq!(
            attempt("at+jwt", &base.to_string().replace(&exp.to_string(), "1e400")).unwrap_err(),
            TokenError::Claims
        );
    }
}
