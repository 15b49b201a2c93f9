//! Secrets: in the file itself, in a variable, or in a file of their own.
//!
//! Invariant: no message repeats any part of a secret.

use crate::{
    base::secret::Secret,
    config::{
        entry::Entry,
        environment::Unusable,
        reader::Section,
        schema,
        value::{Wrong, wrong},
    },
};

/// Below this, a secret can be guessed: 16 characters of base64 are 96 bits.
const SHORTEST: usize = 16;

const FORMS: &str = r#"write { env = "NAME" } or { file = "path" }, or the secret itself in quotes"#;

pub(super) fn secret(value: &Entry<'_, '_>) -> Option<Secret> {
    if let Some(table) = value.table(&schema::SECRET) {
        return referenced(value, &table);
    }
    if !value.is_text() {
        value.refuse(wrong("is neither a text nor a reference").help(FORMS));
        return None;
    }
    long_enough(value, value.text()?.into_owned())
}

fn referenced(value: &Entry<'_, '_>, table: &Section<'_, '_>) -> Option<Secret> {
    match (table.get("env"), table.get("file")) {
        (Some(env), None) => {
            let text = env.parse(|name| variable(&env, name))?;
            long_enough(&env, text)
        }
        (None, Some(file)) => {
            let path = file.context.resolve(&file.text()?);
            let text = super::gateway::read(&path).and_then(|bytes| {
                String::from_utf8(bytes)
                    .map_err(|_| wrong("names a file that is not text").label("not UTF-8"))
            });
            long_enough(&file, text.map_err(|wrong| file.refuse(wrong)).ok()?)
        }
        _ => {
            value.refuse(wrong("names not exactly one place").label("one of `env` and `file`").help(FORMS));
            None
        }
    }
}

fn variable(env: &Entry<'_, '_>, name: &str) -> Result<String, Wrong> {
    match env.context.secret_variable(name) {
        Ok(text) => Ok(text.to_owned()),
        Err(Unusable::Missing) => Err(wrong("names a variable that is not set")
            .label("not in the environment of this process")
            .help(format!("set {name} before the gateway starts, or use {{ file = \"path\" }}"))),
        Err(Unusable::NotText) => Err(wrong("names a variable that is not text").label("not UTF-8")),
    }
}

/// Trailing line ends belong to the editor that wrote the file, not to the secret.
fn long_enough(value: &Entry<'_, '_>, text: String) -> Option<Secret> {
    let secret = Secret::new(text);
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    let refusal = match trimmed.chars().count() {
        0 => wrong("is empty").label("no secret there"),
        length if length < SHORTEST => {
            wrong("is too short for a secret").label(format!("{length} characters, at least {SHORTEST}"))
        }
        _ if trimmed.chars().any(char::is_control) => {
            wrong("contains control characters").label("clients could not send it")
        }
        _ => return Some(Secret::new(trimmed.to_owned())),
    };
    value.refuse(refusal.help("`hubgate service rotate-secret ID` makes one of 256 random bits"));
    None
}
