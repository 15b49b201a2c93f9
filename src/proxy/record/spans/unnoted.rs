//! The program without OpenTelemetry: nothing is noted.
#![expect(
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    reason = "each stands for one that does something where the feature is on"
)]

use http::{StatusCode, uri::PathAndQuery};

use crate::{
    model::trace::TraceContext,
    observe::journal::{Access, Decision},
    proxy::{record::Record, sanitize::Sanitized, trace::Trace, upstream::TargetPool, worker::Worker},
};

/// What a worker needs for spans: nothing.
#[derive(Debug, Default)]
pub struct Spans;

impl Spans {
    /// Hands them over.
    pub(in crate::proxy) const fn hand_over(&self) {}
}

/// What is noted of a request: nothing.
pub struct Noted;

impl Noted {
    pub(in crate::proxy) const fn begin(_: &Worker, _: TraceContext, _: &[u8; 32]) -> Self {
        Self
    }

    pub(in crate::proxy) const fn is_sampled(&self) -> bool {
        false
    }

    pub(in crate::proxy) const fn inherit(&mut self, _: &Worker, _: &[u8], _: Option<&Trace>) {}

    pub(in crate::proxy) const fn understood(&self, _: &Sanitized) {}

    pub(in crate::proxy) const fn decided(&self, _: &Decision<'_>) {}

    pub(in crate::proxy) const fn refused(&self, _: &'static str) {}

    pub(in crate::proxy) const fn forwards(&self, _: &PathAndQuery) {}

    pub(in crate::proxy) const fn client_span(&self) -> Option<[u8; 16]> {
        None
    }

    pub(in crate::proxy) const fn attempts(&self, _: &TargetPool) {}

    pub(in crate::proxy) const fn answered(&self, _: StatusCode) {}

    pub(in crate::proxy) const fn failed(&self, _: &'static str) {}

    pub(in crate::proxy) const fn finish(_: &Record, _: &Access<'_>) {}
}
