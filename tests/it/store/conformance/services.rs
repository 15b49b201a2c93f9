//! Rules for services.

use std::time::Duration;

use hubgate::{
    crypto::digest::SecretDigest,
    model::{
        grant::Grant,
        revocation::Revocation,
        service::{Service, StoredSecret},
    },
    store::{Store, StoreError},
};

use super::{
    Backend,
    samples::{
        at, code, digest, grant, grant_id, long_service, of_client, of_token, other_service, refresh,
        service, service_id, user,
    },
};

fn is_conflict(result: &Result<(), StoreError>, field: &str) -> bool {
    matches!(result, Err(StoreError::Conflict { what: "service", field: f }) if *f == field)
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.list_services().await.unwrap().into_iter().map(|s| s.name).collect()
}

pub(crate) async fn comes_back_as_it_was(backend: &dyn Backend) {
    let services = [
        service("plain", "Plain"),
        other_service("0-0-0-0-0", "Ⅷ Ünïcödé \0 \u{202e}\u{fffd} 'x'; DROP TABLE services; --"),
        long_service(),
        service("nameless", ""),
    ];
    let store = backend.open().await;
    for service in &services {
        store.register_service(service).await.unwrap();
    }
    for handle in [store.clone(), backend.open().await] {
        for service in &services {
            assert_eq!(handle.find_service(&service.id).await.unwrap().as_ref(), Some(service));
        }
        let listed = handle.list_services().await.unwrap();
        assert_eq!(listed.len(), services.len());
        assert!(services.iter().all(|s| listed.contains(s)));
    }
    drop(store);
    let restarted = backend.open().await;
    assert_eq!(restarted.find_service(&services[1].id).await.unwrap().as_ref(), Some(&services[1]));
    assert_eq!(restarted.find_service(&service_id("absent")).await.unwrap(), None);
    assert_eq!(restarted.find_service(&service_id("PLAIN")).await.unwrap(), None);
}

pub(crate) async fn is_listed_by_name(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.list_services().await.unwrap(), vec![]);
    for (id, name) in [("1", "zeta"), ("2", "Éa"), ("3", "alpha"), ("4", "Beta"), ("5", "éb"), ("6", "B")] {
        store.register_service(&service(id, name)).await.unwrap();
    }
    assert_eq!(names(&*store).await, ["alpha", "B", "Beta", "zeta", "Éa", "éb"]);
}

pub(crate) async fn conflict_changes_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    let (first, second) = (service("one", "Größe ΟΔΟΣ"), service("two", "Two"));
    store.register_service(&first).await.unwrap();
    store.register_service(&second).await.unwrap();

    let same_id = other_service("one", "Another");
    assert!(is_conflict(&store.register_service(&same_id).await, "id"));
    for name in ["Größe ΟΔΟΣ", "GRÖSSE οδος", "größe οδοσ"] {
        assert!(is_conflict(&store.register_service(&other_service("three", name)).await, "name"), "{name}");
        assert!(is_conflict(&store.update_service(&other_service("two", name)).await, "name"), "{name}");
    }
    for handle in [store, backend.open().await] {
        assert_eq!(handle.list_services().await.unwrap(), [first.clone(), second.clone()]);
        // What was refused left no secret, no name and no lock behind.
        assert_eq!(handle.find_service(&service_id("three")).await.unwrap(), None);
        handle.register_service(&service("three", "Another")).await.unwrap();
        handle.remove_service(&service_id("three"), &of_client("three", 1, 2)).await.unwrap();
    }
}

pub(crate) async fn update_replaces_all(backend: &dyn Backend) {
    let store = backend.open().await;
    store.register_service(&service("one", "First")).await.unwrap();
    store.register_service(&service("two", "Two")).await.unwrap();
    // To the same name in capitals, with everything else different and no secret left; and back.
    for changed in [other_service("one", "FIRST"), service("one", "Renamed")] {
        store.update_service(&changed).await.unwrap();
        let elsewhere = backend.open().await;
        assert_eq!(elsewhere.find_service(&changed.id).await.unwrap(), Some(changed));
        let untouched = elsewhere.find_service(&service_id("two")).await.unwrap();
        assert_eq!(untouched, Some(service("two", "Two")));
    }
    store.register_service(&service("three", "first")).await.unwrap();
}

