//! One letter to one server.
//!
//! Invariant: what is said of a failure is its kind and the server's code, never the server's words: they may quote the letter.

use std::{fmt, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::Letter;
use crate::base::{
    random::{Random, SystemRandom},
    secret::Secret,
};

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// STARTTLS, without which nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    None,
}

/// A server, and how letters are handed to it.
#[derive(Debug, Clone)]
pub struct Server {
    /// The sender's name, possibly empty, and address.
    pub from: (String, String),
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// Certificates (PEM) that it is checked against instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// How to sign in.
    pub credentials: Option<(String, Secret)>,
    /// How long it may take to take one letter.
    pub timeout: Duration,
    /// The host that the gateway is reached at, by which it introduces itself.
    pub hello: String,
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The sender is no address.
    #[error("the sender of mail is no address: {0}")]
    Sender(#[from] lettre::address::AddressError),
    /// TLS cannot be set up.
    #[error("TLS to the mail server: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
}

/// Why a letter was not sent.
pub(super) struct Failure {
    pub(super) why: Why,
    /// Whether it may be different soon.
    pub(super) for_now: bool,
}

/// The kind of a failure.
pub(super) enum Why {
    /// The address cannot be written to.
    Address,
    /// The server took too long.
    Timeout,
    /// TLS did not come about.
    Tls,
    /// The server said no.
    Refused(String),
    /// It is not reached, or does not speak SMTP.
    Connection,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("the address cannot be written to"),
            Self::Timeout => f.write_str("the mail server takes too long"),
            Self::Tls => f.write_str("there is no TLS with the mail server"),
            Self::Refused(code) => write!(f, "the mail server refuses with {code}"),
            Self::Connection => f.write_str("there is no connection to the mail server"),
        }
    }
}

impl From<lettre::transport::smtp::Error> for Failure {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        let for_now = !error.is_permanent() && !error.is_client();
        let why = if let Some(code) = error.status() {
            Why::Refused(code.to_string())
        } else if error.is_timeout() {
            Why::Timeout
        } else if error.is_tls() {
            Why::Tls
        } else {
            Why::Connection
        };
        Self { why, for_now }
    }
}

/// See [`Server`].
pub(super) struct Transport {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
    hello: String,
}

impl Transport {
    pub(super) fn new(server: &Server) -> Result<Self, MailError> {
        let (name, address) = &server.from;
        let from = Mailbox::new(Some(name.clone()).filter(|name| !name.is_empty()), address.parse()?);
        let tls = || -> Result<TlsParameters, MailError> {
            let mut builder = TlsParameters::builder(server.host.clone());
            if let Some(pem) = &server.ca {
                builder = builder
                    .certificate_store(CertificateStore::None)
                    .add_root_certificate(Certificate::from_pem(pem)?);
            }
            Ok(builder.build_rustls()?)
        };
        let tls = match server.encryption {
            Encryption::StartTls => Tls::Required(tls()?),
            Encryption::Tls => Tls::Wrapper(tls()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::Domain(server.hello.clone()))
            .timeout(Some(server.timeout));
        if let Some((user, password)) = &server.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { smtp: builder.build(), from, timeout: server.timeout, hello: server.hello.clone() })
    }

    /// Hands one letter over.
    pub(super) async fn send(&self, letter: &Letter) -> Result<(), Failure> {
        let message = self.message(letter).ok_or(Failure { why: Why::Address, for_now: false })?;
        // The server's own timeout is for one step; this is for all of them.
        match tokio::time::timeout(self.timeout, self.smtp.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(Failure::from),
            Err(_) => Err(Failure { why: Why::Timeout, for_now: true }),
        }
    }

    fn message(&self, letter: &Letter) -> Option<Message> {
        let to = Mailbox::new(None, letter.to.parse().ok()?);
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let random: &dyn Random = &SystemRandom;
        let id = u128::from_be_bytes(random.bytes());
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.title())
            .message_id(Some(format!("<{id:032x}@{}>", self.hello)))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text())
            .ok()
    }
}
