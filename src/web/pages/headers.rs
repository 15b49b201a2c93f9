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
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS},
};

use crate::proxy::shell::{self, POLICY};

/// What a page may do beyond showing text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leave<'a> {
    /// Runs this script, an absolute URL of ours.
    pub(super) script: Option<&'a str>,
    /// Has a form.
    pub(super) form: bool,
    /// These origins may frame it.
    pub(super) framed_by: &'a [String],
}

/// Writes the headers of a page that nobody keeps.
pub(super) fn write(headers: &mut HeaderMap, leave: Leave<'_>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    shell::page_headers(headers);
    let mut policy = POLICY.clone();
    if let Some(script) = leave.script {
        let _ = write!(policy, "; script-src {script}");
    }
    if !leave.form {
        policy.push_str("; form-action 'none'");
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
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let rest = policy.split_once("base-uri 'none'; ").unwrap().1.to_owned();
        (rest, headers.get("x-frame-options").is_some_and(|v| v == "DENY"))
    }

    #[test]
    fn a_page_may_do_what_it_was_given_leave_for() {
        assert_eq!(policy(Leave::default()), ("form-action 'none'; frame-ancestors 'none'".into(), true));
        let form = Leave { form: true, ..Leave::default() };
        assert_eq!(policy(form), ("frame-ancestors 'none'".into(), true));
        let framed_by = ["https://a.example".to_owned(), "http://localhost:8080".to_owned()];
        let login = Leave { form: true, script: Some("https://g/x.js"), framed_by: &framed_by };
        let expected =
            "script-src https://g/x.js; frame-ancestors https://a.example http://localhost:8080".to_owned();
        assert_eq!(policy(login), (expected, false));
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
            assert_eq!(policy(leave), ("form-action 'none'; frame-ancestors 'none'".into(), true), "{bad}");
        }
    }
}
