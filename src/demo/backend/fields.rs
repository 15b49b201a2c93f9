//! The `fields` parameter of YouTrack's REST: `id,summary,reporter(login)` chooses what an answer contains.
//!
//! Invariant: nesting is bounded, so a long parameter cannot exhaust the stack. `$type` is always kept, as in YouTrack.

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 8;

/// A parsed choice. An entry without parentheses keeps the whole member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, Option<Self>)>);

impl Fields {
    /// Reads a choice; `None` when it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let fields = Self::list(&mut rest, 0)?;
        rest.is_empty().then_some(fields)
    }

    fn list(rest: &mut &str, depth: usize) -> Option<Self> {
        let mut entries = Vec::new();
        loop {
            let end = rest.find([',', '(', ')']).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end)?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"$_-".contains(&b)) {
                return None;
            }
            *rest = after;
            let mut inner = None;
            if let Some(after) = rest.strip_prefix('(') {
                if depth == MAX_DEPTH {
                    return None;
                }
                *rest = after;
                inner = Some(Self::list(rest, depth + 1)?);
                *rest = rest.strip_prefix(')')?;
            }
            entries.push((name.to_owned(), inner));
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Some(Self(entries)),
            }
        }
    }

    /// What is left of `value`; members that it does not have are passed over.
    pub(super) fn choose(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.choose(item)).collect(),
            Value::Object(mut members) => {
                let mut kept = Map::new();
                for (name, inner) in &self.0 {
                    let Some(member) = members.remove(name) else { continue };
                    kept.insert(name.clone(), inner.as_ref().map_or(member.clone(), |f| f.choose(member)));
                }
                if let Some(kind) = members.remove("$type") {
                    kept.insert("$type".into(), kind);
                }
                Value::Object(kept)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn chooses_nested_members_and_keeps_types() {
        let issue = json!({"id": "2-1", "summary": "s", "reporter": {"login": "jane", "id": "1", "$type": "User"},
            "comments": [{"text": "a", "id": "4-1"}], "$type": "Issue"});
        let fields = Fields::parse("id,reporter(login),comments(text),nosuch(x)").unwrap();
        let chosen = fields.choose(issue.clone());
        assert_eq!(
            chosen,
            json!({"id": "2-1", "reporter": {"login": "jane", "$type": "User"}, "comments": [{"text": "a"}],
                "$type": "Issue"})
        );
        assert_eq!(Fields::parse("reporter").unwrap().choose(issue)["reporter"]["id"], "1");
    }

    #[test]
    fn refuses_what_does_not_parse() {
        for bad in
            ["", ",", "a,", "a(", "a()", "a)", "a(b))", "a b", "a(b)c", "é", "(a)", &"a(".repeat(60_000)]
        {
            assert_eq!(Fields::parse(bad), None, "{}", &bad[..bad.len().min(20)]);
        }
        let nested = |depth: usize| format!("{}a{}", "a(".repeat(depth), ")".repeat(depth));
        assert!(Fields::parse(&nested(MAX_DEPTH)).is_some());
        assert!(Fields::parse(&nested(MAX_DEPTH + 1)).is_none());
    }
}
