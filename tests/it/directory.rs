//! Users and groups as administrators arrange them: by commands and by the verbs behind them, and what `hubgate check` says
//! of the declared ones.

use std::sync::Arc;

use hubgate::{
    base::{
        id::{GroupId, UserId},
        random::SystemRandom,
        time::SystemClock,
    },
    crypto::password::{Direct, Hasher as _},
    model::user::{Email, User},
    registry::{
        first,
        groups::{self, NewGroup},
        lives::{self, OwnChange},
        users::{self, Change, NewPassword, NewUser, PeopleError},
    },
    store::{
        Rule, StoreError,
        people::{GroupStore as _, UserStore as _},
        search::PeopleSearch as _,
        sqlite::SqliteStore,
    },
};
use serde_json::{Value, json};

use crate::{
    people::Desk,
    support::{Gateway, process},
};

fn logins(users: &Value) -> Vec<&str> {
    users.as_array().unwrap().iter().map(|user| user["login"].as_str().unwrap()).collect()
}

#[test]
fn users_are_looked_for_merged_and_erased_by_command() {
    let desk = Desk::new();
    for group in ["developers", "writers"] {
        desk.good(&["group", "add", group], "");
    }
    let add = |login: &str, more: &[&str]| {
        desk.good(&[&["user", "add", login, "--no-password"], more].concat(), "");
    };
    add("jane", &["--name", "Jane Doe", "--email", "jd@example.org", "--group", "developers"]);
    add("jdoe", &["--group", "writers"]);
    add("john", &["--administrator"]);
    for (asked, expected) in [
        (&["--query", "jane"][..], vec!["jane"]),
        (&["--query", "j*"], vec!["jane", "jdoe", "john"]),
        (&["--query", "example"], vec!["jane"]),
        (&["--query", "jan"], vec![]),
        (&["--query", "%"], vec![]),
        (&["--query", "' OR 1=1 --"], vec![]),
        (&["--group", "WRITERS"], vec!["jdoe"]),
        (&["--group", "developers", "--query", "do*"], vec!["jane"]),
        (&["--banned"], vec![]),
    ] {
        let found = desk.json(&[&["user", "list"], asked].concat());
        assert_eq!(logins(&found), expected, "{asked:?}");
    }
    assert!(desk.good(&["user", "list", "--banned"], "").contains("no such users"));
    assert!(desk.refused(&["user", "list", "--group", "nowhere"], "").contains("no group"));

    desk.good(&["user", "merge", "jdoe", "--into", "jane"], "");
    assert_eq!(desk.json(&["user", "show", "jane"])["groups"], json!(["developers", "writers"]));
    assert!(desk.refused(&["user", "show", "jdoe"], "").contains("no user"));
    for (arguments, why) in [
        (&["user", "merge", "jane", "--into", "jane"][..], "with itself"),
        (&["user", "merge", "john", "--into", "jane"], "last administrator"),
        (&["user", "merge", "nobody", "--into", "jane"], "no user"),
        (&["user", "erase", "john"], "last administrator"),
        (&["user", "erase", "nobody"], "no user"),
    ] {
        let said = desk.refused(arguments, "");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    let id = desk.json(&["user", "show", "jane"])["id"].as_str().unwrap().to_owned();
    desk.good(&["user", "erase", "jane"], "");
    let all = desk.json(&["user", "list"]);
    assert!(!all.to_string().to_lowercase().contains("jane"), "{all}");
    let erased = desk.json(&["user", "show", &id]);
    assert_eq!((&erased["login"], &erased["banned"]), (&json!(format!("erased-{id}")), &json!(true)));
    for arguments in [
        &["user", "unban", &id][..],
        &["user", "update", &id, "--login", "jane"],
        &["user", "password", &id, "--generate"],
    ] {
        assert!(desk.refused(arguments, "").contains("is erased"), "{arguments:?}");
    }
}

#[test]
fn groups_are_arranged_by_command() {
    let desk = Desk::new();
    desk.good(&["group", "add", "house"], "");
    desk.good(&["group", "add", "room", "--parent", "HOUSE", "--auto-join"], "");
    desk.good(&["group", "add", "shed"], "");
    desk.good(&["user", "add", "jane", "--no-password"], "");
    assert_eq!(desk.json(&["user", "show", "jane"])["groups"], json!(["room"]), "new users are put into it");
    assert_eq!(logins(&desk.json(&["group", "members", "house"])), ["jane"]);
    let listed = desk.good(&["group", "list"], "");
    assert!(listed.contains("BELOW") && listed.contains("house"), "{listed}");
    desk.good(&["group", "update", "room", "--parent", "shed", "--name", "box", "--auto-join", "false"], "");
    assert_eq!(logins(&desk.json(&["group", "members", "house"])), Vec::<&str>::new());
    assert_eq!(logins(&desk.json(&["user", "list", "--group", "shed"])), ["jane"]);
    for (arguments, why) in [
        (&["group", "update", "shed", "--parent", "box"][..], "below itself"),
        (&["group", "update", "box", "--parent", "nowhere"], "no group"),
        (&["group", "update", "box", "--name", "SHED"], "already has this name"),
        (&["group", "update", "box", "--name", "a,b"], "comma"),
        (&["group", "remove", "box", "--successor", "box"], "with itself"),
        (&["group", "remove", "shed", "--successor", "box"], "below itself"),
    ] {
        let said = desk.refused(arguments, "");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    desk.good(&["group", "update", "box", "--no-parent", "--description", "of wood"], "");
    let groups = desk.json(&["group", "list"]);
    assert_eq!((&groups[0]["description"], &groups[0]["parent"]), (&json!("of wood"), &Value::Null));
    desk.good(&["group", "remove", "box", "--successor", "house"], "");
    assert_eq!(desk.json(&["user", "show", "jane"])["groups"], json!(["house"]));
}

#[test]
fn everybody_is_in_the_group_of_all_users_from_the_first_start_on() {
    let mut gateway = Gateway::start(|setup| {
        setup.user("jane", "");
    });
    let of_all = |gateway: &Gateway| -> Value {
        let groups: Value = serde_json::from_str(&gateway.command(&["group", "list", "--json"])).unwrap();
        let mut all = groups.as_array().unwrap().iter().filter(|group| group["all_users"] == true);
        let one = all.next().expect("there is one").clone();
        assert_eq!(all.next(), None, "there is one only");
        one
    };
    let group = of_all(&gateway);
    assert_eq!(group["name"], "All Users");
    let members = gateway.command(&["group", "members", "All Users", "--json"]);
    let members: Value = serde_json::from_str(&members).unwrap();
    assert_eq!(logins(&members), ["admin", "jane"], "everybody but the guest");
    gateway.command(&["group", "update", "All Users", "--name", "Everybody"]);
    gateway.restart();
    assert_eq!(of_all(&gateway)["id"], group["id"]);
    for arguments in [
        &["group", "remove", "Everybody"][..],
        &["group", "members", "Everybody", "--add", "admin"],
        &["group", "update", "Everybody", "--auto-join", "true"],
    ] {
        let config = gateway.config_path().display().to_string();
        let output = process::run(&[arguments, &["--config", &config]].concat(), gateway.folder());
        let said = process::written(&output);
        assert!(!output.status.success() && said.contains("everybody is in"), "{arguments:?}: {said}");
    }
    let declared = format!("{}\ngroups = [\"Everybody\"]\n", gateway.config_text());
    assert!(gateway.reload(&declared).unwrap_err().contains("everybody in it"));
}

#[test]
fn check_shows_what_a_start_would_change() {
    let desk = Desk::with(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .user("jane", "name = \"Jane Doe\"\npassword = \"a declared password\"")
            .user("john", "administrator = true");
    });
    assert!(desk.good(&["check"], "").contains("There is no store yet"));
    let store = desk.folder.path().join("data").join("hubgate.db");
    assert!(!store.exists(), "a check makes nothing");
    assert_eq!(desk.good(&["check", "--quiet"], ""), "");

    let mut gateway = Gateway::start_in(desk.config, desk.folder);
    let check = |gateway: &Gateway| gateway.command(&["check"]);
    assert!(check(&gateway).contains("in step"), "{}", check(&gateway));
    let text = gateway.config_text();
    gateway.stop();
    // SQLite has moved its log into the file when this one is done.
    check(&gateway);
    let bytes = std::fs::read(&store).unwrap();
    let changed = text
        .replace("Jane Doe", "Jane Roe")
        .replace("a declared password", "another password")
        .replace("alpha-secret-0123456789", "alpha-secret-9876543210")
        .replace("\"john\"", "\"joan\"");
    std::fs::write(gateway.config_path(), &changed).unwrap();
    let said = check(&gateway);
    for line in [
        "~ service alpha by name: secret",
        "~ user jane: name, password",
        "+ user joan",
        "- user john: no longer declared; it stays",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("another password") && !said.contains("9876543210"), "{said}");
    assert!(std::fs::read(&store).unwrap() == bytes, "a check writes nothing");
    // What could not be kept is told before a start.
    std::fs::write(gateway.config_path(), text.replace("administrator = true", "")).unwrap();
    let config = gateway.config_path().display().to_string();
    let output = process::run(&["check", "--config", &config], gateway.folder());
    assert!(!output.status.success());
    assert!(process::written(&output).contains("last administrator"), "{}", process::written(&output));
}

/// What cannot be read now is no fault of the configuration; what is damaged is told.
#[test]
fn check_leaves_a_store_of_another_version_alone() {
    let desk = Desk::new();
    desk.good(&["user", "list"], "");
    let store = desk.folder.path().join("data").join("hubgate.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let alter = |statement: &'static str| {
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&store);
            let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
            sqlx::query(statement).execute(&mut connection).await.unwrap();
            sqlx::Connection::close(connection).await.unwrap();
        });
    };
    alter("UPDATE _sqlx_migrations SET version = version + 1000 WHERE version = 4");
    let bytes = std::fs::read(&store).unwrap();
    let output = process::run(&["check", "--config", desk.config.to_str().unwrap()], desk.folder.path());
    assert!(output.status.success(), "{}", process::written(&output));
    assert!(process::written(&output).contains("another version"), "{}", process::written(&output));
    assert!(std::fs::read(&store).unwrap() == bytes, "a check writes nothing");
    std::fs::write(&store, "no database").unwrap();
    assert!(desk.refused(&["check"], "").contains("not a database"));
}

