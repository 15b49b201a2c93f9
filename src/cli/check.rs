//! `hubgate check`: the configuration, then its `[[test]]` entries, then what it changes in the store, which is only read.

use std::{path::Path, sync::Arc};

use super::{
    explain::in_short,
    load,
    output::{self, Failure, say},
};
use crate::{
    access::credentials::NEVER,
    app::{self, CertificateError, Registered, StartError},
    base::{
        id::{ServiceId, UserId},
        random::{Random, SystemRandom},
        time::{Clock as _, SystemClock},
    },
    config::{Config, DecisionTest, Expectation, TestToken},
    model::{
        registry::Registry,
        scope::OPENID_SCOPES,
        user::{Email, Group, Person},
    },
    oauth::token::claims::AccessClaims,
    proxy::{
        explain::{Asked, Explanation, Ground, Outcome, Presented, explain},
        route::Routes,
    },
    store::{StoreError, name::folded},
};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Say nothing when all is well.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn check(file: &Path, args: &CheckArgs) -> Result<(), Failure> {
    let config = load(file)?;
    if !config.warnings.is_empty() {
        output::remark(config.warnings.render(output::colour()).trim_end());
    }
    let found = run_tests(&config)?;
    let located = |lines: &[String]| {
        let lines: Vec<String> = lines.iter().map(|line| format!("{}:{line}", file.display())).collect();
        lines.join("\n")
    };
    if !found.doubts.is_empty() {
        output::remark(&located(&found.doubts));
    }
    if !found.failures.is_empty() {
        return Err(Failure::Problems(located(&found.failures)));
    }
    match app::certificates(&config, SystemClock.now()) {
        // They may be where it will run, and not here.
        Err(error @ CertificateError::Read { .. }) => {
            output::remark(&format!("A certificate was not looked at: {error}"));
        }
        read => read.map_err(StartError::from)?,
    }
    if args.quiet {
        return Ok(());
    }
    let differences = differences(&config)?;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    say(&format!(
        "{} is good: {}, {}, {} passed",
        file.display(),
        count(config.services.len(), "declared service"),
        count(config.upstreams.len(), "upstream"),
        count(config.tests.len(), "test")
    ))?;
    differences.iter().try_for_each(|line| say(line))
}

