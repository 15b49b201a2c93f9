//! `GET …/api/rest/openapi.json`: what REST can do, as an OpenAPI 3.1 document, made from the very list that requests are
//! matched against.
//!
//! Invariant: an operation that exists is in the document, with the credentials that it takes.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    kind::{Access, Form, Kind},
    operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
    page::{MOST, page_type},
    table,
};

static DOCUMENT: Kind = Kind { name: "OpenAPI", entity: false, fields: &[] };

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    method: Method::GET,
    path: "openapi.json",
    summary: "This document",
    need: Need::Nothing,
    takes: Takes::Nothing,
    gives: Gives::Object(&DOCUMENT),
    parameters: &[],
    handler: answer,
}];

fn answer<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { Ok(Answer::Json(document(&ask.caller.snapshot.desk.hub_url))) })
}

/// The document of a gateway whose own endpoints live at `hub_url`.
fn document(hub_url: &str) -> Value {
    let mut kinds = BTreeMap::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in table::all() {
        let entry = paths.entry(format!("/{}", operation.path)).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(operation.method.as_str().to_ascii_lowercase(), described(operation, &mut kinds));
        }
    }
    let mut schemas: Map<String, Value> = Map::new();
    // A kind may name further ones.
    let mut left: Vec<&'static Kind> = kinds.values().copied().collect();
    while let Some(kind) = left.pop() {
        if schemas.contains_key(kind.name) {
            continue;
        }
        let (schema, more) = schema(kind);
        schemas.insert(kind.name.to_owned(), schema);
        left.extend(more);
    }
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hubgate",
            "version": "1",
            "description": "Services, users, groups and tokens, in the form of JetBrains Hub's REST. POST creates and updates; a key that is missing or null stays as it is, an empty text or list clears.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": format!("{hub_url}/api/rest")}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token with 0-0-0-0-0 in its scope, or a permanent token with it."},
                "basic": {"type": "http", "scheme": "basic", "description": "Login and password of a user."},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-hubgate", "description": "The session of a browser, for the gateway's own pages."},
            },
        },
    })
}

fn described(operation: &Operation, kinds: &mut BTreeMap<&'static str, &'static Kind>) -> Value {
    let mut refer = |kind: &'static Kind| {
        kinds.insert(kind.name, kind);
        reference(kind)
    };
    let good = match operation.gives {
        Gives::Nothing => json!({"description": "Done."}),
        Gives::Object(kind) => json!({"description": "The object.", "content": content(&refer(kind))}),
        Gives::Updated(kind) => {
            json!({"description": "Done; nothing, unless `fields` says what of it.", "content": content(&refer(kind))})
        }
        Gives::List(kind) => {
            json!({"description": "The objects.", "content": content(&json!({"type": "array", "items": refer(kind)}))})
        }
        Gives::Page(kind) | Gives::PageOf(kind, _) => {
            let key = match operation.gives {
                Gives::PageOf(_, key) => key,
                _ => operation.path.rsplit('/').next().unwrap_or_default(),
            };
            json!({"description": "A page of objects.", "content": content(&page(key, &refer(kind)))})
        }
        Gives::Picture => {
            json!({"description": "A picture.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}})
        }
    };
    let (anonymous, refusals) = match operation.need {
        Need::Nothing => (true, &["400"][..]),
        Need::Known => (false, &["400", "401", "403", "429"][..]),
        Need::May(_) | Need::SelfOr(_) => (false, &["400", "401", "403", "404", "429"][..]),
    };
    let mut responses = Map::from_iter([("200".to_owned(), good)]);
    let mut refuse = |status: &str| {
        let description = match status {
            "400" => "Something in the request cannot be used; `error_field` names it.",
            "401" => "A credential is needed, or the one that was sent is not accepted.",
            "403" => "Who asks may not do this.",
            "404" => "There is no such object.",
            "409" => "Another object has this value, or something else stands in the way.",
            "415" => "A body is JSON.",
            _ => "Too many requests; `Retry-After` says when to try again.",
        };
        let body = content(&json!({"$ref": "#/components/schemas/Error"}));
        responses.insert(status.to_owned(), json!({"description": description, "content": body}));
    };
    refusals.iter().copied().for_each(&mut refuse);
    if operation.method != Method::GET {
        refuse("409");
    }
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.path.split('/').next().unwrap_or_default()],
        "parameters": parameters(operation),
    });
    if let Takes::Object(kind) = operation.takes {
        refuse("415");
        let reference = refer(kind);
        if let Some(members) = described.as_object_mut() {
            members.insert("requestBody".to_owned(), json!({"content": content(&reference)}));
        }
    }
    if let Some(members) = described.as_object_mut() {
        members.insert("responses".to_owned(), Value::Object(responses));
        let security =
            if anonymous { json!([]) } else { json!([{"bearer": []}, {"basic": []}, {"session": []}]) };
        members.insert("security".to_owned(), security);
        if let Need::May(permission) | Need::SelfOr(permission) = operation.need {
            members.insert("x-hub-permission".to_owned(), permission.key().into());
            members.insert("x-hub-self".to_owned(), matches!(operation.need, Need::SelfOr(_)).into());
        }
    }
    described
}

