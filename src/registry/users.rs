//! Users: add, change, give a password, ban, remove.
//!
//! Invariants: whatever takes something away from a user (a password that is replaced, a ban, a removal) revokes the user in
//! the same transaction, which ends every session and every token; the guest has no password and no power, and stays.

use std::time::Duration;

use crate::{
    base::{
        id::{GroupId, ServiceId, UserId},
        random::Random,
        secret::Secret,
        time::{Clock, Timestamp},
    },
    crypto::password::{self, HashError, Hasher},
    model::{
        naming::{self, Refusal},
        revocation::{Revocation, RevocationTarget},
        user::{Ban, Email, Password, User, UserProfile},
    },
    store::{Rule, StoreError, people::UserStore},
};

/// Ids that mean something else where users are named by id.
const RESERVED_IDS: [&str; 3] = [ServiceId::HUB, "me", "guest"];

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hasher's reason.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A text that cannot be used.
    #[error("the {what} {why}")]
    Refused {
        /// `"login"`, `"name"`, …
        what: &'static str,
        /// A predicate.
        why: Refusal,
    },
    /// The id means something else.
    #[error("the id {0} is reserved")]
    Reserved(UserId),
    /// The configuration file declares the user, so that is where it is changed.
    #[error("{0} is declared in the configuration file; change it there")]
    Declared(String),
    /// The configuration file puts a user into the group, which would be back with its next reading.
    #[error(
        "{login} is in the group {group} by the configuration file; take the group out of that user's `groups` there first"
    )]
    DeclaredMember {
        /// A declared user.
        login: String,
        /// The group.
        group: String,
    },
    /// One of the declared users cannot be kept.
    #[error("the declared user {login} cannot be kept: {error}")]
    Declaration {
        /// Which.
        login: String,
        /// Why.
        error: Box<Self>,
    },
    /// What cannot be done with the guest.
    #[error("that cannot be done with the guest")]
    Guest,
    /// There is nobody any more whom it stood for.
    #[error("{0} is erased")]
    Erased(String),
    /// Nobody would be left who may administer.
    #[error("{0} is the last administrator")]
    LastAdministrator(String),
}

impl PeopleError {
    /// The store's reason, with the user's login where it tells more.
    pub(super) fn of(login: &str) -> impl Fn(StoreError) -> Self + '_ {
        |error| match error {
            StoreError::Against(Rule::LastAdministrator) => Self::LastAdministrator(login.to_owned()),
            StoreError::Against(Rule::Guest) => Self::Guest,
            other => Self::Store(other),
        }
    }

    pub(super) fn refused(what: &'static str) -> impl Fn(Refusal) -> Self {
        move |why| Self::Refused { what, why }
    }
}

/// A password that may be set: its hash, which nobody can make otherwise.
#[derive(Debug, Clone)]
pub struct NewPassword {
    hash: String,
    must_change: bool,
}

impl NewPassword {
    /// Checks and hashes a password. With `must_change` it is good for one sign-in, at which another is chosen.
    ///
    /// # Errors
    /// [`PeopleError::Refused`], [`PeopleError::Hash`]
    pub async fn of(password: &Secret, must_change: bool, hasher: &dyn Hasher) -> Result<Self, PeopleError> {
        naming::password(password.expose()).map_err(PeopleError::refused("password"))?;
        Ok(Self { hash: hasher.hash(password).await?, must_change })
    }

    /// A hash that another system made: bcrypt or argon2id.
    ///
    /// # Errors
    /// [`PeopleError::Refused`]
    pub fn imported(hash: &str) -> Result<Self, PeopleError> {
        if !password::is_usable(hash) {
            let why = "is neither bcrypt ($2a$, $2b$, $2y$) nor argon2id, or costs too much to verify";
            return Err(PeopleError::Refused { what: "hash", why });
        }
        Ok(Self { hash: hash.to_owned(), must_change: false })
    }

    pub(super) fn stored(self, set: Timestamp) -> Password {
        Password { hash: self.hash, set, must_change: self.must_change }
    }
}

/// A password that nobody has chosen: 100 random bits in characters that are not mistaken for one another.
#[must_use]
pub fn generate_password(random: &dyn Random) -> Secret {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes = zeroize::Zeroizing::new(random.bytes::<20>());
    let mut text = String::with_capacity(23);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            text.push('-');
        }
        text.extend(ALPHABET.get(usize::from(byte % 32)).map(|c| char::from(*c)));
    }
    Secret::new(text)
}

/// A user to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its id; `None`: a random UUID, as Hub does.
    pub id: Option<UserId>,
    /// What one types to sign in.
    pub login: String,
    /// What people see.
    pub name: String,
    /// The address.
    pub email: Option<Email>,
    /// `None`: cannot sign in by password.
    pub password: Option<NewPassword>,
    /// May administer the gateway.
    pub administrator: bool,
    /// Groups, which exist.
    pub groups: Vec<GroupId>,
}

