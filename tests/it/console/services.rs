//! Pages of services: found, registered, changed, given secrets, removed.

use super::{Console, after, assert_guarded, page};
use crate::{
    own_endpoints::with_store,
    support::{
        Request,
        browser::{AUTH, Browser, form, hidden, own},
        gateway::{TOKEN, eventually},
    },
};

const LIST: &str = "/hub/admin/services";
const NEW: &str = "/hub/admin/services/new";

/// Registers a service by the form. Returns the answer.
fn register(root: &mut Browser<'_>, pairs: &[(&str, &str)]) -> crate::support::Answer {
    let once = hidden(&page(&root.get(NEW)), "once");
    let all: Vec<_> = pairs.iter().copied().chain([("once", once.as_str())]).collect();
    root.post(NEW, &form(&all))
}

/// The id that a page shows.
fn id_in(text: &str) -> String {
    let (_, rest) = text.split_once("<code id=\"id\">").unwrap_or_else(|| panic!("{text}"));
    rest.split('<').next().unwrap().to_owned()
}

/// Makes a service for a test. Returns its id and secret.
fn made(root: &mut Browser<'_>, name: &str) -> (String, String) {
    let text = page(&register(root, &[("name", name), ("redirect_uris", "https://made.example/cb")]));
    (id_in(&text), secret_in(&text))
}

fn secret_in(text: &str) -> String {
    let (_, rest) = text.split_once("id=\"made\" value=\"").unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The settings of a page of [`made`] as a browser would send them, with some of them changed.
fn settings<'a>(changed: &[(&'a str, &'a str)]) -> String {
    let usual = [
        ("name", "Made"),
        ("redirect_uris", "https://made.example/cb"),
        ("trusted", "on"),
        ("consent", "on"),
        ("rotate", "on"),
        ("flow", "authorization_code"),
    ];
    let kept = usual.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    form(&kept.chain(changed).copied().collect::<Vec<_>>())
}

#[test]
fn services_are_found_while_one_types() {
    let console = Console::with(|setup| {
        setup.named_service(
            "odd",
            "<script>alert(1)</script>",
            "secret = \"odd-secret-0123456789\"\nhome_url = \"https://odd.example/?a=\\\"&b\"",
        );
        for n in 0..60 {
            setup.service(&format!("many{n:02}"), "many-secret-0123456789");
        }
    });
    let mut root = console.signed_in("root");
    let all = page(&root.get(LIST));
    assert!(all.contains("1 to 50 of") && all.contains("skip=50\">Next<"), "{all}");
    let odd = page(&root.get(&format!("{LIST}?q=ALERT")));
    assert!(odd.contains("&#60;script&#62;alert(1)") && !odd.contains("<script>alert"), "{odd}");
    assert!(!odd.contains("many00") && odd.contains("In gateway.toml"), "{odd}");
    let routed = page(&root.get(&format!("{LIST}?q=alpha")));
    assert!(routed.contains("<code>/api</code>") && routed.contains("never"), "{routed}");
    let two = page(&root.get(&format!("{LIST}?q=many+59")));
    assert!(two.contains("many59") && !two.contains("many58"), "{two}");
    assert!(page(&root.get(&format!("{LIST}?q=nosuchservice"))).contains("Nothing found."));
    let last = page(&root.get(&format!("{LIST}?skip=999999")));
    assert!(last.contains("Nothing found."), "{last}");
    // What was used is told.
    let token = console.gateway.machine_token("alpha");
    console.gateway.send(&Request::get("/api/x").bearer(&token));
    eventually("the use is seen", || page(&root.get(&format!("{LIST}?q=alpha"))).contains("<time datetime="));
    let shown = page(&root.get(&format!("{LIST}/alpha")));
    assert!(shown.contains(">machine by name</a>") && shown.contains(&console.upstream.origin()), "{shown}");
    assert_guarded(&console, LIST, None);
    assert_guarded(&console, &format!("{LIST}/alpha"), None);
    assert_eq!(root.get(&format!("{LIST}/nobody")).status, 404);
    assert_eq!(root.get(&format!("{LIST}/%2e%2e%00")).status, 400);
}

