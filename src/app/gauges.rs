//! The numbers that are read when `/metrics` is asked.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::hashing::Pool;
use crate::{
    observe::{
        log,
        metrics::{Family, Gauge},
        sink::Sink,
    },
    proxy::gate::Gate,
    server::admission::{Admission, Loss},
};

/// What can be read of these.
pub(super) fn gauges(
    gate: &Arc<Gate>,
    (admission, loads): (&Arc<Admission>, &Arc<[Arc<AtomicUsize>]>),
    sink: &Sink,
    pool: &Arc<Pool>,
) -> Vec<Gauge> {
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let gauge = |name, help, counter, read| Gauge { name, help, counter, read };
    let (open, lost) = (Arc::clone(admission), sink.clone());
    let (pool, loads) = (Arc::clone(pool), Arc::clone(loads));
    let gates: [Arc<Gate>; 6] = std::array::from_fn(|_| Arc::clone(gate));
    let [tokens, hits, misses, revoked, people, websockets] = gates;
    vec![
        gauge("connections", "Open client connections", false, Box::new(move || count(open.open()))),
        gauge(
            "requests_in_flight",
            "Requests that are being answered, without WebSockets and streams of events",
            false,
            Box::new(move || count(loads.iter().map(|load| load.load(Ordering::Relaxed)).sum())),
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
            Box::new(move || lost.lost() + log::lost()),
        ),
    ]
}

/// The connections that clients lost, by reason.
pub(super) fn lost_connections(admission: &Admission) -> Vec<Family> {
    let family = |name, help, refused| {
        let of = Loss::ALL.into_iter().filter(|loss| loss.is_refusal() == refused);
        let sample = |loss: Loss| (vec![("cause", loss.name().to_owned())], admission.lost(loss));
        Family { name, help, counter: true, samples: of.map(sample).collect() }
    };
    vec![
        family("connections_refused", "Client connections that were not served, by cause", true),
        family("connections_ended", "Client connections that a limit has ended, by cause", false),
    ]
}