/// Adds a user.
///
/// # Errors
/// [`PeopleError`]
pub async fn add(
    store: &(impl UserStore + ?Sized),
    new: NewUser,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<User, PeopleError> {
    let user = made(new, clock.now(), random)?;
    store.add_user(&user).await?;
    // With the groups that new users are put into.
    find(store, &user.id).await
}

pub(super) fn made(new: NewUser, now: Timestamp, random: &dyn Random) -> Result<User, PeopleError> {
    let id = new.id.unwrap_or_else(|| UserId::random(random));
    if RESERVED_IDS.contains(&id.as_str()) {
        return Err(PeopleError::Reserved(id));
    }
    let (login, email) = (naming::normal(&new.login), new.email.map(normal));
    check(Some(&login), Some(&new.name), email.as_ref())?;
    Ok(User {
        id,
        login,
        name: new.name,
        email,
        password: new.password.map(|password| password.stored(now)),
        ban: None,
        guest: false,
        administrator: new.administrator,
        groups: sorted(new.groups),
        profile: UserProfile::default(),
        erased: None,
        declared: false,
        created: now,
        updated: now,
    })
}

pub(super) fn sorted(mut groups: Vec<GroupId>) -> Vec<GroupId> {
    groups.sort();
    groups.dedup();
    groups
}

/// The address as it is kept.
fn normal(mut email: Email) -> Email {
    email.address = naming::normal(&email.address);
    email
}

/// Checks what is new.
fn check(login: Option<&str>, name: Option<&str>, email: Option<&Email>) -> Result<(), PeopleError> {
    login.map_or(Ok(()), naming::login).map_err(PeopleError::refused("login"))?;
    name.map_or(Ok(()), naming::name).map_err(PeopleError::refused("name"))?;
    email.map_or(Ok(()), |email| naming::email(&email.address)).map_err(PeopleError::refused("address"))
}

/// What is to be changed of a user; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The login.
    pub login: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The address; `Some(None)` takes it away.
    pub email: Option<Option<Email>>,
    /// Whether it may administer.
    pub administrator: Option<bool>,
    /// The address of its picture; `Some(None)` takes it away.
    pub avatar_url: Option<Option<String>>,
    /// Its language; `Some(None)` takes it away.
    pub locale: Option<Option<String>>,
}

/// Changes a user that the file does not declare.
///
/// # Errors
/// [`PeopleError`]
pub async fn change(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    mut change: Change,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let user = undeclared(find(store, id).await?)?;
    if user.guest {
        return Err(PeopleError::Guest);
    }
    if user.erased.is_some() {
        return Err(PeopleError::Erased(user.login));
    }
    change.login = change.login.map(|login| naming::normal(&login));
    change.email = change.email.map(|email| email.map(normal));
    // What is as it was may be older than the rules.
    check(
        change.login.as_deref().filter(|login| **login != user.login),
        change.name.as_deref().filter(|name| **name != user.name),
        change.email.as_ref().and_then(Option::as_ref).filter(|email| user.email.as_ref() != Some(email)),
    )?;
    if let Some(Some(url)) = &change.avatar_url {
        naming::picture(url).map_err(PeopleError::refused("picture"))?;
    }
    if let Some(Some(locale)) = &change.locale {
        naming::locale(locale).map_err(PeopleError::refused("language"))?;
    }
    let now = clock.now();
    let carry_out = move |user: &mut User| {
        user.login = change.login.clone().unwrap_or_else(|| user.login.clone());
        user.name = change.name.clone().unwrap_or_else(|| user.name.clone());
        user.email = change.email.clone().unwrap_or_else(|| user.email.clone());
        user.administrator = change.administrator.unwrap_or(user.administrator);
        let profile = &mut user.profile;
        profile.avatar_url = change.avatar_url.clone().unwrap_or_else(|| profile.avatar_url.take());
        profile.locale = change.locale.clone().unwrap_or_else(|| profile.locale.take());
        user.updated = now;
    };
    store.change_user(id, &carry_out, None).await.map_err(PeopleError::of(&user.login))
}

pub(super) async fn find(store: &(impl UserStore + ?Sized), id: &UserId) -> Result<User, PeopleError> {
    Ok(store.find_user(id).await?.ok_or(StoreError::NotFound { what: "user" })?)
}

pub(super) fn undeclared(user: User) -> Result<User, PeopleError> {
    if user.declared { Err(PeopleError::Declared(user.login)) } else { Ok(user) }
}

pub(super) fn revocation(id: &UserId, now: Timestamp) -> Revocation {
    Revocation::at(now, RevocationTarget::User(id.clone()))
}

