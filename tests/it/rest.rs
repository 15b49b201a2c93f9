//! The registry over REST, from outside (hub-contract sections 9 to 11; threats A7).

mod attacks;
mod basics;
mod credentials;
mod events;
mod groups;
mod matrix;
mod services;
mod users;

use serde_json::Value;

use crate::support::{Answer, Gateway, Request, Setup, Upstream, browser::form, gateway::TOKEN};

/// Below it everything lives.
pub(crate) const REST: &str = "/hub/api/rest/";
/// Of every declared user.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Of the service `app`.
pub(crate) const APP_SECRET: &str = "app-secret-0123456789";

/// A gateway with an administrator `root`, users `jane` and `joe`, services `app`, `alpha` and an untrusted `stranger`.
pub(crate) struct Registry {
    pub(crate) gateway: Gateway,
    /// Behind `/api`, for the service `alpha`.
    pub(crate) upstream: Upstream,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(more: impl FnOnce(&mut Setup)) -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            let who = |name: &str| {
                format!(
                    "name = \"{name}\"\nemail = \"{}@example.org\"\npassword = \"{PASSWORD}\"",
                    name.to_lowercase()
                )
            };
            setup
                .standard(&upstream)
                .service_with("app", &format!("secret = \"{APP_SECRET}\"\nconsent_required = false\nhome_url = \"https://app.example/\"\napplication_name = \"YouTrack\""))
                .service_with("stranger", "secret = \"stranger-secret-0123456789\"\ntrusted = false")
                .user("root", &format!("{}\nadministrator = true", who("Root")))
                .user("jane", &who("Jane"))
                .user("joe", &who("Joe"));
            more(setup);
        });
        Self { gateway, upstream }
    }

    /// An access token of a person, for these services.
    pub(crate) fn token(&self, login: &str, scope: &str) -> String {
        let pairs =
            [("grant_type", "password"), ("username", login), ("password", PASSWORD), ("scope", scope)];
        let answer = self.gateway.send(&Request::form(TOKEN, &form(&pairs)).basic("app", APP_SECRET));
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    /// Somebody who asks with a token for the gateway itself.
    pub(crate) fn as_user(&self, login: &str) -> Client<'_> {
        Client { gateway: &self.gateway, token: Some(self.token(login, "0-0-0-0-0")) }
    }

    /// The administrator.
    pub(crate) fn root(&self) -> Client<'_> {
        self.as_user("root")
    }

    /// A service that asks for itself.
    pub(crate) fn as_service(&self, id: &str, secret: &str) -> Client<'_> {
        Client { gateway: &self.gateway, token: Some(self.gateway.token(id, secret, "0-0-0-0-0")) }
    }

    /// The service `app` for itself.
    pub(crate) fn app(&self) -> Client<'_> {
        self.as_service("app", APP_SECRET)
    }

    /// Nobody.
    pub(crate) fn nobody(&self) -> Client<'_> {
        Client { gateway: &self.gateway, token: None }
    }

    /// The id of a user.
    pub(crate) fn id_of(&self, login: &str) -> String {
        self.as_user(login).good("users/me?fields=id")["id"].as_str().unwrap().to_owned()
    }
}

/// A client of REST.
pub(crate) struct Client<'g> {
    pub(crate) gateway: &'g Gateway,
    pub(crate) token: Option<String>,
}

impl Client<'_> {
    fn send(&self, request: Request) -> Answer {
        self.gateway.send(&match &self.token {
            Some(token) => request.bearer(token),
            None => request,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::get(&format!("{REST}{path}")))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Request::new("DELETE", &format!("{REST}{path}")))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::new("POST", &format!("{REST}{path}"));
        self.send(request.header("Content-Type", "application/json").body(body.to_string()))
    }

    /// What is read.
    #[track_caller]
    pub(crate) fn good(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// What is answered to a post that is carried out; null where there is no body.
    #[track_caller]
    pub(crate) fn done(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        if answer.text().is_empty() { Value::Null } else { answer.json() }
    }

    /// The refusal of a post: status, `error`, `error_field`.
    #[track_caller]
    pub(crate) fn refused(&self, path: &str, body: &Value) -> (u16, String, String) {
        refusal(&self.post(path, body))
    }
}

/// Status, `error` and `error_field` of a refusal, which has Hub's members in any case.
#[track_caller]
pub(crate) fn refusal(answer: &Answer) -> (u16, String, String) {
    assert!(answer.status >= 400, "{}: {}", answer.status, answer.text());
    let body = answer.json();
    assert!(body["error_description"].is_string() && body["error_uri"].is_string(), "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("error"), text("error_field"))
}
