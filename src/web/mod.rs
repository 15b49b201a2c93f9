//! The control plane over HTTP: our own endpoints, below `hub.path`.
//!
//! Invariant: runs on its own threads; whatever it does, and however long, a proxied request does not wait for it. What waits
//! for nothing itself, a service's token for itself, is answered by the worker that has read the request: to wake another
//! thread and be woken by it costs more than all of it but the signature.

mod authorize;
mod bearer;
mod browser;
pub mod console;
pub mod cookie;
mod cors;
mod discovery;
pub mod endpoint;
pub mod facts;
mod grants;
mod introspect;
mod keys;
mod letters;
mod login_settings;
pub mod management;
pub mod news;
pub mod pages;
pub mod redirect;
mod reply;
mod rest;
mod revoke;
mod token;
mod userinfo;

use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tokio::{runtime::Handle, sync::Semaphore};
use tower::ServiceExt as _;

use self::{
    authorize::{consent, link, login, logout, password, restore, second_step},
    cors::Cors,
    endpoint::Endpoint,
    facts::Facts,
    grants::Owners,
    news::News,
};
pub use crate::proxy::origin;
use crate::{
    base::{
        id::{ServiceId, UserId},
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::seal::SealingKey,
    identity::{
        asking::Askings,
        login::{Hasher, Logins},
        session::{Sessions, SignedIn},
    },
    mail::Mailer,
    model::{
        event::Author,
        usage::LastUse,
        user::{Person, User},
    },
    oauth::error::{ErrorCode, OAuthError},
    observe::{history::History, metrics::Totals},
    proxy::{
        gate::{Caller, FoundSession, Gate, NoSession, OwnEndpoints, SessionLookUp},
        refusal::{Form, Refusal},
    },
    registry::audit::SignIns,
    store::{SharedStore, StoreError},
};

/// What handlers share.
#[derive(Clone)]
pub struct Control {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Sums.
    pub totals: Arc<Totals>,
    /// What is kept.
    pub store: SharedStore,
    /// Judges access tokens as requests with them would be.
    pub gate: Arc<Gate>,
    /// To be told of what was written, where an answer has to wait until it is in force.
    pub news: Arc<dyn News>,
    /// Who knows a password.
    pub logins: Arc<Logins>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Sign-ins without a session, for the audit log.
    pub sign_ins: Arc<SignIns>,
    /// How the numbers were.
    pub history: Arc<History>,
    /// What the gateway tells of itself.
    pub facts: Arc<dyn Facts>,
    /// Where passwords are hashed.
    pub hasher: Arc<dyn Hasher>,
    /// Seals what a page carries for us and what the store keeps of a second step.
    pub sealing: SealingKey,
    /// Where letters are posted.
    pub mailer: Arc<Mailer>,
    /// How often letters may be asked for.
    pub askings: Arc<Askings>,
    /// How many questions for a new password are looked into at once.
    pub restoring: Arc<Semaphore>,
    /// How many lists are read from the store at once, so that those who sign in find it free.
    pub listings: Arc<Semaphore>,
    /// What pages remember for a moment.
    pub memory: Arc<console::Memory>,
}

/// See [`Control::restoring`].
pub const RESTORING: usize = letters::RESTORING;

/// See [`Control::listings`]; the store has twice as many readers.
pub const LISTINGS: usize = 2;

impl Control {
    /// The same, for what is written on behalf of `by` while `caller`'s request is answered: the audit log names both.
    #[must_use]
    pub fn acting(&self, caller: &Caller, by: Author) -> Self {
        let store = self.store.acting(by.during(&caller.request_id, caller.source));
        let sessions = Arc::new(self.sessions.through(Arc::clone(&store) as _));
        Self { store, sessions, ..self.clone() }
    }

    /// Waits until the gate of this node acts on what was written.
    async fn in_force(&self) -> Result<(), OAuthError> {
        self.news.taken_up().await.map_err(|error| {
            tracing::error!(%error, "a change is not yet in force");
            OAuthError::for_now("the change is kept and not yet in force; try again", Duration::from_secs(1))
        })
    }

    /// The person with this id, if tokens may act for them now.
    async fn person(&self, id: &UserId) -> Result<Option<Person>, StoreError> {
        let Some(user) = self.store.find_user(id).await?.filter(User::is_active) else { return Ok(None) };
        // Who is let in again, or new, is known here before the gate has heard of it: what is issued now has to pass there.
        if self.gate.people.find(id.as_str()).is_none_or(|person| person.banned)
            && let Err(error) = self.news.taken_up().await
        {
            tracing::warn!(user = %id, %error, "the gate does not know this person yet");
        }
        let mut groups = Vec::new();
        if !user.groups.is_empty() {
            let known = self.store.groups_of(std::slice::from_ref(id)).await?;
            groups.extend(known.into_iter().flatten().map(|group| group.name));
            groups.sort();
        }
        Ok(Some(Person {
            id: user.id,
            login: user.login,
            name: user.name,
            email: user.email,
            groups,
            banned: false,
            guest: user.guest,
            administrator: user.administrator,
        }))
    }

    /// The session of a cookie, for the gate. Who has to choose a new password first has none there.
    async fn session(&self, cookie: &Secret, source: IpAddr) -> FoundSession {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a session could not be looked up");
            NoSession
        };
        let found = self.sessions.find(cookie.expose(), source).await.map_err(|error| failed(&error))?;
        let Some(SignedIn { session, user }) = found else { return Ok(None) };
        if user.password.as_ref().is_some_and(|password| password.must_change) {
            return Ok(None);
        }
        // Who is new is known here before the gate has heard of it.
        if self.gate.people.find(user.id.as_str()).is_none_or(|person| person.banned) {
            self.news.taken_up().await.map_err(|error| failed(&error))?;
        }
        let ends = session.ends(self.sessions.life());
        Ok(Some((session, ends)))
    }

    /// When these services were last active, what is not written yet included.
    async fn last_uses(&self, services: &[ServiceId]) -> Result<Vec<LastUse>, StoreError> {
        let written = self.store.last_uses(services).await?;
        let seen = services.iter().map(|service| self.gate.verdicts.uses().seen(service));
        Ok(written.into_iter().zip(seen).map(|(written, seen)| written.merged(seen)).collect())
    }

    /// People, as the protocol asks for them while `caller`'s request is answered.
    fn owners<'c>(&'c self, caller: &'c Caller) -> Owners<'c> {
        Owners(self, &caller.request_id)
    }
}

