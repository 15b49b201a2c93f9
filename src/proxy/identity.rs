//! How an upstream is told for whom a request acts.
//!
//! Invariant: every value is one field of visible ASCII, and no name of a group can be read as another's, or as two: what
//! would need quoting in a list is percent-encoded as UTF-8 (RFC 3986 section 2.1), the percent sign included, so that
//! decoding each entry gives the name back.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::model::user::Person;

/// The fields that tell about a person, in lower case.
pub const FIELDS: [&str; 4] =
    ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"];

/// What a list field gives a meaning to (RFC 9110 sections 5.6.1, 5.6.4, 5.6.6), and the mark of this encoding.
const SPECIAL: &AsciiSet = &CONTROLS.add(b',').add(b';').add(b'"').add(b'\\').add(b'%');

/// The fields that tell about this person. Without an address, or without a group, the field is absent. So it is while nobody
/// vouches for the address: people change their own, and a backend that knows them by it must not take one for another.
#[must_use]
pub fn fields(person: &Person) -> Box<[(&'static str, HeaderValue)]> {
    let [user, email, groups, login] = FIELDS;
    let vouched = person.email.as_ref().filter(|email| email.verified);
    let address = vouched.map(|email| encoded(&email.address));
    let names: Vec<_> =
        person.groups.iter().filter(|name| !name.is_empty()).map(|name| encoded(name)).collect();
    let member_of = (!names.is_empty()).then(|| names.join(","));
    [
        (user, Some(person.id.as_str().into())),
        (email, address),
        (groups, member_of.map(Cow::from)),
        (login, Some(encoded(&person.login))),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text?).ok()?)))
    .collect()
}

/// A text as one entry of a list. Spaces stay where they are, except at the ends, where a reader of lists takes them off.
fn encoded(text: &str) -> Cow<'_, str> {
    let core = text.trim_matches(' ');
    let plain: Cow<'_, str> = utf8_percent_encode(core, SPECIAL).into();
    if core.len() == text.len() {
        return plain;
    }
    let leading = text.len() - text.trim_start_matches(' ').len();
    let trailing = text.len() - leading - core.len();
    Cow::from(format!("{}{plain}{}", "%20".repeat(leading), "%20".repeat(trailing)))
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;
    use crate::{base::id::UserId, model::user::Email};

    fn person(login: &str, email: Option<&str>, groups: &[&str]) -> Person {
        Person {
            id: UserId::parse("u-1").unwrap(),
            login: login.into(),
            name: "never told".into(),
            email: email.map(|address| Email { address: address.into(), verified: true }),
            groups: groups.iter().map(|&group| group.into()).collect(),
            banned: false,
            guest: false,
            administrator: true,
        }
    }

    fn told(person: &Person) -> Vec<(&'static str, String)> {
        fields(person).iter().map(|(name, value)| (*name, value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn each_field_is_set_or_absent() {
        let all = person("jane", Some("jane@example.org"), &["Site Admins", "developers"]);
        let expected = [
            ("x-forwarded-user", "u-1"),
            ("x-forwarded-email", "jane@example.org"),
            ("x-forwarded-groups", "Site Admins,developers"),
            ("x-forwarded-preferred-username", "jane"),
        ];
        assert_eq!(told(&all), expected.map(|(name, value)| (name, value.to_owned())));
        let mut own = person("jane", Some("joe@example.org"), &[]);
        own.email.as_mut().unwrap().verified = false;
        for nothing in [person("jane", None, &[""]), own] {
            let names: Vec<_> = told(&nothing).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["x-forwarded-user", "x-forwarded-preferred-username"]);
        }
    }

    /// Whoever may name a group must not thereby make its members members of another.
    #[test]
    fn no_name_forges_another() {
        let names = [
            "a,admins",
            "admins ",
            " admins",
            "admins\t",
            "\"admins\"",
            "admins;q=1",
            "admins\r\nX-Forwarded-User: root",
            "admins\0",
            "ädmins",
            "%61dmins",
            "admins%2C",
            "back\\slash",
            "   ",
            "Site Admins",
            "管理者",
            "\u{202e}snimda",
        ];
        let told = told(&person("x,y\n", None, &names));
        let [_, (_, groups), (_, login)] = &told[..] else { panic!("{told:?}") };
        assert!(groups.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{groups}");
        assert!(!groups.contains(['"', ';', '\\']), "{groups}");
        let entries: Vec<&str> = groups.split(',').map(str::trim).collect();
        assert!(!entries.contains(&"admins"), "{groups}");
        let decoded: Vec<_> =
            entries.iter().map(|entry| percent_decode_str(entry).decode_utf8().unwrap()).collect();
        assert_eq!(decoded, names);
        assert_eq!(login, "x%2Cy%0A");
    }
}
