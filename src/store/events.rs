//! The audit log, as the store offers it.
//!
//! Invariants: whatever changes a record of people, services, keys, consents or revocations writes its event in the same
//! transaction, so that neither is ever there without the other; events are added and never changed.

use std::fmt;

use async_trait::async_trait;

use super::{Result, SharedStore};
use crate::{
    base::{id::UserId, time::Timestamp},
    model::event::{Author, Event, EventKind, NewEvent, TargetKind},
};

/// The hash of an event, which covers every event before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What comes before the first event.
    pub const GENESIS: Self = Self([0; 32]);

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which events are wanted; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// What happened.
    pub kind: Option<EventKind>,
    /// To what kind of thing.
    pub target_kind: Option<TargetKind>,
    /// To the one with this id.
    pub target: Option<String>,
    /// By the user or service with this id.
    pub author: Option<String>,
    /// By this user, to this user or to what is this user's.
    pub concerning: Option<UserId>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
}

/// Which part of them: the newest come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPage {
    /// Only those with a lower sequence number; how the page after this one is asked for without counting.
    pub before: Option<i64>,
    /// So many of the newest are left out.
    pub skip: u64,
    /// At most so many.
    pub top: u64,
}

impl EventPage {
    /// The newest ones.
    #[must_use]
    pub const fn newest(top: u64) -> Self {
        Self { before: None, skip: 0, top }
    }
}

/// The first place at which the log is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The sequence number.
    pub sequence: i64,
    /// What is wrong there.
    pub why: &'static str,
}

/// What a verification has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events hold, from the first on.
    pub events: u64,
    /// How many of these have had their personal data erased.
    pub erased: u64,
    /// The hash of the last event that holds.
    pub head: ChainHash,
    /// The sequence number under which the hash that was asked for was found.
    pub noted: Option<i64>,
    /// Where it breaks.
    pub broken: Option<Break>,
}

/// The audit log.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// The same store, whose writes are recorded as this author's. Cheap.
    fn acting(&self, by: Author) -> SharedStore;

    /// Records what goes with no change of a record, all in one transaction. None: nothing is written.
    async fn note(&self, events: &[NewEvent]) -> Result<()>;

    /// The events that match, the newest first.
    async fn list_events(&self, filter: &EventFilter, page: EventPage) -> Result<Vec<Event>>;

    /// How many match, but counted no further than `most`.
    async fn count_events(&self, filter: &EventFilter, most: u64) -> Result<u64>;

    /// The event with this sequence number.
    async fn find_event(&self, sequence: i64) -> Result<Option<Event>>;

    /// Goes through all events from the first on and computes every hash anew, up to the first that is not what it
    /// should be. `noted` is a hash that was the head at some time.
    async fn verify_events(&self, noted: Option<ChainHash>) -> Result<Verified>;

    /// Takes presentations, changes, requests and sources out of all events that concern this user, which is an event
    /// itself. The hashes still verify. Returns how many.
    async fn erase_events(&self, user: &UserId) -> Result<u64>;
}
