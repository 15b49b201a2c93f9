//! `GET …/admin/upstreams`: where requests go, by which rules, and how it goes there.

use std::time::Instant;

use askama::Template;
use axum::{Router, response::Response, routing::get};

use super::{
    charts::numbers,
    parts::{Frame, Pager, ROWS, Section},
    visit::{Administrator, Visit},
};
use crate::{
    access::policy::RuleFacts,
    model::{
        rate::Whose,
        upstream::{Credential, Target},
    },
    observe::history::{Period, Point, Series},
    proxy::{rates::RateFacts, route::Route, upstream::status::Condition},
    texts::Language,
    web::{Control, pages::plot::sparkline, reply},
};

/// Slots of a small line.
const SLOTS: u32 = 60;

pub(super) fn routes() -> Router<Control> {
    Router::new().route(Section::Upstreams.path(), get(page).fallback(reply::only_get))
}

#[derive(Template)]
#[template(path = "console/upstreams.html")]
struct Page {
    frame: Frame,
    find: String,
    rows: Vec<Row>,
    pager: Pager,
    none_at_all: bool,
}

/// Where a route leads.
pub(in crate::web::console) struct TargetRow {
    pub(in crate::web::console) address: String,
    /// A badge's class, and its text.
    pub(in crate::web::console) state: (&'static str, String),
    /// When it failed last, and why.
    pub(in crate::web::console) failed: Option<String>,
}

/// A route.
struct Row {
    label: String,
    service: String,
    service_id: Option<String>,
    targets: Vec<TargetRow>,
    gets: &'static str,
    strip: bool,
    enforced: bool,
    timeout: String,
    rates: Vec<String>,
    rules: Vec<Rule>,
    spark: String,
    traffic: String,
    latency: Option<String>,
    /// The badge: its class and its text.
    state: (&'static str, &'static str),
}

/// A rule in words.
pub(super) struct Rule {
    pub(super) number: usize,
    pub(super) path: String,
    pub(super) words: Vec<String>,
}

impl Rule {
    pub(super) fn of(t: Language, rule: &RuleFacts) -> Self {
        let mut words = vec![match rule {
            RuleFacts { public: true, .. } => t.ruled_public().to_owned(),
            RuleFacts { browser: true, .. } => t.ruled_browser().to_owned(),
            _ => t.ruled_token().to_owned(),
        }];
        let list = |values: &[String]| values.join(", ");
        if !rule.methods.is_empty() {
            words.insert(0, t.ruled_methods(list(&rule.methods)));
        }
        if !rule.groups.is_empty() {
            words.push(t.ruled_groups(list(&rule.groups)));
        }
        if !rule.users.is_empty() {
            words.push(t.ruled_users(list(&rule.users)));
        }
        if !rule.clients.is_empty() {
            words.push(t.ruled_clients(list(&rule.clients)));
        }
        if !rule.scope.is_empty() {
            words.push(t.ruled_scope(list(&rule.scope)));
        }
        Self { number: rule.number, path: rule.path.clone(), words }
    }
}

/// Rates in words, as gateway.toml spells them.
fn rates(t: Language, facts: &[RateFacts]) -> Vec<String> {
    let words = |facts: &RateFacts| {
        let RateFacts { count, seconds, .. } = facts;
        let rate = match seconds {
            1 => format!("{count}/s"),
            60 => format!("{count}/m"),
            3600 => format!("{count}/h"),
            _ => format!("{count}/{seconds}s"),
        };
        match facts.whose {
            Whose::Source => t.rate_of_source(rate),
            Whose::Service => t.rate_of_service(rate),
            Whose::User => t.rate_of_user(rate),
        }
    };
    facts.iter().map(words).collect()
}

/// A rule of a route in words, with its rates.
fn ruled(t: Language, route: &Route, facts: &RuleFacts) -> Rule {
    let mut rule = Rule::of(t, facts);
    let mut of_rule =
        route.cluster.rates.as_ref().map_or_else(Vec::new, |rates| rates.facts(facts.number.checked_sub(1)));
    of_rule.retain(|rate| rate.rule);
    rule.words.extend(rates(t, &of_rule));
    rule
}

/// What an upstream gets as `Authorization`, in words.
pub(super) const fn gets(t: Language, credential: Credential) -> &'static str {
    match credential {
        Credential::Scoped => t.upstream_scoped(),
        Credential::Pass => t.upstream_pass(),
        Credential::None => t.upstream_no_token(),
    }
}

