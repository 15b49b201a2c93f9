//! The accept loop: HTTP/1.1 connections to the router, each with a deadline for the request's head.
//!
//! Invariant: at most [`MAX_CONNECTIONS`] at a time, and a full house makes newcomers wait in the listener's queue.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

const MAX_CONNECTIONS: usize = 1024;
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
const DRAIN_DEADLINE: Duration = Duration::from_secs(3);
const MAX_HEAD: usize = 64 * 1024;

pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(MAX_HEAD);
    let graceful = GracefulShutdown::new();
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = next(&listener, &seats) => accepted,
        };
        match accepted {
            Ok(Some((stream, seat))) => {
                // Small answers to keep-alive clients: without this each may wait for the peer's delayed ACK.
                let _ = stream.set_nodelay(true);
                let service = TowerToHyperService::new(router.clone());
                let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "sample backend: connection ended");
                    }
                    drop(seat);
                });
            }
            Ok(None) => break,
            Err(error) if is_beyond_use(&error) => return Err(error),
            // Out of descriptors, or a peer that left before it was accepted: both pass.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    drop(listener);
    let _ = timeout(DRAIN_DEADLINE, graceful.shutdown()).await;
    Ok(())
}

type Seated = (tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit);

async fn next(listener: &TcpListener, seats: &Arc<Semaphore>) -> io::Result<Option<Seated>> {
    let Ok(seat) = Arc::clone(seats).acquire_owned().await else { return Ok(None) };
    let (stream, _) = listener.accept().await?;
    Ok(Some((stream, seat)))
}

fn is_beyond_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}
