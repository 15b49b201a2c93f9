//! HTTP/2 clients that cost much and ask for little: frames that carry nothing, requests that are given up again, heads that do
//! not come to an end, and answers whose end is not taken.
//!
//! Invariant: what is weighed is what was sent, whoever answers it; a client that asks, reads and gives up as programs and
//! browsers do stays far below the bounds.
//!
//! RFC 9113 section 10.5. What is left to `h2`: resets of requests that it has not handed out yet, resets that it was provoked
//! to send, CONTINUATION without an end, and small DATA.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::base::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, SETTINGS, Seen,
};

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

/// Pieces of bodies after which those who answer have their turn.
const PIECES: u32 = 512;

/// What one HTTP/2 connection has sent and got.
#[derive(Debug)]
pub(super) struct Flood {
    incoming: Frames,
    heads: Heads,
    /// Pieces of bodies that were read without a pause.
    pieces: u32,
    outgoing: Frames,
    credit: i64,
    given_up: u32,
    awaited: u32,
    requests: Requests,
    /// Whether the head of an answer, or its trailers, goes on in the next frame that is sent.
    continues: bool,
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

/// Heads of requests, and trailers, as they arrive.
#[derive(Debug, Default)]
struct Heads {
    /// One goes on in the next frame.
    continues: bool,
    /// A frame has begun, of which it cannot be told yet whether it is of a head.
    unknown: bool,
    /// When the one began that is not whole.
    since: Option<Instant>,
}

impl Heads {
    /// Bytes came, up to here. `begun`: with the beginning of another frame than a continuation.
    fn arrived(&mut self, at: &Frames, begun: bool) {
        let (half, continues) = (at.half(), self.continues);
        let unknown = half == Some(None) && !continues;
        let another = begun || (unknown && !self.unknown);
        self.unknown = unknown;
        let open = continues || matches!(half, Some(None | Some(HEADERS | CONTINUATION)));
        self.since = match self.since {
            _ if !open => None,
            Some(since) if !another => Some(since),
            _ => Some(Instant::now()),
        };
    }
}

/// Which stream a request that hyper hands out came on, which it does not say.
///
/// `h2` hands requests out in the order in which they began, except for those that it refuses itself. So as long as any that
/// began was not handed out, it is not known; and where one was refused it stays so.
#[derive(Debug)]
struct Requests {
    newest: u32,
    /// Streams that began and were not handed out.
    opened: VecDeque<u32>,
    /// Of the table for heads, in bytes, as the client has announced it.
    table: u32,
    /// Part of a setting.
    setting: ([u8; 6], usize),
    doubtful: bool,
}

impl Default for Requests {
    fn default() -> Self {
        // RFC 9113 section 6.5.2.
        let table = 4096;
        Self { newest: 0, opened: VecDeque::new(), table, setting: ([0; 6], 0), doubtful: false }
    }
}

impl Requests {
    /// More can wait nowhere.
    const MOST: usize = 4096;

    /// A head, or trailers.
    fn began(&mut self, stream: u32) {
        if stream > self.newest {
            self.newest = stream;
            self.doubtful |= self.opened.len() >= Self::MOST;
            if !self.doubtful {
                self.opened.push_back(stream);
            }
        }
    }

