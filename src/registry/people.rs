//! The users that the configuration file declares, kept in step with the store: first a plan, which finds what cannot be
//! kept, then its writes.
//!
//! Invariants: nobody is deleted, and no ban is lifted; a declared password is hashed only when it is not the one that is
//! stored; where somebody may administer, somebody may afterwards.

use super::{
    difference::{Difference, Step},
    groups,
    users::{self, NewPassword, NewUser, PeopleError},
};
use crate::{
    base::{
        id::UserId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::password::Hasher,
    model::user::{Email, Group, User},
    store::{
        StoreError,
        name::folded,
        people::{GroupStore, UserStore},
    },
};

const KIND: &str = "user";

/// A user as the configuration file declares it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its login, by which it is recognised.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Its address, which counts as verified: the administrator vouches for it.
    pub email: Option<String>,
    /// Its password, if the file gives one.
    pub password: Option<Secret>,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// Whether it may administer.
    pub administrator: bool,
}

/// What has to be written so that the store is in step with the file.
#[derive(Debug, Default)]
pub struct Plan {
    writes: Vec<Write>,
    differences: Vec<Difference>,
}

#[derive(Debug)]
enum Write {
    /// A new user, in the groups of these names.
    Add(User, Vec<String>),
    /// A user as declared, in the groups of these names, and the password if it is another one.
    Change(User, Vec<String>, Option<NewPassword>),
    /// One who is declared no longer.
    Release(User),
}

