//! `access = "browser"`: a session of the gateway in place of a token.

use std::{
    thread,
    time::{Duration, Instant},
};

use hubgate::base::id::UserId;

use crate::{
    own_endpoints::with_store,
    support::{
        Answer, Gateway, RawClient, Reply, Request, Setup, Upstream,
        browser::{Browser, own},
        forge,
        gateway::{OBEYED, PUBLIC_URL, eventually},
    },
};

const PASSWORD: &str = "correct horse battery";
const LOGOUT: &str = "/hub/api/rest/oauth2/logout";
const RULES: &str = r#"
[[upstream.rule]]
path = "/app/developers/**"
access = "browser"
groups = ["developers"]

[[upstream.rule]]
path = "/app/token/**"

[[upstream.rule]]
path = "/app/**"
access = "browser"
"#;

fn start(configure: impl FnOnce(&mut Setup)) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .route("alpha", "/app", &upstream, RULES)
            .user("jane", &format!("password = {PASSWORD:?}\ngroups = [\"developers\"]"))
            .user("john", &format!("password = {PASSWORD:?}"))
            .user("boss", "administrator = true");
        configure(setup);
    });
    (gateway, upstream)
}

/// As a browser asks that goes to an address.
fn navigation(target: &str) -> Request {
    Request::get(target)
        .header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document")
        .header("Sec-Fetch-Site", "none")
}

/// Whoever types the name of a host where nothing is comes to the gateway's pages, and programs are told that nothing is there.
#[test]
fn a_person_at_the_bare_address_is_led_to_the_pages() {
    let (gateway, upstream) = start(|_| {});
    for target in ["/", "/?x=1"] {
        let answer = gateway.send(&navigation(target));
        assert_eq!(answer.status, 303, "{target}");
        assert_eq!(answer.header("location"), Some(format!("{PUBLIC_URL}/hub/").as_str()), "{target}");
    }
    let old = Request::get("/").header("Accept", "text/html,*/*;q=0.8");
    assert_eq!(gateway.send(&old).status, 303, "a browser that says nothing of what it does");
    assert!(own(&Browser::new(&gateway).get("/hub/")).starts_with("/hub/auth/login"));
    let mut jane = signed_in(&gateway, "jane");
    assert_eq!(jane.get("/hub/").status, 200);
    let page = |request: Request| request.header("Accept", "text/html");
    for (name, request) in [
        ("a program", Request::get("/")),
        ("a program that wants JSON", Request::get("/").header("Accept", "application/json")),
        ("a post", page(Request::new("POST", "/").header("Sec-Fetch-Mode", "navigate"))),
        (
            "a fetch",
            page(Request::get("/").header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty")),
        ),
        (
            "a frame",
            page(Request::get("/").header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "iframe")),
        ),
        ("another address", navigation("/nowhere")),
    ] {
        let answer = gateway.send(&request);
        assert_eq!((answer.status, answer.header("location")), (404, None), "{name}");
    }
    let json = gateway.send(&Request::get("/").header("Accept", "application/json"));
    assert_eq!(json.error(), "not_found");
    assert!(upstream.take().is_empty());
    // A route for it is the way.
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.service("alpha", "alpha-secret-0123456789").open("/", &upstream, "");
    });
    assert_eq!(gateway.send(&navigation("/")).status, 200);
    assert_eq!(upstream.take().len(), 1);
    // With the pages at the root it is their account, which is no upstream's.
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("hub", "path", "\"\"");
    });
    let answer = gateway.send(&navigation("/"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(format!("{PUBLIC_URL}/account").as_str()))
    );
    assert_eq!(gateway.send(&navigation("/account")).status, 303, "to the login page");
}

fn signed_in<'g>(gateway: &'g Gateway, login: &str) -> Browser<'g> {
    let mut browser = Browser::new(gateway);
    let answer = browser.log_in("", login, PASSWORD);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(browser.cookie.is_some());
    browser
}

fn handshake(target: &str, cookie: &str, origin: &str) -> Request {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Origin", origin)
        .header("Cookie", cookie)
}

