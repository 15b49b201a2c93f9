//! `POST …/oauth2/revoke` over HTTP (RFC 7009 section 2).

use axum::{
    body::{Body, Bytes},
    extract::{Extension, State},
    response::Response,
};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CACHE_CONTROL, PRAGMA},
};

use super::{Control, now, reply, token};
use crate::{
    access::quota::Wait,
    base::id::ServiceId,
    model::{event::Author, revocation::Revocation},
    oauth::{
        error::OAuthError,
        token::revoke::{Context, Decided, decide, store_failed},
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
};

/// Answers a revocation request: 200 once the token, whatever it was, is refused everywhere.
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let snapshot = &caller.snapshot;
    if let Err(Wait(wait)) = snapshot.quota.credentials(caller.source) {
        let refusal = Refusal::too_many("this source sends too many refused credentials", wait);
        return reply::refuse(&refusal, Form::wanted(&headers), &caller);
    }
    let Decided { client, result } = match token::read_body(&headers, &body) {
        Err(error) => Decided { client: None, result: Err(error) },
        Ok(form) => {
            let authorization: Vec<&[u8]> =
                headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
            let context = Context {
                registry: &snapshot.registry,
                keyring: &snapshot.keyring,
                issuer: snapshot.issuer.name(),
                grants: state.store.as_ref(),
                now: now(&state),
            };
            decide(&authorization, &form, &context).await
        }
    };
    let client = client.map_or_else(String::new, |id| id.as_str().to_owned());
    let done = match result {
        Ok(None) => Ok("nothing to revoke"),
        Ok(Some(revocation)) => {
            let name = snapshot.registry.by_id(&client).map_or("", |service| service.name.as_str());
            let by =
                ServiceId::parse(&client).map_or_else(|_| Author::gateway(), |id| Author::service(&id, name));
            carry_out(&state.acting(&caller, by), &revocation).await.map(|()| "revoked")
        }
        Err(error) => Err(error),
    };
    match done {
        Err(error) => reply::oauth_refusal(&error, client, &caller),
        Ok(reason) => {
            let mut response = Response::new(Body::empty());
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
            let reason = reason.to_owned();
            let outcome = Outcome { decision: "public", reason, client, ..Outcome::default() };
            response.extensions_mut().insert(outcome);
            reply::name(response, &caller)
        }
    }
}

/// Kept, then in force on this node; section 2.2.1: until then the client is not told that it is.
async fn carry_out(control: &Control, revocation: &Revocation) -> Result<(), OAuthError> {
    control.store.revoke(revocation).await.map_err(|error| {
        tracing::error!(%error, "a revocation could not be kept");
        store_failed()
    })?;
    control.news.taken_up().await.map_err(|error| {
        tracing::error!(%error, "a revocation is not in force yet");
        store_failed()
    })
}
