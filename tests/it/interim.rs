//! Interim answers (RFC 9110 section 15.2): early hints (RFC 8297) reach the client at once, over both protocols, and only the
//! client of the request that they belong to.

use std::{
    future::{Future as _, poll_fn},
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    pin::Pin,
    sync::Arc,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustls::pki_types::ServerName;

use crate::support::{Gateway, Reply, Request, Upstream, gateway::eventually, h2::H2, tls};

const PATIENCE: Duration = Duration::from_secs(20);

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An upstream that hints at the path that it was asked for, waits so long, and answers with it.
fn hints(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream, pause));
        }
    });
    origin
}

fn serve(mut stream: TcpStream, pause: Duration) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let line = lines.next()?.ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        while !lines.next()?.ok()?.is_empty() {}
        write!(stream, "HTTP/1.1 103 Early Hints\r\nLink: <{path}>; rel=preload\r\n\r\n").ok()?;
        thread::sleep(pause);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).ok()?;
    }
}

/// The same over HTTP/2, with these interim answers.
fn hints2(pause: Duration, statuses: &'static [u16]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("h2c://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let serving = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, answering))) = connection.accept().await {
                    tokio::spawn(serve2(request.uri().path().to_owned(), answering, pause, statuses));
                }
            });
        }
    };
    thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serving)
    });
    origin
}

/// Whoever asked may be gone at any time.
async fn serve2(
    path: String,
    mut answering: h2::server::SendResponse<Bytes>,
    pause: Duration,
    statuses: &[u16],
) -> Option<()> {
    for status in statuses {
        let hint = http::Response::builder().status(*status).header("link", format!("<{path}>; rel=preload"));
        answering.send_informational(hint.body(()).unwrap()).ok()?;
    }
    tokio::time::sleep(pause).await;
    let mut body = answering.send_response(http::Response::new(()), false).ok()?;
    body.send_data(path.into(), true).ok()
}

/// One answer over HTTP/2: the interim ones, each with its `Link`, then status and body.
type Heard = (Vec<(u16, String)>, u16, String);

/// Asks for all of these at once over one HTTP/2 connection.
fn ask(gateway: &Gateway, paths: &[String]) -> Vec<Heard> {
    let address = gateway.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = async {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls::client("h2").0));
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let answers = paths.iter().map(|path| {
            let sender = sender.clone();
            async move {
                let request = http::Request::get(format!("https://localhost{path}")).body(()).unwrap();
                let (mut answering, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
                let mut interim = Vec::new();
                let response = poll_fn(|cx| {
                    while let Poll::Ready(Some(hint)) = answering.poll_informational(cx) {
                        let hint = hint.unwrap();
                        let link = hint.headers().get("link").map_or("", |link| link.to_str().unwrap());
                        interim.push((hint.status().as_u16(), link.to_owned()));
                    }
                    Pin::new(&mut answering).poll(cx)
                });
                let (parts, mut body) = response.await.unwrap().into_parts();
                let mut text = Vec::new();
                while let Some(data) = body.data().await {
                    text.extend_from_slice(&data.unwrap());
                }
                (interim, parts.status.as_u16(), String::from_utf8(text).unwrap())
            }
        });
        futures_util::future::join_all(answers).await
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await.expect("answers in time") })
}

fn open(origin: &str, lines: &str) -> Gateway {
    Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open_to("/public", &[origin.to_owned()], lines);
    })
}

#[test]
fn hints_arrive_before_the_answer_is_made() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Pieces(vec![
        (Duration::ZERO, HINT.into()),
        (Duration::from_millis(700), "HTTP/1.1 102 Processing\r\n\r\n".into()),
        (Duration::from_millis(700), ANSWER.into()),
    ]));
    let mut client = gateway.raw();
    client.send(Request::get("/public/x").bytes());
    let hint = client.head(Instant::now() + PATIENCE).expect("a hint");
    let at = Instant::now();
    assert_eq!((hint.status, hint.all("link")), (103, vec!["</style.css>; rel=preload"]));
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[102][..], "ok"));
    assert!(at.elapsed() >= Duration::from_millis(700), "it waited for the answer");
    // The connection goes on as if nothing had been.
    upstream.reply(Reply::Describe);
    client.send(Request::get("/public/y").bytes());
    assert_eq!(client.answer().expect("an answer").interim, [0; 0]);
}

#[test]
fn hints_that_come_with_the_answer_come_before_it() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::raw(&[HINT, HINT, ANSWER].concat()));
    let one = gateway.send(&Request::get("/public/x"));
    assert_eq!((one.status, one.interim.as_slice(), one.text().as_str()), (200, &[103, 103][..], "ok"));
    let link = || (103, "</style.css>; rel=preload".to_owned());
    let two = ask(&gateway, &["/public/x".to_owned()]).remove(0);
    assert_eq!(two, (vec![link(), link()], 200, "ok".to_owned()));
    let posted = gateway.send(&Request::new("POST", "/public/x").body("hello"));
    assert_eq!((posted.status, posted.interim.len()), (200, 2));
    upstream.take();
    gateway.assert_innocent(&upstream, "hints");
}

