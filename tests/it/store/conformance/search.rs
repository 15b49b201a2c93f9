//! Rules for searches, and for what a page shows beside what was found.

use hubgate::{
    model::{
        search::{
            By, DEEPEST_FILTER, Filter, FilterError, GroupFilter, GroupIs, GroupKey, MOST_PARTS, MOST_WORDS,
            Match, Page, UserFilter, UserIs, UserKey,
        },
        user::{Access, Group, User},
    },
    store::{Rule, Store, StoreError, search::Members},
};

use super::{
    Backend,
    samples::{at, digest, group, group_id, member, other_user, reachable, session, user, user_id},
};

fn exact(text: &str) -> Match {
    Match::Exact(text.to_owned())
}

fn prefix(text: &str) -> Match {
    Match::Prefix(text.to_owned())
}

fn not<T>(filter: impl Into<Filter<T>>) -> Filter<T> {
    Filter::Not(Box::new(filter.into()))
}

fn by<K>(key: K, descending: bool) -> By<K> {
    By { key, descending }
}

/// Ids of the users that are found, in the order of their logins.
async fn users(store: &dyn Store, filter: impl Into<UserFilter>) -> Vec<String> {
    let found = store.find_users(&filter.into(), &[], Page::ALL).await.unwrap();
    assert_eq!(found.total, found.items.len() as u64);
    found.items.iter().map(|user| user.id.to_string()).collect()
}

async fn groups(store: &dyn Store, filter: impl Into<GroupFilter>) -> Vec<String> {
    let found = store.find_groups(&filter.into(), &[], Page::ALL).await.unwrap();
    assert_eq!(found.total, found.items.len() as u64);
    found.items.iter().map(|group| group.id.to_string()).collect()
}

fn named(id: &str, login: &str, name: &str) -> User {
    User { name: name.into(), ..user(id, login) }
}

pub(crate) async fn finds_users(backend: &dyn Backend) {
    let store = backend.open().await;
    let below = Group { parent: Some(group_id("g")), ..group("h", "h") };
    store.add_group(&group("g", "g")).await.unwrap();
    store.add_group(&below).await.unwrap();
    let full = User { groups: vec![group_id("g")], ..other_user("full", "Full") };
    for user in [
        named("1", "Jürgen", "Groß"),
        reachable("2", "jutta", "Ju@Mail.example"),
        member("3", "anna", &["h"]),
        full.clone(),
    ] {
        store.add_user(&user).await.unwrap();
    }
    let store = &*store;
    for (filter, expected) in [
        (UserIs::Id(user_id("2")), vec!["2"]),
        (UserIs::Id(user_id("none")), vec![]),
        (UserIs::Login(exact("JÜRGEN")), vec!["1"]),
        (UserIs::Login(exact("Jürge")), vec![]),
        (UserIs::Login(prefix("J")), vec!["2", "1"]),
        (UserIs::Login(prefix("jÜ")), vec!["1"]),
        (UserIs::Login(prefix("")), vec!["3", "full", "2", "1"]),
        (UserIs::Name(exact("GROSS")), vec!["1"]),
        (UserIs::Name(prefix("gros")), vec!["1"]),
        (UserIs::Email(exact("JU@MAIL.EXAMPLE")), vec!["2"]),
        (UserIs::Email(prefix("ju@")), vec!["2"]),
        (UserIs::HasEmail, vec!["full", "2"]),
        (UserIs::Banned, vec!["full"]),
        (UserIs::Guest, vec!["full"]),
        (UserIs::Administrator, vec!["full"]),
        (UserIs::MemberOf(group_id("g")), vec!["full"]),
        (UserIs::MemberOf(group_id("h")), vec!["3"]),
        (UserIs::InGroup(group_id("g")), vec!["3", "full"]),
        (UserIs::InGroup(group_id("none")), vec![]),
    ] {
        assert_eq!(users(store, filter.clone()).await, expected, "{filter:?}");
    }
    assert_eq!(users(store, below.filter()).await, ["3"]);
    let all = Group { all_users: true, ..group("all", "all") };
    assert_eq!(users(store, all.filter()).await, ["3", "2", "1"], "everybody but the guest");
    let found = store.find_users(&UserIs::Guest.into(), &[], Page::ALL).await.unwrap();
    assert_eq!(found.items, [full], "whole");
}

