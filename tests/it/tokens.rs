//! Access tokens at the gate (threats T15, T18, T19): what is not exactly a token of ours opens nothing. The forged ones
//! here are signed with the gateway's own key wherever the signature is not the point, so that it is the claim or the
//! header under test that refuses them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Gateway, Request, Upstream,
    forge::{self, Key},
    gateway::{KEYS, TOKEN, eventually},
};

struct Forger {
    gateway: Gateway,
    upstream: Upstream,
    key: Key,
    genuine: String,
    header: Value,
    claims: Value,
}

impl Forger {
    fn start() -> Self {
        let (gateway, upstream) = Gateway::standard();
        let genuine = gateway.machine_token("alpha");
        let (header, claims) = forge::decode(&genuine);
        let key = gateway.signing_key();
        Self { gateway, upstream, key, genuine, header, claims }
    }

    /// Genuine claims under this header, signed with the real key.
    fn headed(&self, header: &str) -> String {
        self.key.sign(header, &self.claims.to_string())
    }

    /// These claims under the genuine header, signed with the real key.
    fn claiming(&self, claims: &str) -> String {
        self.key.sign(&self.header.to_string(), claims)
    }

    fn header_with(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[name] = value;
        header.to_string()
    }

    fn claims_with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.claiming(&claims.to_string())
    }

    fn claims_without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.claiming(&claims.to_string())
    }

    fn status(&self, token: &str) -> u16 {
        self.gateway.send(&Request::get("/api/x").bearer(token)).status
    }

    fn assert_refused(&self, name: &str, token: &str) {
        let answer = self.gateway.send(&Request::get("/api/x").bearer(token));
        let refused = match answer.status {
            401 => answer.error() == "invalid_token",
            // The token is not even in the form of a credential.
            400 => answer.error() == "invalid_request",
            _ => false,
        };
        assert!(refused, "{name}: {} {}", answer.status, answer.text());
        let seen = self.upstream.take();
        assert!(seen.is_empty(), "{name}: the upstream got {seen:?}");
        assert_eq!(self.status(&self.genuine), 200, "the genuine token after {name}");
        self.upstream.take();
    }
}

