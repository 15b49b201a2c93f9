//! What is known of a token that is asked about, also of one that is no longer good.
//!
//! Invariants: whether it is good is the gate's own word. What a token says of itself is told apart from what this gateway has
//! signed, and no part of it that opens anything is repeated.

use std::{borrow::Cow, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Serialize;
use serde_json::Value;

use super::Presented;
use crate::{
    access::{
        credentials::NEVER,
        judge::Judge,
        revocations::EndedBy,
        scheme::{
            basic::Basic,
            bearer::{self, Bearer},
        },
    },
    base::{id::ServiceId, time::Timestamp},
    crypto::permanent,
    model::{credential::CredentialKind, registry::Registry, user::Person},
    oauth::token::{
        claims::AccessClaims,
        verify::{self, TokenError},
    },
    proxy::refusal::Refusal,
};

/// The longest text that is shown of what a token says of itself, in characters.
const LONGEST: usize = 200;

/// What was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Nothing, or a scheme that is not the gateway's business.
    None,
    /// A header that is no single credential.
    Malformed,
    /// An access token, or what was sent as one.
    AccessToken,
    /// A permanent token.
    PermanentToken,
    /// A login and an application password.
    ApplicationPassword,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name; `None`: it is not registered.
    pub name: Option<String>,
}

impl Named {
    /// The service with this id.
    #[must_use]
    pub fn of(id: &ServiceId, registry: &Registry) -> Self {
        let name = registry.by_id(id.as_str()).map(|service| service.name.clone());
        Self { id: id.to_string(), name }
    }
}

/// For whom a token acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The user's id, or the client's.
    pub id: String,
    /// Whether the client acts for itself.
    pub service: bool,
    /// The user's login; `None`: not known here.
    pub login: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenFacts {
    /// What was presented.
    pub kind: TokenKind,
    /// Whether the gate accepts it.
    pub good: bool,
    /// Why not.
    pub problem: Option<Cow<'static, str>>,
    /// Whether this gateway has signed or made it, so that what follows is true. What is not verified is what the token says.
    pub verified: bool,
    /// `iss`
    pub issuer: Option<String>,
    /// The key that it names.
    pub key: Option<String>,
    /// Who obtained it.
    pub client: Option<Named>,
    /// For whom it acts.
    pub subject: Option<Subject>,
    /// The services that it is for.
    pub audience: Vec<Named>,
    /// When it was made, RFC 3339.
    pub issued: Option<String>,
    /// From when on it is dead, RFC 3339; `None` with a verified token: never.
    pub expires: Option<String>,
    /// Seconds until then, negative when it is over.
    pub seconds_left: Option<i64>,
    /// Its id.
    pub id: Option<String>,
    /// The grant that it came of.
    pub grant: Option<String>,
    /// The session in which it was granted.
    pub session: Option<String>,
    /// What has ended it before its time.
    pub ended_by: Option<EndedBy>,
}

/// Claims, and the person for whom they act.
pub(super) type Good = (AccessClaims, Option<Arc<Person>>);

/// What the gate makes of what was presented: nothing presented, a refusal, or claims.
pub(super) fn judged(presented: Presented<'_>) -> Option<Result<Option<Good>, Refusal>> {
    match presented {
        Presented::Nothing => None,
        Presented::Imagined(claims, person) => {
            Some(Ok(Some((claims.clone(), person.map(|person| Arc::new(person.clone()))))))
        }
        Presented::Sent(value, judge) => match bearer::read(std::iter::once(value.as_bytes())) {
            Bearer::Absent => None,
            Bearer::Malformed(why) => Some(Err(Refusal::malformed_credential(why))),
            Bearer::Token(token) => Some(found(judge.token(token))),
            Bearer::Password(basic) => Some(found(judge.password(&basic))),
        },
    }
}

fn found(judged: Result<crate::access::judge::Judged, TokenError>) -> Result<Option<Good>, Refusal> {
    judged.map(|(claims, person, ..)| Some((claims, person))).map_err(Refusal::invalid_token)
}

impl TokenFacts {
    const NONE: Self = Self {
        kind: TokenKind::None,
        good: false,
        problem: None,
        verified: false,
        issuer: None,
        key: None,
        client: None,
        subject: None,
        audience: Vec::new(),
        issued: None,
        expires: None,
        seconds_left: None,
        id: None,
        grant: None,
        session: None,
        ended_by: None,
    };

    pub(super) fn of(presented: Presented<'_>, registry: &Registry) -> Self {
        match presented {
            Presented::Nothing => Self::NONE,
            Presented::Imagined(claims, person) => {
                let facts = Self { good: true, verified: true, kind: TokenKind::AccessToken, ..Self::NONE };
                facts.with(claims, person, registry)
            }
            Presented::Sent(value, judge) => match bearer::read(std::iter::once(value.as_bytes())) {
                Bearer::Absent => {
                    let problem = "the Authorization header has a scheme that is not looked at";
                    Self { problem: Some(problem.into()), ..Self::NONE }
                }
                Bearer::Malformed(why) => {
                    Self { kind: TokenKind::Malformed, problem: Some(why.into()), ..Self::NONE }
                }
                Bearer::Token(token) if permanent::is_meant(token) => Self::permanent(token, judge, registry),
                Bearer::Token(token) => Self::access_token(token, judge, registry),
                Bearer::Password(basic) => Self::password(&basic, judge, registry),
            },
        }
    }

