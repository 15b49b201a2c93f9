//! The services that the configuration file declares: what has to be written so that the store is in step with it.
//!
//! Invariant: nothing is deleted, and what cannot be kept is found before anything is written.

use std::time::Duration;

use super::{
    difference::{Difference, Step},
    services::ServiceError,
};
use crate::{
    base::{id::ServiceId, secret::Secret, time::Timestamp},
    crypto::digest::SecretDigest,
    model::service::{Profile, Service, StoredSecret, Trust},
    store::{ServiceStore, name::folded},
};

/// A service as the configuration file declares it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub trust: Trust,
    /// What it says of itself.
    pub profile: Profile,
    /// Its secret, if the file gives one.
    pub secret: Option<Secret>,
    /// Where it stands: file and line.
    pub place: String,
}

/// A declared service and the other one that goes by its id or name already. Both stand for a service in a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{place} declares the service {id} ({name:?}), but the {field} {word:?} is taken by the service {other} ({other_name:?}), {how}"
)]
pub struct Collision {
    /// File and line of the declaration.
    pub place: String,
    /// The declared service.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What of it is taken: `"id"` or `"name"`.
    pub field: &'static str,
    /// That id or name.
    pub word: String,
    /// The other service.
    pub other: ServiceId,
    /// Its name.
    pub other_name: String,
    /// How that one came to be there, and what can be done.
    pub how: String,
}

impl Collision {
    fn of(declaration: &Declaration, other: &Service, field: &'static str, declared_too: bool) -> Self {
        let how = match (declared_too, other.declared) {
            (true, _) => "which the file declares too: give one of them another name".to_owned(),
            (false, true) => {
                "which the file declared before and does no longer: keep its id, or choose another name"
                    .to_owned()
            }
            (false, false) => format!(
                "which is registered and not declared: choose another {field}, declare that one by its own id, or take it away \
                 with `hubgate service remove {}`",
                other.id
            ),
        };
        Self {
            place: declaration.place.clone(),
            id: declaration.id.clone(),
            name: declaration.name.clone(),
            field,
            word: if field == "id" { declaration.id.to_string() } else { declaration.name.clone() },
            other: other.id.clone(),
            other_name: other.name.clone(),
            how,
        }
    }
}

/// What has to be written so that the store is in step with what the file declares.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    writes: Vec<Write>,
    differences: Vec<Difference>,
    /// All services, as they are afterwards.
    after: Vec<Service>,
}

const KIND: &str = "service";

/// One of its writes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Write {
    /// A service that the store does not have.
    Add(Service),
    /// One that is declared otherwise than it is kept.
    Change(Service),
    /// One that is no longer declared; it stays, with everything that it may do.
    Release(Service),
}

/// Plans to bring the store, which has the services `known`, in step with the file. Nothing is deleted, and a secret that
/// the file does not name stays as it is.
///
/// # Errors
/// [`ServiceError::Collides`] when a name or id is another's.
pub fn plan(
    known: Vec<Service>,
    declarations: &[Declaration],
    grace: Duration,
    now: Timestamp,
) -> Result<Plan, ServiceError> {
    let mut plan = Plan { after: known, ..Plan::default() };
    for declaration in declarations {
        if let Some((field, other)) = taken(declaration, &plan.after) {
            let too = declarations.iter().any(|declaration| declaration.id == other.id);
            return Err(ServiceError::Collides(Box::new(Collision::of(declaration, other, field, too))));
        }
        match plan.after.iter_mut().find(|service| service.id == declaration.id) {
            None => {
                let service = declared(declaration, now);
                plan.differences.push(Difference::new(Step::Add, KIND, &service.name, &[]));
                plan.after.push(service.clone());
                plan.writes.push(Write::Add(service));
            }
            Some(kept) => {
                let changed = updated(kept, declaration, now, grace);
                if changed != *kept {
                    plan.differences.push(Difference::of_service(kept, &changed));
                    *kept = Service { updated: now, ..changed };
                    plan.writes.push(Write::Change(kept.clone()));
                }
            }
        }
    }
    for service in plan.after.iter_mut().filter(|service| service.declared) {
        if !declarations.iter().any(|declaration| declaration.id == service.id) {
            plan.differences.push(Difference::new(Step::Release, KIND, &service.name, &[]));
            *service = Service { declared: false, updated: now, ..service.clone() };
            plan.writes.push(Write::Release(service.clone()));
        }
    }
    Ok(plan)
}

/// What of a declaration is another's already: its id, where it is new, or its name.
fn taken<'a>(declaration: &Declaration, services: &'a [Service]) -> Option<(&'static str, &'a Service)> {
    let by = |word: &str| {
        let bent = folded(word);
        let goes_by =
            move |other: &&Service| folded(&other.name) == bent || [word, &bent].contains(&other.id.as_str());
        services.iter().filter(|other| other.id != declaration.id).find(goes_by)
    };
    let is_new = services.iter().all(|other| other.id != declaration.id);
    let by_id = if is_new { by(declaration.id.as_str()) } else { None };
    by_id.map(|other| ("id", other)).or_else(|| by(&declaration.name).map(|other| ("name", other)))
}

