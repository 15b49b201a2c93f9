//! The error codes of the token endpoint and of bearer-protected routes, and what each tells a developer.
//!
//! Invariant: descriptions are printable ASCII without `"` and `\`, so that they are valid in JSON, in a
//! `WWW-Authenticate` parameter and in a query alike (RFC 6749 section 5.2, RFC 6750 section 3).

use std::{borrow::Cow, fmt, time::Duration};

/// An error code that a client or a person may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// RFC 6749 section 5.2, RFC 6750 section 3.1.
    InvalidRequest,
    /// RFC 6749 section 5.2.
    InvalidClient,
    /// RFC 6749 section 5.2.
    InvalidGrant,
    /// RFC 6749 section 5.2.
    UnauthorizedClient,
    /// RFC 6749 section 5.2.
    UnsupportedGrantType,
    /// RFC 6749 section 5.2.
    InvalidScope,
    /// hub-contract section 2.5: the address of an authorization request is missing or not registered.
    InvalidRedirectUri,
    /// RFC 6749 section 4.1.2.1.
    UnsupportedResponseType,
    /// hub-contract section 2.5: the flow is switched off for the service.
    ResponseTypeNotAllowed,
    /// OpenID Connect Core section 3.1.2.6.
    LoginRequired,
    /// OpenID Connect Core section 3.1.2.6.
    ConsentRequired,
    /// OpenID Connect Core section 3.1.2.6.
    InteractionRequired,
    /// OpenID Connect Core section 3.1.2.6.
    RequestNotSupported,
    /// OpenID Connect Core section 3.1.2.6.
    RequestUriNotSupported,
    /// RFC 6750 section 3.1.
    InvalidToken,
    /// RFC 6750 section 3.1.
    InsufficientScope,
    /// A rule of the route is not met; a person has refused, or is banned (RFC 6749 section 4.1.2.1).
    AccessDenied,
    /// A token is needed and none was sent.
    Unauthorized,
    /// No route.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The request's body is larger than allowed.
    ContentTooLarge,
    /// An expectation that cannot be met.
    ExpectationFailed,
    /// Too many requests.
    TooManyRequests,
    /// The gateway failed.
    ServerError,
    /// The gateway cannot answer for now.
    TemporarilyUnavailable,
    /// The upstream could not be reached or did not answer in HTTP.
    BadGateway,
    /// The upstream did not answer in time.
    GatewayTimeout,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 27] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidRedirectUri,
        Self::UnsupportedResponseType,
        Self::ResponseTypeNotAllowed,
        Self::LoginRequired,
        Self::ConsentRequired,
        Self::InteractionRequired,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::AccessDenied,
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ContentTooLarge,
        Self::ExpectationFailed,
        Self::TooManyRequests,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::BadGateway,
        Self::GatewayTimeout,
    ];

    /// The code as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// The code of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// A short title for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.entry().1
    }

    /// What happened, for the page of this code.
    #[must_use]
    pub const fn what_happened(self) -> &'static str {
        self.entry().2
    }

    /// Whose move it is and how to mend it, for the page of this code.
    #[must_use]
    pub const fn how_to_mend(self) -> &'static str {
        self.entry().3
    }

    const fn entry(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                "invalid_request",
                "The request is malformed",
                "A parameter or header is missing, repeated, contradictory or not in the form that the protocol asks for.",
                "The developer of the client mends it: the description in the answer names the part that was not understood. Send each parameter once, one kind of credential only, and form fields as application/x-www-form-urlencoded.",
            ),
            Self::InvalidClient => (
                "invalid_client",
                "The client could not be authenticated",
                "No service is registered under this id, or its secret is not the one that was sent.",
                "The client's operator checks id and secret. `hubgate service list` shows the ids; `hubgate service rotate-secret ID` makes a new secret and keeps the old one valid for a while.",
            ),
            Self::InvalidGrant => (
                "invalid_grant",
                "The grant is not valid",
                "The authorization code, refresh token or password is unknown, expired, used, revoked, or belongs to another client.",
                "The client starts the flow again.",
            ),
            Self::UnauthorizedClient => (
                "unauthorized_client",
                "This service may not use this flow",
                "The flow is switched off for the service, or it needs a trusted service with a secret.",
                "An administrator switches the flow on, or marks the service as trusted: `hubgate service show ID` tells how it stands.",
            ),
            Self::UnsupportedGrantType => (
                "unsupported_grant_type",
                "This grant type is not offered",
                "The value of grant_type is not one that this gateway offers.",
                "The developer of the client uses one that the gateway offers, such as client_credentials.",
            ),
            Self::InvalidScope => (
                "invalid_scope",
                "The scope is not valid",
                "An entry of the scope names no registered service, or more was asked for than was granted.",
                "The developer of the client sends ids or names of registered services, separated by blanks. `hubgate service list` shows them.",
            ),
            Self::InvalidRedirectUri => (
                "invalid_redirect_uri",
                "The address to return to is not registered",
                "The application asked to be answered at an address that is not among the redirect URIs of its service, or named none. Nothing was sent there.",
                "An administrator registers the address with the service, exactly as the application sends it: `hubgate service update ID --redirect-uri ADDRESS`. If you did not start this yourself, close the page.",
            ),
            Self::UnsupportedResponseType => (
                "unsupported_response_type",
                "This response type is not offered",
                "The value of response_type is not one that this gateway offers.",
                "The developer of the client uses response_type=code, or another one that the gateway's metadata lists.",
            ),
            Self::ResponseTypeNotAllowed => (
                "response_type_not_allowed",
                "This service may not use this flow",
                "The flow that the response type belongs to is switched off for the service.",
                "An administrator switches the flow on for the service, or the client uses another one.",
            ),
            Self::LoginRequired => (
                "login_required",
                "Nobody is signed in",
                "The application asked for an answer without any page, and nobody is signed in on this browser.",
                "The application sends the person to sign in, without prompt=none or request_credentials=silent.",
            ),
            Self::ConsentRequired => (
                "consent_required",
                "Consent is needed",
                "The application asked for an answer without any page, and the person has not yet allowed what it asks for.",
                "The application asks again without prompt=none or request_credentials=silent, so that the person can decide.",
            ),
            Self::InteractionRequired => (
                "interaction_required",
                "The person has to do something first",
                "The application asked for an answer without any page, but the person has to choose a new password before.",
                "The application sends the person to sign in, without prompt=none or request_credentials=silent.",
            ),
            Self::RequestNotSupported => (
                "request_not_supported",
                "Request objects are not offered",
                "The authorization request carries its parameters in a signed object, which this gateway does not read.",
                "The developer of the client sends the parameters in the query.",
            ),
            Self::RequestUriNotSupported => (
                "request_uri_not_supported",
                "Request objects are not fetched",
                "The authorization request names an address to fetch its parameters from. The gateway fetches nothing.",
                "The developer of the client sends the parameters in the query.",
            ),
            Self::InvalidToken => (
                "invalid_token",
                "The token is not valid",
                "The access token is malformed, expired, revoked, or was not issued by this gateway.",
                "The client obtains a new token and tries again. If that does not help, `hubgate token inspect` tells what is wrong with a token.",
            ),
            Self::InsufficientScope => (
                "insufficient_scope",
                "The token is not for this service",
                "The token is valid, but the service behind this address is not in its scope.",
                "The client asks for a token whose scope names the service; the answer's scope parameter tells which.",
            ),
            Self::AccessDenied => (
                "access_denied",
                "Access is not allowed",
                "The token is valid, but a rule of this address asks for something that its owner does not have; or a person has refused what an application asked for.",
                "The administrator of the gateway decides: rules stand below the upstream in gateway.toml. A person who has refused can start again in the application.",
            ),
            Self::Unauthorized => (
                "unauthorized",
                "A token is needed",
                "This address is only for requests that carry an access token, and this one carried none.",
                "The client obtains a token and sends it as `Authorization: Bearer ...`.",
            ),
            Self::NotFound => (
                "not_found",
                "There is nothing at this address",
                "No upstream and no page of the gateway has this address.",
                "Check the address. If it should exist, the administrator adds an upstream with this path to gateway.toml.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                "This method is not offered here",
                "The address exists, but not for this HTTP method.",
                "The developer of the client uses a method that the Allow header names.",
            ),
            Self::ContentTooLarge => (
                "content_too_large",
                "The request is too large",
                "The body of the request is larger than the gateway forwards.",
                "Send less, or have the administrator raise `max_body_size` for this upstream.",
            ),
            Self::ExpectationFailed => (
                "expectation_failed",
                "An expectation cannot be met",
                "The Expect header asks for something other than 100-continue.",
                "The developer of the client removes the header.",
            ),
            Self::TooManyRequests => (
                "too_many_requests",
                "Too many requests",
                "This source has sent more requests, or more refused credentials, than the gateway takes.",
                "Wait as long as the Retry-After header says. A client that keeps sending a dead token should obtain a new one.",
            ),
            Self::ServerError => (
                "server_error",
                "The gateway failed",
                "Something went wrong inside the gateway. Nothing was forwarded or changed.",
                "The administrator finds the request id in the gateway's log.",
            ),
            Self::TemporarilyUnavailable => (
                "temporarily_unavailable",
                "The service is not available for now",
                "The gateway or the service behind it cannot answer at the moment.",
                "Try again after the time that Retry-After names. If it stays, the administrator finds the reason in the log.",
            ),
            Self::BadGateway => (
                "bad_gateway",
                "The service behind the gateway does not answer",
                "The request was allowed, but the service that it was meant for could not be reached or broke off.",
                "The administrator checks that the upstream runs at the address in gateway.toml.",
            ),
            Self::GatewayTimeout => (
                "gateway_timeout",
                "The service behind the gateway is too slow",
                "The request was allowed and forwarded, but the answer did not begin in time.",
                "The administrator checks the upstream, or raises its `timeout` in gateway.toml.",
            ),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal of the token endpoint (RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// `error`
    pub code: ErrorCode,
    /// `error_description`: what exactly, for the developer of the client.
    pub description: Cow<'static, str>,
    /// Whether the client used the `Authorization` header, so that the answer names a scheme (RFC 6749 section 5.2).
    pub challenge: bool,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
}

