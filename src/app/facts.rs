//! The configuration in force as pages show it: the words of gateway.toml, without what is secret.
//!
//! Invariant: a value is put here by name; nothing of a configuration is shown that this list does not name.

use std::{fmt::Display, sync::Arc, time::Duration};

use super::shared::Shared;
use crate::{
    base::time::Timestamp,
    config::{Config, LogFormat, Mail, MailTls, OAuthProfile, Rate, StoreUrl, Telemetry, Tls},
    model::trace::TraceContext,
    server::tls::Certificate,
    web::facts::{CertificateFacts, Facts, Settings, SettingsPart},
};

/// See the module.
pub(super) struct Told {
    pub(super) shared: Arc<Shared>,
    pub(super) certificate: Arc<Certificate>,
    pub(super) started: Timestamp,
}

impl Facts for Told {
    fn settings(&self) -> Settings {
        settings(&self.shared.config())
    }

    fn certificate(&self) -> CertificateFacts {
        let self_signed = matches!(self.shared.config().tls, Tls::SelfSigned);
        CertificateFacts { ends: self.certificate.ends(), self_signed }
    }

    fn started(&self) -> Timestamp {
        self.started
    }
}

/// A text in quotes.
fn text(value: impl Display) -> String {
    format!("{:?}", value.to_string())
}

fn list<T: Display>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(text).collect();
    format!("[{}]", values.join(", "))
}

/// A duration as the file spells it: the largest unit that goes into it.
fn span(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis > 0 && millis.is_multiple_of(unit) {
            return format!("\"{}{name}\"", millis / unit);
        }
    }
    if millis == 0 { "\"0s\"".to_owned() } else { format!("\"{millis}ms\"") }
}

fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("\"{}{name}\"", bytes / unit);
        }
    }
    bytes.to_string()
}

/// The same of what may be unlimited.
fn most(bytes: u64) -> String {
    if bytes == u64::MAX { "\"off\"".to_owned() } else { size(bytes) }
}

fn rate(rate: Option<Rate>) -> String {
    let Some(Rate { count, per }) = rate else { return "\"off\"".to_owned() };
    let per = span(per);
    let per = per.trim_matches('"');
    let per = per.strip_prefix('1').filter(|unit| unit.chars().all(char::is_alphabetic)).unwrap_or(per);
    format!("\"{count}/{per}\"")
}

fn settings(config: &Config) -> Settings {
    let part = |heading, entries| SettingsPart { heading, entries };
    let general = vec![
        ("public_url", text(&config.public_url)),
        ("data_dir", text(config.data_dir.display())),
        ("service", format!("{} declared", config.services.len())),
        ("user", format!("{} declared", config.users.len())),
        ("upstream", format!("{} declared", config.upstreams.len())),
        ("test", format!("{} declared", config.tests.len())),
    ];
    let listen = &config.listen;
    let listen = vec![
        ("https", list(&listen.https)),
        ("http", list(&listen.http)),
        ("management", listen.management.map_or_else(|| "\"off\"".to_owned(), text)),
        ("trusted_proxies", list(&listen.trusted_proxies)),
        ("proxy_protocol", listen.proxy_protocol.to_string()),
        ("workers", listen.workers.map_or_else(|| "one for each core".to_owned(), |n| n.to_string())),
    ];
    let tls = match &config.tls {
        Tls::SelfSigned => vec![("certificate", "self-signed, for development".to_owned())],
        Tls::Files { certificate, .. } => vec![("certificate", text(certificate.display()))],
    };
    let StoreUrl::Sqlite(path) = &config.store;
    let oauth = &config.oauth;
    let profile = match oauth.profile {
        OAuthProfile::Hub => "hub",
        OAuthProfile::OAuth21 => "oauth21",
    };
    let oauth = vec![
        ("profile", text(profile)),
        ("access_token_ttl", span(oauth.access_token_ttl)),
        ("refresh_token_ttl", span(oauth.refresh_token_ttl)),
        ("code_ttl", span(oauth.code_ttl)),
        ("refresh_window", span(oauth.refresh_window)),
        ("consent_ttl", span(oauth.consent_ttl)),
        ("signing_algorithm", text(oauth.signing_algorithm.name())),
        ("secret_grace", span(oauth.secret_grace)),
        ("key_rotation", oauth.key_rotation.map_or_else(|| "\"off\"".to_owned(), span)),
    ];
    let format = match config.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let level = config.log.level.as_str().to_ascii_lowercase();
    let trace = match config.log.trace_context {
        TraceContext::On => "on",
        TraceContext::Sampled => "sampled",
        TraceContext::Off => "off",
    };
    let log = vec![
        ("format", text(format)),
        ("level", text(level)),
        ("access", config.log.access.to_string()),
        ("slow", config.log.slow.map_or_else(|| "\"off\"".to_owned(), span)),
        ("trace_context", text(trace)),
    ];
    let sessions = vec![("idle", span(config.sessions.idle)), ("life", span(config.sessions.absolute))];
    Settings {
        file: config.file.display().to_string(),
        warnings: config.warnings.to_string().lines().map(str::to_owned).collect(),
        parts: vec![
            part("", general),
            part("[listen]", listen),
            part("[tls]", tls),
            part("[store]", vec![("url", text(format!("sqlite:{}", path.display())))]),
            part("[hub]", vec![("path", text(&config.hub.path))]),
            part("[oauth]", oauth),
            part("[sessions]", sessions),
            part("[limits]", limits(config)),
            part("[log]", log),
            part("[telemetry]", config.telemetry.as_ref().map(telemetry).unwrap_or_default()),
            part("[mail]", config.mail.as_ref().map(mail).unwrap_or_default()),
        ],
    }
}

