//! Mail of the gateway: short plain texts, put into a bounded queue and sent from there.
//!
//! Invariants: who posts a letter never waits for a mail server; no line of the log has any part of a letter, its link least
//! of all; nothing is sent unencrypted but to this machine.
//!
//! RFC 5321, RFC 5322; RFC 3207 and RFC 8314 (TLS); RFC 3834 (`Auto-Submitted`).

mod letter;
mod transport;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, mpsc};

use self::transport::{Failure, Transport};
pub use self::{
    letter::{Letter, Subject},
    transport::{Encryption, MailError, Server},
};
use crate::observe::metrics::Totals;

/// Letters that may wait. What comes beyond is dropped, and counted.
const QUEUE: usize = 200;

/// Letters that are on their way at once.
const AT_ONCE: usize = 4;

/// How long is waited before each further attempt, where one may help.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// Where letters are posted.
pub struct Mailer {
    transport: ArcSwapOption<Transport>,
    queue: mpsc::Sender<Letter>,
    totals: Arc<Totals>,
}

/// A server that can be sent by, or none.
pub struct Prepared(Option<Arc<Transport>>);

impl Prepared {
    /// Makes ready for this server.
    ///
    /// # Errors
    /// [`MailError`]
    pub fn new(server: Option<&Server>) -> Result<Self, MailError> {
        Ok(Self(server.map(Transport::new).transpose()?.map(Arc::new)))
    }
}

/// The other end, which sends them.
pub struct Delivery {
    mailer: Arc<Mailer>,
    queue: mpsc::Receiver<Letter>,
}

impl Mailer {
    /// A mailer without a server, and what delivers for it.
    #[must_use]
    pub fn new(totals: Arc<Totals>) -> (Arc<Self>, Delivery) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mailer = Arc::new(Self { transport: ArcSwapOption::empty(), queue: sender, totals });
        (Arc::clone(&mailer), Delivery { mailer, queue: receiver })
    }

    /// Sends by this server from now on; by none, nothing.
    pub fn take_up(&self, prepared: Prepared) {
        self.transport.store(prepared.0);
    }

    /// Whether there is a server.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.transport.load().is_some()
    }

    /// Posts a letter. Returns at once, whatever becomes of it.
    pub fn post(&self, letter: Letter) {
        let subject = letter.subject;
        if !self.is_ready() || self.queue.try_send(letter).is_err() {
            tracing::error!(mail = subject.name(), "too many letters wait to be sent; this one is dropped");
            self.count(subject, "dropped");
        }
    }

    fn count(&self, subject: Subject, result: &'static str) {
        let labels = vec![("mail", subject.name().to_owned()), ("result", result.to_owned())];
        self.totals.add("mails", labels, 1);
    }

    /// Sends a letter, again where that may help.
    async fn send(&self, letter: Letter) {
        let name = letter.subject.name();
        let mut pauses = PAUSES.into_iter();
        loop {
            let Some(transport) = self.transport.load_full() else {
                self.count(letter.subject, "dropped");
                return;
            };
            let Err(Failure { why, for_now }) = transport.send(&letter).await else {
                tracing::info!(mail = name, "sent");
                self.count(letter.subject, "sent");
                return;
            };
            let Some(pause) = pauses.next().filter(|_| for_now) else {
                tracing::error!(mail = name, %why, "a letter could not be sent");
                self.count(letter.subject, "failed");
                return;
            };
            tracing::warn!(mail = name, %why, "a letter could not be sent; it is tried again");
            tokio::time::sleep(pause).await;
        }
    }
}

impl Delivery {
    /// Sends what is posted. Ends when nobody can post any more, or with the runtime.
    pub async fn run(mut self) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(letter) = self.queue.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let mailer = Arc::clone(&self.mailer);
            tokio::spawn(async move {
                mailer.send(letter).await;
                drop(place);
            });
        }
    }
}
