//! The numbers that are read when `/metrics` is asked.

use std::sync::{Arc, atomic::Ordering};

use super::hashing::Pool;
use crate::{
    observe::{metrics::Gauge, sink::Sink},
    proxy::gate::Gate,
    server::admission::Admission,
};

/// What can be read of these.
pub(super) fn gauges(
    gate: &Arc<Gate>,
    admission: &Arc<Admission>,
    sink: &Sink,
    pool: &Arc<Pool>,
) -> Vec<Gauge> {
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let gauge = |name, help, counter, read| Gauge { name, help, counter, read };
    let (open, refused, lost) = (Arc::clone(admission), Arc::clone(admission), sink.clone());
    let pool = Arc::clone(pool);
    let gates: [Arc<Gate>; 6] = std::array::from_fn(|_| Arc::clone(gate));
    let [tokens, hits, misses, revoked, people, websockets] = gates;
    vec![
        gauge("connections", "Open client connections", false, Box::new(move || count(open.open()))),
        gauge(
            "connections_refused",
            "Client connections closed because there were too many",
            true,
            Box::new(move || count(refused.refused())),
        ),
        gauge(
            "token_cache_entries",
            "Remembered verdicts on tokens",
            false,
            Box::new(move || count(tokens.verdicts.len())),
        ),
        gauge(
            "token_cache_hits",
            "Tokens whose verdict was remembered; a connection's own memory does not count",
            true,
            Box::new(move || hits.verdicts.hits_and_misses().0),
        ),
        gauge(
            "token_cache_misses",
            "Tokens that had to be verified",
            true,
            Box::new(move || misses.verdicts.hits_and_misses().1),
        ),
        gauge(
            "websockets",
            "Open WebSockets",
            false,
            Box::new(move || count(websockets.websockets.load(Ordering::Relaxed))),
        ),
        gauge("revocations", "Live revocations", false, Box::new(move || count(revoked.revocations.len()))),
        gauge("people", "Users whom the gate knows", false, Box::new(move || count(people.people.len()))),
        gauge(
            "passwords_waiting",
            "Passwords that wait to be hashed",
            false,
            Box::new(move || count(pool.waiting())),
        ),
        gauge(
            "log_lines_lost",
            "Lines that the output did not take in time",
            true,
            Box::new(move || lost.lost()),
        ),
    ]
}
