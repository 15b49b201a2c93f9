//! What a decision does: a page, an answer, the end of a session.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header::SET_COOKIE};

use super::{Desk, query::Query, store_failed};
use crate::{
    identity::session::SignedIn,
    model::{event::Author, user::User},
    oauth::{
        authorize::{
            answer::Answer,
            decide::Decision,
            issue::{Owner, issue},
            request::AuthorizationRequest,
        },
        cause::Cause,
        error::{ErrorCode, OAuthError, invalid_request},
    },
    proxy::gate::Outcome,
    texts::Language,
    web::{
        browser::{Browser, language_of},
        cookie,
        endpoint::Endpoint,
        grants, now,
        pages::{FormPost, Pages, Problem},
        reply,
    },
};

impl Desk<'_> {
    /// Carries a decision out.
    pub(super) async fn carry_out(
        &self,
        query: &Query,
        request: &AuthorizationRequest,
        decision: Decision,
        browser: Browser,
    ) -> Response {
        let page = |endpoint| self.go(StatusCode::FOUND, &self.own(endpoint, query));
        match decision {
            Decision::LogIn { end_session: false } => page(Endpoint::LoginPage),
            Decision::LogIn { end_session: true } => match self.sign_out(&browser).await {
                Ok(()) => clearing(page(Endpoint::LoginPage)),
                Err(error) => self.refuse(&request.address, &error),
            },
            Decision::ChangePassword => page(Endpoint::PasswordPage),
            Decision::AskConsent => page(Endpoint::ConsentPage),
            Decision::SignOut => match self.sign_out(&browser).await {
                Ok(()) => clearing(self.send(request.address.back(), "signed_out", String::new())),
                Err(error) => self.refuse(&request.address, &error),
            },
            Decision::Refuse(error) => self.refuse(&request.address, &error),
            Decision::Issue => {
                let answer = match browser.signed_in() {
                    Some(who) => self.issue_for(request, who).await,
                    None => Err(OAuthError::new(ErrorCode::ServerError, "the session is gone")),
                };
                self.sent(request, answer)
            }
            Decision::IssueForGuest => {
                let answer = self.issue_for_guest(request).await;
                self.sent(request, answer)
            }
        }
    }

    /// Ends the browser's session, if it has one, with everything that came of it, and waits until the gate knows.
    pub(super) async fn sign_out(&self, browser: &Browser) -> Result<(), OAuthError> {
        let Some(who) = browser.signed_in() else { return Ok(()) };
        let control = self.control.acting(self.caller, Author::from(&who.user));
        control.sessions.end(who).await.map_err(store_failed)?;
        tracing::info!(user = %who.user.id, session = %who.session.id, request = %self.caller.request_id, "signed out");
        self.control.in_force().await
    }

    async fn issue_for(&self, request: &AuthorizationRequest, who: &SignedIn) -> Result<Answer, OAuthError> {
        let gone = || OAuthError::new(ErrorCode::AccessDenied, "Logged in user is banned");
        let person = self.control.person(&who.user.id).await.map_err(store_failed)?.ok_or_else(gone)?;
        let owner = Owner {
            person: &person,
            session: Some(&who.session.id),
            authenticated: who.session.authenticated,
        };
        self.issue(request, &owner).await
    }

    async fn issue_for_guest(&self, request: &AuthorizationRequest) -> Result<Answer, OAuthError> {
        let gone = || OAuthError::new(ErrorCode::AccessDenied, "there is no guest");
        let guest = self.control.store.find_guest().await.map_err(store_failed)?.ok_or_else(gone)?;
        let person = self.control.person(&guest.id).await.map_err(store_failed)?.ok_or_else(gone)?;
        let authenticated = now(&axum::extract::State(self.control.clone()));
        self.issue(request, &Owner { person: &person, session: None, authenticated }).await
    }

    async fn issue(&self, request: &AuthorizationRequest, owner: &Owner<'_>) -> Result<Answer, OAuthError> {
        // What the protocol writes is the gateway's own doing.
        let control = self.control.acting(self.caller, Author::gateway());
        let owners = control.owners(self.caller);
        let context = grants::context(self.control, self.caller, &owners);
        issue(request, owner, &context).await
    }

    fn sent(&self, request: &AuthorizationRequest, answer: Result<Answer, OAuthError>) -> Response {
        match answer {
            Ok(answer) => {
                let flow = if request.wanted.response.code { "authorization_code" } else { "implicit" };
                self.control.totals.add("tokens_issued", vec![("grant", flow.to_owned())], 1);
                let (client, wanted) = (&request.client.id, &request.wanted.scope.services);
                self.control.gate.verdicts.uses().issued(client, wanted, self.control.clock.now());
                self.send_for(request.client.id.as_str(), answer, "issued", flow.to_owned())
            }
            Err(error) => self.refuse(&request.address, &error),
        }
    }

    /// Sends an answer the way that it travels.
    pub(super) fn send(&self, answer: Answer, decision: &'static str, reason: String) -> Response {
        self.send_for("", answer, decision, reason)
    }

    fn send_for(&self, client: &str, answer: Answer, decision: &'static str, reason: String) -> Response {
        let mut response = match answer {
            Answer::Redirect(location) => self.go(StatusCode::FOUND, &location),
            Answer::FormPost { action, fields } => self.form_post(client, &action, &fields),
        };
        response.extensions_mut().insert(Outcome {
            decision,
            reason,
            client: client.to_owned(),
            ..Outcome::default()
        });
        response
    }

    fn form_post(&self, client: &str, action: &str, fields: &[(&'static str, String)]) -> Response {
        let registry = &self.caller.snapshot.registry;
        let service = registry.by_id(client).map(|service| service.name.as_str());
        let page = self.pages().form_post(&FormPost { service, action, fields });
        page.unwrap_or_else(|| self.problem(&invalid_request("the address cannot take a form"), None))
    }

    pub(super) fn pages(&self) -> Pages {
        Pages::new(&self.caller.snapshot.desk.hub_url, Language::wanted(self.headers))
    }

    /// Pages for somebody who is known, in the language of their choice.
    pub(super) fn pages_for(&self, user: &User) -> Pages {
        Pages::new(&self.caller.snapshot.desk.hub_url, language_of(user, self.headers))
    }

    /// Tells the person what only people can mend.
    pub(super) fn problem(&self, error: &OAuthError, address: Option<String>) -> Response {
        let detail = sentence(&error.description);
        let mut response = self.pages().problem(Problem {
            code: error.code,
            detail: &detail,
            address: address.map(Into::into),
            request_id: &self.caller.request_id,
        });
        *response.status_mut() = reply::status(error);
        reply::retry_after(response.headers_mut(), error);
        let reason = format!("{}: {}", error.code, error.description);
        let cause = Some(Cause::Code(error.code));
        response.extensions_mut().insert(Outcome {
            decision: "refused",
            reason,
            cause,
            ..Outcome::default()
        });
        reply::name(response, self.caller)
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

/// Takes the session cookie away.
pub(super) fn clearing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().append(SET_COOKIE, cookie::clear());
    response
}

/// Gives a session cookie.
pub(super) fn giving(mut response: Response<Body>, cookie: Option<HeaderValue>) -> Response<Body> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
