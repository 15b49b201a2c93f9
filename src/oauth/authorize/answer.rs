//! The answer to an authorization request: where it goes and how it is written. The one encoder.
//!
//! Invariants: a [`ReturnAddress`] exists only for an address that the client has registered; no parameter is written
//! twice; what is a token never stands in a query; `state` comes back as it was sent, and not at all if it was not.
//!
//! RFC 6749 sections 4.1.2, 4.2.2; RFC 9207; OAuth 2.0 Multiple Response Type Encoding Practices section 2.1; OAuth 2.0
//! Form Post Response Mode; hub-contract section 2.3.

use std::sync::Arc;

use crate::oauth::error::OAuthError;

/// How the parameters of an answer travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    Query,
    /// In its fragment.
    Fragment,
    /// In the body of a form that the browser posts.
    FormPost,
}

impl ResponseMode {
    /// The mode of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "fragment" => Some(Self::Fragment),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// Where answers go. Made by reading a request whose client and redirect URI are known, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    uri: String,
    state: Option<String>,
    mode: ResponseMode,
    issuer: Arc<str>,
}

/// An answer, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// To this location.
    Redirect(String),
    /// By a form that posts these fields.
    FormPost {
        /// Where to.
        action: String,
        /// Names and values.
        fields: Vec<(&'static str, String)>,
    },
}

/// Answers hold codes and tokens.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(…)")
    }
}

impl ReturnAddress {
    /// For the reader of requests alone: `uri` is registered.
    pub(super) const fn new(
        uri: String,
        state: Option<String>,
        mode: ResponseMode,
        issuer: Arc<str>,
    ) -> Self {
        Self { uri, state, mode, issuer }
    }

    /// The redirect URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The answer with these parameters, `state` and `iss`.
    #[must_use]
    pub fn answer(&self, mut parameters: Vec<(&'static str, String)>) -> Answer {
        parameters.extend(self.state.clone().map(|state| ("state", state)));
        parameters.push(("iss", self.issuer.as_ref().to_owned()));
        match self.mode {
            ResponseMode::FormPost => Answer::FormPost { action: self.uri.clone(), fields: parameters },
            ResponseMode::Query => {
                let separator = match self.uri.split_once('?') {
                    None => "?",
                    Some((_, "")) => "",
                    Some(_) => "&",
                };
                Answer::Redirect(format!("{}{separator}{}", self.uri, encode(&parameters)))
            }
            ResponseMode::Fragment => Answer::Redirect(format!("{}#{}", self.uri, encode(&parameters))),
        }
    }

    /// The answer that refuses (RFC 6749 sections 4.1.2.1, 4.2.2.1). `error_uri` is the page of the error's code.
    #[must_use]
    pub fn refuse(&self, error: &OAuthError, error_uri: String) -> Answer {
        self.answer(vec![
            ("error", error.code.as_str().to_owned()),
            ("error_description", error.description.clone().into_owned()),
            ("error_uri", error_uri),
        ])
    }

    /// Back without anything but `state`, after a sign-out that shows no page.
    #[must_use]
    pub fn back(&self) -> Answer {
        let parameters: Vec<_> = self.state.iter().map(|state| ("state", state.clone())).collect();
        if parameters.is_empty() {
            return Answer::Redirect(self.uri.clone());
        }
        let separator = if self.uri.contains('?') { "&" } else { "?" };
        Answer::Redirect(format!("{}{separator}{}", self.uri, encode(&parameters)))
    }
}

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B): everything but letters, digits and `*-._` is encoded, a blank
/// is `+`. Hub's clients split fragments at `;` too and read `+` as a blank, so neither may stand for itself.
fn encode(parameters: &[(&'static str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::error::ErrorCode;

    fn address(uri: &str, state: Option<&str>, mode: ResponseMode) -> ReturnAddress {
        ReturnAddress::new(uri.into(), state.map(str::to_owned), mode, Arc::from("https://g/hub"))
    }

    fn location(answer: Answer) -> String {
        match answer {
            Answer::Redirect(location) => location,
            Answer::FormPost { .. } => panic!("a form"),
        }
    }

    #[test]
    fn codes_go_into_the_query_beside_what_is_there() {
        for (uri, expected) in [
            ("https://a/cb", "https://a/cb?code=x&state=s&iss=https%3A%2F%2Fg%2Fhub"),
            ("https://a/cb?y=1", "https://a/cb?y=1&code=x&state=s&iss=https%3A%2F%2Fg%2Fhub"),
            ("https://a/cb?", "https://a/cb?code=x&state=s&iss=https%3A%2F%2Fg%2Fhub"),
            ("ytoauth://landing.url", "ytoauth://landing.url?code=x&state=s&iss=https%3A%2F%2Fg%2Fhub"),
        ] {
            let answer = address(uri, Some("s"), ResponseMode::Query).answer(vec![("code", "x".into())]);
            assert_eq!(location(answer), expected);
        }
    }

    #[test]
    fn the_fragment_survives_a_client_that_splits_at_semicolons() {
        let state = "https://a/x?b=1&c=2;d+e f#g\u{e4}%";
        let answer = address("https://a/cb", Some(state), ResponseMode::Fragment)
            .answer(vec![("access_token", "a;b+c/d==".into()), ("scope", "yt 0-0-0-0-0".into())]);
        let location = location(answer);
        let (_, fragment) = location.split_once('#').unwrap();
        assert!(!fragment.contains([';', ' ']) && fragment.contains("scope=yt+0-0-0-0-0"));
        let read: Vec<(String, String)> = form_urlencoded::parse(fragment.as_bytes()).into_owned().collect();
        assert_eq!(read[0], ("access_token".into(), "a;b+c/d==".into()));
        assert_eq!(read[2], ("state".into(), state.into()));
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn refusals_name_code_description_and_page() {
        let error = OAuthError::new(ErrorCode::AccessDenied, "Logged in user is banned");
        let answer = address("https://a/cb", None, ResponseMode::Query).refuse(&error, "https://g/e".into());
        assert_eq!(
            location(answer),
            "https://a/cb?error=access_denied&error_description=Logged+in+user+is+banned&error_uri=https%3A%2F%2Fg%2Fe&iss=https%3A%2F%2Fg%2Fhub"
        );
    }

    #[test]
    fn forms_carry_the_same_parameters_and_nobody_prints_them() {
        let answer =
            address("https://a/cb", Some("<s>"), ResponseMode::FormPost).answer(vec![("code", "x".into())]);
        assert_eq!(format!("{answer:?}"), "Answer(…)");
        let Answer::FormPost { action, fields } = answer else { panic!("no form") };
        assert_eq!(action, "https://a/cb");
        assert_eq!(fields, [("code", "x".into()), ("state", "<s>".into()), ("iss", "https://g/hub".into())]);
    }
}
