//! All services of one moment, to be looked up by id or by name.
//!
//! Invariant: the gateway's own service is always there; ids and names are unique.

use std::{collections::BTreeSet, sync::Arc};

use super::service::{Profile, Service, Trust};
use crate::base::{FastMap, id::ServiceId, time::Timestamp};

/// The name of the gateway's own service, which clients may use as a scope entry.
pub const HUB_NAME: &str = "Hub";

/// The services of one snapshot.
#[derive(Debug, Default)]
pub struct Registry {
    by_id: FastMap<ServiceId, Arc<Service>>,
    by_name: FastMap<String, Arc<Service>>,
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
        assert!(registry.has_origin("https://a") && !registry.has_origin("https://b"));
        assert!(!registry.has_origin("null") && !registry.has_origin(""));
    }
}
