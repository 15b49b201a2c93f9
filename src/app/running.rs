//! A gateway that serves: where, reloading, stopping.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::watch, task::AbortHandle};

use super::{
    shared::{ReloadError, Shared},
    telemetry::Telemetry,
};
use crate::{
    base::secret::Secret,
    config::Config,
    identity::{login::Logins, session::Sessions},
    observe::sink::Sink,
    server::{tls::Certificate, worker::Stage},
};

/// How long a gateway that stops may take to write what was used last.
const LAST_NOTES: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub struct Running {
    pub(super) https: Vec<SocketAddr>,
    pub(super) http: Vec<SocketAddr>,
    pub(super) management: Option<SocketAddr>,
    pub(super) certificate: Arc<Certificate>,
    pub(super) shared: Arc<Shared>,
    pub(super) first_password: Option<Secret>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) workers: Vec<JoinHandle<()>>,
    pub(super) control: Option<Runtime>,
    pub(super) sink: Sink,
    pub(super) telemetry: Telemetry,
    /// The listening sockets once more, for the next process.
    pub(super) listeners: Vec<TcpListener>,
    /// What accepts on the plain ones.
    pub(super) plain: Vec<AbortHandle>,
    /// Whether somebody else keeps the sockets open.
    pub(super) sockets_stay: bool,
    pub(super) drain_timeout: Duration,
}

impl Running {
    /// The addresses of the TLS listeners, with the ports that were chosen.
    #[must_use]
    pub fn https(&self) -> &[SocketAddr] {
        &self.https
    }

    /// The addresses of the plain listeners.
    #[must_use]
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The address of the management listener.
    #[must_use]
    pub const fn management(&self) -> Option<SocketAddr> {
        self.management
    }

    /// The password of the administrator that this start has made, if it had to and none was configured. It is good for one
    /// sign-in and is handed out once.
    pub const fn first_password(&mut self) -> Option<Secret> {
        self.first_password.take()
    }

    /// Signing in.
    #[must_use]
    pub fn logins(&self) -> &Arc<Logins> {
        &self.shared.people.logins
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.shared.people.sessions
    }

    /// Takes a new configuration up: services, users, routes, rules, rates, certificates. Requests in flight end under the
    /// old one. Returns what only a restart changes.
    ///
    /// # Errors
    /// [`ReloadError`]; the old configuration stays in force.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, ReloadError> {
        let Some(control) = &self.control else { return Ok(Vec::new()) };
        let left = control.block_on(self.shared.reload(config))?;
        if let Err(error) = self.certificate.refresh(self.shared.gate.clock.now()) {
            tracing::error!(%error, "the new certificate cannot be used; the one before stays in use");
        }
        Ok(left)
    }

    /// The listening sockets, to be handed to the next process; once.
    pub fn listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// The next process accepts from the same sockets: this one no longer does, and leaves to it what waits there.
    pub const fn succeeded(&mut self) {
        self.sockets_stay = true;
    }

    /// Stops: not ready any more, nothing accepted, what is in flight finished, at the deadline of the configuration
    /// closed. Returns whether everything finished in time.
    pub fn stop(mut self) -> bool {
        let deadline = Instant::now() + self.drain_timeout;
        self.listeners.clear();
        if self.sockets_stay {
            // Whoever asks there would hear now of this process and now of the next.
            for plain in &self.plain {
                plain.abort();
            }
            let _ = self.stage.send(Stage::Leave(deadline));
        } else {
            let _ = self.stage.send(Stage::Drain(deadline));
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        let in_time = Instant::now() < deadline;
        self.sink.flush(Duration::from_secs(2));
        if let Some(control) = self.control.take() {
            self.telemetry.end(&control);
            let writing = async { self.shared.note_uses().await.and(self.shared.note_service_uses().await) };
            let noted = async { tokio::time::timeout(LAST_NOTES, writing).await };
            if !matches!(control.block_on(noted), Ok(Ok(()))) {
                tracing::warn!("the last uses of tokens and services are not noted");
            }
            let written = self.shared.people.sign_ins.write();
            let in_time = async { tokio::time::timeout(Duration::from_secs(1), written).await };
            if !matches!(control.block_on(in_time), Ok(Ok(()))) {
                tracing::error!("the last sign-ins could not be recorded");
            }
            control.shutdown_timeout(Duration::from_secs(2));
        }
        in_time
    }
}

impl Drop for Running {
    /// One that is dropped without being stopped ends at once.
    fn drop(&mut self) {
        let _ = self.stage.send(Stage::Drain(Instant::now()));
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(control) = self.control.take() {
            control.shutdown_background();
        }
    }
}
