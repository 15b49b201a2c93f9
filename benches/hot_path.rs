//! Instructions that one request costs in each part of its way, counted by Callgrind: a figure that other work on the
//! machine does not move. `cargo bench --bench hot_path`; the figures are in `docs/performance.md`.
//!
//! What is set up is leaked, so that taking it down is not counted.
#![expect(
    unused_qualifications,
    missing_docs,
    reason = "the macros of gungraun write paths in full and no documentation"
)]
#![expect(clippy::disallowed_methods, reason = "the macros of gungraun end the process")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has to say so")]

use std::{hint::black_box, net::Ipv4Addr, rc::Rc, sync::Arc, time::Duration};

use gungraun::prelude::*;
use http::{HeaderValue, Request, Uri, request::Parts, uri::PathAndQuery};
use hubgate::{
    access::{
        credentials::Credentials,
        directory::Directory,
        judge::Judge,
        revocations::Revocations,
        verdict::{Verdict, Verdicts},
    },
    base::{id::ServiceId, random::SystemRandom, time::Timestamp},
    crypto::{
        keyring::{self, Keyring},
        seal::SealingKey,
    },
    model::{
        key::Algorithm,
        registry::Registry,
        scope::GrantedScope,
        service::{Profile, Service, Trust},
        upstream::{BodyLimits, Upstream},
    },
    oauth::{
        grant::Granted,
        token::{claims::AccessClaims, issue::Issuer, verify},
    },
    observe::line::{Format, Key, Line, Stamp},
    proxy::{
        path::canonicalise,
        peer::{Peer, Remembered},
        route::Routes,
        sanitize,
        upstream::Cluster,
    },
};

/// The program's own allocator, so that allocations cost what they cost there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://gate.example/hub";

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Keys, verdicts, and one token of a client for one service.
struct Tokens {
    keyring: Keyring,
    registry: Registry,
    revocations: Revocations,
    people: Directory,
    credentials: Credentials,
    verdicts: Verdicts,
    token: String,
    authorization: HeaderValue,
    peer: Peer,
}

impl Tokens {
    fn judge(&self) -> Judge<'_> {
        let Self { keyring, registry, revocations, people, credentials, .. } = self;
        Judge { keyring, registry, issuer: ISSUER, revocations, people, credentials, now: NOW }
    }

    fn issue(&self) -> String {
        issue(&self.keyring)
    }
}

fn client_service() -> Service {
    Service {
        id: ServiceId::parse("2f6a1b0e-8f6c-4d6e-9c39-3a0a6f1d7c11").unwrap(),
        name: "Client".to_owned(),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: Vec::new(),
        declared: false,
        created: NOW,
        updated: NOW,
    }
}

fn issue(keyring: &Keyring) -> String {
    let client = client_service().id;
    let granted = Granted {
        subject: client.to_string(),
        client,
        scope: GrantedScope {
            spelled: "YouTrack".to_owned(),
            services: vec![ServiceId::parse("74c9b5a4-4d13-4a3c-8f5f-6a55a0a3f9a2").unwrap()],
        },
        family: None,
    };
    let issuer = Issuer::new(ISSUER, Duration::from_secs(3600));
    issuer.issue(granted, keyring.signing(), NOW, &SystemRandom).unwrap().access_token
}

/// `remembered`: how many tokens the memory of verdicts holds; the one that is asked for is the first of them.
fn tokens(remembered: usize) -> &'static Tokens {
    let sealing = SealingKey::new(&[7; 32]).unwrap();
    let record = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
    let keyring = Keyring::open(&[record], &sealing).unwrap();
    let token = issue(&keyring);
    let tokens = leak(Tokens {
        authorization: HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
        token,
        keyring,
        registry: Registry::new([client_service()], "https://gate.example/hub"),
        revocations: Revocations::default(),
        people: Directory::default(),
        credentials: Credentials::default(),
        verdicts: Verdicts::new(20_000),
        peer: Peer::new((Ipv4Addr::LOCALHOST, 1).into(), true),
    });
    if remembered > 0 {
        let verdict = tokens.verdicts.verify(tokens.token.as_bytes(), tokens.judge()).unwrap();
        tokens.peer.remember(tokens.token.as_bytes(), &Remembered::new(verdict));
    }
    for _ in 1..remembered {
        tokens.verdicts.verify(tokens.issue().as_bytes(), tokens.judge()).unwrap();
    }
    assert_eq!(tokens.verdicts.len(), remembered);
    tokens
}

// A token that the process knows, on a connection that has not sent it before.
#[library_benchmark]
#[bench::of_1(tokens(1))]
#[bench::of_10000(tokens(10_000))]
fn known_token(tokens: &'static Tokens) -> Arc<Verdict> {
    tokens.verdicts.recall(black_box(tokens.token.as_bytes()), tokens.judge()).unwrap().unwrap()
}

// A token that this connection has just sent.
#[library_benchmark]
#[bench::same_connection(tokens(1))]
fn repeated_token(tokens: &'static Tokens) -> Rc<Remembered> {
    let remembered = tokens.peer.remembered(black_box(&tokens.authorization)).unwrap();
    remembered.verdict.still_good(&tokens.verdicts, tokens.judge()).unwrap();
    remembered
}

