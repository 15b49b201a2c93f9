//! Services of Hub's, as ours.

use std::collections::BTreeMap;

use super::{
    Export, Plan, State, Step,
    entry::{Wrong, called, flag, has, number, once, text, texts},
    read::Entry,
};
use crate::{
    base::{id::ServiceId, secret::Secret, time::Timestamp},
    crypto::digest::SecretDigest,
    model::{
        address,
        flow::Flow,
        naming,
        service::{Profile, Service, StoredSecret, Trust},
    },
    registry::{profile, secrets, services::check_name},
    store::name::folded,
};

/// What Hub has of a service and the gateway has elsewhere or not at all.
const ELSEWHERE: [(&str, &str); 8] = [
    ("resources", "routes are in the configuration file ([[upstream]])"),
    ("permissions", "permissions of other services are theirs"),
    ("defaultRoles", "roles are Hub's"),
    ("projectRoles", "roles are Hub's"),
    ("organizationRoles", "roles are Hub's"),
    ("viewers", "who may pass is in the rules of the configuration file"),
    ("aliases", "a service has one id here"),
    ("licenseSettings", "licences are Hub's"),
];

/// Plans all of them.
pub(super) fn services(export: &Export, state: &mut State, now: Timestamp, plan: &mut Plan) {
    let mut known: BTreeMap<ServiceId, Service> =
        state.services.iter().map(|service| (service.id.clone(), service.clone())).collect();
    let mut names: BTreeMap<String, ServiceId> =
        state.services.iter().map(|service| (folded(&service.name), service.id.clone())).collect();
    for entry in once("service", &export.services, plan) {
        let what = called("service", entry);
        match one(entry, &known, &names, now) {
            Err(why) => plan.leave(what, why),
            Ok((service, lost)) => {
                for why in lost {
                    plan.leave(what.clone(), why);
                }
                let before = known.get(&service.id);
                let step = match before {
                    Some(before) if *before == service => {
                        plan.unchanged += 1;
                        continue;
                    }
                    Some(before) => {
                        names.remove(&folded(&before.name));
                        Step::ChangeService(Service { updated: now, ..service.clone() })
                    }
                    None => Step::AddService(service.clone()),
                };
                names.insert(folded(&service.name), service.id.clone());
                known.insert(service.id.clone(), service);
                plan.steps.push(step);
            }
        }
    }
    state.services = known.into_values().collect();
}

/// The service as it should be, and what of it is lost.
fn one(
    entry: &Entry,
    known: &BTreeMap<ServiceId, Service>,
    names: &BTreeMap<String, ServiceId>,
    now: Timestamp,
) -> Result<(Service, Vec<String>), Wrong> {
    let id = ServiceId::parse(text(entry, "id")?.ok_or("it has no id")?).map_err(|e| e.to_string())?;
    if id == ServiceId::hub() {
        return Err("it is Hub itself, which the gateway is now".to_owned());
    }
    let before = known.get(&id);
    if before.is_some_and(|before| before.declared) {
        return Err("the configuration file declares it".to_owned());
    }
    let mut service = before.cloned().unwrap_or_else(|| Service {
        id: id.clone(),
        name: String::new(),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: Vec::new(),
        declared: false,
        created: now,
        updated: now,
    });
    if let Some(name) = text(entry, "name")? {
        service.name = naming::normal(name);
    }
    // What is here already may be older than the rules.
    if before.is_none_or(|before| before.name != service.name) {
        check_name(&service.name).map_err(|e| e.to_string())?;
    }
    if names.get(&folded(&service.name)).is_some_and(|other| *other != id) {
        return Err("another service has its name".to_owned());
    }
    let mut lost = Vec::new();
    describe(entry, &mut service, &mut lost)?;
    profile::check(&service.profile).map_err(|e| e.to_string())?;
    trust(entry, &mut service.trust)?;
    if before.is_none() {
        // One that is here and has a secret keeps it.
        service.trust.public = flag(entry, "public")?.unwrap_or(false);
    }
    if !service.trust.public {
        secret(entry, &mut service, now, &mut lost)?;
    }
    let elsewhere = ELSEWHERE.iter().filter(|(key, _)| has(entry, key));
    lost.extend(elsewhere.map(|(key, why)| format!("{key}: {why}")));
    Ok((service, lost))
}

