//! Services over REST (hub-contract section 10.1; threats M2, M6).

use hubgate::base::id::ServiceId;
use serde_json::{Value, json};

use super::{Registry, refusal};
use crate::{
    own_endpoints::with_store,
    support::{
        Request,
        browser::{Browser, form, own},
        gateway::{TOKEN, eventually},
    },
};

/// What Hub's documentation registers a service with.
fn sample() -> Value {
    json!({
        "name": "My Service",
        "homeUrl": "https://my-service.example/home",
        "redirectUris": ["https://my-service.example/oauth"],
        "applicationName": "My Application",
        "vendor": "My Company",
        "version": "1.0",
    })
}

#[test]
fn a_service_that_is_registered_works_at_once() {
    let registry = Registry::with(|setup| {
        setup.route_to("My Service", "/mine", &["http://127.0.0.1:9".into()], "");
    });
    let root = registry.root();
    let before = Request::get("/mine/x").bearer(&registry.token("jane", "alpha"));
    assert_eq!(registry.gateway.send(&before).status, 503, "the route's service is not there yet");
    let made = root.done("services?fields=id,secret", &sample());
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(made.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "secret", "type"]);
    assert!(id.len() == 36 && secret.len() >= 12);
    // A client, with no waiting in between.
    let token = registry.gateway.token(id, secret, id);
    // Its scope, its audience, its route.
    let answer = registry.gateway.send(&Request::get("/mine/x").bearer(&token));
    assert_eq!(answer.status, 502, "allowed, and nobody listens there");
    assert_eq!(registry.gateway.send(&Request::get("/mine/x")).status, 401);
    let resources = root.good(&format!("services/{id}/resources"));
    assert_eq!(resources["resources"][0]["homeUrl"], "https://gateway.example:8443/mine");
    let viewers = root.good(&format!("services/{id}/viewers?fields=allUsers"));
    assert_eq!(viewers["viewers"], json!([{"type": "userGroup", "allUsers": true}]));
    // Its redirect URI, and its line on the consent page.
    let mut browser = Browser::new(&registry.gateway);
    let query = form(&[
        ("client_id", id),
        ("response_type", "code"),
        ("redirect_uri", "https://my-service.example/oauth"),
        ("scope", id),
    ]);
    let answer = browser.sign_in(&query, "jane", super::PASSWORD);
    let page = browser.get(&own(&answer));
    assert!(page.text().contains("My Service"), "{}", page.text());
    // The secret is not seen again, whoever asks.
    for path in [
        format!("services/{id}?fields=secret,id"),
        format!("services/{id}"),
        "services?fields=secret,name".into(),
    ] {
        assert!(!root.get(&path).text().contains(secret) && !root.get(&path).text().contains("\"secret\""));
    }
    let seen = root.good(&format!("services/{id}?fields=name,key,homeUrl,redirectUris,applicationName,vendor,version,trusted,consentRequired,implicitFlowEnabled,pkceRequired,immutable"));
    assert_eq!(
        (&seen["key"], &seen["trusted"], &seen["consentRequired"]),
        (&json!("My Service"), &json!(true), &json!(true))
    );
    assert_eq!(
        (&seen["implicitFlowEnabled"], &seen["pkceRequired"], &seen["immutable"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(seen["redirectUris"], json!(["https://my-service.example/oauth"]));
    // Without `fields` a new service is told with its secret too: there is no other time.
    assert!(root.done("services", &json!({"name": "Second"}))["secret"].is_string());
}

#[test]
fn updates_change_what_they_name() {
    let registry = Registry::start();
    let root = registry.root();
    let made = root.done("services?fields=id,secret", &sample());
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let path = format!("services/{id}");
    let empty = root.post(&path, &json!({"description": "Ours", "vendor": null}));
    assert_eq!((empty.status, empty.text().as_str()), (200, ""));
    let after = root.done(
        &format!("{path}?fields=name,description,vendor"),
        &json!({"name": "Renamed", "id": "other", "immutable": true}),
    );
    assert_eq!(
        after,
        json!({"type": "service", "name": "Renamed", "description": "Ours", "vendor": "My Company"})
    );
    let cleared = root
        .done(&format!("{path}?fields=vendor,redirectUris,id"), &json!({"vendor": "", "redirectUris": []}));
    assert_eq!(cleared, json!({"type": "service", "id": id, "redirectUris": []}));
    // Trust named alone decides on consent too; each flow is a switch.
    let seen = root.done(&format!("{path}?fields=trusted,consentRequired"), &json!({"trusted": false}));
    assert_eq!((&seen["trusted"], &seen["consentRequired"]), (&json!(false), &json!(true)));
    let seen = root.done(
        &format!("{path}?fields=trusted,consentRequired,implicitFlowEnabled"),
        &json!({"trusted": true, "consentRequired": true, "implicitFlowEnabled": false}),
    );
    assert_eq!((&seen["consentRequired"], &seen["implicitFlowEnabled"]), (&json!(true), &json!(false)));
    // A secret that is keyed in; the one before has its grace.
    assert_eq!(root.post(&path, &json!({"secret": "a-secret-of-my-own-choice"})).status, 200);
    for good in ["a-secret-of-my-own-choice", secret] {
        registry.gateway.token(id, good, id);
    }
    assert_eq!(
        root.refused(&path, &json!({"secret": "short"})),
        (400, "Bad Request".into(), "secret".into())
    );
    // A token of a service is dead with it.
    let token = registry.gateway.token(id, secret, "0-0-0-0-0");
    assert_eq!(
        registry.gateway.send(&Request::get(&format!("{}services/me", super::REST)).bearer(&token)).status,
        200
    );
    assert_eq!(root.delete(&format!("{path}?successor=nosuch")).status, 400);
    assert_eq!(root.delete(&path).status, 200);
    assert_eq!((root.get(&path).status, root.delete(&path).status), (404, 404));
    assert_eq!(
        registry.gateway.send(&Request::get(&format!("{}services/me", super::REST)).bearer(&token)).status,
        401
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_field() {
    let registry = Registry::start();
    let root = registry.root();
    root.done("services", &sample());
    for (body, status, field) in [
        (json!({}), 400, "name"),
        (json!({"name": ""}), 400, "name"),
        (json!({"name": "x".repeat(101)}), 400, "name"),
        (json!({"name": "a\u{7}"}), 400, "name"),
        (json!({"name": "my service"}), 409, "name"),
        (json!({"name": "hub"}), 409, ""),
        (json!({"name": "a", "id": "0-0-0-0-0"}), 409, ""),
        (json!({"name": "a", "id": "a b"}), 400, "id"),
        (json!({"name": "a", "id": "app"}), 409, "id"),
        (json!({"name": "a", "homeUrl": "javascript:alert(1)"}), 400, "homeUrl"),
        (json!({"name": "a", "homeUrl": "ftp://a.example/"}), 400, "homeUrl"),
        (json!({"name": "a", "iconUrl": "data:image/svg+xml,<svg onload=alert(1)>"}), 400, "iconUrl"),
        (json!({"name": "a", "baseUrls": ["https://a.example/#x"]}), 400, "baseUrls"),
        (json!({"name": "a", "redirectUris": ["JavaScript:alert(1)"]}), 400, "redirectUris"),
        (json!({"name": "a", "redirectUris": ["//evil.example"]}), 400, "redirectUris"),
        (json!({"name": "a", "redirectUris": 5}), 400, "redirectUris"),
        (json!({"name": "a", "userUriPattern": "javascript:{id}"}), 400, "userUriPattern"),
        (json!({"name": "a", "secret": "short"}), 400, "secret"),
    ] {
        let (got, _, named) = root.refused("services", &body);
        assert_eq!((got, named.as_str()), (status, field), "{body}");
    }
    assert_eq!(root.refused("services", &json!({"name": "my service"})).1, "must-be-unique");
    // What the file declares, and the gateway itself, are not changed here.
    for id in ["app", "0-0-0-0-0"] {
        assert_eq!(root.refused(&format!("services/{id}"), &json!({"name": "b"})).0, 409, "{id}");
        assert_eq!(root.delete(&format!("services/{id}")).status, 409, "{id}");
        assert_eq!(root.good(&format!("services/{id}?fields=immutable"))["immutable"], true);
    }
}

#[test]
fn who_may_only_mention_a_service_sees_no_more() {
    let registry = Registry::start();
    let root = registry.root();
    let made = root.done("services?fields=id,secret", &sample());
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let everything = "id,name,homeUrl,redirectUris,baseUrls,untrustedRedirectUris,consentRequired,implicitFlowEnabled,secret";
    let (jane, itself) = (registry.as_user("jane"), registry.as_service(id, secret));
    let seen = jane.good(&format!("services/{id}?fields={everything}"));
    assert_eq!(seen.as_object().unwrap().keys().collect::<Vec<_>>(), ["homeUrl", "id", "name", "type"]);
    assert_eq!(jane.good("services?query=redirectUri:%20https*")["total"], 0, "nor finds it by that");
    assert_eq!(root.good("services?query=redirectUri:%20https*")["total"], 1);
    let own = itself.good(&format!("services/me?fields={everything}"));
    assert_eq!((own["id"].as_str(), own["redirectUris"].is_array()), (Some(id), true));
    assert_eq!(itself.good("services/app?fields=redirectUris"), json!({"type": "service"}));
    // A service says what its product is, and nothing else of itself (threats M2).
    itself.done("services/me", &json!({"version": "2.0", "vendor": "Me", "releaseDate": 5}));
    assert_eq!(root.good(&format!("services/{id}"))["version"], "2.0");
    for body in [
        json!({"trusted": true}),
        json!({"redirectUris": ["https://evil.example/"]}),
        json!({"secret": "a-secret-of-my-own-choice"}),
        json!({"name": "Hub2"}),
        json!({"version": "3.0", "consentRequired": false}),
        json!({"implicitFlowEnabled": false}),
    ] {
        assert_eq!(itself.refused("services/me", &body).0, 403, "{body}");
        assert_eq!(jane.refused(&format!("services/{id}"), &body).0, 403, "{body}");
    }
    assert_eq!(root.good(&format!("services/{id}"))["version"], "2.0");
    assert_eq!(registry.app().refused(&format!("services/{id}"), &json!({"version": "9"})).0, 403);
    assert_eq!(jane.refused("services", &json!({"name": "x"})).0, 403);
    assert_eq!(jane.delete(&format!("services/{id}")).status, 403);
}

#[test]
fn the_menu_of_services_is_a_bare_list() {
    let registry = Registry::start();
    let menu =
        registry.as_user("jane").good("services/header?fields=id,name,applicationName,homeUrl,iconUrl");
    let names: Vec<&str> = menu.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app by name", "Hub"]);
    assert_eq!(
        menu[0],
        json!({"type": "service", "id": "app", "name": "app by name", "applicationName": "YouTrack", "homeUrl": "https://app.example/"})
    );
}

#[test]
fn addresses_asked_for_in_vain_are_accepted_or_forgotten() {
    let registry = Registry::start();
    let root = registry.root();
    let made = root.done("services?fields=id,secret", &sample());
    let id = made["id"].as_str().unwrap();
    let ask = |uri: &str| {
        let query =
            form(&[("client_id", id), ("response_type", "code"), ("redirect_uri", uri), ("scope", id)]);
        Browser::new(&registry.gateway).authorize(&query).status
    };
    let (good, bad) = ("https://my-service.example/new", "https://evil.example/x");
    assert_eq!((ask(good), ask(bad)), (400, 400));
    let path = format!("services/{id}/untrustedredirecturis");
    let list = root.good(&path);
    assert_eq!((&list["total"], &list["type"]), (&json!(2), &json!("UntrustedredirecturisPage")));
    let found = |uri: &str| {
        let list = root.good(&path);
        let entries = list["untrustedredirecturis"].as_array().unwrap().clone();
        entries
            .into_iter()
            .find(|entry| entry["redirectURI"] == uri)
            .map(|e| e["id"].as_str().unwrap().to_owned())
    };
    let (first, second) = (found(good).unwrap(), found(bad).unwrap());
    assert_eq!(root.good(&format!("{path}/{first}"))["triedFrom"], "127.0.0.1");
    let inside = root.good(&format!("services/{id}?fields=untrustedRedirectUris(redirectURI)"));
    assert_eq!(inside["untrustedRedirectUris"].as_array().unwrap().len(), 2);
    assert_eq!(root.post(&format!("{path}/{first}/accept"), &json!({})).status, 200);
    assert_eq!(root.delete(&format!("{path}/{second}/reject")).status, 200);
    assert_eq!(root.good(&path)["total"], 0);
    assert_eq!((ask(good), ask(bad)), (302, 400), "what was accepted leads to the login page");
    assert_eq!(refusal(&root.post(&format!("{path}/{first}/accept"), &json!({}))).0, 404);
    assert_eq!(registry.as_user("jane").get(&path).status, 403);
}

/// Hub's own addresses of them name the redirect URI in one segment.
#[test]
fn addresses_asked_for_in_vain_are_named_as_hub_names_them() {
    let registry = Registry::start();
    let root = registry.root();
    let made = root.done("services?fields=id,secret", &sample());
    let id = made["id"].as_str().unwrap();
    let ask = |uri: &str| {
        let query =
            form(&[("client_id", id), ("response_type", "code"), ("redirect_uri", uri), ("scope", id)]);
        Browser::new(&registry.gateway).authorize(&query).status
    };
    let (good, bad, other) =
        ("https://my-service.example/new?a=b", "https://evil.example/x", "https://evil.example/y");
    assert_eq!((ask(good), ask(bad), ask(other)), (400, 400, 400));
    let path = format!("services/{id}/untrustedredirecturis");
    let uid = |uri: &str| {
        let list = root.good(&path);
        let entry =
            list["untrustedredirecturis"].as_array().unwrap().iter().find(|e| e["redirectURI"] == uri);
        entry.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let encoded =
        |uri: &str| uri.replace(':', "%3A").replace('/', "%2F").replace('?', "%3f").replace('=', "%3D");
    let accept = |uid: &str, uri: &str| {
        let answer = root.post(&format!("{path}/{uid}/{}/accept", encoded(uri)), &json!({}));
        answer.status
    };
    assert_eq!(accept(&uid(good), bad), 404, "both parts name one address");
    assert_eq!(accept("x", good), 404);
    assert_eq!(accept(&uid(good), "my-service.example/new?a=b"), 404);
    let joe = registry.as_user("joe");
    let named = format!("{path}/{}/{}", uid(bad), encoded(bad));
    assert_eq!(joe.post(&format!("{named}/accept"), &json!({})).status, 403);
    assert_eq!(joe.delete(&format!("{named}/reject")).status, 403);
    assert_eq!(root.good(&path)["total"], 3, "nothing came of those");
    assert_eq!(accept(&uid(good), good), 200);
    assert_eq!(root.delete(&format!("{named}/reject")).status, 200);
    assert_eq!(root.good(&format!("{path}/{}", encoded(other)))["redirectURI"], other, "by itself");
    assert_eq!(root.delete(&format!("{path}/{}/{}/reject", encoded(other), encoded(other))).status, 200);
    assert_eq!(root.good(&path)["total"], 0);
    assert_eq!((ask(good), ask(bad), ask(other)), (302, 400, 400));
}

#[test]
fn a_public_service_has_no_secret() {
    let registry = Registry::start();
    let root = registry.root();
    let made =
        root.done("services?fields=id,secret,public,pkceRequired", &json!({"name": "Phone", "public": true}));
    assert_eq!(
        (&made["secret"], &made["public"], &made["pkceRequired"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        root.refused(&format!("services/{id}"), &json!({"secret": "a-secret-of-my-own-choice"})).0,
        409
    );
    let answer = registry.gateway.send(&Request::form(
        TOKEN,
        &form(&[("grant_type", "client_credentials"), ("client_id", id), ("scope", id)]),
    ));
    assert_eq!(answer.status, 400);
}

#[test]
fn the_last_activity_of_services_is_told_and_kept() {
    let mut registry = Registry::start();
    let token = {
        let root = registry.root();
        let last =
            |id: &str| root.good(&format!("services/{id}?fields=lastAccessTime"))["lastAccessTime"].clone();
        assert!(root.good("services/beta").get("lastAccessTime").is_none(), "shown when it is asked for");
        assert_eq!((last("machine"), last("alpha"), last("beta")), (Value::Null, Value::Null, Value::Null));
        let token = registry.gateway.machine_token("alpha");
        assert!(last("machine").is_i64(), "it has obtained a token");
        assert_eq!(last("alpha"), Value::Null, "nobody has used it");
        let refused = registry.gateway.send(&Request::get("/admin/x").bearer(&token));
        assert_eq!((refused.status, last("beta")), (403, Value::Null));
        assert_eq!(registry.gateway.send(&Request::get("/api/x").bearer(&token)).status, 200);
        eventually("a request that was let through is noted", || last("alpha").is_i64());
        let listed = root.good("services?fields=services(id,lastAccessTime)&$top=-1");
        let of = |id: &str| {
            let listed = listed["services"].as_array().unwrap();
            listed.iter().find(|service| service["id"] == id).unwrap()["lastAccessTime"].clone()
        };
        assert_eq!((of("machine"), of("alpha"), of("beta")), (last("machine"), last("alpha"), Value::Null));
        // Whoever may only mention services does not see it.
        let jane = registry.as_user("jane");
        assert!(jane.good("services/alpha?fields=id,lastAccessTime").get("lastAccessTime").is_none());
        token
    };
    registry.gateway.stop();
    let ids = ["machine", "alpha", "beta"].map(|id| ServiceId::parse(id).unwrap());
    let (kept, links) = with_store(&registry.gateway, async |store| {
        (store.last_uses(&ids).await.unwrap(), store.links(&ids[1]).await.unwrap())
    });
    let [machine, alpha, beta] = kept.as_slice() else { panic!("{kept:?}") };
    assert!(machine.as_client.is_some() && machine.as_resource.is_none());
    assert!(alpha.as_resource.is_some() && alpha.as_client.is_none());
    assert_eq!(beta.latest(), None);
    assert_eq!(links.asked_by.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["machine"]);
    assert!(!registry.gateway.lines().contains(&token));
}
