//! Adding, changing and removing groups, and who is in them.

use super::{GroupView, find_group, group_id};
use crate::{
    base::id::GroupId,
    model::user::Group,
    registry::groups::{self as verbs, Change, NewGroup},
    web::rest::{
        error::RestError,
        input::Input,
        operation::{Answer, Answering, Ask},
        resource::users::{UserView, find_user, set_member},
    },
};

/// The group above that a body names: an empty object or id stands for none.
#[expect(clippy::option_option, reason = "to leave alone, to clear and to set are three things")]
fn parent(input: Input<'_>) -> Result<Option<Option<GroupId>>, RestError> {
    let Some(parent) = input.object("parent")? else { return Ok(None) };
    parent.text("id")?.filter(|id| !id.is_empty()).map(group_id).transpose().map(Some)
}

async fn shown(ask: &Ask<'_>, group: Group) -> Result<GroupView, RestError> {
    let id = group.id.clone();
    let mut views = GroupView::all(vec![group], ask, &ask.fields).await?;
    views.pop().ok_or_else(|| RestError::no_entity(id.as_str()))
}

pub(super) fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { Ok(ask.one(&shown(ask, find_group(ask, ask.id(0)).await?).await?)) })
}

async fn make(ask: &Ask<'_>, parent: Option<GroupId>) -> Result<Group, RestError> {
    let input = ask.input();
    let new = NewGroup {
        id: input.text("id")?.filter(|id| !id.is_empty()).map(group_id).transpose()?,
        name: input.required("name")?.to_owned(),
        description: input.clearable("description")?.flatten(),
        icon_url: input.clearable("iconUrl")?.flatten(),
        parent,
        auto_join: input.flag("autoJoin")?.unwrap_or(false),
    };
    let (clock, random) = (ask.control.clock.as_ref(), ask.control.random.as_ref());
    Ok(verbs::add(ask.store().as_ref(), new, clock, random).await?)
}

pub(super) fn add<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = make(ask, parent(ask.input())?.flatten()).await?;
        Ok(ask.one(&shown(ask, group).await?))
    })
}

pub(super) fn update<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let before = find_group(ask, ask.id(0)).await?;
        let input = ask.input();
        let other = |text: &String, is: Option<&String>| Some(text) != is;
        let change = Change {
            name: input.text("name")?.map(ToOwned::to_owned).filter(|name| *name != before.name),
            description: input.clearable("description")?,
            icon_url: input
                .clearable("iconUrl")?
                .filter(|url| url.as_ref().is_none_or(|url| other(url, before.icon_url.as_ref()))),
            parent: parent(input)?.filter(|parent| *parent != before.parent),
            auto_join: input.flag("autoJoin")?.filter(|join| *join != before.auto_join),
        };
        let group =
            verbs::change(ask.store().as_ref(), &before.id, change, ask.control.clock.as_ref()).await?;
        Ok(ask.updated(&shown(ask, group).await?))
    })
}

pub(super) fn remove<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = find_group(ask, ask.id(0)).await?;
        let successor = match ask.query.get("successor").filter(|id| !id.is_empty()) {
            Some(id) => Some(find_group(ask, id).await?.id),
            None => None,
        };
        verbs::remove(ask.store().as_ref(), &group.id, successor.as_ref()).await?;
        Ok(Answer::Empty)
    })
}

pub(super) fn merge<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let named = ask.input().objects("usergroups")?.unwrap_or_default();
        let mut groups = Vec::with_capacity(named.len());
        for group in named {
            groups.push(find_group(ask, group.required("id")?).await?);
        }
        let mut groups = groups.into_iter();
        let (Some(into), Some(first)) = (groups.next(), groups.next()) else {
            return Err(RestError::bad_field("usergroups", "names fewer than two"));
        };
        for group in std::iter::once(first).chain(groups) {
            verbs::remove(ask.store().as_ref(), &group.id, Some(&into.id)).await?;
        }
        let into = find_group(ask, into.id.as_str()).await?;
        Ok(ask.updated(&shown(ask, into).await?))
    })
}

pub(super) fn put_in<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = find_group(ask, ask.id(0)).await?;
        let user = ask.input().required("id")?;
        set_member(ask, user, &group.id, true).await?;
        let user = find_user(ask, user).await?;
        Ok(ask.updated(&UserView::one(&user, ask).await?))
    })
}

pub(super) fn take_out<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = find_group(ask, ask.id(0)).await?;
        set_member(ask, ask.id(1), &group.id, false).await?;
        Ok(Answer::Empty)
    })
}

/// Puts a group below another, or makes one there.
pub(super) fn put_below<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let above = find_group(ask, ask.id(0)).await?;
        let group = match ask.input().text("id")?.filter(|id| !id.is_empty()) {
            Some(id) => {
                let group = find_group(ask, id).await?;
                let change = Change { parent: Some(Some(above.id)), ..Change::default() };
                verbs::change(ask.store().as_ref(), &group.id, change, ask.control.clock.as_ref()).await?
            }
            None => make(ask, Some(above.id)).await?,
        };
        Ok(ask.updated(&shown(ask, group).await?))
    })
}

pub(super) fn take_from_below<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (above, group) = (find_group(ask, ask.id(0)).await?, find_group(ask, ask.id(1)).await?);
        if group.parent.as_ref() != Some(&above.id) {
            return Err(RestError::no_entity(ask.id(1)));
        }
        let change = Change { parent: Some(None), ..Change::default() };
        verbs::change(ask.store().as_ref(), &group.id, change, ask.control.clock.as_ref()).await?;
        Ok(Answer::Empty)
    })
}
