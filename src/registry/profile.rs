//! What a service says of itself: checked, and changed part by part.
//!
//! Invariant: no address that is kept runs anything in a browser, and no text is longer than a page can show.

use super::services::ServiceError;
use crate::model::{address, service::Profile};

/// Characters of a key, a product's name, its maker, its version.
const LONGEST_NAME: usize = 100;

/// Characters of a description or a pattern.
const LONGEST_TEXT: usize = 1000;

/// Addresses of one kind.
const MOST_ADDRESSES: usize = 200;

/// What is to be changed; `None` stays as it is, `Some(None)` is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Short unique name.
    pub key: Option<Option<String>>,
    /// Free text.
    pub description: Option<Option<String>>,
    /// Where people find the service.
    pub home_url: Option<Option<String>>,
    /// Further addresses, all of them.
    pub base_urls: Option<Vec<String>>,
    /// Pattern of a user's page.
    pub user_uri_pattern: Option<Option<String>>,
    /// Pattern of a group's page.
    pub group_uri_pattern: Option<Option<String>>,
    /// The product behind the service.
    pub application_name: Option<Option<String>>,
    /// Its maker.
    pub vendor: Option<Option<String>>,
    /// Its version.
    pub version: Option<Option<String>>,
    /// When that version was made, milliseconds since the epoch; 0 takes it away.
    pub release_date: Option<i64>,
    /// Its picture.
    pub icon_url: Option<Option<String>>,
}

impl ProfileChange {
    /// What a service says of itself that says only this.
    #[must_use]
    pub fn described(self) -> Profile {
        let mut profile = Profile::default();
        self.carry_out(&mut profile);
        profile
    }

    /// Carries it out.
    pub(super) fn carry_out(self, profile: &mut Profile) {
        let parts = [
            (&mut profile.key, self.key),
            (&mut profile.description, self.description),
            (&mut profile.home_url, self.home_url),
            (&mut profile.user_uri_pattern, self.user_uri_pattern),
            (&mut profile.group_uri_pattern, self.group_uri_pattern),
            (&mut profile.application_name, self.application_name),
            (&mut profile.vendor, self.vendor),
            (&mut profile.version, self.version),
            (&mut profile.icon_url, self.icon_url),
        ];
        for (part, change) in parts {
            if let Some(new) = change {
                *part = new;
            }
        }
        profile.base_urls = self.base_urls.unwrap_or_else(|| std::mem::take(&mut profile.base_urls));
        if let Some(date) = self.release_date {
            profile.release_date = Some(date).filter(|date| *date != 0);
        }
    }
}

/// Checks what a service is to say of itself.
///
/// # Errors
/// [`ServiceError::Field`]
pub(super) fn check(profile: &Profile) -> Result<(), ServiceError> {
    let texts = [
        ("key", &profile.key, LONGEST_NAME),
        ("description", &profile.description, LONGEST_TEXT),
        ("userUriPattern", &profile.user_uri_pattern, LONGEST_TEXT),
        ("groupUriPattern", &profile.group_uri_pattern, LONGEST_TEXT),
        ("applicationName", &profile.application_name, LONGEST_NAME),
        ("vendor", &profile.vendor, LONGEST_NAME),
        ("version", &profile.version, LONGEST_NAME),
    ];
    for (field, text, longest) in texts {
        let Some(text) = text else { continue };
        if text.chars().count() > longest {
            return Err(refused(field, format!("has more than {longest} characters")));
        }
        // A description may have paragraphs.
        if text.chars().any(|c| c.is_control() && !(field == "description" && c == '\n')) {
            return Err(refused(field, "has a control character"));
        }
        if field.ends_with("Pattern") {
            // With something in place of what stands in braces it has to be an address, or a path.
            let filled = text.replace(['{', '}'], "");
            let good =
                filled.starts_with('/') && !filled.starts_with("//") || address::web_url(&filled).is_ok();
            if !good {
                return Err(refused(field, "is neither a path nor the address of a page"));
            }
        }
    }
    for (field, url) in [("homeUrl", &profile.home_url), ("iconUrl", &profile.icon_url)] {
        if let Some(url) = url {
            address::web_url(url).map_err(|why| refused(field, format!("({url:?}) {why}")))?;
        }
    }
    check_list("baseUrls", &profile.base_urls, address::web_url)?;
    check_list("redirectUris", &profile.redirect_uris, |uri| address::redirect_uri(uri).map(drop))
}

fn check_list(
    field: &'static str,
    list: &[String],
    check: impl Fn(&str) -> Result<(), address::NoAddress>,
) -> Result<(), ServiceError> {
    if list.len() > MOST_ADDRESSES {
        return Err(refused(field, format!("has more than {MOST_ADDRESSES} entries")));
    }
    for entry in list {
        check(entry).map_err(|why| refused(field, format!("has {entry:?}, which {why}")))?;
    }
    Ok(())
}

fn refused(field: &'static str, why: impl Into<String>) -> ServiceError {
    ServiceError::Field { field, why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_is_kept() {
        let good = Profile {
            home_url: Some("https://a.example/x".into()),
            base_urls: vec!["http://a.example:8080".into()],
            redirect_uris: vec!["oauth".into(), "ytoauth://landing.url".into()],
            user_uri_pattern: Some("/users/{login}".into()),
            group_uri_pattern: Some("https://a.example/groups/{id}".into()),
            description: Some("Two\nlines".into()),
            ..Profile::default()
        };
        check(&good).unwrap();
        let with = |alter: fn(&mut Profile)| {
            let mut profile = good.clone();
            alter(&mut profile);
            check(&profile).map_err(|error| error.to_string())
        };
        for (bad, field) in [
            (with(|p| p.home_url = Some("javascript:alert(1)".into())), "homeUrl"),
            (with(|p| p.icon_url = Some("data:image/svg+xml,x".into())), "iconUrl"),
            (with(|p| p.base_urls = vec!["//a.example".into()]), "baseUrls"),
            (with(|p| p.redirect_uris = vec!["JAVASCRIPT:x".into()]), "redirectUris"),
            (with(|p| p.redirect_uris = vec!["https://a/#x".into()]), "redirectUris"),
            (with(|p| p.redirect_uris = vec!["a".into(); 201]), "redirectUris"),
            (with(|p| p.user_uri_pattern = Some("javascript:{login}".into())), "userUriPattern"),
            (with(|p| p.group_uri_pattern = Some("//evil/{id}".into())), "groupUriPattern"),
            (with(|p| p.vendor = Some("a\u{7}".into())), "vendor"),
            (with(|p| p.key = Some("k".repeat(101))), "key"),
            (with(|p| p.home_url = Some("https://u:p@a.example/".into())), "homeUrl"),
        ] {
            assert!(bad.clone().unwrap_err().contains(field), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut profile =
            Profile { vendor: Some("V".into()), version: Some("1".into()), ..Profile::default() };
        let change = ProfileChange {
            version: Some(None),
            key: Some(Some("k".into())),
            release_date: Some(5),
            ..ProfileChange::default()
        };
        change.carry_out(&mut profile);
        assert_eq!(
            profile,
            Profile {
                vendor: Some("V".into()),
                key: Some("k".into()),
                release_date: Some(5),
                ..Profile::default()
            }
        );
    }
}
