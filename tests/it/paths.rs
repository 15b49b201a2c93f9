//! Which path is judged, which path is forwarded (threats A1). `/public` is open, `/api` needs `alpha`, `/admin` needs
//! `beta`, everything else has no route. No case here carries a token, so nothing but `/public` may reach the upstream.

use serde_json::json;

use crate::support::{
    Answer, Gateway, RawClient, Recorded, Request, Upstream,
    gateway::TOKEN,
    h2::{H2, Outcome},
    table,
};

/// What must come of a target.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// Forwarded, and the upstream sees this target.
    Forwarded(&'static str),
    /// Judged as a path below `/api` or `/admin`: 401.
    Unauthorized,
    /// No route: 404.
    NoRoute,
    /// Ambiguous or malformed: 400.
    Bad,
    /// 400, or cut at the fragment and then this.
    BadOrForwarded(&'static str),
    /// 400, or judged as the root, which has no route.
    BadOrNoRoute,
    /// 400, or judged as a protected path.
    BadOrUnauthorized,
}
use Want::{Bad, BadOrForwarded, BadOrNoRoute, BadOrUnauthorized, Forwarded, NoRoute, Unauthorized};

/// Threats by row; each with its neighbours.
const TARGETS: &[(&str, &[u8], Want)] = &[
    // Controls: what is innocent passes as it is.
    ("control", b"/public", Forwarded("/public")),
    ("control", b"/public/", Forwarded("/public/")),
    ("control", b"/public/x", Forwarded("/public/x")),
    ("control", b"/public/x?y=1&z=%20a", Forwarded("/public/x?y=1&z=%20a")),
    ("control", b"/public/a.b/...c/.hidden/x..y/...", Forwarded("/public/a.b/...c/.hidden/x..y/...")),
    ("control", b"/public/a~b-c_d!$&'()*+,=:@", Forwarded("/public/a~b-c_d!$&'()*+,=:@")),
    ("control", b"/public/with%20space", Forwarded("/public/with%20space")),
    ("control", b"/public/%c3%a9t%C3%A9", Forwarded("/public/%C3%A9t%C3%A9")),
    ("control", b"/api/x", Unauthorized),
    ("control", b"/admin/x", Unauthorized),
    ("control", b"/other", NoRoute),
    ("control", b"/", NoRoute),
    ("control", b"/publicity", NoRoute),
    ("control", b"/public.html", NoRoute),
    ("control", b"/administrator", NoRoute),
    // P1
    ("P1", b"/public/../admin/x", Bad),
    ("P1", b"/public/./x", Bad),
    ("P1", b"/public/.", Bad),
    ("P1", b"/public/..", Bad),
    ("P1", b"/..", Bad),
    ("P1", b"/.", Bad),
    ("P1", b"/./admin", Bad),
    ("P1", b"/../admin", Bad),
    ("P1", b"/public/x/../../admin/x", Bad),
    ("P1", b"/public/..?x", Bad),
    // P2
    ("P2", b"/public/%2e%2e/admin", Bad),
    ("P2", b"/public/%2E%2E/admin", Bad),
    ("P2", b"/public/.%2e/admin", Bad),
    ("P2", b"/public/%2E./admin", Bad),
    ("P2", b"/public/%2e/x", Bad),
    ("P2", b"/public/%2e%2e", Bad),
    ("P2", b"/%2e%2e/admin", Bad),
    // P3
    ("P3", b"/public/..%2fadmin", Bad),
    ("P3", b"/public/..%2Fadmin", Bad),
    ("P3", b"/public/%2e%2e%2fadmin", Bad),
    ("P3", b"/public/%2E%2E%2Fadmin", Bad),
    ("P3", b"/public/a%2fb", Bad),
    ("P3", b"/public/a%2Fb", Bad),
    ("P3", b"/public%2f..%2fadmin", Bad),
    ("P3", b"/%2fadmin", Bad),
    ("P3", b"%2fadmin", Bad),
    // P4
    ("P4", b"/public/..%5cadmin", Bad),
    ("P4", b"/public/..%5Cadmin", Bad),
    ("P4", b"/public\\..\\admin", Bad),
    ("P4", b"/public/%5c../admin", Bad),
    ("P4", b"/public/a\\b", Bad),
    ("P4", b"\\admin", Bad),
    // P5
    ("P5", b"/public/%252e%252e/admin", Bad),
    ("P5", b"/public/%252E%252E/admin", Bad),
    ("P5", b"/public/..%252fadmin", Bad),
    ("P5", b"/public/x%252Fy", Bad),
    ("P5", b"/public/x%255cy", Bad),
    ("P5", b"/public/x%2500", Bad),
    ("P5", b"/public/x%2525", Bad),
    ("P5", b"/public/x%252525252e", Bad),
    ("P5", b"/public/100%25", Forwarded("/public/100%25")),
    ("P5", b"/public/100%25%20off", Forwarded("/public/100%25%20off")),
    // Parameters of a segment, which servers read in different ways.
    ("P6", b"/public;x=1/../admin", Bad),
    ("P6", b"/public/..;/admin", Bad),
    ("P6", b"/public/x;y", Bad),
    ("P6", b"/admin;/public", Bad),
    // P7
    ("P7", b"//admin/x", Bad),
    ("P7", b"/public//../admin", Bad),
    ("P7", b"///admin", Bad),
    ("P7", b"/public//x", Bad),
    ("P7", b"/public//", Bad),
    ("P7", b"//", Bad),
    ("P7", b"/%2f%2fadmin", Bad),
    // P8
    ("P8", b"/admin%00", Bad),
    ("P8", b"/public%00/../admin", Bad),
    ("P8", b"/public/%00", Bad),
    ("P8", b"/adm%69n", Unauthorized),
    ("P8", b"/%61dmin", Unauthorized),
    ("P8", b"/%61%64%6d%69%6e/x", Unauthorized),
    ("P8", b"/%61%70%69/x", Unauthorized),
    ("P8", b"/publi%63/x", Forwarded("/public/x")),
    ("P8", b"/public/%7e%2d%5F%2e1", Forwarded("/public/~-_.1")),
    ("P8", b"/public/%41%7A%30", Forwarded("/public/Az0")),
    // P9
    ("P9", b"/public#/../admin", BadOrForwarded("/public")),
    ("P9", b"/public/x#y", BadOrForwarded("/public/x")),
    ("P9", b"/admin#/public", BadOrUnauthorized),
    ("P9", b"/admin#.css", BadOrUnauthorized),
    ("P9", b"/admin%23.css", NoRoute),
    ("P9", b"/public/%23", Forwarded("/public/%23")),
    ("P9", b"/public/x%3fy", Forwarded("/public/x%3Fy")),
    // P10
    ("P10", b"/admin?x=/public/", Unauthorized),
    ("P10", b"/admin?/public/health", Unauthorized),
    ("P10", b"/admin/x?/../public/", Unauthorized),
    ("P10", b"/admin?", Unauthorized),
    ("P10", b"/public/x?/../admin", Forwarded("/public/x?/../admin")),
    ("P10", b"/public/x?%2e%2e%2f", Forwarded("/public/x?%2e%2e%2f")),
    // P11
    ("P11", b"/PUBLIC/..", Bad),
    ("P11", b"/PUBLIC/x", NoRoute),
    ("P11", b"/Admin/x", NoRoute),
    ("P11", b"/%41dmin", NoRoute),
    ("P11", b"/%50ublic", NoRoute),
    // P13
    ("P13", b"/public/%", Bad),
    ("P13", b"/public/%g1", Bad),
    ("P13", b"/public/%2", Bad),
    ("P13", b"/public/%%32e", Bad),
    ("P13", b"/public/%u002e", Bad),
    ("P13", b"/public/%c0%ae%c0%ae/", Bad),
    ("P13", b"/public/%c0%af", Bad),
    ("P13", b"/public/%e0%80%ae", Bad),
    ("P13", b"/public/%ed%a0%80", Bad),
    ("P13", b"/public/%f5%80%80%80", Bad),
    ("P13", b"/public/%c3", Bad),
    ("P13", b"/public/%ff", Bad),
    ("P13", b"/public/\x80", Bad),
    ("P13", b"/public/\xff", Bad),
    ("P13", b"/public/\xc3\xa9", Bad),
    ("P13", b"/public/\xc0\xae\xc0\xae/admin", Bad),
    // P15
    ("P15", b"/public/a%0d%0aX:%20y", Bad),
    ("P15", b"/public/a%0a", Bad),
    ("P15", b"/public/a%0D", Bad),
    ("P15", b"/public/a%09b", Bad),
    ("P15", b"/public/a%1bb", Bad),
    ("P15", b"/public/a%7fb", Bad),
    ("P15", b"/public/a%c2%85b", Forwarded("/public/a%C2%85b")),
    ("P15", b"/public/a\tb", Bad),
    ("P15", b"/public/a b", Bad),
    ("P15", b"/public/a\rb", Bad),
    ("P15", b"/public/a\x00b", Bad),
    ("P15", b"/public/a\x7fb", Bad),
    ("P15", b"/public/a\x0bb", Bad),
    // P22
    ("P22", b"?x", Bad),
    ("P22", b"#x", BadOrNoRoute),
    ("P22", b"admin", Bad),
    ("P22", b"public/x", Bad),
    ("P22", b"admin:80", Bad),
    ("P22", b"*", Bad),
];

#[test]
fn a_target_is_forwarded_as_it_was_judged_over_http_1() {
    table::leave(TARGETS.iter().map(
        |(row, target, want)| json!({"name": row, "target": table::text(target), "want": format!("{want:?}")}),
    ));
    let (gateway, upstream) = Gateway::standard();
    for (row, target, want) in TARGETS {
        let name = format!("{row} {}", String::from_utf8_lossy(target));
        let request = [b"GET ", *target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        let answer = gateway.raw().send(request).answer().unwrap_or_else(|| panic!("{name}: no answer"));
        judge(&name, *want, Some(answer.status), false, &upstream.take());
        gateway.assert_innocent(&upstream, &name);
    }
}

#[test]
fn a_target_is_forwarded_as_it_was_judged_over_http_2() {
    let (gateway, upstream) = Gateway::standard();
    for (row, target, want) in TARGETS {
        let name = format!("{row} {} over h2", String::from_utf8_lossy(target));
        let outcome = get_h2(&gateway, target);
        judge(&name, *want, outcome.status, outcome.is_refusal(), &upstream.take());
        gateway.assert_innocent(&upstream, &name);
    }
}

/// An encoded slash is text within a segment of REST, which is split before it is decoded, and nowhere else. Without a
/// credential what is found is answered with 401, or with 405 where it is only posted to, and what is not with 404.
const ENCODED_SLASHES: &[(&[u8], u16)] = &[
    (b"/hub/api/rest/services/alpha/untrustedredirecturis/x/https:%2F%2Fx.example%2Fcb/accept", 405),
    (
        b"/hub/api/rest/services/alpha/untrustedredirecturis/x/https%3a%2f%2fx.example%2fcb%3Fa%3D1/accept",
        405,
    ),
    (b"/hub/api/rest/users/a%2Fb", 401),
    (b"/hub/api/rest/users%2Fa", 404),
    (b"/hub/api/rest/users/a%2F..%2Fb", 400),
    (b"/hub/api/rest/users/..%2F..%2Fadmin", 400),
    (b"/hub/api/rest/users/%2e%2e%2fadmin", 400),
    (b"/hub/api/rest/users/a%2f%2e", 400),
    (b"/hub/api/rest/%2e%2e/a%2Fb", 400),
    (b"/hub/api/rest/../rest/a%2Fb", 400),
    (b"/hub/api/rest/../../../public/a%2Fb", 400),
    (b"/hub/api/rest/users/a%252Fb", 400),
    (b"/hub/api/rest/users/a%2Fb%252e", 400),
    (b"/hub/api/rest/users/a%5cb%2F", 400),
    (b"/hub/api/rest/users/a%2F%00", 400),
    (b"/hub/api/rest/users/a%2F;b", 400),
    (b"/hub/api/rest//a%2Fb", 400),
    (b"/hub/api/rest%2Fusers", 400),
    (b"/hub%2Fapi/rest/users", 400),
    (b"/hub/api%2Frest/users", 400),
    (b"/hub/api/rest/oauth2/token%2F", 400),
    (b"/hub/api/rest/oauth2%2Ftoken", 400),
    (b"/hub/account%2Fx", 400),
    (b"/hub/auth/login%2Fx", 400),
    (b"/hub/errors/a%2Fb", 400),
    (b"/hubble/api/rest/a%2Fb", 400),
    (b"/api/rest/users/a%2Fb", 400),
    (b"/public/hub/api/rest/a%2Fb", 400),
    (b"/public/a%2Fb", 400),
    (b"/public/x?/hub/api/rest/a%2Fb", 200),
];

#[test]
fn an_encoded_slash_is_taken_by_rest_alone() {
    let (gateway, upstream) = Gateway::standard();
    for (target, want) in ENCODED_SLASHES {
        let name = String::from_utf8_lossy(target);
        assert_eq!(get(&gateway, target), *want, "{name}");
        assert_eq!(get_h2(&gateway, target).status, Some(*want), "{name} over h2");
        let seen = upstream.take().len();
        assert_eq!(seen, if *want == 200 { 2 } else { 0 }, "{name}");
    }
}

fn get_h2(gateway: &Gateway, path: &[u8]) -> Outcome {
    let mut connection = H2::connect(gateway.address());
    let fields: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)];
    connection.headers(1, &fields, true);
    connection.outcome(1)
}

