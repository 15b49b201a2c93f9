//! Rules for rejected redirect URIs.

use hubgate::{
    model::grant::RejectedRedirect,
    store::{SharedStore, Store, grants::MAX_REJECTED_REDIRECTS},
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
