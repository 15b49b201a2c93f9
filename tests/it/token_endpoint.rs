//! The token endpoint as Hub's clients use it (hub-contract 3, threats T5 and T21): who may ask, what they get, and the
//! exact answer to everything else.

use crate::support::{
    Answer, Gateway, Request, Upstream,
    forge::{self, base64},
    gateway::{KEYS, PUBLIC_URL, TOKEN},
    wire,
};

const GRANT: &str = "grant_type=client_credentials";
/// A secret with everything that Basic authentication and forms treat specially.
const ODD_SECRET: &str = "p:s w+%41/=&é\" and more";
const ODD_ENCODED: &str = "p%3As+w%2B%2541%2F%3D%26%C3%A9%22+and+more";

fn start() -> Gateway {
    Gateway::start(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .service("beta", "beta-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .named_service(
                "98071167-004c-4ddf-ba37-5d4599fdf319",
                "YouTrack",
                "secret = \"youtrack-secret-0123456789\"",
            )
            .named_service("slack", "YouTrack Slack Integration", "secret = \"slack-secret-0123456789\"")
            .service_with("odd", &format!("secret = {ODD_SECRET:?}"))
            .service_with("silent", "")
            .service_with("public", "public = true")
            .service_with("untrusted", "secret = \"untrusted-secret-0123456789\"\ntrusted = false")
            .service_with(
                "browser",
                "secret = \"browser-secret-0123456789\"\nflows = [\"authorization_code\", \"refresh_token\"]",
            );
    })
}

/// What every answer of the endpoint has.
fn assert_headers(answer: &Answer, name: &str) {
    assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"), "{name}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    assert_eq!(answer.header("pragma"), Some("no-cache"), "{name}");
    assert!(answer.header("x-request-id").is_some(), "{name}");
    assert_eq!(answer.header("server"), None, "{name}");
}

fn assert_granted(answer: &Answer, scope: &str, name: &str) -> serde_json::Value {
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert_headers(answer, name);
    assert_eq!(answer.header("www-authenticate"), None, "{name}");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer", "{name}");
    assert_eq!(body["expires_in"].as_u64(), Some(3600), "{name}");
    assert_eq!(body["scope"], scope, "{name}");
    assert!(body.get("refresh_token").is_none(), "{name}: client credentials have no refresh token");
    forge::decode(body["access_token"].as_str().expect("access_token")).1
}

/// A refusal: 401 with a challenge where the header was used for a client that is not authenticated, else 400.
fn assert_refused(answer: &Answer, error: &str, challenged: bool, name: &str) {
    assert_eq!(answer.error(), error, "{name}: {} {}", answer.status, answer.text());
    assert_eq!(answer.status, if challenged { 401 } else { 400 }, "{name}: {}", answer.text());
    assert_headers(answer, name);
    match answer.header("www-authenticate") {
        Some(challenge) => {
            assert!(challenged, "{name}: {challenge}");
            assert!(challenge.starts_with("Basic realm=\""), "{name}: {challenge}");
        }
        None => assert!(!challenged, "{name}: no challenge"),
    }
    let body = answer.json();
    let description = body["error_description"].as_str().unwrap_or_else(|| panic!("{name}: no description"));
    let printable = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    assert!(!description.is_empty() && description.chars().all(printable), "{name}: {description:?}");
    assert_eq!(body["error_uri"], format!("{PUBLIC_URL}/hub/errors/{error}"), "{name}");
    assert!(body.get("access_token").is_none(), "{name}");
}

fn post(form: &str) -> Request {
    Request::form(TOKEN, form)
}

fn basic_raw(credentials: impl AsRef<[u8]>) -> Request {
    let value = format!("Basic {}", base64(credentials));
    post(&format!("{GRANT}&scope=alpha")).header("Authorization", &value)
}

