//! Users, groups and their sessions, as the store offers them.

use async_trait::async_trait;

use super::Result;
use crate::{
    base::{
        id::{GroupId, SessionId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::{
        revocation::Revocation,
        session::{Session, SessionLife},
        user::{Group, Person, User},
    },
};

/// How deep groups are nested at most, the outermost counted.
pub const DEEPEST_NESTING: usize = 16;

/// A change to a user, carried out inside of the transaction that reads and writes it.
pub type ChangeUser<'c> = &'c (dyn Fn(&mut User) + Send + Sync);

/// Users.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// All users in the order of their logins (case-insensitive), then ids.
    async fn list_users(&self) -> Result<Vec<User>>;

    /// The user with this id.
    async fn find_user(&self, id: &UserId) -> Result<Option<User>>;

    /// The user whom somebody means who types `name` to sign in: login, e-mail address or id, each without regard to case.
    /// There is at most one, see [`UserStore::add_user`].
    async fn find_user_by_name(&self, name: &str) -> Result<Option<User>>;

    /// The guest, if there is one.
    async fn find_guest(&self) -> Result<Option<User>>;

    /// Adds a user with its memberships, and those of the groups that new users are put into; neither the guest nor a declared
    /// user is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) when its id, login or e-mail address (fields `"id"`,
    /// `"login"`, `"email"`) is the id, login or address of another, in whatever case; or when there is a guest and this
    /// is one too (`"guest"`); [`StoreError::NotFound`](super::StoreError::NotFound) when a group is none;
    /// [`Rule::AllUsers`](super::Rule::AllUsers) when one is the group of all users. Nothing is written then.
    async fn add_user(&self, user: &User) -> Result<()>;

    /// Reads a user, lets `change` alter everything but the id, and writes it, all in one transaction. Where `revocation`
    /// is given it is recorded in that transaction, with all that it ends. Returns the user as it is now. A change that
    /// changes nothing is not counted.
    ///
    /// # Errors
    /// As [`UserStore::add_user`]; [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user;
    /// [`Rule::LastAdministrator`](super::Rule::LastAdministrator) when the last one who may administer would be none any more.
    async fn change_user(
        &self,
        id: &UserId,
        change: ChangeUser<'_>,
        revocation: Option<&Revocation>,
    ) -> Result<User>;

    /// Removes a user with memberships, sessions, grants and consents, and records the revocation of what was granted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is none;
    /// [`Rule::LastAdministrator`](super::Rule::LastAdministrator). The revocation is not recorded then.
    async fn remove_user(&self, id: &UserId, revocation: &Revocation) -> Result<()>;

    /// What the gate has to know: everybody who has changed since `since`, a [`People::version`], and who is gone.
    /// `since = 0`: everybody. So it is with a number that was never reached, which tells that an older copy of the
    /// database was put back: then the answer's number is lower, and whom it does not name is gone.
    async fn people(&self, since: i64) -> Result<People>;
}

/// What [`UserStore::people`] answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// To be passed the next time; equal to [`Versions::users`](super::Versions::users) at the time of reading.
    pub version: i64,
    /// Added, changed, or in a group whose name or place has changed. Each with the names of all groups that it is in: those
    /// that it was put into and those above them. The group of all users is not among them.
    pub changed: Vec<Person>,
    /// Removed.
    pub removed: Vec<UserId>,
}

/// Groups.
#[async_trait]
pub trait GroupStore: Send + Sync {
    /// All groups in the order of their names (case-insensitive), then ids.
    async fn list_groups(&self) -> Result<Vec<Group>>;

    /// The group with this id.
    async fn find_group(&self, id: &GroupId) -> Result<Option<Group>>;

    /// The users who were put into it, in the order of their logins.
    async fn list_members(&self, id: &GroupId) -> Result<Vec<User>>;

    /// Adds a group.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](super::StoreError::Conflict) when another has its id or (case-insensitively) its name, or is the
    /// group of all users when this is one too (`"all_users"`); [`StoreError::NotFound`](super::StoreError::NotFound) when its
    /// parent is none; [`Rule`](super::Rule) when it cannot be there.
    async fn add_group(&self, group: &Group) -> Result<()>;

