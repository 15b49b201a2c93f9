//! A token that somebody has found where it does not belong, to be ended: recognised by its kind, whoever it belongs to.
//!
//! Invariant: only what is ours and would still be accepted ends something; the text is neither kept nor repeated.

use crate::{
    base::{
        id::{ServiceId, UserId},
        time::{Clock, Timestamp},
    },
    crypto::{
        digest::TokenDigest,
        keyring::Keyring,
        opaque::{self, Kind},
        permanent,
    },
    model::{
        credential::CredentialKind,
        revocation::{Revocation, RevocationTarget},
    },
    oauth::token::{
        claims::AccessClaims,
        verify::{TokenError, verify},
    },
    store::{
        RevocationStore, StoreError, credentials::CredentialStore, grants::GrantStore, people::SessionStore,
        usage::HoldingStore,
    },
};

/// The longest text that is looked at.
pub const LONGEST: usize = 16 * 1024;

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastedKind {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// An authorization code.
    Code,
    /// The value of a session cookie.
    Session,
    /// A permanent token, or what an upstream got in its place.
    PermanentToken,
    /// An application password, or what an upstream got in its place.
    ApplicationPassword,
}

/// What has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What the text was.
    pub kind: PastedKind,
    /// For whom it acted; `None` where a service acted for itself.
    pub user: Option<UserId>,
    /// The client that had it; `None` for what has none.
    pub client: Option<ServiceId>,
    /// When it was made.
    pub made: Timestamp,
    /// Whether everything that came of the same sign-in has ended with it.
    pub family: bool,
}

/// Why nothing has ended.
#[derive(Debug, thiserror::Error)]
pub enum PastedError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has the form of something of ours, and there is no such thing, or no longer.
    #[error("there is no such {0}: it was never ours, or has ended")]
    Gone(&'static str),
    /// It is no credential of ours that could be ended.
    #[error("{0}")]
    Token(#[from] TokenError),
}

/// What access tokens are recognised by.
pub struct Recognition<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// `iss`
    pub issuer: &'a str,
}

/// Ends what `text` is. Of an access token that came of a sign-in, that one alone, or with `family` everything that came of it;
/// of a refresh token or a code always everything.
///
/// # Errors
/// [`PastedError`]
pub async fn end(
    store: &(impl SessionStore + GrantStore + CredentialStore + HoldingStore + RevocationStore + ?Sized),
    text: &str,
    family: bool,
    recognition: &Recognition<'_>,
    clock: &dyn Clock,
) -> Result<Ended, PastedError> {
    let text = text.trim();
    // As it is copied out of a request.
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim_start();
    let now = clock.now();
    if let Some(digest) = opaque::digest(Kind::Refresh, text) {
        let found = store.find_refresh(&digest).await?;
        let (_, grant, _) = found.ok_or(PastedError::Gone("refresh token"))?;
        store.revoke(&Revocation::at(now, RevocationTarget::Grant(grant.id))).await?;
        return Ok(Ended {
            kind: PastedKind::RefreshToken,
            user: Some(grant.user),
            client: Some(grant.client),
            made: grant.created,
            family: true,
        });
    }
    if let Some(digest) = opaque::digest(Kind::Code, text) {
        let (code, _) = store.find_code(&digest).await?.ok_or(PastedError::Gone("authorization code"))?;
        let grant = code.grant;
        store.revoke(&Revocation::at(now, RevocationTarget::Grant(grant.id))).await?;
        return Ok(Ended {
            kind: PastedKind::Code,
            user: Some(grant.user),
            client: Some(grant.client),
            made: grant.created,
            family: true,
        });
    }
    if let Some(digest) = opaque::digest(Kind::Session, text) {
        let (session, user) = store.find_session(&digest).await?.ok_or(PastedError::Gone("session"))?;
        let ended = Revocation::at(now, RevocationTarget::Session(session.id.clone()));
        store.end_session(&session.id, &ended).await?;
        let made = session.authenticated;
        return Ok(Ended {
            kind: PastedKind::Session,
            user: Some(user.id),
            client: None,
            made,
            family: true,
        });
    }
    if let Some(digest) = opaque::digest(Kind::ApplicationPassword, text) {
        return credential(store, &digest, "application password").await;
    }
    if permanent::is_meant(text.as_bytes()) {
        let gone = PastedError::Gone("permanent token");
        let digest = permanent::digest(text.as_bytes()).ok_or(gone)?;
        return credential(store, &digest, "permanent token").await;
    }
    let claims = verify(text.as_bytes(), recognition.keyring, recognition.issuer, now)?;
    access_token(store, claims, family, now).await
}

