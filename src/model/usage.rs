//! What services are used for and by whom, as administrators are shown it: notes and lists, nothing that a decision rests on.

use crate::base::{
    id::{ServiceId, UserId},
    time::Timestamp,
};

/// When a service was last active, to the minute; `None` where it never was, as far as that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastUse {
    /// It obtained a token, or one that it had obtained was accepted.
    pub as_client: Option<Timestamp>,
    /// A request to its upstream was let through.
    pub as_resource: Option<Timestamp>,
}

impl LastUse {
    /// The later of both.
    #[must_use]
    pub fn latest(self) -> Option<Timestamp> {
        self.as_client.max(self.as_resource)
    }

    /// The later of each.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            as_client: self.as_client.max(other.as_client),
            as_resource: self.as_resource.max(other.as_resource),
        }
    }
}

/// Uses of one service that are to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUse {
    /// Which.
    pub service: ServiceId,
    /// When; `None` says nothing.
    pub last: LastUse,
    /// For which other services it obtained tokens, and when last.
    pub asked_for: Vec<(ServiceId, Timestamp)>,
}

/// With which other services a service has to do, those of the latest token first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// For which it obtained tokens.
    pub asks_for: Vec<(ServiceId, Timestamp)>,
    /// Which obtained tokens for it.
    pub asked_by: Vec<(ServiceId, Timestamp)>,
}

impl Links {
    /// The same with what `newer` knows besides, and where both know something the later.
    #[must_use]
    pub fn merged(mut self, newer: Self) -> Self {
        merge(&mut self.asks_for, newer.asks_for);
        merge(&mut self.asked_by, newer.asked_by);
        self
    }
}

fn merge(known: &mut Vec<(ServiceId, Timestamp)>, newer: Vec<(ServiceId, Timestamp)>) {
    for (id, at) in newer {
        match known.iter_mut().find(|(other, _)| *other == id) {
            Some((_, before)) => *before = at.max(*before),
            None => known.push((id, at)),
        }
    }
    known.sort_by(|(a, first), (b, second)| second.cmp(first).then_with(|| a.cmp(b)));
}

/// How many there are, counted up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// As many as were counted.
    pub number: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// How much rests on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageCounts {
    /// People who have let it have something without being asked again.
    pub consents: Count,
    /// Sign-ins that it can go on with: grants with a refresh token.
    pub grants: Count,
    /// Such grants, of all clients, that it is in the scope of.
    pub granted_for: Count,
    /// Permanent tokens that are for it.
    pub tokens: Count,
}

/// The person to whom something belongs, as a list names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<T> {
    /// What belongs to them.
    pub record: T,
    /// Their login.
    pub login: String,
    /// Their name.
    pub name: String,
}

/// What is looked for among what people have been given; `None` does not narrow it. A kind of record that has no such
/// property is not narrowed by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    /// Whose.
    pub user: Option<UserId>,
    /// Given to which client.
    pub client: Option<ServiceId>,
    /// For which service.
    pub service: Option<ServiceId>,
}

/// The part of a list that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many are passed over.
    pub skip: u32,
    /// How many are read at most.
    pub top: u32,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// In the order of the list.
    pub rows: Vec<T>,
    /// How long the list is.
    pub total: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_two_notes_counts() {
        let link = |id: &str, at| (ServiceId::parse(id).unwrap(), Timestamp::from_millis(at));
        let known = Links { asks_for: vec![link("a", 5), link("b", 4)], asked_by: vec![] };
        let newer =
            Links { asks_for: vec![link("b", 9), link("a", 1), link("c", 5)], asked_by: vec![link("d", 1)] };
        let merged = known.merged(newer);
        assert_eq!(merged.asks_for, [link("b", 9), link("a", 5), link("c", 5)]);
        assert_eq!(merged.asked_by, [link("d", 1)]);
    }
}
