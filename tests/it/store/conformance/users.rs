//! Rules for users.

use hubgate::{
    model::user::User,
    store::{Store, StoreError},
};

use super::{
    Backend,
    samples::{
        at, digest, group, group_id, member, of_session, of_user, other_user, reachable, session, user,
        user_id,
    },
};

fn is_conflict<T>(result: &Result<T, StoreError>, field: &str) -> bool {
    matches!(result, Err(StoreError::Conflict { what: "user", field: f }) if *f == field)
}

fn is_missing<T>(result: &Result<T, StoreError>, kind: &str) -> bool {
    matches!(result, Err(StoreError::NotFound { what }) if *what == kind)
}

async fn found(store: &dyn Store, name: &str) -> Option<String> {
    store.find_user_by_name(name).await.unwrap().map(|user| user.id.to_string())
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["g1", "g2", "g3"] {
        store.add_group(&group(id, id)).await.unwrap();
    }
    let users = [
        user("plain", ""),
        other_user("full", "Full Ⅷ \0"),
        member("member", "member", &["g1", "g3"]),
        user(&"x".repeat(64), &"\u{10ffff}".repeat(50_000)),
    ];
    for user in &users {
        store.add_user(user).await.unwrap();
    }
    // Groups are a set.
    store.add_user(&member("sorted", "sorted", &["g2", "g1", "g2"])).await.unwrap();
    assert_eq!(store.find_guest().await.unwrap().as_ref(), Some(&users[1]));
    drop(store);
    let store = backend.open().await;
    for user in &users {
        assert_eq!(store.find_user(&user.id).await.unwrap().as_ref(), Some(user));
    }
    let sorted = store.find_user(&user_id("sorted")).await.unwrap();
    assert_eq!(sorted, Some(member("sorted", "sorted", &["g1", "g2"])));
    assert_eq!(store.list_users().await.unwrap().len(), 5);
    assert_eq!(store.find_user(&user_id("absent")).await.unwrap(), None);
    assert_eq!(store.find_user(&user_id("PLAIN")).await.unwrap(), None);
}

pub(crate) async fn are_listed_by_login(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.list_users().await.unwrap(), vec![]);
    for (id, login) in [("1", "zeta"), ("2", "Éa"), ("3", "alpha"), ("4", "Beta"), ("5", "éb"), ("6", "B")]
    {
        store.add_user(&user(id, login)).await.unwrap();
    }
    let logins: Vec<_> = store.list_users().await.unwrap().into_iter().map(|u| u.login).collect();
    assert_eq!(logins, ["alpha", "B", "Beta", "zeta", "Éa", "éb"]);
}

pub(crate) async fn are_found_by_what_they_type(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.find_guest().await.unwrap(), None);
    store.add_user(&reachable("Id-1", "Jürgen", "Jü@Mail.example")).await.unwrap();
    store.add_user(&user("id-2", "anna")).await.unwrap();
    for name in ["Jürgen", "JÜRGEN", "jü@mail.EXAMPLE", "Id-1", "ID-1"] {
        assert_eq!(found(&*store, name).await.as_deref(), Some("Id-1"), "{name}");
    }
    for name in ["", "Jurgen", "Jürgen ", "Jü", "%", "id-_"] {
        assert_eq!(found(&*store, name).await, None, "{name:?}");
    }
    // What was typed before a change is nobody's afterwards.
    let rename = |user: &mut User| {
        user.login = "georg".into();
        user.email = None;
    };
    store.change_user(&user_id("Id-1"), &rename, None).await.unwrap();
    for (name, expected) in [("Jürgen", None), ("jü@mail.example", None), ("GEORG", Some("Id-1"))] {
        assert_eq!(found(&*store, name).await.as_deref(), expected, "{name}");
    }
    assert_eq!(store.find_guest().await.unwrap(), None);
}

