//! `GET …/admin`: how the gateway does, and what needs somebody.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{Router, response::Response, routing::get};

use super::{
    charts::{Charts, cause_title, coarse, fine, numbers},
    parts::{Frame, Section},
    visit::{Administrator, Visit},
};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    observe::{
        history::{Period, Point, Series},
        refusals::Refused,
    },
    store::StoreError,
    web::{Control, reply},
};

/// Refusals that the page lists.
const RECENT: usize = 10;

/// When the end of a certificate begins to matter.
const CERTIFICATE_SOON: Duration = Duration::from_secs(21 * 24 * 3600);

/// How far back failures of an upstream are news, and how many of them.
const NEWS: Duration = Duration::from_secs(600);
const FAILURES: u64 = 5;

/// Services whose refused addresses are looked for; more would make the page slow.
const SERVICES: usize = 100;

pub(super) fn routes() -> Router<Control> {
    Router::new().route(Section::Dashboard.path(), get(page).fallback(reply::only_get))
}

#[derive(Template)]
#[template(path = "console/dashboard.html")]
struct Page {
    frame: Frame,
    day: bool,
    figures: Vec<(String, &'static str)>,
    plots: Vec<String>,
    attention: Vec<Attention>,
    recent: Vec<Recent>,
}

/// Something that needs somebody.
struct Attention {
    bad: bool,
    text: String,
    /// Path below `hub.path`.
    link: Option<String>,
}

impl Attention {
    const fn warn(text: String, link: Option<String>) -> Self {
        Self { bad: false, text, link }
    }

