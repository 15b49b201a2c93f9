//! `settings`: what a client has to know before it knows anybody (`public`), and the settings of the configuration file for
//! administrators to read (hub-contract section 10.4).
//!
//! Invariant: nothing is changed here; settings are changed in the configuration file.

use http::Method;
use serde_json::Value;

use crate::{
    base::id::ServiceId,
    model::registry::HUB_NAME,
    web::rest::{
        fields::Fields,
        kind::{Form, Kind, Object, inside, read},
        operation::{Answering, Ask, Gives, Need, Operation, Takes},
        permission::Permission,
    },
};

static LOCALE: Kind = Kind {
    name: "locale",
    entity: false,
    fields: &[
        read("name", Form::Text, "Its name."),
        read("label", Form::Text, "What people see."),
        read("language", Form::Text, "ISO 639 code."),
        read("region", Form::Text, "ISO 3166 code."),
    ],
};

static AGREEMENT: Kind = Kind {
    name: "endUserAgreement",
    entity: false,
    fields: &[
        read("enabled", Form::Flag, "Whether users have to agree to something."),
        read("requiredForREST", Form::Flag, "Whether they have to before they use REST."),
    ],
};

static PUBLIC: Kind = Kind {
    name: "public",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("hostServiceName", Form::Text, "The service that the gateway itself is."),
        read("hostServiceApplicationName", Form::Text, "The product behind it."),
        read("installationType", Form::Text, "How the gateway is run."),
        read("hubMottoHidden", Form::Flag, "Whether pages say who made them."),
        read("helpdeskEnabled", Form::Flag, "Whether there is a help desk."),
        read("emailVerificationRequired", Form::Flag, "Whether addresses have to be verified."),
        read("locale", Form::One(&LOCALE), "The language of pages."),
        read("endUserAgreement", Form::One(&AGREEMENT), "What users have to agree to."),
    ],
};

static INTERNAL: Kind = Kind {
    name: "internal",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("tokenInterval", Form::Number, "Life of an access token in seconds."),
        read("refreshTokenInterval", Form::Number, "Life of a refresh token in seconds."),
        read("sessionInterval", Form::Number, "Life of a session that is not used, in seconds."),
        read("rememberMeInterval", Form::Number, "Life of a session in any case, in seconds."),
    ],
};

static THROTTLING: Kind = Kind {
    name: "throttling",
    entity: true,
    fields: &[
        read("id", Form::Text, "Its id."),
        read("enabled", Form::Flag, "Whether failed sign-ins are counted. They always are."),
    ],
};

static SETTINGS: Kind =
    Kind { name: "settings", entity: true, fields: &[read("id", Form::Text, "Its id, which is its name.")] };

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::GET,
        path: "settings/public",
        summary: "What everybody may know of this gateway",
        need: Need::Nothing,
        takes: Takes::Nothing,
        gives: Gives::Object(&PUBLIC),
        parameters: &[],
        handler: |ask| Box::pin(async { Ok(ask.one(&Public)) }),
    },
    Operation {
        method: Method::GET,
        path: "settings",
        summary: "The settings that there are",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Page(&SETTINGS),
        parameters: &[],
        handler: list,
    },
    Operation {
        method: Method::GET,
        path: "settings/internal",
        summary: "How long tokens and sessions live",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&INTERNAL),
        parameters: &[],
        handler: |ask| Box::pin(async move { Ok(ask.one(&Internal(ask))) }),
    },
    Operation {
        method: Method::GET,
        path: "settings/throttling",
        summary: "How sign-ins are throttled",
        need: Need::May(Permission::LowLevelRead),
        takes: Takes::Nothing,
        gives: Gives::Object(&THROTTLING),
        parameters: &[],
        handler: |ask| Box::pin(async { Ok(ask.one(&Throttling)) }),
    },
];

/// Hub's public settings. One object with one id, which clients only hold against what they have seen before.
struct Public;

impl Object for Public {
    fn kind(&self) -> &'static Kind {
        &PUBLIC
    }

    fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
        Some(match name {
            "id" => ServiceId::HUB.into(),
            "hostServiceName" | "hostServiceApplicationName" => HUB_NAME.into(),
            "installationType" => "standalone".into(),
            "hubMottoHidden" => true.into(),
            "helpdeskEnabled" | "emailVerificationRequired" => false.into(),
            "locale" => inside(&Locale, fields),
            "endUserAgreement" => inside(&Agreement, fields),
            _ => return None,
        })
    }
}

struct Locale;

impl Object for Locale {
    fn kind(&self) -> &'static Kind {
        &LOCALE
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        Some(match name {
            "name" => "en_US".into(),
            "label" => "English".into(),
            "language" => "en".into(),
            "region" => "US".into(),
            _ => return None,
        })
    }
}

struct Agreement;

impl Object for Agreement {
    fn kind(&self) -> &'static Kind {
        &AGREEMENT
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        matches!(name, "enabled" | "requiredForREST").then_some(Value::Bool(false))
    }
}

struct Internal<'a>(&'a Ask<'a>);

impl Object for Internal<'_> {
    fn kind(&self) -> &'static Kind {
        &INTERNAL
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        let (snapshot, session) = (&self.0.caller.snapshot, self.0.control.sessions.life());
        Some(match name {
            "id" => "internal".into(),
            "tokenInterval" => snapshot.issuer.life().as_secs().into(),
            "refreshTokenInterval" => snapshot.lives.refresh_token.as_secs().into(),
            "sessionInterval" => session.idle.as_secs().into(),
            "rememberMeInterval" => session.absolute.as_secs().into(),
            _ => return None,
        })
    }
}

struct Throttling;

impl Object for Throttling {
    fn kind(&self) -> &'static Kind {
        &THROTTLING
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        Some(match name {
            "id" => "throttling".into(),
            "enabled" => true.into(),
            _ => return None,
        })
    }
}

struct Listed(&'static str);

impl Object for Listed {
    fn kind(&self) -> &'static Kind {
        &SETTINGS
    }

    fn type_name(&self) -> &'static str {
        self.0
    }

    fn value(&self, name: &str, _: &Fields) -> Option<Value> {
        (name == "id").then(|| if self.0 == "public" { ServiceId::HUB.into() } else { self.0.into() })
    }
}

fn list<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move {
        let page = ask.page()?;
        let all = vec![Listed("public"), Listed("internal"), Listed("throttling")];
        ask.listed("settings", page, 3, &page.cut(all))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::rest::kind::project;

    #[test]
    fn clients_start_with_the_id_and_the_type() {
        let fields = Fields::parse("id").unwrap();
        assert_eq!(project(&Public, &fields), json!({"type": "public", "id": "0-0-0-0-0"}));
        let all = project(&Public, &Fields::Usual);
        assert_eq!(all["locale"]["language"], "en");
        assert_eq!(all["endUserAgreement"]["enabled"], false);
    }
}
