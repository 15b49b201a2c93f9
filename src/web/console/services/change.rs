//! What the forms on the page of a service do.
//!
//! Invariant: each goes through the verb of the registry that commands and REST use, and answers when the gate acts on it.

use std::time::Duration;

use axum::{extract::Path, response::Response};
use http::StatusCode;

use super::{
    LIST,
    fields::{Typed, mistake, not_usable},
    find,
    page::{Said, show},
    path_of,
};
use crate::{
    base::{id::ServiceId, secret::Secret},
    model::{address, service::Service},
    registry::{
        redirects,
        secrets::{self, LONGEST_GRACE},
        services::{self as verbs, ServiceError},
    },
    store::StoreError,
    web::console::{
        form::Mistakes,
        visit::{AdministratorPost, Once, Post, Visit},
    },
};

/// A refusal that no field can mend.
pub(super) fn failed(visit: &Visit, error: ServiceError) -> Response {
    match error {
        ServiceError::Store(error) => visit.store_failed(&error),
        error => {
            tracing::error!(%error, "a page could not be answered");
            visit.not_found()
        }
    }
}

/// The page again, with what is wrong.
async fn with_mistake(
    visit: &Visit,
    service: &Service,
    error: ServiceError,
    typed: Option<Typed>,
) -> Response {
    let Some((field, text)) = mistake(visit.t, &error) else { return failed(visit, error) };
    let mut mistakes = Mistakes::default();
    mistakes.add(field, text);
    let said = Said { typed, mistakes, ..Said::default() };
    show(visit, StatusCode::UNPROCESSABLE_ENTITY, service, said).await
}

/// What the file declares, and what is the gateway's own, is not changed here.
#[expect(clippy::result_large_err, reason = "the answer of a page, once a request")]
fn own(visit: &Visit, service: &Service) -> Result<(), Response> {
    if service.id == ServiceId::hub() { Err(visit.not_found()) } else { Ok(()) }
}

/// Leads back to the page once the gate acts on what was written.
async fn back(visit: &Visit, id: &ServiceId, done: &str) -> Response {
    match visit.in_force().await {
        Ok(()) => visit.done(&path_of(id), done),
        Err(later) => later,
    }
}

/// Saves the settings.
pub(super) async fn save(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let service = match find(visit, &id).await {
        Ok(service) => service,
        Err(refused) => return refused,
    };
    if let Err(refused) = own(visit, &service) {
        return refused;
    }
    let typed = Typed::read(fields);
    let mistakes = typed.check(visit.t);
    if !mistakes.is_empty() {
        let said = Said { typed: Some(typed), mistakes, ..Said::default() };
        return show(visit, StatusCode::UNPROCESSABLE_ENTITY, &service, said).await;
    }
    // Nobody undoes what another has changed meanwhile without having seen it.
    let seen = fields.given("seen").is_none_or(|seen| seen == service.updated.millis().to_string());
    if !seen && !typed.is_so(&service, visit.caller.snapshot.flows) {
        let alarm = Some(visit.t.service_changed_meanwhile().to_owned());
        let said = Said { typed: Some(typed), alarm, ..Said::default() };
        return show(visit, StatusCode::CONFLICT, &service, said).await;
    }
    let acting = visit.acting();
    let change = typed.change(&service, visit.caller.snapshot.flows);
    match verbs::change(acting.store.as_ref(), &service.id, change, acting.clock.as_ref()).await {
        Ok(_) => back(visit, &service.id, "saved").await,
        Err(error) => with_mistake(visit, &service, error, Some(typed)).await,
    }
}

/// Gives the service a new secret: one that is made and shown, or the one that was typed.
pub(super) async fn secret(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let service = match find(visit, &id).await {
        Ok(service) => service,
        Err(refused) => return refused,
    };
    if let Err(refused) = own(visit, &service) {
        return refused;
    }
    match post.once().await {
        Once::New => {}
        Once::Done(path) if path.is_empty() => {
            let alarm = Some(visit.t.service_secret_expired().to_owned());
            return show(visit, StatusCode::OK, &service, Said { alarm, ..Said::default() }).await;
        }
        Once::Done(path) => return visit.done(&path, "saved"),
        Once::Made(made) => {
            let said = Said { made: Some(&made), ..Said::default() };
            return show(visit, StatusCode::OK, &service, said).await;
        }
    }
    let grace = match fields.given("grace").map(str::parse::<u64>) {
        // A first secret has none before it.
        None => Duration::ZERO,
        Some(Ok(seconds)) if seconds <= LONGEST_GRACE.as_secs() => Duration::from_secs(seconds),
        Some(_) => {
            post.again();
            let mut mistakes = Mistakes::default();
            mistakes.add("grace", visit.t.service_grace_rule());
            let said = Said { mistakes, ..Said::default() };
            return show(visit, StatusCode::UNPROCESSABLE_ENTITY, &service, said).await;
        }
    };
    let chosen = fields.secret("secret");
    match replace(visit, &service.id, chosen, grace).await {
        Err(error) => {
            post.again();
            with_mistake(visit, &service, error, None).await
        }
        Ok(None) => match visit.in_force().await {
            Ok(()) => post.led(&path_of(&service.id), "saved"),
            Err(later) => later,
        },
        Ok(Some(made)) => {
            post.made(&made);
            if let Err(later) = visit.in_force().await {
                return later;
            }
            // As it is now.
            match find(visit, &id).await {
                Ok(after) => {
                    show(visit, StatusCode::OK, &after, Said { made: Some(&made), ..Said::default() }).await
                }
                Err(refused) => refused,
            }
        }
    }
}

