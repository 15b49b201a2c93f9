//! What is changed of a user: profile, password, ban, groups.

use axum::{extract::Path, response::Response};

use super::{
    answered, find_user,
    user::{Shown, show},
    words::{Wrong, wrong},
};
use crate::{
    base::id::GroupId,
    model::{
        link::LinkKind,
        user::{Email, User},
    },
    registry::{
        groups, lives,
        second_step::{self, SecondStepError},
        users::{self, Change, PeopleError},
    },
    web::{
        console::visit::{AdministratorPost, Once, Post},
        letters::Sent,
    },
};

/// The page of this user, with what is wrong with the form.
pub(super) async fn refused(post: &Post, user: User, wrong: Wrong) -> Result<Response, Response> {
    post.again();
    show(&post.visit, user, Shown { typed: Some(&post.fields), wrong, ..Shown::default() }).await
}

/// What became of a verb: on to the page of the user, or back to the form.
pub(super) async fn ended(
    post: &Post,
    user: User,
    outcome: Result<User, PeopleError>,
    word: &str,
) -> Result<Response, Response> {
    let visit = &post.visit;
    match outcome {
        Ok(after) => {
            visit.in_force().await?;
            Ok(post.led(&format!("/admin/users/{}", after.id), word))
        }
        Err(error) => {
            let wrong = wrong(visit.t, error).map_err(|error| visit.store_failed(&error))?;
            refused(post, user, wrong).await
        }
    }
}

/// `POST …/admin/users/{id}`: the profile.
pub(super) async fn save(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(save_profile(&id, &post).await)
}

async fn save_profile(id: &str, post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let user = find_user(visit, id).await?;
    let login = fields.text("login").to_owned();
    let name = fields.given("name").unwrap_or(&login).to_owned();
    let verified = fields.has("verified");
    let change = Change {
        login: Some(login),
        name: Some(name),
        email: Some(fields.given("email").map(|address| Email { address: address.to_owned(), verified })),
        administrator: Some(fields.has("administrator")),
        avatar_url: None,
        locale: Some(fields.given("locale").map(str::to_owned)),
    };
    let control = visit.acting();
    let outcome = users::change(control.store.as_ref(), &user.id, change, control.clock.as_ref()).await;
    ended(post, user, outcome, "saved").await
}

/// `POST …/admin/users/{id}/ban`
pub(super) async fn ban(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let banned = async {
        let user = find_user(&post.visit, &id).await?;
        let control = post.visit.acting();
        let words = (post.fields.text("reason"), post.fields.text("badge"));
        let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
        let outcome = users::ban_with_badge(store, &user.id, words, clock).await;
        ended(&post, user, outcome, "done").await
    };
    answered(banned.await)
}

/// `POST …/admin/users/{id}/unban`
pub(super) async fn unban(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let let_in = async {
        let user = find_user(&post.visit, &id).await?;
        let control = post.visit.acting();
        let outcome = users::unban(control.store.as_ref(), &user.id, control.clock.as_ref()).await;
        ended(&post, user, outcome, "done").await
    };
    answered(let_in.await)
}

/// `POST …/admin/users/{id}/password`: a password for one sign-in, shown this once.
pub(super) async fn one_time(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(make_one_time(&id, &post).await)
}

async fn make_one_time(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let secret = match post.once().await {
        Once::Done(_) => return Ok(visit.go(&format!("/admin/users/{}", user.id))),
        Once::Made(secret) => secret,
        Once::New => {
            // Declared passwords come from the file, and would be back with its next reading.
            if user.declared {
                let text = visit.t.declared_elsewhere(&user.login);
                return refused(post, user, Wrong::whole(text)).await;
            }
            let control = visit.acting();
            let (clock, random) = (control.clock.as_ref(), control.random.as_ref());
            let hasher = control.hasher.as_ref();
            let made =
                lives::one_time_password(control.store.as_ref(), &user.id, hasher, clock, random).await;
            match made {
                Ok((after, secret)) => {
                    visit.in_force().await?;
                    control.tell_password_changed(&visit.caller, &after, visit.t);
                    post.made(&secret);
                    secret
                }
                Err(error) => return ended(post, user, Err(error), "").await,
            }
        }
    };
    let user = find_user(visit, id).await?;
    show(visit, user, Shown { made: Some(&secret), ..Shown::default() }).await
}

/// `POST …/admin/users/{id}/second-step/off`: for somebody who has lost the device.
pub(super) async fn second_step_off(
    Path(id): Path<String>,
    AdministratorPost(post): AdministratorPost,
) -> Response {
    let turned_off = async {
        let visit = &post.visit;
        let user = find_user(visit, &id).await?;
        match second_step::turn_off(visit.acting().store.as_ref(), &user.id).await {
            // Off already, by the same button pressed twice: as good as turned off.
            Ok(()) | Err(SecondStepError::Off) => Ok(post.led(&format!("/admin/users/{}", user.id), "done")),
            Err(SecondStepError::Store(error)) => Err(visit.store_failed(&error)),
            Err(other) => refused(&post, user, Wrong::whole(visit.t.refused_as(other))).await,
        }
    };
    answered(turned_off.await)
}

/// `POST …/admin/users/{id}/invite`: a link to choose a password.
pub(super) async fn invite(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(send(&id, &post, LinkKind::Invitation).await)
}

/// `POST …/admin/users/{id}/confirm`: a link that confirms the address.
pub(super) async fn confirm(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(send(&id, &post, LinkKind::Address).await)
}

async fn send(id: &str, post: &Post, kind: LinkKind) -> Result<Response, Response> {
    let (visit, t) = (&post.visit, post.visit.t);
    let user = find_user(visit, id).await?;
    let sent = visit.acting().mail_link(&visit.caller, &user, kind, t).await;
    let why = match sent.map_err(|error| visit.store_failed(&error))? {
        Sent::Posted => return Ok(post.led(&format!("/admin/users/{}", user.id), "done")),
        Sent::NoMail => t.mail_none(),
        Sent::NotForThem => t.mail_not_for_them(),
        Sent::TooMany => t.mail_too_many(),
    };
    refused(post, user, Wrong::whole(why)).await
}

/// `POST …/admin/users/{id}/groups/add`
pub(super) async fn join(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let joined = async {
        let user = find_user(&post.visit, &id).await?;
        let control = post.visit.acting();
        let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
        let outcome = match groups::named(store, post.fields.text("group")).await {
            Ok(group) => groups::set_member(store, &group.id, &user.id, true, clock).await,
            Err(error) => Err(error),
        };
        ended(&post, user, outcome, "saved").await
    };
    answered(joined.await)
}

/// `POST …/admin/users/{id}/groups/remove`
pub(super) async fn leave(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let left = async {
        let user = find_user(&post.visit, &id).await?;
        let Ok(group) = GroupId::parse(post.fields.text("group_id")) else {
            return Err(post.visit.not_found());
        };
        let control = post.visit.acting();
        let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
        let outcome = groups::set_member(store, &group, &user.id, false, clock).await;
        ended(&post, user, outcome, "saved").await
    };
    answered(left.await)
}
