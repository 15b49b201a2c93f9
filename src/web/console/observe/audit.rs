//! `GET …/admin/audit`: who changed what, filtered, page by page; and the same to take away, as CSV and as JSON Lines.
//!
//! Invariants: nothing is changed here; what is taken away opens in a spreadsheet without running anything.
//!
//! RFC 4180.

use askama::Template;
use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde_json::{Value, json};

use super::{
    audit_words::{about, author, kind, kind_alone, target},
    form::{Fields, Mistakes},
    parts::{Frame, Input, Pager, ROWS, Section, Select},
    visit::{Administrator, Visit},
};
use crate::{
    base::{id::UserId, time::Timestamp},
    model::event::{Event, EventKind, TargetKind},
    store::{
        StoreError,
        events::{EventFilter, EventPage},
    },
    web::{Control, reply, rest::wanted_events},
};

/// Events of an export; the log itself is read with `hubgate audit list`.
const MOST: u64 = 20_000;

/// Events that are read at once.
const AT_ONCE: u64 = 500;

/// Events that are counted for the pager.
const COUNTED: u64 = 100_000;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(Section::Audit.path(), get(page).fallback(reply::only_get))
        .route("/admin/audit.csv", get(csv).fallback(reply::only_get))
        .route("/admin/audit.jsonl", get(lines).fallback(reply::only_get))
}

#[derive(Template)]
#[template(path = "console/audit.html")]
struct Page<'a> {
    frame: Frame,
    what: Select<'a>,
    about: Select<'a>,
    who: Input<'a>,
    since: Input<'a>,
    query: Input<'a>,
    filtered: bool,
    queried: bool,
    /// The query of this page, for the exports.
    same: String,
    rows: Vec<Row>,
    pager: Option<Pager>,
}

/// An event.
struct Row {
    at: Timestamp,
    kind: &'static str,
    about: String,
    presentation: String,
    author: String,
    source: Option<String>,
    changes: Vec<(String, Option<String>, Option<String>)>,
    erased: bool,
}

impl Row {
    fn of(visit: &Visit, event: &Event) -> Self {
        let t = visit.t;
        let text = |value: &Option<Value>| match value {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let changes = event.changes.iter().map(|c| (c.field.clone(), text(&c.before), text(&c.after)));
        Self {
            at: event.at,
            kind: kind(t, event.kind),
            about: target(t, event.target.kind).to_owned(),
            presentation: about(event),
            author: author(t, event),
            source: event.author.source.map(|source| t.audit_from(source)),
            changes: changes.collect(),
            erased: event.erased,
        }
    }
}

/// What the fields of a query ask for.
async fn filter(visit: &Visit, query: &Fields, mistakes: &mut Mistakes) -> Result<EventFilter, StoreError> {
    let mut filter = match wanted_events(query.text("query")) {
        Ok(filter) => filter,
        Err(why) => {
            mistakes.add("query", why);
            EventFilter::default()
        }
    };
    filter.kind = query.given("type").and_then(EventKind::parse).or(filter.kind);
    filter.target_kind = query.given("about").and_then(TargetKind::parse).or(filter.target_kind);
    if let Some(who) = query.given("who") {
        // Whoever is gone is still in the log by id.
        let known = visit.control.store.find_user_by_name(who).await?.map(|user| user.id);
        match known.or_else(|| UserId::parse(who).ok()) {
            Some(id) => filter.concerning = Some(id),
            None => mistakes.add("who", visit.t.audit_unknown_user()),
        }
    }
    if let Some(since) = query.given("since") {
        match Timestamp::parse_rfc3339(since)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{since}T00:00:00Z")))
        {
            Some(at) => filter.since = Some(at),
            None => mistakes.add("since", visit.t.audit_bad_date()),
        }
    }
    Ok(filter)
}

async fn page(Administrator(visit): Administrator) -> Response {
    let query = visit.query();
    let mut mistakes = Mistakes::default();
    match found(&visit, &query, &mut mistakes).await {
        Ok((rows, pager)) => visit.show(&view(&visit, &query, &mistakes, (rows, pager))),
        Err(error) => visit.store_failed(&error),
    }
}

async fn found(
    visit: &Visit,
    query: &Fields,
    mistakes: &mut Mistakes,
) -> Result<(Vec<Row>, Option<Pager>), StoreError> {
    let filter = filter(visit, query, mistakes).await?;
    if !mistakes.is_empty() {
        return Ok((Vec::new(), None));
    }
    let store = &visit.control.store;
    let total = usize::try_from(store.count_events(&filter, COUNTED).await?).unwrap_or(0);
    let skip = query.number("skip").unwrap_or(0).min(total);
    let part = EventPage { before: None, skip: skip as u64, top: ROWS as u64 };
    let events = store.list_events(&filter, part).await?;
    let path = visit.link(Section::Audit.path());
    let pager = Pager::new(visit.t, &path, query, (skip, events.len()), Some(total), false);
    Ok((events.iter().map(|event| Row::of(visit, event)).collect(), Some(pager)))
}

fn view<'a>(
    visit: &Visit,
    query: &'a Fields,
    mistakes: &'a Mistakes,
    (rows, pager): (Vec<Row>, Option<Pager>),
) -> Page<'a> {
    let t = visit.t;
    let any = std::iter::once(("", t.audit_any()));
    let kinds =
        any.clone().chain(EventKind::ALL.iter().map(|one| (one.name(), kind_alone(t, *one)))).collect();
    let targets = any.chain(TargetKind::ALL.iter().map(|one| (one.name(), target(t, *one)))).collect();
    let mut same = form_urlencoded::Serializer::new(String::new());
    same.extend_pairs(
        query.pairs().filter(|(name, value)| !value.is_empty() && !matches!(*name, "skip" | "done")),
    );
    let same = same.finish();
    Page {
        frame: visit.frame(Section::Audit),
        what: Select::new("type", t.audit_what(), kinds, query.text("type")),
        about: Select::new("about", t.audit_about(), targets, query.text("about")),
        who: Input::text(t, "who", t.audit_who(), query.text("who"))
            .optional()
            .hint(t.audit_who_hint())
            .checked(mistakes),
        since: Input::text(t, "since", t.audit_since(), query.text("since"))
            .kind("date")
            .optional()
            .checked(mistakes),
        query: Input::text(t, "query", t.audit_query(), query.text("query"))
            .optional()
            .hint(t.audit_query_hint())
            .checked(mistakes),
        queried: query.given("query").is_some(),
        filtered: !same.is_empty(),
        same: if same.is_empty() { same } else { format!("?{same}") },
        rows,
        pager,
    }
}

