//! A client's bytes, watched: when something came, when writing stalled, and what the head of the request was.
//!
//! Invariant: watching costs no system call and no timer; the worker's tick looks at what was noted.

pub mod chunks;
mod framing;
mod interim;
mod rest;
mod taken;
mod watched;

use std::{
    cell::{Cell, RefCell},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

pub use self::{framing::Follows, watched::Watched};
use self::{
    framing::Framing,
    interim::Words,
    taken::{Offer, Taken},
};
use super::{admission::Loss, flood::Flood};
use crate::base::pace::Pace;

/// How long a client may take for each thing.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For the head of a request.
    pub header: Duration,
    /// To read what was sent to it.
    pub write: Pace,
    /// Without a request.
    pub idle: Duration,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not begun: the handshake has a limit of its own.
    Handshake,
    /// Nothing.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// Requests are being answered.
    Busy,
    /// Everything is said; what the client still sends is thrown away.
    Lingering,
}

/// How long a client may go on sending after the last answer. A connection that is closed while its bytes are unread is
/// reset, and the reset can overtake the answer (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// What the tick wants of a connection, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Go on.
    None,
    /// Wait for the next request without buffers.
    Rest,
    /// Finish what is being answered, then close.
    Drain,
    /// Close now.
    Close,
}

/// What is noted of one connection.
pub struct Watch {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Requests being answered: one over HTTP/1.1, many over HTTP/2.
    requests: Cell<usize>,
    served: Cell<bool>,
    /// Something was said to the client, be it by hyper alone.
    spoke: Cell<bool>,
    stalled: Cell<Option<Instant>>,
    order: Cell<Order>,
    /// It waits without buffers.
    rests: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Whether it speaks HTTP/1.1, as far as is known.
    keep_head: Cell<bool>,
    /// Where its requests begin and end.
    framing: RefCell<Framing>,
    /// Answers whose next piece the client has to make room for.
    unread: RefCell<Slab<Offer>>,
    /// How the client takes what is written to the socket; `None` where no answers are.
    taken: Cell<Option<Taken>>,
    /// The time of the last tick, for what need not be exact.
    now: Cell<Instant>,
    /// What is weighed of HTTP/2.
    flood: RefCell<Option<Box<Flood>>>,
    /// Why the connection was told to end, until that is counted.
    loss: Cell<Option<Loss>>,
    /// What is said between answers, if anything is.
    words: RefCell<Option<Box<Words>>>,
    /// It ends with a word of ours.
    ends: Cell<bool>,
}

impl Watch {
    /// Of a connection that was just accepted, whose heads may have so many bytes.
    #[must_use]
    pub fn new(max_head: usize) -> Self {
        Self {
            phase: Cell::new(Phase::Handshake),
            since: Cell::new(Instant::now()),
            requests: Cell::new(0),
            served: Cell::new(false),
            spoke: Cell::new(false),
            stalled: Cell::new(None),
            order: Cell::new(Order::None),
            rests: Cell::new(false),
            waker: RefCell::new(None),
            keep_head: Cell::new(true),
            framing: RefCell::new(Framing::new(max_head)),
            unread: RefCell::default(),
            taken: Cell::new(Some(Taken::default())),
            now: Cell::new(Instant::now()),
            flood: RefCell::default(),
            loss: Cell::new(None),
            words: RefCell::default(),
            ends: Cell::new(false),
        }
    }

    /// The handshake is over.
    pub fn established(&self) {
        self.phase.set(Phase::Idle);
        self.since.set(Instant::now());
    }

    /// The connection does not speak HTTP/1.1.
    pub fn forget_heads(&self) {
        self.keep_head.set(false);
        self.framing.borrow_mut().forget();
    }

    /// The connection turned out to speak HTTP/2: what its client sends is weighed, and has no heads to keep.
    pub fn weigh(&self) {
        self.forget_heads();
        self.flood.replace(Some(Box::default()));
    }

    /// The time of the last tick.
    pub fn tick(&self) -> Instant {
        self.now.get()
    }

