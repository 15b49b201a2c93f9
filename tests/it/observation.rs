//! What is observed of requests: the trace that they belong to (W3C Trace Context), and where the time of slow ones went.

use std::time::Duration;

use serde_json::Value;

#[cfg(not(feature = "otel"))]
use crate::support::process;
use crate::support::{
    Gateway, Recorded, Reply, Request, Setup, Upstream,
    gateway::eventually,
    h2::{self, H2},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn start(configure: impl FnOnce(&mut Setup)) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream);
        configure(setup);
    });
    (gateway, upstream)
}

fn trusting(setup: &mut Setup) {
    setup.set("listen", "trusted_proxies", r#"["127.0.0.1"]"#);
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The parts of what the upstream was told: trace, parent, flags.
fn told(seen: &Recorded) -> [String; 3] {
    let value = seen.header("traceparent").expect("a traceparent");
    let parts: Vec<&str> = value.split('-').collect();
    let ["00", trace, parent, flags] = parts[..] else { panic!("{value}") };
    for (part, length) in [(trace, 32), (parent, 16), (flags, 2)] {
        let hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        assert!(hex && part.len() == length && (length == 2 || part.bytes().any(|b| b != b'0')), "{value}");
    }
    [trace, parent, flags].map(str::to_owned)
}

/// The access line of the request for this path.
fn access(gateway: &Gateway, path: &str) -> String {
    let mut found = None;
    let path = format!(" path={path} ");
    eventually("the access line", || {
        let lines = gateway.lines();
        let mut lines = lines.lines().filter(|line| line.contains(" access ") && line.contains(&path));
        found = lines.next().map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

/// All lines of requests and decisions about this request.
fn both_lines(gateway: &Gateway, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    eventually("both lines", || {
        found = gateway.lines().lines().filter(|line| line.contains(id)).map(str::to_owned).collect();
        found.len() == 2
    });
    found
}

#[test]
fn a_strangers_trace_is_replaced_by_a_new_one() {
    let (gateway, upstream) = start(|_| {});
    let forged = Request::get("/public/x")
        .header("traceparent", &traceparent("01"))
        .header("tracestate", "forged=1")
        .header("Trace_Parent", "forged")
        .header("Traceparent", "forged");
    let mut parents = Vec::new();
    for request in [Request::get("/public/x"), forged.clone()] {
        assert_eq!(gateway.send(&request).status, 200);
        assert_eq!(gateway.client().send_h2(&[request])[0].status, 200);
    }
    for seen in upstream.take() {
        let id = seen.header("x-request-id").unwrap();
        let [trace, parent, flags] = told(&seen);
        assert_eq!((trace.as_str(), flags.as_str()), (id.as_str(), "00"), "the request's own id");
        assert_eq!(seen.header("tracestate"), None);
        parents.push(parent);
        // The id is the trace's: no line says it twice.
        assert!(both_lines(&gateway, &id).iter().all(|line| !line.contains(" trace=")));
    }
    parents.sort();
    parents.dedup();
    assert_eq!(parents.len(), 4, "each request is a parent of its own");
    gateway.assert_innocent(&upstream, "forged traces");
}

#[test]
fn a_trusted_proxys_trace_goes_on_with_the_gateway_as_its_parent() {
    let (gateway, upstream) = start(trusting);
    let mut parents = Vec::new();
    for (flags, expected) in [("01", "01"), ("00", "00"), ("03", "01"), ("fe", "00")] {
        let request = Request::get("/public/x")
            .header("traceparent", &traceparent(flags))
            .header("tracestate", "rojo=00f067aa0ba902b7")
            .header("tracestate", "congo=t61rcWkgMzE");
        assert_eq!(gateway.send(&request).status, 200);
        assert_eq!(gateway.client().send_h2(&[request])[0].status, 200);
        for seen in upstream.take() {
            let [trace, parent, flags] = told(&seen);
            assert_eq!((trace.as_str(), flags.as_str()), (TRACE, expected));
            assert_ne!(parent, PARENT);
            parents.push(parent);
            let state = seen.header("tracestate");
            assert_eq!(state.as_deref(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
            let id = seen.header("x-request-id").unwrap();
            let named = format!(" trace={TRACE} ");
            assert!(both_lines(&gateway, &id).iter().all(|line| line.contains(&named)));
        }
    }
    parents.sort();
    parents.dedup();
    assert_eq!(parents.len(), 8);
    // A refusal is found by its trace too.
    let refused = Request::get("/api/x").header("traceparent", &traceparent("01"));
    let id = gateway.send(&refused).json()["request_id"].as_str().unwrap().to_owned();
    let lines = both_lines(&gateway, &id);
    assert!(lines.iter().all(|line| line.contains(TRACE)), "{lines:?}");
    // Its word on the request's id makes no trace.
    let id = "an-id-of-theirs-that-is-long-enough-to-be-cut";
    assert_eq!(gateway.send(&Request::get("/public/x").header("X-Request-Id", id)).status, 200);
    let seen = upstream.take().remove(0);
    let [trace, ..] = told(&seen);
    assert_eq!(seen.header("x-request-id").as_deref(), Some(id));
    assert!(both_lines(&gateway, id).iter().all(|line| line.contains(&trace)));
    gateway.assert_innocent(&upstream, "inherited traces");
}

#[test]
fn what_is_no_trace_is_replaced_whoever_sends_it() {
    let (gateway, upstream) = start(trusting);
    let two = Request::get("/public/x")
        .header("traceparent", &traceparent("01"))
        .header("traceparent", &traceparent("00"))
        .header("tracestate", "a=1");
    let mut requests = vec![two];
    for bad in [
        "",
        "forged",
        &traceparent("1"),
        &traceparent("0g"),
        &traceparent("01-more"),
        &traceparent("01").to_uppercase(),
        &traceparent("01").replacen("00-", "ff-", 1),
        &traceparent("01").replace(TRACE, "00000000000000000000000000000000"),
        &traceparent("01").replace(PARENT, "0000000000000000"),
    ] {
        requests.push(Request::get("/public/x").header("traceparent", bad).header("tracestate", "a=1"));
    }
    requests.push(Request::get("/public/x").header("tracestate", "a=1"));
    for request in &requests {
        assert_eq!(gateway.send(request).status, 200);
        let seen = upstream.take().remove(0);
        let [trace, _, flags] = told(&seen);
        assert_eq!(Some(trace), seen.header("x-request-id"), "{request:?}");
        assert_eq!((flags.as_str(), seen.header("tracestate")), ("00", None), "{request:?}");
    }
    // A state that cannot be read goes, and the trace stays. One of a later version is read as far as it is known.
    let later = traceparent("01").replacen("00-", "01-", 1) + "-later";
    for (parent, state) in [(traceparent("01"), "no state"), (later, "A=1")] {
        let request = Request::get("/public/x").header("traceparent", &parent).header("tracestate", state);
        assert_eq!(gateway.send(&request).status, 200);
        let seen = upstream.take().remove(0);
        assert_eq!(told(&seen)[0], TRACE, "{parent}");
        assert_eq!(seen.header("tracestate"), None);
    }
}

#[test]
fn the_gateway_takes_part_as_far_as_it_is_told() {
    let (gateway, upstream) = start(|setup| trusting(setup.set("log", "trace_context", r#""sampled""#)));
    let from_proxy =
        Request::get("/public/x").header("traceparent", &traceparent("00")).header("tracestate", "a=1");
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    assert_eq!(gateway.send(&from_proxy).status, 200);
    let seen = upstream.take();
    assert_eq!(told(&seen[0])[2], "01");
    assert_eq!(told(&seen[1])[2], "00", "what was decided before is not changed");
    // Off, by a reload: nothing is made, and what the proxy says goes on as it came.
    gateway.reload(&gateway.config_text().replace("\"sampled\"", "\"off\"")).unwrap();
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);
    assert_eq!(gateway.send(&from_proxy).status, 200);
    let seen = upstream.take();
    assert_eq!((seen[0].header("traceparent"), seen[0].header("tracestate")), (None, None));
    assert_eq!(seen[1].header("traceparent"), Some(traceparent("00")));
    assert_eq!(seen[1].header("tracestate").as_deref(), Some("a=1"));
    let id = seen[1].header("x-request-id").unwrap();
    assert!(both_lines(&gateway, &id).iter().all(|line| !line.contains(TRACE)));
    // A stranger's does not, here as elsewhere.
    let text = gateway.config_text().replace("[\"127.0.0.1\"]", "[]");
    gateway.reload(&text).unwrap();
    assert_eq!(gateway.send(&from_proxy).status, 200);
    assert_eq!(upstream.take()[0].header("traceparent"), None);
}

/// The lines about slow requests, as objects.
fn slow(gateway: &Gateway) -> Vec<Value> {
    let lines = gateway.lines();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "slow").collect()
}

/// The head of an answer, a while later its body.
fn late(head: &'static str, before: u64, body: &'static str, between: u64) -> Reply {
    Reply::Pieces(vec![
        (Duration::from_millis(before), head.as_bytes().to_vec()),
        (Duration::from_millis(between), body.as_bytes().to_vec()),
    ])
}

#[test]
fn a_slow_request_says_where_its_time_went() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("log", "slow", r#""1s""#)
            .set("log", "format", r#""json""#)
            // The other lines are not needed for it.
            .set("log", "access", "false")
            .open("/narrow", &upstream, "max_connections = 1\nqueue_timeout = \"10s\"");
    });
    upstream.script(|request| match request.target().split('?').next() {
        Some("/public/slow") => late("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 700, "late", 700),
        Some("/narrow/first") => late("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", 700, "x", 700),
        Some("/public/events") => late(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n",
            0,
            "data: x\n\n",
            1500,
        ),
        _ => Reply::Describe,
    });
    assert_eq!(gateway.send(&Request::get("/public/fast")).status, 200);
    assert_eq!(gateway.send(&Request::get("/public/events")).text(), "data: x\n\n");
    assert_eq!(gateway.send(&Request::get("/public/slow?secret=1")).text(), "late");
    let id = upstream.requests().last().unwrap().header("x-request-id").unwrap();
    eventually("the line", || !slow(&gateway).is_empty());
    let lines = slow(&gateway);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    for (key, value) in
        [("level", "warn"), ("id", &id), ("method", "GET"), ("path", "/public/slow"), ("route", "/public")]
    {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert!(line["upstream"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    let part = |name: &str| line[name].as_f64();
    assert!(part("ms") >= Some(1400.0) && part("first_byte_ms") >= Some(700.0), "{line}");
    // A head that is seen late takes from the body what it takes itself.
    assert!(part("body_ms") >= Some(300.0) && part("body_ms") < part("ms"), "{line}");
    assert!(
        part("first_byte_ms").zip(part("body_ms")).is_some_and(|(head, body)| head + body > 1390.0),
        "{line}"
    );
    assert!(part("before_ms").is_some_and(|ms| ms < 600.0), "{line}");
    // One that had to wait for a connection says that.
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(gateway.send(&Request::get("/narrow/first")).text(), "x"));
        eventually("the first is there", || {
            upstream.requests().iter().any(|r| r.target() == "/narrow/first")
        });
        assert_eq!(gateway.send(&Request::get("/narrow/second")).status, 200);
    });
    let of = |path: &str| slow(&gateway).into_iter().find(|line| line["path"] == path);
    eventually("the line of the first", || of("/narrow/first").is_some());
    let first = of("/narrow/first").unwrap();
    assert!(first["connect_ms"].is_number() && first["queue_ms"].as_f64() < Some(600.0), "{first}");
    if let Some(second) = of("/narrow/second") {
        assert!(second["queue_ms"].as_f64() >= Some(300.0) && second["connect_ms"].is_null(), "{second}");
    }
    // Off, by a reload.
    let before = slow(&gateway).len();
    gateway.reload(&gateway.config_text().replace("slow = \"1s\"", "slow = \"off\"")).unwrap();
    assert_eq!(gateway.send(&Request::get("/public/slow")).text(), "late");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(slow(&gateway).len(), before);
}

#[test]
fn a_slow_request_without_an_upstream_has_its_time_alone() {
    let gateway = Gateway::start(|setup| {
        setup
            .set("log", "slow", r#""100ms""#)
            .set("log", "format", r#""json""#)
            .service("open", "open-secret-0123456789")
            // Nobody listens there.
            .open_to("/gone", &["http://127.0.0.1:9".to_owned()], "")
            .user("jane", "password = \"correct horse battery\"");
    });
    assert_eq!(gateway.send(&Request::get("/gone/x")).status, 502);
    assert_eq!(gateway.send(&Request::get("/nowhere")).status, 404);
    let mut raw = gateway.raw();
    let form = Request::form("/hub/api/rest/oauth2/token", "grant_type=client_credentials&scope=open");
    let bytes = form.basic("open", "open-secret-0123456789").bytes();
    let (most, last) = bytes.split_at(bytes.len() - 1);
    raw.send(most);
    std::thread::sleep(Duration::from_millis(300));
    raw.send(last);
    assert_eq!(raw.answer_to("POST").unwrap().status, 200);
    eventually("the line", || slow(&gateway).iter().any(|line| line["route"] == "hub"));
    let line = slow(&gateway).into_iter().find(|line| line["route"] == "hub").unwrap();
    assert!(line["ms"].as_f64() >= Some(250.0), "{line}");
    for part in ["before_ms", "queue_ms", "connect_ms", "first_byte_ms", "body_ms", "upstream"] {
        assert!(line[part].is_null(), "{line}");
    }
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_program_without_opentelemetry_refuses_to_be_told_of_a_collector() {
    let (config, folder) = Gateway::prepare(|setup| {
        setup.set("telemetry", "otlp", r#""http://127.0.0.1:4318""#);
    });
    let path = config.display().to_string();
    for command in ["check", "serve"] {
        let output = process::run(&[command, "--config", &path], folder.path());
        let written = process::written(&output);
        assert!(!output.status.success(), "{command}: {written}");
        assert!(written.contains("`telemetry.otlp` needs OpenTelemetry"), "{command}: {written}");
        assert!(written.contains("--features otel"), "{command}: {written}");
    }
}

/// Nobody got an answer, and nothing has failed.
#[test]
fn who_does_not_wait_for_the_answer_is_told_apart_from_what_fails() {
    let (gateway, upstream) = start(|_| {});
    upstream.reply(Reply::Hang);
    let mut one = gateway.raw();
    one.send(Request::get("/public/one").bytes());
    let mut two = H2::connect(gateway.address());
    for (stream, path) in [(1, &b"/public/two"[..]), (3, b"/public/three")] {
        let head: [h2::Field<'_>; 4] =
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)];
        two.headers(stream, &head, true);
    }
    eventually("all have arrived", || upstream.count() == 3);
    drop(one);
    // RST_STREAM with CANCEL.
    two.frame(3, 0, 1, &8_u32.to_be_bytes());
    for path in ["/public/one", "/public/two"] {
        let line = access(&gateway, path);
        assert!(line.contains(" status=499 ") && line.contains(" incomplete"), "{line}");
    }
    assert!(!gateway.lines().contains("/public/three "), "it waits still");
    drop(two);
    let line = access(&gateway, "/public/three");
    assert!(line.contains(" status=499 ") && line.contains(" incomplete"), "{line}");
    upstream.reply(Reply::status(500, "text/plain", "an error of its own"));
    assert_eq!(gateway.send(&Request::get("/public/four")).status, 500);
    assert!(access(&gateway, "/public/four").contains(" status=500 "));
    let counted = |status: u16, count: u16| {
        format!("hubgate_requests_total{{route=\"/public\",method=\"GET\",status=\"{status}\"}} {count}\n")
    };
    eventually("they are counted", || {
        let numbers = gateway.management("/metrics").1;
        numbers.contains(&counted(499, 3)) && numbers.contains(&counted(500, 1))
    });
}

#[test]
fn what_a_stop_cuts_off_is_told_apart_too() {
    let (mut gateway, upstream) = start(|setup| {
        setup.set("limits", "drain_timeout", r#""300ms""#);
    });
    upstream.reply(Reply::Hang);
    let mut client = gateway.raw();
    client.send(Request::get("/public/late").bytes());
    eventually("it has arrived", || upstream.count() == 1);
    gateway.stop();
    let line = access(&gateway, "/public/late");
    assert!(line.contains(" status=503 ") && line.contains(" incomplete"), "{line}");
}
