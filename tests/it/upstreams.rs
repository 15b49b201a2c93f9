//! Several targets, dead and dying ones: what is sent again and what never is, how the work is shared, who is passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use crate::support::{Answer, Gateway, RawClient, Reply, Request, Upstream, process::free_port};

/// A client that keeps its connection as long as it is kept.
struct Kept<'a> {
    gateway: &'a Gateway,
    connection: RawClient,
}

impl<'a> Kept<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        Self { gateway, connection: gateway.raw() }
    }

    fn send(&mut self, request: &Request) -> Answer {
        if self.connection.try_send(&request.bytes())
            && let Some(answer) = self.connection.answer_to(&request.method)
        {
            return answer;
        }
        self.connection = self.gateway.raw();
        self.connection.send(request.bytes());
        self.connection.answer_to(&request.method).expect("an answer")
    }
}

/// Closes each connection at its second request, without a word.
fn closes_kept_connections(upstream: &Upstream) {
    let seen = Mutex::new(BTreeSet::new());
    upstream.script(move |request| {
        if seen.lock().unwrap().insert(request.connection) {
            Reply::Describe
        } else {
            Reply::ThenClose(Vec::new())
        }
    });
}

/// How often each request id arrived.
fn arrivals(upstream: &Upstream) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for request in upstream.take() {
        *ids.entry(request.header("x-request-id").expect("an id")).or_default() += 1;
    }
    ids
}

/// The value of a metric, all its lines together.
pub(crate) fn metric(gateway: &Gateway, beginning: &str) -> u64 {
    let (status, text) = gateway.management("/metrics");
    assert_eq!(status, 200);
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn what_a_closing_connection_has_swallowed_is_sent_again_only_where_that_is_safe() {
    let (gateway, upstream) = Gateway::standard();
    let mut client = Kept::new(&gateway);
    for (request, again) in [
        (Request::get("/public/x"), true),
        (Request::new("HEAD", "/public/x"), true),
        (Request::new("OPTIONS", "/public/x"), true),
        (Request::get("/public/x").body("hello"), false),
        (Request::new("POST", "/public/x"), false),
        (Request::new("POST", "/public/x").body("hello"), false),
        (Request::new("PUT", "/public/x").body("hello"), false),
        (Request::new("DELETE", "/public/x"), false),
        (Request::new("PATCH", "/public/x").body("x"), false),
        (Request::new("REPORT", "/public/x"), false),
    ] {
        // The first request on a fresh connection is answered, the next is not.
        closes_kept_connections(&upstream);
        let first = client.send(&Request::get("/public/first"));
        assert_eq!(first.status, 200);
        upstream.take();
        let answer = client.send(&request);
        let arrived = arrivals(&upstream);
        let what = String::from_utf8_lossy(&request.bytes()).into_owned();
        assert_eq!(arrived.len(), 1, "{what}: {arrived:?}");
        let times = *arrived.values().next().unwrap();
        assert_eq!((answer.status, times), if again { (200, 2) } else { (502, 1) }, "{what}");
    }
    assert_eq!(metric(&gateway, "hubgate_upstream_retries_total"), 3);
    // What breaks off after it has begun to answer is not sent again, nor what a fresh connection does not answer.
    for reply in [&b"H"[..], b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"] {
        upstream.reply(Reply::Describe);
        assert_eq!(client.send(&Request::get("/public/first")).status, 200);
        upstream.take();
        upstream.reply(Reply::ThenClose(reply.to_vec()));
        assert_eq!(client.send(&Request::get("/public/x")).status, 502);
        assert_eq!(upstream.take().len(), 1);
        upstream.reply(Reply::ThenClose(Vec::new()));
        assert_eq!(client.send(&Request::get("/public/x")).status, 502);
        assert_eq!(upstream.take().len(), 1, "a fresh connection was not answered");
    }
}

/// An upstream that closes connections at random: no change arrives twice, and not much more arrives than was asked for.
#[test]
fn retries_are_safe_and_few() {
    let (gateway, upstream) = Gateway::standard();
    let state = Mutex::new(0x9e37_79b9_u32);
    upstream.script(move |_| {
        let mut state = state.lock().unwrap();
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if *state >> 30 == 0 { Reply::ThenClose(Vec::new()) } else { Reply::Describe }
    });
    let asked = Arc::new(Mutex::new((0, 0)));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (gateway, asked) = (&gateway, Arc::clone(&asked));
            scope.spawn(move || {
                let mut client = Kept::new(gateway);
                for n in 0..150 {
                    let safe = (n + worker) % 3 > 0;
                    let request = Request::new(if safe { "GET" } else { "POST" }, "/public/x");
                    let status = client.send(&request).status;
                    assert!(matches!(status, 200 | 502), "{status}");
                    let mut asked = asked.lock().unwrap();
                    asked.0 += 1;
                    asked.1 += usize::from(status == 200);
                }
            });
        }
    });
    let mut arrived = 0;
    let mut repeated = 0;
    let mut of: BTreeMap<(String, String), usize> = BTreeMap::new();
    for request in upstream.take() {
        arrived += 1;
        let method = request.line().split(' ').next().unwrap().to_owned();
        *of.entry((method, request.header("x-request-id").unwrap())).or_default() += 1;
    }
    for ((method, id), times) in of {
        assert!(times == 1 || (method == "GET" && times == 2), "{method} {id} arrived {times} times");
        repeated += times - 1;
    }
    let (asked, answered) = *asked.lock().unwrap();
    assert_eq!((asked, arrived), (600, 600 + repeated));
    assert!(repeated > 0 && repeated <= 600 / 5, "{repeated} of 600 were sent again");
    assert!(answered >= 600 - 600 * 35 / 100, "{answered} of 600 were answered");
    assert_eq!(metric(&gateway, "hubgate_upstream_retries_total"), repeated as u64);
}

#[test]
fn an_upstream_that_closes_every_connection_gets_a_fifth_more_and_no_more() {
    let (gateway, upstream) = Gateway::standard();
    closes_kept_connections(&upstream);
    let mut client = Kept::new(&gateway);
    let answered = (0..200).filter(|_| client.send(&Request::get("/public/x")).status == 200).count();
    let repeated = upstream.take().len() - 200;
    assert!((30..=40).contains(&repeated), "{repeated} of 200 were sent again");
    assert!((100..200).contains(&answered), "{answered} of 200 were answered");
}

#[test]
fn a_target_that_cannot_be_connected_to_costs_nobody_an_answer() {
    let upstream = Upstream::start();
    let down = format!("http://127.0.0.1:{}", free_port());
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).open_to("/two", &[down, upstream.origin()], "");
    });
    for n in 0..10 {
        // Not a byte was sent, so that even what changes something goes to the next.
        let answer = gateway.send(&Request::new("POST", "/two/x").body("hello"));
        assert_eq!(answer.status, 200, "request {n}");
    }
    assert_eq!(upstream.take().len(), 10);
    assert!(metric(&gateway, "hubgate_upstream_retries_total") > 0);
}
