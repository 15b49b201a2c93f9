//! Who is signed in on the browser that asks.

use http::{HeaderMap, header::USER_AGENT};

use super::{Control, cookie};
use crate::{
    base::secret::Secret,
    identity::session::{self, SignedIn},
    model::user::User,
    proxy::gate::Caller,
    store::StoreError,
    texts::Language,
};

/// A browser, by its cookie.
pub(super) struct Browser {
    cookie: Option<Secret>,
    signed_in: Option<SignedIn>,
}

impl Browser {
    /// Looks the session up.
    pub(super) async fn find(
        control: &Control,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Self, StoreError> {
        let cookie = cookie::read(headers);
        let signed_in = match &cookie {
            Some(cookie) => control.sessions.find(cookie.expose(), caller.source).await?,
            None => None,
        };
        Ok(Self { cookie, signed_in })
    }

    /// Who, if anybody.
    pub(super) const fn signed_in(&self) -> Option<&SignedIn> {
        self.signed_in.as_ref()
    }

    /// The session and its cookie's value.
    pub(super) fn session(&self) -> Option<(&SignedIn, &Secret)> {
        self.signed_in.as_ref().zip(self.cookie.as_ref())
    }
}

/// The language of somebody's choice, else the one that their browser asks for.
pub(super) fn language_of(user: &User, headers: &HeaderMap) -> Language {
    let chosen = user.profile.locale.as_deref().and_then(Language::of_tag);
    chosen.unwrap_or_else(|| Language::wanted(headers))
}

/// What is noted of a browser that signs in.
pub(super) fn noted<'h>(caller: &Caller, headers: &'h HeaderMap) -> session::Browser<'h> {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    session::Browser { user_agent: agent, address: caller.source }
}
