//! Rules for the audit log.

use std::{net::Ipv4Addr, sync::Arc};

use hubgate::{
    model::{
        event::{Author, AuthorKind, Event, EventKind, FieldChange, NewEvent, Target, TargetKind},
        grant::RejectedRedirect,
        second_step::SecondStep,
        service::Service,
        user::{Ban, User},
    },
    store::{
        SharedStore, Store,
        events::{ChainHash, EventFilter, EventPage},
    },
};
use serde_json::json;

use super::{
    Backend,
    samples::{
        at, code, consent, consent_id, digest, grant, group, group_id, key, key_id, member, of_client,
        of_grant, of_session, of_token, of_user, other_service, other_user, refresh, service, service_id,
        session, session_id, user, user_id,
    },
};

fn all() -> EventFilter {
    EventFilter::default()
}

async fn newest(store: &dyn Store) -> Vec<Event> {
    store.list_events(&all(), EventPage::newest(10_000)).await.unwrap()
}

/// An administrator at work.
fn author() -> Author {
    Author::user(&user_id("root"), "admin").during("request-1", Ipv4Addr::LOCALHOST.into())
}

async fn with_user(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await.acting(author());
    store.add_user(&user("ann", "Ann")).await.unwrap();
    store
}

pub(crate) async fn go_with_each_change(backend: &dyn Backend) {
    let base = backend.open().await;
    let (store, observer) = (base.acting(author()), backend.open().await);
    let mut before = 0;
    macro_rules! expect {
        ($write:expr, $($kind:ident $target:ident $id:expr),+) => {
            $write.await.unwrap();
            let events = newest(&*observer).await;
            let new: Vec<&Event> = events.iter().filter(|event| event.sequence > before).rev().collect();
            let told: Vec<_> =
                new.iter().map(|event| (event.kind, event.target.kind, event.target.id.clone())).collect();
            let expected = [$((EventKind::$kind, TargetKind::$target, String::from($id))),+];
            assert_eq!(told, expected, stringify!($write));
            assert!(new.iter().all(|event| event.author == author() && !event.erased), stringify!($write));
            before = events[0].sequence;
        };
    }
    expect!(store.register_service(&service("a", "A")), Created Service "a");
    expect!(store.update_service(&confidential()), Updated Service "a", SecretChanged Service "a");
    let uri = "https://a.example/";
    let tried_from = "192.0.2.1".to_owned();
    let rejected = RejectedRedirect { uri: uri.to_owned(), tried_from, tried_at: at(1) };
    store.reject_redirect(&service_id("a"), &rejected).await.unwrap();
    expect!(store.forget_rejected_redirect(&service_id("a"), uri), Updated Service "a");
    expect!(store.add_first_key(&key("one", 1)), Created SigningKey "one");
    expect!(store.rotate_key(&key("two", 2), at(10)), KeyRotated SigningKey "two");
    expect!(store.reseal_key(&key_id("two"), b"sealed"), Updated SigningKey "two");
    expect!(store.add_group(&group("g", "G")), Created Group "g");
    expect!(store.update_group(&group("g", "H")), Updated Group "g");
    expect!(store.add_user(&member("u", "u", &["g"])), Created User "u");
    let ban =
        |user: &mut User| user.ban = Some(Ban { reason: String::new(), since: at(1), badge: String::new() });
    expect!(store.change_user(&user_id("u"), &ban, Some(&of_user("u", 1))), Banned User "u");
    expect!(store.change_user(&user_id("u"), &ban, Some(&of_user("u", 2))), TokenRevoked User "u");
    let unban = |user: &mut User| user.ban = None;
    expect!(store.change_user(&user_id("u"), &unban, None), Unbanned User "u");
    let password = |user: &mut User| user.password = other_user("x", "x").password;
    expect!(store.change_user(&user_id("u"), &password, Some(&of_user("u", 3))), PasswordChanged User "u");
    expect!(store.remove_group(&group_id("g")), Deleted Group "g");
    expect!(store.begin_session(&session("s", "u", 10), &digest("s"), None), SignedIn User "u");
    expect!(store.end_session(&session_id("s"), &of_session("s", 20)), SignedOut User "u");
    expect!(store.add_user(&user("v", "v")), Created User "v");
    expect!(store.begin_session(&session("t", "u", 10), &digest("t"), None), SignedIn User "u");
    let taken = session_id("t");
    let ended = of_session("t", 30);
    expect!(
        store.begin_session(&session("w", "v", 10), &digest("w"), Some((&taken, Some(&ended)))),
        SignedOut User "u", SignedIn User "v"
    );
    expect!(store.put_consent(&consent("c", "u", "a")), ConsentGiven Consent "c");
    expect!(store.remove_consent(&user_id("u"), &consent_id("c"), at(1001)), ConsentTakenBack Consent "c");
    expect!(store.revoke(&of_token(1, 1, 9)), TokenRevoked Token "AAAAAAAAAAAAAAAAAAAAAQ");
    store.add_grant(&grant("g", "v", "a"), &refresh("r", "g")).await.unwrap();
    expect!(store.revoke(&of_grant("g", 1)), TokenRevoked Grant "g");
    store.add_grant(&grant("h", "v", "a"), &refresh("r", "h")).await.unwrap();
    expect!(store.revoke_replayed(&of_grant("h", 1)), Replayed Grant "h");
    store.add_code(&code(grant("i", "v", "a"))).await.unwrap();
    store.exchange_code(&digest("i"), None, at(1)).await.unwrap();
    expect!(store.exchange_code(&digest("i"), None, at(2)), Replayed Grant "i");
    let second = SecondStep { user: user_id("v"), secret: vec![1], since: at(1), spent: 0, codes_left: 0 };
    expect!(store.add_second_step(&second, &[digest("1")]), SecondStepOn User "v");
    expect!(store.replace_recovery_codes(&user_id("v"), &[digest("2")]), RecoveryCodesReplaced User "v");
    expect!(store.spend_recovery_code(&second, &digest("2")), RecoveryCodeUsed User "v");
    store.spend_recovery_code(&second, &digest("2")).await.unwrap();
    store.spend_time_step(&second, 9).await.unwrap();
    expect!(store.remove_second_step(&user_id("v")), SecondStepOff User "v");
    store.remove_second_step(&user_id("v")).await.unwrap();
    expect!(store.remove_user(&user_id("u"), &of_user("u", 9)), Deleted User "u");
    expect!(store.remove_service(&service_id("a"), &of_client("a", 1, 9)), Deleted Service "a");
    let event =
        NewEvent { kind: EventKind::ConfigurationReloaded, target: Target::gateway(), changes: vec![] };
    expect!(store.note(&[event]), ConfigurationReloaded Gateway "0-0-0-0-0");
    let verified = backend.open().await.verify_events(None).await.unwrap();
    assert_eq!((verified.events, verified.broken), (u64::try_from(before).unwrap(), None));
}

