//! The plots of the dashboard: what of the numbers over time is drawn, and how.
//!
//! Invariant: a plot tells the same in its summary as in its lines.

use std::collections::BTreeMap;

use crate::{
    base::time::Timestamp,
    oauth::cause::Cause,
    observe::history::{Period, Point, Series},
    texts::Language,
    web::pages::plot::{COLOURS, Line, Numbers, Plot, Shape},
};

/// Slots of a plot with lines: those of an hour are 40 seconds long, those of a day 15 minutes.
pub(super) const fn fine(period: Period) -> u32 {
    match period {
        Period::Hour => 90,
        Period::Day => 96,
    }
}

/// Slots of a plot with bars: two minutes, or half an hour.
pub(super) const fn coarse(period: Period) -> u32 {
    match period {
        Period::Hour => 30,
        Period::Day => 48,
    }
}

/// How numbers are written in a language.
pub(super) const fn numbers(t: Language) -> Numbers {
    Numbers {
        decimal: match t {
            Language::En => '.',
            Language::De => ',',
        },
    }
}

/// What all plots of a page share.
#[derive(Clone, Copy)]
pub(super) struct Charts<'a> {
    /// The language.
    pub(super) t: Language,
    /// The period.
    pub(super) period: Period,
    /// Its end.
    pub(super) now: Timestamp,
    /// [`fine`] slots.
    pub(super) fine: &'a [Option<Point>],
    /// [`coarse`] slots.
    pub(super) coarse: &'a [Option<Point>],
}

#[expect(clippy::cast_precision_loss, reason = "counts of a plot are far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

fn per_second(point: &Point, count: u64) -> f64 {
    number(count) / point.span.as_secs_f64().max(1.0)
}

impl<'a> Charts<'a> {
    /// Moments below the axis.
    fn moments(self) -> Vec<String> {
        let length = i64::try_from(self.period.length().as_millis()).unwrap_or(0);
        let at = |quarter: i64| Timestamp::from_millis(self.now.millis() - length * (4 - quarter) / 4);
        (0..=4).map(|quarter| at(quarter).rfc3339().get(11..16).unwrap_or_default().to_owned()).collect()
    }

