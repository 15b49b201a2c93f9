//! The decision: what an address needs, and whether a token meets it.
//!
//! Invariant: pure. What matches no rule needs a token with the service in scope; a service that is not registered
//! is in nobody's scope. A [`Permit`] exists only where the decision was yes, or where an administrator has switched its
//! enforcement off; then it names nobody.

use std::sync::Arc;

use http::Method;
use serde::Serialize;

use super::verdict::Verdict;
use crate::{
    base::id::ServiceId,
    model::{
        registry::Registry,
        upstream::{Access, PathPattern, Upstream},
        user::Person,
    },
    oauth::{cause::Cause, token::claims::AccessClaims},
};

/// The rules of one route, with names resolved to services.
#[derive(Debug)]
pub struct Policy {
    /// The service behind the route; `None` while nobody has registered it.
    pub service: Option<ServiceId>,
    /// As the configuration names it, for messages.
    pub service_name: String,
    /// Whether what may not pass is refused. Where not, it is forwarded for nobody, and written down.
    pub enforce: bool,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    path: PathPattern,
    methods: Vec<Method>,
    access: Access,
    groups: Vec<String>,
    users: Vec<String>,
    clients: Vec<ServiceId>,
    scope: Vec<Result<ServiceId, String>>,
}

impl Rule {
    fn matches(&self, method: &Method, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(method)) && self.path.matches(path)
    }

    fn facts(&self, number: usize) -> RuleFacts {
        let scope = |entry: &Result<ServiceId, String>| match entry {
            Ok(id) => id.as_str().to_owned(),
            Err(name) => name.clone(),
        };
        RuleFacts {
            number,
            path: self.path.to_string(),
            methods: self.methods.iter().map(ToString::to_string).collect(),
            public: self.access == Access::Public,
            browser: self.access == Access::Browser,
            groups: self.groups.clone(),
            users: self.users.clone(),
            clients: self.clients.iter().map(ToString::to_string).collect(),
            scope: self.scope.iter().map(scope).collect(),
        }
    }
}

/// What an address asks of a request.
#[derive(Debug, Clone, Copy)]
pub enum Requirement<'a> {
    /// Nothing.
    Public,
    /// A token with the service in scope and, if there is a rule, what it asks.
    Token(Option<RuleRef<'a>>),
    /// The same; the session of a browser counts as a token for every service.
    Browser(RuleRef<'a>),
}

impl Policy {
    /// Paths and methods of the rules that ask for membership of this group.
    pub fn rules_for_group<'p>(
        &'p self,
        group: &'p str,
    ) -> impl Iterator<Item = (&'p PathPattern, &'p [Method])> {
        let named = move |rule: &&Rule| rule.groups.iter().any(|name| name == group);
        self.rules.iter().filter(named).map(|rule| (&rule.path, rule.methods.as_slice()))
    }
}

/// The rule that matched.
#[derive(Debug, Clone, Copy)]
pub struct RuleRef<'a>(&'a Rule);

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The service of the route is not registered.
    UnknownService,
    /// This service is not in the token's scope.
    InsufficientScope(String),
    /// A rule names clients, users or groups, and the token is of none of them.
    RuleNotMet(Unmet),
}

/// What of a rule is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// `clients`
    #[error("this address is not for this client")]
    Client,
    /// `users`
    #[error("this address is not for this user")]
    User,
    /// `groups`
    #[error("this address is for members of certain groups")]
    Group,
    /// It is about a person, and a service acts for itself.
    #[error("the token acts for a service, not for a person")]
    Person,
}

impl From<&Denial> for Cause {
    fn from(denial: &Denial) -> Self {
        match denial {
            Denial::UnknownService => Self::ServiceUnknown,
            Denial::InsufficientScope(_) => Self::Scope,
            Denial::RuleNotMet(Unmet::Client) => Self::RuleClient,
            Denial::RuleNotMet(Unmet::User) => Self::RuleUser,
            Denial::RuleNotMet(Unmet::Group) => Self::RuleGroup,
            Denial::RuleNotMet(Unmet::Person) => Self::NoPerson,
        }
    }
}

