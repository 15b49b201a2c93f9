//! `…/oauth2/auth`: the one dispatcher of authorization requests.
//!
//! Invariant: login, consent and password pages come back here and never lead to one another; every refusal after client and
//! address are known leaves through that address; nothing is ended or issued before they are.
//!
//! RFC 6749 section 3.1; hub-contract section 2.

mod carry_out;
pub(super) mod consent;
pub(super) mod link;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod password;
pub(super) mod query;
pub(super) mod restore;
pub(super) mod second_step;

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header::LOCATION};

use self::query::Query;
use super::{Control, browser::Browser, endpoint::Endpoint, now, reply};
use crate::{
    access::quota::Wait,
    model::{grant::RejectedRedirect, scope::GrantedScope},
    oauth::{
        authorize::{
            answer::ReturnAddress,
            decide::{Decision, Facts, decide},
            request::{self, AuthorizationRequest, Credentials, Refused},
        },
        error::OAuthError,
    },
    proxy::{
        gate::Caller,
        refusal::{self, Refusal},
    },
    store::StoreError,
};

/// Answers an authorization request.
pub(super) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    if let Err(Wait(wait)) = caller.snapshot.quota.credentials(caller.source) {
        let refusal = Refusal::too_many("this source sends too many refused requests", wait);
        return reply::refuse(&refusal, refusal::Form::wanted(&headers), &caller);
    }
    if method == Method::POST {
        return desk.posted(&body);
    }
    let query = match Query::read(uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return desk.problem(&error, None),
    };
    // 1, 2 client and address, else a page; then everything else, refused through the address
    let request = match desk.request(&query) {
        Ok(request) => request,
        Err(refused) => return desk.refused(refused).await,
    };
    // 3 decide, and carry it out
    match desk.decide(&request).await {
        Ok((decision, browser)) => desk.carry_out(&query, &request, decision, browser).await,
        Err(error) => desk.refuse(&request.address, &error),
    }
}

/// What the handlers of this endpoint and of its pages share about one request.
pub(super) struct Desk<'a> {
    pub(super) control: &'a Control,
    pub(super) caller: &'a Caller,
    pub(super) headers: &'a HeaderMap,
}

impl Desk<'_> {
    /// OpenID Connect Core section 3.1.2.1 wants POST too. The browser asks again by GET: a post from the client's page
    /// comes without our cookie, a navigation with it.
    fn posted(&self, body: &[u8]) -> Response {
        let unreadable = || crate::oauth::error::invalid_request("the form is not in UTF-8");
        let query = std::str::from_utf8(body).map_err(|_| unreadable()).and_then(Query::read);
        match query {
            Ok(query) => self.go(StatusCode::SEE_OTHER, &self.own(Endpoint::Authorize, &query)),
            Err(error) => self.problem(&error, None),
        }
    }

    /// Reads the authorization request in a query.
    pub(super) fn request(&self, query: &Query) -> Result<AuthorizationRequest, Refused> {
        let snapshot = &self.caller.snapshot;
        let context = request::Context {
            registry: &snapshot.registry,
            flows: snapshot.flows,
            strict: snapshot.strict,
            issuer: snapshot.issuer.shared_name(),
        };
        request::read(query.form(), &context)
    }

    /// Decides, and tells who is signed in on this browser.
    pub(super) async fn decide(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<(Decision, Browser), OAuthError> {
        let browser = Browser::find(self.control, self.caller, self.headers).await.map_err(store_failed)?;
        let store = &self.control.store;
        let wanted = &request.wanted;
        let consent = match browser.signed_in() {
            None => None,
            Some(who) => store.find_consent(&who.user.id, &request.client.id).await.map_err(store_failed)?,
        };
        let asks_guest = matches!(wanted.credentials, Credentials::Skip | Credentials::Silent);
        let guest = if asks_guest && browser.signed_in().is_none() {
            store.find_guest().await.map_err(store_failed)?
        } else {
            None
        };
        let facts = Facts {
            session: browser.signed_in().map(|who| (&who.session, &who.user)),
            guest: guest.as_ref(),
            consent: consent.as_ref(),
            now: now(&State(self.control.clone())),
        };
        let decision = decide(request, &facts);
        Ok((decision, browser))
    }

    /// Tells whoever is to be told.
    pub(super) async fn refused(&self, refused: Refused) -> Response {
        match refused {
            Refused::Client { address, error } => self.refuse(&address, &error),
            Refused::Page { error, rejected } => {
                if let Some((service, uri)) = &rejected
                    && self.caller.snapshot.quota.note(self.caller.source)
                {
                    let noted = RejectedRedirect {
                        uri: uri.clone(),
                        tried_from: self.caller.source.to_string(),
                        tried_at: self.control.clock.now(),
                    };
                    if let Err(error) = self.control.store.reject_redirect(service, &noted).await {
                        tracing::warn!(%service, %error, "a rejected redirect URI could not be noted");
                    }
                }
                self.problem(&error, rejected.map(|(_, uri)| uri))
            }
        }
    }

    /// Tells the client no, through its address.
    pub(super) fn refuse(&self, address: &ReturnAddress, error: &OAuthError) -> Response {
        let error_uri = self.caller.snapshot.desk.error_uri(error.code);
        self.send(
            address.refuse(error, error_uri),
            "refused",
            format!("{}: {}", error.code, error.description),
        )
    }

    /// The absolute address of one of our pages, with a query.
    pub(super) fn own(&self, endpoint: Endpoint, query: &Query) -> String {
        let hub = &self.caller.snapshot.desk.hub_url;
        if query.is_empty() {
            return format!("{hub}{}", endpoint.path());
        }
        format!("{hub}{}?{}", endpoint.path(), query.text())
    }

    /// Where somebody goes who has signed in without a client's request: back to where they were going, or home.
    pub(super) fn onward(&self, query: &Query) -> String {
        match query.back() {
            Some(path) => format!("{}{path}", self.caller.snapshot.origin),
            None => Endpoint::Home.url(&self.caller.snapshot.desk.hub_url),
        }
    }

    /// Sends the browser to one of our pages.
    pub(super) fn go(&self, status: StatusCode, location: &str) -> Response {
        let mut response = (status, [(LOCATION, location)]).into_response();
        reply::not_stored(response.headers_mut());
        reply::name(response, self.caller)
    }
}

/// The store did not answer.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn store_failed(error: StoreError) -> OAuthError {
    if matches!(error, StoreError::NotFound { .. }) {
        let text = "the account was changed at this moment; sign in again";
        return OAuthError::new(crate::oauth::error::ErrorCode::AccessDenied, text);
    }
    tracing::error!(%error, "an authorization request could not be answered");
    OAuthError::for_now("the store is not available; try again", std::time::Duration::from_secs(5))
}

/// The consent ticket's scope: what was shown.
fn shown(scope: &GrantedScope) -> &str {
    &scope.spelled
}
