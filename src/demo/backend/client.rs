//! `GET /client`: the example of a client in a browser, served where its calls have the tracker's own origin.
//!
//! Invariant: the page runs its one script and no other, reaches this origin alone, and is framed by nobody.

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};

use super::reply::guard;

const PAGE: &str = include_str!("../../../examples/browser_client.html");

/// The page.
pub(super) async fn show() -> Response {
    let mut response = PAGE.into_response();
    guard(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html;charset=UTF-8"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Without a digest the page would run what it should not: then it runs nothing.
    let policy = HeaderValue::from_str(&policy()).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn policy() -> String {
    let (script, style) = (digest("script"), digest("style"));
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// `'sha256-…'` of what stands in the page's one element of that name, or `'none'`.
fn digest(element: &str) -> String {
    let inside = PAGE
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map(|(text, _)| text);
    inside.map_or_else(
        || "'none'".to_owned(),
        |text| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            format!("'sha256-{}'", STANDARD.encode(digest))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_runs_its_own_script_and_no_other() {
        let response = show().await;
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        // One element each, so that the digests are those of everything that is inline.
        for element in ["<script", "<style"] {
            assert_eq!(PAGE.matches(element).count(), 1, "{element}");
        }
        assert!(!PAGE.contains(" onclick=") && !PAGE.contains("style="), "inline attributes would not work");
        assert_eq!(digest("nothing"), "'none'");
    }
}
