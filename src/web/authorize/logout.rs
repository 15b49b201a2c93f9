//! Signing out, by a person or at a client's wish (hub-contract section 0; OpenID Connect RP-Initiated Logout section 2).
//!
//! Invariant: an address is gone to only when the client has registered it, or it is the service's own home.

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::{Desk, carry_out::clearing, query::Query, store_failed};
use crate::{
    model::service::Service,
    oauth::{
        authorize::redirect_uri,
        error::{ErrorCode, OAuthError, invalid_request},
    },
    proxy::gate::{Caller, Outcome},
    web::{Control, browser::Browser, endpoint::Endpoint},
};

/// `GET` or `POST …/oauth2/logout`
pub(in crate::web) async fn answer(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    let text = if method == Method::POST && !body.is_empty() {
        String::from_utf8_lossy(&body).into_owned()
    } else {
        uri.query().unwrap_or_default().to_owned()
    };
    match desk.log_out(&method, &text).await {
        Ok(response) => response,
        Err((error, address)) => desk.problem(&error, address),
    }
}

impl Desk<'_> {
    async fn log_out(&self, method: &Method, text: &str) -> Result<Response, (OAuthError, Option<String>)> {
        let plain = |error| (error, None);
        if *method == Method::POST {
            self.same_origin().map_err(plain)?;
        }
        let query = Query::read(text).map_err(plain)?;
        let form = query.form();
        let client = match form.get("client_id") {
            None => None,
            Some(id) => Some(self.caller.snapshot.registry.by_id(id).ok_or_else(|| {
                plain(invalid_request(format!("no service is registered with the id {id}")))
            })?),
        };
        // Before anything ends: a request that cannot be answered as it asks does nothing.
        let asked = form.get("post_logout_redirect_uri").or_else(|| form.get("redirect_uri"));
        let target = target(client.map(AsRef::as_ref), asked)?;
        let browser = Browser::find(self.control, self.caller, self.headers)
            .await
            .map_err(store_failed)
            .map_err(plain)?;
        self.sign_out(&browser).await.map_err(plain)?;
        let state = form.get("state").filter(|_| client.is_some());
        let mut response = if let Some(uri) = target {
            self.go(StatusCode::FOUND, &with_state(&uri, state))
        } else {
            let sign_in = Endpoint::LoginPage.url(&self.caller.snapshot.desk.hub_url);
            self.pages().signed_out(None, &sign_in)
        };
        response.extensions_mut().insert(Outcome { decision: "signed_out", ..Outcome::default() });
        Ok(clearing(response))
    }
}

/// Where to go: the registered address that is asked for, else the service's home, else nowhere.
fn target(
    client: Option<&Service>,
    asked: Option<&str>,
) -> Result<Option<String>, (OAuthError, Option<String>)> {
    let Some(client) = client else {
        // Without a client nobody can tell whose address it is.
        return Ok(None);
    };
    match asked {
        Some(uri) if redirect_uri::is_registered(uri, &client.profile) => Ok(Some(uri.to_owned())),
        Some(uri) => {
            let text = "the address is not registered as a redirect URI of this service";
            Err((OAuthError::new(ErrorCode::InvalidRedirectUri, text), Some(uri.to_owned())))
        }
        None => Ok(client.profile.home_url.clone().filter(|url| crate::base::url::web_origin(url).is_some())),
    }
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let separator = if uri.contains('?') { "&" } else { "?" };
    let state = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    format!("{uri}{separator}{state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_echoed_and_encoded() {
        assert_eq!(with_state("https://a/", Some("x&y=1;")), "https://a/?state=x%26y%3D1%3B");
        assert_eq!(with_state("https://a/?b", Some("x")), "https://a/?b&state=x");
        assert_eq!(with_state("https://a/", None), "https://a/");
    }
}
