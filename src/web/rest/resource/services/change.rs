//! Registering, changing and removing services.
//!
//! Invariant: a secret leaves once, in the answer that makes it.

use serde_json::json;

use super::{ServiceView, find};
use crate::{
    base::{id::ServiceId, secret::Secret},
    model::{
        flow::{Flow, Flows},
        service::{Profile, Trust},
    },
    registry::{
        profile::ProfileChange,
        secrets,
        services::{self as verbs, Change, NewService},
    },
    web::rest::{
        error::RestError,
        input::Input,
        kind::project,
        operation::{Answer, Answering, Ask},
        permission::Permission,
    },
};

pub(super) fn register<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let input = ask.input();
        let id = input.text("id")?.filter(|id| !id.is_empty()).map(ServiceId::parse).transpose();
        let id = id.map_err(|error| RestError::bad_field("id", format!("is not usable: {error}")))?;
        let change = change(input)?;
        let mut trust = Trust {
            flows: ask.caller.snapshot.flows,
            trusted: change.trusted.unwrap_or(true),
            public: change.public.unwrap_or(false),
            pkce_required: change.pkce_required.unwrap_or(false),
            rotate_refresh_tokens: change.rotate_refresh_tokens.unwrap_or(true),
            ..Trust::default()
        };
        trust.consent_required =
            change.consent_required.or(change.trusted.map(|trusted| !trusted)).unwrap_or(true);
        trust.flows = flows(input, &trust)?;
        let new = NewService {
            id,
            name: input.required("name")?.to_owned(),
            trust,
            profile: Profile {
                redirect_uris: change.redirect_uris.unwrap_or_default(),
                ..change.profile.described()
            },
            secret: chosen_secret(input)?,
        };
        let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
        let (service, secret) = verbs::register(ask.store().as_ref(), new, clock, random).await?;
        let view = ServiceView { full: Some(&ask.caller.snapshot), ..ServiceView::basic(&service) };
        let mut shown = project(&view, &ask.fields);
        // Only here, and only once.
        if (ask.fields.is_usual() || ask.fields.names("secret"))
            && let (Some(secret), Some(members)) = (&secret, shown.as_object_mut())
        {
            members.insert("secret".to_owned(), json!(secret.expose()));
        }
        Ok(Answer::Json(shown))
    })
}

pub(super) fn update<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let service = find(ask, ask.id(0))?;
        let (input, store, clock) = (ask.input(), ask.store(), ask.control.clock.as_ref());
        let mut change = change(input)?;
        let flows = flows(input, &service.trust)?;
        change.flows = (flows != service.trust.flows).then_some(flows);
        let secret = chosen_secret(input)?;
        if !ask.may(Permission::ServiceUpdate) {
            own_part(&change, secret.as_ref())?;
        }
        if service.id == ServiceId::hub() {
            return Err(verbs::ServiceError::Own(service.id.clone()).into());
        }
        if service.declared {
            return Err(verbs::ServiceError::Declared(service.id.clone()).into());
        }
        // The secret comes last: what is refused before it leaves everything as it was.
        if change.is_something() {
            verbs::change(store.as_ref(), &service.id, change, clock).await?;
        }
        if let Some(secret) = secret {
            let grace = ask.caller.snapshot.secret_grace;
            secrets::set(store.as_ref(), &service.id, &secret, grace, clock).await?;
        }
        let after = store.find_service(&service.id).await?.ok_or_else(|| RestError::no_entity(ask.id(0)))?;
        Ok(ask.updated(&ServiceView::of(&after, ask)))
    })
}

/// What a service may change of itself: what its product is (hub-contract section 9.6).
fn own_part(change: &Change, secret: Option<&Secret>) -> Result<(), RestError> {
    let ProfileChange { application_name, vendor, version, release_date, .. } = change.profile.clone();
    let own = ProfileChange { application_name, vendor, version, release_date, ..ProfileChange::default() };
    let rest = Change { profile: ProfileChange::default(), ..change.clone() };
    if secret.is_none() && own == change.profile && !rest.is_something() {
        return Ok(());
    }
    Err(RestError::forbidden(
        "a service may change its vendor, applicationName, version and releaseDate only",
    ))
}

pub(super) fn remove<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let service = find(ask, ask.id(0))?;
        if let Some(successor) = ask.query.get("successor") {
            let there =
                ask.caller.snapshot.registry.by_id(successor).is_some_and(|other| other.id != service.id);
            if !there {
                return Err(RestError::bad_parameter("successor", "is no other service"));
            }
        }
        if service.id == ServiceId::hub() {
            return Err(verbs::ServiceError::Own(service.id.clone()).into());
        }
        verbs::remove(ask.store().as_ref(), &service.id, ask.control.clock.as_ref()).await?;
        Ok(Answer::Empty)
    })
}

/// What a body changes, the flows apart.
fn change(input: Input<'_>) -> Result<Change, RestError> {
    let profile = ProfileChange {
        key: input.clearable("key")?,
        description: input.clearable("description")?,
        home_url: input.clearable("homeUrl")?,
        base_urls: input.texts("baseUrls")?,
        user_uri_pattern: input.clearable("userUriPattern")?,
        group_uri_pattern: input.clearable("groupUriPattern")?,
        application_name: input.clearable("applicationName")?,
        vendor: input.clearable("vendor")?,
        version: input.clearable("version")?,
        release_date: input.number("releaseDate")?,
        icon_url: input.clearable("iconUrl")?,
    };
    Ok(Change {
        name: input.text("name")?.map(ToOwned::to_owned),
        profile,
        redirect_uris: input.texts("redirectUris")?,
        trusted: input.flag("trusted")?,
        consent_required: input.flag("consentRequired")?,
        public: input.flag("public")?,
        pkce_required: input.flag("pkceRequired")?,
        rotate_refresh_tokens: input.flag("rotateRefreshTokens")?,
        ..Change::default()
    })
}

fn flows(input: Input<'_>, trust: &Trust) -> Result<Flows, RestError> {
    let mut on: Vec<Flow> = trust.flows.iter().collect();
    for (field, flow) in [
        ("clientCredentialsFlowEnabled", Flow::ClientCredentials),
        ("authCodeFlowEnabled", Flow::AuthorizationCode),
        ("implicitFlowEnabled", Flow::Implicit),
        ("resourceOwnerFlowEnabled", Flow::Password),
        ("refreshTokenFlowEnabled", Flow::RefreshToken),
    ] {
        match input.flag(field)? {
            None => {}
            Some(true) => on.push(flow),
            Some(false) => on.retain(|other| *other != flow),
        }
    }
    Ok(on.into_iter().collect())
}

fn chosen_secret(input: Input<'_>) -> Result<Option<Secret>, RestError> {
    Ok(input.text("secret")?.filter(|text| !text.is_empty()).map(|text| Secret::new(text.to_owned())))
}