pub(crate) async fn say_what_has_changed(backend: &dyn Backend) {
    let store = with_user(backend).await;
    let rename = |user: &mut User| {
        user.name = "Ann Example".into();
        user.administrator = true;
    };
    store.change_user(&user_id("ann"), &rename, None).await.unwrap();
    let events = newest(&*store).await;
    let [change, addition] = &events[..] else { panic!("{events:?}") };
    assert_eq!((change.sequence, addition.sequence), (2, 1));
    assert_eq!(change.kind, EventKind::Updated);
    assert_eq!(change.target, Target::user(&user_id("ann"), "Ann"));
    let field = |field: &str, before, after| FieldChange {
        field: field.to_owned(),
        before: Some(before),
        after: Some(after),
    };
    let expected =
        [field("administrator", json!(false), json!(true)), field("name", json!(""), json!("Ann Example"))];
    assert_eq!(change.changes, expected);
    assert!(addition.changes.contains(&FieldChange::new("login", "Ann")), "{addition:?}");
    assert_eq!(store.find_event(1).await.unwrap().as_ref(), Some(addition));
    assert_eq!(store.find_event(3).await.unwrap(), None);
    // Who does not say who it is, is the gateway.
    backend.open().await.add_group(&group("g", "G")).await.unwrap();
    assert_eq!(newest(&*store).await[0].author, Author::gateway());
}

