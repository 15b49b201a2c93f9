//! The form of a host as requests name it (RFC 3986 section 3.2, RFC 1034 section 3.1).

/// `name` or `name:port`, for the fast path.
pub(super) fn well_formed(host: &[u8]) -> bool {
    let mut halves = host.splitn(2, |b| *b == b':');
    let name = halves.next().unwrap_or_default();
    let port = halves.next();
    has_labels(name) && port.is_none_or(is_port)
}

/// No label of the name is empty, but for the root's at its end (RFC 1034 section 3.1).
pub(super) fn has_labels(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.split(|b| *b == b'.').all(|label| !label.is_empty())
}

/// Digits that name a port.
pub(super) fn is_port(digits: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let port = digits
        .iter()
        .try_fold(0_u16, |port, byte| digit(byte).and_then(|digit| port.checked_mul(10)?.checked_add(digit)));
    port.is_some() && !digits.is_empty()
}

/// The port that an authority names, if it does. A colon within brackets belongs to an IPv6 address.
pub(super) fn port(authority: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memrchr(b':', authority)?;
    authority.get(colon + 1..).filter(|digits| is_port(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_what_stands_behind_the_last_colon() {
        for (authority, expected) in [
            ("a.example:8443", Some("8443")),
            ("[::1]:443", Some("443")),
            ("[::1]", None),
            ("a.example", None),
            ("a.example:", None),
            ("a.example:x", None),
            ("a.example:65536", None),
            ("", None),
        ] {
            assert_eq!(port(authority.as_bytes()), expected.map(str::as_bytes), "{authority}");
        }
    }
}
