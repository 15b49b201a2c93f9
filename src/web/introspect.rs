//! `POST …/oauth2/introspect` over HTTP (RFC 7662 section 2).

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};

use super::{Control, bearer, now, reply, token};
use crate::{
    access::quota::Wait,
    oauth::token::introspect::{Accepted, Context, Introspected, introspect},
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
};

/// Answers an introspection request.
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
    let Introspected { client, result } = match token::read_body(&headers, &body) {
        Err(error) => Introspected { client: None, result: Err(error) },
        Ok(form) => {
            let authorization: Vec<&[u8]> =
                headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
            let gate = |token: &[u8]| {
                let verdict = bearer::judge(token, &state, &caller).ok()?;
                let login = verdict.person.as_ref().map(|person| person.login.clone());
                Some(Accepted { claims: verdict.claims.clone(), login })
            };
            let context = Context {
                registry: &snapshot.registry,
                issuer: snapshot.issuer.name(),
                gate: &gate,
                grants: state.store.as_ref(),
                users: state.store.as_ref(),
                now: now(&state),
            };
            introspect(&authorization, &form, &context).await
        }
    };
    let client = client.map_or_else(String::new, |id| id.as_str().to_owned());
    match result {
        Err(error) => reply::oauth_refusal(&error, client, &caller),
        Ok(introspection) => {
            let mut response = reply::token_json(StatusCode::OK, &introspection);
            let reason = if introspection.active { "active" } else { "inactive" }.to_owned();
            let jti = introspection.jti.unwrap_or_default();
            response.extensions_mut().insert(Outcome {
                decision: "public",
                reason,
                client,
                jti,
                cause: None,
            });
            reply::name(response, &caller)
        }
    }
}