/// Ids and names both stand for a service in a scope, and mean one service each.
pub(crate) async fn ids_and_names_are_of_one_service(backend: &dyn Backend) {
    let store = backend.open().await;
    store.register_service(&service("one", "Uno")).await.unwrap();
    for (taken, field) in [
        (service("two", "ONE"), "name"),
        (service("two", "uno"), "name"),
        (service("uno", "Two"), "id"),
        (service("Uno", "Two"), "id"),
        (service("one", "Two"), "id"),
    ] {
        let refused = store.register_service(&taken).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Conflict { field: of, .. } if of == field),
            "{taken:?}: {refused}"
        );
    }
    // Its own id is a name that it may have.
    store.update_service(&service("one", "One")).await.unwrap();
    store.register_service(&service("uno", "Two")).await.unwrap();
    let refused = store.update_service(&service("uno", "one")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { field: "name", .. }), "{refused}");
}

pub(crate) async fn update_of_nothing_is_refused(backend: &dyn Backend) {
    let store = backend.open().await;
    let refusal = store.update_service(&service("ghost", "Ghost")).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "service" })), "{refusal:?}");
    assert_eq!(store.list_services().await.unwrap(), vec![]);
}

pub(crate) async fn removal_revokes(backend: &dyn Backend) {
    let store = backend.open().await;
    store.register_service(&service("gone", "Gone")).await.unwrap();
    store.register_service(&service("stays", "Stays")).await.unwrap();
    let revocation = of_client("gone", 2000, 9000);
    store.remove_service(&service_id("gone"), &revocation).await.unwrap();
    drop(store);

    let store = backend.open().await;
    assert_eq!(names(&*store).await, ["Stays"]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [revocation]);
    // Its id and name are free, and the successor does not inherit its secret.
    let successor = other_service("gone", "gone");
    store.register_service(&successor).await.unwrap();
    assert_eq!(store.find_service(&successor.id).await.unwrap(), Some(successor));
}

pub(crate) async fn removal_of_nothing_revokes_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    let refusal = store.remove_service(&service_id("ghost"), &of_client("ghost", 1, 9000)).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "service" })), "{refusal:?}");
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}

pub(crate) async fn secrets_in_grace_survive(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut service = service("rotating", "Rotating");
    store.register_service(&service).await.unwrap();
    service.rotate_secret(SecretDigest::of("second"), at(5000), Duration::from_secs(60));
    store.update_service(&service).await.unwrap();
    drop(store);

    let store = backend.open().await;
    let found = store.find_service(&service.id).await.unwrap().unwrap();
    let old = StoredSecret {
        expires: Some(at(65_000)),
        ..StoredSecret::current(SecretDigest::of("rotating"), at(1000))
    };
    assert_eq!(found.secrets, [StoredSecret::current(SecretDigest::of("second"), at(5000)), old]);
    assert_eq!(store.list_services().await.unwrap(), [found]);

    // The order is the record's, not that of any column.
    service.secrets = [7, 3, 9, 1].map(|n| StoredSecret::current(SecretDigest::of("same"), at(n))).into();
    store.update_service(&service).await.unwrap();
    assert_eq!(store.list_services().await.unwrap(), [service]);
}

