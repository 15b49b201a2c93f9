//! The second step of a sign-in: a code from the person's device, or a recovery code, after the right password.
//!
//! Invariants: whoever comes here has shown the password, and it is still the account's; each try counts as a failure for
//! the account's second step and its source before it is looked at, and one answer is given to every failure; what lets
//! somebody in is spent by that. A right password takes back no failure here.
//!
//! RFC 6238 section 5.2.

use std::net::IpAddr;

use super::{
    login::{LoginError, Logins, Meant},
    throttle::Account,
};
use crate::{
    base::{id::UserId, secret::Secret, time::Timestamp},
    crypto::{
        recovery,
        seal::SealingKey,
        totp::{DIGITS, TotpSecret},
    },
    model::{second_step::SecondStep, user::User},
    store::{StoreError, second_step::SecondStepStore},
};

/// Bytes of what is typed that are looked at; no code is longer, however it is written.
const LONGEST_CODE: usize = 100;

/// Somebody who has shown the password of an account that asks for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halfway {
    /// Who it would be.
    pub user: UserId,
    /// The login, to be shown.
    pub login: String,
    /// When the password was set that was shown.
    pub password_set: Timestamp,
}

impl Halfway {
    /// After the password of `user` was shown.
    #[must_use]
    pub(super) fn of(user: &User) -> Self {
        Self { user: user.id.clone(), login: user.login.clone(), password_set: set(user).unwrap_or_default() }
    }
}

fn set(user: &User) -> Option<Timestamp> {
    user.password.as_ref().map(|password| password.set)
}

/// What a code is held against.
#[derive(Clone, Copy)]
pub struct Secrets<'s> {
    /// Where it is spent.
    pub store: &'s dyn SecondStepStore,
    /// What opens the account's secret.
    pub sealing: &'s SealingKey,
}

impl Logins {
    /// Who it is that has shown the password before and shows a code now. Returns the user as it is now.
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::Credentials`] when the code is wrong or spent, and when the account has changed since the
    /// first step: shut out, given another password, without a second step.
    pub async fn second_step(
        &self,
        halfway: &Halfway,
        code: &Secret,
        source: IpAddr,
        secrets: Secrets<'_>,
    ) -> Result<User, LoginError> {
        let meant = Meant { id: halfway.user.clone(), login: halfway.login.clone() };
        let outcome = self.try_code(halfway, code, source, secrets).await;
        self.tell(&outcome, Some(&meant), source, "second step of a sign-in");
        outcome
    }

    async fn try_code(
        &self,
        halfway: &Halfway,
        code: &Secret,
        source: IpAddr,
        secrets: Secrets<'_>,
    ) -> Result<User, LoginError> {
        let account = Account::of_user(halfway.user.as_str());
        let ticket = self.admit(&self.codes, account, source).await.map_err(LoginError::Throttled)?;
        match self.judge(halfway, code, secrets).await {
            Ok(Some(user)) => {
                ticket.succeeded(self.clock.now());
                Ok(user)
            }
            Ok(None) => {
                ticket.failed(self.clock.now());
                Err(LoginError::Credentials)
            }
            Err(error) => {
                ticket.withdrawn();
                Err(error.into())
            }
        }
    }

    async fn judge(
        &self,
        halfway: &Halfway,
        code: &Secret,
        secrets: Secrets<'_>,
    ) -> Result<Option<User>, StoreError> {
        let read = secrets.store.find_second_step(&halfway.user).await?;
        let Some(read) = read else { return Ok(None) };
        let same = |user: &User| user.may_sign_in() && set(user) == Some(halfway.password_set);
        if !self.users.find_user(&halfway.user).await?.is_some_and(|user| same(&user)) {
            return Ok(None);
        }
        if !spend(&read, code, self.clock.now(), secrets).await? {
            return Ok(None);
        }
        // What an administrator did meanwhile counts.
        Ok(self.users.find_user(&halfway.user).await?.filter(same))
    }
}

async fn spend(
    read: &SecondStep,
    code: &Secret,
    now: Timestamp,
    secrets: Secrets<'_>,
) -> Result<bool, StoreError> {
    if code.expose().len() > LONGEST_CODE {
        return Ok(false);
    }
    if let Some(digits) = digits(code) {
        let damaged = |_| {
            let user = &read.user;
            StoreError::Damaged(format!("the second step of user {user} does not open with this key file"))
        };
        let secret = TotpSecret::open(&read.user, secrets.sealing, &read.secret).map_err(damaged)?;
        return match secret.step_of(&digits, now) {
            Some(step) => secrets.store.spend_time_step(read, step).await,
            None => Ok(false),
        };
    }
    match recovery::digest(&read.user, code.expose()) {
        Some(digest) => secrets.store.spend_recovery_code(read, &digest).await,
        None => Ok(false),
    }
}

/// The six digits, however devices space them.
fn digits(code: &Secret) -> Option<Secret> {
    let plain: String = code.expose().chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
    let plain = Secret::new(plain);
    let text = plain.expose();
    (text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit())).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_a_code_however_they_are_spaced() {
        for code in ["123456", "123 456", " 123-456 ", "1 2 3 4 5 6"] {
            assert_eq!(digits(&Secret::new(code.into())).unwrap().expose(), "123456", "{code:?}");
        }
        for none in ["", "12345", "1234567", "12345a", "١٢٣", "0123-4567-89ab-cdef"] {
            assert!(digits(&Secret::new(none.into())).is_none(), "{none:?}");
        }
    }
}
