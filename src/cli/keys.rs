//! `hubgate key …`

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::{
    output::{self, Failure, say, table},
    with_registry, with_registry_to_read,
};
use crate::{
    app,
    crypto::keyring::Keyring,
    model::key::{Algorithm, KeyState, SigningKeyRecord},
    registry::keys,
};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// List the signing keys.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a new signing key of each algorithm; those before verify until their last token has expired.
    Rotate,
}

pub(super) fn run(file: &Path, command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::List { json } => list(file, *json),
        KeyCommand::Rotate => rotate(file),
    }
}

fn list(file: &Path, as_json: bool) -> Result<(), Failure> {
    with_registry_to_read(file, async |r| {
        let keys = r.store.list_keys().await?;
        let until = |key: &SigningKeyRecord| match key.state {
            KeyState::Active => None,
            KeyState::Retired { until } => Some(until),
        };
        if as_json {
            let key = |k: &SigningKeyRecord| {
                json!({"id": k.id.as_str(), "algorithm": k.algorithm.name(), "created": k.created.millis(),
                    "active": until(k).is_none(), "verifies_until": until(k).map(super::super::base::time::Timestamp::millis)})
            };
            return output::json(&keys.iter().map(key).collect::<Vec<_>>());
        }
        let row = |k: &SigningKeyRecord| {
            let state = until(k).map_or_else(|| "signs".to_owned(), |end| format!("verifies until {end}"));
            vec![k.id.as_str().to_owned(), k.algorithm.to_string(), k.created.to_string(), state]
        };
        let rows: Vec<_> = keys.iter().map(row).collect();
        table(
            &["ID", "ALGORITHM", "CREATED", "STATE"],
            &rows,
            "There are no keys yet; the first start makes one.",
        )
    })
}

fn rotate(file: &Path) -> Result<(), Failure> {
    with_registry(file, async |r| {
        let sealing = app::sealing_key(&r.config.data_dir, r.random.as_ref())?;
        // A key file that does not open the keys that are there must not seal the next one.
        let known = r.store.list_keys().await?;
        if !known.is_empty() {
            Keyring::open(&known, &sealing).map_err(|e| Failure::Start(e.into()))?;
        }
        for algorithm in Algorithm::ALL {
            let (clock, random) = (r.clock.as_ref(), r.random.as_ref());
            let key = keys::rotate(r.store.as_ref(), algorithm, &sealing, clock, random).await?;
            say(&format!("{} signs with {algorithm} from now on.", key.id))?;
        }
        say("A running gateway takes this up within a second.")
    })
}
