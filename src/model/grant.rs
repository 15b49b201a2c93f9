//! What a person granted a client, and the codes and refresh tokens that carry it.
//!
//! Invariant: a code and a refresh token are spent once; what was spent is kept, so that a second use is recognised as
//! such, until everything that came of it has expired.

use crate::{
    base::{
        id::{ConsentId, GrantId, ServiceId, SessionId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::scope::{GrantedScope, OFFLINE_ACCESS},
};

/// The root of a family of tokens: who granted what to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id; `grant_id` of the family's access tokens.
    pub id: GrantId,
    /// To whom.
    pub client: ServiceId,
    /// By whom.
    pub user: UserId,
    /// What.
    pub scope: GrantedScope,
    /// The session in which it was granted; `None` for the password grant.
    pub session: Option<SessionId>,
    /// When the person last proved who they are; `auth_time` of id_tokens.
    pub authenticated: Timestamp,
    /// `nonce` of the authorization request (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<String>,
    /// When.
    pub created: Timestamp,
}

/// How a code is bound to the client that asked for it (RFC 7636 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `code_challenge_method`
    pub method: ChallengeMethod,
    /// `code_challenge`
    pub value: String,
}

/// RFC 7636 section 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// The challenge is the verifier.
    Plain,
    /// The challenge is the base64url of the verifier's SHA-256.
    S256,
}

impl ChallengeMethod {
    /// The name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::S256 => "S256",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::S256].into_iter().find(|method| method.name() == name)
    }
}

/// An authorization code (RFC 6749 section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// Of the code.
    pub digest: TokenDigest,
    /// What it is exchanged for. The grant comes into being when the code is exchanged.
    pub grant: Grant,
    /// `redirect_uri` of the authorization request, `None` when the request named none.
    pub redirect_uri: Option<String>,
    /// PKCE.
    pub challenge: Option<Challenge>,
    /// Whether a refresh token comes with it.
    pub offline: bool,
    /// Until when it can be exchanged.
    pub expires: Timestamp,
}

/// A refresh token (RFC 6749 section 6), as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Of the token.
    pub digest: TokenDigest,
    /// Its family.
    pub grant: GrantId,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it can be used.
    pub expires: Timestamp,
}

/// A consent that is remembered (hub-contract section 6): what a person lets a service have without being asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// Who.
    pub user: UserId,
    /// The service that asked.
    pub client: ServiceId,
    /// The services that it may use on the person's behalf.
    pub services: Vec<ServiceId>,
    /// The values of [`crate::model::scope::OPENID_SCOPES`] that it may have; [`OFFLINE_ACCESS`] however it asked for it.
    pub claims: Vec<String>,
    /// When it was last given.
    pub given: Timestamp,
    /// When the person is asked again.
    pub expires: Timestamp,
}

impl Consent {
    /// Whether it lets the client have all of `scope` at `now`, and with `offline` go on without the person. That a client
    /// may know who uses it goes without saying.
    #[must_use]
    pub fn covers(&self, scope: &GrantedScope, offline: bool, now: Timestamp) -> bool {
        let may_stay = || self.claims.iter().any(|claim| claim == OFFLINE_ACCESS);
        now < self.expires
            && (!offline || may_stay())
            && scope.services.iter().all(|service| *service == self.client || self.services.contains(service))
            && scope.openid_entries().all(|word| self.claims.iter().any(|claim| claim == word))
    }
}

/// A redirect URI that somebody asked for and the service has not registered (hub-contract section 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRedirect {
    /// As it was asked for.
    pub uri: String,
    /// The address that asked last.
    pub tried_from: String,
    /// When it was last asked for.
    pub tried_at: Timestamp,
}
