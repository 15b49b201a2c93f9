//! What people, their addresses and their groups may be called, and what a password may be: the rules that the
//! configuration file, the commands and REST share.
//!
//! Invariant: a text that passes is safe in a log line and in a header of its own. A group's name is also safe in a list
//! separated by commas, as `X-Forwarded-Groups` is: nobody joins a group by the name of another.

use super::user::GUEST_LOGIN;

/// Characters of a login or a name.
const LONGEST: usize = 100;

/// Bytes of an e-mail address (RFC 5321 section 4.5.3.1.3, less the brackets) and of what stands before its `@`.
const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;

/// Characters of a password that somebody chooses: NIST SP 800-63B section 5.1.1.2.
const SHORTEST_PASSWORD: usize = 8;

/// Bytes of a password; `crypto::password` refuses more.
const LONGEST_PASSWORD: usize = 1024;

/// Why a text cannot be used: a predicate, such as "is empty".
pub type Refusal = &'static str;

/// Checks a login.
///
/// # Errors
/// [`Refusal`]
pub fn login(text: &str) -> Result<(), Refusal> {
    if text.eq_ignore_ascii_case(GUEST_LOGIN) {
        return Err("is the guest's");
    }
    name(text)
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
    Ok(())
}

/// Checks the name of a group.
///
/// # Errors
/// [`Refusal`]
pub fn group(text: &str) -> Result<(), Refusal> {
    name(text)?;
    if text.contains(',') { Err("has a comma, which separates groups") } else { Ok(()) }
}

/// Checks an e-mail address: that it can be one, not that it is somebody's.
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
    Ok(())
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
}