/// The verbs on a store of their own.
struct Verbs {
    store: SqliteStore,
    hasher: Direct,
    _folder: tempfile::TempDir,
}

impl Verbs {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        Self { store, hasher: Direct::new(Arc::new(SystemRandom)), _folder: folder }
    }

    async fn add(&self, login: &str, administrator: bool) -> User {
        let new = NewUser { administrator, ..new_user(login) };
        users::add(&self.store, new, &SystemClock, &SystemRandom).await.unwrap()
    }

    async fn group(&self, name: &str) -> GroupId {
        let new = NewGroup { name: name.into(), ..NewGroup::default() };
        groups::add(&self.store, new, &SystemClock, &SystemRandom).await.unwrap().id
    }
}

fn new_user(login: &str) -> NewUser {
    NewUser {
        id: Some(UserId::parse(login).unwrap()),
        login: login.into(),
        name: login.into(),
        email: Some(Email { address: format!("{login}@example.org"), verified: true }),
        password: None,
        administrator: false,
        groups: Vec::new(),
    }
}

#[tokio::test]
async fn people_change_what_others_see_of_them_and_nothing_else() {
    let verbs = Verbs::new().await;
    let before = verbs.add("jane", false).await;
    let change = OwnChange {
        name: Some("Jane Doe".into()),
        email: Some(Some("jane@example.org".into())),
        avatar_url: Some(Some("https://a.example/jane.png".into())),
        locale: Some(Some("en_US".into())),
    };
    let after = lives::change_own(&verbs.store, &before.id, change, &SystemClock).await.unwrap();
    assert_eq!(
        (after.name.as_str(), &after.email),
        ("Jane Doe", &before.email),
        "the same address stays verified"
    );
    assert_eq!(after.profile.avatar_url.as_deref(), Some("https://a.example/jane.png"));
    assert_eq!((&after.login, &after.groups, after.administrator), (&before.login, &before.groups, false));
    let other = OwnChange { email: Some(Some("boss@example.org".into())), ..OwnChange::default() };
    let after = lives::change_own(&verbs.store, &before.id, other, &SystemClock).await.unwrap();
    assert!(!after.email.unwrap().verified, "nobody vouches for what one says of oneself");
    verbs.add("john", true).await;
    for (change, why) in [
        (
            OwnChange { email: Some(Some("john@example.org".into())), ..OwnChange::default() },
            "already has this email",
        ),
        (OwnChange { email: Some(Some("john".into())), ..OwnChange::default() }, "no e-mail address"),
        (OwnChange { name: Some(String::new()), ..OwnChange::default() }, "is empty"),
        (
            OwnChange { avatar_url: Some(Some("javascript:alert(1)".into())), ..OwnChange::default() },
            "no http",
        ),
        (OwnChange { locale: Some(Some("<b>".into())), ..OwnChange::default() }, "no language"),
    ] {
        let refused = lives::change_own(&verbs.store, &before.id, change, &SystemClock).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let cleared = OwnChange { email: Some(None), avatar_url: Some(None), ..OwnChange::default() };
    let after = lives::change_own(&verbs.store, &before.id, cleared, &SystemClock).await.unwrap();
    assert_eq!((after.email, after.profile.avatar_url), (None, None));
}

#[tokio::test]
async fn who_is_invited_signs_in_once_with_what_was_handed_over() {
    let verbs = Verbs::new().await;
    let group = verbs.group("guests").await;
    let new = NewUser { groups: vec![group.clone()], ..new_user("jane") };
    let (clock, random) = (&SystemClock, &SystemRandom);
    let (user, secret) = lives::invite(&verbs.store, new, &verbs.hasher, clock, random).await.unwrap();
    let password = user.password.unwrap();
    assert!(password.must_change && verbs.hasher.verify(&password.hash, &secret).await.unwrap());
    assert_eq!(user.groups, [group]);
    let again = lives::invite(&verbs.store, new_user("jane"), &verbs.hasher, clock, random).await;
    assert!(matches!(again, Err(PeopleError::Store(StoreError::Conflict { .. }))));
}

#[tokio::test]
async fn the_last_administrator_and_the_declared_are_left_alone() {
    let verbs = Verbs::new().await;
    let (store, clock) = (&verbs.store, &SystemClock);
    let (root, jane) = (verbs.add("root", true).await.id, verbs.add("jane", false).await.id);
    let demoted = Change { administrator: Some(false), ..Change::default() };
    let refusals = [
        users::change(store, &root, demoted, clock).await.map(drop),
        users::ban(store, &root, "", clock).await.map(drop),
        users::remove(store, &root, clock).await,
        lives::merge(store, &root, &jane, clock).await.map(drop),
        lives::erase(store, &root, clock).await.map(drop),
    ];
    for refusal in refusals {
        assert!(
            matches!(&refusal, Err(PeopleError::LastAdministrator(login)) if login == "root"),
            "{refusal:?}"
        );
    }
    let password =
        NewPassword::of(&users::generate_password(&SystemRandom), false, &verbs.hasher).await.unwrap();
    users::set_password(store, &root, Some(password), clock).await.unwrap();
    store.change_user(&jane, &|user| user.declared = true, None).await.unwrap();
    for refusal in [
        lives::merge(store, &jane, &root, clock).await.map(drop),
        lives::erase(store, &jane, clock).await.map(drop),
        lives::change_own(store, &jane, OwnChange::default(), clock).await.map(drop),
    ] {
        assert!(matches!(refusal, Err(PeopleError::Declared(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn the_group_of_all_users_is_made_once_and_takes_no_name_away() {
    let verbs = Verbs::new().await;
    let taken = verbs.group("ALL USERS").await;
    for _ in 0..2 {
        first::ensure_all_users(&verbs.store, &SystemClock, &SystemRandom).await.unwrap();
    }
    let groups = verbs.store.list_groups().await.unwrap();
    let names: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.all_users)).collect();
    assert_eq!(names, [("ALL USERS", false), ("All Users 1", true)]);
    // To be below everybody is to be below none.
    let change = groups::Change { parent: Some(Some(groups[1].id.clone())), ..groups::Change::default() };
    let placed = groups::change(&verbs.store, &taken, change, &SystemClock).await.unwrap();
    assert_eq!(placed.parent, None);
    let user = verbs.add("jane", false).await;
    let joined = groups::set_member(&verbs.store, &groups[1].id, &user.id, true, &SystemClock).await;
    assert!(matches!(joined, Err(PeopleError::Store(StoreError::Against(Rule::AllUsers)))));
    assert_eq!(verbs.store.count_members(&[groups[1].id.clone()]).await.unwrap()[0].all, 1);
}
