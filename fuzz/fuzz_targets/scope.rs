//! Scopes: what is granted names registered services, each once; what is narrowed is never more than what was granted.
#![no_main]

use std::sync::LazyLock;

use hubgate::{
    base::{id::ServiceId, time::Timestamp},
    model::{
        registry::Registry,
        scope::GrantedScope,
        service::{Profile, Service, Trust},
    },
    oauth::scope,
};
use libfuzzer_sys::fuzz_target;

fn service(id: &str, name: &str) -> Service {
    Service {
        id: ServiceId::parse(id).expect("an id"),
        name: name.to_owned(),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: Vec::new(),
        declared: false,
        created: Timestamp::default(),
        updated: Timestamp::default(),
    }
}

static CLIENT: LazyLock<Service> = LazyLock::new(|| service("a", "Alpha"));
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    Registry::new(
        [CLIENT.clone(), service("b", "Two Words"), service("c", "100%25"), service("d", "a b")],
        "https://g",
    )
});

fn check(granted: &GrantedScope) {
    assert!(!granted.services.is_empty() && !granted.spelled.is_empty());
    assert!(
        granted.spelled.bytes().all(|b| matches!(b, b' '..=b'~' if b != b'"' && b != b'\\')),
        "{granted:?}"
    );
    assert!(!granted.spelled.contains("  ") && granted.spelled.trim() == granted.spelled, "{granted:?}");
    for (at, service) in granted.services.iter().enumerate() {
        assert!(REGISTRY.by_id(service.as_str()).is_some() && !granted.services[..at].contains(service));
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (wide, narrow) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(granted) = scope::resolve(wide, &REGISTRY) {
        check(&granted);
        assert_eq!(scope::for_person(wide, &CLIENT, &REGISTRY).ok(), Some(granted));
    }
    if let Ok(strict) = scope::for_person(wide, &CLIENT, &REGISTRY) {
        assert_eq!(scope::known_for_person(wide, &CLIENT, &REGISTRY).ok(), Some(strict));
    }
    let Ok(granted) = scope::known_for_person(wide, &CLIENT, &REGISTRY) else { return };
    check(&granted);
    // What was granted can be asked for again, as it is spelled.
    let again = scope::narrow(&granted, &granted.spelled, &CLIENT, &REGISTRY).expect("the same scope");
    assert_eq!(again, granted);
    if let Ok(narrowed) = scope::narrow(&granted, narrow, &CLIENT, &REGISTRY) {
        check(&narrowed);
        assert!(narrowed.services.iter().all(|service| granted.services.contains(service)));
        assert!(narrowed.openid_entries().all(|word| granted.has(word)));
    }
});
