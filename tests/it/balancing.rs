//! Several targets (promises R15, R17, R18): who gets a request, who is passed over and comes back, what waits and what is
//! refused at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Gateway, Reply, Request, Setup, Upstream, Upstream2,
        gateway::{TOKEN, eventually},
        process::free_port,
    },
    upstreams::metric,
};

/// A gateway with these targets below `/x`.
fn over(targets: &[&Upstream], lines: &str, configure: impl FnOnce(&mut Setup)) -> Gateway {
    let to: Vec<String> = targets.iter().map(|upstream| upstream.origin()).collect();
    Gateway::start(|setup| {
        configure(setup.service("open", "open-secret-0123456789").open_to("/x", &to, lines));
    })
}

fn is_up(gateway: &Gateway, target: &str) -> u64 {
    metric(gateway, &format!("hubgate_upstream_up{{upstream=\"/x\",target=\"{target}\"}}"))
}

fn label(upstream: &Upstream) -> String {
    upstream.origin().trim_start_matches("http://").to_owned()
}

#[test]
fn an_upstream_that_is_down_is_refused_at_once_and_comes_back() {
    let port = free_port();
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open_to(
            "/x",
            &[format!("http://127.0.0.1:{port}")],
            "",
        );
    });
    let ask = || gateway.send(&Request::get("/x/y"));
    let statuses: Vec<u16> = (0..6).map(|_| ask().status).collect();
    assert_eq!(statuses, [502, 502, 502, 502, 502, 503]);
    let answer = ask();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("temporarily_unavailable")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(is_up(&gateway, &format!("127.0.0.1:{port}")), 0);
    assert_eq!(metric(&gateway, "hubgate_upstream_failures_total{upstream=\"/x\",target=\"127.0.0.1:"), 5);
    let upstream = Upstream::start_on(port);
    eventually("it is back", || ask().status == 200);
    assert!((0..20).all(|_| ask().status == 200));
    assert_eq!(is_up(&gateway, &format!("127.0.0.1:{port}")), 1);
    drop(upstream);
}

/// R17: one of three fails, by what it says or by not being there; nearly nobody sees it, and it comes back.
#[test]
fn one_of_three_that_fails_is_passed_over_and_comes_back() {
    let upstreams = [Upstream::start(), Upstream::start(), Upstream::start()];
    let [one, two, three] = &upstreams;
    let gateway = over(&[one, two, three], "slow_start = \"1s\"", |_| {});
    let bad = Reply::status(500, "text/plain", "broken");
    two.reply(bad);
    let ask = || gateway.send(&Request::get("/x/y")).status;
    let started = Instant::now();
    let failed = (0..60).filter(|_| ask() != 200).count();
    // Five until it is passed over, and one for each second that a busy machine takes longer.
    let most = 5 + usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&failed), "{failed} of 60 failed");
    assert_eq!((is_up(&gateway, &label(one)), is_up(&gateway, &label(two))), (1, 0));
    // Alone for a second, and after that one answer decides.
    let started = Instant::now();
    let (mut asked, mut failed) = (0, 0);
    while started.elapsed() < Duration::from_secs(3) {
        asked += 1;
        failed += usize::from(ask() != 200);
        thread::sleep(Duration::from_millis(5));
    }
    let most = usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!(failed <= most && asked > 10, "{failed} of {asked} failed");
    two.reply(Reply::Describe);
    two.take();
    eventually("it is back", || {
        assert_eq!(ask(), 200);
        !two.take().is_empty()
    });
    // What a single request can be to blame for does not take the last away.
    for upstream in &upstreams {
        upstream.reply(Reply::status(503, "text/plain", "all broken"));
    }
    for _ in 0..40 {
        assert_eq!(gateway.send(&Request::get("/x/y")).text(), "all broken");
    }
}

