//! A token request, from form to grant.
//!
//! Invariant: every grant passes the same gates in the same order; what can be used only once is spent before anything
//! that came of it leaves.
//!
//! RFC 6749 sections 3.2, 4.1.3, 4.3, 4.4, 5, 6; hub-contract section 3.

mod authorization_code;
mod client_credentials;
mod password;
mod refresh_token;

use std::{
    net::IpAddr,
    pin::pin,
    task::{self, Poll, Waker},
    time::Duration,
};

use super::{
    client_auth,
    error::{ErrorCode, OAuthError, invalid_request},
    form::Form,
    owner::ResourceOwners,
    token::{
        identity::Identity,
        issue::{Issued, Issuer},
    },
};
use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId, UserId},
        random::Random,
        secret::Secret,
        time::Timestamp,
    },
    crypto::keyring::Keyring,
    model::{
        flow::{Flow, Flows},
        grant::{AuthorizationCode, Grant},
        key::Algorithm,
        registry::Registry,
        scope::GrantedScope,
        service::Service,
        user::Person,
    },
    store::{RevocationStore, StoreError, grants::GrantStore},
};

/// What a grant gives away: who asked, for whom, for what.
#[derive(Debug, PartialEq, Eq)]
pub struct Granted {
    /// `client_id`
    pub client: ServiceId,
    /// `sub`
    pub subject: String,
    /// `scope` and `aud`
    pub scope: GrantedScope,
    /// Where it comes from when a person granted it; `None` for a service that acts for itself.
    pub family: Option<Family>,
}

/// Where a token comes from, for everything that may end it early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// `grant_id`
    pub grant: GrantId,
    /// `sid`
    pub session: Option<SessionId>,
}

/// How long things live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// Authorization codes.
    pub code: Duration,
    /// Refresh tokens.
    pub refresh_token: Duration,
    /// How long a spent refresh token is answered with the same pair again.
    pub refresh_window: Duration,
}

/// What a token request is judged by.
pub struct Context<'a> {
    /// The services.
    pub registry: &'a Registry,
    /// The keys.
    pub keyring: &'a Keyring,
    /// The issuer.
    pub issuer: &'a Issuer,
    /// The flows that the profile allows.
    pub flows: Flows,
    /// How long what is given away lives.
    pub lives: Lives,
    /// Codes and refresh tokens.
    pub store: &'a dyn GrantStore,
    /// Where a family is ended.
    pub revoke: &'a dyn RevocationStore,
    /// People.
    pub owners: &'a dyn ResourceOwners,
    /// Where the request comes from.
    pub source: IpAddr,
    /// The moment.
    pub now: Timestamp,
    /// Randomness.
    pub random: &'a dyn Random,
}

impl Context<'_> {
    /// The person behind a grant, if tokens may act for them.
    async fn active(&self, user: &UserId) -> Result<Person, OAuthError> {
        let person = self.owners.find(user).await.map_err(store_failed)?;
        person.ok_or_else(|| invalid_grant("the owner of the grant is banned or gone"))
    }

    /// The answer when something failed here.
    pub(in crate::oauth) fn failed() -> OAuthError {
        server_error()
    }

    /// Keeps a code.
    pub(in crate::oauth) async fn add_code(&self, code: &AuthorizationCode) -> Result<(), OAuthError> {
        self.store.add_code(code).await.map_err(|error| match error {
            StoreError::NotFound { .. } => {
                OAuthError::new(ErrorCode::AccessDenied, "Logged in user is banned")
            }
            other => store_failed(other),
        })
    }

    /// Makes the access token of what was granted. One that would be refused wherever it is sent is not given away.
    pub(in crate::oauth) fn sign(&self, granted: Granted) -> Result<Issued, OAuthError> {
        let key = self.keyring.signing();
        let issued = self.issuer.issue(granted, key, self.now, self.random).map_err(|_| server_error())?;
        let (length, longest) = (issued.access_token.len(), self.issuer.longest());
        if length > longest {
            let text = format!(
                "a token for this scope would have {length} bytes, and at most {longest} are accepted: ask for fewer services"
            );
            return Err(OAuthError::new(ErrorCode::InvalidScope, text));
        }
        Ok(issued)
    }

    /// Makes an id_token. By RS256, which every client of OpenID Connect knows (Core section 15.1).
    pub(in crate::oauth) fn sign_identity(&self, identity: &Identity<'_>) -> Result<String, OAuthError> {
        let key = self.keyring.signing_with(Algorithm::Rs256).ok_or_else(server_error)?;
        identity.sign(key, self.issuer.life(), self.now).map_err(|_| server_error())
    }

    /// Whether refresh tokens are given to this service.
    fn may_refresh(&self, service: &Service) -> bool {
        self.flows.contains(Flow::RefreshToken) && service.may_use(Flow::RefreshToken)
    }
}