    fn plot<'p>(
        self,
        id: &'p str,
        (title, unit): (&'p str, &'p str),
        lines: Vec<Line<'p>>,
        shape: Shape,
    ) -> Plot<'p> {
        let t = self.t;
        let known = |line: &Line<'_>| line.values.iter().flatten().copied().fold(0.0, f64::max);
        let highest = lines.iter().map(known).fold(0.0, f64::max);
        let last = lines.first().and_then(|line| line.values.iter().rev().find_map(|value| *value));
        let numbers = numbers(t);
        let summary = t.plot_summary(numbers.short(highest), unit, numbers.short(last.unwrap_or_default()));
        Plot {
            id,
            title,
            unit,
            summary,
            nothing: t.plot_nothing(),
            lines,
            shape,
            moments: self.moments(),
            numbers,
        }
    }

    /// A line of what `value` finds in each fine slot.
    fn line(self, name: &'a str, note: String, value: impl Fn(&Point) -> Option<f64>) -> Line<'a> {
        let values = self.fine.iter().map(|slot| slot.as_ref().and_then(&value)).collect();
        Line { name, note, values }
    }

    /// Requests per second, by the class of their status.
    pub(super) fn requests(self) -> String {
        let classes = ["2xx", "3xx", "4xx", "5xx"].into_iter().map(|class| {
            let sum: u64 = self.fine.iter().flatten().map(|point| point.count(Series::Status, class)).sum();
            let note = numbers(self.t).short(number(sum));
            self.line(class, note, move |point| Some(per_second(point, point.count(Series::Status, class))))
        });
        let titles = (self.t.plot_requests(), self.t.unit_per_second());
        self.plot("requests", titles, classes.collect(), Shape::Lines).html()
    }

    /// Quantiles of the duration of forwarded requests, in milliseconds.
    pub(super) fn latency(self) -> String {
        let quantiles = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)].into_iter().map(|(name, part)| {
            let value = move |point: &Point| point.quantile(part).map(|micros| number(micros) / 1000.0);
            let last = self.fine.iter().rev().flatten().find_map(value);
            let note = last.map_or_else(|| "–".to_owned(), |last| numbers(self.t).short(last));
            self.line(name, note, value)
        });
        let titles = (self.t.plot_latency(), self.t.unit_milliseconds());
        self.plot("latency", titles, quantiles.collect(), Shape::Lines).html()
    }

    /// Open connections.
    pub(super) fn connections(self) -> String {
        let last = self.fine.iter().rev().flatten().next().map_or(0, |point| point.connections);
        let note = numbers(self.t).short(number(last));
        let line = self.line(self.t.plot_connections(), note, |point| Some(number(point.connections)));
        self.plot("connections", (self.t.plot_connections(), self.t.unit_at_once()), vec![line], Shape::Lines)
            .html()
    }

    /// Bars of a series, those with the most in front, the others together.
    fn bars(
        self,
        id: &'static str,
        title: &'static str,
        series: Series,
        name: impl Fn(&str) -> String,
    ) -> String {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for point in self.coarse.iter().flatten() {
            for (key, count) in point.keys(series) {
                *sums.entry(key.to_owned()).or_default() += count;
            }
        }
        let mut keys: Vec<(u64, String)> = sums.into_iter().map(|(key, sum)| (sum, key)).collect();
        keys.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let rest = if keys.len() > COLOURS { keys.split_off(COLOURS - 1) } else { Vec::new() };
        let in_words = |sum: u64| numbers(self.t).short(number(sum));
        let names: Vec<String> = keys.iter().map(|(_, key)| name(key)).collect();
        let values = |wanted: &dyn Fn(&Point) -> u64| {
            self.coarse
                .iter()
                .map(|slot| slot.as_ref().map(|point| number(wanted(point))))
                .collect::<Vec<_>>()
        };
        let mut lines: Vec<Line<'_>> = keys
            .iter()
            .zip(&names)
            .map(|((sum, key), name)| Line {
                name,
                note: in_words(*sum),
                values: values(&|point| point.count(series, key)),
            })
            .collect();
        if !rest.is_empty() {
            lines.push(Line {
                name: self.t.plot_all_others(),
                note: in_words(rest.iter().map(|(sum, _)| sum).sum()),
                values: values(&|point| rest.iter().map(|(_, key)| point.count(series, key)).sum()),
            });
        }
        let step = match self.period {
            Period::Hour => self.t.two_minutes(),
            Period::Day => self.t.half_an_hour(),
        };
        let (sum, unit) = (keys.iter().chain(&rest).map(|(sum, _)| sum).sum(), self.t.unit_per_bar(step));
        let plot = self.plot(id, (title, &unit), lines, Shape::Bars);
        Plot { summary: self.t.plot_sum(in_words(sum)), ..plot }.html()
    }

    /// Refusals by their cause.
    pub(super) fn refusals(self) -> String {
        let t = self.t;
        self.bars("refusals", t.plot_refusals(), Series::Cause, |name| cause_title(t, name))
    }

    /// Attempts to sign in by their result.
    pub(super) fn logins(self) -> String {
        let t = self.t;
        self.bars("logins", t.plot_logins(), Series::Login, |name| {
            match name {
                "success" => t.login_accepted(),
                "refused" => t.login_refused(),
                "throttled" => t.login_throttled(),
                "busy" => t.login_busy(),
                "second_step" => t.login_second_step(),
                "error" => t.login_failed(),
                other => return other.to_owned(),
            }
            .to_owned()
        })
    }

    /// Access tokens by grant.
    pub(super) fn tokens(self) -> String {
        self.bars("tokens", self.t.plot_tokens(), Series::Grant, str::to_owned)
    }

    /// Requests by route.
    pub(super) fn routes(self) -> String {
        let t = self.t;
        self.bars("routes", t.plot_routes(), Series::Route, |route| match route {
            "" => t.plot_no_route().to_owned(),
            "hub" => t.target_gateway().to_owned(),
            label => label.to_owned(),
        })
    }

    /// Refusals of the token endpoint.
    pub(super) fn token_errors(self) -> String {
        self.bars("token-errors", self.t.plot_token_errors(), Series::TokenError, str::to_owned)
    }
}

/// What a cause is called.
pub(super) fn cause_title(t: Language, name: &str) -> String {
    Cause::named(name).map_or_else(|| name.to_owned(), |cause| t.cause_title(cause).to_owned())
}
