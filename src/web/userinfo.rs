//! `GET` and `POST …/oauth2/userinfo`: who the person behind a token is (OpenID Connect Core section 5.3).

use axum::{
    Json,
    extract::{Extension, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, PRAGMA},
};

use super::{Control, bearer, reply};
use crate::{
    access::policy::{Denial, Unmet},
    oauth::{
        token::verify::TokenError,
        userinfo::{Extent, NoClaims},
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
    web::console::PEOPLE,
};

/// Answers for the bearer of a token. It is looked for in the header alone, also in a POST.
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let form = Form::wanted(&headers);
    match told(&state, &caller, &headers) {
        Ok(response) => response,
        Err(refusal) => reply::refuse(&refusal, form, &caller),
    }
}

fn told(control: &Control, caller: &Caller, headers: &HeaderMap) -> Result<Response, Refusal> {
    let verdict = bearer::verdict(headers, control, caller)?;
    let claims = &verdict.claims;
    let extent = Extent::of(claims).map_err(|reason| match reason {
        NoClaims::NoPerson => Refusal::denied(Denial::RuleNotMet(Unmet::Person)),
        NoClaims::InsufficientScope => {
            Refusal::insufficient_scope("the token's scope does not name openid", "openid".to_owned())
        }
    })?;
    let person = verdict.person.as_deref().ok_or_else(|| Refusal::invalid_token(TokenError::Revoked))?;
    // With an empty `hub.path` the address may be an upstream's.
    let snapshot = &caller.snapshot;
    let pages = (!snapshot.hub_path.is_empty()).then(|| format!("{}{PEOPLE}", snapshot.desk.hub_url));
    let mut response = Json(extent.claims(person, pages.as_deref())).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    let outcome = Outcome {
        decision: "allowed",
        client: claims.client_id.as_str().to_owned(),
        jti: claims.jti.clone(),
        ..Outcome::default()
    };
    response.extensions_mut().insert(outcome);
    Ok(response)
}

/// Anything but GET and POST.
pub(super) async fn wrong_method(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refusal = Refusal::method_not_allowed("userinfo is read with GET or POST", Some("GET, HEAD, POST"));
    reply::refuse(&refusal, Form::wanted(request.headers()), &caller)
}
