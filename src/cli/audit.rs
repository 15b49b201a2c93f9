//! `hubgate audit …`

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Registry,
    output::{self, Failure, say, table},
    users::named,
    with_registry_to_read,
};
use crate::{
    base::time::Timestamp,
    model::event::{Author, AuthorKind, Event, EventKind, FieldChange, TargetKind},
    store::events::{ChainHash, EventFilter, EventPage, Verified},
};

/// Events that are read at once.
const PAGE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List what has happened, the newest first.
    List(ListArgs),
    /// Recompute every hash of the log; exit status 1 at the first event that is not what was recorded.
    Verify {
        /// A head that was noted elsewhere before: must still be a part of the log.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Not before: a moment like 2026-11-21 or 2026-11-21T20:12:00Z, or an age like 12h.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// By or about this user: login, e-mail address or id.
    #[arg(long)]
    user: Option<String>,
    /// About this: user, group, service, signingKey, …; or the id of one.
    #[arg(long, value_name = "KIND|ID")]
    target: Option<String>,
    /// What happened: created, updated, deleted, banned, signedIn, signInRefused, …
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// At most so many; 0: all.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    top: u64,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(file: &Path, command: AuditCommand) -> Result<(), Failure> {
    with_registry_to_read(file, async |r| match command {
        AuditCommand::List(args) => list(&r, args).await,
        AuditCommand::Verify { head, json } => verify(&r, head.as_deref(), json).await,
    })
}

/// One of these names, or what there is to choose from.
fn chosen<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, Failure> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        Failure::Plain(format!("there is no type {text:?}; there are {}", names.join(", ")))
    })
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Ok(at);
    }
    let age = super::duration(text).map_err(|_| {
        Failure::Plain(format!(
            "{text:?} is neither a moment (2026-11-21, 2026-11-21T20:12:00Z) nor an age (12h)"
        ))
    })?;
    Ok(now.minus(age))
}

async fn list(r: &Registry, args: ListArgs) -> Result<(), Failure> {
    let target_kind = args.target.as_deref().and_then(TargetKind::parse);
    let concerning = match &args.user {
        // Whoever is gone is still in the log by id.
        Some(user) => match named(r, user).await {
            Ok(user) => Some(user.id),
            Err(failure) => {
                let id = crate::base::id::UserId::parse(user)?;
                let filter = EventFilter { concerning: Some(id.clone()), ..EventFilter::default() };
                if r.store.count_events(&filter, 1).await? == 0 {
                    return Err(failure);
                }
                Some(id)
            }
        },
        None => None,
    };
    let filter = EventFilter {
        kind: args.kind.as_deref().map(|kind| chosen(EventKind::ALL, EventKind::name, kind)).transpose()?,
        target: args.target.filter(|_| target_kind.is_none()),
        target_kind,
        concerning,
        since: args.since.as_deref().map(|text| since(text, r.clock.now())).transpose()?,
        author: None,
    };
    let mut left = if args.top == 0 { u64::MAX } else { args.top };
    let mut found: Vec<Event> = Vec::new();
    while left > 0 {
        let before = found.last().map(|event| event.sequence);
        let page = EventPage { before, skip: 0, top: left.min(PAGE) };
        let events = r.store.list_events(&filter, page).await?;
        if events.is_empty() {
            break;
        }
        left = left.saturating_sub(events.len() as u64);
        found.extend(events);
    }
    if args.json {
        return output::json(&found.iter().map(as_json).collect::<Vec<_>>());
    }
    table(&HEADING, &found.iter().map(row).collect::<Vec<_>>(), "Nothing of that has happened.")
}

const HEADING: [&str; 6] = ["NUMBER", "WHEN", "TYPE", "WHAT", "BY", "CHANGES"];

