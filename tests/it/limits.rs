//! How much is taken: rates of sources, services and users, what clients are told of them, and what is refused at once because
//! there is too much to do.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    support::{
        Answer, Gateway, RawClient, Reply, Request, Upstream,
        gateway::{TOKEN, eventually},
        h2::{self, H2},
    },
    upstreams::metric,
};

const SECRET: &str = "robot-secret-0123456789";
const PASSWORD: &str = "correct horse battery";

/// `/public` open to all, `/api` for `alpha`; `machine` and `robot` are clients, jane and joe people.
fn start(limits: &[(&str, &str)], route: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .service("alpha", "alpha-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .service("robot", SECRET)
            .user("jane", &format!("password = {PASSWORD:?}"))
            .user("joe", &format!("password = {PASSWORD:?}"))
            .open("/public", &upstream, "")
            .route("alpha", "/api", &upstream, route);
        for (key, value) in limits {
            setup.set("limits", key, &format!("{value:?}"));
        }
    });
    (gateway, upstream)
}

/// A token that `robot` obtains for somebody.
fn token_of(gateway: &Gateway, user: &str) -> String {
    let form = format!("grant_type=password&username={user}&password={PASSWORD}&scope=alpha");
    let answer = gateway.send(&Request::form(TOKEN, &form.replace(' ', "+")).basic("robot", SECRET));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn get(gateway: &Gateway, path: &str, token: &str) -> Answer {
    gateway.send(&Request::get(path).bearer(token))
}

fn statuses<const N: usize>(gateway: &Gateway, path: &str, token: &str) -> [u16; N] {
    [(); N].map(|()| get(gateway, path, token).status)
}

/// What an answer tells of rates: name, rate, what is left.
fn told(answer: &Answer) -> Vec<(String, String)> {
    let (policies, limits) = (answer.all("ratelimit-policy"), answer.all("ratelimit"));
    assert_eq!(policies.len(), limits.len(), "{answer:?}");
    policies.into_iter().map(str::to_owned).zip(limits.into_iter().map(str::to_owned)).collect()
}

fn pair(policy: &str, limit: &str) -> (String, String) {
    (policy.to_owned(), limit.to_owned())
}

#[test]
fn services_and_users_have_rates() {
    let (gateway, upstream) = start(&[("requests_per_service", "5/h"), ("requests_per_user", "3/h")], "");
    let (jane, joe) = (token_of(&gateway, "jane"), token_of(&gateway, "joe"));
    let machine = gateway.machine_token("alpha");
    assert_eq!(statuses(&gateway, "/api/x", &jane), [200, 200, 200, 429, 429], "hers are spent");
    let answer = get(&gateway, "/api/x", &jane);
    assert_eq!((answer.status, answer.error().as_str()), (429, "too_many_requests"));
    assert!(answer.json()["error_description"].as_str().unwrap().contains("this user"));
    // What was refused took nothing from the service, which has two left for others.
    assert_eq!(statuses(&gateway, "/api/x", &joe), [200, 200]);
    let answer = get(&gateway, "/api/x", &joe);
    assert_eq!(answer.status, 429);
    assert!(answer.json()["error_description"].as_str().unwrap().contains("this service"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((600..=720).contains(&wait), "a fifth of an hour, not {wait} s");
    // A service of its own, which is no user.
    assert_eq!(statuses(&gateway, "/api/x", &machine), [200, 200, 200, 200, 200, 429]);
    // What needs no token has no rate here, and neither has who brings none or a bad one.
    for _ in 0..10 {
        assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
        assert_eq!(gateway.send(&Request::get("/api/x")).status, 401);
    }
    assert_eq!(upstream.take().len(), 3 + 2 + 5 + 10);
    for (cause, count) in [("rate_user", 3), ("rate_service", 2), ("rate_source", 0)] {
        let name = format!("hubgate_refusals_total{{cause=\"{cause}\"}}");
        assert_eq!(metric(&gateway, &name), count, "{cause}");
    }
    assert_eq!(metric(&gateway, "hubgate_decisions_total{route=\"/api\",decision=\"throttled\"}"), 5);
    // One decision line for each request, whatever it says.
    let lines = gateway.lines();
    let decided = lines.lines().filter(|line| line.contains("decision") && line.contains("/api")).count();
    assert_eq!(decided, 6 + 3 + 6 + 10, "{lines}");
}

#[test]
fn clients_are_told_of_their_rates() {
    let limits =
        [("requests_per_source", "100/h"), ("requests_per_service", "40/h"), ("requests_per_user", "2/h")];
    let (gateway, upstream) = start(&limits, "");
    let jane = token_of(&gateway, "jane");
    let source = "\"source\";q=100;w=3600";
    let service = "\"service\";q=40;w=3600";
    let user = "\"user\";q=2;w=3600";
    // The token endpoint was the first.
    assert_eq!(
        told(&get(&gateway, "/api/x", &jane)),
        [
            pair(source, "\"source\";r=98;t=3528"),
            pair(user, "\"user\";r=1;t=1800"),
            pair(service, "\"service\";r=39;t=3510"),
        ]
    );
    // Over HTTP/2 as well.
    let answer = gateway.client().send_h2(&[Request::get("/api/x").bearer(&jane)]).remove(0);
    assert_eq!((answer.status, told(&answer)[1].clone()), (200, pair(user, "\"user\";r=0;t=1800")));
    let answer = get(&gateway, "/api/x", &jane);
    assert_eq!(answer.status, 429);
    let wait = answer.header("retry-after").unwrap();
    assert_eq!(told(&answer)[1], pair(user, &format!("\"user\";r=0;t={wait}")), "both say the same");
    // Refusals of other kinds, own endpoints, what is open to all.
    for (request, status) in [
        (Request::get("/api/x"), 401),
        (Request::get("/nowhere"), 404),
        (Request::get("/public/x"), 200),
        (Request::get("/hub/api/rest/oauth2/keys"), 200),
    ] {
        let answer = gateway.send(&request);
        assert_eq!(answer.status, status);
        let told = told(&answer);
        assert_eq!((told.len(), told[0].0.as_str()), (1, source), "{request:?}");
        assert!(told[0].1.starts_with("\"source\";r=9"), "{told:?}");
    }
    // What the upstream says of its own rates stays.
    let own = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRateLimit: \"own\";r=1;t=1\r\nRateLimit-Policy: \"own\";q=1\r\n\r\n";
    upstream.reply(Reply::raw(own));
    let told = told(&gateway.send(&Request::get("/public/x")));
    assert_eq!((told.len(), told[0].clone()), (2, pair("\"own\";q=1", "\"own\";r=1;t=1")));
    assert_eq!(told[1].0, source);
    // Where there is no rate, nothing is told.
    let (gateway, _upstream) = start(&[], "");
    for path in ["/public/x", "/api/x", "/hub/api/rest/oauth2/keys"] {
        assert!(self::told(&gateway.send(&Request::get(path))).is_empty());
    }
}

const ROUTE: &str = r#"
requests_per_source = "6/h"
requests_per_user = "4/h"

[[upstream.rule]]
path = "/api/search/**"
methods = ["GET"]
requests_per_user = "1/h"

[[upstream.rule]]
path = "/api/open/**"
access = "public"
requests_per_source = "2/h"
"#;

#[test]
fn upstreams_and_rules_have_rates_of_their_own() {
    let (gateway, upstream) = start(&[], ROUTE);
    let (jane, joe) = (token_of(&gateway, "jane"), token_of(&gateway, "joe"));
    let answer = get(&gateway, "/api/search/x", &jane);
    assert_eq!(answer.status, 200);
    assert_eq!(
        told(&answer),
        [
            pair("\"upstream-source\";q=6;w=3600", "\"upstream-source\";r=5;t=3000"),
            pair("\"rule-user\";q=1;w=3600", "\"rule-user\";r=0;t=3600"),
            pair("\"upstream-user\";q=4;w=3600", "\"upstream-user\";r=3;t=2700"),
        ]
    );
    assert_eq!(get(&gateway, "/api/search/x", &jane).status, 429, "the rule's");
    assert_eq!(get(&gateway, "/api/search/x", &joe).status, 200, "somebody else's");
    assert_eq!(get(&gateway, "/api/x", &jane).status, 200, "the rule is not about this");
    // What is refused for want of a token was one of the source's as well.
    assert_eq!(gateway.send(&Request::get("/api/x")).status, 401);
    let answer = get(&gateway, "/api/x", &joe);
    assert_eq!((answer.status, told(&answer)[0].1.as_str()), (200, "\"upstream-source\";r=0;t=600"));
    let answer = get(&gateway, "/api/x", &joe);
    assert_eq!(answer.status, 429);
    assert!(answer.json()["error_description"].as_str().unwrap().contains("this source"));
    // Other routes do not know of it.
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    assert_eq!(upstream.take().len(), 5);

    let (gateway, upstream) = start(&[], ROUTE);
    let statuses = [(); 4].map(|()| gateway.send(&Request::get("/api/open/x")).status);
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(upstream.take().len(), 2);
    // And who asks is told the rates of an address beforehand.
    let explained = gateway.command(&["explain", "GET", "/api/open/x"]);
    let rates = "rates         2 in 3600 s for each source under this rule, 6 in 3600 s for each source at this upstream, 4 in 3600 s for \
                 each user at this upstream";
    assert!(explained.contains(rates), "{explained}");
    let explained: serde_json::Value =
        serde_json::from_str(&gateway.command(&["explain", "--json", "GET", "/public/x"])).unwrap();
    assert_eq!(explained["route"]["rates"], serde_json::json!([]));
}

/// What is refused before it is judged was sent all the same: it counts for its source, and is told of it.
#[test]
fn malformed_requests_count_for_their_source() {
    let (gateway, upstream) = start(&[("requests_per_source", "6/h")], "");
    let bad = [
        Request::get("/public/%2e%2e/x"),
        Request::get("/public/x").header("Host", "other.example"),
        Request::get("/public/x?access_token=a"),
        Request::get("/public/x").header("Expect", "tea"),
    ];
    for (n, request) in bad.iter().enumerate() {
        let answer = gateway.send(request);
        assert!(matches!(answer.status, 400 | 417), "{request:?}: {}", answer.status);
        let told = told(&answer);
        assert_eq!((told.len(), told[0].0.as_str()), (1, "\"source\";q=6;w=3600"), "{request:?}");
        assert!(told[0].1.starts_with(&format!("\"source\";r={};", 5 - n)), "{told:?}");
    }
    assert_eq!([(); 3].map(|()| gateway.send(&Request::get("/public/x")).status), [200, 200, 429]);
    for request in &bad {
        let answer = gateway.send(request);
        assert_eq!((answer.status, answer.error()), (429, "too_many_requests".to_owned()), "{request:?}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(upstream.take().len(), 2);
    // One whose framing is in doubt ends its connection, whatever it is answered with.
    let mut client = gateway.raw();
    client.send("GET /public/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n");
    let answer = client.answer_to("GET").unwrap();
    assert!(matches!(answer.status, 400 | 429), "{}", answer.status);
    assert!(client.closes_within(Duration::from_secs(15)), "the next bytes may be no request");
    // Through a trusted proxy nobody knows whose it was, and the proxy does not pay for it.
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "requests_per_source", "\"2/h\"").set(
            "listen",
            "trusted_proxies",
            r#"["127.0.0.0/8"]"#,
        );
    });
    assert_eq!([(); 4].map(|()| gateway.send(&bad[0]).status), [400; 4]);
    assert_eq!([(); 3].map(|()| gateway.send(&Request::get("/public/x")).status), [200, 200, 429]);
}

/// The source of a request is counted by the gateway first, before it is known where the request goes. Of services and users the
/// narrower rate comes first, and what it refuses takes nothing from the wider.
#[test]
fn what_a_narrower_rate_refuses_takes_nothing_of_a_service_and_a_user() {
    let limits =
        [("requests_per_source", "100/h"), ("requests_per_service", "50/h"), ("requests_per_user", "50/h")];
    let (gateway, _upstream) = start(&limits, ROUTE);
    let jane = token_of(&gateway, "jane");
    let left = |answer: &Answer, name: &str| -> u32 {
        let mark = format!("\"{name}\";r=");
        let told = told(answer);
        let limit = told.iter().find_map(|(_, limit)| limit.strip_prefix(&mark));
        limit.unwrap_or_else(|| panic!("{name} in {told:?}")).split(';').next().unwrap().parse().unwrap()
    };
    // The rule's source.
    let sources: Vec<_> = (0..4).map(|_| gateway.send(&Request::get("/api/open/x"))).collect();
    assert_eq!(sources.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 429, 429]);
    let counted: Vec<_> = sources.iter().map(|answer| left(answer, "source")).collect();
    assert_eq!(counted, [98, 97, 96, 95], "the token endpoint was the first");
    assert_eq!(left(&sources[1], "upstream-source"), 4, "the upstream's are spared what the rule refuses");
    // The rule's user.
    let first = get(&gateway, "/api/search/x", &jane);
    assert_eq!((first.status, left(&first, "upstream-source")), (200, 3));
    assert_eq!((left(&first, "user"), left(&first, "service"), left(&first, "upstream-user")), (49, 49, 3));
    assert_eq!(get(&gateway, "/api/search/x", &jane).status, 429);
    let after = get(&gateway, "/api/x", &jane);
    assert_eq!((left(&after, "user"), left(&after, "service"), left(&after, "upstream-user")), (48, 48, 2));
}

/// What was counted stays counted, as long as the rate is the same.
#[test]
fn a_reload_forgives_nothing() {
    let (gateway, _upstream) =
        start(&[("requests_per_user", "3/h")], &ROUTE.replace("requests_per_source = \"6/h\"\n", ""));
    let jane = token_of(&gateway, "jane");
    assert_eq!(statuses(&gateway, "/api/search/x", &jane), [200, 429]);
    assert_eq!(statuses(&gateway, "/api/x", &jane), [200, 200, 429]);
    let text = gateway.config_text();
    gateway.reload(&format!("{text}\n[[service]]\nid = \"later\"\nname = \"Later\"\n")).unwrap();
    gateway.register("another");
    assert_eq!(statuses(&gateway, "/api/search/x", &jane), [429], "three in all, one under the rule");
    assert_eq!(statuses(&gateway, "/api/x", &jane), [429]);
    // Another rate begins anew, and leaves the others as they are.
    gateway.reload(&text.replace("3/h", "30/h")).unwrap();
    assert_eq!(get(&gateway, "/api/search/x", &jane).status, 429, "the rule's is the same");
    gateway.reload(&text.replace("3/h", "30/h").replace("\"1/h\"", "\"2/h\"")).unwrap();
    assert_eq!(statuses(&gateway, "/api/search/x", &jane), [200, 200, 429]);
    // Without rates, as often as anybody likes.
    let none = text.lines().filter(|line| !line.starts_with("requests_per_"));
    gateway.reload(&none.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(statuses(&gateway, "/api/search/x", &jane), [200; 10]);
}

/// A gateway that answers two requests at a time, with one worker.
fn narrow() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("limits", "max_requests", "2");
    });
    (gateway, upstream)
}