/// `getServicesById`, `postServicesByIdUntrustedredirecturisByUriAccept`.
fn operation_id(operation: &Operation) -> String {
    let mut id = operation.method.as_str().to_ascii_lowercase();
    for part in operation.path.split(['/', '.']) {
        let name = part.trim_matches(['{', '}']);
        if name != part {
            id.push_str("By");
        }
        let mut letters = name.chars();
        id.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        id.push_str(letters.as_str());
    }
    id
}

fn parameters(operation: &Operation) -> Value {
    let variable = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = variable.map(|name| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
    });
    let mut all: Vec<Value> = in_path.collect();
    let mut add = |name: &str, about: &str, schema: Value| {
        all.push(json!({"name": name, "in": "query", "description": about, "schema": schema}));
    };
    if !matches!(operation.gives, Gives::Nothing | Gives::Picture) {
        add(
            "fields",
            "What of the objects is wanted: `id,name,profile(avatar/url)`.",
            json!({"type": "string"}),
        );
    }
    if matches!(operation.gives, Gives::Page(_) | Gives::PageOf(..)) {
        add("$skip", "How many are passed over.", json!({"type": "integer", "minimum": 0, "default": 0}));
        add(
            "$top",
            "How many are wanted at most; -1 for all, as long as one page holds them.",
            json!({"type": "integer", "minimum": -1, "maximum": MOST, "default": 100}),
        );
        if !operation.path.contains('{') {
            add("query", "Which objects: `name: x and not is: y`.", json!({"type": "string"}));
            add("orderBy", "In which order: `name:asc,id:desc`.", json!({"type": "string"}));
        }
    }
    for (name, about) in operation.parameters {
        add(name, about, json!({"type": "string"}));
    }
    all.into()
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn reference(kind: &Kind) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", kind.name)})
}

fn page(key: &str, item: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["type", "skip", "top", "total", key],
        "properties": {
            "type": {"const": page_type(key)},
            "skip": {"type": "integer"},
            "top": {"type": "integer"},
            "total": {"type": "integer"},
            key: {"type": "array", "items": item},
        },
    })
}

/// A kind, and the kinds that it names.
fn schema(kind: &'static Kind) -> (Value, Vec<&'static Kind>) {
    let mut more = Vec::new();
    let mut properties = Map::from_iter([("type".to_owned(), json!({"type": "string"}))]);
    for field in kind.fields {
        let mut property = match field.form {
            Form::Text => json!({"type": "string"}),
            Form::Flag => json!({"type": "boolean"}),
            Form::Number => json!({"type": "integer"}),
            Form::Time => json!({"type": "integer", "format": "int64"}),
            Form::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Form::One(kind) => {
                more.push(kind);
                json!({"allOf": [reference(kind)]})
            }
            Form::Many(kind) => {
                more.push(kind);
                json!({"type": "array", "items": reference(kind)})
            }
        };
        if let Some(members) = property.as_object_mut() {
            members.insert("description".to_owned(), field.about.into());
            match field.access {
                Access::Read => members.insert("readOnly".to_owned(), true.into()),
                Access::Secret => members.insert("writeOnly".to_owned(), true.into()),
                Access::Write => None,
            };
        }
        properties.insert(field.name.to_owned(), property);
    }
    (json!({"type": "object", "properties": properties}), more)
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {
            "error": {"type": "string"},
            "error_code": {"type": "integer", "description": "The status."},
            "error_description": {"type": "string"},
            "error_developer_message": {"type": "string"},
            "error_uri": {"type": "string", "format": "uri"},
            "error_field": {"type": "string", "description": "The field or parameter that cannot be used."},
            "error_params": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                },
            },
            "request_id": {"type": "string"},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_described_once_and_with_its_security() {
        let document = document("https://gate.example/hub");
        let mut ids = BTreeSet::new();
        for operation in table::all() {
            let path = format!("/{}", operation.path);
            let described = &document["paths"][&path][operation.method.as_str().to_ascii_lowercase()];
            assert!(ids.insert(described["operationId"].as_str().unwrap().to_owned()), "{path}");
            let open = described["security"].as_array().unwrap().is_empty();
            assert_eq!(open, operation.need == Need::Nothing, "{path}");
            assert!(!operation.summary.is_empty());
        }
        // Every reference leads somewhere.
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
