//! Sessions: a person who has signed in on a browser.
//!
//! Invariant: the cookie's value is not part of the record; its digest is what the store looks up.

use std::time::Duration;

use crate::base::{
    id::{SessionId, UserId},
    time::Timestamp,
};

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// Since the last use.
    pub idle: Duration,
    /// Since sign-in, however much it is used.
    pub absolute: Duration,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `sid`
    pub id: SessionId,
    /// Who.
    pub user: UserId,
    /// When the person last proved who they are; `auth_time` (OpenID Connect Core section 2).
    pub authenticated: Timestamp,
    /// When it was last used; written at most once a minute.
    pub used: Timestamp,
    /// Whether the cookie outlives the browser.
    pub remember: bool,
    /// The browser, as it names itself, cut to 200 characters.
    pub user_agent: String,
    /// Where it was last used from.
    pub address: String,
}

impl Session {
    /// Whether it is good at `now`.
    #[must_use]
    pub fn is_live(&self, life: SessionLife, now: Timestamp) -> bool {
        now < self.ends(life)
    }

    /// When it ends, if it is not used until then.
    #[must_use]
    pub fn ends(&self, life: SessionLife) -> Timestamp {
        self.used.plus(life.idle).min(self.authenticated.plus(life.absolute))
    }
}