pub(crate) async fn are_not_for_what_is_no_change(backend: &dyn Backend) {
    let store = with_user(backend).await;
    store.register_service(&service("a", "A")).await.unwrap();
    store.begin_session(&session("s", "ann", 10), &digest("s"), None).await.unwrap();
    let before = newest(&*store).await;
    // Refused.
    store.add_user(&user("ann", "other")).await.unwrap_err();
    store.register_service(&service("b", "A")).await.unwrap_err();
    store.update_service(&service("b", "B")).await.unwrap_err();
    store.remove_service(&service_id("b"), &of_client("b", 1, 9)).await.unwrap_err();
    store.change_user(&user_id("bob"), &|_| {}, None).await.unwrap_err();
    store.remove_user(&user_id("bob"), &of_user("bob", 1)).await.unwrap_err();
    store.update_group(&group("g", "G")).await.unwrap_err();
    store.remove_group(&group_id("g")).await.unwrap_err();
    store.begin_session(&session("s", "bob", 10), &digest("t"), None).await.unwrap_err();
    store.reseal_key(&key_id("one"), b"").await.unwrap_err();
    assert!(!store.end_session(&session_id("t"), &of_session("t", 1)).await.unwrap());
    assert!(!store.remove_consent(&user_id("ann"), &consent_id("c"), at(1)).await.unwrap());
    assert!(!store.forget_rejected_redirect(&service_id("a"), "u").await.unwrap());
    // Nothing changes.
    store.change_user(&user_id("ann"), &|user| user.updated = at(9), None).await.unwrap();
    store.update_service(&service("a", "A")).await.unwrap();
    store.note(&[]).await.unwrap();
    // Everyday life.
    store.touch_session(&session_id("s"), at(20), "192.0.2.9").await.unwrap();
    store.add_code(&code(grant("g", "ann", "a"))).await.unwrap();
    store.exchange_code(&digest("g"), Some(&refresh("r", "g")), at(1)).await.unwrap();
    store.rotate_refresh(&digest("r"), &refresh("s", "g"), b"", at(2)).await.unwrap();
    store.add_grant(&grant("h", "ann", "a"), &refresh("t", "h")).await.unwrap();
    store.purge_grants(std::time::Duration::ZERO, at(i64::MAX)).await.unwrap();
    store.purge_revocations(at(i64::MAX)).await.unwrap();
    assert_eq!(newest(&*store).await, before);
}

pub(crate) async fn come_in_pages(backend: &dyn Backend) {
    let base = backend.open().await;
    let (admin, machine) = (base.acting(author()), base.acting(Author::service(&service_id("m"), "M")));
    for number in 0..10 {
        let store = if number % 2 == 0 { &admin } else { &machine };
        store.add_user(&user(&format!("u{number}"), &format!("u{number}"))).await.unwrap();
        store.add_group(&group(&format!("g{number}"), &format!("g{number}"))).await.unwrap();
    }
    let numbers = async |filter: &EventFilter, page: EventPage| -> Vec<i64> {
        let events = base.list_events(filter, page).await.unwrap();
        events.iter().map(|event| event.sequence).collect()
    };
    let newest = EventPage::newest(4);
    assert_eq!(numbers(&all(), newest).await, [20, 19, 18, 17]);
    assert_eq!(numbers(&all(), EventPage { before: Some(17), ..newest }).await, [16, 15, 14, 13]);
    assert_eq!(numbers(&all(), EventPage { skip: 18, ..newest }).await, [2, 1]);
    assert_eq!(numbers(&all(), EventPage { before: Some(1), ..newest }).await, [0; 0]);
    let users = EventFilter { target_kind: Some(TargetKind::User), ..all() };
    assert_eq!(numbers(&users, newest).await, [19, 17, 15, 13]);
    let by_machine = EventFilter { author: Some("m".into()), ..users.clone() };
    assert_eq!(numbers(&by_machine, EventPage::newest(99)).await, [19, 15, 11, 7, 3]);
    let one = EventFilter { target: Some("u3".into()), ..all() };
    assert_eq!(numbers(&one, newest).await, [7]);
    let about = |id: &str| EventFilter { concerning: Some(user_id(id)), ..all() };
    assert_eq!(numbers(&about("u3"), newest).await, [7]);
    assert_eq!(numbers(&about("root"), newest).await, [18, 17, 14, 13], "what an administrator does");
    let gone = EventFilter { kind: Some(EventKind::Deleted), ..all() };
    assert_eq!(numbers(&gone, newest).await, [0; 0]);
    let at_5 = base.find_event(5).await.unwrap().unwrap().at;
    let since = EventFilter { since: Some(at_5), ..users.clone() };
    let found = numbers(&since, EventPage::newest(99)).await;
    assert!(found.contains(&19) && found.contains(&5), "{found:?}");
    let later = EventFilter { since: Some(at(i64::MAX)), ..all() };
    assert_eq!(numbers(&later, newest).await, [0; 0]);
    let everything = EventFilter {
        kind: Some(EventKind::Created),
        target_kind: Some(TargetKind::User),
        target: Some("u4".into()),
        author: Some("root".into()),
        concerning: Some(user_id("u4")),
        since: Some(at(0)),
    };
    assert_eq!(numbers(&everything, newest).await, [9]);
    assert_eq!(base.count_events(&everything, 99).await.unwrap(), 1);
    assert_eq!(base.count_events(&users, 99).await.unwrap(), 10);
    assert_eq!(base.count_events(&users, 3).await.unwrap(), 3);
}

