//! `hubgate user …`

use std::{collections::BTreeMap, path::Path};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Registry, Use,
    app_passwords::{self, AppPasswordCommand},
    output::{self, Failure, say, table, yes},
    password::PasswordArgs,
    second_step::{self, SecondStepCommand},
    with_store,
};
use crate::{
    base::id::{GroupId, UserId},
    model::{
        search::{Filter, Match, Page, UserFilter, UserIs},
        user::{Email, User},
    },
    registry::{
        lives,
        users::{self, Change, NewUser},
    },
    store::StoreError,
};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user.
    Add(AddArgs),
    /// List users, all unless some are asked for.
    List(ListArgs),
    /// Show one user.
    Show {
        /// Login, e-mail address or id.
        user: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a user's login, name, address or rights.
    Update(UpdateArgs),
    /// Set a user's password; ends the sessions and tokens that the user has.
    Password {
        /// Login, e-mail address or id.
        user: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Shut a user out; a running gateway refuses the user's tokens within a second.
    Ban {
        /// Login, e-mail address or id.
        user: String,
        /// Why, for other administrators.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a user in again. Tokens from before stay dead.
    Unban {
        /// Login, e-mail address or id.
        user: String,
    },
    /// Remove a user; every token that the user obtained is dead at once.
    Remove {
        /// Login, e-mail address or id.
        user: String,
    },
    /// Application passwords, for programs that speak nothing but Basic: add, list, remove.
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    /// The second step of a user's sign-in: show it, or remove it for somebody who has lost the device.
    #[command(subcommand)]
    SecondStep(SecondStepCommand),
    /// Remove a user whose groups another one takes over. Rights do not move; sessions and tokens are dead.
    Merge {
        /// Who goes: login, e-mail address or id.
        user: String,
        /// Who stays: login, e-mail address or id.
        #[arg(long, value_name = "USER")]
        into: String,
    },
    /// Take out of an account everything that tells whose it was. There is no way back.
    Erase {
        /// Login, e-mail address or id.
        user: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Those whose login, name or address has these words; with * at the end, a word that begins so.
    #[arg(long, value_name = "WORDS")]
    query: Option<String>,
    /// Those in this group, by name or id, or in one below it.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Those who are shut out.
    #[arg(long)]
    banned: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// What the user types to sign in.
    login: String,
    /// What people see; default: the login.
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address; counts as verified.
    #[arg(long)]
    email: Option<String>,
    /// The user's id; default: a random one.
    #[arg(long)]
    id: Option<String>,
    /// A group, by name or id. May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// May administer the gateway.
    #[arg(long)]
    administrator: bool,
    #[command(flatten)]
    password: PasswordArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Login, e-mail address or id.
    user: String,
    /// Another login.
    #[arg(long)]
    login: Option<String>,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Another e-mail address; counts as verified.
    #[arg(long, conflicts_with = "no_email")]
    email: Option<String>,
    /// No e-mail address.
    #[arg(long)]
    no_email: bool,
    /// Whether the user may administer the gateway.
    #[arg(long, value_name = "true|false")]
    administrator: Option<bool>,
}

pub(super) fn run(file: &Path, command: UserCommand) -> Result<(), Failure> {
    let what_for = match &command {
        UserCommand::List(_)
        | UserCommand::Show { .. }
        | UserCommand::AppPassword(AppPasswordCommand::List { .. })
        | UserCommand::SecondStep(SecondStepCommand::Show { .. }) => Use::Read,
        _ => Use::Write,
    };
    with_store(file, what_for, async |r| match command {
        UserCommand::Add(args) => add(&r, args).await,
        UserCommand::List(args) => list(&r, args).await,
        UserCommand::Show { user, json } => show(&r, &user, json).await,
        UserCommand::Update(args) => update(&r, args).await,
        UserCommand::Password { user, password } => set_password(&r, &user, &password).await,
        UserCommand::Ban { user, reason } => {
            let user = named(&r, &user).await?;
            users::ban(r.store.as_ref(), &user.id, &reason, r.clock.as_ref()).await?;
            say(&format!("{} is banned; sessions and tokens are dead.", user.login))
        }
        UserCommand::AppPassword(command) => app_passwords::run(&r, command).await,
        UserCommand::SecondStep(command) => second_step::run(&r, command).await,
        UserCommand::Unban { user } => {
            let user = named(&r, &user).await?;
            users::unban(r.store.as_ref(), &user.id, r.clock.as_ref()).await?;
            say(&format!("{} may sign in again.", user.login))
        }
        UserCommand::Remove { user } => {
            let user = named(&r, &user).await?;
            users::remove(r.store.as_ref(), &user.id, r.clock.as_ref()).await?;
            say(&format!("{} is removed; sessions and tokens are dead.", user.login))
        }
        UserCommand::Merge { user, into } => {
            let (user, into) = (named(&r, &user).await?, named(&r, &into).await?);
            lives::merge(r.store.as_ref(), &user.id, &into.id, r.clock.as_ref()).await?;
            say(&format!("{} is merged into {}; sessions and tokens are dead.", user.login, into.login))
        }
        UserCommand::Erase { user } => {
            let user = named(&r, &user).await?;
            let erased = lives::erase(r.store.as_ref(), &user.id, r.clock.as_ref()).await?;
            say(&format!("{} is now {}; sessions and tokens are dead.", user.login, erased.login))
        }
    })
}

/// The user that somebody means.
pub(super) async fn named(r: &Registry, name: &str) -> Result<User, Failure> {
    let found = r.store.find_user_by_name(name).await?;
    found.ok_or_else(|| Failure::Plain(format!("there is no user {name:?}; `hubgate user list` shows all")))
}

async fn add(r: &Registry, args: AddArgs) -> Result<(), Failure> {
    let id = args.id.as_deref().map(UserId::parse).transpose()?;
    let mut memberships = Vec::with_capacity(args.groups.len());
    for group in &args.groups {
        memberships.push(super::groups::named(r, group).await?.id);
    }
    let chosen = args.password.take(r).await?;
    let new = NewUser {
        id,
        name: args.name.unwrap_or_else(|| args.login.clone()),
        login: args.login,
        email: args.email.map(|address| Email { address, verified: true }),
        password: chosen.password.clone(),
        administrator: args.administrator,
        groups: memberships,
    };
    let user = users::add(r.store.as_ref(), new, r.clock.as_ref(), r.random.as_ref()).await?;
    if args.json {
        let password = chosen.generated.as_ref().map(super::super::base::secret::Secret::expose);
        return output::json(&json!({"id": user.id, "login": user.login, "password": password}));
    }
    say(&format!("id        {}", user.id))?;
    chosen.show()
}

async fn update(r: &Registry, args: UpdateArgs) -> Result<(), Failure> {
    let user = named(r, &args.user).await?;
    let email = args.email.map(|address| Some(Email { address, verified: true }));
    let change = Change {
        login: args.login,
        name: args.name,
        email: if args.no_email { Some(None) } else { email },
        administrator: args.administrator,
        ..Change::default()
    };
    let user = users::change(r.store.as_ref(), &user.id, change, r.clock.as_ref()).await?;
    say(&format!("{} is changed.", user.login))
}

async fn set_password(r: &Registry, name: &str, password: &PasswordArgs) -> Result<(), Failure> {
    let user = named(r, name).await?;
    let same = |login: &str| login.to_lowercase() == user.login.to_lowercase();
    if r.config.users.iter().any(|declared| same(&declared.login) && declared.password.is_some()) {
        let login = &user.login;
        let text = format!("the configuration file gives the password of {login}; change it there");
        return Err(Failure::Plain(text));
    }
    let chosen = password.take(r).await?;
    users::set_password(r.store.as_ref(), &user.id, chosen.password.clone(), r.clock.as_ref()).await?;
    let what = if chosen.password.is_some() { "has a new password" } else { "has no password any more" };
    say(&format!("{} {what}; sessions and tokens are dead.", user.login))?;
    chosen.show()
}

/// Names of groups by id.
async fn group_names(r: &Registry) -> Result<BTreeMap<GroupId, String>, StoreError> {
    Ok(r.store.list_groups().await?.into_iter().map(|group| (group.id, group.name)).collect())
}

fn groups_of<'n>(user: &User, names: &'n BTreeMap<GroupId, String>) -> Vec<&'n str> {
    let mut of: Vec<&str> = user.groups.iter().filter_map(|id| names.get(id)).map(String::as_str).collect();
    of.sort_unstable();
    of
}

const fn state(user: &User) -> &'static str {
    if user.ban.is_some() {
        "banned"
    } else if user.guest || user.password.is_some() {
        "active"
    } else {
        "no password"
    }
}

