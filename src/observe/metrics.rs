//! The numbers of `/metrics`: counted by each worker for itself, summed here now and then.
//!
//! Invariant: the path of a request takes no lock and no shared cache line for a number.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

/// Upper bounds of the duration histogram, microseconds.
pub const BUCKETS: [u64; 13] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// A histogram of durations, counted by one thread.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    buckets: [u64; BUCKETS.len() + 1],
    micros: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, micros: u64) {
        let at = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.micros = self.micros.saturating_add(micros);
    }

    /// How many fell into each bucket; the last is of what is longer than all bounds.
    pub(super) const fn buckets(&self) -> &[u64; BUCKETS.len() + 1] {
        &self.buckets
    }

    /// What has come since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut new = self.clone();
        for (count, less) in new.buckets.iter_mut().zip(before.buckets) {
            *count = count.saturating_sub(less);
        }
        new.micros = new.micros.saturating_sub(before.micros);
        new
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += more;
        }
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// The names and values of a metric's labels, in order.
pub type Labels = Vec<(&'static str, String)>;

/// Sums since the start.
#[derive(Debug, Default)]
pub struct Totals {
    counters: Mutex<BTreeMap<(&'static str, Labels), u64>>,
    durations: Mutex<BTreeMap<String, Histogram>>,
    families: Mutex<Option<Families>>,
}

/// Values with labels, which are read when `/metrics` is asked.
#[derive(Debug)]
pub struct Family {
    /// Without `hubgate_` and `_total`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only grows.
    pub counter: bool,
    /// The values.
    pub samples: Vec<(Labels, u64)>,
}

/// Reads [`Family`]s.
struct Families(Box<dyn Fn() -> Vec<Family> + Send + Sync>);

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Families")
    }
}

impl Totals {
    /// Adds to a counter. `name` is without `hubgate_` and `_total`.
    pub fn add(&self, name: &'static str, labels: Labels, count: u64) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        *counters.entry((name, labels)).or_default() += count;
    }

    /// What was counted for a route, whatever else the counter tells apart.
    #[must_use]
    pub fn of_route(&self, name: &'static str, route: &str) -> u64 {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let from = (name, Labels::new());
        let of_name = counters.range(from..).take_while(|((known, _), _)| *known == name);
        let is_it = |labels: &Labels| labels.iter().any(|(label, value)| *label == "route" && value == route);
        of_name.filter(|((_, labels), _)| is_it(labels)).map(|(_, count)| count).sum()
    }

    /// Shows each counter with its labels and its sum.
    pub(super) fn visit(&self, mut visitor: impl FnMut(&'static str, &Labels, u64)) {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for ((name, labels), count) in counters.iter() {
            visitor(name, labels, *count);
        }
    }

