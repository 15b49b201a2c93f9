//! `userdetails`: how users sign in. Each has one way at most, a login with a password (hub-contract section 10.2).
//!
//! Invariant: a password goes in and never comes out.

use http::Method;
use serde_json::Value;

use super::{
    authmodules::{CORE_NAME, Core, MODULE},
    users::{USER, change_user, find_user, user_filter, user_order, wanted_details},
};
use crate::{
    model::{
        search::{Filter, Page, UserFilter, UserIs},
        user::{Access, User},
    },
    registry::users as verbs,
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, inside, read, write},
        operation::{Answer, Answering, Ask, Gives, Handler, Need, Operation, Takes},
        permission::Permission,
        query::{Expr, Item},
        search::unknown_field,
    },
};

pub(in crate::web::rest) static DETAILS: Kind = Kind {
    name: "LoginuserdetailsJSON",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id, which is the user's."),
        write("login", Form::Text, "What one types to sign in."),
        write("email", Form::Text, "The address, which serves to sign in too."),
        write("authModule", Form::One(&MODULE), "The way to sign in.").asked(),
        read("authModuleName", Form::Text, "Its name."),
        write("user", Form::One(&USER), "The user.").asked(),
        read("lastAccessTime", Form::Time, "When the user was last seen."),
        read("lastAccessAddress", Form::Text, "From where."),
        read("lastAccessUserAgent", Form::Text, "With which browser."),
        write("passwordChangeRequired", Form::Flag, "Whether the password is good for one sign-in."),
        write("password", Form::One(&PASSWORD), "The password.").secret(),
    ],
};

static PASSWORD: Kind = Kind {
    name: "PlainpasswordJSON",
    entity: false,
    fields: &[
        write("value", Form::Text, "In plain.").secret(),
        write("hashedValue", Form::Text, "As bcrypt or argon2id has hashed it.").secret(),
        write("oldValue", Form::Text, "What it was, for one who changes their own.").secret(),
    ],
};

const READ: Need = Need::May(Permission::UserRead);
const UPDATE: Need = Need::May(Permission::UserUpdate);

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    operation(Method::GET, "userdetails", "How users sign in", READ, Gives::Page(&DETAILS), list),
    operation(Method::POST, "userdetails", "Give a user a password", UPDATE, Gives::Object(&DETAILS), add),
    operation(Method::GET, "userdetails/{id}", "How a user signs in", READ, Gives::Object(&DETAILS), one),
    operation(
        Method::POST,
        "userdetails/{id}",
        "Change how a user signs in",
        UPDATE,
        Gives::Updated(&DETAILS),
        update,
    ),
    operation(
        Method::DELETE,
        "userdetails/{id}",
        "Take a user's password away; sessions and tokens are dead",
        UPDATE,
        Gives::Nothing,
        remove,
    ),
    operation(
        Method::GET,
        "users/{id}/userdetails",
        "How a user signs in",
        Need::SelfOr(Permission::UserRead),
        Gives::Page(&DETAILS),
        of_user,
    ),
    operation(
        Method::POST,
        "users/{id}/userdetails",
        "Give a user a password; for oneself with the one before as `oldValue`",
        Need::SelfOr(Permission::UserUpdate),
        Gives::Updated(&DETAILS),
        update,
    ),
    operation(
        Method::GET,
        "users/{id}/userdetails/{details}",
        "How a user signs in, by its own id",
        Need::SelfOr(Permission::UserRead),
        Gives::Object(&DETAILS),
        one_of_user,
    ),
    operation(
        Method::DELETE,
        "users/{id}/userdetails/{details}",
        "Take a user's password away; sessions and tokens are dead",
        UPDATE,
        Gives::Nothing,
        remove_of_user,
    ),
];

const fn operation(
    method: Method,
    path: &'static str,
    summary: &'static str,
    need: Need,
    gives: Gives,
    handler: Handler,
) -> Operation {
    let takes = match method {
        Method::POST => Takes::Object(&DETAILS),
        _ => Takes::Nothing,
    };
    Operation { method, path, summary, need, takes, gives, parameters: &[], handler }
}

/// How a user with a password signs in.
pub(in crate::web::rest) struct DetailsView<'a> {
    pub(super) user: &'a User,
    pub(super) access: Option<&'a Access>,
}

impl Object for DetailsView<'_> {
    fn kind(&self) -> &'static Kind {
        &DETAILS
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        match name {
            "id" => Some(self.user.id.as_str().into()),
            "login" => Some(self.user.login.as_str().into()),
            "email" => Some(self.user.email.as_ref()?.address.as_str().into()),
            "authModule" => Some(inside(&Core::default(), fields)),
            "authModuleName" => Some(CORE_NAME.into()),
            "user" => Some(inside(&Owner(self.user), fields)),
            "lastAccessTime" => Some(self.access?.time.millis().into()),
            "lastAccessAddress" => Some(self.access?.address.as_str().into()),
            "lastAccessUserAgent" => Some(self.access?.user_agent.as_str().into()),
            "passwordChangeRequired" => Some(self.user.password.as_ref()?.must_change.into()),
            _ => None,
        }
    }
}

