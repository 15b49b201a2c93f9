//! Why a request was refused, finer than the code that its client is told: for logs, numbers and those who ask afterwards.
//!
//! Invariant: a cause is decided where the refusal is, and tells nothing that the refused client could learn by it.

use super::{error::ErrorCode, token::verify::TokenError};
use crate::crypto::jws::JwsError;

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is nothing finer to say than the code does.
    Code(ErrorCode),
    /// The token is none: its form, its type, its claims.
    TokenForm,
    /// It was signed with a key that is not, or no longer, known.
    TokenKey,
    /// Its signature does not fit.
    TokenSignature,
    /// Another server has issued it.
    TokenIssuer,
    /// It is for no service at all.
    TokenAudience,
    /// Its time is over.
    TokenExpired,
    /// Its time has not come.
    TokenEarly,
    /// A permanent token or application password that is not, or no longer, there.
    TokenUnknown,
    /// It was revoked.
    TokenRevoked,
    /// Its client is not registered any more.
    ClientGone,
    /// Its user is gone.
    UserGone,
    /// Its user is banned.
    UserBanned,
    /// The service is not in its scope.
    Scope,
    /// A rule names other clients.
    RuleClient,
    /// A rule names other users.
    RuleUser,
    /// A rule names groups of which its user is no member.
    RuleGroup,
    /// It is about a person, and the token acts for a service.
    NoPerson,
    /// The service of the address is not registered.
    ServiceUnknown,
    /// Its source has sent too many requests.
    RateSource,
    /// Its client has.
    RateService,
    /// Too many were sent on behalf of its user.
    RateUser,
    /// Its body stopped arriving.
    BodySilent,
    /// Its body arrived too slowly.
    BodySlow,
    /// The gateway has as many requests as it takes at a time.
    Overloaded,
}

/// Who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mover {
    /// Whoever runs or writes the client.
    Client,
    /// The person for whom it acts.
    Person,
    /// An administrator of the gateway.
    Administrator,
    /// Whoever runs the service behind the gateway.
    Service,
}

impl Cause {
    /// Every cause that is finer than a code.
    pub const FINER: [Self; 24] = [
        Self::TokenForm,
        Self::TokenKey,
        Self::TokenSignature,
        Self::TokenIssuer,
        Self::TokenAudience,
        Self::TokenExpired,
        Self::TokenEarly,
        Self::TokenUnknown,
        Self::TokenRevoked,
        Self::ClientGone,
        Self::UserGone,
        Self::UserBanned,
        Self::Scope,
        Self::RuleClient,
        Self::RuleUser,
        Self::RuleGroup,
        Self::NoPerson,
        Self::ServiceUnknown,
        Self::RateSource,
        Self::RateService,
        Self::RateUser,
        Self::BodySilent,
        Self::BodySlow,
        Self::Overloaded,
    ];