    /// A request that began at this [`Watch::tick`] was answered, or given up.
    pub fn settled(&self, answered: bool, began: Instant) {
        let too_many = self
            .flood
            .borrow_mut()
            .as_mut()
            .is_some_and(|flood| flood.ended(answered, self.now.get().saturating_duration_since(began)));
        if too_many {
            self.lose(Loss::Resets);
        }
    }

    /// Ends the connection for this reason.
    fn lose(&self, loss: Loss) {
        if self.order.get() < Order::Close {
            self.say_goodbye();
            self.loss.set(Some(loss));
            self.command(Order::Close);
        }
    }

    /// Why the connection was told to end, once.
    pub fn take_loss(&self) -> Option<Loss> {
        self.loss.take()
    }

    fn arrived(&self, bytes: &[u8]) {
        // Over HTTP/2 bytes may be a window or a ping: they begin no head, and a connection that only pings is idle. What of a
        // head has come is known to the flood, whatever else goes on.
        if !self.keep_head.get() {
            if self.flood.borrow_mut().as_mut().is_some_and(|flood| flood.arrived(bytes)) {
                self.lose(Loss::Frames);
            }
            return;
        }
        let behind = self.framing.borrow_mut().arrived(bytes);
        if self.phase.get() == Phase::Idle {
            // What belongs to a request that was answered before it was there is no head, and no idleness.
            if behind {
                self.phase.set(Phase::Head);
            }
            self.since.set(Instant::now());
        }
    }

    /// A request begins to be answered; over HTTP/1.1 `follows` says what comes after its head.
    pub fn begin(&self, follows: Follows) {
        if self.keep_head.get() {
            self.framing.borrow_mut().begin(follows);
        }
        self.phase.set(Phase::Busy);
        self.requests.set(self.requests.get() + 1);
        self.served.set(true);
    }

    /// From now on the connection speaks another protocol.
    pub fn switched(&self) {
        self.framing.borrow_mut().stop();
    }

