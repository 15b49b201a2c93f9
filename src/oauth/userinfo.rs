//! What a client learns about the person whose token it holds (OpenID Connect Core section 5.3, hub-contract section 8).
//!
//! Invariant: only claims that the token's scope names, except for a token for the hub itself, which may read all of the
//! person's own data anyway.

use serde::Serialize;

use super::token::claims::AccessClaims;
use crate::{
    base::id::ServiceId,
    model::user::{Email, Person},
};

/// Why a token gives no claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoClaims {
    /// It acts for a service, not for a person.
    NoPerson,
    /// `openid` is not in its scope, and it is not for the hub.
    InsufficientScope,
}

/// How much a token tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    email: bool,
    groups: bool,
}

impl Extent {
    /// What a token with these claims may be told.
    ///
    /// # Errors
    /// [`NoClaims`]
    pub fn of(claims: &AccessClaims) -> Result<Self, NoClaims> {
        if claims.is_service() {
            return Err(NoClaims::NoPerson);
        }
        let has = |word: &str| claims.scope.split(' ').any(|entry| entry == word);
        if has("openid") {
            // Hub names the person to whoever asks with `openid` alone, and its clients count on that.
            Ok(Self { email: has("email"), groups: has("groups") })
        } else if claims.covers(ServiceId::HUB) {
            Ok(Self { email: true, groups: true })
        } else {
            Err(NoClaims::InsufficientScope)
        }
    }

    /// The claims about `person`. Pages about people are below `pages`, where there are any.
    #[must_use]
    pub fn claims<'a>(self, person: &'a Person, pages: Option<&str>) -> UserInfo<'a> {
        let email = person.email.as_ref().filter(|_| self.email);
        UserInfo {
            sub: person.id.as_str(),
            name: &person.name,
            preferred_username: &person.login,
            profile: pages.map(|pages| format!("{pages}/{}", person.id)),
            email: email.map(|Email { address, .. }| address.as_str()),
            email_verified: email.map(|email| email.verified),
            groups: self.groups.then_some(&person.groups),
        }
    }
}

/// The answer (OpenID Connect Core section 5.3.2).
#[derive(Debug, Serialize)]
pub struct UserInfo<'a> {
    sub: &'a str,
    name: &'a str,
    preferred_username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{GrantId, UserId};

    fn claims(scope: &str, audience: &str, service: bool) -> AccessClaims {
        AccessClaims {
            iss: "i".into(),
            sub: if service { "client" } else { "jane" }.into(),
            aud: vec![ServiceId::parse(audience).unwrap()],
            client_id: ServiceId::parse("client").unwrap(),
            scope: scope.into(),
            iat: 0,
            exp: 1,
            nbf: None,
            jti: "j".into(),
            grant_id: (!service).then(|| GrantId::parse("g").unwrap()),
            sid: None,
            credential: None,
            every_service: false,
        }
    }

    fn told(scope: &str, audience: &str, verified: Option<bool>) -> Result<serde_json::Value, NoClaims> {
        let person = Person {
            id: UserId::parse("jane").unwrap(),
            login: "jane.doe".into(),
            name: "Jane Doe".into(),
            email: verified.map(|verified| Email { address: "j@example.org".into(), verified }),
            groups: vec!["developers".into()],
            banned: false,
            guest: false,
            administrator: false,
        };
        let extent = Extent::of(&claims(scope, audience, false))?;
        Ok(serde_json::to_value(extent.claims(&person, Some("https://a/hub/users"))).unwrap())
    }

    #[test]
    fn a_scope_tells_as_much_as_it_names() {
        let base = serde_json::json!({"sub": "jane", "name": "Jane Doe", "preferred_username": "jane.doe",
            "profile": "https://a/hub/users/jane"});
        let with = |extra: serde_json::Value| {
            let mut all = base.clone();
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            all
        };
        let email = serde_json::json!({"email": "j@example.org", "email_verified": true});
        let groups = serde_json::json!({"groups": ["developers"]});
        let both =
            serde_json::json!({"email": "j@example.org", "email_verified": true, "groups": ["developers"]});
        for (scope, audience, expected) in [
            ("yt openid", "yt", with(serde_json::json!({}))),
            ("openid email", "yt", with(email)),
            ("openid groups", "0-0-0-0-0", with(groups)),
            ("openid email groups", "yt", with(both.clone())),
            ("0-0-0-0-0", "0-0-0-0-0", with(both)),
        ] {
            assert_eq!(told(scope, audience, Some(true)).unwrap(), expected, "{scope}");
        }
        let unverified = told("openid email", "yt", Some(false)).unwrap();
        assert_eq!(unverified["email_verified"], false);
        let without = told("openid email", "yt", None).unwrap();
        assert!(without.get("email").is_none() && without.get("email_verified").is_none());
    }

    #[test]
    fn other_tokens_tell_nothing() {
        for scope in ["yt", "openidx", "email", "OPENID"] {
            assert_eq!(told(scope, "yt", None).unwrap_err(), NoClaims::InsufficientScope, "{scope}");
        }
        assert_eq!(Extent::of(&claims("openid", "0-0-0-0-0", true)), Err(NoClaims::NoPerson));
    }
}
