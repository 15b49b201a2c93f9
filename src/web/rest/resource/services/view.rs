//! A service as it is shown, and as it is looked for.
//!
//! Invariant: whoever may only mention a service does not see where its authorization responses go, nor finds it by that.

use serde_json::Value;

use crate::{
    base::id::ServiceId,
    model::{flow::Flow, grant::RejectedRedirect, service::Service, usage::LastUse},
    proxy::gate::Snapshot,
    web::rest::{
        caller::Who,
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, read, write},
        operation::Ask,
        permission::Permission,
        query::{Item, Word},
        resource::{permissions, redirects},
        search::{Subject, Verdict, known_value, unknown_field, unknown_tuple},
    },
};

pub(super) static RESOURCE: Kind = Kind {
    name: "resource",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("key", Form::Text, "The path of the route."),
        read("name", Form::Text, "Host and path of the route."),
        read("homeUrl", Form::Text, "Where it is."),
    ],
};

pub(in crate::web::rest) static SERVICE: Kind = Kind {
    name: "service",
    entity: true,
    fields: &[
        read("id", Form::Text, "`client_id`, entry of a scope, audience. Chosen at registration, if at all."),
        write("name", Form::Text, "What people see; unique. Also an entry of a scope."),
        write("key", Form::Text, "Short name; the name, unless it is set."),
        write("description", Form::Text, "Free text.").asked(),
        write("homeUrl", Form::Text, "Where people find it."),
        write("baseUrls", Form::Texts, "Further addresses, to which relative redirect URIs are resolved.")
            .asked(),
        write("userUriPattern", Form::Text, "Pattern of a user's page."),
        write("groupUriPattern", Form::Text, "Pattern of a group's page."),
        write("redirectUris", Form::Texts, "Where authorization responses may go.").asked(),
        read("untrustedRedirectUris", Form::Many(&redirects::REDIRECT), "Where they were asked for in vain.")
            .asked(),
        write("applicationName", Form::Text, "The product behind it."),
        write("vendor", Form::Text, "Its maker."),
        write("releaseDate", Form::Time, "When its version was made."),
        write("version", Form::Text, "Its version."),
        write("iconUrl", Form::Text, "Its picture. Never fetched by the gateway."),
        write("trusted", Form::Flag, "Whether it may obtain tokens for itself."),
        write("consentRequired", Form::Flag, "Whether people are asked before it obtains a token for them.")
            .asked(),
        write("pkceRequired", Form::Flag, "Whether PKCE is required although it has a secret.").asked(),
        write("clientCredentialsFlowEnabled", Form::Flag, "RFC 6749 section 4.4.").asked(),
        write("authCodeFlowEnabled", Form::Flag, "RFC 6749 section 4.1.").asked(),
        write("implicitFlowEnabled", Form::Flag, "RFC 6749 section 4.2.").asked(),
        write("resourceOwnerFlowEnabled", Form::Flag, "RFC 6749 section 4.3.").asked(),
        write("refreshTokenFlowEnabled", Form::Flag, "RFC 6749 section 6.").asked(),
        write("public", Form::Flag, "Whether it has no secret.").asked(),
        write("rotateRefreshTokens", Form::Flag, "Whether each refresh replaces the refresh token.").asked(),
        write(
            "secret",
            Form::Text,
            "Its secret, if it is chosen; shown in the answer that registers it, and never again.",
        )
        .secret(),
        read(
            "immutable",
            Form::Flag,
            "Whether it is declared in the configuration file, where it is changed.",
        )
        .asked(),
        read("creationTime", Form::Time, "When it was registered.").asked(),
        read(
            "lastAccessTime",
            Form::Time,
            "When it was last active, to the minute: obtained or used a token, or a request to it was let through.",
        )
        .asked(),
        read("resources", Form::Many(&RESOURCE), "Its routes.").asked(),
        read("permissions", Form::Many(&permissions::PERMISSION), "Permissions that belong to it.").asked(),
    ],
};

/// A service as it is shown.
pub(in crate::web::rest) struct ServiceView<'a> {
    pub(super) service: &'a Service,
    /// More than what anybody may mention.
    pub(super) full: Option<&'a Snapshot>,
    pub(super) rejected: &'a [RejectedRedirect],
    pub(super) last: LastUse,
}

impl<'a> ServiceView<'a> {
    /// What everybody who may mention a service sees.
    pub(in crate::web::rest) const fn basic(service: &'a Service) -> Self {
        Self { service, full: None, rejected: &[], last: LastUse { as_client: None, as_resource: None } }
    }

    /// As much as who asks may see.
    pub(in crate::web::rest) fn of(service: &'a Service, ask: &'a Ask<'_>) -> Self {
        let own = matches!(&ask.asker.who, Who::Service(asking) if asking.id == service.id);
        let full = own || ask.may(Permission::ServiceRead);
        Self { full: full.then_some(&*ask.caller.snapshot), ..Self::basic(service) }
    }