/// What a person granted, with whatever leaves together.
#[derive(Clone)]
struct Fresh {
    grant: Grant,
    person: Person,
    /// The refresh token that goes with it.
    refresh: Option<Secret>,
    /// Whether an id_token answers the authorization request itself, and so repeats its nonce.
    nonce: bool,
}

/// A token request whose required parameters are there.
enum TokenRequest<'a> {
    AuthorizationCode { code: &'a str, redirect_uri: Option<&'a str>, verifier: Option<&'a str> },
    RefreshToken { token: &'a str, scope: Option<&'a str> },
    ClientCredentials { scope: Option<&'a str> },
    Password(password::Sent<'a>),
}

impl<'a> TokenRequest<'a> {
    fn read(form: &'a Form, flows: Flows) -> Result<Self, OAuthError> {
        let required =
            |name: &str| form.get(name).ok_or_else(|| invalid_request(format!("{name} is missing")));
        let name = required("grant_type")?;
        match Flow::parse(name).filter(|flow| flows.contains(*flow)) {
            Some(Flow::AuthorizationCode) => Ok(Self::AuthorizationCode {
                code: required("code")?,
                redirect_uri: form.get("redirect_uri"),
                verifier: form.get("code_verifier"),
            }),
            Some(Flow::RefreshToken) => {
                Ok(Self::RefreshToken { token: required("refresh_token")?, scope: form.get("scope") })
            }
            Some(Flow::ClientCredentials) => Ok(Self::ClientCredentials { scope: form.get("scope") }),
            Some(Flow::Password) => Ok(Self::Password(password::Sent {
                username: required("username")?,
                password: Secret::new(required("password")?.to_owned()),
                scope: required("scope")?,
                offline: match form.get("access_type") {
                    None | Some("online") => false,
                    Some("offline") => true,
                    Some(_) => return Err(invalid_request("access_type is none of online, offline")),
                },
            })),
            Some(Flow::Implicit) | None => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                format!("grant type {name} is not offered here"),
            )),
        }
    }

    const fn flow(&self) -> Flow {
        match self {
            Self::AuthorizationCode { .. } => Flow::AuthorizationCode,
            Self::RefreshToken { .. } => Flow::RefreshToken,
            Self::ClientCredentials { .. } => Flow::ClientCredentials,
            Self::Password(_) => Flow::Password,
        }
    }
}

/// What came of a request, for the log: who asked, by which grant, and the answer.
pub struct Redeemed {
    /// The client, once it is authenticated.
    pub client: Option<ServiceId>,
    /// The grant, once it is known.
    pub flow: Option<Flow>,
    /// The answer.
    pub result: Result<Issued, OAuthError>,
}

/// Answers a token request. `authorization` holds every `Authorization` header of the request.
pub async fn redeem(authorization: &[&[u8]], form: &Form, context: &Context<'_>) -> Redeemed {
    let mut redeemed = Redeemed { client: None, flow: None, result: Err(server_error()) };
    redeemed.result = answer(authorization, form, context, (&mut redeemed.client, &mut redeemed.flow)).await;
    redeemed
}

/// Answers a token request that waits for nobody, as soon as it is asked: that of a service for itself, which concerns neither
/// the store nor a password. `None` when it is another.
pub fn redeem_at_once(authorization: &[&[u8]], form: &Form, context: &Context<'_>) -> Option<Redeemed> {
    form.get("grant_type").filter(|name| *name == Flow::ClientCredentials.name())?;
    let mut nobody_waits = task::Context::from_waker(Waker::noop());
    match pin!(redeem(authorization, form, context)).poll(&mut nobody_waits) {
        Poll::Ready(redeemed) => Some(redeemed),
        Poll::Pending => None,
    }
}

