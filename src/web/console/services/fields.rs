//! The fields of a service in a form: read, checked one by one so that each mistake stands at its field, and shown again as they
//! were typed. The registry judges all of it once more.

use crate::{
    model::{
        address::{self, NoAddress},
        flow::{Flow, Flows},
        service::Service,
    },
    registry::{
        profile::ProfileChange,
        services::{Change, ServiceError},
    },
    store::StoreError,
    texts::Language,
    web::console::form::{Fields, Mistakes},
};

/// What is in the form.
#[derive(Debug, Default)]
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) vendor: String,
    pub(super) home_url: String,
    pub(super) base_urls: String,
    pub(super) redirect_uris: String,
    pub(super) icon_url: String,
    pub(super) trusted: bool,
    pub(super) consent: bool,
    pub(super) public: bool,
    pub(super) pkce: bool,
    pub(super) rotate: bool,
    pub(super) flows: Flows,
}

impl Typed {
    /// As the service is.
    pub(super) fn of(service: &Service) -> Self {
        let Service { name, profile, trust, .. } = service;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            name: name.clone(),
            description: text(&profile.description),
            vendor: text(&profile.vendor),
            home_url: text(&profile.home_url),
            base_urls: profile.base_urls.join("\n"),
            redirect_uris: profile.redirect_uris.join("\n"),
            icon_url: text(&profile.icon_url),
            trusted: trust.trusted,
            consent: trust.consent_required,
            public: trust.public,
            pkce: trust.pkce_required,
            rotate: trust.rotate_refresh_tokens,
            flows: trust.flows,
        }
    }

    /// As it was sent.
    pub(super) fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            name: text("name"),
            description: text("description"),
            vendor: text("vendor"),
            home_url: text("home_url"),
            base_urls: text("base_urls"),
            redirect_uris: text("redirect_uris"),
            icon_url: text("icon_url"),
            trusted: fields.has("trusted"),
            consent: fields.has("consent"),
            // A box in one form, a choice in the other.
            public: fields.has("public") || fields.text("kind") == "public",
            pkce: fields.has("pkce"),
            rotate: fields.has("rotate"),
            flows: fields.all("flow").filter_map(Flow::parse).collect(),
        }
    }

    /// Whether `service` is so already, flows apart that the form does not show.
    pub(super) fn is_so(&self, service: &Service, shown: Flows) -> bool {
        let now = Self::of(service);
        let texts = |typed: &Self| {
            [&typed.name, &typed.description, &typed.vendor, &typed.home_url, &typed.icon_url]
                .map(String::clone)
        };
        let flags = |typed: &Self| [typed.trusted, typed.consent, typed.public, typed.pkce, typed.rotate];
        texts(self) == texts(&now)
            && flags(self) == flags(&now)
            && lines(&self.base_urls) == lines(&now.base_urls)
            && lines(&self.redirect_uris) == lines(&now.redirect_uris)
            && shown.iter().all(|flow| self.flows.contains(flow) == now.flows.contains(flow))
    }

    /// What is wrong with what was typed, field by field.
    pub(super) fn check(&self, t: Language) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if self.name.is_empty() {
            mistakes.add("name", t.must_be_given());
        }
        for (field, text) in [("home_url", &self.home_url), ("icon_url", &self.icon_url)] {
            if !text.is_empty()
                && let Err(why) = address::web_url(text)
            {
                mistakes.add(field, not_usable(t, text, &why));
            }
        }
        for line in lines(&self.base_urls) {
            if let Err(why) = address::web_url(&line) {
                mistakes.add("base_urls", not_usable(t, &line, &why));
            }
        }
        for line in lines(&self.redirect_uris) {
            if let Err(why) = address::redirect_uri(&line) {
                mistakes.add("redirect_uris", not_usable(t, &line, &why));
            }
        }
        mistakes
    }

    /// What of a service's description it says.
    pub(super) fn profile(&self) -> ProfileChange {
        let text = |text: &String| Some(Some(text.clone()).filter(|text| !text.is_empty()));
        ProfileChange {
            description: text(&self.description),
            vendor: text(&self.vendor),
            home_url: text(&self.home_url),
            base_urls: Some(lines(&self.base_urls)),
            icon_url: text(&self.icon_url),
            ..ProfileChange::default()
        }
    }

    /// The addresses that may receive authorization responses.
    pub(super) fn redirect_uris(&self) -> Vec<String> {
        lines(&self.redirect_uris)
    }

    /// The change that makes `service` so. Flows that the form does not show stay as they are.
    pub(super) fn change(&self, service: &Service, shown: Flows) -> Change {
        let hidden = service.trust.flows.iter().filter(|flow| !shown.contains(*flow));
        let flows = self.flows.iter().filter(|flow| shown.contains(*flow)).chain(hidden).collect();
        Change {
            name: Some(self.name.clone()),
            profile: self.profile(),
            redirect_uris: Some(self.redirect_uris()),
            trusted: Some(self.trusted),
            consent_required: Some(self.consent),
            public: Some(self.public),
            pkce_required: Some(self.pkce),
            rotate_refresh_tokens: Some(self.rotate),
            flows: Some(flows),
            ..Change::default()
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

/// Why an address cannot be used, in words of the page.
pub(super) fn not_usable(t: Language, address: &str, why: &NoAddress) -> String {
    const SHOWN: usize = 200;
    let address: String = if address.chars().count() > SHOWN {
        address.chars().take(SHOWN).chain(['…']).collect()
    } else {
        address.to_owned()
    };
    match why {
        NoAddress::Length => t.address_long(address),
        NoAddress::Character(_) => t.address_character(address),
        NoAddress::NotAbsolute | NoAddress::NotWeb => t.address_web(address),
        NoAddress::Dangerous(_) => t.address_dangerous(address),
        NoAddress::NoScheme => t.address_scheme(address),
        NoAddress::Fragment => t.address_fragment(address),
        NoAddress::UserInfo => t.address_user(address),
        NoAddress::NotUrl => t.address_malformed(address),
    }
}

/// Where a refusal of the registry belongs, and its words; `None` where it is none that a person can mend.
pub(super) fn mistake(t: Language, error: &ServiceError) -> Option<(&'static str, &'static str)> {
    Some(match error {
        ServiceError::Store(StoreError::Conflict { .. }) | ServiceError::Collides(_) => {
            ("name", t.service_name_taken())
        }
        ServiceError::Name => ("name", t.service_name_rule()),
        ServiceError::Reserved(_) | ServiceError::Own(_) => ("name", t.service_name_reserved()),
        ServiceError::PublicRotation => ("rotate", t.service_rotation_rule()),
        ServiceError::Field { field, .. } => match *field {
            "baseUrls" => ("base_urls", t.service_too_many_addresses()),
            "redirectUris" => ("redirect_uris", t.service_too_many_addresses()),
            "homeUrl" => ("home_url", t.service_text_rule()),
            "iconUrl" => ("icon_url", t.service_text_rule()),
            "vendor" => ("vendor", t.service_text_rule()),
            "description" => ("description", t.service_text_rule()),
            "secret" => ("secret", t.service_secret_own_hint()),
            _ => ("name", t.service_text_rule()),
        },
        ServiceError::Public(_) => ("secret", t.service_is_public()),
        ServiceError::Declared(_) => ("name", t.service_declared_note()),
        ServiceError::RedirectUri(_) => ("redirect_uris", t.service_changed_meanwhile()),
        ServiceError::Store(_) => return None,
    })
}

/// The flows in the order in which people meet them, and what they are called.
pub(super) fn flows(t: Language) -> [(Flow, &'static str); 5] {
    [
        (Flow::AuthorizationCode, t.flow_code()),
        (Flow::RefreshToken, t.flow_refresh()),
        (Flow::ClientCredentials, t.flow_credentials()),
        (Flow::Implicit, t.flow_implicit()),
        (Flow::Password, t.flow_password()),
    ]
}
