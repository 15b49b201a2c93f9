//! Rules for authorization codes.

use hubgate::{
    base::time::Timestamp,
    model::{
        grant::{Challenge, ChallengeMethod},
        revocation::{LONGEST_TOKEN_LIFE, Revocation, RevocationTarget},
    },
    store::{
        SharedStore, StoreError,
        grants::{Exchange, RefreshState},
    },
};

use super::{
    Backend,
    samples::{at, code, digest, grant, grant_id, of_grant, other_code, other_grant, refresh, user, user_id},
};

pub(crate) async fn with_users(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    store
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let mut plain = other_code(grant("3", "a", "yt"));
    plain.challenge = Some(Challenge { method: ChallengeMethod::Plain, value: String::new() });
    let codes = [code(grant("1", "a", "yt")), other_code(other_grant("2", "b", "0-0-0-0-0")), plain];
    for code in &codes {
        store.add_code(code).await.unwrap();
    }
    let store = backend.open().await;
    for code in &codes {
        assert_eq!(store.find_code(&code.digest).await.unwrap(), Some((code.clone(), false)));
        // The grant is not there yet.
        assert_eq!(store.find_grant(&code.grant.id).await.unwrap(), None);
    }
    assert_eq!(store.find_code(&digest("none")).await.unwrap(), None);
    assert_eq!(store.find_refresh(&digest("1")).await.unwrap(), None, "a code is no refresh token");
    assert_eq!(store.find_session(&digest("1")).await.unwrap(), None, "a code is no session");
}

pub(crate) async fn are_refused_without_a_trace(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let first = code(grant("1", "a", "yt"));
    store.add_code(&first).await.unwrap();
    let same_digest = hubgate::model::grant::AuthorizationCode {
        digest: first.digest,
        ..other_code(grant("2", "a", "yt"))
    };
    let mut same_grant = other_code(grant("1", "b", "yt"));
    same_grant.digest = digest("2");
    for second in [same_digest, same_grant] {
        let refusal = store.add_code(&second).await;
        assert!(matches!(refusal, Err(StoreError::Conflict { what: "code", field: "id" })), "{refusal:?}");
    }
    let refusal = store.add_code(&code(grant("3", "nobody", "yt"))).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
    assert_eq!(store.find_code(&digest("1")).await.unwrap(), Some((first, false)));
    assert_eq!(store.find_code(&digest("2")).await.unwrap(), None);
    assert_eq!(store.find_code(&digest("3")).await.unwrap(), None);
}

pub(crate) async fn are_used_once(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let (one, two) = (code(grant("1", "a", "yt")), code(grant("2", "a", "yt")));
    store.add_code(&one).await.unwrap();
    store.add_code(&two).await.unwrap();
    assert_eq!(store.exchange_code(&one.digest, None, at(2000)).await.unwrap(), Exchange::First);
    let store = backend.open().await;
    assert_eq!(store.find_code(&one.digest).await.unwrap(), Some((one, true)));
    assert_eq!(store.find_code(&two.digest).await.unwrap(), Some((two, false)));
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap(), None, "nothing asks for it");
    assert_eq!(store.exchange_code(&digest("none"), None, at(2000)).await.unwrap(), Exchange::Unknown);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}

pub(crate) async fn bring_their_grant_into_being(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let code = other_code(other_grant("1", "a", "yt"));
    store.add_code(&code).await.unwrap();
    let token = refresh("r", "1");
    assert_eq!(store.exchange_code(&code.digest, Some(&token), at(2000)).await.unwrap(), Exchange::First);
    let store = backend.open().await;
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap().as_ref(), Some(&code.grant));
    let found = store.find_refresh(&token.digest).await.unwrap();
    assert_eq!(found, Some((token, code.grant, RefreshState::Live)));
}

pub(crate) async fn revoke_when_replayed(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for id in ["1", "2"] {
        let code = code(grant(id, "a", "yt"));
        store.add_code(&code).await.unwrap();
        let token = refresh(&format!("r{id}"), id);
        store.exchange_code(&code.digest, Some(&token), at(2000)).await.unwrap();
    }
    let again = refresh("again", "1");
    assert_eq!(store.exchange_code(&digest("1"), Some(&again), at(3000)).await.unwrap(), Exchange::Replayed);
    let store = backend.open().await;
    let revocation = Revocation::at(at(3000), RevocationTarget::Grant(grant_id("1")));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [revocation]);
    for name in ["r1", "again"] {
        assert_eq!(store.find_refresh(&digest(name)).await.unwrap(), None, "{name}");
    }
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap(), None);
    assert_eq!(store.exchange_code(&digest("1"), None, at(4000)).await.unwrap(), Exchange::Unknown);
    // The other family is untouched.
    assert!(store.find_refresh(&digest("r2")).await.unwrap().is_some());
    assert_eq!(store.versions().await.unwrap().revocations, 1);
}

