//! A refresh token is used (RFC 6749 section 6, RFC 9700 section 4.14; hub-contract section 0).
//!
//! Invariants: a token that is rotated is spent once. Inside the window the same token is answered with the same pair,
//! whoever of the client's parts asks and wherever; after it, a second use ends the whole family. The answer that is kept
//! for this opens only with the spent token itself.

use aws_lc_rs::digest::{Context as Hash, SHA256};
use serde::{Deserialize, Serialize};

use super::{Context, Fresh, invalid_grant, mint, server_error, store_failed};
use crate::{
    base::{
        id::{GrantId, TokenId},
        secret::Secret,
        time::Timestamp,
    },
    crypto::{
        opaque::{self, Kind},
        seal::SealingKey,
    },
    model::{
        grant::{Grant, RefreshToken},
        revocation::{Revocation, RevocationTarget},
        scope::GrantedScope,
        service::Service,
    },
    oauth::{error::OAuthError, scope, token::issue::Issued},
    store::grants::{RefreshState, Rotation},
};

/// The record for which an answer is sealed.
const SEALED_FOR: &str = "refresh answer";

/// A pair as it is kept for a client that asks again.
#[derive(Serialize, Deserialize)]
struct Kept {
    access_token: String,
    refresh_token: String,
    id_token: Option<String>,
    scope: String,
    token_id: String,
    expires: i64,
}

/// A new refresh token of a family, and its record.
pub(super) fn new(grant: &GrantId, context: &Context<'_>) -> (Secret, RefreshToken) {
    let token = opaque::generate(Kind::Refresh, context.random);
    // What was generated is of its kind, so there is a digest.
    let digest = opaque::digest(Kind::Refresh, token.expose())
        .unwrap_or_else(|| crate::crypto::digest::TokenDigest::of(token.expose().as_bytes()));
    let record = RefreshToken {
        digest,
        grant: grant.clone(),
        created: context.now,
        expires: context.now.plus(context.lives.refresh_token),
    };
    (token, record)
}

/// Answers the use of `token`.
pub(super) async fn grant(
    service: &Service,
    (token, requested): (&str, Option<&str>),
    context: &Context<'_>,
) -> Result<Issued, OAuthError> {
    let unknown = || {
        invalid_grant("the refresh token is unknown, has expired, was revoked, or belongs to another client")
    };
    let digest = opaque::digest(Kind::Refresh, token).ok_or_else(unknown)?;
    let found = context.store.find_refresh(&digest).await.map_err(store_failed)?;
    let (record, mut grant, state) =
        found.filter(|(_, grant, _)| grant.client == service.id).ok_or_else(unknown)?;
    if context.now >= record.expires {
        return Err(unknown());
    }
    // A service that was removed since is nobody's audience any more.
    grant.scope = still_registered(grant.scope, context).ok_or_else(unknown)?;
    let scope = match requested {
        None => grant.scope.clone(),
        Some(requested) => scope::narrow(&grant.scope, requested, service, context.registry)?,
    };
    let person = context.active(&grant.user).await?;
    let mut fresh = Fresh { grant: Grant { scope, ..grant }, person, refresh: None, nonce: false };
    if let RefreshState::Spent { at, answer } = state {
        return again(token, fresh, (at, answer), service, context).await;
    }
    if !service.rotates_refresh_tokens() {
        return mint(fresh, context);
    }
    let (successor, successor_record) = new(&fresh.grant.id, context);
    fresh.refresh = Some(successor);
    // Minted before the old token is spent, because the pair is kept with the spending; handed out only after.
    let issued = mint(fresh.clone(), context)?;
    let kept = seal(token, &issued, context)?;
    let rotated = context
        .store
        .rotate_refresh(&digest, &successor_record, &kept, context.now)
        .await
        .map_err(store_failed)?;
    match rotated {
        Rotation::First => Ok(issued),
        Rotation::Unknown => Err(unknown()),
        // Another request with the same token was faster. What was minted here is nobody's.
        Rotation::Spent { at, answer } => again(token, fresh, (at, answer), service, context).await,
    }
}

