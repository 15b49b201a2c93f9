//! Mail: restoring a password, confirming an address, invitations (threats H6, T8).

use std::{sync::Arc, time::Duration};

use hubgate::base::time::ManualClock;
use serde_json::json;

use crate::{
    rest::{Client, PASSWORD, Registry, refusal},
    support::{
        Answer, Request,
        browser::{AUTH, Browser, form, own},
        gateway::{Gateway, PUBLIC_URL, eventually},
        smtp::{Received, Smtp},
    },
};

const RESTORE: &str = "/hub/auth/restore";
const LINK: &str = "/hub/auth/link";
const NEW: &str = "quite another password";

fn start() -> (Registry, Smtp) {
    let smtp = Smtp::start();
    let registry = Registry::with(|setup| {
        smtp.configure(setup);
        let site = "secret = \"site-secret-0123456789\"\nconsent_required = false\nredirect_uris = [\"https://site.example/cb\"]";
        setup.service_with("site", site);
    });
    (registry, smtp)
}

fn start_with_clock() -> (Registry, Smtp, Arc<ManualClock>) {
    let smtp = Smtp::start();
    let mut clock = None;
    let registry = Registry::with(|setup| {
        smtp.configure(setup);
        clock = Some(setup.manual_clock());
    });
    (registry, smtp, clock.unwrap())
}

/// Adds a user with a password and an address that somebody vouches for. Returns the id.
fn add(root: &Client<'_>, login: &str) -> String {
    let body = json!({"login": login, "password": PASSWORD, "profile": {"email": {"email": format!("{login}@mail.example")}}});
    root.done("users?fields=id", &body)["id"].as_str().unwrap().to_owned()
}

fn ask(gateway: &Gateway, query: &str, name: &str) -> Answer {
    Browser::new(gateway).post(&format!("{RESTORE}{query}"), &form(&[("username", name)]))
}

fn choose(gateway: &Gateway, letter: &Received, password: &str) -> Answer {
    let body = form(&[("newPassword", password), ("newPasswordAgain", password)]);
    Browser::new(gateway).post(&letter.path(), &body)
}

fn knows(gateway: &Gateway, login: &str, password: &str) -> bool {
    let answer = Browser::new(gateway).log_in("", login, password);
    !answer.header("location").unwrap_or_default().contains("hub-auth-")
}

/// The headers that an answer has, without those that name the request.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    (answer.status, headers.cloned().collect(), answer.body.clone())
}

fn events(root: &Client<'_>, kind: &str) -> usize {
    root.good(&format!("events?query=type:{kind}"))["events"].as_array().unwrap().len()
}