/// The latest events that a query asks for, each written by `write` after `text`.
async fn export(visit: &Visit, mut text: String, write: fn(&mut String, &Event)) -> Result<String, Response> {
    let mut mistakes = Mistakes::default();
    let failed = |error: StoreError| visit.store_failed(&error);
    let filter = filter(visit, &visit.query(), &mut mistakes).await.map_err(failed)?;
    if !mistakes.is_empty() {
        // The page says what is wrong.
        let query = visit.uri.query().unwrap_or_default();
        return Err(visit.go(&format!("{}?{query}", Section::Audit.path())));
    }
    let _room = visit.control.listings.acquire().await;
    let (mut left, mut before) = (MOST, None);
    while left > 0 {
        let part = EventPage { before, skip: 0, top: AT_ONCE.min(left) };
        let events = visit.control.store.list_events(&filter, part).await.map_err(failed)?;
        let Some(last) = events.last() else { break };
        before = Some(last.sequence);
        left -= u64::try_from(events.len()).unwrap_or(left).min(left);
        for event in &events {
            write(&mut text, event);
        }
    }
    Ok(text)
}

fn file(kind: &'static str, name: &'static str, text: Result<String, Response>, visit: &Visit) -> Response {
    let text = match text {
        Ok(text) => text,
        Err(response) => return response,
    };
    let mut response = Body::from(text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply::name(response, &visit.caller)
}

async fn csv(Administrator(visit): Administrator) -> Response {
    const HEADING: &str = "id,time,type,targetType,targetId,target,authorType,authorId,author,user,request,source,changes,erased\r\n";
    let text = export(&visit, HEADING.to_owned(), row).await;
    file(
        "text/csv; charset=utf-8; header=present",
        "attachment; filename=\"hubgate-audit.csv\"",
        text,
        &visit,
    )
}

async fn lines(Administrator(visit): Administrator) -> Response {
    let write = |text: &mut String, event: &Event| {
        text.push_str(&object(event).to_string());
        text.push('\n');
    };
    let text = export(&visit, String::new(), write).await;
    file("application/jsonl; charset=utf-8", "attachment; filename=\"hubgate-audit.jsonl\"", text, &visit)
}

/// An event as an object.
fn object(event: &Event) -> Value {
    json!({
        "id": event.sequence,
        "time": event.at.rfc3339(),
        "type": event.kind.name(),
        "targetType": event.target.kind.name(),
        "targetId": event.target.id,
        "target": event.target.presentation,
        "authorType": event.author.kind.name(),
        "authorId": event.author.id,
        "author": event.author.presentation,
        "user": event.target.owner.as_ref().map(UserId::as_str),
        "request": event.author.request,
        "source": event.author.source.map(|source| source.to_string()),
        "changes": event.changes,
        "erased": event.erased,
    })
}

/// An event as a line of CSV.
fn row(text: &mut String, event: &Event) {
    const CELLS: [&str; 14] = [
        "id",
        "time",
        "type",
        "targetType",
        "targetId",
        "target",
        "authorType",
        "authorId",
        "author",
        "user",
        "request",
        "source",
        "changes",
        "erased",
    ];
    let object = object(event);
    for (at, name) in CELLS.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match object.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) => cell(text, value),
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(other) => cell(text, &other.to_string()),
        }
    }
    text.push_str("\r\n");
}

/// A cell (RFC 4180 section 2). A spreadsheet takes what begins with one of these for a formula: an apostrophe in front makes
/// a text of it.
fn cell(text: &mut String, value: &str) {
    let defused = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if !defused && !value.contains([',', '"', '\r', '\n']) {
        text.push_str(value);
        return;
    }
    text.push('"');
    if defused {
        text.push('\'');
    }
    text.push_str(&value.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts_and_never_formulas() {
        for (value, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("=cmd|' /C calc'!A0,\"x\"", "\"'=cmd|' /C calc'!A0,\"\"x\"\"\""),
            ("a=1", "a=1"),
        ] {
            let mut text = String::new();
            cell(&mut text, value);
            assert_eq!(text, expected, "{value:?}");
        }
    }
}
