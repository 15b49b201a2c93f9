//! The data plane: a request's way from a client to an upstream and back.
//!
//! Invariant: [`serve`] is the only way through, its steps stand in one order, and nothing reaches an upstream without
//! a [`sanitize::Sanitized`] head and a [`crate::access::policy::Permit`].
//!
//! RFC 9110 section 7.6, RFC 9112, RFC 9113, RFC 6750.

mod browser;
pub mod course;
mod credential;
mod dress;
mod exchange;
pub mod explain;
mod forward;
pub mod gate;
mod host;
pub mod http1;
mod http2;
pub mod identity;
pub mod inherited;
mod live;
pub mod origin;
mod outbound;
mod own;
pub mod path;
pub mod peer;
pub mod rates;
mod recall;
pub mod record;
pub mod refusal;
pub mod relay;
pub mod route;
pub mod sanitize;
pub mod session_cookie;
mod shadow;
pub mod shell;
pub mod trace;
mod transport;
pub mod upstream;
pub mod waits;
pub mod websocket;
pub mod worker;

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderValue, Request, Response,
    header::{AUTHORIZATION, LOCATION, USER_AGENT, VARY},
    uri::PathAndQuery,
};
use hyper::body::{Body as _, Incoming};

use self::{
    browser::{Asked, Entry, Found},
    credential::{known, known_password, repeated},
    peer::{Peer, Remembered},
    record::Record,
    refusal::{Form, RETRY, Refusal},
    relay::{AnswerBody, RequestBody},
    route::Route,
    sanitize::Sanitized,
    shadow::judge,
    waits::Progress,
    worker::Worker,
};
use crate::{
    access::{
        policy::{Permit, Requirement},
        quota::Wait,
        scheme::bearer::{self, Bearer},
        verdict::Verdict,
    },
    base::{body::Spoiled, interim::Interim},
    model::upstream::Redirect,
    observe::journal::{Decision, NO_ROUTE, OWN_ROUTE, RouteNumber},
};

/// The largest body that one of our own endpoints reads, in bytes.
const MAX_OWN_BODY: usize = 64 * 1024;

/// What a request is answered with.
pub type Answer = Response<AnswerBody>;

/// An answer that is there, or on its way.
///
/// Small on purpose: the server moves it about for each request. What is judged is judged at once, without waiting;
/// only what has to wait is kept on the heap.
pub enum Answering {
    /// There.
    Ready(Option<Box<Answer>>),
    /// On its way.
    Waiting(Pin<Box<dyn Future<Output = Answer>>>),
}

impl Future for Answering {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.get_mut() {
            Self::Ready(answer) => answer.take().map_or(Poll::Pending, |answer| Poll::Ready(*answer)),
            Self::Waiting(waiting) => waiting.as_mut().poll(cx),
        }
    }
}

