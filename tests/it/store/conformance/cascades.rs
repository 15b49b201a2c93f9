//! Rules for what a revocation takes away, whichever method records it.

use hubgate::{
    base::time::Timestamp,
    model::{
        grant::Grant,
        revocation::{Revocation, RevocationTarget},
    },
    store::{
        SharedStore, Store, StoreError,
        grants::{Exchange, Rotation},
    },
};

use super::{
    Backend,
    samples::{
        at, code, consent, consent_id, digest, grant, grant_id, of_client, of_consent, of_grant, of_session,
        of_token, of_user, refresh, service, service_id, session, session_id, user, user_id,
    },
};

/// User, client and session of each family; the family's name is the three in a row.
const FAMILIES: [(&str, &str, &str); 6] =
    [("a", "x", "s"), ("a", "x", "t"), ("a", "y", "s"), ("b", "x", "u"), ("b", "y", "u"), ("b", "y", "-")];

const SESSIONS: [(&str, &str); 3] = [("s", "a"), ("t", "a"), ("u", "b")];

fn family(user: &str, client: &str, of: &str) -> Grant {
    let session = (of != "-").then(|| session_id(of));
    Grant { session, ..grant(&format!("{user}{client}{of}"), user, client) }
}

/// Two users, two clients, three sessions, consents, and of each family a code that was not used (its grant's id ends
/// in `c`), one that was, a spent refresh token (`r`) and a live one (`l`).
async fn filled(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["x", "y"] {
        store.register_service(&service(id, id)).await.unwrap();
    }
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
        for client in ["x", "y"] {
            store.put_consent(&consent(&format!("{id}{client}"), id, client)).await.unwrap();
        }
    }
    for (id, user) in SESSIONS {
        store.begin_session(&session(id, user, 1000), &digest(id), None).await.unwrap();
    }
    for (user, client, of) in FAMILIES {
        let grant = family(user, client, of);
        let name = grant.id.to_string();
        let unused = Grant { id: grant_id(&format!("{name}c")), ..grant.clone() };
        store.add_code(&code(unused)).await.unwrap();
        store.add_code(&code(grant)).await.unwrap();
        let (spent, live) = (refresh(&format!("{name}r"), &name), refresh(&format!("{name}l"), &name));
        store.exchange_code(&digest(&name), Some(&spent), at(1000)).await.unwrap();
        store.rotate_refresh(&spent.digest, &live, b"", at(1000)).await.unwrap();
    }
    store
}

/// What is left: names of families, of sessions and of consents. A family is whole or gone.
async fn left(store: &dyn Store) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut families = Vec::new();
    for (user, client, of) in FAMILIES {
        let name = format!("{user}{client}{of}");
        let parts = [
            store.find_code(&digest(&format!("{name}c"))).await.unwrap().is_some(),
            store.find_code(&digest(&name)).await.unwrap().is_some(),
            store.find_refresh(&digest(&format!("{name}r"))).await.unwrap().is_some(),
            store.find_refresh(&digest(&format!("{name}l"))).await.unwrap().is_some(),
            store.find_grant(&grant_id(&name)).await.unwrap().is_some(),
        ];
        assert!(parts == [true; 5] || parts == [false; 5], "{name}: {parts:?}");
        if parts[0] {
            families.push(name);
        }
    }
    let mut sessions = Vec::new();
    for (id, _) in SESSIONS {
        if store.find_session(&digest(id)).await.unwrap().is_some() {
            sessions.push(id.to_owned());
        }
    }
    let mut consents = Vec::new();
    for user in ["a", "b"] {
        for client in ["x", "y"] {
            let found = store.find_consent(&user_id(user), &service_id(client)).await.unwrap();
            consents.extend(found.map(|c| c.id.to_string()));
        }
    }
    (families, sessions, consents)
}

