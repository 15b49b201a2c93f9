//! `hubgate import …`

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Registry, Use,
    output::{self, Failure, say},
    with_store,
};
use crate::{
    registry::import::{self, MOST_BYTES, Plan, State, Step},
    store::StoreError,
};

/// How many of those that a reason is for are named.
const NAMED: usize = 3;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Show what a file of JetBrains Hub's REST answers would change; with --apply, change it. Ids are kept.
    Hub {
        /// The file, or - for standard input. docs/moving-from-hub.md has a script that makes it.
        file: PathBuf,
        /// Change it. May be repeated: what is taken over already is not changed again.
        #[arg(long)]
        apply: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Path, command: &ImportCommand) -> Result<(), Failure> {
    let ImportCommand::Hub { file, apply, json } = command;
    let bytes = read(file)?;
    let export = import::read(&bytes).map_err(|e| Failure::Plain(format!("{}: {e}", file.display())))?;
    let what_for = if *apply { Use::Write } else { Use::Read };
    with_store(config, what_for, async |r| {
        let mut plan = import::plan(&export, &State::of(r.store.as_ref()).await?, r.clock.now());
        let done = if *apply { carry_out(&r, &mut plan).await? } else { plan.steps.len() };
        if *json { output::json(&as_json(&plan, *apply)) } else { show(&plan, *apply, done) }
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One more than may be: then it is too many.
    let limit = MOST_BYTES as u64 + 1;
    let read = if file == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|e| Failure::Plain(format!("{}: {e}", file.display())))?;
    Ok(bytes)
}

/// Carries the steps out. What somebody else has made impossible meanwhile is left out.
async fn carry_out(r: &Registry, plan: &mut Plan) -> Result<usize, Failure> {
    let mut done = Vec::with_capacity(plan.steps.len());
    for step in std::mem::take(&mut plan.steps) {
        match step.carry_out(r.store.as_ref(), r.clock.as_ref()).await {
            Ok(()) => done.push(step),
            Err(
                why @ (StoreError::Conflict { .. } | StoreError::NotFound { .. } | StoreError::Against(_)),
            ) => {
                plan.left_out.entry(why.to_string()).or_default().push(step.describe().1);
            }
            Err(error) => {
                let text = format!("{error}; {} changes were made before, run it again", done.len());
                return Err(Failure::Plain(text));
            }
        }
    }
    plan.steps = done;
    Ok(plan.steps.len())
}

fn show(plan: &Plan, applied: bool, done: usize) -> Result<(), Failure> {
    for step in &plan.steps {
        let (what, name) = step.describe();
        say(&format!("{what:<15}{name}"))?;
    }
    if !plan.left_out.is_empty() {
        say("Not taken over:")?;
    }
    for (why, of) in &plan.left_out {
        let named = of.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = of.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(&format!("  {why}: {named}{more}"))?;
    }
    let unchanged = plan.unchanged;
    if applied {
        say(&format!("{done} changes made, {unchanged} entries were as they should be."))
    } else {
        say(&format!(
            "{done} changes to be made, {unchanged} entries are as they should be. Nothing is changed yet: --apply does it."
        ))
    }
}

fn as_json(plan: &Plan, applied: bool) -> Value {
    let step = |step: &Step| {
        let (what, id) = match step {
            Step::AddService(service) | Step::ChangeService(service) => ("service", service.id.to_string()),
            Step::AddGroup(group) | Step::ChangeGroup(group) => ("group", group.id.to_string()),
            Step::AddUser(user) | Step::ChangeUser(user) => ("user", user.id.to_string()),
        };
        json!({"what": what, "id": id, "change": step.describe().0, "name": step.describe().1})
    };
    json!({
        "applied": applied,
        "changes": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "unchanged": plan.unchanged,
        "left_out": plan.left_out.iter().map(|(why, of)| json!({"why": why, "of": of})).collect::<Vec<_>>(),
    })
}
