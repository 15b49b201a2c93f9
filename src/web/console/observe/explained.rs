//! A refusal or a foreseen decision in words, as the page shows it: what happened, whose move it is, how to mend it, and by
//! what it was decided.
//!
//! Invariant: what a token says of itself is told apart from what this gateway knows.

use super::{
    parts::Section,
    upstreams::{Rule, gets},
    visit::Visit,
};
use crate::{
    access::revocations::EndedBy,
    base::time::Timestamp,
    model::upstream::Credential,
    oauth::cause::{Cause, Mover},
    observe::refusals::{Refused, WOULD_REFUSE},
    proxy::explain::{Explanation, Named, Outcome, ScopeFacts, Subject, TokenFacts, TokenKind},
    texts::Language,
};

/// One line of facts.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Path below `hub.path`.
    pub(super) link: Option<String>,
}

/// What is said of a cause.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) happened: &'static str,
    pub(super) mover: &'static str,
    pub(super) mend: &'static str,
}

/// A list of services, each with a badge: its class and its text.
type Badged = Vec<(String, &'static str, &'static str)>;

/// The arithmetic of a scope.
pub(super) struct Scope {
    pub(super) asked: Badged,
    pub(super) granted: Vec<String>,
    pub(super) needed: Badged,
}

/// See the module.
pub(super) struct Explained {
    /// Whether the request passes.
    pub(super) good: bool,
    pub(super) heading: String,
    pub(super) words: Option<Words>,
    pub(super) detail: Option<&'static str>,
    /// What the client was or would be told: a heading, the code, the description.
    pub(super) told: Option<(&'static str, String, String)>,
    pub(super) request: Vec<Fact>,
    pub(super) rule: Option<Rule>,
    pub(super) token: Vec<Fact>,
    pub(super) unverified: bool,
    pub(super) scope: Option<Scope>,
}

fn fact(label: &'static str, value: impl Into<String>) -> Fact {
    Fact { label, value: value.into(), link: None }
}

const fn mover(t: Language, mover: Mover) -> &'static str {
    match mover {
        Mover::Client => t.mover_client(),
        Mover::Person => t.mover_person(),
        Mover::Administrator => t.mover_administrator(),
        Mover::Service => t.mover_service(),
    }
}

const fn words(t: Language, cause: Cause) -> Words {
    Words {
        title: t.cause_title(cause),
        happened: t.cause_happened(cause),
        mover: mover(t, cause.mover()),
        mend: t.cause_mend(cause),
    }
}

/// A service by its name, with the way to its page.
fn service(visit: &Visit, label: &'static str, id: &str) -> Fact {
    match visit.caller.snapshot.registry.by_id(id) {
        Some(known) => Fact {
            label,
            value: known.name.clone(),
            link: Some(format!("{}/{}", Section::Services.path(), known.id)),
        },
        None => fact(label, id),
    }
}

/// A user by login, with the way to the page.
fn user(visit: &Visit, label: &'static str, id: &str) -> Fact {
    match visit.control.gate.people.find(id) {
        Some(known) => Fact {
            label,
            value: known.login.clone(),
            link: Some(format!("{}/{}", Section::Users.path(), known.id)),
        },
        None => fact(label, id),
    }
}

