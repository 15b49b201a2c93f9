//! Another process takes the port over while connections come every millisecond: none is refused, none is lost, no request
//! fails. By `--take-over`, and with sockets that a supervisor keeps open.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    Gateway, RawClient, Request, Setup, Upstream,
    gateway::eventually,
    process::{free_port, program, try_plain_get},
    tls,
};

/// A gateway in a process of its own, with its log in a file. Dropping it kills it.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn spawn(mut command: Command, log: &Path) -> Self {
        let child = command.stderr(File::create(log).unwrap()).spawn().unwrap();
        Self { child, log: log.to_owned() }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    fn says(&self, what: &str) {
        eventually(what, || self.log().contains(what));
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for its end and says how it ended.
    fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Clients of which one connects in each millisecond, to the plain listener or, every third, to the one with TLS; and one that
/// keeps its connection and asks all the time.
struct Rush {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    answered: Arc<AtomicUsize>,
    /// Over the connection that is kept.
    kept: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Rush {
    fn begin(https: SocketAddr, http: SocketAddr) -> Self {
        Self::through(b"", https, http)
    }

    /// The same with these bytes at the beginning of each connection.
    fn through(header: &'static [u8], https: SocketAddr, http: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let (sender, connections) = mpsc::channel::<(bool, TcpStream)>();
        let connections = Arc::new(Mutex::new(connections));
        let mut threads = Vec::new();
        for _ in 0..12 {
            let (answered, failures) = (Arc::clone(&answered), Arc::clone(&failures));
            let connections = Arc::clone(&connections);
            threads.push(thread::spawn(move || {
                loop {
                    let Ok((tls, socket)) = connections.lock().unwrap().recv() else { return };
                    let asked = std::panic::catch_unwind(|| if tls { secure(socket) } else { plain(socket) });
                    match asked {
                        Ok(Ok(())) => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        Ok(Err(why)) => failures.lock().unwrap().push(format!("tls {tls}: {why}")),
                        Err(_) => failures.lock().unwrap().push(format!("tls {tls}: broken")),
                    }
                }
            }));
        }
        let kept_answers = Arc::<AtomicUsize>::default();
        let (stopped, count, failed) = (Arc::clone(&stop), Arc::clone(&kept_answers), Arc::clone(&failures));
        threads.push(thread::spawn(move || kept((https, header), &stopped, &count, &failed)));
        let (stopped, refused) = (Arc::clone(&stop), Arc::clone(&failures));
        threads.push(thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let tls = number % 3 == 0;
                match TcpStream::connect(if tls { https } else { http }) {
                    Ok(mut socket) => match socket.write_all(header) {
                        Ok(()) => sender.send((tls, socket)).unwrap(),
                        Err(error) => refused.lock().unwrap().push(format!("cut off: {error}")),
                    },
                    Err(error) => refused.lock().unwrap().push(format!("refused: {error}")),
                }
                thread::sleep(Duration::from_millis(1));
            }
        }));
        Self { stop, threads, answered, kept: kept_answers, failures }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more were answered.
    fn more(&self, count: usize) {
        let before = self.answered();
        eventually("answers go on", || self.answered() >= before + count);
    }

    /// Ends, and fails if any client was refused or cut off.
    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        assert!(self.kept.load(Ordering::SeqCst) > 0, "the connection that is kept was of use");
        let failures = self.failures.lock().unwrap();
        let answered = self.answered.load(Ordering::SeqCst);
        assert!(failures.is_empty(), "{} of {}: {failures:?}", failures.len(), failures.len() + answered);
    }
}

/// Requests one after another over HTTP/2, on one connection for as long as that is kept, until told to stop. What the gateway
/// says it has not begun to answer is asked again; anything else that is not answered is a failure.
fn kept(
    (address, header): (SocketAddr, &[u8]),
    stop: &AtomicBool,
    answered: &AtomicUsize,
    failures: &Mutex<Vec<String>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        while !stop.load(Ordering::SeqCst) {
            let Ok(mut socket) = tokio::net::TcpStream::connect(address).await else {
                failures.lock().unwrap().push("http/2: refused".into());
                continue;
            };
            socket.write_all(header).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls::client("h2").0));
            let stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            while !stop.load(Ordering::SeqCst) && sender.ready().await.is_ok() {
                let request = http::Request::get("https://localhost/public/kept");
                let request = request.body(Empty::<Bytes>::new()).unwrap();
                match sender.send_request(request).await {
                    Ok(response) if response.status() == 200 => match response.into_body().collect().await {
                        Ok(_) => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        Err(error) => failures.lock().unwrap().push(format!("http/2: cut: {error}")),
                    },
                    Ok(response) => failures.lock().unwrap().push(format!("http/2: {}", response.status())),
                    // Never sent: the connection was on its way out.
                    Err(error) if error.is_canceled() => break,
                    Err(error) => failures.lock().unwrap().push(format!("http/2: {error:?}")),
                }
            }
        }
    });
}

