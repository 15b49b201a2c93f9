//! To the upstream and back: the connection, the deadline, what is retried, and what of the answer goes on.
//!
//! Invariant: a request is sent a second time only when not a byte of it was sent the first time; or when the upstream says that it has
//! done nothing with it (RFC 9113 section 8.7); or once, when the upstream closed a kept connection before it began to answer, the
//! method is safe and there is no body (RFC 9110 section 9.2.2).

use std::{
    cell::Cell,
    future::poll_fn,
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Response, header::CONTENT_TYPE};

use super::{
    Answer,
    course::Course,
    dress::{clean, dress},
    exchange::Source,
    http1::{Fault, Outgoing, answer::Head},
    live,
    peer::Remembered,
    record::Record,
    refusal::{Form, Refusal, bad_request},
    relay::{AnswerBody, RequestBody, UploadBounds},
    rendered,
    route::Route,
    upstream::{ConnectError, Lease, TargetPool, Tried, balance::hash, state::Cause},
    waits::{BodyFault, Kind, Progress, Waited},
    websocket::{self, Handshake, Switched},
};
use crate::{access::policy::Permit, model::delivery::Balance, observe::files};

/// How long a client should wait before it tries an upstream again that has too much to do.
const BUSY: Duration = Duration::from_secs(1);

/// How often a request is sent again that upstreams say they have not begun with.
const MOST_REFUSALS: usize = 2;

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
    let delivery = &route.cluster.delivery;
    let deadline = delivery.total_timeout.map(|total| record.started() + total);
    let limits = (delivery.first_byte_timeout, deadline);
    let sending = send(&mut record, route, &mut request, &progress);
    let answered = match worker.waits().within(limits, &progress, sending).await {
        Waited::Answered(answered) => answered,
        Waited::Refused(refusal) => {
            live::ended(&record, &refusal);
            Err(refusal)
        }
        Waited::Over | Waited::Leave => {
            worker.journal().upstream("upstream_errors", record.route, "timeout");
            // It may be the client that took its time.
            if let Some(pool) = record.upstream.as_ref().filter(|_| !progress.is_uploading()) {
                pool.failed(Cause::Timeout, &"no answer in time");
            }
            Err(Refusal::gateway_timeout())
        }
    };
    let (mut head, lease) = match answered {
        Ok(answered) => answered,
        Err(refusal) => {
            if progress.late().is_some() {
                live::ended(&record, &refusal);
            }
            record.unanswered(&refusal);
            return rendered(record, form, &refusal);
        }
    };
    let well = lease.answered(head.status);
    clean(&mut head.headers);
    dress(&mut head.headers, route);
    record.tell_rates(&mut head.headers);
    if let Some(handshake) = handshake {
        match handshake.answered(&mut head) {
            Ok(Switched::No) => {}
            Ok(Switched::Yes) => {
                record.succeeded();
                if let Some(socket) = lease.into_socket() {
                    record.course(Course::endless);
                    return websocket::opened(head, socket, record, &progress);
                }
                let refusal = Refusal::bad_gateway("the service behind the gateway cannot be switched");
                return rendered(record, form, &refusal);
            }
            Err(refusal) => {
                worker.journal().upstream("upstream_errors", record.route, "websocket");
                return rendered(record, form, &refusal);
            }
        }
    }
    record.status = Some(head.status);
    let kind = kind(&head);
    let bounds = || UploadBounds::new((worker.waits(), kind), &progress, (delivery.idle_timeout, deadline));
    let source = Source::new(lease, request, bounds);
    // What has no end is good as soon as it has begun.
    if well && kind == Kind::Events {
        record.succeeded();
    }
    if kind == Kind::Events {
        record.discount();
        record.course(Course::endless);
    }
    let place = if source.is_whole() { None } else { Some(worker.waits().list(&progress, kind)) };
    let place = place.map(|place| (place, progress));
    let body = AnswerBody::relayed((source, well), (delivery.idle_timeout, deadline), (record, place));
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

