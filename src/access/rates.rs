//! How often requests may come: of a source, with tokens of a service, on behalf of a user.
//!
//! Invariant: what has no rate is not counted and costs nothing; what is told of a rate is about the one who asks alone.
//!
//! What clients are told of it: draft-ietf-httpapi-ratelimit-headers-11, sections 3, 4 and 6.

use std::{hash::Hash, net::IpAddr, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use http::HeaderValue;

use crate::{
    base::{id::ServiceId, source::bucket},
    model::rate::{Rate, RequestRates, Whose},
    oauth::token::claims::AccessClaims,
};

/// What the rates of a place are for: the names by which clients know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The gateway as a whole.
    Gateway,
    /// An upstream.
    Upstream,
    /// A rule.
    Rule,
}

impl Place {
    const fn name(self, whose: Whose) -> &'static str {
        match (self, whose) {
            (Self::Gateway, Whose::Source) => "source",
            (Self::Gateway, Whose::Service) => "service",
            (Self::Gateway, Whose::User) => "user",
            (Self::Upstream, Whose::Source) => "upstream-source",
            (Self::Upstream, Whose::Service) => "upstream-service",
            (Self::Upstream, Whose::User) => "upstream-user",
            (Self::Rule, Whose::Source) => "rule-source",
            (Self::Rule, Whose::Service) => "rule-service",
            (Self::Rule, Whose::User) => "rule-user",
        }
    }
}

/// The rates of one place.
#[derive(Debug)]
pub struct Rates {
    source: Option<Limit<IpAddr>>,
    service: Option<Limit<ServiceId>>,
    user: Option<Limit<String>>,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

#[derive(Debug)]
struct Limit<K: Hash + Eq + Clone> {
    limiter: Limiter<K>,
    whose: Whose,
    name: &'static str,
    /// How long until one more may come.
    interval: Duration,
    policy: HeaderValue,
}

/// What is left of a rate to whoever has just asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `RateLimit-Policy`: the rate.
    pub policy: HeaderValue,
    /// `RateLimit`: what is left of it.
    pub limit: HeaderValue,
}

