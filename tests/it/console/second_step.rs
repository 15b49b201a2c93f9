//! A second step is set up, used, and turned off on the account's pages.

use std::{sync::Arc, time::Duration};

use hubgate::{
    base::time::{Clock as _, ManualClock},
    crypto::totp::{self, TotpSecret},
};

use super::{Console, PASSWORD, account::signed_in, after, page};
use crate::support::{
    Answer,
    browser::{Browser, form, hidden},
};

const STEP: &str = "/hub/account/security/second-step";
const CHANGE: &str = "/hub/account/security/second-step/change";
const SECURITY: &str = "/hub/account/security";

fn start() -> (Console, Arc<ManualClock>) {
    let mut clock = None;
    let console = Console::with(|setup| clock = Some(setup.manual_clock()));
    (console, clock.unwrap())
}

/// The secret as a device reads it from the address in the page.
fn secret_on(page: &str) -> TotpSecret {
    let text = page.split("otpauth://totp/").nth(1).expect("an address").split("secret=").nth(1).unwrap();
    crate::flows::from_base32(text.split('&').next().unwrap())
}

fn shown(secret: &TotpSecret, clock: &ManualClock, offset: i64) -> String {
    secret.code(totp::step(clock.now()) + offset).expose().to_owned()
}

fn confirm(browser: &mut Browser<'_>, page: &str, code: &str, password: &str) -> Answer {
    let (sealed, once) = (hidden(page, "sealed"), hidden(page, "once"));
    let body = form(&[("sealed", &sealed), ("once", &once), ("code", code), ("currentPassword", password)]);
    browser.post(STEP, &body)
}

fn codes_on(page: &str) -> Vec<String> {
    let text = page.split("id=\"codes\"").nth(1).expect("codes").split_once('>').unwrap().1;
    text.split("</pre>").next().unwrap().lines().map(str::to_owned).collect()
}

fn sign_in(console: &Console, code: &str) -> Answer {
    let mut browser = Browser::new(&console.gateway);
    let ticket = hidden(&browser.log_in("", "ann", PASSWORD).text(), "ticket");
    browser.post("/hub/auth/second-step?", &form(&[("ticket", &ticket), ("code", code)]))
}

#[test]
fn a_second_step_is_turned_on_by_whoever_knows_the_password_and_has_the_device() {
    let (console, clock) = start();
    let mut ann = signed_in(&console, "ann");
    assert!(page(&ann.get(SECURITY)).contains("Set up"));
    let begun = page(&ann.get(STEP));
    assert!(begun.contains("<svg class=\"qr\"") && begun.contains("<rect"), "{begun}");
    let secret = secret_on(&begun);
    for (code, password, mistake) in [
        (shown(&secret, &clock, 3), PASSWORD, "id=\"code-mistake\">This is not the code"),
        (String::new(), PASSWORD, "id=\"code-mistake\">This is not the code"),
        (shown(&secret, &clock, 0), "wrong", "id=\"currentPassword-mistake\">This is not your password."),
        (shown(&secret, &clock, 0), "", "id=\"currentPassword-mistake\">This is needed."),
    ] {
        let answer = confirm(&mut ann, &begun, &code, password);
        assert_eq!(answer.status, 422);
        let text = answer.text();
        assert!(text.contains(mistake), "{mistake} not in {text}");
        assert_eq!(secret_on(&text).bytes(), secret.bytes(), "what was scanned stays good");
    }
    assert_eq!(Browser::new(&console.gateway).log_in("", "ann", PASSWORD).status, 303, "not on yet");
    let answer = confirm(&mut ann, &begun, &shown(&secret, &clock, 0), PASSWORD);
    let codes = codes_on(&page(&answer));
    assert_eq!(codes.len(), 10);
    let twice = confirm(&mut ann, &begun, &shown(&secret, &clock, 0), PASSWORD);
    assert_eq!(codes_on(&page(&twice)), codes, "a button that was pressed twice");
    let security = page(&ann.get(SECURITY));
    assert!(security.contains("Recovery codes left: 10.") && !security.contains(&codes[0]), "{security}");
    assert_eq!(ann.get(STEP).status, 303, "there is nothing to set up");
    assert_eq!(Browser::new(&console.gateway).log_in("", "ann", PASSWORD).status, 200, "a code is asked for");
    assert_eq!(sign_in(&console, &shown(&secret, &clock, 0)).status, 200, "the first code is spent");
    clock.advance(Duration::from_secs(30));
    assert_eq!(sign_in(&console, &shown(&secret, &clock, 0)).status, 303);
    assert_eq!(sign_in(&console, &codes[4]).status, 303);
    let lines = console.gateway.lines();
    assert!(!lines.contains(secret.base32().expose()) && !lines.contains(&codes[4]), "{lines}");
}

