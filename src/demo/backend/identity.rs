//! Who asks, as the gateway in front says it: the `X-Forwarded-*` headers and the claims of the scoped token.
//!
//! Invariant: a header that arrives twice names nobody, and the bytes of a credential are read but never kept.
//! RFC 7239 (Forwarded), RFC 7519 section 3 (the parts of a JWT). Signatures are the gateway's affair here: a backend that
//! can be reached by others must check them against the gateway's keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Map, Value, json};

/// What the request says about its sender.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity {
    pub(super) sender: Sender,
    /// Identity headers as received, by name; values that are not UTF-8 with replacement characters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) credential: Credential,
}

/// On whose behalf the request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    /// A person, perhaps by way of a client.
    User { id: String, login: String, email: Option<String>, groups: Vec<String>, client: Option<String> },
    /// A service for itself.
    Service { id: String },
    /// Nobody is named.
    Guest,
}

/// What came as `Authorization`, without the credential itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Credential {
    Absent,
    /// A bearer token whose claims can be read.
    Claims(Map<String, Value>),
    /// A bearer token that is no JWT.
    Opaque,
    /// Another scheme, or several headers.
    Other,
}

impl Identity {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let one = |name: &str| single(headers, name);
        let list = |name: &str| {
            let text = one(name).unwrap_or_default();
            text.split(',').map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect()
        };
        let client = one("x-forwarded-client");
        let sender = match (one("x-forwarded-user"), client) {
            (Some(id), client) => Sender::User {
                login: one("x-forwarded-preferred-username").unwrap_or_else(|| id.clone()),
                email: one("x-forwarded-email"),
                groups: list("x-forwarded-groups"),
                id,
                client,
            },
            (None, Some(id)) => Sender::Service { id },
            (None, None) => Sender::Guest,
        };
        let mut shown: Vec<_> = headers
            .iter()
            .filter(|(name, _)| speaks_of_identity(name.as_str()))
            .map(|(name, value)| (title_case(name.as_str()), lossy(value)))
            .collect();
        // Who it is comes first. Stable: what arrived twice stays in its order.
        shown.sort_by_key(|(name, _)| (!names_somebody(name), name.clone()));
        Self { sender, headers: shown, credential: Credential::of(headers) }
    }

    /// `/api/whoami`: a name maps to its value, or to a list when it arrived more than once.
    pub(super) fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let value = Value::from(value.as_str());
            match headers.get_mut(name) {
                None => drop(headers.insert(name.clone(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        let authorization = match &self.credential {
            Credential::Absent => Value::Null,
            Credential::Claims(claims) => json!({ "scheme": "Bearer", "claims": claims }),
            Credential::Opaque => json!({ "scheme": "Bearer", "claims": null }),
            Credential::Other => json!({ "scheme": "other" }),
        };
        json!({ "sender": self.sender.to_json(), "headers": headers, "authorization": authorization })
    }
}

impl Sender {
    /// The name that issues and comments bear.
    pub(super) fn login(&self) -> &str {
        match self {
            Self::User { login, .. } => login,
            Self::Service { id } => id,
            Self::Guest => "guest",
        }
    }

    /// `/api/users/me`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::User { id, login, email, groups, client } => json!({
                "id": id, "login": login, "email": email, "groups": groups, "client": client,
                "guest": false, "type": "user", "$type": "Me",
            }),
            Self::Service { id } => {
                json!({ "id": id, "login": id, "guest": false, "type": "service", "$type": "Me" })
            }
            Self::Guest => {
                json!({ "id": "guest", "login": "guest", "guest": true, "type": "guest", "$type": "Me" })
            }
        }
    }
}

impl Credential {
    fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::Absent };
        if values.next().is_some() {
            return Self::Other;
        }
        match value.to_str().ok().and_then(|text| text.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                claims(token.trim()).map_or(Self::Opaque, Self::Claims)
            }
            _ => Self::Other,
        }
    }
}

/// The payload of a compact JWS.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The value of a header that arrived once and is text; nothing otherwise, for two values are two claims.
fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned).filter(|v| !v.is_empty())
        }
        _ => None,
    }
}

/// Also true of the spellings that some servers treat alike (`x_forwarded_user`), so that a forged one would be seen.
fn speaks_of_identity(name: &str) -> bool {
    let name = name.replace(['_', '.'], "-");
    name.starts_with("x-forwarded-") || matches!(&*name, "forwarded" | "x-request-id" | "traceparent")
}

