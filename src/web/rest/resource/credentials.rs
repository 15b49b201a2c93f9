//! `users/{id}/permanenttokens` and `users/{id}/applicationPasswords`: what a person makes for programs (hub-contract sections
//! 5.4, 10.2).
//!
//! Invariants: the text of a credential leaves in the answer that makes it and in no other; whoever has been told that one is
//! there, or gone, is obeyed by the gate.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::{
    services::{SERVICE, ServiceView},
    users::{USER, UserView},
};
use crate::{
    base::{
        id::{ServiceId, TokenId, UserId},
        secret::Secret,
        time::Timestamp,
    },
    model::{
        credential::{ApplicationPassword, PermanentToken},
        user::User,
    },
    registry::tokens::{self, NewToken, TokenRefusal},
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, inside, read, write},
        operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
        page::{cannot_sort, of_items},
        permission::Permission,
    },
};

pub(in crate::web::rest) static PERMANENT_TOKEN: Kind = Kind {
    name: "permanentToken",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id; `jti` of what upstreams get in its place."),
        write("name", Form::Text, "What it is called."),
        read("token", Form::Text, "The token itself, in the answer that makes it and never again."),
        write("scope", Form::Many(&SERVICE), "The services that it is for, at least one.").asked(),
        read("user", Form::One(&USER), "For whom it acts.").asked(),
        read("author", Form::One(&USER), "Who made it.").asked(),
        read("creationTime", Form::Time, "When it was made."),
        read("lastAccessTime", Form::Time, "When it was last used."),
    ],
};

pub(in crate::web::rest) static APPLICATION_PASSWORD: Kind = Kind {
    name: "applicationPassword",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id; `jti` of what upstreams get in its place."),
        write("name", Form::Text, "What it is called."),
        read("password", Form::Text, "The password itself, in the answer that makes it and never again."),
        read("user", Form::One(&USER), "Whose password it stands for.").asked(),
        read("creationTime", Form::Time, "When it was made."),
        read("lastAccessTime", Form::Time, "When it was last used."),
        read("lastAccessAddress", Form::Text, "From which address."),
        read("lastAccessUserAgent", Form::Text, "By which program, as it names itself."),
    ],
};

const TOKENS: &str = "permanenttokens";
const PASSWORDS: &str = "applicationPasswords";

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "users/{id}/permanenttokens",
        summary: "The permanent tokens of a user",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&PERMANENT_TOKEN),
        parameters: &[],
        handler: list_tokens,
    },
    Operation {
        method: Method::POST,
        path: "users/{id}/permanenttokens",
        summary: "Make a permanent token; its text is shown in this answer alone",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Object(&PERMANENT_TOKEN),
        gives: Gives::Object(&PERMANENT_TOKEN),
        parameters: &[],
        handler: create_token,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/permanenttokens/{token}",
        summary: "A permanent token of a user",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&PERMANENT_TOKEN),
        parameters: &[],
        handler: one_token,
    },
    Operation {
        method: Method::DELETE,
        path: "users/{id}/permanenttokens/{token}",
        summary: "Take a permanent token back; it is dead with the answer",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: remove_token,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/applicationPasswords",
        summary: "The application passwords of a user",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&APPLICATION_PASSWORD),
        parameters: &[],
        handler: list_passwords,
    },
    Operation {
        method: Method::POST,
        path: "users/{id}/applicationPasswords",
        summary: "Make an application password; it is shown in this answer alone",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Object(&APPLICATION_PASSWORD),
        gives: Gives::Object(&APPLICATION_PASSWORD),
        parameters: &[],
        handler: create_password,
    },
    Operation {
        method: Method::GET,
        path: "users/{id}/applicationPasswords/{password}",
        summary: "An application password of a user",
        need: Need::SelfOr(Permission::UserRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&APPLICATION_PASSWORD),
        parameters: &[],
        handler: one_password,
    },
    Operation {
        method: Method::DELETE,
        path: "users/{id}/applicationPasswords/{password}",
        summary: "Take an application password back; it is dead with the answer",
        need: Need::SelfOr(Permission::UserUpdate),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[],
        handler: remove_password,
    },
];

/// The user whom the path names.
pub(super) async fn owner(ask: &Ask<'_>) -> Result<User, RestError> {
    let id = ask.user_id(ask.id(0))?;
    ask.store().find_user(&id).await?.ok_or_else(|| RestError::no_entity(ask.id(0)))
}

