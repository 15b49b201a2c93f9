//! Records to put into a store.

use hubgate::{
    base::{
        id::{KeyId, MAX_ID_LENGTH, ServiceId, TokenId},
        time::Timestamp,
    },
    crypto::digest::SecretDigest,
    model::{
        flow::Flow,
        key::{Algorithm, KeyState, SigningKeyRecord},
        revocation::{Revocation, RevocationTarget},
        service::{Profile, Service, StoredSecret, Trust},
    },
};

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn service_id(id: &str) -> ServiceId {
    ServiceId::parse(id).unwrap()
}

/// A service as it is right after its registration.
pub(crate) fn service(id: &str, name: &str) -> Service {
    Service {
        id: service_id(id),
        name: name.into(),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: vec![StoredSecret::current(SecretDigest::of(id), at(1000))],
        declared: false,
        created: at(1000),
        updated: at(1000),
    }
}

/// A service no field of which is as in [`service`].
pub(crate) fn other_service(id: &str, name: &str) -> Service {
    let text =
        |field: &str| Some(format!("{field} of {id}: \"quotes\" 'more' \\ \0 \u{1f980} e\u{301} \u{202e}"));
    Service {
        trust: Trust {
            trusted: false,
            consent_required: false,
            public: true,
            pkce_required: true,
            rotate_refresh_tokens: false,
            flows: [Flow::AuthorizationCode, Flow::RefreshToken].into_iter().collect(),
        },
        profile: Profile {
            key: text("key"),
            description: text("description"),
            home_url: text("home_url"),
            base_urls: vec!["https://a.example/".into(), String::new()],
            redirect_uris: vec!["/callback".into(), "https://b.example/?a=b&c".into()],
            user_uri_pattern: text("user_uri_pattern"),
            group_uri_pattern: text("group_uri_pattern"),
            application_name: text("application_name"),
            vendor: text("vendor"),
            version: text("version"),
            release_date: Some(i64::MIN),
            icon_url: text("icon_url"),
        },
        secrets: vec![],
        declared: true,
        created: at(-62_135_596_800_000),
        updated: at(i64::MAX),
        ..service(id, name)
    }
}

/// A service whose fields are as long as they may be, and longer than a page of any database.
pub(crate) fn long_service() -> Service {
    let long = "\u{10ffff}".repeat(50_000);
    let mut service = service(&"x".repeat(MAX_ID_LENGTH), &long);
    service.profile.description = Some(long.clone());
    service.profile.redirect_uris = vec![long; 5];
    service
}

pub(crate) fn key_id(id: &str) -> KeyId {
    KeyId::parse(id).unwrap()
}

/// A key that signs.
pub(crate) fn key(id: &str, created: i64) -> SigningKeyRecord {
    SigningKeyRecord {
        id: key_id(id),
        algorithm: Algorithm::Es256,
        sealed: (0..=u8::MAX).chain(id.bytes()).collect(),
        created: at(created),
        state: KeyState::Active,
    }
}

/// The same key when it only verifies.
pub(crate) fn retired(key: SigningKeyRecord, until: i64) -> SigningKeyRecord {
    SigningKeyRecord { state: KeyState::Retired { until: at(until) }, ..key }
}

pub(crate) fn of_token(number: u128, revoked: i64, expires: i64) -> Revocation {
    let target = RevocationTarget::Token(TokenId::from_bytes(number.to_be_bytes()));
    Revocation { target, revoked: at(revoked), expires: at(expires) }
}

pub(crate) fn of_client(id: &str, revoked: i64, expires: i64) -> Revocation {
    Revocation {
        target: RevocationTarget::Client(service_id(id)),
        revoked: at(revoked),
        expires: at(expires),
    }
}

/// In an order that does not depend on the store.
pub(crate) fn sorted(mut revocations: Vec<Revocation>) -> Vec<Revocation> {
    revocations.sort_by_key(|r| format!("{:?}", r.target));
    revocations
}
