//! Any text is either refused or becomes an https origin that parses to itself again.
#![no_main]

use hubgate::base::url::PublicUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(url) = PublicUrl::parse(text) else { return };
    assert!(url.origin().starts_with("https://"), "{text:?}");
    assert_eq!(PublicUrl::parse(url.origin()).as_ref(), Ok(&url), "{text:?}");
});
