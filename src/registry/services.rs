//! Services: register, change, give a new secret, remove.

use std::time::Duration;

use super::{
    altered::{altered, changed},
    declared::Collision,
    profile::{self, ProfileChange},
    secrets,
};
use crate::{
    base::{id::ServiceId, random::Random, secret::Secret, time::Clock},
    crypto::digest::SecretDigest,
    model::{
        flow::Flows,
        naming,
        revocation::{LONGEST_TOKEN_LIFE, Revocation, RevocationTarget},
        scope::is_reserved,
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
    /// The id or name stands for something else in a scope.
    #[error(
        "{0} has a meaning of its own in a scope: the gateway's own service goes by it, or OpenID Connect defines it"
    )]
    Reserved(String),
    /// The service is the gateway itself.
    #[error("{0} is the gateway's own service")]
    Own(ServiceId),
    /// The configuration file declares it, so that is where it is changed.
    #[error("{0} is declared in the configuration file; change it there")]
    Declared(ServiceId),
    /// What a declared service goes by is another's already.
    #[error(transparent)]
    Collides(Box<Collision>),
    /// A public service has no secret.
    #[error("{0} is a public service and has no secret")]
    Public(ServiceId),
    /// It is to be public, and its refresh tokens are to stay the same.
    #[error(
        "a public service's refresh tokens have to change with each use: whoever has copied one needs no secret to use it"
    )]
    PublicRotation,
    /// The name is empty, too long, or has a control character or one that cannot be seen.
    #[error("a name has 1 to 100 characters, none of them a control character or invisible")]
    Name,
    /// Something that it says of itself cannot be used.
    #[error("the field {field} {why}")]
    Field {
        /// Its name in Hub's REST.
        field: &'static str,
        /// A predicate.
        why: String,
    },
    /// An address that is to be taken away and is not there.
    #[error("{0} is not among its redirect URIs")]
    RedirectUri(String),
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
    /// Its secret, if somebody has chosen one; else one is made. Of a public service there is none.
    pub secret: Option<Secret>,
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
    let (id, name) = (new.id.unwrap_or_else(|| ServiceId::random(random)), naming::normal(&new.name));
    if is_reserved(id.as_str()) {
        return Err(ServiceError::Reserved(id.to_string()));
    }
    check_name(&name)?;
    profile::check(&new.profile)?;
    check_rotation(&new.trust)?;
    let now = clock.now();
    if let Some(chosen) = &new.secret {
        secrets::check(chosen)?;
    }
    let secret = (!new.trust.public).then(|| new.secret.unwrap_or_else(|| Secret::random(random)));
    let digest = secret.as_ref().map(|secret| SecretDigest::of(secret.expose()));
    let key = new.profile.key.clone().or_else(|| Some(name.clone()));
    let service = Service {
        id,
        name,
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

/// RFC 9700 section 4.14.2: the refresh tokens of public clients are bound to their sender, or rotate.
const fn check_rotation(trust: &Trust) -> Result<(), ServiceError> {
    if trust.public && !trust.rotate_refresh_tokens { Err(ServiceError::PublicRotation) } else { Ok(()) }
}

pub(super) fn check_name(name: &str) -> Result<(), ServiceError> {
    if is_reserved(name) {
        return Err(ServiceError::Reserved(name.to_owned()));
    }
    naming::service(name).map_err(|_| ServiceError::Name)
}

/// What is to be changed of a service; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The name. The key goes along where it was the name.
    pub name: Option<String>,
    /// What it says of itself.
    pub profile: ProfileChange,
    /// All addresses that may receive an authorization response.
    pub redirect_uris: Option<Vec<String>>,
    /// Such addresses that are added.
    pub add_redirect_uris: Vec<String>,
    /// Such addresses that are taken away.
    pub remove_redirect_uris: Vec<String>,
    /// May obtain tokens for itself. Named alone, it decides that people are asked first, or not, too.
    pub trusted: Option<bool>,
    /// People are asked first.
    pub consent_required: Option<bool>,
    /// Has no secret. A service that becomes public loses its secrets, and what it obtained with them.
    pub public: Option<bool>,
    /// PKCE is required although it has a secret.
    pub pkce_required: Option<bool>,
    /// Whether each refresh replaces the refresh token.
    pub rotate_refresh_tokens: Option<bool>,
    /// The flows switched on for it.
    pub flows: Option<Flows>,
}