pub(crate) async fn names_are_nobody_elses(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_user(&reachable("Number-1", "Größe", "One@Mail.example")).await.unwrap();
    for (newcomer, field) in [
        (user("Number-1", "two"), "id"),
        (user("NUMBER-1", "two"), "id"),
        (user("gro", "GRÖSSE"), "login"),
        (user("2", "one@mail.EXAMPLE"), "login"),
        (user("2", "number-1"), "login"),
        (reachable("2", "two", "ONE@mail.example"), "email"),
        (reachable("2", "two", "größe"), "email"),
        (reachable("2", "two", "NUMBER-1"), "email"),
        // The first that is taken is told.
        (reachable("2", "größe", "one@mail.example"), "login"),
    ] {
        let refusal = store.add_user(&newcomer).await;
        assert!(is_conflict(&refusal, field), "{newcomer:?}: {refusal:?}");
    }
    // A login that is another's id, from the other side.
    store.add_user(&user("2", "Two-Id")).await.unwrap();
    assert!(is_conflict(&store.add_user(&user("two-id", "three")).await, "id"));
    // What is one's own is no conflict.
    let own = |user: &mut User| user.email = reachable("2", "", "TWO-ID").email;
    store.change_user(&user_id("2"), &own, None).await.unwrap();
    store.add_user(&reachable("same", "SAME", "same")).await.unwrap();
    assert_eq!(found(&*store, "two-id").await.as_deref(), Some("2"));

    let taken = |user: &mut User| user.login = "one@mail.example".into();
    assert!(is_conflict(&store.change_user(&user_id("2"), &taken, None).await, "login"));
    let taken = |user: &mut User| user.email = reachable("2", "", "GRÖSSE").email;
    assert!(is_conflict(&store.change_user(&user_id("2"), &taken, None).await, "email"));

    // There is one guest, who may be changed.
    store.add_user(&User { guest: true, ..user("g", "guest") }).await.unwrap();
    assert!(is_conflict(&store.add_user(&User { guest: true, ..user("h", "h") }).await, "guest"));
    assert!(is_conflict(&store.change_user(&user_id("2"), &|u| u.guest = true, None).await, "guest"));
    store.change_user(&user_id("g"), &|u| u.name = "Guest".into(), None).await.unwrap();
    store.change_user(&user_id("g"), &|u| u.guest = false, None).await.unwrap();
    store.change_user(&user_id("2"), &|u| u.guest = true, None).await.unwrap();
}

pub(crate) async fn refusals_change_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    let (one, two) = (member("1", "one", &["g"]), reachable("2", "two", "two@mail.example"));
    store.add_user(&one).await.unwrap();
    store.add_user(&two).await.unwrap();

    assert!(is_missing(&store.add_user(&member("3", "three", &["g", "none"])).await, "group"));
    assert!(is_conflict(&store.add_user(&user("3", "two")).await, "login"));
    let into_none = |user: &mut User| {
        user.name = "changed".into();
        user.groups = vec![group_id("none")];
    };
    let refusal = store.change_user(&user_id("1"), &into_none, Some(&of_user("1", 1))).await;
    assert!(is_missing(&refusal, "group"), "{refusal:?}");
    let refusal = store.change_user(&user_id("1"), &|u| u.login = "TWO".into(), Some(&of_user("1", 1))).await;
    assert!(is_conflict(&refusal, "login"), "{refusal:?}");

    let store = backend.open().await;
    assert_eq!(store.list_users().await.unwrap(), [one, two]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
    assert_eq!(store.list_members(&group_id("g")).await.unwrap().len(), 1);
    assert_eq!(found(&*store, "three").await, None);
    store.add_user(&user("3", "three")).await.unwrap();
}

