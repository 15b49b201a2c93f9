//! Fields of an object of Hub's.
//!
//! Invariant: null is as good as not there, and a value of another type than Hub's is refused with the field's name.

use serde_json::Value;

use super::read::Entry;

/// Why an entry is left out.
pub(super) type Wrong = String;

fn wrong(key: &str, what: &str) -> Wrong {
    format!("the field {key} is not {what}")
}

fn value<'e>(entry: &'e Entry, key: &str) -> Option<&'e Value> {
    entry.get(key).filter(|value| !value.is_null())
}

/// A text that is not empty.
pub(super) fn text<'e>(entry: &'e Entry, key: &str) -> Result<Option<&'e str>, Wrong> {
    match value(entry, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(wrong(key, "a text")),
    }
}

/// `true` or `false`.
pub(super) fn flag(entry: &Entry, key: &str) -> Result<Option<bool>, Wrong> {
    match value(entry, key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(wrong(key, "true or false")),
    }
}

/// A whole number.
pub(super) fn number(entry: &Entry, key: &str) -> Result<Option<i64>, Wrong> {
    match value(entry, key) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong(key, "a whole number")),
    }
}

/// An object.
pub(super) fn object<'e>(entry: &'e Entry, key: &str) -> Result<Option<&'e Entry>, Wrong> {
    match value(entry, key) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong(key, "an object")),
    }
}

/// Texts.
pub(super) fn texts(entry: &Entry, key: &str) -> Result<Option<Vec<String>>, Wrong> {
    let Some(list) = value(entry, key) else { return Ok(None) };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = list.as_array().and_then(|list| list.iter().map(text).collect());
    list.map(Some).ok_or_else(|| wrong(key, "a list of texts"))
}

/// Objects.
pub(super) fn objects<'e>(entry: &'e Entry, key: &str) -> Result<Vec<&'e Entry>, Wrong> {
    let Some(list) = value(entry, key) else { return Ok(Vec::new()) };
    let list = list.as_array().and_then(|list| list.iter().map(Value::as_object).collect());
    list.ok_or_else(|| wrong(key, "a list of objects"))
}

/// Whether there is something under this key that could be lost.
pub(super) fn has(entry: &Entry, key: &str) -> bool {
    match entry.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(object)) => !object.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
    }
}

/// Entries by the id that each has once: the same again is passed over, another of the same id left out.
pub(super) fn once<'e>(kind: &str, entries: &'e [Entry], plan: &mut super::Plan) -> Vec<&'e Entry> {
    let mut seen: std::collections::BTreeMap<&str, &Entry> = std::collections::BTreeMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
        match seen.get(id) {
            Some(before) if *before == entry => {}
            Some(_) if !id.is_empty() => {
                plan.leave(called(kind, entry), "another entry of the file has its id");
            }
            _ => {
                seen.insert(id, entry);
                kept.push(entry);
            }
        }
    }
    kept
}

/// How an entry is called in a report: with nothing in it that gives orders to a terminal.
pub(super) fn called(kind: &str, entry: &Entry) -> String {
    let of = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = of("login").or_else(|| of("name")).or_else(|| of("id")).unwrap_or("without a name");
    let name: String = name.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{kind} {name}")
}
