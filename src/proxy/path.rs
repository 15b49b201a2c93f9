//! The one reading of a request's path.
//!
//! Invariant: the text that [`canonicalise`] returns is what routes and rules are matched on *and* what is forwarded,
//! and it has one reading: canonicalising it again changes nothing. What two servers could read in two ways is refused.
//!
//! RFC 3986 sections 2.1, 3.3, 6.2.2. Refused on purpose although the grammar allows it: dot segments and empty
//! segments (clients remove them, servers differ), `;` (servlet containers cut there), encoded `/`, `\` and controls,
//! and double-encoded forms of all these. One of them is read where nothing is forwarded: [`canonicalise_segments`].

use std::borrow::Cow;

/// Why a path is refused. The text says it to the developer of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// Not of the form `/…`.
    #[error("the path does not begin with /")]
    NotAbsolute,
    /// `.` or `..`, plain or encoded.
    #[error("the path has a segment . or ..")]
    DotSegment,
    /// `//`
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A byte that is no path character.
    #[error("the path has a character that must be percent-encoded")]
    Character,
    /// `;`
    #[error("the path has a ; which servers read differently")]
    Parameter,
    /// `%` without two hexadecimal digits.
    #[error("the path has a malformed percent-encoding")]
    Escape,
    /// An encoded `/`, `\`, control character, or a double encoding of one.
    #[error("the path has an encoded character that servers read differently")]
    EncodedDelimiter,
    /// The decoded bytes are not UTF-8.
    #[error("the path is not in UTF-8")]
    Utf8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// May stand as it is.
    Plain,
    Slash,
    Dot,
    Percent,
    Parameter,
    Refused,
}

/// pchar of RFC 3986, and `[ ] ^ { | }`, which browsers send unencoded and nobody reads in two ways.
const fn class(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'%' => Class::Percent,
        b';' => Class::Parameter,
        b'"' | b'#' | b'<' | b'>' | b'?' | b'\\' | b'`' => Class::Refused,
        0x21..0x7f => Class::Plain,
        _ => Class::Refused,
    }
}

/// Brings a path into the form that is matched and forwarded: encoded unreserved characters decoded, other escapes in
/// upper case. Most paths are in that form already and are returned as they are.
///
/// # Errors
/// [`Ambiguous`], the first reason found.
pub fn canonicalise(path: &[u8]) -> Result<Cow<'_, str>, Ambiguous> {
    read(path, EncodedSlash::Refused)
}

/// The same for who splits a path into segments before decoding them (RFC 3986 section 2.4), as the gateway's own REST does: an
/// encoded slash is text within its segment, and stays encoded. Nothing else is read more leniently, and an encoded slash makes
/// no dot segment either. What comes of it must not be forwarded.
///
/// # Errors
/// [`Ambiguous`], the first reason found.
pub fn canonicalise_segments(path: &[u8]) -> Result<Cow<'_, str>, Ambiguous> {
    read(path, EncodedSlash::Kept)
}

/// What becomes of `%2F`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EncodedSlash {
    Refused,
    Kept,
}

fn read(path: &[u8], slash: EncodedSlash) -> Result<Cow<'_, str>, Ambiguous> {
    if path.first() != Some(&b'/') {
        return Err(Ambiguous::NotAbsolute);
    }
    if is_ordinary(path) {
        return std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| Ambiguous::Utf8);
    }
    let mut escaped = false;
    // The length of the segment so far, and whether it has consisted of dots alone.
    let (mut length, mut dots) = (1_usize, false);
    for byte in path {
        match class(*byte) {
            Class::Plain => dots = false,
            Class::Slash => {
                end_of_segment(length, dots)?;
                (length, dots) = (0, true);
                continue;
            }
            Class::Dot => {}
            Class::Percent => {
                escaped = true;
                dots = false;
            }
            Class::Parameter => return Err(Ambiguous::Parameter),
            Class::Refused => return Err(Ambiguous::Character),
        }
        length += 1;
    }
    // A path may end in a slash; an empty last segment is no segment.
    if length > 0 {
        end_of_segment(length, dots)?;
    }
    if escaped {
        return decode(path, slash).map(Cow::Owned);
    }
    // Plain bytes are ASCII.
    std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| Ambiguous::Utf8)
}

