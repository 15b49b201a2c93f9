//! The JSON resources.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_TYPE, LOCATION},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    MAX_BODY, Site,
    fields::Fields,
    identity::Identity,
    reply::{Refusal, Reply},
    tracker::{Issue, NewComment, NewIssue},
};

type Answer = Result<Reply, Refusal>;

/// What YouTrack returns when `$top` is absent.
const DEFAULT_TOP: usize = 42;
const MAX_TOP: usize = 500;

/// `GET /healthz`
pub(super) async fn health() -> Reply {
    Reply::ok(json!({ "status": "ok" }))
}

/// `GET /api/issues?query=&$top=&$skip=&fields=`
pub(super) async fn list(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::read(query.as_deref())?;
    let tracker = site.tracker();
    let found = tracker.find(&query.text, query.skip, query.top);
    Ok(Reply::ok(query.choose(found.into_iter().map(Issue::to_json).collect())))
}

/// `POST /api/issues`
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let query = Query::read(query.as_deref())?;
    let new: NewIssue = read_json(&headers, body)?;
    let sender = Identity::of(&headers).sender;
    let now = site.clock.now();
    let mut tracker = site.tracker();
    let issue = tracker.create(&new, sender.login(), now)?;
    let location = format!("{}/api/issues/{}", site.sample.prefix, issue.readable_id());
    let mut response = Reply::created(query.choose(issue.to_json())).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET /api/issues/{id}`
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::read(query.as_deref())?;
    let issue = site.tracker().read(&id)?.to_json();
    Ok(Reply::ok(query.choose(issue)))
}

/// `POST /api/issues/{id}/comments`
pub(super) async fn comment(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let query = Query::read(query.as_deref())?;
    let new: NewComment = read_json(&headers, body)?;
    let sender = Identity::of(&headers).sender;
    let now = site.clock.now();
    let comment = site.tracker().comment(&id, &new, sender.login(), now)?;
    Ok(Reply::created(query.choose(comment)))
}

/// `GET /api/users/me`
pub(super) async fn me(headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    Ok(Reply::ok(Query::read(query.as_deref())?.choose(Identity::of(&headers).sender.to_json())))
}

/// `GET /api/config?fields=ring(url,serviceId)`: where clients learn which Hub is in front.
pub(super) async fn config(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Answer {
    let sample = &site.sample;
    let ring = json!({ "url": sample.hub_url, "serviceId": sample.service_id, "$type": "RingConfig" });
    let config = json!({
        "version": env!("CARGO_PKG_VERSION"), "contextPath": sample.prefix,
        "ring": ring, "$type": "GlobalConfig",
    });
    Ok(Reply::ok(Query::read(query.as_deref())?.choose(config)))
}

/// `GET /api/whoami`: everything that the gateway said about the sender.
pub(super) async fn whoami(headers: HeaderMap) -> Reply {
    Reply::ok(Identity::of(&headers).to_json())
}

pub(super) async fn no_such_resource(uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::new(StatusCode::NOT_FOUND, format!("HTTP 404 Not Found: there is nothing at {path}"))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
}

/// The parameters that the resources share. Unknown ones are passed over, as YouTrack does.
struct Query {
    text: String,
    skip: usize,
    top: usize,
    fields: Option<Fields>,
}

impl Query {
    fn read(raw: Option<&str>) -> Result<Self, Refusal> {
        let mut query = Self { text: String::new(), skip: 0, top: DEFAULT_TOP, fields: None };
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            let number =
                || value.parse::<usize>().map_err(|_| Refusal::bad_request(format!("{name} is a number")));
            match &*name {
                "query" => query.text = value.into_owned(),
                "$skip" => query.skip = number()?,
                "$top" => query.top = number()?.min(MAX_TOP),
                "fields" => {
                    let fields = Fields::parse(&value)
                        .ok_or_else(|| Refusal::bad_request("fields look like id,summary,reporter(login)"))?;
                    query.fields = Some(fields);
                }
                _ => {}
            }
        }
        Ok(query)
    }

    fn choose(&self, value: Value) -> Value {
        match &self.fields {
            Some(fields) => fields.choose(value),
            None => value,
        }
    }
}

fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "the body must come as Content-Type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(status, format!("the body has more than {MAX_BODY} bytes"))
        }
        _ => Refusal::bad_request("the body ended too early"),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request(format!("the body is not what is expected here: {error}")))
}
