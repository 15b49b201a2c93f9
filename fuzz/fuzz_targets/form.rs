//! The token endpoint's input: an optional `Authorization` header on the first line, the form below. Each name has one
//! value, and credentials are found in one place only.
#![no_main]

use hubgate::oauth::{
    client_auth::{self, Presented},
    form::Form,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (Some(header), Some(body)) = (parts.next(), parts.next()) else { return };
    let Ok(form) = Form::parse(body) else { return };
    assert!(form.get("grant_type").is_none_or(|value| !value.is_empty() && !value.contains('\0')));

    let headers: &[&[u8]] = if header.is_empty() { &[] } else { &[header] };
    match client_auth::presented(headers, &form) {
        Ok(Presented::Basic { .. }) => assert!(!header.is_empty() && form.get("client_secret").is_none()),
        Ok(Presented::Post(..)) => assert!(header.is_empty() && form.get("client_secret").is_some()),
        Ok(Presented::Public(_) | Presented::Nothing) => {
            assert!(header.is_empty() && form.get("client_secret").is_none());
        }
        Err(_) => {}
    }
    if !header.is_empty() {
        assert!(client_auth::presented(&[header, header], &form).is_err(), "two headers were accepted");
    }
});