#[test]
fn one_alone_is_not_passed_over_for_what_it_says() {
    let upstream = Upstream::start();
    let gateway = over(&[&upstream], "", |_| {});
    for reply in [Reply::status(500, "text/plain", "x"), Reply::raw("nonsense\r\n\r\n")] {
        upstream.reply(reply);
        for _ in 0..12 {
            assert!(matches!(gateway.send(&Request::get("/x/y")).status, 500 | 502));
        }
        assert!(upstream.take().len() >= 12, "each request has arrived");
    }
}

#[test]
fn health_checks_take_targets_away_and_give_them_back() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let well = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&well);
    one.script(move |request| match request.target().as_str() {
        "/health?deep" if switch.load(Ordering::SeqCst) => Reply::status(204, "text/plain", ""),
        "/health?deep" => Reply::ok("200 is not what was asked for"),
        _ => Reply::Describe,
    });
    two.script(|request| {
        if request.target() == "/health?deep" {
            Reply::status(204, "text/plain", "")
        } else {
            Reply::Describe
        }
    });
    let lines = "slow_start = \"0s\"\nhealth = { path = \"/health?deep\", every = \"200ms\", timeout = \"3s\", status = 204 }";
    let gateway = over(&[&one, &two], lines, |setup| {
        setup.set("listen", "workers", "2");
    });
    let served =
        |upstream: &Upstream| upstream.take().iter().any(|request| request.target().starts_with("/x/"));
    eventually("the first checks", || one.count() >= 2 && two.count() >= 2);
    let check = one.take().remove(0);
    assert_eq!(check.line(), "GET /health?deep HTTP/1.1");
    assert_eq!(check.header("host"), Some(label(&one)));
    assert_eq!(check.header("authorization"), None);
    let ask = || gateway.send(&Request::get("/x/y")).status;
    assert!((0..8).all(|_| ask() == 200) && served(&one) && served(&two));
    well.store(false, Ordering::SeqCst);
    eventually("it is passed over", || is_up(&gateway, &label(&one)) == 0);
    one.take();
    assert!((0..8).all(|_| ask() == 200) && !served(&one) && served(&two));
    // Both workers know, and checks go on, once for both.
    let started = Instant::now();
    one.take();
    thread::sleep(Duration::from_secs(1));
    let checks = one.take().len();
    let most = started.elapsed().as_millis() / 200 + 1;
    assert!((2..=most).contains(&(checks as u128)), "{checks} checks, one each 200 ms: {most} at most");
    two.reply(Reply::Stall);
    eventually("both are passed over", || is_up(&gateway, &label(&two)) == 0);
    let answer = gateway.send(&Request::get("/x/y"));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    well.store(true, Ordering::SeqCst);
    eventually("it is back", || is_up(&gateway, &label(&one)) == 1);
    assert!((0..8).all(|_| ask() == 200));
}

#[test]
fn the_least_busy_is_asked() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let gateway = over(&[&one, &two], "balance = \"least_connections\"", |setup| {
        setup.set("listen", "workers", "2");
    });
    one.reply(Reply::Hang);
    two.reply(Reply::Hang);
    let mut hanging = gateway.raw();
    hanging.send(Request::get("/x/hangs").bytes());
    eventually("it has arrived", || one.count() + two.count() == 1);
    let (busy, free) = if one.count() == 1 { (&one, &two) } else { (&two, &one) };
    free.reply(Reply::Describe);
    assert!((0..10).all(|_| gateway.send(&Request::get("/x/y")).status == 200));
    assert_eq!((busy.count(), free.count()), (1, 10));
    drop(hanging);
    busy.reply(Reply::Describe);
    eventually("it takes its share again", || {
        assert_eq!(gateway.send(&Request::get("/x/y")).status, 200);
        busy.count() > 1
    });
}

