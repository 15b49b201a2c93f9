//! The trace that a request belongs to, and what the upstream is told of it.
//!
//! Invariant: a trace is inherited only from a trusted proxy and only whole; the upstream's parent is always this gateway. What
//! is sent is valid whatever came in.
//!
//! W3C Trace Context (level 1) sections 3.2, 3.3, 4.

use http::HeaderValue;

use super::{http1::RequestHead, inherited::Inherited, record::RequestId};
use crate::model::trace::TraceContext;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// `00-`, the trace, `-`, the parent, `-`, flags.
const LENGTH: usize = 55;
/// List members that are passed on at most (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// Characters of a list that are passed on at most; no less than 512 are to be (section 3.3.1.5).
const MAX_STATE: usize = 4096;

/// A trace whose id is not the request's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 32],
    /// This gateway's part in it.
    span: [u8; 16],
    sampled: bool,
    state: Option<HeaderValue>,
    /// The proxy's part in it, where it is the proxy's trace.
    #[cfg(feature = "otel")]
    parent: Option<[u8; 16]>,
}

impl Trace {
    /// The trace of a request about which a trusted proxy says something; `own` is the id that the request has got here, and
    /// `recorded` whether a trace that begins here is. `None`: its trace is named as it is.
    #[must_use]
    pub(super) fn of(
        context: TraceContext,
        said: &Inherited,
        (own, recorded): (&RequestId, bool),
    ) -> Option<Box<Self>> {
        let RequestId::Own(own) = own else { return None };
        if context == TraceContext::Off || (said.traceparent.is_none() && said.request_id.is_none()) {
            return None;
        }
        let span = *own.last_chunk()?;
        let begun = || Self {
            id: *own,
            span,
            sampled: recorded || context == TraceContext::Sampled,
            state: None,
            #[cfg(feature = "otel")]
            parent: None,
        };
        let taken_up = |parent: &HeaderValue| {
            let parent = parse(parent.as_bytes())?;
            Some(Self {
                id: parent.id,
                span,
                sampled: parent.sampled,
                state: said.tracestate.clone(),
                #[cfg(feature = "otel")]
                parent: Some(parent.span),
            })
        };
        Some(Box::new(said.traceparent.as_ref().and_then(taken_up).unwrap_or_else(begun)))
    }

    /// Its id, 32 hexadecimal digits.
    #[must_use]
    pub const fn id(&self) -> &[u8] {
        &self.id
    }

    /// What a trusted proxy says of it; `None`: it begins here.
    #[cfg(feature = "otel")]
    pub(super) fn above(&self) -> Option<Above> {
        let Self { id, parent, sampled, state, .. } = self;
        Some(Above { trace: *id, span: (*parent)?, sampled: *sampled, state: state.clone() })
    }
}

/// What a trusted proxy says of a trace.
#[cfg(feature = "otel")]
pub(super) struct Above {
    pub(super) trace: [u8; 32],
    /// Its own part in it.
    pub(super) span: [u8; 16],
    pub(super) sampled: bool,
    /// `tracestate`
    pub(super) state: Option<HeaderValue>,
}

/// Tells the upstream. `trace`: one that was taken up, or else the trace begins here with the request's own `id`. `client_span`: what
/// the upstream is below, where the gateway's own spans are recorded.
#[must_use]
pub(super) fn write(
    head: &mut RequestHead,
    context: TraceContext,
    (trace, client_span): (Option<&Trace>, Option<[u8; 16]>),
    (said, id): (&Inherited, &RequestId),
) -> Option<()> {
    if context == TraceContext::Off {
        for (name, value) in [(TRACEPARENT, &said.traceparent), (TRACESTATE, &said.tracestate)] {
            if let Some(value) = value {
                head.set(name, value);
            }
        }
        return Some(());
    }
    let flags = |sampled| if sampled { b"-01" } else { b"-00" };
    if let Some(trace) = trace {
        let span = client_span.as_ref().unwrap_or(&trace.span);
        head.set_words(TRACEPARENT, &[b"00-", &trace.id, b"-", span, flags(trace.sampled)])?;
        if let Some(state) = &trace.state {
            head.set(TRACESTATE, state);
        }
        return Some(());
    }
    let RequestId::Own(id) = id else { return Some(()) };
    let span = client_span.as_ref().or_else(|| id.last_chunk())?;
    let sampled = client_span.is_some() || context == TraceContext::Sampled;
    head.set_words(TRACEPARENT, &[b"00-", id, b"-", span, flags(sampled)])
}

/// Whether a `traceparent` is valid.
pub(super) fn is_traceparent(value: &[u8]) -> bool {
    parse(value).is_some()
}

/// What a `traceparent` says.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    id: [u8; 32],
    span: [u8; 16],
    sampled: bool,
}

/// Section 3.2.2. Of a version that is not known yet the part that is.
fn parse(value: &[u8]) -> Option<Parsed> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let (version, rest) = known.split_first_chunk::<2>()?;
    let (id, rest) = rest.strip_prefix(b"-")?.split_first_chunk::<32>()?;
    let (parent, rest) = rest.strip_prefix(b"-")?.split_first_chunk::<16>()?;
    let flags: &[u8; 2] = rest.strip_prefix(b"-")?.try_into().ok()?;
    let hex = |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let set = |id: &[u8]| id.iter().any(|b| *b != b'0');
    let whole = match version {
        b"00" => more.is_empty(),
        b"ff" => false,
        _ => more.is_empty() || more.starts_with(b"-"),
    };
    let valid = whole && [&version[..], id, parent, flags].into_iter().all(hex) && set(id) && set(parent);
    let [_, low] = *flags;
    // The lowest bit of the two digits; the others have no meaning yet, and are not passed on.
    let sampled = matches!(low, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
    valid.then_some(Parsed { id: *id, span: *parent, sampled })
}

