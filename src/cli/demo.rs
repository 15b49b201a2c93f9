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
};

/// The service behind the gate.
const TRACKER: &str = "youtrack";
/// The machine client, whose defaults the examples know.
const ROBOT: &str = "demo-robot";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The gateway's port; another one when it is taken.
    #[arg(long, default_value_t = 8443)]
    port: u16,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let random: &dyn Random = &SystemRandom;
    let folder = Folder::new(random)?;
    let secret = Secret::random(random);
    let backend = TcpListener::bind(free(8080))?;
    let ports = Ports { gateway: free(args.port), management: free(9090), backend: backend.local_addr()? };
    let file = folder.0.join("gateway.toml");
    let text = configuration(&ports, &folder.0, &secret);
    crate::base::file::write_private(&file, text.as_bytes())?;
    let config = config::parse(&text, &file, &Environment::empty())
        .map_err(|problems| Failure::Problems(problems.render(false)))?;
    serve::start_log(&config);
    let certificate = app::certificate_files(&config).certificate;
    let gateway_url = config.public_url.origin().to_owned();
    let mut running = app::start(config, Seams { lines: Box::new(std::io::stderr()), ..Seams::system() })?;
    let first_password = running.first_password();
    let facts = Facts {
        page_url: format!("{gateway_url}/{TRACKER}"),
        gateway_url,
        hub_path: "/hub".to_owned(),
        upstream_path: format!("/{TRACKER}"),
        upstream: ServiceId::parse(TRACKER)?,
        other: ServiceId::hub(),
        client: ServiceId::parse(ROBOT)?,
        client_secret: secret,
        backend: ports.backend,
        management: running.management().unwrap_or(ports.management),
        certificate,
        folder: folder.0.clone(),
    };
    print(&story(&facts, style()));
    if let Some(password) = first_password {
        remark(&serve::first_password(&password));
    }
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

fn configuration(ports: &Ports, folder: &Path, secret: &Secret) -> String {
    let Ports { gateway, management, backend } = ports;
    let quoted = |text: &str| format!("{text:?}");
    format!(
        r#"public_url = "https://localhost:{port}"
data_dir = {data}

[listen]
https = ["{gateway}"]
management = "{management}"

[log]
level = "warn"

[[service]]
id = "{TRACKER}"
name = "YouTrack"
home_url = "https://localhost:{port}/{TRACKER}"

[[service]]
id = "{ROBOT}"
name = "Demo robot"
secret = {secret}

[[upstream]]
service = "{TRACKER}"
path = "/{TRACKER}"
to = ["http://{backend}"]

  [[upstream.rule]]
  path = "/{TRACKER}"
  access = "public"
"#,
        port = gateway.port(),
        data = quoted(&folder.join("data").display().to_string()),
        secret = quoted(secret.expose()),
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
