//! `services`: what is registered (hub-contract section 10.1).

mod change;
mod view;

use std::sync::Arc;

use http::Method;

pub(in crate::web::rest) use self::view::{SERVICE, ServiceView};
use self::{
    change::{register, remove, update},
    view::RESOURCE,
};
use super::{
    permissions,
    usergroups::{GROUP, GroupView},
};
use crate::{
    base::id::ServiceId,
    model::{
        grant::RejectedRedirect,
        search::{GroupIs, Page},
        service::Service,
    },
    web::rest::{
        caller::Who,
        error::RestError,
        fields::Fields,
        kind::project,
        operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
        page::{cannot_sort, of_items},
        permission::Permission,
        search::holds,
    },
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "services",
        summary: "Registered services",
        need: Need::May(Permission::ServiceReadBasic),
        takes: Takes::Nothing,
        gives: Gives::Page(&SERVICE),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::POST,
        path: "services",
        summary: "Register a service",
        need: Need::May(Permission::ServiceCreate),
        takes: Takes::Object(&SERVICE),
        gives: Gives::Object(&SERVICE),
        parameters: &[],
        handler: register,
    },
    Operation {
        method: Method::GET,
        path: "services/header",
        summary: "The services that a menu shows",
        need: Need::May(Permission::ServiceReadBasic),
        takes: Takes::Nothing,
        gives: Gives::List(&SERVICE),
        parameters: &[],
        handler: header,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}",
        summary: "A service",
        need: Need::SelfOr(Permission::ServiceReadBasic),
        takes: Takes::Nothing,
        gives: Gives::Object(&SERVICE),
        parameters: &[],
        handler: one,
    },
    Operation {
        method: Method::POST,
        path: "services/{id}",
        summary: "Change a service, or its secret; the secret before stays accepted for a while",
        need: Need::SelfOr(Permission::ServiceUpdate),
        takes: Takes::Object(&SERVICE),
        gives: Gives::Updated(&SERVICE),
        parameters: &[],
        handler: update,
    },
    Operation {
        method: Method::DELETE,
        path: "services/{id}",
        summary: "Remove a service; every token that it obtained is dead",
        need: Need::May(Permission::ServiceDelete),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        parameters: &[(
            "successor",
            "The service that takes its place; it has to exist. Tokens and consents do not move.",
        )],
        handler: remove,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/resources",
        summary: "The routes of a service",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&RESOURCE),
        parameters: &[],
        handler: resources,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/resources/{resource}",
        summary: "A route of a service",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&RESOURCE),
        parameters: &[],
        handler: resource,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/permissions",
        summary: "The permissions that belong to a service",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&permissions::PERMISSION),
        parameters: &[],
        handler: owned_permissions,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/permissions/{permission}",
        summary: "A permission that belongs to a service",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&permissions::PERMISSION),
        parameters: &[],
        handler: owned_permission,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/viewers",
        summary: "Who sees a service in the menu of services: everybody",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&GROUP),
        parameters: &[],
        handler: viewers,
    },
    Operation {
        method: Method::GET,
        path: "services/{id}/viewers/{group}",
        summary: "A group that sees a service in the menu of services",
        need: Need::SelfOr(Permission::ServiceRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&GROUP),
        parameters: &[],
        handler: viewer,
    },
];

