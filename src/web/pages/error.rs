//! `GET …/errors/{code}`: the page of an error code, which answers name as `error_uri`.

use axum::{
    body::Body,
    extract::{Extension, Path, Request},
    response::Response,
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, VARY},
};

use crate::{
    oauth::error::ErrorCode,
    proxy::{
        gate::Caller,
        refusal::{Form, Refusal, page},
        shell::page_headers,
    },
    texts::Language,
    web::reply,
};

/// `GET …/errors/{code}`: what the code means and how to mend it.
pub(in crate::web) async fn answer(
    Extension(caller): Extension<Caller>,
    Path(code): Path<String>,
    request: Request,
) -> Response {
    let Some(code) = ErrorCode::parse(&code) else {
        return reply::refuse(&Refusal::not_found(), Form::wanted(request.headers()), &caller);
    };
    let t = Language::wanted(request.headers());
    let mut response = Response::new(Body::from(page(code, None, t)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(t.tag()));
    headers.insert(VARY, HeaderValue::from_static("accept-language"));
    page_headers(headers);
    response
}
