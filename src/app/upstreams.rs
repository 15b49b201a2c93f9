//! The numbers of upstreams and their targets, as `/metrics` shows them.

use crate::{
    observe::metrics::{Family, Labels},
    proxy::upstream::status::{TargetStatus, UpstreamStatus},
};

/// All of them.
pub(super) fn families(upstreams: &[UpstreamStatus]) -> Vec<Family> {
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let by_target = |name, help, counter, read: &dyn Fn(&TargetStatus) -> u64| {
        let of = |upstream: &UpstreamStatus| -> Vec<(Labels, u64)> {
            upstream.targets.iter().map(|target| (labels(upstream, Some(target)), read(target))).collect()
        };
        Family { name, help, counter, samples: upstreams.iter().flat_map(of).collect() }
    };
    let by_upstream = |name, help, counter, read: &dyn Fn(&UpstreamStatus) -> u64| {
        let samples = upstreams.iter().map(|upstream| (labels(upstream, None), read(upstream))).collect();
        Family { name, help, counter, samples }
    };
    vec![
        by_target("upstream_up", "Whether a target is given requests: 1 or 0", false, &|target| {
            u64::from(target.state.takes_requests())
        }),
        by_target("upstream_connections", "Open connections to a target", false, &|target| {
            number(target.connections)
        }),
        by_target("upstream_requests", "Requests that a target was given", true, &|target| target.requests),
        failures(upstreams),
        by_upstream("upstream_retries", "Requests that were sent again", true, &|upstream| upstream.retries),
        by_upstream("upstream_waiting", "Requests that wait for a connection", false, &|upstream| {
            number(upstream.waiting)
        }),
    ]
}

fn failures(upstreams: &[UpstreamStatus]) -> Family {
    let mut samples = Vec::new();
    for upstream in upstreams {
        for target in &upstream.targets {
            for (cause, count) in target.failures.iter().filter(|(_, count)| *count > 0) {
                let mut labels = labels(upstream, Some(target));
                labels.push(("cause", (*cause).to_owned()));
                samples.push((labels, *count));
            }
        }
    }
    Family { name: "upstream_failures", help: "Failures of a target, by cause", counter: true, samples }
}

fn labels(upstream: &UpstreamStatus, target: Option<&TargetStatus>) -> Labels {
    let mut labels = vec![("upstream", upstream.upstream.to_string())];
    labels.extend(target.map(|target| ("target", target.target.to_string())));
    labels
}