/// Fails unless this comes in time.
fn within_a_second(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + OBEYED;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_person_goes_to_the_login_page_and_back() {
    let (gateway, upstream) = start(|_| {});
    let mut browser = Browser::new(&gateway);
    let answer = browser.send(navigation("/app/page?x=1&y=%20z"));
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let to_login = own(&answer);
    assert_eq!(to_login, "/hub/auth/login?back=%2Fapp%2Fpage%3Fx%3D1%26y%3D%2520z");
    assert!(upstream.take().is_empty());
    let page = browser.get(&to_login);
    assert_eq!(page.status, 200);
    let answer = browser.log_in(to_login.split_once('?').unwrap().1, "jane", PASSWORD);
    assert_eq!((answer.status, own(&answer).as_str()), (303, "/app/page?x=1&y=%20z"), "{}", answer.text());
    let answer = browser.send(navigation(&own(&answer)).header("Cookie", "theirs=1"));
    assert_eq!(answer.status, 200);
    let seen = upstream.take();
    assert_eq!((seen.len(), seen[0].target().as_str()), (1, "/app/page?x=1&y=%20z"));
    let jane = gateway.command(&["user", "show", "jane", "--json"]);
    let jane: serde_json::Value = serde_json::from_str(&jane).unwrap();
    for (name, value) in [
        ("x-forwarded-user", jane["id"].as_str().unwrap()),
        ("x-forwarded-preferred-username", "jane"),
        ("x-forwarded-groups", "developers"),
        ("x-forwarded-client", "0-0-0-0-0"),
        ("x-forwarded-scope", "alpha"),
        ("cookie", "theirs=1"),
    ] {
        assert_eq!(seen[0].header(name).as_deref(), Some(value), "{name}");
    }
    let token = seen[0].header("authorization").unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let (_, claims) = forge::decode(token);
    assert_eq!(claims["aud"], serde_json::json!(["alpha"]));
    assert_eq!(claims["sub"], jane["id"]);
    assert_eq!(claims["scope"], "alpha");
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(token)).status, 200, "as for a token of alpha");
    assert_eq!(gateway.send(&Request::get("/admin/x").bearer(token)).status, 403, "and for nothing else");
    for decision in ["decision=login", "decision=allowed"] {
        eventually(decision, || {
            gateway.lines().lines().any(|line| line.contains(decision) && line.contains("route=/app"))
        });
    }
    let lines = gateway.lines();
    let cookie = browser.cookie.unwrap();
    assert!(!lines.contains(cookie.split_once('=').unwrap().1), "the cookie is in no line");
}

/// Only a person on the way to a page is led away.
#[test]
fn the_way_back_keeps_a_query_as_browsers_send_it() {
    let (gateway, _upstream) = start(|_| {});
    let longest = format!("/app/x?{}", "a".repeat(4096 - 7));
    for (target, back) in [
        // A backslash of a query stays one, in the spelling that no browser reads as a slash.
        (r"/app/x?q=a\b&c=\\evil.example", "/app/x?q=a%5Cb&c=%5C%5Cevil.example"),
        ("/app/x?q=`{}|^[]'", "/app/x?q=`{}|^[]'"),
        (longest.as_str(), longest.as_str()),
        // Further than that nobody is led back.
        (&format!("{longest}a"), "/hub/"),
        (&format!("{}\\", &longest[..4095]), "/hub/"),
    ] {
        let mut browser = Browser::new(&gateway);
        let mut client = gateway.raw();
        client.send(navigation(target).bytes());
        let answer = client.answer_to("GET").unwrap();
        assert_eq!(answer.status, 302, "{target}");
        let to_login = own(&answer);
        let query = to_login.split_once('?').map_or("", |(_, query)| query);
        let answer = browser.log_in(query, "jane", PASSWORD);
        assert_eq!((answer.status, own(&answer).as_str()), (303, back), "{target}");
    }
    // A backslash of a path is refused by the gate, and whoever writes one into the way back himself is not led there.
    assert_eq!(gateway.send(&navigation(r"/app\x")).status, 400);
    for back in ["%2F%5Cevil.example", "%2Fapp%3Fq%3D%5Cb", "%5C%5Cevil.example"] {
        let answer = Browser::new(&gateway).log_in(&format!("back={back}"), "jane", PASSWORD);
        assert_eq!((answer.status, own(&answer).as_str()), (303, "/hub/"), "{back}");
    }
}