/// Finds out what the declarations change. A password that the file does not name stays as it is.
///
/// # Errors
/// [`PeopleError::Declaration`]: which user cannot be kept, and why. Nothing is written.
pub async fn plan(
    store: &(impl UserStore + GroupStore + ?Sized),
    declarations: &[Declaration],
    hasher: &dyn Hasher,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Plan, PeopleError> {
    let mut known = store.list_users().await?;
    let groups = store.list_groups().await?;
    let administrator = known.iter().find(|user| user.may_administer()).cloned();
    let (mut plan, mut demotions) = (Plan::default(), Vec::new());
    for declaration in declarations {
        let write = plan_one(&mut known, &groups, declaration, hasher, (clock.now(), random)).await;
        let login = declaration.login.clone();
        let write = write.map_err(|error| PeopleError::Declaration { login, error: Box::new(error) })?;
        let Some((write, difference)) = write else { continue };
        plan.differences.push(difference);
        // Whoever is to administer may do so before others may not any more.
        let demotion = matches!(&write, Write::Change(user, ..) if !user.administrator);
        if demotion { &mut demotions } else { &mut plan.writes }.push(write);
    }
    plan.writes.extend(demotions);
    if let Some(User { login, .. }) = administrator
        && !known.iter().any(User::may_administer)
    {
        let error = Box::new(PeopleError::LastAdministrator(login.clone()));
        return Err(PeopleError::Declaration { login, error });
    }
    let declared = |user: &User| declarations.iter().any(|d| folded(&d.login) == folded(&user.login));
    for released in known.into_iter().filter(|user| user.declared && !declared(user)) {
        plan.differences.push(Difference::new(Step::Release, KIND, &released.login, &[]));
        plan.writes.push(Write::Release(released));
    }
    Ok(plan)
}

async fn plan_one(
    known: &mut Vec<User>,
    groups: &[Group],
    declaration: &Declaration,
    hasher: &dyn Hasher,
    (now, random): (Timestamp, &dyn Random),
) -> Result<Option<(Write, Difference)>, PeopleError> {
    let group = |name: &String| groups.iter().find(|g| folded(&g.name) == folded(name));
    if declaration.groups.iter().filter_map(group).any(|group| group.all_users) {
        let why = "of all users has everybody in it; it is not declared";
        return Err(PeopleError::Refused { what: "group", why });
    }
    let at = known.iter().position(|user| folded(&user.login) == folded(&declaration.login));
    let kept = at.and_then(|at| known.get(at));
    refuse_taken(known, kept.map(|user| &user.id), declaration)?;
    let email = declaration.email.clone().map(|address| Email { address, verified: true });
    let Some(kept) = kept.cloned() else {
        let new = NewUser {
            id: None,
            login: declaration.login.clone(),
            name: declaration.name.clone(),
            email,
            password: new_password(None, declaration, hasher).await?,
            administrator: declaration.administrator,
            groups: Vec::new(),
        };
        let user = User { declared: true, ..users::made(new, now, random)? };
        known.push(user.clone());
        let difference = Difference::new(Step::Add, KIND, &user.login, &[]);
        return Ok(Some((Write::Add(user, declaration.groups.clone()), difference)));
    };
    if kept.guest {
        return Err(PeopleError::Guest);
    }
    if kept.erased.is_some() {
        return Err(PeopleError::Erased(kept.login));
    }
    let id = |name: &String| group(name).map(|group| group.id.clone());
    let memberships: Option<Vec<_>> = declaration.groups.iter().map(id).collect();
    let user = User {
        login: declaration.login.clone(),
        name: declaration.name.clone(),
        email,
        administrator: declaration.administrator,
        groups: memberships.clone().map(users::sorted).unwrap_or_default(),
        declared: true,
        ..kept.clone()
    };
    let password = new_password(Some(&kept), declaration, hasher).await?;
    let same = user == kept && password.is_none() && memberships.is_some();
    if let Some(place) = at.and_then(|at| known.get_mut(at)) {
        place.clone_from(&user);
    }
    let fields = [
        ("login", user.login != kept.login),
        ("name", user.name != kept.name),
        ("email", user.email != kept.email),
        ("password", password.is_some()),
        ("groups", user.groups != kept.groups || memberships.is_none()),
        ("administrator", user.administrator != kept.administrator),
        ("declared", !kept.declared),
    ];
    let difference = Difference::new(Step::Change, KIND, &user.login, &fields);
    Ok((!same).then(|| (Write::Change(user, declaration.groups.clone(), password), difference)))
}

/// What opens one account may not open another, whichever it is called there: as the store has it.
fn refuse_taken(known: &[User], own: Option<&UserId>, declaration: &Declaration) -> Result<(), PeopleError> {
    let names = |user: &User| {
        let email = user.email.as_ref().map(|email| folded(&email.address));
        [Some(folded(&user.login)), Some(folded(user.id.as_str())), email]
    };
    let taken = |text: &str| {
        let text = Some(folded(text));
        known.iter().any(|user| Some(&user.id) != own && names(user).contains(&text))
    };
    let conflict = |field| Err(StoreError::Conflict { what: "user", field }.into());
    if taken(&declaration.login) {
        return conflict("login");
    }
    if declaration.email.as_deref().is_some_and(taken) { conflict("email") } else { Ok(()) }
}

/// The declared password, if it is not the one that the user has.
async fn new_password(
    kept: Option<&User>,
    declaration: &Declaration,
    hasher: &dyn Hasher,
) -> Result<Option<NewPassword>, PeopleError> {
    let Some(password) = &declaration.password else { return Ok(None) };
    if let Some(stored) = kept.and_then(|user| user.password.as_ref())
        && hasher.verify(&stored.hash, password).await?
    {
        return Ok(None);
    }
    Ok(Some(NewPassword::of(password, false, hasher).await?))
}

impl Plan {
    /// What it changes.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`PeopleError`]; what was written before stays, and the next plan goes on from there.
    pub async fn carry_out(
        self,
        store: &(impl UserStore + GroupStore + ?Sized),
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<(), PeopleError> {
        for write in self.writes {
            match write {
                Write::Add(user, groups) => {
                    let groups = groups::ensure(store, &groups, clock, random).await?;
                    store.add_user(&User { groups, ..user.clone() }).await?;
                    tracing::info!(user = %user.id, login = user.login, "declared user added");
                }
                Write::Change(user, groups, password) => {
                    let groups = groups::ensure(store, &groups, clock, random).await?;
                    if let Some(password) = password {
                        users::set_password(store, &user.id, Some(password), clock).await?;
                    }
                    put(store, &User { groups, ..user.clone() }, clock.now()).await?;
                    tracing::info!(user = %user.id, login = user.login, "declared user changed");
                }
                Write::Release(user) => {
                    put(store, &User { declared: false, ..user.clone() }, clock.now()).await?;
                    tracing::warn!(user = %user.id, login = user.login, "no longer declared; the user stays: `hubgate user ban` or `hubgate user remove` shuts it out");
                }
            }
        }
        Ok(())
    }
}

/// Writes what a declaration is about.
async fn put(store: &(impl UserStore + ?Sized), user: &User, now: Timestamp) -> Result<(), StoreError> {
    let source = user.clone();
    let carry_out = move |user: &mut User| {
        user.login.clone_from(&source.login);
        user.name.clone_from(&source.name);
        user.email.clone_from(&source.email);
        user.groups.clone_from(&source.groups);
        (user.administrator, user.declared) = (source.administrator, source.declared);
        user.updated = now;
    };
    store.change_user(&user.id, &carry_out, None).await.map(drop)
}
