//! The composition root: the only place that knows every concrete type and reads the configuration.
//!
//! Invariant: [`start`] either returns a gateway that serves, or an error and nothing running; what it could not read
//! or open is named in the error, and no route is open in between.

mod background;
pub mod backup;
mod changes;
mod data;
mod difference;
mod explain;
mod facts;
mod gauges;
mod hashing;
mod letters;
mod people;
mod plain;
mod plane;
mod restart;
mod running;
mod secured;
mod shared;
mod sockets;
mod telemetry;
mod upstreams;

use std::{
    io::Write,
    sync::{Arc, atomic::AtomicUsize},
};

use tokio::sync::{Semaphore, watch};

use self::{
    background::{Background, Numbers},
    facts::Told,
    people::People,
    plain::Guests,
    plane::{WorkerLimits, work},
    shared::Shared,
    sockets::Sockets,
    telemetry::Telemetry,
};
pub use self::{
    data::{DataError, certificate_files, sealing_key},
    difference::{Registered, differences, registered, services},
    explain::{Known, explain, owns, routes, splits},
    running::Running,
    shared::ReloadError,
    sockets::Handed,
};
pub use crate::server::{
    handover::{Before, Offer, Taken},
    supervisor::{self, Supervisor},
    tls::CertificateError,
};
use crate::{
    base::{
        random::{Random, SystemRandom},
        time::{Clock, SystemClock, Timestamp},
    },
    config::{Config, LogFormat, StoreUrl},
    crypto::keyring::KeyringError,
    identity::login::Hasher,
    mail::Mailer,
    model::{event::Author, key::Algorithm},
    observe::{history::History, journal::Journal, line::Format, metrics::Totals, sink::Sink},
    proxy::{gate::OwnEndpoints, worker::WorkerParts},
    registry::{
        keys::{Coming, KeyError},
        services::ServiceError,
        users::PeopleError,
    },
    server::{
        admission::Admission,
        tls::{self, Certificate},
        worker::{Setup, Stage, TICK},
    },
    store::{SharedStore, StoreError, sqlite::SqliteStore},
    web::{
        Control, ControlPlane, LISTINGS, RESTORING,
        management::{self, Management},
        news::News,
        redirect,
    },
};

/// Threads of the control plane.
const CONTROL_THREADS: usize = 2;

/// What a gateway takes from the world besides its configuration.
pub struct Seams {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where access and decision lines go.
    pub lines: Box<dyn Write + Send>,
}

impl Seams {
    /// The system's clock and generator, lines to standard output.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            lines: Box::new(std::io::stdout()),
        }
    }
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket, a thread.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The data folder.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store.
    #[error("{path}: {error}")]
    Store {
        /// The database.
        path: String,
        /// Why.
        error: StoreError,
    },
    /// A declared service.
    #[error("a declared service cannot be kept: {0}")]
    Service(#[from] ServiceError),
    /// A declared user, the guest or the first administrator.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The signing keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The keys in the store do not open.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The mail server.
    #[error(transparent)]
    Mail(#[from] crate::mail::MailError),
    /// TLS settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Opens the store of a configuration.
///
/// # Errors
/// [`StartError::Store`] naming the database.
pub async fn open_store(config: &Config) -> Result<SharedStore, StartError> {
    let StoreUrl::Sqlite(path) = &config.store;
    match SqliteStore::open(path).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(StartError::Store { path: path.display().to_string(), error }),
    }
}

/// Opens the store of a configuration for reading alone; `None` when there is none yet.
///
/// # Errors
/// [`StartError::Store`] naming the database, also when its schema is not this version's.
pub async fn open_store_to_read(config: &Config) -> Result<Option<SharedStore>, StartError> {
    let StoreUrl::Sqlite(path) = &config.store;
    match SqliteStore::open_to_read(path).await {
        Ok(store) => Ok(store.map(|store| Arc::new(store) as SharedStore)),
        Err(error) => Err(StartError::Store { path: path.display().to_string(), error }),
    }
}

/// Reads the certificates and authorities that a start would read, and refuses one that is not valid any more at `now`.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub fn certificates(config: &Config, now: Timestamp) -> Result<(), CertificateError> {
    if matches!(config.tls, crate::config::Tls::Files { .. }) {
        tls::load_valid(&certificate_files(config), now)?;
    }
    secured::secured(config, &[]).map(drop)
}

