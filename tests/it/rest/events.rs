//! `events`: the audit log over REST.

use serde_json::json;

use super::{Registry, refusal};
use crate::support::browser::form;

fn query(text: &str) -> String {
    format!("events?{}", form(&[("query", text)]))
}

#[test]
fn the_audit_log_is_read_in_hubs_shape() {
    let registry = Registry::start();
    let root = registry.root();
    let id = root.done("services?fields=id", &json!({"name": "Made"}))["id"].as_str().unwrap().to_owned();
    root.done(&format!("services/{id}"), &json!({"name": "Renamed"}));
    let page = root.good(&query(&format!("target: {{{id}}}")));
    assert_eq!((&page["type"], &page["total"]), (&"EventsPage".into(), &2.into()));
    let events = page["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["updated", "created"], "the newest first");
    let changed = &events[0];
    let by = (&changed["authorType"], &changed["author"], &changed["authorPresentation"]);
    assert_eq!(by, (&"user".into(), &registry.id_of("root").into(), &"root".into()), "who did it over REST");
    assert_eq!(
        (&changed["targetType"], &changed["targetPresentation"]),
        (&"service".into(), &"Renamed".into())
    );
    let change = json!({"type": "eventChange", "field": "name", "before": "Made", "after": "Renamed"});
    assert!(changed["changes"].as_array().unwrap().contains(&change), "{changed}");
    assert!(changed["timestamp"].as_i64().unwrap() > 1_600_000_000_000);
    assert_eq!(changed.get("source"), None, "only when it is asked for");

    let number = changed["id"].as_str().unwrap();
    let one = root.good(&format!("events/{number}?fields=id,source,request,changes(field)"));
    assert_eq!((&one["id"], &one["source"]), (&number.into(), &"127.0.0.1".into()));
    assert!(one["request"].is_string() && one["changes"][0].get("before").is_none(), "{one}");
    for unknown in ["0", "999999", "-1", &format!("0{number}"), "x", "99999999999999999999"] {
        assert_eq!(refusal(&root.get(&format!("events/{unknown}"))).0, 404, "{unknown}");
    }
}

#[test]
fn the_audit_log_is_found_by_fields_and_pages() {
    let registry = Registry::start();
    let root = registry.root();
    let (jane, all) = (registry.id_of("jane"), root.good("events?$top=0")["total"].as_i64().unwrap());
    let total = |text: &str| root.good(&query(text))["total"].as_i64().unwrap();
    assert!(all > 5);
    assert_eq!(total(&format!("type: created and target: {jane}")), 1);
    assert_eq!(total(&format!("user: {jane} and targetType: user and type: created")), 1);
    assert_eq!(total("since: \"2000-01-01T00:00:00Z\"").min(all), all);
    assert_eq!(total("since: \"2999-01-01\""), 0);
    assert_eq!(total("author: nobody"), 0);
    let page = root.good("events?$skip=1&$top=2&orderBy=timestamp:desc&fields=id");
    let ids: Vec<i64> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1] + 1);
    for bad in [
        "type: nothing",
        "x: y",
        "type: created or type: updated",
        "not type: created",
        "free text",
        "is: new",
        "has: x",
        "a(b: c)",
        "type: c*",
        "since: yesterday",
        "type: created and type: created",
        "user: {a b}",
    ] {
        assert_eq!(refusal(&root.get(&query(bad))), (400, "Bad Request".into(), "query".into()), "{bad}");
    }
    for bad in ["timestamp:asc", "name:desc"] {
        let refused = refusal(&root.get(&format!("events?orderBy={bad}")));
        assert_eq!((refused.0, refused.2.as_str()), (400, "orderBy"), "{bad}");
    }
}

#[test]
fn the_audit_log_is_for_administrators_and_cannot_be_changed() {
    let registry = Registry::start();
    for client in [registry.as_user("jane"), registry.app()] {
        for path in ["events", "events/1"] {
            assert_eq!(refusal(&client.get(path)).0, 403, "{path}");
        }
    }
    assert_eq!(refusal(&registry.nobody().get("events")).0, 401);
    let root = registry.root();
    assert_eq!(refusal(&root.delete("events/1")).0, 405);
    assert_eq!(root.refused("events/1", &json!({"targetId": "x"})).0, 405);
    assert_eq!(root.refused("events", &json!({})).0, 405);
}