async fn answer(
    authorization: &[&[u8]],
    form: &Form,
    context: &Context<'_>,
    (client, flow): (&mut Option<ServiceId>, &mut Option<Flow>),
) -> Result<Issued, OAuthError> {
    // 1 which request it is
    let request = TokenRequest::read(form, context.flows)?;
    *flow = Some(request.flow());
    // 2 who asks, by exactly one method; before any code or refresh token is looked at
    let presented = client_auth::presented(authorization, form)?;
    let service = match request {
        TokenRequest::ClientCredentials { .. } => {
            client_auth::confidential(&presented, context.registry, context.now)?
        }
        _ => client_auth::client(&presented, context.registry, context.now)?,
    };
    *client = Some(service.id.clone());
    // 3 may this service use this grant?
    may_use(&service, request.flow())?;
    // 4 the grant itself, which spends what can be spent only once; 5 mint
    match request {
        TokenRequest::ClientCredentials { scope } => {
            context.sign(client_credentials::grant(&service, scope, context.registry)?)
        }
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier } => {
            mint(authorization_code::grant(&service, (code, redirect_uri, verifier), context).await?, context)
        }
        TokenRequest::Password(sent) => mint(password::grant(&service, &sent, context).await?, context),
        TokenRequest::RefreshToken { token, scope } => {
            refresh_token::grant(&service, (token, scope), context).await
        }
    }
}

/// Makes the tokens of what a person granted.
fn mint(fresh: Fresh, context: &Context<'_>) -> Result<Issued, OAuthError> {
    let Fresh { grant, person, refresh, nonce } = fresh;
    let granted = Granted {
        client: grant.client.clone(),
        subject: grant.user.as_str().to_owned(),
        scope: grant.scope.clone(),
        family: Some(Family { grant: grant.id, session: grant.session.clone() }),
    };
    let issued = context.sign(granted)?;
    let identity = Identity {
        issuer: context.issuer.name(),
        client: &grant.client,
        person: &person,
        scope: &grant.scope,
        authenticated: grant.authenticated,
        nonce: grant.nonce.as_deref().filter(|_| nonce),
        session: grant.session.as_ref(),
        access_token: Some(&issued.access_token),
        code: None,
    };
    let id_token = if grant.scope.has("openid") { Some(context.sign_identity(&identity)?) } else { None };
    Ok(Issued { refresh_token: refresh, id_token, ..issued })
}

fn invalid_grant(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}

fn server_error() -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the token could not be made")
}

/// The store did not answer: never a false success, and nothing that the client did wrong.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn store_failed(error: StoreError) -> OAuthError {
    if !matches!(error, StoreError::NotFound { .. }) {
        tracing::error!(%error, "a token request could not be answered");
    }
    match error {
        StoreError::Unavailable(_) => {
            OAuthError::for_now("the store is not available; try again", Duration::from_secs(5))
        }
        // The person was shut out, or took it back, while the request was judged.
        StoreError::NotFound { .. } => invalid_grant("the grant was taken back, or its owner is gone"),
        _ => server_error(),
    }
}

