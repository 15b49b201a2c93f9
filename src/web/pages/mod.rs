//! Pages for people: sign in, consent, a new password, signed out, and what went wrong. Each is a view and a function that
//! renders it; none decides anything.
//!
//! Invariant: whatever comes from a request, a service or a person is escaped text; every page works without script; an
//! address becomes a link or a form's target only when it is http or https.

pub(super) mod assets;
pub(super) mod error;
mod headers;
pub mod plot;
mod views;

use std::borrow::Cow;

use askama::Template;
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode};

use self::headers::{Form, Leave};
pub use self::views::{
    Claim, Consent, FormPost, Login, Mailed, NewPassword, Notice, Problem, SecondStep, Wanted, icon_of,
};
pub(in crate::web) use self::views::{colour, letter};
use crate::{base::url::web_origin, model::service::Service, texts::Language};

/// The longest text of a request that a page shows, in characters.
const MAX_SHOWN: usize = 500;

/// The origins that may frame the login page when `client` asks, and are told how it stands: those of its own addresses,
/// and none in the profile of OAuth 2.1.
#[must_use]
pub fn framers(client: &Service, strict: bool) -> Vec<String> {
    if strict { Vec::new() } else { client.origins().into_iter().collect() }
}

/// Where pages live, and in what language.
#[derive(Debug)]
pub struct Pages {
    script: String,
    style: String,
    https_only: bool,
    t: Language,
}

macro_rules! template {
    ($name:ident, $path:literal, $view:ident, $($field:ident: $type:ty),*) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            t: Language,
            view: &'a $view<'a>,
            $($field: $type),*
        }
    };
}

