//! Requests that are counted: by whose rates, and what their clients are told.
//!
//! Invariant: each rate that concerns a request is counted once, before anything is forwarded; the client is told of all that
//! were, whether the request may pass or not.
//!
//! draft-ietf-httpapi-ratelimit-headers-11; RFC 6585 section 4.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use serde::Serialize;

use super::{Denied, peer::Peer, record::Record, refusal::Refusal, route::Route};
use crate::{
    access::{
        policy::Permit,
        rates::{Exceeded, Left, Place, Rates},
    },
    model::{
        rate::{RequestRates, Whose},
        upstream::Upstream,
    },
    oauth::cause::Cause,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a client is told.
#[derive(Debug, Default)]
pub struct Told(Vec<Left>);

/// The rates of an upstream and its rules.
#[derive(Debug)]
pub struct RouteRates {
    stated: Vec<RequestRates>,
    whole: Option<Rates>,
    /// By the place of the rule; empty where no rule has one.
    rules: Vec<Option<Rates>>,
}

/// A rate as it is stated, for those who ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateFacts {
    /// Whose requests are counted together.
    pub whose: Whose,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u64,
    /// Whether it is one of the rule that matches, not of the upstream or the gateway.
    pub rule: bool,
}

/// The rates of one place as they are stated.
fn facts_of(stated: &RequestRates, rule: bool) -> impl Iterator<Item = RateFacts> {
    let facts = move |(whose, rate): (Whose, crate::model::rate::Rate)| RateFacts {
        whose,
        count: rate.count.get(),
        seconds: rate.per.as_secs(),
        rule,
    };
    stated.limited().map(facts)
}

/// Those of the gateway as a whole, as they are stated.
#[must_use]
pub fn everywhere(stated: &RequestRates) -> Vec<RateFacts> {
    facts_of(stated, false).collect()
}

impl RouteRates {
    /// Those of an upstream; `None` where it has none. What was counted before goes on where the same is stated.
    #[must_use]
    pub fn new(upstream: &Upstream, before: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let stated: Vec<RequestRates> =
            std::iter::once(upstream.rates).chain(upstream.rules.iter().map(|rule| rule.rates)).collect();
        if stated.iter().all(RequestRates::is_unlimited) {
            return None;
        }
        if let Some(before) = before.filter(|before| before.stated == stated) {
            return Some(Arc::clone(before));
        }
        let rules: Vec<_> = upstream.rules.iter().map(|rule| Rates::new(Place::Rule, &rule.rates)).collect();
        Some(Arc::new(Self {
            whole: Rates::new(Place::Upstream, &upstream.rates),
            rules: if rules.iter().any(Option::is_some) { rules } else { Vec::new() },
            stated,
        }))
    }

    /// Those that concern a request.
    fn of<'a>(&'a self, route: &Route, (method, path): (&Method, &str)) -> impl Iterator<Item = &'a Rates> {
        let rule = if self.rules.is_empty() { None } else { route.policy.rule_at(method, path) };
        let rule = rule.and_then(|at| self.rules.get(at)).and_then(Option::as_ref);
        // First what is narrower: what is refused there takes nothing from others.
        rule.into_iter().chain(&self.whole)
    }

    /// Those that concern a request under the rule at this place, as they are stated.
    #[must_use]
    pub fn facts(&self, rule: Option<usize>) -> Vec<RateFacts> {
        let stated = |at: usize, rule| self.stated.get(at).into_iter().flat_map(move |s| facts_of(s, rule));
        stated(0, false).chain(rule.into_iter().flat_map(|at| stated(at + 1, true))).collect()
    }

    /// Forgets who has been quiet.
    pub fn purge(&self) {
        for rates in self.whole.iter().chain(self.rules.iter().flatten()) {
            rates.purge();
        }
    }
}

/// Counts a request for its source, by the rates of the gateway.
pub(super) fn source(record: &Record) -> Result<(), Refusal> {
    let Some(rates) = &record.view.snapshot.quota.requests else { return Ok(()) };
    record.counted(|told| rates.source(record.source(), told))
}

/// Counts a request that is refused before anything is known of it but where it comes from. Returns what it is answered with.
///
/// What a trusted proxy sends is not counted: whom it speaks for was not read, and it is not made to pay for that.
pub(super) fn source_unread(record: &Record, peer: &Peer, refusal: Refusal) -> Refusal {
    if peer.may_speak(&record.view.snapshot) {
        return refusal;
    }
    match source(record) {
        Ok(()) => refusal,
        // What ends the connection still does: its next bytes may be no request.
        Err(too_many) if refusal.closes() => too_many.closing(),
        Err(too_many) => too_many,
    }
}

/// The same by those of a route.
pub(super) fn source_at(record: &Record, route: &Route) -> Result<(), Refusal> {
    let Some(rates) = &route.cluster.rates else { return Ok(()) };
    record.counted(|told| {
        rates.of(route, record.asked()).try_for_each(|rates| rates.source(record.source(), told))
    })
}

/// Counts a request that may pass for the service and the user of its token.
pub(super) fn identity(record: &Record, route: &Route, permit: &Permit) -> Result<(), Denied> {
    let (all, here) = (&record.view.snapshot.quota.requests, &route.cluster.rates);
    if all.is_none() && here.is_none() {
        return Ok(());
    }
    let Some(verdict) = permit.identity() else { return Ok(()) };
    let here = here.iter().flat_map(|rates| rates.of(route, record.asked()));
    let counted =
        record.counted(|told| here.chain(all).try_for_each(|rates| rates.identity(&verdict.claims, told)));
    counted.map_err(|refusal| (refusal, Some(Arc::clone(verdict))))
}

impl Record {
    /// Keeps what the client is told of its rates, and refuses what is too much.
    fn counted(&self, count: impl FnOnce(&mut Vec<Left>) -> Result<(), Exceeded>) -> Result<(), Refusal> {
        let mut told = self.told.take().unwrap_or_default();
        let counted = count(&mut told.0);
        if !told.0.is_empty() {
            self.told.set(Some(told));
        }
        counted.map_err(|Exceeded { whose, wait }| {
            let (description, cause) = match whose {
                Whose::Source => ("this source sends too many requests", Cause::RateSource),
                Whose::Service => ("this service sends too many requests", Cause::RateService),
                Whose::User => ("too many requests are sent on behalf of this user", Cause::RateUser),
            };
            Refusal::too_many(description, wait).because(cause)
        })
    }

    /// Tells the client what is left of its rates, beside what an upstream may tell of its own.
    pub(super) fn tell_rates(&self, headers: &mut HeaderMap) {
        for left in self.told.take().iter().flat_map(|told| &told.0) {
            headers.append(POLICY, left.policy.clone());
            headers.append(LIMIT, left.limit.clone());
        }
    }
}
