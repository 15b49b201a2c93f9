//! Services: register, change, give a new secret, remove, and keep in step with the configuration file.

use std::time::Duration;

use crate::{
    base::{
        id::ServiceId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::digest::SecretDigest,
    model::{
        revocation::{LONGEST_TOKEN_LIFE, Revocation, RevocationTarget},
        service::{Profile, Service, StoredSecret, Trust},
    },
    store::{ServiceStore, StoreError},
};

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The id belongs to the gateway itself.
    #[error("{0} is the gateway's own service")]
    Reserved(ServiceId),
    /// The configuration file declares it, so that is where it is changed.
    #[error("{0} is declared in the configuration file; change it there")]
    Declared(ServiceId),
    /// A public service has no secret.
    #[error("{0} is a public service and has no secret")]
    Public(ServiceId),
    /// The name is empty, too long, or has a control character.
    #[error("a name has 1 to 100 characters and no control characters")]
    Name,
}

/// A service to be registered.
#[derive(Debug, Clone)]
pub struct NewService {
    /// Its id; `None`: a random UUID, as Hub does.
    pub id: Option<ServiceId>,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub trust: Trust,
    /// What it says of itself.
    pub profile: Profile,
}

/// Registers a service. Returns it and, unless it is public, its secret: the only time that the secret is seen.
///
/// # Errors
/// [`ServiceError`]
pub async fn register(
    store: &dyn ServiceStore,
    new: NewService,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(Service, Option<Secret>), ServiceError> {
    let id = new.id.unwrap_or_else(|| ServiceId::random(random));
    if id == ServiceId::hub() || new.name.eq_ignore_ascii_case(crate::model::registry::HUB_NAME) {
        return Err(ServiceError::Reserved(ServiceId::hub()));
    }
    let characters = new.name.chars().count();
    if !(1..=100).contains(&characters) || new.name.chars().any(char::is_control) {
        return Err(ServiceError::Name);
    }
    let now = clock.now();
    let secret = (!new.trust.public).then(|| Secret::random(random));
    let digest = secret.as_ref().map(|secret| SecretDigest::of(secret.expose()));
    let key = new.profile.key.clone().or_else(|| Some(new.name.clone()));
    let service = Service {
        id,
        name: new.name,
        trust: new.trust,
        profile: Profile { key, ..new.profile },
        secrets: digest.map(|digest| StoredSecret::current(digest, now)).into_iter().collect(),
        declared: false,
        created: now,
        updated: now,
    };
    store.register_service(&service).await?;
    Ok((service, secret))
}

/// Gives a service a new secret; the one before stays accepted for `grace`.
///
/// # Errors
/// [`ServiceError`]
pub async fn rotate_secret(
    store: &dyn ServiceStore,
    id: &ServiceId,
    grace: Duration,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Secret, ServiceError> {
    let mut service = store.find_service(id).await?.ok_or(StoreError::NotFound { what: "service" })?;
    if service.trust.public {
        return Err(ServiceError::Public(id.clone()));
    }
    let secret = Secret::random(random);
    service.rotate_secret(SecretDigest::of(secret.expose()), clock.now(), grace);
    store.update_service(&service).await?;
    Ok(secret)
}

/// How long a running gateway may need to notice that a service is gone. Until then it gives tokens to it.
const NOTICE: Duration = Duration::from_secs(5);

/// Removes a service; every token that it obtained is dead from now on, those that a gateway issues before it notices
/// included.
///
/// # Errors
/// [`ServiceError`]
pub async fn remove(store: &dyn ServiceStore, id: &ServiceId, clock: &dyn Clock) -> Result<(), ServiceError> {
    let service = store.find_service(id).await?.ok_or(StoreError::NotFound { what: "service" })?;
    if service.declared {
        return Err(ServiceError::Declared(id.clone()));
    }
    let revoked = clock.now().plus(NOTICE);
    let target = RevocationTarget::Client(id.clone());
    let revocation = Revocation { target, revoked, expires: revoked.plus(LONGEST_TOKEN_LIFE) };
    Ok(store.remove_service(id, &revocation).await?)
}

/// A service as the configuration file declares it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub trust: Trust,
    /// What it says of itself.
    pub profile: Profile,
    /// Its secret, if the file gives one.
    pub secret: Option<Secret>,
}

/// What [`reconcile`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Added.
    pub created: Vec<ServiceId>,
    /// Changed.
    pub updated: Vec<ServiceId>,
    /// No longer declared; they stay, with everything that they may do.
    pub released: Vec<ServiceId>,
}

/// Brings the store in step with what the file declares. Nothing is deleted, and a secret that the file does not name
/// stays as it is.
///
/// # Errors
/// [`ServiceError`]; what was changed before stays changed, and the next call goes on.
pub async fn reconcile(
    store: &dyn ServiceStore,
    declarations: &[Declaration],
    grace: Duration,
    clock: &dyn Clock,
) -> Result<Reconciled, ServiceError> {
    let now = clock.now();
    let mut done = Reconciled::default();
    for declaration in declarations {
        match store.find_service(&declaration.id).await? {
            None => {
                store.register_service(&declared(declaration, now)).await?;
                done.created.push(declaration.id.clone());
            }
            Some(before) => {
                let after = updated(&before, declaration, now, grace);
                if after != before {
                    store.update_service(&Service { updated: now, ..after }).await?;
                    done.updated.push(declaration.id.clone());
                }
            }
        }
    }
    for service in store.list_services().await? {
        if service.declared && !declarations.iter().any(|declaration| declaration.id == service.id) {
            store.update_service(&Service { declared: false, updated: now, ..service.clone() }).await?;
            done.released.push(service.id);
        }
    }
    Ok(done)
}

fn declared(declaration: &Declaration, now: Timestamp) -> Service {
    let digest = declaration.secret.as_ref().map(|secret| SecretDigest::of(secret.expose()));
    Service {
        id: declaration.id.clone(),
        name: declaration.name.clone(),
        trust: declaration.trust.clone(),
        profile: profile(declaration),
        secrets: digest.map(|digest| StoredSecret::current(digest, now)).into_iter().collect(),
        declared: true,
        created: now,
        updated: now,
    }
}

fn profile(declaration: &Declaration) -> Profile {
    let key = declaration.profile.key.clone().or_else(|| Some(declaration.name.clone()));
    Profile { key, ..declaration.profile.clone() }
}

fn updated(before: &Service, declaration: &Declaration, now: Timestamp, grace: Duration) -> Service {
    let mut after = Service {
        name: declaration.name.clone(),
        trust: declaration.trust.clone(),
        profile: profile(declaration),
        declared: true,
        ..before.clone()
    };
    if after.trust.public {
        after.secrets.clear();
    } else if let Some(secret) = &declaration.secret {
        let digest = SecretDigest::of(secret.expose());
        if after.secrets.first().is_none_or(|current| current.digest != digest) {
            after.rotate_secret(digest, now, grace);
            after.updated = before.updated;
        }
    }
    after
}
