//! Who visits a page, and with what: what every handler of these pages begins with.
//!
//! Invariants: a visitor is signed in and has a password of their own; an [`Administrator`] is one at this moment; a form has
//! been sent by a page of ours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use askama::Template;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, StatusCode, Uri,
    header::{LOCATION, SET_COOKIE},
    request::Parts,
};

use super::{
    form::Fields,
    frame::{Frame, Section},
    memory::{Before, End, PARKED, Parked, name},
};
use crate::{
    base::{secret::Secret, time::Timestamp},
    identity::session::SignedIn,
    model::event::Author,
    oauth::error::ErrorCode,
    proxy::{
        gate::Caller,
        refusal::{Form, Refusal},
    },
    store::StoreError,
    texts::Language,
    web::{
        Control,
        authorize::query::BACK,
        browser::{Browser, language_of},
        cookie,
        endpoint::Endpoint,
        origin,
        pages::Pages,
        reply,
    },
};

/// Somebody who is signed in looks at a page.
pub(in crate::web) struct Visit {
    /// What handlers share.
    pub(in crate::web) control: Control,
    /// The request, as the gate knows it.
    pub(in crate::web) caller: Caller,
    /// Its headers.
    pub(in crate::web) headers: HeaderMap,
    /// What is asked for: path and query below `hub.path`.
    pub(in crate::web) uri: Uri,
    /// Who.
    pub(in crate::web) who: SignedIn,
    /// The language of the answer.
    pub(in crate::web) t: Language,
}

impl Visit {
    /// Finds out who asks. Otherwise the answer is what to do first: to sign in, and to come back to `back`.
    async fn begin(
        parts: &Parts,
        control: &Control,
        back: &(dyn Fn(&Caller) -> String + Sync),
    ) -> Result<Self, Response> {
        let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let headers = parts.headers.clone();
        let browser = match Browser::find(control, &caller, &headers).await {
            Ok(browser) => browser,
            Err(error) => return Err(store_failed(&error, &headers, &caller)),
        };
        let hub = &caller.snapshot.desk.hub_url;
        let way = |endpoint: Endpoint, back: &str| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair(BACK, back).finish();
            reply::name(see_other(&format!("{}?{query}", endpoint.url(hub))), &caller)
        };
        let Some(who) = browser.signed_in().cloned() else {
            return Err(way(Endpoint::LoginPage, &back(&caller)));
        };
        if who.user.password.as_ref().is_some_and(|password| password.must_change) {
            return Err(way(Endpoint::PasswordPage, &back(&caller)));
        }
        let t = language_of(&who.user, &headers);
        Ok(Self { control: control.clone(), headers, uri: parts.uri.clone(), who, t, caller })
    }

    /// The hub's address, which links begin with.
    pub(in crate::web) fn hub(&self) -> &Arc<str> {
        &self.caller.snapshot.desk.hub_url
    }

    /// The address of a page of ours by its path below `hub.path`.
    pub(in crate::web) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.hub())
    }

    /// The query of the request.
    pub(in crate::web) fn query(&self) -> Fields {
        Fields::read(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The time.
    pub(in crate::web) fn now(&self) -> Timestamp {
        self.control.clock.now()
    }

    /// The same handles for what this person changes: the audit log names them.
    pub(in crate::web) fn acting(&self) -> Control {
        self.control.acting(&self.caller, Author::from(&self.who.user))
    }

    /// Waits until the gate of this node acts on what was written.
    ///
    /// # Errors
    /// The page that says that it is kept and not yet in force.
    pub(in crate::web) async fn in_force(&self) -> Result<(), Response> {
        self.control.in_force().await.map_err(|_| {
            let text = "the change is kept and not yet in force";
            self.refuse(&Refusal::unavailable(text, Duration::from_secs(1)))
        })
    }

    /// What is around a page of this section.
    pub(in crate::web) fn frame(&self, section: Section) -> Frame {
        let pages = self.pages();
        Frame {
            t: self.t,
            hub: Arc::clone(self.hub()),
            section,
            name: self.who.user.name.clone(),
            login: self.who.user.login.clone(),
            administrator: self.who.user.administrator,
            done: self.query().given("done").and_then(|done| done_text(self.t, done)),
            now: self.now(),
            style: pages.style().to_owned(),
            script: pages.script().to_owned(),
        }
    }

    fn pages(&self) -> Pages {
        Pages::new(self.hub(), self.t)
    }

    /// Shows a page.
    pub(in crate::web) fn show(&self, page: &impl Template) -> Response {
        self.show_as(StatusCode::OK, page)
    }

    /// Shows a page with a status: 422 for a form with mistakes.
    pub(in crate::web) fn show_as(&self, status: StatusCode, page: &impl Template) -> Response {
        reply::name(self.pages().console(status, page), &self.caller)
    }

    /// Leads on after something was done: to a path below `hub.path`. `done` is one of the words of [`done_text`].
    pub(in crate::web) fn done(&self, path: &str, done: &str) -> Response {
        let separator = if path.contains('?') { '&' } else { '?' };
        self.go(&format!("{path}{separator}done={done}"))
    }

    /// Leads to a path below `hub.path`.
    pub(in crate::web) fn go(&self, path: &str) -> Response {
        reply::name(see_other(&self.link(path)), &self.caller)
    }

    /// Says no, as a page.
    pub(in crate::web) fn refuse(&self, refusal: &Refusal) -> Response {
        reply::refuse(refusal, Form::Page(self.t), &self.caller)
    }

    /// There is no such thing.
    pub(in crate::web) fn not_found(&self) -> Response {
        self.refuse(&Refusal::not_found())
    }

    /// The store did not answer.
    pub(in crate::web) fn store_failed(&self, error: &StoreError) -> Response {
        store_failed(error, &self.headers, &self.caller)
    }

    /// A name for a form that is to be carried out once: `<input type="hidden" name="once" …>`.
    pub(in crate::web) fn once(&self) -> String {
        name(self.control.random.as_ref())
    }
}

impl FromRequestParts<Control> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Response> {
        let uri = parts.uri.clone();
        Self::begin(parts, control, &|caller| own_path(caller, &uri)).await
    }
}

