//! What is still going on when the access behind it ends: WebSockets, streams of events, long polls, downloads. And when the
//! gateway itself stops (threats S12, R3).

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Answer, Gateway, RawClient, Reply, Request, Setup, Upstream, forge,
    gateway::{OBEYED, eventually},
    h2::{Field, H2},
};

const REVOKE: &str = "/hub/api/rest/oauth2/revoke";
const SECRET: &str = "machine-secret-0123456789";
const RULES: &str = "[[upstream.rule]]\npath = \"/drained/machine/**\"\nclients = [\"machine\"]\n[[upstream.rule]]\npath = \"/drained/open/**\"\naccess = \"public\"";

fn start(configure: impl FnOnce(&mut Setup)) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).service("robot", "robot-secret-0123456789").route(
            "alpha",
            "/drained",
            &upstream,
            &format!("on_expiry = \"drain\"\n{RULES}"),
        );
        configure(setup);
    });
    upstream.script(|request| {
        let target = request.target();
        match () {
            () if target.contains("ws") => Reply::Switch(b"\x81\x05hello".to_vec()),
            () if target.contains("events") => pieces("text/event-stream", "data: x\n\n", 200),
            () if target.contains("slow") => pieces("text/plain", "a piece\n", 12),
            () if target.contains("poll") => Reply::Hang,
            () if target.contains("late") => {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
                Reply::Pieces(vec![(Duration::from_millis(1500), answer)])
            }
            () => Reply::Describe,
        }
    });
    (gateway, upstream)
}

/// A frame, which the upstream sends back.
const STILL: &[u8] = b"\x89\x05still";

/// An answer in chunks, a piece every quarter of a second.
fn pieces(kind: &str, piece: &str, count: usize) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    let mut pieces = vec![(Duration::ZERO, head.into_bytes())];
    pieces.extend((0..count).map(|_| (Duration::from_millis(250), chunk.clone().into_bytes())));
    pieces.push((Duration::ZERO, b"0\r\n\r\n".to_vec()));
    Reply::Pieces(pieces)
}

fn handshake(target: &str, token: &str) -> Request {
    upgrade(target).bearer(token)
}

fn upgrade(target: &str) -> Request {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn websocket(gateway: &Gateway, target: &str, token: &str) -> RawClient {
    let mut client = gateway.raw();
    client.send(handshake(target, token).bytes());
    let head = client.head(Instant::now() + Duration::from_secs(20)).expect("an answer");
    assert_eq!(head.status, 101);
    assert_eq!(client.take(7).unwrap(), b"\x81\x05hello");
    client
}

fn stream(gateway: &Gateway, target: &str, token: &str, first: &str) -> RawClient {
    let mut client = gateway.raw();
    client.send(Request::get(target).bearer(token).bytes());
    client.wait_for(first);
    client
}

fn revoke(gateway: &Gateway, token: &str) {
    let form = Request::form(REVOKE, &format!("token={token}")).basic("machine", SECRET);
    assert_eq!(gateway.send(&form).status, 200);
}

/// Fails unless the client gets a Close with this code, and the end, in time.
fn assert_closed(what: &str, client: &mut RawClient, code: u16) {
    let deadline = Instant::now() + OBEYED;
    while client.fill(deadline) {}
    let said = client.rest(Duration::from_millis(1));
    assert!(said.len() > 4, "{what}: {said:?}");
    let length = u8::try_from(said.len() - 2).unwrap();
    assert_eq!((said[0], said[1], u16::from_be_bytes([said[2], said[3]])), (0x88, length, code), "{what}");
    assert!(Instant::now() < deadline, "{what}: not in time");
    assert!(client.closes_within(Duration::from_millis(10)), "{what}");
}

/// Fails unless the answer breaks off in time.
fn assert_cut(what: &str, client: &mut RawClient) {
    let begun = Instant::now();
    let answer: Answer = client.answer_within("GET", Duration::from_secs(20)).expect("its head was there");
    assert!(!answer.complete, "{what}: it looks whole: {}", answer.text());
    assert!(begun.elapsed() < OBEYED, "{what}: after {:?}", begun.elapsed());
}

#[test]
fn a_revoked_token_ends_everything_that_it_opened() {
    let (gateway, upstream) = start(|_| {});
    let (token, other) = (gateway.machine_token("alpha"), gateway.machine_token("alpha"));
    let mut socket = websocket(&gateway, "/api/ws", &token);
    let mut neighbour = websocket(&gateway, "/api/ws", &other);
    let mut events = stream(&gateway, "/api/events", &token, "data: x");
    let mut download = stream(&gateway, "/api/slow", &token, "a piece");
    let mut poll = gateway.raw();
    poll.send(Request::get("/api/poll").bearer(&token).bytes());
    let bearer = format!("Bearer {token}");
    let mut h2 = H2::connect(gateway.address());
    let fields: Vec<Field<'_>> = vec![
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/api/events"),
        (b"authorization", bearer.as_bytes()),
    ];
    h2.headers(1, &fields, true);
    h2.wait_for(1, b"data: x");
    eventually("the poll waits", || upstream.requests().iter().any(|r| r.target() == "/api/poll"));
    revoke(&gateway, &token);
    assert_closed("the WebSocket", &mut socket, 1008);
    assert_cut("the events", &mut events);
    assert_cut("the download", &mut download);
    let answer = poll.answer_within("GET", OBEYED).expect("an answer");
    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"));
    assert!(h2.outcome(1).reset.is_some(), "over HTTP/2 the stream is reset");
    // The connection goes on.
    poll.send(Request::get("/public/x").bytes());
    assert_eq!(poll.answer().expect("an answer").status, 200);
    // What another token opened goes on too.
    neighbour.send(STILL);
    assert_eq!(neighbour.take(STILL.len()).unwrap(), STILL);
    eventually("the log says why", || {
        let lines = gateway.lines();
        let ended = lines.lines().filter(|line| line.contains("decision=ended"));
        ended.filter(|line| line.contains("revoked")).count() == 5
    });
    assert!(!gateway.lines().contains(&token));
}

