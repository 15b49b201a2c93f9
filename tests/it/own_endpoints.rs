//! What stands around the token endpoint: discovery, userinfo, what pages of other origins may read, the login page's
//! settings, our script and our cookie (RFC 8414, OpenID Connect Core section 5.3, hub-contract sections 7 to 9).

use hubgate::{
    base::{
        id::{GroupId, UserId},
        time::{Clock as _, SystemClock},
    },
    model::user::{Ban, Email, Group, User},
    store::{SharedStore, sqlite::SqliteStore},
    texts::Language,
    web::pages::{Login, Pages},
};
use serde_json::{Value, json};

use crate::support::{
    Answer, Gateway, RawClient, Request, Upstream,
    forge::{self, Key},
    gateway::{PUBLIC_URL, TOKEN, eventually},
};

const USERINFO: &str = "/hub/api/rest/oauth2/userinfo";
const SETTINGS: &str = "/hub/api/rest/oauth2/interactive/login/settings";
const DOCUMENTS: [&str; 5] = [
    "/hub/.well-known/openid-configuration",
    "/hub/api/rest/oauth2/.well-known/openid-configuration",
    "/hub/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/hub",
    "/.well-known/openid-configuration/hub",
];

fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).open("/", &upstream, "").service_with(
            "board",
            "secret = \"board-secret-0123456789\"\nhome_url = \"https://board.example/start\"\n\
             base_urls = [\"https://board.example:8443\"]\nredirect_uris = [\"https://login.board.example/cb\"]",
        );
    });
    (gateway, upstream)
}

/// What is in the store of a running gateway.
pub(crate) fn with_store<T>(gateway: &Gateway, act: impl AsyncFnOnce(SharedStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = gateway.folder().join("data").join("hubgate.db");
    runtime.block_on(async { act(std::sync::Arc::new(SqliteStore::open(&path).await.unwrap())).await })
}

pub(crate) fn user(id: &str) -> User {
    let now = SystemClock.now();
    User {
        id: UserId::parse(id).unwrap(),
        login: format!("{id}.doe"),
        name: "Jane <Doe>".into(),
        email: Some(Email { address: format!("{id}@example.org"), verified: true }),
        password: None,
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: hubgate::model::user::UserProfile::default(),
        erased: None,
        declared: false,
        created: now,
        updated: now,
    }
}

/// Tokens of people, signed with the gateway's own key.
struct Signer {
    key: Key,
    header: Value,
    claims: Value,
}

impl Signer {
    fn of(gateway: &Gateway) -> Self {
        let (header, claims) = forge::decode(&gateway.machine_token("alpha"));
        Self { key: gateway.signing_key(), header, claims }
    }

    fn token(&self, subject: &str, scope: &str, audience: &[&str]) -> String {
        let mut claims = self.claims.clone();
        claims["sub"] = json!(subject);
        claims["scope"] = json!(scope);
        claims["aud"] = json!(audience);
        claims["grant_id"] = json!("a-grant");
        self.key.sign(&self.header.to_string(), &claims.to_string())
    }
}

#[test]
fn the_document_is_the_same_under_each_of_its_names_and_goes_to_no_upstream() {
    let (gateway, upstream) = start();
    let mut seen: Option<Value> = None;
    for path in DOCUMENTS {
        // Links come from the configuration, whatever the request says (threats H6).
        let request = Request::get(path).host("evil.example").header("X-Forwarded-Host", "evil.example");
        let answer = gateway.send(&request);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        let document = answer.json();
        assert!(!answer.text().contains("evil"), "{path}");
        assert_eq!(*seen.get_or_insert_with(|| document.clone()), document, "{path}");
        let post = gateway.send(&Request::form(path, "a=b"));
        assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    let document = seen.unwrap();
    assert_eq!(document["issuer"], format!("{PUBLIC_URL}/hub"));
    for (name, path) in [
        ("authorization_endpoint", "auth"),
        ("token_endpoint", "token"),
        ("userinfo_endpoint", "userinfo"),
        ("jwks_uri", "keys"),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
        ("end_session_endpoint", "logout"),
    ] {
        assert_eq!(document[name], format!("{PUBLIC_URL}/hub/api/rest/oauth2/{path}"));
    }
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256", "plain"]));
    assert!(document["grant_types_supported"].as_array().unwrap().contains(&json!("password")));
    assert!(upstream.take().is_empty());
    // What only looks like it is the upstream's.
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration/hub/x"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 200, "{path}");
        assert_eq!(upstream.take()[0].target(), path);
    }
}

#[test]
fn the_stricter_profile_promises_less() {
    let gateway = Gateway::start(|setup| {
        setup.service("alpha", "alpha-secret-0123456789").set("oauth", "profile", "\"oauth21\"");
    });
    let document = gateway.send(&Request::get(DOCUMENTS[0])).json();
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(
        document["grant_types_supported"],
        json!(["authorization_code", "refresh_token", "client_credentials"])
    );
}

#[test]
fn a_hub_at_the_root_has_its_documents_at_the_root() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).open("/", &upstream, "").set("hub", "path", "\"\"");
    });
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        assert_eq!(gateway.send(&Request::get(path)).json()["issuer"], PUBLIC_URL, "{path}");
    }
    assert!(upstream.take().is_empty());
}

