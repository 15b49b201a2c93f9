//! Refusals, told three times: in the decision line, in the numbers, and in the memory that is asked why.
//!
//! Invariant: nothing here is called for a request that may pass by the rules.

use http::{HeaderValue, StatusCode};

use super::{gate::Outcome, record::Record, refusal::Refusal, sanitize::Sanitized};
use crate::{
    access::verdict::Verdict,
    oauth::{cause::Cause, error::ErrorCode},
    observe::{journal::Decision, refusals::Refused},
};

impl Record {
    /// Writes down that the request is refused; `verdict` on a token that was good, `sanitized` what was understood of it.
    pub(super) fn refused(
        &self,
        (refusal, verdict): (&Refusal, Option<&Verdict>),
        sanitized: Option<&Sanitized>,
    ) {
        let claims = verdict.map(|verdict| &verdict.claims);
        let line = Decision {
            id: self.id.as_bytes(),
            trace: self.trace_id(),
            route: self.route_label(),
            decision: refusal.decision(),
            cause: refusal.cause.name(),
            reason: &refusal.description,
            client: claims.map_or("", |claims| claims.client_id.as_str()),
            subject: claims.filter(|claims| !claims.is_service()).map_or("", |claims| &claims.sub),
            jti: claims.map_or("", |claims| &claims.jti),
        };
        let now = self.worker().gate().clock.now();
        self.decide(now, line);
        let (status, host) = (refusal.status, sanitized.map_or("", Sanitized::host));
        // Who is led to the login page was not turned away.
        if refusal.code != ErrorCode::LoginRequired {
            self.keep(line, refusal.cause, (status, host));
        }
    }

    /// Refuses the request if it is one too many, and writes that down. It is not kept: there is nothing to ask about it, and
    /// what is kept is shared by all workers.
    pub(super) fn shed(&mut self) -> Option<Refusal> {
        if !self.worker().has_too_many() {
            return None;
        }
        let refusal = Refusal::overloaded();
        let line = Decision {
            id: self.id.as_bytes(),
            decision: refusal.decision(),
            trace: self.trace_id(),
            cause: refusal.cause.name(),
            reason: &refusal.description,
            ..Decision::default()
        };
        let now = self.worker().gate().clock.now();
        self.decide(now, line);
        self.worker().journal().refused(refusal.cause.name());
        self.worker().journal().shed("requests");
        self.discount();
        Some(refusal)
    }

    /// The same of one of our own endpoints, whose decision line is written.
    pub(super) fn own_refused(&self, outcome: &Outcome, (status, host): (StatusCode, &HeaderValue)) {
        let line = Decision {
            id: self.id.as_bytes(),
            route: self.route_label(),
            decision: outcome.decision,
            reason: &outcome.reason,
            client: &outcome.client,
            jti: &outcome.jti,
            ..Decision::default()
        };
        // Reasons of the protocol begin with its code.
        let named = || Cause::named(outcome.reason.split(':').next().unwrap_or_default());
        let cause = outcome.cause.or_else(named).unwrap_or_else(|| of_status(status));
        self.keep(line, cause, (status, host.to_str().unwrap_or_default()));
    }

    /// The same of a request that was permitted, and that its upstream did not answer.
    pub(super) fn unanswered(&self, refusal: &Refusal) {
        let line = Decision {
            id: self.id.as_bytes(),
            route: self.route_label(),
            decision: refusal.decision(),
            reason: &refusal.description,
            ..Decision::default()
        };
        self.keep(line, refusal.cause, (refusal.status, ""));
    }

    /// Keeps why a request would be refused that goes on, and whose decision line is written. It is counted as a decision alone.
    pub(super) fn let_pass(&self, line: Decision<'_>, refusal: &Refusal, sanitized: &Sanitized) {
        // Who is led to the login page would not be turned away.
        if refusal.code != ErrorCode::LoginRequired {
            self.remember(line, refusal.cause, (refusal.status, sanitized.host()));
        }
    }

    fn keep(&self, line: Decision<'_>, cause: Cause, answer: (StatusCode, &str)) {
        self.worker().journal().refused(cause.name());
        self.noted.refused(cause.name());
        self.remember(line, cause, answer);
    }

    fn remember(&self, line: Decision<'_>, cause: Cause, (status, host): (StatusCode, &str)) {
        let gate = self.worker().gate();
        let (method, path) = self.asked();
        let rule = self.view.route(self.route).and_then(|route| route.policy.rule(method, path));
        gate.refusals.keep(Refused {
            time: self.now,
            id: self.id.as_str().to_owned(),
            method: method.as_str().to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            status: status.as_u16(),
            route: line.route.to_owned(),
            rule: rule.map(|rule| rule.number),
            decision: line.decision,
            cause: cause.name(),
            reason: line.reason.to_owned(),
            client: line.client.to_owned(),
            user: line.subject.to_owned(),
            jti: line.jti.to_owned(),
            source: self.source(),
        });
    }
}

/// The cause of an answer that names none.
const fn of_status(status: StatusCode) -> Cause {
    Cause::Code(match status.as_u16() {
        401 => ErrorCode::Unauthorized,
        // A form that leads back to its page with what was wrong is one of them.
        300..=399 | 403 => ErrorCode::AccessDenied,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        413 => ErrorCode::ContentTooLarge,
        429 => ErrorCode::TooManyRequests,
        503 => ErrorCode::TemporarilyUnavailable,
        500..=599 => ErrorCode::ServerError,
        _ => ErrorCode::InvalidRequest,
    })
}
