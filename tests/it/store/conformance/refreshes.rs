//! Rules for refresh tokens and the grants that they make up.

use std::time::Duration;

use hubgate::{
    model::grant::RefreshToken,
    store::{
        Store, StoreError,
        grants::{RefreshState, Rotation},
    },
};

use super::{
    Backend,
    codes::with_users,
    samples::{at, code, digest, grant, grant_id, of_grant, other_grant, refresh, user_id},
};

async fn is_there(store: &dyn Store, name: &str) -> bool {
    store.find_refresh(&digest(name)).await.unwrap().is_some()
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let (one, two) = (grant("1", "a", "yt"), other_grant("2", "b", "0-0-0-0-0"));
    let (first, second) = (
        refresh("r1", "1"),
        RefreshToken { created: at(i64::MIN), expires: at(i64::MAX), ..refresh("r2", "2") },
    );
    store.add_grant(&one, &first).await.unwrap();
    store.add_grant(&two, &second).await.unwrap();
    let store = backend.open().await;
    for (token, grant) in [(first, one), (second, two)] {
        assert_eq!(store.find_grant(&grant.id).await.unwrap().as_ref(), Some(&grant));
        let found = store.find_refresh(&token.digest).await.unwrap();
        assert_eq!(found, Some((token, grant, RefreshState::Live)));
    }
    assert!(!is_there(&*store, "none").await);
    assert_eq!(store.find_grant(&grant_id("none")).await.unwrap(), None);
    assert_eq!(store.find_code(&digest("r1")).await.unwrap(), None, "a refresh token is no code");
}

pub(crate) async fn are_refused_without_a_trace(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.add_grant(&grant("1", "a", "yt"), &refresh("r1", "1")).await.unwrap();
    let refusal = store.add_grant(&grant("1", "b", "yt"), &refresh("r2", "1")).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { what: "grant", .. })), "{refusal:?}");
    let refusal = store.add_grant(&grant("2", "b", "yt"), &refresh("r1", "2")).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { what: "refresh token", .. })), "{refusal:?}");
    let refusal = store.add_grant(&grant("2", "b", "yt"), &refresh("r2", "1")).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "grant" })), "{refusal:?}");
    let refusal = store.add_grant(&grant("2", "nobody", "yt"), &refresh("r2", "2")).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
    assert_eq!(store.find_grant(&grant_id("2")).await.unwrap(), None);
    assert!(!is_there(&*store, "r2").await);
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap(), Some(grant("1", "a", "yt")));
}

pub(crate) async fn are_spent_once(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.add_grant(&grant("1", "a", "yt"), &refresh("r1", "1")).await.unwrap();
    let successor = refresh("r2", "1");
    let rotate = |name: &'static str, answer: &'static [u8], now| {
        let (store, successor) = (store.clone(), refresh(name, "1"));
        async move { store.rotate_refresh(&digest("r1"), &successor, answer, at(now)).await.unwrap() }
    };
    assert_eq!(rotate("r2", b"\0sealed\xff", 2000).await, Rotation::First);
    let spent = Rotation::Spent { at: at(2000), answer: Some(b"\0sealed\xff".to_vec()) };
    assert_eq!(rotate("r3", b"other", 3000).await, spent);
    assert_eq!(rotate("r2", b"other", 3000).await, spent);

    let store = backend.open().await;
    let state = |found: Option<(RefreshToken, _, RefreshState)>| found.unwrap().2;
    let first = state(store.find_refresh(&digest("r1")).await.unwrap());
    assert_eq!(first, RefreshState::Spent { at: at(2000), answer: Some(b"\0sealed\xff".to_vec()) });
    let found = store.find_refresh(&successor.digest).await.unwrap();
    assert_eq!(found, Some((successor, grant("1", "a", "yt"), RefreshState::Live)));
    assert!(!is_there(&*store, "r3").await);
    // A chain.
    let next = refresh("r4", "1");
    assert_eq!(store.rotate_refresh(&digest("r2"), &next, b"", at(4000)).await.unwrap(), Rotation::First);
    assert_eq!(state(store.find_refresh(&digest("r4")).await.unwrap()), RefreshState::Live);
    // A successor that another has already spends nothing.
    let refusal = store.rotate_refresh(&digest("r4"), &refresh("r1", "1"), b"", at(5000)).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { what: "refresh token", .. })), "{refusal:?}");
    assert_eq!(state(store.find_refresh(&digest("r4")).await.unwrap()), RefreshState::Live);
    let unknown = store.rotate_refresh(&digest("none"), &refresh("r5", "1"), b"", at(5000)).await.unwrap();
    assert_eq!(unknown, Rotation::Unknown);
}

