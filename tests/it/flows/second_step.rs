//! A sign-in in two steps (RFC 6238): the password, then a code that is good once (threats T8, T9).

use std::{sync::Arc, time::Duration};

use hubgate::{
    app,
    base::{
        random::SystemRandom,
        secret::Secret,
        time::{Clock as _, ManualClock},
    },
    crypto::totp::{self, TotpSecret},
    model::event::Author,
    registry::second_step,
};

use super::{APP_SECRET, CB, PASSWORD, ask, call, configure, exchange, tokens};
use crate::support::{
    Answer, Gateway, Request, Upstream,
    browser::{AUTH, Browser, brought, form, hidden, own, parameter},
    gateway::{TOKEN, eventually, load},
};

/// Where the code goes.
const STEP: &str = "/hub/auth/second-step";
const ME: &str = "/hub/api/rest/users/me?fields=login";

/// A gateway on which jane signs in in two steps.
struct Two {
    gateway: Gateway,
    clock: Arc<ManualClock>,
    secret: TotpSecret,
    codes: Vec<Secret>,
    _upstream: Upstream,
}

impl Two {
    fn start() -> Self {
        let upstream = Upstream::start();
        let mut clock = None;
        let gateway = Gateway::start(|setup| {
            configure(setup, &upstream);
            clock = Some(setup.manual_clock());
        });
        let clock = clock.unwrap();
        let (secret, codes) = turn_on(&gateway, &clock);
        // The code that turned it on is spent.
        clock.advance(Duration::from_secs(30));
        Self { gateway, clock, secret, codes, _upstream: upstream }
    }

    /// What the device shows so many steps from now.
    fn shown(&self, offset: i64) -> String {
        self.secret.code(totp::step(self.clock.now()) + offset).expose().to_owned()
    }

    /// Posts the login form and gets the page that asks for a code.
    fn halfway<'g>(&'g self, query: &str) -> (Browser<'g>, Answer) {
        let mut browser = Browser::new(&self.gateway);
        let answer = browser.log_in(query, "jane", PASSWORD);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.all("set-cookie").len(), 0, "no session before the second step");
        (browser, answer)
    }
}

/// Turns jane's second step on, as her account page would. Returns what is in her device, and the recovery codes.
fn turn_on(gateway: &Gateway, clock: &ManualClock) -> (TotpSecret, Vec<Secret>) {
    let config = load(gateway.config_path()).unwrap();
    let sealing = app::sealing_key(&config.data_dir, &SystemRandom).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = app::open_store(&config).await.unwrap().acting(Author::command_line("test"));
        let jane = store.find_user_by_name("jane").await.unwrap().unwrap();
        let begun = second_step::begin(&*store, &jane, "gate", &sealing, clock, &SystemRandom).await.unwrap();
        let secret = from_base32(begun.secret.expose());
        let code = secret.code(totp::step(clock.now()));
        let codes =
            second_step::confirm(&*store, &jane.id, (&begun.sealed, &code), &sealing, clock, &SystemRandom)
                .await
                .unwrap();
        (secret, codes)
    })
}

/// As a device reads what is typed into it.
pub(crate) fn from_base32(text: &str) -> TotpSecret {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in text.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).expect("base32");
        (bits, count) = (bits << 5 | u32::try_from(value).unwrap(), count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    TotpSecret::from_bytes(&bytes).expect("twenty bytes")
}

fn show(browser: &mut Browser<'_>, query: &str, ticket: &str, code: &str) -> Answer {
    browser.post(&format!("{STEP}?{query}"), &form(&[("ticket", ticket), ("code", code)]))
}

fn asks_again(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    assert!(answer.text().contains("role=\"alert\""), "{what}: {}", answer.text());
    assert_eq!(answer.all("set-cookie").len(), 0, "{what}");
}

#[test]
fn a_code_after_the_password_signs_in() {
    let two = Two::start();
    let query = format!("{}&rememberMe=true", ask("app", "&scope=alpha&prompt=login&max_age=0"));
    let (mut browser, page) = two.halfway(&query);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors https://app.example"));
    let answer = show(&mut browser, &query, &hidden(&page.text(), "ticket"), &two.shown(0));
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age="), "to be remembered survives");
    let next = own(&answer);
    assert!(next.starts_with(AUTH) && !next.contains("prompt"), "{next}");
    let answer = browser.get(&next);
    let brought = brought(&answer, CB);
    assert_eq!(parameter(&brought, "state"), "s&1", "the request survives");
    let (access, _) = tokens(&exchange(&two.gateway, "app", parameter(&brought, "code")));
    assert_eq!(call(&two.gateway, &access), 200);
    assert_eq!(browser.authorize(&ask("app", "&scope=alpha")).status, 302, "signed in from now on");
    // Without a request it leads home.
    let (mut browser, page) = two.halfway("");
    two.clock.advance(Duration::from_secs(30));
    let answer = show(&mut browser, "", &hidden(&page.text(), "ticket"), &two.shown(0));
    assert_eq!((answer.status, own(&answer).as_str()), (303, "/hub/"));
    assert!(!answer.header("set-cookie").unwrap().contains("Max-Age="));
    assert_eq!(browser.get("/hub/").status, 200);
    let lines = two.gateway.lines();
    assert!(!lines.contains(&two.shown(0)) && !lines.contains(&hidden(&page.text(), "ticket")), "{lines}");
}