impl Change {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_something(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn carry_out(self, service: &mut Service) -> Result<(), ServiceError> {
        if let Some(name) = self.name.map(|name| naming::normal(&name)).filter(|name| *name != service.name) {
            check_name(&name)?;
            if service.profile.key.as_ref() == Some(&service.name) {
                service.profile.key = Some(name.clone());
            }
            service.name = name;
        }
        let profile = &mut service.profile;
        self.profile.carry_out(profile);
        profile.redirect_uris =
            self.redirect_uris.unwrap_or_else(|| std::mem::take(&mut profile.redirect_uris));
        for uri in self.remove_redirect_uris {
            let before = profile.redirect_uris.len();
            profile.redirect_uris.retain(|known| *known != uri);
            if profile.redirect_uris.len() == before {
                return Err(ServiceError::RedirectUri(uri));
            }
        }
        for uri in self.add_redirect_uris {
            if !profile.redirect_uris.contains(&uri) {
                profile.redirect_uris.push(uri);
            }
        }
        profile::check(profile)?;
        let before = &service.trust;
        // Where trust alone is named, it decides on consent too: the older meaning of Hub's switch.
        let consent_required = self.consent_required.or(self.trusted.map(|trusted| !trusted));
        service.trust = Trust {
            trusted: self.trusted.unwrap_or(before.trusted),
            consent_required: consent_required.unwrap_or(before.consent_required),
            public: self.public.unwrap_or(before.public),
            pkce_required: self.pkce_required.unwrap_or(before.pkce_required),
            rotate_refresh_tokens: self.rotate_refresh_tokens.unwrap_or(before.rotate_refresh_tokens),
            flows: self.flows.unwrap_or(before.flows),
        };
        check_rotation(&service.trust)?;
        if service.trust.public {
            service.secrets.clear();
        }
        Ok(())
    }
}

/// Changes a service that the file does not declare.
///
/// # Errors
/// [`ServiceError`]
pub async fn change(
    store: &dyn ServiceStore,
    id: &ServiceId,
    change: Change,
    clock: &dyn Clock,
) -> Result<Service, ServiceError> {
    altered(store, id, |service| {
        *service = changed(service.clone(), change.clone(), clock.now())?;
        Ok(())
    })
    .await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    #[test]
    fn a_change_changes_what_it_names_and_nothing_else() {
        let digest = SecretDigest::of("one");
        let before = Service {
            id: ServiceId::parse("a").unwrap(),
            name: "A".into(),
            trust: Trust::default(),
            profile: Profile { key: Some("A".into()), ..Profile::default() },
            secrets: vec![StoredSecret::current(digest, NOW)],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        let changed = |change: Change| {
            let mut service = before.clone();
            change.carry_out(&mut service).map(|()| service)
        };
        assert_eq!(changed(Change::default()).unwrap(), before);
        let renamed = changed(Change { name: Some("B".into()), ..Change::default() }).unwrap();
        assert_eq!((renamed.name.as_str(), renamed.profile.key.as_deref()), ("B", Some("B")));
        for name in ["", "a\tb", "hub", &"x".repeat(101)] {
            changed(Change { name: Some(name.into()), ..Change::default() }).unwrap_err();
        }
        let uris = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let first = changed(Change { redirect_uris: Some(uris(["a", "b"])), ..Change::default() }).unwrap();
        let change = |add: &[&str], remove: &[&str]| Change {
            add_redirect_uris: add.iter().map(|&uri| uri.to_owned()).collect(),
            remove_redirect_uris: remove.iter().map(|&uri| uri.to_owned()).collect(),
            ..Change::default()
        };
        let mut second = first.clone();
        change(&["c", "b"], &["a"]).carry_out(&mut second).unwrap();
        assert_eq!(second.profile.redirect_uris, uris(["b", "c"]));
        let refused = change(&[], &["a"]).carry_out(&mut second).unwrap_err();
        assert!(matches!(refused, ServiceError::RedirectUri(uri) if uri == "a"));
        let public = changed(Change { public: Some(true), ..Change::default() }).unwrap();
        assert!(public.secrets.is_empty() && !before.secrets.is_empty(), "a public service has no secret");
        let keeping =
            |public| Change { public: Some(public), rotate_refresh_tokens: Some(false), ..Change::default() };
        assert!(matches!(changed(keeping(true)), Err(ServiceError::PublicRotation)));
        assert!(!changed(keeping(false)).unwrap().trust.rotate_refresh_tokens);
        let mut kept = changed(keeping(false)).unwrap();
        let refused = Change { public: Some(true), ..Change::default() }.carry_out(&mut kept);
        assert!(matches!(refused, Err(ServiceError::PublicRotation)), "neither in two steps");
    }
}