#[test]
fn a_service_is_registered_in_one_short_form() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let typed = [
        ("name", "My <Board>"),
        ("home_url", "https://board.example/"),
        ("redirect_uris", " https://board.example/cb \r\n\r\noauth"),
        ("kind", "confidential"),
    ];
    let answer = register(&mut root, &typed);
    let text = page(&answer);
    assert!(text.contains("<h1>My &#60;Board&#62; is registered</h1>"), "{text}");
    let (id, secret) = (id_in(&text), secret_in(&text));
    assert!(text.contains(&format!("service = \"{id}\"\npath = \"/my-board\"")), "{text}");
    assert!(text.contains(&format!("curl -s -u &#39;{id}:{secret}&#39;")), "{text}");
    // It works at once, for itself and for people.
    assert!(!console.gateway.token(&id, &secret, &id).is_empty());
    let query = form(&[
        ("client_id", &id),
        ("redirect_uri", "https://board.example/oauth"),
        ("response_type", "code"),
        ("scope", &id),
    ]);
    assert_eq!(own(&root.get(&format!("{AUTH}?{query}"))).split('?').next(), Some("/hub/auth/consent"));
    // Its page does not show the secret again, and the log has never seen it.
    let shown = page(&root.get(&format!("{LIST}/{id}")));
    assert!(!shown.contains(&secret) && shown.contains("value=\"https://board.example/\""), "{shown}");
    assert!(shown.contains(">\nhttps://board.example/cb\noauth</textarea>"), "{shown}");
    assert!(!console.gateway.lines().contains(&secret));

    // A public one has no secret, and leads to its page.
    let answer = register(&mut root, &[("name", "Phone"), ("kind", "public")]);
    let text = after(&mut root, &answer);
    assert!(text.contains("Created.") && text.contains("Public") && !text.contains("id=\"made\""), "{text}");
    assert_guarded(&console, NEW, None);
    assert_guarded(&console, NEW, Some("name=Evil"));
    assert!(!page(&root.get(&format!("{LIST}?q=evil"))).contains("Evil"));
}

#[test]
fn a_button_that_is_pressed_twice_registers_once() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let once = hidden(&page(&root.get(NEW)), "once");
    let sent = form(&[("name", "Twice"), ("once", &once)]);
    let (first, second) = (page(&root.post(NEW, &sent)), page(&root.post(NEW, &sent)));
    assert_eq!((id_in(&first), secret_in(&first)), (id_in(&second), secret_in(&second)));
    let list = page(&root.get(&format!("{LIST}?q=twice")));
    assert_eq!(list.matches(">Twice</a>").count(), 1, "{list}");
    let once = hidden(&page(&root.get(NEW)), "once");
    let sent = form(&[("name", "Bare"), ("kind", "public"), ("once", &once)]);
    let (first, second) = (own(&root.post(NEW, &sent)), own(&root.post(NEW, &sent)));
    assert_eq!(first, second);
}

#[test]
fn mistakes_stand_at_their_fields_and_nothing_is_lost() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    for (name, value, says) in [
        ("name", "", "This is needed."),
        ("name", "app by name", "Another service has this name."),
        ("name", "APP BY NAME", "Another service has this name."),
        ("name", "hub", "This name has a meaning of its own in a scope."),
        ("home_url", "javascript:alert(1)", "has to begin with http:// or https://"),
        ("home_url", "https://u:p@a.example/", "contains a user name or password"),
        ("redirect_uris", "https://a.example/cb\njavascript:alert(1)", "must never receive a token"),
        ("redirect_uris", "https://a.example/#x", "everything from # on"),
        ("redirect_uris", "//a.example/", "has no scheme"),
    ] {
        let usual = [("name", "Typed"), ("home_url", "https://typed.example/"), ("redirect_uris", "kept")];
        let kept = usual.iter().filter(|(other, _)| *other != name);
        let sent: Vec<_> = kept.copied().chain([(name, value)]).collect();
        let answer = register(&mut root, &sent);
        let text = answer.text();
        assert_eq!(answer.status, 422, "{value}: {text}");
        assert!(text.contains(says) && text.contains(&format!("id=\"{name}-mistake\"")), "{value}: {text}");
        for (other, kept) in usual.iter().filter(|(other, _)| *other != name) {
            assert!(text.contains(kept), "{other} is lost: {text}");
        }
    }
    let long = "x".repeat(101);
    let answer = register(&mut root, &[("name", &long)]);
    assert!(answer.status == 422 && answer.text().contains("1 to 100 characters"), "{}", answer.text());
    // What was refused can be mended and sent again.
    let refused = register(&mut root, &[("name", "Mended"), ("home_url", "x")]).text();
    let sent = form(&[("name", "Mended"), ("once", &hidden(&refused, "once"))]);
    assert!(page(&root.post(NEW, &sent)).contains("Mended is registered"));
}

