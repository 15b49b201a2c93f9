//! Rules for signing keys.

use hubgate::{
    model::key::{KeyState, SigningKeyRecord},
    store::StoreError,
};

use super::{
    Backend,
    samples::{at, key, key_id, retired},
};

fn active(keys: &[SigningKeyRecord]) -> Vec<&SigningKeyRecord> {
    keys.iter().filter(|k| k.state == KeyState::Active).collect()
}

/// A store with the keys `one` (over at 5000), `two` (over at 6000) and `three`, which is active.
async fn three_keys(backend: &dyn Backend) -> [SigningKeyRecord; 3] {
    let store = backend.open().await;
    assert!(store.add_first_key(&key("one", 1)).await.unwrap());
    store.rotate_key(&key("two", 2), at(5000)).await.unwrap();
    store.rotate_key(&key("three", 3), at(6000)).await.unwrap();
    [key("three", 3), retired(key("two", 2), 6000), retired(key("one", 1), 5000)]
}

pub(crate) async fn come_back_newest_first(backend: &dyn Backend) {
    assert_eq!(backend.open().await.list_keys().await.unwrap(), vec![]);
    let keys = three_keys(backend).await;
    assert_eq!(backend.open().await.list_keys().await.unwrap(), keys);

    // Made in the same millisecond, with the largest of times, and with an id that sorts first.
    let store = backend.open().await;
    store.rotate_key(&key("z", i64::MAX), at(i64::MAX)).await.unwrap();
    store.rotate_key(&key("a", i64::MAX), at(-1)).await.unwrap();
    store.rotate_key(&key("m", i64::MAX), at(i64::MIN)).await.unwrap();
    let listed = store.list_keys().await.unwrap();
    assert_eq!(listed[0], key("m", i64::MAX));
    assert_eq!(listed[3..], [retired(key("three", 3), i64::MAX), keys[1].clone(), keys[2].clone()]);
    assert!(listed.contains(&retired(key("z", i64::MAX), -1)));
    assert!(listed.contains(&retired(key("a", i64::MAX), i64::MIN)));
}

pub(crate) async fn only_the_first_is_first(backend: &dyn Backend) {
    let store = backend.open().await;
    assert!(store.add_first_key(&key("one", 1)).await.unwrap());
    assert!(!store.add_first_key(&key("two", 2)).await.unwrap());
    // Even the same again: the answer tells whose key the store has.
    assert!(!store.add_first_key(&key("one", 1)).await.unwrap());
    assert_eq!(backend.open().await.list_keys().await.unwrap(), [key("one", 1)]);
}

pub(crate) async fn first_keys_race(backend: &dyn Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    let (first, second) = (key("one", 1), key("two", 1));
    let (a, b) = tokio::join!(
        tokio::spawn(async move { one.add_first_key(&first).await.unwrap() }),
        tokio::spawn(async move { two.add_first_key(&second).await.unwrap() }),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a != b, "exactly one is first: {a} {b}");
    let winner = if a { "one" } else { "two" };
    assert_eq!(backend.open().await.list_keys().await.unwrap(), [key(winner, 1)]);
}

pub(crate) async fn rotation_retires(backend: &dyn Backend) {
    let store = backend.open().await;
    // Without a key to retire, and whatever state the record claims: a rotation's key is active.
    store.rotate_key(&retired(key("one", 1), 9), at(5000)).await.unwrap();
    assert_eq!(store.list_keys().await.unwrap(), [key("one", 1)]);
    store.rotate_key(&key("two", 2), at(6000)).await.unwrap();
    // A later rotation does not prolong what was retired before.
    store.rotate_key(&key("three", 3), at(9000)).await.unwrap();
    let keys = [key("three", 3), retired(key("two", 2), 9000), retired(key("one", 1), 6000)];
    assert_eq!(backend.open().await.list_keys().await.unwrap(), keys);
}

pub(crate) async fn refused_rotation_changes_nothing(backend: &dyn Backend) {
    let keys = three_keys(backend).await;
    let store = backend.open().await;
    for taken in ["one", "three"] {
        let refusal = store.rotate_key(&key(taken, 9), at(9000)).await;
        let expected = matches!(refusal, Err(StoreError::Conflict { what: "signing key", field: "id" }));
        assert!(expected, "{refusal:?}");
        assert_eq!(store.list_keys().await.unwrap(), keys);
    }
    store.rotate_key(&key("four", 9), at(9000)).await.unwrap();
    assert_eq!(store.list_keys().await.unwrap().len(), 4);
}

pub(crate) async fn rotations_race(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..20_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            tokio::spawn(async move { store.rotate_key(&key(&format!("k{n}"), 1), at(5000)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let keys = handles[0].list_keys().await.unwrap();
    assert_eq!((keys.len(), active(&keys).len()), (20, 1));
}

pub(crate) async fn resealing_replaces_the_bytes(backend: &dyn Backend) {
    let mut keys = three_keys(backend).await;
    let store = backend.open().await;
    for sealed in [vec![0; 100_000], vec![]] {
        store.reseal_key(&key_id("two"), &sealed).await.unwrap();
        keys[1].sealed = sealed;
        assert_eq!(backend.open().await.list_keys().await.unwrap(), keys);
    }
    let refusal = store.reseal_key(&key_id("ghost"), b"x").await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "signing key" })), "{refusal:?}");
    assert_eq!(store.list_keys().await.unwrap(), keys);
}

pub(crate) async fn purge_takes_what_is_over(backend: &dyn Backend) {
    let [three, two, _one] = three_keys(backend).await;
    let store = backend.open().await;
    assert_eq!(store.purge_keys(at(4999)).await.unwrap(), 0);
    assert_eq!(store.list_keys().await.unwrap().len(), 3);
    // A key verifies until the moment itself, and not in it.
    assert_eq!(store.purge_keys(at(5000)).await.unwrap(), 1);
    assert_eq!(backend.open().await.list_keys().await.unwrap(), [three.clone(), two]);
    // The active key has no end.
    assert_eq!(store.purge_keys(at(i64::MAX)).await.unwrap(), 1);
    assert_eq!(store.list_keys().await.unwrap(), [three]);
}
