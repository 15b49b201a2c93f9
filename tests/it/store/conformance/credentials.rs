//! Rules for permanent tokens and application passwords.

use hubgate::{
    base::time::Timestamp,
    model::credential::{PermanentToken, Use},
    store::{SharedStore, StoreError, credentials::CredentialUse},
};

use super::{
    Backend,
    samples::{
        application, at, known_password, known_token, of_client, of_session, of_user, other_application,
        other_permanent, permanent, service, service_id, token_id, user, user_id,
    },
};

const HUB: &str = "0-0-0-0-0";

/// Users `a` and `b`, services `x` and `y`.
async fn filled(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    for id in ["x", "y"] {
        store.register_service(&service(id, id)).await.unwrap();
    }
    store
}

async fn ids(store: &SharedStore, user: &str) -> Vec<u8> {
    let user = user_id(user);
    let tokens = store.list_permanent_tokens(&user).await.unwrap().into_iter().map(|token| token.id);
    let passwords = store.list_application_passwords(&user).await.unwrap();
    let ids = tokens.chain(passwords.into_iter().map(|password| password.id));
    ids.map(|id| id.as_bytes()[0]).collect()
}

/// What the gate would know of all of them, by id.
async fn known(store: &SharedStore) -> Vec<u8> {
    let mut ids: Vec<u8> =
        store.credentials(0).await.unwrap().changed.iter().map(|known| known.id.as_bytes()[0]).collect();
    ids.sort_unstable();
    ids
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = filled(backend).await;
    let tokens = [
        permanent(1, "a", &["x"]),
        other_permanent(2, "a", &[HUB, "x", "y"]),
        permanent(3, "b", &["y"]),
        permanent(4, "a", &["x"]),
    ];
    for token in &tokens {
        store.add_permanent_token(token).await.unwrap();
    }
    let passwords = [application(5, "a"), other_application(6, "a"), application(7, "b")];
    for password in &passwords {
        store.add_application_password(password).await.unwrap();
    }
    let store = backend.open().await;
    // The newest first, then by id.
    let [one, two, three, four] = tokens;
    assert_eq!(store.list_permanent_tokens(&user_id("a")).await.unwrap(), [one, four, two]);
    assert_eq!(store.list_permanent_tokens(&user_id("b")).await.unwrap(), [three]);
    let [five, six, seven] = passwords;
    assert_eq!(store.list_application_passwords(&user_id("a")).await.unwrap(), [six, five]);
    assert_eq!(store.list_application_passwords(&user_id("b")).await.unwrap(), [seven]);
    assert_eq!(store.list_application_passwords(&user_id("c")).await.unwrap(), []);
    // A scope is a set.
    store.add_permanent_token(&permanent(8, "b", &["y", "x", "y"])).await.unwrap();
    let found = store.list_permanent_tokens(&user_id("b")).await.unwrap();
    assert!(found.contains(&permanent(8, "b", &["x", "y"])));
}

pub(crate) async fn are_refused_without_a_trace(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.add_permanent_token(&permanent(1, "a", &["x"])).await.unwrap();
    store.add_application_password(&application(2, "a")).await.unwrap();
    let before = store.versions().await.unwrap();
    let not_found = |outcome: Result<(), StoreError>, kind: &str| match outcome {
        Err(StoreError::NotFound { what }) => assert_eq!(what, kind),
        other => panic!("{other:?}"),
    };
    not_found(store.add_permanent_token(&permanent(3, "c", &["x"])).await, "user");
    not_found(store.add_permanent_token(&permanent(3, "a", &["x", "z"])).await, "service");
    not_found(store.add_permanent_token(&permanent(3, "a", &[])).await, "service");
    not_found(store.add_application_password(&application(3, "c")).await, "user");
    let same_digest = |number, of: u8| PermanentToken {
        digest: permanent(of, "a", &[]).digest,
        ..permanent(number, "b", &["y"])
    };
    for taken in [permanent(1, "b", &["y"]), permanent(2, "b", &["y"]), same_digest(3, 1), same_digest(3, 2)]
    {
        let refused = store.add_permanent_token(&taken).await.unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    }
    for taken in [application(1, "b"), application(2, "b")] {
        let refused = store.add_application_password(&taken).await.unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    }
    assert_eq!(store.versions().await.unwrap(), before);
    let store = backend.open().await;
    assert_eq!((ids(&store, "a").await, ids(&store, "b").await), (vec![1, 2], vec![]));
}

