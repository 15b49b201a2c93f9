//! `hubgate check`: the configuration, then its `[[test]]` entries, then what it changes in the store, which is only read.

use std::{path::Path, sync::Arc};

use super::{
    load,
    output::{self, Failure, say},
};
use crate::{
    access::credentials::NEVER,
    app::{self, CertificateError, StartError},
    base::{
        id::{ServiceId, UserId},
        random::{Random, SystemRandom},
        time::{SystemClock, Timestamp},
    },
    config::{Config, DecisionTest, Expectation, TestToken},
    model::{
        registry::Registry,
        service::{Service, Trust},
        user::{Email, Person},
    },
    oauth::token::claims::AccessClaims,
    proxy::{
        explain::{Asked, Ground, Outcome, Presented, explain},
        route::Routes,
    },
    store::StoreError,
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
    let failed = failures(&config);
    if !failed.is_empty() {
        let lines: Vec<String> = failed.iter().map(|line| format!("{}:{line}", file.display())).collect();
        return Err(Failure::Problems(lines.join("\n")));
    }
    match app::certificates(&config) {
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

/// Runs the tests. A service that an upstream names and the file does not declare counts as registered: whether it is,
/// the store knows, and that is not looked at here.
fn failures(config: &Config) -> Vec<String> {
    let service = |id: ServiceId, name: &str| Service {
        id,
        name: name.to_owned(),
        trust: Trust::default(),
        profile: crate::model::service::Profile::default(),
        secrets: Vec::new(),
        declared: true,
        created: Timestamp::default(),
        updated: Timestamp::default(),
    };
    let mut services: Vec<Service> = config.services.iter().map(|s| service(s.id.clone(), &s.name)).collect();
    for upstream in &config.upstreams {
        let known = services.iter().any(|s| s.id.as_str() == upstream.service || s.name == upstream.service);
        let hub = [ServiceId::HUB, crate::model::registry::HUB_NAME].contains(&upstream.service.as_str());
        if !known && !hub {
            let id = ServiceId::parse(&upstream.service).unwrap_or_else(|_| ServiceId::hub());
            services.push(service(id, &upstream.service));
        }
    }
    let registry = Registry::new(services, "");
    let routes = app::routes(config, &registry);
    config.tests.iter().filter_map(|test| run(test, &routes, &registry, config)).collect()
}

fn run(test: &DecisionTest, routes: &Routes, registry: &Registry, config: &Config) -> Option<String> {
    let got = decide(test, routes, registry, config);
    if got == test.expect {
        return None;
    }
    let why = match got {
        Expectation::WouldRefuse => ": its upstream has `enforce = false`",
        _ => "",
    };
    let (wanted, got) = (name(test.expect), name(got));
    Some(format!("{}: test {} {}: expected {wanted}, got {got}{why}", test.line, test.method, test.path))
}

/// The decision that the gateway would make, by the same steps.
fn decide(test: &DecisionTest, routes: &Routes, registry: &Registry, config: &Config) -> Expectation {
    let host = test.host.as_deref().unwrap_or_else(|| config.public_url.host());
    let Some(asked) = Asked::new(&test.method, host, &test.path) else { return Expectation::BadRequest };
    let (owns, splits) = (|path: &str| app::owns(config, path), |path: &str| app::splits(config, path));
    let ground = Ground { routes, registry, owns: &owns, splits: &splits };
    let (claims, person) = match &test.token {
        None => (None, None),
        Some(token) => match imagined(token, registry, config) {
            Some((claims, person)) => (Some(claims), person),
            None => return Expectation::BadRequest,
        },
    };
    let presented =
        claims.as_ref().map_or(Presented::Nothing, |claims| Presented::Imagined(claims, person.as_ref()));
    match explain(&asked, presented, ground).outcome {
        Outcome::Allowed => Expectation::Allowed,
        Outcome::Public => Expectation::Public,
        Outcome::WouldRefuse => Expectation::WouldRefuse,
        Outcome::Own => Expectation::Own,
        Outcome::Unauthorized => Expectation::Unauthorized,
        Outcome::Login => Expectation::Login,
        Outcome::Forbidden | Outcome::Unavailable => Expectation::Forbidden,
        Outcome::NoRoute => Expectation::NoRoute,
        Outcome::BadRequest => Expectation::BadRequest,
    }
}

/// The claims and the person of a test's token.
fn imagined(
    token: &TestToken,
    registry: &Registry,
    config: &Config,
) -> Option<(AccessClaims, Option<Person>)> {
    let client = token.client.clone().or_else(|| ServiceId::parse("some-client").ok())?;
    let aud = token.scope.iter().filter_map(|name| registry.resolve(name)).map(|s| s.id.clone());
    let person = token.user.as_ref().and_then(|login| person(login, config));
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
fn person(login: &str, config: &Config) -> Option<Person> {
    let user = config.users.iter().find(|user| user.login == login)?;
    Some(Person {
        id: UserId::parse("declared-user").ok()?,
        login: user.login.clone(),
        name: user.name.clone(),
        email: user.email.clone().map(|address| Email { address, verified: true }),
        groups: user.groups.clone(),
        banned: false,
        guest: false,
        administrator: user.administrator,
    })
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
