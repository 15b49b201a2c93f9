//! What a person has given away: sessions, grants with a refresh token, remembered consents, permanent tokens and
//! application passwords. Listed, and taken back one by one.
//!
//! Invariant: only what is this person's is taken back; with it goes, in one transaction, every token that came of it.

use crate::{
    base::{
        id::{TokenId, UserId},
        time::{Clock, Timestamp},
    },
    model::{
        credential::{ApplicationPassword, PermanentToken},
        grant::{Consent, Grant},
        revocation::{Revocation, RevocationTarget},
        session::Session,
    },
    store::{
        Result, RevocationStore,
        credentials::CredentialStore,
        grants::{ConsentStore, GrantStore},
        people::SessionStore,
    },
};

/// What one person has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Browsers on which the person is signed in, the one last used first.
    pub sessions: Vec<Session>,
    /// Clients that can refresh, each with the moment of its latest refresh token, the newest first.
    pub grants: Vec<(Grant, Timestamp)>,
    /// What clients may have without asking, the newest first.
    pub consents: Vec<Consent>,
    /// Permanent tokens, the newest first.
    pub tokens: Vec<PermanentToken>,
    /// Application passwords, the newest first.
    pub passwords: Vec<ApplicationPassword>,
}

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A session ended.
    Session,
    /// A family of tokens was revoked.
    Grant,
    /// A consent was forgotten, and what the client obtained under it revoked.
    Consent,
    /// A permanent token is gone.
    Token,
    /// An application password is gone.
    Password,
}

impl Taken {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Grant => "grant",
            Self::Consent => "consent",
            Self::Token => "permanent token",
            Self::Password => "application password",
        }
    }
}

impl Held {
    /// What has this id, if anything has.
    #[must_use]
    pub fn kind_of(&self, id: &str) -> Option<Taken> {
        let token = TokenId::parse(id);
        let is_token = |known: &TokenId| token.as_ref() == Some(known);
        let kinds = [
            (self.sessions.iter().any(|session| session.id.as_str() == id), Taken::Session),
            (self.grants.iter().any(|(grant, _)| grant.id.as_str() == id), Taken::Grant),
            (self.consents.iter().any(|consent| consent.id.as_str() == id), Taken::Consent),
            (self.tokens.iter().any(|token| is_token(&token.id)), Taken::Token),
            (self.passwords.iter().any(|password| is_token(&password.id)), Taken::Password),
        ];
        kinds.into_iter().find_map(|(is, kind)| is.then_some(kind))
    }
}

/// Everything that `user` has.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &(impl SessionStore + GrantStore + ConsentStore + CredentialStore + ?Sized),
    user: &UserId,
) -> Result<Held> {
    Ok(Held {
        sessions: store.list_sessions(user).await?,
        grants: store.list_grants(user).await?,
        consents: store.list_consents(user).await?,
        tokens: store.list_permanent_tokens(user).await?,
        passwords: store.list_application_passwords(user).await?,
    })
}

/// Takes back the session, grant, consent, permanent token or application password of `user` that has this id. `None` when the person has none of that id.
///
/// # Errors
/// The store's.
pub async fn take_back(
    store: &(impl SessionStore + GrantStore + ConsentStore + CredentialStore + RevocationStore + ?Sized),
    user: &UserId,
    id: &str,
    clock: &dyn Clock,
) -> Result<Option<Taken>> {
    let held = list(store, user).await?;
    let now = clock.now();
    if let Some(session) = held.sessions.iter().find(|session| session.id.as_str() == id) {
        let ended = Revocation::at(now, RevocationTarget::Session(session.id.clone()));
        store.end_session(&session.id, &ended).await?;
        return Ok(Some(Taken::Session));
    }
    if let Some((grant, _)) = held.grants.iter().find(|(grant, _)| grant.id.as_str() == id) {
        store.revoke(&Revocation::at(now, RevocationTarget::Grant(grant.id.clone()))).await?;
        return Ok(Some(Taken::Grant));
    }
    if let Some(consent) = held.consents.iter().find(|consent| consent.id.as_str() == id) {
        store.remove_consent(user, &consent.id, now).await?;
        return Ok(Some(Taken::Consent));
    }
    if let Some(id) = TokenId::parse(id) {
        if store.remove_permanent_token(user, &id).await? {
            return Ok(Some(Taken::Token));
        }
        if store.remove_application_password(user, &id).await? {
            return Ok(Some(Taken::Password));
        }
    }
    Ok(None)
}