impl Explained {
    /// Of a request that was refused.
    pub(super) fn refused(visit: &Visit, refused: &Refused) -> Self {
        let t = visit.t;
        let mut request = vec![
            fact(t.why_address(), format!("{} {}{}", refused.method, refused.host, refused.path)),
            fact(t.column_time(), t.moment(refused.time)),
            fact(t.request_id(), refused.id.clone()),
        ];
        let route = visit.caller.snapshot.routes.iter().find(|route| *route.label == refused.route);
        request.push(match route {
            Some(route) => Fact {
                label: t.why_route(),
                value: route.label.to_string(),
                link: Some(format!(
                    "{}?find={}",
                    Section::Upstreams.path(),
                    super::dashboard::encoded(&route.label)
                )),
            },
            None if refused.route.is_empty() => fact(t.why_route(), t.why_no_route()),
            None => fact(t.why_route(), refused.route.clone()),
        });
        if let Some(route) = route {
            let id =
                route.policy.service.as_ref().map_or(route.policy.service_name.as_str(), |id| id.as_str());
            request.push(service(visit, t.upstream_service(), id));
        }
        if !refused.client.is_empty() {
            request.push(service(visit, t.why_client(), &refused.client));
        }
        if !refused.user.is_empty() {
            request.push(user(visit, t.why_user(), &refused.user));
        }
        if !refused.jti.is_empty() {
            request.push(fact(t.why_token_id(), refused.jti.clone()));
        }
        request.push(fact(t.why_source(), refused.source.to_string()));
        let rule = refused.rule.and_then(|number| route?.policy.rules().nth(number.checked_sub(1)?));
        let cause = Cause::named(refused.cause);
        let passed = refused.decision == WOULD_REFUSE;
        let status = refused.status;
        Self {
            good: false,
            heading: if passed { t.why_would_refuse(status) } else { t.why_refused(status) },
            words: cause.map(|cause| words(t, cause)),
            detail: passed.then(|| t.upstream_unenforced_detail()),
            told: Some((
                if passed { t.why_would_be_told() } else { t.why_told() },
                refused.cause.to_owned(),
                refused.reason.clone(),
            )),
            request,
            rule: rule.map(|rule| Rule::of(t, &rule)),
            token: Vec::new(),
            unverified: false,
            scope: None,
        }
    }

    /// Of a request that somebody asks about.
    pub(super) fn foreseen(visit: &Visit, explanation: &Explanation) -> Self {
        let t = visit.t;
        let Explanation { method, host, path, outcome, why, route, token, .. } = explanation;
        let mut request = vec![fact(t.why_address(), format!("{method} {host}{path}"))];
        match route {
            None => request.push(fact(t.why_route(), t.why_no_route())),
            Some(route) => {
                request.push(fact(t.why_route(), route.label.clone()));
                let id = route.service_id.as_deref().unwrap_or(&route.service);
                request.push(service(visit, t.upstream_service(), id));
                let label = match (&route.redirect, outcome.passes()) {
                    (None, true) => t.why_goes_to(),
                    (None, false) => t.why_would_go_to(),
                    (Some(_), true) => t.why_redirects_to(),
                    (Some(_), false) => t.why_would_redirect_to(),
                };
                request.push(fact(label, route.destinations().join(", ")));
                if outcome.passes() && route.redirect.is_none() {
                    request.push(fact(t.upstream_gets(), handed_on(t, route.credential, explanation)));
                }
                if route.rule.is_none() {
                    request.push(fact(t.why_rule(), t.why_no_rule()));
                }
            }
        }
        let heading = match (outcome, why) {
            (Outcome::WouldRefuse, Some(why)) => t.why_would_refuse(why.status),
            (_, Some(why)) => t.why_refused(why.status),
            (Outcome::Own, None) => t.why_own().to_owned(),
            (Outcome::Public, None) => t.why_passes_public().to_owned(),
            (_, None) => t.why_passes().to_owned(),
        };
        let foreign = !token.verified && (token.issuer.is_some() || token.subject.is_some());
        Self {
            good: outcome.passes() && *outcome != Outcome::WouldRefuse,
            heading,
            words: why.as_ref().map(|why| words(t, why.cause)),
            detail: match outcome {
                Outcome::Own => Some(t.why_own_detail()),
                Outcome::WouldRefuse => Some(t.upstream_unenforced_detail()),
                _ => None,
            },
            told: why
                .as_ref()
                .map(|why| (t.why_would_be_told(), why.error.to_owned(), why.description.clone())),
            request,
            rule: route.as_ref().and_then(|route| route.rule.as_ref()).map(|rule| Rule::of(t, rule)),
            token: token_facts(visit, token),
            unverified: foreign,
            scope: explanation.scope.as_ref().map(|scope| scope_of(t, scope)),
        }
    }
}

const fn handed_on(t: Language, credential: &str, explanation: &Explanation) -> &'static str {
    let credential = match credential.as_bytes() {
        _ if explanation.passed_on => Credential::Pass,
        b"scoped" if explanation.identity_told => Credential::Scoped,
        _ => Credential::None,
    };
    gets(t, credential)
}

