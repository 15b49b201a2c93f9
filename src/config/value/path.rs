//! Paths in canonical form, and patterns over them.
//!
//! Invariant: what is accepted here is spelled as the canonicaliser of requests spells it, so that text comparison decides.

use super::{Wrong, wrong};
use crate::config::{PathPattern, Segment};

/// RFC 3986 section 2.3: characters that need no encoding and mean nothing.
fn unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

/// RFC 3986 section 3.3 without `;` (parameters, ambiguous between servers), `*` (ours) and percent-encoding.
fn literal(c: char) -> bool {
    unreserved(c) || matches!(c, '!' | '$' | '&' | '\'' | '(' | ')' | '+' | ',' | '=' | ':' | '@')
}

/// A prefix: empty for the root, else `/a/b`.
pub(in crate::config) fn path(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(wrong("does not begin with a slash").help(format!("write \"/{text}\"")));
    };
    if let Some(shorter) = text.strip_suffix('/') {
        return Err(wrong("ends with a slash").help(format!("write {:?}", shorter.trim_end_matches('/'))));
    }
    for segment in rest.split('/') {
        refuse_odd_segment(segment)?;
        if let Some(c) = segment.chars().find(|c| !unreserved(*c)) {
            return Err(wrong("has a character that a path prefix cannot have")
                .label(format!("{c:?} is none of letters, digits, '-', '.', '_' and '~'")));
        }
    }
    Ok(text.to_owned())
}

/// A pattern: `*` for one segment, a final `**` for any number.
pub(in crate::config) fn pattern(text: &str) -> Result<PathPattern, Wrong> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(wrong("does not begin with a slash").help(format!("write \"/{text}\"")));
    };
    let (body, open) = match rest.strip_suffix("**") {
        Some("") => return Ok(PathPattern { segments: vec![], open: true }),
        Some(body) => match body.strip_suffix('/') {
            Some(body) => (body, true),
            None => (rest, false),
        },
        None => (rest, false),
    };
    if body.is_empty() && !open {
        return Ok(PathPattern { segments: vec![], open: false });
    }
    if !open && body.ends_with('/') {
        let shorter = text.trim_end_matches('/');
        return Err(wrong("ends with a slash").help(format!(
            "write {shorter:?} for this path alone, or \"{shorter}/**\" for it and all below"
        )));
    }
    let segments = body.split('/').map(pattern_segment).collect::<Result<_, _>>()?;
    Ok(PathPattern { segments, open })
}

fn pattern_segment(text: &str) -> Result<Segment, Wrong> {
    if text == "*" {
        return Ok(Segment::Any);
    }
    if text == "**" {
        return Err(wrong("has `**` in the middle")
            .label("`**` may only stand at the end")
            .help("use `*` for exactly one segment"));
    }
    if text.contains('*') {
        return Err(wrong("has `*` next to other characters").label("`*` stands for a whole segment").help(
            "write the segment out, or `*` for any one segment, or a final `**` for everything below",
        ));
    }
    refuse_odd_segment(text)?;
    match text.chars().find(|c| !literal(*c)) {
        Some('%') => Err(wrong("is percent-encoded")
            .label("patterns are compared with the decoded, canonical path")
            .help("write `*` for a segment with such characters")),
        Some(c) => Err(wrong("has a character that a path pattern cannot have").label(format!("{c:?}"))),
        None => Ok(Segment::Literal(text.to_owned())),
    }
}

fn refuse_odd_segment(segment: &str) -> Result<(), Wrong> {
    match segment {
        "" => Err(wrong("has an empty segment").label("two slashes in a row")),
        "." | ".." => Err(wrong("has a dot segment")
            .label("`.` and `..` are resolved before paths are compared")
            .help("write the path that they lead to")),
        _ => Ok(()),
    }
}

/// Whether everything that `pattern` matches lies on or below the prefix `path` (`/` for everything).
pub(in crate::config) fn within(pattern: &PathPattern, path: &str) -> bool {
    let mut segments = pattern.segments.iter();
    path.split('/')
        .filter(|part| !part.is_empty())
        .all(|part| matches!(segments.next(), Some(Segment::Literal(text)) if text == part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_are_canonical() {
        for good in ["", "/hub", "/a/b", "/a.b/c~d_e-f"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        for bad in [
            "hub", "/", "/hub/", "//hub", "/a//b", "/a/./b", "/a/..", "/a b", "/a%20b", "/ä", "/a?b", "/a#b",
            "/a\\b", "/a;b", "/*",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_have_one_meaning() {
        let lit = |s: &str| Segment::Literal(s.to_owned());
        let made = |segments: Vec<Segment>, open| Ok(PathPattern { segments, open });
        assert_eq!(pattern("/"), made(vec![], false));
        assert_eq!(pattern("/**"), made(vec![], true));
        let root = pattern("/").unwrap();
        assert!(root.matches("/") && !root.matches("/a"));
        assert_eq!(pattern("/a/*/app.js"), made(vec![lit("a"), Segment::Any, lit("app.js")], false));
        assert_eq!(pattern("/a/*/**"), made(vec![lit("a"), Segment::Any], true));
        for bad in [
            "", "a", "/a/", "/a//b", "/a//**", "//**", "/**/b", "/a/**/b", "/a**", "/a*", "/a/*.js",
            "/a/%20", "/a/..", "/./a", "/a b", "/a?b", "/a#b", "/a;v=1", "/a\\b", "/ä", "/a\n",
        ] {
            assert!(pattern(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_lies_within_a_prefix_or_not() {
        for (text, prefix, expected) in [
            ("/youtrack/x", "/youtrack", true),
            ("/youtrack", "/youtrack", true),
            ("/youtrack/**", "/youtrack", true),
            ("/anything", "/", true),
            ("/**", "/", true),
            ("/youtrack2/x", "/youtrack", false),
            ("/**", "/youtrack", false),
            ("/*/x", "/youtrack", false),
            ("/a", "/a/b", false),
        ] {
            assert_eq!(within(&pattern(text).unwrap(), prefix), expected, "{text} {prefix}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[/*.a%; ]*") {
            let _ = (path(&text), pattern(&text));
        }
    }
}
