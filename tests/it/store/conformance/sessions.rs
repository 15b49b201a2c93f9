//! Rules for sessions.

use std::time::Duration;

use hubgate::{
    model::session::{Session, SessionLife},
    store::{SharedStore, Store, StoreError},
};

use super::{
    Backend,
    samples::{at, digest, of_client, of_session, of_user, session, session_id, user, user_id},
};

async fn with_users(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    store
}

/// Which of these sessions are found by their digest, which is that of their id.
async fn found(store: &dyn Store, ids: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for id in ids {
        if let Some((session, _)) = store.find_session(&digest(id)).await.unwrap() {
            found.push(session.id.to_string());
        }
    }
    found
}

async fn begin(store: &dyn Store, id: &str, user: &str, began: i64) {
    store.begin_session(&session(id, user, began), &digest(id), None).await.unwrap();
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let full = Session {
        authenticated: at(i64::MIN),
        used: at(i64::MAX),
        remember: true,
        user_agent: "\0 Ⅷ \u{202e}'; --".repeat(20),
        address: String::new(),
        ..session("full", "b", 0)
    };
    begin(&*store, "plain", "a", 10).await;
    store.begin_session(&full, &digest("cookie"), None).await.unwrap();
    let store = backend.open().await;
    let plain = (session("plain", "a", 10), user("a", "a"));
    assert_eq!(store.find_session(&digest("plain")).await.unwrap(), Some(plain));
    assert_eq!(store.find_session(&digest("cookie")).await.unwrap(), Some((full, user("b", "b"))));
    assert_eq!(store.find_session(&digest("full")).await.unwrap(), None, "the id opens nothing");
    for (id, cookie) in [("plain", "other"), ("other", "plain")] {
        let refusal = store.begin_session(&session(id, "b", 20), &digest(cookie), None).await;
        assert!(matches!(refusal, Err(StoreError::Conflict { what: "session", field: "id" })), "{refusal:?}");
    }
    assert_eq!(store.list_sessions(&user_id("b")).await.unwrap().len(), 1);
}

pub(crate) async fn belong_to_a_user(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for (id, began) in [("1", 10), ("2", 30), ("3", 20)] {
        begin(&*store, id, "a", began).await;
    }
    begin(&*store, "4", "b", 5).await;
    let listed: Vec<_> =
        store.list_sessions(&user_id("a")).await.unwrap().into_iter().map(|s| s.id.to_string()).collect();
    assert_eq!(listed, ["2", "3", "1"]);
    assert_eq!(store.list_sessions(&user_id("c")).await.unwrap(), vec![]);
    // The user comes as it is now, banned or not.
    store.change_user(&user_id("b"), &|u| u.name = "B".into(), None).await.unwrap();
    assert_eq!(store.find_session(&digest("4")).await.unwrap().unwrap().1.name, "B");
    let refusal = store.begin_session(&session("5", "c", 10), &digest("5"), None).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
}

pub(crate) async fn are_replaced(backend: &dyn Backend) {
    let store = with_users(backend).await;
    begin(&*store, "1", "a", 10).await;
    let replaced = session_id("1");
    store.begin_session(&session("2", "a", 20), &digest("2"), Some((&replaced, None))).await.unwrap();
    assert_eq!(found(&*store, &["1", "2"]).await, ["2"]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);

    let (replaced, revocation) = (session_id("2"), of_session("2", 30));
    let to_other = Some((&replaced, Some(&revocation)));
    store.begin_session(&session("3", "b", 30), &digest("3"), to_other).await.unwrap();
    let store = backend.open().await;
    assert_eq!(found(&*store, &["1", "2", "3"]).await, ["3"]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [revocation]);

    // The revocation is of what came before: it does not end the session that it comes with.
    let (replaced, revocation) = (session_id("3"), of_user("b", 40));
    let to_itself = Some((&replaced, Some(&revocation)));
    store.begin_session(&session("4", "b", 40), &digest("4"), to_itself).await.unwrap();
    assert_eq!(found(&*store, &["3", "4"]).await, ["4"]);

    // One that is refused replaces nothing.
    let (replaced, revocation) = (session_id("4"), of_session("4", 50));
    let to_nobody = Some((&replaced, Some(&revocation)));
    assert!(store.begin_session(&session("5", "c", 50), &digest("5"), to_nobody).await.is_err());
    assert!(store.begin_session(&session("4", "b", 50), &digest("5"), None).await.is_err());
    assert_eq!(found(&*store, &["4", "5"]).await, ["4"]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap().len(), 2);
}

