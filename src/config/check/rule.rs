//! `[[upstream.rule]]`: exceptions to "a token with this service in scope".

use http::Method;

use super::{
    limits,
    service::{LONGEST_NAME, expect_client, expect_service, service_id},
};
use crate::config::{
    Access, DeclaredService, Rule,
    entry::Entry,
    reader::Section,
    schema,
    value::{self, Wrong, choice, words, wrong},
};

/// `hosts`: that of the upstream, if it has one, and that of `public_url`.
pub(super) fn rules(
    upstream: &Section<'_, '_>,
    prefix: &str,
    hosts: (Option<&str>, Option<&str>),
    services: &[DeclaredService],
) -> Vec<Rule> {
    let sections = upstream.repeated(&schema::RULE);
    let mut rules: Vec<Option<Rule>> = Vec::new();
    for section in &sections {
        let rule = rule(section, prefix, hosts, services);
        if let Some(rule) = &rule {
            expect_reached(section, rule, &rules);
        }
        rules.push(rule);
    }
    rules.into_iter().flatten().collect()
}

/// The first rule that matches decides, so one that matches nothing but what those before it match is never looked at.
fn expect_reached(section: &Section<'_, '_>, rule: &Rule, before: &[Option<Rule>]) {
    let known = before.iter().enumerate().filter_map(|(at, rule)| Some((at + 1, rule.as_ref()?)));
    let wider: Vec<_> = known.filter(|(_, earlier)| earlier.path.covers(&rule.path)).collect();
    let has = |earlier: &Rule, method| earlier.methods.is_empty() || earlier.methods.contains(method);
    // Every method, where it names none.
    let all = |earlier: &Rule| match rule.methods.as_slice() {
        [] => earlier.methods.is_empty(),
        methods => methods.iter().all(|method| has(earlier, method)),
    };
    let label = if let Some((number, earlier)) = wider.iter().find(|(_, earlier)| all(earlier)) {
        format!("rule {number} of this upstream, {:?}, takes all of it", earlier.path.to_string())
    } else if !rule.methods.is_empty()
        && rule.methods.iter().all(|method| wider.iter().any(|(_, earlier)| has(earlier, method)))
    {
        "the rules before it take each of its methods".to_owned()
    } else {
        return;
    };
    if let Some(path) = section.get("path") {
        let help = "the first rule that fits decides: put this one before it, or take it out";
        path.doubt(wrong("is never looked at").label(label).help(help));
    }
}

fn rule(
    section: &Section<'_, '_>,
    prefix: &str,
    hosts: (Option<&str>, Option<&str>),
    services: &[DeclaredService],
) -> Option<Rule> {
    let below = format!("{}/**", prefix.trim_end_matches('/'));
    let help = format!("name the paths that it is about: path = \"{below}\"");
    let path = section.required("path", &help).and_then(|value| {
        let pattern = value.parse(value::pattern)?;
        if !value::within(&pattern, prefix) {
            let label = format!("the upstream's path is {prefix:?}");
            value.refuse(
                wrong("reaches beyond its upstream")
                    .label(label)
                    .help(format!("begin it with {prefix:?}, for example {below:?}")),
            );
        }
        Some(pattern)
    });
    let name = |item: &Entry<'_, '_>| item.parse(|text| words(text, LONGEST_NAME));
    let methods = members(section, "methods", |item| item.parse(forwarded));
    let groups = members(section, "groups", name);
    let users = members(section, "users", name);
    let clients = members(section, "clients", |item| {
        let id = item.parse(service_id)?;
        expect_client(item, &id, services);
        Some(id)
    });
    let scope = members(section, "scope", |item| {
        let name = name(item)?;
        expect_service(item, &name, services);
        Some(name)
    });
    let access = section.parse("access", access).unwrap_or(Access::Token);
    let conditions: Vec<_> =
        ["groups", "users", "clients", "scope"].into_iter().filter_map(|key| section.get(key)).collect();
    if access == Access::Browser {
        expect_cookie(section, hosts);
    }
    if access == Access::Public {
        for condition in &conditions {
            condition.refuse(
                wrong("stands in a rule that lets everybody pass")
                    .label("never looked at")
                    .help("take it out, or write access = \"token\""),
            );
        }
    }
    let rates = limits::requests(section);
    Some(Rule { path: path?, methods, access, groups, users, clients, scope, rates })
}

/// A list that, once written, names somebody. Empty it would read as "nobody" and mean "everybody".
fn members<T>(
    section: &Section<'_, '_>,
    key: &'static str,
    read: impl Fn(&Entry<'_, '_>) -> Option<T>,
) -> Vec<T> {
    let Some(value) = section.get(key) else { return Vec::new() };
    let Some(items) = value.list() else { return Vec::new() };
    if items.is_empty() {
        value.refuse(
            wrong("is an empty list")
                .label("no condition at all")
                .help("name at least one, or take the key out"),
        );
    }
    items.iter().filter_map(read).collect()
}

fn access(text: &str) -> Result<Access, Wrong> {
    choice(text, &[("token", Access::Token), ("public", Access::Public), ("browser", Access::Browser)])
}

/// The session cookie is one of the host of `public_url` alone.
fn expect_cookie(section: &Section<'_, '_>, (host, public): (Option<&str>, Option<&str>)) {
    if let (Some(host), Some(public), Some(value)) = (host, public, section.get("access"))
        && host != public
    {
        value.refuse(
            wrong(format!("is \"browser\" at the host {host:?}, where browsers have no session"))
                .label(format!("the session cookie is for {public:?} alone, the host of `public_url`"))
                .help(r#"write access = "token", or serve this upstream below a path of that host"#),
        );
    }
}

/// A method that a rule can meet.
fn forwarded(text: &str) -> Result<Method, Wrong> {
    let method = method(text)?;
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(wrong("names a method that is never forwarded")
            .label(format!("{method} is answered with 405 before any rule is looked at"))
            .help("take it out; a WebSocket counts as GET, over HTTP/2 too"));
    }
    Ok(method)
}

/// Methods are compared with their case (RFC 9110 section 9.1), so `get` would never match.
pub(super) fn method(text: &str) -> Result<Method, Wrong> {
    let upper = text.to_ascii_uppercase();
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if text == upper => Ok(method),
        Ok(_) => Err(wrong("is not a method as clients send it")
            .label("methods are in capital letters")
            .help(format!("write {upper:?}"))),
        Err(_) => Err(wrong("is not an HTTP method").help(r#"write for example "GET" or "DELETE""#)),
    }
}
