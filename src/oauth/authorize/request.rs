//! Reading an authorization request.
//!
//! Invariant: what is wrong before client and redirect URI are known is told to the person on a page, what is wrong after is
//! told to the client through its registered address (RFC 6749 section 4.1.2.1).

use std::{sync::Arc, time::Duration};

use super::{
    answer::{ResponseMode, ReturnAddress},
    redirect_uri,
};
use crate::{
    base::id::ServiceId,
    model::{
        flow::{Flow, Flows},
        grant::Challenge,
        registry::Registry,
        scope::GrantedScope,
        service::Service,
    },
    oauth::{
        error::{ErrorCode, OAuthError, invalid_request},
        form::Form,
        pkce, scope,
    },
};

/// What requests are read by.
pub struct Context<'a> {
    /// The services.
    pub registry: &'a Registry,
    /// The flows that the profile allows.
    pub flows: Flows,
    /// Whether the profile is that of OAuth 2.1: unknown scope entries are errors, PKCE by S256 is required.
    pub strict: bool,
    /// `iss`
    pub issuer: Arc<str>,
}

/// What the client wants to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseType {
    /// An authorization code.
    pub code: bool,
    /// An access token, at once.
    pub token: bool,
    /// An id_token, at once.
    pub id_token: bool,
}

impl ResponseType {
    /// Every combination that is offered, as it is written (order does not count).
    pub const OFFERED: [&'static str; 5] = ["code", "token", "id_token", "id_token token", "code id_token"];

    fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<&str> = text.split(' ').collect();
        words.sort_unstable();
        let mut offered = Self::OFFERED.into_iter().map(|offer| {
            let mut sorted: Vec<&str> = offer.split(' ').collect();
            sorted.sort_unstable();
            sorted
        });
        offered.any(|offer| offer == words).then(|| Self {
            code: words.contains(&"code"),
            token: words.contains(&"token"),
            id_token: words.contains(&"id_token"),
        })
    }

    /// Whether anything that is a token would travel in the answer itself.
    const fn is_implicit(self) -> bool {
        self.token || self.id_token
    }
}

/// hub-contract section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Of the session; without one, the login page.
    Default,
    /// Of the session; without one, the guest's, if there is a guest.
    Skip,
    /// As [`Credentials::Skip`], but never a page.
    Silent,
    /// Fresh ones: the session ends.
    Required,
    /// None: the session ends, and the browser comes straight back.
    SilentLogout,
}

impl Credentials {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "skip" => Some(Self::Skip),
            "silent" => Some(Self::Silent),
            "required" => Some(Self::Required),
            "silent_logout" => Some(Self::SilentLogout),
            _ => None,
        }
    }
}

/// OpenID Connect Core section 3.1.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompt {
    /// No page.
    pub none: bool,
    /// The login page, whoever is signed in.
    pub login: bool,
    /// The consent page, whatever was consented to.
    pub consent: bool,
}

/// A request that may be decided on.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Arc<Service>,
    /// Where the answer goes.
    pub address: ReturnAddress,
    /// What for.
    pub wanted: Wanted,
}

/// What a client wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The kinds of credentials.
    pub response: ResponseType,
    /// For which services.
    pub scope: GrantedScope,
    /// `request_credentials`
    pub credentials: Credentials,
    /// `prompt`
    pub prompt: Prompt,
    /// `approval_prompt=force`
    pub force_consent: bool,
    /// How long ago the person may have signed in.
    pub max_age: Option<Duration>,
    /// Whether a refresh token comes with the code.
    pub offline: bool,
    /// PKCE.
    pub challenge: Option<Challenge>,
    /// `nonce`
    pub nonce: Option<String>,
}

impl Wanted {
    /// Whether it is a request of OpenID Connect.
    #[must_use]
    pub fn is_openid(&self) -> bool {
        self.scope.has("openid")
    }

    /// Whether no page may be shown.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.prompt.none || self.credentials == Credentials::Silent
    }
}

/// Why a request is refused, and who is told.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The person, on a page: the client or its address is not known.
    Page {
        /// What.
        error: OAuthError,
        /// The service and the address that it has not registered, to be noted for its administrator.
        rejected: Option<(ServiceId, String)>,
    },
    /// The client, through its address.
    Client {
        /// Where.
        address: ReturnAddress,
        /// What.
        error: OAuthError,
    },
}

