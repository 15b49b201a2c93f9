//! `GET …/.well-known/…`: what the server says of itself (RFC 8414 section 3, OpenID Connect Discovery section 4).

use axum::{Json, extract::Extension, response::IntoResponse};
use http::header::CACHE_CONTROL;

use super::endpoint::Endpoint;
use crate::{
    oauth::discovery::{Addresses, metadata},
    proxy::gate::Caller,
};

/// Answers with the document, the same under each of its names.
pub(super) async fn answer(Extension(caller): Extension<Caller>) -> impl IntoResponse {
    let snapshot = &caller.snapshot;
    let at = |endpoint: Endpoint| endpoint.url(&snapshot.desk.hub_url);
    let addresses = Addresses {
        authorization_endpoint: at(Endpoint::Authorize),
        token_endpoint: at(Endpoint::Token),
        userinfo_endpoint: at(Endpoint::UserInfo),
        jwks_uri: at(Endpoint::Keys),
        introspection_endpoint: at(Endpoint::Introspect),
        revocation_endpoint: at(Endpoint::Revoke),
        end_session_endpoint: at(Endpoint::Logout),
    };
    let document = metadata(snapshot.issuer.name(), addresses, snapshot.flows, snapshot.strict);
    ([(CACHE_CONTROL, "public, max-age=300")], Json(document))
}