#[test]
fn the_same_user_or_source_meets_the_same_target() {
    let upstreams: Vec<Upstream> = (0..4).map(|_| Upstream::start()).collect();
    let all: Vec<&Upstream> = upstreams.iter().collect();
    let gateway = over(&all, "balance = \"consistent_hash\"", |setup| {
        setup.set("listen", "workers", "2").set("listen", "trusted_proxies", r#"["127.0.0.1"]"#);
        setup.service_with("app", "secret = \"app-secret-0123456789\"\ntrusted = true");
        for user in 0..6 {
            setup.user(&format!("user{user}"), "password = \"correct horse\"");
        }
    });
    let met = |request: &Request| -> usize {
        for upstream in &upstreams {
            upstream.take();
        }
        assert_eq!(gateway.send(request).status, 200);
        upstreams.iter().position(|upstream| upstream.count() == 1).expect("one of them")
    };
    let from = |source: usize| Request::get("/x/y").header("X-Forwarded-For", &format!("192.0.2.{source}"));
    let first: Vec<usize> = (1..13).map(|source| met(&from(source))).collect();
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 1, "all at one: {first:?}");
    assert_eq!((1..13).map(|source| met(&from(source))).collect::<Vec<_>>(), first);
    let mut of_users = BTreeSet::new();
    for user in 0..6 {
        let form = format!("grant_type=password&username=user{user}&password=correct+horse&scope=open");
        let answer = gateway.send(&Request::form(TOKEN, &form).basic("app", "app-secret-0123456789"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let places: BTreeSet<usize> = (1..7).map(|source| met(&from(source).bearer(&token))).collect();
        assert_eq!(places.len(), 1, "a user's target does not depend on the address");
        of_users.extend(places);
    }
    assert!(of_users.len() > 1, "all users at one target");
    // When one goes, only its own go elsewhere.
    let gone = first[0];
    let others: Vec<(usize, usize)> = (1..13).zip(first).filter(|(_, at)| *at != gone).collect();
    let mut upstreams = upstreams;
    let lost = upstreams.remove(gone);
    drop(lost);
    // Its connections notice a moment later.
    thread::sleep(Duration::from_millis(200));
    let met = |request: &Request| -> usize {
        for upstream in &upstreams {
            upstream.take();
        }
        assert_eq!(gateway.send(request).status, 200);
        let at = upstreams.iter().position(|upstream| upstream.count() == 1).expect("one of them");
        at + usize::from(at >= gone)
    };
    met(&from(1));
    for (source, at) in others {
        assert_eq!(met(&from(source)), at);
    }
}

/// R18, in small: more than the upstream may have at a time waits, and more than may wait is refused at once.
#[test]
fn connections_are_limited_and_what_cannot_wait_is_refused() {
    let upstream = Upstream::start();
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (refused, peak) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
    let told = Arc::clone(&refused);
    // Nothing is answered before as many are refused as there have to be, so that they cannot have waited for it.
    upstream.script(move |_| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        eventually("the others are refused at once", || told.load(Ordering::SeqCst) >= 3);
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::ok("ok")
    });
    let gateway = over(&[&upstream], "max_connections = 2\nqueue = 2\nqueue_timeout = \"60s\"", |setup| {
        setup.set("listen", "workers", "2");
    });
    for round in 0..3 {
        refused.store(0, Ordering::SeqCst);
        let outcomes: Vec<(u16, Option<String>)> = thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let answer = gateway.send(&Request::get("/x/y"));
                        refused.fetch_add(usize::from(answer.status != 200), Ordering::SeqCst);
                        (answer.status, answer.header("retry-after").map(str::to_owned))
                    })
                })
                .collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let served = outcomes.iter().filter(|(status, ..)| *status == 200).count();
        // One fewer where a kept connection was the other worker's when the rest came.
        assert!((3..=5).contains(&served), "round {round}: {outcomes:?}");
        for (status, wait) in outcomes.iter().filter(|(status, ..)| *status != 200) {
            assert_eq!((*status, wait.as_deref()), (503, Some("1")), "round {round}");
        }
        // The upstream notices the end of one that made room for another a moment later.
        eventually("no more than two are open", || upstream.open_connections() <= 2);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(metric(&gateway, "hubgate_upstream_failures_total") >= 9);
    assert!(metric(&gateway, "hubgate_upstream_connections{") <= 2);
    assert_eq!(metric(&gateway, "hubgate_upstream_waiting"), 0);
    assert_eq!(is_up(&gateway, &label(&upstream)), 1, "having much to do is no failure");
}