/// `refused` tells that an HTTP/2 stream was refused without an answer.
fn judge(name: &str, want: Want, status: Option<u16>, refused: bool, seen: &[Recorded]) {
    let targets: Vec<String> = seen.iter().map(Recorded::target).collect();
    let bad = status == Some(400) || status.is_none() && refused;
    let forwarded_as = match want {
        Forwarded(target) => Some(target),
        BadOrForwarded(target) if !bad => Some(target),
        _ => None,
    };
    if let Some(target) = forwarded_as {
        assert_eq!(status, Some(200), "{name}");
        assert_eq!(targets, [target], "{name}");
        return;
    }
    assert!(targets.is_empty(), "{name}: the upstream got {targets:?}, status {status:?}");
    let right = match want {
        Bad | BadOrForwarded(_) => bad,
        BadOrNoRoute => bad || status == Some(404),
        BadOrUnauthorized => bad || status == Some(401),
        Unauthorized => status == Some(401),
        NoRoute => status == Some(404),
        Forwarded(_) => false,
    };
    assert!(right, "{name}: wanted {want:?}, got status {status:?}");
}

/// P16: the target's authority wins over Host, or the request is refused; a proxy request is never followed.
#[test]
fn other_forms_of_targets() {
    let (gateway, upstream) = Gateway::standard();
    let get = |line: &str, host: &str| -> Answer {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        gateway.raw().send(request).answer().unwrap_or_else(|| panic!("{line}: no answer"))
    };
    for line in ["GET http://evil/public/x", "GET https://evil/public/x", "GET HTTP://evil:80/public/x"] {
        let answer = get(line, "good.example");
        let seen = upstream.take();
        if answer.status == 400 {
            assert!(seen.is_empty(), "{line}");
        } else {
            assert_eq!(answer.status, 200, "{line}");
            assert_eq!(seen[0].target(), "/public/x", "{line}");
            let head = String::from_utf8_lossy(&seen[0].head).into_owned();
            assert!(!head.contains("good.example"), "{line}: the overruled host went on: {head}");
        }
        gateway.assert_innocent(&upstream, line);
    }
    // The port that https has anyway is no other host (RFC 9110 section 4.2.3); any other is.
    for (line, host, status) in [
        ("GET https://localhost:443/public/x", "localhost", 200),
        ("GET https://localhost/public/x", "localhost:443", 200),
        ("GET https://localhost/public/x", "LOCALHOST:443", 200),
        ("GET https://localhost:443/public/x", "localhost:8443", 400),
        ("GET https://localhost:8443/public/x", "localhost", 400),
        ("GET https://localhost:443/public/x", "evil.example:443", 400),
    ] {
        assert_eq!(
            (get(line, host).status, upstream.take().len()),
            (status, usize::from(status == 200)),
            "{line} {host}"
        );
    }
    for (line, wanted) in [
        ("GET https://localhost/admin", &[401, 400][..]),
        ("GET https://localhost/public/../admin", &[400]),
        ("GET http://localhost//admin", &[400]),
        ("GET http://user:password@localhost/admin", &[400, 401]),
        ("GET http:///admin", &[400, 401]),
        ("GET ftp://localhost/public/x", &[400]),
        ("GET javascript:alert(1)", &[400]),
        ("OPTIONS *", &[200, 204, 400, 404, 405]),
        ("CONNECT localhost:80", &[405]),
        ("CONNECT 127.0.0.1:22", &[405]),
        ("CONNECT /public/x", &[400, 405]),
        ("TRACE /public/x", &[405]),
        ("TRACE /api/x", &[405]),
    ] {
        let answer = get(line, "localhost");
        assert!(wanted.contains(&answer.status), "{line}: {}", answer.status);
        // RFC 9110 section 15.5.6.
        assert_eq!(answer.status == 405, answer.header("allow").is_some(), "{line}");
        assert!(upstream.take().is_empty(), "{line}");
        gateway.assert_innocent(&upstream, line);
    }
}

