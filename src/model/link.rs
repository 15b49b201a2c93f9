//! Links that are sent by mail: to choose a password, to join, to confirm an address.
//!
//! Invariant: a link is good once, for a time, and only while the address that it was sent to is the user's own.

use std::time::Duration;

use super::user::User;
use crate::base::{id::UserId, time::Timestamp};

/// Bytes of an authorization request that a link goes on with.
pub const LONGEST_QUERY: usize = 4 * 1024;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// Whoever has forgotten the password chooses another.
    Restore,
    /// Whoever was invited chooses the first.
    Invitation,
    /// Whoever reads the mail has the address.
    Address,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Restore, Self::Invitation, Self::Address];

    /// The name in the store and in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Invitation => "invitation",
            Self::Address => "address",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How long such a link is good.
    #[must_use]
    pub const fn life(self) -> Duration {
        match self {
            Self::Restore => Duration::from_secs(3600),
            Self::Invitation => Duration::from_secs(7 * 24 * 3600),
            Self::Address => Duration::from_secs(24 * 3600),
        }
    }

    /// Whether a password is chosen with it. A user has one live link of those that do, and one of those that do not.
    #[must_use]
    pub const fn sets_password(self) -> bool {
        !matches!(self, Self::Address)
    }
}

/// A link, without what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose.
    pub user: UserId,
    /// What for.
    pub kind: LinkKind,
    /// Where it was sent.
    pub address: String,
    /// The query of the authorization request that the person was at; often empty.
    pub query: String,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
}

impl Link {
    /// Whether it is good at `now`, for the user as it is.
    #[must_use]
    pub fn is_good(&self, user: &User, now: Timestamp) -> bool {
        now < self.expires && self.fits(user)
    }

    /// Whether it may be made for the user as it is.
    #[must_use]
    pub fn fits(&self, user: &User) -> bool {
        let address = user.email.as_ref().filter(|email| email.address == self.address);
        let vouched = match self.kind {
            // Who has never shown to read the address may have given another's.
            LinkKind::Restore => address.is_some_and(|email| email.verified) && user.password.is_some(),
            LinkKind::Invitation | LinkKind::Address => address.is_some(),
        };
        // What the configuration file declares is changed there.
        let declared = user.declared && self.kind.sets_password();
        vouched && !declared && user.id == self.user && user.may_sign_in() && user.erased.is_none()
    }
}
