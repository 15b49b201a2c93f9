//! The page of one service.

use std::time::Duration;

use askama::Template;
use axum::{extract::Path, response::Response};
use http::StatusCode;

use super::{
    fields::{Typed, flows},
    find, path_of,
    view::{Example, Facts},
};
use crate::{
    base::{id::ServiceId, secret::Secret},
    model::service::Service,
    texts::Language,
    web::{
        console::{
            form::Mistakes,
            frame::{Frame, Section},
            parts::{Area, Check, Input, Made, Select},
            visit::{Administrator, Visit},
        },
        endpoint::Endpoint,
    },
};

/// How long the secret before may stay accepted, in hours; the choice that the configuration stands for is added.
pub(super) const GRACES: [u64; 5] = [0, 1, 24, 24 * 7, 24 * 30];

#[derive(Template)]
#[template(path = "console/service.html")]
struct Page<'p> {
    frame: Frame,
    once: String,
    url: String,
    service: &'p Service,
    own: bool,
    typed: Typed,
    /// Of the settings.
    mistakes: &'p Mistakes,
    flows: Vec<FlowBox>,
    facts: Facts,
    example: Example,
    made: Option<&'p Secret>,
    /// What could not be done, besides the settings.
    alarm: Option<String>,
    graces: Vec<(String, String)>,
    grace: String,
}

/// A flow to tick.
struct FlowBox {
    name: &'static str,
    label: &'static str,
    on: bool,
    /// Whether the profile lets it be used at all.
    allowed: bool,
}

impl Page<'_> {
    /// The page that lists what rests on this service.
    fn access(&self, kind: &str, by: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("kind", kind)
            .append_pair(by, self.service.id.as_str())
            .finish();
        format!("{}/admin/tokens?{query}", self.frame.hub)
    }

    fn secret_title(&self) -> String {
        self.frame.t.service_secret_of(&self.service.name)
    }

    fn confirm(&self) -> String {
        self.frame.t.type_to_confirm(&self.service.name)
    }

    fn grace_options(&self) -> Vec<(&str, &str)> {
        self.graces.iter().map(|(value, text)| (value.as_str(), text.as_str())).collect()
    }
}

/// What else the page says.
#[derive(Default)]
pub(super) struct Said<'s> {
    /// What was typed into the settings, where it could not be saved.
    pub(super) typed: Option<Typed>,
    /// And why.
    pub(super) mistakes: Mistakes,
    /// The secret that was just made.
    pub(super) made: Option<&'s Secret>,
    /// What could not be done besides.
    pub(super) alarm: Option<String>,
}

/// See the module.
pub(super) async fn page(Path(id): Path<String>, Administrator(visit): Administrator) -> Response {
    match find(&visit, &id).await {
        Ok(service) => show(&visit, StatusCode::OK, &service, Said::default()).await,
        Err(refused) => refused,
    }
}

/// Somebody who goes back from a form that waited for them to sign in, or loads its answer again.
pub(super) async fn back(Path(id): Path<String>, Administrator(visit): Administrator) -> Response {
    match find(&visit, &id).await {
        Ok(service) => visit.go(&path_of(&service.id)),
        Err(refused) => refused,
    }
}

/// Shows the page.
pub(super) async fn show(visit: &Visit, status: StatusCode, service: &Service, said: Said<'_>) -> Response {
    let facts = match Facts::of(visit, service).await {
        Ok(facts) => facts,
        Err(error) => return visit.store_failed(&error),
    };
    let typed = said.typed.unwrap_or_else(|| Typed::of(service));
    let allowed = visit.caller.snapshot.flows;
    let boxes = flows(visit.t).map(|(flow, label)| FlowBox {
        name: flow.name(),
        label,
        on: typed.flows.contains(flow),
        allowed: allowed.contains(flow),
    });
    let (graces, grace) = graces(visit.t, visit.caller.snapshot.secret_grace);
    let page = Page {
        frame: visit.frame(Section::Services),
        once: visit.once(),
        url: visit.link(&path_of(&service.id)),
        service,
        own: service.id == ServiceId::hub(),
        typed,
        mistakes: &said.mistakes,
        flows: boxes.into_iter().collect(),
        facts,
        example: Example::of(visit, service, said.made),
        made: said.made,
        alarm: said.alarm,
        graces,
        grace,
    };
    visit.show_as(status, &page)
}

/// The times for which the secret before may stay accepted, in seconds and in words, and the one that the configuration says.
fn graces(t: Language, usual: Duration) -> (Vec<(String, String)>, String) {
    let mut times: Vec<u64> = GRACES.iter().map(|hours| hours * 3600).collect();
    if usual <= crate::registry::secrets::LONGEST_GRACE && !times.contains(&usual.as_secs()) {
        times.push(usual.as_secs());
        times.sort_unstable();
    }
    let text = |seconds: u64| match seconds {
        0 => t.service_grace_none().to_owned(),
        seconds => t.service_grace(t.duration(Duration::from_secs(seconds))),
    };
    let options = times.iter().map(|seconds| (seconds.to_string(), text(*seconds))).collect();
    (options, usual.as_secs().to_string())
}
