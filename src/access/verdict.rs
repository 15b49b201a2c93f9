//! Verdicts on tokens: verified once, remembered under the token's digest, looked at again on every use.
//!
//! Invariants: a remembered verdict is used only while its token lives and no revocation hits it; the memory is
//! bounded, whatever is presented; tokens that do not verify are never remembered.

mod renewal;
pub mod session;

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dashmap::DashMap;
use http::HeaderValue;

use super::{
    credentials::Credential,
    judge::{Judge, Judged},
    revocations::Revocations,
    scheme::basic::Basic,
    uses::{Activity, Uses},
};
use crate::{
    base::{
        id::{KeyId, ServiceId},
        time::Timestamp,
    },
    crypto::{
        digest::TokenDigest,
        jws::{JwsError, SigningKey},
    },
    model::user::Person,
    oauth::token::{claims::AccessClaims, issue::Issuer, verify::TokenError},
};

/// What is known about one token.
#[derive(Debug)]
pub struct Verdict {
    /// The verified claims.
    pub claims: AccessClaims,
    /// For whom it acts, as the person was when the verdict was reached; `None` where a service acts for itself.
    pub person: Option<Arc<Person>>,
    /// The permanent token or application password itself; `None` where an access token was presented.
    pub credential: Option<Arc<Credential>>,
    /// The key that has signed it; `None` where nothing is signed.
    key: Option<KeyId>,
    /// Where the activity of its client is noted.
    client: Arc<Activity>,
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
    /// The key that has signed it.
    key: KeyId,
    /// `Bearer …`
    pub authorization: HeaderValue,
    /// When a new one is due.
    pub renew: Timestamp,
}

/// How a verdict that is still good stands to what is known now.
#[derive(Debug)]
pub enum Standing {
    /// Everything is as it was.
    Unchanged,
    /// The person has changed: the verdict is to be exchanged for one with this person, seen at this epoch.
    Outdated(Arc<Person>, u64),
    /// The credential itself, or what it was judged by, has changed: it is to be judged anew.
    Stale,
}

impl Verdict {
    /// Whether the token is still good: expiry each time; issuer, key, client, person and revocations when there is news.
    ///
    /// # Errors
    /// [`TokenError`], why not any more.
    pub fn still_good(&self, verdicts: &Verdicts, judge: Judge<'_>) -> Result<Standing, TokenError> {
        let standing = self.standing(verdicts, judge)?;
        if matches!(standing, Standing::Unchanged) {
            self.client.accepted(judge.now);
            if let Some(credential) = &self.credential {
                judge.credentials.used(credential, judge.now);
            }
        }
        Ok(standing)
    }

    /// The same of a verdict that is not being used.
    ///
    /// # Errors
    /// [`TokenError`], why not any more.
    pub fn standing(&self, verdicts: &Verdicts, judge: Judge<'_>) -> Result<Standing, TokenError> {
        if judge.now >= self.claims.expires() {
            return Err(TokenError::Expired);
        }
        let epoch = judge.revocations.epoch();
        if self.epoch.load(Ordering::Acquire) != epoch {
            if self.born < verdicts.floor.load(Ordering::Acquire) {
                return self.void(TokenError::Revoked);
            }
            if self.claims.iss != judge.issuer {
                return self.void(TokenError::WrongIssuer);
            }
            // A new key ends nothing; one that is gone takes along what it has signed.
            let verifies = |key: &KeyId| judge.keyring.verifying(key.as_str(), judge.now).is_some();
            if !self.key.as_ref().is_none_or(verifies) {
                return Err(JwsError::UnknownKey.into());
            }
            let now = judge.parties(&self.claims)?;
            let known = |known: &Arc<Credential>| judge.credentials.has(known);
            match (now, &self.person) {
                (Some(now), Some(before)) if !Arc::ptr_eq(&now, before) => {
                    return if self.credential.is_some() {
                        Ok(Standing::Stale)
                    } else {
                        Ok(Standing::Outdated(now, epoch))
                    };
                }
                _ if !self.credential.as_ref().is_none_or(known) => return Ok(Standing::Stale),
                _ => self.epoch.store(epoch, Ordering::Release),
            }
        }
        Ok(Standing::Unchanged)
    }

