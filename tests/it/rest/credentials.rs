//! What users make for programs and have granted to clients, over REST (hub-contract sections 5.4, 6, 10.2; threats M1, M2, T15, T19).

use hubgate::{
    base::{
        id::{ConsentId, ServiceId, UserId},
        time::{Clock as _, SystemClock},
    },
    model::{
        grant::Consent,
        revocation::{Revocation, RevocationTarget},
    },
};
use serde_json::{Value, json};

use super::{APP_SECRET, Client, PASSWORD, REST, Registry, refusal};
use crate::{
    own_endpoints::with_store,
    support::{Request, browser::form, gateway::TOKEN},
};

const TOKENS: &str = "users/me/permanenttokens";
const PASSWORDS: &str = "users/me/applicationPasswords";

fn for_services(name: &str, scope: &[&str]) -> Value {
    let scope: Vec<Value> = scope.iter().map(|id| json!({"id": id})).collect();
    json!({"name": name, "scope": scope})
}

/// Makes a permanent token for whom the path names. Returns its id and text.
#[track_caller]
fn make(client: &Client<'_>, path: &str, scope: &[&str]) -> (String, String) {
    let made = client.done(path, &for_services("my CI", scope));
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

fn status(registry: &Registry, path: &str, token: &str) -> u16 {
    registry.gateway.send(&Request::get(path).bearer(token)).status
}

#[test]
fn a_permanent_token_is_shown_once_and_works_at_once() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    // As Hub's clients ask for it.
    let made = jane.done(
        &format!("{TOKENS}?fields=id,name,token,scope(id,name),user(login),author(login)"),
        &for_services("my CI", &["alpha", "0-0-0-0-0", "alpha"]),
    );
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with("perm:amFuZQ==.bXkgQ0k=."), "{token}");
    assert_eq!(made["type"], "permanentToken");
    assert_eq!(
        made["scope"],
        json!([{"type": "service", "id": "0-0-0-0-0", "name": "Hub"}, {"type": "service", "id": "alpha", "name": "alpha by name"}])
    );
    assert_eq!((&made["user"]["login"], &made["author"]["login"]), (&json!("jane"), &json!("jane")));
    // No waiting: it is in force with the answer.
    assert_eq!((status(&registry, "/api/x", token), status(&registry, "/admin/x", token)), (200, 403));
    let by_token = Client { gateway: &registry.gateway, token: Some(token.to_owned()) };
    assert_eq!(by_token.good("users/me?fields=login")["login"], "jane");
    assert_eq!(refusal(&by_token.get("settings")).0, 403, "it may what jane may");
    // Never again.
    let secret = token.rsplit('.').next().unwrap();
    for path in [
        TOKENS.to_owned(),
        format!("{TOKENS}?fields=id,token,name"),
        format!("{TOKENS}/{id}"),
        format!("{TOKENS}/{id}?fields=token,digest,secret,id"),
    ] {
        let shown = jane.get(&path);
        assert_eq!(shown.status, 200, "{path}");
        assert!(
            !shown.text().contains(secret) && !shown.text().contains("\"token\""),
            "{path}: {}",
            shown.text()
        );
        assert!(shown.text().contains(id), "{path}");
    }
    let listed = jane.good(TOKENS);
    assert_eq!((&listed["type"], &listed["total"]), (&json!("PermanenttokensPage"), &json!(1)));
    let shown = &listed["permanenttokens"][0];
    assert_eq!((&shown["name"], shown["creationTime"].is_i64()), (&json!("my CI"), true));
    assert!(shown.get("scope").is_none() && shown.get("user").is_none());
    assert!(!registry.gateway.lines().contains(secret));
    // Taken back: dead with the answer.
    assert_eq!(jane.delete(&format!("{TOKENS}/{id}")).status, 200);
    assert_eq!(status(&registry, "/api/x", token), 401);
    assert_eq!(refusal(&by_token.get("users/me")).0, 401);
    assert_eq!(refusal(&jane.delete(&format!("{TOKENS}/{id}"))).0, 404);
    assert_eq!(refusal(&jane.get(&format!("{TOKENS}/{id}"))).0, 404);
}

#[test]
fn a_token_without_the_hub_in_its_scope_is_not_for_rest() {
    let registry = Registry::start();
    let (_, token) = make(&registry.as_user("jane"), TOKENS, &["alpha"]);
    let by_token = Client { gateway: &registry.gateway, token: Some(token) };
    assert_eq!(refusal(&by_token.get("users/me")).1, "insufficient_scope");
    assert_eq!(by_token.refused(TOKENS, &for_services("another", &["beta"])).0, 403);
}

