//! Sign-ins as the audit log has them when nothing in the store changes by them: refused, throttled, or by a client with a
//! password.
//!
//! Invariants: anybody can cause them, so what is recorded of them is bounded, for each source and together; what is left
//! out is counted, and the count is recorded. What was typed as a name is not recorded: it may be a password.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    base::{
        FastMap,
        id::UserId,
        source,
        time::{Clock, Timestamp},
    },
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target},
        user::User,
    },
    store::{Result, SharedStore},
};

/// How long the limits below are for.
const WINDOW: Duration = Duration::from_secs(60);

/// The most that are recorded one by one in that time, from one source and from all: in the worst case thirteen megabytes a
/// day.
const FROM_ONE: u32 = 10;
const FROM_ALL: u32 = 20;

/// Notes sign-ins, and writes them when it is asked to.
pub struct SignIns {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    began: Timestamp,
    /// Recorded one by one.
    recorded: u32,
    sources: FastMap<IpAddr, u32>,
    /// Only counted.
    left_out: BTreeMap<&'static str, (EventKind, u64)>,
    /// Not yet written.
    waiting: Vec<(Author, NewEvent)>,
}

impl Window {
    /// Begins another when this one is over. What it has left out is recorded as one event of each kind.
    fn turn(&mut self, now: Timestamp) {
        // A clock that was set back must not stop the log.
        if now.since(self.began) < WINDOW && now >= self.began {
            return;
        }
        for (kind, count) in std::mem::take(&mut self.left_out).into_values() {
            let changes =
                vec![FieldChange::new("notRecorded", count), FieldChange::new("since", self.began.millis())];
            self.waiting.push((Author::gateway(), NewEvent { kind, target: Target::gateway(), changes }));
        }
        (self.began, self.recorded) = (now, 0);
        self.sources.clear();
    }

    fn add(&mut self, author: Author, event: NewEvent) {
        let from = author.source.map(source::bucket);
        let of_source = from.and_then(|from| self.sources.get(&from)).copied().unwrap_or(0);
        if self.recorded >= FROM_ALL || of_source >= FROM_ONE {
            self.left_out.entry(event.kind.name()).or_insert((event.kind, 0)).1 += 1;
            return;
        }
        self.recorded += 1;
        if let Some(from) = from {
            self.sources.insert(from, of_source + 1);
        }
        self.waiting.push((author, event));
    }
}

impl SignIns {
    /// Which are written to `store`.
    #[must_use]
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, window: Mutex::default() }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.turn(self.clock.now());
        window
    }

    /// Notes that somebody did not get in: `user` is who was meant, if that is anybody.
    pub fn refused(&self, throttled: bool, user: Option<(&UserId, &str)>, source: IpAddr) {
        let kind = if throttled { EventKind::SignInThrottled } else { EventKind::SignInRefused };
        let target = user.map_or_else(Target::gateway, |(id, login)| Target::user(id, login));
        let author = Author { source: Some(source), ..Author::anonymous() };
        self.window().add(author, NewEvent { kind, target, changes: Vec::new() });
    }

    /// Notes that a client has shown a user's password, for which there is no session.
    pub fn by_password(&self, user: &User, request: &str, source: IpAddr) {
        let target = Target::user(&user.id, &user.login);
        let changes = vec![FieldChange::new("grant", "password")];
        let event = NewEvent { kind: EventKind::SignedIn, target, changes };
        self.window().add(Author::from(user).during(request, source), event);
    }

    /// Writes what was noted.
    ///
    /// # Errors
    /// The store's; what could not be written is counted as left out.
    pub async fn write(&self) -> Result<()> {
        let waiting = std::mem::take(&mut self.window().waiting);
        let mut waiting = waiting.into_iter();
        while let Some((author, event)) = waiting.next() {
            let kind = event.kind;
            if let Err(error) = self.store.acting(author).note(&[event]).await {
                let mut window = self.window();
                for kind in std::iter::once(kind).chain(waiting.map(|(_, event)| event.kind)) {
                    window.left_out.entry(kind.name()).or_insert((kind, 0)).1 += 1;
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::base::time::ManualClock;

    fn event() -> NewEvent {
        NewEvent { kind: EventKind::SignInRefused, target: Target::gateway(), changes: vec![] }
    }

    fn from(last: u8) -> Author {
        Author { source: Some(Ipv4Addr::new(192, 0, 2, last).into()), ..Author::anonymous() }
    }

    #[test]
    fn an_attacker_fills_neither_log_nor_memory() {
        let clock = ManualClock::at(Timestamp::from_seconds(1000));
        let mut window = Window::default();
        window.turn(clock.now());
        for _ in 0..1000 {
            window.add(from(1), event());
        }
        assert_eq!(window.waiting.len(), 10, "one source");
        for last in 2..=255 {
            window.add(from(last), event());
        }
        assert_eq!((window.waiting.len(), window.sources.len()), (20, 11), "all sources");
        clock.advance(Duration::from_secs(59));
        window.turn(clock.now());
        assert_eq!(window.waiting.len(), 20);

        clock.advance(Duration::from_secs(1));
        window.turn(clock.now());
        let (author, summary) = window.waiting.last().unwrap();
        assert_eq!((window.waiting.len(), author), (21, &Author::gateway()));
        assert_eq!(summary.kind, EventKind::SignInRefused);
        assert_eq!(summary.changes[0], FieldChange::new("notRecorded", 1000 - 10 + 254 - 10));
        window.add(from(1), event());
        assert_eq!(window.waiting.len(), 22, "another minute, another event");

        clock.set(Timestamp::from_seconds(1));
        window.turn(clock.now());
        assert_eq!(window.began, Timestamp::from_seconds(1), "a clock that was set back begins anew");
    }
}
