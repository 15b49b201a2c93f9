//! Making access tokens.

use std::{sync::Arc, time::Duration};

use super::{ACCESS_TOKEN_TYPE, claims::AccessClaims};
use crate::{
    base::{
        id::{ServiceId, TokenId},
        random::Random,
        secret::Secret,
        time::Timestamp,
    },
    crypto::jws::{JwsError, MAX_TOKEN_LENGTH, SigningKey},
    model::scope::GrantedScope,
    oauth::grant::Granted,
};

/// How long the token that an upstream gets lives at most. It is made anew before it ends.
pub const SCOPED_TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Makes tokens under one issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    name: Arc<str>,
    life: Duration,
    longest: usize,
}

/// A token response (RFC 6749 section 5.1).
#[derive(Debug)]
pub struct Issued {
    /// `access_token`. A bearer credential: only the answer's body may have it.
    pub access_token: String,
    /// `expires_in`, seconds.
    pub expires_in: u64,
    /// `scope`
    pub scope: String,
    /// The services that it is for: `aud`.
    pub services: Vec<ServiceId>,
    /// `jti`, for the audit line.
    pub token_id: TokenId,
    /// `refresh_token`
    pub refresh_token: Option<Secret>,
    /// `id_token`
    pub id_token: Option<String>,
}

impl Issuer {
    /// An issuer with this `iss` and this life of access tokens.
    #[must_use]
    pub fn new(issuer: &str, life: Duration) -> Self {
        Self { name: Arc::from(issuer), life, longest: MAX_TOKEN_LENGTH }
    }

    /// The same, with access tokens of at most so many bytes.
    #[must_use]
    pub fn at_most(self, longest: usize) -> Self {
        Self { longest: longest.min(MAX_TOKEN_LENGTH), ..self }
    }

    /// The most bytes that an access token may have, so that it is taken where it is for.
    #[must_use]
    pub const fn longest(&self) -> usize {
        self.longest
    }

    /// `iss`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `iss`, shared.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The longest that an access token lives.
    #[must_use]
    pub const fn life(&self) -> Duration {
        self.life
    }

    /// Makes the token for what was granted.
    ///
    /// # Errors
    /// [`JwsError`] when signing fails.
    pub fn issue(
        &self,
        granted: Granted,
        key: &SigningKey,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Issued, JwsError> {
        let Granted { client, subject, scope: GrantedScope { spelled, services }, family } = granted;
        let (grant_id, sid) = family.map_or((None, None), |family| (Some(family.grant), family.session));
        let token_id = TokenId::random(random);
        let expires_in = self.life.as_secs();
        let claims = AccessClaims {
            iss: self.name.as_ref().to_owned(),
            sub: subject,
            aud: services,
            client_id: client,
            scope: spelled,
            iat: now.seconds(),
            exp: now.plus(self.life).seconds(),
            nbf: None,
            jti: token_id.to_string(),
            grant_id,
            sid,
            credential: None,
            every_service: false,
        };
        let access_token = sign(&claims, key)?;
        Ok(Issued {
            access_token,
            expires_in,
            scope: claims.scope,
            services: claims.aud,
            token_id,
            refresh_token: None,
            id_token: None,
        })
    }

    /// Makes the token that an upstream gets in place of the client's: the same token (same `jti`, so that one
    /// revocation kills both), for that one service, and short-lived. Returns it with the moment when it ends.
    ///
    /// # Errors
    /// [`JwsError`] when signing fails.
    pub fn scoped(
        claims: &AccessClaims,
        service: &ServiceId,
        scope: &str,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<(String, Timestamp), JwsError> {
        let end = now.plus(SCOPED_TOKEN_LIFE).min(claims.expires());
        let narrowed = AccessClaims {
            aud: vec![service.clone()],
            scope: scope.to_owned(),
            iat: now.seconds().max(claims.iat),
            exp: end.seconds(),
            every_service: false,
            ..claims.clone()
        };
        Ok((sign(&narrowed, key)?, end))
    }
}

fn sign(claims: &AccessClaims, key: &SigningKey) -> Result<String, JwsError> {
    let payload = serde_json::to_vec(claims).map_err(|_| JwsError::Malformed)?;
    key.sign(ACCESS_TOKEN_TYPE, &payload)
}