fn may_use(service: &Service, flow: Flow) -> Result<(), OAuthError> {
    if service.may_use(flow) {
        return Ok(());
    }
    let why = if service.trust.flows.contains(flow) {
        format!("only a trusted service may use {flow}")
    } else {
        format!("{flow} is switched off for this service")
    };
    Err(OAuthError::new(ErrorCode::UnauthorizedClient, why))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        base::random::SystemRandom,
        crypto::{digest::SecretDigest, keyring, seal::SealingKey},
        model::service::{Profile, StoredSecret, Trust},
        oauth::token::{testing::Few, verify::verify},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn service(id: &str, trust: Trust) -> Service {
        Service {
            id: ServiceId::parse(id).unwrap(),
            name: id.to_uppercase(),
            trust,
            profile: Profile::default(),
            secrets: vec![StoredSecret::current(SecretDigest::of("s"), NOW)],
            declared: false,
            created: NOW,
            updated: NOW,
        }
    }

    fn ask(client: &str, body: &str, flows: Flows) -> (Redeemed, Keyring) {
        let off: Flows = [Flow::Password].into_iter().collect();
        let registry = Registry::new(
            [
                service("trusted", Trust::default()),
                service("untrusted", Trust { trusted: false, ..Trust::default() }),
                service("off", Trust { flows: off, ..Trust::default() }),
            ],
            "https://a/hub",
        );
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let keyring = Keyring::open(
            &[keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap()],
            &sealing,
        )
        .unwrap();
        let issuer = Issuer::new("https://a/hub", Duration::from_secs(3600));
        let store = Few::default();
        let context = Context {
            registry: &registry,
            keyring: &keyring,
            issuer: &issuer,
            flows,
            now: NOW,
            random: &SystemRandom,
            lives: Lives {
                code: Duration::from_secs(60),
                refresh_token: Duration::from_secs(60),
                refresh_window: Duration::from_secs(60),
            },
            store: &store,
            revoke: &store,
            owners: &store,
            source: IpAddr::from([127, 0, 0, 1]),
        };
        let header = format!("Basic {}", STANDARD.encode(format!("{client}:s")));
        let redeemed = match Form::parse(body.as_bytes()) {
            Ok(form) => {
                let redeemed = redeem(&[header.as_bytes()], &form, &context).now_or_never().unwrap();
                let at_once = redeem_at_once(&[header.as_bytes()], &form, &context);
                assert_eq!(at_once.is_some(), form.get("grant_type") == Some("client_credentials"), "{body}");
                if let Some(at_once) = at_once {
                    let outcome = |redeemed: &Redeemed| redeemed.result.as_ref().err().cloned();
                    assert_eq!((&at_once.client, outcome(&at_once)), (&redeemed.client, outcome(&redeemed)));
                }
                redeemed
            }
            Err(error) => Redeemed { client: None, flow: None, result: Err(error) },
        };
        (redeemed, keyring)
    }

    #[test]
    fn a_trusted_service_gets_a_token_for_itself() {
        for (body, scope, audience) in [
            ("grant_type=client_credentials&scope=UNTRUSTED", "UNTRUSTED", vec!["untrusted"]),
            ("grant_type=client_credentials&scope=off+Hub", "off Hub", vec!["off", "0-0-0-0-0"]),
            ("grant_type=client_credentials", "trusted", vec!["trusted"]),
            ("grant_type=client_credentials&scope=", "trusted", vec!["trusted"]),
        ] {
            let (redeemed, keyring) = ask("trusted", body, Flows::all());
            let issued = redeemed.result.unwrap();
            assert_eq!((issued.scope.as_str(), issued.expires_in), (scope, 3600));
            let claims = verify(issued.access_token.as_bytes(), &keyring, "https://a/hub", NOW).unwrap();
            assert_eq!(claims.aud.iter().map(ServiceId::as_str).collect::<Vec<_>>(), audience);
            assert!(claims.is_service());
        }
    }

    #[test]
    fn everything_else_gets_the_error_of_the_table() {
        use ErrorCode::{InvalidRequest, InvalidScope, UnauthorizedClient, UnsupportedGrantType};
        for (client, body, code) in [
            ("trusted", "", InvalidRequest),
            ("trusted", "grant_type=", InvalidRequest),
            ("trusted", "grant_type=client_credentials&grant_type=client_credentials", InvalidRequest),
            ("trusted", "grant_type=magic", UnsupportedGrantType),
            ("trusted", "grant_type=implicit", UnsupportedGrantType),
            ("trusted", "grant_type=client_credentials&scope=nobody", InvalidScope),
            ("trusted", "grant_type=client_credentials&scope=off+nobody", InvalidScope),
            ("untrusted", "grant_type=client_credentials", UnauthorizedClient),
            ("off", "grant_type=client_credentials", UnauthorizedClient),
            ("nobody", "grant_type=client_credentials", ErrorCode::InvalidClient),
        ] {
            let (redeemed, _) = ask(client, body, Flows::all());
            assert_eq!(redeemed.result.unwrap_err().code, code, "{client} {body}");
        }
        let (redeemed, _) = ask("trusted", "grant_type=client_credentials", Flows::default());
        assert_eq!(redeemed.result.unwrap_err().code, UnsupportedGrantType);
        // What was sent stands in the answer and the log: no line of its own, nothing that a terminal obeys, and not much of it.
        let body = format!("grant_type=a%0D%0Ab%1B%5B31m%22%5C%C3%A4%E2%80%AE{}", "c".repeat(10_000));
        let refusal = ask("trusted", &body, Flows::all()).0.result.unwrap_err();
        assert!(refusal.description.starts_with("grant type a??b?[31m????c"), "{}", refusal.description);
        assert_eq!((refusal.description.len(), refusal.description.contains(char::is_control)), (300, false));
    }
}
