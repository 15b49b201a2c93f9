//! What all pages share: one style, written into each, and the headers that keep a page to itself.
//!
//! Invariant: no page loads anything of another origin, and only the style that is written here applies.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
};

use crate::crypto::digest::sha256;

/// The style of every page.
pub const STYLE: &str =
    concat!(include_str!("../web/assets/tokens.css"), include_str!("../web/templates/page.css"));

/// The picture of every page's tab, in the page itself: a browser that finds none asks the host's root for one, which may be a
/// service's.
pub const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 32 32'%3E%3Crect x='-4' y='-4' \
width='32' height='32' rx='7' fill='%233650d6'/%3E%3Cpath d='M4 21V9a8 8 0 0 1 16 0v12M9 21v-9a3 3 0 0 1 6 0v9M2 21h20' \
fill='none' stroke='%23fff' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";

/// What every page's policy begins with; pictures come last, so that an origin can be added. The style is allowed by its
/// digest, so that no other can slip in.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(sha256(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; img-src data:")
});

static ALONE: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!("{}; form-action 'none'; frame-ancestors 'none'", *POLICY);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Headers of a page or answer that has no form and that nobody frames: nothing is guessed or passed on.
pub fn page_headers(headers: &mut HeaderMap) {
    kept_to_itself(headers);
    headers.insert(CONTENT_SECURITY_POLICY, ALONE.clone());
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

/// Headers that every page has, whatever it may do.
pub fn kept_to_itself(headers: &mut HeaderMap) {
    const FIXED: [(HeaderName, HeaderValue); 2] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    headers.extend(FIXED);
}
