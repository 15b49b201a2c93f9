//! Cookies: a `Cookie` header on each line. What is read is one value, whole, and can be set again as it is.
#![no_main]

use http::{HeaderMap, HeaderValue, header::COOKIE};
use hubgate::web::cookie::{NAME, read, set};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    let Some(value) = read(&headers) else { return };
    let value_text = value.expose();
    assert!(!value_text.is_empty() && !value_text.contains([';', ',', ' ', '"', '\\']), "{value_text:?}");
    let pair = format!("{NAME}={value_text}");
    let given = set(&value, None).expect("a cookie");
    assert!(given.as_bytes().starts_with(format!("{pair}; Path=/; Secure; HttpOnly").as_bytes()));
    // The value stands in one of the headers, after the name.
    let found = headers.get_all(COOKIE).iter().any(|header| {
        String::from_utf8_lossy(header.as_bytes()).split(';').any(|part| {
            part.split_once('=').is_some_and(|(name, rest)| name.trim() == NAME && rest.trim() == value_text)
        })
    });
    assert!(found, "{value_text:?} was not sent");
    let mut alone = HeaderMap::new();
    alone.insert(COOKIE, HeaderValue::from_str(&pair).expect("a header"));
    assert_eq!(read(&alone).map(|again| again.expose().to_owned()), Some(value_text.to_owned()));
    // A second value makes both nobody's.
    alone.append(COOKIE, HeaderValue::from_str(&format!("{pair}x")).expect("a header"));
    assert!(read(&alone).is_none());
});
