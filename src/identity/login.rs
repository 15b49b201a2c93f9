//! Signing in with a name and a password.
//!
//! Invariants: every attempt that is admitted costs one verification, of a hash that is nobody's where the name has none,
//! and the verdict falls after it; unknown, banned, guest, without a password and wrong are one answer; no line names what
//! was typed, which may be a password in the wrong field.

use std::{future::poll_fn, net::IpAddr, sync::Arc, task::Poll, time::Duration};

use super::{
    second_step::Halfway,
    throttle::{Account, Admission, LoginLimits, Throttle, Ticket},
};
pub use crate::crypto::password::{HashError, Hasher};
use crate::{
    base::{id::UserId, secret::Secret, time::Clock},
    crypto::password::{self, LONGEST, NOBODYS},
    model::user::User,
    store::{StoreError, people::UserStore, second_step::SecondStepStore},
};

/// Bytes of a name that are looked up; no login, address or id is longer.
const LONGEST_NAME: usize = 1024;

/// In place of the id of a user who is not there; about as long as one.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// These do not open an account. Which of the two is wrong, or whether anything else is, is not told.
    #[error("the name or the password is wrong")]
    Credentials,
    /// Too many failures; not before this time has passed.
    #[error("too many failed attempts")]
    Throttled(Duration),
    /// Too many people are signing in; this long it may take until there is room.
    #[error("too many sign-ins at once")]
    Busy(Duration),
    /// The password is right, and the account asks for a second step ([`Logins::second_step`]).
    #[error("the account asks for a second step")]
    SecondStep(Box<Halfway>),
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of an attempt, as it is counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginResult {
    /// Signed in.
    Success,
    /// The password was right; a second step is still to come.
    SecondStep,
    /// Refused.
    Refused,
    /// Not looked at: too many failures before.
    Throttled,
    /// Not looked at: too many at once.
    Busy,
    /// The store failed.
    Error,
}

impl LoginResult {
    /// The label of `hubgate_logins_total`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::SecondStep => "second_step",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
            Self::Error => "error",
        }
    }

    const fn of(outcome: &Result<User, LoginError>) -> Self {
        match outcome {
            Ok(_) => Self::Success,
            Err(LoginError::SecondStep(_)) => Self::SecondStep,
            Err(LoginError::Credentials) => Self::Refused,
            Err(LoginError::Throttled(_)) => Self::Throttled,
            Err(LoginError::Busy(_)) => Self::Busy,
            Err(LoginError::Store(_)) => Self::Error,
        }
    }
}

/// Told of every attempt: what became of it, who was meant if that is anybody, and where it came from.
pub type Told = Box<dyn Fn(LoginResult, Option<&Meant>, IpAddr) + Send + Sync>;

/// Whom somebody means who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The user's id.
    pub id: UserId,
    /// The user's login.
    pub login: String,
}

/// The one way in: the login page, the password grant and whatever else takes a password ask here, so that they share
/// their counters.
pub struct Logins {
    pub(super) users: Arc<dyn UserStore>,
    steps: Arc<dyn SecondStepStore>,
    hasher: Arc<dyn Hasher>,
    pub(super) clock: Arc<dyn Clock>,
    throttle: Throttle,
    /// Of second steps: apart, so that the right password takes no failure of theirs back.
    pub(super) codes: Throttle,
    told: Told,
}

impl Logins {
    /// Over these users; `told` counts.
    #[must_use]
    pub fn new(
        (users, steps): (Arc<dyn UserStore>, Arc<dyn SecondStepStore>),
        hasher: Arc<dyn Hasher>,
        clock: Arc<dyn Clock>,
        limits: LoginLimits,
        told: Told,
    ) -> Self {
        let (throttle, codes) = (Throttle::new(limits), Throttle::new(limits.for_codes()));
        Self { users, steps, hasher, clock, throttle, codes, told }
    }

    /// Takes other limits up. What was counted stays counted.
    pub fn set_limits(&self, limits: LoginLimits) {
        self.throttle.set_limits(limits);
        self.codes.set_limits(limits.for_codes());
    }