/// The service that an id in a path means: `me` is who asks.
pub(in crate::web::rest) fn find<'a>(ask: &'a Ask<'_>, id: &str) -> Result<&'a Arc<Service>, RestError> {
    let id = match (&ask.asker.who, id) {
        (Who::Service(service), "me") => service.id.as_str(),
        _ => id,
    };
    ask.caller.snapshot.registry.by_id(id).ok_or_else(|| RestError::no_entity(id))
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, filter, order) = (ask.page()?, ask.filter()?, ask.order()?);
        let mut found = Vec::new();
        for service in ask.caller.snapshot.registry.all() {
            let view = ServiceView::of(service, ask);
            if holds(filter.as_ref(), &view)? {
                found.push(view);
            }
        }
        found.sort_by_cached_key(|view| (view.service.name.to_lowercase(), view.service.id.clone()));
        for order in order.iter().rev() {
            let key: fn(&Service) -> String = match order.field.to_ascii_lowercase().as_str() {
                "id" => |service| service.id.to_string(),
                "name" => |service| service.name.to_lowercase(),
                "key" => |service| service.profile.key.as_deref().unwrap_or(&service.name).to_lowercase(),
                "homeurl" => |service| service.profile.home_url.clone().unwrap_or_default(),
                "applicationname" => {
                    |service| service.profile.application_name.clone().unwrap_or_default().to_lowercase()
                }
                "vendor" => |service| service.profile.vendor.clone().unwrap_or_default().to_lowercase(),
                "trusted" => |service| u8::from(service.trust.trusted).to_string(),
                _ => return Err(cannot_sort(order.field)),
            };
            if order.descending {
                found.reverse();
            }
            found.sort_by_cached_key(|view| key(view.service));
            if order.descending {
                found.reverse();
            }
        }
        let total = found.len() as u64;
        let mut shown = page.cut(found);
        let rejected = rejected(ask, &shown, of_items(&ask.fields, "services")).await?;
        for (view, rejected) in shown.iter_mut().zip(&rejected) {
            view.rejected = rejected;
        }
        last_uses(ask, &mut shown, of_items(&ask.fields, "services")).await?;
        ask.listed("services", page, total, &shown)
    })
}

/// What was asked for in vain, of each service, where it is wanted.
async fn rejected(
    ask: &Ask<'_>,
    views: &[ServiceView<'_>],
    fields: &Fields,
) -> Result<Vec<Vec<RejectedRedirect>>, RestError> {
    let mut all = Vec::new();
    if fields.names("untrustedRedirectUris") {
        for view in views.iter().filter(|view| view.full.is_some()) {
            all.push(ask.store().list_rejected_redirects(&view.service.id).await?);
        }
    }
    Ok(all)
}

/// When they were last active, where it is wanted.
async fn last_uses(ask: &Ask<'_>, views: &mut [ServiceView<'_>], fields: &Fields) -> Result<(), RestError> {
    if fields.names("lastAccessTime") {
        let ids: Vec<ServiceId> = views.iter().map(|view| view.service.id.clone()).collect();
        for (view, last) in views.iter_mut().zip(ask.control.last_uses(&ids).await?) {
            view.last = last;
        }
    }
    Ok(())
}

fn header<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let mut services: Vec<&Arc<Service>> = ask.caller.snapshot.registry.all().collect();
        services.retain(|service| service.profile.home_url.is_some());
        services.sort_by_cached_key(|service| (service.name.to_lowercase(), service.id.clone()));
        let shown = services.into_iter().map(|service| project(&ServiceView::basic(service), &ask.fields));
        Ok(Answer::Json(shown.collect()))
    })
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let mut view = ServiceView::of(find(ask, ask.id(0))?, ask);
        let rejected =
            rejected(ask, std::slice::from_ref(&view), &ask.fields).await?.pop().unwrap_or_default();
        view.rejected = &rejected;
        last_uses(ask, std::slice::from_mut(&mut view), &ask.fields).await?;
        Ok(ask.one(&view))
    })
}

fn resources<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let routes = ServiceView::of(find(ask, ask.id(0))?, ask).routes();
        let total = routes.len() as u64;
        ask.listed("resources", page, total, &page.cut(routes))
    })
}

fn resource<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { ask.entry(1, &ServiceView::of(find(ask, ask.id(0))?, ask).routes()) })
}

fn owned_permission<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        ask.entry(1, &permissions::of_service(find(ask, ask.id(0))?, &ask.caller.snapshot.registry))
    })
}

fn owned_permissions<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let found = permissions::of_service(find(ask, ask.id(0))?, &ask.caller.snapshot.registry);
        let total = found.len() as u64;
        ask.listed("permissions", page, total, &page.cut(found))
    })
}

/// The group of all users, if there is such a service.
async fn everybody(ask: &Ask<'_>) -> Result<Vec<GroupView>, RestError> {
    find(ask, ask.id(0))?;
    let found = ask.store().find_groups(&GroupIs::AllUsers.into(), &[], Page::first(1)).await?;
    Ok(found.items.into_iter().map(GroupView::plain).collect())
}

fn viewers<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let (page, views) = (ask.page()?, everybody(ask).await?);
        let total = views.len() as u64;
        ask.listed("viewers", page, total, &page.cut(views))
    })
}

fn viewer<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { ask.entry(1, &everybody(ask).await?) })
}