pub(crate) async fn end_once(backend: &dyn Backend) {
    let handles = [with_users(backend).await, backend.open().await];
    begin(&*handles[0], "1", "a", 10).await;
    begin(&*handles[0], "2", "a", 10).await;
    let tasks: Vec<_> = (0..16_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            tokio::spawn(
                async move { store.end_session(&session_id("1"), &of_session("1", 20)).await.unwrap() },
            )
        })
        .collect();
    let mut ended = 0;
    for task in tasks {
        ended += usize::from(task.await.unwrap());
    }
    assert_eq!(ended, 1);
    assert_eq!(found(&*handles[1], &["1", "2"]).await, ["2"]);
    assert!(!handles[0].end_session(&session_id("3"), &of_session("3", 20)).await.unwrap());
    assert_eq!(handles[1].list_revocations(at(0)).await.unwrap(), [of_session("1", 20)]);
}

pub(crate) async fn remember_their_last_use(backend: &dyn Backend) {
    let store = with_users(backend).await;
    begin(&*store, "1", "a", 10).await;
    begin(&*store, "2", "a", 10).await;
    for (used, address) in [(30, "198.51.100.1"), (20, "203.0.113.1")] {
        store.touch_session(&session_id("1"), at(used), address).await.unwrap();
    }
    let (touched, _) = backend.open().await.find_session(&digest("1")).await.unwrap().unwrap();
    let expected = Session { used: at(30), address: "198.51.100.1".into(), ..session("1", "a", 10) };
    assert_eq!(touched, expected);
    assert_eq!(store.find_session(&digest("2")).await.unwrap().unwrap().0, session("2", "a", 10));
    assert!(store.end_session(&session_id("1"), &of_session("1", 40)).await.unwrap());
    store.touch_session(&session_id("1"), at(50), "a").await.unwrap();
    assert_eq!(store.find_session(&digest("1")).await.unwrap(), None);
}

pub(crate) async fn die_with_their_user(backend: &dyn Backend) {
    let store = with_users(backend).await;
    for (id, user) in [("1", "a"), ("2", "a"), ("3", "b")] {
        begin(&*store, id, user, 10).await;
    }
    // Of the other kinds only a session's own revocation ends it, by whichever method that comes.
    store.revoke(&of_client("a", 20, 9000)).await.unwrap();
    store.revoke(&of_session("2", 20)).await.unwrap();
    assert_eq!(found(&*store, &["1", "2", "3"]).await, ["1", "3"]);
    store.revoke(&of_user("a", 20)).await.unwrap();
    assert_eq!(found(&*store, &["1", "2", "3"]).await, ["3"]);
    store.remove_user(&user_id("b"), &of_user("b", 20)).await.unwrap();
    assert_eq!(found(&*backend.open().await, &["1", "2", "3"]).await, Vec::<String>::new());
}

pub(crate) async fn do_not_begin_after_a_revocation(backend: &dyn Backend) {
    let store = with_users(backend).await;
    store.revoke(&of_user("a", 20)).await.unwrap();
    let refusal = store.begin_session(&session("1", "a", 19), &digest("1"), None).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "user" })), "{refusal:?}");
    // Whoever proves anew who they are is let in, in the very moment of the revocation too.
    begin(&*store, "2", "a", 20).await;
    begin(&*store, "3", "b", 10).await;
    assert_eq!(found(&*store, &["1", "2", "3"]).await, ["2", "3"]);
}

pub(crate) async fn purge_takes_what_is_over(backend: &dyn Backend) {
    let store = with_users(backend).await;
    let life = SessionLife { idle: Duration::from_millis(100), absolute: Duration::from_millis(1000) };
    begin(&*store, "1", "a", 0).await;
    begin(&*store, "2", "a", 0).await;
    begin(&*store, "3", "b", 900).await;
    store.touch_session(&session_id("2"), at(950), "").await.unwrap();
    for (now, purged, left) in
        [(99, 0, &["1", "2", "3"][..]), (100, 1, &["2", "3"]), (999, 0, &["2", "3"]), (1000, 2, &[])]
    {
        assert_eq!(store.purge_sessions(life, at(now)).await.unwrap(), purged, "at {now}");
        assert_eq!(found(&*store, &["1", "2", "3"]).await, left, "at {now}");
    }
    // Forgetting is no revocation.
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
    // More than one statement takes.
    for n in 0..1100 {
        begin(&*store, &n.to_string(), "a", 2000).await;
    }
    assert_eq!(store.purge_sessions(life, at(2100)).await.unwrap(), 1100);
    assert_eq!(store.list_sessions(&user_id("a")).await.unwrap(), vec![]);
}
