//! `GET` and `POST …/oauth2/userinfo`: who the person behind a token is (OpenID Connect Core section 5.3).

use std::time::Duration;

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
    access::policy::Denial,
    base::id::UserId,
    model::user::Person,
    oauth::{
        token::verify::TokenError,
        userinfo::{Extent, NoClaims},
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
    store::{SharedStore, StoreError},
};

/// How long a client should wait for a store that does not answer.
const RETRY: Duration = Duration::from_secs(5);

/// Answers for the bearer of a token. It is looked for in the header alone, also in a POST.
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let form = Form::wanted(&headers);
    match told(&state, &caller, &headers).await {
        Ok(response) => response,
        Err(refusal) => reply::refuse(&refusal, form, &caller),
    }
}

async fn told(control: &Control, caller: &Caller, headers: &HeaderMap) -> Result<Response, Refusal> {
    let verdict = bearer::verdict(headers, control, caller)?;
    let claims = &verdict.claims;
    let extent = Extent::of(claims).map_err(|reason| match reason {
        NoClaims::NoPerson => {
            Refusal::denied(Denial::RuleNotMet("the token acts for a service, not for a person"))
        }
        NoClaims::InsufficientScope => {
            Refusal::insufficient_scope("the token's scope does not name openid", "openid".to_owned())
        }
    })?;
    // A person who is gone has no tokens that are good.
    let gone = || Refusal::invalid_token(TokenError::Revoked);
    let id = UserId::parse(&claims.sub).map_err(|_| gone())?;
    let found = person(&control.store, &id)
        .await
        .map_err(|_| Refusal::unavailable("the store is not available", RETRY))?;
    let person = found.filter(|person| !person.banned).ok_or_else(gone)?;
    let mut response = Json(extent.claims(&person, &caller.snapshot.desk.hub_url)).into_response();
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

/// The person as the store knows them now, groups by name.
async fn person(store: &SharedStore, id: &UserId) -> Result<Option<Person>, StoreError> {
    let Some(user) = store.find_user(id).await? else { return Ok(None) };
    let mut groups: Vec<String> = Vec::new();
    if !user.groups.is_empty() {
        let known = store.list_groups().await?;
        groups = known.into_iter().filter(|g| user.groups.contains(&g.id)).map(|g| g.name).collect();
        groups.sort();
    }
    Ok(Some(Person {
        banned: !user.is_active(),
        id: user.id,
        login: user.login,
        name: user.name,
        email: user.email,
        groups,
        guest: user.guest,
        administrator: user.administrator,
    }))
}

/// Anything but GET and POST.
pub(super) async fn wrong_method(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refusal = Refusal::method_not_allowed("userinfo is read with GET or POST", Some("GET, HEAD, POST"));
    reply::refuse(&refusal, Form::wanted(request.headers()), &caller)
}