/// One token fifty times at once, by two processes: one rotates, the others hear its answer.
pub(crate) async fn rotations_race(backend: &dyn Backend) {
    let handles = [with_users(backend).await, backend.open().await];
    handles[0].add_grant(&grant("1", "a", "yt"), &refresh("r0", "1")).await.unwrap();
    let mut current = "r0".to_owned();
    for round in 1..=5 {
        let tasks: Vec<_> = (0..50_usize)
            .map(|n| {
                let (store, current) = (handles[n % 2].clone(), current.clone());
                tokio::spawn(async move {
                    let name = format!("r{round} {n}");
                    let now = at(round * 1000 + i64::try_from(n).unwrap());
                    let rotated = store
                        .rotate_refresh(&digest(&current), &refresh(&name, "1"), name.as_bytes(), now)
                        .await
                        .unwrap();
                    (name, now, rotated)
                })
            })
            .collect();
        let (mut first, mut answers) = (vec![], vec![]);
        for task in tasks {
            match task.await.unwrap() {
                (name, now, Rotation::First) => first.push((name, now)),
                (_, _, Rotation::Spent { at, answer }) => answers.push((answer.unwrap(), at)),
                (_, _, Rotation::Unknown) => panic!("it was there"),
            }
        }
        let [(winner, when)] = &first[..] else { panic!("{first:?}") };
        assert_eq!(answers.len(), 49);
        assert!(answers.iter().all(|answer| *answer == (winner.clone().into_bytes(), *when)), "{answers:?}");
        let live = handles[1].list_grants(&user_id("a")).await.unwrap();
        assert_eq!(live.len(), 1);
        for n in 0..50 {
            let name = format!("r{round} {n}");
            assert_eq!(is_there(&*handles[0], &name).await, name == *winner);
        }
        current = winner.clone();
    }
}

pub(crate) async fn of_another_grant_are_unknown(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for (id, name) in [("1", "r1"), ("2", "r2")] {
        store.add_grant(&grant(id, "a", "yt"), &refresh(name, id)).await.unwrap();
    }
    let stranger = refresh("r3", "2");
    let rotated = store.rotate_refresh(&digest("r1"), &stranger, b"", at(2000)).await.unwrap();
    assert_eq!(rotated, Rotation::Unknown);
    assert!(!is_there(&*store, "r3").await);
    let found = store.find_refresh(&digest("r1")).await.unwrap().unwrap();
    assert_eq!(found.2, RefreshState::Live);
}

pub(crate) async fn make_the_grants_of_a_user(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for (id, user, created) in [("1", "a", 10), ("2", "a", 30), ("3", "b", 20), ("4", "a", 20)] {
        let token = RefreshToken { created: at(created), ..refresh(&format!("r{id}"), id) };
        store.add_grant(&grant(id, user, "yt"), &token).await.unwrap();
    }
    store.add_code(&code(grant("5", "a", "yt"))).await.unwrap();
    // A rotation makes a grant newer.
    let token = RefreshToken { created: at(40), ..refresh("r5", "1") };
    store.rotate_refresh(&digest("r1"), &token, b"", at(40)).await.unwrap();
    let listed: Vec<_> = backend
        .open()
        .await
        .list_grants(&user_id("a"))
        .await
        .unwrap()
        .into_iter()
        .map(|(grant, made)| (grant.id.to_string(), made.millis()))
        .collect();
    assert_eq!(listed, [("1".to_owned(), 40), ("2".to_owned(), 30), ("4".to_owned(), 20)]);
    assert_eq!(store.list_grants(&user_id("c")).await.unwrap(), vec![]);
}

pub(crate) async fn die_with_their_grant(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for id in ["1", "2"] {
        store.add_grant(&grant(id, "a", "yt"), &refresh(&format!("r{id}"), id)).await.unwrap();
    }
    store.rotate_refresh(&digest("r1"), &refresh("s1", "1"), b"answer", at(2000)).await.unwrap();
    store.revoke(&of_grant("1", 3000)).await.unwrap();
    let store = backend.open().await;
    for spent_or_live in ["r1", "s1"] {
        assert!(!is_there(&*store, spent_or_live).await);
        let next = refresh("next", "1");
        let rotated = store.rotate_refresh(&digest(spent_or_live), &next, b"", at(4000)).await.unwrap();
        assert_eq!(rotated, Rotation::Unknown);
        assert!(!is_there(&*store, "next").await);
    }
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap(), None);
    assert!(is_there(&*store, "r2").await);
}

pub(crate) async fn purge_takes_what_is_over(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let window = Duration::from_millis(100);
    store.add_grant(&grant("1", "a", "yt"), &refresh("r1", "1")).await.unwrap();
    let second = RefreshToken { expires: at(9500), ..refresh("r2", "1") };
    store.rotate_refresh(&digest("r1"), &second, b"answer", at(2000)).await.unwrap();
    store
        .add_grant(&grant("2", "a", "yt"), &RefreshToken { expires: at(9200), ..refresh("s", "2") })
        .await
        .unwrap();

    let answer = async || match store.find_refresh(&digest("r1")).await.unwrap().unwrap().2 {
        RefreshState::Spent { at: when, answer } if when == at(2000) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(store.purge_grants(window, at(2099)).await.unwrap(), 0);
    assert!(answer().await.is_some());
    // The answer goes, and the token stays spent.
    assert_eq!(store.purge_grants(window, at(2100)).await.unwrap(), 0);
    assert_eq!(answer().await, None);
    let again = store.rotate_refresh(&digest("r1"), &refresh("x", "1"), b"", at(3000)).await.unwrap();
    assert_eq!(again, Rotation::Spent { at: at(2000), answer: None });

    assert_eq!(store.purge_grants(window, at(8999)).await.unwrap(), 0);
    assert_eq!(store.purge_grants(window, at(9000)).await.unwrap(), 1);
    assert!(!is_there(&*store, "r1").await && is_there(&*store, "r2").await);
    assert!(store.find_grant(&grant_id("1")).await.unwrap().is_some());
    // The last token and its grant.
    assert_eq!(store.purge_grants(window, at(9200)).await.unwrap(), 2);
    assert_eq!(store.find_grant(&grant_id("2")).await.unwrap(), None);
    assert_eq!(store.purge_grants(window, at(9500)).await.unwrap(), 2);
    assert_eq!(store.list_grants(&user_id("a")).await.unwrap(), vec![]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}
