//! `GET …/oauth2/interactive/login/settings?client_id=`: what a client shows beside a framed login page (hub-contract
//! section 7).

use axum::{
    Json,
    extract::{Extension, Request},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, header::CACHE_CONTROL};
use serde::Serialize;

use super::reply;
use crate::{
    base::url::web_origin,
    model::service::Service,
    oauth::form::Form as Parameters,
    proxy::{
        gate::Caller,
        refusal::{Form, Refusal, bad_request},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    service_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_url: Option<&'a str>,
}

impl<'a> Settings<'a> {
    fn of(service: &'a Service) -> Self {
        // What a client puts into a page has to be an address of the web.
        let address = |url: &'a Option<String>| url.as_deref().filter(|url| web_origin(url).is_some());
        Self {
            service_name: &service.name,
            icon_url: address(&service.profile.icon_url),
            home_url: address(&service.profile.home_url),
        }
    }
}

/// Answers with what the login page of this client says of it.
pub(super) async fn answer(Extension(caller): Extension<Caller>, request: Request) -> Response {
    let refused = |refusal: &Refusal| reply::refuse(refusal, Form::wanted(request.headers()), &caller);
    let parameters = match Parameters::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        Ok(parameters) => parameters,
        Err(error) => return refused(&bad_request(error.description)),
    };
    let Some(id) = parameters.get("client_id") else { return refused(&bad_request("client_id is missing")) };
    let Some(service) = caller.snapshot.registry.by_id(id) else {
        return refused(&bad_request("no service is registered under this client_id"));
    };
    let mut response = Json(Settings::of(service)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
