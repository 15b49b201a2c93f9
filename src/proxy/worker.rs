//! One worker's own things: its view of the snapshot with its upstream connections, its journal, its request ids.
//!
//! Invariant: used by one thread alone, so nothing in here is locked or counted atomically.

use std::{
    cell::{Cell, RefCell, RefMut},
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    gate::{Gate, OwnEndpoints, Snapshot},
    live::Look,
    record::spans::Spans,
    route::Route,
    upstream::{Cluster, Pools},
    waits::Waits,
};
use crate::{
    base::{FastMap, source::bucket},
    observe::journal::{Journal, RouteNumber},
};

/// A snapshot as one worker uses it.
pub struct View {
    generation: u64,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    pools: Rc<[Rc<Pools>]>,
}

impl View {
    /// A route by its number.
    #[must_use]
    pub fn route(&self, number: RouteNumber) -> Option<&Route> {
        self.snapshot.routes.get(usize::try_from(number).ok()?)
    }

    /// The connections of a route.
    #[must_use]
    pub fn pools(&self, route: &Route) -> Option<&Rc<Pools>> {
        self.pools.get(route.index)
    }

    /// The route that was this one in another snapshot.
    pub(super) fn same_route(&self, before: &Self, number: RouteNumber) -> Option<&Route> {
        let label = &before.route(number)?.label;
        let same = |route: &&Route| route.label == *label;
        self.route(number).filter(same).or_else(|| self.snapshot.routes.iter().find(same))
    }

    /// The number of the snapshot.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}

/// What a worker needs besides the gate.
pub struct WorkerParts {
    /// What all workers share.
    pub gate: Arc<Gate>,
    /// Our own endpoints.
    pub own: Arc<dyn OwnEndpoints>,
    /// Its book.
    pub journal: Journal,
    /// How long a request's body may be silent.
    pub body_timeout: Duration,
    /// Requests that it answers at a time.
    pub max_requests: usize,
    /// Where it tells how many these are.
    pub load: Arc<AtomicUsize>,
    /// Its way to the collector of spans.
    pub spans: Spans,
}

/// For so long after a new snapshot requests may still be taken up that were judged by the one before.
const SETTLED: Duration = Duration::from_millis(500);

/// What is read at once of a WebSocket, in bytes.
const SPACE: usize = 32 * 1024;

/// Bodies for our own endpoints that a worker reads at a time: 64 MiB at most.
const MAX_OWN_BODIES: usize = 1024;

/// Those of one source: whoever lets bodies wait keeps nobody else from signing in.
const MAX_OWN_BODIES_PER_SOURCE: usize = 64;

/// Bodies for our own endpoints that are being read: all, and by source.
#[derive(Default)]
struct OwnBodies {
    all: usize,
    by_source: FastMap<IpAddr, usize>,
}

/// The right to read one; given back when dropped.
pub(super) struct OwnBody(Rc<Worker>, IpAddr);

impl Drop for OwnBody {
    fn drop(&mut self) {
        let mut reading = self.0.own_bodies.borrow_mut();
        reading.all = reading.all.saturating_sub(1);
        if let Some(count) = reading.by_source.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                reading.by_source.remove(&self.1);
            }
        }
    }
}

/// One worker.
pub struct Worker {
    parts: WorkerParts,
    view: RefCell<Rc<View>>,
    waits: Waits,
    /// The epoch of revocations and the number of the snapshot at the last look.
    looked: Cell<(u64, u64)>,
    /// When the snapshot was seen to be another.
    replaced: Cell<Instant>,
    space: RefCell<Vec<u8>>,
    own_bodies: RefCell<OwnBodies>,
    requests: Cell<usize>,
    /// It has stopped, and cuts off what is not answered.
    cuts_off: Cell<bool>,
    ids: Cell<u64>,
    seed: u64,
    /// What all ids of this worker begin with; the rest is set for each.
    id: [u8; 32],
}

impl Worker {
    /// A worker with the current snapshot and no connections.
    #[must_use]
    pub fn new(parts: WorkerParts) -> Self {
        let seed = u64::from_ne_bytes(parts.gate.random.bytes());
        let mut id = [b'0'; 32];
        for (slot, digit) in id.iter_mut().zip(hex(seed | 1)) {
            *slot = digit;
        }
        let view = RefCell::new(Rc::new(view(&parts.gate, None)));
        let (looked, replaced) = (Cell::new((0, 0)), Cell::new(Instant::now()));
        let (waits, space, own_bodies, requests, cuts_off, ids) = Default::default();
        Self { parts, view, waits, looked, replaced, space, own_bodies, requests, cuts_off, ids, seed, id }
    }

