//! The session cookie: one name, one set of attributes, set and cleared alike (RFC 6265bis section 4.1.3.2). And the one by which
//! a browser is known again that has sent a form when its session was over.
//!
//! Invariant: the cookie is ours alone: only over TLS, never to a script, never to another host, and never to an upstream
//! (`proxy::sanitize` keeps it here).
//!
//! `SameSite=Lax` means that a browser sends it along when somebody follows a link to us, and not from a page of another
//! site that frames or posts to us. A silent sign-in in an invisible frame therefore works for services below the same
//! registrable domain as the gateway, and for those elsewhere it finds nobody signed in: they go through a redirect.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::{
    base::secret::Secret,
    proxy::{sanitize::OWN_COOKIE, session_cookie},
};

/// The cookie's name. The prefix makes browsers refuse it unless it is Secure, for the whole host and for no other.
pub const NAME: &str = OWN_COOKIE;

/// The name of the cookie of a browser whose form waits; it begins as ours do, so that no upstream gets it.
const FORM: &str = "__Host-hubgate-form";

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// `Set-Cookie` with this value: for as long as the browser runs, or for `remember`.
///
/// `None` when the value has characters that a cookie cannot carry; those that `crypto::opaque` makes have none.
#[must_use]
pub fn set(value: &Secret, remember: Option<Duration>) -> Option<HeaderValue> {
    set_named(NAME, value, remember)
}

fn set_named(name: &str, value: &Secret, age: Option<Duration>) -> Option<HeaderValue> {
    let value = value.expose();
    if value.is_empty() || !value.bytes().all(session_cookie::is_octet) {
        return None;
    }
    let age = age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
    let mut header = HeaderValue::try_from(format!("{name}={value}; {ATTRIBUTES}{age}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// `Set-Cookie` that takes the cookie away: the same name and attributes, or browsers keep it.
#[must_use]
pub fn clear() -> HeaderValue {
    HeaderValue::from_static("__Host-hubgate=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// The value that a browser sent. HTTP/2 may spread cookies over several headers (RFC 9113 section 8.2.3).
///
/// `None` also when the name stands twice with different values: which one is ours cannot be told.
#[must_use]
pub fn read(headers: &HeaderMap) -> Option<Secret> {
    session_cookie::read(headers.get_all(COOKIE).iter())
}

/// The value of the cookie of a browser whose form waits.
#[must_use]
pub fn read_form(headers: &HeaderMap) -> Option<Secret> {
    session_cookie::read_named(FORM, headers.get_all(COOKIE).iter())
}

/// `Set-Cookie` for a browser whose form waits for so long.
#[must_use]
pub fn set_form(value: &Secret, age: Duration) -> Option<HeaderValue> {
    set_named(FORM, value, Some(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        read(&headers).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn what_is_set_is_read_back() {
        let value = Secret::new("hgs_abc-DEF_123".into());
        let session = set(&value, None).unwrap();
        assert_eq!(session, "__Host-hubgate=hgs_abc-DEF_123; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(session.is_sensitive());
        let remembered = set(&value, Some(Duration::from_secs(86_400))).unwrap();
        assert_eq!(
            remembered,
            "__Host-hubgate=hgs_abc-DEF_123; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400"
        );
        assert_eq!(sent(&[b"__Host-hubgate=hgs_abc-DEF_123"]).as_deref(), Some("hgs_abc-DEF_123"));
        for bad in ["", "a b", "a;b", "a,b", "a\"b", "a\\b", "\u{e4}", "a\r\nb"] {
            assert!(set(&Secret::new(bad.into()), None).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn clearing_uses_the_same_name_and_attributes() {
        let (cleared, set) = (clear(), set(&Secret::new("x".into()), None).unwrap());
        let cleared = cleared.to_str().unwrap();
        assert_eq!(cleared.replace("=;", "=x;").strip_suffix("; Max-Age=0"), set.to_str().ok());
        assert!(cleared.starts_with(NAME));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (headers, found) in [
            (&[&b"a=1; __Host-hubgate=x; b=2"[..]][..], Some("x")),
            (&[b"a=1", b"__Host-hubgate=x", b"b=2"], Some("x")),
            (&[b"__Host-hubgate=x;"], Some("x")),
            (&[b";;  __Host-hubgate = x ;"], Some("x")),
            (&[b"\xff=1; __Host-hubgate=x"], Some("x")),
            (&[b"__Host-hubgate=x=y"], Some("x=y")),
            (&[b"__Host-hubgate=x; __Host-hubgate=x"], Some("x")),
            (&[b"__Host-hubgate=x; __Host-hubgate=y"], None),
            (&[b"__Host-hubgate=x", b"__Host-hubgate=y"], None),
            (&[b"__Host-hubgate=x; __Host-hubgate="], None),
            (&[b"__Host-hubgate="], None),
            (&[b"__Host-hubgate"], None),
            (&[b"__host-hubgate=x"], None),
            (&[b"__Host-hubgate2=x"], None),
            (&[b"a=__Host-hubgate=x"], None),
            (&[b"__Host-hubgate=a\"b"], None),
            (&[b"__Host-hubgate=\xff"], None),
            (&[], None),
        ] {
            assert_eq!(sent(headers).as_deref(), found, "{headers:?}");
        }
    }
}
