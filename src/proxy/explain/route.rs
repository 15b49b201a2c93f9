//! The route of a request that is asked about: where it goes, and by which rule.
//!
//! Invariant: what is said of the address beyond the gateway is made by the functions that make it for a request that is
//! forwarded, from the same target.

use http::uri::PathAndQuery;
use serde::Serialize;

use crate::{
    access::policy::RuleFacts,
    model::upstream::{Credential, Target},
    proxy::{outbound, rates::RateFacts, route::Route},
};

/// The route that a request takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteFacts {
    /// Host and path, as the log names it.
    pub label: String,
    /// The service as the configuration names it.
    pub service: String,
    /// Its id; `None` while nobody has registered it.
    pub service_id: Option<String>,
    /// Where to; empty where clients are sent elsewhere.
    pub targets: Vec<String>,
    /// The path as the upstream gets it; `None` where clients are sent elsewhere.
    pub forwarded_path: Option<String>,
    /// Where clients are sent instead.
    pub redirect: Option<Redirected>,
    /// What the upstream gets as `Authorization`.
    pub credential: &'static str,
    /// Whether what may not pass is refused.
    pub enforced: bool,
    /// The rule that matches; `None`: a token with the service in scope is needed, as everywhere.
    pub rule: Option<RuleFacts>,
    /// How often requests may come here, beside what holds for the gateway as a whole.
    pub rates: Vec<RateFacts>,
}

/// What a redirect answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redirected {
    /// The status of the answer.
    pub status: u16,
    /// `Location`; `None` where none can be made.
    pub location: Option<String>,
}

impl RouteFacts {
    /// Of a request for this target, under this rule.
    pub(super) fn of(route: &Route, rule: Option<RuleFacts>, target: &PathAndQuery) -> Self {
        let number = rule.as_ref().and_then(|rule| rule.number.checked_sub(1));
        let redirect = route.redirect.as_ref().map(|redirect| {
            let (status, location) = outbound::redirected(redirect, route, target);
            let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            Redirected { status: status.as_u16(), location }
        });
        let forwarded =
            if redirect.is_some() { None } else { outbound::forwarded_target(route, target.clone()) };
        Self {
            label: route.label.to_string(),
            service: route.policy.service_name.clone(),
            service_id: route.policy.service.as_ref().map(ToString::to_string),
            targets: route.cluster.delivery.to.iter().map(Target::origin).collect(),
            forwarded_path: forwarded.map(|target| target.path().to_owned()),
            redirect,
            credential: match route.credential {
                Credential::Scoped => "scoped",
                Credential::Pass => "pass",
                Credential::None => "none",
            },
            enforced: route.policy.enforce,
            rates: route.cluster.rates.as_ref().map(|rates| rates.facts(number)).unwrap_or_default(),
            rule,
        }
    }

    /// The addresses to which the request leads, in full.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        if let Some(redirect) = &self.redirect {
            return redirect.location.clone().into_iter().collect();
        }
        let path = self.forwarded_path.as_deref().unwrap_or_default();
        self.targets.iter().map(|target| format!("{target}{path}")).collect()
    }
}
