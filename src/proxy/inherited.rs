//! What a trusted proxy says about the client.
//!
//! Invariant: read only where the peer is trusted; what is malformed counts as absent.
//!
//! W3C Trace Context sections 3.2, 3.3; RFC 7239 sections 4, 6.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};

use super::{
    host::is_port,
    record::Record,
    sanitize::Sanitized,
    trace::{is_traceparent, tracestate},
};

/// What a trusted proxy says about the client.
#[derive(Default)]
pub struct Inherited {
    /// `X-Forwarded-For`, in the order of arrival.
    pub for_chain: Vec<HeaderValue>,
    /// `X-Forwarded-Proto`
    pub proto: Option<HeaderValue>,
    /// `X-Forwarded-Host`
    pub host: Option<HeaderValue>,
    /// `X-Forwarded-Port`
    pub port: Option<HeaderValue>,
    /// `X-Forwarded-Prefix`, without a slash at its end
    pub prefix: Option<HeaderValue>,
    /// `Forwarded`
    pub forwarded: Vec<HeaderValue>,
    /// `X-Request-Id`
    pub request_id: Option<HeaderValue>,
    /// `traceparent`
    pub traceparent: Option<HeaderValue>,
    /// `tracestate`, all of it as one list
    pub tracestate: Option<HeaderValue>,
}

impl Inherited {
    /// Reads what is good of it from the headers of a trusted proxy.
    pub(super) fn take_up(&mut self, headers: &HeaderMap) {
        let one = |name: &'static str| headers.get(name).cloned();
        self.for_chain = headers.get_all("x-forwarded-for").iter().cloned().collect();
        self.forwarded = headers.get_all("forwarded").iter().cloned().collect();
        self.proto = one("x-forwarded-proto").filter(|v| matches!(v.as_bytes(), b"http" | b"https"));
        self.host = one("x-forwarded-host");
        self.port = one("x-forwarded-port").filter(|port| is_port(port.as_bytes()));
        self.prefix = prefix(headers.get_all("x-forwarded-prefix").iter());
        self.request_id = one("x-request-id").filter(|id| {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
        });
        let mut parents = headers.get_all("traceparent").iter();
        self.traceparent = match (parents.next(), parents.next()) {
            (Some(parent), None) => Some(parent.clone()).filter(|v| is_traceparent(v.as_bytes())),
            _ => None,
        };
        if self.traceparent.is_some() {
            self.tracestate = tracestate(headers.get_all("tracestate").iter());
        }
    }

    /// Whom the request came from, in the order of arrival, by `X-Forwarded-For` or else by `Forwarded`. `None` stands for
    /// somebody who is not named by an address.
    pub(super) fn chain(&self) -> Vec<Option<IpAddr>> {
        let plain = !self.for_chain.is_empty();
        let read = if plain { address } else { named };
        let values = if plain { &self.for_chain } else { &self.forwarded };
        let elements = values.iter().flat_map(|value| split(value.to_str().unwrap_or_default(), ','));
        elements.map(read).collect()
    }
}

/// The path that proxies before have taken off, from all that they said of it: each adds its own (as a list, RFC 9110 section 5.3).
/// Links are made of it, so what could be read as more than a path is none.
fn prefix<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> Option<HeaderValue> {
    let mut prefix = String::new();
    for part in values.flat_map(|value| value.to_str().unwrap_or("?").split(',')) {
        let part = part.trim_matches([' ', '\t']).trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+=:@%".contains(&b);
        if !part.is_empty() && !part.starts_with('/') || part.contains("//") || !part.bytes().all(plain) {
            return None;
        }
        prefix.push_str(part);
    }
    HeaderValue::try_from(prefix).ok().filter(|prefix| !prefix.is_empty())
}

/// The parts of a list or of an element, where a separator in quotes separates nothing (RFC 9110 section 5.6.4).
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let separates = c == separator && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
    .map(str::trim)
}