fn shed(gateway: &Gateway) -> u64 {
    metric(gateway, "hubgate_shed_total{cause=\"requests\"}")
}

#[test]
fn what_is_too_much_is_refused_at_once() {
    let (gateway, upstream) = narrow();
    upstream.script(|request| if request.target().contains("hang") { Reply::Hang } else { Reply::Describe });
    let mut hanging: Vec<RawClient> = (0..2).map(|_| gateway.raw()).collect();
    for client in &mut hanging {
        client.send(Request::get("/public/hang").bytes());
    }
    eventually("both have arrived", || upstream.count() == 2);
    eventually("they are counted", || metric(&gateway, "hubgate_requests_in_flight ") == 2);
    let started = Instant::now();
    for (request, name) in [
        (Request::get("/public/x"), "a proxied one"),
        (Request::new("POST", "/api/x").body("text"), "one with a body"),
        (Request::get("/hub/api/rest/oauth2/keys"), "one for the gateway itself"),
    ] {
        let answer = gateway.send(&request);
        assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"), "{name}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{name}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?} for three refusals", started.elapsed());
    // The same over HTTP/2, where other streams go on.
    let mut two = H2::connect(gateway.address());
    let fields: [h2::Field<'_>; 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ];
    two.headers(1, &fields, true);
    assert_eq!(two.outcome(1).status, Some(503));
    assert_eq!((shed(&gateway), upstream.count()), (4, 2), "nothing was forwarded");
    assert_eq!(metric(&gateway, "hubgate_refusals_total{cause=\"overloaded\"}"), 4);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.management(path).0, 200, "health is asked for elsewhere");
    }
    // Many who are refused do not keep out the next one when there is room.
    for _ in 0..20 {
        assert_eq!(gateway.send(&Request::get("/public/x")).status, 503);
    }
    hanging.pop();
    eventually("there is room again", || gateway.send(&Request::get("/public/x")).status == 200);
    two.headers(3, &fields, true);
    assert_eq!(two.outcome(3).status, Some(200), "on the same connection, too");
    drop(hanging);
    eventually("nothing is left", || metric(&gateway, "hubgate_requests_in_flight ") == 0);
}