fn row(event: &Event) -> Vec<String> {
    let name = |presentation: &str, id: &str| {
        if presentation.is_empty() { id.to_owned() } else { presentation.to_owned() }
    };
    let target =
        format!("{} {}", event.target.kind.name(), name(&event.target.presentation, &event.target.id));
    let changes = if event.erased {
        "(erased)".to_owned()
    } else {
        event.changes.iter().map(change).collect::<Vec<_>>().join(", ")
    };
    let when = event.at.to_string();
    vec![event.sequence.to_string(), when, event.kind.name().to_owned(), target, by(&event.author), changes]
        .into_iter()
        .map(|cell| printable(&cell))
        .collect()
}

fn by(author: &Author) -> String {
    let id = author.id.as_deref().unwrap_or_default();
    let name = if author.presentation.is_empty() { id } else { &author.presentation };
    let kind = match author.kind {
        AuthorKind::User => String::new(),
        other => format!("{} ", other.name()),
    };
    let source = author.source.map(|source| format!(" from {source}")).unwrap_or_default();
    format!("{kind}{name}{source}").trim().to_owned()
}

fn change(change: &FieldChange) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{}: {} → {}", change.field, value(before), value(after)),
        (None, Some(after)) => format!("{}: {}", change.field, value(after)),
        (Some(before), None) => format!("{}: {} → nothing", change.field, value(before)),
        (None, None) => change.field.clone(),
    }
}

/// Names come from outside, and some characters give orders to a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn as_json(event: &Event) -> Value {
    json!({
        "id": event.sequence,
        "timestamp": event.at.millis(),
        "type": event.kind.name(),
        "targetType": event.target.kind.name(),
        "targetId": event.target.id,
        "targetPresentation": event.target.presentation,
        "user": event.target.owner,
        "authorType": event.author.kind.name(),
        "author": event.author.id,
        "authorPresentation": event.author.presentation,
        "request": event.author.request,
        "source": event.author.source,
        "changes": event.changes,
        "erased": event.erased,
    })
}

async fn verify(r: &Registry, head: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let noted = match head {
        None => None,
        Some(text) => Some(ChainHash::parse(text.trim()).ok_or_else(|| {
            Failure::Plain(
                "a head has 64 hexadecimal digits, as `hubgate audit verify` prints them".to_owned(),
            )
        })?),
    };
    let verified = r.store.verify_events(noted).await?;
    let Verified { events, erased, head, noted: found, broken } = &verified;
    if as_json {
        let broken = broken.as_ref().map(|b| json!({"event": b.sequence, "reason": b.why}));
        output::json(&json!({
            "events": events, "erased": erased, "head": head.to_string(), "noted": found, "broken": broken,
        }))?;
    }
    if let Some(broken) = broken {
        let text = format!("the audit log breaks at event {}: {}", broken.sequence, broken.why);
        return Err(Failure::Plain(format!("{text}; {events} events before it hold, head {head}")));
    }
    if noted.is_some() && found.is_none() {
        let text =
            format!("the log holds by itself ({events} events, head {head}) but the noted head is not in it");
        return Err(Failure::Plain(format!("{text}: events were removed or the log was rewritten")));
    }
    if as_json {
        return Ok(());
    }
    let erased = if *erased > 0 { format!(", {erased} of them erased") } else { String::new() };
    say(&format!("{events} events hold{erased}."))?;
    say(&format!("head  {head}"))?;
    match found {
        Some(sequence) => say(&format!(
            "The noted head is event {sequence}: nothing up to it was changed, and nothing removed."
        )),
        None => say(
            "Note the head elsewhere: who owns the database can rewrite all of it, or cut off its end, and only \
             `hubgate audit verify --head` with a head that was noted before shows that.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_ages() {
        let now = Timestamp::from_seconds(1_000_000);
        assert_eq!(since("1h", now).unwrap(), Timestamp::from_seconds(996_400));
        assert_eq!(since("1970-01-02", now).unwrap(), Timestamp::from_seconds(86_400));
        for wrong in ["", "yesterday", "1970-13-01", "-5h"] {
            since(wrong, now).unwrap_err();
        }
    }

    #[test]
    fn nothing_that_is_shown_gives_orders_to_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}\n"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
    }
}
