//! A new user: with a one-time password that is shown, with an invitation by mail, or without either.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    MOST_CHOICES, all_groups, answered, find_user,
    user::{Shown, show},
    words::{Wrong, wrong},
};
use crate::{
    base::id::GroupId,
    model::{
        link::LinkKind,
        user::{Email, Group, User},
    },
    registry::{
        lives,
        users::{self, NewUser, PeopleError},
    },
    web::console::{
        form::{Fields, Mistakes},
        parts::{Check, Frame, Input, Section},
        visit::{Administrator, AdministratorPost, Once, Post, Visit},
    },
};

#[derive(Template)]
#[template(path = "console/user_new.html")]
struct Page<'a> {
    frame: Frame,
    typed: &'a Fields,
    mistakes: Mistakes,
    alarm: Option<String>,
    groups: Vec<Group>,
    mail: bool,
    once: String,
}

impl Page<'_> {
    fn login(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "login", t.login(), self.typed.text("login")).checked(&self.mistakes).focused()
    }

    fn name(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "name", t.name(), self.typed.text("name"))
            .optional()
            .hint(t.user_name_hint())
            .checked(&self.mistakes)
    }

    fn email(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "email", t.email(), self.typed.text("email"))
            .kind("email")
            .optional()
            .checked(&self.mistakes)
    }

    /// The ways in that there are, with the one that is chosen.
    fn ways(&self) -> Vec<Check<'_>> {
        let t = self.frame.t;
        let usual = if self.mail { "mail" } else { "once" };
        let chosen = self.typed.given("how").unwrap_or(usual);
        let way = |value: &'static str, label, hint| {
            let check = Check::radio("how", value, label, chosen == value);
            if let Some(hint) = hint { check.hint(hint) } else { check }
        };
        let mut ways = Vec::new();
        if self.mail {
            ways.push(way("mail", t.user_how_mail(), Some(t.user_how_mail_hint())));
        }
        ways.push(way("once", t.user_how_once(), Some(t.user_how_once_hint())));
        ways.push(way("none", t.user_how_none(), None));
        ways
    }

    fn memberships(&self) -> Vec<Check<'_>> {
        let is_typed = |group: &Group| self.typed.all("groups").any(|id| id == group.id.as_str());
        let check = |group: &'_ Group| is_typed(group) || (group.auto_join && !self.typed.has("login"));
        let all = self.groups.iter();
        all.map(|group| Check::one_of("groups", group.id.as_str(), &group.name, check(group))).collect()
    }

    fn administrator(&self) -> Check<'_> {
        let t = self.frame.t;
        let ticked = self.typed.has("administrator");
        Check::new("administrator", t.administrator_label(), ticked).hint(t.administrator_hint())
    }
}

/// `GET …/admin/users/new`
pub(super) async fn page(Administrator(visit): Administrator) -> Response {
    // Nothing comes from the address: a link could tick what nobody looks at.
    let typed = Fields::default();
    answered(form(&visit, &typed, Wrong::default()).await)
}

async fn form(visit: &Visit, typed: &Fields, wrong: Wrong) -> Result<Response, Response> {
    let mut groups = all_groups(visit).await?;
    if groups.len() > MOST_CHOICES {
        groups.clear();
    }
    let status = if wrong.is_nothing() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = Page {
        frame: visit.frame(Section::Users),
        typed,
        mistakes: wrong.mistakes,
        alarm: wrong.alarm,
        groups,
        mail: visit.control.mailer.is_ready(),
        once: visit.once(),
    };
    Ok(visit.show_as(status, &page))
}

/// `POST …/admin/users/new`
pub(super) async fn create(AdministratorPost(post): AdministratorPost) -> Response {
    answered(make(&post).await)
}

async fn make(post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    match post.once().await {
        Once::New => {}
        Once::Done(path) => return Ok(visit.go(if path.is_empty() { "/admin/users" } else { &path })),
        Once::Made(secret) => {
            let found = visit.control.store.find_user_by_name(fields.text("login")).await;
            let user = found.map_err(|error| visit.store_failed(&error))?;
            let user = user.ok_or_else(|| visit.not_found())?;
            return show(visit, user, Shown { made: Some(&secret), ..Shown::default() }).await;
        }
    }
    let how = fields.text("how");
    let outcome = if how == "mail" && fields.given("email").is_none() {
        Err(Wrong::field("email", visit.t.needs_address()))
    } else {
        made(post, how).await?
    };
    match outcome {
        Ok(answer) => Ok(answer),
        Err(wrong) => {
            post.again();
            form(visit, fields, wrong).await
        }
    }
}

/// Makes the user; or says what is wrong with the form.
async fn made(post: &Post, how: &str) -> Result<Result<Response, Wrong>, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let login = fields.text("login").to_owned();
    // The administrator vouches for an address, unless the person is to show it.
    let verified = how != "mail";
    let new = NewUser {
        id: None,
        name: fields.given("name").unwrap_or(&login).to_owned(),
        login,
        email: fields.given("email").map(|address| Email { address: address.to_owned(), verified }),
        password: None,
        administrator: fields.has("administrator"),
        groups: fields.all("groups").filter_map(|id| GroupId::parse(id).ok()).collect(),
    };
    let control = visit.acting();
    let (store, clock, random) = (control.store.as_ref(), control.clock.as_ref(), control.random.as_ref());
    let added: Result<(User, Option<_>), PeopleError> = if how == "once" {
        let invited = lives::invite(store, new, control.hasher.as_ref(), clock, random).await;
        invited.map(|(user, secret)| (user, Some(secret)))
    } else {
        users::add(store, new, clock, random).await.map(|user| (user, None))
    };
    let (user, secret) = match added {
        Ok(added) => added,
        Err(error) => {
            return wrong(visit.t, error).map(Err).map_err(|error| visit.store_failed(&error));
        }
    };
    visit.in_force().await?;
    if let Some(secret) = secret {
        post.made(&secret);
        let user = find_user(visit, user.id.as_str()).await?;
        let shown = Shown { made: Some(&secret), ..Shown::default() };
        return Ok(Ok(show(visit, user, shown).await?));
    }
    if how == "mail" {
        let sent = control.mail_link(&visit.caller, &user, LinkKind::Invitation, visit.t).await;
        sent.map_err(|error| visit.store_failed(&error))?;
    }
    Ok(Ok(post.led(&format!("/admin/users/{}", user.id), "created")))
}