/// Who asks, for an upstream where the same is to meet the same target again: the user, else the source.
pub(super) fn affinity(record: &Record, route: &Route, permit: &Permit) -> u64 {
    if route.cluster.delivery.balance != Balance::ConsistentHash {
        return 0;
    }
    let person = permit.identity().map(|verdict| &verdict.claims).filter(|claims| !claims.is_service());
    match (person, record.source()) {
        (Some(claims), _) => hash(claims.sub.as_bytes()),
        (None, IpAddr::V4(ip)) => hash(&ip.octets()),
        (None, IpAddr::V6(ip)) => hash(&ip.octets()),
    }
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
    let switches = request.switches();
    if switches && !pools.cluster.can_switch() {
        return Err(Refusal::bad_gateway(
            "the service behind the gateway speaks HTTP/2 alone, without WebSocket",
        ));
    }
    pools.budget.request();
    record.course(Course::turn);
    let mut failure = None;
    let mut repeated = false;
    let mut refused = 0;
    let mut tried = Tried::default();
    while let Some(pool) = pools.choose(record.affinity, &mut tried) {
        record.upstream = Some(Rc::clone(pool));
        if failure.is_some() {
            pools.cluster.note_retry();
        }
        loop {
            record.noted.attempts(pool);
            let idle = if repeated { None } else { pool.idle(switches) };
            let mut lease = match idle {
                Some(lease) => lease,
                None => match connect(record, pool, switches).await {
                    Ok(lease) => {
                        // It may have waited for one, and got it.
                        if !lease.reused {
                            record.worker().journal().upstream(
                                "upstream_connections_opened",
                                record.route,
                                "",
                            );
                        }
                        lease
                    }
                    Err(error) => {
                        not_connected(record, pool, &error);
                        failure = Some(error);
                        break;
                    }
                },
            };
            pool.count();
            record.course(Course::asked);
            match answer(record, route, &mut lease, request).await {
                Ok(head) => {
                    record.course(Course::answered);
                    record.noted.answered(head.status);
                    return Ok((head, lease));
                }
                Err(fault @ Fault::RequestBody) => {
                    return Err(progress
                        .late()
                        .unwrap_or_else(|| failed(record, pool, &fault, progress.fault())));
                }
                // As one does that closes a connection for good, or has too much to do on it.
                Err(Fault::Refused) if refused < MOST_REFUSALS && pools.budget.retry() => {
                    refused += 1;
                    repeated = true;
                    pools.cluster.note_retry();
                }
                // The upstream had closed the kept connection: nothing was sent.
                Err(Fault::Ended | Fault::Io(_)) if lease.reused && request.is_untouched() => {}
                // It closed the kept connection while the request was on its way, as servers do with idle ones.
                Err(Fault::Ended | Fault::Io(_))
                    if lease.reused
                        && !repeated
                        && lease.is_unanswered()
                        && request.is_repeatable()
                        && pools.budget.retry() =>
                {
                    request.rewind();
                    repeated = true;
                    pools.cluster.note_retry();
                }
                Err(fault) => {
                    return Err(progress
                        .late()
                        .unwrap_or_else(|| failed(record, pool, &fault, progress.fault())));
                }
            }
        }
    }
    Err(match failure {
        None => Refusal::unavailable(
            "nothing of the service behind the gateway works at the moment",
            pools.cluster.back_in(Instant::now()),
        ),
        Some(ConnectError::Full | ConnectError::Waited) => {
            Refusal::unavailable("the service behind the gateway has too much to do", BUSY)
        }
        Some(ConnectError::TimedOut) => Refusal::gateway_timeout(),
        Some(ConnectError::Failed(_)) => {
            Refusal::bad_gateway("the service behind the gateway cannot be reached")
        }
    })
}

/// Reads the head of an answer. What the upstream says before it goes on at once, as the answer itself would.
async fn answer(
    record: &Record,
    route: &Route,
    lease: &mut Lease,
    request: &mut Outgoing<RequestBody>,
) -> Result<Head, Fault> {
    loop {
        let mut head = poll_fn(|cx| lease.poll_answer(request, cx)).await?;
        if !head.is_interim() {
            return Ok(head);
        }
        clean(&mut head.headers);
        dress(&mut head.headers, route);
        record.interim.send(head.status, &head.headers);
    }
}

/// Opens a connection, or waits for one.
async fn connect(record: &mut Record, pool: &Rc<TargetPool>, switches: bool) -> Result<Lease, ConnectError> {
    let (since, opening) = (Instant::now(), Cell::new(None));
    // On the heap: it is rare, and would make every request's future large.
    let connected = Box::pin(pool.connect(switches, &opening)).await;
    record.course(|course| course.connected(since, opening.get()));
    connected
}

/// There was no connection to a target.
fn not_connected(record: &Record, pool: &TargetPool, error: &ConnectError) {
    record.noted.failed(match error {
        ConnectError::Full | ConnectError::Waited => "queue",
        ConnectError::TimedOut => "connect_timeout",
        ConnectError::Failed(_) => "connect",
    });
    if matches!(error, ConnectError::Full | ConnectError::Waited) {
        record.worker().journal().shed("upstream_queue");
        pool.node.state.note(Cause::Queue, error, Instant::now());
        return;
    }
    record.worker().journal().upstream("upstream_errors", record.route, "connect");
    // The process has no file left: that is no fault of the target's.
    let is_out = matches!(error, ConnectError::Failed(error) if files::are_out(error));
    if !is_out || files::are_to_be_told() {
        tracing::warn!(upstream = %pool.node.label, %error, "no connection to the upstream");
    }
    if !is_out {
        pool.failed(Cause::Connect, error);
    }
}

fn failed(record: &Record, pool: &TargetPool, fault: &Fault, body: BodyFault) -> Refusal {
    let of_body = body != BodyFault::None || matches!(fault, Fault::RequestBody);
    record.noted.failed(if of_body { "request_body" } else { "answer" });
    match body {
        BodyFault::TooLarge => {
            let limit = record.view.route(record.route).map_or(0, |route| route.max_body_size);
            return Refusal::too_large(limit);
        }
        BodyFault::Broken => return bad_request("the body broke off").closing(),
        BodyFault::Silent | BodyFault::Slow | BodyFault::None => {}
    }
    if matches!(fault, Fault::RequestBody) {
        return bad_request("the body is not as long as its head says").closing();
    }
    tracing::warn!(upstream = %pool.node.label, error = %fault, "the upstream did not answer");
    pool.failed(Cause::Answer, fault);
    record.worker().journal().upstream("upstream_errors", record.route, "answer");
    Refusal::bad_gateway("the service behind the gateway broke off or did not answer in HTTP")
}