/// Among the headers shown, those that say who, not how.
fn names_somebody(name: &str) -> bool {
    let way = ["For", "Proto", "Host", "Port", "Prefix"];
    name.strip_prefix("X-Forwarded-").is_some_and(|rest| !way.contains(&rest))
}

fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// `x-request-id` as people write it: `X-Request-Id`; W3C Trace Context writes `traceparent` as it is.
fn title_case(name: &str) -> String {
    if name == "traceparent" {
        return name.to_owned();
    }
    let mut start = true;
    name.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = !c.is_ascii_alphanumeric();
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_bytes(v.as_bytes()).unwrap()))
            .collect()
    }

    fn token(payload: &str) -> String {
        format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_user_a_service_and_nobody() {
        let jane = Identity::of(&headers(&[
            ("x-forwarded-user", "u-1"),
            ("x-forwarded-preferred-username", "jane"),
            ("x-forwarded-groups", "dev, ops,"),
            ("x-forwarded-client", "web"),
        ]));
        assert_eq!(jane.sender.login(), "jane");
        assert_eq!(jane.sender.to_json()["groups"], json!(["dev", "ops"]));
        assert_eq!(jane.sender.to_json()["client"], "web");
        let robot = Identity::of(&headers(&[("x-forwarded-client", "robot")]));
        assert_eq!(robot.sender, Sender::Service { id: "robot".into() });
        assert_eq!(Identity::of(&headers(&[("x-forwarded-for", "192.0.2.1")])).sender, Sender::Guest);
        assert_eq!(Identity::of(&headers(&[("x-forwarded-user", "")])).sender, Sender::Guest);
    }

    #[test]
    fn two_copies_of_a_header_name_nobody_and_both_are_shown() {
        let doubled = Identity::of(&headers(&[("x-forwarded-user", "jane"), ("x-forwarded-user", "root")]));
        assert_eq!(doubled.sender, Sender::Guest);
        assert_eq!(doubled.to_json()["headers"]["X-Forwarded-User"], json!(["jane", "root"]));
    }

    #[test]
    fn other_spellings_are_shown_but_not_believed() {
        let forged = Identity::of(&headers(&[("x_forwarded_user", "root"), ("x.forwarded.client", "hub")]));
        assert_eq!(forged.sender, Sender::Guest);
        assert_eq!(forged.headers.len(), 2);
    }

    #[test]
    fn who_it_is_is_shown_before_how_it_came() {
        let pairs = [
            ("traceparent", "00"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-user", "jane"),
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-client", "web"),
            ("accept", "*/*"),
        ];
        let shown: Vec<_> =
            Identity::of(&headers(&pairs)).headers.into_iter().map(|(name, _)| name).collect();
        let order = ["X-Forwarded-Client", "X-Forwarded-User", "Forwarded", "X-Forwarded-For", "traceparent"];
        assert_eq!(shown, order);
    }

    #[test]
    fn of_a_credential_only_the_claims_are_kept() {
        let bearer = token(r#"{"sub":"robot","aud":["youtrack"]}"#);
        let seen = Identity::of(&headers(&[("authorization", &bearer), ("cookie", "s=1")]));
        assert_eq!(seen.to_json()["authorization"]["claims"]["sub"], "robot");
        assert!(!format!("{seen:?}").contains("c2ln") && !seen.to_json().to_string().contains("c2ln"));
        for (value, expected) in [
            ("Bearer perm:secret", Credential::Opaque),
            ("bearer a.b.c", Credential::Opaque),
            ("Bearer a.b.c.d", Credential::Opaque),
            ("Basic c2VjcmV0", Credential::Other),
            ("secret", Credential::Other),
        ] {
            let seen = Identity::of(&headers(&[("authorization", value)]));
            assert_eq!(seen.credential, expected, "{value}");
            assert!(!format!("{seen:?}{}", seen.to_json()).contains("secret"));
        }
        let two = Identity::of(&headers(&[("authorization", "Bearer x"), ("authorization", "Bearer y")]));
        assert_eq!(two.credential, Credential::Other);
        assert_eq!(Identity::of(&HeaderMap::new()).to_json()["authorization"], Value::Null);
    }
}
