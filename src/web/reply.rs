//! Refusals of our own endpoints: the one mapping from values to answers.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Extension, Request},
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::{
    oauth::{
        cause::Cause,
        error::{ErrorCode, OAuthError},
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Desk, Form, Refusal},
    },
};

/// Renders a refusal.
pub(super) fn refuse(refusal: &Refusal, form: Form, caller: &Caller) -> Response {
    let mut response = refusal.render(&caller.snapshot.desk, form, &caller.request_id).map(Body::from);
    let (reason, cause) = (refusal.description.to_string(), Some(refusal.cause));
    response.extensions_mut().insert(Outcome { decision: "refused", reason, cause, ..Outcome::default() });
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
pub(super) fn token_json<B: From<Vec<u8>>>(status: StatusCode, body: &impl Serialize) -> http::Response<B> {
    // An access token with what is around it mostly fits.
    let mut bytes = Vec::with_capacity(1024);
    if serde_json::to_writer(&mut bytes, body).is_err() {
        bytes.clear();
    }
    bytes.push(b'\n');
    let mut response = http::Response::new(B::from(bytes));
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
pub(super) fn oauth_error<B: From<Vec<u8>>>(error: &OAuthError, desk: &Desk) -> http::Response<B> {
    let status = status(error);
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
    retry_after(response.headers_mut(), error);
    response
}

/// A refusal of an endpoint at which clients authenticate: the answer, its line, and what counts against the source.
pub(super) fn oauth_refusal<B: From<Vec<u8>>>(
    error: &OAuthError,
    client: String,
    caller: &Caller,
) -> http::Response<B> {
    if error.code == ErrorCode::InvalidClient {
        caller.snapshot.quota.refused(caller.source);
    }
    let mut response = oauth_error(error, &caller.snapshot.desk);
    let reason = format!("{}: {}", error.code, error.description);
    let cause = Some(Cause::Code(error.code));
    response.extensions_mut().insert(Outcome {
        decision: "refused",
        reason,
        client,
        cause,
        ..Outcome::default()
    });
    name(response, caller)
}

/// Writes the request's id into an answer.
pub(super) fn name<B>(mut response: http::Response<B>, caller: &Caller) -> http::Response<B> {
    if let Ok(id) = HeaderValue::try_from(caller.request_id.as_ref()) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// The status of a refusal.
pub(super) const fn status(error: &OAuthError) -> StatusCode {
    match error.code {
        ErrorCode::InvalidClient if error.challenge => StatusCode::UNAUTHORIZED,
        ErrorCode::AccessDenied => StatusCode::FORBIDDEN,
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// When to try again (RFC 9110 section 10.2.3), where that helps.
pub(super) fn retry_after(headers: &mut HeaderMap, error: &OAuthError) {
    let usual = (error.code == ErrorCode::TemporarilyUnavailable).then_some(Duration::from_secs(5));
    if let Some(wait) = error.retry_after.or(usual) {
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// For answers that nobody may keep.
pub(super) fn not_stored(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// An endpoint that is only posted to.
pub(super) async fn only_post(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refusal = Refusal::method_not_allowed("this address is used with POST", Some("POST"));
    refuse(&refusal, Form::wanted(request.headers()), &caller)
}

/// An endpoint that is read and posted to.
pub(super) async fn get_or_post(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refusal =
        Refusal::method_not_allowed("this address is used with GET and POST", Some("GET, HEAD, POST"));
    refuse(&refusal, Form::wanted(request.headers()), &caller)
}
