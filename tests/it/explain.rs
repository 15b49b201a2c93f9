//! `hubgate explain` beside the gate: for every kind of refusal and for what passes, the command says what the gate does,
//! why, and by what.

use hubgate::{
    base::{
        id::TokenId,
        random::SystemRandom,
        time::{Clock as _, SystemClock},
    },
    model::{
        revocation::{Revocation, RevocationTarget},
        user::Ban,
    },
};
use serde_json::{Value, json};

use crate::{
    own_endpoints::{user, with_store},
    support::{
        Gateway, Request, Upstream,
        forge::{self, Key},
        gateway::{PUBLIC_URL, eventually},
        process,
    },
};

const RULES: &str = r#"
[[upstream.rule]]
path = "/ruled/clients/**"
clients = ["beta"]

[[upstream.rule]]
path = "/ruled/users/**"
methods = ["POST", "GET"]
users = ["joe.doe"]

[[upstream.rule]]
path = "/ruled/groups/**"
groups = ["administrators"]

[[upstream.rule]]
path = "/ruled/both/**"
scope = ["beta"]

[[upstream.rule]]
path = "/ruled/ghost/**"
scope = ["ghost"]

[[upstream.rule]]
path = "/ruled/open/**"
access = "public"
"#;

struct House {
    gateway: Gateway,
    upstream: Upstream,
    key: Key,
    header: Value,
    claims: Value,
}

impl House {
    fn start() -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup
                .standard(&upstream)
                .route("alpha", "/ruled", &upstream, RULES)
                .route("ghost", "/ghost", &upstream, "")
                .route("alpha", "/strip", &upstream, "strip_path = true\ncredential = \"none\"");
        });
        with_store(&gateway, async |store| {
            for name in ["jane", "joe"] {
                store.add_user(&user(name)).await.unwrap();
            }
        });
        let (header, claims) = forge::decode(&gateway.machine_token("alpha"));
        let key = gateway.signing_key();
        let house = Self { gateway, upstream, key, header, claims };
        let jane = house.token_of("jane");
        eventually("jane is known", || {
            house.gateway.send(&Request::get("/api/x").bearer(&jane)).status == 200
        });
        house.upstream.take();
        house
    }

    fn signed(&self, change: impl Fn(&mut Value)) -> String {
        let mut claims = self.claims.clone();
        claims["jti"] = json!(TokenId::random(&SystemRandom).to_string());
        change(&mut claims);
        self.key.sign(&self.header.to_string(), &claims.to_string())
    }

    /// A token whose time ended a hundred seconds ago.
    fn expired(&self) -> String {
        let now = SystemClock.now().seconds();
        self.signed(|claims| {
            claims["iat"] = json!(now - 3700);
            claims["exp"] = json!(now - 100);
        })
    }

    /// A token of `machine` that acts for this user.
    fn token_of(&self, id: &str) -> String {
        self.signed(|claims| {
            claims["sub"] = json!(id);
            claims["grant_id"] = json!(format!("grant-of-{id}"));
        })
    }

    /// What the command says, as JSON, its exit status, and everything that it has written as text.
    fn explain(&self, token: Option<&str>, method: &str, url: &str) -> (Value, bool, String) {
        let path = self.gateway.config_path().display().to_string();
        let mut arguments = vec!["explain", "--config", &path];
        if let Some(token) = token {
            arguments.extend(["--token", token]);
        }
        arguments.extend([method, url]);
        let text = process::run(&arguments, self.gateway.folder());
        arguments.push("--json");
        let output = process::run(&arguments, self.gateway.folder());
        assert_eq!(text.status.code(), output.status.code());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        let written = process::written(&text);
        if let Some(token) = token.filter(|token| token.len() > 20) {
            assert!(!process::written(&output).contains(token) && !written.contains(token));
        }
        (serde_json::from_slice(&output.stdout).unwrap(), output.status.success(), written)
    }

    /// That the command says of a request what the gate does with it. Returns the explanation and the text.
    fn agrees(&self, name: &str, token: Option<&str>, method: &str, target: &str) -> (Value, String) {
        let mut request = Request::new(method, target);
        if let Some(token) = token {
            request = match token.split_once(' ') {
                Some(_) => request.header("Authorization", token),
                None => request.bearer(token),
            };
        }
        self.upstream.take();
        let live = self.gateway.send(&request);
        let forwarded = !self.upstream.take().is_empty();
        let (said, passes, text) = self.explain(token, method, target);
        let why = &said["why"];
        if live.status == 200 {
            assert!(forwarded && passes && why.is_null(), "{name}: {said}");
            assert!(text.contains("may pass"), "{name}: {text}");
        } else {
            assert!(!forwarded && !passes, "{name}: {said}");
            assert_eq!(why["status"], live.status, "{name}: {said}");
            assert_eq!(why["error"], live.error(), "{name}: {said}");
            assert_eq!(why["description"], live.json()["error_description"], "{name}: {said}");
            assert!(text.contains(&format!("refused: {} {}", live.status, live.error())), "{name}: {text}");
        }
        (said, text)
    }
}

