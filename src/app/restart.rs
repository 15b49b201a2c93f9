//! What a reload cannot change.

use std::num::NonZeroUsize;

use crate::config::Config;

/// What of a configuration is used at the start only.
pub(super) fn only_by_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let listen = |c: &Config| {
        let l = &c.listen;
        (l.https.clone(), l.http.clone(), l.management, l.workers, l.proxy_protocol)
    };
    let limits = |c: &Config| {
        let l = &c.limits;
        let times = [
            l.handshake_timeout,
            l.header_timeout,
            l.body_timeout,
            l.write_timeout,
            l.idle_timeout,
            l.drain_timeout,
        ];
        (
            times,
            l.min_answer_rate,
            [
                l.max_header_size,
                l.max_headers,
                l.max_connections,
                l.max_connections_per_source,
                l.max_requests,
                l.token_cache,
                l.password_threads.map_or(0, NonZeroUsize::get),
                l.password_queue,
            ],
            l.max_streams,
        )
    };
    let log = |c: &Config| (c.log.format, c.log.level, c.log.access);
    let changes = [
        ("listen", listen(before) != listen(after)),
        ("tls", super::certificate_files(before) != super::certificate_files(after)),
        ("store.url", before.store != after.store),
        ("data_dir", before.data_dir != after.data_dir),
        ("limits (except rates, max_body_size and min_body_rate)", limits(before) != limits(after)),
        ("log", log(before) != log(after)),
        ("telemetry", before.telemetry != after.telemetry),
        (
            "public_url, for the listeners that redirect",
            before.public_url != after.public_url && !after.listen.http.is_empty(),
        ),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