#[test]
fn each_hint_reaches_its_own_request() {
    for (pause, over_http2) in [(0, false), (500, false), (0, true), (500, true)] {
        let wait = Duration::from_millis(pause);
        let gateway = open(&if over_http2 { hints2(wait, &[103]) } else { hints(wait) }, "");
        let paths: Vec<_> = (0..60).map(|n| format!("/public/{n}")).collect();
        let mut hinted = 0;
        for (path, (interim, status, body)) in paths.iter().zip(ask(&gateway, &paths)) {
            assert_eq!((status, &body), (200, path));
            for hint in &interim {
                assert_eq!(hint, &(103, format!("<{path}>; rel=preload")));
            }
            hinted += interim.len();
        }
        // One is left out where nobody would wait for it any more.
        assert!(hinted > if pause == 0 { 0 } else { 50 }, "{hinted} of {} after {pause} ms", paths.len());
    }
}

/// RFC 9113 sections 8.1 and 8.6: there may be several, before the answer and not in its place.
#[test]
fn hints_of_an_http2_upstream_arrive_before_the_answer_is_made() {
    let gateway = open(&hints2(Duration::from_millis(700), &[102, 103]), "");
    let mut client = gateway.raw();
    for method in ["GET", "POST"] {
        let body = if method == "POST" { "hello" } else { "" };
        client.send(Request::new(method, "/public/x").body(body).bytes());
        assert_eq!(client.head(Instant::now() + PATIENCE).expect("a hint").status, 102);
        let hint = client.head(Instant::now() + PATIENCE).expect("a hint");
        let at = Instant::now();
        assert_eq!((hint.status, hint.all("link")), (103, vec!["</public/x>; rel=preload"]));
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "/public/x"));
        assert!(at.elapsed() >= Duration::from_millis(300), "it waited for the answer");
    }
    for wrong in [&[101][..], &[103; 101]] {
        let gateway = open(&hints2(Duration::ZERO, wrong), "");
        for _ in 0..2 {
            assert_eq!(gateway.send(&Request::get("/public/x")).status, 502, "{} answers", wrong.len());
        }
    }
}

/// What is in a hint is the answer's to say, and no more.
#[test]
fn hints_are_treated_as_answers_are() {
    let upstream = Upstream::start();
    let gateway = open(
        &upstream.origin(),
        "response_headers = { \"Content-Security-Policy\" = \"default-src 'self'\", Server = \"\" }",
    );
    upstream.reply(Reply::raw(
        &[
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nServer: x\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: 5\r\n\
             Transfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\nSet-Cookie: __Host-hubgate-session=evil\r\n\r\n"
                .replace("Transfer-Encoding: chunked\r\n", "")
                .as_str(),
            ANSWER,
        ]
        .concat(),
    ));
    let mut client = gateway.raw();
    client.send(Request::get("/public/x").bytes());
    let hint = client.head(Instant::now() + PATIENCE).expect("a hint");
    let mut fields: Vec<_> = hint.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    assert_eq!(fields, ["content-security-policy: default-src 'self'", "link: </a>", "link: </b>"]);
    assert_eq!(client.answer().expect("an answer").text(), "ok");
}

/// RFC 9110 section 15.2: HTTP/1.0 has none. A client whose table for heads shrinks, and hints that are too large, go without.
#[test]
fn who_cannot_take_hints_gets_the_answer_alone() {
    let (gateway, upstream) = Gateway::standard();
    upstream.reply(Reply::Pieces(vec![
        (Duration::ZERO, HINT.into()),
        (Duration::from_millis(200), ANSWER.into()),
    ]));
    let mut old = gateway.raw();
    old.send("GET /public/x HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let answer = old.answer().expect("an answer");
    assert_eq!((answer.status, answer.interim.as_slice(), answer.text().as_str()), (200, &[][..], "ok"));

    let mut two = H2::connect(gateway.address());
    two.headers(
        1,
        &[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/public/x"),
        ],
        true,
    );
    let outcome = two.outcome(1);
    assert_eq!((outcome.status, outcome.body.as_slice()), (Some(200), &b"ok"[..]));

    let large = HINT.replace("style", &"x".repeat(9000));
    upstream.reply(Reply::raw(&[large.as_str(), ANSWER].concat()));
    let answer = gateway.send(&Request::get("/public/x"));
    assert_eq!((answer.status, answer.interim.as_slice()), (200, &[][..]));
}

/// Many hints to a client that reads nothing take no memory and hinder nobody.
#[test]
fn hints_that_are_not_read_do_not_pile_up() {
    let (gateway, upstream) = Gateway::standard();
    let hint = HINT.replace("style", &"x".repeat(7000));
    upstream.reply(Reply::raw(&[hint.repeat(90).as_str(), ANSWER].concat()));
    let mut clients: Vec<_> = (0..20).map(|_| gateway.raw()).collect();
    for client in &mut clients {
        for _ in 0..3 {
            client.send(Request::get("/public/attack").bytes());
        }
    }
    eventually("they arrive", || upstream.requests().len() >= 20);
    for client in &mut clients {
        for _ in 0..3 {
            assert_eq!(client.answer().expect("an answer").text(), "ok");
        }
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "hints that nobody reads");
}
