//! A browser as the authorization endpoint sees one: it keeps our cookie and follows our redirects when told to.

use super::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, PUBLIC_URL},
};

/// The authorization endpoint.
pub(crate) const AUTH: &str = "/hub/api/rest/oauth2/auth";
/// Where the login form goes.
pub(crate) const LOGIN: &str = "/hub/api/rest/oauth2/interactive/login";

/// A browser.
pub(crate) struct Browser<'g> {
    gateway: &'g Gateway,
    /// The session's, `name=value`.
    pub(crate) cookie: Option<String>,
    /// Others of ours.
    others: Vec<String>,
}

impl<'g> Browser<'g> {
    /// One without cookies.
    pub(crate) const fn new(gateway: &'g Gateway) -> Self {
        Self { gateway, cookie: None, others: Vec::new() }
    }

    /// Sends a request with the cookie, and keeps the one that comes back.
    pub(crate) fn send(&mut self, mut request: Request) -> Answer {
        let cookies: Vec<&str> = self.cookie.iter().chain(&self.others).map(String::as_str).collect();
        if !cookies.is_empty() {
            request = request.header("Cookie", &cookies.join("; "));
        }
        let answer = self.gateway.send(&request);
        for set in answer.all("set-cookie") {
            let pair = set.split(';').next().unwrap_or_default();
            if pair.starts_with("__Host-hubgate=") {
                self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
            } else {
                self.others.push(pair.to_owned());
            }
        }
        answer
    }

    /// GET of a path and query of ours.
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.send(Request::get(target))
    }

    /// POST of a form, as a page of ours does.
    pub(crate) fn post(&mut self, target: &str, form: &str) -> Answer {
        let request =
            Request::form(target, form).header("Origin", PUBLIC_URL).header("Sec-Fetch-Site", "same-origin");
        self.send(request)
    }

    /// Asks for authorization.
    pub(crate) fn authorize(&mut self, query: &str) -> Answer {
        self.get(&format!("{AUTH}?{query}"))
    }

    /// Signs in with this authorization request and goes on to its answer.
    pub(crate) fn sign_in(&mut self, query: &str, login: &str, password: &str) -> Answer {
        let answer = self.log_in(query, login, password);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let next = own(&answer);
        assert!(next.starts_with(AUTH), "signing in leads to {next}");
        self.get(&next)
    }

    /// Posts the login form.
    pub(crate) fn log_in(&mut self, query: &str, login: &str, password: &str) -> Answer {
        self.post(&format!("{LOGIN}?{query}"), &form(&[("username", login), ("password", password)]))
    }
}

/// Where an answer leads, without our own origin; panics when it is not ours.
pub(crate) fn own(answer: &Answer) -> String {
    let location = answer.header("location").unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
    location.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("not ours: {location}")).to_owned()
}

/// The parameters that an answer brings to a client at `uri`, from its query or its fragment.
pub(crate) fn brought(answer: &Answer, uri: &str) -> Vec<(String, String)> {
    assert!([302, 303].contains(&answer.status), "{} {}", answer.status, answer.text());
    let location = answer.header("location").expect("a location");
    let rest = location.strip_prefix(uri).unwrap_or_else(|| panic!("{location} does not lead to {uri}"));
    assert!(rest.starts_with(['?', '#']), "{location}");
    form_urlencoded::parse(&rest.as_bytes()[1..]).into_owned().collect()
}

/// One of the parameters.
pub(crate) fn parameter<'p>(parameters: &'p [(String, String)], name: &str) -> &'p str {
    let mut found = parameters.iter().filter(|(known, _)| known == name);
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {parameters:?}"));
    assert!(found.next().is_none(), "{name} twice in {parameters:?}");
    &value.1
}

/// A form.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The value of a hidden field on a page.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}
