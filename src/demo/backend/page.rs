//! The page: the issues, and what the gateway told the tracker about whoever asked.
//!
//! Invariant: the page runs no script and loads nothing; its Content-Security-Policy holds it to that.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
};
use serde_json::Value;

use super::{
    Site,
    identity::{Credential, Identity, Sender},
    reply::{Refusal, guard},
    tracker::{Issue, State as IssueState},
};
use crate::base::time::Timestamp;

const STYLE: &str = include_str!("../templates/backend.css");
const ICON: &str = include_str!("../templates/backend.svg");

/// The newest issues that the page shows.
const SHOWN: usize = 50;

/// The page's Content-Security-Policy: its one style sheet by digest, its icon, nothing else.
pub(super) struct Policy(Option<HeaderValue>);

impl Policy {
    pub(super) fn new() -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            STANDARD.encode(digest)
        );
        Self(HeaderValue::from_str(&policy).ok())
    }
}

/// `GET /`
pub(super) async fn show(State(site): State<Arc<Site>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let identity = Identity::of(&headers);
    let now = site.clock.now();
    let issues = site.tracker().find("", 0, SHOWN).into_iter().map(|i| Row::of(i, now)).collect::<Vec<_>>();
    let (claims, credential) = match &identity.credential {
        Credential::Absent => (Vec::new(), "None. The request carried no token, or the gateway kept it."),
        Credential::Claims(claims) => (claims.iter().map(|(n, v)| Claim::of(n, v)).collect(), ""),
        Credential::Opaque => {
            (Vec::new(), "A bearer token that cannot be read from outside. It is not shown.")
        }
        Credential::Other => (Vec::new(), "Something other than one bearer token. It is not shown."),
    };
    let page = Page {
        style: STYLE,
        icon: format!("data:image/svg+xml;base64,{}", STANDARD.encode(ICON)),
        api: format!("{}/api", site.sample.prefix),
        sender: &identity.sender,
        open: issues.iter().filter(|i| i.state != IssueState::Fixed.name()).count(),
        issues,
        headers: &identity.headers,
        claims,
        credential,
    };
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "sample backend: the page could not be rendered");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered")
    })?;
    let mut response = html.into_response();
    guard(&mut response);
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static("text/html;charset=UTF-8"));
    answer.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(policy) = &site.page.0 {
        answer.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    Ok(response)
}

#[derive(Template)]
#[template(path = "backend.html")]
struct Page<'a> {
    style: &'static str,
    icon: String,
    api: String,
    sender: &'a Sender,
    open: usize,
    issues: Vec<Row>,
    headers: &'a [(String, String)],
    claims: Vec<Claim>,
    credential: &'static str,
}

struct Row {
    id: String,
    summary: String,
    description: String,
    state: &'static str,
    /// The state as a class of the style sheet.
    tone: &'static str,
    priority: &'static str,
    reporter: String,
    updated: String,
    age: String,
    comments: Vec<Note>,
}

struct Note {
    author: String,
    text: String,
    created: String,
    age: String,
}

impl Row {
    fn of(issue: &Issue, now: Timestamp) -> Self {
        let note = |c: &super::tracker::Comment| Note {
            author: c.author.clone(),
            text: c.text.clone(),
            created: c.created.rfc3339(),
            age: age(c.created, now),
        };
        Self {
            id: issue.readable_id(),
            summary: issue.summary.clone(),
            description: issue.description.clone(),
            state: issue.state.name(),
            tone: match issue.state {
                IssueState::Open => "open",
                IssueState::InProgress => "busy",
                IssueState::Fixed => "done",
            },
            priority: issue.priority,
            reporter: issue.reporter.clone(),
            updated: issue.updated.rfc3339(),
            age: age(issue.updated, now),
            comments: issue.comments.iter().map(note).collect(),
        }
    }
}

/// One claim of the token; times also as people read them.
struct Claim {
    name: String,
    value: String,
    meaning: Option<String>,
}

impl Claim {
    fn of(name: &str, value: &Value) -> Self {
        let time = matches!(name, "exp" | "iat" | "nbf" | "auth_time");
        Self {
            name: name.to_owned(),
            value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            // The seconds come from outside: only years that a calendar shows in four digits.
            meaning: value
                .as_i64()
                .filter(|seconds| time && (0..253_402_300_800).contains(seconds))
                .map(|seconds| Timestamp::from_seconds(seconds).rfc3339().replace(".000Z", "Z")),
        }
    }
}

/// `3 days ago`
fn age(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.since(then).as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "just now".to_owned(),
        1..60 => (minutes, "minute"),
        60..1440 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ages_are_counted_in_the_largest_unit() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, text) in [
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (7200, "2 hours ago"),
            (86_400, "1 day ago"),
            (300_000, "3 days ago"),
        ] {
            assert_eq!(age(now.minus(Duration::from_secs(seconds)), now), text);
        }
        assert_eq!(age(now.plus(Duration::from_secs(9)), now), "just now");
    }

    #[test]
    fn times_among_the_claims_are_spelled_out() {
        let claim = Claim::of("exp", &Value::from(951_782_400));
        assert_eq!(claim.meaning.as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(Claim::of("exp", &Value::from(i64::MAX)).meaning, None);
        assert_eq!(Claim::of("level", &Value::from(951_782_400)).meaning, None);
        assert_eq!(Claim::of("sub", &Value::from("robot")).value, "robot");
    }
}