#[test]
fn clients_authenticate_in_every_way_that_hubs_clients_use() {
    let gateway = start();
    let form = format!("{GRANT}&scope=alpha");
    let header = |value: &str| post(&form).header("Authorization", value);
    let plain = base64("machine:machine-secret-0123456789");
    for (name, request) in [
        ("Basic", post(&form).basic("machine", "machine-secret-0123456789")),
        ("basic, lower case", header(&format!("basic {plain}"))),
        ("BASIC, upper case", header(&format!("BASIC {plain}"))),
        ("without padding", header(&format!("Basic {}", plain.trim_end_matches('=')))),
        ("CR LF after the secret", basic_raw("machine:machine-secret-0123456789\r\n")),
        ("LF after the secret", basic_raw("machine:machine-secret-0123456789\n")),
        ("an encoded id", basic_raw("%6dachine:machine-secret-0123456789")),
        ("an encoded secret", basic_raw("machine:machine%2Dsecret-0123456789")),
        ("in the body", post(&format!("{form}&client_id=machine&client_secret=machine-secret-0123456789"))),
        (
            "in the body, first",
            post(&format!("client_id=machine&client_secret=machine-secret-0123456789&{form}")),
        ),
        (
            "in the body, encoded",
            post(&format!("{form}&client_id=%6Dachine&client_secret=machine%2dsecret-0123456789")),
        ),
        (
            "Basic and the same id in the body",
            post(&format!("{form}&client_id=machine")).basic("machine", "machine-secret-0123456789"),
        ),
        ("an odd secret in Basic", basic_raw(format!("odd:{ODD_ENCODED}"))),
        ("an odd secret in the body", post(&format!("{form}&client_id=odd&client_secret={ODD_ENCODED}"))),
    ] {
        let answer = gateway.send(&request);
        let claims = assert_granted(&answer, "alpha", name);
        let who = if name.contains("odd") { "odd" } else { "machine" };
        assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(who), Some(who)), "{name}");
    }
}

#[test]
fn clients_that_are_not_authenticated() {
    let gateway = start();
    let form = format!("{GRANT}&scope=alpha");
    let header = |value: &str| post(&form).header("Authorization", value);
    let body = |id: &str, secret: &str| post(&format!("{form}&client_id={id}&client_secret={secret}"));
    let (yes, no) = (true, false);
    for (name, request, error, challenged) in [
        ("nobody", post(&form), "invalid_client", no),
        ("an id alone", post(&format!("{form}&client_id=machine")), "invalid_client", no),
        (
            "a secret alone",
            post(&format!("{form}&client_secret=machine-secret-0123456789")),
            "invalid_request",
            no,
        ),
        ("a wrong secret", post(&form).basic("machine", "wrong"), "invalid_client", yes),
        (
            "a secret with more",
            post(&form).basic("machine", "machine-secret-01234567891"),
            "invalid_client",
            yes,
        ),
        (
            "a secret with less",
            post(&form).basic("machine", "machine-secret-012345678"),
            "invalid_client",
            yes,
        ),
        ("another case", post(&form).basic("machine", "Machine-Secret"), "invalid_client", yes),
        (
            "another client's secret",
            post(&form).basic("machine", "alpha-secret-0123456789"),
            "invalid_client",
            yes,
        ),
        ("an empty secret", post(&form).basic("machine", ""), "invalid_client", yes),
        (
            "an unknown client",
            post(&form).basic("nobody", "machine-secret-0123456789"),
            "invalid_client",
            yes,
        ),
        (
            "an id in another case",
            post(&form).basic("Machine", "machine-secret-0123456789"),
            "invalid_client",
            yes,
        ),
        ("an empty id", post(&form).basic("", "machine-secret-0123456789"), "invalid_client", yes),
        ("a service without a secret", post(&form).basic("silent", ""), "invalid_client", yes),
        ("a service without a secret, guessed", post(&form).basic("silent", "silent"), "invalid_client", yes),
        ("a very long secret", post(&form).basic("machine", &"s".repeat(5000)), "invalid_client", yes),
        ("a wrong secret in the body", body("machine", "wrong"), "invalid_client", no),
        ("an empty secret in the body", body("machine", ""), "invalid_client", no),
        ("an unknown client in the body", body("nobody", "machine-secret-0123456789"), "invalid_client", no),
        ("a service without a secret in the body", body("silent", ""), "invalid_client", no),
        ("no colon", basic_raw("machine"), "invalid_client", yes),
        ("a decoded colon", basic_raw("machine%3Amachine-secret"), "invalid_client", yes),
        ("no base64", header("Basic !!!!"), "invalid_client", yes),
        ("nothing after Basic", header("Basic"), "invalid_client", yes),
        ("not UTF-8", basic_raw(b"machine:\xff\xfe"), "invalid_client", yes),
        ("NUL in the secret", basic_raw(b"machine:machine-secret-0123456789\0"), "invalid_client", yes),
        ("not UTF-8 when decoded", basic_raw("machine:%ff"), "invalid_client", yes),
        ("a bearer token", header("Bearer machine-secret-0123456789"), "invalid_request", no),
        ("an unknown scheme", header("Digest machine-secret-0123456789"), "invalid_request", no),
        (
            "Basic and a secret in the body",
            body("machine", "machine-secret-0123456789").basic("machine", "machine-secret-0123456789"),
            "invalid_request",
            no,
        ),
        (
            "Basic and a wrong secret in the body",
            body("machine", "wrong").basic("machine", "machine-secret-0123456789"),
            "invalid_request",
            no,
        ),
        (
            "wrong Basic and a secret in the body",
            body("machine", "machine-secret-0123456789").basic("machine", "wrong"),
            "invalid_request",
            no,
        ),
        (
            "Basic twice",
            post(&form)
                .basic("machine", "machine-secret-0123456789")
                .basic("machine", "machine-secret-0123456789"),
            "invalid_request",
            no,
        ),
        (
            "Basic in a list",
            header(&format!("Basic {}, Basic eDp5", base64("machine:machine-secret-0123456789"))),
            "invalid_client",
            yes,
        ),
    ] {
        let answer = gateway.send(&request);
        // A header that cannot be read may be called malformed in either way (hub-contract 3.1 has both).
        let unreadable = [
            "no colon",
            "a decoded colon",
            "no base64",
            "nothing after Basic",
            "not UTF-8",
            "NUL in",
            "in a list",
        ]
        .iter()
        .any(|n| name.contains(n));
        if unreadable && answer.error() == "invalid_request" {
            assert_refused(&answer, "invalid_request", false, name);
        } else {
            assert_refused(&answer, error, challenged, name);
        }
    }
    let another = post(&format!("{form}&client_id=alpha")).basic("machine", "machine-secret-0123456789");
    let answer = gateway.send(&another);
    assert!(matches!(answer.error().as_str(), "invalid_request" | "invalid_client"), "{}", answer.text());
}