#[test]
fn a_connection_that_was_waited_for_is_not_counted_as_opened() {
    let upstream = Upstream::start();
    upstream.script(|_| {
        thread::sleep(Duration::from_millis(100));
        Reply::ok("ok")
    });
    let gateway = over(&[&upstream], "max_connections = 1\nqueue_timeout = \"30s\"", |setup| {
        setup.set("listen", "workers", "1");
    });
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(gateway.send(&Request::get("/x/y")).status, 200));
        }
    });
    eventually("all are counted", || metric(&gateway, "hubgate_requests_total{route=\"/x\"") == 6);
    assert_eq!(metric(&gateway, "hubgate_upstream_connections_opened_total"), upstream.connections() as u64);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn nobody_waits_for_a_connection_for_ever() {
    let upstream = Upstream::start();
    let gateway = over(&[&upstream], "max_connections = 1\nqueue_timeout = \"300ms\"", |_| {});
    upstream.reply(Reply::Hang);
    let mut hanging = gateway.raw();
    hanging.send(Request::get("/x/y").bytes());
    eventually("it has arrived", || upstream.count() == 1);
    let started = Instant::now();
    assert_eq!(gateway.send(&Request::get("/x/y")).status, 503);
    assert!((250..10_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    upstream.reply(Reply::Describe);
    drop(hanging);
    eventually("there is room again", || gateway.send(&Request::get("/x/y")).status == 200);
}

/// How many of so many requests at once are answered with each status, and how long that takes.
fn at_once(gateway: &Gateway, count: usize, target: &str) -> (BTreeMap<u16, usize>, Duration) {
    let started = Instant::now();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asked: Vec<_> =
            (0..count).map(|_| scope.spawn(|| gateway.send(&Request::get(target)).status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::new();
    for status in statuses {
        *counts.entry(status).or_default() += 1;
    }
    (counts, started.elapsed())
}

/// Over HTTP/2 a request waits for a stream: it has the next that is free, of a connection that is there or of one more.
#[test]
fn waiting_for_a_stream_ends_when_there_is_one() {
    for (workers, connections, streams) in [("1", 1, 1), ("1", 2, 1), ("2", 2, 1), ("1", 1, 8), ("2", 1, 4)] {
        let upstream = Upstream2::start_with(streams);
        let gateway = Gateway::start(|setup| {
            setup.set("listen", "workers", workers).service("open", "open-secret-0123456789").open_to(
                "/x",
                &[upstream.h2c()],
                &format!("max_connections = {connections}\nqueue = 1000\nqueue_timeout = \"60s\""),
            );
        });
        let (statuses, taken) = at_once(&gateway, 40, "/x/slow");
        assert_eq!(statuses, BTreeMap::from([(200, 40)]), "{workers} workers, {connections} × {streams}");
        assert!(taken < Duration::from_secs(50), "{taken:?}");
        assert!(upstream.connections().1 <= connections);
    }
}

/// … and no longer than `queue_timeout`, nor in a longer queue than there may be.
#[test]
fn waiting_for_a_stream_has_an_end() {
    let upstream = Upstream2::start_with(1);
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open_to(
            "/x",
            &[upstream.h2c()],
            "max_connections = 1\nqueue = 10\nqueue_timeout = \"500ms\"",
        );
    });
    let mut hanging = gateway.raw();
    hanging.send(Request::get("/x/hang").bytes());
    eventually("it has arrived", || upstream.hanging() == 1);
    let (statuses, taken) = at_once(&gateway, 20, "/x/y");
    assert_eq!(statuses, BTreeMap::from([(503, 20)]));
    assert!((450..15_000).contains(&taken.as_millis()), "{taken:?}");
    drop(hanging);
    eventually("there is room again", || gateway.send(&Request::get("/x/y")).status == 200);
    assert_eq!(upstream.connections().0, 1, "on the same connection");
}

#[test]
fn each_timeout_ends_what_it_is_for() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open("/first", &upstream, "first_byte_timeout = \"1s\"")
            .open("/idle", &upstream, "idle_timeout = \"1s\"")
            .open("/total", &upstream, "total_timeout = \"2s\"");
    });
    let late = |pause: u64| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        Reply::Pieces(vec![(Duration::from_millis(pause), head)])
    };
    let slow = |pause: u64, pieces: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {pieces}\r\n\r\n");
        let mut all = vec![(Duration::ZERO, head.into_bytes())];
        all.extend((0..pieces).map(|_| (Duration::from_millis(pause), b"x".to_vec())));
        Reply::Pieces(all)
    };
    let ask = |target: &str, reply: Reply| {
        upstream.reply(reply);
        let mut client = gateway.raw();
        client.send(Request::get(target).bytes());
        client.answer().map(|answer| (answer.status, answer.complete))
    };
    assert_eq!(ask("/first/x", late(3000)), Some((504, true)));
    assert_eq!(ask("/first/x", slow(1200, 2)), Some((200, true)), "its first byte was in time");
    assert_eq!(ask("/idle/x", late(1500)), Some((200, true)), "only pieces are waited for");
    assert!(ask("/idle/x", slow(2500, 2)).is_none_or(|(_, complete)| !complete));
    assert_eq!(ask("/total/x", late(5000)), Some((504, true)));
    assert_eq!(ask("/total/x", slow(100, 2)), Some((200, true)));
    let started = Instant::now();
    assert!(ask("/total/x", slow(100, 50)).is_none_or(|(_, complete)| !complete), "it never falls silent");
    assert!(started.elapsed() < Duration::from_secs(15));
    // A client that takes its time is cut off too.
    upstream.reply(Reply::Describe);
    let mut client = gateway.raw();
    client.send("POST /total/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.answer().expect("an answer").status, 504);
}

