//! What the gateway does and has done: the dashboard, upstreams, why something was refused, the audit log, the settings.
//!
//! Invariant: nothing is changed here; these pages read the numbers, the lists and the snapshot that are there anyway.

mod audit;
mod audit_words;
mod charts;
mod dashboard;
mod explained;
mod settings;
pub(super) mod upstreams;
mod why;

use axum::Router;

use super::{form, parts, visit};
use crate::web::Control;

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .merge(audit::routes())
        .merge(dashboard::routes())
        .merge(settings::routes())
        .merge(upstreams::routes())
        .merge(why::routes())
}
