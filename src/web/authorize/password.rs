//! Choosing a password in place of one that was good for one sign-in.
//!
//! Invariant: only the person who has just signed in with such a password; a change ends every session and token that was
//! there before, and the person goes on with a new session.

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, Uri};

use super::{Desk, carry_out::giving, query::Query, store_failed};
use crate::{
    base::secret::Secret,
    identity::session::SignedIn,
    model::event::Author,
    oauth::{
        error::{OAuthError, invalid_request},
        form::Form,
    },
    proxy::gate::Caller,
    registry::users::{self, PeopleError},
    texts::Language,
    web::{
        Control,
        browser::{Browser, language_of, noted},
        cookie,
        endpoint::Endpoint,
        pages::NewPassword,
    },
};

/// `GET …/auth/password`
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.password_page(uri.query().unwrap_or_default()).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

/// `POST …/auth/password`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.change_password(uri.query().unwrap_or_default(), &body).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

impl Desk<'_> {
    async fn password_page(&self, query: &str) -> Result<Response, OAuthError> {
        let query = Query::read(query)?;
        let browser = Browser::find(self.control, self.caller, self.headers).await.map_err(store_failed)?;
        Ok(match must_change(&browser) {
            Some(who) => self.new_password(&query, who, None),
            None => self.go(StatusCode::FOUND, &self.next(&query)),
        })
    }

    async fn change_password(&self, query: &str, body: &[u8]) -> Result<Response, OAuthError> {
        self.same_origin()?;
        let query = Query::read(query)?;
        let form = Form::parse(body)?;
        let browser = Browser::find(self.control, self.caller, self.headers).await.map_err(store_failed)?;
        let Some(who) = must_change(&browser) else {
            return Ok(self.go(StatusCode::SEE_OTHER, &self.next(&query)));
        };
        let t = language_of(&who.user, self.headers);
        let new = match chosen(&form, t) {
            Ok(new) => new,
            Err(why) => return Ok(self.new_password(&query, who, Some(why))),
        };
        let before = who.user.password.as_ref().map(|password| password.hash.clone()).unwrap_or_default();
        if self.control.hasher.verify(&before, &new).await.map_err(|_| busy())? {
            return Ok(self.new_password(&query, who, Some(t.password_same())));
        }
        let hashed = match users::NewPassword::of(&new, false, self.control.hasher.as_ref()).await {
            Ok(hashed) => hashed,
            Err(PeopleError::Store(error)) => return Err(store_failed(error)),
            Err(other) => return Ok(self.new_password(&query, who, Some(&t.password_not_taken(other)))),
        };
        let control = self.control.acting(self.caller, Author::from(&who.user));
        let store = control.store.as_ref();
        let clock = self.control.clock.as_ref();
        let changed = users::set_password(store, &who.user.id, Some(hashed), clock).await;
        let user = match changed {
            Ok(user) => user,
            Err(PeopleError::Store(error)) => return Err(store_failed(error)),
            Err(other) => return Ok(self.new_password(&query, who, Some(&t.password_not_taken(other)))),
        };
        let (value, session) = control
            .sessions
            .begin(&user, noted(self.caller, self.headers), who.session.remember, None)
            .await
            .map_err(store_failed)?;
        self.control.in_force().await?;
        control.tell_password_changed(self.caller, &user, t);
        let age = session.remember.then(|| self.control.sessions.life().absolute);
        let response = self.go(StatusCode::SEE_OTHER, &self.next(&query));
        Ok(giving(response, cookie::set(&value, age)))
    }

    fn new_password(&self, query: &Query, who: &SignedIn, notice: Option<&str>) -> Response {
        self.pages_for(&who.user).new_password(&NewPassword {
            login: &who.user.login,
            intro: language_of(&who.user, self.headers).password_once(),
            notice,
            action: &self.own(Endpoint::PasswordPage, query),
            fields: &[],
        })
    }

    /// Where to go after: on with the request, if there is one.
    fn next(&self, query: &Query) -> String {
        if query.asks() {
            return self.own(Endpoint::Authorize, query);
        }
        self.onward(query)
    }
}

fn must_change(browser: &Browser) -> Option<&SignedIn> {
    let due = |who: &&SignedIn| who.user.password.as_ref().is_some_and(|password| password.must_change);
    browser.signed_in().filter(due)
}

/// The password that a form brings twice, or what is wrong with it.
pub(super) fn chosen(form: &Form, t: Language) -> Result<Secret, &'static str> {
    let field = |name| form.get(name).map(|text| Secret::new(text.to_owned()));
    let (Some(new), Some(again)) = (field("newPassword"), field("newPasswordAgain")) else {
        return Err(t.password_twice());
    };
    if new != again {
        return Err(t.password_differs());
    }
    if new.expose().chars().count() < 12 {
        return Err(t.password_short());
    }
    Ok(new)
}

/// Too many passwords wait to be looked at.
pub(super) fn busy() -> OAuthError {
    invalid_request("the password cannot be checked at this moment")
}
