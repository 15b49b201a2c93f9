//! What is known of one client connection: who is at its other end, and the last token that it sent.
//!
//! Invariant: used by one thread alone; what is remembered is only ever compared with, never taken instead of, what a
//! request sends.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

use http::HeaderValue;

use super::{gate::Snapshot, identity};
use crate::{
    access::verdict::Verdict,
    base::{id::ServiceId, time::Timestamp},
    crypto::digest::TokenDigest,
};

/// One client connection.
pub struct Peer {
    ip: IpAddr,
    known: bool,
    /// The address as text.
    pub text: Rc<str>,
    /// `X-Forwarded-For` of a request that comes without one.
    pub forwarded_for: HeaderValue,
    /// `Forwarded` for the last host that was asked for.
    forwarded: RefCell<Option<(HeaderValue, HeaderValue)>>,
    /// The last token and what is known of it. A connection mostly repeats it.
    last_token: RefCell<Option<LastToken>>,
    /// The last session, and the service for which it was used.
    last_session: RefCell<Option<(TokenDigest, ServiceId, Rc<Remembered>)>>,
}

/// A token as it was sent, and what is known of it.
type LastToken = (Box<[u8]>, Rc<Remembered>);

/// What is known of a token that this connection has sent before.
pub struct Remembered {
    /// The verdict on it.
    pub verdict: Arc<Verdict>,
    /// `X-Forwarded-Client`, a copy of this connection alone, so that no other thread counts its references.
    pub client: HeaderValue,
    /// `X-Forwarded-Scope`
    pub scope: HeaderValue,
    /// What is told about the person; nothing where a service acts for itself.
    pub person: Box<[(&'static str, HeaderValue)]>,
    scoped: RefCell<Option<(u64, usize, HeaderValue, Timestamp)>>,
}

impl Remembered {
    /// What is known of a token.
    #[must_use]
    pub fn new(verdict: Arc<Verdict>) -> Rc<Self> {
        let scope = verdict.claims.scope.clone();
        Self::at(verdict, &scope)
    }

    /// The same with this scope in place of the token's own.
    fn at(verdict: Arc<Verdict>, scope: &str) -> Rc<Self> {
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        let client = value(verdict.claims.client_id.as_str());
        let scope = value(scope);
        let person = verdict.person.as_deref().map(identity::fields).unwrap_or_default();
        Rc::new(Self { verdict, client, scope, person, scoped: RefCell::new(None) })
    }

    /// The `Authorization` for a route, made once for this connection: by `make`, with the moment to renew it.
    pub fn scoped(
        &self,
        (generation, route, now): (u64, usize, Timestamp),
        make: impl FnOnce() -> Option<(HeaderValue, Timestamp)>,
    ) -> Option<HeaderValue> {
        if let Some((known_generation, known_route, value, renew)) = &*self.scoped.borrow()
            && (*known_generation, *known_route) == (generation, route)
            && now < *renew
        {
            return Some(value.clone());
        }
        let (value, renew) = make()?;
        let mut own = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        own.set_sensitive(true);
        *self.scoped.borrow_mut() = Some((generation, route, own.clone(), renew));
        Some(own)
    }
}

impl Peer {
    /// A connection from this address. `known`: whether what it sends is known to be of whoever has the address.
    #[must_use]
    pub fn new(address: SocketAddr, known: bool) -> Self {
        // An IPv4 client of a dual-stack socket is an IPv4 client.
        let ip = address.ip().to_canonical();
        let text = ip.to_string();
        let forwarded_for = HeaderValue::from_str(&text);
        Self {
            ip,
            known,
            text: Rc::from(text),
            forwarded_for: forwarded_for.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            forwarded: RefCell::new(None),
            last_token: RefCell::new(None),
            last_session: RefCell::new(None),
        }
    }

    /// The address at the other end.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether what it says of others may be believed.
    #[must_use]
    pub fn may_speak(&self, snapshot: &Snapshot) -> bool {
        self.known && snapshot.trusts(self.ip)
    }

    /// What is known of the token in an `Authorization` header, if this connection has just sent the same.
    #[must_use]
    pub fn remembered(&self, authorization: &HeaderValue) -> Option<Rc<Remembered>> {
        const SCHEME: &[u8] = b"Bearer ";
        let last = self.last_token.borrow();
        let (token, remembered) = last.as_ref()?;
        let sent = authorization.as_bytes().strip_prefix(SCHEME)?;
        (**token == *sent).then(|| Rc::clone(remembered))
    }

    /// What is told of a session at a service.
    pub fn session(
        &self,
        digest: &TokenDigest,
        verdict: Arc<Verdict>,
        service: &ServiceId,
    ) -> Rc<Remembered> {
        let mut last = self.last_session.borrow_mut();
        if let Some((known, at, remembered)) = &*last
            && known == digest
            && at == service
            && Arc::ptr_eq(&remembered.verdict, &verdict)
        {
            return Rc::clone(remembered);
        }
        let remembered = Remembered::at(verdict, service.as_str());
        *last = Some((*digest, service.clone(), Rc::clone(&remembered)));
        remembered
    }

    /// Remembers a token.
    pub fn remember(&self, token: &[u8], remembered: &Rc<Remembered>) {
        *self.last_token.borrow_mut() = Some((token.into(), Rc::clone(remembered)));
    }

    /// Forgets the token.
    pub fn forget(&self) {
        *self.last_token.borrow_mut() = None;
    }

    /// `Forwarded` (RFC 7239 section 4) for a request to `host`.
    #[must_use]
    pub fn forwarded(&self, host: &HeaderValue) -> Option<HeaderValue> {
        if let Some((known, value)) = &*self.forwarded.borrow()
            && known == host
        {
            return Some(value.clone());
        }
        let node = match self.ip {
            IpAddr::V4(ip) => ip.to_string(),
            // RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
            IpAddr::V6(ip) => format!("\"[{ip}]\""),
        };
        let text = format!("for={node};host=\"{}\";proto=https", host.to_str().ok()?);
        let value = HeaderValue::try_from(text).ok()?;
        // A copy: the value itself would keep the whole buffer of the request that brought it.
        let host = HeaderValue::from_bytes(host.as_bytes()).ok()?;
        *self.forwarded.borrow_mut() = Some((host, value.clone()));
        Some(value)
    }
}
