//! What the audit log has of the flows and the commands: who did it, from where, and nothing that opens anything.

use std::time::Duration;

use serde_json::Value;

use super::{APP_SECRET, PASSWORD, ask, call, code, configure, exchange, refresh, start, tokens};
use crate::support::{
    Gateway, Request, Upstream,
    browser::{Browser, form, hidden, own},
    gateway::{TOKEN, eventually},
    process::{self, written},
};

const LOGOUT: &str = "/hub/api/rest/oauth2/logout";
const REVOKE: &str = "/hub/api/rest/oauth2/revoke";

/// The events that match, the oldest first.
fn events(gateway: &Gateway, filter: &[&str]) -> Vec<Value> {
    let printed = gateway.command(&[&["audit", "list", "--json", "--top", "0"], filter].concat());
    let mut events: Vec<Value> = serde_json::from_str(&printed).unwrap();
    events.reverse();
    events
}

/// The one event of this kind about a user.
#[track_caller]
fn one(gateway: &Gateway, kind: &str, user: &str) -> Value {
    let found = events(gateway, &["--type", kind, "--user", user]);
    let [event] = &found[..] else { panic!("{kind} of {user}: {found:#?}") };
    event.clone()
}

fn changed<'e>(event: &'e Value, field: &str) -> &'e Value {
    let changes = event["changes"].as_array().unwrap();
    &changes.iter().find(|c| c["field"] == field).unwrap_or_else(|| panic!("no {field}: {event}"))["after"]
}

/// Exit status and output of `audit verify`.
fn verify(gateway: &Gateway, more: &[&str]) -> (Option<i32>, String) {
    let config = gateway.config_path().to_str().unwrap().to_owned();
    let arguments = [&["audit", "verify", "--config", &config], more].concat();
    let output = process::run(&arguments, gateway.folder());
    (output.status.code(), written(&output))
}

#[test]
fn what_people_do_in_a_browser_is_theirs() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let to_consent = own(&browser.sign_in(&ask("asking", "&scope=alpha"), "jane", PASSWORD));
    let ticket = hidden(&browser.get(&to_consent).text(), "ticket");
    browser.post(&to_consent, &form(&[("ticket", &ticket), ("decision", "allow")]));
    let answer = browser.get(LOGOUT);
    assert_eq!(answer.status, 200, "{}", answer.text());

    let added = one(&gateway, "created", "jane");
    assert_eq!(
        (&added["authorType"], &added["targetPresentation"]),
        (&"configuration".into(), &"jane".into())
    );
    let jane = added["targetId"].clone();
    let signed_in = one(&gateway, "signedIn", "jane");
    let consent = one(&gateway, "consentGiven", "jane");
    let signed_out = one(&gateway, "signedOut", "jane");
    for event in [&signed_in, &consent, &signed_out] {
        let by = (&event["authorType"], &event["author"], &event["authorPresentation"], &event["source"]);
        assert_eq!(by, (&"user".into(), &jane, &"jane".into(), &"127.0.0.1".into()), "{event}");
        assert!(event["request"].as_str().is_some_and(|id| !id.is_empty()), "{event}");
    }
    let request = signed_out["request"].as_str().unwrap();
    eventually("the request's line", || {
        gateway.lines().lines().any(|line| line.contains(request) && line.contains("signed_out"))
    });
    assert_eq!(changed(&consent, "client"), "asking");
    assert_eq!(changed(&consent, "services"), &serde_json::json!(["alpha"]));
    let session = changed(&signed_in, "session");
    assert_eq!(&signed_out["changes"][0]["before"], session, "the session that began");
    let services = events(&gateway, &["--target", "service"]);
    assert!(
        services.iter().all(|e| e["type"] == "created" && e["authorType"] == "configuration"),
        "{services:?}"
    );
    assert_eq!(verify(&gateway, &[]).0, Some(0));
}

