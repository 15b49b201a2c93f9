//! Rules for links that are sent by mail.

use hubgate::{
    base::time::Timestamp,
    model::{
        event::EventKind,
        link::{Link, LinkKind},
        user::{Ban, Email, Password, User},
    },
    store::{
        SharedStore, StoreError,
        events::{EventFilter, EventPage},
    },
};

use super::{
    Backend,
    samples::{at, digest, of_user, user, user_id},
};

fn jane() -> User {
    let email = Some(Email { address: "jane@example.org".into(), verified: true });
    let password = Some(Password { hash: "$argon2id$x".into(), set: at(1), must_change: false });
    User { email, password, ..user("jane", "jane") }
}

fn link(kind: LinkKind) -> Link {
    Link {
        user: user_id("jane"),
        kind,
        address: "jane@example.org".into(),
        query: "client_id=a&state=%26".into(),
        created: at(10),
        expires: at(100),
    }
}

async fn with_jane(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    store.add_user(&jane()).await.unwrap();
    store
}

async fn found(store: &SharedStore, name: &str, now: i64) -> bool {
    store.find_link(&digest(name), at(now)).await.unwrap().is_some()
}

pub(crate) async fn come_back_as_they_were(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    for kind in LinkKind::ALL {
        store.put_link(&link(kind), &digest(kind.name())).await.unwrap();
        let (back, user) = store.find_link(&digest(kind.name()), at(50)).await.unwrap().unwrap();
        assert_eq!((back, user.id), (link(kind), user_id("jane")));
    }
    assert!(!found(&store, "other", 50).await);
    let nothing = |_: &mut User| {};
    store.spend_link(&digest("address"), at(50), &nothing, None).await.unwrap().unwrap();
    let events = store.list_events(&EventFilter::default(), EventPage::newest(3)).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.target.id.as_str())).collect();
    assert_eq!(
        told,
        [(EventKind::LinkUsed, "jane"), (EventKind::LinkSent, "jane"), (EventKind::LinkSent, "jane")]
    );
    assert_eq!(events[0].changes[0].after, Some("address".into()));
    assert_eq!(events[0].changes[1].after, Some("jane@example.org".into()));
}

pub(crate) async fn are_good_for_a_time(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    store.put_link(&link(LinkKind::Restore), &digest("a")).await.unwrap();
    assert!(found(&store, "a", 99).await && !found(&store, "a", 100).await);
    let nothing = |_: &mut User| {};
    assert_eq!(store.spend_link(&digest("a"), at(100), &nothing, None).await.unwrap(), None);
    assert_eq!(store.purge_links(at(99)).await.unwrap(), 0);
    assert_eq!(store.purge_links(at(100)).await.unwrap(), 1);
    assert!(!found(&store, "a", 50).await);
}

pub(crate) async fn take_the_place_of_others(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    store.put_link(&link(LinkKind::Address), &digest("address")).await.unwrap();
    store.put_link(&link(LinkKind::Invitation), &digest("invitation")).await.unwrap();
    store.put_link(&link(LinkKind::Restore), &digest("restore")).await.unwrap();
    assert!(!found(&store, "invitation", 50).await, "one that sets the password is enough");
    assert!(found(&store, "restore", 50).await && found(&store, "address", 50).await);
}

pub(crate) async fn fit_their_user(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    let refused = async |store: &SharedStore| {
        let answer = store.put_link(&link(LinkKind::Restore), &digest("new")).await;
        matches!(answer, Err(StoreError::NotFound { what: "user" }))
    };
    assert!(!refused(&store).await);
    let alterations: [fn(&mut User); 7] = [
        |user| user.ban = Some(Ban { reason: String::new(), since: at(5), badge: String::new() }),
        |user| user.email = None,
        |user| user.email = Some(Email { address: "other@example.org".into(), verified: true }),
        |user| user.email = Some(Email { address: "jane@example.org".into(), verified: false }),
        |user| user.password = None,
        |user| user.erased = Some(at(5)),
        |user| user.declared = true,
    ];
    for (number, alter) in alterations.into_iter().enumerate() {
        store.change_user(&user_id("jane"), &|user| *user = jane(), None).await.unwrap();
        let name = format!("link {number}");
        store.put_link(&link(LinkKind::Restore), &digest(&name)).await.unwrap();
        assert!(found(&store, &name, 50).await);
        store.change_user(&user_id("jane"), &alter, None).await.unwrap();
        assert!(!found(&store, &name, 50).await, "{number}");
        let nothing = |_: &mut User| {};
        assert_eq!(store.spend_link(&digest(&name), at(50), &nothing, None).await.unwrap(), None, "{number}");
        assert!(refused(&store).await, "{number}");
    }
    let nobody = Link { user: user_id("nobody"), ..link(LinkKind::Restore) };
    assert!(store.put_link(&nobody, &digest("x")).await.is_err());
}

pub(crate) async fn end_with_what_ends_sessions(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    for kind in [LinkKind::Restore, LinkKind::Address] {
        store.put_link(&link(kind), &digest(kind.name())).await.unwrap();
    }
    store.revoke(&of_user("jane", 20)).await.unwrap();
    assert!(!found(&store, "restore", 50).await);
    assert!(found(&store, "address", 50).await, "that the address is read has nothing to do with it");
    store.remove_user(&user_id("jane"), &of_user("jane", 30)).await.unwrap();
    assert!(!found(&store, "address", 50).await);
}

pub(crate) async fn are_spent_once(backend: &dyn Backend) {
    let store = with_jane(backend).await;
    store.put_link(&link(LinkKind::Restore), &digest("a")).await.unwrap();
    let rename = |user: &mut User| user.name = "Renamed".into();
    let revocation = of_user("jane", 40);
    let (digest, other) = (digest("a"), backend.open().await);
    let (one, two) = tokio::join!(
        store.spend_link(&digest, at(50), &rename, Some(&revocation)),
        other.spend_link(&digest, at(50), &rename, Some(&revocation)),
    );
    let mut names = [one, two].map(|spent| spent.unwrap().map(|user| user.name));
    names.sort();
    assert_eq!(names, [None, Some("Renamed".to_owned())]);
    assert_eq!(store.list_revocations(Timestamp::default()).await.unwrap(), [revocation]);
}
