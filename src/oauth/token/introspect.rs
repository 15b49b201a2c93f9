//! Introspection: whether a token is good now, and for what (RFC 7662).
//!
//! Invariant: a token is active here exactly when the gate would let it pass or the token endpoint would take it; whoever
//! may not know about a token, and whoever asks about none, gets the same two words.

use serde::Serialize;

use super::{claims::AccessClaims, revoke::store_failed};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    crypto::opaque::{self, Kind},
    model::{registry::Registry, service::Service, user::User},
    oauth::{
        client_auth,
        error::{OAuthError, invalid_request},
        form::Form,
    },
    store::{
        grants::{GrantStore, RefreshState},
        people::UserStore,
    },
};

/// The gate's judgement of an access token: what it knows, if the token would pass at this moment.
pub type Gate<'a> = &'a (dyn Fn(&[u8]) -> Option<Accepted> + Send + Sync);

/// An access token that would pass.
#[derive(Debug)]
pub struct Accepted {
    /// Its claims.
    pub claims: AccessClaims,
    /// The login of the person for whom it acts; `None` where a service acts for itself.
    pub login: Option<String>,
}

/// What an introspection request is judged by.
pub struct Context<'a> {
    /// The services.
    pub registry: &'a Registry,
    /// `iss`
    pub issuer: &'a str,
    /// Judges access tokens.
    pub gate: Gate<'a>,
    /// Refresh tokens.
    pub grants: &'a dyn GrantStore,
    /// Owners of refresh tokens.
    pub users: &'a dyn UserStore,
    /// The moment.
    pub now: Timestamp,
}

/// The answer (RFC 7662 section 2.2).
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Introspection {
    /// Whether the token is good now.
    pub active: bool,
    /// `scope`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who obtained it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ServiceId>,
    /// The owner's login; absent where a service acts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `Bearer` for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// When it ends, seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made, seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// `sub`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// `aud`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Vec<ServiceId>>,
    /// `iss`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// `jti`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// What came of a request.
pub struct Introspected {
    /// The client that asks, once it is authenticated.
    pub client: Option<ServiceId>,
    /// The answer.
    pub result: Result<Introspection, OAuthError>,
}

/// Answers an introspection request. `authorization` holds every `Authorization` header of it.
pub async fn introspect(authorization: &[&[u8]], form: &Form, context: &Context<'_>) -> Introspected {
    // Section 2.1: the endpoint requires authentication, so that nobody can try tokens out.
    let authenticated = client_auth::presented(authorization, form)
        .and_then(|presented| client_auth::confidential(&presented, context.registry, context.now));
    let asking = match authenticated {
        Ok(service) => service,
        // Section 2.3: 401, however the client tried.
        Err(error) => return Introspected { client: None, result: Err(error.with_challenge(true)) },
    };
    let result = match form.get("token") {
        None => Err(invalid_request("token is missing")),
        Some(token) => match opaque::digest(Kind::Refresh, token) {
            Some(_) => refresh(token, &asking, context).await,
            None => Ok(access(token, &asking, context.gate)),
        },
    };
    Introspected { client: Some(asking.id.clone()), result: result.map(Option::unwrap_or_default) }
}

/// What the gate accepts, told to those whom it concerns.
fn access(token: &str, asking: &Service, gate: Gate<'_>) -> Option<Introspection> {
    let Accepted { claims, login } = gate(token.as_bytes())?;
    let concerns = asking.trust.trusted || claims.client_id == asking.id || claims.covers(asking.id.as_str());
    concerns.then_some(Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        username: login,
        token_type: Some("Bearer"),
        // Section 2.2: what does not expire names no end.
        exp: claims.credential.is_none().then_some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        aud: Some(claims.aud),
        iss: Some(claims.iss),
        jti: Some(claims.jti),
    })
}

