//! What a gateway with this configuration and this store would decide on a request, without one that runs.
//!
//! Invariant: routes, keys, people and revocations are made as a start makes them, and nothing is written or made: not the
//! store, not the data folder, not the key file.

use http::HeaderValue;

use super::{
    StartError,
    data::existing_sealing_key,
    difference::{Registered, services},
    shared::store_error,
};
use crate::{
    access::{credentials::Credentials, directory::Directory, judge::Judge, revocations::Revocations},
    base::{random::Random, time::Timestamp},
    config::Config,
    crypto::{
        jws::JwsError,
        keyring::{self, Keyring},
        seal::{NotOurs, SEALING_KEY_LENGTH, SealingKey},
    },
    model::{key::Algorithm, registry::Registry},
    proxy::{
        explain::{self, Asked, Explanation, Ground, Presented},
        route::Routes,
        upstream::Cluster,
    },
    registry::keys::KeyError,
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

/// What requests and tokens are judged by.
pub struct Known {
    keyring: Keyring,
    registry: Registry,
    issuer: String,
    revocations: Revocations,
    people: Directory,
    credentials: Credentials,
}

impl Known {
    /// Reads it from the store. Where there is none, it is what a first start would begin with: the declared services, nobody, and a
    /// key that no token is of.
    ///
    /// # Errors
    /// [`StartError`] when the store or its keys cannot be read.
    pub async fn read(
        config: &Config,
        store: Option<&SharedStore>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, StartError> {
        let failed = |error: StoreError| store_error(config, error);
        let (revocations, people) = (Revocations::default(), Directory::default());
        let credentials = Credentials::default();
        let (mut keys, mut stored) = (Vec::new(), None);
        if let Some(store) = store {
            keys = store.list_keys().await.map_err(failed)?;
            stored = Some(Registered::read(store).await.map_err(failed)?);
            revocations.enter(&store.list_revocations(now).await.map_err(failed)?);
            people.enter(0, store.people(0).await.map_err(failed)?, &revocations);
            credentials.enter(0, store.credentials(0).await.map_err(failed)?, &revocations);
        }
        let keyring = if keys.is_empty() {
            unused_keyring(now, random)?
        } else {
            Keyring::open(&keys, &existing_sealing_key(&config.data_dir)?)?
        };
        let issuer = config.public_url.join(&config.hub.path);
        let registry = Registry::new(services(config, stored.map(|stored| stored.services)), &issuer);
        Ok(Self { keyring, registry, issuer, revocations, people, credentials })
    }

    /// The services.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The same, to judge by at a moment.
    #[must_use]
    pub fn judge(&self, now: Timestamp) -> Judge<'_> {
        Judge {
            keyring: &self.keyring,
            registry: &self.registry,
            issuer: &self.issuer,
            revocations: &self.revocations,
            people: &self.people,
            credentials: &self.credentials,
            now,
        }
    }
}

/// A key as a first start makes one, which nobody keeps: a ring has to have one.
fn unused_keyring(now: Timestamp, random: &dyn Random) -> Result<Keyring, StartError> {
    let sealing = SealingKey::new(&random.bytes::<SEALING_KEY_LENGTH>());
    let sealing = sealing.map_err(|NotOurs| KeyError::Crypto(JwsError::Malformed))?;
    let key = keyring::generate(Algorithm::default(), &sealing, now, random).map_err(KeyError::Crypto)?;
    Ok(Keyring::open(&[key], &sealing)?)
}

/// Explains what would become of a request with this `Authorization`.
#[must_use]
pub fn explain(
    config: &Config,
    known: &Known,
    (asked, authorization): (&Asked, Option<&HeaderValue>),
    now: Timestamp,
) -> Explanation {
    let (owns, splits) = (|path: &str| owns(config, path), |path: &str| splits(config, path));
    let ground = Ground {
        routes: &routes(config, &known.registry),
        registry: &known.registry,
        owns: &owns,
        splits: &splits,
        rates: &config.limits.requests,
    };
    let presented =
        authorization.map_or(Presented::Nothing, |value| Presented::Sent(value, known.judge(now)));
    explain::explain(asked, presented, ground)
}
