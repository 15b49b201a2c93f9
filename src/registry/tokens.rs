//! What a person makes for programs: permanent tokens and application passwords. Made, listed, taken back.
//!
//! Invariants: the text of a credential is returned by the verb that makes it and by no other; nobody holds more than
//! [`MOST`] of a kind, because every gateway keeps them all in memory.

use crate::{
    base::{
        id::{ServiceId, TokenId, UserId},
        random::Random,
        secret::Secret,
        time::Clock,
    },
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
        permanent,
    },
    model::{
        credential::{ApplicationPassword, PermanentToken},
        naming,
        user::User,
    },
    store::{StoreError, credentials::CredentialStore},
};

/// The most permanent tokens, and the most application passwords, of one user.
pub const MOST: usize = 100;

/// The most services of one permanent token: upstreams are told all of them with each request.
pub const WIDEST: usize = 100;

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// The store's reason; [`StoreError::NotFound`] for a service that is not registered.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that cannot be used.
    #[error("the name {0}")]
    Name(naming::Refusal),
    /// A token for nothing.
    #[error("a permanent token is for at least one service")]
    NoScope,
    /// More than [`WIDEST`] services.
    #[error("a permanent token is for at most {WIDEST} services")]
    TooWide,
    /// The guest, or somebody who is banned.
    #[error("{0} may not have tokens: only users who are not banned, and not the guest")]
    NotActive(String),
    /// There are [`MOST`] already.
    #[error("{0} has {MOST} of them already; take one back first")]
    TooMany(String),
}

/// A permanent token to be made.
#[derive(Debug, Clone)]
pub struct NewToken<'n> {
    /// For whom it acts.
    pub user: &'n User,
    /// Who makes it.
    pub author: &'n UserId,
    /// What it is called, 1 to 100 characters.
    pub name: &'n str,
    /// The services that it is for.
    pub scope: Vec<ServiceId>,
}

/// Makes a permanent token. Returns its record, and its text, which is not known afterwards.
///
/// # Errors
/// [`TokenRefusal`]
pub async fn create_token(
    store: &(impl CredentialStore + ?Sized),
    new: NewToken<'_>,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(PermanentToken, Secret), TokenRefusal> {
    let NewToken { user, author, name, mut scope } = new;
    check(user, name)?;
    scope.sort();
    scope.dedup();
    if scope.is_empty() {
        return Err(TokenRefusal::NoScope);
    }
    if scope.len() > WIDEST {
        return Err(TokenRefusal::TooWide);
    }
    if store.list_permanent_tokens(&user.id).await?.len() >= MOST {
        return Err(TokenRefusal::TooMany(user.login.clone()));
    }
    let text = permanent::generate(&user.login, name, random);
    let token = PermanentToken {
        id: TokenId::shown(random),
        user: user.id.clone(),
        author: author.clone(),
        name: name.to_owned(),
        scope,
        digest: TokenDigest::of(text.expose().as_bytes()),
        created: clock.now(),
        used: None,
    };
    store.add_permanent_token(&token).await?;
    Ok((token, text))
}

