//! What has access in the name of a user: sessions, tokens, application passwords, approved services. Shown and taken back.

use axum::{extract::Path, response::Response};

use super::{answered, find_user};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    registry::held::{self, Held, Taken},
    store::StoreError,
    texts::Language,
    web::console::visit::{AdministratorPost, Post, Visit},
};

/// A program that has access.
pub(super) struct Program {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) name: String,
    /// The services that it is for, in words.
    pub(super) scope: String,
    pub(super) made: Timestamp,
    pub(super) used: Option<Timestamp>,
}

const fn title(t: Language, kind: Taken) -> &'static str {
    match kind {
        Taken::Session => t.sessions_title(),
        Taken::Token => t.program_token(),
        Taken::Password => t.program_password(),
        Taken::Consent => t.program_consent(),
        Taken::Grant => t.program_refresh(),
    }
}

/// The programs among what somebody holds.
pub(super) fn programs(visit: &Visit, held: Held) -> Vec<Program> {
    let (t, registry) = (visit.t, &visit.caller.snapshot.registry);
    let name = |id: &ServiceId| {
        registry.by_id(id.as_str()).map_or_else(|| id.to_string(), |service| service.name.clone())
    };
    let names = |ids: &[ServiceId]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
    let tokens = held.tokens.into_iter().map(|token| Program {
        kind: title(t, Taken::Token),
        id: token.id.to_string(),
        scope: names(&token.scope),
        name: token.name,
        made: token.created,
        used: token.used,
    });
    let passwords = held.passwords.into_iter().map(|password| Program {
        kind: title(t, Taken::Password),
        id: password.id.to_string(),
        name: password.name,
        scope: String::new(),
        made: password.created,
        used: password.used.map(|used| used.at),
    });
    let consents = held.consents.into_iter().map(|consent| Program {
        kind: title(t, Taken::Consent),
        id: consent.id.to_string(),
        name: name(&consent.client),
        scope: names(&consent.services),
        made: consent.given,
        used: None,
    });
    let grants = held.grants.into_iter().map(|(grant, latest)| Program {
        kind: title(t, Taken::Grant),
        id: grant.id.to_string(),
        name: name(&grant.client),
        scope: names(&grant.scope.services),
        made: grant.created,
        used: Some(latest),
    });
    tokens.chain(passwords).chain(consents).chain(grants).collect()
}

/// `POST …/admin/users/{id}/programs/revoke`
pub(super) async fn revoke(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(take_back(&id, &post, post.fields.text("program"), "revoked").await)
}

/// `POST …/admin/users/{id}/sessions/end`: one session, or all of them.
pub(super) async fn end_sessions(
    Path(id): Path<String>,
    AdministratorPost(post): AdministratorPost,
) -> Response {
    answered(match post.fields.given("session") {
        Some(session) => take_back(&id, &post, session, "done").await,
        None => end_all(&id, &post).await,
    })
}

/// Takes back what has this id, among what is this user's. What is gone already is as good as taken back.
async fn take_back(id: &str, post: &Post, what: &str, word: &str) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let (control, failed) = (visit.acting(), |error: StoreError| visit.store_failed(&error));
    let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
    held::take_back(store, &user.id, what, clock).await.map_err(failed)?;
    visit.in_force().await?;
    Ok(post.led(&format!("/admin/users/{}", user.id), word))
}

async fn end_all(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let ended = visit.acting().sessions.end_all(&user.id, None).await;
    ended.map_err(|error| visit.store_failed(&error))?;
    visit.in_force().await?;
    Ok(post.led(&format!("/admin/users/{}", user.id), "done"))
}
