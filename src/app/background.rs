//! What the control plane does without being asked: notice changes, watch the certificate, rotate keys, forget what has
//! expired.
//!
//! Invariant: a failure is said once, until it is over; what was in use before stays in use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::watch, time::MissedTickBehavior};

use super::shared::Shared;
use crate::{
    base::time::Timestamp,
    observe::{
        history::{self, History, Sums},
        metrics::Totals,
    },
    proxy::upstream::check,
    server::{admission::Admission, tls::Certificate, worker::Stage},
    web::management::Readiness,
};

/// How often the store is asked whether another process has changed something.
const LOOK_AT_STORE: Duration = Duration::from_millis(250);

/// How often it is looked whether the store is where it was.
const LOOK_FOR_STORE: Duration = Duration::from_secs(1);

/// How often the certificate's files are looked at.
const LOOK_AT_CERTIFICATE: Duration = Duration::from_millis(250);

/// How often what has expired is forgotten and the age of the signing key is looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How often it is written which permanent tokens and application passwords were used.
const NOTE_USES: Duration = Duration::from_secs(10);

/// How often sign-ins that are recorded without a change are written down.
const WRITE_SIGN_INS: Duration = Duration::from_secs(1);

/// How often memory that nobody needs any more is given back.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// How long the store may take to answer the readiness check.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Background {
    pub(super) shared: Arc<Shared>,
    pub(super) certificate: Arc<Certificate>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) numbers: Numbers,
}

/// What is sampled for plots, and where it goes.
pub(super) struct Numbers {
    pub(super) totals: Arc<Totals>,
    pub(super) admission: Arc<Admission>,
    pub(super) history: Arc<History>,
}

impl Numbers {
    fn sample(&self, now: Timestamp) {
        let open = u64::try_from(self.admission.open()).unwrap_or(u64::MAX);
        self.history.record(now, Sums::of(&self.totals), open);
    }
}

impl Background {
    /// What `/readyz` asks.
    pub(super) fn readiness(&self) -> Arc<dyn Readiness> {
        Arc::new(Ready { shared: Arc::clone(&self.shared), stage: self.stage.clone() })
    }

    /// Begins. Ends with the runtime.
    pub(super) fn start(self, runtime: &Handle) {
        let Self { shared, certificate, numbers, .. } = self;
        runtime.spawn(upstreams(Arc::clone(&shared)));
        let clock = Arc::clone(&shared.gate.clock);
        runtime.spawn(repeat(history::STEP, "numbers cannot be sampled", move || {
            numbers.sample(clock.now());
            std::future::ready(Ok(()))
        }));
        runtime.spawn(repeat(GIVE_BACK, "memory cannot be given back", || {
            give_back();
            std::future::ready(Ok(()))
        }));
        let store = Arc::clone(&shared);
        runtime.spawn(repeat(LOOK_AT_STORE, "changes in the store cannot be taken up", move || {
            let shared = Arc::clone(&store);
            async move { shared.refresh().await.map_err(|error| error.to_string()) }
        }));
        let kept = Arc::clone(&shared);
        runtime.spawn(repeat(LOOK_FOR_STORE, "the store is not where it was", move || {
            let shared = Arc::clone(&kept);
            async move { shared.store.in_place().await.map_err(|error| error.to_string()) }
        }));
        let used = Arc::clone(&shared);
        runtime.spawn(repeat(NOTE_USES, "uses of tokens cannot be noted", move || {
            let shared = Arc::clone(&used);
            async move { shared.note_uses().await.map_err(|error| error.to_string()) }
        }));
        let clock = Arc::clone(&shared.gate.clock);
        runtime.spawn(repeat(LOOK_AT_CERTIFICATE, "the new certificate cannot be used", move || {
            let (certificate, now) = (Arc::clone(&certificate), clock.now());
            async move {
                match certificate.refresh(now) {
                    Ok(true) => tracing::info!(file = %certificate.files().certificate.display(), "new certificate in use"),
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "the new certificate cannot be used; the one before stays in use"),
                }
                Ok(())
            }
        }));
        let sign_ins = Arc::clone(&shared.people.sign_ins);
        runtime.spawn(repeat(WRITE_SIGN_INS, "sign-ins cannot be recorded", move || {
            let sign_ins = Arc::clone(&sign_ins);
            async move { sign_ins.write().await.map_err(|error| error.to_string()) }
        }));
        runtime.spawn(repeat(HOUSEKEEPING, "housekeeping failed", move || {
            let shared = Arc::clone(&shared);
            async move {
                // One that fails must not keep the other from being done.
                let rotated = shared.rotate_if_due().await.map_err(|error| error.to_string());
                let purged = shared.purge().await.map_err(|error| error.to_string());
                let noted = shared.note_service_uses().await.map_err(|error| error.to_string());
                rotated.and(purged).and(noted)
            }
        }));
    }
}

/// Asks the targets of upstreams whether they work, and looks their names up.
async fn upstreams(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(check::LOOK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for job in check::due(&shared.gate.snapshot().routes, Instant::now()) {
            tokio::spawn(job.run());
        }
    }
}

/// The allocator looks for what has been free for a while whenever it frees a page, and a process that has become quiet frees
/// none: this is one, of its own size class and never touched.
fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 << 20)));
}

async fn repeat<F, R>(period: Duration, trouble: &'static str, step: F)
where
    F: Fn() -> R,
    R: Future<Output = Result<(), String>>,
{
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        interval.tick().await;
        match step().await {
            Ok(()) if failing => {
                tracing::info!("over: {trouble}");
                failing = false;
            }
            Err(error) if !failing => {
                tracing::error!(%error, "{trouble}");
                failing = true;
            }
            Ok(()) | Err(_) => {}
        }
    }
}

struct Ready {
    shared: Arc<Shared>,
    stage: watch::Receiver<Stage>,
}

#[async_trait]
impl Readiness for Ready {
    async fn check(&self) -> Result<(), String> {
        if *self.stage.borrow() != Stage::Serve {
            return Err("draining".to_owned());
        }
        if !self.shared.keys_are_open() {
            return Err("the signing keys in the store cannot be opened".to_owned());
        }
        self.shared.store.in_place().await.map_err(|error| error.to_string())?;
        match tokio::time::timeout(STORE_PATIENCE, self.shared.store.versions()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store does not answer".to_owned()),
        }
    }
}