/// T5, T6: nobody learns which services exist.
#[test]
fn an_unknown_client_and_a_wrong_secret_get_the_same_answer() {
    let gateway = start();
    let form = format!("{GRANT}&scope=alpha");
    let shape = |request: &Request| {
        let answer = gateway.send(request);
        let mut body = answer.json();
        body["request_id"] = "-".into();
        let length = answer.header("content-length").map(str::to_owned);
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
        (answer.status, headers, body.to_string(), length)
    };
    let wrong = shape(&post(&form).basic("machine", "wrong"));
    for (id, secret) in [
        ("nobody", "wrong"),
        ("silent", "wrong"),
        ("98071167-004c-4ddf-ba37-000000000000", "wrong"),
        ("public", "wrong"),
        ("machine", ""),
    ] {
        assert_eq!(shape(&post(&form).basic(id, secret)), wrong, "{id}");
    }
    let body = |id: &str| post(&format!("{form}&client_id={id}&client_secret=wrong"));
    assert_eq!(shape(&body("nobody")), shape(&body("machine")));
}

#[test]
fn scopes_are_services_by_id_or_name() {
    let gateway = start();
    let youtrack = "98071167-004c-4ddf-ba37-5d4599fdf319";
    for (sent, echoed, audience) in [
        ("alpha", "alpha", &["alpha"][..]),
        ("alpha+beta", "alpha beta", &["alpha", "beta"]),
        ("beta%20alpha", "beta alpha", &["beta", "alpha"]),
        (youtrack, youtrack, &[youtrack]),
        ("YouTrack", "YouTrack", &[youtrack]),
        ("YouTrack+0-0-0-0-0", "YouTrack 0-0-0-0-0", &[youtrack, "0-0-0-0-0"]),
        ("0-0-0-0-0", "0-0-0-0-0", &["0-0-0-0-0"]),
        ("YouTrack%2520Slack%2520Integration", "YouTrack%20Slack%20Integration", &["slack"]),
        (
            "alpha+YouTrack%2520Slack%2520Integration",
            "alpha YouTrack%20Slack%20Integration",
            &["alpha", "slack"],
        ),
        ("machine", "machine", &["machine"]),
    ] {
        let answer = gateway
            .send(&post(&format!("{GRANT}&scope={sent}")).basic("machine", "machine-secret-0123456789"));
        let claims = assert_granted(&answer, echoed, sent);
        assert_eq!(claims["aud"], serde_json::json!(audience), "{sent}");
        assert_eq!(claims["scope"], echoed, "{sent}");
        assert_eq!(claims["iss"], format!("{PUBLIC_URL}/hub"), "{sent}");
    }
    // The same service twice, however it is spelled, is one audience.
    let twice = gateway.send(
        &post(&format!("{GRANT}&scope=YouTrack+{youtrack}+YouTrack"))
            .basic("machine", "machine-secret-0123456789"),
    );
    assert_eq!(twice.status, 200, "{}", twice.text());
    let claims = forge::decode(twice.json()["access_token"].as_str().unwrap()).1;
    assert_eq!(claims["aud"], serde_json::json!([youtrack]));
    // Without a scope a token is for the service itself, never for more.
    let none = gateway.send(&post(GRANT).basic("machine", "machine-secret-0123456789"));
    assert_eq!(none.status, 200, "{}", none.text());
    assert_eq!(
        forge::decode(none.json()["access_token"].as_str().unwrap()).1["aud"],
        serde_json::json!(["machine"])
    );
    for sent in [
        "unknown",
        "alpha+unknown",
        "unknown+alpha",
        "Alpha%00",
        "alpha%2Cbeta",
        "alpha;beta",
        "*",
        "openid",
        "YouTrack%20Slack%20Integration",
        "alpha%0abeta",
        "%252e%252e",
        "alpha/../beta",
    ] {
        let answer = gateway
            .send(&post(&format!("{GRANT}&scope={sent}")).basic("machine", "machine-secret-0123456789"));
        assert_eq!(answer.status, 400, "{sent}");
        assert!(
            matches!(answer.error().as_str(), "invalid_scope" | "invalid_request"),
            "{sent}: {}",
            answer.text()
        );
        assert_refused(&answer, &answer.error(), false, sent);
    }
}

