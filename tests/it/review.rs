//! What a review of the gate found, kept from coming back: trailers and headers that could speak for the gateway, heads
//! that arrive in pieces, clients that hold on to what is theirs no longer, and limits that hit the wrong one.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Answer, Gateway, RawClient, Recorded, Reply, Request, Upstream,
    forge::decode,
    gateway::{PUBLIC_URL, TOKEN, eventually},
    h2::{self, H2},
};

/// The pseudo-header fields of a request to `/public/x`.
fn to_public(method: &'static [u8]) -> Vec<h2::Field<'static>> {
    vec![
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ]
}

/// The status of a bearer's request to `/api/x` on this connection.
fn ask(connection: &mut RawClient, token: &str) -> u16 {
    connection.send(Request::get("/api/x").bearer(token).bytes());
    connection.answer().expect("an answer").status
}

/// The same on a connection of its own.
fn ask_anew(gateway: &Gateway, token: &str) -> u16 {
    ask(&mut gateway.raw(), token)
}

/// `gateway.toml` with `before` replaced, which must be in it.
fn edited(gateway: &Gateway, before: &str, after: &str) -> String {
    let text = gateway.config_text();
    assert!(text.contains(before), "{before:?} is not in the configuration");
    text.replace(before, after)
}

#[test]
fn request_trailers_are_dropped() {
    let (gateway, upstream) = Gateway::standard();
    let announced = "X-Sum, X-Forwarded-User, X_Forwarded_User";
    let assert_seen = |name: &str| {
        let seen = upstream.wait_for(1).remove(0);
        upstream.take();
        assert_eq!(seen.body, b"hello world", "{name}");
        assert!(seen.trailers.is_empty(), "{name}: {:?}", seen.trailers);
        assert_eq!(seen.header("trailer"), None, "{name}: trailers are announced that do not come");
        assert!(!seen.fields().iter().any(|(_, v)| v.contains("admin")), "{name}: {:?}", seen.fields());
    };
    let mut one = gateway.raw();
    one.send(format!(
        "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTrailer: {announced}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n6\r\n world\r\n0\r\n\
         X-Sum: 42\r\nX-Forwarded-User: admin\r\nX_Forwarded_User: admin\r\n\r\n"
    ));
    assert_eq!(one.answer().expect("an answer").status, 200);
    assert_seen("HTTP/1.1");
    // Where the trailers end, the next request begins.
    one.send(Request::get("/public/x").bytes());
    assert_eq!(one.answer().expect("the connection lives").status, 200);
    upstream.take();

    let mut two = H2::connect(gateway.address());
    let mut head = to_public(b"POST");
    head.push((b"trailer", announced.as_bytes()));
    two.headers(1, &head, false);
    two.data(1, b"hello", false);
    two.data(1, b" world", false);
    let trailers: [h2::Field<'_>; 3] =
        [(b"x-sum", b"42"), (b"x-forwarded-user", b"admin"), (b"x_forwarded_user", b"admin")];
    two.headers(1, &trailers, true);
    assert_eq!(two.outcome(1).status, Some(200));
    assert_seen("HTTP/2");
    gateway.assert_innocent(&upstream, "request trailers");
}

#[test]
fn own_endpoints_read_little() {
    let (gateway, upstream) = Gateway::standard();
    let form = |padding: usize| {
        let form = format!("grant_type=client_credentials&scope=alpha&x={}", "a".repeat(padding));
        Request::form(TOKEN, &form).basic("machine", "machine-secret-0123456789")
    };
    assert_eq!(gateway.send(&form(100)).status, 200);
    let answer = gateway.send(&form(70 * 1024));
    assert!(matches!(answer.status, 400 | 413), "70 KiB of form: {}", answer.status);

    let quickly = |name: &str, bytes: &[u8]| {
        let mut client = gateway.raw();
        client.send(bytes);
        let answer = client.answer_within("POST", Duration::from_secs(15));
        let status = answer.unwrap_or_else(|| panic!("{name}: closed without a word")).status;
        assert!(matches!(status, 400 | 404 | 405 | 413), "{name}: {status}");
        // What follows is still the body of what was refused.
        client.send("GET /public/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.rest(Duration::from_millis(300));
        gateway.assert_innocent(&upstream, name);
    };
    for target in ["/hub/x", TOKEN] {
        let mut chunked =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        chunked.push_str(&format!("4000\r\n{}\r\n", "a".repeat(0x4000)).repeat(16));
        quickly(&format!("256 KiB in chunks without an end to {target}"), chunked.as_bytes());
        // What says beforehand that it is too large is not waited for at all, as with routes.
        let declared =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\nbegin", 1 << 20);
        quickly(&format!("1 MiB declared to {target}"), declared.as_bytes());
    }
}

const CHUNKED_HEAD_END: &str = "X: y\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

/// A POST with a length, up to where a second framing can be added.
fn begun(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n")
}

/// RFC 9112 section 6.1: both framings at once are an attempt to smuggle, however the head was cut into segments.
#[test]
fn two_framings_in_a_head_that_was_split() {
    let (gateway, upstream) = Gateway::standard();
    let mut client = gateway.raw();
    let first = String::from_utf8(Request::get("/public/a").bytes()).unwrap();
    client.send(first + &begun("/public/b"));
    assert_eq!(client.answer().expect("an answer").status, 200);
    client.send(CHUNKED_HEAD_END);
    let answer = client.answer().expect("an answer to the second");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(client.closes_within(Duration::from_secs(15)), "the connection lives on");
    let seen: Vec<String> = upstream.take().iter().map(Recorded::target).collect();
    assert_eq!(seen, ["/public/a"]);
    gateway.assert_innocent(&upstream, "a split head");
}

/// The same where an empty line came before the head: in what was left of the body of a request already answered.
#[test]
fn two_framings_after_an_early_answer() {
    let (gateway, upstream) = Gateway::standard();
    upstream.script(|request| {
        if request.target() == "/public/early" {
            Reply::BeforeBody(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly".to_vec())
        } else {
            Reply::Describe
        }
    });
    for split in [false, true] {
        let mut client = gateway.raw();
        client.send("POST /public/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345");
        assert_eq!(client.answer().expect("an answer").text(), "early");
        let (rest, head) = ("6\r\n\r\n", begun("/public/b"));
        if split {
            client.send(format!("{rest}{head}"));
            thread::sleep(Duration::from_millis(100));
            client.send(CHUNKED_HEAD_END);
        } else {
            client.send(format!("{rest}{head}{CHUNKED_HEAD_END}"));
        }
        // Closing the connection after the early answer is as good.
        let status = client.answer().map(|answer| answer.status);
        assert!(matches!(status, None | Some(400)), "split: {split}: {status:?}");
        assert!(client.closes_within(Duration::from_secs(15)), "split: {split}: the connection lives on");
        let seen: Vec<String> = upstream.take().iter().map(Recorded::target).collect();
        assert_eq!(seen, ["/public/early"], "split: {split}");
        gateway.assert_innocent(&upstream, "an early answer");
    }
}

/// What stands beside the attacks: one framing passes, also the second time and in pieces.
#[test]
fn one_framing_passes_on_every_turn() {
    let (gateway, upstream) = Gateway::standard();
    let chunked = |n: usize| {
        format!(
            "POST /public/{n} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
    };
    let mut client = gateway.raw();
    let passes = |client: &mut RawClient, n: usize| {
        let answer = client.answer().unwrap_or_else(|| panic!("closed at {n}"));
        assert_eq!(answer.status, 200, "{n}: {}", answer.text());
        let body = upstream.take().remove(0).body;
        assert_eq!(body, if n == 2 { &b""[..] } else { b"hello" }, "{n}");
    };
    for n in [0, 1] {
        client.send(chunked(n));
        passes(&mut client, n);
    }
    client.send(Request::get("/public/2").bytes());
    passes(&mut client, 2);
    client.send(chunked(3));
    passes(&mut client, 3);
    for (n, cut) in [(4, 20), (5, 60), (6, 75)] {
        let bytes = chunked(n);
        client.send(&bytes[..cut]);
        thread::sleep(Duration::from_millis(50));
        client.send(&bytes[cut..]);
        passes(&mut client, n);
    }
    client.send("POST /public/7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    passes(&mut client, 7);
}

fn with_write_timeout() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "write_timeout", r#""1s""#);
    });
    (gateway, upstream)
}

/// Threat D2 over HTTP/2: a client that gives no window never lets go of what waits for it.
#[test]
fn a_window_that_never_opens() {
    let (gateway, upstream) = with_write_timeout();
    let started = Instant::now();
    let mut shut = H2::connect_with_window(gateway.address(), 0);
    shut.headers(1, &to_public(b"GET"), true);
    assert!(
        shut.closes_within(Duration::from_secs(15)),
        "an answer that nobody takes is kept: {:?}",
        started.elapsed()
    );
    assert!(started.elapsed() > Duration::from_millis(700), "closed after {:?}", started.elapsed());
    upstream.take();
    gateway.assert_innocent(&upstream, "a window of zero");
}

#[test]
fn a_window_that_opens_in_time_and_a_slow_upstream_are_no_stall() {
    let (gateway, upstream) = with_write_timeout();
    let mut late = H2::connect_with_window(gateway.address(), 0);
    late.headers(1, &to_public(b"GET"), true);
    thread::sleep(Duration::from_millis(400));
    late.frame(h2::WINDOW_UPDATE, 0, 1, &0x1_0000_u32.to_be_bytes());
    let outcome = late.outcome(1);
    assert_eq!((outcome.status, outcome.body.is_empty(), outcome.reset), (Some(200), false, None));

    let pause = Duration::from_millis(1800);
    upstream.reply(Reply::Pieces(vec![
        (pause, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none".to_vec()),
        (pause, b"two".to_vec()),
    ]));
    let mut two = H2::connect(gateway.address());
    two.headers(1, &to_public(b"GET"), true);
    let mut one = gateway.raw();
    one.send(Request::get("/public/x").bytes());
    assert_eq!(two.outcome(1).body, b"onetwo");
    assert_eq!(one.answer().expect("an answer").text(), "onetwo");
}

/// T19: how long a removal must be remembered is decided by the tokens that are out, not by the life that new ones get.
#[test]
fn a_removal_outlives_the_tokens_from_before_a_shorter_life() {
    let upstream = Upstream::start();
    let mut clock = None;
    let mut gateway = Gateway::start(|setup| {
        clock = Some(setup.manual_clock());
        setup.standard(&upstream).set("oauth", "access_token_ttl", r#""1h""#);
    });
    let clock = clock.unwrap();
    let (id, secret) = gateway.register("robot");
    let old = gateway.token(&id, &secret, "alpha");
    let bystander = gateway.machine_token("alpha");
    gateway.reload(&edited(&gateway, r#"access_token_ttl = "1h""#, r#"access_token_ttl = "10s""#)).unwrap();
    assert_eq!((ask_anew(&gateway, &old), ask_anew(&gateway, &bystander)), (200, 200));
    gateway.command(&["service", "remove", &id]);
    eventually("the removal is noticed", || ask_anew(&gateway, &old) == 401);

    clock.advance(Duration::from_secs(60));
    assert_eq!(ask_anew(&gateway, &old), 401);
    gateway.restart();
    assert_eq!(ask_anew(&gateway, &old), 401, "after a restart");
    // Somebody else under the same id: what the one before had is not theirs.
    let (_, secret) = gateway.register("robot");
    let new = gateway.token("robot", &secret, "alpha");
    assert_eq!(ask_anew(&gateway, &new), 200);
    upstream.take();
    assert_eq!(ask_anew(&gateway, &old), 401, "the id is in use again");
    assert!(upstream.take().is_empty());
    assert_eq!(ask_anew(&gateway, &bystander), 200, "the hour is not over for others");
}

/// A token lives no longer than the registration of its client, revoked or not.
#[test]
fn tokens_of_clients_that_are_not_registered() {
    let (gateway, upstream) = Gateway::standard();
    let key = gateway.signing_key();
    let (header, genuine) = decode(&gateway.machine_token("alpha"));
    let of = |client: &str, ahead: i64| {
        let mut claims = genuine.clone();
        claims["sub"] = json!(client);
        claims["client_id"] = json!(client);
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() + ahead);
        key.sign(&header.to_string(), &claims.to_string())
    };
    assert_eq!(ask_anew(&gateway, &of("machine", 0)), 200, "the forging is right");
    upstream.take();
    let refused = gateway.send(&Request::get("/api/x").bearer(&of("nobody", 0)));
    assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_token"));
    assert!(upstream.take().is_empty());

    // A node whose clock is ahead has issued it after the removal, by what it says itself: no revocation hits it.
    let (id, _) = gateway.register("robot");
    let ahead = of(&id, 50);
    let mut kept = gateway.raw();
    assert_eq!((ask(&mut kept, &ahead), ask(&mut kept, &ahead), ask_anew(&gateway, &ahead)), (200, 200, 200));
    gateway.command(&["service", "remove", &id]);
    eventually("the removal is noticed", || ask_anew(&gateway, &ahead) == 401);
    upstream.take();
    assert_eq!(ask(&mut kept, &ahead), 401, "a connection remembers it");
    assert!(upstream.take().is_empty());
    gateway.assert_innocent(&upstream, "a removal");
}

/// Guessing is what costs: who shares an address with a guesser goes on with a token that is known to be good.
#[test]
fn a_penalty_spares_tokens_that_are_known() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "rejections_per_source", r#""3/m""#);
    });
    let [known, unseen] = [(); 2].map(|()| gateway.machine_token("alpha"));
    assert_eq!(ask_anew(&gateway, &known), 200);
    let guess = |n: usize| gateway.send(&Request::get("/api/x").bearer(&format!("guess-{n}")));
    let statuses: Vec<u16> = (0..5).map(|n| guess(n).status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429]);
    upstream.take();
    assert_eq!(ask_anew(&gateway, &known), 200, "a known token waits for somebody else's guesses");
    assert_eq!(upstream.take().len(), 1);
    let throttled: [Answer; 2] = [guess(9), gateway.send(&Request::get("/api/x").bearer(&unseen))];
    for answer in throttled {
        assert_eq!((answer.status, answer.error().as_str()), (429, "too_many_requests"));
        assert!(answer.header("retry-after").is_some());
    }
    assert!(upstream.take().is_empty());
}

/// `Proxy` becomes `HTTP_PROXY` in a CGI environment (CVE-2016-5385); nothing legitimate sends it.
#[test]
fn the_proxy_header_does_not_pass() {
    let (gateway, upstream) = Gateway::standard();
    for name in ["Proxy", "PROXY", "proxy"] {
        let request = Request::get("/public/x").header(name, "http://evil").header("X-Proxy", "passes");
        assert_eq!(gateway.send(&request).status, 200, "{name}");
        let seen = upstream.take().remove(0);
        assert_eq!(seen.header("proxy"), None, "{name}");
        assert_eq!(seen.header("x-proxy").as_deref(), Some("passes"));
    }
    let request = Request::get("/public/x").header("proxy", "http://evil");
    assert_eq!(gateway.client().send_h2(&[request]).remove(0).status, 200);
    assert_eq!(upstream.take().remove(0).header("proxy"), None, "HTTP/2");
}

/// The upstream's deadline is not running while the client is the one that is waited for.
#[test]
fn a_pause_in_an_upload_is_the_clients() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.set("limits", "body_timeout", r#""20s""#).service("open", "open-secret-0123456789").open(
            "/public",
            &upstream,
            "timeout = \"1s\"",
        );
    });
    let pause = || thread::sleep(Duration::from_millis(1800));
    for (name, pieces) in [
        (
            "by length",
            ["POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n", "01234", "56789"],
        ),
        (
            "in chunks",
            [
                "POST /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
                "5\r\n01234\r\n",
                "5\r\n56789\r\n0\r\n\r\n",
            ],
        ),
    ] {
        let mut client = gateway.raw();
        client.send(pieces[0]);
        for piece in &pieces[1..] {
            pause();
            client.send(piece);
        }
        let answer = client.answer().unwrap_or_else(|| panic!("{name}: closed"));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(upstream.take()[0].body, b"0123456789", "{name}");
    }
    let mut two = H2::connect(gateway.address());
    two.headers(1, &to_public(b"POST"), false);
    two.data(1, b"01234", false);
    pause();
    two.data(1, b"56789", true);
    assert_eq!(two.outcome(1).status, Some(200), "HTTP/2");
    assert_eq!(upstream.take()[0].body, b"0123456789", "HTTP/2");

    // Once all is sent, the upstream is the one that is waited for.
    upstream.reply(Reply::Hang);
    let mut client = gateway.raw();
    client.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234");
    pause();
    client.send("56789");
    let sent = Instant::now();
    assert_eq!(client.answer().expect("an answer").status, 504);
    let waited = sent.elapsed();
    assert!((700..10_000).contains(&waited.as_millis()), "504 after {waited:?} with a timeout of a second");
}

#[test]
fn tokens_of_the_issuer_before_a_reload() {
    let (gateway, upstream) = Gateway::standard();
    let old = gateway.machine_token("alpha");
    let mut kept = gateway.raw();
    assert_eq!((ask(&mut kept, &old), ask(&mut kept, &old), ask_anew(&gateway, &old)), (200, 200, 200));
    gateway.reload(&gateway.config_text()).unwrap();
    assert_eq!((ask(&mut kept, &old), ask_anew(&gateway, &old)), (200, 200), "nothing has changed");

    gateway.reload(&edited(&gateway, PUBLIC_URL, "https://other.example:8443")).unwrap();
    upstream.take();
    assert_eq!(ask(&mut kept, &old), 401, "a connection remembers it");
    assert_eq!(ask_anew(&gateway, &old), 401, "the process remembers it");
    assert!(upstream.take().is_empty());
    let new = gateway.machine_token("alpha");
    assert_eq!(decode(&new).0["typ"], "at+jwt");
    assert_eq!(decode(&new).1["iss"], "https://other.example:8443/hub");
    assert_eq!((ask(&mut kept, &new), ask_anew(&gateway, &new)), (200, 200));
}