#[test]
fn programs_and_pages_are_answered_401() {
    let (gateway, upstream) = start(|_| {});
    let json = Request::get("/app/api").header("Accept", "application/json");
    for (name, request) in [
        ("nothing said", Request::get("/app/api")),
        ("JSON", json),
        ("a fetch", navigation("/app/api").header("X", "y")),
        ("a frame", navigation("/app/api")),
        ("a form", {
            let mut request = navigation("/app/api").body("x=1");
            request.method = "POST".into();
            request
        }),
        ("what needs a token", navigation("/app/token/x")),
        ("a cookie that is none", navigation("/app/token/x").header("Cookie", "__Host-hubgate=x")),
    ] {
        let mut request = request;
        let mut replace = |field: &str, value: &str| {
            request.headers.retain(|(known, _)| known != field);
            request.headers.push((field.to_owned(), value.to_owned()));
        };
        match name {
            "a fetch" => replace("Sec-Fetch-Mode", "cors"),
            "a frame" => replace("Sec-Fetch-Dest", "iframe"),
            _ => {}
        }
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.header("location").is_none(), "{name}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer realm="), "{name}");
        assert!(upstream.take().is_empty(), "{name}");
    }
    assert_eq!(gateway.send(&Request::get("/app/api")).error(), "unauthorized");
}

#[test]
fn cookies_that_are_no_session_open_nothing() {
    let (gateway, upstream) = start(|_| {});
    let browser = signed_in(&gateway, "jane");
    let cookie = browser.cookie.clone().unwrap();
    let value = cookie.split_once('=').unwrap().1;
    let other = format!("{}A", &value[..value.len() - 1]);
    let other = if other == value { format!("{}B", &value[..value.len() - 1]) } else { other };
    let long = "a".repeat(5000);
    for cookies in [
        format!("__Host-hubgate={other}"),
        format!("__Host-hubgate={value}x"),
        "__Host-hubgate=".to_owned(),
        format!("__Host-hubgate={value}; __Host-hubgate={other}"),
        format!("__host-hubgate={value}"),
        format!("hubgate={value}"),
        format!("__Host-hubgate={long}"),
        format!("__Host-hubgate=\"{value}\""),
    ] {
        let answer = gateway.send(&Request::get("/app/x").header("Cookie", &cookies));
        assert_eq!(answer.status, 401, "{cookies}");
        let answer = gateway.send(&navigation("/app/x").header("Cookie", &cookies));
        assert_eq!(answer.status, 302, "{cookies}");
        assert!(upstream.take().is_empty(), "{cookies}");
    }
    // A session is for addresses that say so.
    for path in ["/app/token/x", "/api/x", "/admin/x"] {
        let answer = gateway.send(&Request::get(path).header("Cookie", &cookie));
        assert_eq!(answer.status, 401, "{path}");
        assert!(upstream.take().is_empty(), "{path}");
    }
    assert_eq!(gateway.send(&Request::get("/app/x").header("Cookie", &cookie)).status, 200);
}

