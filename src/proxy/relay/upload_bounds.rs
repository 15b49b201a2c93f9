//! What bounds the rest of a request that is still being sent when its answer has begun.
//!
//! Invariant: it goes on only while it would be permitted, and not beyond the deadline of the whole; once the answer has ended, an
//! upstream that takes nothing more of it is not waited for.

use std::{
    rc::Rc,
    task::Context,
    time::{Duration, Instant},
};

use super::Patience;
use crate::proxy::waits::{Kind, Place, Progress, Waits};

/// The bounds of one request.
pub(in crate::proxy) struct UploadBounds {
    progress: Rc<Progress>,
    place: Place,
    patience: Patience,
}

impl UploadBounds {
    /// Beside an answer of this kind. `limit`: how long an upstream that has answered may leave the rest of its request unread.
    pub(in crate::proxy) fn new(
        (waits, kind): (&Waits, Kind),
        progress: &Rc<Progress>,
        (limit, deadline): (Duration, Option<Instant>),
    ) -> Self {
        let place = waits.list_until(progress, (kind, deadline));
        Self { progress: Rc::clone(progress), place, patience: Patience::new(limit) }
    }

    /// The same, where an upstream is waited for no longer than so.
    pub(in crate::proxy) fn at_most(mut self, limit: Duration) -> Self {
        self.patience.shorten(limit);
        self
    }

    /// Whether one of them is reached; if none is, the task is woken when that may have changed. `answered`: to the end; `moved`: something
    /// was taken since this was asked last.
    pub(in crate::proxy) fn are_reached(
        &mut self,
        (answered, moved): (bool, bool),
        cx: &mut Context<'_>,
    ) -> bool {
        self.place.wake_by(cx.waker());
        if self.is_called_off() {
            return true;
        }
        // As long as the answer goes on, or the client is the one that is waited for, there is no hurry.
        let waits = answered && !self.progress.is_uploading();
        if moved || !waits {
            self.patience.rest();
        }
        waits && self.patience.is_over(cx)
    }

    /// Whether it may not go on at all.
    pub(in crate::proxy) fn is_called_off(&self) -> bool {
        self.progress.is_called_off()
    }
}
