//! What a plan would write, in words.

use std::fmt;

use crate::model::service::{Profile, Service};

/// What happens to a declared record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The store does not have it.
    Add,
    /// The store has it otherwise.
    Change,
    /// The file declares it no longer; it stays, and commands may change it.
    Release,
}

/// One thing in which the store is not in step with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What happens.
    pub step: Step,
    /// `"user"` or `"service"`.
    pub kind: &'static str,
    /// Which.
    pub name: String,
    /// What of it changes. Never a value: it may be a secret.
    pub fields: Vec<&'static str>,
}

impl Difference {
    pub(super) fn new(step: Step, kind: &'static str, name: &str, fields: &[(&'static str, bool)]) -> Self {
        let fields = fields.iter().filter(|(_, changed)| *changed).map(|(field, _)| *field).collect();
        Self { step, kind, name: name.to_owned(), fields }
    }

    pub(super) fn of_service(before: &Service, after: &Service) -> Self {
        let (trust, profile) = ((&before.trust, &after.trust), (&before.profile, &after.profile));
        let rest = |profile: &Profile| Profile { redirect_uris: Vec::new(), ..profile.clone() };
        let fields = [
            ("name", before.name != after.name),
            ("trusted", trust.0.trusted != trust.1.trusted),
            ("consent_required", trust.0.consent_required != trust.1.consent_required),
            ("public", trust.0.public != trust.1.public),
            ("pkce_required", trust.0.pkce_required != trust.1.pkce_required),
            ("rotate_refresh_tokens", trust.0.rotate_refresh_tokens != trust.1.rotate_refresh_tokens),
            ("flows", trust.0.flows != trust.1.flows),
            ("redirect_uris", profile.0.redirect_uris != profile.1.redirect_uris),
            ("profile", rest(profile.0) != rest(profile.1)),
            ("secret", before.secrets != after.secrets),
            ("declared", before.declared != after.declared),
        ];
        Self::new(Step::Change, "service", &after.name, &fields)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, kind, name, fields } = self;
        match step {
            Step::Add => write!(f, "+ {kind} {name}"),
            Step::Change if fields.is_empty() => write!(f, "~ {kind} {name}"),
            Step::Change => write!(f, "~ {kind} {name}: {}", fields.join(", ")),
            Step::Release => write!(f, "- {kind} {name}: no longer declared; it stays"),
        }
    }
}