/// Our own endpoints, as the data plane calls them.
pub struct ControlPlane {
    control: Control,
    router: Router,
    runtime: Handle,
}

impl ControlPlane {
    /// The endpoints, answered by tasks of `runtime`.
    #[must_use]
    pub fn new(runtime: Handle, control: Control) -> Self {
        let router = Router::new()
            .route(Endpoint::Token.path(), post(token::answer).fallback(token::wrong_method))
            .route(Endpoint::Introspect.path(), post(introspect::answer).fallback(token::wrong_method))
            .route(Endpoint::Revoke.path(), post(revoke::answer).fallback(token::wrong_method))
            .route(
                Endpoint::UserInfo.path(),
                get(userinfo::answer).post(userinfo::answer).fallback(userinfo::wrong_method),
            )
            .route(Endpoint::InteractiveLogin.path(), post(login::post).fallback(reply::only_post))
            .route(
                Endpoint::Authorize.path(),
                get(authorize::answer).post(authorize::answer).fallback(reply::get_or_post),
            )
            .route(
                Endpoint::Logout.path(),
                get(logout::answer).post(logout::answer).fallback(reply::get_or_post),
            )
            .route(
                Endpoint::ConsentPage.path(),
                get(consent::page).post(consent::post).fallback(reply::get_or_post),
            )
            .route(
                Endpoint::PasswordPage.path(),
                get(password::page).post(password::post).fallback(reply::get_or_post),
            )
            .route(
                Endpoint::SecondStepPage.path(),
                get(second_step::page).post(second_step::post).fallback(reply::get_or_post),
            )
            .route(
                Endpoint::RestorePage.path(),
                get(restore::page).post(restore::post).fallback(reply::get_or_post),
            )
            .route(Endpoint::Link.path(), get(link::page).post(link::post).fallback(reply::get_or_post))
            .route(Endpoint::InteractiveRestore.path(), post(restore::interactive).fallback(reply::only_post))
            .route(Endpoint::Rest.path(), any(rest::answer))
            .fallback(reply::not_found);
        let read_only = [
            (Endpoint::LoginPage, get(login::page)),
            (Endpoint::LoginOptions, get(login::page)),
            (Endpoint::Keys, get(keys::answer)),
            (Endpoint::OpenIdConfiguration, get(discovery::answer)),
            (Endpoint::OAuthOpenIdConfiguration, get(discovery::answer)),
            (Endpoint::AuthorizationServer, get(discovery::answer)),
            (Endpoint::LoginSettings, get(login_settings::answer)),
            (Endpoint::Asset, get(pages::assets::answer)),
            (Endpoint::Error, get(pages::error::answer)),
        ];
        let router = read_only.into_iter().fold(router, |router, (endpoint, method)| {
            router.route(endpoint.path(), method.fallback(reply::only_get))
        });
        let router = router.merge(console::routes()).with_state(control.clone());
        Self { control, router, runtime }
    }
}

