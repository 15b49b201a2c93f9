//! Which requests come from our own pages (OWASP CSRF Prevention, Fetch Metadata): posts to our forms, and what changes
//! something behind a session cookie. And which pages of others may read an answer of ours (Fetch section 3.2).
//!
//! Invariant: a browser cannot be made to post to us by a page that is not ours. There is no hidden token in the forms, so
//! that scripts with a cookie jar work: they send neither of the headers that are looked at here, and nobody can make a
//! victim's browser leave them out.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN},
};

use crate::model::registry::Registry;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a post may be acted upon. `own` is the origin of `public_url`.
#[must_use]
pub fn may_post(headers: &HeaderMap, own: &str) -> bool {
    // A header that is repeated has no one value; browsers send each once.
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().map(|first| values.next().is_none().then_some(first))
    };
    match (one(SEC_FETCH_SITE), one(ORIGIN)) {
        (None, None) => true,
        (None, Some(origin)) => is_own(origin, own),
        // "none" is the person's own doing: an address typed, a page restored. A subdomain is another's page.
        (Some(site), origin) => {
            let site = site.map(HeaderValue::as_bytes);
            let said = site == Some(b"same-origin") || site == Some(b"none");
            // What both say has to agree. Browsers that hide the page's address from us send "null".
            said && origin.is_none_or(|origin| {
                is_own(origin, own) || origin.is_some_and(|value| value.as_bytes() == b"null")
            })
        }
    }
}

/// The one origin that a request names, if it is that of a registered service.
#[must_use]
pub fn registered<'h>(headers: &'h HeaderMap, registry: &Registry) -> Option<&'h HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none())?;
    origin.to_str().is_ok_and(|text| registry.has_origin(text)).then_some(origin)
}

/// Lets the pages of `origin`, or of all (`*`), read an answer, and the fields of it that say why and until when. Never with
/// cookies: a page of another origin acts with the token that it holds.
pub fn let_read(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static("WWW-Authenticate, Retry-After, X-Request-Id");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

fn is_own(origin: Option<&HeaderValue>, own: &str) -> bool {
    origin.is_some_and(|value| value.as_bytes() == own.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://gate.example:8443";

    fn posted(fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        may_post(&headers, OWN)
    }

    #[test]
    fn own_pages_and_scripts_may_post() {
        assert!(posted(&[]));
        assert!(posted(&[("origin", OWN)]));
        assert!(posted(&[("sec-fetch-site", "same-origin"), ("origin", OWN)]));
        assert!(posted(&[("sec-fetch-site", "same-origin")]));
        assert!(posted(&[("sec-fetch-site", "none")]));
        // From a page that says `Referrer-Policy: no-referrer` browsers send "null" with a form of the same origin.
        assert!(posted(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
    }

    #[test]
    fn other_pages_may_not() {
        for fields in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", OWN)],
            &[("sec-fetch-site", "same-site"), ("origin", "https://other.gate.example")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "same-origin, none")],
            &[("sec-fetch-site", "Same-Origin")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://gate.example:8443")],
            &[("origin", "https://gate.example")],
            &[("origin", "https://gate.example:8443/")],
            &[("origin", "https://gate.example:8443.evil.example")],
            &[("origin", "HTTPS://gate.example:8443")],
            &[("origin", OWN), ("origin", "https://evil.example")],
            &[("origin", OWN), ("origin", OWN)],
        ] {
            assert!(!posted(fields), "{fields:?}");
        }
    }
}
