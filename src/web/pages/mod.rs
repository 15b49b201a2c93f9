//! Pages for people: sign in, consent, a new password, signed out, and what went wrong. Each is a view and a function that
//! renders it; none decides anything.
//!
//! Invariant: whatever comes from a request, a service or a person is escaped text; every page works without script; an
//! address becomes a link or a form's target only when it is http or https.

pub(super) mod error;
mod headers;
pub mod plot;
pub(super) mod script;

use std::{borrow::Cow, fmt, time::Duration};

use askama::Template;
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode};

use self::headers::{Form, Leave};
use crate::{
    base::url::web_origin,
    model::{scope::GrantedScope, service::Service},
    oauth::error::ErrorCode,
};

/// The longest text of a request that a page shows, in characters.
const MAX_SHOWN: usize = 500;

/// The login page.
#[derive(Debug, Default)]
pub struct Login<'a> {
    /// The name of the service that asks.
    pub service: &'a str,
    /// Text of the request, for the person.
    pub message: Option<Cow<'a, str>>,
    /// What went wrong at the attempt before.
    pub notice: Option<Notice>,
    /// What the login field begins with.
    pub login: &'a str,
    /// Whether "remember me" begins ticked.
    pub remember: bool,
    /// Where the form goes: path and query of ours.
    pub action: &'a str,
    /// Origins that may frame the page and are told how it stands; empty: none.
    pub tell: &'a [String],
}

/// Why somebody is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Which of the two is wrong is not said, nor whether the account exists.
    WrongCredentials,
    /// Too many attempts; the next one counts after this time.
    Throttled(Duration),
    /// Too many people are signing in; there is room after this time.
    Busy(Duration),
    /// Nobody can sign in for now.
    Unavailable,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongCredentials => f.write_str("Login or password is wrong."),
            Self::Throttled(wait) => {
                write!(f, "Too many attempts. Try again in {}.", in_words(*wait))
            }
            Self::Busy(wait) => {
                write!(f, "Many people are signing in at the moment. Try again in {}.", in_words(*wait))
            }
            Self::Unavailable => f.write_str("Nobody can sign in at the moment. Try again in a minute."),
        }
    }
}

/// A time as people say it, rounded up.
fn in_words(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000).max(1);
    let (count, unit) = match seconds {
        0..=90 => (seconds, "second"),
        91..=5400 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The consent page.
#[derive(Debug)]
pub struct Consent<'a> {
    /// The service that asks.
    pub client: &'a str,
    /// Who is asked.
    pub name: &'a str,
    /// Their login.
    pub login: &'a str,
    /// The names of the services that it asks for.
    pub services: &'a [&'a str],
    /// What else it asks for.
    pub claims: &'a [Claim],
    /// Where the answer goes.
    pub destination: &'a str,
    /// Where the form goes: path and query of ours.
    pub action: &'a str,
    /// What the form carries unseen. The buttons add `decision`, `allow` or `cancel`.
    pub fields: &'a [(&'static str, String)],
}

/// What a scope asks for besides services, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `openid`, `profile`
    Identity,
    /// `email`
    Email,
    /// `groups`
    Groups,
    /// A refresh token.
    Offline,
}

impl Claim {
    /// What `scope` asks for; `offline` when a refresh token comes with it.
    #[must_use]
    pub fn of(scope: &GrantedScope, offline: bool) -> Vec<Self> {
        let asked = [
            (Self::Identity, scope.has("openid") || scope.has("profile")),
            (Self::Email, scope.has("email")),
            (Self::Groups, scope.has("groups")),
            (Self::Offline, offline || scope.has("offline_access")),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(claim, _)| claim).collect()
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Identity => "Who you are",
            Self::Email => "Your e-mail address",
            Self::Groups => "Your groups",
            Self::Offline => "Access while you are away",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Identity => "Your name and login.",
            Self::Email => "The address, and whether it is confirmed.",
            Self::Groups => "The names of the groups that you belong to.",
            Self::Offline => "It can go on without you being signed in, until you take this back.",
        }
    }
}

/// The page on which somebody who signed in with a one-time password chooses another.
#[derive(Debug, Default)]
pub struct NewPassword<'a> {
    /// Whose.
    pub login: &'a str,
    /// What was wrong with the attempt before.
    pub notice: Option<&'a str>,
    /// What a password has to be.
    pub rule: &'a str,
    /// Where the form goes: path and query of ours. It brings `newPassword` and `newPasswordAgain`.
    pub action: &'a str,
    /// What the form carries unseen.
    pub fields: &'a [(&'static str, String)],
}

/// The page of somebody who is signed in and has not come with a request.
#[derive(Debug)]
pub struct Home<'a> {
    /// Who.
    pub name: &'a str,
    /// Their login.
    pub login: &'a str,
    /// Where the form goes that signs out.
    pub sign_out: &'a str,
}