#[test]
fn grants_that_are_not_offered_and_services_that_may_not() {
    let gateway = start();
    let as_machine = |form: &str| post(form).basic("machine", "machine-secret-0123456789");
    for (name, request, error) in [
        ("no grant type", as_machine("scope=alpha"), "invalid_request"),
        ("an empty grant type", as_machine("grant_type=&scope=alpha"), "invalid_request"),
        ("nothing at all", as_machine(""), "invalid_request"),
        ("an unknown grant", as_machine("grant_type=magic&scope=alpha"), "unsupported_grant_type"),
        ("another case", as_machine("grant_type=Client_Credentials&scope=alpha"), "unsupported_grant_type"),
        (
            "a password that is nobody's",
            as_machine("grant_type=password&username=u&password=p&scope=alpha"),
            "invalid_grant",
        ),
        (
            "no authorization code",
            as_machine("grant_type=authorization_code&code=c&redirect_uri=u"),
            "invalid_grant",
        ),
        ("no refresh token", as_machine("grant_type=refresh_token&refresh_token=r"), "invalid_grant"),
        ("implicit", as_machine("grant_type=implicit"), "unsupported_grant_type"),
        (
            "a JWT",
            as_machine("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=a"),
            "unsupported_grant_type",
        ),
        ("untrusted", post(GRANT).basic("untrusted", "untrusted-secret-0123456789"), "unauthorized_client"),
        (
            "untrusted in the body",
            post(&format!("{GRANT}&client_id=untrusted&client_secret=untrusted-secret-0123456789")),
            "unauthorized_client",
        ),
        (
            "a flow that is off",
            post(GRANT).basic("browser", "browser-secret-0123456789"),
            "unauthorized_client",
        ),
        ("a public service", post(&format!("{GRANT}&client_id=public")), "unauthorized_client"),
    ] {
        let answer = gateway.send(&request);
        let error = if name == "a public service" && answer.error() == "invalid_client" {
            "invalid_client"
        } else {
            error
        };
        assert_refused(&answer, error, false, name);
    }
}

