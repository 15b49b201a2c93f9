//! Reading a file of what Hub's REST prints: pages, lists, and any number of them in one file.
//!
//! Invariant: what is read is bounded before it is looked at: bytes, nesting, entries.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The most bytes of a file. What is larger is brought in part by part.
pub const MOST_BYTES: usize = 16 << 20;

/// The most entries of a file.
const MOST_ENTRIES: usize = 100_000;

/// How deep pages may be within lists and lists within pages. serde_json itself reads no more than 128 levels.
const DEEPEST: usize = 8;

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More than [`MOST_BYTES`].
    #[error("the file has more than 16 MiB: bring it in by parts, groups first")]
    Large,
    /// More than [`MOST_ENTRIES`].
    #[error("the file has more than 100000 entries: bring it in by parts, groups first")]
    Many,
    /// Lists of pages of lists of pages …
    #[error("the file nests deeper than Hub's answers do")]
    Deep,
    /// Not JSON.
    #[error("the file is not JSON: {0}")]
    NotJson(String),
    /// Neither pages nor lists.
    #[error(
        "the file has neither \"services\" nor \"users\" nor \"usergroups\"; see docs/moving-from-hub.md"
    )]
    Nothing,
}

/// One object of Hub's.
pub(super) type Entry = Map<String, Value>;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Export {
    pub(super) services: Vec<Entry>,
    pub(super) users: Vec<Entry>,
    pub(super) groups: Vec<Entry>,
    /// Of which collections Hub has more than the file: how many it has, how many of them are there.
    pub(super) incomplete: BTreeMap<&'static str, (u64, u64)>,
    /// What pages say that there is.
    totals: BTreeMap<&'static str, u64>,
}

/// A collection, by the names that Hub and people use.
const COLLECTIONS: [(&str, &str); 5] = [
    ("services", "services"),
    ("users", "users"),
    ("usergroups", "groups"),
    ("userGroups", "groups"),
    ("groups", "groups"),
];

/// Reads a file.
///
/// # Errors
/// [`Unreadable`]
pub fn read(bytes: &[u8]) -> Result<Export, Unreadable> {
    if bytes.len() > MOST_BYTES {
        return Err(Unreadable::Large);
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|e| Unreadable::NotJson(e.to_string()))?;
    let mut export = Export::default();
    if !export.take(value, None, 0)? {
        return Err(Unreadable::Nothing);
    }
    for (name, total) in std::mem::take(&mut export.totals) {
        let found = export.list(name).len() as u64;
        if found < total {
            export.incomplete.insert(name, (total, found));
        }
    }
    Ok(export)
}

impl Export {
    fn list(&mut self, name: &str) -> &mut Vec<Entry> {
        match name {
            "services" => &mut self.services,
            "users" => &mut self.users,
            _ => &mut self.groups,
        }
    }

    /// Takes what is in `value`, entries of the collection `of` if that is known. Returns whether it was one of ours.
    fn take(&mut self, value: Value, of: Option<&'static str>, depth: usize) -> Result<bool, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable::Deep);
        }
        match value {
            Value::Array(list) => {
                let mut any = of.is_some();
                for value in list {
                    any |= self.take(value, of, depth + 1)?;
                }
                Ok(any)
            }
            Value::Object(mut object) => {
                // An entry of a known collection may have a key of that name too: a user has groups.
                let entry = of.is_some() && object.contains_key("id");
                let mut any = false;
                for (key, name) in COLLECTIONS {
                    if entry || !object.get(key).is_some_and(|value| value.is_array() || value.is_object()) {
                        continue;
                    }
                    any = true;
                    if let Some(total) = object.get("total").and_then(Value::as_u64) {
                        let known = self.totals.entry(name).or_default();
                        *known = total.max(*known);
                    }
                    let list = object.remove(key).unwrap_or_default();
                    self.take(list, Some(name), depth + 1)?;
                }
                let Some(name) = of.filter(|_| !any) else { return Ok(any) };
                self.list(name).push(object);
                if self.services.len() + self.users.len() + self.groups.len() > MOST_ENTRIES {
                    return Err(Unreadable::Many);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