/// Services as far as they are registered.
pub(super) fn services(ids: &[ServiceId], ask: &Ask<'_>, fields: &Fields) -> Value {
    let registry = &ask.caller.snapshot.registry;
    let known = ids.iter().filter_map(|id| registry.by_id(id.as_str()));
    let views: Vec<ServiceView<'_>> = known.map(|service| ServiceView::of(service, ask)).collect();
    all_inside(&views, fields)
}

/// Sorts by the criteria of `orderBy`; `compare` knows the fields.
pub(super) fn sort<T>(
    ask: &Ask<'_>,
    list: &mut [T],
    compare: impl Fn(&str) -> Option<fn(&T, &T) -> std::cmp::Ordering>,
) -> Result<(), RestError> {
    for order in ask.order()?.iter().rev() {
        let by = compare(order.field).ok_or_else(|| cannot_sort(order.field))?;
        list.sort_by(|one, other| if order.descending { by(other, one) } else { by(one, other) });
    }
    Ok(())
}

fn refused(refusal: TokenRefusal) -> RestError {
    match refusal {
        TokenRefusal::Store(error) => error.into(),
        TokenRefusal::Name(why) => RestError::bad_field("name", why),
        TokenRefusal::NoScope => RestError::bad_field("scope", "names no service"),
        TokenRefusal::TooWide => RestError::bad_field("scope", "names more than 100 services"),
        refusal @ TokenRefusal::NotActive(_) => RestError::forbidden(refusal.to_string()),
        refusal @ TokenRefusal::TooMany(_) => RestError::conflict(refusal.to_string()),
    }
}

/// A permanent token as it is shown.
struct TokenView<'a> {
    token: &'a PermanentToken,
    /// Its text, for the answer that makes it.
    text: Option<&'a Secret>,
    owner: &'a User,
    authors: &'a BTreeMap<UserId, User>,
    ask: &'a Ask<'a>,
}

impl Object for TokenView<'_> {
    fn kind(&self) -> &'static Kind {
        &PERMANENT_TOKEN
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let token = self.token;
        Some(match name {
            "id" => token.id.to_string().into(),
            "name" => token.name.as_str().into(),
            "token" => self.text?.expose().into(),
            "scope" => services(&token.scope, self.ask, fields),
            "user" => inside(&UserView::of(self.owner, self.ask), fields),
            "author" => inside(&UserView::of(self.authors.get(&token.author)?, self.ask), fields),
            "creationTime" => token.created.millis().into(),
            "lastAccessTime" => token.used.map(Timestamp::millis)?.into(),
            _ => return None,
        })
    }
}

/// Who made these tokens, as far as they are there, if that is asked for.
async fn authors(
    ask: &Ask<'_>,
    fields: &Fields,
    tokens: &[PermanentToken],
) -> Result<BTreeMap<UserId, User>, RestError> {
    let mut authors = BTreeMap::new();
    if fields.names("author") {
        let mut ids: Vec<&UserId> = tokens.iter().map(|token| &token.author).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            if let Some(author) = ask.store().find_user(id).await? {
                authors.insert(id.clone(), author);
            }
        }
    }
    Ok(authors)
}

fn list_tokens<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, owner) = (ask.page()?, owner(ask).await?);
        let mut found = ask.store().list_permanent_tokens(&owner.id).await?;
        let total = found.len() as u64;
        sort(ask, &mut found, |field| match field {
            "id" => Some(|a, b| a.id.cmp(&b.id)),
            "name" => Some(|a, b| a.name.cmp(&b.name)),
            "creationTime" => Some(|a, b| a.created.cmp(&b.created)),
            "lastAccessTime" => Some(|a, b| a.used.cmp(&b.used)),
            _ => None,
        })?;
        let tokens = page.cut(found);
        let authors = authors(ask, of_items(&ask.fields, TOKENS), &tokens).await?;
        let view = |token| TokenView { token, text: None, owner: &owner, authors: &authors, ask };
        let views: Vec<TokenView<'_>> = tokens.iter().map(view).collect();
        ask.listed(TOKENS, page, total, &views)
    })
}

