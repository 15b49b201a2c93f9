//! The flows as an attacker goes through them: addresses that are not registered, text that would like to be a header or
//! markup, credentials in the place of others (threats O2 to O7, O9 to O13, T3, T4, T11, T15, T23, S15, H6).

use super::{APP_SECRET, CB, PASSWORD, ask, call, code, configure, exchange, refresh, start, tokens};
use crate::support::{
    Answer, Gateway, Request, Upstream,
    browser::{AUTH, Browser, LOGIN, brought, form, hidden, own, parameter},
    forge,
    gateway::{PUBLIC_URL, TOKEN},
};

const LOGIN_PAGE: &str = "/hub/auth/login";
const CONSENT: &str = "/hub/auth/consent";
const NEW_PASSWORD: &str = "/hub/auth/password";
const LOGOUT: &str = "/hub/api/rest/oauth2/logout";
const INTROSPECT: &str = "/hub/api/rest/oauth2/introspect";
const REVOKE: &str = "/hub/api/rest/oauth2/revoke";
const USERINFO: &str = "/hub/api/rest/oauth2/userinfo";

fn signed_in(gateway: &Gateway) -> Browser<'_> {
    let mut browser = Browser::new(gateway);
    browser.sign_in(&ask("app", ""), "jane", PASSWORD);
    browser
}

/// Nearly the address that `app` has registered, or what a careless reader would take for it (O2).
const ALMOST: &[&str] = &[
    "https://app.example/cb/",
    "https://app.example/CB",
    "HTTPS://app.example/cb",
    "https://APP.example/cb",
    "https://app.example:443/cb",
    "https://app.example/cb?x",
    "https://app.example/cb?",
    "https://app.example/cb#",
    "https://app.example/cb#f",
    "https://app.example/cb/../evil",
    "https://app.example/cb/..%2Fevil",
    "https://app.example/cb%2f..",
    "https://app.example/cb/..;/e",
    "https://app.example//cb",
    "https://app.example/./cb",
    "https://app.example/%63b",
    "//app.example/cb",
    "///app.example/cb",
    "https:app.example/cb",
    "https:/app.example/cb",
    "https:\\\\app.example\\cb",
    "https://app.example.evil.com/cb",
    "https://app.example@evil.com/cb",
    "https://app.example%40evil.com/cb",
    "https://evil.com\\@app.example/cb",
    "https://user:pass@app.example/cb",
    "https://app.example%00.evil.com/cb",
    "https://appXexample/cb",
    "http://app.example/cb",
    "https://app.example./cb",
    "https://xn--pp-tla.example/cb",
    "https://\u{430}pp.example/cb",
    "https://app.example/cb\t",
    "\thttps://app.example/cb",
    " https://app.example/cb",
    "https://app.example/cb\n",
    "https://app.example/cb\r\nX-Injected: 1",
    "https://app.exa\nmple/cb",
    "https://app.example/cb,https://evil.com",
    "https://app.example/cb https://evil.com",
    "javascript:alert(1)",
    "javascript://app.example/cb%0aalert(1)",
    "data:text/html,x",
    "/cb",
    "cb",
    "./cb",
    "?",
    "https://app.example/",
    "https://gateway.example:8443/hub",
    "*",
    "https://*/cb",
    "null",
];

