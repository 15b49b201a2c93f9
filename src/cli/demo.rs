//! `hubgate demo`: everything in one process and one throw-away folder.

use std::{
    io::{IsTerminal as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    output::{Failure, remark},
    serve,
};
use crate::{
    app::{self, Seams},
    base::{
        id::ServiceId,
        random::{Random, SystemRandom},
        secret::Secret,
    },
    config::{self, Environment},
    demo::{
        backend::Sample,
        story::{Facts, Style, story},
    },
    registry::users,
};

/// The service behind the gate.
const TRACKER: &str = "youtrack";
/// The machine client, whose defaults the examples know.
const ROBOT: &str = "demo-robot";
/// The application through which people come; the example of a web client has these defaults too.
const APP: &str = "demo-app";
const APP_ADDRESS: &str = "http://127.0.0.1:5050/callback";
/// The sample person.
const PERSON: &str = "jane";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The gateway's port; another one when it is taken.
    #[arg(long, default_value_t = 8443)]
    port: u16,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let random: &dyn Random = &SystemRandom;
    let folder = Folder::new(random)?;
    let [robot, app, verifier] = std::array::from_fn(|_| Secret::random(random));
    let [password, admin] = std::array::from_fn(|_| users::generate_password(random));
    let backend = TcpListener::bind(free(8080))?;
    let ports = Ports { gateway: free(args.port), management: free(9090), backend: backend.local_addr()? };
    let file = folder.0.join("gateway.toml");
    let text = configuration(
        &ports,
        &folder.0,
        &Secrets { robot: &robot, app: &app, password: &password, admin: &admin },
    );
    crate::base::file::write_private(&file, text.as_bytes())?;
    let config = config::parse(&text, &file, &Environment::empty())
        .map_err(|problems| Failure::Problems(problems.render(false)))?;
    serve::start_log(&config)?;
    let certificate = app::certificate_files(&config).certificate;
    let gateway_url = config.public_url.origin().to_owned();
    let running = app::start(config, Seams { lines: Box::new(std::io::stderr()), ..Seams::system() })?;
    let facts = Facts {
        gateway_url,
        hub_path: "/hub".to_owned(),
        upstream_path: format!("/{TRACKER}"),
        upstream: ServiceId::parse(TRACKER)?,
        other: ServiceId::hub(),
        robot: ServiceId::parse(ROBOT)?,
        robot_secret: robot,
        app: ServiceId::parse(APP)?,
        app_secret: app,
        app_address: APP_ADDRESS.to_owned(),
        login: PERSON.to_owned(),
        password,
        admin_password: admin,
        verifier: verifier.expose().to_owned(),
        backend: ports.backend,
        management: running.management().unwrap_or(ports.management),
        certificate,
        folder: folder.0.clone(),
    };
    print(&story(&facts, style()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        backend.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(backend)?;
        let sample = Sample::below(&format!("/{TRACKER}"))?.hub("/hub", TRACKER);
        sample.serve(listener, told_to_stop()).await
    })?;
    remark("\nStopping.");
    running.stop();
    Ok(())
}

struct Ports {
    gateway: SocketAddr,
    management: SocketAddr,
    backend: SocketAddr,
}

/// `wanted` on the loopback interface, or any free port when that is taken.
fn free(wanted: u16) -> SocketAddr {
    let on = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    on(wanted).or_else(|_| on(0)).unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], wanted)))
}

/// What is made anew for each demonstration.
struct Secrets<'a> {
    robot: &'a Secret,
    app: &'a Secret,
    password: &'a Secret,
    admin: &'a Secret,
}

/// The application asks nobody for consent, so that the lines of curl need no page; the client in the browser does.
fn configuration(ports: &Ports, folder: &Path, secrets: &Secrets<'_>) -> String {
    let Ports { gateway, management, backend } = ports;
    let quoted = |text: &str| format!("{text:?}");
    format!(
        r#"public_url = "https://localhost:{port}"
data_dir = {data}
admin_password = {admin}

[listen]
https = ["{gateway}"]
management = "{management}"

[log]
level = "warn"

# Longer than usual: whoever pastes lines also reads.
[oauth]
code_ttl = "10m"

[[service]]
id = "{TRACKER}"
name = "YouTrack"
home_url = "https://localhost:{port}/{TRACKER}"

[[service]]
id = "{ROBOT}"
name = "Demo robot"
secret = {robot}

[[service]]
id = "{APP}"
name = "Demo application"
secret = {app}
consent_required = false
redirect_uris = ["http://127.0.0.1/", "http://127.0.0.1/callback"]

[[service]]
id = "demo-page"
name = "Demo page"
public = true
flows = ["implicit"]
redirect_uris = ["https://localhost:{port}/{TRACKER}/client"]

[[user]]
login = "{PERSON}"
name = "Jane Doe"
email = "jane@example.org"
password = {password}
groups = ["developers"]

[[upstream]]
service = "{TRACKER}"
path = "/{TRACKER}"
to = ["http://{backend}"]

  [[upstream.rule]]
  path = "/{TRACKER}"
  access = "public"

  [[upstream.rule]]
  path = "/{TRACKER}/client"
  access = "public"
"#,
        port = gateway.port(),
        data = quoted(&folder.join("data").display().to_string()),
        robot = quoted(secrets.robot.expose()),
        app = quoted(secrets.app.expose()),
        password = quoted(secrets.password.expose()),
        admin = quoted(secrets.admin.expose()),
    )
}

fn style() -> Style {
    let terminal = std::io::stdout().is_terminal();
    let width = terminal_width().unwrap_or(80);
    Style { colour: terminal, width }
}

/// Columns, as the shell tells.
#[expect(clippy::disallowed_methods, reason = "COLUMNS is the terminal's, not a setting of ours")]
fn terminal_width() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

fn print(text: &str) {
    // Nobody who reads: the demo goes on all the same.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    let _ = std::io::stdout().lock().flush();
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// A folder that goes away with the demo.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(random: &dyn Random) -> Result<Self, Failure> {
        let name = format!("hubgate-demo-{:08x}", u32::from_ne_bytes(random.bytes()));
        let path = std::env::temp_dir().join(name);
        crate::base::file::private_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
