//! To the upstream and back: the connection, the deadline, what is retried, and what of the answer goes on.
//!
//! Invariant: a request is sent a second time only when not a byte of it was sent the first time.

use std::rc::Rc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{ALT_SVC, CONNECTION, CONTENT_LENGTH, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE},
};
use hyper::body::{Body as _, Incoming};

use super::{
    Answer,
    peer::Remembered,
    record::Record,
    refusal::{Form, Refusal, bad_request},
    relay::{AnswerBody, BodyFault, RequestBody, Upload},
    rendered,
    route::Route,
    upstream::{ConnectError, Lease},
};

/// Forwards a permitted request and answers with what comes back, or with 413, 502, 503 or 504.
pub(super) async fn forward(
    mut record: Record,
    form: Form,
    mut request: Request<RequestBody>,
    upload: Rc<Upload>,
) -> Answer {
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        // hyper's client drops the body of a GET or HEAD whose length it does not know, unless it is told to send chunks.
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let view = Rc::clone(&record.view);
    let Some(route) = view.route(record.route) else {
        return rendered(record, form, &Refusal::not_found());
    };
    let mut unsent = Some(request);
    let worker = Rc::clone(record.worker());
    let sending = send(&mut record, route, &mut unsent, &upload);
    let answered = worker.waits().within(route.timeout, &upload.progress, sending).await;
    let answered = answered.unwrap_or_else(|| {
        worker.journal().upstream("upstream_errors", record.route, "timeout");
        Err(Refusal::gateway_timeout())
    });
    let (response, lease) = match answered.and_then(checked) {
        Ok(answered) => answered,
        Err(refusal) => return rendered(record, form, &refusal),
    };
    record.status = response.status();
    response.map(|body| AnswerBody::relayed(body, lease, route.timeout, record))
}

/// What of an answer goes on.
fn checked(
    (mut response, lease): (Response<Incoming>, Lease),
) -> Result<(Response<Incoming>, Lease), Refusal> {
    // RFC 9110 section 15.2.2: nobody asked for an upgrade.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::bad_gateway("the service behind the gateway changed the protocol unasked"));
    }
    if !is_framed_once(response.headers()) {
        return Err(Refusal::bad_gateway("the service behind the gateway framed its answer in two ways"));
    }
    clean(response.headers_mut());
    *response.extensions_mut() = http::Extensions::new();
    Ok((response, lease))
}

/// RFC 9112 section 6.3: an answer whose end could be read in two ways is an error, and its connection is not used again.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return true };
    codings.next().is_none()
        && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        && !headers.contains_key(CONTENT_LENGTH)
}

/// The token of ours that the upstream gets.
pub(super) fn scoped(record: &Record, route: &Route, remembered: &Remembered) -> Option<HeaderValue> {
    let now = record.now;
    let snapshot = &record.view.snapshot;
    remembered.scoped((record.view.generation(), route.index, now), || {
        let service = route.policy.service.as_ref()?;
        let scoped = remembered.verdict.scoped(service, snapshot.keyring.signing(), now)?;
        Some((scoped.authorization, scoped.renew))
    })
}

/// Sends the request over a kept connection, else over a new one, to the target whose turn it is, else to the next.
async fn send(
    record: &mut Record,
    route: &Route,
    unsent: &mut Option<Request<RequestBody>>,
    upload: &Upload,
) -> Result<(Response<Incoming>, Lease), Refusal> {
    let view = Rc::clone(&record.view);
    let pools = view.pools(route).ok_or_else(|| Refusal::bad_gateway("the upstream has no target"))?;
    let mut timed_out = false;
    for pool in pools.in_turn() {
        record.upstream = Some(Rc::clone(pool));
        let mut kept = pool.idle();
        loop {
            let reused = kept.take();
            let mut lease = match reused {
                Some(lease) => lease,
                // On the heap: it is rare, and would make every request's future large.
                None => match Box::pin(pool.connect()).await {
                    Ok(lease) => {
                        record.worker().journal().upstream("upstream_connections_opened", record.route, "");
                        lease
                    }
                    Err(error) => {
                        tracing::warn!(upstream = %pool.label, %error, "no connection to the upstream");
                        record.worker().journal().upstream("upstream_errors", record.route, "connect");
                        timed_out = matches!(error, ConnectError::TimedOut);
                        break;
                    }
                },
            };
            let Some(request) = unsent.take() else { break };
            match lease.sender().try_send_request(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(mut error) => match error.take_message() {
                    // The upstream had closed the kept connection: nothing was sent.
                    Some(request) if lease.reused => {
                        *unsent = Some(request);
                        kept = pool.idle();
                    }
                    _ => return Err(failed(record, &pool.label, &error.into_error(), upload.fault())),
                },
            }
        }
    }
    Err(if timed_out {
        Refusal::gateway_timeout()
    } else {
        Refusal::bad_gateway("the service behind the gateway cannot be reached")
    })
}

fn failed(record: &Record, label: &str, error: &hyper::Error, fault: BodyFault) -> Refusal {
    match fault {
        BodyFault::TooLarge => {
            let limit = record.view.route(record.route).map_or(0, |route| route.max_body_size);
            return Refusal::too_large(limit);
        }
        BodyFault::Silent => return bad_request("the body did not arrive in time").closing(),
        BodyFault::Broken => return bad_request("the body broke off").closing(),
        BodyFault::None => {}
    }
    tracing::warn!(upstream = %label, error = %DisplayChain(error), "the upstream did not answer");
    record.worker().journal().upstream("upstream_errors", record.route, "answer");
    Refusal::bad_gateway("the service behind the gateway broke off or did not answer in HTTP")
}

/// An error with its causes.
struct DisplayChain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for DisplayChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Takes off what is for this hop only, what would set a cookie of ours, and what would lead clients past the gate.
fn clean(headers: &mut HeaderMap) {
    const OWN_COOKIE: &[u8] = b"__host-hubgate";
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            .collect();
        for name in named {
            if name != CONTENT_LENGTH {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, ALT_SVC] {
        headers.remove(name);
    }
    let ours = |value: &HeaderValue| {
        value
            .as_bytes()
            .trim_ascii_start()
            .get(..OWN_COOKIE.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(OWN_COOKIE))
    };
    if headers.get_all(SET_COOKIE).iter().any(ours) {
        let others: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(|v| !ours(v)).cloned().collect();
        headers.remove(SET_COOKIE);
        for value in others {
            headers.append(SET_COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_lose_what_is_for_this_hop_and_what_is_ours() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("alt-svc", "h3=\":443\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "__Host-hubgate-session=evil"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        clean(&mut headers);
        let mut left: Vec<String> =
            headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["content-type: text/plain", "set-cookie: a=1", "set-cookie: b=2"]);
    }
}