    pub(super) fn routes(&self) -> Vec<Route<'a>> {
        let Some(snapshot) = self.full else { return Vec::new() };
        let routes =
            snapshot.routes.iter().filter(|route| route.policy.service.as_ref() == Some(&self.service.id));
        routes
            .map(|route| Route { path: &route.path, label: &route.label, origin: &snapshot.origin })
            .collect()
    }

    fn full_value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let snapshot = self.full?;
        let Service { profile, trust, .. } = self.service;
        let flow = |flow| trust.flows.contains(flow).into();
        Some(match name {
            "description" => profile.description.as_deref()?.into(),
            "baseUrls" => profile.base_urls.clone().into(),
            "redirectUris" => profile.redirect_uris.clone().into(),
            "untrustedRedirectUris" => all_inside(&redirects::views(self.rejected), fields),
            "userUriPattern" => profile.user_uri_pattern.as_deref()?.into(),
            "groupUriPattern" => profile.group_uri_pattern.as_deref()?.into(),
            "consentRequired" => trust.consent_required.into(),
            "pkceRequired" => (trust.pkce_required || trust.public).into(),
            "clientCredentialsFlowEnabled" => flow(Flow::ClientCredentials),
            "authCodeFlowEnabled" => flow(Flow::AuthorizationCode),
            "implicitFlowEnabled" => flow(Flow::Implicit),
            "resourceOwnerFlowEnabled" => flow(Flow::Password),
            "refreshTokenFlowEnabled" => flow(Flow::RefreshToken),
            "public" => trust.public.into(),
            "rotateRefreshTokens" => trust.rotate_refresh_tokens.into(),
            "immutable" => self.service.declared.into(),
            "creationTime" => self.service.created.millis().into(),
            "lastAccessTime" => self.last.latest()?.millis().into(),
            "resources" => all_inside(&self.routes(), fields),
            "permissions" => all_inside(&permissions::of_service(self.service, &snapshot.registry), fields),
            _ => return None,
        })
    }
}

impl Object for ServiceView<'_> {
    fn kind(&self) -> &'static Kind {
        &SERVICE
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let Service { id, name: title, profile, trust, .. } = self.service;
        Some(match name {
            "id" => id.as_str().into(),
            "name" => title.as_str().into(),
            "key" => profile.key.as_deref().unwrap_or(title).into(),
            "homeUrl" => profile.home_url.as_deref()?.into(),
            "iconUrl" => profile.icon_url.as_deref()?.into(),
            "applicationName" => profile.application_name.as_deref()?.into(),
            "vendor" => profile.vendor.as_deref()?.into(),
            "version" => profile.version.as_deref()?.into(),
            "releaseDate" => profile.release_date?.into(),
            "trusted" => trust.trusted.into(),
            _ => return self.full_value(name, fields),
        })
    }
}

/// A route of a service, which Hub calls a resource.
pub(super) struct Route<'a> {
    path: &'a str,
    label: &'a str,
    origin: &'a str,
}

impl Object for Route<'_> {
    fn kind(&self) -> &'static Kind {
        &RESOURCE
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        Some(match name {
            "id" | "key" => self.path.into(),
            "name" => self.label.into(),
            "homeUrl" => format!("{}{}", self.origin, self.path).into(),
            _ => return None,
        })
    }
}

/// What queries look for. Where authorization responses go is searched by those alone who may see it.
impl Subject for ServiceView<'_> {
    fn item(&self, item: &Item) -> Verdict {
        let Service { id, name, profile, trust, .. } = self.service;
        let key = profile.key.as_deref().unwrap_or(name);
        let is = |word: &Word, text: &Option<String>| text.as_deref().is_some_and(|text| word.is(text));
        let full = self.full.is_some();
        match item {
            Item::Text(word) => Ok(word.begins_or_is(name) || word.is(key) || word.is(id.as_str())),
            Item::Tuple(name, _) => Err(unknown_tuple(name)),
            Item::Is(what) => match what.to_ascii_lowercase().as_str() {
                "trusted" => Ok(trust.trusted),
                "hostservice" => Ok(id.as_str() == ServiceId::HUB),
                _ => Err(known_value("is", what, "trusted or hostService")),
            },
            Item::Has(what) => Ok(match what.to_ascii_lowercase().as_str() {
                "applicationname" => profile.application_name.is_some(),
                "vendor" => profile.vendor.is_some(),
                "version" => profile.version.is_some(),
                "homeurl" => profile.home_url.is_some(),
                "iconurl" => profile.icon_url.is_some(),
                "baseurl" => full && !profile.base_urls.is_empty(),
                "useruripattern" => full && profile.user_uri_pattern.is_some(),
                "groupuripattern" => full && profile.group_uri_pattern.is_some(),
                "redirecturi" => full && !profile.redirect_uris.is_empty(),
                "permission" => id.as_str() == ServiceId::HUB,
                // The gateway knows none of these.
                "defaultrole" | "projectrole" | "license" => false,
                "resource" => !self.routes().is_empty(),
                _ => {
                    return Err(known_value(
                        "has",
                        what,
                        "applicationName, vendor, version, homeUrl, iconUrl, baseUrl, userUriPattern, groupUriPattern, redirectUri, resource or permission",
                    ));
                }
            }),
            Item::Field(field, word) => Ok(match field.to_ascii_lowercase().as_str() {
                "id" => word.is(id.as_str()),
                "key" => word.is(key),
                "name" => word.begins_or_is(name),
                "homeurl" => is(word, &profile.home_url),
                "applicationname" => is(word, &profile.application_name),
                "vendor" => is(word, &profile.vendor),
                "version" => is(word, &profile.version),
                "baseurl" => full && profile.base_urls.iter().any(|url| word.is(url)),
                "useruripattern" => full && is(word, &profile.user_uri_pattern),
                "groupuripattern" => full && is(word, &profile.group_uri_pattern),
                "redirecturi" => full && profile.redirect_uris.iter().any(|uri| word.is(uri)),
                "defaultrole" => false,
                _ => return Err(unknown_field(field)),
            }),
        }
    }
}
