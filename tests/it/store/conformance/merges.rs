//! Rules for what takes a record out in favour of another, for erasing, and for who may administer.

use hubgate::{
    model::user::{Ban, Group, User},
    store::{Rule, StoreError},
};

use super::{
    Backend,
    samples::{
        at, consent, digest, group, group_id, member, of_user, other_user, reachable, session, user, user_id,
    },
};

fn is_against<T>(result: &Result<T, StoreError>, rule: Rule) -> bool {
    matches!(result, Err(StoreError::Against(broken)) if *broken == rule)
}

fn is_missing<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { .. }))
}

fn administrator(id: &str) -> User {
    User { administrator: true, ..user(id, id) }
}

pub(crate) async fn of_users_move_memberships(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["g", "h"] {
        store.add_group(&group(id, id)).await.unwrap();
    }
    let gone = User { administrator: true, ..member("old", "old", &["g", "h"]) };
    store.add_user(&gone).await.unwrap();
    store.add_user(&administrator("root")).await.unwrap();
    store.add_user(&member("new", "new", &["h"])).await.unwrap();
    store.begin_session(&session("s", "old", 10), &digest("s"), None).await.unwrap();
    let before = store.versions().await.unwrap().users;
    let merged =
        store.merge_user(&user_id("old"), &user_id("new"), at(30), &of_user("old", 20)).await.unwrap();
    let expected = User { updated: at(30), ..member("new", "new", &["g", "h"]) };
    assert_eq!(merged, expected, "memberships, and no right besides");

    let store = backend.open().await;
    assert_eq!(store.find_user(&user_id("new")).await.unwrap(), Some(expected));
    assert_eq!(store.find_user(&user_id("old")).await.unwrap(), None);
    assert_eq!(store.find_session(&digest("s")).await.unwrap(), None);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [of_user("old", 20)]);
    let people = store.people(before).await.unwrap();
    assert_eq!(people.removed, [user_id("old")]);
    assert_eq!(people.changed[0].groups, ["g", "h"]);
    // A declared user is in the groups that the file names.
    store.add_user(&User { declared: true, ..user("declared", "declared") }).await.unwrap();
    let kept =
        store.merge_user(&user_id("new"), &user_id("declared"), at(40), &of_user("new", 40)).await.unwrap();
    assert_eq!(kept.groups, []);
}

pub(crate) async fn of_users_are_refused(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "g")).await.unwrap();
    store.add_user(&member("a", "a", &["g"])).await.unwrap();
    store.add_user(&user("b", "b")).await.unwrap();
    store.add_user(&administrator("root")).await.unwrap();
    store.add_user(&User { guest: true, ..user("guest", "guest") }).await.unwrap();
    for (from, into, rule) in [
        ("a", "a", Rule::Itself),
        ("guest", "a", Rule::Guest),
        ("a", "guest", Rule::Guest),
        ("root", "a", Rule::LastAdministrator),
    ] {
        let refusal = store.merge_user(&user_id(from), &user_id(into), at(9), &of_user(from, 9)).await;
        assert!(is_against(&refusal, rule), "{from} into {into}: {refusal:?}");
    }
    for (from, into) in [("none", "a"), ("a", "none")] {
        let refusal = store.merge_user(&user_id(from), &user_id(into), at(9), &of_user(from, 9)).await;
        assert!(is_missing(&refusal), "{refusal:?}");
    }
    assert_eq!(store.find_user(&user_id("a")).await.unwrap(), Some(member("a", "a", &["g"])));
    assert_eq!(store.find_user(&user_id("b")).await.unwrap(), Some(user("b", "b")));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), []);
}

pub(crate) async fn of_groups_move_what_is_in_them(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["top", "old", "new"] {
        store.add_group(&group(id, id)).await.unwrap();
    }
    let below = |id: &str, parent: &str| Group { parent: Some(group_id(parent)), ..group(id, id) };
    store.update_group(&below("old", "top")).await.unwrap();
    store.add_group(&below("sub", "old")).await.unwrap();
    for (id, of) in [("1", "old"), ("2", "new"), ("3", "sub")] {
        store.add_user(&member(id, id, &[of])).await.unwrap();
    }
    store.add_user(&member("4", "4", &["new", "old"])).await.unwrap();
    let before = store.versions().await.unwrap().users;
    store.merge_group(&group_id("old"), &group_id("new")).await.unwrap();

    let store = backend.open().await;
    assert_eq!(store.find_group(&group_id("old")).await.unwrap(), None);
    assert_eq!(store.find_group(&group_id("sub")).await.unwrap(), Some(below("sub", "new")));
    let people = store.people(before).await.unwrap().changed;
    let mut groups: Vec<_> = people.iter().map(|p| (p.id.as_str(), p.groups.join(" "))).collect();
    groups.sort();
    let expected = [("1", "new"), ("3", "new sub"), ("4", "new")].map(|(id, of)| (id, of.to_owned()));
    assert_eq!(groups, expected);
}

