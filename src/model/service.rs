//! A service: Hub's one noun for a client, a resource server, or both.
//!
//! Invariant: at most one secret is current; an older one carries the moment when its grace ends.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use super::flow::{Flow, Flows};
use crate::{
    base::{id::ServiceId, time::Timestamp, url::web_origin},
    crypto::digest::SecretDigest,
};

/// What a service may do at the token and authorization endpoints (hub-contract section 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// May obtain tokens for itself (client credentials).
    pub trusted: bool,
    /// Users are asked before it obtains a token for them.
    pub consent_required: bool,
    /// Has no secret; PKCE is required instead.
    pub public: bool,
    /// PKCE is required although it has a secret.
    pub pkce_required: bool,
    /// Whether each refresh replaces the refresh token.
    pub rotate_refresh_tokens: bool,
    /// The flows switched on for it.
    pub flows: Flows,
}

impl Default for Trust {
    /// A new service as Hub makes it: trusted, asked for, every flow on.
    fn default() -> Self {
        Self {
            trusted: true,
            consent_required: true,
            public: false,
            pkce_required: false,
            rotate_refresh_tokens: true,
            flows: Flows::all(),
        }
    }
}

/// The descriptive part of a service, as Hub's REST names it. Nothing in here grants anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Short unique name; Hub makes it equal to the name.
    pub key: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Where people find the service.
    pub home_url: Option<String>,
    /// Further addresses, to which relative redirect URIs are resolved.
    pub base_urls: Vec<String>,
    /// Absolute or relative addresses that may receive an authorization response.
    pub redirect_uris: Vec<String>,
    /// Pattern of a user's page.
    pub user_uri_pattern: Option<String>,
    /// Pattern of a group's page.
    pub group_uri_pattern: Option<String>,
    /// The product behind the service.
    pub application_name: Option<String>,
    /// Its maker.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When that version was made, milliseconds since the epoch.
    pub release_date: Option<i64>,
    /// Its picture. Never fetched by the gateway.
    pub icon_url: Option<String>,
}

/// A client secret as it is kept: a digest, and when it stops working if a newer one has replaced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// SHA-256 of the secret.
    pub digest: SecretDigest,
    /// When it was set.
    pub created: Timestamp,
    /// End of the grace period; `None` for the current secret.
    pub expires: Option<Timestamp>,
}

impl StoredSecret {
    /// A secret that is current from `now` on.
    #[must_use]
    pub const fn current(digest: SecretDigest, now: Timestamp) -> Self {
        Self { digest, created: now, expires: None }
    }

    /// Whether it is accepted at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// One registered service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id: `client_id`, scope entry and audience.
    pub id: ServiceId,
    /// Its name, unique among services; also accepted as a scope entry.
    pub name: String,
    /// What it may do.
    pub trust: Trust,
    /// What it says of itself.
    pub profile: Profile,
    /// Current secret first, then those in grace. Empty for public services and before a first secret was made.
    pub secrets: Vec<StoredSecret>,
    /// Whether `gateway.toml` declares it, so that its settings are changed there.
    pub declared: bool,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Service {
    /// Whether it may use `flow`: switched on, and for client credentials also trusted and confidential.
    #[must_use]
    pub fn may_use(&self, flow: Flow) -> bool {
        let on = self.trust.flows.contains(flow);
        match flow {
            Flow::ClientCredentials => on && self.trust.trusted && !self.trust.public,
            _ => on,
        }
    }

    /// Whether each refresh replaces its refresh token. That of a public service always does, whatever was registered: it is
    /// bound to nobody (RFC 9700 section 4.14.2).
    #[must_use]
    pub const fn rotates_refresh_tokens(&self) -> bool {
        self.trust.public || self.trust.rotate_refresh_tokens
    }

    /// The origins of its home, its base addresses and its absolute redirect URIs, as far as browsers go to them.
    #[must_use]
    pub fn origins(&self) -> BTreeSet<String> {
        let Profile { home_url, base_urls, redirect_uris, .. } = &self.profile;
        let addresses = home_url.iter().chain(base_urls).chain(redirect_uris);
        addresses.filter_map(|address| web_origin(address)).collect()
    }

    /// Replaces the secret; the one before stays accepted for `grace`, older ones are dropped.
    pub fn rotate_secret(&mut self, digest: SecretDigest, now: Timestamp, grace: Duration) {
        let previous = self.secrets.first().filter(|s| s.is_live(now) && !grace.is_zero()).cloned();
        self.secrets = vec![StoredSecret::current(digest, now)];
        self.secrets.extend(previous.map(|old| StoredSecret { expires: Some(now.plus(grace)), ..old }));
        self.updated = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            id: ServiceId::parse("s").unwrap(),
            name: "S".into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secrets: vec![],
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        }
    }

    #[test]
    fn client_credentials_need_trust_and_a_secret() {
        let mut s = service();
        assert!(s.may_use(Flow::ClientCredentials));
        s.trust.trusted = false;
        assert!(!s.may_use(Flow::ClientCredentials) && s.may_use(Flow::Password));
        s.trust.trusted = true;
        s.trust.public = true;
        assert!(!s.may_use(Flow::ClientCredentials));
        s.trust.public = false;
        s.trust.flows = [Flow::Password].into_iter().collect();
        assert!(!s.may_use(Flow::ClientCredentials));
    }

    #[test]
    fn the_refresh_tokens_of_public_services_always_rotate() {
        let mut s = service();
        assert!(s.rotates_refresh_tokens());
        s.trust.rotate_refresh_tokens = false;
        assert!(!s.rotates_refresh_tokens());
        s.trust.public = true;
        assert!(s.rotates_refresh_tokens());
    }

    #[test]
    fn origins_come_from_every_registered_address() {
        let mut s = service();
        assert!(s.origins().is_empty());
        s.profile.home_url = Some("https://A.example/youtrack".into());
        s.profile.base_urls = vec!["http://a.example:8080/".into(), "https://a.example/x".into()];
        s.profile.redirect_uris =
            ["./oauth", "https://b.example/cb", "ytoauth://landing.url", "null"].map(str::to_owned).into();
        let origins: Vec<String> = s.origins().into_iter().collect();
        assert_eq!(origins, ["http://a.example:8080", "https://a.example", "https://b.example"]);
    }

    #[test]
    fn an_old_secret_lives_as_long_as_its_grace() {
        let mut s = service();
        let (grace, t0) = (Duration::from_secs(60), Timestamp::from_seconds(1000));
        s.rotate_secret(SecretDigest::of("one"), t0, grace);
        assert_eq!(s.secrets.len(), 1);
        s.rotate_secret(SecretDigest::of("two"), t0, grace);
        assert_eq!(s.secrets.len(), 2);
        assert!(s.secrets[1].is_live(t0.plus(Duration::from_secs(59))));
        assert!(!s.secrets[1].is_live(t0.plus(grace)));
        s.rotate_secret(SecretDigest::of("three"), t0, Duration::ZERO);
        assert_eq!(s.secrets.len(), 1);
    }
}