/// Somebody who administers the gateway looks at a page.
pub(in crate::web) struct Administrator(pub(in crate::web) Visit);

impl FromRequestParts<Control> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Response> {
        administrator(Visit::from_request_parts(parts, control).await?).map(Self)
    }
}

#[expect(clippy::result_large_err, reason = "the answer of a page, once a request")]
fn administrator(visit: Visit) -> Result<Visit, Response> {
    if visit.who.user.administrator {
        return Ok(visit);
    }
    let text = "this page is for those who administer the gateway";
    Err(visit.refuse(&Refusal::new(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, text)))
}

/// Somebody who is signed in has sent a form.
pub(in crate::web) struct Post {
    /// Who, and how.
    pub(in crate::web) visit: Visit,
    /// What was in it.
    pub(in crate::web) fields: Fields,
}

/// Whether and how a form was carried out before.
pub(in crate::web) enum Once {
    /// It is carried out now; afterwards [`Post::made`] or [`Post::led`] says how it ended, or [`Post::again`] that it did not.
    New,
    /// It was, and led to this path.
    Done(String),
    /// It was, and made this.
    Made(Secret),
}

impl Post {
    /// Whether this very form was sent before, by a button that was pressed twice.
    pub(in crate::web) async fn once(&self) -> Once {
        let Some(once) = self.fields.given("once") else { return Once::New };
        // The one before is waited for: its end is the answer to both.
        for _ in 0..100 {
            match self.visit.control.memory.before(&self.visit.who.user.id, once, self.visit.now()) {
                Before::New => return Once::New,
                Before::Done(path) => return Once::Done(path),
                Before::Made(secret) => return Once::Made(secret),
                Before::UnderWay => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        Once::Done(String::new())
    }

    /// The form was carried out and leads to this path below `hub.path`; see [`Visit::done`].
    pub(in crate::web) fn led(&self, path: &str, done: &str) -> Response {
        self.ended(End::LedTo(path.to_owned()));
        self.visit.done(path, done)
    }

    /// The form was carried out and made this, which the answer shows.
    pub(in crate::web) fn made(&self, secret: &Secret) {
        self.ended(End::Made(secret.clone()));
    }

    /// The form was not carried out, and may be sent again as it is.
    pub(in crate::web) fn again(&self) {
        if let Some(once) = self.fields.given("once") {
            self.visit.control.memory.not_carried_out(&self.visit.who.user.id, once);
        }
    }

    fn ended(&self, end: End) {
        if let Some(once) = self.fields.given("once") {
            self.visit.control.memory.carried_out(&self.visit.who.user.id, once, end);
        }
    }
}

impl FromRequest<Control> for Post {
    type Rejection = Response;

    async fn from_request(request: Request, control: &Control) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        if !origin::may_post(&parts.headers, &caller.snapshot.origin) {
            let text = "this form was sent by a page of another site";
            let refusal = Refusal::new(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, text);
            return Err(reply::refuse(&refusal, Form::wanted(&parts.headers), &caller));
        }
        let fields = Fields::read(&bytes(body).await);
        // What was typed waits until they are back, on the browser that sent it: this request needs no account to be sent.
        let sender =
            cookie::read_form(&parts.headers).unwrap_or_else(|| Secret::new(name(control.random.as_ref())));
        let waits = AtomicBool::new(false);
        let back = |caller: &Caller| {
            let action = own_path(caller, &parts.uri);
            let kept = |(name, _): &(&str, &str)| !is_secret(name) && *name != "once";
            let fields = fields.pairs().filter(kept).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let form = Parked { action: action.clone(), fields };
            match control.memory.park(form, &sender, control.clock.as_ref(), control.random.as_ref()) {
                Some(id) => {
                    waits.store(true, Ordering::Relaxed);
                    format!("{}{}?form={id}", caller.snapshot.hub_path, Endpoint::Resume.path())
                }
                None => action,
            }
        };
        match Visit::begin(&parts, control, &back).await {
            Ok(visit) => Ok(Self { visit, fields }),
            Err(mut response) => {
                if waits.load(Ordering::Relaxed)
                    && let Some(cookie) = cookie::set_form(&sender, PARKED)
                {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
                Err(response)
            }
        }
    }
}

/// Whether what was typed into a field of this name is nothing to keep or to show again.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token"].iter().any(|word| name.contains(word))
}

/// Somebody who administers the gateway has sent a form.
pub(in crate::web) struct AdministratorPost(pub(in crate::web) Post);

impl FromRequest<Control> for AdministratorPost {
    type Rejection = Response;

