//! Where an authorization response may go.
//!
//! Invariant: an address is accepted only when it is, character for character, one that the service has registered, or
//! a registered loopback address with another port. A service that has registered none accepts none.
//!
//! RFC 6749 section 3.1.2; RFC 8252 section 7.3; RFC 9700 section 2.1; hub-contract section 2.4.

use url::Url;

use crate::model::service::Profile;

/// The longest redirect URI that is looked at, in bytes.
pub const MAX_LENGTH: usize = 2000;

/// Schemes that run or read something in the browser instead of leading to an application. They cannot be registered;
/// that they cannot be answered either does not depend on it.
const DANGEROUS: [&str; 8] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"];

/// Whether an authorization response may go to `uri`.
#[must_use]
pub fn is_registered(uri: &str, profile: &Profile) -> bool {
    is_plausible(uri) && profile.redirect_uris.iter().any(|registered| fits(uri, registered, profile))
}

/// Whether `uri` is an address that an administrator might want to register: absolute, short enough, without anything
/// that two parsers read differently.
#[must_use]
pub fn is_plausible(uri: &str) -> bool {
    if uri.len() > MAX_LENGTH || uri.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return false;
    }
    Url::parse(uri).is_ok_and(|url| {
        !DANGEROUS.contains(&url.scheme())
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

fn fits(uri: &str, registered: &str, profile: &Profile) -> bool {
    if Url::parse(registered).is_ok() {
        return uri == registered || same_but_for_the_port(uri, registered);
    }
    let homes = profile.home_url.iter().chain(&profile.base_urls);
    homes.into_iter().any(|home| resolved(home, registered).iter().any(|full| full == uri))
}

/// A relative redirect URI below a service's address: appended to it as Hub does and, where it begins with a slash, also
/// from the root of its host (RFC 3986 section 5.2.2).
fn resolved(home: &str, relative: &str) -> Vec<String> {
    let below = home.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let mut found = vec![format!("{below}/{}", relative.trim_start_matches("./").trim_start_matches('/'))];
    if let Ok(folder) = Url::parse(&format!("{below}/"))
        && let Ok(joined) = folder.join(relative)
        && joined.origin() == folder.origin()
    {
        found.push(joined.into());
    }
    // What still has dots in it is not an address that a browser would send.
    found.retain(|uri| !uri.split(['/', '?']).any(|segment| matches!(segment, "." | "..")));
    found
}

/// RFC 8252 section 7.3: an application on the person's own device listens on a port that it gets when it starts.
fn same_but_for_the_port(uri: &str, registered: &str) -> bool {
    match (loopback(uri), loopback(registered)) {
        (Some(asked), Some(known)) => asked == known,
        _ => false,
    }
}

/// Host and the rest after the port of `http://<loopback>[:port]/…`.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
    let (host, rest) = rest.split_at(host.len());
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = port.split_at(digits);
            port.parse::<u16>().ok().filter(|number| *number != 0 && !port.starts_with('0'))?;
            rest
        }
    };
    // Anything else here would still belong to the host, or to what stands before an `@`.
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(home: Option<&str>, bases: &[&str], redirects: &[&str]) -> Profile {
        Profile {
            home_url: home.map(str::to_owned),
            base_urls: bases.iter().copied().map(str::to_owned).collect(),
            redirect_uris: redirects.iter().copied().map(str::to_owned).collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn comparison_is_exact() {
        let profile = profile(Some("https://app.example"), &[], &["https://app.example/cb"]);
        assert!(is_registered("https://app.example/cb", &profile));
        for other in [
            "https://app.example/cb/",
            "https://app.example/CB",
            "HTTPS://app.example/cb",
            "https://app.example:443/cb",
            "https://APP.example/cb",
            "https://app.example/cb?x",
            "https://app.example/cb?",
            "https://app.example/cb#f",
            "https://app.example/cb#",
            "https://app.example/cb/../evil",
            "https://app.example/cb/..%2Fevil",
            "https://app.example/cb%2f..",
            "https://app.example/cb/..;/e",
            "https://app.example//cb",
            "https://app.example.evil.com/cb",
            "https://app.example@evil/cb",
            "https://evil\\@app.example/cb",
            "https://app.example%00.evil",
            "https://appXexample/cb",
            "http://app.example/cb",
            "https://аpp.example/cb",
            "https://xn--pp-8cd.example/cb",
            "https://app.example./cb",
            "https://app.example/\tcb",
            "https://app.example/cb\n",
            "javascript:alert(1)",
            "data:text/html,x",
            "//app.example/cb",
            "/cb",
            "",
        ] {
            assert!(!is_registered(other, &profile), "{other:?}");
        }
    }

    #[test]
    fn a_service_that_registered_nothing_accepts_nothing() {
        assert!(!is_registered("https://app.example/", &profile(Some("https://app.example/"), &[], &[])));
        // Neither does a scheme that must never get an answer, should it stand in the registry all the same.
        assert!(!is_registered("javascript:alert(1)", &profile(None, &[], &["javascript:alert(1)"])));
    }

    #[test]
    fn relative_ones_stand_below_the_home_and_base_urls() {
        let relative = profile(
            Some("https://a.example/yt"),
            &["https://b.example/", "https://c.example/x/?y=1"],
            &["./oauth/external/hub", "/cb", "done?z=1", "../up"],
        );
        for good in [
            "https://a.example/yt/oauth/external/hub",
            "https://b.example/oauth/external/hub",
            "https://c.example/x/oauth/external/hub",
            "https://a.example/yt/cb",
            "https://a.example/cb",
            "https://b.example/cb",
            "https://a.example/yt/done?z=1",
            "https://a.example/up",
        ] {
            assert!(is_registered(good, &relative), "{good}");
        }
        for bad in [
            "https://a.example/oauth/external/hub",
            "https://a.example/yt/./oauth/external/hub",
            "https://a.example/yt/../up",
            "https://d.example/cb",
            "https://a.example/yt/done",
            "https://a.example/yt",
        ] {
            assert!(!is_registered(bad, &relative), "{bad}");
        }
        assert!(!is_registered("https://a.example/cb", &profile(None, &[], &["/cb"])));
        // A relative address that leads to another host leads nowhere.
        let sly = profile(Some("https://a.example/"), &[], &["//evil.example/cb"]);
        assert!(!is_registered("https://evil.example/cb", &sly));
    }

    #[test]
    fn registered_loopback_addresses_take_any_port() {
        let app =
            profile(None, &[], &["http://127.0.0.1/cb", "http://localhost:7000/edu?a=1", "http://[::1]:1/"]);
        for good in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:65535/cb",
            "http://localhost:50123/edu?a=1",
            "http://localhost/edu?a=1",
            "http://[::1]:8080/",
        ] {
            assert!(is_registered(good, &app), "{good}");
        }
        for bad in [
            "http://localhost/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80x/cb",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/CB",
            "https://127.0.0.1:80/cb",
            "http://127.0.0.2:80/cb",
            "http://127.0.0.1.evil/cb",
            "http://127.0.0.1@evil/cb",
            "http://127.0.0.1:80@evil/cb",
            "http://localhost@evil/edu?a=1",
            "http://localhostevil/edu?a=1",
        ] {
            assert!(!is_registered(bad, &app), "{bad}");
        }
        let remote = profile(None, &[], &["http://intranet/cb", "https://127.0.0.1/cb"]);
        assert!(!is_registered("http://intranet:81/cb", &remote));
        assert!(!is_registered("https://127.0.0.1:81/cb", &remote));
    }
}
