//! The plain listener: every request is sent to the same path of `public_url`.

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::LOCATION};

use crate::{base::url::PublicUrl, proxy::sanitize};

/// Redirects with 308, which keeps method and body (RFC 9110 section 15.4.9). Where to is never taken from the request.
pub fn router(public_url: PublicUrl) -> Router {
    Router::new().fallback(redirect).with_state(public_url)
}

async fn redirect(State(public_url): State<PublicUrl>, request: Request) -> Response {
    match sanitize::target(request.method(), request.uri()) {
        Ok(target) => {
            (StatusCode::PERMANENT_REDIRECT, [(LOCATION, public_url.join(target.as_str()))]).into_response()
        }
        Err(refusal) => (refusal.status, refusal.description.into_owned()).into_response(),
    }
}
