//! `hubgate group …`

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Registry,
    output::{self, Failure, say, table},
    users, with_registry,
};
use crate::{
    model::user::Group,
    registry::{groups, users::PeopleError},
    store::StoreError,
};

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Add a group.
    Add {
        /// Its name, unique; what rules and X-Forwarded-Groups say.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all groups.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show who is in a group, after adding and removing some.
    Members {
        /// Its name or id.
        group: String,
        /// Put this user into it. May be repeated.
        #[arg(long, value_name = "USER")]
        add: Vec<String>,
        /// Take this user out of it. May be repeated.
        #[arg(long, value_name = "USER")]
        remove: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a group; its members stay.
    Remove {
        /// Its name or id.
        group: String,
    },
}

pub(super) fn run(file: &Path, command: GroupCommand) -> Result<(), Failure> {
    with_registry(file, async |r| match command {
        GroupCommand::Add { name, description, json } => {
            let (clock, random) = (r.clock.as_ref(), r.random.as_ref());
            let group = groups::add(r.store.as_ref(), &name, description.as_deref(), clock, random).await?;
            if json { output::json(&as_json(&group)) } else { say(&format!("id  {}", group.id)) }
        }
        GroupCommand::List { json } => list(&r, json).await,
        GroupCommand::Members { group, add, remove, json } => {
            members(&r, &group, (&add, &remove), json).await
        }
        GroupCommand::Remove { group } => {
            let group = named(&r, &group).await?;
            groups::remove(r.store.as_ref(), &group.id).await?;
            say(&format!("{} is removed.", group.name))
        }
    })
}

/// The group that somebody means.
pub(super) async fn named(r: &Registry, name: &str) -> Result<Group, Failure> {
    match groups::named(r.store.as_ref(), name).await {
        Err(PeopleError::Store(StoreError::NotFound { .. })) => {
            Err(Failure::Plain(format!("there is no group {name:?}; `hubgate group list` shows all")))
        }
        found => Ok(found?),
    }
}

async fn list(r: &Registry, json: bool) -> Result<(), Failure> {
    let groups = r.store.list_groups().await?;
    if json {
        return output::json(&groups.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut rows = Vec::with_capacity(groups.len());
    for group in groups {
        let members = r.store.list_members(&group.id).await?.len();
        let description = group.description.unwrap_or_default();
        rows.push(vec![group.name, members.to_string(), description, group.id.to_string()]);
    }
    let none = "There are no groups yet. `hubgate group add NAME` adds one.";
    table(&["NAME", "MEMBERS", "DESCRIPTION", "ID"], &rows, none)
}

async fn members(
    r: &Registry,
    group: &str,
    (add, remove): (&[String], &[String]),
    json: bool,
) -> Result<(), Failure> {
    let group = named(r, group).await?;
    // All names before any change, so that a misspelled one changes nothing.
    let mut changes = Vec::new();
    for (names, member) in [(add, true), (remove, false)] {
        for name in names {
            changes.push((users::named(r, name).await?.id, member));
        }
    }
    for (user, member) in changes {
        groups::set_member(r.store.as_ref(), &group.id, &user, member, r.clock.as_ref()).await?;
    }
    let members = r.store.list_members(&group.id).await?;
    users::show_all(r, &members, json, &format!("{} has no members.", group.name)).await
}

fn as_json(group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "created": group.created.millis(),
        "updated": group.updated.millis(),
    })
}