    fn access_token(token: &[u8], judge: Judge<'_>, registry: &Registry) -> Self {
        let facts = Self { kind: TokenKind::AccessToken, ..Self::NONE };
        let error = match judge.token(token) {
            Ok((claims, person, ..)) => {
                let facts = Self { good: true, verified: true, key: key_of(token), ..facts };
                return facts.until(&claims, judge.now).with(&claims, person.as_deref(), registry);
            }
            Err(error) => error,
        };
        let facts = Self { problem: Some(error.to_string().into()), key: key_of(token), ..facts };
        let Some(says) = Says::read(token) else { return facts };
        // As at the moment when it was made: whether it is ours, whatever has become of it since.
        let made = says.number("nbf").max(says.number("iat")).map(Timestamp::from_seconds);
        let ours = made.and_then(|made| verify::verify(token, judge.keyring, judge.issuer, made).ok());
        match ours {
            Some(claims) => {
                let ended_by = judge.revocations.ended_by(&claims);
                let person = judge.people.find(&claims.sub).filter(|_| !claims.is_service());
                let facts = Self { verified: true, ended_by, ..facts };
                facts.until(&claims, judge.now).with(&claims, person.as_deref(), registry)
            }
            None => Self { issuer: says.text("iss"), ..facts }.saying(&says, judge.now),
        }
    }

    fn permanent(token: &[u8], judge: Judge<'_>, registry: &Registry) -> Self {
        let facts = Self { kind: TokenKind::PermanentToken, ..Self::NONE };
        match judge.token(token) {
            Ok((claims, person, ..)) => {
                let facts = Self { good: true, verified: true, ..facts };
                facts.until(&claims, judge.now).with(&claims, person.as_deref(), registry)
            }
            Err(error) => {
                // What stands in front of the secret tells whose it is meant to be.
                let text = String::from_utf8_lossy(token);
                let login = text.get(5..).and_then(|rest| rest.split('.').next());
                let login = login.and_then(|login| STANDARD.decode(login).ok());
                let login = login.and_then(|login| String::from_utf8(login).ok()).map(|login| shown(&login));
                let subject = login.map(|login| Subject {
                    id: String::new(),
                    service: false,
                    login: Some(login),
                    name: None,
                    groups: Vec::new(),
                });
                Self { problem: Some(error.to_string().into()), subject, ..facts }
            }
        }
    }

    fn password(basic: &Basic, judge: Judge<'_>, registry: &Registry) -> Self {
        let facts = Self { kind: TokenKind::ApplicationPassword, ..Self::NONE };
        match judge.password(basic) {
            Ok((claims, person, ..)) => {
                let facts = Self { good: true, verified: true, ..facts };
                facts.until(&claims, judge.now).with(&claims, person.as_deref(), registry)
            }
            Err(error) => {
                let known = judge.credential(&basic.digest, CredentialKind::ApplicationPassword);
                let problem = match known {
                    Ok(_) => "the application password is another user's".into(),
                    Err(_) => error.to_string().into(),
                };
                Self { problem: Some(problem), ..facts }
            }
        }
    }

    fn until(self, claims: &AccessClaims, now: Timestamp) -> Self {
        if claims.exp >= NEVER.seconds() {
            return self;
        }
        let left = claims.exp.saturating_sub(now.seconds());
        Self { expires: Some(claims.expires().to_string()), seconds_left: Some(left), ..self }
    }

    fn with(self, claims: &AccessClaims, person: Option<&Person>, registry: &Registry) -> Self {
        Self {
            issuer: Some(claims.iss.clone()),
            client: Some(Named::of(&claims.client_id, registry)),
            subject: Some(Subject {
                id: claims.sub.clone(),
                service: claims.is_service(),
                login: person.map(|person| person.login.clone()),
                name: person.map(|person| person.name.clone()),
                groups: person.map(|person| person.groups.clone()).unwrap_or_default(),
            }),
            audience: claims.aud.iter().map(|id| Named::of(id, registry)).collect(),
            issued: Some(claims.issued().to_string()),
            id: Some(claims.jti.clone()),
            grant: claims.grant_id.as_ref().map(ToString::to_string),
            session: claims.sid.as_ref().map(ToString::to_string),
            ..self
        }
    }

    /// What a token says of itself that we have not made.
    fn saying(self, says: &Says, now: Timestamp) -> Self {
        let named = |id: String| Named { id, name: None };
        let moment = |name| says.number(name).map(|seconds| Timestamp::from_seconds(seconds).to_string());
        Self {
            client: says.text("client_id").or_else(|| says.text("azp")).map(named),
            subject: says.text("sub").map(|id| Subject {
                id,
                service: false,
                login: None,
                name: None,
                groups: Vec::new(),
            }),
            audience: says.audience().into_iter().map(named).collect(),
            issued: moment("iat"),
            expires: moment("exp"),
            seconds_left: says.number("exp").map(|exp| exp.saturating_sub(now.seconds())),
            ..self
        }
    }
}

/// The payload of a JWT, unverified.
struct Says(Value);

impl Says {
    fn read(token: &[u8]) -> Option<Self> {
        part(token, 1).map(Self)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(shown)
    }

    /// A moment that can be written down: up to the end of the year 9999.
    fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64().filter(|seconds| (0..=NEVER.seconds()).contains(seconds))
    }

    fn audience(&self) -> Vec<String> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![shown(one)],
            Some(Value::Array(list)) => list.iter().take(20).filter_map(Value::as_str).map(shown).collect(),
            _ => Vec::new(),
        }
    }
}

/// The `kid` of a JWT.
fn key_of(token: &[u8]) -> Option<String> {
    part(token, 0)?.get("kid")?.as_str().map(shown)
}

fn part(token: &[u8], number: usize) -> Option<Value> {
    let text = token.split(|byte| *byte == b'.').nth(number)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// A text of unknown origin, as it may be shown: not long, and nothing that a terminal obeys.
fn shown(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
