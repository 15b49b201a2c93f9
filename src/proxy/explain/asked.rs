//! The request that somebody asks about, as people write one down: a method, an address, a credential.
//!
//! Invariant: what is read here is only put together; the gate's own reading of it comes after.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, Uri};

use crate::crypto::opaque;

/// The value of an `Authorization` header with what somebody has at hand: a token, a login and an application password, or such
/// a value as it stands.
///
/// # Errors
/// What is wrong, in words.
pub fn authorization(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim();
    let scheme = text.split_once(' ').map(|(scheme, _)| scheme);
    let is_ours = |scheme: &str| ["bearer", "basic"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
    let is_password = |(login, password): (&str, &str)| {
        !login.is_empty() && opaque::digest(opaque::Kind::ApplicationPassword, password).is_some()
    };
    let value = if scheme.is_some_and(is_ours) {
        text.to_owned()
    } else if text.split_once(':').is_some_and(is_password) {
        format!("Basic {}", STANDARD.encode(text))
    } else if scheme.is_some() {
        // No token has a blank: it is a value of another scheme, and the gate reads it.
        text.to_owned()
    } else {
        format!("Bearer {text}")
    };
    let mut value =
        HeaderValue::from_str(&value).map_err(|_| "the token has characters that no token has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The request that is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    pub(super) method: Method,
    pub(super) authority: HeaderValue,
    pub(super) target: Uri,
}

impl Asked {
    /// Reads a method and an address: `https://host/path`, or a path on the host of `default`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(method: &str, address: &str, default: &str) -> Result<Self, String> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| "this is no HTTP method".to_owned())?;
        let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let rest = match scheme.as_deref() {
            None => None,
            Some("https" | "http") => address.split_once("://").map(|(_, rest)| rest),
            Some(other) => return Err(format!("the gateway serves https, not {other}")),
        };
        let (authority, path) = match rest {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => (default, address),
        };
        // What stands behind # is never sent.
        let path = path.split('#').next().unwrap_or_default();
        let path = match path {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path if path.starts_with('/') => path.to_owned(),
            _ => return Err("the address begins neither with / nor with https://".to_owned()),
        };
        let target = path.parse().map_err(|_| "the address has characters that no address has".to_owned())?;
        let authority = HeaderValue::from_str(authority)
            .map_err(|_| "the host has characters that no host has".to_owned())?;
        Ok(Self { method, authority, target })
    }

    /// Of a test: method, host and path, as they stand.
    #[must_use]
    pub fn new(method: &Method, host: &str, target: &str) -> Option<Self> {
        let (authority, target) = (HeaderValue::from_str(host).ok()?, target.parse().ok()?);
        Some(Self { method: method.clone(), authority, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (address, host, target) in [
            ("/a/b?x=1", "gate:8443", "/a/b?x=1"),
            ("https://Other.example/a#part", "Other.example", "/a"),
            ("HTTPS://other:9/", "other:9", "/"),
            ("http://other", "other", "/"),
            ("https://other?x", "other", "/?x"),
            ("", "gate:8443", "/"),
            ("#part", "gate:8443", "/"),
        ] {
            let asked = Asked::parse("GET", address, "gate:8443").unwrap();
            assert_eq!(
                (asked.authority.to_str().unwrap(), asked.target.to_string().as_str()),
                (host, target)
            );
        }
        for (method, address) in [
            ("", "/"),
            ("G T", "/"),
            ("GET", "a"),
            ("GET", "ftp://a/"),
            ("GET", "/a b"),
            ("GET", "https://a\nb/"),
        ] {
            assert!(Asked::parse(method, address, "gate").is_err(), "{method} {address:?}");
        }
    }

    #[test]
    fn a_credential_is_sent_as_its_kind_is() {
        let password = opaque::generate(opaque::Kind::ApplicationPassword, &SystemRandom);
        let pair = format!("jane:{}", password.expose());
        let basic = format!("Basic {}", STANDARD.encode(&pair));
        let blank_pair = format!("jane doe:{}", password.expose());
        let blank_basic = format!("Basic {}", STANDARD.encode(&blank_pair));
        for (text, value) in [
            ("a.b.c", "Bearer a.b.c"),
            (" a.b.c\n", "Bearer a.b.c"),
            ("bearer a.b.c", "bearer a.b.c"),
            ("perm:a.b.c", "Bearer perm:a.b.c"),
            ("jane:secret", "Bearer jane:secret"),
            (&pair, &basic),
            (&basic, &basic),
            ("Negotiate abc", "Negotiate abc"),
            (r#"Digest username="a", realm="b""#, r#"Digest username="a", realm="b""#),
            (&blank_pair, &blank_basic),
        ] {
            let header = authorization(text).unwrap();
            assert!(header == value && header.is_sensitive(), "{text}");
        }
        assert!(authorization("a\nb").is_err());
    }
}