#[test]
fn the_command_says_what_the_gate_does() {
    let house = House::start();
    let good = house.gateway.machine_token("alpha");
    let jane = house.token_of("jane");
    let expired = house.expired();
    let elsewhere = house.gateway.machine_token("beta");
    let stranger = Key::fresh();
    let other_header = r#"{"alg":"ES256","typ":"at+jwt","kid":"another"}"#;
    let foreign = stranger.sign(other_header, &house.claims.to_string());
    let bent = stranger.sign(&house.header.to_string(), &house.claims.to_string());
    let issuer = house.signed(|claims| claims["iss"] = json!("https://evil.example/hub"));
    let gone = house.signed(|claims| claims["client_id"] = json!("nobody"));
    let userless = house.token_of("nobody");
    let early = house.signed(|claims| claims["nbf"] = json!(SystemClock.now().seconds() + 1000));
    for (name, token, method, target, outcome, cause) in [
        ("a good token", Some(good.as_str()), "GET", "/api/x", "allowed", None),
        ("jane's token", Some(&jane), "GET", "/api/x?q=1", "allowed", None),
        ("open to all", None, "GET", "/public/x", "public", None),
        ("open by a rule", None, "GET", "/ruled/open/x", "public", None),
        ("open to a bad token", Some("garbage"), "GET", "/public/x", "public", None),
        ("a path taken off", Some(&good), "GET", "/strip/a/b", "allowed", None),
        ("a rule for methods", Some(&good), "PUT", "/ruled/users/x", "allowed", None),
        ("no token", None, "GET", "/api/x", "unauthorized", Some("unauthorized")),
        ("another scheme", Some("Basic abc"), "GET", "/api/x", "unauthorized", Some("unauthorized")),
        ("a foreign scheme", Some("Negotiate abc"), "GET", "/api/x", "unauthorized", Some("unauthorized")),
        (
            "a scheme with parameters",
            Some(r#"Digest username="a", realm="b", response="c""#),
            "GET",
            "/api/x",
            "unauthorized",
            Some("unauthorized"),
        ),
        ("the same where all may", Some(r#"Digest a="b", c=d"#), "GET", "/public/x", "public", None),
        (
            "a list of two",
            Some(r#"Digest a="b", Bearer c"#),
            "GET",
            "/public/x",
            "bad_request",
            Some("invalid_request"),
        ),
        ("a malformed header", Some("Bearer a b"), "GET", "/api/x", "bad_request", Some("invalid_request")),
        (
            "the same where all may",
            Some("Bearer a b"),
            "GET",
            "/public/x",
            "bad_request",
            Some("invalid_request"),
        ),
        ("garbage", Some("garbage"), "GET", "/api/x", "unauthorized", Some("token_malformed")),
        ("an expired token", Some(&expired), "GET", "/api/x", "unauthorized", Some("token_expired")),
        ("an early token", Some(&early), "GET", "/api/x", "unauthorized", Some("token_not_yet_valid")),
        ("an unknown key", Some(&foreign), "GET", "/api/x", "unauthorized", Some("token_key_unknown")),
        ("a false signature", Some(&bent), "GET", "/api/x", "unauthorized", Some("token_signature")),
        ("another issuer", Some(&issuer), "GET", "/api/x", "unauthorized", Some("token_of_another_issuer")),
        ("a client that is gone", Some(&gone), "GET", "/api/x", "unauthorized", Some("client_gone")),
        ("a user who is gone", Some(&userless), "GET", "/api/x", "unauthorized", Some("user_gone")),
        (
            "no permanent token",
            Some("perm:amFuZQ==.eA==.abc"),
            "GET",
            "/api/x",
            "unauthorized",
            Some("token_unknown"),
        ),
        ("another service", Some(&elsewhere), "GET", "/api/x", "forbidden", Some("scope_missing")),
        ("a second service", Some(&good), "GET", "/ruled/both/x", "forbidden", Some("scope_missing")),
        ("other clients", Some(&good), "GET", "/ruled/clients/x", "forbidden", Some("rule_client")),
        ("other users", Some(&jane), "GET", "/ruled/users/x", "forbidden", Some("rule_user")),
        ("other groups", Some(&jane), "GET", "/ruled/groups/x", "forbidden", Some("rule_group")),
        ("nobody's service", Some(&good), "GET", "/ghost/x", "unavailable", Some("service_unknown")),
        (
            "a rule's unknown service",
            Some(&good),
            "GET",
            "/ruled/ghost/x",
            "unavailable",
            Some("service_unknown"),
        ),
        ("no route", Some(&good), "GET", "/nowhere", "no_route", Some("not_found")),
        ("an ambiguous path", None, "GET", "/public/%2e%2e/x", "bad_request", Some("invalid_request")),
        (
            "a token in the query",
            None,
            "GET",
            "/api/x?access_token=a",
            "bad_request",
            Some("invalid_request"),
        ),
    ] {
        let (said, text) = house.agrees(name, token, method, target);
        assert_eq!(said["outcome"], outcome, "{name}: {said}");
        assert_eq!(said["why"]["cause"], cause.map_or(Value::Null, Value::from), "{name}: {said}");
        assert!(cause.is_none() || text.contains("to mend it"), "{name}: {text}");
    }
    // What the gateway answers itself is told apart.
    let (said, passes, text) = house.explain(None, "GET", "/hub/api/rest/oauth2/keys");
    assert!(passes && said["outcome"] == "own" && text.contains("itself"), "{text}");
    house.gateway.assert_innocent(&house.upstream, "explanations");
}

/// Every rate that is counted for a request is named, the gateway's too, and wherever it goes.
#[test]
fn it_names_all_rates_that_concern_a_request() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("limits", "requests_per_source", r#""900/s""#)
            .set("limits", "requests_per_service", r#""800/m""#)
            .set("limits", "requests_per_user", r#""700/h""#)
            .route(
                "alpha",
                "/rated",
                &upstream,
                "requests_per_service = \"60/s\"\n[[upstream.rule]]\npath = \"/rated/rule/**\"\nrequests_per_user = \"5/m\"",
            );
    });
    let token = gateway.machine_token("alpha");
    let whole = "900 in 1 s for each source at the gateway as a whole, 800 in 60 s for each service at the gateway as a \
                 whole, 700 in 3600 s for each user at the gateway as a whole";
    let (here, rule) =
        ("60 in 1 s for each service at this upstream", "5 in 60 s for each user under this rule");
    for (path, wanted) in [
        ("/api/x", whole.to_owned()),
        ("/rated/x", format!("{here}, {whole}")),
        ("/rated/rule/x", format!("{rule}, {here}, {whole}")),
    ] {
        let text = gateway.command(&["explain", "--token", &token, "GET", path]);
        assert!(text.contains(&format!("rates         {wanted}\n")), "{path}: {text}");
        let said: Value =
            serde_json::from_str(&gateway.command(&["explain", "--json", "--token", &token, "GET", path]))
                .unwrap();
        assert_eq!(said["rates"].as_array().unwrap().len(), 3);
        assert_eq!(said["rates"][1], json!({"whose": "service", "count": 800, "seconds": 60, "rule": false}));
    }
    let (plain, _upstream) = Gateway::standard();
    let text = plain.command(&["explain", "GET", "/public/x"]);
    assert!(text.contains("rates         none\n"), "{text}");
}

#[test]
fn it_tells_what_is_known_of_the_token() {
    let house = House::start();
    let good = house.gateway.machine_token("alpha beta");
    let (said, _) = house.agrees("good", Some(&good), "GET", "/ruled/both/x");
    assert_eq!(said["token"]["client"], json!({"id": "machine", "name": "machine by name"}));
    assert_eq!(
        (&said["token"]["subject"]["service"], &said["token"]["verified"]),
        (&json!(true), &json!(true))
    );
    let needed: Vec<_> = said["scope"]["needed"].as_array().unwrap().iter().map(|n| &n["service"]).collect();
    assert_eq!(needed, ["alpha", "beta"]);
    assert_eq!(said["route"]["rule"]["number"], 4);
    let narrow = house.gateway.machine_token("alpha");
    let (said, text) = house.agrees("narrow", Some(&narrow), "GET", "/ruled/both/x");
    assert_eq!(said["scope"]["asked"], json!([{"entry": "alpha", "service": "alpha", "granted": true}]));
    let covered: Vec<_> = said["scope"]["needed"].as_array().unwrap().iter().map(|n| &n["covered"]).collect();
    assert_eq!(covered, [true, false]);
    assert!(text.contains("beta (beta by name): missing"), "{text}");
    // Jane, with a name that a terminal would obey.
    with_store(&house.gateway, async |store| {
        let change = |user: &mut hubgate::model::user::User| user.name = "Jane\u{1b}[31m Doe".into();
        store.change_user(&user("jane").id, &change, None).await.unwrap();
    });
    let (said, passes, text) = house.explain(Some(&house.token_of("jane")), "GET", "/api/x");
    assert!(passes && said["token"]["subject"]["login"] == "jane.doe", "{said}");
    assert!(!text.contains('\u{1b}') && text.contains("jane.doe"), "{text}");
    // One that is over: still whose it was and until when.
    let expired = house.expired();
    let (said, text) = house.agrees("expired", Some(&expired), "GET", "/api/x");
    assert_eq!(
        (&said["token"]["verified"], &said["token"]["client"]["id"]),
        (&json!(true), &json!("machine"))
    );
    assert!((-200..=-100).contains(&said["token"]["seconds_left"].as_i64().unwrap()), "{said}");
    assert!(text.contains("s ago)"), "{text}");
    // One of another server: what it says, and that nobody vouches for it.
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"theirs\u001b"}"#;
    let foreign =
        Key::fresh().sign(header, r#"{"iss":"https://other\u001b/","sub":"eve","exp":1,"aud":"x"}"#);
    let (said, text) = house.agrees("foreign", Some(&foreign), "GET", "/api/x");
    assert_eq!((&said["token"]["verified"], &said["token"]["subject"]["id"]), (&json!(false), &json!("eve")));
    assert!(text.contains("says of itself") && !text.contains('\u{1b}'), "{text}");
    assert!(!said.to_string().contains("\\u001b"), "{said}");
}

#[test]
fn it_tells_what_has_ended_a_token() {
    let house = House::start();
    let revoke = |target: RevocationTarget| {
        with_store(&house.gateway, async |store| {
            store.revoke(&Revocation::at(SystemClock.now(), target)).await.unwrap();
        });
    };
    let of = |user: &str, session: Option<&str>| {
        let issued = SystemClock.now().seconds();
        house.signed(|claims| {
            claims["sub"] = json!(user);
            claims["grant_id"] = json!(format!("grant-of-{user}"));
            claims["iat"] = json!(issued);
            if let Some(session) = session {
                claims["sid"] = json!(session);
            }
        })
    };
    let single = of("jane", None);
    let id = forge::decode(&single).1["jti"].as_str().unwrap().to_owned();
    let in_session = of("jane", Some("a-session"));
    let check = |token: &str, by: &str| {
        eventually(by, || house.gateway.send(&Request::get("/api/x").bearer(token)).status == 401);
        let (said, text) = house.agrees(by, Some(token), "GET", "/api/x");
        assert_eq!(
            (&said["why"]["cause"], &said["token"]["ended_by"]),
            (&json!("token_revoked"), &json!(by))
        );
        assert!(text.contains("ended by"), "{text}");
    };
    let (joes, machines) = (of("joe", None), house.gateway.machine_token("alpha"));
    revoke(RevocationTarget::Token(TokenId::parse(&id).unwrap()));
    check(&single, "token");
    revoke(RevocationTarget::Session("a-session".to_owned().try_into().unwrap()));
    check(&in_session, "session");
    let consented = of("jane", None);
    revoke(RevocationTarget::Consent(user("jane").id, "machine".to_owned().try_into().unwrap()));
    check(&consented, "consent");
    revoke(RevocationTarget::Grant("grant-of-jane".to_owned().try_into().unwrap()));
    check(&consented, "grant");
    revoke(RevocationTarget::User(user("joe").id));
    check(&joes, "user");
    revoke(RevocationTarget::Client("machine".to_owned().try_into().unwrap()));
    check(&machines, "client");
    // A ban is told as what it is.
    with_store(&house.gateway, async |store| {
        let ban = Ban { reason: String::new(), since: SystemClock.now(), badge: String::new() };
        store.change_user(&user("joe").id, &|user| user.ban = Some(ban.clone()), None).await.unwrap();
    });
    let banned = house.signed(|claims| {
        claims["sub"] = json!("joe");
        claims["grant_id"] = json!("another");
        claims["iat"] = json!(SystemClock.now().seconds() + 2);
    });
    eventually("joe is banned", || {
        house.gateway.send(&Request::get("/api/x").bearer(&banned)).text().contains("banned")
    });
    let (said, _) = house.agrees("banned", Some(&banned), "GET", "/api/x");
    assert_eq!(said["why"]["cause"], "user_banned");
}

#[test]
fn what_people_make_for_programs_is_explained_too() {
    let house = House::start();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&house.gateway.command(&[arguments, &["--json"]].concat())).unwrap()
    };
    let made = json(&["token", "create", "--user", "jane.doe", "--name", "my CI", "--scope", "alpha"]);
    let token = made["token"].as_str().unwrap();
    eventually("it is known", || house.gateway.send(&Request::get("/api/x").bearer(token)).status == 200);
    let (said, text) = house.agrees("permanent", Some(token), "GET", "/api/x");
    assert_eq!((&said["token"]["kind"], &said["token"]["id"]), (&json!("permanent_token"), &made["id"]));
    assert!(said["token"]["expires"].is_null() && text.contains("never"), "{text}");
    let (said, _) = house.agrees("permanent", Some(token), "GET", "/admin/x");
    assert_eq!(said["why"]["cause"], "scope_missing");
    // Asking is not using, and one that is gone still tells whose it was meant to be.
    let gone = format!("{}A", &token[..token.len() - 1]);
    if gone != token {
        let (said, _) = house.agrees("gone", Some(&gone), "GET", "/api/x");
        assert_eq!(
            (&said["token"]["subject"]["login"], &said["token"]["good"]),
            (&json!("jane.doe"), &json!(false))
        );
    }
    let made = json(&["user", "app-password", "add", "jane.doe", "--name", "git"]);
    let password = made["password"].as_str().unwrap();
    for (login, outcome) in [("jane.doe", "allowed"), ("joe.doe", "unauthorized")] {
        let (said, _, text) = house.explain(Some(&format!("{login}:{password}")), "GET", "/api/x");
        assert_eq!(
            (&said["outcome"], &said["token"]["kind"]),
            (&json!(outcome), &json!("application_password"))
        );
        assert!(!text.contains(password), "{text}");
    }
}

#[test]
fn it_reads_addresses_and_tokens_as_people_have_them() {
    let house = House::start();
    let good = house.gateway.machine_token("alpha");
    let path = house.gateway.config_path().display().to_string();
    let url = format!("{PUBLIC_URL}/api/x#part");
    let arguments = ["explain", "--config", &path, "--token", "-", "GET", &url];
    let piped = process::run_with_input(&arguments, house.gateway.folder(), &format!("Bearer {good}\n"));
    assert!(piped.status.success(), "{}", process::written(&piped));
    for arguments in [&["GET", "ftp://x/"][..], &["G T", "/x"], &["GET"], &["--token", "a\nb", "GET", "/x"]] {
        let arguments = [&["explain", "--config", &path], arguments].concat();
        let output = process::run(&arguments, house.gateway.folder());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", process::written(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

/// Where a request goes is said as the gate sends it there: the target is made by the same functions.
#[test]
fn it_names_the_very_address_to_which_a_request_leads() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .open("/plain", &upstream, "")
            .open("/strip", &upstream, "strip_path = true")
            .open("/prepend", &upstream, "prepend_path = \"/pp\"")
            .open("/both", &upstream, "strip_path = true\nprepend_path = \"/pp\"");
    });
    let redirect = |path: &str, to: &str, access: &str| {
        format!(
            "\n[[upstream]]\nservice = \"alpha\"\npath = \"{path}\"\nredirect = \"{to}\"\n[[upstream.rule]]\n\
             path = \"{path}/**\"\naccess = \"{access}\"\n"
        )
    };
    let more = [
        redirect("/old", "https://new.example/yt", "public"),
        redirect("/inside", "/plain", "public"),
        redirect("/closed", "https://new.example", "token"),
    ];
    gateway.reload(&format!("{}{}", gateway.config_text(), more.concat())).unwrap();
    let said = |target: &str| {
        let path = gateway.config_path().display().to_string();
        let run = |json: &[&str]| {
            let arguments = [&["explain", "--config", &path], json, &["GET", target]].concat();
            process::run(&arguments, gateway.folder())
        };
        let json: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
        (json["route"].clone(), process::written(&run(&[])))
    };
    for route in ["/plain", "/strip", "/prepend", "/both"] {
        for rest in ["", "/", "/x", "/x/y/?q=/a&b", "?q", "/%61%C3%A4"] {
            let target = format!("{route}{rest}");
            upstream.take();
            assert_eq!(gateway.send(&Request::get(&target)).status, 200, "{target}");
            let head = String::from_utf8(upstream.take().remove(0).head).unwrap();
            let live = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
            let (facts, text) = said(&target);
            assert_eq!(
                (&facts["forwarded_path"], &facts["redirect"]),
                (&json!(live), &Value::Null),
                "{target}"
            );
            let wanted = format!("{route} to {} as {live}\n", upstream.origin());
            assert!(text.contains(&wanted), "{target}: {text}");
        }
    }
    upstream.take();
    for target in
        ["/old", "/old/", "/old/x/y?a=b", "/old?a=b", "/old//evil.example", "/inside", "/inside/x/?q"]
    {
        let answer = gateway.send(&Request::get(target));
        let Some(live) = answer.header("location") else {
            // A path that is refused is refused by both.
            assert_eq!((answer.status, said(target).0), (400, Value::Null), "{target}");
            continue;
        };
        let (facts, text) = said(target);
        assert_eq!(facts["redirect"], json!({"status": answer.status, "location": live}), "{target}");
        assert_eq!((&facts["forwarded_path"], &facts["targets"]), (&Value::Null, &json!([])), "{target}");
        let wanted = format!("is redirected to {live} ({})\n", answer.status);
        assert!(text.contains(&wanted) && !text.contains("upstream gets"), "{target}: {text}");
    }
    // Who may not ask is not sent anywhere, and is told where it would have been.
    let answer = gateway.send(&Request::get("/closed/x"));
    assert_eq!((answer.status, answer.header("location")), (401, None));
    let (_, text) = said("/closed/x");
    assert!(text.contains("/closed would be redirected to https://new.example/x (307)\n"), "{text}");
    assert!(upstream.take().is_empty());
}

/// Each refusal is counted once under its cause, and what passes is not.
#[test]
fn refusals_are_counted_by_their_cause() {
    let house = House::start();
    let good = house.gateway.machine_token("alpha");
    for (target, token, times) in
        [("/api/x", None, 2), ("/admin/x", Some(&good), 3), ("/nowhere", None, 1), ("/api/x", Some(&good), 4)]
    {
        for _ in 0..times {
            let request = Request::get(target);
            house.gateway.send(&token.map_or(request.clone(), |token| request.bearer(token)));
        }
    }
    let form = Request::form(crate::support::gateway::TOKEN, "grant_type=nonsense");
    assert_eq!(house.gateway.send(&form).status, 400);
    let (_, text) = house.gateway.management("/metrics");
    let mut counted: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("hubgate_refusals_total")).collect();
    // While the house was waited for.
    counted.retain(|line| !line.contains("user_gone"));
    counted.sort_unstable();
    assert_eq!(
        counted,
        [
            "{cause=\"not_found\"} 1",
            "{cause=\"scope_missing\"} 3",
            "{cause=\"unauthorized\"} 2",
            "{cause=\"unsupported_grant_type\"} 1",
        ]
    );
}

