//! The pages of people who are signed in, from outside: what they show, what their forms do and refuse.

mod access;
mod account;
mod basics;
mod observe;
mod people;
mod second_step;
mod services;

use crate::support::{
    Answer, Gateway, Request, Setup, Upstream,
    browser::{Browser, own},
};

/// Of every declared user.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A gateway with an administrator `root`, users `jane` and `joe`, and a service `app` with a home and a route `/api`.
pub(crate) struct Console {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

impl Console {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(more: impl FnOnce(&mut Setup)) -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            let who = |name: &str| {
                let login = name.to_lowercase();
                format!("name = \"{name}\"\nemail = \"{login}@example.org\"\npassword = \"{PASSWORD}\"")
            };
            setup
                .standard(&upstream)
                .service_with(
                    "app",
                    "secret = \"app-secret-0123456789\"\nhome_url = \"https://app.example/\"\nredirect_uris = [\"https://app.example/cb\"]",
                )
                .user("root", &format!("{}\nadministrator = true", who("Root")))
                .user("jane", &who("Jane"))
                .user("joe", &who("Joe"));
            more(setup);
        });
        Self { gateway, upstream }
    }

    /// A browser on which somebody is signed in.
    pub(crate) fn signed_in(&self, login: &str) -> Browser<'_> {
        let mut browser = Browser::new(&self.gateway);
        let answer = browser.log_in("", login, PASSWORD);
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }
}

/// The text of a page that is shown.
#[track_caller]
pub(crate) fn page(answer: &Answer) -> String {
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(text.len() < 50_000, "{} bytes", text.len());
    assert!(!text.contains(" style=") && !text.contains(" onclick="), "{text}");
    text
}

/// Follows the redirect after a form.
#[track_caller]
pub(crate) fn after(browser: &mut Browser<'_>, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let next = own(answer);
    page(&browser.get(&next))
}

/// Asks for `path`, a page or (with a form) its action, as nobody, as a person of another kind, and from another site's page:
/// what each page has to refuse.
pub(crate) fn assert_guarded(console: &Console, path: &str, form: Option<&str>) {
    let mut nobody = Browser::new(&console.gateway);
    let answer = match form {
        None => nobody.get(path),
        Some(form) => nobody.post(path, form),
    };
    assert_eq!(answer.status, 303, "{path}: {}", answer.text());
    assert!(own(&answer).starts_with("/hub/auth/login?back=%2Fhub%2F"), "{path}: {}", own(&answer));
    if path.starts_with("/hub/admin") {
        let mut jane = console.signed_in("jane");
        let answer = match form {
            None => jane.send(Request::get(path).header("Accept", "text/html")),
            Some(form) => jane.post(path, form),
        };
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert!(answer.text().contains("access_denied"), "{path}: {}", answer.text());
    }
    if let Some(form) = form {
        let mut root = console.signed_in("root");
        for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
            let answer = root.send(Request::form(path, form).header(name, value));
            assert_eq!(answer.status, 403, "{path} {name}: {}", answer.text());
        }
    }
}