/// Whether a path that begins with a slash is canonical at first sight, as nearly all are: no byte that needs a look,
/// and no segment that is empty or begins with a dot. Looks at each byte, so that the compiler can look at many at once.
fn is_ordinary(path: &[u8]) -> bool {
    let bytes = path
        .iter()
        .fold(true, |all, byte| all & matches!(class(*byte), Class::Plain | Class::Slash | Class::Dot));
    let pairs = path.iter().zip(path.iter().skip(1));
    bytes & pairs.fold(true, |all, (first, second)| all & !matches!((first, second), (b'/', b'/' | b'.')))
}

const fn end_of_segment(length: usize, dots: bool) -> Result<(), Ambiguous> {
    match (length, dots) {
        (0, _) => Err(Ambiguous::EmptySegment),
        (1 | 2, true) => Err(Ambiguous::DotSegment),
        _ => Ok(()),
    }
}

fn decode(path: &[u8], slash: EncodedSlash) -> Result<String, Ambiguous> {
    let mut canonical = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            canonical.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let high = rest.next().and_then(hex_digit).ok_or(Ambiguous::Escape)?;
        let low = rest.next().and_then(hex_digit).ok_or(Ambiguous::Escape)?;
        let value = high << 4 | low;
        match value {
            b'/' if slash == EncodedSlash::Kept => canonical.push_str("%2F"),
            0..=0x1f | 0x7f | b'/' | b'\\' => return Err(Ambiguous::EncodedDelimiter),
            _ if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') => {
                canonical.push(char::from(value));
            }
            _ => {
                canonical.push('%');
                canonical.extend([high, low].map(|digit| char::from(upper_hex(digit))));
            }
        }
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Ambiguous::Utf8);
    }
    // Decoding can have made dot segments, also beside a slash that it made; a percent sign that it made must not begin
    // another escape that matters.
    for segment in decoded.split(|byte| *byte == b'/') {
        if matches!(segment, b"." | b"..") {
            return Err(Ambiguous::DotSegment);
        }
    }
    if decoded.windows(3).any(|w| matches!(w, [b'%', high, low] if matters(*high, *low))) {
        return Err(Ambiguous::EncodedDelimiter);
    }
    Ok(canonical)
}

/// Whether `%` and these digits would be a delimiter, a dot, a percent sign or a control, decoded a second time.
fn matters(high: u8, low: u8) -> bool {
    let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low)) else { return false };
    matches!(high << 4 | low, 0..=0x1f | 0x7f | b'/' | b'\\' | b'.' | b'%' | b';')
}

