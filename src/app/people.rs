//! Who signs in: the pool, the counters and the sessions put together, and what the configuration says of people brought
//! into the store.
//!
//! Invariant: no gateway serves before its declared users, the guest and an administrator are there.

use std::{num::NonZeroUsize, sync::Arc};

use super::{
    StartError,
    hashing::{Aside, Pool, default_threads},
};
use crate::{
    base::{random::Random, secret::Secret, time::Clock},
    config::{Config, DeclaredUser, Rate},
    identity::{
        login::{LoginResult, Logins},
        session::Sessions,
        throttle::LoginLimits,
    },
    observe::metrics::Totals,
    registry::{
        audit::SignIns,
        first::{self, FIRST_LOGIN, First},
        people::{self, Declaration, Plan},
    },
    store::SharedStore,
};

/// What pages and the token endpoint ask about people.
pub(super) struct People {
    pub(super) logins: Arc<Logins>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) pool: Arc<Pool>,
    pub(super) sign_ins: Arc<SignIns>,
}

impl People {
    pub(super) fn new(
        config: &Config,
        store: &SharedStore,
        (clock, random): (&Arc<dyn Clock>, &Arc<dyn Random>),
        totals: Arc<Totals>,
    ) -> Result<Self, StartError> {
        let threads = config.limits.password_threads.map_or_else(default_threads, NonZeroUsize::get);
        let pool = Arc::new(Pool::start(threads, config.limits.password_queue, random)?);
        let sign_ins = Arc::new(SignIns::new(Arc::clone(store), Arc::clone(clock)));
        let recorded = Arc::clone(&sign_ins);
        let logins = Logins::new(
            (Arc::clone(store) as _, Arc::clone(store) as _),
            Arc::clone(&pool) as _,
            Arc::clone(clock),
            limits(config),
            Box::new(move |result, user, source| {
                totals.add("logins", vec![("result", result.name().to_owned())], 1);
                if matches!(result, LoginResult::Refused | LoginResult::Throttled) {
                    let meant = user.map(|meant| (&meant.id, meant.login.as_str()));
                    recorded.refused(result == LoginResult::Throttled, meant, source);
                }
            }),
        );
        let sessions =
            Sessions::new(Arc::clone(store) as _, Arc::clone(clock), Arc::clone(random), config.sessions);
        Ok(Self { logins: Arc::new(logins), sessions: Arc::new(sessions), pool, sign_ins })
    }

    /// Takes the limits and lives of another configuration up.
    pub(super) fn take_up(&self, config: &Config) {
        self.logins.set_limits(limits(config));
        self.sessions.set_life(config.sessions);
    }
}

fn limits(config: &Config) -> LoginLimits {
    let rate = |rate: Option<Rate>| rate.map(|rate| (rate.count, rate.per));
    LoginLimits {
        pair: rate(config.limits.login_failures),
        source: rate(config.limits.login_failures_per_source),
        account: rate(config.limits.login_failures_per_account),
    }
}

/// What the users that the configuration declares change in the store.
pub(super) async fn plan(
    config: &Config,
    store: &SharedStore,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> Result<Plan, StartError> {
    let declaration = |user: &DeclaredUser| Declaration {
        login: user.login.clone(),
        name: user.name.clone(),
        email: user.email.clone(),
        password: user.password.clone(),
        groups: user.groups.clone(),
        administrator: user.administrator,
    };
    let declarations: Vec<Declaration> = config.users.iter().map(declaration).collect();
    let aside = Aside::new(Arc::clone(random));
    Ok(people::plan(store.as_ref(), &declarations, &aside, clock, random.as_ref()).await?)
}

/// Makes the guest and an administrator where they are missing. Returns the password for one sign-in, if one was made.
pub(super) async fn ensure(
    config: &Config,
    store: &SharedStore,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> Result<Option<Secret>, StartError> {
    first::ensure_guest(store.as_ref(), clock, random.as_ref()).await?;
    first::ensure_all_users(store.as_ref(), clock, random.as_ref()).await?;
    let aside = Aside::new(Arc::clone(random));
    let password = config.admin_password.as_ref();
    match first::ensure_administrator(store.as_ref(), password, &aside, clock, random.as_ref()).await? {
        First::Exists => Ok(None),
        First::Made => {
            tracing::info!(
                user = FIRST_LOGIN,
                "the first administrator is there, with the configured password"
            );
            Ok(None)
        }
        First::OneTime(password) => Ok(Some(password)),
        First::Taken => {
            tracing::warn!(
                "nobody may administer, and {FIRST_LOGIN:?} is somebody who may not: `hubgate user add --administrator` adds an administrator"
            );
            Ok(None)
        }
    }
}
