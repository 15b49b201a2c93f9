//! The last refusals, in memory, to be found by request id by those who ask why.
//!
//! Invariants: only a request that is refused, or would be, comes here, so one that may pass waits for nothing in here; the memory is
//! bounded, whatever is sent; what anybody can cause without a credential drives out nothing that tells of one; nothing is
//! kept that a log line would not show.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::base::time::Timestamp;

/// The longest that each text is kept, in bytes: 2,400 refusals are 4 MiB at most.
const LONGEST_ID: usize = 128;
const LONGEST_METHOD: usize = 32;
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 512;
const LONGEST_REASON: usize = 400;

/// The decision on what an upstream that enforces nothing was sent all the same.
pub const WOULD_REFUSE: &str = "would_refuse";

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub time: Timestamp,
    /// Request id.
    pub id: String,
    /// Method.
    pub method: String,
    /// Host, where it was understood.
    pub host: String,
    /// Path, without query.
    pub path: String,
    /// Status, also where it would have been one.
    pub status: u16,
    /// Route, `hub` for our own endpoints, empty for none.
    pub route: String,
    /// The number of the rule that matched.
    pub rule: Option<usize>,
    /// `unauthorized`, `forbidden`, …
    pub decision: &'static str,
    /// The name of the cause.
    pub cause: &'static str,
    /// What the client was told.
    pub reason: String,
    /// `client_id` of the token, where it was good.
    pub client: String,
    /// `sub` of the token, where it was good and a person obtained it.
    pub user: String,
    /// `jti` of the token, where it was good.
    pub jti: String,
    /// Who asked, as far as we know.
    pub source: IpAddr,
}

/// A text cut at a character's boundary.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// Which refusals drive out which.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// About a credential, a scope, a rule, an upstream: what people ask about.
    Telling,
    /// What anybody can send: no route, no token, a malformed request.
    Noise,
    /// Too many requests.
    Throttled,
    /// What was forwarded all the same: as many as there are requests, where nobody has a token yet.
    Watched,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Telling, Self::Noise, Self::Throttled, Self::Watched];

    fn of(refused: &Refused) -> Self {
        match (refused.decision, refused.cause) {
            (WOULD_REFUSE, _) => Self::Watched,
            ("throttled", _) => Self::Throttled,
            ("no_route" | "bad_request", "not_found" | "method_not_allowed" | "invalid_request")
            | ("refused", "not_found" | "method_not_allowed")
            | (_, "unauthorized" | "token_malformed" | "token_key_unknown") => Self::Noise,
            // Our own endpoints answer everybody, and anything can be asked of them.
            ("refused", _)
                if [&refused.client, &refused.user, &refused.jti].iter().all(|of| of.is_empty()) =>
            {
                Self::Noise
            }
            _ => Self::Telling,
        }
    }

    const fn capacity(self) -> usize {
        match self {
            Self::Telling => 1200,
            Self::Noise => 600,
            Self::Throttled => 200,
            Self::Watched => 400,
        }
    }
}

/// The last refusals of this process.
#[derive(Debug, Default)]
pub struct Refusals {
    rings: [Mutex<VecDeque<Arc<Refused>>>; Kind::ALL.len()],
}

impl Refusals {
    /// Keeps one.
    pub fn keep(&self, mut refused: Refused) {
        cut(&mut refused.id, LONGEST_ID);
        cut(&mut refused.method, LONGEST_METHOD);
        cut(&mut refused.path, LONGEST_PATH);
        cut(&mut refused.reason, LONGEST_REASON);
        for text in
            [&mut refused.host, &mut refused.route, &mut refused.client, &mut refused.user, &mut refused.jti]
        {
            cut(text, LONGEST_NAME);
        }
        let kind = Kind::of(&refused);
        let Some(ring) = self.rings.get(kind as usize) else { return };
        let refused = Arc::new(refused);
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if ring.len() >= kind.capacity() { ring.pop_front() } else { None };
        ring.push_back(refused);
        drop(ring);
        // Freed when nobody waits for it.
        drop(oldest);
    }

