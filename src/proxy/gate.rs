//! What all workers share: the snapshot of routes, services and keys, the verdicts, the revocations.
//!
//! Invariant: a snapshot is replaced whole; a request sees one snapshot from beginning to end.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use ipnet::IpNet;

use super::{refusal::Desk, route::Routes};
use crate::{
    access::{
        credentials::Credentials,
        directory::Directory,
        judge::Judge,
        quota::Quota,
        revocations::Revocations,
        verdict::{Verdict, Verdicts, session::LiveSessions},
    },
    base::{
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::keyring::Keyring,
    model::{flow::Flows, registry::Registry, session::Session, trace::TraceContext},
    oauth::{
        cause::Cause,
        grant::Lives,
        token::{issue::Issuer, verify::TokenError},
    },
    observe::{line::Format, refusals::Refusals},
};

/// Everything that requests are judged by at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The services.
    pub registry: Arc<Registry>,
    /// The keys.
    pub keyring: Arc<Keyring>,
    /// The issuer of tokens.
    pub issuer: Issuer,
    /// The flows that the profile allows.
    pub flows: Flows,
    /// Whether the profile is that of OAuth 2.1.
    pub strict: bool,
    /// How long codes and refresh tokens live.
    pub lives: Lives,
    /// How long a consent is remembered.
    pub consent_life: Duration,
    /// How long a secret that was replaced stays accepted.
    pub secret_grace: Duration,
    /// The origin of `public_url`.
    pub origin: Arc<str>,
    /// The routes.
    pub routes: Routes,
    /// What refusals say.
    pub desk: Desk,
    /// Below which path our own endpoints live: empty or `/a/b`.
    pub hub_path: Arc<str>,
    /// Peers that may speak for a client.
    pub trusted_proxies: Vec<IpNet>,
    /// Rates.
    pub quota: Arc<Quota>,
    /// Whether the gateway takes part in traces.
    pub trace_context: TraceContext,
    /// From what time on a request is slow, and how that is written.
    pub slow: Option<(Duration, Format)>,
}

impl Snapshot {
    /// Whether a peer may speak for a client.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// Our own endpoints, which live in the control plane.
pub trait OwnEndpoints: Send + Sync {
    /// Whether a canonical path is ours.
    fn owns(&self, hub_path: &str, path: &str) -> bool;

    /// Whether a path is ours and is split into segments before these are decoded, so that an encoded slash in it is text
    /// (`path::canonicalise_segments`).
    fn splits(&self, hub_path: &str, path: &str) -> bool;

    /// Whose session this cookie's value is, if it is good, and when it ends. Its use from `source` is noted.
    fn session(&self, cookie: Secret, source: IpAddr) -> SessionLookUp;

    /// Answers a request for one of our paths. Its body has been read and is bounded.
    fn answer(
        &self,
        request: Request<Bytes>,
        caller: Caller,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>>>>;
}

/// A session with the moment of its end, if there is one.
pub type FoundSession = Result<Option<(Session, Timestamp)>, NoSession>;

/// The answer to the question for a session, on its way.
pub type SessionLookUp = Pin<Box<dyn Future<Output = FoundSession>>>;

/// That sessions cannot be looked up now.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("sessions cannot be looked up now")]
pub struct NoSession;

/// Who asks one of our own endpoints.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address, behind trusted proxies the one that they name.
    pub source: IpAddr,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The snapshot that the request is judged by.
    pub snapshot: Arc<Snapshot>,
}

/// What one of our own endpoints decided, for the decision line. Travels as an extension of its response.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// `issued`, `public`, `refused`, …
    pub decision: &'static str,
    /// Why.
    pub reason: String,
    /// `client_id`
    pub client: String,
    /// `jti`
    pub jti: String,
    /// Why it was refused, where that is known.
    pub cause: Option<Cause>,
}

/// What a change of the snapshot has touched, and when.
#[derive(Debug, Clone, Copy)]
struct Unsettled {
    keys: bool,
    since: Instant,
}

/// How long a request may be judged by the snapshot that it has taken up. Judging takes microseconds and waits for
/// nothing, but the system may let the thread wait.
const JUDGING: Duration = Duration::from_millis(100);

/// What all workers share.
pub struct Gate {
    snapshot: ArcSwap<Snapshot>,
    generation: AtomicU64,
    /// The changes of the snapshot that are not settled yet.
    unsettled: Mutex<Option<Unsettled>>,
    /// Remembered verdicts.
    pub verdicts: Verdicts,
    /// Live revocations.
    pub revocations: Revocations,
    /// The sessions of browsers that requests have brought.
    pub sessions: LiveSessions,
    /// The people.
    pub people: Directory,
    /// Permanent tokens and application passwords.
    pub credentials: Credentials,
    /// How many WebSockets are open.
    pub websockets: AtomicUsize,
    /// The last refusals.
    pub refusals: Refusals,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl Gate {
    /// A gate with its first snapshot and a memory for `capacity` verdicts.
    #[must_use]
    pub fn new(snapshot: Snapshot, capacity: usize, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            generation: AtomicU64::new(1),
            unsettled: Mutex::new(None),
            verdicts: Verdicts::new(capacity),
            revocations: Revocations::default(),
            sessions: LiveSessions::new(capacity),
            people: Directory::default(),
            credentials: Credentials::default(),
            websockets: AtomicUsize::new(0),
            refusals: Refusals::default(),
            clock,
            random,
        }
    }

    /// Replaces the snapshot. Every remembered verdict is looked at again, those whose key is gone are void; none stays where a key
    /// has another's id.
    pub fn replace(&self, snapshot: Snapshot) {
        let keys_contradict = self.snapshot.load().keyring.contradicts(&snapshot.keyring);
        self.snapshot.store(Arc::new(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
        if keys_contradict {
            self.verdicts.forget_all(&self.revocations);
        }
        self.revocations.advance();
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys_contradict || unsettled.is_some_and(|before| before.keys);
        *unsettled = Some(Unsettled { keys, since: Instant::now() });
    }

    /// To be called now and then: a request that had taken up the snapshot before a [`Gate::replace`] may have judged a
    /// token by it after the epoch moved, so the epoch moves once more when no such request can be left.
    pub fn settle(&self) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = unsettled.take_if(|change| change.since.elapsed() >= JUDGING) {
            if over.keys {
                self.verdicts.forget_all(&self.revocations);
            } else {
                self.revocations.advance();
            }
        }
    }

    /// The number of the current snapshot. Reading it costs less than loading the snapshot.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What tokens are judged by.
    pub fn judge<'a>(&'a self, snapshot: &'a Snapshot, now: Timestamp) -> Judge<'a> {
        Judge {
            keyring: &snapshot.keyring,
            registry: &snapshot.registry,
            issuer: snapshot.issuer.name(),
            revocations: &self.revocations,
            people: &self.people,
            credentials: &self.credentials,
            now,
        }
    }

    /// The verdict on an access token, as a request with it would get it now.
    ///
    /// # Errors
    /// [`TokenError`], why the token is not accepted.
    pub fn verdict(&self, token: &[u8], snapshot: &Snapshot) -> Result<Arc<Verdict>, TokenError> {
        let judge = self.judge(snapshot, self.clock.now());
        self.verdicts.recall(token, judge).unwrap_or_else(|| self.verdicts.verify(token, judge))
    }
}