// A token that is seen for the first time: form, signature, claims, revocations, and remembering it.
#[library_benchmark]
#[bench::es256(tokens(0))]
fn new_token(tokens: &'static Tokens) -> Arc<Verdict> {
    tokens.verdicts.verify(black_box(tokens.token.as_bytes()), tokens.judge()).unwrap()
}

// The same without the memory.
#[library_benchmark]
#[bench::es256(tokens(0))]
fn verify_token(tokens: &'static Tokens) -> AccessClaims {
    verify::verify(black_box(tokens.token.as_bytes()), &tokens.keyring, ISSUER, NOW).unwrap()
}

const PLAIN: &str = "/youtrack/api/issues/DEMO-42/comments";

#[library_benchmark]
#[bench::plain(PLAIN.to_owned())]
#[bench::escaped("/youtrack/api/issues/caf%c3%a9%20au%20lait/%61ttachments".to_owned())]
#[bench::long_plain(format!("/youtrack/{}", "directory/".repeat(100)))]
fn canonical_path(path: String) -> (String, usize) {
    let length = canonicalise(black_box(path.as_bytes())).unwrap().len();
    (path, length)
}

fn head(path: &str, headers: &[(&'static str, &str)]) -> (Parts, PathAndQuery) {
    let mut request = Request::get(path.parse::<Uri>().unwrap());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let target = sanitize::target(&parts.method, &parts.uri).unwrap_or_else(|_| unreachable!("{path}"));
    (parts, target)
}

/// A bearer token of the usual length; its content does not matter here.
fn bearer() -> String {
    format!("Bearer {}", "a".repeat(620))
}

fn browser() -> (Parts, PathAndQuery) {
    head(
        PLAIN,
        &[
            ("host", "gate.example"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            ("accept", "application/json, text/plain, */*"),
            ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("authorization", &bearer()),
            ("referer", "https://gate.example/youtrack/issues"),
            ("connection", "keep-alive"),
            ("cookie", "theme=dark; locale=en; last=DEMO-42"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-site", "same-origin"),
        ],
    )
}

fn client() -> (Parts, PathAndQuery) {
    head(
        PLAIN,
        &[
            ("host", "gate.example"),
            ("user-agent", "python-requests/2.32.5"),
            ("accept-encoding", "gzip, deflate"),
            ("accept", "application/json"),
            ("authorization", &bearer()),
        ],
    )
}

#[library_benchmark]
#[bench::browser_12_headers(browser())]
#[bench::client_5_headers(client())]
fn header_hygiene((parts, target): (Parts, PathAndQuery)) -> sanitize::Sanitized {
    sanitize::sanitize(black_box(parts), target, false).unwrap_or_else(|_| unreachable!())
}

fn routes(count: usize) -> (&'static Routes, String) {
    let upstream = |number: usize| {
        let upstream = Upstream::new("Hub", &format!("/service-{number}"), vec![]);
        let cluster = Cluster::new(&upstream, None, None);
        (upstream, cluster)
    };
    let upstreams: Vec<_> = (0..count).map(upstream).collect();
    let routes =
        leak(Routes::new(&upstreams, &Registry::new([], ISSUER), &BodyLimits { max_size: 1, min_rate: 0 }));
    (routes, format!("/service-{}/api/issues/DEMO-42/comments", count / 2))
}

#[library_benchmark]
#[bench::of_1(routes(1))]
#[bench::of_100(routes(100))]
#[bench::of_10000(routes(10_000))]
fn route((routes, path): (&'static Routes, String)) -> (usize, String) {
    (routes.find("gate.example", black_box(&path)).unwrap().index, path)
}

macro_rules! key {
    ($name:literal) => {
        const { Key { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") } }
    };
}

/// A buffer with room, and a stamp that has written a line of this second.
fn book(format: Format) -> (Format, Vec<u8>, Stamp) {
    let stamp = Stamp::default();
    black_box(stamp.at(NOW));
    (format, Vec::with_capacity(4096), stamp)
}

// The access line of a request.
#[library_benchmark]
#[bench::text(book(Format::Text))]
#[bench::json(book(Format::Json))]
fn access_line((format, mut buffer, stamp): (Format, Vec<u8>, Stamp)) -> Vec<u8> {
    Line::begin(&mut buffer, format, &stamp.at(black_box(NOW)), "access")
        .text(key!("id"), black_box("0af7651916cd43dd8448eb211c80319c"))
        .text(key!("peer"), "192.0.2.17")
        .text(key!("method"), "GET")
        .text(key!("path"), black_box(PLAIN))
        .word(key!("http"), "1.1")
        .number(key!("status"), 200)
        .number(key!("bytes"), 1234)
        .millis(key!("ms"), 12_034)
        .text(key!("route"), "/youtrack")
        .text(key!("upstream"), "http://127.0.0.1:8080")
        .word(key!("incomplete"), "")
        .end();
    buffer
}

library_benchmark_group!(name = token, benchmarks = [known_token, repeated_token, new_token, verify_token]);
library_benchmark_group!(name = request, benchmarks = [canonical_path, header_hygiene, route]);
library_benchmark_group!(name = line, benchmarks = [access_line]);

main!(library_benchmark_groups = [token, request, line]);
