//! Addresses that a service names: where it lives, and where authorization responses may go.

use super::{Wrong, wrong};

/// Schemes that run or read something in the browser instead of leading to an application.
const DANGEROUS: [&str; 8] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"];

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
    refuse_odd_characters(text)?;
    let refuse = |label: &str| {
        wrong("is not the address of a page")
            .label(label)
            .help(r#"write an absolute address: "https://issues.example.org/youtrack""#)
    };
    let url = ::url::Url::parse(text).map_err(|_| refuse("not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("not http:// or https://"));
    }
    refuse_extras(&url)?;
    Ok(text.to_owned())
}

/// A redirect URI: absolute, with a scheme of an application's own, or relative (RFC 6749 section 3.1.2, RFC 8252 section 7).
pub(in crate::config) fn redirect_uri(text: &str) -> Result<RedirectUri, Wrong> {
    refuse_odd_characters(text)?;
    match ::url::Url::parse(text) {
        Ok(url) if DANGEROUS.contains(&url.scheme()) => {
            Err(wrong("has a scheme that must never receive a token").label(format!("`{}:`", url.scheme())))
        }
        Ok(url) => {
            refuse_extras(&url)?;
            Ok(RedirectUri::Absolute(text.to_owned()))
        }
        Err(::url::ParseError::RelativeUrlWithoutBase) if text.starts_with("//") => {
            Err(wrong("has no scheme").help(format!("write \"https:{text}\"")))
        }
        Err(::url::ParseError::RelativeUrlWithoutBase) if text.contains('#') => Err(fragment()),
        Err(::url::ParseError::RelativeUrlWithoutBase) if !text.is_empty() => {
            Ok(RedirectUri::Relative(text.to_owned()))
        }
        Err(_) => Err(wrong("is not a redirect URI")
            .label("not a URL")
            .help(r#"write for example "https://issues.example.org/youtrack/oauth""#)),
    }
}

/// What URL parsers drop or bend silently, so that two of them would disagree on where the address leads.
fn refuse_odd_characters(text: &str) -> Result<(), Wrong> {
    match text.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '\\') {
        Some(c) => Err(wrong("has a character that an address cannot have").label(format!("{c:?}"))),
        None => Ok(()),
    }
}

fn fragment() -> Wrong {
    wrong("has a fragment")
        .label("everything from `#` on is never sent to a server")
        .help("leave out `#` and what follows")
}

fn refuse_extras(url: &::url::Url) -> Result<(), Wrong> {
    if url.fragment().is_some() {
        return Err(fragment());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("contains a user name or password").help("leave out what stands before `@`"));
    }
    Ok(())
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
