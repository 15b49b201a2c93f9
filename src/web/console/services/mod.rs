//! `/admin/services`: what is registered, to find, to register, to change, to remove.
//!
//! Invariant: a service that the configuration file declares is changed there; a secret is shown once, by the page that made it.

mod change;
mod fields;
mod new;
mod page;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    response::Response,
    routing::{get, post},
};

use super::{
    frame::{Frame, Section},
    parts::{Pager, ROWS},
    visit::{Administrator, Visit},
};
use crate::{
    base::{id::ServiceId, time::Timestamp, url::web_origin},
    model::service::Service,
    store::{StoreError, name::folded},
    web::{Control, reply},
};

/// The list.
pub(super) const LIST: &str = "/admin/services";

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(LIST, get(list).fallback(reply::only_get))
        .route("/admin/services/new", get(new::page).post(new::register).fallback(reply::get_or_post))
        .route("/admin/services/{id}", get(page::page).post(change::save).fallback(reply::get_or_post))
        .route(
            "/admin/services/{id}/secret",
            post(change::secret).get(page::back).fallback(reply::get_or_post),
        )
        .route(
            "/admin/services/{id}/grace",
            post(change::end_grace).get(page::back).fallback(reply::get_or_post),
        )
        .route(
            "/admin/services/{id}/redirects",
            post(change::redirect).get(page::back).fallback(reply::get_or_post),
        )
        .route(
            "/admin/services/{id}/remove",
            post(change::remove).get(page::back).fallback(reply::get_or_post),
        )
}

/// The path of a service's page.
pub(super) fn path_of(id: &ServiceId) -> String {
    format!("{LIST}/{id}")
}

/// The service whose page is asked for, as the store has it; the gateway's own as the snapshot has it.
async fn find(visit: &Visit, id: &str) -> Result<Service, Response> {
    let id = ServiceId::parse(id).map_err(|_| visit.not_found())?;
    if id == ServiceId::hub() {
        let hub = visit.caller.snapshot.registry.by_id(id.as_str());
        return hub.map(|hub| hub.as_ref().clone()).ok_or_else(|| visit.not_found());
    }
    let found = visit.control.store.find_service(&id).await;
    found.map_err(|error| visit.store_failed(&error))?.ok_or_else(|| visit.not_found())
}

#[derive(Template)]
#[template(path = "console/services.html")]
struct Page {
    frame: Frame,
    q: String,
    rows: Vec<Row>,
    pager: Pager,
    /// Whether anything is registered at all.
    any: bool,
}

/// A service in the list.
struct Row {
    url: String,
    name: String,
    id: String,
    /// Host of the home URL, where browsers go to it.
    home: Option<(String, String)>,
    route: Option<String>,
    trusted: bool,
    asks: bool,
    public: bool,
    bare: bool,
    declared: bool,
    own: bool,
    used: Option<Timestamp>,
}

async fn list(Administrator(visit): Administrator) -> Response {
    match rows(&visit).await {
        Ok(page) => visit.show(&page),
        Err(error) => visit.store_failed(&error),
    }
}

async fn rows(visit: &Visit) -> Result<Page, StoreError> {
    let query = visit.query();
    let q = query.text("q").to_owned();
    let snapshot = &visit.caller.snapshot;
    let mut found: Vec<&Arc<Service>> =
        snapshot.registry.all().filter(|service| matches(service, &q)).collect();
    found.sort_by_cached_key(|service| (folded(&service.name), service.id.clone()));
    let total = found.len();
    let skip = Pager::skip(&query);
    let shown: Vec<&Arc<Service>> = found.into_iter().skip(skip).take(ROWS).collect();
    let ids: Vec<ServiceId> = shown.iter().map(|service| service.id.clone()).collect();
    let used = visit.control.last_uses(&ids).await?;
    let rows: Vec<Row> = shown
        .iter()
        .zip(used)
        .map(|(service, used)| Row {
            url: visit.link(&path_of(&service.id)),
            name: service.name.clone(),
            id: service.id.to_string(),
            home: service.profile.home_url.as_deref().and_then(home),
            route: routes_of(visit, &service.id).into_iter().next(),
            trusted: service.trust.trusted && !service.trust.public,
            asks: service.trust.consent_required,
            public: service.trust.public,
            bare: !service.trust.public && service.secrets.is_empty(),
            declared: service.declared,
            own: service.id == ServiceId::hub(),
            used: used.latest(),
        })
        .collect();
    let pager = Pager::new(visit.t, &visit.link(LIST), &query, (skip, rows.len()), Some(total), false);
    let any = snapshot.registry.len() > 1;
    Ok(Page { frame: visit.frame(Section::Services), q, rows, pager, any })
}

/// Address and host of a home that browsers go to.
fn home(url: &str) -> Option<(String, String)> {
    let origin = web_origin(url)?;
    let (_, host) = origin.split_once("://")?;
    Some((url.to_owned(), host.to_owned()))
}

/// The routes that ask for a service.
fn routes_of(visit: &Visit, id: &ServiceId) -> Vec<String> {
    let routes = visit.caller.snapshot.routes.iter();
    routes.filter(|route| route.policy.service.as_ref() == Some(id)).map(|r| r.label.to_string()).collect()
}

/// Whether a service is meant by what somebody types: every word of it is in its name, id, address or maker.
fn matches(service: &Service, q: &str) -> bool {
    let profile = &service.profile;
    let texts = [
        Some(service.name.as_str()),
        Some(service.id.as_str()),
        profile.home_url.as_deref(),
        profile.vendor.as_deref(),
        profile.application_name.as_deref(),
    ];
    let texts: Vec<String> = texts.into_iter().flatten().map(folded).collect();
    q.split_whitespace().all(|word| {
        let word = folded(word);
        texts.iter().any(|text| text.contains(&word))
    })
}
