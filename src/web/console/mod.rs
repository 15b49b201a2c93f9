//! The pages of people who are signed in: home, account, administration. Rendered here, whole, without script; the script
//! only makes them quicker.
//!
//! Invariants: a page of administration is seen and posted to by administrators alone, which a handler cannot forget: it
//! gets its request from [`visit::Administrator`]. A post that another site's page has caused is refused before anything else
//! is looked at. What a page changes goes through the same verbs as commands and REST (`registry`), with the person as its
//! author.

mod access;
mod account;
mod form;
mod frame;
mod home;
mod memory;
mod observe;
mod parts;
mod people;
mod person;
mod resume;
mod services;
mod visit;

use axum::{Router, routing::get};

pub use self::memory::Memory;
pub(in crate::web) use self::person::PEOPLE;
use super::{Control, endpoint::Endpoint, reply};

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(Endpoint::Home.path(), get(home::page).fallback(reply::only_get))
        .merge(people::routes())
        .merge(person::routes())
        .route(Endpoint::Resume.path(), get(resume::page).fallback(reply::only_get))
        .merge(access::routes())
        .merge(account::routes())
        .merge(observe::routes())
        .merge(services::routes())
}
