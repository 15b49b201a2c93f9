//! Verdicts on tokens: verified once, remembered under the token's digest, looked at again on every use.
//!
//! Invariants: a remembered verdict is used only while its token lives and no revocation hits it; the memory is
//! bounded, whatever is presented; tokens that do not verify are never remembered.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dashmap::DashMap;
use http::HeaderValue;

use super::revocations::Revocations;
use crate::{
    base::{id::ServiceId, time::Timestamp},
    crypto::{digest::TokenDigest, jws::SigningKey, keyring::Keyring},
    model::registry::Registry,
    oauth::token::{
        claims::AccessClaims,
        issue::Issuer,
        verify::{self, TokenError},
    },
};

/// What is known about one token.
#[derive(Debug)]
pub struct Verdict {
    /// The verified claims.
    pub claims: AccessClaims,
    /// The epoch at which it was last held against the revocations.
    epoch: AtomicU64,
    /// The epoch at which it was made.
    born: u64,
    /// Used since the memory last looked for room.
    recent: AtomicBool,
    /// The tokens that upstreams got in place of this one.
    scoped: Mutex<Vec<Scoped>>,
}

/// A token of ours for one upstream's service.
#[derive(Debug, Clone)]
pub struct Scoped {
    service: ServiceId,
    /// `Bearer …`
    pub authorization: HeaderValue,
    /// When a new one is due.
    pub renew: Timestamp,
}

/// Where keys and revocations are looked up.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// The services.
    pub registry: &'a Registry,
    /// `iss`
    pub issuer: &'a str,
    /// The revocations.
    pub revocations: &'a Revocations,
    /// The moment.
    pub now: Timestamp,
}

impl Judge<'_> {
    /// Whether the client is still there, and neither it nor the token revoked.
    fn registered_and_not_revoked(&self, claims: &AccessClaims) -> Result<(), TokenError> {
        if self.registry.by_id(claims.client_id.as_str()).is_none() {
            return Err(TokenError::ClientGone);
        }
        if self.revocations.hit(claims) { Err(TokenError::Revoked) } else { Ok(()) }
    }
}

impl Verdict {
    /// Whether the token is still good: expiry each time; issuer, client and revocations when there is news.
    ///
    /// # Errors
    /// [`TokenError`], why not any more.
    pub fn still_good(&self, verdicts: &Verdicts, judge: Judge<'_>) -> Result<(), TokenError> {
        if judge.now >= self.claims.expires() {
            return Err(TokenError::Expired);
        }
        let epoch = judge.revocations.epoch();
        if self.epoch.load(Ordering::Acquire) != epoch {
            if self.born < verdicts.floor.load(Ordering::Acquire) {
                return Err(TokenError::Revoked);
            }
            if self.claims.iss != judge.issuer {
                return Err(TokenError::WrongIssuer);
            }
            judge.registered_and_not_revoked(&self.claims)?;
            self.epoch.store(epoch, Ordering::Release);
        }
        Ok(())
    }

    /// Whether the services in scope include this one.
    #[must_use]
    pub fn covers(&self, service: &ServiceId) -> bool {
        self.claims.aud.contains(service)
    }

    /// The token that the upstream of `service` gets in place of this one: made once, then remembered.
    #[must_use]
    pub fn scoped(&self, service: &ServiceId, key: &SigningKey, now: Timestamp) -> Option<Scoped> {
        let mut known = self.scoped.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|scoped| now < scoped.renew);
        if let Some(scoped) = known.iter().find(|scoped| scoped.service == *service) {
            return Some(scoped.clone());
        }
        let (token, end) = Issuer::scoped(&self.claims, service, service.as_str(), key, now).ok()?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        // The upstream may look at it a little later than we do.
        let renew = Timestamp::from_millis(end.millis() - (end.millis() - now.millis()) / 5);
        let scoped = Scoped { service: service.clone(), authorization, renew };
        known.push(scoped.clone());
        Some(scoped)
    }
}

/// Of the hash of digests, which nobody can choose: random for each process and cheap is enough.
type Seed = foldhash::fast::RandomState;

