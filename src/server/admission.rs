//! How many connections there may be, in all and from one source, and why others were refused or ended.
//!
//! Invariant: what was admitted is given back exactly once, however the connection ends.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::{DashMap, Entry};

/// The open connections of all workers.
#[derive(Debug)]
pub struct Admission {
    open: AtomicUsize,
    by_source: DashMap<IpAddr, usize>,
    max: usize,
    max_per_source: usize,
    lost: [AtomicU64; Loss::ALL.len()],
}

/// Why a client lost its connection, or did not get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// There were too many in all.
    Connections,
    /// There were too many from its source.
    Source,
    /// A header of the PROXY protocol is wanted, and it is no proxy that may send one.
    UntrustedProxy,
    /// A header of the PROXY protocol is wanted, and there was none, or not in time.
    ProxyHeader,
    /// The TLS handshake did not end in time.
    Handshake,
    /// The head of a request did not.
    Header,
    /// Answers were left unread.
    Unread,
    /// Answers were read too slowly.
    Slow,
    /// Nothing was asked for.
    Idle,
    /// There were too many frames of HTTP/2 that carried nothing.
    Frames,
    /// Too many requests over HTTP/2 were given up.
    Resets,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Connections,
        Self::Source,
        Self::UntrustedProxy,
        Self::ProxyHeader,
        Self::Handshake,
        Self::Header,
        Self::Unread,
        Self::Slow,
        Self::Idle,
        Self::Frames,
        Self::Resets,
    ];

    /// In numbers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Source => "source",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::ProxyHeader => "proxy_header",
            Self::Handshake => "handshake_timeout",
            Self::Header => "header_timeout",
            Self::Unread => "write_timeout",
            Self::Slow => "min_answer_rate",
            Self::Idle => "idle_timeout",
            Self::Frames => "http2_frames",
            Self::Resets => "http2_resets",
        }
    }

    /// Whether the connection was refused, not ended later.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Connections | Self::Source | Self::UntrustedProxy | Self::ProxyHeader)
    }
}

/// The right to have a connection open.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    /// Whom it counts for; `None` as long as that is not known.
    source: Option<IpAddr>,
}

impl Admission {
    /// At most `max` connections, and `max_per_source` from one address.
    #[must_use]
    pub fn new(max: usize, max_per_source: usize) -> Arc<Self> {
        let by_source = DashMap::new();
        Arc::new(Self { open: AtomicUsize::new(0), by_source, max, max_per_source, lost: Default::default() })
    }

    /// Admits a connection of a source, or not.
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Ticket> {
        let mut ticket = self.admit_unknown()?;
        ticket.is_of(source).then_some(ticket)
    }

    /// Admits a connection whose source is not known yet: [`Ticket::is_of`] says it later.
    pub fn admit_unknown(self: &Arc<Self>) -> Option<Ticket> {
        // Counted first: of two that come at once, one may be the last.
        let ticket = Ticket { admission: Arc::clone(self), source: None };
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count(Loss::Connections);
            return None;
        }
        Some(ticket)
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection that a client lost.
    pub fn count(&self, loss: Loss) {
        if let Some(count) = self.lost.get(loss as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were lost for this reason since the start.
    #[must_use]
    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost.get(loss as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Ticket {
    /// Where it came from.
    #[must_use]
    pub const fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The source of the connection is known. Whether it may have one more; else the ticket is worth nothing.
    #[must_use]
    pub fn is_of(&mut self, source: IpAddr) -> bool {
        let mut count = self.admission.by_source.entry(source).or_insert(0);
        if *count >= self.admission.max_per_source {
            drop(count);
            self.admission.count(Loss::Source);
            return false;
        }
        *count += 1;
        drop(count);
        self.source = Some(source);
        true
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        if let Entry::Occupied(mut entry) = self.admission.by_source.entry(source) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_in_all_and_by_source() {
        let admission = Admission::new(3, 2);
        let source = |last| IpAddr::from([127, 0, 0, last]);
        let one = admission.admit(source(1)).unwrap();
        let two = admission.admit(source(1)).unwrap();
        assert!(admission.admit(source(1)).is_none());
        let three = admission.admit(source(2)).unwrap();
        assert!(admission.admit(source(3)).is_none());
        assert_eq!(admission.open(), 3);
        assert_eq!((admission.lost(Loss::Source), admission.lost(Loss::Connections)), (1, 1));
        drop((one, two, three));
        assert_eq!(admission.open(), 0);
        assert!(admission.by_source.is_empty());
        assert!(admission.admit(source(1)).is_some());
    }
    #[test]
    fn a_source_that_is_known_later_is_counted_then() {
        let admission = Admission::new(3, 1);
        let source = IpAddr::from([127, 0, 0, 1]);
        let (mut one, mut two) = (admission.admit_unknown().unwrap(), admission.admit_unknown().unwrap());
        assert!(admission.by_source.is_empty());
        assert!(one.is_of(source) && !two.is_of(source));
        drop(two);
        assert_eq!((admission.open(), admission.by_source.len()), (1, 1), "what it counted for stays");
        drop(one);
        assert!(admission.by_source.is_empty() && admission.open() == 0);
    }

    #[test]
    fn each_loss_has_a_name_and_a_place() {
        for (place, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, place, "{}", loss.name());
            assert_eq!(Loss::ALL.iter().filter(|other| other.name() == loss.name()).count(), 1);
        }
    }
}