async fn credential(
    store: &(impl CredentialStore + HoldingStore + ?Sized),
    digest: &TokenDigest,
    what: &'static str,
) -> Result<Ended, PastedError> {
    let known = store.find_credential(digest).await?.ok_or(PastedError::Gone(what))?;
    if !super::tokens::revoke(store, &known.user, &known.id).await? {
        return Err(PastedError::Gone(what));
    }
    let kind = of_kind(known.kind);
    Ok(Ended { kind, user: Some(known.user), client: None, made: known.created, family: true })
}

const fn of_kind(kind: CredentialKind) -> PastedKind {
    match kind {
        CredentialKind::PermanentToken => PastedKind::PermanentToken,
        CredentialKind::ApplicationPassword => PastedKind::ApplicationPassword,
    }
}

async fn access_token(
    store: &(impl CredentialStore + RevocationStore + ?Sized),
    claims: AccessClaims,
    family: bool,
    now: Timestamp,
) -> Result<Ended, PastedError> {
    let id = claims.token_id().ok_or(TokenError::Claims)?;
    let (made, service) = (claims.issued(), claims.is_service());
    let user = if service { None } else { Some(UserId::parse(&claims.sub).map_err(|_| TokenError::Claims)?) };
    if let (Some(kind), Some(user)) = (claims.credential, &user) {
        // What an upstream gets in its place names it. With it goes every other such token.
        if !super::tokens::revoke(store, user, &id).await? {
            return Err(PastedError::Gone("permanent token or application password"));
        }
        return Ok(Ended { kind: of_kind(kind), user: Some(user.clone()), client: None, made, family: true });
    }
    let (target, family) = match claims.grant_id {
        Some(grant) if family => (RevocationTarget::Grant(grant), true),
        _ => (RevocationTarget::Token(id), false),
    };
    store.revoke(&Revocation::at(now, target)).await?;
    Ok(Ended { kind: PastedKind::AccessToken, user, client: Some(claims.client_id), made, family })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        base::{
            id::{GrantId, SessionId, TokenId},
            random::SystemRandom,
            time::ManualClock,
        },
        crypto::{keyring, seal::SealingKey},
        model::{
            credential::{ApplicationPassword, PermanentToken},
            grant::{AuthorizationCode, Grant, RefreshToken},
            key::Algorithm,
            scope::GrantedScope,
            session::Session,
            user::{User, UserProfile},
        },
        oauth::{
            grant::{Family, Granted},
            token::issue::Issuer,
        },
        store::{people::UserStore as _, sqlite::SqliteStore},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const ISSUER: &str = "https://gate.example/hub";

    fn hub() -> ServiceId {
        ServiceId::hub()
    }

    fn jane() -> UserId {
        UserId::parse("u-1").unwrap()
    }

    fn grant(id: &str) -> Grant {
        Grant {
            id: GrantId::parse(id).unwrap(),
            client: ServiceId::parse("app").unwrap(),
            user: jane(),
            scope: GrantedScope { spelled: "Hub".into(), services: vec![hub()] },
            session: None,
            authenticated: NOW,
            nonce: None,
            created: NOW,
        }
    }

    /// A store with one user, and the keys.
    struct Bench {
        _folder: tempfile::TempDir,
        store: Arc<SqliteStore>,
        keyring: Keyring,
    }

    impl Bench {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
            let user = User {
                id: jane(),
                login: "jane".into(),
                name: "Jane".into(),
                email: None,
                password: None,
                ban: None,
                guest: false,
                administrator: false,
                groups: vec![],
                profile: UserProfile::default(),
                erased: None,
                declared: false,
                created: NOW,
                updated: NOW,
            };
            store.add_user(&user).await.unwrap();
            let sealing = SealingKey::new(&[1; 32]).unwrap();
            let key = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
            let keyring = Keyring::open(&[key], &sealing).unwrap();
            Self { _folder: folder, store: Arc::new(store), keyring }
        }

        async fn end(&self, text: &str, family: bool) -> Result<Ended, PastedError> {
            let recognition = Recognition { keyring: &self.keyring, issuer: ISSUER };
            end(&*self.store, text, family, &recognition, &ManualClock::at(NOW)).await
        }

        async fn revoked(&self) -> Vec<RevocationTarget> {
            let revocations = self.store.list_revocations(NOW).await.unwrap();
            revocations.into_iter().map(|revocation| revocation.target).collect()
        }

        fn access(&self, family: Option<Family>) -> (String, TokenId) {
            let granted = Granted {
                subject: if family.is_some() { jane().to_string() } else { "app".into() },
                client: ServiceId::parse("app").unwrap(),
                scope: grant("g").scope,
                family,
            };
            let hour = Duration::from_secs(3600);
            let key = self.keyring.signing();
            let made = Issuer::new(ISSUER, hour).issue(granted, key, NOW, &SystemRandom).unwrap();
            (made.access_token, made.token_id)
        }
    }

    #[tokio::test]
    async fn an_access_token_ends_alone_or_with_its_family() {
        let bench = Bench::new().await;
        let family = || Some(Family { grant: GrantId::parse("g-1").unwrap(), session: None });
        let (token, id) = bench.access(family());
        let ended = bench.end(&format!("  Bearer {token}\n"), false).await.unwrap();
        let expected = Ended {
            kind: PastedKind::AccessToken,
            user: Some(jane()),
            client: Some(ServiceId::parse("app").unwrap()),
            made: NOW,
            family: false,
        };
        assert_eq!(ended, expected);
        assert_eq!(bench.revoked().await, [RevocationTarget::Token(id)]);
        // Twice does no harm.
        assert_eq!(bench.end(&token, false).await.unwrap(), expected);
        assert!(bench.end(&token, true).await.unwrap().family);
        assert!(bench.revoked().await.contains(&RevocationTarget::Grant(GrantId::parse("g-1").unwrap())));
        // A service's own came of no sign-in.
        let (token, id) = bench.access(None);
        let ended = bench.end(&token, true).await.unwrap();
        assert_eq!((ended.user, ended.family), (None, false));
        assert!(bench.revoked().await.contains(&RevocationTarget::Token(id)));
    }

    #[tokio::test]
    async fn what_is_opaque_is_told_by_its_kind() {
        let bench = Bench::new().await;
        let make = |kind| {
            let text = opaque::generate(kind, &SystemRandom).expose().to_owned();
            (opaque::digest(kind, &text).unwrap(), text)
        };
        let (digest, refresh) = make(Kind::Refresh);
        let record = RefreshToken {
            digest,
            grant: GrantId::parse("g-1").unwrap(),
            created: NOW,
            expires: NOW.plus(Duration::from_secs(60)),
        };
        bench.store.add_grant(&grant("g-1"), &record).await.unwrap();
        let (digest, code) = make(Kind::Code);
        let record = AuthorizationCode {
            digest,
            grant: grant("g-2"),
            redirect_uri: None,
            challenge: None,
            offline: true,
            expires: NOW.plus(Duration::from_secs(60)),
        };
        bench.store.add_code(&record).await.unwrap();
        let (digest, session) = make(Kind::Session);
        let record = Session {
            id: SessionId::parse("s-1").unwrap(),
            user: jane(),
            authenticated: NOW,
            used: NOW,
            remember: false,
            user_agent: String::new(),
            address: String::new(),
        };
        bench.store.begin_session(&record, &digest, None).await.unwrap();
        let (digest, password) = make(Kind::ApplicationPassword);
        let id = TokenId::shown(&SystemRandom);
        let record =
            ApplicationPassword { id, user: jane(), name: "Mail".into(), digest, created: NOW, used: None };
        bench.store.add_application_password(&record).await.unwrap();
        let token = permanent::generate("jane", "CI", &SystemRandom).expose().to_owned();
        let record = PermanentToken {
            id: TokenId::shown(&SystemRandom),
            user: jane(),
            author: jane(),
            name: "CI".into(),
            scope: vec![hub()],
            digest: permanent::digest(token.as_bytes()).unwrap(),
            created: NOW,
            used: None,
        };
        bench.store.add_permanent_token(&record).await.unwrap();

        for (text, kind) in [
            (&refresh, PastedKind::RefreshToken),
            (&code, PastedKind::Code),
            (&password, PastedKind::ApplicationPassword),
            (&token, PastedKind::PermanentToken),
            (&session, PastedKind::Session),
        ] {
            let ended = bench.end(text, false).await.unwrap();
            assert_eq!((ended.kind, ended.user, ended.family), (kind, Some(jane()), true));
            // What is over is not there any more.
            let again = bench.end(text, false).await.unwrap_err();
            assert!(matches!(again, PastedError::Gone(_)), "{kind:?}: {again:?}");
            assert!(!again.to_string().contains(text.as_str()));
        }
        let revoked = bench.revoked().await;
        for target in [
            RevocationTarget::Grant(GrantId::parse("g-1").unwrap()),
            RevocationTarget::Grant(GrantId::parse("g-2").unwrap()),
            RevocationTarget::Session(SessionId::parse("s-1").unwrap()),
        ] {
            assert!(revoked.contains(&target), "{target:?}");
        }
    }

    #[tokio::test]
    async fn what_an_upstream_got_in_place_of_a_permanent_token_ends_the_token() {
        let bench = Bench::new().await;
        let id = TokenId::shown(&SystemRandom);
        let record = PermanentToken {
            id,
            user: jane(),
            author: jane(),
            name: "CI".into(),
            scope: vec![hub()],
            digest: TokenDigest::of(b"token"),
            created: NOW,
            used: None,
        };
        bench.store.add_permanent_token(&record).await.unwrap();
        let claims = AccessClaims {
            iss: ISSUER.into(),
            sub: jane().to_string(),
            aud: vec![hub()],
            client_id: hub(),
            scope: "Hub".into(),
            iat: NOW.seconds(),
            exp: NOW.seconds() + 3600,
            nbf: None,
            jti: id.to_string(),
            grant_id: None,
            sid: None,
            credential: Some(CredentialKind::PermanentToken),
            every_service: false,
        };
        let (scoped, _) = Issuer::scoped(&claims, &hub(), "Hub", bench.keyring.signing(), NOW).unwrap();
        assert_eq!(bench.end(&scoped, false).await.unwrap().kind, PastedKind::PermanentToken);
        assert_eq!(bench.store.list_permanent_tokens(&jane()).await.unwrap(), []);
        assert!(matches!(bench.end(&scoped, false).await, Err(PastedError::Gone(_))));
    }

    #[tokio::test]
    async fn what_is_not_ours_ends_nothing() {
        let bench = Bench::new().await;
        let (token, _) = bench.access(None);
        let other = Bench::new().await.access(None).0;
        for text in ["", "x", "perm:x", "hgr_x", &token[1..], &other, "Bearer", "hunter2 hunter2"] {
            let refused = bench.end(text, true).await.unwrap_err();
            assert!(text.len() < 3 || !refused.to_string().contains(text), "{refused}");
        }
        assert_eq!(bench.revoked().await, []);
    }
}