/// What is sent along to the collector stays out.
fn telemetry(telemetry: &Telemetry) -> Vec<(&'static str, String)> {
    let (whole, part) = (telemetry.sample / 10_000, telemetry.sample % 10_000);
    let part = format!(".{part:04}");
    let sample = format!("{whole}{}%", part.trim_end_matches('0').trim_end_matches('.'));
    let mut entries = vec![("otlp", text(&telemetry.otlp))];
    entries.extend(telemetry.ca.as_ref().map(|ca| ("ca", text(ca.display()))));
    entries.push(("service_name", text(&telemetry.service_name)));
    entries.push(("sample", text(sample)));
    entries.push(("timeout", span(telemetry.timeout)));
    entries
}

/// How the gateway signs in at the server stays out, but for the name.
fn mail(mail: &Mail) -> Vec<(&'static str, String)> {
    let tls = match mail.tls {
        MailTls::StartTls => "starttls",
        MailTls::Tls => "tls",
        MailTls::None => "none",
    };
    let (name, address) = &mail.from;
    let from = if name.is_empty() { address.clone() } else { format!("{name} <{address}>") };
    let mut entries = vec![("from", text(from)), ("host", text(&mail.host)), ("tls", text(tls))];
    entries.push(("port", mail.port.to_string()));
    entries.extend(mail.ca.as_ref().map(|ca| ("ca", text(ca.display()))));
    entries.extend(mail.credentials.as_ref().map(|(name, _)| ("username", text(name))));
    entries.push(("timeout", span(mail.timeout)));
    entries
}

fn limits(config: &Config) -> Vec<(&'static str, String)> {
    let limits = &config.limits;
    let bytes = |bytes: usize| size(u64::try_from(bytes).unwrap_or(u64::MAX));
    vec![
        ("handshake_timeout", span(limits.handshake_timeout)),
        ("header_timeout", span(limits.header_timeout)),
        ("body_timeout", span(limits.body_timeout)),
        ("write_timeout", span(limits.write_timeout)),
        ("min_body_rate", size(limits.min_body_rate)),
        ("min_answer_rate", size(limits.min_answer_rate)),
        ("idle_timeout", span(limits.idle_timeout)),
        ("drain_timeout", span(limits.drain_timeout)),
        ("max_header_size", bytes(limits.max_header_size)),
        ("max_headers", limits.max_headers.to_string()),
        ("max_body_size", most(limits.max_body_size)),
        ("max_connections", limits.max_connections.to_string()),
        ("max_connections_per_source", limits.max_connections_per_source.to_string()),
        ("max_streams", limits.max_streams.to_string()),
        ("token_cache", limits.token_cache.to_string()),
        ("max_requests", limits.max_requests.to_string()),
        ("requests_per_source", rate(limits.requests.source)),
        ("requests_per_service", rate(limits.requests.service)),
        ("requests_per_user", rate(limits.requests.user)),
        ("rejections_per_source", rate(limits.rejections_per_source)),
        ("login_failures", rate(limits.login_failures)),
        ("login_failures_per_source", rate(limits.login_failures_per_source)),
        ("login_failures_per_account", rate(limits.login_failures_per_account)),
        (
            "password_threads",
            limits.password_threads.map_or_else(|| "half as many as cores".to_owned(), |n| n.to_string()),
        ),
        ("password_queue", limits.password_queue.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn values_are_spelled_as_the_file_spells_them() {
        for (time, expected) in
            [(90, "\"90s\""), (60, "\"1m\""), (3600, "\"1h\""), (86_400 * 90, "\"90d\""), (0, "\"0s\"")]
        {
            assert_eq!(span(Duration::from_secs(time)), expected);
            let read = crate::config::parse_duration(expected.trim_matches('"')).unwrap();
            assert_eq!(read, Duration::from_secs(time));
        }
        assert_eq!(span(Duration::from_millis(1500)), "\"1500ms\"");
        assert_eq!([size(65_536), size(1000), size(0)], ["\"64KiB\"", "1000", "0"]);
        assert_eq!([most(u64::MAX), most(65_536)], ["\"off\"", "\"64KiB\""]);
        let of = |count, seconds| {
            rate(NonZeroU32::new(count).map(|count| Rate { count, per: Duration::from_secs(seconds) }))
        };
        assert_eq!([of(0, 1), of(100, 1), of(30, 60)], ["\"off\"", "\"100/s\"", "\"30/m\""]);
        assert_eq!(list(&["a\"b"]), r#"["a\"b"]"#);
    }
}
