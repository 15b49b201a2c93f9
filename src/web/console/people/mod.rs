//! Users and groups: found, made, changed, ended.
//!
//! Invariant: every change is a verb of `registry`, in the name of the administrator who asks for it; what it refuses stands at the
//! field that it is about, with what was typed.

mod group;
mod groups;
mod new_user;
mod programs;
mod user;
mod user_ends;
mod user_posts;
mod users;
mod words;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};

use super::visit::Visit;
use crate::{
    base::id::UserId,
    model::user::{Group, User},
    web::{Control, reply},
};

/// Groups that a list to choose from names at most; beyond, a group is typed.
const MOST_CHOICES: usize = 200;

/// Where these pages are.
pub(super) fn routes() -> Router<Control> {
    let posts = [
        ("ban", post(user_posts::ban)),
        ("unban", post(user_posts::unban)),
        ("password", post(user_posts::one_time)),
        ("second-step/off", post(user_posts::second_step_off)),
        ("invite", post(user_posts::invite)),
        ("confirm", post(user_posts::confirm)),
        ("groups/add", post(user_posts::join)),
        ("groups/remove", post(user_posts::leave)),
        ("sessions/end", post(programs::end_sessions)),
        ("programs/revoke", post(programs::revoke)),
        ("merge", post(user_ends::merge)),
        ("erase", post(user_ends::erase)),
        ("remove", post(user_ends::remove)),
    ];
    let users = Router::new()
        .route("/admin/users", get(users::page).fallback(reply::only_get))
        .route("/admin/users/new", get(new_user::page).post(new_user::create).fallback(reply::get_or_post))
        .route("/admin/users/{id}", get(user::page).post(user_posts::save).fallback(reply::get_or_post));
    let users = posts.into_iter().fold(users, |router, (path, method)| {
        router.route(&format!("/admin/users/{{id}}/{path}"), method.fallback(reply::only_post))
    });
    users
        .route("/admin/groups", get(groups::page).fallback(reply::only_get))
        .route("/admin/groups/new", get(groups::new).post(groups::create).fallback(reply::get_or_post))
        .route("/admin/groups/{id}", get(group::page).post(group::save).fallback(reply::get_or_post))
        .route("/admin/groups/{id}/members/add", post(group::add).fallback(reply::only_post))
        .route("/admin/groups/{id}/members/remove", post(group::take_out).fallback(reply::only_post))
        .route("/admin/groups/{id}/remove", post(group::remove).fallback(reply::only_post))
}

/// An answer, whichever way it came about.
fn answered(answer: Result<Response, Response>) -> Response {
    answer.unwrap_or_else(|refusal| refusal)
}

/// The user of a page.
async fn find_user(visit: &Visit, id: &str) -> Result<User, Response> {
    let Ok(id) = UserId::parse(id) else { return Err(visit.not_found()) };
    let found = visit.control.store.find_user(&id).await.map_err(|error| visit.store_failed(&error))?;
    found.ok_or_else(|| visit.not_found())
}

/// All groups but that of everybody, by name.
async fn all_groups(visit: &Visit) -> Result<Vec<Group>, Response> {
    let mut groups = visit.control.store.list_groups().await.map_err(|error| visit.store_failed(&error))?;
    groups.retain(|group| !group.all_users);
    Ok(groups)
}