/// The longest `state` and `nonce`, in bytes.
const MAX_ECHO: usize = 8 * 1024;

/// The longest `max_age`, in seconds; anything above is as good as none.
const LONGEST_AGE: u64 = 100 * 365 * 24 * 3600;

/// Reads a request.
///
/// # Errors
/// [`Refused`]
pub fn read(form: &Form, context: &Context<'_>) -> Result<AuthorizationRequest, Refused> {
    // 1 the client
    let page = |error| Refused::Page { error, rejected: None };
    let id = form.get("client_id").ok_or_else(|| page(invalid_request("client_id is missing")))?;
    let unknown = || page(invalid_request(format!("no service is registered with the id {id}")));
    let client = context.registry.by_id(id).ok_or_else(unknown)?;
    // 2 its address
    let uri = return_uri(form, client)?;
    // 3 how answers travel, good ones and others
    let asked = form.get("response_type").unwrap_or_default();
    let (mode, mode_error) = match response_mode(form, asked, uri) {
        Ok(mode) => (mode, None),
        Err((usual, error)) => (usual, Some(error)),
    };
    let state = form.get("state").map(str::to_owned);
    let address = ReturnAddress::new(uri.to_owned(), state, mode, Arc::clone(&context.issuer));
    // 4 everything else
    match mode_error.map_or_else(|| wanted(form, asked, client, context), Err) {
        Ok(wanted) => Ok(AuthorizationRequest { client: Arc::clone(client), address, wanted }),
        Err(error) => Err(Refused::Client { address, error }),
    }
}

/// The redirect URI, which must be sent and registered.
fn return_uri<'f>(form: &'f Form, client: &Service) -> Result<&'f str, Refused> {
    let refused = |text: &str, rejected| {
        let error = OAuthError::new(ErrorCode::InvalidRedirectUri, text.to_owned());
        Refused::Page { error, rejected }
    };
    let Some(uri) = form.get("redirect_uri") else { return Err(refused("redirect_uri is missing", None)) };
    if redirect_uri::is_registered(uri, &client.profile) {
        return Ok(uri);
    }
    let rejected = redirect_uri::is_plausible(uri).then(|| (client.id.clone(), uri.to_owned()));
    Err(refused("the address is not registered as a redirect URI of this service", rejected))
}

/// The mode in which to answer and, where the request asks for one that cannot be, why not.
fn response_mode(form: &Form, asked: &str, uri: &str) -> Result<ResponseMode, (ResponseMode, OAuthError)> {
    let implicit = asked.split(' ').any(|word| matches!(word, "token" | "id_token"));
    let usual = if implicit { ResponseMode::Fragment } else { ResponseMode::Query };
    let Some(name) = form.get("response_mode") else { return Ok(usual) };
    match ResponseMode::parse(name) {
        // Tokens in a query end up in logs and Referer headers (Multiple Response Types, section 3).
        Some(ResponseMode::Query) if implicit => {
            Err((usual, invalid_request("a token cannot be sent with response_mode=query")))
        }
        Some(ResponseMode::FormPost) if !uri.starts_with("https://") && !uri.starts_with("http://") => {
            Err((usual, invalid_request("response_mode=form_post needs an http or https address")))
        }
        Some(mode) => Ok(mode),
        None => Err((usual, invalid_request("response_mode is none of query, fragment and form_post"))),
    }
}

