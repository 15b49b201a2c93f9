//! How the numbers were over the last hour and the last day, for the plots of the dashboard.
//!
//! Invariants: what is sampled is what `/metrics` sums up already, so no request pays for it; the memory is bounded, however many
//! routes there are.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::metrics::{BUCKETS, Histogram, Totals};
use crate::base::time::Timestamp;

/// How far apart fine points are.
pub const STEP: Duration = Duration::from_secs(10);
/// Fine points that are kept: an hour.
const FINE: usize = 360;
/// Fine points that make a coarse one: five minutes.
const FINE_IN_COARSE: u32 = 30;
/// Coarse points that are kept: a day.
const COARSE: usize = 288;
/// Routes that a point tells apart; what the others had is in the sums alone.
const ROUTES: usize = 40;

/// What is counted, each by a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// Requests by the class of their status: `2xx`.
    Status,
    /// Requests by route.
    Route,
    /// Answers with 5xx by route.
    RouteFailures,
    /// Refusals by cause.
    Cause,
    /// Decisions by what they are.
    Decision,
    /// Access tokens by grant.
    Grant,
    /// Refusals of the token endpoint by error.
    TokenError,
    /// Attempts to sign in by result.
    Login,
}

impl Series {
    const fn is_of_routes(self) -> bool {
        matches!(self, Self::Route | Self::RouteFailures)
    }
}

/// Sums since the start, as they are at one moment.
#[derive(Debug, Default, Clone)]
pub struct Sums {
    counts: BTreeMap<(Series, String), u64>,
    durations: BTreeMap<String, Histogram>,
}

impl Sums {
    /// What `totals` has now.
    #[must_use]
    pub fn of(totals: &Totals) -> Self {
        let mut sums = Self::default();
        totals.visit(|name, labels, count| {
            let label =
                |name: &str| labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            let mut add =
                |series, key: &str| *sums.counts.entry((series, key.to_owned())).or_default() += count;
            match name {
                "requests" => {
                    let class = label("status").and_then(|status| status.get(..1)).unwrap_or("0");
                    let route = label("route").unwrap_or_default();
                    add(Series::Status, &format!("{class}xx"));
                    add(Series::Route, route);
                    if class == "5" {
                        add(Series::RouteFailures, route);
                    }
                }
                "refusals" => add(Series::Cause, label("cause").unwrap_or_default()),
                "decisions" => add(Series::Decision, label("decision").unwrap_or_default()),
                "tokens_issued" => add(Series::Grant, label("grant").unwrap_or_default()),
                "token_errors" => add(Series::TokenError, label("error").unwrap_or_default()),
                "logins" => add(Series::Login, label("result").unwrap_or_default()),
                _ => {}
            }
        });
        sums.durations = totals.durations();
        sums
    }

    /// What has come since `before`.
    fn since(&self, before: &Self) -> Counted {
        let mut counted = Counted::default();
        for (key, now) in &self.counts {
            let new = now.saturating_sub(before.counts.get(key).copied().unwrap_or(0));
            if new > 0 {
                counted.counts.insert(key.clone(), new);
            }
        }
        for (route, now) in &self.durations {
            let new = before.durations.get(route).map_or_else(|| now.clone(), |before| now.since(before));
            if new.count() > 0 {
                counted.durations.insert(route.clone(), new);
            }
        }
        counted
    }
}

/// What was counted in a span of time.
#[derive(Debug, Default, Clone)]
struct Counted {
    counts: BTreeMap<(Series, String), u64>,
    durations: BTreeMap<String, Histogram>,
}