    /// Part of what a client announces. RFC 9113 section 4.3.1: a table that shrinks has to be acknowledged by the next head
    /// that is sent, which is for `h2` to do.
    fn settings(&mut self, content: &[u8]) {
        const HEADER_TABLE_SIZE: [u8; 2] = [0, 1];
        for byte in content {
            let (setting, got) = &mut self.setting;
            if let Some(slot) = setting.get_mut(*got) {
                *slot = *byte;
            }
            *got += 1;
            if *got == setting.len() {
                *got = 0;
                let [high, low, value @ ..] = *setting;
                if [high, low] == HEADER_TABLE_SIZE {
                    let size = u32::from_be_bytes(value);
                    self.doubtful |= size < self.table;
                    self.table = size;
                }
            }
        }
    }
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            incoming: Frames::new(PREFACE),
            heads: Heads::default(),
            pieces: 0,
            outgoing: Frames::new(0),
            credit: MOST,
            given_up: 0,
            awaited: 0,
            requests: Requests::default(),
            continues: false,
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
        let (credit, open, requests) = (&mut self.credit, &mut self.open, &mut self.requests);
        let (pieces, continues, mut begun) = (&mut self.pieces, &mut self.heads.continues, false);
        self.incoming.read(bytes, |seen| {
            if let Seen::Begin { kind, flags, .. } = seen {
                *continues = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS == 0;
                begun |= kind != CONTINUATION;
            }
            match seen {
                Seen::Begin { kind: HEADERS, stream, .. } => {
                    *credit = (*credit + PER_MESSAGE).min(MOST);
                    requests.began(stream);
                }
                Seen::Begin { kind: DATA, flags, length, .. } if length > 0 || flags & END_STREAM != 0 => {
                    *pieces = pieces.saturating_add(1);
                }
                Seen::Begin { kind, stream, .. } => {
                    *credit -= 1;
                    if kind == RST_STREAM {
                        open.retain(|answer| answer.stream != stream);
                    }
                }
                Seen::Content { kind: SETTINGS, bytes, .. } => requests.settings(bytes),
                Seen::Content { .. } => {}
            }
        });
        self.heads.arrived(&self.incoming, begun);
        self.credit < 0
    }

    /// Whether a head, or trailers, began `limit` before `now` and has not come to its end. A frame of which not even the type has
    /// come counts as one.
    pub(super) fn has_half_a_head(&self, now: Instant, limit: Duration) -> bool {
        self.heads.since.is_some_and(|since| now.saturating_duration_since(since) >= limit)
    }

    /// Whether those who answer are to take what was read before more is. `h2` ends a connection on which too many small pieces wait,
    /// however fast they would be taken.
    pub(super) fn pauses(&mut self) -> bool {
        self.pieces >= PIECES && std::mem::take(&mut self.pieces) > 0
    }

    /// The next request is handed out: its stream, unless that is not known.
    pub(super) fn handed(&mut self) -> Option<u32> {
        self.requests.opened.pop_front()
    }

    /// The newest stream.
    pub(super) const fn newest(&self) -> u32 {
        self.requests.newest
    }

    /// Whether it is known which request is which, and heads may be sent that use no table (see [`Requests`]).
    pub(super) fn is_certain(&self) -> bool {
        self.requests.opened.is_empty() && !self.requests.doubtful
    }

    /// Whether nothing of what is sent is half written.
    pub(super) const fn is_between(&self) -> bool {
        self.outgoing.is_between() && !self.continues
    }

