//! Secrets of services: made, or chosen by somebody; the one before stays accepted for a while.
//!
//! Invariant: a secret that is made is returned once, by the verb that makes it; what is kept is its digest.

use std::time::Duration;

use super::{altered::altered, services::ServiceError};
use crate::{
    base::{id::ServiceId, random::Random, secret::Secret, time::Clock},
    crypto::digest::SecretDigest,
    model::service::Service,
    store::ServiceStore,
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