fn describe(entry: &Entry, service: &mut Service, lost: &mut Vec<String>) -> Result<(), Wrong> {
    let Service { name, profile, .. } = service;
    for (key, part) in [
        ("key", &mut profile.key),
        ("description", &mut profile.description),
        ("homeUrl", &mut profile.home_url),
        ("userUriPattern", &mut profile.user_uri_pattern),
        ("groupUriPattern", &mut profile.group_uri_pattern),
        ("applicationName", &mut profile.application_name),
        ("vendor", &mut profile.vendor),
        ("version", &mut profile.version),
    ] {
        if let Some(text) = text(entry, key)? {
            *part = Some(text.to_owned());
        }
    }
    if profile.key.is_none() {
        profile.key = Some(name.clone());
    }
    // Hub's own pictures are below its own address, or in the text itself.
    match text(entry, "iconUrl")? {
        Some(url) if address::web_url(url).is_ok() => profile.icon_url = Some(url.to_owned()),
        Some(_) => lost.push("iconUrl: it is not the address of a picture".to_owned()),
        None => {}
    }
    if let Some(date) = number(entry, "releaseDate")? {
        profile.release_date = Some(date);
    }
    if let Some(urls) = texts(entry, "baseUrls")? {
        profile.base_urls = usable(urls, "baseUrls", lost, address::web_url);
    }
    if let Some(uris) = texts(entry, "redirectUris")? {
        profile.redirect_uris =
            usable(uris, "redirectUris", lost, |uri| address::redirect_uri(uri).map(drop));
    }
    Ok(())
}

/// Addresses as far as they can be used.
fn usable(
    addresses: Vec<String>,
    key: &str,
    lost: &mut Vec<String>,
    check: impl Fn(&str) -> Result<(), address::NoAddress>,
) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(addresses.len());
    for address in addresses {
        match check(&address) {
            Err(why) => lost.push(format!("{key}: one of them {why}")),
            Ok(()) if kept.contains(&address) => {}
            Ok(()) => kept.push(address),
        }
    }
    kept
}

fn trust(entry: &Entry, trust: &mut Trust) -> Result<(), Wrong> {
    let trusted = flag(entry, "trusted")?;
    trust.trusted = trusted.unwrap_or(trust.trusted);
    // Before Hub had a word for it, trust decided whether people are asked.
    let asked = flag(entry, "consentRequired")?.or(trusted.map(|trusted| !trusted));
    trust.consent_required = asked.unwrap_or(trust.consent_required);
    trust.pkce_required = flag(entry, "pkceRequired")?.unwrap_or(trust.pkce_required);
    let mut flows: Vec<Flow> = trust.flows.iter().collect();
    for (key, flow) in [
        ("clientCredentialsFlowEnabled", Flow::ClientCredentials),
        ("authCodeFlowEnabled", Flow::AuthorizationCode),
        ("implicitFlowEnabled", Flow::Implicit),
        ("resourceOwnerFlowEnabled", Flow::Password),
    ] {
        match flag(entry, key)? {
            Some(true) => flows.push(flow),
            Some(false) => flows.retain(|other| *other != flow),
            None => {}
        }
    }
    trust.flows = flows.into_iter().collect();
    Ok(())
}

fn secret(entry: &Entry, service: &mut Service, now: Timestamp, lost: &mut Vec<String>) -> Result<(), Wrong> {
    let Some(given) = text(entry, "secret")? else {
        if service.secrets.is_empty() {
            lost.push("secret: Hub does not tell it; `hubgate service rotate-secret` makes one".to_owned());
        }
        return Ok(());
    };
    let secret = Secret::new(given.to_owned());
    let digest = SecretDigest::of(secret.expose());
    if service.secrets.iter().any(|known| known.digest == digest) {
        return Ok(());
    }
    if !service.secrets.is_empty() {
        lost.push("secret: the service has one here already".to_owned());
    } else if secrets::check(&secret).is_err() {
        lost.push("secret: it can be guessed; `hubgate service rotate-secret` makes one".to_owned());
    } else {
        service.secrets = vec![StoredSecret::current(digest, now)];
    }
    Ok(())
}