#[test]
fn lists_have_pages_and_an_order() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    for name in ["b", "c", "a"] {
        jane.done(TOKENS, &for_services(name, &["alpha"]));
        jane.done(PASSWORDS, &json!({"name": name}));
    }
    for (path, key) in [(TOKENS, "permanenttokens"), (PASSWORDS, "applicationPasswords")] {
        let names = |query: &str| {
            let page = jane.good(&format!("{path}?fields=name&{query}"));
            assert_eq!(page["total"], 3);
            let items = page[key].as_array().unwrap().clone();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("orderBy=name"), ["a", "b", "c"]);
        assert_eq!(names("orderBy=name:desc"), ["c", "b", "a"]);
        assert_eq!(names("orderBy=creationTime:asc&$top=-1")[0], "b");
        assert_eq!(names("orderBy=name&$skip=1&$top=1"), ["b"]);
        assert_eq!(names("orderBy=lastAccessTime,id").len(), 3);
        assert_eq!(refusal(&jane.get(&format!("{path}?orderBy=digest"))).2, "orderBy");
        assert_eq!(refusal(&jane.get(&format!("{path}?$top=-2"))).0, 400);
    }
}

#[test]
fn one_looks_after_ones_own_and_an_administrator_after_all() {
    let registry = Registry::start();
    let (jane, joe, root) = (registry.as_user("jane"), registry.as_user("joe"), registry.root());
    let janes = format!("users/{}", registry.id_of("jane"));
    let (id, token) = make(&jane, TOKENS, &["alpha"]);
    let password = jane.done(PASSWORDS, &json!({"name": "git"}))["id"].as_str().unwrap().to_owned();
    for (path, body) in [
        (format!("{janes}/permanenttokens"), for_services("of joe's", &["alpha"])),
        (format!("{janes}/applicationPasswords"), json!({"name": "of joe's"})),
    ] {
        assert_eq!(joe.refused(&path, &body).0, 403, "{path}");
        assert_eq!(registry.app().refused(&path, &body).0, 403, "{path}");
        assert_eq!(registry.nobody().refused(&path, &body).0, 401, "{path}");
        assert_eq!(refusal(&joe.get(&path)).0, 403, "{path}");
    }
    for path in [format!("permanenttokens/{id}"), format!("applicationPasswords/{password}")] {
        assert_eq!(refusal(&joe.get(&format!("{janes}/{path}"))).0, 403, "{path}");
        assert_eq!(refusal(&joe.delete(&format!("{janes}/{path}"))).0, 403, "{path}");
        // Under one's own name another's is nothing.
        assert_eq!(refusal(&joe.get(&format!("users/me/{path}"))).0, 404, "{path}");
        assert_eq!(refusal(&joe.delete(&format!("users/me/{path}"))).0, 404, "{path}");
        assert_eq!(refusal(&root.delete(&format!("users/me/{path}"))).0, 404, "{path}");
    }
    assert_eq!(status(&registry, "/api/x", &token), 200);
    // An administrator makes one for another: it acts for that one, and says who has made it.
    let (made, text) = make(&root, &format!("{janes}/permanenttokens"), &["alpha", "0-0-0-0-0"]);
    let shown = jane.good(&format!("{TOKENS}/{made}?fields=author(login),user(login)"));
    assert_eq!((&shown["author"]["login"], &shown["user"]["login"]), (&json!("root"), &json!("jane")));
    let by_token = Client { gateway: &registry.gateway, token: Some(text) };
    assert_eq!(by_token.good("users/me?fields=login")["login"], "jane");
    assert_eq!(refusal(&by_token.get("settings")).0, 403);
    assert_eq!(root.delete(&format!("{janes}/permanenttokens/{id}")).status, 200);
    assert_eq!(status(&registry, "/api/x", &token), 401);
    assert_eq!(refusal(&root.get("users/nobody/permanenttokens")).0, 404);
    // What a body says of its author, owner or text is passed over.
    let body = json!({"name": "x", "scope": [{"id": "alpha"}], "id": "mine", "token": "perm:a.b.c",
        "user": {"id": registry.id_of("root")}, "author": {"id": registry.id_of("root")}});
    let made = joe.done(&format!("{TOKENS}?fields=id,token,user(login),author(login)"), &body);
    assert_eq!((&made["user"]["login"], &made["author"]["login"]), (&json!("joe"), &json!("joe")));
    assert!(made["id"] != "mine" && made["token"] != "perm:a.b.c");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_field() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    for (body, field) in [
        (json!({"scope": [{"id": "alpha"}]}), "name"),
        (json!({"name": "", "scope": [{"id": "alpha"}]}), "name"),
        (json!({"name": "x".repeat(101), "scope": [{"id": "alpha"}]}), "name"),
        (json!({"name": "a\nb", "scope": [{"id": "alpha"}]}), "name"),
        (json!({"name": 7, "scope": [{"id": "alpha"}]}), "name"),
        (json!({"name": "x"}), "scope"),
        (json!({"name": "x", "scope": []}), "scope"),
        (json!({"name": "x", "scope": null}), "scope"),
        (json!({"name": "x", "scope": "alpha"}), "scope"),
        (json!({"name": "x", "scope": ["alpha"]}), "scope"),
        (json!({"name": "x", "scope": [{}]}), "scope"),
        (json!({"name": "x", "scope": [{"id": "alpha"}, {"id": "nothing"}]}), "scope"),
        (json!({"name": "x", "scope": [{"id": "alpha\u{0}"}]}), "id"),
    ] {
        let (status, error, named) = jane.refused(TOKENS, &body);
        assert_eq!((status, error.as_str(), named.as_str()), (400, "Bad Request", field), "{body}");
    }
    for body in [json!({}), json!({"name": " "}), json!({"name": "x".repeat(101)})] {
        assert_eq!(jane.refused(PASSWORDS, &body), (400, "Bad Request".into(), "name".into()), "{body}");
    }
    assert_eq!(jane.good(TOKENS)["total"], 0);
    assert_eq!(jane.good(PASSWORDS)["total"], 0);
    // Neither the guest nor somebody who is banned.
    let root = registry.root();
    let guest = root.good("users/guest?fields=id")["id"].as_str().unwrap().to_owned();
    let of_guest = format!("users/{guest}/permanenttokens");
    assert_eq!(root.refused(&of_guest, &for_services("x", &["alpha"])).0, 403);
    // Nobody fills the memory of the gate.
    for number in 0..100 {
        jane.done(&format!("{PASSWORDS}?fields=id"), &json!({"name": number.to_string()}));
    }
    assert_eq!(jane.refused(PASSWORDS, &json!({"name": "one more"})).0, 409);
    assert_eq!(jane.good(&format!("{PASSWORDS}?$top=1"))["total"], 100);
}

