//! How long each part of a request's way took, for the line about one that was slow.
//!
//! Invariant: nothing is measured where no line is wanted.

use std::time::{Duration, Instant};

use crate::observe::journal::Parts;

/// The way of one request so far.
#[derive(Debug, Default)]
pub struct Course {
    /// An upstream was looked for.
    turn: Option<Instant>,
    queue: Option<Duration>,
    connect: Option<Duration>,
    /// The request was given to a connection.
    asked: Option<Instant>,
    /// The head of the answer was there.
    answered: Option<Instant>,
    endless: bool,
}

impl Course {
    /// An upstream is looked for.
    pub(super) fn turn(&mut self) {
        self.turn = Some(Instant::now());
    }

    /// There was no idle connection: since `since` one was waited for, and since `opening` it was opened, if it was.
    pub(super) fn connected(&mut self, since: Instant, opening: Option<Instant>) {
        let now = Instant::now();
        let more = |sum: Option<Duration>, from: Instant, to: Instant| {
            Some(sum.unwrap_or_default() + to.saturating_duration_since(from))
        };
        self.queue = more(self.queue, since, opening.unwrap_or(now));
        if let Some(opening) = opening {
            self.connect = more(self.connect, opening, now);
        }
    }

    /// The request is given to a connection.
    pub(super) fn asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// The head of the answer is there.
    pub(super) fn answered(&mut self) {
        self.answered = Some(Instant::now());
    }

    /// What follows has no end of its own: a WebSocket, a stream of events. It is as slow as its beginning.
    pub(super) const fn endless(&mut self) {
        self.endless = true;
    }

    /// How long the request took that began at `started` and ends now, and what of it each part.
    pub(super) fn taken(&self, started: Instant) -> (Duration, Parts) {
        let now = Instant::now();
        let end = if self.endless { self.answered.unwrap_or(now) } else { now };
        let between = |from: Option<Instant>, to: Option<Instant>| {
            from.zip(to).map(|(from, to)| micros(to.saturating_duration_since(from)))
        };
        let parts = Parts {
            before: between(Some(started), self.turn),
            queue: self.queue.map(micros),
            connect: self.connect.map(micros),
            first_byte: between(self.asked, self.answered),
            body: if self.endless { None } else { between(self.answered, Some(now)) },
        };
        (end.saturating_duration_since(started), parts)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_lies_between_and_are_left_out_where_nothing_is_known() {
        let now = Instant::now();
        let ago = |millis| now.checked_sub(Duration::from_millis(millis)).unwrap();
        let (taken, parts) = Course::default().taken(ago(500));
        assert!(taken >= Duration::from_millis(500));
        assert_eq!(parts, Parts::default());
        let mut course = Course { turn: Some(ago(400)), asked: Some(ago(300)), ..Course::default() };
        course.answered = Some(ago(100));
        let (_, parts) = course.taken(ago(450));
        assert_eq!((parts.before, parts.first_byte), (Some(50_000), Some(200_000)));
        assert!(parts.body.is_some_and(|micros| micros >= 100_000) && parts.queue.is_none());
        // Retries add up.
        course.connected(ago(30), Some(ago(10)));
        course.connected(ago(20), None);
        let (_, parts) = course.taken(ago(450));
        assert!(parts.queue.is_some_and(|micros| (40_000..40_000_000).contains(&micros)), "{parts:?}");
        assert!(parts.connect.is_some_and(|micros| micros >= 10_000));
        // A stream that is cut after a day was not slow.
        course.endless();
        let (taken, parts) = course.taken(ago(450));
        assert_eq!((taken, parts.body), (Duration::from_millis(350), None));
    }
}