/// Answers one request of a client connection; `interim` leads to its client until then.
#[must_use]
pub fn serve(
    worker: &Rc<Worker>,
    peer: &Rc<Peer>,
    request: Request<Incoming>,
    interim: Interim,
) -> Answering {
    let (mut parts, body) = request.into_parts();
    let spoiled = parts.extensions.remove::<Spoiled>();
    let form = Form::wanted(&parts.headers);
    let extended = websocket::extended(&mut parts);
    let facts = (parts.method.clone(), parts.uri.path_and_query().cloned(), parts.version);
    let mut record = Record::new(Rc::clone(worker), worker.view(), peer, facts);
    record.interim = interim;
    let view = Rc::clone(&record.view);
    let snapshot = &view.snapshot;
    // 1 one reading of the request, or none
    let extended = match extended {
        Ok(extended) => extended,
        Err(refusal) => return refuse_unread(record, form, peer, refusal),
    };
    let splits = |path: &str| worker.own().splits(&snapshot.hub_path, path);
    let target = match sanitize::target_where(&parts.method, &parts.uri, splits) {
        Ok(target) => target,
        Err(refusal) => return refuse_unread(record, form, peer, refusal),
    };
    record.set_target(target.clone());
    if let Some(refusal) = record.shed() {
        return answer_with(record, form, &refusal);
    }
    let mut sanitized = match sanitize::sanitize(parts, target, peer.may_speak(snapshot)) {
        Ok(sanitized) => sanitized,
        Err(refusal) => return refuse_unread(record, form, peer, refusal),
    };
    if extended && let Err(refusal) = sanitized.extend(worker.gate().random.bytes()) {
        return refuse_unread(record, form, peer, refusal);
    }
    inherited::take_over(&mut record, &sanitized);
    // 2 how often this source asks
    if let Err(refusal) = rates::source(&record) {
        return refuse_at(record, form, (&refusal, None), &sanitized);
    }
    // 3 one of our own endpoints?
    if worker.own().owns(&snapshot.hub_path, sanitized.path()) {
        if sanitized.websocket.is_some() {
            record.route = OWN_ROUTE;
            return refuse(record, form, &refusal::bad_request("the gateway itself speaks no WebSocket"));
        }
        if body.size_hint().lower() > MAX_OWN_BODY as u64 {
            record.route = OWN_ROUTE;
            let refusal = Refusal::too_large(MAX_OWN_BODY as u64);
            return refuse_at(record, form, (&refusal, None), &sanitized);
        }
        return Answering::Waiting(Box::pin(own::endpoint(record, form, sanitized, (body, spoiled))));
    }
    // 4 which route
    let Some(route) = snapshot.routes.find(sanitized.host(), sanitized.path()) else {
        let refusal = browser::nowhere(&record, &sanitized, form);
        return refuse_at(record, form, (&refusal, None), &sanitized);
    };
    record.route = RouteNumber::try_from(route.index).unwrap_or(NO_ROUTE);
    if let Err(refusal) = rates::source_at(&record, route) {
        return refuse_at(record, form, (&refusal, None), &sanitized);
    }
    if body.size_hint().lower() > route.max_body_size {
        return refuse_at(record, form, (&Refusal::too_large(route.max_body_size), None), &sanitized);
    }
    // 5 may it pass?
    let arrived = (record, form, sanitized, (body, spoiled));
    match judge((&arrived.0, peer), route, &arrived.2, form, Found::Unasked) {
        Ok(Judged::Permitted(permit, remembered)) => pass(arrived, peer, (permit, remembered)),
        Ok(Judged::Ask(cookie)) => {
            Answering::Waiting(Box::pin(after_asking(arrived, Rc::clone(peer), cookie)))
        }
        Err((refusal, verdict)) => refuse_at(arrived.0, form, (&refusal, verdict.as_deref()), &arrived.2),
    }
}

/// A request on its way, with the body that is still to be read.
type Arrived = (Record, Form, Sanitized, (Incoming, Option<Spoiled>));

/// The same for a session that the control plane has to be asked for.
async fn after_asking(arrived: Arrived, peer: Rc<Peer>, asked: Asked) -> Answer {
    let (record, form, sanitized, _) = &arrived;
    let form = *form;
    if let Err(Wait(wait)) = record.view.snapshot.quota.credentials(record.source()) {
        let refusal = Refusal::too_many("this source sends too many refused credentials", wait);
        return refuse(arrived.0, form, &refusal).await;
    }
    let found = record.worker().own().session(asked.cookie.clone(), record.source()).await;
    let view = Rc::clone(&record.view);
    let judged = match (view.route(record.route), found) {
        (Some(route), Ok(session)) => {
            let verdict = asked.enter(record, session.as_ref());
            judge((record, &peer), route, sanitized, form, Found::Asked(verdict))
        }
        (None, _) => Err((Refusal::not_found(), None)),
        (_, Err(_)) => Err((Refusal::unavailable("sessions cannot be looked up now", RETRY), None)),
    };
    match judged {
        Ok(Judged::Permitted(permit, remembered)) => pass(arrived, &peer, (permit, remembered)).await,
        Ok(Judged::Ask(_)) => {
            refuse_at(arrived.0, form, (&Refusal::session_needed(), None), &arrived.2).await
        }
        Err((refusal, verdict)) => {
            refuse_at(arrived.0, form, (&refusal, verdict.as_deref()), &arrived.2).await
        }
    }
}

