//! The page of a group: its settings, who is in it, which rules name it, its end.

use askama::Template;
use axum::{extract::Path, response::Response};
use http::StatusCode;

use super::{
    MOST_CHOICES, all_groups, answered,
    groups::{counted, parent},
    users::wanted,
    words::{Wrong, wrong},
};
use crate::{
    base::id::{GroupId, UserId},
    model::{
        search::{Filter, GroupIs, Page as Part},
        user::{Group, User},
    },
    registry::{
        groups::{self, Change},
        users::PeopleError,
    },
    store::{Rule, StoreError},
    web::console::{
        form::{Fields, Mistakes},
        parts::{Check, Frame, Input, Pager, ROWS, Section, Select},
        visit::{Administrator, AdministratorPost, Post, Visit},
    },
};

#[derive(Template)]
#[template(path = "console/group.html")]
struct Page<'a> {
    frame: Frame,
    group: Group,
    members: String,
    typed: Option<&'a Fields>,
    mistakes: Mistakes,
    alarm: Option<String>,
    q: String,
    search_wrong: Option<String>,
    rows: Vec<Row>,
    pager: Pager,
    below: Vec<Group>,
    /// Groups that it may be below, and whose members may take over.
    others: Vec<Group>,
    rules: Vec<NamedBy>,
}

/// Who is in the group.
struct Row {
    user: User,
    /// Put into this very group, not into one below it.
    own: bool,
}

/// A rule that names it.
struct NamedBy {
    service: String,
    path: String,
    methods: String,
}

/// What a page shows besides the group.
#[derive(Default)]
struct Shown<'a> {
    typed: Option<&'a Fields>,
    wrong: Wrong,
}

async fn find(visit: &Visit, id: &str) -> Result<Group, Response> {
    let Ok(id) = GroupId::parse(id) else { return Err(visit.not_found()) };
    let found = visit.control.store.find_group(&id).await.map_err(|error| visit.store_failed(&error))?;
    found.ok_or_else(|| visit.not_found())
}

/// `GET …/admin/groups/{id}`
pub(super) async fn page(Path(id): Path<String>, Administrator(visit): Administrator) -> Response {
    let shown = async {
        let group = find(&visit, &id).await?;
        show(&visit, group, Shown::default()).await
    };
    answered(shown.await)
}

async fn show(visit: &Visit, group: Group, shown: Shown<'_>) -> Result<Response, Response> {
    let (store, t, query) = (&visit.control.store, visit.t, visit.query());
    let failed = |error: StoreError| visit.store_failed(&error);
    let skip = Pager::skip(&query);
    let part = Part { skip: skip as u64, top: Some(ROWS as u64) };
    let _turn = visit.control.listings.acquire().await;
    let mut search_wrong = None;
    let mut found = (Vec::new(), 0);
    match wanted(t, query.text("q")) {
        Ok(filter) => match store.find_users(&Filter::And(vec![group.filter(), filter]), &[], part).await {
            Ok(page) => found = (page.items, page.total),
            Err(StoreError::Against(Rule::Filter(error))) => search_wrong = Some(t.search_wrong(error)),
            Err(error) => return Err(failed(error)),
        },
        Err(why) => search_wrong = Some(why),
    }
    let rows: Vec<Row> =
        found.0.into_iter().map(|user| Row { own: user.groups.contains(&group.id), user }).collect();
    let members = store.count_members(std::slice::from_ref(&group.id)).await.map_err(failed)?;
    let below = GroupIs::ChildOf(group.id.clone()).into();
    let below = store.find_groups(&below, &[], Part::first(100)).await.map_err(failed)?.items;
    let mut others = all_groups(visit).await?;
    others.retain(|other| other.id != group.id);
    let path = visit.link(&format!("/admin/groups/{}", group.id));
    let pager = Pager::new(t, &path, &query, (skip, rows.len()), usize::try_from(found.1).ok(), false);
    let status = if shown.wrong.is_nothing() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = Page {
        frame: visit.frame(Section::Groups),
        members: members.first().map(|members| counted(t, *members, &group)).unwrap_or_default(),
        typed: shown.typed,
        mistakes: shown.wrong.mistakes,
        alarm: shown.wrong.alarm,
        q: query.text("q").to_owned(),
        search_wrong,
        rows,
        pager,
        below,
        others,
        rules: rules(visit, &group.name),
        group,
    };
    Ok(visit.show_as(status, &page))
}

/// The rules of `gateway.toml` that name a group.
fn rules(visit: &Visit, group: &str) -> Vec<NamedBy> {
    let mut found = Vec::new();
    for route in visit.caller.snapshot.routes.iter() {
        for (path, methods) in route.policy.rules_for_group(group) {
            let methods: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
            found.push(NamedBy {
                service: route.policy.service_name.clone(),
                path: path.to_string(),
                methods: if methods.is_empty() {
                    visit.t.rule_all_methods().to_owned()
                } else {
                    methods.join(", ")
                },
            });
        }
    }
    found
}

