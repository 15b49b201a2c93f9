//! The management listener: `/healthz`, `/readyz`, `/metrics`. Plain HTTP, meant for a private address.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    base::source::bucket,
    observe::metrics::{Gauge, Totals, render},
};

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
#[async_trait::async_trait]
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

/// Serves a router on a plain socket, until its task is dropped. `admit` gives what a connection holds while it lasts,
/// or refuses it. Small requests without bodies: limits beyond hyper's own are one on the head and one on its time.
///
/// # Errors
/// When the socket cannot be registered.
pub async fn serve<T: Send + 'static>(
    listener: std::net::TcpListener,
    router: Router,
    admit: impl Fn(IpAddr) -> Option<T>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let Ok((tcp, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(ticket) = admit(bucket(address.ip())) else { continue };
        let router = router.clone();
        tokio::spawn(async move {
            let _ticket = ticket;
            let service = hyper_util::service::TowerToHyperService::new(router);
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(16 * 1024);
            let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(tcp), service).await;
        });
    }
}
