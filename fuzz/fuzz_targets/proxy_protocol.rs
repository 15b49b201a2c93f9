//! The header of the PROXY protocol: in whatever pieces it comes it is the same, it ends at the same place, and it is decided on
//! within its bounds.
#![no_main]

use hubgate::server::proxy_protocol::{Header, Named, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = read(data);
    let mut decided = None;
    for count in 0..=data.len() {
        match read(&data[..count]) {
            Ok(Header::Begun) => assert!(decided.is_none(), "undecided again after {count} bytes"),
            other => match decided {
                None => decided = Some((other, count)),
                Some((before, _)) => assert_eq!(before, other, "another reading with {count} bytes"),
            },
        }
    }
    match (whole, decided) {
        (Ok(Header::Begun), None) => assert!(data.len() < 4096),
        (other, Some((first, count))) => {
            assert_eq!(other, first);
            if let Ok(Header::Whole(named, length)) = other {
                assert_eq!(length, count, "it ends where it is known");
                assert!(length <= 4096 && (data.starts_with(b"\r\n") || length <= 107));
                if let Named::Client(address) = named {
                    assert!(length >= 16 && !address.ip().to_string().is_empty());
                }
            }
        }
        (other, None) => panic!("{other:?} out of nothing"),
    }
});
