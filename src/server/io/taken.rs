//! What a client takes of what it is offered, looked at by the tick.
//!
//! Invariant: only time counts in which it is the client that is waited for.

use std::time::Instant;

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
