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

use http::StatusCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use super::{
    Cluster, ConnectError, Node,
    state::{Cause, TargetState},
};
use crate::{
    model::delivery::Balance,
    proxy::{http1::Connection, transport::Transport},
};

/// An idle connection is closed after this; most servers keep theirs a little longer.
const IDLE_LIFE: Duration = Duration::from_secs(50);

/// One in so many connections is given up for another worker whose requests wait, where those of this one wait too.
const FAIRNESS: u32 = 8;

/// The connections to one target.
pub struct TargetPool {
    /// The target.
    pub node: Arc<Node>,
    cluster: Arc<Cluster>,
    idle: RefCell<Vec<Idle>>,
    /// Requests that wait for a connection.
    waiters: RefCell<VecDeque<oneshot::Sender<Lease>>>,
    handed_over: Cell<u32>,
    /// The time of the last tick, for what need not be exact.
    now: Cell<Instant>,
    requests: Cell<u64>,
}

struct Idle {
    connection: Box<Open>,
    since: Instant,
}

/// A connection, counted as long as it is open.
struct Open {
    connection: Connection<Transport>,
    address: SocketAddr,
    _held: Held,
}

/// What an open connection holds of its target: it is counted, and keeps its slot where the number is limited.
struct Held {
    state: Arc<TargetState>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn new(state: &Arc<TargetState>, slot: Option<OwnedSemaphorePermit>) -> Self {
        state.open().fetch_add(1, Relaxed);
        Self { state: Arc::clone(state), _slot: slot }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.open().fetch_sub(1, Relaxed);
    }
}

/// A request that a target has, counted where that decides who gets the next.
struct Busy(Arc<TargetState>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy().fetch_sub(1, Relaxed);
    }
}

/// A connection in use by one exchange. Dropped, it is closed.
///
/// What else an upstream may speak belongs behind this: whoever has a lease sends one request and reads one answer.
pub struct Lease {
    pool: Rc<TargetPool>,
    open: Box<Open>,
    /// Whether it has carried an exchange before.
    pub reused: bool,
    _busy: Option<Busy>,
}

impl Lease {
    /// The connection itself.
    pub(in crate::proxy) fn connection(&mut self) -> &mut Connection<Transport> {
        &mut self.open.connection
    }

    /// How many bytes of the answer's body are left, where that is known.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        self.open.connection.left()
    }

    /// The head of the answer has come, with this status.
    pub fn answered(&self, status: StatusCode) {
        // Where there is no other target, what it says is what there is.
        let unwell = matches!(status.as_u16(), 500 | 502..=504) && self.pool.cluster.nodes.len() > 1;
        if unwell {
            self.pool.failed(Cause::Status, &status);
        } else {
            self.pool.node.state.succeeded();
        }
    }

    /// Gives the connection back after the request was sent and its answer read to the end; it is closed if it cannot be
    /// used again.
    pub fn give_back(self) {
        let Self { pool, open: mut connection, .. } = self;
        if connection.connection.is_free() {
            connection.connection.rest();
            pool.take_back(connection);
        }
    }
}

impl TargetPool {
    /// A pool without connections.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            cluster: Arc::clone(cluster),
            idle: RefCell::default(),
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
    /// closed.
    pub fn idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let Idle { mut connection, .. } = idle.pop()?;
            if connection.connection.is_quiet() {
                return Some(self.lease(connection, true));
            }
        }
    }

    fn lease(self: &Rc<Self>, open: Box<Open>, reused: bool) -> Lease {
        let counted = self.cluster.delivery.balance == Balance::LeastConnections;
        let busy = counted.then(|| {
            self.node.state.busy().fetch_add(1, Relaxed);
            Busy(Arc::clone(&self.node.state))
        });
        Lease { pool: Rc::clone(self), open, reused, _busy: busy }
    }

    /// Opens a connection, or waits for one where there are as many as there may be.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn connect(self: &Rc<Self>) -> Result<Lease, ConnectError> {
        let slot = match &self.node.slots {
            None => None,
            Some(slots) => match Arc::clone(slots).try_acquire_owned() {
                Ok(slot) => Some(slot),
                Err(_) => match self.queue(Arc::clone(slots)).await? {
                    Turn::Slot(slot) => Some(slot),
                    Turn::Lease(lease) => return Ok(lease),
                },
            },
        };
        let (transport, address) = self.node.connector.open().await?;
        let held = Held::new(&self.node.state, slot);
        let open = Open { connection: Connection::new(transport), address, _held: held };
        Ok(self.lease(Box::new(open), false))
    }

    /// Waits until a connection of this worker is free, or one more may be opened.
    async fn queue(&self, slots: Arc<Semaphore>) -> Result<Turn, ConnectError> {
        let _waiting = self.cluster.wait().ok_or(ConnectError::Full)?;
        let (sender, receiver) = oneshot::channel();
        self.waiters.borrow_mut().push_back(sender);
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
    fn take_back(self: &Rc<Self>, connection: Box<Open>) {
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
            match waiter.send(self.lease(connection, true)) {
                Ok(()) => return None,
                // It has given up.
                Err(Lease { open, .. }) => connection = open,
            }
        }
    }

    /// Closes connections that have been idle for too long, those that the other side has closed, and those to addresses
    /// that the target has no more; tells how many requests there were.
    pub fn tidy(&self, now: Instant) {
        self.now.set(now);
        self.hand_in();
        let mut waiters = self.waiters.borrow_mut();
        waiters.retain(|waiter| !waiter.is_closed());
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return;
        }
        if self.node.slots.is_some() && self.cluster.waiting() > waiters.len() {
            idle.clear();
        }
        let addresses = self.node.connector.addresses();
        idle.retain_mut(|Idle { connection, since }| {
            now.saturating_duration_since(*since) < IDLE_LIFE
                && connection.connection.is_quiet()
                && (!addresses.can_change() || addresses.has(connection.address))
        });
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