/// What a start would write, in lines. That the store cannot be read here is no fault of the configuration.
fn differences(config: &Config) -> Result<Vec<String>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let line = |text: &str| Ok(vec![text.to_owned()]);
    match runtime.block_on(app::differences(config, &SystemClock, &random)) {
        Ok(None) => line("There is no store yet; the first start makes it with all that is declared."),
        Ok(Some(found)) if found.is_empty() => line("The store is in step with what is declared."),
        Ok(Some(found)) => {
            let heading = "The next start or reload changes in the store:".to_owned();
            Ok(std::iter::once(heading).chain(found.iter().map(|one| format!("  {one}"))).collect())
        }
        Err(StartError::Store { path, error: StoreError::Unavailable(why) }) => {
            output::remark(&format!("The store was not looked at: {path}: {why}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the tests have shown: a text for each, which begins with its place.
#[derive(Default)]
struct Findings {
    failures: Vec<String>,
    /// What could not be found out here.
    doubts: Vec<String>,
}

/// Runs the tests.
fn run_tests(config: &Config) -> Result<Findings, Failure> {
    if config.tests.is_empty() {
        return Ok(Findings::default());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stored = match runtime.block_on(app::registered(config)) {
        Err(StartError::Store { error: StoreError::Unavailable(_), .. }) => None,
        read => read?,
    };
    Ok(findings(config, stored))
}

/// `stored`: what the store has; `None` when it could not be asked.
fn findings(config: &Config, stored: Option<Registered>) -> Findings {
    let asked = stored.is_some();
    let (services, groups) = match stored {
        Some(Registered { services, groups }) => (Some(services), groups),
        None => (None, Vec::new()),
    };
    let registry = Registry::new(app::services(config, services), "");
    let routes = app::routes(config, &registry);
    let ground = Declared { config, registry: &registry, routes: &routes, groups: &groups };
    let mut found = Findings::default();
    for test in &config.tests {
        let unknown = unknown(test, &registry);
        let lines = |why| unknown.iter().map(move |what| format!("{}: {what} is {why}", head(test)));
        if asked && !unknown.is_empty() {
            found.failures.extend(lines("neither declared in this file nor registered in the store"));
            continue;
        }
        found
            .doubts
            .extend(lines("not declared in this file, and there is no store here that could know it"));
        found.failures.extend(run(test, &ground));
    }
    found
}

/// Where a test stands and what it asks.
fn head(test: &DecisionTest) -> String {
    format!("{}:{}: test {} {}", test.line, test.column, test.method, test.path)
}

/// The services that a test names and that are none.
fn unknown(test: &DecisionTest, registry: &Registry) -> Vec<String> {
    let Some(token) = &test.token else { return Vec::new() };
    let client = token.client.iter().filter(|id| registry.by_id(id.as_str()).is_none());
    let scope = token
        .scope
        .iter()
        .filter(|name| registry.resolve(name).is_none() && !OPENID_SCOPES.contains(&name.as_str()));
    let client = client.map(|id| format!("its client {:?}", id.as_str()));
    client.chain(scope.map(|name| format!("{name:?} of its scope"))).collect()
}

/// What tests are decided by.
struct Declared<'d> {
    config: &'d Config,
    registry: &'d Registry,
    routes: &'d Routes,
    /// Those of the store.
    groups: &'d [Group],
}

fn run(test: &DecisionTest, ground: &Declared<'_>) -> Option<String> {
    let (got, explained) = decide(test, ground);
    if got == test.expect {
        return None;
    }
    let why = match got {
        Expectation::WouldRefuse => ": its upstream has `enforce = false`",
        _ => "",
    };
    let (wanted, got) = (name(test.expect), name(got));
    let lines = explained.as_ref().map_or_else(
        || vec!["decision      refused: 400: no request can have this address".to_owned()],
        in_short,
    );
    Some(format!("{}: expected {wanted}, got {got}{why}\n    {}", head(test), lines.join("\n    ")))
}

/// The decision that the gateway would make, by the same steps; with the explanation, where there is a request to explain.
fn decide(test: &DecisionTest, declared: &Declared<'_>) -> (Expectation, Option<Explanation>) {
    let &Declared { config, registry, routes, .. } = declared;
    let host = test.host.as_deref().unwrap_or_else(|| config.public_url.host());
    let Some(asked) = Asked::new(&test.method, host, &test.path) else {
        return (Expectation::BadRequest, None);
    };
    let (owns, splits) = (|path: &str| app::owns(config, path), |path: &str| app::splits(config, path));
    let ground = Ground { routes, registry, owns: &owns, splits: &splits, rates: &config.limits.requests };
    let (claims, person) = match &test.token {
        None => (None, None),
        Some(token) => match imagined(token, declared) {
            Some((claims, person)) => (Some(claims), person),
            None => return (Expectation::BadRequest, None),
        },
    };
    let presented =
        claims.as_ref().map_or(Presented::Nothing, |claims| Presented::Imagined(claims, person.as_ref()));
    let explained = explain(&asked, presented, ground);
    let expectation = match explained.outcome {
        Outcome::Allowed => Expectation::Allowed,
        Outcome::Public => Expectation::Public,
        Outcome::WouldRefuse => Expectation::WouldRefuse,
        Outcome::Own => Expectation::Own,
        Outcome::Unauthorized => Expectation::Unauthorized,
        Outcome::Login => Expectation::Login,
        Outcome::Forbidden | Outcome::Unavailable => Expectation::Forbidden,
        Outcome::NoRoute => Expectation::NoRoute,
        Outcome::BadRequest => Expectation::BadRequest,
    };
    (expectation, Some(explained))
}

/// The claims and the person of a test's token.
fn imagined(token: &TestToken, declared: &Declared<'_>) -> Option<(AccessClaims, Option<Person>)> {
    let registry = declared.registry;
    let client = token.client.clone().or_else(|| ServiceId::parse("some-client").ok())?;
    let aud = token.scope.iter().filter_map(|name| registry.resolve(name)).map(|s| s.id.clone());
    let person = token.user.as_ref().and_then(|login| person(login, declared));
    let subject = person.as_ref().map_or_else(|| client.to_string(), |person| person.id.to_string());
    let claims = AccessClaims {
        iss: String::new(),
        sub: subject,
        aud: aud.collect(),
        client_id: client,
        scope: token.scope.join(" "),
        iat: 0,
        exp: NEVER.seconds(),
        nbf: None,
        jti: String::new(),
        grant_id: None,
        sid: None,
        credential: None,
        every_service: false,
    };
    Some((claims, person))
}

/// What the gate would know of a declared user, under an id that the file does not tell.
fn person(login: &str, declared: &Declared<'_>) -> Option<Person> {
    let user = declared.config.users.iter().find(|user| user.login == login)?;
    Some(Person {
        id: UserId::parse("declared-user").ok()?,
        login: user.login.clone(),
        name: user.name.clone(),
        email: user.email.clone().map(|address| Email { address, verified: true }),
        groups: with_those_above(&user.groups, declared.groups),
        banned: false,
        guest: false,
        administrator: user.administrator,
    })
}

/// The names of these groups and of all above them, as the store has them; of a group that it does not have, as the file says.
fn with_those_above(names: &[String], groups: &[Group]) -> Vec<String> {
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let mut at = groups.iter().find(|group| folded(&group.name) == folded(name));
        if at.is_none() {
            all.push(name.clone());
        }
        while let Some(group) = at {
            // Whatever is above one that was met was met with it; nothing is above itself.
            if all.contains(&group.name) {
                break;
            }
            all.push(group.name.clone());
            at = groups.iter().find(|above| Some(&above.id) == group.parent.as_ref());
        }
    }
    all
}

const fn name(expectation: Expectation) -> &'static str {
    match expectation {
        Expectation::Allowed => "allowed",
        Expectation::Forbidden => "forbidden",
        Expectation::Unauthorized => "unauthorized",
        Expectation::Public => "public",
        Expectation::WouldRefuse => "would_refuse",
        Expectation::Login => "login",
        Expectation::Own => "own",
        Expectation::NoRoute => "no_route",
        Expectation::BadRequest => "bad_request",
    }
}