/// What changes something counts only from a page of ours; so does a WebSocket (cross-site hijacking).
#[test]
fn pages_of_other_sites_change_nothing() {
    let (gateway, upstream) = start(|_| {});
    let mut browser = signed_in(&gateway, "jane");
    let fields = |fields: &[(&str, &str)], method: &str| {
        let request = Request::new(method, "/app/change").body("x");
        fields.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    for (name, said, status) in [
        ("nothing, as a program", &[][..], 200),
        ("ours", &[("Sec-Fetch-Site", "same-origin"), ("Origin", PUBLIC_URL)], 200),
        ("ours, in an older browser", &[("Origin", PUBLIC_URL)], 200),
        ("another site", &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")], 403),
        ("another site that hides", &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")], 403),
        (
            "a neighbour",
            &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://b.gateway.example:8443")],
            403,
        ),
        ("another in an older browser", &[("Origin", "https://evil.example")], 403),
        ("null in an older browser", &[("Origin", "null")], 403),
        ("another port", &[("Origin", "https://gateway.example")], 403),
        ("two answers", &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")], 403),
    ] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let answer = browser.send(fields(said, method));
            assert_eq!(answer.status, status, "{method} by {name}");
            assert_eq!(upstream.take().len(), usize::from(status == 200), "{method} by {name}");
        }
    }
    // A link from elsewhere may be followed.
    let mut link = navigation("/app/page");
    link.headers.retain(|(name, _)| name != "Sec-Fetch-Site");
    assert_eq!(browser.send(link.header("Sec-Fetch-Site", "cross-site")).status, 200);
    upstream.take();
    upstream.reply(Reply::Switch(vec![]));
    let cookie = browser.cookie.clone().unwrap();
    for origin in ["https://evil.example", "null", "https://b.gateway.example:8443"] {
        assert_eq!(gateway.send(&handshake("/app/ws", &cookie, origin)).status, 403, "{origin}");
        assert!(upstream.take().is_empty(), "{origin}");
    }
    assert_eq!(gateway.send(&handshake("/app/ws", "a=b", PUBLIC_URL)).status, 401);
    let mut client = gateway.raw();
    client.send(handshake("/app/ws", &cookie, PUBLIC_URL).bytes());
    assert_eq!(client.head(Instant::now() + Duration::from_secs(10)).unwrap().status, 101);
}

#[test]
fn tokens_and_rules_count_as_everywhere() {
    let (gateway, upstream) = start(|_| {});
    let token = gateway.machine_token("alpha");
    assert_eq!(gateway.send(&Request::get("/app/x").bearer(&token)).status, 200);
    // No page can make a browser send one.
    let post = Request::form("/app/x", "a=b").bearer(&token).header("Origin", "https://evil.example");
    assert_eq!(gateway.send(&post).status, 200);
    assert_eq!(gateway.send(&Request::get("/app/x").bearer(&gateway.machine_token("beta"))).status, 403);
    upstream.take();
    let (mut jane, mut john) = (signed_in(&gateway, "jane"), signed_in(&gateway, "john"));
    assert_eq!(jane.get("/app/developers/x").status, 200);
    assert_eq!(john.get("/app/x").status, 200);
    upstream.take();
    assert_eq!(john.get("/app/developers/x").status, 403, "a session is not enough for the rule");
    assert_eq!(jane.send(Request::get("/app/x").bearer("wrong")).status, 401, "a bad token is not made good");
    assert_eq!(jane.send(Request::get("/app/x").header("Authorization", "Bearer a b")).status, 400);
    assert!(upstream.take().is_empty());
}

/// Logging out, being banned and a new password end a session everywhere, with what it has opened.
#[test]
fn a_session_that_ends_opens_nothing_from_then_on() {
    let (gateway, upstream) = start(|_| {});
    let open = |browser: &Browser<'_>| -> RawClient {
        upstream.reply(Reply::Switch(vec![]));
        let mut client = gateway.raw();
        client.send(handshake("/app/ws", browser.cookie.as_ref().unwrap(), PUBLIC_URL).bytes());
        assert_eq!(client.head(Instant::now() + Duration::from_secs(10)).unwrap().status, 101);
        upstream.script(|_| Reply::Describe);
        client
    };
    let closed = |what: &str, client: &mut RawClient| {
        let said = client.rest(OBEYED);
        assert_eq!((said[0], &said[2..4]), (0x88, &[0x03, 0xf0][..]), "{what}: {said:?}");
    };
    let mut browser = signed_in(&gateway, "jane");
    let mut other = signed_in(&gateway, "jane");
    let cookie = browser.cookie.clone().unwrap();
    let ask = |cookie: &str| gateway.send(&Request::get("/app/x").header("Cookie", cookie)).status;
    assert_eq!((browser.get("/app/x").status, other.get("/app/x").status), (200, 200));
    let mut socket = open(&browser);
    let mut kept_alive = gateway.raw();
    let request = Request::get("/app/x").header("Cookie", &cookie).bytes();
    kept_alive.send(&request);
    assert_eq!(kept_alive.answer().unwrap().status, 200);
    // The same person signs in once more: the session goes on under another cookie, and the one before is nothing.
    assert_eq!(browser.log_in("", "jane", PASSWORD).status, 303);
    assert_eq!(ask(&cookie), 401, "with the answer");
    let cookie = browser.cookie.clone().unwrap();
    assert_eq!(ask(&cookie), 200);
    let request = Request::get("/app/x").header("Cookie", &cookie).bytes();
    kept_alive.send(&request);
    assert_eq!(kept_alive.answer().unwrap().status, 200);
    browser.get(LOGOUT);
    assert_eq!(ask(&cookie), 401, "with the answer");
    kept_alive.send(&request);
    assert_eq!(kept_alive.answer().unwrap().status, 401, "on an open connection too");
    closed("logging out", &mut socket);
    assert_eq!(other.get("/app/x").status, 200, "another browser's session goes on");
    let mut socket = open(&other);
    gateway.command(&["user", "ban", "jane"]);
    let cookie = other.cookie.clone().unwrap();
    within_a_second("a ban", || ask(&cookie) == 401);
    closed("a ban", &mut socket);
    gateway.command(&["user", "unban", "jane"]);
    within_a_second("the sessions of before are gone for good", || ask(&cookie) == 401);
    eventually("she may sign in again", || Browser::new(&gateway).log_in("", "jane", PASSWORD).status == 303);
    // Somebody whom the gate has not heard of before.
    let made = gateway.command(&["user", "add", "mary", "--generate", "--permanent", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let mut mary = Browser::new(&gateway);
    assert_eq!(mary.log_in("", "mary", made["password"].as_str().unwrap()).status, 303);
    assert_eq!(mary.get("/app/x").status, 200);
    let cookie = mary.cookie.clone().unwrap();
    gateway.command(&["user", "password", "mary", "--generate"]);
    within_a_second("a new password", || ask(&cookie) == 401);
}

/// A session is used, and noted so, as on our own pages; it ends as it does there.
#[test]
fn a_session_lives_by_its_use() {
    let mut clock = None;
    let (mut gateway, _upstream) = start(|setup| {
        clock = Some(setup.manual_clock());
        setup.set("sessions", "idle", r#""5m""#).set("sessions", "life", r#""1h""#);
    });
    let clock = clock.unwrap();
    let cookie = signed_in(&gateway, "jane").cookie.unwrap();
    let ask =
        |gateway: &Gateway| -> Answer { gateway.send(&Request::get("/app/x").header("Cookie", &cookie)) };
    let used = |gateway: &Gateway| {
        with_store(gateway, async |store| {
            let jane = store.find_user_by_name("jane").await.unwrap().unwrap().id;
            let jane: UserId = jane;
            store.list_sessions(&jane).await.unwrap()[0].used
        })
    };
    let first = used(&gateway);
    assert_eq!(ask(&gateway).status, 200);
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&gateway).status, 200);
    assert_eq!(used(&gateway), first, "at most once a minute");
    for _ in 0..6 {
        clock.advance(Duration::from_secs(100));
        assert_eq!(ask(&gateway).status, 200, "its use keeps it alive");
    }
    assert_eq!(used(&gateway).since(first), Duration::from_secs(630));
    gateway.restart();
    assert_eq!(ask(&gateway).status, 200, "over a restart");
    clock.advance(Duration::from_secs(301));
    assert_eq!(ask(&gateway).status, 401, "and without use it ends");
}
