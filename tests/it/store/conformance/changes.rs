//! Rules for change counters.

use hubgate::{
    model::user::{Ban, User},
    store::{Versions, credentials::CredentialUse, events::EventFilter},
};

use super::{
    Backend,
    samples::{
        application, at, digest, group, group_id, key, key_id, member, of_client, of_session, of_token,
        of_user, other_service, permanent, service, service_id, session, session_id, token_id, user, user_id,
    },
};

fn rename(user: &mut User) {
    user.name = "Somebody".into();
}

/// Which counters have grown; a counter that shrinks fails the test.
fn grown(before: Versions, after: Versions) -> [bool; 5] {
    [
        (before.services, after.services),
        (before.keys, after.keys),
        (before.revocations, after.revocations),
        (before.users, after.users),
        (before.credentials, after.credentials),
    ]
    .map(|(before, after)| {
        assert!(before <= after, "a counter went from {before} to {after}");
        before < after
    })
}

const SERVICES: [bool; 5] = [true, false, false, false, false];
const KEYS: [bool; 5] = [false, true, false, false, false];
const REVOCATIONS: [bool; 5] = [false, false, true, false, false];
const USERS: [bool; 5] = [false, false, false, true, false];
const USERS_AND_REVOCATIONS: [bool; 5] = [false, false, true, true, false];
const CREDENTIALS: [bool; 5] = [false, false, false, false, true];
const NONE: [bool; 5] = [false; 5];

pub(crate) async fn grow_with_each_write(backend: &dyn Backend) {
    let (store, observer) = (backend.open().await, backend.open().await);
    let mut before = observer.versions().await.unwrap();
    let mut events = 0;
    macro_rules! expect {
        ($write:expr, $grown:expr) => {
            $write.await.unwrap();
            let after = observer.versions().await.unwrap();
            assert_eq!(grown(before, after), $grown, stringify!($write));
            assert_eq!(store.versions().await.unwrap(), after);
            before = after;
            // What is counted is recorded, unless it only forgets what is over.
            let recorded = observer.count_events(&EventFilter::default(), u64::MAX).await.unwrap();
            assert_eq!(recorded > events, !stringify!($write).contains("purge"), stringify!($write));
            events = recorded;
        };
    }
    expect!(store.register_service(&service("a", "A")), SERVICES);
    expect!(store.update_service(&service("a", "C")), SERVICES);
    // It becomes public, which ends what it has.
    expect!(store.update_service(&other_service("a", "B")), [true, false, true, false, false]);
    expect!(store.remove_service(&service_id("a"), &of_client("a", 1, 9)), [true, false, true, false, false]);
    expect!(store.add_first_key(&key("one", 1)), KEYS);
    expect!(store.rotate_key(&key("two", 2), at(10)), KEYS);
    expect!(store.reseal_key(&key_id("two"), b"sealed"), KEYS);
    expect!(store.purge_keys(at(10)), KEYS);
    expect!(store.revoke(&of_token(1, 1, 9)), REVOCATIONS);
    expect!(store.revoke(&of_token(1, 2, 10)), REVOCATIONS);
    expect!(store.add_group(&group("g", "G")), USERS);
    expect!(store.add_user(&member("u", "u", &["g"])), USERS);
    let ban =
        |user: &mut User| user.ban = Some(Ban { reason: String::new(), since: at(1), badge: String::new() });
    expect!(store.change_user(&user_id("u"), &ban, None), USERS);
    expect!(store.change_user(&user_id("u"), &rename, Some(&of_user("u", 1))), USERS_AND_REVOCATIONS);
    expect!(store.change_user(&user_id("u"), &rename, Some(&of_user("u", 2))), REVOCATIONS);
    expect!(store.update_group(&group("g", "H")), USERS);
    expect!(store.remove_group(&group_id("g")), USERS);
    expect!(store.begin_session(&session("s", "u", 10), &digest("s"), None), NONE);
    expect!(store.end_session(&session_id("s"), &of_session("s", 1)), REVOCATIONS);
    expect!(store.register_service(&service("a", "A")), SERVICES);
    expect!(store.register_service(&service("b", "B")), SERVICES);
    expect!(store.add_permanent_token(&permanent(1, "u", &["a", "b"])), CREDENTIALS);
    expect!(store.add_permanent_token(&permanent(2, "u", &["b"])), CREDENTIALS);
    expect!(store.add_application_password(&application(3, "u")), CREDENTIALS);
    expect!(store.add_application_password(&application(4, "u")), CREDENTIALS);
    expect!(store.remove_permanent_token(&user_id("u"), &token_id(2)), CREDENTIALS);
    expect!(store.remove_application_password(&user_id("u"), &token_id(4)), CREDENTIALS);
    expect!(store.remove_service(&service_id("b"), &of_client("b", 1, 9)), [true, false, true, false, true]);
    expect!(store.revoke(&of_user("u", 2)), [false, false, true, false, true]);
    expect!(store.revoke(&of_user("u", 2)), REVOCATIONS);
    expect!(store.remove_user(&user_id("u"), &of_user("u", 3)), [false, false, true, true, true]);
    assert_eq!(observer.count_events(&EventFilter::default(), u64::MAX).await.unwrap(), events);
    drop((store, observer));
    assert_eq!(backend.open().await.versions().await.unwrap(), before);
}