/// The memory of verdicts.
#[derive(Debug)]
pub struct Verdicts {
    known: DashMap<TokenDigest, Arc<Verdict>, Seed>,
    /// The order of arrival, for making room. Only an insert takes it, never a hit.
    order: Mutex<VecDeque<TokenDigest>>,
    capacity: usize,
    /// Verdicts from before this epoch are void.
    floor: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Verdicts {
    /// A memory for at most `capacity` verdicts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            known: DashMap::with_hasher(Seed::default()),
            order: Mutex::new(VecDeque::new()),
            capacity: capacity.max(1),
            floor: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The verdict on a token that is remembered, if it is: still good, or why not any more.
    pub fn recall(&self, token: &[u8], judge: Judge<'_>) -> Option<Result<Arc<Verdict>, TokenError>> {
        let digest = TokenDigest::of(token);
        let verdict = self.known.get(&digest).map(|entry| Arc::clone(&entry))?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        let outcome = verdict.still_good(self, judge);
        if outcome.is_err() {
            self.known.remove(&digest);
        }
        verdict.recent.store(true, Ordering::Relaxed);
        Some(outcome.map(|()| verdict))
    }

    /// Verifies a token that is not remembered, and remembers the verdict.
    ///
    /// # Errors
    /// [`TokenError`], why the token is not accepted.
    pub fn verify(&self, token: &[u8], judge: Judge<'_>) -> Result<Arc<Verdict>, TokenError> {
        self.misses.fetch_add(1, Ordering::Relaxed);
        // The epoch is read first: what is revoked from here on is news to this verdict.
        let epoch = judge.revocations.epoch();
        let claims = verify::verify(token, judge.keyring, judge.issuer, judge.now)?;
        judge.registered_and_not_revoked(&claims)?;
        let verdict = Arc::new(Verdict {
            claims,
            epoch: AtomicU64::new(epoch),
            born: epoch,
            recent: AtomicBool::new(false),
            scoped: Mutex::new(Vec::new()),
        });
        self.remember(TokenDigest::of(token), Arc::clone(&verdict));
        Ok(verdict)
    }

    /// Second-chance eviction: the oldest that was not used since the last look goes.
    fn remember(&self, digest: TokenDigest, verdict: Arc<Verdict>) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        // Each round takes away a mark or an entry, so two rounds are enough.
        for _ in 0..2 * order.len() {
            if order.len() < self.capacity {
                break;
            }
            let Some(oldest) = order.pop_front() else { break };
            let used = self.known.get(&oldest).is_some_and(|v| v.recent.swap(false, Ordering::Relaxed));
            if used {
                order.push_back(oldest);
            } else {
                self.known.remove(&oldest);
            }
        }
        if self.known.insert(digest, verdict).is_none() {
            order.push_back(digest);
        }
    }

