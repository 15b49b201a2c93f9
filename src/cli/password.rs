//! Where a command takes a password from: the terminal, a file, standard input, or chance. Never from its arguments, which
//! everybody on the machine can read.

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Registry,
    output::{self, Failure, say},
};
use crate::{
    base::secret::Secret,
    crypto::password::Direct,
    registry::users::{NewPassword, PeopleError, generate_password},
};

#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from this file, or with - from standard input. Otherwise it is asked for on the terminal.
    #[arg(long, value_name = "FILE", group = "source")]
    password_file: Option<PathBuf>,
    /// Make a password and print it, once. It is good for one sign-in, at which its owner chooses another.
    #[arg(long, group = "source")]
    generate: bool,
    /// What --generate makes is to stay.
    #[arg(long, requires = "generate")]
    permanent: bool,
    /// Read a hash that another system has made (bcrypt or argon2id) from this file, or with - from standard input.
    #[arg(long, value_name = "FILE", group = "source")]
    hash_file: Option<PathBuf>,
    /// No password: nobody can sign in by one.
    #[arg(long, group = "source")]
    no_password: bool,
}

/// A password that may be set, and what was made for it.
pub(super) struct Chosen {
    pub(super) password: Option<NewPassword>,
    pub(super) generated: Option<Secret>,
}

impl PasswordArgs {
    /// Takes the password.
    pub(super) async fn take(&self, r: &Registry) -> Result<Chosen, Failure> {
        if self.no_password {
            return Ok(Chosen { password: None, generated: None });
        }
        if let Some(file) = &self.hash_file {
            let hash = read(file)?;
            return Ok(Chosen { password: Some(NewPassword::imported(hash.expose())?), generated: None });
        }
        let (secret, generated) = match &self.password_file {
            _ if self.generate => {
                let made = generate_password(r.random.as_ref());
                (made.clone(), Some(made))
            }
            Some(file) => (read(file)?, None),
            None => (ask()?, None),
        };
        let one_time = generated.is_some() && !self.permanent;
        let direct = Direct::new(std::sync::Arc::clone(&r.random));
        let password = NewPassword::of(&secret, one_time, &direct).await?;
        Ok(Chosen { password: Some(password), generated })
    }
}

impl Chosen {
    /// Prints what was made for it.
    pub(super) fn show(&self) -> Result<(), Failure> {
        if let Some(password) = &self.generated {
            say(&format!("password  {}", password.expose()))?;
            output::remark("Keep the password: it is not shown again.");
        }
        Ok(())
    }
}

/// The first line of a file, or of standard input.
fn read(file: &Path) -> Result<Secret, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    } else {
        let opened = std::fs::File::open(file)
            .map_err(|error| Failure::Plain(format!("{} cannot be read: {error}", file.display())))?;
        opened.take(64 * 1024).read_to_string(&mut text)?;
    }
    let text = Secret::new(text);
    Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks twice, without showing what is typed.
fn ask() -> Result<Secret, Failure> {
    if !std::io::stdin().is_terminal() {
        let help = "there is no terminal to ask for a password on: use --password-file or --generate";
        return Err(Failure::Plain(help.to_owned()));
    }
    let password = Secret::new(rpassword::prompt_password("Password: ")?);
    // Before it is typed again for nothing.
    crate::model::naming::password(password.expose())
        .map_err(|why| PeopleError::Refused { what: "password", why })?;
    if password != Secret::new(rpassword::prompt_password("Again: ")?) {
        return Err(Failure::Plain("the two are not the same".to_owned()));
    }
    Ok(password)
}
