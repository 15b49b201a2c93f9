//! A token request, from form to grant.
//!
//! Invariant: every grant passes the same gates in the same order; a grant returns what it [`Granted`] and cannot
//! mint; a token is minted only after the grant was spent.
//!
//! RFC 6749 sections 3.2, 4.4, 5; hub-contract section 3.

mod client_credentials;

use super::{
    client_auth,
    error::{ErrorCode, OAuthError, invalid_request},
    form::Form,
    token::issue::{Issued, Issuer},
};
use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId},
        random::Random,
        time::Timestamp,
    },
    crypto::keyring::Keyring,
    model::{
        flow::{Flow, Flows},
        registry::Registry,
        scope::GrantedScope,
        service::Service,
    },
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
    /// The moment.
    pub now: Timestamp,
    /// Randomness.
    pub random: &'a dyn Random,
}

/// A token request whose required parameters are there.
enum TokenRequest<'a> {
    ClientCredentials { scope: Option<&'a str> },
}

impl<'a> TokenRequest<'a> {
    fn read(form: &'a Form, flows: Flows) -> Result<Self, OAuthError> {
        let name = form.get("grant_type").ok_or_else(|| invalid_request("grant_type is missing"))?;
        match Flow::parse(name).filter(|flow| flows.contains(*flow)) {
            Some(Flow::ClientCredentials) => Ok(Self::ClientCredentials { scope: form.get("scope") }),
            _ => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                format!("grant type {name} is not offered here"),
            )),
        }
    }

    const fn flow(&self) -> Flow {
        match self {
            Self::ClientCredentials { .. } => Flow::ClientCredentials,
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
pub fn redeem(authorization: &[&[u8]], form: &Form, context: &Context<'_>) -> Redeemed {
    let (mut client, mut flow) = (None, None);
    let result = (|| {
        // 1 which request it is
        let request = TokenRequest::read(form, context.flows)?;
        flow = Some(request.flow());
        // 2 who asks, by exactly one method
        let presented = client_auth::presented(authorization, form)?;
        let service = client_auth::confidential(&presented, context.registry, context.now)?;
        client = Some(service.id.clone());
        // 3 may this service use this grant?
        may_use(&service, request.flow())?;
        // 4 the grant itself
        let granted = match request {
            TokenRequest::ClientCredentials { scope } => {
                client_credentials::grant(&service, scope, context.registry)?
            }
        };
        // 5 mint
        context
            .issuer
            .issue(granted, context.keyring.signing(), context.now, context.random)
            .map_err(|_| OAuthError::new(ErrorCode::ServerError, "the token could not be signed"))
    })();
    Redeemed { client, flow, result }
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

    use super::*;
    use crate::{
        base::random::SystemRandom,
        crypto::{digest::SecretDigest, keyring, seal::SealingKey},
        model::{
            key::Algorithm,
            service::{Profile, StoredSecret, Trust},
        },
        oauth::token::verify::verify,
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
        let context = Context {
            registry: &registry,
            keyring: &keyring,
            issuer: &issuer,
            flows,
            now: NOW,
            random: &SystemRandom,
        };
        let header = format!("Basic {}", STANDARD.encode(format!("{client}:s")));
        let redeemed = match Form::parse(body.as_bytes()) {
            Ok(form) => redeem(&[header.as_bytes()], &form, &context),
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
    }
}
