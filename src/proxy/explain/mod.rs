//! What the gate would decide on a request, and all that it would decide it by: for `hubgate explain`, for the `[[test]]`
//! entries of a configuration and for the page that explains a refusal.
//!
//! Invariants: every step is the gate's own function, in the gate's own order; nothing is remembered, counted or noted by
//! asking; no text of a credential is in an [`Explanation`].

mod asked;
mod route;
mod token;

use http::{
    HeaderValue, Method, Request,
    header::{AUTHORIZATION, HOST},
};
use serde::{Serialize, Serializer};

pub use self::{
    asked::{Asked, authorization},
    route::{Redirected, RouteFacts},
    token::{Named, Subject, TokenFacts, TokenKind},
};
use super::{
    rates::{self, RateFacts},
    refusal::{Refusal, bad_request},
    route::{Route, Routes},
    sanitize::{self, Sanitized},
    shadow,
};
use crate::{
    access::{foreign::is_foreign, judge::Judge, policy::Requirement},
    model::{
        rate::RequestRates, registry::Registry, scope::OPENID_SCOPES, upstream::Credential, user::Person,
    },
    oauth::{cause::Cause, scope, token::claims::AccessClaims},
};

/// What a request is judged by.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The routes.
    pub routes: &'a Routes,
    /// The services.
    pub registry: &'a Registry,
    /// Whether a canonical path is the gateway's own.
    pub owns: &'a dyn Fn(&str) -> bool,
    /// How often requests may come to the gateway.
    pub rates: &'a RequestRates,
    /// Whether it is split into segments before these are decoded.
    pub splits: &'a dyn Fn(&str) -> bool,
}

/// The credential of the request that is asked about.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// None.
    Nothing,
    /// The value of an `Authorization` header, and what it is judged by.
    Sent(&'a HeaderValue, Judge<'a>),
    /// A token with these claims, for this person, that somebody imagines.
    Imagined(&'a AccessClaims, Option<&'a Person>),
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is forwarded: the token is good and enough.
    Allowed,
    /// It is forwarded: the address is open to all.
    Public,
    /// It is forwarded, for nobody: it would be refused, and the upstream does not enforce that.
    WouldRefuse,
    /// The gateway answers it itself.
    Own,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 302 to the login page, for a person on the way to a page.
    Login,
    /// 404.
    NoRoute,
    /// 400 and its like.
    BadRequest,
    /// 503.
    Unavailable,
}

impl Outcome {
    fn of(refusal: &Refusal) -> Self {
        match refusal.decision() {
            "unauthorized" => Self::Unauthorized,
            "forbidden" => Self::Forbidden,
            "login" => Self::Login,
            "no_route" => Self::NoRoute,
            "unavailable" => Self::Unavailable,
            _ => Self::BadRequest,
        }
    }

    /// Whether the request is answered by what it asks for.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Allowed | Self::Public | Self::WouldRefuse | Self::Own)
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The status of the answer.
    pub status: u16,
    /// `error`
    pub error: &'static str,
    /// `error_description`
    pub description: String,
    /// Finer than the error.
    #[serde(serialize_with = "name_of")]
    pub cause: Cause,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn name_of<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.name())
}

impl From<&Refusal> for Why {
    fn from(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status.as_u16(),
            error: refusal.code.as_str(),
            description: refusal.description.to_string(),
            cause: refusal.cause,
        }
    }
}

/// One entry of a scope as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedFor {
    /// As it is spelled.
    pub entry: String,
    /// The service that it names now.
    pub service: Option<String>,
    /// Whether the token is for that, or the entry is a word of OpenID Connect.
    pub granted: bool,
}

/// One service that an address needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// The service: its id, or what the configuration calls it.
    pub service: String,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is registered.
    pub registered: bool,
    /// Whether the token is for it.
    pub covered: bool,
}

/// The arithmetic of a token's scope at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeFacts {
    /// What was asked for, entry by entry.
    pub asked: Vec<AskedFor>,
    /// The services that the token is for.
    pub granted: Vec<Named>,
    /// Whether it is for every service, as an application password is.
    pub every_service: bool,
    /// What this address needs; empty where it is open to all.
    pub needed: Vec<Needed>,
}

/// What the gate would decide, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Method.
    pub method: String,
    /// Host, as it was understood.
    pub host: String,
    /// The path that is matched and forwarded; as it was asked where it was not understood.
    pub path: String,
    /// What becomes of the request.
    pub outcome: Outcome,
    /// Why it is refused, or would be.
    pub why: Option<Why>,
    /// How often requests may come to the gateway as a whole.
    pub rates: Vec<RateFacts>,
    /// Where it goes, or would go.
    pub route: Option<RouteFacts>,
    /// What is known of the token.
    pub token: TokenFacts,
    /// What the token is for and what it is needed for; `None` where either is not known.
    pub scope: Option<ScopeFacts>,
    /// Whether the upstream is told who asks.
    pub identity_told: bool,
    /// Whether the client's own `Authorization` goes on to the upstream.
    pub passed_on: bool,
}

/// Explains what would become of a request.
#[must_use]
pub fn explain(asked: &Asked, presented: Presented<'_>, ground: Ground<'_>) -> Explanation {
    let token = TokenFacts::of(presented, ground.registry);
    let mut explanation = Explanation {
        method: asked.method.to_string(),
        host: asked.authority.to_str().unwrap_or_default().to_owned(),
        path: asked.target.path().to_owned(),
        outcome: Outcome::Own,
        why: None,
        rates: rates::everywhere(ground.rates),
        route: None,
        scope: None,
        identity_told: false,
        passed_on: false,
        token,
    };
    if let Err(refusal) = explanation.decide(asked, presented, ground) {
        explanation.outcome = Outcome::of(&refusal);
        explanation.why = Some(Why::from(&refusal));
    }
    explanation
}