/// A refresh token is meant for this server alone, so that being named in its scope gives no right to know about it.
async fn refresh(
    token: &str,
    asking: &Service,
    context: &Context<'_>,
) -> Result<Option<Introspection>, OAuthError> {
    let Some(digest) = opaque::digest(Kind::Refresh, token) else { return Ok(None) };
    let found = context.grants.find_refresh(&digest).await.map_err(|_| store_failed())?;
    let Some((token, grant, state)) = found else { return Ok(None) };
    let live = state == RefreshState::Live
        && context.now < token.expires
        && context.registry.by_id(grant.client.as_str()).is_some();
    if !live || !(asking.trust.trusted || grant.client == asking.id) {
        return Ok(None);
    }
    let user = context.users.find_user(&grant.user).await.map_err(|_| store_failed())?;
    let Some(user) = user.filter(User::is_active) else { return Ok(None) };
    Ok(Some(Introspection {
        active: true,
        scope: Some(grant.scope.spelled),
        client_id: Some(grant.client),
        username: Some(user.login),
        exp: Some(token.expires.seconds()),
        iat: Some(token.created.seconds()),
        sub: Some(grant.user.as_str().to_owned()),
        aud: Some(grant.scope.services),
        iss: Some(context.issuer.to_owned()),
        ..Introspection::default()
    }))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::oauth::{
        error::ErrorCode,
        token::{
            testing::{Bench, NOW},
            verify::verify,
        },
    };

    fn ask(bench: &Bench, client: &str, token: &str) -> Result<serde_json::Value, OAuthError> {
        ask_at(bench, &format!("client_id={client}&client_secret=s&token={token}"), NOW)
    }

    fn ask_at(bench: &Bench, form: &str, now: Timestamp) -> Result<serde_json::Value, OAuthError> {
        let form = Form::parse(form.as_bytes()).unwrap();
        // As the gate does: who is banned or not there has no token that is good.
        let gate = |token: &[u8]| {
            let claims = verify(token, &bench.keyring, Bench::ISSUER, now).ok()?;
            let login = (!claims.is_service()).then(|| format!("{}.login", claims.sub));
            (claims.is_service() || claims.sub == "jane").then_some(Accepted { claims, login })
        };
        let context = Context {
            registry: &bench.registry,
            issuer: Bench::ISSUER,
            gate: &gate,
            grants: &bench.store,
            users: &bench.store,
            now,
        };
        let introspected = introspect(&[], &form, &context).now_or_never().unwrap();
        introspected.result.map(|answer| serde_json::to_value(answer).unwrap())
    }

    fn inactive() -> serde_json::Value {
        serde_json::json!({"active": false})
    }

    #[test]
    fn those_whom_a_token_concerns_learn_about_it() {
        let bench = Bench::new();
        let (access, id) = bench.access("phone", "jane");
        // `phone` obtained it, `api` is its audience, `machine` is trusted.
        for asking in ["api", "machine"] {
            assert_eq!(
                ask(&bench, asking, &access).unwrap(),
                serde_json::json!({"active": true, "scope": "API openid", "client_id": "phone", "username": "jane.login",
                    "token_type": "Bearer", "exp": NOW.seconds() + 3600, "iat": NOW.seconds(), "sub": "jane",
                    "aud": ["api"], "iss": Bench::ISSUER, "jti": id.to_string()}),
                "{asking}"
            );
        }
        let (own, _) = bench.access("app", "jane");
        assert_eq!(ask(&bench, "app", &own).unwrap()["active"], true);
        assert_eq!(ask(&bench, "app", &access).unwrap(), inactive());
        let own = bench.service_access("machine");
        let answer = ask(&bench, "api", &own).unwrap();
        assert_eq!((&answer["sub"], answer.get("username")), (&"machine".into(), None));
    }

    #[test]
    fn refresh_tokens_concern_their_client_alone() {
        let bench = Bench::new();
        let (refresh, _) = bench.refresh("app", "jane", false);
        for asking in ["app", "machine"] {
            let answer = ask(&bench, asking, &refresh).unwrap();
            assert_eq!(
                answer,
                serde_json::json!({"active": true, "scope": "API openid", "client_id": "app", "username": "jane.login",
                    "exp": NOW.seconds() + 86_400, "iat": NOW.seconds(), "sub": "jane", "aud": ["api"],
                    "iss": Bench::ISSUER})
            );
        }
        assert_eq!(ask(&bench, "api", &refresh).unwrap(), inactive());
        let form = format!("client_id=app&client_secret=s&token={refresh}");
        let end = NOW.plus(std::time::Duration::from_secs(86_400));
        assert_eq!(ask_at(&bench, &form, end).unwrap(), inactive());
        let (spent, _) = bench.refresh("app", "jane", true);
        assert_eq!(ask(&bench, "app", &spent).unwrap(), inactive());
    }

    #[test]
    fn everything_else_is_inactive_and_says_no_more() {
        let bench = Bench::new();
        let (banned_access, _) = bench.access("app", "banned");
        let (banned_refresh, _) = bench.refresh("app", "banned", false);
        let (nobodys, _) = bench.access("app", "nobody");
        let (gone, _) = bench.refresh("gone", "jane", false);
        let unknown = opaque::generate(Kind::Refresh, &crate::base::random::SystemRandom);
        let code = opaque::generate(Kind::Code, &crate::base::random::SystemRandom);
        for token in [
            &banned_access,
            &banned_refresh,
            &nobodys,
            &gone,
            unknown.expose(),
            code.expose(),
            "x",
            "a.b.c",
            &banned_access[1..],
        ] {
            assert_eq!(ask(&bench, "machine", token).unwrap(), inactive(), "{token}");
        }
        let (access, _) = bench.access("app", "jane");
        let form = format!("client_id=app&client_secret=s&token={access}");
        let late = NOW.plus(std::time::Duration::from_secs(3600));
        assert_eq!(ask_at(&bench, &form, late).unwrap(), inactive());
    }

    #[test]
    fn only_clients_with_their_secret_may_ask() {
        let mut bench = Bench::new();
        let (access, _) = bench.access("phone", "jane");
        for form in ["client_id=phone", "client_id=app", "client_id=app&client_secret=x", "x=y"] {
            let error = ask_at(&bench, &format!("{form}&token={access}"), NOW).unwrap_err();
            assert_eq!((error.code, error.challenge), (ErrorCode::InvalidClient, true), "{form}");
        }
        let error = ask_at(&bench, "client_id=app&client_secret=s", NOW).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        let header = format!("Basic {}", STANDARD.encode("app:s"));
        let form = Form::parse(b"token=x").unwrap();
        let context = Context {
            registry: &bench.registry,
            issuer: Bench::ISSUER,
            gate: &|_| None,
            grants: &bench.store,
            users: &bench.store,
            now: NOW,
        };
        let introspected = introspect(&[header.as_bytes()], &form, &context).now_or_never().unwrap();
        assert_eq!(introspected.result.unwrap(), Introspection::default());
        let (refresh, _) = bench.refresh("app", "jane", false);
        bench.store.fails = true;
        assert_eq!(ask(&bench, "app", &refresh).unwrap_err().code, ErrorCode::TemporarilyUnavailable);
        let (access, _) = bench.access("app", "jane");
        assert_eq!(
            ask(&bench, "app", &access).unwrap()["active"],
            true,
            "what the gate knows needs no store"
        );
    }
}
