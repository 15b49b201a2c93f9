//! What the page of a service shows beside its settings: facts, what to try, who uses it.

use crate::{
    base::{id::ServiceId, secret::Secret, time::Timestamp},
    model::{
        grant::RejectedRedirect,
        service::Service,
        usage::{Count, LastUse, Links, UsageCounts},
    },
    registry::secrets::{self, SecretState},
    store::Result,
    texts::Language,
    web::{
        console::{
            observe::upstreams::{self, TargetRow},
            visit::Visit,
        },
        endpoint::Endpoint,
    },
};

/// Lines to copy: into the configuration file and into a shell.
pub(super) struct Example {
    pub(super) id: String,
    /// Below which it is, or could be, reached.
    pub(super) path: String,
    /// Whether an upstream names it already.
    pub(super) routed: bool,
    /// Whether it may obtain tokens for itself.
    pub(super) itself: bool,
    /// Whether the secret is in the line.
    pub(super) known: bool,
    /// Obtains a token.
    pub(super) token: String,
    /// Uses it.
    pub(super) request: String,
}

impl Example {
    pub(super) fn of(visit: &Visit, service: &Service, secret: Option<&Secret>) -> Self {
        let snapshot = &visit.caller.snapshot;
        let id = service.id.as_str();
        let route = snapshot.routes.iter().find(|route| route.policy.service.as_ref() == Some(&service.id));
        let path = route.map_or_else(|| format!("/{}", slug(&service.name)), |route| route.path.clone());
        let user = secret.map_or_else(|| id.to_owned(), |secret| format!("{id}:{}", secret.expose()));
        let endpoint = Endpoint::Token.url(visit.hub());
        let token = format!(
            "TOKEN=$(curl -s -u {} -d grant_type=client_credentials -d {} {} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
            quoted(&user),
            quoted(&format!("scope={id}")),
            quoted(&endpoint),
        );
        let address = format!("{}{}/", snapshot.origin, path.trim_end_matches('/'));
        let request = format!("curl -H \"Authorization: Bearer $TOKEN\" {}", quoted(&address));
        let itself = service.may_use(crate::model::flow::Flow::ClientCredentials);
        let known = secret.is_some();
        Self { id: id.to_owned(), path, routed: route.is_some(), itself, known, token, request }
    }
}

/// One word of a shell's line.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A path that a name suggests.
fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "app".to_owned() } else { words.join("-") }
}

/// A route of the service and how its requests went since the start.
pub(super) struct RouteFacts {
    pub(super) label: String,
    pub(super) targets: Vec<TargetRow>,
    pub(super) requests: u64,
    pub(super) errors: u64,
}

/// Another service, as a link.
pub(super) struct Other {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) at: Timestamp,
}

/// Everything beside the settings.
pub(super) struct Facts {
    pub(super) used: LastUse,
    pub(super) routes: Vec<RouteFacts>,
    pub(super) secret: Option<SecretState>,
    pub(super) rejected: Vec<RejectedRedirect>,
    pub(super) counts: UsageCounts,
    pub(super) asks_for: Vec<Other>,
    pub(super) asked_by: Vec<Other>,
}

impl Facts {
    pub(super) async fn of(visit: &Visit, service: &Service) -> Result<Self> {
        let store = &visit.control.store;
        let used = visit.control.last_uses(std::slice::from_ref(&service.id)).await?;
        let seen = visit.control.gate.verdicts.uses().links(&service.id);
        let Links { asks_for, asked_by } = store.links(&service.id).await?.merged(seen);
        Ok(Self {
            used: used.first().copied().unwrap_or_default(),
            routes: routes(visit, &service.id),
            secret: secrets::state(service, visit.now()),
            rejected: store.list_rejected_redirects(&service.id).await?,
            counts: store.usage(&service.id).await?,
            asks_for: others(visit, asks_for),
            asked_by: others(visit, asked_by),
        })
    }
}

fn others(visit: &Visit, links: Vec<(ServiceId, Timestamp)>) -> Vec<Other> {
    let registry = &visit.caller.snapshot.registry;
    let other = |(id, at): (ServiceId, Timestamp)| {
        let name = registry.by_id(id.as_str())?.name.clone();
        Some(Other { name, url: visit.link(&super::path_of(&id)), at })
    };
    links.into_iter().filter_map(other).collect()
}

fn routes(visit: &Visit, id: &ServiceId) -> Vec<RouteFacts> {
    let totals = &visit.control.totals;
    let routes = visit.caller.snapshot.routes.iter();
    let facts = routes.filter(|route| route.policy.service.as_ref() == Some(id)).map(|route| RouteFacts {
        label: route.label.to_string(),
        targets: upstreams::targets(visit.t, route),
        requests: totals.of_route("requests", &route.label),
        errors: totals.of_route("upstream_errors", &route.label),
    });
    facts.collect()
}

/// A number that was counted up to a bound.
pub(super) fn counted(t: Language, count: &Count) -> String {
    if count.more { t.at_least(count.number) } else { count.number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_a_shell_are_one_word_each() {
        assert_eq!(quoted("a b$(x)`y`\"z"), "'a b$(x)`y`\"z'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn a_path_is_made_of_a_name() {
        assert_eq!(slug("My YouTrack, 2nd"), "my-youtrack-2nd");
        assert_eq!(slug("Ünïcode"), "n-code");
        assert_eq!(slug("日本"), "app");
    }
}
