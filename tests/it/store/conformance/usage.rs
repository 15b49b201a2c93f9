//! Rules for when services were last active and how much rests on them.

use hubgate::{
    base::time::Timestamp,
    model::{
        scope::GrantedScope,
        usage::{Count, LastUse, Links, ServiceUse, UsageCounts},
    },
    store::{SharedStore, usage::MOST_LINKS},
};

use super::{
    Backend,
    samples::{at, consent, grant, of_client, of_grant, permanent, refresh, service, service_id, user},
};

const HUB: &str = "0-0-0-0-0";

async fn filled(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        store.add_user(&user(id, id)).await.unwrap();
    }
    for id in ["x", "y", "z"] {
        store.register_service(&service(id, id)).await.unwrap();
    }
    store
}

fn used(service: &str, client: Option<i64>, resource: Option<i64>, asked_for: &[(&str, i64)]) -> ServiceUse {
    ServiceUse {
        service: service_id(service),
        last: last(client, resource),
        asked_for: asked_for.iter().map(|(id, time)| (service_id(id), at(*time))).collect(),
    }
}

fn last(client: Option<i64>, resource: Option<i64>) -> LastUse {
    LastUse { as_client: client.map(at), as_resource: resource.map(at) }
}

async fn lasts(store: &SharedStore, ids: &[&str]) -> Vec<LastUse> {
    let ids: Vec<_> = ids.iter().map(|id| service_id(id)).collect();
    store.last_uses(&ids).await.unwrap()
}

pub(crate) async fn comes_back_and_never_goes_back(backend: &dyn Backend) {
    let store = filled(backend).await;
    let versions = store.versions().await.unwrap();
    store.note_service_uses(&[]).await.unwrap();
    let uses =
        [used("x", Some(10), None, &[]), used("y", None, Some(20), &[]), used("gone", Some(1), None, &[])];
    store.note_service_uses(&uses).await.unwrap();
    let store = backend.open().await;
    assert_eq!(
        lasts(&store, &["y", "gone", "z", "x"]).await,
        [last(None, Some(20)), LastUse::default(), LastUse::default(), last(Some(10), None)]
    );
    store
        .note_service_uses(&[used("x", Some(5), Some(7), &[]), used("y", Some(30), None, &[])])
        .await
        .unwrap();
    assert_eq!(lasts(&store, &["x", "y"]).await, [last(Some(10), Some(7)), last(Some(30), Some(20))]);
    assert_eq!(lasts(&store, &[]).await, []);
    // It is no change of a service.
    assert_eq!(store.versions().await.unwrap(), versions);
    store.remove_service(&service_id("x"), &of_client("x", 1, 9000)).await.unwrap();
    store.register_service(&service("x", "x")).await.unwrap();
    assert_eq!(lasts(&store, &["x"]).await, [LastUse::default()]);
}

pub(crate) async fn links_services(backend: &dyn Backend) {
    let store = filled(backend).await;
    let noted = [
        used("x", None, None, &[("y", 10), (HUB, 30), ("gone", 50)]),
        used("z", None, None, &[("y", 20)]),
        used("gone", None, None, &[("y", 60)]),
    ];
    store.note_service_uses(&noted).await.unwrap();
    let link = |id: &str, time: i64| (service_id(id), at(time));
    let of = |asks_for: &[(_, Timestamp)], asked_by: &[(_, Timestamp)]| Links {
        asks_for: asks_for.to_vec(),
        asked_by: asked_by.to_vec(),
    };
    let store = backend.open().await;
    assert_eq!(store.links(&service_id("x")).await.unwrap(), of(&[link(HUB, 30), link("y", 10)], &[]));
    assert_eq!(store.links(&service_id("y")).await.unwrap(), of(&[], &[link("z", 20), link("x", 10)]));
    assert_eq!(store.links(&service_id(HUB)).await.unwrap(), of(&[], &[link("x", 30)]));
    store.note_service_uses(&[used("x", None, None, &[("y", 40), (HUB, 3)])]).await.unwrap();
    assert_eq!(store.links(&service_id("x")).await.unwrap(), of(&[link("y", 40), link(HUB, 30)], &[]));
    // Whoever is gone is forgotten on both sides.
    store.remove_service(&service_id("y"), &of_client("y", 1, 9000)).await.unwrap();
    assert_eq!(store.links(&service_id("x")).await.unwrap(), of(&[link(HUB, 30)], &[]));
    store.remove_service(&service_id("x"), &of_client("x", 1, 9000)).await.unwrap();
    assert_eq!(store.links(&service_id(HUB)).await.unwrap(), Links::default());
    for n in 0..MOST_LINKS + 5 {
        let id = format!("many{n}");
        store.register_service(&service(&id, &id)).await.unwrap();
        store.note_service_uses(&[used(&id, None, None, &[("z", 10)])]).await.unwrap();
    }
    assert_eq!(store.links(&service_id("z")).await.unwrap().asked_by.len(), MOST_LINKS);
}

pub(crate) async fn is_counted(backend: &dyn Backend) {
    let store = filled(backend).await;
    let scope = |services: &[&str]| GrantedScope {
        spelled: services.join(" "),
        services: services.iter().map(|id| service_id(id)).collect(),
    };
    for (id, user, client, services) in
        [("g1", "a", "x", &["y", "x"][..]), ("g2", "b", "x", &["y"]), ("g3", "b", "z", &["z"])]
    {
        let given = hubgate::model::grant::Grant { scope: scope(services), ..grant(id, user, client) };
        store.add_grant(&given, &refresh(id, id)).await.unwrap();
    }
    for (id, user) in [("c1", "a"), ("c2", "b")] {
        store.put_consent(&consent(id, user, "x")).await.unwrap();
    }
    for (number, services) in [(1, &["y"][..]), (2, &["y", "z"])] {
        store.add_permanent_token(&permanent(number, "a", services)).await.unwrap();
    }
    let count = |number| Count { number, more: false };
    let counts = |consents, grants, granted_for, tokens| UsageCounts {
        consents: count(consents),
        grants: count(grants),
        granted_for: count(granted_for),
        tokens: count(tokens),
    };
    let store = backend.open().await;
    assert_eq!(store.usage(&service_id("x")).await.unwrap(), counts(2, 2, 1, 0));
    assert_eq!(store.usage(&service_id("y")).await.unwrap(), counts(0, 0, 2, 2));
    assert_eq!(store.usage(&service_id("z")).await.unwrap(), counts(0, 1, 1, 1));
    assert_eq!(store.usage(&service_id("nobody")).await.unwrap(), UsageCounts::default());
    store.revoke(&of_grant("g1", 2000)).await.unwrap();
    assert_eq!(store.usage(&service_id("y")).await.unwrap(), counts(0, 0, 1, 2));
    store.remove_service(&service_id("x"), &of_client("x", 2000, 9000)).await.unwrap();
    assert_eq!(store.usage(&service_id("x")).await.unwrap(), UsageCounts::default());
    assert_eq!(store.usage(&service_id("y")).await.unwrap(), counts(0, 0, 0, 2));
}
