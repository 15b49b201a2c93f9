//! A token that was found somewhere is ended by its text.
//!
//! Invariant: the text is neither kept nor shown again, whatever comes of it.

use axum::response::Response;

use super::list::{Pasted, Wanted, show};
use crate::{
    base::time::Timestamp,
    oauth::token::verify::TokenError,
    registry::pasted::{self, Ended, LONGEST, PastedError, PastedKind, Recognition},
    texts::Language,
    web::console::{
        form::Mistakes,
        visit::{AdministratorPost, Post, Visit},
    },
};

/// What has ended, in words.
pub(super) struct Ending {
    pub(super) text: &'static str,
    pub(super) kind: &'static str,
    /// For whom it acted.
    pub(super) person: String,
    /// The client that had it.
    pub(super) client: Option<String>,
    pub(super) made: Timestamp,
}

/// See the module. A second press of the button finds nothing, or ends it once more.
pub(super) async fn end(AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let text = fields.secret("token");
    let wanted = Wanted::read(&visit.query());
    let mut mistakes = Mistakes::default();
    if text.expose().trim().is_empty() || text.expose().len() > LONGEST {
        mistakes.add("token", visit.t.access_paste_unknown());
        return show(visit, wanted, Pasted { mistakes, ended: None }).await;
    }
    let acting = visit.acting();
    let snapshot = &visit.caller.snapshot;
    let recognition = Recognition { keyring: &snapshot.keyring, issuer: snapshot.issuer.name() };
    let family = fields.has("family");
    let store = acting.store.as_ref();
    let ended = pasted::end(store, text.expose(), family, &recognition, acting.clock.as_ref()).await;
    match ended {
        Ok(ended) => {
            if let Err(later) = visit.in_force().await {
                return later;
            }
            let ended = Some(told(visit, ended).await);
            show(visit, wanted, Pasted { ended, mistakes }).await
        }
        Err(PastedError::Store(error)) => visit.store_failed(&error),
        Err(error) => {
            mistakes.add("token", why(visit.t, &error));
            show(visit, wanted, Pasted { mistakes, ended: None }).await
        }
    }
}

const fn why(t: Language, error: &PastedError) -> &'static str {
    match error {
        PastedError::Gone(_) => t.access_paste_gone(),
        PastedError::Token(TokenError::Expired) => t.access_paste_expired(),
        PastedError::Token(TokenError::WrongIssuer) => t.access_paste_foreign(),
        PastedError::Token(TokenError::WrongType) => t.access_paste_id_token(),
        PastedError::Token(_) | PastedError::Store(_) => t.access_paste_unknown(),
    }
}

async fn told(visit: &Visit, ended: Ended) -> Ending {
    let t = visit.t;
    let person = match &ended.user {
        None => t.access_itself().to_owned(),
        // It has ended in any case; without the store there is the id.
        Some(id) => match visit.control.store.find_user(id).await {
            Ok(Some(user)) => format!("{} ({})", user.name, user.login),
            _ => id.to_string(),
        },
    };
    let registry = &visit.caller.snapshot.registry;
    let client = ended
        .client
        .map(|id| registry.by_id(id.as_str()).map_or_else(|| id.to_string(), |service| service.name.clone()));
    Ending {
        text: if ended.family { t.access_ended_family() } else { t.access_ended() },
        kind: match ended.kind {
            PastedKind::AccessToken => t.access_kind_access(),
            PastedKind::RefreshToken => t.access_kind_refresh(),
            PastedKind::Code => t.access_kind_code(),
            PastedKind::Session => t.access_kind_session(),
            PastedKind::PermanentToken => t.access_kind_permanent(),
            PastedKind::ApplicationPassword => t.access_kind_password(),
        },
        person,
        client,
        made: ended.made,
    }
}
