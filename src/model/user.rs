//! People: users and groups.
//!
//! Invariant: whoever is banned, or is the guest, cannot sign in; a password is known as a hash only.

use std::fmt;

use super::search::{Filter, UserFilter, UserIs};
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
    /// Groups that it was put into, sorted by id; those above them are not named.
    pub groups: Vec<GroupId>,
    /// What it says of itself.
    pub profile: UserProfile,
    /// When the personal data was taken out, if it was.
    pub erased: Option<Timestamp>,
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

    /// Whether this user may administer the gateway, as things are.
    #[must_use]
    pub const fn may_administer(&self) -> bool {
        self.administrator && self.may_sign_in()
    }

    /// Whether this user may sign in with a password, should one match.
    #[must_use]
    pub const fn may_sign_in(&self) -> bool {
        self.is_active() && !self.guest
    }
}

/// What a user says of itself. Nothing in here grants anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserProfile {
    /// Its picture. Never fetched by the gateway.
    pub avatar_url: Option<String>,
    /// The language of pages, as `en_US`.
    pub locale: Option<String>,
}

/// The last access of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// When.
    pub time: Timestamp,
    /// From where.
    pub address: String,
    /// With which browser.
    pub user_agent: String,
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
    /// What others see beside the name; may be empty.
    pub badge: String,
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
    /// Its picture. Never fetched by the gateway.
    pub icon_url: Option<String>,
    /// The group above: who is in this one is in that one too.
    pub parent: Option<GroupId>,
    /// Whether new users are put into it. Users that the configuration file declares are in the groups that it names.
    pub auto_join: bool,
    /// The one group that everybody but the guest is in, without having been put into it. Neither the gate's rules nor
    /// `X-Forwarded-Groups` know it.
    pub all_users: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Group {
    /// Who is in it.
    #[must_use]
    pub fn filter(&self) -> UserFilter {
        if self.all_users {
            return Filter::Not(Box::new(UserIs::Guest.into()));
        }
        UserIs::InGroup(self.id.clone()).into()
    }
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
    /// Names of groups, with those above them, sorted; `X-Forwarded-Groups`.
    pub groups: Vec<String>,
    /// Whether tokens of this user are refused.
    pub banned: bool,
    /// Whether this is the guest.
    pub guest: bool,
    /// Whether this user administers the gateway.
    pub administrator: bool,
}
