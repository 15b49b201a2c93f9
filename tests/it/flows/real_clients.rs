//! The crates with which other Rust programs sign people in: oauth2 and openidconnect. What is sent and how it is read is
//! theirs; the harness carries the bytes.

use std::convert::Infallible;

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, Scope, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType, BasicTokenType},
};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, IssuerUrl, Nonce, TokenResponse as _,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims},
};

use super::{APP_SECRET, CB, PASSWORD, call, start};
use crate::support::{
    Gateway, Request,
    browser::{Browser, brought, parameter},
    gateway::{PUBLIC_URL, TOKEN},
};

/// Carries requests to the gateway, which answers for its public address.
fn carrier(gateway: &Gateway) -> impl Fn(HttpRequest) -> Result<HttpResponse, Infallible> {
    |request| {
        let target = path(&request.uri().to_string()).to_owned();
        let mut sent = Request::new(request.method().as_str(), &target);
        for (name, value) in request.headers() {
            sent = sent.header(name.as_str(), value.to_str().unwrap());
        }
        if request.method() == http::Method::POST {
            sent = sent.body(request.body());
        }
        let answer = gateway.send(&sent);
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        Ok(response.body(answer.body).unwrap())
    }
}

/// The path and query of an address of the gateway.
fn path(url: &str) -> &str {
    url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url} is elsewhere"))
}

/// Goes where the client sends a person, who signs in; what comes back to the client.
fn go(gateway: &Gateway, url: &str) -> Vec<(String, String)> {
    let query = path(url).split_once('?').unwrap().1;
    brought(&Browser::new(gateway).sign_in(query, "jane", PASSWORD), CB)
}

macro_rules! client {
    ($id:expr) => {
        BasicClient::new(ClientId::new($id.to_owned()))
            .set_auth_uri(AuthUrl::new(format!("{PUBLIC_URL}/hub/api/rest/oauth2/auth")).unwrap())
            .set_token_uri(TokenUrl::new(format!("{PUBLIC_URL}{TOKEN}")).unwrap())
            .set_redirect_uri(RedirectUrl::new(CB.to_owned()).unwrap())
            .set_introspection_url(
                IntrospectionUrl::new(format!("{PUBLIC_URL}/hub/api/rest/oauth2/introspect")).unwrap(),
            )
            .set_revocation_url(
                RevocationUrl::new(format!("{PUBLIC_URL}/hub/api/rest/oauth2/revoke")).unwrap(),
            )
            .set_client_secret(ClientSecret::new(APP_SECRET.to_owned()))
    };
}

