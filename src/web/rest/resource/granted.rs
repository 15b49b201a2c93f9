//! `users/{id}/refreshtokens` and `users/{id}/approvedscopes`: what a person has granted to clients, to see and to take back
//! (hub-contract sections 6, 10.2).
//!
//! Invariant: what is taken back takes along every token that came of it, before the answer.

use http::Method;
use serde_json::Value;

use super::{
    credentials::{owner, services, sort},
    services::{SERVICE, ServiceView},
    users::{USER, UserView},
};
use crate::{
    base::{
        id::{ConsentId, ServiceId},
        time::Timestamp,
    },
    model::{
        grant::{Consent, Grant},
        revocation::{Revocation, RevocationTarget},
        user::User,
    },
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, inside, read},
        operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
        permission::Permission,
    },
};

pub(in crate::web::rest) static REFRESH_TOKEN: Kind = Kind {
    name: "refreshToken",
    entity: true,
    fields: &[
        read("id", Form::Text, "The id of the grant; not the token, which nobody sees again."),
        read("client", Form::One(&SERVICE), "The service that has it.").asked(),
        read("scope", Form::Many(&SERVICE), "The services that it is for.").asked(),
        read("user", Form::One(&USER), "For whom it acts.").asked(),
        read("creationTime", Form::Time, "When it was granted."),
        read("authenticationTime", Form::Time, "When the user had signed in for it.").asked(),
        read("lastAccessTime", Form::Time, "When it was last used."),
    ],
};

pub(in crate::web::rest) static APPROVED_SCOPE: Kind = Kind {
    name: "approvedScope",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("client", Form::One(&SERVICE), "The service that need not ask again.").asked(),
        read("scope", Form::Many(&SERVICE), "The services for which it need not ask.").asked(),
        read("user", Form::One(&USER), "Who has consented.").asked(),
        read("expiresOn", Form::Time, "Until when."),
    ],
};

const REFRESH_TOKENS: &str = "refreshtokens";
const APPROVED_SCOPES: &str = "approvedscopes";

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "users/{id}/refreshtokens",
        summary: "The clients that can refresh their tokens for a user",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&REFRESH_TOKEN),
        parameters: &[],
        handler: list_grants,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/refreshtokens/{token}",
        summary: "One of them",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&REFRESH_TOKEN),
        parameters: &[],
        handler: one_grant,
    },
    Operation {
        method: Method::DELETE,
        path: "users/{id}/refreshtokens/{token}",
        summary: "Take a refresh token back, with every token that came of the same grant",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: remove_grant,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/approvedscopes",
        summary: "What clients may have of a user without asking",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&APPROVED_SCOPE),
        parameters: &[],
        handler: list_consents,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/approvedscopes/{scope}",
        summary: "One of them",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&APPROVED_SCOPE),
        parameters: &[],
        handler: one_consent,
    },
    Operation {
        method: Method::DELETE,
        path: "users/{id}/approvedscopes/{scope}",
        summary: "Take a consent back, with every token that the client obtained for the user",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: remove_consent,
    },
];

/// The client, as far as it is registered.
fn client(id: &ServiceId, ask: &Ask<'_>, fields: &Fields) -> Option<Value> {
    let service = ask.caller.snapshot.registry.by_id(id.as_str())?;
    Some(inside(&ServiceView::of(service, ask), fields))
}

/// A grant that has a refresh token, as it is shown.
struct GrantView<'a> {
    grant: &'a Grant,
    /// When its latest refresh token was made.
    latest: Timestamp,
    owner: &'a User,
    ask: &'a Ask<'a>,
}

impl Object for GrantView<'_> {
    fn kind(&self) -> &'static Kind {
        &REFRESH_TOKEN
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let grant = self.grant;
        Some(match name {
            "id" => grant.id.as_str().into(),
            "client" => client(&grant.client, self.ask, fields)?,
            "scope" => services(&grant.scope.services, self.ask, fields),
            "user" => inside(&UserView::of(self.owner, self.ask), fields),
            "creationTime" => grant.created.millis().into(),
            "authenticationTime" => grant.authenticated.millis().into(),
            "lastAccessTime" => self.latest.millis().into(),
            _ => return None,
        })
    }
}

