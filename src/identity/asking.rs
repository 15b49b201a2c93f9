//! How often somebody may have mail sent: by source, and to one account.
//!
//! Invariant: what one source may ask for does not depend on whom it names, so that a refusal tells nothing of anybody.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    counter::{Counters, Leaking, Room},
    throttle::{Account, Rate},
};
use crate::base::{id::UserId, source, time::Timestamp};

const HOUR: Duration = Duration::from_secs(3600);

/// What one source may ask for.
const PER_SOURCE: Rate = (NonZeroU32::new(20).unwrap(), HOUR);

/// What one account gets.
const PER_ACCOUNT: Rate = (NonZeroU32::new(3).unwrap(), HOUR);

/// The most counters of each kind.
const MOST: usize = 10_000;

/// The counters.
#[derive(Debug, Default)]
pub struct Askings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sources: Counters<IpAddr, Leaking>,
    accounts: Counters<Account, Leaking>,
}

impl Askings {
    /// Counts that this source asks.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn by_source(&self, source: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut state.sources, source::bucket(source), PER_SOURCE, now)
    }

    /// Counts a mail to this account; whether there is room for it.
    #[must_use]
    pub fn for_account(&self, user: &UserId, now: Timestamp) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut state.accounts, Account::of_user(user.as_str()), PER_ACCOUNT, now).is_ok()
    }
}

fn count<K: std::hash::Hash + Eq + Copy>(
    counters: &mut Counters<K, Leaking>,
    key: K,
    rate: Rate,
    now: Timestamp,
) -> Result<(), Duration> {
    match counters.room(&key, rate, now) {
        Room::Free => {
            counters.begin(key, now, MOST);
            counters.end(&key, rate, Some(now));
            Ok(())
        }
        Room::Later => Err(Duration::from_secs(1)),
        Room::None(wait) => Err(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let askings = Askings::default();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Timestamp::from_seconds(1_000_000);
        for _ in 0..20 {
            askings.by_source(here, now).unwrap();
        }
        let wait = askings.by_source(here, now).unwrap_err();
        assert!(wait <= Duration::from_secs(180), "{wait:?}");
        askings.by_source(there, now).unwrap();
        askings.by_source(here, now.plus(wait)).unwrap();
        let jane = UserId::parse("jane").unwrap();
        for _ in 0..3 {
            assert!(askings.for_account(&jane, now));
        }
        assert!(!askings.for_account(&jane, now));
        assert!(askings.for_account(&UserId::parse("john").unwrap(), now));
        assert!(askings.for_account(&jane, now.plus(Duration::from_secs(1200))));
    }
}
