//! An open WebSocket: both directions, and how it ends.
//!
//! Invariants: its connection to the upstream is never lent to anybody else; it is on the worker's list, so that silence and
//! orders end it; its access line is written when it has ended, whoever ended it.
//!
//! RFC 6455 sections 5.5.1, 7; RFC 8441 section 5.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    frames::close,
    pump::{Broken, Pump},
};
use crate::proxy::{
    gate::Gate,
    live,
    record::Record,
    transport::Transport,
    upstream::lease::{Held, Socket},
    waits::{Progress, Waited},
};

/// How long saying farewell may take on each side.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long one direction may be silent after the other has ended.
const HALF_CLOSED: Duration = Duration::from_secs(30);

/// RFC 6455 section 7.4.1.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// An open WebSocket whose client's side is still to be handed over.
pub struct Tunnel {
    /// First, so that the access line is written before anything else goes.
    record: Record,
    upstream: Transport,
    /// What the connection holds of its target.
    _held: Held,
    down: Pump,
    up: Pump,
    progress: Rc<Progress>,
    limit: Duration,
    _open: Open,
}

/// Counts as open until it is dropped.
struct Open(Arc<Gate>);

impl Open {
    fn of(gate: &Arc<Gate>) -> Self {
        gate.websockets.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(gate))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.websockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What has happened.
enum Event {
    /// One direction has ended.
    Half,
    /// Both have.
    Ended,
    /// The client's side broke.
    ClientBroke(io::Error),
    /// The upstream's side broke.
    UpstreamBroke(io::Error),
}

impl Tunnel {
    pub(super) fn new((upstream, arrived, held): Socket, record: Record, progress: &Rc<Progress>) -> Self {
        let limit = record.view.route(record.route).map_or(HALF_CLOSED, |route| route.websocket_timeout);
        record.worker().journal().upstream("websockets_opened", record.route, "");
        let open = Open::of(record.worker().gate());
        Self {
            record,
            upstream,
            _held: held,
            down: Pump::new(arrived),
            up: Pump::default(),
            progress: Rc::clone(progress),
            limit,
            _open: open,
        }
    }

    /// Carries it until it ends.
    pub async fn run<C: AsyncRead + AsyncWrite + Unpin>(mut self, mut client: C) {
        self.progress.note();
        let mut limit = self.limit;
        loop {
            let worker = Rc::clone(self.record.worker());
            let progress = Rc::clone(&self.progress);
            let event = poll_fn(|cx| self.poll(&mut client, cx));
            match worker.waits().carried(limit, &progress, event).await {
                Waited::Over => {
                    return self.farewell(client, (GOING_AWAY, "nothing was sent for too long")).await;
                }
                Waited::Leave => return self.farewell(client, (GOING_AWAY, "the gateway is stopping")).await,
                Waited::Refused(refusal) => {
                    live::ended(&self.record, &refusal);
                    return self.farewell(client, (POLICY, "the access that opened it has ended")).await;
                }
                Waited::Answered(Event::Half) => limit = limit.min(HALF_CLOSED),
                Waited::Answered(Event::Ended) => {
                    self.record.complete();
                    return;
                }
                Waited::Answered(Event::ClientBroke(error)) => {
                    tracing::debug!(%error, "a client broke its WebSocket off");
                    return self.upstream.abort();
                }
                Waited::Answered(Event::UpstreamBroke(error)) => {
                    tracing::debug!(%error, "an upstream broke its WebSocket off");
                    return;
                }
            }
        }
    }

    /// Moves both directions on.
    fn poll<C: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut C,
        cx: &mut Context<'_>,
    ) -> Poll<Event> {
        let worker = Rc::clone(self.record.worker());
        let mut space = worker.space();
        let before = (self.down.written, self.up.written);
        let ended = (self.down.is_done(), self.up.is_done());
        let down = self.down.poll((&mut self.upstream, client), &mut space, cx);
        let up = self.up.poll((client, &mut self.upstream), &mut space, cx);
        if before != (self.down.written, self.up.written) {
            self.progress.note();
            self.record.count(usize::try_from(self.down.written - before.0).unwrap_or(usize::MAX));
        }
        match (down, up) {
            (Poll::Ready(Err(Broken::Sink(error))), _) | (_, Poll::Ready(Err(Broken::Source(error)))) => {
                Poll::Ready(Event::ClientBroke(error))
            }
            (Poll::Ready(Err(Broken::Source(error))), _) | (_, Poll::Ready(Err(Broken::Sink(error)))) => {
                Poll::Ready(Event::UpstreamBroke(error))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Event::Ended),
            _ if ended != (self.down.is_done(), self.up.is_done()) => Poll::Ready(Event::Half),
            _ => Poll::Pending,
        }
    }

    /// Ends it from our side: a Close to both, where one may stand.
    async fn farewell<C: AsyncRead + AsyncWrite + Unpin>(self, client: C, (code, reason): (u16, &str)) {
        let mask = self.record.worker().gate().random.bytes();
        let to_client = self.down.to_boundary().map(|rest| (rest, close(code, reason, None)));
        let to_upstream = self.up.to_boundary().map(|rest| (rest, close(code, reason, Some(mask))));
        let upstream = self.upstream;
        tokio::join!(part(client, to_client), part(upstream, to_upstream));
    }
}

/// Says the last words, if there are any, and waits a little for the other side to have read them: a connection that is
/// closed while something on it is unread is reset, and the reset can overtake them.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut side: S, words: Option<(Bytes, Vec<u8>)>) {
    let Some((rest, frame)) = words else { return };
    let said = async {
        side.write_all(&rest).await?;
        side.write_all(&frame).await?;
        side.shutdown().await?;
        let mut unread = [0; 1024];
        while side.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, said).await;
}