impl Page<'_> {
    fn here(&self) -> String {
        format!("{}/admin/groups/{}", self.frame.hub, self.group.id)
    }

    fn value<'v>(&'v self, form: &str, name: &str, own: &'v str) -> &'v str {
        self.typed.filter(|typed| typed.has(form)).map_or(own, |typed| typed.text(name))
    }

    fn name(&self) -> Input<'_> {
        let t = self.frame.t;
        let field = Input::text(t, "name", t.name(), self.value("name", "name", &self.group.name));
        let field = if self.rules.is_empty() { field } else { field.hint(t.rename_warning()) };
        field.checked(&self.mistakes)
    }

    fn description(&self) -> Input<'_> {
        let t = self.frame.t;
        let own = self.group.description.as_deref().unwrap_or_default();
        let value = self.value("name", "description", own);
        Input::text(t, "description", t.description(), value).optional().checked(&self.mistakes)
    }

    fn parent(&self) -> Option<Select<'_>> {
        let own = self.group.parent.as_ref().map_or("", GroupId::as_str);
        parent(self.frame.t, &self.others, self.value("name", "parent", own), &self.mistakes)
    }

    fn auto_join(&self) -> Check<'_> {
        let own = self.group.auto_join;
        let ticked = self.typed.filter(|typed| typed.has("name")).map_or(own, |typed| typed.has("auto_join"));
        Check::new("auto_join", self.frame.t.auto_join_label(), ticked)
    }

    fn member(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "user", t.member_add(), self.value("user", "user", "")).checked(&self.mistakes)
    }

    fn successor(&self) -> Option<Select<'_>> {
        if self.others.is_empty() || self.others.len() > MOST_CHOICES {
            return None;
        }
        let t = self.frame.t;
        let mut options = vec![("", t.successor_none())];
        options.extend(self.others.iter().map(|group| (group.id.as_str(), group.name.as_str())));
        Some(Select::new("successor", t.successor_label(), options, self.value("successor", "successor", "")))
    }

    fn confirm_label(&self) -> String {
        self.frame.t.type_to_confirm(&self.group.name)
    }

    fn confirmation<'c>(&'c self, label: &'c str) -> Input<'c> {
        Input::text(self.frame.t, "confirm", label, "").checked(&self.mistakes)
    }

    fn ending(&self) -> bool {
        self.typed.is_some_and(|typed| typed.has("confirm"))
    }
}

/// The page again, with what is wrong with the form.
async fn refused(post: &Post, group: Group, error: PeopleError) -> Result<Response, Response> {
    let visit = &post.visit;
    let wrong = wrong(visit.t, error).map_err(|error| visit.store_failed(&error))?;
    show(visit, group, Shown { typed: Some(&post.fields), wrong }).await
}

/// `POST …/admin/groups/{id}`
pub(super) async fn save(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(save_settings(&id, &post).await)
}

async fn save_settings(id: &str, post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let group = find(visit, id).await?;
    let change = Change {
        name: Some(fields.text("name").to_owned()),
        description: Some(fields.given("description").map(str::to_owned)),
        icon_url: None,
        // Where there were too many to choose from, it stays where it is.
        parent: fields
            .has("parent")
            .then(|| fields.given("parent").and_then(|parent| GroupId::parse(parent).ok())),
        auto_join: (!group.all_users).then(|| fields.has("auto_join")),
    };
    let control = visit.acting();
    match groups::change(control.store.as_ref(), &group.id, change, control.clock.as_ref()).await {
        Ok(_) => {
            visit.in_force().await?;
            Ok(post.led(&format!("/admin/groups/{}", group.id), "saved"))
        }
        Err(error) => refused(post, group, error).await,
    }
}

/// `POST …/admin/groups/{id}/members/add`
pub(super) async fn add(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(add_member(&id, &post).await)
}

async fn add_member(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let group = find(visit, id).await?;
    let found = visit.control.store.find_user_by_name(post.fields.text("user")).await;
    if let Some(user) = found.map_err(|error| visit.store_failed(&error))? {
        return set(post, group, &user.id, true).await;
    }
    let wrong = Wrong::field("user", visit.t.user_unknown());
    show(visit, group, Shown { typed: Some(&post.fields), wrong }).await
}

/// `POST …/admin/groups/{id}/members/remove`
pub(super) async fn take_out(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let taken_out = async {
        let group = find(&post.visit, &id).await?;
        let Ok(user) = UserId::parse(post.fields.text("member")) else { return Err(post.visit.not_found()) };
        set(&post, group, &user, false).await
    };
    answered(taken_out.await)
}

async fn set(post: &Post, group: Group, user: &UserId, member: bool) -> Result<Response, Response> {
    let control = post.visit.acting();
    let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
    match groups::set_member(store, &group.id, user, member, clock).await {
        Ok(_) => {
            post.visit.in_force().await?;
            Ok(post.led(&format!("/admin/groups/{}", group.id), "saved"))
        }
        Err(error) => refused(post, group, error).await,
    }
}

/// `POST …/admin/groups/{id}/remove`
pub(super) async fn remove(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(carry_out_removal(&id, &post).await)
}

async fn carry_out_removal(id: &str, post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let group = find(visit, id).await?;
    if fields.text("confirm") != group.name {
        let wrong = Wrong::field("confirm", visit.t.not_confirmed());
        return show(visit, group, Shown { typed: Some(fields), wrong }).await;
    }
    let successor = fields.given("successor").and_then(|id| GroupId::parse(id).ok());
    match groups::remove(visit.acting().store.as_ref(), &group.id, successor.as_ref()).await {
        Ok(()) => {
            visit.in_force().await?;
            Ok(post.led(Section::Groups.path(), "removed"))
        }
        Err(error) => refused(post, group, error).await,
    }
}
