//! A person's password is exchanged by a client that the person has told it to (RFC 6749 section 4.3).

use super::{Context, Fresh, invalid_grant, refresh_token, store_failed};
use crate::{
    base::{id::GrantId, secret::Secret},
    model::{grant::Grant, service::Service},
    oauth::{
        error::{ErrorCode, OAuthError},
        owner::OwnerError,
        scope,
    },
};

/// What a client sends.
pub(super) struct Sent<'a> {
    /// `username`: a login, an e-mail address or an id.
    pub(super) username: &'a str,
    /// `password`
    pub(super) password: Secret,
    /// `scope`
    pub(super) scope: &'a str,
    /// `access_type=offline`
    pub(super) offline: bool,
}

/// Authenticates the person and grants the scope.
pub(super) async fn grant(
    service: &Service,
    sent: &Sent<'_>,
    context: &Context<'_>,
) -> Result<Fresh, OAuthError> {
    // Cheap refusals first: a password costs time.
    let mut scope = scope::for_person(sent.scope, service, context.registry)?;
    let person =
        context.owners.authenticate(sent.username, &sent.password, context.source).await.map_err(refused)?;
    let offline = (sent.offline || scope.has("offline_access")) && context.may_refresh(service);
    if !offline {
        scope = scope.without("offline_access");
    }
    let grant = Grant {
        id: GrantId::made(context.now, context.random),
        client: service.id.clone(),
        user: person.id.clone(),
        scope,
        session: None,
        authenticated: context.now,
        nonce: None,
        created: context.now,
    };
    let refresh = offline.then(|| refresh_token::new(&grant.id, context));
    if let Some((_, record)) = &refresh {
        context.store.add_grant(&grant, record).await.map_err(store_failed)?;
    }
    Ok(Fresh { grant, person, refresh: refresh.map(|(token, _)| token), nonce: false })
}

fn refused(error: OwnerError) -> OAuthError {
    match error {
        OwnerError::Credentials => invalid_grant("Invalid resource owner credentials"),
        OwnerError::PasswordChange => invalid_grant("the password has to be changed on the login page first"),
        OwnerError::SecondStep => invalid_grant(
            "this account signs in in two steps; use an application password or a permanent token instead",
        ),
        OwnerError::Throttled(wait) => OAuthError {
            retry_after: Some(wait),
            ..OAuthError::new(ErrorCode::TooManyRequests, "too many attempts to sign in; try again later")
        },
        OwnerError::Busy(wait) => OAuthError::for_now("too many sign-ins at this moment; try again", wait),
        OwnerError::Store(error) => store_failed(error),
    }
}
