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
    base::{random::Random, time::Clock},
    config::Config,
    model::service::Service,
    registry::Difference,
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

/// The services of the store; `None` when there is no store yet.
///
/// # Errors
/// [`StartError`] when the store cannot be read.
pub async fn registered(config: &Config) -> Result<Option<Vec<Service>>, StartError> {
    let Some(store) = open_store_to_read(config).await? else { return Ok(None) };
    store.list_services().await.map(Some).map_err(|error| store_error(config, error))
}
