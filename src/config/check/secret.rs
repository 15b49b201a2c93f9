//! Secrets and passwords: in the file itself, in a variable, or in a file of their own.
//!
//! Invariant: no message repeats any part of a secret.

use crate::{
    base::secret::Secret,
    config::{
        entry::Entry,
        environment::Unusable,
        reader::Section,
        schema::{self, Table},
        value::{Wrong, wrong},
    },
    model::naming,
};

/// Below this, a secret can be guessed: 16 characters of base64 are 96 bits.
const SHORTEST: usize = 16;

const FORMS: &str = r#"write { env = "NAME" } or { file = "path" }, or the secret itself in quotes"#;

/// What is wrong with the text of a secret.
pub(super) type Check = fn(&str) -> Result<(), Wrong>;

/// The secret of a service.
pub(super) fn secret(value: &Entry<'_, '_>) -> Option<Secret> {
    read(value, &schema::SECRET, long_enough)
}

/// The password of a person, whose inline table is `schema`.
pub(super) fn password(value: &Entry<'_, '_>, schema: &'static Table) -> Option<Secret> {
    read(value, schema, |text| {
        let refuse =
            |why| wrong(why).help("a password has 8 characters or more, none of them a control character");
        naming::password(text).map_err(refuse)
    })
}

/// The password at the mail server: whatever that has given out.
pub(super) fn mail_password(value: &Entry<'_, '_>) -> Option<Secret> {
    read(value, &schema::MAIL_PASSWORD, |text| match text {
        "" => Err(wrong("is empty").label("no password there")),
        text if text.chars().any(char::is_control) => Err(wrong("contains control characters")),
        _ => Ok(()),
    })
}

/// Header fields for the collector of spans: whatever that has given out.
pub(super) fn headers(value: &Entry<'_, '_>, check: Check) -> Option<Secret> {
    read(value, &schema::TELEMETRY_HEADERS, check)
}

fn read(value: &Entry<'_, '_>, schema: &'static Table, check: Check) -> Option<Secret> {
    if let Some(table) = value.table(schema) {
        return referenced(value, &table, check);
    }
    if !value.is_text() {
        value.refuse(wrong("is neither a text nor a reference").help(FORMS));
        return None;
    }
    good(value, value.text()?.into_owned(), check)
}

fn referenced(value: &Entry<'_, '_>, table: &Section<'_, '_>, check: Check) -> Option<Secret> {
    match (table.get("env"), table.get("file")) {
        (Some(env), None) => {
            let text = env.parse(|name| variable(&env, name))?;
            good(&env, text, check)
        }
        (None, Some(file)) => {
            let path = file.context.resolve(&file.text()?);
            let text = super::gateway::read(&path).and_then(|bytes| {
                String::from_utf8(bytes)
                    .map_err(|_| wrong("names a file that is not text").label("not UTF-8"))
            });
            good(&file, text.map_err(|wrong| file.refuse(wrong)).ok()?, check)
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
fn good(value: &Entry<'_, '_>, text: String, check: Check) -> Option<Secret> {
    let secret = Secret::new(text);
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    check(trimmed).map_err(|wrong| value.refuse(wrong)).ok()?;
    Some(Secret::new(trimmed.to_owned()))
}

fn long_enough(text: &str) -> Result<(), Wrong> {
    let refusal = match text.chars().count() {
        0 => wrong("is empty").label("no secret there"),
        length if length < SHORTEST => {
            wrong("is too short for a secret").label(format!("{length} characters, at least {SHORTEST}"))
        }
        _ if text.chars().any(char::is_control) => {
            wrong("contains control characters").label("clients could not send it")
        }
        _ => return Ok(()),
    };
    Err(refusal.help("`hubgate service rotate-secret ID` makes one of 256 random bits"))
}
