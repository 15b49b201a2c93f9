//! Rules for what the gate hears of people.

use hubgate::{
    model::user::{Email, Person},
    store::{Store, people::People},
};

use super::{
    Backend,
    samples::{group, group_id, member, of_user, other_user, user, user_id},
};

/// A user who has only a login, as the gate knows it.
fn person(id: &str, groups: &[&str]) -> Person {
    Person {
        id: user_id(id),
        login: id.into(),
        name: String::new(),
        email: None,
        groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        banned: false,
        guest: false,
        administrator: false,
    }
}

async fn ids(store: &dyn Store, since: i64) -> (Vec<String>, Vec<String>) {
    let people = store.people(since).await.unwrap();
    let mut changed: Vec<_> = people.changed.iter().map(|p| p.id.to_string()).collect();
    let mut removed: Vec<_> = people.removed.iter().map(ToString::to_string).collect();
    changed.sort();
    removed.sort();
    (changed, removed)
}

async fn version(store: &dyn Store) -> i64 {
    store.versions().await.unwrap().users
}

pub(crate) async fn come_whole_at_first(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.people(0).await.unwrap(), People::default());
    store.add_group(&group("g", "Zeta")).await.unwrap();
    store.add_group(&group("h", "Alpha")).await.unwrap();
    store.add_user(&member("a", "a", &["g", "h"])).await.unwrap();
    let full = other_user("b", "b");
    store.add_user(&full).await.unwrap();

    let store = backend.open().await;
    let mut people = store.people(0).await.unwrap();
    people.changed.sort_by(|one, other| one.id.cmp(&other.id));
    let known = Person {
        name: full.name.clone(),
        email: Some(Email { address: "b@Mail.example".into(), verified: true }),
        banned: true,
        guest: true,
        administrator: true,
        ..person("b", &[])
    };
    let changed = vec![person("a", &["Alpha", "Zeta"]), known];
    assert_eq!(people, People { version: version(&*store).await, changed, removed: vec![] });
}

pub(crate) async fn come_when_they_change(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["a", "b", "c"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    let first = version(&*store).await;
    assert_eq!(ids(&*store, first).await, (vec![], vec![]));
    store.change_user(&user_id("b"), &|u| u.administrator = true, None).await.unwrap();
    let second = version(&*store).await;
    store.change_user(&user_id("c"), &|u| u.name = "C".into(), None).await.unwrap();

    assert_eq!(ids(&*store, first).await.0, ["b", "c"]);
    assert_eq!(ids(&*store, second).await.0, ["c"]);
    assert_eq!(ids(&*store, 0).await.0, ["a", "b", "c"]);
    assert!(store.people(first).await.unwrap().changed.iter().any(|p| p.administrator));
}

pub(crate) async fn change_with_their_groups(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_user(&member("a", "a", &["g"])).await.unwrap();
    store.add_user(&user("b", "b")).await.unwrap();

    let before = version(&*store).await;
    store.update_group(&group("g", "Renamed")).await.unwrap();
    assert_eq!(store.people(before).await.unwrap().changed, [person("a", &["Renamed"])]);

    let before = version(&*store).await;
    store.change_user(&user_id("b"), &|u| u.groups = vec![group_id("g")], None).await.unwrap();
    assert_eq!(store.people(before).await.unwrap().changed, [person("b", &["Renamed"])]);

    let before = version(&*store).await;
    store
        .update_group(&hubgate::model::user::Group { description: Some("d".into()), ..group("g", "Renamed") })
        .await
        .unwrap();
    assert_eq!(store.people(before).await.unwrap().changed, vec![], "nobody's groups have changed");

    let before = version(&*store).await;
    store.remove_group(&group_id("g")).await.unwrap();
    assert_eq!(ids(&*store, before).await.0, ["a", "b"]);
    assert!(store.people(before).await.unwrap().changed.iter().all(|p| p.groups.is_empty()));
}

pub(crate) async fn are_gone_when_removed(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    let before = version(&*store).await;
    store.remove_user(&user_id("a"), &of_user("a", 1)).await.unwrap();
    let between = version(&*store).await;
    store.remove_user(&user_id("b"), &of_user("b", 1)).await.unwrap();
    let store = backend.open().await;
    assert_eq!(ids(&*store, before).await, (vec![], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(ids(&*store, between).await.1, ["b"]);
    // Whoever knows nobody need not hear who is gone.
    assert_eq!(ids(&*store, 0).await, (vec![], vec![]));

    // Who comes back is there again.
    store.add_user(&user("a", "a")).await.unwrap();
    assert_eq!(ids(&*store, before).await, (vec!["a".to_owned()], vec!["b".to_owned()]));
    store.remove_user(&user_id("a"), &of_user("a", 2)).await.unwrap();
    assert_eq!(ids(&*store, before).await.1, ["a", "b"]);
}

pub(crate) async fn start_anew_with_an_unknown_number(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_user(&user("a", "a")).await.unwrap();
    let now = version(&*store).await;
    let people = store.people(now + 1000).await.unwrap();
    assert_eq!((people.version, people.changed), (now, vec![person("a", &[])]));
}

/// Whoever asks again and again misses nobody, whatever is written meanwhile.
pub(crate) async fn are_read_with_their_number(backend: &dyn Backend) {
    let (writer, reader) = (backend.open().await, backend.open().await);
    let writing = tokio::spawn(async move {
        for n in 0..60 {
            let id = format!("u{n}");
            writer.add_user(&user(&id, &id)).await.unwrap();
            if n % 2 == 0 {
                writer.remove_user(&user_id(&id), &of_user(&id, 1)).await.unwrap();
            }
        }
    });
    let mut known = std::collections::BTreeSet::new();
    let mut since = 0;
    loop {
        let done = writing.is_finished();
        let people = reader.people(since).await.unwrap();
        known.extend(people.changed.iter().map(|p| p.id.clone()));
        for gone in &people.removed {
            known.remove(gone);
        }
        assert!(people.version >= since);
        since = people.version;
        if done {
            break;
        }
    }
    writing.await.unwrap();
    assert_eq!(since, 90);
    let there: std::collections::BTreeSet<_> =
        reader.list_users().await.unwrap().into_iter().map(|u| u.id).collect();
    assert_eq!(known, there);
    assert_eq!(there.len(), 30);
}