impl OwnEndpoints for ControlPlane {
    fn owns(&self, hub_path: &str, path: &str) -> bool {
        endpoint::is_ours(hub_path, path)
    }

    fn splits(&self, hub_path: &str, path: &str) -> bool {
        endpoint::is_rest(hub_path, path)
    }

    fn session(&self, cookie: Secret, source: IpAddr) -> SessionLookUp {
        let control = self.control.clone();
        let asking = self.runtime.spawn(async move { control.session(&cookie, source).await });
        Box::pin(async move { asking.await.unwrap_or(Err(NoSession)) })
    }

    fn answer(
        &self,
        mut request: Request<Bytes>,
        caller: Caller,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>>>> {
        let form = Form::wanted(request.headers());
        let (desk, id) = (caller.snapshot.desk.clone(), Arc::clone(&caller.request_id));
        let relative = endpoint::relative(&caller.snapshot.hub_path, request.uri());
        *request.uri_mut() = relative.unwrap_or_else(|| Uri::from_static("/"));
        let cors = Cors::of(&request, &caller.snapshot.registry);
        if let Some(mut response) = token::at_once(&self.control, &request, &caller) {
            cors.mark(response.headers_mut());
            return Box::pin(async move {
                // Whoever else has a request here is answered as well before the answers are written, one after the other.
                tokio::task::yield_now().await;
                response
            });
        }
        request.extensions_mut().insert(caller);
        let router = self.router.clone();
        let answering = self.runtime.spawn(async move {
            let mut response = match cors.preflight() {
                Some(response) => response,
                None => router.oneshot(request.map(Body::from)).await.unwrap_or_else(|never| match never {}),
            };
            cors.mark(response.headers_mut());
            let (parts, body) = response.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            Response::from_parts(parts, bytes)
        });
        Box::pin(async move {
            answering.await.unwrap_or_else(|error| {
                // A panic ends this request alone; its message is in the log already.
                tracing::error!(request = %id, %error, "an endpoint failed");
                let text = "the gateway failed to answer";
                let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ServerError, text);
                refusal.render(&desk, form, &id)
            })
        })
    }
}

/// The clock of a handler.
fn now(State(control): &State<Control>) -> Timestamp {
    control.clock.now()
}