pub(crate) async fn of_groups_are_refused(backend: &dyn Backend) {
    let store = backend.open().await;
    let all = Group { all_users: true, ..group("all", "all") };
    let sub = Group { parent: Some(group_id("a")), ..group("sub", "sub") };
    for group in [&all, &group("a", "a"), &sub] {
        store.add_group(group).await.unwrap();
    }
    store.add_user(&member("u", "u", &["a"])).await.unwrap();
    let merge = async |from: &str, into: &str| store.merge_group(&group_id(from), &group_id(into)).await;
    assert!(is_against(&merge("a", "a").await, Rule::Itself));
    assert!(is_against(&merge("a", "sub").await, Rule::Cycle));
    assert!(is_against(&merge("all", "a").await, Rule::AllUsers));
    assert!(is_missing(&merge("a", "none").await) && is_missing(&merge("none", "a").await));
    assert_eq!(store.find_group(&group_id("sub")).await.unwrap(), Some(sub));
    assert_eq!(store.list_members(&group_id("a")).await.unwrap().len(), 1);
    // Everybody is in the group of all users already.
    merge("a", "all").await.unwrap();
    assert_eq!(store.find_group(&group_id("sub")).await.unwrap(), Some(group("sub", "sub")));
    assert_eq!(store.find_user(&user_id("u")).await.unwrap().unwrap().groups, []);
}

pub(crate) async fn erasure_leaves_no_trace(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "g")).await.unwrap();
    store.add_user(&administrator("root")).await.unwrap();
    let secret = User {
        groups: vec![group_id("g")],
        name: "Secret Name".into(),
        ban: None,
        guest: false,
        declared: false,
        erased: None,
        ..other_user("u", "secret-login")
    };
    store.add_user(&secret).await.unwrap();
    store.begin_session(&session("s", "u", 10), &digest("s"), None).await.unwrap();
    store.put_consent(&consent("c", "u", "client")).await.unwrap();
    let erased = store.erase_user(&user_id("u"), "erased-u", &of_user("u", 20)).await.unwrap();
    let expected = User {
        name: "erased-u".into(),
        ban: Some(Ban { reason: "erased".into(), since: at(20), badge: String::new() }),
        erased: Some(at(20)),
        created: secret.created,
        updated: at(20),
        ..user("u", "erased-u")
    };
    assert_eq!(erased, expected);
    let store = backend.open().await;
    assert_eq!(store.find_user(&user_id("u")).await.unwrap(), Some(expected));
    for name in ["secret-login", "secret-login@Mail.example"] {
        assert_eq!(store.find_user_by_name(name).await.unwrap(), None, "{name}");
    }
    assert_eq!(store.find_session(&digest("s")).await.unwrap(), None);
    assert_eq!(store.list_consents(&user_id("u")).await.unwrap(), []);
    assert_eq!(store.last_accesses(&[user_id("u")]).await.unwrap(), [None]);
    assert!(store.list_revocations(at(0)).await.unwrap().contains(&of_user("u", 20)));
    let refusal = store.erase_user(&user_id("root"), "x", &of_user("root", 20)).await;
    assert!(is_against(&refusal, Rule::LastAdministrator), "{refusal:?}");
    store.add_user(&User { guest: true, ..user("guest", "guest") }).await.unwrap();
    let refusal = store.erase_user(&user_id("guest"), "x", &of_user("guest", 20)).await;
    assert!(is_against(&refusal, Rule::Guest), "{refusal:?}");
    assert!(is_missing(&store.erase_user(&user_id("none"), "x", &of_user("none", 20)).await));
}

pub(crate) async fn somebody_may_always_administer(backend: &dyn Backend) {
    let store = backend.open().await;
    let ban = |user: &mut User| {
        user.ban = Some(Ban { reason: String::new(), since: at(1), badge: String::new() });
    };
    store.add_user(&administrator("root")).await.unwrap();
    // Who is shut out is none who is left.
    let banned = User { ban: other_user("x", "x").ban, ..administrator("banned") };
    store.add_user(&banned).await.unwrap();
    let root = user_id("root");
    let refusals = [
        store.change_user(&root, &|u| u.administrator = false, None).await.map(drop),
        store.change_user(&root, &ban, Some(&of_user("root", 5))).await.map(drop),
        store.change_user(&root, &|u| u.guest = true, None).await.map(drop),
        store.remove_user(&root, &of_user("root", 5)).await,
    ];
    for refusal in &refusals {
        assert!(is_against(refusal, Rule::LastAdministrator), "{refusal:?}");
    }
    assert_eq!(store.find_user(&root).await.unwrap(), Some(administrator("root")));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), []);
    // Other changes of the last one, and those of one who is none, are nobody's concern.
    store.change_user(&root, &|u| u.name = "Root".into(), None).await.unwrap();
    store.remove_user(&user_id("banned"), &of_user("banned", 5)).await.unwrap();
    store.add_user(&reachable("next", "next", "n@mail.example")).await.unwrap();
    store.change_user(&user_id("next"), &|u| u.administrator = true, None).await.unwrap();
    store.change_user(&root, &ban, Some(&of_user("root", 6))).await.unwrap();
    assert!(is_against(
        &store.remove_user(&user_id("next"), &of_user("next", 6)).await,
        Rule::LastAdministrator
    ));
}

/// Many administrators who take one another out at once: one is left.
pub(crate) async fn administrators_race(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    for n in 0..12 {
        handles[0].add_user(&administrator(&format!("a{n}"))).await.unwrap();
    }
    let tasks: Vec<_> = (0..12_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            let id = user_id(&format!("a{n}"));
            tokio::spawn(async move {
                match n % 3 {
                    0 => store.change_user(&id, &|u| u.administrator = false, None).await.map(drop),
                    1 => store.remove_user(&id, &of_user(id.as_str(), 1)).await,
                    _ => store
                        .erase_user(&id, &format!("erased-{id}"), &of_user(id.as_str(), 1))
                        .await
                        .map(drop),
                }
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => {}
            refusal if is_against(&refusal, Rule::LastAdministrator) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 1);
    let left = handles[1].list_users().await.unwrap().into_iter().filter(User::may_administer).count();
    assert_eq!(left, 1);
}
