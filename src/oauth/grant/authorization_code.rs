//! A code is exchanged (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
//!
//! Invariant: everything that binds the code is checked before it is spent, and it is spent before anything is minted.

use super::{Context, Fresh, invalid_grant, refresh_token, store_failed};
use crate::{
    crypto::opaque::{self, Kind},
    model::service::Service,
    oauth::{error::OAuthError, pkce},
    store::grants::Exchange,
};

/// Exchanges `code`.
pub(super) async fn grant(
    service: &Service,
    (code, redirect_uri, verifier): (&str, Option<&str>, Option<&str>),
    context: &Context<'_>,
) -> Result<Fresh, OAuthError> {
    let unknown = || invalid_grant("the code is unknown, has expired, or was given to another client");
    let digest = opaque::digest(Kind::Code, code).ok_or_else(unknown)?;
    let found = context.store.find_code(&digest).await.map_err(store_failed)?;
    let (record, used) = found.filter(|(code, _)| code.grant.client == service.id).ok_or_else(unknown)?;
    if used {
        // RFC 6749 section 4.1.2: what was issued for it is revoked. The store does so when it is used again.
        context.store.exchange_code(&digest, None, context.now).await.map_err(store_failed)?;
        return Err(replayed(service));
    }
    if context.now >= record.expires {
        return Err(unknown());
    }
    if record.redirect_uri.as_deref() != redirect_uri {
        return Err(invalid_grant("redirect_uri is not that of the authorization request"));
    }
    // It was asked for when the service still had a secret: without either, a code is whoever's finds it.
    if record.challenge.is_none() && (service.trust.public || service.trust.pkce_required) {
        return Err(invalid_grant(
            "the code was asked for without code_challenge, which this client must use",
        ));
    }
    pkce::verify(record.challenge.as_ref(), verifier)?;
    let person = context.active(&record.grant.user).await?;
    let refresh = (record.offline && context.may_refresh(service))
        .then(|| refresh_token::new(&record.grant.id, context));
    let spent = context
        .store
        .exchange_code(&digest, refresh.as_ref().map(|(_, record)| record), context.now)
        .await
        .map_err(store_failed)?;
    match spent {
        Exchange::First => {
            Ok(Fresh { grant: record.grant, person, refresh: refresh.map(|(token, _)| token), nonce: true })
        }
        Exchange::Replayed => Err(replayed(service)),
        Exchange::Unknown => Err(unknown()),
    }
}

fn replayed(service: &Service) -> OAuthError {
    tracing::warn!(client = %service.id, "an authorization code was used twice; what came of it is revoked");
    invalid_grant("the code was used before; what was issued for it is revoked")
}