/// Everything after client and address.
fn wanted(form: &Form, asked: &str, client: &Service, context: &Context<'_>) -> Result<Wanted, OAuthError> {
    for (name, code) in
        [("request", ErrorCode::RequestNotSupported), ("request_uri", ErrorCode::RequestUriNotSupported)]
    {
        if form.has(name) {
            return Err(OAuthError::new(code, format!("{name} is not offered here")));
        }
    }
    for name in ["state", "nonce"] {
        if form.get(name).is_some_and(|value| value.len() > MAX_ECHO) {
            return Err(invalid_request(format!("{name} is too long")));
        }
    }
    let response = response_type(asked, client, context)?;
    let mut scope = requested_scope(form, client, context)?;
    let challenge = if response.code {
        let requirement = if context.strict {
            pkce::Requirement::S256
        } else if client.trust.public || client.trust.pkce_required {
            pkce::Requirement::Required
        } else {
            pkce::Requirement::Optional
        };
        pkce::challenge(form.get("code_challenge"), form.get("code_challenge_method"), requirement)?
    } else {
        None
    };
    let nonce = form.get("nonce").map(str::to_owned);
    if response.id_token {
        if !scope.has("openid") {
            return Err(invalid_request("an id_token needs openid in the scope"));
        }
        // OpenID Connect Core sections 3.2.2.1 and 3.3.2.11: without it, an id_token could be replayed.
        if nonce.is_none() {
            return Err(invalid_request("an id_token in the answer needs a nonce"));
        }
    }
    let online = choice(form, "access_type", &[("online", true), ("offline", false)])?.unwrap_or(true);
    let may_refresh =
        response.code && client.trust.flows.intersection(context.flows).contains(Flow::RefreshToken);
    let offline = may_refresh && (!online || scope.has("offline_access"));
    if !offline {
        scope = scope.without("offline_access");
    }
    let credentials = form.get("request_credentials").map_or(Ok(Credentials::Default), |name| {
        Credentials::parse(name).ok_or_else(|| invalid_request("request_credentials has an unknown value"))
    })?;
    let force_consent =
        choice(form, "approval_prompt", &[("auto", false), ("force", true)])?.unwrap_or(false);
    let prompt = prompt(form.get("prompt").unwrap_or_default())?;
    let max_age = max_age(form.get("max_age"))?;
    Ok(Wanted { response, scope, credentials, prompt, force_consent, max_age, offline, challenge, nonce })
}

fn response_type(asked: &str, client: &Service, context: &Context<'_>) -> Result<ResponseType, OAuthError> {
    if asked.is_empty() {
        return Err(invalid_request("response_type is missing"));
    }
    let unsupported = || {
        OAuthError::new(
            ErrorCode::UnsupportedResponseType,
            format!("response_type {asked} is not offered here"),
        )
    };
    let response = ResponseType::parse(asked).ok_or_else(unsupported)?;
    let flow = if response.code { Flow::AuthorizationCode } else { Flow::Implicit };
    if !context.flows.contains(flow) || response.is_implicit() && !context.flows.contains(Flow::Implicit) {
        return Err(unsupported());
    }
    if !client.may_use(flow) {
        let text = format!("{flow} is switched off for this service");
        return Err(OAuthError::new(ErrorCode::ResponseTypeNotAllowed, text));
    }
    Ok(response)
}

/// Without a scope, the client itself: the least that a token can be for.
fn requested_scope(form: &Form, client: &Service, context: &Context<'_>) -> Result<GrantedScope, OAuthError> {
    match form.get("scope") {
        Some(requested) if context.strict => scope::for_person(requested, client, context.registry),
        Some(requested) => scope::known_for_person(requested, client, context.registry),
        None => {
            Ok(GrantedScope { spelled: client.id.as_str().to_owned(), services: vec![client.id.clone()] })
        }
    }
}

fn choice<T: Copy>(form: &Form, name: &str, values: &[(&str, T)]) -> Result<Option<T>, OAuthError> {
    let Some(given) = form.get(name) else { return Ok(None) };
    let found = values.iter().find(|(value, _)| *value == given);
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
        let known: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
        invalid_request(format!("{name} is none of {}", known.join(", ")))
    })
}

fn prompt(text: &str) -> Result<Prompt, OAuthError> {
    let mut prompt = Prompt::default();
    let mut count = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        count += 1;
        match word {
            "none" => prompt.none = true,
            // A gateway with one account for each person selects by signing in.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(invalid_request("prompt has an unknown value")),
        }
    }
    if prompt.none && count > 1 {
        return Err(invalid_request("prompt has none beside another value"));
    }
    Ok(prompt)
}

