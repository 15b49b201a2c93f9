//! Rules for consents.

use hubgate::{
    model::{
        grant::Consent,
        revocation::{Revocation, RevocationTarget},
    },
    store::StoreError,
};

use super::{
    Backend,
    codes::with_users,
    samples::{at, consent, consent_id, of_user, service_id, user_id},
};

fn full(id: &str, user: &str, client: &str) -> Consent {
    Consent {
        services: vec![service_id("0-0-0-0-0"), service_id("yt")],
        claims: vec!["openid".into(), "\0 \"Ⅷ\"'; --".into()],
        given: at(i64::MAX),
        expires: at(i64::MIN),
        ..consent(id, user, client)
    }
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let consents = [consent("1", "a", "x"), full("2", "a", "y"), full("3", "b", "x")];
    for consent in &consents {
        store.put_consent(consent).await.unwrap();
    }
    let store = backend.open().await;
    for consent in &consents {
        let found = store.find_consent(&consent.user, &consent.client).await.unwrap();
        assert_eq!(found.as_ref(), Some(consent));
    }
    assert_eq!(store.find_consent(&user_id("b"), &service_id("y")).await.unwrap(), None);
    // The newest first.
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap(), [consents[1].clone(), consents[0].clone()]);
    assert_eq!(store.list_consents(&user_id("c")).await.unwrap(), vec![]);
}

pub(crate) async fn are_one_for_a_user_and_a_client(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.put_consent(&consent("1", "a", "x")).await.unwrap();
    store.put_consent(&full("2", "a", "x")).await.unwrap();
    let store = backend.open().await;
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap(), [full("1", "a", "x")]);
    assert!(!store.remove_consent(&user_id("a"), &consent_id("2"), at(2000)).await.unwrap());
}

pub(crate) async fn are_taken_back(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for consent in [consent("1", "a", "x"), consent("2", "a", "y"), consent("3", "b", "x")] {
        store.put_consent(&consent).await.unwrap();
    }
    // One's own only.
    assert!(!store.remove_consent(&user_id("b"), &consent_id("1"), at(2000)).await.unwrap());
    assert!(!store.remove_consent(&user_id("a"), &consent_id("4"), at(2000)).await.unwrap());
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);

    assert!(store.remove_consent(&user_id("a"), &consent_id("1"), at(2000)).await.unwrap());
    let store = backend.open().await;
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap(), [consent("2", "a", "y")]);
    assert_eq!(store.list_consents(&user_id("b")).await.unwrap(), [consent("3", "b", "x")]);
    let target = RevocationTarget::Consent(user_id("a"), service_id("x"));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [Revocation::at(at(2000), target)]);
    assert!(!store.remove_consent(&user_id("a"), &consent_id("1"), at(3000)).await.unwrap());
    // Given anew, it starts clean.
    store.put_consent(&Consent { given: at(2000), ..consent("5", "a", "x") }).await.unwrap();
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap().len(), 2);
}

pub(crate) async fn are_refused_without_a_trace(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.put_consent(&consent("1", "a", "x")).await.unwrap();
    let refusal = store.put_consent(&consent("1", "b", "x")).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { what: "consent", field: "id" })), "{refusal:?}");
    let refusal = store.put_consent(&consent("2", "nobody", "x")).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap(), [consent("1", "a", "x")]);
    assert_eq!(store.list_consents(&user_id("b")).await.unwrap(), vec![]);
    // Those of a user go with the user, and are not taken back by less.
    store.revoke(&of_user("a", 2000)).await.unwrap();
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap().len(), 1);
    store.remove_user(&user_id("a"), &of_user("a", 2000)).await.unwrap();
    assert_eq!(store.list_consents(&user_id("a")).await.unwrap(), vec![]);
}

pub(crate) async fn purge_takes_what_is_over(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for (id, client, expires) in [("1", "x", 5000), ("2", "y", 6000)] {
        store.put_consent(&Consent { expires: at(expires), ..consent(id, "a", client) }).await.unwrap();
    }
    for (now, purged, left) in [(4999, 0, 2), (5000, 1, 1), (5999, 0, 1), (6000, 1, 0)] {
        assert_eq!(store.purge_consents(at(now)).await.unwrap(), purged, "at {now}");
        assert_eq!(store.list_consents(&user_id("a")).await.unwrap().len(), left, "at {now}");
    }
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}
