//! How often somebody may guess: failures counted by account, by source, and by both together.
//!
//! Invariants: an attempt counts as a failure from before its password is looked at until it has succeeded, so that
//! guesses made at once are counted like guesses made in turn; the number of counters is bounded; and whoever has signed
//! in from a source before is not locked out there by guesses from elsewhere.
//!
//! An attempt that would be too many only because of others under way waits for these: a program that signs in twenty
//! times at once with the right password is let in twenty times.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use super::counter::{Counters, Doubling, Leaking, Room};
use crate::{
    base::{FastMap, source, time::Timestamp},
    crypto::digest::TokenDigest,
    store::name::folded,
};

/// So many within so long.
pub type Rate = (NonZeroU32, Duration);

/// How many failures are allowed; `None`: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// For one account from one source: so many at once; after that each costs a wait that begins with the rate's interval
    /// and doubles.
    pub pair: Option<Rate>,
    /// From one source for all accounts.
    pub source: Option<Rate>,
    /// For one account from all sources.
    pub account: Option<Rate>,
}

/// Failures that are allowed for the codes of one account from all sources: three of a million are good at any moment, so
/// that whoever has the password and tries without a pause for a day gets in once in more than a thousand times.
const CODES: (u32, Duration) = (10, Duration::from_secs(60 * 60));

impl LoginLimits {
    /// The same for codes of six digits.
    #[must_use]
    pub fn for_codes(self) -> Self {
        let stricter = |(count, per): Rate| {
            let (most, within) = CODES;
            let given = f64::from(count.get()) * within.as_secs_f64();
            if given <= f64::from(most) * per.as_secs_f64() {
                return (count, per);
            }
            (NonZeroU32::new(most).unwrap_or(count), within)
        };
        Self { account: self.account.map(stricter), ..self }
    }
}

/// What is guessed at: a user, whatever name was typed for it, or a name that is nobody's. A digest, because people type
/// passwords where names belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(TokenDigest);

impl Account {
    /// The account of the user with this id.
    #[must_use]
    pub fn of_user(id: &str) -> Self {
        Self(TokenDigest::of(format!("user {id}").as_bytes()))
    }

    /// The account of a name that belongs to nobody.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(TokenDigest::of(format!("name {}", folded(name)).as_bytes()))
    }
}

/// The most counters of each kind, and the most pairs that are known.
const MOST_COUNTERS: usize = 50_000;

/// The most attempts that wait for others.
const MOST_WAITING: usize = 1024;

/// What those get that cannot even wait.
const TOO_MANY_WAITING: Duration = Duration::from_secs(1);

/// The counters.
#[derive(Debug)]
pub struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    limits: LoginLimits,
    pairs: Counters<(Account, IpAddr), Doubling>,
    sources: Counters<IpAddr, Leaking>,
    accounts: Counters<Account, Leaking>,
    /// Where accounts were signed in to, and when last.
    known: FastMap<(Account, IpAddr), Timestamp>,
    waiting: Vec<Waker>,
}

/// Whether an attempt may go on.
#[derive(Debug)]
pub enum Admission<'t> {
    /// It may, and counts as a failure unless the ticket says otherwise.
    Go(Ticket<'t>),
    /// Others are under way on which it depends. The waker is called when one of them has ended.
    Wait,
    /// Not before this time has passed.
    Refused(Duration),
}

