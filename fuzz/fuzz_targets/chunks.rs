//! The body of a request in chunks, as it is watched; the first byte says in what pieces it arrives. Whatever the pieces, it ends at
//! the same place, and where the reader of answers, which is another one, sees an end too, it is the same end.
#![no_main]

use bytes::BytesMut;
use hubgate::{
    proxy::http1::{
        answer::Length,
        body::{Decoder, Piece},
    },
    server::io::chunks::Chunks,
};
use libfuzzer_sys::fuzz_target;

/// How many bytes belong to the body, if it ends.
fn watched(bytes: &[u8], step: usize) -> Option<usize> {
    let mut chunks = Chunks::default();
    let mut read = 0;
    for piece in bytes.chunks(step) {
        let taken = chunks.read(piece);
        assert!(taken == piece.len() || chunks.is_over() || chunks.is_broken());
        read += taken;
    }
    assert!(!(chunks.is_over() && chunks.is_broken()));
    Some(read).filter(|_| chunks.is_over())
}

fn decoded(bytes: &[u8]) -> Option<usize> {
    let mut decoder = Decoder::new(Length::Chunked);
    let mut arrived = BytesMut::from(bytes);
    loop {
        match decoder.next(&mut arrived).ok()? {
            Piece::Data(_) | Piece::Trailers(_) => {}
            Piece::End => return Some(bytes.len() - arrived.len()),
            Piece::More => return None,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [step, bytes @ ..] = data else { return };
    let whole = watched(bytes, bytes.len().max(1));
    assert_eq!(watched(bytes, 1), whole);
    assert_eq!(watched(bytes, usize::from(*step).max(1)), whole);
    if let (Some(one), Some(other)) = (whole, decoded(bytes)) {
        assert_eq!(one, other);
    }
});
