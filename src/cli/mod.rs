//! What a person types: the commands, and what they print.
//!
//! Invariant: commands use the same verbs as the gateway itself and are safe while it runs; a secret is printed once,
//! by the command that makes it; results go to standard output, everything else to standard error.

mod app_passwords;
mod audit;
mod backup;
mod check;
mod demo;
mod explain;
mod files;
mod groups;
mod import;
mod keys;
mod manual;
mod output;
mod password;
mod second_step;
mod serve;
mod services;
mod tokens;
mod users;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};

use self::output::Failure;
use crate::{
    app,
    base::{
        random::{Random, SystemRandom},
        time::{Clock, SystemClock},
    },
    config::{self, Config, Environment, StoreUrl},
    model::event::Author,
    store::SharedStore,
};

/// A reverse-proxy authentication gateway that speaks the OAuth 2.0 protocol of JetBrains Hub.
#[derive(Debug, Parser)]
#[command(name = "hubgate", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Args, Clone)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "HUBGATE_CONFIG", default_value = "gateway.toml", global = true)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default command).
    Serve(serve::ServeArgs),
    /// See the main job at work: a gateway, a sample backend and a service in a throw-away folder.
    Demo(demo::DemoArgs),
    /// Check the configuration: every problem at once, then the [[test]] entries, then what a start would change of the declared
    /// services and users.
    Check(check::CheckArgs),
    /// Explain what would become of a request: which route and rule, what is known of the token, the decision and how to mend it.
    /// Nothing is written or made. The exit status is 0 when the request may pass, 1 when it would be refused, 2 when the command line
    /// is wrong, 3 when it could not be told: the configuration, the store or its keys cannot be read.
    Explain(explain::ExplainArgs),
    /// Services: add, list, show, new secret, remove.
    #[command(subcommand)]
    Service(services::ServiceCommand),
    /// Users: add, list, show, change, password, ban, merge, erase, remove.
    #[command(subcommand)]
    User(users::UserCommand),
    /// Groups of users: add, change, list, members, remove.
    #[command(subcommand)]
    Group(groups::GroupCommand),
    /// Tokens: look into one, make a permanent one, list, revoke.
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Signing keys: list, make the next one.
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// The audit log: list what has happened, verify that nothing of it was changed.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Take over services, users and groups of another system.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Write everything that the gateway keeps into one file, while it runs or not.
    Backup(backup::BackupArgs),
    /// Put what a backup holds into a data folder that has no database.
    Restore(backup::BackupArgs),
    /// Print a completion script for a shell.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff); with --dir, write one page for each command.
    Man {
        /// Where to write the pages.
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// Runs what was typed. The exit status is 0 when all went well, 1 when not, 2 when the command line is wrong, 3 when a command that
/// judges could not tell.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.file.config;
    let outcome = match cli.command.unwrap_or(Command::Serve(serve::ServeArgs::default())) {
        Command::Serve(args) => serve::serve(&file, &args),
        Command::Demo(args) => demo::demo(&args),
        Command::Check(args) => check::check(&file, &args),
        Command::Explain(args) => explain::explain(&file, &args),
        Command::Service(command) => services::run(&file, command),
        Command::User(command) => users::run(&file, command),
        Command::Group(command) => groups::run(&file, command),
        Command::Token(command) => tokens::run(&file, &command),
        Command::Key(command) => keys::run(&file, &command),
        Command::Audit(command) => audit::run(&file, command),
        Command::Import(command) => import::run(&file, &command),
        Command::Backup(args) => backup::back_up(&file, &args),
        Command::Restore(args) => backup::restore(&file, &args),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::pages(dir.as_deref()),
    };
    // What was said comes before why it ended.
    crate::observe::log::flush(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::from(failure.status())
        }
    }
}

/// Reads the configuration.
fn load(file: &std::path::Path) -> Result<Config, Failure> {
    load_with(file, &Environment::of_process())
}

fn load_with(file: &std::path::Path, environment: &Environment) -> Result<Config, Failure> {
    config::load(file, environment).map_err(|problems| Failure::Problems(problems.render(output::colour())))
}

/// What a command needs that changes the registry.
struct Registry {
    config: Config,
    store: SharedStore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// What a command does with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It reads: it waits for nobody who writes, and every write of it is refused.
    Read,
    /// The same, and where there is no store yet there is nothing to be read: none is made.
    ReadExisting,
    /// It writes too.
    Write,
}

/// Runs a command that may write on the store of the configuration.
fn with_registry<T>(
    file: &std::path::Path,
    work: impl AsyncFnOnce(Registry) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_store(file, Use::Write, work)
}

/// Runs a command that only reads.
fn with_registry_to_read<T>(
    file: &std::path::Path,
    work: impl AsyncFnOnce(Registry) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_store(file, Use::Read, work)
}

/// The same, of those who are in the store: where there is none, nobody is.
fn with_existing_registry<T>(
    file: &std::path::Path,
    work: impl AsyncFnOnce(Registry) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_store(file, Use::ReadExisting, work)
}

fn with_store<T>(
    file: &std::path::Path,
    what_for: Use,
    work: impl AsyncFnOnce(Registry) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_config(file, async |config| {
        let there = match what_for {
            Use::Read | Use::ReadExisting => app::open_store_to_read(&config).await?,
            Use::Write => None,
        };
        let store = match there {
            Some(store) => store,
            None if what_for == Use::ReadExisting => {
                let StoreUrl::Sqlite(path) = &config.store;
                let place = path.display();
                return Err(Failure::Plain(format!(
                    "there is no store yet at {place}, and so nobody is known"
                )));
            }
            // Where there is none yet, nobody is waited for; it is made.
            None => app::open_store(&config).await?,
        };
        let store = store.acting(Author::command_line(&account()));
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        work(Registry { config, store, clock, random }).await
    })
}

/// Runs a command that judges by what there is and makes nothing: it gets no store where there is none yet.
fn with_store_if_any<T>(
    file: &std::path::Path,
    work: impl AsyncFnOnce(Config, Option<SharedStore>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_config(file, async |config| {
        let store = app::open_store_to_read(&config).await?;
        work(config, store).await
    })
}

fn with_config<T>(
    file: &std::path::Path,
    work: impl AsyncFnOnce(Config) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = load(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work(config))
}

/// Who types, as the system knows it: variables could say anything.
fn account() -> String {
    let id = rustix::process::getuid().as_raw();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {id}"))
}

/// A duration as the configuration file spells it, for options.
fn duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text)
}
