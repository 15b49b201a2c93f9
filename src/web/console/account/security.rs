//! `…/account/security`: the password, and whether there is a second step.

use askama::Template;
use axum::response::Response;
use http::{StatusCode, header::SET_COOKIE};

use super::{
    super::{
        form::Mistakes,
        frame::{Frame, Section},
        parts::Input,
        visit::{Post, Visit},
    },
    password_refused,
};
use crate::{
    model::{second_step::SecondStep, user::User},
    registry::users::{self, NewPassword, PeopleError},
    web::{browser::noted, cookie},
};

/// Few enough to be told.
const FEW_CODES: u32 = 3;

#[derive(Template)]
#[template(path = "console/account/security.html")]
struct Page<'a> {
    frame: Frame,
    user: &'a User,
    step: Option<SecondStep>,
    /// Whether recovery codes are about to run out.
    few: bool,
    once: String,
    mistakes: &'a Mistakes,
}

impl Page<'_> {
    fn old_password(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "oldPassword", t.security_old_password(), "current-password")
            .checked(self.mistakes)
    }

    fn new_password(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "newPassword", t.new_password(), "new-password")
            .hint(t.password_rule())
            .checked(self.mistakes)
    }

    fn new_password_again(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "newPasswordAgain", t.new_password_again(), "new-password").checked(self.mistakes)
    }

    fn current_password(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "currentPassword", t.security_your_password(), "current-password")
            .hint(t.security_password_proof())
            .checked(self.mistakes)
    }
}

/// `GET …/account/security`
pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, &Mistakes::default()).await
}

pub(super) async fn show(visit: &Visit, status: StatusCode, mistakes: &Mistakes) -> Response {
    let user = &visit.who.user;
    let step = match visit.control.store.find_second_step(&user.id).await {
        Ok(step) => step,
        Err(error) => return visit.store_failed(&error),
    };
    let few = step.as_ref().is_some_and(|step| step.codes_left <= FEW_CODES);
    let (frame, once) = (visit.frame(Section::Security), visit.once());
    visit.show_as(status, &Page { frame, user, step, few, once, mistakes })
}

/// `POST …/account/security/password`: ends every session; this browser gets another.
pub(super) async fn change_password(post: Post) -> Response {
    match carry_out(&post).await {
        Ok(response) | Err(response) => response,
    }
}

async fn carry_out(post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let t = visit.t;
    let mut mistakes = Mistakes::default();
    let (new, again) = (fields.secret("newPassword"), fields.secret("newPasswordAgain"));
    if visit.who.user.declared {
        mistakes.add("", t.account_declared());
    }
    // What costs nothing first.
    if new.expose().chars().count() < 12 {
        mistakes.add("newPassword", t.password_short());
    } else if new == fields.secret("oldPassword") {
        mistakes.add("newPassword", t.security_same_password());
    } else if new != again {
        mistakes.add("newPasswordAgain", t.password_differs());
    }
    if mistakes.is_empty()
        && let Some(refused) = password_refused(post, "oldPassword").await?
    {
        mistakes.add("oldPassword", refused);
    }
    let refuse = async |mistakes: &Mistakes| show(visit, StatusCode::UNPROCESSABLE_ENTITY, mistakes).await;
    if !mistakes.is_empty() {
        return Ok(refuse(&mistakes).await);
    }
    let hashed = match NewPassword::of(&new, false, visit.control.hasher.as_ref()).await {
        Ok(hashed) => hashed,
        Err(PeopleError::Store(error)) => return Err(visit.store_failed(&error)),
        Err(PeopleError::Hash(_)) if new.expose().len() > 1024 => {
            mistakes.add("newPassword", t.password_long());
            return Ok(refuse(&mistakes).await);
        }
        Err(other) => {
            mistakes.add("newPassword", t.password_not_taken(other));
            return Ok(refuse(&mistakes).await);
        }
    };
    let control = visit.acting();
    let id = &visit.who.user.id;
    let user =
        match users::set_password(control.store.as_ref(), id, Some(hashed), control.clock.as_ref()).await {
            Ok(user) => user,
            Err(PeopleError::Store(error)) => return Err(visit.store_failed(&error)),
            Err(_) => return Err(visit.not_found()),
        };
    control.tell_password_changed(&visit.caller, &user, t);
    let browser = noted(&visit.caller, &visit.headers);
    let begun = control.sessions.begin(&user, browser, visit.who.session.remember, None).await;
    let (value, session) = begun.map_err(|error| visit.store_failed(&error))?;
    visit.in_force().await?;
    let mut response = visit.done(Section::Security.path(), "saved");
    let age = session.remember.then(|| control.sessions.life().absolute);
    if let Some(cookie) = cookie::set(&value, age) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
