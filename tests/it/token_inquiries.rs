//! Revocation and introspection from outside (RFC 7009, RFC 7662; threats T19): a revoked token opens nothing from the
//! answer on, on a restarted gateway too, and nobody learns or ends what is not theirs.

use std::time::Duration;

use hubgate::{
    base::{
        id::{GrantId, ServiceId, UserId},
        random::SystemRandom,
        time::{Clock as _, SystemClock},
    },
    crypto::opaque::{self, Kind},
    model::{
        grant::{Grant, RefreshToken},
        revocation::RevocationTarget,
        scope::GrantedScope,
    },
};
use serde_json::json;
use sqlx::Connection as _;

use crate::{
    own_endpoints::{user, with_store},
    support::{Answer, Gateway, Request, Upstream, gateway::PUBLIC_URL},
};

const REVOKE: &str = "/hub/api/rest/oauth2/revoke";
const INTROSPECT: &str = "/hub/api/rest/oauth2/introspect";
const SECRET: &str = "machine-secret-0123456789";

fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .service_with("plain", "secret = \"plain-secret-0123456789\"\ntrusted = false")
            .service_with("phone", "public = true\ntrusted = false");
    });
    (gateway, upstream)
}

fn revoke(gateway: &Gateway, token: &str) -> Answer {
    gateway.send(&Request::form(REVOKE, &format!("token={token}")).basic("machine", SECRET))
}

fn introspect(gateway: &Gateway, client: &str, secret: &str, token: &str) -> serde_json::Value {
    let answer = gateway.send(&Request::form(INTROSPECT, &format!("token={token}")).basic(client, secret));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
    assert_eq!(
        (answer.header("cache-control"), answer.header("pragma")),
        (Some("no-store"), Some("no-cache"))
    );
    answer.json()
}

fn opens(gateway: &Gateway, token: &str) -> u16 {
    gateway.send(&Request::get("/api/x").bearer(token)).status
}

/// A grant of jane's to this client with a refresh token, which is returned.
fn refresh_token(gateway: &Gateway, client: &str) -> String {
    let secret = opaque::generate(Kind::Refresh, &SystemRandom);
    let now = SystemClock.now();
    let grant = Grant {
        id: GrantId::random(&SystemRandom),
        client: ServiceId::parse(client).unwrap(),
        user: UserId::parse("jane").unwrap(),
        scope: GrantedScope { spelled: "alpha".into(), services: vec![ServiceId::parse("alpha").unwrap()] },
        session: None,
        authenticated: now,
        nonce: None,
        created: now,
    };
    let token = RefreshToken {
        digest: opaque::digest(Kind::Refresh, secret.expose()).unwrap(),
        grant: grant.id.clone(),
        created: now,
        expires: now.plus(Duration::from_secs(600)),
    };
    with_store(gateway, async |store| {
        if store.find_user(&grant.user).await.unwrap().is_none() {
            store.add_user(&user("jane")).await.unwrap();
        }
        store.add_grant(&grant, &token).await.unwrap();
    });
    secret.expose().to_owned()
}

#[test]
fn a_revoked_access_token_opens_nothing_from_the_answer_on() {
    let (mut gateway, _upstream) = start();
    let (token, other) = (gateway.machine_token("alpha"), gateway.machine_token("alpha"));
    assert_eq!((opens(&gateway, &token), opens(&gateway, &other)), (200, 200));
    assert_eq!(introspect(&gateway, "machine", SECRET, &token)["active"], true);
    let answer = revoke(&gateway, &token);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some());
    for round in 0..2 {
        assert_eq!((opens(&gateway, &token), opens(&gateway, &other)), (401, 200), "{round}");
        assert_eq!(introspect(&gateway, "machine", SECRET, &token), json!({"active": false}), "{round}");
        if round == 0 {
            gateway.restart();
        }
    }
    assert_eq!(revoke(&gateway, &token).status, 200, "twice is as good as once");
}

#[test]
fn a_revoked_refresh_token_takes_its_family_along() {
    let (gateway, _upstream) = start();
    let (token, other) = (refresh_token(&gateway, "machine"), refresh_token(&gateway, "machine"));
    let active = |token: &str| introspect(&gateway, "machine", SECRET, token)["active"].clone();
    let told = introspect(&gateway, "machine", SECRET, &token);
    assert_eq!(
        (&told["username"], &told["sub"], &told["scope"], &told["iss"]),
        (&json!("jane.doe"), &json!("jane"), &json!("alpha"), &json!(format!("{PUBLIC_URL}/hub")))
    );
    assert_eq!((active(&token), active(&other)), (json!(true), json!(true)));
    assert_eq!(revoke(&gateway, &token).status, 200);
    assert_eq!((active(&token), active(&other)), (json!(false), json!(true)));
    with_store(&gateway, async |store| {
        let revocations = store.list_revocations(SystemClock.now()).await.unwrap();
        assert!(matches!(revocations[..], [ref one] if matches!(one.target, RevocationTarget::Grant(_))));
    });
}