async fn expect(store: &dyn Store, how: &str, families: &[&str], sessions: &[&str], consents: &[&str]) {
    let (f, s, c) = left(store).await;
    assert_eq!((f, s, c), (owned(families), owned(sessions), owned(consents)), "{how}");
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const ALL: [&str; 6] = ["axs", "axt", "ays", "bxu", "byu", "by-"];
const CONSENTS: [&str; 4] = ["ax", "ay", "bx", "by"];

pub(crate) async fn end_what_they_name(backend: &dyn Backend) {
    let store = filled(backend).await;
    let s: &dyn Store = &*store;
    expect(s, "at first", &ALL, &["s", "t", "u"], &CONSENTS).await;
    store.revoke(&of_token(1, 2000, 9000)).await.unwrap();
    expect(s, "a token", &ALL, &["s", "t", "u"], &CONSENTS).await;
    for absent in [of_grant("q", 2000), of_session("q", 2000), of_user("q", 2000), of_consent("q", "x", 2000)]
    {
        store.revoke(&absent).await.unwrap();
    }
    expect(s, "what is not there", &ALL, &["s", "t", "u"], &CONSENTS).await;

    // A code that was not used is a family of its own until then.
    store.revoke(&of_grant("axtc", 2000)).await.unwrap();
    assert_eq!(store.find_code(&digest("axtc")).await.unwrap(), None);
    store.revoke(&of_grant("axt", 2000)).await.unwrap();
    let rest = ["axs", "ays", "bxu", "byu", "by-"];
    expect(s, "a grant", &rest, &["s", "t", "u"], &CONSENTS).await;
    store.revoke(&of_consent("b", "x", 2000)).await.unwrap();
    expect(s, "a consent", &["axs", "ays", "byu", "by-"], &["s", "t", "u"], &["ax", "ay", "by"]).await;
    store.revoke(&of_session("u", 2000)).await.unwrap();
    expect(s, "a session", &["axs", "ays", "by-"], &["s", "t"], &["ax", "ay", "by"]).await;
    store.revoke(&of_client("x", 2000, 9000)).await.unwrap();
    expect(s, "a client", &["ays", "by-"], &["s", "t"], &["ay", "by"]).await;
    store.revoke(&of_user("a", 2000)).await.unwrap();
    expect(s, "a user", &["by-"], &[], &["ay", "by"]).await;
    expect(&*backend.open().await, "elsewhere", &["by-"], &[], &["ay", "by"]).await;
}

pub(crate) async fn come_with_every_method(backend: &dyn Backend) {
    let store = filled(backend).await;
    let s: &dyn Store = &*store;
    assert!(store.end_session(&session_id("t"), &of_session("t", 2000)).await.unwrap());
    let rest = ["axs", "ays", "bxu", "byu", "by-"];
    expect(s, "end_session", &rest, &["s", "u"], &CONSENTS).await;

    let (replaced, revocation) = (session_id("s"), of_session("s", 2000));
    let to_other = Some((&replaced, Some(&revocation)));
    store.begin_session(&session("v", "b", 2000), &digest("v"), to_other).await.unwrap();
    expect(s, "begin_session", &["bxu", "byu", "by-"], &["u"], &CONSENTS).await;

    assert!(store.remove_consent(&user_id("b"), &consent_id("bx"), at(2000)).await.unwrap());
    expect(s, "remove_consent", &["byu", "by-"], &["u"], &["ax", "ay", "by"]).await;

    assert_eq!(store.exchange_code(&digest("by-"), None, at(2000)).await.unwrap(), Exchange::Replayed);
    assert_eq!(store.find_refresh(&digest("by-l")).await.unwrap(), None);
    assert!(store.find_code(&digest("by-c")).await.unwrap().is_some(), "a family of its own");
    store.revoke(&of_grant("by-c", 2000)).await.unwrap();
    expect(s, "exchange_code", &["byu"], &["u"], &["ax", "ay", "by"]).await;

    store.change_user(&user_id("b"), &|u| u.name = "B".into(), Some(&of_user("b", 2000))).await.unwrap();
    expect(s, "change_user", &[], &[], &["ax", "ay", "by"]).await;
    store.remove_service(&service_id("y"), &of_client("y", 2000, 9000)).await.unwrap();
    expect(s, "remove_service", &[], &[], &["ax"]).await;
    store.remove_user(&user_id("a"), &of_user("a", 2000)).await.unwrap();
    expect(s, "remove_user", &[], &[], &[]).await;
}

/// What a session was good for may be made while its user is shut out, at a later time than the revocation's: the sessions
/// are revoked by name, so that this is written no more and opens nothing.
pub(crate) async fn name_the_sessions_of_a_user(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.revoke(&of_user("a", 2000)).await.unwrap();
    let revoked = store.list_revocations(at(0)).await.unwrap();
    for session in ["s", "t"] {
        assert!(revoked.contains(&of_session(session, 2000)), "{session}: {revoked:?}");
        let late = Grant { id: grant_id("late"), created: at(3000), ..family("a", "y", session) };
        for refusal in [
            store.add_code(&code(late.clone())).await,
            store.add_grant(&late, &refresh("late", "late")).await,
        ] {
            assert!(matches!(refusal, Err(StoreError::NotFound { what: "session" })), "{refusal:?}");
        }
    }
    assert!(!revoked.contains(&of_session("u", 2000)), "another's goes on");
    // Nor does one that was ended go on under another cookie.
    let refusal = store.begin_session(&session("s", "a", 3000), &digest("again"), None).await;
    assert!(matches!(refusal, Err(StoreError::NotFound { what: "session" })), "{refusal:?}");
}

/// Judged before, written after: what no revocation would find any more is not written.
pub(crate) async fn keep_out_what_is_late(backend: &dyn Backend) {
    let store = filled(backend).await;
    let of = |revocation: Revocation, what: &'static str| (revocation, what);
    for (n, (revocation, what)) in [
        of(of_user("a", 1001), "user"),
        of(of_client("x", 1001, 9000), "service"),
        of(of_consent("b", "y", 1001), "consent"),
        of(of_session("u", 1), "session"),
        of(of_grant("late", 1), "grant"),
    ]
    .into_iter()
    .enumerate()
    {
        store.revoke(&revocation).await.unwrap();
        let late = match what {
            "user" => family("a", "y", "-"),
            "service" => family("b", "x", "-"),
            "consent" => family("b", "y", "-"),
            "session" => family("b", "z", "u"),
            _ => family("b", "z", "-"),
        };
        let id = if what == "grant" { grant_id("late") } else { grant_id(&format!("late{n}")) };
        let late = Grant { id: id.clone(), ..late };
        for refusal in [
            store.add_code(&code(late.clone())).await,
            store.add_grant(&late, &refresh("late", id.as_str())).await,
        ] {
            assert!(
                matches!(refusal, Err(StoreError::NotFound { what: w }) if w == what),
                "{what}: {refusal:?}"
            );
        }
        assert_eq!(store.find_code(&digest(id.as_str())).await.unwrap(), None);
        assert_eq!(store.find_refresh(&digest("late")).await.unwrap(), None);
        // Judged anew it may be written, unless what is over is the very thing that it names.
        let anew = Grant { created: at(1001), ..late };
        let name = format!("anew{n}");
        let written = store.add_grant(&anew, &refresh(&name, id.as_str())).await;
        assert_eq!(written.is_ok(), !["session", "grant"].contains(&what), "{what}: {written:?}");
    }
    for (late, what) in [(consent("1", "a", "z"), "user"), (consent("2", "b", "x"), "service")] {
        let refusal = store.put_consent(&late).await;
        assert!(matches!(refusal, Err(StoreError::NotFound { what: w }) if w == what), "{what}: {refusal:?}");
    }
}

pub(crate) async fn bury_what_was_spent(backend: &dyn Backend) {
    let store = filled(backend).await;
    store.revoke(&of_user("a", 2000)).await.unwrap();
    store.revoke(&of_user("b", 2000)).await.unwrap();
    let store = backend.open().await;
    let before = store.list_revocations(at(0)).await.unwrap().len();
    for (user, client, of) in FAMILIES {
        let name = format!("{user}{client}{of}");
        for code in [name.clone(), format!("{name}c")] {
            assert_eq!(store.exchange_code(&digest(&code), None, at(3000)).await.unwrap(), Exchange::Unknown);
        }
        for token in [format!("{name}r"), format!("{name}l")] {
            let next = refresh("next", &name);
            let rotated = store.rotate_refresh(&digest(&token), &next, b"", at(3000)).await.unwrap();
            assert_eq!(rotated, Rotation::Unknown);
        }
    }
    let after = store.list_revocations(at(0)).await.unwrap().len();
    assert_eq!(after, before, "a dead code revokes nothing");
}

/// Grants that are made, rotated and exchanged while their user is revoked: in the end none is left that was judged before.
pub(crate) async fn race_with_what_is_added(backend: &dyn Backend) {
    let handles = [backend.open().await, backend.open().await];
    handles[0].add_user(&user("a", "a")).await.unwrap();
    let tasks: Vec<_> = (0..24_usize)
        .map(|n| {
            let store = handles[n % 2].clone();
            tokio::spawn(async move {
                if n == 11 {
                    store.revoke(&of_user("a", 2000)).await.unwrap();
                    return;
                }
                let id = format!("g{n}");
                let token = refresh(&format!("{id}r"), &id);
                let added = if n % 3 == 0 {
                    store.add_code(&code(grant(&id, "a", "x"))).await
                } else {
                    store.add_grant(&grant(&id, "a", "x"), &token).await
                };
                if added.is_ok() {
                    let now: Timestamp = at(1500);
                    store.exchange_code(&digest(&id), Some(&token), now).await.unwrap();
                    let next = refresh(&format!("{id}s"), &id);
                    store.rotate_refresh(&token.digest, &next, b"", now).await.unwrap();
                } else {
                    assert!(matches!(added, Err(StoreError::NotFound { what: "user" })), "{added:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(handles[0].list_grants(&user_id("a")).await.unwrap(), vec![]);
    for n in 0..24 {
        let id = format!("g{n}");
        assert_eq!(handles[1].find_code(&digest(&id)).await.unwrap(), None);
        for token in ["r", "s"] {
            assert_eq!(handles[1].find_refresh(&digest(&format!("{id}{token}"))).await.unwrap(), None);
        }
    }
    let user = Revocation { target: RevocationTarget::User(user_id("a")), ..of_user("a", 2000) };
    assert_eq!(handles[0].list_revocations(at(0)).await.unwrap(), [user]);
}