async fn page(Administrator(visit): Administrator) -> Response {
    let query = visit.query();
    let find = query.text("find").to_lowercase();
    let routes = &visit.caller.snapshot.routes;
    let registry = &visit.caller.snapshot.registry;
    let called = |route: &Route| {
        let known = route.policy.service.as_ref().and_then(|id| registry.by_id(id.as_str()));
        known.is_some_and(|service| service.name.to_lowercase().contains(&find))
    };
    let wanted = |route: &&Route| {
        find.is_empty()
            || called(route)
            || route.label.to_lowercase().contains(&find)
            || route.policy.service_name.to_lowercase().contains(&find)
            || route.cluster.delivery.to.iter().any(|target| target.origin().contains(&find))
    };
    let found: Vec<&Route> = routes.iter().filter(wanted).collect();
    let skip = query.number("skip").unwrap_or(0);
    let slots = visit.control.history.slots(Period::Hour, visit.now(), SLOTS);
    let rows: Vec<Row> = found.iter().skip(skip).take(ROWS).map(|route| row(&visit, route, &slots)).collect();
    let path = visit.link(Section::Upstreams.path());
    let pager = Pager::new(visit.t, &path, &query, (skip, rows.len()), Some(found.len()), false);
    let none_at_all = routes.is_empty();
    let find = query.text("find").to_owned();
    visit.show(&Page { frame: visit.frame(Section::Upstreams), find, rows, pager, none_at_all })
}

/// The targets of a route, each with how it is now.
pub(in crate::web::console) fn targets(t: Language, route: &Route) -> Vec<TargetRow> {
    let now = Instant::now();
    let status = route.cluster.status(now);
    let addresses = route.cluster.delivery.to.iter().map(Target::origin);
    addresses
        .zip(status.targets)
        .map(|(address, target)| {
            let state = match target.state {
                Condition::Up => ("good", t.target_up().to_owned()),
                Condition::Warming(share) => ("warn", t.target_warming(share)),
                Condition::Ejected(left) => ("bad", t.target_ejected(t.duration(left))),
                Condition::Unhealthy => ("bad", t.target_unhealthy().to_owned()),
            };
            let failed = target.last_failure.map(|(ago, why)| t.target_failed(t.duration(ago), why));
            TargetRow { address, state, failed }
        })
        .collect()
}

fn row(visit: &Visit, route: &Route, slots: &[Option<Point>]) -> Row {
    let t = visit.t;
    #[expect(clippy::cast_precision_loss, reason = "counts of an hour are far below 2^53")]
    let number = |count: u64| count as f64;
    let values: Vec<Option<f64>> = slots
        .iter()
        .map(|slot| slot.as_ref().map(|point| number(point.count(Series::Route, &route.label))))
        .collect();
    let sum = |series| slots.iter().flatten().map(|point| point.count(series, &route.label)).sum::<u64>();
    let (requests, failures) = (sum(Series::Route), sum(Series::RouteFailures));
    let quantile = |part| {
        let micros = Point::quantile_of(slots.iter().flatten(), &route.label, part)?;
        Some(numbers(t).short(number(micros) / 1000.0))
    };
    let latency = quantile(0.5).zip(quantile(0.95)).map(|(median, late)| t.upstream_latency(median, late));
    let lately = slots.iter().rev().take(10).flatten().map(|p| p.count(Series::RouteFailures, &route.label));
    let now = Instant::now();
    let takes = route.cluster.status(now).targets.iter().any(|target| target.state.takes_requests());
    let state = if !takes {
        ("bad", t.upstream_out())
    } else if lately.sum::<u64>() > 0 {
        ("bad", t.upstream_failing())
    } else if requests == 0 {
        ("", t.upstream_quiet())
    } else {
        ("good", t.upstream_up())
    };
    let service = route.policy.service.as_ref();
    let known = service.and_then(|id| visit.caller.snapshot.registry.by_id(id.as_str()));
    Row {
        label: route.label.to_string(),
        service: known.map_or_else(|| route.policy.service_name.clone(), |service| service.name.clone()),
        service_id: service.map(ToString::to_string),
        targets: targets(t, route),
        gets: gets(t, route.credential),
        strip: route.strip_path,
        enforced: route.policy.enforce,
        timeout: t.duration(route.cluster.delivery.first_byte_timeout),
        rates: route.cluster.rates.as_ref().map_or_else(Vec::new, |stated| rates(t, &stated.facts(None))),
        rules: route.policy.rules().map(|rule| ruled(t, route, &rule)).collect(),
        spark: sparkline(&t.upstream_spark(&route.label), &values),
        traffic: t.upstream_traffic(numbers(t).short(number(requests)), numbers(t).short(number(failures))),
        latency,
        state,
    }
}
