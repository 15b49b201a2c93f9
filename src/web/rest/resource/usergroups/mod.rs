//! `usergroups`: groups of users (hub-contract section 10.3).

mod change;
mod view;

use http::Method;

use self::change::{add, merge, one, put_below, put_in, remove, take_from_below, take_out, update};
pub(in crate::web::rest) use self::view::{GROUP, GroupView};
use super::users::{USER, UserView, find_user, user_page};
use crate::{
    base::id::GroupId,
    model::{
        search::{By, Filter, GroupFilter, GroupIs, GroupKey, Page},
        user::Group,
    },
    web::rest::{
        error::RestError,
        kind::{Form, Kind, write},
        operation::{Answer, Answering, Ask, Gives, Handler, Need, Operation, Takes},
        page::{cannot_sort, of_items},
        permission::Permission,
        query::{Expr, Item},
        resource::users::{matching, user_filter},
        search::{known_value, unknown_field, unknown_tuple},
    },
};

const READ: Need = Need::May(Permission::GroupRead);
const UPDATE: Need = Need::May(Permission::GroupUpdate);
/// Who is in a group is told to those who may read users.
const READ_USERS: Need = Need::May(Permission::UserRead);

static SEVERAL: Kind = Kind {
    name: "usergroupsToMerge",
    entity: false,
    fields: &[write("usergroups", Form::Many(&GROUP), "The groups, each by its id. The first stays.")],
};

const fn operation(
    method: Method,
    path: &'static str,
    summary: &'static str,
    need: Need,
    (takes, gives): (Takes, Gives),
    handler: Handler,
) -> Operation {
    Operation { method, path, summary, need, takes, gives, parameters: &[], handler }
}

const NOTHING: Takes = Takes::Nothing;
const A_GROUP: Takes = Takes::Object(&GROUP);
const GROUPS: (Takes, Gives) = (NOTHING, Gives::Page(&GROUP));
const ONE: (Takes, Gives) = (NOTHING, Gives::Object(&GROUP));
const DONE: (Takes, Gives) = (NOTHING, Gives::Nothing);

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    operation(Method::GET, "usergroups", "Groups", READ, GROUPS, list),
    operation(
        Method::POST,
        "usergroups",
        "Add a group",
        Need::May(Permission::GroupCreate),
        (A_GROUP, Gives::Object(&GROUP)),
        add,
    ),
    operation(Method::GET, "usergroups/root", "The group of all users", READ, ONE, root),
    operation(
        Method::GET,
        "usergroups/forest",
        "The groups that are below none",
        READ,
        (NOTHING, Gives::PageOf(&GROUP, "usergroups")),
        forest,
    ),
    operation(
        Method::POST,
        "usergroups/merge",
        "Merge the named groups into the first of them",
        Need::May(Permission::GroupDelete),
        (Takes::Object(&SEVERAL), Gives::Updated(&GROUP)),
        merge,
    ),
    operation(Method::GET, "usergroups/{id}", "A group", READ, ONE, one),
    operation(
        Method::POST,
        "usergroups/{id}",
        "Change a group or its place",
        UPDATE,
        (A_GROUP, Gives::Updated(&GROUP)),
        update,
    ),
    Operation {
        method: Method::DELETE,
        path: "usergroups/{id}",
        summary: "Remove a group; its members stay",
        need: Need::May(Permission::GroupDelete),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[("successor", "The group to which its members and the groups below it go.")],
        handler: remove,
    },
    operation(
        Method::GET,
        "usergroups/{id}/users",
        "Who is in a group, or in one below it",
        READ_USERS,
        (NOTHING, Gives::Page(&USER)),
        users,
    ),
    operation(
        Method::POST,
        "usergroups/{id}/users",
        "Put a user into a group",
        UPDATE,
        (Takes::Object(&USER), Gives::Updated(&USER)),
        put_in,
    ),
    operation(
        Method::GET,
        "usergroups/{id}/users/{user}",
        "A user in a group",
        READ_USERS,
        (NOTHING, Gives::Object(&USER)),
        member,
    ),
    operation(
        Method::DELETE,
        "usergroups/{id}/users/{user}",
        "Take a user out of a group",
        UPDATE,
        DONE,
        take_out,
    ),
    operation(Method::GET, "usergroups/{id}/subgroups", "The groups below a group", READ, GROUPS, subgroups),
    operation(
        Method::POST,
        "usergroups/{id}/subgroups",
        "Put a group below another, or make one there",
        UPDATE,
        (A_GROUP, Gives::Updated(&GROUP)),
        put_below,
    ),
    operation(
        Method::DELETE,
        "usergroups/{id}/subgroups/{group}",
        "Put a group below none",
        UPDATE,
        DONE,
        take_from_below,
    ),
];

/// The id of a group.
pub(super) fn group_id(text: &str) -> Result<GroupId, RestError> {
    GroupId::parse(text).map_err(|error| RestError::bad_field("id", format!("is not usable: {error}")))
}

