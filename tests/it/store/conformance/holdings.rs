//! Rules for the lists over what all people hold.

use hubgate::{
    model::{
        grant::Grant,
        scope::GrantedScope,
        usage::{Count, Listed, Owned, Sought, Window},
    },
    store::{SharedStore, grants::LiveGrant, usage::MOST_COUNTED},
};

use super::{
    Backend,
    samples::{
        application, at, code, consent, digest, grant, known_password, known_token, of_grant, of_user,
        other_application, permanent, refresh, service, service_id, session, user, user_id,
    },
};

const ALL: Window = Window { skip: 0, top: 100 };

async fn filled(backend: &dyn Backend) -> SharedStore {
    let store = backend.open().await;
    for id in ["a", "b"] {
        let named =
            hubgate::model::user::User { name: format!("Name <{id}>"), ..user(id, &format!("login-{id}")) };
        store.add_user(&named).await.unwrap();
    }
    for id in ["x", "y"] {
        store.register_service(&service(id, id)).await.unwrap();
    }
    store
}

fn by(user: Option<&str>, client: Option<&str>, service: Option<&str>) -> Sought {
    Sought { user: user.map(user_id), client: client.map(service_id), service: service.map(service_id) }
}

/// The ids in a list, each with its owner's login, after having looked at what the list says of itself.
fn ids<T>(listed: &Listed<Owned<T>>, id: impl Fn(&T) -> String) -> Vec<String> {
    for row in &listed.rows {
        assert_eq!(row.name, format!("Name <{}>", row.login.trim_start_matches("login-")));
    }
    assert!(!listed.total.more);
    listed.rows.iter().map(|row| format!("{} {}", id(&row.record), row.login)).collect()
}

pub(crate) async fn sessions_are_listed(backend: &dyn Backend) {
    let store = filled(backend).await;
    for (id, user, began) in [("1", "a", 10), ("2", "b", 30), ("3", "a", 20)] {
        store.begin_session(&session(id, user, began), &digest(id), None).await.unwrap();
    }
    let store = backend.open().await;
    let listed = async |sought: &Sought, window| {
        let listed = store.search_sessions(sought, window).await.unwrap();
        (ids(&listed, |session| session.id.to_string()), listed.total.number)
    };
    let all = Sought::default();
    assert_eq!(
        listed(&all, ALL).await,
        (vec!["2 login-b".into(), "3 login-a".into(), "1 login-a".into()], 3)
    );
    assert_eq!(listed(&all, Window { skip: 1, top: 1 }).await, (vec!["3 login-a".into()], 3));
    assert_eq!(listed(&all, Window { skip: 3, top: 1 }).await, (vec![], 3));
    assert_eq!(listed(&all, Window { skip: MOST_COUNTED, top: 1 }).await, (vec![], 3));
    let of_a = by(Some("a"), Some("x"), None);
    assert_eq!(listed(&of_a, ALL).await, (vec!["3 login-a".into(), "1 login-a".into()], 2));
    assert_eq!(listed(&by(Some("nobody"), None, None), ALL).await, (vec![], 0));
    let found = store.search_sessions(&of_a, ALL).await.unwrap();
    assert_eq!(found.rows.first().unwrap().record, session("3", "a", 20));
}

pub(crate) async fn grants_are_listed(backend: &dyn Backend) {
    let store = filled(backend).await;
    let given = |id: &str, user: &str, client: &str, services: &[&str], created| Grant {
        scope: GrantedScope {
            spelled: services.join(" "),
            services: services.iter().map(|id| service_id(id)).collect(),
        },
        created: at(created),
        ..grant(id, user, client)
    };
    for (id, user, client, services, created) in
        [("1", "a", "x", &["y"][..], 10), ("2", "b", "x", &["x", "y"], 20), ("3", "a", "y", &["y"], 30)]
    {
        store.add_grant(&given(id, user, client, services, created), &refresh(id, id)).await.unwrap();
    }
    // What has no refresh token is nothing that a client could go on with; the exchange of a code makes one too.
    for (id, offline) in [("4", true), ("5", false)] {
        store.add_code(&code(given(id, "b", "y", &["x"], 40))).await.unwrap();
        let token = refresh(id, id);
        store.exchange_code(&digest(id), offline.then_some(&token), at(50)).await.unwrap();
    }
    store.rotate_refresh(&digest("1"), &refresh("1b", "1"), b"answer", at(60)).await.unwrap();
    let store = backend.open().await;
    let listed = async |sought: &Sought, window| {
        let listed = store.search_grants(sought, window).await.unwrap();
        ids(&listed, |live| live.grant.id.to_string()).join(", ")
    };
    for (sought, expected) in [
        (by(None, None, None), "4 login-b, 3 login-a, 2 login-b, 1 login-a"),
        (by(Some("a"), None, None), "3 login-a, 1 login-a"),
        (by(Some("a"), Some("x"), None), "1 login-a"),
        (by(Some("a"), Some("x"), Some("y")), "1 login-a"),
        (by(Some("b"), None, Some("x")), "4 login-b, 2 login-b"),
        (by(None, Some("x"), None), "2 login-b, 1 login-a"),
        (by(None, Some("x"), Some("x")), "2 login-b"),
        (by(None, None, Some("y")), "3 login-a, 2 login-b, 1 login-a"),
        (by(None, None, Some("gone")), ""),
        (by(None, Some("gone"), None), ""),
    ] {
        assert_eq!(listed(&sought, ALL).await, expected, "{sought:?}");
    }
    assert_eq!(listed(&by(None, None, Some("y")), Window { skip: 1, top: 1 }).await, "2 login-b");
    let first = store.search_grants(&by(Some("a"), Some("x"), None), ALL).await.unwrap();
    let live = LiveGrant { grant: given("1", "a", "x", &["y"], 10), refreshed: at(1000), expires: at(9000) };
    assert_eq!(first.rows.first().unwrap().record, live);
    store.revoke(&of_grant("2", 2000)).await.unwrap();
    assert_eq!(listed(&by(None, None, Some("y")), ALL).await, "3 login-a, 1 login-a");
}

