//! Client authentication: who asks at the token endpoint and its neighbours.
//!
//! Invariant: exactly one method is used; whoever has a secret must present it; an unknown client and a wrong secret take
//! the same path and the same answer; secrets are compared as digests in constant time.
//!
//! RFC 6749 section 2.3.1; hub-contract section 3.

use std::sync::Arc;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    error::{ErrorCode, OAuthError, invalid_request},
    form::{Form, form_decode},
};
use crate::{
    base::{id::MAX_ID_LENGTH, secret::Secret, time::Timestamp},
    crypto::digest::SecretDigest,
    model::{
        registry::Registry,
        service::{Service, StoredSecret},
    },
};

/// Some clients leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest secret that is looked at, in bytes.
const MAX_SECRET_LENGTH: usize = 1024;

/// What a request presents as client authentication.
#[derive(Debug)]
pub enum Presented {
    /// `Authorization: Basic …`. RFC 6749 wants id and secret form-encoded before they are joined; many clients do
    /// not. Both readings are kept.
    Basic {
        /// As RFC 6749 says.
        decoded: (String, Secret),
        /// As sent.
        verbatim: (String, Secret),
    },
    /// `client_id` and `client_secret` in the form.
    Post(String, Secret),
    /// `client_id` alone.
    Public(String),
    /// Nothing.
    Nothing,
}

/// Finds the one method that a request uses.
///
/// # Errors
/// `invalid_request` for two methods, a repeated header or another scheme; `invalid_client` for credentials that
/// cannot be read.
pub fn presented(authorization: &[&[u8]], form: &Form) -> Result<Presented, OAuthError> {
    let header = match authorization {
        [] => None,
        [one] => Some(basic(one)?),
        _ => return Err(invalid_request("the Authorization header is repeated")),
    };
    let posted = form.get("client_id").map(str::to_owned);
    let secret = form.get("client_secret").map(|secret| Secret::new(trimmed(secret).to_owned()));
    match (header, posted, secret) {
        (Some(_), _, Some(_)) => {
            Err(invalid_request("the client authenticates twice, by header and by client_secret"))
        }
        (Some(Presented::Basic { decoded, verbatim }), Some(id), None)
            if id != decoded.0 && id != verbatim.0 =>
        {
            Err(invalid_request("client_id differs from the client in the Authorization header"))
        }
        (Some(basic), _, None) => Ok(basic),
        (None, Some(id), Some(secret)) => Ok(Presented::Post(id, secret)),
        (None, Some(id), None) => Ok(Presented::Public(id)),
        (None, None, Some(_)) => Err(invalid_request("client_secret comes without client_id")),
        (None, None, None) => Ok(Presented::Nothing),
    }
}

fn basic(header: &[u8]) -> Result<Presented, OAuthError> {
    let unreadable = || {
        OAuthError::new(ErrorCode::InvalidClient, "the Basic credentials cannot be read").with_challenge(true)
    };
    let text = std::str::from_utf8(header).map_err(|_| unreadable())?;
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid_request("the Authorization header is not of type Basic"));
    }
    let bytes = BASE64.decode(credentials.trim_matches(' ')).map_err(|_| unreadable())?;
    let joined = String::from_utf8(bytes).map_err(|_| unreadable())?;
    // The sample of Hub's own documentation ends in CR LF.
    let (id, secret) = trimmed(&joined).split_once(':').ok_or_else(unreadable)?;
    let decode = |part: &str| form_decode(part.as_bytes()).ok_or_else(unreadable);
    Ok(Presented::Basic {
        decoded: (decode(id)?, Secret::new(trimmed(&decode(secret)?).to_owned())),
        verbatim: (id.to_owned(), Secret::new(secret.to_owned())),
    })
}

fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// Authenticates a client that must have a secret.
///
/// # Errors
/// `invalid_client`, with a challenge when the header was used; the description is the same whether the client or
/// the secret is wrong.
pub fn confidential(
    presented: &Presented,
    registry: &Registry,
    now: Timestamp,
) -> Result<Arc<Service>, OAuthError> {
    let challenge = matches!(presented, Presented::Basic { .. });
    let refused = |text| OAuthError::new(ErrorCode::InvalidClient, text).with_challenge(challenge);
    let found = match presented {
        Presented::Basic { decoded, verbatim } => {
            let first = matching(&decoded.0, &decoded.1, registry, now);
            // Mostly the two readings are one.
            let same = decoded.0 == verbatim.0 && decoded.1.expose() == verbatim.1.expose();
            let second = if same { None } else { matching(&verbatim.0, &verbatim.1, registry, now) };
            first.or(second)
        }
        Presented::Post(id, secret) => matching(id, secret, registry, now),
        Presented::Public(_) => return Err(refused("the client has to authenticate with its secret")),
        Presented::Nothing => return Err(refused("the client has to authenticate")),
    };
    found.ok_or_else(|| refused("the client is unknown or its secret is wrong"))
}