    /// What all workers share.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.parts.gate
    }

    /// Our own endpoints.
    #[must_use]
    pub fn own(&self) -> &Arc<dyn OwnEndpoints> {
        &self.parts.own
    }

    /// Its book.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// Its way to the collector of spans.
    #[must_use]
    pub(super) const fn spans(&self) -> &Spans {
        &self.parts.spans
    }

    /// Its requests that wait for an upstream.
    #[must_use]
    pub(super) const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Room to read into, for as long as somebody is at it without waiting.
    pub(super) fn space(&self) -> RefMut<'_, Vec<u8>> {
        let mut space = self.space.borrow_mut();
        space.resize(SPACE, 0);
        space
    }

    /// The gateway is stopping: what has no end of its own is told.
    pub fn leave(&self) {
        self.waits.leave();
    }

    /// The gateway has stopped: what is not answered by now will not be.
    pub fn cut_off(&self) {
        self.cuts_off.set(true);
    }

    /// Whether requests that end without an answer are cut off by the gateway.
    pub(super) const fn cuts_off(&self) -> bool {
        self.cuts_off.get()
    }

    /// The right to read a body for one of our own endpoints; `None` while too many are being read.
    pub(super) fn read_own_body(self: &Rc<Self>, source: IpAddr) -> Option<OwnBody> {
        let source = bucket(source);
        let mut reading = self.own_bodies.borrow_mut();
        let of_source = reading.by_source.get(&source).copied().unwrap_or_default();
        if reading.all >= MAX_OWN_BODIES || of_source >= MAX_OWN_BODIES_PER_SOURCE {
            return None;
        }
        reading.all += 1;
        reading.by_source.insert(source, of_source + 1);
        Some(OwnBody(Rc::clone(self), source))
    }

    /// One more request is being answered.
    pub(super) fn take_on(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// One less.
    pub(super) fn give_up(&self) {
        self.requests.set(self.requests.get().saturating_sub(1));
    }

    /// Whether there are more than it answers at a time.
    pub(super) const fn has_too_many(&self) -> bool {
        self.requests.get() > self.parts.max_requests
    }

    /// How long a request's body may be silent.
    #[must_use]
    pub const fn body_timeout(&self) -> Duration {
        self.parts.body_timeout
    }

    /// The current view. A new snapshot is taken up here, with the connections whose targets are still the same.
    #[must_use]
    pub fn view(&self) -> Rc<View> {
        let current = self.view.borrow();
        if current.generation == self.parts.gate.generation() {
            return Rc::clone(&current);
        }
        drop(current);
        // What was counted under the old numbers of routes is handed over under their names.
        self.hand_over();
        let before = Rc::clone(&self.view.borrow());
        let next = Rc::new(view(&self.parts.gate, Some(&before)));
        *self.view.borrow_mut() = Rc::clone(&next);
        next
    }

    /// Hands lines and numbers over.
    pub fn hand_over(&self) {
        let view = Rc::clone(&self.view.borrow());
        let gate = &self.parts.gate;
        let passed = |route| {
            if let Some(service) = view.route(route).and_then(|route| route.policy.service.as_ref()) {
                gate.verdicts.uses().passed(service, gate.clock.now());
            }
        };
        self.parts.journal.hand_over(|route| view.label(route).to_owned(), passed);
        self.spans().hand_over();
    }

    /// Judges again what is still going on.
    fn look(&self, now: Instant) {
        let gate = self.gate();
        let seen = (gate.revocations.epoch(), gate.generation());
        let before = self.looked.replace(seen);
        if seen.1 != before.1 {
            self.replaced.set(now);
        }
        if self.waits.is_empty() {
            return;
        }
        let view = self.view();
        let look = Look {
            gate,
            view: &view,
            at: gate.clock.now(),
            news: seen != before,
            replaced: now.saturating_duration_since(self.replaced.get()) < SETTLED,
        };
        self.waits.judge(|held, fresh| held.judge(&look, fresh));
    }

    /// To be called now and then: ends waits that last too long and what is not permitted any more, hands over, closes what
    /// has been idle for too long.
    pub fn tick(&self, now: Instant) {
        self.parts.load.store(self.requests.get(), Ordering::Relaxed);
        self.look(now);
        self.waits.tick(now);
        self.hand_over();
        for pools in self.view.borrow().pools.iter() {
            pools.tick(now);
        }
    }

    /// A new request id: 32 hexadecimal digits, not all zero. Unique, not secret: SplitMix64 over a counter, from a
    /// random start of its own for each worker.
    pub fn next_id(&self) -> [u8; 32] {
        let count = self.ids.get().wrapping_add(1);
        self.ids.set(count);
        let mut z = self.seed.wrapping_add(count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mut id = self.id;
        for (slot, digit) in id.iter_mut().skip(16).zip(hex(z ^ (z >> 31))) {
            *slot = digit;
        }
        id
    }
}

/// 16 hexadecimal digits.
fn hex(value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(value.to_be_bytes()) {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}

fn view(gate: &Gate, before: Option<&View>) -> View {
    // The number is read first: a snapshot that is replaced in between is taken up at the next request.
    let generation = gate.generation();
    let snapshot = gate.snapshot();
    let same = |before: &View| {
        let (before, after) = (before.snapshot.routes.iter(), snapshot.routes.iter());
        before.len() == after.len()
            && before.zip(after).all(|(before, after)| Arc::ptr_eq(&before.cluster, &after.cluster))
    };
    if let Some(before) = before.filter(|before| same(before)) {
        return View { generation, pools: Rc::clone(&before.pools), snapshot };
    }
    let mut known: FastMap<*const Cluster, Rc<Pools>> = FastMap::default();
    for pools in before.into_iter().flat_map(|before| before.pools.iter()) {
        known.insert(Arc::as_ptr(&pools.cluster), Rc::clone(pools));
    }
    let pools = snapshot.routes.iter().map(|route| {
        let kept = known.remove(&Arc::as_ptr(&route.cluster));
        kept.unwrap_or_else(|| Rc::new(Pools::new(&route.cluster)))
    });
    View { generation, pools: pools.collect(), snapshot }
}
