//! Upstreams whose rules are not enforced: what they would refuse goes on, and is written down.
//!
//! Invariants: only what is about who asks is let through; a request that cannot be read in one way, is too large or too much
//! is refused here as everywhere. What goes on names nobody, and takes no credential of ours along.

use http::header::AUTHORIZATION;

use super::{
    Denied, Judged,
    browser::Found,
    decide,
    peer::Peer,
    record::Record,
    refusal::{Form, Refusal},
    route::Route,
    sanitize::Sanitized,
};
use crate::{
    access::{foreign::is_foreign, policy::Permit},
    model::upstream::Credential,
    observe::{journal::Decision, refusals::WOULD_REFUSE},
};

/// Decides on a request for a route, and writes the decision line when it may pass. Where the upstream does not enforce its
/// rules, what they refuse passes too.
pub(super) fn judge(
    (record, peer): (&Record, &Peer),
    route: &Route,
    sanitized: &Sanitized,
    form: Form,
    found: Found,
) -> Result<Judged, Denied> {
    decide((record, peer), route, sanitized, form, found)
        .or_else(|denied| instead(record, route, sanitized, denied))
}

fn instead(record: &Record, route: &Route, sanitized: &Sanitized, denied: Denied) -> Result<Judged, Denied> {
    let (refusal, verdict) = &denied;
    let Some(permit) = unenforced(route, refusal) else { return Err(denied) };
    let claims = verdict.as_ref().map(|verdict| &verdict.claims);
    let line = Decision {
        id: record.id.as_bytes(),
        trace: record.trace_id(),
        route: &route.label,
        decision: WOULD_REFUSE,
        cause: refusal.cause.name(),
        reason: &refusal.description,
        client: claims.map_or("", |claims| claims.client_id.as_str()),
        subject: claims.filter(|claims| !claims.is_service()).map_or("", |claims| &claims.sub),
        jti: claims.map_or("", |claims| &claims.jti),
    };
    record.decide(record.now, line);
    record.let_pass(line, refusal, sanitized);
    Ok(Judged::Permitted(permit, None))
}

/// The permit of a request that was refused, where the upstream does not enforce that.
pub(super) fn unenforced(route: &Route, refusal: &Refusal) -> Option<Permit> {
    route.policy.admit_unproven().filter(|_| refusal.is_about_who_asks())
}

/// Whether the client's own `Authorization` goes on to the upstream.
pub(super) fn passes_on(record: &Record, route: &Route, permit: &Permit, sanitized: &Sanitized) -> bool {
    if route.policy.enforce || permit.identity().is_some() {
        return route.credential == Credential::Pass;
    }
    let gate = record.worker().gate();
    let judge = gate.judge(&record.view.snapshot, record.now);
    let foreign = || {
        let mut values = sanitized.parts.headers.get_all(AUTHORIZATION).iter();
        values.all(|value| is_foreign(value.as_bytes(), judge))
    };
    unproven_passes(route.credential, permit.is_unenforced(), foreign)
}

/// Whether the `Authorization` of a request that names nobody goes on, where nothing is enforced.
pub(super) fn unproven_passes(
    credential: Credential,
    refused: bool,
    is_foreign: impl FnOnce() -> bool,
) -> bool {
    match credential {
        Credential::None => false,
        // As where it is enforced: an address that is open to all.
        Credential::Pass if !refused => true,
        // The upstream still judges what others have issued.
        Credential::Pass | Credential::Scoped => is_foreign(),
    }
}
