//! The people whom the gate knows, in memory, because deciding on a request touches no store.
//!
//! Invariant: who is not in here does not exist. A change is entered before the epoch moves, so a verdict that has seen
//! the new epoch has seen the change.

use std::sync::Arc;

use dashmap::DashMap;

use super::revocations::Revocations;
use crate::{base::id::UserId, model::user::Person, store::people::People};

/// People by id. As many as the store has.
#[derive(Debug, Default)]
pub struct Directory {
    people: DashMap<UserId, Arc<Person>>,
}

impl Directory {
    /// The person with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Person>> {
        self.people.get(id).map(|person| Arc::clone(&person))
    }

    /// Enters what the store answers to the question who has changed since `since`. If anybody has, every remembered
    /// verdict is looked at again.
    pub fn enter(&self, since: i64, people: People, revocations: &Revocations) {
        let mut news = false;
        // An answer that names everybody: whom it does not name is gone.
        if since == 0 || people.version < since {
            let mut named: Vec<&UserId> = people.changed.iter().map(|person| &person.id).collect();
            named.sort_unstable();
            let before = self.people.len();
            self.people.retain(|id, _| named.binary_search(&id).is_ok());
            news |= self.people.len() != before;
        }
        for person in people.changed {
            // What the gate does not look at may have changed: a password, a description.
            if self.people.get(&person.id).is_none_or(|known| **known != person) {
                self.people.insert(person.id.clone(), Arc::new(person));
                news = true;
            }
        }
        for id in people.removed {
            news |= self.people.remove(&id).is_some();
        }
        if news {
            revocations.advance();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, groups: &[&str]) -> Person {
        Person {
            id: UserId::parse(id).unwrap(),
            login: id.into(),
            name: id.to_uppercase(),
            email: None,
            groups: groups.iter().map(|&group| group.into()).collect(),
            banned: false,
            guest: false,
            administrator: false,
        }
    }

    #[test]
    fn changes_are_entered_and_move_the_epoch_only_when_they_are_any() {
        let (directory, revocations) = (Directory::default(), Revocations::default());
        let enter = |since, version, changed: Vec<Person>, removed: &[&str]| {
            let before = revocations.epoch();
            let removed = removed.iter().map(|id| UserId::parse(id).unwrap()).collect();
            directory.enter(since, People { version, changed, removed }, &revocations);
            (revocations.epoch() != before, directory.len())
        };
        assert_eq!(enter(0, 0, vec![], &[]), (false, 0));
        assert_eq!(enter(0, 2, vec![person("a", &[]), person("b", &[])], &[]), (true, 2));
        let a = directory.find("a").unwrap();
        assert_eq!(enter(2, 3, vec![person("a", &[])], &[]), (false, 2));
        assert!(Arc::ptr_eq(&a, &directory.find("a").unwrap()));
        assert_eq!(enter(3, 4, vec![person("a", &["g"])], &["nobody"]), (true, 2));
        assert_eq!(directory.find("a").unwrap().groups, ["g"]);
        assert_eq!(enter(4, 5, vec![], &["b"]), (true, 1));
        assert!(directory.find("b").is_none());
        // An older copy of the database was put back: the answer names everybody that it has.
        assert_eq!(enter(5, 2, vec![person("b", &[])], &[]), (true, 1));
        assert!(directory.find("a").is_none() && directory.find("b").is_some());
        assert_eq!(enter(0, 6, vec![person("b", &[])], &[]), (false, 1));
        assert_eq!(enter(0, 7, vec![], &[]), (true, 0));
        assert!(directory.is_empty());
    }
}