/// O1, O2: whichever page of ours is asked, nothing leads to an address that is not registered, and nothing is given out.
#[test]
fn almost_registered_is_not_registered() {
    let (gateway, upstream) = start();
    let mut browser = signed_in(&gateway);
    for uri in ALMOST {
        for kind in ["code", "token"] {
            let query = form(&[("client_id", "app"), ("redirect_uri", uri), ("response_type", kind)]);
            let wrong = form(&[("username", "jane"), ("password", "wrong")]);
            let right = form(&[("username", "jane"), ("password", PASSWORD)]);
            let consent = form(&[("decision", "cancel"), ("ticket", "x")]);
            let posted = browser.post(AUTH, &query);
            let answers = [
                browser.get(&own(&posted)),
                browser.authorize(&query),
                browser.authorize(&format!("{query}&prompt=none")),
                browser.authorize(&format!("{query}&request_credentials=silent_logout")),
                browser.authorize(&format!("{query}&response_mode=form_post")),
                browser.get(&format!("{LOGIN_PAGE}?{query}")),
                browser.post(&format!("{LOGIN}?{query}"), &wrong),
                browser.post(&format!("{LOGIN}?{query}"), &right),
                browser.get(&format!("{CONSENT}?{query}")),
                browser.post(&format!("{CONSENT}?{query}"), &consent),
            ];
            for answer in answers {
                assert_eq!((answer.status, answer.header("location")), (400, None), "{uri:?}");
                assert!(!answer.text().contains("hgc_") && !answer.text().contains("<form"), "{uri:?}");
                assert_eq!(answer.header("x-injected"), None, "{uri:?}");
            }
        }
        let out = form(&[("client_id", "app"), ("post_logout_redirect_uri", uri)]);
        let answer = browser.get(&format!("{LOGOUT}?{out}"));
        assert_eq!((answer.status, answer.header("location")), (400, None), "{uri:?}");
    }
    parameter(&brought(&browser.authorize(&ask("app", "")), CB), "code");
    assert_eq!(upstream.count(), 0);
}

/// O3: a loopback address varies in its port and in nothing else.
#[test]
fn a_loopback_address_varies_in_its_port_alone() {
    let (gateway, _upstream) = start();
    let mut browser = signed_in(&gateway);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let mut asked = |uri: &str| {
        let query = form(&[
            ("client_id", "phone"),
            ("redirect_uri", uri),
            ("response_type", "code"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ]);
        browser.authorize(&query)
    };
    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "phone://cb"] {
        parameter(&brought(&asked(uri), uri), "code");
    }
    for uri in [
        "http://127.0.0.1:80@evil.com/cb",
        "http://127.0.0.1@evil.com/cb",
        "http://127.0.0.1.evil.com/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:80/cb/",
        "http://127.0.0.1:80/cb?x=1",
        "http://127.0.0.1:80/../cb",
        "http://127.0.0.1:80#@evil.com/cb",
        "http://127.0.0.1:80\\@evil.com/cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://127.0.0.2/cb",
        "http://localhost/cb",
        "http://localhost@evil.com/cb",
        "http://[::1]/cb",
        "https://127.0.0.1/cb",
        "HTTP://127.0.0.1/cb",
        "phone://cb/",
        "phone://CB",
        "phone:cb",
        "phone2://cb",
    ] {
        let answer = asked(uri);
        assert_eq!((answer.status, answer.header("location")), (400, None), "{uri:?}");
    }
}

/// O4: a service without a redirect URI learns none.
#[test]
fn a_service_without_an_address_learns_none() {
    let (gateway, _upstream) = start();
    let mut browser = signed_in(&gateway);
    for _ in 0..3 {
        for uri in ["https://evil.example/cb", "", "/"] {
            let query = form(&[("client_id", "alpha"), ("redirect_uri", uri), ("response_type", "code")]);
            let answer = browser.authorize(&query);
            assert_eq!((answer.status, answer.header("location")), (400, None), "{uri:?}");
        }
    }
    // Nor does our own hub, which everybody knows the id of.
    let query = form(&[("client_id", "0-0-0-0-0"), ("redirect_uri", PUBLIC_URL), ("response_type", "token")]);
    assert_eq!(browser.authorize(&query).status, 400);
}

/// O5, H6: whatever is said to any page under any name, and whatever host is named, we lead to ourselves or to where the
/// client is registered.
#[test]
fn no_page_of_ours_leads_away() {
    let (gateway, _upstream) = start();
    let evil = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/%09/evil.example",
        "https://gateway.example:8443@evil.example/",
        "https://gateway.example:8443.evil.example/",
    ];
    let names = ["return_to", "next", "url", "continue", "problem", "state", "message", "login_hint", "rd"];
    for target in evil {
        let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, target)).collect();
        let alone = form(&pairs);
        pairs.extend([("client_id", "app"), ("redirect_uri", CB), ("response_type", "code")]);
        let full = form(&pairs);
        let password = form(&[("username", "jane"), ("password", PASSWORD)]);
        for query in [&alone, &full] {
            let mut browser = signed_in(&gateway);
            let answers = [
                browser.post(&format!("{LOGIN}?{query}"), &form(&[("username", "x"), ("password", "wrong")])),
                browser.post(&format!("{LOGIN}?{query}"), &password),
                browser.get(&format!("{AUTH}?{query}")),
                browser.get(&format!("{LOGIN_PAGE}?{query}")),
                browser.get(&format!("{NEW_PASSWORD}?{query}")),
                browser.post(&format!("{NEW_PASSWORD}?{query}"), "newPassword=a&newPasswordAgain=a"),
                browser.get(&format!("{CONSENT}?{query}")),
                browser.send(
                    Request::get(&format!("/hub/?{query}"))
                        .host("evil.example")
                        .header("X-Forwarded-Host", "evil.example")
                        .header("Forwarded", "host=evil.example"),
                ),
                browser.get(&format!("/hub/?{query}")),
                browser.get(&format!(
                    "{LOGOUT}?{query}&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
                )),
            ];
            for answer in answers {
                let Some(location) = answer.header("location") else { continue };
                let good = location.starts_with(&format!("{PUBLIC_URL}/hub/"))
                    || location.starts_with(&format!("{CB}?"));
                assert!(good, "{target:?} leads to {location}");
            }
        }
    }
}