    /// Bytes were sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let (credit, open, age, continues) =
            (&mut self.credit, &mut self.open, self.age, &mut self.continues);
        self.outgoing.read(bytes, |seen| {
            let Seen::Begin { kind, flags, stream, .. } = seen else { return };
            *continues = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS == 0;
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
    fn heads_have_their_time_from_their_first_byte_to_their_last() {
        const LIMIT: Duration = Duration::from_secs(10);
        let late = |flood: &Flood| flood.has_half_a_head(Instant::now() + LIMIT, LIMIT);
        let (whole, first) = (frame(HEADERS, END_HEADERS, 30), frame(HEADERS, END_STREAM, 30));
        let (more, last) = (frame(CONTINUATION, 0, 30), frame(CONTINUATION, END_HEADERS, 30));
        let (data, ping) = (frame(DATA, 0, 300), frame(PING, 0, 8));
        let never: [&[&[u8]]; 5] = [
            &[&whole],
            &[&first, &last],
            &[&first, &more, &last, &ping],
            &[&whole, &data[..20]],
            &[&ping[..4]],
        ];
        for pieces in never {
            let mut flood = begun();
            for piece in pieces {
                assert!(!flood.arrived(piece));
            }
            assert!(!late(&flood), "{pieces:?}");
        }
        let half: [&[&[u8]]; 7] = [
            &[&first],
            &[&first, &more],
            &[&first, &last[..38]],
            &[&whole[..38]],
            &[&whole[..4]],
            &[&whole, &whole[..1]],
            &[&data, &whole[..20]],
        ];
        for pieces in half {
            let mut flood = begun();
            for byte in pieces.concat() {
                assert!(!flood.arrived(&[byte]));
            }
            assert!(late(&flood), "{pieces:?}");
            assert!(!flood.has_half_a_head(Instant::now(), LIMIT), "it has just begun: {pieces:?}");
        }
    }

    #[test]
    fn the_time_of_a_head_begins_once() {
        let (whole, first) = (frame(HEADERS, END_HEADERS, 30), frame(HEADERS, 0, 30));
        let since = |flood: &Flood| flood.heads.since.unwrap();
        let wait = || std::thread::sleep(Duration::from_millis(2));
        // What drips has no more time.
        let mut flood = begun();
        assert!(!flood.arrived(&first[..10]));
        let began = since(&flood);
        let more = frame(CONTINUATION, 0, 20);
        for piece in [&first[10..], &more[..2], &more[2..]] {
            wait();
            assert!(!flood.arrived(piece));
            assert_eq!(since(&flood), began);
        }
        // The next has its own, wherever the bytes are cut.
        for cut in 1..whole.len() {
            let mut flood = begun();
            assert!(!flood.arrived(&whole[..cut]));
            let began = since(&flood);
            wait();
            assert!(!flood.arrived(&[&whole[cut..], &whole[..cut]].concat()));
            assert!(since(&flood) > began, "cut at {cut}");
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

    #[test]
    fn requests_are_known_by_the_order_in_which_they_began() {
        let mut flood = begun();
        for stream in [1, 3, 7] {
            assert!(!flood.arrived(&of(stream, HEADERS, 4, 20)));
        }
        // Trailers begin no request.
        assert!(!flood.arrived(&of(3, HEADERS, 5, 20)));
        assert_eq!((flood.handed(), flood.handed(), flood.is_certain()), (Some(1), Some(3), false));
        assert_eq!((flood.handed(), flood.is_certain(), flood.newest()), (Some(7), true, 7));
        assert_eq!((flood.handed(), flood.is_certain()), (None, true));
        // One was refused before it was handed out.
        assert!(!flood.arrived(&[of(9, HEADERS, 4, 20), of(11, HEADERS, 4, 20)].concat()));
        assert_eq!((flood.handed(), flood.is_certain()), (Some(9), false));
        for stream in 0..10_000 {
            assert!(!flood.arrived(&of(13 + 2 * stream, HEADERS, 4, 20)));
        }
        assert_eq!(flood.requests.opened.len(), Requests::MOST);
    }

    #[test]
    fn a_table_that_shrinks_is_left_to_h2() {
        let announced = |sizes: &[u32]| {
            let mut flood = begun();
            for size in sizes {
                let mut frame = frame(SETTINGS, 0, 12);
                frame[9..15].copy_from_slice(&[0, 3, 0, 0, 0, 0]);
                frame[15..17].copy_from_slice(&[0, 1]);
                frame[17..].copy_from_slice(&size.to_be_bytes());
                for piece in frame.chunks(5) {
                    assert!(!flood.arrived(piece));
                }
            }
            flood.is_certain()
        };
        assert!(announced(&[]) && announced(&[4096]) && announced(&[65_536]) && announced(&[8192, 65_536]));
        assert!(!announced(&[0]) && !announced(&[4095]) && !announced(&[65_536, 4096]));
    }

    #[test]
    fn what_is_half_written_is_known() {
        let mut flood = begun();
        let sent = [of(1, HEADERS, 0, 20), of(1, 9, 4, 20), of(1, DATA, END_STREAM, 5)].concat();
        let between: Vec<usize> = (0..sent.len())
            .filter(|at| {
                flood.sent(&sent[*at..=*at]);
                flood.is_between()
            })
            .collect();
        assert_eq!(between, [57, 71]);
    }
}
