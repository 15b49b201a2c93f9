//! Services, users, tokens and a small store for the tests of what is asked about tokens.

use std::{net::IpAddr, sync::Mutex, time::Duration};

use async_trait::async_trait;

use crate::{
    base::{
        id::{GrantId, ServiceId, TokenId, UserId},
        random::SystemRandom,
        secret::Secret,
        time::Timestamp,
    },
    crypto::{
        digest::{SecretDigest, TokenDigest},
        keyring::{self, Keyring},
        opaque::{self, Kind},
        seal::SealingKey,
    },
    model::{
        grant::{AuthorizationCode, Grant, RefreshToken},
        key::Algorithm,
        registry::Registry,
        revocation::Revocation,
        scope::GrantedScope,
        service::{Profile, Service, StoredSecret, Trust},
        user::{Ban, Person, User},
    },
    oauth::{
        grant::{Family, Granted},
        owner::{OwnerError, ResourceOwners},
        token::issue::Issuer,
    },
    store::{
        Result, RevocationStore, StoreError,
        grants::{Exchange, GrantStore, RefreshState, Rotation},
        people::{ChangeUser, People, UserStore},
    },
};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// `machine` is trusted; `app`, `api` and `phone` are not, and `phone` is public; all secrets are `s`.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) keyring: Keyring,
    pub(super) store: Few,
}

/// A store of what was put in, which can be made to fail.
#[derive(Default)]
pub(in crate::oauth) struct Few {
    refresh: Mutex<Vec<(RefreshToken, Grant, RefreshState)>>,
    pub(super) fails: bool,
}

impl Bench {
    pub(super) const ISSUER: &str = "https://gate.example/hub";

    pub(super) fn new() -> Self {
        let service = |id: &str| Service {
            id: ServiceId::parse(id).unwrap(),
            name: id.to_uppercase(),
            trust: Trust { trusted: id == "machine", public: id == "phone", ..Trust::default() },
            profile: Profile::default(),
            secrets: vec![StoredSecret::current(SecretDigest::of("s"), NOW)],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let key = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
        Self {
            registry: Registry::new(["app", "api", "phone", "machine"].map(service), Self::ISSUER),
            keyring: Keyring::open(&[key], &sealing).unwrap(),
            store: Few::default(),
        }
    }

    /// An access token for the service `api` that acts for a user.
    pub(super) fn access(&self, client: &str, user: &str) -> (String, TokenId) {
        self.issue(client, user, Some(Family { grant: GrantId::random(&SystemRandom), session: None }))
    }

    /// An access token that a service obtained for itself.
    pub(super) fn service_access(&self, client: &str) -> String {
        self.issue(client, client, None).0
    }

    fn issue(&self, client: &str, subject: &str, family: Option<Family>) -> (String, TokenId) {
        let granted = Granted {
            client: ServiceId::parse(client).unwrap(),
            subject: subject.to_owned(),
            scope: scope(),
            family,
        };
        let maker = Issuer::new(Self::ISSUER, Duration::from_secs(3600));
        let issued = maker.issue(granted, self.keyring.signing(), NOW, &SystemRandom).unwrap();
        (issued.access_token, issued.token_id)
    }

    /// A refresh token for a day, live or spent.
    pub(super) fn refresh(&self, client: &str, user: &str, spent: bool) -> (String, GrantId) {
        let secret = opaque::generate(Kind::Refresh, &SystemRandom);
        let grant = Grant {
            id: GrantId::random(&SystemRandom),
            client: ServiceId::parse(client).unwrap(),
            user: UserId::parse(user).unwrap(),
            scope: scope(),
            session: None,
            authenticated: NOW,
            nonce: None,
            created: NOW,
        };
        let token = RefreshToken {
            digest: opaque::digest(Kind::Refresh, secret.expose()).unwrap(),
            grant: grant.id.clone(),
            created: NOW,
            expires: NOW.plus(Duration::from_secs(86_400)),
        };
        let state = if spent { RefreshState::Spent { at: NOW, answer: None } } else { RefreshState::Live };
        let id = grant.id.clone();
        self.store.refresh.lock().unwrap().push((token, grant, state));
        (secret.expose().to_owned(), id)
    }
}

fn scope() -> GrantedScope {
    GrantedScope { spelled: "API openid".into(), services: vec![ServiceId::parse("api").unwrap()] }
}

fn none<T>() -> Result<T> {
    Err(StoreError::Unavailable("not asked for in these tests".into()))
}

#[async_trait]
impl GrantStore for Few {
    async fn find_refresh(
        &self,
        digest: &TokenDigest,
    ) -> Result<Option<(RefreshToken, Grant, RefreshState)>> {
        if self.fails {
            return none();
        }
        Ok(self.refresh.lock().unwrap().iter().find(|(token, ..)| token.digest == *digest).cloned())
    }

