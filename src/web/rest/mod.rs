//! `…/api/rest/…`: the registry over REST, as Hub has it (hub-contract sections 9 to 11).
//!
//! A request is matched against the one list of operations, asked who it is from, held against what the operation needs,
//! and only then read and carried out.
//!
//! Invariant: nothing is carried out for whom the operation does not name.

mod caller;
mod error;
mod input;
mod kind;
mod openapi;
mod operation;
mod page;
mod permission;
mod resource;
mod search;
mod table;

pub(in crate::web) use self::resource::events::wanted as wanted_events;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Extension, State},
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use tokio::sync::SemaphorePermit;

use self::{
    caller::{Asker, Who},
    error::RestError,
    operation::{Answer, Ask, Gives, Need, Operation, Takes},
    permission::Permissions,
    table::Found,
};
use super::{Control, reply};
// What clients ask in, as the rest of this module names it.
pub(in crate::web::rest) use crate::registry::{
    fields::{self, Fields},
    query,
};
use crate::{
    model::search::UserFilter,
    oauth::form::Form as Parameters,
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
};

/// Where it all lives, below `hub.path`.
pub(super) const ROOT: &str = "/api/rest/";

/// The users that an administrator's query means; else why it means none, in English.
pub(super) fn users_of_query(expr: &query::Expr) -> Result<UserFilter, String> {
    resource::users::filter_of(expr, true).map_err(|error| error.description().to_owned())
}

/// Answers a request below [`ROOT`].
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match carried_out(&state, &caller, (&method, &uri, &headers), &body).await {
        Ok((answer, asker)) => rendered(answer, asker, &caller),
        Err(error) => error.render(Form::wanted(&headers), &caller),
    }
}

async fn carried_out(
    control: &Control,
    caller: &Caller,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    body: &[u8],
) -> Result<(Answer, Asker), RestError> {
    // 1 what is asked for
    let Found { operation, ids } = table::find(method, uri.path().strip_prefix(ROOT).unwrap_or_default())?;
    // 2 who asks
    let asker = match operation.need {
        Need::Nothing => Asker::nobody(),
        _ => caller::find(control, caller, method, headers).await?,
    };
    // 3 whether they may
    let may = permission::of(&asker.who);
    allow(operation, &asker.who, may, ids.first().map(String::as_str))?;
    // 4 what they say
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes())
        .map_err(|error| RestError::bad_request(error.description))?;
    let fields = Fields::parse(query.get("fields").unwrap_or_default())
        .map_err(|error| RestError::bad_parameter("fields", error))?;
    let body = match operation.takes {
        Takes::Nothing => serde_json::Map::new(),
        Takes::Object(_) => input::read(headers, body)?,
    };
    // 5 do it; lists in turn
    let _turn = match operation.gives {
        Gives::Page(_) | Gives::PageOf(..) => Some(turn(control).await?),
        _ => None,
    };
    let language = crate::texts::Language::wanted(headers);
    let ask = Ask { control, caller, asker, may, ids, query, fields, body, language };
    let answer = (operation.handler)(&ask).await;
    // 6 what was written is in force when the answer comes, also what came before a refusal
    let in_force = if operation.method == Method::GET { Ok(()) } else { control.in_force().await };
    let answer = answer?;
    in_force?;
    Ok((answer, ask.asker))
}

/// How long a request for a list waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until it is this list's turn to be read.
async fn turn(control: &Control) -> Result<SemaphorePermit<'_>, RestError> {
    let busy = || RestError::later("too many lists are being read", Duration::from_secs(2));
    match tokio::time::timeout(PATIENCE, control.listings.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

/// Whether an operation is for this caller. `subject` is the first id in its path.
fn allow(operation: &Operation, who: &Who, may: Permissions, subject: Option<&str>) -> Result<(), RestError> {
    let needed = match operation.need {
        Need::Known | Need::May(_) | Need::SelfOr(_) if matches!(who, Who::Nobody) => {
            return Err(Refusal::token_needed().into());
        }
        Need::Nothing | Need::Known => return Ok(()),
        Need::SelfOr(_) if operation.is_about(who, subject) => return Ok(()),
        Need::May(permission) | Need::SelfOr(permission) => permission,
    };
    if may.has(needed) {
        return Ok(());
    }
    Err(RestError::forbidden(format!("this needs the permission {} ({})", needed.title(), needed.key())))
}

fn rendered(answer: Answer, asker: Asker, caller: &Caller) -> Response {
    let (bytes, kind, cache) = match answer {
        Answer::Empty => (Vec::new(), None, "no-store"),
        Answer::Json(value) => {
            let mut bytes = serde_json::to_vec(&value).unwrap_or_default();
            bytes.push(b'\n');
            (bytes, Some("application/json"), "no-store")
        }
        Answer::Picture(svg) => (svg.into_bytes(), Some("image/svg+xml"), "public, max-age=86400"),
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Whoever opens an answer as a page sees text and pictures, and nothing runs.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let decision = if matches!(asker.who, Who::Nobody) { "public" } else { "allowed" };
    let outcome = Outcome { decision, client: asker.client, jti: asker.jti, ..Outcome::default() };
    response.extensions_mut().insert(outcome);
    reply::name(response, caller)
}
