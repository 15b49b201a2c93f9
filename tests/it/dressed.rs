//! What a route wants to be in its answers (`response_headers`) is in the gateway's own answers there too.

use crate::support::{Answer, Gateway, Reply, Request, Upstream, process::free_port};

const HSTS: &str = "max-age=31536000; includeSubDomains";
const WANTED: &str = r#"
[upstream.response_headers]
Strict-Transport-Security = "max-age=31536000; includeSubDomains"
Permissions-Policy = "camera=()"
Content-Security-Policy = "default-src *"
X-Frame-Options = "SAMEORIGIN"
Cache-Control = "max-age=60"
WWW-Authenticate = "Basic"
Vary = "cookie"
Content-Encoding = "gzip"
ETag = '"1"'
Server = ""
"#;

fn asked(gateway: &Gateway, request: &Request) -> [Answer; 2] {
    [gateway.send(request), gateway.client().send_h2(std::slice::from_ref(request)).remove(0)]
}

fn assert_dressed(name: &str, answer: &Answer) {
    assert_eq!(answer.all("strict-transport-security"), [HSTS], "{name}");
    assert_eq!(answer.all("permissions-policy"), ["camera=()"], "{name}");
}

/// Each field that a refusal has of its own is there once, as the refusal has it.
fn assert_own(name: &str, answer: &Answer) {
    let [policy] = answer.all("content-security-policy")[..] else { panic!("{name}: {answer:?}") };
    assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
    assert_eq!(answer.all("x-frame-options"), ["DENY"], "{name}");
    assert_eq!(answer.all("cache-control"), ["no-store"], "{name}");
    assert!(answer.all("vary").iter().all(|value| !value.contains("cookie")), "{name}: {answer:?}");
    assert_eq!(
        answer.all("content-encoding").len() + answer.all("etag").len(),
        0,
        "{name}: what the upstream's content is"
    );
    if answer.status == 401 {
        let [challenge] = answer.all("www-authenticate")[..] else { panic!("{name}: {answer:?}") };
        assert!(challenge.starts_with("Bearer "), "{name}: {challenge}");
    }
}

fn route(path: &str, lines: &str) -> String {
    format!("\n[[upstream]]\nservice = \"alpha\"\npath = {path:?}\n{lines}\n{WANTED}")
}

fn public(path: &str) -> String {
    format!("\n[[upstream.rule]]\npath = \"{path}/**\"\naccess = \"public\"\n")
}

fn start(requests_per_source: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    upstream.script(|request| match request.target().as_str() {
        "/slow/x" => Reply::Hang,
        _ => Reply::raw(
            "HTTP/1.1 200 OK\r\nServer: theirs\r\nX-Frame-Options: DENY\r\nVary: accept\r\nContent-Length: 0\r\n\r\n",
        ),
    });
    let (to, down) = (upstream.origin(), free_port());
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("limits", "requests_per_source", &format!("{requests_per_source:?}"))
            .tables(&(route("/open", &format!("to = [{to:?}]")) + &public("/open")))
            .tables(&route("/closed", &format!("to = [{to:?}]\nmax_body_size = \"1KiB\"")))
            .tables(
                &(route("/ruled", &format!("to = [{to:?}]"))
                    + "\n[[upstream.rule]]\npath = \"/ruled/**\"\nclients = [\"beta\"]\n"),
            )
            .tables(
                &(route("/page", &format!("to = [{to:?}]"))
                    + "\n[[upstream.rule]]\npath = \"/page/**\"\naccess = \"browser\"\n"),
            )
            .tables(
                &(route("/few", &format!("to = [{to:?}]\nrequests_per_source = \"1/h\"")) + &public("/few")),
            )
            .tables(&(route("/slow", &format!("to = [{to:?}]\ntimeout = \"300ms\"")) + &public("/slow")))
            .tables(&(route("/down", &format!("to = [\"http://127.0.0.1:{down}\"]")) + &public("/down")));
    });
    (gateway, upstream)
}

#[test]
fn refusals_have_the_fields_of_their_route_and_keep_their_own() {
    let (gateway, upstream) = start("off");
    let good = gateway.machine_token("alpha");
    let elsewhere = gateway.machine_token("beta");
    for answer in asked(&gateway, &Request::get("/open/x")) {
        assert_eq!(answer.status, 200);
        assert_dressed("forwarded", &answer);
        assert_eq!(answer.all("content-security-policy"), ["default-src *"]);
        assert_eq!(answer.all("x-frame-options"), ["SAMEORIGIN"], "what the upstream sent is replaced");
        assert_eq!(
            (answer.all("server").len(), answer.all("content-encoding"), answer.all("etag")),
            (0, vec!["gzip"], vec!["\"1\""])
        );
    }
    assert_eq!(gateway.send(&Request::get("/few/x")).status, 200);
    let page = Request::get("/page/x")
        .header("Accept", "text/html")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    upstream.take();
    for (name, request, status) in [
        ("no token", Request::get("/closed/x"), 401),
        ("no token, for people", Request::get("/closed/x").header("Accept", "text/html"), 401),
        ("a bad token", Request::get("/closed/x").bearer("garbage"), 401),
        ("another service's token", Request::get("/closed/x").bearer(&elsewhere), 403),
        ("another client", Request::get("/ruled/x").bearer(&good), 403),
        ("to the login page", page, 302),
        ("a program without a session", Request::get("/page/x"), 401),
        ("one too many", Request::get("/few/x"), 429),
        ("too large", Request::new("POST", "/closed/x").bearer(&good).body(vec![b'x'; 1025]), 413),
        ("down", Request::get("/down/x"), 502),
        ("slow", Request::get("/slow/x"), 504),
    ] {
        for answer in asked(&gateway, &request) {
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            assert_dressed(name, &answer);
            assert_own(name, &answer);
        }
    }
    assert!(upstream.take().iter().all(|seen| seen.target() == "/slow/x"));
    // No route, no fields: what is nowhere, what cannot be read, and what is the gateway's own.
    for (request, status) in [
        (Request::get("/nowhere"), 404),
        (Request::get("/open/%2e%2e/x"), 400),
        (Request::get("/hub/nothing"), 404),
        (Request::get("/hub/api/rest/oauth2/keys"), 200),
    ] {
        for answer in asked(&gateway, &request) {
            assert_eq!(answer.status, status, "{request:?}");
            assert!(answer.all("permissions-policy").is_empty(), "{request:?}");
        }
    }
    upstream.script(|_| Reply::Describe);
    gateway.assert_innocent(&upstream, "refusals with fields");
}

#[test]
fn what_is_refused_before_its_route_is_looked_for_has_them_too() {
    let (gateway, upstream) = start("1/h");
    assert_eq!(gateway.send(&Request::get("/open/x")).status, 200);
    for answer in asked(&gateway, &Request::get("/open/x")) {
        assert_eq!(answer.status, 429);
        assert_dressed("one too many for the gateway", &answer);
        assert_own("one too many for the gateway", &answer);
    }
    for path in ["/hub/nothing", "/nowhere"] {
        for answer in asked(&gateway, &Request::get(path)) {
            assert_eq!(answer.status, 429);
            assert!(answer.all("permissions-policy").is_empty(), "{path}");
        }
    }
    assert_eq!(upstream.take().len(), 1);
}