    async fn add_code(&self, _: &AuthorizationCode) -> Result<()> {
        none()
    }

    async fn find_code(&self, _: &TokenDigest) -> Result<Option<(AuthorizationCode, bool)>> {
        none()
    }

    async fn exchange_code(
        &self,
        _: &TokenDigest,
        _: Option<&RefreshToken>,
        _: Timestamp,
    ) -> Result<Exchange> {
        none()
    }

    async fn add_grant(&self, _: &Grant, _: &RefreshToken) -> Result<()> {
        none()
    }

    async fn rotate_refresh(
        &self,
        _: &TokenDigest,
        _: &RefreshToken,
        _: &[u8],
        _: Timestamp,
    ) -> Result<Rotation> {
        none()
    }

    async fn list_grants(&self, _: &UserId) -> Result<Vec<(Grant, Timestamp)>> {
        none()
    }

    async fn find_grant(&self, _: &GrantId) -> Result<Option<Grant>> {
        none()
    }

    async fn purge_grants(&self, _: Duration, _: Timestamp) -> Result<u64> {
        none()
    }
}

#[async_trait]
impl UserStore for Few {
    /// `jane`, and `banned`.
    async fn find_user(&self, id: &UserId) -> Result<Option<User>> {
        if self.fails {
            return none();
        }
        let ban = (id.as_str() == "banned").then(|| Ban {
            reason: String::new(),
            since: NOW,
            badge: String::new(),
        });
        let user = User {
            id: id.clone(),
            login: format!("{id}.login"),
            name: "Jane".into(),
            email: None,
            password: None,
            ban,
            guest: false,
            administrator: false,
            groups: vec![],
            profile: crate::model::user::UserProfile::default(),
            erased: None,
            declared: false,
            created: NOW,
            updated: NOW,
        };
        Ok(["jane", "banned"].contains(&id.as_str()).then_some(user))
    }

    async fn list_users(&self) -> Result<Vec<User>> {
        none()
    }

    async fn find_user_by_name(&self, _: &str) -> Result<Option<User>> {
        none()
    }

    async fn find_guest(&self) -> Result<Option<User>> {
        none()
    }

    async fn add_user(&self, _: &User) -> Result<()> {
        none()
    }

    async fn change_user(&self, _: &UserId, _: ChangeUser<'_>, _: Option<&Revocation>) -> Result<User> {
        none()
    }

    async fn remove_user(&self, _: &UserId, _: &Revocation) -> Result<()> {
        none()
    }

    async fn people(&self, _: i64) -> Result<People> {
        none()
    }
}

#[async_trait]
impl ResourceOwners for Few {
    async fn find(&self, _: &UserId) -> Result<Option<Person>> {
        none()
    }

    async fn authenticate(&self, _: &str, _: &Secret, _: IpAddr) -> Result<Person, OwnerError> {
        Ok(none()?)
    }
}

#[async_trait]
impl RevocationStore for Few {
    async fn revoke(&self, _: &Revocation) -> Result<()> {
        none()
    }

    async fn list_revocations(&self, _: Timestamp) -> Result<Vec<Revocation>> {
        none()
    }

    async fn purge_revocations(&self, _: Timestamp) -> Result<u64> {
        none()
    }
}
