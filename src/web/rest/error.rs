//! Refusals of REST: Hub's error object, with the members of RFC 9457 beside it (hub-contract section 9.6).
//!
//! Invariant: what a store or a library says of itself stays in the log.

use std::{borrow::Cow, time::Duration};

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
};
use serde_json::{Value, json};

use crate::{
    oauth::error::{ErrorCode, OAuthError},
    proxy::{
        gate::{Caller, Outcome},
        refusal::{Form, Refusal},
    },
    registry::{services::ServiceError, users::PeopleError},
    store::{Rule, StoreError},
    web::reply,
};

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum RestError {
    /// Refused before it reached a resource, as the gate refuses: who asks, and with what.
    Gate(Refusal),
    /// Refused by a resource.
    Problem(Box<Problem>),
}

/// A refusal by a resource.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// `error`
    error: Cow<'static, str>,
    /// `error_description`
    description: Cow<'static, str>,
    /// `error_field`
    field: Option<Cow<'static, str>>,
    /// `error_params`
    params: Vec<(&'static str, String)>,
    allow: Option<String>,
    retry_after: Option<Duration>,
}

impl From<Refusal> for RestError {
    fn from(refusal: Refusal) -> Self {
        Self::Gate(refusal)
    }
}

impl RestError {
    fn new(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Problem(Box::new(Problem {
            status,
            error: error.into(),
            description: description.into(),
            field: None,
            params: Vec::new(),
            allow: None,
            retry_after: None,
        }))
    }

    /// What is wrong, for people.
    pub(super) fn description(&self) -> &str {
        match self {
            Self::Gate(refusal) => &refusal.description,
            Self::Problem(problem) => &problem.description,
        }
    }

    fn with(mut self, alter: impl FnOnce(&mut Problem)) -> Self {
        if let Self::Problem(problem) = &mut self {
            alter(problem);
        }
        self
    }

    /// 400.
    pub(super) fn bad_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad Request", description)
    }

    /// 400 for a field of the body; `why` is a predicate.
    pub(super) fn bad_field(field: impl Into<Cow<'static, str>>, why: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self::bad_request(format!("the field {field} {why}")).with(|problem| problem.field = Some(field))
    }

    /// 400 for a parameter; `why` is a predicate.
    pub(super) fn bad_parameter(name: &'static str, why: impl std::fmt::Display) -> Self {
        Self::bad_parameter_plainly(name, format!("the parameter {name} {why}"))
    }

    /// 400 for a parameter, in a sentence of its own.
    pub(super) fn bad_parameter_plainly(name: &'static str, sentence: String) -> Self {
        Self::bad_request(sentence).with(|problem| {
            problem.field = Some(name.into());
            problem.params.push(("name", name.to_owned()));
        })
    }

    /// 403.
    pub(super) fn forbidden(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", description)
    }

    /// 404, in Hub's words.
    pub(super) fn no_entity(id: &str) -> Self {
        let id = id.to_owned();
        Self::new(StatusCode::NOT_FOUND, "Not Found", format!("Entity with id {id} not found"))
            .with(|problem| problem.params.push(("id", id)))
    }

    /// 404 for an address.
    pub(super) fn no_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found", "there is no such resource")
    }

    /// 405.
    pub(super) fn no_method(allow: String) -> Self {
        let description = format!("this address is used with {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", description)
            .with(|problem| problem.allow = Some(allow))
    }

    /// 409, in Hub's word.
    pub(super) fn must_be_unique(field: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, "must-be-unique", format!("another one has this {field}"))
            .with(|problem| problem.field = Some(field.into()))
    }

    /// 409 for what stands in the way.
    pub(super) fn conflict(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", description)
    }

    /// 415.
    pub(super) fn no_json() -> Self {
        let description = "a body is JSON, with Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type", description)
    }

    /// 503: later it may work.
    pub(super) fn later(description: &'static str, wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", description)
            .with(|problem| problem.retry_after = Some(wait))
    }

    fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "the gateway failed to do this")
    }

    /// The answer.
    pub(super) fn render(self, form: Form, caller: &Caller) -> Response {
        let problem = match self {
            Self::Gate(refusal) => {
                // A client of REST reads JSON, whatever else it says to accept.
                let form = if matches!(form, Form::Page(_)) { Form::Json } else { form };
                return reply::refuse(&refusal, form, caller);
            }
            Self::Problem(problem) => *problem,
        };
        let content_type =
            if form == Form::Problem { "application/problem+json" } else { "application/json" };
        let mut response = Response::new(Body::from(problem.body(caller)));
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(allow) = problem.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if let Some(wait) = problem.retry_after {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let reason = problem.description.into_owned();
        response.extensions_mut().insert(Outcome { decision: "refused", reason, ..Outcome::default() });
        reply::name(response, caller)
    }
}

