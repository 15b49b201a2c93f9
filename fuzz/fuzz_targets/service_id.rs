//! An id that is accepted needs no quoting in a scope list, a header, a path segment or a log line.
#![no_main]

use hubgate::base::id::{MAX_ID_LENGTH, ServiceId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(id) = ServiceId::parse(text) else { return };
    assert_eq!(id.as_str(), text);
    assert!((1..=MAX_ID_LENGTH).contains(&text.len()), "{text:?}");
    assert!(text.bytes().all(|b| b.is_ascii_graphic() && !b"/%?#:;,\"'\\<>&=+()".contains(&b)), "{text:?}");
});