fn claims_of(gateway: &Gateway, token: &str) -> Answer {
    gateway.send(&Request::get(USERINFO).bearer(token))
}

#[test]
fn userinfo_tells_what_the_scope_names() {
    let (gateway, _upstream) = start();
    with_store(&gateway, async |store| {
        let now = SystemClock.now();
        let group = |id: &str, name: &str| Group {
            id: GroupId::parse(id).unwrap(),
            name: name.into(),
            description: None,
            icon_url: None,
            parent: None,
            auto_join: false,
            all_users: false,
            created: now,
            updated: now,
        };
        let (zoo, admins) = (group("1", "zoo"), group("2", "Admins"));
        store.add_group(&zoo).await.unwrap();
        store.add_group(&admins).await.unwrap();
        store.add_user(&User { groups: vec![zoo.id, admins.id], ..user("jane") }).await.unwrap();
    });
    let signer = Signer::of(&gateway);
    let profile = json!({"sub": "jane", "name": "Jane <Doe>", "preferred_username": "jane.doe",
        "profile": format!("{PUBLIC_URL}/hub/users/jane")});
    let token = signer.token("jane", "alpha openid", &["alpha"]);
    eventually("the gate knows jane", || claims_of(&gateway, &token).status == 200);
    let answer = claims_of(&gateway, &token);
    assert_eq!((answer.status, answer.json()), (200, profile.clone()), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut all = profile;
    all["email"] = json!("jane@example.org");
    all["email_verified"] = json!(true);
    all["groups"] = json!(["Admins", "zoo"]);
    for (scope, audience) in [("openid email groups", "alpha"), ("0-0-0-0-0", "0-0-0-0-0")] {
        let token = signer.token("jane", scope, &[audience]);
        assert_eq!(claims_of(&gateway, &token).json(), all, "{scope}");
        let posted = gateway.send(&Request::form(USERINFO, "").bearer(&token));
        assert_eq!((posted.status, posted.json()), (200, all.clone()), "{scope}");
    }
}

#[test]
fn userinfo_refuses_as_the_gate_does() {
    let (gateway, _upstream) = start();
    let now = SystemClock.now();
    with_store(&gateway, async |store| {
        store.add_user(&user("jane")).await.unwrap();
        let ban = Some(Ban { reason: "left".into(), since: now, badge: String::new() });
        store.add_user(&User { ban, ..user("banned") }).await.unwrap();
    });
    let signer = Signer::of(&gateway);
    let token = |subject, scope| signer.token(subject, scope, &["alpha"]);
    eventually("the gate knows jane", || claims_of(&gateway, &token("jane", "openid")).status == 200);
    let challenge = |answer: &Answer| answer.header("www-authenticate").unwrap_or_default().to_owned();
    let without = gateway.send(&Request::get(USERINFO));
    assert_eq!((without.status, challenge(&without)), (401, "Bearer realm=\"hubgate\"".into()));
    let tampered = token("jane", "openid") + "A";
    for bad in ["x", tampered.as_str(), &token("nobody", "openid"), &token("banned", "openid")] {
        let answer = claims_of(&gateway, bad);
        assert_eq!((answer.status, answer.error()), (401, "invalid_token".into()), "{bad}");
        assert!(challenge(&answer).contains("error=\"invalid_token\""), "{bad}");
    }
    let narrow = claims_of(&gateway, &token("jane", "alpha"));
    assert_eq!((narrow.status, narrow.error()), (403, "insufficient_scope".into()));
    assert!(challenge(&narrow).ends_with("scope=\"openid\""), "{}", challenge(&narrow));
    let service = claims_of(&gateway, &gateway.machine_token("Hub"));
    assert_eq!((service.status, service.error()), (403, "access_denied".into()));
    let good = token("jane", "openid");
    // The header is the only place.
    let in_form = Request::form(USERINFO, &format!("access_token={good}"));
    assert_eq!(gateway.send(&in_form).status, 401);
    assert_eq!(gateway.send(&Request::get(&format!("{USERINFO}?access_token={good}"))).status, 400);
    let twice = Request::get(USERINFO).bearer(&good).bearer(&good);
    assert_eq!((gateway.send(&twice).status, gateway.send(&twice).error()), (400, "invalid_request".into()));
    let deleted = gateway.send(&Request::new("DELETE", USERINFO).bearer(&good));
    assert_eq!((deleted.status, deleted.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(claims_of(&gateway, &good).status, 200);
}

/// Bodies that do not come keep nobody from what needs none, and only so many of one source are waited for.
#[test]
fn bodies_that_never_come_hold_up_nobody_else() {
    let (gateway, _upstream) = start();
    let head = format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\n"
    );
    let mut waiting: Vec<_> = (0..64)
        .map(|_| {
            let mut client = gateway.raw();
            client.send(&head);
            client
        })
        .collect();
    let body = "grant_type=client_credentials";
    assert_eq!(body.len(), 29);
    eventually("one more is told to wait", || gateway.send(&Request::form(TOKEN, body)).status == 503);
    for path in ["/hub/auth/login", "/hub/api/rest/oauth2/keys", "/hub/errors/invalid_grant"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 200, "{path}");
    }
    // The ones that wait are answered when they come, and their places are free again.
    for client in &mut waiting {
        client.send(body);
        assert_eq!(client.answer().unwrap().status, 400);
    }
    assert_eq!(gateway.send(&Request::form(TOKEN, body)).status, 400);
}

#[test]
fn pages_of_registered_services_may_read_answers_and_others_may_not() {
    let (gateway, _upstream) = start();
    let preflight = |origin: &str, path: &str| {
        gateway.send(
            &Request::new("OPTIONS", path)
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "authorization,hub-api-version"),
        )
    };
    let refused = "grant_type=client_credentials";
    for origin in ["https://board.example", "https://board.example:8443", "https://login.board.example"] {
        let asked = preflight(origin, TOKEN);
        assert_eq!((asked.status, asked.body.len()), (204, 0), "{origin}");
        assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
        assert!(asked.header("access-control-allow-headers").unwrap().contains("Hub-API-Version"));
        assert_eq!(asked.header("vary"), Some("origin"));
        // A refusal is for the page to read as well as a success.
        let answer = gateway.send(&Request::form(TOKEN, refused).header("Origin", origin));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("access-control-expose-headers").unwrap().contains("WWW-Authenticate"));
        let userinfo = gateway.send(&Request::get(USERINFO).header("Origin", origin));
        assert_eq!(userinfo.header("access-control-allow-origin"), Some(origin));
        // What the gate refuses on the way to a service too: a page has to learn that its token is over.
        let gate = gateway.send(&Request::get("/api/x").header("Origin", origin));
        assert_eq!((gate.status, gate.header("access-control-allow-origin")), (401, Some(origin)));
        assert!(gate.header("access-control-expose-headers").unwrap().contains("WWW-Authenticate"));
    }
    for origin in
        ["https://evil.example", "null", "https://board.example.evil.example", "http://board.example"]
    {
        let asked = preflight(origin, TOKEN);
        assert_eq!(asked.status, 204);
        assert!(!asked.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{origin}");
        let answer = gateway.send(&Request::form(TOKEN, refused).header("Origin", origin));
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert!(answer.all("vary").contains(&"origin"), "{origin}");
        let gate = gateway.send(&Request::get("/api/x").header("Origin", origin));
        assert_eq!((gate.status, gate.header("access-control-allow-origin")), (401, None), "{origin}");
    }
    let form = gateway.send(
        &Request::form("/hub/api/rest/oauth2/interactive/login", "username=a")
            .header("Origin", "https://board.example"),
    );
    assert_eq!(form.header("access-control-allow-origin"), None);
}