#[test]
fn settings_are_saved_as_they_are_typed() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let (id, secret) = made(&mut root, "Made");
    let url = format!("{LIST}/{id}");
    let sent = form(&[
        ("name", "Made anew"),
        ("home_url", "https://anew.example/"),
        ("base_urls", "https://anew.example/a\nhttps://anew.example/b"),
        ("redirect_uris", "https://anew.example/cb"),
        ("icon_url", "https://anew.example/icon.png"),
        ("vendor", "Anew & Sons"),
        ("description", "Two\nlines"),
        ("consent", "on"),
        ("pkce", "on"),
        ("flow", "authorization_code"),
        ("flow", "implicit"),
    ]);
    let saved = root.post(&url, &sent);
    let text = after(&mut root, &saved);
    assert!(text.contains("Saved.") && text.contains("<h1>Made anew</h1>"), "{text}");
    for part in [
        ">\nhttps://anew.example/a\nhttps://anew.example/b</textarea>",
        "value=\"https://anew.example/icon.png\"",
        "value=\"Anew &#38; Sons\"",
        ">\nTwo\nlines</textarea>",
        "name=\"pkce\" value=\"on\" checked",
        "name=\"flow\" value=\"implicit\" checked",
        "name=\"consent\" value=\"on\" checked",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    for part in [
        "name=\"trusted\" value=\"on\" checked",
        "name=\"rotate\" value=\"on\" checked",
        "name=\"flow\" value=\"password\" checked",
    ] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    // Not trusted any more: no token for itself.
    let asked = Request::form(TOKEN, "grant_type=client_credentials").basic(&id, &secret);
    assert_eq!(console.gateway.send(&asked).status, 400);

    for (sent, field, says) in [
        (settings(&[("name", "app by name")]), "name", "Another service has this name."),
        (settings(&[("icon_url", "data:image/svg+xml,x")]), "icon_url", "http:// or https://"),
        (settings(&[("base_urls", "x")]), "base_urls", "http:// or https://"),
        (settings(&[("vendor", &"v".repeat(101))]), "vendor", "too long"),
        (
            settings(&[("public", "on"), ("rotate", "")]).replace("&rotate=", ""),
            "rotate",
            "have to change with each use",
        ),
    ] {
        let answer = root.post(&url, &sent);
        let text = answer.text();
        assert_eq!(answer.status, 422, "{sent}: {text}");
        assert!(text.contains(&format!("id=\"{field}-mistake\"")) && text.contains(says), "{sent}: {text}");
    }
    assert!(page(&root.get(&url)).contains("<h1>Made anew</h1>"), "what was refused changed nothing");
    assert_guarded(&console, &url, Some(&settings(&[("name", "Evil")])));
    // Twice is as good as once, and nobody undoes what another has changed meanwhile.
    let seen = hidden(&page(&root.get(&url)), "seen");
    for _ in 0..2 {
        assert_eq!(root.post(&url, &settings(&[("seen", &seen)])).status, 303);
    }
    let answer = root.post(&url, &settings(&[("seen", &seen), ("name", "Stale")]));
    let text = answer.text();
    assert!(answer.status == 409 && text.contains("while you were typing"), "{text}");
    assert!(text.contains("value=\"Stale\"") && text.contains("<h1>Made</h1>"), "{text}");
    // Public: the secret is gone, and what it was good for.
    let sent = settings(&[("public", "on")]);
    let saved = root.post(&url, &sent);
    let text = after(&mut root, &saved);
    assert!(!text.contains("Generate a secret"), "{text}");
    let refused = root.post(&format!("{url}/secret"), "");
    assert!(refused.status == 422 && refused.text().contains("name=\"name\""), "{}", refused.text());
}