/// S15: text of a request or a record is text, wherever it comes out.
#[test]
fn text_is_neither_a_header_nor_markup() {
    const MARKUP: &str = "\"'></code><script>alert(1)</script><img src=x onerror=alert(1)>&amp;";
    const LINES: &str = "x\r\nX-Injected: 1\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>";
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        let lines = format!(
            "secret = \"{APP_SECRET}\"\nhome_url = \"https://app.example/\"\nredirect_uris = [\"{CB}\"]\nconsent_required = true"
        );
        setup
            .named_service("marked", "<script>alert(1)</script>\"'>", &lines)
            .user("mark", &format!("name = \"<script>alert(1)</script>\\\"'>\"\npassword = \"{PASSWORD}\""));
    });
    let check = |answer: &Answer, what: &str| {
        let page = answer.text();
        assert_eq!(answer.header("x-injected"), None, "{what}");
        assert!(answer.all("set-cookie").iter().all(|set| set.starts_with("__Host-hubgate=")), "{what}");
        for markup in ["<script>alert", "<img src=x", "onerror=alert(1)>", "'></code>"] {
            assert!(!page.contains(markup), "{what}: {page}");
        }
        if let Some(location) = answer.header("location") {
            assert!(!location.contains(['\r', '\n', '<', '"', '\'']), "{what}: {location}");
        }
    };
    let mut mark = Browser::new(&gateway);
    let marked = ask("marked", "&scope=alpha+marked");
    check(&mark.get(&format!("{LOGIN_PAGE}?{marked}")), "the login page of a service");
    let to_consent = mark.sign_in(&marked, "mark", PASSWORD);
    let consent = mark.get(&own(&to_consent));
    assert!(consent.text().contains("&lt;script&gt;") || consent.text().contains("&#60;script&#62;"));
    check(&consent, "the consent page");
    check(&mark.get("/hub/"), "home");
    for text in [MARKUP, LINES] {
        let names = ["state", "nonce", "message", "login_hint", "problem", "error_description", text];
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, text)).collect();
        let all = form(&pairs);
        let asked = format!(
            "{}&{all}",
            form(&[("client_id", "app"), ("redirect_uri", CB), ("response_type", "code")])
        );
        for query in [
            asked.clone(),
            format!("{asked}&response_mode=form_post"),
            format!("{asked}&prompt=none&max_age=x"),
            asked.replace("response_type=code", &form(&[("response_type", text)])),
            asked.replace("response_type=code", "response_type=token"),
            format!("{asked}&{}", form(&[("scope", text)])),
            format!("{asked}&{}", form(&[("prompt", text)])),
            format!("{asked}&{}", form(&[(text, text)])),
            all.clone(),
            form(&[("client_id", text)]),
            form(&[("client_id", "app"), ("redirect_uri", text), ("response_type", "code")]),
        ] {
            for path in [AUTH, LOGIN_PAGE, CONSENT, NEW_PASSWORD, LOGOUT, "/hub/"] {
                // Signing out comes last, with a browser of its own.
                let mut nobody = Browser::new(&gateway);
                check(&nobody.get(&format!("{path}?{query}")), &format!("{path} {text:?}"));
                if path != LOGOUT {
                    check(&mark.get(&format!("{path}?{query}")), &format!("{path} {text:?}, signed in"));
                }
            }
            let wrong = form(&[("username", text), ("password", text)]);
            check(&Browser::new(&gateway).post(&format!("{LOGIN}?{query}"), &wrong), "signing in");
        }
        let encoded = form(&[("", text)]).replace('+', "%20");
        check(&mark.get(&format!("/hub/errors/{}", &encoded[1..].replace("%2F", "x"))), "an error page");
        check(&mark.get(&format!("/hub/auth/assets/{}", &encoded[1..].replace("%2F", "x"))), "an asset");
    }
    // What a form carries to a client arrives there as it was.
    let state = MARKUP;
    let query = format!(
        "{}&response_mode=form_post",
        form(&[("client_id", "app"), ("redirect_uri", CB), ("response_type", "code"), ("state", state)])
    );
    let page = mark.authorize(&query);
    assert_eq!(page.status, 200);
    assert!(hidden(&page.text(), "code").starts_with("hgc_"));
    check(&page, "form_post");
}

