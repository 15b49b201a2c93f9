//! What the control plane keeps between requests: the configuration in force, the store, and the snapshot made of both.
//!
//! Invariant: a snapshot is made from one configuration and one reading of the store, and only one is made at a time.

use std::sync::{
    Arc, Mutex as StdMutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::Mutex;

use super::{
    StartError,
    changes::RefreshError,
    form_of_lines, letters, line_format,
    people::{self, People},
    restart,
    secured::{Known, secured},
};
use crate::{
    access::quota::Quota,
    base::{random::Random, time::Clock, url::PublicUrl},
    config::{Config, Limits, OAuthProfile, allowed_flows},
    crypto::{jws::MAX_TOKEN_LENGTH, keyring::Keyring, seal::SealingKey},
    mail::Mailer,
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target},
        key::{Algorithm, SigningKeyRecord},
        registry::Registry,
        service::Service,
        upstream::Upstream,
    },
    oauth::{grant::Lives, token::issue::Issuer},
    observe::line::Format,
    proxy::{
        gate::{Gate, Snapshot},
        refusal::Desk,
        route::Routes,
        upstream::Cluster,
    },
    registry::{
        declared::{self, Declaration, Plan},
        keys,
        services::ServiceError,
    },
    server::tls::CertificateError,
    store::{SharedStore, StoreError, Versions},
};

/// The most uses of credentials that one transaction writes.
const USES_AT_ONCE: usize = 500;

/// Why a new configuration is not taken up.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The store.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// See the module.
pub(super) struct Shared {
    /// What the workers use.
    pub(super) gate: Arc<Gate>,
    /// The store.
    pub(super) store: SharedStore,
    /// Signing in, and who has.
    pub(super) people: People,
    /// Where letters are posted.
    mailer: Arc<Mailer>,
    /// The key that seals signing keys.
    pub(super) sealing: SealingKey,
    pub(super) state: Mutex<State>,
    /// Looks at the store that were asked for.
    pub(super) asked: AtomicU64,
    /// Whether the keys in the store are those in use.
    pub(super) keys_open: AtomicBool,
    /// The configuration in force, for those who cannot wait for `state`.
    config: StdMutex<Arc<Config>>,
}

/// What the snapshot in force was made of.
pub(super) struct State {
    pub(super) inputs: Arc<Inputs>,
    /// What of the store was taken up.
    pub(super) versions: Versions,
    /// Up to which of the looks that were asked for there is an answer.
    pub(super) answered: u64,
    pub(super) keys: Vec<SigningKeyRecord>,
    pub(super) keyring: Arc<Keyring>,
}

/// What of a snapshot comes from the configuration alone.
pub(super) struct Inputs {
    config: Arc<Config>,
    /// What access tokens are signed with.
    pub(super) access_tokens: Algorithm,
    pub(super) upstreams: Vec<(Upstream, Arc<Cluster>)>,
    /// How TLS is spoken with those that speak it.
    tls: Vec<Known>,
    issuer: Issuer,
    pub(super) desk: Desk,
    quota: Arc<Quota>,
}

impl Inputs {
    /// `before`: of the configuration before, if there is one.
    fn new(config: Arc<Config>, before: Option<&Self>) -> Result<Self, CertificateError> {
        let (upstreams, tls) = secured(&config, before.map_or(&[], |before| before.tls.as_slice()))?;
        let known: Vec<Arc<Cluster>> = before
            .into_iter()
            .flat_map(|before| before.upstreams.iter().map(|(_, c)| Arc::clone(c)))
            .collect();
        let upstreams = Cluster::all(upstreams, &known);
        let hub_url = config.public_url.join(&config.hub.path);
        let quota = Quota::new(&config.limits.requests, config.limits.rejections_per_source);
        Ok(Self {
            access_tokens: config.oauth.signing_algorithm,
            issuer: Issuer::new(&hub_url, config.oauth.access_token_ttl)
                .at_most(longest_token(&config.limits)),
            desk: Desk { hub_url: Arc::from(hub_url), realm: Arc::from("hubgate") },
            quota: Arc::new(quota),
            upstreams,
            tls,
            config,
        })
    }

    /// What of the services in the store the configuration changes.
    fn plan(&self, known: Vec<Service>, clock: &dyn Clock) -> Result<Plan, ServiceError> {
        plan(&self.config, known, clock)
    }

