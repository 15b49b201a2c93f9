//! `[[upstream]]`: where requests go.

use std::collections::BTreeMap;

use super::{gateway, limits, rule, service};
use crate::config::{
    Credential, DeclaredService, Hub, OnExpiry, Target, Upstream, defaults,
    entry::Entry,
    reader::Section,
    schema,
    value::{self, choice, words, wrong},
};

pub(super) fn upstreams(
    root: &Section<'_, '_>,
    (hub, public): (&Hub, Option<&str>),
    services: &[DeclaredService],
) -> Vec<Upstream> {
    let mut routes = BTreeMap::new();
    let sections = root.repeated(&schema::UPSTREAM);
    sections.iter().filter_map(|section| upstream(section, (hub, public), services, &mut routes)).collect()
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
    let max_idle = section.count("max_idle", 0..=100_000, defaults::UPSTREAM_MAX_IDLE);
    let to = targets(section);
    let rules = rule::rules(section, &path, (host.as_deref(), public), services);
    Some(Upstream {
        host,
        strip_path: section.flag("strip_path").unwrap_or(false),
        credential: section
            .parse("credential", |text| choice(text, &credentials))
            .unwrap_or(Credential::Scoped),
        timeout: section.duration("timeout", limits::timeout(), defaults::UPSTREAM_TIMEOUT),
        on_expiry: section
            .parse("on_expiry", |text| {
                choice(text, &[("close", OnExpiry::Close), ("drain", OnExpiry::Drain)])
            })
            .unwrap_or(OnExpiry::Close),
        websocket_timeout: section.duration(
            "websocket_timeout",
            limits::websocket_timeout(),
            defaults::UPSTREAM_WEBSOCKET_TIMEOUT,
        ),
        connect_timeout: section.duration(
            "connect_timeout",
            limits::timeout(),
            defaults::UPSTREAM_CONNECT_TIMEOUT,
        ),
        max_idle: usize::try_from(max_idle).unwrap_or_default(),
        max_body_size: section.get("max_body_size").and_then(|value| value.size(&limits::BODY)),
        ca: section.get("ca").and_then(|value| ca(&value, to.as_deref().unwrap_or_default())),
        rules,
        service: service?,
        path,
        to: to?,
    })
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

fn targets(section: &Section<'_, '_>) -> Option<Vec<Target>> {
    let value = section.required("to", r#"name where requests go: to = ["http://127.0.0.1:8080"]"#)?;
    let items = value.list()?;
    if items.is_empty() {
        value.refuse(wrong("has no target").help(r#"write at least one: ["http://127.0.0.1:8080"]"#));
    }
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Some(target) = item.parse(value::target) else { continue };
        if targets.contains(&target) {
            item.refuse(wrong("names the same target twice").label("already listed"));
        }
        targets.push(target);
    }
    Some(targets)
}

fn ca(value: &Entry<'_, '_>, targets: &[Target]) -> Option<std::path::PathBuf> {
    let path = gateway::file(value, gateway::certificates);
    if !targets.is_empty() && targets.iter().all(|target| !target.tls) {
        value.doubt(wrong("has no effect").label("no target of this upstream is https"));
    }
    path
}
