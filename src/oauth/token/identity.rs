//! id_tokens: what a client is told about the person who signed in.
//!
//! Invariant: an id_token is no access token (`typ` differs, `aud` is the client), whole numbers only, and only the claims
//! that the scope names.
//!
//! OpenID Connect Core sections 2, 3.1.3.6, 3.2.2.10, 3.3.2.11, 5.4.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{
    base::{
        id::{ServiceId, SessionId},
        time::Timestamp,
    },
    crypto::jws::{JwsError, SigningKey},
    model::{scope::GrantedScope, user::Person},
};

/// The header's `typ` of an id_token.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// What an id_token is made of.
#[derive(Debug)]
pub struct Identity<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`
    pub client: &'a ServiceId,
    /// `sub`, and what else the scope names.
    pub person: &'a Person,
    /// Which claims.
    pub scope: &'a GrantedScope,
    /// `auth_time`
    pub authenticated: Timestamp,
    /// `nonce`
    pub nonce: Option<&'a str>,
    /// `sid`
    pub session: Option<&'a SessionId>,
    /// The access token that travels with it, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// The code that travels with it, for `c_hash`.
    pub code: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    /// A list, as Hub writes it.
    aud: [&'a str; 1],
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [String]>,
}

impl Identity<'_> {
    /// Signs the id_token; it lives from `now` for `life`.
    ///
    /// # Errors
    /// [`JwsError`] when signing fails.
    pub fn sign(&self, key: &SigningKey, life: Duration, now: Timestamp) -> Result<String, JwsError> {
        let person = self.person;
        let profile = self.scope.has("profile");
        let email = person.email.as_ref().filter(|_| self.scope.has("email"));
        let claims = Claims {
            iss: self.issuer,
            sub: person.id.as_str(),
            aud: [self.client.as_str()],
            iat: now.seconds(),
            exp: now.plus(life).seconds(),
            auth_time: self.authenticated.seconds(),
            nonce: self.nonce,
            sid: self.session.map(SessionId::as_str),
            at_hash: self.access_token.map(half_hash),
            c_hash: self.code.map(half_hash),
            name: profile.then_some(person.name.as_str()),
            preferred_username: profile.then_some(person.login.as_str()),
            email: email.map(|email| email.address.as_str()),
            email_verified: email.map(|email| email.verified),
            groups: self.scope.has("groups").then_some(person.groups.as_slice()),
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| JwsError::Malformed)?;
        key.sign(ID_TOKEN_TYPE, &payload)
    }
}

/// The left half of the SHA-256 (OpenID Connect Core section 3.1.3.6; both of our algorithms hash by SHA-256).
fn half_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{id::UserId, random::SystemRandom},
        crypto::{
            jws,
            keyring::{self, Keyring},
            seal::SealingKey,
        },
        model::{key::Algorithm, user::Email},
        oauth::token::verify::{TokenError, verify},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn claims_follow_the_scope_and_the_token_is_no_access_token() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let ring = Keyring::open(
            &[keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap()],
            &sealing,
        )
        .unwrap();
        let person = Person {
            id: UserId::parse("u1").unwrap(),
            login: "jane".into(),
            name: "Jane Doe".into(),
            email: Some(Email { address: "jane@example.org".into(), verified: true }),
            groups: vec!["developers".into()],
            banned: false,
            guest: false,
            administrator: false,
        };
        let client = ServiceId::parse("app").unwrap();
        let session = SessionId::parse("s1").unwrap();
        let read = |spelled: &str, full: bool| {
            let scope = GrantedScope { spelled: spelled.into(), services: vec![] };
            let identity = Identity {
                issuer: "https://g/hub",
                client: &client,
                person: &person,
                scope: &scope,
                authenticated: NOW.minus(Duration::from_millis(1500)),
                nonce: full.then_some("n-0S6_WzA2Mj"),
                session: full.then_some(&session),
                // OpenID Connect Core appendix A.3 and A.4 name these hashes.
                access_token: full.then_some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
                code: full.then_some("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"),
            };
            let token = identity.sign(ring.signing(), Duration::from_secs(60), NOW).unwrap();
            assert_eq!(
                verify(token.as_bytes(), &ring, "https://g/hub", NOW).unwrap_err(),
                TokenError::WrongType
            );
            let verified = jws::verify(token.as_bytes(), |kid| ring.verifying(kid, NOW)).unwrap();
            serde_json::from_slice::<serde_json::Value>(&verified.payload).unwrap()
        };
        let base = serde_json::json!({"iss": "https://g/hub", "sub": "u1", "aud": ["app"],
            "iat": 1_800_000_000, "exp": 1_800_000_060, "auth_time": 1_799_999_998});
        assert_eq!(read("openid app", false), base);
        let mut full = base.clone();
        for (claim, value) in [
            ("nonce", serde_json::json!("n-0S6_WzA2Mj")),
            ("sid", serde_json::json!("s1")),
            ("at_hash", serde_json::json!("77QmUPtjPfzWtF2AnpK9RQ")),
            ("c_hash", serde_json::json!("LDktKdoQak3Pk0cnXxCltA")),
            ("name", serde_json::json!("Jane Doe")),
            ("preferred_username", serde_json::json!("jane")),
            ("email", serde_json::json!("jane@example.org")),
            ("email_verified", serde_json::json!(true)),
            ("groups", serde_json::json!(["developers"])),
        ] {
            full[claim] = value;
        }
        assert_eq!(read("openid profile email groups", true), full);
    }
}