pub(crate) async fn replay_of_nothing_offline_revokes_too(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.add_code(&code(grant("1", "a", "yt"))).await.unwrap();
    store.exchange_code(&digest("1"), None, at(2000)).await.unwrap();
    assert_eq!(store.exchange_code(&digest("1"), None, at(3000)).await.unwrap(), Exchange::Replayed);
    let revocation = Revocation::at(at(3000), RevocationTarget::Grant(grant_id("1")));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [revocation]);
    // What is revoked cannot be added again under the same id.
    let mut same = code(grant("1", "a", "yt"));
    same.digest = digest("new");
    let refusal = store.add_code(&same).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "grant" })), "{refusal:?}");
}

/// One code a hundred times at once, by two processes: one use, and the family is dead afterwards.
pub(crate) async fn exchanges_race(backend: &dyn Backend) {
    let handles = [with_users(backend).await, backend.open().await];
    for round in 0..5 {
        let id = format!("g{round}");
        handles[0].add_code(&code(grant(&id, "a", "yt"))).await.unwrap();
        let tasks: Vec<_> = (0..100_usize)
            .map(|n| {
                let (store, id) = (handles[n % 2].clone(), id.clone());
                tokio::spawn(async move {
                    let token = refresh(&format!("{id} {n}"), &id);
                    store.exchange_code(&digest(&id), Some(&token), at(2000)).await.unwrap()
                })
            })
            .collect();
        let (mut first, mut replayed) = (0, 0);
        for task in tasks {
            match task.await.unwrap() {
                Exchange::First => first += 1,
                Exchange::Replayed => replayed += 1,
                Exchange::Unknown => {}
            }
        }
        assert_eq!((first, replayed), (1, 1));
        for n in 0..100 {
            assert_eq!(handles[n % 2].find_refresh(&digest(&format!("{id} {n}"))).await.unwrap(), None);
        }
    }
    assert_eq!(handles[0].list_grants(&user_id("a")).await.unwrap(), vec![]);
}

pub(crate) async fn of_another_grant_are_not_exchanged(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.add_code(&code(grant("1", "a", "yt"))).await.unwrap();
    let refusal = store.exchange_code(&digest("1"), Some(&refresh("r", "2")), at(2000)).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "grant" })), "{refusal:?}");
    // Nothing was spent by that; nor by a token that another has.
    assert!(!store.find_code(&digest("1")).await.unwrap().unwrap().1);
    store.add_grant(&grant("3", "a", "yt"), &refresh("taken", "3")).await.unwrap();
    let refusal = store.exchange_code(&digest("1"), Some(&refresh("taken", "1")), at(2000)).await;
    assert!(matches!(refusal, Err(StoreError::Conflict { what: "refresh token", .. })), "{refusal:?}");
    assert!(!store.find_code(&digest("1")).await.unwrap().unwrap().1);
    assert_eq!(store.find_grant(&grant_id("1")).await.unwrap(), None);
    let token = refresh("r", "1");
    assert_eq!(store.exchange_code(&digest("1"), Some(&token), at(2000)).await.unwrap(), Exchange::First);
}

pub(crate) async fn purge_takes_what_is_over(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let window = std::time::Duration::ZERO;
    for (id, expires) in [("1", 5000), ("2", 6000)] {
        let code =
            hubgate::model::grant::AuthorizationCode { expires: at(expires), ..code(grant(id, "a", "yt")) };
        store.add_code(&code).await.unwrap();
    }
    store.exchange_code(&digest("1"), None, at(2000)).await.unwrap();
    // Expired is not over: a second use must still be seen to be one, while a token of the first may live.
    let over: Timestamp = at(5000).plus(LONGEST_TOKEN_LIFE);
    assert_eq!(store.purge_grants(window, at(over.millis() - 1)).await.unwrap(), 0);
    assert!(store.find_code(&digest("1")).await.unwrap().is_some());
    assert_eq!(store.purge_grants(window, over).await.unwrap(), 1);
    assert_eq!(store.find_code(&digest("1")).await.unwrap(), None);
    assert!(store.find_code(&digest("2")).await.unwrap().is_some());
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
    store.revoke(&of_grant("2", 1)).await.unwrap();
    assert_eq!(store.purge_grants(window, at(i64::MAX)).await.unwrap(), 0);
}
