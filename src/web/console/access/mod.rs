//! `/admin/tokens`: sessions, refresh tokens, consents, permanent tokens and application passwords of all people, to find and to end;
//! and a token that was found somewhere, to be ended by its text.
//!
//! Invariant: no page shows a token; what is ended goes through the verbs that commands and REST use.

mod list;
mod paste;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};

use self::list::Wanted;
use super::visit::{Administrator, AdministratorPost, Post};
use crate::{
    base::id::UserId,
    registry::held,
    web::{Control, reply},
};

/// The list.
const LIST: &str = "/admin/tokens";

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(LIST, get(page).fallback(reply::only_get))
        .route("/admin/tokens/revoke", post(revoke).get(back).fallback(reply::get_or_post))
        .route("/admin/tokens/paste", post(paste::end).get(back).fallback(reply::get_or_post))
}

async fn page(Administrator(visit): Administrator) -> Response {
    let wanted = Wanted::read(&visit.query());
    list::show(&visit, wanted, list::Pasted::default()).await
}

/// Somebody who goes back from a form that waited for them to sign in, or loads its answer again.
async fn back(Administrator(visit): Administrator) -> Response {
    visit.go(LIST)
}

/// Ends one of those that the list shows, and leads back to where it was.
async fn revoke(AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let Ok(user) = UserId::parse(fields.text("owner")) else { return visit.not_found() };
    let acting = visit.acting();
    let taken = held::take_back(acting.store.as_ref(), &user, fields.text("id"), acting.clock.as_ref()).await;
    if let Err(error) = taken {
        return visit.store_failed(&error);
    }
    // What is gone already is what was wanted.
    match visit.in_force().await {
        Ok(()) => visit.done(&Wanted::read(fields).path(), "revoked"),
        Err(later) => later,
    }
}
