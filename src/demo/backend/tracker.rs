//! The issues themselves.
//!
//! Invariant: texts, issues and comments are bounded, and an id, once given, names the same issue for ever.

mod seed;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::Refusal;
use crate::base::time::Timestamp;

const PROJECT: &str = "DEMO";
const MAX_ISSUES: usize = 500;
const MAX_COMMENTS: usize = 100;
const MAX_SUMMARY: usize = 200;
const MAX_TEXT: usize = 10_000;

/// One issue. Its number is its place in the tracker, counted from 1.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) number: usize,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) state: State,
    pub(super) priority: &'static str,
    pub(super) reporter: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) comments: Vec<Comment>,
}

/// One comment.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) author: String,
    pub(super) created: Timestamp,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    InProgress,
    Fixed,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::InProgress => "In progress",
            Self::Fixed => "Fixed",
        }
    }
}

/// The body of a new issue. Other members are passed over, as YouTrack does.
#[derive(Debug, Deserialize)]
pub(super) struct NewIssue {
    summary: String,
    #[serde(default)]
    description: String,
}

/// The body of a new comment.
#[derive(Debug, Deserialize)]
pub(super) struct NewComment {
    text: String,
}

/// All issues, oldest first.
#[derive(Debug)]
pub(super) struct Tracker(Vec<Issue>);

impl Tracker {
    /// The newest `top` issues after `skip` that contain `query` in id, summary or description, in any case.
    pub(super) fn find(&self, query: &str, skip: usize, top: usize) -> Vec<&Issue> {
        let query = query.trim().to_lowercase();
        let wanted = |issue: &&Issue| {
            query.is_empty()
                || issue.readable_id().to_lowercase() == query
                || issue.summary.to_lowercase().contains(&query)
                || issue.description.to_lowercase().contains(&query)
        };
        self.0.iter().rev().filter(wanted).skip(skip).take(top).collect()
    }

    /// The issue that `id` names: `DEMO-1`, in any case, or `2-1`.
    pub(super) fn read(&self, id: &str) -> Result<&Issue, Refusal> {
        place(id).and_then(|place| self.0.get(place)).ok_or_else(|| unknown(id))
    }

    pub(super) fn create(
        &mut self,
        new: &NewIssue,
        reporter: &str,
        now: Timestamp,
    ) -> Result<&Issue, Refusal> {
        let summary = text("summary", &new.summary, MAX_SUMMARY)?;
        if summary.contains(char::is_control) {
            return Err(Refusal::bad_request("summary is one line without control characters"));
        }
        let description = if new.description.trim().is_empty() {
            String::new()
        } else {
            text("description", &new.description, MAX_TEXT)?
        };
        if self.0.len() >= MAX_ISSUES {
            return Err(full(&format!("this sample keeps {MAX_ISSUES} issues")));
        }
        Ok(self.add(|number| Issue {
            number,
            summary,
            description,
            state: State::Open,
            priority: "Normal",
            reporter: reporter.to_owned(),
            created: now,
            updated: now,
            comments: Vec::new(),
        }))
    }

    pub(super) fn comment(
        &mut self,
        id: &str,
        new: &NewComment,
        author: &str,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let text = text("text", &new.text, MAX_TEXT)?;
        let issue = place(id).and_then(|place| self.0.get_mut(place)).ok_or_else(|| unknown(id))?;
        if issue.comments.len() >= MAX_COMMENTS {
            return Err(full(&format!("this sample keeps {MAX_COMMENTS} comments an issue")));
        }
        let comment = Comment { text, author: author.to_owned(), created: now };
        let answer = comment.to_json(issue.number, issue.comments.len());
        issue.comments.push(comment);
        issue.updated = now;
        Ok(answer)
    }

    /// Appends what `new` makes of the issue's number.
    fn add(&mut self, new: impl FnOnce(usize) -> Issue) -> &mut Issue {
        let number = self.0.len() + 1;
        self.0.push_mut(new(number))
    }
}

impl Issue {
    pub(super) fn readable_id(&self) -> String {
        format!("{PROJECT}-{}", self.number)
    }

    /// The issue as YouTrack's REST shows it.
    pub(super) fn to_json(&self) -> Value {
        let comments: Vec<_> =
            self.comments.iter().enumerate().map(|(place, c)| c.to_json(self.number, place)).collect();
        json!({
            "id": format!("2-{}", self.number), "idReadable": self.readable_id(),
            "project": { "shortName": PROJECT, "$type": "Project" },
            "summary": self.summary, "description": self.description,
            "state": self.state.name(), "priority": self.priority,
            "reporter": { "login": self.reporter, "$type": "User" },
            "created": self.created.millis(), "updated": self.updated.millis(),
            "commentsCount": self.comments.len(), "comments": comments, "$type": "Issue",
        })
    }
}

impl Comment {
    fn to_json(&self, issue: usize, place: usize) -> Value {
        json!({
            "id": format!("4-{issue}-{}", place + 1), "text": self.text,
            "author": { "login": self.author, "$type": "User" },
            "created": self.created.millis(), "$type": "IssueComment",
        })
    }
}

/// Where the issue that `id` names is kept, if it exists.
fn place(id: &str) -> Option<usize> {
    let (project, number) = id.split_once('-')?;
    if !(project.eq_ignore_ascii_case(PROJECT) || project == "2")
        || number.starts_with('0')
        || !number.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// A text that says something and fits.
fn text(name: &str, value: &str, most: usize) -> Result<String, Refusal> {
    let value = value.trim();
    let length = value.chars().count();
    if length == 0 || length > most {
        let message = format!("{name} has 1 to {most} characters, this one has {length}");
        return Err(Refusal::bad_request(message));
    }
    Ok(value.to_owned())
}

fn unknown(id: &str) -> Refusal {
    let shown: String = id.chars().take(40).collect();
    Refusal::new(StatusCode::NOT_FOUND, format!("Entity with id {shown} not found"))
}

fn full(what: &str) -> Refusal {
    Refusal::new(StatusCode::INSUFFICIENT_STORAGE, format!("{what}; restart it to begin anew"))
}