/// O7: `state` comes back byte for byte, absent stays absent, and the issuer is named in every answer.
#[test]
fn state_comes_back_as_it_was() {
    let (gateway, _upstream) = start();
    let mut browser = signed_in(&gateway);
    let long = "s".repeat(2048);
    for state in ["a&b=c#d+e f%20%", "\u{e4}\u{1f600}\u{202e}", "https://app.example/x?a=b&c=d;e", " ", &long]
    {
        for (more, kind) in [("", "code"), ("", "token"), ("&prompt=none&scope=nobody", "code")] {
            let query = format!(
                "{}{more}",
                form(&[
                    ("client_id", "app"),
                    ("redirect_uri", CB),
                    ("response_type", kind),
                    ("state", state)
                ])
            );
            let parameters = brought(&browser.authorize(&query), CB);
            assert_eq!(parameter(&parameters, "state"), state);
            assert_eq!(parameter(&parameters, "iss"), format!("{PUBLIC_URL}/hub"));
        }
    }
    let without = form(&[("client_id", "app"), ("redirect_uri", CB), ("response_type", "code")]);
    for more in ["", "&state=", "&scope=nobody"] {
        let parameters = brought(&browser.authorize(&format!("{without}{more}")), CB);
        assert!(parameters.iter().all(|(name, _)| name != "state"), "{more}: {parameters:?}");
    }
}

