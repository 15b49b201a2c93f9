//! What is said when the process may open no more files: sockets of clients cannot be accepted then, and none can be opened to upstreams.
//!
//! Invariant: it is said at most once a second, whichever worker, listener and request meets it: how many files may be open is a
//! matter of the process, and those who meet it come by the thousand.

use std::{
    io,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::io::Errno;

/// How often it is said at most.
const EACH: Duration = Duration::from_secs(1);

/// Whether an operation failed because the process or the system has as many files open as it may (EMFILE, ENFILE), or no memory for
/// another socket (ENOBUFS, ENOMEM).
#[must_use]
pub fn are_out(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| exhausted.contains(&error))
}

/// Whether it is to be said now. Whoever is told so says it.
#[must_use]
pub fn are_to_be_told() -> bool {
    static COMPLAINT: Complaint = Complaint::new();
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    COMPLAINT.is_due(START.elapsed())
}

/// When something was said last.
struct Complaint {
    /// In milliseconds after the first moment, and one more; 0: never.
    last: AtomicU64,
}

impl Complaint {
    const fn new() -> Self {
        Self { last: AtomicU64::new(0) }
    }

    /// Whether it is due at this time after the first moment. Of those who ask at once, one is told so.
    fn is_due(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let each = u64::try_from(EACH.as_millis()).unwrap_or(u64::MAX);
        let due = |last: u64| (last == 0 || now.saturating_sub(last) >= each).then_some(now);
        self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_second_whoever_asks() {
        let complaint = Complaint::new();
        let at = |millis| complaint.is_due(Duration::from_millis(millis));
        assert!(at(0) && !at(0) && !at(999));
        assert!(at(1000) && !at(1001) && !at(1999));
        assert!(at(7000));
        // Another thread looked at the clock a little earlier.
        assert!(!at(6999));
        let complaint = Complaint::new();
        let told = std::thread::scope(|scope| {
            let asking: Vec<_> =
                (0..8).map(|_| scope.spawn(|| complaint.is_due(Duration::from_secs(3)))).collect();
            asking.into_iter().map(|one| one.join().unwrap()).filter(|told| *told).count()
        });
        assert_eq!(told, 1);
    }

    #[test]
    fn being_out_of_files_is_told_from_other_failures() {
        for (error, is) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::CONNREFUSED, false),
            (Errno::CONNABORTED, false),
        ] {
            assert_eq!(are_out(&error.into()), is, "{error}");
        }
        assert!(!are_out(&io::Error::other("something else")));
    }
}
