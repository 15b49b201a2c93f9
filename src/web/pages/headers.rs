//! Security headers of pages, in one place.
//!
//! Invariant: a page may do only what it is listed for here: it runs no script but our one file, and nobody frames it but
//! the origins that were named for it.
//!
//! `form-action` is left out where a form leads to a client: browsers apply it to every redirect that follows a post, the
//! client's own ones included, which nobody here can know. Forms hold nothing that could be aimed elsewhere: every value in
//! them is escaped.

use std::fmt::Write as _;

use http::{
    HeaderMap, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_FRAME_OPTIONS,
    },
};

use crate::proxy::shell::{self, POLICY};

/// Where a page's form goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// To us, from an address that holds no credential.
    Ours,
    /// To a client.
    Clients,
}

/// What a page may do beyond showing text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leave<'a> {
    /// Whether browsers are told to come to this host by https alone, see [`owns_host`].
    pub(super) https_only: bool,
    /// Runs this script, an absolute URL of ours.
    pub(super) script: Option<&'a str>,
    /// Has a form.
    pub(super) form: Option<Form>,
    /// These origins may frame it.
    pub(super) framed_by: &'a [String],
    /// Shows pictures from this origin.
    pub(super) picture: Option<&'a str>,
    /// Has its style from this absolute URL of ours, and its script asks us for more of the page.
    pub(super) console: Option<&'a str>,
}

/// Writes the headers of a page that nobody keeps.
pub(super) fn write(headers: &mut HeaderMap, leave: Leave<'_>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    shell::page_headers(headers);
    let mut policy = match leave.console {
        Some(style) => {
            format!(
                "default-src 'none'; style-src {style}; base-uri 'none'; connect-src 'self'; img-src data: 'self'"
            )
        }
        None => POLICY.clone(),
    };
    if let Some(origin) = leave.picture.filter(|origin| is_source(origin)) {
        let _ = write!(policy, " {origin}");
    }
    if let Some(script) = leave.script {
        let _ = write!(policy, "; script-src {script}");
    }
    if leave.form == Some(Form::Ours) {
        // Browsers that know no Fetch metadata (Safari before 16.4) send "null" as the origin of a form whose page says
        // "no-referrer", and such a post is refused. This too tells nobody else the address.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if leave.https_only {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    match (leave.form, leave.console) {
        (None, _) => policy.push_str("; form-action 'none'"),
        (Some(_), Some(_)) => policy.push_str("; form-action 'self'"),
        (Some(_), None) => {}
    }
    policy.push_str("; frame-ancestors");
    let framed_by = || leave.framed_by.iter().filter(|origin| is_source(origin));
    if framed_by().next().is_some() {
        // The older header knows no list (RFC 7034 section 2.1) and would refuse them all.
        headers.remove(X_FRAME_OPTIONS);
        for origin in framed_by() {
            let _ = write!(policy, " {origin}");
        }
    } else {
        policy.push_str(" 'none'");
    }
    // Should it ever not be a header, the policy that allows nothing stays.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// Whether browsers may be told to come to the host of this address of ours by https alone (RFC 6797). That holds for every
/// port of the host, so only where ours is the port that they take by themselves, and never for `localhost`, where anything
/// else may run; for an address without a name it means nothing (section 8.1.1).
pub(super) fn owns_host(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    let is_local = host == "localhost" || host.ends_with(".localhost");
    !host.is_empty() && !is_address && !is_local && !host.contains(':')
}

/// Whether an origin can stand in a policy as it is (CSP Level 3 section 2.3.1 has no IPv6 addresses), and means itself.
fn is_source(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(leave: Leave<'_>) -> (String, bool) {
        let mut headers = HeaderMap::new();
        write(&mut headers, leave);
        assert_eq!(headers["cache-control"], "no-store");
        let ours = leave.form == Some(Form::Ours);
        assert_eq!(headers["referrer-policy"], if ours { "same-origin" } else { "no-referrer" });
        assert_eq!(headers.get_all("referrer-policy").iter().count(), 1);
        let transport = headers.get("strict-transport-security").map(|value| value.to_str().unwrap());
        assert_eq!(transport, leave.https_only.then_some("max-age=31536000"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let rest = policy.split_once("base-uri 'none'; ").unwrap().1.to_owned();
        (rest, headers.get("x-frame-options").is_some_and(|v| v == "DENY"))
    }

    #[test]
    fn a_page_may_do_what_it_was_given_leave_for() {
        assert_eq!(
            policy(Leave::default()),
            ("img-src data:; form-action 'none'; frame-ancestors 'none'".into(), true)
        );
        for form in [Form::Ours, Form::Clients] {
            let form = Leave { form: Some(form), https_only: true, ..Leave::default() };
            assert_eq!(policy(form), ("img-src data:; frame-ancestors 'none'".into(), true));
        }
        let framed_by = ["https://a.example".to_owned(), "http://localhost:8080".to_owned()];
        let login = Leave {
            form: Some(Form::Ours),
            script: Some("https://g/x.js"),
            framed_by: &framed_by,
            ..Leave::default()
        };
        let expected =
            "img-src data:; script-src https://g/x.js; frame-ancestors https://a.example http://localhost:8080".to_owned();
        assert_eq!(policy(login), (expected, false));
    }

    #[test]
    fn a_host_is_ours_when_nothing_else_can_be_on_it() {
        for ours in ["https://gate.example/hub", "https://gate", "https://1.gate.example/"] {
            assert!(owns_host(ours), "{ours}");
        }
        for not in [
            "https://gate.example:8443/hub",
            "http://gate.example/hub",
            "https://localhost/hub",
            "https://a.localhost",
            "https://192.0.2.1/hub",
            "https://[2001:db8::1]/hub",
            "https:///hub",
            "",
        ] {
            assert!(!owns_host(not), "{not}");
        }
    }

    #[test]
    fn what_is_no_origin_gets_no_leave() {
        for bad in [
            "",
            "*",
            "https:",
            "https://",
            "https://*",
            "https://*.example",
            "https://a;script-src",
            "https://a,b",
            "https://[::1]",
            "https://a b",
            "data://a",
            "null",
            "'self'",
        ] {
            let framed_by = [bad.to_owned()];
            let leave = Leave { framed_by: &framed_by, ..Leave::default() };
            assert_eq!(
                policy(leave),
                ("img-src data:; form-action 'none'; frame-ancestors 'none'".into(), true),
                "{bad}"
            );
        }
    }
}