#[test]
fn a_set_up_is_for_whoever_began_it_and_for_an_hour() {
    let (console, clock) = start();
    let mut ann = signed_in(&console, "ann");
    let mut joe = console.signed_in("joe");
    let begun = page(&ann.get(STEP));
    let secret = secret_on(&begun);
    let answer = confirm(&mut joe, &begun, &shown(&secret, &clock, 0), PASSWORD);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("The set-up took too long."), "{}", answer.text());
    assert_eq!(Browser::new(&console.gateway).log_in("", "joe", PASSWORD).status, 303);
    clock.advance(Duration::from_secs(3600));
    let answer = confirm(&mut ann, &begun, &shown(&secret, &clock, 0), PASSWORD);
    assert_eq!(answer.status, 422);
    let anew = answer.text();
    assert_ne!(secret_on(&anew).bytes(), secret.bytes());
    let code = shown(&secret_on(&anew), &clock, 0);
    assert_eq!(codes_on(&page(&confirm(&mut ann, &anew, &code, PASSWORD))).len(), 10);
}

#[test]
fn codes_are_renewed_and_the_step_turned_off_by_whoever_knows_the_password() {
    let (console, clock) = start();
    let mut ann = signed_in(&console, "ann");
    let begun = page(&ann.get(STEP));
    let secret = secret_on(&begun);
    let old = codes_on(&page(&confirm(&mut ann, &begun, &shown(&secret, &clock, 0), PASSWORD)));
    for (what, password) in [("off", "wrong"), ("codes", "wrong"), ("off", ""), ("codes", "")] {
        let answer = ann.post(CHANGE, &form(&[("do", what), ("currentPassword", password)]));
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains("id=\"currentPassword-mistake\">"), "{}", answer.text());
    }
    let answer = ann.post(CHANGE, &form(&[("do", "codes"), ("currentPassword", PASSWORD), ("once", "c")]));
    let new = codes_on(&page(&answer));
    assert!(new.len() == 10 && !new.contains(&old[0]));
    assert_eq!(sign_in(&console, &old[0]).status, 200, "those from before are gone");
    assert_eq!(sign_in(&console, &new[0]).status, 303);
    let mut elsewhere = Browser::new(&console.gateway);
    clock.advance(Duration::from_secs(3600));
    let ticket = hidden(&elsewhere.log_in("", "ann", PASSWORD).text(), "ticket");
    let code = shown(&secret, &clock, 0);
    elsewhere.post("/hub/auth/second-step?", &form(&[("ticket", &ticket), ("code", &code)]));
    let answer = ann.post(CHANGE, &form(&[("do", "off"), ("currentPassword", PASSWORD), ("once", "d")]));
    assert!(after(&mut ann, &answer).contains("Set up"));
    assert_eq!(elsewhere.get(SECURITY).status, 200, "other sessions stay");
    assert_eq!(Browser::new(&console.gateway).log_in("", "ann", PASSWORD).status, 303);
    let answer = ann.post(CHANGE, &form(&[("do", "off"), ("currentPassword", PASSWORD)]));
    assert_eq!(answer.status, 303, "it is off already");
    let log = console.gateway.command(&["audit", "list", "--json"]);
    for kind in ["secondStepOn", "recoveryCodesReplaced", "recoveryCodeUsed", "secondStepOff"] {
        assert!(log.contains(kind), "{kind} not in {log}");
    }
}
