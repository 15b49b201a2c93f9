//! The second step of a sign-in: the page that asks for a code, and the form that brings it.
//!
//! Invariants: the page is had only by whoever has just shown the password, and the ticket in it is good for that sign-in
//! alone: that person, that password, that authorization request, ten minutes; one answer for every code that does not open
//! the account; the session begins after the code.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::{
    Desk,
    query::{EXPIRED, Query},
    store_failed,
};
use crate::{
    base::{id::UserId, secret::Secret, time::Timestamp},
    crypto::digest::sha256,
    identity::{
        login::LoginError,
        second_step::{Halfway, Secrets},
    },
    model::event::Author,
    oauth::{
        error::{ErrorCode, OAuthError},
        form::Form,
    },
    proxy::gate::{Caller, Outcome},
    web::{
        Control,
        endpoint::Endpoint,
        pages::{Notice, SecondStep, framers},
    },
};

/// How long somebody may look for the device.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// What tickets are sealed for.
const CONTEXT: &str = "second step of a sign-in under way";

/// What the page carries from one step to the other, sealed.
#[derive(Serialize, Deserialize)]
struct Ticket {
    user: String,
    login: String,
    password_set: i64,
    remember: bool,
    /// When the first step was taken.
    begun: i64,
    /// Of the authorization request.
    request: [u8; 32],
}

/// `GET …/auth/second-step`: nobody is here without a form. It begins at the login page.
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match Query::read(uri.query().unwrap_or_default()) {
        Ok(query) => desk.go(StatusCode::FOUND, &desk.own(Endpoint::LoginPage, &query)),
        Err(error) => desk.problem(&error, None),
    }
}

/// `POST …/auth/second-step`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.second_step(uri.query().unwrap_or_default(), &body).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

impl Desk<'_> {
    /// The page, for somebody who has shown the password.
    pub(super) fn ask_for_code(
        &self,
        query: &Query,
        halfway: &Halfway,
        remember: bool,
    ) -> Result<Response, OAuthError> {
        let ticket = Ticket {
            user: halfway.user.to_string(),
            login: halfway.login.clone(),
            password_set: halfway.password_set.millis(),
            remember,
            begun: self.control.clock.now().millis(),
            request: sha256(query.clean().as_bytes()),
        };
        let failed = || OAuthError::new(ErrorCode::ServerError, "the sign-in could not be continued");
        let plain = serde_json::to_vec(&ticket).map_err(|_| failed())?;
        let sealed = self.control.sealing.seal(CONTEXT, &plain, self.control.random.as_ref());
        let sealed = Secret::new(URL_SAFE_NO_PAD.encode(sealed.map_err(|_| failed())?));
        let mut response = self.code_page(query, &halfway.login, &sealed, None);
        let reason = format!("user {} has shown the password; a code is asked for", halfway.user);
        response.extensions_mut().insert(Outcome { decision: "asked", reason, ..Outcome::default() });
        Ok(response)
    }

    fn code_page(&self, query: &Query, login: &str, ticket: &Secret, notice: Option<Notice>) -> Response {
        let hub = &self.caller.snapshot.desk.hub_url;
        let action = format!("{hub}{}?{}", Endpoint::SecondStepPage.path(), query.clean());
        let client = if query.asks() { self.request(query).ok().map(|request| request.client) } else { None };
        let strict = self.caller.snapshot.strict;
        let tell = client.map_or_else(Vec::new, |client| framers(&client, strict));
        let action = action.trim_end_matches('?');
        self.pages().second_step(&SecondStep { login, notice, ticket: ticket.expose(), action, tell: &tell })
    }

    async fn second_step(&self, query: &str, body: &[u8]) -> Result<Response, OAuthError> {
        self.same_origin()?;
        let query = Query::read(query)?;
        if query.asks()
            && let Err(refused) = self.request(&query)
        {
            return Ok(self.refused(refused).await);
        }
        let form = Form::parse(body)?;
        // What is not there is not good.
        let field = |name: &str| Secret::new(form.get(name).unwrap_or_default().to_owned());
        let (sealed, code) = (field("ticket"), field("code"));
        let Some((halfway, remember)) = self.open(&query, &sealed) else {
            return Ok(self.try_again(&query, EXPIRED));
        };
        let by = Author::user(&halfway.user, &halfway.login);
        let store = self.control.acting(self.caller, by).store;
        let secrets = Secrets { store: store.as_ref(), sealing: &self.control.sealing };
        let again = |notice: Notice| {
            let mut response = self.code_page(&query, &halfway.login, &sealed, Some(notice));
            let reason = format!("second step of user {}: {notice:?}", halfway.user);
            response.extensions_mut().insert(Outcome { decision: "refused", reason, ..Outcome::default() });
            response
        };
        match self.control.logins.second_step(&halfway, &code, self.caller.source, secrets).await {
            Ok(user) => self.begin_session(&query, &user, remember).await,
            // There is no third step.
            Err(LoginError::Credentials | LoginError::SecondStep(_)) => {
                self.caller.snapshot.quota.refused(self.caller.source);
                Ok(again(Notice::WrongCode))
            }
            Err(LoginError::Throttled(wait)) => Ok(again(Notice::Throttled(wait))),
            Err(LoginError::Busy(wait)) => Ok(again(Notice::Busy(wait))),
            Err(LoginError::Store(error)) => Err(store_failed(error)),
        }
    }

    /// Who has taken the first step of this sign-in, and whether to be remembered.
    fn open(&self, query: &Query, sealed: &Secret) -> Option<(Halfway, bool)> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed.expose()).ok()?;
        let plain = self.control.sealing.open(CONTEXT, &bytes).ok()?;
        let ticket: Ticket = serde_json::from_slice(&plain).ok()?;
        let (begun, now) = (Timestamp::from_millis(ticket.begun), self.control.clock.now());
        if now < begun || now >= begun.plus(LIFE) || ticket.request != sha256(query.clean().as_bytes()) {
            return None;
        }
        let password_set = Timestamp::from_millis(ticket.password_set);
        let user = UserId::parse(&ticket.user).ok()?;
        Some((Halfway { user, login: ticket.login, password_set }, ticket.remember))
    }
}
