//! What is said between answers: an upstream's interim answers, and the last word to a client that costs too much.
//!
//! hyper cannot send these, so they are written beside it.
//!
//! Invariant: they begin only where nothing of hyper's is half written; an interim answer goes to the request that it belongs to,
//! before the answer of that begins, or nowhere.
//!
//! RFC 9110 section 15.2, RFC 8297; RFC 9113 sections 6.8 and 8.1, RFC 7541.

use std::{collections::VecDeque, rc::Rc};

use bytes::{BufMut as _, Bytes};
use http::{HeaderMap, StatusCode, Version};

use super::Watch;
use crate::base::interim::{Interim, Speaker};

/// Bytes of one interim answer. RFC 9113 section 4.2: every client takes a frame of 16 KiB.
const MAX_SIZE: usize = 8 * 1024;

/// Interim answers of one connection that wait to be written.
const MAX_WAITING: usize = 64;

/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// What is to be said on one connection.
#[derive(Default)]
pub(super) struct Words {
    /// What was begun, and has to be ended before anything else is written.
    begun: Bytes,
    /// Interim answers, each with its request.
    waiting: VecDeque<(u32, Bytes)>,
    /// What comes last.
    last: Option<Bytes>,
}

impl Words {
    /// What is to be written now. `certain`: whether it is known which request is which; `between`: whether nothing is half
    /// written.
    pub(super) fn next(&mut self, (certain, between): (bool, bool)) -> Option<&mut Bytes> {
        if self.begun.is_empty() && between {
            let next = self.last.take().or_else(|| {
                let waiting = if certain { self.waiting.pop_front() } else { None };
                waiting.map(|(_, bytes)| bytes)
            });
            self.begun = next.unwrap_or_default();
        }
        Some(&mut self.begun).filter(|begun| !begun.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.waiting.is_empty() && self.last.is_none()
    }
}

impl Watch {
    /// The way of interim answers to the request that is about to be handed out.
    pub fn interim(self: &Rc<Self>, version: Version) -> Interim {
        let request = match version {
            Version::HTTP_2 => self.flood.borrow_mut().as_mut().and_then(|flood| flood.handed()),
            Version::HTTP_11 => Some(0),
            // RFC 9110 section 15.2: there were none yet.
            _ => None,
        };
        let speaker = || -> Rc<dyn Speaker> { Rc::<Self>::clone(self) };
        request.map_or_else(Interim::default, |request| Interim::new(speaker(), request))
    }

    /// The answer of a request is about to begin: what is to be said before it goes first, where there is room for it.
    pub async fn say_first(&self, request: u32) {
        let waits = |words: &Words| words.waiting.iter().any(|(of, _)| *of == request);
        if self.words.borrow().as_deref().is_some_and(waits) {
            // Whoever writes was woken before.
            tokio::task::yield_now().await;
            self.forget_interim(request);
        }
    }

    /// A request was given up.
    pub fn forget_interim(&self, request: u32) {
        if let Some(words) = self.words.borrow_mut().as_mut() {
            words.waiting.retain(|(of, _)| *of != request);
        }
    }

    /// The connection ends because its client costs too much, and is told so (RFC 9113 section 10.5).
    pub(super) fn say_goodbye(&self) {
        let Some(newest) = self.flood.borrow().as_ref().map(|flood| flood.newest()) else { return };
        let mut frame = Vec::with_capacity(17);
        frame.extend_from_slice(&[0, 0, 8, 7, 0, 0, 0, 0, 0]);
        frame.put_u32(newest);
        frame.put_u32(ENHANCE_YOUR_CALM);
        self.words.borrow_mut().get_or_insert_default().last = Some(frame.into());
        self.ends.set(true);
    }

