//! Plots as inline SVG, drawn on the server: lines, stacked bars, and small lines within a text.
//!
//! Invariants: a plot is readable without its colours and without seeing it; it stretches with the page, while what is written
//! beside it keeps its size; nothing in it needs a script or a style of its own, so the strictest policy shows it; what comes
//! from elsewhere is escaped text.

use std::fmt::Write as _;

use askama::filters::{Html, escape};

/// The drawing's own measures; a page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 160.0;
const SPARK: (f64, f64) = (100.0, 24.0);

/// Colours that the style has: series beyond them share the last.
pub const COLOURS: usize = 5;

/// How numbers are written on a page.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Between whole and rest.
    pub decimal: char,
}

impl Numbers {
    /// A number as short as it is still told apart: `0.5`, `12`, `1.2k`, `3M`.
    #[must_use]
    pub fn short(self, value: f64) -> String {
        let (scaled, unit) = match value.abs() {
            large if large >= 999_500_000.0 => (value / 1e9, "G"),
            large if large >= 999_500.0 => (value / 1e6, "M"),
            large if large >= 999.5 => (value / 1e3, "k"),
            _ => (value, ""),
        };
        let digits = match scaled.abs() {
            small if small > 0.0 && small < 0.1 => 2,
            small if small < 10.0 => 1,
            _ => 0,
        };
        let text = format!("{scaled:.digits$}");
        let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{}{unit}", text.replace('.', self.decimal.encode_utf8(&mut [0; 4])))
    }
}

/// One series of a plot.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// In the legend.
    pub name: &'a str,
    /// What stands behind the name: a sum, the last value.
    pub note: String,
    /// Evenly spaced over the width; `None` where nothing is known.
    pub values: Vec<Option<f64>>,
}

/// How the series of a plot are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line each.
    Lines,
    /// Bars upon each other.
    Bars,
}

/// A plot with axes and a legend.
#[derive(Debug, Clone)]
pub struct Plot<'a> {
    /// Unique on its page: a plain word.
    pub id: &'a str,
    /// Its heading.
    pub title: &'a str,
    /// In what it is measured.
    pub unit: &'a str,
    /// What it shows, for those who do not see it.
    pub summary: String,
    /// What is said where nothing was counted.
    pub nothing: &'a str,
    /// The series.
    pub lines: Vec<Line<'a>>,
    /// How they are drawn.
    pub shape: Shape,
    /// Moments below the axis, evenly spaced from one end to the other.
    pub moments: Vec<String>,
    /// How numbers are written.
    pub numbers: Numbers,
}

fn text(value: &str) -> impl std::fmt::Display + '_ {
    let Ok(safe) = escape(value, Html);
    safe
}

/// The largest value of the axis and how many parts it has: a round number above `highest`.
fn axis(highest: f64) -> (f64, u32) {
    if highest <= 0.0 || !highest.is_finite() {
        return (1.0, 1);
    }
    let magnitude = 10_f64.powf(highest.log10().floor());
    // In tenths of the magnitude, with parts that are round too.
    for (top, parts) in [(1.0, 2), (2.0, 2), (3.0, 3), (4.0, 2), (5.0, 5), (6.0, 3), (8.0, 4), (10.0, 2)] {
        if highest <= top * magnitude * (1.0 + 1e-9) {
            return (top * magnitude, parts);
        }
    }
    (10.0 * magnitude, 2)
}

/// A number with one decimal at most.
fn tenths(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A place.
fn put(path: &mut String, x: f64, y: f64) {
    let _ = write!(path, "{} {}", tenths(x), tenths(y));
}

/// Where the value with this number stands; the first at the left end, the last at the right.
fn across(at: usize, count: usize, width: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a plot has some hundred values")]
    let (at, last) = (at as f64, count.saturating_sub(1).max(1) as f64);
    width * at / last
}

/// A line through the values, broken where nothing is known.
fn path(values: &[Option<f64>], (width, height): (f64, f64), top: f64) -> String {
    let mut path = String::new();
    let mut before = false;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            before = false;
            continue;
        };
        path.push(if before { 'L' } else { 'M' });
        let (x, y) = (across(at, values.len(), width), height - height * (value / top).clamp(0.0, 1.0));
        put(&mut path, x, y);
        if !before && values.get(at + 1).is_none_or(Option::is_none) {
            // One value between unknown ones is a dot.
            path.push_str("h1");
        }
        before = true;
    }
    path
}

