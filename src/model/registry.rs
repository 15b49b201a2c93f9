//! All services of one moment, to be looked up by id or by name.
//!
//! Invariant: the gateway's own service is always there; ids and names are unique.

use std::{collections::BTreeSet, hash::BuildHasher as _, sync::Arc};

use super::service::{Profile, Service, Trust};
use crate::base::{FastMap, id::ServiceId, time::Timestamp};

/// The name of the gateway's own service, which clients may use as a scope entry.
pub const HUB_NAME: &str = "Hub";

/// The services of one snapshot.
#[derive(Debug, Default)]
pub struct Registry {
    by_id: FastMap<ServiceId, Arc<Service>>,
    by_name: FastMap<String, Arc<Service>>,
    /// All of them in the order of their ids' hashes.
    by_hash: Vec<(u64, Arc<Service>)>,
    origins: BTreeSet<String>,
}

impl Registry {
    /// Collects `services`; `hub_url` is the home of the gateway's own, which is added when it is not among them.
    #[must_use]
    pub fn new(services: impl IntoIterator<Item = Service>, hub_url: &str) -> Self {
        let mut registry = Self::default();
        registry.add(hub_service(hub_url));
        for service in services {
            registry.add(service);
        }
        let hash = |id: &ServiceId| registry.by_id.hasher().hash_one(id.as_str());
        registry.by_hash =
            registry.by_id.iter().map(|(id, service)| (hash(id), Arc::clone(service))).collect();
        registry.by_hash.sort_by_key(|(hash, _)| *hash);
        registry
    }

    fn add(&mut self, service: Service) {
        self.origins.extend(service.origins());
        let service = Arc::new(service);
        self.by_name.insert(service.name.clone(), Arc::clone(&service));
        self.by_id.insert(service.id.clone(), service);
    }

    /// The service with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Arc<Service>> {
        self.by_id.get(id)
    }

    /// The service with this id, or another one in place of one that is not there. No id is compared on the way: whoever
    /// does that afterwards takes as long, and goes as far through memory, whether there is such a service or not.
    #[must_use]
    pub fn by_id_or_another(&self, id: &str) -> Option<&Arc<Service>> {
        let hash = self.by_id.hasher().hash_one(id);
        let at = self.by_hash.partition_point(|(known, _)| *known < hash);
        if self.by_hash.get(at + 1).is_some_and(|(next, _)| *next == hash) {
            // Two ids with one hash of 64 bits: not to be expected, but neither is to be shut out.
            return self.by_id.get(id);
        }
        self.by_hash.get(at).or_else(|| self.by_hash.first()).map(|(_, service)| service)
    }

    /// The service that a scope entry or a route names: by id, else by name.
    #[must_use]
    pub fn resolve(&self, id_or_name: &str) -> Option<&Arc<Service>> {
        self.by_id.get(id_or_name).or_else(|| self.by_name.get(id_or_name))
    }

    /// Whether a page of this origin belongs to a registered service.
    #[must_use]
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins.contains(origin)
    }

    /// All services, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_id.values()
    }

    /// How many services there are, the gateway's own included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Never: the gateway's own service is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// The gateway's own service (hub-contract section 10.1). It has no secret, so nobody can act as it.
fn hub_service(hub_url: &str) -> Service {
    Service {
        id: ServiceId::hub(),
        name: HUB_NAME.to_owned(),
        trust: Trust::default(),
        profile: Profile {
            key: Some("jetbrains-hub-service".to_owned()),
            home_url: Some(hub_url.to_owned()),
            application_name: Some(HUB_NAME.to_owned()),
            ..Profile::default()
        },
        secrets: Vec::new(),
        declared: true,
        created: Timestamp::default(),
        updated: Timestamp::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_id_and_by_name() {
        let service =
            Service { id: ServiceId::parse("yt").unwrap(), name: "YouTrack".into(), ..hub_service("u") };
        let registry = Registry::new([service], "https://a/hub");
        assert_eq!(registry.resolve("yt").unwrap().name, "YouTrack");
        assert_eq!(registry.resolve("YouTrack").unwrap().id.as_str(), "yt");
        assert_eq!(registry.resolve("0-0-0-0-0").unwrap().name, "Hub");
        assert!(registry.resolve("youtrack").is_none() && registry.by_id("YouTrack").is_none());
        assert_eq!(registry.len(), 2);
        assert_eq!(registry.by_id_or_another("yt").unwrap().id.as_str(), "yt");
        for nobody in ["", "YT", "nobody"] {
            assert_ne!(registry.by_id_or_another(nobody).unwrap().id.as_str(), nobody);
        }
        let many = (0..500).map(|n| Service {
            id: ServiceId::parse(&format!("s{n}")).unwrap(),
            name: format!("S {n}"),
            ..hub_service("u")
        });
        let registry = Registry::new(many, "https://a/hub");
        for n in 0..500 {
            assert_eq!(registry.by_id_or_another(&format!("s{n}")).unwrap().name, format!("S {n}"));
            assert!(registry.by_id_or_another(&format!("t{n}")).is_some());
        }
        assert!(Registry::default().by_id_or_another("s1").is_none());
        assert!(registry.has_origin("https://a") && !registry.has_origin("https://b"));
        assert!(!registry.has_origin("null") && !registry.has_origin(""));
    }
}
