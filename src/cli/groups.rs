//! `hubgate group …`

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Registry, Use,
    output::{self, Failure, say, table, yes},
    users, with_store,
};
use crate::{
    model::{search::Page, user::Group},
    registry::{
        groups::{self, Change, NewGroup},
        users::PeopleError,
    },
    store::{StoreError, search::Members},
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
        /// The group above, by name or id: who is in the new one is in that one too.
        #[arg(long, value_name = "GROUP")]
        parent: Option<String>,
        /// New users are put into it.
        #[arg(long)]
        auto_join: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a group's name, description or place.
    Update(UpdateArgs),
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
        /// The group, by name or id, to which its members and the groups below it go.
        #[arg(long, value_name = "GROUP")]
        successor: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Its name or id.
    group: String,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Another description; an empty one takes it away.
    #[arg(long)]
    description: Option<String>,
    /// The group above, by name or id.
    #[arg(long, value_name = "GROUP", conflicts_with = "no_parent")]
    parent: Option<String>,
    /// No group above.
    #[arg(long)]
    no_parent: bool,
    /// Whether new users are put into it.
    #[arg(long, value_name = "true|false")]
    auto_join: Option<bool>,
}

pub(super) fn run(file: &Path, command: GroupCommand) -> Result<(), Failure> {
    let what_for = match &command {
        GroupCommand::List { .. } => Use::Read,
        GroupCommand::Members { add, remove, .. } if add.is_empty() && remove.is_empty() => Use::Read,
        _ => Use::Write,
    };
    with_store(file, what_for, async |r| match command {
        GroupCommand::Add { name, description, parent, auto_join, json } => {
            let (clock, random) = (r.clock.as_ref(), r.random.as_ref());
            let parent = match &parent {
                Some(parent) => Some(named(&r, parent).await?.id),
                None => None,
            };
            let new = NewGroup { name, description, parent, auto_join, ..NewGroup::default() };
            let group = groups::add(r.store.as_ref(), new, clock, random).await?;
            if json { output::json(&as_json(&group)) } else { say(&format!("id  {}", group.id)) }
        }
        GroupCommand::Update(args) => update(&r, args).await,
        GroupCommand::List { json } => list(&r, json).await,
        GroupCommand::Members { group, add, remove, json } => {
            members(&r, &group, (&add, &remove), json).await
        }
        GroupCommand::Remove { group, successor } => {
            let group = named(&r, &group).await?;
            let successor = match &successor {
                Some(successor) => Some(named(&r, successor).await?.id),
                None => None,
            };
            let removed = groups::remove(r.store.as_ref(), &group.id, successor.as_ref()).await;
            removed.map_err(|error| of_file(error, &r))?;
            say(&format!("{} is removed.", group.name))
        }
    })
}

/// Names the file where it is what stands against a change.
fn of_file(error: PeopleError, r: &Registry) -> Failure {
    match error {
        PeopleError::DeclaredMember { .. } => Failure::Plain(format!("{}: {error}", r.config.file.display())),
        other => other.into(),
    }
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

async fn update(r: &Registry, args: UpdateArgs) -> Result<(), Failure> {
    let group = named(r, &args.group).await?;
    let parent = match &args.parent {
        Some(parent) => Some(Some(named(r, parent).await?.id)),
        None => args.no_parent.then_some(None),
    };
    let change = Change {
        name: args.name,
        description: args.description.map(|text| (!text.is_empty()).then_some(text)),
        parent,
        auto_join: args.auto_join,
        ..Change::default()
    };
    let changed = groups::change(r.store.as_ref(), &group.id, change, r.clock.as_ref()).await;
    let group = changed.map_err(|error| of_file(error, r))?;
    say(&format!("{} is changed.", group.name))
}

async fn list(r: &Registry, json: bool) -> Result<(), Failure> {
    let groups = r.store.list_groups().await?;
    if json {
        return output::json(&groups.iter().map(as_json).collect::<Vec<_>>());
    }
    let ids: Vec<_> = groups.iter().map(|group| group.id.clone()).collect();
    let members = r.store.count_members(&ids).await?;
    let row = |(group, members): (&Group, Members)| {
        let above = groups.iter().find(|above| Some(&above.id) == group.parent.as_ref());
        vec![
            group.name.clone(),
            members.all.to_string(),
            above.map(|above| above.name.clone()).unwrap_or_default(),
            yes(group.auto_join),
            group.description.clone().unwrap_or_default(),
            group.id.to_string(),
        ]
    };
    let rows: Vec<_> = groups.iter().zip(members).map(row).collect();
    let none = "There are no groups yet. `hubgate group add NAME` adds one.";
    table(&["NAME", "MEMBERS", "BELOW", "AUTO-JOIN", "DESCRIPTION", "ID"], &rows, none)
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
    let members = r.store.find_users(&group.filter(), &[], Page::ALL).await?.items;
    users::show_all(r, &members, json, &format!("{} has no members.", group.name)).await
}

fn as_json(group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "icon_url": group.icon_url,
        "parent": group.parent,
        "auto_join": group.auto_join,
        "all_users": group.all_users,
        "created": group.created.millis(),
        "updated": group.updated.millis(),
    })
}
