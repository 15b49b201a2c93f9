//! Asking a person whether a service may act for them (hub-contract section 6).
//!
//! Invariants: what is allowed is what was shown: the form carries a ticket over the request, keyed with the session's
//! cookie, so that neither another page nor another request can use it; a refusal goes to the client.

use aws_lc_rs::hmac;
use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, Uri};

use super::{Desk, query::Query, shown, store_failed};
use crate::{
    base::{id::ConsentId, secret::Secret},
    model::{
        event::Author,
        grant::Consent,
        scope::{GrantedScope, OFFLINE_ACCESS},
        user::User,
    },
    oauth::{
        authorize::{decide::Decision, request::AuthorizationRequest},
        error::{ErrorCode, OAuthError, invalid_request},
        form::Form,
    },
    proxy::gate::Caller,
    web::{
        Control,
        browser::Browser,
        endpoint::Endpoint,
        pages::{self, Claim, Wanted, icon_of},
    },
};

/// `GET …/auth/consent`
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
    let request = match desk.request(&query) {
        Ok(request) => request,
        Err(refused) => return desk.refused(refused).await,
    };
    match desk.decide(&request).await {
        Ok((Decision::AskConsent, browser)) => desk.ask(&query, &request, &browser).await,
        // The dispatcher knows what to do instead.
        Ok(_) => desk.go(StatusCode::FOUND, &desk.own(Endpoint::Authorize, &query)),
        Err(error) => desk.refuse(&request.address, &error),
    }
}

/// `POST …/auth/consent`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    let query = match Query::read(uri.query().unwrap_or_default()).and_then(|query| {
        desk.same_origin()?;
        Ok(query)
    }) {
        Ok(query) => query,
        Err(error) => return desk.problem(&error, None),
    };
    let request = match desk.request(&query) {
        Ok(request) => request,
        Err(refused) => return desk.refused(refused).await,
    };
    match desk.answered(&query, &request, &body).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

