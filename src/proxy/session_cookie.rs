//! Our own cookies among those that a browser sends, and the value of the session's.
//!
//! Invariant: one value or none: which of two is ours cannot be told.
//!
//! RFC 6265 sections 4.1.1, 5.4; RFC 9113 section 8.2.3.

use http::{HeaderMap, HeaderValue, Version, header::COOKIE};

use super::sanitize::OWN_COOKIE;
use crate::base::secret::Secret;

/// The session's value, if there is exactly one.
pub fn read<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> Option<Secret> {
    read_named(OWN_COOKIE, values)
}

/// The value of one of our cookies, if there is exactly one.
pub fn read_named<'v>(wanted: &str, values: impl Iterator<Item = &'v HeaderValue>) -> Option<Secret> {
    let pairs = values.flat_map(|value| value.as_bytes().split(|b| *b == b';'));
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.split_at_checked(pair.iter().position(|b| *b == b'=')?)?;
        (name.trim_ascii() == wanted.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    let first = values.next()?;
    if values.any(|other| other != first) || first.is_empty() || !first.iter().copied().all(is_octet) {
        return None;
    }
    std::str::from_utf8(first).ok().map(|value| Secret::new(value.to_owned()))
}

/// RFC 6265 section 4.1.1.
#[must_use]
pub const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// Joins the cookie crumbs of HTTP/2 (RFC 9113 section 8.2.3) and takes our own cookies out, which it returns.
pub(super) fn take_out(headers: &mut HeaderMap, version: Version) -> Option<HeaderValue> {
    let mut values = headers.get_all(COOKIE).iter();
    values.next()?;
    let several = values.next().is_some();
    let own = |value: &HeaderValue| {
        // Underscores have no case, and few cookies have two of them.
        value
            .as_bytes()
            .windows(OWN_COOKIE.len())
            .any(|w| w.starts_with(b"__") && w.eq_ignore_ascii_case(OWN_COOKIE.as_bytes()))
    };
    let joined_already = !several || version < Version::HTTP_2;
    if joined_already && !headers.get_all(COOKIE).iter().any(own) {
        return None;
    }
    let (mut others, mut ours) = (Vec::new(), Vec::new());
    for pair in headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';')) {
        let pair = pair.trim_ascii();
        let is_ours =
            pair.get(..OWN_COOKIE.len()).is_some_and(|name| name.eq_ignore_ascii_case(OWN_COOKIE.as_bytes()));
        let joined = if is_ours { &mut ours } else { &mut others };
        if !pair.is_empty() {
            joined.extend_from_slice(if joined.is_empty() { b"" } else { b"; " });
            joined.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    let value = |joined: Vec<u8>| HeaderValue::try_from(joined).ok().filter(|value| !value.is_empty());
    if let Some(value) = value(others) {
        headers.insert(COOKIE, value);
    }
    value(ours)
}
