//! Rules for groups.

use hubgate::{
    model::user::{Group, User},
    store::{Rule, StoreError},
};

use super::{
    Backend,
    samples::{at, group, group_id, member, user, user_id},
};

fn is_conflict(result: &Result<(), StoreError>, field: &str) -> bool {
    matches!(result, Err(StoreError::Conflict { what: "group", field: f }) if *f == field)
}

fn is_missing(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { what: "group" }))
}

fn other_group(id: &str, name: &str) -> Group {
    Group {
        description: Some("\0 'x'; DROP TABLE user_groups; --".into()),
        icon_url: Some("\0 \u{202e}".into()),
        auto_join: true,
        created: at(i64::MIN),
        updated: at(i64::MAX),
        ..group(id, name)
    }
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let groups = [group("1", ""), other_group("2", "Ⅷ \u{202e}"), other_group("3", &"x".repeat(100_000))];
    let store = backend.open().await;
    for group in &groups {
        store.add_group(group).await.unwrap();
    }
    let store = backend.open().await;
    for group in &groups {
        assert_eq!(store.find_group(&group.id).await.unwrap().as_ref(), Some(group));
    }
    // Everything changes but the id.
    for changed in [other_group("1", "One"), group("1", "ONE")] {
        store.update_group(&changed).await.unwrap();
        assert_eq!(backend.open().await.find_group(&changed.id).await.unwrap(), Some(changed));
    }
    assert_eq!(store.find_group(&group_id("2")).await.unwrap().as_ref(), Some(&groups[1]));
    assert_eq!(store.find_group(&group_id("4")).await.unwrap(), None);
}

pub(crate) async fn are_listed_by_name(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.list_groups().await.unwrap(), vec![]);
    for (id, name) in [("1", "zeta"), ("2", "Éa"), ("3", "alpha"), ("4", "Beta")] {
        store.add_group(&group(id, name)).await.unwrap();
    }
    let names: Vec<_> = store.list_groups().await.unwrap().into_iter().map(|g| g.name).collect();
    assert_eq!(names, ["alpha", "Beta", "zeta", "Éa"]);
}

pub(crate) async fn refusals_change_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    let (one, two) = (group("1", "Größe"), group("2", "Two"));
    store.add_group(&one).await.unwrap();
    store.add_group(&two).await.unwrap();
    assert!(is_conflict(&store.add_group(&other_group("1", "Three")).await, "id"));
    assert!(is_conflict(&store.add_group(&other_group("3", "GRÖSSE")).await, "name"));
    assert!(is_conflict(&store.update_group(&other_group("2", "grösse")).await, "name"));
    assert!(is_missing(&store.update_group(&group("3", "Three")).await));
    assert!(is_missing(&store.remove_group(&group_id("3")).await));
    assert_eq!(backend.open().await.list_groups().await.unwrap(), [one, two]);
}

pub(crate) async fn have_members(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_group(&group("h", "H")).await.unwrap();
    let (anna, bert) = (member("2", "Anna", &["g", "h"]), member("1", "bert", &["g"]));
    for user in [&anna, &bert, &user("3", "carl")] {
        store.add_user(user).await.unwrap();
    }
    assert_eq!(store.list_members(&group_id("g")).await.unwrap(), [anna.clone(), bert]);
    assert_eq!(store.list_members(&group_id("h")).await.unwrap(), [anna]);
    assert_eq!(store.list_members(&group_id("none")).await.unwrap(), vec![]);
    store.change_user(&user_id("2"), &|u| u.groups.clear(), None).await.unwrap();
    assert_eq!(backend.open().await.list_members(&group_id("h")).await.unwrap(), vec![]);
}

pub(crate) async fn removal_leaves_the_members(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_group(&group("h", "H")).await.unwrap();
    store.add_user(&member("1", "one", &["g", "h"])).await.unwrap();
    store.remove_group(&group_id("g")).await.unwrap();

    let store = backend.open().await;
    assert_eq!(store.list_users().await.unwrap(), [member("1", "one", &["h"])]);
    assert_eq!(store.list_groups().await.unwrap(), [group("h", "H")]);
    // Its id and name are free, and the successor has no members.
    store.add_group(&other_group("g", "g")).await.unwrap();
    assert_eq!(store.list_members(&group_id("g")).await.unwrap(), vec![]);
}

pub(crate) async fn new_users_are_put_into(backend: &dyn Backend) {
    let store = backend.open().await;
    for joined in [group("g", "G"), Group { auto_join: true, ..group("h", "H") }, group("i", "I")] {
        store.add_group(&joined).await.unwrap();
    }
    store.add_user(&member("new", "new", &["g"])).await.unwrap();
    store.add_user(&User { declared: true, ..member("declared", "declared", &["g"]) }).await.unwrap();
    store.add_user(&User { guest: true, ..user("guest", "guest") }).await.unwrap();
    // A change of the group, or of the user, puts nobody in.
    store.update_group(&Group { auto_join: true, ..group("i", "I") }).await.unwrap();
    store.change_user(&user_id("new"), &|u| u.name = "New".into(), None).await.unwrap();
    let groups = async |id: &str| store.find_user(&user_id(id)).await.unwrap().unwrap().groups;
    assert_eq!(groups("new").await, [group_id("g"), group_id("h")]);
    assert_eq!(groups("declared").await, [group_id("g")]);
    assert_eq!(groups("guest").await, []);
    let heard = store.people(0).await.unwrap().changed;
    assert_eq!(heard.iter().find(|p| p.id.as_str() == "new").unwrap().groups, ["G", "H"]);
}

pub(crate) async fn that_of_all_users_stands_alone(backend: &dyn Backend) {
    let store = backend.open().await;
    let all = Group { all_users: true, ..group("all", "All") };
    store.add_group(&all).await.unwrap();
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_user(&user("u", "u")).await.unwrap();
    let below_all = |id: &str| Group { parent: Some(group_id("all")), ..group(id, id) };
    let join = |user: &mut User| user.groups = vec![group_id("all")];
    for refusal in [
        store.remove_group(&group_id("all")).await,
        store.add_group(&below_all("h")).await,
        store.update_group(&below_all("g")).await,
        store.update_group(&Group { parent: Some(group_id("g")), ..all.clone() }).await,
        store.update_group(&Group { auto_join: true, ..all.clone() }).await,
        store.add_user(&member("v", "v", &["all"])).await,
        store.change_user(&user_id("u"), &join, None).await.map(drop),
    ] {
        assert!(matches!(refusal, Err(StoreError::Against(Rule::AllUsers))), "{refusal:?}");
    }
    assert!(is_conflict(&store.add_group(&Group { all_users: true, ..group("x", "x") }).await, "all_users"));
    // Its name may change, its nature does not; nor does another become one.
    store.update_group(&group("all", "Everybody")).await.unwrap();
    store.update_group(&Group { all_users: true, ..group("g", "G") }).await.unwrap();
    let expected = [Group { name: "Everybody".into(), ..all }, group("g", "G")];
    assert_eq!(backend.open().await.list_groups().await.unwrap(), expected);
    assert_eq!(store.people(0).await.unwrap().changed[0].groups, Vec::<String>::new());
}
