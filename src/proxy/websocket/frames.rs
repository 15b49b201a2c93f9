//! Where frames end, in bytes that go by: so that a frame of ours never stands within another.
//!
//! Invariant: nothing is kept but the head of the frame that is going by; what cannot be followed has no boundary any more.
//!
//! RFC 6455 section 5.2.

/// The longest head of a frame.
const LONGEST_HEAD: usize = 14;

const CLOSE: u8 = 8;

/// Follows the frames of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frames {
    head: [u8; LONGEST_HEAD],
    /// How many bytes of a head have come.
    have: usize,
    /// How many bytes of the payload are still to come.
    left: u64,
    /// A Close has begun: no frame comes after it.
    closed: bool,
    /// What goes by is not WebSocket.
    lost: bool,
}

impl Frames {
    /// These bytes go by.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !self.lost
            && let Some(byte) = bytes.first()
        {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
            bytes = bytes.get(1..).unwrap_or_default();
            if self.have == self.length_of_head() {
                self.begin();
            }
        }
    }

    /// The whole head is there.
    fn begin(&mut self) {
        let [first, second, length @ ..] = self.head;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        self.left = match second & 0x7f {
            126 => number(length.get(..2).unwrap_or_default()),
            127 => number(length.get(..8).unwrap_or_default()),
            short => u64::from(short),
        };
        self.closed |= first & 0x0f == CLOSE;
        // The most significant bit is zero in every frame.
        self.lost = self.left > u64::MAX / 2;
        self.have = 0;
    }

    fn length_of_head(&self) -> usize {
        let [_, second, ..] = self.head;
        if self.have < 2 {
            return 2;
        }
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 == 0 { 0 } else { 4 }
    }

    /// How many of these bytes, the next to go by, end the frame that has begun. `None` when they do not, or a frame of
    /// ours may not follow.
    pub(super) fn to_boundary(self, bytes: &[u8]) -> Option<usize> {
        if self.closed || self.lost {
            return None;
        }
        let (mut ahead, mut at) = (self, 0);
        while ahead.have > 0 {
            ahead.pass(bytes.get(at..=at)?);
            at += 1;
        }
        let end = usize::try_from(ahead.left).ok()?.checked_add(at)?;
        (!ahead.closed && !ahead.lost && end <= bytes.len()).then_some(end)
    }
}

/// A Close with this code (RFC 6455 section 5.5.1). Towards an upstream it is masked, as every frame of a client is.
pub(super) fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let reason = reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default();
    let payload = [&code.to_be_bytes()[..], reason].concat();
    let length = u8::try_from(payload.len()).unwrap_or(125);
    let mut frame = vec![0x80 | CLOSE, length | if mask.is_some() { 0x80 } else { 0 }];
    match mask {
        None => frame.extend_from_slice(&payload),
        Some(mask) => {
            frame.extend_from_slice(&mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        match length {
            0..=125 => bytes.push(u8::try_from(length).unwrap() | mask),
            126..=65_535 => {
                bytes.push(0x7e | mask);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x7f | mask);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend_from_slice(&[1, 2, 3, 4]);
        }
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    #[test]
    fn boundaries_are_where_frames_end() {
        for masked in [false, true] {
            for length in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
                let bytes = frame(1, length, masked);
                for step in [1, 3, 7, 1000, usize::MAX] {
                    let mut frames = Frames::default();
                    assert_eq!(frames.to_boundary(&[]), Some(0));
                    let mut gone = 0;
                    for piece in bytes.chunks(step.min(bytes.len())) {
                        let rest = bytes.get(gone..).unwrap();
                        if gone > 0 {
                            assert_eq!(frames.to_boundary(rest), Some(rest.len()), "{length} by {step}");
                            assert_eq!(
                                frames.to_boundary(&rest[..rest.len() - 1]),
                                None,
                                "{length} by {step}"
                            );
                            let more = [rest, &frame(2, 5, masked)].concat();
                            assert_eq!(frames.to_boundary(&more), Some(rest.len()), "{length} by {step}");
                        }
                        frames.pass(piece);
                        gone += piece.len();
                    }
                    assert_eq!(frames.to_boundary(&[]), Some(0), "{length} by {step}");
                }
            }
        }
    }

    #[test]
    fn nothing_follows_a_close_or_what_is_no_frame() {
        let mut frames = Frames::default();
        frames.pass(&frame(8, 2, false));
        assert_eq!(frames.to_boundary(&[]), None);
        let mut frames = Frames::default();
        frames.pass(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(frames.to_boundary(&[0; 100]), None);
        let mut frames = Frames::default();
        frames.pass(&[0x88]);
        assert_eq!(frames.to_boundary(&[0, 0, 0]), None);
    }

    #[test]
    fn closes_are_frames() {
        assert_eq!(close(1008, "no", None), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        assert_eq!(close(1001, "", Some([1, 2, 3, 4])), [0x88, 0x82, 1, 2, 3, 4, 0x02, 0xeb]);
        assert_eq!(close(1001, &"x".repeat(200), None).len(), 127);
    }
}
