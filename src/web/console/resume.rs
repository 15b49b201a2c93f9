//! A form that was sent when its session had ended, shown again after the next sign-in: `GET …/auth/resume?form=…`.
//!
//! Invariant: it is shown to the browser that sent it, with where it goes and all that is in it, and is sent by a press of its
//! button alone.

use askama::Template;
use axum::response::Response;

use super::{
    frame::{Frame, Section},
    memory::Parked,
    visit::Visit,
};
use crate::web::cookie;

#[derive(Template)]
#[template(path = "console/resume.html")]
struct Page {
    frame: Frame,
    form: Option<Parked>,
}

/// `GET …/auth/resume`
pub(super) async fn page(visit: Visit) -> Response {
    let query = visit.query();
    let form = query.given("form").zip(cookie::read_form(&visit.headers));
    let form = form.and_then(|(id, sender)| visit.control.memory.parked(id, &sender, visit.now()));
    visit.show(&Page { frame: visit.frame(Section::Home), form })
}