pub(crate) async fn change_replaces_all_but_the_id(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_user(&member("1", "one", &["g"])).await.unwrap();
    store.add_user(&user("2", "two")).await.unwrap();
    for wanted in
        [other_user("1", "ONE"), member("1", "uno", &["g"]), reachable("1", "one", "o@mail.example")]
    {
        let change = |user: &mut User| *user = User { id: user_id("2"), ..wanted.clone() };
        assert_eq!(store.change_user(&user_id("1"), &change, None).await.unwrap(), wanted);
        let elsewhere = backend.open().await;
        assert_eq!(elsewhere.find_user(&user_id("1")).await.unwrap().as_ref(), Some(&wanted));
        assert_eq!(elsewhere.find_user(&user_id("2")).await.unwrap(), Some(user("2", "two")));
    }
    // The revocation comes with the change, and what it ends is gone.
    store.begin_session(&session("s", "1", 10), &digest("s"), None).await.unwrap();
    store.change_user(&user_id("1"), &|u| u.name = "n".into(), Some(&of_user("1", 20))).await.unwrap();
    let revoked = store.list_revocations(at(0)).await.unwrap();
    assert!(revoked.contains(&of_user("1", 20)) && revoked.contains(&of_session("s", 20)), "{revoked:?}");
    assert_eq!(store.find_session(&digest("s")).await.unwrap(), None);
}

pub(crate) async fn change_of_nobody_is_refused(backend: &dyn Backend) {
    let store = backend.open().await;
    let refusal = store.change_user(&user_id("1"), &|_| {}, Some(&of_user("1", 1))).await;
    assert!(is_missing(&refusal, "user"), "{refusal:?}");
    assert_eq!(store.list_users().await.unwrap(), vec![]);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}

/// Reading and writing are one: of many who add a letter each, no one's is lost.
pub(crate) async fn changes_race(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    handles[0].add_user(&user("1", "one")).await.unwrap();
    let tasks: Vec<_> = (0..32_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            tokio::spawn(async move {
                store.change_user(&user_id("1"), &|u| u.name += "x", None).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(handles[0].find_user(&user_id("1")).await.unwrap().unwrap().name.len(), 32);
}

pub(crate) async fn removal_takes_all_along(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_group(&group("g", "G")).await.unwrap();
    let gone = User { groups: vec![group_id("g")], ..reachable("1", "one", "one@mail.example") };
    store.add_user(&gone).await.unwrap();
    store.add_user(&member("2", "two", &["g"])).await.unwrap();
    store.begin_session(&session("s", "1", 10), &digest("s"), None).await.unwrap();
    store.remove_user(&user_id("1"), &of_user("1", 20)).await.unwrap();

    let store = backend.open().await;
    assert_eq!(store.list_users().await.unwrap(), [member("2", "two", &["g"])]);
    assert_eq!(store.list_members(&group_id("g")).await.unwrap(), [member("2", "two", &["g"])]);
    assert_eq!(store.find_session(&digest("s")).await.unwrap(), None);
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), [of_user("1", 20)]);
    // Its names are free, and whoever has its id next inherits nothing.
    store.add_user(&reachable("3", "ONE", "1@mail.example")).await.unwrap();
    store.add_user(&reachable("1", "uno", "one@mail.example")).await.unwrap();
    assert_eq!(store.list_sessions(&user_id("1")).await.unwrap(), vec![]);
    assert_eq!(store.find_user(&user_id("1")).await.unwrap().unwrap().groups, vec![]);
}

pub(crate) async fn removal_of_nobody_revokes_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    assert!(is_missing(&store.remove_user(&user_id("1"), &of_user("1", 1)).await, "user"));
    assert_eq!(store.list_revocations(at(0)).await.unwrap(), vec![]);
}

pub(crate) async fn a_login_goes_to_one_of_many(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..32_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            let newcomer = match n % 3 {
                0 => user(&format!("u{n}"), "WANTED"),
                1 => user(&format!("u{n}"), "wanted"),
                _ => reachable(&format!("u{n}"), &format!("l{n}"), "Wanted"),
            };
            tokio::spawn(async move { store.add_user(&newcomer).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => winners += 1,
            refusal => {
                assert!(is_conflict(&refusal, "login") || is_conflict(&refusal, "email"), "{refusal:?}");
            }
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(handles[0].list_users().await.unwrap().len(), 1);
    assert_eq!(handles[1].versions().await.unwrap().users, 1);
}