    async fn from_request(request: Request, control: &Control) -> Result<Self, Response> {
        let Post { visit, fields } = Post::from_request(request, control).await?;
        Ok(Self(Post { visit: administrator(visit)?, fields }))
    }
}

/// The gate has read and bounded it.
async fn bytes(body: Body) -> Bytes {
    axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default()
}

/// Path and query of a request for one of our pages, as browsers know it.
fn own_path(caller: &Caller, uri: &Uri) -> String {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    // The way back takes no backslash; the path of a page has none, and in a query this is the same.
    format!("{}{}", caller.snapshot.hub_path, target.replace('\\', "%5C"))
}

fn see_other(location: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
    reply::not_stored(response.headers_mut());
    response
}

fn store_failed(error: &StoreError, headers: &HeaderMap, caller: &Caller) -> Response {
    if matches!(error, StoreError::NotFound { .. }) {
        return reply::refuse(&Refusal::not_found(), Form::wanted(headers), caller);
    }
    tracing::error!(%error, "a page could not be answered");
    let refusal = Refusal::unavailable("the store is not available; try again", Duration::from_secs(5));
    reply::refuse(&refusal, Form::wanted(headers), caller)
}

/// What a page says after something was done, by the word in its address.
fn done_text(t: Language, done: &str) -> Option<&'static str> {
    match done {
        "saved" => Some(t.saved()),
        "created" => Some(t.created()),
        "removed" => Some(t.removed()),
        "revoked" => Some(t.revoked()),
        "done" => Some(t.done()),
        _ => None,
    }
}
