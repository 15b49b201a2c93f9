//! What kinds of objects REST shows, described once: for projection, for reading bodies, and for the OpenAPI document.
//!
//! Invariant: an object shows no field that its kind does not describe, and names its `type` in every case
//! (hub-contract section 9.2).

use serde_json::{Map, Value};

use super::fields::Fields;

/// How a field looks in JSON.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Time,
    /// Strings.
    Texts,
    /// An object.
    One(&'static Kind),
    /// Objects.
    Many(&'static Kind),
}

/// When a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Unasked too.
    Usually,
    /// When it is asked for.
    Asked,
}

/// Whether a body may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Read and written.
    Write,
    /// Read only. In a body it is passed over, as clients send back what they have read.
    Read,
    /// Written only: what never leaves again.
    Secret,
}

/// A field of a kind.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) shown: Shown,
    pub(super) access: Access,
    /// For the document.
    pub(super) about: &'static str,
}

/// A field that is shown unasked and cannot be written.
pub(super) const fn read(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { name, form, shown: Shown::Usually, access: Access::Read, about }
}

/// A field that is shown unasked and may be written.
pub(super) const fn write(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { name, form, shown: Shown::Usually, access: Access::Write, about }
}

impl Field {
    /// The same, shown when it is asked for.
    pub(super) const fn asked(self) -> Self {
        Self { shown: Shown::Asked, ..self }
    }

    /// The same, written and never shown.
    pub(super) const fn secret(self) -> Self {
        Self { access: Access::Secret, shown: Shown::Asked, ..self }
    }
}

/// A kind of object.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its `type`, and its name in the document.
    pub(super) name: &'static str,
    /// Whether it has an id of its own. One without is shown whole where it is asked for; of others the id.
    pub(super) entity: bool,
    pub(super) fields: &'static [Field],
}

/// An object that REST shows.
pub(super) trait Object {
    /// Its kind.
    fn kind(&self) -> &'static Kind;

    /// `type`, where it is not its kind's name.
    fn type_name(&self) -> &'static str {
        self.kind().name
    }

    /// A field's value, with `fields` of the objects in it; `None` when there is none, or whoever asks may not see it.
    fn value(&self, name: &str, fields: &Fields) -> Option<Value>;
}

/// What of an object `fields` wants.
pub(super) fn project(object: &(impl Object + ?Sized), fields: &Fields) -> Value {
    let kind = object.kind();
    let mut shown = Map::new();
    shown.insert("type".to_owned(), Value::from(object.type_name()));
    for field in kind.fields {
        let of = match fields.of(field.name) {
            Some(of) => of,
            None if fields.is_usual() && field.shown == Shown::Usually => &Fields::Usual,
            None => continue,
        };
        if field.access != Access::Secret
            && let Some(value) = object.value(field.name, of)
        {
            shown.insert(field.name.to_owned(), value);
        }
    }
    Value::Object(shown)
}

/// What of an object inside of another `fields` wants: of one with an id its id where nothing more is asked for.
pub(super) fn inside(object: &(impl Object + ?Sized), fields: &Fields) -> Value {
    if fields.is_usual() && object.kind().entity {
        let only_id = Fields::Named([("id".to_owned(), Fields::Usual)].into());
        return project(object, &only_id);
    }
    project(object, fields)
}

/// Objects inside of another.
pub(super) fn all_inside<'o, O: Object + 'o>(
    objects: impl IntoIterator<Item = &'o O>,
    fields: &Fields,
) -> Value {
    objects.into_iter().map(|object| inside(object, fields)).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static AVATAR: Kind =
        Kind { name: "defaultavatar", entity: false, fields: &[read("url", Form::Text, "Where it is.")] };
    static PERSON: Kind = Kind {
        name: "user",
        entity: true,
        fields: &[
            read("id", Form::Text, "Its id."),
            write("name", Form::Text, "Its name."),
            read("nothing", Form::Text, "Never there."),
            read("avatar", Form::One(&AVATAR), "Its picture.").asked(),
            read("friend", Form::One(&PERSON), "Another.").asked(),
            write("password", Form::Text, "How it signs in.").secret(),
        ],
    };

    struct Avatar;
    impl Object for Avatar {
        fn kind(&self) -> &'static Kind {
            &AVATAR
        }
        fn value(&self, _: &str, _: &Fields) -> Option<Value> {
            Some("u".into())
        }
    }

    struct Person;
    impl Object for Person {
        fn kind(&self) -> &'static Kind {
            &PERSON
        }
        fn value(&self, name: &str, fields: &Fields) -> Option<Value> {
            Some(match name {
                "nothing" => return None,
                "avatar" => inside(&Avatar, fields),
                "friend" => inside(&Self, fields),
                "password" => "hunter2".into(),
                other => other.to_uppercase().into(),
            })
        }
    }

    #[test]
    fn what_is_asked_for_is_shown() {
        for (fields, shown) in [
            ("", json!({"type": "user", "id": "ID", "name": "NAME"})),
            ("id", json!({"type": "user", "id": "ID"})),
            ("nosuch,nothing,password", json!({"type": "user"})),
            ("avatar", json!({"type": "user", "avatar": {"type": "defaultavatar", "url": "u"}})),
            ("friend", json!({"type": "user", "friend": {"type": "user", "id": "ID"}})),
            ("friend/name", json!({"type": "user", "friend": {"type": "user", "name": "NAME"}})),
        ] {
            assert_eq!(project(&Person, &Fields::parse(fields).unwrap()), shown, "{fields}");
        }
        assert_eq!(all_inside([&Person], &Fields::Usual), json!([{"type": "user", "id": "ID"}]));
    }
}
