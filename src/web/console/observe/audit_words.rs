//! The audit log's names in words.

use crate::{
    model::event::{AuthorKind, Event, EventKind, TargetKind},
    texts::Language,
};

/// What happened.
pub(super) const fn kind(t: Language, kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => t.event_created(),
        EventKind::Updated => t.event_updated(),
        EventKind::Deleted => t.event_deleted(),
        EventKind::Banned => t.event_banned(),
        EventKind::Unbanned => t.event_unbanned(),
        EventKind::PasswordChanged => t.event_password(),
        EventKind::SecondStepOn => t.event_second_step_on(),
        EventKind::SecondStepOff => t.event_second_step_off(),
        EventKind::RecoveryCodesReplaced => t.event_recovery_codes_replaced(),
        EventKind::RecoveryCodeUsed => t.event_recovery_code_used(),
        EventKind::LinkSent => t.event_link_sent(),
        EventKind::LinkUsed => t.event_link_used(),
        EventKind::SecretChanged => t.event_secret(),
        EventKind::SignedIn => t.event_signed_in(),
        EventKind::SignedOut => t.event_signed_out(),
        EventKind::SignInRefused => t.event_sign_in_refused(),
        EventKind::SignInThrottled => t.event_sign_in_throttled(),
        EventKind::TokenRevoked => t.event_token_revoked(),
        EventKind::Replayed => t.event_replayed(),
        EventKind::ConsentGiven => t.event_consent_given(),
        EventKind::ConsentTakenBack => t.event_consent_taken_back(),
        EventKind::KeyRotated => t.event_key_rotated(),
        EventKind::ConfigurationReloaded => t.event_reloaded(),
        EventKind::Erased => t.event_erased(),
    }
}

/// The same where it stands without its object.
pub(super) const fn kind_alone(t: Language, one: EventKind) -> &'static str {
    match one {
        EventKind::ConsentGiven => t.filter_consent_given(),
        EventKind::ConsentTakenBack => t.filter_consent_taken_back(),
        _ => kind(t, one),
    }
}

/// What it happened to.
pub(super) const fn target(t: Language, kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::User => t.target_user(),
        TargetKind::Group => t.target_group(),
        TargetKind::Service => t.target_service(),
        TargetKind::Session => t.target_session(),
        TargetKind::Grant => t.target_grant(),
        TargetKind::Token => t.target_token(),
        TargetKind::Consent => t.target_consent(),
        TargetKind::PermanentToken => t.target_permanent_token(),
        TargetKind::ApplicationPassword => t.target_application_password(),
        TargetKind::SigningKey => t.target_signing_key(),
        TargetKind::Gateway => t.target_gateway(),
    }
}

/// How people call what it happened to.
pub(super) fn about(event: &Event) -> String {
    let name = &event.target.presentation;
    if name.is_empty() { event.target.id.clone() } else { name.clone() }
}

/// Who did it.
pub(super) fn author(t: Language, event: &Event) -> String {
    let author = &event.author;
    let name = match (author.presentation.as_str(), author.id.as_deref()) {
        ("", Some(id)) => id,
        (name, _) => name,
    };
    match author.kind {
        AuthorKind::User | AuthorKind::Service => name.to_owned(),
        AuthorKind::CommandLine => format!("{name} ({})", t.author_command_line()),
        AuthorKind::Configuration => t.author_configuration().to_owned(),
        AuthorKind::Gateway => t.author_gateway().to_owned(),
        AuthorKind::Anonymous => t.author_anonymous().to_owned(),
    }
}
