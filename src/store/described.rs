//! What the audit log says of a record, and how two states of it differ.
//!
//! Invariant: no secret, no digest and no hash is described; of a password there is when it was set.

use serde_json::{Map, Value, json};

use crate::{
    base::time::Timestamp,
    model::{
        credential::{ApplicationPassword, PermanentToken},
        event::{EventKind, FieldChange, NewEvent, Target, TargetKind},
        service::Service,
        user::{Group, User},
    },
};

/// A field whose change is an event of a kind of its own, which depends on what it becomes.
pub type Apart = (&'static str, fn(Option<&Value>) -> EventKind);

/// A record that the log follows.
pub trait Described {
    /// Fields that are not merely updated.
    const APART: &'static [Apart] = &[];

    /// How the log names it.
    fn target(&self) -> Target;

    /// What the log says of it: a JSON object. What is null is as good as not there.
    fn fields(&self) -> Value;
}

/// The events that lead from one state to the other: none where the log sees no difference.
#[must_use]
pub fn events<D: Described>(before: Option<&D>, after: Option<&D>) -> Vec<NewEvent> {
    let mut changes = difference(before.map(D::fields), after.map(D::fields));
    let event = |kind, target, changes| NewEvent { kind, target, changes };
    match (before, after) {
        (None, None) => Vec::new(),
        (None, Some(new)) => vec![event(EventKind::Created, new.target(), changes)],
        (Some(old), None) => vec![event(EventKind::Deleted, old.target(), changes)],
        (Some(_), Some(new)) => {
            let mut events = Vec::new();
            for (field, kind) in D::APART {
                let apart: Vec<FieldChange> = changes.extract_if(.., |c| c.field == *field).collect();
                if let Some(change) = apart.first() {
                    events.push(event(kind(change.after.as_ref()), new.target(), apart));
                }
            }
            if !changes.is_empty() {
                events.insert(0, event(EventKind::Updated, new.target(), changes));
            }
            events
        }
    }
}

/// The longest text of a value and the most elements of a list; what is longer is cut, so that no event is larger than
/// what it is about needs to be understood.
const LONGEST_TEXT: usize = 500;
const LONGEST_LIST: usize = 100;

/// The fields in which two objects differ, in the order of their names.
fn difference(before: Option<Value>, after: Option<Value>) -> Vec<FieldChange> {
    let object = |value: Option<Value>| match value {
        Some(Value::Object(fields)) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    };
    let (mut before, after) = (object(before), object(after));
    let mut changes = Vec::new();
    for (field, value) in after {
        let old = before.remove(&field);
        if old.as_ref() != Some(&value) {
            changes.push(FieldChange { field, before: old.map(cut), after: Some(cut(value)) });
        }
    }
    let gone = before.into_iter().map(|(field, old)| FieldChange::gone(&field, cut(old)));
    changes.extend(gone);
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > LONGEST_TEXT => {
            Value::String(text.chars().take(LONGEST_TEXT).chain(['…']).collect())
        }
        Value::Array(list) => {
            let more = (list.len() > LONGEST_LIST).then(|| json!("…"));
            Value::Array(list.into_iter().take(LONGEST_LIST).map(cut).chain(more).collect())
        }
        other => other,
    }
}

fn time(at: Timestamp) -> Value {
    at.millis().into()
}

impl Described for User {
    const APART: &'static [Apart] = &[
        ("ban", |after| if after.is_some() { EventKind::Banned } else { EventKind::Unbanned }),
        ("password", |_| EventKind::PasswordChanged),
    ];

    fn target(&self) -> Target {
        Target::user(&self.id, &self.login)
    }

    fn fields(&self) -> Value {
        json!({
            "login": self.login,
            "name": self.name,
            "email": self.email.as_ref().map(|email| &email.address),
            "emailVerified": self.email.as_ref().map(|email| email.verified),
            "password": self.password.as_ref().map(|p| json!({"set": time(p.set), "mustChange": p.must_change})),
            "ban": self.ban.as_ref().map(|ban| json!({"reason": ban.reason, "badge": ban.badge, "since": time(ban.since)})),
            "guest": self.guest.then_some(true),
            "administrator": self.administrator,
            "groups": self.groups,
            "avatarUrl": self.profile.avatar_url,
            "locale": self.profile.locale,
            "erased": self.erased.map(time),
            "declared": self.declared,
        })
    }
}

impl Described for Group {
    fn target(&self) -> Target {
        let (id, presentation) = (self.id.to_string(), self.name.clone());
        Target { kind: TargetKind::Group, id, presentation, owner: None }
    }

    fn fields(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "iconUrl": self.icon_url,
            "parent": self.parent,
            "autoJoin": self.auto_join.then_some(true),
            "allUsers": self.all_users.then_some(true),
        })
    }
}

impl Described for PermanentToken {
    fn target(&self) -> Target {
        let (id, presentation) = (self.id.to_string(), self.name.clone());
        Target { kind: TargetKind::PermanentToken, id, presentation, owner: Some(self.user.clone()) }
    }