    pub(super) fn snapshot(&self, registry: Registry, keyring: &Arc<Keyring>) -> Snapshot {
        let registry = Arc::new(registry);
        Snapshot {
            routes: Routes::new(&self.upstreams, &registry, &self.config.limits.bodies()),
            registry,
            keyring: Arc::clone(keyring),
            issuer: self.issuer.clone(),
            flows: allowed_flows(self.config.oauth.profile),
            strict: self.config.oauth.profile == OAuthProfile::OAuth21,
            lives: Lives {
                code: self.config.oauth.code_ttl,
                refresh_token: self.config.oauth.refresh_token_ttl,
                refresh_window: self.config.oauth.refresh_window,
            },
            consent_life: self.config.oauth.consent_ttl,
            secret_grace: self.config.oauth.secret_grace,
            origin: Arc::from(self.config.public_url.origin()),
            desk: self.desk.clone(),
            hub_path: Arc::from(self.config.hub.path.as_str()),
            trusted_proxies: self.config.listen.trusted_proxies.clone(),
            quota: Arc::clone(&self.quota),
            trace_context: self.config.log.trace_context,
            slow: self.config.log.slow.map(|after| (after, form_of_lines(&self.config.log))),
        }
    }
}

/// The longest access token that gets through, with the rest of a head beside it. Over HTTP/2 a head has 16 KiB at the most, as
/// a token has.
fn longest_token(limits: &Limits) -> usize {
    let head = limits.max_header_size.min(MAX_TOKEN_LENGTH);
    head - (head / 4).min(1024)
}

/// What of the services in the store a configuration changes.
pub(super) fn plan(config: &Config, known: Vec<Service>, clock: &dyn Clock) -> Result<Plan, ServiceError> {
    let declaration = |service: &crate::config::DeclaredService| Declaration {
        id: service.id.clone(),
        name: service.name.clone(),
        trust: service.trust.clone(),
        profile: service.profile.clone(),
        secret: service.secret.clone(),
        place: format!("{}:{}", config.file.display(), service.line),
    };
    let declarations: Vec<Declaration> = config.services.iter().map(declaration).collect();
    declared::plan(known, &declarations, config.oauth.secret_grace, clock.now())
}

pub(super) fn store_error(config: &Config, error: StoreError) -> StartError {
    let crate::config::StoreUrl::Sqlite(path) = &config.store;
    StartError::Store { path: path.display().to_string(), error }
}

impl Shared {
    /// Brings the store in step with the configuration and makes the first snapshot.
    pub(super) async fn build(
        config: Config,
        store: SharedStore,
        (people, mailer): (People, Arc<Mailer>),
        (sealing, coming): (SealingKey, Vec<keys::Coming>),
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    ) -> Result<Arc<Self>, StartError> {
        let inputs = Arc::new(Inputs::new(Arc::new(config), None)?);
        let config = Arc::clone(&inputs.config);
        let failed = |error| store_error(&config, error);
        let known = store.list_services().await.map_err(failed)?;
        let as_declared = store.acting(Author::configuration());
        inputs.plan(known, clock.as_ref())?.carry_out(as_declared.as_ref()).await?;
        let keys = keys::ensure(store.as_ref(), &sealing, coming, clock.as_ref(), random.as_ref()).await?;
        // Read before what they count: a change in between is seen at the next look.
        let mut versions = store.versions().await.map_err(failed)?;
        let keyring = Arc::new(Keyring::open_for(inputs.access_tokens, &keys, &sealing)?);
        let services = store.list_services().await.map_err(failed)?;
        warn_of_unknown_services(&inputs, &services);
        let registry = Registry::new(services, &inputs.desk.hub_url);
        let snapshot = inputs.snapshot(registry, &keyring);
        let revocations = store.list_revocations(clock.now()).await.map_err(failed)?;
        let gate = Gate::new(snapshot, config.limits.token_cache, clock, random);
        gate.revocations.enter(&revocations);
        let known = store.people(0).await.map_err(failed)?;
        versions.users = known.version;
        gate.people.enter(0, known, &gate.revocations);
        let known = store.credentials(0).await.map_err(failed)?;
        versions.credentials = known.version;
        gate.credentials.enter(0, known, &gate.revocations);
        let state = Mutex::new(State { inputs, versions, answered: 0, keys, keyring });
        Ok(Arc::new(Self {
            gate: Arc::new(gate),
            store,
            people,
            mailer,
            sealing,
            state,
            asked: AtomicU64::new(0),
            keys_open: AtomicBool::new(true),
            config: StdMutex::new(config),
        }))
    }

