//! `[telemetry]`: the OpenTelemetry collector that takes the gateway's spans.
//!
//! Invariants: a program that cannot send spans refuses to be told to; no header for the collector leaves this machine
//! unencrypted, and no message repeats any part of one.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{gateway, secret};
use crate::{
    base::secret::Secret,
    config::{
        Telemetry,
        reader::Section,
        value::{Wrong, words, wrong},
    },
    model::trace::TraceContext,
};

/// How long the collector may take.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// OTLP exporter specification: 10 seconds.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// All of them, in parts of a million.
const ALL: u32 = 1_000_000;

/// What is added to the collector's address (OTLP/HTTP: default URL paths).
const TRACES: &str = "/v1/traces";

/// Fields that the gateway writes itself.
const OURS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// `None` when the file says nothing of spans, or something wrong.
pub(super) fn telemetry(section: &Section<'_, '_>, context: TraceContext) -> Option<Telemetry> {
    let keys = ["otlp", "headers", "ca", "service_name", "sample", "timeout"];
    let first = keys.into_iter().find_map(|key| section.get(key))?;
    if !cfg!(feature = "otel") {
        first.refuse(
            wrong("needs OpenTelemetry, which this hubgate was built without")
                .label("spans would not be sent")
                .help("build it with `cargo build --release --features otel`, or leave `[telemetry]` empty"),
        );
    }
    let help = r#"write the collector's address: otlp = "http://127.0.0.1:4318""#;
    let otlp = section.required("otlp", help)?;
    let address = otlp.parse(address);
    let headers = section.get("headers").and_then(|value| {
        let text = secret::headers(&value, |text| fields(text).map(drop))?;
        let clear = address.as_ref().is_some_and(|address| !address.tls && !is_loopback(&address.host));
        if clear {
            value.refuse(
                wrong("would be sent in the clear")
                    .label("`telemetry.otlp` is http:// and not on this machine")
                    .help("reach the collector by https://"),
            );
        }
        fields(text.expose()).ok()
    });
    let ca: Option<PathBuf> =
        section.get("ca").and_then(|value| gateway::file(&value, gateway::certificates));
    let service_name = section.parse("service_name", |text| words(text, 100));
    let sample = section.parse("sample", share).unwrap_or(ALL);
    match (context, section.get("sample")) {
        (TraceContext::Off, _) => otlp.refuse(
            wrong("needs the gateway to take part in traces")
                .label("`log.trace_context` is \"off\"")
                .help(r#"write trace_context = "on", or leave `[telemetry]` empty"#),
        ),
        (TraceContext::Sampled, Some(value)) if sample < ALL => value.refuse(
            wrong("leaves out traces that are marked as sampled")
                .label("`log.trace_context` is \"sampled\"")
                .help(r#"write trace_context = "on": what is recorded is then marked"#),
        ),
        _ => {}
    }
    let timeout = section.duration("timeout", TIMEOUT, DEFAULT_TIMEOUT);
    let Address { tls, host, port, path } = address?;
    Some(Telemetry {
        otlp: otlp.text()?.into_owned(),
        tls,
        host,
        port,
        path,
        headers: headers.unwrap_or_default(),
        ca,
        service_name: service_name.unwrap_or_else(|| "hubgate".to_owned()),
        sample,
        timeout,
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// Where the collector is: scheme, host, port, and what its paths begin with.
fn address(text: &str) -> Result<Address, Wrong> {
    let help = r#"write for example "http://127.0.0.1:4318" or "https://otlp.example.org""#;
    let refuse = |label: &str| wrong("is not the address of a collector").label(label).help(help);
    let url = ::url::Url::parse(text).map_err(|_| refuse("not an absolute URL"))?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(refuse("not http:// or https://")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        let help = "leave out what stands before `@`, and write it in `headers`";
        return Err(wrong("contains a user name or password").help(help));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("without `?` and `#`"));
    }
    let before = url.path().trim_end_matches('/');
    if before.ends_with(TRACES) {
        let help = format!("leave out {TRACES}: it is added");
        return Err(wrong("names more than the collector").label("this is where traces go").help(help));
    }
    let host = url.host_str().ok_or_else(|| refuse("no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| refuse("no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Address { tls, host, port, path: format!("{before}{TRACES}") })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Header fields, one on a line.
fn fields(text: &str) -> Result<Vec<(HeaderName, Secret)>, Wrong> {
    let help = r#"write one field on each line: "Authorization: Bearer …""#;
    let refuse = |label: String| wrong("is no list of header fields").label(label).help(help);
    let mut fields = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line_of = |what: &str| refuse(format!("line {}: {what}", number + 1));
        let (name, value) = line.split_once(':').ok_or_else(|| line_of("no colon"))?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| line_of("not the name of a header"))?;
        let value = value.trim();
        if value.is_empty() || HeaderValue::from_str(value).is_err() {
            return Err(line_of("not the value of a header"));
        }
        if OURS.contains(&name.as_str()) {
            return Err(line_of("a field that the gateway writes itself"));
        }
        fields.push((name, Secret::new(value.to_owned())));
    }
    if fields.is_empty() { Err(refuse("there is none".to_owned())) } else { Ok(fields) }
}

/// `"10%"`, `"0.5%"`, in parts of a million.
fn share(text: &str) -> Result<u32, Wrong> {
    let refuse = || {
        wrong("is not a share")
            .label("from 0% to 100%, at most four digits after the point")
            .help(r#"write for example "100%", "10%" or "0.5%""#)
    };
    let number = text.strip_suffix('%').ok_or_else(refuse)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 4 {
        return Err(refuse());
    }
    let part: u32 = format!("{part:0<4}").parse().map_err(|_| refuse())?;
    let whole: u32 = whole.parse().map_err(|_| refuse())?;
    let share = whole.checked_mul(10_000).and_then(|whole| whole.checked_add(part));
    share.filter(|share| *share <= ALL).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_an_address_and_nothing_secret_in_it() {
        for (text, tls, host, port, path) in [
            ("http://127.0.0.1:4318", false, "127.0.0.1", 4318, "/v1/traces"),
            ("http://127.0.0.1:4318/", false, "127.0.0.1", 4318, "/v1/traces"),
            ("https://otlp.example.org", true, "otlp.example.org", 443, "/v1/traces"),
            ("https://otlp.example.org/otlp/", true, "otlp.example.org", 443, "/otlp/v1/traces"),
            ("http://[::1]:4318", false, "::1", 4318, "/v1/traces"),
        ] {
            let expected = Address { tls, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(address(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://",
            "http://u:p@127.0.0.1:4318",
            "http://u@127.0.0.1:4318",
            "http://127.0.0.1:4318?key=x",
            "http://127.0.0.1:4318/#x",
            "http://127.0.0.1:4318/v1/traces",
            "http://127.0.0.1:4318/v1/traces/",
        ] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shares_are_exact() {
        for (text, expected) in
            [("100%", ALL), ("0%", 0), ("10%", 100_000), ("0.5%", 5000), ("0.0001%", 1), ("099.99%", 999_900)]
        {
            assert_eq!(share(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "%",
            "10",
            "0.1",
            "101%",
            "100.0001%",
            "-1%",
            "+1%",
            "1e1%",
            ".5%",
            "5.%",
            "0.00001%",
            "1,5%",
        ] {
            assert!(share(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_are_fields_and_no_message_shows_them() {
        let read = fields("Authorization: Basic dG9wc2VjcmV0\n\nx-scope:a b\r\n").unwrap();
        let shown: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(shown, [("authorization", "Basic dG9wc2VjcmV0"), ("x-scope", "a b")]);
        for bad in [
            "",
            "\n",
            "topsecret",
            "a=topsecret",
            "a b: topsecret",
            ": topsecret",
            "a:",
            "a: topsecret\u{1}",
            "Host: topsecret",
            "Content-Length: 5",
            "a: b\nTransfer-Encoding: chunked",
        ] {
            let wrong = fields(bad).unwrap_err();
            assert!(!format!("{wrong:?}").contains("secret"), "{wrong:?}");
        }
    }
}