    /// Replaces the group with the same id. A changed name or parent is a change of all who are in it. Whether it is the
    /// group of all users stays.
    ///
    /// # Errors
    /// As [`GroupStore::add_group`]; [`StoreError::NotFound`](super::StoreError::NotFound) when there is none.
    async fn update_group(&self, group: &Group) -> Result<()>;

    /// Removes a group; its members stay, and have changed. The groups below it are below none afterwards: what was had by way
    /// of a group goes with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is none; [`Rule::AllUsers`](super::Rule::AllUsers).
    async fn remove_group(&self, id: &GroupId) -> Result<()>;
}

/// What takes one record out in favour of another, and what takes the person out of a record.
#[async_trait]
pub trait MergeStore: Send + Sync {
    /// Moves the memberships of `from` to `into`, unless that one is declared, removes `from` and records the revocation of what
    /// was granted to it. `updated` is the time of the change. Returns the user that stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when one of them is none;
    /// [`Rule::Itself`](super::Rule::Itself), [`Rule::Guest`](super::Rule::Guest),
    /// [`Rule::LastAdministrator`](super::Rule::LastAdministrator): rights do not move.
    async fn merge_user(
        &self,
        from: &UserId,
        into: &UserId,
        updated: Timestamp,
        revocation: &Revocation,
    ) -> Result<User>;

    /// Takes everything out of a user that tells who it was: login and name become `login`, address, password, profile, last
    /// access, groups and consents are gone, it is banned and marked as erased at the time of the revocation, which is recorded.
    ///
    /// # Errors
    /// As [`UserStore::change_user`]; [`Rule::Guest`](super::Rule::Guest).
    async fn erase_user(&self, id: &UserId, login: &str, revocation: &Revocation) -> Result<User>;

    /// Moves the members of `from` and the groups below it to `into` and removes `from`. When `into` is the group of all
    /// users, the groups below `from` are below none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when one of them is none;
    /// [`Rule::Itself`](super::Rule::Itself), [`Rule::AllUsers`](super::Rule::AllUsers),
    /// [`Rule::Cycle`](super::Rule::Cycle) when `into` is below `from`, [`Rule::Nesting`](super::Rule::Nesting).
    async fn merge_group(&self, from: &GroupId, into: &GroupId) -> Result<()>;
}

/// Sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session under the digest of its cookie and, in the same transaction, takes away the one that it replaces,
    /// recording `revocation` where one is given: replaced for the same user it ends nothing else, for another it does.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](super::StoreError::NotFound) when there is no such user, or the user was revoked later than
    /// `session.authenticated`: whoever was judged before a ban or a new password gets no session after it; so too when a
    /// session of this id was ended. Nothing is written then. [`StoreError::Conflict`](super::StoreError::Conflict) when there is a session of this id or digest.
    async fn begin_session(
        &self,
        session: &Session,
        digest: &TokenDigest,
        replaced: Option<(&SessionId, Option<&Revocation>)>,
    ) -> Result<()>;

    /// The session of this cookie and its user. `None` also when the user is gone; expiry and bans are the caller's to judge.
    async fn find_session(&self, digest: &TokenDigest) -> Result<Option<(Session, User)>>;

    /// Notes a use, unless a later one is known; it is the user's last access too. A session that is gone meanwhile stays gone.
    async fn touch_session(&self, id: &SessionId, used: Timestamp, address: &str) -> Result<()>;

    /// Ends a session and records the revocation of what came of it. Returns whether there was one; without one nothing is
    /// recorded.
    async fn end_session(&self, id: &SessionId, revocation: &Revocation) -> Result<bool>;

    /// The sessions of a user, the one last used first.
    async fn list_sessions(&self, user: &UserId) -> Result<Vec<Session>>;

    /// Forgets sessions that are not live at `now`. What came of them lives on. Returns how many.
    async fn purge_sessions(&self, life: SessionLife, now: Timestamp) -> Result<u64>;
}
