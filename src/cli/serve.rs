//! `hubgate serve`: run until told to stop.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    load,
    output::{self, Failure},
};
use crate::{
    app::{self, Running, Seams},
    base::secret::Secret,
    config::{Config, LogFormat},
    observe::{line::Format, log},
    registry::first::FIRST_LOGIN,
};

/// How often the configuration file is looked at.
const LOOK_AT_FILE: Duration = Duration::from_secs(1);

pub(super) fn serve(file: &Path) -> Result<(), Failure> {
    let config = load(file)?;
    start_log(&config);
    for warning in &config.warnings {
        tracing::warn!("{}", warning.message);
    }
    let seen = modified(file);
    let hub = config.public_url.join(&config.hub.path);
    // Signals first: one that comes right after the start must not kill what has begun to serve.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    let mut running = app::start(config, Seams::system())?;
    if let Some(password) = running.first_password() {
        output::remark(&first_password(&password));
    }
    for address in running.https() {
        tracing::info!(%address, "serving https");
    }
    for address in running.http() {
        tracing::info!(%address, "redirecting http to https");
    }
    if let Some(address) = running.management() {
        tracing::info!(%address, "management: /healthz /readyz /metrics");
    }
    tracing::info!(%hub, "ready");
    runtime.block_on(until_told(file, seen, &running, signals));
    // The signals' runtime lives on, so that a second signal does not kill us while we drain.
    tracing::info!("stopping: finishing what is in flight");
    let in_time = running.stop();
    if !in_time {
        tracing::warn!("the drain timeout has passed; what was left has been closed");
    }
    tracing::info!("stopped");
    drop(runtime);
    Ok(())
}

/// What the one who starts a new gateway has to know. Not a line of the log, which others read and keep.
pub(super) fn first_password(password: &Secret) -> String {
    format!(
        "\nThere was nobody who may administer this gateway. Now there is:\n\n    login     {}\n    password  {}\n\n\
         The password is good for one sign-in and is not shown again; `hubgate user password` sets another.\n",
        FIRST_LOGIN,
        password.expose()
    )
}

/// Sends the gateway's own log where the configuration says.
pub(super) fn start_log(config: &Config) {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    log::start(format, config.log.level);
}

/// What the process may be told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From here on none of them ends the process by itself. Within a runtime only.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Reloads on SIGHUP and when the file changes, until SIGTERM or SIGINT.
async fn until_told(file: &Path, mut seen: Option<SystemTime>, running: &Running, signals: Signals) {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
    let mut look = tokio::time::interval(LOOK_AT_FILE);
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => {
                seen = modified(file);
                reload(file, running);
            }
            _ = look.tick() => {
                let now = modified(file);
                if now != seen {
                    seen = now;
                    reload(file, running);
                }
            }
        }
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// Takes the file up again; one that is wrong changes nothing.
fn reload(file: &Path, running: &Running) {
    let config = match load(file) {
        Ok(config) => config,
        Err(problems) => {
            tracing::error!("the changed configuration is not taken up, the one before stays in force");
            output::complain(&problems);
            return;
        }
    };
    // The gateway's own runtime does the work; a runtime cannot be entered from within another.
    let outcome = std::thread::scope(|scope| scope.spawn(|| running.reload(config)).join());
    match outcome {
        Ok(Ok(left)) => {
            tracing::info!("configuration taken up");
            if !left.is_empty() {
                tracing::warn!("these changes need a restart: {}", left.join(", "));
            }
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the changed configuration is not taken up, the one before stays in force");
        }
        Err(_) => tracing::error!("the reload failed; the configuration before stays in force"),
    }
}
