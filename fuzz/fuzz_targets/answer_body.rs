//! The body of an upstream's answer: the first byte says how it is framed, the second in what pieces it arrives. Whatever
//! the pieces, the body is the same, and ends at the same place or not at all.
#![no_main]

use bytes::BytesMut;
use hubgate::proxy::http1::{
    answer::Length,
    body::{Decoder, Piece},
};
use libfuzzer_sys::fuzz_target;

/// The body, how many trailer fields it has, and how much was left over; `None` when it has not ended.
type Whole = Option<(Vec<u8>, usize, usize)>;

fn read(length: Length, bytes: &[u8], step: usize) -> Result<Whole, ()> {
    let mut decoder = Decoder::new(length);
    let mut arrived = BytesMut::new();
    let (mut body, mut fields) = (Vec::new(), 0);
    let mut rest = bytes;
    loop {
        match decoder.next(&mut arrived).map_err(|_| ())? {
            Piece::Data(data) => {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
            Piece::Trailers(trailers) => fields += trailers.len(),
            Piece::End => {
                assert!(decoder.has_ended() && decoder.left() == Some(0));
                return Ok(Some((body, fields, arrived.len() + rest.len())));
            }
            Piece::More if rest.is_empty() => {
                assert_eq!(decoder.close(), length == Length::UntilClose);
                return Ok(None);
            }
            Piece::More => {
                let (piece, after) = rest.split_at(step.min(rest.len()));
                arrived.extend_from_slice(piece);
                rest = after;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [kind, step, bytes @ ..] = data else { return };
    let length = match kind % 4 {
        0 => Length::Known(u64::from(*kind)),
        1 => Length::UntilClose,
        _ => Length::Chunked,
    };
    let whole = read(length, bytes, bytes.len().max(1));
    assert_eq!(read(length, bytes, 1), whole);
    assert_eq!(read(length, bytes, usize::from(*step).max(1)), whole);
    if let (Length::Known(count), Ok(Some((body, _, left)))) = (length, &whole) {
        assert_eq!((body.len() as u64, body.len() + left), (count, bytes.len()));
    }
    if let Ok(Some((body, _, left))) = &whole {
        assert!(body.len() + left <= bytes.len());
    }
});