/// What is in a folder, with what is below it.
fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let entry = entry.unwrap();
            let below = if entry.file_type().unwrap().is_dir() { names(&entry.path()) } else { Vec::new() };
            let name = entry.file_name().to_string_lossy().into_owned();
            below.into_iter().map(|one| format!("{name}/{one}")).chain([name.clone()]).collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    names
}

/// A folder that nothing has been started in is judged by the file, and stays as it is. That something could not be told has an
/// exit status of its own.
#[test]
fn a_folder_that_was_never_started_is_judged_by_its_file() {
    let (config, folder) = Gateway::prepare(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .route_to(
                "alpha",
                "/api",
                &["http://127.0.0.1:1".to_owned()],
                "[[upstream.rule]]\npath = \"/api/open/**\"\naccess = \"public\"",
            )
            .route_to("elsewhere", "/other", &["http://127.0.0.1:1".to_owned()], "");
    });
    let path = config.display().to_string();
    let run = |arguments: &[&str]| {
        let output = process::run(&[arguments, &["--config", &path]].concat(), folder.path());
        (output.status.code().unwrap(), output)
    };
    let before = names(folder.path());
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"of-another-gateway"}"#;
    let claims = format!(
        r#"{{"iss":"{PUBLIC_URL}/hub","sub":"alpha","aud":["alpha"],"client_id":"alpha","scope":"alpha","iat":1,"exp":9999999999,"jti":"j"}}"#
    );
    let token = Key::fresh().sign(header, &claims);
    for (token, path, status, outcome, cause) in [
        (None, "/api/open/x", 0, "public", None),
        (None, "/api/x", 1, "unauthorized", Some("unauthorized")),
        (Some(token.as_str()), "/api/x", 1, "unauthorized", Some("token_key_unknown")),
        (Some("perm:amFuZQ==.eA==.abc"), "/api/x", 1, "unauthorized", Some("token_unknown")),
        // It may be registered where the file will be used.
        (None, "/other/x", 1, "unauthorized", Some("unauthorized")),
        (None, "/nowhere", 1, "no_route", Some("not_found")),
    ] {
        let with = token.map_or(vec![], |token| vec!["--token", token]);
        let (code, output) = run(&[&["explain", "--json", "GET", path], &with[..]].concat());
        assert_eq!(code, status, "{path}: {}", process::written(&output));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["outcome"], outcome, "{path}: {said}");
        assert_eq!(said["why"]["cause"], cause.map_or(Value::Null, Value::from), "{path}: {said}");
        let remark = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(remark.contains("There is no store yet"), "{path}: {remark}");
    }
    let (code, output) = run(&["token", "inspect", &token]);
    assert_eq!(code, 1, "{}", process::written(&output));
    assert!(process::written(&output).contains("not good: "), "{}", process::written(&output));
    let (code, output) = run(&["token", "list", "--user", "jane"]);
    assert_eq!(code, 1, "{}", process::written(&output));
    assert!(process::written(&output).contains("there is no store yet"), "{}", process::written(&output));
    // What is typed wrong is no judgement, and neither is what cannot be read.
    for wrong in [
        &["explain", "GET", "ftp://gateway.example/x"][..],
        &["explain", "G T", "/x"],
        &["explain", "--token", "a\u{7f}", "GET", "/x"],
        &["explain", "GET"],
    ] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(names(folder.path()), before, "nothing is made");
    let whole = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, "public_url = 1").unwrap();
    assert_eq!(run(&["explain", "GET", "/api/x"]).0, 3);
    assert_eq!(run(&["token", "inspect", &token]).0, 3);
    std::fs::write(&config, whole).unwrap();
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/hubgate.db"), "no database").unwrap();
    for command in [&["explain", "GET", "/api/open/x"][..], &["token", "inspect", &token]] {
        let (code, output) = run(command);
        assert_eq!(code, 3, "{}", process::written(&output));
        assert!(process::written(&output).contains("not a database"), "{}", process::written(&output));
    }
}