#[test]
fn sign_ins_that_fail_are_recorded_within_bounds_and_without_what_was_typed() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("limits", "login_failures", "\"3/h\"");
    });
    let mut browser = Browser::new(&gateway);
    browser.log_in(&ask("app", ""), "correct horse typed as a name", "wrong");
    for _ in 0..30 {
        browser.log_in(&ask("app", ""), "jane", "a wrong password");
    }
    let by_password = |password: &str| {
        let body = form(&[
            ("grant_type", "password"),
            ("username", "bob"),
            ("password", password),
            ("scope", "alpha"),
        ]);
        gateway.send(&Request::form(TOKEN, &body).basic("app", APP_SECRET)).status
    };
    assert_eq!(by_password(PASSWORD), 200);
    eventually("they are written", || !events(&gateway, &["--type", "signInThrottled"]).is_empty());
    // What is noted when a gateway stops is written too.
    gateway.stop();
    let refused = events(&gateway, &["--type", "signInRefused"]);
    let (unknown, known): (Vec<_>, Vec<_>) = refused.iter().partition(|e| e["targetType"] == "gateway");
    assert_eq!(unknown.len(), 1, "{refused:#?}");
    assert!(!known.is_empty() && known.iter().all(|e| e["targetPresentation"] == "jane"), "{refused:#?}");
    let throttled = events(&gateway, &["--type", "signInThrottled"]);
    assert_eq!(refused.len() + throttled.len(), 10, "no more from one source in a minute: {throttled:#?}");
    for event in refused.iter().chain(&throttled) {
        assert_eq!((&event["authorType"], &event["source"]), (&"anonymous".into(), &"127.0.0.1".into()));
    }
    let all = gateway.command(&["audit", "list", "--top", "0", "--json"]);
    for typed in ["correct horse", "wrong password"] {
        assert!(!all.contains(typed), "{typed}: {all}");
    }
}

#[test]
fn tokens_that_end_early_say_who_ended_them() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        clock = Some(setup.manual_clock());
    });
    let offline =
        || tokens(&exchange(&gateway, "app", &code(&gateway, "app", "&scope=alpha&access_type=offline")));
    // By the client.
    let (access, _) = offline();
    let body = form(&[("token", &access)]);
    assert_eq!(gateway.send(&Request::form(REVOKE, &body).basic("app", APP_SECRET)).status, 200);
    assert_eq!(call(&gateway, &access), 401);
    let revoked = events(&gateway, &["--type", "tokenRevoked"]);
    assert_eq!(revoked.len(), 1, "{revoked:#?}");
    let by = (&revoked[0]["authorType"], &revoked[0]["author"], &revoked[0]["authorPresentation"]);
    assert_eq!(by, (&"service".into(), &"app".into(), &"app by name".into()));
    // By a second use, of a refresh token and of a code.
    let (_, token) = offline();
    let token = token.unwrap();
    tokens(&refresh(&gateway, "app", &token, ""));
    clock.unwrap().advance(Duration::from_secs(60));
    assert_eq!(refresh(&gateway, "app", &token, "").error(), "invalid_grant");
    let twice = code(&gateway, "app", "&scope=alpha&access_type=offline");
    tokens(&exchange(&gateway, "app", &twice));
    assert_eq!(exchange(&gateway, "app", &twice).error(), "invalid_grant");
    let replayed = events(&gateway, &["--type", "replayed", "--user", "jane"]);
    assert_eq!(replayed.len(), 2, "{replayed:#?}");
    for event in &replayed {
        assert_eq!((&event["authorType"], &event["targetType"]), (&"gateway".into(), &"grant".into()));
        assert_eq!((&event["targetPresentation"], &event["source"]), (&"of app".into(), &"127.0.0.1".into()));
    }
    // A client that is given a password.
    let body =
        form(&[("grant_type", "password"), ("username", "bob"), ("password", PASSWORD), ("scope", "alpha")]);
    tokens(&gateway.send(&Request::form(TOKEN, &body).basic("app", APP_SECRET)));
    eventually("it is written", || !events(&gateway, &["--type", "signedIn", "--user", "bob"]).is_empty());
    let signed_in = one(&gateway, "signedIn", "bob");
    assert_eq!(
        (changed(&signed_in, "grant"), &signed_in["authorPresentation"]),
        (&"password".into(), &"bob".into())
    );
}