impl Plan {
    /// What it changes.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Writes it. Returns all services, as they are now.
    ///
    /// # Errors
    /// [`ServiceError`]; what was written before stays, and the next plan goes on from there.
    pub async fn carry_out(self, store: &dyn ServiceStore) -> Result<Vec<Service>, ServiceError> {
        for write in &self.writes {
            match write {
                Write::Add(service) => {
                    store.register_service(service).await?;
                    tracing::info!(service = %service.id, "declared service added");
                }
                Write::Change(service) => {
                    store.update_service(service).await?;
                    tracing::info!(service = %service.id, "declared service changed");
                }
                Write::Release(service) => {
                    store.update_service(service).await?;
                    tracing::warn!(service = %service.id, "no longer declared; it stays registered: `hubgate service remove` takes it away");
                }
            }
        }
        Ok(self.after)
    }
}

fn declared(declaration: &Declaration, now: Timestamp) -> Service {
    let digest = declaration.secret.as_ref().map(|secret| SecretDigest::of(secret.expose()));
    Service {
        id: declaration.id.clone(),
        name: declaration.name.clone(),
        trust: declaration.trust.clone(),
        profile: profile(declaration),
        secrets: digest.map(|digest| StoredSecret::current(digest, now)).into_iter().collect(),
        declared: true,
        created: now,
        updated: now,
    }
}

fn profile(declaration: &Declaration) -> Profile {
    let key = declaration.profile.key.clone().or_else(|| Some(declaration.name.clone()));
    Profile { key, ..declaration.profile.clone() }
}

fn updated(before: &Service, declaration: &Declaration, now: Timestamp, grace: Duration) -> Service {
    let mut after = Service {
        name: declaration.name.clone(),
        trust: declaration.trust.clone(),
        profile: profile(declaration),
        declared: true,
        ..before.clone()
    };
    if after.trust.public {
        after.secrets.clear();
    } else if let Some(secret) = &declaration.secret {
        let digest = SecretDigest::of(secret.expose());
        if after.secrets.first().is_none_or(|current| current.digest != digest) {
            after.rotate_secret(digest, now, grace);
            after.updated = before.updated;
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);
    const GRACE: Duration = Duration::from_secs(60);

    fn declaration(id: &str, name: &str, secret: &str) -> Declaration {
        Declaration {
            id: ServiceId::parse(id).unwrap(),
            name: name.into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secret: Some(Secret::new(secret.into())),
            place: format!("gateway.toml:{}", id.len()),
        }
    }

    fn after(known: &[Service], declarations: &[Declaration]) -> (usize, Vec<Service>) {
        let plan = plan(known.to_vec(), declarations, GRACE, NOW).unwrap();
        (plan.writes.len(), plan.after)
    }

    #[test]
    fn a_plan_writes_what_differs_and_nothing_else() {
        let [a, b] = [declaration("a", "A", "one"), declaration("b", "B", "two")];
        let (writes, both) = after(&[], &[a.clone(), b.clone()]);
        assert_eq!((writes, both.len()), (2, 2));
        assert_eq!(after(&both, &[a.clone(), b.clone()]), (0, both.clone()));
        let (writes, changed) = after(&both, &[declaration("a", "A", "three"), b]);
        assert_eq!((writes, changed[0].secrets.len(), &changed[1]), (1, 2, &both[1]));
        let (writes, released) = after(&both, &[a]);
        assert_eq!((writes, released[1].declared, &released[0]), (1, false, &both[0]));
        assert_eq!(released[1].secrets, both[1].secrets, "it keeps what it may do");
    }

    fn collision(known: &[Service], declarations: &[Declaration]) -> Collision {
        match plan(known.to_vec(), declarations, GRACE, NOW).unwrap_err() {
            ServiceError::Collides(collision) => *collision,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_name_that_is_anothers_is_refused_before_anything_is_written_and_both_are_named() {
        let (_, known) = after(&[], &[declaration("a", "Straße", "one")]);
        let by_hand = [Service { declared: false, ..known[0].clone() }];
        for clash in ["Straße", "STRASSE", "a", "A"] {
            let declarations = [declaration("b", "B", "two"), declaration("cc", clash, "three")];
            let found = collision(&by_hand, &declarations);
            assert_eq!((found.field, found.word.as_str(), found.other.as_str()), ("name", clash, "a"));
            let text = found.to_string();
            for part in [
                "gateway.toml:2 ",
                "service cc ",
                "service a (\"Straße\")",
                "not declared",
                "service remove a`",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        let found = collision(&by_hand, &[declaration("strasse", "C", "three")]);
        assert_eq!(
            (found.field, found.word.as_str(), found.other_name.as_str()),
            ("id", "strasse", "Straße")
        );
        assert!(collision(&known, &[declaration("c", "Straße", "three")]).how.contains("declared before"));
        let both = [declaration("a", "Straße", "one"), declaration("c", "strasse", "three")];
        assert!(collision(&known, &both).how.contains("declares too"));
        // Its own id and name are nobody else's, and what was registered by hand may be declared.
        assert_eq!(after(&by_hand, &[declaration("a", "Straße", "one")]).0, 1);
        assert_eq!(after(&by_hand, &[declaration("a", "a", "one")]).0, 1);
    }
}