impl Desk<'_> {
    async fn ask(&self, query: &Query, request: &AuthorizationRequest, browser: &Browser) -> Response {
        let Some((who, cookie)) = browser.session() else {
            return self.go(StatusCode::FOUND, &self.own(Endpoint::Authorize, query));
        };
        let (now, client) = (self.control.clock.now(), &request.client);
        let before = match self.control.store.find_consent(&who.user.id, &client.id).await {
            Ok(before) => before.filter(|consent| now < consent.expires),
            Err(error) => return self.refuse(&request.address, &store_failed(error)),
        };
        let registry = &self.caller.snapshot.registry;
        let wanted = &request.wanted;
        let services: Vec<Wanted<'_>> = wanted
            .scope
            .services
            .iter()
            .map(|id| Wanted {
                name: registry.by_id(id.as_str()).map_or(id.as_str(), |service| service.name.as_str()),
                new: before.as_ref().is_some_and(|consent| !consent.services.contains(id)),
            })
            .collect();
        let allowed = before.as_ref().map(|consent| Claim::among(&consent.claims)).unwrap_or_default();
        let claims: Vec<(Claim, bool)> = Claim::of(&wanted.scope, wanted.offline)
            .into_iter()
            .map(|claim| (claim, before.is_some() && !allowed.contains(&claim)))
            .collect();
        let hub = &self.caller.snapshot.desk.hub_url;
        let pages = self.pages_for(&who.user);
        let until = pages.language().date(now.plus(self.caller.snapshot.consent_life));
        pages.consent(&pages::Consent {
            client: &client.name,
            icon: icon_of(client),
            home: client.profile.home_url.as_deref(),
            name: &who.user.name,
            login: &who.user.login,
            services: &services,
            again: before.is_some() && (services.iter().any(|s| s.new) || claims.iter().any(|(_, new)| *new)),
            claims: &claims,
            until: &until,
            account: &format!("{hub}/account/authorized"),
            destination: request.address.uri(),
            action: &self.own(Endpoint::ConsentPage, query),
            fields: &[("ticket", ticket(cookie, request))],
        })
    }

    async fn answered(
        &self,
        query: &Query,
        request: &AuthorizationRequest,
        body: &[u8],
    ) -> Result<Response, OAuthError> {
        let form = Form::parse(body)?;
        let browser = Browser::find(self.control, self.caller, self.headers).await.map_err(store_failed)?;
        let Some((who, cookie)) = browser.session() else {
            // The session has ended meanwhile: sign in, and be asked again.
            return Ok(self.go(StatusCode::SEE_OTHER, &self.own(Endpoint::Authorize, query)));
        };
        if form.get("ticket").is_none_or(|given| !same(given, &ticket(cookie, request))) {
            return Err(OAuthError::new(
                ErrorCode::AccessDenied,
                "the answer is not to the question that was asked; go back to the application and start again",
            ));
        }
        match form.get("decision") {
            Some("allow") => {
                self.remember(request, &who.user).await?;
                let hub = &self.caller.snapshot.desk.hub_url;
                let next = format!("{hub}{}?{}", Endpoint::Authorize.path(), query.after_consent());
                tracing::info!(user = %who.user.id, client = %request.client.id, scope = shown(&request.wanted.scope),
                    request = %self.caller.request_id, "consent given");
                Ok(self.go(StatusCode::SEE_OTHER, &next))
            }
            Some("cancel") => {
                let error = OAuthError::new(ErrorCode::AccessDenied, "the person did not allow it");
                let mut response = self.refuse(&request.address, &error);
                if response.status() == StatusCode::FOUND {
                    // RFC 9700 section 4.12: after a post, a redirect that drops it.
                    *response.status_mut() = StatusCode::SEE_OTHER;
                }
                Ok(response)
            }
            _ => Err(invalid_request("decision is neither allow nor cancel")),
        }
    }

    /// What was allowed before and is still good stays allowed.
    async fn remember(&self, request: &AuthorizationRequest, user: &User) -> Result<(), OAuthError> {
        let now = self.control.clock.now();
        let client = &request.client.id;
        let before = self.control.store.find_consent(&user.id, client).await.map_err(store_failed)?;
        let GrantedScope { services, .. } = &request.wanted.scope;
        let mut consent = before.filter(|consent| now < consent.expires).unwrap_or_else(|| Consent {
            id: ConsentId::random(self.control.random.as_ref()),
            user: user.id.clone(),
            client: client.clone(),
            services: Vec::new(),
            claims: Vec::new(),
            given: now,
            expires: now,
        });
        for service in services {
            if !consent.services.contains(service) {
                consent.services.push(service.clone());
            }
        }
        // `access_type=offline` asks for the same without the word, and the page has said so.
        let offline = request.wanted.offline.then_some(OFFLINE_ACCESS);
        for word in request.wanted.scope.openid_entries().chain(offline) {
            if !consent.claims.iter().any(|claim| claim == word) {
                consent.claims.push(word.to_owned());
            }
        }
        consent.given = now;
        consent.expires = now.plus(self.caller.snapshot.consent_life);
        let control = self.control.acting(self.caller, Author::from(user));
        control.store.put_consent(&consent).await.map_err(store_failed)
    }
}

/// Names what was shown, to this session alone.
fn ticket(cookie: &Secret, request: &AuthorizationRequest) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    let wanted = &request.wanted;
    for part in ["consent", request.client.id.as_str(), request.address.uri(), shown(&wanted.scope)] {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    // What the names on the page stood for: a service may be renamed while somebody reads.
    for service in &wanted.scope.services {
        context.update(&service.as_str().len().to_be_bytes());
        context.update(service.as_str().as_bytes());
    }
    context.update(&[u8::from(wanted.offline)]);
    URL_SAFE_NO_PAD.encode(context.sign())
}

fn same(given: &str, expected: &str) -> bool {
    Secret::new(given.to_owned()) == Secret::new(expected.to_owned())
}
