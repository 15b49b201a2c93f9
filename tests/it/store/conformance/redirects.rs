//! Rules for rejected redirect URIs.

use hubgate::{
    model::{grant::RejectedRedirect, service::Service},
    store::{SharedStore, Store, StoreError, grants::MAX_REJECTED_REDIRECTS},
};

use super::{
    Backend,
    samples::{at, of_client, service, service_id},
};

async fn with_services(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["x", "y"] {
        store.register_service(&service(id, id)).await.unwrap();
    }
    store
}

fn rejected(uri: &str, tried_at: i64) -> RejectedRedirect {
    RejectedRedirect { uri: uri.into(), tried_from: "192.0.2.1".into(), tried_at: at(tried_at) }
}

async fn uris(store: &dyn Store, service: &str) -> Vec<String> {
    let listed = store.list_rejected_redirects(&service_id(service)).await.unwrap();
    listed.into_iter().map(|rejected| rejected.uri).collect()
}

pub(crate) async fn come_back_latest_first(backend: &dyn Backend) {
    let store = with_services(backend).await;
    let odd = RejectedRedirect {
        uri: "https://a.example/\0?b='; --\u{202e}".into(),
        tried_from: String::new(),
        tried_at: at(i64::MAX),
    };
    store.reject_redirect(&service_id("x"), &odd).await.unwrap();
    for (uri, time) in [("one", 10), ("two", 20), ("also two", 20), ("ONE", 5)] {
        store.reject_redirect(&service_id("x"), &rejected(uri, time)).await.unwrap();
    }
    store.reject_redirect(&service_id("y"), &rejected("one", 10)).await.unwrap();
    let store = backend.open().await;
    let listed = store.list_rejected_redirects(&service_id("x")).await.unwrap();
    let expected =
        [odd, rejected("also two", 20), rejected("two", 20), rejected("one", 10), rejected("ONE", 5)];
    assert_eq!(listed, expected);

    // The same again replaces its entry.
    let again = RejectedRedirect { tried_from: "198.51.100.1".into(), ..rejected("one", 30) };
    store.reject_redirect(&service_id("x"), &again).await.unwrap();
    let listed = store.list_rejected_redirects(&service_id("x")).await.unwrap();
    assert_eq!((listed.len(), &listed[1]), (5, &again));
    assert_eq!(uris(&*store, "y").await, ["one"]);
}

pub(crate) async fn are_few(backend: &dyn Backend) {
    let store = with_services(backend).await;
    store.reject_redirect(&service_id("y"), &rejected("other", 1)).await.unwrap();
    for n in 0..3 * MAX_REJECTED_REDIRECTS {
        // Some at the same time: the later stays.
        let tried = rejected(&format!("u{n}"), i64::try_from(n / 4).unwrap());
        store.reject_redirect(&service_id("x"), &tried).await.unwrap();
    }
    let expected: Vec<_> =
        (0..3 * MAX_REJECTED_REDIRECTS).rev().take(MAX_REJECTED_REDIRECTS).map(|n| format!("u{n}")).collect();
    assert_eq!(uris(&*store, "x").await, expected);
    assert_eq!(uris(&*store, "y").await, ["other"]);
}

pub(crate) async fn go_when_forgotten(backend: &dyn Backend) {
    let store = with_services(backend).await;
    for uri in ["one", "two"] {
        store.reject_redirect(&service_id("x"), &rejected(uri, 10)).await.unwrap();
    }
    assert!(store.forget_rejected_redirect(&service_id("x"), "one").await.unwrap());
    assert!(!store.forget_rejected_redirect(&service_id("x"), "one").await.unwrap());
    assert!(!store.forget_rejected_redirect(&service_id("y"), "two").await.unwrap());
    assert_eq!(uris(&*backend.open().await, "x").await, ["two"]);
    store.remove_service(&service_id("x"), &of_client("x", 1, 9000)).await.unwrap();
    assert_eq!(uris(&*store, "x").await, Vec::<String>::new());
    // Of a service that there is not nothing is noted.
    store.reject_redirect(&service_id("x"), &rejected("one", 10)).await.unwrap();
    store.register_service(&service("x", "x")).await.unwrap();
    assert_eq!(uris(&*store, "x").await, Vec::<String>::new());
}

pub(crate) async fn go_with_the_change_that_accepts_them(backend: &dyn Backend) {
    let store = with_services(backend).await;
    for uri in ["https://a.example/one", "https://a.example/two"] {
        store.reject_redirect(&service_id("x"), &rejected(uri, 10)).await.unwrap();
    }
    let before = store.find_service(&service_id("x")).await.unwrap().unwrap();
    let mut after = before.clone();
    after.profile.redirect_uris.push("https://a.example/one".into());
    let accept = async |before: &Service, after: &Service, uri: &str| {
        store.accept_rejected_redirect(before, after, uri).await
    };
    // What is not in the list, and what has changed meanwhile, leaves everything as it is.
    let refused = accept(&before, &after, "https://a.example/three").await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    let stale = Service { updated: at(1), ..before.clone() };
    assert!(!accept(&stale, &after, "https://a.example/one").await.unwrap());
    assert_eq!(store.find_service(&before.id).await.unwrap().unwrap(), before);
    assert_eq!(uris(&*store, "x").await.len(), 2);

    assert!(accept(&before, &after, "https://a.example/one").await.unwrap());
    let store = backend.open().await;
    assert_eq!(store.find_service(&before.id).await.unwrap().unwrap(), after);
    assert_eq!(uris(&*store, "x").await, ["https://a.example/two"]);
    let gone = service("gone", "gone");
    let refused = store.accept_rejected_redirect(&gone, &gone, "https://a.example/two").await;
    assert!(matches!(refused, Err(StoreError::NotFound { what: "service" })), "{refused:?}");
}
