//! What was permitted and is still going on: whether it would be permitted now.
//!
//! Invariant: it is judged by what a new request would be judged by, on the route on which it began and by the rules that the
//! route has now; what cannot be judged is not permitted.

use std::{fmt, rc::Rc};

use http::{Method, uri::PathAndQuery};

use super::{gate::Gate, record::Record, refusal::Refusal, route::Route, worker::View};
use crate::{
    access::{
        policy::{Permit, Requirement},
        verdict::Standing,
    },
    base::time::Timestamp,
    model::upstream::OnExpiry,
    observe::journal::{Decision, RouteNumber},
};

/// What was permitted, and to which request.
pub(super) struct Held {
    permit: Permit,
    method: Method,
    target: PathAndQuery,
    view: Rc<View>,
    route: RouteNumber,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target.path())
    }
}

/// What a worker knows when it looks.
pub(super) struct Look<'a> {
    pub(super) gate: &'a Gate,
    pub(super) view: &'a View,
    pub(super) at: Timestamp,
    /// There was news of tokens and people since the last look.
    pub(super) news: bool,
    /// The snapshot was replaced a moment ago.
    pub(super) replaced: bool,
}

impl Held {
    /// Of a request that was permitted.
    pub(super) fn new(
        permit: Permit,
        (method, target): (Method, PathAndQuery),
        (view, route): (Rc<View>, RouteNumber),
    ) -> Self {
        Self { permit, method, target, view, route }
    }

    /// Whether an answer that has an end of its own may go on to it.
    pub(super) fn may_end(&self) -> bool {
        self.view.route(self.route).is_some_and(|route| route.on_expiry == OnExpiry::Drain)
    }

    /// What was let through only because nothing was enforced.
    fn judge_unenforced(&self, look: &Look<'_>) -> Result<(), Refusal> {
        let enforces = |route: &Route| route.policy.enforce;
        let ends = self.permit.is_unenforced()
            && look.replaced
            && look.view.same_route(&self.view, self.route).is_some_and(enforces);
        if ends { Err(Refusal::token_needed()) } else { Ok(()) }
    }

    /// Judges it again, where there is a reason to. `fresh`: for the first time.
    pub(super) fn judge(&mut self, look: &Look<'_>, fresh: bool) -> Result<(), Refusal> {
        let Some(verdict) = self.permit.identity() else { return self.judge_unenforced(look) };
        let expired = look.at >= verdict.claims.expires();
        if !(look.news || look.replaced || fresh || expired) {
            return Ok(());
        }
        let judge = look.gate.judge(&look.view.snapshot, look.at);
        let standing = verdict.standing(&look.gate.verdicts, judge);
        if !look.replaced && matches!(standing, Ok(Standing::Unchanged)) {
            return Ok(());
        }
        let renewed = verdict.renewed(&look.gate.verdicts, judge).map_err(Refusal::invalid_token)?;
        self.permit = match look.view.same_route(&self.view, self.route) {
            // A route that is gone takes no new requests; what began on it goes on.
            None => self.permit.renewed(renewed),
            Some(route) => match route.policy.requirement(&self.method, self.target.path()) {
                Requirement::Public => self.permit.renewed(renewed),
                requirement => route.policy.admit(requirement, renewed).map_err(Refusal::denied)?,
            },
        };
        Ok(())
    }
}

/// Writes that something was ended because it would not be permitted any more.
pub(super) fn ended(record: &Record, refusal: &Refusal) {
    let line = Decision {
        id: record.id.as_bytes(),
        trace: record.trace_id(),
        route: record.route_label(),
        decision: "ended",
        reason: &refusal.description,
        ..Decision::default()
    };
    let now = record.worker().gate().clock.now();
    record.decide(now, line);
}
