//! `authmodules`: the ways to sign in. There is one, the gateway's own logins and passwords (hub-contract section 10.2).

use http::Method;
use serde_json::Value;

use crate::{
    model::search::{Page, UserIs},
    web::rest::{
        error::RestError,
        fields::Fields,
        kind::{Form, Kind, Object, read},
        operation::{Answering, Ask, Gives, Need, Operation, Takes},
        permission::Permission,
    },
};

/// The id of the one module.
pub(super) const CORE_ID: &str = "core";

/// Its name.
pub(super) const CORE_NAME: &str = "Hub";

pub(super) static MODULE: Kind = Kind {
    name: "CoreauthmoduleJSON",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("name", Form::Text, "Its name."),
        read("ordinal", Form::Number, "Its place among others."),
        read("accountsSize", Form::Number, "How many users sign in by it."),
        read("disabled", Form::Flag, "Whether it is switched off."),
        read("registrationEnabled", Form::Flag, "Whether people register themselves."),
        read("passwordRestoreEnabled", Form::Flag, "Whether people get a new password by mail."),
    ],
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "authmodules",
        summary: "The ways to sign in",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&MODULE),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::GET,
        path: "authmodules/{id}",
        summary: "A way to sign in",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&MODULE),
        parameters: &[],
        handler: one,
    },
];

/// The core module.
#[derive(Debug, Default)]
pub(super) struct Core {
    /// `None` where it is not counted.
    pub(super) accounts: Option<u64>,
}

impl Core {
    async fn counted(ask: &Ask<'_>) -> Result<Self, RestError> {
        let found = ask.store().find_users(&UserIs::HasPassword.into(), &[], Page::first(0)).await?;
        Ok(Self { accounts: Some(found.total) })
    }
}

impl Object for Core {
    fn kind(&self) -> &'static Kind {
        &MODULE
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        match name {
            "id" => Some(CORE_ID.into()),
            "name" => Some(CORE_NAME.into()),
            "ordinal" => Some(0.into()),
            "accountsSize" => self.accounts.map(Value::from),
            "disabled" | "registrationEnabled" | "passwordRestoreEnabled" => Some(false.into()),
            _ => None,
        }
    }
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let modules = page.cut(vec![Core::counted(ask).await?]);
        ask.listed("authmodules", page, 1, &modules)
    })
}

fn one<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        if ask.id(0) != CORE_ID {
            return Err(RestError::no_entity(ask.id(0)));
        }
        Ok(ask.one(&Core::counted(ask).await?))
    })
}