/// What has no end of its own would fill the gateway up although it costs next to nothing.
#[test]
fn websockets_and_streams_of_events_do_not_count() {
    let (gateway, upstream) = narrow();
    upstream.script(|request| {
        let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n";
        match request.target().as_str() {
            "/public/ws" => Reply::Switch(vec![]),
            "/public/events" => {
                let pause = Duration::from_secs(20);
                Reply::Pieces(vec![(Duration::ZERO, events.into()), (pause, b"0\r\n\r\n".to_vec())])
            }
            _ => Reply::Describe,
        }
    });
    let handshake = Request::get("/public/ws")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.raw();
        client.send(handshake.bytes());
        client.wait_for("101 ");
        open.push(client);
        let mut client = gateway.raw();
        client.send(Request::get("/public/events").bytes());
        client.wait_for("data: 1");
        open.push(client);
    }
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    assert_eq!(shed(&gateway), 0);
}

/// A connection from this address of the machine.
fn from(address: &str, gateway: &Gateway) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&format!("{address}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&gateway.address().into()).unwrap();
    socket.into()
}

/// Whether the gateway closes this one at once.
fn is_refused(mut socket: TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
    let started = Instant::now();
    let closed = !matches!(socket.read(&mut [0; 1]), Ok(1));
    closed && started.elapsed() < Duration::from_secs(8)
}

