//! `services/{id}/untrustedredirecturis`: addresses to which authorization responses were asked for in vain, to accept or to
//! forget (hub-contract sections 0, 2.4, 10.1).
//!
//! Invariant: an address that is accepted is held to the rules of those that are registered.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::Value;

use super::services::find;
use crate::{
    crypto::digest::TokenDigest,
    model::grant::RejectedRedirect,
    registry::redirects as verbs,
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, read},
        operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
        permission::Permission,
    },
};

pub(in crate::web::rest) static REDIRECT: Kind = Kind {
    name: "untrustedRedirectURI",
    entity: false,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("redirectURI", Form::Text, "The address."),
        read("triedFrom", Form::Text, "The source that asked last."),
        read("triedAt", Form::Time, "When it asked last."),
    ],
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "services/{id}/untrustedredirecturis",
        summary: "Addresses to which authorization responses were asked for in vain",
        need: Need::May(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&REDIRECT),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/untrustedredirecturis/{uri}",
        summary: "One of them",
        need: Need::May(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&REDIRECT),
        parameters: &[],
        handler: one,
    },
    Operation {
        method: Method::DELETE,
        path: "services/{id}/untrustedredirecturis/{uri}",
        summary: "Forget one of them",
        need: Need::May(Permission::ServiceUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: reject,
    },
    // Hub's own address of it, which names the redirect URI too, its slashes encoded.
    Operation {
        method: Method::POST,
        path: "services/{id}/untrustedredirecturis/{uri}/{address}/accept",
        summary: "The same under Hub's address for it, which names the redirect URI too, encoded",
        need: Need::May(Permission::ServiceUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: accept,
    },
    Operation {
        method: Method::DELETE,
        path: "services/{id}/untrustedredirecturis/{uri}/{address}/reject",
        summary: "Forget one of them, under Hub's address for it",
        need: Need::May(Permission::ServiceUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: reject,
    },
    Operation {
        method: Method::POST,
        path: "services/{id}/untrustedredirecturis/{uri}/accept",
        summary: "Make one of them an address that may receive authorization responses",
        need: Need::May(Permission::ServiceUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: accept,
    },
    Operation {
        method: Method::DELETE,
        path: "services/{id}/untrustedredirecturis/{uri}/reject",
        summary: "Forget one of them, under Hub's address for it",
        need: Need::May(Permission::ServiceUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: reject,
    },
];

/// One as it is shown.
pub(super) struct RedirectView<'a>(&'a RejectedRedirect);

/// All of them, as they are shown.
pub(super) fn views(rejected: &[RejectedRedirect]) -> Vec<RedirectView<'_>> {
    rejected.iter().map(RedirectView).collect()
}

/// Addresses may have what a path cannot carry in one piece: they are named by the beginning of their digest.
fn id_of(rejected: &RejectedRedirect) -> String {
    let digest = TokenDigest::of(rejected.uri.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_bytes().iter().take(16).copied().collect::<Vec<u8>>())
}

impl Object for RedirectView<'_> {
    fn kind(&self) -> &'static Kind {
        &REDIRECT
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        Some(match name {
            "id" => id_of(self.0).into(),
            "redirectURI" => self.0.uri.as_str().into(),
            "triedFrom" => self.0.tried_from.as_str().into(),
            "triedAt" => self.0.tried_at.millis().into(),
            _ => return None,
        })
    }
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let rejected = ask.store().list_rejected_redirects(&find(ask, ask.id(0))?.id).await?;
        ask.listed("untrustedredirecturis", page, rejected.len() as u64, &page.cut(views(&rejected)))
    })
}

/// The one that the path names, by its id or itself. Where it names both, both are of one: nobody accepts another address than the
/// one that is read in the request.
async fn named(ask: &Ask<'_>) -> Result<RejectedRedirect, RestError> {
    let rejected = ask.store().list_rejected_redirects(&find(ask, ask.id(0))?.id).await?;
    let found =
        rejected.into_iter().find(|rejected| id_of(rejected) == ask.id(1) || rejected.uri == ask.id(1));
    let found = found.ok_or_else(|| RestError::no_entity(ask.id(1)))?;
    match ask.ids.get(2) {
        Some(address) if *address != found.uri => Err(RestError::no_entity(address)),
        _ => Ok(found),
    }
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { Ok(ask.one(&RedirectView(&named(ask).await?))) })
}

fn reject<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let rejected = named(ask).await?;
        verbs::dismiss(ask.store().as_ref(), &find(ask, ask.id(0))?.id, &rejected.uri).await?;
        Ok(Answer::Empty)
    })
}

fn accept<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (rejected, service) = (named(ask).await?, find(ask, ask.id(0))?);
        let clock = ask.control.clock.as_ref();
        verbs::accept(ask.store().as_ref(), &service.id, &rejected.uri, clock).await?;
        Ok(Answer::Empty)
    })
}