impl Throttle {
    /// Counts nothing yet.
    #[must_use]
    pub fn new(limits: LoginLimits) -> Self {
        Self(Mutex::new(State {
            limits,
            pairs: Counters::default(),
            sources: Counters::default(),
            accounts: Counters::default(),
            known: FastMap::default(),
            waiting: Vec::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes other limits up. What was counted stays counted.
    pub fn set_limits(&self, limits: LoginLimits) {
        self.state().limits = limits;
    }

    /// Asks for an attempt.
    pub fn admit(&self, account: Account, source: IpAddr, now: Timestamp, waker: &Waker) -> Admission<'_> {
        let source = source::bucket(source);
        let mut state = self.state();
        let known = state.known.contains_key(&(account, source));
        let LoginLimits { pair, source: per_source, account: per_account } = state.limits;
        // Elsewhere others may be guessing; here the owner has been.
        let (per_source, per_account) = if known { (None, None) } else { (per_source, per_account) };
        let rooms = [
            pair.map_or(Room::Free, |rate| state.pairs.room(&(account, source), rate, now)),
            per_source.map_or(Room::Free, |rate| state.sources.room(&source, rate, now)),
            per_account.map_or(Room::Free, |rate| state.accounts.room(&account, rate, now)),
        ];
        let refused =
            rooms.iter().filter_map(|room| if let Room::None(wait) = room { Some(*wait) } else { None });
        if let Some(wait) = refused.max() {
            return Admission::Refused(wait);
        }
        if rooms.contains(&Room::Later) {
            if state.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
                return Admission::Wait;
            }
            if state.waiting.len() >= MOST_WAITING {
                return Admission::Refused(TOO_MANY_WAITING);
            }
            state.waiting.push(waker.clone());
            return Admission::Wait;
        }
        if pair.is_some() {
            state.pairs.begin((account, source), now, MOST_COUNTERS);
        }
        if per_source.is_some() {
            state.sources.begin(source, now, MOST_COUNTERS);
        }
        if per_account.is_some() {
            state.accounts.begin(account, now, MOST_COUNTERS);
        }
        drop(state);
        let counted = LoginLimits { pair, source: per_source, account: per_account };
        Admission::Go(Ticket { throttle: self, account, source, admitted: now, counted, open: true })
    }

    fn settle(&self, ticket: &Ticket<'_>, outcome: &Outcome) {
        let mut state = self.state();
        let (account, source) = (ticket.account, ticket.source);
        let LoginLimits { pair, source: per_source, account: per_account } = ticket.counted;
        let failed = match *outcome {
            Outcome::Failure(at) => Some(at),
            Outcome::Success(_) | Outcome::Nothing => None,
        };
        if let Some(rate) = pair {
            state.pairs.end(&(account, source), rate, failed);
        }
        if let Some(rate) = per_source {
            state.sources.end(&source, rate, failed);
        }
        if let Some(rate) = per_account {
            state.accounts.end(&account, rate, failed);
        }
        if let Outcome::Success(at) = *outcome {
            state.pairs.reset(&(account, source));
            if state.known.len() >= MOST_COUNTERS {
                forget_oldest(&mut state.known);
            }
            state.known.insert((account, source), at);
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}

/// Takes the oldest eighth away, so that the next one to come does not look through all again.
fn forget_oldest<K: Hash + Eq>(known: &mut FastMap<K, Timestamp>) {
    let mut times: Vec<Timestamp> = known.values().copied().collect();
    let eighth = times.len() / 8;
    if eighth < times.len() {
        let (_, border, _) = times.select_nth_unstable(eighth);
        let border = *border;
        known.retain(|_, time| *time > border);
    }
}

enum Outcome {
    Failure(Timestamp),
    Success(Timestamp),
    Nothing,
}

/// An attempt under way. Dropped without a word it is a failure.
#[derive(Debug)]
pub struct Ticket<'t> {
    throttle: &'t Throttle,
    account: Account,
    source: IpAddr,
    admitted: Timestamp,
    /// Where it is counted, and by which rate.
    counted: LoginLimits,
    open: bool,
}

impl Ticket<'_> {
    /// The password was right. Failures of this account from this source are forgotten, and the source is known from now on.
    pub fn succeeded(mut self, now: Timestamp) {
        self.close(&Outcome::Success(now));
    }

    /// The password was wrong.
    pub fn failed(mut self, now: Timestamp) {
        self.close(&Outcome::Failure(now));
    }

    /// No password was looked at.
    pub fn withdrawn(mut self) {
        self.close(&Outcome::Nothing);
    }

    fn close(&mut self, outcome: &Outcome) {
        if std::mem::take(&mut self.open) {
            self.throttle.settle(self, outcome);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.close(&Outcome::Failure(self.admitted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.1";
    const AWAY: &str = "198.51.100.7";

    fn rate(count: u32, seconds: u64) -> Rate {
        (NonZeroU32::new(count).unwrap(), Duration::from_secs(seconds))
    }

    fn limits() -> LoginLimits {
        LoginLimits { pair: Some(rate(5, 60)), source: Some(rate(20, 3600)), account: Some(rate(10, 3600)) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    struct Door(Throttle);

    impl Door {
        fn ask(&self, name: &str, source: &str, now: i64) -> Admission<'_> {
            self.0.admit(Account::of_name(name), source.parse().unwrap(), at(now), Waker::noop())
        }

        /// A wrong password; how long to wait when it is not even looked at.
        fn fail(&self, name: &str, source: &str, now: i64) -> Result<(), u64> {
            self.ticket(name, source, now).map(|ticket| ticket.failed(at(now)))
        }

        fn ticket(&self, name: &str, source: &str, now: i64) -> Result<Ticket<'_>, u64> {
            match self.ask(name, source, now) {
                Admission::Go(ticket) => Ok(ticket),
                Admission::Refused(wait) => Err(wait.as_secs()),
                Admission::Wait => panic!("nobody is under way"),
            }
        }

        fn succeed(&self, name: &str, source: &str, now: i64) -> Result<(), u64> {
            self.ticket(name, source, now).map(|ticket| ticket.succeeded(at(now)))
        }
    }

    #[test]
    fn waits_of_a_pair_double_and_success_ends_them() {
        let door = Door(Throttle::new(limits()));
        for _ in 0..5 {
            assert_eq!(door.fail("jane", HOME, 0), Ok(()));
        }
        assert_eq!(door.fail("jane", HOME, 0), Err(12));
        assert_eq!(door.fail("JANE", HOME, 11), Err(1), "case must not make another account");
        assert_eq!(door.fail("jane", HOME, 12), Ok(()));
        assert_eq!(door.fail("jane", HOME, 12), Err(24));
        assert_eq!(door.fail("jane", AWAY, 12), Ok(()), "another source has its own count");
        assert_eq!(door.fail("john", HOME, 12), Ok(()), "another account has its own count");
        assert_eq!(door.succeed("jane", HOME, 36), Ok(()));
        for _ in 0..5 {
            assert_eq!(door.fail("jane", HOME, 36), Ok(()));
        }
        assert_eq!(door.fail("jane", HOME, 36), Err(12));
    }

    #[test]
    fn waits_have_an_end_and_are_forgotten() {
        let door = Door(Throttle::new(LoginLimits { source: None, account: None, ..limits() }));
        let mut now = 0;
        let mut longest = 0;
        for _ in 0..40 {
            while let Err(wait) = door.fail("jane", HOME, now) {
                longest = longest.max(wait);
                now += i64::try_from(wait).unwrap();
            }
        }
        assert_eq!(longest, 900);
        now += 2 * 3600;
        for _ in 0..5 {
            assert_eq!(door.fail("jane", HOME, now), Ok(()));
        }
    }

    #[test]
    fn an_account_is_counted_over_all_sources_but_not_against_its_owner() {
        let door = Door(Throttle::new(limits()));
        assert_eq!(door.succeed("jane", HOME, 0), Ok(()));
        for host in 1..=10 {
            assert_eq!(door.fail("jane", &format!("203.0.113.{host}"), 0), Ok(()));
        }
        assert_eq!(door.fail("jane", "203.0.113.99", 0), Err(360));
        assert_eq!(door.succeed("jane", AWAY, 0), Err(360), "from an unknown source even the owner waits");
        assert_eq!(
            door.succeed("jane", HOME, 0),
            Ok(()),
            "where the owner was before, nobody else locks the door"
        );
        for _ in 0..5 {
            assert_eq!(door.fail("jane", HOME, 0), Ok(()));
        }
        assert_eq!(door.fail("jane", HOME, 0), Err(12), "but guesses count there too");
        assert_eq!(door.fail("jane", "203.0.113.99", 360), Ok(()), "one interval lets one more guess in");
        assert_eq!(door.fail("jane", "203.0.113.98", 360), Err(360));
    }

    #[test]
    fn a_source_is_counted_over_all_names_and_ipv6_by_its_network() {
        let door = Door(Throttle::new(limits()));
        for n in 0..20 {
            assert_eq!(door.fail(&format!("name{n}"), &format!("2001:db8::{n}"), 0), Ok(()));
        }
        assert_eq!(door.fail("other", "2001:db8::ffff", 0), Err(180));
        assert_eq!(door.fail("other", "2001:db8:0:1::1", 0), Ok(()));
    }

    #[test]
    fn guesses_at_once_count_like_guesses_in_turn() {
        let door = Door(Throttle::new(limits()));
        let mut under_way = Vec::new();
        for _ in 0..5 {
            let Admission::Go(ticket) = door.ask("jane", HOME, 0) else { panic!("five are free") };
            under_way.push(ticket);
        }
        assert!(matches!(door.ask("jane", HOME, 0), Admission::Wait));
        // One that is given up on has been counted, one that was not looked at has not.
        drop(under_way.pop());
        under_way.pop().unwrap().withdrawn();
        let Admission::Go(ticket) = door.ask("jane", HOME, 0) else { panic!("one has room again") };
        under_way.push(ticket);
        assert!(matches!(door.ask("jane", HOME, 0), Admission::Wait));
        for ticket in under_way {
            ticket.failed(at(0));
        }
        assert!(matches!(door.ask("jane", HOME, 0), Admission::Refused(_)));
    }

    #[test]
    fn whoever_waits_is_woken() {
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };
        struct Woken(AtomicUsize);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let throttle = Throttle::new(LoginLimits { pair: Some(rate(1, 60)), source: None, account: None });
        let (jane, home) = (Account::of_name("jane"), HOME.parse().unwrap());
        let Admission::Go(first) = throttle.admit(jane, home, at(0), Waker::noop()) else { panic!() };
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(matches!(throttle.admit(jane, home, at(0), &waker), Admission::Wait));
        assert!(matches!(throttle.admit(jane, home, at(0), &waker), Admission::Wait));
        first.succeeded(at(0));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(matches!(throttle.admit(jane, home, at(0), &waker), Admission::Go(_)));
    }

    #[test]
    fn a_user_has_one_account_whatever_was_typed() {
        assert_eq!(Account::of_user("u1"), Account::of_user("u1"));
        assert_eq!(Account::of_name("U1"), Account::of_name("u1"));
        assert_ne!(
            Account::of_user("u1"),
            Account::of_name("u1"),
            "a name that is nobody's is another account"
        );
    }

    #[test]
    fn codes_are_fewer_unless_passwords_are_fewer_still() {
        let rate = |count, seconds| Some((NonZeroU32::new(count).unwrap(), Duration::from_secs(seconds)));
        for (passwords, codes) in [
            (rate(100, 3600), rate(10, 3600)),
            (rate(1, 1), rate(10, 3600)),
            (rate(10, 3600), rate(10, 3600)),
            (rate(5, 3600), rate(5, 3600)),
            (rate(20, 86_400), rate(20, 86_400)),
            (None, None),
        ] {
            let limits = LoginLimits { account: passwords, ..limits() };
            assert_eq!(limits.for_codes(), LoginLimits { account: codes, ..limits }, "{passwords:?}");
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut known: FastMap<u32, Timestamp> = (0..80).map(|n| (n, at(n.into()))).collect();
        forget_oldest(&mut known);
        assert_eq!(known.len(), 69);
        assert!(!known.contains_key(&0) && known.contains_key(&79));
        let none = Door(Throttle::new(LoginLimits { pair: None, source: None, account: None }));
        for _ in 0..1000 {
            assert_eq!(none.fail("jane", HOME, 0), Ok(()));
        }
    }
}