/// R12: a key that is made anew ends nothing that was begun under the one before.
#[test]
fn new_keys_end_nothing() {
    let (gateway, upstream) = start(|_| {});
    let token = gateway.machine_token("alpha");
    let mut socket = websocket(&gateway, "/api/ws", &token);
    let mut events = stream(&gateway, "/api/events", &token, "data: x");
    let mut late = gateway.raw();
    late.send(Request::get("/api/late").bearer(&token).bytes());
    eventually("it waits", || upstream.requests().iter().any(|r| r.target() == "/api/late"));
    let kid = |token: &str| forge::decode(token).0["kid"].as_str().unwrap().to_owned();
    gateway.command(&["key", "rotate"]);
    eventually("the new key signs", || kid(&gateway.machine_token("alpha")) != kid(&token));
    // Long enough for the tick and for what settles after it.
    thread::sleep(Duration::from_millis(2500));
    let answer = late.answer().expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    socket.send(STILL);
    assert_eq!(socket.take(STILL.len()).unwrap(), STILL);
    drop(events.rest(Duration::from_millis(1)));
    events.wait_for("data: x");
    assert!(!gateway.lines().contains("decision=ended"), "{}", gateway.lines());
    // And what is revoked ends as before.
    revoke(&gateway, &token);
    assert_closed("the WebSocket", &mut socket, 1008);
}

/// Every way in which access ends.
#[test]
fn whatever_ends_access_ends_a_websocket() {
    let (gateway, _upstream) = start(|setup| {
        setup.user("jane", "").user("john", "");
    });
    let permanent = |user: &str| {
        let made = gateway
            .command(&["token", "create", "--user", user, "--name", "ci", "--scope", "alpha", "--json"]);
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        let token = made["token"].as_str().unwrap().to_owned();
        eventually("the gateway knows it", || {
            gateway.send(&Request::get("/api/x").bearer(&token)).status == 200
        });
        (made["id"].as_str().unwrap().to_owned(), token)
    };
    let (id, token) = permanent("jane");
    let (_, second) = permanent("jane");
    let (_, johns) = permanent("john");
    let mut first = websocket(&gateway, "/api/ws", &token);
    let mut banned = websocket(&gateway, "/api/ws", &second);
    let mut neighbour = websocket(&gateway, "/api/ws", &johns);
    gateway.command(&["token", "revoke", "--user", "jane", &id]);
    assert_closed("a permanent token that is taken back", &mut first, 1008);
    banned.send(STILL);
    assert_eq!(banned.take(STILL.len()).unwrap(), STILL);
    gateway.command(&["user", "ban", "jane"]);
    assert_closed("a user who is banned", &mut banned, 1008);
    let (id, secret) = gateway.register("short-lived");
    let token = gateway.token(&id, &secret, "alpha");
    let mut client = websocket(&gateway, "/api/ws", &token);
    gateway.command(&["service", "remove", &id]);
    assert_closed("a client that is removed", &mut client, 1008);
    let token = gateway.machine_token("alpha");
    let mut ruled = websocket(&gateway, "/api/ws", &token);
    // A reload that does not concern it leaves it alone.
    let text = gateway.config_text();
    gateway
        .reload(&format!(
            "{text}\n[[upstream]]\nservice = \"open\"\npath = \"/new\"\nto = [\"http://127.0.0.1:9\"]\n"
        ))
        .unwrap();
    thread::sleep(Duration::from_millis(700));
    ruled.send(STILL);
    assert_eq!(ruled.take(STILL.len()).unwrap(), STILL);
    let at = text.find("path = \"/api\"").unwrap();
    let end = at + text[at..].find("\n\n").unwrap_or(text.len() - at);
    let rule = "\n[[upstream.rule]]\npath = \"/api/**\"\nusers = [\"john\"]\n";
    gateway.reload(&format!("{}{rule}{}", &text[..end], &text[end..])).unwrap();
    assert_closed("a rule that asks for more", &mut ruled, 1008);
    neighbour.send(STILL);
    assert_eq!(neighbour.take(STILL.len()).expect("john may"), STILL);
}