#[test]
fn whoever_has_forgotten_the_password_chooses_another_and_goes_on() {
    let (registry, smtp) = start();
    let root = registry.root();
    add(&root, "eve");
    let mut before = Browser::new(&registry.gateway);
    before.log_in("", "eve", PASSWORD);
    assert_eq!(before.get("/hub/").status, 200);
    let request = form(&[
        ("client_id", "site"),
        ("redirect_uri", "https://site.example/cb"),
        ("response_type", "code"),
        ("state", "s&1"),
    ]);
    let login = Browser::new(&registry.gateway).get(&format!("/hub/auth/login?{request}")).text();
    assert!(login.contains("/hub/auth/restore?client_id=site"), "{login}");
    let page = Browser::new(&registry.gateway).get(&format!("{RESTORE}?{request}")).text();
    assert!(page.contains("name=\"username\""), "{page}");

    let answer = ask(&registry.gateway, &format!("?{request}"), "EVE@mail.example");
    assert_eq!(answer.status, 303);
    let told = Browser::new(&registry.gateway).get(&own(&answer)).text();
    assert!(told.contains("is on its way") && !told.contains("<form"), "{told}");
    let letter = smtp.next();
    assert_eq!(letter.to, "eve@mail.example");
    for line in ["From: \"The Gate\" <gate@gateway.example>", "Auto-Submitted: auto-generated", "text/plain"]
    {
        assert!(letter.head.contains(line), "{}", letter.head);
    }
    assert!(
        letter.head.contains("Subject: Choose a new password for gateway.example:8443"),
        "{}",
        letter.head
    );
    assert!(letter.link().starts_with(&format!("{PUBLIC_URL}{LINK}?token=hgl_")), "{}", letter.body);

    // To read it changes nothing, however often.
    for _ in 0..2 {
        let page = Browser::new(&registry.gateway).get(&letter.path());
        assert!(page.status == 200 && page.text().contains("for eve"), "{}", page.text());
    }
    assert_eq!(Browser::new(&registry.gateway).send(Request::new("HEAD", &letter.path())).status, 200);
    for (body, why) in [
        (form(&[("newPassword", NEW), ("newPasswordAgain", "other")]), "not the same"),
        (form(&[("newPassword", "short"), ("newPasswordAgain", "short")]), "fewer than 12"),
        (form(&[("newPassword", NEW)]), "twice"),
    ] {
        let answer = Browser::new(&registry.gateway).post(&letter.path(), &body);
        assert!(answer.status == 422 && answer.text().contains(why), "{}", answer.text());
    }
    let foreign = Request::form(&letter.path(), &form(&[("newPassword", NEW), ("newPasswordAgain", NEW)]))
        .header("Origin", "https://evil.example")
        .header("Sec-Fetch-Site", "cross-site");
    assert_eq!(registry.gateway.send(&foreign).status, 403);
    assert!(knows(&registry.gateway, "eve", PASSWORD));

    let answer = choose(&registry.gateway, &letter, NEW);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.all("set-cookie"), Vec::<String>::new(), "whoever has chosen it signs in with it");
    let next = own(&answer);
    let page = Browser::new(&registry.gateway).get(&next).text();
    assert!(page.contains("Your new password is saved") && page.contains("value=\"eve\""), "{page}");
    let (_, query) = next.split_once('?').unwrap();
    let mut after = Browser::new(&registry.gateway);
    let signed_in = after.log_in(query, "eve", NEW);
    assert!(own(&signed_in).starts_with(&format!("{AUTH}?client_id=site")), "{}", own(&signed_in));
    let back = after.get(&own(&signed_in));
    let back = back.header("location").unwrap();
    assert!(back.starts_with("https://site.example/cb?") && back.contains("state=s%261"), "{back}");
    assert_eq!(before.get("/hub/").status, 303, "the sessions before have ended");
    assert!(!knows(&registry.gateway, "eve", PASSWORD));

    let told = smtp.next();
    assert!(told.body.contains("was changed") && !told.body.contains("hgl_"), "{}", told.body);
    assert!(told.head.contains("Subject: Your password for"), "{}", told.head);
    // Once.
    for answer in [
        choose(&registry.gateway, &letter, "a third password"),
        registry.gateway.send(&Request::get(&letter.path())),
    ] {
        assert!(answer.status == 410 && answer.text().contains("no longer good"), "{}", answer.text());
    }
    smtp.is_quiet();
    let root = registry.root();
    assert_eq!((events(&root, "linkSent"), events(&root, "linkUsed")), (1, 1));
    let log = root.good("events?query=type:linkSent&fields=changes(field,after),authorType,source,user");
    assert_eq!(log["events"][0]["authorType"], "anonymous");
    assert!(log.to_string().contains("eve@mail.example") && !log.to_string().contains("hgl_"), "{log}");
    let lines = registry.gateway.lines();
    assert!(lines.contains(LINK) && !lines.contains("hgl_") && !lines.contains("eve@"), "{lines}");
    let counted = "hubgate_mails_total{mail=\"restore\",result=\"sent\"} 1";
    eventually("it is counted", || registry.gateway.management("/metrics").1.contains(counted));
}

