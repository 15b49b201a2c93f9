//! Nobody without the key makes a token that verifies: neither by any bytes, nor by any header, payload and signature
//! (one a line, encoded here so that the fuzzer gets past base64).
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hubgate::{
    base::id::KeyId,
    crypto::jws::{self, SigningKey, VerifyingKey},
    model::key::Algorithm,
};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<[VerifyingKey; 2]> = LazyLock::new(|| {
    Algorithm::ALL.map(|algorithm| {
        let id = KeyId::parse("k").expect("it is an id");
        let document = jws::generate_pkcs8(algorithm).expect("the system has randomness");
        let key = SigningKey::from_pkcs8(id, algorithm, &document);
        key.and_then(|key| key.verifying_key()).expect("it is a key")
    })
});

fuzz_target!(|data: &[u8]| {
    let parts: Vec<String> =
        data.split(|byte| *byte == b'\n').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    let token = parts.join(".");
    for key in &*KEYS {
        assert!(jws::verify(data, |_| Some(key)).is_err());
        assert!(jws::verify(token.as_bytes(), |_| Some(key)).is_err());
    }
});