/// The same of what people make for their programs, and of streams that have no end of their own.
#[test]
fn what_a_program_of_a_person_opened_ends_with_its_credential() {
    let (gateway, _upstream) = start(|setup| {
        setup.user("jane", "").user("john", "");
    });
    // A credential: who sends it, how it is taken back.
    let make = |user: &str, password: bool| {
        let arguments: &[&str] = if password {
            &["user", "app-password", "add", user, "--name", "git", "--json"]
        } else {
            &["token", "create", "--user", user, "--name", "ci", "--scope", "alpha", "--json"]
        };
        let made: serde_json::Value = serde_json::from_str(&gateway.command(arguments)).unwrap();
        let text = made[if password { "password" } else { "token" }].as_str().unwrap();
        let value = if password {
            format!("Basic {}", forge::base64(format!("{user}:{text}").as_bytes()))
        } else {
            format!("Bearer {text}")
        };
        eventually("the gateway knows it", || {
            gateway.send(&Request::get("/api/x").header("Authorization", &value)).status == 200
        });
        (made["id"].as_str().unwrap().to_owned(), value)
    };
    let open = |value: &str| {
        let mut socket = gateway.raw();
        socket.send(upgrade("/api/ws").header("Authorization", value).bytes());
        assert_eq!(socket.head(Instant::now() + Duration::from_secs(20)).expect("an answer").status, 101);
        assert_eq!(socket.take(7).unwrap(), b"\x81\x05hello");
        let mut events = gateway.raw();
        events.send(Request::get("/api/events").header("Authorization", value).bytes());
        events.wait_for("data: x");
        (socket, events)
    };
    for password in [false, true] {
        let what = if password { "an application password" } else { "a permanent token" };
        let (id, taken_back) = make("jane", password);
        let (_, other) = make("jane", password);
        let (mut socket, mut events) = open(&taken_back);
        let mut neighbour = open(&other);
        let taking_back: &[&str] = if password {
            &["user", "app-password", "remove", "jane", &id]
        } else {
            &["token", "revoke", "--user", "jane", &id]
        };
        gateway.command(taking_back);
        assert_closed(&format!("{what} that is taken back"), &mut socket, 1008);
        assert_cut(&format!("{what} that is taken back"), &mut events);
        neighbour.0.send(STILL);
        assert_eq!(neighbour.0.take(STILL.len()).expect("the other one goes on"), STILL);
        let (_, johns) = make("john", password);
        let (mut socket, mut events) = open(&johns);
        gateway.command(&["user", "ban", "john"]);
        assert_closed(&format!("{what} of a user who is banned"), &mut socket, 1008);
        assert_cut(&format!("{what} of a user who is banned"), &mut events);
        gateway.command(&["user", "unban", "john"]);
        neighbour.0.send(STILL);
        assert_eq!(neighbour.0.take(STILL.len()).expect("jane goes on"), STILL);
    }
}

#[test]
fn a_token_that_expires_ends_what_it_opened() {
    let mut clock = None;
    let (gateway, _upstream) = start(|setup| clock = Some(setup.manual_clock()));
    let clock = clock.unwrap();
    let token = gateway.machine_token("alpha");
    let mut socket = websocket(&gateway, "/api/ws", &token);
    let mut events = stream(&gateway, "/api/events", &token, "data: x");
    clock.advance(Duration::from_secs(3590));
    thread::sleep(Duration::from_millis(500));
    socket.send(STILL);
    assert_eq!(socket.take(STILL.len()).unwrap(), STILL);
    clock.advance(Duration::from_secs(11));
    assert_closed("the WebSocket", &mut socket, 1008);
    assert_cut("the events", &mut events);
}

