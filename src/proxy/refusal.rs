//! A refusal as a value, and its one rendering: JSON with the members of OAuth and RFC 9457 together, a page for
//! browsers.
//!
//! Invariant: what a refused client sees names no version, no file and no upstream; all text of it is ours, escaped.
//!
//! RFC 6750 section 3; RFC 9110 sections 10.2.3, 11.6.1; RFC 9457 section 3.

mod form;

use std::{borrow::Cow, fmt::Write as _, sync::Arc, time::Duration};

use askama::Template;
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
        UPGRADE, VARY, WWW_AUTHENTICATE,
    },
};
use serde::Serialize;

pub use self::form::Form;
use super::shell::page_headers;
use crate::{
    access::policy::Denial,
    oauth::{
        cause::Cause,
        error::{ErrorCode, printable},
        token::verify::TokenError,
    },
    texts::Language,
};

/// What a `WWW-Authenticate: Bearer` header says besides the realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token is needed (RFC 6750 section 3.1: then no error is named).
    TokenNeeded,
    /// The code of the refusal is named.
    Error,
    /// The code of the refusal and the scope that is needed.
    Scope(String),
}

/// Why a request is not answered by what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// `error`
    pub code: ErrorCode,
    /// `error_description`, `detail`
    pub description: Cow<'static, str>,
    /// Why, finer than the code.
    pub cause: Cause,
    challenge: Option<Challenge>,
    retry_after: Option<Duration>,
    close: bool,
    /// Further fields of the answer.
    fields: Vec<(HeaderName, Cow<'static, str>)>,
}

/// How long a client should wait before it tries an upstream again that has no room or no connection.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// 400 `invalid_request`.
pub fn bad_request(description: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, description)
}

impl Refusal {
    /// A refusal without challenge. Characters that a header could not carry are replaced in the description.
    pub fn new(status: StatusCode, code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let description = printable(description.into());
        let cause = Cause::Code(code);
        Self {
            status,
            code,
            description,
            cause,
            challenge: None,
            retry_after: None,
            close: false,
            fields: Vec::new(),
        }
    }

