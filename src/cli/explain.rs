//! `hubgate explain`: what the gate would decide on a request, by what, and what to do about it.

use std::{io::Read as _, path::Path};

use clap::Args;

use super::{
    output::{self, Failure, say},
    with_store_if_any,
};
use crate::{
    access::{policy::RuleFacts, revocations::EndedBy},
    app,
    base::{
        random::SystemRandom,
        time::{Clock as _, SystemClock},
    },
    model::rate::Whose,
    oauth::cause::Mover,
    proxy::{
        explain::{
            Asked, Explanation, Named, Outcome, RouteFacts, ScopeFacts, Subject, TokenFacts, TokenKind,
            authorization,
        },
        rates::RateFacts,
    },
};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// What the request brings: an access token, a permanent token, LOGIN:APPLICATION-PASSWORD, the value of an Authorization
    /// header, or - to read it from standard input. Without it the request brings nothing.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    token: Option<String>,
    /// The method, such as GET.
    method: String,
    /// The address, or a path on the gateway's public host.
    url: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// The exit status is that of a failure when the request would be refused, and another one when that could not be found out.
pub(super) fn explain(file: &Path, args: &ExplainArgs) -> Result<(), Failure> {
    if passes(file, args).map_err(Failure::not_told)? { Ok(()) } else { Err(Failure::Said) }
}

fn passes(file: &Path, args: &ExplainArgs) -> Result<bool, Failure> {
    let token = args.token.as_deref().map(read).transpose()?;
    with_store_if_any(file, async |config, store| {
        let host = config.public_url.origin().trim_start_matches("https://");
        let asked = Asked::parse(&args.method, &args.url, host).map_err(Failure::Usage)?;
        let header = token.as_deref().map(authorization).transpose().map_err(Failure::Usage)?;
        let now = SystemClock.now();
        let known = app::Known::read(&config, store.as_ref(), now, &SystemRandom).await?;
        if store.is_none() {
            output::remark_no_store(&config);
        }
        let explained = app::explain(&config, &known, (&asked, header.as_ref()), now);
        if args.json {
            output::json(&explained)?;
        } else {
            print(&explained)?;
        }
        Ok(explained.outcome.passes())
    })
}

fn read(token: &str) -> Result<String, Failure> {
    let mut text = token.to_owned();
    if token == "-" {
        text.clear();
        std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    }
    Ok(text.trim().to_owned())
}

fn print(explained: &Explanation) -> Result<(), Failure> {
    say(&format!("{} {}{}", explained.method, explained.host, explained.path))?;
    say(&format!("  {}", headline(explained)))?;
    if let Some(why) = &explained.why {
        say("")?;
        row("why", why.cause.what_happened())?;
        row("whose move", mover(why.cause.mover()))?;
        row("to mend it", why.cause.how_to_mend())?;
    }
    say("")?;
    match &explained.route {
        Some(route) => print_route(route, explained.outcome)?,
        None if explained.outcome == Outcome::Own => row("route", "none: the address is the gateway's own")?,
        None => row("route", "none")?,
    }
    print_rates(explained)?;
    print_token(&explained.token)?;
    if let Some(scope) = &explained.scope {
        print_scope(scope)?;
    }
    match (&explained.route, explained.outcome.passes()) {
        (Some(route), true) if route.redirect.is_none() => row("upstream gets", &handed_on(route, explained)),
        _ => Ok(()),
    }
}

fn row(name: &str, value: &str) -> Result<(), Failure> {
    say(&line(name, value))
}

fn line(name: &str, value: &str) -> String {
    // Nothing that a terminal obeys, whoever has written it.
    let value: String = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{name:<14}{value}").trim_end().to_owned()
}

/// A decision and what it was made by, in lines, for those who expected another.
pub(super) fn in_short(explained: &Explanation) -> Vec<String> {
    let mut lines = vec![line("decision", &headline(explained))];
    if let Some(why) = &explained.why {
        lines.push(line("why", why.cause.what_happened()));
        lines.push(line("to mend it", why.cause.how_to_mend()));
    }
    match &explained.route {
        Some(route) => {
            lines.push(line("route", &route.label));
            lines.push(line("service", &service(route)));
            lines.push(line("rule", &rule_or_none(route)));
        }
        None => lines.push(line("route", "none")),
    }
    lines
}