/// The new secret, if one was made.
async fn replace(
    visit: &Visit,
    id: &ServiceId,
    chosen: Secret,
    grace: Duration,
) -> Result<Option<Secret>, ServiceError> {
    let acting = visit.acting();
    let (store, clock) = (acting.store.as_ref(), acting.clock.as_ref());
    if chosen.expose().is_empty() {
        return secrets::rotate(store, id, grace, clock, acting.random.as_ref()).await.map(Some);
    }
    secrets::set(store, id, &chosen, grace, clock).await.map(|()| None)
}

/// Ends the grace of the secret before. Done a second time it changes nothing.
pub(super) async fn end_grace(
    Path(id): Path<String>,
    AdministratorPost(post): AdministratorPost,
) -> Response {
    let visit = &post.visit;
    let service = match find(visit, &id).await {
        Ok(service) => service,
        Err(refused) => return refused,
    };
    if let Err(refused) = own(visit, &service) {
        return refused;
    }
    let acting = visit.acting();
    match secrets::end_grace(acting.store.as_ref(), &service.id, acting.clock.as_ref()).await {
        Ok(_) => back(visit, &service.id, "done").await,
        Err(error) => failed(visit, error),
    }
}

/// Accepts or dismisses an address that was asked for in vain.
pub(super) async fn redirect(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let service = match find(visit, &id).await {
        Ok(service) => service,
        Err(refused) => return refused,
    };
    let uri = fields.text("uri");
    let acting = visit.acting();
    let store = acting.store.as_ref();
    let alarm = match fields.text("do") {
        "accept" => match redirects::accept(store, &service.id, uri, acting.clock.as_ref()).await {
            Ok(_) => return back(visit, &service.id, "saved").await,
            // A button that was pressed twice.
            Err(ServiceError::Store(StoreError::NotFound { .. }))
                if service.profile.redirect_uris.iter().any(|known| known == uri) =>
            {
                return back(visit, &service.id, "saved").await;
            }
            Err(ServiceError::Store(StoreError::NotFound { .. })) => {
                visit.t.service_untrusted_gone().to_owned()
            }
            Err(ServiceError::Field { .. }) => match address::redirect_uri(uri) {
                Err(why) => not_usable(visit.t, uri, &why),
                Ok(_) => visit.t.service_untrusted_refused(uri),
            },
            Err(error) => match mistake(visit.t, &error) {
                Some((_, text)) => text.to_owned(),
                None => return failed(visit, error),
            },
        },
        "dismiss" => match redirects::dismiss(store, &service.id, uri).await {
            // One that is gone already is what was wanted.
            Ok(_) => return visit.done(&path_of(&service.id), "removed"),
            Err(error) => return visit.store_failed(&error),
        },
        _ => return visit.go(&path_of(&service.id)),
    };
    let said = Said { alarm: Some(alarm), ..Said::default() };
    show(visit, StatusCode::UNPROCESSABLE_ENTITY, &service, said).await
}

/// Removes the service, when its name was typed.
pub(super) async fn remove(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let Post { visit, fields } = &post;
    let Ok(parsed) = ServiceId::parse(&id) else { return visit.not_found() };
    let found = match visit.control.store.find_service(&parsed).await {
        Ok(found) => found,
        Err(error) => return visit.store_failed(&error),
    };
    // A button that was pressed twice: what was wanted is so.
    let Some(service) = found else { return visit.go(LIST) };
    if fields.text("confirm") != service.name.trim() {
        let mut mistakes = Mistakes::default();
        mistakes.add("confirm", visit.t.not_confirmed());
        let said = Said { mistakes, ..Said::default() };
        return show(visit, StatusCode::UNPROCESSABLE_ENTITY, &service, said).await;
    }
    let acting = visit.acting();
    match verbs::remove(acting.store.as_ref(), &service.id, acting.clock.as_ref()).await {
        Ok(()) => match visit.in_force().await {
            Ok(()) => visit.done(LIST, "removed"),
            Err(later) => later,
        },
        Err(ServiceError::Declared(_)) => {
            let said = Said { alarm: Some(visit.t.service_declared_note().to_owned()), ..Said::default() };
            show(visit, StatusCode::CONFLICT, &service, said).await
        }
        Err(error) => failed(visit, error),
    }
}
