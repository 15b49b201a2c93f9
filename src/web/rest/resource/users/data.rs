//! `users/{id}/data`: all that is kept about a person, for the person.
//!
//! Invariant: no secret, digest or hash is in it.

use serde_json::Value;

use super::{
    change::find as find_user,
    view::{USER, UserView},
};
use crate::{
    base::time::Timestamp,
    model::{
        grant::{Consent, Grant},
        session::Session,
    },
    registry::held::{self, Held},
    web::rest::{
        fields::Fields,
        kind::{Form, Kind, Object, all_inside, project, read, write},
        operation::{Answering, Ask},
    },
};

/// A body that names users.
pub(super) static SEVERAL: Kind = Kind {
    name: "usersToMerge",
    entity: false,
    fields: &[
        write("users", Form::Many(&USER), "The users, each by its id."),
        write("id", Form::Text, "A single one."),
    ],
};

static SESSION: Kind = Kind {
    name: "userDataSession",
    entity: false,
    fields: &[
        read("id", Form::Text, "Its id, which opens nothing."),
        read("authenticationTime", Form::Time, "When the person signed in."),
        read("lastAccessTime", Form::Time, "When it was last used."),
        read("lastAccessAddress", Form::Text, "From where."),
        read("lastAccessUserAgent", Form::Text, "With which browser."),
    ],
};

static GRANT: Kind = Kind {
    name: "userDataGrant",
    entity: false,
    fields: &[
        read("id", Form::Text, "Its id, which opens nothing."),
        read("client", Form::Text, "The id of the service that has it."),
        read("scope", Form::Text, "What for."),
        read("creationTime", Form::Time, "When it was granted."),
        read("lastAccessTime", Form::Time, "When it was last used."),
    ],
};

static CONSENT: Kind = Kind {
    name: "userDataConsent",
    entity: false,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("client", Form::Text, "The id of the service that was let in."),
        read("scope", Form::Texts, "The ids of the services that it may use."),
        read("expiresOn", Form::Time, "When the person is asked again."),
    ],
};

pub(super) static DATA: Kind = Kind {
    name: "userData",
    entity: false,
    fields: &[
        read("user", Form::One(&USER), "The user."),
        read("sessions", Form::Many(&SESSION), "Browsers on which it is signed in."),
        read("refreshTokens", Form::Many(&GRANT), "Services that can go on without it."),
        read("approvedScopes", Form::Many(&CONSENT), "What services may have without asking."),
    ],
};

struct Data<'a> {
    user: UserView<'a>,
    held: Held,
}

impl Object for Data<'_> {
    fn kind(&self) -> &'static Kind {
        &DATA
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        match name {
            // The subject of it all, so whole.
            "user" => Some(project(&self.user, fields)),
            "sessions" => Some(all_inside(&self.held.sessions, fields)),
            "refreshTokens" => Some(all_inside(&self.held.grants, fields)),
            "approvedScopes" => Some(all_inside(&self.held.consents, fields)),
            _ => None,
        }
    }
}

impl Object for Session {
    fn kind(&self) -> &'static Kind {
        &SESSION
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "id" => Some(self.id.as_str().into()),
            "authenticationTime" => Some(self.authenticated.millis().into()),
            "lastAccessTime" => Some(self.used.millis().into()),
            "lastAccessAddress" => Some(self.address.as_str().into()),
            "lastAccessUserAgent" => Some(self.user_agent.as_str().into()),
            _ => None,
        }
    }
}

impl Object for (Grant, Timestamp) {
    fn kind(&self) -> &'static Kind {
        &GRANT
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "id" => Some(self.0.id.as_str().into()),
            "client" => Some(self.0.client.as_str().into()),
            "scope" => Some(self.0.scope.spelled.as_str().into()),
            "creationTime" => Some(self.0.created.millis().into()),
            "lastAccessTime" => Some(self.1.millis().into()),
            _ => None,
        }
    }
}

impl Object for Consent {
    fn kind(&self) -> &'static Kind {
        &CONSENT
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "id" => Some(self.id.as_str().into()),
            "client" => Some(self.client.as_str().into()),
            "scope" => Some(self.services.iter().map(|service| Value::from(service.as_str())).collect()),
            "expiresOn" => Some(self.expires.millis().into()),
            _ => None,
        }
    }
}

pub(super) fn data<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let user = find_user(ask, ask.id(0)).await?;
        let held = held::list(ask.store().as_ref(), &user.id).await?;
        let fields = ask.fields.of("user").unwrap_or(&ask.fields);
        let views = UserView::all(std::slice::from_ref(&user), ask, fields).await?;
        let found = views.into_iter().next().unwrap_or_else(|| UserView::of(&user, ask));
        Ok(ask.one(&Data { user: found, held }))
    })
}
