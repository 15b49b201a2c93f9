//! Sessions of browsers, as far as requests have brought them: a verdict on each, by the digest of its cookie; and cookies that
//! were found to be of none.
//!
//! Invariants: a session is asked for anew after a short while, so that its use is noted and its end is the store's; in between
//! its user and its revocation are looked at as for every token. The table is bounded, and what it forgets is asked for again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use dashmap::DashMap;

use super::{Standing, Verdict, Verdicts};
use crate::{
    access::judge::Judge,
    base::{
        id::{GrantId, ServiceId, TokenId},
        random::Random,
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::session::Session,
    oauth::token::claims::AccessClaims,
};

/// How long the control plane's word on a session is good.
const FRESH: Duration = Duration::from_secs(10);

/// The sessions that are remembered.
#[derive(Debug)]
pub struct LiveSessions {
    /// Each with the moment from which on it has to be asked for again.
    known: DashMap<TokenDigest, (Option<Arc<Verdict>>, Timestamp)>,
    capacity: usize,
}

impl LiveSessions {
    /// A table for at most `capacity` sessions.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { known: DashMap::new(), capacity: capacity.max(1) }
    }

    /// The verdict on the session of this cookie, or that there is none; `None` where it has to be asked for.
    #[must_use]
    pub fn recall(
        &self,
        digest: &TokenDigest,
        verdicts: &Verdicts,
        judge: Judge<'_>,
    ) -> Option<Option<Arc<Verdict>>> {
        let (verdict, until) = self.known.get(digest).map(|entry| (entry.0.clone(), entry.1))?;
        if judge.now >= until {
            return None;
        }
        let Some(verdict) = verdict else { return Some(None) };
        match verdict.standing(verdicts, judge) {
            Ok(Standing::Unchanged) => Some(Some(verdict)),
            Ok(Standing::Outdated(person, epoch)) => {
                let current = Arc::new(verdict.exchanged(person, epoch));
                self.known.insert(*digest, (Some(Arc::clone(&current)), until));
                Some(Some(current))
            }
            Ok(Standing::Stale) | Err(_) => {
                self.known.remove(digest);
                None
            }
        }
    }

    /// Enters a session that is good until `ends`, as the control plane has found it. `None` when somebody has ended it
    /// meanwhile, or its user may not act.
    pub fn enter(
        &self,
        digest: TokenDigest,
        (session, ends): (&Session, Timestamp),
        (verdicts, judge): (&Verdicts, Judge<'_>),
        random: &dyn Random,
    ) -> Option<Arc<Verdict>> {
        // The epoch is read first: what is revoked from here on is news to this verdict.
        let epoch = judge.revocations.epoch();
        let claims = claims(session, ends, judge.issuer, random);
        let person = judge.parties(&claims).ok().filter(|_| judge.now < ends)?;
        let verdict = Arc::new(Verdict {
            client: verdicts.uses.of(&claims.client_id),
            claims,
            person,
            credential: None,
            key: None,
            epoch: AtomicU64::new(epoch),
            born: epoch,
            recent: AtomicBool::new(false),
            scoped: Mutex::default(),
        });
        self.remember(digest, Some(Arc::clone(&verdict)), judge.now);
        Some(verdict)
    }

    /// Forgets a session whose cookie was replaced.
    pub fn forget(&self, digest: &TokenDigest) {
        self.known.remove(digest);
    }

    /// Enters that a cookie is of no session.
    pub fn enter_none(&self, digest: TokenDigest, now: Timestamp) {
        self.remember(digest, None, now);
    }

    fn remember(&self, digest: TokenDigest, verdict: Option<Arc<Verdict>>, now: Timestamp) {
        if self.known.len() >= self.capacity {
            self.purge(now);
        }
        if self.known.len() >= self.capacity {
            self.known.clear();
        }
        self.known.insert(digest, (verdict, now.plus(FRESH)));
    }

    /// Forgets those that have to be asked for again.
    pub fn purge(&self, now: Timestamp) {
        self.known.retain(|_, (_, until)| now < *until);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// What a token of this session for the service that is asked for would say. It comes from no client: the gateway's own
/// service stands there. The moment of the sign-in is that of the grant, to the millisecond.
fn claims(session: &Session, ends: Timestamp, issuer: &str, random: &dyn Random) -> AccessClaims {
    AccessClaims {
        iss: issuer.to_owned(),
        sub: session.user.as_str().to_owned(),
        aud: Vec::new(),
        client_id: ServiceId::hub(),
        scope: String::new(),
        iat: session.authenticated.seconds(),
        exp: ends.seconds(),
        nbf: None,
        jti: TokenId::random(random).to_string(),
        grant_id: Some(GrantId::made(session.authenticated, random)),
        sid: Some(session.id.clone()),
        credential: None,
        every_service: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let digest = |number: u32| TokenDigest::of(&number.to_be_bytes());
        let sessions = LiveSessions::new(100);
        for number in 0..1000 {
            sessions.enter_none(digest(number), now);
            assert!(sessions.len() <= 100 && !sessions.is_empty());
        }
        assert!(sessions.known.contains_key(&digest(999)), "what came last is there");
        sessions.purge(now.plus(FRESH).minus(Duration::from_millis(1)));
        assert!(!sessions.is_empty());
        sessions.purge(now.plus(FRESH));
        assert!(sessions.is_empty());
    }
}
