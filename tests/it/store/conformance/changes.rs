//! Rules for change counters.

use hubgate::store::Versions;

use super::{
    Backend,
    samples::{at, key, key_id, of_client, of_token, other_service, service, service_id},
};

/// Which counters have grown; a counter that shrinks fails the test.
fn grown(before: Versions, after: Versions) -> [bool; 3] {
    [(before.services, after.services), (before.keys, after.keys), (before.revocations, after.revocations)]
        .map(|(before, after)| {
            assert!(before <= after, "a counter went from {before} to {after}");
            before < after
        })
}

const SERVICES: [bool; 3] = [true, false, false];
const KEYS: [bool; 3] = [false, true, false];
const REVOCATIONS: [bool; 3] = [false, false, true];
const NONE: [bool; 3] = [false; 3];

pub(crate) async fn grow_with_each_write(backend: &dyn Backend) {
    let (store, observer) = (backend.open().await, backend.open().await);
    let mut before = observer.versions().await.unwrap();
    macro_rules! expect {
        ($write:expr, $grown:expr) => {
            $write.await.unwrap();
            let after = observer.versions().await.unwrap();
            assert_eq!(grown(before, after), $grown, stringify!($write));
            assert_eq!(store.versions().await.unwrap(), after);
            before = after;
        };
    }
    expect!(store.register_service(&service("a", "A")), SERVICES);
    expect!(store.update_service(&other_service("a", "B")), SERVICES);
    expect!(store.remove_service(&service_id("a"), &of_client("a", 1, 9)), [true, false, true]);
    expect!(store.add_first_key(&key("one", 1)), KEYS);
    expect!(store.rotate_key(&key("two", 2), at(10)), KEYS);
    expect!(store.reseal_key(&key_id("two"), b"sealed"), KEYS);
    expect!(store.purge_keys(at(10)), KEYS);
    expect!(store.revoke(&of_token(1, 1, 9)), REVOCATIONS);
    expect!(store.revoke(&of_token(1, 2, 10)), REVOCATIONS);
    drop((store, observer));
    assert_eq!(backend.open().await.versions().await.unwrap(), before);
}

pub(crate) async fn stay_without_a_change(backend: &dyn Backend) {
    let store = backend.open().await;
    store.register_service(&service("a", "A")).await.unwrap();
    store.register_service(&service("b", "B")).await.unwrap();
    assert!(store.add_first_key(&key("one", 1)).await.unwrap());
    store.revoke(&of_token(1, 1, 9)).await.unwrap();
    let before = store.versions().await.unwrap();

    store.list_services().await.unwrap();
    store.find_service(&service_id("a")).await.unwrap();
    store.list_keys().await.unwrap();
    store.list_revocations(at(0)).await.unwrap();
    // Nobody needs to hear that what was dead anyway is forgotten.
    assert_eq!(store.purge_revocations(at(9)).await.unwrap(), 1);
    assert_eq!(store.purge_keys(at(9)).await.unwrap(), 0);

    assert!(store.register_service(&service("a", "C")).await.is_err());
    assert!(store.register_service(&service("c", "a")).await.is_err());
    assert!(store.update_service(&service("b", "a")).await.is_err());
    assert!(store.update_service(&service("c", "c")).await.is_err());
    assert!(store.remove_service(&service_id("c"), &of_client("c", 1, 9)).await.is_err());
    assert!(!store.add_first_key(&key("two", 1)).await.unwrap());
    assert!(store.rotate_key(&key("one", 1), at(5)).await.is_err());
    assert!(store.reseal_key(&key_id("two"), b"").await.is_err());

    let after = backend.open().await.versions().await.unwrap();
    assert_eq!(grown(before, after), NONE);
    assert_eq!(before, after);
}

/// A gateway that polls another process's store must never keep an old copy under a new number.
pub(crate) async fn are_seen_with_the_change(backend: &dyn Backend) {
    let (writer, reader) = (backend.open().await, backend.open().await);
    let start = reader.versions().await.unwrap().services;
    let writing = tokio::spawn(async move {
        for n in 0..50 {
            writer.register_service(&service(&format!("s{n}"), &format!("s{n}"))).await.unwrap();
        }
    });
    loop {
        let counted = reader.versions().await.unwrap().services - start;
        let seen = i64::try_from(reader.list_services().await.unwrap().len()).unwrap();
        assert!(seen >= counted, "the counter is at {counted}, but only {seen} services are visible");
        if counted == 50 {
            break;
        }
        assert!(!writing.is_finished() || reader.versions().await.unwrap().services - start == 50);
    }
    writing.await.unwrap();
}
