//! `hubgate token …`

use std::{io::Read as _, path::Path, sync::Arc};

use clap::Subcommand;
use serde_json::json;

use super::{
    Registry,
    output::{self, Failure, say},
    users::named,
    with_registry,
};
use crate::{
    access::{
        directory::Directory,
        revocations::Revocations,
        verdict::{Judge, Verdict, Verdicts},
    },
    app,
    base::time::Timestamp,
    crypto::keyring::Keyring,
    model::{
        registry::Registry as Services,
        revocation::{Revocation, RevocationTarget},
        user::Person,
    },
    oauth::token::verify::TokenError,
    registry::held,
};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Tell whether a token is good, whose it is and what for.
    Inspect {
        /// The token, or - to read it from standard input.
        token: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what a user's sign-ins and consents have given away: sessions, grants with a refresh token, consents.
    List {
        /// Login, e-mail address or id.
        #[arg(long)]
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke an access token, or with --user what the list names; a running gateway refuses it within a second.
    Revoke {
        /// The token, or - to read it from standard input; with --user the id of a session, grant or consent.
        token: String,
        /// Login, e-mail address or id of the user whose session, grant or consent it is.
        #[arg(long)]
        user: Option<String>,
    },
}

pub(super) fn run(file: &Path, command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Inspect { token, json } => inspect(file, token, *json),
        TokenCommand::List { user, json } => list(file, user, *json),
        TokenCommand::Revoke { token, user: None } => revoke(file, token),
        TokenCommand::Revoke { token, user: Some(user) } => take_back(file, user, token),
    }
}

fn read(token: &str) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// The verdict on a token, as the gate would reach it now, and the services.
async fn judge(r: &Registry, token: &str) -> Result<(Result<Arc<Verdict>, TokenError>, Services), Failure> {
    let now = r.clock.now();
    let sealing = app::sealing_key(&r.config.data_dir, r.random.as_ref())?;
    let keyring =
        Keyring::open(&r.store.list_keys().await?, &sealing).map_err(|e| Failure::Start(e.into()))?;
    let issuer = r.config.public_url.join(&r.config.hub.path);
    let services = Services::new(r.store.list_services().await?, &issuer);
    let (revocations, people) = (Revocations::default(), Directory::default());
    revocations.enter(&r.store.list_revocations(now).await?);
    people.enter(0, r.store.people(0).await?, &revocations);
    let judge = Judge {
        keyring: &keyring,
        registry: &services,
        issuer: &issuer,
        revocations: &revocations,
        people: &people,
        now,
    };
    Ok((Verdicts::new(1).verify(token.as_bytes(), judge), services))
}

fn inspect(file: &Path, token: &str, as_json: bool) -> Result<(), Failure> {
    let token = read(token)?;
    with_registry(file, async |r| {
        let (verdict, services) = judge(&r, &token).await?;
        if as_json {
            let user = |p: &Person| {
                json!({"id": p.id, "login": p.login, "name": p.name, "groups": p.groups, "guest": p.guest,
                    "email": p.email.as_ref().map(|email| &email.address)})
            };
            return output::json(&match &verdict {
                Ok(verdict) => {
                    json!({"good": true, "claims": verdict.claims, "user": verdict.person.as_deref().map(user)})
                }
                Err(reason) => json!({"good": false, "reason": reason.to_string()}),
            });
        }
        let verdict = verdict.map_err(|reason| Failure::Plain(format!("not good: {reason}")))?;
        let claims = &verdict.claims;
        let named = claims.aud.iter().map(|id| match services.by_id(id.as_str()) {
            Some(service) if service.name != id.as_str() => format!("{id} ({})", service.name),
            Some(_) => id.to_string(),
            None => format!("{id} (no longer registered)"),
        });
        let left = claims.expires().since(r.clock.now()).as_secs();
        let (subject, groups) = match verdict.person.as_deref() {
            None => ("the client itself".to_owned(), None),
            Some(p) if p.guest => (format!("{} (the guest)", p.id), Some(p.groups.join(", "))),
            Some(p) => (format!("{} ({}, {})", p.id, p.login, p.name), Some(p.groups.join(", "))),
        };
        say("good: signed by this gateway, not expired, not revoked")?;
        for (name, value) in [
            ("client", Some(claims.client_id.to_string())),
            ("subject", Some(subject)),
            ("groups", groups),
            ("scope", Some(claims.scope.clone())),
            ("services", Some(named.collect::<Vec<_>>().join(", "))),
            ("issued", Some(claims.issued().to_string())),
            ("expires", Some(format!("{} (in {left} s)", claims.expires()))),
            ("id", Some(claims.jti.clone())),
            ("grant", claims.grant_id.as_ref().map(ToString::to_string)),
            ("session", claims.sid.as_ref().map(ToString::to_string)),
        ] {
            if let Some(value) = value {
                say(format!("{name:<10}{value}").trim_end())?;
            }
        }
        Ok(())
    })
}

