//! The program without OpenTelemetry: it sends no spans, and its configuration asks for none.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::{
    app::StartError, base::random::Random, config::Config, observe::metrics::Totals,
    proxy::record::spans::Spans,
};

/// Nothing.
pub(in crate::app) struct Telemetry;

impl Telemetry {
    #[expect(clippy::unnecessary_wraps, reason = "the other one may fail")]
    pub(in crate::app) fn start(
        _: &Config,
        _: &Arc<Totals>,
        _: &dyn Random,
        _: &Runtime,
    ) -> Result<Self, StartError> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "the other one has what it needs")]
    pub(in crate::app) fn spans(&self) -> impl FnOnce() -> Spans + Send + use<> {
        Spans::default
    }

    #[expect(clippy::unused_self, reason = "the other one has something to end")]
    pub(in crate::app) const fn end(&mut self, _: &Runtime) {}
}
