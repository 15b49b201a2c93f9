//! What the pages for signing in show, each as a struct that its template reads.

use std::{borrow::Cow, time::Duration};

use super::Language;
use crate::{
    base::url::web_origin,
    model::{scope::GrantedScope, service::Service},
    oauth::error::ErrorCode,
};

/// The login page.
#[derive(Debug, Default)]
pub struct Login<'a> {
    /// The name of the service that asks; `None`: the gateway itself.
    pub service: Option<&'a str>,
    /// Its picture, if browsers may load that from where it is, see [`icon_of`].
    pub icon: Option<(&'a str, String)>,
    /// Text of the request, for the person.
    pub message: Option<Cow<'a, str>>,
    /// What went wrong at the attempt before.
    pub notice: Option<Notice>,
    /// What the login field begins with.
    pub login: &'a str,
    /// Whether "remember me" begins ticked.
    pub remember: bool,
    /// Where the form goes: path and query of ours.
    pub action: &'a str,
    /// Where somebody goes who has forgotten the password, if there is such a page.
    pub restore: Option<&'a str>,
    /// Origins that may frame the page and are told how it stands; empty: none.
    pub tell: &'a [String],
}

/// Why somebody is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Which of the two is wrong is not said, nor whether the account exists.
    WrongCredentials,
    /// Too many attempts; the next one counts after this time.
    Throttled(Duration),
    /// Too many people are signing in; there is room after this time.
    Busy(Duration),
    /// Nobody can sign in for now.
    Unavailable,
    /// The code is wrong, or was used before; which is not said.
    WrongCode,
    /// The second step came too late, or not to this sign-in.
    Expired,
    /// A password was chosen by a link. Nothing went wrong.
    PasswordSet,
}

impl Notice {
    /// In words.
    #[must_use]
    pub fn text(self, t: Language) -> String {
        match self {
            Self::WrongCredentials => t.wrong_credentials().to_owned(),
            Self::Throttled(wait) => t.throttled(t.duration(wait)),
            Self::Busy(wait) => t.busy(t.duration(wait)),
            Self::Unavailable => t.unavailable().to_owned(),
            Self::WrongCode => t.wrong_code().to_owned(),
            Self::Expired => t.second_step_expired().to_owned(),
            Self::PasswordSet => t.password_set().to_owned(),
        }
    }

    /// Whether it is good news.
    pub(super) const fn is_good(self) -> bool {
        matches!(self, Self::PasswordSet)
    }

    /// After how many seconds it no longer holds.
    pub(super) const fn wait(self) -> Option<u64> {
        match self {
            Self::Throttled(wait) | Self::Busy(wait) => Some(wait.as_secs() + 1),
            Self::WrongCredentials
            | Self::Unavailable
            | Self::WrongCode
            | Self::Expired
            | Self::PasswordSet => None,
        }
    }
}

/// The consent page.
#[derive(Debug)]
pub struct Consent<'a> {
    /// The service that asks.
    pub client: &'a str,
    /// Who is asked.
    pub name: &'a str,
    /// Their login.
    pub login: &'a str,
    /// Its picture, see [`icon_of`].
    pub icon: Option<(&'a str, String)>,
    /// The address of its home, shown as text.
    pub home: Option<&'a str>,
    /// The services that it asks for.
    pub services: &'a [Wanted<'a>],
    /// What else it asks for, and whether that is new.
    pub claims: &'a [(Claim, bool)],
    /// Whether something was allowed before.
    pub again: bool,
    /// Until when it is remembered, as a date.
    pub until: &'a str,
    /// Where people take it back.
    pub account: &'a str,
    /// Where the answer goes.
    pub destination: &'a str,
    /// Where the form goes: path and query of ours.
    pub action: &'a str,
    /// What the form carries unseen. The buttons add `decision`, `allow` or `cancel`.
    pub fields: &'a [(&'static str, String)],
}

impl Consent<'_> {
    /// Who is asked, in words.
    pub(super) fn person(&self) -> String {
        if self.login == self.name { self.name.to_owned() } else { format!("{} ({})", self.name, self.login) }
    }
}

/// A service that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it was not allowed before.
    pub new: bool,
}

/// What a scope asks for besides services, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `openid`, `profile`
    Identity,
    /// `email`
    Email,
    /// `groups`
    Groups,
    /// A refresh token.
    Offline,
}

impl Claim {
    /// What these words of a scope ask for.
    #[must_use]
    pub fn among(words: &[String]) -> Vec<Self> {
        let has = |word: &str| words.iter().any(|each| each == word);
        let asked = [
            (Self::Identity, has("openid") || has("profile")),
            (Self::Email, has("email")),
            (Self::Groups, has("groups")),
            (Self::Offline, has("offline_access")),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(claim, _)| claim).collect()
    }