impl Problem {
    fn body(&self, caller: &Caller) -> Vec<u8> {
        let code = match self.status {
            StatusCode::FORBIDDEN => ErrorCode::AccessDenied,
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
            StatusCode::INTERNAL_SERVER_ERROR => ErrorCode::ServerError,
            StatusCode::SERVICE_UNAVAILABLE => ErrorCode::TemporarilyUnavailable,
            _ => ErrorCode::InvalidRequest,
        };
        let uri = caller.snapshot.desk.error_uri(code);
        let mut body = json!({
            "error": self.error,
            "error_code": self.status.as_u16(),
            "error_description": self.description,
            "error_developer_message": self.description,
            "error_uri": uri,
            "type": uri,
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.description,
            "request_id": &*caller.request_id,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(field) = &self.field {
                members.insert("error_field".to_owned(), Value::from(&**field));
            }
            if !self.params.is_empty() {
                let params = self.params.iter().map(|(name, value)| json!({"name": name, "value": value}));
                members.insert("error_params".to_owned(), params.collect());
            }
        }
        let mut bytes = serde_json::to_vec(&body).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl From<StoreError> for RestError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { field, .. } => Self::must_be_unique(field),
            StoreError::NotFound { what } => {
                Self::new(StatusCode::NOT_FOUND, "Not Found", format!("there is no such {what}"))
            }
            StoreError::Against(rule) => match rule {
                Rule::Filter(_) => Self::bad_parameter_plainly("query", rule.to_string()),
                Rule::Cycle | Rule::Nesting => Self::bad_field("parent", format!("is refused: {rule}")),
                Rule::Itself => Self::bad_request(rule.to_string()),
                Rule::AllUsers | Rule::Guest | Rule::LastAdministrator => Self::conflict(rule.to_string()),
            },
            StoreError::Unavailable(why) => {
                tracing::error!(%why, "the store is not available");
                Self::later("the store is not available for now", Duration::from_secs(5))
            }
            StoreError::Damaged(why) => {
                tracing::error!(%why, "the store is damaged");
                Self::failed()
            }
        }
    }
}

impl From<ServiceError> for RestError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => error.into(),
            ServiceError::Reserved(_)
            | ServiceError::Own(_)
            | ServiceError::Declared(_)
            | ServiceError::Collides(_)
            | ServiceError::Public(_) => Self::conflict(error.to_string()),
            ServiceError::Name => Self::bad_field(
                "name",
                "has 1 to 100 characters, none of them a control character or invisible",
            ),
            ServiceError::PublicRotation => {
                Self::bad_field("rotateRefreshTokens", format!("cannot be false: {error}"))
            }
            ServiceError::Field { field, why } => Self::bad_field(field, why),
            ServiceError::RedirectUri(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<PeopleError> for RestError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Store(error) => error.into(),
            PeopleError::Refused { what, why } => Self::bad_field(field(what), why),
            PeopleError::Hash(why) => {
                tracing::warn!(%why, "a password was not hashed");
                Self::later("too many passwords are being looked at; try again", Duration::from_secs(1))
            }
            PeopleError::Reserved(_)
            | PeopleError::Declared(_)
            | PeopleError::DeclaredMember { .. }
            | PeopleError::Guest
            | PeopleError::Erased(_)
            | PeopleError::LastAdministrator(_) => Self::conflict(error.to_string()),
            PeopleError::Declaration { .. } => Self::bad_request(error.to_string()),
        }
    }
}

/// The field of a body in which a verb found something.
fn field(what: &'static str) -> &'static str {
    match what {
        "address" => "email",
        "picture" => "url",
        "language" => "locale",
        "reason" => "banReason",
        "badge" => "banBadge",
        "hash" => "hashedValue",
        other => other,
    }
}

impl From<OAuthError> for RestError {
    fn from(error: OAuthError) -> Self {
        match error.code {
            ErrorCode::TemporarilyUnavailable => Self::later(
                "the change is kept and not yet in force; try again",
                error.retry_after.unwrap_or(Duration::from_secs(1)),
            ),
            _ => Self::bad_request(error.description),
        }
    }
}