fn token_facts(visit: &Visit, token: &TokenFacts) -> Vec<Fact> {
    let t = visit.t;
    let kind = match token.kind {
        TokenKind::None => t.kind_none(),
        TokenKind::Malformed => t.kind_malformed(),
        TokenKind::AccessToken => t.kind_access_token(),
        TokenKind::PermanentToken => t.kind_permanent_token(),
        TokenKind::ApplicationPassword => t.kind_application_password(),
    };
    let mut facts = vec![fact(t.why_kind(), kind)];
    if token.good {
        facts.push(fact(t.why_state(), t.state_good()));
    } else if let Some(problem) = &token.problem {
        facts.push(fact(t.why_state(), problem.as_ref()));
    }
    if let Some(client) = &token.client {
        facts.push(if token.verified {
            service(visit, t.why_client(), &client.id)
        } else {
            fact(t.why_client(), named(client))
        });
    }
    if let Some(subject) = &token.subject {
        facts.push(acts_for(visit, subject, token.verified));
        if !subject.groups.is_empty() {
            facts.push(fact(t.why_groups(), subject.groups.join(", ")));
        }
    }
    let expires = token.expires.clone().map(|at| (at, token.seconds_left));
    let expires = match expires {
        Some((at, Some(left))) => {
            let now = visit.now();
            let then = Timestamp::from_seconds(now.seconds().saturating_add(left));
            Some(format!("{} ({})", told(t, &at), t.when(then, now)))
        }
        Some((at, None)) => Some(told(t, &at)),
        None => token.good.then(|| t.never().to_owned()),
    };
    for (label, value) in [
        (t.why_issued(), token.issued.as_deref().map(|at| told(t, at))),
        (t.why_expires(), expires),
        (t.why_ended_by(), token.ended_by.map(|by| ended_by(t, by).to_owned())),
        (t.why_issuer(), token.issuer.clone().filter(|_| !token.verified)),
        (t.why_key(), token.key.clone()),
        (t.why_token_id(), token.id.clone()),
    ] {
        facts.extend(value.map(|value| fact(label, value)));
    }
    facts
}

/// A moment in words.
fn told(t: Language, at: &str) -> String {
    Timestamp::parse_rfc3339(at).map_or_else(|| at.to_owned(), |at| t.moment(at))
}

fn acts_for(visit: &Visit, subject: &Subject, verified: bool) -> Fact {
    let label = visit.t.why_acts_for();
    if subject.service {
        return fact(label, visit.t.why_itself());
    }
    match &subject.login {
        _ if verified && !subject.id.is_empty() => user(visit, label, &subject.id),
        Some(login) => fact(label, login.clone()),
        None => fact(label, subject.id.clone()),
    }
}

const fn ended_by(t: Language, by: EndedBy) -> &'static str {
    match by {
        EndedBy::Token => t.ended_token(),
        EndedBy::Grant => t.ended_grant(),
        EndedBy::Session => t.ended_session(),
        EndedBy::Client => t.ended_client(),
        EndedBy::User => t.ended_user(),
        EndedBy::Consent => t.ended_consent(),
    }
}

fn named(service: &Named) -> String {
    service.name.clone().unwrap_or_else(|| service.id.clone())
}

fn scope_of(t: Language, scope: &ScopeFacts) -> Scope {
    let asked = scope.asked.iter().map(|asked| match (&asked.service, asked.granted) {
        (_, true) => (asked.entry.clone(), "", ""),
        (Some(_), false) => (asked.entry.clone(), "warn", t.scope_not_granted()),
        (None, false) => (asked.entry.clone(), "bad", t.scope_unknown()),
    });
    let needed = scope.needed.iter().map(|needed| {
        let name = needed.name.clone().unwrap_or_else(|| needed.service.clone());
        match (needed.registered, needed.covered) {
            (_, true) => (name, "good", t.scope_there()),
            (true, false) => (name, "bad", t.scope_missing()),
            (false, false) => (name, "bad", t.scope_unknown()),
        }
    });
    let granted = if scope.every_service {
        vec![t.scope_every().to_owned()]
    } else {
        scope.granted.iter().map(named).collect()
    };
    Scope { asked: asked.collect(), granted, needed: needed.collect() }
}
