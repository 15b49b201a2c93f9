//! What a start with this configuration would change of the declared records, found out without changing anything.
//!
//! Invariant: the store is not made, not brought up to date and not written.

use std::sync::Arc;

use super::{
    StartError, people,
    shared::{self, store_error},
};
use crate::{
    base::{random::Random, time::Clock},
    config::{Config, StoreUrl},
    registry::Difference,
    store::{SharedStore, sqlite::SqliteStore},
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
    let StoreUrl::Sqlite(path) = &config.store;
    let failed = |error| store_error(config, error);
    let Some(store) = SqliteStore::open_to_read(path).await.map_err(failed)? else { return Ok(None) };
    let store: SharedStore = Arc::new(store);
    let services = shared::plan(config, store.list_services().await.map_err(failed)?, clock)?;
    let people = people::plan(config, &store, clock, random).await?;
    Ok(Some([services.differences(), people.differences()].concat()))
}