/// A rule as it was stated, for those who ask why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFacts {
    /// Its place among the rules of the upstream, from 1.
    pub number: usize,
    /// The pattern.
    pub path: String,
    /// Methods; empty: all.
    pub methods: Vec<String>,
    /// Whether everybody may pass.
    pub public: bool,
    /// Whether the session of a browser counts as a token.
    pub browser: bool,
    /// One of these groups, when not empty.
    pub groups: Vec<String>,
    /// One of these users, when not empty.
    pub users: Vec<String>,
    /// One of these clients, when not empty.
    pub clients: Vec<String>,
    /// These services in scope too, by id; as they are written where nobody has registered them.
    pub scope: Vec<String>,
}

/// Proof that the decision was yes, or is not enforced.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Arc<Verdict>>,
    unenforced: bool,
}

impl Permit {
    /// Whom the upstream is told about; `None`: nobody.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<Verdict>> {
        self.identity.as_ref()
    }

    /// Whether the decision was no, and only is not enforced.
    #[must_use]
    pub const fn is_unenforced(&self) -> bool {
        self.unenforced
    }

    /// The same decision, on what is known now of the same token.
    #[must_use]
    pub fn renewed(&self, verdict: Arc<Verdict>) -> Self {
        Self { identity: self.identity.is_some().then_some(verdict), unenforced: self.unenforced }
    }
}

impl Policy {
    /// Resolves the names of an upstream's rules.
    #[must_use]
    pub fn new(upstream: &Upstream, registry: &Registry) -> Self {
        let resolve = |name: &str| registry.resolve(name).map(|service| service.id.clone());
        let rules = upstream.rules.iter().map(|rule| Rule {
            path: rule.path.clone(),
            methods: rule.methods.clone(),
            access: rule.access,
            groups: rule.groups.clone(),
            users: rule.users.clone(),
            clients: rule.clients.clone(),
            scope: rule.scope.iter().map(|name| resolve(name).ok_or_else(|| name.clone())).collect(),
        });
        Self {
            service: resolve(&upstream.service),
            service_name: upstream.service.clone(),
            enforce: upstream.enforce,
            rules: rules.collect(),
        }
    }

