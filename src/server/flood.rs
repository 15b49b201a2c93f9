//! HTTP/2 clients that cost much and ask for little: frames that carry nothing, requests that are given up again, and answers
//! whose end is not taken.
//!
//! Invariant: what is weighed is what was sent, whoever answers it; a client that asks, reads and gives up as programs and
//! browsers do stays far below the bounds.
//!
//! RFC 9113 section 10.5. What is left to `h2`: resets of requests that it has not handed out yet, resets that it was provoked
//! to send, CONTINUATION without an end, and small DATA.

use std::time::Duration;

/// Frame types (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// What a connection begins with (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// How many frames that carry nothing may come at once. A browser's page takes some hundred, a download of a gigabyte, whose
/// window is opened again and again, earns them.
const MOST: i64 = 10_000;

/// In which time one of them comes back: enough for every program that looks whether the connection lives.
const PER_FRAME: Duration = Duration::from_millis(10);

/// What a request earns, and each frame with which it is answered: the windows that are opened for it, a ping that measures the
/// way, its reset.
const PER_MESSAGE: i64 = 8;

/// A request that is given up within this time may have been sent to be given up.
const HASTY: Duration = Duration::from_secs(1);

/// So many of them may be, before it is looked at how many are not.
const FEW: u32 = 200;

/// In which time one of them is forgotten.
const PER_RESET: Duration = Duration::from_millis(100);

/// What one HTTP/2 connection has sent and got.
#[derive(Debug)]
pub(super) struct Flood {
    incoming: Frames,
    outgoing: Frames,
    credit: i64,
    given_up: u32,
    awaited: u32,
    /// Answers that have begun to be sent and are not sent to their end.
    open: Vec<Open>,
    /// Time since the connection began, as of the last tick.
    age: Duration,
    /// Time that has passed and has brought nothing yet: for frames, for resets.
    unspent: [Duration; 2],
}

/// One such answer.
#[derive(Debug)]
struct Open {
    stream: u32,
    /// At which age of the connection something of it was sent last.
    sent: Duration,
}

/// Frames out of a stream of bytes.
#[derive(Debug)]
struct Frames {
    /// Bytes that are no head of a frame.
    skip: usize,
    head: [u8; 9],
    got: usize,
}

impl Frames {
    const fn new(skip: usize) -> Self {
        Self { skip, head: [0; 9], got: 0 }
    }

    /// Shows the type, the flags, the length and the stream of each frame that begins in `bytes`.
    fn read(&mut self, mut bytes: &[u8], mut seen: impl FnMut(u8, u8, usize, u32)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = (self.head.len() - self.got).min(bytes.len());
            let (taken, rest) = bytes.split_at(wanted);
            if let Some(room) = self.head.get_mut(self.got..self.got + wanted) {
                room.copy_from_slice(taken);
            }
            self.got += wanted;
            bytes = rest;
            if self.got == self.head.len() {
                let [high, middle, low, kind, flags, stream @ ..] = self.head;
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                seen(kind, flags, length, u32::from_be_bytes(stream));
                (self.skip, self.got) = (length, 0);
            }
        }
    }
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            incoming: Frames::new(PREFACE),
            outgoing: Frames::new(0),
            credit: MOST,
            given_up: 0,
            awaited: 0,
            open: Vec::new(),
            age: Duration::ZERO,
            unspent: Default::default(),
        }
    }
}

impl Flood {
    /// Bytes came. Whether it is too much.
    #[must_use]
    pub(super) fn arrived(&mut self, bytes: &[u8]) -> bool {
        let (credit, open) = (&mut self.credit, &mut self.open);
        self.incoming.read(bytes, |kind, flags, length, stream| match kind {
            HEADERS => *credit = (*credit + PER_MESSAGE).min(MOST),
            DATA if length > 0 || flags & END_STREAM != 0 => {}
            _ => {
                *credit -= 1;
                if kind == RST_STREAM {
                    open.retain(|answer| answer.stream != stream);
                }
            }
        });
        self.credit < 0
    }