#[test]
fn the_login_page_has_settings_and_a_script() {
    let (gateway, _upstream) = start();
    let settings = gateway.send(&Request::get(&format!("{SETTINGS}?client_id=board")));
    assert_eq!(
        (settings.status, settings.json()),
        (200, json!({"serviceName": "board by name", "homeUrl": "https://board.example/start"}))
    );
    for bad in ["", "?client_id=nobody", "?client_id=", "?client_id=board&client_id=board"] {
        let answer = gateway.send(&Request::get(&format!("{SETTINGS}{bad}")));
        assert_eq!((answer.status, answer.error()), (400, "invalid_request".into()), "{bad:?}");
    }
    let tell = ["https://board.example".to_owned()];
    let page = Pages::new("/hub", Language::En).login(Login { tell: &tell, ..Login::default() });
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let script = policy.split("script-src ").nth(1).unwrap().split(';').next().unwrap();
    let answer = gateway.send(&Request::get(script));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert!(answer.header("cache-control").unwrap().contains("immutable"));
    assert!(answer.text().contains("HUB_AUTH_PAGE_OPENED"));
    assert_eq!(gateway.send(&Request::get("/hub/auth/assets/page.js")).status, 404);
}

#[test]
fn no_page_of_ours_is_framed_or_guessed() {
    let (gateway, _upstream) = start();
    for path in ["/hub/errors/invalid_grant", "/hub/nothing", "/nothing-public"] {
        let answer = gateway.send(&Request::get(path).header("Accept", "text/html"));
        if answer.header("content-type") != Some("text/html; charset=utf-8") {
            continue;
        }
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    let page = gateway.send(&Request::get("/hub/errors/invalid_grant"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn our_cookie_never_reaches_an_upstream() {
    let (gateway, upstream) = start();
    for (sent, arrives) in [
        (&["__Host-hubgate=hgs_secret"][..], None),
        (&["a=1; __Host-hubgate=hgs_secret; b=2"], Some("a=1; b=2")),
        (&["a=1", "__Host-hubgate=hgs_secret"], Some("a=1")),
        (&["__HOST-HUBGATE=hgs_secret; a=1"], Some("a=1")),
        (&["a=1;__Host-hubgate=hgs_secret;b=2"], Some("a=1; b=2")),
        (&["  __Host-hubgate  =hgs_secret; b=2"], Some("b=2")),
        (&["__Host-hubgate=hgs_secret; __Host-hubgate=hgs_secret"], None),
        (&["__Host-hubgateway=hgs_secret; c=3"], Some("c=3")),
        (&["a=1; b=2"], Some("a=1; b=2")),
    ] {
        let request =
            sent.iter().fold(Request::get("/public/x"), |request, cookie| request.header("Cookie", cookie));
        assert_eq!(gateway.send(&request).status, 200);
        assert_eq!(gateway.client().send_h2(std::slice::from_ref(&request))[0].status, 200);
        for seen in upstream.wait_for(2) {
            let head = String::from_utf8_lossy(&seen.head).into_owned();
            assert!(!head.contains("hgs_secret"), "{sent:?}: {head}");
            assert_eq!(seen.header("cookie").as_deref(), arrives, "{sent:?}");
        }
        upstream.take();
    }
    let mut raw: RawClient = gateway.raw();
    raw.send(b"GET /public/x HTTP/1.1\r\nHost: a\r\nCookie:\t__Host-hubgate=hgs_secret\t\r\n\r\n");
    assert_eq!(raw.answer_to("GET").unwrap().status, 200);
    assert_eq!(upstream.take()[0].header("cookie"), None);
}
