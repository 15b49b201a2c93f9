//! When services were last active, in memory until it is written: the control plane collects what has changed.
//!
//! A request that passes costs one relaxed load: its verdict knows where its client's moment is kept, and writes there when
//! that is a minute old. Of resources nothing is noted by requests at all: the workers' counts of decisions tell, when they
//! are handed over.
//!
//! Invariant: a note is never ahead of what happened, and less than [`GRAIN`] behind it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;

use crate::{
    base::{id::ServiceId, time::Timestamp},
    model::usage::{LastUse, Links, ServiceUse},
};

/// How exact a last use is.
pub const GRAIN: Duration = Duration::from_secs(60);

const GRAIN_MILLIS: i64 = 60_000;

/// Not yet.
const NEVER: i64 = i64::MIN;

/// One moment, and how much of it is written.
#[derive(Debug)]
struct Moment {
    last: AtomicI64,
    written: AtomicI64,
}

impl Default for Moment {
    fn default() -> Self {
        Self { last: AtomicI64::new(NEVER), written: AtomicI64::new(NEVER) }
    }
}

impl Moment {
    fn note(&self, now: Timestamp) {
        // Two that write at once are of the same minute.
        if now.millis().saturating_sub(self.last.load(Ordering::Relaxed)) >= GRAIN_MILLIS {
            self.last.store(now.millis(), Ordering::Relaxed);
        }
    }

    fn seen(&self) -> Option<Timestamp> {
        Some(self.last.load(Ordering::Relaxed)).filter(|at| *at != NEVER).map(Timestamp::from_millis)
    }

    fn unwritten(&self) -> Option<Timestamp> {
        self.seen().filter(|at| at.millis() > self.written.load(Ordering::Relaxed))
    }

    fn written(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.written.store(at.millis(), Ordering::Relaxed);
        }
    }
}

/// What is noted of one service.
#[derive(Debug, Default)]
pub struct Activity {
    client: Moment,
    resource: Moment,
    /// For which services it has obtained tokens. Touched when a token is made, never when one is used.
    asked_for: Mutex<BTreeMap<ServiceId, Moment>>,
}

impl Activity {
    /// A token of it was accepted.
    pub fn accepted(&self, now: Timestamp) {
        self.client.note(now);
    }

    fn seen(&self) -> LastUse {
        LastUse { as_client: self.client.seen(), as_resource: self.resource.seen() }
    }

    fn unwritten(&self, service: &ServiceId) -> Option<ServiceUse> {
        let last = LastUse { as_client: self.client.unwritten(), as_resource: self.resource.unwritten() };
        let asked_for = self.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_for: Vec<(ServiceId, Timestamp)> =
            asked_for.iter().filter_map(|(id, moment)| Some((id.clone(), moment.unwritten()?))).collect();
        let something = last != LastUse::default() || !asked_for.is_empty();
        something.then(|| ServiceUse { service: service.clone(), last, asked_for })
    }
}

/// What is noted of all services: one entry for each that was active since the start.
#[derive(Debug, Default)]
pub struct Uses {
    known: DashMap<ServiceId, Arc<Activity>>,
}

impl Uses {
    /// Where the activity of this service is noted.
    #[must_use]
    pub fn of(&self, service: &ServiceId) -> Arc<Activity> {
        if let Some(known) = self.known.get(service) {
            return Arc::clone(&known);
        }
        Arc::clone(&self.known.entry(service.clone()).or_default())
    }

    /// `client` has obtained a token for these services.
    pub fn issued(&self, client: &ServiceId, services: &[ServiceId], now: Timestamp) {
        let activity = self.of(client);
        activity.client.note(now);
        let others = || services.iter().filter(|service| *service != client);
        if others().next().is_none() {
            return;
        }
        let mut asked_for = activity.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        for service in others() {
            if let Some(known) = asked_for.get(service) {
                known.note(now);
            } else {
                let moment = Moment::default();
                moment.note(now);
                asked_for.insert(service.clone(), moment);
            }
        }
    }

    /// Requests to the upstream of this service were let through.
    pub fn passed(&self, service: &ServiceId, now: Timestamp) {
        self.of(service).resource.note(now);
    }