#[test]
fn connections_have_limits() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
        setup.set("limits", "max_connections", "5").set("limits", "max_connections_per_source", "3");
    });
    let refused =
        |cause: &str| metric(&gateway, &format!("hubgate_connections_refused_total{{cause=\"{cause}\"}}"));
    let over = |socket| RawClient::over(socket, "http/1.1", "localhost");
    let mut one: Vec<RawClient> = (0..3).map(|_| over(from("127.0.0.1", &gateway))).collect();
    for count in 1..=3 {
        assert!(is_refused(from("127.0.0.1", &gateway)), "the fourth of one source");
        assert_eq!((refused("source"), refused("connections")), (count, 0));
    }
    let mut other: Vec<RawClient> = (0..2).map(|_| over(from("127.0.0.2", &gateway))).collect();
    assert!(is_refused(from("127.0.0.2", &gateway)), "the sixth of all");
    assert!(is_refused(from("127.0.0.3", &gateway)));
    assert_eq!((refused("source"), refused("connections")), (3, 2));
    assert_eq!(metric(&gateway, "hubgate_connections "), 5);
    for client in one.iter_mut().chain(&mut other) {
        client.send(Request::get("/public/x").bytes());
        assert_eq!(client.answer().unwrap().status, 200, "those that are open go on");
    }
    one.pop();
    eventually("there is room again", || metric(&gateway, "hubgate_connections ") == 4);
    let mut third = over(from("127.0.0.3", &gateway));
    third.send(Request::get("/public/x").bytes());
    assert_eq!(third.answer().unwrap().status, 200);
    assert_eq!(upstream.take().len(), 6);
}

