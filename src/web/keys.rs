//! `GET …/oauth2/keys`: the published keys (RFC 7517 section 5).

use axum::{
    Json,
    extract::{Extension, State},
    response::IntoResponse,
};
use http::header::CACHE_CONTROL;

use super::{Control, now};
use crate::proxy::gate::Caller;

/// Answers with the keys that verify now. May be kept for a few minutes: a key is published when it begins to sign, and
/// whoever meets an unknown `kid` asks again.
pub(super) async fn answer(state: State<Control>, Extension(caller): Extension<Caller>) -> impl IntoResponse {
    let keys = caller.snapshot.keyring.jwks(now(&state));
    ([(CACHE_CONTROL, "public, max-age=300")], Json(keys))
}
