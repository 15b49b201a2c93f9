//! Credentials with parameters, of schemes that are none of ours: Digest, signatures, OAuth 1 (RFC 9110 sections 5.6.4, 11.2 and 11.4).
//!
//! Invariant: what is one credential here has no second one that is ours for any reader, also for one that parts a header at every
//! comma and knows nothing of quotes.

/// Whether a header's value is one credential with parameters: a scheme, blanks, and auth-params with commas between them. Values
/// without quotes may have what `token` has not, since signatures have `/` and `;` there.
pub(super) fn are_of_one(value: &[u8]) -> bool {
    let (scheme, rest) = split(value, is_token);
    !scheme.is_empty()
        && rest.first() == Some(&b' ')
        && is_list(rest)
        && !value.split(|byte| *byte == b',').any(begins_with_ours)
}

/// Whether the first word of a piece is the name of a scheme of ours, whatever signs stand before it.
fn begins_with_ours(piece: &[u8]) -> bool {
    let (_, rest) = split(piece, |byte| !byte.is_ascii_alphanumeric());
    let (word, _) = split(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"basic")
}

/// No element is empty: a scheme and a comma could be a credential of its own.
fn is_list(mut rest: &[u8]) -> bool {
    while let Some(after) = parameter(blanks_off(rest)) {
        match blanks_off(after) {
            [] => return true,
            [b',', further @ ..] => rest = further,
            _ => return false,
        }
    }
    false
}

/// What stands behind the auth-param that `text` begins with.
fn parameter(text: &[u8]) -> Option<&[u8]> {
    let (name, rest) = split(text, is_token);
    let value = blanks_off(blanks_off(rest).strip_prefix(b"=")?);
    if name.is_empty() {
        return None;
    }
    if let Some(quoted) = value.strip_prefix(b"\"") {
        return behind_quotes(quoted);
    }
    let (value, rest) = split(value, |byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\'));
    // Else it was the padding of a token68.
    (!value.is_empty() && !value.starts_with(b"=")).then_some(rest)
}

/// What stands behind the end of a quoted string that has begun.
fn behind_quotes(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = text.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    })?;
    text.get(end + 1..)
}

fn blanks_off(text: &[u8]) -> &[u8] {
    split(text, |byte| matches!(byte, b' ' | b'\t')).1
}

/// The bytes at the beginning that are so, and the others.
fn split(text: &[u8], is_so: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_so(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 9] = [
        r#"Digest username="a", realm="b", nonce="c", uri="/", response="d""#,
        r#"Digest username="DOMAIN\\a \"b\", c", qop=auth,nc = 00000001 ,	cnonce="", userhash=false"#,
        r#"Digest username*=UTF-8''J%C3%A4s%C3%B8n, realm="x""#,
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=abc",
        r#"Hawk id="dh37", ts="1353832234", nonce="j4h3g2", mac="6R4rV5iE+NPoym+WwjeHzjAmXUtLNIxmo1vpMofpLAE=""#,
        r#"OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_signature="wOJIO9A2W5mFwDgiDvZbTSMK%2FPY%3D""#,
        r#"Signature keyId="a",algorithm="rsa-sha256",created=1402170695,headers="(request-target) date",signature="b==""#,
        "Token token=abc, email=x@example.org",
        "vapid t=eyJ0.eyJ1.DtCI, k=BA1Hxzyi1RUM1b5wjxsn7nGxAs",
    ];

    #[test]
    fn parameters_of_one_scheme_are_one_credential() {
        for good in GOOD {
            assert!(are_of_one(good.as_bytes()), "{good}");
        }
        assert!(are_of_one(b"MediaBrowser Client=\"x\", Device=\"\xc3\xa4\""));
    }

    #[test]
    fn a_list_that_could_hold_a_second_credential_is_not() {
        for bad in [
            "Digest a=b, Negotiate abc",
            "Digest a=b, Negotiate abc=",
            "Digest a=b, Negotiate abc==",
            "Digest a=b, Hawk id=\"x\"",
            "Digest a=b, Negotiate",
            "Digest abc, a=b",
            "Digest abc=, a=b",
            "Digest abc==, a=b",
            "Digest, a=b",
            "Digest ,a=b",
            "Digest a=b,",
            "Digest a=b,,c=d",
            "Digest a=b, c",
            "Digest a=b, =c",
            "Digest a=b, c=",
            "Digest a=b, c=\"",
            "Digest a=b, c=\"d\\\"",
            "Digest a=b, c=\"d\"e",
            "Digest a=b, c=\"d\" e=f",
            "Digest a=b, c=d e=f",
            "Digest a=b, c=d\\",
            "Digest a=b, c=\u{e4}",
            "Digest\ta=b, c=d",
            "Digest(a) a=b, c=d",
            "a=b, c=d",
            ", a=b",
            ",",
            "Digest a=\"b\", Bearer c",
            "Digest a=\"b\", Bearer=c",
            "Digest a=\"b\", bearer = c",
            "Digest a=\"b, Bearer c\"",
            "Digest a=\"b,\u{a0}Bearer c\"",
            "Digest a=\"b, \\\"Bearer c\"",
            "Digest a=\"\\\", Basic c, d=\"",
            "Basic a=b, c=d",
            "Bearer a=b, c=d",
        ] {
            assert!(!are_of_one(bad.as_bytes()), "{bad}");
        }
    }

    /// Wherever a credential of ours stands in a list, no reader is to find it there.
    #[test]
    fn a_credential_of_ours_hides_nowhere() {
        for good in GOOD {
            for at in (0..=good.len()).filter(|at| good.is_char_boundary(*at)) {
                for second in [", Bearer a", ",basic YTpi", ",\tBEARER a.b.c, ", ", Bearer a=b"] {
                    let value = format!("{}{second}{}", &good[..at], &good[at..]);
                    assert!(!are_of_one(value.as_bytes()), "{value}");
                }
            }
        }
    }
}