/// T11, T15, T23: each credential is good in its own place, and in no other.
#[test]
fn no_credential_passes_for_another() {
    let (gateway, upstream) = start();
    let mut browser = Browser::new(&gateway);
    let query = ask("app", "&scope=alpha+openid+offline_access&nonce=n");
    let answer = browser.sign_in(&query, "jane", PASSWORD);
    let exchanged = exchange(&gateway, "app", parameter(&brought(&answer, CB), "code"));
    let (access, refresh_token) = tokens(&exchanged);
    let refresh_token = refresh_token.unwrap();
    let id_token = exchanged.json()["id_token"].as_str().unwrap().to_owned();
    let code = parameter(&brought(&browser.authorize(&query), CB), "code").to_owned();
    let cookie = browser.cookie.clone().unwrap().trim_start_matches("__Host-hubgate=").to_owned();
    let all = [
        ("access", &access),
        ("refresh", &refresh_token),
        ("id", &id_token),
        ("code", &code),
        ("cookie", &cookie),
    ];
    let swapped = |from: &str, to: &str, value: &str| value.replacen(from, to, 1);
    let forged = [
        ("a code called a refresh token", swapped("hgc_", "hgr_", &code)),
        ("a cookie called a refresh token", swapped("hgs_", "hgr_", &cookie)),
        ("a refresh token called a code", swapped("hgr_", "hgc_", &refresh_token)),
        ("a cookie called a code", swapped("hgs_", "hgc_", &cookie)),
        ("a code called a cookie", swapped("hgc_", "hgs_", &code)),
        ("a refresh token called a cookie", swapped("hgr_", "hgs_", &refresh_token)),
    ];
    let others = forged.iter().map(|(name, value)| (*name, value));
    upstream.take();
    for (name, value) in all.into_iter().chain(others) {
        if name != "access" {
            assert_eq!(call(&gateway, value), 401, "{name} at the gate");
            assert_eq!(gateway.send(&Request::get(USERINFO).bearer(value)).status, 401, "{name} at userinfo");
        }
        if name != "refresh" {
            assert_eq!(
                refresh(&gateway, "app", value, "").error(),
                "invalid_grant",
                "{name} as refresh token"
            );
        }
        if name != "code" {
            assert_eq!(exchange(&gateway, "app", value).error(), "invalid_grant", "{name} as a code");
        }
        if name != "cookie" {
            let mut other = Browser::new(&gateway);
            other.cookie = Some(format!("__Host-hubgate={value}"));
            assert!(
                own(&other.authorize(&ask("app", ""))).starts_with("/hub/auth/login?"),
                "{name} as a cookie"
            );
            assert!(own(&other.get("/hub/")).starts_with("/hub/auth/login"), "{name} as a cookie");
        }
        if !["access", "refresh"].contains(&name) {
            let asked = Request::form(INTROSPECT, &form(&[("token", value)])).basic("app", APP_SECRET);
            assert_eq!(gateway.send(&asked).text().trim(), r#"{"active":false}"#, "{name} introspected");
            let ended = Request::form(REVOKE, &form(&[("token", value)])).basic("app", APP_SECRET);
            assert_eq!(gateway.send(&ended).status, 200, "{name} revoked");
        }
        // The secret of a client is none of these.
        let body = form(&[("grant_type", "client_credentials"), ("scope", "alpha")]);
        let answer = gateway.send(&Request::form(TOKEN, &body).basic("app", value));
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"), "{name} as a secret");
    }
    assert_eq!(upstream.count(), 0, "nothing was forwarded");
    // None of this has spent or ended what is good.
    assert_eq!(call(&gateway, &access), 200);
    tokens(&refresh(&gateway, "app", &refresh_token, ""));
    tokens(&exchange(&gateway, "app", &code));
}

/// T15: what an upstream gets in place of a token opens that upstream's own service and nothing else.
#[test]
fn the_token_of_an_upstream_opens_nothing_else() {
    let (gateway, upstream) = start();
    let code = code(&gateway, "app", "&scope=alpha+beta+0-0-0-0-0+openid+email+groups");
    let (access, _) = tokens(&exchange(&gateway, "app", &code));
    assert_eq!(gateway.send(&Request::get(USERINFO).bearer(&access)).status, 200);
    assert_eq!(gateway.send(&Request::get("/beta/x").bearer(&access)).status, 200);
    upstream.take();
    assert_eq!(call(&gateway, &access), 200);
    let scoped = upstream.take().remove(0).header("authorization").expect("a token of its own");
    let scoped = scoped.trim_start_matches("Bearer ").to_owned();
    let claims = forge::decode(&scoped).1;
    assert_eq!((&claims["aud"], claims["scope"].as_str()), (&serde_json::json!(["alpha"]), Some("alpha")));
    assert_eq!(gateway.send(&Request::get("/beta/x").bearer(&scoped)).status, 403);
    assert_eq!(upstream.count(), 0, "beta got nothing");
    let told = gateway.send(&Request::get(USERINFO).bearer(&scoped));
    assert_eq!((told.status, told.error().as_str()), (403, "insufficient_scope"));
    assert_eq!(refresh(&gateway, "app", &scoped, "").error(), "invalid_grant");
    assert_eq!(exchange(&gateway, "app", &scoped).error(), "invalid_grant");
    let revoke = |client: &str, secret: &str| {
        let request = Request::form(REVOKE, &form(&[("token", &scoped)])).basic(client, secret);
        assert_eq!(gateway.send(&request).status, 200);
    };
    revoke("alpha", "alpha-secret-0123456789");
    assert_eq!(call(&gateway, &access), 200, "the upstream's service ends nothing");
    revoke("app", APP_SECRET);
    assert_eq!((call(&gateway, &access), call(&gateway, &scoped)), (401, 401), "the two are one token");
}

/// T3, T4, T14: a code and a refresh token are judged by what the service is when they are used.
#[test]
fn a_service_is_judged_as_it_is_now() {
    let (gateway, _upstream) = start();
    let bare = code(&gateway, "app", "&scope=alpha&access_type=offline");
    let verifier = "v".repeat(43);
    let proven =
        code(&gateway, "app", &format!("&scope=alpha&access_type=offline&code_challenge={verifier}"));
    let (_, kept) =
        tokens(&exchange(&gateway, "app", &code(&gateway, "app", "&scope=alpha&access_type=offline")));
    let before = gateway.config_text();
    let service = format!("id = \"app\"\nname = \"app by name\"\nsecret = \"{APP_SECRET}\"");
    assert!(before.contains(&service), "{before}");
    let public = before.replace(&service, "id = \"app\"\nname = \"app by name\"\npublic = true");
    gateway.reload(&public).unwrap();
    let body = |code: &str| {
        form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CB),
            ("client_id", "app"),
        ])
    };
    let answer = gateway.send(&Request::form(TOKEN, &body(&bare)));
    assert_eq!(answer.error(), "invalid_grant", "neither a secret nor a verifier: {}", answer.text());
    // What was bound to its secret is over: now anybody could use it who has copied it (RFC 6749 section 6).
    let spent = format!("{}&code_verifier={verifier}", body(&proven));
    assert_eq!(gateway.send(&Request::form(TOKEN, &spent)).error(), "invalid_grant");
    let old =
        form(&[("grant_type", "refresh_token"), ("refresh_token", &kept.unwrap()), ("client_id", "app")]);
    assert_eq!(gateway.send(&Request::form(TOKEN, &old)).error(), "invalid_grant");
    // What it obtains as a public service needs the verifier.
    let proven = code(&gateway, "app", &format!("&scope=alpha&code_challenge={verifier}"));
    let unproven = code(&gateway, "app", &format!("&scope=alpha&code_challenge={verifier}"));
    assert_eq!(gateway.send(&Request::form(TOKEN, &body(&unproven))).error(), "invalid_grant");
    let right = format!("{}&code_verifier={verifier}", body(&proven));
    tokens(&gateway.send(&Request::form(TOKEN, &right)));
    gateway.reload(&before).unwrap();
    let (_, kept) =
        tokens(&exchange(&gateway, "app", &code(&gateway, "app", "&scope=alpha&access_type=offline")));
    // A flow that is switched off takes nothing that came of it before.
    let off = before.replace(&service, &format!("{service}\nflows = [\"client_credentials\"]"));
    gateway.reload(&off).unwrap();
    assert_eq!(refresh(&gateway, "app", &kept.clone().unwrap(), "").error(), "unauthorized_client");
    assert_eq!(exchange(&gateway, "app", &bare).error(), "unauthorized_client");
    gateway.reload(&before).unwrap();
    tokens(&refresh(&gateway, "app", &kept.unwrap(), ""));
}

