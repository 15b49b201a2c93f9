//! The permanent tokens and application passwords that the gate knows, in memory, because deciding on a request touches
//! no store; and which of them were used, until that is written.
//!
//! Invariants: what is not in here opens nothing. A change is entered before the epoch moves, so a verdict that has seen the
//! new epoch has seen the change. Noting a use never waits for more than another such note.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use dashmap::DashMap;

use super::revocations::Revocations;
use crate::{
    base::{
        id::{ServiceId, TokenId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::credential::{CredentialKind, KnownCredential},
    oauth::token::claims::AccessClaims,
    store::credentials::{CredentialUse, Credentials as Changes},
};

/// `exp` of what never expires: the end of the year 9999, the last that every library can write.
pub const NEVER: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Characters that are kept of a user agent.
const LONGEST_AGENT: usize = 200;

/// What `X-Forwarded-Scope` says of an application password.
const EVERY_SERVICE: &str = "*";

/// A credential and its latest use.
#[derive(Debug)]
pub struct Credential {
    /// What is known of it.
    pub known: KnownCredential,
    /// When it was last used, in milliseconds.
    used: AtomicI64,
    /// Address and user agent of the last use, where they are noted.
    source: Mutex<Option<(IpAddr, String)>>,
    /// Whether its use waits to be written.
    waiting: AtomicBool,
}

impl Credential {
    fn new(known: KnownCredential) -> Self {
        Self { known, used: AtomicI64::new(0), source: Mutex::default(), waiting: AtomicBool::new(false) }
    }

    /// Notes from where it is used.
    pub fn used_from(&self, address: IpAddr, agent: &[u8]) {
        let agent = String::from_utf8_lossy(agent);
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = source.as_ref().is_some_and(|(from, name)| {
            *from == address && name.chars().eq(agent.chars().take(LONGEST_AGENT))
        });
        if !is_known {
            *source = Some((address, agent.chars().take(LONGEST_AGENT).collect()));
        }
    }

    /// The claims of a token that would be as good as it. They come from no client: the gateway's own service stands there.
    #[must_use]
    pub fn claims(&self, issuer: &str) -> AccessClaims {
        let known = &self.known;
        let every_service = known.kind == CredentialKind::ApplicationPassword;
        let scope = if every_service {
            EVERY_SERVICE.to_owned()
        } else {
            known.scope.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(" ")
        };
        AccessClaims {
            iss: issuer.to_owned(),
            sub: known.user.as_str().to_owned(),
            aud: known.scope.clone(),
            client_id: ServiceId::hub(),
            scope,
            iat: known.created.seconds(),
            exp: NEVER.seconds(),
            nbf: None,
            jti: known.id.to_string(),
            grant_id: None,
            sid: None,
            credential: Some(known.kind),
            every_service,
        }
    }
}

/// Credentials by digest and by id. As many as the store has.
#[derive(Debug, Default)]
pub struct Credentials {
    by_digest: DashMap<TokenDigest, Arc<Credential>>,
    by_id: DashMap<TokenId, Arc<Credential>>,
    /// Whose use is to be written; each once.
    waiting: Mutex<Vec<Arc<Credential>>>,
}

impl Credentials {
    /// The credential with this digest.
    #[must_use]
    pub fn find(&self, digest: &TokenDigest) -> Option<Arc<Credential>> {
        self.by_digest.get(digest).map(|credential| Arc::clone(&credential))
    }

    /// Whether this is what is known under its digest.
    #[must_use]
    pub fn has(&self, credential: &Arc<Credential>) -> bool {
        self.by_digest.get(&credential.known.digest).is_some_and(|known| Arc::ptr_eq(&known, credential))
    }

    /// Whether what such claims came of is still there. True of claims that came of no credential.
    #[must_use]
    pub fn stand_behind(&self, claims: &AccessClaims) -> bool {
        let Some(kind) = claims.credential else { return true };
        let credential = claims.token_id().and_then(|id| self.by_id.get(&id).map(|found| Arc::clone(&found)));
        credential.is_some_and(|credential| {
            credential.known.kind == kind && credential.known.user.as_str() == claims.sub
        })
    }

    /// Enters what the store answers to the question what has changed since `since`. If anything has, every remembered
    /// verdict is looked at again.
    pub fn enter(&self, since: i64, changes: Changes, revocations: &Revocations) {
        let mut news = false;
        // An answer that names everything: what it does not name is gone.
        if since == 0 || changes.version < since {
            let named: BTreeSet<[u8; 32]> =
                changes.changed.iter().map(|known| *known.digest.as_bytes()).collect();
            let gone: Vec<TokenDigest> = self
                .by_digest
                .iter()
                .map(|entry| *entry.key())
                .filter(|digest| !named.contains(digest.as_bytes()))
                .collect();
            for digest in gone {
                news |= self.remove(&digest);
            }
        }
        for known in changes.changed {
            if self.by_digest.get(&known.digest).is_none_or(|before| before.known != known) {
                let (digest, id) = (known.digest, known.id);
                let credential = Arc::new(Credential::new(known));
                self.by_id.insert(id, Arc::clone(&credential));
                self.by_digest.insert(digest, credential);
                news = true;
            }
        }
        for digest in changes.removed {
            news |= self.remove(&digest);
        }
        if news {
            revocations.advance();
        }
    }

    fn remove(&self, digest: &TokenDigest) -> bool {
        let Some((_, credential)) = self.by_digest.remove(digest) else { return false };
        self.by_id.remove_if(&credential.known.id, |_, known| Arc::ptr_eq(known, &credential));
        true
    }

    /// Notes a use.
    pub fn used(&self, credential: &Arc<Credential>, now: Timestamp) {
        credential.used.store(now.millis(), Ordering::Relaxed);
        if !credential.waiting.load(Ordering::Relaxed) && !credential.waiting.swap(true, Ordering::AcqRel) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(credential));
        }
    }

    /// The uses that are to be written, at most `limit` of them; they count as written from here on.
    #[must_use]
    pub fn take_uses(&self, limit: usize) -> Vec<CredentialUse> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = {
            let limit = limit.min(waiting.len());
            waiting.split_off(limit)
        };
        let taken = std::mem::replace(&mut *waiting, rest);
        drop(waiting);
        taken
            .iter()
            .map(|credential| {
                // Before the time is read: a use from now on is noted again.
                credential.waiting.store(false, Ordering::Release);
                let source = credential.source.lock().unwrap_or_else(PoisonError::into_inner);
                CredentialUse {
                    id: credential.known.id,
                    at: Timestamp::from_millis(credential.used.load(Ordering::Relaxed)),
                    source: source.as_ref().map(|(address, agent)| (address.to_string(), agent.clone())),
                }
            })
            .collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::UserId;

    fn known(number: u8, kind: CredentialKind, scope: &[&str]) -> KnownCredential {
        KnownCredential {
            kind,
            id: TokenId::from_bytes([number; 16]),
            digest: TokenDigest::of(&[number]),
            user: UserId::parse("jane").unwrap(),
            scope: scope.iter().map(|id| ServiceId::parse(id).unwrap()).collect(),
            created: Timestamp::from_seconds(1000),
        }
    }

    fn token(number: u8, scope: &[&str]) -> KnownCredential {
        known(number, CredentialKind::PermanentToken, scope)
    }

    #[test]
    fn changes_are_entered_and_move_the_epoch_only_when_they_are_any() {
        let (credentials, revocations) = (Credentials::default(), Revocations::default());
        let enter = |since, version, changed: Vec<KnownCredential>, removed: &[u8]| {
            let before = revocations.epoch();
            let removed = removed.iter().map(|number| TokenDigest::of(&[*number])).collect();
            credentials.enter(since, Changes { version, changed, removed }, &revocations);
            assert_eq!(credentials.by_digest.len(), credentials.by_id.len());
            (revocations.epoch() != before, credentials.len())
        };
        assert_eq!(enter(0, 0, vec![], &[]), (false, 0));
        assert_eq!(enter(0, 2, vec![token(1, &["a"]), token(2, &["a"])], &[]), (true, 2));
        let one = credentials.find(&TokenDigest::of(&[1])).unwrap();
        assert_eq!(enter(2, 3, vec![token(1, &["a"])], &[]), (false, 2));
        assert!(Arc::ptr_eq(&one, &credentials.find(&TokenDigest::of(&[1])).unwrap()));
        assert_eq!(enter(3, 4, vec![token(1, &["b"])], &[9]), (true, 2));
        assert_eq!(credentials.find(&TokenDigest::of(&[1])).unwrap().known.scope.len(), 1);
        assert_eq!(enter(4, 5, vec![], &[2]), (true, 1));
        // An older copy of the database was put back: the answer names everything that it has.
        assert_eq!(enter(5, 2, vec![token(2, &["a"])], &[]), (true, 1));
        assert!(credentials.find(&TokenDigest::of(&[1])).is_none());
        assert_eq!(enter(0, 7, vec![], &[]), (true, 0));
        assert!(credentials.is_empty());
    }

    #[test]
    fn claims_say_whose_it_is_and_what_it_is_for() {
        let claims = Credential::new(token(1, &["a", "b"])).claims("i");
        assert_eq!((claims.sub.as_str(), claims.client_id.as_str()), ("jane", ServiceId::HUB));
        assert_eq!((claims.scope.as_str(), claims.iat, claims.expires()), ("a b", 1000, NEVER));
        assert!(claims.covers("a") && claims.covers("b") && !claims.covers("c") && !claims.is_service());
        assert_eq!(claims.token_id(), Some(TokenId::from_bytes([1; 16])));
        let claims = Credential::new(known(1, CredentialKind::ApplicationPassword, &[])).claims("i");
        assert!(claims.covers("a") && claims.covers(ServiceId::HUB));
        assert_eq!(claims.scope, "*");
    }

    #[test]
    fn what_came_of_a_credential_stands_and_falls_with_it() {
        let (credentials, revocations) = (Credentials::default(), Revocations::default());
        let changes = |changed, removed| Changes { version: 1, changed, removed };
        credentials.enter(0, changes(vec![token(1, &["a"])], vec![]), &revocations);
        let good = credentials.find(&TokenDigest::of(&[1])).unwrap().claims("i");
        assert!(credentials.stand_behind(&good));
        for bad in [
            AccessClaims { sub: "joe".into(), ..good.clone() },
            AccessClaims { jti: TokenId::from_bytes([2; 16]).to_string(), ..good.clone() },
            AccessClaims { jti: "none".into(), ..good.clone() },
            AccessClaims { credential: Some(CredentialKind::ApplicationPassword), ..good.clone() },
        ] {
            assert!(!credentials.stand_behind(&bad), "{bad:?}");
        }
        assert!(credentials.stand_behind(&AccessClaims {
            credential: None,
            jti: "none".into(),
            ..good.clone()
        }));
        credentials.enter(1, changes(vec![], vec![TokenDigest::of(&[1])]), &revocations);
        assert!(!credentials.stand_behind(&good));
    }

    #[test]
    fn uses_are_handed_out_once_and_a_few_at_a_time() {
        let (credentials, revocations) = (Credentials::default(), Revocations::default());
        let changed = (1..=3).map(|number| token(number, &["a"])).collect();
        credentials.enter(0, Changes { version: 1, changed, removed: vec![] }, &revocations);
        let at = Timestamp::from_seconds;
        for seconds in 1..=5 {
            for number in 1..=3 {
                credentials.used(&credentials.find(&TokenDigest::of(&[number])).unwrap(), at(seconds));
            }
        }
        let one = credentials.find(&TokenDigest::of(&[3])).unwrap();
        one.used_from("192.0.2.1".parse().unwrap(), "é".repeat(300).as_bytes());
        let (first, second) = (credentials.take_uses(2), credentials.take_uses(2));
        assert_eq!((first.len(), second.len(), credentials.take_uses(2).len()), (2, 1, 0));
        assert!(first.iter().chain(&second).all(|used| used.at == at(5)));
        let source =
            first.iter().chain(&second).find(|used| used.id == one.known.id).unwrap().source.clone().unwrap();
        assert_eq!((source.0.as_str(), source.1), ("192.0.2.1", "é".repeat(200)));
        credentials.used(&one, at(6));
        assert_eq!(credentials.take_uses(2)[0].at, at(6));
    }
}
