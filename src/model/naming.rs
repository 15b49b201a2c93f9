//! What people, their addresses and their groups may be called, and what a password may be: the rules that the
//! configuration file, the commands and REST share.
//!
//! Invariant: a text that passes is safe in a log line and in a header of its own. A group's name is also safe in a list
//! separated by commas, as `X-Forwarded-Groups` is: nobody joins a group by the name of another. A login or an address that passes
//! holds nothing that cannot be seen, and nothing that is written in a plainer way too (RFC 8264 sections 4.2 and 9; RFC 8265
//! section 3.4).

use unicode_normalization::UnicodeNormalization as _;

use super::user::GUEST_LOGIN;
use crate::base::url::web_origin;

/// Characters of a login or a name.
const LONGEST: usize = 100;

/// Bytes of an e-mail address (RFC 5321 section 4.5.3.1.3, less the brackets) and of what stands before its `@`.
const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;

/// Characters of a password that somebody chooses: NIST SP 800-63B section 5.1.1.2.
const SHORTEST_PASSWORD: usize = 8;

/// Bytes of a password; `crypto::password` refuses more.
const LONGEST_PASSWORD: usize = 1024;

/// Characters of a description or a reason, of a badge, and bytes of an address of a picture.
const LONGEST_DESCRIPTION: usize = 1000;
const LONGEST_BADGE: usize = 100;
const LONGEST_URL: usize = 2000;

/// Why a text cannot be used: a predicate, such as "is empty".
pub type Refusal = &'static str;

/// The spelling in which logins, addresses and names of groups and services are kept: normalization form C, so that the same name is
/// the same text from every keyboard (RFC 8265 section 3.4.1).
#[must_use]
pub fn normal(text: &str) -> String {
    text.nfc().collect()
}

/// Checks a login that is [`normal`].
///
/// # Errors
/// [`Refusal`]
pub fn login(text: &str) -> Result<(), Refusal> {
    if text.eq_ignore_ascii_case(GUEST_LOGIN) {
        return Err("is the guest's");
    }
    name(text)?;
    plain(text)
}

/// Refuses what people take for another text.
fn plain(text: &str) -> Result<(), Refusal> {
    if text.is_ascii() {
        return Ok(());
    }
    if text.chars().any(is_invisible) {
        return Err(INVISIBLE);
    }
    if text.chars().any(|c| c.is_whitespace() && c != ' ') || !text.nfkc().eq(text.chars()) {
        return Err("has a character that is written in a plainer way too");
    }
    Ok(())
}

const INVISIBLE: Refusal = "has an invisible character";

/// Whether nothing is seen where this character stands: Default_Ignorable_Code_Point and the format characters (Cf) of the Unicode
/// Character Database, line and paragraph separators, the blank of Braille, private use and what is no character. Joiners are among
/// them: RFC 5892 allows them between some letters only.
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}'..='\u{ffff}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..)
}