/// The address in the `for` of an element of `Forwarded`.
fn named(element: &str) -> Option<IpAddr> {
    let pairs = split(element, ';').filter_map(|pair| pair.split_once('='));
    let node = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?.1;
    address(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

/// An address, with or without brackets, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    parsed.ok().map(|ip: IpAddr| ip.to_canonical())
}

/// Takes up for a request what a trusted proxy says of its client.
pub(super) fn take_over(record: &mut Record, sanitized: &Sanitized) {
    record.inherit(sanitized);
    // From the right: the nearest address that is no proxy of ours is the client's.
    for ip in sanitized.forwarded.chain().into_iter().rev() {
        let Some(ip) = ip else { break };
        record.set_source(ip);
        if !record.view.snapshot.trusts(ip) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(fields: &[(&'static str, &str)]) -> Vec<Option<String>> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut inherited = Inherited::default();
        inherited.take_up(&headers);
        inherited.chain().into_iter().map(|ip| ip.map(|ip| ip.to_string())).collect()
    }

    #[test]
    fn addresses_in_all_their_forms() {
        let one = |text: &str| chain(&[("x-forwarded-for", text)]).remove(0);
        for (text, wanted) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1:4711 ", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("[192.0.2.1", None),
            ("192.0.2.1 x", None),
        ] {
            assert_eq!(one(text).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn ports_and_prefixes_are_what_they_say_or_nothing() {
        let told = |name: &'static str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let mut inherited = Inherited::default();
            inherited.take_up(&headers);
            inherited.port.or(inherited.prefix).map(|value| value.to_str().unwrap().to_owned())
        };
        for port in ["0", "443", "65535"] {
            assert_eq!(told("x-forwarded-port", &[port]).as_deref(), Some(port));
        }
        for port in ["", "65536", "-1", "443, 80", "https", "4 3"] {
            assert_eq!(told("x-forwarded-port", &[port]), None, "{port:?}");
        }
        for (values, prefix) in [
            (&["/outer"][..], "/outer"),
            (&["/outer/"], "/outer"),
            (&["/a/b%20c"], "/a/b%20c"),
            (&["/a, /b/"], "/a/b"),
            (&["/a", "/b"], "/a/b"),
            (&["/", "/b"], "/b"),
        ] {
            assert_eq!(told("x-forwarded-prefix", values).as_deref(), Some(prefix), "{values:?}");
        }
        for values in [
            &[""][..],
            &["/"],
            &["outer"],
            &["//evil.example"],
            &["/a", "//evil.example"],
            &["/a//b"],
            &["/\\evil.example"],
            &["https://evil.example"],
            &["/a?b"],
            &["/a b"],
            &["/a", "b"],
            &["/\"><script>"],
        ] {
            assert_eq!(told("x-forwarded-prefix", values), None, "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_nothing_else_is_said() {
        let wanted = |ips: &[&str]| ips.iter().map(|ip| Some((*ip).to_owned())).collect::<Vec<_>>();
        for (text, ips) in [
            ("for=192.0.2.1", &["192.0.2.1"][..]),
            ("For=\"192.0.2.1:4711\"; proto=https", &["192.0.2.1"]),
            ("proto=https;for=\"[2001:db8::1]:4711\"", &["2001:db8::1"]),
            ("for=192.0.2.1, for=192.0.2.2;by=203.0.113.1", &["192.0.2.1", "192.0.2.2"]),
            ("host=\"a, for=192.0.2.9;\\\"\";for=192.0.2.1", &["192.0.2.1"]),
        ] {
            assert_eq!(chain(&[("forwarded", text)]), wanted(ips), "{text}");
        }
        assert_eq!(chain(&[("forwarded", "for=_hidden, by=192.0.2.1")]), [None, None]);
        assert_eq!(
            chain(&[("forwarded", "for=192.0.2.1"), ("forwarded", "for=192.0.2.2")]),
            wanted(&["192.0.2.1", "192.0.2.2"])
        );
        let both = [("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.7, 192.0.2.8")];
        assert_eq!(chain(&both), wanted(&["192.0.2.7", "192.0.2.8"]));
        assert!(chain(&[]).is_empty());
    }
}
