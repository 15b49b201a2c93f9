//! `hubgate serve`: run until told to stop.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, SystemTime},
};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    files, load_with,
    output::{self, Failure},
};
use crate::{
    app::{self, Before, Handed, Offer, Running, Seams, Supervisor, Taken},
    base::secret::Secret,
    config::{self, Config, Environment, LogFormat, Problem, Problems},
    observe::{line::Format, log},
    registry::first::FIRST_LOGIN,
};

/// How often the configuration file, and what it names, is looked at.
const LOOK_AT_FILES: Duration = Duration::from_millis(250);

/// Where the gateway offers its listening sockets to the next process, in `data_dir`.
const HANDOVER: &str = "handover.sock";

#[derive(Debug, Default, Args)]
pub(super) struct ServeArgs {
    /// Take the listening sockets over from the gateway that runs with the same data_dir, and have it stop as soon as this one
    /// serves: no connection is refused. Without one that runs this is an ordinary start.
    #[arg(long)]
    take_over: bool,
}

pub(super) fn serve(file: &Path, args: &ServeArgs) -> Result<(), Failure> {
    let environment = Environment::of_process();
    // While there is one thread.
    let text = |name| environment.get(name).and_then(OsStr::to_str);
    let given = app::supervisor::given(text("LISTEN_PID"), text("LISTEN_FDS"), text("LISTEN_FDNAMES"))?;
    let supervisor = Supervisor::new(environment.get("NOTIFY_SOCKET"));
    let config = load_with(file, &environment)?;
    start_log(&config)?;
    warn_of(&config.warnings);
    files::allow(config.limits.max_connections);
    let seen = Looked::at(file, &config, &[]);
    let hub = config.public_url.join(&config.hub.path);
    // Signals first: one that comes right after the start must not kill what has begun to serve.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    let format = config.log.format;
    let door = config.data_dir.join(HANDOVER);
    let mut before = if args.take_over && given.is_empty() { running_one(&door)? } else { None };
    let handed = match &mut before {
        Some(before) => Handed::ByPredecessor(std::mem::take(&mut before.listeners)),
        None if given.is_empty() => Handed::Nothing,
        None => Handed::BySupervisor(given),
    };
    // A supervisor starts the next one while the one before serves on the same sockets.
    let in_place_of = if matches!(handed, Handed::Nothing) { Before::Nobody } else { Before::Predecessor };
    let mut running = app::start_on(config, Seams::system(), handed)?;
    if let Some(password) = running.first_password() {
        output::remark(&first_password(&password, format));
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
    let mut offer = Offer::of(&door, running.listeners());
    if let Err(error) = offer.make(in_place_of) {
        tracing::warn!(%error, path = %door.display(), "the sockets cannot be offered to a next process");
    }
    if let Some(before) = before {
        match before.serving() {
            Ok(()) => tracing::info!("taken over from the process before, which stops now"),
            Err(error) => tracing::error!(%error, "the process before cannot be told to stop"),
        }
    }
    supervisor.ready();
    tracing::info!(%hub, "ready");
    let ending = runtime.block_on(until_told(seen, &running, signals, (&supervisor, &mut offer)));
    // The signals' runtime lives on, so that a second signal does not kill us while we drain.
    supervisor.stopping();
    if let Ending::Succeeded = ending {
        tracing::info!("another process has taken over");
        running.succeeded();
    }
    offer.withdraw();
    tracing::info!("stopping: finishing what is in flight");
    let in_time = running.stop();
    if !in_time {
        tracing::warn!("the drain timeout has passed; what was left has been closed");
    }
    tracing::info!("stopped");
    drop(runtime);
    Ok(())
}

/// The gateway that offers its sockets at this path, if there is one.
fn running_one(door: &Path) -> Result<Option<Taken>, Failure> {
    Taken::from(door)
        .map_err(|error| Failure::Plain(format!("nothing can be taken over at {}: {error}", door.display())))
}

/// What the one who starts a new gateway has to know. It goes to standard error beside the log, and where that is read by a
/// machine it is in the form that the machine expects.
pub(super) fn first_password(password: &Secret, format: LogFormat) -> String {
    if format == LogFormat::Json {
        let fields = [("kind", "first_password"), ("login", FIRST_LOGIN), ("password", password.expose())];
        return serde_json::Value::from_iter(fields).to_string();
    }
    format!(
        "\nThere was nobody who may administer this gateway. Now there is:\n\n    login     {}\n    password  {}\n\n\
         The password is good for one sign-in and is not shown again; `hubgate user password` sets another.\n",
        FIRST_LOGIN,
        password.expose()
    )
}

/// Sends the gateway's own log where the configuration says.
pub(super) fn start_log(config: &Config) -> std::io::Result<()> {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    log::start(format, config.log.level)
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

/// Why a gateway stops.
enum Ending {
    /// It was told to.
    Told,
    /// Another process serves on its sockets.
    Succeeded,
}

/// Reloads on SIGHUP and when a file changes, until SIGTERM or SIGINT, or until another process has taken over.
async fn until_told(
    mut seen: Looked,
    running: &Running,
    signals: Signals,
    (supervisor, offer): (&Supervisor, &mut Offer),
) -> Ending {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
    let mut look = tokio::time::interval(LOOK_AT_FILES);
    let mut taken = pin!(offer.taken());
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ending::Told,
            _ = interrupt.recv() => return Ending::Told,
            () = &mut taken => return Ending::Succeeded,
            _ = hangup.recv() => {
                seen = reload(seen.again(), running, supervisor);
            }
            _ = look.tick() => {
                let now = seen.again();
                if now != seen {
                    seen = reload(now, running, supervisor);
                }
            }
        }
    }
}