/// A browser that knows no Fetch metadata sends "null" as the origin of a form on a page that says `no-referrer`, and cannot be
/// told from another page's. On the pages with our own forms it is told otherwise, and still tells others nothing.
#[test]
fn forms_of_ours_may_tell_us_where_they_stand_and_nobody_else() {
    let (gateway, _upstream) = start();
    let mut browser = Browser::new(&gateway);
    let login = own(&browser.authorize(&ask("app", "")));
    let page = browser.get(&login);
    assert_eq!((page.status, page.header("referrer-policy")), (200, Some("same-origin")));
    // The address of the gateway under test is an IP address, or has a port: other services may be on that host.
    assert_eq!(page.header("strict-transport-security"), None);
    for answer in [browser.authorize(&ask("app", "")), browser.log_in(&ask("app", ""), "jane", PASSWORD)] {
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{}", answer.status);
    }
}

/// RFC 6749 section 10.3, RFC 9700 sections 4.2 and 4.16, Fetch: no answer that carries a credential is kept, told on by a
/// browser, framed, or read by a page of another origin.
#[test]
fn answers_with_credentials_stay_between_two() {
    let (gateway, _upstream) = start();
    let mut browser = signed_in(&gateway);
    let page = |answer: &Answer, what: &str| {
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{what}");
        // A page with a form of ours has an address without a credential, and tells it to us alone.
        let ours =
            [LOGIN_PAGE, CONSENT, "/hub/"].into_iter().any(|page| what.split('?').next() == Some(page));
        let policy = if ours && answer.status == 200 { "same-origin" } else { "no-referrer" };
        assert_eq!(answer.header("referrer-policy"), Some(policy), "{what}");
        for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert_eq!(answer.header(name), None, "{what}");
        }
    };
    let mut send = |target: &str| {
        browser.send(
            Request::get(target).header("Origin", "https://app.example").header("Sec-Fetch-Mode", "cors"),
        )
    };
    let implicit = ask("app", "&scope=openid&nonce=n").replace("=code", "=id_token+token");
    for query in [ask("app", ""), implicit, ask("app", "&scope=nobody"), ask("nobody", "")] {
        page(&send(&format!("{AUTH}?{query}")), &query);
    }
    for target in [
        format!("{AUTH}?{}", ask("app", "&response_mode=form_post")),
        format!("{LOGIN_PAGE}?{}", ask("asking", "")),
        LOGIN_PAGE.to_owned(),
        format!("{CONSENT}?{}", ask("asking", "&scope=alpha")),
        "/hub/".to_owned(),
        format!("{AUTH}?{}", ask("nobody", "")),
    ] {
        let answer = send(&target);
        page(&answer, &target);
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe-inline'; script") && !policy.contains("script-src 'unsafe"),
            "{policy}"
        );
        // The login page alone, in the older profile, and by the asking service's own pages.
        let framed = target.contains("/auth/login?");
        assert_eq!(policy.contains("frame-ancestors 'none'"), !framed, "{target}: {policy}");
        assert_eq!(policy.contains("frame-ancestors https://app.example"), framed, "{target}: {policy}");
        assert_eq!(answer.header("x-frame-options").is_none(), framed, "{target}");
    }
    // Posts as well, with the answer of each in the 303 that drops the body.
    let login = format!("{LOGIN}?{}", ask("app", ""));
    let answer = browser.post(&login, &form(&[("username", "jane"), ("password", PASSWORD)]));
    assert_eq!(answer.status, 303);
    page(&answer, "signing in");
    assert!(answer.header("set-cookie").unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
    let out = browser.get(LOGOUT);
    page(&out, "signing out");
    assert_eq!(
        out.header("set-cookie"),
        Some("__Host-hubgate=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    );
    // The token endpoint may be read by pages of registered services, and by no others.
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false), ("null", false)]
    {
        let code = code(&gateway, "app", "");
        let body = form(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CB)]);
        let request = Request::form(TOKEN, &body).basic("app", APP_SECRET).header("Origin", origin);
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(
            (answer.header("cache-control"), answer.header("pragma")),
            (Some("no-store"), Some("no-cache"))
        );
    }
}

