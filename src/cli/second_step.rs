//! `hubgate user second-step …`

use clap::Subcommand;
use serde_json::json;

use super::{
    Registry,
    output::{self, Failure, say},
    users::named,
};
use crate::registry::second_step;

#[derive(Debug, Subcommand)]
pub(super) enum SecondStepCommand {
    /// Show whether a user's sign-in has a second step.
    Show {
        /// Login, e-mail address or id.
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Turn a user's second step off, for somebody who has lost the device and the recovery codes. Make sure who asks.
    Remove {
        /// Login, e-mail address or id.
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(r: &Registry, command: SecondStepCommand) -> Result<(), Failure> {
    match command {
        SecondStepCommand::Show { user, json } => show(r, &user, json).await,
        SecondStepCommand::Remove { user, json } => remove(r, &user, json).await,
    }
}

async fn show(r: &Registry, user: &str, as_json: bool) -> Result<(), Failure> {
    let user = named(r, user).await?;
    let step = r.store.find_second_step(&user.id).await?;
    if as_json {
        return output::json(&json!({
            "user": user.id,
            "login": user.login,
            "enabled": step.is_some(),
            "since": step.as_ref().map(|step| step.since.millis()),
            "recovery_codes": step.as_ref().map(|step| step.codes_left),
        }));
    }
    match step {
        Some(step) => say(&format!(
            "{} signs in in two steps since {}; {} recovery codes are left.",
            user.login, step.since, step.codes_left
        )),
        None => say(&format!("{} signs in by password alone.", user.login)),
    }
}

async fn remove(r: &Registry, user: &str, as_json: bool) -> Result<(), Failure> {
    let user = named(r, user).await?;
    second_step::turn_off(r.store.as_ref(), &user.id).await?;
    if as_json {
        return output::json(&json!({"user": user.id, "login": user.login, "enabled": false}));
    }
    say(&format!("{} signs in by password alone; sessions and tokens stay.", user.login))
}