    const fn bad(text: String, link: Option<String>) -> Self {
        Self { bad: true, text, link }
    }
}

/// A refusal.
pub(super) struct Recent {
    pub(super) refused: Arc<Refused>,
    pub(super) cause: String,
    pub(super) who: String,
}

async fn page(Administrator(visit): Administrator) -> Response {
    let period = if visit.query().text("period") == "day" { Period::Day } else { Period::Hour };
    let (now, t) = (visit.now(), visit.t);
    let history = &visit.control.history;
    let slots = history.slots(period, now, fine(period));
    let bars = history.slots(period, now, coarse(period));
    let charts = Charts { t, period, now, fine: &slots, coarse: &bars };
    let plots = vec![
        charts.requests(),
        charts.latency(),
        charts.routes(),
        charts.refusals(),
        charts.logins(),
        charts.tokens(),
        charts.token_errors(),
        charts.connections(),
    ];
    let attention = match attention(&visit).await {
        Ok(attention) => attention,
        Err(error) => return visit.store_failed(&error),
    };
    let recent =
        visit.control.gate.refusals.recent(RECENT).into_iter().map(|refused| recent(&visit, refused));
    let recent = recent.collect();
    let figures = figures(&visit, &bars);
    let day = period == Period::Day;
    visit.show(&Page { frame: visit.frame(Section::Dashboard), day, figures, plots, attention, recent })
}

/// A refusal with the names of whom it was about.
pub(super) fn recent(visit: &Visit, refused: Arc<Refused>) -> Recent {
    let person = visit.control.gate.people.find(&refused.user).map(|person| person.login.clone());
    let service = visit.caller.snapshot.registry.by_id(&refused.client).map(|service| service.name.clone());
    let given = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
    let who = person.or_else(|| given(&refused.user)).or(service).or_else(|| given(&refused.client));
    let who = who.unwrap_or_else(|| refused.source.to_string());
    Recent { cause: cause_title(visit.t, refused.cause), who, refused }
}

fn figures(visit: &Visit, slots: &[Option<Point>]) -> Vec<(String, &'static str)> {
    let t = visit.t;
    let sum = |count: &dyn Fn(&Point) -> u64| {
        #[expect(clippy::cast_precision_loss, reason = "requests of a day are far below 2^53")]
        let sum = slots.iter().flatten().map(count).sum::<u64>() as f64;
        numbers(t).short(sum)
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request are far below 2^53")]
    let late = Point::quantile_over(slots.iter().flatten(), 0.95)
        .map_or_else(|| "–".to_owned(), |micros| numbers(t).short(micros as f64 / 1000.0));
    vec![
        (sum(&|point| point.sum(Series::Status)), t.figure_requests()),
        (sum(&|point| point.sum(Series::Cause)), t.figure_refused()),
        (sum(&|point| point.count(Series::Status, "5xx")), t.figure_failed()),
        (late, t.figure_latency()),
    ]
}

async fn attention(visit: &Visit) -> Result<Vec<Attention>, StoreError> {
    let (t, now) = (visit.t, visit.now());
    let snapshot = &visit.caller.snapshot;
    let mut found = Vec::new();
    let certificate = visit.control.facts.certificate();
    match certificate.ends {
        Some(end) if end <= now => {
            found.push(Attention::bad(t.attention_certificate_over().to_owned(), None));
        }
        Some(end) if end.since(now) < CERTIFICATE_SOON => {
            let text = t.attention_certificate(t.when(end, now));
            found.push(if certificate.self_signed {
                Attention::warn(text, None)
            } else {
                Attention::bad(text, None)
            });
        }
        _ if certificate.self_signed => {
            found.push(Attention::warn(t.attention_self_signed().to_owned(), None));
        }
        _ => {}
    }
    for (label, count) in failing(visit, now) {
        let link = format!("{}?find={}", Section::Upstreams.path(), encoded(&label));
        found.push(Attention::bad(t.attention_upstream(label, count), Some(link)));
    }
    let down = snapshot.upstreams().into_iter().flat_map(|upstream| {
        let label = upstream.upstream;
        let out = upstream.targets.into_iter().filter(|target| !target.state.takes_requests());
        out.map(move |target| (Arc::clone(&label), target.target)).collect::<Vec<_>>()
    });
    for (label, target) in down.take(10) {
        let link = format!("{}?find={}", Section::Upstreams.path(), encoded(&label));
        found.push(Attention::bad(t.attention_down(label, target), Some(link)));
    }
    for route in snapshot.routes.iter().filter(|route| route.policy.service.is_none()).take(10) {
        let text = t.attention_service(&route.policy.service_name, &route.label);
        found.push(Attention::bad(text, Some(format!("{}/new", Section::Services.path()))));
    }
    for route in snapshot.routes.iter().filter(|route| !route.policy.enforce).take(10) {
        let link = format!("{}?find={}", Section::Upstreams.path(), encoded(&route.label));
        found.push(Attention::warn(t.attention_unenforced(&route.label), Some(link)));
    }
    if !visit.control.facts.settings().warnings.is_empty() {
        let link = Some(Section::Settings.path().to_owned());
        found.push(Attention::warn(t.attention_configuration().to_owned(), link));
    }
    let mut services: Vec<_> =
        snapshot.registry.all().filter(|service| service.id != ServiceId::hub()).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    for service in services.into_iter().take(SERVICES) {
        let waiting = visit.control.store.list_rejected_redirects(&service.id).await?;
        if !waiting.is_empty() {
            let link = format!("{}/{}", Section::Services.path(), service.id);
            found.push(Attention::warn(t.attention_redirects(waiting.len(), &service.name), Some(link)));
        }
    }
    Ok(found)
}

/// Routes of which requests have failed lately.
fn failing(visit: &Visit, now: Timestamp) -> Vec<(String, u64)> {
    let since = now.minus(NEWS);
    let points = visit.control.history.points(Period::Hour);
    let points: Vec<_> = points.iter().filter(|point| point.at > since).collect();
    let routes = visit.caller.snapshot.routes.iter();
    let failures = routes.map(|route| {
        let count = points.iter().map(|point| point.count(Series::RouteFailures, &route.label)).sum();
        (route.label.to_string(), count)
    });
    failures.filter(|(_, count)| *count >= FAILURES).take(10).collect()
}

/// A value of a query.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
