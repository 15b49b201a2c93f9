//! Scopes: lists of services, named by id or by name (hub-contract section 4).
//!
//! Invariant: a [`GrantedScope`] names registered services only, each once, and is spelled as it was requested,
//! because Hub's clients compare the answer with what they asked for literally.

use percent_encoding::percent_decode_str;

use super::error::{ErrorCode, OAuthError};
use crate::{
    base::id::ServiceId,
    model::{
        registry::Registry,
        scope::{GrantedScope, OPENID_SCOPES},
        service::Service,
    },
};

/// The most entries that a scope may have.
pub const MAX_ENTRIES: usize = 500;

/// Resolves the scope that a service asks for itself, where every entry must be a service.
///
/// # Errors
/// `invalid_scope` when an entry names no service or there are too many.
pub fn resolve(requested: &str, registry: &Registry) -> Result<GrantedScope, OAuthError> {
    collect(requested, registry, Words::None, Unknown::Refuse)
}

/// Resolves the scope that a service asks a person for, where the words of OpenID Connect may stand too. A scope of such
/// words alone is for the client itself.
///
/// # Errors
/// `invalid_scope` as [`resolve`].
pub fn for_person(
    requested: &str,
    client: &Service,
    registry: &Registry,
) -> Result<GrantedScope, OAuthError> {
    collect(requested, registry, Words::OpenId(client), Unknown::Refuse)
}

/// The same, except that unknown entries beside known ones are dropped: Hub's clients name services that an installation
/// does not have (hub-contract section 2.5).
///
/// # Errors
/// `invalid_scope` when nothing is left, or there are too many.
pub fn known_for_person(
    requested: &str,
    client: &Service,
    registry: &Registry,
) -> Result<GrantedScope, OAuthError> {
    collect(requested, registry, Words::OpenId(client), Unknown::Drop)
}

/// Narrows a granted scope to what a refresh asks for (RFC 6749 section 6). Words of OpenID Connect alone make a scope for the
/// client itself, as they do in a first request; so the client has to be among what was granted.
///
/// # Errors
/// `invalid_scope` for anything that was not granted.
pub fn narrow(
    granted: &GrantedScope,
    requested: &str,
    client: &Service,
    registry: &Registry,
) -> Result<GrantedScope, OAuthError> {
    let narrowed = collect(requested, registry, Words::OpenId(client), Unknown::Refuse)?;
    let service = narrowed.services.iter().find(|service| !granted.services.contains(service));
    let word = narrowed.openid_entries().find(|word| !granted.has(word));
    match service.map(ServiceId::as_str).or(word) {
        Some(more) => Err(OAuthError::new(
            ErrorCode::InvalidScope,
            format!("the requested scope exceeds what was granted: {more}"),
        )),
        None => Ok(narrowed),
    }
}

/// Whether the words of OpenID Connect may stand in a scope, and whom a scope of them alone is for.
#[derive(Clone, Copy)]
enum Words<'a> {
    None,
    OpenId(&'a Service),
}

/// What becomes of an entry that names nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refuse,
    Drop,
}

fn collect(
    requested: &str,
    registry: &Registry,
    words: Words<'_>,
    unknown: Unknown,
) -> Result<GrantedScope, OAuthError> {
    let invalid = |text: String| OAuthError::new(ErrorCode::InvalidScope, text);
    let mut entries: Vec<&str> = Vec::new();
    let mut services = Vec::new();
    for (count, entry) in requested.split(' ').filter(|entry| !entry.is_empty()).enumerate() {
        if count == MAX_ENTRIES {
            return Err(invalid(format!("the scope has more than {MAX_ENTRIES} entries")));
        }
        if matches!(words, Words::OpenId(_)) && OPENID_SCOPES.contains(&entry) {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
            continue;
        }
        match named(entry, registry) {
            Some(service) if services.contains(&service) => {}
            Some(service) => {
                entries.push(entry);
                services.push(service);
            }
            None if unknown == Unknown::Drop => {}
            None => return Err(invalid(format!("no service is registered as {entry}"))),
        }
    }
    if entries.is_empty() {
        return Err(invalid("the scope names no registered service".to_owned()));
    }
    if let (true, Words::OpenId(client)) = (services.is_empty(), words) {
        services.push(client.id.clone());
    }
    Ok(GrantedScope { spelled: entries.join(" "), services })
}

/// Whether an entry of a granted scope still means something.
#[must_use]
pub fn is_known(entry: &str, registry: &Registry) -> bool {
    OPENID_SCOPES.contains(&entry) || named(entry, registry).is_some()
}

/// The service that an entry of a scope names.
///
/// RFC 6749 section 3.3 allows `!`, `#` to `[`, `]` to `~`. ring-ui encodes each entry before it encodes the list
/// (hub-contract 2.1), so a name with blanks arrives with `%20` in it: decoded once more, it is a name.
#[must_use]
pub fn named(entry: &str, registry: &Registry) -> Option<ServiceId> {
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
        model::service::{Profile, Trust},
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

    #[test]
    fn people_may_be_asked_for_who_they_are() {
        let registry = registry();
        let client = registry.by_id("yt-1").unwrap();
        let granted = for_person("openid email openid sl-1", client, &registry).unwrap();
        assert_eq!((granted.spelled.as_str(), granted.services.len()), ("openid email sl-1", 1));
        assert!(granted.has("email") && !granted.has("mail") && !granted.has("sl"));
        let for_itself = for_person("openid", client, &registry).unwrap();
        assert_eq!(for_itself.services, std::slice::from_ref(&client.id));
        assert!(resolve("openid", &registry).is_err(), "a service has no person to tell about");
        assert_eq!(known_for_person("nobody YouTrack Slack", client, &registry).unwrap().spelled, "YouTrack");
        assert!(known_for_person("nobody", client, &registry).is_err());
        assert!(for_person("yt-1 nobody", client, &registry).is_err());
    }

    #[test]
    fn a_scope_is_narrowed_and_never_widened() {
        let registry = registry();
        let client = registry.by_id("yt-1").unwrap();
        let granted = for_person("YouTrack sl-1 openid", client, &registry).unwrap();
        for (requested, spelled) in
            [("yt-1", "yt-1"), ("sl-1 YouTrack openid", "sl-1 YouTrack openid"), ("openid", "openid")]
        {
            assert_eq!(narrow(&granted, requested, client, &registry).unwrap().spelled, spelled);
        }
        // Words were granted, services as well, and the client is none of them.
        let granted = for_person("sl-1 openid profile", client, &registry).unwrap();
        assert!(narrow(&granted, "openid", client, &registry).is_err(), "the client itself was not granted");
        let with_client = for_person(&format!("openid {}", client.id), client, &registry).unwrap();
        let narrowed = narrow(&with_client, "openid", client, &registry).unwrap();
        assert_eq!((narrowed.spelled.as_str(), narrowed.services), ("openid", vec![client.id.clone()]));
        for wider in ["email", "openid email", "openid yt-1", "YouTrack"] {
            let error = narrow(&granted, wider, client, &registry).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidScope, "{wider}");
        }
        let without = for_person("sl-1", client, &registry).unwrap();
        assert!(narrow(&without, "openid", client, &registry).is_err(), "nobody granted the word");
        let granted = for_person("YouTrack sl-1 openid", client, &registry).unwrap();
        for wider in ["Hub", "yt-1 0-0-0-0-0", "email", "nobody", " "] {
            let error = narrow(&granted, wider, client, &registry).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidScope, "{wider}");
        }
    }
}
