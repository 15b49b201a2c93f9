//! What keeps an HTTP/2 connection going: it is driven as long as it lasts, and one that is silent while it is in use is asked for
//! a sign of life.
//!
//! Invariant: a connection without one ends, and whoever has an exchange on it hears of that.
//!
//! RFC 9113 sections 6.5, 6.7.

use std::{
    cell::Cell,
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, PingPong, client::Connection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

/// Exchanges at a time on one connection, if the upstream allows as many; beyond them another is opened.
pub(super) const MOST_STREAMS: u32 = 100;

/// A connection in use on which nothing comes for so long is asked for a sign of life, and closed when there is none for so long.
pub(super) const SILENCE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(10)];

/// What its exchanges and whoever drives it know of a connection.
pub(super) struct Line {
    /// Exchanges on it.
    pub(super) streams: Cell<usize>,
    /// As many as the upstream allows, within our own limit.
    pub(super) allowed: Cell<usize>,
    /// When something of an answer came last.
    heard: Cell<Instant>,
    /// Nobody begins an exchange on it any more.
    left: Cell<bool>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            streams: Cell::new(0),
            allowed: Cell::new(0),
            heard: Cell::new(Instant::now()),
            left: Cell::new(false),
        }
    }

    /// Nobody begins an exchange on it any more: it ends, if the other side still takes what is left to be said.
    pub(super) fn leave(&self) {
        self.left.set(true);
    }

    /// Something of an answer has come.
    pub(super) fn hear(&self) {
        self.heard.set(Instant::now());
    }
}

/// Drives a connection to its end. `begins` is told when the upstream has said how many exchanges it takes. `silence`: see
/// [`SILENCE`].
pub(super) async fn drive<T>(
    mut connection: Connection<T, Bytes>,
    line: Rc<Line>,
    begins: oneshot::Sender<()>,
    silence: [Duration; 2],
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut begins = Some(begins);
    let mut sign = pin!(Life::new(connection.ping_pong(), silence));
    poll_fn(|cx| {
        let driven = Pin::new(&mut connection).poll(cx);
        line.allowed.set(connection.max_concurrent_send_streams().min(MOST_STREAMS as usize));
        if line.allowed.get() > 0
            && let Some(begins) = begins.take()
        {
            // Whoever opened it may have given up.
            let _ = begins.send(());
        }
        if driven.is_ready() || sign.poll_silent(&line, cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// Whether the other side is still there.
struct Life {
    ping: Option<PingPong>,
    silence: [Duration; 2],
    alarm: Pin<Box<Sleep>>,
    asked: bool,
}

impl Life {
    fn new(ping: Option<PingPong>, silence: [Duration; 2]) -> Self {
        let [after, _] = silence;
        Self { ping, silence, alarm: Box::pin(sleep(after)), asked: false }
    }

    /// Ready when it was asked for a sign of life and has given none.
    fn poll_silent(&mut self, line: &Line, cx: &mut Context<'_>) -> Poll<()> {
        let [after, patience] = self.silence;
        let Some(ping) = &mut self.ping else { return Poll::Pending };
        loop {
            if self.asked {
                match ping.poll_pong(cx) {
                    Poll::Ready(_) => {
                        self.asked = false;
                        self.alarm.as_mut().reset(Instant::now() + after);
                    }
                    Poll::Pending => return self.alarm.as_mut().poll(cx),
                }
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let next = line.heard.get() + after;
            let now = Instant::now();
            if line.streams.get() == 0 && !line.left.get() {
                self.alarm.as_mut().reset(now + after);
            } else if next > now {
                self.alarm.as_mut().reset(next);
            } else {
                self.asked = ping.send_ping(Ping::opaque()).is_ok();
                self.alarm.as_mut().reset(now + patience);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::LocalSet,
        time::timeout,
    };

    use super::*;
    use crate::base::frames::{Frames, SETTINGS, Seen};

    const PING: u8 = 6;
    const ACK: u8 = 1;

    /// The other side: it begins, counts pings, and answers as many of them.
    async fn other(mut io: DuplexStream, pings: Arc<AtomicUsize>, mut answers: usize) {
        io.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
        let (mut frames, mut bytes) = (Frames::new(24), [0; 4096]);
        while let Ok(count @ 1..) = io.read(&mut bytes).await {
            let mut answer = Vec::new();
            frames.read(&bytes[..count], |seen| {
                // Pings come whole, since they are alone.
                if let Seen::Content { kind: PING, bytes, .. } = seen {
                    pings.fetch_add(1, Relaxed);
                    if answers > 0 {
                        answers -= 1;
                        answer.extend([&[0, 0, 8, PING, ACK, 0, 0, 0, 0], bytes].concat());
                    }
                }
            });
            io.write_all(&answer).await.unwrap();
        }
    }

    /// A connection on which nothing is heard but the answers to so many pings, for so long at most. Whether it has ended by then,
    /// and how many pings there were.
    async fn life(streams: usize, answers: usize, wait: Duration) -> (bool, usize) {
        let pings = Arc::new(AtomicUsize::new(0));
        let (ours, theirs) = duplex(64 * 1024);
        tokio::spawn(other(theirs, Arc::clone(&pings), answers));
        let (sender, connection) = h2::client::handshake(ours).await.unwrap();
        let line = Rc::new(Line::new());
        line.streams.set(streams);
        let (begins, begun) = oneshot::channel();
        let silence = [Duration::from_millis(60), Duration::from_secs(3)];
        let local = LocalSet::new();
        let ended = local.run_until(async {
            let driven = tokio::task::spawn_local(drive(connection, line, begins, silence));
            begun.await.unwrap();
            timeout(wait, driven).await.is_ok()
        });
        let ended = ended.await;
        drop(sender);
        (ended, pings.load(Relaxed))
    }

    #[tokio::test]
    async fn a_connection_in_use_without_a_sign_of_life_ends() {
        let wait = Duration::from_secs(40);
        assert_eq!(life(1, 0, wait).await, (true, 1));
        assert_eq!(life(1, 3, wait).await, (true, 4));
    }

    #[tokio::test]
    async fn one_that_gives_signs_of_life_or_is_idle_goes_on() {
        let (ended, pings) = life(1, usize::MAX, Duration::from_secs(2)).await;
        assert!(!ended && pings > 3, "{ended} {pings}");
        assert_eq!(life(0, 0, Duration::from_secs(2)).await, (false, 0));
    }
}