/// Whether it makes text that follows run the other way, so that a line is read as another (Unicode Technical Report 36 section 2.5).
const fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Checks the name of a person.
///
/// # Errors
/// [`Refusal`]
pub fn name(text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if text != text.trim() {
        return Err("begins or ends with white space");
    }
    if text.chars().count() > LONGEST {
        return Err("has more than 100 characters");
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if text.chars().any(turns) {
        return Err("has a character that turns the direction of text");
    }
    Ok(())
}

/// Checks the name of a group.
///
/// # Errors
/// [`Refusal`]
pub fn group(text: &str) -> Result<(), Refusal> {
    name(text)?;
    if text.chars().any(is_invisible) {
        return Err(INVISIBLE);
    }
    if text.contains(',') { Err("has a comma, which separates groups") } else { Ok(()) }
}

/// Checks the name of a service.
///
/// # Errors
/// [`Refusal`]
pub fn service(text: &str) -> Result<(), Refusal> {
    match text.chars().count() {
        0 => return Err("is empty"),
        1..=LONGEST => {}
        _ => return Err("has more than 100 characters"),
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if text.chars().any(is_invisible) { Err(INVISIBLE) } else { Ok(()) }
}

/// Checks an e-mail address that is [`normal`]: that it can be one, not that it is somebody's.
///
/// # Errors
/// [`Refusal`]
pub fn email(text: &str) -> Result<(), Refusal> {
    let no_address = Err("is no e-mail address");
    let Some((local, domain)) = text.rsplit_once('@') else { return no_address };
    let odd = |c: char| c.is_whitespace() || c.is_control() || ",;:<>()[]\\\"@".contains(c);
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    if text.len() > LONGEST_EMAIL || local.len() > LONGEST_LOCAL_PART {
        return Err("is too long for an e-mail address");
    }
    if local.is_empty() || local.contains(odd) || domain.contains(odd) || !domain.split('.').all(label) {
        return no_address;
    }
    plain(text)
}

/// Checks a text for other administrators: of several lines, possibly empty.
///
/// # Errors
/// [`Refusal`]
pub fn description(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > LONGEST_DESCRIPTION {
        return Err("has more than 1000 characters");
    }
    if text.chars().any(|c| c.is_control() && c != '\n') { Err("has a control character") } else { Ok(()) }
}

/// Checks the word that stands beside the name of somebody who is shut out; it may be empty.
///
/// # Errors
/// [`Refusal`]
pub fn badge(text: &str) -> Result<(), Refusal> {
    if text.chars().count() > LONGEST_BADGE {
        return Err("has more than 100 characters");
    }
    if text.chars().any(char::is_control) { Err("has a control character") } else { Ok(()) }
}

/// Checks the address of a picture: of the web, so that no page runs it.
///
/// # Errors
/// [`Refusal`]
pub fn picture(text: &str) -> Result<(), Refusal> {
    if text.len() > LONGEST_URL {
        return Err("has more than 2000 bytes");
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'<>\\`".contains(c);
    if text.contains(odd) || web_origin(text).is_none() { Err("is no http or https address") } else { Ok(()) }
}

/// Checks the name of a language, as `en`, `en_US` or `zh-Hans-CN`.
///
/// # Errors
/// [`Refusal`]
pub fn locale(text: &str) -> Result<(), Refusal> {
    let mut parts = text.split(['_', '-']);
    let letters = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if parts.next().is_some_and(letters) && parts.all(part) && text.len() <= 20 {
        Ok(())
    } else {
        Err("is no language, as en_US is")
    }
}

/// Checks a password that somebody chooses. Any characters but control characters; none are asked for (NIST SP 800-63B).
///
/// # Errors
/// [`Refusal`], which says nothing of what is in it.
pub fn password(text: &str) -> Result<(), Refusal> {
    if text.len() > LONGEST_PASSWORD {
        return Err("has more than 1024 bytes");
    }
    if text.chars().count() < SHORTEST_PASSWORD {
        return Err("has less than 8 characters");
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_names() {
        for good in ["jane", "Jane Doe", "j", "джейн", "jane@example.org", &"ä".repeat(100)] {
            assert_eq!(login(good), Ok(()), "{good}");
        }
        for bad in ["", " ", "jane ", " jane", "ja\nne", "ja\u{7}ne", "guest", "GUEST", &"x".repeat(101)] {
            assert!(login(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name("Guest"), Ok(()));
        assert_eq!(group("developers"), Ok(()));
        assert!(group("developers,administrators").is_err());
        assert_eq!(service("YouTrack\u{2122} (test)"), Ok(()));
        for bad in ["", "You\u{200b}Track", "a\nb", &"x".repeat(101)] {
            assert!(service(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn logins_that_look_like_others_are_refused() {
        let invisible = [
            "ja\u{200b}ne",
            "ja\u{200d}ne",
            "\u{feff}jane",
            "jane\u{2060}",
            "ja\u{ad}ne",
            "\u{202e}enaj",
            "ja\u{2066}ne",
            "jane\u{fe0f}",
            "ja\u{34f}ne",
            "j\u{3164}ane",
            "jane\u{e0041}",
            "ja\u{61c}ne",
            "jane\u{e000}",
            "\u{2800}jane",
        ];
        for bad in invisible {
            assert!(login(bad).is_err(), "{bad:?}");
            assert!(group(bad).is_err(), "{bad:?}");
            assert!(email(&format!("{bad}@example.org")).is_err(), "{bad:?}");
        }
        let plainer = [
            "jose\u{301}",
            "\u{ff4a}ane",
            "\u{fb01}ona",
            "jane\u{b2}",
            "\u{1d423}ane",
            "ja\u{a0}ne",
            "j\u{1680}ane",
        ];
        for bad in plainer {
            assert_eq!(login(bad), Err("has a character that is written in a plainer way too"), "{bad:?}");
            assert!(email(&format!("{bad}@example.org")).is_err(), "{bad:?}");
        }
        assert_eq!(login(&normal("jose\u{301}")), Ok(()));
        for good in ["jos\u{e9}", "\u{c5}sa", "\u{645}\u{631}\u{64a}\u{645}", "\u{ac00}", "\u{5f20}\u{4f1f}"]
        {
            assert_eq!((login(good), normal(good).as_str()), (Ok(()), good));
        }
        // What people are called may have joiners and pictures, and nothing that turns a line around.
        assert_eq!(name("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}"), Ok(()));
        assert!(name("\u{202e}enaJ").is_err() && name("a\u{2028}b").is_err());
    }

    #[test]
    fn addresses() {
        for good in ["jane@example.org", "a@localhost", "j.d+x@mail.example", "джейн@пример.рф"]
        {
            assert_eq!(email(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "jane",
            "@",
            "jane@",
            "@example.org",
            "a b@c",
            "a@b c",
            "a@b..c",
            "a@.b",
            "a@b.",
            "a@-b",
            "a@b@c",
            "a,b@c",
            "a@c\n",
            "<a@c>",
            "a@[127.0.0.1]",
            &format!("{}@c", "x".repeat(65)),
            &format!("a@{}", "x".repeat(254)),
        ] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords() {
        for good in ["12345678", "correct horse battery staple", &"x".repeat(1024), "ääääääää"] {
            assert_eq!(password(good), Ok(()));
        }
        for bad in ["", "1234567", "äääää", "1234567\n8", &"x".repeat(1025)] {
            assert!(password(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_pages_show() {
        for good in ["https://a.example/x.png", "http://127.0.0.1:8080/a?b=c"] {
            assert_eq!(picture(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "data:image/svg+xml,<svg/>",
            "//a.example/x",
            "/x.png",
            "https://a.example/\"x",
            "https://a.example/ x",
            "https://a.example/\n",
            &format!("https://a.example/{}", "x".repeat(2000)),
        ] {
            assert!(picture(bad).is_err(), "{bad:?}");
        }
        for good in ["en", "en_US", "zh-Hans-CN"] {
            assert_eq!(locale(good), Ok(()), "{good}");
        }
        for bad in ["", "e", "english", "en_", "en US", "en_U$", "en_US_abcdefgh_abcdefgh"] {
            assert!(locale(bad).is_err(), "{bad:?}");
        }
        assert_eq!((description("a\nb"), badge("away")), (Ok(()), Ok(())));
        assert!(description("a\tb").is_err() && description(&"x".repeat(1001)).is_err());
        assert!(badge("a\nb").is_err() && badge(&"x".repeat(101)).is_err());
    }
}
