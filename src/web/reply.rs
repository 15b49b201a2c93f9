//! Refusals of our own endpoints: the one mapping from values to answers.

use axum::{
    body::Body,
    extract::{Extension, Request},
    response::Response,
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::{
    oauth::error::{ErrorCode, OAuthError},
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Desk, Form, Refusal},
    },
};

/// Renders a refusal.
pub(super) fn refuse(refusal: &Refusal, form: Form, caller: &Caller) -> Response {
    let mut response = refusal.render(&caller.snapshot.desk, form, &caller.request_id).map(Body::from);
    let reason = refusal.description.to_string();
    response.extensions_mut().insert(Outcome { decision: "refused", reason, ..Outcome::default() });
    response
}

/// No such endpoint.
pub(super) async fn not_found(Extension(caller): Extension<Caller>, request: Request) -> Response {
    refuse(&Refusal::not_found(), Form::wanted(request.headers()), &caller)
}

/// An endpoint that is only read.
pub(super) async fn only_get(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refusal = Refusal::method_not_allowed("this address is only read", Some("GET, HEAD"));
    refuse(&refusal, Form::wanted(request.headers()), &caller)
}

/// An answer of the token endpoint (RFC 6749 section 5): JSON that nobody keeps.
pub(super) fn token_json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = serde_json::to_vec(body).unwrap_or_default();
    bytes.push(b'\n');
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
    error_uri: String,
}

/// A refusal of the token endpoint (RFC 6749 section 5.2).
pub(super) fn oauth_error(error: &OAuthError, desk: &Desk) -> Response {
    let status = match error.code {
        ErrorCode::InvalidClient if error.challenge => StatusCode::UNAUTHORIZED,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = ErrorBody {
        error: error.code.as_str(),
        error_description: &error.description,
        error_uri: desk.error_uri(error.code),
    };
    let mut response = token_json(status, &body);
    if status == StatusCode::UNAUTHORIZED
        && let Ok(value) = HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", desk.realm))
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// A refusal of an endpoint at which clients authenticate: the answer, its line, and what counts against the source.
pub(super) fn oauth_refusal(error: &OAuthError, client: String, caller: &Caller) -> Response {
    if error.code == ErrorCode::InvalidClient {
        caller.snapshot.quota.refused(caller.source);
    }
    let mut response = oauth_error(error, &caller.snapshot.desk);
    let reason = format!("{}: {}", error.code, error.description);
    response.extensions_mut().insert(Outcome { decision: "refused", reason, client, jti: String::new() });
    name(response, caller)
}

/// Writes the request's id into an answer.
pub(super) fn name(mut response: Response, caller: &Caller) -> Response {
    if let Ok(id) = HeaderValue::try_from(caller.request_id.as_ref()) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}