fn revoke(file: &Path, token: &str) -> Result<(), Failure> {
    let token = read(token)?;
    with_registry(file, async |r| {
        let (verdict, _) = judge(&r, &token).await?;
        let verdict = verdict.map_err(|reason| Failure::Plain(format!("nothing to revoke: {reason}")))?;
        let claims = &verdict.claims;
        let id = claims.token_id().ok_or_else(|| Failure::Plain("the token has no id".to_owned()))?;
        let expires: Timestamp = claims.expires();
        let target = RevocationTarget::Token(id);
        r.store.revoke(&Revocation { target, revoked: r.clock.now(), expires }).await?;
        say(&format!("{id} is revoked."))
    })
}

fn list(file: &Path, user: &str, as_json: bool) -> Result<(), Failure> {
    with_registry(file, async |r| {
        let user = named(&r, user).await?;
        let held = held::list(r.store.as_ref(), &user.id).await?;
        if as_json {
            let sessions = held.sessions.iter().map(|s| {
                json!({"id": s.id, "authenticated": s.authenticated.millis(), "used": s.used.millis(),
                    "remembered": s.remember, "browser": s.user_agent, "address": s.address})
            });
            let grants = held.grants.iter().map(|(grant, latest)| {
                json!({"id": grant.id, "client": grant.client, "scope": grant.scope.spelled,
                    "session": grant.session, "created": grant.created.millis(), "refreshed": latest.millis()})
            });
            let consents = held.consents.iter().map(|c| {
                json!({"id": c.id, "client": c.client, "services": c.services, "claims": c.claims,
                    "given": c.given.millis(), "expires": c.expires.millis()})
            });
            return output::json(&json!({
                "sessions": sessions.collect::<Vec<_>>(),
                "grants": grants.collect::<Vec<_>>(),
                "consents": consents.collect::<Vec<_>>(),
            }));
        }
        let sessions = held.sessions.iter().map(|s| {
            let what = format!("{} from {}", s.user_agent, s.address);
            vec!["session".to_owned(), s.id.to_string(), what, s.authenticated.to_string()]
        });
        let grants = held.grants.iter().map(|(grant, _)| {
            let what = format!("{}: {}", grant.client, grant.scope.spelled);
            vec!["grant".to_owned(), grant.id.to_string(), what, grant.created.to_string()]
        });
        let consents = held.consents.iter().map(|c| {
            let services = c.services.iter().map(ToString::to_string).chain(c.claims.iter().cloned());
            let what = format!("{}: {}", c.client, services.collect::<Vec<_>>().join(" "));
            vec!["consent".to_owned(), c.id.to_string(), what, c.given.to_string()]
        });
        let rows: Vec<Vec<String>> = sessions.chain(grants).chain(consents).collect();
        output::table(&["what", "id", "for", "since"], &rows, "Nothing: not signed in, nothing granted.")
    })
}

fn take_back(file: &Path, user: &str, id: &str) -> Result<(), Failure> {
    with_registry(file, async |r| {
        let user = named(&r, user).await?;
        match held::take_back(r.store.as_ref(), &user.id, id, r.clock.as_ref()).await? {
            Some(taken) => say(&format!(
                "The {} {id} of {} is revoked, with all that came of it.",
                taken.name(),
                user.login
            )),
            None => Err(Failure::Plain(format!(
                "{} has no session, grant or consent with the id {id}; `hubgate token list --user {}` shows them",
                user.login, user.login
            ))),
        }
    })
}
