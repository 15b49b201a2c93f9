//! What a body says of a user, in every form in which clients say it (hub-contract section 10.2), and what of it differs from
//! the user as it is: clients send back what they have read.

use super::view::UserView;
use crate::{
    base::{id::GroupId, secret::Secret},
    crypto::password::Hasher,
    model::user::User,
    registry::users::NewPassword,
    web::rest::{error::RestError, input::Input, resource::authmodules::CORE_ID},
};

/// What is to be set; `None` stays as it is, `Some(None)` is cleared.
#[derive(Debug, Clone, Default)]
#[expect(clippy::option_option, reason = "to leave alone, to clear and to set are three things")]
pub(in crate::web::rest::resource) struct Wanted {
    pub(super) login: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<Option<String>>,
    pub(super) verified: Option<bool>,
    pub(super) avatar_url: Option<Option<String>>,
    pub(super) locale: Option<Option<String>>,
    pub(super) administrator: Option<bool>,
    pub(super) banned: Option<bool>,
    pub(super) ban_reason: Option<String>,
    pub(super) ban_badge: Option<String>,
    pub(super) groups: Option<Vec<GroupId>>,
    pub(super) password: Option<Given>,
    pub(super) must_change: Option<bool>,
}

/// A password that is to be set.
#[derive(Debug, Clone)]
pub(in crate::web::rest::resource) struct Given {
    what: What,
    /// What it was before, from one who changes their own.
    pub(super) old: Option<Secret>,
}

#[derive(Debug, Clone)]
enum What {
    Plain(Secret),
    /// As another system has hashed it.
    Hash(Secret),
}

impl Given {
    /// Whether it is a hash, of which nobody can tell whether the password is long enough.
    pub(super) const fn is_hash(&self) -> bool {
        matches!(self.what, What::Hash(_))
    }

    /// Its hash, as it may be stored.
    pub(super) async fn hashed(
        &self,
        must_change: bool,
        hasher: &dyn Hasher,
    ) -> Result<NewPassword, RestError> {
        Ok(match &self.what {
            What::Plain(password) => NewPassword::of(password, must_change, hasher).await?,
            What::Hash(hash) => NewPassword::imported(hash.expose())?,
        })
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

impl Wanted {
    /// Reads a body.
    pub(super) fn read(input: Input<'_>) -> Result<Self, RestError> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let mut wanted = Self {
            login: owned(input.text("login")?),
            name: owned(input.text("name")?.map_or_else(|| input.text("fullName"), |name| Ok(Some(name)))?),
            administrator: input.flag("administrator")?,
            banned: input.flag("banned")?,
            ban_reason: owned(input.text("banReason")?),
            ban_badge: owned(input.text("banBadge")?),
            groups: input.objects("groups")?.map(|groups| ids(&groups)).transpose()?,
            must_change: input.flag("forceChangePassword")?,
            avatar_url: avatar(input)?,
            ..Self::default()
        };
        if let Some(profile) = input.object("profile")? {
            wanted.profile(profile)?;
        }
        if input.get("email").is_some() {
            wanted.email(input)?;
        }
        for details in input.objects("details")?.unwrap_or_default() {
            wanted.details(details)?;
        }
        if let Some(given) = password(input)? {
            wanted.password = Some(given);
        }
        if let (Some(given), Some(old)) = (&mut wanted.password, input.text("oldPassword")?) {
            given.old = Some(secret(old));
        }
        Ok(wanted)
    }

    fn profile(&mut self, profile: Input<'_>) -> Result<(), RestError> {
        self.avatar_url = avatar(profile)?.or_else(|| self.avatar_url.take());
        self.email(profile)?;
        match profile.get("locale") {
            Some(locale) if locale.is_object() => {
                let Some(locale) = profile.object("locale")? else { return Ok(()) };
                let name = locale.clearable("name")?;
                let parts = match (locale.text("language")?, locale.text("region")?) {
                    (Some(language), Some(region)) => Some(Some(format!("{language}_{region}"))),
                    (language, _) => language.map(|language| Some(language.to_owned())),
                };
                self.locale = name.or(parts);
            }
            Some(_) => self.locale = profile.clearable("locale")?,
            None => {}
        }
        Ok(())
    }

    /// An address, as a text or as an object.
    fn email(&mut self, input: Input<'_>) -> Result<(), RestError> {
        match input.get("email") {
            Some(email) if email.is_object() => {
                let Some(email) = input.object("email")? else { return Ok(()) };
                self.email = email.clearable("email")?;
                self.verified = email.flag("verified")?;
            }
            Some(_) => self.email = input.clearable("email")?,
            None => {}
        }
        Ok(())
    }

    /// How a user signs in: an object of `details`, or a body of `userdetails`.
    pub(super) fn details(&mut self, details: Input<'_>) -> Result<(), RestError> {
        if let Some(module) = details.object("authModule")?
            && module.text("id")?.is_some_and(|id| id != CORE_ID)
        {
            return Err(RestError::bad_field("authModule", "names a module that there is not"));
        }
        if let Some(login) = details.text("login")? {
            self.login = Some(login.to_owned());
        }
        if details.get("email").is_some() {
            self.email(details)?;
        }
        if let Some(given) = password(details)? {
            self.password = Some(given);
        }
        self.must_change = details.flag("passwordChangeRequired")?.or(self.must_change);
        Ok(())
    }

    /// What of it is not as `user` has it.
    pub(super) fn other_than(mut self, user: &User, hub_url: &str) -> Self {
        fn keep<T: PartialEq>(wanted: &mut Option<T>, is: &T) {
            if wanted.as_ref() == Some(is) {
                *wanted = None;
            }
        }
        keep(&mut self.login, &user.login);
        keep(&mut self.name, &user.name);
        keep(&mut self.email, &user.email.as_ref().map(|email| email.address.clone()));
        // Only of the address that there is: of another it says something else.
        if self.email.is_none() {
            keep(&mut self.verified, &user.email.as_ref().is_some_and(|email| email.verified));
        }
        keep(&mut self.avatar_url, &Some(UserView::picture(user, hub_url)));
        keep(&mut self.avatar_url, &user.profile.avatar_url);
        keep(&mut self.locale, &user.profile.locale);
        keep(&mut self.administrator, &user.administrator);
        let ban = user.ban.as_ref();
        keep(&mut self.banned, &ban.is_some());
        keep(&mut self.ban_reason, &ban.map(|ban| ban.reason.clone()).unwrap_or_default());
        keep(&mut self.ban_badge, &ban.map(|ban| ban.badge.clone()).unwrap_or_default());
        if let Some(groups) = &mut self.groups {
            groups.sort();
            groups.dedup();
        }
        keep(&mut self.groups, &user.groups);
        if self.password.is_none() {
            let must_change = user.password.as_ref().is_some_and(|password| password.must_change);
            keep(&mut self.must_change, &must_change);
        }
        self
    }

    /// Whether the user as such changes: not the password, a ban, or groups.
    pub(super) const fn changes_the_user(&self) -> bool {
        self.login.is_some()
            || self.name.is_some()
            || self.email.is_some()
            || self.verified.is_some()
            || self.avatar_url.is_some()
            || self.locale.is_some()
            || self.administrator.is_some()
    }

    /// What of it a user may not do to itself: the field, if there is one.
    pub(super) fn beyond_oneself(&self) -> Option<&'static str> {
        [
            ("login", self.login.is_some()),
            ("verified", self.verified == Some(true)),
            ("administrator", self.administrator.is_some()),
            ("banned", self.banned.is_some()),
            ("banReason", self.ban_reason.is_some()),
            ("banBadge", self.ban_badge.is_some()),
            ("groups", self.groups.is_some()),
            ("forceChangePassword", self.must_change == Some(true)),
        ]
        .into_iter()
        .find_map(|(field, wanted)| wanted.then_some(field))
    }
}