/// The other bounds that a file may set, by what they do.
#[test]
fn bounds_of_streams_and_fields_are_those_of_the_file() {
    let limits = [("max_streams", "2"), ("max_headers", "10")];
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
        for (key, value) in limits {
            setup.set("limits", key, value);
        }
    });
    upstream.script(|request| if request.target().contains("hang") { Reply::Hang } else { Reply::Describe });
    let get = |extra: usize| {
        let named = (0..extra).fold(Request::get("/public/x"), |r, n| r.header(&format!("X-{n}"), "v"));
        gateway.send(&named).status
    };
    // Host is one of them.
    assert_eq!((get(9), get(10)), (200, 431));
    assert_eq!(upstream.take().len(), 1);
    let mut two = H2::connect(gateway.address());
    assert!(two.settings().contains(&(3, 2)), "SETTINGS_MAX_CONCURRENT_STREAMS is 2");
    let fields = |path: &'static [u8]| -> [h2::Field<'static>; 4] {
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
    };
    two.headers(1, &fields(b"/public/hang"), true);
    two.headers(3, &fields(b"/public/hang"), true);
    eventually("both have arrived", || upstream.count() == 2);
    two.headers(5, &fields(b"/public/x"), true);
    let third = two.outcome(5);
    // REFUSED_STREAM (RFC 9113 section 5.1.2).
    assert_eq!((third.status, third.reset), (None, Some(7)), "{third:?}");
    assert_eq!(upstream.take().len(), 2, "it was not forwarded");
    drop(two);
    gateway.assert_innocent(&upstream, "too many streams and fields");
}