/// What was permitted goes on.
fn pass(
    (mut record, form, mut sanitized, (body, spoiled)): Arrived,
    peer: &Rc<Peer>,
    (permit, remembered): (Permit, Option<Rc<Remembered>>),
) -> Answering {
    let (worker, view) = (Rc::clone(record.worker()), Rc::clone(&record.view));
    let Some(route) = view.route(record.route) else { return refuse(record, form, &Refusal::not_found()) };
    if let Some(redirect) = &route.redirect {
        return redirected(record, route, redirect, &sanitized.target);
    }
    record.affinity = forward::affinity(&record, route, &permit);
    // 6 the request as the upstream gets it
    let progress = Rc::new(Progress::begin(record.started()));
    let limits = (route.max_body_size, route.pace(&sanitized.parts.headers, worker.body_timeout()));
    let body = RequestBody::new(body, limits, Rc::clone(&progress), spoiled);
    let scoped = || forward::scoped(&record, route, remembered.as_deref()?);
    let identity = (&permit, remembered.as_deref());
    let handshake = sanitized.websocket.take();
    let asked = (route, &**peer, &record, handshake.as_deref());
    let own_word = shadow::passes_on(&record, route, &permit, &sanitized);
    let Some(request) = outbound::outbound((sanitized, own_word), identity, asked, scoped, body) else {
        let refusal = Refusal::unavailable("the upstream's token could not be made", RETRY);
        record.unanswered(&refusal);
        return answer_with(record, form, &refusal);
    };
    if permit.identity().is_some() || permit.is_unenforced() {
        progress.hold(record.held(permit));
    }
    // 7 to the upstream and back
    Answering::Waiting(Box::pin(forward::forward(record, form, request, progress, handshake)))
}

/// A refusal, and the verdict on a token that was good and may not pass.
type Denied = (Refusal, Option<Arc<Verdict>>);

/// Decides on a request for a route by its rules, and writes the decision line when it may pass.
fn decide(
    (record, peer): (&Record, &Peer),
    route: &Route,
    sanitized: &Sanitized,
    form: Form,
    found: Found,
) -> Result<Judged, Denied> {
    let requirement = route.policy.requirement(&sanitized.parts.method, sanitized.path());
    let counts = route.policy.enforce && !matches!(requirement, Requirement::Public);
    let mut values = sanitized.parts.headers.get_all(AUTHORIZATION).iter();
    let repeated = match (values.next(), values.next()) {
        (Some(value), None) => repeated(record, peer, value),
        _ => None,
    };
    let remembered = if repeated.is_some() {
        repeated.map(Ok)
    } else {
        let values = sanitized.parts.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        match bearer::read(values) {
            Bearer::Malformed(why) => return Err((Refusal::malformed_credential(why), None)),
            Bearer::Absent => None,
            Bearer::Token(token) => Some(known(record, peer, token, counts)),
            Bearer::Password(basic) => {
                let agent = sanitized.parts.headers.get(USER_AGENT);
                Some(known_password(record, &basic, agent, counts))
            }
        }
    };
    let remembered = match (requirement, remembered) {
        (Requirement::Browser(_), None) => {
            match browser::entry((record, peer), route, sanitized, form, found)
                .map_err(|refusal| (refusal, None))?
            {
                Entry::Session(session) => Some(Ok(session)),
                Entry::Ask(cookie) => return Ok(Judged::Ask(cookie)),
            }
        }
        (_, remembered) => remembered,
    };
    let (permit, decision) = match (requirement, &remembered) {
        (Requirement::Public, _) => {
            let verdict = remembered.as_ref().and_then(|r| r.as_ref().ok());
            (route.policy.admit_anyone(verdict.map(|r| Arc::clone(&r.verdict))), "public")
        }
        (_, None) => return Err((Refusal::token_needed(), None)),
        (_, Some(Err(refusal))) => return Err((refusal.clone(), None)),
        (_, Some(Ok(remembered))) => {
            let denied = |denial| (Refusal::denied(denial), Some(Arc::clone(&remembered.verdict)));
            let verdict = Arc::clone(&remembered.verdict);
            (route.policy.admit(requirement, verdict).map_err(denied)?, "allowed")
        }
    };
    rates::identity(record, route, &permit)?;
    let claims = permit.identity().map(|verdict| &verdict.claims);
    let line = Decision {
        id: record.id.as_bytes(),
        trace: record.trace_id(),
        route: &route.label,
        decision,
        client: claims.map_or("", |c| c.client_id.as_str()),
        subject: claims.filter(|c| !c.is_service()).map_or("", |c| &c.sub),
        jti: claims.map_or("", |c| &c.jti),
        ..Decision::default()
    };
    record.decide(record.now, line);
    let remembered = remembered.and_then(Result::ok).filter(|_| permit.identity().is_some());
    Ok(Judged::Permitted(permit, remembered))
}