/// The user of details: who it is, no more.
struct Owner<'a>(&'a User);

impl Object for Owner<'_> {
    fn kind(&self) -> &'static Kind {
        &USER
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "id" => Some(self.0.id.as_str().into()),
            "login" => Some(self.0.login.as_str().into()),
            "name" => Some(self.0.name.as_str().into()),
            "banned" => Some(self.0.ban.is_some().into()),
            "guest" => Some(self.0.guest.into()),
            _ => None,
        }
    }
}

/// A query over details: by their module, and by their user.
fn filter(expr: &Expr, ask: &Ask<'_>) -> Result<UserFilter, RestError> {
    let parts = |parts: &[Expr]| parts.iter().map(|part| filter(part, ask)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::And(all) => Filter::And(parts(all)?),
        Expr::Or(any) => Filter::Or(parts(any)?),
        Expr::Not(inner) => Filter::Not(Box::new(filter(inner, ask)?)),
        Expr::Item(Item::Field(field, word)) => match field.to_ascii_lowercase().as_str() {
            "authmethod" | "authmodule" if word.is(CORE_NAME) || word.is("core") => Filter::default(),
            // There is no other.
            "authmethod" | "authmodule" => Filter::Or(Vec::new()),
            "user" => user_filter(Some(&Expr::Item(Item::Field("login".to_owned(), word.clone()))), ask)?,
            "login" | "email" | "id" => user_filter(Some(expr), ask)?,
            _ => return Err(unknown_field(field)),
        },
        Expr::Item(_) => user_filter(Some(expr), ask)?,
    })
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let wanted = ask.filter()?.map_or_else(|| Ok(Filter::default()), |expr| filter(&expr, ask))?;
        let filter = Filter::And(vec![UserIs::HasPassword.into(), wanted]);
        let order = user_order(&ask.order()?, ask)?;
        let part = Page { skip: page.skip, top: Some(page.limit()) };
        let found = ask.store().find_users(&filter, &order, part).await?;
        let ids: Vec<_> = found.items.iter().map(|user| user.id.clone()).collect();
        let accesses = ask.store().last_accesses(&ids).await?;
        let views = found.items.iter().zip(&accesses);
        let views: Vec<_> =
            views.map(|(user, access)| DetailsView { user, access: access.as_ref() }).collect();
        ask.listed("userdetails", page, found.total, &views)
    })
}

/// The access of a user, and the answer that shows the details.
async fn shown(
    ask: &Ask<'_>,
    user: &User,
    answer: impl FnOnce(&DetailsView<'_>) -> Answer,
) -> Result<Answer, RestError> {
    let accesses = ask.store().last_accesses(std::slice::from_ref(&user.id)).await?;
    Ok(answer(&DetailsView { user, access: accesses.first().and_then(Option::as_ref) }))
}

/// A user who has details.
async fn find(ask: &Ask<'_>, id: &str) -> Result<User, RestError> {
    let user = find_user(ask, id).await?;
    if user.password.is_some() { Ok(user) } else { Err(RestError::no_entity(id)) }
}

/// A user whose details the path names. Their id is the user's.
async fn find_of_user(ask: &Ask<'_>) -> Result<User, RestError> {
    let user = find(ask, ask.id(0)).await?;
    if user.id.as_str() == ask.id(1) { Ok(user) } else { Err(RestError::no_entity(ask.id(1))) }
}

fn one_of_user<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_of_user(ask).await?;
        shown(ask, &user, |view| ask.one(view)).await
    })
}

fn remove_of_user<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_of_user(ask).await?;
        verbs::set_password(ask.store().as_ref(), &user.id, None, ask.control.clock.as_ref()).await?;
        Ok(Answer::Empty)
    })
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find(ask, ask.id(0)).await?;
        shown(ask, &user, |view| ask.one(view)).await
    })
}

fn of_user<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let user = find_user(ask, ask.id(0)).await?;
        let accesses = ask.store().last_accesses(std::slice::from_ref(&user.id)).await?;
        let access = accesses.first().and_then(Option::as_ref);
        let details: Vec<_> = user.password.iter().map(|_| DetailsView { user: &user, access }).collect();
        let total = details.len() as u64;
        ask.listed("userdetails", page, total, &page.cut(details))
    })
}

fn add<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let input = ask.input();
        let owner = input.object("user")?.ok_or_else(|| RestError::bad_field("user", "is missing"))?;
        let wanted = wanted_details(input)?;
        let user = change_user(ask, owner.required("id")?, wanted).await?;
        shown(ask, &user, |view| ask.one(view)).await
    })
}

fn update<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let wanted = wanted_details(ask.input())?;
        let user = change_user(ask, ask.id(0), wanted).await?;
        shown(ask, &user, |view| ask.updated(view)).await
    })
}

fn remove<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find(ask, ask.id(0)).await?;
        verbs::set_password(ask.store().as_ref(), &user.id, None, ask.control.clock.as_ref()).await?;
        Ok(Answer::Empty)
    })
}