/// The `tracestate` of several fields as one list; `None` when there is none, or when one of them is no such list (section 3.3).
pub(super) fn tracestate<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> Option<HeaderValue> {
    let lists: Vec<&[u8]> = values.map(HeaderValue::as_bytes).collect();
    let all = lists.join(&b","[..]);
    let members = all.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in members {
        let (key, value) = member.split_at_checked(memchr::memchr(b'=', member)?)?;
        if !is_key(key) || !is_value(value.get(1..)?) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    let fits = (1..=MAX_MEMBERS).contains(&keys.len()) && all.len() <= MAX_STATE;
    if fits { HeaderValue::from_bytes(&all).ok() } else { None }
}

/// Section 3.3.1.3.1: a key, or the key of one of many tenants of a system.
fn is_key(key: &[u8]) -> bool {
    let plain = |part: &[u8]| {
        part.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(b))
    };
    let begins = |part: &[u8]| part.first().is_some_and(u8::is_ascii_lowercase);
    match memchr::memchr(b'@', key).and_then(|at| key.split_at_checked(at)) {
        None => begins(key) && key.len() <= 256 && plain(key),
        Some((tenant, system)) => {
            let system = system.get(1..).unwrap_or_default();
            let tenant_begins = tenant.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            tenant_begins
                && tenant.len() <= 241
                && plain(tenant)
                && begins(system)
                && system.len() <= 14
                && plain(system)
        }
    }
}

/// Section 3.3.1.3.2.
fn is_value(value: &[u8]) -> bool {
    let plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(plain) && value.last() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn traceparents_are_read_by_the_book() {
        let (id, span) = (*b"4bf92f3577b34da6a3ce929d0e0e4736", *b"00f067aa0ba902b7");
        for (text, sampled) in [
            (GOOD.to_owned(), true),
            (GOOD.replace("-01", "-00"), false),
            (GOOD.replace("-01", "-02"), false),
            (GOOD.replace("-01", "-ff"), true),
            (GOOD.replacen("00-", "01-", 1), true),
            (GOOD.replacen("00-", "cc-", 1) + "-what-comes-later", true),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Parsed { id, span, sampled }), "{text}");
        }
        for bad in [
            String::new(),
            "-".into(),
            GOOD.replacen("00-", "ff-", 1),
            GOOD.replacen("00-", "0-", 1),
            GOOD.replacen("00-", "0g-", 1),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            GOOD.replace("4bf9", "4BF9"),
            GOOD.replace("4bf9", "4bf"),
            GOOD.replace("-01", "-0"),
            GOOD.replace("-01", "-0x"),
            GOOD.replace("-01", ""),
            GOOD.replace('-', "_"),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            format!(" {GOOD}"),
            GOOD.replacen("00-", "01-", 1) + "x",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn tracestates_are_passed_on_whole_or_not_at_all() {
        let list = |values: &[&'static str]| {
            let values: Vec<_> = values.iter().map(|text| HeaderValue::from_static(text)).collect();
            tracestate(values.iter()).map(|state| state.to_str().unwrap().to_owned())
        };
        for good in [
            "a=1",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "a=1 , b=2",
            "0a@b=x",
            "a-b_c*d/e=\"x y\"",
            "a=1,,b=2",
        ] {
            assert_eq!(list(&[good]).as_deref(), Some(good));
        }
        assert_eq!(list(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        for bad in
            ["", ",", "a", "a=", "=1", "A=1", "1a=1", "a=b=c", "a=1,a=2", "a@=1", "@b=1", "a@B=1", "a=1,b"]
        {
            assert_eq!(list(&[bad]), None, "{bad}");
        }
        let many = |count: usize| {
            let text = (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
            tracestate(std::iter::once(&HeaderValue::from_str(&text).unwrap())).is_some()
        };
        assert!(many(32) && !many(33));
    }

    #[test]
    fn a_trace_is_taken_up_or_begun() {
        let own = RequestId::Own(*b"0123456789abcdef1111111111111111");
        let said = |parent: Option<&str>, state: Option<&str>, id: Option<&str>| Inherited {
            traceparent: parent.map(|text| HeaderValue::from_str(text).unwrap()),
            tracestate: state.map(|text| HeaderValue::from_str(text).unwrap()),
            request_id: id.map(|text| HeaderValue::from_str(text).unwrap()),
            ..Inherited::default()
        };
        let trace = Trace::of(TraceContext::On, &said(Some(GOOD), Some("a=1"), None), (&own, false)).unwrap();
        assert_eq!((trace.id(), trace.sampled), (&b"4bf92f3577b34da6a3ce929d0e0e4736"[..], true));
        assert_eq!((trace.span, trace.state.is_some()), (*b"1111111111111111", true));
        // An id that was taken over is none of a trace.
        for (context, recorded, sampled) in [
            (TraceContext::Sampled, false, true),
            (TraceContext::On, false, false),
            (TraceContext::On, true, true),
        ] {
            let trace = Trace::of(context, &said(None, None, Some("theirs")), (&own, recorded)).unwrap();
            assert_eq!((trace.id(), trace.sampled), (&b"0123456789abcdef1111111111111111"[..], sampled));
        }
        // What is recorded here decides nothing for a trace of another.
        let unsampled = GOOD.replace("-01", "-00");
        let trace = Trace::of(TraceContext::On, &said(Some(&unsampled), None, None), (&own, true)).unwrap();
        assert!(!trace.sampled);
        assert!(Trace::of(TraceContext::On, &said(None, None, None), (&own, false)).is_none());
        assert!(Trace::of(TraceContext::Off, &said(Some(GOOD), None, None), (&own, false)).is_none());
    }
}
