//! Who somebody is, for whoever is signed in: `GET …/users/{id}`, the address in the claim `profile` (OpenID Connect Core section 5.1).
//!
//! Invariant: it tells no more of others than REST tells everybody: what they are called.

use axum::{Router, extract::Path, response::Response, routing::get};

use askama::Template;

use super::{
    frame::{Frame, Section},
    visit::Visit,
};
use crate::web::{Control, reply};

/// Below it are the pages about people.
pub(in crate::web) const PEOPLE: &str = "/users";

pub(super) fn routes() -> Router<Control> {
    Router::new().route(&format!("{PEOPLE}/{{id}}"), get(page).fallback(reply::only_get))
}

#[derive(Template)]
#[template(path = "console/person.html")]
struct Page {
    frame: Frame,
    name: String,
    login: String,
}

/// One's own account, an administrator's page of somebody, else the name.
async fn page(Path(id): Path<String>, visit: Visit) -> Response {
    let Some(person) = visit.control.gate.people.find(&id) else { return visit.not_found() };
    let me = &visit.who.user;
    if person.id == me.id {
        return visit.go(Section::Profile.path());
    }
    if me.administrator {
        return visit.go(&format!("{}/{}", Section::Users.path(), person.id));
    }
    let (name, login) = (person.name.clone(), person.login.clone());
    visit.show(&Page { frame: visit.frame(Section::Home), name, login })
}
