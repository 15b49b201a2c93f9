//! Operations: what REST can do, each with who may do it.
//!
//! Invariant: an operation cannot be written down without saying who may; the router, the OpenAPI document and the test of every
//! operation against every kind of caller read the same list.

use std::{future::Future, pin::Pin};

use http::Method;
use serde_json::{Map, Value};

use super::{
    caller::{Asker, Who},
    error::RestError,
    fields::Fields,
    input::Input,
    kind::{Kind, Object, project},
    page::{self, Order, Page, of_items},
    permission::{Permission, Permissions},
    query::{self, Expr},
};
use crate::{
    base::id::{ServiceId, UserId},
    model::{
        event::Author,
        link::LinkKind,
        user::{Person, User},
    },
    oauth::form::Form,
    proxy::gate::Caller,
    store::SharedStore,
    texts::Language,
    web::{Control, letters::Sent},
};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Everybody, without a credential too.
    Nothing,
    /// Everybody whom the gateway knows, the guest included.
    Known,
    /// Who has this permission.
    May(Permission),
    /// The user or service that the first id in the path names, or who has this permission.
    SelfOr(Permission),
}

/// What a body may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// There is none.
    Nothing,
    /// The fields of this kind.
    Object(&'static Kind),
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gives {
    /// Nothing.
    Nothing,
    /// An object.
    Object(&'static Kind),
    /// A page of objects, under the last part of the path.
    Page(&'static Kind),
    /// A page of objects under a name that is not the last part of the path.
    PageOf(&'static Kind, &'static str),
    /// Objects without an envelope.
    List(&'static Kind),
    /// An object that is updated: nothing, unless `fields` says what.
    Updated(&'static Kind),
    /// SVG.
    Picture,
}

/// A future of a handler.
pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, RestError>> + Send + 'a>>;

/// What carries an operation out.
pub(super) type Handler = for<'a> fn(&'a Ask<'a>) -> Answering<'a>;

/// Something that REST can do.
pub(super) struct Operation {
    pub(super) method: Method,
    /// Below `…/api/rest/`, with `{id}` for what varies.
    pub(super) path: &'static str,
    /// For the document: what it does, in a line.
    pub(super) summary: &'static str,
    pub(super) need: Need,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    /// Parameters besides those that its answer brings along, each with what it is for.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    pub(super) handler: Handler,
}

impl Operation {
    /// Whether it is about the caller: the user or service of which the first id in its path speaks.
    pub(super) fn is_about(&self, who: &Who, id: Option<&str>) -> bool {
        match (who, id, self.path.split_once('/')) {
            // Everybody is the guest: what is kept of one is no other's business.
            (Who::Person(person), _, Some(("users", rest))) if person.guest && rest.contains('/') => false,
            (Who::Person(person), Some(id), Some(("users", _))) => id == "me" || person.id.as_str() == id,
            (Who::Service(service), Some(id), Some(("services", _))) => {
                id == "me" || service.id.as_str() == id
            }
            _ => false,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing to say.
    Empty,
    /// JSON.
    Json(Value),
    /// SVG.
    Picture(String),
}

/// One request, with what handlers share.
pub(super) struct Ask<'a> {
    pub(super) control: &'a Control,
    pub(super) caller: &'a Caller,
    pub(super) asker: Asker,
    pub(super) may: Permissions,
    /// What varies in the path, decoded.
    pub(super) ids: Vec<String>,
    pub(super) query: Form,
    pub(super) fields: Fields,
    pub(super) body: Map<String, Value>,
    /// In which language letters are written, where nothing is known of who gets them.
    pub(super) language: Language,
}

impl Ask<'_> {
    /// Who asks, as the audit log names them.
    fn author(&self) -> Author {
        match &self.asker.who {
            Who::Person(person) => Author::user(&person.id, &person.login),
            Who::Service(service) => Author::service(&service.id, &service.name),
            Who::Nobody => Author::anonymous(),
        }
    }

    /// The store, whose writes are this caller's.
    pub(super) fn store(&self) -> SharedStore {
        self.control.store.acting(self.author().during(&self.caller.request_id, self.caller.source))
    }

    /// Sends a link to a user.
    pub(super) async fn mail_link(&self, user: &User, kind: LinkKind) -> Result<Sent, RestError> {
        let control = self.control.acting(self.caller, self.author());
        Ok(control.mail_link(self.caller, user, kind, self.language).await?)
    }

    /// Tells a user that the password was changed.
    pub(super) fn tell_password_changed(&self, user: &User) {
        self.control.tell_password_changed(self.caller, user, self.language);
    }

    /// What varies in the path, by place.
    pub(super) fn id(&self, place: usize) -> &str {
        self.ids.get(place).map_or("", String::as_str)
    }

    /// The body.
    pub(super) const fn input(&self) -> Input<'_> {
        Input::of(&self.body)
    }

    /// The person who asks, if it is one.
    pub(super) fn person(&self) -> Option<&Person> {
        match &self.asker.who {
            Who::Person(person) => Some(person),
            Who::Nobody | Who::Service(_) => None,
        }
    }

    /// The user that an id in a path names: `me` is who asks.
    pub(super) fn user_id(&self, text: &str) -> Result<UserId, RestError> {
        if text == "me" {
            let person = self.person().ok_or_else(|| RestError::no_entity("me"))?;
            return Ok(person.id.clone());
        }
        UserId::parse(text).map_err(|_| RestError::no_entity(text))
    }

    /// Whether who asks has this permission.
    pub(super) const fn may(&self, permission: Permission) -> bool {
        self.may.has(permission)
    }

    /// The services for which who asks may make credentials; `None`: for all. Whoever may update users could as well set a
    /// password.
    pub(super) fn within(&self) -> Option<&[ServiceId]> {
        if self.may(Permission::UserUpdate) { None } else { self.asker.within.as_deref() }
    }

    /// Which part of a list is wanted.
    pub(super) fn page(&self) -> Result<Page, RestError> {
        Page::read(&self.query)
    }

    /// In which order.
    pub(super) fn order(&self) -> Result<Vec<Order<'_>>, RestError> {
        page::order(&self.query)
    }

    /// Which objects.
    pub(super) fn filter(&self) -> Result<Option<Expr>, RestError> {
        let text = self.query.get("query").unwrap_or_default();
        query::parse(text).map_err(|error| RestError::bad_parameter("query", error))
    }

    /// An object, as far as it was asked for.
    pub(super) fn one(&self, object: &(impl Object + ?Sized)) -> Answer {
        Answer::Json(project(object, &self.fields))
    }

    /// What is answered to an update: nothing, unless something was asked for.
    pub(super) fn updated(&self, object: &(impl Object + ?Sized)) -> Answer {
        if self.fields.is_usual() { Answer::Empty } else { self.one(object) }
    }

    /// The one of these whose id stands at `place` in the path.
    pub(super) fn entry<O: Object>(&self, place: usize, objects: &[O]) -> Result<Answer, RestError> {
        let id = self.id(place);
        let is = |object: &&O| object.value("id", &self.fields).is_some_and(|value| value == id);
        objects.iter().find(is).map(|object| self.one(object)).ok_or_else(|| RestError::no_entity(id))
    }

    /// A page of a list of `total` objects, under its name.
    pub(super) fn listed<O: Object>(
        &self,
        key: &str,
        page: Page,
        total: u64,
        objects: &[O],
    ) -> Result<Answer, RestError> {
        let fields = of_items(&self.fields, key);
        let objects = objects.iter().map(|object| project(object, fields)).collect();
        page.envelope(key, total, objects).map(Answer::Json)
    }
}
