//! Which users a list holds: queries and orders as the store understands them.
//!
//! Invariant: whoever may not see addresses and last accesses does not find by them either.

use crate::{
    model::search::{By, Filter, Match, Page, UserFilter, UserIs, UserKey},
    web::rest::{
        error::RestError,
        operation::{Answering, Ask},
        page::{Order, cannot_sort, of_items},
        permission::Permission,
        query::{Expr, Item, Word},
        resource::users::UserView,
        search::{known_value, unknown_field, unknown_tuple},
    },
};

/// A query as a filter.
pub(in crate::web::rest::resource) fn filter(
    expr: Option<&Expr>,
    ask: &Ask<'_>,
) -> Result<UserFilter, RestError> {
    let Some(expr) = expr else { return Ok(Filter::default()) };
    part(expr, ask.may(Permission::UserRead))
}

pub(in crate::web::rest) fn part(expr: &Expr, full: bool) -> Result<UserFilter, RestError> {
    let parts = |parts: &[Expr]| parts.iter().map(|expr| part(expr, full)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::And(all) => Filter::And(parts(all)?),
        Expr::Or(any) => Filter::Or(parts(any)?),
        Expr::Not(inner) => Filter::Not(Box::new(part(inner, full)?)),
        Expr::Item(item) => one(item, full)?,
    })
}

/// How a word is compared.
pub(in crate::web::rest::resource) fn matching(word: &Word) -> Match {
    if word.prefix { Match::Prefix(word.text.clone()) } else { Match::Exact(word.text.clone()) }
}

fn one(item: &Item, full: bool) -> Result<UserFilter, RestError> {
    let condition = match item {
        Item::Text(word) if full => UserIs::AnyText(matching(word)),
        Item::Text(word) => UserIs::Words(matching(word)),
        Item::Tuple(name, _) => return Err(unknown_tuple(name)),
        Item::Is(what) => match what.to_ascii_lowercase().as_str() {
            "banned" => UserIs::Banned,
            "guest" => UserIs::Guest,
            "administrator" if full => UserIs::Administrator,
            _ => return Err(known_value("is", what, "banned or guest")),
        },
        Item::Has(what) => match what.to_ascii_lowercase().as_str() {
            "email" if full => UserIs::HasEmail,
            "email" => return Err(hidden("email")),
            _ => return Err(known_value("has", what, "email")),
        },
        Item::Field(field, word) => match field.to_ascii_lowercase().as_str() {
            "id" if word.prefix => return Err(known_value("id", &word.text, "an id")),
            "id" => match crate::base::id::UserId::parse(&word.text) {
                Ok(id) => UserIs::Id(id),
                // Nobody has it.
                Err(_) => return Ok(Filter::Or(Vec::new())),
            },
            "login" | "authlogin" => UserIs::Login(matching(word)),
            "loginstartswith" | "authloginstartswith" => UserIs::Login(Match::Prefix(word.text.clone())),
            "name" => UserIs::Name(matching(word)),
            "namestartswith" => {
                // A name is known by the beginning of each of its words.
                let begins = Match::Prefix(word.text.clone());
                return Ok(Filter::Or(vec![
                    UserIs::Name(begins.clone()).into(),
                    UserIs::Words(begins).into(),
                ]));
            }
            "email" if full => UserIs::Email(matching(word)),
            "email" => return Err(hidden("email")),
            _ => return Err(unknown_field(field)),
        },
    };
    Ok(condition.into())
}

fn hidden(field: &str) -> RestError {
    RestError::forbidden(format!(
        "to look for the field {field} needs the permission {}",
        Permission::UserRead.title()
    ))
}

/// An order, as the store understands it.
pub(in crate::web::rest::resource) fn order(
    order: &[Order<'_>],
    ask: &Ask<'_>,
) -> Result<Vec<By<UserKey>>, RestError> {
    let full = ask.may(Permission::UserRead);
    let key = |order: &Order<'_>| {
        let key = match order.field.to_ascii_lowercase().as_str() {
            "id" => UserKey::Id,
            "login" => UserKey::Login,
            "name" => UserKey::Name,
            "creationtime" => UserKey::Created,
            "banned" => UserKey::Banned,
            "email" | "lastaccesstime" if !full => return Err(hidden(order.field)),
            "email" => UserKey::Email,
            "lastaccesstime" => UserKey::LastAccess,
            _ => return Err(cannot_sort(order.field)),
        };
        Ok(By { key, descending: order.descending })
    };
    order.iter().map(key).collect()
}

pub(super) fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let filter = filter(ask.filter()?.as_ref(), ask)?;
        page(ask, &filter).await
    })
}

/// A page of the users that pass `filter`.
pub(in crate::web::rest::resource) async fn page(
    ask: &Ask<'_>,
    filter: &UserFilter,
) -> Result<crate::web::rest::operation::Answer, RestError> {
    let page = ask.page()?;
    let order = order(&ask.order()?, ask)?;
    let part = Page { skip: page.skip, top: Some(page.limit()) };
    let found = ask.store().find_users(filter, &order, part).await?;
    let views = UserView::all(&found.items, ask, of_items(&ask.fields, "users")).await?;
    ask.listed("users", page, found.total, &views)
}