impl Counted {
    fn add(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            *self.counts.entry(key.clone()).or_default() += count;
        }
        for (route, durations) in &other.durations {
            self.durations.entry(route.clone()).or_default().add(durations);
        }
    }

    /// Leaves the routes apart that had the most requests, so that the memory does not grow with the configuration.
    fn bounded(mut self) -> Self {
        let mut routes: Vec<(u64, String)> = self
            .counts
            .iter()
            .filter(|((series, _), _)| *series == Series::Route)
            .map(|((_, route), count)| (*count, route.clone()))
            .collect();
        if routes.len() > ROUTES {
            routes.sort_unstable_by(|a, b| b.cmp(a));
            routes.truncate(ROUTES);
            let known = |route: &str| routes.iter().any(|(_, name)| name == route);
            self.counts.retain(|(series, key), _| !series.is_of_routes() || known(key));
            let mut rest = Histogram::default();
            self.durations.retain(|route, durations| {
                let stays = known(route) || !is_forwarded(route);
                if !stays {
                    rest.add(durations);
                }
                stays
            });
            self.durations.insert(OTHERS.to_owned(), rest);
        }
        self
    }
}

/// Under this name the durations of all routes are that are not told apart.
const OTHERS: &str = "\u{0}";

/// Whether a route leads to an upstream: our own endpoints and what has no route do not.
fn is_forwarded(route: &str) -> bool {
    !route.is_empty() && route != "hub"
}

/// One point of a plot.
#[derive(Debug, Clone)]
pub struct Point {
    /// The end of its span.
    pub at: Timestamp,
    /// How long that is.
    pub span: Duration,
    /// Open client connections at its end.
    pub connections: u64,
    counted: Counted,
}

impl Point {
    /// Takes the point after this one in.
    fn add(&mut self, next: &Self) {
        self.counted.add(&next.counted);
        (self.at, self.span) = (next.at, self.span + next.span);
        self.connections = self.connections.max(next.connections);
    }

    /// How many were counted under a key.
    #[must_use]
    pub fn count(&self, series: Series, key: &str) -> u64 {
        self.counted.counts.get(&(series, key.to_owned())).copied().unwrap_or(0)
    }

    /// How many were counted of a series.
    #[must_use]
    pub fn sum(&self, series: Series) -> u64 {
        self.keys(series).map(|(_, count)| count).sum()
    }

    /// The keys of a series, with how many were counted under each.
    pub fn keys(&self, series: Series) -> impl Iterator<Item = (&str, u64)> {
        let of_series = move |known: &Series| *known == series;
        let counts = self.counted.counts.iter().filter(move |((known, _), _)| of_series(known));
        counts.map(|((_, key), count)| (key.as_str(), *count))
    }

    /// The duration that this part of the forwarded requests did not exceed, in microseconds; `None` where there were none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<u64> {
        Self::quantile_over(std::iter::once(self), part)
    }

    /// The same of several points together.
    #[must_use]
    pub fn quantile_over<'p>(points: impl Iterator<Item = &'p Self>, part: f64) -> Option<u64> {
        let mut all = Histogram::default();
        for point in points {
            let forwarded = point.counted.durations.iter().filter(|(route, _)| is_forwarded(route));
            forwarded.for_each(|(_, durations)| all.add(durations));
        }
        all.quantile(part)
    }

    /// The same of one route.
    #[must_use]
    pub fn quantile_of<'p>(points: impl Iterator<Item = &'p Self>, route: &str, part: f64) -> Option<u64> {
        let mut all = Histogram::default();
        points
            .filter_map(|point| point.counted.durations.get(route))
            .for_each(|durations| all.add(durations));
        all.quantile(part)
    }
}

/// How far back a plot reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An hour, in steps of ten seconds.
    Hour,
    /// A day, in steps of five minutes.
    Day,
}

impl Period {
    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3600),
            Self::Day => Duration::from_secs(24 * 3600),
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    last: Option<(Timestamp, Sums)>,
    fine: VecDeque<Arc<Point>>,
    coarse: VecDeque<Arc<Point>>,
    /// The coarse point in the making, and of how many fine ones.
    making: Option<(Point, u32)>,
}

/// The points of the last hour and the last day.
#[derive(Debug, Default)]
pub struct History(Mutex<Kept>);

