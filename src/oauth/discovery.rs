//! What the server says of itself, so that clients need no manual (RFC 8414, OpenID Connect Discovery 1.0).
//!
//! Invariant: one document for both standards, and nothing in it that the server does not do.

use serde::Serialize;

use super::authorize::request::ResponseType;
use crate::model::{
    flow::{Flow, Flows},
    scope::OPENID_SCOPES,
};

/// Where the endpoints are, as absolute URLs.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// RFC 6749 section 3.1.
    pub authorization_endpoint: String,
    /// RFC 6749 section 3.2.
    pub token_endpoint: String,
    /// OpenID Connect Core section 5.3.
    pub userinfo_endpoint: String,
    /// RFC 7517 section 5.
    pub jwks_uri: String,
    /// RFC 7662.
    pub introspection_endpoint: String,
    /// RFC 7009.
    pub revocation_endpoint: String,
    /// OpenID Connect RP-Initiated Logout section 2.1.
    pub end_session_endpoint: String,
}

/// The document.
#[derive(Debug, Serialize)]
pub struct Metadata {
    issuer: String,
    #[serde(flatten)]
    addresses: Addresses,
    scopes_supported: [&'static str; 5],
    response_types_supported: Vec<&'static str>,
    response_modes_supported: [&'static str; 3],
    grant_types_supported: Vec<&'static str>,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    code_challenge_methods_supported: &'static [&'static str],
    claims_supported: [&'static str; 13],
    prompt_values_supported: [&'static str; 3],
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

/// Describes a server with this issuer, these endpoints and these flows. `strict` is the profile of OAuth 2.1, in which
/// PKCE's plain challenges are not accepted.
#[must_use]
pub fn metadata(issuer: &str, addresses: Addresses, flows: Flows, strict: bool) -> Metadata {
    // OAuth 2.0 Multiple Response Type Encoding Practices: what hands tokens to the browser is the implicit flow.
    let implicit = flows.contains(Flow::Implicit);
    let response_types = ResponseType::OFFERED.into_iter().filter(|offered| implicit || *offered == "code");
    Metadata {
        issuer: issuer.to_owned(),
        addresses,
        scopes_supported: OPENID_SCOPES,
        response_types_supported: response_types.collect(),
        response_modes_supported: ["query", "fragment", "form_post"],
        grant_types_supported: flows.iter().map(Flow::name).collect(),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        code_challenge_methods_supported: if strict { &["S256"] } else { &["S256", "plain"] },
        claims_supported: [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "name",
            "preferred_username",
            "profile",
            "email",
            "email_verified",
            "groups",
        ],
        prompt_values_supported: ["none", "login", "consent"],
        authorization_response_iss_parameter_supported: true,
        claims_parameter_supported: false,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(flows: Flows, strict: bool) -> serde_json::Value {
        let at = |path: &str| format!("https://a/hub/{path}");
        let addresses = Addresses {
            authorization_endpoint: at("auth"),
            token_endpoint: at("token"),
            userinfo_endpoint: at("userinfo"),
            jwks_uri: at("keys"),
            introspection_endpoint: at("introspect"),
            revocation_endpoint: at("revoke"),
            end_session_endpoint: at("logout"),
        };
        serde_json::to_value(metadata("https://a/hub", addresses, flows, strict)).unwrap()
    }

    #[test]
    fn the_document_has_what_both_standards_require() {
        let all = document(Flows::all(), false);
        // RFC 8414 section 2; OpenID Connect Discovery section 3.
        for required in [
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        ] {
            assert!(all.get(required).is_some(), "{required}");
        }
        assert_eq!(all["issuer"], "https://a/hub");
        assert_eq!(all["revocation_endpoint"], "https://a/hub/revoke");
        assert_eq!(all["response_types_supported"], serde_json::json!(ResponseType::OFFERED));
        assert_eq!(all["code_challenge_methods_supported"], serde_json::json!(["S256", "plain"]));
        assert_eq!(
            all["grant_types_supported"],
            serde_json::json!([
                "authorization_code",
                "implicit",
                "refresh_token",
                "client_credentials",
                "password"
            ])
        );
    }

    #[test]
    fn what_the_profile_leaves_out_is_not_promised() {
        let strict: Flows =
            [Flow::AuthorizationCode, Flow::RefreshToken, Flow::ClientCredentials].into_iter().collect();
        let strict = document(strict, true);
        assert_eq!(strict["response_types_supported"], serde_json::json!(["code"]));
        assert_eq!(strict["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(
            strict["grant_types_supported"],
            serde_json::json!(["authorization_code", "refresh_token", "client_credentials"])
        );
    }
}
