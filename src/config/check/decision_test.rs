//! `[[test]]`: requests and the decisions that they must get.

use http::Method;

use super::{
    rule::method,
    service::{LONGEST_NAME, service_id},
};
use crate::config::{
    DecisionTest, DeclaredUser, Expectation, TestToken,
    entry::Entry,
    reader::Section,
    schema, suggest,
    value::{Wrong, choice, host, words, wrong},
};

const EXPECTATIONS: [(&str, Expectation); 9] = [
    ("allowed", Expectation::Allowed),
    ("forbidden", Expectation::Forbidden),
    ("unauthorized", Expectation::Unauthorized),
    ("public", Expectation::Public),
    ("would_refuse", Expectation::WouldRefuse),
    ("login", Expectation::Login),
    ("own", Expectation::Own),
    ("no_route", Expectation::NoRoute),
    ("bad_request", Expectation::BadRequest),
];

pub(super) fn tests(root: &Section<'_, '_>, text: &str, users: &[DeclaredUser]) -> Vec<DecisionTest> {
    root.repeated(&schema::TEST).iter().filter_map(|section| test(section, text, users)).collect()
}

fn test(section: &Section<'_, '_>, text: &str, users: &[DeclaredUser]) -> Option<DecisionTest> {
    let (line, column) = section.place.position(text);
    let help = r#"write a method and a path: request = "GET /youtrack""#;
    let request = section.required("request", help).and_then(|value| value.parse(request));
    let expect = section
        .required("expect", r#"write the decision that it must get: expect = "allowed""#)
        .and_then(|value| value.parse(expectation));
    let token = section.get("token").and_then(|value| {
        let table = value.table(&schema::TOKEN);
        if table.is_none() {
            value.refuse(wrong("is not a table").help(r#"write { scope = ["youtrack"] }"#));
        }
        table
    });
    let token = token.map(|table| TestToken {
        client: table.parse("client", service_id),
        user: table.get("user").and_then(|value| user(&value, users)),
        scope: table.parse_list("scope", |text| words(text, LONGEST_NAME)).unwrap_or_default(),
    });
    let (method, host, path) = request?;
    Some(DecisionTest { line, column, method, host, path, token, expect: expect? })
}

/// The login of a declared user, spelled as it is declared: whom the file does not declare, nothing is known of here.
fn user(value: &Entry<'_, '_>, users: &[DeclaredUser]) -> Option<String> {
    value.parse(|text| {
        let same = |user: &&DeclaredUser| user.login.to_lowercase() == text.to_lowercase();
        users.iter().find(same).map(|user| user.login.clone()).ok_or_else(|| {
            let refusal = wrong(format!("names {text:?}, whom this file does not declare"));
            let near = suggest::nearest(text, users.iter().map(|user| user.login.as_str()));
            refusal.label("no such `[[user]]`").help(match near {
                Some(near) => format!("did you mean {near:?}?"),
                None => "tests know the groups of declared users only: add a `[[user]]`".to_owned(),
            })
        })
    })
}

fn expectation(text: &str) -> Result<Expectation, Wrong> {
    choice(text, &EXPECTATIONS)
}

/// `GET /path` or `GET https://host/path`. The path stays as it is: odd ones are what such tests are for.
fn request(text: &str) -> Result<(Method, Option<String>, String), Wrong> {
    let refuse = |label: &str| {
        wrong("is not a request").label(label).help(r#"write a method and a path or address: "GET /youtrack" or "GET https://issues.example.org/youtrack""#)
    };
    let (name, target) = text.split_once(' ').ok_or_else(|| refuse("no space between method and path"))?;
    let method = method(name)?;
    if target.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(refuse("white space in the path"));
    }
    if target.starts_with('/') {
        return Ok((method, None, target.to_owned()));
    }
    let rest = target
        .strip_prefix("https://")
        .ok_or_else(|| refuse("the path begins with neither / nor https://"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && port.parse::<u16>().is_ok() => name,
        _ => authority,
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    Ok((method, Some(host(&name)?), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_split_and_kept() {
        let read = |text: &str| request(text).map(|(method, host, path)| (method.to_string(), host, path));
        let made = |method: &str, host: Option<&str>, path: &str| {
            Ok((method.into(), host.map(Into::into), path.into()))
        };
        assert_eq!(read("GET /a/%2e%2e/b?x=1"), made("GET", None, "/a/%2e%2e/b?x=1"));
        assert_eq!(read("DELETE https://A.example:8443/x"), made("DELETE", Some("a.example"), "/x"));
        assert_eq!(read("GET https://a.example.:8443/x"), made("GET", Some("a.example"), "/x"));
        assert_eq!(read("GET https://[::1]:8443"), made("GET", Some("[::1]"), "/"));
        for bad in [
            "",
            "GET",
            "/x",
            "GET x",
            "get /x",
            "GET /a b",
            "GET http://a/x",
            "GET https:///x",
            "GET  /x",
            "GET https://u@a/x",
            "GET https://a../x",
            "GET https://./x",
        ] {
            assert!(request(bad).is_err(), "{bad:?}");
        }
    }
}
