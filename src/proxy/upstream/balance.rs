//! One worker's choice among the targets of an upstream.
//!
//! Invariant: a target that takes no requests, or was tried for this request, is not chosen; with one target the choice
//! costs nothing.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use super::{Cluster, Node, TargetPool, budget::Budget, state::FULL_SHARE};
use crate::model::delivery::Balance;

/// The targets that were tried for a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tried(u64);

impl Tried {
    const fn has(self, at: usize) -> bool {
        self.0 & (1 << (at % 64)) != 0
    }

    const fn add(&mut self, at: usize) {
        self.0 |= 1 << (at % 64);
    }
}

/// The targets of an upstream, as one worker uses them.
pub struct Pools {
    /// What all workers share.
    pub cluster: Arc<Cluster>,
    /// How much is sent again.
    pub budget: Budget,
    targets: Vec<Rc<TargetPool>>,
    next: Cell<usize>,
    turn: Cell<u64>,
    /// Whether there is something to look after: of many routes, most have nothing to do at a time.
    used: Cell<bool>,
}

impl Pools {
    /// Without connections.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>) -> Self {
        let pool = |node: &Arc<Node>| Rc::new(TargetPool::new(cluster, node));
        Self {
            cluster: Arc::clone(cluster),
            budget: Budget::new(Instant::now()),
            targets: cluster.nodes.iter().map(pool).collect(),
            next: Cell::new(0),
            turn: Cell::new(0),
            used: Cell::new(false),
        }
    }

    /// The target for a request, or where some were tried, for the next try. `key`: who asks, for those who are to meet the
    /// same target again.
    pub fn choose(&self, key: u64, tried: &mut Tried) -> Option<&Rc<TargetPool>> {
        if !self.used.replace(true) {
            self.tick(Instant::now());
        }
        let at = match self.targets.as_slice() {
            [only] if !tried.has(0) && is_up(only) => 0,
            [] | [_] => return None,
            _ => self.among(key, *tried)?,
        };
        tried.add(at);
        self.targets.get(at)
    }

    fn among(&self, key: u64, tried: Tried) -> Option<usize> {
        let able = || {
            let all = self.targets.iter().enumerate();
            all.filter(move |(at, pool)| !tried.has(*at) && is_up(pool))
        };
        match self.cluster.delivery.balance {
            Balance::ConsistentHash => {
                // Rendezvous hashing: whoever is away, only those who met it meet another.
                able().max_by_key(|(_, pool)| mix(key ^ pool.node.hash)).map(|(at, _)| at)
            }
            Balance::RoundRobin => {
                let count = self.targets.len();
                let first = self.next.get() % count;
                let distance = |at: usize| (at + count - first) % count;
                let in_turn = |strict: bool| {
                    let willing =
                        able().filter(|(_, pool)| !strict || (self.gets_this(pool) && !pool.is_full()));
                    willing.min_by_key(|(at, _)| distance(*at)).map(|(at, _)| at)
                };
                let at = in_turn(true).or_else(|| in_turn(false))?;
                self.next.set(at + 1);
                Some(at)
            }
            Balance::LeastConnections => {
                let count = self.targets.len();
                let first = self.next.get() % count;
                self.next.set(first + 1);
                let load = |pool: &TargetPool| {
                    let busy = u64::try_from(pool.node.state.busy().load(Relaxed)).unwrap_or(u64::MAX);
                    (busy.saturating_add(1)).saturating_mul(u64::from(FULL_SHARE))
                        / u64::from(self.share(pool))
                };
                let rank = |(at, pool): &(usize, &Rc<TargetPool>)| {
                    (pool.is_full(), load(pool), (*at + count - first) % count)
                };
                able().min_by_key(rank).map(|(at, _)| at)
            }
        }
    }

    fn share(&self, pool: &TargetPool) -> u32 {
        pool.node.state.share(pool.now(), self.cluster.delivery.slow_start).max(1)
    }

    /// Whether a target that has just come back gets this request, as it does more and more often.
    fn gets_this(&self, pool: &TargetPool) -> bool {
        let share = self.share(pool);
        if share >= FULL_SHARE {
            return true;
        }
        let turn = self.turn.get().wrapping_add(1);
        self.turn.set(turn);
        mix(turn) % u64::from(FULL_SHARE) < u64::from(share)
    }

    /// To be called now and then.
    pub fn tick(&self, now: Instant) {
        if !self.used.get() {
            return;
        }
        self.budget.tick(now);
        let mut busy = !self.budget.is_blank();
        for pool in &self.targets {
            busy |= pool.tidy(now);
        }
        self.used.set(busy);
    }
}

