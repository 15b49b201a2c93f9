//! A form that was sent when its session had ended, shown again after the next sign-in: `GET …/auth/resume?form=…`.

use askama::Template;
use axum::response::Response;

use super::{
    frame::{Frame, Section},
    memory::Parked,
    visit::Visit,
};

#[derive(Template)]
#[template(path = "console/resume.html")]
struct Page {
    frame: Frame,
    form: Option<Parked>,
}

/// `GET …/auth/resume`
pub(super) async fn page(visit: Visit) -> Response {
    let form = visit.query().given("form").and_then(|id| visit.control.memory.parked(id, visit.now()));
    visit.show(&Page { frame: visit.frame(Section::Home), form })
}