#[test]
fn every_other_code_gets_one_answer() {
    let two = Two::start();
    let query = ask("app", "&scope=alpha");
    let (mut browser, page) = two.halfway(&query);
    let ticket = hidden(&page.text(), "ticket");
    let used = two.shown(0);
    assert_eq!(show(&mut browser, &query, &ticket, &used).status, 303);
    let mut texts = Vec::new();
    for code in [&used, &two.shown(-1), &two.shown(5), "000000", "", "0000-0000-0000-0000", "x"] {
        let (mut browser, page) = two.halfway(&query);
        let answer = show(&mut browser, &query, &hidden(&page.text(), "ticket"), code);
        asks_again(&answer, code);
        let text = answer.text();
        texts.push(text.replace(&hidden(&text, "ticket"), "…"));
        assert_eq!(browser.cookie, None);
        // Nobody guesses faster than that.
        two.clock.advance(Duration::from_secs(3600));
    }
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn a_recovery_code_is_good_once() {
    let two = Two::start();
    for (number, status) in [(0, 303), (0, 200), (1, 303)] {
        let (mut browser, page) = two.halfway("");
        let code = two.codes[number].expose().to_uppercase().replace('-', " ");
        let answer = show(&mut browser, "", &hidden(&page.text(), "ticket"), &code);
        assert_eq!(answer.status, status, "{number}: {}", answer.text());
    }
    let shown = two.gateway.command(&["user", "second-step", "show", "jane", "--json"]);
    assert!(shown.contains("\"recovery_codes\": 8"), "{shown}");
    let log = two.gateway.command(&["audit", "list", "--json"]);
    assert!(log.contains("recoveryCodeUsed") && log.contains("secondStepOn"), "{log}");
    assert!(!log.contains(two.codes[0].expose()) && !log.contains(two.secret.base32().expose()), "{log}");
}

#[test]
fn a_ticket_is_good_for_its_own_sign_in() {
    let two = Two::start();
    let query = ask("app", "&scope=alpha");
    let (_, page) = two.halfway(&query);
    let ticket = hidden(&page.text(), "ticket");
    let leads_to_the_login_page = |query: &str, ticket: &str, what: &str| {
        let mut browser = Browser::new(&two.gateway);
        let answer = show(&mut browser, query, ticket, &two.shown(0));
        assert_eq!(answer.status, 303, "{what}: {}", answer.text());
        let location = own(&answer);
        assert!(location.starts_with("/hub/auth/login?") && location.contains("hub-auth-expired"), "{what}");
        assert_eq!(browser.cookie, None, "{what}");
        let page = browser.get(&location);
        assert!(page.text().contains("role=\"alert\""), "{what}: {}", page.text());
    };
    let mut bent = ticket.clone().into_bytes();
    bent[30] ^= 1;
    leads_to_the_login_page(&query, str::from_utf8(&bent).unwrap(), "bent");
    leads_to_the_login_page(&query, "", "none");
    leads_to_the_login_page(&ask("other", "&scope=alpha"), &ticket, "another request");
    leads_to_the_login_page("", &ticket, "no request");
    // Posts of other pages do not count, and a page without a ticket is none.
    let body = form(&[("ticket", &ticket), ("code", &two.shown(0))]);
    let foreign = Request::form(&format!("{STEP}?{query}"), &body)
        .header("Origin", "https://evil.example")
        .header("Sec-Fetch-Site", "cross-site");
    let answer = two.gateway.send(&foreign);
    assert_eq!((answer.status, answer.all("set-cookie").len()), (403, 0));
    let answer = Browser::new(&two.gateway).get(&format!("{STEP}?{query}"));
    assert!(own(&answer).starts_with("/hub/auth/login?client_id=app"));
    // A new password makes it worthless, and so does time.
    two.gateway.command(&["user", "ban", "jane"]);
    asks_again(&show(&mut Browser::new(&two.gateway), &query, &ticket, &two.shown(0)), "banned");
    two.gateway.command(&["user", "unban", "jane"]);
    two.clock.advance(Duration::from_secs(600));
    leads_to_the_login_page(&query, &ticket, "too old");
}

#[test]
fn guesses_are_counted_whatever_the_password_step_says() {
    let two = Two::start();
    let mut refused = 0;
    let throttled = loop {
        let (mut browser, page) = two.halfway("");
        let answer = show(&mut browser, "", &hidden(&page.text(), "ticket"), "000000");
        asks_again(&answer, "a guess");
        if answer.text().contains("Too many attempts") {
            break answer;
        }
        refused += 1;
        assert!(refused < 50, "nobody was slowed down");
    };
    assert!(refused >= 3, "{refused}");
    let ticket = hidden(&throttled.text(), "ticket");
    let answer = show(&mut Browser::new(&two.gateway), "", &ticket, &two.shown(0));
    assert!(answer.text().contains("Too many attempts"), "the right one is not looked at either");
    // Somebody else at the same address is not kept out.
    assert_eq!(Browser::new(&two.gateway).log_in("", "bob", PASSWORD).status, 303);
    two.clock.advance(Duration::from_secs(3600));
    let (mut browser, page) = two.halfway("");
    assert_eq!(show(&mut browser, "", &hidden(&page.text(), "ticket"), &two.shown(0)).status, 303);
}

#[test]
fn of_one_code_eight_times_at_once_one_session_comes() {
    let two = Two::start();
    let (_, page) = two.halfway("");
    let (ticket, code) = (hidden(&page.text(), "ticket"), two.shown(0));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| show(&mut Browser::new(&two.gateway), "", &ticket, &code)))
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.all("set-cookie").is_empty()).count(), 1);
    let jane = two.gateway.command(&["user", "show", "jane"]);
    assert!(jane.lines().any(|line| line.split_whitespace().eq(["sessions", "1"])), "{jane}");
}

