//! People: users and groups.
//!
//! Invariant: whoever is banned, or is the guest, cannot sign in; a password is known as a hash only.

use std::fmt;

use crate::base::{
    id::{GroupId, UserId},
    time::Timestamp,
};

/// The login of the guest, the user on whose behalf requests without a session act while the guest is not banned.
pub const GUEST_LOGIN: &str = "guest";

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `sub` of tokens; never changes.
    pub id: UserId,
    /// What one types to sign in; unique without regard to case.
    pub login: String,
    /// What people see.
    pub name: String,
    /// The address, unique without regard to case.
    pub email: Option<Email>,
    /// `None`: cannot sign in by password.
    pub password: Option<Password>,
    /// Shut out, if so.
    pub ban: Option<Ban>,
    /// The one user that stands for nobody in particular.
    pub guest: bool,
    /// May administer the gateway.
    pub administrator: bool,
    /// Groups, sorted by id.
    pub groups: Vec<GroupId>,
    /// Whether `gateway.toml` declares it, so that its settings are changed there.
    pub declared: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl User {
    /// Whether this user may hold sessions and tokens.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.ban.is_none()
    }

    /// Whether this user may sign in with a password, should one match.
    #[must_use]
    pub const fn may_sign_in(&self) -> bool {
        self.is_active() && !self.guest
    }
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As it was given.
    pub address: String,
    /// Whether its owner has shown to read it.
    pub verified: bool,
}

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The hash in PHC form (`$argon2id$…`), or bcrypt's own (`$2b$…`) where it was imported.
    pub hash: String,
    /// When it was set.
    pub set: Timestamp,
    /// Good for one sign-in, at which its owner chooses another.
    pub must_change: bool,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password")
            .field("set", &self.set)
            .field("must_change", &self.must_change)
            .finish_non_exhaustive()
    }
}

/// Why and since when a user is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// For administrators; may be empty.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique without regard to case; what rules and `X-Forwarded-Groups` say.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What the gate knows of a user: enough to decide and to tell an upstream, nothing that opens anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `sub`
    pub id: UserId,
    /// `X-Forwarded-Preferred-Username`
    pub login: String,
    /// The name that people see.
    pub name: String,
    /// `X-Forwarded-Email`
    pub email: Option<Email>,
    /// Names of groups, sorted; `X-Forwarded-Groups`.
    pub groups: Vec<String>,
    /// Whether tokens of this user are refused.
    pub banned: bool,
    /// Whether this is the guest.
    pub guest: bool,
    /// Whether this user administers the gateway.
    pub administrator: bool,
}