/// Gives a user a password, or with `None` takes it away. All sessions end, the one in which it happens too: whoever is
/// signed in there begins another.
///
/// # Errors
/// [`PeopleError`]
pub async fn set_password(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    password: Option<NewPassword>,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let user = find(store, id).await?;
    if user.guest {
        return Err(PeopleError::Guest);
    }
    if user.erased.is_some() {
        return Err(PeopleError::Erased(user.login));
    }
    let now = clock.now();
    let password = password.map(|password| password.stored(now));
    let carry_out = move |user: &mut User| {
        user.password.clone_from(&password);
        user.updated = now;
    };
    Ok(store.change_user(id, &carry_out, Some(&revocation(id, now))).await?)
}

/// Shuts a user out. Banning again replaces the reason.
///
/// # Errors
/// [`PeopleError`]
pub async fn ban(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    reason: &str,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    ban_with_badge(store, id, (reason, ""), clock).await
}

/// The same with what others see beside the name.
///
/// # Errors
/// [`PeopleError`]
pub async fn ban_with_badge(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    (reason, badge): (&str, &str),
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let user = find(store, id).await?;
    naming::description(reason).map_err(PeopleError::refused("reason"))?;
    naming::badge(badge).map_err(PeopleError::refused("badge"))?;
    let now = clock.now();
    let ban = Ban { reason: reason.to_owned(), since: now, badge: badge.to_owned() };
    let carry_out = move |user: &mut User| {
        user.ban = Some(ban.clone());
        user.updated = now;
    };
    let banned = store.change_user(id, &carry_out, Some(&revocation(id, now))).await;
    banned.map_err(PeopleError::of(&user.login))
}

/// Lets a user in again. What was revoked stays revoked, and with it whatever was obtained until now: a password that was
/// checked just before the ban may have been answered with a token right after it.
///
/// # Errors
/// [`PeopleError`]
pub async fn unban(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    clock: &dyn Clock,
) -> Result<User, PeopleError> {
    let user = find(store, id).await?;
    if user.erased.is_some() {
        return Err(PeopleError::Erased(user.login));
    }
    let now = clock.now();
    let carry_out = move |user: &mut User| {
        user.ban = None;
        user.updated = now;
    };
    // Up to the millisecond before, lest it end what begins at once.
    let revocation = revocation(id, now.minus(Duration::from_millis(1)));
    Ok(store.change_user(id, &carry_out, Some(&revocation)).await?)
}

/// Removes a user that the file does not declare.
///
/// # Errors
/// [`PeopleError`]
pub async fn remove(
    store: &(impl UserStore + ?Sized),
    id: &UserId,
    clock: &dyn Clock,
) -> Result<(), PeopleError> {
    let user = undeclared(find(store, id).await?)?;
    if user.guest {
        return Err(PeopleError::Guest);
    }
    let removed = store.remove_user(id, &revocation(id, clock.now())).await;
    removed.map_err(PeopleError::of(&user.login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{
            id::GrantId,
            random::SystemRandom,
            time::{ManualClock, Timestamp},
        },
        crypto::digest::TokenDigest,
        model::{
            grant::{Grant, RefreshToken},
            scope::GrantedScope,
        },
        store::{grants::GrantStore as _, sqlite::SqliteStore},
    };

    #[tokio::test]
    async fn who_is_let_in_again_has_nothing_from_the_time_of_the_ban() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(1000));
        let new = NewUser {
            id: None,
            login: "jane".into(),
            name: "Jane".into(),
            email: None,
            password: None,
            administrator: false,
            groups: vec![],
        };
        let jane = add(&store, new, &clock, &SystemRandom).await.unwrap().id;
        ban(&store, &jane, "", &clock).await.unwrap();
        // As a sign-in would that was judged before the ban and is answered after the moment that it names.
        clock.advance(Duration::from_millis(5));
        let keep = async |name: &str| {
            let grant = Grant {
                id: GrantId::made(clock.now(), &SystemRandom),
                client: ServiceId::parse("app").unwrap(),
                user: jane.clone(),
                scope: GrantedScope { spelled: "app".into(), services: vec![] },
                session: None,
                authenticated: clock.now(),
                nonce: None,
                created: clock.now(),
            };
            let digest = TokenDigest::of(name.as_bytes());
            let expires = clock.now().plus(Duration::from_secs(60));
            let refresh = RefreshToken { digest, grant: grant.id.clone(), created: clock.now(), expires };
            store.add_grant(&grant, &refresh).await.unwrap();
            grant.id
        };
        let late = keep("late").await;
        clock.advance(Duration::from_secs(60));
        assert!(unban(&store, &jane, &clock).await.unwrap().is_active());
        assert_eq!(store.find_grant(&late).await.unwrap(), None);
        let fresh = keep("fresh").await;
        assert!(store.find_grant(&fresh).await.unwrap().is_some(), "what begins at once is not ended");
    }
}
