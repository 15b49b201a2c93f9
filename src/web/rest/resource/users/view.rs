//! How a user is shown.
//!
//! Invariant: an address, groups, a reason of a ban and the last access leave only to their owner, and to those who may read
//! users.

use serde_json::Value;

use crate::{
    model::{
        search::{GroupIs, Page},
        user::{Access, Email, Group, User},
    },
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, inside, read, write},
        operation::Ask,
        permission::Permission,
        resource::{
            userdetails::{DETAILS, DetailsView},
            usergroups::{GROUP, GroupView},
        },
    },
};

static AVATAR: Kind = Kind {
    name: "defaultavatar",
    entity: false,
    fields: &[
        write("url", Form::Text, "Where the picture is: an http or https address."),
        read("pictureUrl", Form::Text, "The same."),
        write("avatarUrl", Form::Text, "The same.").secret(),
    ],
};

static EMAIL: Kind = Kind {
    name: "EmailJSON",
    entity: false,
    fields: &[
        write("email", Form::Text, "The address."),
        write("verified", Form::Flag, "Whether its owner has shown to read it."),
    ],
};

static LOCALE: Kind = Kind {
    name: "locale",
    entity: false,
    fields: &[
        write("name", Form::Text, "The language, as `en_US`."),
        read("label", Form::Text, "The same."),
        read("language", Form::Text, "Its first part."),
        read("region", Form::Text, "Its last part, where there are more."),
    ],
};

static PROFILE: Kind = Kind {
    name: "profile",
    entity: false,
    fields: &[
        write("avatar", Form::One(&AVATAR), "The picture."),
        write("email", Form::One(&EMAIL), "The address."),
        write("locale", Form::One(&LOCALE), "The language."),
    ],
};

static AGREEMENT: Kind = Kind {
    name: "endUserAgreementConsent",
    entity: false,
    fields: &[read("accepted", Form::Flag, "Whether there is nothing left to agree to.")],
};

pub(in crate::web::rest) static USER: Kind = Kind {
    name: "user",
    entity: true,
    fields: &[
        read("id", Form::Text, "`sub` of tokens."),
        write("login", Form::Text, "What one types to sign in."),
        write("name", Form::Text, "What people see."),
        write("banned", Form::Flag, "Whether nobody may act for this user."),
        write("banReason", Form::Text, "Why; for administrators."),
        write("banBadge", Form::Text, "What others see beside the name of one who is banned."),
        read("guest", Form::Flag, "Whether this is the user for requests that nobody has signed in for."),
        read("creationTime", Form::Time, "When it was made."),
        read("lastAccessTime", Form::Time, "When it was last seen."),
        read("eraseTimestamp", Form::Time, "When everything was taken out that tells whose it was."),
        read("requiredTwoFactorAuthentication", Form::Flag, "Whether a second factor is asked for."),
        write("profile", Form::One(&PROFILE), "What it says of itself."),
        read("endUserAgreementConsent", Form::One(&AGREEMENT), "Whether it has agreed to the terms of use.")
            .asked(),
        write("avatar", Form::One(&AVATAR), "The picture.").asked(),
        write("groups", Form::Many(&GROUP), "The groups that it was put into.").asked(),
        read("transitiveGroups", Form::Many(&GROUP), "Those, the groups above them, and that of all users.")
            .asked(),
        write("details", Form::Many(&DETAILS), "How it signs in.").asked(),
        write("administrator", Form::Flag, "Whether it may administer the gateway.").asked(),
        read(
            "immutable",
            Form::Flag,
            "Whether the configuration file declares it, so that it is changed there.",
        )
        .asked(),
        write("fullName", Form::Text, "The name, as some clients send it.").secret(),
        write("email", Form::Text, "The address, as some clients send it.").secret(),
        write("password", Form::Text, "The password, as some clients send it.").secret(),
        write("oldPassword", Form::Text, "The password before, for one who changes their own.").secret(),
        write("forceChangePassword", Form::Flag, "Whether the password is good for one sign-in.").secret(),
    ],
};

/// A user as it is shown.
pub(in crate::web::rest) struct UserView<'a> {
    pub(in crate::web::rest) user: &'a User,
    hub_url: &'a str,
    /// Whether who asks may see more than what one sees of everybody.
    full: bool,
    groups: Vec<GroupView>,
    transitive: Vec<GroupView>,
    access: Option<Access>,
}

impl<'a> UserView<'a> {
    /// As much as who asks may see, without what has to be read for it.
    pub(in crate::web::rest) fn of(user: &'a User, ask: &'a Ask<'_>) -> Self {
        let own = ask.person().is_some_and(|person| person.id == user.id);
        let full = own || ask.may(Permission::UserRead);
        Self::seen(user, &ask.caller.snapshot.desk.hub_url, full)
    }

    /// All of it that needs no reading, for one who may read users.
    pub(in crate::web::rest) fn readable(user: &'a User, hub_url: &'a str) -> Self {
        Self::seen(user, hub_url, true)
    }

    fn seen(user: &'a User, hub_url: &'a str, full: bool) -> Self {
        Self { user, hub_url, full, groups: Vec::new(), transitive: Vec::new(), access: None }
    }

