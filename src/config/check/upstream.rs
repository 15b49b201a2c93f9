//! `[[upstream]]`: where requests go.

use std::collections::BTreeMap;

use super::{answers, delivery, gateway, limits, redirects, rule, service};
use crate::config::{
    Credential, DeclaredService, Hub, OnExpiry, Upstream, defaults,
    reader::Section,
    schema,
    value::{self, choice, words, wrong},
};
use crate::{
    base::url::PublicUrl,
    model::{delivery::Delivery, upstream::TlsFiles},
};

pub(super) fn upstreams(
    root: &Section<'_, '_>,
    (hub, public): (&Hub, Option<&PublicUrl>),
    services: &[DeclaredService],
) -> Vec<Upstream> {
    let mut routes = BTreeMap::new();
    let sections = root.repeated(&schema::UPSTREAM);
    let host = public.map(PublicUrl::host);
    let read = sections.iter().filter_map(|section| {
        Some((section.get("redirect"), upstream(section, (hub, host), services, &mut routes)?))
    });
    let (places, upstreams): (Vec<_>, Vec<_>) = read.unzip();
    redirects::expect_ends(&places, &upstreams, (hub, public));
    upstreams
}

/// Host and path of the upstreams so far, and how many they are.
type Routes = BTreeMap<(Option<String>, String), usize>;

fn upstream(
    section: &Section<'_, '_>,
    (hub, public): (&Hub, Option<&str>),
    services: &[DeclaredService],
    routes: &mut Routes,
) -> Option<Upstream> {
    let help = r#"name the service that a token must have in its scope: service = "youtrack""#;
    let service = section.required("service", help).and_then(|value| {
        let name = value.parse(|text| words(text, service::LONGEST_NAME))?;
        service::expect_service(&value, &name, services);
        Some(name)
    });
    let host = section.parse("host", value::host);
    let path = path(section, hub);
    let number = routes.len() + 1;
    if let Some(other) = routes.insert((host.clone(), path.clone()), number) {
        let place = section.get("path").map_or_else(|| section.place.clone(), |value| value.place);
        let what = format!("two upstreams answer for the same path `{path}`");
        let refusal = wrong(what)
            .label(format!("upstream {other} of this file has it already"))
            .help("give one of them another `path` or `host`");
        section.context.problem(&place, refusal);
    }
    let credentials =
        [("scoped", Credential::Scoped), ("pass", Credential::Pass), ("none", Credential::None)];
    let redirect = answers::redirect(section);
    let delivery = if section.get("redirect").is_some() {
        redirect.as_ref().map(|_| Delivery::new(Vec::new()))
    } else {
        delivery::delivery(section)
    };
    let rules = rule::rules(section, &path, (host.as_deref(), public), services);
    Some(Upstream {
        host,
        strip_path: section.flag("strip_path").unwrap_or(false),
        prepend_path: section.parse("prepend_path", value::path).unwrap_or_default(),
        redirect,
        response_headers: answers::response_headers(section),
        credential: section
            .parse("credential", |text| choice(text, &credentials))
            .unwrap_or(Credential::Scoped),
        enforce: enforce(section),
        on_expiry: section
            .parse("on_expiry", |text| {
                choice(text, &[("close", OnExpiry::Close), ("drain", OnExpiry::Drain)])
            })
            .unwrap_or(OnExpiry::Close),
        websocket_timeout: section.duration(
            "websocket_timeout",
            limits::websocket_timeout(),
            Upstream::WEBSOCKET_TIMEOUT,
        ),
        max_body_size: limits::body(section),
        min_body_rate: limits::pace(section, "min_body_rate"),
        rates: limits::requests(section),
        tls: tls_files(section),
        rules,
        service: service?,
        path,
        delivery: delivery?,
    })
}

/// Whether the rules hold. That they do not is said each time the file is read.
fn enforce(section: &Section<'_, '_>) -> bool {
    let Some(value) = section.get("enforce") else { return true };
    let enforce = value.flag().unwrap_or(true);
    if !enforce {
        value.doubt(
            wrong("is off: this upstream is open to everybody")
                .label("what would be refused is forwarded and logged as `would_refuse`")
                .help("set it to true, or leave it out, once the log shows no request that should pass"),
        );
    }
    enforce
}

/// The prefix; below the gateway's own path it would hide the gateway's endpoints.
fn path(section: &Section<'_, '_>, hub: &Hub) -> String {
    let default = || defaults::UPSTREAM_PATH.to_owned();
    let Some(value) = section.get("path") else { return default() };
    let path = value.parse(|text| match text {
        "/" => Ok(default()),
        "" => Err(wrong("is empty").help("write \"/\" for everything")),
        _ => value::path(text),
    });
    let Some(path) = path else { return default() };
    let below =
        path.strip_prefix(hub.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !hub.path.is_empty() && below {
        let label = format!("on or below `hub.path`, which is {:?}", hub.path);
        value.refuse(
            wrong("would hide the gateway's own endpoints")
                .label(label)
                .help("give the upstream another path, or move `hub.path`"),
        );
    }
    path
}

fn tls_files(section: &Section<'_, '_>) -> TlsFiles {
    let ca = section.get("ca").and_then(|value| gateway::file(&value, gateway::certificates));
    let client = match (section.get("client_certificate"), section.get("client_key")) {
        (None, None) => None,
        (Some(only), None) => {
            only.refuse(wrong("is named without its key").help("add `client_key`"));
            None
        }
        (None, Some(only)) => {
            only.refuse(wrong("is named without its certificate").help("add `client_certificate`"));
            None
        }
        (Some(certificate), Some(key)) => {
            let certificate = gateway::file(&certificate, gateway::certificates);
            certificate.zip(gateway::file(&key, gateway::private_key))
        }
    };
    TlsFiles { ca, client }
}