    /// Who it is that knows this password: `name` is a login, an e-mail address or an id. The user that is returned may have
    /// a password that is good for this once ([`crate::model::user::Password::must_change`]).
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::SecondStep`] when the password alone opens nothing.
    pub async fn authenticate(
        &self,
        name: &str,
        password: &Secret,
        source: IpAddr,
    ) -> Result<User, LoginError> {
        let mut found = None;
        let outcome = self.attempt(name, password, source, &mut found).await;
        self.tell(&outcome, found.as_ref(), source, "sign-in");
        outcome
    }

    /// Counts and logs an attempt.
    pub(super) fn tell(
        &self,
        outcome: &Result<User, LoginError>,
        meant: Option<&Meant>,
        source: IpAddr,
        what: &'static str,
    ) {
        let result = LoginResult::of(outcome);
        (self.told)(result, meant, source);
        let user = meant.map(|meant| tracing::field::display(&meant.id));
        if let Err(LoginError::Store(error)) = outcome {
            tracing::error!(user, %source, result = result.name(), %error, "{what}");
        } else {
            tracing::info!(user, %source, result = result.name(), "{what}");
        }
    }

    async fn attempt(
        &self,
        name: &str,
        password: &Secret,
        source: IpAddr,
        found: &mut Option<Meant>,
    ) -> Result<User, LoginError> {
        // Neither can be right, whoever is meant.
        if name.len() > LONGEST_NAME || password.expose().len() > LONGEST {
            return Err(LoginError::Credentials);
        }
        let user = self.users.find_user_by_name(name).await?;
        *found = user.as_ref().map(|user| Meant { id: user.id.clone(), login: user.login.clone() });
        // Both are made in every case, as everything is that would tell by its time whether the name is anybody's.
        let (nobodys, somebodys) =
            (Account::of_name(name), found.as_ref().map_or(NOBODY, |meant| meant.id.as_str()));
        let somebodys = Account::of_user(somebodys);
        let account = if found.is_some() { somebodys } else { nobodys };
        let ticket = self.admit(&self.throttle, account, source).await.map_err(LoginError::Throttled)?;
        let stored = user.as_ref().and_then(|user| user.password.as_ref());
        let hash = stored.map_or(NOBODYS, |password| password.hash.as_str());
        let verified = match self.hasher.verify(hash, password).await {
            Ok(verified) => verified && stored.is_some(),
            Err(HashError::Busy(wait)) => {
                ticket.withdrawn();
                return Err(LoginError::Busy(wait));
            }
            Err(HashError::TooLong | HashError::Failed(_)) => false,
        };
        let Some(user) = user.filter(|user| verified && user.may_sign_in()) else {
            ticket.failed(self.clock.now());
            return Err(LoginError::Credentials);
        };
        // It may have waited for a while. What an administrator did meanwhile counts.
        let now = match self.users.find_user(&user.id).await {
            Ok(now) => now,
            Err(error) => {
                ticket.withdrawn();
                return Err(error.into());
            }
        };
        let set = |user: &User| user.password.as_ref().map(|password| password.set);
        let Some(now) = now.filter(|now| now.may_sign_in() && set(now) == set(&user)) else {
            ticket.failed(self.clock.now());
            return Err(LoginError::Credentials);
        };
        let step = match self.steps.find_second_step(&user.id).await {
            Ok(step) => step,
            Err(error) => {
                ticket.withdrawn();
                return Err(error.into());
            }
        };
        ticket.succeeded(self.clock.now());
        let now = if password::needs_rehash(hash_of(&user)) {
            self.rehash(&user, password).await.unwrap_or(now)
        } else {
            now
        };
        if step.is_some() {
            return Err(LoginError::SecondStep(Box::new(Halfway::of(&now))));
        }
        Ok(now)
    }

    pub(super) async fn admit<'t>(
        &self,
        throttle: &'t Throttle,
        account: Account,
        source: IpAddr,
    ) -> Result<Ticket<'t>, Duration> {
        poll_fn(|cx| match throttle.admit(account, source, self.clock.now(), cx.waker()) {
            Admission::Go(ticket) => Poll::Ready(Ok(ticket)),
            Admission::Refused(wait) => Poll::Ready(Err(wait)),
            Admission::Wait => Poll::Pending,
        })
        .await
    }

    /// Replaces a hash that is no longer as hashes are made, now that the password is known. What fails here is done at the
    /// next sign-in.
    async fn rehash(&self, user: &User, password: &Secret) -> Option<User> {
        let hash = self.hasher.hash(password).await.ok()?;
        let before = hash_of(user).to_owned();
        let change = move |user: &mut User| {
            // Not over one that was set meanwhile.
            if let Some(password) = user.password.as_mut().filter(|password| password.hash == before) {
                password.hash.clone_from(&hash);
            }
        };
        match self.users.change_user(&user.id, &change, None).await {
            Ok(user) => Some(user).filter(User::may_sign_in),
            Err(error) => {
                tracing::warn!(user = %user.id, %error, "the password's hash could not be renewed");
                None
            }
        }
    }
}

fn hash_of(user: &User) -> &str {
    user.password.as_ref().map_or(NOBODYS, |password| password.hash.as_str())
}