fn list_grants<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, owner) = (ask.page()?, owner(ask).await?);
        let mut found = ask.store().list_grants(&owner.id).await?;
        let total = found.len() as u64;
        sort(ask, &mut found, |field| match field {
            "id" => Some(|(a, _), (b, _)| a.id.cmp(&b.id)),
            "creationTime" => Some(|(a, _), (b, _)| a.created.cmp(&b.created)),
            "lastAccessTime" => Some(|(_, a), (_, b)| a.cmp(b)),
            _ => None,
        })?;
        let grants = page.cut(found);
        let views: Vec<GrantView<'_>> = grants
            .iter()
            .map(|(grant, latest)| GrantView { grant, latest: *latest, owner: &owner, ask })
            .collect();
        ask.listed(REFRESH_TOKENS, page, total, &views)
    })
}

async fn grant_of(ask: &Ask<'_>, owner: &User) -> Result<(Grant, Timestamp), RestError> {
    let found = ask.store().list_grants(&owner.id).await?;
    let named = found.into_iter().find(|(grant, _)| grant.id.as_str() == ask.id(1));
    named.ok_or_else(|| RestError::no_entity(ask.id(1)))
}

fn one_grant<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let (grant, latest) = grant_of(ask, &owner).await?;
        Ok(ask.one(&GrantView { grant: &grant, latest, owner: &owner, ask }))
    })
}

fn remove_grant<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (grant, _) = grant_of(ask, &owner(ask).await?).await?;
        let revocation = Revocation::at(ask.control.clock.now(), RevocationTarget::Grant(grant.id));
        ask.store().revoke(&revocation).await?;
        Ok(Answer::Empty)
    })
}

/// A consent as it is shown.
struct ConsentView<'a> {
    consent: &'a Consent,
    owner: &'a User,
    ask: &'a Ask<'a>,
}

impl Object for ConsentView<'_> {
    fn kind(&self) -> &'static Kind {
        &APPROVED_SCOPE
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let consent = self.consent;
        Some(match name {
            "id" => consent.id.as_str().into(),
            "client" => client(&consent.client, self.ask, fields)?,
            "scope" => services(&consent.services, self.ask, fields),
            "user" => inside(&UserView::of(self.owner, self.ask), fields),
            "expiresOn" => consent.expires.millis().into(),
            _ => return None,
        })
    }
}

fn list_consents<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, owner) = (ask.page()?, owner(ask).await?);
        let mut found = ask.store().list_consents(&owner.id).await?;
        let total = found.len() as u64;
        sort(ask, &mut found, |field| match field {
            "id" => Some(|a, b| a.id.cmp(&b.id)),
            "expiresOn" => Some(|a, b| a.expires.cmp(&b.expires)),
            _ => None,
        })?;
        let consents = page.cut(found);
        let view = |consent| ConsentView { consent, owner: &owner, ask };
        let views: Vec<ConsentView<'_>> = consents.iter().map(view).collect();
        ask.listed(APPROVED_SCOPES, page, total, &views)
    })
}

fn one_consent<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let found = ask.store().list_consents(&owner.id).await?;
        let consent = found.into_iter().find(|consent| consent.id.as_str() == ask.id(1));
        let consent = consent.ok_or_else(|| RestError::no_entity(ask.id(1)))?;
        Ok(ask.one(&ConsentView { consent: &consent, owner: &owner, ask }))
    })
}

fn remove_consent<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let id = ConsentId::parse(ask.id(1)).map_err(|_| RestError::no_entity(ask.id(1)))?;
        if !ask.store().remove_consent(&owner.id, &id, ask.control.clock.now()).await? {
            return Err(RestError::no_entity(ask.id(1)));
        }
        Ok(Answer::Empty)
    })
}
