//! How an account ends: merged into another, erased, removed. Each asks for the login to be typed.

use axum::{extract::Path, response::Response};

use super::{
    answered, find_user,
    user_posts::{ended, refused},
    words::{Wrong, wrong},
};
use crate::{
    model::user::User,
    registry::{lives, users},
    web::console::visit::{AdministratorPost, Post},
};

/// Whether the login was typed; else what to say.
fn confirmed(post: &Post, user: &User, field: &'static str) -> Result<(), Wrong> {
    if post.fields.text(field) == user.login {
        return Ok(());
    }
    Err(Wrong::field(field, post.visit.t.not_confirmed()))
}

/// `POST …/admin/users/{id}/merge`
pub(super) async fn merge(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(carry_out_merge(&id, &post).await)
}

async fn carry_out_merge(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    let control = visit.acting();
    let found = control.store.find_user_by_name(post.fields.text("into")).await;
    let into = found.map_err(|error| visit.store_failed(&error))?;
    let Some(into) = into else {
        return refused(post, user, Wrong::field("into", visit.t.user_unknown())).await;
    };
    if let Err(wrong) = confirmed(post, &user, "merge_confirm") {
        return refused(post, user, wrong).await;
    }
    let outcome = lives::merge(control.store.as_ref(), &user.id, &into.id, control.clock.as_ref()).await;
    ended(post, user, outcome, "done").await
}

/// `POST …/admin/users/{id}/erase`
pub(super) async fn erase(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    let erased = async {
        let user = find_user(&post.visit, &id).await?;
        if let Err(wrong) = confirmed(&post, &user, "erase_confirm") {
            return refused(&post, user, wrong).await;
        }
        let control = post.visit.acting();
        let outcome = lives::erase(control.store.as_ref(), &user.id, control.clock.as_ref()).await;
        ended(&post, user, outcome, "done").await
    };
    answered(erased.await)
}

/// `POST …/admin/users/{id}/remove`
pub(super) async fn remove(Path(id): Path<String>, AdministratorPost(post): AdministratorPost) -> Response {
    answered(carry_out_removal(&id, &post).await)
}

async fn carry_out_removal(id: &str, post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    let user = find_user(visit, id).await?;
    if let Err(wrong) = confirmed(post, &user, "remove_confirm") {
        return refused(post, user, wrong).await;
    }
    let control = visit.acting();
    match users::remove(control.store.as_ref(), &user.id, control.clock.as_ref()).await {
        Ok(()) => {
            visit.in_force().await?;
            Ok(post.led("/admin/users", "removed"))
        }
        Err(error) => {
            let wrong = wrong(visit.t, error).map_err(|error| visit.store_failed(&error))?;
            refused(post, user, wrong).await
        }
    }
}