    /// Bytes were sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let (credit, open, age) = (&mut self.credit, &mut self.open, self.age);
        self.outgoing.read(bytes, |kind, flags, _, stream| {
            let carries = matches!(kind, HEADERS | DATA);
            if carries {
                *credit = (*credit + PER_MESSAGE).min(MOST);
            }
            let at = || open.iter().position(|answer| answer.stream == stream);
            match (carries, flags & END_STREAM != 0) {
                (true, true) => drop(at().map(|at| open.swap_remove(at))),
                (true, false) => match at().and_then(|at| open.get_mut(at)) {
                    Some(answer) => answer.sent = age,
                    None => open.push(Open { stream, sent: age }),
                },
                (false, _) if kind == RST_STREAM => drop(at().map(|at| open.swap_remove(at))),
                (false, _) => {}
            }
        });
    }

    /// How many answers have begun and are not at their end, without a byte of them sent for so long. There may be nothing to
    /// send of those that are still being made; of any beyond their number it is the client who makes no room.
    pub(super) fn halted(&self, silence: Duration) -> usize {
        self.open.iter().filter(|answer| self.age.saturating_sub(answer.sent) >= silence).count()
    }

    /// Time has passed.
    pub(super) fn passed(&mut self, time: Duration) {
        self.age = self.age.saturating_add(time);
        let [frames, resets] = &mut self.unspent;
        self.credit = self.credit.saturating_add(spend(frames, time, PER_FRAME).into()).min(MOST);
        self.given_up = self.given_up.saturating_sub(spend(resets, time, PER_RESET));
    }

    /// A request has ended after this time, `answered` or given up. Whether it is too much.
    #[must_use]
    pub(super) fn ended(&mut self, answered: bool, after: Duration) -> bool {
        if answered || after >= HASTY {
            self.awaited = self.awaited.saturating_add(1);
            return false;
        }
        self.given_up = self.given_up.saturating_add(1);
        self.given_up > FEW && self.given_up > self.awaited
    }
}