    /// Voids everything that is remembered, also where a connection still holds it.
    pub fn forget_all(&self, revocations: &Revocations) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        // The floor rises before the epoch moves: whoever sees the new epoch sees the floor.
        self.floor.store(revocations.epoch() + 1, Ordering::Release);
        revocations.advance();
        self.known.clear();
        order.clear();
    }

    /// Drops verdicts on tokens that have expired.
    pub fn purge(&self, now: Timestamp) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        self.known.retain(|_, verdict| now < verdict.claims.expires());
        order.retain(|digest| self.known.contains_key(digest));
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Look-ups that found a verdict, and those that did not, since the start.
    #[must_use]
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        base::{id::TokenId, random::SystemRandom},
        crypto::{keyring, seal::SealingKey},
        model::{
            key::Algorithm,
            revocation::{Revocation, RevocationTarget},
            scope::GrantedScope,
            service::{Profile, Service, Trust},
        },
        oauth::grant::Granted,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn registry(with_client: bool) -> Registry {
        let client = Service {
            id: ServiceId::parse("client").unwrap(),
            name: "Client".into(),
            trust: Trust::default(),
            profile: Profile::default(),
            secrets: vec![],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        Registry::new(with_client.then_some(client), "u")
    }

    struct Bench {
        keyring: Keyring,
        registry: Registry,
        revocations: Revocations,
        verdicts: Verdicts,
    }

    impl Bench {
        fn new(capacity: usize) -> Self {
            let sealing = SealingKey::new(&[1; 32]).unwrap();
            let record = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
            let keyring = Keyring::open(&[record], &sealing).unwrap();
            Self {
                keyring,
                registry: registry(true),
                revocations: Revocations::default(),
                verdicts: Verdicts::new(capacity),
            }
        }

        fn token(&self) -> (String, TokenId) {
            let client = ServiceId::parse("client").unwrap();
            let granted = Granted {
                subject: "client".into(),
                client,
                scope: GrantedScope { spelled: "yt".into(), services: vec![ServiceId::parse("yt").unwrap()] },
                family: None,
            };
            let issued =
                Issuer::new("i", HOUR).issue(granted, self.keyring.signing(), NOW, &SystemRandom).unwrap();
            (issued.access_token, issued.token_id)
        }

        fn judge(&self, now: Timestamp) -> Judge<'_> {
            let Self { keyring, registry, revocations, .. } = self;
            Judge { keyring, registry, issuer: "i", revocations, now }
        }

        fn ask(&self, token: &str, now: Timestamp) -> Result<Arc<Verdict>, TokenError> {
            let judge = self.judge(now);
            let token = token.as_bytes();
            self.verdicts.recall(token, judge).unwrap_or_else(|| self.verdicts.verify(token, judge))
        }
    }

    #[test]
    fn a_hit_looks_at_expiry_and_revocation_again() {
        let bench = Bench::new(10);
        let (token, id) = bench.token();
        let first = bench.ask(&token, NOW).unwrap();
        let second = bench.ask(&token, NOW.plus(HOUR / 2)).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(bench.verdicts.hits_and_misses(), (1, 1));
        assert_eq!(bench.ask(&token, NOW.plus(HOUR)).unwrap_err(), TokenError::Expired);
        bench.ask(&token, NOW).unwrap();
        let revocation =
            Revocation { target: RevocationTarget::Token(id), revoked: NOW, expires: NOW.plus(HOUR) };
        bench.revocations.enter(std::slice::from_ref(&revocation));
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::Revoked);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::Revoked);
        assert_eq!(first.still_good(&bench.verdicts, bench.judge(NOW)).unwrap_err(), TokenError::Revoked);
        let epoch = bench.revocations.epoch();
        bench.revocations.enter(&[revocation]);
        assert_eq!(bench.revocations.epoch(), epoch, "old news must not cost every verdict a look");
        assert!(bench.ask(&bench.token().0, NOW).is_ok());
    }

    #[test]
    fn a_revoked_client_loses_what_it_had_and_not_what_comes_later() {
        let bench = Bench::new(10);
        let (token, _) = bench.token();
        bench.ask(&token, NOW).unwrap();
        let target = RevocationTarget::Client(ServiceId::parse("client").unwrap());
        let before = NOW.minus(Duration::from_secs(1));
        bench.revocations.enter(&[Revocation {
            target: target.clone(),
            revoked: before,
            expires: NOW.plus(HOUR),
        }]);
        assert!(bench.ask(&token, NOW).is_ok());
        bench.revocations.enter(&[Revocation { target, revoked: NOW, expires: NOW.plus(HOUR) }]);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::Revoked);
        bench.revocations.purge(NOW.plus(HOUR));
        assert!(bench.revocations.is_empty());
    }

    #[test]
    fn a_client_or_issuer_that_is_gone_takes_its_tokens_along() {
        let mut bench = Bench::new(10);
        let (token, _) = bench.token();
        let held = bench.ask(&token, NOW).unwrap();
        bench.revocations.advance();
        let renamed = Judge { issuer: "other", ..bench.judge(NOW) };
        assert_eq!(held.still_good(&bench.verdicts, renamed).unwrap_err(), TokenError::WrongIssuer);
        bench.registry = registry(false);
        assert_eq!(held.still_good(&bench.verdicts, bench.judge(NOW)).unwrap_err(), TokenError::ClientGone);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::ClientGone);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::ClientGone);
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let bench = Bench::new(4);
        let (favourite, _) = bench.token();
        bench.ask(&favourite, NOW).unwrap();
        for _ in 0..20 {
            bench.ask(&favourite, NOW).unwrap();
            bench.ask(&bench.token().0, NOW).unwrap();
            assert!(bench.verdicts.len() <= 4);
        }
        let (_, misses) = bench.verdicts.hits_and_misses();
        assert_eq!(misses, 21, "the token in use was forgotten");
        assert!(bench.ask("not a token", NOW).is_err());
        assert!(bench.verdicts.len() <= 4);
        bench.verdicts.purge(NOW.plus(HOUR));
        assert!(bench.verdicts.is_empty());
    }

    #[test]
    fn forgetting_reaches_verdicts_that_are_held_elsewhere() {
        let bench = Bench::new(4);
        let (token, _) = bench.token();
        let held = bench.ask(&token, NOW).unwrap();
        bench.verdicts.forget_all(&bench.revocations);
        assert!(held.still_good(&bench.verdicts, bench.judge(NOW)).is_err());
        assert!(bench.ask(&token, NOW).is_ok());
    }

    #[test]
    fn scoped_tokens_are_made_once_and_renewed_in_time() {
        let bench = Bench::new(4);
        let verdict = bench.ask(&bench.token().0, NOW).unwrap();
        let service = ServiceId::parse("yt").unwrap();
        let at = |now| verdict.scoped(&service, bench.keyring.signing(), now).unwrap();
        let first = at(NOW);
        assert_eq!(at(NOW.plus(Duration::from_secs(200))).authorization, first.authorization);
        assert_ne!(at(NOW.plus(Duration::from_secs(250))).authorization, first.authorization);
        assert!(first.authorization.is_sensitive());
    }
}