    fn fields(&self) -> Value {
        json!({"name": self.name, "scope": self.scope})
    }
}

impl Described for ApplicationPassword {
    fn target(&self) -> Target {
        let (id, presentation) = (self.id.to_string(), self.name.clone());
        Target { kind: TargetKind::ApplicationPassword, id, presentation, owner: Some(self.user.clone()) }
    }

    fn fields(&self) -> Value {
        json!({"name": self.name})
    }
}

impl Described for Service {
    const APART: &'static [Apart] = &[("secrets", |_| EventKind::SecretChanged)];

    fn target(&self) -> Target {
        let (id, presentation) = (self.id.to_string(), self.name.clone());
        Target { kind: TargetKind::Service, id, presentation, owner: None }
    }

    fn fields(&self) -> Value {
        let (trust, profile) = (&self.trust, &self.profile);
        let secrets: Vec<Value> = self
            .secrets
            .iter()
            .map(|secret| json!({"created": time(secret.created), "expires": secret.expires.map(time)}))
            .collect();
        json!({
            "name": self.name,
            "trusted": trust.trusted,
            "consentRequired": trust.consent_required,
            "public": trust.public,
            "pkceRequired": trust.pkce_required,
            "rotateRefreshTokens": trust.rotate_refresh_tokens,
            "flows": trust.flows,
            "key": profile.key,
            "description": profile.description,
            "homeUrl": profile.home_url,
            "baseUrls": profile.base_urls,
            "redirectUris": profile.redirect_uris,
            "userUriPattern": profile.user_uri_pattern,
            "groupUriPattern": profile.group_uri_pattern,
            "applicationName": profile.application_name,
            "vendor": profile.vendor,
            "version": profile.version,
            "releaseDate": profile.release_date,
            "iconUrl": profile.icon_url,
            "secrets": secrets,
            "declared": self.declared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::id::UserId,
        crypto::digest::SecretDigest,
        model::{
            service::{Profile, StoredSecret, Trust},
            user::{Ban, Email, Password, UserProfile},
        },
    };

    fn user() -> User {
        User {
            id: UserId::parse("u").unwrap(),
            login: "ann".into(),
            name: "Ann".into(),
            email: Some(Email { address: "ann@example.org".into(), verified: true }),
            password: Some(Password {
                hash: "$argon2id$v=19$secret".into(),
                set: Timestamp::from_millis(5),
                must_change: false,
            }),
            ban: None,
            guest: false,
            administrator: false,
            groups: vec![],
            profile: UserProfile::default(),
            erased: None,
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        }
    }

    fn kinds(events: &[NewEvent]) -> Vec<&'static str> {
        events.iter().map(|event| event.kind.name()).collect()
    }

    #[test]
    fn each_change_has_the_kind_that_it_is() {
        let before = user();
        let mut after = user();
        assert_eq!(events(Some(&before), Some(&after)), []);
        after.updated = Timestamp::from_millis(9);
        after.password.as_mut().unwrap().hash = "$argon2id$v=19$renewed".into();
        assert_eq!(events(Some(&before), Some(&after)), [], "a hash that is renewed is the same password");

        after.name = "Anna".into();
        after.ban =
            Some(Ban { reason: "why".into(), since: Timestamp::from_millis(7), badge: String::new() });
        after.password = None;
        let all = events(Some(&before), Some(&after));
        assert_eq!(kinds(&all), ["updated", "banned", "passwordChanged"]);
        assert_eq!(
            all[0].changes,
            [FieldChange { field: "name".into(), before: Some("Ann".into()), after: Some("Anna".into()) }]
        );
        assert_eq!(all[2].changes, [FieldChange::gone("password", json!({"set": 5, "mustChange": false}))]);
        assert_eq!(kinds(&events(Some(&after), Some(&before))), ["updated", "unbanned", "passwordChanged"]);
        let text = format!("{:?}", events(None, Some(&before)));
        assert!(text.contains("ann@example.org") && !text.contains("argon2"), "{text}");
        assert_eq!(kinds(&events(Some(&before), None)), ["deleted"]);
    }

    #[test]
    fn a_secret_is_known_by_its_times_alone_and_long_values_are_cut() {
        let secret = SecretDigest::of("one");
        let before = Service {
            id: crate::base::id::ServiceId::parse("s").unwrap(),
            name: "S".into(),
            trust: Trust::default(),
            profile: Profile { redirect_uris: vec!["x".repeat(600); 101], ..Profile::default() },
            secrets: vec![StoredSecret::current(secret, Timestamp::from_millis(1))],
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        };
        let created = events(None, Some(&before));
        let uris = created[0].changes.iter().find(|c| c.field == "redirectUris").unwrap();
        let list = uris.after.as_ref().unwrap().as_array().unwrap();
        assert_eq!((list.len(), list[0].as_str().unwrap().chars().count()), (101, 501));
        let mut after = before.clone();
        after.secrets = vec![StoredSecret::current(secret, Timestamp::from_millis(2))];
        assert_eq!(kinds(&events(Some(&before), Some(&after))), ["secretChanged"]);
    }
}
