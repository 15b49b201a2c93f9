//! `permissions`: Hub's own keys, and which of them a caller has (hub-contract section 10.3).
//!
//! Invariant: what is answered is what the operations themselves go by.

use http::Method;
use serde_json::Value;

use super::services::{self, ServiceView};
use crate::{
    base::id::ServiceId,
    model::{registry::Registry, service::Service},
    web::rest::{
        caller::Who,
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, inside, project, read},
        operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
        page::cannot_sort,
        permission::{self, Permission},
        query::{Expr, Item},
        search::{Subject, Verdict, holds, known_value, unknown_field, unknown_tuple},
    },
};

pub(in crate::web::rest) static PERMISSION: Kind = Kind {
    name: "permission",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("key", Form::Text, "The key that services know it by."),
        read("name", Form::Text, "What people see."),
        read("description", Form::Text, "What it is for."),
        read("global", Form::Flag, "Whether it is for everything rather than for one project."),
        read("entityType", Form::Text, "On what something may be done."),
        read("operation", Form::Text, "What may be done."),
        read("service", Form::One(&services::SERVICE), "The service that it belongs to.").asked(),
    ],
};

static PROJECT: Kind = Kind { name: "project", entity: true, fields: &[read("id", Form::Text, "Its id.")] };

static CACHED: Kind = Kind {
    name: "permissionCache",
    entity: false,
    fields: &[
        read("permission", Form::One(&PERMISSION), "What may be done."),
        read("global", Form::Flag, "Whether everywhere."),
        read("projects", Form::Many(&PROJECT), "In which projects else. The gateway has none."),
    ],
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "permissions",
        summary: "The permissions that there are",
        need: Need::May(Permission::ServiceReadBasic),
        takes: Takes::Nothing,
        gives: Gives::Page(&PERMISSION),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::GET,
        path: "permissions/cache",
        summary: "Which permissions the caller has",
        need: Need::Known,
        takes: Takes::Nothing,
        gives: Gives::List(&CACHED),
        parameters: &[
            ("query", "Of which services, as `service: {id}`."),
            ("principal", "The id of the user whose permissions are meant instead; for administrators."),
        ],
        handler: cache,
    },
    Operation {
        method: Method::GET,
        path: "permissions/{id}",
        summary: "A permission, by id or key",
        need: Need::May(Permission::ServiceReadBasic),
        takes: Takes::Nothing,
        gives: Gives::Object(&PERMISSION),
        parameters: &[],
        handler: one,
    },
];

/// A permission as it is shown.
pub(in crate::web::rest) struct PermissionView<'a>(
    pub(in crate::web::rest) Permission,
    pub(in crate::web::rest) &'a Registry,
);

impl Object for PermissionView<'_> {
    fn kind(&self) -> &'static Kind {
        &PERMISSION
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        let permission = self.0;
        Some(match name {
            "id" => permission.id().into(),
            "key" => permission.key().into(),
            "name" => permission.title().into(),
            "global" => true.into(),
            "entityType" => permission.entity().into(),
            "operation" => permission.operation().into(),
            "service" => inside(&ServiceView::basic(self.1.by_id(ServiceId::HUB)?), fields),
            _ => return None,
        })
    }
}

impl Subject for PermissionView<'_> {
    fn item(&self, item: &Item) -> Verdict {
        let permission = self.0;
        match item {
            Item::Text(word) => {
                Ok(word.begins_or_is(permission.title()) || word.begins_or_is(&permission.key()))
            }
            Item::Is(what) if what.eq_ignore_ascii_case("global") => Ok(true),
            Item::Is(what) => Err(known_value("is", what, "global")),
            Item::Has(what) => Err(known_value("has", what, "nothing")),
            Item::Tuple(name, _) => Err(unknown_tuple(name)),
            Item::Field(field, word) => Ok(match field.to_ascii_lowercase().as_str() {
                "id" => word.is(permission.id()),
                "key" => word.begins_or_is(&permission.key()),
                "name" => word.begins_or_is(permission.title()),
                "entitytype" => word.is(permission.entity()),
                "operation" => word.is(permission.operation()),
                "service" => self
                    .1
                    .by_id(ServiceId::HUB)
                    .is_some_and(|hub| word.is(hub.id.as_str()) || word.is(&hub.name)),
                _ => return Err(unknown_field(field)),
            }),
        }
    }
}

/// The permissions that belong to a service: Hub's own to the gateway itself, none to others.
pub(super) fn of_service<'a>(service: &Service, registry: &'a Registry) -> Vec<PermissionView<'a>> {
    if service.id.as_str() != ServiceId::HUB {
        return Vec::new();
    }
    Permission::ALL.iter().map(|permission| PermissionView(*permission, registry)).collect()
}

/// What one caller may do.
struct Cached<'a>(PermissionView<'a>);

impl Object for Cached<'_> {
    fn kind(&self) -> &'static Kind {
        &CACHED
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        Some(match name {
            "permission" => {
                // What it is known by is its key.
                let key = Fields::Named([("key".to_owned(), Fields::Usual)].into());
                project(&self.0, if fields.is_usual() { &key } else { fields })
            }
            "global" => true.into(),
            "projects" => Value::Array(Vec::new()),
            _ => return None,
        })
    }
}

fn matching<'a>(ask: &'a Ask<'a>, filter: Option<&Expr>) -> Result<Vec<PermissionView<'a>>, RestError> {
    let registry = &*ask.caller.snapshot.registry;
    let mut views = Vec::new();
    for permission in Permission::ALL {
        let view = PermissionView(*permission, registry);
        if holds(filter, &view)? {
            views.push(view);
        }
    }
    Ok(views)
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let mut found = matching(ask, ask.filter()?.as_ref())?;
        for order in ask.order()?.into_iter().rev() {
            let key: fn(&PermissionView<'_>) -> String = match order.field.to_ascii_lowercase().as_str() {
                "id" => |view| view.0.id().to_owned(),
                "key" => |view| view.0.key(),
                "name" => |view| view.0.title().to_owned(),
                _ => return Err(cannot_sort(order.field)),
            };
            found.sort_by_key(key);
            if order.descending {
                found.reverse();
            }
        }
        let total = found.len() as u64;
        ask.listed("permissions", page, total, &page.cut(found))
    })
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let id = ask.id(0);
        let found = Permission::ALL.iter().find(|permission| permission.id() == id || permission.key() == id);
        let permission = found.ok_or_else(|| RestError::no_entity(id))?;
        Ok(ask.one(&PermissionView(*permission, &ask.caller.snapshot.registry)))
    })
}

fn cache<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let may = match ask.query.get("principal") {
            None | Some("me") => ask.may,
            Some(id) if ask.person().is_some_and(|person| person.id.as_str() == id) => ask.may,
            Some(_) if !ask.may(Permission::UserRead) => {
                return Err(RestError::forbidden("only an administrator sees what others may"));
            }
            Some(id) => {
                let person = ask.control.gate.people.find(id).ok_or_else(|| RestError::no_entity(id))?;
                permission::of(&Who::Person(person))
            }
        };
        let found = matching(ask, ask.filter()?.as_ref())?;
        let had = found.into_iter().filter(|view| may.has(view.0)).map(Cached);
        Ok(Answer::Json(had.map(|cached| project(&cached, &ask.fields)).collect()))
    })
}