pub(crate) async fn are_taken_back_by_their_owner(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.add_permanent_token(&permanent(1, "a", &["x"])).await.unwrap();
    store.add_application_password(&application(2, "a")).await.unwrap();
    let (a, b) = (user_id("a"), user_id("b"));
    // One's own only, and by the verb of its kind.
    assert!(!store.remove_permanent_token(&b, &token_id(1)).await.unwrap());
    assert!(!store.remove_application_password(&b, &token_id(2)).await.unwrap());
    assert!(!store.remove_permanent_token(&a, &token_id(2)).await.unwrap());
    assert!(!store.remove_application_password(&a, &token_id(1)).await.unwrap());
    assert_eq!(known(&store).await, [1, 2]);
    assert!(store.remove_permanent_token(&a, &token_id(1)).await.unwrap());
    assert!(store.remove_application_password(&a, &token_id(2)).await.unwrap());
    assert!(!store.remove_permanent_token(&a, &token_id(1)).await.unwrap());
    assert!(!store.remove_application_password(&a, &token_id(2)).await.unwrap());
    let store = backend.open().await;
    assert_eq!((ids(&store, "a").await, known(&store).await), (vec![], vec![]));
}

pub(crate) async fn die_with_their_user(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.add_permanent_token(&permanent(1, "a", &["x"])).await.unwrap();
    store.add_application_password(&application(2, "a")).await.unwrap();
    store.add_permanent_token(&permanent(3, "b", &["x"])).await.unwrap();
    let since = store.credentials(0).await.unwrap().version;
    store.remove_user(&user_id("a"), &of_user("a", 2000)).await.unwrap();
    // The gate hears of it: somebody who comes with the same id must not inherit them.
    let mut removed = store.credentials(since).await.unwrap().removed;
    removed.sort_by_key(|digest| *digest.as_bytes());
    let mut expected = [permanent(1, "a", &[]).digest, application(2, "a").digest];
    expected.sort_by_key(|digest| *digest.as_bytes());
    assert_eq!(removed, expected);
    store.add_user(&user("a", "a")).await.unwrap();
    let store = backend.open().await;
    assert_eq!((ids(&store, "a").await, known(&store).await), (vec![], vec![3]));
}

pub(crate) async fn end_with_the_password_or_stay(backend: &dyn Backend) {
    let store = filled(backend).await;
    for (number, user) in [(1, "a"), (2, "b")] {
        store.add_permanent_token(&permanent(number, user, &["x"])).await.unwrap();
        store.add_application_password(&application(number + 2, user)).await.unwrap();
    }
    // Neither a session's end nor a client's has to do with them.
    store.revoke(&of_session("s", 2000)).await.unwrap();
    store.revoke(&of_client("x", 2000, 9000)).await.unwrap();
    assert_eq!(known(&store).await, [1, 2, 3, 4]);
    store.revoke(&of_user("a", 2000)).await.unwrap();
    assert_eq!((ids(&store, "a").await, ids(&store, "b").await), (vec![1], vec![2, 4]));
    store.change_user(&user_id("b"), &|_| {}, Some(&of_user("b", 2000))).await.unwrap();
    assert_eq!(ids(&store, "b").await, [2]);
    // What was judged before comes too late; what is made from then on does not.
    let late = store.add_application_password(&application(5, "a")).await.unwrap_err();
    assert!(matches!(late, StoreError::NotFound { what: "user" }), "{late:?}");
    let mut anew = application(6, "a");
    anew.created = at(2000);
    store.add_application_password(&anew).await.unwrap();
    store.add_permanent_token(&permanent(7, "a", &["x"])).await.unwrap();
    assert_eq!(ids(&backend.open().await, "a").await, [1, 7, 6]);
}

pub(crate) async fn leave_services_that_are_gone(backend: &dyn Backend) {
    let store = filled(backend).await;
    for (number, scope) in [(1, &["x"][..]), (2, &["x", "y"]), (3, &["y"]), (4, &[HUB, "x"])] {
        store.add_permanent_token(&permanent(number, "a", scope)).await.unwrap();
    }
    let since = store.credentials(0).await.unwrap().version;
    store.remove_service(&service_id("x"), &of_client("x", 2000, 9000)).await.unwrap();
    let store = backend.open().await;
    let left = [permanent(2, "a", &["y"]), permanent(3, "a", &["y"]), permanent(4, "a", &[HUB])];
    assert_eq!(store.list_permanent_tokens(&user_id("a")).await.unwrap(), left);
    let mut told = store.credentials(since).await.unwrap();
    told.changed.sort_by_key(|known| known.id);
    assert_eq!(told.changed, [known_token(&left[0]), known_token(&left[2])]);
    assert_eq!(told.removed, [permanent(1, "a", &[]).digest]);
    // A service of the same id that comes later is another.
    store.register_service(&service("x", "x")).await.unwrap();
    assert_eq!(store.list_permanent_tokens(&user_id("a")).await.unwrap(), left);
}

