//! What a gateway with this configuration and this store would decide on a request, without one that runs.
//!
//! Invariant: routes, keys, people and revocations are made as a start makes them, and nothing is written.

use http::HeaderValue;

use super::{StartError, sealing_key};
use crate::{
    access::{credentials::Credentials, directory::Directory, judge::Judge, revocations::Revocations},
    base::{random::Random, time::Timestamp},
    config::Config,
    crypto::keyring::Keyring,
    model::registry::Registry,
    proxy::{
        explain::{self, Asked, Explanation, Ground, Presented},
        route::Routes,
        upstream::Cluster,
    },
    store::{SharedStore, StoreError},
    web::endpoint,
};

/// Whether a canonical path is the gateway's own under this configuration.
#[must_use]
pub fn owns(config: &Config, path: &str) -> bool {
    endpoint::is_ours(&config.hub.path, path)
}

/// Whether a path of the gateway is split into segments before these are decoded.
#[must_use]
pub fn splits(config: &Config, path: &str) -> bool {
    endpoint::is_rest(&config.hub.path, path)
}

/// The routes of a configuration, to be asked and not to be used.
#[must_use]
pub fn routes(config: &Config, registry: &Registry) -> Routes {
    let upstreams = config.upstreams.iter().map(|upstream| (upstream.clone(), None)).collect();
    let upstreams = Cluster::all(upstreams, &[]);
    Routes::new(&upstreams, registry, &config.limits.bodies())
}

/// Explains what would become of a request with this `Authorization`.
///
/// # Errors
/// [`StartError`] when the store or its keys cannot be read.
pub async fn explain(
    config: &Config,
    store: &SharedStore,
    (asked, authorization): (&Asked, Option<&HeaderValue>),
    (now, random): (Timestamp, &dyn Random),
) -> Result<Explanation, StartError> {
    let failed = |error: StoreError| {
        let crate::config::StoreUrl::Sqlite(path) = &config.store;
        StartError::Store { path: path.display().to_string(), error }
    };
    let sealing = sealing_key(&config.data_dir, random)?;
    let keyring = Keyring::open(&store.list_keys().await.map_err(failed)?, &sealing)?;
    let issuer = config.public_url.join(&config.hub.path);
    let registry = Registry::new(store.list_services().await.map_err(failed)?, &issuer);
    let (revocations, people) = (Revocations::default(), Directory::default());
    revocations.enter(&store.list_revocations(now).await.map_err(failed)?);
    people.enter(0, store.people(0).await.map_err(failed)?, &revocations);
    let credentials = Credentials::default();
    credentials.enter(0, store.credentials(0).await.map_err(failed)?, &revocations);
    let judge = Judge {
        keyring: &keyring,
        registry: &registry,
        issuer: &issuer,
        revocations: &revocations,
        people: &people,
        credentials: &credentials,
        now,
    };
    let (owns, splits) = (|path: &str| owns(config, path), |path: &str| splits(config, path));
    let ground = Ground {
        routes: &routes(config, &registry),
        registry: &registry,
        owns: &owns,
        splits: &splits,
        rates: &config.limits.requests,
    };
    let presented = authorization.map_or(Presented::Nothing, |value| Presented::Sent(value, judge));
    Ok(explain::explain(asked, presented, ground))
}
