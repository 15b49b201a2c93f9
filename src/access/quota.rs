//! What a gateway takes: requests by its [rates](super::rates), refused credentials of a source, and notes of what was refused.
//!
//! Invariant: a source that is over its rate of refused credentials is refused before anything is verified for it,
//! so guessing costs the gateway a look-up, not a signature.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use super::rates::{Place, Rates};
use crate::{
    base::source::bucket,
    model::rate::{Rate, RequestRates},
};
use dashmap::DashMap;
use governor::{
    Quota as GovernorQuota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};

type Limiter = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>;

/// The most sources that may be shut out at a time; those beyond are refused like anybody, after being verified.
const MAX_PENALTIES: usize = 100_000;

/// How many notes of what was refused are written for one source: each is a write that nobody had to sign in for. Apart from
/// refused credentials, because a page of any site can cause them in the name of whoever looks at it.
const NOTES: (u32, Duration) = (10, Duration::from_secs(60));

/// The rates of a configuration.
#[derive(Debug)]
pub struct Quota {
    /// How often requests may come.
    pub requests: Option<Rates>,
    /// The same as it is stated, for those who ask.
    pub stated: RequestRates,
    rejections: Option<Limiter>,
    notes: Option<Limiter>,
    penalties: DashMap<IpAddr, Instant>,
}

/// How long a source has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

fn limiter(Rate { count, per }: Rate) -> Option<Limiter> {
    let quota = GovernorQuota::with_period(per / count.get())?.allow_burst(count);
    Some(RateLimiter::dashmap(quota))
}

impl Quota {
    /// Rates of requests, and of refused credentials; `None`: unlimited.
    #[must_use]
    pub fn new(requests: &RequestRates, rejections: Option<Rate>) -> Self {
        Self {
            requests: Rates::new(Place::Gateway, requests),
            stated: *requests,
            rejections: rejections.and_then(limiter),
            notes: NonZeroU32::new(NOTES.0).and_then(|count| limiter(Rate { count, per: NOTES.1 })),
            penalties: DashMap::new(),
        }
    }

    /// Whether credentials of this source are looked at now.
    ///
    /// # Errors
    /// [`Wait`] while the source is shut out for too many refused ones.
    pub fn credentials(&self, source: IpAddr) -> Result<(), Wait> {
        if self.penalties.is_empty() {
            return Ok(());
        }
        let source = bucket(source);
        let Some(until) = self.penalties.get(&source).map(|entry| *entry) else { return Ok(()) };
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Err(Wait(left)),
            _ => {
                self.penalties.remove(&source);
                Ok(())
            }
        }
    }

    /// Counts a refused credential; a source that is over its rate is shut out until the rate allows the next.
    pub fn refused(&self, source: IpAddr) {
        let source = bucket(source);
        let Some(limiter) = &self.rejections else { return };
        if let Err(Wait(wait)) = Self::count(limiter, source)
            && self.penalties.len() < MAX_PENALTIES
        {
            self.penalties.insert(source, Instant::now() + wait);
        }
    }

    /// Counts a note that a request of this source causes. Whether it may be written.
    pub fn note(&self, source: IpAddr) -> bool {
        let source = bucket(source);
        self.notes.as_ref().is_some_and(|limiter| Self::count(limiter, source).is_ok())
    }

    fn count(limiter: &Limiter, source: IpAddr) -> Result<(), Wait> {
        limiter.check_key(&source).map_err(|not_until| Wait(not_until.wait_time_from(limiter.clock().now())))
    }

    /// Forgets sources that have been quiet. To be called now and then.
    pub fn purge(&self) {
        if let Some(requests) = &self.requests {
            requests.purge();
        }
        for limiter in [&self.rejections, &self.notes].into_iter().flatten() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        let now = Instant::now();
        self.penalties.retain(|_, until| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn rate(count: u32) -> Rate {
        Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(3600) }
    }

    #[test]
    fn notes_are_few_and_shut_nobody_out() {
        let quota = Quota::new(&RequestRates::default(), Some(rate(3)));
        let written = (0..100).filter(|_| quota.note(A)).count();
        assert_eq!(written, 10);
        assert!(quota.credentials(A).is_ok(), "credentials are counted apart");
        assert!(quota.note("203.0.113.7".parse().unwrap()), "as is another source");
    }

    #[test]
    fn refused_credentials_shut_a_source_out() {
        let quota = Quota::new(&RequestRates::default(), Some(rate(3)));
        for _ in 0..3 {
            assert!(quota.credentials(A).is_ok());
            quota.refused(A);
        }
        assert!(quota.credentials(A).is_ok());
        quota.refused(A);
        assert!(quota.credentials(A).is_err() && quota.credentials(B).is_ok());
        assert!(Quota::new(&RequestRates::default(), None).credentials(A).is_ok());
    }
}
