//! `GET …/admin/settings`: the configuration in force, to be read.

use askama::Template;
use axum::{Router, response::Response, routing::get};

use super::{
    parts::{Frame, Section},
    visit::Administrator,
};
use crate::{
    base::time::Timestamp,
    model::key::KeyState,
    web::{Control, facts::Settings, reply},
};

pub(super) fn routes() -> Router<Control> {
    Router::new().route(Section::Settings.path(), get(page).fallback(reply::only_get))
}

#[derive(Template)]
#[template(path = "console/settings.html")]
struct Page {
    frame: Frame,
    settings: Settings,
    started: Timestamp,
    version: &'static str,
    certificate: Option<Timestamp>,
    keys: Vec<Key>,
}

/// A signing key.
struct Key {
    id: String,
    algorithm: &'static str,
    created: Timestamp,
    signs: bool,
}

async fn page(Administrator(visit): Administrator) -> Response {
    let mut keys = match visit.control.store.list_keys().await {
        Ok(keys) => keys,
        Err(error) => return visit.store_failed(&error),
    };
    keys.sort_by_key(|key| std::cmp::Reverse(key.created));
    let keys = keys.iter().map(|key| Key {
        id: key.id.to_string(),
        algorithm: key.algorithm.name(),
        created: key.created,
        signs: key.state == KeyState::Active,
    });
    let facts = &visit.control.facts;
    visit.show(&Page {
        frame: visit.frame(Section::Settings),
        settings: facts.settings(),
        started: facts.started(),
        version: env!("CARGO_PKG_VERSION"),
        certificate: facts.certificate().ends,
        keys: keys.collect(),
    })
}
