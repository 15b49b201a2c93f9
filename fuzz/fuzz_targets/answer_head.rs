//! The head of an upstream's answer: it ends at the same place in whatever pieces it arrives, and what is read of it has
//! one framing and nothing that is for the connection alone.
#![no_main]

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_LENGTH};
use hubgate::proxy::http1::answer::{self, Length, Scanner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = Scanner::default().find_end(data);
    let mut scanner = Scanner::default();
    let mut in_pieces = Ok(None);
    for count in 0..=data.len() {
        in_pieces = scanner.find_end(&data[..count]);
        if !matches!(in_pieces, Ok(None)) {
            break;
        }
    }
    assert_eq!(in_pieces, end);
    let Ok(Some(end)) = end else { return };
    assert!(data[..end].ends_with(b"\r\n"));
    let block = Bytes::copy_from_slice(&data[..end]);
    let _ = answer::trailers(&block);
    let read = answer::parse(&block, false);
    assert_eq!(read.is_ok(), answer::parse(&block, true).is_ok());
    let Ok(head) = read else { return };
    assert!(answer::can_begin(&block));
    for hop in ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"] {
        assert!(!head.headers.contains_key(hop), "{hop}");
    }
    assert!(head.headers.len() <= answer::MAX_FIELDS);
    for value in head.headers.values() {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let named: Vec<_> = head.headers.get_all(CONTENT_LENGTH).iter().collect();
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || head.status.is_informational();
    match head.length {
        Length::Known(0) if bodiless => assert!(named.len() <= 1),
        Length::Known(length) => {
            assert!(!bodiless && named.len() == 1);
            assert_eq!(named[0].to_str().unwrap().parse(), Ok(length));
        }
        Length::Chunked | Length::UntilClose => assert!(!bodiless && named.is_empty()),
    }
    assert!(matches!(answer::parse(&block, true), Ok(head) if head.length == Length::Known(0)));
});
