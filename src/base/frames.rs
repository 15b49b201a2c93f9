//! HTTP/2 frames, found in a stream of bytes as it goes by.
//!
//! Invariant: whatever pieces the bytes come in, the same frames are seen, each once.
//!
//! RFC 9113 section 4.1.

/// Frame types (RFC 9113 section 6).
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;
/// The flag of the last frame of a message.
pub const END_STREAM: u8 = 1;
/// The flag of the last frame of a head, or of trailers.
pub const END_HEADERS: u8 = 4;

/// Where one is in a stream of bytes.
#[derive(Debug)]
pub struct Frames {
    /// Bytes that are no head of a frame.
    skip: usize,
    head: [u8; 9],
    got: usize,
}

/// What is seen of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'b> {
    /// One begins.
    Begin {
        /// Its type.
        kind: u8,
        /// Its flags.
        flags: u8,
        /// Bytes that it holds.
        length: usize,
        /// Its stream.
        stream: u32,
    },
    /// A part of what one of this type holds.
    Content {
        /// The type.
        kind: u8,
        /// The bytes.
        bytes: &'b [u8],
        /// Where they begin among those that were to be read.
        at: usize,
    },
}

impl Frames {
    /// They begin after so many other bytes.
    #[must_use]
    pub const fn new(skip: usize) -> Self {
        Self { skip, head: [0; 9], got: 0 }
    }

    /// Whether the next byte begins a frame.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.skip == 0 && self.got == 0
    }

    /// The type of a frame that has begun and is not whole, as far as it is known: nothing came of its head beyond the length.
    #[must_use]
    pub const fn half(&self) -> Option<Option<u8>> {
        let kind = self.head[3];
        match (self.skip, self.got) {
            (0, 0) => None,
            (0, 1..=3) => Some(None),
            _ => Some(Some(kind)),
        }
    }

    /// Shows what is in `bytes`.
    pub fn read(&mut self, bytes: &[u8], mut seen: impl FnMut(Seen<'_>)) {
        let mut left = bytes;
        while !left.is_empty() {
            if self.skip > 0 {
                let (content, rest) = left.split_at(self.skip.min(left.len()));
                let at = bytes.len() - left.len();
                self.skip -= content.len();
                left = rest;
                seen(Seen::Content { kind: self.head[3], bytes: content, at });
                continue;
            }
            let wanted = (self.head.len() - self.got).min(left.len());
            let (taken, rest) = left.split_at(wanted);
            if let Some(room) = self.head.get_mut(self.got..self.got + wanted) {
                room.copy_from_slice(taken);
            }
            self.got += wanted;
            left = rest;
            if self.got == self.head.len() {
                let [high, middle, low, kind, flags, stream @ ..] = self.head;
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                (self.skip, self.got) = (length, 0);
                // RFC 9113 section 4.1: the first bit is reserved.
                seen(Seen::Begin { kind, flags, length, stream: u32::from_be_bytes(stream) & 0x7fff_ffff });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], kind, flags, 0x80, 0, 0, 1];
        frame.resize(9 + length, kind);
        frame
    }

    #[test]
    fn half_a_frame_has_a_type_once_that_has_come() {
        let mut frames = Frames::new(2);
        assert_eq!(frames.half(), Some(Some(DATA)), "what is to be passed over");
        let mut read = |bytes: &[u8]| {
            frames.read(bytes, |_| {});
            frames.half()
        };
        assert_eq!(read(b"xx"), None);
        let frame = frame(HEADERS, END_HEADERS, 4);
        assert_eq!((read(&frame[..1]), read(&frame[1..3])), (Some(None), Some(None)));
        assert_eq!((read(&frame[3..4]), read(&frame[4..9])), (Some(Some(HEADERS)), Some(Some(HEADERS))));
        assert_eq!((read(&frame[9..12]), read(&frame[12..])), (Some(Some(HEADERS)), None));
    }

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let all = [frame(6, 0, 8), frame(DATA, 0, 300), frame(SETTINGS, 1, 0), frame(7, 0, 70_000)].concat();
        for size in [1, 2, 8, 9, 10, 100, all.len()] {
            let (mut frames, mut begun, mut contents) = (Frames::new(0), Vec::new(), 0);
            for piece in all.chunks(size) {
                frames.read(piece, |seen| match seen {
                    Seen::Begin { kind, flags, length, stream } => {
                        assert_eq!(stream, 1);
                        begun.push((kind, flags, length));
                    }
                    Seen::Content { kind, bytes, at } => {
                        contents += bytes.len();
                        assert_eq!(&piece[at..at + bytes.len()], bytes);
                        assert!(bytes.iter().all(|byte| *byte == kind));
                    }
                });
            }
            assert!(frames.is_between());
            assert_eq!(contents, 70_308);
            assert_eq!(begun, [(6, 0, 8), (DATA, 0, 300), (SETTINGS, 1, 0), (7, 0, 70_000)], "by {size}");
        }
    }
}
