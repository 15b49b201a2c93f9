//! The tree becomes a [`Config`], section by section, then the sections are held against one another.
//!
//! Invariant: `Ok` only when no problem was noted.

mod answers;
mod decision_test;
mod delivery;
mod gateway;
mod limits;
mod mail;
mod redirects;
mod rule;
mod secret;
mod service;
mod telemetry;
#[cfg(test)]
mod tests;
mod upstream;
mod user;

use std::path::Path;

use toml::de::DeTable;

use super::{Config, Environment, Problems, context::Context, reader::Section, schema};

/// Reads and checks a configuration file.
///
/// # Errors
/// [`Problems`]: everything that is wrong with it, or why it cannot be read.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    let bytes = std::fs::read(path).map_err(|error| {
        let message = format!("the configuration cannot be read: {error}");
        Problems::unreadable(path, message, "name the file with `--config FILE` or HUBGATE_CONFIG")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count()
                + 1;
        let message = format!(
            "the configuration is not UTF-8 text: line {line} has a byte that belongs to no character"
        );
        Problems::unreadable(path, message, "save the file as UTF-8")
    })?;
    parse(&text, path, environment)
}

/// Checks a configuration that is given as text; `file` names it in messages and its folder is where relative paths begin.
///
/// # Errors
/// [`Problems`]: everything that is wrong with it.
pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Config, Problems> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let context = Context::new(file, environment, &errors);
    let config = config(&Section::root(&context, tree.get_ref()), text, file);
    context.check_variables();
    let (problems, failed) = context.finish(text, tree.get_ref(), file);
    match config {
        Some(config) if !failed => Ok(Config { warnings: problems, ..config }),
        _ => Err(problems),
    }
}

/// What the file says, with defaults in place of what it says wrongly; `None` when the public address is missing.
fn config(root: &Section<'_, '_>, text: &str, file: &Path) -> Option<Config> {
    let public_url = gateway::public_url(root);
    let data_dir = gateway::data_dir(root);
    let listen = gateway::listen(&root.single(&schema::LISTEN));
    let tls = gateway::tls(&root.single(&schema::TLS));
    let store = gateway::store(&root.single(&schema::STORE), &data_dir);
    let hub = gateway::hub(&root.single(&schema::HUB));
    let oauth = limits::oauth(&root.single(&schema::OAUTH));
    let sessions = limits::sessions(&root.single(&schema::SESSIONS));
    let limits = limits::limits(&root.single(&schema::LIMITS));
    let log = limits::log(&root.single(&schema::LOG));
    let telemetry = telemetry::telemetry(&root.single(&schema::TELEMETRY), log.trace_context);
    let mail = mail::mail(&root.single(&schema::MAIL));
    let services = service::services(root, text, oauth.profile);
    let admin_password = user::admin_password(root);
    let users = user::users(root);
    let upstreams = upstream::upstreams(root, (&hub, public_url.as_ref()), &services);
    let tests = decision_test::tests(root, text, &users);
    Some(Config {
        file: file.to_owned(),
        public_url: public_url?,
        data_dir,
        listen,
        tls,
        store,
        hub,
        oauth,
        sessions,
        limits,
        log,
        telemetry,
        mail,
        services,
        admin_password,
        users,
        upstreams,
        tests,
        warnings: Problems::default(),
    })
}
