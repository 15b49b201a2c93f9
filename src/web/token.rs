//! `POST …/oauth2/token` over HTTP (RFC 6749 sections 3.2, 5).

use axum::{
    body::{Body, Bytes},
    extract::{Extension, State},
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::Serialize;

use super::{Control, endpoint::Endpoint, grants, reply};
use crate::{
    access::quota::Wait,
    base::secret::Secret,
    model::{event::Author, flow::Flow},
    oauth::{
        error::{ErrorCode, OAuthError, invalid_request},
        form::{Form, MAX_FORM_LENGTH},
        grant::{self, Redeemed},
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{self, Refusal},
    },
};

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
}

/// Answers a token request.
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let snapshot = &caller.snapshot;
    if let Err(Wait(wait)) = snapshot.quota.credentials(caller.source) {
        let refusal = Refusal::too_many("this source sends too many refused credentials", wait);
        return reply::refuse(&refusal, refusal::Form::wanted(&headers), &caller);
    }
    let redeemed = match read(&uri, &headers, &body) {
        Err(error) => Redeemed { client: None, flow: None, result: Err(error) },
        Ok(form) => {
            let authorization: Vec<&[u8]> =
                headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
            // What the protocol writes is the gateway's own doing.
            let control = state.acting(&caller, Author::gateway());
            let owners = control.owners(&caller);
            let context = grants::context(&state, &caller, &owners);
            grant::redeem(&authorization, &form, &context).await
        }
    };
    if let Err(error) = revoked_meanwhile(&state, &redeemed).await {
        return reply_to(&state, &caller, &Redeemed { result: Err(error), ..redeemed });
    }
    reply_to(&state, &caller, &redeemed)
}

/// The longest form that is answered where it was read; longer ones are read by those who have time.
const MAX_AT_ONCE: usize = 4096;

/// Answers the request of a service for a token for itself, on the thread that has read it. `None` for all others, and for
/// what [`answer`] refuses before it looks at credentials.
pub(super) fn at_once(
    control: &Control,
    request: &Request<Bytes>,
    caller: &Caller,
) -> Option<Response<Bytes>> {
    let (uri, headers, body) = (request.uri(), request.headers(), request.body());
    let ours = request.method() == Method::POST && uri.path() == Endpoint::Token.path();
    if !ours || body.is_empty() || body.len() > MAX_AT_ONCE || !mentions(body, Flow::ClientCredentials.name())
    {
        return None;
    }
    caller.snapshot.quota.credentials(caller.source).ok()?;
    let form = read(uri, headers, body).ok()?;
    let authorization: Vec<&[u8]> =
        headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    let owners = control.owners(caller);
    let redeemed = grant::redeem_at_once(&authorization, &form, &grants::context(control, caller, &owners))?;
    Some(reply_to(control, caller, &redeemed))
}

/// Whether a body holds these bytes, which is cheaper to see than what it says.
fn mentions(body: &[u8], word: &str) -> bool {
    body.windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

/// A code or refresh token that is used a second time ends a whole family: before anybody is told, the gate knows.
async fn revoked_meanwhile(state: &State<Control>, redeemed: &Redeemed) -> Result<(), OAuthError> {
    let replayable = matches!(redeemed.flow, Some(Flow::AuthorizationCode | Flow::RefreshToken));
    let refused = redeemed.result.as_ref().is_err_and(|error| error.code == ErrorCode::InvalidGrant);
    if replayable && refused { state.in_force().await } else { Ok(()) }
}

fn reply_to<B: From<Vec<u8>>>(control: &Control, caller: &Caller, redeemed: &Redeemed) -> Response<B> {
    let grant = redeemed.flow.map_or("", |flow| flow.name());
    let client = redeemed.client.as_ref().map_or_else(String::new, |id| id.as_str().to_owned());
    let error = match &redeemed.result {
        Ok(issued) => {
            control.totals.add("tokens_issued", vec![("grant", grant.to_owned())], 1);
            if let Some(client) = &redeemed.client {
                control.gate.verdicts.uses().issued(client, &issued.services, control.clock.now());
            }
            let body = TokenResponse {
                access_token: &issued.access_token,
                token_type: "Bearer",
                expires_in: issued.expires_in,
                scope: &issued.scope,
                refresh_token: issued.refresh_token.as_ref().map(Secret::expose),
                id_token: issued.id_token.as_deref(),
            };
            let jti = issued.token_id.to_string();
            let mut response = reply::token_json(StatusCode::OK, &body);
            let outcome = Outcome { decision: "issued", reason: grant.to_owned(), client, jti, cause: None };
            response.extensions_mut().insert(outcome);
            return reply::name(response, caller);
        }
        Err(error) => error,
    };
    control.totals.add("token_errors", vec![("error", error.code.as_str().to_owned())], 1);
    reply::oauth_refusal(error, client, caller)
}

/// The form of a request. One known client sends it in the query instead (hub-contract section 3); what is secret is
/// not taken from there.
fn read(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Form, OAuthError> {
    let query = uri.query().unwrap_or_default();
    if query.is_empty() {
        return read_body(headers, body);
    }
    let asked = Form::parse(query.as_bytes())?;
    let secret = ["client_secret", "password", "refresh_token", "code"];
    if let Some(name) = secret.into_iter().find(|name| asked.has(name)) {
        return Err(invalid_request(format!("{name} does not belong in the query")));
    }
    if body.is_empty() {
        return Ok(asked);
    }
    let form = read_body(headers, body)?;
    // RFC 6749 section 3.2: a parameter is there once.
    match asked.pairs().map(|(name, _)| name).find(|name| form.has(name)) {
        Some(name) => Err(invalid_request(format!("{name} is in the query and in the body"))),
        None => Ok(form),
    }
}

/// The form in a body (RFC 6749 appendix B).
pub(super) fn read_body(headers: &HeaderMap, body: &[u8]) -> Result<Form, OAuthError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let kind = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") || types.next().is_some() {
        return Err(invalid_request("the content type is not application/x-www-form-urlencoded"));
    }
    if body.len() > MAX_FORM_LENGTH {
        return Err(invalid_request("the form is too large"));
    }
    Form::parse(body)
}

/// Anything but POST.
pub(super) async fn wrong_method(
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    let refusal = Refusal::method_not_allowed("this endpoint is used with POST", Some("POST"));
    reply::refuse(&refusal, refusal::Form::wanted(request.headers()), &caller)
}