#[test]
fn whoever_asks_learns_nothing_of_anybody() {
    let (registry, smtp) = start();
    let root = registry.root();
    let ids: Vec<String> =
        ["known", "banned", "unsure", "without", "erased"].iter().map(|login| add(&root, login)).collect();
    root.done(&format!("users/{}", ids[1]), &json!({"banned": true}));
    root.done(
        &format!("users/{}", ids[2]),
        &json!({"profile": {"email": {"email": "unsure@mail.example", "verified": false}}}),
    );
    registry.gateway.command(&["user", "password", "without", "--no-password"]);
    root.done(&format!("users/{}/data/erase", ids[4]), &json!({}));
    let names = [
        "nobody",
        "nobody@mail.example",
        "banned",
        "unsure",
        "without",
        "erased@mail.example",
        "guest",
        "jane",
        "' OR 1=1 --",
        "known@mail.example\r\nBcc: evil@evil.example",
    ];
    let first = shape(&ask(&registry.gateway, "?client_id=none", "somebody"));
    assert_eq!(first.0, 303);
    for name in names {
        assert_eq!(shape(&ask(&registry.gateway, "?client_id=none", name)), first, "{name}");
    }
    smtp.is_quiet();
    assert_eq!(shape(&ask(&registry.gateway, "?client_id=none", "known")), first);
    assert_eq!(smtp.next().to, "known@mail.example");
    assert_eq!(events(&root, "linkSent"), 1);

    // Hub's own address of it, in the forms that clients may use.
    let hub = "/hub/api/rest/oauth2/interactive/restore?client_id=app";
    let json = |body: &str| Request::new("POST", hub).header("Content-Type", "application/json").body(body);
    let none = registry.gateway.send(&json(r#"{"email": "nobody@mail.example"}"#));
    assert_eq!((none.status, none.text().as_str()), (200, ""));
    for request in [
        json(r#"{"email": "known@mail.example"}"#),
        json(r#""known@mail.example""#),
        Request::form(hub, "email=nobody%40mail.example"),
        Request::new("POST", hub).header("Content-Type", "text/plain").body("nobody@mail.example"),
    ] {
        assert_eq!(shape(&registry.gateway.send(&request)), shape(&none), "{request:?}");
    }
    assert_eq!((smtp.next().to, smtp.next().to), ("known@mail.example".into(), "known@mail.example".into()));
    assert_eq!(registry.gateway.send(&json("{}")).status, 400);
    assert_eq!(
        registry
            .gateway
            .send(&json(r#"{"email": "known@mail.example"}"#).header("Origin", "https://evil.example"))
            .status,
        403
    );
    // Enough for this account, and nobody sees that.
    assert_eq!(shape(&ask(&registry.gateway, "?client_id=none", "known")), first);
    smtp.is_quiet();
    // Enough for this source, and that has to do with nobody.
    let mut said = String::new();
    for number in 0..20 {
        said = own(&ask(&registry.gateway, "", &format!("x{number}")));
        if said.contains("hub-auth-throttled-") {
            break;
        }
    }
    assert!(Browser::new(&registry.gateway).get(&said).text().contains("Too many attempts"), "{said}");
    let throttled = registry.gateway.send(&json(r#"{"email": "other@mail.example"}"#));
    assert!(throttled.status == 429 && throttled.header("retry-after").is_some(), "{}", throttled.text());
}

#[test]
fn a_link_is_over_with_its_time_a_newer_one_and_what_ends_sessions() {
    let (registry, smtp, clock) = start_with_clock();
    let root = registry.root();
    let id = add(&root, "eve");
    let gateway = &registry.gateway;
    let is_over = |letter: &Received| {
        let read = gateway.send(&Request::get(&letter.path()));
        assert_eq!(choose(gateway, letter, NEW).status, read.status);
        read.status == 410
    };
    let fresh = || {
        clock.advance(Duration::from_secs(1200));
        ask(gateway, "", "eve");
        smtp.next()
    };
    let first = fresh();
    let second = fresh();
    assert!(is_over(&first), "superseded");
    clock.advance(Duration::from_secs(3599));
    assert_eq!(gateway.send(&Request::get(&second.path())).status, 200);
    clock.advance(Duration::from_secs(1));
    assert!(is_over(&second), "expired");

    let letter = fresh();
    registry.root().done(&format!("users/{id}"), &json!({"banned": true}));
    assert!(is_over(&letter), "banned");
    registry.root().done(&format!("users/{id}"), &json!({"banned": false}));
    assert!(is_over(&letter), "let in again");
    let letter = fresh();
    registry.root().done(&format!("users/{id}"), &json!({"password": "an administrator's choice"}));
    assert_eq!(smtp.next().path(), RESTORE, "that it was changed is told");
    assert!(is_over(&letter), "another password");
    let letter = fresh();
    registry
        .root()
        .done(&format!("users/{id}"), &json!({"profile": {"email": {"email": "eve@new.example"}}}));
    assert!(is_over(&letter), "another address");
    let letter = fresh();
    assert_eq!(letter.to, "eve@new.example");
    registry.root().done(&format!("users/{id}/data/erase"), &json!({}));
    assert!(is_over(&letter), "erased");
    for token in ["", "hgl_x", &format!("hgl_{}", "A".repeat(43)), "hgs_x"] {
        assert_eq!(gateway.send(&Request::get(&format!("{LINK}?token={token}"))).status, 410, "{token}");
    }
    assert_eq!(gateway.send(&Request::get(LINK)).status, 410);
}

#[test]
fn of_two_who_use_a_link_at_once_one_succeeds() {
    let (registry, smtp) = start();
    add(&registry.root(), "eve");
    ask(&registry.gateway, "", "eve");
    let letter = smtp.next();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|number| {
                let (gateway, letter) = (&registry.gateway, &letter);
                scope.spawn(move || choose(gateway, letter, &format!("password of {number} here")).status)
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 410, 410, 410]);
}

#[test]
fn links_come_from_the_configured_address() {
    let (registry, smtp) = start();
    add(&registry.root(), "eve");
    let request = Request::form(RESTORE, "username=eve")
        .host("evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "javascript")
        .header("Forwarded", "host=evil.example;proto=http")
        .header("Accept-Language", "de-AT, en;q=0.5");
    let answer = registry.gateway.send(&request);
    assert!(answer.header("location").unwrap().starts_with(PUBLIC_URL), "{answer:?}");
    let letter = smtp.next();
    assert!(letter.link().starts_with(PUBLIC_URL) && !letter.body.contains("evil"), "{}", letter.body);
    assert!(!letter.head.contains("evil"), "{}", letter.head);
    assert!(letter.body.contains("Wenn Sie") && letter.body.contains("wählen"), "{}", letter.body);
}

#[test]
fn without_a_mail_server_nobody_is_offered_a_link() {
    let registry = Registry::start();
    let login = registry.gateway.send(&Request::get("/hub/auth/login")).text();
    assert!(!login.contains("restore"), "{login}");
    for request in [
        Request::get(RESTORE),
        Request::form(RESTORE, "username=jane"),
        Request::form("/hub/api/rest/oauth2/interactive/restore", "email=jane@example.org"),
    ] {
        assert_eq!(registry.gateway.send(&request).status, 404, "{request:?}");
    }
    let invited = registry.root().done("users/invite?email=new@example.org", &json!({}));
    assert!(invited["password"].is_string(), "{invited}");
}

#[test]
fn a_page_never_waits_for_the_mail_server() {
    let (registry, smtp) = start();
    let root = registry.root();
    for login in ["eve", "mary", "paul"] {
        add(&root, login);
    }
    let count = |result: &str| {
        let line = format!("hubgate_mails_total{{mail=\"restore\",result=\"{result}\"}} ");
        let (_, metrics) = registry.gateway.management("/metrics");
        metrics.lines().find_map(|l| l.strip_prefix(&line)).map_or(0, |n| n.parse::<u64>().unwrap())
    };
    // Busy for now: it is tried again.
    smtp.refuse_for_now(1);
    assert_eq!(ask(&registry.gateway, "", "eve").status, 303);
    assert_eq!(smtp.next().to, "eve@mail.example");
    assert_eq!(smtp.attempts(), 2);
    // Refused for good: it is not.
    smtp.refuse();
    ask(&registry.gateway, "", "mary");
    eventually("the refusal is counted", || count("failed") == 1);
    assert_eq!(smtp.attempts(), 3);
    // It says nothing at all.
    smtp.say_nothing();
    let begun = std::time::Instant::now();
    assert_eq!(ask(&registry.gateway, "", "paul").status, 303);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    eventually("it is tried", || smtp.attempts() > 3);
    assert_eq!(count("sent"), 1);
}

#[test]
fn whoever_changes_their_address_shows_that_they_read_it() {
    let (registry, smtp) = start();
    let root = registry.root();
    let id = add(&root, "eve");
    let eve = registry.as_user("eve");
    let give = |address: &str| {
        let mut browser = Browser::new(&registry.gateway);
        assert_eq!(browser.log_in("", "eve", PASSWORD).status, 303);
        let typed = [("name", "Eve"), ("email", address), ("language", "de"), ("currentPassword", PASSWORD)];
        let answer = browser.post("/hub/account", &form(&typed));
        assert_eq!(answer.status, 303, "{}", answer.text());
    };
    give("eve@new.example");
    let mut letters = [smtp.next(), smtp.next()];
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    let [told, asked] = letters;
    // Whoever was robbed of it has no use for a link: it would be sent to the new one.
    assert_eq!(told.to, "eve@mail.example");
    assert!(told.body.contains("administrator") && !told.body.contains("https://"), "{}", told.body);
    assert_eq!(asked.to, "eve@new.example");
    assert!(asked.body.contains("bestätigen"), "{}", asked.body);
    let verified = || {
        root.good(&format!("users/{id}?fields=profile(email(verified))"))["profile"]["email"]["verified"]
            .clone()
    };
    let page = Browser::new(&registry.gateway).get(&asked.path()).text();
    assert!(page.contains("eve@new.example") && page.contains("<form"), "{page}");
    assert_eq!(verified(), false, "programs that read mail confirm nothing");
    // It opens no account.
    assert!(!page.contains("newPassword"), "{page}");
    assert_eq!(Browser::new(&registry.gateway).post(&asked.path(), "").status, 200);
    assert_eq!(verified(), true);
    assert_eq!(Browser::new(&registry.gateway).post(&asked.path(), "").status, 410);
    assert_eq!(eve.refused(&format!("users/{id}/verifyContact"), &json!({})).0, 400, "it is confirmed");

    // Sent again, and no longer good with yet another address.
    give("eve@third.example");
    let mut letters = [smtp.next(), smtp.next()];
    letters.sort_by(|a, b| b.to.cmp(&a.to));
    assert_eq!(letters[0].to, "eve@third.example");
    assert_eq!(eve.post("users/me/verifyContact", &json!({})).status, 200);
    let again = smtp.next();
    assert_eq!(Browser::new(&registry.gateway).get(&letters[0].path()).status, 410, "superseded");
    root.done(
        &format!("users/{id}"),
        &json!({"profile": {"email": {"email": "eve@fourth.example", "verified": false}}}),
    );
    assert_eq!(Browser::new(&registry.gateway).post(&again.path(), "").status, 410);
    assert_eq!(verified(), false);
    // No more than so many, whatever address one names.
    assert_eq!(eve.refused("users/me/verifyContact", &json!({})).0, 503);
    assert_eq!(
        refusal(&registry.as_user("jane").post(&format!("users/{id}/verifyContact"), &json!({}))).0,
        403
    );
    smtp.is_quiet();
}

#[test]
fn who_is_invited_by_mail_chooses_the_password() {
    let (registry, smtp, clock) = start_with_clock();
    let root = registry.root();
    let invited = root.done("users/invite?email=new@mail.example&fields=id,login,password", &json!({}));
    assert!(invited["password"].is_null(), "{invited}");
    let letter = smtp.next();
    assert!(
        letter.head.contains("You are invited") && letter.body.contains("\"new@mail.example\""),
        "{}",
        letter.body
    );
    clock.advance(Duration::from_secs(6 * 24 * 3600));
    assert_eq!(ask(&registry.gateway, "", "new@mail.example").status, 303);
    smtp.is_quiet();
    let answer = choose(&registry.gateway, &letter, NEW);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(knows(&registry.gateway, "new@mail.example", NEW));
    smtp.is_quiet();
    let root = registry.root();
    let shown = root.done("users/invite?email=other@mail.example&send=false", &json!({}));
    assert!(shown["password"].as_str().unwrap().len() > 20, "{shown}");
    smtp.is_quiet();
    assert_eq!(root.refused("users/invite?email=x@mail.example&send=perhaps", &json!({})).0, 400);
}
