//! A small issue tracker in YouTrack's manner, to stand behind the gate: JSON, one page, everything in memory.
//!
//! It believes the identity headers, as every backend behind a gateway does, so it must listen where only the
//! gateway can reach it. Who creates an issue is who the gateway says it is; without an identity it is a guest.
//!
//! Invariant: bodies, texts, issues and connections are bounded, what is shown is escaped, and no answer contains
//! a credential: of a token only the decoded claims are shown.

mod api;
mod client;
mod fields;
mod identity;
mod page;
mod reply;
mod server;
#[cfg(test)]
mod tests;
mod tracker;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use tokio::net::TcpListener;

use self::tracker::Tracker;
use crate::base::time::{Clock, SystemClock};

/// Bytes of a request body.
const MAX_BODY: usize = 64 * 1024;

/// Where the tracker lives and what it says of its Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    prefix: String,
    hub_url: String,
    service_id: String,
}

impl Sample {
    /// A tracker below `prefix`: empty for the root, or `/a/b` without a trailing slash.
    ///
    /// # Errors
    /// `InvalidInput` when the prefix is no such path.
    pub fn below(prefix: &str) -> io::Result<Self> {
        let segment = |s: &str| {
            !s.is_empty()
                && !matches!(s, "." | "..")
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
        };
        let good =
            prefix.is_empty() || prefix.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
        if !good {
            let message = format!("a path prefix looks like /youtrack, or is empty; {prefix:?} is neither");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self { prefix: prefix.to_owned(), hub_url: "/hub".to_owned(), service_id: "youtrack".to_owned() })
    }

    /// What `/api/config` says about the Hub in front: its address (or path) and the tracker's own service id there.
    #[must_use]
    pub fn hub(mut self, url: &str, service_id: &str) -> Self {
        url.clone_into(&mut self.hub_url);
        service_id.clone_into(&mut self.service_id);
        self
    }

    /// Serves until `shutdown` resolves; answers in flight are finished, within a few seconds.
    ///
    /// # Errors
    /// What the listener answers when it is beyond use.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        server::run(listener, self.router(Arc::new(SystemClock)), shutdown).await
    }

    fn router(self, clock: Arc<dyn Clock>) -> Router {
        let prefix = self.prefix.clone();
        let tracker = Mutex::new(Tracker::seeded(clock.now()));
        let site = Arc::new(Site { sample: self, tracker, clock, page: page::Policy::new() });
        let at = |path: &str| format!("{prefix}{path}");
        let mut router = Router::new()
            .route(&at("/"), get(page::show))
            .route(&at("/client"), get(client::show))
            .route(&at("/healthz"), get(api::health))
            .route(&at("/api/issues"), get(api::list).post(api::create))
            .route(&at("/api/issues/{id}"), get(api::read))
            .route(&at("/api/issues/{id}/comments"), post(api::comment))
            .route(&at("/api/users/me"), get(api::me))
            .route(&at("/api/config"), get(api::config))
            .route(&at("/api/whoami"), get(api::whoami));
        if !prefix.is_empty() {
            router = router.route(&prefix, get(page::show));
        }
        router
            .fallback(api::no_such_resource)
            .method_not_allowed_fallback(api::method_not_allowed)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(site)
    }
}

/// Serves a tracker below `prefix` on `listener` until `shutdown` resolves.
///
/// # Errors
/// `InvalidInput` when the prefix is not of the form `/youtrack`; what the listener answers when it is beyond use.
pub async fn serve(
    listener: TcpListener,
    prefix: &str,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    Sample::below(prefix)?.serve(listener, shutdown).await
}

/// What every handler sees.
struct Site {
    sample: Sample,
    tracker: Mutex<Tracker>,
    clock: Arc<dyn Clock>,
    page: page::Policy,
}

impl Site {
    /// The issues. Every change is complete before the lock is released, so a poisoned lock still guards good data.
    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
