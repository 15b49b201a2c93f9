//! What pages remember for a moment, in this process alone: forms that came when nobody was signed in any more, and which
//! forms have been carried out, so that a button that is pressed twice does its work once.
//!
//! Invariants: bounded in number and bytes; the oldest goes first; a lost entry costs comfort, never safety. A form is shown to
//! the browser that sent it and to no other: whoever can send one, which is everybody, could otherwise have somebody else press
//! its button.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    base::{
        id::UserId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::digest::sha256,
};

/// How long a form waits for somebody to sign in.
pub(in crate::web) const PARKED: Duration = Duration::from_secs(15 * 60);

/// How long a form that was carried out is known.
const CARRIED_OUT: Duration = Duration::from_secs(10 * 60);

/// How long what a form made is shown to whoever sends it again.
const SHOWN: Duration = Duration::from_secs(60);

/// Forms that wait at once, and their bytes together.
const MOST_PARKED: usize = 256;
const MOST_BYTES: usize = 1024 * 1024;

/// Forms that are known to be carried out.
const MOST_CARRIED_OUT: usize = 4096;

/// A form that waits: where it was going, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Parked {
    /// Path and query of ours.
    pub action: String,
    /// Its fields, passwords apart.
    pub fields: Vec<(String, String)>,
}

impl Parked {
    fn bytes(&self) -> usize {
        self.action.len() + self.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// What a form did that was sent before.
#[derive(Debug)]
pub(in crate::web) enum Before {
    /// It was never seen, and belongs to whoever asks now.
    New,
    /// It was carried out and led there.
    Done(String),
    /// It was carried out and made this, which is shown once: to whoever sends the form twice, twice.
    Made(Secret),
    /// It is being carried out.
    UnderWay,
}

#[derive(Debug)]
struct Sent {
    key: [u8; 32],
    at: Timestamp,
    end: Option<End>,
}

/// How a form that was carried out was answered.
#[derive(Debug, Clone)]
pub(in crate::web) enum End {
    /// By leading there: path and query of ours.
    LedTo(String),
    /// By showing this, a secret.
    Made(Secret),
}

#[derive(Debug)]
struct Waiting {
    id: String,
    /// Digest of what the browser keeps that sent it.
    sender: [u8; 32],
    since: Timestamp,
    form: Parked,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Memory {
    parked: Mutex<VecDeque<Waiting>>,
    sent: Mutex<VecDeque<Sent>>,
}

impl Memory {
    /// Keeps a form for the browser that keeps `sender`. Returns its name, which is no secret.
    pub(in crate::web) fn park(
        &self,
        form: Parked,
        sender: &Secret,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Option<String> {
        if form.bytes() > MOST_BYTES / 8 {
            return None;
        }
        let id = name(random);
        let now = clock.now();
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        parked.retain(|each| now.since(each.since) < PARKED);
        parked.push_back(Waiting { id: id.clone(), sender: digest(sender), since: now, form });
        let mut bytes: usize = parked.iter().map(|each| each.form.bytes()).sum();
        while parked.len() > MOST_PARKED || bytes > MOST_BYTES {
            bytes -= parked.pop_front().map_or(bytes, |each| each.form.bytes());
        }
        Some(id)
    }

    /// A form that was kept. It stays until its time is over: a page that is loaded again shows it again.
    pub(in crate::web) fn parked(&self, id: &str, sender: &Secret, now: Timestamp) -> Option<Parked> {
        let sender = digest(sender);
        let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = parked.iter();
        let found = all.find(|each| each.id == id && each.sender == sender && now.since(each.since) < PARKED);
        found.map(|each| each.form.clone())
    }

    /// Whether this person has sent this form before; `once` is the name that the page put into it, [`name`].
    pub(in crate::web) fn before(&self, user: &UserId, once: &str, now: Timestamp) -> Before {
        let key = key(user, once);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|each| now.since(each.at) < CARRIED_OUT);
        let shown = |at: Timestamp| now.since(at) < SHOWN;
        match sent.iter().find(|each| each.key == key).map(|each| (each.at, &each.end)) {
            Some((_, Some(End::LedTo(led_to)))) => Before::Done(led_to.clone()),
            Some((at, Some(End::Made(secret)))) if shown(at) => Before::Made(secret.clone()),
            Some((_, Some(End::Made(_)))) => Before::Done(String::new()),
            Some((_, None)) => Before::UnderWay,
            None => {
                if sent.len() >= MOST_CARRIED_OUT {
                    sent.pop_front();
                }
                sent.push_back(Sent { key, at: now, end: None });
                Before::New
            }
        }
    }

    /// The form has been carried out and was answered so.
    pub(in crate::web) fn carried_out(&self, user: &UserId, once: &str, end: End) {
        let key = key(user, once);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(each) = sent.iter_mut().find(|each| each.key == key) {
            each.end = Some(end);
        }
    }

    /// The form was not carried out; it may be sent again.
    pub(in crate::web) fn not_carried_out(&self, user: &UserId, once: &str) {
        let key = key(user, once);
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).retain(|each| each.key != key);
    }
}

/// A name for a form, which nobody guesses.
pub(in crate::web) fn name(random: &dyn Random) -> String {
    uuid::Builder::from_random_bytes(random.bytes()).into_uuid().simple().to_string()
}

fn digest(sender: &Secret) -> [u8; 32] {
    sha256(sender.expose().as_bytes())
}

fn key(user: &UserId, once: &str) -> [u8; 32] {
    sha256(format!("{user}\n{once}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{random::SystemRandom, time::ManualClock};

    fn user() -> UserId {
        UserId::parse("u").unwrap()
    }

    fn form(bytes: usize) -> Parked {
        Parked { action: "/a".into(), fields: vec![("f".into(), "x".repeat(bytes))] }
    }

    #[test]
    fn a_form_waits_for_a_while() {
        let (memory, clock) = (Memory::default(), ManualClock::at(Timestamp::from_seconds(1000)));
        let (sender, other) = (Secret::new("a".into()), Secret::new("b".into()));
        let id = memory.park(form(10), &sender, &clock, &SystemRandom).unwrap();
        assert_eq!(memory.parked(&id, &sender, clock.now()), Some(form(10)));
        assert_eq!(memory.parked(&id, &sender, clock.now()), Some(form(10)));
        assert_eq!(memory.parked(&id, &other, clock.now()), None);
        assert_eq!(memory.parked("other", &sender, clock.now()), None);
        clock.advance(PARKED);
        assert_eq!(memory.parked(&id, &sender, clock.now()), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (memory, clock) = (Memory::default(), ManualClock::at(Timestamp::from_seconds(1000)));
        let sender = Secret::new("a".into());
        let park = |bytes| memory.park(form(bytes), &sender, &clock, &SystemRandom);
        assert_eq!(park(MOST_BYTES), None);
        let ids: Vec<String> = (0..20).filter_map(|_| park(MOST_BYTES / 9)).collect();
        let left = ids.iter().filter(|id| memory.parked(id, &sender, clock.now()).is_some()).count();
        assert_eq!((ids.len(), left), (20, 8));
        for _ in 0..MOST_PARKED * 2 {
            park(1).unwrap();
        }
        assert_eq!(memory.parked.lock().unwrap().len(), MOST_PARKED);
    }

    #[test]
    fn a_form_is_carried_out_once() {
        let (memory, clock) = (Memory::default(), ManualClock::at(Timestamp::from_seconds(1000)));
        let before = |once: &str| memory.before(&user(), once, clock.now());
        assert!(matches!(before("a"), Before::New));
        assert!(matches!(before("a"), Before::UnderWay));
        assert!(matches!(memory.before(&UserId::parse("other").unwrap(), "a", clock.now()), Before::New));
        memory.carried_out(&user(), "a", End::LedTo("/x".into()));
        assert!(matches!(before("a"), Before::Done(to) if to == "/x"));
        assert!(matches!(before("b"), Before::New));
        memory.not_carried_out(&user(), "b");
        assert!(matches!(before("b"), Before::New));
        memory.carried_out(&user(), "b", End::Made(Secret::new("s".into())));
        assert!(matches!(before("b"), Before::Made(secret) if secret.expose() == "s"));
        clock.advance(SHOWN);
        assert!(matches!(before("b"), Before::Done(to) if to.is_empty()));
        clock.advance(CARRIED_OUT);
        assert!(matches!(before("a"), Before::New));
    }
}
