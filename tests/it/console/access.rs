//! The page of tokens and sessions: what people hold is found and ended, and so is a token that was pasted.

use serde_json::json;

use super::{Console, PASSWORD, after, assert_guarded, page};
use crate::support::{
    Request, Setup,
    browser::{Browser, form},
    gateway::TOKEN,
};

const LIST: &str = "/hub/admin/tokens";
const PASTE: &str = "/hub/admin/tokens/paste";
const REVOKE: &str = "/hub/admin/tokens/revoke";

fn console() -> Console {
    Console::with(|setup: &mut Setup| {
        setup.named_service(
            "mobile",
            "Mobile",
            "secret = \"mobile-secret-0123456789\"\nconsent_required = false",
        );
    })
}

/// An access token and a refresh token of a person, for `alpha`, given to `mobile`.
fn granted(console: &Console, login: &str) -> (String, String) {
    let pairs = [
        ("grant_type", "password"),
        ("username", login),
        ("password", PASSWORD),
        ("scope", "alpha 0-0-0-0-0"),
        ("access_type", "offline"),
    ];
    let request = Request::form(TOKEN, &form(&pairs)).basic("mobile", "mobile-secret-0123456789");
    let answer = console.gateway.send(&request).json();
    let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

fn works(console: &Console, token: &str) -> bool {
    console.gateway.send(&Request::get("/api/x").bearer(token)).status == 200
}

/// Makes a permanent token over REST. Returns its text.
fn permanent(console: &Console, login: &str) -> String {
    let (access, _) = granted(console, login);
    let body = json!({"name": "CI <1>", "scope": [{"id": "alpha"}]}).to_string();
    let request = Request::new("POST", "/hub/api/rest/users/me/permanenttokens?fields=token")
        .header("Content-Type", "application/json")
        .body(body)
        .bearer(&access);
    let answer = console.gateway.send(&request);
    answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// The fields of the first form that ends something in a list.
fn first(text: &str) -> String {
    let (_, rest) = text.split_once("class=\"inline\"").unwrap_or_else(|| panic!("{text}"));
    let (fields, _) = rest.split_once("</form>").unwrap();
    let pairs = fields.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        (name, rest.split('"').next().unwrap())
    });
    form(&pairs.collect::<Vec<_>>())
}

#[test]
fn sessions_are_found_and_ended() {
    let console = console();
    let mut jane = console.signed_in("jane");
    let mut root = console.signed_in("root");
    let all = page(&root.get(LIST));
    assert!(all.contains(">Jane</a>") && all.contains(">Root</a>") && all.contains("2 found"), "{all}");
    let janes = page(&root.get(&format!("{LIST}?kind=sessions&user=JANE%40example.org")));
    assert!(janes.contains(">Jane</a>") && !janes.contains(">Root</a>"), "{janes}");
    let nobody = page(&root.get(&format!("{LIST}?user=%3Cscript%3E")));
    assert!(nobody.contains("There is no such person.") && !nobody.contains("<script>\""), "{nobody}");
    let sent = first(&janes);
    assert_guarded(&console, LIST, None);
    assert_guarded(&console, REVOKE, Some(&sent));
    assert_eq!(jane.get("/hub/account").status, 200, "refused posts end nothing");
    for _ in 0..2 {
        let done = root.post(REVOKE, &sent);
        assert!(after(&mut root, &done).contains("Revoked."));
    }
    assert_eq!(jane.get("/hub/account").status, 303, "jane is signed out");
    assert_eq!(root.post(REVOKE, "owner=&id=x").status, 404);
}

