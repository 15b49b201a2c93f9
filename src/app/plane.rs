//! A worker of the data plane: its thread, and what the configuration says of its connections.
//!
//! Invariant: what was cut off writes its lines before the thread ends.

use std::{net::IpAddr, rc::Rc, time::Duration};

use http::Request;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::LocalRuntime,
};

use crate::{
    base::interim::Interim,
    base::pace::Pace,
    config::Config,
    proxy::{
        self,
        peer::Peer,
        relay::AnswerBody,
        websocket,
        worker::{Worker, WorkerParts},
    },
    server::{
        connection::{self, Client, Handler, ProtocolLimits},
        io::Deadlines,
        worker::Setup,
    },
};

/// The body of a worker's thread.
pub(super) fn work(build: impl FnOnce() -> WorkerParts, setup: Setup) {
    let runtime = match LocalRuntime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker has no runtime");
            return;
        }
    };
    let worker = Rc::new(Worker::new(build()));
    let handler = Rc::new(DataPlane(Rc::clone(&worker)));
    let outcome = runtime.block_on(crate::server::worker::run(handler, setup, |now| worker.tick(now)));
    // What was cut off at the deadline writes its lines when its task is dropped.
    drop(runtime);
    worker.hand_over();
    if let Err(error) = outcome {
        tracing::error!(%error, "a worker has ended");
    }
}

/// The data plane as the server calls it.
struct DataPlane(Rc<Worker>);

impl Handler for DataPlane {
    type Peer = Peer;
    type Body = AnswerBody;
    type Answering = proxy::Answering;
    type Tunnel = Tunnel;

    fn trusts(&self, peer: IpAddr) -> bool {
        self.0.view().snapshot.trusts(peer)
    }

    fn connected(&self, client: Client) -> Rc<Peer> {
        Rc::new(Peer::new(client.address, client.known))
    }

    fn handle(&self, peer: &Rc<Peer>, request: Request<Incoming>, interim: Interim) -> proxy::Answering {
        proxy::serve(&self.0, peer, request, interim)
    }

    fn tunnel(body: &mut AnswerBody) -> Option<Tunnel> {
        body.take_tunnel().map(Tunnel)
    }

    fn leave(&self) {
        self.0.leave();
    }

    fn cut_off(&self) {
        self.0.cut_off();
    }
}

/// A WebSocket as the server carries it.
struct Tunnel(Box<websocket::Tunnel>);

impl connection::Tunnel for Tunnel {
    async fn run(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        self.0.run(io).await;
    }
}

pub(super) struct WorkerLimits {
    pub(super) protocol: ProtocolLimits,
    pub(super) deadlines: Deadlines,
    pub(super) body_timeout: Duration,
    pub(super) max_requests: usize,
}

impl WorkerLimits {
    /// Of one of so many workers.
    pub(super) fn new(config: &Config, workers: usize) -> Self {
        let limits = &config.limits;
        Self {
            protocol: ProtocolLimits {
                handshake: limits.handshake_timeout,
                proxy_protocol: config.listen.proxy_protocol,
                max_header_size: limits.max_header_size,
                max_headers: limits.max_headers,
                max_streams: limits.max_streams,
            },
            deadlines: Deadlines {
                header: limits.header_timeout,
                write: Pace { rate: limits.min_answer_rate, silence: limits.write_timeout },
                idle: limits.idle_timeout,
            },
            body_timeout: limits.body_timeout,
            max_requests: limits.max_requests.div_ceil(workers.max(1)),
        }
    }
}
