//! Moving from Hub: `hubgate import hub`.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Gateway, Request, Upstream,
    browser::form,
    gateway::{TOKEN, eventually},
    process::{self, written},
};

const BCRYPT_OF_PASSWORD: &str = "$2b$04$";

/// What the script of docs/moving-from-hub.md brings, about.
fn hub(hash: &str) -> Value {
    json!([
        {"type": "ServicesPage", "skip": 0, "top": -1, "total": 2, "services": [
            {"type": "service", "id": "0-0-0-0-0", "name": "Hub"},
            {"type": "service", "id": "7a1c-yt", "name": "YouTrack", "homeUrl": "https://yt.example/", "trusted": true,
             "consentRequired": false, "redirectUris": ["https://yt.example/oauth"], "secret": "secret-of-youtrack-1"},
        ]},
        {"type": "UsergroupsPage", "total": 1, "usergroups": [{"id": "g-dev", "name": "Developers"}]},
        {"type": "UsersPage", "total": 2, "users": [
            {"id": "u-jane", "login": "jane", "name": "Jane Doe", "groups": [{"id": "g-dev"}],
             "profile": {"email": {"email": "jane@example.org", "verified": true}},
             "details": [{"type": "LoginuserdetailsJSON", "password": {"type": "BcryptpasswordJSON", "hashedValue": hash}}]},
            {"id": "u-bob", "login": "bob", "name": "Bob", "banned": true, "banReason": "gone"},
        ]},
    ])
}

fn run(gateway: &Gateway, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let (file, config) = (file.to_str().unwrap(), gateway.config_path().to_str().unwrap());
    let output =
        process::run(&[&["import", "hub", file, "--config", config], more].concat(), gateway.folder());
    (output.status.code(), written(&output))
}

#[test]
fn a_team_moves_from_hub_with_its_ids_and_passwords() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
    });
    let hash = bcrypt_hash();
    let file = gateway.folder().join("hub.json");
    std::fs::write(&file, hub(&hash).to_string()).unwrap();

    // First it only shows.
    let (status, said) = run(&gateway, &file, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("4 changes to be made") && said.contains("Nothing is changed yet"), "{said}");
    assert!(
        said.contains("add service    YouTrack (7a1c-yt)") && said.contains("which the gateway is now"),
        "{said}"
    );
    assert!(!gateway.command(&["user", "list"]).contains("jane"), "nothing was written");
    let (status, said) = run(&gateway, &file, &["--apply"]);
    assert!(status == Some(0) && said.contains("4 changes made"), "{said}");
    for secret in [&hash, "secret-of-youtrack-1"] {
        assert!(!said.contains(secret), "{said}");
    }
    let (_, said) = run(&gateway, &file, &["--apply", "--json"]);
    let again: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&again["changes"], &again["unchanged"]), (&json!([]), &json!(4)), "{again}");

    // The service asks with its old id and secret, and the person with the old password.
    let body = form(&[
        ("grant_type", "password"),
        ("username", "jane"),
        ("password", "correct horse battery"),
        ("scope", "7a1c-yt"),
    ]);
    let request = Request::form(TOKEN, &body).basic("7a1c-yt", "secret-of-youtrack-1");
    eventually("the gateway knows them", || gateway.send(&request).status == 200);
    let token = gateway.send(&request).json()["access_token"].as_str().unwrap().to_owned();
    let claims = crate::support::forge::decode(&token).1;
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("u-jane"), &json!(["7a1c-yt"])), "{claims}");
    let shown: Value = serde_json::from_str(&gateway.command(&["user", "show", "bob", "--json"])).unwrap();
    assert_eq!((&shown["id"], &shown["ban"]["reason"]), (&json!("u-bob"), &json!("gone")), "{shown}");
    let jane: Value = serde_json::from_str(&gateway.command(&["user", "show", "jane", "--json"])).unwrap();
    assert_eq!((&jane["groups"], &jane["administrator"]), (&json!(["Developers"]), &json!(false)), "{jane}");
    // And the audit log has who did it.
    let events = gateway.command(&["audit", "list", "--type", "created", "--user", "jane", "--json"]);
    let events: Value = serde_json::from_str(&events).unwrap();
    assert_eq!(events[0]["authorType"], "commandLine", "{events}");
    assert!(!events.to_string().contains(BCRYPT_OF_PASSWORD), "{events}");
}

/// A hash of the password as Hub would have it.
fn bcrypt_hash() -> String {
    bcrypt::hash("correct horse battery", 4).unwrap()
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let (gateway, _upstream) = Gateway::standard();
    let before = gateway.command(&["audit", "verify", "--json"]);
    let file = gateway.folder().join("hub.json");
    for (text, why) in [
        ("", "is not JSON"),
        ("{\"users\": [", "is not JSON"),
        ("{\"roles\": []}", "neither"),
        (&"[".repeat(1_000_000), "is not JSON"),
        (&"[{\"users\":".repeat(12), "is not JSON"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (status, said) = run(&gateway, &file, &["--apply"]);
        assert!(status == Some(1) && said.contains(why), "{said}");
    }
    let huge = std::fs::File::create(&file).unwrap();
    huge.set_len((16 << 20) + 1).unwrap();
    let (status, said) = run(&gateway, &file, &["--apply"]);
    assert!(status == Some(1) && said.contains("more than 16 MiB"), "{said}");
    let (status, said) = run(&gateway, Path::new("nowhere.json"), &[]);
    assert!(status == Some(1) && said.contains("nowhere.json"), "{said}");
    assert_eq!(gateway.command(&["audit", "verify", "--json"]), before, "not an event");
}