fn max_age(text: Option<&str>) -> Result<Option<Duration>, OAuthError> {
    let Some(text) = text else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| text.parse::<u64>().unwrap_or(LONGEST_AGE));
    let seconds = seconds.ok_or_else(|| invalid_request("max_age is not a number of seconds"))?;
    Ok(Some(Duration::from_secs(seconds.min(LONGEST_AGE))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::Timestamp,
        model::service::{Profile, Trust},
    };

    fn service(id: &str, trust: Trust) -> Service {
        Service {
            id: ServiceId::parse(id).unwrap(),
            name: id.to_uppercase(),
            trust,
            profile: Profile {
                redirect_uris: vec!["https://a/cb".into(), "app://cb".into()],
                ..Profile::default()
            },
            secrets: vec![],
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        }
    }

    fn attempt_with(query: &str, flows: Flows, strict: bool) -> Result<AuthorizationRequest, Refused> {
        let only = |flow: Flow| Trust { flows: [flow].into_iter().collect(), ..Trust::default() };
        let registry = Registry::new(
            [
                service("app", Trust::default()),
                service("public", Trust { public: true, ..Trust::default() }),
                service("codes", only(Flow::AuthorizationCode)),
                service("implicit", only(Flow::Implicit)),
            ],
            "https://g/hub",
        );
        let form = Form::parse(query.as_bytes()).map_err(|error| Refused::Page { error, rejected: None })?;
        read(&form, &Context { registry: &registry, flows, strict, issuer: Arc::from("https://g/hub") })
    }

    fn attempt(query: &str) -> Result<AuthorizationRequest, Refused> {
        attempt_with(query, Flows::all(), false)
    }

    fn code_of(refused: Refused) -> (bool, ErrorCode) {
        match refused {
            Refused::Page { error, .. } => (true, error.code),
            Refused::Client { error, .. } => (false, error.code),
        }
    }

    const BASE: &str = "client_id=app&redirect_uri=https%3A%2F%2Fa%2Fcb";

    #[test]
    fn what_concerns_client_or_address_is_told_on_a_page() {
        for (query, code) in [
            ("", ErrorCode::InvalidRequest),
            (
                "client_id=nobody&redirect_uri=https%3A%2F%2Fa%2Fcb&response_type=code",
                ErrorCode::InvalidRequest,
            ),
            ("client_id=APP&redirect_uri=https%3A%2F%2Fa%2Fcb&response_type=code", ErrorCode::InvalidRequest),
            ("client_id=app&response_type=code", ErrorCode::InvalidRedirectUri),
            ("client_id=app&redirect_uri=&response_type=code", ErrorCode::InvalidRedirectUri),
            (
                "client_id=app&redirect_uri=https%3A%2F%2Fa%2Fcb%2F&response_type=code",
                ErrorCode::InvalidRedirectUri,
            ),
            (
                "client_id=0-0-0-0-0&redirect_uri=https%3A%2F%2Fg%2Fhub&response_type=code",
                ErrorCode::InvalidRedirectUri,
            ),
            ("client_id=app&client_id=app&redirect_uri=https%3A%2F%2Fa%2Fcb", ErrorCode::InvalidRequest),
            ("client_id=app&redirect_uri=https%3A%2F%2Fa%2Fcb&state=1&state=1", ErrorCode::InvalidRequest),
        ] {
            assert_eq!(code_of(attempt(query).unwrap_err()), (true, code), "{query}");
        }
        let rejected = |query: &str| match attempt(query).unwrap_err() {
            Refused::Page { rejected, .. } => rejected.map(|(id, uri)| (id.to_string(), uri)),
            Refused::Client { .. } => panic!("a redirect"),
        };
        let noted = rejected("client_id=app&redirect_uri=https%3A%2F%2Fb%2Fcb&response_type=code");
        assert_eq!(noted, Some(("app".into(), "https://b/cb".into())));
        assert_eq!(rejected("client_id=app&redirect_uri=javascript%3Aalert(1)&response_type=code"), None);
    }

    #[test]
    fn what_comes_later_is_told_to_the_client() {
        use ErrorCode::*;
        let verifier = "v".repeat(43);
        for (rest, code) in [
            ("", InvalidRequest),
            ("response_type=magic", UnsupportedResponseType),
            ("response_type=code+token", UnsupportedResponseType),
            ("response_type=code&response_mode=magic", InvalidRequest),
            ("response_type=token&response_mode=query", InvalidRequest),
            ("response_type=code&scope=nobody", InvalidScope),
            ("response_type=code&scope=nobody+nothing", InvalidScope),
            ("response_type=code&access_type=sometimes", InvalidRequest),
            ("response_type=code&approval_prompt=maybe", InvalidRequest),
            ("response_type=code&request_credentials=please", InvalidRequest),
            ("response_type=code&prompt=none+login", InvalidRequest),
            ("response_type=code&prompt=magic", InvalidRequest),
            ("response_type=code&max_age=soon", InvalidRequest),
            ("response_type=code&max_age=-1", InvalidRequest),
            ("response_type=code&code_challenge=short", InvalidRequest),
            ("response_type=code&code_challenge_method=S256", InvalidRequest),
            ("response_type=id_token&nonce=n&scope=app", InvalidRequest),
            ("response_type=id_token&scope=openid", InvalidRequest),
            ("response_type=code&request=x", RequestNotSupported),
            ("response_type=code&request_uri=https%3A%2F%2Fevil", RequestUriNotSupported),
        ] {
            let refused = attempt(&format!("{BASE}&state=s&{rest}")).unwrap_err();
            assert_eq!(code_of(refused), (false, code), "{rest}");
        }
        for (client, kind, code) in [
            ("codes", "token", ResponseTypeNotAllowed),
            ("implicit", "code", ResponseTypeNotAllowed),
            ("public", "code", InvalidRequest),
        ] {
            let query = format!("client_id={client}&redirect_uri=https%3A%2F%2Fa%2Fcb&response_type={kind}");
            assert_eq!(code_of(attempt(&query).unwrap_err()), (false, code), "{query}");
        }
        let form_post =
            "client_id=app&redirect_uri=app%3A%2F%2Fcb&response_type=code&response_mode=form_post";
        assert_eq!(code_of(attempt(form_post).unwrap_err()), (false, InvalidRequest));
        // OAuth 2.1: no implicit flow, S256 for everybody, no unknown scope.
        let flows: Flows = [Flow::AuthorizationCode, Flow::RefreshToken].into_iter().collect();
        for (rest, code) in [
            ("response_type=token".to_owned(), UnsupportedResponseType),
            ("response_type=code+id_token&scope=openid&nonce=n".to_owned(), UnsupportedResponseType),
            ("response_type=code".to_owned(), InvalidRequest),
            (format!("response_type=code&code_challenge={verifier}"), InvalidRequest),
            (
                format!(
                    "response_type=code&code_challenge={verifier}&code_challenge_method=S256&scope=app+nobody"
                ),
                InvalidScope,
            ),
        ] {
            let refused = attempt_with(&format!("{BASE}&{rest}"), flows, true).unwrap_err();
            assert_eq!(code_of(refused), (false, code), "{rest}");
        }
    }

    #[test]
    fn a_good_request_says_what_is_wanted() {
        let request = attempt(&format!(
            "{BASE}&response_type=code&scope=APP+nobody+0-0-0-0-0+openid+email&access_type=offline&state=a%26b&\
             prompt=login+consent&approval_prompt=force&max_age=60&nonce=n&request_credentials=skip&rnd=1&\
             auth_mode=bypass_to_login"
        ))
        .unwrap();
        let wanted = &request.wanted;
        assert_eq!(wanted.scope.spelled, "APP 0-0-0-0-0 openid email");
        assert_eq!(
            wanted.scope.services.iter().map(ServiceId::as_str).collect::<Vec<_>>(),
            ["app", "0-0-0-0-0"]
        );
        assert!(wanted.offline && wanted.force_consent && wanted.is_openid() && !wanted.is_silent());
        assert_eq!(wanted.prompt, Prompt { none: false, login: true, consent: true });
        assert_eq!((wanted.max_age, wanted.credentials), (Some(Duration::from_secs(60)), Credentials::Skip));
        let bare = attempt(&format!("{BASE}&response_type=token")).unwrap().wanted;
        assert_eq!((bare.scope.spelled.as_str(), bare.offline), ("app", false));
        let only_openid =
            attempt(&format!("{BASE}&response_type=token&scope=openid+offline_access")).unwrap().wanted;
        assert_eq!((only_openid.scope.spelled.as_str(), only_openid.scope.services.len()), ("openid", 1));
    }
}
