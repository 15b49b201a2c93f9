//! The management listener: `/healthz`, `/readyz`, `/metrics`. Plain HTTP, meant for a private address.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::net::{TcpListener, TcpStream};

use crate::observe::metrics::{Gauge, Totals, render};

/// What the management endpoints ask.
#[derive(Clone)]
pub struct Management {
    /// Sums.
    pub totals: Arc<Totals>,
    /// Values that are read when asked.
    pub gauges: Arc<Vec<Gauge>>,
    /// How often workers hand over what they have counted.
    pub tick: Duration,
    /// Whether requests are served, and if not, why.
    pub ready: Arc<dyn Readiness>,
}

/// Tells whether the gateway is ready.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// `Err` says why not.
    async fn check(&self) -> Result<(), String>;
}

/// The endpoints.
pub fn router(management: Management) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(management)
}

async fn ready(State(management): State<Management>) -> Response {
    match management.ready.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(management): State<Management>) -> Response {
    // Workers hand over at each tick: after one more, whatever ended before this question is in the answer.
    tokio::time::sleep(management.tick + management.tick / 2).await;
    match render(&management.totals, &management.gauges) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Who may connect to a plain socket.
#[async_trait]
pub trait Door: Send + Sync {
    /// What a connection holds while it lasts; `None` refuses it.
    async fn admit(&self, tcp: &mut TcpStream, address: SocketAddr) -> Option<Box<dyn Send>>;
}

/// Serves a router on a plain socket, until its task is dropped; to everybody when there is no door. Small requests without
/// bodies: limits beyond hyper's own are one on the head and one on its time.
///
/// # Errors
/// When the socket cannot be registered.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    door: Option<Arc<dyn Door>>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((mut tcp, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (router, door) = (router.clone(), door.clone());
        tokio::spawn(async move {
            let held = match &door {
                None => None,
                Some(door) => match door.admit(&mut tcp, address).await {
                    None => return,
                    held => held,
                },
            };
            let service = hyper_util::service::TowerToHyperService::new(router);
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(16 * 1024);
            let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(tcp), service).await;
            drop(held);
        });
    }
}
