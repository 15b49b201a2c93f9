//! Scopes: lists of services, named by id or by name (hub-contract section 4).
//!
//! Invariant: a [`GrantedScope`] names registered services only, each once, and is spelled as it was requested,
//! because Hub's clients compare the answer with what they asked for literally.

use percent_encoding::percent_decode_str;

use super::error::{ErrorCode, OAuthError};
use crate::{
    base::id::ServiceId,
    model::{registry::Registry, scope::GrantedScope},
};

/// The most entries that a scope may have.
pub const MAX_ENTRIES: usize = 500;

/// Resolves a requested scope at the token endpoint, where every entry must be known.
///
/// # Errors
/// `invalid_scope` when an entry names no service or there are too many.
pub fn resolve(requested: &str, registry: &Registry) -> Result<GrantedScope, OAuthError> {
    let invalid = |text: String| OAuthError::new(ErrorCode::InvalidScope, text);
    let mut granted = GrantedScope { spelled: String::new(), services: Vec::new() };
    for (count, entry) in requested.split(' ').filter(|entry| !entry.is_empty()).enumerate() {
        if count == MAX_ENTRIES {
            return Err(invalid(format!("the scope has more than {MAX_ENTRIES} entries")));
        }
        let service =
            find(entry, registry).ok_or_else(|| invalid(format!("no service is registered as {entry}")))?;
        if !granted.services.contains(&service) {
            if !granted.spelled.is_empty() {
                granted.spelled.push(' ');
            }
            granted.spelled.push_str(entry);
            granted.services.push(service);
        }
    }
    if granted.services.is_empty() {
        return Err(invalid("the scope is empty".to_owned()));
    }
    Ok(granted)
}

/// RFC 6749 section 3.3 allows `!`, `#` to `[`, `]` to `~`. ring-ui encodes each entry before it encodes the list
/// (hub-contract 2.1), so a name with blanks arrives with `%20` in it: decoded once more, it is a name.
fn find(entry: &str, registry: &Registry) -> Option<ServiceId> {
    if !entry.bytes().all(|b| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~')) {
        return None;
    }
    let decoded = percent_decode_str(entry).decode_utf8().ok()?;
    let service = registry.resolve(entry).or_else(|| registry.resolve(&decoded))?;
    Some(service.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::Timestamp,
        model::service::{Profile, Service, Trust},
    };

    fn registry() -> Registry {
        let service = |id: &str, name: &str| Service {
            id: ServiceId::parse(id).unwrap(),
            name: name.into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secrets: vec![],
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        };
        Registry::new(
            [service("yt-1", "YouTrack"), service("sl-1", "YouTrack Slack Integration")],
            "https://a",
        )
    }

    #[test]
    fn ids_and_names_are_echoed_as_they_were_asked_for() {
        for (requested, spelled, services) in [
            ("yt-1", "yt-1", vec!["yt-1"]),
            ("YouTrack 0-0-0-0-0", "YouTrack 0-0-0-0-0", vec!["yt-1", "0-0-0-0-0"]),
            ("  yt-1   YouTrack ", "yt-1", vec!["yt-1"]),
            ("YouTrack%20Slack%20Integration", "YouTrack%20Slack%20Integration", vec!["sl-1"]),
            ("Hub", "Hub", vec!["0-0-0-0-0"]),
        ] {
            let granted = resolve(requested, &registry()).unwrap();
            assert_eq!(granted.spelled, spelled);
            assert_eq!(granted.services.iter().map(ServiceId::as_str).collect::<Vec<_>>(), services);
        }
    }

    #[test]
    fn unknown_entries_refuse_the_whole() {
        for bad in ["", " ", "nobody", "yt-1 nobody", "YT-1", "youtrack", "yt-1\tHub", "yt-1%00", "\"", "%ff"]
        {
            assert_eq!(resolve(bad, &registry()).unwrap_err().code, ErrorCode::InvalidScope, "{bad:?}");
        }
        assert!(resolve(&"yt-1 ".repeat(MAX_ENTRIES + 1), &registry()).is_err());
    }
}