async fn list(r: &Registry, args: ListArgs) -> Result<(), Failure> {
    let mut all: Vec<UserFilter> = Vec::new();
    if let Some(text) = args.query {
        let text = match text.strip_suffix('*') {
            Some(beginning) => Match::Prefix(beginning.to_owned()),
            None => Match::Exact(text),
        };
        all.push(UserIs::AnyText(text).into());
    }
    if let Some(group) = &args.group {
        all.push(super::groups::named(r, group).await?.filter());
    }
    if args.banned {
        all.push(UserIs::Banned.into());
    }
    let none = if all.is_empty() {
        "There are no users yet; the first start makes an administrator."
    } else {
        "There are no such users."
    };
    let found = r.store.find_users(&Filter::And(all), &[], Page::ALL).await?;
    show_all(r, &found.items, args.json, none).await
}

const HEADING: [&str; 8] = ["LOGIN", "NAME", "EMAIL", "STATE", "ADMIN", "GROUPS", "DECLARED", "ID"];

fn rows(users: &[User], names: &BTreeMap<GroupId, String>) -> Vec<Vec<String>> {
    let row = |user: &User| {
        vec![
            user.login.clone(),
            user.name.clone(),
            user.email.as_ref().map(|email| email.address.clone()).unwrap_or_default(),
            state(user).to_owned(),
            yes(user.administrator),
            groups_of(user, names).join(", "),
            yes(user.declared),
            user.id.to_string(),
        ]
    };
    users.iter().map(row).collect()
}