    /// The same with what `fields` wants beside it, read for all of them at once.
    pub(in crate::web::rest) async fn all(
        users: &'a [User],
        ask: &'a Ask<'_>,
        fields: &Fields,
    ) -> Result<Vec<Self>, RestError> {
        let mut views: Vec<Self> = users.iter().map(|user| Self::of(user, ask)).collect();
        let store = ask.store();
        let ids: Vec<_> = views.iter().filter(|view| view.full).map(|view| view.user.id.clone()).collect();
        if ids.is_empty() {
            return Ok(views);
        }
        if fields.names("groups") {
            let mut wanted: Vec<_> =
                views.iter().filter(|view| view.full).flat_map(|view| view.user.groups.clone()).collect();
            wanted.sort();
            wanted.dedup();
            let known = store.groups_by_id(&wanted).await?;
            for view in views.iter_mut().filter(|view| view.full) {
                let own = known.iter().filter(|group| view.user.groups.contains(&group.id));
                view.groups = own.cloned().map(GroupView::plain).collect();
            }
        }
        if fields.names("transitiveGroups") {
            let everybody = store.find_groups(&GroupIs::AllUsers.into(), &[], Page::first(1)).await?.items;
            let of: Vec<Vec<Group>> = store.groups_of(&ids).await?;
            for (view, groups) in views.iter_mut().filter(|view| view.full).zip(of) {
                let everybody = everybody.iter().filter(|_| !view.user.guest).cloned();
                view.transitive = groups.into_iter().chain(everybody).map(GroupView::plain).collect();
            }
        }
        if fields.is_usual() || fields.names("lastAccessTime") || fields.names("details") {
            let accesses = store.last_accesses(&ids).await?;
            for (view, access) in views.iter_mut().filter(|view| view.full).zip(accesses) {
                view.access = access;
            }
        }
        Ok(views)
    }

    /// One of them.
    pub(in crate::web::rest) async fn one(user: &'a User, ask: &'a Ask<'_>) -> Result<Self, RestError> {
        let mut views = Self::all(std::slice::from_ref(user), ask, &ask.fields).await?;
        views.pop().ok_or_else(|| RestError::no_entity(user.id.as_str()))
    }

    /// The address of the picture.
    pub(super) fn picture(user: &User, hub_url: &str) -> String {
        let drawn = || format!("{hub_url}/api/rest/avatar/{}", user.id);
        user.profile.avatar_url.clone().unwrap_or_else(drawn)
    }
}

impl Object for UserView<'_> {
    fn kind(&self) -> &'static Kind {
        &USER
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let user = self.user;
        let ban = user.ban.as_ref();
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Value::from);
        match name {
            "id" => Some(user.id.as_str().into()),
            "login" => Some(user.login.as_str().into()),
            "name" => Some(user.name.as_str().into()),
            "banned" => Some(ban.is_some().into()),
            "banBadge" => text(&ban?.badge),
            "guest" => Some(user.guest.into()),
            "creationTime" => Some(user.created.millis().into()),
            "requiredTwoFactorAuthentication" => Some(false.into()),
            "eraseTimestamp" => user.erased.map(|time| time.millis().into()),
            "profile" => Some(inside(&Profile(self), fields)),
            "avatar" => Some(inside(&Avatar(self), fields)),
            "endUserAgreementConsent" => Some(inside(&Agreement, fields)),
            // What follows is not everybody's to see.
            _ if !self.full => None,
            "banReason" => text(&ban?.reason),
            "lastAccessTime" => self.access.as_ref().map(|access| access.time.millis().into()),
            "groups" => Some(all_inside(&self.groups, fields)),
            "transitiveGroups" => Some(all_inside(&self.transitive, fields)),
            "details" => {
                let details =
                    user.password.as_ref().map(|_| DetailsView { user, access: self.access.as_ref() });
                Some(all_inside(&details, fields))
            }
            "administrator" => Some(user.administrator.into()),
            "immutable" => Some(user.declared.into()),
            _ => None,
        }
    }
}

struct Profile<'a>(&'a UserView<'a>);

impl Object for Profile<'_> {
    fn kind(&self) -> &'static Kind {
        &PROFILE
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        match name {
            "avatar" => Some(inside(&Avatar(self.0), fields)),
            "email" if self.0.full => Some(inside(self.0.user.email.as_ref()?, fields)),
            "locale" if self.0.full => Some(inside(&Locale(self.0.user.profile.locale.as_deref()?), fields)),
            _ => None,
        }
    }
}

impl Object for Email {
    fn kind(&self) -> &'static Kind {
        &EMAIL
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "email" => Some(self.address.as_str().into()),
            "verified" => Some(self.verified.into()),
            _ => None,
        }
    }
}

struct Locale<'a>(&'a str);

impl Object for Locale<'_> {
    fn kind(&self) -> &'static Kind {
        &LOCALE
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        let mut parts = self.0.split(['_', '-']);
        match name {
            "name" | "label" => Some(self.0.into()),
            "language" => parts.next().map(Value::from),
            "region" => parts.skip(1).last().map(Value::from),
            _ => None,
        }
    }
}

struct Avatar<'a>(&'a UserView<'a>);

impl Object for Avatar<'_> {
    fn kind(&self) -> &'static Kind {
        &AVATAR
    }

    fn type_name(&self) -> &'static str {
        if self.0.user.profile.avatar_url.is_some() { "urlavatar" } else { "defaultavatar" }
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        matches!(name, "url" | "pictureUrl").then(|| UserView::picture(self.0.user, self.0.hub_url).into())
    }
}

struct Agreement;

impl Object for Agreement {
    fn kind(&self) -> &'static Kind {
        &AGREEMENT
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        // There are no terms to agree to.
        (name == "accepted").then_some(Value::Bool(true))
    }
}
