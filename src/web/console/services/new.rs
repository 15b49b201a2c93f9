//! Registering a service in one short form, and what to do with it then.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    LIST,
    fields::{Typed, mistake},
    path_of,
    view::Example,
};
use crate::{
    base::secret::Secret,
    model::service::{Profile, Service, Trust},
    registry::services::{NewService, register as verb},
    store::name::folded,
    web::console::{
        form::Mistakes,
        frame::{Frame, Section},
        parts::{Area, Check, Input, Made},
        visit::{Administrator, AdministratorPost, Once, Post, Visit},
    },
};

#[derive(Template)]
#[template(path = "console/service_new.html")]
struct Page {
    frame: Frame,
    once: String,
    typed: Typed,
    mistakes: Mistakes,
}

impl Page {
    const fn kind_is(&self, public: bool) -> bool {
        self.typed.public == public
    }
}

#[derive(Template)]
#[template(path = "console/service_made.html")]
struct MadePage {
    frame: Frame,
    name: String,
    url: String,
    secret: Secret,
    example: Example,
}

/// The form.
pub(super) async fn page(Administrator(visit): Administrator) -> Response {
    form(&visit, StatusCode::OK, Typed::default(), Mistakes::default())
}

fn form(visit: &Visit, status: StatusCode, typed: Typed, mistakes: Mistakes) -> Response {
    let frame = visit.frame(Section::Services);
    visit.show_as(status, &Page { frame, once: visit.once(), typed, mistakes })
}

/// Registers.
pub(super) async fn register(AdministratorPost(post): AdministratorPost) -> Response {
    match post.once().await {
        Once::New => {}
        Once::Done(path) if path.is_empty() => return post.visit.go(LIST),
        Once::Done(path) => return post.visit.done(&path, "created"),
        Once::Made(secret) => return again(&post, &secret).await,
    }
    let Post { visit, fields } = &post;
    let typed = Typed::read(fields);
    let mut mistakes = typed.check(visit.t);
    if !mistakes.is_empty() {
        post.again();
        return form(visit, StatusCode::UNPROCESSABLE_ENTITY, typed, mistakes);
    }
    let new = NewService {
        id: None,
        name: typed.name.clone(),
        trust: Trust {
            public: typed.public,
            trusted: !typed.public,
            flows: visit.caller.snapshot.flows,
            ..Trust::default()
        },
        profile: Profile { redirect_uris: typed.redirect_uris(), ..typed.profile().described() },
        secret: None,
    };
    let acting = visit.acting();
    let made = verb(acting.store.as_ref(), new, acting.clock.as_ref(), acting.random.as_ref()).await;
    let (service, secret) = match made {
        Ok(made) => made,
        Err(error) => {
            post.again();
            let Some((field, text)) = mistake(visit.t, &error) else {
                return super::change::failed(visit, error);
            };
            mistakes.add(field, text);
            return form(visit, StatusCode::UNPROCESSABLE_ENTITY, typed, mistakes);
        }
    };
    if let Some(secret) = &secret {
        post.made(secret);
    }
    if let Err(later) = visit.in_force().await {
        return later;
    }
    match secret {
        Some(secret) => show(visit, &service, secret),
        None => post.led(&path_of(&service.id), "created"),
    }
}

/// The same form was sent twice: the same answer.
async fn again(post: &Post, secret: &Secret) -> Response {
    let visit = &post.visit;
    let name = folded(post.fields.text("name"));
    match visit.control.store.list_services().await {
        Err(error) => visit.store_failed(&error),
        Ok(services) => match services.iter().find(|service| folded(&service.name) == name) {
            Some(service) => show(visit, service, secret.clone()),
            None => visit.go(LIST),
        },
    }
}

fn show(visit: &Visit, service: &Service, secret: Secret) -> Response {
    let page = MadePage {
        frame: visit.frame(Section::Services),
        name: service.name.clone(),
        url: visit.link(&path_of(&service.id)),
        example: Example::of(visit, service, Some(&secret)),
        secret,
    };
    visit.show(&page)
}
