//! Sessions: begun at sign-in, found by their cookie, ended.
//!
//! Invariants: every sign-in makes a new cookie, so that none that was known before is worth anything after it; the same
//! person's next sign-in on a browser keeps the session's id, so that signing out ends what came of it before and after; a session is good only while its user may sign in, and none outlives the password with which it was begun.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    base::{
        id::{SessionId, UserId},
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::opaque::{self, Kind},
    model::{
        revocation::{Revocation, RevocationTarget},
        session::{Session, SessionLife},
        user::User,
    },
    store::{StoreError, people::SessionStore},
};

/// A use is written down at most this often.
const TOUCH: Duration = Duration::from_secs(60);

/// Characters of a browser's name that are kept.
const LONGEST_AGENT: usize = 200;

/// A session with its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Who.
    pub user: User,
}

/// What is noted of a browser.
#[derive(Debug, Clone, Copy)]
pub struct Browser<'b> {
    /// `User-Agent`, as it came.
    pub user_agent: &'b str,
    /// Where it asks from.
    pub address: IpAddr,
}

/// The sessions of a store.
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    life: Arc<Mutex<SessionLife>>,
}

impl Sessions {
    /// Which live as long as `life` says.
    #[must_use]
    pub fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        life: SessionLife,
    ) -> Self {
        Self { store, clock, random, life: Arc::new(Mutex::new(life)) }
    }

    /// The same sessions through another handle of their store, whose writes are recorded as another author's.
    #[must_use]
    pub fn through(&self, store: Arc<dyn SessionStore>) -> Self {
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        Self { store, clock, random, life: Arc::clone(&self.life) }
    }

    /// How long they live.
    #[must_use]
    pub fn life(&self) -> SessionLife {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another life up, for sessions that exist too.
    pub fn set_life(&self, life: SessionLife) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = life;
    }

    /// Whose cookie this is, if it is good. A use is noted, with where it came from.
    ///
    /// # Errors
    /// The store's, when it cannot be read. That a use cannot be noted is no reason to turn somebody away.
    pub async fn find(&self, cookie: &str, address: IpAddr) -> Result<Option<SignedIn>, StoreError> {
        let Some(digest) = opaque::digest(Kind::Session, cookie) else { return Ok(None) };
        let Some((mut session, user)) = self.store.find_session(&digest).await? else { return Ok(None) };
        let now = self.clock.now();
        if !session.is_live(self.life(), now) || !user.may_sign_in() {
            return Ok(None);
        }
        if now.since(session.used) >= TOUCH {
            session.used = now;
            session.address = address.to_string();
            if let Err(error) = self.store.touch_session(&session.id, now, &session.address).await {
                tracing::warn!(session = %session.id, %error, "the use of a session could not be noted");
            }
        }
        Ok(Some(SignedIn { session, user }))
    }

    /// Begins a session for somebody who has just proved who they are. Returns the cookie's value, which is not seen again.
    /// `replaced` is the session that the browser had: the user's own goes on under another cookie with what came of it,
    /// another's ends with all of that.
    ///
    /// # Errors
    /// The store's; [`StoreError::NotFound`] when the user was banned, removed or given another password since `user` was
    /// read: then nobody is signed in.
    pub async fn begin(
        &self,
        user: &User,
        browser: Browser<'_>,
        remember: bool,
        replaced: Option<&SignedIn>,
    ) -> Result<(Secret, Session), StoreError> {
        let now = self.clock.now();
        let cookie = opaque::generate(Kind::Session, self.random.as_ref());
        let Some(digest) = opaque::digest(Kind::Session, cookie.expose()) else {
            return Err(StoreError::Damaged("a new session cookie is none".to_owned()));
        };
        let agent = browser.user_agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT);
        let own = replaced.filter(|old| old.user.id == user.id).map(|old| old.session.id.clone());
        let session = Session {
            id: own.unwrap_or_else(|| SessionId::random(self.random.as_ref())),
            user: user.id.clone(),
            authenticated: now,
            used: now,
            remember,
            user_agent: agent.collect(),
            address: browser.address.to_string(),
        };
        let foreign = replaced.filter(|old| old.user.id != user.id).map(|old| ended(&old.session.id, now));
        let replaced = replaced.map(|old| (&old.session.id, foreign.as_ref()));
        self.store.begin_session(&session, &digest, replaced).await?;
        // What happened before the session was written is seen now; what happens from here on ends it.
        let set = |user: &User| user.password.as_ref().map(|password| password.set);
        let now = self.store.find_session(&digest).await?;
        if !now.is_some_and(|(_, now)| now.may_sign_in() && set(&now) == set(user)) {
            self.store.end_session(&session.id, &ended(&session.id, self.clock.now())).await?;
            return Err(StoreError::NotFound { what: "user" });
        }
        Ok((cookie, session))
    }

    /// Ends a session and what came of it. Returns whether there still was one.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, signed_in: &SignedIn) -> Result<bool, StoreError> {
        let id = &signed_in.session.id;
        self.store.end_session(id, &ended(id, self.clock.now())).await
    }

    /// The sessions of a user that are good now, the one last used first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        let (life, now) = (self.life(), self.clock.now());
        let mut sessions = self.store.list_sessions(user).await?;
        sessions.retain(|session| session.is_live(life, now));
        Ok(sessions)
    }

    /// Ends all sessions of a user but `except`, each with what came of it. Returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_all(&self, user: &UserId, except: Option<&SessionId>) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut count = 0;
        for Session { id, .. } in self.store.list_sessions(user).await? {
            if Some(&id) != except && self.store.end_session(&id, &ended(&id, now)).await? {
                count += 1;
            }
        }
        Ok(count)
    }
}

fn ended(id: &SessionId, now: Timestamp) -> Revocation {
    Revocation::at(now, RevocationTarget::Session(id.clone()))
}
