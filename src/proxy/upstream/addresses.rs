//! Where a target's name leads, looked up beside the requests and not by them.
//!
//! Invariant: what was found is used for a bounded time, even when nobody answers any more; then nothing is connected to.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

use super::schedule::Schedule;

/// What was found is used for so many times the time between two look-ups.
const STALE_AFTER: u32 = 10;

/// The addresses of one host.
#[derive(Debug)]
pub struct Addresses {
    host: Arc<str>,
    port: u16,
    /// Whether there is anything to look up.
    fixed: bool,
    every: Duration,
    found: ArcSwapOption<Found>,
    next: AtomicUsize,
    schedule: Schedule,
}

#[derive(Debug)]
struct Found {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Addresses {
    /// Of this host; looked up anew so often.
    #[must_use]
    pub fn new(host: &Arc<str>, port: u16, every: Duration) -> Self {
        let literal = host.parse().ok().map(|ip| SocketAddr::new(ip, port));
        let found = literal.map(|address| Found { addresses: vec![address], at: Instant::now() });
        Self {
            host: Arc::clone(host),
            port,
            fixed: literal.is_some(),
            every,
            found: ArcSwapOption::from_pointee(found),
            next: AtomicUsize::new(0),
            schedule: Schedule::default(),
        }
    }

    /// Whether it is time to look it up again; who is told so does it.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.fixed && self.schedule.is_due(now, self.every)
    }

    /// The addresses, in another order each time, so that all of them share the work.
    ///
    /// # Errors
    /// When the name is not known, or was not found for too long.
    pub async fn list(&self) -> io::Result<Vec<SocketAddr>> {
        if self.known(Instant::now()).is_none() {
            self.look_up().await?;
        }
        let mut addresses = self.known(Instant::now()).unwrap_or_default();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let turn = self.next.fetch_add(1, Relaxed) % addresses.len();
        addresses.rotate_left(turn);
        Ok(addresses)
    }

    /// Those that may be used now.
    pub fn known(&self, now: Instant) -> Option<Vec<SocketAddr>> {
        let found = self.found.load();
        let found = found.as_ref()?;
        let fresh = self.fixed || now.saturating_duration_since(found.at) < self.every * STALE_AFTER;
        fresh.then(|| found.addresses.clone())
    }

    /// Whether a connection to this address may be used again. One to an address that the name has no more may not.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.fixed || self.found.load().as_ref().is_none_or(|found| found.addresses.contains(&address))
    }

    /// Looks the name up.
    ///
    /// # Errors
    /// The resolver's; what was known before stays.
    pub async fn look_up(&self) -> io::Result<()> {
        let found = tokio::net::lookup_host((self.host.as_ref(), self.port)).await;
        self.schedule.done();
        self.take_up(found?.collect(), Instant::now());
        Ok(())
    }

    fn take_up(&self, mut addresses: Vec<SocketAddr>, at: Instant) {
        if addresses.is_empty() {
            return;
        }
        let mut seen = Vec::with_capacity(addresses.len());
        addresses.retain(|address| {
            !seen.contains(address) && {
                seen.push(*address);
                true
            }
        });
        self.found.store(Some(Arc::new(Found { addresses, at })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 80))
    }

    #[tokio::test]
    async fn numbers_are_not_looked_up() {
        let now = Instant::now();
        for (host, expected) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            let addresses = Addresses::new(&Arc::from(host), 80, EVERY);
            assert!(!addresses.is_due(now) && !addresses.is_due(now + EVERY * 100));
            assert_eq!(addresses.list().await.unwrap(), [expected.parse().unwrap()]);
            assert!(addresses.known(now + EVERY * 1000).is_some());
        }
    }

    #[tokio::test]
    async fn names_lead_where_they_led_last_and_not_for_ever() {
        let addresses = Addresses::new(&Arc::from("localhost"), 80, EVERY);
        let now = Instant::now();
        assert!(addresses.is_due(now), "at once");
        assert!(!addresses.is_due(now), "it is being done");
        addresses.look_up().await.unwrap();
        assert!(addresses.known(now).is_some_and(|list| list.iter().all(|a| a.ip().is_loopback())));
        assert!(!addresses.is_due(now + EVERY / 2) && addresses.is_due(now + EVERY));
        // It leads elsewhere.
        addresses.take_up(vec![address(7), address(8), address(7)], now);
        assert!(addresses.has(address(7)) && !addresses.has(address(1)));
        let (one, two) = (addresses.list().await.unwrap(), addresses.list().await.unwrap());
        assert_eq!((one.len(), two.len()), (2, 2));
        assert_ne!(one[0], two[0], "both are used");
        // An empty answer is none; and what nobody confirms is forgotten.
        addresses.take_up(vec![], now + EVERY);
        assert!(addresses.known(now + EVERY * 9).is_some());
        assert!(addresses.known(now + EVERY * 10).is_none());
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_an_error() {
        let addresses = Addresses::new(&Arc::from("no-such-host.invalid"), 80, EVERY);
        assert!(addresses.list().await.is_err());
        assert!(addresses.known(Instant::now()).is_none());
    }
}
