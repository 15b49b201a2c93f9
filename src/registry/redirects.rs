//! Redirect URIs that were asked for in vain (hub-contract section 2.4): accepted, or dismissed.
//!
//! Invariants: an address that is accepted is held to the rules of those that are registered; it leaves the list in the
//! transaction that registers it.

use super::{
    altered::{ATTEMPTS, changed},
    services::{Change, ServiceError},
};
use crate::{
    base::{id::ServiceId, time::Clock},
    model::service::Service,
    store::{ServiceStore, StoreError, grants::RejectedRedirectStore},
};

/// Makes `uri`, which was asked for in vain, one of the addresses that may receive authorization responses of the service.
///
/// # Errors
/// [`ServiceError`]; [`StoreError::NotFound`] when nobody has asked for it, or it was accepted or dismissed meanwhile.
pub async fn accept(
    store: &(impl ServiceStore + RejectedRedirectStore + ?Sized),
    id: &ServiceId,
    uri: &str,
    clock: &dyn Clock,
) -> Result<Service, ServiceError> {
    for _ in 0..ATTEMPTS {
        let before = store.find_service(id).await?.ok_or(StoreError::NotFound { what: "service" })?;
        let change = Change { add_redirect_uris: vec![uri.to_owned()], ..Change::default() };
        let service = changed(before.clone(), change, clock.now())?;
        if store.accept_rejected_redirect(&before, &service, uri).await? {
            return Ok(service);
        }
    }
    Err(StoreError::Unavailable(format!("the service {id} is changed by too many at once")).into())
}

/// Takes `uri` from the list of those that were asked for in vain. Returns whether it was there.
///
/// # Errors
/// The store's.
pub async fn dismiss(
    store: &(impl RejectedRedirectStore + ?Sized),
    id: &ServiceId,
    uri: &str,
) -> Result<bool, StoreError> {
    store.forget_rejected_redirect(id, uri).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{
            random::SystemRandom,
            time::{ManualClock, Timestamp},
        },
        model::{
            grant::RejectedRedirect,
            service::{Profile, Trust},
        },
        registry::services::{NewService, register},
        store::sqlite::SqliteStore,
    };

    #[tokio::test]
    async fn an_address_that_is_accepted_is_held_to_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(1000));
        let new = NewService {
            id: None,
            name: "App".into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secret: None,
        };
        let (service, _) = register(&store, new, &clock, &SystemRandom).await.unwrap();
        let (good, bad) = ("https://app.example/in", "javascript:alert(1)");
        for uri in [good, bad] {
            let rejected = RejectedRedirect {
                uri: uri.into(),
                tried_from: "192.0.2.1".into(),
                tried_at: Timestamp::from_seconds(900),
            };
            store.reject_redirect(&service.id, &rejected).await.unwrap();
        }
        let after = accept(&store, &service.id, good, &clock).await.unwrap();
        assert_eq!(after.profile.redirect_uris, [good]);
        let gone = accept(&store, &service.id, good, &clock).await.unwrap_err();
        assert!(matches!(gone, ServiceError::Store(StoreError::NotFound { .. })), "{gone:?}");
        let refused = accept(&store, &service.id, bad, &clock).await.unwrap_err();
        assert!(matches!(refused, ServiceError::Field { field: "redirectUris", .. }), "{refused:?}");
        assert_eq!(store.list_rejected_redirects(&service.id).await.unwrap().len(), 1);
        assert!(dismiss(&store, &service.id, bad).await.unwrap());
        assert!(!dismiss(&store, &service.id, bad).await.unwrap());

        let declared = Service { declared: true, ..after };
        store.update_service(&declared).await.unwrap();
        let refused = accept(&store, &service.id, good, &clock).await.unwrap_err();
        assert!(matches!(refused, ServiceError::Declared(_)), "{refused:?}");
    }
}
