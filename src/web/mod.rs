//! The control plane over HTTP: our own endpoints, below `hub.path`.
//!
//! Invariant: runs on its own threads; whatever it does, and however long, a proxied request does not wait for it.

mod bearer;
pub mod cookie;
mod cors;
mod discovery;
pub mod endpoint;
mod introspect;
mod keys;
mod login_settings;
pub mod management;
pub mod news;
pub mod origin;
mod page;
pub mod pages;
pub mod redirect;
mod reply;
mod revoke;
mod token;
mod userinfo;

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use self::{cors::Cors, endpoint::Endpoint, news::News};
use crate::{
    base::{random::Random, time::Clock},
    oauth::error::ErrorCode,
    observe::metrics::Totals,
    proxy::{
        gate::{Caller, Gate, OwnEndpoints},
        refusal::{Form, Refusal},
    },
    store::SharedStore,
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
    /// Judges tokens.
    pub gate: Arc<Gate>,
    /// What is kept.
    pub store: SharedStore,
    /// To be told of what was written, where an answer has to wait until it is in force.
    pub news: Arc<dyn News>,
}

/// Our own endpoints, as the data plane calls them.
pub struct ControlPlane {
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
            .fallback(reply::not_found);
        let read_only = [
            (Endpoint::Keys, get(keys::answer)),
            (Endpoint::OpenIdConfiguration, get(discovery::answer)),
            (Endpoint::OAuthOpenIdConfiguration, get(discovery::answer)),
            (Endpoint::AuthorizationServer, get(discovery::answer)),
            (Endpoint::LoginSettings, get(login_settings::answer)),
            (Endpoint::Asset, get(pages::script::answer)),
            (Endpoint::Error, get(page::error)),
        ];
        let router = read_only.into_iter().fold(router, |router, (endpoint, method)| {
            router.route(endpoint.path(), method.fallback(reply::only_get))
        });
        let router = router.with_state(control);
        Self { router, runtime }
    }
}

impl OwnEndpoints for ControlPlane {
    fn owns(&self, hub_path: &str, path: &str) -> bool {
        endpoint::is_ours(hub_path, path)
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
fn now(State(control): &State<Control>) -> crate::base::time::Timestamp {
    control.clock.now()
}