/// P22: a target that is too long is refused, by whoever notices first.
#[test]
fn very_long_targets_are_refused() {
    let (gateway, upstream) = Gateway::standard();
    for length in [65_535, 200_000] {
        let target = format!("/public/{}", "a".repeat(length - 8));
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let status = gateway.raw().send(request).answer().expect("an answer").status;
        assert!(matches!(status, 400 | 414 | 431), "{length} bytes: {status}");
        assert!(upstream.take().is_empty());
        gateway.assert_innocent(&upstream, "a long target");
    }
}

/// The fields of a request.
type Fields<'a> = Vec<(&'a [u8], &'a [u8])>;

/// The basic fields with one replaced.
fn with<'a>(name: &[u8], value: &'a [u8]) -> Fields<'a> {
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ];
    fields.map(|(n, v)| if n == name { (n, value) } else { (n, v) }).to_vec()
}

/// The basic fields and one more.
fn plus<'a>(name: &'a [u8], value: &'a [u8]) -> Fields<'a> {
    let mut fields = with(b"", b"");
    fields.push((name, value));
    fields
}

/// P17: an HTTP/2 request must say one thing about where it goes.
#[test]
fn pseudo_fields_that_disagree_are_refused() {
    let (gateway, upstream) = Gateway::standard();
    let without =
        |name: &[u8]| with(b"", b"").into_iter().filter(|(n, _)| *n != name).collect::<Fields<'_>>();
    let mut pseudo_last = plus(b"x-first", b"1");
    pseudo_last.rotate_right(1);
    let mut connect_extended = with(b":method", b"CONNECT");
    connect_extended.push((b":protocol", b"websocket"));
    let cases: Vec<(&str, Fields<'_>)> = vec![
        ("authority and host differ", plus(b"host", b"evil.example")),
        ("authority and host differ in port", plus(b"host", b"localhost:1")),
        ("two hosts", [plus(b"host", b"localhost"), vec![(&b"host"[..], &b"evil.example"[..])]].concat()),
        ("no authority, two hosts", {
            let mut fields = without(b":authority");
            fields.extend([(&b"host"[..], &b"a.example"[..]), (b"host", b"b.example")]);
            fields
        }),
        ("neither authority nor host", without(b":authority")),
        ("scheme ftp", with(b":scheme", b"ftp")),
        ("scheme that is a URL", with(b":scheme", b"http://x")),
        ("empty scheme", with(b":scheme", b"")),
        ("no scheme", without(b":scheme")),
        ("no method", without(b":method")),
        ("no path", without(b":path")),
        ("empty path", with(b":path", b"")),
        ("path without a slash", with(b":path", b"public/x")),
        ("asterisk with GET", with(b":path", b"*")),
        ("absolute URL as path", with(b":path", b"https://localhost/public/x")),
        ("authority with user", with(b":authority", b"user:password@localhost")),
        ("authority with a path", with(b":authority", b"localhost/admin")),
        ("authority with a blank", with(b":authority", b"local host")),
        ("two paths", plus(b":path", b"/public/y")),
        ("two methods", plus(b":method", b"GET")),
        ("unknown pseudo field", plus(b":unknown", b"1")),
        ("status in a request", plus(b":status", b"200")),
        ("pseudo field after a field", pseudo_last),
        ("CONNECT with a path", with(b":method", b"CONNECT")),
        ("extended CONNECT", connect_extended),
        ("CONNECT", vec![(&b":method"[..], &b"CONNECT"[..]), (b":authority", b"127.0.0.1:80")]),
    ];
    table::leave(
        cases
            .iter()
            .map(|(name, fields)| json!({"name": name, "fields": table::fields(fields), "want": "Refused"})),
    );
    for (name, fields) in cases {
        let mut connection = H2::connect(gateway.address());
        connection.headers(1, &fields, true);
        let outcome = connection.outcome(1);
        assert!(outcome.is_refusal(), "{name}: {outcome:?}");
        assert!(upstream.take().is_empty(), "{name}");
        gateway.assert_innocent(&upstream, name);
    }
}

