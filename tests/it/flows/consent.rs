//! Consent (hub-contract section 6; threat O13).

use super::{CB, PASSWORD, ask, exchange, start, tokens};
use crate::support::{
    Request,
    browser::{Browser, brought, form, hidden, own, parameter},
};

#[test]
fn a_person_is_asked_once_for_what_a_service_wants() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let query = ask("asking", "&scope=alpha+openid+email");
    let to_consent = own(&browser.sign_in(&query, "jane", PASSWORD));
    assert!(to_consent.starts_with("/hub/auth/consent?"), "{to_consent}");
    let page = browser.get(&to_consent);
    assert_eq!(page.status, 200);
    for text in ["asking by name", "alpha by name", "Jane Doe", "e-mail"] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let ticket = hidden(&page.text(), "ticket");
    let allowed = browser.post(&to_consent, &form(&[("ticket", &ticket), ("decision", "allow")]));
    assert_eq!(allowed.status, 303, "{}", allowed.text());
    let answered = browser.get(&own(&allowed));
    tokens(&exchange(&gateway, "asking", parameter(&brought(&answered, CB), "code")));

    // Not asked again for the same or less; asked for more, and when the client insists.
    for more in ["&scope=alpha+openid+email", "&scope=openid", "&scope=alpha"] {
        parameter(&brought(&browser.authorize(&ask("asking", more)), CB), "code");
    }
    for more in [
        "&scope=alpha+beta",
        "&scope=alpha+groups",
        "&scope=alpha&approval_prompt=force",
        "&scope=alpha&prompt=consent",
    ] {
        let answer = browser.authorize(&ask("asking", more));
        assert!(own(&answer).starts_with("/hub/auth/consent?"), "{more}");
    }
    let silent = browser.authorize(&ask("asking", "&scope=beta&request_credentials=silent"));
    assert_eq!(parameter(&brought(&silent, CB), "error"), "access_denied");
    // Another person is asked for themselves.
    let other = Browser::new(&gateway).sign_in(&query, "bob", PASSWORD);
    assert!(own(&other).starts_with("/hub/auth/consent?"));
}

/// A refresh token outlives the session, so whoever lets a service act now has not let it go on without them.
#[test]
fn access_while_away_is_allowed_by_itself() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    let mut allow = |query: &str| {
        let to_consent = own(&browser.authorize(query));
        assert!(to_consent.starts_with("/hub/auth/consent?"), "{query}: {to_consent}");
        let page = browser.get(&to_consent).text();
        let answer = form(&[("ticket", &hidden(&page, "ticket")), ("decision", "allow")]);
        let allowed = browser.post(&to_consent, &answer);
        parameter(&brought(&browser.get(&own(&allowed)), CB), "code");
        page.contains("Act while you are away")
    };
    assert!(!allow(&ask("asking", "&scope=alpha+openid")), "the page speaks of more than was asked for");
    assert!(allow(&ask("asking", "&scope=alpha&access_type=offline")), "the page has to say so");
    // From now on either word for it is covered, and what was allowed before still is.
    for more in ["&scope=alpha&access_type=offline", "&scope=alpha+offline_access", "&scope=alpha+openid"] {
        let answer = browser.authorize(&ask("asking", more));
        parameter(&brought(&answer, CB), "code");
    }
    let other = &mut Browser::new(&gateway);
    other.sign_in(&ask("app", ""), "bob", PASSWORD);
    let silent =
        other.authorize(&ask("asking", "&scope=alpha&access_type=offline&request_credentials=silent"));
    assert_eq!(parameter(&brought(&silent, CB), "error"), "access_denied");
}

#[test]
fn a_refusal_goes_back_to_the_client() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let to_consent = own(&browser.sign_in(&ask("asking", "&scope=alpha"), "jane", PASSWORD));
    let ticket = hidden(&browser.get(&to_consent).text(), "ticket");
    let cancelled = browser.post(&to_consent, &form(&[("ticket", &ticket), ("decision", "cancel")]));
    assert_eq!(cancelled.status, 303);
    let parameters = brought(&cancelled, CB);
    assert_eq!((parameter(&parameters, "error"), parameter(&parameters, "state")), ("access_denied", "s&1"));
    assert!(own(&browser.authorize(&ask("asking", "&scope=alpha"))).starts_with("/hub/auth/consent?"));
}

#[test]
fn an_answer_counts_only_for_what_was_shown_to_this_person() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let to_consent = own(&browser.sign_in(&ask("asking", "&scope=alpha"), "jane", PASSWORD));
    let ticket = hidden(&browser.get(&to_consent).text(), "ticket");
    let allow = form(&[("ticket", &ticket), ("decision", "allow")]);
    // Without the ticket, with another's, for more than was shown, for another address or client.
    let mut bob = Browser::new(&gateway);
    let his = own(&bob.sign_in(&ask("asking", "&scope=alpha"), "bob", PASSWORD));
    let foreign = hidden(&bob.get(&his).text(), "ticket");
    for (target, body, why) in [
        (to_consent.clone(), "decision=allow".to_owned(), "no ticket"),
        (to_consent.clone(), form(&[("ticket", &foreign), ("decision", "allow")]), "another's ticket"),
        (to_consent.replace("scope=alpha", "scope=alpha+beta"), allow.clone(), "more than was shown"),
        (to_consent.replace("client_id=asking", "client_id=app"), allow.clone(), "another client"),
        (format!("{to_consent}&access_type=offline"), allow.clone(), "for longer than was shown"),
    ] {
        let answer = browser.post(&target, &body);
        assert_eq!(answer.status, 403, "{why}: {}", answer.text());
        assert_eq!(answer.header("location"), None, "{why}");
    }
    // By another site's page.
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = browser.send(Request::form(&to_consent, &allow).header(name, value));
        assert_eq!(answer.status, 403, "{name}: {value}");
    }
    // Without a session: sign in first.
    let nobody = Browser::new(&gateway).post(&to_consent, &allow);
    assert_eq!(nobody.status, 303);
    assert!(own(&nobody).starts_with("/hub/api/rest/oauth2/auth?"));
    assert!(
        own(&browser.authorize(&ask("asking", "&scope=alpha"))).starts_with("/hub/auth/consent?"),
        "nothing was remembered"
    );
}
