use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::id::ServiceId;

const NOW: Timestamp = Timestamp::from_seconds(1000);
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuJ8vC0QmYQ8rHnVhp0s9CgI8C3V0vG6e";

fn export(value: &Value) -> Export {
    read(value.to_string().as_bytes()).unwrap()
}

fn planned(value: &Value, state: &State) -> Plan {
    plan(&export(value), state, NOW)
}

/// The state after a plan, as the store would have it.
fn after(state: &State, plan: &Plan) -> State {
    fn put<T: Clone>(list: &mut Vec<T>, new: &T, same: impl Fn(&T) -> bool) {
        match list.iter_mut().find(|one| same(one)) {
            Some(one) => one.clone_from(new),
            None => list.push(new.clone()),
        }
    }
    let mut state = state.clone();
    for step in &plan.steps {
        match step {
            Step::AddService(new) | Step::ChangeService(new) => {
                put(&mut state.services, new, |one| one.id == new.id);
            }
            Step::AddGroup(new) | Step::ChangeGroup(new) => {
                put(&mut state.groups, new, |one| one.id == new.id);
            }
            Step::AddUser(new) | Step::ChangeUser(new) => put(&mut state.users, new, |one| one.id == new.id),
        }
    }
    state
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.left_out.keys().map(String::as_str).collect()
}

/// About what Hub prints.
fn hub() -> Value {
    json!([
        {"type": "ServicesPage", "skip": 0, "top": -1, "total": 2, "services": [
            {"type": "service", "id": "0-0-0-0-0", "key": "jetbrains-hub-service", "name": "Hub"},
            {"type": "service", "id": "7a1c", "key": "7a1c", "name": "YouTrack", "homeUrl": "https://yt.example/",
             "baseUrls": ["https://yt.example/"], "redirectUris": ["oauth", "javascript:alert(1)", "oauth"],
             "applicationName": "YouTrack", "vendor": "JetBrains", "version": "2026.1", "trusted": true,
             "consentRequired": false, "implicitFlowEnabled": false, "resources": [{"id": "r"}],
             "secret": "a-secret-of-hub-0123"},
        ]},
        {"type": "UsergroupsPage", "total": 3, "usergroups": [
            {"type": "userGroup", "id": "g-all", "name": "All Users", "allUsers": true},
            {"type": "userGroup", "id": "g-dev", "name": "Developers", "description": "who write",
             "parent": {"id": "g-staff"}},
            {"type": "userGroup", "id": "g-staff", "name": "Staff", "autoJoin": true, "parent": {"id": "g-all"}},
        ]},
        {"type": "UsersPage", "total": 3, "users": [
            {"type": "user", "id": "u-jane", "login": "jane", "name": "Jane Doe", "banned": false, "guest": false,
             "groups": [{"type": "userGroup", "id": "g-dev"}, {"id": "g-all"}],
             "profile": {"email": {"type": "EmailJSON", "verified": true, "email": "jane@example.org"}}},
            {"type": "user", "id": "u-bob", "login": "bob", "name": "Bob", "banned": true, "banReason": "gone\u{7}",
             "details": [{"type": "LoginuserdetailsJSON", "login": "bob",
                          "password": {"type": "BcryptpasswordJSON", "hashedValue": BCRYPT}}],
             "projectRoles": [{"role": {"key": "system-admin"}}]},
            {"type": "user", "id": "u-guest", "login": "guest", "name": "guest", "guest": true},
        ]},
    ])
}

