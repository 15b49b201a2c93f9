//! The groups of a user.

use super::change::find as find_user;
use crate::{
    base::id::GroupId,
    model::{
        search::{GroupIs, Page},
        user::Group,
    },
    registry::groups as verbs,
    web::rest::{
        error::RestError,
        operation::{Answer, Answering, Ask},
        resource::usergroups::{GroupView, find_group, group_id},
    },
};

fn listed(ask: &Ask<'_>, found: Vec<Group>, key: &str) -> Result<Answer, RestError> {
    let page = ask.page()?;
    let total = found.len() as u64;
    let views: Vec<GroupView> = page.cut(found).into_iter().map(GroupView::plain).collect();
    ask.listed(key, page, total, &views)
}

pub(super) fn groups<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_user(ask, ask.id(0)).await?;
        listed(ask, ask.store().groups_by_id(&user.groups).await?, "groups")
    })
}

/// The groups of a user, those above them, and that of all users.
async fn transitive(ask: &Ask<'_>) -> Result<Vec<Group>, RestError> {
    let user = find_user(ask, ask.id(0)).await?;
    let store = ask.store();
    let mut found: Vec<Group> = store.groups_of(std::slice::from_ref(&user.id)).await?.concat();
    if !user.guest {
        found.extend(store.find_groups(&GroupIs::AllUsers.into(), &[], Page::first(1)).await?.items);
    }
    Ok(found)
}

pub(super) fn transitive_groups<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { listed(ask, transitive(ask).await?, "transitivegroups") })
}

pub(super) fn transitive_member_of<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let found: Vec<GroupView> = transitive(ask).await?.into_iter().map(GroupView::plain).collect();
        ask.entry(1, &found)
    })
}

pub(super) fn member_of<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_user(ask, ask.id(0)).await?;
        let group = find_group(ask, ask.id(1)).await?;
        if !user.groups.contains(&group.id) {
            return Err(RestError::no_entity(ask.id(1)));
        }
        Ok(ask.one(&GroupView::plain(group)))
    })
}

/// Puts a user into a group or takes it out.
pub(in crate::web::rest::resource) async fn set(
    ask: &Ask<'_>,
    user: &str,
    group: &GroupId,
    member: bool,
) -> Result<Group, RestError> {
    let user = find_user(ask, user).await?;
    let group = find_group(ask, group.as_str()).await?;
    if !member && !user.groups.contains(&group.id) {
        return Err(RestError::no_entity(group.id.as_str()));
    }
    verbs::set_member(ask.store().as_ref(), &group.id, &user.id, member, ask.control.clock.as_ref()).await?;
    Ok(group)
}

pub(super) fn join<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let group = group_id(ask.input().required("id")?)?;
        let group = set(ask, ask.id(0), &group, true).await?;
        Ok(ask.updated(&GroupView::plain(group)))
    })
}

pub(super) fn leave<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        set(ask, ask.id(0), &group_id(ask.id(1))?, false).await?;
        Ok(Answer::Empty)
    })
}
