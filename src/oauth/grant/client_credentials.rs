//! Client credentials: a trusted service acts on its own behalf (RFC 6749 section 4.4).

use super::Granted;
use crate::{
    model::{registry::Registry, scope::GrantedScope, service::Service},
    oauth::{error::OAuthError, scope},
};

/// Grants the requested scope; without one, a token for the service itself.
pub(super) fn grant(
    service: &Service,
    requested: Option<&str>,
    registry: &Registry,
) -> Result<Granted, OAuthError> {
    let scope = match requested {
        Some(requested) => scope::resolve(requested, registry)?,
        None => GrantedScope { spelled: service.id.as_str().to_owned(), services: vec![service.id.clone()] },
    };
    Ok(Granted { client: service.id.clone(), subject: service.id.as_str().to_owned(), scope, family: None })
}
