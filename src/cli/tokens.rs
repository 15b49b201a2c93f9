//! `hubgate token …`

use std::{io::Read as _, path::Path, sync::Arc};

use clap::Subcommand;
use serde_json::json;

use super::{
    output::{self, Failure, say},
    users::named,
    with_existing_registry, with_registry, with_store_if_any,
};
use crate::{
    access::verdict::{Verdict, Verdicts},
    app,
    base::{
        id::UserId,
        random::SystemRandom,
        time::{Clock as _, SystemClock, Timestamp},
    },
    config::Config,
    model::{
        registry::Registry as Services,
        revocation::{Revocation, RevocationTarget},
        user::Person,
    },
    oauth::token::verify::TokenError,
    registry::{
        held,
        tokens::{self as credentials, NewToken},
    },
    store::SharedStore,
};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Tell whether a token is good, whose it is and what for. The exit status is 0 when it is, 1 when it is not (with --json 0 too),
    /// 2 when the command line is wrong, 3 when it could not be told.
    Inspect {
        /// The token, or - to read it from standard input.
        token: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a permanent token for a user; it is shown once and good until it is revoked.
    Create {
        /// For whom it acts: login, e-mail address or id.
        #[arg(long)]
        user: String,
        /// A service that it is for, by id or name. May be repeated.
        #[arg(long = "scope", value_name = "SERVICE", required = true)]
        scope: Vec<String>,
        /// What it is called, 1 to 100 characters. Several may have the same name.
        #[arg(long, default_value = "hubgate token create")]
        name: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what a user has given away: sessions, grants with a refresh token, consents, permanent tokens, application passwords.
    List {
        /// Login, e-mail address or id.
        #[arg(long)]
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke an access token or permanent token, or with --user what the list names; a running gateway refuses it within a second.
    Revoke {
        /// The token, or - to read it from standard input; with --user an id from the list.
        token: String,
        /// Login, e-mail address or id of the user to whom it belongs.
        #[arg(long)]
        user: Option<String>,
    },
}

pub(super) fn run(file: &Path, command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Inspect { token, json } => inspect(file, token, *json),
        TokenCommand::Create { user, scope, name, json } => create(file, user, scope, name, *json),
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

/// The verdict on a token, as the gate would reach it now, and what it was reached by.
async fn judge(
    config: &Config,
    store: Option<&SharedStore>,
    token: &str,
) -> Result<(Result<Arc<Verdict>, TokenError>, app::Known), Failure> {
    let now = SystemClock.now();
    let known = app::Known::read(config, store, now, &SystemRandom).await?;
    let verdict = Verdicts::new(1).verify(token.as_bytes(), known.judge(now));
    Ok((verdict, known))
}

fn inspect(file: &Path, token: &str, as_json: bool) -> Result<(), Failure> {
    let token = read(token)?;
    let judged = with_store_if_any(file, async |config, store| {
        if store.is_none() {
            output::remark_no_store(&config);
        }
        judge(&config, store.as_ref(), &token).await
    });
    let (verdict, known) = judged.map_err(Failure::not_told)?;
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
    let named = claims.aud.iter().map(|id| match known.registry().by_id(id.as_str()) {
        Some(service) if service.name != id.as_str() => format!("{id} ({})", service.name),
        Some(_) => id.to_string(),
        None => format!("{id} (no longer registered)"),
    });
    let left = claims.expires().since(SystemClock.now()).as_secs();
    let expires = if verdict.credential.is_some() {
        "never".to_owned()
    } else {
        format!("{} (in {left} s)", claims.expires())
    };
    let (subject, groups) = match verdict.person.as_deref() {
        None => ("the client itself".to_owned(), None),
        Some(p) if p.guest => (format!("{} (the guest)", p.id), Some(p.groups.join(", "))),
        Some(p) => (format!("{} ({}, {})", p.id, p.login, p.name), Some(p.groups.join(", "))),
    };
    say(if verdict.credential.is_some() {
        "good: a permanent token of this gateway, not revoked"
    } else {
        "good: signed by this gateway, not expired, not revoked"
    })?;
    for (name, value) in [
        ("client", Some(claims.client_id.to_string())),
        ("subject", Some(subject)),
        ("groups", groups),
        ("scope", Some(claims.scope.clone())),
        ("services", Some(named.collect::<Vec<_>>().join(", "))),
        ("issued", Some(claims.issued().to_string())),
        ("expires", Some(expires)),
        ("id", Some(claims.jti.clone())),
        ("grant", claims.grant_id.as_ref().map(ToString::to_string)),
        ("session", claims.sid.as_ref().map(ToString::to_string)),
    ] {
        if let Some(value) = value {
            say(format!("{name:<10}{value}").trim_end())?;
        }
    }
    Ok(())
}

fn revoke(file: &Path, token: &str) -> Result<(), Failure> {
    let token = read(token)?;
    with_registry(file, async |r| {
        let (verdict, _) = judge(&r.config, Some(&r.store), &token).await?;
        let verdict = verdict.map_err(|reason| Failure::Plain(format!("nothing to revoke: {reason}")))?;
        let claims = &verdict.claims;
        let id = claims.token_id().ok_or_else(|| Failure::Plain("the token has no id".to_owned()))?;
        if claims.credential.is_some() {
            // With it goes what upstreams got in its place.
            let user = UserId::parse(&claims.sub)?;
            return if credentials::revoke(r.store.as_ref(), &user, &id).await? {
                say(&format!("{id} is revoked."))
            } else {
                Err(Failure::Plain(format!("nothing to revoke: {id} is gone")))
            };
        }
        let expires: Timestamp = claims.expires();
        let target = RevocationTarget::Token(id);
        r.store.revoke(&Revocation { target, revoked: r.clock.now(), expires }).await?;
        say(&format!("{id} is revoked."))
    })
}

fn create(file: &Path, user: &str, scope: &[String], name: &str, as_json: bool) -> Result<(), Failure> {
    with_registry(file, async |r| {
        let user = named(&r, user).await?;
        let services = Services::new(r.store.list_services().await?, "");
        let mut ids = Vec::with_capacity(scope.len());
        for entry in scope {
            let service = services.resolve(entry).ok_or_else(|| {
                Failure::Plain(format!("there is no service {entry:?}; `hubgate service list` shows all"))
            })?;
            ids.push(service.id.clone());
        }
        // Whoever may run this command administers the gateway, but is not known by name.
        let new = NewToken { user: &user, author: &user.id, name, scope: ids };
        let (token, text) =
            credentials::create_token(r.store.as_ref(), new, r.clock.as_ref(), r.random.as_ref()).await?;
        if as_json {
            return output::json(&json!({"id": token.id.to_string(), "name": token.name, "user": token.user,
                "scope": token.scope, "token": text.expose()}));
        }
        say(text.expose())?;
        output::remark(&format!(
            "This is the only time that the token is shown. `hubgate token revoke --user {} {}` takes it back.",
            user.login, token.id
        ));
        Ok(())
    })
}

fn list(file: &Path, user: &str, as_json: bool) -> Result<(), Failure> {
    with_existing_registry(file, async |r| {
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
            let tokens = held.tokens.iter().map(|t| {
                json!({"id": t.id.to_string(), "name": t.name, "scope": t.scope, "author": t.author,
                    "created": t.created.millis(), "used": t.used.map(Timestamp::millis)})
            });
            let passwords = held.passwords.iter().map(|p| {
                let last = p.used.as_ref();
                json!({"id": p.id.to_string(), "name": p.name, "created": p.created.millis(),
                    "used": last.map(|u| u.at.millis()), "address": last.map(|u| &u.address),
                    "program": last.map(|u| &u.user_agent)})
            });
            return output::json(&json!({
                "permanent_tokens": tokens.collect::<Vec<_>>(),
                "application_passwords": passwords.collect::<Vec<_>>(),
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
        let tokens = held.tokens.iter().map(|t| {
            let services = t.scope.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let what = format!("{}: {services}", t.name);
            vec!["permanent token".to_owned(), t.id.to_string(), what, t.created.to_string()]
        });
        let passwords = held.passwords.iter().map(|p| {
            let what = p.name.clone();
            vec!["application password".to_owned(), p.id.to_string(), what, p.created.to_string()]
        });
        let rows: Vec<Vec<String>> =
            sessions.chain(grants).chain(consents).chain(tokens).chain(passwords).collect();
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
                "{} has nothing with the id {id}; `hubgate token list --user {}` shows them",
                user.login, user.login
            ))),
        }
    })
}
