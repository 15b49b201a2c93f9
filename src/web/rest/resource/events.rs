//! `events`: the audit log, to be read (hub-contract section 10.4).
//!
//! Invariant: nothing is changed here, and whoever administers the gateway alone reads it.

use http::Method;
use serde_json::Value;

use crate::{
    base::{id::UserId, time::Timestamp},
    model::event::{Event, EventKind, FieldChange, TargetKind},
    store::events::{EventFilter, EventPage},
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, read},
        operation::{Answering, Ask, Gives, Need, Operation, Takes},
        page::cannot_sort,
        permission::Permission,
        query::{self, Expr, Item, Word},
        search::{known_value, unknown_field, unknown_tuple},
    },
};

static CHANGE: Kind = Kind {
    name: "eventChange",
    entity: false,
    fields: &[
        read("field", Form::Text, "What has changed."),
        read("before", Form::Text, "What it was; lists and objects as JSON."),
        read("after", Form::Text, "What it is; lists and objects as JSON."),
    ],
};

static EVENT: Kind = Kind {
    name: "event",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its number in the log; `type` says what happened."),
        read("timestamp", Form::Time, "When."),
        read("targetType", Form::Text, "To what kind of thing."),
        read("targetId", Form::Text, "To the one with this id."),
        read("targetPresentation", Form::Text, "How people call it."),
        read("authorType", Form::Text, "What kind of author did it."),
        read("author", Form::Text, "The id of the user or service that did it."),
        read("authorPresentation", Form::Text, "How people call it."),
        read("changes", Form::Many(&CHANGE), "What has changed."),
        read("user", Form::Text, "The id of the user whom it concerns.").asked(),
        read("request", Form::Text, "The id of the request.").asked(),
        read("source", Form::Text, "The address that it came from.").asked(),
        read("erased", Form::Flag, "Whether personal data were taken out.").asked(),
    ],
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "events",
        summary: "The audit log, the newest first",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&EVENT),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::GET,
        path: "events/{id}",
        summary: "An event of the audit log",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&EVENT),
        parameters: &[],
        handler: one,
    },
];

/// Events that are counted for a page's `total`: counting all of a long log would cost more than the page.
const COUNTED: u64 = 100_000;

impl Object for FieldChange {
    fn kind(&self) -> &'static Kind {
        &CHANGE
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        let text = |value: &Option<Value>| match value {
            Some(Value::String(text)) => Some(text.as_str().into()),
            Some(other) => Some(other.to_string().into()),
            None => None,
        };
        match name {
            "field" => Some(self.field.as_str().into()),
            "before" => text(&self.before),
            "after" => text(&self.after),
            _ => None,
        }
    }
}

impl Object for Event {
    fn kind(&self) -> &'static Kind {
        &EVENT
    }

    fn type_name(&self) -> &'static str {
        self.kind.name()
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let shown = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        Some(match name {
            "id" => self.sequence.to_string().into(),
            "timestamp" => self.at.millis().into(),
            "targetType" => self.target.kind.name().into(),
            "targetId" => self.target.id.as_str().into(),
            "targetPresentation" => return shown(&self.target.presentation),
            "authorType" => self.author.kind.name().into(),
            "author" => self.author.id.as_deref()?.into(),
            "authorPresentation" => return shown(&self.author.presentation),
            "changes" => all_inside(&self.changes, fields),
            "user" => self.target.owner.as_ref()?.as_str().into(),
            "request" => self.author.request.as_deref()?.into(),
            "source" => self.author.source?.to_string().into(),
            "erased" => self.erased.into(),
            _ => return None,
        })
    }
}

/// The events that a query asks for, for those who do not come by REST.
///
/// # Errors
/// What is wrong with the query, in words.
pub(in crate::web) fn wanted(query: &str) -> Result<EventFilter, String> {
    let expr = query::parse(query).map_err(|error| error.to_string())?;
    filter(expr.as_ref()).map_err(|error| error.description().to_owned())
}

/// What a query asks for: fields that are joined by `and`, each once.
fn filter(expr: Option<&Expr>) -> Result<EventFilter, RestError> {
    let mut filter = EventFilter::default();
    let parts = match expr {
        None => &[],
        Some(Expr::And(parts)) => parts.as_slice(),
        Some(other) => std::slice::from_ref(other),
    };
    for part in parts {
        match part {
            Expr::Item(Item::Field(field, word)) => narrow(&mut filter, field, word)?,
            Expr::Item(Item::Has(what)) => return Err(known_value("has", what, "nothing")),
            Expr::Item(Item::Is(what)) => return Err(known_value("is", what, "nothing")),
            Expr::Item(Item::Tuple(name, _)) => return Err(unknown_tuple(name)),
            Expr::Item(Item::Text(_)) | Expr::And(_) | Expr::Or(_) | Expr::Not(_) => {
                let text = "finds events by fields that are joined by and, as in `type: banned and user: x`";
                return Err(RestError::bad_parameter("query", text));
            }
        }
    }
    Ok(filter)
}

fn narrow(filter: &mut EventFilter, field: &str, word: &Word) -> Result<(), RestError> {
    let text = word.text.as_str();
    let expected = |names: Vec<&str>| known_value(field, text, &names.join(", "));
    let twice = match field.to_ascii_lowercase().as_str() {
        _ if word.prefix => return Err(known_value(field, &format!("{text}*"), "a whole value")),
        "type" => {
            let all = || expected(EventKind::ALL.iter().map(|kind| kind.name()).collect());
            filter.kind.replace(EventKind::parse(text).ok_or_else(all)?).is_some()
        }
        "targettype" => {
            let all = || expected(TargetKind::ALL.iter().map(|kind| kind.name()).collect());
            filter.target_kind.replace(TargetKind::parse(text).ok_or_else(all)?).is_some()
        }
        "target" | "targetid" => filter.target.replace(text.to_owned()).is_some(),
        "author" => filter.author.replace(text.to_owned()).is_some(),
        "user" => {
            let user = UserId::parse(text).map_err(|_| known_value(field, text, "the id of a user"))?;
            filter.concerning.replace(user).is_some()
        }
        "since" => {
            let moment = || known_value(field, text, "a moment as \"2026-11-21T20:12:00Z\" or milliseconds");
            let at = Timestamp::parse_rfc3339(text).or_else(|| text.parse().ok().map(Timestamp::from_millis));
            filter.since.replace(at.ok_or_else(moment)?).is_some()
        }
        _ => return Err(unknown_field(field)),
    };
    if twice { Err(RestError::bad_parameter("query", format!("names [{field}] twice"))) } else { Ok(()) }
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, filter) = (ask.page()?, filter(ask.filter()?.as_ref())?);
        for order in ask.order()? {
            let newest_first = order.descending && ["id", "timestamp"].contains(&order.field);
            if !newest_first {
                return Err(cannot_sort(order.field));
            }
        }
        let store = ask.store();
        let total = store.count_events(&filter, COUNTED).await?;
        let part = EventPage { before: None, skip: page.skip, top: page.limit() };
        let events = store.list_events(&filter, part).await?;
        ask.listed("events", page, total, &events)
    })
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let unknown = || RestError::no_entity(ask.id(0));
        // Only as it is written: 1, neither 01 nor +1.
        let number: i64 = ask.id(0).parse().map_err(|_| unknown())?;
        let event = ask.store().find_event(number).await?.filter(|e| e.sequence.to_string() == ask.id(0));
        Ok(ask.one(&event.ok_or_else(unknown)?))
    })
}
