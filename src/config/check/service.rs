//! `[[service]]`: the services that the file declares.

use std::collections::BTreeMap;

use super::secret;
use crate::{
    base::{id::ServiceId, secret::Secret},
    config::{
        DeclaredService, OAuthProfile, allowed_flows,
        entry::Entry,
        reader::Section,
        schema, suggest,
        value::{self, RedirectUri, words, wrong},
    },
    model::{
        flow::{Flow, Flows},
        naming,
        scope::is_reserved,
        service::{Profile, Trust},
    },
};

/// The longest name; REST and pages hold it too.
pub(super) const LONGEST_NAME: usize = 100;
const LONGEST_TEXT: usize = 1000;

pub(super) fn services(root: &Section<'_, '_>, text: &str, profile: OAuthProfile) -> Vec<DeclaredService> {
    let mut seen = Seen::default();
    let sections = root.repeated(&schema::SERVICE);
    sections.iter().filter_map(|section| service(section, text, profile, &mut seen)).collect()
}

/// Ids and names so far. Both stand for the service in a scope, so one may not be another's other.
#[derive(Default)]
struct Seen(BTreeMap<String, (String, &'static str)>);

impl Seen {
    fn add(&mut self, value: &Entry<'_, '_>, key: &str, kind: &'static str, owner: &str) {
        let Some((other, other_kind)) = self.0.get(key) else {
            self.0.insert(key.to_owned(), (owner.to_owned(), kind));
            return;
        };
        if other == owner && kind != *other_kind {
            return;
        }
        let label = format!("already the {other_kind} of service `{other}`");
        value.refuse(wrong("is taken").label(label).help("ids and names both stand for a service in a scope, so each may exist once (capital letters do not count)"));
    }
}

fn service(
    section: &Section<'_, '_>,
    text: &str,
    profile: OAuthProfile,
    seen: &mut Seen,
) -> Option<DeclaredService> {
    let id = section
        .required("id", r#"write an id, which clients send as client_id: id = "youtrack""#)
        .and_then(|value| {
            let id = value.parse(service_id)?;
            refuse_reserved(&value, id.as_str());
            seen.add(&value, &id.as_str().to_lowercase(), "id", id.as_str());
            Some(id)
        });
    let name =
        section.required("name", r#"write the name that people see: name = "YouTrack""#).and_then(|value| {
            let name = value.parse(|text| match words(text, LONGEST_NAME)? {
                name if name.contains(naming::is_invisible) => Err(wrong("has an invisible character")),
                name => Ok(name),
            })?;
            refuse_reserved(&value, &name);
            let owner = id.as_ref().map_or(name.as_str(), ServiceId::as_str);
            seen.add(&value, &name.to_lowercase(), "name", owner);
            Some(name)
        });
    let trust = trust(section, profile);
    let secret = section.get("secret").and_then(|value| read_secret(&value, trust.public));
    let profile = descriptive(section);
    let (line, _) = section.place.position(text);
    Some(DeclaredService { line, id: id?, name: name?, trust, profile, secret })
}

/// Ids and names stand for a service in a scope, where some words mean something else.
fn refuse_reserved(value: &Entry<'_, '_>, word: &str) {
    if is_reserved(word) {
        let help = "the gateway's own service, and what OpenID Connect defines: choose another";
        value.refuse(wrong("is reserved").label("has a meaning of its own in a scope").help(help));
    }
}

/// An id, with the reason why it is none.
pub(super) fn service_id(text: &str) -> Result<ServiceId, value::Wrong> {
    ServiceId::parse(text).map_err(|error| {
        wrong("is not an id")
            .label(error.to_string())
            .help("letters, digits, `.`, `_` and `-`, at most 64 of them")
    })
}

fn read_secret(value: &Entry<'_, '_>, public: bool) -> Option<Secret> {
    if public {
        let help = "take out `secret`, or write public = false";
        value.refuse(wrong("is given to a public service").label("public services have none").help(help));
        return None;
    }
    secret::secret(value)
}

/// What it may do. `trusted` alone decides consent too: the older meaning of Hub's switch.
fn trust(section: &Section<'_, '_>, profile: OAuthProfile) -> Trust {
    let default = Trust::default();
    let (trusted, consent) = (section.flag("trusted"), section.flag("consent_required"));
    Trust {
        trusted: trusted.unwrap_or(default.trusted),
        consent_required: consent.or(trusted.map(|trusted| !trusted)).unwrap_or(default.consent_required),
        public: section.flag("public").unwrap_or(default.public),
        pkce_required: section.flag("pkce_required").unwrap_or(default.pkce_required),
        rotate_refresh_tokens: rotation(section).unwrap_or(default.rotate_refresh_tokens),
        flows: flows(section, profile).unwrap_or_else(|| allowed_flows(profile)),
    }
}

/// RFC 9700 section 4.14.2: the refresh tokens of public clients are bound to their sender, or rotate.
fn rotation(section: &Section<'_, '_>) -> Option<bool> {
    let rotates = section.flag("rotate")?;
    if !rotates && section.flag("public") == Some(true) {
        section.get("rotate")?.refuse(
            wrong("keeps the refresh tokens of a public service")
                .label("whoever has copied one needs no secret to use it")
                .help("take out `rotate`, or give the service a secret and write public = false"),
        );
    }
    Some(rotates)
}

fn flows(section: &Section<'_, '_>, profile: OAuthProfile) -> Option<Flows> {
    let names = Flow::ALL.map(|flow| (flow.name(), flow));
    let allowed = allowed_flows(profile);
    section
        .parse_list("flows", |text| {
            let flow = value::choice(text, &names)?;
            if allowed.contains(flow) {
                return Ok(flow);
            }
            let list: Vec<String> = allowed.iter().map(|flow| format!("{:?}", flow.name())).collect();
            Err(wrong("names a flow that the profile \"oauth21\" forbids").label("not in OAuth 2.1").help(
                format!(
                    "take it out (allowed: {}), or write profile = \"hub\" in `[oauth]`",
                    list.join(", ")
                ),
            ))
        })
        .map(|flows| flows.into_iter().collect())
}

fn descriptive(section: &Section<'_, '_>) -> Profile {
    let text = |key, longest| section.parse(key, |text| words(text, longest));
    let home_url = section.parse("home_url", value::web_url);
    let base_urls = section.parse_list("base_urls", value::web_url).unwrap_or_default();
    let resolvable = home_url.is_some() || !base_urls.is_empty();
    Profile {
        key: text("key", LONGEST_NAME),
        description: text("description", LONGEST_TEXT),
        redirect_uris: redirect_uris(section, resolvable),
        home_url,
        base_urls,
        application_name: text("application_name", LONGEST_NAME),
        vendor: text("vendor", LONGEST_NAME),
        version: text("version", LONGEST_NAME),
        icon_url: section.parse("icon_url", value::web_url),
        ..Profile::default()
    }
}

fn redirect_uris(section: &Section<'_, '_>, resolvable: bool) -> Vec<String> {
    let items = section.get("redirect_uris").and_then(|value| value.list()).unwrap_or_default();
    let read = |item: &Entry<'_, '_>| {
        let uri = match item.parse(value::redirect_uri)? {
            RedirectUri::Relative(uri) if !resolvable => {
                item.doubt(
                    wrong("leads nowhere")
                        .label("relative, and there is no `home_url` or `base_urls`")
                        .help("write an absolute address"),
                );
                uri
            }
            RedirectUri::Relative(uri) | RedirectUri::Absolute(uri) => uri,
        };
        if uri.contains('*') {
            item.doubt(
                wrong("has a `*`, which stands for itself")
                    .label("redirect URIs are compared exactly")
                    .help("list each address"),
            );
        }
        Some(uri)
    };
    items.iter().filter_map(read).collect()
}

/// Warns when a name in a scope is no declared service: it may be registered later, or be misspelled.
pub(super) fn expect_service(item: &Entry<'_, '_>, name: &str, services: &[DeclaredService]) {
    let known =
        |service: &DeclaredService| service.id.as_str() == name || service.name.eq_ignore_ascii_case(name);
    if name == ServiceId::HUB || services.iter().any(known) {
        return;
    }
    let words = services.iter().flat_map(|service| [service.id.as_str(), service.name.as_str()]);
    undeclared(item, name, words, "nothing passes here until such a service is registered");
}

/// The same of the id of a client, which has no other name.
pub(super) fn expect_client(item: &Entry<'_, '_>, id: &ServiceId, services: &[DeclaredService]) {
    if id.as_str() == ServiceId::HUB || services.iter().any(|service| service.id == *id) {
        return;
    }
    let ids = services.iter().map(|service| service.id.as_str());
    undeclared(item, id.as_str(), ids, "nobody is this client until such a service is registered");
}

fn undeclared<'a>(item: &Entry<'_, '_>, name: &str, words: impl IntoIterator<Item = &'a str>, until: &str) {
    let help = match suggest::nearest(name, words) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("{until}: add a `[[service]]`, or `hubgate service add`"),
    };
    item.doubt(
        wrong(format!("names {name:?}, which this file does not declare"))
            .label("no such `[[service]]`")
            .help(help),
    );
}
