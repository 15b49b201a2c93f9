//! How a group is shown.
//!
//! Invariant: who is in a group leaves only to those who may read users.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    model::{
        search::{GroupIs, Page, UserIs},
        user::{Group, User},
    },
    store::search::Members,
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, inside, read, write},
        operation::Ask,
        permission::Permission,
        resource::users::{USER, UserView},
    },
};

/// Users that a group shows inside of itself; all of them are read page by page at `usergroups/{id}/users`.
const SHOWN: u64 = 100;

pub(in crate::web::rest) static GROUP: Kind = Kind {
    name: "userGroup",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        write("name", Form::Text, "Its name; what rules and `X-Forwarded-Groups` say."),
        write("description", Form::Text, "What it is for."),
        write("iconUrl", Form::Text, "The address of its picture."),
        write("autoJoin", Form::Flag, "Whether new users are put into it."),
        read("requiredTwoFactorAuthentication", Form::Flag, "Whether a second factor is asked for."),
        read("parentsRequireTwoFactorAuthentication", Form::Flag, "Whether a group above asks for one."),
        read("userCount", Form::Number, "How many users are in it, or in a group below it."),
        read("allUsers", Form::Flag, "Whether it is the group of all users."),
        read("implicit", Form::Flag, "Whether users are in it without having been put into it."),
        read("queriedSingleton", Form::Flag, "Always false."),
        read("removable", Form::Flag, "Whether it can be removed."),
        write("parent", Form::One(&GROUP), "The group above: who is in this one is in that one too.").asked(),
        write("subgroups", Form::Many(&GROUP), "The groups below.").asked(),
        read("users", Form::Many(&USER), "Who is in it, or in a group below it: the first hundred.").asked(),
        read("ownUsers", Form::Many(&USER), "Who was put into it: the first hundred.").asked(),
    ],
};

/// What was read for a group.
#[derive(Default)]
struct Beside {
    members: Option<Members>,
    parent: Option<Group>,
    below: Vec<Group>,
    users: Option<Vec<User>>,
    own: Option<Vec<User>>,
}

/// A group as it is shown.
pub(in crate::web::rest) struct GroupView {
    pub(in crate::web::rest) group: Group,
    beside: Beside,
    hub_url: String,
}

impl GroupView {
    /// The group by itself.
    pub(in crate::web::rest) fn plain(group: Group) -> Self {
        Self { group, beside: Beside::default(), hub_url: String::new() }
    }

    /// Groups with what `fields` wants beside them.
    pub(super) async fn all(
        groups: Vec<Group>,
        ask: &Ask<'_>,
        fields: &Fields,
    ) -> Result<Vec<Self>, RestError> {
        let store = ask.store();
        let mut views: Vec<Self> = groups.into_iter().map(Self::plain).collect();
        if fields.is_usual() || fields.names("userCount") {
            let ids: Vec<_> = views.iter().map(|view| view.group.id.clone()).collect();
            for (view, members) in views.iter_mut().zip(store.count_members(&ids).await?) {
                view.beside.members = Some(members);
            }
        }
        if fields.names("parent") {
            let ids: Vec<_> = views.iter().filter_map(|view| view.group.parent.clone()).collect();
            let known = store.groups_by_id(&ids).await?;
            let known: BTreeMap<_, _> = known.into_iter().map(|group| (group.id.clone(), group)).collect();
            for view in &mut views {
                view.beside.parent = view.group.parent.as_ref().and_then(|id| known.get(id)).cloned();
            }
        }
        let (users, own) = (fields.names("users"), fields.names("ownUsers"));
        let may = ask.may(Permission::UserRead);
        for view in &mut views {
            view.hub_url = ask.caller.snapshot.desk.hub_url.to_string();
            if fields.names("subgroups") {
                let below = GroupIs::ChildOf(view.group.id.clone()).into();
                view.beside.below = store.find_groups(&below, &[], Page::first(SHOWN)).await?.items;
            }
            // A query for each group, each bounded: what they have in common is not worth a search of its own.
            if users && may {
                let found = store.find_users(&view.group.filter(), &[], Page::first(SHOWN)).await?;
                view.beside.users = Some(found.items);
            }
            if own && may {
                let put = UserIs::MemberOf(view.group.id.clone()).into();
                view.beside.own = Some(store.find_users(&put, &[], Page::first(SHOWN)).await?.items);
            }
        }
        Ok(views)
    }

    fn people(&self, users: Option<&Vec<User>>, fields: &Fields) -> Option<Value> {
        let views: Vec<UserView<'_>> =
            users?.iter().map(|user| UserView::readable(user, &self.hub_url)).collect();
        Some(all_inside(&views, fields))
    }
}

impl Object for GroupView {
    fn kind(&self) -> &'static Kind {
        &GROUP
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let (group, beside) = (&self.group, &self.beside);
        match name {
            "id" => Some(group.id.as_str().into()),
            "name" => Some(group.name.as_str().into()),
            "description" => group.description.as_deref().map(Value::from),
            "iconUrl" => group.icon_url.as_deref().map(Value::from),
            "autoJoin" => Some(group.auto_join.into()),
            "requiredTwoFactorAuthentication"
            | "parentsRequireTwoFactorAuthentication"
            | "queriedSingleton" => Some(false.into()),
            "userCount" => beside.members.map(|members| members.all.into()),
            "allUsers" | "implicit" => Some(group.all_users.into()),
            "removable" => Some((!group.all_users).into()),
            "parent" => beside.parent.clone().map(|parent| inside(&Self::plain(parent), fields)),
            "subgroups" => {
                let below: Vec<Self> = beside.below.iter().cloned().map(Self::plain).collect();
                Some(all_inside(&below, fields))
            }
            "users" => self.people(beside.users.as_ref(), fields),
            "ownUsers" => self.people(beside.own.as_ref(), fields),
            _ => None,
        }
    }
}
