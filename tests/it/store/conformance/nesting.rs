//! Rules for groups that are below groups.

use hubgate::{
    model::user::Group,
    store::{Rule, Store, StoreError, people::DEEPEST_NESTING},
};

use super::{
    Backend,
    samples::{group, group_id, member, user_id},
};

fn below(id: &str, parent: &str) -> Group {
    Group { parent: Some(group_id(parent)), ..group(id, id) }
}

fn is_against<T>(result: &Result<T, StoreError>, rule: Rule) -> bool {
    matches!(result, Err(StoreError::Against(broken)) if *broken == rule)
}

/// Names of the groups of a user, as the gate hears them.
async fn heard(store: &dyn Store, id: &str) -> Vec<String> {
    let people = store.people(0).await.unwrap();
    people.changed.into_iter().find(|person| person.id.as_str() == id).unwrap().groups
}

/// `a` above `b` above `c`, and `d` for itself; somebody in each.
async fn a_tree(backend: &dyn Backend) -> hubgate::store::SharedStore {
    let store = backend.open().await;
    store.add_group(&group("a", "a")).await.unwrap();
    store.add_group(&below("b", "a")).await.unwrap();
    store.add_group(&below("c", "b")).await.unwrap();
    store.add_group(&group("d", "d")).await.unwrap();
    for id in ["a", "b", "c", "d"] {
        let user = format!("in-{id}");
        store.add_user(&member(&user, &user, &[id])).await.unwrap();
    }
    store
}

pub(crate) async fn reaches_upwards(backend: &dyn Backend) {
    let store = a_tree(backend).await;
    assert_eq!(store.find_group(&group_id("c")).await.unwrap(), Some(below("c", "b")));
    for (user, groups) in
        [("in-a", vec!["a"]), ("in-b", vec!["a", "b"]), ("in-c", vec!["a", "b", "c"]), ("in-d", vec!["d"])]
    {
        assert_eq!(heard(&*store, user).await, groups, "{user}");
    }
    // By two ways into the same group: named once.
    store.change_user(&user_id("in-c"), &|u| u.groups.push(group_id("a")), None).await.unwrap();
    assert_eq!(heard(&*store, "in-c").await, ["a", "b", "c"]);
    // What one was put into is told as it is.
    let c = store.find_user(&user_id("in-c")).await.unwrap().unwrap();
    assert_eq!(c.groups, [group_id("a"), group_id("c")]);
    assert_eq!(store.list_members(&group_id("b")).await.unwrap().len(), 1);
}

pub(crate) async fn is_a_change_of_who_is_in_it(backend: &dyn Backend) {
    let store = a_tree(backend).await;
    let changed = async |since: i64| {
        let mut ids: Vec<String> =
            store.people(since).await.unwrap().changed.iter().map(|p| p.id.to_string()).collect();
        ids.sort();
        ids
    };
    let version = async || store.versions().await.unwrap().users;

    let before = version().await;
    store.update_group(&below("b", "d")).await.unwrap();
    assert_eq!(changed(before).await, ["in-b", "in-c"]);
    assert_eq!(heard(&*store, "in-c").await, ["b", "c", "d"]);

    let before = version().await;
    store.update_group(&Group { name: "renamed".into(), ..group("d", "d") }).await.unwrap();
    assert_eq!(changed(before).await, ["in-b", "in-c", "in-d"]);
    assert_eq!(heard(&*store, "in-c").await, ["b", "c", "renamed"]);

    let before = version().await;
    store.update_group(&group("b", "b")).await.unwrap();
    assert_eq!(changed(before).await, ["in-b", "in-c"]);
    assert_eq!(heard(&*store, "in-b").await, ["b"]);

    let before = version().await;
    store.update_group(&Group { description: Some("x".into()), ..group("b", "b") }).await.unwrap();
    assert_eq!(changed(before).await, Vec::<String>::new());
}

pub(crate) async fn has_no_cycle(backend: &dyn Backend) {
    let store = a_tree(backend).await;
    for (id, parent) in [("a", "a"), ("a", "b"), ("a", "c"), ("b", "c")] {
        let refusal = store.update_group(&below(id, parent)).await;
        assert!(is_against(&refusal, Rule::Cycle), "{id} below {parent}: {refusal:?}");
    }
    let refusal = store.add_group(&below("e", "e")).await;
    assert!(is_against(&refusal, Rule::Cycle), "{refusal:?}");
    for refusal in [store.add_group(&below("e", "none")).await, store.update_group(&below("d", "none")).await]
    {
        assert!(matches!(refusal, Err(StoreError::NotFound { what: "group" })), "{refusal:?}");
    }
    assert_eq!(store.find_group(&group_id("e")).await.unwrap(), None);
    assert_eq!(heard(&*store, "in-c").await, ["a", "b", "c"]);
    assert_eq!(heard(&*store, "in-a").await, ["a"]);
}

pub(crate) async fn is_bounded(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("0", "0")).await.unwrap();
    for n in 1..DEEPEST_NESTING {
        store.add_group(&below(&n.to_string(), &(n - 1).to_string())).await.unwrap();
    }
    let last = (DEEPEST_NESTING - 1).to_string();
    assert!(is_against(&store.add_group(&below("x", &last)).await, Rule::Nesting));
    // Nor can what has something below it be put there, nor something above what is that deep.
    store.add_group(&group("y", "y")).await.unwrap();
    assert!(is_against(&store.update_group(&below("0", "y")).await, Rule::Nesting));
    store.add_user(&member("u", "u", &[&last])).await.unwrap();
    assert_eq!(heard(&*store, "u").await.len(), DEEPEST_NESTING);
}

/// What was had by way of a group goes with it.
pub(crate) async fn ends_with_the_group_between(backend: &dyn Backend) {
    let store = a_tree(backend).await;
    let before = store.versions().await.unwrap().users;
    store.remove_group(&group_id("b")).await.unwrap();
    assert_eq!(heard(&*store, "in-c").await, ["c"]);
    assert_eq!(heard(&*store, "in-b").await, Vec::<String>::new());
    assert_eq!(store.people(before).await.unwrap().changed.len(), 2);
    assert_eq!(backend.open().await.find_group(&group_id("c")).await.unwrap(), Some(group("c", "c")));
    // Where it stood, another can stand.
    store.update_group(&below("a", "c")).await.unwrap();
    assert_eq!(heard(&*store, "in-a").await, ["a", "c"]);
}

/// Two that are put below one another at once: one of them comes first.
pub(crate) async fn race_makes_no_cycle(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    for round in 0..10 {
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        handles[0].add_group(&group(&one, &one)).await.unwrap();
        handles[0].add_group(&group(&other, &other)).await.unwrap();
        let (first, second) = (below(&one, &other), below(&other, &one));
        let outcomes = tokio::join!(handles[0].update_group(&first), handles[1].update_group(&second));
        let refused = [&outcomes.0, &outcomes.1].into_iter().filter(|o| is_against(o, Rule::Cycle)).count();
        assert_eq!(refused, 1, "{outcomes:?}");
    }
}