fn create_token<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let author = ask.person().ok_or_else(|| RestError::forbidden("only people make tokens"))?;
        let user = owner(ask).await?;
        let input = ask.input();
        let mut scope = Vec::new();
        for entry in input.objects("scope")?.unwrap_or_default() {
            let id = entry
                .text("id")?
                .ok_or_else(|| RestError::bad_field("scope", "has an entry without an id"))?;
            let service = ask.caller.snapshot.registry.by_id(id);
            let unknown = || RestError::bad_field("scope", "names a service that is not registered");
            let service = &service.ok_or_else(unknown)?.id;
            if ask.within().is_some_and(|within| !within.contains(service)) {
                return Err(RestError::forbidden(format!("the token in use is not for {service}")));
            }
            scope.push(service.clone());
        }
        let name = input.required("name")?;
        let new = NewToken { user: &user, author: &author.id, name, scope };
        let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
        let (token, text) =
            tokens::create_token(ask.store().as_ref(), new, clock, random).await.map_err(refused)?;
        let authors = authors(ask, &ask.fields, std::slice::from_ref(&token)).await?;
        Ok(ask.one(&TokenView { token: &token, text: Some(&text), owner: &user, authors: &authors, ask }))
    })
}

fn one_token<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let found = ask.store().list_permanent_tokens(&owner.id).await?;
        let token = found.into_iter().find(|token| token.id.to_string() == ask.id(1));
        let token = token.ok_or_else(|| RestError::no_entity(ask.id(1)))?;
        let authors = authors(ask, &ask.fields, std::slice::from_ref(&token)).await?;
        Ok(ask.one(&TokenView { token: &token, text: None, owner: &owner, authors: &authors, ask }))
    })
}

fn remove_token<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let id = TokenId::parse(ask.id(1)).ok_or_else(|| RestError::no_entity(ask.id(1)))?;
        if !ask.store().remove_permanent_token(&owner.id, &id).await? {
            return Err(RestError::no_entity(ask.id(1)));
        }
        Ok(Answer::Empty)
    })
}

/// An application password as it is shown.
struct PasswordView<'a> {
    password: &'a ApplicationPassword,
    /// Its text, for the answer that makes it.
    text: Option<&'a Secret>,
    owner: &'a User,
    ask: &'a Ask<'a>,
}

impl Object for PasswordView<'_> {
    fn kind(&self) -> &'static Kind {
        &APPLICATION_PASSWORD
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let (password, last) = (self.password, self.password.used.as_ref());
        Some(match name {
            "id" => password.id.to_string().into(),
            "name" => password.name.as_str().into(),
            "password" => self.text?.expose().into(),
            "user" => inside(&UserView::of(self.owner, self.ask), fields),
            "creationTime" => password.created.millis().into(),
            "lastAccessTime" => last?.at.millis().into(),
            "lastAccessAddress" => last?.address.as_str().into(),
            "lastAccessUserAgent" => last?.user_agent.as_str().into(),
            _ => return None,
        })
    }
}

fn list_passwords<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, owner) = (ask.page()?, owner(ask).await?);
        let mut found = ask.store().list_application_passwords(&owner.id).await?;
        let total = found.len() as u64;
        sort(ask, &mut found, |field| match field {
            "id" => Some(|a, b| a.id.cmp(&b.id)),
            "name" => Some(|a, b| a.name.cmp(&b.name)),
            "creationTime" => Some(|a, b| a.created.cmp(&b.created)),
            "lastAccessTime" => {
                Some(|a, b| a.used.as_ref().map(|last| last.at).cmp(&b.used.as_ref().map(|last| last.at)))
            }
            _ => None,
        })?;
        let passwords = page.cut(found);
        let view = |password| PasswordView { password, text: None, owner: &owner, ask };
        let views: Vec<PasswordView<'_>> = passwords.iter().map(view).collect();
        ask.listed(PASSWORDS, page, total, &views)
    })
}

fn create_password<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        if ask.within().is_some() {
            return Err(RestError::forbidden("the token in use is not for every service"));
        }
        let (owner, name) = (owner(ask).await?, ask.input().required("name")?);
        let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
        let made = tokens::create_password(ask.store().as_ref(), (&owner, name), clock, random).await;
        let (password, text) = made.map_err(refused)?;
        Ok(ask.one(&PasswordView { password: &password, text: Some(&text), owner: &owner, ask }))
    })
}

fn one_password<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let found = ask.store().list_application_passwords(&owner.id).await?;
        let password = found.into_iter().find(|password| password.id.to_string() == ask.id(1));
        let password = password.ok_or_else(|| RestError::no_entity(ask.id(1)))?;
        Ok(ask.one(&PasswordView { password: &password, text: None, owner: &owner, ask }))
    })
}

fn remove_password<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let owner = owner(ask).await?;
        let id = TokenId::parse(ask.id(1)).ok_or_else(|| RestError::no_entity(ask.id(1)))?;
        if !ask.store().remove_application_password(&owner.id, &id).await? {
            return Err(RestError::no_entity(ask.id(1)));
        }
        Ok(Answer::Empty)
    })
}
