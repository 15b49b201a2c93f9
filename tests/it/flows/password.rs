//! The resource owner password flow (RFC 6749 section 4.3, hub-contract section 3; threats T7 to T9).

use super::{APP_SECRET, PASSWORD, call, configure, refresh, start, tokens};
use crate::support::{Answer, Gateway, Request, Upstream, browser::form, forge, gateway::TOKEN};

fn ask(gateway: &Gateway, username: &str, password: &str, more: &str) -> Answer {
    let body = form(&[("grant_type", "password"), ("username", username), ("password", password)]);
    gateway.send(&Request::form(TOKEN, &format!("{body}{more}")).basic("app", APP_SECRET))
}

#[test]
fn login_address_and_id_name_the_same_person() {
    let (gateway, _upstream) = start();
    let (access, none) = tokens(&ask(&gateway, "jane", PASSWORD, "&scope=alpha"));
    assert_eq!(none, None);
    let subject = forge::decode(&access).1["sub"].as_str().unwrap().to_owned();
    for name in ["JANE", "jane@example.org", &subject] {
        let (access, _) = tokens(&ask(&gateway, name, PASSWORD, "&scope=alpha"));
        assert_eq!(forge::decode(&access).1["sub"], subject.as_str(), "{name}");
        assert_eq!(call(&gateway, &access), 200);
    }
    let offline = ask(&gateway, "jane", PASSWORD, "&scope=alpha&access_type=offline");
    let (_, token) = tokens(&offline);
    tokens(&refresh(&gateway, "app", &token.unwrap(), ""));
    let openid = ask(&gateway, "jane", PASSWORD, "&scope=openid+offline_access+alpha");
    assert_eq!(openid.json()["scope"], "openid offline_access alpha");
    assert!(openid.json()["id_token"].is_string() && openid.json()["refresh_token"].is_string());
}

#[test]
fn all_who_are_not_let_in_get_one_answer() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.user("locked", "name = \"No password\"");
    });
    let answers: Vec<Answer> = [
        ("jane", "wrong"),
        ("nobody", PASSWORD),
        ("locked", PASSWORD),
        ("locked", "x"),
        ("guest", PASSWORD),
        ("0-0-0-0-0", PASSWORD),
        ("app", APP_SECRET),
    ]
    .into_iter()
    .map(|(name, password)| ask(&gateway, name, password, "&scope=alpha"))
    .collect();
    for answer in &answers {
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"));
        assert_eq!(answer.text(), answers[0].text());
        let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(answer), names(&answers[0]));
    }
    assert_eq!(answers[0].json()["error_description"], "Invalid resource owner credentials");
}

#[test]
fn malformed_requests_are_told_what_is_missing() {
    let (gateway, _upstream) = start();
    for (body, error) in [
        ("grant_type=password", "invalid_request"),
        ("grant_type=password&username=jane", "invalid_request"),
        ("grant_type=password&username=jane&password=&scope=alpha", "invalid_request"),
        ("grant_type=password&username=jane&password=x", "invalid_request"),
        ("grant_type=password&username=jane&password=x&scope=nobody", "invalid_scope"),
        ("grant_type=password&username=jane&password=x&scope=alpha&access_type=maybe", "invalid_request"),
        ("grant_type=password&username=jane&username=bob&password=x&scope=alpha", "invalid_request"),
    ] {
        let answer = gateway.send(&Request::form(TOKEN, body).basic("app", APP_SECRET));
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{body}");
    }
    // More than a password can have is refused like a wrong one, and costs no hashing.
    let long = ask(&gateway, "jane", &"x".repeat(1025), "&scope=alpha");
    assert_eq!(long.error(), "invalid_grant");
    let query = format!("{TOKEN}?grant_type=password&username=jane&password=x&scope=alpha");
    let answer = gateway.send(&Request::new("POST", &query).basic("app", APP_SECRET));
    assert_eq!(answer.error(), "invalid_request", "a password does not belong in a query");
}

#[test]
fn guessing_is_slowed_down_whatever_the_name_is_written_like() {
    let (gateway, _upstream) = start();
    let (access, _) = tokens(&ask(&gateway, "jane", PASSWORD, "&scope=alpha"));
    let id = forge::decode(&access).1["sub"].as_str().unwrap().to_owned();
    let mut slowed = None;
    for attempt in 0..60 {
        let name = ["jane", "JANE", "jane@example.org", &id][attempt % 4];
        let answer = ask(&gateway, name, "wrong", "&scope=alpha");
        if answer.status == 429 {
            slowed = Some((attempt, answer));
            break;
        }
        assert_eq!(answer.error(), "invalid_grant");
    }
    let (attempt, answer) = slowed.expect("nobody was slowed down");
    assert!(attempt >= 3, "after {attempt} attempts");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.error(), "too_many_requests");
    // One account, one counter; the others are not touched.
    assert_eq!(ask(&gateway, &id, "wrong", "&scope=alpha").status, 429);
    tokens(&ask(&gateway, "bob", PASSWORD, "&scope=alpha"));
    let lines = gateway.lines();
    assert!(!lines.contains("wrong") && !lines.contains(PASSWORD), "{lines}");
}

/// What looks the same counts as the same, for a name that is somebody's and for one that is nobody's.
#[test]
fn guesses_are_counted_however_the_name_is_put_together() {
    for exists in [true, false] {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            configure(setup, &upstream);
            setup.set("limits", "login_failures", "\"3/h\"");
            setup.set("limits", "login_failures_per_source", "\"1000/h\"");
            if exists {
                setup.user("jos\u{e9}", &format!("password = \"{PASSWORD}\""));
            }
        });
        let spellings = ["jos\u{e9}", "jose\u{301}", "JOS\u{c9}", "\u{ff4a}os\u{e9}"];
        let mut refused = Vec::new();
        for name in spellings.iter().cycle().take(8) {
            refused.push(ask(&gateway, name, "wrong", "&scope=alpha").status);
        }
        assert_eq!(refused, [400, 400, 400, 429, 429, 429, 429, 429], "a user: {exists}");
        assert_eq!(ask(&gateway, "bob", "wrong", "&scope=alpha").status, 400, "another's count is apart");
    }
}
