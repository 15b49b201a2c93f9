//! The one script of our pages, under a name that changes with it, so that browsers may keep it for ever.

use std::sync::LazyLock;

use axum::{
    extract::{Extension, Path, Request},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use crate::{
    crypto::digest::sha256,
    proxy::{
        gate::Caller,
        refusal::{Form, Refusal},
        shell::page_headers,
    },
    web::reply,
};

const TEXT: &str = include_str!("../assets/page.js");

/// `page-<digest>.js`
static NAME: LazyLock<String> = LazyLock::new(|| {
    let digest = URL_SAFE_NO_PAD.encode(sha256(TEXT.as_bytes()));
    format!("page-{}.js", digest.get(..16).unwrap_or_default())
});

/// Its address.
pub(super) fn url(hub_url: &str) -> String {
    format!("{hub_url}/auth/assets/{}", *NAME)
}

/// `GET …/auth/assets/{name}`
pub(in crate::web) async fn answer(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    if name != *NAME {
        return reply::refuse(&Refusal::not_found(), Form::wanted(request.headers()), &caller);
    }
    let mut response = TEXT.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    page_headers(headers);
    response
}