#[test]
fn a_form_whose_session_ended_is_not_lost_and_keeps_no_secret() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let (id, _) = made(&mut root, "Made");
    let url = format!("{LIST}/{id}");
    let mut nobody = Browser::new(&console.gateway);
    let login = own(&nobody.post(&url, &settings(&[("name", "Kept & kept")])));
    let back = nobody.log_in(login.split_once('?').unwrap().1, "root", super::PASSWORD);
    let shown = page(&nobody.get(&own(&back)));
    assert!(shown.contains("Kept &#38; kept"), "{shown}");
    let mut nobody = Browser::new(&console.gateway);
    let login = own(&nobody.post(&format!("{url}/secret"), "secret=typed-secret-0123456789&grace=0"));
    let back = nobody.log_in(login.split_once('?').unwrap().1, "root", super::PASSWORD);
    let shown = page(&nobody.get(&own(&back)));
    assert!(!shown.contains("typed-secret") && shown.contains("value=\"0\""), "{shown}");
}

#[test]
fn secrets_are_made_chosen_and_followed_by_grace() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let (id, first) = made(&mut root, "Made");
    let url = format!("{LIST}/{id}");
    let works = |secret: &str| {
        let asked = Request::form(TOKEN, &form(&[("grant_type", "client_credentials"), ("scope", &id)]));
        console.gateway.send(&asked.basic(&id, secret)).status == 200
    };
    let mut send = |path: &str, more: &[(&str, &str)]| {
        let once = hidden(&page(&root.get(&url)), "once");
        let pairs: Vec<_> = more.iter().copied().chain([("once", once.as_str())]).collect();
        let sent = form(&pairs);
        let answer = root.post(&format!("{url}{path}"), &sent);
        (answer, root.post(&format!("{url}{path}"), &sent))
    };
    let (answer, again) = send("/secret", &[("grace", "86400")]);
    let text = page(&answer);
    let second = secret_in(&text);
    assert_eq!(secret_in(&page(&again)), second, "a button that is pressed twice makes one secret");
    assert!(text.contains("The one before is accepted until") && second != first, "{text}");
    assert!(works(&first) && works(&second));
    let (answer, again) = send("/grace", &[]);
    assert_eq!((answer.status, again.status), (303, 303));
    assert!(!works(&first) && works(&second));
    // Chosen, and without grace.
    let (answer, _) = send("/secret", &[("grace", "0"), ("secret", "chosen-secret-0123456789")]);
    assert_eq!(answer.status, 303);
    assert!(!works(&second) && works("chosen-secret-0123456789"));
    for (more, says) in [
        (&[("grace", "0"), ("secret", "short")][..], "12 to 200 ASCII characters"),
        (&[("grace", "99999999")], "Choose one of the times."),
        (&[("grace", "-1")], "Choose one of the times."),
    ] {
        let (answer, _) = send("/secret", more);
        assert!(answer.status == 422 && answer.text().contains(says), "{more:?}: {}", answer.text());
        assert!(!answer.text().contains("short\""), "{}", answer.text());
    }
    assert!(works("chosen-secret-0123456789"));
    for path in ["/secret", "/grace"] {
        assert_guarded(&console, &format!("{url}{path}"), Some("grace=0"));
    }
    assert!(works("chosen-secret-0123456789"));
    for secret in [&first, &second, "chosen-secret-0123456789"] {
        assert!(!console.gateway.lines().contains(secret));
    }
}