/// Whatever a text means elsewhere, here it is a text.
pub(crate) async fn takes_texts_for_texts(backend: &dyn Backend) {
    let store = backend.open().await;
    let hostile = [
        "%",
        "_",
        "%_%",
        "'",
        "\"",
        "' OR 1=1 --",
        "\\",
        "a\0b",
        "\0",
        "\u{202e}gnp.exe",
        "\u{1f980}",
        "\u{10ffff}",
        "\u{10ffff}x",
        "*",
        "?1",
        "ⅷ",
        "e\u{301}",
    ];
    store.add_user(&user("bystander", "bystander")).await.unwrap();
    for (at, text) in hostile.iter().enumerate() {
        let hostile =
            User { name: (*text).into(), ..reachable(&format!("h{at}"), text, &format!("{text}@x")) };
        store.add_user(&hostile).await.unwrap();
        store.add_group(&group(&format!("h{at}"), text)).await.unwrap();
    }
    for (at, text) in hostile.iter().enumerate() {
        let id = format!("h{at}");
        for filter in [
            UserIs::Login(exact(text)),
            UserIs::Name(exact(text)),
            UserIs::Email(exact(&format!("{text}@x"))),
        ] {
            assert_eq!(users(&*store, filter.clone()).await, [id.as_str()], "{filter:?}");
        }
        assert_eq!(groups(&*store, GroupIs::Name(exact(text))).await, [id.as_str()], "{text:?}");
        let logins = |n: &usize| hostile[*n].to_lowercase().starts_with(&text.to_lowercase());
        let expected = (0..hostile.len()).filter(logins).count();
        for filter in [UserIs::Login(prefix(text)), UserIs::Name(prefix(text)), UserIs::Email(prefix(text))] {
            assert_eq!(users(&*store, filter.clone()).await.len(), expected, "{filter:?}");
        }
        for begin in [exact(text), prefix(text)] {
            let found = users(&*store, UserIs::AnyText(begin.clone())).await;
            assert!(found.contains(&id) && !found.contains(&"bystander".to_owned()), "{begin:?}: {found:?}");
            let found = groups(&*store, GroupIs::AnyText(begin.clone())).await;
            assert!(found.contains(&id), "{begin:?}: {found:?}");
        }
    }
    assert_eq!(store.list_users().await.unwrap().len(), hostile.len() + 1);
}

pub(crate) async fn takes_words(backend: &dyn Backend) {
    let store = backend.open().await;
    let jane = User { name: "Jane Q. Public".into(), ..reachable("jane", "jp", "jane.public@mail.example") };
    store.add_user(&jane).await.unwrap();
    store.add_user(&named("2", "public-2", "Größe")).await.unwrap();
    for (text, expected) in [
        (exact("public"), vec!["jane", "2"]),
        (exact("Jane Public"), vec!["jane"]),
        (exact("PUBLIC jane"), vec!["jane"]),
        (exact("jane.public"), vec!["jane"]),
        (exact("publi"), vec![]),
        (prefix("publi"), vec!["jane", "2"]),
        (prefix("jane publ"), vec!["jane"]),
        (prefix("jan public"), vec![]),
        (prefix("GRÖSS"), vec!["2"]),
        (exact("mail"), vec!["jane"]),
        (exact("jane nobody"), vec![]),
        (exact(""), vec![]),
        (prefix(""), vec!["jane", "2"]),
        (prefix("!"), vec![]),
    ] {
        assert_eq!(users(&*store, UserIs::AnyText(text.clone())).await, expected, "{text:?}");
    }
    // Not everybody may look into addresses.
    let words = async |text: Match| users(&*store, UserIs::Words(text)).await;
    assert_eq!(words(exact("jane public")).await, ["jane"]);
    for hidden in [exact("mail"), prefix("exampl"), exact("@mail"), prefix("@")] {
        assert_eq!(words(hidden.clone()).await, Vec::<String>::new(), "{hidden:?}");
    }
    // Words go with what they stood in.
    store.change_user(&user_id("jane"), &|u| u.name = "John".into(), None).await.unwrap();
    store.change_user(&user_id("jane"), &|u| u.email = None, None).await.unwrap();
    assert_eq!(users(&*store, UserIs::AnyText(exact("jane"))).await, Vec::<String>::new());
    assert_eq!(users(&*store, UserIs::AnyText(exact("john"))).await, ["jane"]);
}

