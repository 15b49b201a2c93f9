//! Connections of one worker to one target: kept alive, used by one request at a time, never shared between threads.
//!
//! Invariant: a connection goes back to the pool only after its request was sent and its answer read to the end, and is
//! lent again only when nothing has come on it since; whatever breaks off is closed (RFC 9112 section 9.3). Where the number of
//! connections is limited, all workers together keep to it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use super::{
    Cluster, ConnectError, Node,
    connector::Speaks,
    lease::{Busy, Held, Lease, Link, Open},
    state::Cause,
};
use crate::{
    model::delivery::Balance,
    proxy::{http1::Connection, http2::Multiplexed},
};

/// An idle connection is closed after this; most servers keep theirs a little longer.
const IDLE_LIFE: Duration = Duration::from_secs(50);

/// One in so many connections is given up for another worker whose requests wait, where those of this one wait too.
const FAIRNESS: u32 = 8;

/// Where a connection carries many exchanges, after so many of them.
const FAIRNESS_OF_MANY: u32 = 256;

/// The connections to one target.
pub struct TargetPool {
    /// The target.
    pub node: Arc<Node>,
    pub(super) cluster: Arc<Cluster>,
    idle: RefCell<Vec<Idle>>,
    /// Connections that carry many exchanges at a time.
    multiplexed: RefCell<Vec<Rc<Multiplexed>>>,
    /// Held while the first of them is opened, so that the others wait for it.
    opening: tokio::sync::Mutex<()>,
    /// The target has not agreed to HTTP/2, so that each request needs a connection.
    declined: Cell<bool>,
    /// Requests that wait for a connection.
    waiters: RefCell<VecDeque<Waiter>>,
    handed_over: Cell<u32>,
    /// The time of the last tick, for what need not be exact.
    now: Cell<Instant>,
    requests: Cell<u64>,
}

struct Idle {
    connection: Box<Open>,
    since: Instant,
}

/// A request that waits.
struct Waiter {
    /// It needs a connection for itself.
    alone: bool,
    sender: oneshot::Sender<Lease>,
}