/// On a first start the key that takes longest is made while everything else is made ready.
fn first_keys(config: &Config) -> Vec<Coming> {
    let StoreUrl::Sqlite(path) = &config.store;
    if path.exists() { Vec::new() } else { vec![Coming::begin(Algorithm::Rs256)] }
}

/// Starts a gateway. Returns when its sockets are open and it is ready.
///
/// # Errors
/// [`StartError`]
pub fn start(config: Config, seams: Seams) -> Result<Running, StartError> {
    start_on(config, seams, Handed::Nothing)
}

/// The same on sockets of which some are open already.
///
/// # Errors
/// [`StartError`]
pub fn start_on(config: Config, seams: Seams, handed: Handed) -> Result<Running, StartError> {
    let Seams { clock, random, lines } = seams;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let coming = {
        let _inside = control.enter();
        first_keys(&config)
    };
    // Sockets first: a port that is taken must not leave a half-made store behind.
    let workers =
        config.listen.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
    let sockets_stay = handed.outlive_us();
    let sockets = Sockets::open(&config, workers, handed)?;
    let listeners = sockets.again()?;
    data::prepare(&config.data_dir)?;
    let files = certificate_files(&config);
    if matches!(config.tls, crate::config::Tls::SelfSigned) {
        tls::self_signed(&files, config.public_url.host())?;
    }
    let certificate = Certificate::open(files)?;
    // Somebody may want to reach it all the same; a certificate that replaces a good one has to be good.
    if let Some(ends) = certificate.ends().filter(|ends| *ends < clock.now()) {
        let (file, ends) = (certificate.files().certificate.display(), ends.rfc3339());
        tracing::warn!(%file, %ends, "the certificate is not valid any more: clients refuse it");
    }
    let tls = tls::server_config(Arc::clone(&certificate))?;
    let sealing = sealing_key(&config.data_dir, random.as_ref())?;
    let store = control.block_on(open_store(&config))?;
    let totals = Arc::new(Totals::default());
    let admission = Admission::new(config.limits.max_connections, config.limits.max_connections_per_source);
    let drain_timeout = config.limits.drain_timeout;
    let handler_limits = WorkerLimits::new(&config, workers);
    let (mailer, delivery) = Mailer::new(Arc::clone(&totals));
    mailer.take_up(letters::prepare(&config)?);
    let telemetry = Telemetry::start(&config, &totals, random.as_ref(), &control)?;
    let people = People::new(&config, &store, (&clock, &random), Arc::clone(&totals))?;
    let first_password = control.block_on(async {
        let plan = people::plan(&config, &store, clock.as_ref(), &random).await?;
        let as_declared = store.acting(Author::configuration());
        plan.carry_out(as_declared.as_ref(), clock.as_ref(), random.as_ref()).await?;
        people::ensure(&config, &store, clock.as_ref(), &random).await
    })?;
    let shared = control.block_on(Shared::build(
        config,
        store,
        (people, Arc::clone(&mailer)),
        (sealing, coming),
        (clock, random),
    ))?;
    let sink = Sink::start(lines)?;
    let (stage, told) = watch::channel(Stage::Serve);
    let history = Arc::<History>::default();
    let control_parts = Control {
        clock: Arc::clone(&shared.gate.clock),
        random: Arc::clone(&shared.gate.random),
        totals: Arc::clone(&totals),
        store: Arc::clone(&shared.store),
        gate: Arc::clone(&shared.gate),
        news: Arc::clone(&shared) as Arc<dyn News>,
        logins: Arc::clone(&shared.people.logins),
        sessions: Arc::clone(&shared.people.sessions),
        sign_ins: Arc::clone(&shared.people.sign_ins),
        mailer,
        askings: Arc::default(),
        restoring: Arc::new(Semaphore::new(RESTORING)),
        listings: Arc::new(Semaphore::new(LISTINGS)),
        hasher: Arc::clone(&shared.people.pool) as Arc<dyn Hasher>,
        history: Arc::clone(&history),
        facts: Arc::new(Told {
            shared: Arc::clone(&shared),
            certificate: Arc::clone(&certificate),
            started: shared.gate.clock.now(),
        }),
        sealing: shared.sealing.clone(),
        memory: Arc::default(),
    };
    let own: Arc<dyn OwnEndpoints> = Arc::new(ControlPlane::new(control.handle().clone(), control_parts));
    let mut threads = Vec::with_capacity(workers);
    let loads: Arc<[Arc<AtomicUsize>]> = (0..workers).map(|_| Arc::default()).collect();
    for (number, listeners) in sockets.https.into_iter().enumerate() {
        let setup = Setup {
            listeners,
            tls: Arc::clone(&tls),
            limits: handler_limits.protocol.clone(),
            deadlines: handler_limits.deadlines,
            admission: Arc::clone(&admission),
            stage: told.clone(),
        };
        let gate = Arc::clone(&shared.gate);
        let own = Arc::clone(&own);
        let (format, body_timeout) = (shared.line_format(), handler_limits.body_timeout);
        let journal_of = {
            let (sink, totals) = (sink.clone(), Arc::clone(&totals));
            move || Journal::new(format, sink, totals)
        };
        let spans = telemetry.spans();
        let (max_requests, load) =
            (handler_limits.max_requests, loads.get(number).map(Arc::clone).unwrap_or_default());
        let build = move || WorkerParts {
            gate,
            own,
            journal: journal_of(),
            body_timeout,
            max_requests,
            load,
            spans: spans(),
        };
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || work(build, setup))?);
    }
    let (watched, admitting) = (Arc::clone(&shared.gate), Arc::clone(&admission));
    totals.also(move || {
        let mut families = upstreams::families(&watched.snapshot().upstreams());
        families.extend(gauges::lost_connections(&admitting));
        families
    });
    let gauges = Arc::new(gauges::gauges(&shared.gate, (&admission, &loads), &sink, &shared.people.pool));
    let numbers = Numbers { totals: Arc::clone(&totals), admission: Arc::clone(&admission), history };
    let background = Background {
        shared: Arc::clone(&shared),
        certificate: Arc::clone(&certificate),
        stage: told,
        numbers,
    };
    let ready = background.readiness();
    let mut plain = Vec::new();
    let management = match sockets.management {
        None => None,
        Some(socket) => {
            let address = socket.local_addr()?;
            let router = management::router(Management { totals, gauges, tick: TICK, ready });
            plain.push(control.spawn(plain::serve(socket, router, None)).abort_handle());
            Some(address)
        }
    };
    let mut http = Vec::new();
    for socket in sockets.http {
        http.push(socket.local_addr()?);
        let guests = Guests::new(&shared.config(), &admission, &shared.gate);
        let serving = plain::serve(socket, redirect::router(shared.public_url()), Some(guests));
        plain.push(control.spawn(serving).abort_handle());
    }
    background.start(control.handle());
    control.spawn(delivery.run());
    Ok(Running {
        https: sockets.addresses,
        http,
        management,
        certificate,
        shared,
        first_password,
        stage,
        workers: threads,
        control: Some(control),
        sink,
        telemetry,
        listeners,
        plain,
        sockets_stay,
        drain_timeout,
    })
}

/// The form of lines, `None` when none are written.
fn line_format(log: &crate::config::Log) -> Option<Format> {
    log.access.then(|| form_of_lines(log))
}

const fn form_of_lines(log: &crate::config::Log) -> Format {
    match log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    }
}