/// A request over TLS on a new connection.
fn secure(socket: TcpStream) -> Result<(), String> {
    let mut client = RawClient::over(socket, "http/1.1", "localhost");
    client.send(Request::get("/public/x").bytes());
    match client.answer() {
        Some(answer) if answer.status == 200 => Ok(()),
        Some(answer) => Err(answer.text()),
        None => Err("closed without an answer".into()),
    }
}

/// The same in the clear, where it is redirected.
fn plain(mut socket: TcpStream) -> Result<(), String> {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut said = Vec::new();
    let asked = socket
        .write_all(b"GET /public/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .and_then(|()| socket.read_to_end(&mut said));
    match asked {
        Ok(_) if said.starts_with(b"HTTP/1.1 308 ") => Ok(()),
        Ok(_) => Err(String::from_utf8_lossy(&said).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

struct House {
    https: SocketAddr,
    http: SocketAddr,
    management: SocketAddr,
    config: PathBuf,
    folder: TempDir,
    upstream: Upstream,
}

fn house() -> House {
    house_with(|_| {})
}

/// Behind a proxy that says whose connection it carries.
fn house_behind_a_proxy() -> House {
    house_with(|setup| {
        setup.set("listen", "proxy_protocol", "true").set("listen", "trusted_proxies", r#"["127.0.0.1"]"#);
    })
}

/// What such a proxy says.
const HEADER: &[u8] = b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 443\r\n";

fn house_with(configure: impl FnOnce(&mut Setup)) -> House {
    let [https, http, management] = [(); 3].map(|()| free_port());
    let upstream = Upstream::start();
    let (config, folder) = Gateway::prepare(|setup| {
        setup
            .standard(&upstream)
            .set("listen", "https", &format!("[\"127.0.0.1:{https}\"]"))
            .set("listen", "http", &format!("[\"127.0.0.1:{http}\"]"))
            .set("listen", "management", &format!("\"127.0.0.1:{management}\""))
            .set("listen", "workers", "2")
            .set("log", "level", r#""info""#);
        configure(setup);
    });
    let (https, http, management) = (local(https), local(http), local(management));
    House { https, http, management, config, folder, upstream }
}

impl House {
    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn serve(&self, name: &str, config: &Path, arguments: &[&str]) -> Process {
        let mut command = program();
        command.arg("serve").args(arguments).arg("--config").arg(config).stdout(Stdio::null());
        Process::spawn(command, &self.log(name))
    }

    fn ready(&self) -> bool {
        try_plain_get(self.management, "/readyz").is_some_and(|(status, _)| status == 200)
    }
}

#[test]
fn the_next_process_takes_over_and_nobody_notices() {
    let house = house();
    let mut serving = house.serve("0", &house.config, &["--take-over"]);
    serving.says(" ready");
    let rush = Rush::begin(house.https, house.http);
    rush.more(50);
    for number in 1..=3 {
        let next = house.serve(&number.to_string(), &house.config, &["--take-over"]);
        next.says("taken over from the process before");
        assert_eq!(serving.ends(), Some(0), "{}", serving.log());
        assert!(serving.log().contains("another process has taken over"), "{}", serving.log());
        assert!(!serving.log().contains("drain timeout has passed"), "{}", serving.log());
        serving = next;
        rush.more(100);
    }
    rush.end();
    assert!(house.ready());
    // Without being asked for, a second gateway is still a mistake.
    let mut second = house.serve("second", &house.config, &[]);
    assert_eq!(second.ends(), Some(1));
    assert!(second.log().contains("cannot listen on"), "{}", second.log());
    serving.signal("TERM");
    assert_eq!(serving.ends(), Some(0));
    assert!(!house.folder.path().join("data/handover.sock").exists());
    assert!(TcpStream::connect(house.https).is_err(), "nobody listens any more");
}

/// The same where each connection begins with a proxy's word on whose it is, which has to be read before anything else.
#[test]
fn the_next_process_takes_over_behind_a_proxy() {
    let house = house_behind_a_proxy();
    let mut serving = house.serve("0", &house.config, &["--take-over"]);
    serving.says(" ready");
    let rush = Rush::through(HEADER, house.https, house.http);
    rush.more(50);
    for number in 1..=2 {
        let next = house.serve(&number.to_string(), &house.config, &["--take-over"]);
        next.says("taken over from the process before");
        assert_eq!(serving.ends(), Some(0), "{}", serving.log());
        assert!(!serving.log().contains("drain timeout has passed"), "{}", serving.log());
        serving = next;
        rush.more(100);
    }
    rush.end();
    // The new one reads that word too, and insists on it.
    let mut unnamed = TcpStream::connect(house.http).unwrap();
    unnamed.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    unnamed.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(unnamed.read(&mut [0; 64]).unwrap_or(0), 0, "nobody is told anything without it");
    serving.signal("TERM");
    assert_eq!(serving.ends(), Some(0));
    let seen = house.upstream.requests();
    assert!(seen.iter().all(|r| r.header("x-forwarded-for").as_deref() == Some("203.0.113.9")));
}

#[test]
fn a_supervisors_sockets_behind_a_proxy_are_never_without_somebody() {
    let mut house = house_behind_a_proxy();
    let supervisor = Activation::prepare(&mut house);
    let rush = Rush::through(HEADER, house.https, house.http);
    let mut serving = supervisor.start(&house, "0");
    assert!(supervisor.hears().starts_with("READY=1"), "{}", serving.log());
    rush.more(50);
    for name in ["1", "2"] {
        serving.signal("TERM");
        assert!(supervisor.hears().starts_with("STOPPING=1"));
        assert_eq!(serving.ends(), Some(0), "{}", serving.log());
        serving = supervisor.start(&house, name);
        assert!(supervisor.hears().starts_with("READY=1"), "{}", serving.log());
        rush.more(100);
    }
    rush.end();
    serving.signal("TERM");
    assert_eq!(serving.ends(), Some(0));
}

#[test]
fn one_that_cannot_start_takes_nothing_over() {
    let house = house();
    let mut serving = house.serve("0", &house.config, &[]);
    serving.says(" ready");
    let rush = Rush::begin(house.https, house.http);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(&house.config).unwrap();
    let also = format!("http = [\"{}\", \"{}\"]", taken.local_addr().unwrap(), house.http);
    let text = text.replace(&format!("http = [\"{}\"]", house.http), &also);
    let config = house.folder.path().join("other.toml");
    fs::write(&config, text).unwrap();
    let mut next = house.serve("1", &config, &["--take-over"]);
    assert_eq!(next.ends(), Some(1), "{}", next.log());
    assert!(next.log().contains("cannot listen on"), "{}", next.log());
    serving.says("this one goes on");
    rush.more(100);
    // The next one that is good takes over all the same.
    let mut next = house.serve("2", &house.config, &["--take-over"]);
    next.says("taken over from the process before");
    assert_eq!(serving.ends(), Some(0));
    rush.more(100);
    rush.end();
    next.signal("TERM");
    assert_eq!(next.ends(), Some(0));
}

/// Who does not take over leaves the offer of the one that runs where it is, also when it goes again.
#[test]
fn another_process_does_not_take_the_offer_away() {
    let house = house();
    let mut first = house.serve("first", &house.config, &[]);
    first.says(" ready");
    let text = fs::read_to_string(&house.config).unwrap();
    let [https, http, management] = [(); 3].map(|()| local(free_port()).to_string());
    let apart = text
        .replace(&house.https.to_string(), &https)
        .replace(&house.http.to_string(), &http)
        .replace(&house.management.to_string(), &management);
    let config = house.folder.path().join("apart.toml");
    fs::write(&config, apart).unwrap();
    let mut other = house.serve("other", &config, &[]);
    other.says(" ready");
    assert!(other.log().contains("cannot be offered to a next process"), "{}", other.log());
    let next = house.serve("next", &house.config, &["--take-over"]);
    next.says("taken over from the process before");
    assert_eq!(first.ends(), Some(0), "{}", first.log());
    assert!(house.ready());
    other.signal("TERM");
    assert_eq!(other.ends(), Some(0), "{}", other.log());
    // It has taken nothing along; nor is the file of one that was killed in anybody's way.
    let mut last = house.serve("last", &house.config, &["--take-over"]);
    last.says("taken over from the process before");
    drop(next);
    last.signal("KILL");
    last.ends();
    assert!(house.folder.path().join("data/handover.sock").exists());
    let mut anew = house.serve("anew", &house.config, &[]);
    anew.says(" ready");
    assert!(!anew.log().contains("cannot be offered"), "{}", anew.log());
    let after = house.serve("after", &house.config, &["--take-over"]);
    after.says("taken over from the process before");
    assert_eq!(anew.ends(), Some(0), "{}", anew.log());
}

/// The sockets as a supervisor keeps them.
struct Activation {
    https: TcpListener,
    http: TcpListener,
    notify: UnixDatagram,
    path: PathBuf,
}

impl Activation {
    /// Opens them. The one that has a name is in the place of the address of the file; the other one is known by its address.
    fn prepare(house: &mut House) -> Self {
        let path = house.folder.path().join("notify.sock");
        let https = TcpListener::bind("127.0.0.1:0").unwrap();
        house.https = https.local_addr().unwrap();
        let notify = UnixDatagram::bind(&path).unwrap();
        notify.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { https, http: TcpListener::bind(house.http).unwrap(), notify, path }
    }

    /// Starts a gateway as systemd does: sockets from the third descriptor on, and the variables.
    fn start(&self, house: &House, name: &str) -> Process {
        let give = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .args(["-c", "LISTEN_PID=$$ exec \"$@\" 3<&0 4<&1 0</dev/null 1>/dev/null", "sh"])
            .arg(env!("CARGO_BIN_EXE_hubgate"))
            .args(["serve", "--config"])
            .arg(&house.config)
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", "https:hubgate.socket")
            .env("NOTIFY_SOCKET", &self.path)
            .stdin(give(&self.https))
            .stdout(give(&self.http));
        Process::spawn(command, &house.log(name))
    }

    /// What the gateway says next.
    fn hears(&self) -> String {
        let mut text = [0; 500];
        let length = self.notify.recv(&mut text).expect("word of the gateway");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}

#[test]
fn a_supervisors_sockets_are_never_without_somebody() {
    let mut house = house();
    let supervisor = Activation::prepare(&mut house);
    // Who comes before anybody serves is answered too.
    let rush = Rush::begin(house.https, house.http);
    let mut serving = supervisor.start(&house, "0");
    assert!(supervisor.hears().starts_with("READY=1"), "{}", serving.log());
    rush.more(50);
    // A restart: stopped, then started.
    serving.signal("TERM");
    assert!(supervisor.hears().starts_with("STOPPING=1"));
    assert_eq!(serving.ends(), Some(0));
    serving = supervisor.start(&house, "1");
    assert!(supervisor.hears().starts_with("READY=1"), "{}", serving.log());
    rush.more(100);
    serving.signal("HUP");
    assert!(supervisor.hears().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(supervisor.hears().starts_with("READY=1"));
    rush.end();
    serving.signal("TERM");
    assert!(supervisor.hears().starts_with("STOPPING=1"));
    assert_eq!(serving.ends(), Some(0));
    // Sockets that are for nothing are told.
    let mut odd = supervisor;
    odd.http = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut refused = odd.start(&house, "odd");
    assert_eq!(refused.ends(), Some(1));
    assert!(
        refused.log().contains("the supervisor hands over a socket \"hubgate.socket\""),
        "{}",
        refused.log()
    );
}

#[test]
fn two_of_a_supervisors_processes_serve_and_one_leaves() {
    let mut house = house();
    let text = fs::read_to_string(&house.config).unwrap();
    let management = format!("management = \"{}\"", house.management);
    let without = text.replace(&management, "management = \"127.0.0.1:0\"");
    assert_ne!(text, without);
    fs::write(&house.config, without).unwrap();
    let supervisor = Activation::prepare(&mut house);
    let mut blue = supervisor.start(&house, "blue");
    assert!(supervisor.hears().starts_with("READY=1"), "{}", blue.log());
    let rush = Rush::begin(house.https, house.http);
    rush.more(50);
    for name in ["green", "blue again", "green again"] {
        let next = supervisor.start(&house, name);
        assert!(supervisor.hears().starts_with("READY=1"), "{}", next.log());
        rush.more(50);
        blue.signal("TERM");
        assert!(supervisor.hears().starts_with("STOPPING=1"));
        assert_eq!(blue.ends(), Some(0), "{}", blue.log());
        blue = next;
        rush.more(50);
    }
    rush.end();
}