impl TargetPool {
    /// A pool without connections.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            cluster: Arc::clone(cluster),
            idle: RefCell::default(),
            multiplexed: RefCell::default(),
            opening: tokio::sync::Mutex::default(),
            declined: Cell::new(node.connector.speaks == Speaks::One),
            waiters: RefCell::default(),
            handed_over: Cell::new(0),
            now: Cell::new(Instant::now()),
            requests: Cell::new(0),
        }
    }

    /// The time of the last tick.
    pub(super) const fn now(&self) -> Instant {
        self.now.get()
    }

    /// Whether a request would have to wait for a connection.
    pub(super) fn is_full(&self) -> bool {
        self.node.slots.as_ref().is_some_and(|slots| slots.available_permits() == 0)
            && self.idle.borrow().is_empty()
            && !self.multiplexed.borrow().iter().any(|connection| connection.has_room())
    }

    /// Counts a request that is given to the target.
    pub fn count(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// The target has failed.
    pub fn failed(&self, cause: Cause, why: &dyn std::fmt::Display) {
        self.cluster.failed(&self.node, cause, why, Instant::now());
    }

    /// An idle connection on which nothing has come, the most recently used first: it is the least likely to have been
    /// closed. `switches`: it has to be one of HTTP/1.1.
    pub fn idle(self: &Rc<Self>, switches: bool) -> Option<Lease> {
        if !switches && !self.declined.get() {
            return self.stream();
        }
        let mut idle = self.idle.borrow_mut();
        loop {
            let Idle { mut connection, .. } = idle.pop()?;
            if connection.connection.is_quiet() {
                return Some(self.lease(Link::One(connection), true));
            }
        }
    }

    /// One more exchange on a connection that carries many.
    fn stream(self: &Rc<Self>) -> Option<Lease> {
        let multiplexed = self.multiplexed.borrow();
        let connection = multiplexed.iter().find(|connection| connection.has_room())?;
        Some(self.lease(Link::Two(Box::new(connection.exchange())), true))
    }

    fn lease(self: &Rc<Self>, link: Link, reused: bool) -> Lease {
        let counted = self.cluster.delivery.balance == Balance::LeastConnections;
        let busy = counted.then(|| Busy::new(&self.node.state));
        Lease { pool: Rc::clone(self), link, reused, _busy: busy }
    }

    /// Opens a connection, or waits for one where there are as many as there may be. `switches`: it has to be one of HTTP/1.1.
    /// `opening`: since when it is being opened.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn connect(
        self: &Rc<Self>,
        switches: bool,
        opening: &Cell<Option<Instant>>,
    ) -> Result<Lease, ConnectError> {
        let alone = switches || self.declined.get();
        let patience = self.cluster.delivery.connect_timeout;
        // One opens, the others wait for it, as long as that may take.
        let first = async || {
            let lock = if alone { None } else { Some(timeout(patience, self.opening.lock()).await) };
            lock.transpose().map_err(|_| ConnectError::TimedOut)
        };
        let stream = || if alone { None } else { self.stream() };
        let mut opens = first().await?;
        if let Some(lease) = stream() {
            return Ok(lease);
        }
        let mut slot = None;
        if let Some(slots) = &self.node.slots {
            slot = Arc::clone(slots).try_acquire_owned().ok();
            if slot.is_none() {
                // Nobody has to wait for one who waits.
                drop(opens);
                match self.queue(alone, Arc::clone(slots)).await? {
                    Turn::Slot(free) => slot = Some(free),
                    Turn::Lease(lease) => return Ok(lease),
                }
                opens = first().await?;
                if let Some(lease) = stream() {
                    return Ok(lease);
                }
            }
        }
        let _opens = opens;
        opening.set(Some(Instant::now()));
        let (transport, address) = self.node.connector.open(switches).await?;
        let held = Held::new(&self.node.state, slot);
        if self.node.connector.is_http2(&transport)? {
            let pool = Rc::downgrade(self);
            let freed = move || pool.upgrade().iter().for_each(Self::freed);
            let beginning = Multiplexed::begin(transport, address, held, freed);
            let connection = timeout(patience, beginning).await.map_err(|_| ConnectError::TimedOut)??;
            self.declined.set(false);
            let exchange = connection.exchange();
            self.multiplexed.borrow_mut().push(connection);
            self.serve_waiters();
            return Ok(self.lease(Link::Two(Box::new(exchange)), false));
        }
        if !switches {
            self.declined.set(true);
        }
        let open = Open { connection: Connection::new(transport), address, _held: held };
        Ok(self.lease(Link::One(Box::new(open)), false))
    }

    /// Waits until a connection of this worker is free, or one more may be opened.
    async fn queue(&self, alone: bool, slots: Arc<Semaphore>) -> Result<Turn, ConnectError> {
        let _waiting = self.cluster.wait().ok_or(ConnectError::Full)?;
        let (sender, receiver) = oneshot::channel();
        self.waiters.borrow_mut().push_back(Waiter { alone, sender });
        let turn = async {
            tokio::select! {
                biased;
                Ok(lease) = receiver => Ok(Turn::Lease(lease)),
                Ok(slot) = slots.acquire_owned() => Ok(Turn::Slot(slot)),
                else => Err(ConnectError::Full),
            }
        };
        timeout(self.cluster.delivery.queue_timeout, turn).await.map_err(|_| ConnectError::Waited)?
    }

    /// A connection that can carry another exchange: to who waits for it, else to the idle ones.
    pub(super) fn take_back(self: &Rc<Self>, connection: Box<Open>) {
        let mut connection = connection;
        if self.node.slots.is_some() {
            match self.hand_over(connection) {
                Some(left) => connection = left,
                None => return,
            }
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.cluster.delivery.max_idle {
            idle.push(Idle { connection, since: self.now.get() });
        }
    }

    /// Gives a connection to a request that waits. Returns it when none does.
    fn hand_over(self: &Rc<Self>, mut connection: Box<Open>) -> Option<Box<Open>> {
        let turn = self.handed_over.get().wrapping_add(1);
        self.handed_over.set(turn);
        let waiting = self.waiters.borrow_mut().len();
        let others = self.cluster.waiting() > waiting;
        if others && (waiting == 0 || turn.is_multiple_of(FAIRNESS)) {
            // Closed, it makes room for a connection of another worker.
            return None;
        }
        loop {
            let next = self.waiters.borrow_mut().pop_front();
            let Some(waiter) = next else { return Some(connection) };
            match waiter.sender.send(self.lease(Link::One(connection), true)) {
                // It has given up.
                Err(Lease { link: Link::One(open), .. }) => connection = open,
                Ok(()) | Err(_) => return None,
            }
        }
    }

    /// An exchange has ended on a connection that carries many.
    fn freed(self: &Rc<Self>) {
        if self.node.slots.is_none() {
            return;
        }
        let turn = self.handed_over.get().wrapping_add(1);
        self.handed_over.set(turn);
        let others = self.cluster.waiting() > self.waiters.borrow().len();
        if others && turn.is_multiple_of(FAIRNESS_OF_MANY) {
            // Closed after what is under way, it makes room for a connection of another worker.
            self.multiplexed.borrow().iter().for_each(|connection| connection.retire());
        }
        self.serve_waiters();
    }

    /// Gives what room there is on connections that carry many to requests that wait.
    fn serve_waiters(self: &Rc<Self>) {
        loop {
            let waits = |waiter: &Waiter| !waiter.alone && !waiter.sender.is_closed();
            let next = self.waiters.borrow().iter().position(waits);
            let Some(lease) = next.and_then(|_| self.stream()) else { return };
            let waiter = next.and_then(|next| self.waiters.borrow_mut().remove(next));
            // It has not given up: nobody else runs meanwhile.
            let _ = waiter.map(|waiter| waiter.sender.send(lease));
        }
    }

    /// Closes connections that have been idle for too long, those that the other side has closed, and those to addresses
    /// that the target has no more; tells how many requests there were. Returns whether there is more to look after.
    pub fn tidy(&self, now: Instant) -> bool {
        self.now.set(now);
        self.hand_in();
        let mut waiters = self.waiters.borrow_mut();
        waiters.retain(|waiter| !waiter.sender.is_closed());
        let spare = self.node.slots.is_some() && self.cluster.waiting() > waiters.len();
        let addresses = self.node.connector.addresses();
        let is_known =
            |used: Option<SocketAddr>| addresses.zip(used).is_none_or(|(known, used)| known.has(used));
        let idle_since = now.checked_sub(IDLE_LIFE);
        self.multiplexed.borrow_mut().retain(|connection| {
            idle_since.is_none_or(|then| connection.is_kept(then))
                && is_known(connection.address)
                && (connection.is_busy() || !spare)
        });
        let mut idle = self.idle.borrow_mut();
        if spare {
            idle.clear();
        }
        idle.retain_mut(|Idle { connection, since }| {
            now.saturating_duration_since(*since) < IDLE_LIFE
                && connection.connection.is_quiet()
                && is_known(connection.address)
        });
        !idle.is_empty() || !waiters.is_empty() || !self.multiplexed.borrow().is_empty()
    }

    fn hand_in(&self) {
        let requests = self.requests.take();
        if requests > 0 {
            self.node.state.requests().fetch_add(requests, Relaxed);
        }
    }
}

impl Drop for TargetPool {
    fn drop(&mut self) {
        self.hand_in();
    }
}

/// What a wait ends in.
enum Turn {
    Lease(Lease),
    Slot(OwnedSemaphorePermit),
}
