//! Revocation: what a client that is done with a token asks to be ended (RFC 7009).
//!
//! Invariant: a client ends its own tokens only, and cannot learn from the answer whether a token of another exists; a
//! store that does not answer is never taken for "unknown".

use super::verify::verify;
use crate::{
    base::{id::ServiceId, time::Timestamp},
    crypto::{
        keyring::Keyring,
        opaque::{self, Kind},
    },
    model::{
        registry::Registry,
        revocation::{Revocation, RevocationTarget},
    },
    oauth::{
        client_auth,
        error::{ErrorCode, OAuthError, invalid_request},
        form::Form,
    },
    store::grants::GrantStore,
};

/// What a revocation request is judged by.
pub struct Context<'a> {
    /// The services.
    pub registry: &'a Registry,
    /// The keys.
    pub keyring: &'a Keyring,
    /// `iss`
    pub issuer: &'a str,
    /// Refresh tokens.
    pub grants: &'a dyn GrantStore,
    /// The moment.
    pub now: Timestamp,
}

/// What came of a request.
pub struct Decided {
    /// The client, once it is authenticated.
    pub client: Option<ServiceId>,
    /// What is to be recorded, if anything. The answer is 200 once that is done, or there is nothing to do.
    pub result: Result<Option<Revocation>, OAuthError>,
}

/// Judges a revocation request. `authorization` holds every `Authorization` header of it.
///
/// `token_type_hint` is not needed: the two kinds cannot be confused, and a wrong hint must not hinder (section 2.1).
pub async fn decide(authorization: &[&[u8]], form: &Form, context: &Context<'_>) -> Decided {
    let presented = match client_auth::presented(authorization, form) {
        Ok(presented) => presented,
        Err(error) => return Decided { client: None, result: Err(error) },
    };
    // Section 2.1: the client is authenticated as at the token endpoint, a public one by its id.
    let client = match client_auth::client(&presented, context.registry, context.now) {
        Ok(service) => service.id.clone(),
        Err(error) => return Decided { client: None, result: Err(error) },
    };
    let result = match form.get("token") {
        None => Err(invalid_request("token is missing")),
        Some(token) => {
            target(token, &client, context).await.map(|t| t.map(|target| Revocation::at(context.now, target)))
        }
    };
    Decided { client: Some(client), result }
}

/// What ends with this token, if it is one of this client.
async fn target(
    token: &str,
    client: &ServiceId,
    context: &Context<'_>,
) -> Result<Option<RevocationTarget>, OAuthError> {
    if let Some(digest) = opaque::digest(Kind::Refresh, token) {
        // Section 2.2.1: a client that gets 503 must assume that the token still exists.
        let found = context.grants.find_refresh(&digest).await.map_err(|_| store_failed())?;
        // Section 2.1: the access tokens of the same grant end too. A spent token names its family as well as a live one.
        let own = found.filter(|(_, grant, _)| grant.client == *client);
        return Ok(own.map(|(_, grant, _)| RevocationTarget::Grant(grant.id)));
    }
    // What does not verify is dead already, or was never ours.
    let claims = verify(token.as_bytes(), context.keyring, context.issuer, context.now).ok();
    let own = claims.filter(|claims| claims.client_id == *client);
    Ok(own.and_then(|claims| claims.token_id()).map(RevocationTarget::Token))
}

/// The store did not answer.
#[must_use]
pub fn store_failed() -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "the store is not available; try again")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::oauth::token::testing::{Bench, NOW};

    fn ask(bench: &Bench, client: &str, token: &str) -> Result<Option<RevocationTarget>, OAuthError> {
        ask_form(bench, &format!("{client}&token={token}"))
    }

    fn ask_form(bench: &Bench, form: &str) -> Result<Option<RevocationTarget>, OAuthError> {
        let form = Form::parse(form.as_bytes()).unwrap();
        let context = Context {
            registry: &bench.registry,
            keyring: &bench.keyring,
            issuer: Bench::ISSUER,
            grants: &bench.store,
            now: NOW,
        };
        let decided = decide(&[], &form, &context).now_or_never().unwrap();
        decided.result.map(|revocation| {
            revocation.map(|revocation| {
                assert_eq!(revocation.revoked, NOW);
                revocation.target
            })
        })
    }

    const CONFIDENTIAL: &str = "client_id=app&client_secret=s";

    #[test]
    fn an_access_token_ends_alone_and_a_refresh_token_with_its_family() {
        let bench = Bench::new();
        let (access, id) = bench.access("app", "jane");
        assert_eq!(ask(&bench, CONFIDENTIAL, &access).unwrap(), Some(RevocationTarget::Token(id)));
        for hint in ["access_token", "refresh_token", "nonsense"] {
            let form = format!("{CONFIDENTIAL}&token={access}&token_type_hint={hint}");
            assert_eq!(ask_form(&bench, &form).unwrap(), Some(RevocationTarget::Token(id)), "{hint}");
        }
        for spent in [false, true] {
            let (refresh, grant) = bench.refresh("app", "jane", spent);
            assert_eq!(
                ask(&bench, CONFIDENTIAL, &refresh).unwrap(),
                Some(RevocationTarget::Grant(grant)),
                "{spent}"
            );
        }
        let (access, id) = bench.access("phone", "jane");
        assert_eq!(ask(&bench, "client_id=phone", &access).unwrap(), Some(RevocationTarget::Token(id)));
    }

    #[test]
    fn what_is_not_ones_own_or_unknown_changes_nothing() {
        let bench = Bench::new();
        let (access, _) = bench.access("app", "jane");
        let (refresh, _) = bench.refresh("app", "jane", false);
        let unknown = opaque::generate(Kind::Refresh, &crate::base::random::SystemRandom);
        let code = opaque::generate(Kind::Code, &crate::base::random::SystemRandom);
        for (client, token) in [
            ("client_id=phone", access.as_str()),
            ("client_id=phone", refresh.as_str()),
            ("client_id=api&client_secret=s", access.as_str()),
            (CONFIDENTIAL, unknown.expose()),
            (CONFIDENTIAL, code.expose()),
            (CONFIDENTIAL, "x"),
            (CONFIDENTIAL, &access[1..]),
        ] {
            assert_eq!(ask(&bench, client, token).unwrap(), None, "{client} {token}");
        }
    }

    #[test]
    fn a_client_authenticates_first_and_a_broken_store_is_no_answer() {
        let mut bench = Bench::new();
        let (access, _) = bench.access("app", "jane");
        let (refresh, _) = bench.refresh("app", "jane", false);
        for client in ["client_id=app", "client_id=app&client_secret=wrong", "client_id=nobody", "x=y"] {
            assert_eq!(ask(&bench, client, &access).unwrap_err().code, ErrorCode::InvalidClient, "{client}");
        }
        assert_eq!(ask_form(&bench, CONFIDENTIAL).unwrap_err().code, ErrorCode::InvalidRequest);
        bench.store.fails = true;
        assert_eq!(ask(&bench, CONFIDENTIAL, &refresh).unwrap_err().code, ErrorCode::TemporarilyUnavailable);
    }
}
