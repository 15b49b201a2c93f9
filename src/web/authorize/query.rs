//! The query of an authorization request as it travels through our pages and back.
//!
//! Invariant: what is written is what was read, parameter by parameter, encoded anew; what a page has done is taken out, so
//! that coming back does not ask for it again.

use crate::oauth::{error::OAuthError, form::Form};

/// How a page tells itself, over a redirect, what went wrong before. Login scripts look for the value in `Location`.
const PROBLEM: &str = "problem";

/// The value of [`PROBLEM`] after wrong credentials (hub-contract section 7).
pub(super) const BAD_CREDENTIALS: &str = "hub-auth-credentials-bad";

/// The value of [`PROBLEM`] after too many attempts; a number of seconds follows.
pub(super) const THROTTLED: &str = "hub-auth-throttled-";

/// The value of [`PROBLEM`] when the second step came too late.
pub(super) const EXPIRED: &str = "hub-auth-expired";

/// The value of [`PROBLEM`] after a new password was asked for.
pub(super) const ASKED: &str = "hub-restore-asked";

/// The value of [`PROBLEM`] after a password was chosen by a link.
pub(super) const PASSWORD_SET: &str = "hub-password-set";
/// How a page that needs somebody to be signed in says where to come back to.
pub(in crate::web) const BACK: &str = "back";

/// The longest address to come back to, in bytes.
const LONGEST_BACK: usize = 4096;

/// The parameters of a request.
pub(in crate::web) struct Query(Form);

impl Query {
    /// Reads a query or a form.
    pub(super) fn read(text: &str) -> Result<Self, OAuthError> {
        Form::parse(text.as_bytes()).map(Self)
    }

    /// The parameters.
    pub(super) const fn form(&self) -> &Form {
        &self.0
    }

    /// Whether it names a client, and so carries an authorization request.
    pub(super) fn asks(&self) -> bool {
        self.0.has("client_id")
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.pairs().next().is_none()
    }

    /// The text of it.
    pub(super) fn text(&self) -> String {
        write(self.0.pairs())
    }

    /// The value of [`PROBLEM`].
    pub(super) fn problem(&self) -> Option<&str> {
        self.0.get(PROBLEM)
    }

    /// Where on this host the person was going when asked to sign in: a path with its query.
    ///
    /// Nothing that a browser could take for another host: that is `//` and `/\\` at the beginning, and what it would drop
    /// on the way, as control characters.
    pub(super) fn back(&self) -> Option<&str> {
        let path = self.0.get(BACK)?;
        let harmless = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        (path.starts_with('/') && !path.starts_with("//") && harmless && path.len() <= LONGEST_BACK)
            .then_some(path)
    }

    /// Without what the page said to itself.
    pub(super) fn clean(&self) -> String {
        write(self.0.pairs().filter(|(name, _)| *name != PROBLEM))
    }

    /// With these parameters in place of those of their names.
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let others = self.0.pairs().filter(|(name, _)| parameters.iter().all(|(new, _)| new != name));
        write(others.chain(parameters.iter().copied()))
    }

    /// With something for the page to say.
    pub(super) fn with_problem(&self, problem: &str) -> String {
        write(self.0.pairs().filter(|(name, _)| *name != PROBLEM).chain([(PROBLEM, problem)]))
    }

    /// After the person has signed in: a fresh sign-in has been had.
    pub(super) fn after_login(&self) -> String {
        self.without(&["login", "select_account"], |name, value| {
            matches!(name, PROBLEM | "max_age" | "rememberMe" | "auth_mode")
                || name == "request_credentials" && value == "required"
        })
    }

    /// After the person has consented.
    pub(super) fn after_consent(&self) -> String {
        self.without(&["consent"], |name, _| matches!(name, PROBLEM | "approval_prompt"))
    }

    fn without(&self, prompts: &[&str], done: impl Fn(&str, &str) -> bool) -> String {
        let left: Vec<(&str, String)> = self
            .0
            .pairs()
            .filter(|(name, value)| !done(name, value))
            .map(|(name, value)| {
                if name != "prompt" {
                    return (name, value.to_owned());
                }
                let words: Vec<&str> = value.split(' ').filter(|word| !prompts.contains(word)).collect();
                (name, words.join(" "))
            })
            .filter(|(name, value)| *name != "prompt" || !value.is_empty())
            .collect();
        write(left.iter().map(|(name, value)| (*name, value.as_str())))
    }
}

fn write<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_not_asked_for_again() {
        let query = Query::read(
            "client_id=a&state=%26+b%2B&prompt=login+consent&max_age=0&request_credentials=required&problem=x&approval_prompt=force&empty=",
        )
        .unwrap();
        assert_eq!(
            query.after_login(),
            "client_id=a&state=%26+b%2B&prompt=consent&approval_prompt=force&empty="
        );
        assert_eq!(
            query.after_consent(),
            "client_id=a&state=%26+b%2B&prompt=login&max_age=0&request_credentials=required&empty="
        );
        assert_eq!(Query::read("client_id=a&prompt=login").unwrap().after_login(), "client_id=a");
        let silent = Query::read("client_id=a&request_credentials=skip").unwrap();
        assert_eq!(silent.after_login(), "client_id=a&request_credentials=skip");
    }

    #[test]
    fn the_way_back_stays_on_this_host() {
        for (text, back) in [
            ("/hub/account?a=1%262", Some("/hub/account?a=1&2")),
            ("/", Some("/")),
            ("", None),
            ("hub", None),
            ("https://evil.example/", None),
            ("//evil.example/", None),
            ("/%5Cevil.example/", None),
            ("/a%5C..%5Cb", None),
            ("/%09/evil.example", None),
            ("/%0D%0Ax:y", None),
            ("/a+b", None),
            ("/%C3%A4", None),
        ] {
            let query = Query::read(&format!("back={text}")).unwrap();
            assert_eq!(query.back(), back, "{text}");
        }
        assert_eq!(Query::read(&format!("back=/{}", "a".repeat(4096))).unwrap().back(), None);
    }

    #[test]
    fn a_problem_is_said_once() {
        let query = Query::read("client_id=a&problem=old").unwrap();
        assert_eq!(query.with_problem(BAD_CREDENTIALS), "client_id=a&problem=hub-auth-credentials-bad");
        assert_eq!((query.problem(), query.clean().as_str()), (Some("old"), "client_id=a"));
    }
}