/// What is known of targets outlives a reload, and so do connections to an upstream that stays as it is.
#[test]
fn a_reload_forgets_nothing_about_targets() {
    let (one, port) = (Upstream::start(), free_port());
    let down = format!("http://127.0.0.1:{port}");
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open_to("/x", &[one.origin(), down], "slow_start = \"0s\"")
            .open("/same", &one, "");
    });
    assert!((0..12).all(|_| gateway.send(&Request::get("/x/y")).status == 200));
    assert_eq!(gateway.send(&Request::get("/same/y")).status, 200);
    assert_eq!(is_up(&gateway, &format!("127.0.0.1:{port}")), 0);
    let before = one.connections();
    let text = gateway.config_text().replace("slow_start = \"0s\"", "slow_start = \"1s\"\nmax_idle = 5");
    gateway.reload(&text).unwrap();
    assert_eq!(is_up(&gateway, &format!("127.0.0.1:{port}")), 0, "it is still left alone");
    let counted = || metric(&gateway, "hubgate_upstream_requests_total{upstream=\"/x\"");
    eventually("what came before is counted still", || counted() >= 12);
    assert_eq!(gateway.send(&Request::get("/same/y")).status, 200);
    assert_eq!(one.connections(), before, "a kept connection was used");
}

#[test]
fn names_are_looked_up() {
    let upstream = Upstream::start();
    let port = label(&upstream).rsplit(':').next().unwrap().to_owned();
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open_to("/x", &[format!("http://localhost:{port}")], "resolve = \"200ms\"")
            .open_to("/nowhere", &["http://no-such-host.invalid".to_owned()], "");
    });
    // The name may lead to ::1 first, where nobody listens.
    assert!((0..4).all(|_| gateway.send(&Request::get("/x/y")).status == 200));
    assert_eq!(gateway.send(&Request::get("/nowhere/y")).status, 502);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.send(&Request::get("/x/y")).status, 200);
    assert!(upstream.connections() <= 2, "kept connections stay as long as the name leads there");
}

