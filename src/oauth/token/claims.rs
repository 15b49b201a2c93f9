//! The claims of an access token (RFC 9068 section 2.2, hub-contract section 0).

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId, TokenId},
        time::Timestamp,
    },
    model::credential::CredentialKind,
};

/// The payload of an access token. Times are whole seconds, because libraries choke on fractions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: the address of the hub.
    pub iss: String,
    /// The user's id, or the client's own for client credentials.
    pub sub: String,
    /// The services that the token is for.
    pub aud: Vec<ServiceId>,
    /// Who obtained it.
    pub client_id: ServiceId,
    /// The scope as it was asked for.
    pub scope: String,
    /// When it was made, seconds since the epoch.
    pub iat: i64,
    /// From when on it is dead, seconds since the epoch.
    pub exp: i64,
    /// Before when it is not yet alive; never written, obeyed when present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its id: 22 characters of base64url.
    pub jti: String,
    /// The grant that it came of; absent where a service acts for itself, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// The session in which that grant was given (OpenID Connect Front-Channel Logout section 3 names the claim).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// The kind of the credential that stands behind it, whose id is the `jti`: a person has made it for a program, and no
    /// grant stands behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialKind>,
    /// Whether it is for every service, as an application password is. No token says so of itself.
    #[serde(skip)]
    pub every_service: bool,
}

impl AccessClaims {
    /// When it expires.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }

    /// When it was issued.
    #[must_use]
    pub const fn issued(&self) -> Timestamp {
        Timestamp::from_seconds(self.iat)
    }

    /// Whether it is for this service.
    #[must_use]
    pub fn covers(&self, service: &str) -> bool {
        self.every_service || self.aud.iter().any(|entry| entry.as_str() == service)
    }

    /// Its `jti`, if that has our form.
    #[must_use]
    pub fn token_id(&self) -> Option<TokenId> {
        TokenId::parse(&self.jti)
    }

    /// Whether the client obtained it for itself. A person's token names the grant or credential that it came of, so that a
    /// user whose id is that of a service is not taken for it.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.grant_id.is_none() && self.credential.is_none() && self.sub == self.client_id.as_str()
    }
}