/// RFC 9110 section 4.2.3: the port that https has anyway makes no other host; RFC 9113 section 8.3.1.
#[test]
fn an_authority_and_a_host_may_differ_by_the_default_port() {
    let (gateway, upstream) = Gateway::standard();
    for (authority, host, status) in [
        (&b"localhost"[..], &b"localhost:443"[..], 200),
        (b"localhost:443", b"localhost", 200),
        (b"localhost:443", b"localhost:443", 200),
        (b"localhost", b"localhost:80", 400),
        (b"localhost:8443", b"localhost", 400),
        (b"localhost", b"evil.example:443", 400),
    ] {
        let mut fields = with(b":authority", authority);
        fields.push((b"host", host));
        let mut connection = H2::connect(gateway.address());
        connection.headers(1, &fields, true);
        let name = String::from_utf8_lossy(&[authority, host].join(&b' ')).into_owned();
        assert_eq!(connection.outcome(1).status, Some(status), "{name}");
        let seen = upstream.take();
        assert_eq!(seen.len(), usize::from(status == 200), "{name}");
        // What counts is the authority.
        for request in seen {
            assert_eq!(request.header("host").unwrap().as_bytes(), authority, "{name}");
        }
    }
}

/// P18 from outside: whatever is sent, what reaches the upstream without a token is `/public` in canonical form.
#[test]
fn no_mixture_of_pieces_leaves_the_open_route() {
    let (gateway, upstream) = Gateway::standard();
    let pieces: &[&[u8]] = &[
        b"/", b"/", b"/", b"public", b"public", b"admin", b"api", b".", b"..", b"%2e", b"%2E%2e", b"%2f",
        b"%5c", b"\\", b";", b"%3b", b"%00", b"%25", b"%252e", b"%", b"a", b"%61", b"?", b"#", b"\x80",
        b"%c3%a9", b"%C0%AE", b"//", b"%0a", b"@", b":", b"%20", b"~", b"%7E", b"hub",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut forwarded = 0;
    for _ in 0..400 {
        let mut target = if next(2) == 0 { b"/public/".to_vec() } else { b"/".to_vec() };
        for _ in 0..=next(5) {
            target.extend_from_slice(pieces[next(pieces.len())]);
        }
        let name = String::from_utf8_lossy(&target).into_owned();
        let first = get(&gateway, &target);
        let seen = upstream.take();
        if first != 200 {
            // 303: the hub's own root sends people to its login page.
            let home = first == 303
                && name
                    .split('?')
                    .next()
                    .is_some_and(|path| path.ends_with("/hub") || path.ends_with("/hub/"));
            assert!(matches!(first, 400 | 401 | 404) || home, "{name}: {first}");
            assert!(seen.is_empty(), "{name}: refused with {first}, and yet forwarded: {seen:?}");
            continue;
        }
        forwarded += 1;
        let canonical = seen[0].target();
        let path = canonical.split('?').next().unwrap();
        assert!(path == "/public" || path.starts_with("/public/"), "{name} arrived as {canonical}");
        assert!(!path.split('/').any(|s| matches!(s, "." | "..")), "{name} arrived as {canonical}");
        assert_eq!(get(&gateway, canonical.as_bytes()), 200, "{name}: {canonical} is not canonical");
        assert_eq!(upstream.take()[0].target(), canonical, "{name}: canonicalising again changes it");
    }
    assert!(forwarded > 20, "only {forwarded} of 400 were innocent: the generator is broken");
    gateway.assert_innocent(&upstream, "all mixtures");
}

fn get(gateway: &Gateway, target: &[u8]) -> u16 {
    let request = [b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
    gateway.raw().send(request).answer().expect("an answer").status
}

/// P11: hosts are compared without case, port and final dot, however many there are.
#[test]
fn hosts_match_however_they_are_spelled() {
    for count in [1, 100, 500] {
        let (upstream, other) = (Upstream::start(), Upstream::start());
        let gateway = Gateway::start(|setup| {
            setup.service("alpha", "alpha-secret-0123456789");
            let open = "[[upstream.rule]]\npath = \"/**\"\naccess = \"public\"";
            setup.route("alpha", "/", &upstream, &format!("host = \"api.example.com\"\n{open}"));
            for n in 1..count {
                setup.route("alpha", "/", &other, &format!("host = \"h{n}.example.com\"\n{open}"));
            }
        });
        for host in [
            "api.example.com",
            "API.Example.COM",
            "api.example.com.",
            "api.example.com:443",
            "api.example.com:8443",
            "Api.example.com.:443",
        ] {
            let answer = gateway.send(&Request::get("/x").host(host));
            assert_eq!(answer.status, 200, "{host} among {count}");
            assert_eq!(upstream.take().len(), 1, "{host} among {count}");
        }
        for host in
            ["evil.example.com", "api.example.com.evil", "xapi.example.com", "example.com", "api-example.com"]
        {
            assert_eq!(gateway.send(&Request::get("/x").host(host)).status, 404, "{host} among {count}");
        }
        for host in [
            "",
            "a b",
            "api.example.com/x",
            "api.example.com:99999",
            "api.example.com:https",
            "a@api.example.com",
            "[::1",
        ] {
            let status = gateway.send(&Request::get("/x").host(host)).status;
            assert!(matches!(status, 400 | 404), "{host:?} among {count}: {status}");
        }
        assert_eq!((upstream.count(), other.count()), (0, 0), "among {count}");
        if count > 1 {
            assert_eq!(gateway.send(&Request::get("/x").host("H1.example.com")).status, 200);
            assert_eq!(other.take().len(), 1);
        }
    }
}

/// P20: the gateway's own paths never fall through to an upstream, not even to one that has everything.
#[test]
fn own_endpoints_are_never_forwarded() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .route("alpha", "/", &upstream, "[[upstream.rule]]\npath = \"/**\"\naccess = \"public\"");
    });
    let form = "grant_type=client_credentials&scope=alpha";
    for (target, wanted) in [
        ("/hub/api/rest/oauth2/token/", &[400, 404][..]),
        ("//hub/api/rest/oauth2/token", &[400]),
        ("/hub//api/rest/oauth2/token", &[400]),
        ("/hub/api/rest/oauth2/..;/users", &[400]),
        ("/hub/api/rest/oauth2/../users", &[400]),
        ("/hub/api/rest/oauth2/%2e%2e/users", &[400]),
        ("/hub/api/rest/oauth2/tokens", &[404]),
        ("/hub/api/rest/oauth2/Token", &[404]),
        ("/hub/api/rest/users", &[401]),
        ("/hub/api/rest/nosuch", &[404]),
        ("/hub", &[404, 302, 303, 405]),
        ("/hub/", &[404, 302, 303, 405]),
        ("/%68ub/api/rest/nosuch", &[404]),
        ("/hu%62/", &[404, 302, 303, 405]),
    ] {
        let answer = gateway.send(&Request::form(target, form).basic("machine", "machine-secret-0123456789"));
        assert!(wanted.contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
        assert!(upstream.take().is_empty(), "{target} was forwarded");
    }
    // Its own endpoints answer all the while, in every spelling that means the same, and neighbours are forwarded.
    for target in [TOKEN, "/hub/api/rest/oauth2/%74oken"] {
        let answer = gateway.send(&Request::form(target, form).basic("machine", "machine-secret-0123456789"));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
    for target in ["/hubba", "/hub.html", "/x/hub/api", "/HUB/api"] {
        assert_eq!(gateway.send(&Request::get(target)).status, 200, "{target}");
        assert_eq!(upstream.take().len(), 1, "{target}");
    }
}

/// One client connection may ask for open and closed paths in turn; each request is judged by itself.
#[test]
fn every_request_of_a_connection_is_judged() {
    let (gateway, upstream) = Gateway::standard();
    let mut connection = RawClient::connect(gateway.address());
    for round in 0..20 {
        for (target, status) in
            [("/public/x", 200), ("/admin/x", 401), ("/public/../admin", 400), ("/none", 404)]
        {
            connection.send(Request::get(target).bytes());
            let answer = connection.answer().unwrap_or_else(|| {
                // A refusal may end the connection, never turn into anything else.
                connection = gateway.raw();
                connection.send(Request::get(target).bytes());
                connection.answer().expect("an answer on a fresh connection")
            });
            assert_eq!(answer.status, status, "{target} in round {round}");
        }
    }
    assert_eq!(upstream.take().len(), 20);
}