/// Makes an application password. Returns its record, and its text, which is not known afterwards.
///
/// # Errors
/// [`TokenRefusal`]
pub async fn create_password(
    store: &(impl CredentialStore + ?Sized),
    (user, name): (&User, &str),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(ApplicationPassword, Secret), TokenRefusal> {
    check(user, name)?;
    if store.list_application_passwords(&user.id).await?.len() >= MOST {
        return Err(TokenRefusal::TooMany(user.login.clone()));
    }
    let text = opaque::generate(Kind::ApplicationPassword, random);
    let password = ApplicationPassword {
        id: TokenId::shown(random),
        user: user.id.clone(),
        name: name.to_owned(),
        digest: TokenDigest::of(text.expose().as_bytes()),
        created: clock.now(),
        used: None,
    };
    store.add_application_password(&password).await?;
    Ok((password, text))
}

/// Takes back the permanent token or application password of `user` that has this id. Returns whether there was one.
///
/// # Errors
/// The store's.
pub async fn revoke(
    store: &(impl CredentialStore + ?Sized),
    user: &UserId,
    id: &TokenId,
) -> Result<bool, StoreError> {
    Ok(store.remove_permanent_token(user, id).await? || store.remove_application_password(user, id).await?)
}

fn check(user: &User, name: &str) -> Result<(), TokenRefusal> {
    // A banned user could not use it, and the guest is nobody who could keep it.
    if !user.may_sign_in() {
        return Err(TokenRefusal::NotActive(user.login.clone()));
    }
    naming::name(name).map_err(TokenRefusal::Name)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        base::{
            random::SystemRandom,
            time::{ManualClock, Timestamp},
        },
        model::user::{Ban, UserProfile},
        store::{
            Result,
            credentials::{CredentialUse, Credentials},
        },
    };

    /// A store that keeps what is added, for one user.
    #[derive(Default)]
    struct Kept(Mutex<(Vec<PermanentToken>, Vec<ApplicationPassword>)>);

    #[async_trait]
    impl CredentialStore for Kept {
        async fn add_permanent_token(&self, token: &PermanentToken) -> Result<()> {
            self.0.lock().unwrap().0.push(token.clone());
            Ok(())
        }
        async fn list_permanent_tokens(&self, _: &UserId) -> Result<Vec<PermanentToken>> {
            Ok(self.0.lock().unwrap().0.clone())
        }
        async fn remove_permanent_token(&self, _: &UserId, id: &TokenId) -> Result<bool> {
            let tokens = &mut self.0.lock().unwrap().0;
            let before = tokens.len();
            tokens.retain(|token| token.id != *id);
            Ok(tokens.len() < before)
        }
        async fn add_application_password(&self, password: &ApplicationPassword) -> Result<()> {
            self.0.lock().unwrap().1.push(password.clone());
            Ok(())
        }
        async fn list_application_passwords(&self, _: &UserId) -> Result<Vec<ApplicationPassword>> {
            Ok(self.0.lock().unwrap().1.clone())
        }
        async fn remove_application_password(&self, _: &UserId, id: &TokenId) -> Result<bool> {
            let passwords = &mut self.0.lock().unwrap().1;
            let before = passwords.len();
            passwords.retain(|password| password.id != *id);
            Ok(passwords.len() < before)
        }
        async fn note_uses(&self, _: &[CredentialUse]) -> Result<()> {
            Ok(())
        }
        async fn credentials(&self, _: i64) -> Result<Credentials> {
            Ok(Credentials::default())
        }
    }

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn jane() -> User {
        User {
            id: UserId::parse("u-1").unwrap(),
            login: "jane".into(),
            name: "Jane".into(),
            email: None,
            password: None,
            ban: None,
            guest: false,
            administrator: false,
            groups: vec![],
            declared: false,
            profile: UserProfile::default(),
            erased: None,
            created: NOW,
            updated: NOW,
        }
    }

    fn token(
        store: &Kept,
        user: &User,
        name: &str,
        scope: &[String],
    ) -> Result<(PermanentToken, Secret), TokenRefusal> {
        let scope = scope.iter().map(|id| ServiceId::parse(id).unwrap()).collect();
        let new = NewToken { user, author: &user.id, name, scope };
        create_token(store, new, &ManualClock::at(NOW), &SystemRandom).now_or_never().unwrap()
    }

    fn password(
        store: &Kept,
        user: &User,
        name: &str,
    ) -> Result<(ApplicationPassword, Secret), TokenRefusal> {
        create_password(store, (user, name), &ManualClock::at(NOW), &SystemRandom).now_or_never().unwrap()
    }

    #[test]
    fn what_is_kept_is_the_digest_of_what_is_shown() {
        let store = Kept::default();
        let (made, text) = token(&store, &jane(), "ci", &["b".into(), "a".into(), "b".into()]).unwrap();
        assert_eq!(permanent::digest(text.expose().as_bytes()), Some(made.digest));
        assert_eq!(made.scope.iter().map(ServiceId::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((made.created, made.used), (NOW, None));
        let (made, text) = password(&store, &jane(), "git").unwrap();
        assert_eq!(opaque::digest(Kind::ApplicationPassword, text.expose()), Some(made.digest));
    }

    #[test]
    fn who_may_not_and_what_makes_no_sense_is_refused() {
        let store = Kept::default();
        let scope = ["a".to_owned()];
        let banned =
            User { ban: Some(Ban { reason: String::new(), badge: String::new(), since: NOW }), ..jane() };
        let guest = User { guest: true, ..jane() };
        for user in [&banned, &guest] {
            assert!(matches!(token(&store, user, "x", &scope), Err(TokenRefusal::NotActive(_))));
            assert!(matches!(password(&store, user, "x"), Err(TokenRefusal::NotActive(_))));
        }
        for name in ["", " ", "x ", "x\n", &"x".repeat(101)] {
            assert!(matches!(token(&store, &jane(), name, &scope), Err(TokenRefusal::Name(_))), "{name:?}");
            assert!(matches!(password(&store, &jane(), name), Err(TokenRefusal::Name(_))), "{name:?}");
        }
        assert!(matches!(token(&store, &jane(), "x", &[]), Err(TokenRefusal::NoScope)));
        let wide: Vec<String> = (0..=WIDEST).map(|number| number.to_string()).collect();
        assert!(matches!(token(&store, &jane(), "x", &wide), Err(TokenRefusal::TooWide)));
        token(&store, &jane(), &"x".repeat(100), &wide[1..]).unwrap();
        assert_eq!(store.0.lock().unwrap().0.len(), 1);
    }

    #[test]
    fn nobody_has_more_than_the_most_and_one_taken_back_makes_room() {
        let store = Kept::default();
        let scope = ["a".to_owned()];
        let tokens: Vec<_> = (0..MOST).map(|_| token(&store, &jane(), "x", &scope).unwrap().0).collect();
        let passwords: Vec<_> = (0..MOST).map(|_| password(&store, &jane(), "x").unwrap().0).collect();
        assert!(matches!(token(&store, &jane(), "x", &scope), Err(TokenRefusal::TooMany(_))));
        assert!(matches!(password(&store, &jane(), "x"), Err(TokenRefusal::TooMany(_))));
        for id in [tokens[0].id, passwords[0].id] {
            let revoke = || revoke(&store, &jane().id, &id).now_or_never().unwrap().unwrap();
            assert!(revoke() && !revoke());
        }
        token(&store, &jane(), "x", &scope).unwrap();
        password(&store, &jane(), "x").unwrap();
    }
}
