//! `[[user]]`: the people that the file declares, and the first administrator's password.

use std::collections::BTreeMap;

use super::secret;
use crate::{
    base::secret::Secret,
    config::{
        DeclaredUser,
        entry::Entry,
        reader::Section,
        schema,
        value::{Wrong, wrong},
    },
    model::naming::{self, Refusal},
};

/// The password of the administrator that the first start makes.
pub(super) fn admin_password(root: &Section<'_, '_>) -> Option<Secret> {
    root.get("admin_password").and_then(|value| secret::password(&value, &schema::ADMIN_PASSWORD))
}

pub(super) fn users(root: &Section<'_, '_>) -> Vec<DeclaredUser> {
    let mut taken = BTreeMap::new();
    root.repeated(&schema::USER).iter().filter_map(|section| user(section, &mut taken)).collect()
}

/// What people type to sign in, and whose it is.
type Taken = BTreeMap<String, String>;

fn user(section: &Section<'_, '_>, taken: &mut Taken) -> Option<DeclaredUser> {
    let login = section
        .required("login", r#"write what the person types to sign in: login = "jane""#)
        .and_then(|value| {
            let login = value.parse(|text| allowed(text, naming::login))?;
            claim(&value, &login, &login, taken);
            Some(login)
        });
    let name = section.parse("name", |text| allowed(text, naming::name)).or_else(|| login.clone());
    let email = section.get("email").and_then(|value| {
        let email = value.parse(|text| allowed(text, naming::email))?;
        claim(&value, &email, login.as_deref().unwrap_or_default(), taken);
        Some(email)
    });
    let password = section.get("password").and_then(|value| secret::password(&value, &schema::PASSWORD));
    let groups = section.parse_list("groups", |text| allowed(text, naming::group)).unwrap_or_default();
    let administrator = section.flag("administrator").unwrap_or_default();
    Some(DeclaredUser { login: login?, name: name?, email, password, groups, administrator })
}

fn allowed(text: &str, check: fn(&str) -> Result<(), Refusal>) -> Result<String, Wrong> {
    let text = naming::normal(text);
    check(&text).map(|()| text).map_err(wrong)
}

/// Logins and addresses both open an account, so each may exist once.
fn claim(value: &Entry<'_, '_>, text: &str, owner: &str, taken: &mut Taken) {
    let before = taken.insert(text.to_lowercase(), owner.to_owned());
    if let Some(before) = before.filter(|before| before != owner || value.name.ends_with("login")) {
        value.refuse(
            wrong("is taken").label(format!("user `{before}` signs in with it")).help(
                "logins and addresses both serve to sign in, so each may exist once (capital letters do not count)",
            ),
        );
    }
}