/// The digit of a value below 16.
const fn upper_hex(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_pass_untouched() {
        for path in
            ["/", "/a", "/a/", "/a/b.c/...", "/a/.hidden/..b", "/~user/a:b@c!$&'()*+,=", "/a/[1]|{x}^"]
        {
            assert!(matches!(canonicalise(path.as_bytes()), Ok(Cow::Borrowed(p)) if p == path), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_ordinary_at_first_sight_is_so_at_the_second() {
        assert!(is_ordinary(b"/") && is_ordinary(b"/a.b/c/") && is_ordinary(b"/~u/$&'()*+,=:@[]^{|}"));
        for byte in 0..=255 {
            let path = [b'/', b'a', byte, b'b'];
            let plain = matches!(class(byte), Class::Plain | Class::Slash | Class::Dot);
            assert_eq!(is_ordinary(&path), plain, "{byte:#x}");
            assert!(
                !is_ordinary(&[b'/', b'a', b'/', b'/', byte]) && !is_ordinary(&[b'/', b'.', byte]),
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn escapes_have_one_spelling() {
        for (path, canonical) in [
            ("/adm%69n", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%7Euser", "/~user"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/100%25", "/100%25"),
            ("/100%25ab", "/100%25ab"),
            ("/a%3bb", "/a%3Bb"),
            ("/a%3fb", "/a%3Fb"),
            ("/%2e%2e%2e", "/..."),
        ] {
            assert_eq!(canonicalise(path.as_bytes()).unwrap(), canonical, "{path}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        use Ambiguous::*;
        for (path, reason) in [
            (&b""[..], NotAbsolute),
            (b"admin", NotAbsolute),
            (b"?x", NotAbsolute),
            (b"*", NotAbsolute),
            (b"/public/../admin", DotSegment),
            (b"/public/./admin", DotSegment),
            (b"/..", DotSegment),
            (b"/.", DotSegment),
            (b"/a/..", DotSegment),
            (b"/a/.", DotSegment),
            (b"/public/%2e%2e/admin", DotSegment),
            (b"/public/%2E%2e/admin", DotSegment),
            (b"/public/.%2e/admin", DotSegment),
            (b"/public/%2e/admin", DotSegment),
            (b"/public/%2e%2e", DotSegment),
            (b"//admin", EmptySegment),
            (b"///admin", EmptySegment),
            (b"/public//admin", EmptySegment),
            (b"//", EmptySegment),
            (b"/a//", EmptySegment),
            (b"/public/..%2fadmin", EncodedDelimiter),
            (b"/public/..%2Fadmin", EncodedDelimiter),
            (b"/public/%2e%2e%2fadmin", EncodedDelimiter),
            (b"/public/..%5cadmin", EncodedDelimiter),
            (b"/public\\..\\admin", Character),
            (b"/public/%252e%252e/admin", EncodedDelimiter),
            (b"/public/%252E./admin", EncodedDelimiter),
            (b"/a%252fb", EncodedDelimiter),
            (b"/a%2525", EncodedDelimiter),
            (b"/a%2500", EncodedDelimiter),
            (b"/a%25%32%66", EncodedDelimiter),
            (b"/a%253bb", EncodedDelimiter),
            (b"/admin%00", EncodedDelimiter),
            (b"/a%0d%0ab", EncodedDelimiter),
            (b"/a%09", EncodedDelimiter),
            (b"/a%7f", EncodedDelimiter),
            (b"/a\x00", Character),
            (b"/a b", Character),
            (b"/a\tb", Character),
            (b"/a\"b", Character),
            (b"/a#b", Character),
            (b"/a?b", Character),
            (b"/a;b/c", Parameter),
            (b"/a/..;/b", Parameter),
            (b"/%", Escape),
            (b"/%2", Escape),
            (b"/%g1", Escape),
            (b"/%1g", Escape),
            (b"/%c0%ae%c0%ae/", Utf8),
            (b"/%ff", Utf8),
            (b"/%ed%a0%80", Utf8),
            (b"/\xc3\xa9", Character),
        ] {
            assert_eq!(canonicalise(path), Err(reason), "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn an_encoded_slash_is_text_within_a_segment_where_segments_are_split_first() {
        use Ambiguous::*;
        for (path, canonical) in [
            ("/rest/a", "/rest/a"),
            ("/rest/a%2fb", "/rest/a%2Fb"),
            ("/rest/https:%2F%2fx.example%2Fcb/accept", "/rest/https:%2F%2Fx.example%2Fcb/accept"),
            ("/rest/https%3A%2F%2Fx.example%2F%3Fa%3Db", "/rest/https%3A%2F%2Fx.example%2F%3Fa%3Db"),
            ("/rest/%2f", "/rest/%2F"),
            ("/rest/a%2F...", "/rest/a%2F..."),
            ("/adm%69n%2Fx", "/admin%2Fx"),
        ] {
            assert_eq!(canonicalise_segments(path.as_bytes()).unwrap(), canonical, "{path}");
            assert_eq!(
                canonicalise_segments(canonical.as_bytes()).unwrap(),
                canonical,
                "a fixed point: {path}"
            );
            if canonical.contains('%') {
                assert_eq!(canonicalise(path.as_bytes()), Err(EncodedDelimiter), "{path}");
            }
        }
        for (path, reason) in [
            (&b"/rest/..%2Fadmin"[..], DotSegment),
            (b"/rest/a%2f..", DotSegment),
            (b"/rest/a%2F..%2Fb", DotSegment),
            (b"/rest/a%2f%2e%2e%2fb", DotSegment),
            (b"/rest/a%2F.%2Fb", DotSegment),
            (b"/rest/.%2F", DotSegment),
            (b"/rest/%2e%2e/admin", DotSegment),
            (b"/rest/../admin%2Fx", DotSegment),
            (b"/rest//x%2Fy", EmptySegment),
            (b"/rest/a%252fb", EncodedDelimiter),
            (b"/rest/a%252e%252e", EncodedDelimiter),
            (b"/rest/a%2F%252e", EncodedDelimiter),
            (b"/rest/a%25%32%66", EncodedDelimiter),
            (b"/rest/a%5cb%2F", EncodedDelimiter),
            (b"/rest/a%2F%00", EncodedDelimiter),
            (b"/rest/a%2F%0d%0a", EncodedDelimiter),
            (b"/rest/a%2F;b", Parameter),
            (b"/rest/a%2F%c0%af", Utf8),
            (b"/rest/a%2F%2", Escape),
            (b"/rest/a%2F\\b", Character),
            (b"rest%2F", NotAbsolute),
        ] {
            assert_eq!(canonicalise_segments(path), Err(reason), "{}", String::from_utf8_lossy(path));
        }
    }

    proptest! {
        #[test]
        fn split_segments_are_read_as_all_paths_are_but_for_the_encoded_slash(path in "/([a-c./;%25fFeE0\\\\]|%[0-9a-fA-F]{2}|%2[fF]){0,24}") {
            let path = path.as_bytes();
            match (canonicalise(path), canonicalise_segments(path)) {
                (Ok(strict), Ok(split)) => prop_assert_eq!(strict, split),
                (Ok(_), Err(reason)) => prop_assert!(false, "refused on the lenient side alone: {reason}"),
                (Err(_), Err(_)) => {}
                (Err(reason), Ok(split)) => {
                    prop_assert_eq!(reason, Ambiguous::EncodedDelimiter);
                    prop_assert!(split.contains("%2F"));
                    let again = canonicalise_segments(split.as_bytes());
                    prop_assert_eq!(again.as_deref(), Ok(split.as_ref()));
                    let decoded = percent_encoding::percent_decode_str(&split).collect::<Vec<u8>>();
                    prop_assert!(!decoded.split(|b| *b == b'/').any(|s| s == b"." || s == b".."));
                    prop_assert!(!decoded.contains(&b'\\') && !decoded.contains(&0));
                }
            }
        }

        #[test]
        fn canonical_form_is_a_fixed_point(path in proptest::collection::vec(any::<u8>(), 0..80)) {
            check_fixed_point(&path)?;
        }

        #[test]
        fn canonical_form_is_a_fixed_point_of_likely_paths(path in "/([a-c./;%25fFeE0\\\\]|%[0-9a-fA-F]{2}){0,24}") {
            check_fixed_point(path.as_bytes())?;
        }
    }

    fn check_fixed_point(path: &[u8]) -> Result<(), TestCaseError> {
        let Ok(canonical) = canonicalise(path) else { return Ok(()) };
        let again = canonicalise(canonical.as_bytes());
        prop_assert_eq!(again.as_deref(), Ok(canonical.as_ref()));
        let readings = percent_encoding::percent_decode_str(&canonical).collect::<Vec<u8>>();
        for reading in [canonical.as_bytes(), &readings] {
            prop_assert!(!reading.windows(2).any(|w| w == b"//"));
            prop_assert!(!reading.split(|b| *b == b'/').any(|s| s == b"." || s == b".."));
            prop_assert!(!reading.contains(&b'\\') && !reading.contains(&0));
        }
        Ok(())
    }
}
