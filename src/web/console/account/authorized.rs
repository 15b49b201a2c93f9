//! `…/account/authorized`: what services may do in a person's name, by consent and by refresh token.

use askama::Template;
use axum::response::Response;

use super::super::{
    frame::{Frame, Section},
    visit::Visit,
};
use crate::{
    base::{
        id::{ConsentId, GrantId, ServiceId},
        time::Timestamp,
    },
    model::grant::{Consent, Grant},
    registry::held,
    web::pages::Claim,
};

#[derive(Template)]
#[template(path = "console/account/authorized.html")]
struct Page {
    frame: Frame,
    consents: Vec<ConsentRow>,
    grants: Vec<GrantRow>,
}

struct ConsentRow {
    id: ConsentId,
    client: String,
    may: Vec<String>,
    given: Timestamp,
    until: Timestamp,
}

struct GrantRow {
    id: GrantId,
    client: String,
    scope: String,
    created: Timestamp,
    used: Timestamp,
}

/// The name of a service; the id of one that is not registered any more.
pub(super) fn name_of(visit: &Visit, id: &ServiceId) -> String {
    let registry = &visit.caller.snapshot.registry;
    registry.by_id(id.as_str()).map_or_else(|| id.to_string(), |service| service.name.clone())
}

/// `GET …/account/authorized`
pub(super) async fn page(visit: Visit) -> Response {
    let (t, now) = (visit.t, visit.now());
    let held = match held::list(visit.control.store.as_ref(), &visit.who.user.id).await {
        Ok(held) => held,
        Err(error) => return visit.store_failed(&error),
    };
    let consent = |consent: Consent| {
        let services = consent.services.iter().map(|id| t.allow_service(name_of(&visit, id)));
        let claims = Claim::among(&consent.claims).into_iter().map(|claim| claim.title(t).to_owned());
        ConsentRow {
            client: name_of(&visit, &consent.client),
            may: services.chain(claims).collect(),
            id: consent.id,
            given: consent.given,
            until: consent.expires,
        }
    };
    let grant = |(grant, used): (Grant, Timestamp)| {
        let names: Vec<String> = grant.scope.services.iter().map(|id| name_of(&visit, id)).collect();
        GrantRow {
            client: name_of(&visit, &grant.client),
            scope: names.join(", "),
            id: grant.id,
            created: grant.created,
            used,
        }
    };
    let live = held.consents.into_iter().filter(|consent| now < consent.expires);
    let consents = live.map(consent).collect();
    let grants = held.grants.into_iter().map(grant).collect();
    visit.show(&Page { frame: visit.frame(Section::Authorized), consents, grants })
}