    /// What the decision line calls it.
    #[must_use]
    pub const fn decision(&self) -> &'static str {
        match self.code {
            ErrorCode::Unauthorized | ErrorCode::InvalidToken => "unauthorized",
            ErrorCode::InsufficientScope | ErrorCode::AccessDenied => "forbidden",
            ErrorCode::LoginRequired => "login",
            ErrorCode::NotFound => "no_route",
            ErrorCode::TooManyRequests => "throttled",
            ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError => "unavailable",
            _ => "bad_request",
        }
    }

    /// Whether it is about who asks: the credential, its scope, or a rule. Everything else is about the request itself.
    #[must_use]
    pub fn is_about_who_asks(&self) -> bool {
        matches!(self.decision(), "unauthorized" | "forbidden" | "login")
            || self.cause == Cause::ServiceUnknown
    }

    /// The connection is closed after the answer, because where the next request begins is in doubt.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// Two credentials or a malformed one.
    #[must_use]
    pub fn malformed_credential(description: &'static str) -> Self {
        Self { challenge: Some(Challenge::Error), ..bad_request(description) }
    }

    /// No token where one is needed.
    #[must_use]
    pub fn token_needed() -> Self {
        let refusal =
            Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "an access token is needed here");
        Self { challenge: Some(Challenge::TokenNeeded), ..refusal }
    }

    /// A browser without a session, where a session would do: on its way to the login page at this address.
    #[must_use]
    pub fn login(location: String) -> Self {
        let refusal = Self::new(StatusCode::FOUND, ErrorCode::LoginRequired, "sign in to go on");
        Self { fields: vec![(LOCATION, location.into())], ..refusal }
    }

    /// Neither a token nor a session where one is needed.
    #[must_use]
    pub fn session_needed() -> Self {
        let text = "a session or an access token is needed here";
        let refusal = Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, text);
        Self { challenge: Some(Challenge::TokenNeeded), ..refusal }
    }

    /// What a page of another site has made a browser send.
    #[must_use]
    pub fn cross_site() -> Self {
        let text = "a page of another site has caused this request";
        Self::new(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, text)
    }

    /// A token that is not accepted.
    #[must_use]
    pub fn invalid_token(reason: TokenError) -> Self {
        let refusal = Self::new(StatusCode::UNAUTHORIZED, ErrorCode::InvalidToken, reason.to_string());
        Self { challenge: Some(Challenge::Error), cause: reason.into(), ..refusal }
    }

    /// A token that is valid and may not pass.
    #[must_use]
    pub fn denied(denial: Denial) -> Self {
        let cause = Cause::from(&denial);
        let refusal = match denial {
            Denial::InsufficientScope(service) => Self::insufficient_scope(
                format!("the token's scope does not name the service {service}"),
                service,
            ),
            Denial::RuleNotMet(unmet) => {
                Self::new(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, unmet.to_string())
            }
            Denial::UnknownService => {
                Self::unavailable("the service of this address is not registered", Duration::from_secs(30))
            }
        };
        Self { cause, ..refusal }
    }

    /// A token that is valid and whose scope lacks this entry.
    #[must_use]
    pub fn insufficient_scope(description: impl Into<Cow<'static, str>>, scope: String) -> Self {
        let refusal = Self::new(StatusCode::FORBIDDEN, ErrorCode::InsufficientScope, description);
        Self { challenge: Some(Challenge::Scope(scope)), ..refusal }
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "nothing is served at this address")
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed(description: &'static str, allow: Option<&'static str>) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, description);
        Self { fields: allow.map(|allow| (ALLOW, allow.into())).into_iter().collect(), ..refusal }
    }

    /// 426, to a WebSocket of another version (RFC 6455 section 4.4).
    #[must_use]
    pub fn other_websocket() -> Self {
        let text = "of WebSocket only version 13 is spoken here";
        let refusal = Self::new(StatusCode::UPGRADE_REQUIRED, ErrorCode::InvalidRequest, text);
        // The latter two by RFC 9110 section 15.5.22.
        let fields = [(SEC_WEBSOCKET_VERSION, "13"), (UPGRADE, "websocket"), (CONNECTION, "Upgrade")];
        Self { fields: fields.map(|(name, value)| (name, value.into())).into(), ..refusal }
    }

    /// 413. What is left of the body is not read, so the connection ends.
    #[must_use]
    pub fn too_large(limit: u64) -> Self {
        let text = format!("the body is larger than the {limit} bytes that are forwarded here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ContentTooLarge, text).closing()
    }

    /// 429.
    #[must_use]
    pub fn too_many(description: &'static str, wait: Duration) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, description);
        Self { retry_after: Some(wait), ..refusal }
    }

    /// 503.
    #[must_use]
    pub fn unavailable(description: &'static str, wait: Duration) -> Self {
        let refusal =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, description);
        Self { retry_after: Some(wait), ..refusal }
    }

    /// 408, to a body that stopped arriving. What is left of it is not read, so the connection ends.
    #[must_use]
    pub fn body_silent() -> Self {
        Self::body_late("the body did not arrive in time", Cause::BodySilent)
    }

    /// 408, to a body that arrives too slowly.
    #[must_use]
    pub fn body_slow() -> Self {
        Self::body_late("the body arrived too slowly", Cause::BodySlow)
    }

    fn body_late(description: &'static str, cause: Cause) -> Self {
        let refusal = Self::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::InvalidRequest, description);
        refusal.closing().because(cause)
    }

    /// 503, to what is more than the gateway answers at a time.
    #[must_use]
    pub fn overloaded() -> Self {
        let refusal = Self::unavailable("the gateway has too much to do", Duration::from_secs(1));
        refusal.because(Cause::Overloaded)
    }

    /// The same for a reason that is finer than its code.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// 502.
    #[must_use]
    pub fn bad_gateway(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, ErrorCode::BadGateway, description)
    }

    /// 504.
    #[must_use]
    pub fn gateway_timeout() -> Self {
        let text = "the service behind the gateway did not answer in time";
        Self::new(StatusCode::GATEWAY_TIMEOUT, ErrorCode::GatewayTimeout, text)
    }

    /// Whether the connection has to end.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.close
    }

    /// The answer to the client.
    #[must_use]
    pub fn render(&self, desk: &Desk, form: Form, request_id: &str) -> Response<Bytes> {
        let (content_type, body) = match form {
            Form::Page(t) => ("text/html; charset=utf-8", page(self.code, Some((self, desk, request_id)), t)),
            Form::Json => ("application/json", self.json(desk, request_id)),
            Form::Problem => ("application/problem+json", self.json(desk, request_id)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-language"));
        page_headers(headers);
        let mut put = |name, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        };
        put(HeaderName::from_static("x-request-id"), request_id.to_owned());
        if let Some(challenge) = &self.challenge {
            put(WWW_AUTHENTICATE, self.challenge(challenge, desk));
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: earlier would only be refused again.
            put(RETRY_AFTER, wait.as_millis().div_ceil(1000).max(1).to_string());
        }
        for (name, value) in &self.fields {
            put(name.clone(), value.to_string());
        }
        if self.close {
            put(CONNECTION, "close".to_owned());
        }
        response
    }

    fn challenge(&self, challenge: &Challenge, desk: &Desk) -> String {
        let mut text = format!("Bearer realm=\"{}\"", desk.realm);
        if *challenge != Challenge::TokenNeeded {
            let _ = write!(text, ", error=\"{}\", error_description=\"{}\"", self.code, self.description);
        }
        if let Challenge::Scope(scope) = challenge {
            // RFC 6750 section 3: scope-token. A name with a blank is one entry, encoded as clients send it.
            let _ = write!(text, ", scope=\"{}\"", printable(scope.replace(' ', "%20").into()));
        }
        text
    }

    fn json(&self, desk: &Desk, request_id: &str) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'static str,
            error_description: &'a str,
            error_uri: &'a str,
            r#type: &'a str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            request_id: &'a str,
        }
        let uri = desk.error_uri(self.code);
        let body = Body {
            error: self.code.as_str(),
            error_description: &self.description,
            error_uri: &uri,
            r#type: &uri,
            title: self.code.title(),
            status: self.status.as_u16(),
            detail: &self.description,
            request_id,
        };
        let mut bytes = serde_json::to_vec(&body).unwrap_or_default();
        // So that a shell's prompt begins a line.
        bytes.push(b'\n');
        bytes.into()
    }
}