    /// The histograms by route.
    pub(super) fn durations(&self) -> BTreeMap<String, Histogram> {
        self.durations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has these read, too, when `/metrics` is asked.
    pub fn also(&self, read: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        *self.families.lock().unwrap_or_else(PoisonError::into_inner) = Some(Families(Box::new(read)));
    }

    /// Adds a worker's histogram of a route.
    pub fn add_durations(&self, route: &str, durations: &Histogram) {
        let mut all = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(route.to_owned()).or_default().add(durations);
    }
}

/// A value that is read when `/metrics` is asked.
pub struct Gauge {
    /// Without `hubgate_`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only grows.
    pub counter: bool,
    /// Reads it.
    pub read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What is known of each counter, so that it is described once.
const COUNTERS: &[(&str, &str)] = &[
    ("requests", "Requests that are over, by route, method and status"),
    ("decisions", "Decisions on requests, by route"),
    ("refusals", "Refused requests, by cause"),
    ("shed", "Requests refused at once because there was too much to do, by what there was too much of"),
    ("tokens_issued", "Access tokens issued, by grant"),
    ("logins", "Attempts to sign in, by result"),
    ("mails", "Letters to people, by what they are about and what became of them"),
    ("token_errors", "Refusals of the token endpoint, by error"),
    ("upstream_errors", "Requests that an upstream did not answer, by route and kind"),
    ("websockets_opened", "WebSockets opened, by route"),
    ("upstream_connections_opened", "Connections opened to upstreams, by route"),
    #[cfg(feature = "otel")]
    ("spans_sent", "Spans that the OpenTelemetry collector has taken"),
    #[cfg(feature = "otel")]
    ("spans_dropped", "Spans that were lost, by cause"),
];

/// Writes everything in the OpenMetrics text format.
///
/// # Errors
/// When formatting fails, which it does not.
pub fn render(totals: &Arc<Totals>, gauges: &Arc<Vec<Gauge>>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hubgate");
    registry
        .register_collector(Box::new(Everything { totals: Arc::clone(totals), gauges: Arc::clone(gauges) }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Everything {
    totals: Arc<Totals>,
    gauges: Arc<Vec<Gauge>>,
}

impl Collector for Everything {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = self.totals.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, help) in COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for ((_, labels), count) in counters.iter().filter(|((known, _), _)| known == name) {
                // An empty set of labels would be written as one.
                if labels.is_empty() {
                    metric.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                } else {
                    metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                }
            }
        }
        let durations = self.totals.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let help = "Time from the request's head to the end of the answer, by route";
        let mut metric =
            encoder.encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?;
        for (route, histogram) in durations.iter() {
            histogram.encode(metric.encode_family(&[("route", route.as_str())])?)?;
        }
        let families = self.totals.families.lock().unwrap_or_else(PoisonError::into_inner);
        for family in families.iter().flat_map(|families| (families.0)()) {
            let kind = if family.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in &family.samples {
                let mut sample = metric.encode_family(labels)?;
                if family.counter {
                    sample.encode_counter::<NoLabelSet, _, u64>(value, None)?;
                } else {
                    sample.encode_gauge(&i64::try_from(*value).unwrap_or(i64::MAX))?;
                }
            }
        }
        for gauge in self.gauges.iter() {
            let value = (gauge.read)();
            let kind = if gauge.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(gauge.name, gauge.help, None, kind)?;
            if gauge.counter {
                metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            } else {
                metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        #[expect(clippy::cast_precision_loss, reason = "a sum of microseconds beyond 2^53 is 285 years")]
        let seconds = |micros: u64| micros as f64 / 1e6;
        let bounds = BUCKETS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets).collect();
        encoder.encode_histogram::<NoLabelSet>(
            seconds(self.micros),
            self.buckets.iter().sum(),
            &buckets,
            None,
        )
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_names_that_others_depend_on() {
        let totals = Arc::new(Totals::default());
        let labels =
            vec![("route", "/a".to_owned()), ("method", "GET".to_owned()), ("status", "200".to_owned())];
        totals.add("requests", labels.clone(), 2);
        totals.add("requests", labels, 1);
        totals.add("mails", Vec::new(), 5);
        let mut histogram = Histogram::default();
        for micros in [50, 300, 20_000_000] {
            histogram.observe(micros);
        }
        totals.add_durations("/a", &histogram);
        let gauges = vec![Gauge {
            name: "connections",
            help: "Open connections",
            counter: false,
            read: Box::new(|| 7),
        }];
        let sample = |target: &str, value| (vec![("target", target.to_owned())], value);
        let family = move |name, counter| Family {
            name,
            help: "x",
            counter,
            samples: vec![sample("a:1", 3), sample("b:2", 0)],
        };
        totals.also(move || vec![family("target_up", false), family("target_requests", true)]);
        let text = render(&totals, &Arc::new(gauges)).unwrap();
        for line in [
            "hubgate_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 3",
            "hubgate_mails_total 5",
            "hubgate_request_duration_seconds_bucket{le=\"0.0001\",route=\"/a\"} 1",
            "hubgate_request_duration_seconds_bucket{le=\"+Inf\",route=\"/a\"} 3",
            "hubgate_request_duration_seconds_count{route=\"/a\"} 3",
            "hubgate_connections 7",
            "hubgate_target_up{target=\"a:1\"} 3",
            "hubgate_target_requests_total{target=\"b:2\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
