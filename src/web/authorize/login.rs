//! Signing in: the page, and the form that the page and login scripts post (hub-contract section 7).
//!
//! Invariant: one answer for every account that does not open; after a success the session is a new one.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, Uri};

use super::{
    Desk,
    carry_out::giving,
    query::{BAD_CREDENTIALS, EXPIRED, PASSWORD_SET, Query, THROTTLED},
    store_failed,
};
use crate::{
    base::secret::Secret,
    crypto::opaque::{self, Kind},
    identity::login::LoginError,
    model::{event::Author, service::Service, user::User},
    oauth::{
        error::{ErrorCode, OAuthError, invalid_request},
        form::Form,
    },
    proxy::gate::{Caller, Outcome},
    texts::Language,
    web::{
        Control,
        browser::{Browser, noted},
        cookie,
        endpoint::Endpoint,
        origin,
        pages::{Login, Notice, framers, icon_of},
    },
};

/// `GET …/auth/login`
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    let query = match Query::read(uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return desk.problem(&error, None),
    };
    if !query.asks() {
        return desk.login(&query, None);
    }
    match desk.request(&query) {
        Ok(request) => desk.login(&query, Some(&request.client)),
        Err(refused) => desk.refused(refused).await,
    }
}

/// `POST …/oauth2/interactive/login`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.sign_in(uri.query().unwrap_or_default(), &body).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

impl Desk<'_> {
    fn login(&self, query: &Query, client: Option<&Service>) -> Response {
        let hub = &self.caller.snapshot.desk.hub_url;
        let action = format!("{hub}{}?{}", Endpoint::InteractiveLogin.path(), query.clean());
        let restore = format!("{}?{}", Endpoint::RestorePage.url(hub), query.clean());
        let strict = self.caller.snapshot.strict;
        let tell = client.map_or_else(Vec::new, |client| framers(client, strict));
        let notice = query.problem().and_then(notice);
        self.pages().login(Login {
            service: client.map(|client| client.name.as_str()),
            icon: client.and_then(icon_of),
            message: query.form().get("message").or_else(|| self.why_sign_in(query)).map(Into::into),
            notice,
            login: query.form().get("login_hint").unwrap_or_default(),
            remember: false,
            action: action.trim_end_matches('?'),
            restore: self.control.mailer.is_ready().then_some(restore.trim_end_matches('?')),
            tell: &tell,
        })
    }

    /// What a page says that needs somebody to be signed in and has sent them here.
    fn why_sign_in(&self, query: &Query) -> Option<&'static str> {
        let t = Language::wanted(self.headers);
        let resumed = query.back()?.strip_prefix(self.caller.snapshot.hub_path.as_ref())?;
        let typed = resumed.starts_with(Endpoint::Resume.path());
        Some(if typed { t.session_ended() } else { t.sign_in_first() })
    }

    async fn sign_in(&self, query: &str, body: &[u8]) -> Result<Response, OAuthError> {
        self.same_origin()?;
        let query = Query::read(query)?;
        // A request that cannot be trusted is not worth a password.
        if query.asks() {
            match self.request(&query) {
                Ok(_) => {}
                Err(refused) => return Ok(self.refused(refused).await),
            }
        }
        let form = Form::parse(body)?;
        let required =
            |name: &str| form.get(name).ok_or_else(|| invalid_request(format!("{name} is missing")));
        let (name, password) = (required("username")?, Secret::new(required("password")?.to_owned()));
        let ticked = |value: Option<&str>| value.is_some_and(|value| matches!(value, "on" | "true"));
        let remember = ticked(form.get("rememberMe")) || ticked(query.form().get("rememberMe"));
        match self.control.logins.authenticate(name, &password, self.caller.source).await {
            Ok(user) => self.begin_session(&query, &user, remember).await,
            Err(LoginError::SecondStep(halfway)) => self.ask_for_code(&query, &halfway, remember),
            Err(LoginError::Credentials) => {
                self.caller.snapshot.quota.refused(self.caller.source);
                Ok(self.try_again(&query, BAD_CREDENTIALS))
            }
            Err(LoginError::Throttled(wait)) => Ok(self.try_again(&query, &throttled(wait))),
            Err(LoginError::Busy(wait)) => {
                Err(OAuthError::for_now("too many people are signing in; try again", wait))
            }
            Err(LoginError::Store(error)) => Err(store_failed(error)),
        }
    }

    /// Signs somebody in who has shown all that was asked for, and leads on.
    pub(super) async fn begin_session(
        &self,
        query: &Query,
        user: &User,
        remember: bool,
    ) -> Result<Response, OAuthError> {
        let browser = Browser::find(self.control, self.caller, self.headers).await.map_err(store_failed)?;
        let sessions = self.control.acting(self.caller, Author::from(user)).sessions;
        let (value, session) = sessions
            .begin(user, noted(self.caller, self.headers), remember, browser.signed_in())
            .await
            .map_err(store_failed)?;
        if browser.signed_in().is_some_and(|before| before.user.id != user.id) {
            self.control.in_force().await?;
        }
        if let Some(before) = cookie::read(self.headers)
            && let Some(before) = opaque::digest(Kind::Session, before.expose())
        {
            // The same person's session goes on under another cookie, which revokes nothing: the gate is told.
            self.control.gate.sessions.forget(&before);
        }
        let next = if query.asks() {
            let hub = &self.caller.snapshot.desk.hub_url;
            format!("{hub}{}?{}", Endpoint::Authorize.path(), query.after_login())
        } else if user.password.as_ref().is_some_and(|password| password.must_change) {
            format!("{}?{}", Endpoint::PasswordPage.url(&self.caller.snapshot.desk.hub_url), query.clean())
        } else {
            self.onward(query)
        };
        let age = remember.then(|| sessions.life().absolute);
        let mut response = giving(self.go(StatusCode::SEE_OTHER, &next), cookie::set(&value, age));
        let reason = format!("user {} signed in, session {}", user.id, session.id);
        response.extensions_mut().insert(Outcome { decision: "signed_in", reason, ..Outcome::default() });
        Ok(response)
    }

    pub(super) fn try_again(&self, query: &Query, problem: &str) -> Response {
        let hub = &self.caller.snapshot.desk.hub_url;
        let location = format!("{hub}{}?{}", Endpoint::LoginPage.path(), query.with_problem(problem));
        let mut response = self.go(StatusCode::SEE_OTHER, &location);
        response.extensions_mut().insert(Outcome {
            decision: "refused",
            reason: format!("sign-in: {problem}"),
            ..Outcome::default()
        });
        response
    }

    /// Refuses posts that another site's page has caused.
    pub(super) fn same_origin(&self) -> Result<(), OAuthError> {
        if origin::may_post(self.headers, &self.caller.snapshot.origin) {
            return Ok(());
        }
        Err(OAuthError::new(ErrorCode::AccessDenied, "this form was sent by a page of another site"))
    }
}

/// What a page says of a wait.
pub(super) fn throttled(wait: Duration) -> String {
    format!("{THROTTLED}{}", wait.as_millis().div_ceil(1000).max(1))
}

/// What a page says of what went before.
pub(super) fn notice(problem: &str) -> Option<Notice> {
    if problem == BAD_CREDENTIALS {
        return Some(Notice::WrongCredentials);
    }
    if problem == EXPIRED {
        return Some(Notice::Expired);
    }
    if problem == PASSWORD_SET {
        return Some(Notice::PasswordSet);
    }
    let seconds = problem.strip_prefix(THROTTLED)?.parse::<u32>().ok()?;
    Some(Notice::Throttled(Duration::from_secs(seconds.into())))
}
