//! Secrets of services: made, or chosen by somebody; the one before stays accepted for a while.
//!
//! Invariant: a secret that is made is returned once, by the verb that makes it; what is kept is its digest.

use std::time::Duration;

use super::{altered::altered, services::ServiceError};
use crate::{
    base::{
        id::ServiceId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::digest::SecretDigest,
    model::service::Service,
    store::{ServiceStore, StoreError},
};

/// A secret that somebody chooses is long enough not to be guessed, and can be sent.
pub(super) fn check(secret: &Secret) -> Result<(), ServiceError> {
    let text = secret.expose();
    let good = (12..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good {
        return Ok(());
    }
    let why = "has 12 to 200 characters of ASCII without blanks".to_owned();
    Err(ServiceError::Field { field: "secret", why })
}

/// Gives a service a new secret; the one before stays accepted for `grace`.
///
/// # Errors
/// [`ServiceError`]
pub async fn rotate(
    store: &dyn ServiceStore,
    id: &ServiceId,
    grace: Duration,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Secret, ServiceError> {
    let secret = Secret::random(random);
    replace(store, id, &secret, grace, clock).await?;
    Ok(secret)
}

/// Gives a service a secret that somebody has chosen; the one before stays accepted for `grace`.
///
/// # Errors
/// [`ServiceError`]
pub async fn set(
    store: &dyn ServiceStore,
    id: &ServiceId,
    secret: &Secret,
    grace: Duration,
    clock: &dyn Clock,
) -> Result<(), ServiceError> {
    check(secret)?;
    replace(store, id, secret, grace, clock).await
}

/// The longest that a secret which was replaced can be asked to stay accepted: clients that have not followed by then are
/// broken, and whoever has copied it has it for as long.
pub const LONGEST_GRACE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Ends the grace of secrets that were replaced: from now on the current one alone is accepted. Returns whether there was
/// such a secret.
///
/// # Errors
/// [`ServiceError`]
pub async fn end_grace(
    store: &dyn ServiceStore,
    id: &ServiceId,
    clock: &dyn Clock,
) -> Result<bool, ServiceError> {
    let before = store.find_service(id).await?.ok_or(StoreError::NotFound { what: "service" })?;
    if !before.secrets.iter().any(|secret| secret.expires.is_some() && secret.is_live(clock.now())) {
        return Ok(false);
    }
    altered(store, id, |service| {
        service.secrets.retain(|secret| secret.expires.is_none());
        service.updated = clock.now();
        Ok(())
    })
    .await?;
    Ok(true)
}

/// When a service's secret was set, and until when the one before is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretState {
    /// When the current secret was set.
    pub set: Timestamp,
    /// Until when the one before is still accepted.
    pub grace: Option<Timestamp>,
}

/// How it stands with the secret of a service; `None` where it has none.
#[must_use]
pub fn state(service: &Service, now: Timestamp) -> Option<SecretState> {
    let current = service.secrets.iter().find(|secret| secret.expires.is_none())?;
    let live = service.secrets.iter().filter(|secret| secret.is_live(now));
    Some(SecretState { set: current.created, grace: live.filter_map(|secret| secret.expires).max() })
}

async fn replace(
    store: &dyn ServiceStore,
    id: &ServiceId,
    secret: &Secret,
    grace: Duration,
    clock: &dyn Clock,
) -> Result<(), ServiceError> {
    let digest = SecretDigest::of(secret.expose());
    let alter = |service: &mut Service| {
        if service.trust.public {
            return Err(ServiceError::Public(id.clone()));
        }
        service.rotate_secret(digest, clock.now(), grace);
        Ok(())
    };
    altered(store, id, alter).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{random::SystemRandom, time::ManualClock},
        model::service::{Profile, Trust},
        registry::services::{NewService, register},
        store::sqlite::SqliteStore,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test]
    async fn the_grace_of_a_secret_that_was_replaced_can_be_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        let clock = ManualClock::at(NOW);
        let new = NewService {
            id: None,
            name: "App".into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secret: None,
        };
        let (service, _) = register(&store, new, &clock, &SystemRandom).await.unwrap();
        let found = async || store.find_service(&service.id).await.unwrap().unwrap();
        assert_eq!(state(&found().await, NOW), Some(SecretState { set: NOW, grace: None }));
        assert!(!end_grace(&store, &service.id, &clock).await.unwrap());
        clock.advance(DAY);
        rotate(&store, &service.id, DAY, &clock, &SystemRandom).await.unwrap();
        let set = NOW.plus(DAY);
        let rotated = found().await;
        assert_eq!(state(&rotated, set), Some(SecretState { set, grace: Some(set.plus(DAY)) }));
        assert_eq!(state(&rotated, set.plus(DAY)), Some(SecretState { set, grace: None }));
        assert!(end_grace(&store, &service.id, &clock).await.unwrap());
        assert!(!end_grace(&store, &service.id, &clock).await.unwrap());
        let ended = found().await;
        assert_eq!((state(&ended, set), ended.secrets.len()), (Some(SecretState { set, grace: None }), 1));
        assert_eq!(ended.secrets, rotated.secrets[..1]);
        let nobody = ServiceId::parse("nobody").unwrap();
        assert!(end_grace(&store, &nobody, &clock).await.is_err());
        assert_eq!(state(&Service { secrets: vec![], ..ended }, set), None);
    }
}
