//! `…/account/tokens`: permanent tokens and application passwords.
//!
//! Invariant: the text of one is on the answer to the form that made it, and to the same form when it is sent twice.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    super::{
        form::{Fields, Mistakes},
        frame::{Frame, Section},
        parts::{Check, Input, Made},
        visit::{Once, Post, Visit},
    },
    authorized::name_of,
    sessions::device,
};
use crate::{
    base::{
        id::{ServiceId, TokenId},
        secret::Secret,
        time::Timestamp,
    },
    model::credential::{ApplicationPassword, PermanentToken},
    registry::{
        held,
        tokens::{self, NewToken, TokenRefusal},
    },
};

#[derive(Template)]
#[template(path = "console/account/tokens.html")]
struct Page<'a> {
    frame: Frame,
    tokens: Vec<TokenRow>,
    passwords: Vec<PasswordRow>,
    services: Vec<Choice>,
    once: [String; 2],
    fields: &'a Fields,
    mistakes: &'a Mistakes,
    made: Option<(String, &'a Secret)>,
}

struct TokenRow {
    id: TokenId,
    name: String,
    scope: String,
    created: Timestamp,
    used: Option<Timestamp>,
}

struct PasswordRow {
    id: TokenId,
    name: String,
    created: Timestamp,
    used: Option<Timestamp>,
    from: Option<String>,
}

/// A service that a token may be for.
struct Choice {
    id: ServiceId,
    name: String,
    chosen: bool,
}

impl Page<'_> {
    fn token_name(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "tokenName", t.name(), self.typed("tokenName"))
            .hint(t.tokens_name_hint())
            .checked(self.mistakes)
    }

    fn app_name(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "appName", t.name(), self.typed("appName"))
            .hint(t.tokens_name_hint())
            .checked(self.mistakes)
    }

    /// What was typed stays only where something is wrong with it.
    fn typed(&self, field: &str) -> &str {
        if self.mistakes.is_empty() { "" } else { self.fields.text(field) }
    }

    fn choice<'c>(&self, choice: &'c Choice) -> Check<'c> {
        let chosen = choice.chosen && !self.mistakes.is_empty();
        Check::one_of("scope", choice.id.as_str(), &choice.name, chosen)
    }

    fn shown(&self) -> Option<Made<'_>> {
        let (label, secret) = self.made.as_ref()?;
        Some(Made { t: self.frame.t, label, secret: secret.expose() })
    }

    /// Whether the form for tokens, or else that for passwords, is open from the beginning.
    fn token_form_is_open(&self) -> bool {
        ["tokenName", "scope"].into_iter().any(|field| self.mistakes.of(field).is_some())
    }

    fn password_form_is_open(&self) -> bool {
        self.mistakes.of("appName").is_some()
    }
}

/// `GET …/account/tokens`
pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, &Fields::default(), &Mistakes::default(), None).await
}

async fn show(
    visit: &Visit,
    status: StatusCode,
    fields: &Fields,
    mistakes: &Mistakes,
    made: Option<(String, &Secret)>,
) -> Response {
    let held = match held::list(visit.control.store.as_ref(), &visit.who.user.id).await {
        Ok(held) => held,
        Err(error) => return visit.store_failed(&error),
    };
    let token = |token: PermanentToken| {
        let names: Vec<String> = token.scope.iter().map(|id| name_of(visit, id)).collect();
        let (id, name, scope) = (token.id, token.name, names.join(", "));
        TokenRow { id, name, scope, created: token.created, used: token.used }
    };
    let password = |password: ApplicationPassword| PasswordRow {
        id: password.id,
        name: password.name,
        created: password.created,
        used: password.used.as_ref().map(|used| used.at),
        from: password.used.map(|used| {
            format!("{} {}", visit.t.tokens_from(used.address), device(visit.t, &used.user_agent))
        }),
    };
    let mut services: Vec<Choice> = visit
        .caller
        .snapshot
        .registry
        .all()
        .map(|service| Choice {
            id: service.id.clone(),
            name: service.name.clone(),
            chosen: fields.all("scope").any(|id| id == service.id.as_str()),
        })
        .collect();
    services.sort_by_key(|service| service.name.to_lowercase());
    let page = Page {
        frame: visit.frame(Section::Tokens),
        tokens: held.tokens.into_iter().map(token).collect(),
        passwords: held.passwords.into_iter().map(password).collect(),
        services,
        once: [visit.once(), visit.once()],
        fields,
        mistakes,
        made,
    };
    visit.show_as(status, &page)
}

/// `POST …/account/tokens`
pub(super) async fn make(post: Post) -> Response {
    let (visit, fields) = (&post.visit, &post.fields);
    let label = visit.t.tokens_made(fields.text("tokenName"));
    match post.once().await {
        Once::New => {}
        Once::Made(text) => return shown(visit, label, &text).await,
        Once::Done(_) => return visit.go(Section::Tokens.path()),
    }
    let control = visit.acting();
    let user = &visit.who.user;
    let registry = &visit.caller.snapshot.registry;
    let scope = fields.all("scope").filter_map(|id| registry.by_id(id)).map(|service| service.id.clone());
    let new = NewToken { user, author: &user.id, name: fields.text("tokenName"), scope: scope.collect() };
    let (clock, random) = (control.clock.as_ref(), control.random.as_ref());
    match tokens::create_token(control.store.as_ref(), new, clock, random).await {
        Ok((_, text)) => ready(&post, label, &text).await,
        Err(refusal) => refused(&post, "tokenName", refusal).await,
    }
}

/// `POST …/account/tokens/passwords`
pub(super) async fn make_password(post: Post) -> Response {
    let (visit, name) = (&post.visit, post.fields.text("appName"));
    let label = visit.t.tokens_made_password(name);
    match post.once().await {
        Once::New => {}
        Once::Made(text) => return shown(visit, label, &text).await,
        Once::Done(_) => return visit.go(Section::Tokens.path()),
    }
    let control = visit.acting();
    let (clock, random) = (control.clock.as_ref(), control.random.as_ref());
    match tokens::create_password(control.store.as_ref(), (&visit.who.user, name), clock, random).await {
        Ok((_, text)) => ready(&post, label, &text).await,
        Err(refusal) => refused(&post, "appName", refusal).await,
    }
}

/// Shows what was made, when it is good.
async fn ready(post: &Post, label: String, text: &Secret) -> Response {
    post.made(text);
    match post.visit.in_force().await {
        Ok(()) => shown(&post.visit, label, text).await,
        Err(response) => response,
    }
}

async fn shown(visit: &Visit, label: String, text: &Secret) -> Response {
    show(visit, StatusCode::OK, &Fields::default(), &Mistakes::default(), Some((label, text))).await
}

async fn refused(post: &Post, name: &'static str, refusal: TokenRefusal) -> Response {
    post.again();
    let (visit, t) = (&post.visit, post.visit.t);
    let mut mistakes = Mistakes::default();
    match refusal {
        TokenRefusal::Store(error) => return visit.store_failed(&error),
        TokenRefusal::Name(_) => mistakes.add(name, t.name_refused()),
        TokenRefusal::NoScope => mistakes.add("scope", t.tokens_scope_none()),
        TokenRefusal::TooWide => mistakes.add("scope", t.tokens_scope_many()),
        TokenRefusal::TooMany(_) | TokenRefusal::NotActive(_) => mistakes.add(name, t.tokens_too_many()),
    }
    show(visit, StatusCode::UNPROCESSABLE_ENTITY, &post.fields, &mistakes, None).await
}