#[test]
fn an_application_password_stands_for_its_owner() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    let made = jane.done(PASSWORDS, &json!({"name": "git"}));
    let (id, password) = (made["id"].as_str().unwrap(), made["password"].as_str().unwrap());
    assert_eq!(made["type"], "applicationPassword");
    let ask = |login: &str, password: &str, path: &str| {
        registry.gateway.send(
            &Request::get(&format!("{REST}{path}")).basic(login, password).header("User-Agent", "git/2.40"),
        )
    };
    for login in ["jane", "JANE", "jane@example.org"] {
        assert_eq!(ask(login, password, "users/me?fields=login").json()["login"], "jane", "{login}");
    }
    assert_eq!(registry.gateway.send(&Request::get("/admin/x").basic("jane", password)).status, 200);
    // It may what she may; and it is hers alone, in one piece.
    assert_eq!(refusal(&ask("jane", password, "settings")).0, 403);
    for (login, password) in
        [("joe", password), ("root", password), ("jane", &password[..46]), ("jane", "hga_")]
    {
        assert_eq!(refusal(&ask(login, password, "users/me")).0, 401, "{login} {password}");
    }
    // The real password is another matter, and still good.
    assert_eq!(ask("jane", PASSWORD, "users/me?fields=login").json()["login"], "jane");
    for path in [PASSWORDS.to_owned(), format!("{PASSWORDS}/{id}"), format!("{PASSWORDS}?fields=id,password")]
    {
        let shown = jane.get(&path);
        assert!(shown.status == 200 && !shown.text().contains(password), "{path}");
        assert!(!shown.text().contains("\"password\""), "{path}: {}", shown.text());
    }
    assert_eq!(jane.delete(&format!("{PASSWORDS}/{id}")).status, 200);
    assert_eq!(refusal(&ask("jane", password, "users/me")).0, 401);
    assert_eq!(registry.gateway.send(&Request::get("/admin/x").basic("jane", password)).status, 401);
    assert_eq!(refusal(&jane.delete(&format!("{PASSWORDS}/{id}"))).0, 404);
    assert_eq!(refusal(&jane.get(&format!("{PASSWORDS}/{id}"))).0, 404);
}