    /// In numbers and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code(code) => code.as_str(),
            Self::TokenForm => "token_malformed",
            Self::TokenKey => "token_key_unknown",
            Self::TokenSignature => "token_signature",
            Self::TokenIssuer => "token_of_another_issuer",
            Self::TokenAudience => "token_for_nobody",
            Self::TokenExpired => "token_expired",
            Self::TokenEarly => "token_not_yet_valid",
            Self::TokenUnknown => "token_unknown",
            Self::TokenRevoked => "token_revoked",
            Self::ClientGone => "client_gone",
            Self::UserGone => "user_gone",
            Self::UserBanned => "user_banned",
            Self::Scope => "scope_missing",
            Self::RuleClient => "rule_client",
            Self::RuleUser => "rule_user",
            Self::RuleGroup => "rule_group",
            Self::NoPerson => "no_person",
            Self::ServiceUnknown => "service_unknown",
            Self::RateSource => "rate_source",
            Self::RateService => "rate_service",
            Self::RateUser => "rate_user",
            Self::BodySilent => "body_timeout",
            Self::BodySlow => "body_rate",
            Self::Overloaded => "overloaded",
        }
    }

    /// The cause of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let finer = Self::FINER.into_iter().find(|cause| cause.name() == name);
        finer.or_else(|| ErrorCode::parse(name).map(Self::Code))
    }

    /// Whose move it is.
    #[must_use]
    pub const fn mover(self) -> Mover {
        match self {
            Self::UserGone
            | Self::UserBanned
            | Self::RuleClient
            | Self::RuleUser
            | Self::RuleGroup
            | Self::ServiceUnknown
            | Self::Overloaded
            | Self::Code(
                ErrorCode::NotFound
                | ErrorCode::ServerError
                | ErrorCode::AccessDenied
                | ErrorCode::InvalidRedirectUri
                | ErrorCode::UnauthorizedClient
                | ErrorCode::ResponseTypeNotAllowed,
            ) => Mover::Administrator,
            Self::Code(
                ErrorCode::BadGateway | ErrorCode::GatewayTimeout | ErrorCode::TemporarilyUnavailable,
            ) => Mover::Service,
            Self::TokenUnknown
            | Self::Code(
                ErrorCode::LoginRequired | ErrorCode::ConsentRequired | ErrorCode::InteractionRequired,
            ) => Mover::Person,
            _ => Mover::Client,
        }
    }

    /// What happened, in a sentence.
    #[must_use]
    pub const fn what_happened(self) -> &'static str {
        match self {
            Self::Code(code) => code.what_happened(),
            Self::TokenForm => {
                "What was sent as a token is none: its form, its type or its claims are not those of an access token of this gateway."
            }
            Self::TokenKey => {
                "The token was signed with a key that this gateway does not know, or knows no longer: it comes from another server, or its key was retired."
            }
            Self::TokenSignature => "The token's signature does not fit: it was changed, cut off or forged.",
            Self::TokenIssuer => "The token was issued under another address than this gateway has now.",
            Self::TokenAudience => "The token is for no service at all.",
            Self::TokenExpired => "The token's time is over.",
            Self::TokenEarly => {
                "The token is from the future: the clock of the node that issued it is ahead."
            }
            Self::TokenUnknown => {
                "No such permanent token or application password is known: it was revoked or mistyped, or the login beside it is another's."
            }
            Self::TokenRevoked => "The token was revoked before its time.",
            Self::ClientGone => "The service that obtained the token is not registered any more.",
            Self::UserGone => "The user for whom the token acts does not exist any more.",
            Self::UserBanned => "The user for whom the token acts is banned.",
            Self::Scope => "The token is good, but not for the service that this address needs.",
            Self::RuleClient => "The token is good, but a rule of this address names other clients.",
            Self::RuleUser => "The token is good, but a rule of this address names other users.",
            Self::RuleGroup => {
                "The token is good, but a rule of this address is for members of groups in which its user is not."
            }
            Self::NoPerson => {
                "This address tells something about a person, and the token acts for a service."
            }
            Self::ServiceUnknown => {
                "The address leads to a service that nobody has registered, so no token can be for it."
            }
            Self::RateSource => "The address from which the request came has sent more than its rate allows.",
            Self::RateService => "The client has sent more requests with its tokens than its rate allows.",
            Self::RateUser => {
                "More requests were sent on behalf of the user than the rate of one user allows."
            }
            Self::BodySilent => "The body of the request stopped arriving, and nothing came for too long.",
            Self::BodySlow => {
                "The body of the request arrived too slowly: fewer bytes each second than may be."
            }
            Self::Overloaded => {
                "The gateway was answering as many requests as it takes at a time, and refused this one at once."
            }
        }
    }

    /// How to mend it.
    #[must_use]
    pub const fn how_to_mend(self) -> &'static str {
        match self {
            Self::Code(code) => code.how_to_mend(),
            Self::TokenForm => {
                "The client sends the access_token of the token endpoint's answer, whole and nothing else, as `Authorization: Bearer ...`. An ID token or a refresh token opens nothing."
            }
            Self::TokenKey => {
                "The client obtains a new token from this gateway's token endpoint and drops what it keeps."
            }
            Self::TokenSignature => {
                "The client sends the token exactly as it received it, or obtains a new one."
            }
            Self::TokenIssuer => {
                "The client obtains a new token. If many clients meet this, an administrator looks whether public_url or hub.path was changed."
            }
            Self::TokenAudience => "The client asks for a token with a scope that names the service.",
            Self::TokenExpired => {
                "The client obtains a new token, with its refresh token where it has one. It can do so some time before expires_in is over."
            }
            Self::TokenEarly => "Whoever runs the gateway's nodes sets their clocks.",
            Self::TokenUnknown => {
                "The person makes a new one on the account page and puts it where the program reads it."
            }
            Self::TokenRevoked => {
                "The client obtains a new token; where a person granted it, the person signs in again."
            }
            Self::ClientGone => {
                "An administrator registers the service again, and the client obtains a new token with the new secret."
            }
            Self::UserGone => "An administrator adds the user again, or the program acts for somebody else.",
            Self::UserBanned => "An administrator lets the user in again: `hubgate user unban LOGIN`.",
            Self::Scope => {
                "The client asks for a token whose scope names the service. The answer's scope parameter tells which one."
            }
            Self::RuleClient => {
                "An administrator adds the client to `clients` of the rule in gateway.toml, or the client uses another address."
            }
            Self::RuleUser => "An administrator adds the user to `users` of the rule in gateway.toml.",
            Self::RuleGroup => {
                "An administrator makes the user a member of one of the rule's groups: `hubgate group members GROUP --add LOGIN`. It is in force within a second."
            }
            Self::NoPerson => "The client uses a token that a person has granted.",
            Self::ServiceUnknown => {
                "An administrator registers the service under the id or name that the upstream has in gateway.toml: `hubgate service add NAME --id ID`."
            }
            Self::RateSource | Self::RateService | Self::RateUser => {
                "The client waits as long as Retry-After says and spreads its requests; RateLimit-Policy in each answer tells the rate. An administrator may raise `requests_per_source`, `requests_per_service` or `requests_per_user` in gateway.toml."
            }
            Self::BodySilent => {
                "The client sends the body without long pauses, or an administrator raises `limits.body_timeout`."
            }
            Self::BodySlow => {
                "The client sends the body faster, or an administrator lowers `min_body_rate` for this upstream or in `[limits]`; \"off\" is for bodies that are streams of events."
            }
            Self::Overloaded => {
                "The client tries again after the time that Retry-After names. If it stays, an administrator looks which upstream answers slowly, or raises `limits.max_requests`."
            }
        }
    }
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Jws(JwsError::UnknownKey) => Self::TokenKey,
            TokenError::Jws(JwsError::BadSignature | JwsError::WrongAlgorithm) => Self::TokenSignature,
            TokenError::Jws(JwsError::TooLong | JwsError::Malformed)
            | TokenError::WrongType
            | TokenError::Claims => Self::TokenForm,
            TokenError::WrongIssuer => Self::TokenIssuer,
            TokenError::NoAudience => Self::TokenAudience,
            TokenError::Expired => Self::TokenExpired,
            TokenError::NotYetValid => Self::TokenEarly,
            TokenError::ClientGone => Self::ClientGone,
            TokenError::UserGone => Self::UserGone,
            TokenError::UserBanned => Self::UserBanned,
            TokenError::Unknown => Self::TokenUnknown,
            TokenError::Revoked => Self::TokenRevoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own_and_is_found_by_it() {
        let all: Vec<Cause> =
            Cause::FINER.into_iter().chain(ErrorCode::ALL.into_iter().map(Cause::Code)).collect();
        let names: BTreeSet<&str> = all.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), all.len());
        for cause in all {
            assert_eq!(Cause::named(cause.name()), Some(cause));
            for text in [cause.what_happened(), cause.how_to_mend()] {
                assert!(text.len() > 20 && text.ends_with('.'), "{cause:?}: {text}");
            }
        }
        assert_eq!(Cause::named(""), None);
    }
}