    /// What a request has begun goes on after its answer, until [`Watch::end`].
    pub fn hold(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// A request has been answered.
    pub fn end(&self) {
        let left = self.requests.get().saturating_sub(1);
        self.requests.set(left);
        if left == 0 && self.phase.get() != Phase::Lingering {
            let mut framing = self.framing.borrow_mut();
            framing.end();
            self.phase.set(if framing.has_begun() { Phase::Head } else { Phase::Idle });
            self.since.set(Instant::now());
        }
    }

    /// Whether the raw head of the request that is beginning names a header. `None` when the head was not seen whole.
    #[must_use]
    pub fn head_names(&self, name: &str) -> Option<bool> {
        self.framing.borrow().head_names(name)
    }

    /// Whether the head of the request that is beginning has more bytes than it may have.
    #[must_use]
    pub fn head_is_larger(&self) -> bool {
        self.keep_head.get() && self.framing.borrow().head_is_larger()
    }

    /// What the connection's task has to do; it is woken when that changes.
    pub fn order(&self, cx: &Context<'_>) -> Order {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.order.get()
    }

    /// Whether an HTTP/1.1 connection that is to end may bring a request: one whose head has begun to arrive, or, while one is
    /// `patient`, one that is on its way. Over HTTP/2 a client is told which of its requests are answered (RFC 9113 section 6.8).
    #[must_use]
    pub fn expects_a_request(&self, patient: bool) -> bool {
        let coming = match self.phase.get() {
            Phase::Handshake | Phase::Idle => patient,
            Phase::Head => true,
            Phase::Busy | Phase::Lingering => false,
        };
        coming && self.keep_head.get()
    }

    /// Whether an HTTP/1.1 connection ends after the answer that is about to begin.
    #[must_use]
    pub fn answers_for_the_last_time(&self) -> bool {
        self.order.get() >= Order::Drain && self.keep_head.get()
    }

    /// Gives an order. A stronger one stays; one that is given again is looked at again. Whether it is a new one.
    pub fn command(&self, order: Order) -> bool {
        if order == Order::None || order < self.order.get() || self.order.get() == Order::Close {
            return false;
        }
        let before = self.order.replace(order);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
        before != order
    }

    /// Holds the connection against its deadlines. Why it is told to end, when it is told so now.
    pub fn inspect(&self, now: Instant, deadlines: &Deadlines) -> Option<Loss> {
        let before = self.now.replace(now);
        if let Some(flood) = self.flood.borrow_mut().as_mut() {
            flood.passed(now.saturating_duration_since(before));
        }
        let waited = now.saturating_duration_since(self.since.get());
        let late = |since: &Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= deadlines.write.silence)
        };
        let halted = |flood: &Flood| flood.halted(deadlines.write.silence) > self.requests.get();
        let unread = late(&self.stalled.get())
            || self.unread.borrow().iter().any(|(_, offer)| late(&offer.since))
            || self.flood.borrow().as_deref().is_some_and(halted);
        let half = |flood: &Flood| flood.has_half_a_head(now, deadlines.header);
        let half_a_head = self.flood.borrow().as_deref().is_some_and(half);
        let (order, loss) = if half_a_head {
            self.lose(Loss::Header);
            (Order::None, None)
        } else if unread {
            (Order::Close, Some(Loss::Unread))
        } else if self.is_read_too_slowly((before, now), &deadlines.write) {
            (Order::Close, Some(Loss::Slow))
        } else {
            match self.phase.get() {
                // A connection that has never sent a request is given as long as a head.
                Phase::Idle if !self.served.get() && waited >= deadlines.header => {
                    (Order::Close, Some(Loss::Header))
                }
                // Everything was answered, and the end of it is still unread.
                Phase::Idle if waited >= deadlines.idle.saturating_add(deadlines.write.silence) => {
                    (Order::Close, Some(Loss::Unread))
                }
                Phase::Idle if waited >= deadlines.idle => (Order::Drain, Some(Loss::Idle)),
                Phase::Idle if self.is_to_rest(waited) => (Order::Rest, None),
                Phase::Head if waited >= deadlines.header => (Order::Close, Some(Loss::Header)),
                Phase::Lingering if waited >= LINGER => (Order::Close, None),
                _ => (Order::None, None),
            }
        };
        let told = self.command(order);
        loss.filter(|_| told).or_else(|| self.take_loss())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        header: Duration::from_secs(1),
        write: Pace { rate: 100, silence: Duration::from_secs(5) },
        idle: Duration::from_secs(10),
    };

    fn established() -> Watch {
        let watch = Watch::new(64 * 1024);
        watch.established();
        watch
    }

    fn after(watch: &Watch, seconds: u64) -> Order {
        let before = watch.order.get();
        let loss = watch.inspect(Instant::now() + Duration::from_secs(seconds), &DEADLINES);
        let order = watch.order.get();
        assert_eq!(loss.is_some(), order != before && order != Order::Rest, "each is counted once");
        order
    }

    #[test]
    fn silence_is_limited_before_during_and_between_requests() {
        let waits = Watch::new(64 * 1024);
        assert_eq!(after(&waits, 1000), Order::None, "the handshake has its own limit");
        let fresh = established();
        assert_eq!((after(&fresh, 0), after(&fresh, 2)), (Order::None, Order::Close));
        let reading = established();
        reading.arrived(b"GET / HT");
        assert_eq!(after(&reading, 2), Order::Close);
        let busy = established();
        busy.arrived(b"GET / HTTP/1.1\r\n\r\n");
        busy.begin(Follows::Nothing);
        assert_eq!(after(&busy, 1000), Order::None);
        busy.end();
        assert_eq!(
            (after(&busy, 0), after(&busy, 2), after(&busy, 11)),
            (Order::None, Order::Rest, Order::Drain)
        );
        assert_eq!(after(&busy, 2), Order::Drain, "the stronger order stays");
        let stalled = established();
        stalled.begin(Follows::Nothing);
        stalled.stalled.set(Some(Instant::now()));
        assert_eq!((after(&stalled, 4), after(&stalled, 6)), (Order::None, Order::Close));
    }

    /// What becomes of a connection whose client takes so many bytes in each of so many seconds and is waited for all the time.
    fn taking(count: u64, seconds: u64, offer: impl Fn(&Watch, Instant)) -> Order {
        let watch = established();
        watch.begin(Follows::Nothing);
        let start = Instant::now();
        for second in 1..=seconds {
            let now = start + Duration::from_secs(second);
            offer(&watch, now);
            watch.wrote(usize::try_from(count).unwrap());
            let deadlines =
                Deadlines { write: Pace { rate: 100, silence: Duration::from_secs(60) }, ..DEADLINES };
            if let Some(loss) = watch.inspect(now, &deadlines) {
                assert_eq!(loss, Loss::Slow);
            }
        }
        watch.order.get()
    }

    #[test]
    fn who_takes_too_little_of_what_waits_is_let_go() {
        let stalls = |watch: &Watch, now: Instant| watch.stalled.set(now.checked_sub(Duration::from_secs(1)));
        assert_eq!(taking(1, 4, stalls), Order::None, "everybody is given some time");
        assert_eq!(taking(1, 7, stalls), Order::Close);
        assert_eq!(taking(100, 1000, stalls), Order::None, "as much as is asked for");
        assert_eq!(taking(1, 1000, |watch, _| watch.stalled.set(None)), Order::None, "nothing waits");
        assert_eq!(taking(1, 1000, |watch, _| watch.forget_answers()), Order::None, "no answers");
        // One answer among others, whatever is taken of these.
        let answer = |piece: u64| {
            move |watch: &Watch, now: Instant| {
                let key = if watch.unread.borrow().is_empty() { watch.offer() } else { 0 };
                watch.offered(key, Some(piece));
                if let Some(offer) = watch.unread.borrow_mut().get_mut(key) {
                    offer.since = now.checked_sub(Duration::from_secs(1));
                }
            }
        };
        assert_eq!(taking(1 << 20, 7, answer(1)), Order::Close);
        assert_eq!(taking(1 << 20, 1000, answer(100)), Order::None);
    }

    #[test]
    fn what_was_answered_and_is_not_taken_does_not_stay() {
        let watch = established();
        watch.begin(Follows::Nothing);
        watch.end();
        assert_eq!(
            (after(&watch, 11), after(&watch, 14), after(&watch, 16)),
            (Order::Drain, Order::Drain, Order::Close)
        );
    }

    #[test]
    fn what_holds_something_does_not_rest() {
        let rests = |prepare: fn(&Watch)| {
            let watch = established();
            watch.arrived(b"GET / HTTP/1.1\r\n\r\n");
            watch.begin(Follows::Nothing);
            watch.end();
            assert_eq!(after(&watch, 2), Order::Rest);
            watch.since.set(Instant::now());
            prepare(&watch);
            let may = watch.may_rest();
            assert_eq!(watch.order.get(), Order::None);
            may
        };
        assert!(rests(|_| {}));
        assert!(!rests(|watch| watch.arrived(b"G")));
        assert!(!rests(|watch| watch.begin(Follows::Nothing)));
        assert!(!rests(|watch| watch.stalled.set(Some(Instant::now()))));
        assert!(!rests(|watch| {
            watch.begin(Follows::Bytes(1));
            watch.end();
        }));
    }

    #[test]
    fn half_a_head_of_http_2_has_its_time_whatever_goes_on_beside_it() {
        let watch = established();
        watch.weigh();
        watch.arrived(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let head = [0, 0, 2, 1, 4, 0, 0, 0, 1, 0x82, 0x84];
        watch.arrived(&head);
        watch.begin(Follows::Nothing);
        assert_eq!(after(&watch, 1000), Order::None);
        watch.arrived(&head[..10]);
        assert_eq!((after(&watch, 0), after(&watch, 2)), (Order::None, Order::Close));
        assert!(watch.ends_with_a_word());
        let idle = established();
        idle.weigh();
        idle.arrived(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        idle.begin(Follows::Nothing);
        idle.end();
        idle.arrived(&head[..10]);
        assert_eq!((after(&idle, 0), after(&idle, 2)), (Order::None, Order::Close));
    }

    #[test]
    fn bytes_of_http_2_begin_no_head() {
        let watch = established();
        watch.forget_heads();
        watch.begin(Follows::Nothing);
        watch.end();
        watch.arrived(b"a window update");
        assert_eq!((after(&watch, 2), after(&watch, 11)), (Order::None, Order::Drain));
    }
}
