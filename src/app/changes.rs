//! Taking up what was written to the store, by this process or another one.
//!
//! Invariant: a look that began after a write was committed leaves the gate judging by it. What cannot be taken up keeps
//! nothing else from being taken up, and is tried again.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;

use super::shared::{Shared, State};
use crate::{
    crypto::keyring::{Keyring, KeyringError},
    model::registry::Registry,
    registry::keys::KeyError,
    store::StoreError,
    web::news::{News, NotInForce},
};

/// Why a change in the store is not taken up. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefreshError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys that do not open.
    #[error("the changed keys cannot be used, those before stay in use: {0}")]
    Keyring(#[from] KeyringError),
    /// No new key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Shared {
    /// Looks whether the store has changed, and takes the change up.
    pub(super) async fn refresh(&self) -> Result<(), RefreshError> {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut state = self.state.lock().await;
        if state.answered >= ticket {
            // While this call waited its turn, another look began after it and is over.
            return Ok(());
        }
        self.gate.settle();
        let asked = self.asked.load(Ordering::Acquire);
        self.look(&mut state).await?;
        state.answered = asked;
        Ok(())
    }

    async fn look(&self, state: &mut State) -> Result<(), RefreshError> {
        // Read before what they count: a change in between is seen at the next look.
        let versions = self.store.versions().await?;
        // What takes rights away comes first.
        if versions.revocations != state.versions.revocations {
            self.gate.revocations.enter(&self.store.list_revocations(self.gate.clock.now()).await?);
            state.versions.revocations = versions.revocations;
        }
        if versions.users != state.versions.users {
            let people = self.store.people(state.versions.users).await?;
            let version = people.version;
            self.gate.people.enter(state.versions.users, people, &self.gate.revocations);
            state.versions.users = version;
        }
        if versions.credentials != state.versions.credentials {
            let known = self.store.credentials(state.versions.credentials).await?;
            let version = known.version;
            self.gate.credentials.enter(state.versions.credentials, known, &self.gate.revocations);
            state.versions.credentials = version;
        }
        let keys_changed = versions.keys != state.versions.keys;
        let keys = if keys_changed { self.take_up_keys(state).await } else { Ok(()) };
        if keys.is_ok() {
            state.versions.keys = versions.keys;
        }
        if versions.services != state.versions.services || keys_changed && keys.is_ok() {
            let registry = Registry::new(self.store.list_services().await?, &state.inputs.desk.hub_url);
            self.gate.replace(state.inputs.snapshot(registry, &state.keyring));
            state.versions.services = versions.services;
        }
        keys
    }

    /// Changed keys that do not open leave those before in use.
    async fn take_up_keys(&self, state: &mut State) -> Result<(), RefreshError> {
        let keys = self.store.list_keys().await?;
        let opened = Keyring::open_for(state.inputs.access_tokens, &keys, &self.sealing);
        self.keys_open.store(opened.is_ok(), Ordering::Release);
        state.keyring = Arc::new(opened?);
        state.keys = keys;
        Ok(())
    }
}