#[test]
fn the_forger_can_make_genuine_tokens() {
    let forger = Forger::start();
    assert_eq!(forger.status(&forger.genuine), 200);
    assert_eq!(forger.status(&forger.headed(&forger.header.to_string())), 200, "the control");
    assert_eq!(
        forger.status(&forger.claims_with("jti", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        200,
        "the control"
    );
    forger.upstream.take();
    let stranger = Key::fresh();
    let stolen = stranger.sign(&forger.header.to_string(), &forger.claims.to_string());
    forger.assert_refused("a stranger's key under our kid", &stolen);
}

/// T18, the header.
#[test]
fn headers_that_try_to_choose_the_verification() {
    let forger = Forger::start();
    let claims = forger.claims.to_string();
    let public = forger.key.public();
    let keys = forger.gateway.send(&Request::get(KEYS));
    let published = keys.json()["keys"].as_array().unwrap().clone();
    let jwk = published.into_iter().find(|key| key["kty"] == "EC").expect("our key is published");
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = forger.header_with("alg", json!(alg));
        forger.assert_refused(
            &format!("alg {alg:?} without a signature"),
            &forge::with_signature(&header, &claims, b""),
        );
        forger.assert_refused(&format!("alg {alg:?} with a signature"), &forger.headed(&header));
    }
    let header = forger.header_with("alg", json!("HS256"));
    for (name, secret) in [
        ("the public point", public.clone()),
        ("its coordinates", public[1..].to_vec()),
        ("the JWK", jwk.to_string().into_bytes()),
        ("the JWKS", keys.body.clone()),
        ("x", jwk["x"].as_str().unwrap().as_bytes().to_vec()),
        ("nothing", vec![]),
    ] {
        forger.assert_refused(&format!("HS256 with {name}"), &forge::hs256(&header, &claims, &secret));
        let honest = forger.header.to_string();
        forger.assert_refused(
            &format!("HS256 with {name} under ES256"),
            &forge::hs256(&honest, &claims, &secret),
        );
    }
    for alg in ["RS256", "ES384", "ES512", "ES256K", "PS256", "EdDSA", "es256", "ES256 ", "HS512"] {
        forger.assert_refused(&format!("alg {alg}"), &forger.headed(&forger.header_with("alg", json!(alg))));
    }
    for (name, alg) in [
        ("null", json!(null)),
        ("a number", json!(256)),
        ("a list", json!(["ES256"])),
        ("an object", json!({})),
    ] {
        forger.assert_refused(&format!("alg is {name}"), &forger.headed(&forger.header_with("alg", alg)));
    }
    let long = "k".repeat(4000);
    for kid in [
        "",
        "unknown",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "x' UNION SELECT 'key' --",
        "%00",
        "\u{0}",
        &long,
        "https://evil.example/key",
    ] {
        forger.assert_refused(
            &format!("kid {kid:.40}"),
            &forger.headed(&forger.header_with("kid", json!(kid))),
        );
    }
    for (name, kid) in [
        ("null", json!(null)),
        ("a number", json!(1)),
        ("a list", json!([forger.header["kid"]])),
        ("an object", json!({})),
    ] {
        forger.assert_refused(&format!("kid is {name}"), &forger.headed(&forger.header_with("kid", kid)));
    }
    let kid = forger.header["kid"].as_str().unwrap();
    for (name, header) in [
        ("kid twice", format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"{kid}"}}"#)),
        ("kid twice, the other way", format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}","kid":"x"}}"#)),
        ("alg twice", format!(r#"{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#)),
        ("typ twice", format!(r#"{{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":"{kid}"}}"#)),
        ("no alg", format!(r#"{{"typ":"at+jwt","kid":"{kid}"}}"#)),
        ("no kid", r#"{"alg":"ES256","typ":"at+jwt"}"#.to_owned()),
        ("no typ", format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#)),
        ("empty", "{}".to_owned()),
        ("no object", "[]".to_owned()),
        ("no JSON", "ES256".to_owned()),
        ("nothing", String::new()),
        ("more behind", format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}{{}}"#)),
        ("deep", format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
    ] {
        forger.assert_refused(&format!("header: {name}"), &forger.headed(&header));
    }
    let stranger = Key::fresh();
    let point = stranger.public();
    let theirs = json!({"kty": "EC", "crv": "P-256", "x": forge::base64url(&point[1..33]), "y": forge::base64url(&point[33..]), "alg": "ES256"});
    for (member, value) in [
        ("jwk", theirs),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
    ] {
        let header = forger.header_with(member, value);
        forger.assert_refused(&format!("{member}, signed by a stranger"), &stranger.sign(&header, &claims));
        if matches!(member, "crit" | "b64" | "zip" | "enc") {
            forger.assert_refused(&format!("{member}, signed by us"), &forger.headed(&header));
        }
    }
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("id_token"),
        json!("rt+jwt"),
        json!("logout+jwt"),
        json!("at"),
        json!(""),
        json!(null),
        json!(1),
    ] {
        forger.assert_refused(&format!("typ {typ}"), &forger.headed(&forger.header_with("typ", typ)));
    }
    forger.gateway.assert_innocent(&forger.upstream, "all headers");
}

/// T18, two algorithms beside each other: a token is judged by that of the key which its `kid` names, and the key of
/// id_tokens signs access tokens only where their type says so.
#[test]
fn keys_of_two_algorithms_are_not_confused() {
    let forger = Forger::start();
    let claims = forger.claims.to_string();
    let (rsa_kid, rsa) = forger.gateway.key_of("RS256");
    let ec_kid = forger.header["kid"].as_str().unwrap();
    let header = |alg: &str, typ: &str, kid: &str| json!({"alg": alg, "typ": typ, "kid": kid}).to_string();
    let right = [rsa.sign(&header("RS256", "at+jwt", &rsa_kid), &claims), forger.genuine.clone()];
    assert_eq!(right.map(|token| forger.status(&token)), [200, 200], "the control");
    forger.upstream.take();
    for (kid, own, other, key) in
        [(rsa_kid.as_str(), "RS256", "ES256", &rsa), (ec_kid, "ES256", "RS256", &forger.key)]
    {
        for (name, token) in [
            ("the other algorithm named", key.sign(&header(other, "at+jwt", kid), &claims)),
            (
                "the other key's kid, the own algorithm",
                key.sign(&header(own, "at+jwt", if kid == ec_kid { &rsa_kid } else { ec_kid }), &claims),
            ),
            (
                "the other key's kid and algorithm",
                key.sign(&header(other, "at+jwt", if kid == ec_kid { &rsa_kid } else { ec_kid }), &claims),
            ),
            ("an id_token", key.sign(&header(own, "JWT", kid), &claims)),
            ("no type", key.sign(&json!({"alg": own, "kid": kid}).to_string(), &claims)),
            (
                "HS256 with the public key",
                forge::hs256(&header("HS256", "at+jwt", kid), &claims, &key.public()),
            ),
            (
                "an HMAC under the own algorithm",
                forge::hs256(&header(own, "at+jwt", kid), &claims, &key.public()),
            ),
            ("PS256", key.sign(&header("PS256", "at+jwt", kid), &claims)),
            ("RS512", key.sign(&header("RS512", "at+jwt", kid), &claims)),
            ("no signature", forge::with_signature(&header("none", "at+jwt", kid), &claims, b"")),
            ("256 zeros", forge::with_signature(&header(own, "at+jwt", kid), &claims, &[0; 256])),
            ("64 zeros", forge::with_signature(&header(own, "at+jwt", kid), &claims, &[0; 64])),
        ] {
            forger.assert_refused(&format!("{own}: {name}"), &token);
        }
    }
    let published = forger.gateway.send(&Request::get(KEYS)).json();
    let keys = published["keys"].as_array().unwrap();
    let rsa = keys.iter().find(|key| key["kid"] == rsa_kid.as_str()).expect("published");
    assert_eq!(
        (&rsa["kty"], &rsa["alg"], &rsa["use"], &rsa["e"]),
        (&json!("RSA"), &json!("RS256"), &json!("sig"), &json!("AQAB"))
    );
    for secret in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(keys.iter().all(|key| key.get(secret).is_none()), "{secret} is published");
    }
    forger.gateway.assert_innocent(&forger.upstream, "all confusions");
}

/// The configuration chooses what access tokens are signed with; a change of it kills none.
#[test]
fn the_configured_algorithm_signs_access_tokens() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("oauth", "signing_algorithm", r#""RS256""#);
    });
    let signed = |gateway: &Gateway| {
        let token = gateway.machine_token("alpha");
        (forge::decode(&token).0["alg"].as_str().unwrap().to_owned(), token)
    };
    let passes = |token: &str| gateway.send(&Request::get("/api/x").bearer(token)).status == 200;
    let (algorithm, before) = signed(&gateway);
    assert_eq!((algorithm.as_str(), passes(&before)), ("RS256", true));
    let scoped = upstream.take()[0].header("authorization").unwrap();
    assert_eq!(forge::decode(scoped.strip_prefix("Bearer ").unwrap()).0["alg"], "RS256");
    gateway.reload(&gateway.config_text().replace("RS256", "ES256")).unwrap();
    let (algorithm, after) = signed(&gateway);
    assert_eq!((algorithm.as_str(), passes(&after), passes(&before)), ("ES256", true, true));
}

/// T18, the signature and the form.
#[test]
fn signatures_and_forms_that_are_not_exact() {
    let forger = Forger::start();
    let (header, claims) = (forger.header.to_string(), forger.claims.to_string());
    let parts: Vec<&str> = forger.genuine.split('.').collect();
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    for (name, signature) in [
        ("nothing", vec![]),
        ("r = s = 0", vec![0; 64]),
        ("r = 0, s = 1", [vec![0; 63], vec![1]].concat()),
        ("ones", vec![0xff; 64]),
        ("63 bytes", vec![1; 63]),
        ("65 bytes", vec![1; 65]),
        ("one byte", vec![0]),
        ("zeros, long", vec![0; 1000]),
    ] {
        forger.assert_refused(
            &format!("signature: {name}"),
            &forge::with_signature(&header, &claims, &signature),
        );
    }
    // P-256's order, where r and s must be below: psychic signatures (CVE-2022-21449) had r = s = n.
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    forger.assert_refused("r = s = n", &forge::with_signature(&header, &claims, &[order, order].concat()));
    forger.assert_refused("DER", &forger.key.sign_der(&header, &claims));
    for (name, token) in [
        ("two parts", format!("{h}.{c}")),
        ("an empty signature", format!("{h}.{c}.")),
        ("a dot more", format!("{h}.{c}.{s}.")),
        ("two dots more", format!("{h}.{c}.{s}..")),
        ("five parts", format!("{h}.{c}.{s}.{s}.{s}")),
        ("a dot first", format!(".{h}.{c}.{s}")),
        ("no header", format!(".{c}.{s}")),
        ("no claims", format!("{h}..{s}")),
        ("nothing but dots", "..".to_owned()),
        ("swapped", format!("{c}.{h}.{s}")),
        ("padded signature", format!("{h}.{c}.{s}==")),
        ("padded claims", format!("{h}.{c}=.{s}")),
        ("half of it", forger.genuine[..forger.genuine.len() / 2].to_owned()),
        ("twice", format!("{0}{0}", forger.genuine)),
        (
            "a JWE",
            format!("{}.AAAA.AAAA.AAAA.AAAA", forge::base64url(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)),
        ),
        (
            "a JSON serialization",
            forge::base64url(
                json!({"payload": c, "signatures": [{"protected": h, "signature": s}]}).to_string(),
            ),
        ),
        ("20 kB", format!("{h}.{}.{s}", "A".repeat(20_000))),
    ] {
        forger.assert_refused(name, &token);
    }
    // Another spelling of the same bytes: the last letter of a signature of 64 bytes has four bits that mean nothing.
    let last = s.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let respelled = alphabet.chars().nth(at ^ 1).unwrap();
    forger.assert_refused("bits that mean nothing", &format!("{h}.{c}.{}{respelled}", &s[..s.len() - 1]));
    // Every part is under the signature.
    for position in [0, h.len() / 2, h.len() + 1, h.len() + 1 + c.len() / 2, forger.genuine.len() - 40] {
        let mut bent = forger.genuine.clone().into_bytes();
        bent[position] = if bent[position] == b'A' { b'B' } else { b'A' };
        forger.assert_refused(&format!("a changed letter at {position}"), &String::from_utf8(bent).unwrap());
    }
    forger.gateway.assert_innocent(&forger.upstream, "all forms");
}

/// T18, the claims.
#[test]
fn claims_that_are_not_exact() {
    let forger = Forger::start();
    let now = forger.claims["iat"].as_i64().unwrap();
    for name in ["exp", "iat", "iss", "aud", "sub", "client_id", "jti", "scope"] {
        forger.assert_refused(&format!("no {name}"), &forger.claims_without(name));
        for (kind, value) in [("null", json!(null)), ("an object", json!({})), ("true", json!(true))] {
            forger.assert_refused(&format!("{name} is {kind}"), &forger.claims_with(name, value));
        }
    }
    for (name, value) in [
        ("a string", json!((now + 3600).to_string())),
        ("a fraction", json!(f64::from(i32::try_from(now).unwrap_or(i32::MAX)) + 3600.5)),
        ("zero", json!(0)),
        ("negative", json!(-1)),
        ("a list", json!([now + 3600])),
        ("past", json!(now - 3600)),
        ("just past", json!(now - 1)),
        ("very negative", json!(i64::MIN)),
    ] {
        forger.assert_refused(&format!("exp is {name}"), &forger.claims_with("exp", value));
    }
    let exp = forger.claims["exp"].as_i64().unwrap();
    let text = forger.claims.to_string();
    let with_exp = |number: &str| text.replace(&format!("\"exp\":{exp}"), &format!("\"exp\":{number}"));
    for number in
        ["1e400", "1e10", "1E10", "99999999999999999999", "Infinity", "NaN", "0x7fffffff", "+1", "1.0"]
    {
        let changed = with_exp(number);
        assert_ne!(changed, text);
        forger.assert_refused(&format!("exp is {number}"), &forger.claiming(&changed));
    }
    for name in ["nbf", "iat"] {
        for (kind, value) in [
            ("an hour ahead", json!(now + 3600)),
            ("the end of time", json!(i64::MAX)),
            ("a string", json!("0")),
            ("a fraction", json!(0.5)),
        ] {
            forger.assert_refused(&format!("{name} is {kind}"), &forger.claims_with(name, value));
        }
    }
    let iss = forger.claims["iss"].as_str().unwrap();
    for value in [
        "",
        "https://evil.example/hub",
        &format!("{iss}/"),
        &iss.to_uppercase(),
        &format!("{iss}\u{0}"),
        "https://gateway.example:8443",
    ] {
        forger.assert_refused(&format!("iss {value:?}"), &forger.claims_with("iss", json!(value)));
    }
    forger.assert_refused("iss is a list", &forger.claims_with("iss", json!([iss])));
    forger.assert_refused("aud is empty", &forger.claims_with("aud", json!([])));
    forger.assert_refused("aud has a number", &forger.claims_with("aud", json!(["alpha", 1])));
    forger.assert_refused("sub is empty", &forger.claims_with("sub", json!("")));
    forger.assert_refused("jti is empty", &forger.claims_with("jti", json!("")));
    for (name, claims) in [
        ("no JSON", "alpha".to_owned()),
        ("nothing", String::new()),
        ("a list", "[]".to_owned()),
        ("a string", "\"alpha\"".to_owned()),
        ("more behind", format!("{text}{{}}")),
        ("exp twice", text.replacen('{', &format!("{{\"exp\":{},", now + 7200), 1)),
        ("aud twice", text.replacen('{', "{\"aud\":[\"beta\"],", 1)),
        ("deep", format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
        ("not UTF-8", "{\"a\":\"\u{fffd}\"}".to_owned()),
    ] {
        forger.assert_refused(&format!("claims: {name}"), &forger.claiming(&claims));
    }
    forger.gateway.assert_innocent(&forger.upstream, "all claims");
}

/// T15: a token is for the services that it names. What counts is the audience, and scope alone adds nothing to it.
#[test]
fn a_token_for_one_service_does_not_open_another() {
    let forger = Forger::start();
    let narrow = forger.gateway.send(&Request::get("/admin/x").bearer(&forger.genuine));
    assert_eq!((narrow.status, narrow.error().as_str()), (403, "insufficient_scope"));
    let widened = forger.claims_with("scope", json!("alpha beta"));
    assert_eq!(
        forger.gateway.send(&Request::get("/admin/x").bearer(&widened)).status,
        403,
        "scope without audience"
    );
    let both = forger.gateway.machine_token("alpha+beta");
    for path in ["/api/x", "/admin/x"] {
        assert_eq!(forger.gateway.send(&Request::get(path).bearer(&both)).status, 200, "{path}");
    }
    // What an upstream was given for itself is worth nothing at its neighbour.
    let scoped: Vec<String> =
        forger.upstream.take().iter().filter_map(|r| r.header("authorization")).collect();
    assert_eq!(scoped.len(), 2);
    let for_alpha = scoped[0].strip_prefix("Bearer ").unwrap();
    let replayed = forger.gateway.send(&Request::get("/admin/x").bearer(for_alpha));
    assert!(matches!(replayed.status, 401 | 403), "{}", replayed.status);
    assert!(forger.upstream.take().is_empty());
}

/// A verdict that is remembered is no longer true when the token has expired.
#[test]
fn tokens_expire_even_while_they_are_remembered() {
    let upstream = Upstream::start();
    let mut clock = None;
    let gateway = Gateway::start(|setup| {
        clock = Some(setup.manual_clock());
        setup.standard(&upstream).set("oauth", "access_token_ttl", r#""10m""#);
    });
    let clock = clock.unwrap();
    let token = gateway.machine_token("alpha");
    let status = || gateway.send(&Request::get("/api/x").bearer(&token)).status;
    assert_eq!((status(), status()), (200, 200));
    clock.advance(Duration::from_secs(598));
    assert_eq!((status(), status()), (200, 200));
    clock.advance(Duration::from_secs(62));
    upstream.take();
    let answer = gateway.send(&Request::get("/api/x").bearer(&token));
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"));
    assert!(answer.text().contains("expired"), "{}", answer.text());
    assert!(upstream.take().is_empty());
    let fresh = gateway.machine_token("alpha");
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&fresh)).status, 200);
    // A clock that is put back revives what has not expired by it, and makes nothing immortal.
    clock.advance(Duration::from_secs(3600));
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&fresh)).status, 401);
}

/// The token of one gateway is nothing at another, even under the same name.
#[test]
fn tokens_of_another_gateway() {
    let (here, upstream) = Gateway::standard();
    let (there, _other) = Gateway::standard();
    let token = there.machine_token("alpha");
    assert_eq!(there.send(&Request::get("/api/x").bearer(&token)).status, 200);
    for _ in 0..2 {
        let answer = here.send(&Request::get("/api/x").bearer(&token));
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"));
    }
    assert!(upstream.take().is_empty());
    here.assert_innocent(&upstream, "another gateway's token");
}

/// T19: a service that is removed is dead with all its tokens, remembered or not, and also with those that it got while
/// the gateway did not know yet.
#[test]
fn the_tokens_of_a_removed_service_die() {
    let (gateway, upstream) = Gateway::standard();
    let (id, secret) = gateway.register("robot");
    let mut tokens = vec![gateway.token(&id, &secret, "alpha")];
    let bystander = gateway.machine_token("alpha");
    let status = |token: &str| gateway.send(&Request::get("/api/x").bearer(token)).status;
    assert_eq!((status(&tokens[0]), status(&tokens[0]), status(&bystander)), (200, 200, 200));
    gateway.command(&["service", "remove", &id]);
    let form = Request::form(TOKEN, "grant_type=client_credentials&scope=alpha").basic(&id, &secret);
    eventually("the service is unknown", || {
        let answer = gateway.send(&form);
        if answer.status == 200 {
            tokens.push(answer.json()["access_token"].as_str().unwrap().to_owned());
        }
        answer.error() == "invalid_client"
    });
    for token in &tokens {
        eventually("the removal is noticed", || status(token) == 401);
    }
    assert_eq!(status(&bystander), 200, "others are not touched");
    upstream.take();
    gateway.assert_innocent(&upstream, "a removal");
}

/// T19: one token is revoked by command; its sisters live.
#[test]
fn a_revoked_token_dies_alone() {
    let (gateway, upstream) = Gateway::standard();
    let [doomed, sister] = [(); 2].map(|()| gateway.machine_token("alpha"));
    let status = |token: &str| gateway.send(&Request::get("/api/x").bearer(token)).status;
    let mut connection = gateway.raw();
    connection.send(Request::get("/api/x").bearer(&doomed).bytes());
    assert_eq!(connection.answer().expect("an answer").status, 200);
    assert_eq!((status(&doomed), status(&sister)), (200, 200));
    upstream.take();
    gateway.command(&["token", "revoke", &doomed]);
    eventually("the revocation is noticed", || status(&doomed) == 401);
    // Also where a connection remembers the token.
    upstream.take();
    connection.send(Request::get("/api/x").bearer(&doomed).bytes());
    let answer = connection.answer().expect("an answer");
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"));
    assert!(upstream.take().is_empty());
    assert_eq!(status(&sister), 200);
}

/// A new secret works at once; the old one for its time of grace; keys rotate without a refusal.
#[test]
fn secrets_and_keys_rotate_without_a_gap() {
    let (gateway, _upstream) = Gateway::standard();
    let (id, old) = gateway.register("robot");
    let token = gateway.token(&id, &old, "alpha");
    let new = gateway.secret_of(&["service", "rotate-secret", &id]);
    assert_ne!(old, new);
    let form =
        |secret: &str| Request::form(TOKEN, "grant_type=client_credentials&scope=alpha").basic(&id, secret);
    eventually("the new secret works", || gateway.send(&form(&new)).status == 200);
    assert_eq!(gateway.send(&form(&old)).status, 200, "the time of grace is a day");
    assert_eq!(gateway.send(&form("neither")).status, 401);

    let kid = |token: &str| forge::decode(token).0["kid"].as_str().unwrap().to_owned();
    let before = kid(&token);
    gateway.command(&["key", "rotate"]);
    eventually("the new key signs", || kid(&gateway.token(&id, &new, "alpha")) != before);
    assert_eq!(
        gateway.send(&Request::get("/api/x").bearer(&token)).status,
        200,
        "the old key still verifies"
    );
    let fresh = gateway.token(&id, &new, "alpha");
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&fresh)).status, 200);
    // Each algorithm has its key before and its key now.
    let published = || gateway.send(&Request::get(KEYS)).json();
    eventually("all keys are published", || published()["keys"].as_array().unwrap().len() == 4);
    let published = published();
    let kids: Vec<&str> =
        published["keys"].as_array().unwrap().iter().filter_map(|k| k["kid"].as_str()).collect();
    assert!(kids.contains(&before.as_str()) && kids.contains(&kid(&fresh).as_str()), "{kids:?}");
    let listed = gateway.command(&["key", "list"]);
    for algorithm in ["ES256", "RS256"] {
        let lines: Vec<&str> = listed.lines().filter(|line| line.contains(algorithm)).collect();
        let signs = lines.iter().filter(|line| line.ends_with("signs")).count();
        assert_eq!((lines.len(), signs), (2, 1), "{listed}");
    }
}
