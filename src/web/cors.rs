//! Which pages of other origins may read our answers (Fetch section 3.2, hub-contract section 9.7).
//!
//! Invariant: an origin is named in an answer only if a registered service has it; nothing is ever allowed with cookies,
//! so that a page of another origin acts with the token that it holds and with nothing else.

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use super::endpoint::Endpoint;
use crate::{model::registry::Registry, proxy::origin};

/// Who may read the answers of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Pages of every origin: what is published anyway.
    Anyone,
    /// Pages of registered services.
    Services,
    /// Our own pages alone.
    Nobody,
}

impl Readers {
    /// By path below `hub.path`.
    fn of(path: &str) -> Self {
        let is = |endpoints: &[Endpoint]| endpoints.iter().any(|endpoint| endpoint.path() == path);
        let published = [
            Endpoint::Keys,
            Endpoint::OpenIdConfiguration,
            Endpoint::OAuthOpenIdConfiguration,
            Endpoint::AuthorizationServer,
        ];
        // A browser goes there, or a server with its secret asks; no script of a page has any business there.
        let not_for_pages =
            [Endpoint::Authorize, Endpoint::Logout, Endpoint::InteractiveLogin, Endpoint::Introspect];
        if is(&published) {
            Self::Anyone
        } else if path.starts_with("/api/rest/") && !is(&not_for_pages) {
            Self::Services
        } else {
            Self::Nobody
        }
    }
}

/// What one request gets.
#[derive(Debug)]
pub(super) struct Cors {
    readers: Readers,
    /// What is allowed: the request's origin, `*`, or nothing.
    allowed: Option<HeaderValue>,
    preflight: bool,
}

impl Cors {
    /// Judges a request whose path is relative to `hub.path`.
    pub(super) fn of<B>(request: &Request<B>, registry: &Registry) -> Self {
        let readers = Readers::of(request.uri().path());
        let headers = request.headers();
        let allowed = match readers {
            // Also without an origin: caches may give the answer to any page.
            Readers::Anyone => Some(HeaderValue::from_static("*")),
            Readers::Services => origin::registered(headers, registry).cloned(),
            Readers::Nobody => None,
        };
        let asks_first = request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Self { readers, allowed, preflight: asks_first && readers != Readers::Nobody }
    }

    /// The answer to a preflight, which comes without credentials; `None` when the request is none.
    pub(super) fn preflight<B: Default>(&self) -> Option<Response<B>> {
        if !self.preflight {
            return None;
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed.is_some() {
            let headers = response.headers_mut();
            let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
            put(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE");
            put(ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Accept, Hub-API-Version");
            put(ACCESS_CONTROL_MAX_AGE, "600");
        }
        Some(response)
    }

    /// Writes what a browser needs to let the page read the answer.
    pub(super) fn mark(self, headers: &mut HeaderMap) {
        if self.readers == Readers::Services {
            // Also without an origin: a cache must not give one page the answer to another.
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(allowed) = self.allowed {
            origin::let_read(headers, allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{id::ServiceId, time::Timestamp},
        model::service::{Profile, Service, Trust},
    };

    fn registry() -> Registry {
        let service = Service {
            id: ServiceId::parse("yt").unwrap(),
            name: "YouTrack".into(),
            trust: Trust::default(),
            profile: Profile { home_url: Some("https://yt.example/x".into()), ..Profile::default() },
            secrets: vec![],
            declared: false,
            created: Timestamp::default(),
            updated: Timestamp::default(),
        };
        Registry::new([service], "https://gate.example/hub")
    }

    fn marked(method: &str, path: &str, fields: &[(&str, &str)]) -> (Option<Response<()>>, HeaderMap) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let cors = Cors::of(&request.body(()).unwrap(), &registry());
        let preflight = cors.preflight::<()>();
        let mut headers = HeaderMap::new();
        cors.mark(&mut headers);
        (preflight, headers)
    }

    fn allowed(path: &str, origin: &str) -> Option<String> {
        let (_, headers) = marked("GET", path, &[("origin", origin)]);
        assert!(!headers.contains_key("access-control-allow-credentials"));
        headers.get("access-control-allow-origin").map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn pages_of_registered_services_may_read_what_is_meant_for_them() {
        for path in [
            Endpoint::Token.path(),
            Endpoint::UserInfo.path(),
            Endpoint::Revoke.path(),
            Endpoint::LoginSettings.path(),
            "/api/rest/users/me",
        ] {
            assert_eq!(allowed(path, "https://yt.example").as_deref(), Some("https://yt.example"), "{path}");
            let (_, headers) = marked("GET", path, &[]);
            assert_eq!(headers["vary"], "origin", "{path}");
        }
        for path in [
            Endpoint::Authorize.path(),
            Endpoint::Logout.path(),
            Endpoint::InteractiveLogin.path(),
            Endpoint::Introspect.path(),
            Endpoint::LoginPage.path(),
            "/",
            "/errors/invalid_request",
        ] {
            assert_eq!(allowed(path, "https://yt.example"), None, "{path}");
        }
    }

    #[test]
    fn unknown_origins_are_never_reflected() {
        for origin in [
            "https://evil.example",
            "https://yt.example.evil.example",
            "https://yt.example:8443",
            "http://yt.example",
            "https://YT.example",
            "https://yt.example/",
            "null",
            "*",
            "",
        ] {
            assert_eq!(allowed(Endpoint::Token.path(), origin), None, "{origin}");
        }
        let twice = [("origin", "https://yt.example"), ("origin", "https://evil.example")];
        assert!(!marked("GET", Endpoint::Token.path(), &twice).1.contains_key("access-control-allow-origin"));
    }

    #[test]
    fn what_is_published_may_be_read_by_every_page() {
        for path in [
            Endpoint::Keys.path(),
            Endpoint::OpenIdConfiguration.path(),
            Endpoint::OAuthOpenIdConfiguration.path(),
            Endpoint::AuthorizationServer.path(),
        ] {
            assert_eq!(allowed(path, "https://evil.example").as_deref(), Some("*"), "{path}");
            assert_eq!(marked("GET", path, &[]).1["access-control-allow-origin"], "*", "{path}");
        }
    }

    #[test]
    fn preflights_need_no_credentials_and_tell_strangers_nothing() {
        let asks = |origin, path| {
            marked("OPTIONS", path, &[("origin", origin), ("access-control-request-method", "POST")]).0
        };
        let known = asks("https://yt.example", Endpoint::Token.path()).unwrap();
        assert_eq!(known.status(), 204);
        let value = |name: &str| known.headers()[name].to_str().unwrap();
        assert!(value("access-control-allow-methods").contains("POST"));
        assert!(value("access-control-allow-headers").contains("Authorization, Content-Type"));
        assert_eq!(value("access-control-max-age"), "600");
        let stranger = asks("https://evil.example", Endpoint::Token.path()).unwrap();
        assert!(stranger.headers().is_empty());
        assert!(asks("https://yt.example", Endpoint::Authorize.path()).is_none());
        let plain = marked("OPTIONS", Endpoint::Token.path(), &[("origin", "https://yt.example")]).0;
        assert!(plain.is_none(), "no preflight");
    }
}