#[test]
fn a_password_alone_gives_nothing_to_a_program() {
    let two = Two::start();
    let body =
        form(&[("grant_type", "password"), ("username", "jane"), ("password", PASSWORD), ("scope", "alpha")]);
    let grant = Request::form(TOKEN, &body).basic("app", APP_SECRET);
    let answer = two.gateway.send(&grant);
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"));
    let text = answer.json()["error_description"].as_str().unwrap().to_owned();
    assert!(text.contains("application password"), "{text}");
    let answer = two.gateway.send(&Request::get(ME).basic("jane", PASSWORD));
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(answer.text().contains("application password"), "{}", answer.text());
    let wrong = two.gateway.send(&Request::get(ME).basic("jane", "wrong"));
    let nobody = two.gateway.send(&Request::get(ME).basic("nobody", "wrong"));
    assert_eq!(
        wrong.json()["error_description"],
        nobody.json()["error_description"],
        "only the right password is told"
    );
    // What was made for programs goes on.
    let printed = two.gateway.command(&["user", "app-password", "add", "jane", "--name", "ci", "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let program = Request::get(ME).basic("jane", printed["password"].as_str().unwrap());
    eventually("the gateway knows the application password", || two.gateway.send(&program).status == 200);
    // Who is rid of the second step signs in as before; the other's browser never noticed.
    let answer = Browser::new(&two.gateway).log_in("", "bob", PASSWORD);
    assert_eq!(answer.status, 303);
}

#[test]
fn it_survives_a_restart_and_turning_it_off_ends_nothing_else() {
    let mut two = Two::start();
    let (mut browser, page) = two.halfway("");
    let code = two.shown(0);
    assert_eq!(show(&mut browser, "", &hidden(&page.text(), "ticket"), &code).status, 303);
    let cookie = browser.cookie.clone();
    let (_, before) = two.halfway("");
    two.gateway.restart();
    let (mut browser, page) = two.halfway("");
    asks_again(&show(&mut browser, "", &hidden(&page.text(), "ticket"), &code), "spent before the restart");
    two.clock.advance(Duration::from_secs(30));
    let ticket = hidden(&before.text(), "ticket");
    assert_eq!(
        show(&mut browser, "", &ticket, &two.shown(0)).status,
        303,
        "the sign-in goes on where it was"
    );
    let printed = two.gateway.command(&["user", "second-step", "remove", "jane", "--json"]);
    assert!(printed.contains("\"enabled\": false"), "{printed}");
    let mut first = Browser::new(&two.gateway);
    first.cookie = cookie;
    assert_eq!(first.get("/hub/").status, 200, "sessions stay");
    assert_eq!(Browser::new(&two.gateway).log_in("", "jane", PASSWORD).status, 303, "one step");
    assert!(two.gateway.command(&["user", "second-step", "show", "jane"]).contains("by password alone"));
}
