//! Whoever has forgotten the password asks for a link to choose another.
//!
//! Invariant: the answer is the same for everybody, and given before anybody is looked for.

use axum::{
    body::Bytes,
    extract::{Extension, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{
    Desk,
    login::{notice, throttled},
    query::{ASKED, Query},
};
use crate::{
    oauth::{
        error::{OAuthError, invalid_request},
        form::Form,
    },
    proxy::{
        gate::{Caller, Outcome},
        refusal::{self, Refusal},
    },
    texts::Language,
    web::{Control, endpoint::Endpoint, pages::Mailed, reply},
};

/// Bytes of a name that is looked for.
const LONGEST_NAME: usize = 1024;

/// `GET …/auth/restore`
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    if let Some(refusal) = desk.without_mail() {
        return refusal;
    }
    match Query::read(uri.query().unwrap_or_default()) {
        Ok(query) => desk.restore_page(&query),
        Err(error) => desk.problem(&error, None),
    }
}

/// `POST …/auth/restore`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    if let Some(refusal) = desk.without_mail() {
        return refusal;
    }
    match desk.ask_restore(uri.query().unwrap_or_default(), &body) {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

/// `POST …/oauth2/interactive/restore`, Hub's address of it, used by clients that show a login form of their own.
pub(in crate::web) async fn interactive(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let desk = Desk { control: &state, caller: &caller, headers: &parts.headers };
    if let Some(refusal) = desk.without_mail() {
        return refusal;
    }
    let asked = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => desk.ask_interactive(parts.uri.query().unwrap_or_default(), &body),
        Err(_) => Err(invalid_request("the body cannot be read")),
    };
    match asked {
        Ok(()) => desk.noted(StatusCode::OK.into_response()),
        Err(error) => reply::oauth_error(&error, &caller.snapshot.desk),
    }
}

/// A body of Hub's own form. What exactly Hub sends is nowhere written.
#[derive(Deserialize)]
struct Wanted {
    #[serde(alias = "username", alias = "login")]
    email: String,
}

/// Whom a body names: as JSON, as a form, or by nothing else than the address.
fn named(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        let string = serde_json::from_str::<String>(text).ok();
        return string.or_else(|| serde_json::from_str::<Wanted>(text).ok().map(|wanted| wanted.email));
    }
    let form = Form::parse(text.as_bytes()).ok()?;
    let field = ["email", "username", "login"].into_iter().find_map(|name| form.get(name));
    match field {
        Some(name) => Some(name.to_owned()),
        None => Some(text.to_owned()).filter(|text| text.contains('@') && !text.contains(['=', '&'])),
    }
}

impl Desk<'_> {
    /// Where no mail can be sent, nobody is offered any.
    fn without_mail(&self) -> Option<Response> {
        if self.control.mailer.is_ready() {
            return None;
        }
        let form = refusal::Form::wanted(self.headers);
        Some(reply::refuse(&Refusal::not_found(), form, self.caller))
    }

    fn restore_page(&self, query: &Query) -> Response {
        let hub = &self.caller.snapshot.desk.hub_url;
        let address = |endpoint: Endpoint| format!("{}?{}", endpoint.url(hub), query.clean());
        let (action, login) = (address(Endpoint::RestorePage), address(Endpoint::LoginPage));
        let asked = query.problem() == Some(ASKED);
        let t = self.pages().language();
        self.pages().mailed(&Mailed {
            title: if asked { t.restore_asked_title() } else { t.restore_title() },
            text: if asked { t.restore_asked() } else { t.restore_text() },
            notice: query.problem().and_then(notice),
            action: (!asked).then_some(action.trim_end_matches('?')),
            name: (!asked).then(|| query.form().get("login_hint").unwrap_or_default()),
            button: t.restore_send(),
            back: Some((login.trim_end_matches('?'), t.restore_back())),
        })
    }

    fn ask_restore(&self, query: &str, body: &[u8]) -> Result<Response, OAuthError> {
        self.same_origin()?;
        let query = Query::read(query)?;
        let form = Form::parse(body)?;
        let name = form.get("username").map(str::trim).filter(|name| !name.is_empty());
        let hub = &self.caller.snapshot.desk.hub_url;
        let back = |problem: &str| {
            let url = Endpoint::RestorePage.url(hub);
            self.go(StatusCode::SEE_OTHER, &format!("{url}?{}", query.with_problem(problem)))
        };
        let Some(name) = name else {
            let page = format!("{}?{}", Endpoint::RestorePage.url(hub), query.clean());
            return Ok(self.go(StatusCode::SEE_OTHER, page.trim_end_matches('?')));
        };
        if let Err(wait) = self.control.askings.by_source(self.caller.source, self.control.clock.now()) {
            return Ok(back(&throttled(wait)));
        }
        self.look_for(name, &query);
        Ok(self.noted(back(ASKED)))
    }

    fn ask_interactive(&self, query: &str, body: &[u8]) -> Result<(), OAuthError> {
        self.same_origin()?;
        let query = Query::read(query)?;
        let name =
            named(self.headers, body).ok_or_else(|| invalid_request("the body names no e-mail address"))?;
        if let Err(wait) = self.control.askings.by_source(self.caller.source, self.control.clock.now()) {
            return Err(OAuthError::too_many("this source asks too often; try again later", wait));
        }
        self.look_for(name.trim(), &query);
        Ok(())
    }

    /// The link goes on with the request that the person was at, if that is one.
    fn look_for(&self, name: &str, query: &Query) {
        if name.len() > LONGEST_NAME {
            return;
        }
        let goes_on = query.asks() && self.request(query).is_ok();
        let query = if goes_on { query.clean() } else { String::new() };
        let language = Language::wanted(self.headers);
        self.control.restore_by_mail(self.caller, language, name.to_owned(), query);
    }

    fn noted(&self, response: Response) -> Response {
        let mut response = reply::name(response, self.caller);
        reply::not_stored(response.headers_mut());
        let reason = "a new password was asked for".to_owned();
        response.extensions_mut().insert(Outcome { decision: "public", reason, ..Outcome::default() });
        response
    }
}