/// Authenticates a client: one with a secret presents it, a public one names itself and nothing more (RFC 6749
/// section 2.3.1, RFC 8252 section 8.4).
///
/// # Errors
/// `invalid_client` as [`confidential`] answers it, and for an id alone that is not a public client's, known or not.
pub fn client(
    presented: &Presented,
    registry: &Registry,
    now: Timestamp,
) -> Result<Arc<Service>, OAuthError> {
    let Presented::Public(id) = presented else { return confidential(presented, registry, now) };
    let public = registry.by_id(id).filter(|service| service.trust.public);
    public.cloned().ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "the client is unknown or has to authenticate with its secret",
        )
    })
}

/// The service with this id, if this is a live secret of it. An unknown id costs the same: a digest, a service that is looked
/// at, and as many comparisons.
fn matching(id: &str, secret: &Secret, registry: &Registry, now: Timestamp) -> Option<Arc<Service>> {
    if id.len() > MAX_ID_LENGTH || secret.expose().is_empty() || secret.expose().len() > MAX_SECRET_LENGTH {
        return None;
    }
    let given = SecretDigest::of(secret.expose());
    let service = registry.by_id_or_another(id)?;
    let is_meant = service.id.as_str() == id;
    let (hits, _) = compare(&service.secrets, &given, now);
    #[expect(clippy::needless_bitwise_bool, reason = "a short cut would tell which of them is wrong")]
    let matches = is_meant & (hits > 0) & !service.trust.public;
    matches.then(|| Arc::clone(service))
}

/// With how many secrets each attempt is compared, as many as a service has while an old one is in its grace.
const COMPARISONS: usize = 2;