#[test]
fn refresh_tokens_are_seen_and_taken_back() {
    let registry = Registry::start();
    let ask = |pairs: &[(&str, &str)]| {
        registry.gateway.send(&Request::form(TOKEN, &form(pairs)).basic("app", APP_SECRET))
    };
    let granted = ask(&[
        ("grant_type", "password"),
        ("username", "jane"),
        ("password", PASSWORD),
        ("scope", "alpha"),
        ("access_type", "offline"),
    ])
    .json();
    let (access, refresh) =
        (granted["access_token"].as_str().unwrap(), granted["refresh_token"].as_str().unwrap());
    assert_eq!(status(&registry, "/api/x", access), 200);
    let (jane, joe) = (registry.as_user("jane"), registry.as_user("joe"));
    let list = "users/me/refreshtokens";
    let listed = jane.good(&format!(
        "{list}?fields=id,client(id,name),scope(id),user(login),creationTime,lastAccessTime,token"
    ));
    assert_eq!((&listed["type"], &listed["total"]), (&json!("RefreshtokensPage"), &json!(1)));
    let shown = &listed["refreshtokens"][0];
    assert_eq!(shown["client"], json!({"type": "service", "id": "app", "name": "app by name"}));
    assert_eq!((&shown["scope"][0]["id"], &shown["user"]["login"]), (&json!("alpha"), &json!("jane")));
    assert!(shown["creationTime"].is_i64() && shown["lastAccessTime"].is_i64());
    assert!(!listed.to_string().contains(refresh));
    let id = shown["id"].as_str().unwrap();
    assert_eq!(jane.good(&format!("{list}/{id}"))["id"], *id);
    let janes = format!("users/{}/refreshtokens", registry.id_of("jane"));
    assert_eq!(refusal(&joe.get(&janes)).0, 403);
    assert_eq!(refusal(&joe.delete(&format!("{janes}/{id}"))).0, 403);
    assert_eq!(refusal(&joe.delete(&format!("{list}/{id}"))).0, 404);
    assert_eq!(registry.root().good(&janes)["total"], 1);
    assert_eq!(jane.delete(&format!("{list}/{id}")).status, 200);
    assert_eq!(status(&registry, "/api/x", access), 401);
    assert_eq!(ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).error(), "invalid_grant");
    assert_eq!(
        (jane.good(list)["total"].clone(), refusal(&jane.delete(&format!("{list}/{id}"))).0),
        (json!(0), 404)
    );
}

#[test]
fn consents_are_seen_and_taken_back() {
    let registry = Registry::start();
    let now = SystemClock.now();
    let consent = Consent {
        id: ConsentId::parse("consent-1").unwrap(),
        user: UserId::parse(&registry.id_of("jane")).unwrap(),
        client: ServiceId::parse("app").unwrap(),
        services: vec![ServiceId::parse("alpha").unwrap(), ServiceId::parse("gone").unwrap()],
        claims: vec!["openid".into()],
        given: now,
        expires: now.plus(std::time::Duration::from_secs(3600)),
    };
    with_store(&registry.gateway, async |store| store.put_consent(&consent).await.unwrap());
    let list = "users/me/approvedscopes";
    let (jane, joe) = (registry.as_user("jane"), registry.as_user("joe"));
    let access = registry.token("jane", "alpha");
    assert_eq!(status(&registry, "/api/x", &access), 200);
    let listed = jane.good(&format!("{list}?fields=id,client(id),scope(id),user(login),expiresOn"));
    assert_eq!((&listed["type"], &listed["total"]), (&json!("ApprovedscopesPage"), &json!(1)));
    let shown = &listed["approvedscopes"][0];
    assert_eq!(shown["client"], json!({"type": "service", "id": "app"}));
    assert_eq!(shown["scope"], json!([{"type": "service", "id": "alpha"}]));
    assert_eq!(shown["expiresOn"], json!(consent.expires.millis()));
    assert_eq!(jane.good(&format!("{list}/consent-1"))["id"], "consent-1");
    assert_eq!(refusal(&joe.get(&format!("{list}/consent-1"))).0, 404);
    assert_eq!(refusal(&joe.delete(&format!("{list}/consent-1"))).0, 404);
    assert_eq!(refusal(&jane.delete(&format!("{list}/nothing"))).0, 404);
    let janes = format!("users/{}/approvedscopes", registry.id_of("jane"));
    assert_eq!(refusal(&joe.delete(&format!("{janes}/consent-1"))).0, 403);
    assert_eq!(registry.root().delete(&format!("{janes}/consent-1")).status, 200);
    assert_eq!(status(&registry, "/api/x", &access), 401, "what the client obtained goes along");
}

/// A new password of the user ends application passwords, and leaves permanent tokens.
#[test]
fn a_new_password_ends_what_stands_for_it() {
    let registry = Registry::start();
    let jane = registry.as_user("jane");
    let id = UserId::parse(&registry.id_of("jane")).unwrap();
    let (_, token) = make(&jane, TOKENS, &["alpha"]);
    let password = jane.done(PASSWORDS, &json!({"name": "git"}))["password"].as_str().unwrap().to_owned();
    with_store(&registry.gateway, async |store| {
        store.revoke(&Revocation::at(SystemClock.now(), RevocationTarget::User(id))).await.unwrap();
    });
    crate::support::gateway::eventually("the revocation is known", || {
        registry.gateway.send(&Request::get("/api/x").basic("jane", &password)).status == 401
    });
    assert_eq!(status(&registry, "/api/x", &token), 200);
    assert_eq!(
        registry.root().good(&format!("users/{}/permanenttokens", registry.id_of("jane")))["total"],
        1
    );
}