impl History {
    /// Takes a sample; to be called every [`STEP`]. The first tells only where the counting begins.
    pub fn record(&self, now: Timestamp, sums: Sums, connections: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((before, last)) = kept.last.replace((now, sums)) else { return };
        let Some((_, sums)) = &kept.last else { return };
        let counted = sums.since(&last).bounded();
        let point = Point { at: now, span: now.since(before), connections, counted };
        let (made, parts) = match kept.making.take() {
            None => (point.clone(), 1),
            Some((mut made, parts)) => {
                made.add(&point);
                (made, parts + 1)
            }
        };
        if parts < FINE_IN_COARSE {
            kept.making = Some((made, parts));
        } else {
            let made = Point { counted: made.counted.bounded(), ..made };
            push(&mut kept.coarse, made, COARSE);
        }
        push(&mut kept.fine, point, FINE);
    }

    /// The points of a period, the earliest first. The last of a day may be shorter than the others.
    #[must_use]
    pub fn points(&self, period: Period) -> Vec<Arc<Point>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match period {
            Period::Hour => kept.fine.iter().cloned().collect(),
            Period::Day => {
                let making = kept.making.as_ref().map(|(point, _)| Arc::new(point.clone()));
                kept.coarse.iter().cloned().chain(making).collect()
            }
        }
    }

    /// The period up to `now` in `count` slots of equal length, each with what was counted in it; `None` where nothing was
    /// sampled, as before the start.
    #[must_use]
    pub fn slots(&self, period: Period, now: Timestamp, count: u32) -> Vec<Option<Point>> {
        let count = count.max(1);
        let mut slots = vec![None; usize::try_from(count).unwrap_or(1)];
        let length = i64::try_from(period.length().as_millis()).unwrap_or(i64::MAX);
        let from = now.minus(period.length()).millis();
        for point in self.points(period) {
            // By the middle of its span.
            let middle = point.at.minus(point.span / 2).millis();
            let at = (middle - from) * i64::from(count) / length;
            let slot = usize::try_from(at).ok().filter(|_| middle >= from).and_then(|at| slots.get_mut(at));
            match slot {
                None => {}
                Some(empty @ None) => *empty = Some(Point::clone(&point)),
                Some(Some(slot)) => slot.add(&point),
            }
        }
        slots
    }
}

fn push(ring: &mut VecDeque<Arc<Point>>, point: Point, capacity: usize) {
    if ring.len() >= capacity {
        ring.pop_front();
    }
    ring.push_back(Arc::new(point));
}