/// What a request for a route comes to.
enum Judged {
    /// It may pass.
    Permitted(Permit, Option<Rc<Remembered>>),
    /// That depends on a session that has to be asked for.
    Ask(Asked),
}

/// Sends a client that may ask to another address.
fn redirected(mut record: Record, route: &Route, redirect: &Redirect, target: &PathAndQuery) -> Answering {
    let mut response = Response::new(bytes::Bytes::new());
    let (status, location) = outbound::redirected(redirect, route, target);
    *response.status_mut() = status;
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    dress::dress(response.headers_mut(), route);
    record.tell_rates(response.headers_mut());
    record.status = Some(response.status());
    Answering::Ready(Some(Box::new(response.map(|body| AnswerBody::own(body, record)))))
}

/// Refuses: the decision line, then the answer.
fn refuse(record: Record, form: Form, refusal: &Refusal) -> Answering {
    record.refused((refusal, None), None);
    answer_with(record, form, refusal)
}

/// The same where the request was not understood. It counts for its source all the same.
fn refuse_unread(record: Record, form: Form, peer: &Peer, refusal: Refusal) -> Answering {
    let refusal = rates::source_unread(&record, peer, refusal);
    refuse(record, form, &refusal)
}

/// The same where the request was understood; `verdict` on a token that was good.
fn refuse_at(
    record: Record,
    form: Form,
    refused: (&Refusal, Option<&Verdict>),
    sanitized: &Sanitized,
) -> Answering {
    record.refused(refused, Some(sanitized));
    let reader = origin::registered(&sanitized.parts.headers, &record.view.snapshot.registry).cloned();
    let (view, destined) = (Rc::clone(&record.view), dress::destined(&record, sanitized));
    let mut answer = rendered(record, form, refused.0);
    if let Some(route) = destined.and_then(|number| view.route(number)) {
        dress::dress_refusal(answer.headers_mut(), route);
    }
    if let Some(reader) = reader {
        // A page that calls a service has to learn that its token is over; what the service answers is the service's to share.
        answer.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        origin::let_read(answer.headers_mut(), reader);
    }
    Answering::Ready(Some(Box::new(answer)))
}

/// The answer that a refusal is.
fn answer_with(record: Record, form: Form, refusal: &Refusal) -> Answering {
    Answering::Ready(Some(Box::new(rendered(record, form, refusal))))
}

/// A refusal as an answer.
fn rendered(mut record: Record, form: Form, refusal: &Refusal) -> Answer {
    let mut response = refusal.render(&record.view.snapshot.desk, form, record.id.as_str());
    record.tell_rates(response.headers_mut());
    if let Some(route) = record.view.route(record.route) {
        dress::dress_refusal(response.headers_mut(), route);
    }
    record.status = Some(response.status());
    response.map(|body| AnswerBody::own(body, record))
}
