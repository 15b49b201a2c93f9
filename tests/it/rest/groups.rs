//! Groups over REST (hub-contract section 10.3).

use serde_json::{Value, json};

use super::{Registry, refusal};
use crate::support::browser::form;

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

fn names(page: &Value, key: &str) -> Vec<String> {
    page[key].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn groups_are_kept() {
    let registry = Registry::start();
    let root = registry.root();
    let made =
        root.done("usergroups", &json!({"name": "Writers", "description": "who write", "autoJoin": true}));
    let group = id(&made);
    let expected = json!({"type": "userGroup", "id": group, "name": "Writers", "description": "who write",
        "autoJoin": true, "requiredTwoFactorAuthentication": false, "parentsRequireTwoFactorAuthentication": false,
        "userCount": 0, "allUsers": false, "implicit": false, "queriedSingleton": false, "removable": true});
    assert_eq!(made, expected);
    let eve = id(&root.done("users?fields=id", &json!({"login": "eve"})));
    assert_eq!(
        root.good(&format!("usergroups/{group}?fields=userCount"))["userCount"],
        1,
        "new users are put into it"
    );
    let page = root.good("usergroups?fields=id,name,users(login)&orderBy=name:desc");
    assert_eq!(
        (&page["type"], names(&page, "usergroups")),
        (&json!("UsergroupsPage"), vec!["Writers".into(), "All Users".into()])
    );
    assert_eq!(page["usergroups"][0]["users"], json!([{"type": "user", "login": "eve"}]));
    assert_eq!(page["usergroups"][1]["users"].as_array().unwrap().len(), 4, "everybody but the guest");
    assert_eq!(
        root.done(
            &format!("usergroups/{group}"),
            &json!({"name": "Authors", "description": "", "autoJoin": false})
        ),
        Value::Null
    );
    let after = root.good(&format!("usergroups/{group}"));
    assert_eq!(
        (&after["name"], after.get("description"), &after["autoJoin"]),
        (&json!("Authors"), None, &json!(false))
    );
    // Whoever signs in sees groups, and not who is in them.
    let jane = registry.as_user("jane");
    let seen = jane.good(&format!("usergroups/{group}?fields=name,users,ownUsers"));
    assert_eq!(seen, json!({"type": "userGroup", "name": "Authors"}));
    for body in [json!({"name": "x"}), json!({"autoJoin": true})] {
        assert_eq!(jane.refused(&format!("usergroups/{group}"), &body).0, 403);
        assert_eq!(jane.refused("usergroups", &body).0, 403);
    }
    for (path, body, expected) in [
        ("usergroups".to_owned(), json!({}), (400, "Bad Request", "name")),
        ("usergroups".into(), json!({"name": "AUTHORS"}), (409, "must-be-unique", "name")),
        ("usergroups".into(), json!({"name": "a,b"}), (400, "Bad Request", "name")),
        (
            "usergroups".into(),
            json!({"name": "x", "iconUrl": "javascript:alert(1)"}),
            (400, "Bad Request", "url"),
        ),
        ("usergroups".into(), json!({"name": "x", "parent": {"id": "none"}}), (404, "Not Found", "")),
        ("usergroups".into(), json!({"name": "x", "parent": {"id": "a b"}}), (400, "Bad Request", "id")),
        (format!("usergroups/{group}/users"), json!({"id": "none"}), (404, "Not Found", "")),
        (format!("usergroups/{group}/users"), json!({"login": "eve"}), (400, "Bad Request", "id")),
        (format!("usergroups/{group}/subgroups"), json!({"id": group}), (400, "Bad Request", "parent")),
    ] {
        let (status, error, field) = expected;
        assert_eq!(root.refused(&path, &body), (status, error.into(), field.into()), "{path} {body}");
    }
    for (query, expected) in [
        ("auth*", vec!["Authors"]),
        ("auth", vec![]),
        ("nameStartsWith:users", vec!["All Users"]),
        ("is:allUsers", vec!["All Users"]),
        ("name:authors", vec!["Authors"]),
        ("{%}", vec![]),
    ] {
        let encoded = form(&[("query", query)]);
        assert_eq!(names(&root.good(&format!("usergroups?{encoded}")), "usergroups"), expected, "{query}");
    }
    for bad in ["query=login:x", "query=is:good", "orderBy=users", "$top=x"] {
        assert_eq!(refusal(&root.get(&format!("usergroups?{bad}"))).0, 400, "{bad}");
    }
    // In and out.
    let users = format!("usergroups/{group}/users");
    let joe = registry.id_of("joe");
    assert_eq!(root.refused(&users, &json!({"id": joe})).0, 409, "declared");
    assert_eq!(root.delete(&format!("{users}/{eve}")).status, 200);
    assert_eq!(refusal(&root.delete(&format!("{users}/{eve}"))).0, 404);
    root.done(&users, &json!({"type": "user", "id": eve, "login": "eve"}));
    assert_eq!(root.good(&format!("{users}/{eve}?fields=login"))["login"], "eve");
    assert_eq!(refusal(&root.get(&format!("{users}/{joe}"))).0, 404);
    let other = id(&root.done("usergroups", &json!({"name": "Others"})));
    assert_eq!(root.delete(&format!("usergroups/{group}?successor={other}")).status, 200);
    assert_eq!(
        root.good(&format!("users/{eve}?fields=groups(name)"))["groups"],
        json!([{"type": "userGroup", "name": "Others"}])
    );
    assert_eq!(refusal(&root.get(&format!("usergroups/{group}"))).0, 404);
}

/// A group that the configuration file names for a user stays, and keeps its name; what else is told of it may change.
#[test]
fn a_group_that_the_file_names_stays() {
    let registry = Registry::with(|setup| {
        setup.user("ann", "password = \"correct horse battery\"\ngroups = [\"Named\"]");
    });
    let root = registry.root();
    let page = root.good("usergroups?fields=id,name&query=named");
    let group = format!("usergroups/{}", id(&page["usergroups"][0]));
    let other = id(&root.done("usergroups", &json!({"name": "Others"})));
    assert_eq!(root.refused(&group, &json!({"name": "Renamed"})).0, 409);
    for path in [group.clone(), format!("{group}?successor={other}")] {
        let answer = root.delete(&path);
        assert_eq!(refusal(&answer).0, 409, "{path}");
        let why = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(why.contains("ann") && why.contains("Named"), "{why}");
    }
    root.done(&group, &json!({"name": "NAMED", "description": "by the file"}));
    let after = root.good(&group);
    assert_eq!((&after["name"], &after["userCount"]), (&json!("NAMED"), &json!(1)));
    // The other one is named for nobody.
    assert_eq!(root.delete(&format!("usergroups/{other}")).status, 200);
}

#[test]
fn groups_are_nested() {
    let registry = Registry::start();
    let root = registry.root();
    let house = id(&root.done("usergroups", &json!({"name": "house"})));
    let kitchen = id(&root.done("usergroups", &json!({"name": "room", "parent": {"id": house}})));
    let below = format!("usergroups/{kitchen}/subgroups");
    let bed = id(&root.done(&format!("{below}?fields=id"), &json!({"name": "bed"})));
    let eve = id(&root.done("users?fields=id", &json!({"login": "eve", "groups": [{"id": bed}]})));
    let seen = root
        .good(&format!("usergroups/{kitchen}?fields=parent(name),subgroups(name),userCount,ownUsers(login)"));
    assert_eq!(
        seen,
        json!({"type": "userGroup", "userCount": 1, "ownUsers": [], "parent": {"type": "userGroup", "name": "house"},
               "subgroups": [{"type": "userGroup", "name": "bed"}]})
    );
    assert_eq!(root.good(&format!("usergroups/{house}/users?fields=login"))["total"], 1);
    let groups = root.good(&format!("users/{eve}?fields=groups(name),transitiveGroups(name)"));
    assert_eq!(names(&groups, "groups"), ["bed"]);
    assert_eq!(names(&groups, "transitiveGroups"), ["bed", "house", "room", "All Users"]);
    assert_eq!(names(&root.good("usergroups/forest"), "usergroups"), ["All Users", "house"]);
    assert_eq!(root.good("usergroups/root")["allUsers"], true);
    assert_eq!(
        root.refused(&format!("usergroups/{house}"), &json!({"parent": {"id": bed}})),
        (400, "Bad Request".into(), "parent".into())
    );
    assert_eq!(root.delete(&format!("{below}/{bed}")).status, 200);
    assert_eq!(refusal(&root.delete(&format!("{below}/{bed}"))).0, 404);
    assert_eq!(root.good(&format!("usergroups/{house}/users"))["total"], 0);
    root.done(&below, &json!({"id": bed}));
    assert_eq!(root.good(&format!("usergroups/{house}/users"))["total"], 1);
    root.done(&format!("usergroups/{kitchen}"), &json!({"parent": {}}));
    assert_eq!(root.good(&format!("usergroups/{house}/users"))["total"], 0);
    root.done("usergroups/merge", &json!({"usergroups": [{"id": house}, {"id": kitchen}]}));
    assert_eq!(names(&root.good(&format!("usergroups/{house}/subgroups")), "subgroups"), ["bed"]);
    assert_eq!(root.refused("usergroups/merge", &json!({"usergroups": [{"id": house}]})).0, 400);
    // The group of all users stands alone.
    let all = id(&root.good("usergroups/root"));
    root.done(&format!("usergroups/{house}"), &json!({"parent": {"id": all}}));
    assert_eq!(refusal(&root.delete(&format!("usergroups/{all}"))).0, 409);
    assert_eq!(root.refused(&format!("usergroups/{all}/users"), &json!({"id": eve})).0, 409);
    root.done(&format!("users/{eve}"), &json!({"groups": [{"id": all}, {"id": house}]}));
    assert_eq!(names(&root.good(&format!("users/{eve}?fields=groups(name)")), "groups"), ["house"]);
}