    /// The refusal with this request id; of several the last.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Refused>> {
        let found = self.rings.iter().filter_map(|ring| {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.iter().rev().find(|refused| refused.id == id).cloned()
        });
        found.max_by_key(|refused| refused.time)
    }

    /// The last `count` of those that were refused, the latest first.
    #[must_use]
    pub fn recent(&self, count: usize) -> Vec<Arc<Refused>> {
        let mut all: Vec<Arc<Refused>> = Vec::with_capacity(3 * count);
        for ring in self.rings.iter().take(Kind::Watched as usize) {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(ring.iter().rev().take(count).cloned());
        }
        all.sort_by_key(|refused| std::cmp::Reverse(refused.time));
        all.truncate(count);
        all
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rings.iter().map(|ring| ring.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(number: i64, decision: &'static str, cause: &'static str) -> Refused {
        Refused {
            time: Timestamp::from_millis(number),
            id: format!("id-{number}"),
            method: "GET".into(),
            host: "h".into(),
            path: "/p".into(),
            status: 401,
            route: String::new(),
            rule: None,
            decision,
            cause,
            reason: String::new(),
            client: String::new(),
            user: String::new(),
            jti: String::new(),
            source: IpAddr::from([127, 0, 0, 1]),
        }
    }

    #[test]
    fn the_last_ones_are_found_by_their_id() {
        let refusals = Refusals::default();
        assert!(refusals.is_empty() && refusals.find("id-1").is_none());
        for number in 1..=5 {
            refusals.keep(refused(number, "forbidden", "scope_missing"));
        }
        refusals.keep(refused(6, "no_route", "not_found"));
        assert_eq!(refusals.find("id-2").unwrap().time, Timestamp::from_millis(2));
        assert!(refusals.find("id-7").is_none() && refusals.find("").is_none());
        let recent: Vec<String> = refusals.recent(3).iter().map(|r| r.id.clone()).collect();
        assert_eq!(recent, ["id-6", "id-5", "id-4"]);
        // A trusted proxy may send one id twice.
        refusals.keep(Refused { time: Timestamp::from_millis(9), ..refused(2, "throttled", "x") });
        assert_eq!(refusals.find("id-2").unwrap().decision, "throttled");
    }

    #[test]
    fn the_memory_is_bounded_and_noise_drives_out_nothing_that_tells() {
        let refusals = Refusals::default();
        refusals.keep(refused(0, "forbidden", "rule_group"));
        for number in 1..10_000 {
            refusals.keep(refused(number, "no_route", "not_found"));
            refusals.keep(refused(number, "unauthorized", "unauthorized"));
            refusals.keep(refused(number, "unauthorized", "token_malformed"));
            refusals.keep(refused(number, "throttled", "too_many_requests"));
            refusals.keep(refused(number, "refused", "invalid_request"));
        }
        assert!(refusals.find("id-0").is_some());
        assert_eq!(refusals.len(), 1 + 600 + 200);
        refusals.keep(Refused { client: "c".into(), ..refused(10_001, "refused", "invalid_grant") });
        for number in 1..10_000 {
            refusals.keep(refused(number, "refused", "invalid_request"));
        }
        assert!(refusals.find("id-0").is_some() && refusals.find("id-10001").is_some());
        for number in 0..10_000 {
            refusals.keep(refused(number, "unauthorized", "token_expired"));
        }
        assert_eq!(refusals.len(), 2000);
        assert!(refusals.find("id-1").is_none());
    }

    #[test]
    fn what_was_forwarded_all_the_same_is_found_and_drives_out_nothing() {
        let refusals = Refusals::default();
        refusals.keep(refused(0, "forbidden", "rule_group"));
        refusals.keep(refused(1, "no_route", "not_found"));
        for number in 2..10_000 {
            refusals.keep(refused(number, WOULD_REFUSE, "unauthorized"));
        }
        assert_eq!(refusals.len(), 2 + 400);
        assert_eq!(refusals.find("id-9999").unwrap().decision, WOULD_REFUSE);
        let recent: Vec<String> = refusals.recent(3).iter().map(|r| r.id.clone()).collect();
        assert_eq!(recent, ["id-1", "id-0"], "among those that were refused it has no place");
    }

    #[test]
    fn long_texts_are_cut_where_a_character_ends() {
        let refusals = Refusals::default();
        let path = "ä".repeat(10_000);
        refusals.keep(Refused { path, ..refused(1, "forbidden", "scope_missing") });
        let kept = refusals.find("id-1").unwrap();
        assert!(kept.path.len() <= LONGEST_PATH + 3 && kept.path.ends_with("ä…"));
    }
}