#[test]
fn paths_are_changed_and_answers_dressed() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open("/kept", &upstream, "prepend_path = \"/app\"")
            .open("/gone", &upstream, "prepend_path = \"/app\"\nstrip_path = true")
            .open(
                "/dressed",
                &upstream,
                "response_headers = { X-Frame-Options = \"DENY\", Server = \"\", X-Own = \"ours\" }",
            );
    });
    for (asked, forwarded) in
        [("/kept/x?a=b", "/app/kept/x?a=b"), ("/gone/x?a=b", "/app/x?a=b"), ("/gone", "/app")]
    {
        assert_eq!(gateway.send(&Request::get(asked)).status, 200);
        assert_eq!(upstream.take()[0].target(), forwarded);
    }
    upstream.reply(Reply::raw(
        "HTTP/1.1 200 OK\r\nServer: theirs/1.0\r\nX-Own: theirs\r\nX-Own: twice\r\nX-Other: 1\r\nContent-Length: 0\r\n\r\n",
    ));
    let answer = gateway.send(&Request::get("/dressed/x"));
    assert_eq!((answer.all("x-own"), answer.all("server").len()), (vec!["ours"], 0));
    assert_eq!((answer.header("x-frame-options"), answer.header("x-other")), (Some("DENY"), Some("1")));
    let answer = gateway.send(&Request::get("/kept/x"));
    assert_eq!((answer.header("x-frame-options"), answer.header("server")), (None, Some("theirs/1.0")));
}

#[test]
fn redirects_lead_those_who_may_ask_elsewhere() {
    let upstream = Upstream::start();
    let table = |path: &str, lines: &str| {
        format!("\n[[upstream]]\nservice = \"alpha\"\npath = \"{path}\"\n{lines}\n")
    };
    let public = "[[upstream.rule]]\npath = \"/old/**\"\naccess = \"public\"";
    let text = [
        table("/old", &format!("redirect = \"https://new.example/yt\"\nredirect_status = 308\n{public}")),
        table("/inside", "redirect = \"/api\""),
    ]
    .concat();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
    });
    gateway.reload(&format!("{}{text}", gateway.config_text())).unwrap();
    for request in [Request::get("/old/x/y?a=b"), Request::new("POST", "/old/x/y?a=b").body("hello")] {
        let answer = gateway.send(&request);
        assert_eq!((answer.status, answer.header("location")), (308, Some("https://new.example/yt/x/y?a=b")));
    }
    for (asked, location) in [
        ("/old", "https://new.example/yt"),
        ("/old/", "https://new.example/yt/"),
        ("/old/x/?a=b", "https://new.example/yt/x/?a=b"),
    ] {
        assert_eq!(gateway.send(&Request::get(asked)).header("location"), Some(location), "{asked}");
    }
    assert_eq!(gateway.send(&Request::get("/inside/x")).status, 401, "who may not ask is not sent anywhere");
    let token = gateway.machine_token("alpha");
    let answer = gateway.send(&Request::get("/inside/x").bearer(&token));
    assert_eq!((answer.status, answer.header("location")), (307, Some("/api/x")));
    let other = gateway.machine_token("beta");
    assert_eq!(gateway.send(&Request::get("/inside/x").bearer(&other)).status, 403);
    assert_eq!(upstream.count(), 0, "nothing is forwarded");
}

#[test]
fn ten_thousand_routes() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789");
        for n in 0..10_000 {
            setup.open(&format!("/service-{n}"), &upstream, "");
        }
    });
    for n in [0, 4_999, 9_999] {
        assert_eq!(gateway.send(&Request::get(&format!("/service-{n}/x"))).status, 200);
    }
    assert_eq!(gateway.send(&Request::get("/service-10000/x")).status, 404);
    assert_eq!(upstream.take().len(), 3);
}
