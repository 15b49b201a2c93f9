//! The live revocations of this process, and the epoch that makes a remembered verdict look at them again.
//!
//! Invariant: whoever reads the epoch, then the revocations, and finds nothing, may trust that until the epoch moves.
//! A revocation is entered before the epoch moves, so no verdict can slip between.

use std::{
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

use dashmap::{DashMap, Entry};
use serde::Serialize;

use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    model::revocation::{Revocation, RevocationTarget},
    oauth::token::claims::AccessClaims,
};

/// What has ended a token before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// It was revoked itself.
    Token,
    /// The grant that it came of was: by its refresh token, or because that was used twice.
    Grant,
    /// The session in which it was granted has ended.
    Session,
    /// Everything that its client had was revoked: a new secret, or a removal.
    Client,
    /// Everything that its user had was revoked: a new password, a ban or a removal.
    User,
    /// The user has taken the consent back.
    Consent,
}

/// Which tokens are dead before their time.
#[derive(Debug, Default)]
pub struct Revocations {
    /// By what is dead as a whole, until when each is kept.
    tokens: DashMap<TokenId, Timestamp>,
    grants: DashMap<GrantId, Timestamp>,
    sessions: DashMap<SessionId, Timestamp>,
    /// By whose tokens are dead up to a moment.
    clients: DashMap<ServiceId, UpTo>,
    users: DashMap<UserId, UpTo>,
    consents: DashMap<(UserId, ServiceId), UpTo>,
    epoch: AtomicU64,
}

/// What was issued up to `revoked` is dead.
#[derive(Debug, Clone, Copy)]
struct UpTo {
    revoked: Timestamp,
    expires: Timestamp,
}

impl UpTo {
    /// Whether it is news to `map`. What is there is only ever put later.
    fn enter<K: Eq + Hash>(self, map: &DashMap<K, Self>, key: K) -> bool {
        match map.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self);
                true
            }
            Entry::Occupied(mut place) => {
                let known = place.get_mut();
                let news = known.revoked < self.revoked;
                known.revoked = known.revoked.max(self.revoked);
                known.expires = known.expires.max(self.expires);
                news
            }
        }
    }

    /// Of what people grant, the moment of the grant decides: it is known to the millisecond, and a token that is made later
    /// of an earlier grant is as dead as the grant.
    fn hits_grant(self, claims: &AccessClaims) -> bool {
        match claims.grant_id.as_ref().and_then(GrantId::time) {
            Some(granted) => granted <= self.revoked,
            None => self.hits(claims),
        }
    }

    /// `iat` has whole seconds: a token of the same second as the revocation is dead too. Fail closed.
    const fn hits(self, claims: &AccessClaims) -> bool {
        claims.iat <= self.revoked.seconds()
    }
}

/// Whether it is news to `map` that `key` is dead, and kept until `expires`.
fn bury<K: Eq + Hash>(map: &DashMap<K, Timestamp>, key: K, expires: Timestamp) -> bool {
    let mut news = false;
    let mut kept = map.entry(key).or_insert_with(|| {
        news = true;
        expires
    });
    *kept = expires.max(*kept);
    news
}

impl Revocations {
    /// The number that moves with every new revocation.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Enters revocations; known ones change nothing.
    pub fn enter(&self, revocations: &[Revocation]) {
        let mut news = false;
        for revocation in revocations {
            let expires = revocation.expires;
            let up_to = UpTo { revoked: revocation.revoked, expires };
            news |= match &revocation.target {
                RevocationTarget::Token(id) => bury(&self.tokens, *id, expires),
                RevocationTarget::Grant(id) => bury(&self.grants, id.clone(), expires),
                RevocationTarget::Session(id) => bury(&self.sessions, id.clone(), expires),
                RevocationTarget::Client(id) => up_to.enter(&self.clients, id.clone()),
                RevocationTarget::User(id) => up_to.enter(&self.users, id.clone()),
                RevocationTarget::Consent(user, client) => {
                    up_to.enter(&self.consents, (user.clone(), client.clone()))
                }
            };
        }
        if news {
            self.advance();
        }
    }

    /// Moves the epoch: every remembered verdict is looked at again.
    pub fn advance(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether a token with these claims is dead.
    #[must_use]
    pub fn hit(&self, claims: &AccessClaims) -> bool {
        let dead = claims.token_id().is_none_or(|id| self.tokens.contains_key(&id))
            || claims.grant_id.as_ref().is_some_and(|id| self.grants.contains_key(id))
            || claims.sid.as_ref().is_some_and(|id| self.sessions.contains_key(id));
        if dead || claims.credential.is_some() {
            // What a person has made for a program outlives a new password of theirs; the credential itself is there or not.
            return dead;
        }
        self.clients.get(&claims.client_id).is_some_and(|up_to| up_to.hits(claims))
            || !claims.is_service() && self.user_hit(claims)
    }

    fn user_hit(&self, claims: &AccessClaims) -> bool {
        // What names no user that there could be is dead.
        let Ok(user) = UserId::parse(&claims.sub) else { return true };
        if self.users.get(&user).is_some_and(|up_to| up_to.hits_grant(claims)) {
            return true;
        }
        let consent = (user, claims.client_id.clone());
        self.consents.get(&consent).is_some_and(|up_to| up_to.hits_grant(claims))
    }

    /// What has ended a token with these claims, if [`Revocations::hit`] says that it is dead.
    #[must_use]
    pub fn ended_by(&self, claims: &AccessClaims) -> Option<EndedBy> {
        if !self.hit(claims) {
            return None;
        }
        let user = UserId::parse(&claims.sub).ok();
        let whole = |user: &UserId| self.users.get(user).is_some_and(|up_to| up_to.hits_grant(claims));
        Some(if claims.token_id().is_none_or(|id| self.tokens.contains_key(&id)) {
            EndedBy::Token
        } else if claims.grant_id.as_ref().is_some_and(|id| self.grants.contains_key(id)) {
            EndedBy::Grant
        } else if claims.sid.as_ref().is_some_and(|id| self.sessions.contains_key(id)) {
            EndedBy::Session
        } else if self.clients.get(&claims.client_id).is_some_and(|up_to| up_to.hits(claims)) {
            EndedBy::Client
        } else if user.as_ref().is_none_or(whole) {
            EndedBy::User
        } else {
            EndedBy::Consent
        })
    }

    /// Whether this target is among them.
    #[must_use]
    pub fn names(&self, target: &RevocationTarget) -> bool {
        match target {
            RevocationTarget::Token(id) => self.tokens.contains_key(id),
            RevocationTarget::Grant(id) => self.grants.contains_key(id),
            RevocationTarget::Session(id) => self.sessions.contains_key(id),
            RevocationTarget::Client(id) => self.clients.contains_key(id),
            RevocationTarget::User(id) => self.users.contains_key(id),
            RevocationTarget::Consent(user, client) => {
                self.consents.contains_key(&(user.clone(), client.clone()))
            }
        }
    }

    /// Forgets what has expired at `now`.
    pub fn purge(&self, now: Timestamp) {
        self.tokens.retain(|_, expires| now < *expires);
        self.grants.retain(|_, expires| now < *expires);
        self.sessions.retain(|_, expires| now < *expires);
        self.clients.retain(|_, up_to| now < up_to.expires);
        self.users.retain(|_, up_to| now < up_to.expires);
        self.consents.retain(|_, up_to| now < up_to.expires);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
            + self.grants.len()
            + self.sessions.len()
            + self.clients.len()
            + self.users.len()
            + self.consents.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