impl Plot<'_> {
    /// The plot as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let mut html = String::with_capacity(4096);
        let _ = write!(
            html,
            "<figure class=\"plot\"><figcaption>{} <small>{}</small></figcaption>",
            text(self.title),
            text(self.unit)
        );
        let highest = self.highest();
        let (top, parts) = axis(highest);
        html.push_str("<div class=\"plot-y\" aria-hidden=\"true\">");
        for part in (0..=parts).rev() {
            let value = top * f64::from(part) / f64::from(parts);
            let _ = write!(html, "<span>{}</span>", self.numbers.short(value));
        }
        let id = self.id;
        let _ = write!(
            html,
            "</div><svg class=\"plot-area\" role=\"img\" aria-labelledby=\"{id}-t\" aria-describedby=\"{id}-d\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc><path class=\"plot-grid\" d=\"",
            text(self.title),
            text(if highest > 0.0 { &self.summary } else { self.nothing })
        );
        for part in 0..=parts {
            let _ = write!(html, "M0 {:.0}H{WIDTH}", HEIGHT * f64::from(part) / f64::from(parts));
        }
        html.push_str("\"/>");
        match self.shape {
            Shape::Lines => self.draw_lines(&mut html, top),
            Shape::Bars => self.draw_bars(&mut html, top),
        }
        html.push_str("</svg>");
        if highest <= 0.0 {
            let _ = write!(html, "<p class=\"plot-none\" aria-hidden=\"true\">{}</p>", text(self.nothing));
        }
        html.push_str("<div class=\"plot-x\" aria-hidden=\"true\">");
        for moment in &self.moments {
            let _ = write!(html, "<span>{}</span>", text(moment));
        }
        html.push_str("</div><ul class=\"plot-legend\">");
        for (at, line) in self.lines.iter().enumerate() {
            let _ = write!(
                html,
                "<li class=\"{}\">{} <b>{}</b></li>",
                colour(at),
                text(line.name),
                text(&line.note)
            );
        }
        html.push_str("</ul></figure>");
        html
    }

    fn highest(&self) -> f64 {
        match self.shape {
            Shape::Lines => {
                self.lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0, f64::max)
            }
            Shape::Bars => {
                let count = self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
                (0..count)
                    .map(|at| self.lines.iter().filter_map(|line| value(line, at)).sum())
                    .fold(0.0, f64::max)
            }
        }
    }

    fn draw_lines(&self, html: &mut String, top: f64) {
        for (at, line) in self.lines.iter().enumerate() {
            let d = path(&line.values, (WIDTH, HEIGHT), top);
            if !d.is_empty() {
                let _ = write!(html, "<path class=\"plot-line {}\" d=\"{d}\"/>", colour(at));
            }
        }
    }

    fn draw_bars(&self, html: &mut String, top: f64) {
        let count = self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a plot has some hundred values")]
        let step = WIDTH / count.max(1) as f64;
        let mut below = vec![0.0; count];
        for (number, line) in self.lines.iter().enumerate() {
            let mut d = String::new();
            for (at, below) in below.iter_mut().enumerate() {
                let Some(value) = value(line, at).filter(|value| *value > 0.0) else { continue };
                let (foot, height) = (HEIGHT * *below / top, HEIGHT * value / top);
                *below += value;
                d.push('M');
                #[expect(clippy::cast_precision_loss, reason = "a plot has some hundred values")]
                put(&mut d, step * at as f64 + step * 0.1, HEIGHT - foot);
                let _ = write!(d, "v{}h{}v{}z", tenths(-height), tenths(step * 0.8), tenths(height));
            }
            if !d.is_empty() {
                let _ = write!(html, "<path class=\"plot-bar {}\" d=\"{d}\"/>", colour(number));
            }
        }
    }
}

fn value(line: &Line<'_>, at: usize) -> Option<f64> {
    line.values.get(at).copied().flatten()
}

const fn colour(at: usize) -> &'static str {
    match at {
        0 => "c1",
        1 => "c2",
        2 => "c3",
        3 => "c4",
        _ => "c5",
    }
}