    /// Whether the keys in the store are those in use.
    pub(super) fn keys_are_open(&self) -> bool {
        self.keys_open.load(Ordering::Acquire)
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where clients find us.
    pub(super) fn public_url(&self) -> PublicUrl {
        self.config().public_url.clone()
    }

    /// The form of lines.
    pub(super) fn line_format(&self) -> Option<Format> {
        line_format(&self.config().log)
    }

    /// Takes a new configuration up. Returns the names of what has changed and needs a restart.
    pub(super) async fn reload(&self, config: Config) -> Result<Vec<&'static str>, ReloadError> {
        let mut state = self.state.lock().await;
        let left = restart::only_by_restart(&state.inputs.config, &config);
        let mut inputs = Inputs::new(Arc::new(config), Some(&state.inputs)).map_err(StartError::from)?;
        let (before, after) = (&state.inputs.config.limits, &inputs.config.limits);
        let rates = |l: &Limits| (l.requests, l.rejections_per_source);
        if rates(before) == rates(after) {
            // Who was shut out stays so.
            inputs.quota = Arc::clone(&state.inputs.quota);
        }
        let keyring = if inputs.access_tokens == state.inputs.access_tokens {
            Arc::clone(&state.keyring)
        } else {
            let opened = Keyring::open_for(inputs.access_tokens, &state.keys, &self.sealing);
            Arc::new(opened.map_err(StartError::from)?)
        };
        let known = self.store.list_services().await.map_err(|e| store_error(&inputs.config, e))?;
        let (clock, random) = (self.gate.clock.as_ref(), &self.gate.random);
        let plan = inputs.plan(known, clock).map_err(StartError::from)?;
        let mail = letters::prepare(&inputs.config)?;
        let people = people::plan(&inputs.config, &self.store, clock, random).await?;
        // From here on nothing but a write can fail.
        let as_declared = self.store.acting(Author::configuration());
        let carried_out = people.carry_out(as_declared.as_ref(), clock, random.as_ref()).await;
        carried_out.map_err(StartError::from)?;
        self.people.take_up(&inputs.config);
        self.mailer.take_up(mail);
        let services = plan.carry_out(as_declared.as_ref()).await.map_err(StartError::from)?;
        let changes = vec![FieldChange::new("needRestart", left.clone())];
        let event = NewEvent { kind: EventKind::ConfigurationReloaded, target: Target::gateway(), changes };
        if let Err(error) = as_declared.note(&[event]).await {
            tracing::error!(%error, "that the configuration was read again could not be recorded");
        }
        warn_of_unknown_services(&inputs, &services);
        let registry = Registry::new(services, &inputs.desk.hub_url);
        self.gate.replace(inputs.snapshot(registry, &keyring));
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&inputs.config);
        state.inputs = Arc::new(inputs);
        state.keyring = keyring;
        Ok(left)
    }

    /// Makes a new signing key when the configuration says that it is time.
    pub(super) async fn rotate_if_due(&self) -> Result<(), RefreshError> {
        let config = self.config();
        let Some(life) = config.oauth.key_rotation else { return Ok(()) };
        let (clock, random) = (self.gate.clock.as_ref(), self.gate.random.as_ref());
        let due: Vec<_> = keys::due(&self.state.lock().await.keys, life, clock.now()).collect();
        for algorithm in due {
            let key = keys::rotate(self.store.as_ref(), algorithm, &self.sealing, clock, random).await?;
            tracing::info!(key = %key.id, %algorithm, "a new signing key is in use");
            self.refresh().await?;
        }
        Ok(())
    }

    /// Writes which permanent tokens and application passwords were used. What cannot be written is lost: it is no more than
    /// a note.
    pub(super) async fn note_uses(&self) -> Result<(), StoreError> {
        // What is used again meanwhile waits for the next time.
        for _ in 0..=self.gate.credentials.len() / USES_AT_ONCE {
            self.store.note_uses(&self.gate.credentials.take_uses(USES_AT_ONCE)).await?;
        }
        Ok(())
    }

    /// Writes when services were last active, as far as that has changed. What cannot be written is tried again.
    pub(super) async fn note_service_uses(&self) -> Result<(), StoreError> {
        let changed = self.gate.verdicts.uses().unwritten();
        self.store.note_service_uses(&changed).await?;
        self.gate.verdicts.uses().written(&changed);
        Ok(())
    }

    /// Forgets what has expired.
    pub(super) async fn purge(&self) -> Result<(), StoreError> {
        let now = self.gate.clock.now();
        self.gate.verdicts.purge(now);
        self.gate.sessions.purge(now);
        self.gate.revocations.purge(now);
        let snapshot = self.gate.snapshot();
        snapshot.quota.purge();
        snapshot
            .routes
            .iter()
            .filter_map(|route| route.cluster.rates.as_ref())
            .for_each(|rates| rates.purge());
        self.store.purge_revocations(now).await?;
        self.store.purge_keys(now).await?;
        self.store.purge_sessions(self.people.sessions.life(), now).await?;
        self.store.purge_grants(self.config().oauth.refresh_window, now).await?;
        self.store.purge_consents(now).await?;
        self.store.purge_links(now).await?;
        Ok(())
    }
}

fn warn_of_unknown_services(inputs: &Inputs, services: &[Service]) {
    for upstream in &inputs.config.upstreams {
        let name = &upstream.service;
        let hub =
            [crate::base::id::ServiceId::HUB, crate::model::registry::HUB_NAME].contains(&name.as_str());
        if !hub && !services.iter().any(|service| service.id.as_str() == name || service.name == *name) {
            tracing::warn!(service = %name, path = %upstream.path, "the upstream's service is not registered; its requests are refused until it is");
        }
    }
}