pub(crate) async fn are_one_chain_for_all_writers(backend: &dyn Backend) {
    const WRITERS: usize = 50;
    let (one, other) = (backend.open().await, backend.open().await);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(if writer % 2 == 0 { &one } else { &other });
            tokio::spawn(async move {
                let by = Author::service(&service_id(&format!("w{writer}")), "writer");
                let id = format!("g{writer}");
                store.acting(by.clone()).add_group(&group(&id, &id)).await.unwrap();
                // Half of them in vain: what is refused leaves no gap.
                let again = store.acting(by.clone()).add_group(&group(&id, "other")).await;
                again.unwrap_err();
                store.acting(by).remove_group(&group_id(&id)).await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let events = newest(&*other).await;
    let sequence: Vec<i64> = events.iter().rev().map(|event| event.sequence).collect();
    assert_eq!(sequence, (1..=2 * i64::try_from(WRITERS).unwrap()).collect::<Vec<_>>());
    for event in &events {
        let number = event.target.id.trim_start_matches('g');
        assert_eq!(event.author.id, Some(format!("w{number}")), "an author for each writer: {event:?}");
        assert_eq!(event.author.kind, AuthorKind::Service);
    }
    let verified = one.verify_events(None).await.unwrap();
    assert_eq!((verified.events, verified.erased, verified.broken), (100, 0, None));
    assert_eq!(other.verify_events(Some(verified.head)).await.unwrap().noted, Some(100));
    one.add_group(&group("more", "more")).await.unwrap();
    let later = other.verify_events(Some(verified.head)).await.unwrap();
    assert_eq!((later.events, later.noted, later.broken), (101, Some(100), None));
    assert_ne!(later.head, verified.head);
    let unknown = ChainHash([7; 32]);
    assert_eq!(one.verify_events(Some(unknown)).await.unwrap().noted, None);
}

pub(crate) async fn can_be_erased(backend: &dyn Backend) {
    let store = with_user(backend).await;
    store.add_user(&user("bob", "Bob")).await.unwrap();
    store.begin_session(&session("s", "ann", 10), &digest("s"), None).await.unwrap();
    store.put_consent(&consent("c", "ann", "yt")).await.unwrap();
    store.acting(Author::user(&user_id("ann"), "Ann")).add_group(&group("g", "Group of Ann")).await.unwrap();
    let before = store.verify_events(None).await.unwrap();
    assert_eq!(store.erase_events(&user_id("ann")).await.unwrap(), 4);
    let verified = store.verify_events(Some(before.head)).await.unwrap();
    assert_eq!((verified.events, verified.erased, verified.noted, verified.broken), (6, 4, Some(5), None));

    let events = newest(&*backend.open().await).await;
    let text = format!("{events:?}");
    for personal in ["Ann", "Mozilla", "192.0.2.1"] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
    assert!(text.contains("Bob"), "{text}");
    let erased: Vec<i64> = events.iter().filter(|event| event.erased).map(|event| event.sequence).collect();
    assert_eq!(erased, [5, 4, 3, 1]);
    // What happened when, by and to which id stays.
    let first = events.last().unwrap();
    let what = (first.kind, first.target.id.as_str(), first.author.id.as_deref());
    assert_eq!(what, (EventKind::Created, "ann", Some("root")));
    assert_eq!((events[0].kind, events[0].target.id.as_str()), (EventKind::Erased, "ann"));
    assert_eq!(store.erase_events(&user_id("ann")).await.unwrap(), 1, "the event of the erasure");
}

/// Another service in place of `a`, which does not become public, so that nothing of it ends.
fn confidential() -> Service {
    Service { trust: service("a", "A").trust, ..other_service("a", "B") }
}

pub(crate) async fn keep_no_secret(backend: &dyn Backend) {
    let store = backend.open().await;
    let full = User { guest: false, ban: None, ..other_user("ann", "ann") };
    let hash = full.password.as_ref().unwrap().hash.clone();
    store.add_user(&full).await.unwrap();
    store.change_user(&user_id("ann"), &|user| user.password = None, None).await.unwrap();
    store.register_service(&service("a", "A")).await.unwrap();
    store.update_service(&confidential()).await.unwrap();
    store.add_first_key(&key("one", 1)).await.unwrap();
    store.add_code(&code(grant("g", "ann", "a"))).await.unwrap();
    store.begin_session(&session("s", "ann", i64::MAX), &digest("cookie"), None).await.unwrap();
    let text = format!("{:?}", newest(&*store).await);
    let hex = |bytes: &[u8; 32]| ChainHash(*bytes).to_string();
    let secret = service("a", "A").secrets[0].digest;
    for kept_out in [hash, "argon2".into(), hex(secret.as_bytes()), hex(digest("cookie").as_bytes())] {
        assert!(!text.contains(&kept_out), "{kept_out}: {text}");
    }
    assert!(text.contains("passwordChanged") || text.contains("PasswordChanged"), "{text}");
}