#[test]
fn what_hub_prints_is_taken_over_with_its_ids() {
    let plan = planned(&hub(), &State::default());
    let state = after(&State::default(), &plan);
    let [service] = &state.services[..] else { panic!("{:?}", state.services) };
    assert_eq!((service.id.as_str(), service.name.as_str()), ("7a1c", "YouTrack"));
    assert_eq!(service.profile.redirect_uris, ["oauth"]);
    assert!(service.trust.trusted && !service.trust.consent_required);
    assert!(!service.trust.flows.contains(crate::model::flow::Flow::Implicit));
    assert_eq!(service.secrets[0].digest, crate::crypto::digest::SecretDigest::of("a-secret-of-hub-0123"));
    let [group, staff] = &state.groups[..] else { panic!("{:?}", state.groups) };
    assert_eq!((group.parent.as_ref(), &staff.parent, staff.auto_join), (Some(&staff.id), &None, true));
    assert_eq!((group.id.as_str(), group.description.as_deref()), ("g-dev", Some("who write")));
    let [jane, bob] = &state.users[..] else { panic!("{:?}", state.users) };
    assert_eq!(jane.groups, std::slice::from_ref(&group.id));
    assert!(jane.email.as_ref().is_some_and(|email| email.verified) && jane.password.is_none());
    assert_eq!(bob.ban.as_ref().unwrap().reason, "gone ");
    assert_eq!(bob.password.as_ref().unwrap().hash, BCRYPT);
    assert!(!bob.administrator, "nobody becomes an administrator by a file");
    for reason in [
        "it is Hub itself, which the gateway is now",
        "it is the guest, and the gateway has its own",
        "everybody is in it, which needs no group here",
        "redirectUris: one of them has a scheme that must never receive a token: javascript:",
        "resources: routes are in the configuration file ([[upstream]])",
        "password: Hub does not tell it; `hubgate user password` sets one",
        "projectRoles: roles are Hub's; `hubgate user update --administrator true` makes an administrator",
    ] {
        assert!(plan.left_out.contains_key(reason), "{reason}: {:?}", reasons(&plan));
    }
    let again = planned(&hub(), &state);
    assert_eq!((again.steps, again.unchanged), (vec![], 5));
}

/// Looks like another's, or like nothing: who made it that way is not told apart from who did so on purpose.
#[test]
fn names_that_look_like_others_are_left_out() {
    let file = json!({
        "users": [
            {"id": "u-1", "login": "jos\u{e9}"},
            {"id": "u-2", "login": "JOSE\u{301}"},
            {"id": "u-3", "login": "\u{ff4a}ane"},
            {"id": "u-4", "login": "ja\u{200b}ne"},
            {"id": "u-5", "login": "\u{202e}enaj"},
            {"id": "u-6", "login": "zoe\u{308}"},
        ],
        "usergroups": [{"id": "g-1", "name": "dev\u{200b}elopers"}],
        "services": {"services": [{"id": "s-1", "name": "You\u{200b}Track", "secret": "a-secret-0123456789"}]},
    });
    let plan = planned(&file, &State::default());
    let now = after(&State::default(), &plan);
    let logins: Vec<&str> = now.users.iter().map(|user| user.login.as_str()).collect();
    assert_eq!(logins, ["jos\u{e9}", "zo\u{eb}"]);
    assert_eq!((now.groups.len(), now.services.len()), (0, 0));
    let why = reasons(&plan).join("\n");
    for reason in [
        "is another user's login, address or id",
        "written in a plainer way too",
        "an invisible character",
        "turns the direction",
        "none of them a control character or invisible",
    ] {
        assert!(why.contains(reason), "{reason}: {why}");
    }
    assert_eq!(planned(&file, &now).steps, []);
}

