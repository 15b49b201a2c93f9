//! Records to put into a store.

use hubgate::{
    base::{
        id::{ConsentId, GrantId, GroupId, KeyId, MAX_ID_LENGTH, ServiceId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    crypto::digest::{SecretDigest, TokenDigest},
    model::{
        credential::{ApplicationPassword, CredentialKind, KnownCredential, PermanentToken, Use},
        flow::Flow,
        grant::{AuthorizationCode, Challenge, ChallengeMethod, Consent, Grant, RefreshToken},
        key::{Algorithm, KeyState, SigningKeyRecord},
        revocation::{Revocation, RevocationTarget},
        scope::GrantedScope,
        service::{Profile, Service, StoredSecret, Trust},
        session::Session,
        user::{Ban, Email, Group, Password, User, UserProfile},
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

pub(crate) fn of(target: RevocationTarget, revoked: i64) -> Revocation {
    Revocation { target, revoked: at(revoked), expires: at(9000) }
}

pub(crate) fn of_user(id: &str, revoked: i64) -> Revocation {
    of(RevocationTarget::User(user_id(id)), revoked)
}

pub(crate) fn of_session(id: &str, revoked: i64) -> Revocation {
    of(RevocationTarget::Session(session_id(id)), revoked)
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn group_id(id: &str) -> GroupId {
    GroupId::parse(id).unwrap()
}

pub(crate) fn session_id(id: &str) -> SessionId {
    SessionId::parse(id).unwrap()
}

/// A user of whom only the login is known.
pub(crate) fn user(id: &str, login: &str) -> User {
    User {
        id: user_id(id),
        login: login.into(),
        name: String::new(),
        email: None,
        password: None,
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: UserProfile::default(),
        erased: None,
        declared: false,
        created: at(1000),
        updated: at(1000),
    }
}

/// A user no field of which is as in [`user`], groups apart.
pub(crate) fn other_user(id: &str, login: &str) -> User {
    User {
        name: "Ⅷ Ünïcödé \0 \u{202e} 'x'; DROP TABLE users; --".into(),
        email: Some(Email { address: format!("{login}@Mail.example"), verified: true }),
        password: Some(Password {
            hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
            set: at(i64::MIN),
            must_change: true,
        }),
        ban: Some(Ban { reason: String::new(), since: at(i64::MAX), badge: "Ⅷ \0".into() }),
        guest: true,
        administrator: true,
        profile: UserProfile { avatar_url: Some("\0 \u{202e}".into()), locale: Some(String::new()) },
        erased: Some(at(i64::MIN)),
        declared: true,
        created: at(-62_135_596_800_000),
        updated: at(i64::MAX),
        ..user(id, login)
    }
}

/// A user with an address.
pub(crate) fn reachable(id: &str, login: &str, address: &str) -> User {
    User { email: Some(Email { address: address.into(), verified: false }), ..user(id, login) }
}

/// A user in groups.
pub(crate) fn member(id: &str, login: &str, groups: &[&str]) -> User {
    User { groups: groups.iter().map(|id| group_id(id)).collect(), ..user(id, login) }
}

pub(crate) fn group(id: &str, name: &str) -> Group {
    Group {
        id: group_id(id),
        name: name.into(),
        description: None,
        icon_url: None,
        parent: None,
        auto_join: false,
        all_users: false,
        created: at(1000),
        updated: at(1000),
    }
}

/// The digest of something that bears this name.
pub(crate) fn digest(name: &str) -> TokenDigest {
    TokenDigest::of(name.as_bytes())
}

/// A session that began at this time.
pub(crate) fn session(id: &str, user: &str, began: i64) -> Session {
    Session {
        id: session_id(id),
        user: user_id(user),
        authenticated: at(began),
        used: at(began),
        remember: false,
        user_agent: "Mozilla/5.0".into(),
        address: "192.0.2.1".into(),
    }
}

pub(crate) fn of_grant(id: &str, revoked: i64) -> Revocation {
    of(RevocationTarget::Grant(grant_id(id)), revoked)
}

pub(crate) fn of_consent(user: &str, client: &str, revoked: i64) -> Revocation {
    of(RevocationTarget::Consent(user_id(user), service_id(client)), revoked)
}

pub(crate) fn grant_id(id: &str) -> GrantId {
    GrantId::parse(id).unwrap()
}

pub(crate) fn consent_id(id: &str) -> ConsentId {
    ConsentId::parse(id).unwrap()
}

/// What `user` grants `client` at 1000.
pub(crate) fn grant(id: &str, user: &str, client: &str) -> Grant {
    Grant {
        id: grant_id(id),
        client: service_id(client),
        user: user_id(user),
        scope: GrantedScope { spelled: String::new(), services: vec![] },
        session: None,
        authenticated: at(1000),
        nonce: None,
        created: at(1000),
    }
}

/// A grant no field of which is as in [`grant`].
pub(crate) fn other_grant(id: &str, user: &str, client: &str) -> Grant {
    Grant {
        scope: GrantedScope {
            spelled: "YouTrack \"Ⅷ\" \0 '; -- openid".into(),
            services: vec![service_id("yt"), service_id("0-0-0-0-0")],
        },
        session: Some(session_id("session")),
        authenticated: at(i64::MIN),
        nonce: Some(String::new()),
        created: at(i64::MAX),
        ..grant(id, user, client)
    }
}

/// The code whose digest is that of its grant's id, good until 5000.
pub(crate) fn code(grant: Grant) -> AuthorizationCode {
    AuthorizationCode {
        digest: digest(grant.id.as_str()),
        grant,
        redirect_uri: None,
        challenge: None,
        offline: false,
        expires: at(5000),
    }
}

/// A code no field of which is as in [`code`].
pub(crate) fn other_code(grant: Grant) -> AuthorizationCode {
    AuthorizationCode {
        redirect_uri: Some("https://a.example/?b=c&\0'".into()),
        challenge: Some(Challenge { method: ChallengeMethod::S256, value: "E9Melhoa".into() }),
        offline: true,
        expires: at(i64::MAX),
        ..code(grant)
    }
}

/// A refresh token made at 1000 and good until 9000.
pub(crate) fn refresh(name: &str, grant: &str) -> RefreshToken {
    RefreshToken { digest: digest(name), grant: grant_id(grant), created: at(1000), expires: at(9000) }
}

/// A consent given at 1000 that holds until 9000.
pub(crate) fn consent(id: &str, user: &str, client: &str) -> Consent {
    Consent {
        id: consent_id(id),
        user: user_id(user),
        client: service_id(client),
        services: vec![],
        claims: vec![],
        given: at(1000),
        expires: at(9000),
    }
}

pub(crate) fn token_id(number: u8) -> TokenId {
    TokenId::from_bytes([number; 16])
}

/// A permanent token made at 1000.
pub(crate) fn permanent(number: u8, user: &str, scope: &[&str]) -> PermanentToken {
    PermanentToken {
        id: token_id(number),
        user: user_id(user),
        author: user_id(user),
        name: "CI".into(),
        scope: scope.iter().map(|id| service_id(id)).collect(),
        digest: digest(&format!("credential {number}")),
        created: at(1000),
        used: None,
    }
}

/// A permanent token no field of which is as in [`permanent`], id and digest apart.
pub(crate) fn other_permanent(number: u8, user: &str, scope: &[&str]) -> PermanentToken {
    PermanentToken {
        author: user_id("nobody"),
        name: "Ⅷ \0 \u{202e} 'x'; DROP TABLE users; --".into(),
        created: at(i64::MIN),
        used: Some(at(i64::MAX)),
        ..permanent(number, user, scope)
    }
}

/// An application password made at 1000.
pub(crate) fn application(number: u8, user: &str) -> ApplicationPassword {
    ApplicationPassword {
        id: token_id(number),
        user: user_id(user),
        name: "Mail".into(),
        digest: digest(&format!("credential {number}")),
        created: at(1000),
        used: None,
    }
}

/// An application password no field of which is as in [`application`], id and digest apart.
pub(crate) fn other_application(number: u8, user: &str) -> ApplicationPassword {
    let last = Use { at: at(i64::MIN), address: "2001:db8::1".into(), user_agent: String::new() };
    ApplicationPassword {
        name: "\0 \"quoted\"".into(),
        created: at(i64::MAX),
        used: Some(last),
        ..application(number, user)
    }
}

/// What the gate hears of a permanent token.
pub(crate) fn known_token(token: &PermanentToken) -> KnownCredential {
    KnownCredential {
        kind: CredentialKind::PermanentToken,
        id: token.id,
        digest: token.digest,
        user: token.user.clone(),
        scope: token.scope.clone(),
        created: token.created,
    }
}

/// What the gate hears of an application password.
pub(crate) fn known_password(password: &ApplicationPassword) -> KnownCredential {
    KnownCredential {
        kind: CredentialKind::ApplicationPassword,
        id: password.id,
        digest: password.digest,
        user: password.user.clone(),
        scope: vec![],
        created: password.created,
    }
}
