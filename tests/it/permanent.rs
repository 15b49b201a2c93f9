//! Permanent tokens and application passwords from outside: made by command, used at the gate and at our own endpoints,
//! taken back while a gateway runs (threats H1, H13, T15, T19, T20).

use std::time::{Duration, Instant};

use hubgate::{
    base::time::{Clock as _, SystemClock},
    model::user::{Ban, User},
};
use serde_json::{Value, json};

use crate::{
    own_endpoints::{user, with_store},
    support::{
        Answer, Gateway, Recorded, Request, Upstream, forge,
        gateway::{OBEYED, eventually},
        process,
    },
};

const USERINFO: &str = "/hub/api/rest/oauth2/userinfo";
const REVOKE: &str = "/hub/api/rest/oauth2/revoke";
const INTROSPECT: &str = "/hub/api/rest/oauth2/introspect";
const SECRET: &str = "machine-secret-0123456789";
const HUB: &str = "0-0-0-0-0";

/// The gateway of [`Setup::standard`](crate::support::Setup::standard) with jane, and routes that treat credentials otherwise.
struct House {
    gateway: Gateway,
    upstream: Upstream,
}

impl House {
    fn start() -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup
                .standard(&upstream)
                .service_with("plain", "secret = \"plain-secret-0123456789\"\ntrusted = false")
                .service_with("phone", "public = true\ntrusted = false")
                .route("alpha", "/pass", &upstream, "credential = \"pass\"")
                .route("alpha", "/none", &upstream, "credential = \"none\"")
                .route(
                    "alpha",
                    "/ruled",
                    &upstream,
                    "[[upstream.rule]]\npath = \"/ruled/jane/**\"\nusers = [\"jane.doe\"]\n\
                     [[upstream.rule]]\npath = \"/ruled/machine/**\"\nclients = [\"machine\"]\n\
                     [[upstream.rule]]\npath = \"/ruled/open/**\"\naccess = \"public\"",
                );
        });
        with_store(&gateway, async |store| store.add_user(&user("jane")).await.unwrap());
        Self { gateway, upstream }
    }

    /// Makes a permanent token of jane's for these services. Returns its id and text.
    fn token(&self, scope: &[&str]) -> (String, String) {
        let scope: Vec<&str> = scope.iter().flat_map(|id| ["--scope", id]).collect();
        let made =
            self.json(&[&["token", "create", "--user", "jane.doe", "--name", "my CI"], &scope[..]].concat());
        let text = made["token"].as_str().unwrap().to_owned();
        self.eventually_opens("/none/x", |request| request.bearer(&text), scope.contains(&"alpha"));
        (made["id"].as_str().unwrap().to_owned(), text)
    }

    /// Makes an application password of jane's. Returns its id and text.
    fn password(&self) -> (String, String) {
        let made = self.json(&["user", "app-password", "add", "jane.doe", "--name", "git"]);
        let text = made["password"].as_str().unwrap().to_owned();
        self.eventually_opens("/none/x", |request| request.basic("jane.doe", &text), true);
        (made["id"].as_str().unwrap().to_owned(), text)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.gateway.command(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn eventually_opens(&self, path: &str, with: impl Fn(Request) -> Request, opens: bool) {
        let expected = if opens { 200 } else { 403 };
        eventually("the gateway knows it", || {
            self.gateway.send(&with(Request::get(path))).status == expected
        });
        self.upstream.take();
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.gateway.send(&Request::get(path).bearer(token))
    }

    fn basic(&self, path: &str, login: &str, password: &str) -> Answer {
        self.gateway.send(&Request::get(path).basic(login, password))
    }

    /// What the upstream received of a request with this token.
    fn seen(&self, path: &str, token: &str) -> Recorded {
        self.upstream.take();
        assert_eq!(self.get(path, token).status, 200, "{path}");
        self.upstream.take().pop().unwrap()
    }

    fn change(&self, change: impl Fn(&mut User) + Send + Sync) {
        with_store(&self.gateway, async |store| {
            store.change_user(&user("jane").id, &change, None).await.unwrap();
        });
    }

    /// Waits until this status comes; fails after a second.
    fn within_a_second(&self, what: &str, status: u16, ask: impl Fn() -> u16) {
        let deadline = Instant::now() + OBEYED;
        while ask() != status {
            assert!(Instant::now() < deadline, "{what}: not within a second");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.upstream.take();
        assert_eq!(ask(), status, "{what}: not for good");
    }

    fn refused(&self, what: &str, answer: &Answer) {
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"), "{what}");
        assert!(self.upstream.take().is_empty(), "{what}: the upstream got something");
    }
}

fn scoped_of(seen: &Recorded) -> (String, Value) {
    let token = seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let claims = forge::decode(&token).1;
    (token, claims)
}

#[test]
fn a_permanent_token_opens_its_services_and_no_others() {
    let house = House::start();
    let (id, token) = house.token(&["alpha by name", "alpha"]);
    for path in ["/api/x", "/api/x", "/ruled/x", "/ruled/jane/x", "/ruled/open/x"] {
        let seen = house.seen(path, &token);
        let told = ["user", "email", "preferred-username", "client", "scope"]
            .map(|name| seen.header(&format!("x-forwarded-{name}")).unwrap_or_default());
        assert_eq!(told, ["jane", "jane@example.org", "jane.doe", HUB, "alpha"], "{path}");
        let (scoped, claims) = scoped_of(&seen);
        assert_ne!(scoped, token);
        assert_eq!(claims["aud"], json!(["alpha"]));
        assert_eq!((&claims["sub"], &claims["jti"]), (&json!("jane"), &json!(id)));
        assert_eq!(claims["credential"], "permanent_token");
        assert!(!String::from_utf8_lossy(&seen.head).contains("perm:"), "{path}");
    }
    assert_eq!(house.seen("/pass/x", &token).header("authorization").unwrap(), format!("Bearer {token}"));
    assert_eq!(house.seen("/none/x", &token).header("authorization"), None);
    house.upstream.take();
    for path in ["/admin/x", "/ruled/machine/x"] {
        assert_eq!(house.get(path, &token).status, 403, "{path}");
    }
    assert!(house.upstream.take().is_empty());
    // Over one connection, with others in between.
    let machine = house.gateway.machine_token("alpha");
    let mut connection = house.gateway.raw();
    for (text, client) in [(&token, HUB), (&token, HUB), (&machine, "machine"), (&token, HUB)] {
        connection.send(Request::get("/api/x").bearer(text).bytes());
        assert_eq!(connection.answer().expect("an answer").status, 200);
        assert_eq!(house.upstream.take()[0].header("x-forwarded-client").as_deref(), Some(client));
    }
    eventually("a decision line names it", || house.gateway.lines().contains(&id));
    let secret = token.rsplit('.').next().unwrap();
    assert!(!house.gateway.lines().contains(secret), "{}", house.gateway.lines());
}

#[test]
fn what_is_not_exactly_the_token_is_refused() {
    let house = House::start();
    let (_, token) = house.token(&["alpha"]);
    let (login, rest) = token.strip_prefix("perm:").unwrap().split_once('.').unwrap();
    let mut flipped = token.clone();
    let last = flipped.pop().unwrap();
    flipped.push(if last == 'A' { 'B' } else { 'A' });
    for bad in [
        format!("perm-{login}.{rest}"),
        format!("perm:cm9vdA==.{rest}"),
        format!("PERM:{login}.{rest}"),
        flipped,
        format!("{token}="),
        token[..token.len() - 1].to_owned(),
        "perm:".to_owned(),
        "perm:a.b.c".to_owned(),
        token.rsplit('.').next().unwrap().to_owned(),
    ] {
        house.upstream.take();
        let answer = house.get("/api/x", &bad);
        house.refused(&bad, &answer);
        assert!(!answer.text().contains(&bad), "{}", answer.text());
    }
    // In the place of an application password, a cookie or a parameter it is nothing.
    assert_eq!(house.basic("/api/x", "jane.doe", &token).error(), "unauthorized");
    let cookie = Request::get("/api/x").header("Cookie", &format!("hubgate_session={token}"));
    assert_eq!(house.gateway.send(&cookie).status, 401);
    assert_eq!(house.gateway.send(&Request::get(&format!("/api/x?access_token={token}"))).status, 400);
    assert!(house.upstream.take().is_empty());
    house.gateway.assert_innocent(&house.upstream, "bad permanent tokens");
}

#[test]
fn one_that_is_taken_back_is_dead_with_what_came_of_it() {
    let house = House::start();
    let (id, token) = house.token(&["alpha", "Hub"]);
    let (scoped, _) = scoped_of(&house.seen("/api/x", &token));
    assert_eq!(house.get("/api/x", &scoped).status, 200);
    let listed = house.json(&["token", "list", "--user", "jane.doe"]);
    let listed = &listed["permanent_tokens"][0];
    assert_eq!((&listed["id"], &listed["name"]), (&json!(id), &json!("my CI")));
    assert_eq!(listed["scope"], json!([HUB, "alpha"]));
    assert!(!listed.to_string().contains(token.rsplit('.').next().unwrap()));
    let (other, kept) = house.token(&["alpha"]);
    let inspected = house.gateway.command(&["token", "inspect", &token]);
    assert!(
        inspected.contains("never") && inspected.contains("jane.doe") && inspected.contains(&id),
        "{inspected}"
    );
    house.gateway.command(&["token", "revoke", "--user", "jane.doe", &id]);
    house.within_a_second("it is dead", 401, || house.get("/api/x", &token).status);
    house.upstream.take();
    house.refused("the token", &house.get("/api/x", &token));
    house.refused("what the upstream got", &house.get("/api/x", &scoped));
    assert_eq!(house.get("/api/x", &kept).status, 200);
    assert_eq!(house.json(&["token", "inspect", &token])["good"], false);
    // By its text, too.
    house.gateway.command(&["token", "revoke", &kept]);
    house.within_a_second("the other is dead", 401, || house.get("/api/x", &kept).status);
    let path = house.gateway.config_path().display().to_string();
    let again = ["token", "revoke", "--user", "jane.doe", &other, "--config", &path];
    assert!(!process::run(&again, house.gateway.folder()).status.success());
}

#[test]
fn it_outlives_a_new_password_and_a_restart_and_dies_with_its_owner() {
    let mut house = House::start();
    let (id, token) = house.token(&["alpha", "beta"]);
    let status = |house: &House| house.get("/api/x", &token).status;
    with_store(&house.gateway, async |store| {
        let target = hubgate::model::revocation::RevocationTarget::User(user("jane").id);
        store.revoke(&hubgate::model::revocation::Revocation::at(SystemClock.now(), target)).await.unwrap();
    });
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(status(&house), 200);
    house.change(|user| {
        user.ban = Some(Ban { reason: String::new(), since: SystemClock.now(), badge: String::new() });
    });
    house.within_a_second("banned", 401, || status(&house));
    house.refused("banned", &house.get("/api/x", &token));
    house.change(|user| user.ban = None);
    house.within_a_second("let in again", 200, || status(&house));
    // A service that is gone leaves the scope.
    with_store(&house.gateway, async |store| {
        let beta = hubgate::base::id::ServiceId::parse("beta").unwrap();
        let target = hubgate::model::revocation::RevocationTarget::Client(beta.clone());
        let revocation = hubgate::model::revocation::Revocation::at(SystemClock.now(), target);
        store.remove_service(&beta, &revocation).await.unwrap();
    });
    let scope = |house: &House| house.seen("/api/x", &token).header("x-forwarded-scope").unwrap();
    eventually("the scope is narrower", || scope(&house) == "alpha");
    house.gateway.restart();
    assert_eq!(status(&house), 200);
    // Its use was noted.
    let listed = house.json(&["token", "list", "--user", "jane.doe"]);
    assert_eq!(listed["permanent_tokens"][0]["id"], json!(id));
    assert!(listed["permanent_tokens"][0]["used"].as_i64().unwrap() > 1_700_000_000_000, "{listed}");
    house.gateway.command(&["user", "remove", "jane.doe"]);
    house.within_a_second("removed", 401, || status(&house));
    // Whoever comes with the same id inherits nothing.
    with_store(&house.gateway, async |store| store.add_user(&user("jane")).await.unwrap());
    std::thread::sleep(Duration::from_millis(600));
    house.upstream.take();
    house.refused("of somebody else", &house.get("/api/x", &token));
}

#[test]
fn an_application_password_is_its_owner_everywhere() {
    let mut house = House::start();
    let (id, password) = house.password();
    for login in ["jane.doe", "JANE.doe", "jane@example.org", "jane"] {
        for path in ["/api/x", "/admin/x", "/ruled/jane/x"] {
            house.upstream.take();
            let request = Request::get(path).basic(login, &password).header("User-Agent", "git/2.40");
            assert_eq!(house.gateway.send(&request).status, 200, "{login} {path}");
            let seen = house.upstream.take().pop().unwrap();
            assert_eq!(seen.header("x-forwarded-user").as_deref(), Some("jane"));
            assert_eq!(seen.header("x-forwarded-client").as_deref(), Some(HUB));
            assert_eq!(seen.header("x-forwarded-scope").as_deref(), Some("*"));
            let service = if path == "/admin/x" { "beta" } else { "alpha" };
            let (_, claims) = scoped_of(&seen);
            assert_eq!((&claims["aud"], &claims["jti"]), (&json!([service]), &json!(id)));
            assert_eq!(claims["credential"], "application_password");
        }
    }
    assert_eq!(house.basic("/ruled/machine/x", "jane.doe", &password).status, 403);
    let told = house.basic(USERINFO, "jane.doe", &password).json();
    assert_eq!((&told["sub"], &told["email"]), (&json!("jane"), &json!("jane@example.org")));
    house.upstream.take();
    for (login, password) in [
        ("joe", password.as_str()),
        ("", &password),
        ("jane.doe", &password[..46]),
        ("jane.doe", "correct horse battery"),
        ("machine", SECRET),
    ] {
        let answer = house.basic("/api/x", login, password);
        assert_eq!(answer.status, 401, "{login}");
    }
    let forged = format!("{}A", &password[..46]);
    if forged != password {
        house.refused("another password", &house.basic("/api/x", "jane.doe", &forged));
    }
    house.refused("another's login", &house.basic("/api/x", "machine", &password));
    // Neither as a bearer token nor as a client's secret nor to sign in with.
    house.refused("as a bearer token", &house.get("/api/x", &password));
    let form = Request::form(INTROSPECT, "token=x").basic("jane.doe", &password);
    assert_eq!(house.gateway.send(&form).error(), "invalid_client");
    let form = format!("grant_type=password&username=jane.doe&password={password}&scope=alpha");
    let form = Request::form(crate::support::gateway::TOKEN, &form).basic("machine", SECRET);
    assert_eq!(house.gateway.send(&form).error(), "invalid_grant");
    assert!(!house.gateway.lines().contains(&password));
    // Its last use is noted with address and program, and a new password of its owner ends it.
    house.gateway.restart();
    let listed = house.json(&["user", "app-password", "list", "jane.doe"]);
    assert_eq!((&listed[0]["id"], &listed[0]["name"]), (&json!(id), &json!("git")));
    assert_eq!(listed[0]["address"], "127.0.0.1");
    assert!(listed[0]["used"].as_i64().unwrap() > 1_700_000_000_000);
    with_store(&house.gateway, async |store| {
        let target = hubgate::model::revocation::RevocationTarget::User(user("jane").id);
        store.revoke(&hubgate::model::revocation::Revocation::at(SystemClock.now(), target)).await.unwrap();
    });
    house.within_a_second("a new password", 401, || house.basic("/api/x", "jane.doe", &password).status);
    let (id, password) = house.password();
    house.gateway.command(&["user", "app-password", "remove", "jane.doe", &id]);
    house.within_a_second("taken back", 401, || house.basic("/api/x", "jane.doe", &password).status);
}

#[test]
fn a_login_that_changes_takes_the_old_one_along() {
    let house = House::start();
    let (_, password) = house.password();
    house.change(|user| user.login = "jane.smith".into());
    house.within_a_second("the new login", 200, || house.basic("/api/x", "jane.smith", &password).status);
    house.upstream.take();
    house.refused("the old login", &house.basic("/api/x", "jane.doe", &password));
}

#[test]
fn clients_may_ask_about_a_token_and_not_end_it() {
    let house = House::start();
    let (id, token) = house.token(&["alpha"]);
    let ask = |endpoint: &str, client: &str, secret: &str| {
        let answer =
            house.gateway.send(&Request::form(endpoint, &format!("token={token}")).basic(client, secret));
        assert_eq!(answer.status, 200, "{endpoint}: {}", answer.text());
        answer
    };
    let told = ask(INTROSPECT, "machine", SECRET).json();
    assert_eq!(
        (&told["active"], &told["username"], &told["sub"]),
        (&json!(true), &json!("jane.doe"), &json!("jane"))
    );
    assert_eq!(
        (&told["aud"], &told["scope"], &told["jti"]),
        (&json!(["alpha"]), &json!("alpha"), &json!(id))
    );
    assert!(told.get("exp").is_none() && told["client_id"] == HUB, "{told}");
    assert_eq!(ask(INTROSPECT, "alpha", "alpha-secret-0123456789").json()["active"], true);
    assert_eq!(ask(INTROSPECT, "plain", "plain-secret-0123456789").json(), json!({"active": false}));
    // RFC 7009 section 2.1: a client ends what was issued to it, and this was issued to none.
    for (client, secret) in [("machine", SECRET), ("alpha", "alpha-secret-0123456789")] {
        assert_eq!(ask(REVOKE, client, secret).text(), "");
        assert_eq!(house.get("/api/x", &token).status, 200, "{client}");
    }
    let (scoped, _) = scoped_of(&house.seen("/api/x", &token));
    let form = Request::form(REVOKE, &format!("token={scoped}")).basic("alpha", "alpha-secret-0123456789");
    assert_eq!(house.gateway.send(&form).status, 200);
    assert_eq!(house.get("/api/x", &scoped).status, 200);
    house.gateway.command(&["token", "revoke", "--user", "jane.doe", &id]);
    house.within_a_second("it is dead", 401, || house.get("/api/x", &token).status);
    assert_eq!(ask(INTROSPECT, "machine", SECRET).json(), json!({"active": false}));
}

#[test]
fn the_hub_tells_about_a_person_only_where_it_is_in_scope() {
    let house = House::start();
    let (_, token) = house.token(&["alpha"]);
    let answer = house.get(USERINFO, &token);
    assert_eq!((answer.status, answer.error().as_str()), (403, "insufficient_scope"));
    let (_, token) = house.token(&["alpha", "Hub"]);
    let told = house.get(USERINFO, &token).json();
    assert_eq!((&told["sub"], &told["email"]), (&json!("jane"), &json!("jane@example.org")));
}

/// A token needs no name, and several of a user may have the same one.
#[test]
fn a_token_that_is_not_named_is_called_by_where_it_was_made() {
    let house = House::start();
    let made: Vec<Value> =
        (0..2).map(|_| house.json(&["token", "create", "--user", "jane.doe", "--scope", "alpha"])).collect();
    assert_ne!(made[0]["id"], made[1]["id"]);
    for one in &made {
        assert_eq!(one["name"], "hubgate token create");
        let text = one["token"].as_str().unwrap();
        house.eventually_opens("/none/x", |request| request.bearer(text), true);
    }
    let listed = house.json(&["token", "list", "--user", "jane.doe"]);
    let names: Vec<_> =
        listed["permanent_tokens"].as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["hubgate token create"; 2]);
}

#[test]
fn commands_refuse_what_makes_no_sense() {
    let house = House::start();
    let path = house.gateway.config_path().display().to_string();
    let refused = |arguments: &[&str], why: &str| {
        let output = process::run(&[arguments, &["--config", &path]].concat(), house.gateway.folder());
        let written = process::written(&output);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {written}");
        assert!(written.contains(why), "{arguments:?}: {written}");
    };
    let create = ["token", "create", "--user", "jane.doe"];
    refused(&[&create[..], &["--name", "x", "--scope", "nothing"]].concat(), "no service");
    refused(&[&create[..], &["--name", "", "--scope", "alpha"]].concat(), "the name is empty");
    refused(&[&create[..], &["--name", &"x".repeat(101), "--scope", "alpha"]].concat(), "100 characters");
    refused(&["token", "create", "--user", "nobody", "--name", "x", "--scope", "alpha"], "no user");
    refused(
        &["token", "create", "--user", "guest", "--name", "x", "--scope", "alpha"],
        "may not have tokens",
    );
    refused(&["user", "app-password", "add", "guest", "--name", "x"], "may not have tokens");
    refused(&["user", "app-password", "remove", "jane.doe", "nothing"], "no application password");
    house.change(|user| {
        user.ban = Some(Ban { reason: String::new(), since: SystemClock.now(), badge: String::new() });
    });
    refused(&[&create[..], &["--name", "x", "--scope", "alpha"]].concat(), "may not have tokens");
}

#[test]
fn refused_ones_shut_their_source_out() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "rejections_per_source", r#""5/m""#);
    });
    let forged = format!("hga_{}", "A".repeat(43));
    let token = format!("perm:YQ==.Yg==.{}", "A".repeat(43));
    // Another Basic credential is none of ours, and a public address is for all.
    for _ in 0..10 {
        assert_eq!(gateway.send(&Request::get("/api/x").basic("jane", "no")).status, 401);
        assert_eq!(gateway.send(&Request::get("/public/x").basic("jane", &forged)).status, 200);
    }
    for (number, request) in [
        Request::get("/api/x").basic("jane", &forged),
        Request::get("/api/x").bearer(&token),
        Request::get(USERINFO).basic("jane", &forged),
        Request::get("/api/x").basic("joe", &forged),
        Request::get(USERINFO).bearer(&token),
        // The first over the rate is still answered; it shuts the source out.
        Request::get("/api/x").bearer(&token),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(gateway.send(request).status, 401, "{number}");
    }
    for request in [Request::get("/api/x").basic("jane", &forged), Request::get(USERINFO).bearer(&token)] {
        assert_eq!(gateway.send(&request).status, 429);
    }
}