#[test]
fn what_is_here_is_not_taken_away() {
    let first = after(&State::default(), &planned(&hub(), &State::default()));
    let mut state = first.clone();
    state.services[0].secrets[0].digest = crate::crypto::digest::SecretDigest::of("another");
    let users = &mut state.users;
    users[0].administrator = true;
    users[0].password = users[1].password.clone();
    users[0].groups.clear();
    let changed = json!({
        "users": [
            {"id": "u-jane", "login": "jane", "name": "Jane Roe", "banned": true,
             "details": [{"password": {"hashedValue": BCRYPT.replace("$04$", "$05$")}}]},
            {"id": "u-bob", "login": "JANE", "banned": false},
            {"id": "u-new", "login": "u-bob"},
            {"id": "u-mail", "login": "mail", "profile": {"email": {"email": "JANE@example.org"}}},
        ],
        "usergroups": [{"id": "other", "name": "DEVELOPERS", "users": [{"id": "u-jane"}]}],
        "services": {"services": [
            {"id": "7a1c", "name": "YouTrack 2", "secret": "yet-another-secret-0123"},
            {"id": "other", "name": "Youtrack"},
        ]},
    });
    let plan = planned(&changed, &state);
    let now = after(&state, &plan);
    assert_eq!(now.services[0].name, "YouTrack 2");
    assert_eq!(now.services[0].secrets, state.services[0].secrets);
    assert_eq!(now.services[1].name, "Youtrack", "the name is free by then");
    let (before, jane) = (&state.users[0], &now.users[0]);
    assert_eq!((jane.name.as_str(), &jane.password, &jane.ban), ("Jane Roe", &before.password, &None));
    assert!(jane.administrator && jane.groups.len() == 1, "into the group of the same name that was here");
    assert_eq!(now.users[1], state.users[1], "a login that is somebody's, and no ban lifted");
    assert_eq!(now.groups, state.groups);
    assert_eq!(now.users.len(), 3, "u-new's login is an id");
    assert_eq!(now.users[2].email, None);
    for reason in [
        "secret: the service has one here already",
        "banned: an administrator is not banned by a file",
        "its login or id is another user's login, address or id",
        "email: it is another user's login, address or id",
    ] {
        assert!(plan.left_out.contains_key(reason), "{reason}: {:?}", reasons(&plan));
    }
    assert_eq!(planned(&changed, &now).steps, []);
    // What the configuration file declares stays as it is there.
    let mut declared = first;
    declared.services[0].declared = true;
    declared.users[0].declared = true;
    let plan = planned(&changed, &declared);
    assert_eq!(plan.left_out["the configuration file declares it"].len(), 2);
}

#[test]
fn hostile_and_odd_files_are_refused_or_left_out() {
    assert_eq!(read(&vec![b' '; MOST_BYTES + 1]).unwrap_err(), Unreadable::Large);
    let many = format!("{{\"users\":[{}{{}}]}}", "{},".repeat(100_001));
    assert_eq!(read(many.as_bytes()).unwrap_err(), Unreadable::Many);
    for nested in ["[".repeat(100_000), "{\"users\":".repeat(100_000)] {
        assert!(matches!(read(nested.as_bytes()), Err(Unreadable::NotJson(_))));
    }
    let deep = format!("{}{{}}{}", "[{\"users\":".repeat(10), "}]".repeat(10));
    assert_eq!(read(deep.as_bytes()).unwrap_err(), Unreadable::Deep);
    for nothing in ["{}", "[]", "1", "null", "\"users\"", "{\"users\":1}", "[[[]]]", "{\"roles\":[]}"] {
        assert_eq!(read(nothing.as_bytes()).unwrap_err(), Unreadable::Nothing, "{nothing}");
    }
    for no_json in ["", "{", "{\"users\":[", "\u{0}", "NaN", "{'users':[]}"] {
        assert!(matches!(read(no_json.as_bytes()), Err(Unreadable::NotJson(_))), "{no_json}");
    }
    let odd = json!({
        "users": [
            {"id": 7, "login": "a"}, {"id": "a", "login": ["a"]}, {"id": "b\n", "login": "b"}, {"login": "c"},
            {"id": "me", "login": "d"}, {"id": "e", "login": "e\u{1b}[2J"}, {"id": "f", "login": "f", "groups": [1]},
            {"id": "g", "login": "g", "banned": "yes"}, {"id": "h", "login": "guest"}, {"id": "../../i", "login": " i"},
            {"id": "twice", "login": "j"}, {"id": "twice", "login": "k"}, {"id": "twice", "login": "j"},
        ],
        "services": [
            {"id": "s", "name": "S", "redirectUris": "x"}, {"id": "t", "name": "T", "releaseDate": 1.5},
            {"id": "u", "name": "a\u{0}b"}, {"id": "v", "name": "V", "homeUrl": "javascript:alert(1)"}, {"id": "w"},
        ],
        "groups": [{"id": "x", "name": "a,b"}, {"id": "y"}, {"id": "z", "name": {"$ne": 1}}],
    });
    let plan = planned(&odd, &State::default());
    let steps: Vec<_> = plan.steps.iter().map(|step| step.describe().1).collect();
    assert_eq!(steps, ["j (twice)"], "{:?}", plan.left_out);
    assert!(plan.left_out.values().flatten().all(|what| !what.contains('\u{1b}')));
    let part = json!({"users": [{"id": "a", "login": "a"}], "total": 3});
    assert!(planned(&part, &State::default()).left_out.values().flatten().any(|what| what == "2 of 3 users"));
}