#[test]
fn oauth2_gets_a_code_refreshes_asks_and_revokes() {
    let (gateway, _upstream) = start();
    let carry = carrier(&gateway);
    for auth_type in [AuthType::BasicAuth, AuthType::RequestBody] {
        let client = client!("app").set_auth_type(auth_type);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("alpha".into()))
            .add_extra_param("access_type", "offline")
            .set_pkce_challenge(challenge)
            .url();
        let parameters = go(&gateway, url.as_str());
        assert_eq!(parameter(&parameters, "state"), state.secret());
        let code = || AuthorizationCode::new(parameter(&parameters, "code").to_owned());

        let wrong = PkceCodeVerifier::new("w".repeat(43));
        match client.exchange_code(code()).set_pkce_verifier(wrong).request(&carry) {
            Err(RequestTokenError::ServerResponse(refused)) => {
                assert_eq!(*refused.error(), BasicErrorResponseType::InvalidGrant);
            }
            other => panic!("{other:?}"),
        }
        let tokens = client.exchange_code(code()).set_pkce_verifier(verifier).request(&carry).unwrap();
        assert_eq!(*tokens.token_type(), BasicTokenType::Bearer);
        assert_eq!(tokens.expires_in().unwrap().as_secs(), 3600);
        assert_eq!(call(&gateway, tokens.access_token().secret()), 200);

        let again = client.exchange_refresh_token(tokens.refresh_token().unwrap()).request(&carry).unwrap();
        let (old, new) = (tokens.refresh_token().unwrap(), again.refresh_token().unwrap());
        assert_ne!(old.secret(), new.secret());
        assert_eq!(call(&gateway, again.access_token().secret()), 200);

        let told = client.introspect(again.access_token()).request(&carry).unwrap();
        assert!(told.active());
        assert_eq!((told.username(), told.client_id().map(|id| id.as_str())), (Some("jane"), Some("app")));
        let revocable = StandardRevocableToken::RefreshToken(RefreshToken::new(new.secret().clone()));
        client.revoke_token(revocable).unwrap().request(&carry).unwrap();
        assert!(!client.introspect(again.access_token()).request(&carry).unwrap().active());
        assert_eq!(call(&gateway, again.access_token().secret()), 401);
        match client.exchange_refresh_token(new).request(&carry) {
            Err(RequestTokenError::ServerResponse(refused)) => {
                assert_eq!(*refused.error(), BasicErrorResponseType::InvalidGrant);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn oauth2_acts_with_a_password_and_for_itself() {
    let (gateway, _upstream) = start();
    let carry = carrier(&gateway);
    let client = client!("app");
    let alpha = || Scope::new("alpha".into());
    let jane = ResourceOwnerUsername::new("jane".into());
    let password = ResourceOwnerPassword::new(PASSWORD.into());
    let tokens = client.exchange_password(&jane, &password).add_scope(alpha()).request(&carry).unwrap();
    assert!(tokens.refresh_token().is_none());
    assert_eq!(call(&gateway, tokens.access_token().secret()), 200);
    let own = client!("alpha").set_client_secret(ClientSecret::new("alpha-secret-0123456789".into()));
    let tokens = own.exchange_client_credentials().add_scope(alpha()).request(&carry).unwrap();
    assert_eq!(call(&gateway, tokens.access_token().secret()), 200);
    let wrong = client.set_client_secret(ClientSecret::new("wrong-secret-0123456789".into()));
    match wrong.exchange_client_credentials().add_scope(alpha()).request(&carry) {
        Err(RequestTokenError::ServerResponse(refused)) => {
            assert_eq!(*refused.error(), BasicErrorResponseType::InvalidClient);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn openidconnect_finds_us_and_verifies_who_signed_in() {
    let (gateway, _upstream) = start();
    let carry = carrier(&gateway);
    let issuer = IssuerUrl::new(format!("{PUBLIC_URL}/hub")).unwrap();
    let metadata = CoreProviderMetadata::discover(&issuer, &carry).unwrap();
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new("app".into()),
        Some(ClientSecret::new(APP_SECRET.into())),
    )
    .set_redirect_uri(RedirectUrl::new(CB.into()).unwrap());
    let (challenge, proof) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["email", "profile", "offline_access", "alpha"].map(|word| Scope::new(word.into())))
        .set_pkce_challenge(challenge)
        .url();
    let parameters = go(&gateway, url.as_str());
    assert_eq!(parameter(&parameters, "state"), state.secret());
    let code = AuthorizationCode::new(parameter(&parameters, "code").to_owned());
    let tokens = client.exchange_code(code).unwrap().set_pkce_verifier(proof).request(&carry).unwrap();

    let id_token = tokens.id_token().unwrap();
    let verifier = client.id_token_verifier();
    let claims = id_token.claims(&verifier, &nonce).unwrap();
    assert_eq!(claims.email().map(|email| email.as_str()), Some("Jane@example.org"));
    assert_eq!(claims.preferred_username().map(|name| name.as_str()), Some("jane"));
    let (algorithm, key) = (id_token.signing_alg().unwrap(), id_token.signing_key(&verifier).unwrap());
    let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
    let refused = id_token.claims(&verifier, &Nonce::new("another".into())).unwrap_err();
    assert!(matches!(refused, ClaimsVerificationError::InvalidNonce(_)), "{refused}");

    let told: CoreUserInfoClaims = client
        .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        .unwrap()
        .request(&carry)
        .unwrap();
    assert_eq!(told.email_verified(), Some(true));
    assert_eq!(call(&gateway, tokens.access_token().secret()), 200);

    let again = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap();
    let again = again.request(&carry).unwrap();
    let renewed = again.id_token().unwrap().claims(&verifier, |_: Option<&Nonce>| Ok(())).unwrap();
    assert_eq!((renewed.subject(), renewed.auth_time()), (claims.subject(), claims.auth_time()));
}