/// The token was spent before: by this client a moment ago, or by somebody else.
async fn again(
    token: &str,
    fresh: Fresh,
    (at, answer): (Timestamp, Option<Vec<u8>>),
    service: &Service,
    context: &Context<'_>,
) -> Result<Issued, OAuthError> {
    let kept = answer.filter(|_| context.now < at.plus(context.lives.refresh_window));
    let Some(kept) = kept else {
        tracing::warn!(client = %service.id, user = %fresh.grant.user, grant = %fresh.grant.id,
            "a spent refresh token was used again; its family is revoked");
        let revocation = Revocation::at(context.now, RevocationTarget::Grant(fresh.grant.id));
        context.revoke.revoke_replayed(&revocation).await.map_err(store_failed)?;
        return Err(invalid_grant("the refresh token was used before; what was granted with it is revoked"));
    };
    let kept = open(token, &kept)?;
    let left = Timestamp::from_seconds(kept.expires).since(context.now).as_secs();
    if kept.scope != fresh.grant.scope.spelled || left == 0 {
        // The first answer was for another part of the scope, or its access token has ended, where that lives shorter than
        // the window. The successor is the same, the access token is new.
        return mint(Fresh { refresh: Some(Secret::new(kept.refresh_token)), ..fresh }, context);
    }
    Ok(Issued {
        access_token: kept.access_token,
        expires_in: left,
        scope: kept.scope,
        services: fresh.grant.scope.services,
        token_id: TokenId::parse(&kept.token_id).ok_or_else(server_error)?,
        refresh_token: Some(Secret::new(kept.refresh_token)),
        id_token: kept.id_token,
    })
}

fn still_registered(scope: GrantedScope, context: &Context<'_>) -> Option<GrantedScope> {
    let known = |service: &crate::base::id::ServiceId| context.registry.by_id(service.as_str()).is_some();
    if scope.services.iter().all(known) {
        return Some(scope);
    }
    let left: Vec<&str> =
        scope.spelled.split(' ').filter(|entry| scope::is_known(entry, context.registry)).collect();
    let services: Vec<_> = scope.services.iter().filter(|service| known(service)).cloned().collect();
    (!services.is_empty()).then(|| GrantedScope { spelled: left.join(" "), services })
}

/// The key that only whoever has the spent token can derive.
fn sealing_key(token: &str) -> Result<SealingKey, OAuthError> {
    let mut hash = Hash::new(&SHA256);
    hash.update(b"hubgate refresh answer\0");
    hash.update(token.as_bytes());
    let mut key = zeroize::Zeroizing::new([0; 32]);
    key.copy_from_slice(hash.finish().as_ref());
    SealingKey::new(&key).map_err(|_| server_error())
}

fn seal(token: &str, issued: &Issued, context: &Context<'_>) -> Result<Vec<u8>, OAuthError> {
    let kept = Kept {
        access_token: issued.access_token.clone(),
        refresh_token: issued.refresh_token.as_ref().map(|t| t.expose().to_owned()).unwrap_or_default(),
        id_token: issued.id_token.clone(),
        scope: issued.scope.clone(),
        token_id: issued.token_id.to_string(),
        expires: context.now.seconds().saturating_add_unsigned(issued.expires_in),
    };
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&kept).map_err(|_| server_error())?);
    sealing_key(token)?.seal(SEALED_FOR, &plain, context.random).map_err(|_| server_error())
}

fn open(token: &str, sealed: &[u8]) -> Result<Kept, OAuthError> {
    let plain = sealing_key(token)?.open(SEALED_FOR, sealed).map_err(|_| server_error())?;
    serde_json::from_slice(&plain).map_err(|_| server_error())
}