/// What refusals need to know of the configuration.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The hub's address: `https://host/hub`.
    pub hub_url: Arc<str>,
    /// The realm of challenges.
    pub realm: Arc<str>,
}

impl Desk {
    /// The page that explains a code.
    #[must_use]
    pub fn error_uri(&self, code: ErrorCode) -> String {
        format!("{}/errors/{code}", self.hub_url)
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct Page<'a> {
    t: Language,
    code: ErrorCode,
    status: Option<u16>,
    detail: Option<&'a str>,
    /// The request's id, and where an administrator sees more of it.
    request: Option<(&'a str, String)>,
}

/// The page of an error code; with a refusal, of this occurrence of it.
#[must_use]
pub fn page(code: ErrorCode, refusal: Option<(&Refusal, &Desk, &str)>, t: Language) -> Bytes {
    let page = Page {
        t,
        code,
        status: refusal.map(|(refusal, ..)| refusal.status.as_u16()),
        detail: refusal.map(|(refusal, ..)| refusal.description.as_ref()),
        request: refusal.map(|(_, desk, id)| (id, format!("{}/admin/why?request={id}", desk.hub_url))),
    };
    page.render().unwrap_or_else(|_| t.error_title(code).to_owned()).into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::ACCEPT};

    use super::*;
    use crate::access::policy::Unmet;

    fn desk() -> Desk {
        Desk { hub_url: Arc::from("https://a/hub"), realm: Arc::from("hubgate") }
    }

    fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|v| v.to_str().unwrap())
    }

    #[test]
    fn challenges_follow_rfc_6750() {
        let challenge = |refusal: Refusal| {
            let response = refusal.render(&desk(), Form::Json, "r1");
            (response.status().as_u16(), header(&response, "www-authenticate").map(str::to_owned))
        };
        assert_eq!(challenge(Refusal::token_needed()), (401, Some("Bearer realm=\"hubgate\"".into())));
        assert_eq!(
            challenge(Refusal::invalid_token(TokenError::Expired)),
            (401, Some("Bearer realm=\"hubgate\", error=\"invalid_token\", error_description=\"the token has expired\"".into()))
        );
        let (status, text) = challenge(Refusal::denied(Denial::InsufficientScope("You Track".into())));
        assert_eq!(status, 403);
        assert!(text.unwrap().ends_with("error=\"insufficient_scope\", error_description=\"the token's scope does not name the service You Track\", scope=\"You%20Track\""));
        assert_eq!(challenge(Refusal::denied(Denial::RuleNotMet(Unmet::User))), (403, None));
        assert_eq!(challenge(Refusal::not_found()), (404, None));
    }

    #[test]
    fn bodies_carry_the_members_of_both_standards() {
        let refusal = Refusal::too_many("slow down", Duration::from_millis(1200));
        let response = refusal.render(&desk(), Form::Problem, "r1");
        assert_eq!(header(&response, "retry-after"), Some("2"));
        assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": "too_many_requests", "error_description": "slow down",
                "error_uri": "https://a/hub/errors/too_many_requests", "type": "https://a/hub/errors/too_many_requests",
                "title": "Too many requests", "status": 429, "detail": "slow down", "request_id": "r1"})
        );
    }

    #[test]
    fn pages_escape_what_came_from_outside() {
        let response = bad_request("<script>\"x\"").render(&desk(), Form::Page(Language::En), "<b>");
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(!body.contains("<script>") && !body.contains("<b>"), "{body}");
        assert!(body.contains("invalid_request"));
    }

    #[test]
    fn accept_decides_on_the_form() {
        let wanted = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            Form::wanted(&headers)
        };
        assert_eq!(wanted("*/*"), Form::Json);
        assert_eq!(wanted("text/html,application/xhtml+xml,*/*;q=0.8"), Form::Page(Language::En));
        assert_eq!(wanted("application/json, text/html"), Form::Json);
        for (accept, form) in [
            ("TEXT/HTML", Form::Page(Language::En)),
            ("text/html;q=0.5, application/json", Form::Json),
            ("text/html, application/json;q=0.9", Form::Page(Language::En)),
            ("text/html, application/json;q=0", Form::Page(Language::En)),
            ("text/html;q=0", Form::Json),
            ("text/html; level=1; q=0.000, */*", Form::Json),
            ("text/html;q=0.001", Form::Page(Language::En)),
            ("application/json;q=0.5, text/html;q=0.51", Form::Page(Language::En)),
            ("text/html;q=0.2, text/html;q=0.9, application/json;q=0.5", Form::Page(Language::En)),
            ("application/problem+json;q=0, text/html", Form::Page(Language::En)),
            ("application/problem+json;q=0.5, application/json;q=0.6", Form::Json),
            ("application/problem+json, application/json", Form::Problem),
            ("application/problem+json;q=0", Form::Json),
            ("text/html;q=2", Form::Json),
            ("text/html;q=-1", Form::Json),
            ("text/html;q=0.5555", Form::Json),
            ("text/html;q=", Form::Json),
            ("text/html;q=1.000", Form::Page(Language::En)),
            ("x-text/html, text/htmlx", Form::Json),
            (",;,q=1;,", Form::Json),
        ] {
            assert_eq!(wanted(accept), form, "{accept}");
        }
        assert_eq!(wanted("application/problem+json"), Form::Problem);
        assert_eq!(Form::wanted(&HeaderMap::new()), Form::Json);
    }
}
