//! How many connections there may be, in all and from one source.
//!
//! Invariant: what was admitted is given back exactly once, however the connection ends.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
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
    refused: AtomicUsize,
}

/// The right to have a connection open.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    source: IpAddr,
}

impl Admission {
    /// At most `max` connections, and `max_per_source` from one address.
    #[must_use]
    pub fn new(max: usize, max_per_source: usize) -> Arc<Self> {
        let by_source = DashMap::new();
        Arc::new(Self {
            open: AtomicUsize::new(0),
            by_source,
            max,
            max_per_source,
            refused: AtomicUsize::new(0),
        })
    }

    /// Admits a connection, or not.
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Ticket> {
        let refuse = || {
            self.refused.fetch_add(1, Ordering::Relaxed);
        };
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            refuse();
            return None;
        }
        let mut count = self.by_source.entry(source).or_insert(0);
        if *count >= self.max_per_source {
            drop(count);
            self.open.fetch_sub(1, Ordering::Relaxed);
            refuse();
            return None;
        }
        *count += 1;
        drop(count);
        Some(Ticket { admission: Arc::clone(self), source })
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were refused since the start.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(mut entry) = self.admission.by_source.entry(self.source) {
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
        assert_eq!((admission.open(), admission.refused()), (3, 2));
        drop((one, two, three));
        assert_eq!(admission.open(), 0);
        assert!(admission.by_source.is_empty());
        assert!(admission.admit(source(1)).is_some());
    }
}