/// That a request is one too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose it is.
    pub whose: Whose,
    /// When the next one may come.
    pub wait: Duration,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(place: Place, whose: Whose, Rate { count, per }: Rate) -> Option<Self> {
        let interval = per / count.get();
        let quota = Quota::with_period(interval)?.allow_burst(count);
        let name = place.name(whose);
        let policy = format!("\"{name}\";q={count};w={}", seconds(per));
        Some(Self {
            limiter: RateLimiter::dashmap(quota).with_middleware(),
            whose,
            name,
            interval,
            policy: HeaderValue::try_from(policy).ok()?,
        })
    }

    fn count(&self, key: &K, told: &mut Vec<Left>) -> Result<(), Exceeded> {
        let (left, window, counted) = match self.limiter.check_key(key) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                // In this time as many come again as are left: whoever spreads them over it keeps to the rate.
                (left, self.interval.saturating_mul(left.max(1)), Ok(()))
            }
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                (0, wait, Err(Exceeded { whose: self.whose, wait }))
            }
        };
        let limit = format!("\"{}\";r={left};t={}", self.name, seconds(window));
        if let Ok(limit) = HeaderValue::try_from(limit) {
            told.push(Left { policy: self.policy.clone(), limit });
        }
        counted
    }

    fn purge(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Whole seconds, rounded up, one at the least: earlier would only be refused again.
fn seconds(time: Duration) -> u128 {
    time.as_millis().div_ceil(1000).max(1)
}

impl Rates {
    /// The rates of a place; `None` where there are none.
    #[must_use]
    pub fn new(place: Place, stated: &RequestRates) -> Option<Self> {
        if stated.is_unlimited() {
            return None;
        }
        Some(Self {
            source: stated.source.and_then(|rate| Limit::new(place, Whose::Source, rate)),
            service: stated.service.and_then(|rate| Limit::new(place, Whose::Service, rate)),
            user: stated.user.and_then(|rate| Limit::new(place, Whose::User, rate)),
        })
    }

    /// Counts a request of a source.
    ///
    /// # Errors
    /// [`Exceeded`] when it is one too many.
    pub fn source(&self, source: IpAddr, told: &mut Vec<Left>) -> Result<(), Exceeded> {
        self.source.as_ref().map_or(Ok(()), |limit| limit.count(&bucket(source), told))
    }

    /// Counts a request with a token. Those of the gateway's own service, which are sessions of browsers and what people make
    /// for their programs, are nobody's together: they count for their users.
    ///
    /// # Errors
    /// [`Exceeded`] when it is one too many.
    pub fn identity(&self, claims: &AccessClaims, told: &mut Vec<Left>) -> Result<(), Exceeded> {
        // First what is narrower: what is refused there takes nothing from others.
        if let Some(limit) = &self.user
            && !claims.is_service()
        {
            limit.count(&claims.sub, told)?;
        }
        match &self.service {
            Some(limit) if claims.client_id.as_str() != ServiceId::HUB => {
                limit.count(&claims.client_id, told)
            }
            _ => Ok(()),
        }
    }

    /// Forgets who has been quiet. To be called now and then.
    pub fn purge(&self) {
        if let Some(limit) = &self.source {
            limit.purge();
        }
        if let Some(limit) = &self.service {
            limit.purge();
        }
        if let Some(limit) = &self.user {
            limit.purge();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(seconds) }
    }

    fn claims(client: &str, sub: &str) -> AccessClaims {
        AccessClaims {
            iss: String::new(),
            sub: sub.to_owned(),
            aud: vec![],
            client_id: ServiceId::parse(client).unwrap(),
            scope: String::new(),
            iat: 0,
            exp: i64::MAX,
            nbf: None,
            jti: String::new(),
            grant_id: None,
            sid: None,
            credential: None,
            every_service: false,
        }
    }

    fn text(left: &[Left]) -> Vec<(&str, &str)> {
        left.iter().map(|left| (left.policy.to_str().unwrap(), left.limit.to_str().unwrap())).collect()
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_limited() {
        for place in [Place::Gateway, Place::Upstream, Place::Rule] {
            assert!(Rates::new(place, &RequestRates::default()).is_none());
        }
    }

    #[test]
    fn sources_are_counted_apart() {
        let stated = RequestRates { source: Some(rate(2, 3600)), ..RequestRates::default() };
        let rates = Rates::new(Place::Gateway, &stated).unwrap();
        let told = &mut Vec::new();
        assert!(rates.source(A, told).is_ok() && rates.source(A, told).is_ok());
        let Exceeded { whose, wait } = rates.source(A, told).unwrap_err();
        assert_eq!(whose, Whose::Source);
        assert!(wait > Duration::from_secs(1700) && wait <= Duration::from_secs(1800), "{wait:?}");
        assert!(rates.source(B, told).is_ok());
        rates.purge();
        assert!(rates.source(A, told).is_err());
        assert!(rates.identity(&claims("robot", "jane"), told).is_ok(), "not limited");
    }

    #[test]
    fn services_and_users_are_counted_apart() {
        let stated = RequestRates {
            service: Some(rate(3, 3600)),
            user: Some(rate(2, 3600)),
            ..RequestRates::default()
        };
        let rates = Rates::new(Place::Upstream, &stated).unwrap();
        let ask = |client: &str, sub: &str| {
            rates.identity(&claims(client, sub), &mut Vec::new()).map_err(|exceeded| exceeded.whose)
        };
        assert_eq!(
            [ask("app", "jane"), ask("app", "jane"), ask("app", "jane")],
            [Ok(()), Ok(()), Err(Whose::User)]
        );
        assert_eq!(ask("app", "bob"), Ok(()), "what was refused took nothing from the service");
        assert_eq!(ask("app", "eve"), Err(Whose::Service), "the service's are spent");
        assert_eq!(ask("other", "eve"), Ok(()));
        assert_eq!(ask("other", "jane"), Err(Whose::User), "whichever service asks for her");
        // A service that acts for itself is no user.
        assert_eq!([(); 4].map(|()| ask("robot", "robot")), [Ok(()), Ok(()), Ok(()), Err(Whose::Service)]);
        // Browsers and programs of people are no service's.
        for user in ["u1", "u2", "u3", "u4", "u5"] {
            assert_eq!(ask(ServiceId::HUB, user), Ok(()));
        }
        assert!(rates.source(A, &mut Vec::new()).is_ok(), "not limited");
    }

    #[test]
    fn clients_are_told_what_is_left() {
        let stated = RequestRates { source: Some(rate(4, 60)), ..RequestRates::default() };
        let rates = Rates::new(Place::Rule, &stated).unwrap();
        let mut told = Vec::new();
        for _ in 0..4 {
            rates.source(A, &mut told).unwrap();
        }
        let wait = rates.source(A, &mut told).unwrap_err().wait;
        let policy = "\"rule-source\";q=4;w=60";
        let limits: Vec<_> = text(&told);
        assert_eq!(
            limits[..4],
            [
                (policy, "\"rule-source\";r=3;t=45"),
                (policy, "\"rule-source\";r=2;t=30"),
                (policy, "\"rule-source\";r=1;t=15"),
                (policy, "\"rule-source\";r=0;t=15"),
            ]
        );
        // The end of the window is not after the moment of Retry-After.
        assert_eq!(limits[4].1, format!("\"rule-source\";r=0;t={}", seconds(wait)));
        assert!((14..=15).contains(&seconds(wait)));
    }
}
