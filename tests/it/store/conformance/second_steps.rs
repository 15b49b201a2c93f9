//! Rules for second steps and recovery codes.

use hubgate::{
    crypto::digest::TokenDigest,
    model::second_step::SecondStep,
    store::{SharedStore, Store, StoreError},
};

use super::{
    Backend,
    samples::{at, digest, of_user, user, user_id},
};

fn step(user: &str, secret: &[u8]) -> SecondStep {
    SecondStep { user: user_id(user), secret: secret.to_vec(), since: at(1000), spent: 7, codes_left: 0 }
}

fn codes(names: &[&str]) -> Vec<TokenDigest> {
    names.iter().map(|name| digest(name)).collect()
}

/// Of users `a` and `b`, `a` has a second step with the codes `1` and `2`.
async fn with_one(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    store.add_second_step(&step("a", b"one"), &codes(&["1", "2"])).await.unwrap();
    store
}

async fn read(store: &dyn Store, user: &str) -> Option<SecondStep> {
    store.find_second_step(&user_id(user)).await.unwrap()
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    with_one(backend).await;
    let store = backend.open().await;
    assert_eq!(read(&*store, "a").await, Some(SecondStep { codes_left: 2, ..step("a", b"one") }));
    assert_eq!(read(&*store, "b").await, None);
    assert_eq!(read(&*store, "none").await, None);
    let extreme = SecondStep { since: at(i64::MIN), spent: i64::MAX, ..step("b", &[0; 300]) };
    store.add_second_step(&extreme, &[]).await.unwrap();
    assert_eq!(read(&*store, "b").await, Some(extreme));
}

pub(crate) async fn are_refused_without_a_trace(backend: &dyn Backend) {
    let store = with_one(backend).await;
    let refused = [
        store.add_second_step(&step("a", b"two"), &codes(&["3"])).await,
        store.add_second_step(&step("b", b"one"), &codes(&["3"])).await,
        store.add_second_step(&step("b", b"two"), &codes(&["3", "2"])).await,
        store.add_second_step(&step("b", b"two"), &codes(&["3", "3"])).await,
    ];
    for refusal in refused {
        assert!(matches!(refusal, Err(StoreError::Conflict { what: "second step", .. })), "{refusal:?}");
    }
    let refusal = store.add_second_step(&step("c", b"two"), &codes(&["3"])).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
    let refusal = store.replace_recovery_codes(&user_id("a"), &codes(&["4", "4"])).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { .. })), "{refusal:?}");
    assert_eq!(read(&*store, "a").await, Some(SecondStep { codes_left: 2, ..step("a", b"one") }));
    assert_eq!(read(&*store, "b").await, None);
    store.add_second_step(&step("b", b"two"), &codes(&["3", "4"])).await.unwrap();
}

pub(crate) async fn spend_a_time_step_once(backend: &dyn Backend) {
    let store = with_one(backend).await;
    let one = step("a", b"one");
    let other = backend.open().await;
    for (spent, good) in [(6, false), (7, false), (9, true), (9, false), (8, false), (10, true)] {
        assert_eq!(store.spend_time_step(&one, spent).await.unwrap(), good, "{spent}");
        assert!(!other.spend_time_step(&one, spent).await.unwrap(), "{spent}");
    }
    assert_eq!(read(&*other, "a").await.unwrap().spent, 10);
    // Not for one that is not there, or no longer the one that was read.
    assert!(!store.spend_time_step(&step("a", b"two"), 20).await.unwrap());
    assert!(!store.spend_time_step(&step("b", b"one"), 20).await.unwrap());
    assert_eq!(read(&*store, "a").await.unwrap().spent, 10);
}

pub(crate) async fn spend_a_recovery_code_once(backend: &dyn Backend) {
    let store = with_one(backend).await;
    store.add_second_step(&step("b", b"two"), &codes(&["3"])).await.unwrap();
    let spend =
        async |step: SecondStep, code: &str| store.spend_recovery_code(&step, &digest(code)).await.unwrap();
    assert!(!spend(step("a", b"one"), "3").await, "another's");
    assert!(!spend(step("a", b"two"), "1").await, "another second step");
    assert!(!spend(step("a", b"one"), "9").await);
    assert!(spend(step("a", b"one"), "1").await);
    assert!(!spend(step("a", b"one"), "1").await);
    assert_eq!(read(&*store, "a").await.unwrap().codes_left, 1);
    assert!(store.replace_recovery_codes(&user_id("a"), &codes(&["1", "5"])).await.unwrap());
    assert!(!spend(step("a", b"one"), "2").await, "those from before are gone");
    assert!(spend(step("a", b"one"), "1").await && spend(step("a", b"one"), "5").await);
    assert!(!store.replace_recovery_codes(&user_id("none"), &codes(&["6"])).await.unwrap());
}

pub(crate) async fn race(backend: &dyn Backend) {
    let store = with_one(backend).await;
    let other = backend.open().await;
    let tries = (0..16).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let one = step("a", b"one");
            let time = store.spend_time_step(&one, 100).await.unwrap();
            (time, store.spend_recovery_code(&one, &digest("1")).await.unwrap())
        })
    });
    let mut good = (0, 0);
    for one in tries.collect::<Vec<_>>() {
        let (time, code) = one.await.unwrap();
        good = (good.0 + i32::from(time), good.1 + i32::from(code));
    }
    assert_eq!(good, (1, 1));
}

pub(crate) async fn end_with_everything_of_theirs(backend: &dyn Backend) {
    let store = with_one(backend).await;
    assert!(store.remove_second_step(&user_id("a")).await.unwrap());
    assert!(!store.remove_second_step(&user_id("a")).await.unwrap());
    assert_eq!(read(&*store, "a").await, None);
    let mut round = 0;
    loop {
        // The same codes can be had again: nothing of them was left.
        store.add_second_step(&step("b", b"one"), &codes(&["1", "2"])).await.unwrap();
        match round {
            0 => drop(store.erase_user(&user_id("b"), "erased-b", &of_user("b", 20)).await.unwrap()),
            1 => store.remove_user(&user_id("b"), &of_user("b", 30)).await.unwrap(),
            2 => {
                drop(
                    store.merge_user(&user_id("b"), &user_id("a"), at(40), &of_user("b", 40)).await.unwrap(),
                );
            }
            _ => break,
        }
        assert_eq!(read(&*store, "b").await, None, "{round}");
        if round > 0 {
            store.add_user(&user("b", "b")).await.unwrap();
        }
        round += 1;
    }
}
