//! Rules for revocations.

use super::{
    Backend,
    samples::{at, of_client, of_token, sorted},
};

pub(crate) async fn come_back(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.list_revocations(at(i64::MIN)).await.unwrap(), vec![]);
    let all = sorted(vec![
        of_token(0, i64::MIN, i64::MAX),
        of_token(u128::MAX, -5, -4),
        of_token(u128::from(b'a') << 120, 1, 9000),
        of_client(&"x".repeat(64), i64::MAX, i64::MAX),
        of_client("0-0-0-0-0", 0, 1),
    ]);
    for revocation in &all {
        store.revoke(revocation).await.unwrap();
    }
    drop(store);
    let store = backend.open().await;
    assert_eq!(sorted(store.list_revocations(at(i64::MIN)).await.unwrap()), all);
}

pub(crate) async fn merge_keeps_the_later(backend: &dyn Backend) {
    let store = backend.open().await;
    for (revoked, expires) in [(100, 5000), (300, 4000), (200, 6000), (50, 10)] {
        store.revoke(&of_client("a", revoked, expires)).await.unwrap();
        store.revoke(&of_token(1, -revoked, expires)).await.unwrap();
    }
    let merged = sorted(vec![of_client("a", 300, 6000), of_token(1, -50, 6000)]);
    assert_eq!(sorted(backend.open().await.list_revocations(at(0)).await.unwrap()), merged);
}

pub(crate) async fn kinds_are_apart(backend: &dyn Backend) {
    // A service whose id has the very bytes of a token's id.
    let (client, token) = (
        of_client("abcdefghijklmnop", 1, 5000),
        of_token(u128::from_be_bytes(*b"abcdefghijklmnop"), 2, 6000),
    );
    let similar = of_client("ABCDEFGHIJKLMNOP", 3, 7000);
    let store = backend.open().await;
    for revocation in [&client, &token, &similar] {
        store.revoke(revocation).await.unwrap();
    }
    let all = sorted(vec![client, token, similar]);
    assert_eq!(sorted(store.list_revocations(at(0)).await.unwrap()), all);
}

pub(crate) async fn end_when_they_expire(backend: &dyn Backend) {
    let store = backend.open().await;
    for revocation in [of_token(1, 1, 1000), of_client("a", 1, 2000), of_token(2, 1, 3000)] {
        store.revoke(&revocation).await.unwrap();
    }
    for (now, left) in [(999, 3), (1000, 2), (1999, 2), (2000, 1), (3000, 0)] {
        assert_eq!(store.list_revocations(at(now)).await.unwrap().len(), left, "at {now}");
    }
    // Listing forgets nothing; purging forgets exactly what is no longer listed.
    assert_eq!(store.list_revocations(at(0)).await.unwrap().len(), 3);
    assert_eq!(store.purge_revocations(at(999)).await.unwrap(), 0);
    assert_eq!(store.purge_revocations(at(2000)).await.unwrap(), 2);
    assert_eq!(backend.open().await.list_revocations(at(0)).await.unwrap(), [of_token(2, 1, 3000)]);
    assert_eq!(store.purge_revocations(at(2000)).await.unwrap(), 0);
}

pub(crate) async fn writers_race(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..32_u8)
        .map(|n| {
            let store = handles[usize::from(n % 2)].clone();
            tokio::spawn(async move {
                store.revoke(&of_client("same", n.into(), 9000 - i64::from(n))).await.unwrap();
                store.revoke(&of_token(n.into(), 1, 9000)).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = handles[0].list_revocations(at(0)).await.unwrap();
    assert_eq!(all.len(), 33);
    assert!(all.contains(&of_client("same", 31, 9000)));
    assert_eq!(handles[1].versions().await.unwrap().revocations, 64);
}
