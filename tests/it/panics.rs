//! A bug in a handler (promise R24): a panic ends the connection, or the stream, on which it happened, and nothing else; what was counted
//! for it is given back.

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use http::{Request, Response};
use http_body_util::Full;
use hubgate::base::{interim::Interim, pace::Pace};
use hubgate::server::{
    admission::Admission,
    connection::{Client, Handler, ProtocolLimits, Tunnel},
    io::Deadlines,
    listener,
    tls::{self, Certificate, CertificateFiles},
    worker::{self, Setup, Stage},
};
use hyper::body::{Bytes, Incoming};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::LocalSet,
};

use crate::support::{RawClient, gateway::eventually, h2::H2};

/// Answers everything but what it falls over.
struct Clumsy;

/// There is none.
struct NoTunnel(Infallible);

impl Tunnel for NoTunnel {
    async fn run(self, _io: impl AsyncRead + AsyncWrite + Unpin) {
        match self.0 {}
    }
}

impl Handler for Clumsy {
    type Peer = ();
    type Body = Full<Bytes>;
    type Tunnel = NoTunnel;
    type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>>>>;

    fn trusts(&self, _peer: IpAddr) -> bool {
        false
    }

    fn connected(&self, _client: Client) -> Rc<()> {
        Rc::new(())
    }

    fn handle(&self, _peer: &Rc<()>, request: Request<Incoming>, _interim: Interim) -> Self::Answering {
        let path = request.uri().path().to_owned();
        assert!(path != "/at-once", "injected at once");
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(if path == "/slow" { 500 } else { 20 })).await;
            assert!(path != "/later", "injected later");
            Response::new(Full::new(Bytes::from_static(b"fine")))
        })
    }

    fn tunnel(_body: &mut Self::Body) -> Option<NoTunnel> {
        None
    }

    fn leave(&self) {}
}

/// A worker that is running, and the count of its connections.
fn start() -> (SocketAddr, std::sync::Arc<Admission>, watch::Sender<Stage>, JoinHandle<()>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let files = CertificateFiles {
        certificate: folder.path().join("certificate.pem"),
        private_key: folder.path().join("key.pem"),
    };
    tls::self_signed(&files, "localhost").unwrap();
    let config = tls::server_config(Certificate::open(files).unwrap()).unwrap();
    let listener = listener::listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let admission = Admission::new(100, 100);
    let (stage, told) = watch::channel(Stage::Serve);
    let patience = Duration::from_secs(30);
    let setup = Setup {
        listeners: vec![listener],
        tls: config,
        limits: ProtocolLimits {
            proxy_protocol: false,
            handshake: patience,
            max_header_size: 64 * 1024,
            max_headers: 100,
            max_streams: 100,
        },
        deadlines: Deadlines { header: patience, write: Pace { rate: 0, silence: patience }, idle: patience },
        admission: std::sync::Arc::clone(&admission),
        stage: told,
    };
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, worker::run(Rc::new(Clumsy), setup, |_| {})).unwrap();
    });
    (address, admission, stage, thread, folder)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn assert_served(client: &mut RawClient, path: &str, what: &str) {
    client.send(get(path));
    let answer = client.answer().unwrap_or_else(|| panic!("{what}: no answer"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"), "{what}");
}

#[test]
fn a_panic_ends_its_connection_and_nothing_else() {
    let (address, admission, stage, thread, _folder) = start();
    let mut neighbour = RawClient::connect(address);
    let mut busy = H2::connect(address);
    let field = |path: &'static [u8]| -> [(&'static [u8], &'static [u8]); 4] {
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
    };
    assert_served(&mut neighbour, "/", "before");
    let mut stream = 1;
    for round in 0..10 {
        for path in ["/at-once", "/later"] {
            let what = format!("{path} in round {round}");
            neighbour.send(get("/slow"));
            busy.headers(stream, &field(b"/slow"), true);
            eventually("both are there", || admission.open() == 2);
            let mut clumsy = RawClient::connect(address);
            assert_served(&mut clumsy, "/", &what);
            clumsy.send(get(path));
            assert!(clumsy.answer().is_none(), "{what}: no half of an answer");
            eventually("its place is given back", || admission.open() == 2);
            // What others had begun meanwhile is answered.
            assert_eq!(neighbour.answer().expect("an answer").status, 200, "{what}");
            assert_eq!(busy.outcome(stream).status, Some(200), "{what}");
            // Over HTTP/2 nothing that was promised is taken for an answer.
            let mut clumsy = H2::connect(address);
            clumsy.headers(1, &field(if path == "/later" { b"/later" } else { b"/at-once" }), true);
            assert_eq!(clumsy.outcome(1).status, None, "{what}");
            drop(clumsy);
            eventually("its place is given back", || admission.open() == 2);
            stream += 2;
        }
    }
    drop((neighbour, busy));
    stage.send(Stage::Drain(Instant::now() + Duration::from_secs(5))).unwrap();
    thread.join().expect("the worker has not panicked");
    assert_eq!(admission.open(), 0);
}
