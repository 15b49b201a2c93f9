//! Moving from Hub: what its REST prints of services, users and groups, brought into the store.
//!
//! First a plan, made without writing anything, then its steps.
//!
//! Invariants: ids are kept, so that scopes and references of others stay valid; no secret, password, ban or membership
//! that is here is taken away or replaced by a file, nobody becomes an administrator, and what the configuration
//! file declares stays as it declares it. Carried out twice, a file changes nothing the second time, unless its renames wait for
//! one another in a chain of more than a few.

mod entry;
mod people;
mod read;
mod services;

use std::collections::BTreeMap;

pub use self::read::{Export, MOST_BYTES, Unreadable, read};
use crate::{
    base::{
        id::UserId,
        time::{Clock, Timestamp},
    },
    model::{
        revocation::{Revocation, RevocationTarget},
        service::Service,
        user::{Group, User},
    },
    store::{
        Result, ServiceStore, StoreError,
        people::{GroupStore, UserStore},
    },
};

/// What is in the store.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The services.
    pub services: Vec<Service>,
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(store: &(impl ServiceStore + UserStore + GroupStore + ?Sized)) -> Result<Self> {
        let (services, users) = (store.list_services().await?, store.list_users().await?);
        Ok(Self { services, users, groups: store.list_groups().await? })
    }
}

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A service that is not there.
    AddService(Service),
    /// One that is.
    ChangeService(Service),
    /// A group that is not there.
    AddGroup(Group),
    /// One that is.
    ChangeGroup(Group),
    /// A user who is not there.
    AddUser(User),
    /// One who is.
    ChangeUser(User),
}

impl Step {
    /// In words: what is done, to what.
    #[must_use]
    pub fn describe(&self) -> (&'static str, String) {
        match self {
            Self::AddService(service) => ("add service", format!("{} ({})", service.name, service.id)),
            Self::ChangeService(service) => ("change service", format!("{} ({})", service.name, service.id)),
            Self::AddGroup(group) => ("add group", format!("{} ({})", group.name, group.id)),
            Self::ChangeGroup(group) => ("change group", format!("{} ({})", group.name, group.id)),
            Self::AddUser(user) => ("add user", format!("{} ({})", user.login, user.id)),
            Self::ChangeUser(user) => ("change user", format!("{} ({})", user.login, user.id)),
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// The store's: a conflict when somebody was quicker.
    pub async fn carry_out(
        &self,
        store: &(impl ServiceStore + UserStore + GroupStore + ?Sized),
        clock: &dyn Clock,
    ) -> Result<()> {
        match self {
            Self::AddService(service) => store.register_service(service).await,
            Self::ChangeService(service) => store.update_service(service).await,
            Self::AddGroup(group) => store.add_group(group).await,
            Self::ChangeGroup(group) => store.update_group(group).await,
            Self::AddUser(user) => store.add_user(user).await,
            Self::ChangeUser(user) => change_user(store, user, clock.now()).await,
        }
    }
}

/// Writes what a file may change of a user, over what the user is by now.
async fn change_user(store: &(impl UserStore + ?Sized), new: &User, now: Timestamp) -> Result<()> {
    let before = store.find_user(&new.id).await?.ok_or(StoreError::NotFound { what: "user" })?;
    let banned = before.ban.is_none() && new.ban.is_some();
    let target = new.clone();
    let carry_out = move |user: &mut User| {
        user.login.clone_from(&target.login);
        user.name.clone_from(&target.name);
        user.email.clone_from(&target.email);
        user.groups.clone_from(&target.groups);
        user.ban = user.ban.take().or_else(|| target.ban.clone());
        user.password = user.password.take().or_else(|| target.password.clone());
        user.updated = now;
    };
    let ended = |id: &UserId| Revocation::at(now, RevocationTarget::User(id.clone()));
    let revocation = banned.then(|| ended(&new.id));
    store.change_user(&new.id, &carry_out, revocation.as_ref()).await.map(drop)
}

/// What is not taken over, by the reason, with what it is about.
pub type LeftOut = BTreeMap<String, Vec<String>>;

/// What a file changes.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order in which they can be carried out.
    pub steps: Vec<Step>,
    /// How many entries are as they should be.
    pub unchanged: usize,
    /// What is not taken over.
    pub left_out: LeftOut,
}

impl Plan {
    /// Notes that something of `what` is not taken over.
    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.entry(why.into()).or_default().push(what.into());
    }
}

/// How often a plan is looked at again: what is in the way of an entry may go with another one.
const PASSES: usize = 8;

/// Finds out what an export changes of `state`.
#[must_use]
pub fn plan(export: &Export, state: &State, now: Timestamp) -> Plan {
    let mut state = state.clone();
    let mut whole = Plan::default();
    for pass in 0..PASSES {
        let mut plan = Plan::default();
        for (name, (total, found)) in &export.incomplete {
            let what = format!("{} of {total} {name}", total.saturating_sub(*found));
            plan.leave(what, "they are not in the file, which has a page of them only: ask with $top=-1");
        }
        let groups = people::groups(export, &mut state, now, &mut plan);
        services::services(export, &mut state, now, &mut plan);
        people::users(export, &mut state, &groups, now, &mut plan);
        if pass == 0 {
            whole.unchanged = plan.unchanged;
        }
        let done = plan.steps.is_empty();
        whole.steps.append(&mut plan.steps);
        whole.left_out = plan.left_out;
        if done {
            break;
        }
    }
    whole
}

#[cfg(test)]
mod tests;