#[test]
fn nobody_ends_what_belongs_to_another() {
    let (gateway, _upstream) = start();
    let (access, refresh) = (gateway.machine_token("alpha"), refresh_token(&gateway, "machine"));
    for token in [access.as_str(), &refresh, "x", "hgr_unknown"] {
        let form = format!("token={token}");
        for request in [
            Request::form(REVOKE, &form).basic("plain", "plain-secret-0123456789"),
            Request::form(REVOKE, &format!("{form}&client_id=phone")),
            Request::form(REVOKE, &form).basic("alpha", "alpha-secret-0123456789"),
        ] {
            let answer = gateway.send(&request);
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{token}");
        }
    }
    assert_eq!(opens(&gateway, &access), 200);
    assert_eq!(introspect(&gateway, "machine", SECRET, &refresh)["active"], true);
}

#[test]
fn nobody_learns_what_does_not_concern_them() {
    let (gateway, _upstream) = start();
    let token = gateway.machine_token("alpha");
    let inactive = json!({"active": false});
    assert_eq!(introspect(&gateway, "alpha", "alpha-secret-0123456789", &token)["active"], true);
    assert_eq!(introspect(&gateway, "plain", "plain-secret-0123456789", &token), inactive);
    let for_plain = gateway.machine_token("plain");
    assert_eq!(introspect(&gateway, "plain", "plain-secret-0123456789", &for_plain)["aud"], json!(["plain"]));
    let refresh = refresh_token(&gateway, "machine");
    assert_eq!(introspect(&gateway, "plain", "plain-secret-0123456789", &refresh), inactive);
}

/// Runs this SQL on the store of a running gateway, behind its back.
fn break_store(gateway: &Gateway, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = gateway.folder().join("data").join("hubgate.db");
        let mut database =
            sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::query(sql).execute(&mut database).await.unwrap();
    });
}

#[test]
fn a_store_that_fails_is_never_a_success() {
    let (gateway, _upstream) = start();
    let (access, refresh) = (gateway.machine_token("alpha"), refresh_token(&gateway, "machine"));
    let refused = |answer: Answer| {
        assert_eq!((answer.status, answer.error()), (503, "temporarily_unavailable".into()));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    };
    break_store(&gateway, "ALTER TABLE refresh_tokens RENAME TO away");
    refused(revoke(&gateway, &refresh));
    refused(gateway.send(&Request::form(INTROSPECT, &format!("token={refresh}")).basic("machine", SECRET)));
    break_store(&gateway, "ALTER TABLE away RENAME TO refresh_tokens");
    break_store(&gateway, "ALTER TABLE revocations RENAME TO away");
    refused(revoke(&gateway, &access));
    refused(revoke(&gateway, &refresh));
    assert_eq!(opens(&gateway, &access), 200, "not revoked, as the client was told");
    break_store(&gateway, "ALTER TABLE away RENAME TO revocations");
    assert_eq!(revoke(&gateway, &access).status, 200);
    assert_eq!(opens(&gateway, &access), 401);
    assert_eq!(introspect(&gateway, "machine", SECRET, &refresh)["active"], true);
    assert_eq!(revoke(&gateway, &refresh).status, 200);
    assert_eq!(introspect(&gateway, "machine", SECRET, &refresh)["active"], false);
}

#[test]
fn clients_authenticate_at_both() {
    let (gateway, _upstream) = start();
    let token = gateway.machine_token("alpha");
    let form = format!("token={token}");
    for path in [REVOKE, INTROSPECT] {
        for (name, request, status, error) in [
            ("wrong secret", Request::form(path, &form).basic("machine", "x"), 401, "invalid_client"),
            ("unknown client", Request::form(path, &form).basic("nobody", "x"), 401, "invalid_client"),
            ("no token", Request::form(path, "a=b").basic("machine", SECRET), 400, "invalid_request"),
            (
                "a repeated token",
                Request::form(path, &format!("{form}&{form}")).basic("machine", SECRET),
                400,
                "invalid_request",
            ),
            (
                "no form",
                Request::new("POST", path).body("{}").basic("machine", SECRET),
                400,
                "invalid_request",
            ),
            (
                "GET",
                Request::get(&format!("{path}?{form}")).basic("machine", SECRET),
                405,
                "method_not_allowed",
            ),
        ] {
            let answer = gateway.send(&request);
            assert_eq!((answer.status, answer.error().as_str()), (status, error), "{path}: {name}");
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{path}: {name}");
        }
    }
    // RFC 7662 section 2.3 wants 401 however the client tried; public clients may not ask at all.
    for body in ["client_id=phone", "client_id=machine", "client_id=machine&client_secret=x", ""] {
        let answer = gateway.send(&Request::form(INTROSPECT, &format!("{form}&{body}")));
        assert_eq!((answer.status, answer.error()), (401, "invalid_client".into()), "{body}");
    }
    assert_eq!(gateway.send(&Request::form(REVOKE, &form)).status, 400);
    assert_eq!(opens(&gateway, &token), 200);
}