pub(crate) async fn remember_their_last_use(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.add_permanent_token(&permanent(1, "a", &["x"])).await.unwrap();
    store.add_application_password(&application(2, "a")).await.unwrap();
    let once = |number, millis, from: Option<&str>| CredentialUse {
        id: token_id(number),
        at: at(millis),
        source: from.map(|from| (from.to_owned(), format!("agent at {from}"))),
    };
    let uses = [once(1, 3000, None), once(2, 3000, Some("192.0.2.1")), once(9, 3000, None)];
    store.note_uses(&uses).await.unwrap();
    // Not an earlier one.
    store.note_uses(&[once(1, 2000, None), once(2, 2000, Some("192.0.2.2"))]).await.unwrap();
    store.note_uses(&[]).await.unwrap();
    let store = backend.open().await;
    let found = async || {
        let tokens = store.list_permanent_tokens(&user_id("a")).await.unwrap();
        let passwords = store.list_application_passwords(&user_id("a")).await.unwrap();
        (tokens[0].used, passwords[0].used.clone())
    };
    let by = |at: Timestamp, from: &str| {
        Some(Use { at, address: from.into(), user_agent: format!("agent at {from}") })
    };
    assert_eq!(found().await, (Some(at(3000)), by(at(3000), "192.0.2.1")));
    store.note_uses(&[once(1, 4000, None), once(2, 4000, Some("192.0.2.3"))]).await.unwrap();
    assert_eq!(found().await, (Some(at(4000)), by(at(4000), "192.0.2.3")));
    store.note_uses(&[once(2, 5000, None)]).await.unwrap();
    assert_eq!(found().await.1, by(at(5000), "192.0.2.3"));
}

pub(crate) async fn are_told_to_the_gate(backend: &dyn Backend) {
    let store = filled(backend).await;
    assert_eq!(store.credentials(0).await.unwrap().changed, []);
    let (token, password) = (permanent(1, "a", &["x", "y"]), application(2, "b"));
    store.add_permanent_token(&token).await.unwrap();
    let first = store.credentials(0).await.unwrap();
    assert_eq!((first.changed, first.removed), (vec![known_token(&token)], vec![]));
    assert_eq!(first.version, store.versions().await.unwrap().credentials);
    store.add_application_password(&password).await.unwrap();
    let second = store.credentials(first.version).await.unwrap();
    assert_eq!((second.changed, second.removed), (vec![known_password(&password)], vec![]));
    store.remove_permanent_token(&user_id("a"), &token.id).await.unwrap();
    let third = backend.open().await.credentials(second.version).await.unwrap();
    assert_eq!((third.changed, third.removed), (vec![], vec![token.digest]));
    // What is taken away and comes back is there.
    store.add_permanent_token(&token).await.unwrap();
    let fourth = store.credentials(second.version).await.unwrap();
    assert_eq!((fourth.changed, fourth.removed), (vec![known_token(&token)], vec![]));
    let nothing = store.credentials(fourth.version).await.unwrap();
    assert_eq!((nothing.changed, nothing.removed), (vec![], vec![]));
}

pub(crate) async fn start_anew_with_an_unknown_number(backend: &dyn Backend) {
    let store = filled(backend).await;
    let token = permanent(1, "a", &["x"]);
    store.add_permanent_token(&token).await.unwrap();
    store.remove_permanent_token(&user_id("a"), &token.id).await.unwrap();
    store.add_permanent_token(&permanent(2, "a", &["x"])).await.unwrap();
    let all = store.credentials(0).await.unwrap();
    assert_eq!(store.credentials(all.version + 1).await.unwrap(), all);
    assert_eq!((all.changed.len(), all.removed.len()), (1, 0));
}

/// A token is for services that exist, whoever is first.
pub(crate) async fn race_with_the_end_of_a_service(backend: &dyn Backend) {
    let (one, other) = (filled(backend).await, backend.open().await);
    for number in 1..20 {
        let id = format!("r{number}");
        one.register_service(&service(&id, &id)).await.unwrap();
        let token = permanent(number, "a", &[&id]);
        let (id, revocation) = (service_id(&id), of_client(&id, 2000, 9000));
        let (added, removed) =
            tokio::join!(one.add_permanent_token(&token), other.remove_service(&id, &revocation));
        removed.unwrap();
        assert!(matches!(added, Ok(()) | Err(StoreError::NotFound { what: "service" })), "{added:?}");
    }
    assert_eq!(ids(&one, "a").await, Vec::<u8>::new());
}