impl Explanation {
    /// The steps of [`super::serve`], with what each finds written down.
    fn decide(&mut self, asked: &Asked, presented: Presented<'_>, ground: Ground<'_>) -> Result<(), Refusal> {
        let sanitized = understood(asked, ground.splits)?;
        sanitized.host().clone_into(&mut self.host);
        sanitized.path().clone_into(&mut self.path);
        if (ground.owns)(sanitized.path()) {
            return Ok(());
        }
        let route = ground.routes.find(sanitized.host(), sanitized.path()).ok_or_else(Refusal::not_found)?;
        let rule = route.policy.rule(&asked.method, sanitized.path());
        let requirement = route.policy.requirement(&asked.method, sanitized.path());
        let facts = RouteFacts::of(route, rule, &sanitized.target);
        let judged = token::judged(presented);
        let good = judged.as_ref().and_then(|judged| judged.as_ref().ok().and_then(Option::as_ref));
        self.scope = good.map(|(claims, _)| scope_facts(claims, requirement, &facts, ground.registry));
        self.route = Some(facts);
        let decided = self.by_rules(asked, requirement, route, judged);
        let unenforced = decided.as_ref().err().and_then(|refusal| shadow::unenforced(route, refusal));
        if let (Err(refusal), Some(_)) = (&decided, &unenforced) {
            self.outcome = Outcome::WouldRefuse;
            self.why = Some(Why::from(refusal));
        } else {
            decided?;
        }
        if let Presented::Sent(value, judge) = presented {
            let foreign = || is_foreign(value.as_bytes(), judge);
            self.passed_on = if route.policy.enforce || self.identity_told {
                route.credential == Credential::Pass
            } else {
                shadow::unproven_passes(route.credential, unenforced.is_some(), foreign)
            };
        }
        Ok(())
    }

    /// What the rules of the route say.
    fn by_rules(
        &mut self,
        asked: &Asked,
        requirement: Requirement<'_>,
        route: &Route,
        judged: Option<Result<Option<token::Good>, Refusal>>,
    ) -> Result<(), Refusal> {
        let good = judged.as_ref().and_then(|judged| judged.as_ref().ok().and_then(Option::as_ref));
        // A malformed header is refused also where none is needed.
        if let Some(Err(refusal)) = &judged
            && matches!(refusal.cause, Cause::Code(_))
        {
            return Err(refusal.clone());
        }
        if matches!(requirement, Requirement::Public) {
            let covers = |service: &crate::base::id::ServiceId| {
                good.is_some_and(|(claims, _)| claims.covers(service.as_str()))
            };
            self.identity_told = route.policy.service.as_ref().is_some_and(covers);
            self.outcome = Outcome::Public;
            return Ok(());
        }
        let nobody = || match requirement {
            // Of a GET it is not known whether it comes of a navigation; that is what people ask about.
            Requirement::Browser(_) if matches!(asked.method, Method::GET | Method::HEAD) => {
                Refusal::login(String::new())
            }
            Requirement::Browser(_) => Refusal::session_needed(),
            _ => Refusal::token_needed(),
        };
        let (claims, person) = judged.unwrap_or(Ok(None))?.ok_or_else(nobody)?;
        route.policy.check(requirement, &claims, person.as_deref()).map_err(Refusal::denied)?;
        (self.outcome, self.identity_told) = (Outcome::Allowed, true);
        Ok(())
    }
}

/// The request as the gate reads it.
fn understood(asked: &Asked, splits: impl FnOnce(&str) -> bool) -> Result<Sanitized, Refusal> {
    let target = sanitize::target_where(&asked.method, &asked.target, splits)?;
    let request = Request::builder()
        .method(asked.method.clone())
        .uri(asked.target.clone())
        .header(HOST, asked.authority.clone())
        .body(());
    let (parts, ()) = request.map_err(|_| bad_request("the request is malformed"))?.into_parts();
    debug_assert!(!parts.headers.contains_key(AUTHORIZATION));
    sanitize::sanitize(parts, target, false)
}

fn scope_facts(
    claims: &AccessClaims,
    requirement: Requirement<'_>,
    route: &RouteFacts,
    registry: &Registry,
) -> ScopeFacts {
    let asked = claims.scope.split(' ').filter(|entry| !entry.is_empty()).map(|entry| {
        let service = scope::named(entry, registry);
        let covered = service.as_ref().is_some_and(|id| claims.covers(id.as_str()));
        let granted = covered || claims.every_service || OPENID_SCOPES.contains(&entry);
        AskedFor { entry: entry.to_owned(), service: service.map(|id| id.to_string()), granted }
    });
    let needed = |name: &str| {
        let service = registry.resolve(name);
        let id = service.map_or(name, |service| service.id.as_str());
        Needed {
            service: id.to_owned(),
            name: service.map(|service| service.name.clone()),
            registered: service.is_some(),
            covered: service.is_some() && claims.covers(id),
        }
    };
    let mut needs = Vec::new();
    if !matches!(requirement, Requirement::Public) {
        needs.push(needed(route.service_id.as_deref().unwrap_or(&route.service)));
        let more = route.rule.iter().flat_map(|rule| &rule.scope);
        needs.extend(more.map(|entry| needed(entry)));
    }
    ScopeFacts {
        asked: asked.collect(),
        granted: claims.aud.iter().map(|id| Named::of(id, registry)).collect(),
        every_service: claims.every_service,
        needed: needs,
    }
}
