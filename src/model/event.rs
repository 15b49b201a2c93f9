//! The audit log's records: who changed what, from where, and what it was before.
//!
//! Invariant: nothing that opens anything, a hash included, is ever a part of one.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::user::User;
use crate::base::{
    id::{ServiceId, UserId},
    time::Timestamp,
};

/// An enum whose variants have a name in the log; a name is for ever.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in the log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

named! {
    /// What happened.
    EventKind {
        /// A record came into being.
        Created = "created",
        /// A record changed otherwise than the kinds below say.
        Updated = "updated",
        /// A record is gone.
        Deleted = "deleted",
        /// A user was shut out.
        Banned = "banned",
        /// A user was let in again.
        Unbanned = "unbanned",
        /// A password was set, replaced or taken away.
        PasswordChanged = "passwordChanged",
        /// A user's sign-in has a second step from now on.
        SecondStepOn = "secondStepOn",
        /// It has none any more.
        SecondStepOff = "secondStepOff",
        /// A user's recovery codes were replaced.
        RecoveryCodesReplaced = "recoveryCodesReplaced",
        /// One of them was used.
        RecoveryCodeUsed = "recoveryCodeUsed",
        /// A service's secret was set, replaced or taken away.
        SecretChanged = "secretChanged",
        /// Somebody proved who they are.
        SignedIn = "signedIn",
        /// A session was ended.
        SignedOut = "signedOut",
        /// Somebody did not prove it. Bounded: see `registry::audit`.
        SignInRefused = "signInRefused",
        /// Somebody who had failed too often was not even heard. Bounded too.
        SignInThrottled = "signInThrottled",
        /// Tokens were revoked.
        TokenRevoked = "tokenRevoked",
        /// A code or refresh token was used a second time, and its family revoked.
        Replayed = "replayed",
        /// Somebody let a client act for them.
        ConsentGiven = "consentGiven",
        /// That was taken back.
        ConsentTakenBack = "consentTakenBack",
        /// A link was made to be sent by mail.
        LinkSent = "linkSent",
        /// Such a link was used.
        LinkUsed = "linkUsed",
        /// The next signing key took over.
        KeyRotated = "keyRotated",
        /// The configuration file was read again.
        ConfigurationReloaded = "configurationReloaded",
        /// Personal data was taken out of the log.
        Erased = "erased",
    }
}

named! {
    /// What it happened to.
    TargetKind {
        /// A user.
        User = "user",
        /// A group of users.
        Group = "group",
        /// A service.
        Service = "service",
        /// A browser on which somebody is signed in.
        Session = "session",
        /// A family of tokens.
        Grant = "grant",
        /// One access token.
        Token = "token",
        /// A consent.
        Consent = "consent",
        /// A permanent token.
        PermanentToken = "permanentToken",
        /// An application password.
        ApplicationPassword = "applicationPassword",
        /// A signing key.
        SigningKey = "signingKey",
        /// The gateway itself.
        Gateway = "gateway",
    }
}

named! {
    /// What kind of author there was.
    AuthorKind {
        /// A user.
        User = "user",
        /// A service, at the token endpoint or below it.
        Service = "service",
        /// Somebody at the command line.
        CommandLine = "commandLine",
        /// The configuration file.
        Configuration = "configuration",
        /// The gateway, by itself.
        Gateway = "gateway",
        /// Nobody knows.
        Anonymous = "anonymous",
    }
}

/// On whose behalf a store is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Of which kind.
    pub kind: AuthorKind,
    /// The id of the user or service.
    pub id: Option<String>,
    /// For people to read.
    pub presentation: String,
    /// The request.
    pub request: Option<String>,
    /// Where it came from.
    pub source: Option<IpAddr>,
}

impl Author {
    fn of(kind: AuthorKind, id: Option<String>, presentation: &str) -> Self {
        Self { kind, id, presentation: presentation.to_owned(), request: None, source: None }
    }

    /// The gateway, by itself.
    #[must_use]
    pub fn gateway() -> Self {
        Self::of(AuthorKind::Gateway, None, "hubgate")
    }

    /// The configuration file.
    #[must_use]
    pub fn configuration() -> Self {
        Self::of(AuthorKind::Configuration, None, "gateway.toml")
    }

    /// Somebody at the command line, by the name of the system's account.
    #[must_use]
    pub fn command_line(account: &str) -> Self {
        Self::of(AuthorKind::CommandLine, None, account)
    }

    /// Nobody knows who.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::of(AuthorKind::Anonymous, None, "")
    }

    /// A user.
    #[must_use]
    pub fn user(id: &UserId, login: &str) -> Self {
        Self::of(AuthorKind::User, Some(id.to_string()), login)
    }

    /// A service.
    #[must_use]
    pub fn service(id: &ServiceId, name: &str) -> Self {
        Self::of(AuthorKind::Service, Some(id.to_string()), name)
    }

    /// By this request from there.
    #[must_use]
    pub fn during(self, request: &str, source: IpAddr) -> Self {
        Self { request: Some(request.to_owned()), source: Some(source), ..self }
    }
}

impl From<&User> for Author {
    fn from(user: &User) -> Self {
        Self::user(&user.id, &user.login)
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Of which kind.
    pub kind: TargetKind,
    /// Its id.
    pub id: String,
    /// For people to read.
    pub presentation: String,
    /// The user whose it is, or who it is: whom it concerns when data of a person are asked for or erased.
    pub owner: Option<UserId>,
}

impl Target {
    /// A user.
    #[must_use]
    pub fn user(id: &UserId, login: &str) -> Self {
        let (owner, presentation) = (Some(id.clone()), login.to_owned());
        Self { kind: TargetKind::User, id: id.to_string(), presentation, owner }
    }

    /// The gateway itself.
    #[must_use]
    pub fn gateway() -> Self {
        let (id, presentation) = (ServiceId::HUB.to_owned(), "hubgate".to_owned());
        Self { kind: TargetKind::Gateway, id, presentation, owner: None }
    }
}

/// One field, before and after. A value that is not there is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Value>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Value>,
}

impl FieldChange {
    /// A field that was not there before.
    pub fn new(field: &str, after: impl Into<Value>) -> Self {
        Self { field: field.to_owned(), before: None, after: Some(after.into()) }
    }

    /// A field that is not there any more.
    pub fn gone(field: &str, before: impl Into<Value>) -> Self {
        Self { field: field.to_owned(), before: Some(before.into()), after: None }
    }
}

/// What is to be recorded; who did it, and when, the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub target: Target,
    /// What has changed.
    pub changes: Vec<FieldChange>,
}

/// An event as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1 for the first; without gaps, in the order in which the changes were made.
    pub sequence: i64,
    /// When, by the clock of whoever recorded it.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To what. Of an erased event without presentation.
    pub target: Target,
    /// By whom. Of an erased event without presentation, request and source.
    pub author: Author,
    /// What has changed. Of an erased event nothing.
    pub changes: Vec<FieldChange>,
    /// Whether the personal data were taken out.
    pub erased: bool,
}