fn headline(explained: &Explanation) -> String {
    match (explained.outcome, &explained.why) {
        (Outcome::WouldRefuse, Some(why)) => format!(
            "forwarded all the same, as the upstream enforces nothing; it would be refused: {} {}: {}",
            why.status, why.error, why.description
        ),
        (_, Some(why)) => format!("refused: {} {}: {}", why.status, why.error, why.description),
        (Outcome::Public, None) => "may pass: the address is open to all".to_owned(),
        (Outcome::Own, None) => {
            "answered by the gateway itself, which may ask for more than is looked at here".to_owned()
        }
        (_, None) => "may pass".to_owned(),
    }
}

const fn mover(mover: Mover) -> &'static str {
    match mover {
        Mover::Client => "the client's developer or operator",
        Mover::Person => "the person for whom the client acts",
        Mover::Administrator => "an administrator of the gateway",
        Mover::Service => "whoever runs the service behind the gateway",
    }
}

fn print_route(route: &RouteFacts, outcome: Outcome) -> Result<(), Failure> {
    row("route", &format!("{} {}", route.label, way(route, outcome.passes())))?;
    row("service", &service(route))?;
    row("rule", &rule_or_none(route))?;
    if !route.enforced {
        row("enforced", "no: nothing is refused here for who asks")?;
    }
    Ok(())
}

/// Where the request goes, or would go.
fn way(route: &RouteFacts, passes: bool) -> String {
    if let Some(redirect) = &route.redirect {
        let sent = if passes { "is redirected" } else { "would be redirected" };
        return match &redirect.location {
            Some(location) => format!("{sent} to {location} ({})", redirect.status),
            None => format!("{sent} nowhere ({})", redirect.status),
        };
    }
    let sent = if passes { "to" } else { "would go to" };
    let path = route.forwarded_path.as_deref().unwrap_or_default();
    format!("{sent} {} as {path}", route.targets.join(", "))
}

/// Every rate that concerns the request, the narrowest first, as they are counted.
fn print_rates(explained: &Explanation) -> Result<(), Failure> {
    let here: &[RateFacts] = explained.route.as_ref().map_or(&[], |route| &route.rates);
    let of_rule = here.iter().filter(|rate| rate.rule).map(|facts| rate(facts, "under this rule"));
    let of_upstream = here.iter().filter(|rate| !rate.rule).map(|facts| rate(facts, "at this upstream"));
    let of_all = explained.rates.iter().map(|facts| rate(facts, "at the gateway as a whole"));
    let rates: Vec<String> = of_rule.chain(of_upstream).chain(of_all).collect();
    if rates.is_empty() { row("rates", "none") } else { row("rates", &rates.join(", ")) }
}

fn service(route: &RouteFacts) -> String {
    match &route.service_id {
        Some(id) if *id == route.service => id.clone(),
        Some(id) => format!("{} ({id})", route.service),
        None => format!("{} (nobody has registered it)", route.service),
    }
}

fn rule_or_none(route: &RouteFacts) -> String {
    route.rule.as_ref().map_or_else(|| "none matches: a token with the service in scope".to_owned(), rule)
}

fn rate(rate: &RateFacts, place: &str) -> String {
    let whose = match rate.whose {
        Whose::Source => "source",
        Whose::Service => "service",
        Whose::User => "user",
    };
    format!("{} in {} s for each {whose} {place}", rate.count, rate.seconds)
}

fn rule(rule: &RuleFacts) -> String {
    let mut text = format!("number {}: {}", rule.number, rule.path);
    if rule.public {
        text.push_str(", open to all");
    }
    if rule.browser {
        text.push_str(", for a browser's session too");
    }
    for (name, values) in [
        ("methods", &rule.methods),
        ("groups", &rule.groups),
        ("users", &rule.users),
        ("clients", &rule.clients),
        ("scope", &rule.scope),
    ] {
        if !values.is_empty() {
            text = format!("{text}, {name}: {}", values.join(" "));
        }
    }
    text
}