/// Users as `user list` shows them.
pub(super) async fn show_all(r: &Registry, users: &[User], json: bool, none: &str) -> Result<(), Failure> {
    let names = group_names(r).await?;
    if json {
        return output::json(&users.iter().map(|user| as_json(user, &names)).collect::<Vec<_>>());
    }
    table(&HEADING, &rows(users, &names), none)
}

async fn show(r: &Registry, name: &str, json: bool) -> Result<(), Failure> {
    let user = named(r, name).await?;
    let names = group_names(r).await?;
    if json {
        return output::json(&as_json(&user, &names));
    }
    let sessions = r.store.list_sessions(&user.id).await?;
    let now = r.clock.now();
    let live = sessions.iter().filter(|session| session.is_live(r.config.sessions, now)).count();
    let email = user.email.as_ref().map(|email| {
        format!("{} ({})", email.address, if email.verified { "verified" } else { "not verified" })
    });
    let ban = user.ban.as_ref().map(|ban| {
        let colon = if ban.reason.is_empty() { "" } else { ": " };
        format!("since {}{colon}{}", ban.since, ban.reason)
    });
    let password = user.password.as_ref().map_or_else(
        || "none".to_owned(),
        |password| {
            let once = if password.must_change { ", for one sign-in" } else { "" };
            format!("set {}{once}", password.set)
        },
    );
    let access = r.store.last_accesses(std::slice::from_ref(&user.id)).await?;
    let access = access.into_iter().flatten().next();
    let access = access.map(|access| format!("{} from {}", access.time, access.address));
    let fields = [
        ("id", user.id.to_string()),
        ("login", user.login.clone()),
        ("name", user.name.clone()),
        ("email", email.unwrap_or_default()),
        ("password", password),
        ("banned", ban.unwrap_or_default()),
        ("guest", if user.guest { yes(true) } else { String::new() }),
        ("administrator", yes(user.administrator)),
        ("groups", groups_of(&user, &names).join(", ")),
        ("erased", user.erased.map(|time| time.to_string()).unwrap_or_default()),
        ("sessions", live.to_string()),
        ("last access", access.unwrap_or_default()),
        ("declared in file", yes(user.declared)),
        ("created", user.created.to_string()),
        ("changed", user.updated.to_string()),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        for (at, line) in value.lines().enumerate() {
            say(&format!("{:<18}{line}", if at == 0 { name } else { "" }))?;
        }
    }
    Ok(())
}

/// What may be shown of a user.
fn as_json(user: &User, names: &BTreeMap<GroupId, String>) -> Value {
    let email = user.email.as_ref();
    json!({
        "id": user.id,
        "login": user.login,
        "name": user.name,
        "email": email.map(|email| json!({"address": email.address, "verified": email.verified})),
        "banned": user.ban.is_some(),
        "ban": user.ban.as_ref().map(|ban| json!({"reason": ban.reason, "since": ban.since.millis()})),
        "guest": user.guest,
        "administrator": user.administrator,
        "groups": groups_of(user, names),
        "has_password": user.password.is_some(),
        "must_change_password": user.password.as_ref().is_some_and(|password| password.must_change),
        "declared": user.declared,
        "created": user.created.millis(),
        "updated": user.updated.millis(),
    })
}
