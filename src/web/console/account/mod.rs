//! The pages of one's own account: profile, password and second step, sessions, what services may do, tokens.
//!
//! Invariants: what is shown and changed is the visitor's own: an id in an address is looked for among what is theirs; what
//! opens the account (a password, a second step) is changed only by whoever shows the password.

mod authorized;
mod profile;
mod second_step;
mod security;
mod sessions;
mod tokens;

use axum::{
    Router,
    extract::Path,
    response::Response,
    routing::{get, post},
};

pub(super) use self::sessions::device;
use super::{
    frame::Section,
    visit::{Post, Visit},
};
use crate::{
    identity::login::LoginError,
    registry::held::{self, Taken},
    web::{Control, reply},
};

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    let only_post = |handler: axum::routing::MethodRouter<Control>| handler.fallback(reply::only_post);
    Router::new()
        .route("/account", get(profile::page).post(profile::save).fallback(reply::get_or_post))
        .route("/account/confirm-address", only_post(post(profile::confirm_address)))
        .route("/account/security", get(security::page).fallback(reply::only_get))
        .route("/account/security/password", only_post(post(security::change_password)))
        .route(
            "/account/security/second-step",
            get(second_step::page).post(second_step::confirm).fallback(reply::get_or_post),
        )
        .route("/account/security/second-step/change", only_post(post(second_step::change)))
        .route("/account/sessions", get(sessions::page).fallback(reply::only_get))
        .route("/account/sessions/end-others", only_post(post(sessions::end_others)))
        .route("/account/sessions/{id}/end", only_post(post(end_session)))
        .route("/account/authorized", get(authorized::page).fallback(reply::only_get))
        .route("/account/authorized/{id}/revoke", only_post(post(revoke_authorized)))
        .route("/account/tokens", get(tokens::page).post(tokens::make).fallback(reply::get_or_post))
        .route("/account/tokens/passwords", only_post(post(tokens::make_password)))
        .route("/account/tokens/{id}/revoke", only_post(post(revoke_token)))
}

async fn end_session(Path(id): Path<String>, post: Post) -> Response {
    take_back(&post.visit, &id, &[Taken::Session], Section::Sessions).await
}

async fn revoke_authorized(Path(id): Path<String>, post: Post) -> Response {
    take_back(&post.visit, &id, &[Taken::Consent, Taken::Grant], Section::Authorized).await
}

async fn revoke_token(Path(id): Path<String>, post: Post) -> Response {
    take_back(&post.visit, &id, &[Taken::Token, Taken::Password], Section::Tokens).await
}

/// Takes back what the visitor has under this id, if it is of one of these kinds, and waits until the gate obeys. What is
/// gone already was taken back by a button that was pressed twice.
async fn take_back(visit: &Visit, id: &str, kinds: &[Taken], section: Section) -> Response {
    let (store, user) = (visit.acting().store, &visit.who.user.id);
    let held = match held::list(store.as_ref(), user).await {
        Ok(held) => held,
        Err(error) => return visit.store_failed(&error),
    };
    if held.kind_of(id).is_none_or(|kind| !kinds.contains(&kind)) {
        return visit.not_found();
    }
    match held::take_back(store.as_ref(), user, id, visit.control.clock.as_ref()).await {
        Ok(_) => {}
        Err(error) => return visit.store_failed(&error),
    }
    match visit.in_force().await {
        Ok(()) => visit.done(section.path(), if section == Section::Sessions { "done" } else { "revoked" }),
        Err(response) => response,
    }
}

/// Whether a form has brought the visitor's password: `None` when it has, else what to say. Counted as a sign-in is, so that
/// nobody guesses here. The second step is not asked for: the visitor has taken it.
async fn password_refused(post: &Post, field: &str) -> Result<Option<String>, Response> {
    let Post { visit, fields } = post;
    let (password, id) = (fields.secret(field), &visit.who.user.id);
    if password.expose().is_empty() {
        return Ok(Some(visit.t.must_be_given().to_owned()));
    }
    let known = visit.control.logins.authenticate(id.as_str(), &password, visit.caller.source).await;
    match known {
        Ok(known) if known.id == *id => Ok(None),
        Err(LoginError::SecondStep(known)) if known.user == *id => Ok(None),
        Ok(_) | Err(LoginError::Credentials | LoginError::SecondStep(_)) => {
            Ok(Some(visit.t.security_wrong_password().to_owned()))
        }
        Err(LoginError::Throttled(wait)) => Ok(Some(visit.t.throttled(visit.t.duration(wait)))),
        Err(LoginError::Busy(wait)) => Ok(Some(visit.t.busy(visit.t.duration(wait)))),
        Err(LoginError::Store(error)) => Err(visit.store_failed(&error)),
    }
}