/// How many times `each` is in what has passed; the rest is kept.
fn spend(unspent: &mut Duration, passed: Duration, each: Duration) -> u32 {
    *unspent = unspent.saturating_add(passed);
    let times = u32::try_from(unspent.as_nanos() / each.as_nanos().max(1)).unwrap_or(u32::MAX);
    *unspent = unspent.saturating_sub(each.saturating_mul(times));
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
        frame.resize(9 + length, kind);
        frame
    }

    fn begun() -> Flood {
        let mut flood = Flood::default();
        assert!(!flood.arrived(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert_eq!(flood.credit, MOST, "that is no frame");
        flood
    }

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let all =
            [frame(PING, 0, 8), frame(DATA, 0, 300), frame(SETTINGS, 1, 0), frame(7, 0, 70_000)].concat();
        for size in [1, 2, 8, 9, 10, 100, all.len()] {
            let (mut frames, mut seen) = (Frames::new(0), Vec::new());
            for piece in all.chunks(size) {
                frames.read(piece, |kind, flags, length, stream| {
                    assert_eq!(stream, 1);
                    seen.push((kind, flags, length));
                });
            }
            assert_eq!(seen, [(PING, 0, 8), (DATA, 0, 300), (SETTINGS, 1, 0), (7, 0, 70_000)], "by {size}");
        }
    }

    #[test]
    fn frames_that_carry_nothing_are_too_many_at_some_time() {
        let carries_nothing = [
            frame(PING, 0, 8),
            frame(SETTINGS, 0, 0),
            frame(2, 0, 5),
            frame(3, 0, 4),
            frame(WINDOW_UPDATE, 0, 4),
            frame(9, 0, 0),
            frame(0x77, 0, 1),
            frame(DATA, 0, 0),
        ];
        for frame in carries_nothing {
            let mut flood = begun();
            for count in 0..MOST {
                assert!(!flood.arrived(&frame), "{frame:?}: {count}");
            }
            assert!(flood.arrived(&frame), "{frame:?}");
        }
    }

    #[test]
    fn what_asks_and_is_answered_earns_what_goes_along() {
        let mut flood = begun();
        // Each message of an answer makes its reader open two windows and measure the way.
        for _ in 0..100_000 {
            flood.sent(&frame(DATA, 0, 20));
            let reader = [frame(WINDOW_UPDATE, 0, 4), frame(WINDOW_UPDATE, 0, 4), frame(PING, 0, 8)].concat();
            assert!(!flood.arrived(&reader));
        }
        // Requests one after the other, each with what small clients send besides.
        for _ in 0..100_000 {
            let request =
                [frame(HEADERS, 5, 30), frame(2, 0, 5), frame(WINDOW_UPDATE, 0, 4), frame(PING, 1, 8)];
            assert!(!flood.arrived(&request.concat()));
        }
        // A body in small pieces is a body.
        for _ in 0..100_000 {
            assert!(!flood.arrived(&frame(DATA, 0, 1)));
        }
        assert!(!flood.arrived(&frame(DATA, END_STREAM, 0)));
        // Pings through a day.
        for _ in 0..100_000 {
            flood.passed(Duration::from_secs(1));
            assert!(!flood.arrived(&frame(PING, 0, 8).repeat(50)));
        }
        // What only answers pings earns nothing.
        let mut flood = begun();
        let too_much = (0..=MOST).map(|_| {
            flood.sent(&frame(PING, 1, 8));
            flood.arrived(&frame(PING, 0, 8))
        });
        assert!(too_much.last().unwrap());
    }

    /// A frame of this stream.
    fn of(stream: u32, kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = frame(kind, flags, length);
        frame[5..9].copy_from_slice(&stream.to_be_bytes());
        frame
    }

    #[test]
    fn answers_of_which_nothing_moves_are_counted() {
        let silence = Duration::from_secs(60);
        let mut flood = begun();
        for stream in [1, 3, 5, 7, 9] {
            flood.sent(&of(stream, HEADERS, 4, 20));
            flood.sent(&of(stream, DATA, 0, 10));
        }
        flood.sent(&of(11, HEADERS, 4 | END_STREAM, 20));
        assert_eq!((flood.halted(silence), flood.halted(Duration::ZERO)), (0, 5));
        flood.passed(silence / 2);
        // One goes on, one ends, one ends with trailers, one is given up by each side.
        flood.sent(&of(1, DATA, 0, 10));
        flood.sent(&of(3, DATA, END_STREAM, 0));
        flood.sent(&of(5, HEADERS, 4 | END_STREAM, 10));
        assert!(!flood.arrived(&of(7, RST_STREAM, 0, 4)));
        flood.passed(silence / 2);
        assert_eq!((flood.halted(silence), flood.halted(Duration::ZERO)), (1, 2));
        flood.sent(&of(9, RST_STREAM, 0, 4));
        flood.passed(silence);
        assert_eq!(flood.halted(silence), 1);
    }

    #[test]
    fn who_gives_up_more_than_is_awaited_is_told_to_go() {
        let (soon, late) = (Duration::from_millis(5), HASTY);
        let mut flood = begun();
        for _ in 0..FEW {
            assert!(!flood.ended(false, soon), "somebody has left a large page");
        }
        assert!(flood.ended(false, soon));
        // One who waits for the greater part may give up as much again, and who gives up late has waited.
        let mut flood = begun();
        for _ in 0..10_000 {
            assert!(!flood.ended(true, soon) && !flood.ended(false, soon) && !flood.ended(false, late));
        }
        // One who gives up a few a second, as somebody does who types what to search for, may do so for ever.
        let mut flood = begun();
        for _ in 0..10_000 {
            flood.passed(Duration::from_millis(33));
            flood.passed(Duration::from_millis(67));
            assert!(!flood.ended(false, soon));
        }
    }
}