#[async_trait]
impl News for Shared {
    async fn taken_up(&self) -> Result<(), NotInForce> {
        self.refresh().await.map_err(|error| NotInForce(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path, time::Duration};

    use super::*;
    use crate::{
        app::{data::sealing_key, open_store, people::People},
        base::{
            id::{ServiceId, TokenId},
            random::{Random, SystemRandom},
            time::{Clock, SystemClock},
        },
        config::{self, Config, Environment},
        crypto::seal::SealingKey,
        model::{
            key::Algorithm,
            revocation::{Revocation, RevocationTarget},
            service::{Profile, Trust},
        },
        registry::{keys, services},
        store::SharedStore,
    };

    fn configured(folder: &Path, text: &str) -> Config {
        let file = folder.join("gateway.toml");
        std::fs::write(&file, format!("public_url = \"https://gate.example\"\n{text}")).unwrap();
        config::load(&file, &Environment::empty()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A gateway's control plane, and the store as another process opens it.
    async fn started(folder: &Path, text: &str) -> (Arc<Shared>, SharedStore) {
        let config = configured(folder, text);
        std::fs::create_dir_all(&config.data_dir).unwrap();
        let sealing = sealing_key(&config.data_dir, &SystemRandom).unwrap();
        let (store, other) = (open_store(&config).await.unwrap(), open_store(&config).await.unwrap());
        let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::new(SystemClock), Arc::new(SystemRandom));
        let people = People::new(&config, &store, (&clock, &random), Arc::default()).unwrap();
        let (mailer, _) = crate::mail::Mailer::new(Arc::default());
        let shared = Shared::build(config, store, (people, mailer), (sealing, Vec::new()), (clock, random));
        (shared.await.unwrap(), other)
    }

    fn revocation() -> Revocation {
        Revocation::at(SystemClock.now(), RevocationTarget::Token(TokenId::random(&SystemRandom)))
    }

    async fn register(store: &SharedStore, name: &str) -> ServiceId {
        let (trust, profile) = (Trust::default(), Profile::default());
        let new = services::NewService { id: None, name: name.to_owned(), trust, profile, secret: None };
        services::register(store.as_ref(), new, &SystemClock, &SystemRandom).await.unwrap().0.id
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_has_written_and_waited_is_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, other) = started(folder.path(), "").await;
        let tasks = (0..50).map(|number| {
            let (shared, other) = (Arc::clone(&shared), Arc::clone(&other));
            tokio::spawn(async move {
                let store = if number % 2 == 0 { &shared.store } else { &other };
                if number % 5 == 0 {
                    let id = register(store, &format!("service {number}")).await;
                    shared.taken_up().await.unwrap();
                    assert!(shared.gate.snapshot().registry.by_id(id.as_str()).is_some(), "{number}");
                } else {
                    let before = shared.gate.revocations.epoch();
                    let revocation = revocation();
                    store.revoke(&revocation).await.unwrap();
                    shared.taken_up().await.unwrap();
                    assert!(shared.gate.revocations.names(&revocation.target), "{number}");
                    assert!(shared.gate.revocations.epoch() > before, "{number}");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(shared.gate.revocations.len(), 40);
    }

    #[tokio::test]
    async fn without_news_nothing_moves() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, _) = started(folder.path(), "").await;
        let state = || (shared.gate.generation(), shared.gate.revocations.epoch());
        let before = state();
        for _ in 0..100 {
            shared.taken_up().await.unwrap();
        }
        assert_eq!(state(), before);
    }

    #[tokio::test]
    async fn a_change_of_the_snapshot_settles_once_and_not_at_once() {
        /// How long requests may still be judged by the snapshot before.
        const JUDGING: Duration = Duration::from_millis(100);
        let folder = tempfile::tempdir().unwrap();
        let (shared, _) = started(folder.path(), "").await;
        // On a busy machine the second look may come after that time already: then with another change.
        for n in 0..100 {
            register(&shared.store, &format!("New {n}")).await;
            let began = std::time::Instant::now();
            shared.taken_up().await.unwrap();
            let epoch = shared.gate.revocations.epoch();
            shared.taken_up().await.unwrap();
            let at_once = shared.gate.revocations.epoch();
            if began.elapsed() >= JUDGING {
                continue;
            }
            assert_eq!(at_once, epoch, "requests may still be judged by the snapshot before");
            std::thread::sleep(JUDGING);
            shared.taken_up().await.unwrap();
            assert_eq!(shared.gate.revocations.epoch(), epoch + 1);
            shared.taken_up().await.unwrap();
            assert_eq!(shared.gate.revocations.epoch(), epoch + 1);
            return;
        }
        panic!("two looks never follow each other within {JUDGING:?}");
    }

    #[tokio::test]
    async fn keys_that_do_not_open_keep_nothing_else_from_being_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, other) = started(folder.path(), "").await;
        let signing = shared.gate.snapshot().keyring.signing().id().clone();
        let (stranger, es256) = (SealingKey::new(&[9; 32]).unwrap(), Algorithm::Es256);
        keys::rotate(other.as_ref(), es256, &stranger, &SystemClock, &SystemRandom).await.unwrap();
        let revocation = revocation();
        other.revoke(&revocation).await.unwrap();
        let service = register(&other, "New").await;
        for _ in 0..2 {
            assert!(shared.taken_up().await.unwrap_err().to_string().contains("does not open"));
            assert!(shared.gate.revocations.names(&revocation.target));
            assert!(shared.gate.snapshot().registry.by_id(service.as_str()).is_some());
            assert_eq!(shared.gate.snapshot().keyring.signing().id(), &signing);
            assert!(!shared.keys_are_open());
        }
        let generation = shared.gate.generation();
        shared.taken_up().await.unwrap_err();
        assert_eq!(shared.gate.generation(), generation, "trying again must not cost every verdict a look");
        // A good key again.
        keys::rotate(other.as_ref(), es256, &shared.sealing, &SystemClock, &SystemRandom).await.unwrap();
        let known = other.list_keys().await.unwrap();
        let bad = known.iter().filter(|key| shared.sealing.open(key.id.as_str(), &key.sealed).is_err());
        for key in bad {
            let pkcs8 = stranger.open(key.id.as_str(), &key.sealed).unwrap();
            let sealed = shared.sealing.seal(key.id.as_str(), &pkcs8, &SystemRandom).unwrap();
            other.reseal_key(&key.id, &sealed).await.unwrap();
        }
        shared.taken_up().await.unwrap();
        assert!(shared.keys_are_open());
        assert_ne!(shared.gate.snapshot().keyring.signing().id(), &signing);
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_kept_changes_nothing() {
        const SERVICE: &str = "\n[[service]]\nid = \"a\"\nname = \"A\"\nsecret = \"a-secret-0123456789\"\n";
        let folder = tempfile::tempdir().unwrap();
        let (shared, other) = started(folder.path(), SERVICE).await;
        register(&other, "Taken").await;
        let names = async || {
            let services = other.list_services().await.unwrap();
            services.into_iter().map(|service| service.name).collect::<BTreeSet<_>>()
        };
        let (before, generation) = (names().await, shared.gate.generation());
        // The first two could be kept; the third has another's name.
        let more = SERVICE.replace('A', "New name")
            + &SERVICE.replace("\"a\"", "\"b\"").replace("\"A\"", "\"B\"")
            + &SERVICE.replace("\"a\"", "\"c\"").replace("\"A\"", "\"tAkEn\"");
        let refused = shared.reload(configured(folder.path(), &more)).await.unwrap_err();
        assert!(refused.to_string().contains("the name \"tAkEn\" is taken by the service"), "{refused}");
        assert_eq!((names().await, shared.gate.generation()), (before, generation));
        let good = SERVICE.replace("\"A\"", "\"Renamed\"")
            + &SERVICE.replace("\"a\"", "\"b\"").replace("\"A\"", "\"B\"");
        shared.reload(configured(folder.path(), &good)).await.unwrap();
        let registry = Arc::clone(&shared.gate.snapshot().registry);
        assert_eq!(
            ["Renamed", "B", "Taken", "A"].map(|name| registry.resolve(name).is_some()),
            [true, true, true, false]
        );
        assert_eq!(names().await, ["Renamed", "B", "Taken"].map(str::to_owned).into());
    }
}