#[test]
fn untrusted_addresses_are_accepted_or_dismissed() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let (id, _) = made(&mut root, "Made");
    let url = format!("{LIST}/{id}");
    let (good, bad, odd) = (
        "https://made.example/other",
        "https://evil.example/\"><script>alert(1)</script>",
        "javascript:alert(1)",
    );
    let ask = |uri: &str| {
        let query =
            form(&[("client_id", &id), ("redirect_uri", uri), ("response_type", "code"), ("scope", &id)]);
        Browser::new(&console.gateway).get(&format!("{AUTH}?{query}")).status
    };
    assert_eq!((ask(good), ask(bad), ask(odd)), (400, 400, 400));
    let text = page(&root.get(&url));
    assert!(text.contains("Untrusted addresses") && text.contains(good), "{text}");
    assert!(!text.contains("<script>alert"), "{text}");
    let send = |root: &mut Browser<'_>, uri: &str, verb: &str| {
        root.post(&format!("{url}/redirects"), &form(&[("uri", uri), ("do", verb)]))
    };
    assert_guarded(&console, &format!("{url}/redirects"), Some(&form(&[("uri", good), ("do", "accept")])));
    assert_eq!(ask(good), 400);
    for _ in 0..2 {
        let saved = send(&mut root, good, "accept");
        assert!(after(&mut root, &saved).contains("Saved."));
    }
    assert_eq!(ask(good), 302, "what was accepted leads to the login page");
    let refused = send(&mut root, odd, "accept");
    assert!(
        refused.status == 422 && refused.text().contains("must never receive a token"),
        "{}",
        refused.text()
    );
    let refused = send(&mut root, "https://never.example/asked", "accept");
    assert!(
        refused.status == 422 && refused.text().contains("not in the list any more"),
        "{}",
        refused.text()
    );
    for uri in [bad, odd, bad] {
        assert_eq!(send(&mut root, uri, "dismiss").status, 303);
    }
    let text = page(&root.get(&url));
    assert!(!text.contains("Untrusted addresses") && text.contains(good), "{text}");
    assert_eq!(send(&mut root, good, "nonsense").status, 303);
}

#[test]
fn what_the_file_declares_is_changed_there() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let url = format!("{LIST}/app");
    let text = page(&root.get(&url));
    assert!(text.contains("gateway.toml declares this service."), "{text}");
    assert!(!text.contains("name=\"vendor\"") && !text.contains("Remove this service"), "{text}");
    let answer = root.post(&url, &settings(&[("name", "Renamed")]));
    assert_eq!(answer.status, 422);
    let answer = root.post(&format!("{url}/remove"), "confirm=app+by+name");
    assert!(answer.status == 409 && answer.text().contains("gateway.toml declares"), "{}", answer.text());
    assert!(page(&root.get(LIST)).contains(">app by name</a>"));
    // The gateway's own.
    let own_page = page(&root.get(&format!("{LIST}/0-0-0-0-0")));
    assert!(own_page.contains("This is the gateway itself") && !own_page.contains("<textarea"), "{own_page}");
    for path in ["", "/secret", "/grace", "/remove"] {
        let answer = root.post(&format!("{LIST}/0-0-0-0-0{path}"), &settings(&[("confirm", "Hub")]));
        assert!([303, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    assert!(page(&root.get(&format!("{LIST}/0-0-0-0-0"))).contains("<h1>Hub</h1>"));
}

#[test]
fn a_service_is_removed_when_its_name_is_typed() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let (id, secret) = made(&mut root, "Made");
    let token = console.gateway.token(&id, &secret, "0-0-0-0-0");
    let me = || console.gateway.send(&Request::get("/hub/api/rest/services/me").bearer(&token)).status;
    assert_eq!(me(), 200);
    let url = format!("{LIST}/{id}/remove");
    assert_guarded(&console, &url, Some("confirm=Made"));
    for wrong in ["", "confirm=", "confirm=made"] {
        let answer = root.post(&url, wrong);
        assert!(
            answer.status == 422 && answer.text().contains("is not the same"),
            "{wrong}: {}",
            answer.text()
        );
    }
    assert_eq!(me(), 200);
    let removed = root.post(&url, "confirm=Made");
    assert!(after(&mut root, &removed).contains("Removed."));
    assert_eq!(me(), 401, "what it had obtained is dead");
    assert_eq!(own(&root.post(&url, "confirm=Made")), LIST, "twice does no harm");
    assert_eq!(root.get(&format!("{LIST}/{id}")).status, 404);
    let events = with_store(&console.gateway, async |store| store.list_services().await.unwrap());
    assert!(events.iter().all(|service| service.id.as_str() != id));
}

#[test]
fn pages_of_services_speak_german() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    for (path, says) in [
        (LIST.to_owned(), "Dienst eintragen"),
        (NEW.to_owned(), "Rücksprungadressen"),
        (format!("{LIST}/app"), "Wer ihn benutzt"),
    ] {
        let text = page(&root.send(Request::get(&path).header("Accept-Language", "de")));
        assert!(text.contains(says), "{path}: {text}");
    }
}