/// Values as they come and as they should not, of few names, so that entries get in one another's way.
fn value() -> impl Strategy<Value = Value> {
    let name =
        prop::sample::select(vec!["a", "b", "A", "a@b.c", "guest", "", "me", "0-0-0-0-0", "\u{1b}", "x,y"]);
    let leaf = prop_oneof![
        8 => name.prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([{"id": "a"}, {"id": "b"}])),
        1 => Just(json!({"id": "a"})),
        1 => Just(json!({"id": "b"})),
        1 => Just(json!({"email": {"email": "a@b.c", "verified": true}})),
        1 => Just(json!(["https://a.example/", "javascript:x", "oauth"])),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

fn entry() -> impl Strategy<Value = Value> {
    let keys = vec![
        "id",
        "login",
        "name",
        "profile",
        "groups",
        "users",
        "banned",
        "banReason",
        "guest",
        "details",
        "secret",
        "trusted",
        "redirectUris",
        "description",
        "parent",
        "public",
        "key",
        "allUsers",
    ];
    let id = prop::sample::select(vec!["a", "b", "c", "0-0-0-0-0"]);
    let more = prop::collection::btree_map(prop::sample::select(keys), value(), 0..6);
    (id, prop::sample::select(vec!["a", "b", "c", "d", "a@b.c"]), more).prop_map(|(id, name, more)| {
        let mut entry = json!({"id": id, "login": name, "name": name});
        entry.as_object_mut().unwrap().extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        entry
    })
}

fn file() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(entry(), 0..4);
    (list(), list(), list()).prop_map(
        |(services, users, groups)| json!({"services": services, "users": users, "usergroups": groups}),
    )
}

proptest! {
    #[test]
    fn nothing_that_is_json_stops_the_reader(file in value()) {
        drop(read(file.to_string().as_bytes()).map(|export| plan(&export, &State::default(), NOW)));
    }

    /// Whatever a file says and whatever is there: carried out twice it changes nothing the second time, no id is two
    /// things, and what it may not touch is as it was.
    #[test]
    fn a_file_that_was_taken_over_changes_nothing_more(first in file(), second in file()) {
        let one = after(&State::default(), &planned(&first, &State::default()));
        let plan = planned(&second, &one);
        let two = after(&one, &plan);
        let again = planned(&second, &two);
        prop_assert_eq!(again.steps, vec![]);
        for user in &two.users {
            prop_assert!(!user.administrator && !user.guest && user.login != "guest");
            let typed = |text: &str| two.users.iter().filter(|other| {
                let email = other.email.as_ref().is_some_and(|email| email.address.eq_ignore_ascii_case(text));
                email || other.login.eq_ignore_ascii_case(text) || other.id.as_str().eq_ignore_ascii_case(text)
            }).count();
            prop_assert_eq!(typed(&user.login), 1, "{:?}", two.users);
        }
        prop_assert!(two.services.iter().all(|service| service.id != ServiceId::hub()));
        for before in &one.users {
            let now = two.users.iter().find(|user| user.id == before.id).unwrap();
            prop_assert!(before.password.is_none() || now.password == before.password);
            prop_assert!(before.ban.is_none() || now.ban == before.ban);
            prop_assert!(before.groups.iter().all(|group| now.groups.contains(group)));
        }
    }
}
