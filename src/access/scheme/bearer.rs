//! The bearer token of a request (RFC 6750 sections 2 and 3.1; hub-contract section 0, "Bearer header"), or the
//! application password that stands in its place.
//!
//! Invariant: a request presents one credential, in the header and nowhere else, or it is refused.

use super::{
    basic::{self, Basic},
    parameters,
};

/// What the `Authorization` headers of a request hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// No header, or another scheme: no credential for us.
    Absent,
    /// One token in the form that the grammar allows. Not verified.
    Token(&'a [u8]),
    /// A login and what has the form of an application password. Not verified.
    Password(Box<Basic>),
    /// Something that is no single token; the text says what.
    Malformed(&'static str),
}

/// Reads the `Authorization` header values of a request.
#[must_use]
pub fn read<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Bearer<'a> {
    let Some(value) = values.next() else { return Bearer::Absent };
    if values.next().is_some() {
        return Bearer::Malformed("the Authorization header is repeated");
    }
    let scheme_end =
        value.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'-').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        let is_basic = scheme.eq_ignore_ascii_case(b"basic");
        // RFC 9110 section 11.4: a comma stands between the parameters of one credential, too.
        if value.contains(&b',') && (is_basic || !parameters::are_of_one(value)) {
            return Bearer::Malformed("the Authorization header holds a list");
        }
        let basic = is_basic.then(|| basic::read(rest)).flatten();
        return basic.map_or(Bearer::Absent, |basic| Bearer::Password(Box::new(basic)));
    }
    // RFC 6750 section 2.1: "Bearer" 1*SP b64token
    let token = rest.trim_ascii_start();
    let blanks = rest.len() - token.len();
    if token.is_empty() {
        return Bearer::Malformed("the Authorization header names no token");
    }
    if blanks == 0 || !rest.iter().take(blanks).all(|b| *b == b' ') {
        return Bearer::Malformed("the Authorization header is not of the form Bearer TOKEN");
    }
    if !token.iter().copied().all(is_token_character) {
        return Bearer::Malformed("the token has characters that no token has");
    }
    Bearer::Token(token)
}

/// b64token of RFC 6750, and the `:` of Hub's permanent tokens.
pub(in crate::access) const fn is_token_character(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
}

/// Whether a query has a parameter `access_token`, in any spelling that a server would decode to that name.
#[must_use]
pub fn in_query(query: &str) -> bool {
    const NAME: &[u8] = b"access_token";
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        name.len() >= NAME.len()
            && percent_encoding::percent_decode_str(name)
                .map(|b| b.to_ascii_lowercase())
                .eq(NAME.iter().copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_decides() {
        for good in [
            "Bearer abc",
            "bearer abc",
            "BEARER abc",
            "Bearer  abc",
            "Bearer a.b-c_d~e+f/g==",
            "Bearer perm:a.b",
        ] {
            assert!(matches!(read([good.as_bytes()].into_iter()), Bearer::Token(_)), "{good}");
        }
        assert_eq!(read([&b"Bearer abc"[..]].into_iter()), Bearer::Token(b"abc"));
        for absent in
            ["Basic YTpi", "Digest x", "", "Bearerabc", "Bearer2 abc", "Negotiate", r#"Digest a="b", c=d"#]
        {
            assert_eq!(read([absent.as_bytes()].into_iter()), Bearer::Absent, "{absent}");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer\tabc",
            "Bearer \tabc",
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer \"a\"",
            "Bearer a,b",
            "Bearer,a",
            "Bearer:abc",
            "Bearer a;b",
            "Basic a, Bearer b",
            "Basic a=b, c=d",
            "Digest a=\"b\", Bearer c",
            "Digest a=\"b\", Basic YTpi",
            "Digest a=\"b, Bearer c\"",
            "Negotiate abc, Negotiate abc",
            "Bearer ä",
        ] {
            assert!(matches!(read([bad.as_bytes()].into_iter()), Bearer::Malformed(_)), "{bad}");
        }
        let two = [&b"Bearer a"[..], b"Bearer a"];
        assert!(matches!(read(two.into_iter()), Bearer::Malformed(_)));
        let foreign = [&b"Digest a=b, c=d"[..], b"Digest a=b, c=d"];
        assert!(matches!(read(foreign.into_iter()), Bearer::Malformed(_)));
        assert_eq!(read(std::iter::empty()), Bearer::Absent);
    }

    #[test]
    fn tokens_in_the_query_are_seen_in_any_spelling() {
        for bad in [
            "access_token=a",
            "a=b&access_token=c",
            "access%5ftoken=a",
            "ACCESS_TOKEN=a",
            "%61ccess_token",
            "access_token",
        ] {
            assert!(in_query(bad), "{bad}");
        }
        for good in ["", "a=access_token", "xaccess_token=a", "access_tokens=a", "accesstoken=a"] {
            assert!(!in_query(good), "{good}");
        }
    }
}