/// Anonymous requests write little, and those that a page of another site causes shut nobody out.
#[test]
fn notes_of_rejected_addresses_are_few() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        configure(setup, &upstream);
        setup.set("limits", "rejections_per_source", "\"20/m\"");
    });
    for n in 0..60 {
        let uri = format!("https://evil.example/{n}");
        let query = form(&[("client_id", "app"), ("redirect_uri", &uri), ("response_type", "code")]);
        let path = [AUTH, LOGIN_PAGE, CONSENT][n % 3];
        assert_eq!(gateway.send(&Request::get(&format!("{path}?{query}"))).status, 400);
    }
    let shown = gateway.command(&["service", "show", "app", "--json"]);
    assert!(shown.contains("https://evil.example/9\""), "{shown}");
    assert!(!shown.contains("https://evil.example/10\""), "{shown}");
    // The same source signs in, and its tokens are looked at.
    let code = code(&gateway, "app", "&scope=alpha");
    assert_eq!(call(&gateway, &tokens(&exchange(&gateway, "app", &code)).0), 200);
}

/// T9: whose word it is where a request comes from.
#[test]
fn guesses_are_counted_whatever_headers_come_along() {
    let (gateway, _upstream) = start();
    let body = form(&[("username", "jane"), ("password", "wrong")]);
    let mut throttled = false;
    for n in 0..40 {
        let address = format!("198.51.100.{n}");
        let request = Request::form(&format!("{LOGIN}?{}", ask("app", "")), &body)
            .header("X-Forwarded-For", &address)
            .header("X-Real-IP", &address)
            .header("Forwarded", &format!("for={address}"))
            .header("True-Client-IP", &address);
        throttled |= own(&gateway.send(&request)).contains("hub-auth-throttled-");
    }
    assert!(throttled);
}