/// The group that an id in a path means.
pub(super) async fn find_group(ask: &Ask<'_>, id: &str) -> Result<Group, RestError> {
    let unknown = || RestError::no_entity(id);
    let parsed = GroupId::parse(id).map_err(|_| unknown())?;
    ask.store().find_group(&parsed).await?.ok_or_else(unknown)
}

fn filter(expr: &Expr) -> Result<GroupFilter, RestError> {
    let parts = |parts: &[Expr]| parts.iter().map(filter).collect::<Result<Vec<_>, _>>();
    let item = match expr {
        Expr::And(all) => return Ok(Filter::And(parts(all)?)),
        Expr::Or(any) => return Ok(Filter::Or(parts(any)?)),
        Expr::Not(inner) => return Ok(Filter::Not(Box::new(filter(inner)?))),
        Expr::Item(item) => item,
    };
    let condition = match item {
        Item::Text(word) => GroupIs::AnyText(matching(word)),
        Item::Tuple(name, _) => return Err(unknown_tuple(name)),
        Item::Is(what) => match what.to_ascii_lowercase().as_str() {
            "allusers" => GroupIs::AllUsers,
            "autojoin" => GroupIs::AutoJoin,
            "toplevel" => GroupIs::TopLevel,
            _ => return Err(known_value("is", what, "allUsers, autoJoin or topLevel")),
        },
        Item::Has(what) => match what.to_ascii_lowercase().as_str() {
            "parent" => return Ok(Filter::Not(Box::new(GroupIs::TopLevel.into()))),
            _ => return Err(known_value("has", what, "parent")),
        },
        Item::Field(field, word) => match field.to_ascii_lowercase().as_str() {
            "name" => GroupIs::Name(matching(word)),
            "namestartswith" => {
                return Ok(GroupIs::AnyText(crate::model::search::Match::Prefix(word.text.clone())).into());
            }
            "id" | "parent" => match (GroupId::parse(&word.text), field.eq_ignore_ascii_case("id")) {
                (Ok(id), true) => GroupIs::Id(id),
                (Ok(id), false) => GroupIs::ChildOf(id),
                // No group has it.
                (Err(_), _) => return Ok(Filter::Or(Vec::new())),
            },
            _ => return Err(unknown_field(field)),
        },
    };
    Ok(condition.into())
}

/// A page of the groups that pass `filter` and what the query says.
async fn page(ask: &Ask<'_>, key: &str, also: Option<GroupIs>) -> Result<Answer, RestError> {
    let page = ask.page()?;
    let wanted = ask.filter()?.map_or_else(|| Ok(Filter::default()), |expr| filter(&expr))?;
    let wanted = match also {
        Some(also) => Filter::And(vec![also.into(), wanted]),
        None => wanted,
    };
    let sorted = ask.order()?;
    let order = sorted.iter().map(|order| {
        let key = match order.field.to_ascii_lowercase().as_str() {
            "id" => GroupKey::Id,
            "name" => GroupKey::Name,
            _ => return Err(cannot_sort(order.field)),
        };
        Ok(By { key, descending: order.descending })
    });
    let order = order.collect::<Result<Vec<_>, _>>()?;
    let part = Page { skip: page.skip, top: Some(page.limit()) };
    let found = ask.store().find_groups(&wanted, &order, part).await?;
    let views = GroupView::all(found.items, ask, of_items(&ask.fields, key)).await?;
    ask.listed(key, page, found.total, &views)
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(page(ask, "usergroups", None))
}

fn forest<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(page(ask, "usergroups", Some(GroupIs::TopLevel)))
}

fn root<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let found = ask.store().find_groups(&GroupIs::AllUsers.into(), &[], Page::first(1)).await?;
        let views = GroupView::all(found.items, ask, &ask.fields).await?;
        let view = views.first().ok_or_else(|| RestError::no_entity("root"))?;
        Ok(ask.one(view))
    })
}

fn subgroups<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let above = find_group(ask, ask.id(0)).await?;
        page(ask, "subgroups", Some(GroupIs::ChildOf(above.id))).await
    })
}

fn users<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = find_group(ask, ask.id(0)).await?;
        let wanted = user_filter(ask.filter()?.as_ref(), ask)?;
        user_page(ask, &Filter::And(vec![group.filter(), wanted])).await
    })
}

fn member<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = find_group(ask, ask.id(0)).await?;
        let user = find_user(ask, ask.id(1)).await?;
        let among =
            Filter::And(vec![group.filter(), crate::model::search::UserIs::Id(user.id.clone()).into()]);
        if ask.store().find_users(&among, &[], Page::first(0)).await?.total == 0 {
            return Err(RestError::no_entity(ask.id(1)));
        }
        Ok(ask.one(&UserView::one(&user, ask).await?))
    })
}
