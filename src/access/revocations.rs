//! The live revocations of this process, and the epoch that makes a remembered verdict look at them again.
//!
//! Invariant: whoever reads the epoch, then the revocations, and finds nothing, may trust that until the epoch moves.
//! A revocation is entered before the epoch moves, so no verdict can slip between.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::{
    base::{
        id::{ServiceId, TokenId},
        time::Timestamp,
    },
    model::revocation::{Revocation, RevocationTarget},
    oauth::token::claims::AccessClaims,
};

/// Which tokens are dead before their time.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Until when each is kept.
    tokens: DashMap<TokenId, Timestamp>,
    clients: DashMap<ServiceId, ClientRevocation>,
    epoch: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct ClientRevocation {
    revoked: Timestamp,
    expires: Timestamp,
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
            news |= match &revocation.target {
                RevocationTarget::Token(id) => self.tokens.insert(*id, revocation.expires).is_none(),
                RevocationTarget::Client(id) => {
                    let entry = ClientRevocation { revoked: revocation.revoked, expires: revocation.expires };
                    let before = self.clients.insert(id.clone(), entry);
                    before.is_none_or(|before| before.revoked != revocation.revoked)
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
        let by_token = claims.token_id().is_none_or(|id| self.tokens.contains_key(&id));
        // `iat` has whole seconds: a token of the same second as the revocation is dead too. Fail closed.
        by_token || self.clients.get(&claims.client_id).is_some_and(|r| claims.iat <= r.revoked.seconds())
    }

    /// Forgets what has expired at `now`.
    pub fn purge(&self, now: Timestamp) {
        self.tokens.retain(|_, expires| now < *expires);
        self.clients.retain(|_, revocation| now < revocation.expires);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len() + self.clients.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