pub(crate) async fn stay_without_a_change(backend: &dyn Backend) {
    let store = backend.open().await;
    store.register_service(&service("a", "A")).await.unwrap();
    store.register_service(&service("b", "B")).await.unwrap();
    assert!(store.add_first_key(&key("one", 1)).await.unwrap());
    store.revoke(&of_token(1, 1, 9)).await.unwrap();
    store.add_group(&group("g", "G")).await.unwrap();
    store.add_user(&member("u", "u", &["g"])).await.unwrap();
    store.add_user(&user("v", "v")).await.unwrap();
    store.add_permanent_token(&permanent(1, "u", &["a"])).await.unwrap();
    let before = store.versions().await.unwrap();

    store.list_services().await.unwrap();
    store.find_service(&service_id("a")).await.unwrap();
    store.list_keys().await.unwrap();
    store.list_revocations(at(0)).await.unwrap();
    // Nobody needs to hear that what was dead anyway is forgotten.
    assert_eq!(store.purge_revocations(at(9)).await.unwrap(), 1);
    assert_eq!(store.purge_keys(at(9)).await.unwrap(), 0);

    assert!(store.register_service(&service("a", "C")).await.is_err());
    assert!(store.register_service(&service("c", "a")).await.is_err());
    assert!(store.update_service(&service("b", "a")).await.is_err());
    assert!(store.update_service(&service("c", "c")).await.is_err());
    assert!(store.remove_service(&service_id("c"), &of_client("c", 1, 9)).await.is_err());
    assert!(!store.add_first_key(&key("two", 1)).await.unwrap());
    assert!(store.rotate_key(&key("one", 1), at(5)).await.is_err());
    assert!(store.reseal_key(&key_id("two"), b"").await.is_err());

    store.list_users().await.unwrap();
    store.people(0).await.unwrap();
    store.change_user(&user_id("u"), &|_| {}, None).await.unwrap();
    assert!(store.add_user(&user("w", "u")).await.is_err());
    assert!(store.add_user(&member("w", "w", &["h"])).await.is_err());
    assert!(
        store.change_user(&user_id("u"), &|u| u.login = "v".into(), Some(&of_user("u", 1))).await.is_err()
    );
    assert!(store.remove_user(&user_id("w"), &of_user("w", 1)).await.is_err());
    assert!(store.add_group(&group("h", "g")).await.is_err());
    assert!(store.update_group(&group("h", "H")).await.is_err());
    assert!(store.remove_group(&group_id("h")).await.is_err());
    let used = CredentialUse { id: token_id(1), at: at(5), source: None };
    store.note_uses(&[used]).await.unwrap();
    store.credentials(0).await.unwrap();
    store.list_permanent_tokens(&user_id("u")).await.unwrap();
    store.list_application_passwords(&user_id("u")).await.unwrap();
    assert!(store.add_permanent_token(&permanent(1, "u", &["a"])).await.is_err());
    assert!(store.add_permanent_token(&permanent(2, "u", &["c"])).await.is_err());
    assert!(store.add_application_password(&application(2, "w")).await.is_err());
    assert!(!store.remove_permanent_token(&user_id("u"), &token_id(2)).await.unwrap());
    assert!(!store.remove_application_password(&user_id("u"), &token_id(1)).await.unwrap());
    assert!(!store.end_session(&session_id("s"), &of_session("s", 1)).await.unwrap());
    assert!(store.begin_session(&session("s", "w", 1), &digest("s"), None).await.is_err());

    let after = backend.open().await.versions().await.unwrap();
    assert_eq!(grown(before, after), NONE);
    assert_eq!(before, after);
}

/// A gateway that polls another process's store must never keep an old copy under a new number.
pub(crate) async fn are_seen_with_the_change(backend: &dyn Backend) {
    let (writer, reader) = (backend.open().await, backend.open().await);
    let start = reader.versions().await.unwrap().services;
    let writing = tokio::spawn(async move {
        for n in 0..50 {
            writer.register_service(&service(&format!("s{n}"), &format!("s{n}"))).await.unwrap();
        }
    });
    loop {
        let counted = reader.versions().await.unwrap().services - start;
        let seen = i64::try_from(reader.list_services().await.unwrap().len()).unwrap();
        assert!(seen >= counted, "the counter is at {counted}, but only {seen} services are visible");
        if counted == 50 {
            break;
        }
        assert!(!writing.is_finished() || reader.versions().await.unwrap().services - start == 50);
    }
    writing.await.unwrap();
}