/// What a file says that its author may not have meant.
fn warn_of(warnings: &Problems) {
    for warning in warnings {
        let Problem { line, column, variable, message, help, .. } = warning;
        tracing::warn!(line, column, variable, help, "{message}");
    }
}

/// When files were changed last: first the configuration file, then those for TLS with upstreams that it names.
#[derive(Clone, PartialEq, Eq)]
struct Looked(Vec<(PathBuf, Option<SystemTime>)>);

impl Looked {
    /// At the files of a configuration, but for those that were looked at `before`.
    fn at(file: &Path, config: &Config, before: &[(PathBuf, Option<SystemTime>)]) -> Self {
        let mut paths = vec![file];
        for files in config.upstreams.iter().map(|upstream| &upstream.tls) {
            let client = files.client.iter().flat_map(|(certificate, key)| [certificate, key]);
            paths.extend(files.ca.iter().chain(client).map(PathBuf::as_path));
        }
        if let Some(named) = paths.get_mut(1..) {
            named.sort_unstable();
        }
        paths.dedup();
        let look = |path: &Path| match before.iter().find(|(known, _)| known == path) {
            Some(known) => known.clone(),
            None => (path.to_owned(), modified(path)),
        };
        Self(paths.into_iter().map(look).collect())
    }

    /// At the same ones.
    fn again(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), modified(path))).collect())
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// Takes the file up again; one that is wrong changes nothing. `seen` was seen just before. Returns what is to be looked at from now on.
fn reload(seen: Looked, running: &Running, supervisor: &Supervisor) -> Looked {
    supervisor.reloading();
    let seen = read_again(seen, running);
    supervisor.ready();
    seen
}

fn read_again(seen: Looked, running: &Running) -> Looked {
    let Some((file, _)) = seen.0.first() else { return seen };
    let config = match config::load(file, &Environment::of_process()) {
        Ok(config) => config,
        Err(problems) => {
            log::not_taken_up(|colours| problems.render(colours && output::colour()));
            return seen;
        }
    };
    // Before they are read: what changes meanwhile is seen at the next look.
    let seen = Looked::at(file, &config, &seen.0);
    let warnings = config.warnings.clone();
    // The gateway's own runtime does the work; a runtime cannot be entered from within another.
    let outcome = std::thread::scope(|scope| scope.spawn(|| running.reload(config)).join());
    match outcome {
        Ok(Ok(left)) => {
            tracing::info!("configuration taken up");
            warn_of(&warnings);
            if !left.is_empty() {
                tracing::warn!("these changes need a restart: {}", left.join(", "));
            }
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the changed configuration is not taken up, the one before stays in force");
        }
        Err(_) => tracing::error!("the reload failed; the configuration before stays in force"),
    }
    seen
}