    /// What `path`, in canonical form, asks of a request with this method. The first rule that matches decides.
    #[must_use]
    pub fn requirement(&self, method: &Method, path: &str) -> Requirement<'_> {
        match self.rules.iter().find(|rule| rule.matches(method, path)) {
            Some(Rule { access: Access::Public, .. }) => Requirement::Public,
            Some(rule @ Rule { access: Access::Browser, .. }) => Requirement::Browser(RuleRef(rule)),
            rule => Requirement::Token(rule.map(RuleRef)),
        }
    }

    /// The rule by which [`Policy::requirement`] answers; `None` where none matches.
    #[must_use]
    pub fn rule(&self, method: &Method, path: &str) -> Option<RuleFacts> {
        let at = self.rules.iter().position(|rule| rule.matches(method, path))?;
        self.rules.get(at).map(|rule| rule.facts(at + 1))
    }

    /// All rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = RuleFacts> {
        self.rules.iter().enumerate().map(|(at, rule)| rule.facts(at + 1))
    }

    /// Decides on a verified token.
    ///
    /// # Errors
    /// [`Denial`], why not.
    pub fn admit(&self, requirement: Requirement<'_>, verdict: Arc<Verdict>) -> Result<Permit, Denial> {
        self.check(requirement, &verdict.claims, verdict.person.as_deref())?;
        Ok(Permit { identity: Some(verdict), unenforced: false })
    }

    /// The permit of a public address. A token is welcome there, not needed: one that covers the service is told to
    /// the upstream, any other counts as none.
    #[must_use]
    pub fn admit_anyone(&self, verdict: Option<Arc<Verdict>>) -> Permit {
        let covers = |verdict: &Arc<Verdict>| self.service.as_ref().is_some_and(|s| verdict.covers(s));
        Permit { identity: verdict.filter(covers), unenforced: false }
    }

    /// The permit of a request whose credential was refused, where that is not enforced. It names nobody.
    #[must_use]
    pub fn admit_unproven(&self) -> Option<Permit> {
        (!self.enforce).then_some(Permit { identity: None, unenforced: true })
    }

    /// The decision itself, on claims and on the person for whom they act; `None` where a service acts for itself, which
    /// is no user and in no group. Ids, logins and names of groups are compared as they are written, case included: what
    /// is misspelled lets nobody pass.
    ///
    /// # Errors
    /// [`Denial`], why not.
    pub fn check(
        &self,
        requirement: Requirement<'_>,
        claims: &AccessClaims,
        person: Option<&Person>,
    ) -> Result<(), Denial> {
        let rule = match requirement {
            Requirement::Public => return Ok(()),
            Requirement::Token(rule) => rule,
            Requirement::Browser(rule) => Some(rule),
        };
        let service = self.service.as_ref().ok_or(Denial::UnknownService)?;
        if !claims.covers(service.as_str()) {
            return Err(Denial::InsufficientScope(self.service_name.clone()));
        }
        let Some(RuleRef(rule)) = rule else { return Ok(()) };
        for needed in &rule.scope {
            match needed {
                Ok(service) if claims.covers(service.as_str()) => {}
                Ok(service) => return Err(Denial::InsufficientScope(service.as_str().to_owned())),
                Err(_) => return Err(Denial::UnknownService),
            }
        }
        if !rule.clients.is_empty() && !rule.clients.contains(&claims.client_id) {
            return Err(Denial::RuleNotMet(Unmet::Client));
        }
        let person = person.filter(|_| !claims.is_service());
        let named = |person: &Person| {
            rule.users.iter().any(|user| *user == person.login || *user == person.id.as_str())
        };
        if !rule.users.is_empty() && !person.is_some_and(named) {
            return Err(Denial::RuleNotMet(Unmet::User));
        }
        let member = |person: &Person| rule.groups.iter().any(|group| person.groups.contains(group));
        if !rule.groups.is_empty() && !person.is_some_and(member) {
            return Err(Denial::RuleNotMet(Unmet::Group));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::id::{GrantId, UserId},
        model::upstream::{self, Segment},
    };

    fn claims(client: &str, aud: &[&str]) -> AccessClaims {
        AccessClaims {
            iss: String::new(),
            sub: client.into(),
            aud: aud.iter().map(|id| ServiceId::parse(id).unwrap()).collect(),
            client_id: ServiceId::parse(client).unwrap(),
            scope: String::new(),
            iat: 0,
            exp: i64::MAX,
            nbf: None,
            jti: String::new(),
            grant_id: None,
            sid: None,
            credential: None,
            every_service: false,
        }
    }

    fn rule(segment: &str, access: Access) -> upstream::Rule {
        upstream::Rule {
            path: PathPattern {
                segments: vec![Segment::Literal("yt".into()), Segment::Literal(segment.into())],
                open: true,
            },
            methods: vec![],
            access,
            groups: vec![],
            users: vec![],
            clients: vec![],
            scope: vec![],
        }
    }

    fn policy(service: &str) -> Policy {
        let upstream = Upstream {
            rules: vec![
                rule("static", Access::Public),
                upstream::Rule {
                    methods: vec![Method::POST],
                    groups: vec!["admins".into()],
                    ..rule("admin", Access::Token)
                },
                upstream::Rule {
                    clients: vec![ServiceId::parse("robot").unwrap()],
                    ..rule("robots", Access::Token)
                },
                upstream::Rule { scope: vec!["0-0-0-0-0".into()], ..rule("hub", Access::Token) },
                upstream::Rule { scope: vec!["nobody".into()], ..rule("never", Access::Token) },
                upstream::Rule { users: vec!["a".into()], ..rule("users", Access::Token) },
            ],
            ..Upstream::new(service, "/yt", vec![])
        };
        Policy::new(&upstream, &Registry::new([], "u"))
    }

    #[test]
    fn the_first_matching_rule_decides_and_without_one_scope_does() {
        let policy = policy("Hub");
        let hub = claims("a", &["0-0-0-0-0"]);
        let ask = |method: Method, path: &str, claims: &AccessClaims| {
            let requirement = policy.requirement(&method, path);
            (matches!(requirement, Requirement::Public), policy.check(requirement, claims, None))
        };
        assert!(ask(Method::GET, "/yt/static/x", &hub).0);
        assert_eq!(ask(Method::GET, "/yt/api", &hub), (false, Ok(())));
        assert_eq!(ask(Method::GET, "/yt/admin/x", &hub), (false, Ok(())));
        assert!(matches!(ask(Method::POST, "/yt/admin/x", &hub).1, Err(Denial::RuleNotMet(_))));
        assert!(matches!(ask(Method::GET, "/yt/robots", &hub).1, Err(Denial::RuleNotMet(_))));
        assert_eq!(ask(Method::GET, "/yt/robots", &claims("robot", &["0-0-0-0-0"])).1, Ok(()));
        assert_eq!(ask(Method::GET, "/yt/hub", &hub).1, Ok(()));
        assert_eq!(ask(Method::GET, "/yt/never", &hub).1, Err(Denial::UnknownService));
        assert!(
            matches!(ask(Method::GET, "/yt/users", &hub).1, Err(Denial::RuleNotMet(_))),
            "a service is no user"
        );
        assert_eq!(
            ask(Method::GET, "/yt/api", &claims("a", &["other"])).1,
            Err(Denial::InsufficientScope("Hub".into()))
        );
    }

    fn person(id: &str, login: &str, groups: &[&str]) -> Person {
        Person {
            id: UserId::parse(id).unwrap(),
            login: login.into(),
            name: String::new(),
            email: None,
            groups: groups.iter().map(|&group| group.into()).collect(),
            banned: false,
            guest: false,
            administrator: false,
        }
    }

    #[test]
    fn rules_on_people_are_held_against_the_person() {
        let policy = policy("Hub");
        let of_a_person = AccessClaims {
            sub: "u-1".into(),
            grant_id: Some(GrantId::parse("g").unwrap()),
            ..claims("client", &["0-0-0-0-0"])
        };
        let ask = |method: Method, path: &str, claims: &AccessClaims, person: Option<&Person>| {
            policy.check(policy.requirement(&method, path), claims, person)
        };
        let users = |claims: &AccessClaims, person: Option<&Person>| {
            ask(Method::GET, "/yt/users", claims, person).is_ok()
        };
        let groups = |claims: &AccessClaims, person: Option<&Person>| {
            ask(Method::POST, "/yt/admin/x", claims, person).is_ok()
        };
        for (id, login, passes) in [
            ("u-1", "a", true),
            ("a", "jane", true),
            ("u-1", "A", false),
            ("A", "jane", false),
            ("u-1", "a ", false),
            ("u-1", "jane", false),
        ] {
            assert_eq!(users(&of_a_person, Some(&person(id, login, &[]))), passes, "{id} {login}");
        }
        for (member_of, passes) in [
            (&["admins"][..], true),
            (&["a", "admins", "z"], true),
            (&["Admins"], false),
            (&["admins "], false),
            (&["admins,a"], false),
            (&[], false),
        ] {
            assert_eq!(groups(&of_a_person, Some(&person("u-1", "j", member_of))), passes, "{member_of:?}");
        }
        // A service acting for itself is nobody, whoever is handed along with it; a person who is not known is nobody.
        let own = claims("a", &["0-0-0-0-0"]);
        for (claims, person) in
            [(&own, None), (&own, Some(&person("a", "a", &["admins"]))), (&of_a_person, None)]
        {
            assert!(!users(claims, person) && !groups(claims, person));
        }
        // Scope comes first: a member without it is told what is missing.
        let elsewhere = AccessClaims { aud: claims("a", &["other"]).aud, ..of_a_person };
        let member = person("u-1", "a", &["admins"]);
        assert_eq!(
            ask(Method::POST, "/yt/admin/x", &elsewhere, Some(&member)),
            Err(Denial::InsufficientScope("Hub".into()))
        );
    }

    #[test]
    fn an_unregistered_service_is_in_nobodys_scope() {
        let policy = policy("ghost");
        let requirement = policy.requirement(&Method::GET, "/yt/api");
        assert_eq!(policy.check(requirement, &claims("a", &["ghost"]), None), Err(Denial::UnknownService));
        assert!(policy.admit_anyone(None).identity().is_none());
    }
}
