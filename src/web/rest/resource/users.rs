//! `users`: people (hub-contract section 10.2).
//!
//! Invariant: an address leaves only to its owner, and to those who may read users.

use http::Method;
use serde_json::Value;

use crate::{
    model::user::{Email, User},
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, inside, read, write},
        operation::{Answering, Ask, Gives, Need, Operation, Takes},
        permission::Permission,
    },
};

static AVATAR: Kind = Kind {
    name: "defaultavatar",
    entity: false,
    fields: &[read("url", Form::Text, "Where the picture is."), read("pictureUrl", Form::Text, "The same.")],
};

static EMAIL: Kind = Kind {
    name: "EmailJSON",
    entity: false,
    fields: &[
        write("email", Form::Text, "The address."),
        write("verified", Form::Flag, "Whether its owner has shown to read it."),
    ],
};

static PROFILE: Kind = Kind {
    name: "profile",
    entity: false,
    fields: &[
        read("avatar", Form::One(&AVATAR), "The picture."),
        write("email", Form::One(&EMAIL), "The address."),
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
        read("guest", Form::Flag, "Whether this is the user for requests that nobody has signed in for."),
        read("creationTime", Form::Time, "When it was made."),
        write("profile", Form::One(&PROFILE), "What it says of itself.").asked(),
        read("endUserAgreementConsent", Form::One(&AGREEMENT), "Whether it has agreed to the terms of use.")
            .asked(),
        read("avatar", Form::One(&AVATAR), "The picture.").asked(),
    ],
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "users/guest",
        summary: "The user for requests that nobody has signed in for",
        need: Need::Known,
        takes: Takes::Nothing,
        gives: Gives::Object(&USER),
        parameters: &[],
        handler: guest,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}",
        summary: "A user; `me` is who asks",
        need: Need::SelfOr(Permission::UserReadBasic),
        takes: Takes::Nothing,
        gives: Gives::Object(&USER),
        parameters: &[],
        handler: one,
    },
];

/// A user as it is shown.
pub(in crate::web::rest) struct UserView<'a> {
    user: &'a User,
    hub_url: &'a str,
    /// Whether who asks may see more than what one sees of everybody.
    full: bool,
}

impl<'a> UserView<'a> {
    /// As much as who asks may see.
    pub(in crate::web::rest) fn of(user: &'a User, ask: &'a Ask<'_>) -> Self {
        let own = ask.person().is_some_and(|person| person.id == user.id);
        let full = own || ask.may(Permission::UserRead);
        Self { user, hub_url: &ask.caller.snapshot.desk.hub_url, full }
    }
}

impl Object for UserView<'_> {
    fn kind(&self) -> &'static Kind {
        &USER
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let user = self.user;
        Some(match name {
            "id" => user.id.as_str().into(),
            "login" => user.login.as_str().into(),
            "name" => user.name.as_str().into(),
            "banned" => user.ban.is_some().into(),
            "banReason" => user
                .ban
                .as_ref()
                .map(|ban| ban.reason.as_str())
                .filter(|why| self.full && !why.is_empty())?
                .into(),
            "guest" => user.guest.into(),
            "creationTime" => user.created.millis().into(),
            "profile" => inside(&Profile(self), fields),
            "avatar" => inside(&Avatar(self), fields),
            "endUserAgreementConsent" => inside(&Agreement, fields),
            _ => return None,
        })
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

struct Avatar<'a>(&'a UserView<'a>);

impl Object for Avatar<'_> {
    fn kind(&self) -> &'static Kind {
        &AVATAR
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        let url = || format!("{}/api/rest/avatar/{}", self.0.hub_url, self.0.user.id);
        matches!(name, "url" | "pictureUrl").then(|| url().into())
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

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let id = ask.user_id(ask.id(0))?;
        let user = ask.store().find_user(&id).await?.ok_or_else(|| RestError::no_entity(ask.id(0)))?;
        Ok(ask.one(&UserView::of(&user, ask)))
    })
}

fn guest<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let guest = ask.store().find_guest().await?.ok_or_else(|| RestError::no_entity("guest"))?;
        Ok(ask.one(&UserView::of(&guest, ask)))
    })
}