pub(crate) async fn combines(backend: &dyn Backend) {
    let store = backend.open().await;
    for (id, login) in [("1", "aa"), ("2", "ab"), ("3", "ba")] {
        store.add_user(&reachable(id, login, &format!("{login}@x"))).await.unwrap();
    }
    store.add_user(&user("4", "bb")).await.unwrap();
    let a = || Filter::from(UserIs::Login(prefix("a")));
    let b = || Filter::from(UserIs::Login(prefix("b")));
    let mail = || Filter::from(UserIs::Email(prefix("a")));
    let none: Vec<&str> = vec![];
    for (filter, expected) in [
        (Filter::And(vec![]), vec!["1", "2", "3", "4"]),
        (Filter::Or(vec![]), none.clone()),
        (Filter::And(vec![a(), UserIs::HasEmail.into()]), vec!["1", "2"]),
        (Filter::And(vec![a(), b()]), none.clone()),
        (Filter::Or(vec![a(), b()]), vec!["1", "2", "3", "4"]),
        (not(a()), vec!["3", "4"]),
        (not(not(a())), vec!["1", "2"]),
        // Without an address it does not begin with anything.
        (not(mail()), vec!["3", "4"]),
        (not(not(mail())), vec!["1", "2"]),
        (not(Filter::Or(vec![])), vec!["1", "2", "3", "4"]),
        // What stands between brackets stays there.
        (Filter::And(vec![Filter::Or(vec![a(), b()]), not(UserIs::HasEmail)]), vec!["4"]),
        (Filter::Or(vec![Filter::And(vec![b(), UserIs::HasEmail.into()]), a()]), vec!["1", "2", "3"]),
    ] {
        assert_eq!(users(&*store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub(crate) async fn pages_and_sorts(backend: &dyn Backend) {
    let store = backend.open().await;
    for (id, login, name, created) in
        [("1", "d", "Same", 4), ("2", "b", "same", 3), ("3", "c", "Other", 1), ("4", "A", "", 2)]
    {
        store.add_user(&User { created: at(created), ..named(id, login, name) }).await.unwrap();
    }
    store.change_user(&user_id("3"), &|u| u.ban = other_user("x", "x").ban, None).await.unwrap();
    store.change_user(&user_id("2"), &|u| u.email = reachable("x", "x", "z@x").email, None).await.unwrap();
    let page = async |order: &[By<UserKey>], skip: u64, top: Option<u64>| {
        let found = store.find_users(&UserFilter::default(), order, Page { skip, top }).await.unwrap();
        assert_eq!(found.total, 4);
        found.items.iter().map(|user| user.id.to_string()).collect::<String>()
    };
    for (order, expected) in [
        (vec![], "4231"),
        (vec![by(UserKey::Login, true)], "1324"),
        (vec![by(UserKey::Name, false)], "4321"),
        (vec![by(UserKey::Name, true)], "1234"),
        (vec![by(UserKey::Created, false)], "3421"),
        (vec![by(UserKey::Banned, true)], "3124"),
        (vec![by(UserKey::Email, true)], "2134"),
        (vec![by(UserKey::LastAccess, false)], "4231"),
        (vec![by(UserKey::Id, false), by(UserKey::Id, true)], "1234"),
        (vec![by(UserKey::Name, false), by(UserKey::Login, true)], "4312"),
    ] {
        assert_eq!(page(&order, 0, None).await, expected, "{order:?}");
    }
    for (skip, top, expected) in [
        (0, Some(2), "42"),
        (2, Some(2), "31"),
        (3, Some(100), "1"),
        (1, None, "231"),
        (4, Some(1), ""),
        (0, Some(0), ""),
        (u64::MAX, Some(u64::MAX), ""),
        (0, Some(u64::MAX), "4231"),
    ] {
        assert_eq!(page(&[], skip, top).await, expected, "{skip} {top:?}");
    }
}

pub(crate) async fn refuses_what_is_too_large(backend: &dyn Backend) {
    let store = backend.open().await;
    store.add_user(&user("1", "one")).await.unwrap();
    let deep = |depth: usize| (1..depth).fold(Filter::from(UserIs::Banned), |inner, _| not(inner));
    let refusal = store.find_users(&deep(DEEPEST_FILTER + 1), &[], Page::ALL).await;
    let against = Err(StoreError::Against(Rule::Filter(FilterError::TooDeep)));
    assert_eq!(format!("{refusal:?}"), format!("{:?}", against as Result<(), StoreError>));
    // The largest that is taken is understood.
    let words = "word ".repeat(204);
    let wide = Filter::Or(vec![UserIs::Login(prefix(&words)).into(); MOST_PARTS - 3]);
    let found = UserIs::AnyText(prefix(&words)).into();
    let found = store.find_users(&Filter::And(vec![wide, found]), &[], Page::ALL).await;
    assert_eq!(found.unwrap().total, 0);
    assert_eq!(store.find_users(&deep(DEEPEST_FILTER), &[], Page::ALL).await.unwrap().total, 1);
    let words = Filter::Or(vec![UserIs::Words(prefix("o")).into(); MOST_WORDS + 1]);
    assert!(matches!(
        store.find_users(&words, &[], Page::ALL).await,
        Err(StoreError::Against(Rule::Filter(FilterError::TooManyWords)))
    ));
    let many = GroupFilter::Or(vec![GroupIs::TopLevel.into(); MOST_PARTS]);
    assert!(matches!(
        store.find_groups(&many, &[], Page::ALL).await,
        Err(StoreError::Against(Rule::Filter(FilterError::TooMany)))
    ));
}

async fn with_groups(backend: &dyn Backend) -> hubgate::store::SharedStore {
    let store = backend.open().await;
    let below =
        |id: &str, name: &str, parent: &str| Group { parent: Some(group_id(parent)), ..group(id, name) };
    for group in [
        group("1", "Site Admins"),
        below("2", "Sub Admins", "1"),
        below("3", "deepest", "2"),
        Group { auto_join: true, ..group("4", "Newcomers") },
        Group { all_users: true, ..group("5", "Everybody") },
    ] {
        store.add_group(&group).await.unwrap();
    }
    let declared = |id: &str, of: &[&str]| User { declared: true, ..member(id, id, of) };
    for user in [declared("a", &["3"]), declared("b", &["1", "3"]), declared("c", &[])] {
        store.add_user(&user).await.unwrap();
    }
    store.add_user(&User { guest: true, ..user("guest", "guest") }).await.unwrap();
    store
}

pub(crate) async fn finds_groups(backend: &dyn Backend) {
    let store = with_groups(backend).await;
    for (filter, expected) in [
        (GroupIs::Id(group_id("2")), vec!["2"]),
        (GroupIs::Name(exact("SITE ADMINS")), vec!["1"]),
        (GroupIs::Name(prefix("s")), vec!["1", "2"]),
        (GroupIs::AnyText(exact("admins")), vec!["1", "2"]),
        (GroupIs::AnyText(exact("admin")), vec![]),
        (GroupIs::AnyText(prefix("sub adm")), vec!["2"]),
        (GroupIs::ChildOf(group_id("1")), vec!["2"]),
        (GroupIs::Below(group_id("1")), vec!["3", "2"]),
        (GroupIs::TopLevel, vec!["5", "4", "1"]),
        (GroupIs::AutoJoin, vec!["4"]),
        (GroupIs::AllUsers, vec!["5"]),
        (GroupIs::HasMember(user_id("a")), vec!["3"]),
        (GroupIs::Has(user_id("a")), vec!["3", "1", "2"]),
        (GroupIs::Has(user_id("c")), vec![]),
    ] {
        assert_eq!(groups(&*store, filter.clone()).await, expected, "{filter:?}");
    }
    assert_eq!(groups(&*store, not(GroupIs::TopLevel)).await, ["3", "2"]);
    let page = Page { skip: 1, top: Some(2) };
    let order = [by(GroupKey::Name, true)];
    let found = store.find_groups(&GroupFilter::default(), &order, page).await.unwrap();
    let ids: Vec<_> = found.items.iter().map(|group| group.id.as_str()).collect();
    assert_eq!((found.total, ids), (5, vec!["1", "4"]));
}

pub(crate) async fn tells_groups_and_counts(backend: &dyn Backend) {
    let store = with_groups(backend).await;
    let of = store.groups_of(&["c", "b", "none", "a"].map(user_id)).await.unwrap();
    let ids = |groups: &Vec<Group>| groups.iter().map(|g| g.id.to_string()).collect::<Vec<_>>();
    let expected: [&[&str]; 4] = [&[], &["3", "1", "2"], &[], &["3", "1", "2"]];
    assert_eq!(of.iter().map(ids).collect::<Vec<_>>(), expected);
    assert_eq!(store.groups_of(&[]).await.unwrap(), Vec::<Vec<Group>>::new());
    let known = store.groups_by_id(&["2", "none", "1"].map(group_id)).await.unwrap();
    assert_eq!(ids(&known), ["1", "2"]);
    let counts = store.count_members(&["5", "1", "2", "3", "4", "none"].map(group_id)).await.unwrap();
    let expected = [(3, 3), (1, 2), (0, 2), (2, 2), (0, 0), (0, 0)];
    assert_eq!(counts, expected.map(|(own, all)| Members { own, all }));
}

pub(crate) async fn tells_the_last_access(backend: &dyn Backend) {
    let store = backend.open().await;
    for id in ["1", "2"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    let version = store.versions().await.unwrap();
    let accesses = async || store.last_accesses(&["1", "2", "none"].map(user_id)).await.unwrap();
    assert_eq!(accesses().await, [None, None, None]);
    store.begin_session(&session("s", "1", 10), &digest("s"), None).await.unwrap();
    let access = |time: i64, address: &str| {
        Some(Access { time: at(time), address: address.into(), user_agent: "Mozilla/5.0".into() })
    };
    assert_eq!(accesses().await, [access(10, "192.0.2.1"), None, None]);
    store.touch_session(&session("s", "1", 10).id, at(30), "192.0.2.9").await.unwrap();
    assert_eq!(accesses().await[0], access(30, "192.0.2.9"));
    // The latest counts, whichever is written last; and it outlives the session.
    store.begin_session(&session("t", "1", 20), &digest("t"), None).await.unwrap();
    store.touch_session(&session("none", "1", 10).id, at(99), "192.0.2.8").await.unwrap();
    assert_eq!(accesses().await[0], access(30, "192.0.2.9"));
    assert_eq!(store.versions().await.unwrap(), version, "no news for the gate");
    let order = [by(UserKey::LastAccess, true)];
    let found = store.find_users(&UserFilter::default(), &order, Page::first(1)).await.unwrap();
    assert_eq!(found.items[0].id.as_str(), "1");
}