/// With room for one verdict, two tokens in turn are verified each time; both pass.
#[test]
fn as_many_verdicts_are_remembered_as_the_file_says() {
    for (room, misses) in [("1", 6), ("2", 2)] {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup.standard(&upstream).set("limits", "token_cache", room);
        });
        let tokens = [(); 2].map(|()| gateway.machine_token("alpha"));
        let before = metric(&gateway, "hubgate_token_cache_misses_total ");
        for token in tokens.iter().cycle().take(6) {
            assert_eq!(get(&gateway, "/api/x", token).status, 200);
        }
        assert_eq!(metric(&gateway, "hubgate_token_cache_misses_total ") - before, misses, "room for {room}");
        assert_eq!(metric(&gateway, "hubgate_token_cache_entries ").to_string(), room);
        assert_eq!(metric(&gateway, "hubgate_token_cache_hits_total "), 6 - misses);
    }
}

/// Of the connections that requests at a time have opened, as many are kept as the upstream says.
#[test]
fn as_many_idle_connections_are_kept_as_the_file_says() {
    const AT_A_TIME: usize = 4;
    for (keep, left) in [("0", 0), ("1", 1), ("3", 3), ("256", AT_A_TIME)] {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup
                .service("open", "open-secret-0123456789")
                .open("/public", &upstream, &format!("max_idle = {keep}"))
                .set("listen", "workers", "1");
        });
        let Reply::Bytes(answer) = Reply::ok("late") else { unreachable!() };
        upstream.reply(Reply::Pieces(vec![(Duration::from_millis(500), answer)]));
        let mut clients: Vec<RawClient> = (0..AT_A_TIME).map(|_| gateway.raw()).collect();
        for client in &mut clients {
            client.send(Request::get("/public/x").bytes());
        }
        for client in &mut clients {
            assert_eq!(client.answer().unwrap().status, 200);
        }
        assert_eq!(upstream.connections(), AT_A_TIME, "each had one of its own");
        eventually("the others are closed", || upstream.open_connections() == left);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(upstream.open_connections(), left, "max_idle = {keep}");
    }
}