pub(crate) async fn consents_are_listed(backend: &dyn Backend) {
    let store = filled(backend).await;
    for (id, user, client, given) in [("1", "a", "x", 10), ("2", "b", "x", 20), ("3", "a", "y", 30)] {
        let consent = hubgate::model::grant::Consent { given: at(given), ..consent(id, user, client) };
        store.put_consent(&consent).await.unwrap();
    }
    let listed = async |client: &str, window| {
        let listed = store.search_consents(&service_id(client), window).await.unwrap();
        (ids(&listed, |consent| consent.id.to_string()).join(", "), listed.total.number)
    };
    assert_eq!(listed("x", ALL).await, ("2 login-b, 1 login-a".into(), 2));
    assert_eq!(listed("x", Window { skip: 1, top: 9 }).await, ("1 login-a".into(), 2));
    assert_eq!(listed("gone", ALL).await, (String::new(), 0));
}

pub(crate) async fn credentials_are_listed(backend: &dyn Backend) {
    let store = filled(backend).await;
    for (number, user, scope) in [(1, "a", &["x"][..]), (2, "b", &["x", "y"]), (3, "a", &["y"])] {
        let token = permanent(number, user, scope);
        let token = hubgate::model::credential::PermanentToken { created: at(i64::from(number)), ..token };
        store.add_permanent_token(&token).await.unwrap();
    }
    for password in [application(5, "a"), other_application(6, "b")] {
        store.add_application_password(&password).await.unwrap();
    }
    let store = backend.open().await;
    let number = |id: &hubgate::base::id::TokenId| id.as_bytes()[0].to_string();
    let tokens = async |sought: &Sought, window| {
        let listed = store.search_tokens(sought, window).await.unwrap();
        ids(&listed, |token| number(&token.id)).join(", ")
    };
    for (sought, expected) in [
        (by(None, None, None), "3 login-a, 2 login-b, 1 login-a"),
        (by(Some("a"), None, None), "3 login-a, 1 login-a"),
        (by(Some("a"), None, Some("x")), "1 login-a"),
        (by(None, None, Some("x")), "2 login-b, 1 login-a"),
        // A permanent token has no client.
        (by(None, Some("y"), None), "3 login-a, 2 login-b, 1 login-a"),
        (by(None, None, Some("gone")), ""),
    ] {
        assert_eq!(tokens(&sought, ALL).await, expected, "{sought:?}");
    }
    assert_eq!(tokens(&Sought::default(), Window { skip: 2, top: 2 }).await, "1 login-a");
    let listed = store.search_passwords(&Sought::default(), ALL).await.unwrap();
    assert_eq!(ids(&listed, |password| number(&password.id)).join(", "), "6 login-b, 5 login-a");
    assert_eq!(listed.rows.first().unwrap().record, other_application(6, "b"));
    let listed = store.search_passwords(&by(Some("a"), None, Some("x")), ALL).await.unwrap();
    assert_eq!(listed.rows.first().unwrap().record, application(5, "a"));
    assert_eq!(listed.total, Count { number: 1, more: false });

    let known = permanent(2, "b", &["x", "y"]);
    let found = store.find_credential(&known.digest).await.unwrap().unwrap();
    assert_eq!(found, hubgate::model::credential::KnownCredential { created: at(2), ..known_token(&known) });
    let found = store.find_credential(&digest("credential 5")).await.unwrap();
    assert_eq!(found, Some(known_password(&application(5, "a"))));
    assert_eq!(store.find_credential(&digest("credential 9")).await.unwrap(), None);
    store.revoke(&of_user("a", 5000)).await.unwrap();
    assert_eq!(store.find_credential(&digest("credential 5")).await.unwrap(), None);
}