template!(LoginPage, "login.html", Login, script: &'a str);
template!(ConsentPage, "consent.html", Consent,);
template!(NewPasswordPage, "password.html", NewPassword, script: &'a str);
template!(SecondStepPage, "second_step.html", SecondStep, script: &'a str);
template!(MailedPage, "mailed.html", Mailed,);
template!(ProblemPage, "notice.html", Problem,);
template!(FormPostPage, "form_post.html", FormPost, script: &'a str);

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    t: Language,
    home: Option<(&'a str, &'a str)>,
    sign_in: &'a str,
}

impl Pages {
    /// Pages below `hub_url` in this language.
    #[must_use]
    pub fn new(hub_url: &str, t: Language) -> Self {
        Self {
            script: assets::script_url(hub_url),
            style: assets::style_url(hub_url),
            https_only: headers::owns_host(hub_url),
            t,
        }
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.t
    }

    /// What every page gets, with such a form.
    fn leave(&self, form: Option<Form>) -> Leave<'_> {
        Leave { https_only: self.https_only, form, ..Leave::default() }
    }

    /// The same with our script.
    fn scripted(&self, form: Form) -> Leave<'_> {
        Leave { script: Some(&self.script), ..self.leave(Some(form)) }
    }

    fn respond(&self, status: StatusCode, page: askama::Result<String>, leave: Leave<'_>) -> Response {
        respond(status, page, leave, self.t)
    }

    /// Somebody signs in.
    #[must_use]
    pub fn login(&self, view: Login<'_>) -> Response {
        let message = view.message.map(shown).filter(|message| !message.is_empty());
        let login = Some(view.login).filter(|login| login.len() <= MAX_SHOWN).unwrap_or_default();
        let view = Login { message, login, ..view };
        let page = LoginPage { t: self.t, view: &view, script: &self.script }.render();
        let picture = view.icon.as_ref().map(|(_, origin)| origin.as_str());
        let leave = Leave { framed_by: view.tell, picture, ..self.scripted(Form::Ours) };
        self.respond(StatusCode::OK, page, leave)
    }

    /// Somebody is asked for consent.
    #[must_use]
    pub fn consent(&self, view: &Consent<'_>) -> Response {
        let picture = view.icon.as_ref().map(|(_, origin)| origin.as_str());
        let leave = Leave { picture, ..self.leave(Some(Form::Ours)) };
        self.respond(StatusCode::OK, ConsentPage { t: self.t, view }.render(), leave)
    }

    /// Somebody chooses a new password, or another one than was sent.
    #[must_use]
    pub fn new_password(&self, view: &NewPassword<'_>) -> Response {
        let page = NewPasswordPage { t: self.t, view, script: &self.script }.render();
        let status = if view.notice.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        self.respond(status, page, self.scripted(Form::Ours))
    }

    /// Somebody shows a code.
    #[must_use]
    pub fn second_step(&self, view: &SecondStep<'_>) -> Response {
        let page = SecondStepPage { t: self.t, view, script: &self.script }.render();
        let leave = Leave { framed_by: view.tell, ..self.scripted(Form::Ours) };
        self.respond(StatusCode::OK, page, leave)
    }

    /// Somebody has asked for a letter or comes from one.
    #[must_use]
    pub fn mailed(&self, view: &Mailed<'_>) -> Response {
        let name = view.name.map(|name| if name.len() <= MAX_SHOWN { name } else { "" });
        let view = Mailed { name, ..*view };
        let leave = self.leave(view.action.map(|_| Form::Ours));
        self.respond(StatusCode::OK, MailedPage { t: self.t, view: &view }.render(), leave)
    }

    /// Somebody is signed out. `home` is the name and the address of the service that they came from, `sign_in` the
    /// address of the login page.
    #[must_use]
    pub fn signed_out(&self, home: Option<(&str, &str)>, sign_in: &str) -> Response {
        let home = home.filter(|(_, url)| web_origin(url).is_some());
        let page = SignedOutPage { t: self.t, home, sign_in }.render();
        self.respond(StatusCode::OK, page, self.leave(None))
    }

    /// Something is wrong that only people can mend.
    #[must_use]
    pub fn problem(&self, view: Problem<'_>) -> Response {
        let view = Problem { address: view.address.map(shown), ..view };
        let page = ProblemPage { t: self.t, view: &view }.render();
        self.respond(StatusCode::BAD_REQUEST, page, self.leave(None))
    }

    /// An answer goes to a client by way of a form. `None` when its address is not http or https: a form must not run what
    /// a `javascript:` address says.
    #[must_use]
    pub fn form_post(&self, view: &FormPost<'_>) -> Option<Response> {
        web_origin(view.action)?;
        let page = FormPostPage { t: self.t, view, script: &self.script }.render();
        Some(self.respond(StatusCode::OK, page, self.scripted(Form::Clients)))
    }

    /// A page of the account or of administration, whose template extends `console.html`.
    pub(in crate::web) fn console(&self, status: StatusCode, page: &impl Template) -> Response {
        let leave = Leave { console: Some(&self.style), ..self.scripted(Form::Ours) };
        self.respond(status, page.render(), leave)
    }

    /// The address of our script.
    pub(in crate::web) fn script(&self) -> &str {
        &self.script
    }

    /// The address of the style of [`Pages::console`].
    pub(in crate::web) fn style(&self) -> &str {
        &self.style
    }
}

fn respond(status: StatusCode, page: askama::Result<String>, leave: Leave<'_>, t: Language) -> Response {
    let (status, text) = match page {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "The gateway failed to show this page.".to_owned())
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    headers::write(response.headers_mut(), leave);
    response.headers_mut().insert(http::header::CONTENT_LANGUAGE, HeaderValue::from_static(t.tag()));
    response
}

/// Text of a request as it may be shown: cut, and without characters that move what stands around them.
fn shown(text: Cow<'_, str>) -> Cow<'_, str> {
    let moves = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.len() <= MAX_SHOWN && !text.contains(moves) {
        return text;
    }
    Cow::Owned(text.chars().filter(|c| !moves(*c)).take(MAX_SHOWN).collect())
}

#[cfg(test)]
mod tests;
