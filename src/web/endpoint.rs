//! Every path that is ours, apart from the pages below `/account` and `/admin`, which `console` lists: for the router, for links, and
//! for telling ours from an upstream's.

use http::Uri;

/// An endpoint of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Where people arrive who come without a request.
    Home,
    /// Authorization endpoint (RFC 6749 section 3.1).
    Authorize,
    /// Token endpoint (RFC 6749 section 3.2).
    Token,
    /// Published keys (RFC 7517).
    Keys,
    /// Who the person behind a token is (OpenID Connect Core section 5.3).
    UserInfo,
    /// Whether a token is good (RFC 7662).
    Introspect,
    /// Ends a token (RFC 7009).
    Revoke,
    /// Ends the session (OpenID Connect RP-Initiated Logout).
    Logout,
    /// Where the login form goes, Hub's address of it.
    InteractiveLogin,
    /// Where a client's own form asks for a link to choose a password, Hub's address of it.
    InteractiveRestore,
    /// What a client shows beside a framed login page.
    LoginSettings,
    /// The registry (hub-contract section 9).
    Rest,
    /// OpenID Connect Discovery section 4.
    OpenIdConfiguration,
    /// The same, where newer Hubs have it too.
    OAuthOpenIdConfiguration,
    /// RFC 8414 section 3, the path of the issuer at its beginning, as OpenID Connect does it.
    AuthorizationServer,
    /// The login page.
    LoginPage,
    /// The login page by another name, where Hub shows every way to sign in.
    LoginOptions,
    /// The consent page.
    ConsentPage,
    /// The page on which somebody chooses a new password.
    PasswordPage,
    /// The page on which somebody shows a code after the password.
    SecondStepPage,
    /// The page on which somebody asks for a link to choose a password.
    RestorePage,
    /// What the links in our letters open.
    Link,
    /// A form whose session had ended is shown again.
    Resume,
    /// The script and style of our pages.
    Asset,
    /// The page of an error code, RFC 6749's `error_uri`.
    Error,
}

impl Endpoint {
    /// The path below `hub.path`, in the router's notation.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Authorize => "/api/rest/oauth2/auth",
            Self::Token => "/api/rest/oauth2/token",
            Self::Keys => "/api/rest/oauth2/keys",
            Self::UserInfo => "/api/rest/oauth2/userinfo",
            Self::Introspect => "/api/rest/oauth2/introspect",
            Self::Revoke => "/api/rest/oauth2/revoke",
            Self::Logout => "/api/rest/oauth2/logout",
            Self::InteractiveLogin => "/api/rest/oauth2/interactive/login",
            Self::InteractiveRestore => "/api/rest/oauth2/interactive/restore",
            Self::LoginSettings => "/api/rest/oauth2/interactive/login/settings",
            Self::Rest => "/api/rest/{*path}",
            Self::OpenIdConfiguration => OPENID_CONFIGURATION,
            Self::OAuthOpenIdConfiguration => "/api/rest/oauth2/.well-known/openid-configuration",
            Self::AuthorizationServer => AUTHORIZATION_SERVER,
            Self::LoginPage => "/auth/login",
            Self::LoginOptions => LOGIN_OPTIONS,
            Self::ConsentPage => "/auth/consent",
            Self::PasswordPage => "/auth/password",
            Self::SecondStepPage => "/auth/second-step",
            Self::RestorePage => "/auth/restore",
            Self::Link => "/auth/link",
            Self::Resume => "/auth/resume",
            Self::Asset => "/auth/assets/{name}",
            Self::Error => "/errors/{code}",
        }
    }

    /// Its address, for those whose path has no variable part.
    #[must_use]
    pub fn url(self, hub_url: &str) -> String {
        format!("{hub_url}{}", self.path())
    }
}

const LOGIN_OPTIONS: &str = "/loginOptions";
const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";

/// What the gateway keeps for itself when `hub.path` is empty: these prefixes, present and planned.
const RESERVED: [&str; 8] = [
    "/api/rest",
    "/auth",
    "/errors",
    "/admin",
    "/account",
    OPENID_CONFIGURATION,
    AUTHORIZATION_SERVER,
    LOGIN_OPTIONS,
];

/// Whether a canonical path belongs to the gateway itself, so that no upstream ever gets it.
#[must_use]
pub fn is_ours(hub_path: &str, path: &str) -> bool {
    let below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if hub_path.is_empty() {
        RESERVED.into_iter().any(below)
    } else {
        below(hub_path) || at_the_root(hub_path, path).is_some()
    }
}

