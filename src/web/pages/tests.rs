//! What the pages say, and that nothing in them can be more than text.

use futures_util::FutureExt as _;

use super::*;
use crate::{base::id::ServiceId, model::scope::GrantedScope, oauth::error::ErrorCode};

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;\u{202e}";

fn pages() -> Pages {
    Pages::new("https://gate.example/hub", Language::En)
}

fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).now_or_never().unwrap().unwrap();
    assert!(body.len() < 50_000, "{} bytes", body.len());
    String::from_utf8(body.to_vec()).unwrap()
}

fn policy(response: &Response) -> String {
    response.headers()["content-security-policy"].to_str().unwrap().to_owned()
}

/// No tag, attribute or entity of [`EVIL`] has come through.
fn assert_harmless(page: &str) {
    for sign in ["<script>", "alert(1)</", "<img src=x", "\"'>", "'><"] {
        assert!(!page.contains(sign), "{sign} in {page}");
    }
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    assert!(page.contains("&#38;amp;"), "{page}");
}

fn login<'a>(origins: &'a [String], text: &'a str) -> Login<'a> {
    Login {
        service: Some(text),
        icon: Some((text, text.to_owned())),
        restore: Some(text),
        message: Some(text.into()),
        login: text,
        action: text,
        tell: origins,
        ..Login::default()
    }
}

#[test]
fn nothing_from_outside_is_more_than_text() {
    let pages = pages();
    let fields = [(EVIL, EVIL.to_owned())];
    let consent = Consent {
        client: EVIL,
        name: EVIL,
        login: EVIL,
        services: &[Wanted { name: EVIL, new: true }],
        claims: &[(Claim::Identity, false)],
        icon: Some((EVIL, EVIL.to_owned())),
        home: Some(EVIL),
        again: true,
        until: EVIL,
        account: EVIL,
        destination: EVIL,
        action: EVIL,
        fields: &fields,
    };
    let password =
        NewPassword { login: EVIL, intro: EVIL, notice: Some(EVIL), action: EVIL, fields: &fields };
    let problem = Problem {
        code: ErrorCode::InvalidRequest,
        detail: EVIL,
        address: Some(EVIL.into()),
        request_id: EVIL,
    };
    let action = format!("https://a/{EVIL}");
    let post = FormPost { service: Some(EVIL), action: &action, fields: &fields };
    let mailed = Mailed {
        title: EVIL,
        text: EVIL,
        notice: None,
        action: Some(EVIL),
        name: Some(EVIL),
        button: EVIL,
        back: Some((EVIL, EVIL)),
    };
    for page in [
        pages.mailed(&mailed),
        pages.login(Login { restore: Some(EVIL), ..login(&[], EVIL) }),
        pages.consent(&consent),
        pages.new_password(&password),
        pages.problem(problem),
        pages.form_post(&post).unwrap(),
        pages.signed_out(Some((EVIL, "https://a/")), EVIL),
    ] {
        assert_harmless(&text(page));
    }
    for address in ["javascript:alert(1)", "data:text/html,x", " javascript:x", "//a", "ytoauth://x", ""] {
        let page = text(pages.signed_out(Some(("Home", address)), "/in"));
        assert_eq!(page.matches("<a ").count(), 1, "{address}: {page}");
        assert!(
            pages.form_post(&FormPost { service: Some("S"), action: address, fields: &[] }).is_none(),
            "{address}"
        );
    }
}

#[test]
fn a_command_in_advice_looks_like_one() {
    let page = text(pages().problem(Problem {
        code: ErrorCode::InvalidRedirectUri,
        detail: "it happened",
        address: None,
        request_id: "id",
    }));
    assert!(page.contains("<code>hubgate service update ID --redirect-uri ADDRESS</code>"), "{page}");
}

#[test]
fn the_login_page_talks_to_those_who_may_frame_it_and_to_nobody_else() {
    let pages = pages();
    let alone = pages.login(login(&[], "S"));
    assert!(policy(&alone).ends_with("frame-ancestors 'none'"));
    assert_eq!(alone.headers()["x-frame-options"], "DENY");
    let page = text(alone);
    assert!(!page.contains("data-tell"));

    let origins = ["https://a.example".to_owned(), "https://b.example".to_owned()];
    let framed = pages.login(Login { icon: None, ..login(&origins, "S") });
    let script = assets::script_url("https://gate.example/hub");
    assert!(
        policy(&framed)
            .ends_with(&format!("script-src {script}; frame-ancestors https://a.example https://b.example"))
    );
    assert!(framed.headers().get("x-frame-options").is_none());
    let page = text(framed);
    assert!(page.contains(&format!("<script src=\"{script}\" defer>")));
    assert!(page.contains("data-tell=\"https://a.example https://b.example\""));
}

#[test]
fn a_client_may_frame_from_its_own_addresses_unless_the_profile_forbids_it() {
    let registry = crate::model::registry::Registry::new([], "https://gate.example/hub");
    let hub = registry.by_id(ServiceId::HUB).unwrap();
    assert_eq!(framers(hub, false), ["https://gate.example"]);
    assert!(framers(hub, true).is_empty());
}

