//! How many files the process may have open at a time: each connection is one, a client's as well as one to an upstream.
//!
//! Invariant: the hard limit is the administrator's and stays as it is.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides connections: listening sockets, the database and its log, runtimes, files that are read.
const BESIDES: u64 = 200;

/// Raises the soft limit of open files (`RLIMIT_NOFILE`, getrlimit(2)) to the hard one. The soft one is often 1024, for the sake
/// of programs that use select(2); none of it is used here. Returns how many files may be open now; `None`: as many as there can be.
///
/// # Errors
/// The system's.
fn raise() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    }
    Ok(limit.maximum)
}

/// How many files so many connections of clients take, when each has one to an upstream.
fn needed(max_connections: usize) -> u64 {
    u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(BESIDES)
}

/// Allows the process as many open files as it may have, and says so when these are too few for `limits.max_connections`.
pub(super) fn allow(max_connections: usize) {
    let allowed = match raise() {
        Ok(allowed) => allowed,
        Err(error) => {
            tracing::warn!(%error, "the number of open files cannot be raised");
            getrlimit(Resource::Nofile).current
        }
    };
    let needed = needed(max_connections);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            max_connections,
            "fewer files may be open than limits.max_connections takes with as many connections to upstreams: raise the hard \
             limit (LimitNOFILE, ulimit -Hn), or lower limits.max_connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_counts_twice() {
        assert_eq!(needed(0), BESIDES);
        assert_eq!(needed(20_000), 40_000 + BESIDES);
        assert_eq!(needed(usize::MAX), u64::MAX);
    }
}