/// A store that has no keys yet is judged by as it is; one whose keys cannot be opened tells nothing, and no other key is made for it.
#[test]
fn keys_are_looked_for_and_not_made() {
    let (config, folder) = Gateway::prepare(|setup| {
        setup.service("alpha", "alpha-secret-0123456789").route_to(
            "alpha",
            "/api",
            &["http://127.0.0.1:1".to_owned()],
            "",
        );
    });
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let key = folder.path().join("data/hubgate.key");
    let path = config.display().to_string();
    let run = |arguments: &[&str], status: i32| {
        let output = process::run(&[arguments, &["--config", &path]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", process::written(&output));
        process::written(&output)
    };
    run(&["user", "list"], 0);
    assert!(run(&["explain", "GET", "/api/x"], 1).contains("refused: 401"));
    assert!(run(&["token", "inspect", "a.b.c"], 1).contains("not good"));
    assert!(!key.exists());
    run(&["key", "rotate"], 0);
    assert!(run(&["explain", "GET", "/api/x"], 1).contains("refused: 401"));
    std::fs::remove_file(&key).unwrap();
    for command in [&["explain", "GET", "/api/x"][..], &["token", "inspect", "a.b.c"]] {
        assert!(run(command, 3).contains("hubgate.key"));
        assert!(!key.exists());
    }
}

/// What a changed file declares counts before it is in force, beside what the store has.
#[test]
fn a_file_that_is_not_yet_in_force_is_explained_by_its_own_services() {
    let (gateway, upstream) = Gateway::standard();
    gateway.register("by-hand");
    let route = |service: &str| {
        format!("\n[[upstream]]\nservice = {service:?}\npath = \"/next\"\nto = [{:?}]\n", upstream.origin())
    };
    let token = gateway.machine_token("alpha by-hand");
    let next = gateway.folder().join("next.toml");
    let explain = |text: String| {
        std::fs::write(&next, text).unwrap();
        let arguments =
            ["explain", "--json", "--config", next.to_str().unwrap(), "--token", &token, "GET", "/next/x"];
        let output = process::run(&arguments, gateway.folder());
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", process::written(&output)));
        said["why"]["cause"].clone()
    };
    let now = gateway.config_text();
    let declared = "\n[[service]]\nid = \"newcomer\"\nname = \"Newcomer\"\npublic = true\n";
    assert_eq!(explain(format!("{now}{}", route("newcomer"))), "service_unknown");
    assert_eq!(explain(format!("{now}{declared}{}", route("Newcomer"))), "scope_missing");
    assert_eq!(explain(format!("{now}{declared}{}", route("by-hand"))), Value::Null);
}
