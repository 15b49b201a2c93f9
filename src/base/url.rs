//! The gateway's own address, the one source of every link, redirect and issuer; and the origins of others.
//!
//! Invariant: what is built from a [`PublicUrl`] never contains a part of the request, so no `Host` header can bend a link.

use std::{fmt, sync::Arc};

/// Why a text cannot be the public address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// Not a URL.
    #[error("this is not an absolute URL: {0}")]
    Malformed(String),
    /// A scheme other than https.
    #[error("the public address must begin with https://, because tokens and cookies travel on it")]
    Scheme,
    /// A path, query, fragment or user information.
    #[error(
        "the public address is scheme, host and port only; paths belong in `hub.path` and `upstream.path`"
    )]
    Extra,
}

/// `https://host[:port]`, without a trailing slash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicUrl {
    origin: Arc<str>,
    host: Arc<str>,
    port: u16,
}

impl PublicUrl {
    /// Checks and normalises an address.
    ///
    /// # Errors
    /// [`InvalidPublicUrl`] when the text is no https URL or has more than scheme, host and port.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = url::Url::parse(text).map_err(|e| InvalidPublicUrl::Malformed(e.to_string()))?;
        if url.scheme() != "https" {
            return Err(InvalidPublicUrl::Scheme);
        }
        let extra = !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if extra {
            return Err(InvalidPublicUrl::Extra);
        }
        let host = url.host_str().ok_or_else(|| InvalidPublicUrl::Malformed("it has no host".into()))?;
        Ok(Self {
            origin: Arc::from(url.origin().ascii_serialization()),
            host: Arc::from(host),
            port: url.port().unwrap_or(443),
        })
    }

    /// The origin as browsers spell it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 443 when the address names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// An absolute URL below this address.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// The origin (RFC 6454 section 6.2) of an address that a browser can go to: http or https, without anything that a list
/// of origins in a header could be bent by. `None` for every other text.
#[must_use]
pub fn web_origin(address: &str) -> Option<String> {
    let scheme = address.split_once("://")?.0;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let origin = url::Url::parse(address).ok()?.origin();
    let text = origin.is_tuple().then(|| origin.ascii_serialization())?;
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']');
    text.bytes().all(plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_of_web_addresses_only() {
        for (address, origin) in [
            ("https://A.example/b?c#d", Some("https://a.example")),
            ("https://a.example:443/", Some("https://a.example")),
            ("HTTP://a.example:8080", Some("http://a.example:8080")),
            ("https://u:p@a.example/", Some("https://a.example")),
            ("http://[::1]:80/x", Some("http://[::1]")),
            ("https://b\u{fc}cher.example", Some("https://xn--bcher-kva.example")),
            ("https://*.example", None),
            ("https://a;b.example", None),
            ("https://a,b.example", None),
            ("https://a'b.example", None),
            ("https://a b", None),
            ("javascript://a.example/%0aalert(1)", None),
            (" https://a.example", None),
            ("https:/a.example", None),
            ("ytoauth://landing.url", None),
            ("/relative", None),
            ("", None),
        ] {
            assert_eq!(web_origin(address).as_deref(), origin, "{address}");
        }
    }

    #[test]
    fn only_an_https_origin_passes() {
        let url = PublicUrl::parse("https://Hub.Example.com:8443/").unwrap();
        assert_eq!(url.origin(), "https://hub.example.com:8443");
        assert_eq!((url.host(), url.port()), ("hub.example.com", 8443));
        assert_eq!(PublicUrl::parse("https://a").unwrap().join("/hub"), "https://a/hub");
        assert_eq!(PublicUrl::parse("http://a"), Err(InvalidPublicUrl::Scheme));
        assert_eq!(PublicUrl::parse("https://a/b"), Err(InvalidPublicUrl::Extra));
        assert_eq!(PublicUrl::parse("https://u:p@a"), Err(InvalidPublicUrl::Extra));
        assert!(matches!(PublicUrl::parse("localhost"), Err(InvalidPublicUrl::Malformed(_))));
    }
}
