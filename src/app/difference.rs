//! What a start with this configuration would change of the declared records, and what is registered beside them, found out
//! without changing anything.
//!
//! Invariant: the store is not made, not brought up to date and not written.

use std::sync::Arc;

use super::{
    StartError, open_store_to_read, people,
    shared::{self, store_error},
};
use crate::{
    base::{
        id::ServiceId,
        random::Random,
        time::{Clock, Timestamp},
    },
    config::Config,
    model::{
        registry::HUB_NAME,
        service::{Profile, Service, Trust},
        user::Group,
    },
    registry::Difference,
    store::{SharedStore, StoreError},
};

/// In what the store is not in step with the file; `None` when there is no store yet.
///
/// # Errors
/// [`StartError`], that the store cannot be read among them.
pub async fn differences(
    config: &Config,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> Result<Option<Vec<Difference>>, StartError> {
    let failed = |error| store_error(config, error);
    let Some(store) = open_store_to_read(config).await? else { return Ok(None) };
    let services = shared::plan(config, store.list_services().await.map_err(failed)?, clock)?;
    let people = people::plan(config, &store, clock, random).await?;
    Ok(Some([services.differences(), people.differences()].concat()))
}

/// What a store has beside what a file declares.
#[derive(Debug, Default)]
pub struct Registered {
    /// The services.
    pub services: Vec<Service>,
    /// The groups.
    pub groups: Vec<Group>,
}

impl Registered {
    pub(super) async fn read(store: &SharedStore) -> Result<Self, StoreError> {
        Ok(Self { services: store.list_services().await?, groups: store.list_groups().await? })
    }
}

/// What the store has; `None` when there is no store yet.
///
/// # Errors
/// [`StartError`] when the store cannot be read.
pub async fn registered(config: &Config) -> Result<Option<Registered>, StartError> {
    let Some(store) = open_store_to_read(config).await? else { return Ok(None) };
    Registered::read(&store).await.map(Some).map_err(|error| store_error(config, error))
}

/// The services by whose ids and names a request is judged once the file is in force: those that it declares, and those that the
/// store has besides. `stored` is `None` when there is no store to be asked. Then a service that an upstream names
/// counts as registered: it may be so where the file will be used.
#[must_use]
pub fn services(config: &Config, stored: Option<Vec<Service>>) -> Vec<Service> {
    let service = |id: ServiceId, name: &str| Service {
        id,
        name: name.to_owned(),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: Vec::new(),
        declared: true,
        created: Timestamp::default(),
        updated: Timestamp::default(),
    };
    let mut services: Vec<Service> = config.services.iter().map(|s| service(s.id.clone(), &s.name)).collect();
    if let Some(stored) = stored {
        let others = stored.into_iter().filter(|other| config.services.iter().all(|s| s.id != other.id));
        services.extend(others);
        return services;
    }
    let is_known = |services: &[Service], name: &str| {
        let hub = [ServiceId::HUB, HUB_NAME].contains(&name);
        hub || services.iter().any(|s| s.id.as_str() == name || s.name == name)
    };
    for upstream in &config.upstreams {
        if !is_known(&services, &upstream.service) {
            let id = ServiceId::parse(&upstream.service).unwrap_or_else(|_| ServiceId::hub());
            services.push(service(id, &upstream.service));
        }
    }
    services
}