    /// Whether nothing is read any more, since the connection ends with a word of ours.
    pub fn ends_with_a_word(&self) -> bool {
        self.ends.get()
    }
}

impl Speaker for Watch {
    fn interim(&self, request: u32, status: StatusCode, headers: &HeaderMap) {
        let http2 = self.flood.borrow().is_some();
        let Some(bytes) = (if http2 { frame(request, status, headers) } else { lines(status, headers) })
        else {
            return;
        };
        let mut words = self.words.borrow_mut();
        let waiting = &mut words.get_or_insert_default().waiting;
        if waiting.len() < MAX_WAITING {
            waiting.push_back((request, bytes.into()));
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// As HTTP/1.1 has it.
fn lines(status: StatusCode, headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(256);
    text.extend_from_slice(b"HTTP/1.1 ");
    text.extend_from_slice(status.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    text.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    Some(text).filter(|text| text.len() <= MAX_SIZE)
}

/// As HTTP/2 has it: one HEADERS frame whose fields are written out, so that the table that hyper's own share with the client
/// stays as it is (RFC 7541 section 6.2.2).
fn frame(stream: u32, status: StatusCode, headers: &HeaderMap) -> Option<Vec<u8>> {
    const END_HEADERS: u8 = 4;
    /// `:status` in the static table.
    const STATUS: u8 = 8;
    let mut frame = vec![0, 0, 0, 1, END_HEADERS];
    frame.put_u32(stream);
    frame.push(STATUS);
    text(&mut frame, status.as_str().as_bytes());
    for (name, value) in headers {
        frame.push(0);
        text(&mut frame, name.as_str().as_bytes());
        text(&mut frame, value.as_bytes());
    }
    let length = u16::try_from(frame.len() - 9).ok().filter(|length| usize::from(*length) <= MAX_SIZE)?;
    frame.get_mut(1..3)?.copy_from_slice(&length.to_be_bytes());
    Some(frame)
}

/// A length and so many bytes (RFC 7541 sections 5.1 and 5.2).
fn text(frame: &mut Vec<u8>, text: &[u8]) {
    const MOST: u8 = 127;
    match u8::try_from(text.len()) {
        Ok(length) if length < MOST => frame.push(length),
        _ => {
            frame.push(MOST);
            let mut rest = text.len().saturating_sub(usize::from(MOST));
            while rest >= 128 {
                let [low, ..] = rest.to_le_bytes();
                frame.push(low | 128);
                rest >>= 7;
            }
            let [low, ..] = rest.to_le_bytes();
            frame.push(low);
        }
    }
    frame.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn hints(size: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("link", HeaderValue::try_from("x".repeat(size)).unwrap());
        headers.append("link", HeaderValue::from_static("</a.css>; rel=preload"));
        headers
    }

    #[test]
    fn interim_answers_are_written_as_the_protocol_has_them() {
        let headers = hints(2);
        assert_eq!(
            String::from_utf8(lines(StatusCode::EARLY_HINTS, &headers).unwrap()).unwrap(),
            "HTTP/1.1 103 Early Hints\r\nlink: xx\r\nlink: </a.css>; rel=preload\r\n\r\n"
        );
        let frame = frame(7, StatusCode::EARLY_HINTS, &headers).unwrap();
        assert_eq!(
            frame,
            b"\0\0\x2a\x01\x04\0\0\0\x07\x08\x03103\0\x04link\x02xx\0\x04link\x15</a.css>; rel=preload"
        );
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        for (length, expected) in [
            (0, &[0][..]),
            (126, &[126]),
            (127, &[127, 0]),
            (128, &[127, 1]),
            (254, &[127, 127]),
            (255, &[127, 128, 1]),
            (5000, &[127, 137, 38]),
        ] {
            let mut frame = Vec::new();
            text(&mut frame, &vec![b'x'; length]);
            assert_eq!(&frame[..frame.len() - length], expected, "{length}");
        }
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        for (size, sent) in [(8000, true), (8192, false), (70_000, false)] {
            assert_eq!(lines(StatusCode::EARLY_HINTS, &hints(size)).is_some(), sent, "{size}");
            assert_eq!(frame(1, StatusCode::EARLY_HINTS, &hints(size)).is_some(), sent, "{size}");
        }
    }

    fn said(words: &mut Words, how: (bool, bool)) -> Option<Bytes> {
        words.next(how).map(std::mem::take)
    }

    #[test]
    fn nothing_is_said_in_between_or_to_nobody_knows_whom() {
        let mut words = Words::default();
        words.waiting.push_back((1, Bytes::from_static(b"hint")));
        assert_eq!(said(&mut words, (false, true)), None);
        assert_eq!(said(&mut words, (true, false)), None);
        let begun = words.next((true, true)).unwrap();
        let _ = begun.split_to(1);
        assert_eq!(said(&mut words, (false, false)).unwrap(), "int", "what was begun is ended");
        assert!(words.is_empty());
        words.waiting.push_back((1, Bytes::from_static(b"hint")));
        words.last = Some(Bytes::from_static(b"goodbye"));
        assert_eq!(said(&mut words, (false, true)).unwrap(), "goodbye", "that concerns no request");
    }

    #[test]
    fn what_comes_too_late_is_not_said() {
        let watch = Rc::new(Watch::new(1000));
        let interim = watch.interim(Version::HTTP_11);
        interim.send(StatusCode::EARLY_HINTS, &hints(1));
        watch.forget_interim(1);
        assert!(!watch.words.borrow().as_ref().unwrap().is_empty(), "that is another request");
        watch.forget_interim(0);
        assert!(watch.words.borrow().as_ref().unwrap().is_empty());
        watch.interim(Version::HTTP_10).send(StatusCode::EARLY_HINTS, &hints(1));
        assert!(watch.words.borrow().as_ref().unwrap().is_empty());
        for _ in 0..1000 {
            interim.send(StatusCode::EARLY_HINTS, &hints(1));
        }
        assert_eq!(watch.words.borrow().as_ref().unwrap().waiting.len(), MAX_WAITING);
    }
}
