//! Spans on their way to the collector that the configuration names.
//!
//! Invariant: what is still to be sent when the gateway stops is sent within a bounded time, or dropped.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle, time::timeout};
use uuid::Builder;

use crate::{
    app::StartError,
    base::random::Random,
    config::{self, Config},
    observe::{
        metrics::Totals,
        otel::{self, Collector, Outlet},
    },
    proxy::record::spans::Spans,
    server::tls,
};

/// How long a gateway that stops may take to send the last spans.
const LAST: Duration = Duration::from_secs(3);

/// See the module.
pub(in crate::app) struct Telemetry {
    outlet: Option<(Outlet, u32)>,
    /// Tells the exporter that no more will come, and the exporter.
    exporter: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Telemetry {
    /// Begins to send, where the configuration says where to.
    pub(in crate::app) fn start(
        config: &Config,
        totals: &Arc<Totals>,
        random: &dyn Random,
        control: &Runtime,
    ) -> Result<Self, StartError> {
        let Some(telemetry) = &config.telemetry else { return Ok(Self { outlet: None, exporter: None }) };
        let instance = Builder::from_random_bytes(random.bytes()).into_uuid().to_string();
        let resource = vec![
            ("service.name", telemetry.service_name.clone()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", instance),
        ];
        let (outlet, exporter, end) = otel::queue(collector(telemetry)?, resource, totals);
        let exporter = control.spawn(exporter.run());
        Ok(Self { outlet: Some((outlet, telemetry.sample)), exporter: Some((end, exporter)) })
    }

    /// One worker's, made on its thread.
    pub(in crate::app) fn spans(&self) -> impl FnOnce() -> Spans + Send + use<> {
        let outlet = self.outlet.clone();
        move || outlet.map_or_else(Spans::default, |(outlet, sample)| Spans::new(outlet, sample))
    }

    /// Sends what there is. The workers have handed over.
    pub(in crate::app) fn end(&mut self, control: &Runtime) {
        let Some((end, exporter)) = self.exporter.take() else { return };
        let _ = end.send(());
        if !matches!(control.block_on(async { timeout(LAST, exporter).await }), Ok(Ok(()))) {
            tracing::warn!("the last spans could not be sent");
        }
    }
}

fn collector(telemetry: &config::Telemetry) -> Result<Collector, StartError> {
    let tls = telemetry.tls.then(|| tls::client_config(telemetry.ca.as_deref(), None, &[b"http/1.1"]));
    let headers = telemetry.headers.iter().filter_map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((name.clone(), value))
    });
    Ok(Collector {
        host: telemetry.host.clone(),
        port: telemetry.port,
        tls: tls.transpose()?,
        path: telemetry.path.clone(),
        headers: headers.collect(),
        timeout: telemetry.timeout,
    })
}