/// RFC 6749 section 3.2: parameters are sent once; T21.
#[test]
fn forms_that_are_ambiguous_or_no_forms() {
    let gateway = start();
    let form = format!("{GRANT}&scope=alpha");
    let as_machine = |form: &str| post(form).basic("machine", "machine-secret-0123456789");
    let at = |query: &str| {
        Request::form(&format!("{TOKEN}?{query}"), &form).basic("machine", "machine-secret-0123456789")
    };
    assert_eq!(gateway.send(&at("unknown=x")).status, 200, "what nobody asks about is nobody's business");
    for (name, request) in [
        ("grant_type twice", as_machine(&format!("{form}&{GRANT}"))),
        ("scope twice", as_machine(&format!("{form}&scope=alpha"))),
        ("scope twice, differing", as_machine(&format!("{form}&scope=beta"))),
        ("scope twice, encoded", as_machine(&format!("{form}&%73cope=beta"))),
        ("an unknown parameter twice", as_machine(&format!("{form}&x=1&x=2"))),
        (
            "client_id twice",
            post(&format!(
                "{form}&client_id=machine&client_id=alpha&client_secret=machine-secret-0123456789"
            )),
        ),
        (
            "client_secret twice",
            post(&format!(
                "{form}&client_id=machine&client_secret=wrong&client_secret=machine-secret-0123456789"
            )),
        ),
        ("not UTF-8", as_machine(&format!("{form}&x=%ff"))),
        ("a secret in the query beside a form", at("client_secret=machine-secret-0123456789")),
        ("a password in the query beside a form", at("password=x")),
        ("scope in the query and in the form", at("scope=beta")),
    ] {
        assert_refused(&gateway.send(&request), "invalid_request", false, name);
    }
    let typed = |content_type: &str, body: &str| {
        Request::new("POST", TOKEN)
            .basic("machine", "machine-secret-0123456789")
            .header("Content-Type", content_type)
            .body(body)
    };
    for (name, request) in [
        ("JSON", typed("application/json", r#"{"grant_type":"client_credentials","scope":"alpha"}"#)),
        ("a form as text", typed("text/plain", &form)),
        ("a form as JSON", typed("application/json", &form)),
        (
            "multipart",
            typed(
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n",
            ),
        ),
        ("an empty type", typed("", &form)),
        ("almost", typed("application/x-www-form-urlencodedx", &form)),
        ("no type", Request::new("POST", TOKEN).basic("machine", "machine-secret-0123456789").body(&form)),
        (
            "two types",
            typed("application/x-www-form-urlencoded", &form).header("Content-Type", "application/json"),
        ),
    ] {
        assert_refused(&gateway.send(&request), "invalid_request", false, name);
    }
    for content_type in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-Urlencoded",
    ] {
        assert_granted(&gateway.send(&typed(content_type, &form)), "alpha", content_type);
    }
    // Unknown parameters are ignored, and empty ones are as good as absent.
    for extra in ["&rnd=12345", "&x=%F0%9F%98%80", "&access_type=", "&username="] {
        assert_granted(&gateway.send(&as_machine(&format!("{form}{extra}"))), "alpha", extra);
    }
    // In chunks, without a length.
    let mut client = gateway.raw();
    client.send(format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        base64("machine:machine-secret-0123456789")
    ));
    client.send(wire::to_chunked(form.as_bytes(), 7));
    assert_granted(&client.answer().expect("an answer"), "alpha", "chunked");
    assert_granted(&gateway.client().send_h2(&[as_machine(&form)])[0], "alpha", "HTTP/2");
}

