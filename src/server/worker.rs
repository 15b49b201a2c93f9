//! One worker: a thread with its own runtime, its own listening sockets and its own connections.
//!
//! Invariant: a connection lives and dies on the worker that accepted it; when the worker is told to stop, it accepts
//! nothing more, finishes what it has begun, and is gone at the deadline at the latest.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::MissedTickBehavior,
};

use super::{
    admission::{Admission, Loss, Ticket},
    connection::{self, Client, Handler, ProtocolLimits},
    io::{Deadlines, Order, Watch},
    proxy_protocol::introduced,
};
use crate::{
    base::{FastMap, source::bucket},
    observe::files,
};

/// How often connections are held against their deadlines, and lines and numbers are handed over.
pub const TICK: Duration = Duration::from_millis(100);

/// What the workers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Serve.
    Serve,
    /// Accept nothing more but what waits to be accepted, finish, be gone by then.
    Drain(Instant),
    /// The same where somebody else accepts from the same sockets: what waits is theirs.
    Leave(Instant),
}

/// What a worker needs besides its handler.
pub struct Setup {
    /// Its sockets.
    pub listeners: Vec<std::net::TcpListener>,
    /// TLS.
    pub tls: Arc<ServerConfig>,
    /// Limits of the protocols.
    pub limits: ProtocolLimits,
    /// Limits of waiting.
    pub deadlines: Deadlines,
    /// How many connections.
    pub admission: Arc<Admission>,
    /// What it is told.
    pub stage: watch::Receiver<Stage>,
}

type Connections = Rc<RefCell<FastMap<u64, Rc<Watch>>>>;

/// Serves until told to stop. `tick` is called about ten times a second, and once at the end.
///
/// # Errors
/// When a socket cannot be registered with the runtime.
pub async fn run<H: Handler>(handler: Rc<H>, setup: Setup, tick: impl Fn(Instant)) -> io::Result<()> {
    let Setup { listeners, tls, limits, deadlines, admission, mut stage } = setup;
    let connections: Connections = Rc::default();
    let accept = Rc::new(Accept {
        handler,
        tls,
        limits: Rc::new(limits),
        admission,
        connections: Rc::clone(&connections),
        next: Cell::new(0),
    });
    let mut accepting = Vec::new();
    for listener in listeners {
        let listener = Rc::new(TcpListener::from_std(listener)?);
        let task = tokio::task::spawn_local(Rc::clone(&accept).run(Rc::clone(&listener)));
        accepting.push((task, listener));
    }
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (deadline, whole) = loop {
        tokio::select! {
            _ = interval.tick() => {
                let now = Instant::now();
                inspect(&connections, now, (&deadlines, &accept.admission));
                tick(now);
            }
            changed = stage.changed() => {
                if changed.is_err() {
                    break (Instant::now(), false);
                }
                match *stage.borrow_and_update() {
                    Stage::Serve => {}
                    Stage::Drain(deadline) => break (deadline, true),
                    Stage::Leave(deadline) => break (deadline, false),
                }
            }
        }
    };
    for (task, listener) in accepting {
        task.abort();
        let _ = task.await;
        if whole && let Some(listener) = Rc::into_inner(listener) {
            accept.rest(&listener.into_std()?);
        }
    }
    accept.handler.leave();
    command(&connections, Order::Drain);
    while !connections.borrow().is_empty() && Instant::now() < deadline {
        interval.tick().await;
        let now = Instant::now();
        inspect(&connections, now, (&deadlines, &accept.admission));
        // A request that arrived just before the order is followed by it again.
        accept.handler.leave();
        command(&connections, Order::Drain);
        tick(now);
    }
    accept.handler.cut_off();
    command(&connections, Order::Close);
    // The closing itself is done by the connections' tasks.
    for _ in 0..10 {
        if connections.borrow().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tick(Instant::now());
    Ok(())
}

fn inspect(connections: &Connections, now: Instant, (deadlines, admission): (&Deadlines, &Admission)) {
    for watch in connections.borrow().values() {
        if let Some(loss) = watch.inspect(now, deadlines) {
            admission.count(loss);
        }
    }
}

fn command(connections: &Connections, order: Order) {
    for watch in connections.borrow().values() {
        watch.command(order);
    }
}

struct Accept<H> {
    handler: Rc<H>,
    tls: Arc<ServerConfig>,
    limits: Rc<ProtocolLimits>,
    admission: Arc<Admission>,
    connections: Connections,
    next: Cell<u64>,
}

impl<H: Handler> Accept<H> {
    /// Accepts what waits already: a connection in the queue of a socket that is closed is reset, and its client has seen it
    /// stand. The socket itself is asked, since the runtime may not have heard of the last ones.
    fn rest(self: &Rc<Self>, listener: &std::net::TcpListener) {
        loop {
            let (tcp, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => return,
            };
            let Some(ticket) = self.admit(address.ip()) else { continue };
            let tcp = tcp.set_nonblocking(true).and_then(|()| TcpStream::from_std(tcp));
            if let Ok(tcp) = tcp {
                self.serve((tcp, address), ticket);
            }
        }
    }

    async fn run(self: Rc<Self>, listener: Rc<TcpListener>) {
        loop {
            match listener.accept().await {
                Ok((tcp, address)) => {
                    if let Some(ticket) = self.admit(address.ip()) {
                        self.serve((tcp, address), ticket);
                    }
                }
                // The client is gone already; the next one may not be.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of file descriptors or memory: others must get time to give some back.
                    if files::are_to_be_told() {
                        tracing::error!(%error, "connections cannot be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn admit(&self, peer: IpAddr) -> Option<Ticket> {
        if !self.limits.proxy_protocol {
            return self.admission.admit(bucket(peer));
        }
        if !self.handler.trusts(peer.to_canonical()) {
            self.admission.count(Loss::UntrustedProxy);
            return None;
        }
        self.admission.admit_unknown()
    }

    fn serve(self: &Rc<Self>, (mut tcp, address): (TcpStream, SocketAddr), ticket: Ticket) {
        let number = self.next.get();
        self.next.set(number + 1);
        let watch = Rc::new(Watch::new(self.limits.max_header_size));
        self.connections.borrow_mut().insert(number, Rc::clone(&watch));
        let mut leaving = Leaving { connections: Rc::clone(&self.connections), number, ticket };
        let accept = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let deadline = tokio::time::Instant::now() + accept.limits.handshake;
            let client = if accept.limits.proxy_protocol {
                // On the heap, so that connections without it have no room for it.
                let named = introduced(&mut tcp, address, (&mut leaving.ticket, deadline));
                let Some(client) = Box::pin(named).await else { return };
                client
            } else {
                Client { address, known: true }
            };
            let (handler, tls) = (Rc::clone(&accept.handler), Arc::clone(&accept.tls));
            let (limits, admission) = (Rc::clone(&accept.limits), Arc::clone(&accept.admission));
            drop(accept);
            let told = Rc::clone(&watch);
            let served = connection::serve(handler, (tcp, client), (tls, deadline), limits, watch);
            if served.await.is_err() {
                admission.count(Loss::Handshake);
            }
            if let Some(loss) = told.take_loss() {
                admission.count(loss);
            }
        });
    }
}

/// Takes a connection off the list however its task ends.
struct Leaving {
    connections: Connections,
    number: u64,
    ticket: Ticket,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.connections.borrow_mut().remove(&self.number);
    }
}