    /// What `scope` asks for; `offline` when a refresh token comes with it.
    #[must_use]
    pub fn of(scope: &GrantedScope, offline: bool) -> Vec<Self> {
        let asked = [
            (Self::Identity, scope.has("openid") || scope.has("profile")),
            (Self::Email, scope.has("email")),
            (Self::Groups, scope.has("groups")),
            (Self::Offline, offline || scope.has("offline_access")),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(claim, _)| claim).collect()
    }

    /// What its picture draws, on 24 by 24.
    pub(super) const fn outline(self) -> &'static str {
        match self {
            Self::Identity => "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4 20a8 8 0 0 1 16 0",
            Self::Email => "M3 6h18v12H3ZM3 7l9 6 9-6",
            Self::Groups => {
                "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2 20a7 7 0 0 1 14 0M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14a7 7 0 0 1 4 6"
            }
            Self::Offline => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2",
        }
    }

    pub(in crate::web) const fn title(self, t: Language) -> &'static str {
        match self {
            Self::Identity => t.claim_identity(),
            Self::Email => t.claim_email(),
            Self::Groups => t.claim_groups(),
            Self::Offline => t.claim_offline(),
        }
    }

    pub(super) const fn detail(self, t: Language) -> &'static str {
        match self {
            Self::Identity => t.claim_identity_detail(),
            Self::Email => t.claim_email_detail(),
            Self::Groups => t.claim_groups_detail(),
            Self::Offline => t.claim_offline_detail(),
        }
    }
}

/// The page on which somebody who signed in with a one-time password chooses another.
#[derive(Debug, Default)]
pub struct NewPassword<'a> {
    /// Whose.
    pub login: &'a str,
    /// Why, or what comes of it.
    pub intro: &'a str,
    /// What was wrong with the attempt before.
    pub notice: Option<&'a str>,
    /// Where the form goes: path and query of ours. It brings `newPassword` and `newPasswordAgain`.
    pub action: &'a str,
    /// What the form carries unseen.
    pub fields: &'a [(&'static str, String)],
}

/// The page on which somebody who has shown the password shows a code.
#[derive(Debug)]
pub struct SecondStep<'a> {
    /// Whose.
    pub login: &'a str,
    /// What went wrong at the attempt before.
    pub notice: Option<Notice>,
    /// What the form carries unseen, as `ticket`; it brings `code` besides.
    pub ticket: &'a str,
    /// Where the form goes: path and query of ours.
    pub action: &'a str,
    /// Origins that may frame the page and are told how it stands; empty: none.
    pub tell: &'a [String],
}

/// A page around a letter: asking for one, what its link does, that it does nothing any more.
#[derive(Debug, Default)]
pub struct Mailed<'a> {
    /// The heading.
    pub title: &'a str,
    /// The text below it.
    pub text: &'a str,
    /// What went wrong at the attempt before.
    pub notice: Option<Notice>,
    /// Where the form goes, if there is one: path and query of ours.
    pub action: Option<&'a str>,
    /// What the form's field `username` begins with, if it has one.
    pub name: Option<&'a str>,
    /// What the form's button says.
    pub button: &'a str,
    /// A link of ours, and what it says.
    pub back: Option<(&'a str, &'a str)>,
}

/// A page for what cannot be answered with a redirect: the client or its address cannot be trusted.
#[derive(Debug)]
pub struct Problem<'a> {
    /// The code.
    pub code: ErrorCode,
    /// What exactly, in English.
    pub detail: &'a str,
    /// The address that is not trusted: shown as text, never a link.
    pub address: Option<Cow<'a, str>>,
    /// Finds the line in the log.
    pub request_id: &'a str,
}

/// An authorization response that the browser posts (OAuth 2.0 Form Post Response Mode).
#[derive(Debug)]
pub struct FormPost<'a> {
    /// The service that it goes to.
    pub service: Option<&'a str>,
    /// Its redirect URI.
    pub action: &'a str,
    /// The parameters of the response.
    pub fields: &'a [(&'static str, String)],
}

/// The picture of a service, and the origin that it is loaded from: where that is one of the service's own. Others would learn
/// who signs in where.
#[must_use]
pub fn icon_of(service: &Service) -> Option<(&str, String)> {
    let url = service.profile.icon_url.as_deref()?;
    let origin = web_origin(url)?;
    service.origins().contains(&origin).then_some((url, origin))
}

/// Which of six colours stands for a name.
pub(in crate::web) fn colour(name: &str) -> usize {
    name.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 6
}

/// The letter that stands for a name.
pub(in crate::web) fn letter(name: &str) -> char {
    name.chars().find(|c| c.is_alphanumeric()).unwrap_or('?')
}