#[test]
fn refresh_tokens_are_found_by_person_client_and_service() {
    let console = console();
    let (access, refresh) = granted(&console, "jane");
    granted(&console, "joe");
    let mut root = console.signed_in("root");
    let mut found = |query: &str| {
        let text = page(&root.get(&format!("{LIST}?kind=grants&{query}")));
        (text.contains(">Jane</a>"), text.contains(">Joe</a>"))
    };
    for (query, expected) in [
        ("", (true, true)),
        ("user=jane", (true, false)),
        ("client=Mobile", (true, true)),
        ("client=mobile&user=joe", (false, true)),
        ("client=app", (false, false)),
        ("service=alpha", (true, true)),
        ("service=alpha&client=mobile&user=jane", (true, false)),
        ("service=beta", (false, false)),
        ("service=nobody", (false, false)),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    assert!(works(&console, &access));
    let text = page(&root.get(&format!("{LIST}?kind=grants&user=jane")));
    assert!(
        text.contains("alpha by name, Hub") && text.contains("Mobile") && !text.contains(&refresh),
        "{text}"
    );
    let done = root.post(REVOKE, &first(&text));
    let text = after(&mut root, &done);
    assert!(text.contains("Nothing found.") && text.contains("value=\"jane\""), "back where it was: {text}");
    assert!(!works(&console, &access), "with it goes every token that came of it");
    // From the page of the service.
    let service = page(&root.get("/hub/admin/services/mobile"));
    assert!(service.contains("kind=grants&#38;client=mobile\">1</a>"), "{service}");
    let consents = page(&root.get(&format!("{LIST}?kind=consents")));
    assert!(consents.contains("Name the service"), "{consents}");
    assert!(page(&root.get(&format!("{LIST}?kind=consents&client=app"))).contains("Nothing found."));
}

#[test]
fn permanent_tokens_and_application_passwords_are_found_and_ended() {
    let console = console();
    let token = permanent(&console, "jane");
    let mut root = console.signed_in("root");
    let text = page(&root.get(&format!("{LIST}?kind=tokens&service=alpha")));
    assert!(text.contains("CI &#60;1&#62;") && !text.contains(&token), "{text}");
    assert!(page(&root.get(&format!("{LIST}?kind=tokens&user=joe"))).contains("Nothing found."));
    assert!(page(&root.get(&format!("{LIST}?kind=passwords"))).contains("Nothing found."));
    assert!(works(&console, &token));
    let done = root.post(REVOKE, &first(&text));
    after(&mut root, &done);
    assert!(!works(&console, &token));
}

#[test]
fn a_token_that_was_found_is_ended_by_its_text() {
    let console = console();
    let mut root = console.signed_in("root");
    let paste = |root: &mut Browser<'_>, text: &str, more: &[(&'static str, &'static str)]| {
        let pairs: Vec<_> = more.iter().copied().chain([("token", text)]).collect();
        let answer = root.post(PASTE, &form(&pairs));
        assert!(text.len() < 8 || !answer.text().contains(text), "{}", answer.text());
        answer
    };
    // One access token alone.
    let (access, refresh) = granted(&console, "jane");
    assert_guarded(&console, PASTE, Some(&form(&[("token", &access)])));
    assert!(works(&console, &access));
    let text = page(&paste(&mut root, &format!(" {access}\n"), &[]));
    assert!(
        text.contains("It has ended.") && text.contains("Jane (jane)") && text.contains("Mobile"),
        "{text}"
    );
    assert!(!works(&console, &access));
    let refreshed = |refresh: &str| {
        let sent = form(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
        let request = Request::form(TOKEN, &sent).basic("mobile", "mobile-secret-0123456789");
        console.gateway.send(&request)
    };
    let answer = refreshed(&refresh);
    assert_eq!(answer.status, 200, "the others of that sign-in go on");
    // With everything that came of the sign-in.
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    let next = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let text = page(&paste(&mut root, &format!("Bearer {access}"), &[("family", "on")]));
    assert!(text.contains("everything that came of the same sign-in"), "{text}");
    assert_eq!(refreshed(&next).status, 400);
    // A refresh token, a permanent token, and somebody's cookie.
    let (access, refresh) = granted(&console, "joe");
    assert!(page(&paste(&mut root, &refresh, &[])).contains("Refresh token"));
    assert!(!works(&console, &access));
    let token = permanent(&console, "jane");
    assert!(page(&paste(&mut root, &token, &[])).contains("Permanent token"));
    assert!(!works(&console, &token));
    let mut joe = console.signed_in("joe");
    let cookie = joe.cookie.clone().unwrap();
    assert!(page(&paste(&mut root, cookie.split_once('=').unwrap().1, &[])).contains("Session"));
    assert_eq!(joe.get("/hub/account").status, 303);
    // A second time, and what is none of ours.
    for (text, says) in [
        (refresh.as_str(), "There is no such token"),
        (token.as_str(), "There is no such token"),
        ("hunter2 hunter2", "This is no token of this gateway."),
        ("eyJhbGciOiJub25lIn0.e30.", "This is no token of this gateway."),
        ("", "This is no token of this gateway."),
        (&"x".repeat(16_500), "This is no token of this gateway."),
    ] {
        let answer = paste(&mut root, text, &[]);
        assert!(answer.status == 422 && answer.text().contains(says), "{says}: {}", answer.text());
    }
    for secret in [&access, &refresh, &token] {
        assert!(!console.gateway.lines().contains(secret.as_str()));
    }
}

#[test]
fn the_page_of_tokens_speaks_german() {
    let console = console();
    let mut root = console.signed_in("root");
    let text = page(&root.send(Request::get(LIST).header("Accept-Language", "de")));
    assert!(text.contains("Ein gefundenes Token beenden") && text.contains("Sitzungen"), "{text}");
}
