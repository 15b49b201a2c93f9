//! What happens at the same moment, on one node and on two that share a store (threats T1, T2, T10, T19; R6, R7, R10).

use std::{
    collections::BTreeSet,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{CB, PASSWORD, ask, call, code, configure, exchange, refresh, start, tokens};
use crate::{
    floods::Over,
    support::{
        Answer, Gateway, Request, Upstream,
        browser::{Browser, brought, form, own, parameter},
        gateway::{OBEYED, eventually},
        process,
    },
};

/// Two gateways on one store, and the upstream of both.
fn two_nodes() -> ([Gateway; 2], Upstream) {
    let upstream = Upstream::start();
    let first = Gateway::start(|setup| configure(setup, &upstream));
    let data = first.folder().join("data").display().to_string();
    let second = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("", "data_dir", &format!("{data:?}"));
    });
    ([first, second], upstream)
}

/// All at once, each with its number.
fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (barrier, act) = (Barrier::new(count), &act);
    std::thread::scope(|scope| {
        let barrier = &barrier;
        let acting: Vec<_> = (0..count)
            .map(|n| {
                scope.spawn(move || {
                    barrier.wait();
                    act(n)
                })
            })
            .collect();
        acting.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Whether it holds within a second.
fn within_a_second(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < OBEYED, "{what}: not within a second");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The request in whose middle the token ended was refused too, and may still be on its way to the upstream; one that comes
/// later never is.
fn refused_from_now_on(what: &str, (node, upstream): (&Gateway, &Upstream), token: &str) {
    assert_eq!(node.send(&Request::get("/api/later").bearer(token)).status, 401, "{what}");
    assert!(upstream.take().iter().all(|request| request.target() != "/api/later"), "{what}");
}

#[test]
fn a_code_is_good_once_on_two_nodes() {
    let (nodes, upstream) = two_nodes();
    for _ in 0..3 {
        let code = code(&nodes[0], "app", "&scope=alpha&access_type=offline");
        let answers = at_once(32, |n| exchange(&nodes[n % 2], "app", &code));
        let winners: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(winners.len(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.error() == "invalid_grant"));
        let (access, refresh_token) = tokens(winners[0]);
        let refresh_token = refresh_token.unwrap();
        for node in &nodes {
            within_a_second("what came of a replayed code", || call(node, &access) == 401);
            assert_eq!(refresh(node, "app", &refresh_token, "").error(), "invalid_grant");
        }
        for node in &nodes {
            refused_from_now_on("a replayed code", (node, &upstream), &access);
        }
    }
}

#[test]
fn a_refresh_token_is_spent_once_on_two_nodes() {
    let (nodes, _upstream) = two_nodes();
    let code = code(&nodes[0], "app", "&scope=alpha&access_type=offline");
    let (_, token) = tokens(&exchange(&nodes[1], "app", &code));
    let token = token.unwrap();
    let pairs: BTreeSet<_> =
        at_once(32, |n| tokens(&refresh(&nodes[n % 2], "app", &token, ""))).into_iter().collect();
    assert_eq!(pairs.len(), 1, "one pair, whichever node is asked");
    let (access, successor) = pairs.into_iter().next().unwrap();
    assert_eq!([call(&nodes[0], &access), call(&nodes[1], &access)], [200, 200]);
    tokens(&refresh(&nodes[0], "app", &successor.unwrap(), ""));
}

#[test]
fn what_ends_on_one_node_ends_on_the_other() {
    let (nodes, upstream) = two_nodes();
    let mut browser = Browser::new(&nodes[0]);
    let mut issue = || {
        let answer = browser.sign_in(&ask("app", "&scope=alpha&access_type=offline"), "jane", PASSWORD);
        let code = parameter(&brought(&answer, CB), "code").to_owned();
        let (access, refresh_token) = tokens(&exchange(&nodes[0], "app", &code));
        assert_eq!(call(&nodes[1], &access), 200);
        (access, refresh_token.unwrap(), browser.cookie.clone())
    };
    let revoke = |token: &str| {
        let request = Request::form("/hub/api/rest/oauth2/revoke", &form(&[("token", token)]));
        assert_eq!(nodes[0].send(&request.basic("app", super::APP_SECRET)).status, 200);
    };
    for what in ["a token", "a family", "a session", "a user"] {
        let (access, refresh_token, cookie) = issue();
        match what {
            "a token" => revoke(&access),
            "a family" => revoke(&refresh_token),
            "a session" => {
                let mut browser = Browser::new(&nodes[0]);
                browser.cookie = cookie;
                assert_eq!(browser.get("/hub/api/rest/oauth2/logout").status, 200);
            }
            _ => drop(nodes[0].command(&["user", "ban", "jane"])),
        }
        within_a_second(what, || call(&nodes[1], &access) == 401);
        refused_from_now_on(what, (&nodes[1], &upstream), &access);
        if what != "a token" {
            assert_eq!(refresh(&nodes[1], "app", &refresh_token, "").error(), "invalid_grant", "{what}");
        }
    }
    let mut elsewhere = Browser::new(&nodes[1]);
    assert!(own(&elsewhere.log_in(&ask("app", ""), "jane", PASSWORD)).contains("hub-auth-credentials-bad"));
}

/// Runs a command beside writes without a pause. SQLite's lock is not fair to other processes: one that was kept out of it for too
/// long says so, has done nothing, and is run again.
fn command_beside(gateway: &Gateway, arguments: &[&str]) {
    let path = gateway.config_path().display().to_string();
    eventually("the command has its turn", || {
        let output = process::run(&[arguments, &["--config", &path]].concat(), gateway.folder());
        let said = process::written(&output);
        let kept_out = said.contains("kept the database locked");
        assert!(output.status.success() || kept_out, "{arguments:?}: {said}");
        output.status.success()
    });
}

/// Whatever is asked for while it happens: of what was given out none is good afterwards.
fn ends_everything(what: &str, end: impl Fn(&Gateway, &str)) {
    let (gateway, upstream) = start();
    let password = gateway.folder().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let add = ["user", "add", "ann", "--name", "Ann", "--password-file", password.to_str().unwrap()];
    gateway.command(&add);
    let mut browser = Browser::new(&gateway);
    browser.sign_in(&ask("app", ""), "ann", PASSWORD);
    let cookie = browser.cookie.clone().unwrap();
    let (over, given, codes) = (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let implicit = ask("app", "&scope=alpha").replace("response_type=code", "response_type=token");
    std::thread::scope(|scope| {
        let until = Over(&over);
        for n in 0..4 {
            let (gateway, over, given, codes) = (&gateway, &over, &given, &codes);
            let (cookie, implicit) = (&cookie, &implicit);
            scope.spawn(move || {
                let mut browser = Browser::new(gateway);
                browser.cookie = Some(cookie.clone());
                while !over.load(Ordering::Acquire) {
                    let offline = ask("app", "&scope=alpha&access_type=offline");
                    let answer = browser.authorize(if n % 2 == 0 { implicit } else { &offline });
                    let location = answer.header("location").unwrap_or_default().to_owned();
                    // Its cookie stays, whatever it is told.
                    browser.cookie = Some(cookie.clone());
                    if !location.starts_with(CB) || location.contains("error=") {
                        continue;
                    }
                    if n % 2 == 0 {
                        given
                            .lock()
                            .unwrap()
                            .push(parameter(&brought(&answer, CB), "access_token").to_owned());
                        continue;
                    }
                    let code = parameter(&brought(&answer, CB), "code").to_owned();
                    if n == 1 {
                        codes.lock().unwrap().push(code);
                        continue;
                    }
                    let exchanged = exchange(gateway, "app", &code);
                    if exchanged.status == 200 {
                        let (access, refresh_token) = tokens(&exchanged);
                        given.lock().unwrap().push(access);
                        let refreshed = refresh(gateway, "app", &refresh_token.unwrap(), "");
                        if refreshed.status == 200 {
                            let (access, refresh_token) = tokens(&refreshed);
                            given.lock().unwrap().push(access);
                            codes.lock().unwrap().push(refresh_token.unwrap());
                        }
                    }
                }
            });
        }
        let begun = || given.lock().unwrap().len() >= 4 && codes.lock().unwrap().len() >= 2;
        eventually("things are given out", begun);
        end(&gateway, &cookie);
        std::thread::sleep(Duration::from_millis(600));
        drop(until);
    });
    let (given, codes) = (given.into_inner().unwrap(), codes.into_inner().unwrap());
    upstream.take();
    for token in &given {
        assert_eq!(call(&gateway, token), 401, "{what}: one of {} tokens outlives it", given.len());
    }
    assert_eq!(upstream.count(), 0, "{what}");
    for late in &codes {
        let answer = if late.starts_with("hgc_") {
            exchange(&gateway, "app", late)
        } else {
            refresh(&gateway, "app", late, "")
        };
        assert_eq!(answer.error(), "invalid_grant", "{what}: one of {} grants outlives it", codes.len());
    }
}

#[test]
fn nothing_slips_past_a_sign_out() {
    ends_everything("a sign-out", |gateway, cookie| {
        let mut browser = Browser::new(gateway);
        browser.cookie = Some(cookie.to_owned());
        assert_eq!(browser.get("/hub/api/rest/oauth2/logout").status, 200);
    });
}

#[test]
fn nothing_slips_past_a_new_password() {
    ends_everything("a new password", |gateway, _| {
        command_beside(gateway, &["user", "password", "ann", "--generate", "--permanent"]);
    });
}

#[test]
fn nothing_slips_past_a_ban() {
    ends_everything("a ban", |gateway, _| {
        command_beside(gateway, &["user", "ban", "ann"]);
        std::thread::sleep(Duration::from_millis(300));
        // Let in again: what is dead stays dead.
        command_beside(gateway, &["user", "unban", "ann"]);
        eventually("ann is back", || {
            let mut browser = Browser::new(gateway);
            let answer = browser.sign_in(&ask("app", "&scope=alpha"), "ann", PASSWORD);
            call(gateway, &tokens(&exchange(gateway, "app", parameter(&brought(&answer, CB), "code"))).0)
                == 200
        });
    });
}
