//! Users over REST (hub-contract section 10.2; threats M2, M3).

use serde_json::{Value, json};

use super::{Client, PASSWORD, REST, Registry, refusal};
use crate::support::{Request, browser::form};

const OTHER_PASSWORD: &str = "another battery";

/// Adds a user with [`PASSWORD`]; returns its id.
fn add(root: &Client<'_>, login: &str, more: &Value) -> String {
    let mut body = json!({"login": login, "name": login, "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    root.done("users?fields=id", &body)["id"].as_str().unwrap().to_owned()
}

/// The status of a sign-in with name and password.
fn sign_in(registry: &Registry, login: &str, password: &str) -> u16 {
    registry.gateway.send(&Request::get(&format!("{REST}users/me")).basic(login, password)).status
}

fn logins(page: &Value) -> Vec<&str> {
    page["users"].as_array().unwrap().iter().map(|user| user["login"].as_str().unwrap()).collect()
}

#[test]
fn a_user_is_added_in_every_form_in_which_clients_say_it() {
    let registry = Registry::start();
    let root = registry.root();
    let bcrypt =
        bcrypt::hash_with_salt(PASSWORD, 4, [9; 16]).unwrap().format_for_version(bcrypt::Version::TwoY);
    let details = |password: Value| json!({"type": "LoginuserdetailsJSON", "password": password});
    for (at, body) in [
        json!({"password": PASSWORD, "fullName": "Full Name", "email": "plain@example.org"}),
        json!({"password": {"type": "PlainpasswordJSON", "value": PASSWORD}}),
        json!({"details": [details(json!({"type": "PlainpasswordJSON", "value": PASSWORD}))]}),
        json!({"details": [details(json!({"type": "BcryptpasswordJSON", "hashedValue": bcrypt}))]}),
        json!({"details": [{"type": "EmailuserdetailsJSON", "authModule": {"id": "core"}, "email": "d@example.org",
                            "password": {"value": PASSWORD}}]}),
        json!({"profile": {"email": {"email": "p@example.org", "verified": false}}, "password": PASSWORD}),
    ]
    .into_iter()
    .enumerate()
    {
        let login = format!("user-{at}");
        let mut body = body;
        body["login"] = json!(login);
        let made = root.done("users", &body);
        assert_eq!((&made["login"], &made["banned"], &made["type"]), (&json!(login), &json!(false), &json!("user")));
        assert!(!made.to_string().contains(PASSWORD) && !made.to_string().contains("$2y$"), "{made}");
        assert_eq!(sign_in(&registry, &login, PASSWORD), 200, "{body}");
    }
    let seen = root.good("users?query=user-0&fields=name,profile(email(email,verified))")["users"][0].clone();
    assert_eq!((&seen["name"], &seen["profile"]["email"]["verified"]), (&json!("Full Name"), &json!(true)));
    let seen = root.good("users?query=user-5&fields=profile/email")["users"][0].clone();
    assert_eq!(
        seen["profile"]["email"],
        json!({"type": "EmailJSON", "email": "p@example.org", "verified": false})
    );
    assert_eq!(sign_in(&registry, "plain@example.org", PASSWORD), 200);
    // Name and login alone do not sign in; a detail later does.
    let id = root.done("users?fields=id", &json!({"login": "late", "name": "Late"}))["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(sign_in(&registry, "late", PASSWORD), 401);
    let body = json!({"details": [details(json!({"type": "PlainpasswordJSON", "value": PASSWORD}))]});
    assert_eq!(root.done(&format!("users/{id}?fields=id"), &body)["id"], json!(id));
    assert_eq!(sign_in(&registry, "late", PASSWORD), 200);
    assert_eq!(
        root.done(&format!("users/{id}"), &json!({"name": "Later"})),
        Value::Null,
        "an update says nothing"
    );
    for (body, refused) in [
        (json!({}), (400, "Bad Request", "login")),
        (json!({"login": "jane"}), (409, "must-be-unique", "login")),
        (json!({"login": "JANE@example.org"}), (409, "must-be-unique", "login")),
        (json!({"login": "x", "email": "jane@example.org"}), (409, "must-be-unique", "email")),
        (json!({"login": "x", "email": "no address"}), (400, "Bad Request", "email")),
        (json!({"login": "guest"}), (400, "Bad Request", "login")),
        (json!({"login": "x\u{0}y"}), (400, "Bad Request", "login")),
        (json!({"login": 7}), (400, "Bad Request", "login")),
        (json!({"login": "x", "password": "short"}), (400, "Bad Request", "password")),
        (
            json!({"login": "x", "password": {"type": "Md5passwordJSON", "hashedValue": "x", "salt": "y"}}),
            (400, "Bad Request", "password"),
        ),
        (
            json!({"login": "x", "password": {"type": "BcryptpasswordJSON", "hashedValue": "x"}}),
            (400, "Bad Request", "hashedValue"),
        ),
        (
            json!({"login": "x", "details": [{"authModule": {"id": "ldap"}}]}),
            (400, "Bad Request", "authModule"),
        ),
        (
            json!({"login": "x", "profile": {"avatar": {"type": "urlavatar", "avatarUrl": "data:image/svg+xml,x"}}}),
            (400, "Bad Request", "url"),
        ),
        (json!({"login": "x", "profile": {"locale": "<b>"}}), (400, "Bad Request", "locale")),
        (json!({"login": "x", "groups": [{"id": "none"}]}), (404, "Not Found", "")),
        (json!({"login": "x", "groups": [{"id": "' OR 1"}]}), (400, "Bad Request", "id")),
        (json!({"login": "x", "id": "me"}), (409, "Conflict", "")),
        (json!({"login": "x", "id": "a/b"}), (400, "Bad Request", "id")),
        (json!({"login": "x", "banned": true, "banBadge": "a\nb"}), (400, "Bad Request", "banBadge")),
    ] {
        let (status, error, field) = refused;
        assert_eq!(root.refused("users", &body), (status, error.into(), field.into()), "{body}");
        assert_eq!(root.good("users?query=login:x")["total"], 0, "nothing is left of {body}");
    }
}

/// One login is one person, however it is put together, and none looks like another's (threats T9).
#[test]
fn a_login_that_looks_like_anothers_cannot_be_made() {
    let registry = Registry::start();
    let root = registry.root();
    let zoe = add(&root, "Zoe\u{308}", &json!({}));
    assert_eq!(root.good(&format!("users/{zoe}?fields=login"))["login"], "Zo\u{eb}", "in one spelling");
    let make =
        |login: &str| root.refused("users", &json!({"login": login, "name": "X", "password": PASSWORD}));
    for taken in ["zo\u{eb}", "ZOE\u{308}", "zoe\u{308}"] {
        assert_eq!((make(taken).0, make(taken).1.as_str()), (409, "must-be-unique"), "{taken:?}");
    }
    for odd in [
        "\u{ff4a}ane",
        "ja\u{200b}ne",
        "jane\u{feff}",
        "\u{202e}enaj",
        "ja\u{ad}ne",
        "jane\u{fe0f}",
        "jane\u{b9}",
    ] {
        let (status, _, field) = make(odd);
        assert_eq!((status, field.as_str()), (400, "login"), "{odd:?}");
        let renamed = root.refused(&format!("users/{zoe}"), &json!({"login": odd}));
        assert_eq!((renamed.0, renamed.2.as_str()), (400, "login"), "{odd:?}");
        let invited = root.refused("users/invite?send=false", &json!({"login": odd, "name": "X"}));
        assert_eq!(invited.0, 400, "{odd:?}");
    }
    // Every spelling opens the one account; what is nobody's opens none.
    for (typed, status) in
        [("zo\u{eb}", 200), ("ZOE\u{308}", 200), ("\u{ff5a}o\u{eb}", 200), ("zo\u{200b}\u{eb}", 401)]
    {
        assert_eq!(sign_in(&registry, typed, PASSWORD), status, "{typed:?}");
    }
    // So it is with groups and services.
    root.done("usergroups", &json!({"name": "Cafe\u{301}"}));
    assert_eq!(root.refused("usergroups", &json!({"name": "caf\u{e9}"})).0, 409);
    assert_eq!(root.refused("usergroups", &json!({"name": "ca\u{200b}fe"})).0, 400);
    root.done("services", &json!({"name": "Cafe\u{301}"}));
    assert_eq!(root.refused("services", &json!({"name": "CAF\u{c9}"})).0, 409);
    assert_eq!(root.refused("services", &json!({"name": "You\u{200b}Track"})).0, 400);
}

#[test]
fn one_entry_of_a_list_is_read_by_its_id() {
    let registry = Registry::start();
    let (root, jane) = (registry.root(), registry.as_user("jane"));
    let id = add(&root, "eve", &json!({}));
    let janes = registry.id_of("jane");
    let group =
        root.done("usergroups?fields=id", &json!({"name": "eves"}))["id"].as_str().unwrap().to_owned();
    root.done(&format!("users/{id}/groups"), &json!({"id": group}));
    let all = root.good("usergroups/root?fields=id")["id"].as_str().unwrap().to_owned();
    for (of, name) in [(&group, "eves"), (&all, "All Users")] {
        assert_eq!(root.good(&format!("users/{id}/transitivegroups/{of}"))["name"], name);
    }
    assert_eq!(jane.good(&format!("users/me/transitivegroups/{all}"))["id"], all.as_str());
    assert_eq!(jane.get(&format!("users/me/transitivegroups/{group}")).status, 404);
    assert_eq!(jane.get(&format!("users/{id}/transitivegroups/{all}")).status, 403);
    // How somebody signs in.
    assert_eq!(jane.good(&format!("users/me/userdetails/{janes}"))["login"], "jane");
    assert_eq!(jane.get(&format!("users/me/userdetails/{id}")).status, 404, "it is another's");
    assert_eq!(jane.get(&format!("users/{id}/userdetails/{id}")).status, 403);
    assert_eq!(jane.delete(&format!("users/me/userdetails/{janes}")).status, 403);
    assert_eq!(root.delete(&format!("users/{id}/userdetails/{janes}")).status, 404);
    assert_eq!(sign_in(&registry, "eve", PASSWORD), 200);
    assert_eq!(root.delete(&format!("users/{id}/userdetails/{id}")).status, 200);
    assert_eq!(sign_in(&registry, "eve", PASSWORD), 401);
    assert_eq!(root.get(&format!("users/{id}/userdetails/{id}")).status, 404);
    // What a service has.
    let read = "jetbrains.jetpass.user-read";
    let permissions = root.good("services/0-0-0-0-0/permissions?fields=permissions(id,key)&$top=-1");
    let permission =
        permissions["permissions"].as_array().unwrap().iter().find(|p| p["key"] == read).unwrap();
    let permission = permission["id"].as_str().unwrap();
    assert_eq!(root.good(&format!("services/0-0-0-0-0/permissions/{permission}"))["key"], read);
    assert_eq!(root.get(&format!("services/app/permissions/{permission}")).status, 404);
    assert_eq!(root.good("services/alpha/resources/%2Fapi?fields=id,key")["key"], "/api");
    assert_eq!(root.get("services/alpha/resources/%2Fadmin").status, 404, "it is beta's");
    assert_eq!(root.good(&format!("services/alpha/viewers/{all}"))["id"], all.as_str());
    assert_eq!(root.get(&format!("services/alpha/viewers/{group}")).status, 404);
    assert_eq!(registry.as_user("jane").get("services/alpha/resources/%2Fapi").status, 403);
}

#[test]
fn lists_are_found_sorted_and_cut() {
    let registry = Registry::start();
    let root = registry.root();
    for (login, name) in [("anna", "Zoe Miller"), ("bert", "Yves Miller"), ("q%", "Percent")] {
        add(
            &root,
            login,
            &json!({"name": name, "email": format!("{}@secret.example", name.split(' ').next().unwrap())}),
        );
    }
    let bert = root.good("users?query=login:bert&fields=id")["users"][0]["id"].as_str().unwrap().to_owned();
    root.done(&format!("users/{bert}"), &json!({"banned": true, "banReason": "left", "banBadge": "away"}));
    let page = root.good("users?$top=2&$skip=1&orderBy=login:desc&fields=login");
    assert_eq!(
        (&page["type"], &page["skip"], &page["top"], &page["total"]),
        (&json!("UsersPage"), &json!(1), &json!(2), &json!(7))
    );
    assert_eq!(logins(&page), ["q%", "joe"]);
    for (query, expected) in [
        ("anna", vec!["anna"]),
        ("login: anna or login: bert", vec!["anna", "bert"]),
        ("nameStartsWith: mil or loginStartsWith: jo", vec!["anna", "bert", "joe"]),
        ("nameStartsWith: {zoe mi}", vec!["anna"]),
        ("mill or mill*", vec!["anna", "bert"]),
        ("is: banned", vec!["admin-none", "bert", "guest"]),
        ("not is: banned and mill*", vec!["anna"]),
        ("Miller Zoe", vec!["anna"]),
        ("secret", vec!["anna", "bert", "q%"]),
        ("email: zoe@SECRET.example", vec!["anna"]),
        ("{q%}", vec!["q%"]),
        ("{%}", vec![]),
        ("{' OR 1=1 --}", vec![]),
        ("id: {no such}", vec![]),
    ] {
        let expected: Vec<&str> = expected.into_iter().filter(|login| *login != "admin-none").collect();
        let encoded = form(&[("query", query)]);
        let found = root.good(&format!("users?{encoded}&fields=login"));
        assert_eq!(logins(&found), expected, "{query}");
    }
    // M3: what is not understood is refused, with the parameter named.
    for (parameters, field) in [
        ("query=nosuch:x", "query"),
        ("query=is:tall", "query"),
        ("query=access(project:x)", "query"),
        ("query=has:wings", "query"),
        ("orderBy=password", "orderBy"),
        ("orderBy=login;drop%20table%20users", "orderBy"),
        ("$top=1000000000", "$top"),
        ("$top=-2", "$top"),
        ("$skip=-1", "$skip"),
        ("$skip=1%20union%20select%201", "$skip"),
        ("fields=a(", "fields"),
    ] {
        let answer = root.get(&format!("users?{parameters}"));
        let (status, _, told) = refusal(&answer);
        assert!(
            (status, told.as_str()) == (400, field) || parameters == "fields=a(",
            "{parameters}: {}",
            answer.text()
        );
    }
    let nested = format!("query={}is:banned", "not%20".repeat(31));
    assert_eq!(refusal(&root.get(&format!("users?{nested}"))).0, 400);
    // Everybody who signs in sees names; addresses are not found by either.
    let jane = registry.as_user("jane");
    let seen = jane.good("users?query=bert&fields=login,banned,banBadge,banReason,profile(email),groups,lastAccessTime,administrator,details");
    assert_eq!(
        seen["users"][0],
        json!({"type": "user", "login": "bert", "banned": true, "banBadge": "away", "profile": {"type": "profile"}})
    );
    assert_eq!(logins(&jane.good("users?query=secret*&fields=login")), Vec::<&str>::new());
    for hidden in [
        "users?query=email:zoe*",
        "users?query=has:email",
        "users?orderBy=email",
        "users?orderBy=lastAccessTime",
    ] {
        assert_eq!(refusal(&jane.get(hidden)).0, 403, "{hidden}");
    }
    assert_eq!(
        jane.good("users/me?fields=profile/email/email")["profile"]["email"]["email"],
        "jane@example.org"
    );
}

/// M2: what one may not do to oneself is refused whole.
#[test]
fn nobody_makes_more_of_themselves() {
    let registry = Registry::start();
    let root = registry.root();
    let group =
        root.done("usergroups?fields=id", &json!({"name": "rulers"}))["id"].as_str().unwrap().to_owned();
    let id = add(&root, "eve", &json!({"email": "eve@example.org"}));
    let eve = registry.as_user("eve");
    let all =
        "fields=login,name,banned,administrator,guest,groups(id),profile(email(email,verified),avatar(url))";
    let before = eve.good(&format!("users/me?{all}"));
    for body in [
        json!({"administrator": true}),
        json!({"name": "Eve", "administrator": true}),
        json!({"login": "root2"}),
        json!({"groups": [{"id": group}]}),
        json!({"banned": true}),
        json!({"profile": {"email": {"email": "root@x.example", "verified": true}}}),
        json!({"details": [{"login": "root2"}]}),
        json!({"password": OTHER_PASSWORD, "oldPassword": PASSWORD, "forceChangePassword": true}),
    ] {
        for path in ["users/me".to_owned(), format!("users/{id}")] {
            assert_eq!(eve.refused(&path, &body).0, 403, "{body}");
        }
    }
    // What no user has, or nobody writes, is passed over.
    let ignored = json!({"admin": true, "trusted": true, "id": "root", "guest": true, "secret": "x", "passwordHash": "x",
                         "creationTime": 1, "eraseTimestamp": 1, "immutable": false, "transitiveGroups": [{"id": group}]});
    eve.done("users/me", &ignored);
    assert_eq!(eve.good(&format!("users/me?{all}")), before);
    // Not by other ways either, nor of others.
    let jane = registry.as_user("jane").good("users/me?fields=id")["id"].as_str().unwrap().to_owned();
    for (path, body) in [
        (format!("users/{jane}"), json!({"name": "Eve was here"})),
        (format!("users/{id}/groups"), json!({"id": group})),
        (format!("usergroups/{group}/users"), json!({"id": id})),
        (format!("userdetails/{jane}"), json!({"password": {"value": OTHER_PASSWORD}})),
        (format!("users/{jane}/userdetails"), json!({"password": {"value": OTHER_PASSWORD}})),
        (format!("users/{id}/data/erase"), json!({})),
        ("users/merge".into(), json!({"users": [{"id": id}, {"id": jane}]})),
        ("users".into(), json!({"login": "puppet"})),
        ("users/invite".into(), json!({"login": "puppet"})),
    ] {
        assert_eq!(eve.refused(&path, &body).0, 403, "{path}");
    }
    assert_eq!(refusal(&eve.delete(&format!("users/{id}"))).0, 403);
    for path in
        [format!("users/{jane}/data"), format!("users/{jane}/groups"), format!("usergroups/{group}/users")]
    {
        assert_eq!(refusal(&eve.get(&path)).0, 403, "{path}");
    }
    // What others see of one is one's own, and a whole object that is sent back changes what differs.
    let mut whole = eve.good("users/me");
    whole["name"] = json!("Eve E.");
    whole["profile"]["avatar"] = json!({"type": "urlavatar", "avatarUrl": "https://a.example/eve.png"});
    eve.done("users/me", &whole);
    let after = eve.good("users/me");
    assert_eq!(after["profile"]["avatar"]["url"], "https://a.example/eve.png");
    assert_eq!((&after["name"], &after["profile"]["email"]["verified"]), (&json!("Eve E."), &json!(true)));
    // A backend is told an address that somebody vouches for, and none that one has given oneself.
    let told = || {
        let call = Request::get("/api/x").bearer(&registry.token("eve", "alpha"));
        assert_eq!(registry.gateway.send(&call).status, 200);
        registry.upstream.take().pop().unwrap().header("x-forwarded-email")
    };
    assert!(told().is_some());
    // Whoever has the address gets the password by a letter: a token alone does not change it, nor take it away.
    for email in [json!({"email": "eve@new.example"}), json!({"email": ""})] {
        assert_eq!(eve.refused("users/me", &json!({"profile": {"email": email}})).0, 403, "{email}");
    }
    let eves = registry.root().good("users?query=login:eve")["users"][0]["id"].as_str().unwrap().to_owned();
    registry.root().done(
        &format!("users/{eves}"),
        &json!({"profile": {"email": {"email": "eve@new.example", "verified": false}}}),
    );
    eve.done("users/me", &json!({"profile": {"email": {"email": "eve@new.example"}, "locale": {"language": "de", "region": "DE"}}}));
    let after = eve.good("users/me?fields=profile(email(verified),locale(name,language,region))");
    assert_eq!(after["profile"]["email"]["verified"], false);
    assert_eq!(told(), None);
    assert_eq!(
        after["profile"]["locale"],
        json!({"type": "locale", "name": "de_DE", "language": "de", "region": "DE"})
    );
    // Who is declared is changed in the file.
    assert_eq!(registry.as_user("jane").refused("users/me", &json!({"name": "Other"})).0, 409);
    registry.as_user("jane").done("users/me", &json!({"name": "Jane"}));
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let registry = Registry::start();
    let root = registry.root();
    let id = add(&root, "eve", &json!({}));
    let eve = registry.as_user("eve");
    let plain = |value: &str, old: Option<&str>| json!({"password": {"type": "PlainpasswordJSON", "value": value, "oldValue": old}});
    assert_eq!(
        eve.refused("users/me", &json!({"password": OTHER_PASSWORD})),
        (400, "Bad Request".into(), "oldValue".into())
    );
    let wrong = json!({"details": [plain(OTHER_PASSWORD, Some("wrong password"))]});
    assert_eq!(eve.refused("users/me", &wrong), (400, "Bad Request".into(), "oldValue".into()));
    // What nobody can judge, because it is a hash, is an administrator's to set.
    let hash = json!({"hashedValue": "$2b$12$EXRkfkdmXn2gzds2SSitu.MW9.gAVqa9eLS1//RYtYCmB1eLHg.9q", "oldValue": PASSWORD});
    assert_eq!(eve.refused("users/me", &json!({"password": hash})).0, 403);
    assert_eq!(sign_in(&registry, "eve", PASSWORD), 200);
    let details = format!("users/{id}/userdetails");
    assert_eq!(eve.good(&details)["userdetails"][0]["login"], "eve");
    eve.done(&details, &plain(OTHER_PASSWORD, Some(PASSWORD)));
    assert_eq!((sign_in(&registry, "eve", PASSWORD), sign_in(&registry, "eve", OTHER_PASSWORD)), (401, 200));
    assert_eq!(eve.get("users/me").status, 401, "the token from before is dead");
    // Guesses are counted as those at the door.
    let eve = Client {
        gateway: &registry.gateway,
        token: Some({
            root.done(&format!("users/{id}"), &json!({"password": PASSWORD}));
            registry.token("eve", "0-0-0-0-0")
        }),
    };
    let guesses: Vec<u16> =
        (0..8).map(|_| eve.refused("users/me", &plain(OTHER_PASSWORD, Some("a wrong guess"))).0).collect();
    assert!(guesses.contains(&503), "{guesses:?}");
    // One for a single sign-in opens nothing here.
    root.done(
        &format!("userdetails/{id}"),
        &json!({"passwordChangeRequired": true, "password": {"value": OTHER_PASSWORD}}),
    );
    assert_eq!(root.good(&format!("userdetails/{id}"))["passwordChangeRequired"], true);
    assert_eq!(root.delete(&format!("userdetails/{id}")).status, 200);
    assert_eq!(refusal(&root.get(&format!("userdetails/{id}"))).0, 404);
    let made = root.done("userdetails", &json!({"user": {"id": id}, "password": {"value": PASSWORD}}));
    assert_eq!((&made["type"], &made["authModuleName"]), (&json!("LoginuserdetailsJSON"), &json!("Hub")));
    let found = root.good("userdetails?query=authMethod:%20Hub%20and%20user:%20eve&fields=id,user(login)");
    assert_eq!((&found["total"], &found["userdetails"][0]["user"]["login"]), (&json!(1), &json!("eve")));
    let core = root.good("authmodules?fields=id,name,type,accountsSize");
    assert_eq!(
        core["authmodules"][0],
        json!({"type": "CoreauthmoduleJSON", "id": "core", "name": "Hub", "accountsSize": 4})
    );
    assert_eq!(refusal(&root.get("authmodules/ldap")).0, 404);
}

#[test]
fn lives_begin_and_end() {
    let registry = Registry::start();
    let root = registry.root();
    let group =
        root.done("usergroups?fields=id", &json!({"name": "writers"}))["id"].as_str().unwrap().to_owned();
    // Invited: signs in once on the login page, and not here before another password is chosen.
    let invited = root.done(&format!("users/invite?email=new@example.org&group={group}"), &json!({}));
    let (id, password) = (invited["id"].as_str().unwrap().to_owned(), invited["password"].as_str().unwrap());
    assert!(
        password.len() > 20 && invited["inviteUrl"].as_str().unwrap().ends_with("/hub/auth/login"),
        "{invited}"
    );
    assert_eq!(sign_in(&registry, "new@example.org", password), 403);
    assert!(!root.get(&format!("users/{id}")).text().contains(password));
    assert_eq!(root.good(&format!("users/{id}/groups"))["groups"][0]["id"], json!(group));
    let transitive = root.good(&format!("users/{id}/transitivegroups?fields=name"));
    let names: Vec<_> =
        transitive["transitivegroups"].as_array().unwrap().iter().map(|g| &g["name"]).collect();
    assert_eq!(names, ["writers", "All Users"]);
    // Shut out and let in.
    let eve_id = add(&root, "eve", &json!({"groups": [{"id": group}]}));
    let eve = registry.as_user("eve");
    assert_eq!(eve.get("users/me").status, 200);
    root.done(&format!("users/{eve_id}"), &json!({"banned": true, "banReason": "spam"}));
    assert_eq!((eve.get("users/me").status, sign_in(&registry, "eve", PASSWORD)), (401, 401));
    root.done(&format!("users/{eve_id}"), &json!({"banned": false}));
    assert_eq!((eve.get("users/me").status, sign_in(&registry, "eve", PASSWORD)), (401, 200));
    let eve = registry.as_user("eve");
    let data = eve.good("users/me/data");
    assert_eq!((&data["user"]["login"], &data["sessions"]), (&json!("eve"), &json!([])));
    assert!(!data.to_string().contains("argon2"), "{data}");
    // One in place of two.
    let twin = add(&root, "twin", &json!({}));
    assert_eq!(root.refused(&format!("users/{twin}/merge"), &json!({"id": twin})).0, 400);
    root.done(&format!("users/{twin}/merge"), &json!({"users": [{"id": eve_id}]}));
    assert_eq!(root.good(&format!("users/{twin}?fields=groups(id)"))["groups"][0]["id"], json!(group));
    assert_eq!((eve.get("users/me").status, root.get(&format!("users/{eve_id}")).status), (401, 404));
    let heir = add(&root, "heir", &json!({}));
    assert_eq!(root.delete(&format!("users/{twin}?successor={heir}")).status, 200);
    assert_eq!(root.good(&format!("usergroups/{group}/users?fields=login&query=login:heir"))["total"], 1);
    // Erased.
    root.done(&format!("users/{heir}/data/erase"), &json!({}));
    let erased = root.good(&format!("users/{heir}?fields=login,name,banned,eraseTimestamp,groups,profile"));
    assert_eq!((&erased["login"], &erased["banned"]), (&json!(format!("erased-{heir}")), &json!(true)));
    assert!(erased["eraseTimestamp"].is_number());
    assert_eq!(root.refused(&format!("users/{heir}"), &json!({"banned": false})).0, 409);
    assert_eq!(root.delete(&format!("users/{heir}")).status, 200);
    assert_eq!(refusal(&root.delete(&format!("users/{heir}"))).0, 404);
    // The last administrator stays, and so does who is declared.
    let declared = registry.id_of("root");
    for body in [json!({"banned": true}), json!({"administrator": false})] {
        assert_eq!(root.refused(&format!("users/{declared}"), &body).0, 409, "{body}");
    }
    for path in [format!("users/{declared}"), format!("users/{declared}?successor={id}")] {
        assert_eq!(refusal(&root.delete(&path)).0, 409, "{path}");
    }
    assert_eq!(root.refused(&format!("users/{declared}/data/erase"), &json!({})).0, 409);
    let guest = root.good("users/guest?fields=id")["id"].as_str().unwrap().to_owned();
    assert_eq!(root.refused(&format!("users/{guest}"), &json!({"administrator": true})).0, 409);
    assert_eq!(refusal(&root.delete(&format!("users/{guest}"))).0, 409);
    root.done(&format!("users/{guest}"), &json!({"banned": false}));
    assert_eq!(root.good("users/guest")["banned"], false);
}
