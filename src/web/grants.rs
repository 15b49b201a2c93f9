//! What token and authorization requests are judged by, put together from the snapshot and the control plane.

use std::net::IpAddr;

use async_trait::async_trait;

use super::Control;
use crate::{
    base::{id::UserId, secret::Secret},
    identity::login::LoginError,
    model::user::Person,
    oauth::{
        grant::Context,
        owner::{OwnerError, ResourceOwners},
    },
    proxy::gate::Caller,
    store::StoreError,
};

/// The context of one request.
pub(super) fn context<'a>(control: &'a Control, caller: &'a Caller, owners: &'a Owners<'_>) -> Context<'a> {
    let snapshot = &caller.snapshot;
    Context {
        registry: &snapshot.registry,
        keyring: &snapshot.keyring,
        issuer: &snapshot.issuer,
        flows: snapshot.flows,
        lives: snapshot.lives,
        store: owners.0.store.as_ref(),
        revoke: owners.0.store.as_ref(),
        owners,
        source: caller.source,
        now: control.clock.now(),
        random: control.random.as_ref(),
    }
}

/// People, as the protocol sees them, and the id of the request that asks for them.
pub(super) struct Owners<'c>(pub(super) &'c Control, pub(super) &'c str);

#[async_trait]
impl ResourceOwners for Owners<'_> {
    async fn find(&self, id: &UserId) -> Result<Option<Person>, StoreError> {
        self.0.person(id).await
    }

    async fn authenticate(
        &self,
        name: &str,
        password: &Secret,
        source: IpAddr,
    ) -> Result<Person, OwnerError> {
        let user = self.0.logins.authenticate(name, password, source).await.map_err(|error| match error {
            LoginError::Credentials => OwnerError::Credentials,
            LoginError::SecondStep(_) => OwnerError::SecondStep,
            LoginError::Throttled(wait) => OwnerError::Throttled(wait),
            LoginError::Busy(wait) => OwnerError::Busy(wait),
            LoginError::Store(error) => OwnerError::Store(error),
        })?;
        if user.password.as_ref().is_some_and(|password| password.must_change) {
            return Err(OwnerError::PasswordChange);
        }
        self.0.sign_ins.by_password(&user, self.1, source);
        self.0.person(&user.id).await?.ok_or(OwnerError::Credentials)
    }
}
