//! Spans for an OpenTelemetry collector: what they tell and what they never do, whom they are below, and what becomes of them
//! when the collector is away.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use crate::support::{
    Gateway, Recorded, Reply, Request, Setup, Upstream,
    collector::{Collector, Seen, taken},
    gateway::eventually,
    process::{Serve, free_port},
    tls::Identity,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn start(configure: impl FnOnce(&mut Setup)) -> (Gateway, Upstream, Collector) {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let gateway = Gateway::start(|setup| {
        collector.configure(setup.standard(&upstream));
        configure(setup);
    });
    (gateway, upstream, collector)
}

fn trusting(setup: &mut Setup) {
    setup.set("listen", "trusted_proxies", r#"["127.0.0.1"]"#);
}

/// Trace, parent and flags that the upstream was told.
fn told(seen: &Recorded) -> [String; 3] {
    let value = seen.header("traceparent").expect("a traceparent");
    let parts: Vec<&str> = value.split('-').collect();
    let ["00", trace, parent, flags] = parts[..] else { panic!("{value}") };
    [trace, parent, flags].map(str::to_owned)
}

/// The spans of the request for this path: the gateway's own, and those towards upstreams in their order.
fn of_path(spans: &[Seen], path: &str) -> (Seen, Vec<Seen>) {
    let is_it = |span: &&Seen| span.server && span.get("url.path") == Some(path);
    let server = spans.iter().find(is_it).unwrap_or_else(|| panic!("no span of {path}: {spans:#?}"));
    let mut below: Vec<_> = spans.iter().filter(|span| span.parent == server.id).cloned().collect();
    below.sort_by_key(|span| span.start);
    assert!(
        below.iter().all(|span| !span.server && span.trace == server.trace && span.start >= server.start)
    );
    (server.clone(), below)
}

/// The value of a metric, 0 where there is none.
fn metric(gateway: &Gateway, line: &str) -> u64 {
    let (_, text) = gateway.management("/metrics");
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

fn dropped(gateway: &Gateway, cause: &str) -> u64 {
    metric(gateway, &format!("hubgate_spans_dropped_total{{cause=\"{cause}\"}}"))
}

#[test]
fn otel_what_passes_is_told_with_its_upstream() {
    let (gateway, upstream, collector) = start(|setup| {
        setup.set("telemetry", "service_name", r#""gate of the tests""#);
    });
    let token = gateway.machine_token("alpha");
    let request = Request::get("/api/things/7?page=2").host("gate.example:8443").bearer(&token);
    let answer = gateway.send(&request.header("User-Agent", "tests/1.0"));
    assert_eq!(answer.status, 200);
    // The request for the token is one too, without an upstream.
    let spans = collector.wait_for(3);
    let (server, below) = of_path(&spans, "/api/things/7");
    let seen = upstream.take().remove(0);
    let [trace, parent, flags] = told(&seen);
    let id = seen.header("x-request-id").unwrap();
    assert_eq!((server.trace.as_str(), server.parent.as_str(), server.flags), (id.as_str(), "", 0x101));
    assert_eq!((server.name.as_str(), server.failed), ("GET /api", false));
    let target = upstream.origin().replace("http://", "");
    let bytes = answer.body.len().to_string();
    server.assert(&[
        ("http.request.method", "GET"),
        ("http.route", "/api"),
        ("url.scheme", "https"),
        ("url.path", "/api/things/7"),
        ("server.address", "gate.example"),
        ("server.port", "8443"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "tests/1.0"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", &bytes),
        ("error.type", ""),
        ("hubgate.request_id", &id),
        ("hubgate.decision", "allowed"),
        ("hubgate.cause", ""),
        ("hubgate.route", "/api"),
        ("hubgate.service", "alpha"),
        ("hubgate.client", "machine"),
        ("hubgate.upstream", &target),
        ("hubgate.incomplete", ""),
    ]);
    let resource = |key: &str| server.resource.get(key).cloned().unwrap_or_default();
    assert_eq!(resource("service.name"), "gate of the tests");
    assert_eq!(resource("service.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(resource("service.instance.id").len(), 36);
    // The upstream is below the span towards it.
    let [client] = &below[..] else { panic!("{below:#?}") };
    assert_eq!((trace, parent, flags.as_str()), (server.trace.clone(), client.id.clone(), "01"));
    assert_eq!((client.name.as_str(), client.failed, client.flags), ("GET", false, 0x101));
    let (host, port) = target.split_once(':').unwrap();
    client.assert(&[
        ("http.request.method", "GET"),
        ("server.address", host),
        ("server.port", port),
        ("url.scheme", "http"),
        ("url.full", &format!("http://{target}/api/things/7")),
        ("http.response.status_code", "200"),
        ("hubgate.upstream", &target),
        ("error.type", ""),
        ("http.request.resend_count", ""),
    ]);
    let own = spans.iter().find(|span| span.name == "POST /hub").unwrap();
    own.assert(&[("http.route", "/hub"), ("hubgate.route", "hub"), ("hubgate.decision", "issued")]);
    assert!(own.server && !own.failed);
}

#[test]
fn otel_what_is_refused_or_fails_is_told_with_its_cause() {
    let (gateway, upstream, collector) = start(|setup| {
        // Nobody listens there.
        setup.open_to("/gone", &["http://127.0.0.1:9".to_owned()], "");
    });
    upstream.script(|request| match request.target().as_str() {
        "/public/fails" => Reply::status(500, "text/plain", "no"),
        "/public/missing" => Reply::status(404, "text/plain", "no"),
        "/public/breaks" => Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec()),
        _ => Reply::Describe,
    });
    for (request, status) in [
        (Request::get("/api/x"), 401),
        (Request::get("/api/y").bearer("nonsense"), 401),
        (Request::get("/admin/x").bearer(&gateway.machine_token("alpha")), 403),
        (Request::get("/nowhere"), 404),
        (Request::get("/public/%2e%2e/%00"), 400),
        (Request::get("/gone/x"), 502),
        (Request::get("/public/fails"), 500),
        (Request::get("/public/missing"), 404),
        (Request::new("PURGE", "/public/purge"), 200),
    ] {
        assert_eq!(gateway.send(&request).status, status, "{request:?}");
    }
    let mut raw = gateway.raw();
    raw.send(Request::get("/public/breaks").bytes());
    assert!(raw.answer_to("GET").is_none_or(|answer| !answer.complete));
    // Ten requests and one for a token; five of them went on.
    let spans = collector.wait_for(16);
    for (path, status, failed, decision, cause, error) in [
        ("/api/x", "401", false, "unauthorized", "unauthorized", ""),
        ("/api/y", "401", false, "unauthorized", "token_malformed", ""),
        ("/admin/x", "403", false, "forbidden", "scope_missing", ""),
        ("/nowhere", "404", false, "no_route", "not_found", ""),
        ("/gone/x", "502", true, "public", "bad_gateway", "bad_gateway"),
        ("/public/fails", "500", true, "public", "", "500"),
        ("/public/missing", "404", false, "public", "", ""),
        ("/public/breaks", "200", false, "public", "", ""),
    ] {
        let (server, _) = of_path(&spans, path);
        assert_eq!(server.failed, failed, "{server:#?}");
        server.assert(&[
            ("http.response.status_code", status),
            ("hubgate.decision", decision),
            ("hubgate.cause", cause),
            ("error.type", error),
        ]);
    }
    let (server, below) = of_path(&spans, "/api/x");
    assert!(below.is_empty() && server.get("hubgate.upstream").is_none());
    server.assert(&[("http.route", "/api"), ("hubgate.service", "alpha")]);
    let (server, _) = of_path(&spans, "/nowhere");
    assert_eq!((server.name.as_str(), server.get("http.route")), ("GET", None));
    let bad = spans.iter().find(|span| span.get("http.response.status_code") == Some("400")).unwrap();
    bad.assert(&[("hubgate.decision", "bad_request"), ("url.scheme", "https")]);
    let (_, below) = of_path(&spans, "/gone/x");
    assert!(below[0].failed);
    below[0].assert(&[("error.type", "connect"), ("server.port", "9"), ("http.response.status_code", "")]);
    // Towards an upstream 4xx is a failure too.
    let (_, below) = of_path(&spans, "/public/missing");
    assert!(below[0].failed && below[0].get("error.type") == Some("404"));
    let (server, _) = of_path(&spans, "/public/breaks");
    server.assert(&[("hubgate.incomplete", "true")]);
    let (server, below) = of_path(&spans, "/public/purge");
    server.assert(&[("http.request.method", "_OTHER"), ("http.request.method_original", "PURGE")]);
    assert_eq!((server.name.as_str(), below[0].name.as_str()), ("HTTP /public", "HTTP"));
}

#[test]
fn otel_a_trusted_proxys_span_is_the_parent() {
    let (gateway, upstream, collector) = start(|setup| {
        trusting(setup);
    });
    let request = |path: &str| {
        Request::get(path).header("traceparent", &traceparent("01")).header("tracestate", "rojo=1,congo=2")
    };
    assert_eq!(gateway.send(&request("/public/one").header("X-Forwarded-For", "192.0.2.7")).status, 200);
    assert_eq!(gateway.client().send_h2(&[request("/public/two")])[0].status, 200);
    // A request's id of the proxy's own makes no trace; it is found by it all the same.
    let named = Request::get("/public/named").header("X-Request-Id", "an-id-of-theirs");
    assert_eq!(gateway.send(&named).status, 200);
    let spans = collector.wait_for(6);
    let seen = upstream.take();
    for (path, seen, version) in [("/public/one", &seen[0], "1.1"), ("/public/two", &seen[1], "2")] {
        let (server, below) = of_path(&spans, path);
        assert_eq!((server.trace.as_str(), server.parent.as_str(), server.flags), (TRACE, PARENT, 0x301));
        assert_eq!((server.state.as_str(), below[0].state.as_str()), ("rojo=1,congo=2", "rojo=1,congo=2"));
        assert_eq!(told(seen), [TRACE, &below[0].id, "01"]);
        assert_eq!(seen.header("tracestate").as_deref(), Some("rojo=1,congo=2"));
        server.assert(&[("network.protocol.version", version)]);
    }
    let (server, _) = of_path(&spans, "/public/one");
    server.assert(&[("client.address", "192.0.2.7")]);
    let (server, below) = of_path(&spans, "/public/named");
    server.assert(&[("hubgate.request_id", "an-id-of-theirs")]);
    assert_eq!(told(&seen[2]), [server.trace.as_str(), &below[0].id, "01"]);
    assert_eq!(server.parent, "");
    let mut ids: Vec<_> = spans.iter().map(|span| span.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each span has an id of its own");
}

#[test]
fn otel_what_is_not_sampled_is_not_sent() {
    // Where the proxy has decided, that holds; where nobody has, the share does.
    for (sample, own) in [("100%", "01"), ("0%", "00")] {
        let (mut gateway, upstream, collector) = start(|setup| {
            trusting(setup);
            setup.set("telemetry", "sample", &format!("{sample:?}"));
        });
        for flags in ["00", "01", "02"] {
            let request =
                Request::get(&format!("/public/{flags}")).header("traceparent", &traceparent(flags));
            assert_eq!(gateway.send(&request).status, 200);
        }
        assert_eq!(gateway.send(&Request::get("/public/own")).status, 200);
        let flags: Vec<String> = upstream.take().iter().map(|seen| told(seen)[2].clone()).collect();
        assert_eq!(flags, ["00", "01", "00", own]);
        gateway.stop();
        let mut paths: Vec<String> =
            collector.spans().iter().filter_map(|s| s.get("url.path").map(str::to_owned)).collect();
        paths.sort();
        let expected: &[&str] = if own == "01" { &["/public/01", "/public/own"] } else { &["/public/01"] };
        assert_eq!(paths, expected);
    }
}

#[test]
fn otel_a_share_of_the_traces_that_begin_here_is_recorded() {
    let (mut gateway, upstream, collector) = start(|setup| {
        setup.set("telemetry", "sample", r#""50%""#);
    });
    let requests: Vec<_> = (0..100).map(|number| Request::get(&format!("/public/{number}"))).collect();
    for some in requests.chunks(50) {
        assert!(gateway.client().send_h2(some).iter().all(|answer| answer.status == 200));
    }
    gateway.stop();
    let marked = upstream.take().iter().filter(|seen| told(seen)[2] == "01").count();
    // Two hundred throws of a coin would not come out like that.
    assert!((10..=90).contains(&marked), "{marked} of 100");
    assert_eq!(collector.spans().len(), 2 * marked);
}

#[test]
fn otel_a_strangers_word_decides_nothing() {
    let (mut gateway, upstream, collector) = start(|setup| {
        setup.set("telemetry", "sample", r#""0%""#);
    });
    let request = Request::get("/public/x").header("traceparent", &traceparent("01"));
    assert_eq!(gateway.send(&request).status, 200);
    let [trace, _, flags] = told(&upstream.take()[0]);
    assert!(trace != TRACE && flags == "00");
    gateway.stop();
    assert!(collector.requests().is_empty());
}

#[test]
fn otel_nothing_secret_is_in_a_span() {
    let (mut gateway, upstream, collector) = start(|setup| {
        setup.user("jane", "password = \"correct horse battery\"");
    });
    let token = gateway.machine_token("alpha");
    let asked = Request::get("/api/x?needle=one&x=needle-query")
        .bearer(&token)
        .header("Cookie", "c=needle-cookie")
        .header("X-Anything", "needle-field")
        .header("Referer", "https://a.example/?needle-referer");
    let secrets = ["needle", "machine-secret", "correct horse", "wrong-password"];
    for request in [
        asked.clone(),
        Request::get("/api/y?needle=two").basic("machine", "needle-password"),
        Request::form("/api/z", "needle=body").bearer(&token),
        Request::form(
            "/hub/api/rest/oauth2/token",
            "grant_type=password&username=jane&password=wrong-password&scope=alpha",
        )
        .basic("machine", "machine-secret-0123456789"),
        Request::get("/hub/api/rest/oauth2/auth?client_id=needle&state=needle"),
        Request::get("/api/x?access_token=needle"),
    ] {
        gateway.send(&request);
    }
    upstream.reply(Reply::status(200, "text/plain", "needle-answer"));
    assert_eq!(gateway.send(&asked).text(), "needle-answer");
    gateway.stop();
    assert!(collector.spans().len() >= 8);
    for request in collector.requests() {
        let sent = [request.head.as_slice(), request.body.as_slice()].concat();
        let sent = String::from_utf8_lossy(&sent);
        for secret in secrets.iter().chain([&token.as_str()]) {
            assert!(!sent.contains(secret), "{secret} in {sent:?}");
        }
    }
}

#[test]
fn otel_what_a_client_sends_is_cut() {
    let (mut gateway, _upstream, collector) = start(|_| {});
    let path = format!("/public/{}", "a".repeat(9000));
    let request = Request::new(&"M".repeat(200), &path).header("User-Agent", &"b".repeat(9000));
    assert_eq!(gateway.send(&request).status, 200);
    gateway.stop();
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert!(span.attributes.values().all(|value| value.len() <= 1024), "{span:#?}");
    }
    let server = spans.iter().find(|span| span.server).unwrap();
    assert_eq!(server.get("user_agent.original").map(str::len), Some(256));
    assert_eq!(server.get("http.request.method_original").map(str::len), Some(32));
}

#[test]
fn otel_a_span_lasts_until_the_answer_ends() {
    let (gateway, upstream, collector) = start(|_| {});
    upstream.script(|_| {
        Reply::Pieces(vec![
            (Duration::from_millis(200), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec()),
            (Duration::from_millis(300), b"late".to_vec()),
        ])
    });
    assert_eq!(gateway.send(&Request::get("/public/x")).text(), "late");
    let spans = collector.wait_for(2);
    let (server, below) = of_path(&spans, "/public/x");
    for span in [&server, &below[0]] {
        assert!(span.end - span.start >= 500_000_000, "{span:#?}");
    }
}

#[test]
fn otel_each_attempt_is_a_span_and_the_last_is_the_upstreams_parent() {
    let upstream = Upstream::start();
    let collector = Collector::start();
    let mut gateway = Gateway::start(|setup| {
        collector.configure(setup).service("open", "open-secret-0123456789").open_to(
            "/two",
            &["http://127.0.0.1:9".to_owned(), upstream.origin()],
            "",
        );
    });
    // One of the first two meets the dead target first.
    for number in 0..2 {
        assert_eq!(gateway.send(&Request::get(&format!("/two/{number}"))).status, 200);
    }
    gateway.stop();
    let (spans, seen) = (collector.spans(), upstream.take());
    assert!(spans.len() > 4, "{spans:#?}");
    for (number, seen) in seen.iter().enumerate() {
        let (server, below) = of_path(&spans, &format!("/two/{number}"));
        let last = below.last().unwrap();
        assert_eq!(told(seen), [server.trace.as_str(), &last.id, "01"]);
        assert!(!server.failed && !last.failed);
        if below.len() == 2 {
            assert!(below[0].failed && below[0].end <= last.end);
            below[0].assert(&[("error.type", "connect"), ("hubgate.upstream", "127.0.0.1:9")]);
            last.assert(&[("http.request.resend_count", "1")]);
        }
    }
}

#[test]
fn otel_a_request_that_is_given_up_is_told() {
    let (gateway, upstream, collector) = start(|_| {});
    upstream.reply(Reply::Hang);
    let mut raw = gateway.raw();
    raw.send(Request::get("/public/given-up").bytes());
    upstream.wait_for(1);
    drop(raw);
    let spans = collector.wait_for(2);
    let (server, below) = of_path(&spans, "/public/given-up");
    server.assert(&[("hubgate.incomplete", "true"), ("hubgate.decision", "public")]);
    below[0].assert(&[("error.type", "cancelled"), ("http.response.status_code", "")]);
}

#[test]
fn otel_a_collector_that_is_away_is_no_concern_of_requests() {
    // The port is taken, and nobody listens there yet.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).set("telemetry", "otlp", &format!("\"http://{address}\""));
    });
    for number in 0..20 {
        assert_eq!(gateway.send(&Request::get(&format!("/public/{number}"))).status, 200);
    }
    assert_eq!(upstream.count(), 20);
    eventually("spans are dropped", || {
        gateway.send(&Request::get("/public/during"));
        dropped(&gateway, "unsent") >= 40
    });
    socket.listen(128).unwrap();
    let collector = Collector::on(socket.into());
    assert_eq!(gateway.send(&Request::get("/public/after")).status, 200);
    eventually("spans come", || {
        collector.spans().iter().any(|span| span.get("url.path") == Some("/public/after"))
    });
    eventually("they are counted", || metric(&gateway, "hubgate_spans_sent_total") > 0);
}

#[test]
fn otel_a_collector_that_has_too_much_to_do_is_asked_again() {
    let (gateway, _upstream, collector) = start(|_| {});
    collector.0.script(|_| Reply::status(503, "text/plain", "later"));
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    eventually("it is asked", || !collector.requests().is_empty());
    collector.0.script(|_| taken());
    eventually("it is asked again", || metric(&gateway, "hubgate_spans_sent_total") == 2);
    let requests = collector.requests();
    assert!(requests.len() >= 2 && requests.iter().all(|request| request.body == requests[0].body));
    assert_eq!(dropped(&gateway, "unsent"), 0);
    // What it refuses for good is not sent again, and what it takes in part is counted so.
    collector.0.script(|_| Reply::status(400, "text/plain", "no"));
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    eventually("they are dropped", || dropped(&gateway, "unsent") == 2);
    // ExportTraceServiceResponse { partial_success: { rejected_spans: 1 } }
    collector.0.script(|_| Reply::status(200, "application/x-protobuf", b"\x0a\x02\x08\x01"));
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    eventually("one is dropped", || dropped(&gateway, "rejected") == 1);
    assert_eq!(metric(&gateway, "hubgate_spans_sent_total"), 3);
}

#[test]
fn otel_a_kept_connection_that_the_collector_closes_costs_nothing() {
    let (gateway, _upstream, collector) = start(|_| {});
    collector.0.script(|_| Reply::ThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()));
    for count in 1..=3 {
        assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
        collector.wait_for(2 * count);
    }
    assert_eq!(dropped(&gateway, "unsent"), 0);
}

#[test]
fn otel_what_does_not_fit_is_dropped_and_the_rest_waits() {
    let (gateway, _upstream, collector) = start(|_| {});
    // It takes the first batch and does not answer.
    collector.0.reply(Reply::Hang);
    let requests: Vec<_> = (0..100).map(|_| Request::get("/public/x")).collect();
    eventually("the queue is full", || {
        assert!(gateway.client().send_h2(&requests).iter().all(|answer| answer.status == 200));
        dropped(&gateway, "queue") > 0
    });
}

#[test]
fn otel_a_stop_sends_what_there_is_and_does_not_wait_for_long() {
    let (mut gateway, _upstream, collector) = start(|_| {});
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    gateway.stop();
    assert_eq!(collector.spans().len(), 2, "without waiting for more");
    // A collector that never answers does not keep the gateway.
    let (mut gateway, _upstream, collector) = start(|_| {});
    collector.0.reply(Reply::Hang);
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    let begun = std::time::Instant::now();
    gateway.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn otel_tls_to_the_collector_is_checked() {
    let identity = Identity::of(&["localhost"]);
    let collector = Collector::start_tls(&identity);
    let upstream = Upstream::start();
    let with = |pem: &str| {
        Gateway::start(|setup| {
            std::fs::write(setup.folder().join("collector.pem"), pem).unwrap();
            collector.configure(setup.standard(&upstream)).set("telemetry", "ca", r#""collector.pem""#).set(
                "telemetry",
                "headers",
                r#""Authorization: Bearer of-the-collector""#,
            );
        })
    };
    let gateway = with(&identity.certificate_pem);
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    collector.wait_for(2);
    let authorization = collector.requests()[0].header("authorization");
    assert_eq!(authorization.as_deref(), Some("Bearer of-the-collector"));
    // Another authority: nothing is sent.
    let gateway = with(&Identity::of(&["localhost"]).certificate_pem);
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    eventually("they are dropped", || dropped(&gateway, "unsent") == 2);
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn otel_an_outage_is_said_once_and_no_secret_with_it() {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let port = free_port();
    let (config, folder) = Gateway::prepare(|setup| {
        std::fs::write(setup.folder().join("headers"), "Api-Key: topsecret-of-the-collector\n").unwrap();
        collector
            .configure(setup.standard(&upstream))
            .set("telemetry", "headers", r#"{ file = "headers" }"#)
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("log", "level", r#""debug""#);
    });
    let serve = Serve::start(&config, port);
    let quoting =
        "HTTP/1.1 401 topsecret-of-the-collector\r\nContent-Length: 27\r\n\r\ntopsecret-of-the-collector!";
    collector.0.script(move |_| Reply::raw(quoting));
    for count in 1..=3 {
        assert_eq!(serve.client().send(&Request::get("/public/x")).status, 200);
        eventually("they are sent", || collector.requests().len() >= count);
    }
    assert_eq!(collector.requests()[0].header("api-key").as_deref(), Some("topsecret-of-the-collector"));
    collector.0.script(|_| taken());
    assert_eq!(serve.client().send(&Request::get("/public/x")).status, 200);
    eventually("its end is said", || serve.log().contains("spans are sent again"));
    let log = serve.log();
    let said = log.lines().filter(|line| line.contains("spans cannot be sent")).collect::<Vec<_>>();
    assert!(said.len() == 1 && said[0].contains("the collector answers 401"), "{said:?}");
    assert!(!log.contains("topsecret"), "{log}");
    drop(folder);
}

#[test]
fn otel_a_reload_changes_spans_by_a_restart_alone() {
    let (gateway, upstream, collector) = start(|_| {});
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = gateway.config_text();
    let moved = text.replace(&collector.0.origin(), &format!("http://{}", other.local_addr().unwrap()));
    std::fs::write(gateway.config_path(), &moved).unwrap();
    let config = crate::support::gateway::load(gateway.config_path()).unwrap();
    assert_eq!(gateway.running().reload(config).unwrap(), ["telemetry"]);
    // Nothing is sent where the gateway takes no part in traces any more.
    let off = text.lines().filter(|line| !line.starts_with("otlp")).collect::<Vec<_>>().join("\n");
    gateway.reload(&off.replace("[log]", "[log]\ntrace_context = \"off\"")).unwrap();
    assert_eq!(gateway.send(&Request::get("/public/off")).status, 200);
    assert_eq!(upstream.take()[0].header("traceparent"), None);
    gateway.reload(&text).unwrap();
    assert_eq!(gateway.send(&Request::get("/public/on")).status, 200);
    let spans = collector.wait_for(2);
    of_path(&spans, "/public/on");
}