/// Ids of the groups in a body. That of all users says nothing, and is left out by whoever knows it.
pub(in crate::web::rest::resource) fn ids(groups: &[Input<'_>]) -> Result<Vec<GroupId>, RestError> {
    let id = |group: &Input<'_>| {
        GroupId::parse(group.required("id")?).map_err(|_| RestError::bad_field("id", "is no id of a group"))
    };
    groups.iter().map(id).collect()
}

/// A picture; `Some(None)` where the drawn one is wanted.
#[expect(clippy::option_option, reason = "to leave alone, to clear and to set are three things")]
fn avatar(input: Input<'_>) -> Result<Option<Option<String>>, RestError> {
    let Some(avatar) = input.object("avatar")? else { return Ok(None) };
    let url = match avatar.clearable("avatarUrl")? {
        Some(url) => Some(url),
        None => avatar.clearable("url")?,
    };
    let drawn = avatar.text("type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("defaultavatar"));
    Ok(url.or(drawn.then_some(None)))
}

/// A password: a text, or one of Hub's objects.
fn password(input: Input<'_>) -> Result<Option<Given>, RestError> {
    let what = match input.get("password") {
        None => return Ok(None),
        Some(password) if password.is_object() => {
            let Some(password) = input.object("password")? else { return Ok(None) };
            let kind = password.text("type")?.unwrap_or_default().to_ascii_lowercase();
            if kind.starts_with("md5") || kind.starts_with("sha") || password.text("salt")?.is_some() {
                let why = "is a hash that opens too easily: send it plain, or as bcrypt or argon2id";
                return Err(RestError::bad_field("password", why));
            }
            let hash = password.text("hashedValue")?.map(|hash| What::Hash(secret(hash)));
            let what = match hash {
                Some(hash) => hash,
                None => What::Plain(secret(password.required("value")?)),
            };
            let old = password.text("oldValue")?.map(secret);
            return Ok(Some(Given { what, old }));
        }
        Some(_) => What::Plain(secret(input.required("password")?)),
    };
    Ok(Some(Given { what, old: None }))
}