impl Histogram {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    /// The duration that this part did not exceed, in microseconds: within its bucket taken as evenly spread.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^53 and a part between 0 and 1 make a number between 0 and the largest bound"
    )]
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let wanted = self.count() as f64 * part.clamp(0.0, 1.0);
        let (mut below, mut from) = (0.0, 0.0);
        // Of what is longer than all bounds, only that is known.
        let last = BUCKETS.last().copied().unwrap_or_default();
        for (count, to) in self.buckets().iter().zip(BUCKETS.into_iter().chain([last])) {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                return Some((from + (to as f64 - from) * ((wanted - below) / count)).round() as u64);
            }
            (below, from) = (below + count, to as f64);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        Totals::default()
    }

    fn request(totals: &Totals, route: &str, status: &str, count: u64) {
        let labels =
            vec![("route", route.to_owned()), ("method", "GET".to_owned()), ("status", status.to_owned())];
        totals.add("requests", labels, count);
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn a_point_tells_what_came_since_the_one_before() {
        let (totals, history) = (totals(), History::default());
        request(&totals, "/a", "200", 5);
        history.record(at(0), Sums::of(&totals), 1);
        assert!(history.points(Period::Hour).is_empty(), "what was before is no point");
        request(&totals, "/a", "200", 3);
        request(&totals, "/a", "204", 1);
        request(&totals, "/b", "502", 2);
        totals.add("logins", vec![("result", "accepted".into())], 4);
        totals.add("refusals", vec![("cause", "scope_missing".into())], 6);
        totals.add("tokens_issued", vec![("grant", "password".into())], 7);
        history.record(at(10), Sums::of(&totals), 9);
        history.record(at(20), Sums::of(&totals), 2);
        let points = history.points(Period::Hour);
        let [first, second] = &points[..] else { panic!("{points:?}") };
        assert_eq!(first.keys(Series::Status).collect::<Vec<_>>(), [("2xx", 4), ("5xx", 2)]);
        assert_eq!(first.keys(Series::Route).collect::<Vec<_>>(), [("/a", 4), ("/b", 2)]);
        assert_eq!(first.keys(Series::RouteFailures).collect::<Vec<_>>(), [("/b", 2)]);
        assert_eq!((first.count(Series::Login, "accepted"), first.sum(Series::Cause)), (4, 6));
        assert_eq!((first.sum(Series::Grant), first.connections, first.span), (7, 9, STEP));
        assert_eq!((second.sum(Series::Status), second.at), (0, at(20)));
    }

    #[test]
    fn an_hour_and_a_day_are_kept() {
        let (totals, history) = (totals(), History::default());
        for step in 0..20_000 {
            request(&totals, "/a", "200", 1);
            history.record(at(step * 10), Sums::of(&totals), 1);
        }
        let (hour, day) = (history.points(Period::Hour), history.points(Period::Day));
        assert_eq!((hour.len(), hour[0].at), (FINE, at(19_999 * 10 - 3590)));
        assert!((COARSE..=COARSE + 1).contains(&day.len()));
        assert_eq!((day[0].count(Series::Route, "/a"), day[0].span), (30, STEP * FINE_IN_COARSE));
        assert!(day.is_sorted_by_key(|point| point.at));
        let last = at(19_999 * 10);
        let slots = history.slots(Period::Hour, last, 60);
        let requests = |slot: &Option<Point>| slot.as_ref().map(|point| point.count(Series::Route, "/a"));
        assert!(slots.len() == 60 && slots.iter().all(|slot| requests(slot) == Some(6)), "{slots:?}");
        let later = history.slots(Period::Hour, last.plus(Duration::from_secs(1800)), 60);
        assert_eq!((requests(&later[29]), requests(&later[30])), (Some(6), None));
        assert!(history.slots(Period::Day, last, 96).iter().all(Option::is_some));
        assert!(
            history.slots(Period::Day, at(-1), 96).iter().all(Option::is_none),
            "a clock that was put back"
        );
    }

    #[test]
    fn many_routes_do_not_make_it_grow() {
        let (totals, history) = (totals(), History::default());
        history.record(at(0), Sums::of(&totals), 1);
        let mut durations = Histogram::default();
        durations.observe(700);
        for route in 0..500 {
            request(&totals, &format!("/{route}"), "500", route + 1);
            totals.add_durations(&format!("/{route}"), &durations);
        }
        history.record(at(10), Sums::of(&totals), 1);
        let point = &history.points(Period::Hour)[0];
        assert_eq!(point.keys(Series::Route).count(), ROUTES);
        assert_eq!(point.keys(Series::RouteFailures).count(), ROUTES);
        assert_eq!((point.count(Series::Route, "/499"), point.count(Series::Route, "/1")), (500, 0));
        assert_eq!(point.count(Series::Status, "5xx"), 500 * 501 / 2, "the sum is of all");
        assert!(point.counted.durations.len() <= ROUTES + 1);
        assert_eq!(point.counted.durations.values().map(Histogram::count).sum::<u64>(), 500);
    }

    #[test]
    fn quantiles_are_of_forwarded_requests() {
        let (totals, history) = (totals(), History::default());
        history.record(at(0), Sums::of(&totals), 1);
        let (mut fast, mut slow) = (Histogram::default(), Histogram::default());
        for _ in 0..90 {
            fast.observe(200);
        }
        for _ in 0..10 {
            fast.observe(80_000);
        }
        slow.observe(60_000_000);
        totals.add_durations("/a", &fast);
        totals.add_durations("hub", &slow);
        totals.add_durations("", &slow);
        history.record(at(10), Sums::of(&totals), 1);
        let point = &history.points(Period::Hour)[0];
        let median = point.quantile(0.5).unwrap();
        assert!((100..=250).contains(&median), "{median}");
        let late = point.quantile(0.95).unwrap();
        assert!((50_000..=100_000).contains(&late), "{late}");
        let of = |route| Point::quantile_of(std::iter::once(point.as_ref()), route, 0.5);
        assert_eq!(of("hub"), Some(10_000_000), "no more is known of what is longer");
        assert_eq!(of("/b"), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
