//! The second step of a sign-in: begin its set-up, confirm it, turn it off, new recovery codes.
//!
//! Invariants: nothing is kept before the person's device has shown that it makes the right codes: what was begun is sealed
//! for that user and comes back with the first code; recovery codes are seen once.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    base::{
        id::UserId,
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::{
        recovery,
        seal::{NotOurs, SealingKey},
        totp::{SECRET_LENGTH, TotpSecret},
    },
    model::{second_step::SecondStep, user::User},
    store::{StoreError, second_step::SecondStepStore},
};

/// How long a set-up may take that was begun.
const SET_UP_LIFE: Duration = Duration::from_secs(60 * 60);

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SecondStepError {
    /// It is on already.
    #[error("the second step is on already")]
    On,
    /// There is none.
    #[error("there is no second step")]
    Off,
    /// Nobody signs in as this user.
    #[error("{0} cannot sign in by password")]
    NoPassword(String),
    /// What was begun is too old, another user's, or not ours.
    #[error("the set-up took too long; begin anew")]
    Stale,
    /// The device shows something else, or its clock is wrong.
    #[error("this is not the code at this time")]
    WrongCode,
    /// Sealing failed.
    #[error("the secret could not be sealed: {0}")]
    Sealing(NotOurs),
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A set-up that was begun. Nothing of it is kept.
#[derive(Debug)]
pub struct SetUp {
    /// The secret in base32, to be typed into a device.
    pub secret: Secret,
    /// The same as an `otpauth:` address, for a picture.
    pub uri: Secret,
    /// To be brought back with the first code. Good for an hour, and for this user.
    pub sealed: Secret,
}

/// Begins the set-up of a user's second step. `issuer` is what the device calls the gateway.
///
/// # Errors
/// [`SecondStepError`]
pub async fn begin(
    store: &(impl SecondStepStore + ?Sized),
    user: &User,
    issuer: &str,
    sealing: &SealingKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<SetUp, SecondStepError> {
    if !user.may_sign_in() || user.password.is_none() {
        return Err(SecondStepError::NoPassword(user.login.clone()));
    }
    if store.find_second_step(&user.id).await?.is_some() {
        return Err(SecondStepError::On);
    }
    let secret = TotpSecret::random(random);
    let begun = clock.now().millis().to_be_bytes();
    let plain = Zeroizing::new([begun.as_slice(), secret.bytes()].concat());
    let sealed = sealing.seal(&context(&user.id), &plain, random).map_err(SecondStepError::Sealing)?;
    Ok(again(&user.login, issuer, &secret, Secret::new(URL_SAFE_NO_PAD.encode(sealed))))
}

fn again(login: &str, issuer: &str, secret: &TotpSecret, sealed: Secret) -> SetUp {
    SetUp { secret: secret.base32(), uri: secret.uri(issuer, login), sealed }
}

/// The set-up that was begun, to be shown once more.
///
/// # Errors
/// [`SecondStepError::Stale`]
pub fn reopen(
    user: &User,
    issuer: &str,
    sealed: &Secret,
    sealing: &SealingKey,
    clock: &dyn Clock,
) -> Result<SetUp, SecondStepError> {
    let secret = open(&user.id, sealed, sealing, clock.now())?;
    Ok(again(&user.login, issuer, &secret, sealed.clone()))
}

/// Turns the second step on, now that `code` shows that the device has the secret. Returns the recovery codes, which are not
/// seen again. The code is spent.
///
/// # Errors
/// [`SecondStepError`]
pub async fn confirm(
    store: &(impl SecondStepStore + ?Sized),
    user: &UserId,
    (sealed, code): (&Secret, &Secret),
    sealing: &SealingKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<Secret>, SecondStepError> {
    let now = clock.now();
    let secret = open(user, sealed, sealing, now)?;
    let digits: String = code.expose().chars().filter(|c| *c != '-' && !c.is_whitespace()).take(7).collect();
    let spent = secret.step_of(&Secret::new(digits), now).ok_or(SecondStepError::WrongCode)?;
    let codes = recovery::generate(random);
    let step = SecondStep {
        user: user.clone(),
        secret: secret.seal(user, sealing, random).map_err(SecondStepError::Sealing)?,
        since: now,
        spent,
        codes_left: 0,
    };
    match store.add_second_step(&step, &digests(user, &codes)).await {
        Ok(()) => Ok(codes),
        Err(StoreError::Conflict { field: "user", .. }) => Err(SecondStepError::On),
        Err(error) => Err(error.into()),
    }
}

/// Replaces a user's recovery codes. Returns the new ones, which are not seen again.
///
/// # Errors
/// [`SecondStepError`]
pub async fn replace_recovery_codes(
    store: &(impl SecondStepStore + ?Sized),
    user: &UserId,
    random: &dyn Random,
) -> Result<Vec<Secret>, SecondStepError> {
    let codes = recovery::generate(random);
    if store.replace_recovery_codes(user, &digests(user, &codes)).await? {
        Ok(codes)
    } else {
        Err(SecondStepError::Off)
    }
}

/// Turns a user's second step off, for the user or for somebody who has lost the device. Sessions and tokens stay.
///
/// # Errors
/// [`SecondStepError`]
pub async fn turn_off(store: &(impl SecondStepStore + ?Sized), user: &UserId) -> Result<(), SecondStepError> {
    if store.remove_second_step(user).await? { Ok(()) } else { Err(SecondStepError::Off) }
}

fn digests(user: &UserId, codes: &[Secret]) -> Vec<crate::crypto::digest::TokenDigest> {
    codes.iter().filter_map(|code| recovery::digest(user, code.expose())).collect()
}

fn context(user: &UserId) -> String {
    format!("set-up of the second step of {user}")
}

fn open(
    user: &UserId,
    sealed: &Secret,
    sealing: &SealingKey,
    now: Timestamp,
) -> Result<TotpSecret, SecondStepError> {
    let opened = || {
        let bytes = URL_SAFE_NO_PAD.decode(sealed.expose()).ok()?;
        let plain = sealing.open(&context(user), &bytes).ok()?;
        let (begun, secret) = plain.split_first_chunk::<8>()?;
        let begun = Timestamp::from_millis(i64::from_be_bytes(*begun));
        let fresh = begun <= now && now < begun.plus(SET_UP_LIFE);
        (fresh && secret.len() == SECRET_LENGTH).then(|| TotpSecret::from_bytes(secret))?
    };
    opened().ok_or(SecondStepError::Stale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{random::SystemRandom, time::ManualClock},
        crypto::totp,
        registry::users::{self, NewPassword, NewUser},
        store::sqlite::SqliteStore,
    };

    const BCRYPT: &str = "$2b$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

    async fn with_users(folder: &tempfile::TempDir, clock: &ManualClock) -> (SqliteStore, User, User) {
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        let mut made = Vec::new();
        for login in ["jane", "bob"] {
            let new = NewUser {
                id: None,
                login: login.into(),
                name: login.into(),
                email: None,
                password: (login == "jane").then(|| NewPassword::imported(BCRYPT).unwrap()),
                administrator: false,
                groups: vec![],
            };
            made.push(users::add(&store, new, clock, &SystemRandom).await.unwrap());
        }
        let bob = made.pop().unwrap();
        (store, made.pop().unwrap(), bob)
    }

    #[tokio::test]
    async fn what_was_begun_is_confirmed_by_its_user_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let (store, jane, bob) = with_users(&folder, &clock).await;
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let refused = begin(&store, &bob, "gate", &sealing, &clock, &SystemRandom).await.unwrap_err();
        assert!(matches!(refused, SecondStepError::NoPassword(_)), "{refused}");
        let begun = begin(&store, &jane, "gate", &sealing, &clock, &SystemRandom).await.unwrap();
        assert!(begun.uri.expose().starts_with("otpauth://totp/gate:jane?secret="));
        assert!(begun.uri.expose().contains(begun.secret.expose()));
        assert_eq!(store.find_second_step(&jane.id).await.unwrap(), None, "nothing is kept yet");
        let shown = reopen(&jane, "gate", &begun.sealed, &sealing, &clock).unwrap();
        assert_eq!(shown.secret, begun.secret);
        let secret = open(&jane.id, &begun.sealed, &sealing, clock.now()).unwrap();
        let code = secret.code(totp::step(clock.now()));
        let confirm = async |user: &UserId, sealed: &str, code: &str| {
            let (sealed, code) = (Secret::new(sealed.to_owned()), Secret::new(code.to_owned()));
            confirm(&store, user, (&sealed, &code), &sealing, &clock, &SystemRandom).await
        };
        let sealed = begun.sealed.expose();
        for (user, sealed, given, stale) in [
            (&bob.id, sealed, code.expose(), true),
            (&jane.id, "", code.expose(), true),
            (&jane.id, "AAAA", code.expose(), true),
            (&jane.id, &sealed[1..], code.expose(), true),
            (&jane.id, sealed, "", false),
            (&jane.id, sealed, "1234567", false),
            (&jane.id, sealed, secret.code(totp::step(clock.now()) - 2).expose(), false),
        ] {
            let refused = confirm(user, sealed, given).await.unwrap_err();
            assert_eq!(matches!(refused, SecondStepError::Stale), stale, "{given}: {refused}");
            assert_eq!(matches!(refused, SecondStepError::WrongCode), !stale, "{given}: {refused}");
        }
        clock.advance(SET_UP_LIFE);
        assert!(matches!(confirm(&jane.id, sealed, code.expose()).await, Err(SecondStepError::Stale)));
        let begun = begin(&store, &jane, "gate", &sealing, &clock, &SystemRandom).await.unwrap();
        let secret = open(&jane.id, &begun.sealed, &sealing, clock.now()).unwrap();
        let code = secret.code(totp::step(clock.now()));
        let spaced = format!("{} {}", &code.expose()[..3], &code.expose()[3..]);
        let codes = confirm(&jane.id, begun.sealed.expose(), &spaced).await.unwrap();
        assert_eq!(codes.len(), recovery::COUNT);
        let kept = store.find_second_step(&jane.id).await.unwrap().unwrap();
        assert_eq!((kept.codes_left, kept.spent), (10, totp::step(clock.now())));
        let again = confirm(&jane.id, begun.sealed.expose(), code.expose()).await;
        assert!(matches!(again, Err(SecondStepError::On)), "a second click");
        let begun = begin(&store, &jane, "gate", &sealing, &clock, &SystemRandom).await;
        assert!(matches!(begun, Err(SecondStepError::On)));
    }

    #[tokio::test]
    async fn codes_are_replaced_and_the_step_turned_off() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let (store, jane, _) = with_users(&folder, &clock).await;
        let sealing = SealingKey::new(&[1; 32]).unwrap();
        let none = replace_recovery_codes(&store, &jane.id, &SystemRandom).await;
        assert!(matches!(none, Err(SecondStepError::Off)));
        assert!(matches!(turn_off(&store, &jane.id).await, Err(SecondStepError::Off)));
        let begun = begin(&store, &jane, "gate", &sealing, &clock, &SystemRandom).await.unwrap();
        let code =
            open(&jane.id, &begun.sealed, &sealing, clock.now()).unwrap().code(totp::step(clock.now()));
        let old =
            confirm(&store, &jane.id, (&begun.sealed, &code), &sealing, &clock, &SystemRandom).await.unwrap();
        let new = replace_recovery_codes(&store, &jane.id, &SystemRandom).await.unwrap();
        let read = store.find_second_step(&jane.id).await.unwrap().unwrap();
        let spend = async |code: &Secret| {
            store
                .spend_recovery_code(&read, &recovery::digest(&jane.id, code.expose()).unwrap())
                .await
                .unwrap()
        };
        assert!(!spend(&old[0]).await && spend(&new[0]).await && !spend(&new[0]).await);
        turn_off(&store, &jane.id).await.unwrap();
        assert!(!spend(&new[1]).await, "codes go with it");
        assert_eq!(store.find_second_step(&jane.id).await.unwrap(), None);
    }
}
