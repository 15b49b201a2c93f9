//! `hubgate user app-password …`

use clap::Subcommand;
use serde_json::json;

use super::{
    Registry,
    output::{self, Failure, remark, say, table},
    users::named,
};
use crate::{base::id::TokenId, registry::tokens};

#[derive(Debug, Subcommand)]
pub(super) enum AppPasswordCommand {
    /// Make one; it is shown once. It stands for the user's password in programs that speak nothing but Basic.
    Add {
        /// Login, e-mail address or id.
        user: String,
        /// What it is called.
        #[arg(long)]
        name: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List a user's application passwords.
    List {
        /// Login, e-mail address or id.
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take one back; a running gateway refuses it within a second.
    Remove {
        /// Login, e-mail address or id.
        user: String,
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(r: &Registry, command: AppPasswordCommand) -> Result<(), Failure> {
    match command {
        AppPasswordCommand::Add { user, name, json } => add(r, &user, &name, json).await,
        AppPasswordCommand::List { user, json } => list(r, &user, json).await,
        AppPasswordCommand::Remove { user, id } => remove(r, &user, &id).await,
    }
}

async fn add(r: &Registry, user: &str, name: &str, as_json: bool) -> Result<(), Failure> {
    let user = named(r, user).await?;
    let (password, text) =
        tokens::create_password(r.store.as_ref(), (&user, name), r.clock.as_ref(), r.random.as_ref()).await?;
    if as_json {
        return output::json(
            &json!({"id": password.id.to_string(), "name": password.name, "user": password.user,
            "password": text.expose()}),
        );
    }
    say(text.expose())?;
    remark(&format!(
        "This is the only time that it is shown. `hubgate user app-password remove {} {}` takes it back.",
        user.login, password.id
    ));
    Ok(())
}

async fn list(r: &Registry, user: &str, as_json: bool) -> Result<(), Failure> {
    let user = named(r, user).await?;
    let passwords = r.store.list_application_passwords(&user.id).await?;
    if as_json {
        let passwords = passwords.iter().map(|p| {
            let last = p.used.as_ref();
            json!({"id": p.id.to_string(), "name": p.name, "created": p.created.millis(),
                "used": last.map(|u| u.at.millis()), "address": last.map(|u| &u.address),
                "program": last.map(|u| &u.user_agent)})
        });
        return output::json(&passwords.collect::<Vec<_>>());
    }
    let rows: Vec<Vec<String>> = passwords
        .iter()
        .map(|p| {
            let last = p.used.as_ref().map_or_else(
                || "never".to_owned(),
                |u| format!("{} by {} from {}", u.at, u.user_agent, u.address),
            );
            vec![p.id.to_string(), p.name.clone(), p.created.to_string(), last]
        })
        .collect();
    table(&["id", "name", "since", "last used"], &rows, "No application passwords.")
}

async fn remove(r: &Registry, user: &str, id: &str) -> Result<(), Failure> {
    let user = named(r, user).await?;
    let removed = match TokenId::parse(id) {
        Some(id) => r.store.remove_application_password(&user.id, &id).await?,
        None => false,
    };
    if removed {
        return say(&format!("The application password {id} of {} is gone.", user.login));
    }
    Err(Failure::Plain(format!(
        "{} has no application password with the id {id}; `hubgate user app-password list {}` shows them",
        user.login, user.login
    )))
}
