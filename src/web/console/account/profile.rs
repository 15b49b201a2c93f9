//! `…/account`: what a person says of themselves.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    super::{
        form::Mistakes,
        frame::{Frame, Section},
        parts::{Input, Select},
        visit::{Post, Visit},
    },
    password_refused,
};
use crate::{
    model::{link::LinkKind, user::User},
    registry::{
        lives::{self, OwnChange},
        users::PeopleError,
    },
    store::StoreError,
    texts::Language,
    web::letters::Sent,
};

#[derive(Template)]
#[template(path = "console/account/profile.html")]
struct Page<'a> {
    frame: Frame,
    user: &'a User,
    groups: String,
    typed: Typed<'a>,
    mistakes: &'a Mistakes,
    /// Whether there is a mail server.
    mail: bool,
    /// What became of a letter.
    said: Option<String>,
}

/// What stands in the fields.
struct Typed<'a> {
    name: &'a str,
    email: &'a str,
    language: &'a str,
}

impl<'a> Typed<'a> {
    fn kept(user: &'a User) -> Self {
        Self {
            name: &user.name,
            email: user.email.as_ref().map_or("", |email| &email.address),
            language: language(user).map_or("", Language::tag),
        }
    }
}

impl Page<'_> {
    fn name(&self) -> Input<'_> {
        Input::text(self.frame.t, "name", self.frame.t.name(), self.typed.name)
            .autocomplete("name")
            .checked(self.mistakes)
    }

    fn email(&self) -> Input<'_> {
        Input::text(self.frame.t, "email", self.frame.t.email(), self.typed.email)
            .kind("email")
            .autocomplete("email")
            .hint(self.frame.t.profile_email_hint())
            .optional()
            .checked(self.mistakes)
    }

    fn password(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "currentPassword", t.security_your_password(), "current-password")
            .hint(t.profile_password_hint())
            .optional()
            .checked(self.mistakes)
    }

    fn language(&self) -> Select<'_> {
        let t = self.frame.t;
        let known = Language::ALL.into_iter().map(|language| (language.tag(), language.own_name()));
        let options = [("", t.profile_language_browser())].into_iter().chain(known).collect();
        Select::new("language", t.profile_language(), options, self.typed.language)
    }
}

/// The language of somebody's choice.
fn language(user: &User) -> Option<Language> {
    user.profile.locale.as_deref().and_then(Language::of_tag)
}

/// `GET …/account`
pub(super) async fn page(visit: Visit) -> Response {
    let user = &visit.who.user;
    show(&visit, StatusCode::OK, Typed::kept(user), &Mistakes::default()).await
}

async fn show(visit: &Visit, status: StatusCode, typed: Typed<'_>, mistakes: &Mistakes) -> Response {
    show_saying(visit, status, typed, mistakes, None).await
}

async fn show_saying(
    visit: &Visit,
    status: StatusCode,
    typed: Typed<'_>,
    mistakes: &Mistakes,
    said: Option<String>,
) -> Response {
    let user = &visit.who.user;
    let groups = match visit.control.store.groups_of(std::slice::from_ref(&user.id)).await {
        Ok(groups) => groups,
        Err(error) => return visit.store_failed(&error),
    };
    let groups: Vec<String> = groups.into_iter().flatten().map(|group| group.name).collect();
    let groups = groups.join(", ");
    let mail = visit.control.mailer.is_ready();
    let frame = visit.frame(Section::Profile);
    visit.show_as(status, &Page { frame, user, groups, typed, mistakes, mail, said })
}

/// `POST …/account`
pub(super) async fn save(post: Post) -> Response {
    let (visit, fields) = (&post.visit, &post.fields);
    let (user, t) = (&visit.who.user, visit.t);
    let (name, email) = (fields.text("name"), fields.text("email"));
    let chosen = Language::of_tag(fields.text("language"));
    let change = OwnChange {
        name: Some(name.to_owned()),
        email: Some(Some(email.to_owned()).filter(|email| !email.is_empty())),
        // `en_GB` is English already.
        locale: (chosen != language(user)).then(|| chosen.map(|chosen| chosen.tag().to_owned())),
        ..OwnChange::default()
    };
    let control = visit.acting();
    let store = &control.store;
    let mut mistakes = Mistakes::default();
    let shown_again = |mistakes| async move {
        let language = chosen.map_or("", Language::tag);
        show(visit, StatusCode::UNPROCESSABLE_ENTITY, Typed { name, email, language }, &mistakes).await
    };
    // A letter to the address sets another password: changing it takes what changing that takes.
    if email != user.email.as_ref().map_or("", |email| &email.address) && !user.declared {
        match password_refused(&post, "currentPassword").await {
            Ok(None) => {}
            Ok(Some(text)) => {
                mistakes.add("currentPassword", text);
                return shown_again(mistakes).await;
            }
            Err(response) => return response,
        }
    }
    match lives::change_own(store.as_ref(), &user.id, change, visit.control.clock.as_ref()).await {
        Ok(changed) => return after(visit, &changed).await,
        Err(PeopleError::Refused { what: "name", .. }) => mistakes.add("name", t.name_refused()),
        Err(PeopleError::Refused { .. }) => mistakes.add("email", t.email_refused()),
        Err(PeopleError::Store(StoreError::Conflict { .. })) => mistakes.add("email", t.email_taken()),
        Err(PeopleError::Store(error)) => return visit.store_failed(&error),
        Err(_) => mistakes.add("", t.account_declared()),
    }
    shown_again(mistakes).await
}

/// Tells whoever has to hear of a change, and leads back.
async fn after(visit: &Visit, changed: &User) -> Response {
    let told = visit.acting().tell_address_changed(&visit.caller, (&visit.who.user, changed), visit.t).await;
    if let Err(error) = told {
        return visit.store_failed(&error);
    }
    match visit.in_force().await {
        Ok(()) => visit.done(Section::Profile.path(), "saved"),
        Err(response) => response,
    }
}

/// `POST …/account/confirm-address`: a link to the address, which shows that its owner reads it.
pub(super) async fn confirm_address(post: Post) -> Response {
    let visit = &post.visit;
    let (user, t) = (&visit.who.user, visit.t);
    let Some(email) = user.email.as_ref().filter(|email| !email.verified) else {
        return visit.go(Section::Profile.path());
    };
    let sent = visit.acting().mail_link(&visit.caller, user, LinkKind::Address, t).await;
    let (status, said) = match sent {
        Ok(Sent::Posted) => (StatusCode::OK, t.profile_confirm_sent(&email.address)),
        Ok(Sent::TooMany) => (StatusCode::TOO_MANY_REQUESTS, t.profile_confirm_later().to_owned()),
        Ok(Sent::NoMail | Sent::NotForThem) => return visit.go(Section::Profile.path()),
        Err(error) => return visit.store_failed(&error),
    };
    show_saying(visit, status, Typed::kept(user), &Mistakes::default(), Some(said)).await
}