#[test]
fn the_login_page_says_what_it_is_asked_to() {
    let pages = pages();
    let view = Login {
        service: Some("YouTrack"),
        notice: Some(Notice::WrongCredentials),
        login: "jane",
        remember: true,
        action: "/hub/api/rest/oauth2/interactive/login?client_id=yt&state=a",
        ..Login::default()
    };
    let page = text(pages.login(view));
    for part in [
        "<title>Sign in to YouTrack</title>",
        "role=\"alert\" id=\"notice\">Login or password is wrong.<",
        "name=\"username\" value=\"jane\"",
        "name=\"rememberMe\" checked",
        "action=\"/hub/api/rest/oauth2/interactive/login?client_id=yt&#38;state=a\"",
        "name=\"password\" autocomplete=\"current-password\" required aria-describedby=\"notice\" autofocus",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
    let long = "<".repeat(10_000);
    let view = Login { message: Some(long.as_str().into()), login: &long, ..Login::default() };
    let page = text(pages.login(view));
    assert_eq!(
        page.matches("&#60;").count(),
        MAX_SHOWN,
        "the message is cut and no such login is taken over"
    );
    let message = Login { message: Some("\u{202e}\u{7}".into()), ..Login::default() };
    assert!(!text(pages.login(message)).contains("class=\"note\""));
}

#[test]
fn a_picture_comes_from_its_service_alone() {
    let registry = crate::model::registry::Registry::new([], "https://gate.example/hub");
    let mut service = (**registry.by_id(ServiceId::HUB).unwrap()).clone();
    service.profile.redirect_uris = vec!["https://app.example/cb".into()];
    for (url, shown) in [
        (Some("https://app.example/icon.svg"), true),
        (Some("https://gate.example/icon.svg"), true),
        (Some("https://elsewhere.example/icon.svg"), false),
        (Some("http://app.example/icon.svg"), false),
        (Some("javascript:alert(1)"), false),
        (Some("data:image/png;base64,AA"), false),
        (None, false),
    ] {
        service.profile.icon_url = url.map(str::to_owned);
        assert_eq!(icon_of(&service).is_some(), shown, "{url:?}");
    }
    service.profile.icon_url = Some("https://app.example/icon.svg".into());
    let page = pages().login(Login { icon: icon_of(&service), ..Login::default() });
    assert!(policy(&page).contains("; img-src data: https://app.example;"), "{}", policy(&page));
    assert!(text(page).contains("<img class=\"letter\" src=\"https://app.example/icon.svg\" alt=\"\""));
}

#[test]
fn the_pages_speak_german() {
    let pages = Pages::new("https://gate.example/hub", Language::De);
    let notice = Some(Notice::Throttled(std::time::Duration::from_secs(30)));
    let response = pages.login(Login { service: Some("Board"), notice, ..Login::default() });
    assert_eq!(response.headers()["content-language"], "de");
    let page = text(response);
    for part in [
        "<html lang=\"de\">",
        "<title>Bei Board anmelden</title>",
        "data-wait=\"31\"",
        "in 30 Sekunden noch einmal",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
}

#[test]
fn consent_is_asked_in_words() {
    let scope = |spelled: &str| GrantedScope {
        spelled: spelled.into(),
        services: vec![ServiceId::parse("yt").unwrap()],
    };
    assert_eq!(Claim::of(&scope("yt"), false), []);
    assert_eq!(Claim::of(&scope("yt"), true), [Claim::Offline]);
    assert_eq!(
        Claim::of(&scope("yt openid profile email groups offline_access"), false),
        [Claim::Identity, Claim::Email, Claim::Groups, Claim::Offline]
    );
    let fields = [("state", "a&b".to_owned())];
    let page = text(pages().consent(&Consent {
        client: "Board",
        name: "Jane Doe",
        login: "jane",
        icon: None,
        home: Some("https://board.example/"),
        services: &[Wanted { name: "YouTrack", new: false }, Wanted { name: "Hub", new: true }],
        claims: &[(Claim::Email, false)],
        again: true,
        until: "22 November 2027",
        account: "https://gate.example/hub/account/authorized",
        destination: "https://board.example",
        action: "/hub/auth/consent",
        fields: &fields,
    }));
    for part in [
        "Signed in as Jane Doe (jane)",
        "Use YouTrack as you<span class=\"why\">Everything that you may do there.</span>",
        "Use Hub as you <span class=\"badge mark\">New</span>",
        "See your e-mail address<span class=\"why\">",
        "It asks for more than you have allowed before.",
        "until 22 November 2027.",
        "href=\"https://gate.example/hub/account/authorized\"",
        "<input type=\"hidden\" name=\"state\" value=\"a&#38;b\">",
        "name=\"decision\" value=\"cancel\">Cancel<",
        "name=\"decision\" value=\"allow\">Allow<",
        "<code>https://board.example</code>",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
}

#[test]
fn a_posted_answer_goes_on_without_script_too() {
    let fields = [("code", "hgc_x".to_owned()), ("state", "a b".to_owned())];
    let view = FormPost { service: Some("YouTrack"), action: "https://app.example/cb", fields: &fields };
    let response = pages().form_post(&view).unwrap();
    assert!(policy(&response).contains("script-src https://gate.example/hub/auth/assets/page-"));
    assert!(policy(&response).ends_with("frame-ancestors 'none'"));
    let page = text(response);
    for part in [
        "<form method=\"post\" action=\"https://app.example/cb\" data-submit>",
        "<input type=\"hidden\" name=\"code\" value=\"hgc_x\">",
        "<button type=\"submit\">Continue</button>",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
}
