//! Requests of browsers to addresses that a session opens.
//!
//! Invariants: the cookie is judged here and goes no further; what changes something, or opens a WebSocket, counts only when it
//! comes from a page of ours; only a navigation is led to the login page.
//!
//! RFC 6265bis section 5.6.7; Fetch Metadata; RFC 9110 section 9.2.1.

use std::{rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{
    origin,
    peer::{Peer, Remembered},
    record::Record,
    refusal::{Form, Refusal},
    route::Route,
    sanitize::Sanitized,
    session_cookie,
};
use crate::{
    access::verdict::Verdict,
    base::{id::ServiceId, secret::Secret, time::Timestamp},
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
    },
    model::session::Session,
};

/// The longest address that somebody is led back to, in bytes.
const LONGEST_BACK: usize = 4096;

/// What is known of a browser's session.
pub(super) enum Found {
    /// Nothing yet.
    Unasked,
    /// What the control plane has said.
    Asked(Option<Arc<Verdict>>),
}

/// What a request without a token comes to.
pub(super) enum Entry {
    /// It has a session.
    Session(Rc<Remembered>),
    /// It has a cookie whose session has to be asked for.
    Ask(Asked),
}

/// A cookie whose session has to be asked for.
pub(super) struct Asked {
    /// Its value.
    pub(super) cookie: Secret,
    digest: TokenDigest,
}

/// Judges a request without a token.
///
/// # Errors
/// The way to the login page, 401, or 403.
pub(super) fn entry(
    (record, peer): (&Record, &Peer),
    route: &Route,
    sanitized: &Sanitized,
    form: Form,
    found: Found,
) -> Result<Entry, Refusal> {
    let nobody = || Err(without(record, sanitized, form));
    let Some(cookie) = session_cookie::read(sanitized.own_cookies.iter()) else { return nobody() };
    let Some(digest) = opaque::digest(Kind::Session, cookie.expose()) else { return nobody() };
    let verdict = match found {
        Found::Asked(verdict) => verdict,
        Found::Unasked => {
            let gate = record.worker().gate();
            let judge = gate.judge(&record.view.snapshot, record.now);
            match gate.sessions.recall(&digest, &gate.verdicts, judge) {
                None => return Ok(Entry::Ask(Asked { cookie, digest })),
                Some(verdict) => verdict,
            }
        }
    };
    let Some(verdict) = verdict else { return nobody() };
    let changes = !matches!(sanitized.parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if (changes || sanitized.websocket.is_some())
        && !origin::may_post(&sanitized.parts.headers, &record.view.snapshot.origin)
    {
        return Err(Refusal::cross_site());
    }
    // A service that nobody has registered is refused by the policy.
    let service = route.policy.service.clone().unwrap_or_else(ServiceId::hub);
    Ok(Entry::Session(peer.session(&digest, verdict, &service)))
}

impl Asked {
    /// Enters what the control plane has found. A cookie of no session counts against its source.
    pub(super) fn enter(
        &self,
        record: &Record,
        session: Option<&(Session, Timestamp)>,
    ) -> Option<Arc<Verdict>> {
        let gate = record.worker().gate();
        // The look-up may have taken a while.
        let judge = gate.judge(&record.view.snapshot, gate.clock.now());
        let verdict = session.and_then(|(session, ends)| {
            gate.sessions.enter(self.digest, (session, *ends), (&gate.verdicts, judge), gate.random.as_ref())
        });
        if verdict.is_none() {
            gate.sessions.enter_none(self.digest, judge.now);
            record.view.snapshot.quota.refused(record.source());
        }
        verdict
    }
}

/// What somebody without a session gets.
fn without(record: &Record, sanitized: &Sanitized, form: Form) -> Refusal {
    if !navigates(&sanitized.parts.method, &sanitized.parts.headers, form) || sanitized.websocket.is_some() {
        return Refusal::session_needed();
    }
    let mut location = format!("{}/auth/login", record.view.snapshot.desk.hub_url);
    // Browsers send a backslash of a query as it is. The way back has none, as at its beginning it would name another host.
    let target = sanitized.target.as_str().replace('\\', "%5C");
    if target.len() <= LONGEST_BACK {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("back", &target).finish();
        location.push('?');
        location.push_str(&query);
    }
    Refusal::login(location)
}

/// What is answered where there is no route. Whoever types the name of the host alone is led to the pages of the gateway.
pub(super) fn nowhere(record: &Record, sanitized: &Sanitized, form: Form) -> Refusal {
    if sanitized.path() != "/" || !navigates(&sanitized.parts.method, &sanitized.parts.headers, form) {
        return Refusal::not_found();
    }
    let snapshot = &record.view.snapshot;
    // With an empty `hub.path` the root of the gateway's pages is this very address.
    let page = if snapshot.hub_path.is_empty() { "/account" } else { "/" };
    let Refusal { code, cause, description, .. } = Refusal::not_found();
    let mut refusal = Refusal::login(format!("{}{page}", snapshot.desk.hub_url));
    refusal.status = StatusCode::SEE_OTHER;
    (refusal.code, refusal.cause, refusal.description) = (code, cause, description);
    refusal
}

/// Whether a person is on the way to a page: not a script, an image or a frame. Browsers that say nothing of it are taken at
/// what they accept.
fn navigates(method: &Method, headers: &HeaderMap, form: Form) -> bool {
    const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
    let says =
        |name: HeaderName, word: &[u8]| headers.get_all(name).iter().all(|value| value.as_bytes() == word);
    matches!(*method, Method::GET | Method::HEAD)
        && matches!(form, Form::Page(_))
        && says(MODE, b"navigate")
        && says(DEST, b"document")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::texts::Language;

    const PAGE: Form = Form::Page(Language::En);

    #[test]
    fn only_top_level_navigations_navigate() {
        let asked = |method: Method, form, fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            navigates(&method, &headers, form)
        };
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(asked(Method::GET, PAGE, &navigation));
        assert!(asked(Method::HEAD, PAGE, &[]));
        for (method, form, fields) in [
            (Method::POST, PAGE, &navigation[..]),
            (Method::GET, Form::Json, &navigation),
            (Method::GET, Form::Problem, &navigation),
            (Method::GET, PAGE, &[("sec-fetch-mode", "cors")]),
            (Method::GET, PAGE, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]),
            (Method::GET, PAGE, &[("sec-fetch-dest", "image")]),
        ] {
            assert!(!asked(method.clone(), form, fields), "{method} {fields:?}");
        }
    }
}
