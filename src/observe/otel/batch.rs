//! Gathers spans and sends them in batches.
//!
//! Invariant: one batch is under way at a time, so what waits is bounded by the queue; an outage is said once, and its end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

use super::{Collector, Resource, SENT, dropped, encode, link::Link, span::Span};
use crate::observe::metrics::Totals;

/// Spans of a batch at most.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Pauses between attempts to send a batch. After the last of them it is dropped.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// See the module.
pub struct Exporter {
    link: Link,
    resource: Resource,
    waiting: mpsc::Receiver<Span>,
    ended: oneshot::Receiver<()>,
    /// No more will come: what is there is sent at once, without second attempts.
    hurry: bool,
    totals: Arc<Totals>,
    /// Whether the last batch was not taken.
    failing: bool,
}

impl Exporter {
    pub(super) fn new(
        collector: Collector,
        resource: Resource,
        (waiting, ended): (mpsc::Receiver<Span>, oneshot::Receiver<()>),
        totals: Arc<Totals>,
    ) -> Self {
        Self { link: Link::new(collector), resource, waiting, ended, hurry: false, totals, failing: false }
    }

    /// Sends until it is told that no more will come, and then what there is.
    pub async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            let body = Bytes::from(encode::request(&self.resource, &batch));
            drop(batch);
            self.send(&body, count).await;
        }
    }

    /// The next batch; none when there is nothing more to come.
    async fn gather(&mut self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut until = None;
        while !self.hurry && batch.len() < BATCH {
            let room = BATCH - batch.len();
            let more = async {
                match until {
                    None => Ok(self.waiting.recv_many(&mut batch, room).await),
                    Some(until) => timeout_at(until, self.waiting.recv_many(&mut batch, room)).await,
                }
            };
            tokio::select! {
                _ = &mut self.ended => self.hurry = true,
                more = more => match more {
                    Ok(0) => self.hurry = true,
                    Ok(_) => until = until.or_else(|| Some(Instant::now() + GATHER)),
                    Err(_) => break,
                },
            }
        }
        while self.hurry && batch.len() < BATCH {
            let Ok(span) = self.waiting.try_recv() else { break };
            batch.push(span);
        }
        batch
    }

    async fn send(&mut self, body: &Bytes, count: usize) {
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match self.link.post(body).await {
                Ok(rejected) => return self.taken(count, rejected),
                Err(failure) => failure,
            };
            if !self.failing {
                self.failing = true;
                let collector = self.link.authority();
                tracing::warn!(%collector, error = %failure, "spans cannot be sent");
            }
            let pause = pauses.next().filter(|_| failure.is_for_now() && !self.hurry);
            let Some(pause) = pause else { return dropped(&self.totals, "unsent", count) };
            let pause = failure.pause().map_or(*pause, |asked| asked.clamp(*pause, LONGEST_PAUSE));
            tokio::select! {
                _ = &mut self.ended => self.hurry = true,
                () = sleep(pause) => {}
            }
        }
    }

    fn taken(&mut self, count: usize, rejected: usize) {
        if self.failing {
            self.failing = false;
            tracing::info!(collector = %self.link.authority(), "spans are sent again");
        }
        let sent = count.saturating_sub(rejected);
        self.totals.add(SENT, Vec::new(), u64::try_from(sent).unwrap_or(u64::MAX));
        dropped(&self.totals, "rejected", count.min(rejected));
    }
}