#[test]
fn commands_and_the_configuration_sign_what_they_do() {
    let (gateway, _upstream) = start();
    let account =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let (_, secret) = gateway.register("built");
    let rotated = gateway.secret_of(&["service", "rotate-secret", "built"]);
    gateway.command(&["user", "add", "tess", "--generate", "--administrator"]);
    let before = events(&gateway, &[]);
    gateway.command(&["user", "ban", "bob", "--reason", "leaked"]);
    gateway.command(&["user", "unban", "bob"]);
    gateway.command(&["group", "add", "testers"]);
    gateway.command(&["group", "members", "testers", "--add", "tess"]);
    gateway.command(&["key", "rotate"]);
    let new = &events(&gateway, &[])[before.len()..];
    let kinds: Vec<&str> = new.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["banned", "unbanned", "created", "updated", "keyRotated", "keyRotated"], "{new:#?}");
    for event in new {
        let by = (&event["authorType"], &event["authorPresentation"]);
        assert_eq!(by, (&"commandLine".into(), &account.trim().into()), "{event}");
    }
    assert_eq!(changed(&new[0], "ban")["reason"], "leaked");
    assert_eq!(events(&gateway, &["--type", "secretChanged", "--target", "built"]).len(), 1);

    let text = gateway.config_text().replace("name = \"Jane Doe\"", "name = \"Jane Roe\"");
    gateway.reload(&text).unwrap();
    let declared = events(&gateway, &["--type", "updated", "--user", "jane"]);
    let last = declared.last().unwrap();
    assert_eq!(last["authorType"], "configuration", "{last}");
    assert_eq!(changed(last, "name"), "Jane Roe");
    assert_eq!(events(&gateway, &["--type", "configurationReloaded"]).len(), 1);

    // Nothing in the table opens anything.
    let all = gateway.command(&["audit", "list", "--top", "0", "--json"]);
    for known in [&secret, &rotated, PASSWORD, APP_SECRET, "argon2", "PRIVATE"] {
        assert!(!all.contains(known), "{known}: {all}");
    }
    let shown = gateway.command(&["audit", "list", "--since", "1h"]);
    assert!(shown.contains("banned") && shown.contains("commandLine"), "{shown}");
}

#[test]
fn a_log_that_was_changed_is_found_out() {
    let (mut gateway, _upstream) = start();
    gateway.command(&["group", "add", "one"]);
    let (status, said) = verify(&gateway, &[]);
    assert_eq!(status, Some(0), "{said}");
    let head = said.lines().find_map(|line| line.strip_prefix("head  ")).unwrap().to_owned();
    gateway.command(&["group", "add", "two"]);
    let (status, said) = verify(&gateway, &["--head", &head]);
    assert!(status == Some(0) && said.contains("The noted head is event"), "{said}");
    let (status, said) = verify(&gateway, &["--head", &"0123".repeat(16)]);
    assert!(status == Some(1) && said.contains("not in it"), "{said}");
    for wrong in ["abc", "zz"] {
        assert_eq!(verify(&gateway, &["--head", wrong]).0, Some(1), "{wrong}");
    }
    assert_eq!(
        process::run(&["audit", "list", "--type", "nothing"], gateway.folder()).status.code(),
        Some(1)
    );

    gateway.stop();
    let database = gateway.folder().join("data/hubgate.db");
    let count = events(&gateway, &[]).len();
    let tamper = async {
        let address = format!("sqlite://{}", database.display());
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&address).await.unwrap();
        let refused =
            sqlx::query("DELETE FROM audit_events WHERE sequence = 2").execute(&mut connection).await;
        assert!(refused.unwrap_err().to_string().contains("keeps every event"));
        sqlx::query("DROP TRIGGER audit_events_stay").execute(&mut connection).await.unwrap();
        sqlx::query("UPDATE audit_events SET kind = 'created' WHERE sequence = (SELECT max(sequence) - 1 FROM audit_events)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("UPDATE audit_events SET author_id = 'somebody else' WHERE sequence = 3")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(tamper);
    let (status, said) = verify(&gateway, &[]);
    assert!(status == Some(1) && said.contains("breaks at event 3"), "{said}");
    assert!(said.contains("2 events before it hold"), "{said}");
    assert!(count > 3);
    let (status, said) = verify(&gateway, &["--json"]);
    assert!(status == Some(1) && said.contains("\"event\": 3"), "{said}");
}