fn print_token(token: &TokenFacts) -> Result<(), Failure> {
    let kind = match token.kind {
        TokenKind::None => return row("token", token.problem.as_deref().unwrap_or("none")),
        TokenKind::Malformed => "none",
        TokenKind::AccessToken => "an access token",
        TokenKind::PermanentToken => "a permanent token",
        TokenKind::ApplicationPassword => "an application password",
    };
    row(
        "token",
        &match &token.problem {
            Some(problem) => format!("{kind}, refused: {problem}"),
            None => format!("{kind}, good"),
        },
    )?;
    if !token.verified && (token.issuer.is_some() || token.subject.is_some()) {
        row("", "not of this gateway; what it says of itself:")?;
    }
    let left = token.seconds_left.map(|left| match left {
        ..=0 => format!(" ({} s ago)", left.unsigned_abs()),
        _ => format!(" (in {left} s)"),
    });
    let never = token.good.then(|| "never".to_owned());
    let expires = token.expires.as_ref().map(|at| format!("{at}{}", left.unwrap_or_default())).or(never);
    for (name, value) in [
        ("issuer", token.issuer.clone()),
        ("key", token.key.clone()),
        ("client", token.client.as_ref().map(named)),
        ("acts for", token.subject.as_ref().map(subject)),
        ("groups", token.subject.as_ref().map(|s| s.groups.join(", ")).filter(|groups| !groups.is_empty())),
        ("issued", token.issued.clone()),
        ("expires", expires),
        ("id", token.id.clone()),
        ("grant", token.grant.clone()),
        ("session", token.session.clone()),
        ("ended by", token.ended_by.map(ended_by)),
    ] {
        if let Some(value) = value {
            row(&format!("  {name}"), &value)?;
        }
    }
    Ok(())
}

fn ended_by(what: EndedBy) -> String {
    match what {
        EndedBy::Token => "a revocation of this token",
        EndedBy::Grant => "a revocation of its grant, or a refresh token that was used twice",
        EndedBy::Session => "the end of the session in which it was granted",
        EndedBy::Client => "a revocation of everything that its client had",
        EndedBy::User => "a revocation of everything that its user had: a new password, a ban, a removal",
        EndedBy::Consent => "its user, who took the consent back",
    }
    .to_owned()
}

fn named(service: &Named) -> String {
    match &service.name {
        Some(name) if *name != service.id => format!("{} ({name})", service.id),
        _ => service.id.clone(),
    }
}

fn subject(subject: &Subject) -> String {
    match (subject.service, &subject.login, &subject.name) {
        (true, ..) => "the client itself".to_owned(),
        (_, Some(login), Some(name)) => format!("{} ({login}, {name})", subject.id),
        (_, Some(login), None) => login.clone(),
        _ => subject.id.clone(),
    }
}

fn print_scope(scope: &ScopeFacts) -> Result<(), Failure> {
    let asked = scope.asked.iter().map(|asked| match (&asked.service, asked.granted) {
        (_, true) => asked.entry.clone(),
        (Some(_), false) => format!("{} (not granted)", asked.entry),
        (None, false) => format!("{} (no service has this name)", asked.entry),
    });
    row("scope asked", &asked.collect::<Vec<_>>().join(", "))?;
    let granted: Vec<String> = scope.granted.iter().map(named).collect();
    row("granted", &if scope.every_service { "every service".to_owned() } else { granted.join(", ") })?;
    let needed = scope.needed.iter().map(|needed| {
        let service = Named { id: needed.service.clone(), name: needed.name.clone() };
        let state = match (needed.registered, needed.covered) {
            (_, true) => "there",
            (true, false) => "missing",
            (false, _) => "not registered",
        };
        format!("{}: {state}", named(&service))
    });
    let needed: Vec<String> = needed.collect();
    row("needed here", &if needed.is_empty() { "nothing".to_owned() } else { needed.join(", ") })
}

fn handed_on(route: &RouteFacts, explained: &Explanation) -> String {
    let who = if explained.identity_told { "who asks, and " } else { "nobody's name, and " };
    let credential = match route.credential {
        _ if explained.passed_on && explained.token.kind == TokenKind::None => "the Authorization as it came",
        _ if explained.passed_on => "the token as it came",
        "scoped" if explained.identity_told => "a short-lived token of the gateway for this service alone",
        _ => "no token",
    };
    format!("{who}{credential}")
}
