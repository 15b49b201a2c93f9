//! The form in which a refusal is written: for programs or for people.
//!
//! RFC 9110 sections 12.4.2, 12.5.1.

use http::{HeaderMap, header::ACCEPT};

use crate::texts::Language;

/// The form of a refusal's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What ring-ui reads.
    Json,
    /// RFC 9457, for those who ask for it.
    Problem,
    /// For people, in their language.
    Page(Language),
}

impl Form {
    /// What the `Accept` header asks for (RFC 9110 section 12.5.1). Only what is named counts: a page where HTML is wanted
    /// more than JSON, as browsers do when they navigate; a problem where it is wanted as much as either.
    #[must_use]
    pub fn wanted(headers: &HeaderMap) -> Self {
        // Most programs send nothing, or one field that takes anything.
        let mut values = headers.get_all(ACCEPT).iter();
        match (values.next(), values.next()) {
            (None, _) => return Self::Json,
            (Some(value), None) if value == "*/*" => return Self::Json,
            _ => {}
        }
        let (mut problem, mut page, mut json) = (0, 0, 0);
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let wanted = match kind {
                _ if kind.eq_ignore_ascii_case("application/problem+json") => &mut problem,
                _ if kind.eq_ignore_ascii_case("text/html") => &mut page,
                _ if kind.eq_ignore_ascii_case("application/json") => &mut json,
                _ => continue,
            };
            let weight = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.eq_ignore_ascii_case("q").then(|| weight(value))
            });
            *wanted = weight.unwrap_or(1000).max(*wanted);
        }
        if problem > 0 && problem >= page.max(json) {
            Self::Problem
        } else if page > json {
            Self::Page(Language::wanted(headers))
        } else {
            Self::Json
        }
    }
}

/// A weight in thousandths (RFC 9110 section 12.4.2); what is none is the least.
fn weight(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    match whole {
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        "1" if digits && fraction.bytes().all(|digit| digit == b'0') => 1000,
        _ => 0,
    }
}
