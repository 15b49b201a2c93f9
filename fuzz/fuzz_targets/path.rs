//! A path that is accepted has one reading: reading it again changes nothing, and decoding it, as a backend would, makes
//! no segment, dot segment or control character appear.
#![no_main]

use hubgate::proxy::path::canonicalise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = canonicalise(bytes) else { return };
    assert_eq!(canonicalise(path.as_bytes()).as_deref(), Ok(&*path));
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));

    let mut seen = decoded(path.as_bytes());
    // Backends that decode twice are known; what a third decoding would make is nobody's reading.
    for _ in 0..2 {
        assert!(!seen.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'), "{path}");
        assert_eq!(segments(&seen).len(), segments(path.as_bytes()).len(), "{path}");
        let mut inner = segments(&seen).into_iter().skip(1).rev();
        assert!(inner.next().is_none_or(|last| last != b"." && last != b".."), "{path}");
        assert!(inner.all(|segment| !segment.is_empty() && segment != b"." && segment != b".."), "{path}");
        seen = decoded(&seen);
    }
});

fn segments(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').collect()
}

/// Every complete escape decoded once.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte =
            digits.filter(|pair| !pair.starts_with('+')).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match byte {
            Some(byte) if path[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}
