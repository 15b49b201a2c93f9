//! What the configuration says of mail, as the mailer takes it.

use super::StartError;
use crate::{
    config::{Config, MailTls},
    mail::{Encryption, Prepared, Server},
};

/// What letters are sent by from now on.
pub(super) fn prepare(config: &Config) -> Result<Prepared, StartError> {
    let server = match &config.mail {
        None => None,
        Some(mail) => Some(Server {
            from: mail.from.clone(),
            host: mail.host.clone(),
            port: mail.port,
            encryption: match mail.tls {
                MailTls::StartTls => Encryption::StartTls,
                MailTls::Tls => Encryption::Tls,
                MailTls::None => Encryption::None,
            },
            ca: mail.ca.as_ref().map(std::fs::read).transpose()?,
            credentials: mail.credentials.clone(),
            timeout: mail.timeout,
            hello: config.public_url.host().to_owned(),
        }),
    };
    Ok(Prepared::new(server.as_ref())?)
}
