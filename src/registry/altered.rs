//! Services are changed as they are at the moment that it is written.
//!
//! Invariant: no two who change parts of a service undo one another's change: a secret that was replaced and a right that was
//! taken away stay so.

use super::services::{Change, ServiceError};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    model::service::Service,
    store::{ServiceStore, StoreError},
};

/// How often a change is made anew because somebody else was quicker.
pub(super) const ATTEMPTS: usize = 100;

/// Alters the service as it is at the moment that it is written, so that no two who change it undo one another's change.
pub(super) async fn altered(
    store: &dyn ServiceStore,
    id: &ServiceId,
    alter: impl Fn(&mut Service) -> Result<(), ServiceError>,
) -> Result<Service, ServiceError> {
    for _ in 0..ATTEMPTS {
        let before = store.find_service(id).await?.ok_or(StoreError::NotFound { what: "service" })?;
        let mut service = before.clone();
        alter(&mut service)?;
        if store.replace_service(&before, &service).await? {
            return Ok(service);
        }
    }
    Err(StoreError::Unavailable(format!("the service {id} is changed by too many at once")).into())
}

/// The service with the change, unless the file declares it.
pub(super) fn changed(mut service: Service, change: Change, now: Timestamp) -> Result<Service, ServiceError> {
    if service.declared {
        return Err(ServiceError::Declared(service.id));
    }
    change.carry_out(&mut service)?;
    service.updated = now;
    Ok(service)
}