/// How many live secrets have this digest, and how many comparisons it took to find that out. Every live one is compared,
/// whether one before it has matched or not, and in place of those that are missing what is nobody's.
fn compare(secrets: &[StoredSecret], given: &SecretDigest, now: Timestamp) -> (usize, usize) {
    let (mut hits, mut compared) = (0, 0);
    for secret in secrets.iter().filter(|secret| secret.is_live(now)) {
        hits += usize::from(secret.digest == *given);
        compared += 1;
    }
    let nobodys = SecretDigest::from_bytes([0; 32]);
    while compared < COMPARISONS {
        // Never a hit, but the compiler must not know that.
        std::hint::black_box(nobodys == *given);
        compared += 1;
    }
    (hits, compared)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        base::id::ServiceId,
        model::service::{Profile, Trust},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn registry() -> Registry {
        let service = |id: &str, secret: &str| Service {
            id: ServiceId::parse(id).unwrap(),
            name: id.to_uppercase(),
            trust: Trust::default(),
            profile: Profile::default(),
            secrets: vec![StoredSecret::current(SecretDigest::of(secret), NOW)],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        let mut rotated = service("rotated", "old");
        rotated.rotate_secret(SecretDigest::of("new"), NOW, Duration::from_secs(60));
        let mut public = service("public", "x");
        public.trust.public = true;
        Registry::new([service("a", "s3cret"), service("b", "p%2Fw+d:é"), rotated, public], "https://a")
    }

    fn header(credentials: &str) -> Vec<u8> {
        format!("Basic {}", BASE64.encode(credentials)).into_bytes()
    }

    fn attempt(header: Option<&[u8]>, form: &str, now: Timestamp) -> Result<String, OAuthError> {
        let headers: Vec<&[u8]> = header.into_iter().collect();
        let presented = presented(&headers, &Form::parse(form.as_bytes())?)?;
        Ok(confidential(&presented, &registry(), now)?.id.as_str().to_owned())
    }

    #[test]
    fn both_methods_work() {
        for (credentials, client) in [
            ("a:s3cret", "a"),
            ("a:s3cret\r\n", "a"),
            ("%61:s3cr%65t", "a"),
            ("b:p%2Fw+d:é", "b"),
            ("b:p%252Fw%2Bd%3A%C3%A9", "b"),
            ("rotated:new", "rotated"),
            ("rotated:old", "rotated"),
        ] {
            assert_eq!(attempt(Some(&header(credentials)), "", NOW).unwrap(), client, "{credentials}");
        }
        assert_eq!(attempt(None, "client_id=a&client_secret=s3cret", NOW).unwrap(), "a");
        assert_eq!(attempt(Some(&header("a:s3cret")), "client_id=a", NOW).unwrap(), "a");
        let unpadded =
            [b"bAsIc ".as_slice(), BASE64.encode("a:s3cret").trim_end_matches('=').as_bytes()].concat();
        assert_eq!(attempt(Some(&unpadded), "", NOW).unwrap(), "a");
    }

    #[test]
    fn wrong_credentials_all_look_alike() {
        let mut answers = Vec::new();
        for credentials in [
            "a:wrong",
            "nobody:s3cret",
            "a:",
            ":s3cret",
            "public:x",
            "public:",
            "0-0-0-0-0:",
            "0-0-0-0-0:x",
            "A:s3cret",
            // Whichever service is looked at in their place, its secret is not theirs.
            "nobody:p%252Fw%2Bd%3A%C3%A9",
            "nobody:new",
            "no:s3cret",
            "aa:s3cret",
            "ab:s3cret",
            "ac:s3cret",
        ] {
            answers.push(attempt(Some(&header(credentials)), "", NOW).unwrap_err());
        }
        answers
            .push(attempt(Some(&header("rotated:old")), "", NOW.plus(Duration::from_secs(60))).unwrap_err());
        for answer in &answers {
            assert_eq!((answer.code, answer.challenge), (ErrorCode::InvalidClient, true));
            assert_eq!(answer, &answers[0]);
        }
        let posted = attempt(None, "client_id=a&client_secret=wrong", NOW).unwrap_err();
        assert_eq!((posted.code, posted.challenge), (ErrorCode::InvalidClient, false));
        assert_eq!(attempt(None, "", NOW).unwrap_err().code, ErrorCode::InvalidClient);
        assert_eq!(attempt(None, "client_id=a", NOW).unwrap_err().code, ErrorCode::InvalidClient);
    }

    #[test]
    fn a_public_client_names_itself_and_nobody_else_gets_by_with_that() {
        let attempt = |header: Option<&[u8]>, form: &str| {
            let headers: Vec<&[u8]> = header.into_iter().collect();
            let presented = presented(&headers, &Form::parse(form.as_bytes())?)?;
            Ok::<_, OAuthError>(client(&presented, &registry(), NOW)?.id.as_str().to_owned())
        };
        for (form, id) in [
            ("client_id=public", "public"),
            ("client_id=public&client_secret=", "public"),
            ("client_id=a&client_secret=s3cret", "a"),
        ] {
            assert_eq!(attempt(None, form).unwrap(), id, "{form}");
        }
        assert_eq!(attempt(Some(&header("a:s3cret")), "").unwrap(), "a");
        let known = attempt(None, "client_id=a").unwrap_err();
        assert_eq!((known.code, known.challenge), (ErrorCode::InvalidClient, false));
        for form in
            ["client_id=a&client_secret=", "client_id=nobody", "client_id=0-0-0-0-0", "client_id=Public"]
        {
            assert_eq!(attempt(None, form).unwrap_err(), known, "{form}");
        }
        let wrong = attempt(None, "client_id=a&client_secret=wrong").unwrap_err();
        for form in ["client_id=nobody&client_secret=x", "client_id=public&client_secret=x"] {
            assert_eq!(attempt(None, form).unwrap_err(), wrong, "{form}");
        }
        assert_eq!(attempt(Some(&header("public:")), "").unwrap_err().code, ErrorCode::InvalidClient);
        assert_eq!(attempt(None, "").unwrap_err().code, ErrorCode::InvalidClient);
    }

    /// That both are also answered in the same time is measured by `benches/timing.rs`.
    #[test]
    fn whoever_is_unknown_costs_as_many_comparisons() {
        let registry = registry();
        let given = SecretDigest::of("wrong");
        let secrets = |id: &str| registry.by_id(id).map_or(&[][..], |service| &service.secrets);
        for id in ["a", "rotated", "public", "0-0-0-0-0", "nobody"] {
            assert_eq!(compare(secrets(id), &given, NOW), (0, COMPARISONS), "{id}");
        }
        for (id, right) in [("a", "s3cret"), ("rotated", "old"), ("rotated", "new")] {
            let right = SecretDigest::of(right);
            assert_eq!(compare(secrets(id), &right, NOW), (1, COMPARISONS), "{id}");
        }
        let later = NOW.plus(Duration::from_secs(60));
        assert_eq!(compare(secrets("rotated"), &SecretDigest::of("old"), later), (0, COMPARISONS));
        assert_eq!(compare(&[], &SecretDigest::from_bytes([0; 32]), NOW), (0, COMPARISONS));
    }

    #[test]
    fn two_methods_or_none_that_is_known_are_malformed() {
        let good = header("a:s3cret");
        let code = |result: Result<String, OAuthError>| result.unwrap_err().code;
        assert_eq!(code(attempt(Some(&good), "client_secret=s3cret", NOW)), ErrorCode::InvalidRequest);
        assert_eq!(code(attempt(Some(&good), "client_id=b", NOW)), ErrorCode::InvalidRequest);
        assert_eq!(code(attempt(Some(b"Bearer abc"), "", NOW)), ErrorCode::InvalidRequest);
        assert_eq!(code(attempt(None, "client_secret=s3cret", NOW)), ErrorCode::InvalidRequest);
        assert!(presented(&[&good, &good], &Form::default()).is_err());
        for unreadable in [&b"Basic"[..], b"Basic !!!", b"Basic \xff", &header("nocolon"), b"Basic gICA"] {
            let error = attempt(Some(unreadable), "", NOW).unwrap_err();
            assert_eq!((error.code, error.challenge), (ErrorCode::InvalidClient, true));
        }
    }
}
