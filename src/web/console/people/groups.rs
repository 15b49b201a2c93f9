//! The list of groups, and a new one.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    MOST_CHOICES, all_groups, answered,
    words::{Wrong, wrong},
};
use crate::{
    base::id::GroupId,
    model::{
        search::{Filter, GroupIs, Match, Page as Part},
        user::Group,
    },
    registry::groups::{self, NewGroup},
    store::{Rule, StoreError, search::Members},
    texts::Language,
    web::console::{
        form::{Fields, Mistakes},
        parts::{Check, Frame, Input, Pager, ROWS, Section, Select},
        visit::{Administrator, AdministratorPost, Once, Post, Visit},
    },
};

#[derive(Template)]
#[template(path = "console/groups.html")]
struct List {
    frame: Frame,
    q: String,
    rows: Vec<Row>,
    pager: Pager,
}

struct Row {
    group: Group,
    parent: Option<Group>,
    members: String,
}

/// How many are in a group, in words.
pub(super) fn counted(t: Language, members: Members, group: &Group) -> String {
    if group.all_users || members.own == members.all {
        return members.all.to_string();
    }
    t.members_own_all(members.own, members.all)
}

/// `GET …/admin/groups`
pub(super) async fn page(Administrator(visit): Administrator) -> Response {
    answered(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Response, Response> {
    let (query, t) = (visit.query(), visit.t);
    let skip = Pager::skip(&query);
    let part = Part { skip: skip as u64, top: Some(ROWS as u64) };
    let filter = match query.given("q") {
        Some(text) => GroupIs::AnyText(Match::Prefix(text.to_owned())).into(),
        None => Filter::default(),
    };
    let store = &visit.control.store;
    let failed = |error: StoreError| visit.store_failed(&error);
    let _turn = visit.control.listings.acquire().await;
    let (found, total) = match store.find_groups(&filter, &[], part).await {
        Ok(found) => (found.items, found.total),
        // What is too much to look for is not found.
        Err(StoreError::Against(Rule::Filter(_))) => (Vec::new(), 0),
        Err(error) => return Err(failed(error)),
    };
    let ids: Vec<GroupId> = found.iter().map(|group| group.id.clone()).collect();
    let parents: Vec<GroupId> = found.iter().filter_map(|group| group.parent.clone()).collect();
    let members = store.count_members(&ids).await.map_err(failed)?;
    let parents = store.groups_by_id(&parents).await.map_err(failed)?;
    let rows: Vec<Row> = found
        .into_iter()
        .zip(members)
        .map(|(group, members)| Row {
            parent: parents.iter().find(|above| Some(&above.id) == group.parent.as_ref()).cloned(),
            members: counted(t, members, &group),
            group,
        })
        .collect();
    let path = visit.link(Section::Groups.path());
    let pager = Pager::new(t, &path, &query, (skip, rows.len()), usize::try_from(total).ok(), false);
    let q = query.text("q").to_owned();
    Ok(visit.show(&List { frame: visit.frame(Section::Groups), q, rows, pager }))
}

#[derive(Template)]
#[template(path = "console/group_new.html")]
struct New<'a> {
    frame: Frame,
    typed: &'a Fields,
    mistakes: Mistakes,
    alarm: Option<String>,
    groups: Vec<Group>,
    once: String,
}

impl New<'_> {
    fn name(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "name", t.name(), self.typed.text("name")).checked(&self.mistakes).focused()
    }

    fn description(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "description", t.description(), self.typed.text("description"))
            .optional()
            .checked(&self.mistakes)
    }

    fn parent(&self) -> Option<Select<'_>> {
        let t = self.frame.t;
        parent(t, &self.groups, self.typed.text("parent"), &self.mistakes)
    }

    fn auto_join(&self) -> Check<'_> {
        Check::new("auto_join", self.frame.t.auto_join_label(), self.typed.has("auto_join"))
    }
}

/// The list of groups to be below; `None` when there are too many to list, or none.
pub(super) fn parent<'a>(
    t: Language,
    groups: &'a [Group],
    chosen: &'a str,
    mistakes: &'a Mistakes,
) -> Option<Select<'a>> {
    if groups.is_empty() || groups.len() > MOST_CHOICES {
        return None;
    }
    let mut options = vec![("", t.parent_none())];
    options.extend(groups.iter().map(|group| (group.id.as_str(), group.name.as_str())));
    Some(Select::new("parent", t.parent_label(), options, chosen).checked(mistakes))
}

/// `GET …/admin/groups/new`
pub(super) async fn new(Administrator(visit): Administrator) -> Response {
    // Nothing comes from the address: a link could tick what nobody looks at.
    let typed = Fields::default();
    answered(form(&visit, &typed, Wrong::default()).await)
}

async fn form(visit: &Visit, typed: &Fields, wrong: Wrong) -> Result<Response, Response> {
    let status = if wrong.is_nothing() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = New {
        frame: visit.frame(Section::Groups),
        typed,
        mistakes: wrong.mistakes,
        alarm: wrong.alarm,
        groups: all_groups(visit).await?,
        once: visit.once(),
    };
    Ok(visit.show_as(status, &page))
}

/// `POST …/admin/groups/new`
pub(super) async fn create(AdministratorPost(post): AdministratorPost) -> Response {
    answered(make(&post).await)
}

async fn make(post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    if let Once::Done(path) = post.once().await {
        return Ok(visit.go(if path.is_empty() { Section::Groups.path() } else { &path }));
    }
    let new = NewGroup {
        id: None,
        name: fields.text("name").to_owned(),
        description: fields.given("description").map(str::to_owned),
        icon_url: None,
        parent: fields.given("parent").and_then(|id| GroupId::parse(id).ok()),
        auto_join: fields.has("auto_join"),
    };
    let control = visit.acting();
    let (clock, random) = (control.clock.as_ref(), control.random.as_ref());
    match groups::add(control.store.as_ref(), new, clock, random).await {
        Ok(group) => {
            visit.in_force().await?;
            Ok(post.led(&format!("/admin/groups/{}", group.id), "created"))
        }
        Err(error) => {
            post.again();
            let wrong = wrong(visit.t, error).map_err(|error| visit.store_failed(&error))?;
            form(visit, fields, wrong).await
        }
    }
}