/// What was bound to a secret is nobody's when there is none any more (RFC 6749 section 6).
pub(crate) async fn going_public_revokes(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_user(&user("a", "a")).await.unwrap();
    for id in ["one", "two"] {
        store.register_service(&service(id, id)).await.unwrap();
        store.add_grant(&grant(id, "a", id), &refresh(id, id)).await.unwrap();
        store.add_code(&code(grant(&format!("{id}c"), "a", id))).await.unwrap();
    }
    // A new secret, another name: what it has stays.
    let mut one = Service { name: "One".into(), updated: at(2000), ..service("one", "one") };
    one.rotate_secret(SecretDigest::of("new"), at(2000), Duration::ZERO);
    store.update_service(&one).await.unwrap();
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), []);
    assert!(store.find_grant(&grant_id("one")).await.unwrap().is_some());

    one.trust.public = true;
    one.secrets.clear();
    one.updated = at(3000);
    store.update_service(&one).await.unwrap();
    drop(store);
    let store = backend.open().await;
    let revoked = Revocation::at(at(3000), of_client("one", 0, 0).target);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), std::slice::from_ref(&revoked));
    assert_eq!(store.find_grant(&grant_id("one")).await.unwrap(), None);
    assert_eq!(store.find_refresh(&digest("one")).await.unwrap(), None);
    assert_eq!(store.find_code(&digest("onec")).await.unwrap(), None);
    assert!(store.find_grant(&grant_id("two")).await.unwrap().is_some(), "another's stays");

    // What it obtains as a public service stays when it is changed again, and when it gets a secret.
    let later = Grant { created: at(9000), ..grant("later", "a", "one") };
    store.add_grant(&later, &refresh("later", "later")).await.unwrap();
    for public in [true, false] {
        one.trust.public = public;
        one.updated = at(10_000);
        store.update_service(&one).await.unwrap();
    }
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [revoked]);
    assert_eq!(store.find_grant(&later.id).await.unwrap(), Some(later));
}

pub(crate) async fn what_was_changed_meanwhile_is_not_brought_back(backend: &dyn Backend) {
    let store = backend.open().await;
    let read = service("a", "A");
    store.register_service(&read).await.unwrap();
    let mut taken_away = read.clone();
    taken_away.trust.trusted = !read.trust.trusted;
    taken_away.rotate_secret(SecretDigest::of("new"), at(2000), Duration::ZERO);
    assert!(store.replace_service(&read, &taken_away).await.unwrap());
    let stale = Service { name: "Other".into(), ..read.clone() };
    assert!(!store.replace_service(&read, &stale).await.unwrap(), "it is no longer as it was read");
    let kept = store.find_service(&read.id).await.unwrap().unwrap();
    assert_eq!(kept, taken_away);
    assert!(store.replace_service(&kept, &Service { name: "Other".into(), ..kept.clone() }).await.unwrap());
    store.register_service(&service("b", "B")).await.unwrap();
    let now = store.find_service(&read.id).await.unwrap().unwrap();
    let taken = Service { name: "b".into(), ..now.clone() };
    assert!(is_conflict(&store.replace_service(&now, &taken).await.map(drop), "name"));
    let ghost = service("ghost", "Ghost");
    assert!(matches!(store.replace_service(&ghost, &ghost).await, Err(StoreError::NotFound { .. })));
}

pub(crate) async fn a_name_goes_to_one_of_many(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..32_usize)
        .map(|n| {
            let store = handles[n % handles.len()].clone();
            let name = if n % 3 == 0 { "WANTED" } else { "wanted" };
            tokio::spawn(async move { store.register_service(&service(&format!("s{n}"), name)).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => winners += 1,
            refusal => assert!(is_conflict(&refusal, "name"), "{refusal:?}"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(handles[0].list_services().await.unwrap().len(), 1);
    assert_eq!(handles[1].versions().await.unwrap().services, 1);
}

/// Writers, removers and readers at once: nobody sees half of a service, and every removal has its revocation.
pub(crate) async fn register_and_remove_race(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..16_usize)
        .map(|n| {
            let (store, reader) = (handles[n % 2].clone(), handles[(n + 1) % 2].clone());
            tokio::spawn(async move {
                let id = format!("s{n}");
                let whole = service(&id, &id);
                store.register_service(&whole).await.unwrap();
                assert_eq!(reader.find_service(&whole.id).await.unwrap().as_ref(), Some(&whole));
                assert!(reader.list_services().await.unwrap().iter().all(|s| s.secrets.len() == 1));
                reader.revoke(&of_token(n as u128, 1, 9000)).await.unwrap();
                reader.remove_service(&whole.id, &of_client(&id, 1, 9000)).await.unwrap();
                assert_eq!(store.find_service(&whole.id).await.unwrap(), None);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(handles[0].list_services().await.unwrap(), vec![]);
    assert_eq!(handles[0].list_revocations(at(0)).await.unwrap().len(), 32);
}
