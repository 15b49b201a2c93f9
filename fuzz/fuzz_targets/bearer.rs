//! Whatever the `Authorization` headers hold (one a line), at most one token or application password comes of them,
//! and it is one word of the only header. Where none comes of them, there is none behind a comma either.
#![no_main]

use hubgate::access::scheme::bearer::{self, Bearer};
use libfuzzer_sys::fuzz_target;

fn begins(text: &[u8], scheme: &[u8]) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    match bearer::read(lines.iter().copied()) {
        Bearer::Token(token) => {
            assert_eq!(lines.len(), 1);
            assert!(lines[0].ends_with(token) && lines[0][..6].eq_ignore_ascii_case(b"bearer"));
            assert!(!token.is_empty() && token.iter().all(|byte| byte.is_ascii_graphic() && *byte != b','));
        }
        Bearer::Absent => {
            assert!(lines.len() == 1);
            assert!(!begins(lines[0], b"bearer "));
            for piece in lines[0].split(|byte| *byte == b',').skip(1) {
                let piece = piece.trim_ascii_start();
                assert!(!begins(piece, b"bearer ") && !begins(piece, b"basic "));
            }
        }
        Bearer::Password(basic) => {
            assert_eq!(lines.len(), 1);
            assert!(lines[0][..6].eq_ignore_ascii_case(b"basic ") && !basic.login.is_empty());
            assert!(!basic.login.contains(':'));
        }
        Bearer::Malformed(_) => {}
    }
    if let Ok(query) = std::str::from_utf8(data) {
        let plain = query.split('&').any(|pair| pair.split('=').next() == Some("access_token"));
        assert!(!plain || bearer::in_query(query));
    }
});
