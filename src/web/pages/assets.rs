//! The script and the style sheet of our pages, under names that change with them, so that browsers may keep them for ever.

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

/// A file that pages load.
struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    /// `page-<digest>.js`
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()));
        Self { name: format!("{stem}-{}.{ending}", digest.get(..16).unwrap_or_default()), kind, text }
    }

    fn url(&self, hub_url: &str) -> String {
        format!("{hub_url}/auth/assets/{}", self.name)
    }
}

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("../assets/page.js"))
});

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(include_str!("../assets/tokens.css"), include_str!("../assets/console.css"));
    Asset::new("console", "css", "text/css; charset=utf-8", text)
});

/// The address of the script.
pub(in crate::web) fn script_url(hub_url: &str) -> String {
    SCRIPT.url(hub_url)
}

/// The address of the style of the account and administration pages.
pub(in crate::web) fn style_url(hub_url: &str) -> String {
    STYLE.url(hub_url)
}

/// `GET …/auth/assets/{name}`
pub(in crate::web) async fn answer(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let Some(asset) = [&*SCRIPT, &*STYLE].into_iter().find(|asset| asset.name == name) else {
        return reply::refuse(&Refusal::not_found(), Form::wanted(request.headers()), &caller);
    };
    let mut response = asset.text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    page_headers(headers);
    response
}