/// `on_expiry = "drain"`: what has an end of its own may reach it.
#[test]
fn drained_answers_may_end() {
    let (gateway, upstream) = start(|_| {});
    let token = gateway.machine_token("alpha");
    let mut download = stream(&gateway, "/drained/slow", &token, "a piece");
    let mut open = stream(&gateway, "/drained/open/slow", &token, "a piece");
    let mut socket = websocket(&gateway, "/drained/ws", &token);
    let mut events = stream(&gateway, "/drained/events", &token, "data: x");
    revoke(&gateway, &token);
    assert_eq!(gateway.send(&Request::get("/drained/x").bearer(&token)).status, 401, "nothing new begins");
    assert_closed("a WebSocket has no end of its own", &mut socket, 1008);
    assert_cut("nor has a stream of events", &mut events);
    for (name, client) in [("", &mut download), ("an address that is open to all", &mut open)] {
        let answer = client.answer_within("GET", Duration::from_secs(20)).unwrap();
        assert!(answer.complete && answer.text() == "a piece\n".repeat(12), "{name}: {}", answer.text());
    }
    assert!(upstream.count() == 4, "{:?}", upstream.requests());
}

/// What was opened without a token has nothing that could end.
#[test]
fn what_needs_no_token_is_left_alone() {
    let (gateway, _upstream) = start(|_| {});
    let token = gateway.machine_token("alpha");
    let mut client = gateway.raw();
    let mut request = handshake("/public/ws", &token);
    request.headers.retain(|(name, _)| name != "Authorization");
    client.send(request.bytes());
    assert_eq!(client.head(Instant::now() + Duration::from_secs(20)).unwrap().status, 101);
    assert_eq!(client.take(7).unwrap(), b"\x81\x05hello");
    revoke(&gateway, &token);
    thread::sleep(Duration::from_millis(700));
    client.send(STILL);
    assert_eq!(client.take(STILL.len()).unwrap(), STILL);
}

/// R3: a gateway that stops says so to everybody, and lets what is being answered end.
#[test]
fn stopping_says_farewell_in_every_protocol() {
    let (mut gateway, upstream) = start(|setup| {
        setup.set("limits", "drain_timeout", r#""20s""#);
    });
    let token = gateway.machine_token("alpha");
    let mut socket = websocket(&gateway, "/api/ws", &token);
    let mut download = stream(&gateway, "/api/slow", &token, "a piece");
    let mut idle = gateway.raw();
    idle.send(Request::get("/public/x").bytes());
    assert_eq!(idle.answer().unwrap().status, 200);
    let bearer = format!("Bearer {token}");
    let get = |path: &'static [u8]| -> Vec<Field<'_>> {
        vec![
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path),
            (b"authorization", bearer.as_bytes()),
        ]
    };
    let mut h2 = H2::connect(gateway.address());
    h2.headers(1, &get(b"/api/slow"), true);
    h2.wait_for(1, b"a piece");
    let mut tunnel = H2::connect(gateway.address());
    let mut connect = get(b"/api/ws");
    connect[0].1 = b"CONNECT";
    connect.push((b"sec-websocket-version", b"13"));
    connect.insert(1, (b":protocol", b"websocket"));
    tunnel.headers(1, &connect, false);
    assert_eq!(tunnel.status(1), 200);
    assert_eq!(tunnel.bytes(1, 7).0, b"\x81\x05hello");
    let mut late = gateway.raw();
    late.send(Request::get("/api/late").bearer(&token).bytes());
    eventually("it is forwarded", || upstream.requests().iter().any(|r| r.target() == "/api/late"));
    let begun = Instant::now();
    let stopping = thread::spawn(move || gateway.stop());
    assert_closed("the WebSocket", &mut socket, 1001);
    let (close, _) = tunnel.bytes(1, 4);
    assert_eq!((close[0], &close[2..4]), (0x88, &[0x03, 0xe9][..]), "1001 over HTTP/2");
    assert!(idle.closes_within(Duration::from_secs(15)), "an idle connection is closed");
    let answer = download.answer_within("GET", Duration::from_secs(20)).unwrap();
    assert!(answer.complete, "what is being answered ends as it should");
    assert!(download.closes_within(Duration::from_secs(15)));
    let answer = late.answer().expect("an answer");
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("late", Some("close")));
    let outcome = h2.outcome(1);
    assert_eq!((outcome.reset, outcome.goaway, outcome.closed), (None, Some(0), false), "{outcome:?}");
    stopping.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "it waits for nobody who has gone");
    eventually("every upstream connection is closed", || upstream.open_connections() == 0);
}
