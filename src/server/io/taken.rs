//! What a client takes of what it is offered, looked at by the tick.
//!
//! Invariant: only time counts in which it is the client that is waited for.

use std::{task::Poll, time::Instant};

use bytes::Buf;
use http_body::Frame;

use super::Watch;
use crate::base::pace::{Ahead, Pace};

/// What a client takes of what it is offered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// Bytes since the last tick.
    pub(super) moved: u64,
    /// `None` before the first.
    ahead: Option<Ahead>,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    /// Since when it is the client that is waited for, if it is.
    pub(super) since: Option<Instant>,
    pub(super) taken: Taken,
}

impl Taken {
    /// At a tick, after the one `before`: whether too little is taken. Only time counts in which the client is waited for.
    pub(super) fn is_too_slow(
        &mut self,
        since: Option<Instant>,
        (before, now): (Instant, Instant),
        pace: &Pace,
    ) -> bool {
        let ahead = self.ahead.get_or_insert_with(|| Ahead::new(pace));
        ahead.earn(std::mem::take(&mut self.moved), pace);
        let Some(since) = since else { return false };
        ahead.spend(now.saturating_duration_since(since.max(before)), pace);
        ahead.is_spent(pace)
    }
}

impl Watch {
    /// An answer begins whose pieces the client has to make room for.
    pub fn offer(&self) -> usize {
        self.unread.borrow_mut().insert(Offer { since: Some(self.now.get()), taken: Taken::default() })
    }

    /// The next piece of an answer was asked for. While there is none to hand on it is not the client that is waited for.
    pub fn polled<D: Buf, E>(&self, key: usize, polled: &Poll<Option<Result<Frame<D>, E>>>) {
        self.offered(
            key,
            match polled {
                Poll::Ready(Some(frame)) => {
                    let data = frame.as_ref().ok().and_then(Frame::data_ref);
                    Some(data.map_or(0, |data| data.remaining() as u64))
                }
                Poll::Ready(None) | Poll::Pending => None,
            },
        );
    }

    /// It was handed on, so many bytes, or is waited for.
    pub(super) fn offered(&self, key: usize, handed_on: Option<u64>) {
        if let Some(offer) = self.unread.borrow_mut().get_mut(key) {
            offer.since = handed_on.map(|_| self.now.get());
            offer.taken.moved += handed_on.unwrap_or_default();
        }
    }

    /// So many bytes were written to the socket.
    pub(super) fn wrote(&self, count: usize) {
        self.spoke.set(true);
        if let Some(mut taken) = self.taken.get() {
            taken.moved += count as u64;
            self.taken.set(Some(taken));
        }
    }

    /// What follows is HTTP no more, and its pace is somebody else's.
    pub fn forget_answers(&self) {
        self.forget_heads();
        self.taken.set(None);
    }

    /// Whether the client takes an answer, or what is written of all of them, too slowly.
    pub(super) fn is_read_too_slowly(&self, ticks: (Instant, Instant), pace: &Pace) -> bool {
        if pace.rate == 0 {
            return false;
        }
        let mut socket = self.taken.get();
        let slow = socket.as_mut().is_some_and(|taken| taken.is_too_slow(self.stalled.get(), ticks, pace));
        self.taken.set(socket);
        // Each is looked at, so that each is counted.
        let too_slow = |offer: &mut Offer| offer.taken.is_too_slow(offer.since, ticks, pace);
        self.unread.borrow_mut().iter_mut().fold(slow, |slow, (_, offer)| too_slow(offer) || slow)
    }

    /// An answer has ended.
    pub fn withdraw(&self, key: usize) {
        self.unread.borrow_mut().try_remove(key);
    }
}
