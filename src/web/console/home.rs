//! `GET` of the hub's root: the services that somebody can open, and for whoever administers a gateway that is new, what to do
//! first.

use askama::Template;
use axum::response::Response;

use super::{
    frame::{Frame, Section},
    visit::Visit,
};
use crate::{
    base::{id::ServiceId, url::web_origin},
    model::service::Service,
};

#[derive(Template)]
#[template(path = "console/home.html")]
struct Page {
    frame: Frame,
    tiles: Vec<Tile>,
    guide: Option<Guide>,
}

/// A service that can be opened.
struct Tile {
    name: String,
    url: String,
    host: String,
}

/// How far a new gateway has come.
struct Guide {
    /// The first service that was registered.
    service: Option<(ServiceId, String)>,
    /// Where it is reached, if an upstream names it.
    route: Option<String>,
}

/// See the module.
pub(super) async fn page(visit: Visit) -> Response {
    let snapshot = &visit.caller.snapshot;
    let mut services: Vec<&Service> =
        snapshot.registry.all().map(AsRef::as_ref).filter(|service| service.id != ServiceId::hub()).collect();
    services.sort_by_key(|service| service.name.to_lowercase());
    let tiles = services.iter().filter_map(|service| {
        let url = service.profile.home_url.clone().filter(|url| web_origin(url).is_some())?;
        let host = web_origin(&url)?.split_once("://")?.1.to_owned();
        Some(Tile { name: service.name.clone(), url, host })
    });
    let tiles = tiles.collect();
    let guide = visit.who.user.administrator.then(|| {
        // The one that has got furthest.
        let routed = services.iter().find_map(|service| {
            let route =
                snapshot.routes.iter().find(|route| route.policy.service.as_ref() == Some(&service.id))?;
            Some((*service, format!("{}{}", snapshot.origin, route.path)))
        });
        let service = routed.as_ref().map(|(service, _)| *service).or_else(|| services.first().copied());
        Guide {
            service: service.map(|service| (service.id.clone(), service.name.clone())),
            route: routed.map(|(_, url)| url),
        }
    });
    // Whoever has a service in use needs no guide.
    let guide = guide.filter(|guide| guide.route.is_none());
    visit.show(&Page { frame: visit.frame(Section::Home), tiles, guide })
}
