//! What has access in the name of a user: sessions, tokens, application passwords, approved services. Shown and taken back.

use axum::{extract::Path, response::Response};

use super::{answered, find_user};
use crate::{
    base::{
        id::{ConsentId, ServiceId, SessionId, TokenId},
        time::Timestamp,
    },
    model::{
        revocation::{Revocation, RevocationTarget},
        user::User,
    },
    registry::tokens,
    store::StoreError,
    texts::Language,
    web::console::visit::{AdministratorPost, Post, Visit},
};

/// How a program has access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Password,
    Consent,
    Refresh,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Token, Self::Password, Self::Consent, Self::Refresh];

    /// The name in a form.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Consent => "consent",
            Self::Refresh => "refresh",
        }
    }

    pub(super) const fn title(self, t: Language) -> &'static str {
        match self {
            Self::Token => t.program_token(),
            Self::Password => t.program_password(),
            Self::Consent => t.program_consent(),
            Self::Refresh => t.program_refresh(),
        }
    }
}

/// A program that has access.
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) name: String,
    /// The services that it is for, in words.
    pub(super) scope: String,
    pub(super) made: Timestamp,
    pub(super) used: Option<Timestamp>,
}

/// What has access in the name of this user.
pub(super) async fn programs(visit: &Visit, user: &User) -> Result<Vec<Program>, Response> {
    let store = &visit.control.store;
    let failed = |error: StoreError| visit.store_failed(&error);
    let registry = &visit.caller.snapshot.registry;
    let name = |id: &ServiceId| {
        registry.by_id(id.as_str()).map_or_else(|| id.to_string(), |service| service.name.clone())
    };
    let names = |ids: &[ServiceId]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
    let mut found = Vec::new();
    for token in store.list_permanent_tokens(&user.id).await.map_err(failed)? {
        found.push(Program {
            kind: Kind::Token,
            id: token.id.to_string(),
            scope: names(&token.scope),
            name: token.name,
            made: token.created,
            used: token.used,
        });
    }
    for password in store.list_application_passwords(&user.id).await.map_err(failed)? {
        found.push(Program {
            kind: Kind::Password,
            id: password.id.to_string(),
            name: password.name,
            scope: String::new(),
            made: password.created,
            used: password.used.map(|used| used.at),
        });
    }
    for consent in store.list_consents(&user.id).await.map_err(failed)? {
        found.push(Program {
            kind: Kind::Consent,
            id: consent.id.to_string(),
            name: name(&consent.client),
            scope: names(&consent.services),
            made: consent.given,
            used: None,
        });
    }
    for (grant, latest) in store.list_grants(&user.id).await.map_err(failed)? {
        found.push(Program {
            kind: Kind::Refresh,
            id: grant.id.to_string(),
            name: name(&grant.client),
            scope: names(&grant.scope.services),
            made: grant.created,
            used: Some(latest),
        });
    }
    Ok(found)
}

/// `POST …/admin/users/{id}/programs/revoke`
pub(super) async fn revoke(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(take_back(&id, &post).await)
}

async fn take_back(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let failed = |error: StoreError| visit.store_failed(&error);
    let (store, program) = (visit.acting().store, post.fields.text("program"));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == post.fields.text("kind"));
    // What is gone already is as good as taken back.
    match kind {
        Some(Kind::Token | Kind::Password) => {
            if let Some(token) = TokenId::parse(program) {
                tokens::revoke(store.as_ref(), &user.id, &token).await.map_err(failed)?;
            }
        }
        Some(Kind::Consent) => {
            if let Ok(consent) = ConsentId::parse(program) {
                store.remove_consent(&user.id, &consent, visit.now()).await.map_err(failed)?;
            }
        }
        Some(Kind::Refresh) => {
            let grants = store.list_grants(&user.id).await.map_err(failed)?;
            if let Some((grant, _)) = grants.into_iter().find(|(grant, _)| grant.id.as_str() == program) {
                let revocation = Revocation::at(visit.now(), RevocationTarget::Grant(grant.id));
                store.revoke(&revocation).await.map_err(failed)?;
            }
        }
        None => return Err(visit.not_found()),
    }
    visit.in_force().await?;
    Ok(post.led(&format!("/admin/users/{}", user.id), "revoked"))
}

/// `POST …/admin/users/{id}/sessions/end`: one session, or all of them.
pub(super) async fn end_sessions(
    Path(id): Path<String>,
    AdministratorPost(post): AdministratorPost,
) -> Response {
    answered(end(&id, &post).await)
}

async fn end(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let failed = |error: StoreError| visit.store_failed(&error);
    let control = visit.acting();
    match post.fields.given("session") {
        None => {
            control.sessions.end_all(&user.id, None).await.map_err(failed)?;
        }
        Some(session) => {
            let Ok(session) = SessionId::parse(session) else { return Err(visit.not_found()) };
            // Of this user alone: the page says whose it is.
            let sessions = control.store.list_sessions(&user.id).await.map_err(failed)?;
            if sessions.iter().any(|known| known.id == session) {
                let revocation = Revocation::at(visit.now(), RevocationTarget::Session(session.clone()));
                control.store.end_session(&session, &revocation).await.map_err(failed)?;
            }
        }
    }
    visit.in_force().await?;
    Ok(post.led(&format!("/admin/users/{}", user.id), "done"))
}