    /// What ends a verdict on an access token is a reason to look at other credentials again: they are not signed.
    const fn void(&self, reason: TokenError) -> Result<Standing, TokenError> {
        if self.credential.is_some() { Ok(Standing::Stale) } else { Err(reason) }
    }

    /// The same verdict with the person as known at `epoch`.
    fn exchanged(&self, person: Arc<Person>, epoch: u64) -> Self {
        let scoped = self.scoped.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            claims: self.claims.clone(),
            person: Some(person),
            credential: None,
            key: self.key.clone(),
            client: Arc::clone(&self.client),
            epoch: AtomicU64::new(epoch),
            born: self.born,
            recent: AtomicBool::new(true),
            scoped: Mutex::new(scoped.clone()),
        }
    }

    /// Notes from where the credential is used, if it is one that a person has made.
    pub fn used_from(&self, address: IpAddr, agent: &[u8]) {
        if let Some(credential) = &self.credential {
            credential.used_from(address, agent);
        }
    }

    /// Whether the services in scope include this one.
    #[must_use]
    pub fn covers(&self, service: &ServiceId) -> bool {
        self.claims.covers(service.as_str())
    }

    /// The token that the upstream of `service` gets in place of this one: made once, then remembered.
    #[must_use]
    pub fn scoped(&self, service: &ServiceId, key: &SigningKey, now: Timestamp) -> Option<Scoped> {
        let mut known = self.scoped.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|scoped| now < scoped.renew && scoped.key == *key.id());
        if let Some(scoped) = known.iter().find(|scoped| scoped.service == *service) {
            return Some(scoped.clone());
        }
        let (token, end) = Issuer::scoped(&self.claims, service, service.as_str(), key, now).ok()?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        // The upstream may look at it a little later than we do.
        let renew = Timestamp::from_millis(end.millis() - (end.millis() - now.millis()) / 5);
        let scoped = Scoped { service: service.clone(), key: key.id().clone(), authorization, renew };
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
    uses: Uses,
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
            uses: Uses::default(),
        }
    }

    /// When services were last active.
    #[must_use]
    pub const fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The verdict on a token that is remembered, if it is: still good, or why not any more.
    pub fn recall(&self, token: &[u8], judge: Judge<'_>) -> Option<Result<Arc<Verdict>, TokenError>> {
        self.recalled(TokenDigest::of(token), judge, || self.verify(token, judge))
    }

    /// The same of an application password.
    pub fn recall_password(
        &self,
        basic: &Basic,
        judge: Judge<'_>,
    ) -> Option<Result<Arc<Verdict>, TokenError>> {
        self.recalled(basic.key, judge, || self.verify_password(basic, judge))
    }

    fn recalled(
        &self,
        digest: TokenDigest,
        judge: Judge<'_>,
        anew: impl FnOnce() -> Result<Arc<Verdict>, TokenError>,
    ) -> Option<Result<Arc<Verdict>, TokenError>> {
        let verdict = self.known.get(&digest).map(|entry| Arc::clone(&entry))?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(match verdict.still_good(self, judge) {
            Ok(Standing::Unchanged) => {
                verdict.recent.store(true, Ordering::Relaxed);
                Ok(verdict)
            }
            Ok(Standing::Outdated(person, epoch)) => {
                let current = Arc::new(verdict.exchanged(person, epoch));
                // What was forgotten meanwhile stays forgotten.
                if let Some(mut known) = self.known.get_mut(&digest) {
                    *known = Arc::clone(&current);
                }
                Ok(current)
            }
            Ok(Standing::Stale) => {
                let judged = anew();
                if judged.is_err() {
                    self.known.remove(&digest);
                }
                judged
            }
            Err(reason) => {
                self.known.remove(&digest);
                Err(reason)
            }
        })
    }

    /// Verifies a token that is not remembered, and remembers the verdict.
    ///
    /// # Errors
    /// [`TokenError`], why the token is not accepted.
    pub fn verify(&self, token: &[u8], judge: Judge<'_>) -> Result<Arc<Verdict>, TokenError> {
        self.reached(TokenDigest::of(token), judge, || judge.token(token))
    }

    /// Verifies an application password that is not remembered, and that the login is its owner's; remembers the verdict.
    ///
    /// # Errors
    /// [`TokenError`], why it is not accepted. Whether the login or the password is wrong is not told.
    pub fn verify_password(&self, basic: &Basic, judge: Judge<'_>) -> Result<Arc<Verdict>, TokenError> {
        self.reached(basic.key, judge, || judge.password(basic))
    }

    fn reached(
        &self,
        digest: TokenDigest,
        judge: Judge<'_>,
        judged: impl FnOnce() -> Result<Judged, TokenError>,
    ) -> Result<Arc<Verdict>, TokenError> {
        self.misses.fetch_add(1, Ordering::Relaxed);
        // The epoch is read first: what is revoked from here on is news to this verdict.
        let epoch = judge.revocations.epoch();
        let (claims, person, credential, key) = judged()?;
        if let Some(credential) = &credential {
            judge.credentials.used(credential, judge.now);
        }
        let client = self.uses.of(&claims.client_id);
        client.accepted(judge.now);
        let verdict = Arc::new(Verdict {
            claims,
            person,
            credential,
            key,
            client,
            epoch: AtomicU64::new(epoch),
            born: epoch,
            recent: AtomicBool::new(false),
            scoped: Mutex::new(Vec::new()),
        });
        self.remember(digest, Arc::clone(&verdict));
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
        access::{credentials::Credentials, directory::Directory},
        base::{
            id::{GrantId, SessionId, TokenId, UserId},
            random::SystemRandom,
        },
        crypto::{
            keyring::{self, Keyring},
            seal::SealingKey,
        },
        model::{
            key::{Algorithm, KeyState, SigningKeyRecord},
            registry::Registry,
            revocation::{Revocation, RevocationTarget},
            scope::GrantedScope,
            service::{Profile, Service, Trust},
        },
        oauth::grant::{Family, Granted},
        store::people::People,
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
        people: Directory,
        credentials: Credentials,
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
                people: Directory::default(),
                credentials: Credentials::default(),
                verdicts: Verdicts::new(capacity),
            }
        }

        fn token(&self) -> (String, TokenId) {
            self.token_for("client", None)
        }

        fn token_for(&self, subject: &str, family: Option<Family>) -> (String, TokenId) {
            let client = ServiceId::parse("client").unwrap();
            let granted = Granted {
                subject: subject.into(),
                client,
                scope: GrantedScope { spelled: "yt".into(), services: vec![ServiceId::parse("yt").unwrap()] },
                family,
            };
            let issued =
                Issuer::new("i", HOUR).issue(granted, self.keyring.signing(), NOW, &SystemRandom).unwrap();
            (issued.access_token, issued.token_id)
        }

        /// A token that acts for `jane`.
        fn janes(&self) -> String {
            let family = Family {
                grant: GrantId::parse("g-1").unwrap(),
                session: Some(SessionId::parse("s-1").unwrap()),
            };
            self.token_for("jane", Some(family)).0
        }

        fn people(&self, changed: Vec<Person>, removed: &[&str]) {
            let removed = removed.iter().map(|id| UserId::parse(id).unwrap()).collect();
            self.people.enter(1, People { version: 1, changed, removed }, &self.revocations);
        }

        fn judge(&self, now: Timestamp) -> Judge<'_> {
            let Self { keyring, registry, revocations, people, credentials, .. } = self;
            Judge { keyring, registry, issuer: "i", revocations, people, credentials, now }
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
    fn a_new_key_ends_nothing_and_one_that_is_gone_ends_what_it_has_signed() {
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = || keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
        let (old, new) = (key(), key());
        let mut bench = Bench::new(4);
        let ring = |records: &[_]| Keyring::open(records, &sealing).unwrap();
        bench.keyring = ring(std::slice::from_ref(&old));
        let (token, _) = bench.token();
        let held = bench.ask(&token, NOW).unwrap();
        let yt = ServiceId::parse("yt").unwrap();
        let scoped = |bench: &Bench| held.scoped(&yt, bench.keyring.signing(), NOW).unwrap().authorization;
        let before = scoped(&bench);

        let until = NOW.plus(HOUR);
        let retired = SigningKeyRecord { state: KeyState::Retired { until }, ..old };
        bench.keyring = ring(&[new.clone(), retired]);
        bench.revocations.advance();
        assert!(matches!(held.still_good(&bench.verdicts, bench.judge(NOW)), Ok(Standing::Unchanged)));
        assert!(Arc::ptr_eq(&bench.ask(&token, NOW).unwrap(), &held), "it was not verified again");
        assert_ne!(scoped(&bench), before, "an upstream gets what is signed by the key in use");

        bench.keyring = ring(&[new]);
        bench.revocations.advance();
        let unknown = TokenError::Jws(JwsError::UnknownKey);
        assert_eq!(held.still_good(&bench.verdicts, bench.judge(NOW)).unwrap_err(), unknown);
        assert_eq!(held.renewed(&bench.verdicts, bench.judge(NOW)).unwrap_err(), unknown);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), unknown);
        assert!(bench.verdicts.is_empty());
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
    fn jane(groups: &[&str], banned: bool) -> Person {
        Person {
            id: UserId::parse("jane").unwrap(),
            login: "jane".into(),
            name: "Jane".into(),
            email: None,
            groups: groups.iter().map(|&group| group.into()).collect(),
            banned,
            guest: false,
            administrator: false,
        }
    }

    #[test]
    fn a_persons_token_is_good_while_the_person_is_there_and_not_banned() {
        let bench = Bench::new(10);
        let (token, (own, _)) = (bench.janes(), bench.token());
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::UserGone);
        bench.people(vec![jane(&[], true)], &[]);
        assert_eq!(bench.ask(&token, NOW).unwrap_err(), TokenError::UserBanned);
        assert!(bench.ask(&own, NOW).unwrap().person.is_none());
        bench.people(vec![jane(&[], false)], &[]);
        let held = bench.ask(&token, NOW).unwrap();
        assert_eq!(held.person.as_ref().unwrap().login, "jane");
        for (change, gone, error) in [
            (vec![jane(&[], true)], &[][..], TokenError::UserBanned),
            (vec![], &["jane"], TokenError::UserGone),
        ] {
            bench.people(change, gone);
            assert_eq!(held.still_good(&bench.verdicts, bench.judge(NOW)).unwrap_err(), error);
            assert_eq!(bench.ask(&token, NOW).unwrap_err(), error);
            assert_eq!(bench.ask(&token, NOW).unwrap_err(), error);
            assert!(bench.ask(&own, NOW).is_ok(), "a service acts for itself");
        }
        bench.people(vec![jane(&[], false)], &[]);
        assert!(bench.ask(&token, NOW).is_ok(), "a ban that is lifted, with no revocation");
    }

    #[test]
    fn a_changed_person_exchanges_the_verdict_once() {
        let bench = Bench::new(10);
        let token = bench.janes();
        bench.people(vec![jane(&["a"], false)], &[]);
        let first = bench.ask(&token, NOW).unwrap();
        bench.people(vec![jane(&["b"], false)], &[]);
        let outdated = |verdict: &Verdict| {
            matches!(verdict.still_good(&bench.verdicts, bench.judge(NOW)), Ok(Standing::Outdated(..)))
        };
        assert!(outdated(&first) && outdated(&first));
        let second = bench.ask(&token, NOW).unwrap();
        assert_eq!(
            (&first.person.as_ref().unwrap().groups[..], &second.person.as_ref().unwrap().groups[..]),
            (&["a".to_owned()][..], &["b".to_owned()][..])
        );
        assert!(Arc::ptr_eq(&second, &bench.ask(&token, NOW).unwrap()));
        assert!(outdated(&first) && !outdated(&second), "whoever holds the first one is told");
        assert_eq!(bench.verdicts.hits_and_misses().1, 1, "nothing was verified again");
        // Others' changes exchange nothing.
        bench.people(vec![Person { id: UserId::parse("joe").unwrap(), ..jane(&[], false) }], &[]);
        assert!(Arc::ptr_eq(&second, &bench.ask(&token, NOW).unwrap()));
        // What voids everything voids the exchanged one too.
        bench.verdicts.forget_all(&bench.revocations);
        assert!(second.still_good(&bench.verdicts, bench.judge(NOW)).is_err());
    }

    /// Each kind of revocation kills what it names, and nothing beside it.
    #[test]
    fn every_target_of_a_revocation_is_hit() {
        use RevocationTarget::{Client, Consent, Grant, Session, Token, User};
        let (user, client) = (|id| UserId::parse(id).unwrap(), |id| ServiceId::parse(id).unwrap());
        let (grant, session) = (|id| GrantId::parse(id).unwrap(), |id| SessionId::parse(id).unwrap());
        let (second, before) = (Duration::from_secs(1), NOW.minus(Duration::from_secs(1)));
        for (number, (target, revoked, hers, services)) in [
            (Grant(grant("g-1")), before, true, false),
            (Grant(grant("g-2")), NOW, false, false),
            (Session(session("s-1")), before, true, false),
            (Session(session("s-2")), NOW, false, false),
            (User(user("jane")), NOW, true, false),
            // Up to the second: a token of the same second is dead, one that came later is not.
            (User(user("jane")), NOW.plus(second / 2), true, false),
            (User(user("jane")), before.plus(second * 999 / 1000), false, false),
            (User(user("joe")), NOW, false, false),
            // A service is not the user who has its id.
            (User(user("client")), NOW, false, false),
            (Consent(user("jane"), client("client")), NOW, true, false),
            (Consent(user("jane"), client("client")), before, false, false),
            (Consent(user("jane"), client("other")), NOW, false, false),
            (Consent(user("joe"), client("client")), NOW, false, false),
            (Consent(user("client"), client("client")), NOW, false, false),
            (Client(client("client")), NOW, true, true),
            (Client(client("client")), before, false, false),
            (Client(client("jane")), NOW, false, false),
            (Token(TokenId::from_bytes([7; 16])), NOW, false, false),
        ]
        .into_iter()
        .enumerate()
        {
            let bench = Bench::new(10);
            bench.people(vec![jane(&[], false)], &[]);
            let (token, (own, _)) = (bench.janes(), bench.token());
            // Remembered, not seen before: the same.
            bench.ask(&token, NOW).unwrap();
            bench.revocations.enter(&[Revocation {
                target: target.clone(),
                revoked,
                expires: NOW.plus(HOUR),
            }]);
            assert!(bench.revocations.names(&target));
            for _ in 0..2 {
                let dead =
                    |token: &str| bench.ask(token, NOW).is_err_and(|error| error == TokenError::Revoked);
                assert_eq!((dead(&token), dead(&own)), (hers, services), "{number}: {target:?}");
            }
            assert_eq!(bench.ask(&bench.janes(), NOW).is_err(), hers, "{number}: {target:?}");
            bench.revocations.purge(NOW.plus(HOUR));
            assert!(bench.revocations.is_empty(), "{number}: {target:?}");
        }
    }

    #[test]
    fn a_later_revocation_counts_and_an_earlier_one_takes_nothing_back() {
        let bench = Bench::new(10);
        bench.people(vec![jane(&[], false)], &[]);
        let token = bench.janes();
        let target = RevocationTarget::User(UserId::parse("jane").unwrap());
        let enter = |revoked| {
            let target = target.clone();
            bench.revocations.enter(&[Revocation { target, revoked, expires: NOW.plus(HOUR) }]);
            bench.ask(&token, NOW).is_err()
        };
        assert!(!enter(NOW.minus(HOUR)));
        assert!(enter(NOW));
        assert!(enter(NOW.minus(HOUR)), "the order of arrival means nothing");
    }
}