/// A page for what cannot be answered with a redirect: the client or its address cannot be trusted.
#[derive(Debug)]
pub struct Problem<'a> {
    /// The code.
    pub code: ErrorCode,
    /// In one line.
    pub title: &'a str,
    /// What happened.
    pub what_happened: &'a str,
    /// Whose move it is.
    pub how_to_mend: &'a str,
    /// The address that is not trusted: shown as text, never a link.
    pub address: Option<Cow<'a, str>>,
    /// Finds the line in the log.
    pub request_id: &'a str,
}

/// An authorization response that the browser posts (OAuth 2.0 Form Post Response Mode).
#[derive(Debug)]
pub struct FormPost<'a> {
    /// The service that it goes to.
    pub service: &'a str,
    /// Its redirect URI.
    pub action: &'a str,
    /// The parameters of the response.
    pub fields: &'a [(&'static str, String)],
}

/// The origins that may frame the login page when `client` asks, and are told how it stands: those of its own addresses,
/// and none in the profile of OAuth 2.1.
#[must_use]
pub fn framers(client: &Service, strict: bool) -> Vec<String> {
    if strict { Vec::new() } else { client.origins().into_iter().collect() }
}

/// Where pages live.
#[derive(Debug)]
pub struct Pages {
    script: String,
    https_only: bool,
}

macro_rules! template {
    ($name:ident, $path:literal, $view:ident, $($field:ident: $type:ty),*) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            view: &'a $view<'a>,
            $($field: $type),*
        }
    };
}

template!(LoginPage, "login.html", Login, script: &'a str);
template!(ConsentPage, "consent.html", Consent,);
template!(NewPasswordPage, "password.html", NewPassword,);
template!(HomePage, "home.html", Home,);
template!(ProblemPage, "notice.html", Problem,);
template!(FormPostPage, "form_post.html", FormPost, script: &'a str);

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    home: Option<(&'a str, &'a str)>,
}

impl Pages {
    /// Pages below `hub_url`.
    #[must_use]
    pub fn new(hub_url: &str) -> Self {
        Self { script: script::url(hub_url), https_only: headers::owns_host(hub_url) }
    }

    /// What every page gets, with such a form.
    fn leave(&self, form: Option<Form>) -> Leave<'_> {
        Leave { https_only: self.https_only, form, ..Leave::default() }
    }

    /// Somebody signs in.
    #[must_use]
    pub fn login(&self, view: Login<'_>) -> Response {
        let message = view.message.map(shown).filter(|message| !message.is_empty());
        let login = Some(view.login).filter(|login| login.len() <= MAX_SHOWN).unwrap_or_default();
        let view = Login { message, login, ..view };
        // Without anybody to tell, the page needs no script.
        let script = (!view.tell.is_empty()).then_some(self.script.as_str());
        let page = LoginPage { view: &view, script: &self.script }.render();
        let leave = Leave { script, framed_by: view.tell, ..self.leave(Some(Form::Ours)) };
        respond(StatusCode::OK, page, leave)
    }

    /// Somebody is asked for consent.
    #[must_use]
    pub fn consent(&self, view: &Consent<'_>) -> Response {
        respond(StatusCode::OK, ConsentPage { view }.render(), self.leave(Some(Form::Ours)))
    }

    /// Somebody chooses a new password.
    #[must_use]
    pub fn new_password(&self, view: &NewPassword<'_>) -> Response {
        respond(StatusCode::OK, NewPasswordPage { view }.render(), self.leave(Some(Form::Ours)))
    }

    /// Somebody is signed in.
    #[must_use]
    pub fn home(&self, view: &Home<'_>) -> Response {
        respond(StatusCode::OK, HomePage { view }.render(), self.leave(Some(Form::Ours)))
    }

    /// Somebody is signed out. `home` is the name and the address of the service that they came from.
    #[must_use]
    pub fn signed_out(&self, home: Option<(&str, &str)>) -> Response {
        let home = home.filter(|(_, url)| web_origin(url).is_some());
        respond(StatusCode::OK, SignedOutPage { home }.render(), self.leave(None))
    }

    /// Something is wrong that only people can mend.
    #[must_use]
    pub fn problem(&self, view: Problem<'_>) -> Response {
        let view = Problem { address: view.address.map(shown), ..view };
        respond(StatusCode::BAD_REQUEST, ProblemPage { view: &view }.render(), self.leave(None))
    }

    /// An answer goes to a client by way of a form. `None` when its address is not http or https: a form must not run what
    /// a `javascript:` address says.
    #[must_use]
    pub fn form_post(&self, view: &FormPost<'_>) -> Option<Response> {
        web_origin(view.action)?;
        let page = FormPostPage { view, script: &self.script }.render();
        let leave = Leave { script: Some(&self.script), ..self.leave(Some(Form::Clients)) };
        Some(respond(StatusCode::OK, page, leave))
    }
}

fn respond(status: StatusCode, page: askama::Result<String>, leave: Leave<'_>) -> Response {
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
    response.headers_mut().insert(http::header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
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