#[test]
fn only_post_and_nothing_secret_in_the_address() {
    let gateway = start();
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "BREW"] {
        let answer = gateway.send(&Request::new(method, TOKEN).basic("machine", "machine-secret-0123456789"));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    for query in [
        "grant_type=client_credentials&scope=alpha&client_id=machine&client_secret=machine-secret-0123456789",
        "client_id=machine&client_secret=machine-secret-0123456789",
    ] {
        let answer =
            gateway.send(&Request::form(&format!("{TOKEN}?{query}"), &format!("{GRANT}&scope=alpha")));
        assert!(
            matches!(answer.status, 400 | 401),
            "a secret in the address: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("machine-secret-0123456789"));
        let get = gateway.send(&Request::get(&format!("{TOKEN}?{query}")));
        assert_eq!(get.status, 405);
    }
}

/// The tokens verify with a library that is not ours, from the published keys alone.
#[test]
fn tokens_verify_against_the_published_keys() {
    let gateway = start();
    let keys = gateway.send(&Request::get(KEYS));
    assert_eq!(keys.status, 200);
    assert!(keys.header("content-type").unwrap().starts_with("application/"), "{keys:?}");
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&keys.body).unwrap();
    for key in keys.json()["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private} is published");
        }
    }
    let token = gateway.token("machine", "machine-secret-0123456789", "alpha+0-0-0-0-0");
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), jsonwebtoken::Algorithm::ES256));
    let jwk = jwks.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&["alpha"]);
    validation.set_issuer(&[format!("{PUBLIC_URL}/hub")]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap();
    let claims = decoded.claims;
    for integer in ["iat", "exp"] {
        assert!(claims[integer].is_i64(), "{integer} is no integer: {claims}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(claims["sub"], "machine");
    assert!(claims["jti"].as_str().unwrap().len() >= 22);
    // What the other key signs verifies likewise.
    let (kid, rsa) = gateway.key_of("RS256");
    let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": kid}).to_string();
    let signed = rsa.sign(&header, &claims.to_string());
    let public = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&kid).expect("it is published")).unwrap();
    validation.algorithms = vec![jsonwebtoken::Algorithm::RS256];
    assert_eq!(
        jsonwebtoken::decode::<serde_json::Value>(&signed, &public, &validation).unwrap().claims,
        claims
    );
    validation.algorithms = vec![jsonwebtoken::Algorithm::ES256];
    // T24 in small: no two tokens are the same.
    let other = gateway.token("machine", "machine-secret-0123456789", "alpha+0-0-0-0-0");
    assert_ne!(forge::decode(&other).1["jti"], claims["jti"]);
    let mut wrong = validation.clone();
    wrong.set_audience(&["beta"]);
    assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &key, &wrong).is_err());
}

/// A token that the gate would not look at is not given away: what is given away passes, over either protocol.
#[test]
fn a_token_that_would_be_too_long_is_refused() {
    let upstream = Upstream::start();
    let ids: Vec<String> = (0..120).map(|n| format!("{n:03}{}", "x".repeat(61))).collect();
    for (limit, least) in [("64KiB", 14_000), ("8KiB", 6_000)] {
        let gateway = Gateway::start(|setup| {
            setup.standard(&upstream).set("limits", "max_header_size", &format!("{limit:?}"));
            for id in &ids {
                setup.service(id, "some-secret-0123456789");
            }
        });
        let ask = |count: usize| {
            let form = format!("{GRANT}&scope=alpha+{}", ids[..count].join("+"));
            gateway.send(&Request::form(TOKEN, &form).basic("machine", "machine-secret-0123456789"))
        };
        let first_refused = (1..=ids.len()).find(|count| ask(*count).status != 200).unwrap();
        let refused = ask(first_refused);
        assert_eq!((refused.status, refused.error().as_str()), (400, "invalid_scope"));
        let why = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert!(why.contains("bytes") && why.contains("fewer services"), "{why}");
        let granted = ask(first_refused - 1).json();
        let token = granted["access_token"].as_str().unwrap();
        assert!(token.len() > least, "{} bytes are not many", token.len());
        let request = Request::get("/api/x").bearer(token);
        assert_eq!(gateway.send(&request).status, 200);
        assert_eq!(gateway.client().send_h2(&[request])[0].status, 200);
        assert_eq!(ask(ids.len()).error(), "invalid_scope");
    }
}