/// A small line within a text or a table. `title` says what it shows.
#[must_use]
pub fn sparkline(title: &str, values: &[Option<f64>]) -> String {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let (width, height) = SPARK;
    let d = path(values, SPARK, if highest > 0.0 { highest } else { 1.0 });
    format!(
        "<svg class=\"spark\" role=\"img\" viewBox=\"0 -1 {width} {}\" preserveAspectRatio=\"none\"><title>{}</title><path class=\"plot-line c1\" d=\"{d}\"/></svg>",
        height + 2.0,
        text(title)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Numbers = Numbers { decimal: '.' };

    fn plot(shape: Shape, lines: &[(&'static str, &[Option<f64>])]) -> Plot<'static> {
        Plot {
            id: "requests",
            title: "Requests",
            unit: "per second",
            summary: "At most 4 per second.".into(),
            nothing: "None yet",
            lines: lines
                .iter()
                .map(|(name, values)| Line { name, note: "9".into(), values: values.to_vec() })
                .collect(),
            shape,
            moments: vec!["12:00".into(), "12:30".into(), "13:00".into()],
            numbers: NUMBERS,
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (0.5, "0.5"),
            (1.0, "1"),
            (9.96, "10"),
            (12.4, "12"),
            (999.4, "999"),
            (999.5, "1k"),
            (1234.0, "1.2k"),
            (45_678.0, "46k"),
            (999_499.0, "999k"),
            (1_000_000.0, "1M"),
            (2_500_000_000.0, "2.5G"),
        ] {
            assert_eq!(NUMBERS.short(value), text, "{value}");
        }
        assert_eq!(Numbers { decimal: ',' }.short(1234.0), "1,2k");
    }

    #[test]
    fn the_axis_ends_at_a_round_number_above_all_values() {
        for (highest, top, parts) in [
            (0.0, 1.0, 1),
            (f64::NAN, 1.0, 1),
            (0.3, 0.3, 3),
            (1.0, 1.0, 2),
            (1.1, 2.0, 2),
            (4.2, 5.0, 5),
            (7.0, 8.0, 4),
            (9.0, 10.0, 2),
            (42.0, 50.0, 5),
            (101.0, 200.0, 2),
            (100_000.0, 100_000.0, 2),
        ] {
            let (got, in_parts) = axis(highest);
            assert!((got - top).abs() < 1e-9 && in_parts == parts, "{highest}: {got} {in_parts}");
        }
    }

    #[test]
    fn lines_are_drawn_from_end_to_end_and_broken_where_nothing_is_known() {
        for (values, expected) in [
            (&[Some(0.0), Some(4.0)][..], "M0 160L600 0"),
            (&[Some(4.0), None, Some(2.0)], "M0 0h1M600 80h1"),
            (&[None, Some(1.0), Some(1.0)], "M300 120L600 120"),
            (&[Some(9.0)], "M0 0h1"),
            (&[], ""),
            (&[None, None], ""),
        ] {
            assert_eq!(path(values, (WIDTH, HEIGHT), 4.0), expected, "{values:?}");
        }
    }

    #[test]
    fn bars_stand_upon_each_other() {
        let bars = plot(Shape::Bars, &[("a", &[Some(1.0), None]), ("b", &[Some(3.0), Some(0.0)])]);
        let html = bars.html();
        assert!(html.contains(r#"<path class="plot-bar c1" d="M30 160v-40h240v40z"/>"#), "{html}");
        assert!(html.contains(r#"<path class="plot-bar c2" d="M30 120v-120h240v120z"/>"#), "{html}");
    }

    #[test]
    fn a_plot_can_be_read_without_seeing_it_and_needs_no_style_of_its_own() {
        let html =
            plot(Shape::Lines, &[("2xx", &[Some(1.0), Some(4.0)]), ("5xx", &[None, Some(1.0)])]).html();
        insta::assert_snapshot!(html, @r#"<figure class="plot"><figcaption>Requests <small>per second</small></figcaption><div class="plot-y" aria-hidden="true"><span>4</span><span>2</span><span>0</span></div><svg class="plot-area" role="img" aria-labelledby="requests-t" aria-describedby="requests-d" viewBox="0 0 600 160" preserveAspectRatio="none"><title id="requests-t">Requests</title><desc id="requests-d">At most 4 per second.</desc><path class="plot-grid" d="M0 0H600M0 80H600M0 160H600"/><path class="plot-line c1" d="M0 120L600 0"/><path class="plot-line c2" d="M600 120h1"/></svg><div class="plot-x" aria-hidden="true"><span>12:00</span><span>12:30</span><span>13:00</span></div><ul class="plot-legend"><li class="c1">2xx <b>9</b></li><li class="c2">5xx <b>9</b></li></ul></figure>"#);
        let empty = plot(Shape::Lines, &[("2xx", &[None, Some(0.0)])]).html();
        assert!(
            empty.contains("<desc id=\"requests-d\">None yet</desc>") && empty.contains("plot-none"),
            "{empty}"
        );
        for html in [html, empty, sparkline("a", &[Some(1.0)])] {
            for word in ["style=", "<script", "<style", "fill=", "stroke=", "href", "NaN", "inf"] {
                assert!(!html.contains(word), "{word} in {html}");
            }
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_escaped() {
        const HOSTILE: &str = "</title><script>x</script>\"'&";
        let line = Line { name: HOSTILE, note: HOSTILE.into(), values: vec![Some(1.0)] };
        let hostile = Plot {
            title: HOSTILE,
            unit: HOSTILE,
            summary: HOSTILE.into(),
            moments: vec![HOSTILE.into()],
            lines: vec![line],
            ..plot(Shape::Lines, &[])
        };
        for html in [hostile.html(), sparkline(HOSTILE, &[])] {
            assert!(!html.contains("<script") && !html.contains("\"'"), "{html}");
        }
    }

    #[test]
    fn more_series_than_colours_share_the_last() {
        let lines = vec![("x", &[Some(1.0)][..]); COLOURS + 3];
        let html = plot(Shape::Bars, &lines).html();
        assert_eq!(html.matches("class=\"c5\"").count(), 4);
    }
}