fn is_up(pool: &TargetPool) -> bool {
    pool.node.state.is_up(pool.now())
}

/// FNV-1a: the same in every process, so that several gateways agree.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The finish of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::{
        super::{state::Cause, tests::upstream},
        *,
    };

    fn pools(targets: u16, balance: Balance) -> Pools {
        let mut upstream = upstream(targets);
        upstream.delivery.balance = balance;
        Pools::new(&Cluster::new(&upstream, None, None))
    }

    fn choose(pools: &Pools, key: u64) -> usize {
        pools.budget.request();
        let chosen = pools.choose(key, &mut Tried::default()).expect("a target");
        pools.targets.iter().position(|pool| Rc::ptr_eq(pool, chosen)).unwrap()
    }

    fn take_down(pools: &Pools, at: usize, now: Instant) {
        for _ in 0..5 {
            pools.cluster.failed(&pools.cluster.nodes[at], Cause::Connect, &"down", now);
        }
    }

    fn counts(pools: &Pools, times: u64) -> BTreeMap<usize, u64> {
        let mut counts = BTreeMap::new();
        for key in 0..times {
            *counts.entry(choose(pools, mix(key))).or_default() += 1;
        }
        counts
    }

    #[test]
    fn each_in_turn_but_for_those_that_are_down() {
        let pools = pools(3, Balance::RoundRobin);
        assert_eq!((0..7).map(|_| choose(&pools, 0)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
        let now = Instant::now();
        take_down(&pools, 1, now);
        pools.tick(now);
        assert_eq!(counts(&pools, 10), BTreeMap::from([(0, 5), (2, 5)]));
        // Each is tried once.
        let mut tried = Tried::default();
        assert!(pools.choose(0, &mut tried).is_some() && pools.choose(0, &mut tried).is_some());
        assert!(pools.choose(0, &mut tried).is_none());
        take_down(&pools, 0, now);
        take_down(&pools, 2, now);
        assert!(pools.choose(0, &mut Tried::default()).is_none(), "all are down");
        // Back after a second. All of them have little, and share it.
        pools.tick(now + Duration::from_millis(1100));
        assert!(counts(&pools, 300).values().all(|count| (80..=120).contains(count)));
        // One alone has little at first and all of its share in the end.
        let later = now + Duration::from_secs(20);
        take_down(&pools, 0, later);
        pools.tick(later);
        assert!(!counts(&pools, 100).contains_key(&0));
        pools.tick(later + Duration::from_secs(3));
        let few = counts(&pools, 1000)[&0];
        assert!((5..100).contains(&few), "{few} of 1000 right after it has come back");
        pools.tick(later + Duration::from_secs(20));
        let counts = counts(&pools, 300);
        assert!(counts.values().all(|count| *count == 100), "{counts:?}");
    }

    #[test]
    fn the_least_busy_gets_the_next() {
        let pools = pools(3, Balance::LeastConnections);
        let busy = |at: usize| pools.cluster.nodes[at].state.busy();
        assert_eq!(counts(&pools, 9).into_values().collect::<Vec<_>>(), [3, 3, 3]);
        busy(0).store(5, Relaxed);
        busy(1).store(1, Relaxed);
        busy(2).store(2, Relaxed);
        assert_eq!(choose(&pools, 0), 1);
        busy(1).store(7, Relaxed);
        assert_eq!(choose(&pools, 0), 2);
        take_down(&pools, 2, Instant::now());
        assert_eq!(choose(&pools, 0), 0);
    }

    #[test]
    fn the_same_key_meets_the_same_target() {
        let pools = pools(4, Balance::ConsistentHash);
        let first: Vec<usize> = (0..2000).map(|key| choose(&pools, mix(key))).collect();
        assert_eq!((0..2000).map(|key| choose(&pools, mix(key))).collect::<Vec<_>>(), first);
        for at in 0..4 {
            let share = first.iter().filter(|chosen| **chosen == at).count();
            assert!((400..600).contains(&share), "{share} of 2000 at target {at}");
        }
        // Only those of the one that is away meet others.
        take_down(&pools, 2, Instant::now());
        for (key, before) in (0..2000).zip(&first) {
            let now = choose(&pools, mix(key));
            assert!(now != 2 && (now == *before || *before == 2));
        }
        assert_ne!(hash(b"jane"), hash(b"john"));
    }
}