/// Whether a path, encoded slashes and all, belongs to REST: it matches split segments with its list of operations and decodes
/// them then. The endpoints of the protocol beside it have nothing that varies in their paths.
#[must_use]
pub fn is_rest(hub_path: &str, path: &str) -> bool {
    let below = path.strip_prefix(hub_path).and_then(|path| path.strip_prefix("/api/rest/"));
    below.is_some_and(|path| !path.starts_with("oauth2"))
}

/// RFC 8414 section 3.1: the well-known part stands before the issuer's path, at the root of the host.
fn at_the_root(hub_path: &str, path: &str) -> Option<&'static str> {
    [AUTHORIZATION_SERVER, OPENID_CONFIGURATION]
        .into_iter()
        .find(|well_known| path.strip_prefix(well_known) == Some(hub_path))
}

/// The part of a target below `hub.path`, `/` for the path itself.
#[must_use]
pub fn relative(hub_path: &str, uri: &Uri) -> Option<Uri> {
    if let Some(well_known) = at_the_root(hub_path, uri.path()) {
        return Some(Uri::from_static(well_known));
    }
    let rest = uri.path_and_query()?.as_str().strip_prefix(hub_path)?;
    if rest.starts_with('/') { rest.parse().ok() } else { format!("/{rest}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_ours_at_segment_boundaries() {
        for (hub, path, ours) in [
            ("/hub", "/hub", true),
            ("/hub", "/hub/", true),
            ("/hub", "/hub/api/rest/oauth2/token", true),
            ("/hub", "/hub/whatever", true),
            ("/hub", "/hubble", false),
            ("/hub", "/Hub", false),
            ("/hub", "/", false),
            ("/hub", "/.well-known/oauth-authorization-server/hub", true),
            ("/hub", "/.well-known/openid-configuration/hub", true),
            ("/a/b", "/.well-known/oauth-authorization-server/a/b", true),
            ("/hub", "/.well-known/oauth-authorization-server", false),
            ("/hub", "/.well-known/oauth-authorization-server/", false),
            ("/hub", "/.well-known/oauth-authorization-server/other", false),
            ("/hub", "/.well-known/oauth-authorization-server/hub/", false),
            ("/hub", "/.well-known/oauth-authorization-serverhub", false),
            ("/hub", "/.well-known/acme-challenge/x", false),
            ("", "/.well-known/oauth-authorization-server", true),
            ("", "/.well-known/openid-configuration", true),
            ("", "/.well-known/acme-challenge/x", false),
            ("", "/api/rest/oauth2/token", true),
            ("", "/api/rest", true),
            ("", "/api/restaurant", false),
            ("", "/youtrack", false),
            ("", "/", false),
        ] {
            assert_eq!(is_ours(hub, path), ours, "{hub:?} {path}");
        }
    }

    #[test]
    fn rest_alone_takes_encoded_slashes() {
        for (hub, path, rest) in [
            ("/hub", "/hub/api/rest/services/x/untrustedredirecturis/y/https:%2F%2Fz/accept", true),
            ("", "/api/rest/users/a%2Fb", true),
            ("/hub", "/hub/api/rest%2Fusers", false),
            ("/hub", "/hub%2Fapi/rest/users", false),
            ("/hub", "/hub/api/rest/oauth2/token%2F", false),
            ("/hub", "/hub/api/rest/oauth2%2Ftoken", false),
            ("/hub", "/hub/auth/login%2F", false),
            ("/hub", "/hub/account%2Fx", false),
            ("/hub", "/hub/errors/a%2Fb", false),
            ("/hub", "/api/rest/users/a%2Fb", false),
            ("/hub", "/hubble/api/rest/a%2Fb", false),
            ("", "/api/restaurant/a%2Fb", false),
            ("", "/x/api/rest/a%2Fb", false),
        ] {
            assert_eq!(is_rest(hub, path), rest, "{hub:?} {path}");
            assert!(!rest || is_ours(hub, path), "{path}: what is split is never forwarded");
        }
    }

    #[test]
    fn targets_lose_the_prefix() {
        let relative = |hub: &str, uri: &str| relative(hub, &uri.parse().unwrap()).map(|u| u.to_string());
        assert_eq!(relative("/hub", "/hub/a?x=1").as_deref(), Some("/a?x=1"));
        assert_eq!(relative("/hub", "/hub").as_deref(), Some("/"));
        assert_eq!(relative("/hub", "/hub?x").as_deref(), Some("/?x"));
        assert_eq!(relative("", "/a").as_deref(), Some("/a"));
        let document = Some("/.well-known/oauth-authorization-server");
        assert_eq!(relative("/hub", "/.well-known/oauth-authorization-server/hub?x").as_deref(), document);
        assert_eq!(relative("", "/.well-known/oauth-authorization-server").as_deref(), document);
        assert_eq!(relative("/hub", "/.well-known/other/hub"), None);
    }
}
