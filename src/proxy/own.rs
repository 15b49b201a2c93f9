//! Requests for our own endpoints: read and bounded by the worker, answered by the control plane.
//!
//! Invariant: the cookies of other services on this host go no further, and a body is whole or is none.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Request, header::COOKIE};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};

use super::{
    Answer, MAX_OWN_BODY, RETRY,
    gate::{Caller, Outcome},
    record::Record,
    refusal::{self, Form, Refusal},
    refuse,
    relay::AnswerBody,
    sanitize::Sanitized,
};
use crate::{
    base::body::Spoiled,
    observe::journal::{Decision, OWN_ROUTE},
};

/// Hands a request for one of our own endpoints to the control plane, its body read and bounded.
pub(super) async fn endpoint(
    mut record: Record,
    form: Form,
    sanitized: Sanitized,
    (body, spoiled): (Incoming, Option<Spoiled>),
) -> Answer {
    record.route = OWN_ROUTE;
    let worker = Rc::clone(record.worker());
    // What has no body takes nobody's place.
    let place =
        if body.is_end_stream() { Some(None) } else { worker.read_own_body(record.source()).map(Some) };
    let Some(_reading) = place else {
        worker.journal().shed("own_bodies");
        let refusal = Refusal::unavailable("too many requests for the gateway itself are arriving", RETRY);
        return refuse(record, form, &refusal.closing()).await;
    };
    let patience = record.worker().body_timeout();
    let read = tokio::time::timeout(patience, Limited::new(body, MAX_OWN_BODY).collect());
    let bytes: Bytes = match read.await {
        Ok(Ok(_)) if spoiled.is_some_and(|spoiled| spoiled.is_marked()) => {
            return refuse(record, form, &refusal::bad_request("the body's chunks are malformed").closing())
                .await;
        }
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return refuse(record, form, &Refusal::too_large(MAX_OWN_BODY as u64)).await;
        }
        Ok(Err(_)) => {
            return refuse(record, form, &refusal::bad_request("the body broke off").closing()).await;
        }
        Err(_) => {
            let refusal = Refusal::body_silent();
            return refuse(record, form, &refusal).await;
        }
    };
    let host = sanitized.authority.clone();
    let Sanitized { mut parts, target, own_cookies, .. } = sanitized;
    parts.uri = http::Uri::from(target);
    // The cookies of other services on this host are none of our endpoints' business.
    parts.headers.remove(COOKIE);
    if let Some(cookies) = own_cookies {
        parts.headers.insert(COOKIE, cookies);
    }
    parts.extensions = http::Extensions::new();
    let caller = Caller {
        source: record.source(),
        request_id: Arc::from(record.id.as_str()),
        snapshot: Arc::clone(&record.view.snapshot),
    };
    let answer = record.worker().own().answer(Request::from_parts(parts, bytes), caller);
    let mut response = answer.await;
    record.tell_rates(response.headers_mut());
    let none = Outcome { decision: "public", ..Outcome::default() };
    let outcome = response.extensions().get::<Outcome>().unwrap_or(&none);
    let line = Decision {
        id: record.id.as_bytes(),
        trace: record.trace_id(),
        route: "hub",
        decision: outcome.decision,
        reason: &outcome.reason,
        client: &outcome.client,
        jti: &outcome.jti,
        ..Decision::default()
    };
    let now = record.worker().gate().clock.now();
    record.decide(now, line);
    record.status = Some(response.status());
    if outcome.decision == "refused" {
        record.own_refused(outcome, (response.status(), &host));
    }
    response.map(|body| AnswerBody::own(body, record))
}