impl OAuthError {
    /// A refusal. `description` may hold text of the request: what RFC 6749 does not allow in it is replaced.
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: printable(description.into()), challenge: false, retry_after: None }
    }

    /// A failure that passes: the same request may succeed after `wait`.
    #[must_use]
    pub fn for_now(description: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorCode::TemporarilyUnavailable, description) }
    }

    /// Too many such requests; not before `wait`.
    #[must_use]
    pub fn too_many(description: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorCode::TooManyRequests, description) }
    }

    /// The same, as the answer to an `Authorization` header.
    #[must_use]
    pub fn with_challenge(self, challenge: bool) -> Self {
        Self { challenge, ..self }
    }
}

/// Shorthand for [`ErrorCode::InvalidRequest`].
pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// RFC 6749 section 5.2: `error_description` is %x20-21 / %x23-5B / %x5D-7E. At most 300 characters of it.
#[must_use]
pub fn printable(text: Cow<'static, str>) -> Cow<'static, str> {
    let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    if text.len() <= 300 && text.chars().all(allowed) {
        return text;
    }
    Cow::Owned(text.chars().take(300).map(|c| if allowed(c) { c } else { '?' }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn descriptions_keep_to_the_grammar() {
        let error = invalid_request("a \"quoted\"\r\nLocation: \u{e4}\\".to_owned());
        assert_eq!(error.description, "a ?quoted???Location: ??");
        assert_eq!(invalid_request("x".repeat(1000)).description.len(), 300);
    }
}
