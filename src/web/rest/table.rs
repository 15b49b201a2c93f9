//! The one list of operations, and the way from a request to one of them.
//!
//! Invariant: of paths that fit, the one that names more itself is meant, whatever the method: `users/guest` before
//! `users/{id}`, so that an address takes exactly what the document says of it.

use http::Method;
use percent_encoding::percent_decode_str;

use super::{error::RestError, openapi, operation::Operation, resource};

/// Every operation.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    let lists: [&'static [Operation]; 13] = [
        resource::services::OPERATIONS,
        resource::redirects::OPERATIONS,
        resource::settings::OPERATIONS,
        resource::users::OPERATIONS,
        resource::credentials::OPERATIONS,
        resource::granted::OPERATIONS,
        resource::userdetails::OPERATIONS,
        resource::usergroups::OPERATIONS,
        resource::authmodules::OPERATIONS,
        resource::avatar::OPERATIONS,
        resource::permissions::OPERATIONS,
        resource::events::OPERATIONS,
        openapi::OPERATIONS,
    ];
    lists.into_iter().flatten()
}

/// An operation, and what varies in its path.
pub(super) struct Found {
    pub(super) operation: &'static Operation,
    pub(super) ids: Vec<String>,
}

/// The operation of a path below `…/api/rest/`.
pub(super) fn find(method: &Method, path: &str) -> Result<Found, RestError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> =
        path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let fitting = all().filter_map(|operation| Some((operation, fit(operation.path, &segments)?)));
    let fitting: Vec<(&Operation, Vec<String>)> = fitting.collect();
    if fitting.is_empty() {
        return Err(RestError::no_resource());
    }
    let fewest = fitting.iter().map(|(_, ids)| ids.len()).min();
    let meant = fitting.into_iter().filter(|(_, ids)| Some(ids.len()) == fewest);
    let meant: Vec<(&Operation, Vec<String>)> = meant.collect();
    // What is only asked for the head of is read.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    let mut allow: Vec<&str> = meant.iter().map(|(operation, _)| operation.method.as_str()).collect();
    if let Some((operation, ids)) = meant.into_iter().find(|(operation, _)| operation.method == *wanted) {
        return Ok(Found { operation, ids });
    }
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.sort_unstable();
    allow.dedup();
    Err(RestError::no_method(allow.join(", ")))
}

/// What varies, if the path fits.
fn fit(template: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let mut parts = template.split('/');
    for segment in segments {
        match parts.next()? {
            part if part.starts_with('{') => ids.push(segment.clone()),
            part if part == segment => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(ids)
}
