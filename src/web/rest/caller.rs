//! Who asks: by a bearer token with the gateway's own service in scope, by name and password or application password
//! (RFC 7617), or by a session from our own pages.
//!
//! Invariants: a credential that does not open is refused, never passed over; a cookie counts for a page of ours alone, so
//! that no other page acts with it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, ORIGIN},
};

use super::error::RestError;
use crate::{
    base::{id::ServiceId, secret::Secret},
    identity::login::LoginError,
    model::{
        service::Service,
        user::{Person, User},
    },
    oauth::error::ErrorCode,
    proxy::{gate::Caller, refusal::Refusal},
    web::{Control, bearer, browser::Browser, cookie, origin},
};

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Without a credential.
    Nobody,
    /// A person, or a program with a token of theirs.
    Person(Arc<Person>),
    /// A service for itself.
    Service(Arc<Service>),
}

/// Who asks, and what to write down of it.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) who: Who,
    /// `client_id` of the token.
    pub(super) client: String,
    /// `jti` of the token.
    pub(super) jti: String,
    /// The services to which what it makes is held: those of a token whose holder was given these and no others. `None` where
    /// the whole account stands behind it.
    pub(super) within: Option<Vec<ServiceId>>,
}

impl Asker {
    /// Somebody unknown.
    pub(super) fn nobody() -> Self {
        Self::without_token(Who::Nobody)
    }

    fn without_token(who: Who) -> Self {
        Self { who, client: String::new(), jti: String::new(), within: None }
    }
}

/// Finds out.
pub(super) async fn find(
    control: &Control,
    caller: &Caller,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Asker, RestError> {
    if bearer::is_application_password(headers) {
        return by_token(control, caller, headers);
    }
    match basic(headers)? {
        Some((name, password)) => by_password(control, caller, &name, &password).await,
        None if headers.contains_key(AUTHORIZATION) => by_token(control, caller, headers),
        None if cookie::read(headers).is_some() => by_session(control, caller, method, headers).await,
        None => Ok(Asker::nobody()),
    }
}

fn by_token(control: &Control, caller: &Caller, headers: &HeaderMap) -> Result<Asker, RestError> {
    let verdict = bearer::verdict(headers, control, caller)?;
    if !verdict.covers(&ServiceId::hub()) {
        let text = "the token's scope does not name the gateway's own service";
        return Err(Refusal::insufficient_scope(text, ServiceId::HUB.to_owned()).into());
    }
    let claims = &verdict.claims;
    // A client that has to ask people has what they agreed to, and who makes a permanent token says what it is for. Neither
    // grows by way of the tokens that it can make. Of other clients an administrator has decided that nobody is asked.
    let client = caller.snapshot.registry.by_id(claims.client_id.as_str());
    let whole = claims.every_service
        || claims.credential.is_none() && client.is_some_and(|client| !client.trust.consent_required);
    let within = (!whole).then(|| claims.aud.clone());
    let who = match &verdict.person {
        Some(person) => Who::Person(Arc::clone(person)),
        None => match client {
            Some(service) => Who::Service(Arc::clone(service)),
            None => Who::Nobody,
        },
    };
    Ok(Asker { who, client: claims.client_id.as_str().to_owned(), jti: claims.jti.clone(), within })
}

/// Name and password of RFC 7617, if the header has that scheme.
fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret)>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Ok(None) };
    let value = value.as_bytes();
    let Some((scheme, rest)) = value.split_at_checked(5) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case(b"basic") || rest.first() != Some(&b' ') {
        return Ok(None);
    }
    let malformed =
        || Refusal::malformed_credential("the Authorization header is not of the form Basic BASE64");
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(rest.trim_ascii()).map_err(|_| malformed())?);
    let text = std::str::from_utf8(&decoded).map_err(|_| malformed())?;
    let (name, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok(Some((name.to_owned(), Secret::new(password.to_owned()))))
}

async fn by_password(
    control: &Control,
    caller: &Caller,
    name: &str,
    password: &Secret,
) -> Result<Asker, RestError> {
    let user =
        control.logins.authenticate(name, password, caller.source).await.map_err(|error| match error {
            LoginError::Credentials => RestError::Gate(Refusal::new(
                StatusCode::UNAUTHORIZED,
                ErrorCode::Unauthorized,
                "the name or the password is wrong",
            )),
            LoginError::SecondStep(_) => RestError::Gate(Refusal::new(
                StatusCode::UNAUTHORIZED,
                ErrorCode::Unauthorized,
                "this account signs in in two steps: use an application password or a permanent token",
            )),
            LoginError::Throttled(wait) => {
                RestError::Gate(Refusal::too_many("too many failed sign-ins", wait))
            }
            LoginError::Busy(wait) => {
                RestError::Gate(Refusal::unavailable("too many sign-ins at once", wait))
            }
            LoginError::Store(error) => error.into(),
        })?;
    person(control, &user).await.map(Asker::without_token)
}

async fn by_session(
    control: &Control,
    caller: &Caller,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Asker, RestError> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // A script that holds a password has no need of a cookie, so a header that only browsers send has to be there.
    let by_browser = headers.contains_key("sec-fetch-site") || headers.contains_key(ORIGIN);
    if !origin::may_post(headers, &caller.snapshot.origin) || !reads && !by_browser {
        return Err(RestError::forbidden("a session is good for the gateway's own pages only: send a token"));
    }
    let browser = Browser::find(control, caller, headers).await?;
    match browser.signed_in() {
        Some(who) => person(control, &who.user).await.map(Asker::without_token),
        None => Ok(Asker::nobody()),
    }
}

/// A user as the gate knows it.
async fn person(control: &Control, user: &User) -> Result<Who, RestError> {
    if user.password.as_ref().is_some_and(|password| password.must_change) {
        return Err(RestError::forbidden(
            "the password is good for one sign-in: choose another on the login page",
        ));
    }
    let person = control.person(&user.id).await?;
    Ok(person.map_or(Who::Nobody, |person| Who::Person(Arc::new(person))))
}
