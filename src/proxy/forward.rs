//! To the upstream and back: the connection, the deadline, what is retried, and what of the answer goes on.
//!
//! Invariant: a request is sent a second time only when not a byte of it was sent the first time.

use std::{future::poll_fn, rc::Rc};

use http::{
    HeaderMap, HeaderValue, Response,
    header::{ALT_SVC, CONTENT_TYPE, SET_COOKIE},
};

use super::{
    Answer,
    exchange::Source,
    http1::{Fault, Outgoing, answer::Head},
    live,
    peer::Remembered,
    record::Record,
    refusal::{Form, Refusal, bad_request},
    relay::{AnswerBody, RequestBody},
    rendered,
    route::Route,
    upstream::{ConnectError, Lease},
    waits::{BodyFault, Kind, Progress, Waited},
    websocket::{self, Handshake, Switched},
};

/// Forwards a permitted request and answers with what comes back, or with 413, 502, 503 or 504.
pub(super) async fn forward(
    mut record: Record,
    form: Form,
    mut request: Outgoing<RequestBody>,
    progress: Rc<Progress>,
    handshake: Option<Box<Handshake>>,
) -> Answer {
    let view = Rc::clone(&record.view);
    let Some(route) = view.route(record.route) else {
        return rendered(record, form, &Refusal::not_found());
    };
    let worker = Rc::clone(record.worker());
    let sending = send(&mut record, route, &mut request, &progress);
    let answered = worker.waits().within(route.timeout, &progress, sending).await;
    let answered = match answered {
        Waited::Answered(answered) => answered,
        Waited::Refused(refusal) => {
            live::ended(&record, &refusal);
            Err(refusal)
        }
        Waited::Over | Waited::Leave => {
            worker.journal().upstream("upstream_errors", record.route, "timeout");
            Err(Refusal::gateway_timeout())
        }
    };
    let (mut head, lease) = match answered {
        Ok(answered) => answered,
        Err(refusal) => {
            record.unanswered(&refusal);
            return rendered(record, form, &refusal);
        }
    };
    clean(&mut head.headers);
    if let Some(handshake) = handshake {
        match handshake.answered(&mut head) {
            Ok(Switched::No) => {}
            Ok(Switched::Yes) => return websocket::opened(head, lease, record, &progress),
            Err(refusal) => {
                worker.journal().upstream("upstream_errors", record.route, "websocket");
                return rendered(record, form, &refusal);
            }
        }
    }
    record.status = head.status;
    let source = Source::new(lease, request, &progress, route.timeout);
    let place = if source.is_whole() { None } else { Some(worker.waits().list(&progress, kind(&head))) };
    let body = AnswerBody::relayed(source, route.timeout, (record, place.map(|place| (place, progress))));
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// Whether an answer has an end of its own.
fn kind(head: &Head) -> Kind {
    const EVENTS: &[u8] = b"text/event-stream";
    let events = |value: &HeaderValue| {
        value.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
    };
    if head.headers.get(CONTENT_TYPE).is_some_and(events) { Kind::Events } else { Kind::Body }
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
    request: &mut Outgoing<RequestBody>,
    progress: &Progress,
) -> Result<(Head, Lease), Refusal> {
    let view = Rc::clone(&record.view);
    let pools = view.pools(route).ok_or_else(|| Refusal::bad_gateway("the upstream has no target"))?;
    let mut timed_out = false;
    for pool in pools.in_turn() {
        record.upstream = Some(Rc::clone(pool));
        loop {
            let mut lease = match pool.idle() {
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
            match poll_fn(|cx| lease.connection().poll_answer(request, cx)).await {
                Ok(head) => return Ok((head, lease)),
                Err(fault @ Fault::RequestBody) => {
                    return Err(failed(record, &pool.label, &fault, progress.fault()));
                }
                // The upstream had closed the kept connection: nothing was sent.
                Err(_) if lease.reused && request.is_untouched() => {}
                Err(fault) => return Err(failed(record, &pool.label, &fault, progress.fault())),
            }
        }
    }
    Err(if timed_out {
        Refusal::gateway_timeout()
    } else {
        Refusal::bad_gateway("the service behind the gateway cannot be reached")
    })
}

fn failed(record: &Record, label: &str, fault: &Fault, body: BodyFault) -> Refusal {
    match body {
        BodyFault::TooLarge => {
            let limit = record.view.route(record.route).map_or(0, |route| route.max_body_size);
            return Refusal::too_large(limit);
        }
        BodyFault::Silent => return bad_request("the body did not arrive in time").closing(),
        BodyFault::Broken => return bad_request("the body broke off").closing(),
        BodyFault::None => {}
    }
    if matches!(fault, Fault::RequestBody) {
        return bad_request("the body is not as long as its head says").closing();
    }
    tracing::warn!(upstream = %label, error = %fault, "the upstream did not answer");
    record.worker().journal().upstream("upstream_errors", record.route, "answer");
    Refusal::bad_gateway("the service behind the gateway broke off or did not answer in HTTP")
}

/// Takes off what would set a cookie of ours, and what would lead clients past the gate.
fn clean(headers: &mut HeaderMap) {
    const OWN_COOKIE: &[u8] = b"__host-hubgate";
    headers.remove(ALT_SVC);
    let ours = |value: &HeaderValue| {
        // A cookie without a name is sent back as its value alone, which then reads as name and value.
        let bytes = value.as_bytes();
        let before = bytes.iter().take_while(|b| b.is_ascii_whitespace() || **b == b'=').count();
        let name = bytes.get(before..).and_then(|rest| rest.get(..OWN_COOKIE.len()));
        name.is_some_and(|n| n.eq_ignore_ascii_case(OWN_COOKIE))
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
    fn answers_lose_what_is_ours() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("alt-svc", "h3=\":443\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "__Host-hubgate-session=evil"),
            ("set-cookie", "=__Host-hubgate=evil"),
            ("set-cookie", " = \t__HOST-hubgate=evil; Path=/"),
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