    /// What is known of this service since the start.
    #[must_use]
    pub fn seen(&self, service: &ServiceId) -> LastUse {
        self.known.get(service).map(|activity| activity.seen()).unwrap_or_default()
    }

    /// With which others a service has to do, as far as is known since the start.
    #[must_use]
    pub fn links(&self, service: &ServiceId) -> Links {
        let mut links = Links::default();
        for entry in &self.known {
            let asked_for = entry.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
            if entry.key() == service {
                let all = asked_for.iter().filter_map(|(id, moment)| Some((id.clone(), moment.seen()?)));
                links.asks_for.extend(all);
            } else if let Some(at) = asked_for.get(service).and_then(Moment::seen) {
                links.asked_by.push((entry.key().clone(), at));
            }
        }
        links
    }

    /// What is not written yet.
    #[must_use]
    pub fn unwritten(&self) -> Vec<ServiceUse> {
        self.known.iter().filter_map(|entry| entry.value().unwritten(entry.key())).collect()
    }

    /// These are written. What has happened meanwhile is still to be.
    pub fn written(&self, uses: &[ServiceUse]) {
        for written in uses {
            let Some(activity) = self.known.get(&written.service) else { continue };
            activity.client.written(written.last.as_client);
            activity.resource.written(written.last.as_resource);
            let asked_for = activity.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
            for (service, at) in &written.asked_for {
                if let Some(moment) = asked_for.get(service) {
                    moment.written(Some(*at));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ServiceId {
        ServiceId::parse(text).unwrap()
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_last_use_is_known_to_the_minute_and_written_once() {
        let uses = Uses::default();
        assert_eq!((uses.seen(&id("app")), uses.unwritten()), (LastUse::default(), vec![]));
        let activity = uses.of(&id("app"));
        assert!(Arc::ptr_eq(&activity, &uses.of(&id("app"))));
        assert_eq!(uses.unwritten(), vec![], "to be known is no use");
        for (now, noted) in [(1000, 1000), (1059, 1000), (1060, 1060), (1061, 1060), (900, 1060)] {
            activity.accepted(at(now));
            assert_eq!(uses.seen(&id("app")).as_client, Some(at(noted)), "{now}");
        }
        let changed = uses.unwritten();
        let last = LastUse { as_client: Some(at(1060)), as_resource: None };
        assert_eq!(changed, vec![ServiceUse { service: id("app"), last, asked_for: vec![] }]);
        activity.accepted(at(2000));
        uses.written(&changed);
        // What came while it was written is not lost.
        assert_eq!(uses.unwritten().first().unwrap().last.as_client, Some(at(2000)));
        uses.written(&uses.unwritten());
        assert_eq!(uses.unwritten(), vec![]);
        assert_eq!(uses.seen(&id("app")).latest(), Some(at(2000)));
    }

    #[test]
    fn who_asks_for_whom_is_noted_when_tokens_are_made() {
        let uses = Uses::default();
        uses.issued(&id("app"), &[id("app"), id("yt"), id("hub")], at(1000));
        uses.issued(&id("app"), &[id("yt")], at(1100));
        uses.passed(&id("yt"), at(1100));
        let mut changed = uses.unwritten();
        changed.sort_by(|a, b| a.service.cmp(&b.service));
        let [app, yt] = changed.as_slice() else { panic!("{changed:?}") };
        assert_eq!(app.asked_for, [(id("hub"), at(1000)), (id("yt"), at(1100))]);
        assert_eq!(app.last, LastUse { as_client: Some(at(1100)), as_resource: None });
        assert_eq!(yt.last, LastUse { as_client: None, as_resource: Some(at(1100)) });
        uses.written(&changed);
        assert_eq!(uses.unwritten(), vec![]);
        assert_eq!(uses.links(&id("yt")).asked_by, [(id("app"), at(1100))]);
        assert_eq!(uses.links(&id("app")).asks_for, [(id("hub"), at(1000)), (id("yt"), at(1100))]);
        assert_eq!(uses.links(&id("nobody")), Links::default());
        uses.issued(&id("app"), &[id("yt")], at(1200));
        assert_eq!(uses.unwritten().first().unwrap().asked_for, [(id("yt"), at(1200))]);
    }
}
