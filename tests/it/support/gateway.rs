//! A gateway in this process, with its own folder, ports chosen by the system, and a configuration that tests vary.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use hubgate::crypto::seal::SealingKey;
use hubgate::{
    app::{Running, Seams},
    base::{
        random::SystemRandom,
        time::{Clock, ManualClock, SystemClock},
    },
    config::{self, Config, Environment},
};
use sqlx::Connection as _;
use tempfile::TempDir;

use super::{
    answer::Answer,
    client::{Client, Request},
    forge, process,
    raw::RawClient,
    upstream::Upstream,
};

/// The token endpoint.
pub(crate) const TOKEN: &str = "/hub/api/rest/oauth2/token";
/// The JWKS endpoint.
pub(crate) const KEYS: &str = "/hub/api/rest/oauth2/keys";
/// The address that the configuration names, which no answer may take from a request.
pub(crate) const PUBLIC_URL: &str = "https://gateway.example:8443";

/// The configuration in the making.
pub(crate) struct Setup {
    sections: BTreeMap<String, BTreeMap<String, String>>,
    tables: String,
    clock: Arc<dyn Clock>,
    folder: TempDir,
}

impl Setup {
    fn new() -> Self {
        let mut setup = Self {
            sections: BTreeMap::new(),
            tables: String::new(),
            clock: Arc::new(SystemClock),
            folder: tempfile::tempdir().unwrap(),
        };
        setup
            .set("", "public_url", &format!("{PUBLIC_URL:?}"))
            .set("listen", "https", r#"["127.0.0.1:0"]"#)
            .set("listen", "management", r#""127.0.0.1:0""#)
            .set("listen", "workers", "1")
            .set("limits", "requests_per_source", r#""off""#)
            .set("limits", "rejections_per_source", r#""off""#)
            .set("log", "level", r#""error""#);
        setup.set("", "data_dir", r#""data""#);
        setup
    }

    /// Sets `key` of `[section]` (or on top, for an empty section) to this piece of TOML.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) -> &mut Self {
        self.sections.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Declares a trusted service with a secret. Its name is `"<id> by name"`.
    pub(crate) fn service(&mut self, id: &str, secret: &str) -> &mut Self {
        self.service_with(id, &format!("secret = {secret:?}"))
    }

    /// Declares a service with these further lines.
    pub(crate) fn service_with(&mut self, id: &str, lines: &str) -> &mut Self {
        self.named_service(id, &format!("{id} by name"), lines)
    }

    /// Adds tables as they are written in the file.
    pub(crate) fn tables(&mut self, text: &str) -> &mut Self {
        self.tables.push_str(text);
        self
    }

    /// Declares a service under this name, with these further lines.
    pub(crate) fn named_service(&mut self, id: &str, name: &str, lines: &str) -> &mut Self {
        write!(self.tables, "\n[[service]]\nid = {id:?}\nname = {name:?}\n{lines}\n").unwrap();
        self
    }

    /// Declares a user with these further lines.
    pub(crate) fn user(&mut self, login: &str, lines: &str) -> &mut Self {
        write!(self.tables, "\n[[user]]\nlogin = {login:?}\n{lines}\n").unwrap();
        self
    }

    /// Forwards `path` to an upstream, with these further lines.
    pub(crate) fn route(&mut self, service: &str, path: &str, to: &Upstream, lines: &str) -> &mut Self {
        self.route_to(service, path, &[to.origin()], lines)
    }

    /// Forwards `path` to these origins, with these further lines.
    pub(crate) fn route_to(&mut self, service: &str, path: &str, to: &[String], lines: &str) -> &mut Self {
        write!(self.tables, "\n[[upstream]]\nservice = {service:?}\npath = {path:?}\nto = {to:?}\n{lines}\n")
            .unwrap();
        self
    }

    /// Forwards `path` to an upstream, open to all, with these further lines. The service is `open`.
    pub(crate) fn open(&mut self, path: &str, to: &Upstream, lines: &str) -> &mut Self {
        self.open_to(path, &[to.origin()], lines)
    }

    /// The same, to these origins.
    pub(crate) fn open_to(&mut self, path: &str, to: &[String], lines: &str) -> &mut Self {
        let below = format!("{}/**", path.trim_end_matches('/'));
        let rule = format!("{lines}\n[[upstream.rule]]\npath = {below:?}\naccess = \"public\"");
        self.route_to("open", path, to, &rule)
    }

    /// A clock that the test moves, beginning at the real time.
    pub(crate) fn manual_clock(&mut self) -> Arc<ManualClock> {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        self.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        clock
    }

    /// The gateway's folder; `gateway.toml` will be in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The routes and services that most tests share: `/public` open to all, `/api` for `alpha`, `/admin` for `beta`;
    /// `machine` is a client.
    pub(crate) fn standard(&mut self, upstream: &Upstream) -> &mut Self {
        self.service("open", "open-secret-0123456789")
            .service("alpha", "alpha-secret-0123456789")
            .service("beta", "beta-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .open("/public", upstream, "")
            .route("alpha", "/api", upstream, "")
            .route("beta", "/admin", upstream, "")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            if !section.is_empty() {
                write!(text, "\n[{section}]\n").unwrap();
            }
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        text + &self.tables
    }

    /// Writes `gateway.toml` and hands the folder over.
    pub(crate) fn write(self) -> (PathBuf, TempDir) {
        let path = self.folder.path().join("gateway.toml");
        std::fs::write(&path, self.text()).unwrap();
        (path, self.folder)
    }
}

/// Reads a configuration as `serve` does, without an environment.
pub(crate) fn load(path: &Path) -> Result<Config, String> {
    config::load(path, &Environment::empty()).map_err(|problems| problems.to_string())
}

/// Where access and decision lines go.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A running gateway. Dropping it stops it.
pub(crate) struct Gateway {
    running: Option<Running>,
    address: SocketAddr,
    management: SocketAddr,
    path: PathBuf,
    folder: TempDir,
    lines: Lines,
    clock: Arc<dyn Clock>,
}

impl Gateway {
    /// Starts one.
    pub(crate) fn start(configure: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::new();
        configure(&mut setup);
        let clock = Arc::clone(&setup.clock);
        let (path, folder) = setup.write();
        Self::start_on(path, folder, clock)
    }

    /// Starts one on a folder that is there already.
    pub(crate) fn start_in(path: PathBuf, folder: TempDir) -> Self {
        // Management is needed here, and a port that another has just left may not be free.
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("https", _)) => r#"https = ["127.0.0.1:0"]"#,
            Some(("management", _)) => r#"management = "127.0.0.1:0""#,
            _ => line,
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        Self::start_on(path, folder, Arc::new(SystemClock))
    }

    fn start_on(path: PathBuf, folder: TempDir, clock: Arc<dyn Clock>) -> Self {
        let config = load(&path).unwrap_or_else(|problems| panic!("the test's configuration:\n{problems}"));
        let lines = Lines::default();
        let running = run(config, Arc::clone(&clock), lines.clone());
        let address = running.https()[0];
        let management = running.management().expect("a management listener");
        Self { running: Some(running), address, management, path, folder, lines, clock }
    }

    /// Stops it and starts it again on the same folder, with the same clock and other ports.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let config =
            load(&self.path).unwrap_or_else(|problems| panic!("the test's configuration:\n{problems}"));
        let running = run(config, Arc::clone(&self.clock), self.lines.clone());
        self.address = running.https()[0];
        self.management = running.management().expect("a management listener");
        self.running = Some(running);
    }

    /// Starts one with [`Setup::standard`] routes to a new upstream.
    pub(crate) fn standard() -> (Self, Upstream) {
        Self::limited(&[])
    }

    /// The same with these `[limits]`.
    pub(crate) fn limited(limits: &[(&str, &str)]) -> (Self, Upstream) {
        let upstream = Upstream::start();
        let gateway = Self::start(|setup| {
            setup.standard(&upstream);
            for (key, value) in limits {
                setup.set("limits", key, &format!("{value:?}"));
            }
        });
        (gateway, upstream)
    }

    /// A configuration that is written but not started, for commands.
    pub(crate) fn prepare(configure: impl FnOnce(&mut Setup)) -> (PathBuf, TempDir) {
        let mut setup = Setup::new();
        configure(&mut setup);
        setup.write()
    }

    /// Where it listens for clients.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `gateway.toml`.
    pub(crate) fn config_path(&self) -> &Path {
        &self.path
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An ordinary client.
    pub(crate) const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// One request over a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.client().send(request)
    }

    /// A connection for exact bytes.
    pub(crate) fn raw(&self) -> RawClient {
        RawClient::connect(self.address)
    }

    /// GET at the management listener.
    pub(crate) fn management(&self, path: &str) -> (u16, String) {
        process::plain_get(self.management, path)
    }

    /// Reads a configuration from this text and takes it over.
    pub(crate) fn reload(&self, text: &str) -> Result<(), String> {
        std::fs::write(&self.path, text).unwrap();
        let config = load(&self.path)?;
        self.running().reload(config).map(|_| ()).map_err(|e| e.to_string())
    }

    /// The access and decision lines so far.
    pub(crate) fn lines(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).expect("lines in UTF-8")
    }

    /// The text of `gateway.toml`.
    pub(crate) fn config_text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    /// Drains and stops.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    /// What the program has started.
    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// A token by client credentials.
    pub(crate) fn token(&self, client: &str, secret: &str, scope: &str) -> String {
        let request = Request::form(TOKEN, &format!("grant_type=client_credentials&scope={scope}"));
        let answer = self.send(&request.basic(client, secret));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("an access token").to_owned()
    }

    /// A token of `machine` for these services.
    pub(crate) fn machine_token(&self, scope: &str) -> String {
        self.token("machine", "machine-secret-0123456789", scope)
    }

    /// An innocent request on a connection of its own is forwarded and answered as it should be, and nothing else
    /// has reached the upstream in the meantime.
    pub(crate) fn assert_innocent(&self, upstream: &Upstream, after: &str) {
        let answer = self.send(&Request::get("/public/innocent?after=attack").header("X-Marker", "innocent"));
        assert_eq!(answer.status, 200, "the innocent request after {after}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["target"], "/public/innocent?after=attack", "after {after}");
        assert_eq!(body["headers"]["x-marker"], "innocent", "after {after}");
        // What was cut off may reach the record late; it is the whole requests that count.
        let whole = upstream.take().into_iter().filter(|request| request.complete);
        let seen: Vec<String> = whole.map(|request| request.line()).collect();
        assert_eq!(
            seen,
            ["GET /public/innocent?after=attack HTTP/1.1"],
            "what the upstream got after {after}"
        );
    }

    /// The key that signs access tokens, taken out of the store with the key file beside it, as only the gateway's owner
    /// can.
    pub(crate) fn signing_key(&self) -> forge::Key {
        self.key_of("ES256").1
    }

    /// The key that signs with this algorithm, with its `kid`.
    pub(crate) fn key_of(&self, algorithm: &str) -> (String, forge::Key) {
        let data = self.folder.path().join("data");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (kid, sealed): (String, Vec<u8>) = runtime.block_on(async {
            let url = format!("sqlite:{}?mode=ro", data.join("hubgate.db").display());
            let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_as(
                "SELECT id, sealed FROM signing_keys WHERE retired_until IS NULL AND algorithm = ?1",
            )
            .bind(algorithm)
            .fetch_one(&mut database)
            .await
            .unwrap()
        });
        // The database's own files are left alone: to close one of them in this process would take away the locks that it holds on
        // them (POSIX advisory locks), and the next command would take the database for one that nobody uses.
        let keys = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() == 32);
        let files = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).filter(keys);
        let mut opened = files.filter_map(|path| {
            let bytes: [u8; 32] = std::fs::read(path).ok()?.try_into().ok()?;
            SealingKey::new(&bytes).ok()?.open(&kid, &sealed).ok()
        });
        let key = forge::Key::from_pkcs8(algorithm, &opened.next().expect("a key file in the data folder"));
        (kid, key)
    }

    /// Runs a command of the program on this gateway's configuration, while it runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let path = self.path.display().to_string();
        let arguments = [arguments, &["--config", &path]].concat();
        let output = process::run(&arguments, self.folder());
        assert!(output.status.success(), "{arguments:?}: {}", process::written(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that prints a new secret, and returns that.
    pub(crate) fn secret_of(&self, arguments: &[&str]) -> String {
        let printed = self.command(&[arguments, &["--json"]].concat());
        let printed: serde_json::Value =
            serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
        printed["secret"].as_str().unwrap_or_else(|| panic!("no secret in {printed}")).to_owned()
    }

    /// Registers a trusted service by command and waits until the gateway knows it. Returns its id and secret.
    pub(crate) fn register(&self, id: &str) -> (String, String) {
        let secret = self.secret_of(&["service", "add", id, "--id", id]);
        let form = Request::form(TOKEN, "grant_type=client_credentials&scope=alpha").basic(id, &secret);
        eventually("the gateway knows the new service", || self.send(&form).status == 200);
        (id.to_owned(), secret)
    }
}

fn run(config: Config, clock: Arc<dyn Clock>, lines: Lines) -> Running {
    let seams = Seams { clock, random: Arc::new(SystemRandom), lines: Box::new(lines) };
    hubgate::app::start(config, seams).unwrap_or_else(|e| panic!("{e}"))
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long another node, or a running gateway, may take to obey: a second is promised, and a machine that has other work to
/// do gets more.
pub(crate) const OBEYED: Duration = Duration::from_secs(10);

/// Tries until it holds; fails after twenty seconds, so that a busy machine is no failure.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within twenty seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
}
