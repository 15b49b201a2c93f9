//! Addresses that a service names, as [`model::address`](crate::model::address) judges them, with words for whoever wrote the file.

use super::{Wrong, wrong};
use crate::model::address::{self, NoAddress};

/// How a redirect URI is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum RedirectUri {
    /// With scheme.
    Absolute(String),
    /// To be resolved against the service's base and home URLs.
    Relative(String),
}

/// An `http` or `https` address of a page.
pub(in crate::config) fn web_url(text: &str) -> Result<String, Wrong> {
    address::web_url(text).map(|()| text.to_owned()).map_err(|why| explained(&why, text))
}

/// A redirect URI: absolute, with a scheme of an application's own, or relative.
pub(in crate::config) fn redirect_uri(text: &str) -> Result<RedirectUri, Wrong> {
    match address::redirect_uri(text) {
        Ok(address::RedirectUri::Absolute) => Ok(RedirectUri::Absolute(text.to_owned())),
        Ok(address::RedirectUri::Relative) => Ok(RedirectUri::Relative(text.to_owned())),
        Err(why) => Err(explained(&why, text)),
    }
}

fn explained(why: &NoAddress, text: &str) -> Wrong {
    let no_page = |label: &str| {
        wrong("is not the address of a page")
            .label(label)
            .help(r#"write an absolute address: "https://issues.example.org/youtrack""#)
    };
    match why {
        NoAddress::Length => wrong("is too long").label("more than 2000 bytes"),
        NoAddress::Character(c) => {
            wrong("has a character that an address cannot have").label(format!("{c:?}"))
        }
        NoAddress::NotAbsolute => no_page("not an absolute URL"),
        NoAddress::NotWeb => no_page("not http:// or https://"),
        NoAddress::Dangerous(scheme) => {
            wrong("has a scheme that must never receive a token").label(format!("`{scheme}:`"))
        }
        NoAddress::NoScheme => wrong("has no scheme").help(format!("write \"https:{text}\"")),
        NoAddress::Fragment => wrong("has a fragment")
            .label("everything from `#` on is never sent to a server")
            .help("leave out `#` and what follows"),
        NoAddress::UserInfo => {
            wrong("contains a user name or password").help("leave out what stands before `@`")
        }
        NoAddress::NotUrl => wrong("is not a redirect URI")
            .label("not a URL")
            .help(r#"write for example "https://issues.example.org/youtrack/oauth""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_absolute() {
        assert!(web_url("https://a.example/youtrack").is_ok());
        assert!(web_url("http://localhost:8080").is_ok());
        for bad in [
            "",
            "/youtrack",
            "a.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "app://x",
            "https://a/#x",
            "https://u@a/",
            "https://a b/",
            "https:\\\\a",
        ] {
            assert!(web_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn redirects_lead_to_an_application() {
        for good in ["https://a/cb", "http://127.0.0.1/cb", "com.example.app:/cb", "myapp://cb"] {
            assert_eq!(redirect_uri(good), Ok(RedirectUri::Absolute(good.into())));
        }
        for good in ["/oauth", "oauth", "../oauth?x=1"] {
            assert_eq!(redirect_uri(good), Ok(RedirectUri::Relative(good.into())));
        }
        for bad in [
            "",
            "//evil.example/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "https://a/cb#x",
            "/cb#x",
            "https://u:p@a/cb",
            "https://",
            "java\nscript:x",
            " https://a",
            "https:\\\\a",
        ] {
            assert!(redirect_uri(bad).is_err(), "{bad:?}");
        }
    }
}
